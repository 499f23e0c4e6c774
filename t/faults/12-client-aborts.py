"""Clients that go away: before they have asked, while their statement waits,
while it runs, in the middle of the answer; one by one, pipelined, on HTTP/2.
Nothing leaks, results are thrown away, places are free again.

A lock on the table is the barrier that holds the statements.
"""

import random
import struct

import lib
from lib import now

DEPTH = 4


def executed(pg, mark):
    return pg.since(mark).count("/* review_campaign */")


class H2:
    """As much of HTTP/2 as it takes to ask and to reset (RFC 9113, 7541)."""

    def __init__(self, port):
        self.c = lib.Client(port)
        self.buf = b""
        self.c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(4, 0, 0, b"")

    def frame(self, kind, flags, stream, body):
        self.c.send(struct.pack("!I", len(body))[1:]
                    + struct.pack("!BBI", kind, flags, stream) + body)

    def ask(self, stream, path):
        path = path.encode()
        self.frame(1, 5, stream, b"\x82\x86\x04" + bytes([len(path)]) + path
                   + b"\x01\x09localhost")

    def cancel(self, stream):
        self.frame(3, 0, stream, struct.pack("!I", 8))

    def answer(self, stream, seconds=10):
        """The body of a stream that ends well, else None."""
        body = b""
        end = now() + seconds
        while now() < end:
            while len(self.buf) < 9 or len(self.buf) < 9 + int.from_bytes(
                    self.buf[:3], "big"):
                self.c.s.settimeout(max(0.01, end - now()))
                try:
                    more = self.c.s.recv(65536)
                except OSError:
                    return None
                if not more:
                    return None
                self.buf += more
            n = int.from_bytes(self.buf[:3], "big")
            kind, flags, number = struct.unpack("!BBI", self.buf[3:9])
            data, self.buf = self.buf[9:9 + n], self.buf[9 + n:]
            if kind == 4 and not flags & 1:
                self.frame(4, 1, 0, b"")
            if number == stream and kind == 0:
                body += data
            if number == stream and kind == 3:
                return None
            if number == stream and kind in (0, 1) and flags & 1:
                return body
        return None


def held(t, pg, ng, session):
    """In flight and queued, some of each go away while the lock is held."""
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    mark = pg.mark()
    conns = []
    for n in range(10):
        c = lib.Client(ng.port)
        c.send(lib.request("/api/review/campaigns/%d" % (n + 1)))
        lib.time.sleep(0.01)        # the order is the order of arrival
        conns.append(c)
    lib.time.sleep(0.1)
    gone = {1, 2, 5, 6, 7, 8}       # two in flight (0-3), four in the queue
    for n in gone:
        if n % 2:
            conns[n].reset()
        else:
            conns[n].close()
    lib.time.sleep(0.2)
    session.run("COMMIT")
    answers = {n: c.read(10) for n, c in enumerate(conns) if n not in gone}
    lib.time.sleep(0.1)
    n = executed(pg, mark)
    t.ok(all(r.status == 200 and r.json()["id"] == n + 1
             for n, r in answers.items()), "held: those who stay are served",
         answers)
    # one in flight speaks for its endpoint, but more may have been sent before
    # it was old

    t.ok(4 <= n <= 6, "held: what was not sent yet is not sent any more",
         "%d statements executed, 4 to 6 expected" % n)
    codes = [x[1] for x in ng.statuses() if "/campaigns/" in x[4]]
    t.ok(codes.count("499") >= len(gone), "held: logged as 499",
         codes.count("499"))
    for n, c in enumerate(conns):
        if n not in gone:
            c.close()


def everybody(t, pg, ng, session):
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    conns = [lib.Client(ng.port) for _ in range(60)]
    for c in conns:
        c.send(lib.request("/api/review/campaigns/1"))
    lib.time.sleep(0.2)
    for c in conns:
        c.reset()
    lib.time.sleep(0.1)
    session.run("COMMIT")
    start = now()
    r = ng.campaign(3)
    t.ok(r.status == 200 and r.json()["id"] == 3, "all gone: places are free",
         r)
    t.figure("all gone: the next one took", (now() - start) * 1000, "ms")


def shared(t, pg, ng, session):
    """The request that started a flight leaves; another one waits for it."""
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    a, b, c = (lib.Client(ng.port) for _ in range(3))
    for x in (a, b, c):
        x.send(lib.request("/api/review/campaigns?category=none"))
        lib.time.sleep(0.05)
    a.reset()
    lib.time.sleep(0.05)
    c.close()
    lib.time.sleep(0.05)
    session.run("COMMIT")
    r = b.read(10)
    t.ok(r.status == 200, "shared flight: its leader may go", r)
    b.close()


def pipelined(t, pg, ng, session):
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    for i in range(5):
        c = lib.Client(ng.port)
        c.send(b"".join(lib.request("/api/review/campaigns/%d" % (n + 1))
                        for n in range(6)))
        lib.time.sleep(0.02)
        c.reset()
    lib.time.sleep(0.1)
    session.run("COMMIT")
    c = lib.Client(ng.port)
    c.send(b"".join(lib.request("/api/review/campaigns/%d" % (n + 1))
                    for n in range(6)))
    answers = [c.read(10) for _ in range(6)]
    t.ok([r.status == 200 and r.json()["id"] for r in answers]
         == [1, 2, 3, 4, 5, 6], "pipelined: answers in order", answers[:2])
    c.close()


def http2(t, pg, ng, port, session):
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    mark = pg.mark()
    h = H2(port)
    for n in range(10):
        h.ask(2 * n + 1, "/api/review/campaigns/%d" % (n + 1))
    lib.time.sleep(0.2)
    for n in (0, 2, 5, 6, 7, 9):
        h.cancel(2 * n + 1)
    lib.time.sleep(0.2)
    session.run("COMMIT")
    bodies = {n: h.answer(2 * n + 1) for n in (1,)}
    h.ask(101, "/api/review/campaigns/7")
    body = h.answer(101)
    lib.time.sleep(0.2)
    t.ok(bodies[1] and b'"id":2,' in bodies[1],
         "h2: streams that stay are served", bodies)
    t.ok(body and b'"id":7,' in body, "h2: the connection goes on", body)
    n = executed(pg, mark)
    # the ten may be one unit, of which those that are not reset are sent again

    t.ok(n <= 10 + 4 + 1, "h2: reset streams that waited are not sent",
         "%d statements executed for 11 streams, 6 of them reset" % n)
    t.figure("h2: executed of 10 + 1 streams, 6 reset", n)
    h.c.close()


def partial(t, ng):
    # no body that is announced and does not come: nginx itself, with any
    # location, lingers half a minute for the rest of such a body

    for text in (b"G", b"GET /api/review/cam", b"GET / HTTP/1.1\r\nHost: l",
                 b"GET /api/review/campaigns/1 HTTP/1.1\r\nHost: l\r\n"):
        for how in ("reset", "close"):
            c = lib.Client(ng.port)
            c.send(text)
            lib.time.sleep(0.005)
            getattr(c, how)()
    t.ok(ng.campaign().status == 200, "before asking: served afterwards")


def middle(t, ng):
    """In the middle of an answer that does not fit the socket."""
    path = "/api/review/listings?per_page=500"
    full = ng.get(path, lib.TOKEN)
    t.ok(full.status == 200 and len(full.body) > 40000, "a large answer",
         "%d bytes" % len(full.body))
    for i in range(10 if lib.SHORT else 100):
        c = lib.Client(ng.port, rcvbuf=4096)
        c.send(lib.request(path, lib.TOKEN))
        c.s.recv(1000)
        if i % 2:
            c.reset()
        else:
            c.close()
    again = ng.get(path, lib.TOKEN)
    t.ok(again.body == full.body, "middle of the answer: the next is whole")


def storm(t, pg, ng):
    """Aborts at random moments while others are served."""
    load = lib.Load(t, ng.port, lib.MIXED, conns=8, pause=0.02)
    end = now() + (3 if lib.SHORT else 20)
    n = 0
    while now() < end:
        batch = [lib.Client(ng.port) for _ in range(20)]
        for c in batch:
            c.send(lib.request(random.choice(lib.MIXED), lib.TOKEN))
        lib.time.sleep(random.random() * 0.01)
        for c in batch:
            if random.random() < 0.5:
                c.reset()
            else:
                c.close()
        n += len(batch)
    load.stop()
    t.figure("storm: aborts", n)
    t.figure("storm: answers to the others", load.summary())
    t.ok(not load.errors(), "storm: others are served", load.errors()[:2])


def run(t):
    pg = lib.Postgres(t)
    pg.set(log_statement="all")
    t.defer(pg.reset)
    port = lib.free_port()
    ng = lib.Nginx(t, pg.unix, workers=1, pool="connections=1 heavy=1 "
                   "depth=%d wait=10s timeout=10s" % DEPTH,
                   server="listen 127.0.0.1:%d http2;" % port)
    ng.ready()
    ng.get("/api/review/campaigns?category=none")
    ng.get("/api/review/listings?per_page=500", lib.TOKEN)
    beat = lib.Beat(t, ng.port, 1)
    lib.time.sleep(0.2)
    before = pg.backends()
    fds = ng.fds()
    memory = lib.rss(ng.workers()[0])
    session = pg.session()

    for _ in range(1 if lib.SHORT else 5):
        partial(t, ng)
        held(t, pg, ng, session)
        everybody(t, pg, ng, session)
        shared(t, pg, ng, session)
        pipelined(t, pg, ng, session)
        http2(t, pg, ng, port, session)
        middle(t, ng)
    storm(t, pg, ng)
    session.close()

    lib.wait_for(lambda: all(ng.fds().get(p, 999) <= n + 4
                             for p, n in fds.items()), 3)
    back = ng.fds()
    after = pg.backends()
    beat.stop()
    t.figure("descriptors before/after", "%s/%s" % (list(fds.values()),
                                                    list(back.values())))
    t.figure("worker's memory before/after", "%d/%d" % (
        memory, lib.rss(ng.workers()[0])), "MB")
    # while the table was locked spare ones were opened, and both of the totals

    more = len(after) - len(before)
    t.ok(0 <= more <= 4, "no connection is left but the pool's own",
         "%s -> %s" % (before, after))
    t.ok(all(back.get(p, 999) <= n + more for p, n in fds.items()),
         "no descriptor is left", "%s -> %s" % (fds, back))
    t.beat_ok(beat, "aborts")
    ng.stop()


lib.main(__file__, run)

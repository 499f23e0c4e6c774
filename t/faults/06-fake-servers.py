"""Servers that break the protocol: the connection is dropped, the request is
told 503 or 504, the worker lives, nobody gets rows that are not theirs, and
the backup, a real server, takes over once the fake one is gone.  Servers that
do not stop: what they send is not kept."""

import socket
import struct
import threading

import lib
from lib import now

# an endpoint that reads each column by its name, as a fake has them

DECLARED = """
    softfactory_endpoint fake {
        get    /api/fake/$id;
        access public;
        sql    "SELECT id AS c0, title AS c1, product_name AS c2,
                       category AS c3, reward_type AS c4, reward_value AS c5,
                       max_reviewers AS c6, deadline AS c7, status AS c8,
                       created_at AS c9, 0::bigint AS c10, description AS c11,
                       1::bigint AS c12
                  FROM $schema.campaigns WHERE id = $id";
        json   '{"id": c0, "title": c1, "product_name": c2, "category": c3,
                 "reward_type": c4, "reward_value": c5, "max_reviewers": c6,
                 "deadline": c7, "status": c8, "created_at": c9,
                 "applications": c10, "description": c11, "spots": c12}';
        tags   campaigns.id=$id;
    }
"""
COLUMNS = 13
TYPES = {0: 23, 6: 23, 7: 1114, 9: 1114, 10: 20, 12: 20}    # others are text


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def status(name, value):
    return message(b"S", name + b"\0" + value + b"\0")


def row(values):
    body = struct.pack("!H", len(values))
    for v in values:
        body += struct.pack("!i", -1) if v is None else (
            struct.pack("!i", len(v)) + v)
    return message(b"D", body)


def fields(n):
    body = struct.pack("!H", n)
    for i in range(n):
        body += b"c%d\0" % i + struct.pack("!IHIhih", 0, 0,
                                           TYPES.get(i, 25), -1, -1, 0)
    return message(b"T", body)


def error(*parts):
    return message(b"E", b"".join(p + b"\0" for p in parts) + b"\0")


GREETING = (message(b"R", struct.pack("!I", 0))
            + status(b"server_version", b"15.20")
            + status(b"server_encoding", b"UTF8")
            + status(b"client_encoding", b"UTF8")
            + status(b"in_hot_standby", b"off")
            + status(b"standard_conforming_strings", b"on")
            + message(b"K", struct.pack("!II", 4711, 42)))
READY = message(b"Z", b"I")
ROW = [b"1", b"FAKE", b"x", b"x", b"x", b"x", b"1", b"2026-01-01 00:00:00",
       b"active", b"2026-01-01 00:00:00", b"0", b"x", b"1"]
DONE = message(b"C", b"SELECT 1\0")
ASKED = b"<the row that was asked for>"
GOOD = message(b"2") + fields(COLUMNS) + ASKED + DONE

WRONG = message(b"2") + fields(COLUMNS) + row([b"66"] + ROW[1:]) + DONE

# what a fake says for a statement and then for ever: nothing (None: not even
# a greeting); what one says that goes on, or closes then

HUGE = b"D" + struct.pack("!I", 0x7fffffff)
QUIET = {
    "silent once connected": None,
    "silent after the greeting": b"",
    "a row of 2 GB is promised": message(b"2") + fields(COLUMNS) + HUGE + b"x",
    "a row of 1 GB is promised": message(b"2") + fields(COLUMNS)
    + b"D" + struct.pack("!I", 0x3fffffff) + b"x" * 1000,
    "half a row": message(b"2") + fields(COLUMNS) + row(ROW)[:40],
}
LOUD = {
    "closes in the middle of a result": ("close", message(b"2")
                                         + fields(COLUMNS) + row(ROW)[:40]),
    "closes between rows": ("close", message(b"2") + fields(COLUMNS)
                            + row(ROW)),
    "closes at once": ("close", b""),
    "garbage byte": ("", b"\xff\xfe\xfd\xfc garbage" * 4),
    "a length below four": ("", b"D\0\0\0\1xxxxxxxx"),
    "a negative length": ("", b"D\xff\xff\xff\xf0xxxxxxxx"),
    "a cell longer than its row": ("", message(b"2") + fields(COLUMNS)
                                   + message(b"D", struct.pack(
                                       "!Hi", COLUMNS, 100000) + b"abc")),
    "too few cells": ("", message(b"2") + fields(COLUMNS) + row([b"1"])
                      + DONE),
    "too few columns": ("", message(b"2") + fields(2) + row([b"1", b"2"])
                        + DONE),
    "too many columns": ("", message(b"2") + fields(40) + row([b"1"] * 40)
                         + DONE),
    "two results for one statement": ("", GOOD + WRONG),
    "rows after the end": ("", GOOD + row([b"66"] + ROW[1:]) + DONE),
    "a notice, a parameter, a notification": (
        "", message(b"N", b"SNOTICE\0C00000\0Mhello\0\0")
        + status(b"application_name", b"x")
        + message(b"A", struct.pack("!I", 1) + b"c\0p\0") + GOOD),
    "rows without a description": ("", message(b"2") + row(ROW) + DONE),
    "COPY out": ("", message(b"2") + message(b"H", b"\0\0\0") ),
    "COPY in": ("", message(b"2") + message(b"G", b"\0\0\0")),
    "an empty query": ("", message(b"2") + message(b"I")),
    "an error without SQLSTATE": ("", error(b"SERROR", b"Mno code")),
    "an error without fields": ("", message(b"E", b"\0")),
    "an error that does not end": ("", message(b"E", b"SERROR")),
    "a Sync too many": ("", GOOD + READY + READY),
    "a bad transaction state": ("", GOOD + message(b"Z", b"?")),
}
# the same for a statement that is to be prepared, with its execution behind it

PARSES = {
    "closes while it prepares": ("close", b""),
    "a warning, and closes while it prepares": (
        "close", message(b"N", b"SWARNING\0C57P02\0Mcrash\0\0")),
    "garbage while it prepares": ("", b"\xff\xfe\xfd\xfc garbage" * 4),
    "an error without SQLSTATE while it prepares": (
        "", error(b"SERROR", b"Mno code")),
    "an error while it prepares": ("", error(b"SERROR", b"C57014", b"Mno")),
}
GREETINGS = {
    "refuses with an error": error(b"SFATAL", b"C57P03", b"Mstarting up"),
    "refuses without SQLSTATE": error(b"SFATAL", b"Mno code"),
    "an old protocol's error": b"Esomething is wrong\n\0",
    "wants an unknown authentication": message(b"R", struct.pack("!I", 99)),
    "wants a password that is not there": message(b"R", struct.pack("!I", 3)),
    "a greeting that is garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an old server": message(b"R", struct.pack("!I", 0))
    + status(b"server_version", b"9.6.1") + message(b"K", b"\0" * 8) + READY,
    "no server_version": message(b"R", struct.pack("!I", 0))
    + message(b"K", b"\0" * 8) + READY,
    "a standby": GREETING.replace(status(b"in_hot_standby", b"off"), status(
        b"in_hot_standby", b"on")) + READY,
    "SQL_ASCII": GREETING.replace(status(b"server_encoding", b"UTF8"), status(
        b"server_encoding", b"SQL_ASCII")) + READY,
}


# what a server sends for ever: after its answer, though nobody asks; as the
# answer to a statement, behind a beginning

NOTICE = message(b"N", b"SNOTICE\0C00000\0M" + b"x" * 900 + b"\0\0")
UNASKED = {
    "notices": NOTICE,
    "parameters": status(b"application_name", b"x" * 900),
    "notifications": message(b"A", struct.pack("!I", 1) + b"c\0"
                             + b"p" * 900 + b"\0"),
    "rows": row([b"x" * 900]),
    "half a row": message(b"D", b"x" * 1000)[:1] + struct.pack(
        "!I", 0x3fffffff) + b"x" * 1000,
}
ENDLESS = {
    "rows": (message(b"2") + fields(COLUMNS),
             row([b"1", b"x" * 900] + ROW[2:])),
    "rows of NULLs": (message(b"2") + fields(COLUMNS), row([None] * COLUMNS)),
    "a row": (message(b"2") + fields(COLUMNS) + b"D"
              + struct.pack("!IHi", 0x3fffffff, COLUMNS, 0x3ffffff0),
              b"x" * 1000),
    "notices": (message(b"2"), NOTICE),
}
FLOOD = 900             # MB, where nobody ends it

# MB of a worker; a message that is promised to be long is read by libpq for as
# long as there is more of it

GROWTH = {"UNASKED": 8, "ENDLESS": 60, "a row": FLOOD - 100}


class Fake:
    """One connection at a time in a thread of its own; a script of bytes."""

    def __init__(self, greeting, answer, then="", trickle=False,
                 parse=message(b"1"), flood=b""):
        self.greeting, self.answer, self.then = greeting, answer, then
        self.parse = parse
        self.trickle = trickle
        self.flood = flood * (100000 // len(flood)) if flood else b""
        self.sent = 0           # bytes of that, until a connection ended
        self.ended = threading.Event()
        self.s = socket.socket()
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind(("127.0.0.1", 0))
        self.s.listen(64)
        self.port = self.s.getsockname()[1]
        self.conns = []
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.accepted += 1
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.conns.append(c)
            threading.Thread(target=self.serve, args=(c,),
                             daemon=True).start()

    def serve(self, c):
        try:
            head = self.exactly(c, 4)
            self.exactly(c, struct.unpack("!I", head)[0] - 4)
            if self.greeting is None:
                return
            c.sendall(self.greeting)
            failed = False
            while True:
                kind = self.exactly(c, 1)
                n = struct.unpack("!I", self.exactly(c, 4))[0]
                body = self.exactly(c, n - 4)
                if kind == b"P":
                    c.sendall(self.parse)
                    failed = self.parse != message(b"1")
                    if failed and self.then == "close":
                        c.close()
                        return
                elif kind == b"B" and not failed:
                    for piece in self.pieces(body):
                        c.sendall(piece)
                    if self.then == "close":
                        c.close()
                        return
                    if self.then == "silence":
                        return
                    if self.then == "flood":
                        self.pour(c)
                elif kind == b"S":
                    failed = False
                    c.sendall(READY)
                    if self.then == "flood unasked":
                        self.pour(c)
                elif kind == b"X":
                    c.close()
                    return
        except (OSError, EOFError, struct.error):
            c.close()

    def pour(self, c):
        try:
            while self.sent < FLOOD << 20:
                c.sendall(self.flood)
                self.sent += len(self.flood)
        finally:
            self.ended.set()

    def pieces(self, bind):
        """The answer, with the row that the first parameter asks for."""
        _, _, rest = bind.partition(b"\0")[2].partition(b"\0")
        nformats = struct.unpack_from("!H", rest)[0]
        n = struct.unpack_from("!i", rest, 4 + 2 * nformats)[0]
        number = rest[8 + 2 * nformats:][:n]
        answer = self.answer.replace(ASKED, row([number] + ROW[1:]))
        if not self.trickle:
            yield answer
            return
        for i in range(0, len(answer), 7):
            lib.time.sleep(0.001)
            yield answer[i:i + 7]

    @staticmethod
    def exactly(c, n):
        data = b""
        while len(data) < n:
            more = c.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def stop(self):
        try:
            self.s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.s.close()
        for c in self.conns:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            c.close()


def one(t, pg, what, fake):
    """The requests of clients while the fake is there, and after it."""
    t.defer(fake.stop)
    ng = lib.Nginx(t, ["127.0.0.1:%d fail_timeout=1s" % fake.port,
                       pg.unix + " backup"],
                   pool="connections=2 heavy=1 timeout=500ms wait=500ms "
                        "connect_timeout=500ms", http=DECLARED)
    workers = sorted(ng.workers())
    beat = lib.Beat(t, ng.port)
    conns = list(lib.per_worker(ng.port, 2).values())
    conns += [lib.Client(ng.port) for _ in range(6)]

    # a connection that has had an answer has been accepted

    for c in conns:
        c.get("/api/none")
    fds = ng.fds()
    start = now()
    answers = []
    mixed = most = 0
    for i in range(2 if lib.SHORT else 6):
        for n, c in enumerate(conns):
            c.send(lib.request("/api/fake/%d" % (n + i + 1)))
        for n, c in enumerate(conns):
            r = c.read(15)
            answers.append(r)
            mixed += (r.status == 200
                      and r.json().get("id") != n + i + 1)
        most = max([most] + [lib.rss(p) for p in workers])
    slow = max(r.ms for r in answers)
    rate = fake.accepted / (now() - start)
    fake.stop()
    gone = now()
    for c in conns:
        lib.wait_for(lambda: c.get("/api/fake/1").status == 200,
                     5, 0.05)
    took = now() - gone
    last = [c.get("/api/fake/1") for c in conns]
    beat.stop()
    back = ng.fds()
    for c in conns:
        c.close()

    kinds = {}
    for r in answers:
        kinds[r.status] = kinds.get(r.status, 0) + 1
    worst = max((b["ms"] for b in beat.records), default=0)
    fine = (set(kinds) <= {200, 503, 504} and not mixed
            and slow < 5000 and sorted(ng.workers()) == workers
            and all(r.status == 200 and b"FAKE" not in r.body for r in last)
            and took < 4 and worst < lib.BEAT_MAX
            and most < (1000 if lib.ASAN else 200)
            and all(back.get(p, 999) <= n + 4 for p, n in fds.items()))
    t.ok(fine, what, "%s, %d of another, slowest %.0f ms, %.0f connects/s, "
         "backup after %.1f s, beat max %.0f ms, %d MB%s"
         % (kinds, mixed, slow, rate, took, worst, most, "" if fine else
            ", workers %s -> %s, descriptors %s -> %s, last %s" % (
                workers, sorted(ng.workers()), fds, back, last)))
    ng.stop()
    return slow, rate, took, worst, kinds


def storm(t, pg):
    """A server that lets everybody in and then dies: how often it is asked.
    (A pooler whose PostgreSQL is down does that.)"""
    fake = Fake(GREETING + READY, b"", "close")
    t.defer(fake.stop)
    ng = lib.Nginx(t, ["127.0.0.1:%d fail_timeout=1s" % fake.port,
                       pg.unix + " backup"])
    load = lib.Load(t, ng.port, lib.detail_paths(), conns=16, pause=0.02)
    lib.time.sleep(1)
    before = fake.accepted
    lib.time.sleep(2)
    rate = (fake.accepted - before) / 2
    load.stop()
    t.figure("closes at each statement, 16 clients: connects/s", rate)
    t.figure("closes at each statement, 16 clients: answers",
             load.summary())
    t.ok(rate < 50, "closes at each statement: no connect storm", rate)
    t.ok(lib.wait_for(lambda: ng.campaign().status == 200, 3),
         "closes at each statement: the backup serves")
    fake.stop()
    ng.stop()


def flood(t, pg, kind, what, fake):
    """What a server that does not stop sends is not kept: the worker closes
    the connection, and has not grown by it."""
    t.defer(fake.stop)
    ng = lib.Nginx(t, ["127.0.0.1:%d fail_timeout=60s" % fake.port,
                       pg.unix + " backup"], workers=1, http=DECLARED)
    beat = lib.Beat(t, ng.port)
    worker = min(ng.workers())
    c = lib.Client(ng.port)
    before = lib.rss(worker)
    most = [before]
    stop = threading.Event()

    def watch():
        while not stop.wait(0.01):
            most.append(lib.rss(worker))

    watcher = threading.Thread(target=watch)
    watcher.start()
    r = c.get("/api/fake/1")
    ended = fake.ended.wait(10)
    lib.time.sleep(0.1)
    stop.set()
    watcher.join(10)
    after = c.get("/api/fake/2")
    beat.stop()
    worst = max((b["ms"] for b in beat.records), default=0)
    grown = max(most) - before
    t.figure("%s for ever, %s: a worker grows by" % (
        what, "as an answer" if kind == "ENDLESS" else "unasked"), grown,
        "MB")
    t.ok(ended and fake.sent < FLOOD << 20
         and grown <= GROWTH[what if what in GROWTH else kind] * (
             4 if lib.ASAN else 1)
         and r.status == (500 if kind == "ENDLESS" else 200)
         and after.status in (200, 500, 503) and sorted(ng.workers()) == [worker]
         and worst < lib.BEAT_MAX,
         "%s for ever, %s" % (what, kind), "%s, then %s, %.1f MB taken, "
         "%d MB more, beat max %.0f ms" % (
             r.status, after.status, fake.sent / (1 << 20), grown, worst))
    c.close()
    ng.stop()
    fake.stop()


def scram(t, pg, rounds, pieces, code=11, early=0):
    """A server that wants so many rounds of hashes at a login; early: bytes of
    its message that come with the one before."""
    def serve(c):
        try:
            head = Fake.exactly(c, 4)
            Fake.exactly(c, struct.unpack("!I", head)[0] - 4)
            c.sendall(message(b"R", struct.pack("!I", 10)
                              + b"SCRAM-SHA-256\0\0") + b"R"[:early])
            kind = Fake.exactly(c, 1)
            n = struct.unpack("!I", Fake.exactly(c, 4))[0]
            nonce = Fake.exactly(c, n - 4).partition(b"r=")[2]
            text = message(b"R", struct.pack("!I", code) + b"r=" + nonce
                           + b"x,s=c2FsdHNhbHQ=,i=%d" % rounds)[early:]
            for i in range(pieces):
                c.sendall(text[i * len(text) // pieces:
                               (i + 1) * len(text) // pieces])
                lib.time.sleep(0.05)
            asked.append(Fake.exactly(c, 1))
        except (OSError, EOFError, struct.error):
            pass
        c.close()

    asked = []
    fake = Fake(GREETING, b"")
    fake.serve = serve
    t.defer(fake.stop)
    ng = lib.Nginx(t, ["127.0.0.1:%d fail_timeout=60s" % fake.port,
                       pg.unix + " backup"],
                   pg="dbname=softfactory user=app password=x")
    beat = lib.Beat(t, ng.port)
    good = lib.wait_for(lambda: ng.campaign().status == 200, 10)
    beat.stop()
    worst = max((b["ms"] for b in beat.records), default=0)
    few = rounds < 10000
    t.ok(good and worst < lib.BEAT_MAX and fake.accepted
         and bool(asked) == few,
         "SCRAM with %d rounds, in %d, code %d%s" % (
             rounds, pieces, code, ", begun early" * early),
         "served %s, beat max %.0f ms, hashed %d times" % (
             good, worst, len(asked)))
    ng.stop()
    fake.stop()


def run(t):
    pg = lib.Postgres(t)
    for rounds, pieces in ((4096, 1), (4096, 2), (4096, 20), (2000000000, 1),
                           (2000000000, 2), (2000000000, 20)):
        scram(t, pg, rounds, pieces)
    scram(t, pg, 2000000000, 1, code=12)
    scram(t, pg, 2000000000, 1, early=1)
    for what, more in UNASKED.items():
        flood(t, pg, "UNASKED", what, Fake(GREETING + READY, GOOD,
                                           "flood unasked", flood=more))
    for what, (start, more) in ENDLESS.items():
        flood(t, pg, "ENDLESS", what, Fake(GREETING + READY, start, "flood",
                                           flood=more))
    seen = []
    step = 4 if lib.SHORT else 1
    for what, answer in list(QUIET.items())[::step]:
        fake = Fake(None if answer is None else GREETING + READY, answer,
                    "silence")
        seen.append(one(t, pg, what, fake))
    for what, (then, answer) in list(LOUD.items())[::step]:
        seen.append(one(t, pg, what, Fake(GREETING + READY, answer, then)))
    for what, (then, parse) in PARSES.items():
        seen.append(one(t, pg, what, Fake(GREETING + READY, b"", then,
                                          parse=parse)))
    for what, greeting in list(GREETINGS.items())[::step]:
        seen.append(one(t, pg, what, Fake(greeting, b"")))

    # the fake itself must be able to satisfy the module, also in small pieces

    for trickle in (False, True):
        fake = Fake(GREETING + READY, GOOD, "", trickle)
        r = one(t, pg, "a correct answer%s is taken" % (
            ", in pieces," if trickle else ""), fake)
        t.ok(list(r[4]) == [200], "a correct fake is believed", r[4])
        seen.append(r)

    t.figure("fakes", len(seen))
    t.figure("slowest answer", max(r[0] for r in seen), "ms")
    t.figure("connects/s to a fake, max", max(r[1] for r in seen))
    t.figure("backup serves after, max", max(r[2] for r in seen), "s")
    t.figure("heartbeat, max", max(r[3] for r in seen), "ms")
    storm(t, pg)


lib.main(__file__, run)

"""The server's name: its resolution fails, is slow, changes.  No worker waits
for it, the old addresses stay while there is no answer, a new one is used
within the interval of 30 s and the answer's ttl.

The name is localhost, which every machine can resolve at the start; from then
on nginx asks a resolver that is this test's own."""

import re
import socket
import struct
import threading

import lib
from lib import now

INTERVAL = 30       # NGX_SF_PG_RESOLVE_INTERVAL
TTL = 1


class Names:
    """A DNS server with one name; `how` is what it answers to A."""

    def __init__(self):
        self.how = "127.0.0.1"
        self.asked = []
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.1", 0))
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                q, peer = self.s.recvfrom(4096)
            except OSError:
                return
            how = self.how
            end = q.index(b"\0", 12) + 5
            kind = struct.unpack("!H", q[end - 4:end - 2])[0]
            self.asked.append((now(), kind, how))
            if how == "silent":
                continue
            if how.startswith("slow "):
                _, seconds, how = how.split()
                threading.Timer(float(seconds), self.answer,
                                (q[:end], kind, how, peer)).start()
            else:
                self.answer(q[:end], kind, how, peer)

    def answer(self, q, kind, how, peer):
        rcode = {"NXDOMAIN": 3, "SERVFAIL": 2}.get(how, 0)
        good = kind == 1 and how[0].isdigit()
        r = q[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1, good, 0, 0)
        r += q[12:]
        if good:
            r += b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, TTL, 4)
            r += socket.inet_aton(how)
        if how == "garbage":
            r = q[:2] + b"\xff" * 20
        try:
            self.s.sendto(r, peer)
        except OSError:
            pass


def peers(ng, port):
    """Addresses that the workers' connections to the database go to."""
    inodes = set()
    for pid in ng.live():
        try:
            for fd in lib.os.listdir("/proc/%d/fd" % pid):
                m = re.match(r"socket:\[(\d+)\]", lib.os.readlink(
                    "/proc/%d/fd/%s" % (pid, fd)))
                if m:
                    inodes.add(m[1])
        except OSError:
            pass
    found = {}
    with open("/proc/net/tcp") as f:
        for line in f.read().split("\n")[1:]:
            x = line.split()
            if (len(x) > 9 and x[9] in inodes and x[3] == "01"
                    and int(x[2][9:], 16) == port):
                a = socket.inet_ntoa(bytes.fromhex(x[2][:8])[::-1])
                found[a] = found.get(a, 0) + 1
    return found


def run(t):
    pg = lib.Postgres(t, "pg09")
    hba = lib.os.path.join(pg.data, "pg_hba.conf")
    with open(hba, "a") as f:
        f.write("host all all 127.0.0.0/8 trust\n")
    pg.set(restart=True, listen_addresses="127.0.0.1,127.0.0.2,127.0.0.3")
    names = Names()
    ng = lib.Nginx(t, "localhost:%d" % pg.port,
                   pg="dbname=softfactory user=app password=secret",
                   pool="connections=2 heavy=1",
                   http="resolver 127.0.0.1:%d ipv6=off; resolver_timeout "
                   "10s;" % names.port)
    started = now()
    ng.ready()
    load = lib.Load(t, ng.port, lib.MIXED, conns=8, pause=0.05)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(1)
    t.ok(set(peers(ng, pg.port)) == {"127.0.0.1"}, "at the start",
         peers(ng, pg.port))

    def cycle(how, what):
        """Sets what is answered; returns when both workers have asked."""
        names.how = how
        since = now()
        ok = lib.wait_for(lambda: len([a for a in names.asked
                                       if a[0] > since and a[2] == how]) >= 2,
                          INTERVAL + 5, 0.1)
        t.ok(ok, "%s: both workers ask within %d s" % (what, INTERVAL),
             "%.1f s" % (now() - since))
        return since

    if not lib.SHORT:
        for how, what in (("NXDOMAIN", "NXDOMAIN"), ("slow 5 SERVFAIL",
                          "slow, then SERVFAIL"), ("garbage", "garbage")):
            cycle(how, what)
            lib.time.sleep(6)
            t.ok(set(peers(ng, pg.port)) == {"127.0.0.1"},
                 "%s: the old address stays" % what, peers(ng, pg.port))
        t.ok("the old addresses stay" in ng.errors(), "the log says so")

    # another address, and five seconds to say so

    since = cycle("slow 5 127.0.0.2", "changed")
    took = lib.wait_for(lambda: set(peers(ng, pg.port)) == {"127.0.0.2"}
                        and now() - since, 15, 0.05)
    t.figure("changed: the new address is used after", took or -1.0, "s")
    t.ok(took and took <= INTERVAL + TTL + 5 + 2, "changed: the new address "
         "is used, the old one left", "%s after %.1f s"
         % (peers(ng, pg.port), now() - since))

    if not lib.SHORT:
        since = cycle("silent", "no answer")
        lib.time.sleep(12)
        t.ok(set(peers(ng, pg.port)) == {"127.0.0.2"},
             "no answer: the last address stays", peers(ng, pg.port))

        # a reload resolves at the start by the system, and asks again later

        names.how = "127.0.0.3"
        old = ng.reload()
        lib.wait_for(lambda: not old & set(ng.workers()), 20)
        t.ok(ng.campaign().status == 200, "a reload in the meantime")

    load.stop()
    beat.stop()
    t.figure("questions asked", len(names.asked))
    t.figure("answers", load.summary())
    t.ok(not load.errors(), "no request fails in all of that",
         load.errors()[:3])
    ms = [b["ms"] for b in beat.records]
    t.figure("heartbeat: p50/p99/max", "%.1f/%.1f/%.1f" % (
        lib.percentile(ms, 0.5), lib.percentile(ms, 0.99), max(ms)), "ms")

    # in the short form other tests run beside this one

    t.ok(max(ms) < 2000, "workers never wait for a name",
         "max %.0f ms in %.0f s" % (max(ms), now() - started))
    ng.stop()


lib.main(__file__, run)

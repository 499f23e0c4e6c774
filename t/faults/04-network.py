"""A network that drops, resets and delays, between nginx and a PostgreSQL in
a network namespace of its own.  Every request is answered within its deadline.

The network is a pair of TUN devices and this process, which carries packets
from one to the other, or not, or late: no qdisc and no firewall is needed,
only /dev/net/tun and the right to make a namespace."""

import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import threading

import lib
from lib import now

NEAR, FAR = "10.231.7.1", "10.231.7.2"
TIMEOUT, GRACE, WAIT, CONNECT = 2, 1, 2, 2
DEADLINE = 2 * (TIMEOUT + GRACE + WAIT) + CONNECT + 1


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH", name.encode(),
                                            0x0001 | 0x1000))
    return fd


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def rst(p):
    """The RST that answers a TCP packet, or None."""
    n = (p[0] & 15) * 4
    if p[9] != 6 or p[n + 13] & 4:
        return None
    source, dest, seq, ack, off, flags = struct.unpack("!HHIIBB",
                                                       p[n:n + 14])
    size = len(p) - n - (off >> 4) * 4 + (flags & 1) + (flags >> 1 & 1)
    if flags & 16:
        tcp = struct.pack("!HHIIBBHHH", dest, source, ack, 0, 0x50, 4, 0, 0,
                          0)
    else:
        tcp = struct.pack("!HHIIBBHHH", dest, source, 0,
                          (seq + size) & 0xffffffff, 0x50, 20, 0, 0, 0)
    pseudo = p[16:20] + p[12:16] + struct.pack("!BBH", 0, 6, 20)
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0,
                     p[16:20], p[12:16])
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


class Network:

    def __init__(self, t):
        self.name = "sf%d" % os.getpid()
        self.mode = "open"
        self.delay = 0.0
        self.carried = self.dropped = 0
        self.ip("netns", "add", self.name)
        t.defer(self.close)
        self.near = tun(self.name + "a")
        self.far = self.inside(lambda: tun(self.name + "b"))
        self.ip("addr", "add", NEAR + "/30", "dev", self.name + "a")
        self.ip("link", "set", self.name + "a", "up")
        for words in (("addr", "add", FAR + "/30", "dev", self.name + "b"),
                      ("link", "set", self.name + "b", "up"),
                      ("link", "set", "lo", "up")):
            self.ip("-n", self.name, *words)
        self.stop_r, self.stop_w = os.pipe()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def inside(self, what):
        """Runs what() in the namespace, in a thread that ends with it."""
        libc = ctypes.CDLL(None, use_errno=True)
        result = []

        def go():
            fd = os.open("/run/netns/" + self.name, os.O_RDONLY)
            if libc.setns(fd, 0x40000000) == 0:
                result.append(what())
            os.close(fd)

        thread = threading.Thread(target=go)
        thread.start()
        thread.join()
        if not result:
            raise OSError("setns")
        return result[0]

    def carry(self):
        late = []
        n = 0
        while True:
            wait = max(0, late[0][0] - now()) if late else None
            ready = select.select([self.near, self.far, self.stop_r], [], [],
                                  wait)[0]
            if self.stop_r in ready:
                return
            for fd in ready:
                p = os.read(fd, 65536)
                if p[0] >> 4 != 4:
                    continue
                other = self.far if fd == self.near else self.near
                if self.mode == "drop":
                    self.dropped += 1
                elif self.mode == "reset":
                    self.dropped += 1
                    answer = rst(p)
                    if answer:
                        os.write(fd, answer)
                else:
                    n += 1
                    self.carried += 1
                    heapq.heappush(late, (now() + self.delay, n, other, p))
            while late and late[0][0] <= now():
                _, _, other, p = heapq.heappop(late)
                os.write(other, p)

    def close(self):
        if hasattr(self, "thread"):
            os.write(self.stop_w, b"x")
            self.thread.join()
            os.close(self.near)
            os.close(self.far)
        self.ip("netns", "del", self.name)


def possible():
    if not lib.ROOT:
        return "needs root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    try:
        name = "sft%d" % os.getpid()
        Network.ip("netns", "add", name)
        Network.ip("netns", "del", name)
        os.close(tun(name))
    except (OSError, subprocess.CalledProcessError) as e:
        return "no network namespaces here: %s" % e
    return None


def phase(t, ng, pg, net, what, mode, seconds, delay=0.0, calm=3.0):
    """`seconds` of fault under load, then an open network."""
    load = lib.Load(t, ng.port, lib.MIXED, conns=16, pause=0.02)
    other = lib.Load(t, ng.port, ["/api/sns/templates"], conns=2, pause=0.05)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(0.7)
    dropped = net.dropped
    start = now()
    net.mode, net.delay = mode, delay
    lib.time.sleep(seconds)
    net.mode, net.delay = "open", 0.0
    stop = now()
    lib.time.sleep(calm)
    load.stop()
    other.stop()
    beat.stop()

    kinds = {r["error"] or r["status"] for r in load.records}
    slow = max(r["ms"] for r in load.records)
    took = load.first_ok(stop)
    t.figure("%s: answers meanwhile" % what, load.summary(start, stop))
    t.figure("%s: slowest" % what, slow, "ms")
    t.figure("%s: recovery" % what, took, "s")
    t.figure("%s: packets dropped or reset" % what, net.dropped - dropped)
    t.ok(kinds <= {200, 503, 504}, "%s: 200, 503 or 504" % what,
         load.summary())
    t.ok(slow < DEADLINE * 1000, "%s: every answer within %d s"
         % (what, DEADLINE), "%.0f ms" % slow)
    t.ok(took < calm, "%s: recovers" % what, "%.2f s" % took)
    t.ok(not load.errors(stop + calm - 0.5), "%s: no errors afterwards"
         % what, load.errors(stop + calm - 0.5)[:2])
    t.ok(not other.errors(), "%s: other endpoints are served" % what)
    t.beat_ok(beat, what, start, stop)
    return load.window(start, stop)


def run(t):
    why = possible()
    if why:
        t.skip("network", why)
        return
    net = Network(t)
    pg = lib.Postgres(t, "pg04", netns=net.name)
    with open(os.path.join(pg.data, "pg_hba.conf"), "a") as f:
        f.write("host all all %s/32 trust\n" % NEAR)
    pg.set(restart=True, listen_addresses="127.0.0.1,%s" % FAR)
    ng = lib.Nginx(t, "%s:%d fail_timeout=2s" % (FAR, pg.port),
                   pg="dbname=softfactory user=app sslmode=disable",
                   pool="connections=2 heavy=1 timeout=%ds heavy_timeout=%ds "
                   "wait=%ds connect_timeout=%ds"
                   % (TIMEOUT, TIMEOUT, WAIT, CONNECT))
    ng.ready()
    fds = ng.fds()
    workers = sorted(ng.workers())

    drop, reset = (3, 1) if lib.SHORT else (12, 3)
    rounds = 1 if lib.SHORT else 3
    for n in range(rounds):
        phase(t, ng, pg, net, "drop %g s" % drop, "drop", drop,
              calm=3)
        phase(t, ng, pg, net, "reset %g s" % reset, "reset", reset)

    # a round trip of 1 s (half of it each way): statements share it

    during = phase(t, ng, pg, net, "latency 1 s", "open",
                   3 if lib.SHORT else 10, 0.5, calm=3)
    served = [r for r in during if r["status"] == 200]
    t.figure("latency 1 s: served meanwhile", len(served))
    t.ok(len(served) >= 16, "latency 1 s: goes on", len(served))

    # drops in the middle of a connect, for longer than connect_timeout

    if not lib.SHORT:
        net.mode = "drop"
        pg.terminate()
        net.mode = "open"
        phase(t, ng, pg, net, "drop after a loss", "drop", 3, calm=4)

    lib.time.sleep(0.5)
    back = ng.fds()
    t.ok(sorted(ng.workers()) == workers, "workers live")
    t.ok(all(back.get(p, 999) <= n + 8 for p, n in fds.items()),
         "descriptors are back", "%s -> %s" % (fds, back))

    # backends whose network went away are found out by the server's own
    # keepalives (here: minutes); ours must not add to them in the open

    t.figure("backends at the end", len(pg.backends()))
    ng.stop()
    t.ok(lib.wait_for(lambda: len(pg.backends()) < 10 * (rounds + 2), 2),
         "backends are bounded", len(pg.backends()))


lib.main(__file__, run)

"""A network namespace for a PostgreSQL, and packets that are dropped, reset
or late on the way to it.

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
    """Two tests that run at a time need two numbers."""

    def __init__(self, t, number):
        self.name = "sf%d" % os.getpid()
        self.here = "10.231.%d.1" % number
        self.there = "10.231.%d.2" % number
        self.mode = "open"
        self.delay = 0.0
        self.carried = self.dropped = 0
        self.ip("netns", "add", self.name)
        t.defer(self.close)
        self.near = tun(self.name + "a")
        self.far = self.inside(lambda: tun(self.name + "b"))
        self.ip("addr", "add", self.here + "/30", "dev", self.name + "a")
        self.ip("link", "set", self.name + "a", "up")
        far = self.name + "b"
        for words in (("addr", "add", self.there + "/30", "dev", far),
                      ("link", "set", far, "up"),
                      ("link", "set", "lo", "up")):
            self.ip("-n", self.name, *words)
        self.stop_r, self.stop_w = os.pipe()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True,
                       timeout=30)

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
        thread.join(30)
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

    def admit(self, pg):
        """Lets a PostgreSQL that is inside be reached from here."""
        with open(os.path.join(pg.data, "pg_hba.conf"), "a") as f:
            f.write("host all all %s/32 trust\n" % self.here)
        pg.set(restart=True, listen_addresses="127.0.0.1," + self.there)
        return "%s:%d" % (self.there, pg.port)

    def close(self):
        if hasattr(self, "thread"):
            os.write(self.stop_w, b"x")
            self.thread.join(30)
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

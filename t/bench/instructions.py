"""Instructions of nginx for a request, by callgrind.  Unlike CPU time they do
not change with what else runs on the machine."""

import re
import shutil
import socket
import subprocess

import servers
from common import run

CLIENTS = 32
ROUNDS = 40                     # for each of them
DUMP = re.compile(r"([\d,]+) \(100\.0%\) +PROGRAM TOTALS")


def works():
    return all(map(shutil.which, ("valgrind", "callgrind_control",
                                  "callgrind_annotate")))


def answer(s):
    """One answer from a socket: its first line."""
    data = b""

    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            raise SystemExit(f"callgrind: an answer ends early: {data!r}")
        data += more

    head, body = data.split(b"\r\n\r\n", 1)
    left = int(re.search(rb"(?i)content-length: (\d+)", head)[1]) - len(body)

    while left > 0:
        left -= len(s.recv(65536))

    return head.split(b"\r\n", 1)[0]


def ask(port, workload, rounds):
    """All clients ask, then all read, so that events come in batches."""
    lines = [f"GET {workload.url()} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{k}: {v}" for k, v in workload.request_headers.items()]
    request = "\r\n".join(lines + ["", ""]).encode()
    clients = [socket.create_connection(("127.0.0.1", port), timeout=60)
               for _ in range(CLIENTS)]

    for _ in range(rounds):
        for s in clients:
            s.sendall(request)
        for s in clients:
            line = answer(s)
            if b" 200 " not in line:
                raise SystemExit(f"callgrind: {line!r}")

    for s in clients:
        s.close()

    return CLIENTS * rounds


class Counter:
    """nginx in one process under callgrind, with the http{} it is given."""

    def __init__(self, root, modules, http, port):
        self.out = f"{root}/callgrind.out"
        self.dumps = 0
        self.nginx = servers.Nginx(root, 1, "")
        self.nginx.start(modules, http, port,
                         ["valgrind", "-q", "--tool=callgrind",
                          "--instr-atstart=no",
                          f"--callgrind-out-file={self.out}"])

    def control(self, *words):
        run(["callgrind_control", *words, str(self.nginx.process.pid)])

    def count(self, port, workload):
        ask(port, workload, 4)
        self.control("-z")
        self.control("-i", "on")
        n = ask(port, workload, ROUNDS)
        self.control("-i", "off")
        self.control("-d")
        self.dumps += 1

        text = run(["callgrind_annotate", "--auto=no",
                    f"{self.out}.{self.dumps}"])[0]
        return int(DUMP.search(text)[1].replace(",", "")) / n

    def stop(self):
        self.nginx.stop()

"""`make load-expiry`: 40,000 answers that are made within twenty seconds, and
each asked for every ten seconds until all of them have expired and been made
anew.  None of the requests may be refused; see .ci/load.sh and crowd.c.

    LOAD=short          4,000 answers that live for 20 seconds
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import server

from patience import Patience, ended        # behind server, which has its path

servers = server.servers

FIRST_USER = 100001         # of t/bench/users.sql, which has 10,000
WORKERS = 2

# of each user; their totals are shared, so these are two more

PATHS = [f"/api/{of}?per_page={n}" for n in range(1, 41)
         for of in ("sns/posts", "review/bookmarks")]

FORMS = {
    "default": {"users": 500, "ttl": 300},
    "short": {"users": 50, "ttl": 20},
}

FILL = 20                   # seconds
ASK = 10                    # between two requests for an answer
BEHIND = 10                 # seconds after all have expired


def plan(users):
    path = f"{server.OUT}/plan-expiry"

    with open(path, "w") as f:
        for i in range(users):
            at = i % len(PATHS)
            f.write(" ".join([servers.token(FIRST_USER + i),
                              *PATHS[at:], *PATHS[:at]]) + "\n")
    return path


class Peak(threading.Thread):
    """How many answers were made anew in a second, at most."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.most = 0
        self.ended = threading.Event()
        self.start()

    def made(self):
        cache = servers.status(self.port)["cache"]
        return sum(cache[k] for k in ("misses", "expired", "fills"))

    def run(self):
        before = self.made()
        while not self.ended.wait(1):
            now = self.made()
            self.most = max(self.most, now - before)
            before = now

    def end(self):
        self.ended.set()
        self.join()
        return self.most


def line(process, seconds):
    with Patience(process, seconds, "a line of crowd"):
        text = process.stdout.readline()
    if not text:
        raise SystemExit("crowd failed")
    return text


def crowd_run(process, pause, seconds):
    process.stdin.write(f"{pause} {seconds}\n")
    process.stdin.flush()
    return json.loads(line(process, seconds + 120))


def show(name, result, fills, peak):
    print(f"{name:8}{result['requests']:10} requests, "
          f"{fills:8} answers and totals made, at most {peak} in a second; "
          f"statuses {result['statuses']}, {result['lost']} lost, "
          f"p99 {result['sent']['p99_ms']:.1f} ms", flush=True)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    form = FORMS.get(os.environ.get("LOAD") or "default")
    if form is None:
        raise SystemExit("LOAD is short, or not set")

    users, ttl = form["users"], form["ttl"]
    bad = 0

    with server.module(WORKERS, users, ttl) as (nginx, port):
        crowd = subprocess.Popen(
            [f"{server.OUT}/crowd", str(port), plan(users)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            line(crowd, 120)

            for name, every, seconds in (("filled", FILL, FILL),
                                         ("expired", ASK, ttl + BEHIND)):
                before = servers.status(port)["cache"]["fills"]
                peak = Peak(port)
                result = crowd_run(crowd, every / len(PATHS), seconds)
                fills = servers.status(port)["cache"]["fills"] - before
                show(name, result, fills, peak.end())
                bad += result["errors"] + result["lost"]

                if fills < users * len(PATHS):
                    print(f"only {fills} were made: nothing is shown by this")
                    bad += 1
        finally:
            crowd.stdin.close()
            ended(crowd, "crowd")
            crowd.stdout.close()

    print(f"{bad:8}  <= 0{'' if bad == 0 else ': NO'}  requests refused")
    sys.exit(bad != 0)


main()

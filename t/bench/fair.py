"""What one user who asks for much costs the others: see .ci/bench.sh.

    alone    users of one list request each now and then, each of another list,
             so that no page and no total is in the zone
    beside   the same, while one more user sends 20 searches a second

In turn; the figure is the median over the rounds of the ratio of both p99.
Answers other than 200 to the lists fail the run; what becomes of the searches
is told.
"""

import http.client
import itertools
import os
import signal
import statistics
import sys
import threading
import time

import servers
from common import (BUILD, OUT, figures_json, machine, percentile, progress,
                    save, show_figures, show_machine, show_short)

USERS = range(2, 10)
LISTS = 6                   # a second, of all users
SEARCHER = 1
SEARCHES = 20               # a second
CONNECTIONS = 60            # of the searcher: each waits for its answer
TIMEOUT = 60
AIM = ("<=", 3)

FORMS = {
    "short": dict(rounds=1, seconds=2),
    "long": dict(rounds=5, seconds=20),
}

numbers = itertools.count(1)
failures = []


def word(n):
    """No two searches are the same, and all are for three letters."""
    return "".join(chr(ord("a") + n // 26 ** i % 26) for i in range(3))


class Client:
    """Asks at a pace of its own, and never for the same thing twice."""

    def __init__(self, port, user, path, rate):
        self.port = port
        self.headers = {"Authorization": f"Bearer {servers.token(user)}"}
        self.path = path
        self.rate = rate
        self.times = []
        self.statuses = {}
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=TIMEOUT)
        due = time.monotonic() + next(numbers) % 7 / 7 / self.rate

        while due < self.end:
            time.sleep(max(due - time.monotonic(), 0))
            begin = time.monotonic()
            connection.request("GET", self.path(next(numbers)),
                               headers=self.headers)
            response = connection.getresponse()
            response.read()
            self.times.append(time.monotonic() - begin)
            self.statuses[response.status] = \
                self.statuses.get(response.status, 0) + 1
            due = max(due + 1 / self.rate, time.monotonic())

        connection.close()

    def start(self, seconds):
        self.end = time.monotonic() + seconds
        self.thread.start()


def counts(clients):
    total = {}

    for c in clients:
        for status, n in c.statuses.items():
            total[status] = total.get(status, 0) + n

    return total


def measure(port, seconds, beside):
    lists = [Client(port, user,
                    lambda n: f"/api/review/listings?min_reward=-{n}",
                    LISTS / len(USERS)) for user in USERS]
    searches = [Client(port, SEARCHER, lambda n:
                       f"/api/review/listings/search?q={word(n)}",
                       SEARCHES / CONNECTIONS)
                for _ in range(CONNECTIONS if beside else 0)]

    for c in searches:
        c.start(seconds + 1)

    time.sleep(1)               # until they are in each other's way

    for c in lists:
        c.start(seconds)

    for c in lists + searches:
        c.thread.join(seconds + 2 * TIMEOUT)
        if c.thread.is_alive():
            raise SystemExit("a client does not end")

    times = [t * 1000 for c in lists for t in c.times]
    others = {s: n for s, n in counts(lists).items() if s != 200}

    if others or not times:
        failures.append(f"{len(times)} lists, {others} not answered")

    return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99),
            "lists": len(times), "searches": counts(searches)}


def report(samples, info, form, rounds):
    show_machine(info)
    print(f"\n{LISTS} lists a second of {len(USERS)} users, {SEARCHES} "
          f"searches a second of one more, {rounds} rounds\n")

    for name, list_ in samples.items():
        print(f"{name:8} p50 {statistics.median(s['p50'] for s in list_):8.1f}"
              f" ms   p99 {statistics.median(s['p99'] for s in list_):8.1f} ms"
              + "".join(f"   {s['searches']}" for s in list_[:1] * (
                  name == 'beside')))

    print()
    show_figures(figures(samples))
    show_short(form)


def figures(samples):
    return [("p99 of others' lists beside one who searches / alone",
             statistics.median(b["p99"] / a["p99"] for a, b in
                               zip(samples["alone"], samples["beside"])),
             AIM)]


def main():
    form = os.environ["BENCH_FORM"]
    settings = FORMS[form]
    rounds = int(os.environ.get("BENCH_ROUNDS") or settings["rounds"])
    samples = {"alone": [], "beside": []}
    port = servers.free_port()
    info = machine()
    nginx = servers.Nginx(f"{OUT}/nginx-fair", 2, os.environ["BENCH_WORKERS"])

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    try:
        nginx.start([f"{BUILD}/ngx_http_softfactory_module.so"],
                    servers.cached_server(port,
                                          os.environ["SF_TEST_PG_SOCKET"],
                                          "softfactory_fair_key "
                                          "$softfactory_user;"), port)

        for n in range(rounds):
            for name in samples:
                samples[name].append(measure(port, settings["seconds"],
                                             name == "beside"))
            progress(n, rounds)
    finally:
        nginx.stop()

    report(samples, info, form, rounds)
    save("fair", {"machine": info, "form": form, "failures": failures,
                  "samples": samples, "figures":
                      figures_json(figures(samples))})

    if failures:
        raise SystemExit("FAILED\n" + "\n".join(failures[:20]))


main()

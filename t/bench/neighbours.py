"""Who waits when a table is locked, and what a slow load makes of statements:
see .ci/bench.sh.

    lock      campaigns is locked for the whole time; its endpoints are asked at
              20 and 1,000 a second, with keys of their own each time, others at
              20 and 3,000 a second.  p99 of the others, beside the same without
              a lock, in rotation.
    probes    /health and /ready meanwhile
    honest    100 lists with totals a second, nothing locked: statements
              executed for each, beside the same at 5 a second

Nothing comes from the zone: every answer asks the database.
"""

import contextlib
import itertools
import os
import resource
import signal
import statistics
import subprocess
import sys
import time

import servers
from clients import Clients
from patience import ended
from common import (BUILD, OUT, figures_json, machine, progress, run, save,
                    show_figures, show_machine, show_short)

WORKERS = 2
TOKEN = "demo_token"

FORMS = {
    "long": {"rounds": 5, "seconds": 6, "honest": 20},
    "short": {"rounds": 1, "seconds": 2, "honest": 4},
}

# of the locked table and users; {} is another key each time

LOCKED = ("/api/review/campaigns?page={}", "/api/review/campaigns/{}",
          "/api/review/campaigns/{}/applications",
          "/api/review/campaigns?category=beauty&page={}",
          "/api/review/my-campaigns?n={}", "/api/review/my-applications?n={}",
          "/api/dashboard/kpis?n={}", "/api/analytics/funnel?n={}")

# nothing that is not there: an error is what was not served

OTHERS = {
    "read": ("/api/review/listings?n={}", "/api/review/listings/1?n={}",
             "/api/review/bookmarks?n={}", "/api/sns/accounts?n={}",
             "/api/sns/posts?n={}"),
    "heavy": ("/api/review/listings/search?q=an&n={}",
              "/api/sns/analytics?n={}"),
    "probes": ("/health", "/ready"),
}

failures = []


def server(port, socket_path):
    return f"""{servers.upstream(socket_path)}
    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;

        location / {{
            softfactory_pass primary;
            softfactory_cache_bypass 1;
            softfactory_token {TOKEN} user=1 products=all;
        }}
    }}
""".encode()


@contextlib.contextmanager
def module():
    nginx = servers.Nginx(f"{OUT}/nginx-neighbours", WORKERS,
                          os.environ["BENCH_WORKERS"], connections=8192)
    port = servers.free_port()

    try:
        nginx.start([f"{BUILD}/ngx_http_softfactory_module.so"],
                    server(port, os.environ["SF_TEST_PG_SOCKET"]), port)
        yield port
    finally:
        nginx.stop()


@contextlib.contextmanager
def locked():
    """A session that keeps the table locked."""
    session = subprocess.Popen(
        ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1",
         os.environ["BENCH_CONNINFO"]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    try:
        session.stdin.write("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE"
                            " MODE;\n\\echo locked\n")
        session.stdin.flush()

        if session.stdout.readline() != "locked\n":
            raise SystemExit("the table cannot be locked")

        yield
    finally:
        session.kill()
        ended(session, "the session with the lock")


def paths(templates, n):
    """As many requests, of each template in turn, each with another key."""
    return [(template.format(i % 900 + 1), TOKEN)
            for i, template in zip(range(n), itertools.cycle(templates))]


def load(name, port, templates, rate, seconds, patience=0.2):
    """Clients that ask so often as long as an answer takes no longer."""
    n = max(int(rate * patience), 1)
    return Clients(name, port, paths(templates, max(4 * n, 1800)),
                   "-c", n, "-d", seconds, "-p", patience * 1000)


def round_(port, rate, other_rate, seconds):
    """p99 in ms, and errors, by the lane of the others."""
    asked = [load("locked", port, LOCKED, rate, seconds, 2.5)] if rate else []
    time.sleep(0.3)

    others = {lane: load(lane, port, templates,
                         20 if lane != "read" else other_rate, seconds - 1)
              for lane, templates in OTHERS.items()}
    seen = {lane: clients.result() for lane, clients in others.items()}

    for clients in asked:
        clients.result()

    # none at all is one that waits still

    return {lane: (r["p99"] / 1000, r["errors"] + (r["requests"] == 0))
            for lane, r in seen.items()}


def lock_load(settings, rate, other_rate):
    samples = {"free": [], "held": []}

    with module() as port:
        round_(port, 0, other_rate, 3)

        for n in range(settings["rounds"]):
            progress(n, settings["rounds"])
            samples["free"].append(round_(port, 0, other_rate,
                                          settings["seconds"]))

            with locked():
                samples["held"].append(round_(port, rate, other_rate,
                                              settings["seconds"]))

    figures = []

    for lane in OTHERS:
        free, held = (statistics.median(s[lane][0] for s in samples[kind])
                      for kind in ("free", "held"))
        errors = sum(s[lane][1] for s in samples["held"])
        label = f"{lane}, locked {rate}/s, others {other_rate}/s"

        figures += [(f"p99 without a lock, ms: {label}", free, None),
                    (f"p99 with one, ms: {label}", held,
                     ("<=", round(2 * free + 5, 2))),
                    (f"not served with one: {label}", errors, ("<=", 0))]

    return figures


def statements():
    """Of the lists and their totals, so far."""
    return int(run(["psql", "-XAt", os.environ["BENCH_CONNINFO"], "-c",
                    "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
                    " WHERE query LIKE '/* review\\_%'"])[0])


def honest_load(settings):
    """Lists with totals, beside the same at a rate where none meets another."""
    templates = ("/api/review/listings?n={}", "/api/review/campaigns?n={}",
                 "/api/review/listings?page=2&n={}")
    each = {}

    with module() as port:
        for rate in (5, 100):
            before = statements()
            r = load("honest", port, templates, rate, settings["honest"],
                     1).result()
            each[rate] = (statements() - before) / max(r["requests"], 1)

    return [("statements of a list, 100 a second by 5 a second",
             each[100] / max(each[5], 0.01), ("<=", 1.01))]


def main():
    form = os.environ["BENCH_FORM"]
    settings = dict(FORMS[form])
    settings["rounds"] = int(os.environ.get("BENCH_ROUNDS")
                             or settings["rounds"])

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))

    info = machine()
    show_machine(info)
    figures = []

    for part in (lambda: lock_load(settings, 20, 20),
                 lambda: lock_load(settings, 20, 3000),
                 lambda: lock_load(settings, 1000, 3000),
                 lambda: honest_load(settings)):
        rows = part()
        show_figures(rows)
        figures += rows

    show_short(form)
    save("neighbours", {"machine": info, "form": form, "failures": failures,
                        "figures": figures_json(figures)})

    if failures:
        raise SystemExit("FAILED\n" + "\n".join(failures[:20]))


main()

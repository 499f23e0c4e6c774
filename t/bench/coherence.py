"""What the cache keeps from the database, and how soon it hears of a change:
see .ci/bench.sh.

    writes    psql commits while 64 clients read the page that changes; both
              use CLOCK_MONOTONIC.  Gone is an old answer when no request that
              is sent later gets it.
    script    the performance report's load: 7 GETs, one token, its think time
              and its number of requests (11,700 client seconds in 240)
    users     the same 7 by 10,000 users with tokens of their own
    commits   the same 7 flat out, beside commits on campaign_applications
    storm     hits, with and without 10,000 notifications a second
    misses    1,000 requests at once for one page that has just changed, while
              a lock keeps the statement waiting

Statements are counted by pg_stat_statements, by the name in their comment;
those of the listener do not count.  A page and its total are two.
"""

import array
import contextlib
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time

import servers
import clients
from patience import Patience, ended
from common import (BUILD, OUT, figures_json, machine, percentile, progress,
                    run, save, show_figures, show_machine, show_short, wrk)

CLIENTS = 64
WORKERS = 2
TOKEN = "demo_token"
FIRST_USER = 100001

# in the order of the script; the clients' classes

SCRIPT = (
    ("review_campaigns", "/api/review/campaigns"),
    ("review_listings", "/api/review/listings?platform=amazon"),
    ("sns_accounts", "/api/sns/accounts"),
    ("sns_posts", "/api/sns/posts"),
    ("sns_analytics", "/api/sns/analytics"),
    ("dashboard_kpis", "/api/dashboard/kpis"),
    ("performance_roi", "/api/performance/roi"),
)
SHARED = ("review_campaigns", "dashboard_kpis", "performance_roi")
LIST = SCRIPT[0][1]

SCRIPT_CLIENTS = 49         # 11,700 / 240
SCRIPT_PAUSE = 4000 / 7     # ms; 4 s for the seven
MS = 1000

OLD_MS = 10                 # an answer that much older than a commit
STORM = 10000               # notifications a second
STORM_BATCH = 10            # of a commit
STORM_KEYS = 1000
CROWD = 1000
CROWD_LOCKED = 0.5          # s

FORMS = {
    "short": dict(rounds=1, writes=50, script=3, users=200, visits=2,
                  commits=1, storm=1, storms=1),
    "long": dict(rounds=9, writes=1000, script=240, users=10000, visits=3,
                 commits=10, storm=10, storms=3),
}

failures = []
notes = {}                  # everything measured, by scenario


# --- the parts ---


class Psql:
    """A session that is kept open."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
             os.environ["BENCH_CONNINFO"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, statement):
        self.process.stdin.write(statement + "\n")
        self.process.stdin.flush()

    def do(self, statement):
        """What it prints, and when it was done."""
        self.send(statement + "\n\\echo done")
        lines = []

        with Patience(self.process, 120, f"psql: {statement}"):
            while True:
                line = self.process.stdout.readline()
                if line == "":
                    raise SystemExit(f"psql failed: {statement}")
                if line == "done\n":
                    return lines, time.monotonic()
                lines.append(line.rstrip("\n"))

    def close(self):
        self.process.stdin.close()
        ended(self.process, "psql")
        self.process.stdout.close()


@contextlib.contextmanager
def psql():
    session = Psql()
    try:
        yield session
    finally:
        session.close()


@contextlib.contextmanager
def module():
    """An nginx with an empty zone that has begun to listen."""
    nginx = servers.Nginx(f"{OUT}/nginx-coherence", WORKERS,
                          os.environ["BENCH_WORKERS"])
    port = servers.free_port()

    try:
        nginx.start([f"{BUILD}/ngx_http_softfactory_module.so"],
                    servers.cached_server(port,
                                          os.environ["SF_TEST_PG_SOCKET"]),
                    port)
        servers.coherent(port)
        yield nginx, port
        failures.extend(nginx.alerts())
    finally:
        nginx.stop()


class Clients(clients.Clients):
    """Those whose errors are failures."""

    def result(self):
        r = super().result()

        if r["errors"]:
            failures.append(f"{self.name}: {r['errors']} errors")

        return r


def script(token=TOKEN):
    return [(path, None if name == "review_campaigns" else token)
            for name, path in SCRIPT]


def statements():
    """Statements of the module so far, by name."""
    out = run(["psql", "-XAt", os.environ["BENCH_CONNINFO"], "-c",
               "SELECT substring(query, '^/\\* ([a-z_ ]+) \\*/'), sum(calls)"
               " FROM pg_stat_statements WHERE query LIKE '/* %'"
               " AND query !~ '^/\\* (heartbeat|triggers) ' GROUP BY 1"])[0]
    return {name: int(calls) for name, calls in
            (line.split("|") for line in out.splitlines())}


def since(before):
    """Statements since then, by name."""
    return {name: calls - before.get(name, 0)
            for name, calls in statements().items()
            if calls > before.get(name, 0)}


def of(counted, name):
    """Statements of an endpoint: its page and its total."""
    return counted.get(name, 0) + counted.get(f"{name} total", 0)


def counters(port):
    return servers.status(port)["cache"]


# --- commit -> old answer gone ---


def read_trace(path):
    """Records of clients.c: sent, got, value."""
    data = array.array("d")

    with open(path, "rb") as f:
        data.frombytes(f.read())

    values = array.array("q")
    values.frombytes(data.tobytes())

    return zip(data[0::4], data[1::4], values[2::4])


def delays(trace, commits):
    """ms from each commit: to the first answer that shows it, and to the last
    request that still got an older one; answers too old, the oldest."""
    first = {}
    last = [0.0] * len(commits)
    old = 0

    for sent, got, value in trace:
        if value not in first or got < first[value]:
            first[value] = got

        # commits[n] made value n

        if 0 <= value < len(commits) - 1:
            late = (sent - commits[value + 1]) * MS
            last[value + 1] = max(last[value + 1], late)
            old += late > OLD_MS

    # a later value shows the earlier ones as well

    shown = []
    soonest = None

    for value in range(len(commits) - 1, 0, -1):
        if value in first:
            soonest = min(first[value], soonest or first[value])
        if soonest is not None:
            shown.append(max(soonest - commits[value], 0) * MS)

    return shown, last[1:], old


def writes(settings, pause, label):
    trace = f"{OUT}/writes.trace"
    n = settings["writes"]

    with psql() as session, module() as (nginx, port):
        id = json.loads(servers.get(port, LIST)[2])["campaigns"][0]["id"]
        update = f"UPDATE campaigns SET title = '{{}}' WHERE id = {id};"

        session.do("CREATE TEMPORARY TABLE kept AS SELECT id, title"
                   f" FROM campaigns WHERE id = {id};")
        session.do(update.format("value 0"))
        time.sleep(0.2)

        before = statements()
        c = Clients("writes", port, [(LIST, None)], "-c", CLIENTS, "-d", 3600,
                    "-p", pause, "-m", '"title":"value ', "-o", trace)
        time.sleep(0.5)
        commits = [0.0]

        for value in range(1, n + 1):
            time.sleep(random.uniform(0.005, 0.025))
            commits.append(session.do(update.format(f"value {value}"))[1])

        time.sleep(0.5)
        r = c.stop()
        counted = since(before)
        session.do("UPDATE campaigns c SET title = k.title FROM kept k"
                   " WHERE k.id = c.id;")

    shown, gone, old = delays(read_trace(trace), commits)
    os.unlink(trace)

    if len(shown) < n:
        failures.append(f"writes: {n - len(shown)} of {n} were never seen")

    notes[f"writes, {label}"] = {"clients": r, "statements": counted,
                                 "shown_ms": shown, "gone_ms": gone,
                                 "old": old}
    rate = r["requests"] / r["seconds"]
    head = f"writes, {label}"

    return [
        (f"{head}: answers/s", rate, None),
        (f"{head}: ms, commit to the first new answer, p50",
         percentile(shown, 0.5), None),
        (f"{head}: ms, the same, p99", percentile(shown, 0.99),
         ("<=", OLD_MS)),
        (f"{head}: ms, the same, max", max(shown, default=0), None),
        (f"{head}: ms, commit to the last request that got an old one, p50",
         percentile(gone, 0.5), None),
        (f"{head}: ms, the same, p99", percentile(gone, 0.99),
         ("<=", OLD_MS)),
        (f"{head}: ms, the same, max", max(gone), None),
        (f"{head}: of {r['requests']} answers, asked for more than {OLD_MS} ms "
         "after the commit that they lack", old, None),
    ]


# --- how many requests reach the database ---


def share_of(counted, requests):
    return 100 * sum(counted.values()) / max(requests, 1)


def script_load(settings):
    with module() as (nginx, port):
        before = statements()
        r = Clients("script", port, script(), "-c", SCRIPT_CLIENTS,
                    "-d", settings["script"], "-p", SCRIPT_PAUSE,
                    "-k", len(SCRIPT)).result()
        counted = since(before)

    notes["script"] = {"clients": r, "statements": counted}

    return [
        (f"script, {settings['script']} s: requests", r["requests"], None),
        ("script: ms, p99", r["p99"] / MS, None),
        ("script: % of requests that reach the database",
         share_of(counted, r["requests"]), ("<=", 1)),
    ]


def users_load(settings):
    users = settings["users"]
    requests = [r for i in range(users)
                for r in script(servers.token(FIRST_USER + i))]
    n = len(requests) * settings["visits"]

    with module() as (nginx, port):
        before = statements()
        r = Clients("users", port, requests, "-c", CLIENTS, "-n", n,
                    "-k", len(SCRIPT)).result()
        counted = since(before)
        cache = counters(port)

    notes["users"] = {"clients": r, "statements": counted, "cache": cache}

    shared = sum(of(counted, name) for name in SHARED)
    each = n / len(SCRIPT)
    most = max((calls / users, name) for name, calls in counted.items())
    head = f"users, {users}"

    return [
        (f"{head}: requests/s, each user {settings['visits']} times",
         n / r["seconds"], None),
        (f"{head}: ms, p99", r["p99"] / MS, None),
        (f"{head}: % of requests to shared endpoints that reach the database",
         100 * shared / (each * len(SHARED)), ("<=", 0.1)),
        (f"{head}: statements per user and key, the most ({most[1]})",
         most[0], ("<=", 1)),
        (f"{head}: % of all requests that reach the database",
         share_of(counted, n), None),
        (f"{head}: MB of values in the zone", cache["bytes"] / 2**20, None),
        (f"{head}: evicted", cache["evictions"], None),
    ]


@contextlib.contextmanager
def beside(loop, *args):
    """A thread that runs loop(stop, *args) meanwhile."""
    stop = threading.Event()
    thread = threading.Thread(target=loop, args=(stop, *args))
    thread.start()

    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def commit_loop(stop, session, rate):
    due = time.monotonic()
    n = 0

    while not stop.wait(max(0, due - time.monotonic())):
        if rate == 0:
            return

        n += 1
        session.do("INSERT INTO campaign_applications (campaign_id, user_id,"
                   " message, status, created_at) SELECT id, 1, 'benchmark',"
                   f" 'pending', localtimestamp FROM campaigns WHERE id = "
                   f"{n % 100 + 1};")
        due += 1 / rate


def commits_load(settings, rate):
    with psql() as session, module() as (nginx, port):
        Clients("commits", port, script(), "-c", CLIENTS, "-n", 1000).result()
        before = statements()

        with beside(commit_loop, session, rate):
            r = Clients("commits", port, script(), "-c", CLIENTS, "-d",
                        settings["commits"], "-k", len(SCRIPT)).result()

        counted = since(before)
        session.do("DELETE FROM campaign_applications"
                   " WHERE message = 'benchmark';")

    notes[f"commits, {rate}"] = {"clients": r, "statements": counted}
    head = f"commits, {rate}/s"

    return [
        (f"{head}: requests/s", r["requests"] / r["seconds"], None),
        (f"{head}: ms, p99", r["p99"] / MS, None),
        (f"{head}: ms, max", r["max"] / MS, None),
        (f"{head}: % of requests that reach the database",
         share_of(counted, r["requests"]), None),
    ]


# --- a storm ---


def storm_loop(stop, session):
    """STORM notifications a second; what has been sent is not waited for."""
    tick = STORM_BATCH / STORM
    due = time.monotonic()
    key = 0

    while not stop.wait(max(0, due - time.monotonic())):
        while due <= time.monotonic():
            session.send("SELECT count(pg_notify(name, 'campaign_applications"
                         " campaign_id=' || i || ' user_id=' || i))"
                         f" FROM softfactory.channel, generate_series({key + 1},"
                         f" {key + STORM_BATCH}) i;")
            key = (key + STORM_BATCH) % STORM_KEYS
            due += tick


def hits(nginx, port, seconds):
    """Hits that the storm has nothing to do with."""
    told = servers.status(port)
    cpu = nginx.cpu()
    r = wrk(f"http://127.0.0.1:{port}{SCRIPT[3][1]}", CLIENTS, seconds,
            {"Authorization": f"Bearer {servers.token(1)}"})[0]
    cpu = nginx.cpu() - cpu
    now = servers.status(port)

    if r["errors"] or r["requests"] == 0:
        failures.append(f"storm: {r['errors']} errors")

    def more(part, name):
        return now[part][name] - told[part][name] if part == "cache" \
            else now[part][0][name] - told[part][0][name]

    return {"rate": r["requests"] / r["seconds"], "p99": r["p99"],
            "requests": r["requests"], "cpu": cpu,
            "misses": more("cache", "misses"),
            "notifications": more("sources", "notifications") / r["seconds"],
            "usage": now["sources"][0]["queue_usage"]}


def storm(settings):
    samples = {"calm": [], "storm": []}

    with module() as (nginx, port):
        hits(nginx, port, 1)

        for n in range(settings["storms"]):
            samples["calm"].append(hits(nginx, port, settings["storm"]))

            with psql() as session:
                session.send("\\o /dev/null")

                with beside(storm_loop, session):
                    time.sleep(0.2)
                    samples["storm"].append(hits(nginx, port,
                                                 settings["storm"]))

            progress(n, settings["storms"])

    notes["storm"] = samples

    def ratio(value):
        return statistics.median(value(b) / value(a) for a, b in
                                 zip(samples["calm"], samples["storm"]))

    def middle(name, kind="storm"):
        return statistics.median(s[name] for s in samples[kind])

    calm = middle("cpu", "calm") / middle("requests", "calm")
    heard = [(s["cpu"] - calm * s["requests"]) * 1e6
             / max(s["notifications"] * settings["storm"], 1)
             for s in samples["storm"]]

    return [
        ("storm: notifications/s that were heard", middle("notifications"),
         (">=", 0.95 * STORM)),
        ("storm: % of the hits' rate that is lost, to the storm's "
         "PostgreSQL as well", 100 * (1 - ratio(lambda s: s["rate"])), None),
        ("storm: % more CPU of nginx per hit",
         100 * (ratio(lambda s: s["cpu"] / s["requests"]) - 1), None),
        ("storm: µs of nginx per notification", statistics.median(heard),
         None),
        ("storm: ms, p99 of hits, calm", middle("p99", "calm") / MS, None),
        ("storm: ms, p99 of hits, storm", middle("p99") / MS, None),
        ("storm: misses of " + str(int(middle("requests"))),
         middle("misses"), None),
        ("storm: % of the notification queue used", 100 * middle("usage"),
         None),
    ]


# --- many misses at once ---


def crowd_once(session, port, trace):
    session.do("UPDATE campaigns SET max_reviewers = max_reviewers + 1"
               " WHERE id = (SELECT max(id) FROM campaigns);")
    c = Clients("misses", port, [(LIST, None)], "-c", CROWD, "-n", CROWD,
                "-w", "-o", trace)
    with Patience(c.process, 60, "clients that are connected"):
        c.process.stdout.readline()

    before = statements()
    waits = counters(port)["waits"]

    session.do("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE;")
    c.process.stdin.write("\n")
    c.process.stdin.flush()
    time.sleep(CROWD_LOCKED)
    asked = counters(port)["waits"] - waits
    released = session.do("COMMIT;")[1]
    c.result()

    counted = since(before)
    records = list(read_trace(trace))
    got = sorted(g for _, g, _ in records)

    if max(sent for sent, _, _ in records) > released or got[0] < released \
            - CROWD_LOCKED / 2:
        failures.append("misses: not all asked before the statement was done")

    return {"statements": counted, "waits": asked,
            "first": (got[0] - released) * MS,
            "spread": (got[-1] - got[0]) * MS,
            "p50": (got[len(got) // 2] - got[0]) * MS}


def crowd(rounds):
    trace = f"{OUT}/misses.trace"
    samples = []

    with psql() as session, module() as (nginx, port):
        servers.get(port, LIST)

        for n in range(rounds):
            samples.append(crowd_once(session, port, trace))
            progress(n, rounds)

    os.unlink(trace)
    notes["misses"] = samples

    def middle(name):
        return statistics.median(s[name] for s in samples)

    return [
        (f"misses, {CROWD} at once: statements for the page, the most",
         max(s["statements"].get("review_campaigns", 0) for s in samples),
         ("<=", 1)),
        (f"misses, {CROWD} at once: statements for the total, the most",
         max(s["statements"].get("review_campaigns total", 0)
             for s in samples), ("<=", 1)),
        ("misses: workers that waited for the other one, the fewest",
         min(s["waits"] for s in samples), (">=", 1)),
        ("misses: ms from the first answer to the last", middle("spread"),
         ("<=", OLD_MS)),
        ("misses: ms from the first answer to the middle one", middle("p50"),
         None),
        ("misses: ms from the first answer to the last, the most",
         max(s["spread"] for s in samples), None),
    ]


# --- the run ---


def main():
    form = os.environ["BENCH_FORM"]
    settings = FORMS[form]
    rounds = int(os.environ.get("BENCH_ROUNDS") or settings["rounds"])

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))

    parts = (
        lambda: writes(settings, 10, "100 a second each"),
        lambda: writes(settings, 0, "flat out"),
        lambda: script_load(settings),
        lambda: users_load(settings),
        *(lambda rate=rate: commits_load(settings, rate)
          for rate in (0, 1, 10, 100)),
        lambda: storm(settings),
        lambda: crowd(rounds),
    )

    info = machine()
    show_machine(info)
    print(f"\n{WORKERS} workers, {CLIENTS} clients.  Aims stand beside what "
          "they are for: NO where one is\nmissed.\n")
    figures = []

    for part in parts:
        rows = part()
        show_figures(rows)
        figures += rows

    show_short(form)
    save("coherence", {"machine": info, "form": form, "failures": failures,
                       "notes": notes, "figures": figures_json(figures)})

    if failures:
        raise SystemExit("FAILED\n" + "\n".join(failures[:20]))


main()

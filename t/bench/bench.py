"""Throughput and latency of answers that ask the database, beside their parts:
see .ci/bench.sh.

The location has softfactory_cache_bypass, so that every page is read; only
totals are kept, for a second, since no table is watched.

The contenders are measured in rotation, each once a round; what is reported
is the median over the rounds.  Rates move with the machine, ratios do not.

The ceiling is what nginx, PostgreSQL and wrk could do together if nothing
came on top of the parts, each measured in this run:

    ceiling = cores * 1000000 / (database + libpq + HTTP + JSON + generator)

    database   CPU µs of the backends per statement, pgpipe, shared Sync, text
    libpq      CPU µs of pgpipe per statement, the same run
    HTTP       CPU µs of nginx per request, `return` with the same bytes
    JSON       constant below, measured once, not in this run
    generator  CPU µs of wrk per request, with `return`

HTTP and generator are those at the same number of clients.
"""

import http.client
import json
import os
import re
import resource
import signal
import statistics
import sys
import time

import servers
from common import (BUILD, OUT, cell, figures_json, machine, medians,
                    progress, run, save, show_figures, show_machine,
                    show_short, wrk)

TOKEN = {"Authorization": "Bearer demo_token"}

CLIENTS = (64, 256, 1000)
STATEMENTS_PER_PIPELINE = 20
PGBENCH_CLIENTS = 8

# the original's campaign list, as its performance report has it: measured
# elsewhere, on another machine
ORIGINAL_LIST_RATE = 12

FORMS = {
    "short": dict(rounds=1, http=1, sql=1, totals=1),
    "long": dict(rounds=9, http=3, sql=2, totals=2),
}


class Workload:
    def __init__(self, name, path, endpoint, json_us, headers=None, ids=0,
                 total=False):
        self.name = name
        self.path = path
        self.endpoint = endpoint
        self.json_us = json_us
        self.request_headers = headers or {}
        self.ids = ids
        self.total = total
        self.headers = []
        self.body = b""

    def url(self, id=1):
        return self.path + str(id) if self.ids else self.path


# JSON, in µs of CPU: 12 rows of 11 columns and one row as in the measurements
# that the aims were set by; 20 rows of 8 columns by the number of cells

WORKLOADS = [
    Workload("list", "/api/review/campaigns", "review_campaigns", 2.7,
             total=True),
    Workload("detail", "/api/review/campaigns/", "review_campaign", 0.3,
             ids=int(os.environ["BENCH_IDS"])),
    Workload("posts", "/api/sns/posts", "sns_posts", 3.3, headers=TOKEN,
             total=True),
]

failures = []


def statements(*args):
    return json.loads(run([f"{BUILD}/tools/statements", *args])[0])


# --- HTTP contenders ---


class Http:
    """wrk against one server; nginx is its own or shared with others."""

    def __init__(self, name, workload, clients, nginx, port, postmaster):
        self.name = name
        self.workload = workload
        self.clients = clients
        self.nginx = nginx
        self.port = port
        self.postmaster = postmaster

    def measure(self, seconds):
        w = self.workload

        nginx, database = self.nginx.cpu(), servers.cpu(self.postmaster)
        busy, idle = servers.machine_cpu()
        r, generator = wrk(f"http://127.0.0.1:{self.port}{w.url()}",
                           self.clients, seconds, w.request_headers,
                           {"BENCH_PATH": w.path,
                            "BENCH_IDS": str(w.ids or "")})
        busy, idle = (b - a for a, b in zip((busy, idle),
                                            servers.machine_cpu()))
        nginx = self.nginx.cpu() - nginx
        database = servers.cpu(self.postmaster) - database
        others = busy - nginx - database - generator

        n = r["requests"]

        if r["errors"] or n == 0:
            failures.append(f"{w.name}, {self.clients} clients, {self.name}: "
                            f"{r['errors']} errors, {n} requests")
            n = n or 1

        return {
            "rate": n / r["seconds"], "mean": r["mean"], "p50": r["p50"],
            "p99": r["p99"], "nginx_us": nginx * 1e6 / n,
            "database_us": database * 1e6 / n,
            "generator_us": generator * 1e6 / n,
            "others": others / (busy + idle), "idle": idle / (busy + idle),
        }


class Total:
    """Latency of a request that counts its total, and of one that need not.

    Without triggers a total is kept for a second; so the module is asked, over
    one connection, after 1.1 s and once more at once.
    """

    name = "module, 1 client"
    clients = 1

    def __init__(self, workload, port):
        self.workload = workload
        self.port = port

    def measure(self, samples):
        w = self.workload
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        times = ([], [])

        for _ in range(samples):
            time.sleep(1.1)
            for kept in times:
                start = time.monotonic()
                servers.get(self.port, w.url(), w.request_headers, connection)
                kept.append((time.monotonic() - start) * 1e6)

        connection.close()
        return {"uncached": statistics.median(times[0]),
                "cached": statistics.median(times[1])}


# --- contenders without HTTP ---


class Pgpipe:
    def __init__(self, name, workload, kind, options, settings):
        self.name = name
        self.workload = workload
        self.clients = 4
        self.options = options
        self.env = {"PGOPTIONS": settings}
        self.statement = statements("show", workload.endpoint, kind, "id=1",
                                    "user=1")

    def measure(self, seconds):
        command = [f"{OUT}/pgpipe", "-t", str(seconds), *self.options]
        if self.workload.ids:
            command += ["-r", str(self.workload.ids)]
        command += [os.environ["BENCH_CONNINFO"], self.statement["text"],
                    *self.statement["values"]]

        r = json.loads(run(command, self.env)[0])
        return {"rate": r["statements"] / r["seconds"],
                "database_us": r["server_us"],
                "generator_us": r["client_us"]}


class Pgbench:
    clients = PGBENCH_CLIENTS

    def __init__(self, name, workload, times, settings, postmaster):
        self.name = name
        self.workload = workload
        self.times = times
        self.env = {"PGOPTIONS": settings}
        self.postmaster = postmaster
        self.script = f"{OUT}/{workload.name}-{times}.sql"
        self.write()

    def write(self):
        w = self.workload
        shown = statements("show", w.endpoint, "rows", "id=1", "user=1")
        lines = []

        for _ in range(self.times):
            if w.ids:
                lines.append(f"\\set v1 random(1, {w.ids})")
            else:
                lines += [f"\\set v{i} {value}"
                          for i, value in enumerate(shown["values"], 1)]
            lines.append(re.sub(r"\$(\d+)", r":v\1", shown["text"]) + ";")

        if self.times > 1:
            lines = ["\\startpipeline", *lines, "\\endpipeline"]

        with open(self.script, "w") as f:
            f.write("\n".join(lines) + "\n")

    def measure(self, seconds):
        living = servers.children(self.postmaster)
        database = servers.cpu(self.postmaster)

        out, generator = run(
            ["pgbench", "-n", "-M", "prepared", "-f", self.script,
             "-c", str(self.clients), "-j", "2", "-T", str(seconds),
             os.environ["BENCH_CONNINFO"]], self.env)

        # its backends count as soon as the postmaster has waited for them

        for _ in range(100):
            if set(servers.children(self.postmaster)) <= set(living):
                break
            time.sleep(0.01)

        database = servers.cpu(self.postmaster) - database
        rate = float(re.search(r"tps = ([\d.]+)", out)[1])
        mean = float(re.search(r"latency average = ([\d.]+)", out)[1])
        n = self.times * int(re.search(r"actually processed: (\d+)", out)[1])

        return {"rate": rate * self.times, "mean": mean * 1000,
                "database_us": database * 1e6 / n,
                "generator_us": generator * 1e6 / n}


# --- what is compared must be equal ---


def typical_id(port, workload):
    """The id whose body has the median length."""
    ids = range(1, workload.ids + 1, max(1, workload.ids // 100))
    sizes = sorted((len(servers.get(port, workload.url(i))[2]), i)
                   for i in ids)
    return sizes[len(sizes) // 2][1]


def learn(port, w):
    """What the module answers: the bodies that the others repeat."""
    w.id = typical_id(port, w) if w.ids else 1
    status, w.headers, w.body = servers.get(port, w.url(w.id),
                                            w.request_headers)
    if status != 200:
        raise SystemExit(f"{w.url(w.id)}: {status} {w.body!r}")


def compare(name, port, w):
    """Status, headers and body of a contender against the module's."""
    status, headers, body = servers.get(port, w.url(w.id), w.request_headers)
    essence = servers.essence

    if status != 200 or body != w.body:
        raise SystemExit(f"{w.name}: the body of {name} differs")
    if essence(headers) != essence(w.headers):
        raise SystemExit(f"{w.name}: headers of {name}: {essence(headers)}, "
                         f"of the module: {essence(w.headers)}")


# --- the run ---


def start_servers(running):
    """Two nginx: the contenders' with two workers, the module's with one."""
    user = os.environ["BENCH_WORKERS"]
    module = [f"{BUILD}/ngx_http_softfactory_module.so"]
    lua = [f"{servers.MODULES}/ndk_http_module.so",
           f"{servers.MODULES}/ngx_http_lua_module.so"]
    socket_path = os.environ["SF_TEST_PG_SOCKET"]
    port = {name: servers.free_port()
            for name in ("module", "return", "lua", "one")}

    one = servers.Nginx(f"{OUT}/nginx-one", 1, user)
    running.append(one)
    one.start(module, servers.uncached_server(port["one"], socket_path),
              port["one"])

    for w in WORKLOADS:
        learn(port["one"], w)

    two = servers.Nginx(f"{OUT}/nginx", 2, user)
    running.append(two)
    two.start(module + lua,
              servers.uncached_server(port["module"], socket_path)
              + servers.return_server(port["return"], WORKLOADS)
              + servers.lua_dictionary(WORKLOADS, two.root)
              + servers.lua_server(port["lua"], WORKLOADS),
              port["module"])

    for w in WORKLOADS:
        for name in port:
            compare(name, port[name], w)

    return one, two, port


def plan(running, postmaster):
    """Groups of contenders; a group is measured one after the other."""
    one, two, port = start_servers(running)
    session = statements("session")
    groups = []

    for w in WORKLOADS:
        for clients in CLIENTS:
            group = [Http(name, w, clients, two, port[name], postmaster)
                     for name in ("module", "return", "lua")]
            if w.name == "list" and clients == CLIENTS[0]:
                group.append(Http("module, 1 worker", w, clients, one,
                                  port["one"], postmaster))
            groups.append(("http", group))

        groups.append(("sql", [
            Pgpipe(name, w, "rows", options, session["read"])
            for name, options in (
                ("pgpipe text", []), ("pgpipe binary", ["-b"]),
                ("pgpipe text -e", ["-e"]),
                ("pgpipe binary -e", ["-e", "-b"]))
        ] + [
            Pgbench("pgbench", w, 1, session["read"], postmaster),
            Pgbench("pgbench, by 20", w, STATEMENTS_PER_PIPELINE,
                    session["read"], postmaster),
        ]))

        if w.total:
            groups.append(("sql", [
                Pgpipe("pgpipe, its total", w, "total", [],
                       session["totals"])]))
            groups.append(("totals", [Total(w, port["module"])]))

    return groups


def measure(groups, form, rounds):
    """Samples by (workload, clients, contender)."""
    samples = {}

    for kind, group in groups:              # caches, prepared statements
        if kind == "http":
            group[0].measure(1)

    for n in range(rounds):
        for kind, group in groups:
            k = n % len(group)
            for c in group[k:] + group[:k]:
                key = (c.workload.name, c.clients, c.name)
                samples.setdefault(key, []).append(c.measure(form[kind]))
        progress(n, rounds)

    return samples


# --- the report ---


def parts(m, w, clients):
    pipe = m[w.name, 4, "pgpipe text"]
    page = m[w.name, clients, "return"]
    return {"database": pipe["database_us"], "libpq": pipe["generator_us"],
            "HTTP": page["nginx_us"], "JSON": w.json_us,
            "generator": page["generator_us"]}


def ceiling(m, w, clients):
    return os.cpu_count() * 1e6 / sum(parts(m, w, clients).values())


def answer(m, w, clients):
    """CPU µs of an answer of the module, all of it; unlike the rate it does
    not suffer from other programs, nor from a core that idles."""
    v = m[w.name, clients, "module"]
    return v["nginx_us"] + v["database_us"] + v["generator_us"]


def figures(m):
    """Everything that is derived: (name, value, aim or None)."""
    rows = []

    for w in WORKLOADS:
        aimed = w.name != "posts"

        for clients in CLIENTS:
            top = ceiling(m, w, clients)
            rate = m[w.name, clients, "module"]["rate"]
            rows.append((f"{w.name}, {clients} clients: ceiling, requests/s",
                         top, None))
            rows.append((f"{w.name}, {clients} clients: module / ceiling",
                         rate / top,
                         (">=", 0.6) if aimed and clients == 64 else None))
            rows.append((f"{w.name}, {clients} clients: CPU of the parts / "
                         "CPU of an answer",
                         sum(parts(m, w, clients).values())
                         / answer(m, w, clients), None))

        pipe = m[w.name, 4, "pgpipe text"]["rate"]
        base = m[w.name, 64, "module"]["rate"]
        most = m[w.name, 1000, "module"]

        rows += [
            (f"{w.name}: module at 64 / pgpipe text, without HTTP",
             base / pipe, None),
            (f"{w.name}: module at 1000 clients / at 64",
             most["rate"] / base, (">=", 1.0)),
            (f"{w.name}: p99 / mean at 1000 clients",
             most["p99"] / most["mean"], ("<=", 3.0)),
        ]

    rows.append((f"list: module at 64 / {ORIGINAL_LIST_RATE} a second, the "
                 "original's by its own report",
                 m["list", 64, "module"]["rate"] / ORIGINAL_LIST_RATE,
                 (">=", 500)))

    for w in WORKLOADS:
        if w.total:
            t = m[w.name, 1, Total.name]
            rows += [
                (f"{w.name}: ms, 1 client, total counted",
                 t["uncached"] / 1000, None),
                (f"{w.name}: ms, 1 client, total kept",
                 t["cached"] / 1000, None),
                (f"{w.name}: its total alone, pgpipe, statements/s",
                 m[w.name, 4, "pgpipe, its total"]["rate"], None),
            ]

    return rows


def table(m):
    """One row each; latencies in ms, CPU in µs per request."""
    lines = [f"{'':7}{'clnt':>5} {'contender':17}{'req/s':>8}{'mean':>7}"
             f"{'p50':>7}{'p99':>7}{'nginx':>7}{'PG':>7}{'client':>7}"]

    for (name, clients, contender), v in m.items():
        if contender == Total.name:
            continue

        def ms(key):
            return v[key] / 1000 if key in v else None

        lines.append(
            f"{name:7}{clients:5} {contender:17}{cell(v['rate'], 8)}"
            f"{cell(ms('mean'), 7, 2)}{cell(ms('p50'), 7, 2)}"
            f"{cell(ms('p99'), 7, 2)}{cell(v.get('nginx_us'), 7, 1)}"
            f"{cell(v['database_us'], 7, 1)}"
            f"{cell(v['generator_us'], 7, 1)}")

    return lines


def report(m, info, form, rounds):
    show_machine(info, statistics.median(v["others"] for v in m.values()
                                         if "others" in v))

    print(f"\nMedians of {rounds}.  Latencies in ms; CPU in µs per request or "
          "statement.\n")
    print("\n".join(table(m)))

    print("\nceiling = cores * 1e6 / (database + libpq + HTTP + JSON + "
          "generator), in CPU µs:\n")
    for w in WORKLOADS:
        p = parts(m, w, 64)
        print(f"{w.name:7}" + "  ".join(f"{k} {v:.1f}" for k, v in p.items())
              + f"  = {sum(p.values()):.1f}")
    print("\nJSON is a constant; the others are of this run (`return` at 64 "
          "clients, pgpipe\nwith a shared Sync).  The total, counted once a "
          "second, is not in it.  Aims stand\nbeside what they are for: NO "
          "where one is missed.\n")

    show_figures(figures(m))
    show_short(form)


def result(samples, m, info, form):
    def named(by_key):
        return [{"workload": k[0], "clients": k[1], "contender": k[2],
                 "value": v} for k, v in by_key.items()]

    return {
        "machine": info, "form": form, "failures": failures,
        "medians": named(m), "samples": named(samples),
        "parts": {w.name: {c: parts(m, w, c) for c in CLIENTS}
                  for w in WORKLOADS},
        "bodies": {w.name: len(w.body) for w in WORKLOADS},
        "figures": figures_json(figures(m)),
    }


def main():
    form = os.environ["BENCH_FORM"]
    rounds = int(os.environ.get("BENCH_ROUNDS") or FORMS[form]["rounds"])
    postmaster = int(os.environ["BENCH_POSTMASTER"])
    running = []

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))

    try:
        info = machine()
        groups = plan(running, postmaster)
        samples = measure(groups, FORMS[form], rounds)
        for nginx in running:
            failures.extend(nginx.alerts())
    finally:
        for nginx in running:
            nginx.stop()

    m = medians(samples)
    report(m, info, form, rounds)
    save("uncached", result(samples, m, info, form))

    if failures:
        raise SystemExit("FAILED\n" + "\n".join(failures[:20]))


main()

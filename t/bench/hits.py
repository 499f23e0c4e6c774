"""Hits of the cache beside nginx's own floor: see .ci/bench.sh.

    return   `return 200` with the body and the headers of a real hit; one
             that fits in a word of nginx.conf is a constant there
    lua      a value of a lua_shared_dict by content_by_lua, the same headers
    module   a hit: of a public list, and behind a JWT whose principal comes
             from the zone as well

All get the same requests, byte by byte.  A 304 stands beside `return 304`.
The location /status proves that every answer of the module was a hit.

wrk is the bottleneck where it is slower than nginx, and other programs take
what they like: so CPU µs of nginx per request count, more than rates do.  A
ratio is the median of those of the rounds, each of neighbours in time.  Where
there is valgrind, instructions are counted as well.
"""

import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import instructions
import servers
from common import (BUILD, OUT, cell, figures_json, machine, medians,
                    progress, run, save, show_figures, show_machine,
                    show_short, wrk)

CLIENTS = 64
SIZES = (200, 3600, 32768)
AIMS = {"public": 0.95, "jwt": 0.90}

# of instructions: these do not depend on the machine, and hold in any form
FLOORS = {"public": 0.75, "jwt": 0.71}
MODULE = "ngx_http_softfactory_module.so"
PATHS = {"public": "/api/review/campaigns", "jwt": "/api/sns/posts"}
MAX_PAGE = 500

# the user with something of everything
USER = 1

FORMS = {
    "short": dict(rounds=1, seconds=1, sizes=SIZES, workers=(2,), perf=1),
    "long": dict(rounds=9, seconds=2, sizes=SIZES, workers=(1, 2), perf=5),
}

# where time goes when two workers want the zone at once

MUTEX = re.compile(r"ngx_shmtx_|ngx_sf_zone_(?:un)?lock|ngx_sched_yield"
                   r"|sched_yield|futex|sem_(?:wait|post|timed)")
PERF_RATE = 1999
MUTEX_AIM = 0.02

failures = []


class Workload:
    """A request, and what the module answers to it."""
    ids = 0

    def __init__(self, access, size, status=200):
        self.access = access
        self.size = size
        self.status = status
        self.name = f"{access}_{size if status == 200 else status}"
        self.path = PATHS[access]
        self.request_headers = {}
        self.headers = []
        self.body = b""

        if access == "jwt":
            self.request_headers["Authorization"] = \
                f"Bearer {servers.token(USER)}"

    def url(self):
        return f"{self.path}?per_page={self.rows}"

    def learn(self, port):
        """The page whose body comes next to the size, and its headers."""
        low, high = 1, MAX_PAGE

        while low < high:
            self.rows = (low + high) // 2
            if len(self.get(port)[2]) < self.size:
                low = self.rows + 1
            else:
                high = self.rows

        self.rows = low

        if self.status == 304:
            self.request_headers["If-None-Match"] = \
                dict(self.get(port)[1])["ETag"]

        for _ in range(2):
            status, self.headers, self.body = self.get(port)

        if status != self.status or dict(self.headers)["X-Cache"] != "HIT":
            raise SystemExit(f"{self.url()}: {status} {self.headers}")

    def get(self, port):
        return servers.get(port, self.url(), self.request_headers)

    def compare(self, name, port):
        status, headers, body = self.get(port)
        theirs, ours = map(servers.essence, (headers, self.headers))
        want = servers.constant(self.body) if name == "return" else self.body

        if self.status == 304:      # `return` adds type and length
            theirs = [h for h in theirs if h in ours]

        if (status, body) != (self.status, want) or theirs != ours:
            raise SystemExit(f"{self.name}: {name} answers {status} {theirs}, "
                             f"the module {self.status} {ours}")


class Contender:
    def __init__(self, name, workload, nginx, port, module):
        self.name = name
        self.workload = workload
        self.nginx = nginx
        self.port = port
        self.module = module        # port of the module there

    def measure(self, seconds):
        w = self.workload
        told = servers.status(self.module)["cache"]

        nginx = self.nginx.cpu()
        busy, idle = servers.machine_cpu()
        r, generator = wrk(f"http://127.0.0.1:{self.port}{w.url()}", CLIENTS,
                           seconds, w.request_headers)
        busy, idle = (b - a for a, b in zip((busy, idle),
                                            servers.machine_cpu()))
        nginx = self.nginx.cpu() - nginx
        n = r["requests"]

        if r["errors"] or n == 0:
            failures.append(f"{w.name}, {self.name}: {r['errors']} errors, "
                            f"{n} requests")
            n = n or 1

        if self.name == "module":
            self.prove(n, told, servers.status(self.module)["cache"])

        return {"rate": n / r["seconds"], "nginx_us": nginx * 1e6 / n,
                "generator_us": generator * 1e6 / n, "p50": r["p50"],
                "p99": r["p99"],
                "others": (busy - nginx - generator) / (busy + idle)}

    def prove(self, n, before, after):
        """All were hits; some were under way when wrk stopped."""
        hits = after["hits"] - before["hits"]
        others = sum(after[word] - before[word] for word in
                     ("misses", "expired", "stale", "bypassed"))

        if not n <= hits <= n + CLIENTS or others:
            failures.append(f"{self.workload.name}: {n} requests, {hits} "
                            f"hits, {others} others")


# --- the servers ---


def start(running, workers, workloads):
    """Contenders of one nginx: (workers, workload) -> list."""
    user = os.environ["BENCH_WORKERS"]
    socket_path = os.environ["SF_TEST_PG_SOCKET"]
    module = servers.free_port()
    ports = {(name, w.name): servers.free_port() for w in workloads
             for name in (("return", "lua") if w.status == 200
                          else ("return",))}

    if not workloads[0].headers:
        learn(running, workloads, module)

    nginx = servers.Nginx(f"{OUT}/nginx-{workers}", workers, user)
    running.append(nginx)
    http = cached(module, socket_path) \
        + servers.lua_dictionary(workloads, nginx.root)

    for w in workloads:
        http += servers.return_server(ports["return", w.name], [w], w.status,
                                      servers.constant)
        if w.status == 200:
            http += servers.lua_server(ports["lua", w.name], [w])

    nginx.start([f"{BUILD}/{MODULE}",
                 f"{servers.MODULES}/ndk_http_module.so",
                 f"{servers.MODULES}/ngx_http_lua_module.so"], http, module)
    servers.coherent(module)

    for w in workloads:
        w.get(module)
        w.compare("module", module)
        for (name, of), port in ports.items():
            if of == w.name:
                w.compare(name, port)

    return {(workers, w.name):
            [Contender("module", w, nginx, module, module)]
            + [Contender(name, w, nginx, port, module)
               for (name, of), port in ports.items() if of == w.name]
            for w in workloads}


def cached(port, socket_path):
    return servers.cached_server(port, socket_path,
                                 "softfactory_cache_ttl all 1h;")


def learn(running, workloads, port):
    """What a hit looks like, from an nginx that is needed for that only."""
    nginx = servers.Nginx(f"{OUT}/nginx-first", 1,
                          os.environ["BENCH_WORKERS"])
    running.append(nginx)
    nginx.start([f"{BUILD}/{MODULE}"],
                cached(port, os.environ["SF_TEST_PG_SOCKET"]), port)
    servers.coherent(port)

    for w in workloads:
        w.learn(port)

    failures.extend(nginx.alerts())
    nginx.stop()
    running.remove(nginx)


# --- the mutex of the zone ---


def perf_works():
    if shutil.which("perf") is None:
        return False

    p = subprocess.run(["perf", "stat", "-e", "cpu-clock", "true"],
                       capture_output=True)
    return p.returncode == 0


def mutex_share(contender, seconds):
    """Part of the workers' samples that have the mutex in their stack."""
    w = contender.workload
    pids = ",".join(map(str, servers.children(contender.nginx.process.pid)))

    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        perf = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(PERF_RATE),
             "-g", "-p", pids, "-o", data, "--", "sleep", str(seconds)],
            stderr=subprocess.PIPE, text=True)
        wrk(f"http://127.0.0.1:{contender.port}{w.url()}", CLIENTS,
            seconds + 1, w.request_headers)
        error = perf.communicate(timeout=120)[1]

        if perf.returncode:
            raise SystemExit(f"perf failed: {error}")

        script = run(["perf", "script", "-i", data, "-F", "ip,sym"])[0]

    samples = [s for s in script.split("\n\n") if s.strip()]
    inside = sum(1 for s in samples if MUTEX.search(s))

    return {"samples": len(samples), "inside": inside,
            "share": inside / max(len(samples), 1)}


# --- instructions ---


def count(workloads):
    """Of nginx for a request: workload -> (return, module)."""
    module = servers.free_port()
    ports = {w: servers.free_port() for w in workloads}
    http = cached(module, os.environ["SF_TEST_PG_SOCKET"])

    for w, port in ports.items():
        http += servers.return_server(port, [w], w.status, servers.constant)

    counter = instructions.Counter(f"{OUT}/nginx-callgrind",
                                   [f"{BUILD}/{MODULE}"], http, module)

    try:
        servers.coherent(module)

        for w in workloads:
            for _ in range(2):
                w.get(module)

        return {w: (counter.count(port, w), counter.count(module, w))
                for w, port in ports.items()}
    finally:
        counter.stop()


# --- the run ---


def measure(groups, seconds, rounds):
    """Samples by (workers, workload, contender)."""
    samples = {}

    for n in range(rounds):
        for (workers, _), group in groups.items():
            k = n % len(group)
            for c in group[k:] + group[:k]:
                key = (workers, c.workload, c.name)
                samples.setdefault(key, []).append(c.measure(seconds))
        progress(n, rounds)

    return samples


def ratio(samples, key, name, other):
    """Of contender OTHER's value to the module's, or of rates the reverse."""
    pairs = zip(samples[(*key, "module")], samples[(*key, other)])

    return statistics.median(
        ours[name] / theirs[name] if name == "rate"
        else theirs[name] / ours[name] for ours, theirs in pairs)


def figures(samples, mutex, counts):
    rows = []

    for workers, w in dict.fromkeys(key[:2] for key in samples):
        where = f"{w.access}, {w.size if w.status == 200 else 304}, " \
                f"{workers} worker" + "s" * (workers > 1)
        aim = (">=", AIMS[w.access])

        rows.append((f"{where}: CPU of return / CPU of a hit",
                     ratio(samples, (workers, w), "nginx_us", "return"), aim))
        rows.append((f"{where}: rate of hits / rate of return",
                     ratio(samples, (workers, w), "rate", "return"), None))

        if w.status == 200:
            rows.append((f"{where}: CPU of lua / CPU of a hit",
                         ratio(samples, (workers, w), "nginx_us", "lua"),
                         (">=", 1.0) if w.access == "public" else None))

    for w, (floor, hit) in counts.items():
        rows.append((f"{w.access}, {w.size}: instructions of return "
                     f"({floor:.0f}) / of a hit ({hit:.0f})", floor / hit,
                     (">=", FLOORS[w.access])))

    for name, m in mutex.items():
        rows.append((f"{name}: share of the mutex in {m['samples']} samples "
                     "of 2 workers, %", 100 * m["share"],
                     ("<=", 100 * MUTEX_AIM)))

    return rows


def table(m):
    lines = [f"{'':12}{'bytes':>6}{'wrkrs':>6}  {'contender':10}{'req/s':>8}"
             f"{'nginx':>7}{'wrk':>7}{'p50':>7}{'p99':>7}"]

    for (workers, w, contender), v in m.items():
        lines.append(
            f"{w.name:12}{len(w.body):6}{workers:6}  {contender:10}"
            f"{cell(v['rate'], 8)}{cell(v['nginx_us'], 7, 2)}"
            f"{cell(v['generator_us'], 7, 2)}{cell(v['p50'] / 1000, 7, 2)}"
            f"{cell(v['p99'] / 1000, 7, 2)}")

    return lines


def report(samples, mutex, counts, info, form, rounds):
    m = medians(samples)
    show_machine(info, statistics.median(v["others"] for v in m.values()))
    print(f"\nHits, {CLIENTS} clients, medians of {rounds}.  CPU in µs per "
          "request, latencies in ms.\n")
    print("\n".join(table(m)) + "\n")
    show_figures(figures(samples, mutex, counts))

    if not counts:
        print("          valgrind is not there: instructions are not counted")

    if not mutex:
        print("          perf does not work here: the mutex is not measured")

    show_short(form)


def result(samples, mutex, counts, info, form):
    def named(by_key):
        return [{"workers": k[0], "workload": k[1].name, "contender": k[2],
                 "bytes": len(k[1].body), "value": v}
                for k, v in by_key.items()]

    return {"machine": info, "form": form, "failures": failures,
            "medians": named(medians(samples)), "samples": named(samples),
            "mutex": mutex,
            "figures": figures_json(figures(samples, mutex, counts))}


def main():
    form = os.environ["BENCH_FORM"]
    settings = FORMS[form]
    rounds = int(os.environ.get("BENCH_ROUNDS") or settings["rounds"])
    running = []
    groups = {}
    mutex = {}
    counts = {}

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))

    workloads = [Workload(access, size) for access in PATHS
                 for size in settings["sizes"]]
    workloads += [Workload(access, SIZES[1], 304) for access in PATHS]

    try:
        info = machine()
        for workers in settings["workers"]:
            groups.update(start(running, workers, workloads))

        samples = measure(groups, settings["seconds"], rounds)

        if perf_works():
            for name in (f"{access}_{settings['sizes'][0]}"
                         for access in PATHS):
                mutex[name] = mutex_share(groups[2, name][0],
                                          settings["perf"])

        if instructions.works():
            counts = count([w for w in workloads
                            if w.size == SIZES[1] and w.status == 200])

        for w, (floor, hit) in counts.items():
            if floor / hit < FLOORS[w.access]:
                failures.append(f"{w.name}: a hit takes {hit:.0f} "
                                f"instructions, return {floor:.0f}")

        for nginx in running:
            failures.extend(nginx.alerts())
    finally:
        for nginx in running:
            nginx.stop()

    report(samples, mutex, counts, info, form, rounds)
    save("hits", result(samples, mutex, counts, info, form))

    if failures:
        raise SystemExit("FAILED\n" + "\n".join(failures[:20]))


main()

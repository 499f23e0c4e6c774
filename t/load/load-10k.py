"""`make load-10k`: 10,000 keep-alive connections, each with a user and a token
of its own, in the sessions of sessions.py; see .ci/load.sh and crowd.c.

    memory    10,000 connections to one worker: what it has before, with them
              connected, and with them idle after a session each; beside nginx
              without the module that answers the same requests by `return`
    paces     two workers: each user asks once in 30 s, which is the report's
              10 requests in 5 minutes, then once in 4/7 s, which is k6's 7 in
              4 s; 333 and 17,500 requests a second if the machine can do it.
              k6's users come one after the other, so before its pace all ask
              once in 6 s for a minute, which does not count

A user that has to wait for an answer misses its next turn, so what is reached
may be less than what is offered; both are told.  At k6's pace the plain nginx
is asked as well, for what this machine and this client can do at all.

    LOAD=short          1,000 connections for some seconds: that it works
    LOAD_SECONDS=300    of each pace
    LOAD_CONNECTIONS=10000
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time

import report
import server
import sessions

from patience import Patience, ended        # behind server, which has its path

servers = server.servers

FIRST_USER = 100001         # of t/bench/users.sql, which has 10,000
USERS = 10000
WORKERS = 2
SPARE_FILES = 200

FORMS = {
    "default": {"connections": 10000, "seconds": 300, "session": 60,
                "ramp": 60, "plain": 30},
    "short": {"connections": 1000, "seconds": 4, "session": 3, "ramp": 2,
              "plain": 2},
}

PACES = (("report", 30.0), ("k6", sessions.K6_PAUSE))
RAMP_PAUSE = 6.0

AIMS = {"p95_ms": 20, "errors": 0, "kb_over": 8, "worker_mb": 60}
LIMITS = {"p95_ms": 500, "error_percent": 1}


# --- the parts ---


def plan(connections):
    """A line of crowd.c for each: the scenarios by their shares, mixed."""
    draw = random.Random(1)
    lines = []

    for i in range(connections):
        at = draw.random()
        for _, share, requests, _ in sessions.SCENARIOS:
            if at < share:
                break
            at -= share

        # somewhere in its session, as users are

        paths = sessions.session(requests, draw)
        at = draw.randrange(len(paths))
        token = servers.token(FIRST_USER + i % USERS)
        lines.append(" ".join([token, *paths[at:], *paths[:at]]))

    path = f"{server.OUT}/plan"
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    return path


class Crowd:
    """crowd.c with all its connections."""

    def __init__(self, port, plan_path):
        self.process = subprocess.Popen(
            [f"{server.OUT}/crowd", str(port), plan_path], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        self.line()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        ended(self.process, "crowd")
        self.process.stdout.close()

    def line(self, seconds=120):
        with Patience(self.process, seconds, "a line of crowd"):
            line = self.process.stdout.readline()
        if not line:
            raise SystemExit("crowd failed")
        return line

    def run(self, pause, seconds):
        self.process.stdin.write(f"{pause} {seconds}\n")
        self.process.stdin.flush()
        return json.loads(self.line(seconds + 120))


class Sampler(threading.Thread):
    """CPU and memory of the machine, each second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.machine = report.Machine()
        self.ended = threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(1):
            self.machine.sample()

    def summary(self):
        self.ended.set()
        self.join()
        self.machine.sample()
        return self.machine.summary()


# --- memory ---


def resident(kind, start, plan_path, form):
    """Of one worker, in KB, and KB of a connection."""
    n = form["connections"]

    with start(1, n) as (nginx, port):
        before = server.memory(nginx)

        with Crowd(port, plan_path) as crowd:
            time.sleep(0.5)
            connected = server.memory(nginx)
            result = crowd.run(form["session"] / 10, form["session"])
            time.sleep(0.5)
            after = server.memory(nginx)

    if result["errors"]:
        print(f"{kind}: {result['errors']} of {result['requests']} requests "
              f"failed: {result['statuses']}, {result['lost']} lost")

    return {"before": before, "connected": connected, "after": after,
            "requests": result["requests"],
            "kb_connected": (connected["own_kb"] - before["own_kb"]) / n,
            "kb": (after["own_kb"] - before["own_kb"]) / n}


def show_memory(m, form):
    print(f"\nmemory of one worker with {form['connections']} connections, "
          "without the zone; KB of a connection\n\n"
          f"{'':10}{'before':>10}{'connected':>11}{'idle after':>12}"
          f"{'KB, new':>10}{'KB, idle':>10}")

    for kind in ("plain", "module"):
        row = m[kind]
        print(f"{kind:10}{row['before']['own_kb'] / 1024:7.1f} MB"
              f"{row['connected']['own_kb'] / 1024:8.1f} MB"
              f"{row['after']['own_kb'] / 1024:9.1f} MB"
              f"{row['kb_connected']:10.2f}{row['kb']:10.2f}")

    aim("KB of an idle connection over nginx's own", m["kb_over"],
        AIMS["kb_over"])
    aim("MB of the worker", m["module"]["after"]["own_kb"] / 1024,
        AIMS["worker_mb"])
    print(f"{m['module']['after']['resident_kb'] / 1024:9.1f}  MB with the "
          "zone's pages that it has touched")


def memory(plan_path, form):
    m = {"plain": resident("plain", server.plain, plan_path, form),
         "module": resident("module", server.module, plan_path, form)}
    m["kb_over"] = m["module"]["kb"] - m["plain"]["kb"]
    show_memory(m, form)
    return m


# --- paces ---


def counters(port):
    """Cumulative counts of the server, by the path of its endpoints."""
    status = servers.status(port)
    return {"endpoints": {e["path"]: e for e in status.get("endpoints", ())},
            "cache": status["cache"]}


def from_buckets(counts, part):
    """ms; where in its bucket is guessed by a straight line."""
    rank = sum(counts) * part

    for i, n in enumerate(counts):
        if n and rank <= n:
            lower = report.BUCKETS[i - 1] if i else 0
            upper = report.BUCKETS[min(i, len(report.BUCKETS) - 1)]
            return 1000 * (lower + (upper - lower) * rank / n)
        rank -= n

    return 0.0


def of_server(before, now, seconds):
    """What the server has counted meanwhile, in the shape of its report."""
    metrics = {}
    queries = 0

    for path, e in now["endpoints"].items():
        old = before["endpoints"].get(path, {})
        counts = [n - o for n, o in zip(e["buckets"], old.get(
            "buckets", [0] * len(e["buckets"])))]
        queries += e["queries"] - old.get("queries", 0)

        if sum(counts):
            metrics[path] = {"requests": sum(counts), **{
                name: round(from_buckets(counts, part), 4)
                for name, part in zip(report.PERCENTILES, report.PARTS)}}

    return {"duration_seconds": round(seconds, 1),
            "endpoint_metrics": metrics, "database": {"queries": queries}}


def client_report(result, started, machine):
    """Appendix B; times are those from the users' turns."""
    def of(e):
        return {"requests": e["requests"], "errors": e["errors"], **e["turn"]}

    endpoints = {k: of(e) for k, e in sorted(result["endpoints"].items())
                 if e["requests"]}
    return report.build(started, started + result["seconds"], endpoints,
                        of(result), machine, LIMITS)


def compared(result, server_side):
    """The server's figures beside times from when a request was sent."""
    ours = {"endpoint_metrics": {
        k: {"requests": e["requests"], **e["sent"]}
        for k, e in sorted(result["endpoints"].items())}}
    return report.compare(ours, server_side, "its counters over the run")


def pace(crowd, nginx, port, name, pause, form):
    before = counters(port)
    cpu = server.Cpu(nginx)
    sampler = Sampler()
    started = time.time()
    result = crowd.run(pause, form["seconds"])
    cores = cpu.used(result["cpu_seconds"])
    machine = sampler.summary()
    now = counters(port)
    server_side = of_server(before, now, result["seconds"])

    r = client_report(result, started, machine)
    r["load"] = {
        "generator": "crowd", "pace": name,
        "connections": form["connections"],
        "offered_per_second": round(form["connections"] / pause, 1),
        "reached_per_second": round(result["requests"]
                                    / result["seconds"], 1),
        "turns": result["turns"], "missed": result["missed"],
        "lost": result["lost"], "statuses": result["statuses"],
        "mb_per_second": round(result["bytes"] / result["seconds"] / 1e6, 1),
        "from_turn": result["turn"], "from_sent": result["sent"],
        "late": result["late"], "cores": cores,
        "queries": server_side["database"]["queries"],
        "evictions": now["cache"]["evictions"] - before["cache"]["evictions"],
    }
    r["comparison"] = compared(result, server_side)
    return r


def plain_pace(plan_path, form):
    """What the machine can do: nginx alone, at k6's pace."""
    with server.plain(WORKERS, form["connections"]) as (nginx, port):
        with Crowd(port, plan_path) as crowd:
            result = crowd.run(sessions.K6_PAUSE, form["plain"])

    return {"offered_per_second": form["connections"] / sessions.K6_PAUSE,
            "reached_per_second": result["requests"] / result["seconds"],
            "errors": result["errors"], "from_turn": result["turn"],
            "late": result["late"]}


def show_pace(r):
    load = r["load"]
    n = r["summary"]["total_requests"]

    print(f"\n{load['pace']}'s pace, {load['connections']} connections, "
          f"{r['duration_seconds']} s\n")
    print(f"{load['offered_per_second']:9.0f}  requests/s offered")
    print(f"{load['reached_per_second']:9.0f}  requests/s reached; "
          f"{100 * load['missed'] / load['turns']:.2f} % of the turns missed, "
          f"{load['mb_per_second']} MB/s")

    for kind, words in (("from_turn", "from the user's turn"),
                        ("from_sent", "from when it was sent"),
                        ("late", "that the client itself was late")):
        t = load[kind]
        print(f"{t['p50_ms']:9.2f}{t['p95_ms']:9.2f}{t['p99_ms']:9.2f}"
              f"{t['max_ms']:9.1f}  ms p50, p95, p99, max {words}")

    server.show_cores(load["cores"])
    print(f"{100 * load['queries'] / max(n, 1):9.2f}  statements for 100 "
          f"requests; {load['evictions']} entries evicted")
    aim("ms, p95", r["summary"]["p95_ms"], AIMS["p95_ms"])
    aim(f"errors; statuses {load['statuses']}, {load['lost']} lost",
        r["summary"]["total_errors"], AIMS["errors"])
    report.show_endpoints(r)
    report.show_comparison(r["comparison"])


def aim(what, value, most):
    print(f"{value:9.2f}  <= {most:g}{'' if value <= most else ': NO'}  "
          f"{what}")


# --- the run ---


def settings():
    name = os.environ.get("LOAD") or "default"
    form = dict(FORMS["default" if name == "long" else name])

    for key in ("connections", "seconds"):
        form[key] = int(os.environ.get(f"LOAD_{key.upper()}") or form[key])

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if form["connections"] > hard - SPARE_FILES:
            form["connections"] = hard - SPARE_FILES
            print(f"{form['connections']} connections: the hard limit of "
                  f"open files is {hard}")

    return form


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    form = settings()
    plan_path = plan(form["connections"])
    result = {"connections": form["connections"],
              "memory": memory(plan_path, form), "paces": {}}

    with server.module(WORKERS, form["connections"]) as (nginx, port):
        with Crowd(port, plan_path) as crowd:
            for name, pause in PACES:
                if name == "k6":
                    crowd.run(RAMP_PAUSE, form["ramp"])
                r = pace(crowd, nginx, port, name, pause, form)
                result["paces"][name] = r
                show_pace(r)

            result["memory_at_end"] = server.memory(nginx)
        alerts = nginx.alerts()

    result["plain"] = plain_pace(plan_path, form)
    p = result["plain"]
    print(f"\nnginx alone at k6's pace, `return 200`: "
          f"{p['reached_per_second']:.0f} of {p['offered_per_second']:.0f} "
          f"requests/s, p95 {p['from_turn']['p95_ms']:.2f} ms")

    path = f"{server.OUT}/load-10k.json"
    with open(path, "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    print(f"\nwritten: {path}")

    if os.environ.get("LOAD") == "short":
        print("\nA short run: it proves that everything runs, its figures "
              "mean nothing.")

    failed = [name for name, r in result["paces"].items() if not r["passed"]]
    for line in alerts[:20]:
        print(line)
    if failed or alerts:
        raise SystemExit("FAILED: " + (", ".join(failed) or "alerts"))


main()

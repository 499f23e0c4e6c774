"""The performance report (its Appendix B) as a client saw the run, and the
server's own beside it.

    python3 report.py FILE [URL]    prints one, beside what the server at URL
                                    says now

Percentiles of the client are exact, those of the server come from its
histograms.  Two are said to agree when they lie in the same bucket of that
histogram or in neighbouring ones; the client's value is taken as it is, with
the network and the client's own work in it.
"""

import array
import bisect
import datetime
import json
import math
import re
import sys
import time
import urllib.error
import urllib.request

# upper bounds in seconds, as in the server's histograms

BUCKETS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
           0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")
PARTS = (0.5, 0.95, 0.99)

SLOW_MS = 500               # p95 of an endpoint that is called slow
CPU_PERCENT = 80            # the report's limits for the machine
MEMORY_PERCENT = 85

# a server that was started for the run is older than the run by this at most

EARLIER = 15
WINDOWS = (("60s", 60), ("5m", 300), ("1h", 3600))


def endpoint_of(url):
    """The path without its query, and {id} for an id."""
    return re.sub(r"/\d+(?=/|$)", "/{id}", url.split("?", 1)[0])


def percentile(ordered, part):
    """The smallest value that so many of them do not exceed."""
    if not ordered:
        return 0.0

    return ordered[max(0, math.ceil(len(ordered) * part) - 1)]


def bucket(ms):
    """Number of the bucket of the server that a value belongs to."""
    return bisect.bisect_left(BUCKETS, ms / 1000)


def clock(seconds):
    when = datetime.datetime.fromtimestamp(seconds)
    return when.isoformat(timespec="seconds")


# --- what is measured ---


class Machine:
    """CPU and memory of the whole machine, in percent, between samples."""

    def __init__(self):
        self.cpu = []
        self.memory = []
        self.last = self.times()

    @staticmethod
    def times():
        """Ticks of all cores so far: busy, all."""
        with open("/proc/stat") as f:
            t = [int(word) for word in f.readline().split()[1:9]]
        return sum(t) - t[3] - t[4], sum(t)

    @staticmethod
    def memory_percent():
        with open("/proc/meminfo") as f:
            kb = dict(re.findall(r"(\w+): +(\d+) kB", f.read()))
        return 100 * (1 - int(kb["MemAvailable"]) / int(kb["MemTotal"]))

    def sample(self):
        busy, all_ = self.times()

        if all_ > self.last[1]:
            self.cpu.append(100 * (busy - self.last[0])
                            / (all_ - self.last[1]))
            self.memory.append(self.memory_percent())
            self.last = busy, all_

    def summary(self):
        def of(name, values):
            mean = sum(values) / len(values) if values else 0.0
            return {f"avg_{name}_percent": round(mean, 1),
                    f"peak_{name}_percent": round(max(values, default=0), 1)}

        return {**of("cpu", self.cpu), **of("memory", self.memory)}


class Recorder:
    """Every request of a run, by endpoint."""

    def __init__(self):
        self.started = time.time()
        self.times = {}
        self.errors = {}
        self.machine = Machine()

    def add(self, url, ms, failed=False):
        endpoint = endpoint_of(url)

        if endpoint not in self.times:
            self.times[endpoint] = array.array("d")
            self.errors[endpoint] = 0

        self.times[endpoint].append(ms)
        self.errors[endpoint] += failed

    def requests(self):
        return sum(map(len, self.times.values()))

    def failed(self):
        return sum(self.errors.values())

    def report(self, limits):
        every = array.array("d")
        endpoints = {}

        for endpoint in sorted(self.times):
            every.extend(self.times[endpoint])
            endpoints[endpoint] = figures(self.times[endpoint],
                                          self.errors[endpoint])

        return build(self.started, time.time(), endpoints,
                     figures(every, self.failed()), self.machine.summary(),
                     limits)


def figures(times, errors):
    ordered = sorted(times)
    n = len(ordered)

    result = {
        "requests": n,
        "errors": errors,
        "avg_ms": round(sum(ordered) / n, 3) if n else 0.0,
        "min_ms": round(ordered[0], 3) if n else 0.0,
        "max_ms": round(ordered[-1], 3) if n else 0.0,
    }

    for name, part in (("p50_ms", 0.5), ("p75_ms", 0.75), ("p90_ms", 0.9),
                       ("p95_ms", 0.95), ("p99_ms", 0.99)):
        result[name] = round(percentile(ordered, part), 3)

    return result


# --- Appendix B ---


def thresholds(every, limits):
    """The report's two conditions, and whether they are met."""
    share = 100 * every["errors"] / max(every["requests"], 1)

    rows = [("p95_ms", every["p95_ms"], limits["p95_ms"]),
            ("error_percent", round(share, 3), limits["error_percent"])]

    return [{"name": name, "value": value, "limit": limit,
             "passed": value < limit and every["requests"] > 0}
            for name, value, limit in rows]


def recommendations(endpoints, machine):
    texts = []

    for endpoint, e in endpoints.items():
        if e["p95_ms"] > SLOW_MS:
            texts.append(f"{endpoint}: 5 % of its answers took more than "
                         f"{e['p95_ms']:.0f} ms; see its cache hits and "
                         "queries in the server's report")
        if e["errors"]:
            texts.append(f"{endpoint}: {e['errors']} of {e['requests']} "
                         "requests failed; see the server's error log")

    if machine["avg_cpu_percent"] > CPU_PERCENT:
        texts.append(f"the machine was busy ({machine['avg_cpu_percent']} % "
                     "of its CPU): give it more cores, or the clients a "
                     "machine of their own")
    if machine["peak_memory_percent"] > MEMORY_PERCENT:
        texts.append("the machine's memory was used up to "
                     f"{machine['peak_memory_percent']} %: give it more")

    return texts


def build(started, ended, endpoints, every, machine, limits):
    seconds = ended - started
    slow = {k: e for k, e in endpoints.items() if e["p95_ms"] > SLOW_MS}
    checks = thresholds(every, limits)

    return {
        "start_time": clock(started),
        "end_time": clock(ended),
        "duration_seconds": round(seconds, 1),
        "summary": {
            "total_requests": every["requests"],
            "total_errors": every["errors"],
            "requests_per_second": round(every["requests"] / seconds, 2),
            **{k: v for k, v in every.items() if k.endswith("_ms")},
            **machine,
            "slow_endpoint_count": len(slow),
            "error_endpoint_count": sum(e["errors"] > 0
                                        for e in endpoints.values()),
            "recommendations": recommendations(endpoints, machine),
        },
        "endpoint_metrics": endpoints,
        "slow_endpoints": [
            {"endpoint": k, "avg_ms": e["avg_ms"], "p95_ms": e["p95_ms"],
             "issue": f"p95 is over {SLOW_MS} ms: many cache misses, slow "
                      "statements, or waiting for a connection"}
            for k, e in slow.items()],
        "thresholds": checks,
        "passed": all(c["passed"] for c in checks),
    }


# --- the server's own report ---


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def server_report(base, seconds):
    """The server's report over the run that has just ended, and how its time
    was chosen; or None and why there is none."""
    url = f"{base}/softfactory/report"

    try:
        whole = fetch(url)
        if whole["duration_seconds"] <= seconds + EARLIER:
            return whole, "since the server's start"

        for name, length in WINDOWS:
            if seconds <= length:
                return fetch(f"{url}?window={name}"), f"window {name}"

        return whole, "since the server's start, long before this run"
    except (OSError, ValueError, KeyError, urllib.error.URLError) as e:
        return None, f"{url}: {e}"


def difference(ours, theirs):
    """One percentile of both."""
    return {"client_ms": ours, "server_ms": theirs,
            "more_ms": round(ours - theirs, 3),
            "buckets_apart": bucket(ours) - bucket(theirs)}


def compare(report, server, why):
    """Each endpoint of the client beside the server's figures."""
    rows = {}

    if server is None:
        return {"server": None, "why": why}

    for endpoint, ours in report["endpoint_metrics"].items():
        theirs = server["endpoint_metrics"].get(endpoint)
        if theirs is None:
            continue

        rows[endpoint] = {
            "client_requests": ours["requests"],
            "server_requests": theirs["requests"],
            **{name: difference(ours[name], theirs[name])
               for name in PERCENTILES},
        }

    pairs = [row[name] for row in rows.values() for name in PERCENTILES]

    return {
        "server": why,
        "server_seconds": server["duration_seconds"],
        "server_queries": server.get("database", {}).get("queries"),
        "percentiles": len(pairs),
        "within_one_bucket": sum(abs(p["buckets_apart"]) <= 1
                                 for p in pairs),
        "endpoints": rows,
    }


# --- for people ---


def short(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def show_endpoints(report):
    print(f"\n{'':26}{'requests':>9}{'errors':>7}{'avg':>9}{'p50':>9}"
          f"{'p95':>9}{'p99':>9}  ms")

    s = report["summary"]
    every = {"requests": s["total_requests"], "errors": s["total_errors"],
             **s}

    for name, e in [*report["endpoint_metrics"].items(), ("all", every)]:
        print(f"{name:26}{e['requests']:9}{e['errors']:7}"
              + "".join(f"{short(e[k]):>9}"
                        for k in ("avg_ms", *PERCENTILES)))


def show_summary(report):
    s = report["summary"]

    print(f"\n{report['duration_seconds']} s, {s['requests_per_second']} "
          f"requests/s; CPU {s['avg_cpu_percent']} % (peak "
          f"{s['peak_cpu_percent']}), memory {s['avg_memory_percent']} % "
          f"(peak {s['peak_memory_percent']}) of the machine, clients "
          "included")

    for text in s["recommendations"]:
        print(f"- {text}")

    for check in report["thresholds"]:
        print(f"{'met   ' if check['passed'] else 'BROKEN'}  "
              f"{check['name']} {check['value']} < {check['limit']}")


def show_comparison(comparison):
    if comparison["server"] is None:
        print(f"\nno report of the server: {comparison['why']}")
        return

    print(f"\nclient / server in ms, and how many buckets of the histogram "
          f"they are apart\n({comparison['server']}, "
          f"{comparison['server_seconds']} s)\n\n{'':26}{'requests':>13}"
          + "".join(f"{name[:3]:>18}" for name in PERCENTILES))

    for endpoint, row in comparison["endpoints"].items():
        requests = f"{row['client_requests']}/{row['server_requests']}"
        cells = "".join(
            f"{short(row[name]['client_ms'])}/{short(row[name]['server_ms'])}"
            f" {row[name]['buckets_apart']:+d}".rjust(18)
            for name in PERCENTILES)
        print(f"{endpoint:26}{requests:>13}{cells}")

    asked = sum(row["server_requests"]
                for row in comparison["endpoints"].values())
    print(f"\n{comparison['within_one_bucket']} of "
          f"{comparison['percentiles']} are at most one bucket apart; "
          f"{comparison['server_queries']} statements for {asked} requests")


def show_floor(floor):
    if floor:
        print("an answer of nginx that costs nothing takes this client "
              + ", ".join(f"{short(floor[name])} ({name[:3]})"
                          for name in PERCENTILES) + " ms")


def show(report):
    show_endpoints(report)
    show_summary(report)

    if "comparison" in report:
        show_comparison(report["comparison"])

    show_floor(report.get("floor"))


def main(path, base=None):
    with open(path) as f:
        report = json.load(f)

    if base:
        server, why = server_report(base.rstrip("/"),
                                    report["duration_seconds"])
        report["comparison"] = compare(report, server, why)

    show(report)
    return 0 if report.get("passed", True) else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))

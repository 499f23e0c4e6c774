"""What the parts of a benchmark share: other programs and their CPU time,
a run of wrk, medians and aims, and build/bench.json."""

import datetime
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys

import servers

BUILD = os.environ["BENCH_BUILD"]
OUT = f"{BUILD}/bench"
HERE = os.path.dirname(os.path.abspath(__file__))

# more CPU than this taken by programs that are no part of it, and figures
# that depend on an idle machine are not what they seem
QUIET = 0.05


def run(command, env=None):
    """Standard output and CPU seconds of a program; failure ends the run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run(command, env={**os.environ, **(env or {})},
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=900)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    if p.returncode != 0:
        raise SystemExit(f"{command[0]} failed: {p.stderr.strip()}")

    return p.stdout, (after.ru_utime - before.ru_utime
                      + after.ru_stime - before.ru_stime)


def wrk(url, clients, seconds, headers=None, env=None):
    """The figures of wrk.lua, and CPU seconds of wrk; without env it repeats
    the URL."""
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s",
               "-s", f"{HERE}/wrk.lua"]
    for key, value in (headers or {}).items():
        command += ["-H", f"{key}: {value}"]

    out, cpu = run(command + [url], env or {"BENCH_IDS": ""})
    return json.loads(out.splitlines()[-1]), cpu


# --- the machine ---


def first_line(*command):
    return run(command)[0].splitlines()[0]


def machine():
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    top = os.path.dirname(BUILD)
    git = subprocess.run(["git", "-C", top, "describe", "--always", "--dirty"],
                         capture_output=True, text=True)
    nginx = subprocess.run([servers.NGINX, "-v"], capture_output=True,
                           text=True).stderr
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout

    return {
        "cores": os.cpu_count(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "time": datetime.datetime.now().isoformat(timespec="seconds"),
        "module": git.stdout.strip(),
        "nginx": nginx.split("/")[-1].strip(),
        "postgresql": first_line("psql", "-XAt",
                                 os.environ["BENCH_CONNINFO"], "-c",
                                 "SHOW server_version"),
        "libpq": first_line("pg_config", "--version").split(" ", 1)[1],
        "wrk": wrk.split("[")[0].replace("wrk", "").strip(),
        "python": platform.python_version(),
        "data": os.environ["BENCH_SIZE"],
    }


def show_machine(info, others=None):
    print(f"\n{info['cores']} cores, {info['cpu']}, load {info['load']:.1f} "
          f"at the start\nnginx {info['nginx']}, PostgreSQL "
          f"{info['postgresql']}, wrk {info['wrk']}, {info['data']} data, "
          f"module {info['module']}")

    if others is not None:
        print(f"other programs used {others:.0%} of the cores"
              + (": NOT QUIET" if others > QUIET else ""))


# --- samples ---


def progress(n, rounds):
    print(f"round {n + 1} of {rounds}", file=sys.stderr)


def medians(samples):
    return {key: {name: statistics.median(s[name] for s in list_)
                  for name in list_[0]}
            for key, list_ in samples.items()}


def percentile(values, part):
    """Of a list; 0 when it is empty."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] \
        if ordered else 0


# --- the report ---


def cell(value, width, decimals=0):
    return f"{value:{width}.{decimals}f}" if value is not None \
        else " " * (width - 1) + "-"


def verdict(value, aim):
    if aim is None:
        return ""

    op, bound = aim
    met = value >= bound if op == ">=" else value <= bound
    return f"{op} {bound:g}" + ("" if met else ": NO")


def show_figures(figures):
    """(name, value, aim or None), a line each."""
    for name, value, aim in figures:
        text = f"{value:9.2f}" if abs(value) < 1000 else f"{value:9.0f}"
        print(f"{text}  {verdict(value, aim):12}{name}")


def figures_json(figures):
    return [{"name": n, "value": v, "aim": aim and " ".join(map(str, aim))}
            for n, v, aim in figures]


def save(part, result):
    """Puts a part into build/bench.json; those of other runs stay."""
    path = f"{BUILD}/bench.json"

    try:
        with open(path) as f:
            all_ = json.load(f)
    except (FileNotFoundError, ValueError):
        all_ = {}

    parts = ("uncached", "hits", "coherence", "neighbours")
    all_ = {key: all_[key] for key in parts if key in all_}
    all_[part] = result

    with open(path, "w") as f:
        json.dump(all_, f, indent=1)
        f.write("\n")


def show_short(form):
    if form == "short":
        print("\nA short run: it proves that everything runs, its figures "
              "mean nothing.")

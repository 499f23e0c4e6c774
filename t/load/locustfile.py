"""The performance report's load, by locust:

    locust -f t/load/locustfile.py --headless --only-summary --stop-timeout 10

Users come and go as in the report, 0 to 10 to 50 to 100 to 0 in 5 minutes, and
each of them is one of the three scenarios of sessions.py.  `make load` runs it
against a server of its own.  Everything else is in the environment:

    API_BASE=http://localhost:9000      where
    LOAD_TOKEN=demo_token               the bearer token of all requests
    LOAD=short | long                   40 seconds and 20 users, or 30 minutes
    LOAD_PACE=k6 | report               default: report; k6 when short
    LOAD_P95_MS=500                     thresholds; a broken one makes the
    LOAD_ERROR_PERCENT=1                exit code 1
    LOAD_REPORT=performance_report.json where the report goes
    LOAD_FLOOR=                         a path that costs the server nothing:
                                        asked for meanwhile, to see what the
                                        client itself and the network take

An answer counts as an error unless its status is 200 and its body has what the
endpoint promises.  Times are this client's, with the reading of the whole body;
locust's own statistics are in whole milliseconds and not used.
"""

import json
import os
import random
import time

import gevent
from locust import LoadTestShape, events, task
from locust.contrib.fasthttp import FastHttpSession, FastHttpUser

import report
import sessions

FORM = os.environ.get("LOAD") or "default"
PACE = os.environ.get("LOAD_PACE") or ("k6" if FORM == "short" else "report")
BASE = os.environ.get("API_BASE", "http://localhost:9000").rstrip("/")
REPORT = os.environ.get("LOAD_REPORT", "performance_report.json")
FLOOR = os.environ.get("LOAD_FLOOR")
FLOOR_PAUSE = 0.1
PROGRESS = 30               # seconds

LIMITS = {
    "p95_ms": float(os.environ.get("LOAD_P95_MS") or 500),
    "error_percent": float(os.environ.get("LOAD_ERROR_PERCENT") or 1),
}

# no gzip: a body that must be unpacked is not what is measured

HEADERS = {
    "Authorization": "Bearer " + os.environ.get("LOAD_TOKEN", "demo_token"),
    "Accept-Encoding": "identity",
}

if FORM not in sessions.STAGES or PACE not in ("report", "k6"):
    raise SystemExit("LOAD is short or long, LOAD_PACE is report or k6")


class Run:
    """What is known of the run under way."""
    recorder = None
    floor = None
    peak = 0


def ask(client, path):
    """One request; its response, still to be judged, and its time in ms."""
    start = time.perf_counter()
    response = client.get(path, headers=dict(HEADERS), catch_response=True)
    return response, (time.perf_counter() - start) * 1000


class Session(FastHttpUser):
    abstract = True
    host = BASE
    network_timeout = 10.0
    connection_timeout = 10.0

    def on_start(self):
        self.left = []

    def wait_time(self):
        mean = sessions.pause(PACE, self.at_report)
        return random.uniform(mean * 2 / 3, mean * 4 / 3)

    @task
    def step(self):
        self.left = self.left or sessions.session(self.requests)
        path = self.left.pop(0)
        endpoint = report.endpoint_of(path)
        response, ms = ask(self.client, path)

        with response as r:
            good = (r.status_code == 200
                    and sessions.CONTENT[endpoint] in (r.content or b""))
            if not good:
                r.failure(f"status {r.status_code}, "
                          f"{(r.content or b'')[:100]!r}")
            Run.recorder.add(path, ms, not good)


# a class for each scenario, as locust wants them; its weights are integers

for name, share, requests, at_report in sessions.SCENARIOS:
    name = name.capitalize()
    globals()[name] = type(name, (Session,), {
        "abstract": False, "weight": round(share * 100),
        "requests": requests, "at_report": at_report,
        "__module__": __name__})


class Ramp(LoadTestShape):

    def tick(self):
        n = sessions.users(sessions.STAGES[FORM], self.get_run_time())

        if n is None:
            return None

        Run.peak = max(Run.peak, round(n))
        return max(1, round(n)), 100


# --- what goes on beside ---


def sample():
    while True:
        gevent.sleep(1)
        Run.recorder.machine.sample()


def progress(runner):
    while True:
        gevent.sleep(PROGRESS)
        print(f"{time.time() - Run.recorder.started:5.0f} s: "
              f"{runner.user_count} users, {Run.recorder.requests()} "
              f"requests, {Run.recorder.failed()} errors", flush=True)


def floor(environment):
    client = FastHttpSession(environment, BASE, None)

    while True:
        gevent.sleep(FLOOR_PAUSE)
        Run.floor.add(FLOOR, ask(client, FLOOR)[1])


@events.test_start.add_listener
def begin(environment, **_):
    Run.recorder = report.Recorder()
    gevent.spawn(sample)
    gevent.spawn(progress, environment.runner)

    if FLOOR:
        Run.floor = report.Recorder()
        gevent.spawn(floor, environment)


@events.quitting.add_listener
def end(environment, **_):
    if Run.recorder is None:
        environment.process_exit_code = 1
        return

    result = Run.recorder.report(LIMITS)
    server, why = report.server_report(BASE, result["duration_seconds"])

    result["load"] = {"generator": "locust", "form": FORM, "pace": PACE,
                      "peak_users": Run.peak}
    result["comparison"] = report.compare(result, server, why)

    if Run.floor:
        result["floor"] = report.figures(Run.floor.times.get(FLOOR, []), 0)

    with open(REPORT, "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")

    report.show(result)
    print(f"\nwritten: {REPORT}")
    environment.process_exit_code = 0 if result["passed"] else 1

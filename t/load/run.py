"""`make load`: locustfile.py against a server of its own; see .ci/load.sh."""

import os
import resource
import signal
import subprocess
import sys

import server
import sessions

FORM = os.environ.get("LOAD") or "default"
WORKERS = 2
USERS = 200                 # connections; more than users ever are
SPARE = 60                  # seconds for start and end


def locust(port):
    """Its exit code: 0 if the thresholds are met."""
    seconds = sum(s for s, _ in sessions.STAGES[FORM])
    log = f"{server.OUT}/locust.log"
    command = [sys.executable, "-B", "-m", "locust", "--headless",
               "--only-summary", "--stop-timeout", "10",
               "-f", f"{server.HERE}/locustfile.py"]
    env = {**os.environ, "API_BASE": f"http://127.0.0.1:{port}",
           "LOAD_FLOOR": server.FLOOR,
           "LOAD_REPORT": f"{server.OUT}/performance_report.json"}

    with open(log, "w") as f:
        process = subprocess.Popen(command, env=env, stderr=f,
                                   stdin=subprocess.DEVNULL)
        try:
            return process.wait(seconds + SPARE)
        except subprocess.TimeoutExpired:
            print(f"locust does not end, see {log}")
            return 1
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def clients_cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    if FORM not in sessions.STAGES:
        raise SystemExit("LOAD is short or long")

    with server.module(WORKERS, USERS) as (nginx, port):
        seconds = sum(s for s, _ in sessions.STAGES[FORM])
        most = max(n for _, n in sessions.STAGES[FORM])
        print(f"up to {most} users for {seconds} s", flush=True)
        cpu = server.Cpu(nginx)
        code = locust(port)
        server.show_cores(cpu.used(clients_cpu()))
        alerts = nginx.alerts()

    for line in alerts[:20]:
        print(line)

    if code or alerts:
        print("FAILED")
        sys.exit(1)


main()

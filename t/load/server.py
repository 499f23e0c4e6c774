"""What the load tests are run against: nginx with the module as make run has
it, plain nginx beside it, and what their workers take of the machine.  The
database is that of .ci/load.sh."""

import contextlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

import servers                                              # noqa: E402

BUILD = os.environ["LOAD_BUILD"]
OUT = f"{BUILD}/load"
USER = os.environ["LOAD_USER"]          # of the workers; empty: whose this is
SOCKET = os.environ["SF_TEST_PG_SOCKET"]
POSTMASTER = int(os.environ["LOAD_POSTMASTER"])

BYPASS = os.environ.get("LOAD_BYPASS") == "1"

FLOOR = "/floor"
QUIET = 0.05                # share of the cores that others may use
ROOM = 1024                 # connections beside those of clients


def module_conf(port, ttl):
    return f"""
    {servers.DECLARED}
    softfactory_zone load 256m;

    # the clients stand for many, and have one address
    softfactory_fair_key $connection;

    upstream primary {{
        server unix:{SOCKET};
        softfactory_pg "dbname=softfactory user=app";
    }}

    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;
        softfactory_slow 500ms;

        location /api/ {{
            softfactory_pass primary;
            softfactory_jwt_secret {servers.SECRET};
            softfactory_token demo_token user=1 products=all;
            {"softfactory_cache_bypass 1;" if BYPASS else ""}
            {f"softfactory_cache_ttl all {ttl}s;" if ttl else ""}
        }}

        location = /metrics {{
            softfactory_metrics;
        }}

        location = /softfactory/report {{
            softfactory_report;
        }}

        location = /softfactory/status {{
            softfactory_status load;
        }}

        location = /status {{
            softfactory_status load;
        }}

        location = {FLOOR} {{
            return 200 "{{}}\\n";
        }}
    }}
""".encode()


def plain_conf(port):
    return f"""
    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;

        location / {{
            default_type application/json;
            return 200 "{{}}\\n";
        }}
    }}
""".encode()


@contextlib.contextmanager
def plain(workers, connections):
    nginx = servers.Nginx(f"{OUT}/nginx-plain", workers, USER,
                          connections + ROOM)
    port = servers.free_port()

    try:
        nginx.start([], plain_conf(port), port)
        settle(nginx)
        yield nginx, port
    finally:
        nginx.stop()


@contextlib.contextmanager
def module(workers, connections, ttl=None):
    """One with an empty zone that has begun to listen; ttl: of all answers,
    in seconds."""
    nginx = servers.Nginx(f"{OUT}/nginx", workers, USER, connections + ROOM)
    port = servers.free_port()

    try:
        nginx.start([f"{BUILD}/ngx_http_softfactory_module.so"],
                    module_conf(port, ttl), port)
        settle(nginx)
        servers.coherent(port)
        yield nginx, port
    finally:
        nginx.stop()


def settle(nginx):
    """Waits for all workers, which come after the port is open."""
    while len(servers.children(nginx.process.pid)) < nginx.workers:
        time.sleep(0.1)
    time.sleep(0.5)


def memory(nginx):
    """KB of its workers: all that is resident, and that without the zone,
    which they share."""
    all_ = shared = 0

    for pid in servers.children(nginx.process.pid):
        with open(f"/proc/{pid}/status") as f:
            kb = dict(line.split(":", 1) for line in f)
        all_ += int(kb["VmRSS"].split()[0])
        shared += int(kb["RssShmem"].split()[0])

    return {"resident_kb": all_, "own_kb": all_ - shared}


class Cpu:
    """Cores that are used, by whom; the database and the clients may be on
    other cores than nginx, programs that are no part of the test as well."""

    def __init__(self, nginx):
        self.nginx = nginx
        self.before = self.now()

    def now(self):
        busy, idle = servers.machine_cpu()
        return {"nginx": self.nginx.cpu(),
                "postgresql": servers.cpu(POSTMASTER),
                "others": busy, "time": busy + idle}

    def used(self, clients):
        """clients: their CPU seconds."""
        now = self.now()
        spent = {k: now[k] - v for k, v in self.before.items()}
        seconds = spent.pop("time") / os.cpu_count()
        spent["clients"] = clients
        spent["others"] -= sum(v for k, v in spent.items() if k != "others")
        return {k: round(max(v, 0) / seconds, 2) for k, v in spent.items()}


def show_cores(cores):
    quiet = cores["others"] <= QUIET * os.cpu_count()
    print(f"cores, of {os.cpu_count()}: "
          + ", ".join(f"{k} {v}" for k, v in cores.items())
          + ("" if quiet else ": NOT QUIET"))

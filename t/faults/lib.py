"""What the fault tests share; python3's standard library only.

A test is a file NN-name.py with a function run(t) and, at its end,

    lib.main(__file__, run)

t counts (t.ok), keeps figures (t.figure) and undoes (t.defer).  Everything a
test starts is its own: a PostgreSQL by .ci/postgres.sh, an nginx in a prefix
of its own, a load generator and a heartbeat in processes of their own, so
that the test's work does not show in their latencies.  Clocks are monotonic
and so the same in all of them.

    FAULTS=short        the form of at most three minutes
    SF_FAULTS_ASAN=1    build/asan/nginx in place of the machine's nginx
    SF_FAULTS_NGINX     another nginx than that
    SF_FAULTS_MODULE    another module than build/faults/module.so
    SF_FAULTS_KEEP=1    the shared PostgreSQL is left running (.ci/faults.sh)
"""

import asyncio
import atexit
import base64
import hashlib
import hmac
import json
import math
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(1, os.path.join(TOP, "t", "lib"))

from patience import Patience                                  # noqa: E402

BUILD = os.path.join(TOP, "build")
HOME = os.environ.get("SF_FAULTS_HOME") or os.path.join(BUILD, "faults")

SHORT = os.environ.get("FAULTS") == "short"
ASAN = os.environ.get("SF_FAULTS_ASAN") == "1"
ROOT = os.geteuid() == 0

# a worker that waits for something waits for seconds; this machine's noise
# is well below.  The aim is 50 ms for the 99th percentile.

BEAT_P99 = 250 if ASAN else 50
BEAT_MAX = 900 if ASAN else 400

TOKEN = {"Authorization": "Bearer demo_token"}
SECRET = "a secret of the fault tests"


def now():
    return time.monotonic()


def percentile(values, p):
    values = sorted(values)
    if not values:
        return 0.0
    return values[min(len(values) - 1, math.ceil(len(values) * p) - 1)]


def wait_for(what, seconds, step=0.02):
    """Polls until what() is true; its value, or the last false one."""
    end = now() + seconds
    while True:
        value = what()
        if value or now() > end:
            return value
        time.sleep(step)


def jwt(user, seconds=3600):
    """Headers with a token of that user, signed with SECRET."""
    def text(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"user_id": user, "type": "access",
              "exp": int(time.time()) + seconds}
    signed = ".".join(text(json.dumps(part).encode()) for part in (
        {"alg": "HS256", "typ": "JWT"}, claims))
    mac = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return {"Authorization": "Bearer %s.%s" % (signed, text(mac))}


def digest(body):
    return hashlib.md5(body).hexdigest()


def free_port(first=0):
    for _ in range(200):
        port = first or random.randrange(20000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                first = first and first + 1
    raise RuntimeError("no free port")


# --- results ---

class Test:

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.figures = {}
        self.failures = []
        self.undo = []
        self.servers = []

    def ok(self, good, what, detail=""):
        n = self.passed + self.failed + self.skipped + 1
        if good:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append("%s: %s" % (what, detail))
        print("%sok %d - %s%s" % ("" if good else "not ", n, what,
                                  "  # %s" % (detail,) if detail != "" else ""),
              flush=True)
        return good

    def skip(self, what, why):
        self.skipped += 1
        print("ok %d - %s # SKIP %s" % (self.passed + self.failed
                                        + self.skipped, what, why),
              flush=True)

    def note(self, text):
        print("# " + text, flush=True)

    def figure(self, name, value, unit=""):
        if isinstance(value, float):
            value = round(value, 2)
        self.figures[name] = value
        print("# figure: %s = %s%s" % (name, value, unit and " " + unit),
              flush=True)

    def defer(self, undo):
        self.undo.append(undo)
        return undo

    def beat_ok(self, beat, what, since=0, until=None, without=()):
        """The promise of fault 5: no worker ever blocks, but those that the
        test itself has stopped."""
        ms = [b["ms"] for b in beat.window(since, until)
              if b["pid"] not in without]
        p50, p99, most = (percentile(ms, 0.5), percentile(ms, 0.99),
                          max(ms, default=0))

        # what a process that only sleeps suffers here by other processes

        slept = [b["slept"] for b in beat.window(since, until)]
        noise = percentile(slept, 0.99)
        self.figure("heartbeat, %s: n" % what, len(ms))
        self.figure("heartbeat, %s: p50/p99/max" % what,
                    "%.1f/%.1f/%.1f" % (p50, p99, most), "ms")
        self.ok(len(ms) >= 10 and p99 <= BEAT_P99 + 2 * noise
                and most <= BEAT_MAX + 2 * max(slept, default=0),
                "workers never block: " + what,
                "n=%d p99=%.1f max=%.1f ms, machine's noise p99=%.1f"
                % (len(ms), p99, most, noise))


def main(path, run):
    t = Test(os.path.basename(path)[:-3])
    print("== %s" % t.name, flush=True)
    started = now()

    def terminate(number, frame):
        raise KeyboardInterrupt("signal %d" % number)

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    atexit.register(unwind, t)
    try:
        run(t)
    except BaseException as e:
        traceback.print_exc(file=sys.stdout)
        t.ok(False, "ran to its end", repr(e))
    finally:
        unwind(t)
    t.figure("seconds", now() - started, "s")
    with open(os.path.join(HOME, t.name + ".json"), "w") as f:
        json.dump({"name": t.name, "passed": t.passed, "failed": t.failed,
                   "skipped": t.skipped, "failures": t.failures,
                   "figures": t.figures}, f, indent=1)
    print("%d passed, %d failed" % (t.passed, t.failed), flush=True)
    sys.exit(1 if t.failed else 0)


def unwind(t):
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, signal.SIG_IGN)
    while t.undo:
        try:
            t.undo.pop()()
        except Exception:
            traceback.print_exc(file=sys.stdout)
            t.ok(False, "cleaned up")


# --- PostgreSQL ---

class Postgres:
    """One by .ci/postgres.sh; `name` other than "pg" is this test's alone."""

    def __init__(self, t, name="pg", netns=None, load=True):
        self.t = t
        self.at = os.path.join(HOME, name)
        self.netns = netns
        shared = name == "pg"
        if shared:
            self.script("start")
        else:
            self.script("remove")
            self.script("start", str(free_port(random.randrange(16000,
                                                                19000))))
        if not shared or os.environ.get("SF_FAULTS_KEEP") != "1":
            t.defer(lambda: self.script("stop" if shared else "remove"))
        if load:
            self.script("load", "small")
        env = dict(re.findall(r"(SF_TEST_\w+)=(\S+)", self.script("env")))
        self.dir = env["SF_TEST_PG_DIR"]
        self.port = int(env["SF_TEST_PG_PORT"])
        self.socket = env["SF_TEST_PG_SOCKET"]
        self.bin = env["SF_TEST_PG_BIN"]
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "pg.log")
        self.unix = "unix:" + self.socket
        self.tcp = "127.0.0.1:%d" % self.port

    def script(self, action, *args):
        cmd = [os.path.join(TOP, ".ci/postgres.sh"), action, self.at, *args]
        if self.netns:
            cmd = ["ip", "netns", "exec", self.netns] + cmd
        done = subprocess.run(cmd, stdin=subprocess.DEVNULL, timeout=300,
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("%s: %s%s" % (action, done.stdout,
                                             done.stderr))
        return done.stdout

    def ctl(self, *args, check=True):
        cmd = [self.bin + "/pg_ctl", "-D", self.data, "-s", *args]
        if ROOT:
            cmd = ["runuser", "-u", "postgres", "--"] + cmd
        if self.netns:
            cmd = ["ip", "netns", "exec", self.netns] + cmd
        done = subprocess.run(cmd, cwd="/", stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=120)
        if check and done.returncode:
            raise RuntimeError("pg_ctl %s: %d" % (args, done.returncode))

    def stop(self, mode="fast"):
        self.ctl("stop", "-m", mode, "-w")

    def start(self):
        self.ctl("start", "-w", "-l", self.log, "-o", "-p %d" % self.port)

    def restart(self, mode="fast"):
        self.ctl("restart", "-m", mode, "-w", "-l", self.log,
                 "-o", "-p %d" % self.port)

    def psql(self, db="softfactory", user="postgres"):
        return ["psql", "-h", self.dir, "-p", str(self.port), "-U", user,
                "-d", db, "-XAtq", "-v", "ON_ERROR_STOP=1"]

    def sql(self, text, db="softfactory", user="postgres"):
        done = subprocess.run(self.psql(db, user), input=text, text=True,
                              capture_output=True, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def session(self, db="softfactory"):
        s = Session(self.psql(db))
        self.t.defer(s.close)
        return s

    def set(self, restart=False, **settings):
        """ALTER SYSTEM; undone when the test ends unless the server is its
        own."""
        for name, value in settings.items():
            self.sql("ALTER SYSTEM SET %s = '%s'" % (name, value))
        if restart:
            self.restart()
        else:
            self.sql("SELECT pg_reload_conf()")
            time.sleep(0.1)

    def reset(self):
        self.sql("ALTER SYSTEM RESET ALL")
        self.sql("SELECT pg_reload_conf()")

    def backends(self, like="softfactory%"):
        rows = self.sql("SELECT pid, application_name FROM pg_stat_activity "
                        "WHERE application_name LIKE '%s' "
                        "AND usename = 'app' ORDER BY backend_start" % like)
        return [(int(r.split("|")[0]), r.split("|")[1])
                for r in rows.split("\n") if r]

    def terminate(self, like="softfactory%"):
        return int(self.sql("SELECT count(pg_terminate_backend(pid)) FROM "
                            "pg_stat_activity WHERE usename = 'app' AND "
                            "application_name LIKE '%s'" % like))

    def postmaster(self):
        with open(os.path.join(self.data, "postmaster.pid")) as f:
            return int(f.readline())

    def stopped(self, pid):
        """SIGSTOP for one of its processes, for as long as `with` lasts."""
        return Stopped(self.t, pid)

    def executed(self, mark, name):
        """How often a statement ran since then; needs log_statement=all."""
        return len(re.findall(r"execute [^:\n]*: /\* %s \*/" % name,
                              self.since(mark)))

    def notify(self, *payloads):
        """In one transaction, so equal ones count once."""
        self.sql("".join("SELECT pg_notify(name, '%s') IS NULL"
                         " FROM softfactory.channel;\n"
                         % p.replace("'", "''") for p in payloads))

    def mark(self):
        return os.path.getsize(self.log)

    def since(self, mark):
        with open(self.log, errors="replace") as f:
            f.seek(mark)
            return f.read()


# campaigns/{id} that fails at will: a view in front of the table, for an
# upstream with schema=poison, where the other tables are views, too

POISON = """
DROP SCHEMA IF EXISTS poison CASCADE;
CREATE SCHEMA poison;
CREATE TABLE poison.rules (id int PRIMARY KEY, action text, once boolean);
CREATE FUNCTION poison.go(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r poison.rules;
BEGIN
    SELECT * INTO r FROM poison.rules WHERE id = n;
    IF NOT FOUND THEN
        RETURN 'fine';
    ELSIF r.action LIKE 'sleep %' THEN
        PERFORM pg_sleep(substr(r.action, 7)::float8);
        RETURN 'slept';
    ELSIF r.action = 'deallocate' THEN
        EXECUTE 'DEALLOCATE ALL';
        RETURN 'deallocated';
    ELSIF r.action = 'terminate' THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
        PERFORM pg_sleep(1);
    ELSIF r.once THEN
        -- a session's advisory lock outlives the transaction that fails
        IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'
                   AND pid = pg_backend_pid() AND objid = n) THEN
            RETURN 'the second time';
        END IF;
        PERFORM pg_advisory_lock(n);
    END IF;
    RAISE EXCEPTION 'poison %', n USING ERRCODE = r.action;
END $$;
CREATE VIEW poison.campaigns AS
    SELECT i AS id, 1 AS creator_id, poison.go(i) AS title,
           'p'::text AS product_name, repeat('d', 50 * (i % 7)) AS description,
           'c'::text AS category, 't'::text AS reward_type,
           'v'::text AS reward_value, 5 AS max_reviewers,
           timestamp '2030-01-01' AS deadline, 'active'::text AS status,
           timestamp '2026-01-01' AS created_at
    FROM generate_series(1, 2000) i;
DO $$
DECLARE
    t name;
BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
             AND tablename <> 'campaigns' LOOP
        EXECUTE format('CREATE VIEW poison.%1$I AS TABLE public.%1$I', t);
    END LOOP;
END $$;
GRANT ALL ON SCHEMA poison TO app;
GRANT ALL ON ALL TABLES IN SCHEMA poison TO app;
"""


def poison(t, pg, rules):
    """rules: {id: "SQLSTATE", "SQLSTATE once" or an action}"""
    values = ["(%d, '%s', %s)" % (n, a.replace(" once", ""), "once" in a)
              for n, a in rules.items()]
    pg.sql(POISON + "INSERT INTO poison.rules VALUES %s;" % ",".join(values))
    t.defer(lambda: pg.sql("DROP SCHEMA poison CASCADE"))


class Stopped:

    def __init__(self, t, pid):
        self.pid = pid
        self.undo = t.defer(self.cont)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *unused):
        self.cont()

    def cont(self):
        try:
            os.kill(self.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


class Session:
    """A psql that stays: to hold a lock, or connections."""

    def __init__(self, cmd):
        self.p = subprocess.Popen(cmd, stdin=subprocess.PIPE, text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, bufsize=1)

    def send(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()

    def run(self, text, seconds=120):
        self.send(text + ";\n\\echo ---done---")
        lines = []
        with Patience(self.p, seconds, "psql: " + text[:200]):
            for line in self.p.stdout:
                if line.strip() == "---done---":
                    return "\n".join(lines)
                lines.append(line.rstrip("\n"))
        raise RuntimeError("psql ended: " + "\n".join(lines))

    def close(self):
        if self.p.poll() is None:
            self.p.stdin.close()
            try:
                self.p.wait(5)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
            self.p.stdout.close()


# --- nginx ---

CONF = """
{load}
{user}
worker_processes {workers};
worker_rlimit_nofile {nofile};
pid logs/nginx.pid;
error_log logs/error.log info;
{main}

events {{
    worker_connections {connections};
}}

http {{
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    log_format f '$msec $status $request_time $pid $request_uri';
    access_log logs/access.log f;
    keepalive_requests 1000000;
    softfactory_fair_key $connection;
    include {api}/*.conf;
    {http}

    upstream primary {{
        {servers}
        softfactory_pg "{pg}" schema={schema};
        softfactory_pg_pool {pool};
        {upstream}
    }}

    server {{
        listen 127.0.0.1:{port}{listen};
        add_header X-Pid $pid always;
        {server}

        location /api/ {{
            softfactory_pass primary;
            softfactory_token demo_token user=1 products=all;
        }}

        location = /health {{
            softfactory_pass primary;
        }}

        location = /ready {{
            softfactory_pass primary;
        }}

        location = /beat {{
            return 200 "$pid\\n";
        }}
    }}
}}
"""

# with zone="4m"

ZONE = """
    softfactory_zone api %s;
    softfactory_jwt_secret "%s";
"""

OPERATORS = """
        location = /status {
            softfactory_status api;
        }

        location = /purge {
            softfactory_purge api;
        }
"""

BAD = re.compile(r"\[(?:alert|crit|emerg)\]|exited with code [1-9]"
                 r"|exited on signal")


class Nginx:

    def __init__(self, t, servers, start=True, expect=(), **words):
        self.t = t
        self.name = "nginx%d" % len(t.servers)
        self.prefix = os.path.join(HOME, t.name, self.name)
        self.expect = [re.compile(e) for e in expect]
        self.words = {"pg": "dbname=softfactory user=app",
                      "schema": "public",
                      "pool": "connections=2 heavy=1 write=2",
                      "workers": 2, "connections": 1024, "nofile": 16384,
                      "main": "", "http": "", "server": "", "upstream": "",
                      "zone": "", "listen": " reuseport backlog=4096"}
        self.words.update(words)
        self.port = self.words.setdefault("port", free_port())
        self.servers = [servers] if isinstance(servers, str) else servers
        self.conf = os.path.join(self.prefix, "conf/nginx.conf")
        shutil.rmtree(self.prefix, ignore_errors=True)
        for d in ("conf", "logs", "tmp", "asan"):
            os.makedirs(os.path.join(self.prefix, d))
        os.chmod(os.path.join(self.prefix, "asan"), 0o777)
        self.master = 0
        self.stopped = False
        self.write()
        t.servers.append(self)
        if start:
            self.start()

    def write(self, **words):
        self.words.update(words)
        w = dict(self.words)
        module = os.environ.get("SF_FAULTS_MODULE")
        if not module:
            module = HOME + "/module.so"
            if not os.path.exists(module):
                module = BUILD + "/ngx_http_softfactory_module.so"
        w["api"] = os.path.join(TOP, "conf/api")
        w["load"] = "" if ASAN else "load_module %s;" % module
        w["user"] = "user www-data;" if ROOT else ""
        if w["zone"]:
            w["http"] = ZONE % (w["zone"], SECRET) + w["http"]
            w["server"] = OPERATORS + w["server"]
        w["servers"] = "\n        ".join(
            s if s.endswith(";") else "server %s;" % s for s in self.servers)
        with open(self.conf, "w") as f:
            f.write(CONF.format(**w))

    def command(self, *args):
        binary = "/usr/sbin/nginx"
        env = dict(os.environ)
        if ASAN:
            binary = os.environ.get("SF_FAULTS_NGINX",
                                    os.path.join(BUILD, "asan/nginx"))
            suppress = os.path.join(HOME, "lsan.suppress")
            with open(suppress, "w") as f:
                f.write("leak:ngx_event_process_init\n")
            env["ASAN_OPTIONS"] = ("detect_leaks=1,log_path=%s/asan/asan"
                                   % self.prefix)
            env["LSAN_OPTIONS"] = ("suppressions=%s:print_suppressions=0"
                                   % suppress)
            env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        return subprocess.run([binary, "-p", self.prefix + "/", "-e",
                               "logs/error.log", "-c", "conf/nginx.conf",
                               *args], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def start(self):
        done = self.command()
        if done.returncode:
            raise RuntimeError("nginx: " + done.stderr)
        self.t.defer(self.stop)
        self.master = wait_for(self.pid, 20)
        if not wait_for(lambda: len(self.workers())
                        == self.words["workers"], 20):
            raise RuntimeError("waited 20 s for nginx's workers")

    def pid(self):
        try:
            with open(os.path.join(self.prefix, "logs/nginx.pid")) as f:
                return int(f.read())
        except (OSError, ValueError):
            return 0

    def signal(self, number):
        os.kill(self.master, number)

    def reload(self):
        """HUP; returns once the new workers are there."""
        old = set(self.workers())
        self.signal(signal.SIGHUP)
        if not wait_for(lambda: len(set(self.workers()) - old)
                        >= self.words["workers"], 20):
            raise RuntimeError("no new workers after a reload")
        return old

    def workers(self, master=0):
        """Pids of its workers, those that are shutting down included."""
        master = master or self.master
        return [p for p in children(master)
                if title(p).startswith("nginx: worker process")]

    def live(self):
        return [p for p in self.workers() if "shutting" not in title(p)]

    def kill(self, pid, inside=False):
        """kill -9 of a worker, the only way in which it may die; inside the
        zone's mutex, and nginx says that too."""
        self.expect.append(re.compile(
            r"worker process %d exited on signal 9|locked by %d\b"
            % (pid, pid)))
        if not inside:
            os.kill(pid, signal.SIGKILL)

    def fds(self):
        return {p: fd_count(p) for p in self.live()}

    def stop(self):
        if self.stopped:
            return
        self.stopped = True
        for pid in {self.master, self.pid()} - {0}:
            end(pid)
        self.gate()

    def errors(self):
        with open(os.path.join(self.prefix, "logs/error.log"),
                  errors="replace") as f:
            return f.read()

    def statuses(self):
        with open(os.path.join(self.prefix, "logs/access.log")) as f:
            return [line.split() for line in f]

    def gate(self):
        bad = [line for line in self.errors().split("\n")
               if BAD.search(line)
               and not any(e.search(line) for e in self.expect)]
        for name in os.listdir(os.path.join(self.prefix, "asan")):
            with open(os.path.join(self.prefix, "asan", name),
                      errors="replace") as f:
                bad += ["%s: %s" % (name, line.strip())
                        for line in f.read().split("\n")[:40]]
        for line in bad[:40]:
            self.t.note(line)
        self.t.ok(not bad, "%s: no alert, no worker died" % self.name,
                  "%d lines" % len(bad) if bad else "")

    # requests, one connection each

    def get(self, path, headers=None, timeout=30, method="GET"):
        c = Client(self.port)
        try:
            return c.get(path, headers, timeout, method)
        finally:
            c.close()

    def status(self):
        return self.get("/status").json()

    def cache(self):
        return self.status()["cache"]

    def source(self):
        return self.status()["sources"][0]

    def listening(self, seconds=15, owner=None):
        """Waits for a listener that has looked at all tables; its pid."""
        def good():
            s = self.source()
            return (s["coherent"] and not s["uncovered"]
                    and owner in (None, s["listener_pid"])
                    and s["listener_pid"])

        return wait_for(good, seconds, 0.05)

    def calm(self, seconds=10):
        """Waits until nothing is pinned and nothing is being made."""
        wait_for(lambda: not self.loose(), seconds, 0.05)
        return self.cache()

    def loose(self):
        cache = self.cache()
        return {k: cache[k] for k in ("pins", "pinned_bytes",
                                      "fills_under_way") if cache[k]}

    def campaign(self, number=1, **more):
        return self.get("/api/review/campaigns/%d" % number, **more)

    def ready(self, seconds=10):
        """Waits until every worker answers 200; the seconds it took."""
        start = now()
        c = per_worker(self.port, len(self.live()))
        try:
            for one in c.values():
                if not wait_for(lambda: one.get(
                        "/api/review/campaigns/1").status == 200,
                        seconds - (now() - start)):
                    raise RuntimeError("a worker does not answer 200")
        finally:
            for one in c.values():
                one.close()
        return now() - start


def children(pid):
    found = []
    for p in os.listdir("/proc"):
        if not p.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % p) as f:
                if int(f.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(p))
        except (OSError, ValueError):
            pass
    return found


def title(pid):
    try:
        with open("/proc/%d/cmdline" % pid) as f:
            return f.read().replace("\0", " ").strip()
    except OSError:
        return ""


def fd_count(pid):
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return 0


def rss(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) // 1024
    except (OSError, TypeError):
        return 0


def alive(pid):
    return title(pid) != ""


def end(pid):
    """Ends an nginx master that this test started."""
    for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        if not title(pid).startswith("nginx: master"):
            return
        workers = children(pid)
        os.kill(pid, number)
        wait_for(lambda: not alive(pid), seconds)
        if number == signal.SIGKILL:
            for w in workers:
                if title(w).startswith("nginx: worker"):
                    os.kill(w, signal.SIGKILL)


# --- one HTTP/1.1 connection ---

class Response:

    def __init__(self, status, headers, body, ms):
        self.status, self.headers, self.body, self.ms = (status, headers,
                                                         body, ms)

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d in %.0f ms: %s" % (self.status, self.ms,
                                      self.body[:80])


def request(path, headers=None, method="GET"):
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: localhost"]
    lines += ["%s: %s" % h for h in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Stamped(socket.socket):
    """Knows when what it has read last had come, however late it is read."""

    NANOSECONDS = 35            # SO_TIMESTAMPNS, and so the message's type
    at = 0.0                    # time.time()

    def recv(self, n):
        data, messages, _, _ = self.recvmsg(n, 64)
        for _, kind, stamp in messages:
            if kind == self.NANOSECONDS:
                s, ns = struct.unpack("qq", stamp[:16])
                self.at = s + ns / 1e9
        return data


class Client:

    def __init__(self, port, rcvbuf=0, stamped=False):
        self.s = (Stamped if stamped else socket.socket)()
        if stamped:
            self.s.setsockopt(socket.SOL_SOCKET, Stamped.NANOSECONDS, 1)
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.s.settimeout(10)
        self.s.connect(("127.0.0.1", port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""

    def send(self, data):
        self.s.sendall(data)

    def get(self, path, headers=None, timeout=30, method="GET"):
        start = now()
        self.send(request(path, headers, method))
        r = self.read(timeout, method)
        r.ms = (now() - start) * 1000
        return r

    def read(self, timeout=30, method="GET"):
        """One response; status 0 when there is none."""
        start = now()
        self.s.settimeout(timeout)
        try:
            while b"\r\n\r\n" not in self.buf:
                more = self.s.recv(65536)
                if not more:
                    return Response(0, {}, b"closed", (now() - start) * 1e3)
                self.buf += more
            head, _, self.buf = self.buf.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            status = int(lines[0].split()[1])
            length = int(headers.get("content-length", 0))
            if method == "HEAD":
                length = 0
            while len(self.buf) < length:
                more = self.s.recv(65536)
                if not more:
                    return Response(0, headers, b"cut", (now() - start) * 1e3)
                self.buf += more
            body, self.buf = self.buf[:length], self.buf[length:]
            return Response(status, headers, body, (now() - start) * 1000)
        except socket.timeout:
            return Response(0, {}, b"timeout", (now() - start) * 1000)
        except OSError as e:
            return Response(0, {}, str(e).encode(), (now() - start) * 1000)

    def reset(self):
        """Closes with a RST."""
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          b"\1\0\0\0\0\0\0\0")
        self.s.close()

    def close(self):
        self.s.close()


def per_worker(port, n):
    """A connection to each of n workers: {pid: Client}."""
    found = {}
    extra = []
    for _ in range(40 * n):
        c = Client(port)
        r = c.get("/beat")
        pid = int(r.headers.get("x-pid", 0))
        if pid in found or not pid:
            extra.append(c)
        else:
            found[pid] = c
        if len(found) == n:
            break
    for c in extra:
        c.close()
    return found


def crowd(port, n, **options):
    """n connections, by the worker that has each: {pid: [Client, ...]}."""
    found = {}
    for _ in range(n):
        c = Client(port, **options)
        pid = int(c.get("/beat").headers["x-pid"])
        found.setdefault(pid, []).append(c)
    return found


# --- processes that measure: python3 lib.py load|beat OPTIONS ---

class Measure:

    def __init__(self, t, kind, **options):
        self.out = os.path.join(HOME, "%s-%s-%d.out" % (t.name, kind,
                                                        len(t.undo)))
        options["out"] = self.out
        self.p = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), kind,
             json.dumps(options)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        t.defer(self.stop)
        self.records = None
        with Patience(self.p, 60, "the process that makes the " + kind):
            self.p.stdout.readline()

    def stop(self):
        if self.records is None:
            try:
                self.p.stdin.close()
                self.p.wait(40)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
            self.p.stdout.close()
            try:
                with open(self.out) as f:
                    self.records = [json.loads(line) for line in f]
                os.unlink(self.out)
            except OSError:
                self.records = []
        return self

    def window(self, since=0, until=None):
        return [r for r in self.records
                if r["at"] >= since and (until is None or r["at"] <= until)]


class Load(Measure):
    """Closed loop of HTTP clients; every answer is a record.

    at      when it was sent        ms      how long it took
    status  0: no answer            error   why, or None
    pid     of the worker           path
    cache   X-Cache                 found   what the regex `find` has found

    bodies  {path: digest}          headers of the requests
    """

    def __init__(self, t, port, paths, conns=16, pause=0.02, close=False,
                 timeout=30, find=None, bodies=None, headers=TOKEN):
        super().__init__(t, "load", port=port, paths=paths, conns=conns,
                         pause=pause, close=close, timeout=timeout,
                         find=find, bodies=bodies or {}, headers=headers)

    def errors(self, since=0, until=None):
        return [r for r in self.window(since, until)
                if r["status"] != 200 or r["error"]]

    def summary(self, since=0, until=None):
        counts = {}
        for r in self.window(since, until):
            key = r["error"] or r["status"]
            counts[key] = counts.get(key, 0) + 1
        return " ".join("%s:%d" % kv for kv in sorted(counts.items(),
                                                      key=str))

    def first_ok(self, since):
        """Seconds from `since` until each worker had answered 200."""
        first = {}
        for r in self.window(since):
            if r["status"] == 200:
                done = r["at"] + r["ms"] / 1000
                first[r["pid"]] = min(first.get(r["pid"], done), done)
        return max((x - since for x in first.values()), default=math.inf)


class Beat(Measure):
    """A request to /beat of each worker, every few milliseconds.  Not of
    those that the test will stop: a connection to one would hang."""

    def __init__(self, t, port, workers=2, every=0.01, without=()):
        super().__init__(t, "beat", port=port, workers=workers, every=every,
                         without=list(without))


# --- how old answers are ---

class Writer(threading.Thread):
    """Changes the title of a campaign every few milliseconds, and knows when
    each change was committed."""

    ID = 7
    FIND = r'"title":"n=(\d+)"'

    def __init__(self, t, pg, every=0.05):
        super().__init__(daemon=True)
        self.session = pg.session()
        self.every = every
        self.done = []
        self.going = True
        t.defer(self.stop)
        self.start()

    def run(self):
        while self.going:
            self.session.run("UPDATE campaigns SET title = 'n=%d' "
                             "WHERE id = %d" % (len(self.done), self.ID))
            self.done.append(now())
            time.sleep(self.every)

    def stop(self):
        self.going = False
        self.join(20)

    def age(self, record):
        """For how long the answer had not been true any more when it was
        asked for; None: it says nothing."""
        if record["status"] != 200 or record["found"] is None:
            return None
        n = int(record["found"]) + 1
        return max(0, record["at"] - self.done[n]) if n < len(self.done) else 0

    def ages(self, records):
        return [a for a in map(self.age, records) if a is not None]

    def gap(self, since, until):
        """The longest time without a change."""
        at = [since] + [d for d in self.done if since < d < until] + [until]
        return max(b - a for a, b in zip(at, at[1:]))


def detail_paths(n=150):
    return ["/api/review/campaigns/%d" % (i + 1) for i in range(n)]


MIXED = detail_paths(60) + [
    "/api/review/campaigns", "/api/review/listings?platform=amazon",
    "/api/sns/accounts", "/api/sns/posts", "/api/dashboard/summary",
    "/api/review/listings?page=2", "/api/review/my-applications"]


def watch_stdin(loop):
    """The parent closes our stdin when it wants the results, or dies."""
    done = asyncio.Event()
    loop.add_reader(0, lambda: os.read(0, 1) or done.set())
    return done


async def load_main(o):
    done = watch_stdin(asyncio.get_running_loop())
    records = []
    turn = [random.randrange(len(o["paths"]))]
    headers = dict(o["headers"], **({"Connection": "close"} if o["close"]
                                    else {}))
    find = o["find"] and re.compile(o["find"].encode())

    async def client():
        r = w = None
        await asyncio.sleep(random.random() * max(o["pause"], 0.02))
        while not done.is_set():
            turn[0] += 1
            path = o["paths"][turn[0] % len(o["paths"])]
            again = False
            start = now()
            while True:
                error, status, found = None, 0, None
                head = {}
                fresh = w is None
                try:
                    if fresh:
                        r, w = await asyncio.wait_for(
                            asyncio.open_connection("127.0.0.1", o["port"],
                                                    limit=1 << 22),
                            o["timeout"])
                    w.write(request(path, headers))
                    status, head, body = await asyncio.wait_for(
                        read_response(r), o["timeout"])
                    error = check(path, status, body, o["bodies"])
                    found = find and find.search(body)
                except asyncio.TimeoutError:
                    error = "timeout"
                except asyncio.IncompleteReadError as e:
                    # a kept-alive connection may be closed under a request:
                    # that is sent again (RFC 9112, 9.3.1)
                    if not fresh and not e.partial and not again:
                        again = True
                        w.close()
                        w = None
                        continue
                    error = "closed" if not e.partial else "cut"
                except OSError as e:
                    if not fresh and not again:
                        again = True
                        w.close()
                        w = None
                        continue
                    error = type(e).__name__
                break
            records.append({"at": start, "ms": (now() - start) * 1000,
                            "status": status, "error": error,
                            "pid": int(head.get("x-pid", 0)), "path": path,
                            "again": again, "cache": head.get("x-cache"),
                            "found": found and found[1].decode()})
            if w is not None and (status == 0 or o["close"]):
                w.close()
                w = None
            if o["pause"]:
                await asyncio.sleep(o["pause"] * (0.5 + random.random()))
        if w is not None:
            w.close()

    tasks = [asyncio.create_task(client()) for _ in range(o["conns"])]
    print("ready", flush=True)
    await done.wait()
    await asyncio.wait(tasks, timeout=35)
    save(o, records)


async def read_response(r):
    lines = (await r.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    head = {k.lower(): v for k, _, v in (x.partition(": ")
                                         for x in lines[1:])}
    body = await r.readexactly(int(head.get("content-length", 0)))
    return int(lines[0].split()[1]), head, body


def check(path, status, body, bodies=()):
    """An answer is somebody else's data?"""
    if status == 200 and path in bodies and digest(body) != bodies[path]:
        return "another body"
    m = re.fullmatch(r"/api/review/campaigns/(\d+)", path)
    if status == 200 and m and b'"id":%s,' % m[1].encode() not in body:
        return "another's data"
    return None


def beat_main(o):
    records = []
    conns = {}
    print("ready", flush=True)
    os.set_blocking(0, False)
    turn = 0
    while True:
        try:
            if os.read(0, 1) == b"":
                break
        except BlockingIOError:
            pass
        slept = now()
        time.sleep(o["every"])
        slept = (now() - slept - o["every"]) * 1000
        try:
            if len(conns) < o["workers"]:
                # at most one connection more a turn
                c = Client(o["port"])
                pid = int(c.get("/beat").headers.get("x-pid", 0))
                if pid and pid not in conns and pid not in o["without"]:
                    conns[pid] = c
                else:
                    c.close()
            if not conns:
                continue
            turn += 1
            pid = list(conns)[turn % len(conns)]
            start = now()
            r = conns[pid].get("/beat", timeout=20)
            records.append({"at": start, "ms": r.ms, "pid": pid,
                            "slept": slept, "status": r.status})
            if r.status != 200:
                # a worker that has gone; its connection's end is no stall
                if r.body != b"timeout":
                    records.pop()
                conns.pop(pid).close()
        except OSError:
            time.sleep(0.01)
    save(o, records)


def save(o, records):
    with open(o["out"] + ".new", "w") as f:
        for r in records:
            f.write(json.dumps(r) + "\n")
    os.rename(o["out"] + ".new", o["out"])


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    options = json.loads(sys.argv[2])
    if sys.argv[1] == "load":
        asyncio.run(load_main(options))
    else:
        beat_main(options)

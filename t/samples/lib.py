"""What the checks of samples and manuals share; python3's standard library
only.

A check gets a root of its own below build/, filled by `make install` and with
the files that the configurations name.  Paths of the machine in a text become
paths of that root, so nothing outside of it is read or written.

    SF_TEST_PG_*        the private PostgreSQL, as for the suite: .ci/test.sh
    SF_SAMPLES_HOME     build/test/samples
"""

import http.client
import os
import pwd
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
HOME = os.environ.get("SF_SAMPLES_HOME") or os.path.join(
    TOP, "build", "test", "samples")
NGINX = "/usr/sbin/nginx"
MODULE = "ngx_http_softfactory_module.so"
KEY = "a key of these tests, as the application has it"
PASSWORD = "secret"

# the public key of RFC 8037, A.2
JWKS = """{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
 "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
"""

ROOT = os.geteuid() == 0

# what the configurations name, as a regular expression

PATHS = re.compile(r"(?<![\w./-])/(?=(?:etc/(?:nginx|softfactory)|var/log/nginx"
                   r"|usr/share/(?:softfactory|nginx)|usr/lib/nginx"
                   r"|run/nginx|tmp/(?:nginx|resolver|body|proxy|fastcgi"
                   r"|uwsgi|scgi))(?![\w-]))")

# what nginx would write into the machine's folders

FILES = "    access_log %s/var/log/nginx/access.log;\n" + "".join(
    "    %s_temp_path %%s/tmp/%s;\n" % (name, name) for name in (
        "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


class Results:

    def __init__(self):
        self.passed = self.failed = 0

    def ok(self, good, what, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print("not ok: %s" % what)
            for line in str(detail).strip().splitlines()[-20:]:
                print("    " + line)
            sys.stdout.flush()
        return good

    def equal(self, is_, wanted, what):
        return self.ok(is_ == wanted, what,
                       "is  %.300r\nnot %.300r" % (is_, wanted))

    def end(self):
        print("%d passed, %d failed" % (self.passed, self.failed))
        sys.exit(self.failed > 0)


def wait_for(what, true, seconds=30):
    """Until true() is; what was waited for is part of the error."""
    end = time.monotonic() + seconds
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError("not within %d s: %s" % (seconds, what))
        time.sleep(0.05)


def free_port():
    for _ in range(200):
        port = random.randrange(20000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def run(*args, seconds=120, **kwargs):
    """Exit status and what it said; never longer than those seconds."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    try:
        done = subprocess.run(args, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds,
                              text=True, errors="replace", **kwargs)
    except subprocess.TimeoutExpired as e:
        said = e.stdout or b""
        return 124, "%snot done within %d s: %s" % (
            said.decode(errors="replace") if isinstance(said, bytes)
            else said, seconds, " ".join(args)[:200])
    return done.returncode, done.stdout


# --- a root ---

def workers_user():
    """Who the workers run as: www-data if it can enter this folder."""
    if not ROOT:
        return None
    status, _ = run("runuser", "-u", "www-data", "--", "test", "-x", HOME)
    return "root" if status else "www-data"


class Tree:
    """A root of its own, with the module installed."""

    def __init__(self, name):
        os.makedirs(HOME, exist_ok=True)
        self.path = os.path.join(HOME, name)
        self.user = workers_user()
        shutil.rmtree(self.path, ignore_errors=True)
        self.install()
        for name in ("etc/nginx", "var/log/nginx", "run", "tmp",
                     "usr/share/nginx"):
            os.makedirs(self.at(name), exist_ok=True)
        os.chmod(self.at("tmp"), 0o1777)
        link = self.at("usr/share/nginx/modules")
        os.symlink("../../lib/nginx/modules", link)
        self.files()

    def at(self, path):
        return os.path.join(self.path, path.lstrip("/"))

    def install(self):
        status, said = run(os.path.join(TOP, ".ci/deploy.sh"), "install",
                           env=dict(os.environ, DESTDIR=self.path))
        if status:
            raise RuntimeError("make install: " + said)

    def write(self, path, text, mode=0o644, user=None):
        path = self.at(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", opener=lambda p, f: os.open(p, f, mode)) as f:
            f.write(text)
        os.chmod(path, mode)
        if user and ROOT:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def files(self):
        """What the samples say that must be there."""
        for name in ("softfactory.secret", "softfactory.secret.old"):
            self.write("etc/nginx/" + name, KEY + "\n", 0o600)
        self.write("etc/nginx/issuer.json", JWKS)
        status, said = run("sh", "-c", "openssl ecparam -name prime256v1 -genkey"
                           " -noout | openssl pkey -pubout -out '%s'"
                           % self.at("etc/nginx/issuer.pem"))
        if status:
            raise RuntimeError("openssl: " + said)
        self.write("etc/nginx/softfactory.pgpass",
                   "*:*:softfactory:app:%s\n" % PASSWORD, 0o600, self.user)
        os.makedirs(self.at("etc/nginx/tls"), exist_ok=True)
        certificate = self.at("etc/nginx/tls/server.crt")
        status, said = run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
            "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-out", certificate,
            "-keyout", self.at("etc/nginx/tls/server.key"))
        if status:
            raise RuntimeError("openssl: " + said)
        for name in ("etc/nginx", "etc/softfactory"):
            os.makedirs(self.at(name), exist_ok=True)
            shutil.copy(certificate, self.at(name + "/postgresql-ca.crt"))
        shutil.copy("/etc/nginx/mime.types", self.at("etc/nginx/mime.types"))

    def inside(self, text):
        """The text with its paths below this root."""
        return PATHS.sub(lambda m: self.path + "/", text)

    def configuration(self, text):
        """The same, as the user of this root may run it: other ports,
        addresses that need no name server, temporary files of its own."""
        text = self.inside(text)
        text = re.sub(r"^(\s*)user\s+[^;]+;",
                      r"\1user %s;" % self.user if ROOT else r"\1", text,
                      flags=re.M)
        if ROOT and not re.search(r"^user ", text, flags=re.M):
            text = "user %s;\n%s" % (self.user, text)
        text = re.sub(r"\bserver (?:db(\d)\.example\.com|postgres|app):",
                      lambda m: "server 192.0.2.%s:" % (m.group(1) or "9"),
                      text)
        text = re.sub(r"\blisten 443\b", "listen 20443", text)
        text = text.replace("http://app:8000", "http://192.0.2.9:8000")
        if "client_body_temp_path" not in text:
            text = re.sub(r"^http \{\n",
                          lambda m: m.group() + FILES.replace("%s", self.path),
                          text, count=1, flags=re.M)
        if not re.search(r"^\s*pid\s", text, flags=re.M):
            text = "pid %s/run/nginx.pid;\n%s" % (self.path, text)
        return text

    def nginx(self, *args, conf="etc/nginx/nginx.conf", seconds=30):
        env = dict(os.environ, PLATFORM_SECRET_KEY=KEY,
                   PLATFORM_SECRET_KEY_OLD=KEY)
        return run(NGINX, "-e", "stderr", "-p", self.at("usr/share/nginx/"),
                   "-c", self.at(conf), *args, env=env, seconds=seconds)


# --- a running nginx ---

class Server:
    """nginx as a daemon of this check: by its own master's pid, and ended."""

    def __init__(self, tree, conf="etc/nginx/nginx.conf"):
        self.tree = tree
        self.conf = conf
        self.pidfile = tree.at("run/nginx.pid")
        self.log = tree.at("var/log/nginx/error.log")

    def start(self):
        status, said = self.tree.nginx(conf=self.conf)
        if status:
            raise RuntimeError("nginx does not start: " + said)
        wait_for("nginx's pid file", lambda: self.pid())
        return self

    def pid(self, suffix=""):
        try:
            with open(self.pidfile + suffix) as f:
                return int(f.read())
        except (OSError, ValueError):
            return None

    def signal(self, number, suffix=""):
        os.kill(self.pid(suffix), number)

    def upgrade(self):
        """What `service nginx upgrade` does."""
        old = self.pid()
        self.signal(signal.SIGUSR2)
        wait_for("the new master", lambda: self.pid(".oldbin") == old
                 and self.pid() not in (None, old))
        self.signal(signal.SIGQUIT, ".oldbin")
        wait_for("the end of the old master",
                 lambda: not os.path.exists("/proc/%d" % old))

    def stop(self):
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGQUIT)
        try:
            wait_for("the end of nginx",
                     lambda: not os.path.exists("/proc/%d" % pid), 15)
        except TimeoutError:
            os.kill(pid, signal.SIGTERM)
            wait_for("the end of nginx after TERM",
                     lambda: not os.path.exists("/proc/%d" % pid), 15)

    def complaints(self, allowed=None):
        """Lines of the error log that nobody has provoked."""
        with open(self.log, errors="replace") as f:
            return [line for line in f
                    if re.search(r"\[(?:error|crit|alert|emerg)\]"
                                 r"|exited on signal|exited with code [1-9]",
                                 line)
                    and not (allowed and re.search(allowed, line))]


class Answer:

    def __init__(self, response, body):
        self.status = response.status
        self.body = body
        self.headers = response.headers

    def __getitem__(self, name):
        return self.headers.get(name)

    def all(self, name):
        return self.headers.get_all(name) or []

    def __repr__(self):
        return "%d %s\n%r" % (self.status, self.headers, self.body[:300])


def ask(port, path, method="GET", headers=None, body=None, tls=False,
        seconds=20):
    if tls:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=seconds, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port,
                                                timeout=seconds)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response, response.read())
    finally:
        connection.close()


class Clients:
    """Connections that ask without a pause until they are stopped.  What is
    kept alive and closed by nginx between two requests is opened again, as
    browsers do; a request that gets no answer has failed."""

    def __init__(self, port, paths, count=4, pause=0.002):
        self.port = port
        self.pause = pause
        self.paths = paths
        self.answers = 0
        self.failures = []
        self.running = True
        self.threads = [threading.Thread(target=self.work, args=(i,))
                        for i in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        connection, used, i = None, False, number
        while self.running:
            path = self.paths[i % len(self.paths)]
            i += 1
            for attempt in (1, 2):
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection(
                            "127.0.0.1", self.port, timeout=20)
                        used = False
                    connection.request("GET", path)
                    response = connection.getresponse()
                    body = response.read()
                    used = True
                    if response.will_close:
                        connection.close()
                        connection = None
                    if response.status != 200:
                        self.failures.append((path, response.status, body))
                    else:
                        self.answers += 1
                    break
                except (OSError, http.client.HTTPException) as e:
                    connection.close()
                    connection = None
                    if not used or attempt == 2:
                        self.failures.append((path, repr(e), b""))
                        break
            time.sleep(self.pause)
        if connection:
            connection.close()

    def more(self, count, seconds=30):
        """Waits until as many answers more have come."""
        target = self.answers + count
        wait_for("%d answers more" % count,
                 lambda: self.answers >= target or self.failures, seconds)

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join(30)
        return self.failures

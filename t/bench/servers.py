"""The nginx servers of a benchmark, their configuration, and the CPU time of
whole servers from /proc."""

import base64
import hmac
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(1, os.path.join(os.path.dirname(__file__), "..", "lib"))

from patience import ended                                      # noqa: E402

NGINX = "/usr/sbin/nginx"
MODULES = "/usr/lib/nginx/modules"
TICK = os.sysconf("SC_CLK_TCK")

# as long as a word of nginx.conf may be, after its quotes are escaped
WORD_MAX = 4000

SECRET = "a-secret-of-the-benchmark"

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
DECLARED = f"include {TOP}/conf/api/*.conf;"

# headers whose values differ from answer to answer
TIMES = ("Date", "Age", "Server-Timing")

# headers that nginx makes by itself, the same way for everybody
OWN_HEADERS = ("server", "date", "connection", "content-length",
               "content-type")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(word) for word in f.read().split()]


def cpu(pid):
    """CPU seconds of a process and its children, living or waited for.

    schedstat has what stat's utime and stime add up to, but to the
    nanosecond; only the dead ones are counted in ticks.
    """
    total = 0.0

    for process in [pid] + children(pid):
        try:
            with open(f"/proc/{process}/schedstat") as f:
                total += int(f.read().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            pass

    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()

    return total + (int(fields[13]) + int(fields[14])) / TICK


def machine_cpu():
    """Seconds of all cores so far: busy (stolen too), idle."""
    with open("/proc/stat") as f:
        t = [int(word) / TICK for word in f.readline().split()[1:9]]
    idle = t[3] + t[4]
    return sum(t) - idle, idle


def get(port, path, headers=None, connection=None):
    """Status, headers and body of one request."""
    c = connection or http.client.HTTPConnection("127.0.0.1", port,
                                                 timeout=10)
    c.request("GET", path, headers=headers or {})
    r = c.getresponse()
    return r.status, r.getheaders(), r.read()


def essence(headers):
    """Headers in any order, without the values that tell the time."""
    return sorted((k.lower(), "" if k in TIMES else v) for k, v in headers)


def status(port):
    """What the location /status of cached_server() says."""
    return json.loads(get(port, "/status")[2])


def coherent(port):
    """Waits until the listener listens to all tables."""
    for _ in range(100):
        sources = status(port)["sources"]
        if sources and all(s["coherent"] and not s["uncovered"]
                           for s in sources):
            return
        time.sleep(0.1)

    raise SystemExit(f"the cache does not get coherent: {sources}")


def token(user):
    """An access token as the application makes it."""
    def text(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    def part(document):
        return text(json.dumps(document, separators=(",", ":")).encode())

    now = int(time.time())
    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(
        {"user_id": user, "role": "user", "iat": now - 10,
         "exp": now + 86400, "type": "access"})

    return (signed + b"." + text(hmac.digest(SECRET.encode(), signed,
                                             "sha256"))).decode()


def quote(data):
    """Bytes as a word of nginx.conf; JSON has few apostrophes."""
    data = data.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
    return b"'" + data.replace(b"$", b"${dollar}") + b"'"


def pieces(data):
    """Bytes cut so that each piece fits in a word."""
    size = len(data)
    while any(len(quote(data[i:i + size])) > WORD_MAX
              for i in range(0, len(data), size)):
        size -= 256
    return [data[i:i + size] for i in range(0, len(data), size)]


def constant(data):
    """Bytes that `return` sends as they stand in nginx.conf: without a $,
    which would make it copy them, piece by piece, for each request.  Those
    that do not fit in a word stay as they are."""
    plain = data.replace(b"$", b"S")
    return plain if len(quote(plain)) <= WORD_MAX else data


class Nginx:
    """One nginx in a folder of its own, with the http{} it is given."""

    def __init__(self, root, workers, user, connections=4096):
        self.root = root
        self.workers = workers
        self.connections = connections
        self.user = user
        self.process = None

        shutil.rmtree(root, ignore_errors=True)
        for name in ("logs", "tmp", "conf"):
            os.makedirs(f"{root}/{name}")

    def start(self, modules, http, port, under=()):
        """Under another program it is one process."""
        load = "".join(f"load_module {module};\n" for module in modules)
        head = f"""{load}
{self.user and f"user {self.user};"}
worker_processes {self.workers};
worker_rlimit_nofile 16384;
pid logs/nginx.pid;
error_log logs/error.log warn;

events {{
    worker_connections {self.connections};
}}

http {{
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;

    access_log off;
    keepalive_requests 1000000000;
    geo $dollar {{ default "$"; }}

"""
        with open(f"{self.root}/conf/nginx.conf", "wb") as f:
            f.write(head.encode() + http + b"}\n")

        command = [NGINX, "-p", f"{self.root}/", "-e", "logs/error.log",
                   "-c", "conf/nginx.conf"]
        subprocess.run(command + ["-t", "-q"], check=True, timeout=60)
        self.process = subprocess.Popen(
            [*under, *command, "-g",
             "daemon off;" + (" master_process off;" if under else "")],
            stdin=subprocess.DEVNULL)

        for _ in range(1000 if under else 100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)

        raise SystemExit(f"nginx does not listen, see {self.root}/logs")

    def stop(self):
        if self.process:
            self.process.terminate()
            ended(self.process, "nginx")

    def cpu(self):
        return cpu(self.process.pid)

    def alerts(self):
        with open(f"{self.root}/logs/error.log") as f:
            return re.findall(r".*\[(?:error|crit|alert|emerg)\].*", f.read())


def upstream(socket_path):
    """All clients have one address, and each stands for another one."""
    return f"""
    {DECLARED}
    softfactory_zone bench 256m;
    softfactory_fair_key $connection;

    upstream primary {{
        server unix:{socket_path};
        softfactory_pg "dbname=softfactory user=app";
    }}
"""


def uncached_server(port, socket_path):
    """Every page is read from the database; totals are kept."""
    return f"""{upstream(socket_path)}
    server {{
        listen 127.0.0.1:{port} backlog=2048 reuseport;

        location /api/ {{
            softfactory_pass primary;
            softfactory_cache_bypass 1;
            softfactory_token demo_token user=1 products=all;
        }}
    }}
""".encode()


def cached_server(port, socket_path, ttl=""):
    return f"""{upstream(socket_path)}
    server {{
        listen 127.0.0.1:{port} backlog=2048 reuseport;

        location /api/ {{
            softfactory_pass primary;
            softfactory_jwt_secret {SECRET};
            softfactory_token demo_token user=1 products=all;
            {ttl}
        }}

        location = /status {{
            softfactory_status bench;
        }}
    }}
""".encode()


def location(workload):
    exact = "" if workload.ids else "= "
    text = f"        location {exact}{workload.path} {{\n".encode()

    for key, value in workload.headers:
        if key.lower() == "content-type":
            text += f"            default_type {value};\n".encode()
        elif key.lower() not in OWN_HEADERS:
            text += f"            add_header {key} ".encode() \
                    + quote(value.encode()) + b";\n"

    return text


def listen(port):
    return f"""
    server {{
        listen 127.0.0.1:{port} backlog=2048 reuseport;

""".encode()


def return_server(port, workloads, status=200, body=lambda data: data):
    """`return 200` with the bodies, or what is made of them; a long one in
    several variables."""
    text = listen(port)

    for w in workloads:
        words = pieces(body(w.body)) if w.body else []
        text += location(w)

        if len(words) < 2:
            value = b"".join(map(quote, words))
        else:
            names = [f"${w.name}{i}".encode() for i in range(len(words))]
            for name, word in zip(names, words):
                text += b"            set " + name + b" " + quote(word) \
                        + b";\n"
            value = b'"' + b"".join(names) + b'"'

        text += f"            return {status} ".encode() + value \
                + b";\n        }\n\n"

    return text + b"    }\n"


def lua_dictionary(workloads, root):
    """The bodies as values of a shared dictionary."""
    fill = ""

    for w in workloads:
        with open(f"{root}/{w.name}.body", "wb") as f:
            f.write(w.body)
        fill += f"""
        local f = io.open("{root}/{w.name}.body", "rb")
        ngx.shared.bodies:set("{w.name}", f:read("*a"))
        f:close()
"""

    return f"""
    lua_shared_dict bodies 4m;
    init_by_lua_block {{{fill}    }}
""".encode()


def lua_server(port, workloads):
    text = listen(port)

    for w in workloads:
        text += location(w) + f"""
            content_by_lua_block {{
                local body = ngx.shared.bodies:get("{w.name}")
                ngx.header.content_length = #body
                ngx.print(body)
            }}
        }}

""".encode()

    return text + b"    }\n"

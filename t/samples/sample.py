"""conf/softfactory.conf, as make install brings it, is started over the demo
data with a stand-in for the application behind it, and asked: one request of
each kind.  Then once more with its lines for production."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import select
import socket
import ssl
import struct
import threading
import time

import lib
import syntax

ORIGIN = "http://localhost:5000"
STRANGER = "https://stranger.example"
PAGE = b"<!doctype html>" + b"<p>a page of the application</p>" * 100


# --- the application ---

class Application(http.server.BaseHTTPRequestHandler):

    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *args):
        pass

    def answer(self, status, kind, body, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Frame-Options", "SAMEORIGIN")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        Application.seen.append((self.path, self.headers))
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(self.rfile.read(5)[::-1])
            self.close_connection = True
        elif self.path == "/busy":
            self.answer(429, "application/json", b"{}", Retry_After="30")
        elif self.path == "/missing":
            self.answer(404, "text/html", b"not here")
        else:
            self.answer(200, "text/html; charset=utf-8", PAGE,
                        Content_Security_Policy="default-src 'self'")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Application.seen.append((self.path, self.headers))
        self.answer(201, "application/json", b'{"bytes":%d}' % len(body))


class Standin(http.server.ThreadingHTTPServer):

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Application)
        self.port = self.server_address[1]
        self.sockets = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def process_request(self, request, address):
        self.sockets.append(request)
        super().process_request(request, address)

    def stop(self):
        self.shutdown()
        self.server_close()
        for connection in self.sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass                                    # closed already


def seen(path):
    """The headers with which the application has been asked last."""
    return [headers for p, headers in Application.seen if p == path][-1]


# --- what is sent ---

def jwt(user, key=lib.KEY):
    def text(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    signed = "%s.%s" % tuple(text(json.dumps(part).encode()) for part in (
        {"alg": "HS256", "typ": "JWT"},
        {"user_id": user, "type": "access", "iat": int(time.time()) - 60,
         "exp": int(time.time()) + 3600}))
    mac = hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()
    return {"Authorization": "Bearer %s.%s" % (signed, text(mac))}


def pipelined(port, count, origin):
    """As many requests at once, on one connection: the answers' bytes."""
    line = ("GET /api/review/campaigns HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n"
            "%%s\r\n" % origin)
    data = (line % "" * (count - 1) + line % "Connection: close\r\n").encode()
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.settimeout(20)
        sender = threading.Thread(target=s.sendall, args=(data,))
        sender.start()
        parts = []
        while True:
            part = s.recv(1 << 16)
            if not part:
                break
            parts.append(part)
        sender.join()
    return b"".join(parts)


def together(port, count, wanted):
    """As many requests at the same time, none of which is complete: what those
    are told that get an answer, at least so many."""
    clients = []
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", port), 20)
        c.sendall(b"POST /api/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        clients.append(c)

    ready = lambda: select.select(clients, [], [], 0)[0]
    lib.wait_for("an answer to %d of them" % wanted,
                 lambda: len(ready()) >= wanted)
    answers = [c.recv(1 << 16) for c in ready()]
    for c in clients:
        c.close()
    return answers


def from_address(port, address, path, headers=""):
    """What a client of another address gets."""
    with socket.create_connection(("127.0.0.1", port), 20,
                                  (address, 0)) as s:
        s.settimeout(20)
        s.sendall(("GET %s HTTP/1.0\r\nHost: x\r\n%s\r\n" % (path, headers))
                  .encode())
        parts = []
        while True:
            part = s.recv(1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)


def websocket(port):
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.settimeout(20)
        s.sendall(b"GET /socket.io/?transport=websocket HTTP/1.1\r\nHost: x"
                  b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        data = b""
        while b"\r\n\r\n" not in data:
            part = s.recv(4096)
            if not part:
                return data
            data += part
        s.sendall(b"hello")
        while not data.endswith(b"olleh"):
            part = s.recv(4096)
            if not part:
                break
            data += part
        return data


# --- the sample ---

class Sample:

    def __init__(self, name, change=str):
        self.tree = lib.Tree(name)
        self.app = Standin()
        self.port = lib.free_port()
        self.tls = lib.free_port()
        with open(self.tree.at("usr/share/softfactory/nginx.conf")) as f:
            text = change(f.read())
        text = text.replace("127.0.0.1:20443", "127.0.0.1:%d" % self.tls)
        for old, new in (
                ("server 127.0.0.1:5432;", "server 127.0.0.1:%s;"
                 % os.environ["SF_TEST_PG_PORT"]),
                ("server 127.0.0.1:8000;", "server 127.0.0.1:%d;"
                 % self.app.port),
                ("listen 9000;", "listen 127.0.0.1:%d;" % self.port)):
            if text.count(old) != 1:
                raise RuntimeError("the sample has no line \"%s\"" % old)
            text = text.replace(old, new)
        self.tree.write("etc/nginx/nginx.conf", self.tree.configuration(text))
        self.server = lib.Server(self.tree).start()

    def ask(self, path, *args, **kwargs):
        return lib.ask(self.port, path, *args, **kwargs)

    def stop(self):
        self.server.stop()
        self.app.stop()


def natively(t, s):
    lib.wait_for("a listener that hears", lambda: [
        source["coherent"] for source in
        json.loads(s.ask("/softfactory/status").body)["sources"]] == [True])
    first, again = (s.ask("/api/review/campaigns?per_page=7") for _ in "12")
    t.equal((first.status, first["X-Cache"]), (200, "MISS"),
            "the first answer is a MISS")
    t.equal((again.status, again["X-Cache"]), (200, "HIT"),
            "the second is a HIT")
    t.ok(json.loads(again.body)["campaigns"], "with campaigns")
    for name, value in (("X-Frame-Options", "DENY"),
                        ("Content-Security-Policy",
                         "default-src 'none'; frame-ancestors 'none'")):
        t.equal(again.all(name), [value], "an answer has %s once" % name)
    t.ok(again["X-Request-Id"], "and its X-Request-Id")
    t.ok(again["Strict-Transport-Security"] is None
         and again["Retry-After"] is None, "and what is not to be said is not")

    t.equal(s.ask("/api/dashboard/kpis", headers=jwt(1)).status, 200,
            "a token signed with the secret's file")
    t.equal(s.ask("/api/dashboard/kpis", headers=jwt(1, "x")).status, 401,
            "one signed with another key")
    t.equal(s.ask("/api/dashboard/kpis").status, 401, "none")
    for path in ("/health", "/ready", "/api/health"):
        t.equal(s.ask(path).status, 200, path)


def passed_on(t, s):
    page = s.ask("/some/page", headers={"Accept-Encoding": "gzip"})
    t.equal((page.status, page["Content-Encoding"], page["Vary"]),
            (200, "gzip", "Accept-Encoding"), "a page is compressed")
    t.ok(len(page.body) < len(PAGE) / 5, "and small")
    t.equal(page.all("Content-Security-Policy"), ["default-src 'self'"],
            "a page keeps its own policy")
    t.equal(page.all("X-Frame-Options"), ["DENY"],
            "and does not say twice what nginx says")
    plain = s.ask("/some/page")
    t.equal(plain.body, PAGE, "a page, plain")
    t.equal(seen("/some/page")["X-Request-Id"], plain["X-Request-Id"],
            "one id for the client and the application")
    t.equal(seen("/some/page")["Connection"], None,
            "connections to the application are kept")

    post = s.ask("/api/review/campaigns", "POST", body=b"x" * 70000,
                 headers={"Origin": ORIGIN})
    t.equal((post.status, post.body), (201, b'{"bytes":70000}'),
            "a POST to a path of an endpoint")
    t.equal(post.all("Access-Control-Allow-Origin"), [],
            "whose answer has the application's headers only")
    t.equal(s.ask("/missing").body, b"not here",
            "an error of the application is its own")
    t.equal(s.ask("/busy").all("Retry-After"), ["30"],
            "so is its Retry-After")

    talk = websocket(s.port)
    t.ok(talk.startswith(b"HTTP/1.1 101 ") and talk.endswith(b"olleh"),
         "a WebSocket is passed on", talk)


def operators(t, s):
    live = s.ask("/softfactory/live")
    t.equal((live.status, json.loads(live.body)["status"]), (200, "ok"),
            "/softfactory/live")
    t.ok(b"softfactory_requests_total{" in s.ask("/metrics").body, "/metrics")
    for path in ("/softfactory/status", "/softfactory/report"):
        t.equal((s.ask(path).status, type(json.loads(s.ask(path).body))),
                (200, dict), path)
    t.equal(s.ask("/softfactory/purge?all", "POST").status, 200,
            "/softfactory/purge")
    t.equal(s.ask("/softfactory")["Location"][-13:], "/softfactory/",
            "/softfactory leads to the live page")
    page = s.ask("/softfactory/")
    t.equal((page.status, page["Content-Type"]),
            (200, "text/html; charset=utf-8"), "the live page")
    for name in re.findall(rb'(?:src|href)="([\w.-]+)"', page.body):
        t.equal(s.ask("/softfactory/" + name.decode()).status, 200,
                "its " + name.decode())
    for path in ("/metrics", "/softfactory/status", "/softfactory/report",
                 "/softfactory/", "/softfactory/purge"):
        other = from_address(s.port, "127.0.0.2", path)
        t.ok(b" 403 " in other[:20] and other.endswith(
             b'{"error":"Forbidden"}\n'), path + " for another address", other)


def limits(t, s):
    path = "/api/auth/login"
    answers = [s.ask(path, "POST", body=b"{}", headers={"Origin": ORIGIN})
               for _ in range(8)]
    t.equal([a.status for a in answers], [201] * 6 + [429] * 2,
            "logins: one and a burst of five")
    t.equal((answers[-1].all("Retry-After"), answers[-1].body),
            (["6"], b'{"error":"Too many requests"}\n'),
            "the next one has room in 6 seconds")
    cors(t, answers[-1], ORIGIN, "a refused login")

    answer = pipelined(s.port, 600, ORIGIN)
    statuses = re.findall(rb"^HTTP/1.1 (\d+)", answer, flags=re.M)
    t.equal((len(statuses), set(statuses)), (600, {b"200", b"429"}),
            "600 requests at once: some are refused")
    refused = [part for part in answer.split(b"HTTP/1.1 ")
               if part.startswith(b"429")][0]
    t.equal(re.findall(rb"^Retry-After: (.*)\r", refused, flags=re.M), [b"1"],
            "these have room in a second")
    for path in ("/health", "/softfactory/live"):
        answers = [s.ask(path) for _ in range(100)]
        t.equal({a.status for a in answers}, {200, 429},
                "of a hundred probes at once some are refused: " + path)
        refused = [a for a in answers if a.status == 429][0]
        t.equal(refused.all("Retry-After"), ["1"], "for a second")
        time.sleep(3)

    refused = together(s.port, 70, 6)
    t.equal(len(refused), 6, "64 requests of a client are under way at a time")
    t.equal([re.findall(rb"^Retry-After: (.*)\r", part, flags=re.M)
             for part in refused if part.startswith(b"HTTP/1.1 429 ")],
            [[b"1"]] * 6, "the others are refused, for a second")

    with open(s.server.log) as f:
        t.ok("limiting " not in f.read(),
             "no line of the error log for each")
    time.sleep(0.5)


def cors(t, answer, origin, what):
    """What lets a page of that origin read an answer; once."""
    t.equal((answer.all("Access-Control-Allow-Origin"),
             answer.all("Access-Control-Allow-Credentials"),
             ["Retry-After" in value for value in
              answer.all("Access-Control-Expose-Headers")],
             "Origin" in ", ".join(answer.all("Vary"))),
            ([origin] if origin else [], ["true"] if origin else [],
             [True] if origin else [], True),
            what + ": CORS headers for " + str(origin))


def errors(t, s):
    for origin in (ORIGIN, None):
        headers = {"Origin": origin or STRANGER}
        cors(t, s.ask("/api/review/campaigns", headers=headers), origin,
             "an answer of the module")
        cors(t, s.ask("/api/review/campaigns", "POST", headers=dict(
            headers, **{"Content-Length": str(60 << 20)})), origin, "413")
        cors(t, s.ask("/api/review/campaigns", headers=dict(
            headers, Host="a/b")), origin, "400")
    long = s.ask("/" + "x" * 40000)
    t.equal((long.status, long.body),
            (414, b'{"error":"Request line is too long"}\n'), "414")
    s.app.stop()
    for origin in (ORIGIN, None):
        away = s.ask("/some/page", headers={"Origin": origin or STRANGER})
        t.equal((away.status, away.body),
                (502, b'{"error":"Application unavailable"}\n'),
                "the application is away")
        cors(t, away, origin, "502")
    t.equal(s.ask("/api/review/campaigns/1").status, 200,
            "the module answers without it")


def forwarded(t, s):
    def proto(headers, *address):
        if address:
            from_address(s.port, address[0], "/proto", headers)
        else:
            s.ask("/proto", headers=headers)
        return seen("/proto")["X-Forwarded-Proto"]

    t.equal(proto({}), "http", "the application hears http")
    t.equal(proto({"X-Forwarded-Proto": "https"}), "https",
            "or what the balancer says")
    t.equal(proto({"X-Forwarded-Proto": "https, http"}), "https",
            "the first of several said it to the client")
    t.equal(proto("X-Forwarded-Proto: https\r\n", "127.0.0.2"), "http",
            "who is no balancer is not believed")


def same_origins(t, s):
    with open(s.tree.at("usr/share/softfactory/nginx.conf")) as f:
        text = f.read()
    module = re.search(r"^ *softfactory_cors_origin ([^;]+);", text,
                       flags=re.M).group(1).split()
    t.equal(sorted(re.findall(r'"/_error (\S+)"', text)), sorted(module),
            "nginx's own errors have the origins of the module")


def logs(t, s, allowed):
    with open(s.tree.at("var/log/nginx/access.log")) as f:
        lines = [json.loads(line) for line in f]
    t.ok(any(line["cache"] == "HIT" and line["endpoint"] == "review_campaigns"
             for line in lines), "the access log is JSON, and tells of hits")
    for asked in (("POST", "/api/review/campaigns", 413),
                  ("GET", "/some/page", 502), ("GET", "/" + "x" * 1023, 414)):
        t.ok(any((line["method"], line["uri"], line["status"]) == asked
                 for line in lines),
             "and of an error: %s %.30s %d" % asked)
    t.equal(s.server.complaints(allowed), [], "the error log is quiet")


def as_shipped(t):
    s = Sample("sample")
    try:
        same_origins(t, s)
        natively(t, s)
        passed_on(t, s)
        operators(t, s)
        forwarded(t, s)
        limits(t, s)
        errors(t, s)
    finally:
        s.stop()
    logs(t, s, "access forbidden by rule|too large body|too long URI"
         r"|connect\(\) failed .* upstream|client sent invalid host")


# --- production ---

def handshake(port, session=None, version=None, protocols=None):
    context = ssl._create_unverified_context()
    if version:
        context.minimum_version = context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(protocols)
    plain = socket.create_connection(("127.0.0.1", port), 20)
    return context, context.wrap_socket(plain, session=session)


def resumed(port):
    """Whether a second connection goes on with the first one's session."""
    context, first = handshake(port, version=ssl.TLSVersion.TLSv1_2)
    session = first.session

    # the server keeps it once its last word of the handshake is out: who gets
    # an answer knows that

    first.sendall(b"GET /softfactory/live HTTP/1.1\r\nHost: x\r\n\r\n")
    first.recv(1)
    first.close()
    plain = socket.create_connection(("127.0.0.1", port), 20)
    with context.wrap_socket(plain, session=session) as second:
        return second.session_reused


def h2_streams(port):
    """MAX_CONCURRENT_STREAMS of the server's SETTINGS."""
    _, s = handshake(port, protocols=["h2"])
    with s:
        s.settimeout(20)
        if s.selected_alpn_protocol() != "h2":
            return None
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4"
                  + bytes(5))
        data = b""
        while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
            data += s.recv(4096)
        size = int.from_bytes(data[:3], "big")
        return dict(struct.unpack(">HI", data[i:i + 6])
                    for i in range(9, 9 + size, 6)).get(3)


def in_production(t):
    s = Sample("production", syntax.production)
    try:
        path = "/api/review/campaigns"
        lib.wait_for("an answer by TLS",
                     lambda: lib.ask(s.tls, path, tls=True).status == 200)
        for path in ("/api/review/campaigns", "/some/page"):
            away = s.ask(path + "?page=1", headers={"Host": "x.example"})
            t.equal((away.status, away["Location"]),
                    (301, "https://x.example" + path + "?page=1"),
                    "without TLS: %s" % path)
            balanced = s.ask(path, headers={"X-Forwarded-Proto": "https"})
            t.equal((balanced.status, bool(
                balanced["Strict-Transport-Security"])), (200, True),
                "behind a balancer that ends TLS: %s" % path)
            t.equal(s.ask(path, headers={"X-Forwarded-Proto": "http"}).status,
                    301, "whose client had none: %s" % path)
        t.equal(seen("/some/page")["X-Forwarded-Proto"], "https",
                "the application hears of the TLS")
        for path in ("/health", "/ready", "/api/health", "/softfactory/live"):
            t.equal(s.ask(path).status, 200, "a probe of " + path)
        direct = lib.ask(s.tls, "/some/page", tls=True)
        t.equal((direct.status, seen("/some/page")["X-Forwarded-Proto"],
                 len(direct.all("Strict-Transport-Security"))),
                (200, "https", 1), "TLS ends here")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            _, c = handshake(s.tls, version=version)
            t.ok(c.version(), version.name)
            c.close()
        t.ok(resumed(s.tls), "sessions are gone on with")
        t.equal(h2_streams(s.tls), 32, "32 streams of HTTP/2")
    finally:
        s.stop()
    t.equal(s.server.complaints(), [], "the error log is quiet")


def main():
    t = lib.Results()
    as_shipped(t)
    in_production(t)
    t.end()


if __name__ == "__main__":
    main()

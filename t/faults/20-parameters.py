"""Parameters at the boundaries of their types while PostgreSQL cannot be
reached: what is wrong is told without any use of the pool."""

import socket
import threading

import lib

A = "/api/review/campaigns"
L = "/api/review/listings"
P = "/api/sns/posts"
S = L + "/search"
D = "/api/analytics/advanced"
MAX = 9223372036854775807

# (path, status): wrong whatever the database says

WRONG = [
    # ids: digits only, beyond bigint there is no such row
    (A + "/9223372036854775808", 404), (A + "/99999999999999999999", 404),
    (A + "/" + "9" * 4000, 404), (A + "/-1", 404), (A + "/abc", 404),
    (A + "/1.5", 404), (A + "/%ff", 404), (A + "/", 404), (A + "/1/", 404),
    (A + "/9223372036854775808/applications", 404),
    (L + "/9223372036854775808", 404),
    # pages
    (A + "?page=0", 404), (A + "?page=-1", 404),
    (A + "?page=-9223372036854775808", 404),
    (A + "?per_page=0", 404), (A + "?per_page=-1", 404),
    (L + "?limit=0", 404), (L + "?limit=-9223372036854775808", 404),
    (P + "?page=0&page=1", 404),            # the first one counts
    (P + "?page=%2b0", 404), (P + "?page=+0+", 404), (P + "?page=-0", 404),
    # texts
    (A + "?category=%00", 400), (A + "?category=a%00b", 400),
    (A + "?category=" + "x" * 1025, 400), (P + "?status=%00", 400),
    (L + "?platform=" + ",".join("abcdefgh" for _ in range(65)), 400),
    (L + "?platform=a%00,b", 400), (L + "?reward_type=%00", 400),
    # keywords
    (S, 400), (S + "?q=", 400), (S + "?q=a", 400), (S + "?q=%20a%20", 400),
    (S + "?q=" + "x" * 101, 400), (S + "?q=" + "%C3%A9" * 101, 400),
    (S + "?q=ab%00", 400), (S + "?q=x;drop%20table", 400),
    (S + "?q='%20or%201=1", 400), (S + "?q=%ff", 400),
    # integers that must be such
    (D + "?period=x", 400), (D + "?period=", 400), (D + "?period=1.5", 400),
    (D + "?period=3661", 400), (D + "?period=-3661", 400),
    (D + "?period=9223372036854775808", 400), (D + "?period=%00", 400),
    (D + "?period=" + "1" * 5000, 400), (D + "?metric=%00", 400),
    (D + "?metric=" + "m" * 1025, 400),
    # and what is no parameter
    ("/api/nothing", 404), ("/api/review", 404),
]

# what is right reaches the pool, and there is none

RIGHT = [A, A + "/1", A + "/2147483647", A + "?page=2147483647&per_page=1",
         A + "?category=" + "x" * 1024, A + "?category=%ff%fe",
         A + "?category=%C3%A9&category=%00", P + "?account_id=%d" % MAX,
         P + "?account_id=-%d" % MAX, P + "?account_id=nonsense",
         L + "?min_reward=%d&max_reward=-%d" % (MAX, MAX),
         S + "?q=ab", S + "?q=" + "x" * 100, D + "?period=3660",
         D + "?period=-3660", "/api/sns/analytics?start_date=0001-01-01",
         "/api/sns/analytics?start_date=9999-12-31&end_date=0000-00-00",
         L + "?" + "&".join("a%d=1" % i for i in range(500))]


class Nobody:
    """A server that hangs up."""

    def __init__(self):
        self.s = socket.socket()
        self.s.bind(("127.0.0.1", 0))
        self.s.listen(64)
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                self.s.accept()[0].close()
            except OSError:
                return


def run(t):
    nobody = Nobody()
    ng = lib.Nginx(t, "127.0.0.1:%d fail_timeout=1s" % nobody.port,
                   http="large_client_header_buffers 4 2m;", workers=1)
    lib.time.sleep(1.2)

    # no database answers: what comes to the pool is 503, as the last ones are

    worst = 0
    for path, status in WRONG:
        r = ng.get(path, lib.TOKEN)
        worst = max(worst, r.ms)
        t.ok(r.status == status and r.body.startswith(b'{"error":'),
             "%d: %s" % (status, path if len(path) < 60
                         else path[:50] + "... (%d)" % len(path)), r)
    r = ng.get(A + "?category=" + "x" * 1000000, lib.TOKEN)
    t.ok(r.status == 400, "400: a query string of 1 MB", r)
    r = ng.get(A + "?" + "a=1&" * 250000, lib.TOKEN)
    t.ok(r.status in (400, 414), "a million bytes of keys", r)
    for path in (A + "/%00", A + "/1%00"):
        r = ng.get(path, lib.TOKEN)
        t.ok(r.status == 400, "400 by nginx itself: " + path, r)
    for method, path, status in (("POST", "/api/sns/templates", 405),
                                 ("DELETE", A + "/1", 405),
                                 ("PUT", "/api/dashboard/kpis", 405)):
        r = ng.get(path, lib.TOKEN, method=method)
        t.ok(r.status == status, "%d: %s %s" % (status, method, path), r)
    for headers in ({}, {"Authorization": "Bearer nonsense"},
                    {"Authorization": "Bearer " + "x" * 9000},
                    {"Authorization": "Basic abc"}):
        r = ng.get("/api/sns/posts?page=0", headers)
        t.ok(r.status == 401, "401 before 404: %.20s" % str(headers), r)
    t.figure("errors asked for", len(WRONG))
    t.figure("slowest", worst, "ms")

    for path in RIGHT:
        r = ng.get(path, lib.TOKEN)
        t.ok(r.status == 503 and "retry-after" in r.headers, "503: %s" % (
            path if len(path) < 60 else path[:50] + "..."), r)
        lib.time.sleep(0.01)
    ng.stop()


lib.main(__file__, run)

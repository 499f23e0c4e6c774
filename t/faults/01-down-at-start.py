"""PostgreSQL is down when nginx starts: nginx starts all the same, says 503
with Retry-After at once, and serves at most one backoff after the database."""

import lib
from lib import now

CAP = 1 if lib.SHORT else 10        # fail_timeout, the backoff's limit


def refused(t, ng, what):
    slow = 0
    for path in ("/api/review/campaigns", "/api/review/campaigns/1",
                 "/api/dashboard/kpis"):
        r = ng.get(path, lib.TOKEN)
        slow = max(slow, r.ms)
        t.ok(r.status == 503 and r.headers.get("retry-after", "").isdigit()
             and int(r.headers["retry-after"]) >= 1
             and r.json().get("error"), "%s: 503 with Retry-After: %s"
             % (what, path), r)
    r = ng.get("/health")
    t.ok(r.status == 503 and r.json()["database"] == "disconnected",
         "%s: /health says so" % what, r)
    r = ng.get("/ready")
    t.ok(r.status == 503 and r.json()["ready"] is False,
         "%s: /ready says so" % what, r)
    for path in ("/api/sns/templates", "/api/dashboard/charts"):
        r = ng.get(path, lib.TOKEN)
        t.ok(r.status == 200, "%s: answers without a database: %s"
             % (what, path), r)
    t.figure("slowest 503 (%s)" % what, slow, "ms")
    t.ok(slow < 500, "%s: refused at once" % what, "%.0f ms" % slow)


def run(t):
    pg = lib.Postgres(t)
    pg.stop()
    t.defer(lambda: pg.script("start"))

    for what, server in (("socket", pg.unix), ("tcp", pg.tcp)):
        if lib.SHORT and what == "tcp":
            break
        ng = lib.Nginx(t, "%s fail_timeout=%ds" % (server, CAP),
                       pg="dbname=softfactory user=app password=secret",
                       start=False)
        done = ng.command("-t")
        t.ok(done.returncode == 0, "%s: nginx -t" % what, done.returncode)
        ng.start()
        t.ok(len(ng.workers()) == 2, "%s: nginx starts" % what)
        refused(t, ng, what)

        # as long as it takes the backoff to reach its limit

        load = lib.Load(t, ng.port, lib.detail_paths(), conns=8, pause=0.05)
        beat = lib.Beat(t, ng.port)
        lib.time.sleep(CAP * 1.6)
        pg.start()
        up = now()
        lib.time.sleep(CAP + 1)
        load.stop()
        beat.stop()

        took = load.first_ok(up)
        t.figure("recovery after the start (%s)" % what, took, "s")
        t.ok(took <= CAP + 0.5, "%s: both workers serve within the backoff's "
             "limit of %d s" % (what, CAP), "%.2f s" % took)
        late = load.errors(up + CAP + 0.5)
        t.ok(not late, "%s: no errors after that" % what, late[:2])
        before = load.window(0, up - 0.5)
        t.ok(before and {r["status"] for r in before} == {503},
             "%s: only 503 before" % what, load.summary(0, up - 0.5))
        t.beat_ok(beat, "database down, " + what)
        ng.stop()
        pg.stop()

    pg.start()


lib.main(__file__, run)

"""SIGSTOP of a backend, then of the postmaster: workers never block, other
statements are served, what is stuck ends by the pool's own timer."""

import lib
from lib import now

TIMEOUT = 1 if lib.SHORT else 2         # statement_timeout of the read lane
GRACE = 1           # the pool's own timer comes that much later
WAIT = 2
BOUND = 2 * (TIMEOUT + GRACE) + 2 * WAIT + 0.5


def backend(t, pg):
    """One read backend is stopped under load."""
    ng = lib.Nginx(t, pg.unix, pool="connections=2 heavy=1 timeout=%ds "
                   "wait=%ds" % (TIMEOUT, WAIT))
    ng.ready()
    load = lib.Load(t, ng.port, lib.detail_paths(), conns=24, pause=0.02)
    heavy = lib.Load(t, ng.port, ["/api/dashboard/summary",
                                  "/api/sns/templates"], conns=4, pause=0.05)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(1)
    fds = ng.fds()
    before = pg.backends()
    victim = next(p for p, name in before if name.endswith("/read"))

    start = now()
    with pg.stopped(victim):
        lib.time.sleep(TIMEOUT + GRACE + 2)
        stop = now()
    lib.time.sleep(2)
    after = pg.backends()
    back = ng.fds()
    load.stop()
    heavy.stop()
    beat.stop()

    t.figure("backend: answers while stopped", load.summary(start, stop))
    stuck = [r for r in load.window(start - 0.1, stop) if r["ms"] > 1000]
    t.figure("backend: stuck requests", len(stuck))
    t.figure("backend: slowest", max(r["ms"] for r in load.records), "ms")
    t.figure("backend: served/s before and while stopped", "%.0f/%.0f" % (
        len(load.window(start - 1, start)),
        len(load.window(start, stop)) / (stop - start)))
    t.ok(stuck, "backend: some requests were stuck", len(stuck))
    t.ok(TIMEOUT + GRACE - 0.5 < max([r["ms"] for r in stuck] or [0]) / 1000
         < TIMEOUT + GRACE + 0.8,
         "backend: they end by our timer, %d s" % (TIMEOUT + GRACE),
         sorted(round(r["ms"]) for r in stuck)[-5:])
    others = [r for r in load.errors() if r not in stuck]
    t.ok(not others and {r["error"] or r["status"] for r in stuck}
         <= {200, 504}, "backend: each is sent again elsewhere, or told 504",
         "%s, others: %s" % (load.summary(), others[:3]))
    t.ok(len([r for r in load.window(start, stop) if r["ms"] < 1000]) > 100,
         "backend: the lane's other connection serves")
    t.ok(not heavy.errors() and max(
        r["ms"] for r in heavy.records) < 1000,
        "backend: other lanes and constants are served",
        "%s, max %.0f ms" % (heavy.summary(),
                             max(r["ms"] for r in heavy.records)))
    t.ok(victim not in [p for p, _ in after] and len(after) >= len(before) - 1,
         "backend: it was replaced", "%d -> %d" % (len(before), len(after)))
    t.ok(all(back.get(p, 99999) <= n + 2 for p, n in fds.items()),
         "backend: descriptors are back", "%s -> %s" % (fds, back))
    t.beat_ok(beat, "stopped backend", start, stop)
    ng.stop()


def postmaster(t, pg, alone):
    """The postmaster is stopped: connections that are there go on; when they
    are lost too, nothing new can be made, and nothing may hang."""
    ng = lib.Nginx(t, pg.unix + " fail_timeout=2s", pool="connections=2 "
                   "heavy=1 timeout=%ds wait=%ds connect_timeout=1s"
                   % (TIMEOUT, WAIT))
    ng.ready()
    ng.get("/api/dashboard/summary", lib.TOKEN)
    load = lib.Load(t, ng.port, lib.detail_paths(), conns=16, pause=0.02)
    other = lib.Load(t, ng.port, ["/api/sns/templates"], conns=2, pause=0.05)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(1)
    what = "postmaster" + (" and no backends" if alone else "")
    session = pg.session()
    session.run("SELECT 1")

    start = now()
    with pg.stopped(pg.postmaster()):
        if alone:
            session.run("SELECT count(pg_terminate_backend(pid)) FROM "
                        "pg_stat_activity WHERE usename = 'app' AND "
                        "application_name LIKE 'softfactory%'")
        lib.time.sleep(2 if lib.SHORT else 8)
        stop = now()
    lib.time.sleep(3)
    load.stop()
    other.stop()
    beat.stop()
    session.close()

    t.figure("%s: answers while stopped" % what, load.summary(start, stop))
    t.figure("%s: slowest" % what, max(r["ms"] for r in load.records), "ms")
    if alone:
        kinds = {r["error"] or r["status"] for r in load.errors()}
        t.ok(kinds and kinds <= {503, 504}, "%s: 503 or 504" % what, kinds)
        took = load.first_ok(stop)
        t.figure("%s: recovery" % what, took, "s")
        t.ok(took <= 2.5, "%s: recovers within the backoff's limit" % what,
             "%.2f s" % took)
        t.ok(not load.errors(stop + 2.5), "%s: no errors after that" % what,
             load.errors(stop + 2.5)[:2])
    else:
        t.ok(not load.errors(), "%s: connections go on" % what,
             load.errors()[:3])
    t.ok(max(r["ms"] for r in load.records) < BOUND * 1000,
         "%s: every request ends within %.1f s" % (what, BOUND))
    t.ok(not other.errors(), "%s: other endpoints are served" % what)
    t.beat_ok(beat, what, start, stop)
    ng.stop()


def alone(t, pg):
    """A backend that is stopped holds the only connection of its lane: it is
    given up, with all that was sent in one batch, and another one made."""
    ng = lib.Nginx(t, pg.unix, workers=1, pool="connections=1 heavy=1 "
                   "timeout=%ds wait=%ds" % (TIMEOUT, WAIT))
    conns = [lib.Client(ng.port) for _ in range(8)]
    for c in conns:
        c.get("/api/review/campaigns/1")
    victim = pg.backends("%/read")[0][0]
    with pg.stopped(victim):
        with lib.Stopped(t, ng.workers()[0]):
            for n, c in enumerate(conns):
                c.send(lib.request("/api/review/campaigns/%d" % (n + 1)))
            lib.time.sleep(0.002)
        start = now()
        answers = [c.read(BOUND + 1) for c in conns]
        took = now() - start
        c = lib.Client(ng.port)
        back = lib.wait_for(
            lambda: c.get("/api/review/campaigns/9").status == 200
            and now() - start, 40, 0.1)
    t.figure("the only connection: its 8 statements ended after", took, "s")
    t.figure("the only connection: the lane serves again after",
             back or -1.0, "s")
    t.ok({r.status for r in answers} <= {200, 503, 504} and took < BOUND,
         "the only connection: its statements end", answers[0])
    t.ok(back and back < 2 * (TIMEOUT + GRACE) + WAIT,
         "the only connection: the lane serves again within %d s while the "
         "backend is still stopped" % (2 * (TIMEOUT + GRACE) + WAIT),
         "%.1f s" % (back or -1))
    ng.stop()


def half(t, pg):
    """A pipeline of which the first half has been answered: the worker may
    not wait for the rest."""
    ng = lib.Nginx(t, pg.unix, workers=1, pool="connections=1 heavy=1 "
                   "shared_sync=off timeout=%ds" % TIMEOUT)
    paths = ("/api/sns/accounts", "/api/review/campaigns/1")
    conns = [lib.Client(ng.port) for _ in paths]
    for c, path in zip(conns, paths):
        c.get(path, lib.TOKEN)
    beat = lib.Beat(t, ng.port, 1)
    lib.time.sleep(0.3)
    session = pg.session()
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    start = now()
    with lib.Stopped(t, ng.workers()[0]):
        for c, path in zip(conns, paths):
            c.send(lib.request(path, lib.TOKEN))
        lib.time.sleep(0.002)
    first = conns[0].read(5)
    t.ok(first.status == 200 and first.ms < 500,
         "half a pipeline: the first half is answered", first)
    lib.time.sleep(0.7)
    session.run("ROLLBACK")
    stop = now()
    t.ok(conns[1].read(5).status == 200, "half a pipeline: then the rest")
    session.close()
    beat.stop()
    t.beat_ok(beat, "half a pipeline", start, stop)
    ng.stop()


def run(t):
    pg = lib.Postgres(t)
    half(t, pg)
    alone(t, pg)
    backend(t, pg)
    if not lib.SHORT:
        postmaster(t, pg, False)
    postmaster(t, pg, True)


lib.main(__file__, run)

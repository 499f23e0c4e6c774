"""Errors of statements: each gets its status, connections stay, and what is
worth trying again is tried once."""

import lib
from lib import now

# id: what the database does; the answer; whether the connection survives

RULES = {
    1001: ("40001", 503, True), 1002: ("40001 once", 200, True),
    1003: ("40P01", 503, True), 1004: ("40P01 once", 200, True),
    1005: ("55P03", 503, True), 1006: ("57014", 504, True),
    1007: ("42501", 403, True), 1008: ("22012", 500, True),
    1023: ("22003", 400, True), 1009: ("42P01", 503, True), 1010: ("XX000", 500, True),
    1011: ("P0001", 500, True), 1012: ("53200", 503, True),
    1013: ("23505", 500, True), 1014: ("26000", 503, True),
    1015: ("26000 once", 200, True), 1016: ("0A000", 503, True),
    1017: ("0A000 once", 503, True), 1018: ("57P01", 503, False),
    1019: ("08006", 503, False), 1020: ("25006", 503, False),
    1021: ("terminate", 503, False), 1022: ("sleep 3", 504, True),
}
TIMEOUT = 1


def states(t, pg, prepare):
    what = "prepare=" + prepare
    ng = lib.Nginx(t, pg.unix, schema="poison",
                   pool="connections=1 heavy=1 timeout=%ds prepare=%s"
                   % (TIMEOUT, prepare), workers=1)
    ng.ready()
    beat = lib.Beat(t, ng.port, 1)
    for number, (action, status, stays) in RULES.items():
        # where nothing has a name, none can be gone
        if action == "26000 once" and prepare == "off":
            status = 503
        before = pg.backends("%/read")
        r = ng.campaign(number)
        after = pg.backends("%/read")
        t.ok(r.status == status and r.json(), "%s: %s is %d"
             % (what, action, status), r)
        if status == 503:
            t.ok("retry-after" in r.headers, "%s: %s: Retry-After"
                 % (what, action))
        if stays:
            t.ok(before == after, "%s: %s: the connection stays"
                 % (what, action), "%s -> %s" % (before, after))
        lib.wait_for(lambda: ng.campaign(5).status == 200, 3, 0.05)
        r = ng.campaign(5)
        t.ok(r.status == 200, "%s: %s: the next is served" % (what, action),
             r)

    # prepared statements that are gone

    pg.sql("INSERT INTO poison.rules VALUES (1100, 'deallocate', false) "
           "ON CONFLICT DO NOTHING")
    if prepare == "on":
        t.ok(ng.campaign(1100).status == 200, "DEALLOCATE ALL inside")
        before = pg.backends("%/read")
        r = ng.campaign(5)
        t.ok(r.status == 200 and pg.backends("%/read") == before,
             "26000 of the server: prepared again on the same connection", r)
    beat.stop()
    t.beat_ok(beat, what)
    ng.stop()


def locks(t, pg):
    ng = lib.Nginx(t, pg.unix, workers=1, pool="connections=2 heavy=1 "
                   "timeout=%ds" % TIMEOUT)
    c = lib.Client(ng.port)
    c.get("/api/review/campaigns/1")
    before = pg.backends("%/read")
    session = pg.session()
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    r = c.get("/api/review/campaigns/1")
    t.figure("lock held, known statement", r.ms, "ms")
    t.ok(r.status == 504 and TIMEOUT * 900 < r.ms < TIMEOUT * 1600,
         "a lock held: 504 at the statement timeout", r)
    # one that these connections have not prepared yet
    r = ng.get("/api/review/my-campaigns", lib.TOKEN)
    t.ok(r.status == 504 and r.ms < TIMEOUT * 1600,
         "a lock held, statement not prepared yet: 504 too", r)
    session.run("ROLLBACK")
    r = ng.get("/api/review/my-campaigns", lib.TOKEN)
    t.ok(r.status == 200, "the lock gone: served at once", r)
    t.ok(c.get("/api/review/campaigns/1").status == 200, "served again")
    t.ok(set(before) <= set(pg.backends("%/read")), "connections stay")
    ng.stop()

    # 55P03 by a lock_timeout of the user's own

    ng = lib.Nginx(t, pg.unix, workers=1, pg="dbname=softfactory user=app "
                   "options='-c lock_timeout=200ms'")
    ng.campaign()
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    r = ng.campaign()
    t.ok(r.status == 503 and 150 < r.ms < 900 and "retry-after" in r.headers,
         "55P03: 503 with Retry-After", r)
    session.run("ROLLBACK")
    ng.stop()


def deadlock(t, pg):
    """A read becomes the victim of a real deadlock, and is sent again."""
    ng = lib.Nginx(t, pg.unix, workers=1)
    c = lib.Client(ng.port)
    c.get("/api/review/campaigns/1")
    session = pg.session()
    session.run("BEGIN; LOCK TABLE campaign_applications IN ACCESS EXCLUSIVE "
                "MODE")
    mark = pg.mark()
    c.send(lib.request("/api/review/campaigns/1"))
    lib.time.sleep(0.3)
    session.run("LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    session.run("COMMIT")
    r = c.read()
    t.ok("deadlock detected" in pg.since(mark), "there was a deadlock")
    t.ok(r.status == 200, "40P01 of the server: the read is sent again", r)
    t.figure("deadlock: the read took", r.ms, "ms")
    session.close()
    ng.stop()


def plans(t, pg):
    """The table changes under prepared statements, again and again."""
    ng = lib.Nginx(t, pg.unix)
    ng.ready()
    load = lib.Load(t, ng.port, lib.MIXED, conns=16, pause=0.01)
    lib.time.sleep(0.5)
    before = {p for p, _ in pg.backends("%/read")}
    mark = pg.mark()
    times = 6 if lib.SHORT else 40
    for i in range(times):
        pg.sql("ALTER TABLE campaigns ALTER COLUMN title TYPE %s"
               % ("text" if i % 2 == 0 else "varchar(200)"))
        lib.time.sleep(0.15)
    lib.time.sleep(0.5)
    load.stop()
    seen = pg.since(mark).count("cached plan must not change")
    t.figure("0A000: seen in %d changes" % times, seen)
    t.ok(seen >= times, "0A000: cached plans were hit", seen)
    t.ok(not load.errors(), "0A000: no client sees it", load.errors()[:3])
    t.ok(before <= {p for p, _ in pg.backends("%/read")},
         "0A000: connections stay")
    ng.stop()


def run(t):
    pg = lib.Postgres(t)
    lib.poison(t, pg, {n: a for n, (a, _, _) in RULES.items()})
    states(t, pg, "on")
    if not lib.SHORT:
        states(t, pg, "off")
    locks(t, pg)
    deadlock(t, pg)
    plans(t, pg)


lib.main(__file__, run)

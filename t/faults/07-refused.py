"""The server is there and refuses: a wrong password, a database that is not
there, too many connections, an authentication that takes 5 s.  No connect
storm: attempts are counted in the server's own log."""

import re

import lib
from lib import now

SECONDS = 3 if lib.SHORT else 12
LIMIT = 1 if lib.SHORT else 2           # fail_timeout


def attempts(pg, mark):
    """Times, in seconds, at which the server accepted a connection of ours
    (psql comes by the socket, nginx by TCP)."""
    times = []
    for line in pg.since(mark).split("\n"):
        m = re.match(r"\S+ (\d+):(\d+):([\d.]+) .*connection received: "
                     r"host=127", line)
        if m:
            times.append(int(m[1]) * 3600 + int(m[2]) * 60 + float(m[3]))
    return times


def refused(t, pg, what, conninfo, words, status=(503,), servers=1):
    ng = lib.Nginx(t, pg.tcp + " fail_timeout=%ds" % LIMIT, pg=conninfo)
    load = lib.Load(t, ng.port, lib.detail_paths() + [
        "/api/dashboard/summary"], conns=16, pause=0.02)
    beat = lib.Beat(t, ng.port)
    mark = pg.mark()
    lib.time.sleep(SECONDS)
    times = attempts(pg, mark)
    r = ng.campaign()
    load.stop()
    beat.stop()

    # two workers; a doubling backoff from 0.1 s to LIMIT makes about this many

    bound = 2 * (6 + SECONDS / (LIMIT * 0.75)) + 6
    gaps = [b - a for a, b in zip(times, times[1:])]
    t.figure("%s: attempts in %d s, %d requests" % (
        what, SECONDS, len(load.records)), len(times))
    t.figure("%s: attempts/s" % what, len(times) / SECONDS)
    t.ok(1 <= len(times) <= bound, "%s: no connect storm" % what,
         "%d attempts, at most %d" % (len(times), bound))
    t.ok(len({round(g, 2) for g in gaps}) > len(gaps) / 3,
         "%s: with jitter" % what, [round(g, 2) for g in gaps[-6:]])
    t.ok(r.status == 503 and int(r.headers.get("retry-after", 0)) >= 1,
         "%s: 503 with Retry-After" % what, r)
    t.ok({x["error"] or x["status"] for x in load.records} <= set(status),
         "%s: no other answer" % what, load.summary())
    log = ng.errors()
    t.ok(re.search(words, log), "%s: the log says why" % what, words)
    lines = len([x for x in log.split("\n") if "softfactory" in x])
    t.ok(lines <= 2 * (SECONDS + 3) * 2, "%s: the log is not flooded" % what,
         "%d lines" % lines)
    t.beat_ok(beat, what)
    ng.stop()


def too_many(t, pg):
    """max_connections: some may have got in, others not."""
    ng = lib.Nginx(t, pg.tcp + " fail_timeout=%ds" % LIMIT,
                   pg="dbname=softfactory user=app password=secret")
    ng.ready()
    lib.wait_for(lambda: len(pg.backends()) >= 4, 3)
    warm = len(pg.backends("%/read"))
    slots = int(pg.sql("SELECT current_setting('max_connections')::int - "
                       "current_setting('superuser_reserved_connections')"
                       "::int"))
    # others take what is left

    others = []
    while True:
        try:
            s = lib.Session(pg.psql(user="app"))
            t.defer(s.close)
            s.run("SELECT 1")
            others.append(s)
        except RuntimeError:
            break
    t.note("%d slots, %d ours, %d of others" % (slots, warm, len(others)))

    # those that are there go on; the heavy lane, which has none, says 503

    load = lib.Load(t, ng.port, lib.detail_paths(), conns=16, pause=0.02)
    heavy = lib.Load(t, ng.port, ["/api/dashboard/summary"], conns=4,
                     pause=0.02)
    beat = lib.Beat(t, ng.port)
    mark = pg.mark()
    lib.time.sleep(SECONDS)
    times = attempts(pg, mark)
    t.figure("53300: attempts/s", len(times) / SECONDS)
    t.figure("53300: answers of the lane with connections", load.stop()
             .summary())
    t.ok(not load.errors(), "53300: connections that are there go on",
         load.errors()[:3])
    bound = 2 * (6 + SECONDS / (LIMIT * 0.75)) + 6
    t.ok(1 <= len(times) <= bound, "53300: no connect storm",
         "%d attempts, at most %d" % (len(times), bound))

    # all are lost, and others have taken their place: nothing is left

    for name in ("read",):
        pg.terminate("%/" + name)
        for _ in range(warm):
            s = lib.Session(pg.psql(user="app"))
            t.defer(s.close)
            try:
                s.run("SELECT 1")
                others.append(s)
            except RuntimeError:
                pass
    ours = len(pg.backends())
    lib.time.sleep(LIMIT)
    r = ng.get("/api/dashboard/summary", lib.TOKEN)
    t.ok(r.status in (503, 200) and (ours or r.status == 503),
         "53300: 503 when there is none", "%s, %d backends" % (r, ours))
    t.ok("too many clients" in ng.errors() or "connection slots" in
         ng.errors() or "too many connections" in ng.errors(),
         "53300: the log says why")
    for s in others:
        s.close()
    freed = now()
    lib.time.sleep(LIMIT + 1)
    heavy.stop()
    beat.stop()
    took = heavy.first_ok(freed)
    t.figure("53300: recovery after slots are free", took, "s")
    t.ok(took <= LIMIT + 0.5, "53300: recovers within the backoff's limit",
         "%.2f s" % took)
    t.ok({x["error"] or x["status"] for x in heavy.records} <= {200, 503},
         "53300: no other answer", heavy.summary())
    t.beat_ok(beat, "53300")
    ng.stop()


def slow(t, pg):
    """Every authentication takes 5 s, which is longer than we wait."""
    pg.set(pre_auth_delay="5")
    for limit, works in ((2, False), (8, True)):
        if works and lib.SHORT:
            break
        what = "pre_auth_delay 5 s, connect_timeout %d s" % limit
        ng = lib.Nginx(t, pg.tcp + " fail_timeout=%ds" % LIMIT,
                       pool="connect_timeout=%ds wait=1s" % limit,
                       pg="dbname=softfactory user=app password=secret")
        mark = pg.mark()
        beat = lib.Beat(t, ng.port)
        load = lib.Load(t, ng.port, lib.detail_paths(), conns=16, pause=0.02)
        lib.time.sleep(7 if works else SECONDS + 2)
        load.stop()
        beat.stop()
        t.figure("%s: answers" % what, load.summary())
        t.figure("%s: slowest" % what, max(x["ms"] for x in load.records),
                 "ms")
        t.ok({x["error"] or x["status"] for x in load.records}
             <= {200, 503, 504}, "%s: 503 or 504" % what)
        t.ok(max(x["ms"] for x in load.records) < 1000 * (1 + limit),
             "%s: nobody waits longer than wait=" % what)
        times = attempts(pg, mark)
        t.figure("%s: attempts/s" % what, len(times) / (
            7 if works else SECONDS + 2))
        t.ok(len(times) <= 20, "%s: no connect storm" % what, len(times))
        if works:
            t.ok(any(x["status"] == 200 for x in load.records),
                 "%s: connects in the end" % what)
        t.beat_ok(beat, what)
        ng.stop()
    pg.set(pre_auth_delay="0")


def run(t):
    pg = lib.Postgres(t, "pg07")
    pg.set(restart=True, log_connections="on", max_connections="16",
           superuser_reserved_connections="3")
    refused(t, pg, "wrong password", "dbname=softfactory user=app "
            "password=wrong", "password authentication failed")
    if not lib.SHORT:
        refused(t, pg, "no such database", "dbname=nosuch user=app "
                "password=secret", 'database "nosuch" does not exist')
        refused(t, pg, "no such user", "dbname=softfactory user=nobody "
                "password=secret", "password authentication failed")
        refused(t, pg, "no password", "dbname=softfactory user=app "
                "application_name=nobody",
                "no password supplied")
    too_many(t, pg)
    slow(t, pg)


lib.main(__file__, run)

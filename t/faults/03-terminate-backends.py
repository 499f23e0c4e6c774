"""pg_terminate_backend of every backend, again and again under load: a read
whose connection is lost is sent once more, so clients notice nothing."""

import lib
from lib import now

SECONDS = 3 if lib.SHORT else 30
EVERY = 0.25


def run(t):
    pg = lib.Postgres(t)

    for what, server, pool in (
            ("socket", pg.unix, "connections=2 heavy=1"),
            ("tcp, alone", pg.tcp, "connections=1 heavy=1 shared_sync=off")):
        ng = lib.Nginx(t, server, pool=pool,
                       pg="dbname=softfactory user=app password=secret")
        ng.ready()
        load = lib.Load(t, ng.port, lib.MIXED, conns=24, pause=0.01)
        beat = lib.Beat(t, ng.port)
        lib.time.sleep(1)
        workers = sorted(ng.workers())
        fds = ng.fds()
        before = len(pg.backends())

        session = pg.session()
        killed = rounds = 0
        kills = []
        start = now()
        while now() - start < SECONDS:
            killed += int(session.run(
                "SELECT count(pg_terminate_backend(pid)) FROM "
                "pg_stat_activity WHERE usename = 'app' AND "
                "application_name LIKE 'softfactory%'"))
            rounds += 1
            kills.append(now())
            lib.time.sleep(EVERY)
        session.close()

        calm = now()
        lib.time.sleep(1)
        after = len(pg.backends())
        back = ng.fds()
        load.stop()
        beat.stop()

        # one that was under way at two of them has had its second chance

        def twice(r):
            return len([k for k in kills if r["at"] - 0.05 < k
                        < r["at"] + r["ms"] / 1000 + 0.05]) > 1

        errors = [r for r in load.errors() if not twice(r)]
        t.figure("%s: errors of requests that met two rounds" % what,
                 len(load.errors()) - len(errors))
        t.figure("%s: rounds/backends killed" % what, "%d/%d"
                 % (rounds, killed))
        t.figure("%s: answers" % what, load.summary())
        t.figure("%s: errors" % what, len(errors))
        t.figure("%s: p99/max latency" % what, "%.0f/%.0f" % (
            lib.percentile([r["ms"] for r in load.records], 0.99),
            max(r["ms"] for r in load.records)), "ms")
        t.figure("%s: backends before/after" % what, "%d/%d"
                 % (before, after))
        t.ok(killed >= 2 * rounds, "%s: backends were killed" % what,
             "%d in %d rounds" % (killed, rounds))
        t.ok(not errors, "%s: no client sees an error" % what, errors[:3])
        t.ok(not [r for r in errors if r["at"] > calm], "%s: none afterwards" % what)
        t.ok(sorted(ng.workers()) == workers, "%s: workers live" % what)
        t.ok(2 <= after <= 2 * 5, "%s: pools are refilled" % what, after)
        t.ok(all(back.get(p, 99999) <= n + 2 for p, n in fds.items()),
             "%s: descriptors are back" % what, "%s -> %s" % (fds, back))
        t.beat_ok(beat, what)
        ng.stop()


lib.main(__file__, run)

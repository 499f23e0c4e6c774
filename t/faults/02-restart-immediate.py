"""pg_ctl restart -m immediate under load, again and again: no hang, no alert,
errors only inside the window, pools refilled, descriptors back."""

import lib
from lib import now

TIMES = 4 if lib.SHORT else 20
LIMIT = 1 if lib.SHORT else 2           # fail_timeout: the backoff's limit, in seconds
SLACK = 0.5


def run(t):
    pg = lib.Postgres(t)
    ng = lib.Nginx(t, pg.unix + " fail_timeout=%ds" % LIMIT)
    ng.ready()

    load = lib.Load(t, ng.port, lib.MIXED, conns=24, pause=0.02)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(1)
    workers = sorted(ng.workers())
    fds = ng.fds()
    before = len(pg.backends())
    t.ok(before >= 4, "pools are warm", "%d backends" % before)

    windows = []
    for _ in range(TIMES):
        down = now()
        pg.restart("immediate")
        up = now()
        lib.wait_for(lambda: len(pg.backends()) >= 4, LIMIT + 2, 0.1)
        windows.append((down, up))
        lib.time.sleep(max(0, LIMIT + 1 - (now() - up)))

    # the same load a while without faults

    calm = now()
    lib.time.sleep(1)
    after = len(pg.backends())
    back = ng.fds()
    load.stop()
    beat.stop()

    def inside(r):
        end = r["at"] + r["ms"] / 1000
        return any(end >= a and r["at"] <= b + LIMIT + SLACK
                   for a, b in windows)

    errors = load.errors()
    outside = [r for r in errors if not inside(r)]
    kinds = {r["error"] or r["status"] for r in errors}
    took = [load.first_ok(b) for a, b in windows]

    t.figure("restarts", TIMES)
    t.figure("requests", len(load.records))
    t.figure("answers", load.summary())
    t.figure("errors", len(errors))
    t.figure("server away, mean", sum(b - a for a, b in windows) / TIMES, "s")
    t.figure("recovery after the start, mean/max", "%.2f/%.2f"
             % (sum(took) / TIMES, max(took)), "s")
    t.figure("error window after the start, max", max(
        [r["at"] + r["ms"] / 1000 - max(b for a, b in windows if a <= r["at"])
         for r in errors if any(a <= r["at"] for a, b in windows)],
        default=0.0), "s")
    t.figure("slowest answer", max(r["ms"] for r in load.records), "ms")
    t.figure("backends before/after", "%d/%d" % (before, after))
    t.figure("descriptors before/after", "%s/%s" % (sorted(fds.values()),
                                                    sorted(back.values())))

    t.ok(errors, "the restarts were felt", len(errors))
    t.ok(not outside, "errors only while the server is away and %g s after"
         % (LIMIT + SLACK), outside[:3])
    t.ok(kinds <= {503, 504}, "every error is a 503 or 504", kinds)
    t.ok(max(took) <= LIMIT + SLACK, "serves again within the backoff's "
         "limit", "%.2f s" % max(took))
    t.ok(not load.errors(calm), "no errors afterwards",
         load.errors(calm)[:2])
    t.ok(max(r["ms"] for r in load.records) < 10000, "nothing hangs")
    t.ok(sorted(ng.workers()) == workers, "the workers are the same")
    t.ok(before - 2 <= after <= 2 * 5, "pools are refilled",
         "%d -> %d backends" % (before, after))
    t.ok(all(back.get(p, 99999) <= n + 2 for p, n in fds.items()),
         "descriptors are back", "%s -> %s" % (fds, back))
    t.beat_ok(beat, "restarts")


lib.main(__file__, run)

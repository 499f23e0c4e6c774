"""A network that drops, resets and delays, between nginx and a PostgreSQL in
a network namespace of its own (net.py).  Every request is answered within its
deadline."""

import lib
import net
from lib import now

TIMEOUT, GRACE, WAIT, CONNECT = 2, 1, 2, 2
DEADLINE = 2 * (TIMEOUT + GRACE + WAIT) + CONNECT + 1


def phase(t, ng, pg, wire, what, mode, seconds, delay=0.0, calm=3.0):
    """`seconds` of fault under load, then an open network."""
    load = lib.Load(t, ng.port, lib.MIXED, conns=16, pause=0.02)
    other = lib.Load(t, ng.port, ["/api/sns/templates"], conns=2, pause=0.05)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(0.7)
    dropped = wire.dropped
    start = now()
    wire.mode, wire.delay = mode, delay
    lib.time.sleep(seconds)
    wire.mode, wire.delay = "open", 0.0
    stop = now()
    lib.time.sleep(calm)
    load.stop()
    other.stop()
    beat.stop()

    kinds = {r["error"] or r["status"] for r in load.records}
    slow = max(r["ms"] for r in load.records)
    took = load.first_ok(stop)
    t.figure("%s: answers meanwhile" % what, load.summary(start, stop))
    t.figure("%s: slowest" % what, slow, "ms")
    t.figure("%s: recovery" % what, took, "s")
    t.figure("%s: packets dropped or reset" % what, wire.dropped - dropped)
    t.ok(kinds <= {200, 503, 504}, "%s: 200, 503 or 504" % what,
         load.summary())
    t.ok(slow < DEADLINE * 1000, "%s: every answer within %d s"
         % (what, DEADLINE), "%.0f ms" % slow)
    t.ok(took < calm, "%s: recovers" % what, "%.2f s" % took)
    t.ok(not load.errors(stop + calm - 0.5), "%s: no errors afterwards"
         % what, load.errors(stop + calm - 0.5)[:2])
    t.ok(not other.errors(), "%s: other endpoints are served" % what)
    t.beat_ok(beat, what, start, stop)
    return load.window(start, stop)


def run(t):
    why = net.possible()
    if why:
        t.skip("network", why)
        return
    wire = net.Network(t, 4)
    pg = lib.Postgres(t, "pg04", netns=wire.name)
    ng = lib.Nginx(t, wire.admit(pg) + " fail_timeout=2s",
                   pg="dbname=softfactory user=app sslmode=disable",
                   pool="connections=2 heavy=1 timeout=%ds heavy_timeout=%ds "
                   "wait=%ds connect_timeout=%ds"
                   % (TIMEOUT, TIMEOUT, WAIT, CONNECT))
    ng.ready()
    fds = ng.fds()
    workers = sorted(ng.workers())

    drop, reset = (3, 1) if lib.SHORT else (12, 3)
    rounds = 1 if lib.SHORT else 3
    for n in range(rounds):
        phase(t, ng, pg, wire, "drop %g s" % drop, "drop", drop,
              calm=3)
        phase(t, ng, pg, wire, "reset %g s" % reset, "reset", reset)

    # a round trip of 1 s (half of it each way): statements share it

    during = phase(t, ng, pg, wire, "latency 1 s", "open",
                   3 if lib.SHORT else 10, 0.5, calm=3)
    served = [r for r in during if r["status"] == 200]
    t.figure("latency 1 s: served meanwhile", len(served))
    t.ok(len(served) >= 16, "latency 1 s: goes on", len(served))

    # drops in the middle of a connect, for longer than connect_timeout

    if not lib.SHORT:
        wire.mode = "drop"
        pg.terminate()
        wire.mode = "open"
        phase(t, ng, pg, wire, "drop after a loss", "drop", 3, calm=4)

    lib.time.sleep(0.5)
    back = ng.fds()
    t.ok(sorted(ng.workers()) == workers, "workers live")
    t.ok(all(back.get(p, 999) <= n + 8 for p, n in fds.items()),
         "descriptors are back", "%s -> %s" % (fds, back))

    # backends whose network went away are found out by the server's own
    # keepalives (here: minutes); ours must not add to them in the open

    t.figure("backends at the end", len(pg.backends()))
    ng.stop()
    t.ok(lib.wait_for(lambda: len(pg.backends()) < 10 * (rounds + 2), 2),
         "backends are bounded", len(pg.backends()))


lib.main(__file__, run)

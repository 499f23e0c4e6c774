"""Reload again and again under load, binary upgrade, a pool that changes its
size, worker_shutdown_timeout: no request fails, no backend and no descriptor
is left."""

import os
import signal

import lib
from lib import now

TIMES = 10 if lib.SHORT else 100


def reloads(t, pg):
    ng = lib.Nginx(t, pg.unix, listen="")
    ng.ready()
    fresh = lib.Load(t, ng.port, lib.MIXED, conns=8, pause=0.02, close=True)
    kept = lib.Load(t, ng.port, lib.MIXED, conns=8, pause=0.02)
    lib.time.sleep(1)
    before = len(pg.backends())
    fds = fd_sum(ng)
    master = lib.fd_count(ng.master)
    most = 0
    lasted = []
    for i in range(TIMES):
        old = ng.reload()
        start = now()
        most = max(most, len(pg.backends()))
        lib.wait_for(lambda: not old & set(ng.workers()), 20)
        lasted.append(now() - start)
        lib.time.sleep(0.1)
    lib.time.sleep(1.5)
    after = len(pg.backends())
    back = fd_sum(ng)
    fresh.stop()
    kept.stop()

    again = len([r for r in kept.records if r["again"]])
    t.figure("reloads", TIMES)
    t.figure("requests, a connection each / kept alive", "%d / %d"
             % (len(fresh.records), len(kept.records)))
    t.figure("failed requests", len(fresh.errors()) + len(kept.errors()))
    t.figure("kept-alive connections that closed under a request and asked "
             "again", again)
    t.figure("backends before/most/after", "%d/%d/%d" % (before, most,
                                                         after))
    t.figure("old workers lasted, p50/max", "%.2f/%.2f" % (
        lib.percentile(lasted, 0.5), max(lasted)), "s")
    t.figure("descriptors of workers and master before/after", "%d+%d/%d+%d"
             % (fds, master, back, lib.fd_count(ng.master)))
    t.ok(not fresh.errors(), "reload: no request fails",
         fresh.errors()[:3])
    t.ok(not kept.errors(), "reload: no request on a kept-alive connection "
         "fails", kept.errors()[:3])
    t.ok(len(ng.workers()) == 2, "reload: two workers are left",
         ng.workers())
    t.ok(most <= 4 * 5 and after <= 2 * 5, "reload: no backend is left",
         "%d, at most %d, %d afterwards" % (before, most, after))
    t.ok(back <= fds + 6 and lib.fd_count(ng.master) <= master + 1,
         "reload: no descriptor is left")
    t.ok("open socket" not in ng.errors(), "reload: no open socket left")
    ng.stop()
    t.ok(lib.wait_for(lambda: not pg.backends(), 3), "stopped: no backends",
         pg.backends())


def fd_sum(ng):
    return sum(ng.fds().values())


def sizes(t, pg):
    """The pool grows and shrinks by reload, under load."""
    ng = lib.Nginx(t, pg.unix, listen="", pool="connections=1 heavy=1")
    ng.ready()
    load = lib.Load(t, ng.port, lib.MIXED, conns=16, pause=0.005, close=True)
    seen = []
    for size in (4, 1, 3):
        ng.write(pool="connections=%d heavy=1" % size)
        old = ng.reload()
        lib.wait_for(lambda: not old & set(ng.workers()), 20)
        lib.time.sleep(0.7)
        seen.append((size, len(pg.backends("%/read"))))
    load.stop()
    t.ok(all(size <= n <= 2 * size for size, n in seen),
         "the pool follows the configuration", seen)
    t.ok(not load.errors(), "sizes: no request fails", load.errors()[:3])

    # a configuration that is refused changes nothing

    pids = set(ng.workers())
    ng.expect.append(lib.re.compile("must be between"))
    ng.write(pool="connections=0")
    ng.signal(signal.SIGHUP)
    lib.time.sleep(0.5)
    t.ok(set(ng.workers()) == pids and ng.campaign().status == 200,
         "a bad configuration changes nothing")
    ng.stop()


def upgrade(t, pg):
    ng = lib.Nginx(t, pg.unix, listen="")
    ng.ready()
    fresh = lib.Load(t, ng.port, lib.MIXED, conns=8, pause=0.02, close=True)
    kept = lib.Load(t, ng.port, lib.MIXED, conns=8, pause=0.02)
    lib.time.sleep(0.5)
    before = len(pg.backends())
    for _ in range(1 if lib.SHORT else 5):
        old = ng.master
        os.kill(old, signal.SIGUSR2)
        if not lib.wait_for(lambda: ng.pid() not in (0, old)
                            and len(ng.workers(ng.pid())) == 2, 15):
            t.ok(False, "upgrade: a new master", ng.pid())
            break
        ng.master = ng.pid()
        t.defer(lambda pid=ng.master: lib.end(pid))
        both = len(pg.backends())
        os.kill(old, signal.SIGQUIT)
        t.ok(lib.wait_for(lambda: not lib.alive(old), 20),
             "upgrade: the old master ends")
        t.figure("upgrade: backends before/both", "%d/%d" % (before, both))
    lib.time.sleep(0.7)
    after = len(pg.backends())
    fresh.stop()
    kept.stop()
    t.figure("upgrade: requests", len(fresh.records) + len(kept.records))
    t.ok(not fresh.errors() and not kept.errors(),
         "upgrade: no request fails", (fresh.errors() + kept.errors())[:3])
    t.ok(len(ng.workers()) == 2 and after <= 10, "upgrade: no backend is "
         "left", after)
    ng.stop()


def shutdown(t, pg):
    """A worker that shuts down waits for what is under way, but no longer
    than worker_shutdown_timeout."""
    for limit, hold in ((10, 1), (2, 4)):
        ng = lib.Nginx(t, pg.unix, main="worker_shutdown_timeout %ds;"
                       % limit, pool="connections=2 heavy=1 timeout=20s",
                       listen="")
        ng.ready()
        session = pg.session()
        session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
        c = lib.Client(ng.port)
        c.send(lib.request("/api/review/campaigns/1"))
        lib.time.sleep(0.2)
        old = ng.reload()
        start = now()
        gone = lib.wait_for(lambda: not old & set(ng.workers()), hold)
        took = now() - start
        if hold < limit:
            t.ok(not gone, "shutdown: waits for a statement under way")
            session.run("ROLLBACK")
            r = c.read(5)
            t.ok(r.status == 200, "shutdown: and answers it", r)
            t.ok(lib.wait_for(lambda: not old & set(ng.workers()), 3),
                 "shutdown: and ends then")
        else:
            t.figure("shutdown: worker_shutdown_timeout %d s, worker ended "
                     "after" % limit, took if gone else -1.0, "s")
            t.ok(gone and took < limit + 1, "shutdown: no longer than "
                 "worker_shutdown_timeout", "%.1f s" % took if gone else
                 "the old worker lives after %d s" % hold)
            session.run("ROLLBACK")
        session.close()
        c.close()
        lib.wait_for(lambda: not old & set(ng.workers()), 25)
        lib.wait_for(lambda: len(pg.backends()) <= 10, 5)
        t.ok(len(pg.backends()) <= 10, "shutdown: no backend is left")
        ng.stop()


def run(t):
    pg = lib.Postgres(t)
    reloads(t, pg)
    sizes(t, pg)
    upgrade(t, pg)
    shutdown(t, pg)


lib.main(__file__, run)

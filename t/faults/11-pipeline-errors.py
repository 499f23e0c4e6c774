"""An error at each position of a pipeline, with and without a shared Sync:
only the guilty request fails, and everybody gets the row asked for.

The worker is stopped while sixteen requests arrive, so it finds all of them
in one turn and sends their statements in one batch.
"""

import os
import random
import signal

import lib

BATCH = 16
STATES = {1201: ("22003", 400), 1202: ("XX000", 500), 1203: ("40001", 503),
          1204: ("57014", 504), 1205: ("42501", 403), 1206: ("26000", 503),
          1207: ("0A000", 503), 1208: ("57P01", 503)}


def batch(ng, conns, ids):
    worker = ng.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    try:
        for c, n in zip(conns, ids):
            c.send(lib.request("/api/review/campaigns/%d" % n))
        lib.time.sleep(0.002)
    finally:
        os.kill(worker, signal.SIGCONT)
    return [c.read(20) for c in conns]


def judge(ids, answers):
    """(the innocent who failed, the guilty with another status, mix-ups)"""
    innocent, guilty, mixed = [], [], []
    for n, r in zip(ids, answers):
        want = STATES[n][1] if n in STATES else 200
        if r.status == 200 and r.json()["id"] != n:
            mixed.append((n, r.body[:60]))
        elif n not in STATES and r.status != 200:
            innocent.append((n, r.status))
        elif r.status != want:
            guilty.append((n, r.status, want))
    return innocent, guilty, mixed


def pipeline(t, pg, sync, prepare):
    what = "shared_sync=%s prepare=%s" % (sync, prepare)
    ng = lib.Nginx(t, pg.unix, workers=1, schema="poison",
                   pool="connections=1 heavy=1 depth=32 shared_sync=%s "
                   "prepare=%s" % (sync, prepare))
    ng.ready()
    conns = [lib.Client(ng.port) for _ in range(BATCH)]
    for c in conns:
        c.get("/api/review/campaigns/1")
    before = pg.backends("%/read")
    bad = ([], [], [])
    batches = 0

    def go(ids):
        nonlocal batches
        batches += 1
        found = judge(ids, batch(ng, conns, ids))
        for have, new in zip(bad, found):
            have.extend([(batches, ids) + x for x in new])

    gentle = [n for n in STATES if n not in (1206, 1208)]
    for state in gentle:
        for at in ((0, 8, 15) if lib.SHORT else range(BATCH)):
            ids = random.sample(range(1, 900), BATCH)
            ids[at] = state
            go(ids)
    t.ok(not any(bad), "%s: one error, at each position" % what,
         "innocent, guilty, mixed: %s" % (tuple(b[:2] for b in bad),))
    t.ok(pg.backends("%/read") == before, "%s: the connection stays" % what)

    bad = ([], [], [])
    for _ in range(10 if lib.SHORT else 100):
        ids = random.sample(range(1, 900), BATCH)
        for at in random.sample(range(BATCH), random.choice((2, 3, 8, 16))):
            ids[at] = random.choice(gentle)
        go(ids)
    t.ok(not any(bad), "%s: several errors, anywhere" % what,
         "innocent, guilty, mixed: %s" % (tuple(b[:2] for b in bad),))

    # 26000 for ever: prepared again in vain, by the guilty alone

    bad = ([], [], [])
    for at in (0, 8, 15):
        ids = random.sample(range(1, 900), BATCH)
        ids[at] = 1206
        go(ids)
    t.ok(not any(bad), "%s: 26000 for ever" % what,
         "innocent, guilty, mixed: %s" % (tuple(b[:2] for b in bad),))

    # one that takes the connection with it takes the next one too when it is
    # sent again; those that stand with it in both are lost, and only told so

    bad = ([], [], [])
    for at in (0, 8, 15):
        ids = random.sample(range(1, 900), BATCH)
        ids[at] = 1208
        go(ids)
        lib.wait_for(lambda: conns[0].get(
            "/api/review/campaigns/1").status == 200, 5)
    t.figure("%s: innocent victims of a statement that ends its connection "
             "twice, of %d" % (what, 3 * (BATCH - 1)), len(bad[0]))
    t.ok(not bad[2] and not bad[1] and {x[3] for x in bad[0]} <= {503},
         "%s: a lost connection: 503 at worst" % what,
         (bad[0][:3], bad[1][:3], bad[2][:2]))
    t.figure("%s: batches of %d" % (what, BATCH), batches)
    for c in conns:
        c.close()
    ng.stop()


def run(t):
    pg = lib.Postgres(t)
    lib.poison(t, pg, {n: a for n, (a, _) in STATES.items()})
    for sync in ("on", "off"):
        for prepare in ("on", "off"):
            if not (lib.SHORT and prepare == "off"):
                pipeline(t, pg, sync, prepare)


lib.main(__file__, run)

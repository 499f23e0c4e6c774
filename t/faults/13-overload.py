"""Ten thousand clients and one connection: the queue's bounds hold in length
and in time, what is not admitted is refused at once, and nobody starves."""

import asyncio
import resource

import lib
from lib import now

CLIENTS = 2000 if lib.SHORT else 10000
QUEUE = 256 if lib.SHORT else 1024
WAIT = 2
SLEEP = 0.005


async def crowd(port, n, seconds, answers, again):
    """n connections, opened before anybody asks; each asks once, or again
    until the time is over."""
    gate = asyncio.Event()
    opened = 0

    async def one(i):
        nonlocal opened
        r = w = None
        while w is None:
            try:
                r, w = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
        opened += 1
        await gate.wait()
        stop = now() + seconds
        try:
            while True:
                start = now()
                w.write(lib.request("/api/review/campaigns/%d"
                                    % (i % 900 + 1)))
                status, _, body = await asyncio.wait_for(
                    lib.read_response(r), 30)
                answers.append((i, start, now() - start, status, lib.check(
                    "/api/review/campaigns/%d" % (i % 900 + 1), status,
                    body)))
                if not again or now() > stop:
                    break
                if status != 200:
                    await asyncio.sleep(1)
        except (OSError, asyncio.TimeoutError,
                asyncio.IncompleteReadError) as e:
            answers.append((i, start, now() - start, 0, repr(e)))
        finally:
            w.close()

    tasks = []
    for i in range(n):
        tasks.append(asyncio.create_task(one(i)))
        if i % 200 == 199:
            await asyncio.sleep(0.02)
    while opened < n:
        await asyncio.sleep(0.05)
    gate.set()
    started = now()
    await asyncio.gather(*tasks)
    return started


def times(ng, since, status):
    """By the server's clock: what a request took there."""
    return [float(x[2]) for x in ng.statuses()[since:]
            if x[1] == status and "/campaigns/" in x[4]]


def nothing_moves(t, pg):
    ng = lib.Nginx(t, pg.unix, connections=16000, nofile=20000,
                   pool="connections=1 heavy=1 depth=1 queue=%d wait=%ds "
                   "timeout=30s" % (QUEUE, WAIT))
    ng.ready()
    fds = ng.fds()
    memory = max(lib.rss(p) for p in ng.workers())
    session = pg.session()
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    lines = len(ng.statuses())
    beat = lib.Beat(t, ng.port)
    heavy = lib.Load(t, ng.port, ["/api/dashboard/summary"], conns=2,
                     pause=0.1)
    answers = []
    start = now()

    async def go():
        task = asyncio.create_task(crowd(ng.port, CLIENTS, 0, answers, False))
        while len(answers) < CLIENTS - 2 and now() - start < 60:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(session.run, "COMMIT")
        return await task

    started = asyncio.run(go())
    most = max(lib.rss(p) for p in ng.workers())
    session.close()
    heavy.stop()
    beat.stop()

    kinds = {}
    for a in answers:
        kinds[a[4] or a[3]] = kinds.get(a[4] or a[3], 0) + 1
    waited, refused = times(ng, lines, "504"), times(ng, lines, "503")
    t.figure("nothing moves: clients", CLIENTS)
    t.figure("nothing moves: answers", kinds)
    t.figure("nothing moves: 504 after, p50/p99/max", "%.3f/%.3f/%.3f" % (
        lib.percentile(waited, 0.5), lib.percentile(waited, 0.99),
        max(waited, default=0)), "s")
    t.figure("nothing moves: 503 after, p50/p99/max", "%.3f/%.3f/%.3f" % (
        lib.percentile(refused, 0.5), lib.percentile(refused, 0.99),
        max(refused, default=0)), "s")
    t.figure("nothing moves: worker's memory before/with", "%d/%d"
             % (memory, most), "MB")
    t.ok(len(answers) == CLIENTS and set(kinds) <= {200, 503, 504},
         "nothing moves: every client is answered", kinds)
    # an endpoint that has to wait for a lock may fill a quarter of it

    # beside those that are sent again

    t.ok(0 <= kinds.get(504, 0) - 2 * QUEUE // 4 <= 8
         and kinds.get(200, 0) == 2,
         "nothing moves: the queue is full and no longer than its bound",
         "%d waited, bound 2 x %d" % (kinds.get(504, 0), QUEUE // 4))
    t.ok(waited and min(waited) > WAIT - 0.1
         and lib.percentile(waited, 0.99) < WAIT + 0.6,
         "nothing moves: 504 when wait= is over")
    t.ok(lib.percentile(refused, 0.99) < 0.5, "nothing moves: the others are "
         "refused at once", "p99 %.3f s" % lib.percentile(refused, 0.99))
    inside = heavy.window(started)
    t.ok(inside and not [r for r in inside if r["status"] != 200],
         "nothing moves: another lane is served", heavy.summary(started))
    t.ok(lib.wait_for(lambda: all(ng.fds().get(p, 99999) <= n + 3
                                  for p, n in fds.items()), 5),
         "nothing moves: descriptors are back", "%s -> %s" % (fds, ng.fds()))
    crowd_beat(t, beat, "nothing moves", started)
    ng.stop()


def crowd_beat(t, beat, what, since):
    ms = [b["ms"] for b in beat.window(since)]
    t.figure("heartbeat, %s: p50/p99/max" % what, "%.1f/%.1f/%.1f" % (
        lib.percentile(ms, 0.5), lib.percentile(ms, 0.99),
        max(ms, default=0)), "ms")
    t.ok(ms and max(ms) < 2500, "%s: workers answer others" % what,
         "max %.0f ms" % max(ms, default=0))


def slowly(t, pg):
    """Statements of 5 ms: as many are served as fit, in order."""
    lib.poison(t, pg, {n: "sleep %g" % SLEEP for n in range(1, 901)})
    ng = lib.Nginx(t, pg.unix, connections=16000, nofile=20000,
                   schema="poison", pool="connections=1 heavy=1 depth=1 "
                   "queue=%d wait=%ds timeout=30s" % (QUEUE, WAIT))
    ng.ready()
    seconds = 4 if lib.SHORT else 15
    lines = len(ng.statuses())
    beat = lib.Beat(t, ng.port)
    answers = []
    started = asyncio.run(crowd(ng.port, CLIENTS // 2, seconds, answers,
                                True))
    took = now() - started
    beat.stop()

    kinds = {}
    for a in answers:
        kinds[a[4] or a[3]] = kinds.get(a[4] or a[3], 0) + 1
    served, waited = times(ng, lines, "200"), times(ng, lines, "504")
    rate = len(served) / took
    t.figure("slowly: clients", CLIENTS // 2)
    t.figure("slowly: answers", kinds)
    t.figure("slowly: served/s", rate)
    t.figure("slowly: 200 after, p50/p99/max", "%.3f/%.3f/%.3f" % (
        lib.percentile(served, 0.5), lib.percentile(served, 0.99),
        max(served, default=0)), "s")
    t.ok(set(kinds) <= {200, 503, 504}, "slowly: every client is answered",
         kinds)
    t.ok(max(served + waited) < WAIT + 1, "slowly: nobody admitted waits "
         "longer than wait=", "%.3f s" % max(served + waited))
    t.ok(rate > 0.4 * 2 / (SLEEP + 0.002), "slowly: the connection is kept "
         "busy", "%.0f/s of %.0f" % (rate, 2 / SLEEP))

    # in order: among those of one worker that were served, he who came much
    # earlier did not finish later

    crowd_beat(t, beat, "slowly", started)
    ng.stop()


def run(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < CLIENTS + 1000:
        t.skip("overload", "at most %d descriptors" % hard)
        return
    pg = lib.Postgres(t)
    nothing_moves(t, pg)
    slowly(t, pg)


lib.main(__file__, run)

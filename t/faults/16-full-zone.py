"""A zone that is full, in pieces, or sent from: what nobody asks for goes,
nothing is answered 500, and a body that is being sent stays what it was.

Bodies are as long as the descriptions of campaigns, and each is its own."""

import random

import lib
from lib import now

PAGES = range(10000, 12500)     # an entry of each takes one page
LARGE = range(20000, 20040)     # 200 to 490 KB
MIDDLE = range(30000, 30100)    # 100 KB
HUGE, BIG = 40000, 40001        # more than an eighth of 4m; 200 KB

ROWS = """
CREATE FUNCTION text_of(id int, n int) RETURNS text LANGUAGE sql AS
    'SELECT left(string_agg(md5(id || '':'' || k), ''''), n)
     FROM generate_series(0, n / 32) k';
INSERT INTO campaigns (id, creator_id, title, product_name, description,
                       deadline, status)
    SELECT i, 1, 'n ' || i, 'p', text_of(i, CASE i / 10000
        WHEN 1 THEN 3000
        WHEN 2 THEN 200000 + (i - 20000) * 7919 % 290000
        WHEN 3 THEN 100000
        ELSE CASE i WHEN 40000 THEN 600000 ELSE 200000 END END),
        '2099-01-01', 'draft'
    FROM (SELECT generate_series(10000, 12499) UNION
          SELECT generate_series(20000, 20039) UNION
          SELECT generate_series(30000, 30099) UNION VALUES (40000), (40001))
        AS t (i);
DROP FUNCTION text_of;
"""


def path(n):
    return "/api/review/campaigns/%d" % n


def ask(c, n):
    """X-Cache of a campaign that is answered as it should be."""
    r = c.get(path(n))
    assert r.status == 200 and b'"id":%d,' % n in r.body, r
    return r.headers["x-cache"]


def start(t, pg, zone, **words):
    ng = lib.Nginx(t, pg.unix, zone=zone, connections=4096,
                   listen=" reuseport backlog=4096 sndbuf=32k", **words)
    ng.ready()
    ng.listening()
    return ng, list(lib.per_worker(ng.port, 2).values())


def full(t, pg):
    """More keys than there is room for, and one that is always asked for."""
    ng, clients = start(t, pg, "4m")
    before = ng.cache()
    hot, seen, hits = PAGES[0], [], []
    n = 1400 if lib.SHORT else 2400
    for i in range(1, n):
        seen.append(ask(clients[i % 2], PAGES[i]))
        if i % 20 == 0:
            hits.append(ask(clients[i // 20 % 2], hot))
    cache = ng.cache()
    fills, evictions = [cache[k] - before[k] for k in ("fills", "evictions")]
    last = [ask(clients[0], PAGES[i]) for i in range(n - 200, n)]
    first = [ask(clients[0], PAGES[i]) for i in range(1, 200)]
    t.figure("full: keys, entries, evictions", "%d, %d, %d" % (
        n, cache["entries"], evictions))
    t.figure("full: bytes of the room in use", cache["bytes"] / cache["room"])
    t.ok(set(seen) == {"MISS"} and fills == n, "full: each is stored",
         "%d of %d" % (fills, n))
    t.ok(evictions > n / 3 and before["entries"] + fills - evictions
         == cache["entries"], "full: evictions are counted", cache)
    t.ok(hits[0] == "MISS" and set(hits[1:]) == {"HIT"},
         "full: what is asked for stays", hits)
    t.ok(set(last) == {"HIT"} and "HIT" not in first,
         "full: the last ones are there, the first ones not",
         "%d and %d" % (last.count("HIT"), first.count("HIT")))
    t.ok(cache["bytes"] > cache["room"] * 0.6 and not cache["no_room"],
         "full: the room is used", cache)
    ng.stop()


def pieces(t, pg):
    """Small and large ones come and go."""
    ng, clients = start(t, pg, "4m")
    paths = [path(n) for n in LARGE] * 4 + [path(n) for n in PAGES[:600]]
    random.shuffle(paths)
    bodies = {path(n): lib.digest(ng.get(path(n)).body)
              for n in [*LARGE, *PAGES[:600]]}
    before = ng.cache()
    load = lib.Load(t, ng.port, paths, conns=8, pause=0.002, bodies=bodies)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(4 if lib.SHORT else 20)
    cache = ng.cache()
    beat.stop()
    load.stop()
    many = [r for r in load.records if int(r["path"][22:]) in LARGE]
    grown = {k: cache[k] - before[k] for k in ("fills", "evictions",
                                               "no_room")}
    t.figure("pieces: answers, of these large", "%d, %d" % (
        len(load.records), len(many)))
    t.figure("pieces: stored, evicted, no room", "%d, %d, %d" % (
        grown["fills"], grown["evictions"], grown["no_room"]))
    t.figure("pieces: hits of large ones", len(
        [r for r in many if r["cache"] == "HIT"]))
    t.ok(len(many) > 50 and not load.errors(),
         "pieces: all are answered 200, and right", load.summary())
    t.ok(grown["evictions"] > 100 and grown["fills"] > 100,
         "pieces: entries come and go", grown)
    t.ok(grown["no_room"] <= (grown["fills"] + grown["no_room"]) / 4,
         "pieces: most find room at once", grown)
    seen = [ask(clients[i % 2], PAGES[3]) for i in range(4)]
    t.ok(seen[1:] == ["HIT"] * 3, "pieces: a small one is kept after it", seen)

    # no entry that has been hit goes for one of many pages: it may find no room

    without = ng.cache()["no_room"]
    seen = [ask(clients[i % 2], LARGE[3]) for i in range(4)]
    without = ng.cache()["no_room"] - without
    t.ok(seen[1:] == ["HIT"] * 3 or (seen == ["MISS"] * 4 and without >= 4),
         "pieces: a large one is kept after it, or counted as without room",
         "%s, %d without room" % (seen, without))
    t.ok(not ng.loose(), "pieces: nothing is left", ng.calm() and ng.loose())
    t.beat_ok(beat, "pieces")
    ng.stop()


def too_large(t, pg):
    for what, n, words in (
            ("than softfactory_cache_max_entry", BIG,
             "softfactory_cache_max_entry 100k;"),
            ("than an eighth of the zone", HUGE,
             "softfactory_cache_max_entry 4m;")):
        ng, clients = start(t, pg, "4m", http=words)
        ask(clients[0], PAGES[0])
        before = ng.cache()
        seen = [ask(c, n) for c in clients * 2]
        cache = ng.cache()
        t.ok(seen == ["MISS"] * 4, "larger %s: served, not kept" % what, seen)
        t.ok(cache["refused"] - before["refused"] == 4
             and cache["bytes"] == before["bytes"]
             and cache["entries"] == before["entries"],
             "larger %s: nothing of it is left" % what, cache)
        t.ok(cache["evictions"] == before["evictions"]
             and ask(clients[1], PAGES[0]) == "HIT",
             "larger %s: and nothing gone for it" % what)
        ng.stop()


class Slow:
    """Clients that have asked and do not read on, by worker."""

    def __init__(self, t, ng, n, ids):
        self.t, self.ng = t, ng
        self.crowd = lib.crowd(ng.port, n, rcvbuf=4096)
        all_of_them = [(c, pid) for pid, clients in self.crowd.items()
                       for c in clients]
        random.shuffle(all_of_them)
        self.asked = [(c, pid, ids[i % len(ids)])
                      for i, (c, pid) in enumerate(all_of_them)]
        for c, _, n in self.asked:
            c.send(lib.request(path(n)))
            lib.time.sleep(0.0005)
        self.grown = 0
        lib.wait_for(self.quiet, 20, 0.2)

    def quiet(self):
        """Until no more is pinned than a while ago."""
        before, self.grown = self.grown, self.ng.cache()["pins"]
        return self.grown and self.grown == before

    def read(self, bodies, without=0):
        """Those that get another body than they should."""
        wrong = []
        for c, pid, n in self.asked:
            if pid == without:
                continue
            c.s.setsockopt(lib.socket.SOL_SOCKET, lib.socket.SO_RCVBUF,
                           1 << 20)
            r = c.read(20)
            if r.status != 200 or lib.digest(r.body) != bodies[n]:
                wrong.append((n, r.status, len(r.body)))
        return wrong

    def close(self, reset=False):
        for c, _, _ in self.asked:
            c.reset() if reset else c.close()


def under_way(t, pg):
    """What is sent is replaced, then all of the zone is."""
    ng, clients = start(t, pg, "8m", workers=2)
    ids = LARGE[:4]

    # the share of these clients in main is taken: what comes later can go

    for n in [*LARGE[30:36], *LARGE[30:36], *PAGES]:
        ask(clients[0], n)
    bodies = {n: lib.digest(ng.get(path(n)).body) for n in ids}
    slow = Slow(t, ng, 12, ids)
    cache = ng.cache()
    t.ok(cache["pins"] >= len(ids) and cache["pinned_bytes"] > 400000,
         "under way: sent from where they lie", cache)
    pg.sql("UPDATE campaigns SET title = 'new ' || id WHERE id IN (%s)"
           % ",".join(map(str, ids[:2])))
    lib.time.sleep(0.3)
    for n in ids[:2]:
        r = clients[0].get(path(n))
        t.ok(r.headers["x-cache"] == "MISS" and b'"title":"new %d"' % n
             in r.body, "under way: %d is replaced" % n, r.headers)
    for n in [*PAGES, *LARGE[10:30]]:
        ask(clients[n % 2], n)
    t.ok(ng.cache()["evictions"] > 1000 and ask(clients[0], ids[2])
         == ask(clients[1], ids[3]) == "MISS",
         "under way: all others are evicted", ng.cache()["evictions"])
    wrong = slow.read(bodies)
    t.ok(not wrong, "under way: those that wait get the body they began with",
         wrong)
    slow.close()
    ng.calm()
    t.ok(not ng.loose(), "under way: nothing is left", ng.loose())
    pg.sql("UPDATE campaigns SET title = 'n ' || id WHERE id IN (%s)"
           % ",".join(map(str, ids[:2])))
    ng.stop()


def readers(t, pg):
    """2,000 slow readers hold a quarter of the zone at the most, then what is
    sent is copied; one worker dies; the rest goes away."""
    ng, clients = start(t, pg, "16m")
    bodies = {n: lib.digest(ng.get(path(n)).body) for n in MIDDLE}
    size = ng.cache()["size"]
    one = 110000
    hit = PAGES[0]
    ask(clients[0], hit)
    beat = lib.Beat(t, ng.port)
    load = lib.Load(t, ng.port, [path(hit)], conns=4, pause=0.01)
    rss = max(map(lib.rss, ng.live()))
    begin = now()
    slow = Slow(t, ng, 2000, MIDDLE)
    cache = ng.cache()
    grown = max(map(lib.rss, ng.live())) - rss
    stop = now()
    t.figure("2,000 readers: pinned", "%d bytes in %d pins, zone %d" % (
        cache["pinned_bytes"], cache["pins"], size))
    t.figure("2,000 readers: memory of a worker", grown, "MB more")
    t.ok(len(slow.crowd) == 2, "2,000 readers: at two workers")
    t.ok(size / 8 < cache["pinned_bytes"] <= size / 4 + one,
         "2,000 readers: hold a quarter of the zone", cache["pinned_bytes"])
    t.ok(grown > 20, "2,000 readers: the others have copies", grown)
    seen = [ask(c, n) for n in (hit, PAGES[1], PAGES[1]) for c in clients]
    t.ok(seen.count("HIT") >= 5, "2,000 readers: others are served", seen)
    wrong = slow.read(bodies)
    t.ok(not wrong, "2,000 readers: get what they have asked for",
         "%d: %s" % (len(wrong), wrong[:3]))
    slow.close()
    ng.calm()
    t.ok(not ng.loose(), "2,000 readers: nothing is left", ng.loose())
    load.stop()
    beat.stop()
    late = [r["ms"] for r in load.window(begin, stop)]
    t.figure("2,000 readers: hits meanwhile, p50/p99", "%.1f/%.1f" % (
        lib.percentile(late, 0.5), lib.percentile(late, 0.99)), "ms")
    t.ok(len(late) > 50 and not load.errors()
         and {r["cache"] for r in load.records} == {"HIT"},
         "2,000 readers: hits go on", load.summary())
    t.beat_ok(beat, "2,000 readers", begin, stop)

    # a worker is killed while it sends

    slow = Slow(t, ng, 200, MIDDLE)
    cache = ng.cache()
    victim = next(iter(slow.crowd))
    ng.kill(victim)
    lib.wait_for(lambda: victim not in ng.workers()
                 and len(ng.live()) == 2, 10)
    other = lib.wait_for(lambda: 0 < ng.cache()["pins"] < cache["pins"]
                         and ng.cache(), 5)
    t.ok(other and other["pinned_bytes"] < cache["pinned_bytes"],
         "killed while it sends: its pins are given back",
         "%s pins, then %s" % (cache["pins"], other and other["pins"]))
    wrong = slow.read(bodies, without=victim)
    t.ok(not wrong, "killed while it sends: the other one goes on", wrong[:3])
    slow.close()
    ng.calm()
    t.ok(not ng.loose(), "killed while it sends: nothing is left", ng.loose())

    # clients reset in the middle of the body

    slow = Slow(t, ng, 200, MIDDLE)
    t.ok(ng.cache()["pins"] > 20, "reset: they hold pins", ng.cache()["pins"])
    begin = now()
    slow.close(reset=True)
    ng.calm()
    t.figure("reset: all is given back after", now() - begin, "s")
    t.ok(not ng.loose(), "reset: nothing is left", ng.loose())
    t.ok(ng.cache()["workers"] == 2, "reset: workers live")
    ng.stop()


def run(t):
    pg = lib.Postgres(t, "pg16")
    pg.sql(ROWS)
    full(t, pg)
    pieces(t, pg)
    too_large(t, pg)
    under_way(t, pg)
    readers(t, pg)


lib.main(__file__, run)

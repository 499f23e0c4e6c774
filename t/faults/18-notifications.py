"""Notifications by the ten thousand, and none at all: the listener is flooded,
killed, stopped, cut off; PostgreSQL is away.  Hits go on, no answer is older
than promised, and what may be shown without a database is shown.

A writer changes a row all the time; what a reader finds in it tells how old
the answer is."""

import threading

import lib
import net
from lib import now

LEASE, INCOHERENT = 2.0, 1.0
STOPPED = 6.0                   # a listener that has not run for that long
SLACK = 2.0 if lib.ASAN else 0.4
ROW = "/api/review/campaigns/%d" % lib.Writer.ID

# what the listener hears; %d: a number that grows by BATCH

BATCH = 100
OTHERS = """SELECT count(pg_notify(name, CASE i %% 4
    WHEN 0 THEN 'sns_posts user_id=' || 9000 + i / 40 %% 40 || ',' || i %% 40
    WHEN 1 THEN 'payments id=' || i
    WHEN 2 THEN 'users id=' || 9000 + i %% 40 || ' x=' || i
    ELSE 'sns_analytics user_id=* y=' || i END))
    FROM softfactory.channel, generate_series(%d, %d) i"""
HOSTILE = """SELECT count(pg_notify(name, CASE i %% 8
    WHEN 0 THEN 'campaigns id=' || i
    WHEN 1 THEN 'nonsense id=' || i
    WHEN 2 THEN 'campaigns id=,' || i
    WHEN 3 THEN 'campaigns id=99999999999999999999' || i
    WHEN 4 THEN E'\\x01\\x7f =,= ' || i
    WHEN 5 THEN 'campaigns ' || i
    WHEN 6 THEN 'campaigns id=*' || i
    ELSE '=' || i END))
    FROM softfactory.channel, generate_series(%d, %d) i"""
LONG = """SELECT count(pg_notify(name, rpad(CASE i %% 3
    WHEN 0 THEN 'campaigns id=' || i || ','
    WHEN 1 THEN 'campaigns creator_id='
    ELSE 'garbage ' || i END, 7999, i || ',')))
    FROM softfactory.channel, generate_series(%d, %d) i"""


def talk(client, path="/status"):
    return client.get(path, timeout=3).json()["sources"][0]


class Storm(threading.Thread):
    """Notifications, BATCH for each commit, at a rate."""

    def __init__(self, t, pg, sql, rate=10000, first=0):
        super().__init__(daemon=True)
        self.session = pg.session()
        self.sql, self.rate = sql, rate
        self.sent, self.first, self.seconds = 0, first, 0.0
        self.going = True
        t.defer(self.stop)
        self.start()

    def run(self):
        start = now()
        while self.going:
            n = self.first + self.sent
            self.session.run(self.sql % (n, n + BATCH - 1))
            self.sent += BATCH
            lib.time.sleep(max(0, start + self.sent / self.rate - now()))
        self.seconds = now() - start

    def stop(self):
        self.going = False
        self.join(20)


def storm(t, pg, what, storms, keeps):
    """With hits meanwhile; keeps: of entries that nothing is said about."""
    ng = lib.Nginx(t, pg.unix, zone="16m")
    ng.ready()
    owner = ng.listening()
    paths = lib.detail_paths(20)
    bodies = {p: lib.digest(ng.get(p).body) for p in paths}
    load = lib.Load(t, ng.port, paths, conns=8, pause=0, bodies=bodies)
    beat = lib.Beat(t, ng.port)
    seconds = 2 if lib.SHORT else 8
    calm = now()
    lib.time.sleep(1 if lib.SHORT else 4)
    before = ng.source()
    start = now()
    running = [Storm(t, pg, sql, rate) for sql, rate in storms]
    up = set()
    while now() < start + seconds:
        s = ng.source()
        up.add((s["coherent"], s["listener_pid"]))
        lib.time.sleep(0.1)
    for s in running:
        s.stop()
    stop = now()
    sent = sum(s.sent for s in running)
    heard = lib.wait_for(lambda: ng.source()["notifications"]
                         - before["notifications"] >= sent, 10)
    caught = now() - stop
    load.stop()
    beat.stop()
    after = ng.source()

    quiet, loud = load.window(calm, start), load.window(start, stop)
    rates = [len(w) / s for w, s in ((quiet, start - calm),
                                     (loud, stop - start))]
    hits = len([r for r in loud if r["cache"] == "HIT"]) / max(1, len(loud))
    t.figure("%s: notifications/s" % what, sent / (stop - start))
    t.figure("%s: answers/s before and during" % what, "%.0f/%.0f"
             % tuple(rates))
    t.figure("%s: throughput" % what, rates[1] / rates[0])
    t.figure("%s: of these hits" % what, hits)
    t.figure("%s: p99 before and during" % what, "%.1f/%.1f" % tuple(
        lib.percentile([r["ms"] for r in w], 0.99) for w in (quiet, loud)),
        "ms")
    t.figure("%s: all heard after" % what, caught, "s")
    t.figure("%s: moves, flushes" % what, "%d, %d" % (
        after["moves"] - before["moves"],
        after["flushes"] - before["flushes"]))
    t.ok(sent > 5000 * (stop - start), "%s: it is one" % what, sent)
    t.ok(heard, "%s: all are counted" % what, "%d of %d" % (
        after["notifications"] - before["notifications"], sent))
    t.ok(after["notifications"] - before["notifications"] == sent,
         "%s: and nothing else" % what)
    t.ok({pid for _, pid in up} == {owner} and (True, owner) in up
         and (not keeps or len(up) == 1),
         "%s: the listener stays up" % what, up)
    t.ok(not load.errors() and "another body" not in load.summary(),
         "%s: all are answered, and right" % what, load.summary())
    t.ok(rates[1] > rates[0] / 5, "%s: requests go on" % what, rates)
    if keeps:
        t.ok(hits > 0.9, "%s: other entries stay" % what, "%.3f" % hits)
        t.ok(after["flushes"] == before["flushes"],
             "%s: nothing is dropped" % what)
    else:
        t.ok(after["flushes"] > before["flushes"],
             "%s: what cannot be read drops everything" % what)
        t.ok({ng.get(p).headers["x-cache"] for p in paths * 2} >= {"HIT"},
             "%s: hits again" % what)
    t.beat_ok(beat, what, start, stop)
    ng.stop()


def terminated(t, pg):
    """The listener's backend, again and again; with a change that nobody
    hears each time."""
    ng = lib.Nginx(t, pg.unix, zone="16m")
    ng.ready()
    ng.listening()
    writer = lib.Writer(t, pg)
    load = lib.Load(t, ng.port, [ROW], conns=8, pause=0.01,
                    find=lib.Writer.FIND)
    session = pg.session()
    listener = lib.Client(ng.port)
    first = talk(listener)
    back, unheard, wrong = [], 0, []
    rounds = 5 if lib.SHORT else 25
    for n in range(rounds):
        path = "/api/review/campaigns/%d" % (20 + n)
        for _ in range(2):
            seen = ng.get(path)
        assert seen.headers["x-cache"] == "HIT", seen.headers
        before = talk(listener)
        pid = pg.backends("%/listen")[-1][0]
        start = now()
        session.run("BEGIN; UPDATE campaigns SET title = 'unheard %d' "
                    "WHERE id = %d; SELECT pg_terminate_backend(%d); COMMIT"
                    % (n, 20 + n, pid))
        committed = now()
        again = lib.wait_for(lambda: talk(listener)["flushes"]
                             > before["flushes"] and now() - start, 10, 0.01)
        back.append(again or 99.0)
        r = ng.get(path)
        if b"unheard %d\"" % n not in r.body \
                and now() - committed > LEASE + INCOHERENT + SLACK:
            wrong.append(r)
        lib.wait_for(lambda: talk(listener)["coherent"], 10)
        r = ng.get(path)
        if b"unheard %d\"" % n not in r.body:
            wrong.append((r, r.headers))
        lib.time.sleep(0.1)
    last = talk(listener)
    load.stop()
    writer.stop()
    session.close()
    ages = writer.ages(load.records)

    t.figure("terminated: times", rounds)
    t.figure("terminated: listens again after, p50/max", "%.3f/%.3f" % (
        lib.percentile(back, 0.5), max(back)), "s")
    t.figure("terminated: age of answers, p99/max", "%.3f/%.3f" % (
        lib.percentile(ages, 0.99), max(ages)), "s")
    t.ok(max(back) < 3, "terminated: it listens again", back)
    t.ok(last["flushes"] - first["flushes"] >= rounds,
         "terminated: everything is dropped each time",
         last["flushes"] - first["flushes"])
    t.ok(not wrong, "terminated: what went unheard shows", wrong[:2])
    t.ok(not load.errors(), "terminated: all are answered", load.summary())
    t.ok(len(ages) > 100 and max(ages) <= LEASE + INCOHERENT + SLACK,
         "terminated: no answer is older than allowed", max(ages))
    t.ok(lib.wait_for(lambda: len(pg.backends("%/listen")) == 1, 5),
         "terminated: one listener", pg.backends("%/listen"))
    ng.stop()


# --- the listener is lost; all at a time ---

class Loss:
    """One nginx, its readers, and what is known of its listener."""

    def __init__(self, t, pg, what, stops=False, **words):
        self.t, self.pg, self.what = t, pg, what
        self.ng = lib.Nginx(t, pg.unix, zone="8m", **words)
        self.ng.ready()
        self.owner = self.ng.listening()
        clients = lib.per_worker(self.ng.port, 2)
        self.client = next(c for p, c in clients.items() if p != self.owner)
        self.load = lib.Load(t, self.ng.port, [ROW], conns=6, pause=0.01,
                             find=lib.Writer.FIND, timeout=90)
        self.beat = lib.Beat(t, self.ng.port, 1 if stops else 2,
                             without=[self.owner] if stops else ())
        self.undo = None
        self.seen = []          # (time, coherent, pid of the listener)
        self.start = self.stop = 0.0

    def begin(self, do, undo):
        self.undo = self.t.defer(undo)
        do()
        self.start = now()

    def look(self):
        s = talk(self.client)
        self.seen.append((now(), s["coherent"], s["listener_pid"]))

    def end(self):
        self.stop = now()
        self.undo()

    def again(self):
        """Seconds after the loss until somebody listened once more."""
        lost = next((at for at, good, _ in self.seen if not good), None)
        return lost and next((at - self.start for at, good, _ in self.seen
                              if good and at > lost), None)

    def ages(self, writer, since, until):
        return writer.ages(self.load.window(since, until))

    def judge(self, writer):
        t, what = self.t, self.what
        again = self.again()
        self.load.stop()
        self.beat.stop()
        lost = next((at for at, good, _ in self.seen if not good), None)
        until = self.start + (again or self.stop - self.start)
        all_of_it = self.ages(writer, self.start, self.stop + 2)
        first = self.ages(writer, self.start, self.start + LEASE)
        later = self.ages(writer, self.start + LEASE + INCOHERENT + SLACK,
                          until)
        after = self.ages(writer, self.stop + 2, None)
        before = self.ages(writer, 0, self.start)
        t.figure("%s: age of answers, within the lease: max" % what,
                 max(first, default=-1.0), "s")
        t.figure("%s: age of answers, later: p50/max" % what, "%.2f/%.2f" % (
            lib.percentile(later, 0.5), max(later, default=-1.0)), "s")
        t.figure("%s: age of answers, before and after: p99" % what,
                 "%.3f/%.3f" % (lib.percentile(before, 0.99),
                                lib.percentile(after, 0.99)), "s")
        t.figure("%s: listens again after" % what, again or -1.0, "s")
        t.ok(lost and lost - self.start <= LEASE + SLACK,
             "%s: the lease runs out" % what,
             lost and "%.2f s" % (lost - self.start))
        t.ok(len(first) > 20 and max(first) > LEASE / 3,
             "%s: until then the old answer is shown" % what,
             "%d, max %.2f" % (len(first), max(first, default=0)))
        t.ok(len(all_of_it) > 50
             and max(all_of_it) <= LEASE + INCOHERENT + SLACK,
             "%s: no answer is older than lease + incoherent ttl" % what,
             "%d, max %.2f s" % (len(all_of_it), max(all_of_it, default=0)))
        t.ok(max(later, default=0) <= INCOHERENT + SLACK,
             "%s: after the lease no older than the incoherent ttl" % what,
             "%d, max %.2f s" % (len(later), max(later, default=0)))
        t.ok(len(after) > 20
             and lib.percentile(after, 0.99) <= 0.1 + SLACK / 4,
             "%s: all is well after it" % what,
             "%d, p99 %.3f s" % (len(after), lib.percentile(after, 0.99)))
        t.ok(not self.load.errors(), "%s: all are answered" % what,
             self.load.summary())
        t.ok(writer.gap(self.start, self.stop) < 0.6,
             "%s: the row was changed all the time" % what,
             writer.gap(self.start, self.stop))
        t.beat_ok(self.beat, what, self.start, self.stop)
        return again


def backend_of(pg, known=()):
    """The backend that has begun to listen last."""
    return next(p for p, _ in reversed(pg.backends("%/listen"))
                if p not in known)


def losses(t, pg, wire, address):
    writer = lib.Writer(t, pg)
    cases = []

    case = Loss(t, pg, "the listener's backend is stopped")
    backend = lib.Stopped(t, backend_of(pg))
    case.do = lambda: lib.os.kill(backend.pid, lib.signal.SIGSTOP)
    case.back = backend.cont
    cases.append(case)

    case = worker = Loss(t, pg, "the listener's worker is stopped", True)
    stopped = lib.Stopped(t, case.owner)
    case.do = lambda p=stopped: lib.os.kill(p.pid, lib.signal.SIGSTOP)
    case.back = stopped.cont
    cases.append(case)

    def drop(mode):
        wire.mode = mode

    if wire:
        case = Loss(t, pg, "the listener's packets are dropped",
                    upstream="softfactory_listen direct;",
                    http="""
    upstream direct {
        server %s;
        softfactory_pg "dbname=softfactory user=app sslmode=disable";
    }""" % address)
        case.do = lambda: drop("drop")
        case.back = lambda: drop("open")
        cases.append(case)
    else:
        t.skip("the listener's packets are dropped", net.possible())

    lib.time.sleep(1)
    for case in cases:
        case.begin(case.do, case.back)
    end = now() + (9 if lib.SHORT else 60)
    while now() < end:
        for case in cases:
            case.look()
        lib.time.sleep(0.03)
    for case in cases:
        case.end()
    woken = now()
    while now() < woken + 4:
        for case in cases:
            case.look()
        lib.time.sleep(0.03)
    writer.stop()

    for case in cases:
        again = case.judge(writer)
        if case is not worker:
            continue
        heir = next((p for at, good, p in case.seen
                     if good and p != stopped.pid), None)
        t.ok(heir and again and STOPPED - 1 < again < STOPPED + 2,
             "%s: another one takes over" % case.what, again)
        t.ok({p for at, _, p in case.seen if at > woken} == {heir},
             "%s: when it goes on it gives way" % case.what,
             {p for at, _, p in case.seen if at > woken})
        t.ok(stopped.pid in case.ng.workers(),
             "%s: and lives" % case.what)
    n = len(cases)
    t.ok(lib.wait_for(lambda: len(pg.backends("%/listen")) == n, 10),
         "a listener for each nginx", pg.backends("%/listen"))
    for case in cases:
        case.ng.stop()


# --- PostgreSQL is away ---

PATHS = ["/api/review/campaigns", "/api/review/campaigns?page=2",
         "/api/review/campaigns/1", "/api/review/campaigns/%d/applications",
         "/api/review/my-campaigns", "/api/review/my-applications",
         "/api/review/listings", "/api/review/listings/search?q=co",
         "/api/review/listings/1", "/api/review/bookmarks",
         "/api/sns/accounts", "/api/sns/posts", "/api/sns/analytics",
         "/api/dashboard/kpis", "/api/dashboard/summary",
         "/api/analytics/overview", "/api/analytics/advanced",
         "/api/analytics/cohort", "/api/analytics/funnel",
         "/api/performance/roi"]


def away(t, pg):
    ng = lib.Nginx(t, pg.unix, zone="8m",
                   http="softfactory_cache_ttl all error=1h;")
    ng.ready()
    ng.listening()
    known, not_kept = {}, []
    own = int(pg.sql("SELECT min(id) FROM campaigns WHERE creator_id = 1"))
    for who, headers in (("fixed", lib.TOKEN), ("jwt", lib.jwt(1))):
        for path in PATHS:
            if "%d" in path:
                path = path % own
            for _ in range(2):
                r = ng.get(path, headers)
            if r.status == 200 and r.headers.get("x-cache") == "HIT":
                known[who, path] = (headers, r.body)
            else:
                not_kept.append((who, path, r))
    t.ok(len(known) == 2 * len(PATHS), "away: all endpoints are in the zone, "
         "for a fixed token and a JWT", not_kept or len(known))
    beat = lib.Beat(t, ng.port)
    clients = list(lib.per_worker(ng.port, 2).values())

    seconds = 8 if lib.SHORT else 60
    t.defer(lambda: pg.ctl("start", "-w", "-l", pg.log, check=False))
    start = now()
    pg.stop()
    gone = now()
    bad, counts, ageless, changed, last = [], {}, 0, 0, {}
    turn = 0
    while now() < gone + seconds:
        for (who, path), (headers, body) in known.items():
            turn += 1
            r = clients[turn % 2].get(path, headers)
            kind = r.headers.get("x-cache")
            counts[r.status, kind] = counts.get((r.status, kind), 0) + 1
            last[who, path] = (r.status, kind)
            if r.status != 200:
                bad.append((round(now() - gone, 2), who, path, r))
            changed += r.status == 200 and r.body != body
            ageless += kind == "STALE" and "age" not in r.headers
        lib.time.sleep(0.2)
    unknown = clients[0].get("/api/review/campaigns/77", lib.TOKEN)
    pg.start()
    stop = now()
    back, refused = {}, []
    while now() < stop + 10 and len(back) < len(known):
        for key, (headers, body) in known.items():
            turn += 1
            r = clients[turn % 2].get(key[1], headers)
            if r.status != 200:
                refused.append((round(now() - stop, 2), *key, r))
            elif r.headers.get("x-cache") in ("MISS", "HIT", "EXPIRED"):
                back.setdefault(key, now() - stop)
        lib.time.sleep(0.05)
    listening = ng.listening(10)
    beat.stop()

    t.figure("away: answers meanwhile", " ".join(
        "%s %s:%d" % (s, k, n) for (s, k), n in counts.items()))
    t.figure("away: fresh answers again, the last one after",
             max(back.values(), default=-1.0), "s")
    t.ok(not bad, "away: each is answered 200 for %d s" % seconds,
         "%d: %s" % (len(bad), bad[:3]))

    # once a listener is back nobody knows who was signed off meanwhile: a
    # worker that has no connection yet cannot let a user in

    t.figure("away: users refused while connections come back", len(refused))
    t.ok(all(who == "jwt" and r.status == 503 and "retry-after" in r.headers
             for _, who, _, r in refused)
         and len(refused) <= len(known), "away: only users are refused then",
         refused[:3])
    t.ok(set(last.values()) == {(200, "STALE")}, "away: in the end as STALE",
         {k: v for k, v in last.items() if v != (200, "STALE")})
    t.ok(not ageless, "away: with Age", ageless)
    t.ok(not changed, "away: and the same body", changed)
    t.ok(unknown.status == 503, "away: what is not there cannot be shown",
         unknown)
    t.ok(len(back) == len(known), "away: fresh ones after it",
         [k for k in known if k not in back])
    t.ok(listening, "away: somebody listens after it", ng.source())
    t.beat_ok(beat, "away", start, stop)
    ng.stop()


def run(t):
    wire, address = None, None
    if net.possible():
        pg = lib.Postgres(t, "pg18")
    else:
        wire = net.Network(t, 18)
        pg = lib.Postgres(t, "pg18", netns=wire.name)
        address = wire.admit(pg)
    storm(t, pg, "storm", [(OTHERS, 10000)], True)
    storm(t, pg, "hostile storm", [(HOSTILE, 10000), (LONG, 200)], False)
    terminated(t, pg)
    losses(t, pg, wire, address)
    away(t, pg)


lib.main(__file__, run)

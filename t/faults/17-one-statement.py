"""A thousand requests at once for what is not in the zone: one statement, and
all are answered as soon as it has ended.

The statement waits for a lock until everybody waits for it.  Nobody reads
before all has been sent: the kernel tells when each answer had come."""

import lib

# ms after the lock was given up, and what as many hits take twice; a lost wake
# shows itself at up to 250.  The short form is run on machines that are busy.

LATE = 100 if lib.ASAN or lib.SHORT else 30


class Case:
    """What is locked, and what has been said and counted since."""

    hits = 0.0

    def __init__(self, t, pg, ng, what, table):
        self.t, self.pg, self.ng, self.what = t, pg, ng, what
        self.session = pg.session()
        self.session.run("BEGIN; LOCK TABLE %s IN ACCESS EXCLUSIVE MODE"
                         % table)
        self.mark = pg.mark()
        self.before = ng.cache()
        self.at = 0.0

    def since(self):
        """What the zone has counted, and what is under way."""
        cache = self.ng.cache()
        return {k: cache[k] - self.before[k]
                for k in ("followers", "waits", "fills", "fills_under_way")}

    def parked(self, n):
        """Until n requests wait for others'."""
        def all_there():
            seen = self.since()
            return seen["followers"] + seen["waits"] >= n

        lib.wait_for(all_there, 20, 0.05)
        lib.time.sleep(0.1)
        seen = self.since()
        self.t.ok(seen["followers"] + seen["waits"] == n,
                  "%s: %d wait" % (self.what, n), seen)
        return seen

    def go(self):
        """The lock is given up."""
        self.at = lib.time.time()
        self.session.run("COMMIT")
        self.session.close()
        lib.time.sleep(0.5)

    def answers(self, clients, alike=True):
        """All of them, read."""
        read = [(c.read(20), c.s.at) for c in clients]
        late = [(at - self.at) * 1000 for _, at in read]
        answers = [r for r, _ in read]
        p50, p99 = lib.percentile(late, 0.5), lib.percentile(late, 0.99)
        t, what = self.t, self.what
        t.ok({r.status for r in answers} == {200}, "%s: all are answered"
             % what, [r for r in answers if r.status != 200][:2])
        if alike:
            t.ok(len({r.body for r in answers}) == 1,
                 "%s: with the same body" % what)
        t.figure("%s: answered after, p50/p99/max" % what, "%.1f/%.1f/%.1f"
                 % (p50, p99, max(late)), "ms")
        t.figure("%s: the first and the last of them apart" % what,
                 max(late) - min(late), "ms")
        t.ok(min(late) > 0 and max(late) <= LATE + 2 * Case.hits,
             "%s: soon after the statement" % what,
             "p99 %.1f max %.1f ms" % (p99, max(late)))
        return answers

    def statements(self, expected):
        """Each by name, as often as that."""
        def count():
            return {name: self.pg.executed(self.mark, name)
                    for name in expected}

        lib.wait_for(lambda: count() == expected, 2)
        lib.time.sleep(0.2)
        self.t.ok(count() == expected, "%s: statements" % self.what,
                  count())
        self.t.ok(not self.ng.loose(), "%s: nothing is left" % self.what,
                  self.ng.loose())


def everybody(crowd):
    return [c for clients in crowd.values() for c in clients]


def ask(clients, paths, headers=None):
    for n, c in enumerate(clients):
        c.send(lib.request(paths[n % len(paths)], headers))


def nothing_to_wait_for(t, ng, crowd):
    """What as many take that are in the zone."""
    at = lib.time.time()
    ask(everybody(crowd), ["/api/review/campaigns/1"])
    lib.time.sleep(0.5)
    late = []
    for c in everybody(crowd):
        r = c.read(10)
        late.append((c.s.at - at) * 1000)
        assert r.headers["x-cache"] == "HIT", r.headers
    t.figure("%d workers, as many hits, p50/max" % len(crowd), "%.1f/%.1f"
             % (lib.percentile(late, 0.5), max(late)), "ms")
    Case.hits = max(late)


def one(t, pg, ng, crowd):
    """One row."""
    n = len(everybody(crowd))
    what = "%d workers, %d for a row" % (len(crowd), n)
    case = Case(t, pg, ng, what, "campaigns")
    ask(everybody(crowd), ["/api/review/campaigns/5"])
    seen = case.parked(n - 1)
    t.ok(seen["fills_under_way"] == 1, "%s: one is made" % what, seen)
    t.ok(seen["waits"] == len(crowd) - 1, "%s: each other worker waits once"
         % what, seen)
    case.go()
    case.answers(everybody(crowd))
    case.statements({"review_campaign": 1})
    t.ok(case.since()["fills"] == 1, "%s: stored once" % what, case.since())


def pages(t, pg, ng, crowd):
    """A list: a page, and the total that all pages share."""
    n = len(everybody(crowd))
    what = "%d workers, %d for a page" % (len(crowd), n)
    case = Case(t, pg, ng, what, "campaigns")
    ask(everybody(crowd), ["/api/review/campaigns?per_page=7"])
    seen = case.parked(n - 1)
    t.ok(seen["fills_under_way"] == 2, "%s: page and total are made" % what,
         seen)
    case.go()
    case.answers(everybody(crowd))
    case.statements({"review_campaigns": 1, "review_campaigns total": 1})

    # the total of another filter, one request more for it by the second page

    what = "%d workers, %d for two pages" % (len(crowd), n)
    case = Case(t, pg, ng, what, "campaigns")
    path = "/api/review/campaigns?category=beauty&per_page=2&page=%d"
    ask(everybody(crowd), [path % 1, path % 2])
    case.parked(n - 2 + 1)
    case.go()
    answers = case.answers(everybody(crowd), alike=False)
    t.ok(len({r.body for r in answers[::2]}) == 1
         and len({r.body for r in answers[1::2]}) == 1,
         "%s: each with its own" % what)
    t.ok(len({r.json()["total"] for r in answers}) == 1,
         "%s: of the same total" % what)
    case.statements({"review_campaigns": 2, "review_campaigns total": 1})


def users(t, pg, ng, crowd):
    """Who is it, and what is his: both are asked once."""
    n = len(everybody(crowd))
    what = "%d workers, %d of one user" % (len(crowd), n)
    user = pg.sql("SELECT min(user_id) FROM subscriptions s JOIN products p "
                  "ON p.id = product_id WHERE slug = 'sns-auto' "
                  "AND s.status = 'active'")
    case = Case(t, pg, ng, what, "users")
    ask(everybody(crowd), ["/api/sns/accounts"], lib.jwt(int(user)))
    case.parked(n - 1)
    case.go()
    case.answers(everybody(crowd))
    case.statements({"principal": 1, "sns_accounts": 1})


def gone(t, pg, ng, crowd):
    """Who asked first goes away; all others are at another worker."""
    what = "%d workers, the first one goes away" % len(crowd)
    first = next(iter(crowd))
    others = [c for pid in crowd if pid != first for c in crowd[pid]]
    case = Case(t, pg, ng, what, "campaigns")
    leader = next(c for c in iter(
        lambda: lib.Client(ng.port), None)
        if int(c.get("/beat").headers["x-pid"]) == first)
    path = ["/api/review/campaigns/6"]
    ask([leader], path)
    lib.wait_for(lambda: case.since()["fills_under_way"] == 1, 5)
    ask(others, path)
    case.parked(len(others))
    leader.reset()
    lib.time.sleep(0.4)
    t.ok(case.since()["fills_under_way"] == 1, "%s: it goes on for them"
         % what, case.since())
    case.go()
    case.answers(others)
    case.statements({"review_campaign": 1})


def run(t):
    pg = lib.Postgres(t, "pg17")
    pg.set(log_statement="all")
    for workers in (2,) if lib.SHORT else (2, 8):
        ng = lib.Nginx(t, pg.unix, workers=workers, zone="8m",
                       connections=4096)
        ng.ready()
        t.ok(ng.listening(), "%d workers: somebody listens" % workers)
        crowd = lib.crowd(ng.port, 1000, stamped=True)
        t.ok(len(crowd) == workers, "%d workers have %s connections" % (
            workers, "+".join(str(len(c)) for c in crowd.values())))
        ng.get("/api/review/campaigns/1")
        nothing_to_wait_for(t, ng, crowd)
        for case in (one, pages, users, gone):
            case(t, pg, ng, crowd)
        for c in everybody(crowd):
            c.close()
        ng.stop()


lib.main(__file__, run)

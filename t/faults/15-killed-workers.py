"""kill -9 of workers that others depend on: one that makes the answer they
wait for, any one again and again, one that is inside the zone's mutex.  The
zone goes on, nobody gets a wrong body, nothing stays pinned.

gdb takes a worker to the place in the mutex where it is to die."""

import itertools
import random
import shutil
import subprocess

import lib
from lib import now

DEADLINE = 2 + 5 + 2            # wait=, timeout= and the claim's grace
LARGE = 400000                  # bytes of a body that a slow client gets
LOST = {"closed", "cut", "ConnectionResetError", "ConnectionRefusedError",
        "BrokenPipeError"}

# campaigns that nobody has asked for yet

UNSEEN = itertools.count(110)

LISTS = ["/api/review/campaigns?per_page=%d" % n for n in (3, 12, 40, 150)] + [
    "/api/review/listings", "/api/review/listings?per_page=100",
    "/api/sns/posts", "/api/sns/accounts", "/api/review/my-applications"]


def respawned(ng, dead):
    """Waits for as many workers as there should be, without `dead`."""
    lib.wait_for(lambda: dead not in ng.workers()
                 and len(ng.live()) == ng.words["workers"], 10)


def filler(t, pg, ng, listener):
    """The worker that makes an answer dies; that of the listener, or not."""
    what = "filler dies" + (", the listener's" if listener else "")
    path = "/api/review/campaigns/%d" % (20 + listener)
    owner = ng.listening()
    clients = lib.per_worker(ng.port, 2)
    victim = next(p for p in clients if (p == owner) == listener)
    other = next(p for p in clients if p != victim)
    session = pg.session()
    session.run("BEGIN; LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE")
    mark = pg.mark()

    def blocked():
        """The backends that wait for the lock; that of the dead worker ends
        when the server looks at its connection."""
        return set(pg.sql("SELECT pid FROM pg_stat_activity WHERE "
                          "usename = 'app' AND wait_event_type = 'Lock'")
                   .split())

    clients[victim].send(lib.request(path))
    lib.wait_for(lambda: len(blocked()) == 1, 3)
    dead = blocked()
    clients[other].send(lib.request(path))
    lib.time.sleep(0.2)
    t.ok(blocked() == dead and ng.cache()["fills_under_way"] == 1,
         "%s: two workers wait for one statement" % what)

    start = now()
    ng.kill(victim)
    taken = lib.wait_for(lambda: blocked() - dead and now() - start, 8, 0.01)
    respawned(ng, victim)
    fresh = lib.per_worker(ng.port, 2)
    for c in fresh.values():
        c.send(lib.request(path))
    lib.time.sleep(0.3)
    at_once = len(blocked() - dead)
    session.run("COMMIT")
    answers = [c.read(10) for c in [clients[other], *fresh.values()]]
    took = now() - start
    lib.time.sleep(0.2)
    n = pg.executed(mark, "review_campaign")
    session.close()
    for c in [*clients.values(), *fresh.values()]:
        c.close()

    t.figure("%s: somebody else is at it after" % what, taken or -1.0, "s")
    t.ok(taken and taken < 2, "%s: its claim is not waited for" % what,
         "%.2f s, deadline %d s" % (taken or took, DEADLINE))
    t.ok(all(r.status == 200 and r.body == answers[0].body for r in answers),
         "%s: who waited, and who came later, is answered" % what, answers)
    t.ok(took < DEADLINE - 2, "%s: long before the deadline" % what,
         "%.2f s" % took)

    # a new listener drops everything, also what is under way then

    most = 3 if listener else 1
    t.ok(1 <= at_once <= most and n <= most + 1,
         "%s: one statement more" % what,
         "%d at once, %d executed with that of the dead one" % (at_once, n))
    t.ok(ng.listening(), "%s: somebody listens" % what, ng.source())
    t.ok(ng.calm()["workers"] == 2 and not ng.loose(),
         "%s: nothing is left" % what, ng.loose())


def storm(t, pg, ng):
    """A worker every 0.1 to 0.3 s, under hits and misses."""
    paths = lib.detail_paths(100) + LISTS
    bodies = {}
    for path in paths:
        r = ng.get(path, lib.TOKEN)
        assert r.status == 200, r
        bodies[path] = lib.digest(r.body)
    start = now()
    load = lib.Load(t, ng.port, paths, conns=12, pause=0.003, bodies=bodies)
    session = pg.session()
    kills = 0
    owners = set()
    while now() - start < (3 if lib.SHORT else 12):
        end = now() + random.uniform(0.1, 0.3)
        while now() < end:
            session.run("SELECT pg_notify(name, 'campaigns id=%d')"
                        " FROM softfactory.channel" % random.randrange(1, 150))
            lib.time.sleep(0.01)
        live = ng.live()
        if live:
            ng.kill(random.choice(live))
            kills += 1
    session.close()
    stop = now()
    lib.wait_for(lambda: len(ng.live()) == 2, 10)
    owners = ng.listening()
    lib.time.sleep(1)
    load.stop()

    kinds = {r["error"] or r["status"] for r in load.records}
    seen = [r["cache"] for r in load.records]
    t.figure("storm: workers killed", kills)
    t.figure("storm: answers", load.summary())
    t.figure("storm: hits and misses", "%d and %d" % (
        seen.count("HIT"), seen.count("MISS")))
    t.ok(seen.count("HIT") > 100 and seen.count("MISS") > 100,
         "storm: hits and misses")
    t.ok("another body" not in kinds and "another's data" not in kinds,
         "storm: no wrong body", kinds)
    t.ok(kinds <= LOST | {200}, "storm: who is not killed is answered 200",
         load.summary())
    after = load.errors(stop + 1)
    t.ok(not after, "storm: all is well after it", after[:3])
    t.ok(owners, "storm: somebody listens", ng.source())
    usable(t, ng, "storm")


def usable(t, ng, what):
    """Something new is made once, and then there for all; nothing leaks."""
    path = "/api/review/campaigns?per_page=%d" % random.randrange(200, 400)
    clients = lib.per_worker(ng.port, 2)
    seen = [c.get(path).headers.get("x-cache")
            for c in [*clients.values()] * 2]
    for c in clients.values():
        c.close()
    t.ok(len(seen) == 4 and seen == ["MISS", "HIT", "HIT", "HIT"],
         "%s: the zone is usable" % what, seen)
    cache = ng.calm()
    t.ok(not ng.loose(), "%s: nothing is pinned, nothing under way" % what,
         ng.loose())
    t.ok(cache["workers"] == 2, "%s: two workers" % what, cache["workers"])


def die_inside(ng, pid, client, path, where, calls):
    """Lets a worker run into its death at the call of a function that holds
    the zone's mutex, by asking it for something that is not in the zone."""
    ng.kill(pid, inside=True)
    gdb = subprocess.Popen(
        ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off",
         "-p", str(pid), "-ex", "break " + where,
         "-ex", "ignore 1 %d" % calls, "-ex", "continue", "-ex", "kill"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    said = ""
    with lib.Patience(gdb, 120, "gdb to set a breakpoint at " + where):
        while "Breakpoint 1 at" not in said:
            line = gdb.stdout.readline()
            if not line:
                raise RuntimeError("gdb: " + said)
            said += line
    client.send(lib.request(path))
    try:
        said += gdb.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        gdb.kill()
        gdb.wait()
    return "Breakpoint 1, " in said and "killed" in said


def died(ng):
    return ng.errors().count("died inside")


def inside(t, ng, where, calls, listener, slow):
    """With the other worker living; with it sending a large body by
    reference to a slow client."""
    what = "dies in the mutex at %s, %d" % (where, calls)
    owner = ng.listening()
    clients = lib.per_worker(ng.port, 2)
    victim = next(p for p in clients if (p == owner) == listener)
    c = clients[next(p for p in clients if p != victim)]
    hit = "/api/review/campaigns/1"
    large = "/api/review/campaigns/900"
    plain = c.get(hit).body
    whole = c.get(large).body
    t.ok(len(whole) > LARGE and c.get(hit).headers["x-cache"] == "HIT",
         "%s: hits before" % what)
    reader = None
    if slow:
        reader = slow_reader(ng, c, victim, large)
        t.ok(ng.cache()["pinned_bytes"] >= LARGE,
             "%s: the other one sends by reference" % what, ng.cache())
    era = died(ng)
    beat = lib.Beat(t, ng.port)
    lib.time.sleep(0.3)

    hurt = die_inside(ng, victim, clients[victim], "/api/review/campaigns/%d"
                      % next(UNSEEN), where, calls)
    t.ok(hurt, "%s: it did" % what)
    since = now()
    if slow:
        meanwhile(t, ng, c, what, hit, plain)
        reader.s.setsockopt(lib.socket.SOL_SOCKET, lib.socket.SO_RCVBUF,
                            1 << 20)
        r = reader.read(20)
        t.ok(r.status == 200 and r.body == whole,
             "%s: the large body arrives whole and right" % what,
             "%d of %d bytes" % (len(r.body), len(whole)))
        reader.close()
    first = c.get(hit)
    respawned(ng, victim)
    back = lib.wait_for(lambda: c.get(hit).headers.get("x-cache") == "HIT"
                        and now() - since, 10)
    lib.time.sleep(0.7)
    beat.stop()
    t.ok(first.status == 200 and first.body == plain,
         "%s: the other worker goes on" % what, first)
    t.ok(back, "%s: hits again" % what, c.get(hit).headers)
    t.figure("%s: hits again after" % what, back or -1.0, "s")
    t.ok(died(ng) == era + 1, "%s: one line tells of it" % what,
         died(ng) - era)
    t.ok(ng.listening(), "%s: somebody listens" % what, ng.source())
    usable(t, ng, what)
    t.beat_ok(beat, what, since=since, without={victim})
    for c in clients.values():
        c.close()


def slow_reader(ng, c, victim, path):
    """A client that reads hardly anything, of another worker than victim."""
    for _ in range(100):
        reader = lib.Client(ng.port, rcvbuf=4096)
        pid = int(reader.get("/beat").headers["x-pid"])
        if pid != victim:
            reader.send(lib.request(path))
            lib.wait_for(lambda: c.get("/status").json()["cache"]["pins"], 3)
            return reader
        reader.close()
    raise RuntimeError("no connection to the other worker")


def meanwhile(t, ng, c, what, hit, plain):
    """The zone cannot be emptied while it is sent from."""
    answers = []
    end = now() + (1 if lib.SHORT else 3)
    while now() < end:
        answers.append(c.get(hit))
        lib.time.sleep(0.02)
    kinds = {(r.status, r.headers.get("x-cache"), r.body == plain)
             for r in answers}
    t.ok(kinds == {(200, "MISS", True)},
         "%s: served from the database while it is sent from" % what, kinds)
    t.ok("emptied" in ng.errors(), "%s: which is told" % what)


def run(t):
    pg = lib.Postgres(t, "pg15")
    pg.set(log_statement="all")
    pg.sql("INSERT INTO campaigns (id, creator_id, title, product_name, "
           "description, deadline, status) VALUES (900, 1, 'large', 'p', "
           "repeat('0123456789', %d), '2099-01-01', 'draft') "
           "ON CONFLICT DO NOTHING" % (LARGE // 10))
    ng = lib.Nginx(t, pg.unix, zone="8m",
                   listen=" reuseport backlog=4096 sndbuf=32k")
    ng.ready()

    for listener in (False, True):
        filler(t, pg, ng, listener)
    storm(t, pg, ng)

    if not shutil.which("gdb"):
        t.skip("dies in the mutex", "there is no gdb")
    else:
        # the claim's fill and node, the value, and what ends the fill

        places = [("ngx_slab_alloc_locked", 0), ("ngx_slab_alloc_locked", 1),
                  ("ngx_slab_alloc_locked", 2), ("ngx_slab_free_locked", 0)]
        for n, (where, calls) in enumerate(places[1:3] if lib.SHORT
                                           else places):
            inside(t, ng, where, calls, n % 2 == 0, n % 2 == 1)
    ng.stop()


lib.main(__file__, run)

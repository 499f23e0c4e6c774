
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Metrics without nginx: sizes, slots that are claimed, left and inherited,
 * places of names over reloads, the spans of intervals, pasts and the windows
 * between them.  Time is ngx_current_msec, which the test moves by itself.
 *
 * A worker of another configuration has the pid of this test's parent: it is
 * there, and is not ours.
 */


#include "ngx_sf_metrics.h"
#include "unit.h"

#include <sys/mman.h>
#include <sys/wait.h>


#define TEST_ENDPOINTS  3
#define TEST_SLOTS      16
#define TEST_UPSTREAMS  16
#define TEST_SERVERS    64


static ngx_sf_metrics_t  test_metrics;
static ngx_shm_zone_t    test_zone;
static ngx_cycle_t       test_cycle;

static const ngx_sf_metrics_need_t  test_need = {
    .workers = 2, .upstreams = 5, .servers = 30
};


/* shared memory as nginx makes it */

static ngx_slab_pool_t *
test_pool(size_t size)
{
    u_char           *addr;
    ngx_slab_pool_t  *shpool;

    addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    shpool = (ngx_slab_pool_t *) addr;
    shpool->end = addr + size;
    shpool->min_shift = 3;
    shpool->addr = addr;

    ngx_slab_sizes_init();
    (void) ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL);
    ngx_slab_init(shpool);

    return shpool;
}


/* the list of workers, which is one for all: see test_enter() */

static ngx_sf_workers_t *
test_workers(ngx_sf_metrics_t *metrics)
{
    size_t                    size;
    ngx_shm_zone_t            zone;
    ngx_sf_workers_t         *workers;
    ngx_sf_workers_holder_t  *holder;

    static ngx_slab_pool_t  *shpool;

    size = ngx_sf_workers_size();
    workers = ngx_pcalloc(unit_pool, sizeof(ngx_sf_workers_t));

    ngx_memzero(&zone, sizeof(ngx_shm_zone_t));
    zone.data = workers;
    zone.shm.exists = shpool != NULL;

    if (shpool == NULL) {
        shpool = test_pool(size);
    }

    zone.shm.addr = (u_char *) shpool;

    (void) ngx_sf_workers_init(&zone, NULL);
    (void) ngx_array_init(&workers->holders, unit_pool, 1,
                          sizeof(ngx_sf_workers_holder_t));

    holder = ngx_array_push(&workers->holders);
    holder->bury = ngx_sf_metrics_bury;
    holder->data = metrics;

    return workers;
}


/* the names of a configuration, NULL ends them */

static void
test_conf(ngx_sf_metrics_t *metrics, const char *const *names)
{
    ngx_uint_t  n;

    for (n = 0; names[n]; n++) { /* void */ }

    ngx_memzero(metrics, sizeof(ngx_sf_metrics_t));

    metrics->workers = test_workers(metrics);
    metrics->nendpoints = n;
    metrics->names = ngx_palloc(unit_pool, n * sizeof(ngx_str_t));

    while (n--) {
        metrics->names[n].data = (u_char *) names[n];
        metrics->names[n].len = ngx_strlen(names[n]);
    }
}


static ngx_int_t
test_enter(ngx_sf_metrics_t *metrics, ngx_pid_t pid)
{
    ngx_pid = pid;

    ngx_sf_workers_enter(metrics->workers);

    return ngx_sf_metrics_enter(metrics, &unit_log);
}


static void
test_leave(ngx_sf_metrics_t *metrics, ngx_pid_t pid)
{
    ngx_pid = pid;

    ngx_sf_metrics_leave(metrics);
    ngx_sf_workers_leave(metrics->workers);
}


/* memory of its own, or that of the configuration before it */

static ngx_int_t
test_load(ngx_sf_metrics_t *metrics, ngx_shm_zone_t *zone,
    ngx_sf_metrics_t *old, ngx_shm_zone_t *from)
{
    size_t      size;
    ngx_uint_t  grow;

    size = ngx_sf_metrics_plan(metrics, &test_need, from, &grow);

    if (from && size == from->shm.size && !grow) {
        *zone = *from;
        zone->data = metrics;

        return ngx_sf_metrics_init(zone, old);
    }

    ngx_memzero(zone, sizeof(ngx_shm_zone_t));

    zone->shm.addr = (u_char *) test_pool(size);
    zone->shm.size = size;
    zone->data = metrics;

    return ngx_sf_metrics_init(zone, NULL);
}


static void
test_create(void)
{
    ngx_sf_metrics_room_t  *room;

    static const char *const  names[] = { "zero", "one", "two", NULL };

    ngx_cycle = &test_cycle;
    test_cycle.log = &unit_log;
    ngx_current_msec = 1000000;

    test_conf(&test_metrics, names);

    unit_ok(test_load(&test_metrics, &test_zone, NULL, NULL) == NGX_OK,
            "there is room for it in %zu bytes", test_zone.shm.size);

    room = &test_metrics.sh->room;

    unit_ok(room->endpoints == 8 && room->slots == TEST_SLOTS
            && room->upstreams == TEST_UPSTREAMS
            && room->servers == TEST_SERVERS,
            "for %d endpoints, %d workers, %d upstreams, %d servers",
            (int) room->endpoints, (int) room->slots, (int) room->upstreams,
            (int) room->servers);
}


/* so many endpoints and workers; bytes as they stand in ngx_sf_metrics.h */

static double
test_size(ngx_uint_t endpoints, ngx_uint_t workers, size_t *size)
{
    double                  e, s, u, n;
    ngx_uint_t              i, grow;
    const char             *names[501];
    ngx_sf_metrics_t        metrics;
    ngx_sf_metrics_need_t   need;

    for (i = 0; i < endpoints; i++) {
        names[i] = "";
    }

    names[i] = NULL;
    test_conf(&metrics, names);

    need.workers = workers;
    need.upstreams = 1;
    need.servers = 2;

    *size = ngx_sf_metrics_plan(&metrics, &need, NULL, &grow);

    e = metrics.room.endpoints;
    s = metrics.room.slots;
    u = metrics.room.upstreams;
    n = metrics.room.servers;

    return 740 * (1608 + 144 * e)
           + s * (9448 + 1121 * e + 208 * u + 296 * n)
           + 4032 + 1240 * e + 240 * u + 104 * n;
}


static void
test_sizes(void)
{
    double      bytes;
    size_t      size, few, many;
    ngx_uint_t  good, i;

    static const ngx_uint_t  cases[][2] = {
        { 1, 1 }, { 45, 2 }, { 61, 4 }, { 62, 4 }, { 500, 4 }, { 500, 64 },
        { 45, 1000 }, { 45, 0 }
    };

    good = 1;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes = test_size(cases[i][0], cases[i][1], &size);
        good &= size > bytes && size < bytes * 1.01 + 65536;
    }

    unit_ok(good, "sizes are as the header says");

    (void) test_size(45, 0, &many);
    (void) test_size(45, 1000, &size);
    unit_ok(size == many, "no number of workers: as many as there may be");

    (void) test_size(45, 2, &few);
    (void) test_size(60, 4, &size);
    unit_ok(size == few && few < many, "a few more need nothing more");

    (void) test_size(61, 4, &size);
    unit_ok(size > few, "until they do: %zu, %zu", few, size);
}


static void
test_reload(void)
{
    ngx_shm_zone_t         next;
    ngx_sf_metrics_t       metrics;
    ngx_sf_metrics_need_t  need;
    ngx_uint_t             grow;

    metrics = test_metrics;
    metrics.sh = NULL;

    unit_ok(test_load(&metrics, &next, &test_metrics, &test_zone) == NGX_OK
            && metrics.sh == test_metrics.sh, "a reload takes it over");

    need = test_need;
    need.workers = 5;
    (void) ngx_sf_metrics_plan(&metrics, &need, &test_zone, &grow);
    unit_ok(grow && metrics.room.slots == 32 && metrics.room.endpoints == 8
            && metrics.from, "unless there are more workers");

    need = test_need;
    need.servers = 33;
    (void) ngx_sf_metrics_plan(&metrics, &need, &test_zone, &grow);
    unit_ok(grow && metrics.room.servers == 128, "or servers");

    need.servers = 1;
    need.workers = 1;
    unit_ok(ngx_sf_metrics_plan(&metrics, &need, &test_zone, &grow)
            == test_zone.shm.size && !grow
            && metrics.room.servers == TEST_SERVERS, "fewer do not matter");

    metrics.from = NULL;
    test_metrics.sh->layout++;
    (void) ngx_sf_metrics_plan(&metrics, &test_need, &test_zone, &grow);
    unit_ok(grow && metrics.from == NULL,
            "what other code has counted is left alone");
    test_metrics.sh->layout--;
}


static uint64_t
test_count(ngx_uint_t endpoint)
{
    uint64_t         n, errors;
    ngx_sf_counts_t  sum;

    (void) ngx_sf_metrics_sum(&test_metrics, unit_pool, &sum);
    n = ngx_sf_metrics_requests(&sum.endpoints[NGX_SF_METRICS_NAMED
                                               + endpoint],
                                &errors);

    return n * 1000 + errors;
}


static void
test_counting(void)
{
    ngx_sf_span_t  span;

    unit_ok(test_enter(&test_metrics, getpid()) == NGX_OK
            && test_metrics.slot->pid == (ngx_atomic_uint_t) ngx_pid,
            "a worker has a slot");

    ngx_sf_metrics_request(&test_metrics, 1, 0, 200, NGX_SF_CACHE_HIT, 20);
    ngx_sf_metrics_request(&test_metrics, 1, 0, 503, NGX_SF_CACHE_NONE, 300);
    ngx_sf_metrics_request(&test_metrics, 1, 3, 418, NGX_SF_CACHE_NONE, 0);

    unit_ok(test_count(1) == 3001, "three requests, one of them an error");
    unit_ok(test_count(2) == 0, "none of another endpoint");
    unit_ok(test_metrics.endpoints[1].counts
            ->requests[3][NGX_SF_METRICS_STATUSES - 1] == 1,
            "an unknown status is any other");

    ngx_sf_metrics_span(&test_metrics, test_metrics.endpoints[1].place, 0,
                        &span);
    unit_ok(span.low == 1 && span.high == 300,
            "the shortest one, which takes some time, and the longest");
}


/* a worker that has died, with what it has counted */

static void
test_death(void)
{
    pid_t                   pid;
    ngx_uint_t              i;
    ngx_sf_metrics_t        other;
    ngx_sf_metrics_slot_t  *slot;

    pid = fork();

    if (pid == 0) {
        other = test_metrics;
        other.slot = NULL;
        other.workers = test_workers(&other);

        if (test_enter(&other, getpid()) == NGX_OK) {
            for (i = 0; i < 10; i++) {
                ngx_sf_metrics_request(&other, 2, 0, 200, NGX_SF_CACHE_MISS,
                                       5000);
            }
        }

        _exit(0);
    }

    (void) waitpid(pid, NULL, 0);

    unit_ok(test_count(2) == 10000, "a dead worker's requests are there");

    ngx_sf_workers_bury(test_metrics.workers);
    unit_ok(test_count(2) == 10000, "also when its slot is free again");

    ngx_sf_workers_bury(test_metrics.workers);
    unit_ok(test_count(2) == 10000, "and they are not counted twice");

    slot = test_metrics.slot;
    test_leave(&test_metrics, getpid());
    unit_ok(slot->pid == 0 && test_count(1) == 3001,
            "one that leaves leaves its requests");

    unit_ok(test_enter(&test_metrics, getpid()) == NGX_OK
            && test_count(1) == 3001, "the next one begins with none");
}


static void
test_names(void)
{
    u_char     text[8];
    ngx_str_t  name;
    ngx_int_t  i, n, first;

    name.data = text;
    name.len = 3;
    first = -1;

    for (i = 0; i < TEST_UPSTREAMS; i++) {
        *ngx_sprintf(text, "u%02i", i) = '\0';
        n = ngx_sf_metrics_upstream(&test_metrics, &name);
        first = i ? first : n;
    }

    unit_ok(ngx_sf_metrics_upstream(&test_metrics, &name)
            == TEST_UPSTREAMS - 1, "a name keeps its place");

    ngx_memcpy(text, "new", 4);
    unit_ok(ngx_sf_metrics_upstream(&test_metrics, &name) == NGX_ERROR,
            "there is none when all are in use");

    ngx_memcpy(text, "db\x80", 4);
    n = ngx_sf_metrics_server(&test_metrics, first, &name);
    unit_ok(n != NGX_ERROR
            && ngx_strcmp(test_metrics.sh->servers[n].name, "db?") == 0,
            "a server, as plain text");

    test_metrics.sh->gone.disconnects[first][0] = 7;
    test_metrics.slot->upstreams[first].used = 0;
    ngx_memcpy(text, "new", 4);

    unit_ok(ngx_sf_metrics_upstream(&test_metrics, &name) == first,
            "a place that nobody uses any more is taken");
    unit_ok(test_metrics.sh->gone.disconnects[first][0] == 0
            && test_metrics.sh->servers[n].name[0] == '\0',
            "without what belonged to the old one");

    /* all others are those of a configuration that has gone */

    for (i = 0; i < TEST_UPSTREAMS; i++) {
        test_metrics.slot->upstreams[i].used = 0;
    }

    n = ngx_sf_metrics_upstream(&test_metrics, &name);
    ngx_memcpy(text, "two", 4);
    unit_ok(ngx_sf_metrics_upstream(&test_metrics, &name) != n,
            "two new names do not share one");
}


/* n seconds, in each of which the endpoint 0 is asked once, in us */

static void
test_seconds(ngx_uint_t n, uint64_t us)
{
    while (n--) {
        ngx_sf_metrics_request(&test_metrics, 0, 0, 200, NGX_SF_CACHE_HIT,
                               us);
        ngx_current_msec += 1000;
        ngx_sf_sample_take(&test_metrics, &unit_log);
    }
}


/* requests of an endpoint, as the report counts them */

static uint64_t
test_window_of(ngx_sf_metrics_t *metrics, ngx_uint_t i, time_t seconds,
    ngx_sf_sample_load_t *load)
{
    ngx_uint_t               place;
    ngx_sf_counts_t          sum;
    const ngx_sf_past_t     *past;
    ngx_sf_past_endpoint_t   now, then;

    (void) ngx_sf_metrics_sum(metrics, unit_pool, &sum);

    past = ngx_sf_sample_past(metrics, seconds);
    ngx_sf_sample_load(metrics, past, load);

    place = metrics->endpoints[i].place;

    ngx_sf_sample_place(metrics, &sum, metrics->sh->tick, place, &now);
    ngx_sf_sample_then(metrics, past, place, &now, &then);

    return ngx_sf_metrics_since(now.requests, then.requests);
}


static uint64_t
test_window(time_t seconds, ngx_sf_sample_load_t *load)
{
    return test_window_of(&test_metrics, 0, seconds, load);
}


static void
test_windows(void)
{
    uint64_t              n;
    ngx_uint_t            good, i;
    ngx_sf_span_t         span;
    ngx_sf_sample_load_t  load;

    test_seconds(30, 100);
    unit_ok(test_window(60, &load) == 30, "a window longer than all there was");
    unit_ok(test_window(0, &load) == 30, "and one since the start");

    /* the kernel's clock of the processors goes by real time */

    ngx_msleep(50);
    test_seconds(1, 100);
    (void) test_window(0, &load);
    unit_ok(load.average.memory > 0 && load.peak.memory >= load.average.memory,
            "the machine was looked at");

    test_seconds(89, 100);
    n = test_window(60, &load);
    unit_ok(n >= 60 && n < 60 + NGX_SF_METRICS_INTERVAL,
            "a window of a minute has %d requests", (int) n);

    /* a second without a sample: two workers, or a timer that is early */

    n = test_metrics.sh->seconds;
    ngx_sf_sample_take(&test_metrics, &unit_log);
    unit_ok(test_metrics.sh->seconds == n, "a second is looked at once");

    /* more than an hour, so that the oldest ones are written over */

    test_seconds(5000, 100);
    good = 1;

    for (i = 60; i <= 3600; i *= 2) {
        n = test_window(i, &load);
        good &= n >= i && n < i + NGX_SF_METRICS_INTERVAL;
    }

    unit_ok(good, "windows when the ring is full");

    n = test_window(100000, &load);
    unit_ok(n > 3600 && n < 5000, "what is not kept any more is not told");

    /* spans: of the interval that has ended, not of the one that goes on */

    test_seconds(NGX_SF_METRICS_INTERVAL
                 - test_metrics.sh->seconds % NGX_SF_METRICS_INTERVAL, 100);
    test_seconds(1, 7);
    test_seconds(1, 900);
    test_seconds(NGX_SF_METRICS_INTERVAL - 2, 100);
    test_seconds(1, 1);

    ngx_memzero(&span, sizeof(span));
    ngx_sf_sample_span(&test_metrics,
                       &test_metrics.sh->pasts[(test_metrics.sh->npasts - 2)
                                               % NGX_SF_METRICS_PASTS],
                       test_metrics.endpoints[0].place, &span);
    unit_ok(span.low == 7 && span.high == 900,
            "an interval's shortest and longest: %d, %d", (int) span.low,
            (int) span.high);

    ngx_sf_metrics_span(&test_metrics, test_metrics.endpoints[0].place,
                        test_metrics.sh->tick, &span);
    unit_ok(span.low == 1 && span.high == 1, "and those of the next one");

    test_leave(&test_metrics, getpid());
    ngx_sf_metrics_span(&test_metrics, NGX_SF_METRICS_NAMED,
                        test_metrics.sh->tick, &span);
    unit_ok(span.low == 1 && span.high == 1
            && test_enter(&test_metrics, getpid()) == NGX_OK,
            "also when their worker leaves");

    test_seconds(1, 50);
    ngx_sf_metrics_span(&test_metrics, test_metrics.endpoints[0].place,
                        test_metrics.sh->tick, &span);
    unit_ok(span.low == 1 && span.high == 50, "with those of its heir");
}


/* more than 32 bits of requests */

static void
test_many(void)
{
    ngx_sf_sample_load_t  load;

    test_metrics.endpoints[0].counts->requests[0][0] += 5000000000;

    unit_ok(test_window(0, &load) > 5000000000, "five thousand millions");

    test_seconds(65, 100);
    unit_ok(test_window(60, &load) < 60 + NGX_SF_METRICS_INTERVAL,
            "and a minute after them");

    /* over the end of 32 bits, within the window */

    test_metrics.endpoints[0].counts->requests[0][0] += 2000000000;
    unit_ok(test_window(60, &load) / 100 == 20000000, "of a busy minute");
}


/* what was passed on: so many with a status, of which some were not answered */

static void
test_passed(ngx_uint_t n, ngx_uint_t status, ngx_uint_t failed)
{
    while (n--) {
        ngx_sf_metrics_fallback(&test_metrics, status, failed, 2000);
    }
}


static void
test_fallback(void)
{
    ngx_sf_sample_fallback_t  minute;

    test_seconds(80, 100);
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.requests == 0 && !minute.away, "nothing was passed on");

    test_passed(2, 502, 1);
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.failed == 2 && minute.errors == 2 && !minute.away,
            "two that nobody has answered are an accident");

    test_passed(1, 499, 1);
    test_passed(1, 0, 0);
    test_passed(1, 101, 0);
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.requests == 5 && minute.failed == 3 && minute.errors == 2
            && minute.away,
            "three of five are none");

    test_passed(2, 200, 0);
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.failed == 3 && !minute.away, "three of seven are");

    test_seconds(80, 100);
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.requests == 0 && minute.failed == 0,
            "a minute later they are forgotten");

    /* the worker that has counted them leaves */

    test_passed(3, 504, 1);
    test_leave(&test_metrics, getpid());
    unit_ok(test_enter(&test_metrics, getpid()) == NGX_OK,
            "its heir");
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.requests == 3 && minute.away, "has its failures");

    /* less than before: it has died while it handed them over */

    test_seconds(80, 100);
    ngx_memzero(&test_metrics.sh->gone.fallback,
                sizeof(ngx_sf_fallback_counts_t));
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.requests == 0 && minute.failed == 0 && !minute.away,
            "what is lost is not counted backwards");
    unit_ok(ngx_sf_metrics_since(7, 9) == 0 && ngx_sf_metrics_since(9, 7) == 2,
            "nor is anything else");
}


static uint64_t
test_requests(ngx_sf_metrics_t *metrics, ngx_uint_t i)
{
    uint64_t         errors;
    ngx_sf_counts_t  sum;

    (void) ngx_sf_metrics_sum(metrics, unit_pool, &sum);

    return ngx_sf_metrics_requests(ngx_sf_metrics_of(metrics, &sum, i),
                                   &errors);
}


static void
test_ask(ngx_sf_metrics_t *metrics, ngx_uint_t i, ngx_uint_t n)
{
    while (n--) {
        ngx_sf_metrics_request(metrics, i, 0, 200, NGX_SF_CACHE_HIT, 100);
    }
}


/* all that the history tells of: requests of any endpoint */

static uint64_t
test_total(ngx_sf_metrics_t *metrics)
{
    ngx_sf_past_t    now;
    ngx_sf_counts_t  sum;

    now.endpoints = NULL;

    (void) ngx_sf_metrics_sum(metrics, unit_pool, &sum);
    ngx_sf_sample_now(metrics, &sum, metrics->sh->tick, &now);

    return now.total.requests;
}


static void
test_pass(ngx_sf_metrics_t *metrics, ngx_uint_t seconds)
{
    while (seconds--) {
        ngx_current_msec += 1000;
        ngx_sf_sample_take(metrics, &unit_log);
    }
}


/* a reload with an endpoint less, one more, and the others in another order */

static void
test_places(void)
{
    uint64_t               total;
    ngx_shm_zone_t         zone, next;
    ngx_sf_metrics_t       old, new, last;
    ngx_sf_sample_load_t   load;

    static const char *const  names[] = { "a", "b", "c", NULL };
    static const char *const  moved[] = { "c", "d", "a", NULL };
    static const char *const  others[] = { "e", "f", "b", NULL };

    test_conf(&old, names);
    (void) test_load(&old, &zone, NULL, NULL);
    (void) test_enter(&old, getppid());

    test_pass(&old, 10);
    test_ask(&old, 0, 1);
    test_ask(&old, 1, 2);
    test_ask(&old, 2, 3);
    test_ask(&old, 3, 4);
    test_pass(&old, 30);

    test_conf(&new, moved);
    (void) test_load(&new, &next, &old, &zone);
    (void) test_enter(&new, getpid());

    unit_ok(new.sh == old.sh, "a reload keeps the memory");
    unit_ok(test_requests(&new, 2) == 1 && test_requests(&new, 0) == 3
            && test_requests(&new, 1) == 0 && test_requests(&new, 3) == 4,
            "and what was counted of an endpoint, by its name");
    unit_ok(test_window_of(&new, 0, 10, &load) == 0
            && test_window_of(&new, 0, 35, &load) == 3,
            "and when it was");

    test_ask(&old, 0, 10);
    unit_ok(test_requests(&new, 2) == 11,
            "also what the old workers still count");
    unit_ok(test_total(&new) == 20, "the total has those that have gone");

    /* one of five places is free, and one is left by its endpoint */

    test_leave(&old, getppid());
    test_pass(&new, 60);
    total = test_total(&new);

    test_conf(&last, others);
    (void) test_load(&last, &zone, &new, &next);
    unit_ok(last.sh != new.sh && last.room.endpoints == 16,
            "more memory while all other places are in use");
    (void) test_enter(&last, getppid());

    unit_ok(test_requests(&last, 2) == 2 && test_requests(&last, 0) == 0,
            "with what was counted");
    unit_ok(test_window_of(&last, 2, 110, &load) == 2
            && test_window_of(&last, 2, 50, &load) == 0, "and when");
    unit_ok(test_total(&last) == total
            && last.sh->start.at == new.sh->start.at, "since the same start");

    test_ask(&new, 0, 1);
    unit_ok(test_total(&last) == total, "but not what is counted there later");

    test_leave(&new, getpid());
    test_leave(&last, getppid());
    ngx_pid = getpid();
}


/* when no place is free, the one goes that was left first */

static void
test_return(void)
{
    uint64_t               total;
    ngx_uint_t             i;
    ngx_shm_zone_t         zone, next;
    ngx_sf_metrics_t       metrics[5];
    ngx_sf_sample_load_t   load;

    static const char *const  confs[][4] = {
        { "a", "b", "c", NULL },
        { "b", "d", "e", NULL },            /* all five places are taken */
        { "d", "e", "c", NULL },
        { "e", "f", "d", NULL },            /* in that of a */
        { "b", "c", "a", NULL }             /* in that of f */
    };

    test_conf(&metrics[0], confs[0]);
    (void) test_load(&metrics[0], &zone, NULL, NULL);
    total = 0;

    for (i = 0; i < 5; i++) {
        if (i) {
            test_conf(&metrics[i], confs[i]);
            (void) test_load(&metrics[i], &next, &metrics[i - 1], &zone);
        }

        (void) test_enter(&metrics[i], getpid());
        unit_ok(metrics[i].sh == metrics[0].sh, "reload %d", (int) i);

        test_ask(&metrics[i], 0, 10);
        test_ask(&metrics[i], 1, 10);
        test_ask(&metrics[i], 2, 10);
        test_pass(&metrics[i], 20);
        total += 30;

        unit_ok(test_total(&metrics[i]) == total, "the total grows");

        if (i == 3) {
            unit_ok(test_requests(&metrics[i], 1) == 10
                    && test_window_of(&metrics[i], 1, 40, &load) == 10
                    && metrics[i].endpoints[1].place
                       == NGX_SF_METRICS_NAMED,
                    "a new one begins with nothing, in the oldest place");
        }

        if (i == 4) {
            unit_ok(test_requests(&metrics[i], 0) == 30
                    && test_requests(&metrics[i], 1) == 30
                    && test_requests(&metrics[i], 2) == 10,
                    "others return to theirs");
        }

        test_leave(&metrics[i], getpid());
    }
}


static ngx_int_t
test_alone_enter(ngx_sf_metrics_t *alone, ngx_sf_metrics_t *one,
    ngx_shm_zone_t *zone, const char *const *names)
{
    ngx_int_t       rc;
    ngx_shm_zone_t  next;

    test_conf(alone, names);

    next = *zone;
    next.data = alone;
    (void) ngx_sf_metrics_init(&next, one);

    unit_log.log_level = NGX_LOG_ERR;
    rc = test_enter(alone, getpid() + 1);
    unit_log.log_level = NGX_LOG_NOTICE;

    return rc;
}


/*
 * Its endpoints have three places that nobody uses: one of these is that of
 * its last endpoint already, and the third one has none.  What that one counts
 * is shown once, as that of unknown paths.
 */

static void
test_lacking(ngx_sf_metrics_t *one, ngx_shm_zone_t *zone)
{
    ngx_uint_t        i, unknown;
    ngx_sf_metrics_t  alone;

    static const char *const  names[] = { "c", "d", "e", NULL };
    static const char *const  others[] = { "f", "g", "h", "e", NULL };

    unit_ok(test_alone_enter(&alone, one, zone, names) == NGX_OK,
            "one that takes all places");
    test_leave(&alone, ngx_pid);

    unit_ok(test_alone_enter(&alone, one, zone, others) == NGX_OK,
            "one that lacks one");
    unknown = ngx_sf_metrics_unknown(&alone);

    for (i = 0; i <= unknown; i++) {
        test_ask(&alone, i, i + 1);
    }

    ngx_sf_metrics_tell(&alone);

    unit_ok(test_requests(&alone, 0) == 1 && test_requests(&alone, 1) == 2
            && test_requests(&alone, 3) == 4, "no two share a place");
    unit_ok(test_requests(&alone, 2) == 0
            && ngx_sf_metrics_place(&alone, 2) == NGX_SF_METRICS_NOWHERE
            && test_requests(&alone, unknown) == 3 + 5,
            "what has none counts as unknown, and once");

    test_leave(&alone, ngx_pid);
}


/* a worker more than there are slots, which is warned of */

static void
test_alone(void)
{
    ngx_uint_t         i;
    ngx_shm_zone_t     zone;
    ngx_sf_metrics_t   one, alone;

    static const char *const  names[] = { "a", "b", NULL };

    test_conf(&one, names);
    (void) test_load(&one, &zone, NULL, NULL);
    (void) test_enter(&one, getpid());

    for (i = 1; i < one.sh->room.slots; i++) {
        one.workers->sh->pids[i] = getppid();
    }

    alone = one;
    alone.slot = NULL;
    alone.workers = test_workers(&alone);
    unit_log.log_level = NGX_LOG_ERR;
    unit_ok(test_enter(&alone, getpid() + 1) == NGX_OK && alone.told,
            "a worker without a slot");
    unit_log.log_level = NGX_LOG_NOTICE;

    test_ask(&alone, 1, 5);
    unit_ok(test_requests(&one, 1) == 0, "what it has counted");
    ngx_sf_metrics_tell(&alone);
    unit_ok(test_requests(&one, 1) == 5, "is told");
    ngx_sf_metrics_tell(&alone);
    unit_ok(test_requests(&one, 1) == 5, "once");

    test_ask(&alone, 0, 1);
    test_ask(&alone, 1, 1);
    unit_ok(test_requests(&alone, 1) == 5, "and seen by itself");
    one.sh->endpoints[one.endpoints[1].place].life++;
    one.endpoints[1].life++;
    unit_ok(test_requests(&alone, 1) == 0
            && ngx_sf_metrics_place(&alone, 1) == NGX_SF_METRICS_NOWHERE,
            "until another has got the place");
    test_leave(&alone, ngx_pid);

    unit_ok(test_requests(&one, 0) == 1, "its last words are heard");
    unit_ok(test_requests(&one, 1) == 5 && test_total(&one) == 7,
            "but not as those of who has got the place");

    test_lacking(&one, &zone);

    ngx_pid = getpid();

    for (i = 1; i < one.sh->room.slots; i++) {
        one.workers->sh->pids[i] = 0;
    }

    test_leave(&one, getpid());
}


int
main(void)
{
    unit_init();
    ngx_pid = getpid();

    test_create();
    test_sizes();
    test_reload();
    test_counting();
    test_death();
    test_names();
    test_windows();
    test_fallback();
    test_many();

    test_leave(&test_metrics, getpid());

    test_places();
    test_return();
    test_alone();

    return unit_done();
}

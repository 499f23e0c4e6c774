
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Metrics without nginx: slots that are claimed, left and inherited, places of
 * names, the spans of intervals, pasts and the windows between them.  Time is
 * ngx_current_msec, which the test moves by itself.
 */


#include "ngx_sf_metrics.h"
#include "unit.h"

#include <sys/mman.h>
#include <sys/wait.h>


#define TEST_ENDPOINTS  3


static ngx_sf_metrics_t  test_metrics;
static ngx_shm_zone_t    test_zone;
static ngx_cycle_t       test_cycle;


/* shared memory as nginx makes it, and the metrics of a first configuration */

static void
test_create(void)
{
    size_t            size;
    u_char           *addr;
    ngx_slab_pool_t  *shpool;

    size = ngx_sf_metrics_size();
    addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    ngx_cycle = &test_cycle;
    test_cycle.log = &unit_log;

    shpool = (ngx_slab_pool_t *) addr;
    shpool->end = addr + size;
    shpool->min_shift = 3;
    shpool->addr = addr;

    ngx_slab_sizes_init();
    (void) ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL);
    ngx_slab_init(shpool);

    test_zone.shm.addr = addr;
    test_zone.shm.size = size;
    test_zone.data = &test_metrics;

    test_metrics.nendpoints = TEST_ENDPOINTS;
    test_metrics.layout = ngx_sf_metrics_layout();

    ngx_current_msec = 1000000;

    unit_ok(ngx_sf_metrics_init(&test_zone, NULL) == NGX_OK,
            "there is room for it in %zu bytes", size);
}


static void
test_reload(void)
{
    ngx_shm_zone_t       next;
    ngx_sf_metrics_t     metrics;
    ngx_sf_metrics_sh_t  *sh;

    sh = test_metrics.sh;
    next = test_zone;
    metrics = test_metrics;
    metrics.sh = NULL;
    next.data = &metrics;

    unit_ok(ngx_sf_metrics_init(&next, &test_metrics) == NGX_OK
            && metrics.sh == sh, "a reload takes it over");
    unit_ok(!ngx_sf_metrics_differs(&test_zone, test_metrics.layout),
            "as long as the same is counted");
    unit_ok(ngx_sf_metrics_differs(&test_zone, test_metrics.layout + 1),
            "but not where other things are");
}


static uint64_t
test_count(ngx_uint_t endpoint)
{
    uint64_t                 n, errors;
    static ngx_sf_counts_t   sum;

    ngx_sf_metrics_sum(&test_metrics, &sum);
    n = ngx_sf_metrics_requests(&sum.endpoints[endpoint], &errors);

    return n * 1000 + errors;
}


static void
test_counting(void)
{
    ngx_sf_span_t  span;

    unit_ok(ngx_sf_metrics_enter(&test_metrics, &unit_log) == NGX_OK
            && test_metrics.slot->pid == (ngx_atomic_uint_t) ngx_pid,
            "a worker has a slot");

    ngx_sf_metrics_request(&test_metrics, 1, 0, 200, NGX_SF_CACHE_HIT, 20);
    ngx_sf_metrics_request(&test_metrics, 1, 0, 503, NGX_SF_CACHE_NONE, 300);
    ngx_sf_metrics_request(&test_metrics, 1, 3, 418, NGX_SF_CACHE_NONE, 0);

    unit_ok(test_count(1) == 3001, "three requests, one of them an error");
    unit_ok(test_count(2) == 0, "none of another endpoint");
    unit_ok(test_metrics.slot->counts.endpoints[1]
            .requests[3][NGX_SF_METRICS_STATUSES - 1] == 1,
            "an unknown status is any other");

    ngx_sf_metrics_span(&test_metrics, 1, 0, &span);
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
        ngx_pid = getpid();
        other = test_metrics;
        other.slot = NULL;

        if (ngx_sf_metrics_enter(&other, &unit_log) == NGX_OK) {
            for (i = 0; i < 10; i++) {
                ngx_sf_metrics_request(&other, 2, 0, 200, NGX_SF_CACHE_MISS,
                                       5000);
            }
        }

        _exit(0);
    }

    (void) waitpid(pid, NULL, 0);

    unit_ok(test_count(2) == 10000, "a dead worker's requests are there");

    ngx_sf_metrics_bury(&test_metrics);
    unit_ok(test_count(2) == 10000, "also when its slot is free again");

    ngx_sf_metrics_bury(&test_metrics);
    unit_ok(test_count(2) == 10000, "and they are not counted twice");

    slot = test_metrics.slot;
    ngx_sf_metrics_leave(&test_metrics);
    unit_ok(slot->pid == 0 && test_count(1) == 3001,
            "one that leaves leaves its requests");

    unit_ok(ngx_sf_metrics_enter(&test_metrics, &unit_log) == NGX_OK
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

    for (i = 0; i < NGX_SF_METRICS_UPSTREAMS; i++) {
        *ngx_sprintf(text, "u%02i", i) = '\0';
        n = ngx_sf_metrics_upstream(&test_metrics, &name);
        first = i ? first : n;
    }

    unit_ok(ngx_sf_metrics_upstream(&test_metrics, &name)
            == NGX_SF_METRICS_UPSTREAMS - 1, "a name keeps its place");

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

    for (i = 0; i < NGX_SF_METRICS_UPSTREAMS; i++) {
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


static uint64_t
test_window(time_t seconds, ngx_sf_sample_load_t *load)
{
    static ngx_sf_past_t     now;
    static ngx_sf_counts_t   sum;
    const ngx_sf_past_t     *past;

    ngx_sf_metrics_sum(&test_metrics, &sum);
    ngx_sf_sample_now(&test_metrics, &sum, test_metrics.sh->tick, &now);

    past = ngx_sf_sample_past(&test_metrics, seconds);
    ngx_sf_sample_load(&test_metrics, past, load);

    return now.endpoints[0].requests - past->endpoints[0].requests;
}


static void
test_windows(void)
{
    uint64_t        n;
    ngx_uint_t      good, i;
    ngx_sf_sample_load_t   load;
    ngx_sf_span_t   span;

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

    span = test_metrics.sh->pasts[(test_metrics.sh->npasts - 1)
                                  % NGX_SF_METRICS_PASTS].endpoints[0].span;
    unit_ok(span.low == 7 && span.high == 900,
            "an interval's shortest and longest: %d, %d", (int) span.low,
            (int) span.high);

    ngx_sf_metrics_span(&test_metrics, 0, test_metrics.sh->tick, &span);
    unit_ok(span.low == 1 && span.high == 1, "and those of the next one");

    ngx_sf_metrics_leave(&test_metrics);
    ngx_sf_metrics_span(&test_metrics, 0, test_metrics.sh->tick, &span);
    unit_ok(span.low == 1 && span.high == 1
            && ngx_sf_metrics_enter(&test_metrics, &unit_log) == NGX_OK,
            "also when their worker leaves");

    test_seconds(1, 50);
    ngx_sf_metrics_span(&test_metrics, 0, test_metrics.sh->tick, &span);
    unit_ok(span.low == 1 && span.high == 50, "with those of its heir");
}


/* more than 32 bits of requests */

static void
test_many(void)
{
    ngx_sf_sample_load_t  load;

    test_metrics.slot->counts.endpoints[0].requests[0][0] += 5000000000;

    unit_ok(test_window(0, &load) > 5000000000, "five thousand millions");
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
    ngx_sf_metrics_leave(&test_metrics);
    unit_ok(ngx_sf_metrics_enter(&test_metrics, &unit_log) == NGX_OK,
            "its heir");
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.requests == 3 && minute.away, "has its failures");

    /* less than before: it has died while it handed them over */

    test_seconds(80, 100);
    ngx_memzero(&test_metrics.sh->gone, sizeof(ngx_sf_counts_t));
    ngx_sf_sample_fallback(&test_metrics, &minute);
    unit_ok(minute.requests == 0 && minute.failed == 0 && !minute.away,
            "what is lost is not counted backwards");
    unit_ok(ngx_sf_metrics_since(7, 9) == 0 && ngx_sf_metrics_since(9, 7) == 2,
            "nor is anything else");
}


int
main(void)
{
    unit_init();
    ngx_pid = getpid();

    test_create();
    test_reload();
    test_counting();
    test_death();
    test_names();
    test_windows();
    test_fallback();
    test_many();

    ngx_sf_metrics_leave(&test_metrics);

    return unit_done();
}

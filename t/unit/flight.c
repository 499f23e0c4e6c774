
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Flights: in which state one is, told by scripts, and what goes with each.
 * The zone is a real one, with another worker in it; the pool is the test's.
 * Requests are letters.
 *
 *     +a     a asks, and takes a place
 *     -a     a gives it up
 *     >      another worker asks for the same: it claims, or waits
 *     =      it stores what it has made
 *     <      it gives its claim up
 *     x      it is killed
 *     ~      a row changes
 *     w W    a datagram comes, for the key or for all
 *     .      posted events are handled
 *     250    that many ms go by
 *     f F    the pool takes no more queries, or only those of totals
 *     s      it has sent the query
 *     ?      it asks whether the query is wanted
 *     r e    the rows are there, or the database has gone away
 *     t 0 T  the total is there, or is none, or has failed
 *
 * What is wanted is the state of each flight that there is, after each of
 * these; the first is that of the first request.  "landed*": by what is in the
 * zone; "landed!": it has failed; "hit": no flight was needed.
 *
 *     unit-with: -It/tools t/tools/workers.c t/tools/endpoints.c
 *     unit-with: -Wl,--wrap=ngx_sf_pg_submit,--wrap=ngx_sf_pg_cancel
 */


#include "workers.h"
#include "endpoints.h"
#include "ngx_sf_flight.h"
#include "unit.h"


#define TEST_NOW       1000000          /* ms */
#define TEST_TTL       60000
#define TEST_STALE     30000
#define TEST_REQUESTS  3
#define TEST_QUERIES   8
#define TEST_KEY       4096


typedef enum {
    TEST_PRINCIPAL = 0,         /* has no total */
    TEST_CAMPAIGNS,             /* the total comes first */
    TEST_PAST,                  /* the same, behind the first page */
    TEST_BOOKMARKS,             /* it may come at the same time */
    TEST_BYPASS,                /* campaigns, past the zone */
    TEST_PING
} test_asked_e;


typedef struct {
    test_asked_e         asked;
    const char          *script;
    const char          *want;
    const char          *name;
} test_flight_t;


static const test_flight_t  test_flights[] = {

    /* made here */

    { TEST_PRINCIPAL, "+a s r -a +a", "query query landed - hit",
      "one is made and stored" },
    { TEST_PRINCIPAL, "+a +b -a r", "query query query landed",
      "it goes on for who joined" },
    { TEST_PRINCIPAL, "f +a -a", "- landed! -", "the pool takes none" },
    { TEST_PRINCIPAL, "+a e -a", "query landed! -", "the database goes away" },
    { TEST_PRINCIPAL, "+a w W r", "query query query landed",
      "datagrams are for those who wait" },

    { TEST_CAMPAIGNS, "+a t s r", "total query query landed",
      "the total comes first" },
    { TEST_CAMPAIGNS, "+a T", "total landed!", "and fails" },
    { TEST_CAMPAIGNS, "+a f t", "total total landed!",
      "and then the pool takes no more" },
    { TEST_CAMPAIGNS, "f +a", "- landed!", "the pool does not take it" },
    { TEST_CAMPAIGNS, "+a t r -a ~ +a", "total query landed - - total",
      "after a change it is asked for again" },
    { TEST_PAST, "+a 0", "total landed", "behind the last page" },
    { TEST_PAST, "+a t r", "total query landed", "not behind it" },

    { TEST_BOOKMARKS, "+a t r", "query query landed",
      "both at once, and the total is there first" },
    { TEST_BOOKMARKS, "+a r t", "query query landed", "or last" },
    { TEST_BOOKMARKS, "+a T", "query landed!",
      "without the total the query is not sent" },
    { TEST_BOOKMARKS, "+a s T r", "query query query! landed!",
      "or its result is waited for" },
    { TEST_BOOKMARKS, "+a e t", "query query! landed!",
      "and the query fails" },
    { TEST_BOOKMARKS, "F +a", "- landed!", "or is not taken" },

    { TEST_BYPASS, "+a +b t r -a -b +a",
      "query query query landed landed - query",
      "past the zone it is shared, and not kept" },
    { TEST_BYPASS, "+a -a", "query -", "nor held" },

    { TEST_PING, "+a +b r -a +c", "query query landed landed landed/query",
      "one ping for all who come until it is there" },
    { TEST_PING, "+a -a ? +b r -b", "query query query query landed -",
      "it goes on without them" },
    { TEST_PING, "f +a", "- landed!", "or is not taken" },

    { TEST_BOOKMARKS, "+a r t -a 60000 f +a",
      "query query landed - - - landed*", "something stale stands in for it" },

    /* nobody is left */

    { TEST_PRINCIPAL, "+a -a", "query -", "it was not sent: it ends" },
    { TEST_CAMPAIGNS, "+a -a", "total -", "with its total" },
    { TEST_CAMPAIGNS, "+a t -a", "total query -", "or without" },
    { TEST_BOOKMARKS, "+a -a", "query -", "with both" },
    { TEST_BOOKMARKS, "+a s r -a t", "query query query query -",
      "one of both was sent: it goes on" },
    { TEST_PRINCIPAL, "+a s -a r +a", "query query query - hit",
      "it was sent: it goes on" },
    { TEST_PRINCIPAL, "+a s -a ?", "query query query -",
      "unless it holds up others" },
    { TEST_PRINCIPAL, "+a > -a r >", "query query query - -",
      "another worker waits for it: it goes on" },
    { TEST_PRINCIPAL, "+a > -a ~ > ?", "query query query query query -",
      "until that has taken the claim over" },
    { TEST_PRINCIPAL, "+a ? -a", "query query -", "who waits wants it" },
    { TEST_CAMPAIGNS, "+a ? t ?", "total total query query",
      "also through a page" },
    { TEST_CAMPAIGNS, "+a > -a t", "total total total query",
      "a page is held as well" },
    { TEST_CAMPAIGNS, "+a > -a ~ > t", "total total total total total -",
      "until its total is there" },
    { TEST_CAMPAIGNS, "+a > -a ~ > ?", "total total total total total -",
      "or is about to be sent" },

    /* a newer one takes its place under the key */

    { TEST_PRINCIPAL, "+a ~ +b r +c r",
      "query query query/query landed/query landed/query landed/landed",
      "after a change who comes has another one" },
    { TEST_PRINCIPAL, "+a s -a ~ +b r",
      "query query query query query query",
      "also when nobody is in the old one" },

    /* another worker is at it */

    { TEST_PRINCIPAL, "> +a = w .", "- waiting waiting woken landed*",
      "it has made it" },
    { TEST_PRINCIPAL, "> +a = W . -a", "- waiting waiting woken landed* -",
      "and everybody is woken" },
    { TEST_PRINCIPAL, "> +a +b = w . -a",
      "- waiting waiting waiting woken landed* landed*",
      "two of this worker wait" },
    { TEST_PRINCIPAL, "> +a = 250", "- waiting waiting landed*",
      "the datagram is lost" },
    { TEST_PRINCIPAL, "> +a < w . r",
      "- waiting waiting woken query landed", "it gives up" },
    { TEST_CAMPAIGNS, "> +a < w . t r",
      "- waiting waiting woken total query landed",
      "and the total comes first" },
    { TEST_PRINCIPAL, "> +a < w f .",
      "- waiting waiting woken woken landed!", "and the pool is full" },
    { TEST_PRINCIPAL, "> +a x w . r",
      "- waiting waiting woken query landed", "it has died" },
    { TEST_PRINCIPAL, "> +a x 249 1 r",
      "- waiting waiting waiting query landed", "and nobody says so" },
    { TEST_PRINCIPAL, "> +a w . 250 = w .",
      "- waiting woken waiting waiting waiting woken landed*",
      "it is still at it" },
    { TEST_PRINCIPAL, "> +a w w W . w .",
      "- waiting woken woken woken waiting woken waiting",
      "datagrams that say nothing new" },
    { TEST_PRINCIPAL, "> +a ~ > 250 = w .",
      "- waiting waiting waiting waiting waiting woken landed*",
      "it has begun anew, after a change" },
    { TEST_PRINCIPAL, "> +a ~ 250 r", "- waiting waiting query landed",
      "or nobody has" },
    { TEST_PRINCIPAL, "> +a ~ +b r w .",
      "- waiting waiting waiting/query waiting/landed woken/landed "
      "landed*/landed",
      "a newer one makes it, and the old one is woken" },
    { TEST_PRINCIPAL, "> +a w ~ +b r .",
      "- waiting woken woken woken/query woken/landed landed*/landed",
      "also while it is woken" },
    { TEST_PRINCIPAL, "> +a ~ > 8750 250",
      "- waiting waiting waiting waiting landed!",
      "others have tried one after the other" },
    { TEST_PRINCIPAL, "> +a -a w", "- waiting - -", "nobody is left" },
    { TEST_PRINCIPAL, "> +a w -a .", "- waiting woken - -",
      "nor when it was woken" }
};


static const char *const  test_states[] = {
    "looking", "waiting", "woken", "total", "query", "landed"
};


static endpoints_t           test_e;
static ngx_sf_worker_t      *test_worker = &test_e.worker;
static ngx_sf_loc_conf_t     test_location;
static ngx_sf_pg_pool_t      test_pool, *test_pools[] = { &test_pool };
static ngx_sf_pg_query_t    *test_queries[TEST_QUERIES];
static ngx_uint_t            test_nqueries, test_full;

static ngx_sf_zone_t        *test_zone, *test_other;
static ngx_sf_source_t      *test_sources[1];
static ngx_pid_t             test_pid;  /* of the other worker, 0: killed */

static ngx_sf_wait_t         test_places[TEST_REQUESTS];
static ngx_sf_params_t       test_params;
static ngx_sf_lookup_t       test_lookup;
static ngx_sf_key_t          test_key;
static u_char                test_key_data[TEST_KEY];
static ngx_sf_claim_t        test_claim;    /* of the other worker */
static ngx_sf_stamp_t        test_stamp;


ngx_sf_pg_outcome_e __wrap_ngx_sf_pg_submit(ngx_sf_pg_pool_t *pool,
    ngx_sf_pg_query_t *q);
void __wrap_ngx_sf_pg_cancel(ngx_sf_pg_query_t *q);


ngx_sf_pg_outcome_e
__wrap_ngx_sf_pg_submit(ngx_sf_pg_pool_t *pool, ngx_sf_pg_query_t *q)
{
    if (test_full == 'f' || (test_full == 'F' && q->lane != NGX_SF_PG_TOTALS)
        || test_nqueries == TEST_QUERIES)
    {
        return NGX_SF_PG_BUSY;
    }

    q->pool = pool;
    q->waiting = 1;

    test_queries[test_nqueries++] = q;

    return NGX_SF_PG_OK;
}


void
__wrap_ngx_sf_pg_cancel(ngx_sf_pg_query_t *q)
{
    ngx_uint_t  i;

    q->waiting = 0;

    for (i = 0; i < test_nqueries; i++) {
        if (test_queries[i] == q) {
            test_queries[i] = test_queries[--test_nqueries];
            return;
        }
    }
}


static ngx_uint_t
test_under_way(const ngx_sf_pg_query_t *q)
{
    ngx_uint_t  i;

    for (i = 0; i < test_nqueries; i++) {
        if (test_queries[i] == q) {
            return 1;
        }
    }

    return 0;
}


/* the first query of a total, or of what is none */

static ngx_sf_pg_query_t *
test_query(ngx_uint_t total)
{
    ngx_uint_t        i;
    ngx_sf_flight_t  *flight;

    for (i = 0; i < test_nqueries; i++) {
        flight = test_queries[i]->data;

        if ((flight->lookup.resource->kind == NGX_SF_RESOURCE_TOTAL) == total) {
            return test_queries[i];
        }
    }

    return NULL;
}


static void
test_answer(ngx_uint_t total, ngx_sf_pg_outcome_e outcome, const char *count)
{
    PGresult           *res;
    PGresAttDesc        columns[2];
    ngx_sf_pg_query_t  *q;

    q = test_query(total);

    if (q == NULL) {
        unit_ok(0, "there is such a query");
        return;
    }

    res = NULL;

    if (outcome == NGX_SF_PG_OK) {
        ngx_memzero(columns, sizeof(columns));
        columns[0].name = "count";
        columns[1].name = "left";

        res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
        (void) PQsetResultAttrs(res, 2, columns);
    }

    if (res && count) {
        (void) PQsetvalue(res, 0, 0, (char *) count, strlen(count));
        (void) PQsetvalue(res, 0, 1, NULL, -1);
    }

    ngx_sf_pg_cancel(q);
    q->handler(q, outcome, res);
}


static void
test_landed(ngx_sf_wait_t *wait)
{
    /* its place is kept, as that of a request that sends the body */
}


static ngx_uint_t
test_waiters(const ngx_sf_flight_t *flight)
{
    ngx_uint_t          n;
    const ngx_queue_t  *q;

    n = 0;

    for (q = ngx_queue_head(&flight->waiters);
         q != ngx_queue_sentinel(&flight->waiters);
         q = ngx_queue_next(q))
    {
        n++;
    }

    return n;
}


/* what a state says of lists and timers, between two turns; NULL: it is so */

static const char *
test_wrong(const ngx_sf_flight_t *flight)
{
    ngx_uint_t  query, pending, waits;

    query = test_under_way(&flight->query);
    pending = query + (flight->total.flight != NULL);
    waits = flight->state == NGX_SF_FLIGHT_WAITING
            || flight->state == NGX_SF_FLIGHT_WOKEN;

    if (flight->timer.timer_set != (flight->state == NGX_SF_FLIGHT_WAITING)
        || flight->timer.posted != (flight->state == NGX_SF_FLIGHT_WOKEN))
    {
        return "the timer";
    }

    if (flight->pending != pending
        || (pending == 0) != (waits || flight->state == NGX_SF_FLIGHT_LANDED))
    {
        return "what is pending";
    }

    if (flight->held && (waits || flight->state == NGX_SF_FLIGHT_LANDED
                         || (flight->claim.node == NULL && !flight->ping)))
    {
        return "a place of its own";
    }

    if (flight->state != NGX_SF_FLIGHT_LANDED
        && flight->members != test_waiters(flight) + flight->held)
    {
        return "the number of places";
    }

    switch (flight->state) {

    case NGX_SF_FLIGHT_LOOKING:
        return "that it looks";

    case NGX_SF_FLIGHT_WAITING:
    case NGX_SF_FLIGHT_WOKEN:
        return !flight->linked ? "the table"
               : flight->claim.node ? "the claim" : NULL;

    case NGX_SF_FLIGHT_TOTAL:
        return query || flight->query.pool ? "the query" : NULL;

    case NGX_SF_FLIGHT_QUERY:
        return flight->query.pool == NULL ? "the query" : NULL;

    default: /* NGX_SF_FLIGHT_LANDED */
        return flight->linked ? "the table"
               : flight->claim.node || flight->ping ? "the claim"
               : test_waiters(flight) ? "who waits" : NULL;
    }
}


static u_char *
test_show(const test_flight_t *test, const ngx_sf_flight_t *flight, u_char *p)
{
    const char  *wrong;

    wrong = test_wrong(flight);

    if (wrong == NULL && flight->total.flight) {
        wrong = test_wrong(flight->total.flight);
    }

    if (wrong) {
        unit_ok(0, "%s: %s: %s of \"%s\" is wrong", test->name, test->script,
                wrong, test_states[flight->state]);
    }

    return ngx_sprintf(p, "/%s%s", test_states[flight->state],
                       flight->outcome != NGX_SF_PG_OK ? "!"
                       : flight->found.value ? "*" : "");
}


static u_char *
test_show_new(const test_flight_t *test, const ngx_sf_flight_t *flight,
    const ngx_sf_flight_t **shown, u_char *p)
{
    ngx_uint_t  i;

    for (i = 0; shown[i]; i++) {
        if (shown[i] == flight) {
            return p;
        }
    }

    shown[i] = flight;

    return test_show(test, flight, p);
}


/* all flights for what is asked for, once each */

static u_char *
test_look(const test_flight_t *test, u_char *p)
{
    u_char                 *begin;
    ngx_uint_t              i;
    const ngx_queue_t      *q, *bucket;
    const ngx_sf_flight_t  *flight, *shown[TEST_QUERIES];

    begin = p;
    ngx_memzero(shown, sizeof(shown));

    for (i = 0; i < TEST_REQUESTS; i++) {
        flight = test_places[i].flight;

        if (test_places[i].found.value) {
            p = ngx_sprintf(p, "/hit");

        } else if (flight) {
            p = test_show_new(test, flight, shown, p);
        }
    }

    bucket = &test_worker->flights.buckets[test_key.hash
                                           % NGX_SF_FLIGHT_BUCKETS];

    for (q = ngx_queue_head(bucket); q != bucket; q = ngx_queue_next(q)) {
        flight = ngx_queue_data(q, ngx_sf_flight_t, queue);
        p = test_show_new(test, flight, shown, p);
    }

    if (test_worker->flights.pings[0]) {
        p = test_show_new(test, test_worker->flights.pings[0], shown, p);
    }

    if (p == begin) {
        return ngx_sprintf(p, "- ");
    }

    ngx_memmove(begin, begin + 1, p - begin - 1);
    p[-1] = ' ';

    return p;
}


/* the other worker asks */

static void
test_claims(void)
{
    ngx_int_t       rc;
    ngx_sf_fresh_t  fresh;
    ngx_sf_found_t  found;

    ngx_sf_flight_fresh(test_worker, &test_lookup, &fresh);
    (void) workers_turn(test_other);

    ngx_sf_stamp_read(test_other, 0, &test_lookup.resource->tags,
                      test_lookup.user, ngx_sf_resource_id(&test_lookup),
                      &test_stamp);

    rc = ngx_sf_cache_claim(test_other, &test_key, &fresh, &test_stamp, 600000,
                            &found);

    if (rc == NGX_OK) {
        ngx_sf_cache_unpin(test_other, found.value);

    } else if (rc == NGX_DECLINED) {
        test_claim = found.claim;
    }
}


static void
test_stores(void)
{
    ngx_sf_content_t  content;

    (void) workers_turn(test_other);

    ngx_memzero(&content, sizeof(ngx_sf_content_t));
    content.stamp = &test_stamp;
    content.created = ngx_current_msec;
    content.data = (u_char *) "0";
    content.len = 1;

    ngx_sf_cache_store(test_other, &test_claim, &content, 1024);
}


static void
test_changes(void)
{
    const ngx_str_t  *table;

    table = &test_lookup.resource->tags.tag[0].table;

    ngx_sf_tags_move_table(test_zone, 0,
                           ngx_sf_directory_find(test_zone, table, NULL));
}


static void
test_ask(ngx_sf_wait_t *wait)
{
    wait->handler = test_landed;

    if (ngx_sf_flight_ask(test_worker, wait, &test_lookup) == NGX_ERROR) {
        unit_ok(0, "there is memory");
    }
}


static void
test_pool_step(u_char step)
{
    ngx_sf_pg_query_t  *q;

    switch (step) {

    case 'f':
    case 'F':
        test_full = step;
        return;

    case 'r':
        test_answer(0, NGX_SF_PG_OK, NULL);
        return;

    case 'e':
        test_answer(0, NGX_SF_PG_UNAVAILABLE, NULL);
        return;

    case 't':
        test_answer(1, NGX_SF_PG_OK, "300");
        return;

    case '0':
        test_answer(1, NGX_SF_PG_OK, "0");
        return;

    case 'T':
        test_answer(1, NGX_SF_PG_UNAVAILABLE, NULL);
        return;
    }

    q = test_query(0);
    q = q ? q : test_query(1);

    if (q && step == 's') {
        q->sent = 1;
        q->waiting = 0;

    } else if (q) {
        (void) q->wanted(q);
    }
}


static void
test_step(const char *step)
{
    (void) workers_turn(test_zone);

    if (*step >= '1' && *step <= '9') {
        ngx_current_msec += atoi(step);
        ngx_event_expire_timers();
        return;
    }

    switch (*step) {

    case '+':
        test_ask(&test_places[step[1] - 'a']);
        break;

    case '-':
        ngx_sf_flight_leave(&test_places[step[1] - 'a']);
        break;

    case '>':
        test_claims();
        break;

    case '=':
        test_stores();
        break;

    case '<':
        (void) workers_turn(test_other);
        ngx_sf_cache_abandon(test_other, &test_claim);
        break;

    case 'x':
        workers_kill(test_pid);
        test_pid = 0;
        break;

    case '~':
        test_changes();
        break;

    case 'w':
        ngx_sf_flights_woken(test_worker, test_key.hash);
        break;

    case 'W':
        ngx_sf_flights_woken(test_worker, NGX_SF_WAKE_ALL);
        break;

    case '.':
        ngx_event_process_posted((ngx_cycle_t *) ngx_cycle,
                                 &ngx_posted_events);
        break;

    default:
        test_pool_step(*step);
    }
}


static void
test_asks(test_asked_e asked)
{
    ngx_str_t           id, args;
    ngx_sf_endpoint_t  *endpoint;

    ngx_memzero(&test_lookup, sizeof(ngx_sf_lookup_t));
    test_lookup.slcf = &test_location;
    test_lookup.user = 7;

    if (asked == TEST_PRINCIPAL) {
        test_lookup.resource = test_e.smcf->principal;

    } else {
        endpoint = endpoints_find(&test_e, asked == TEST_BOOKMARKS
                                           ? "review_bookmarks"
                                           : asked == TEST_PING ? "health"
                                           : "review_campaigns");
        id = unit_str("", 0);
        args = asked == TEST_PAST ? unit_str("page=3", 6) : unit_str("", 0);

        (void) ngx_sf_params_read(unit_pool, endpoint->row->params, &id, &args,
                                  &test_e.env, &test_params);

        test_lookup.resource = endpoint->response;
        test_lookup.params = &test_params;
        test_lookup.bypass = asked == TEST_BYPASS;
    }

    test_key.data = test_key_data;
    test_key.len = TEST_KEY;

    if (ngx_sf_resource_key(&test_lookup, 0, &test_key) != NGX_OK) {
        unit_ok(0, "there is a key");
    }
}


static void
test_begin(ngx_shm_zone_t *shm_zone)
{
    u_char      identity[16];
    ngx_uint_t  i;

    ngx_current_msec = TEST_NOW;
    ngx_memset(identity, 1, sizeof(identity));

    test_pid = workers_spawn();
    test_other = workers_start(shm_zone, test_pid);
    test_zone = workers_start(shm_zone, getpid());

    test_sources[0] = ngx_sf_zone_source(test_zone, identity);
    if (ngx_sf_resource_covers(test_e.smcf, test_zone, unit_pool) != NGX_OK) {
        unit_ok(0, "there is memory");
    }

    for (i = 0; i < test_e.smcf->resources.nelts; i++) {
        workers_covered(test_sources[0], &test_zone->covers[i], 1);
    }

    test_sources[0]->confirmed = ngx_current_msec;

    test_location.zone = test_zone;
    test_nqueries = 0;
    test_full = 0;

    ngx_memzero(test_places, sizeof(test_places));
    ngx_memzero(&test_claim, sizeof(ngx_sf_claim_t));
}


/* the worker exits, and leaves nothing behind */

static void
test_end(const test_flight_t *test)
{
    ngx_uint_t  i;

    (void) workers_turn(test_zone);

    for (i = 0; i < TEST_REQUESTS; i++) {
        ngx_sf_flight_leave(&test_places[i]);
    }

    ngx_sf_flights_destroy(&test_worker->flights);

    if (test_nqueries || !ngx_queue_empty(&ngx_posted_events)
        || ngx_event_find_timer() != NGX_TIMER_INFINITE)
    {
        unit_ok(0, "%s: %s: nothing is left", test->name, test->script);
    }

    if (test_pid) {
        workers_kill(test_pid);
    }
}


static void
test_script(const test_flight_t *test)
{
    u_char           said[512], *p;
    ngx_str_t        text;
    const char      *step;
    ngx_shm_zone_t  *shm_zone;

    shm_zone = workers_zone(NGX_SF_ZONE_MIN);
    test_begin(shm_zone);
    test_asks(test->asked);
    p = said;

    for (step = test->script; *step; /* void */ ) {
        test_step(step);
        p = test_look(test, p);

        while (*step && *step != ' ') {
            step++;
        }

        step += *step == ' ';
    }

    test_end(test);
    workers_zone_free(shm_zone);

    text.data = said;
    text.len = p - said - 1;

    unit_is(&text, test->want, "%s: %s", test->name, test->script);
}


static void
test_configure(void)
{
    ngx_uint_t         i;
    ngx_sf_metrics_t  *metrics;

    endpoints_compile(&test_e, unit_pool);

    metrics = ngx_pcalloc(unit_pool, sizeof(ngx_sf_metrics_t));
    metrics->slot = ngx_pcalloc(unit_pool, sizeof(ngx_sf_metrics_slot_t));
    test_e.smcf->metrics = metrics;
    test_e.smcf->lease = 600000;

    test_pool.conf = test_e.primary;
    test_worker->pools = test_pools;
    test_worker->sources = test_sources;

    test_location.primary_pg = test_e.primary;
    test_location.max_entry = 65536;
    test_location.max_offset = 10000;
    test_location.ttls = ngx_pcalloc(unit_pool, test_e.smcf->nendpoints
                                                * sizeof(ngx_sf_ttl_t));

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        test_location.ttls[i].ttl = TEST_TTL;
        test_location.ttls[i].stale = TEST_STALE;
    }

    unit_ok(ngx_sf_flights_init((ngx_cycle_t *) ngx_cycle,
                                &test_worker->flights, 1) == NGX_OK,
            "a table of flights");
}


int
main(void)
{
    ngx_uint_t  i;

    unit_init();

    ngx_queue_init(&ngx_posted_events);
    (void) ngx_event_timer_init(&unit_log);

    test_configure();

    for (i = 0; i < sizeof(test_flights) / sizeof(test_flights[0]); i++) {
        test_script(&test_flights[i]);
    }

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Where flights stand: their states, the table in which they are found, the
 * places in one, and when it ends.
 *
 * A flight is there for the requests and flights that have a place in it, and
 * ends with the last one.  It holds a place in itself while others rely on it
 * that have none: flights of other workers that wait for its claim, or requests
 * that have asked for a ping and gone away.
 */


#include "ngx_sf_flight.h"


#define NGX_SF_FLIGHT_LOOK     250        /* ms, while another is at it */

/* for another worker */

#define ngx_sf_flight_waits(flight)                                           \
    ((flight)->state == NGX_SF_FLIGHT_WAITING                                 \
     || (flight)->state == NGX_SF_FLIGHT_WOKEN)


static void ngx_sf_flight_forget(ngx_sf_flight_t *flight);
static void ngx_sf_flight_watch(ngx_sf_flight_t *flight, ngx_uint_t on);
static void ngx_sf_flight_unlink(ngx_sf_flight_t *flight);
static ngx_uint_t ngx_sf_flight_needed(ngx_sf_flight_t *flight,
    ngx_uint_t running);
static void ngx_sf_flight_abandon(ngx_sf_flight_t *flight);
static void ngx_sf_flight_destroy(ngx_sf_flight_t *flight);


static const char *const  ngx_sf_flight_states[] = {
    "looking", "waiting", "woken", "total", "query", "landed"
};


ngx_int_t
ngx_sf_flights_init(ngx_cycle_t *cycle, ngx_sf_flights_t *flights,
    ngx_uint_t npools)
{
    ngx_uint_t  i;

    flights->buckets = ngx_palloc(cycle->pool, NGX_SF_FLIGHT_BUCKETS
                                               * sizeof(ngx_queue_t));
    flights->pings = ngx_pcalloc(cycle->pool,
                                 npools * sizeof(ngx_sf_flight_t *));
    flights->npings = npools;

    if (flights->buckets == NULL || flights->pings == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_SF_FLIGHT_BUCKETS; i++) {
        ngx_queue_init(&flights->buckets[i]);
    }

    return NGX_OK;
}


/* the worker exits: what only the zone still waits for is forgotten */

void
ngx_sf_flights_destroy(ngx_sf_flights_t *flights)
{
    ngx_uint_t        i;
    ngx_queue_t      *bucket;
    ngx_sf_flight_t  *flight;

    for (i = 0; i < NGX_SF_FLIGHT_BUCKETS; i++) {
        bucket = &flights->buckets[i];

        while (!ngx_queue_empty(bucket)) {
            flight = ngx_queue_data(ngx_queue_head(bucket), ngx_sf_flight_t,
                                    queue);

            ngx_sf_flight_forget(flight);
        }
    }

    for (i = 0; i < flights->npings; i++) {
        if (flights->pings[i]) {
            ngx_sf_flight_forget(flights->pings[i]);
        }
    }
}


static void
ngx_sf_flight_forget(ngx_sf_flight_t *flight)
{
    flight->members++;
    ngx_sf_flight_unlink(flight);
    ngx_sf_flight_let_go(flight);
    ngx_sf_flight_release(flight);
}


void
ngx_sf_flight_set_state(ngx_sf_flight_t *flight, ngx_sf_flight_state_e state)
{
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, flight->timer.log, 0,
                   "softfactory flight %p %s->%s", flight,
                   ngx_sf_flight_states[flight->state],
                   ngx_sf_flight_states[state]);

    if (ngx_sf_flight_waits(flight)) {
        ngx_sf_flight_watch(flight, 0);
    }

    flight->state = state;

    if (ngx_sf_flight_waits(flight)) {
        ngx_sf_flight_watch(flight, 1);

    } else if (state == NGX_SF_FLIGHT_LANDED) {
        ngx_sf_flight_unlink(flight);
    }
}


/* the event by which it looks again, of the state it is in */

static void
ngx_sf_flight_watch(ngx_sf_flight_t *flight, ngx_uint_t on)
{
    ngx_event_t  *timer;

    timer = &flight->timer;

    if (flight->state == NGX_SF_FLIGHT_WAITING) {
        if (on) {
            ngx_add_timer(timer, NGX_SF_FLIGHT_LOOK);

        } else if (timer->timer_set) {
            ngx_del_timer(timer);
        }

        return;
    }

    if (on) {
        ngx_post_event(timer, &ngx_posted_events);

    } else if (timer->posted) {
        ngx_delete_posted_event(timer);
    }
}


ngx_sf_flight_t *
ngx_sf_flight_find(ngx_sf_worker_t *worker, const ngx_sf_key_t *key,
    const ngx_sf_lookup_t *lookup)
{
    ngx_queue_t      *q, *bucket;
    ngx_sf_flight_t  *flight;

    bucket = &worker->flights.buckets[key->hash % NGX_SF_FLIGHT_BUCKETS];

    for (q = ngx_queue_head(bucket); q != bucket; q = ngx_queue_next(q)) {
        flight = ngx_queue_data(q, ngx_sf_flight_t, queue);

        if (flight->lookup.slcf == lookup->slcf
            && flight->lookup.bypass == lookup->bypass
            && flight->lookup.fenced == lookup->fenced
            && flight->key.hash == key->hash
            && flight->key.len == key->len
            && ngx_memcmp(flight->key.data, key->data, key->len) == 0)
        {
            return flight;
        }
    }

    return NULL;
}


ngx_int_t
ngx_sf_flight_link(ngx_sf_flight_t *flight, const ngx_sf_key_t *key,
    ngx_sf_flight_t *old)
{
    ngx_queue_t  *buckets;

    flight->key = *key;
    flight->key.data = ngx_pnalloc(flight->pool, key->len);

    if (flight->key.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(flight->key.data, key->data, key->len);

    /* one that waits for another worker stays there to be woken */

    if (old && !ngx_sf_flight_waits(old)) {
        ngx_sf_flight_unlink(old);
    }

    buckets = flight->worker->flights.buckets;
    ngx_queue_insert_head(&buckets[key->hash % NGX_SF_FLIGHT_BUCKETS],
                          &flight->queue);

    flight->linked = 1;

    return NGX_OK;
}


static void
ngx_sf_flight_unlink(ngx_sf_flight_t *flight)
{
    if (flight->linked) {
        flight->linked = 0;
        ngx_queue_remove(&flight->queue);
    }

    if (flight->ping) {
        *flight->ping = NULL;
        flight->ping = NULL;
    }
}


ngx_int_t
ngx_sf_flight_enter(ngx_sf_flight_t *flight, ngx_sf_wait_t *wait)
{
    wait->flight = flight;
    flight->members++;

    if (flight->state == NGX_SF_FLIGHT_LANDED) {
        return NGX_OK;
    }

    ngx_queue_insert_tail(&flight->waiters, &wait->queue);

    return NGX_AGAIN;
}


ngx_int_t
ngx_sf_flight_join(ngx_sf_flight_t *flight, ngx_sf_wait_t *wait)
{
    wait->zone->slot->stats.followers++;

    ngx_sf_pg_adopt(&flight->query, wait->principal);

    if (flight->total.flight) {
        ngx_sf_pg_adopt(&flight->total.flight->query, wait->principal);
    }

    return ngx_sf_flight_enter(flight, wait);
}


void
ngx_sf_flight_land(ngx_sf_flight_t *flight)
{
    ngx_queue_t    *node;
    ngx_sf_wait_t  *wait;

    ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_LANDED);

    /*
     * A request that is woken may end itself, others that wait here, or the
     * flight: the caller holds it, and the list is read from its head.
     */

    while (!ngx_queue_empty(&flight->waiters)) {
        node = ngx_queue_head(&flight->waiters);
        ngx_queue_remove(node);

        wait = ngx_queue_data(node, ngx_sf_wait_t, queue);
        wait->queue.next = NULL;

        wait->handler(wait);
    }
}


void
ngx_sf_flight_leave(ngx_sf_wait_t *wait)
{
    ngx_sf_flight_t  *flight;

    flight = wait->flight;

    if (wait->found.value) {
        ngx_sf_cache_unpin(wait->zone, wait->found.value);
        wait->found.value = NULL;
    }

    if (flight == NULL) {
        return;
    }

    if (wait->queue.next) {
        ngx_queue_remove(&wait->queue);
        wait->queue.next = NULL;
    }

    wait->flight = NULL;

    ngx_sf_flight_release(flight);
}


void
ngx_sf_flight_hold(ngx_sf_flight_t *flight)
{
    flight->held = 1;
    flight->members++;
}


void
ngx_sf_flight_let_go(ngx_sf_flight_t *flight)
{
    if (flight->held) {
        flight->held = 0;
        flight->members--;
    }
}


void
ngx_sf_flight_release(ngx_sf_flight_t *flight)
{
    if (--flight->members == 1) {
        (void) ngx_sf_flight_give_up(flight, 0);
    }

    if (flight->members == 0) {
        ngx_sf_flight_end(flight);
    }
}


ngx_uint_t
ngx_sf_flight_wanted(ngx_sf_pg_query_t *q)
{
    return ngx_sf_flight_needed(q->data, q->sent != 0);
}


/*
 * Whether anything waits for a flight, which is ended otherwise; of a total
 * also the flights are asked that take it, unless their own statements run.
 */

static ngx_uint_t
ngx_sf_flight_needed(ngx_sf_flight_t *flight, ngx_uint_t running)
{
    ngx_queue_t      *node, *next;
    ngx_sf_wait_t    *wait;
    ngx_sf_flight_t  *page;

    flight->members++;

    for (node = ngx_queue_head(&flight->waiters);
         node != ngx_queue_sentinel(&flight->waiters);
         node = next)
    {
        next = ngx_queue_next(node);
        wait = ngx_queue_data(node, ngx_sf_wait_t, queue);
        page = wait->page;

        if (page) {
            (void) ngx_sf_flight_needed(page,
                                        running && page->query.conn == NULL);
        }
    }

    if (--flight->members == 1) {
        (void) ngx_sf_flight_give_up(flight, running);
    }

    if (flight->members) {
        return 1;
    }

    ngx_sf_flight_end(flight);

    return 0;
}


ngx_uint_t
ngx_sf_flight_give_up(ngx_sf_flight_t *flight, ngx_uint_t running)
{
    if (!flight->held || flight->ping
        || (flight->query.sent && !running)
        || !ngx_sf_cache_give_up(flight->zone, &flight->claim))
    {
        return 0;
    }

    ngx_sf_flight_let_go(flight);

    return 1;
}


void
ngx_sf_flight_end(ngx_sf_flight_t *flight)
{
    if (flight->state != NGX_SF_FLIGHT_LANDED) {
        ngx_sf_flight_abandon(flight);
    }

    ngx_sf_flight_destroy(flight);
}


/* it has not landed, and nobody is there to be told */

static void
ngx_sf_flight_abandon(ngx_sf_flight_t *flight)
{
    ngx_uint_t      query;
    ngx_sf_zone_t  *zone;

    zone = flight->lookup.slcf->zone;
    query = flight->state == NGX_SF_FLIGHT_QUERY;

    if ((query || flight->state == NGX_SF_FLIGHT_TOTAL)
        && flight->query.sent == 0 && zone && zone->slot)
    {
        zone->slot->stats.abandoned++;
    }

    if (query) {
        ngx_sf_pg_cancel(&flight->query);
    }

    ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_LANDED);
    ngx_sf_flight_leave(&flight->total);
}


static void
ngx_sf_flight_destroy(ngx_sf_flight_t *flight)
{
    size_t  size;

    if (flight->found.value) {
        ngx_sf_cache_unpin(flight->zone, flight->found.value);
    }

    if (flight->claim.node) {
        ngx_sf_cache_abandon(flight->zone, &flight->claim);
    }

    ngx_sf_pg_result_free(flight->res);

    size = flight->body.len;

    if (flight->copy) {
        ngx_sf_body_free(flight->worker, flight->copy);
    }

    ngx_destroy_pool(flight->pool);
    ngx_sf_pg_result_trim(size);
}

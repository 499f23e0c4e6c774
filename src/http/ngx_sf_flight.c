
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Flights: one execution of one resource for 1..n requests.
 *
 * A request never owns a query.  It has a place (ngx_sf_wait_t) in a flight,
 * which owns the query, its values, the result and what is made of it, in a
 * small pool of its own.  The flight of a list has itself a place in that of
 * the total.  A client that goes away gives up its place; the query goes on
 * for the others, and is dropped when nobody is left and it was not sent yet.
 *
 * What may be cached is looked up in the zone first.  What is not there is
 * made by the flight that gets the claim, and stored; that flight holds a place
 * in itself, since other workers may wait for it.  When that is the only place
 * the claim is given up if none of them does; but not once the statement has
 * been sent: the next request joins it then, and it is not run for each client
 * that asks and goes away.  Only one that holds up others for a second is given
 * up even then, and its connection closed, at most once a second in a lane.  A
 * flight that found another worker at it waits (ngx_sf_flight_wait.c).
 *
 * A request may join a flight of this worker only while the counters that it
 * read at its start are current.  Where they have moved, a new flight takes
 * its place under the key; requests in the old one came before the change, and
 * get what it brings.
 *
 * What bypasses the zone, for a user that has just written or because the
 * operator wants it, shares flights of its own kind, which are not kept: those
 * that began after the write, or with counters that are current.
 *
 * A flight lands once: its response is there, or it has failed, or something
 * stale stands in for it.  All of this is the memory of one worker.  On the way
 * there it is in one of the states of ngx_sf_http.h, which this file takes it
 * through.
 */


#include "ngx_sf_flight.h"


#define NGX_SF_FLIGHT_KEY      4096       /* longer ones are not cached */

/* an offset walks all rows before it: from here on that is heavy */

#define NGX_SF_FLIGHT_DEEP     2000       /* rows */


static ngx_int_t ngx_sf_flight_look(ngx_sf_worker_t *worker,
    ngx_sf_wait_t *wait, const ngx_sf_lookup_t *lookup);
static ngx_int_t ngx_sf_flight_ping(ngx_sf_worker_t *worker,
    ngx_sf_wait_t *wait, const ngx_sf_lookup_t *lookup);
static ngx_int_t ngx_sf_flight_pass(ngx_sf_worker_t *worker,
    ngx_sf_wait_t *wait, const ngx_sf_lookup_t *lookup);
static ngx_uint_t ngx_sf_flight_after(const ngx_sf_flight_t *flight,
    ngx_msec_t fence);
static ngx_uint_t ngx_sf_flight_lane(const ngx_sf_lookup_t *lookup);
static ngx_int_t ngx_sf_flight_alone(ngx_sf_worker_t *worker,
    ngx_sf_wait_t *wait, const ngx_sf_lookup_t *lookup);
static ngx_sf_flight_t *ngx_sf_flight_create_keyed(ngx_sf_worker_t *worker,
    const ngx_sf_lookup_t *lookup, ngx_sf_zone_t *zone,
    const ngx_sf_key_t *key, ngx_sf_flight_t *old);
static ngx_sf_flight_t *ngx_sf_flight_create(ngx_sf_worker_t *worker,
    const ngx_sf_lookup_t *lookup);
static ngx_int_t ngx_sf_flight_copy(ngx_sf_flight_t *flight,
    const ngx_sf_lookup_t  *lookup);
static void ngx_sf_flight_start(ngx_sf_flight_t *flight);
static ngx_uint_t ngx_sf_flight_total_first(const ngx_sf_flight_t *flight);
static void ngx_sf_flight_send(ngx_sf_flight_t *flight);
static ngx_sf_pg_outcome_e ngx_sf_flight_submit(ngx_sf_flight_t *flight);
static ngx_uint_t ngx_sf_flight_needless(const ngx_sf_flight_t *flight);
static ngx_sf_pg_pool_t *ngx_sf_flight_pool(ngx_sf_worker_t *worker,
    ngx_sf_loc_conf_t *slcf);
static void ngx_sf_flight_start_total(ngx_sf_flight_t *flight);
static void ngx_sf_flight_fail(ngx_sf_flight_t *flight,
    ngx_sf_pg_outcome_e outcome);
static void ngx_sf_flight_take_total(ngx_sf_flight_t *flight);
static void ngx_sf_flight_timer_handler(ngx_event_t *ev);
static void ngx_sf_flight_handler(ngx_sf_pg_query_t *q,
    ngx_sf_pg_outcome_e outcome, PGresult *res);
static void ngx_sf_flight_count(ngx_sf_flight_t *flight,
    ngx_sf_pg_outcome_e outcome);
static void ngx_sf_flight_total_handler(ngx_sf_wait_t *wait);
static void ngx_sf_flight_arrived(ngx_sf_flight_t *flight);
static void ngx_sf_flight_make(ngx_sf_flight_t *flight);


ngx_int_t
ngx_sf_flight_ask(ngx_sf_worker_t *worker, ngx_sf_wait_t *wait,
    const ngx_sf_lookup_t *lookup)
{
    ngx_memzero(&wait->found, sizeof(ngx_sf_found_t));
    wait->flight = NULL;
    wait->queue.next = NULL;
    wait->zone = lookup->slcf->zone;
    wait->principal = lookup->principal;

    if (lookup->resource->kind == NGX_SF_RESOURCE_PING) {
        return ngx_sf_flight_ping(worker, wait, lookup);
    }

    if (lookup->slcf->zone && lookup->slcf->zone->slot
        && lookup->resource->cached
        && worker->sources[lookup->slcf->origin])
    {
        if (!lookup->bypass) {
            return ngx_sf_flight_look(worker, wait, lookup);
        }

        wait->found.status = NGX_SF_CACHE_BYPASS;

        return ngx_sf_flight_pass(worker, wait, lookup);
    }

    return ngx_sf_flight_alone(worker, wait, lookup);
}


/* nobody else can join it */

static ngx_int_t
ngx_sf_flight_alone(ngx_sf_worker_t *worker, ngx_sf_wait_t *wait,
    const ngx_sf_lookup_t *lookup)
{
    ngx_sf_flight_t  *flight;

    flight = ngx_sf_flight_create(worker, lookup);
    if (flight == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_flight_start(flight);

    return ngx_sf_flight_enter(flight, wait);
}


/*
 * One is under way to a pool at a time, and all that come meanwhile join it:
 * its result arrives after each of them.  It stays until then, also when they
 * have all left, so that a client that asks and goes away makes no other one.
 */

static ngx_int_t
ngx_sf_flight_ping(ngx_sf_worker_t *worker, ngx_sf_wait_t *wait,
    const ngx_sf_lookup_t *lookup)
{
    ngx_sf_flight_t   *flight, **place;
    ngx_sf_pg_pool_t  *pool;

    pool = ngx_sf_flight_pool(worker, lookup->slcf);
    place = &worker->flights.pings[pool->conf->index];

    if (*place) {
        return ngx_sf_flight_enter(*place, wait);
    }

    flight = ngx_sf_flight_create(worker, lookup);
    if (flight == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_flight_start(flight);

    if (flight->state != NGX_SF_FLIGHT_LANDED) {
        *place = flight;
        flight->ping = place;
        ngx_sf_flight_hold(flight);
    }

    return ngx_sf_flight_enter(flight, wait);
}


/* past the zone, with others that bypass it */

static ngx_int_t
ngx_sf_flight_pass(ngx_sf_worker_t *worker, ngx_sf_wait_t *wait,
    const ngx_sf_lookup_t *lookup)
{
    u_char            buf[NGX_SF_FLIGHT_KEY];
    ngx_uint_t        source;
    ngx_sf_key_t      key;
    ngx_sf_zone_t    *zone;
    ngx_sf_flight_t  *flight;

    zone = lookup->slcf->zone;
    source = worker->sources[lookup->slcf->origin] - zone->sh->sources;
    key.data = buf;
    key.len = sizeof(buf);

    if (ngx_sf_resource_key(lookup, source, &key) != NGX_OK) {
        return ngx_sf_flight_alone(worker, wait, lookup);
    }

    flight = ngx_sf_flight_find(worker, &key, lookup);

    if (flight && ngx_sf_stamp_current(zone, &flight->stamp)
        && ngx_sf_flight_after(flight, lookup->fence))
    {
        return ngx_sf_flight_join(flight, wait);
    }

    flight = ngx_sf_flight_create_keyed(worker, lookup, NULL, &key, flight);
    if (flight == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_flight_stamp(flight);
    ngx_sf_flight_start(flight);

    return ngx_sf_flight_enter(flight, wait);
}


/*
 * Whether all that a flight shows is read after a time.  While the user is
 * still writing that lies ahead: the write may have been answered just now,
 * so nothing may have been sent yet.
 */

static ngx_uint_t
ngx_sf_flight_after(const ngx_sf_flight_t *flight, ngx_msec_t fence)
{
    const ngx_sf_flight_t  *total;

    total = flight->total.flight;

    if (fence == 0
        || ((ngx_msec_int_t) (flight->created - fence) > 0
            && (total == NULL
                || (ngx_msec_int_t) (total->created - fence) > 0)))
    {
        return 1;
    }

    return flight->query.sent == 0
           && (flight->lookup.resource->total == NULL
               || (total && total->query.sent == 0));
}


/* in the zone, then under way in this worker, then anew */

static ngx_int_t
ngx_sf_flight_look(ngx_sf_worker_t *worker, ngx_sf_wait_t *wait,
    const ngx_sf_lookup_t *lookup)
{
    u_char            buf[NGX_SF_FLIGHT_KEY];
    ngx_int_t         rc;
    ngx_uint_t        source;
    ngx_sf_key_t      key;
    ngx_sf_zone_t    *zone;
    ngx_sf_fresh_t    fresh;
    ngx_sf_flight_t  *flight;

    zone = lookup->slcf->zone;
    source = worker->sources[lookup->slcf->origin] - zone->sh->sources;
    key.data = buf;
    key.len = sizeof(buf);

    if (ngx_sf_resource_key(lookup, source, &key) != NGX_OK) {
        wait->found.status = NGX_SF_CACHE_BYPASS;
        return ngx_sf_flight_alone(worker, wait, lookup);
    }

    ngx_sf_flight_fresh(worker, lookup, &fresh);

    if (ngx_sf_cache_lookup(zone, &key, &fresh, &wait->found) == NGX_OK) {
        return NGX_OK;
    }

    flight = ngx_sf_flight_find(worker, &key, lookup);

    if (flight && ngx_sf_stamp_current(zone, &flight->stamp)) {
        return ngx_sf_flight_join(flight, wait);
    }

    flight = ngx_sf_flight_create_keyed(worker, lookup, zone, &key, flight);
    if (flight == NULL) {
        return NGX_ERROR;
    }

    flight->fresh = fresh;
    rc = ngx_sf_flight_claim(flight, &wait->found);

    if (rc == NGX_OK) {
        ngx_sf_flight_end(flight);
        return NGX_OK;
    }

    if (rc == NGX_AGAIN) {
        ngx_sf_flight_wait(flight);

    } else {
        ngx_sf_flight_start(flight);
    }

    return ngx_sf_flight_enter(flight, wait);
}


static ngx_uint_t
ngx_sf_flight_lane(const ngx_sf_lookup_t *lookup)
{
    return lookup->resource->kind == NGX_SF_RESOURCE_RESPONSE && lookup->params
           && lookup->params->offset >= NGX_SF_FLIGHT_DEEP
           ? NGX_SF_PG_HEAVY : lookup->resource->lane;
}


/*
 * One that others find, in place of the old one; zone: NULL when it is not to
 * be kept there.
 */

static ngx_sf_flight_t *
ngx_sf_flight_create_keyed(ngx_sf_worker_t *worker,
    const ngx_sf_lookup_t *lookup, ngx_sf_zone_t *zone,
    const ngx_sf_key_t *key, ngx_sf_flight_t *old)
{
    ngx_sf_flight_t  *flight;

    flight = ngx_sf_flight_create(worker, lookup);
    if (flight == NULL) {
        return NULL;
    }

    flight->zone = zone;

    if (ngx_sf_flight_link(flight, key, old) != NGX_OK) {
        ngx_sf_flight_end(flight);
        return NULL;
    }

    return flight;
}


static ngx_sf_flight_t *
ngx_sf_flight_create(ngx_sf_worker_t *worker, const ngx_sf_lookup_t *lookup)
{
    ngx_pool_t       *pool;
    ngx_sf_flight_t  *flight;

    pool = ngx_create_pool(2048, worker->cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    flight = ngx_pcalloc(pool, sizeof(ngx_sf_flight_t));

    if (flight) {
        flight->pool = pool;
        flight->worker = worker;

        if (ngx_sf_flight_copy(flight, lookup) == NGX_OK) {
            return flight;
        }
    }

    ngx_destroy_pool(pool);

    return NULL;
}


/* nothing of the request is needed any more */

static ngx_int_t
ngx_sf_flight_copy(ngx_sf_flight_t *flight, const ngx_sf_lookup_t *lookup)
{
    ngx_sf_bind_source_t  source;

    flight->lookup = *lookup;
    flight->lookup.key = NULL;
    flight->created = ngx_current_msec;
    ngx_queue_init(&flight->waiters);

    if (lookup->params) {
        if (ngx_sf_params_copy(flight->pool, lookup->params,
                               lookup->resource->endpoint->nparams,
                               &flight->params)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        flight->lookup.params = &flight->params;
    }

    ngx_sf_resource_source(&flight->lookup, &source);

    flight->query.statement =
        ngx_sf_statement_variant(&flight->worker->variants,
                                 lookup->slcf->primary_pg,
                                 lookup->resource->statement, &source);
    if (flight->query.statement == NULL) {
        return NGX_ERROR;
    }

    flight->query.values = ngx_sf_statement_bind(flight->pool,
                                                 flight->query.statement,
                                                 &source);
    if (flight->query.values == NULL) {
        return NGX_ERROR;
    }

    flight->query.outside = ngx_sf_statement_outside(flight->query.statement,
                                                     &source);
    flight->query.lane = ngx_sf_flight_lane(lookup);
    flight->query.wanted = ngx_sf_flight_wanted;
    flight->query.principal = lookup->principal;
    flight->query.handler = ngx_sf_flight_handler;
    flight->query.data = flight;

    flight->total.handler = ngx_sf_flight_total_handler;
    flight->total.page = flight;

    flight->timer.handler = ngx_sf_flight_timer_handler;
    flight->timer.data = flight;
    flight->timer.log = flight->worker->cycle->log;

    return NGX_OK;
}


/* sends what has to be sent; the flight may have landed after that */

static void
ngx_sf_flight_start(ngx_sf_flight_t *flight)
{
    ngx_uint_t                first;
    const ngx_sf_resource_t  *total;

    total = flight->lookup.resource->total;
    first = total && ngx_sf_flight_total_first(flight);

    flight->members++;
    flight->created = ngx_current_msec;

    if (flight->claim.node) {

        /* flights that wait in other workers rely on it */

        ngx_sf_flight_hold(flight);
    }

    if (first) {
        ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_TOTAL);
        ngx_sf_flight_start_total(flight);
    }

    if (flight->pending == 0) {
        ngx_sf_flight_send(flight);
    }

    if (total && !first && flight->state == NGX_SF_FLIGHT_QUERY) {
        ngx_sf_flight_start_total(flight);
    }

    if (flight->pending == 0) {
        ngx_sf_flight_arrived(flight);
    }

    flight->members--;
}


/*
 * A total that tells the next deadline is taken first where the response is to
 * be kept: a row that drops out between the two would otherwise stay in the
 * page, and the total would not know of it.  It also tells that a page has no
 * rows, as it is behind the last one: that is not read then to learn the same.
 * Where totals are kept it is mostly known.
 */

static ngx_uint_t
ngx_sf_flight_total_first(const ngx_sf_flight_t *flight)
{
    const ngx_sf_lookup_t  *lookup;

    lookup = &flight->lookup;

    return (flight->zone && lookup->resource->endpoint->row->expires)
           || (lookup->slcf->zone && lookup->params->page > 1)
           || lookup->params->offset > lookup->slcf->max_offset;
}


/* the flight's own statement, if it is of use */

static void
ngx_sf_flight_send(ngx_sf_flight_t *flight)
{
    ngx_sf_metrics_t  *metrics;

    if (flight->outcome != NGX_SF_PG_OK || ngx_sf_flight_needless(flight)) {
        return;
    }

    flight->outcome = ngx_sf_flight_submit(flight);

    if (flight->outcome != NGX_SF_PG_OK) {
        ngx_sf_flight_count(flight, flight->outcome);
        return;
    }

    ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_QUERY);
    flight->pending++;

    metrics = flight->worker->smcf->metrics;
    metrics->slot->counts.flights[flight->lookup.resource->kind]++;
}


/* by the turns of any that waits: none is refused for another one */

static ngx_sf_pg_outcome_e
ngx_sf_flight_submit(ngx_sf_flight_t *flight)
{
    ngx_queue_t          *node;
    ngx_sf_wait_t        *wait;
    ngx_sf_pg_pool_t     *pool;
    ngx_sf_pg_query_t    *q;
    ngx_sf_pg_outcome_e   outcome;

    q = &flight->query;
    pool = ngx_sf_flight_pool(flight->worker, flight->lookup.slcf);
    outcome = ngx_sf_pg_submit(pool, q);

    for (node = ngx_queue_head(&flight->waiters);
         outcome == NGX_SF_PG_QUOTA_FULL
         && node != ngx_queue_sentinel(&flight->waiters);
         node = ngx_queue_next(node))
    {
        wait = ngx_queue_data(node, ngx_sf_wait_t, queue);

        if (wait->principal != q->principal) {
            q->principal = wait->principal;
            outcome = ngx_sf_pg_submit(pool, q);
        }
    }

    return outcome;
}


/* whether the total says all that there is, which ngx_sf_resource.c tells */

static ngx_uint_t
ngx_sf_flight_needless(const ngx_sf_flight_t *flight)
{
    const ngx_sf_params_t  *params;

    params = flight->lookup.params;

    return flight->counted
           && (params->offset >= flight->count
               || params->offset > flight->lookup.slcf->max_offset);
}


/* the primary's pool; while it is away, the replicas' if they are there */

static ngx_sf_pg_pool_t *
ngx_sf_flight_pool(ngx_sf_worker_t *worker, ngx_sf_loc_conf_t *slcf)
{
    ngx_sf_pg_pool_t  *primary, *replicas, **pools;

    pools = worker->pools;
    primary = pools[slcf->primary_pg->index];

    if (slcf->replicas_pg == NULL || !ngx_sf_pg_down(primary)) {
        return primary;
    }

    replicas = pools[slcf->replicas_pg->index];

    return ngx_sf_pg_down(replicas) ? primary : replicas;
}


/* a total may be in the zone while its page is asked for past it */

static void
ngx_sf_flight_start_total(ngx_sf_flight_t *flight)
{
    ngx_int_t        rc;
    ngx_sf_lookup_t  lookup;

    lookup = flight->lookup;
    lookup.resource = flight->lookup.resource->total;
    lookup.key = NULL;
    lookup.bypass = lookup.fenced;

    rc = ngx_sf_flight_ask(flight->worker, &flight->total, &lookup);

    if (rc == NGX_AGAIN) {
        flight->pending++;

    } else if (rc == NGX_OK) {
        ngx_sf_flight_take_total(flight);

    } else {
        ngx_sf_flight_fail(flight, NGX_SF_PG_FAILED);
    }
}


/* without its total a page is of no use: it is not sent if it was not yet */

static void
ngx_sf_flight_fail(ngx_sf_flight_t *flight, ngx_sf_pg_outcome_e outcome)
{
    flight->outcome = outcome;

    if (flight->query.waiting) {
        ngx_sf_pg_cancel(&flight->query);
        flight->pending--;
    }
}


/*
 * A total is a number: what it says is taken over, and its place given up at
 * once, since a pin is held by that.  A response is as old as the total that it
 * shows, and good for as long.
 */

static void
ngx_sf_flight_take_total(ngx_sf_flight_t *flight)
{
    int64_t               ms;
    ngx_str_t             text;
    ngx_msec_t            created;
    ngx_sf_entry_t       *entry;
    ngx_sf_flight_t      *total;
    ngx_sf_pg_outcome_e   outcome;

    outcome = ngx_sf_flight_outcome(&flight->total);

    if (flight->total.flight) {
        ngx_sf_flight_times(flight->total.flight, &flight->queue_time,
                            &flight->db_time, flight->sqlstate);
    }

    if (outcome != NGX_SF_PG_OK) {
        ngx_sf_flight_fail(flight, outcome);
        ngx_sf_flight_leave(&flight->total);
        return;
    }

    entry = ngx_sf_flight_entry(&flight->total);
    total = flight->total.flight;
    text = ngx_sf_flight_body(&flight->total);

    if (ngx_sf_resource_parse_total(&text, &flight->count, &ms) != NGX_OK) {
        flight->outcome = NGX_SF_PG_FAILED;
    }

    flight->counted = 1;

    created = entry ? entry->created : total->created;
    flight->deadline = entry ? entry->deadline : total->deadline;
    flight->incoherent |= entry ? entry->incoherent : total->incoherent;

    if (total && total->found.status == NGX_SF_CACHE_STALE) {
        flight->found.status = NGX_SF_CACHE_STALE;
    }

    if ((ngx_msec_int_t) (created - flight->created) < 0) {
        flight->created = created;
    }

    ngx_sf_flight_leave(&flight->total);
}


static void
ngx_sf_flight_timer_handler(ngx_event_t *ev)
{
    ngx_int_t         rc;
    ngx_sf_flight_t  *flight;

    flight = ev->data;
    rc = ngx_sf_flight_look_again(flight);

    if (rc == NGX_AGAIN) {
        return;
    }

    flight->members++;

    if (rc == NGX_OK) {
        ngx_sf_flight_land(flight);

    } else {
        ngx_sf_flight_start(flight);
    }

    ngx_sf_flight_release(flight);
}


static void
ngx_sf_flight_handler(ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome,
    PGresult *res)
{
    ngx_sf_flight_t  *flight;
    ngx_sf_source_t  *source;

    flight = q->data;

    flight->members++;
    flight->res = res;

    ngx_sf_flight_count(flight, outcome);

    if (outcome != NGX_SF_PG_OK) {
        flight->outcome = outcome;
    }

    /* what was read elsewhere than the listener listens is not watched over */

    source = flight->fresh.source;

    if (q->pool->conf != flight->lookup.slcf->primary_pg
        || (source && source->server && source->server != q->server))
    {
        flight->incoherent = 1;
    }

    if (--flight->pending == 0) {
        ngx_sf_flight_arrived(flight);
    }

    ngx_sf_flight_release(flight);
}


/* what a statement of its own has come to, or that it was not taken */

static void
ngx_sf_flight_count(ngx_sf_flight_t *flight, ngx_sf_pg_outcome_e outcome)
{
    ngx_uint_t            i;
    ngx_sf_counts_t      *counts;
    ngx_sf_metrics_t     *metrics;
    ngx_sf_pg_query_t    *q;
    ngx_sf_endpoint_t    *endpoint;

    q = &flight->query;
    metrics = flight->worker->smcf->metrics;
    counts = &metrics->slot->counts;
    endpoint = flight->lookup.resource->endpoint;

    counts->errors[outcome] += outcome != NGX_SF_PG_OK;

    if (q->done == 0) {
        return;
    }

    ngx_sf_histogram_add(&counts->queue[q->lane],
                         (q->sent ? q->sent : q->done) - q->submitted);

    if (q->sent) {
        i = endpoint ? endpoint->index : ngx_sf_metrics_principal(metrics);
        ngx_sf_histogram_add(&metrics->endpoints[i].counts->query,
                             q->done - q->sent);
    }
}


static void
ngx_sf_flight_total_handler(ngx_sf_wait_t *wait)
{
    ngx_sf_flight_t  *flight;

    flight = wait->page;
    flight->members++;
    flight->pending--;

    ngx_sf_flight_take_total(flight);

    if (flight->state == NGX_SF_FLIGHT_TOTAL) {

        /* its own place, and that of this function */

        if (flight->members == 2 && ngx_sf_flight_give_up(flight, 0)) {
            ngx_sf_flight_release(flight);
            return;
        }

        ngx_sf_flight_send(flight);
    }

    if (flight->pending == 0) {
        ngx_sf_flight_arrived(flight);
    }

    ngx_sf_flight_release(flight);
}


/* all results are in; the caller has a place in the flight */

static void
ngx_sf_flight_arrived(ngx_sf_flight_t *flight)
{
    if (flight->outcome == NGX_SF_PG_OK) {
        ngx_sf_flight_make(flight);

    } else if (flight->zone) {
        ngx_sf_flight_substitute(flight);
    }

    if (flight->claim.node) {
        ngx_sf_flight_store(flight);
    }

    ngx_sf_flight_let_go(flight);

    if (flight->body.len > NGX_SF_BODY_SMALL) {
        ngx_sf_flight_keep(flight);
    }

    ngx_sf_flight_land(flight);
}


static void
ngx_sf_flight_make(ngx_sf_flight_t *flight)
{
    if (ngx_sf_resource_render(flight) != NGX_OK) {
        flight->outcome = NGX_SF_PG_FAILED;
    }

    ngx_sf_pg_result_free(flight->res);
    flight->res = NULL;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Flights: one execution of one query for 1..n requests.
 *
 * A request never owns a query.  It has a place (ngx_sf_wait_t) in a flight,
 * which owns the query, the values bound to it and the result, in a small
 * pool of its own.  A client that goes away gives up its place; the query
 * goes on for the others, and is cancelled when nobody is left.
 *
 * An order that may be shared has a key: the statement's text and its values.
 * Such a flight can be joined while it is under way, and its result is served
 * for a while after it has landed.  The kept ones are bounded in number, the
 * oldest going first.
 *
 * All of this is the memory of one worker.
 */


#include "ngx_sf.h"


#define NGX_SF_FLIGHTS_KEPT  1024


typedef struct {
    ngx_sf_pg_pool_t           *pool;
    ngx_sf_statement_t         *statement;
    const ngx_sf_bind_source_t *source;
    ngx_uint_t                  lane;
    ngx_msec_t                  keep;
} ngx_sf_flight_order_t;


static ngx_sf_pg_pool_t *ngx_sf_flight_pool(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_flight_join(ngx_sf_worker_t *worker,
    ngx_sf_wait_t *wait, const ngx_sf_flight_order_t *order);
static ngx_sf_flight_t *ngx_sf_flight_create(ngx_sf_worker_t *worker,
    ngx_sf_pg_statement_t *statement, const ngx_sf_flight_order_t *order);
static ngx_int_t ngx_sf_flight_key(ngx_sf_flight_t *flight,
    ngx_sf_pg_pool_t *pool);
static ngx_sf_flight_t *ngx_sf_flight_share(ngx_sf_flights_t *flights,
    ngx_sf_flight_t *flight);
static void ngx_sf_flight_expire(ngx_sf_flights_t *flights);
static void ngx_sf_flight_handler(ngx_sf_pg_query_t *q,
    ngx_sf_pg_outcome_e outcome, PGresult *res);
static void ngx_sf_flight_keep(ngx_sf_flight_t *flight);
static void ngx_sf_flight_unlink(ngx_sf_flight_t *flight);
static void ngx_sf_flight_release(ngx_sf_flight_t *flight);
static void ngx_sf_flight_destroy(ngx_sf_flight_t *flight);


void
ngx_sf_flights_init(ngx_sf_flights_t *flights)
{
    ngx_rbtree_init(&flights->rbtree, &flights->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&flights->kept);
}


void
ngx_sf_flights_destroy(ngx_sf_flights_t *flights)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&flights->kept)) {
        q = ngx_queue_head(&flights->kept);
        ngx_sf_flight_unlink(ngx_queue_data(q, ngx_sf_flight_t, kept));
    }
}


ngx_int_t
ngx_sf_flight_ask(ngx_sf_ctx_t *ctx, ngx_sf_wait_e which,
    ngx_sf_statement_t *statement, const ngx_sf_bind_source_t *source,
    ngx_uint_t lane, ngx_msec_t keep)
{
    ngx_int_t              rc;
    ngx_sf_flight_order_t  order;

    order.pool = ngx_sf_flight_pool(ctx);
    order.statement = statement;
    order.source = source;
    order.lane = lane;
    order.keep = keep;

    ctx->waits[which].ctx = ctx;

    rc = ngx_sf_flight_join(ctx->worker, &ctx->waits[which], &order);

    if (rc == NGX_AGAIN) {
        ctx->pending++;
    }

    return rc;
}


/* the primary's pool; while it is away, the replicas' if they are there */

static ngx_sf_pg_pool_t *
ngx_sf_flight_pool(ngx_sf_ctx_t *ctx)
{
    ngx_sf_pg_pool_t  *primary, *replicas;

    primary = ctx->worker->pools[ctx->slcf->primary_pg->index];

    if (ctx->slcf->replicas_pg == NULL || !ngx_sf_pg_down(primary)) {
        return primary;
    }

    replicas = ctx->worker->pools[ctx->slcf->replicas_pg->index];

    return ngx_sf_pg_down(replicas) ? primary : replicas;
}


static ngx_int_t
ngx_sf_flight_join(ngx_sf_worker_t *worker, ngx_sf_wait_t *wait,
    const ngx_sf_flight_order_t *order)
{
    ngx_sf_flight_t        *flight, *shared;
    ngx_sf_pg_statement_t  *statement;

    statement = ngx_sf_statement_variant(worker, order->statement,
                                         order->source);
    if (statement == NULL) {
        return NGX_ERROR;
    }

    flight = ngx_sf_flight_create(worker, statement, order);
    if (flight == NULL) {
        return NGX_ERROR;
    }

    if (order->keep) {
        if (ngx_sf_flight_key(flight, order->pool) != NGX_OK) {
            ngx_sf_flight_destroy(flight);
            return NGX_ERROR;
        }

        shared = ngx_sf_flight_share(&worker->flights, flight);

        if (shared != flight) {
            ngx_sf_flight_destroy(flight);
            flight = shared;
        }
    }

    wait->flight = flight;
    flight->members++;

    if (!flight->landed && flight->query.pool == NULL) {
        flight->outcome = ngx_sf_pg_submit(order->pool, &flight->query);

        if (flight->outcome != NGX_SF_PG_OK) {
            flight->landed = 1;
            ngx_sf_flight_keep(flight);
        }
    }

    if (flight->landed) {
        return NGX_OK;
    }

    ngx_queue_insert_tail(&flight->waiters, &wait->queue);

    return NGX_AGAIN;
}


static ngx_sf_flight_t *
ngx_sf_flight_create(ngx_sf_worker_t *worker,
    ngx_sf_pg_statement_t *statement, const ngx_sf_flight_order_t *order)
{
    ngx_pool_t       *pool;
    ngx_sf_flight_t  *flight;

    pool = ngx_create_pool(1024, worker->cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    flight = ngx_pcalloc(pool, sizeof(ngx_sf_flight_t));

    if (flight) {
        flight->query.values = ngx_sf_statement_bind(pool, statement,
                                                     order->source);
    }

    if (flight == NULL || flight->query.values == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    flight->pool = pool;
    flight->flights = &worker->flights;
    flight->keep = order->keep;

    ngx_queue_init(&flight->waiters);

    flight->query.statement = statement;
    flight->query.lane = order->lane;
    flight->query.handler = ngx_sf_flight_handler;
    flight->query.data = flight;

    return flight;
}


/* the pool, the text and, each with its length, the values */

static ngx_int_t
ngx_sf_flight_key(ngx_sf_flight_t *flight, ngx_sf_pg_pool_t *pool)
{
    u_char             *p;
    size_t              size, len;
    ngx_uint_t          i;
    ngx_sf_pg_query_t  *q;

    q = &flight->query;
    size = 2 * sizeof(uint64_t);

    for (i = 0; i < q->statement->nvalues; i++) {
        size += sizeof(size_t) + ngx_strlen(q->values[i]);
    }

    p = ngx_pnalloc(flight->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    flight->node.str.data = p;
    flight->node.str.len = size;

    p = ngx_cpymem(p, &pool, sizeof(pool));
    p = ngx_cpymem(p, &q->statement->id, sizeof(q->statement->id));

    for (i = 0; i < q->statement->nvalues; i++) {
        len = ngx_strlen(q->values[i]);
        p = ngx_cpymem(p, &len, sizeof(len));
        p = ngx_cpymem(p, q->values[i], len);
    }

    flight->node.str.len = p - flight->node.str.data;
    flight->node.node.key = ngx_murmur_hash2(flight->node.str.data,
                                             flight->node.str.len);

    return NGX_OK;
}


/* the flight that already stands under the key, or this one, now linked */

static ngx_sf_flight_t *
ngx_sf_flight_share(ngx_sf_flights_t *flights, ngx_sf_flight_t *flight)
{
    ngx_str_node_t  *node;

    ngx_sf_flight_expire(flights);

    node = ngx_str_rbtree_lookup(&flights->rbtree, &flight->node.str,
                                 flight->node.node.key);
    if (node) {
        return (ngx_sf_flight_t *) node;
    }

    ngx_rbtree_insert(&flights->rbtree, &flight->node.node);
    flight->linked = 1;

    return flight;
}


static void
ngx_sf_flight_expire(ngx_sf_flights_t *flights)
{
    ngx_queue_t      *q;
    ngx_sf_flight_t  *flight;

    while (!ngx_queue_empty(&flights->kept)) {
        q = ngx_queue_head(&flights->kept);
        flight = ngx_queue_data(q, ngx_sf_flight_t, kept);

        if (flights->nkept <= NGX_SF_FLIGHTS_KEPT
            && ngx_current_msec - flight->landed_at < flight->keep)
        {
            return;
        }

        ngx_sf_flight_unlink(flight);
    }
}


static void
ngx_sf_flight_handler(ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome,
    PGresult *res)
{
    ngx_queue_t      *node;
    ngx_sf_wait_t    *wait;
    ngx_sf_flight_t  *flight;

    flight = q->data;

    flight->landed = 1;
    flight->outcome = outcome;
    flight->res = res;

    /*
     * A request that is woken may end itself, others that wait here, or the
     * flight: a place of our own holds it, and the list is read from its head.
     */

    flight->members++;

    ngx_sf_flight_keep(flight);

    while (!ngx_queue_empty(&flight->waiters)) {
        node = ngx_queue_head(&flight->waiters);
        ngx_queue_remove(node);

        wait = ngx_queue_data(node, ngx_sf_wait_t, queue);
        wait->queue.next = NULL;

        wait->ctx->landed(wait);
    }

    ngx_sf_flight_release(flight);
}


/* results are kept, failures are not: the next request asks again */

static void
ngx_sf_flight_keep(ngx_sf_flight_t *flight)
{
    if (!flight->linked) {
        return;
    }

    if (flight->outcome != NGX_SF_PG_OK) {
        flight->linked = 0;
        ngx_rbtree_delete(&flight->flights->rbtree, &flight->node.node);
        return;
    }

    flight->landed_at = ngx_current_msec;
    flight->members++;
    flight->flights->nkept++;
    ngx_queue_insert_tail(&flight->flights->kept, &flight->kept);
}


/* a kept flight leaves the table; its last member ends it */

static void
ngx_sf_flight_unlink(ngx_sf_flight_t *flight)
{
    flight->linked = 0;
    flight->flights->nkept--;

    ngx_queue_remove(&flight->kept);
    ngx_rbtree_delete(&flight->flights->rbtree, &flight->node.node);

    ngx_sf_flight_release(flight);
}


void
ngx_sf_flight_leave(ngx_sf_wait_t *wait)
{
    ngx_sf_flight_t  *flight;

    flight = wait->flight;

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


static void
ngx_sf_flight_release(ngx_sf_flight_t *flight)
{
    if (--flight->members) {
        return;
    }

    if (!flight->landed) {
        ngx_sf_pg_cancel(&flight->query);

        if (flight->linked) {
            ngx_rbtree_delete(&flight->flights->rbtree, &flight->node.node);
        }
    }

    ngx_sf_flight_destroy(flight);
}


static void
ngx_sf_flight_destroy(ngx_sf_flight_t *flight)
{
    ngx_sf_pg_result_free(flight->res);
    ngx_destroy_pool(flight->pool);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The pool: which connection serves which query, and what a query is told
 * when none can.
 *
 * A query is in one of three places: in the waiting list of its lane, in the
 * FIFO of one connection, or back with its owner.  It is dispatched in a
 * posted event, once a turn of the event loop, so that the statements of a
 * turn can share a Sync and so that no handler is ever called from inside
 * ngx_sf_pg_submit().
 *
 * Back-pressure: the waiting list is bounded in length and in time.  While
 * every server of a lane without connections is backing off after more than
 * one attempt, its queries are refused at once: waiting would only turn a
 * clear answer into a late one.
 *
 * The timer of the first query waiting and the timer of a connection's head
 * are not cancelable: a worker that is shutting down waits for them, and with
 * them for the requests that are parked on an answer.  Nobody is parked on
 * the listen lane.
 */


#include "ngx_sf_pg.h"


#define NGX_SF_PG_RESENDS  2


static ngx_int_t ngx_sf_pg_lane_init(ngx_cycle_t *cycle,
    ngx_sf_pg_pool_t *pool, ngx_uint_t kind);
static ngx_int_t ngx_sf_pg_conn_init(ngx_cycle_t *cycle,
    ngx_sf_pg_conn_t *pgc, ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_server_t *server);
static void ngx_sf_pg_lane_warm(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_dispatch_handler(ngx_event_t *ev);
static void ngx_sf_pg_lane_dispatch(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_lane_sync(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_lane_grow(ngx_sf_pg_lane_t *lane);
static ngx_sf_pg_conn_t *ngx_sf_pg_lane_pick(ngx_sf_pg_lane_t *lane);
static ngx_uint_t ngx_sf_pg_lane_free(ngx_sf_pg_lane_t *lane);
static ngx_uint_t ngx_sf_pg_lane_unavailable(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_lane_fail(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_outcome_e outcome);
static void ngx_sf_pg_lane_timeout_handler(ngx_event_t *ev);
static void ngx_sf_pg_waiting_add(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_query_t *q);
static void ngx_sf_pg_waiting_remove(ngx_sf_pg_query_t *q);
static ngx_sf_pg_query_t *ngx_sf_pg_waiting_first(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_waiting_arm(ngx_sf_pg_lane_t *lane);


ngx_sf_pg_pool_t *
ngx_sf_pg_pool_create(ngx_cycle_t *cycle, ngx_sf_pg_conf_t *conf,
    ngx_uint_t nstatements)
{
    ngx_uint_t         kind;
    ngx_sf_pg_pool_t  *pool;

    pool = ngx_pcalloc(cycle->pool, sizeof(ngx_sf_pg_pool_t));
    if (pool == NULL) {
        return NULL;
    }

    pool->conf = conf;
    pool->log = cycle->log;
    pool->memory = cycle->pool;
    pool->nstatements = nstatements;

    pool->failed_until = ngx_pcalloc(cycle->pool,
                                     nstatements * sizeof(ngx_msec_t));
    pool->texts = ngx_pcalloc(cycle->pool,
                              nstatements * sizeof(ngx_sf_pg_text_t));

    if (pool->failed_until == NULL || pool->texts == NULL) {
        return NULL;
    }

    pool->dispatch.handler = ngx_sf_pg_dispatch_handler;
    pool->dispatch.data = pool;
    pool->dispatch.log = cycle->log;

    ngx_queue_init(&pool->subscribers);

    if (ngx_sf_pg_servers_create(cycle, pool) != NGX_OK) {
        return NULL;
    }

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        if (ngx_sf_pg_lane_init(cycle, pool, kind) != NGX_OK) {
            return NULL;
        }
    }

    if (!conf->listener) {
        ngx_sf_pg_lane_warm(&pool->lanes[NGX_SF_PG_READ]);
    }

    return pool;
}


static ngx_int_t
ngx_sf_pg_lane_init(ngx_cycle_t *cycle, ngx_sf_pg_pool_t *pool,
    ngx_uint_t kind)
{
    ngx_uint_t         i, n, size;
    ngx_sf_pg_conn_t  *pgc;
    ngx_sf_pg_lane_t  *lane;

    lane = &pool->lanes[kind];
    size = pool->conf->size[kind];

    lane->pool = pool;
    lane->kind = kind;

    ngx_queue_init(&lane->waiting);

    for (i = 0; i < NGX_SF_PG_CONN_STATES; i++) {
        ngx_queue_init(&lane->conns[i]);
    }

    lane->timer.handler = ngx_sf_pg_lane_timeout_handler;
    lane->timer.data = lane;
    lane->timer.log = cycle->log;
    lane->timer.cancelable = kind == NGX_SF_PG_LISTEN;

    if (size == 0) {
        return NGX_OK;
    }

    pgc = ngx_pcalloc(cycle->pool,
                      pool->nservers * size * sizeof(ngx_sf_pg_conn_t));
    if (pgc == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < pool->nservers; i++) {
        for (n = 0; n < size; n++) {
            if (ngx_sf_pg_conn_init(cycle, pgc++, lane, &pool->servers[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* a slot for a connection to one server, good for any number of attempts */

static ngx_int_t
ngx_sf_pg_conn_init(ngx_cycle_t *cycle, ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_lane_t *lane, ngx_sf_pg_server_t *server)
{
    pgc->lane = lane;
    pgc->server = server;

    /*
     * A statement brings four slots at most: a Sync before, its prepare,
     * itself, a Sync after.
     */

    pgc->nfifo = 4 * (ngx_sf_pg_lane_depth(lane, server) + 1);

    pgc->fifo = ngx_pcalloc(cycle->pool,
                            pgc->nfifo * sizeof(ngx_sf_pg_slot_t));
    if (pgc->fifo == NULL) {
        return NGX_ERROR;
    }

    pgc->prepared = ngx_pcalloc(cycle->pool,
                                lane->pool->nstatements * sizeof(uint32_t));
    if (pgc->prepared == NULL) {
        return NGX_ERROR;
    }

    pgc->state = NGX_SF_PG_CONN_CLOSED;
    ngx_queue_insert_tail(&lane->conns[pgc->state], &pgc->queue);
    lane->nconns[pgc->state]++;

    return NGX_OK;
}


void
ngx_sf_pg_pool_destroy(ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t         kind, state;
    ngx_queue_t       *head;
    ngx_sf_pg_lane_t  *lane;

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        lane = &pool->lanes[kind];

        ngx_queue_init(&lane->waiting);
        lane->nwaiting = 0;

        if (lane->timer.timer_set) {
            ngx_del_timer(&lane->timer);
        }

        for (state = NGX_SF_PG_CONN_CONNECTING;
             state < NGX_SF_PG_CONN_STATES;
             state++)
        {
            head = &lane->conns[state];

            while (!ngx_queue_empty(head)) {
                ngx_sf_pg_conn_close(ngx_queue_data(ngx_queue_head(head),
                                                    ngx_sf_pg_conn_t, queue),
                                     NGX_SF_PG_CLOSE_EXIT);
            }
        }
    }

    if (pool->dispatch.posted) {
        ngx_delete_posted_event(&pool->dispatch);
    }

    ngx_sf_pg_servers_destroy(pool);
}


ngx_sf_pg_outcome_e
ngx_sf_pg_submit(ngx_sf_pg_pool_t *pool, ngx_sf_pg_query_t *q)
{
    ngx_msec_t         failed;
    ngx_sf_pg_lane_t  *lane;

    lane = &pool->lanes[q->lane];
    failed = pool->failed_until[q->statement->id];

    if (failed && (ngx_msec_int_t) (failed - ngx_current_msec) > 0) {
        return NGX_SF_PG_BROKEN;
    }

    if (ngx_sf_pg_lane_unavailable(lane)) {
        return NGX_SF_PG_UNAVAILABLE;
    }

    if (lane->nwaiting >= pool->conf->queue
        && lane->nwaiting >= pool->conf->queue + ngx_sf_pg_lane_free(lane))
    {
        return NGX_SF_PG_BUSY;
    }

    q->pool = pool;
    q->conn = NULL;
    q->clashes = 0;
    q->retries = 0;
    q->alone = 0;
    q->unnamed = 0;
    q->blame = q->outside;
    q->rewords = 0;
    q->sqlstate[0] = '\0';
    q->submitted = ngx_sf_pg_now();
    q->sent = 0;
    q->done = 0;
    q->server = 0;

    ngx_sf_pg_waiting_add(lane, q);

    return NGX_SF_PG_OK;
}


/*
 * A read that was sent and not answered goes back in front of those that were
 * never sent; it was admitted once, so the bound on the queue does not count.
 */

void
ngx_sf_pg_pool_requeue(ngx_sf_pg_pool_t *pool, ngx_sf_pg_query_t *q)
{
    q->conn = NULL;

    ngx_sf_pg_waiting_add(&pool->lanes[q->lane], q);
}


/*
 * The connection of a read was lost.  It is sent once more, and once again if
 * that one is lost too: neighbours die together, but say so one by one.  One
 * that was found dead in sending is not the statement's doing.  Other ends of
 * a connection may be.
 */

void
ngx_sf_pg_pool_resend(ngx_sf_pg_pool_t *pool, ngx_sf_pg_query_t *q,
    ngx_sf_pg_close_e reason)
{
    ngx_uint_t  limit;

    switch (reason) {

    case NGX_SF_PG_CLOSE_LOST:
        limit = NGX_SF_PG_RESENDS;
        break;

    case NGX_SF_PG_CLOSE_SEND:
        limit = NGX_SF_PG_RESENDS + 1;
        break;

    default:
        limit = 1;
    }

    if (q->retries >= limit) {
        ngx_sf_pg_query_finish(q, NGX_SF_PG_UNAVAILABLE, NULL);
        return;
    }

    q->retries++;
    q->alone = 1;
    ngx_sf_pg_pool_requeue(pool, q);
}


void
ngx_sf_pg_cancel(ngx_sf_pg_query_t *q)
{
    ngx_uint_t         i;
    ngx_sf_pg_conn_t  *pgc;
    ngx_sf_pg_slot_t  *slot;

    if (q->waiting) {
        ngx_sf_pg_waiting_remove(q);
        return;
    }

    if (q->pool->sending == q) {
        q->pool->sending = NULL;
    }

    pgc = q->conn;

    if (pgc == NULL) {
        return;
    }

    for (i = 0; i < pgc->count; i++) {
        slot = &pgc->fifo[(pgc->head + i) % pgc->nfifo];

        if (slot->query == q) {
            slot->query = NULL;
        }
    }

    q->conn = NULL;
}


void
ngx_sf_pg_query_finish(ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome,
    PGresult *res)
{
    q->conn = NULL;
    q->done = ngx_sf_pg_now();

    q->handler(q, outcome, res);
}


void
ngx_sf_pg_pool_post_dispatch(ngx_sf_pg_pool_t *pool)
{
    ngx_post_event(&pool->dispatch, &ngx_posted_events);
}


static void
ngx_sf_pg_dispatch_handler(ngx_event_t *ev)
{
    ngx_uint_t         kind;
    ngx_sf_pg_pool_t  *pool;

    pool = ev->data;

    ngx_sf_pg_notify_close(pool);

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        ngx_sf_pg_lane_dispatch(&pool->lanes[kind]);
    }
}


static void
ngx_sf_pg_lane_dispatch(ngx_sf_pg_lane_t *lane)
{
    ngx_sf_pg_conn_t   *pgc;
    ngx_sf_pg_query_t  *q;

    while (!ngx_queue_empty(&lane->waiting)) {

        pgc = ngx_sf_pg_lane_pick(lane);

        if (pgc == NULL) {
            break;
        }

        q = ngx_queue_data(ngx_queue_head(&lane->waiting), ngx_sf_pg_query_t,
                           queue);

        ngx_sf_pg_waiting_remove(q);

        if (pgc->outstanding) {
            ngx_sf_pg_lane_grow(lane);
        }

        q->sent = ngx_sf_pg_now();

        /* closing a connection may end the owner of the query in hand */

        lane->pool->sending = q;

        if (ngx_sf_pg_pipeline_send(pgc, q) == NGX_OK
            || lane->pool->sending == NULL)
        {
            continue;
        }

        ngx_sf_pg_pool_resend(lane->pool, q, NGX_SF_PG_CLOSE_SEND);
    }

    ngx_sf_pg_lane_sync(lane);

    if (!ngx_queue_empty(&lane->waiting)) {
        ngx_sf_pg_lane_grow(lane);

        if (ngx_sf_pg_lane_unavailable(lane)) {
            ngx_sf_pg_lane_fail(lane, NGX_SF_PG_UNAVAILABLE);
        }
    }
}


/* a Sync may close its connection, which moves it to another list */

static void
ngx_sf_pg_lane_sync(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t       *q, *next, *head;
    ngx_sf_pg_conn_t  *pgc;

    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = next) {
        next = ngx_queue_next(q);
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->unsynced) {
            ngx_sf_pg_pipeline_sync(pgc);
        }
    }
}


/* the read lane of a fresh worker connects before the first request asks */

static void
ngx_sf_pg_lane_warm(ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t           n;
    ngx_queue_t         *q, *next, *head;
    ngx_sf_pg_conn_t    *pgc;
    ngx_sf_pg_server_t  *server;

    server = ngx_sf_pg_server_pick(lane);
    head = &lane->conns[NGX_SF_PG_CONN_CLOSED];
    n = lane->nconns[NGX_SF_PG_CONN_CLOSED];

    for (q = ngx_queue_head(head); n && q != head; q = next, n--) {
        next = ngx_queue_next(q);
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (lane->pool->conf->primary && pgc->server != server) {
            continue;
        }

        if (!pgc->server->conf->down && !pgc->server->backoff) {
            ngx_sf_pg_conn_open(pgc);
        }
    }
}


/* one connect at a time in a lane: a failing server is not stormed */

static void
ngx_sf_pg_lane_grow(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t         *q, *head;
    ngx_sf_pg_conn_t    *pgc;
    ngx_sf_pg_server_t  *server;

    if (lane->nconns[NGX_SF_PG_CONN_CONNECTING]
        || lane->nconns[NGX_SF_PG_CONN_CLOSED] == 0)
    {
        return;
    }

    server = ngx_sf_pg_server_pick(lane);

    if (server == NULL) {
        return;
    }

    head = &lane->conns[NGX_SF_PG_CONN_CLOSED];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->server == server) {
            ngx_sf_pg_conn_open(pgc);
            return;
        }
    }
}


/* the ready connection with the fewest statements in flight, if any is free */

static ngx_sf_pg_conn_t *
ngx_sf_pg_lane_pick(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t         *q, *next, *head;
    ngx_sf_pg_conn_t    *pgc, *best;
    ngx_sf_pg_server_t  *server;

    best = NULL;
    server = ngx_sf_pg_server_balance(lane);
    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = next) {
        next = ngx_queue_next(q);
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->expires
            && (ngx_msec_int_t) (pgc->expires - ngx_current_msec) <= 0
            && !pgc->unsynced)
        {
            ngx_sf_pg_conn_drain(pgc);
            continue;
        }

        if (pgc->server != server || ngx_sf_pg_conn_room(pgc) == 0) {
            continue;
        }

        if (best == NULL || pgc->outstanding < best->outstanding) {
            best = pgc;
        }
    }

    return best;
}


ngx_uint_t
ngx_sf_pg_lane_depth(const ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *server)
{
    return ngx_sf_pg_exclusive(lane) || server->pooler
           ? 1 : lane->pool->conf->depth;
}


/* a statement at a time is one until the answer to its Sync is here */

ngx_uint_t
ngx_sf_pg_conn_room(const ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t  depth;

    depth = ngx_sf_pg_lane_depth(pgc->lane, pgc->server);

    if (depth == 1) {
        return pgc->count == 0;
    }

    return depth - ngx_min(pgc->outstanding, depth);
}


/* how many queries the ready connections of a lane can still take */

static ngx_uint_t
ngx_sf_pg_lane_free(ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t         n;
    ngx_queue_t       *q, *head;
    ngx_sf_pg_conn_t  *pgc;

    n = 0;
    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        n += ngx_sf_pg_conn_room(pgc);
    }

    return n;
}


static ngx_uint_t
ngx_sf_pg_lane_unavailable(ngx_sf_pg_lane_t *lane)
{
    return lane->nconns[NGX_SF_PG_CONN_READY] == 0
           && lane->nconns[NGX_SF_PG_CONN_CONNECTING] == 0
           && lane->nconns[NGX_SF_PG_CONN_DRAINING] == 0
           && ngx_sf_pg_server_pick(lane) == NULL
           && !ngx_sf_pg_servers_hopeful(lane->pool);
}


ngx_uint_t
ngx_sf_pg_down(ngx_sf_pg_pool_t *pool)
{
    if (!ngx_sf_pg_is_down(pool)) {
        return 0;
    }

    ngx_sf_pg_lane_grow(&pool->lanes[NGX_SF_PG_READ]);

    return 1;
}


ngx_uint_t
ngx_sf_pg_is_down(const ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_PG_LANES; i++) {
        if (i != NGX_SF_PG_LISTEN
            && pool->lanes[i].nconns[NGX_SF_PG_CONN_READY])
        {
            return 0;
        }
    }

    for (i = 0; i < pool->nservers; i++) {
        if (!pool->servers[i].conf->down && pool->servers[i].fails == 0) {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_sf_pg_retry_after(ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_msec_int_t       ms, least;
    ngx_sf_pg_server_t  *server;

    least = NGX_MAX_INT_T_VALUE;

    for (i = 0; i < pool->nservers; i++) {
        server = &pool->servers[i];

        if (server->conf->down) {
            continue;
        }

        ms = server->backoff
             ? (ngx_msec_int_t) (server->retry_at - ngx_current_msec) : 0;

        least = ngx_min(least, ms);
    }

    if (least <= 0 || least == NGX_MAX_INT_T_VALUE) {
        return 1;
    }

    return (least + 999) / 1000;
}


static void
ngx_sf_pg_lane_fail(ngx_sf_pg_lane_t *lane, ngx_sf_pg_outcome_e outcome)
{
    ngx_sf_pg_query_t  *q;

    while (!ngx_queue_empty(&lane->waiting)) {
        q = ngx_queue_data(ngx_queue_head(&lane->waiting), ngx_sf_pg_query_t,
                           queue);

        ngx_sf_pg_waiting_remove(q);
        ngx_sf_pg_query_finish(q, outcome, NULL);
    }
}


static void
ngx_sf_pg_lane_timeout_handler(ngx_event_t *ev)
{
    ngx_sf_pg_lane_t   *lane;
    ngx_sf_pg_query_t  *q;

    lane = ev->data;

    for ( ;; ) {
        q = ngx_sf_pg_waiting_first(lane);

        if (q == NULL
            || (ngx_msec_int_t) (q->expires - ngx_current_msec) > 0)
        {
            break;
        }

        ngx_sf_pg_waiting_remove(q);
        ngx_sf_pg_query_finish(q, NGX_SF_PG_EXPIRED, NULL);
    }

    ngx_sf_pg_waiting_arm(lane);
}


/*
 * In the order of submission: what was sent already stands in front of what
 * was not, so the walk is short.
 */

static void
ngx_sf_pg_waiting_add(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q)
{
    ngx_queue_t        *next;
    ngx_sf_pg_query_t  *other;

    next = ngx_queue_head(&lane->waiting);

    if (q->sent == 0) {
        next = ngx_queue_sentinel(&lane->waiting);
    }

    while (next != ngx_queue_sentinel(&lane->waiting)) {
        other = ngx_queue_data(next, ngx_sf_pg_query_t, queue);

        if (other->sent == 0 || other->submitted > q->submitted) {
            break;
        }

        next = ngx_queue_next(next);
    }

    ngx_queue_insert_tail(next, &q->queue);

    q->waiting = 1;
    q->expires = ngx_current_msec + lane->pool->conf->wait;
    lane->nwaiting++;

    if (!lane->timer.timer_set) {
        ngx_sf_pg_waiting_arm(lane);
    }

    ngx_sf_pg_pool_post_dispatch(lane->pool);
}


static void
ngx_sf_pg_waiting_remove(ngx_sf_pg_query_t *q)
{
    ngx_sf_pg_lane_t  *lane;

    lane = &q->pool->lanes[q->lane];

    ngx_queue_remove(&q->queue);
    q->waiting = 0;
    lane->nwaiting--;

    if (lane->nwaiting == 0 && lane->timer.timer_set) {
        ngx_del_timer(&lane->timer);
    }
}


/*
 * The one that expires first: the first of those never sent, or one of those
 * before it, whose time began anew.
 */

static ngx_sf_pg_query_t *
ngx_sf_pg_waiting_first(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t        *node;
    ngx_sf_pg_query_t  *q, *first;

    first = NULL;

    for (node = ngx_queue_head(&lane->waiting);
         node != ngx_queue_sentinel(&lane->waiting);
         node = ngx_queue_next(node))
    {
        q = ngx_queue_data(node, ngx_sf_pg_query_t, queue);

        if (first == NULL
            || (ngx_msec_int_t) (q->expires - first->expires) < 0)
        {
            first = q;
        }

        if (q->sent == 0) {
            break;
        }
    }

    return first;
}


static void
ngx_sf_pg_waiting_arm(ngx_sf_pg_lane_t *lane)
{
    ngx_msec_int_t      left;
    ngx_sf_pg_query_t  *q;

    q = ngx_sf_pg_waiting_first(lane);

    if (q) {
        left = (ngx_msec_int_t) (q->expires - ngx_current_msec);
        ngx_add_timer(&lane->timer, ngx_max(left, 1));
    }
}


void
ngx_sf_pg_conn_set_state(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_conn_state_e state)
{
    ngx_sf_pg_lane_t  *lane;

    lane = pgc->lane;

    ngx_queue_remove(&pgc->queue);
    lane->nconns[pgc->state]--;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, lane->pool->log, 0,
                   "softfactory pg conn %p lane:%ui state:%d->%d",
                   pgc, lane->kind, pgc->state, state);

    pgc->state = state;

    ngx_queue_insert_tail(&lane->conns[state], &pgc->queue);
    lane->nconns[state]++;
}


void
ngx_sf_pg_log(ngx_sf_pg_pool_t *pool, ngx_uint_t level,
    const ngx_str_t *subject, const char *what, const char *err)
{
    if ((ngx_msec_int_t) (pool->log_at - ngx_current_msec) > 0) {
        pool->log_skipped++;
        return;
    }

    pool->log_at = ngx_current_msec + 1000;

    if (pool->log_skipped) {
        ngx_log_error(level, pool->log, 0,
                      "softfactory upstream \"%V\": %ui message%s suppressed",
                      &pool->conf->name, pool->log_skipped,
                      pool->log_skipped == 1 ? "" : "s");
        pool->log_skipped = 0;
    }

    ngx_log_error(level, pool->log, 0,
                  "softfactory upstream \"%V\", %V: %s%s%s",
                  &pool->conf->name, subject, what, err && err[0] ? ": " : "",
                  err ? err : "");
}


uint64_t
ngx_sf_pg_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

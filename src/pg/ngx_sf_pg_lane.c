
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Lanes: the lists that queries and connections stand in, and what everybody
 * above does with them.
 *
 * A connection is in the list of its state, a query that is not sent in the
 * line of its endpoint, since one endpoint may have to wait while others go on,
 * or parked, when its principal has no turn left (ngx_sf_pg_turn.c).
 *
 * Nothing here sends, reads or closes: a function that finds that a connection
 * has to go says so, ngx_sf_pg_conn_leave(), and the connection closes itself
 * in an event of its own.  So no handler of a query is ever called from inside
 * of what sends, and a list that is walked loses none on the way.
 *
 * The files of the pool know only those before them:
 *
 *     result, turn, lane, head, text, server, inflow, pipeline, scram, conn,
 *     notify, pool
 */


#include "ngx_sf_pg.h"


/* times that a read is sent again when its connection was lost */

#define NGX_SF_PG_RESENDS  2


static void ngx_sf_pg_lane_timeout_handler(ngx_event_t *ev);
static void ngx_sf_pg_lane_park(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q);
static void ngx_sf_pg_line_add(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q);
static ngx_sf_pg_query_t *ngx_sf_pg_lane_first(ngx_sf_pg_lane_t *lane);
static ngx_sf_pg_query_t *ngx_sf_pg_line_first(ngx_queue_t *waiting,
    ngx_sf_pg_query_t *first);
static void ngx_sf_pg_lane_arm(ngx_sf_pg_lane_t *lane);


ngx_int_t
ngx_sf_pg_lane_init(ngx_sf_pg_lane_t *lane, ngx_sf_pg_pool_t *pool,
    ngx_uint_t kind)
{
    ngx_uint_t  i;

    lane->pool = pool;
    lane->kind = kind;

    lane->line = ngx_pcalloc(pool->memory, pool->nstatements
                                           * sizeof(ngx_sf_pg_line_t *));
    if (lane->line == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&lane->lines);

    for (i = 0; i < NGX_SF_PG_CONN_STATES; i++) {
        ngx_queue_init(&lane->conns[i]);
    }

    lane->timer.handler = ngx_sf_pg_lane_timeout_handler;
    lane->timer.data = lane;
    lane->timer.log = pool->log;
    lane->timer.cancelable = kind == NGX_SF_PG_LISTEN;

    return ngx_sf_pg_turns_init(pool->memory, lane);
}


/*
 * Lines are made as endpoints are first asked for, and stay: they hold what an
 * endpoint has taken so far.
 */

ngx_sf_pg_line_t *
ngx_sf_pg_lane_line(ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_statement_t *statement)
{
    ngx_sf_pg_line_t  *line;

    line = lane->line[statement->line];

    if (line) {
        return line;
    }

    line = ngx_pcalloc(lane->pool->memory, sizeof(ngx_sf_pg_line_t));
    if (line == NULL) {
        return NULL;
    }

    ngx_queue_init(&line->waiting);
    line->tables = statement->tables;

    lane->line[statement->line] = line;

    return line;
}


ngx_uint_t
ngx_sf_pg_lane_depth(const ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *server)
{
    return ngx_sf_pg_exclusive(lane) || ngx_sf_pg_heavy(lane)
           || server->pooler ? 1 : lane->pool->conf->depth;
}


void
ngx_sf_pg_conn_set_state(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_conn_state_e state)
{
    ngx_sf_pg_lane_t  *lane;

    lane = pgc->lane;

    ngx_queue_remove(&pgc->queue);
    lane->nconns[pgc->state]--;
    lane->nspares += pgc->spare && state == NGX_SF_PG_CONN_CLOSED;
    lane->nspares -= pgc->spare && pgc->state == NGX_SF_PG_CONN_CLOSED;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, lane->pool->log, 0,
                   "softfactory pg conn %p lane:%ui state:%d->%d",
                   pgc, lane->kind, pgc->state, state);

    pgc->state = state;

    ngx_queue_insert_tail(&lane->conns[state], &pgc->queue);
    lane->nconns[state]++;
}


/* the first reason is the one that is logged and counted */

void
ngx_sf_pg_conn_leave(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    if (pgc->leaving == NGX_SF_PG_CLOSE_NONE) {
        pgc->leaving = reason;
    }

    if (pgc->state == NGX_SF_PG_CONN_READY) {
        ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_DRAINING);
    }

    ngx_post_event(&pgc->close, &ngx_posted_events);
}


void
ngx_sf_pg_conn_drain(ngx_sf_pg_conn_t *pgc)
{
    if (pgc->count == 0) {
        ngx_sf_pg_conn_leave(pgc, NGX_SF_PG_CLOSE_RETIRED);

    } else if (pgc->state == NGX_SF_PG_CONN_READY) {
        ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_DRAINING);
    }
}


ngx_int_t
ngx_sf_pg_conn_watch(ngx_event_t *ev, ngx_int_t event, ngx_uint_t on)
{
    if (on == ev->active) {
        return NGX_OK;
    }

    return on ? ngx_add_event(ev, event, NGX_LEVEL_EVENT)
              : ngx_del_event(ev, event, 0);
}


/* at the end of the worker: their owners are not told */

void
ngx_sf_pg_lane_forget(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t       *q;
    ngx_sf_pg_line_t  *line;

    while (!ngx_queue_empty(&lane->lines)) {
        q = ngx_queue_head(&lane->lines);
        line = ngx_queue_data(q, ngx_sf_pg_line_t, queue);

        ngx_queue_remove(q);
        ngx_queue_init(&line->waiting);
        line->nwaiting = 0;
    }

    ngx_queue_init(&lane->parked);
    lane->nwaiting = 0;

    if (lane->timer.timer_set) {
        ngx_del_timer(&lane->timer);
    }
}


ngx_sf_pg_query_t *
ngx_sf_pg_lane_any(ngx_sf_pg_lane_t *lane)
{
    ngx_sf_pg_line_t  *line;

    if (ngx_queue_empty(&lane->lines)) {
        return ngx_queue_empty(&lane->parked) ? NULL
               : ngx_queue_data(ngx_queue_head(&lane->parked),
                                ngx_sf_pg_query_t, queue);
    }

    line = ngx_queue_data(ngx_queue_head(&lane->lines), ngx_sf_pg_line_t,
                          queue);

    return ngx_queue_data(ngx_queue_head(&line->waiting), ngx_sf_pg_query_t,
                          queue);
}


void
ngx_sf_pg_lane_wait(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q)
{
    if (ngx_sf_pg_turn_wait(lane, q, ngx_sf_pg_lane_share(lane))) {
        ngx_sf_pg_line_add(lane, q);

    } else {
        ngx_queue_insert_tail(&lane->parked, &q->queue);
    }

    q->waiting = 1;
    q->expires = ngx_current_msec + lane->pool->conf->wait;
    lane->nwaiting++;

    if (!lane->timer.timer_set) {
        ngx_sf_pg_lane_arm(lane);
    }

    ngx_sf_pg_pool_post_dispatch(lane->pool);
}


/*
 * In the order of submission, and what was sent already in front of what was
 * not.  The walk is short: what was sent is little, and what was not is as a
 * rule the last to come, unless it was parked.
 */

static void
ngx_sf_pg_line_add(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q)
{
    ngx_queue_t        *prev;
    ngx_sf_pg_line_t   *line;
    ngx_sf_pg_query_t  *other;

    line = q->line;

    for (prev = ngx_queue_last(&line->waiting);
         prev != ngx_queue_sentinel(&line->waiting);
         prev = ngx_queue_prev(prev))
    {
        other = ngx_queue_data(prev, ngx_sf_pg_query_t, queue);

        if ((q->sent == 0 && other->sent)
            || ((q->sent == 0) == (other->sent == 0)
                && other->submitted <= q->submitted))
        {
            break;
        }
    }

    ngx_queue_insert_after(prev, &q->queue);

    if (line->nwaiting++ == 0) {
        ngx_queue_insert_tail(&lane->lines, &line->queue);
    }
}


/* its turn stays with it, in q->turn, until it is sent or finished */

void
ngx_sf_pg_lane_take(ngx_sf_pg_query_t *q)
{
    ngx_sf_pg_lane_t  *lane;

    lane = &q->pool->lanes[q->lane];

    ngx_queue_remove(&q->queue);
    q->waiting = 0;
    lane->nwaiting--;

    if (!q->parked && --q->line->nwaiting == 0) {
        ngx_queue_remove(&q->line->queue);
    }

    ngx_sf_pg_turn_take(q);

    if (lane->nwaiting == 0 && lane->timer.timer_set) {
        ngx_del_timer(&lane->timer);
    }
}


/* it keeps its time of expiry and its place by age: it has waited already */

void
ngx_sf_pg_lane_adopt(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q,
    uint32_t principal)
{
    ngx_queue_remove(&q->queue);
    ngx_sf_pg_turn_take(q);

    q->principal = principal;

    if (ngx_sf_pg_turn_wait(lane, q, ngx_sf_pg_lane_share(lane))) {
        ngx_sf_pg_line_add(lane, q);
        ngx_sf_pg_pool_post_dispatch(lane->pool);

    } else {
        ngx_sf_pg_lane_park(lane, q);
    }
}


void
ngx_sf_pg_lane_yield(ngx_sf_pg_lane_t *lane, ngx_sf_pg_line_t *line)
{
    ngx_queue_t        *node, *next;
    ngx_sf_pg_query_t  *q, *other;

    if (ngx_queue_empty(&lane->parked)) {
        return;
    }

    for (node = ngx_queue_head(&line->waiting);
         node != ngx_queue_sentinel(&line->waiting);
         node = next)
    {
        next = ngx_queue_next(node);
        q = ngx_queue_data(node, ngx_sf_pg_query_t, queue);
        other = ngx_sf_pg_turn_yield(q);

        if (other == NULL) {
            continue;
        }

        ngx_queue_remove(&q->queue);
        line->nwaiting--;
        ngx_sf_pg_lane_park(lane, q);

        ngx_queue_remove(&other->queue);
        ngx_sf_pg_line_add(lane, other);
    }

    if (line->nwaiting == 0) {
        ngx_queue_remove(&line->queue);
    }
}


/* in the order in which they expire */

static void
ngx_sf_pg_lane_park(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q)
{
    ngx_queue_t        *next;
    ngx_sf_pg_query_t  *other;

    for (next = ngx_queue_head(&lane->parked);
         next != ngx_queue_sentinel(&lane->parked);
         next = ngx_queue_next(next))
    {
        other = ngx_queue_data(next, ngx_sf_pg_query_t, queue);

        if ((ngx_msec_int_t) (other->expires - q->expires) > 0) {
            break;
        }
    }

    ngx_queue_insert_tail(next, &q->queue);
}


/*
 * Turns of one principal: all but those of one connection, which is left to the
 * others, the largest one if servers differ.  A primary has connections to one
 * of its servers.
 */

ngx_uint_t
ngx_sf_pg_lane_share(const ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t               i, n, size, depth, largest, turns;
    const ngx_sf_pg_pool_t  *pool;

    pool = lane->pool;
    size = pool->conf->size[lane->kind];
    n = pool->conf->replicas ? pool->nservers : 1;

    if (size * n < 2) {
        return NGX_MAX_UINT32_VALUE;
    }

    largest = 0;
    turns = 0;

    for (i = 0; i < n; i++) {
        depth = ngx_sf_pg_lane_depth(lane, n == 1 && pool->active
                                           ? pool->active : &pool->servers[i]);
        turns += size * depth;
        largest = ngx_max(largest, depth);
    }

    return turns - largest;
}


void
ngx_sf_pg_lane_over(ngx_sf_pg_principal_t *turn, ngx_uint_t sent)
{
    ngx_sf_pg_lane_t   *lane;
    ngx_sf_pg_query_t  *q;

    if (turn == NULL) {
        return;
    }

    lane = ngx_sf_pg_turn_lane(turn);
    q = ngx_sf_pg_turn_over(turn, sent, ngx_sf_pg_lane_share(lane));

    if (q) {
        ngx_queue_remove(&q->queue);
        ngx_sf_pg_line_add(lane, q);
        ngx_sf_pg_pool_post_dispatch(lane->pool);
    }
}


/* the query that expires first */

static ngx_sf_pg_query_t *
ngx_sf_pg_lane_first(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t        *node;
    ngx_sf_pg_line_t   *line;
    ngx_sf_pg_query_t  *first;

    first = NULL;

    for (node = ngx_queue_head(&lane->lines);
         node != ngx_queue_sentinel(&lane->lines);
         node = ngx_queue_next(node))
    {
        line = ngx_queue_data(node, ngx_sf_pg_line_t, queue);
        first = ngx_sf_pg_line_first(&line->waiting, first);
    }

    return ngx_sf_pg_line_first(&lane->parked, first);
}


/*
 * The first of those never sent, or one of those before it, whose time began
 * anew
 */

static ngx_sf_pg_query_t *
ngx_sf_pg_line_first(ngx_queue_t *waiting, ngx_sf_pg_query_t *first)
{
    ngx_queue_t        *node;
    ngx_sf_pg_query_t  *q;

    for (node = ngx_queue_head(waiting);
         node != ngx_queue_sentinel(waiting);
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


/*
 * The timer is not moved when the first one leaves: it fires early then, and is
 * armed for the next.
 */

static void
ngx_sf_pg_lane_arm(ngx_sf_pg_lane_t *lane)
{
    ngx_msec_int_t      left;
    ngx_sf_pg_query_t  *q;

    q = ngx_sf_pg_lane_first(lane);

    if (q) {
        left = (ngx_msec_int_t) (q->expires - ngx_current_msec);
        ngx_add_timer(&lane->timer, ngx_max(left, 1));
    }
}


static void
ngx_sf_pg_lane_timeout_handler(ngx_event_t *ev)
{
    ngx_sf_pg_lane_t   *lane;
    ngx_sf_pg_query_t  *q;

    lane = ev->data;

    for ( ;; ) {
        q = ngx_sf_pg_lane_first(lane);

        if (q == NULL
            || (ngx_msec_int_t) (q->expires - ngx_current_msec) > 0)
        {
            break;
        }

        ngx_sf_pg_lane_take(q);
        ngx_sf_pg_query_finish(q, NGX_SF_PG_EXPIRED, NULL);
    }

    ngx_sf_pg_lane_arm(lane);
}


/*
 * A read that was sent and not answered goes back in front of those that were
 * never sent; it was admitted once, so the bound on the queue does not count.
 */

void
ngx_sf_pg_query_requeue(ngx_sf_pg_query_t *q)
{
    q->conn = NULL;

    ngx_sf_pg_lane_wait(&q->pool->lanes[q->lane], q);
}


/*
 * The connection of a read was lost.  It is sent once more, and once again if
 * that one is lost too: neighbours die together, but say so one by one.  One
 * that was found dead in sending is not the statement's doing.  For any other
 * reason it is sent again once: that may be.
 */

void
ngx_sf_pg_query_resend(ngx_sf_pg_query_t *q, ngx_sf_pg_close_e reason)
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

    /* the one that was to blame has been answered: this ends by itself */

    if (reason == NGX_SF_PG_CLOSE_TOO_LARGE) {
        q->alone = 1;
        ngx_sf_pg_query_requeue(q);
        return;
    }

    if (q->retries >= limit) {
        ngx_sf_pg_query_finish(q, NGX_SF_PG_UNAVAILABLE, NULL);
        return;
    }

    q->retries++;
    q->alone = 1;
    ngx_sf_pg_query_requeue(q);
}


void
ngx_sf_pg_query_over(ngx_sf_pg_query_t *q)
{
    ngx_sf_pg_principal_t  *turn;

    turn = q->turn;
    q->turn = NULL;

    ngx_sf_pg_lane_over(turn, 0);
}


void
ngx_sf_pg_query_finish(ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome,
    PGresult *res)
{
    q->conn = NULL;
    q->done = ngx_sf_pg_now();

    ngx_sf_pg_query_over(q);

    q->handler(q, outcome, res);
}


void
ngx_sf_pg_pool_post_dispatch(ngx_sf_pg_pool_t *pool)
{
    ngx_post_event(&pool->dispatch, &ngx_posted_events);
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


void
ngx_sf_pg_one_line(u_char *buf, size_t size, const char *text)
{
    u_char  *p, *last;

    p = buf;
    last = buf + size - 1;

    while (*text && p < last) {
        *p++ = (u_char) *text < ' ' ? ' ' : (u_char) *text;
        text++;
    }

    while (p > buf && p[-1] == ' ') {
        p--;
    }

    *p = '\0';
}


uint64_t
ngx_sf_pg_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

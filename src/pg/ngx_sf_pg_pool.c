
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The pool: which connection serves which query, and what a query is told
 * when none can.
 *
 * A query is in one of three places: waiting, in the line of its endpoint or
 * parked; in the FIFO of one connection; or back with its owner.  It is sent
 * in a posted event, once a turn of the event loop, so that the statements of
 * a turn can share a Sync and so that no handler is ever called from inside
 * ngx_sf_pg_submit().
 *
 * Back-pressure: what waits in a lane is bounded in number and in time.  While
 * every server of a lane without connections is backing off after more than
 * one attempt, its queries are refused at once: waiting would only turn a
 * clear error into a late one.
 *
 * The timer of the first query waiting and the timer of a connection's head
 * are not cancelable: a worker that is shutting down waits for them, and with
 * them for the requests that are parked on a result.  Nobody is parked on
 * the listen lane.
 */


#include "ngx_sf_pg.h"


/*
 * Of the queue, what an endpoint that is held up may fill, and what one
 * principal may: one in so many
 */

#define NGX_SF_PG_LINE_SHARE      4


static ngx_int_t ngx_sf_pg_pool_connections(ngx_cycle_t *cycle,
    ngx_sf_pg_lane_t *lane);
static ngx_int_t ngx_sf_pg_pool_connection(ngx_cycle_t *cycle,
    ngx_sf_pg_conn_t *pgc, ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_server_t *server);
static void ngx_sf_pg_lane_warm(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_dispatch_handler(ngx_event_t *ev);
static void ngx_sf_pg_pool_revive(ngx_sf_pg_pool_t *pool);
static void ngx_sf_pg_pool_ping(ngx_sf_pg_pool_t *pool);
static ngx_sf_pg_server_t *ngx_sf_pg_pool_ping_server(ngx_sf_pg_pool_t *pool);
static void ngx_sf_pg_lane_dispatch(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_lane_sync(ngx_sf_pg_lane_t *lane);
static ngx_uint_t ngx_sf_pg_lane_send(ngx_sf_pg_lane_t *lane);
static ngx_sf_pg_query_t *ngx_sf_pg_lane_choose(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_conn_t **pgc);
static ngx_sf_pg_query_t *ngx_sf_pg_lane_next(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_server_t *server);
static ngx_sf_pg_query_t *ngx_sf_pg_line_next(const ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_line_t *line);
static ngx_uint_t ngx_sf_pg_lane_before(const ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_query_t *q, const ngx_sf_pg_query_t *other);
static ngx_sf_pg_server_t *ngx_sf_pg_lane_needs_spare(ngx_sf_pg_lane_t *lane);
static ngx_uint_t ngx_sf_pg_lane_short(ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *server);
static void ngx_sf_pg_lane_unstick(ngx_sf_pg_lane_t *lane);
static ngx_uint_t ngx_sf_pg_lane_full(ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_line_t *line);
static ngx_uint_t ngx_sf_pg_lane_quota(ngx_sf_pg_lane_t *lane,
    uint32_t principal);
static void ngx_sf_pg_lane_grow(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_server_t *spare);
static ngx_sf_pg_conn_t *ngx_sf_pg_lane_pick(ngx_sf_pg_lane_t *lane);
static ngx_uint_t ngx_sf_pg_lane_unavailable(ngx_sf_pg_lane_t *lane);
static void ngx_sf_pg_lane_fail(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_outcome_e outcome);


/*
 * All memory is the cycle's, as the pool lives as long as its worker.  A pool
 * that only listens connects when its listener submits something; all others
 * begin with their read lane.
 */

ngx_sf_pg_pool_t *
ngx_sf_pg_pool_create(ngx_cycle_t *cycle, ngx_sf_pg_conf_t *conf,
    ngx_uint_t nstatements, ngx_sf_pg_logins_t *logins)
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
    pool->logins = logins;

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

    if (ngx_sf_pg_servers_create(cycle, pool) != NGX_OK) {
        return NULL;
    }

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        if (ngx_sf_pg_lane_init(&pool->lanes[kind], pool, kind) != NGX_OK
            || ngx_sf_pg_pool_connections(cycle, &pool->lanes[kind])
               != NGX_OK)
        {
            return NULL;
        }
    }

    ngx_sf_pg_notify_init(pool);

    if (!conf->listener) {
        ngx_sf_pg_lane_warm(&pool->lanes[NGX_SF_PG_READ]);
    }

    return pool;
}


/*
 * All connections that a lane may ever have to a server are made here, as
 * closed ones: the size of the array is the bound, and to open one allocates
 * nothing of ours.  The last ones of a lane are its spare ones, and that of a
 * ping is one as well: they are opened only in need.
 */

static ngx_int_t
ngx_sf_pg_pool_connections(ngx_cycle_t *cycle, ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t         i, n, size;
    ngx_sf_pg_conn_t  *pgc;
    ngx_sf_pg_pool_t  *pool;

    pool = lane->pool;
    size = pool->conf->size[lane->kind];

    if (size == 0) {
        return NGX_OK;
    }

    if (ngx_sf_pg_spared(lane)) {
        size += NGX_SF_PG_SPARES;
    }

    pgc = ngx_pcalloc(cycle->pool,
                      pool->nservers * size * sizeof(ngx_sf_pg_conn_t));
    if (pgc == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < pool->nservers; i++) {
        for (n = 0; n < size; n++) {
            pgc->spare = n >= pool->conf->size[lane->kind]
                         || lane->kind == NGX_SF_PG_PING;

            if (ngx_sf_pg_pool_connection(cycle, pgc++, lane,
                                          &pool->servers[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* a closed connection to one server, good for any number of attempts */

static ngx_int_t
ngx_sf_pg_pool_connection(ngx_cycle_t *cycle, ngx_sf_pg_conn_t *pgc,
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

    ngx_sf_pg_conn_init(pgc);

    pgc->state = NGX_SF_PG_CONN_CLOSED;
    ngx_queue_insert_tail(&lane->conns[pgc->state], &pgc->queue);
    lane->nconns[pgc->state]++;
    lane->nspares += pgc->spare;

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

        ngx_sf_pg_lane_forget(lane);

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


/*
 * What can be known at once is refused at once: a statement that did not fit
 * the schema a moment ago, servers that cannot be reached, a full queue, a full
 * part of a principal.  All fields of the pool's own are set here, so an owner
 * may submit the same query again.
 */

ngx_sf_pg_outcome_e
ngx_sf_pg_submit(ngx_sf_pg_pool_t *pool, ngx_sf_pg_query_t *q)
{
    ngx_msec_t         failed;
    ngx_sf_pg_lane_t  *lane;
    ngx_sf_pg_line_t  *line;

    lane = &pool->lanes[q->lane];
    failed = pool->failed_until[q->statement->id];

    if (failed && (ngx_msec_int_t) (failed - ngx_current_msec) > 0) {
        return NGX_SF_PG_BROKEN;
    }

    if (ngx_sf_pg_lane_unavailable(lane)) {
        return NGX_SF_PG_UNAVAILABLE;
    }

    line = ngx_sf_pg_lane_line(lane, q->statement);

    if (line == NULL || ngx_sf_pg_lane_full(lane, line)) {
        return NGX_SF_PG_BUSY;
    }

    if (q->principal && ngx_sf_pg_lane_quota(lane, q->principal)) {
        return NGX_SF_PG_QUOTA_FULL;
    }

    q->pool = pool;
    q->line = line;
    q->conn = NULL;
    q->turn = NULL;
    q->parked = 0;
    q->clashes = 0;
    q->retries = 0;
    q->moved = 0;
    q->probe = 0;
    q->alone = q->lane == NGX_SF_PG_PING;
    q->unnamed = 0;
    q->blame = q->outside;
    q->rewords = 0;
    q->sqlstate[0] = '\0';
    q->submitted = ngx_sf_pg_now();
    q->sent = 0;
    q->done = 0;
    q->server = 0;

    ngx_sf_pg_lane_wait(lane, q);

    return NGX_SF_PG_OK;
}


/*
 * What the connections can take is not waiting.  A line that waits for an old
 * head has a quarter of the queue, so that it does not take all of it.
 */

static ngx_uint_t
ngx_sf_pg_lane_full(ngx_sf_pg_lane_t *lane, const ngx_sf_pg_line_t *line)
{
    ngx_uint_t         i, limit;
    ngx_sf_pg_pool_t  *pool;

    pool = lane->pool;
    limit = pool->conf->queue;

    if (lane->nwaiting >= limit
        && lane->nwaiting >= limit + ngx_sf_pg_lane_free(lane))
    {
        return 1;
    }

    if (line->nwaiting < ngx_max(limit / NGX_SF_PG_LINE_SHARE, 1)) {
        return 0;
    }

    for (i = 0; i < pool->nservers; i++) {
        if (ngx_sf_pg_head_passes(lane, line, &pool->servers[i])
            != NGX_SF_PG_PASS_ALL)
        {
            return 1;
        }
    }

    return 0;
}


/* whether the part of the queue that one principal may fill is full */

static ngx_uint_t
ngx_sf_pg_lane_quota(ngx_sf_pg_lane_t *lane, uint32_t principal)
{
    ngx_uint_t  n, under_way, quota, share;

    n = ngx_sf_pg_turn_waiting(lane, principal, &under_way);
    quota = ngx_max(lane->pool->conf->queue / NGX_SF_PG_LINE_SHARE, 1);

    if (n < quota) {
        return 0;
    }

    /* nor is what can be sent waiting here */

    share = ngx_sf_pg_lane_share(lane);

    return n >= quota + ngx_min(share - ngx_min(under_way, share),
                                ngx_sf_pg_lane_free(lane));
}


void
ngx_sf_pg_adopt(ngx_sf_pg_query_t *q, uint32_t principal)
{
    ngx_uint_t         n, under_way;
    ngx_sf_pg_lane_t  *lane;

    if (!q->parked || q->principal == principal) {
        return;
    }

    lane = &q->pool->lanes[q->lane];
    n = ngx_sf_pg_turn_waiting(lane, principal, &under_way);

    if (principal == 0 || n + under_way < ngx_sf_pg_lane_share(lane)) {
        ngx_sf_pg_lane_adopt(lane, q, principal);
    }
}


/*
 * A query that waits leaves its list.  Of one that was sent the slot stays in
 * the FIFO without it, and its turn with the slot: the server will send the
 * result all the same.  On an exclusive lane it may stand in its Sync's slot.
 */

void
ngx_sf_pg_cancel(ngx_sf_pg_query_t *q)
{
    ngx_uint_t         i;
    ngx_sf_pg_conn_t  *pgc;
    ngx_sf_pg_slot_t  *slot;

    if (q->waiting) {
        ngx_sf_pg_lane_take(q);
    }

    ngx_sf_pg_query_over(q);

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


/*
 * Once in a turn of the event loop, however often it was posted.  pool->now is
 * the time by which heads are judged in this turn.
 */

static void
ngx_sf_pg_dispatch_handler(ngx_event_t *ev)
{
    ngx_uint_t         kind;
    ngx_sf_pg_pool_t  *pool;

    pool = ev->data;
    pool->now = ngx_sf_pg_now();

    /* the worker exits, and what is given up now makes no room for others */

    if (pool->closed[NGX_SF_PG_CLOSE_EXIT]) {
        return;
    }

    ngx_sf_pg_pool_ping(pool);

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        if (kind != NGX_SF_PG_PING) {
            ngx_sf_pg_lane_dispatch(&pool->lanes[kind]);
        }
    }

    ngx_sf_pg_pool_revive(pool);
}


/*
 * A read lane that has lost all its connections makes one without being asked,
 * and again when a server may be tried again: so every worker knows by itself
 * whether its database is there.
 */

static void
ngx_sf_pg_pool_revive(ngx_sf_pg_pool_t *pool)
{
    ngx_sf_pg_lane_t  *lane;

    lane = &pool->lanes[NGX_SF_PG_READ];

    if (!pool->conf->listener && !ngx_exiting
        && lane->nconns[NGX_SF_PG_CONN_READY] == 0
        && lane->nconns[NGX_SF_PG_CONN_DRAINING] == 0)
    {
        ngx_sf_pg_lane_grow(lane, NULL);
    }
}


/*
 * A ping waits behind nobody: it goes first, under a Sync of its own, and when
 * all connections of the read lane are held up it has one for itself.  While
 * there are none it waits for the first, as all do.
 */

static void
ngx_sf_pg_pool_ping(ngx_sf_pg_pool_t *pool)
{
    ngx_sf_pg_lane_t  *lane, *read;

    lane = &pool->lanes[NGX_SF_PG_PING];
    read = &pool->lanes[NGX_SF_PG_READ];

    while (ngx_sf_pg_lane_send(lane)) { /* void */ }

    if (lane->nwaiting && (ngx_exiting || read->nconns[NGX_SF_PG_CONN_READY]
                           || read->nconns[NGX_SF_PG_CONN_DRAINING]))
    {
        ngx_sf_pg_lane_grow(lane, ngx_sf_pg_pool_ping_server(pool));
    }

    if (lane->nwaiting && ngx_sf_pg_lane_unavailable(lane)) {
        ngx_sf_pg_lane_fail(lane, NGX_SF_PG_UNAVAILABLE);
    }
}


/* to which its own connection may be opened, NULL: to none */

static ngx_sf_pg_server_t *
ngx_sf_pg_pool_ping_server(ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t  i;

    if (pool->conf->primary) {
        return pool->active;
    }

    for (i = 0; i < pool->nservers; i++) {
        if (ngx_sf_pg_server_has_spare(&pool->servers[i],
                                       &pool->lanes[NGX_SF_PG_PING]))
        {
            return &pool->servers[i];
        }
    }

    return NULL;
}


/*
 * Send what may go, one at a time; end the units that are open; then see what
 * is left.  Queries that stand in a line have found no room: one more
 * connection is opened, a regular one if there is any.  If there is no server
 * left they are refused, and if all connections are held up, one is given up.
 * Those that are parked wait for a turn of their principal, for which a
 * connection more would not help.
 */

static void
ngx_sf_pg_lane_dispatch(ngx_sf_pg_lane_t *lane)
{
    ngx_sf_pg_server_t  *spare;

    if (lane->nwaiting == 0) {
        return;
    }

    spare = ngx_sf_pg_lane_needs_spare(lane);

    while (ngx_sf_pg_lane_send(lane)) { /* void */ }

    ngx_sf_pg_lane_sync(lane);

    /* in a heavy lane when something could be sent by it, and not before */

    if (spare && ngx_sf_pg_heavy(lane)
        && ngx_sf_pg_lane_next(lane, spare) == NULL)
    {
        spare = NULL;
    }

    if (!ngx_queue_empty(&lane->lines) || spare) {
        ngx_sf_pg_lane_grow(lane, spare);
    }

    if (lane->nwaiting == 0) {
        return;
    }

    if (ngx_sf_pg_lane_unavailable(lane)) {
        ngx_sf_pg_lane_fail(lane, NGX_SF_PG_UNAVAILABLE);

    } else if (!ngx_queue_empty(&lane->lines)) {
        ngx_sf_pg_lane_unstick(lane);
    }
}


/*
 * Closes one of those that are held up, if all to a server are and none more
 * can be opened.  Replicas apart: a healthy one does not make another go on.
 */

static void
ngx_sf_pg_lane_unstick(ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t           i;
    ngx_sf_pg_conn_t    *pgc;
    ngx_sf_pg_server_t  *server;

    if (lane->nconns[NGX_SF_PG_CONN_CONNECTING]
        || (ngx_msec_int_t) (lane->stuck_at - ngx_current_msec) > 0)
    {
        return;
    }

    for (i = 0; i < lane->pool->nservers; i++) {
        server = &lane->pool->servers[i];
        pgc = ngx_sf_pg_head_stuck(lane, server);

        if (pgc && !ngx_sf_pg_server_has_spare(server, lane)) {
            lane->stuck_at = ngx_current_msec + NGX_SF_PG_STUCK_INTERVAL;
            ngx_sf_pg_conn_leave(pgc, NGX_SF_PG_CLOSE_STUCK);
            return;
        }
    }
}


/*
 * Sends one query; 0: there is none that may go, or nowhere to send it.  A
 * connection that was the best one and is at work already says that the lane
 * could use one more, which is opened meanwhile.
 */

static ngx_uint_t
ngx_sf_pg_lane_send(ngx_sf_pg_lane_t *lane)
{
    ngx_sf_pg_conn_t    *pgc;
    ngx_sf_pg_query_t   *q;
    ngx_sf_pg_close_e    reason;

    q = lane->nwaiting ? ngx_sf_pg_lane_choose(lane, &pgc) : NULL;

    if (q == NULL) {
        return 0;
    }

    ngx_sf_pg_lane_take(q);

    if (q->sent == 0 && q->wanted && !q->wanted(q)) {
        return 1;
    }

    if (pgc->outstanding) {
        ngx_sf_pg_lane_grow(pgc->lane, NULL);
    }

    q->sent = ngx_sf_pg_now();

    reason = ngx_sf_pg_pipeline_send(pgc, q);

    if (reason == NGX_SF_PG_CLOSE_NONE) {
        return 1;
    }

    ngx_sf_pg_conn_leave(pgc, reason);

    /* one that is in the FIFO goes with the connection */

    if (q->conn == NULL) {
        ngx_sf_pg_query_resend(q, reason);
    }

    return 1;
}


/* what may not go to one server may go to another: each is tried once */

static ngx_sf_pg_query_t *
ngx_sf_pg_lane_choose(ngx_sf_pg_lane_t *lane, ngx_sf_pg_conn_t **pgc)
{
    ngx_uint_t          i;
    ngx_sf_pg_query_t  *q;

    for (i = 0; i < lane->pool->nservers; i++) {
        lane->pool->servers[i].tried = 0;
    }

    while ((*pgc = ngx_sf_pg_lane_pick(lane)) != NULL) {
        q = ngx_sf_pg_lane_next(lane, (*pgc)->server);

        if (q) {
            return q;
        }

        (*pgc)->server->tried = 1;
    }

    return NULL;
}


/*
 * Of those that may be sent to a server the oldest; in a heavy lane, of the
 * principal that has the fewest under way.
 */

static ngx_sf_pg_query_t *
ngx_sf_pg_lane_next(ngx_sf_pg_lane_t *lane, ngx_sf_pg_server_t *server)
{
    ngx_queue_t        *node, *prev, *next;
    ngx_sf_pg_line_t   *line;
    ngx_sf_pg_pass_e    pass;
    ngx_sf_pg_query_t  *q, *oldest;

    oldest = NULL;

    /* a line may go, or come behind the others, when turns are yielded */

    for (node = ngx_queue_head(&lane->lines);
         node != ngx_queue_sentinel(&lane->lines);
         node = next)
    {
        next = ngx_queue_next(node);
        line = ngx_queue_data(node, ngx_sf_pg_line_t, queue);
        q = ngx_sf_pg_line_next(lane, line);

        if (oldest && !ngx_sf_pg_lane_before(lane, q, oldest)) {
            continue;
        }

        pass = ngx_sf_pg_head_passes(lane, line, server);

        if (pass == NGX_SF_PG_PASS_NONE) {
            prev = ngx_queue_prev(node);
            ngx_sf_pg_lane_yield(lane, line);
            next = ngx_queue_next(line->nwaiting ? node : prev);
            continue;
        }

        q->probe = pass == NGX_SF_PG_PASS_PROBE;
        oldest = q;
    }

    return oldest;
}


/*
 * The one of a line whose turn it is.  The walk is short: it ends at the first
 * one whose principal has nothing under way, and there are no more principals
 * that have than there are connections.
 */

static ngx_sf_pg_query_t *
ngx_sf_pg_line_next(const ngx_sf_pg_lane_t *lane, ngx_sf_pg_line_t *line)
{
    ngx_queue_t        *node;
    ngx_sf_pg_query_t  *q, *best;

    node = ngx_queue_head(&line->waiting);
    best = ngx_queue_data(node, ngx_sf_pg_query_t, queue);

    while (ngx_sf_pg_heavy(lane) && best->sent == 0
           && ngx_sf_pg_turn_under_way(best))
    {
        node = ngx_queue_next(node);

        if (node == ngx_queue_sentinel(&line->waiting)) {
            break;
        }

        q = ngx_queue_data(node, ngx_sf_pg_query_t, queue);

        if (ngx_sf_pg_turn_under_way(q) < ngx_sf_pg_turn_under_way(best)) {
            best = q;
        }
    }

    return best;
}


/* in a heavy lane by what their principals have under way, else by age */

static ngx_uint_t
ngx_sf_pg_lane_before(const ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_query_t *q, const ngx_sf_pg_query_t *other)
{
    ngx_uint_t  n, m;

    if (ngx_sf_pg_heavy(lane)) {
        n = ngx_sf_pg_turn_under_way(q);
        m = ngx_sf_pg_turn_under_way(other);

        if (n != m) {
            return n < m;
        }
    }

    return q->submitted < other->submitted;
}


/* a server to which too few connections are left, NULL: there is none */

static ngx_sf_pg_server_t *
ngx_sf_pg_lane_needs_spare(ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t         i;
    ngx_sf_pg_pool_t  *pool;

    if (!ngx_sf_pg_spared(lane)) {
        return NULL;
    }

    pool = lane->pool;

    for (i = 0; i < pool->nservers; i++) {
        if (ngx_sf_pg_lane_short(lane, &pool->servers[i])) {
            return &pool->servers[i];
        }
    }

    return NULL;
}


/*
 * Whether too few connections are left whose heads are not held up.  That is
 * said when one is, not when some are not open yet.
 */

static ngx_uint_t
ngx_sf_pg_lane_short(ngx_sf_pg_lane_t *lane, const ngx_sf_pg_server_t *server)
{
    ngx_uint_t         ready, held;
    ngx_queue_t       *q, *head;
    ngx_sf_pg_conn_t  *pgc;

    ready = 0;
    held = 0;
    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->server == server) {
            ready++;
            held += ngx_sf_pg_head_held(pgc);
        }
    }

    return held && ready - held < ngx_min(lane->pool->conf->size[lane->kind],
                                          NGX_SF_PG_SPARES);
}


/*
 * Ends the units that this turn has begun: one Sync for all statements that a
 * connection was given in it.  A connection that goes is moved to another list.
 */

static void
ngx_sf_pg_lane_sync(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t        *q, *next, *head;
    ngx_sf_pg_conn_t   *pgc;
    ngx_sf_pg_close_e   reason;

    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = next) {
        next = ngx_queue_next(q);
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->unit == 0) {
            continue;
        }

        reason = ngx_sf_pg_pipeline_sync(pgc);

        if (reason != NGX_SF_PG_CLOSE_NONE) {
            ngx_sf_pg_conn_leave(pgc, reason);
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

    server = ngx_sf_pg_server_pick(lane, NULL);
    head = &lane->conns[NGX_SF_PG_CONN_CLOSED];
    n = lane->nconns[NGX_SF_PG_CONN_CLOSED];

    for (q = ngx_queue_head(head); n && q != head; q = next, n--) {
        next = ngx_queue_next(q);
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (lane->pool->conf->primary && pgc->server != server) {
            continue;
        }

        if (!pgc->server->conf->down && !pgc->server->backoff && !pgc->spare) {
            ngx_sf_pg_conn_open(pgc);
        }
    }
}


/*
 * One connect at a time in a lane: a failing server is not stormed.  spare: the
 * server to which a spare connection is opened when there is no other to open,
 * or NULL.
 */

static void
ngx_sf_pg_lane_grow(ngx_sf_pg_lane_t *lane, ngx_sf_pg_server_t *spare)
{
    ngx_queue_t         *q, *head;
    ngx_sf_pg_conn_t    *pgc, *found;
    ngx_sf_pg_server_t  *server;

    if (lane->nconns[NGX_SF_PG_CONN_CONNECTING]
        || lane->nconns[NGX_SF_PG_CONN_CLOSED]
           == (spare ? 0 : lane->nspares))
    {
        return;
    }

    server = ngx_sf_pg_server_pick(lane, spare);

    if (server == NULL) {
        return;
    }

    found = NULL;
    head = &lane->conns[NGX_SF_PG_CONN_CLOSED];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->server != server || (pgc->spare && server != spare)) {
            continue;
        }

        if (found == NULL || found->spare > pgc->spare) {
            found = pgc;
        }
    }

    if (found) {
        ngx_sf_pg_conn_open(found);
    }
}


/*
 * The ready connection with the fewest statements in flight, if any has room; a
 * spare one when no other has.  This walk is also where a connection whose
 * lifetime is over is noticed; it is not taken out of a unit that is open.  A
 * ping goes by the read lane's connections while they have room.
 */

static ngx_sf_pg_conn_t *
ngx_sf_pg_lane_pick(ngx_sf_pg_lane_t *lane)
{
    ngx_queue_t         *q, *next, *head;
    ngx_sf_pg_conn_t    *pgc, *best;
    ngx_sf_pg_server_t  *server;

    if (lane->kind == NGX_SF_PG_PING) {
        best = ngx_sf_pg_lane_pick(&lane->pool->lanes[NGX_SF_PG_READ]);

        if (best) {
            return best;
        }
    }

    best = NULL;
    server = ngx_sf_pg_server_balance(lane);
    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = next) {
        next = ngx_queue_next(q);
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->expires
            && (ngx_msec_int_t) (pgc->expires - ngx_current_msec) <= 0
            && pgc->unit == 0)
        {
            ngx_sf_pg_conn_drain(pgc);
            continue;
        }

        if (pgc->server != server || ngx_sf_pg_conn_room(pgc) == 0) {
            continue;
        }

        if (best == NULL || pgc->spare < best->spare
            || (pgc->spare == best->spare
                && pgc->outstanding < best->outstanding))
        {
            best = pgc;
        }
    }

    return best;
}


/*
 * No connection in any state, no server that may be tried, and none that backs
 * off for the first time: waiting would only delay the error.
 */

static ngx_uint_t
ngx_sf_pg_lane_unavailable(ngx_sf_pg_lane_t *lane)
{
    if (lane->kind == NGX_SF_PG_PING
        && !ngx_sf_pg_lane_unavailable(&lane->pool->lanes[NGX_SF_PG_READ]))
    {
        return 0;
    }

    return lane->nconns[NGX_SF_PG_CONN_READY] == 0
           && lane->nconns[NGX_SF_PG_CONN_CONNECTING] == 0
           && lane->nconns[NGX_SF_PG_CONN_DRAINING] == 0
           && ngx_sf_pg_server_pick(lane, NULL) == NULL
           && !ngx_sf_pg_servers_hopeful(lane->pool);
}


ngx_uint_t
ngx_sf_pg_down(ngx_sf_pg_pool_t *pool)
{
    if (!ngx_sf_pg_is_down(pool)) {
        return 0;
    }

    ngx_sf_pg_lane_grow(&pool->lanes[NGX_SF_PG_READ], NULL);

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

    while ((q = ngx_sf_pg_lane_any(lane)) != NULL) {
        ngx_sf_pg_lane_take(q);
        ngx_sf_pg_query_finish(q, outcome, NULL);
    }
}

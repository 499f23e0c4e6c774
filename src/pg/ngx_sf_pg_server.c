
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Servers: where a pool may connect to, as one worker sees it.
 *
 * The servers of a primary upstream are an ordered list; the first that can
 * be reached and is not in recovery is active, and stays so while it has
 * connections: two servers are never read side by side.  The servers of a
 * replicas upstream share the reads by weighted round robin.
 *
 * A failed connect makes a server back off, doubling up to its fail_timeout,
 * with jitter so that many workers do not knock at once.  A server that turns
 * out to be in recovery is treated the same way.
 *
 * libpq gets one numeric address for each attempt: it would resolve names by
 * a blocking call.  Names are resolved by nginx at the start and again by its
 * resolver, if there is one; a failed resolution keeps the old addresses.
 */


#include "ngx_sf_pg.h"


#define NGX_SF_PG_BACKOFF_MIN       100         /* ms */
#define NGX_SF_PG_RESOLVE_INTERVAL  30000       /* ms */


static ngx_uint_t ngx_sf_pg_server_usable(ngx_sf_pg_server_t *server);
static ngx_uint_t ngx_sf_pg_server_opens(const ngx_sf_pg_server_t *server,
    ngx_sf_pg_lane_t *lane, ngx_uint_t spare);
static ngx_uint_t ngx_sf_pg_server_connections(ngx_sf_pg_server_t *server);
static ngx_uint_t ngx_sf_pg_server_in_lane(ngx_sf_pg_server_t *server,
    ngx_sf_pg_lane_t *lane, ngx_sf_pg_conn_state_e state, ngx_uint_t room);
static ngx_sf_pg_server_t *ngx_sf_pg_server_elect(ngx_sf_pg_pool_t *pool);
static void ngx_sf_pg_server_retry_handler(ngx_event_t *ev);
static void ngx_sf_pg_server_resolve_handler(ngx_event_t *ev);
static void ngx_sf_pg_server_resolved(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_sf_pg_server_set_addrs(ngx_sf_pg_server_t *server,
    ngx_str_t *addrs, ngx_uint_t n);
static void ngx_sf_pg_server_drain(ngx_sf_pg_server_t *server,
    ngx_uint_t all);
static ngx_uint_t ngx_sf_pg_server_has(ngx_sf_pg_server_t *server,
    ngx_str_t *addr);


/*
 * A server begins with the addresses that its name had when the configuration
 * was read; only names are resolved again, and only where there is a resolver.
 * Both timers are cancelable: a worker that shuts down waits for neither.
 */

ngx_int_t
ngx_sf_pg_servers_create(ngx_cycle_t *cycle, ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t                i;
    ngx_sf_pg_server_t       *server;
    ngx_sf_pg_server_conf_t  *conf;

    conf = pool->conf->servers.elts;
    pool->nservers = pool->conf->servers.nelts;

    pool->servers = ngx_pcalloc(cycle->pool,
                                pool->nservers * sizeof(ngx_sf_pg_server_t));
    if (pool->servers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < pool->nservers; i++) {
        server = &pool->servers[i];

        server->conf = &conf[i];
        server->pool = pool;

        if (ngx_sf_pg_server_set_addrs(server, conf[i].addrs.elts,
                                       conf[i].addrs.nelts)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        server->retry.handler = ngx_sf_pg_server_retry_handler;
        server->retry.data = server;
        server->retry.log = cycle->log;
        server->retry.cancelable = 1;

        if (!conf[i].resolve || pool->conf->resolver == NULL) {
            continue;
        }

        server->resolve.handler = ngx_sf_pg_server_resolve_handler;
        server->resolve.data = server;
        server->resolve.log = cycle->log;
        server->resolve.cancelable = 1;

        ngx_add_timer(&server->resolve, NGX_SF_PG_RESOLVE_INTERVAL);
    }

    return NGX_OK;
}


void
ngx_sf_pg_servers_destroy(ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_sf_pg_server_t  *server;

    for (i = 0; i < pool->nservers; i++) {
        server = &pool->servers[i];

        if (server->resolve.timer_set) {
            ngx_del_timer(&server->resolve);
        }

        if (server->retry.timer_set) {
            ngx_del_timer(&server->retry);
        }

        if (server->addrs) {
            ngx_free(server->addrs);
            server->addrs = NULL;
        }
    }
}


/*
 * A primary connects to the active server alone.  Replicas: to the usable one
 * with the fewest connections, in all lanes, of those that have one to open in
 * this lane; so a server that comes back is filled first.
 */

ngx_sf_pg_server_t *
ngx_sf_pg_server_pick(ngx_sf_pg_lane_t *lane, ngx_sf_pg_server_t *spare)
{
    ngx_uint_t           i, n, least, main;
    ngx_sf_pg_pool_t    *pool;
    ngx_sf_pg_server_t  *server, *best;

    pool = lane->pool;

    if (pool->conf->primary) {
        server = ngx_sf_pg_server_elect(pool);

        return server && ngx_sf_pg_server_usable(server) ? server : NULL;
    }

    if (spare && ngx_sf_pg_server_has_spare(spare, lane)) {
        return spare;
    }

    best = NULL;
    least = NGX_MAX_INT_T_VALUE;
    main = 0;

    for (i = 0; i < pool->nservers; i++) {
        server = &pool->servers[i];

        if (!ngx_sf_pg_server_usable(server)) {
            continue;
        }

        /* a backup server, which stands last, only when no other is usable */

        if (server->conf->backup && main) {
            break;
        }

        main |= !server->conf->backup;

        if (!ngx_sf_pg_server_opens(server, lane, 0)) {
            continue;
        }

        n = ngx_sf_pg_server_connections(server);

        if (n < least) {
            least = n;
            best = server;
        }
    }

    return best;
}


ngx_uint_t
ngx_sf_pg_server_has_spare(ngx_sf_pg_server_t *server, ngx_sf_pg_lane_t *lane)
{
    return ngx_sf_pg_server_usable(server)
           && ngx_sf_pg_server_opens(server, lane, 1);
}


/* whether it has a connection to open, which may be a spare one */

static ngx_uint_t
ngx_sf_pg_server_opens(const ngx_sf_pg_server_t *server,
    ngx_sf_pg_lane_t *lane, ngx_uint_t spare)
{
    ngx_queue_t       *q, *head;
    ngx_sf_pg_conn_t  *pgc;

    head = &lane->conns[NGX_SF_PG_CONN_CLOSED];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->server == server && (spare || !pgc->spare)) {
            return 1;
        }
    }

    return 0;
}


/*
 * The active server stays while any of its connections lives, even when it
 * refuses new ones; else the first usable one in order becomes active.
 */

static ngx_sf_pg_server_t *
ngx_sf_pg_server_elect(ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_sf_pg_server_t  *server;

    server = pool->active;

    if (server && ngx_sf_pg_server_connections(server)) {
        return server;
    }

    for (i = 0; i < pool->nservers; i++) {
        server = &pool->servers[i];

        if (!ngx_sf_pg_server_usable(server)) {
            continue;
        }

        pool->active = server;

        return server;
    }

    return NULL;
}


/*
 * Smooth weighted round robin over the servers that can take one more, as
 * nginx's own: each gains its weight, the one with the most is chosen and pays
 * what all have gained.  A backup server is chosen only where no other has a
 * ready connection.
 */

ngx_sf_pg_server_t *
ngx_sf_pg_server_balance(ngx_sf_pg_lane_t *lane)
{
    ngx_int_t            total;
    ngx_uint_t           i, main;
    ngx_sf_pg_pool_t    *pool;
    ngx_sf_pg_server_t  *server, *best;

    pool = lane->pool;

    if (pool->conf->primary) {
        return pool->active && !pool->active->tried ? pool->active : NULL;
    }

    best = NULL;
    total = 0;
    main = 0;

    for (i = 0; i < pool->nservers; i++) {
        server = &pool->servers[i];

        if (server->conf->backup && main) {
            break;
        }

        main |= ngx_sf_pg_server_in_lane(server, lane, NGX_SF_PG_CONN_READY, 0)
                && !server->conf->backup;

        if (server->tried
            || !ngx_sf_pg_server_in_lane(server, lane, NGX_SF_PG_CONN_READY,
                                         1))
        {
            continue;
        }

        server->current_weight += server->conf->weight;
        total += server->conf->weight;

        if (best == NULL || server->current_weight > best->current_weight) {
            best = server;
        }
    }

    if (best) {
        best->current_weight -= total;
    }

    return best;
}


/*
 * The end of a backoff is noticed here, by the clock; the timer only wakes what
 * waits for it.
 */

static ngx_uint_t
ngx_sf_pg_server_usable(ngx_sf_pg_server_t *server)
{
    if (server->conf->down) {
        return 0;
    }

    if (server->backoff
        && (ngx_msec_int_t) (server->retry_at - ngx_current_msec) <= 0)
    {
        server->backoff = 0;
    }

    return !server->backoff;
}


/* in all lanes, those that are being made too, but not draining ones */

static ngx_uint_t
ngx_sf_pg_server_connections(ngx_sf_pg_server_t *server)
{
    ngx_uint_t  kind, n;

    n = 0;

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        n += ngx_sf_pg_server_in_lane(server, &server->pool->lanes[kind],
                                      NGX_SF_PG_CONN_CONNECTING, 0)
             + ngx_sf_pg_server_in_lane(server, &server->pool->lanes[kind],
                                        NGX_SF_PG_CONN_READY, 0);
    }

    return n;
}


/* connections of a lane to a server, in a state; room: that can take more */

static ngx_uint_t
ngx_sf_pg_server_in_lane(ngx_sf_pg_server_t *server, ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_conn_state_e state, ngx_uint_t room)
{
    ngx_uint_t         n;
    ngx_queue_t       *q, *head;
    ngx_sf_pg_conn_t  *pgc;

    n = 0;
    head = &lane->conns[state];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->server == server && (!room || ngx_sf_pg_conn_room(pgc))) {
            n++;
        }
    }

    return n;
}


/*
 * The next attempt goes to the next address of the name.  Fewer failures in a
 * row than max_fails have no other effect; from there on the server backs off,
 * for 100 ms first, twice as long each time, and at most for its fail_timeout.
 * A max_fails of 0, by which nginx would never give up a server, counts as 1.
 */

void
ngx_sf_pg_server_failed(ngx_sf_pg_server_t *server)
{
    ngx_msec_t  delay, limit;

    server->next++;

    /* attempts that were under way together fail as one */

    if (!ngx_sf_pg_server_usable(server)) {
        return;
    }

    server->fails++;

    if (server->fails < server->conf->max_fails) {
        return;
    }

    limit = ngx_max(server->conf->fail_timeout, NGX_SF_PG_BACKOFF_MIN);
    delay = limit;

    if (server->fails - server->conf->max_fails < 16) {
        delay = (ngx_msec_t) NGX_SF_PG_BACKOFF_MIN
                << (server->fails - ngx_max(server->conf->max_fails, 1));
        delay = ngx_min(delay, limit);
    }

    /* between 3/4 of it and all of it */

    delay -= ngx_random() % (delay / 4 + 1);

    server->backoff = 1;
    server->retry_at = ngx_current_msec + delay;

    ngx_add_timer(&server->retry, delay);
}


/* what waits may be the only cause for the next attempt */

static void
ngx_sf_pg_server_retry_handler(ngx_event_t *ev)
{
    ngx_sf_pg_server_t  *server;

    server = ev->data;

    ngx_sf_pg_pool_post_dispatch(server->pool);
}


/*
 * One that has not failed counts as well: the question is whether all have
 * failed more often than max_fails, so that waiting is of no use.
 */

ngx_uint_t
ngx_sf_pg_servers_hopeful(ngx_sf_pg_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_sf_pg_server_t  *server;

    for (i = 0; i < pool->nservers; i++) {
        server = &pool->servers[i];

        if (!server->conf->down
            && server->fails <= ngx_max(server->conf->max_fails, 1))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_sf_pg_server_connected(ngx_sf_pg_server_t *server)
{
    ngx_sf_pg_pool_t  *pool;

    pool = server->pool;

    if (pool->conf->primary && pool->connected && pool->connected != server) {
        ngx_log_error(NGX_LOG_WARN, pool->log, 0,
                      "softfactory upstream \"%V\": the primary is now %V",
                      &pool->conf->name, &server->conf->name);

    } else if (server->fails) {
        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "softfactory upstream \"%V\": connected to %V again",
                      &pool->conf->name, &server->conf->name);
    }

    pool->connected = server;

    server->fails = 0;
    server->backoff = 0;
}


void
ngx_sf_pg_server_pooler(ngx_sf_pg_server_t *server)
{
    server->pooler = 1;

    ngx_log_error(NGX_LOG_NOTICE, server->pool->log, 0,
                  "softfactory upstream \"%V\": %V is a pooler, its "
                  "connections are given one statement at a time",
                  &server->pool->conf->name, &server->conf->name);
}


ngx_uint_t
ngx_sf_pg_server_is_standby(const ngx_sf_pg_conn_t *pgc)
{
    const char  *value;

    value = PQparameterStatus(pgc->pg, "in_hot_standby");

    return value && ngx_strcmp(value, "on") == 0;
}


/* what is under way ends by itself; it is tried again after a backoff */

void
ngx_sf_pg_server_demoted(ngx_sf_pg_server_t *server)
{
    ngx_sf_pg_server_failed(server);
    ngx_sf_pg_server_drain(server, 1);
}


ngx_str_t
ngx_sf_pg_server_address(ngx_sf_pg_server_t *server)
{
    ngx_str_t  empty = ngx_null_string;

    if (server->naddrs == 0) {
        return empty;
    }

    return server->addrs[server->next % server->naddrs];
}


const ngx_str_t *
ngx_sf_pg_server_name(ngx_sf_pg_pool_t *pool, uint32_t hash)
{
    ngx_uint_t  i;

    static const ngx_str_t  unknown = ngx_string("?");

    for (i = 0; i < pool->nservers; i++) {
        if (pool->servers[i].conf->hash == hash) {
            return &pool->servers[i].conf->name;
        }
    }

    return &unknown;
}


/*
 * nginx's resolver keeps what it has resolved for as long as the name server
 * says (or its valid=), so most of these calls cost no question.  The handler
 * may be called before ngx_resolve_name() returns.
 */

static void
ngx_sf_pg_server_resolve_handler(ngx_event_t *ev)
{
    ngx_sf_pg_conf_t    *conf;
    ngx_resolver_ctx_t  *ctx;
    ngx_sf_pg_server_t  *server;

    server = ev->data;
    conf = server->pool->conf;

    ngx_add_timer(ev, NGX_SF_PG_RESOLVE_INTERVAL);

    ctx = ngx_resolve_start(conf->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        return;
    }

    ctx->name = server->conf->host;
    ctx->handler = ngx_sf_pg_server_resolved;
    ctx->data = server;
    ctx->timeout = conf->resolver_timeout;
    ctx->cancelable = 1;

    (void) ngx_resolve_name(ctx);
}


/* libpq takes an address as text, without its port */

static void
ngx_sf_pg_server_resolved(ngx_resolver_ctx_t *ctx)
{
    u_char               text[NGX_SOCKADDR_STRLEN], *p;
    ngx_str_t           *addrs;
    ngx_uint_t           i;
    ngx_sf_pg_server_t  *server;

    server = ctx->data;

    if (ctx->state || ctx->naddrs == 0) {
        ngx_sf_pg_log(server->pool, NGX_LOG_WARN, &server->conf->name,
                      "name not resolved, the old addresses stay",
                      ngx_resolver_strerror(ctx->state));
        ngx_resolve_name_done(ctx);
        return;
    }

    addrs = ngx_alloc(ctx->naddrs * (sizeof(ngx_str_t) + NGX_SOCKADDR_STRLEN),
                      server->pool->log);

    if (addrs) {
        p = (u_char *) &addrs[ctx->naddrs];

        for (i = 0; i < ctx->naddrs; i++) {
            addrs[i].len = ngx_sock_ntop(ctx->addrs[i].sockaddr,
                                         ctx->addrs[i].socklen, text,
                                         NGX_SOCKADDR_STRLEN, 0);
            addrs[i].data = p;
            p = ngx_cpymem(p, text, addrs[i].len);
        }

        if (ngx_sf_pg_server_set_addrs(server, addrs, ctx->naddrs)
            == NGX_OK)
        {
            ngx_sf_pg_server_drain(server, 0);
        }

        ngx_free(addrs);
    }

    ngx_resolve_name_done(ctx);
}


/* one block holds the strings and, each ended by NUL, their text */

static ngx_int_t
ngx_sf_pg_server_set_addrs(ngx_sf_pg_server_t *server, ngx_str_t *addrs,
    ngx_uint_t n)
{
    size_t       size;
    u_char      *p;
    ngx_str_t   *copy;
    ngx_uint_t   i;

    size = n * sizeof(ngx_str_t);

    for (i = 0; i < n; i++) {
        size += addrs[i].len + 1;
    }

    copy = ngx_alloc(ngx_max(size, 1), server->pool->log);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) &copy[n];

    for (i = 0; i < n; i++) {
        copy[i].data = p;
        copy[i].len = addrs[i].len;
        p = ngx_cpymem(p, addrs[i].data, addrs[i].len);
        *p++ = '\0';
    }

    if (server->addrs) {
        ngx_free(server->addrs);
    }

    server->addrs = copy;
    server->naddrs = n;

    return NGX_OK;
}


/* drains the connections to addresses that have left the name, or all */

static void
ngx_sf_pg_server_drain(ngx_sf_pg_server_t *server, ngx_uint_t all)
{
    ngx_uint_t         kind;
    ngx_queue_t       *q, *next, *head;
    ngx_sf_pg_conn_t  *pgc;

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        head = &server->pool->lanes[kind].conns[NGX_SF_PG_CONN_READY];

        for (q = ngx_queue_head(head); q != head; q = next) {
            next = ngx_queue_next(q);
            pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

            if (pgc->server == server
                && (all || !ngx_sf_pg_server_has(server, &pgc->addr)))
            {
                ngx_sf_pg_conn_drain(pgc);
            }
        }
    }
}


static ngx_uint_t
ngx_sf_pg_server_has(ngx_sf_pg_server_t *server, ngx_str_t *addr)
{
    ngx_uint_t  i;

    for (i = 0; i < server->naddrs; i++) {
        if (server->addrs[i].len == addr->len
            && ngx_memcmp(server->addrs[i].data, addr->data, addr->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}

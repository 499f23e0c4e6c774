
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The steps of a request.  This is the only file that knows their order:
 *
 *   route -> token -> params -> principal: ask, take -> gate -> ask -> take
 *   -> send
 *
 * A step does one thing and says how to go on:
 *
 *   NGX_OK          the next one is in ctx->step
 *   NGX_AGAIN       parked; ngx_sf_request_landed() will go on with ctx->step
 *   NGX_DONE        the fallback responds
 *   a status        the response is an error, its text in ctx->error
 *
 * Route, token and params need no I/O.  An error in the parameters is found
 * there but told only after the gate, so that an inactive user learns nothing
 * else.  A parked request holds a reference of its own on the request; its
 * places in flights are given up by a cleanup, whatever ends the request.
 */


#include "ngx_sf_http.h"


/* what limit_req and limit_conn leave in a request that they have refused */

#define NGX_SF_REQUEST_REQ_REJECTED   3
#define NGX_SF_REQUEST_CONN_REJECTED  2

/* a client that leaves after that long was not answered: microseconds */

#define NGX_SF_REQUEST_PATIENCE  5000000


#define ngx_sf_request_unanswered(status)                                     \
    ((status) >= NGX_HTTP_BAD_GATEWAY && (status) <= NGX_HTTP_GATEWAY_TIME_OUT)


typedef ngx_int_t (*ngx_sf_step_pt)(ngx_sf_ctx_t *ctx);


static ngx_int_t ngx_sf_request_run(ngx_sf_ctx_t *ctx);
static void ngx_sf_request_landed(ngx_sf_wait_t *wait);
static void ngx_sf_request_cleanup(void *data);
static ngx_int_t ngx_sf_request_route(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_remember(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_fallback(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_read(ngx_sf_ctx_t *ctx);
static void ngx_sf_request_no_row(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_params(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_ask(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_take(ngx_sf_ctx_t *ctx);
static ngx_sf_cache_status_e ngx_sf_request_cache_status(
    const ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_take_own(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_take_ping(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_take_response(ngx_sf_ctx_t *ctx);
static void ngx_sf_request_count(ngx_sf_ctx_t *ctx);
static void ngx_sf_request_end(ngx_sf_ctx_t *ctx);
static void ngx_sf_request_limited(ngx_http_request_t *r);
static void ngx_sf_request_passed(ngx_sf_ctx_t *ctx);
static ngx_uint_t ngx_sf_request_status(const ngx_http_request_t *r);
static ngx_uint_t ngx_sf_request_method(const ngx_http_request_t *r);


static const ngx_sf_step_pt  ngx_sf_request_steps[] = {
    /* ROUTE */           ngx_sf_request_route,
    /* TOKEN */           ngx_sf_auth_token,
    /* PARAMS */          ngx_sf_request_params,
    /* PRINCIPAL_ASK */   ngx_sf_auth_principal_ask,
    /* PRINCIPAL_TAKE */  ngx_sf_auth_principal_take,
    /* GATE */            ngx_sf_auth_gate,
    /* ASK */             ngx_sf_request_ask,
    /* TAKE */            ngx_sf_request_take
};


ngx_int_t
ngx_sf_handler(ngx_http_request_t *r)
{
    ngx_sf_ctx_t        *ctx;
    ngx_http_cleanup_t  *cln;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);

    cln = ngx_http_cleanup_add(r, sizeof(ngx_sf_ctx_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = cln->data;
    cln->handler = ngx_sf_request_cleanup;

    ngx_memzero(ctx, sizeof(ngx_sf_ctx_t));

    ctx->request = r;
    ctx->worker = smcf->worker;
    ctx->slcf = ngx_http_get_module_loc_conf(r, ngx_http_softfactory_module);
    ctx->status = NGX_HTTP_OK;
    ctx->started = ngx_sf_pg_now();
    ctx->with_body = r->headers_in.content_length_n > 0
                     || r->headers_in.chunked;
    ctx->wait.handler = ngx_sf_request_landed;
    ctx->wait.data = ctx;

    ngx_http_set_ctx(r, ctx, ngx_http_softfactory_module);

    return ngx_sf_request_run(ctx);
}


/* returns what a content handler returns */

static ngx_int_t
ngx_sf_request_run(ngx_sf_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    for ( ;; ) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "softfactory step:%d", ctx->step);

        if (ctx->step == NGX_SF_STEP_SEND) {
            ctx->done = 1;
            return ngx_sf_response_send(ctx);
        }

        rc = ngx_sf_request_steps[ctx->step](ctx);

        if (rc != NGX_OK) {
            break;
        }
    }

    if (rc == NGX_DONE) {
        return rc;
    }

    if (rc == NGX_AGAIN) {
        if (!ctx->parked) {
            ctx->parked = 1;
            r->main->count++;
            r->read_event_handler = ngx_http_test_reading;
        }

        return NGX_DONE;
    }

    ctx->done = 1;

    if (ctx->error.data == NULL && ctx->body.data == NULL) {
        (void) ngx_sf_response_outcome(ctx, NGX_SF_PG_FAILED);
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->status = rc;

    return ngx_sf_response_send(ctx);
}


/* a flight that this request waits for has landed */

static void
ngx_sf_request_landed(ngx_sf_wait_t *wait)
{
    ngx_int_t            rc;
    ngx_sf_ctx_t        *ctx;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    ctx = wait->data;
    r = ctx->request;
    c = r->connection;

    ngx_sf_flight_times(wait->flight, &ctx->queue_time, &ctx->db_time,
                        ctx->sqlstate);

    rc = ngx_sf_request_run(ctx);

    if (ctx->done) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


/* a body may be sent from the flight or the zone until here */

static void
ngx_sf_request_cleanup(void *data)
{
    ngx_sf_ctx_t  *ctx = data;

    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_sf_flight_leave(&ctx->wait);

    if (ctx->copy) {
        ngx_sf_body_free(ctx->worker, ctx->copy);
        ctx->copy = NULL;
    }

    if (!ctx->done && r->headers_out.status == 0) {
        r->headers_out.status = NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    /*
     * The log phase comes after this.  It does not find a request that a
     * filter or error_page has answered instead, nor one that was passed on.
     */

    if (ngx_http_get_module_ctx(r, ngx_http_softfactory_module) != ctx
        && r == r->main && !ctx->passed)
    {
        ngx_sf_request_end(ctx);
    }

    if (ctx->passed && r == r->main) {
        ngx_sf_request_passed(ctx);
    }

    if (ctx->parsed && (ctx->ended || r != r->main)) {
        ngx_sf_parsed_release(ctx->parsed);
        ctx->parsed = NULL;
    }
}


ngx_int_t
ngx_sf_request_log(ngx_http_request_t *r)
{
    ngx_sf_ctx_t  *ctx;

    if (r->limit_req_status == NGX_SF_REQUEST_REQ_REJECTED
        || r->limit_conn_status == NGX_SF_REQUEST_CONN_REJECTED)
    {
        ngx_sf_request_limited(r);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_softfactory_module);

    if (ctx == NULL) {
        return NGX_OK;
    }

    ngx_sf_request_end(ctx);

    if (ctx->parsed && r == r->main) {
        ngx_sf_parsed_release(ctx->parsed);
        ctx->parsed = NULL;
    }

    return NGX_OK;
}


/* of any location of this nginx: where it would have gone is not known here */

static void
ngx_sf_request_limited(ngx_http_request_t *r)
{
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);

    if (r == r->main && smcf->metrics->slot) {
        smcf->metrics->slot->counts.limited++;
    }
}


/*
 * Counts a request.  What a client takes to send a body that nobody reads is
 * no part of its time: nginx comes to an end only after that.
 */

static void
ngx_sf_request_end(ngx_sf_ctx_t *ctx)
{
    uint64_t             us;
    ngx_uint_t           cache;
    ngx_http_request_t  *r;

    r = ctx->request;
    ctx->ended = 1;

    us = ngx_sf_pg_now() - ctx->started;

    if (ctx->answered && ctx->with_body) {
        us = ctx->answered;
    }

    /* where there is no statement, there is nothing to be spared */

    cache = ctx->endpoint && ctx->endpoint->response
            && ctx->endpoint->row->document == NGX_SF_DOCUMENT_NONE
            ? ctx->cache_status : NGX_SF_CACHE_NONE;

    ngx_sf_metrics_request(ctx->worker->smcf->metrics,
                           ngx_sf_route_index(ctx),
                           ngx_sf_request_method(r),
                           ngx_sf_request_status(r), cache, us);

    if (ctx->slcf->slow && us >= (uint64_t) ctx->slcf->slow * 1000) {
        ngx_sf_slow_request(ctx, us);
    }
}


/*
 * Counts a request that was passed on.  Whether somebody has answered is told
 * by the last try, as error_page may have made anything of it: 502, 503 and
 * 504 say that nobody has, be it this nginx or another server on the way.  A
 * server that hangs shows by clients that give up.
 */

static void
ngx_sf_request_passed(ngx_sf_ctx_t *ctx)
{
    uint64_t             us;
    ngx_uint_t           status, failed;
    ngx_http_request_t  *r;

    r = ctx->request;

    us = ngx_sf_pg_now() - ctx->started;
    status = ngx_sf_request_status(r);

    if (status == 0) {
        status = NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    if (status == NGX_HTTP_CLIENT_CLOSED_REQUEST) {
        failed = us >= NGX_SF_REQUEST_PATIENCE;

    } else if (r->upstream && r->upstream->state
               && r->upstream->state->status)
    {
        failed = ngx_sf_request_unanswered(r->upstream->state->status);

    } else {
        failed = ngx_sf_request_unanswered(status);
    }

    ngx_sf_metrics_fallback(ctx->worker->smcf->metrics, status, failed, us);
}


static ngx_uint_t
ngx_sf_request_status(const ngx_http_request_t *r)
{
    return r->err_status ? r->err_status : r->headers_out.status;
}


/* index of ngx_sf_metrics_methods */

static ngx_uint_t
ngx_sf_request_method(const ngx_http_request_t *r)
{
    switch (r->method) {

    case NGX_HTTP_GET:
        return 0;

    case NGX_HTTP_HEAD:
        return 1;

    case NGX_HTTP_OPTIONS:
        return 2;

    default:
        return 3;
    }
}


static ngx_int_t
ngx_sf_request_route(ngx_sf_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_uint_t           method;
    ngx_http_request_t  *r;

    r = ctx->request;
    method = r->method == NGX_HTTP_HEAD ? NGX_HTTP_GET : r->method;

    if (method == NGX_HTTP_GET) {
        ctx->parsed = ngx_sf_parsed_find(ctx->worker->parsed_table, ctx->slcf,
                                         &r->uri, &r->args);
        if (ctx->parsed) {
            return ngx_sf_request_remember(ctx);
        }
    }

    rc = ngx_sf_route_find(ctx->worker->smcf->routes, ctx->slcf->enabled,
                           &r->uri, method, &ctx->match);

    ctx->endpoint = ctx->match.endpoint;

    if (ctx->endpoint == NULL && ctx->slcf->fallback.len
        && (rc != NGX_OK || (ctx->match.app & method)))
    {
        return ngx_sf_request_fallback(ctx);
    }

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        return ngx_sf_response_error(ctx, NGX_HTTP_BAD_REQUEST,
                                    "Invalid request body");
    }

    if (rc != NGX_OK) {
        return ngx_sf_response_error(ctx, NGX_HTTP_NOT_FOUND, "Not found");
    }

    if (method == NGX_HTTP_OPTIONS) {
        ctx->preflight = 1;
        ctx->step = NGX_SF_STEP_SEND;
        return NGX_OK;
    }

    if (ctx->endpoint == NULL) {
        return ngx_sf_response_error(ctx, NGX_HTTP_NOT_ALLOWED,
                                    "Method not allowed");
    }

    ctx->step = NGX_SF_STEP_TOKEN;

    return NGX_OK;
}


/* the same bytes have been read before */

static ngx_int_t
ngx_sf_request_remember(ngx_sf_ctx_t *ctx)
{
    ctx->match = ctx->parsed->match;
    ctx->endpoint = ctx->match.endpoint;
    ctx->params = ctx->parsed->params;
    ctx->step = NGX_SF_STEP_TOKEN;

    if (ngx_http_discard_request_body(ctx->request) != NGX_OK) {
        return ngx_sf_response_error(ctx, NGX_HTTP_BAD_REQUEST,
                                    "Invalid request body");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_request_fallback(ngx_sf_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_sf_fence_prepare(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->done = 1;
    ctx->passed = 1;

    if (ctx->slcf->fallback.data[0] == '@') {
        (void) ngx_http_named_location(r, &ctx->slcf->fallback);

    } else {
        (void) ngx_http_internal_redirect(r, &ctx->slcf->fallback, &r->args);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_sf_request_params(ngx_sf_ctx_t *ctx)
{
    if (ctx->parsed == NULL && ngx_sf_request_read(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->fence = ngx_sf_fence_time(ctx);
    ctx->step = NGX_SF_STEP_PRINCIPAL_ASK;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_request_read(ngx_sf_ctx_t *ctx)
{
    ngx_sf_param_env_t   env;
    ngx_http_request_t  *r;

    r = ctx->request;

    env.sql_like = ctx->worker->smcf->sql_like;
    env.max_page_size = ctx->slcf->max_page_size;
    env.min_search = ctx->slcf->min_search;
    env.now = ngx_time();

    if (ngx_sf_params_read(r->pool, ctx->endpoint->row->params,
                           ctx->match.path, &r->args, &env, &ctx->params)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->params.no_row && ctx->params.status == 0) {
        ngx_sf_request_no_row(ctx);
    }

    ngx_sf_parsed_keep(ctx->worker->parsed_table, ctx);

    return NGX_OK;
}


/* an id that no row can have: the database need not be asked */

static void
ngx_sf_request_no_row(ngx_sf_ctx_t *ctx)
{
    const ngx_sf_row_t  *row;

    row = ctx->endpoint->row;

    ctx->params.status = row->missing ? row->missing_status
                                      : NGX_HTTP_NOT_FOUND;
    ctx->params.error.data = (u_char *) (row->missing ? row->missing
                                                      : "Not found");
    ctx->params.error.len = ngx_strlen(ctx->params.error.data);
}


static ngx_int_t
ngx_sf_request_ask(ngx_sf_ctx_t *ctx)
{
    ngx_int_t        rc;
    ngx_sf_lookup_t  lookup;

    ctx->step = NGX_SF_STEP_TAKE;

    if (ctx->endpoint->response == NULL) {
        return NGX_OK;
    }

    lookup.resource = ctx->endpoint->response;
    lookup.slcf = ctx->slcf;
    lookup.params = &ctx->params;
    lookup.key = ctx->parsed ? &ctx->parsed->key : NULL;
    lookup.user = ctx->principal ? ctx->principal->id : 0;
    lookup.bypass = ctx->fence != 0;
    lookup.fenced = ctx->fence != 0;
    lookup.fence = ctx->fence;

    if (ngx_sf_auth_charge(ctx, &lookup) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->slcf->bypass
        && ngx_http_test_predicates(ctx->request, ctx->slcf->bypass)
           != NGX_OK)
    {
        lookup.bypass = 1;
    }

    rc = ngx_sf_flight_ask(ctx->worker, &ctx->wait, &lookup);

    ctx->cache_time = ngx_sf_pg_now() - ctx->started - ctx->auth_time;

    return rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
}


/* takes what is there now, or why it is not */

static ngx_int_t
ngx_sf_request_take(ngx_sf_ctx_t *ctx)
{
    ctx->step = NGX_SF_STEP_SEND;
    ctx->cache_status = ngx_sf_request_cache_status(ctx);

    if (ctx->endpoint->response == NULL) {
        return ngx_sf_request_take_own(ctx);
    }

    if (ctx->endpoint->row->document) {
        return ngx_sf_request_take_ping(ctx);
    }

    return ngx_sf_request_take_response(ctx);
}


/*
 * What the cache did for a response, as X-Cache, the metrics and the zone's
 * own counters say it.  An old response may come from a flight whose statement
 * has failed, and a current one goes to a principal that is old itself: both
 * are STALE.  A request that ends before it comes here has NONE.
 */

static ngx_sf_cache_status_e
ngx_sf_request_cache_status(const ngx_sf_ctx_t *ctx)
{
    ngx_sf_cache_status_e  status;

    if (ctx->slcf->zone == NULL) {
        return NGX_SF_CACHE_NONE;
    }

    if (ctx->endpoint->response == NULL) {
        return NGX_SF_CACHE_HIT;
    }

    if (ctx->endpoint->row->document) {
        return NGX_SF_CACHE_BYPASS;
    }

    status = ctx->wait.found.status;

    if (ctx->wait.flight
        && ctx->wait.flight->found.status == NGX_SF_CACHE_STALE)
    {
        return NGX_SF_CACHE_STALE;
    }

    return status == NGX_SF_CACHE_HIT && ctx->graced ? NGX_SF_CACHE_STALE
                                                     : status;
}


/* what needs no statement */

static ngx_int_t
ngx_sf_request_take_own(ngx_sf_ctx_t *ctx)
{
    if (ngx_sf_resource_render_json(ctx->request->pool, ctx->endpoint,
                                    ctx->endpoint->empty, &ctx->params, NULL,
                                    0, &ctx->body)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->slcf->zone == NULL) {
        return NGX_OK;
    }

    ctx->etag.data = ngx_pnalloc(ctx->request->pool, NGX_SF_ETAG_LEN);
    if (ctx->etag.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->etag.len = NGX_SF_ETAG_LEN;
    ngx_sf_resource_etag(&ctx->body, ctx->etag.data);

    return NGX_OK;
}


static ngx_int_t
ngx_sf_request_take_ping(ngx_sf_ctx_t *ctx)
{
    ngx_uint_t  up;

    up = ngx_sf_flight_outcome(&ctx->wait) == NGX_SF_PG_OK;

    if (ngx_sf_health_body(ctx, up, &ctx->body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return up ? NGX_OK : NGX_HTTP_SERVICE_UNAVAILABLE;
}


/* what the zone has, or what a flight has brought */

static ngx_int_t
ngx_sf_request_take_response(ngx_sf_ctx_t *ctx)
{
    ngx_sf_entry_t       *entry;
    ngx_sf_flight_t      *flight;
    ngx_sf_pg_outcome_e   outcome;

    ngx_sf_request_count(ctx);

    outcome = ngx_sf_flight_outcome(&ctx->wait);
    flight = ctx->wait.flight;

    if (flight && flight->found.status == NGX_SF_CACHE_STALE) {
        ctx->created = flight->created;
    }

    if (outcome != NGX_SF_PG_OK) {
        return ngx_sf_response_outcome(ctx, outcome);
    }

    entry = ngx_sf_flight_entry(&ctx->wait);

    if (entry) {
        ctx->body.data = entry->data;
        ctx->body.len = entry->len;
        ctx->etag.data = entry->etag;
        ctx->etag.len = NGX_SF_ETAG_LEN;
        ctx->created = entry->created;

        return NGX_OK;
    }

    if (flight->status != NGX_HTTP_OK) {
        ctx->error = flight->error;
        return flight->status;
    }

    ctx->body = flight->body;

    if (flight->tagged) {
        ctx->etag.data = flight->etag;
        ctx->etag.len = NGX_SF_ETAG_LEN;
    }

    return NGX_OK;
}


static void
ngx_sf_request_count(ngx_sf_ctx_t *ctx)
{
    ngx_sf_cache_stats_t  *stats;

    if (ctx->cache_status == NGX_SF_CACHE_NONE) {
        return;
    }

    stats = &ctx->slcf->zone->slot->stats;

    switch (ctx->cache_status) {

    case NGX_SF_CACHE_HIT:
        stats->hits++;
        break;

    case NGX_SF_CACHE_EXPIRED:
        stats->expired++;
        break;

    case NGX_SF_CACHE_UPDATING:
    case NGX_SF_CACHE_STALE:
        stats->stale++;
        break;

    case NGX_SF_CACHE_BYPASS:
        stats->bypassed++;
        break;

    default: /* NGX_SF_CACHE_MISS */
        stats->misses++;
    }
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The steps of a request.  This is the only file that knows their order:
 *
 *   route -> token -> params -> principal -> gate -> fetch -> render -> send
 *
 * A step does one thing and says how to go on:
 *
 *   NGX_OK          the next one is in ctx->step
 *   NGX_AGAIN       parked; ngx_sf_request_landed() will go on with ctx->step
 *   NGX_DONE        somebody else answers (the fallback)
 *   a status        the answer is an error, its text in ctx->error
 *
 * Route, token and params need no I/O.  An error in the parameters is found
 * there but told only after the gate, so that an inactive user learns nothing
 * else.  A parked request holds a reference of its own on the request; its
 * places in flights are given up by a cleanup, whatever ends the request.
 */


#include "ngx_sf.h"


#define NGX_SF_REQUEST_TOTAL_KEPT  1000   /* ms */

/* an offset walks all rows before it: from here on that is heavy */

#define NGX_SF_REQUEST_DEEP        2000   /* rows */


typedef ngx_int_t (*ngx_sf_step_pt)(ngx_sf_ctx_t *ctx);


static ngx_int_t ngx_sf_request_run(ngx_sf_ctx_t *ctx);
static void ngx_sf_request_landed(ngx_sf_wait_t *wait);
static void ngx_sf_request_cleanup(void *data);
static void ngx_sf_request_leave(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_route(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_fallback(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_params(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_fetch(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_render(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_check_rows(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_request_document(ngx_sf_ctx_t *ctx);


static const ngx_sf_step_pt  ngx_sf_request_steps[] = {
    /* ROUTE */      ngx_sf_request_route,
    /* TOKEN */      ngx_sf_auth_token,
    /* PARAMS */     ngx_sf_request_params,
    /* PRINCIPAL */  ngx_sf_auth_principal,
    /* GATE */       ngx_sf_auth_gate,
    /* FETCH */      ngx_sf_request_fetch,
    /* RENDER */     ngx_sf_request_render
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
    ctx->landed = ngx_sf_request_landed;

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
    ngx_sf_request_leave(ctx);

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
    ngx_sf_pg_query_t   *q;

    ctx = wait->ctx;
    r = ctx->request;
    c = r->connection;
    q = &wait->flight->query;

    if (q->sent) {
        ctx->queue_time += q->sent - q->submitted;
        ctx->db_time += q->done - q->sent;
    }

    if (--ctx->pending) {
        return;
    }

    rc = ngx_sf_request_run(ctx);

    if (ctx->done) {
        ngx_http_finalize_request(r, rc);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_sf_request_cleanup(void *data)
{
    ngx_sf_ctx_t  *ctx = data;

    ngx_sf_request_leave(ctx);

    if (!ctx->done && ctx->request->headers_out.status == 0) {
        ctx->request->headers_out.status = NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }
}


static void
ngx_sf_request_leave(ngx_sf_ctx_t *ctx)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_WAITS; i++) {
        ngx_sf_flight_leave(&ctx->waits[i]);
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


static ngx_int_t
ngx_sf_request_fallback(ngx_sf_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;
    ctx->done = 1;

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
    ngx_sf_param_env_t   env;
    ngx_http_request_t  *r;

    r = ctx->request;

    env.sql_like = ctx->worker->smcf->sql_like;
    env.max_page_size = ctx->slcf->max_page_size;
    env.now = ngx_time();

    if (ngx_sf_params_read(r->pool, ctx->endpoint->row->params,
                           &ctx->match.id, &r->args, &env, &ctx->params)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->params.no_row && ctx->params.status == 0) {
        ctx->params.status = NGX_HTTP_NOT_FOUND;
        ctx->params.error.data = (u_char *) ctx->endpoint->row->missing;
        ctx->params.error.len = ngx_strlen(ctx->params.error.data);
    }

    ctx->step = NGX_SF_STEP_PRINCIPAL;

    return NGX_OK;
}


/* the page and its total are asked for side by side */

static ngx_int_t
ngx_sf_request_fetch(ngx_sf_ctx_t *ctx)
{
    ngx_uint_t             lane;
    ngx_sf_endpoint_t     *endpoint;
    ngx_sf_bind_source_t   source;

    endpoint = ctx->endpoint;

    ctx->step = NGX_SF_STEP_RENDER;

    source.values = ctx->params.values;
    source.user = ctx->principal ? ctx->principal->id : 0;
    source.page_size = ctx->params.page_size;
    source.offset = ctx->params.offset;
    source.first = ctx->params.first;

    lane = ctx->params.offset < NGX_SF_REQUEST_DEEP ? endpoint->row->lane
                                                    : NGX_SF_PG_HEAVY;

    if (endpoint->statement
        && ngx_sf_flight_ask(ctx, NGX_SF_WAIT_ROWS, endpoint->statement,
                             &source, lane, 0)
           == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (endpoint->total
        && ngx_sf_flight_ask(ctx, NGX_SF_WAIT_TOTAL, endpoint->total,
                             &source, NGX_SF_PG_HEAVY,
                             NGX_SF_REQUEST_TOTAL_KEPT)
           == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ctx->pending ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
ngx_sf_request_render(ngx_sf_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_str_t             *echoes, total;
    ngx_uint_t             i;
    ngx_sf_endpoint_t     *endpoint;
    ngx_sf_json_source_t   source;

    endpoint = ctx->endpoint;

    ctx->step = NGX_SF_STEP_SEND;

    if (endpoint->row->body) {
        ctx->body.data = (u_char *) endpoint->row->body;
        ctx->body.len = ngx_strlen(endpoint->row->body);
        return NGX_OK;
    }

    if (endpoint->row->document) {
        return ngx_sf_request_document(ctx);
    }

    ngx_memzero(&source, sizeof(ngx_sf_json_source_t));

    if (endpoint->statement) {
        rc = ngx_sf_request_check_rows(ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        source.res = ctx->waits[NGX_SF_WAIT_ROWS].flight->res;
    }

    if (endpoint->total) {
        total = ngx_sf_pg_result_cell(
                         ctx->waits[NGX_SF_WAIT_TOTAL].flight->res, 0, 0);

        if (ngx_sf_number_parse_int(&total, &source.total) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        source.page = ctx->params.page;
        source.pages = (source.total + ctx->params.page_size - 1)
                       / ctx->params.page_size;
    }

    echoes = ngx_palloc(ctx->request->pool,
                        endpoint->nparams * sizeof(ngx_str_t) + 1);
    if (echoes == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < endpoint->nparams; i++) {
        echoes[i] = ctx->params.values[i].echo;
    }

    source.params = echoes;

    rc = ngx_sf_json_render(ctx->request->pool, endpoint->program, &source,
                            &ctx->body);

    ngx_sf_request_leave(ctx);

    return rc == NGX_OK ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* the errors that only the rows can tell */

static ngx_int_t
ngx_sf_request_check_rows(ngx_sf_ctx_t *ctx)
{
    ngx_uint_t           i, rows;
    ngx_sf_flight_t     *flight;
    const PGresult      *res;
    const ngx_sf_row_t  *row;

    for (i = NGX_SF_WAIT_ROWS; i <= NGX_SF_WAIT_TOTAL; i++) {
        flight = ctx->waits[i].flight;

        if (flight && flight->outcome != NGX_SF_PG_OK) {
            return ngx_sf_response_outcome(ctx, flight->outcome);
        }
    }

    row = ctx->endpoint->row;
    res = ctx->waits[NGX_SF_WAIT_ROWS].flight->res;
    rows = ngx_sf_pg_result_rows(res);

    if (rows == 0 && row->missing) {
        return ngx_sf_response_error(ctx, NGX_HTTP_NOT_FOUND, row->missing);
    }

    if (rows == 0 && ctx->params.page > 1) {
        return ngx_sf_response_error(ctx, NGX_HTTP_NOT_FOUND, "Not found");
    }

    if (row->forbidden && !ngx_sf_pg_result_bool(res, 0, 0)) {
        return ngx_sf_response_error(ctx, NGX_HTTP_FORBIDDEN, row->forbidden);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_request_document(ngx_sf_ctx_t *ctx)
{
    ngx_uint_t  up;

    up = ctx->waits[NGX_SF_WAIT_ROWS].flight->outcome == NGX_SF_PG_OK;

    if (ctx->endpoint->row->document(ctx, up, &ctx->body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return up ? NGX_OK : NGX_HTTP_SERVICE_UNAVAILABLE;
}

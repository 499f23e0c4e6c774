
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Status and bytes -> HTTP.  Only this file calls header and body filters, so
 * length, type, HEAD, 304 and the headers of an error are right in one place.
 *
 * A body is one buffer that was written once.  One that a flight has made is
 * sent as it is.  One that lies in the zone is sent from where it lies and
 * stays pinned until the request ends, which is at once but for slow clients.
 * When those hold too much of the zone already a small one is copied, and a
 * large one is sent from a copy that it shares with others, see ngx_sf_body.c.
 *
 * nginx's own filter answers If-None-Match, by the ETag that is set here.
 * If-Match is answered here, since its 412 would be a page.
 */


#include "ngx_sf_http.h"


#define NGX_SF_RESPONSE_PINNED   4        /* a part of the zone, as 1/n */


typedef struct {
    ngx_uint_t                  method;
    const char                 *names;
} ngx_sf_method_t;


typedef struct {
    ngx_uint_t                  status;
    const char                 *error;
} ngx_sf_response_t;


static void ngx_sf_response_keep(ngx_sf_ctx_t *ctx);
static void ngx_sf_response_withdraw(ngx_sf_ctx_t *ctx, ngx_uint_t status,
    const char *error);
static ngx_int_t ngx_sf_response_options(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_response_headers(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_response_challenge(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_response_cache_headers(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_response_etag(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_response_times(ngx_sf_ctx_t *ctx);
static u_char *ngx_sf_response_timing(u_char *p, const ngx_str_t *name,
    uint64_t us);
static u_char *ngx_sf_response_number(u_char *p, uint64_t n);
static ngx_int_t ngx_sf_response_body(ngx_sf_ctx_t *ctx);
static ngx_uint_t ngx_sf_response_by_reference(ngx_sf_zone_t *zone,
    size_t len);
static ngx_int_t ngx_sf_response_allow(ngx_sf_ctx_t *ctx);


/* in alphabetical order, as the original lists them */

static const ngx_sf_method_t  ngx_sf_response_methods[] = {
    { NGX_HTTP_DELETE,  "DELETE, " },
    { NGX_HTTP_GET,     "GET, HEAD, " },
    { NGX_HTTP_OPTIONS, "OPTIONS, " },
    { NGX_HTTP_POST,    "POST, " },
    { NGX_HTTP_PUT,     "PUT, " },
    { 0, NULL }
};


static const ngx_str_t  ngx_sf_response_statuses[] = {
    /* NONE */      ngx_null_string,
    /* HIT */       ngx_string("HIT"),
    /* MISS */      ngx_string("MISS"),
    /* EXPIRED */   ngx_string("EXPIRED"),
    /* UPDATING */  ngx_string("UPDATING"),
    /* STALE */     ngx_string("STALE"),
    /* BYPASS */    ngx_string("BYPASS")
};


/* what a request is told when a flight brings no result */

static const ngx_sf_response_t  ngx_sf_response_outcomes[] = {
    /* OK */          { NGX_HTTP_INTERNAL_SERVER_ERROR,
                        "Internal server error" },
    /* BUSY */        { NGX_HTTP_SERVICE_UNAVAILABLE, "Server is busy" },
    /* EXPIRED */     { NGX_HTTP_GATEWAY_TIME_OUT, "Database timeout" },
    /* UNAVAILABLE */ { NGX_HTTP_SERVICE_UNAVAILABLE,
                        "Database unavailable" },
    /* TIMEOUT */     { NGX_HTTP_GATEWAY_TIME_OUT, "Database timeout" },
    /* DENIED */      { NGX_HTTP_FORBIDDEN, "Forbidden" },
    /* INVALID */     { NGX_HTTP_BAD_REQUEST, "Invalid parameter" },
    /* CONFLICT */    { NGX_HTTP_SERVICE_UNAVAILABLE, "Conflict, try again" },
    /* BROKEN */      { NGX_HTTP_SERVICE_UNAVAILABLE,
                        "Endpoint unavailable" },
    /* FAILED */      { NGX_HTTP_INTERNAL_SERVER_ERROR,
                        "Internal server error" },
    /* QUOTA_FULL */  { NGX_HTTP_TOO_MANY_REQUESTS, "Too many requests" }
};


ngx_int_t
ngx_sf_response_send(ngx_sf_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->answered = ctx->parked ? ngx_sf_pg_now() - ctx->started
                                : ctx->auth_time + ctx->cache_time;

    if (ctx->preflight) {
        return ngx_sf_response_options(ctx);
    }

    if (ctx->status == NGX_HTTP_OK) {
        ngx_sf_gzip_choose(ctx);

        if (!ngx_sf_header_matches(r, ctx->etag.len ? &ctx->etag : NULL)) {
            ngx_sf_response_withdraw(ctx, NGX_HTTP_PRECONDITION_FAILED,
                                     "Precondition failed");

        } else if (ctx->body.len > NGX_SF_BODY_SMALL) {
            ngx_sf_response_keep(ctx);
        }
    }

    if (ctx->body.data == NULL
        && ngx_sf_json_error(r->pool, &ctx->error, &ctx->body) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = ctx->status;
    r->headers_out.content_length_n = ctx->body.len;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (ngx_sf_response_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_sf_header_send(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);

    if (b == NULL || ngx_sf_response_body(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    b->pos = ctx->body.data;
    b->last = ctx->body.data + ctx->body.len;
    b->memory = 1;
    b->last_buf = r == r->main;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* a large body that cannot stay where it is; that of a flight can */

static void
ngx_sf_response_keep(ngx_sf_ctx_t *ctx)
{
    ngx_sf_pg_outcome_e  outcome;

    if (ngx_sf_flight_entry(&ctx->wait) == NULL
        || (ctx->request->method & NGX_HTTP_HEAD)
        || ngx_sf_response_by_reference(ctx->wait.zone, ctx->body.len))
    {
        return;
    }

    outcome = ngx_sf_body_copy(ctx->worker, &ctx->body, ctx->wait.principal,
                               &ctx->copy);

    if (outcome == NGX_SF_PG_OK) {
        ctx->body.data = ctx->copy->data;
        return;
    }

    ctx->retry_after = 1;
    ngx_sf_response_withdraw(ctx, ngx_sf_response_outcomes[outcome].status,
                             ngx_sf_response_outcomes[outcome].error);
}


/* there is a response, and it is not sent: an error is */

static void
ngx_sf_response_withdraw(ngx_sf_ctx_t *ctx, ngx_uint_t status,
    const char *error)
{
    ngx_table_elt_t  *h;

    h = ctx->request->headers_out.content_encoding;

    if (h) {
        h->hash = 0;
        ctx->request->headers_out.content_encoding = NULL;
    }

    ngx_sf_flight_leave(&ctx->wait);

    ngx_str_null(&ctx->body);
    ngx_str_null(&ctx->etag);
    ctx->created = 0;
    ctx->status = ngx_sf_response_error(ctx, status, error);
}


static ngx_int_t
ngx_sf_response_headers(ngx_sf_ctx_t *ctx)
{
    u_char      *p;
    ngx_str_t    value;
    ngx_uint_t   personal;

    static const ngx_str_t  control[] = { ngx_string("public, no-cache"),
                                          ngx_string("private, no-cache") };

    personal = ctx->endpoint
               && (ctx->endpoint->row->access == NGX_SF_USER
                   || (ctx->endpoint->row->access == NGX_SF_ANONYMOUS
                       && !ctx->slcf->anonymous));

    if (ngx_sf_header_add(ctx->request, "Cache-Control",
                               &control[personal])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_sf_response_cache_headers(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->status == NGX_HTTP_UNAUTHORIZED
        && ngx_sf_response_challenge(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->retry_after) {
        p = ngx_pnalloc(ctx->request->pool, NGX_INT_T_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.data = p;
        value.len = ngx_sprintf(p, "%ui", ctx->retry_after) - p;

        if (ngx_sf_header_add(ctx->request, "Retry-After", &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ctx->status == NGX_HTTP_NOT_ALLOWED
        && ngx_sf_response_allow(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_sf_cors_headers(ctx->request, ctx->slcf->cors, 0);
}


/*
 * A request without a token is told no error (RFC 6750, 3).  auth_request
 * passes on what the pointer points to.
 */

static ngx_int_t
ngx_sf_response_challenge(ngx_sf_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    static const ngx_str_t  challenge[] = {
        ngx_string("Bearer realm=\"softfactory\""),
        ngx_string("Bearer realm=\"softfactory\", error=\"invalid_token\"")
    };

    h = ngx_list_push(&ctx->request->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "WWW-Authenticate");
    h->value = challenge[ctx->refused];

    ctx->request->headers_out.www_authenticate = h;

    return NGX_OK;
}


/* X-Cache, Age, ETag and Server-Timing; an error has no more than X-Cache */

static ngx_int_t
ngx_sf_response_cache_headers(ngx_sf_ctx_t *ctx)
{
    if (ctx->slcf->zone == NULL) {
        return NGX_OK;
    }

    if (ctx->cache_status == NGX_SF_CACHE_NONE) {
        return ngx_sf_header_add(ctx->request, "X-Cache",
                           &ngx_sf_response_statuses[NGX_SF_CACHE_BYPASS]);
    }

    if (ngx_sf_header_add(ctx->request, "X-Cache",
                          &ngx_sf_response_statuses[ctx->cache_status])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->etag.len && ngx_sf_response_etag(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_sf_response_times(ctx);
}


static ngx_int_t
ngx_sf_response_etag(ngx_sf_ctx_t *ctx)
{
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    static const ngx_str_t  vary = ngx_string("Accept-Encoding");

    r = ctx->request;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value.len = ctx->etag.len;
    h->value.data = ngx_pnalloc(r->pool, ctx->etag.len);
    if (h->value.data == NULL) {
        h->hash = 0;
        return NGX_ERROR;
    }

    ngx_memcpy(h->value.data, ctx->etag.data, ctx->etag.len);

    r->headers_out.etag = h;

    return ctx->varies ? ngx_sf_header_add(r, "Vary", &vary) : NGX_OK;
}


/* Age in seconds (RFC 9111, 5.1), and Server-Timing in milliseconds */

static ngx_int_t
ngx_sf_response_times(ngx_sf_ctx_t *ctx)
{
    u_char              *p;
    ngx_str_t            value;
    ngx_msec_int_t       age;
    ngx_http_request_t  *r;

    static const ngx_str_t  auth = ngx_string("auth;dur=");
    static const ngx_str_t  cache = ngx_string("cache;dur=");
    static const ngx_str_t  queue = ngx_string("queue;dur=");
    static const ngx_str_t  db = ngx_string("db;dur=");

    r = ctx->request;

    p = ngx_pnalloc(r->pool,
                    NGX_INT64_LEN
                    + 4 * (NGX_INT64_LEN + sizeof("queue;dur=.000, ")));
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ctx->created) {
        age = (ngx_msec_int_t) (ngx_current_msec - ctx->created);
        value.data = p;
        p = ngx_sf_response_number(p, ngx_max(age, 0) / 1000);
        value.len = p - value.data;

        if (ngx_sf_header_add(r, "Age", &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    value.data = p;

    if (ctx->auth_time) {
        p = ngx_sf_response_timing(p, &auth, ctx->auth_time);
    }

    p = ngx_sf_response_timing(p, &cache, ctx->cache_time);

    if (ctx->db_time) {
        p = ngx_sf_response_timing(p, &queue, ctx->queue_time);
        p = ngx_sf_response_timing(p, &db, ctx->db_time);
    }

    value.len = p - value.data - (sizeof(", ") - 1);

    return ngx_sf_header_add(r, "Server-Timing", &value);
}


/* milliseconds with three decimals (W3C Server Timing) */

static u_char *
ngx_sf_response_timing(u_char *p, const ngx_str_t *name, uint64_t us)
{
    p = ngx_cpymem(p, name->data, name->len);
    p = ngx_sf_response_number(p, us / 1000);

    *p++ = '.';
    *p++ = '0' + us / 100 % 10;
    *p++ = '0' + us / 10 % 10;
    *p++ = '0' + us % 10;
    *p++ = ',';
    *p++ = ' ';

    return p;
}


/* most are of one digit, and ngx_sprintf() has much to look at */

static u_char *
ngx_sf_response_number(u_char *p, uint64_t n)
{
    if (n < 10) {
        *p++ = '0' + n;
        return p;
    }

    return ngx_sprintf(p, "%uL", n);
}


/* the body in memory that lasts as long as the request, or stays pinned */

static ngx_int_t
ngx_sf_response_body(ngx_sf_ctx_t *ctx)
{
    u_char  *p;

    if (ctx->copy) {
        ngx_sf_flight_leave(&ctx->wait);
        return NGX_OK;
    }

    if (ngx_sf_flight_entry(&ctx->wait) == NULL
        || ctx->body.len > NGX_SF_BODY_SMALL
        || ngx_sf_response_by_reference(ctx->wait.zone, ctx->body.len))
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool, ctx->body.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, ctx->body.data, ctx->body.len);
    ctx->body.data = p;

    ngx_sf_flight_leave(&ctx->wait);

    return NGX_OK;
}


/*
 * The body is pinned already, and so among what is counted.  For small ones it
 * is enough that this worker has no more than its share of what all may pin.
 */

static ngx_uint_t
ngx_sf_response_by_reference(ngx_sf_zone_t *zone, size_t len)
{
    size_t  most;

    most = zone->sh->size / NGX_SF_RESPONSE_PINNED;

    if (zone->slot->npins >= NGX_SF_PINS / 2) {
        return 0;
    }

    return len > NGX_SF_BODY_SMALL
           ? ngx_sf_zone_pinned(zone) <= most
           : zone->slot->pinned <= most / NGX_SF_SLOTS;
}


static ngx_int_t
ngx_sf_response_options(ngx_sf_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    if (ngx_sf_response_allow(ctx) != NGX_OK
        || ngx_sf_cors_headers(r, ctx->slcf->cors, 1) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_sf_header_send(r);
}


/* the application's methods count only where it can be reached */

static ngx_int_t
ngx_sf_response_allow(ngx_sf_ctx_t *ctx)
{
    u_char                 *p;
    ngx_str_t               value;
    ngx_uint_t              methods;
    const ngx_sf_method_t  *method;

    methods = ctx->match.native | NGX_HTTP_OPTIONS;

    if (ctx->slcf->fallback.len) {
        methods |= ctx->match.app;
    }

    p = ngx_pnalloc(ctx->request->pool,
                    sizeof("DELETE, GET, HEAD, OPTIONS, POST, PUT, "));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    for (method = ngx_sf_response_methods; method->method; method++) {
        if (methods & method->method) {
            p = ngx_sprintf(p, "%s", method->names);
        }
    }

    value.len = p - value.data - (sizeof(", ") - 1);

    return ngx_sf_header_add(ctx->request, "Allow", &value);
}


ngx_int_t
ngx_sf_response_error(ngx_sf_ctx_t *ctx, ngx_uint_t status, const char *error)
{
    ctx->error.data = (u_char *) error;
    ctx->error.len = ngx_strlen(error);

    return status;
}


ngx_int_t
ngx_sf_response_outcome(ngx_sf_ctx_t *ctx, ngx_sf_pg_outcome_e outcome)
{
    const ngx_sf_response_t  *response;

    response = &ngx_sf_response_outcomes[outcome];

    if (response->status == NGX_HTTP_SERVICE_UNAVAILABLE
        || response->status == NGX_HTTP_TOO_MANY_REQUESTS)
    {
        ctx->retry_after = outcome == NGX_SF_PG_UNAVAILABLE
                   ? ngx_sf_pg_retry_after(
                           ctx->worker->pools[ctx->slcf->primary_pg->index])
                   : 1;
    }

    return ngx_sf_response_error(ctx, response->status, response->error);
}


const ngx_str_t *
ngx_sf_response_cache_status(ngx_sf_cache_status_e status)
{
    return &ngx_sf_response_statuses[status];
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Requests that took long: a line of JSON in the error log, and a place in
 * shared memory, from where the status shows the last ones.
 *
 * Of the query string only the parameters of the endpoint are told, by the
 * values that took effect: a token or a password that somebody has put there
 * does not reach the log.  The lines are limited, the places are not.
 */


#include "ngx_sf_document.h"


#define NGX_SF_SLOW_LINE    1400          /* bytes; nginx cuts at 2048 */


static void ngx_sf_slow_fill(ngx_sf_ctx_t *ctx, uint64_t total,
    ngx_sf_slow_t *slow);
static void ngx_sf_slow_params(ngx_sf_ctx_t *ctx, u_char *buf, size_t size);
static void ngx_sf_slow_text(u_char *to, size_t size, const ngx_str_t *text);
static ngx_uint_t ngx_sf_slow_limited(ngx_sf_ctx_t *ctx, ngx_log_t *log);
static void ngx_sf_slow_log(ngx_sf_ctx_t *ctx, ngx_sf_slow_t *slow,
    ngx_log_t *log);


void
ngx_sf_slow_request(ngx_sf_ctx_t *ctx, uint64_t total)
{
    ngx_log_t          log;
    ngx_sf_slow_t     *slow;
    ngx_sf_metrics_t  *metrics;

    metrics = ctx->worker->smcf->metrics;
    slow = &metrics->slot->slow[metrics->nslow++ % NGX_SF_METRICS_SLOW];

    /* a reader that meets a serial of 0, or two that differ, looks away */

    slow->serial = 0;
    ngx_memory_barrier();

    ngx_sf_slow_fill(ctx, total, slow);

    ngx_memory_barrier();
    slow->serial = metrics->nslow;

    metrics->endpoints[ngx_sf_route_index(ctx)].counts->slow++;

    /* without the handler that adds the request line, and so what is in it */

    log = *ctx->request->connection->log;
    log.handler = NULL;

    if (!ngx_sf_slow_limited(ctx, &log)) {
        ngx_sf_slow_log(ctx, slow, &log);
    }
}


/*
 * Times are microseconds.  The request has ended: `write` is the time after the
 * response was made, which is mostly the client's.
 */

static void
ngx_sf_slow_fill(ngx_sf_ctx_t *ctx, uint64_t total, ngx_sf_slow_t *slow)
{
    ngx_str_t            id;
    ngx_time_t          *tp;
    ngx_sf_metrics_t    *metrics;
    ngx_http_request_t  *r;

    r = ctx->request;
    tp = ngx_timeofday();
    metrics = ctx->worker->smcf->metrics;

    slow->sec = tp->sec;
    slow->msec = tp->msec;
    slow->endpoint = metrics->endpoints[ngx_sf_route_index(ctx)].place;
    slow->status = r->err_status ? r->err_status : r->headers_out.status;
    slow->cache = ctx->cache_status;
    slow->user = ctx->principal ? ctx->principal->id : ctx->user;
    slow->total = total;
    slow->auth = ctx->auth_time;
    slow->queue = ctx->queue_time;
    slow->db = ctx->db_time;
    slow->write = ctx->answered ? total - ngx_min(ctx->answered, total) : 0;

    ngx_memcpy(slow->sqlstate, ctx->sqlstate, sizeof(slow->sqlstate));

    ngx_sf_trace_request_id(r, &id);
    ngx_sf_slow_text(slow->id, sizeof(slow->id), &id);

    ngx_sf_trace_id(r, &id);
    ngx_sf_slow_text(slow->trace, sizeof(slow->trace), &id);

    ngx_sf_slow_params(ctx, slow->params, sizeof(slow->params));
}


/* name=value&name=value, as they took effect; cut where there is no room */

static void
ngx_sf_slow_params(ngx_sf_ctx_t *ctx, u_char *buf, size_t size)
{
    u_char                *p, *last;
    ngx_uint_t             i;
    ngx_sf_value_t        *value;
    const ngx_sf_param_t  *param;

    p = buf;
    last = buf + size - 1;

    for (i = 0;
         ctx->endpoint && ctx->params.values && i < ctx->endpoint->nparams;
         i++)
    {
        value = &ctx->params.values[i];
        param = &ctx->endpoint->row->params[i];

        if (param->type == NGX_SF_PARAM_PAGE) {
            p = ngx_slprintf(p, last, "%s%s=%L", p == buf ? "" : "&",
                             param->name, ctx->params.page);

        } else if (param->type == NGX_SF_PARAM_PAGE_SIZE) {
            p = ngx_slprintf(p, last, "%s%s=%L", p == buf ? "" : "&",
                             param->name, ctx->params.page_size);

        } else if (value->set && value->text.len) {
            p = ngx_slprintf(p, last, "%s%s=%V", p == buf ? "" : "&",
                             param->name, &value->text);
        }
    }

    /* a character that has been cut in two is taken away whole */

    if (p == last) {
        while (p > buf && (p[-1] & 0xc0) == 0x80) {
            p--;
        }

        if (p > buf && p[-1] >= 0xc0) {
            p--;
        }
    }

    *p = '\0';
}


static void
ngx_sf_slow_text(u_char *to, size_t size, const ngx_str_t *text)
{
    size_t  len;

    len = ngx_min(text->len, size - 1);

    ngx_memcpy(to, text->data, len);
    to[len] = '\0';
}


/* the rest of a second is silent once there have been as many as allowed */

static ngx_uint_t
ngx_sf_slow_limited(ngx_sf_ctx_t *ctx, ngx_log_t *log)
{
    time_t                now;
    ngx_sf_slow_limit_t  *limit;

    limit = &ctx->worker->slow;
    now = ngx_time();

    if (ctx->slcf->slow_rate == 0) {
        return 1;
    }

    if (limit->second != now) {
        if (limit->skipped) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "softfactory: %ui slow request%s not logged",
                          limit->skipped, limit->skipped == 1 ? "" : "s");
        }

        limit->second = now;
        limit->logged = 0;
        limit->skipped = 0;
    }

    if (limit->logged >= (ngx_uint_t) ctx->slcf->slow_rate) {
        limit->skipped++;
        return 1;
    }

    limit->logged++;

    return 0;
}


/* by its own name: another endpoint may have got its place, or it has none */

static void
ngx_sf_slow_log(ngx_sf_ctx_t *ctx, ngx_sf_slow_t *slow, ngx_log_t *log)
{
    char     line[NGX_SF_SLOW_LINE];
    size_t   len;
    json_t  *doc;

    doc = ngx_sf_slow_json(slow, ngx_sf_route_name(ctx->worker->smcf,
                                                   ngx_sf_route_index(ctx)));
    len = json_dumpb(doc, line, sizeof(line), NGX_SF_DOCUMENT_FLAGS);

    if (len > sizeof(line)) {

        /* every byte of the parameters is escaped */

        json_object_del(doc, "params");
        len = json_dumpb(doc, line, sizeof(line), NGX_SF_DOCUMENT_FLAGS);
    }

    if (len && len <= sizeof(line)) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "softfactory slow request: %*s",
                      len, line);
    }

    json_decref(doc);
}


/*
 * One form for the log and for the status, so that one line of either can be
 * found in the other.
 */

json_t *
ngx_sf_slow_json(const ngx_sf_slow_t *slow, const char *endpoint)
{
    json_t           *doc;
    const ngx_str_t  *cache;

    cache = ngx_sf_response_cache_status(slow->cache);

    doc = json_pack("{s:f, s:s, s:s, s:I, s:s%, s:f, s:f, s:f, s:f, s:f,"
                    " s:s, s:s}",
                    "time", slow->sec + slow->msec / 1000.0,
                    "endpoint", endpoint,
                    "params", slow->params,
                    "status", (json_int_t) slow->status,
                    "cache", cache->len ? (char *) cache->data : "",
                    cache->len,
                    "ms", slow->total / 1000.0,
                    "auth_ms", slow->auth / 1000.0,
                    "queue_ms", slow->queue / 1000.0,
                    "db_ms", slow->db / 1000.0,
                    "write_ms", slow->write / 1000.0,
                    "sqlstate", slow->sqlstate,
                    "request_id", slow->id);

    if (slow->trace[0]) {
        json_object_set_new(doc, "trace_id",
                            json_string((char *) slow->trace));
    }

    json_object_set_new(doc, "user", slow->user ? json_integer(slow->user)
                                                : json_null());

    return doc;
}

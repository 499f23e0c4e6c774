
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Fences: users that have written through the fallback read their writes.
 *
 * The application commits, answers, and the next request of the same user may
 * be here before the notification is.  So a request with an unsafe method that
 * is passed on raises a fence for its user: until the listener has a result
 * to something that it sent after that request was over, this user's reads
 * bypass the cache.  The listener is asked to send something at once, so a
 * fence stands for a moment only.
 *
 * It is raised when the request can go upstream, which is when its body is
 * complete, or the first part of it where that is not buffered: a client that
 * takes its time to send one has no effect on anything.  For a handler that
 * does not read the body it is raised when that has answered.
 *
 * ngx_sf_mark.c has the times.
 */


#include "ngx_sf_http.h"


#define ngx_sf_fence_safe(r)                                                  \
    ((r)->main->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS))


typedef struct {
    ngx_http_request_t         *request;
    ngx_sf_zone_t              *zone;
    ngx_sf_source_t            *source;
    int64_t                     user;
    ngx_sf_write_t              write;
    ngx_uint_t                  raised;
} ngx_sf_fence_t;


static ngx_int_t ngx_sf_fence_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static void ngx_sf_fence_raise(ngx_http_request_t *r);
static void ngx_sf_fence_begin(ngx_sf_fence_t *f);
static void ngx_sf_fence_cleanup(void *data);
static ngx_uint_t ngx_sf_fence_ahead(ngx_msec_t fence,
    ngx_sf_source_t *source, ngx_sf_loc_conf_t *slcf, ngx_msec_t lease);


static ngx_http_request_body_filter_pt  ngx_sf_fence_next_body_filter;


void
ngx_sf_fence_init(void)
{
    ngx_sf_fence_next_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_sf_fence_body_filter;
}


ngx_int_t
ngx_sf_fence_prepare(ngx_sf_ctx_t *ctx)
{
    int64_t              user;
    ngx_sf_zone_t       *zone;
    ngx_sf_fence_t      *f;
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = ctx->request;
    zone = ctx->slcf->zone;

    if (zone == NULL || zone->slot == NULL
        || ctx->worker->sources[ctx->slcf->origin] == NULL
        || ngx_sf_fence_safe(r)
        || ngx_sf_auth_user(r, ctx->slcf, &user) != NGX_OK)
    {
        return NGX_OK;
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_sf_fence_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    f = cln->data;
    cln->handler = ngx_sf_fence_cleanup;

    f->request = r->main;
    f->zone = zone;
    f->source = ctx->worker->sources[ctx->slcf->origin];
    f->user = user;
    f->raised = 0;

    /* there is no body to wait for, or it has been read before */

    if (!ctx->with_body || r->request_body) {
        ngx_sf_fence_raise(r);
    }

    return NGX_OK;
}


/* parts of a body as they come: nothing goes upstream before its filters */

static ngx_int_t
ngx_sf_fence_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_uint_t    complete;
    ngx_chain_t  *cl;

    if (!ngx_sf_fence_safe(r)) {
        complete = r->request_body_no_buffering;

        for (cl = in; cl; cl = cl->next) {
            complete |= cl->buf->last_buf;
        }

        if (complete) {
            ngx_sf_fence_raise(r);
        }
    }

    return ngx_sf_fence_next_body_filter(r, in);
}


/* the fences of a request, most of which have none */

static void
ngx_sf_fence_raise(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    for (cln = r->main->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_sf_fence_cleanup) {
            ngx_sf_fence_begin(cln->data);
        }
    }
}


static void
ngx_sf_fence_begin(ngx_sf_fence_t *f)
{
    if (!f->raised) {
        f->raised = 1;
        ngx_sf_mark_begin(f->zone, f->user, ngx_current_msec, &f->write);
    }
}


/* the write is over */

static void
ngx_sf_fence_cleanup(void *data)
{
    ngx_sf_fence_t  *f = data;

    if (f->request->header_sent) {
        ngx_sf_fence_begin(f);
    }

    if (!f->raised) {
        return;
    }

    ngx_time_update();
    ngx_sf_mark_end(f->zone, &f->write, ngx_current_msec);

    if (f->source->owner) {
        ngx_sf_wake_slot(f->zone, f->source->owner_slot,
                         NGX_SF_WAKE_LISTENER);
    }
}


ngx_msec_t
ngx_sf_fence_time(ngx_sf_ctx_t *ctx)
{
    int64_t           user;
    ngx_msec_t        time, lease;
    ngx_sf_zone_t    *zone;
    ngx_sf_source_t  *source;

    zone = ctx->slcf->zone;

    if (zone == NULL || zone->sh->marked == 0 || zone->slot == NULL) {
        return 0;
    }

    source = ctx->worker->sources[ctx->slcf->origin];
    lease = ctx->worker->smcf->lease;

    if (source == NULL
        || !ngx_sf_fence_ahead(zone->sh->marked, source, ctx->slcf,
                               lease + NGX_SF_MARK_AHEAD))
    {
        return 0;
    }

    user = ctx->user;

    if (user == 0
        && ngx_sf_auth_user(ctx->request, ctx->slcf, &user) != NGX_OK)
    {
        return 0;
    }

    time = ngx_sf_mark_time(zone, user);

    return ngx_sf_fence_ahead(time, source, ctx->slcf, lease) ? time : 0;
}


/*
 * Whether nothing has been confirmed since.  Without a listener a fence is
 * over with the time that an entry may live then.
 */

static ngx_uint_t
ngx_sf_fence_ahead(ngx_msec_t fence, ngx_sf_source_t *source,
    ngx_sf_loc_conf_t *slcf, ngx_msec_t lease)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - fence);

    return fence
           && ((ngx_msec_int_t) (fence - source->confirmed) >= 0
               || source->doubted)
           && age <= (ngx_msec_int_t) (lease + slcf->incoherent_ttl);
}

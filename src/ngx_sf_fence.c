
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Fences: a user who has written through the fallback reads his write.
 *
 * The application commits, answers, and the next request of the same user may
 * be here before the notification is.  So a request with an unsafe method that
 * is passed on raises a fence for its user: until the listener has an answer
 * to something that it sent after that request was over, this user's reads
 * pass the cache by.  The listener is asked to send something at once, so a
 * fence stands for a moment only.
 *
 * A fence is a time in the zone, under the user's number; who shares a place
 * is kept from the cache for that moment too.  While the request is under way
 * its time lies in the future, by more than the request should take: a worker
 * that dies leaves a fence that is over by itself.
 */


#include "ngx_sf.h"


#define NGX_SF_FENCE_AHEAD  60000         /* ms */


typedef struct {
    ngx_sf_zone_t              *zone;
    ngx_sf_source_t            *source;
    ngx_atomic_t               *fence;
    ngx_atomic_uint_t           mark;     /* that this request has set */
} ngx_sf_fence_t;


static ngx_atomic_t *ngx_sf_fence_of(ngx_sf_zone_t *zone, int64_t user);
static void ngx_sf_fence_cleanup(void *data);
static ngx_uint_t ngx_sf_fence_ahead(ngx_msec_t fence,
    ngx_sf_source_t *source, ngx_sf_loc_conf_t *slcf, ngx_msec_t lease);


ngx_int_t
ngx_sf_fence_raise(ngx_sf_ctx_t *ctx)
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
        || (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_OPTIONS))
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

    f->zone = zone;
    f->source = ctx->worker->sources[ctx->slcf->origin];
    f->fence = ngx_sf_fence_of(zone, user);
    f->mark = ngx_current_msec + NGX_SF_FENCE_AHEAD;

    *f->fence = f->mark;
    zone->sh->fenced = f->mark;

    return NGX_OK;
}


static ngx_atomic_t *
ngx_sf_fence_of(ngx_sf_zone_t *zone, int64_t user)
{
    return &zone->sh->fences[(uint64_t) user % NGX_SF_FENCES];
}


/*
 * The write is over.  A mark of another one that is under way lies ahead and
 * stays; a fence that has been put up for one that ended before is moved.
 */

static void
ngx_sf_fence_cleanup(void *data)
{
    ngx_sf_fence_t  *f = data;

    ngx_msec_t         now;
    ngx_atomic_uint_t  old;

    ngx_time_update();
    now = ngx_current_msec;

    do {
        old = *f->fence;

        if (old != f->mark && (ngx_msec_int_t) (old - now) >= 0) {
            break;
        }

    } while (!ngx_atomic_cmp_set(f->fence, old, now));

    if ((ngx_msec_int_t) (f->zone->sh->fenced - now) < 0) {
        f->zone->sh->fenced = now;
    }

    if (f->source->owner) {
        ngx_sf_wake_slot(f->zone, f->source->owner_slot,
                         NGX_SF_WAKE_LISTENER);
    }
}


ngx_uint_t
ngx_sf_fence_stands(ngx_sf_ctx_t *ctx)
{
    int64_t             user;
    ngx_sf_zone_t      *zone;
    ngx_sf_source_t    *source;

    zone = ctx->slcf->zone;

    if (zone == NULL || zone->sh->fenced == 0 || zone->slot == NULL) {
        return 0;
    }

    source = ctx->worker->sources[ctx->slcf->origin];

    if (source == NULL
        || !ngx_sf_fence_ahead(zone->sh->fenced, source, ctx->slcf,
                               ctx->worker->smcf->lease
                               + NGX_SF_FENCE_AHEAD))
    {
        return 0;
    }

    user = ctx->user;

    if (user == 0
        && ngx_sf_auth_user(ctx->request, ctx->slcf, &user) != NGX_OK)
    {
        return 0;
    }

    return ngx_sf_fence_ahead(*ngx_sf_fence_of(zone, user), source,
                              ctx->slcf, ctx->worker->smcf->lease);
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
           && (ngx_msec_int_t) (fence - source->confirmed) >= 0
           && age <= (ngx_msec_int_t) (lease + slcf->incoherent_ttl);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Memos: what a worker has made of a path and a query string before.
 *
 * Most requests repeat one that was seen already.  For these the endpoint, the
 * parameters and the key in the zone are looked up by the bytes that came,
 * under the location's configuration, instead of being worked out again.  Only
 * requests without an error are kept, and only of endpoints whose parameters
 * do not depend on the day.
 *
 * The table is bounded: a memo may stand in one of two places, and the one
 * used longer ago makes room.  A request that uses a memo holds it.
 */


#include "ngx_sf_http.h"


#define NGX_SF_MEMOS_SIZE     2048        /* a power of two */
#define NGX_SF_MEMOS_MAX_LEN  512         /* of path and query string */
#define NGX_SF_MEMOS_MAX_KEY  2048


struct ngx_sf_memos_s {
    ngx_log_t                  *log;
    ngx_uint_t                  clock;
    ngx_sf_memo_t              *memos[NGX_SF_MEMOS_SIZE];
};


static uint64_t ngx_sf_memo_hash(ngx_sf_loc_conf_t *slcf,
    const ngx_str_t *uri, const ngx_str_t *args);
static ngx_uint_t ngx_sf_memo_fits(ngx_sf_ctx_t *ctx);
static ngx_sf_memo_t *ngx_sf_memo_create(ngx_sf_memos_t *memos,
    ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_memo_set_key(ngx_sf_ctx_t *ctx, ngx_sf_memo_t *memo);


ngx_sf_memos_t *
ngx_sf_memos_create(ngx_cycle_t *cycle)
{
    ngx_sf_memos_t  *memos;

    memos = ngx_pcalloc(cycle->pool, sizeof(ngx_sf_memos_t));

    if (memos) {
        memos->log = cycle->log;
    }

    return memos;
}


void
ngx_sf_memos_destroy(ngx_sf_memos_t *memos)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_MEMOS_SIZE; i++) {
        if (memos->memos[i]) {
            ngx_sf_memo_release(memos->memos[i]);
            memos->memos[i] = NULL;
        }
    }
}


ngx_sf_memo_t *
ngx_sf_memo_find(ngx_sf_memos_t *memos, ngx_sf_loc_conf_t *slcf,
    const ngx_str_t *uri, const ngx_str_t *args)
{
    uint64_t        hash;
    ngx_uint_t      i;
    ngx_sf_memo_t  *memo;

    if (uri->len + args->len > NGX_SF_MEMOS_MAX_LEN) {
        return NULL;
    }

    hash = ngx_sf_memo_hash(slcf, uri, args);

    for (i = 0; i < 2; i++) {
        memo = memos->memos[(hash & (NGX_SF_MEMOS_SIZE - 1)) ^ i];

        if (memo && memo->hash == hash && memo->slcf == slcf
            && memo->uri.len == uri->len && memo->args.len == args->len
            && ngx_memcmp(memo->uri.data, uri->data, uri->len) == 0
            && ngx_memcmp(memo->args.data, args->data, args->len) == 0)
        {
            memo->used = ++memos->clock;
            memo->holders++;
            return memo;
        }
    }

    return NULL;
}


static uint64_t
ngx_sf_memo_hash(ngx_sf_loc_conf_t *slcf, const ngx_str_t *uri,
    const ngx_str_t *args)
{
    ngx_sf_key_t  key;

    key.data = uri->data;
    key.len = uri->len;

    ngx_sf_cache_hash(&key, ngx_sf_zone_seed(slcf->zone));

    if (args->len) {
        key.data = args->data;
        key.len = args->len;

        ngx_sf_cache_hash(&key, key.hash);
    }

    return key.hash;
}


void
ngx_sf_memo_keep(ngx_sf_memos_t *memos, ngx_sf_ctx_t *ctx)
{
    ngx_uint_t      place;
    ngx_sf_memo_t  *memo, *a, *b;

    if (!ngx_sf_memo_fits(ctx)) {
        return;
    }

    memo = ngx_sf_memo_create(memos, ctx);

    if (memo == NULL) {
        return;
    }

    place = memo->hash & (NGX_SF_MEMOS_SIZE - 1);
    a = memos->memos[place];
    b = memos->memos[place ^ 1];

    if (a && (b == NULL || b->used < a->used)) {
        place ^= 1;
        a = b;
    }

    if (a) {
        ngx_sf_memo_release(a);
    }

    memos->memos[place] = memo;
}


static ngx_uint_t
ngx_sf_memo_fits(ngx_sf_ctx_t *ctx)
{
    ngx_http_request_t    *r;
    const ngx_sf_param_t  *param;

    r = ctx->request;

    if (ctx->slcf->zone == NULL || ctx->endpoint->answer == NULL
        || !ctx->endpoint->answer->cached || ctx->params.status
        || ctx->worker->sources[ctx->slcf->origin] == NULL
        || r->uri.len + r->args.len > NGX_SF_MEMOS_MAX_LEN)
    {
        return 0;
    }

    for (param = ctx->endpoint->row->params;
         param->type != NGX_SF_PARAM_END;
         param++)
    {
        if (param->type == NGX_SF_PARAM_DATE) {
            return 0;
        }
    }

    return 1;
}


static ngx_sf_memo_t *
ngx_sf_memo_create(ngx_sf_memos_t *memos, ngx_sf_ctx_t *ctx)
{
    ngx_pool_t          *pool;
    ngx_sf_memo_t       *memo;
    ngx_http_request_t  *r;

    r = ctx->request;

    pool = ngx_create_pool(1024, memos->log);
    if (pool == NULL) {
        return NULL;
    }

    memo = ngx_pcalloc(pool, sizeof(ngx_sf_memo_t));
    if (memo == NULL) {
        goto failed;
    }

    memo->pool = pool;
    memo->holders = 1;
    memo->used = ++memos->clock;
    memo->hash = ngx_sf_memo_hash(ctx->slcf, &r->uri, &r->args);
    memo->slcf = ctx->slcf;
    memo->match = ctx->match;
    memo->match.id.data = ngx_pstrdup(pool, &ctx->match.id);
    memo->uri.len = r->uri.len;
    memo->uri.data = ngx_pstrdup(pool, &r->uri);
    memo->args.len = r->args.len;
    memo->args.data = ngx_pstrdup(pool, &r->args);

    if (memo->match.id.data == NULL || memo->uri.data == NULL
        || memo->args.data == NULL
        || ngx_sf_params_copy(pool, &ctx->params, ctx->endpoint->nparams,
                              &memo->params)
           != NGX_OK
        || ngx_sf_memo_set_key(ctx, memo) != NGX_OK)
    {
        goto failed;
    }

    return memo;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/* the key of nobody in particular: the user is put in by ngx_sf_item_key() */

static ngx_int_t
ngx_sf_memo_set_key(ngx_sf_ctx_t *ctx, ngx_sf_memo_t *memo)
{
    ngx_sf_zone_t   *zone;
    ngx_sf_order_t   order;

    memo->key.len = NGX_SF_MEMOS_MAX_KEY;
    memo->key.data = ngx_pnalloc(memo->pool, memo->key.len);

    if (memo->key.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&order, sizeof(ngx_sf_order_t));
    order.item = ctx->endpoint->answer;
    order.slcf = ctx->slcf;
    order.params = &memo->params;

    zone = ctx->slcf->zone;

    return ngx_sf_item_key(&order, ctx->worker->sources[ctx->slcf->origin]
                                   - zone->sh->sources,
                           &memo->key);
}


void
ngx_sf_memo_release(ngx_sf_memo_t *memo)
{
    if (--memo->holders == 0) {
        ngx_destroy_pool(memo->pool);
    }
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Parsed requests: what a worker has made of a path and a query string before.
 *
 * Most requests repeat one that was seen already.  For these the endpoint, the
 * parameters and the key in the zone are looked up by the bytes that came,
 * under the location's configuration, instead of being worked out again.  Only
 * requests without an error are kept, and only of endpoints whose parameters
 * do not depend on the day.
 *
 * The table is bounded: a parsed request may stand in one of two places, and
 * the one used longer ago makes room.  A request that uses one holds it.
 */


#include "ngx_sf_http.h"


#define NGX_SF_PARSED_SIZE     2048       /* a power of two */
#define NGX_SF_PARSED_MAX_LEN  512        /* of path and query string */
#define NGX_SF_PARSED_MAX_KEY  2048


struct ngx_sf_parsed_table_s {
    ngx_log_t                  *log;
    ngx_uint_t                  clock;
    ngx_sf_parsed_t            *parsed[NGX_SF_PARSED_SIZE];
};


static uint64_t ngx_sf_parsed_hash(ngx_sf_loc_conf_t *slcf,
    const ngx_str_t *uri, const ngx_str_t *args);
static ngx_uint_t ngx_sf_parsed_fits(ngx_sf_ctx_t *ctx);
static ngx_sf_parsed_t *ngx_sf_parsed_create(ngx_sf_parsed_table_t *table,
    ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_parsed_set_key(ngx_sf_ctx_t *ctx,
    ngx_sf_parsed_t *parsed);


ngx_sf_parsed_table_t *
ngx_sf_parsed_table_create(ngx_cycle_t *cycle)
{
    ngx_sf_parsed_table_t  *table;

    table = ngx_pcalloc(cycle->pool, sizeof(ngx_sf_parsed_table_t));

    if (table) {
        table->log = cycle->log;
    }

    return table;
}


void
ngx_sf_parsed_table_destroy(ngx_sf_parsed_table_t *table)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_PARSED_SIZE; i++) {
        if (table->parsed[i]) {
            ngx_sf_parsed_release(table->parsed[i]);
            table->parsed[i] = NULL;
        }
    }
}


/*
 * All bytes are compared, not only the hash.  The location belongs to it, as
 * the same path may be another endpoint elsewhere, or none.  To be released.
 */

ngx_sf_parsed_t *
ngx_sf_parsed_find(ngx_sf_parsed_table_t *table, ngx_sf_loc_conf_t *slcf,
    const ngx_str_t *uri, const ngx_str_t *args)
{
    uint64_t          hash;
    ngx_uint_t        i;
    ngx_sf_parsed_t  *parsed;

    if (uri->len + args->len > NGX_SF_PARSED_MAX_LEN) {
        return NULL;
    }

    hash = ngx_sf_parsed_hash(slcf, uri, args);

    for (i = 0; i < 2; i++) {
        parsed = table->parsed[(hash & (NGX_SF_PARSED_SIZE - 1)) ^ i];

        if (parsed && parsed->hash == hash && parsed->slcf == slcf
            && parsed->uri.len == uri->len && parsed->args.len == args->len
            && ngx_memcmp(parsed->uri.data, uri->data, uri->len) == 0
            && ngx_memcmp(parsed->args.data, args->data, args->len) == 0)
        {
            parsed->used = ++table->clock;
            parsed->holders++;
            return parsed;
        }
    }

    return NULL;
}


/*
 * By the seed of the zone, so that a client cannot choose requests that
 * collide.
 */

static uint64_t
ngx_sf_parsed_hash(ngx_sf_loc_conf_t *slcf, const ngx_str_t *uri,
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


/* one of two neighbours: the place that is free, or that was used longer ago */

void
ngx_sf_parsed_keep(ngx_sf_parsed_table_t *table, ngx_sf_ctx_t *ctx)
{
    ngx_uint_t        place;
    ngx_sf_parsed_t  *parsed, *a, *b;

    if (!ngx_sf_parsed_fits(ctx)) {
        return;
    }

    parsed = ngx_sf_parsed_create(table, ctx);

    if (parsed == NULL) {
        return;
    }

    place = parsed->hash & (NGX_SF_PARSED_SIZE - 1);
    a = table->parsed[place];
    b = table->parsed[place ^ 1];

    if (a && (b == NULL || b->used < a->used)) {
        place ^= 1;
        a = b;
    }

    if (a) {
        ngx_sf_parsed_release(a);
    }

    table->parsed[place] = parsed;
}


/*
 * What depends on more than its bytes is not kept: an error, a response without
 * a key in the zone, and a date that is counted back from today.
 */

static ngx_uint_t
ngx_sf_parsed_fits(ngx_sf_ctx_t *ctx)
{
    ngx_http_request_t    *r;
    const ngx_sf_param_t  *param;

    r = ctx->request;

    if (ctx->slcf->zone == NULL || ctx->endpoint->response == NULL
        || !ctx->endpoint->response->cached || ctx->params.status
        || ctx->worker->sources[ctx->slcf->origin] == NULL
        || r->uri.len + r->args.len > NGX_SF_PARSED_MAX_LEN)
    {
        return 0;
    }

    for (param = ctx->endpoint->row->params;
         param->type != NGX_SF_PARAM_END;
         param++)
    {
        if (param->type == NGX_SF_PARAM_DATE && param->def) {
            return 0;
        }
    }

    return 1;
}


/*
 * A pool of its own, as requests may hold it when its place is another one's
 * already.
 */

static ngx_sf_parsed_t *
ngx_sf_parsed_create(ngx_sf_parsed_table_t *table, ngx_sf_ctx_t *ctx)
{
    ngx_pool_t          *pool;
    ngx_sf_parsed_t     *parsed;
    ngx_http_request_t  *r;

    r = ctx->request;

    pool = ngx_create_pool(1024, table->log);
    if (pool == NULL) {
        return NULL;
    }

    parsed = ngx_pcalloc(pool, sizeof(ngx_sf_parsed_t));
    if (parsed == NULL) {
        goto failed;
    }

    parsed->pool = pool;
    parsed->holders = 1;
    parsed->used = ++table->clock;
    parsed->hash = ngx_sf_parsed_hash(ctx->slcf, &r->uri, &r->args);
    parsed->slcf = ctx->slcf;
    parsed->match = ctx->match;
    ngx_memzero(parsed->match.path, sizeof(parsed->match.path));
    parsed->uri.len = r->uri.len;
    parsed->uri.data = ngx_pstrdup(pool, &r->uri);
    parsed->args.len = r->args.len;
    parsed->args.data = ngx_pstrdup(pool, &r->args);

    if (parsed->uri.data == NULL || parsed->args.data == NULL
        || ngx_sf_params_copy(pool, &ctx->params, ctx->endpoint->nparams,
                              &parsed->params)
           != NGX_OK
        || ngx_sf_parsed_set_key(ctx, parsed) != NGX_OK)
    {
        goto failed;
    }

    return parsed;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/* the key for user 0: ngx_sf_resource_key() puts the user of a request in */

static ngx_int_t
ngx_sf_parsed_set_key(ngx_sf_ctx_t *ctx, ngx_sf_parsed_t *parsed)
{
    ngx_sf_zone_t   *zone;
    ngx_sf_lookup_t  lookup;

    parsed->key.len = NGX_SF_PARSED_MAX_KEY;
    parsed->key.data = ngx_pnalloc(parsed->pool, parsed->key.len);

    if (parsed->key.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&lookup, sizeof(ngx_sf_lookup_t));
    lookup.resource = ctx->endpoint->response;
    lookup.slcf = ctx->slcf;
    lookup.params = &parsed->params;

    zone = ctx->slcf->zone;

    return ngx_sf_resource_key(&lookup, ctx->worker->sources[ctx->slcf->origin]
                                        - zone->sh->sources,
                               &parsed->key);
}


void
ngx_sf_parsed_release(ngx_sf_parsed_t *parsed)
{
    if (--parsed->holders == 0) {
        ngx_destroy_pool(parsed->pool);
    }
}

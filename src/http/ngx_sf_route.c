
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Routes: which endpoint a method and a path stand for.
 *
 * Compiled once from the endpoint rows: the paths without {id} into a hash,
 * the others into a short list of a literal before the digits and a literal
 * after them.  A path is known here as soon as one of its endpoints is
 * enabled in the location; which of its methods are, decides between an
 * endpoint, the fallback and 405.
 *
 *     /api/review/listings          a key of the hash
 *     /api/review/listings/{id}     "/api/review/listings/", digits, ""
 *
 * The table is made before any location is known and is the same for all of
 * them; what a location has switched on is an argument of each look-up.
 */


#include "ngx_sf_http.h"


#define NGX_SF_ROUTE_ID  "{id}"


/* the endpoints of one path, chained over their methods */

typedef struct ngx_sf_path_s  ngx_sf_path_t;

struct ngx_sf_path_s {
    ngx_str_t                   before;   /* the whole path without {id} */
    ngx_str_t                   after;
    ngx_array_t                 endpoints;    /* of ngx_sf_endpoint_t * */
    unsigned                    has_id:1;
};


struct ngx_sf_routes_s {
    ngx_hash_t                  hash;     /* of ngx_sf_path_t */
    ngx_array_t                 patterns; /* of ngx_sf_path_t * */
};


static ngx_int_t ngx_sf_route_add(ngx_conf_t *cf, ngx_array_t *paths,
    ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_routes_hash(ngx_conf_t *cf, ngx_sf_routes_t *routes,
    ngx_array_t *paths);
static ngx_sf_path_t *ngx_sf_route_lookup(const ngx_sf_routes_t *routes,
    const ngx_str_t *path, ngx_str_t *id);


/* the list of paths is needed here only; the paths themselves stay */

ngx_sf_routes_t *
ngx_sf_routes_compile(ngx_conf_t *cf, ngx_sf_endpoint_t *endpoints,
    ngx_uint_t n)
{
    ngx_uint_t        i;
    ngx_array_t       paths;
    ngx_sf_path_t   **path, **pattern;
    ngx_sf_routes_t  *routes;

    routes = ngx_pcalloc(cf->pool, sizeof(ngx_sf_routes_t));
    if (routes == NULL
        || ngx_array_init(&paths, cf->temp_pool, n, sizeof(ngx_sf_path_t *))
           != NGX_OK
        || ngx_array_init(&routes->patterns, cf->pool, 4,
                          sizeof(ngx_sf_path_t *))
           != NGX_OK)
    {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        if (ngx_sf_route_add(cf, &paths, &endpoints[i]) != NGX_OK) {
            return NULL;
        }
    }

    path = paths.elts;

    for (i = 0; i < paths.nelts; i++) {
        if (!path[i]->has_id) {
            continue;
        }

        pattern = ngx_array_push(&routes->patterns);
        if (pattern == NULL) {
            return NULL;
        }

        *pattern = path[i];
    }

    if (ngx_sf_routes_hash(cf, routes, &paths) != NGX_OK) {
        return NULL;
    }

    return routes;
}


/*
 * Rows with one path share an ngx_sf_path_t.  before.data is the path as the
 * row has it, to its NUL and with its {id}, whatever before.len is; so paths
 * are compared by it.
 */

static ngx_int_t
ngx_sf_route_add(ngx_conf_t *cf, ngx_array_t *paths,
    ngx_sf_endpoint_t *endpoint)
{
    u_char               *id;
    ngx_str_t             before, after;
    ngx_uint_t            i;
    ngx_sf_path_t       **path, *found;
    ngx_sf_endpoint_t   **slot;

    before.data = (u_char *) endpoint->row->path;
    before.len = ngx_strlen(endpoint->row->path);
    ngx_str_null(&after);

    id = (u_char *) ngx_strstr(endpoint->row->path, NGX_SF_ROUTE_ID);

    if (id) {
        before.len = id - before.data;
        after.data = id + sizeof(NGX_SF_ROUTE_ID) - 1;
        after.len = ngx_strlen(after.data);
    }

    found = NULL;
    path = paths->elts;

    for (i = 0; i < paths->nelts; i++) {
        if (ngx_strcmp(path[i]->before.data, before.data) == 0) {
            found = path[i];
        }
    }

    if (found == NULL) {
        found = ngx_pcalloc(cf->pool, sizeof(ngx_sf_path_t));
        path = ngx_array_push(paths);

        if (found == NULL || path == NULL
            || ngx_array_init(&found->endpoints, cf->pool, 1,
                              sizeof(ngx_sf_endpoint_t *))
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        found->before = before;
        found->after = after;
        found->has_id = id != NULL;
        *path = found;
    }

    slot = ngx_array_push(&found->endpoints);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = endpoint;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_routes_hash(ngx_conf_t *cf, ngx_sf_routes_t *routes,
    ngx_array_t *paths)
{
    ngx_uint_t        i;
    ngx_array_t       keys;
    ngx_hash_key_t   *key;
    ngx_sf_path_t   **path;
    ngx_hash_init_t   init;

    if (ngx_array_init(&keys, cf->temp_pool, paths->nelts,
                       sizeof(ngx_hash_key_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    path = paths->elts;

    for (i = 0; i < paths->nelts; i++) {
        if (path[i]->has_id) {
            continue;
        }

        key = ngx_array_push(&keys);
        if (key == NULL) {
            return NGX_ERROR;
        }

        key->key = path[i]->before;
        key->key_hash = ngx_hash_key(key->key.data, key->key.len);
        key->value = path[i];
    }

    init.hash = &routes->hash;
    init.key = ngx_hash_key;
    init.max_size = 1024;
    init.bucket_size = ngx_align(128, ngx_cacheline_size);
    init.name = "softfactory_routes";
    init.pool = cf->pool;
    init.temp_pool = NULL;

    return ngx_hash_init(&init, keys.elts, keys.nelts);
}


/*
 * An endpoint that is switched off is as one that there is not: its method is
 * not native.  The methods of the application are those of the path, whatever
 * is switched on.  A path without any native method is not ours.
 */

ngx_int_t
ngx_sf_route_find(const ngx_sf_routes_t *routes, const u_char *enabled,
    const ngx_str_t *path, ngx_uint_t method, ngx_sf_match_t *match)
{
    ngx_uint_t           i;
    ngx_sf_path_t       *found;
    ngx_sf_endpoint_t  **endpoint;

    ngx_memzero(match, sizeof(ngx_sf_match_t));

    found = ngx_sf_route_lookup(routes, path, &match->id);

    if (found == NULL) {
        return NGX_DECLINED;
    }

    endpoint = found->endpoints.elts;

    for (i = 0; i < found->endpoints.nelts; i++) {
        match->app |= endpoint[i]->row->app_methods;

        if (!enabled[endpoint[i]->index]) {
            continue;
        }

        match->native |= endpoint[i]->row->method;

        if (endpoint[i]->row->method == method) {
            match->endpoint = endpoint[i];
        }
    }

    return match->native ? NGX_OK : NGX_DECLINED;
}


/*
 * The path is the decoded one (r->uri), compared byte by byte.  An id is digits
 * and nothing else, at least one: ".../listings/new" and ".../listings/-1" are
 * not known here and go to the fallback.  Patterns are few, and are tried in
 * turn.
 */

static ngx_sf_path_t *
ngx_sf_route_lookup(const ngx_sf_routes_t *routes, const ngx_str_t *path,
    ngx_str_t *id)
{
    u_char          *p, *last;
    ngx_uint_t       i;
    ngx_sf_path_t   *found, **pattern;

    found = ngx_hash_find((ngx_hash_t *) &routes->hash,
                          ngx_hash_key(path->data, path->len), path->data,
                          path->len);
    if (found) {
        return found;
    }

    pattern = routes->patterns.elts;
    last = path->data + path->len;

    for (i = 0; i < routes->patterns.nelts; i++) {
        found = pattern[i];

        if (path->len <= found->before.len + found->after.len
            || ngx_memcmp(path->data, found->before.data, found->before.len)
               != 0)
        {
            continue;
        }

        id->data = path->data + found->before.len;

        for (p = id->data; p < last && *p >= '0' && *p <= '9'; p++) {
            /* void */
        }

        id->len = p - id->data;

        if (id->len && (size_t) (last - p) == found->after.len
            && ngx_memcmp(p, found->after.data, found->after.len) == 0)
        {
            return found;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_sf_route_index(const ngx_sf_ctx_t *ctx)
{
    return ctx->endpoint ? ctx->endpoint->index
                         : ngx_sf_metrics_unknown(ctx->worker->smcf->metrics);
}


const char *
ngx_sf_route_name(const ngx_sf_main_conf_t *smcf,
    ngx_uint_t endpoint)
{
    if (endpoint < smcf->nendpoints) {
        return ngx_sf_api[endpoint].name;
    }

    return endpoint == ngx_sf_metrics_unknown(smcf->metrics) ? "unknown"
                                                             : "principal";
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Routes: which endpoint a method and a path stand for.
 *
 * Compiled once from the declared endpoints.  Paths without a name go into a
 * hash, the others are patterns: segments, each of them a literal or a name
 * whose type says what may stand there.
 *
 *     /api/review/listings          a key of the hash
 *     /api/review/listings/$id      two literals and digits
 *
 * Endpoints whose paths are the same but for the names share one; patterns are
 * few, and are tried in turn: where two differ first, a literal comes before a
 * name, and a name of a narrow type before one of a wide type.
 *
 * The table is the same for all locations.  Which endpoints a location serves
 * is an argument of each look-up: a path is known here as soon as one of its
 * endpoints is among them, and which methods are decides between an endpoint,
 * the fallback and 405.
 */


#include "ngx_sf_http.h"


/* what stands for a name in the form of a path: wide types sort last */

#define NGX_SF_ROUTE_DIGITS   0x80
#define NGX_SF_ROUTE_INTEGER  0x81
#define NGX_SF_ROUTE_UUID     0x82
#define NGX_SF_ROUTE_SEGMENT  0x83

#define NGX_SF_ROUTE_UUID_LEN  36


/*
 * Endpoints that have one path, whatever they call its names.  The form is the
 * path with a byte for each name.
 */

typedef struct {
    ngx_str_t                   form;
    ngx_array_t                 endpoints;    /* of ngx_sf_endpoint_t * */
    ngx_uint_t                  names;    /* how many */
    unsigned                    pattern:1;    /* not a key of the hash */
} ngx_sf_path_t;


struct ngx_sf_routes_s {
    ngx_hash_t                  hash;     /* of ngx_sf_path_t */
    ngx_array_t                 paths;    /* of ngx_sf_path_t *, all */
    ngx_array_t                 patterns; /* the same, those with names, in the
                                             order in which they are tried */
};


static ngx_int_t ngx_sf_route_add(ngx_conf_t *cf, ngx_sf_routes_t *routes,
    ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_route_form(ngx_pool_t *pool, const ngx_sf_row_t *row,
    ngx_sf_path_t *path);
static u_char ngx_sf_route_name_form(const ngx_sf_row_t *row,
    ngx_uint_t place);
static ngx_int_t ngx_sf_routes_patterns(ngx_conf_t *cf,
    ngx_sf_routes_t *routes);
static int ngx_libc_cdecl ngx_sf_route_compare(const void *one,
    const void *two);
static ngx_int_t ngx_sf_routes_hash(ngx_conf_t *cf, ngx_sf_routes_t *routes);
static ngx_uint_t ngx_sf_route_take(const ngx_sf_path_t *path,
    const u_char *enabled, ngx_uint_t method, ngx_sf_match_t *match);
static ngx_uint_t ngx_sf_route_match(const ngx_sf_path_t *pattern,
    const ngx_str_t *path, ngx_str_t *names);
static u_char *ngx_sf_route_segment(u_char form, u_char *p, u_char *last);
static u_char *ngx_sf_route_digits(u_char *p, u_char *last);
static u_char *ngx_sf_route_uuid(u_char *p, u_char *last);


ngx_sf_routes_t *
ngx_sf_routes_compile(ngx_conf_t *cf, ngx_sf_endpoint_t *endpoints,
    ngx_uint_t n)
{
    ngx_uint_t        i;
    ngx_sf_routes_t  *routes;

    routes = ngx_pcalloc(cf->pool, sizeof(ngx_sf_routes_t));
    if (routes == NULL
        || ngx_array_init(&routes->paths, cf->pool, n + 1,
                          sizeof(ngx_sf_path_t *))
           != NGX_OK)
    {
        return NULL;
    }

    for (i = 0; i < n; i++) {
        if (ngx_sf_route_add(cf, routes, &endpoints[i]) != NGX_OK) {
            return NULL;
        }
    }

    if (ngx_sf_routes_patterns(cf, routes) != NGX_OK
        || ngx_sf_routes_hash(cf, routes) != NGX_OK)
    {
        return NULL;
    }

    return routes;
}


static ngx_int_t
ngx_sf_route_add(ngx_conf_t *cf, ngx_sf_routes_t *routes,
    ngx_sf_endpoint_t *endpoint)
{
    ngx_uint_t           i;
    ngx_sf_path_t      **path, *found, new;
    ngx_sf_endpoint_t  **slot;

    if (ngx_sf_route_form(cf->pool, endpoint->row, &new) != NGX_OK) {
        return NGX_ERROR;
    }

    found = NULL;
    path = routes->paths.elts;

    for (i = 0; i < routes->paths.nelts; i++) {
        if (path[i]->form.len == new.form.len
            && ngx_memcmp(path[i]->form.data, new.form.data, new.form.len)
               == 0)
        {
            found = path[i];
        }
    }

    if (found == NULL) {
        found = ngx_palloc(cf->pool, sizeof(ngx_sf_path_t));
        path = ngx_array_push(&routes->paths);

        if (found == NULL || path == NULL
            || ngx_array_init(&new.endpoints, cf->pool, 1,
                              sizeof(ngx_sf_endpoint_t *))
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        *found = new;
        *path = found;
    }

    slot = ngx_array_push(&found->endpoints);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = endpoint;

    return NGX_OK;
}


/*
 * It is never longer than the path.  The hash of nginx makes its keys small
 * letters, so a path that has capitals is a pattern, too.
 */

static ngx_int_t
ngx_sf_route_form(ngx_pool_t *pool, const ngx_sf_row_t *row,
    ngx_sf_path_t *path)
{
    u_char      *p;
    const char  *from;

    p = ngx_pnalloc(pool, ngx_strlen(row->path) + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    path->form.data = p;
    path->names = 0;
    path->pattern = 0;

    for (from = row->path; *from; /* void */ ) {

        path->pattern |= *from == '$' || (*from >= 'A' && *from <= 'Z');

        if (*from == '$') {
            *p++ = ngx_sf_route_name_form(row, ++path->names);
            from += strcspn(from, "/");
            continue;
        }

        *p++ = *from++;
    }

    *p = '\0';
    path->form.len = p - path->form.data;

    return NGX_OK;
}


/* what may stand in the place of a name, which each has a parameter for */

static u_char
ngx_sf_route_name_form(const ngx_sf_row_t *row, ngx_uint_t place)
{
    const ngx_sf_param_t  *param;

    for (param = row->params; param->path != place; param++) { /* void */ }

    switch (param->type) {

    case NGX_SF_PARAM_ID:
        return NGX_SF_ROUTE_DIGITS;

    case NGX_SF_PARAM_INT:
        return NGX_SF_ROUTE_INTEGER;

    case NGX_SF_PARAM_UUID:
        return NGX_SF_ROUTE_UUID;

    default:
        return NGX_SF_ROUTE_SEGMENT;
    }
}


static ngx_int_t
ngx_sf_routes_patterns(ngx_conf_t *cf, ngx_sf_routes_t *routes)
{
    ngx_uint_t        i;
    ngx_sf_path_t   **path, **pattern;

    if (ngx_array_init(&routes->patterns, cf->pool, 4,
                       sizeof(ngx_sf_path_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    path = routes->paths.elts;

    for (i = 0; i < routes->paths.nelts; i++) {
        if (!path[i]->pattern) {
            continue;
        }

        pattern = ngx_array_push(&routes->patterns);
        if (pattern == NULL) {
            return NGX_ERROR;
        }

        *pattern = path[i];
    }

    ngx_qsort(routes->patterns.elts, routes->patterns.nelts,
              sizeof(ngx_sf_path_t *), ngx_sf_route_compare);

    return NGX_OK;
}


/* a byte that stands for a name is above all of a literal, which are ASCII */

static int ngx_libc_cdecl
ngx_sf_route_compare(const void *one, const void *two)
{
    const ngx_sf_path_t  *a = *(ngx_sf_path_t *const *) one;
    const ngx_sf_path_t  *b = *(ngx_sf_path_t *const *) two;

    return ngx_strcmp(a->form.data, b->form.data);
}


static ngx_int_t
ngx_sf_routes_hash(ngx_conf_t *cf, ngx_sf_routes_t *routes)
{
    ngx_uint_t        i;
    ngx_array_t       keys;
    ngx_hash_key_t   *key;
    ngx_sf_path_t   **path;
    ngx_hash_init_t   init;

    if (ngx_array_init(&keys, cf->temp_pool, routes->paths.nelts + 1,
                       sizeof(ngx_hash_key_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    path = routes->paths.elts;

    for (i = 0; i < routes->paths.nelts; i++) {
        if (path[i]->pattern) {
            continue;
        }

        key = ngx_array_push(&keys);
        if (key == NULL) {
            return NGX_ERROR;
        }

        key->key = path[i]->form;
        key->key_hash = ngx_hash_key(key->key.data, key->key.len);
        key->value = path[i];
    }

    init.hash = &routes->hash;
    init.key = ngx_hash_key;
    init.max_size = 4096;
    init.bucket_size = ngx_align(512, ngx_cacheline_size);
    init.name = "softfactory_routes";
    init.pool = cf->pool;
    init.temp_pool = NULL;

    return ngx_hash_init(&init, keys.elts, keys.nelts);
}


/*
 * An endpoint that the location does not serve is as one that there is not: its
 * method is not native, and another path may take its place.  The methods of
 * the application are those of the path, whatever is served.  A path without
 * any native method is not ours.
 */

ngx_int_t
ngx_sf_route_find(const ngx_sf_routes_t *routes, const u_char *enabled,
    const ngx_str_t *path, ngx_uint_t method, ngx_sf_match_t *match)
{
    ngx_uint_t       i;
    ngx_sf_path_t   *found, **pattern;

    ngx_memzero(match, sizeof(ngx_sf_match_t));

    found = ngx_hash_find((ngx_hash_t *) &routes->hash,
                          ngx_hash_key(path->data, path->len), path->data,
                          path->len);

    if (found && ngx_sf_route_take(found, enabled, method, match)) {
        return NGX_OK;
    }

    pattern = routes->patterns.elts;

    for (i = 0; i < routes->patterns.nelts; i++) {
        if (ngx_sf_route_match(pattern[i], path, match->path)
            && ngx_sf_route_take(pattern[i], enabled, method, match))
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* whether there is a native method, which is said together with the others */

static ngx_uint_t
ngx_sf_route_take(const ngx_sf_path_t *path, const u_char *enabled,
    ngx_uint_t method, ngx_sf_match_t *match)
{
    ngx_uint_t           i;
    ngx_sf_endpoint_t  **endpoint;

    match->app = 0;
    endpoint = path->endpoints.elts;

    for (i = 0; i < path->endpoints.nelts; i++) {
        match->app |= endpoint[i]->row->app_methods;

        if (!enabled[endpoint[i]->index]) {
            continue;
        }

        match->native |= endpoint[i]->row->method;

        if (endpoint[i]->row->method == method) {
            match->endpoint = endpoint[i];
        }
    }

    return match->native != 0;
}


ngx_int_t
ngx_sf_routes_check(const ngx_sf_routes_t *routes, const u_char *enabled,
    const ngx_sf_endpoint_t *both[2])
{
    ngx_uint_t                  i, k, n;
    ngx_sf_path_t             **path;
    const ngx_sf_endpoint_t   **endpoint;

    path = routes->paths.elts;

    for (i = 0; i < routes->paths.nelts; i++) {
        endpoint = path[i]->endpoints.elts;

        for (n = 1; n < path[i]->endpoints.nelts; n++) {
            for (k = 0; k < n; k++) {
                if (enabled[endpoint[n]->index] && enabled[endpoint[k]->index]
                    && (endpoint[n]->row->method & endpoint[k]->row->method))
                {
                    both[0] = endpoint[k];
                    both[1] = endpoint[n];
                    return NGX_DECLINED;
                }
            }
        }
    }

    return NGX_OK;
}


/*
 * The path is the decoded one (r->uri), compared byte by byte.  What a name's
 * type does not allow is not known here: ".../listings/new" and
 * ".../listings/-1" are no ids, and go to the fallback.
 */

static ngx_uint_t
ngx_sf_route_match(const ngx_sf_path_t *pattern, const ngx_str_t *path,
    ngx_str_t *names)
{
    u_char        *p, *end, *last;
    const u_char  *form, *forms;

    p = path->data;
    last = p + path->len;
    forms = pattern->form.data + pattern->form.len;

    for (form = pattern->form.data; form < forms; form++) {

        if (*form < NGX_SF_ROUTE_DIGITS || *form > NGX_SF_ROUTE_SEGMENT) {
            if (p == last || *p++ != *form) {
                return 0;
            }

            continue;
        }

        end = ngx_sf_route_segment(*form, p, last);

        if (end == p || (end < last && *end != '/')) {
            return 0;
        }

        names->data = p;
        names->len = end - p;
        names++;
        p = end;
    }

    return p == last;
}


/* where what may stand in the place of a name ends; p: nothing of it is here */

static u_char *
ngx_sf_route_segment(u_char form, u_char *p, u_char *last)
{
    u_char  *digits;

    switch (form) {

    case NGX_SF_ROUTE_UUID:
        return ngx_sf_route_uuid(p, last);

    case NGX_SF_ROUTE_SEGMENT:
        p = ngx_strlchr(p, last, '/');
        return p ? p : last;

    default: /* NGX_SF_ROUTE_DIGITS, NGX_SF_ROUTE_INTEGER */
        digits = p + (form == NGX_SF_ROUTE_INTEGER && p < last && *p == '-');
        last = ngx_sf_route_digits(digits, last);

        return last > digits ? last : p;
    }
}


static u_char *
ngx_sf_route_digits(u_char *p, u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


/* 8-4-4-4-12 digits in either case (RFC 9562, section 4) */

static u_char *
ngx_sf_route_uuid(u_char *p, u_char *last)
{
    ngx_uint_t  i;

    if ((size_t) (last - p) < NGX_SF_ROUTE_UUID_LEN) {
        return p;
    }

    for (i = 0; i < NGX_SF_ROUTE_UUID_LEN; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (p[i] != '-') {
                return p;
            }

        } else if (!isxdigit(p[i])) {
            return p;
        }
    }

    return p + NGX_SF_ROUTE_UUID_LEN;
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
        return (char *) smcf->endpoints[endpoint].name.data;
    }

    return endpoint == ngx_sf_metrics_unknown(smcf->metrics) ? "unknown"
                                                             : "principal";
}

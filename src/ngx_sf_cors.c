
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Cross-origin headers (WHATWG Fetch, "CORS protocol").
 *
 * An allowed Origin is echoed; any other, and a request without one, gets no
 * header and is served normally: the browser decides.  What depends on the
 * Origin says so in Vary, also for those that are not allowed, so that no
 * cache mixes the two.
 */


#include "ngx_sf.h"


/* of all names that a preflight may be allowed */

#define NGX_SF_CORS_HEADERS_LEN                                               \
    (sizeof("Authorization, Content-Type, X-Requested-With") - 1)


typedef struct {
    const char                 *name;
    ngx_str_t                   value;
} ngx_sf_cors_header_t;


static ngx_int_t ngx_sf_cors_add(ngx_http_request_t *r,
    const ngx_sf_cors_header_t *header);
static ngx_int_t ngx_sf_cors_allow_headers(ngx_http_request_t *r);
static ngx_uint_t ngx_sf_cors_names(const ngx_str_t *list,
    const ngx_str_t *name);


static const ngx_sf_cors_header_t  ngx_sf_cors_answer[] = {
    { "Access-Control-Allow-Credentials", ngx_string("true") },
    { "Access-Control-Expose-Headers",
      ngx_string("Retry-After, WWW-Authenticate, X-RateLimit-Limit, "
                 "X-RateLimit-Remaining") },
    { NULL, ngx_null_string }
};

static const ngx_sf_cors_header_t  ngx_sf_cors_preflight[] = {
    { "Access-Control-Allow-Credentials", ngx_string("true") },
    { "Access-Control-Allow-Methods",
      ngx_string("DELETE, GET, OPTIONS, POST, PUT") },
    { "Access-Control-Max-Age", ngx_string("600") },
    { NULL, ngx_null_string }
};

static const ngx_str_t  ngx_sf_cors_request_headers[] = {
    ngx_string("Authorization"),
    ngx_string("Content-Type"),
    ngx_string("X-Requested-With"),
    ngx_null_string
};


ngx_int_t
ngx_sf_cors_headers(ngx_http_request_t *r, const ngx_array_t *origins,
    ngx_uint_t preflight)
{
    ngx_str_t        *allowed;
    ngx_uint_t        i;
    const ngx_str_t  *origin;

    static const ngx_str_t  vary = ngx_string("Origin");

    if (origins == NULL) {
        return NGX_OK;
    }

    if (ngx_sf_header_add(r, "Vary", &vary) != NGX_OK) {
        return NGX_ERROR;
    }

    origin = ngx_sf_header_find(r, "origin");

    if (origin == NULL) {
        return NGX_OK;
    }

    allowed = origins->elts;

    for (i = 0; i < origins->nelts; i++) {
        if (allowed[i].len != origin->len
            || ngx_memcmp(allowed[i].data, origin->data, origin->len) != 0)
        {
            continue;
        }

        if (ngx_sf_header_add(r, "Access-Control-Allow-Origin",
                                   &allowed[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!preflight) {
            return ngx_sf_cors_add(r, ngx_sf_cors_answer);
        }

        return ngx_sf_cors_add(r, ngx_sf_cors_preflight) == NGX_OK
               ? ngx_sf_cors_allow_headers(r) : NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_cors_add(ngx_http_request_t *r, const ngx_sf_cors_header_t *header)
{
    for ( /* void */ ; header->name; header++) {
        if (ngx_sf_header_add(r, header->name, &header->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* those of ours that the preflight asks for */

static ngx_int_t
ngx_sf_cors_allow_headers(ngx_http_request_t *r)
{
    u_char           *p;
    ngx_str_t         allowed;
    ngx_uint_t        i;
    const ngx_str_t  *asked;

    asked = ngx_sf_header_find(r, "access-control-request-headers");

    if (asked == NULL) {
        return NGX_OK;
    }

    allowed.data = ngx_pnalloc(r->pool, NGX_SF_CORS_HEADERS_LEN);
    if (allowed.data == NULL) {
        return NGX_ERROR;
    }

    p = allowed.data;

    for (i = 0; ngx_sf_cors_request_headers[i].len; i++) {
        if (!ngx_sf_cors_names(asked, &ngx_sf_cors_request_headers[i])) {
            continue;
        }

        if (p > allowed.data) {
            p = ngx_cpymem(p, ", ", 2);
        }

        p = ngx_cpymem(p, ngx_sf_cors_request_headers[i].data,
                       ngx_sf_cors_request_headers[i].len);
    }

    allowed.len = p - allowed.data;

    if (allowed.len == 0) {
        return NGX_OK;
    }

    return ngx_sf_header_add(r, "Access-Control-Allow-Headers", &allowed);
}


/* whether a list of names, separated by commas, has this one */

static ngx_uint_t
ngx_sf_cors_names(const ngx_str_t *list, const ngx_str_t *name)
{
    u_char  *p, *last, *start;

    p = list->data;
    last = list->data + list->len;

    while (p < last) {
        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        start = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            p++;
        }

        if ((size_t) (p - start) == name->len
            && ngx_strncasecmp(start, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}

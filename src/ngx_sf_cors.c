
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


typedef struct {
    const char                 *name;
    ngx_str_t                   value;
} ngx_sf_cors_header_t;


static ngx_int_t ngx_sf_cors_add(ngx_http_request_t *r,
    const ngx_sf_cors_header_t *header);


static const ngx_sf_cors_header_t  ngx_sf_cors_answer[] = {
    { "Access-Control-Allow-Credentials", ngx_string("true") },
    { "Access-Control-Expose-Headers",
      ngx_string("Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining") },
    { NULL, ngx_null_string }
};

static const ngx_sf_cors_header_t  ngx_sf_cors_preflight[] = {
    { "Access-Control-Allow-Credentials", ngx_string("true") },
    { "Access-Control-Allow-Methods",
      ngx_string("DELETE, GET, OPTIONS, POST, PUT") },
    { "Access-Control-Allow-Headers",
      ngx_string("Authorization, Content-Type, X-Requested-With") },
    { "Access-Control-Max-Age", ngx_string("600") },
    { NULL, ngx_null_string }
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

        return ngx_sf_cors_add(r, preflight ? ngx_sf_cors_preflight
                                            : ngx_sf_cors_answer);
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

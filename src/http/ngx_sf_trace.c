
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What a request is called elsewhere: by X-Request-Id, which a client or a
 * balancer in front may have given it, and the trace of W3C Trace Context.
 * What does not look like one is not taken over, as it goes to logs.
 */


#include "ngx_sf_http.h"


#define NGX_SF_TRACE_REQUEST_ID  64       /* bytes at most */
#define NGX_SF_TRACE_OWN_ID      8        /* of $request_id, as the original */


static ngx_uint_t ngx_sf_trace_plain(const ngx_str_t *text);
static ngx_uint_t ngx_sf_trace_hex(const u_char *p, size_t len);


/*
 * nginx's $request_id is made from random bytes when it is first asked for, and
 * is the same for the rest of the request.
 */

void
ngx_sf_trace_request_id(ngx_http_request_t *r, ngx_str_t *id)
{
    const ngx_str_t            *given;
    ngx_sf_main_conf_t         *smcf;
    ngx_http_variable_value_t  *v;

    given = ngx_sf_header_find(r, "x-request-id");

    if (given && ngx_sf_trace_plain(given)) {
        *id = *given;
        return;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);
    v = ngx_http_get_indexed_variable(r, smcf->request_id);

    id->len = v && !v->not_found ? ngx_min(v->len, NGX_SF_TRACE_OWN_ID) : 0;
    id->data = v ? v->data : NULL;
}


static ngx_uint_t
ngx_sf_trace_plain(const ngx_str_t *text)
{
    u_char      c;
    ngx_uint_t  i;

    if (text->len == 0 || text->len > NGX_SF_TRACE_REQUEST_ID) {
        return 0;
    }

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
              || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.'
              || c == ':'))
        {
            return 0;
        }
    }

    return 1;
}


/* version-trace-parent-flags; later versions may say more after that */

void
ngx_sf_trace_id(ngx_http_request_t *r, ngx_str_t *id)
{
    u_char           *p;
    const ngx_str_t  *parent;

    static const u_char  zeroes[] = "00000000000000000000000000000000";

    ngx_str_null(id);

    parent = ngx_sf_header_find(r, "traceparent");

    if (parent == NULL || parent->len < 55) {
        return;
    }

    p = parent->data;

    if (!ngx_sf_trace_hex(p, 2) || p[2] != '-'
        || !ngx_sf_trace_hex(p + 3, 32) || p[35] != '-'
        || !ngx_sf_trace_hex(p + 36, 16) || p[52] != '-'
        || !ngx_sf_trace_hex(p + 53, 2)
        || ngx_memcmp(p, "ff", 2) == 0
        || ngx_memcmp(p + 3, zeroes, 32) == 0
        || ngx_memcmp(p + 36, zeroes, 16) == 0)
    {
        return;
    }

    if (parent->len > 55
        && (ngx_memcmp(p, "00", 2) == 0 || p[55] != '-'))
    {
        return;
    }

    id->data = p + 3;
    id->len = 32;
}


static ngx_uint_t
ngx_sf_trace_hex(const u_char *p, size_t len)
{
    ngx_uint_t  i;

    for (i = 0; i < len; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'))) {
            return 0;
        }
    }

    return 1;
}

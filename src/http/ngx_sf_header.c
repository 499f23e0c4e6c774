
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Headers: finding and reading those of a request, adding those of a response.
 *
 * Responses' headers are only put on the list: the pointers that nginx keeps to
 * some of them differ between its versions.
 *
 * Conditions (RFC 9110, 13) are judged by nginx's filter when the headers are
 * sent.  It answers 412 as a page of its own and takes a date of modification
 * that nothing has here for one that has passed, so If-Match is looked at
 * before and dates are kept from it.
 */


#include "ngx_sf_http.h"


static ngx_uint_t ngx_sf_header_weight(u_char *p, u_char *last);


/*
 * nginx sends a header whose hash is not 0; key and value must live as long as
 * r.
 */

ngx_int_t
ngx_sf_header_push(ngx_http_request_t *r, const char *name, size_t len,
    const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = len;
    h->value = *value;

    return NGX_OK;
}


/* for names that nginx keeps no pointer to in all of its versions */

const ngx_str_t *
ngx_sf_header_search(ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_memcmp(h[i].lowcase_key, name, len) == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}


/* an element ends at a comma, also where a parameter is quoted */

ngx_int_t
ngx_sf_header_next(u_char **pp, u_char *last, ngx_str_t *name,
    ngx_uint_t *weight)
{
    u_char  *p, *comma;

    p = *pp;

    while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
        p++;
    }

    if (p == last) {
        return NGX_DONE;
    }

    comma = ngx_strlchr(p, last, ',');

    if (comma == NULL) {
        comma = last;
    }

    name->data = p;

    while (p < comma && *p != ';' && *p != ' ' && *p != '\t') {
        p++;
    }

    name->len = p - name->data;
    *weight = ngx_sf_header_weight(p, comma);
    *pp = comma;

    return NGX_OK;
}


/* ;q=0.123 in thousandths, after other parameters; 1000 when there is none */

static ngx_uint_t
ngx_sf_header_weight(u_char *p, u_char *last)
{
    ngx_uint_t  n, unit;

    for ( ;; ) {
        while (p < last && (*p == ';' || *p == ' ' || *p == '\t')) {
            p++;
        }

        if (last - p < 3) {
            return 1000;
        }

        if ((*p == 'q' || *p == 'Q') && p[1] == '=') {
            break;
        }

        while (p < last && *p != ';') {
            p++;
        }
    }

    p += 2;
    n = *p == '1' ? 1000 : 0;

    if (p + 1 == last || p[1] != '.') {
        return n;
    }

    unit = 100;

    for (p += 2; p < last && *p >= '0' && *p <= '9' && unit; p++) {
        n += (*p - '0') * unit;
        unit /= 10;
    }

    return ngx_min(n, 1000);
}


/*
 * As nginx's own filter does it (ngx_http_not_modified_filter_module.c,
 * ngx_http_test_if_match()), so that both come to the same result.
 */

ngx_uint_t
ngx_sf_header_lists(const ngx_str_t *list, const ngx_str_t *etag,
    ngx_uint_t weak)
{
    u_char  *p, *last;

    p = list->data;
    last = p + list->len;

    if (list->len == 1 && *p == '*') {
        return 1;
    }

    while (etag && p < last) {
        if (weak && last - p > 2 && p[0] == 'W' && p[1] == '/') {
            p += 2;
        }

        if ((size_t) (last - p) >= etag->len
            && ngx_memcmp(p, etag->data, etag->len) == 0)
        {
            p += etag->len;

            while (p < last && (*p == ' ' || *p == '\t')) {
                p++;
            }

            if (p == last || *p == ',') {
                return 1;
            }
        }

        while (p < last && *p != ',') {
            p++;
        }

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }
    }

    return 0;
}


ngx_uint_t
ngx_sf_header_matches(ngx_http_request_t *r, const ngx_str_t *etag)
{
    return r->headers_in.if_match == NULL || !ngx_sf_header_conditional(r)
           || ngx_sf_header_lists(&r->headers_in.if_match->value, etag, 0);
}


ngx_uint_t
ngx_sf_header_conditional(ngx_http_request_t *r)
{
    return r == r->main
           && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
           && (r->err_status == 0 || r->err_status == NGX_HTTP_OK)
           && !r->disable_not_modified;
}


ngx_int_t
ngx_sf_header_send(ngx_http_request_t *r)
{
    /* no response has a date of modification: 13.1.3 and 13.1.4 */

    r->headers_in.if_modified_since = NULL;
    r->headers_in.if_unmodified_since = NULL;

    /* OPTIONS, and POST to a purge, select nothing: 13.2.1 */

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        r->headers_in.if_match = NULL;
        r->headers_in.if_none_match = NULL;
    }

    return ngx_http_send_header(r);
}

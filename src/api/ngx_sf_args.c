
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The query string: which raw values it holds for the parameters of an
 * endpoint.
 *
 * It is read once.  Of a repeated key the first occurrence wins; names and
 * values are percent-decoded, "+" is a blank, bytes that are not UTF-8 become
 * U+FFFD.  What a value means is up to ngx_sf_param.c.
 */


#include "ngx_sf_api.h"


static ngx_int_t ngx_sf_args_decode(ngx_pool_t *pool, u_char *p, u_char *last,
    ngx_str_t *out);
static size_t ngx_sf_args_sequence(const u_char *p, const u_char *last);


/* rows' names and aliases are few: a linear look at each key is enough */

ngx_int_t
ngx_sf_args_read(ngx_pool_t *pool, const ngx_str_t *args,
    const ngx_sf_param_t *rows, ngx_str_t *raw, ngx_str_t *alias)
{
    u_char      *p, *last, *end, *eq;
    ngx_str_t    key, *slot;
    ngx_uint_t   i;

    p = args->data;
    last = p + args->len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');

        if (eq == NULL) {
            eq = end;
        }

        if (ngx_sf_args_decode(pool, p, eq, &key) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; rows[i].type != NGX_SF_PARAM_END; i++) {

            if (rows[i].path || rows[i].type == NGX_SF_PARAM_LIST_ONE) {
                continue;
            }

            if (ngx_strlen(rows[i].name) == key.len
                && ngx_memcmp(rows[i].name, key.data, key.len) == 0)
            {
                slot = &raw[i];

            } else if (rows[i].alias
                       && ngx_strlen(rows[i].alias) == key.len
                       && ngx_memcmp(rows[i].alias, key.data, key.len) == 0)
            {
                slot = &alias[i];

            } else {
                continue;
            }

            if (slot->data) {
                continue;
            }

            if (ngx_sf_args_decode(pool, eq < end ? eq + 1 : end, end, slot)
                != NGX_OK
                || ngx_sf_args_utf8(pool, slot) != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* text that needs no decoding is not copied */

static ngx_int_t
ngx_sf_args_decode(ngx_pool_t *pool, u_char *p, u_char *last, ngx_str_t *out)
{
    u_char     *dst;
    ngx_int_t   high, low;

    out->data = p;
    out->len = last - p;

    while (p < last && *p != '%' && *p != '+') {
        p++;
    }

    if (p == last) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, out->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = out->data;
    out->data = dst;

    while (p < last) {
        if (*p == '+') {
            *dst++ = ' ';
            p++;
            continue;
        }

        if (*p == '%' && last - p > 2) {
            high = ngx_hextoi(p + 1, 1);
            low = ngx_hextoi(p + 2, 1);

            if (high != NGX_ERROR && low != NGX_ERROR) {
                *dst++ = (u_char) (high * 16 + low);
                p += 3;
                continue;
            }
        }

        *dst++ = *p++;
    }

    out->len = dst - out->data;

    return NGX_OK;
}


/* text that is UTF-8 is not copied */

ngx_int_t
ngx_sf_args_utf8(ngx_pool_t *pool, ngx_str_t *text)
{
    size_t   n;
    u_char  *p, *last, *dst;

    p = text->data;
    last = p + text->len;

    while (p < last && *p < 0x80) {
        p++;
    }

    if (p == last) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(pool, 3 * text->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = text->data;
    text->data = dst;

    while (p < last) {
        n = ngx_sf_args_sequence(p, last);

        if (n == 0) {
            dst = ngx_cpymem(dst, "\xef\xbf\xbd", 3);
            p++;
            continue;
        }

        dst = ngx_cpymem(dst, p, n);
        p += n;
    }

    text->len = dst - text->data;

    return NGX_OK;
}


/*
 * Length of the character at p, 0 if it is none (RFC 3629, section 4);
 * ngx_utf8_decode() takes any byte from 0x80 on for a continuation.
 */

static size_t
ngx_sf_args_sequence(const u_char *p, const u_char *last)
{
    size_t  i, n;
    u_char  low, high;

    if (*p < 0x80) {
        return 1;
    }

    if (*p < 0xc2 || *p > 0xf4) {
        return 0;
    }

    n = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

    if (n > (size_t) (last - p)) {
        return 0;
    }

    low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
    high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;

    if (p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }

    return n;
}

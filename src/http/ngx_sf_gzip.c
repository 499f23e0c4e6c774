
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Compressed forms of responses in the zone.
 *
 * A form is made once, when the first client asks for it, and lies beside its
 * response until both go.  It has an ETag of its own: that of the response with
 * "gz" in place of the last two digits, so that either can be told from the
 * other without looking at a body.
 *
 * Responses that are not in the zone are left to nginx's gzip filter; that
 * leaves alone what has a Content-Encoding already.  Filters that read or add
 * to a body do not look at that, and run after this: softfactory_gzip off is
 * for locations that have one.
 *
 * (RFC 9110, 8.8.3 ETag and 12.5.3 Accept-Encoding; RFC 1952.)
 */


#include "ngx_sf_http.h"

#include <zlib.h>


#define NGX_SF_GZIP_MIN    256            /* bytes; below it only grows */
#define NGX_SF_GZIP_MAX    (256 * 1024)   /* bytes; above it takes too long */
#define NGX_SF_GZIP_LEVEL  5
#define NGX_SF_GZIP_WRAP   (MAX_WBITS + 16)   /* gzip, not zlib */


static void ngx_sf_gzip_etag(const u_char *etag, u_char *form);
static ngx_uint_t ngx_sf_gzip_validates(ngx_sf_ctx_t *ctx);
static ngx_sf_entry_t *ngx_sf_gzip_form(ngx_sf_ctx_t *ctx);
static void ngx_sf_gzip_make(ngx_sf_ctx_t *ctx, ngx_sf_entry_t *value);
static ngx_uint_t ngx_sf_gzip_is(const ngx_str_t *name, const char *coding);


void
ngx_sf_gzip_choose(ngx_sf_ctx_t *ctx)
{
    const ngx_str_t     *header;
    ngx_table_elt_t     *h;
    ngx_sf_entry_t      *form;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (!ctx->slcf->gzip || ctx->slcf->zone == NULL
        || ctx->endpoint->response == NULL || ctx->etag.len == 0)
    {
        return;
    }

    ctx->varies = 1;

    /* what a subrequest sends goes into another body */

    if (r != r->main || ctx->wait.found.value == NULL
        || ctx->body.len < NGX_SF_GZIP_MIN
        || ctx->body.len > NGX_SF_GZIP_MAX
        || r->http_version < NGX_HTTP_VERSION_11)
    {
        return;
    }

    header = ngx_sf_header_find(r, "accept-encoding");

    if (header == NULL || !ngx_sf_gzip_accepted(header)
        || ngx_sf_gzip_validates(ctx))
    {
        return;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    form = ngx_sf_gzip_form(ctx);

    if (form == NULL) {
        return;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Content-Encoding");
    ngx_str_set(&h->value, "gzip");

    r->headers_out.content_encoding = h;

    ctx->body.data = form->data;
    ctx->body.len = form->len;
    ctx->etag.data = form->etag;
}


static void
ngx_sf_gzip_etag(const u_char *etag, u_char *form)
{
    ngx_memcpy(form, etag, NGX_SF_ETAG_LEN);

    form[NGX_SF_ETAG_LEN - 3] = 'g';
    form[NGX_SF_ETAG_LEN - 2] = 'z';
}


/*
 * A client may hold either form, and both are current: it is told so by the
 * tag that it has, which nginx's filter then finds in the same way.  No body
 * is needed for that.  Where the filter would send one all the same, its tag
 * must be its own.
 */

static ngx_uint_t
ngx_sf_gzip_validates(ngx_sf_ctx_t *ctx)
{
    u_char               etag[NGX_SF_ETAG_LEN];
    ngx_str_t            form;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->headers_in.if_none_match == NULL || !ngx_sf_header_conditional(r)) {
        return 0;
    }

    if (ngx_sf_header_lists(&r->headers_in.if_none_match->value, &ctx->etag,
                            1))
    {
        return 1;
    }

    ngx_sf_gzip_etag(ctx->etag.data, etag);

    form.data = etag;
    form.len = NGX_SF_ETAG_LEN;

    if (!ngx_sf_header_lists(&r->headers_in.if_none_match->value, &form, 1)) {
        return 0;
    }

    form.data = ngx_pnalloc(r->pool, NGX_SF_ETAG_LEN);

    if (form.data == NULL) {
        return 0;
    }

    ngx_memcpy(form.data, etag, NGX_SF_ETAG_LEN);
    ctx->etag.data = form.data;

    return 1;
}


/* the form in place of the response; NULL: there is none, or none yet */

static ngx_sf_entry_t *
ngx_sf_gzip_form(ngx_sf_ctx_t *ctx)
{
    ngx_uint_t       make;
    ngx_sf_zone_t   *zone;
    ngx_sf_entry_t  *form;

    zone = ctx->wait.zone;
    form = ngx_sf_cache_gzip(zone, ctx->wait.found.value, &make);

    if (form == NULL && make) {
        ngx_sf_gzip_make(ctx, ctx->wait.found.value);
        form = ngx_sf_cache_gzip(zone, ctx->wait.found.value, &make);
    }

    if (form) {
        ctx->wait.found.value = form;
    }

    return form;
}


static void
ngx_sf_gzip_make(ngx_sf_ctx_t *ctx, ngx_sf_entry_t *value)
{
    u_char     etag[NGX_SF_ETAG_LEN], *out;
    size_t     size;
    z_stream   z;

    ngx_memzero(&z, sizeof(z_stream));

    if (deflateInit2(&z, NGX_SF_GZIP_LEVEL, Z_DEFLATED, NGX_SF_GZIP_WRAP,
                     MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return;
    }

    /* a form that is not smaller is of no use */

    size = value->len - 1;
    out = ngx_pnalloc(ctx->request->pool, size);

    if (out) {
        z.next_in = value->data;
        z.avail_in = value->len;
        z.next_out = out;
        z.avail_out = size;

        if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
            ngx_sf_gzip_etag(value->etag, etag);
            ngx_sf_cache_attach(ctx->wait.zone, value, etag, out, z.total_out,
                                ctx->slcf->max_entry);
        }

        (void) ngx_pfree(ctx->request->pool, out);
    }

    (void) deflateEnd(&z);
}


/*
 * The weight of gzip, or that of *, against that of identity; identity is
 * acceptable unless it is said otherwise.
 */

ngx_uint_t
ngx_sf_gzip_accepted(const ngx_str_t *header)
{
    u_char      *p, *last;
    ngx_int_t    gzip, any, identity;
    ngx_str_t    name;
    ngx_uint_t   weight;

    gzip = -1;
    any = -1;
    identity = -1;

    p = header->data;
    last = p + header->len;

    while (ngx_sf_header_next(&p, last, &name, &weight) == NGX_OK) {

        if (ngx_sf_gzip_is(&name, "gzip") || ngx_sf_gzip_is(&name, "x-gzip")) {
            gzip = weight;

        } else if (ngx_sf_gzip_is(&name, "*")) {
            any = weight;

        } else if (ngx_sf_gzip_is(&name, "identity")) {
            identity = weight;
        }
    }

    if (gzip == -1) {
        gzip = any;
    }

    return gzip > 0 && gzip >= identity;
}


static ngx_uint_t
ngx_sf_gzip_is(const ngx_str_t *name, const char *coding)
{
    return name->len == ngx_strlen(coding)
           && ngx_strncasecmp(name->data, (u_char *) coding, name->len) == 0;
}

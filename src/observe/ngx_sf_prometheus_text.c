
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * How samples are written for Prometheus: into a chain of buffers, a line at a
 * time.
 */


#include "ngx_sf_prometheus.h"


#define NGX_SF_PROMETHEUS_BUF   (32 * 1024)
#define NGX_SF_PROMETHEUS_LINE  1024      /* bytes at most */


static ngx_int_t ngx_sf_prometheus_room(ngx_sf_prometheus_t *ex);


void
ngx_sf_prometheus_line(ngx_sf_prometheus_t *ex, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    if (ngx_sf_prometheus_room(ex) != NGX_OK) {
        ex->failed = 1;
        return;
    }

    p = ex->b->last;

    va_start(args, fmt);
    ex->b->last = ngx_vslprintf(p, p + NGX_SF_PROMETHEUS_LINE, fmt, args);
    va_end(args);

    ex->size += ex->b->last - p;
}


static ngx_int_t
ngx_sf_prometheus_room(ngx_sf_prometheus_t *ex)
{
    ngx_chain_t  *cl;

    if (ex->b && ex->b->end - ex->b->last >= NGX_SF_PROMETHEUS_LINE) {
        return NGX_OK;
    }

    cl = ngx_alloc_chain_link(ex->r->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = ngx_create_temp_buf(ex->r->pool, NGX_SF_PROMETHEUS_BUF);
    if (cl->buf == NULL) {
        return NGX_ERROR;
    }

    cl->next = NULL;

    *ex->end = cl;
    ex->end = &cl->next;
    ex->b = cl->buf;

    return NGX_OK;
}


void
ngx_sf_prometheus_escape(u_char *buf, const u_char *text, size_t len)
{
    u_char  *last;
    size_t   i;

    last = buf + NGX_SF_PROMETHEUS_NAME - 2;

    for (i = 0; i < len && buf < last; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            *buf++ = '\\';
        }

        /* what is no ASCII may be no UTF-8 either */

        *buf++ = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
    }

    *buf = '\0';
}


void
ngx_sf_prometheus_histogram(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family, const char *label, const char *value,
    const ngx_sf_histogram_t *histogram)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        n += histogram->bucket[i];

        ngx_sf_prometheus_line(ex, "%s_bucket{%s=\"%s\",le=\"%s\"} %uL\n",
                               family->name, label, value,
                               ngx_sf_histogram_names[i], n);
    }

    ngx_sf_prometheus_line(ex, "%s_sum{%s=\"%s\"} %uL.%06uL\n",
                           family->name, label, value,
                           histogram->sum / 1000000,
                           histogram->sum % 1000000);
    ngx_sf_prometheus_line(ex, "%s_count{%s=\"%s\"} %uL\n", family->name,
                           label, value, n);
}

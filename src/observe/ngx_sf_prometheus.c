
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The location that Prometheus scrapes: all that is counted, as text.
 *
 * (Prometheus, Exposition Formats, text format 0.0.4; OpenMetrics 1.0.0,
 * where Accept asks for that.  The two differ in the names of counters'
 * families and in the end.)
 *
 * It asks no database, and opens nothing.
 */


#include "ngx_sf_prometheus.h"


static ngx_uint_t ngx_sf_prometheus_open(ngx_http_request_t *r);
static ngx_int_t ngx_sf_prometheus_prepare(ngx_sf_prometheus_t *ex);
static void ngx_sf_prometheus_write(ngx_sf_prometheus_t *ex);
static ngx_int_t ngx_sf_prometheus_send(ngx_sf_prometheus_t *ex);


ngx_int_t
ngx_sf_prometheus_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_sf_prometheus_t  *ex;

    if (ngx_sf_status_refused(r, &rc)) {
        return rc;
    }

    ex = ngx_pcalloc(r->pool, sizeof(ngx_sf_prometheus_t));
    if (ex == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ex->r = r;
    ex->smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);
    ex->metrics = ex->smcf->metrics;
    ex->open = ngx_sf_prometheus_open(r);
    ex->end = &ex->out;

    if (ngx_sf_prometheus_prepare(ex) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_sf_prometheus_write(ex);

    if (ex->failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_sf_prometheus_send(ex);
}


/*
 * Whether OpenMetrics is asked for, and not less than text (RFC 9110, 12.5.1).
 * It has to be named: a client that takes anything gets text.
 */

static ngx_uint_t
ngx_sf_prometheus_open(ngx_http_request_t *r)
{
    u_char           *p, *last;
    ngx_int_t         i, weights[3];
    ngx_str_t         name;
    ngx_uint_t        weight, open;
    const ngx_str_t  *accept;

    /* a later one that fits is more to the point */

    static const ngx_str_t  text[] = { ngx_string("*/*"),
                                       ngx_string("text/*"),
                                       ngx_string("text/plain") };
    static const ngx_str_t  type =
                                  ngx_string("application/openmetrics-text");

    accept = ngx_sf_header_find(r, "accept");

    if (accept == NULL) {
        return 0;
    }

    open = 0;
    weights[0] = weights[1] = weights[2] = -1;

    p = accept->data;
    last = p + accept->len;

    while (ngx_sf_header_next(&p, last, &name, &weight) == NGX_OK) {

        if (name.len == type.len
            && ngx_strncasecmp(name.data, type.data, type.len) == 0)
        {
            open = ngx_max(open, weight);
        }

        for (i = 0; i < 3; i++) {
            if (name.len == text[i].len
                && ngx_strncasecmp(name.data, text[i].data, name.len) == 0)
            {
                weights[i] = ngx_max(weights[i], (ngx_int_t) weight);
            }
        }
    }

    for (i = 2; i > 0 && weights[i] == -1; i--) { /* void */ }

    return open > 0 && (ngx_int_t) open >= weights[i];
}


/* what has been counted and published up to now */

static ngx_int_t
ngx_sf_prometheus_prepare(ngx_sf_prometheus_t *ex)
{
    ngx_uint_t       i;
    ngx_sf_zone_t  **zone;

    ex->facts = ngx_palloc(ex->r->pool, ex->smcf->zones.nelts
                                        * sizeof(ngx_sf_zone_facts_t) + 1);

    if (ex->facts == NULL) {
        return NGX_ERROR;
    }

    zone = ex->smcf->zones.elts;

    for (i = 0; i < ex->smcf->zones.nelts; i++) {
        ngx_sf_zone_facts(zone[i], &ex->facts[i]);
    }

    ngx_sf_gauges_publish(ex->smcf->worker);

    if (ngx_sf_gauges_sum(ex->metrics, ex->r->pool, &ex->gauges) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_sf_metrics_sum(ex->metrics, ex->r->pool, &ex->sum);
}


static void
ngx_sf_prometheus_write(ngx_sf_prometheus_t *ex)
{
    size_t                  len;
    const ngx_sf_family_t  *family;

    for (family = ngx_sf_families; family->name; family++) {
        len = ngx_strlen(family->name);

        /* OpenMetrics: _total belongs to the sample, not to the family */

        if (ex->open && ngx_strcmp(family->type, "counter") == 0) {
            len -= sizeof("_total") - 1;
        }

        ngx_sf_prometheus_line(ex, "# HELP %*s %s\n# TYPE %*s %s\n",
                               len, family->name, family->help, len,
                               family->name, family->type);

        family->write(ex, family);
    }

    if (ex->open) {
        ngx_sf_prometheus_line(ex, "# EOF\n");
    }
}


static ngx_int_t
ngx_sf_prometheus_send(ngx_sf_prometheus_t *ex)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ex->r;

    ex->b->last_buf = r == r->main;
    ex->b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = ex->size;

    if (ex->open) {
        ngx_str_set(&r->headers_out.content_type,
                    "application/openmetrics-text; version=1.0.0; "
                    "charset=utf-8");
        r->headers_out.content_type_len = sizeof("application/"
                                                 "openmetrics-text") - 1;

    } else {
        ngx_str_set(&r->headers_out.content_type,
                    "text/plain; version=0.0.4; charset=utf-8");
        r->headers_out.content_type_len = sizeof("text/plain") - 1;
    }

    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_sf_header_send(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, ex->out);
}

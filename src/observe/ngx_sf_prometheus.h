
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_PROMETHEUS_H_INCLUDED_
#define _NGX_SF_PROMETHEUS_H_INCLUDED_


#include "ngx_sf_observe.h"


/*
 * The text that Prometheus reads: a list of families, and what their writers
 * need to put out samples.  The location, ngx_sf_prometheus.c, walks the list.
 */

#define NGX_SF_PROMETHEUS_NAME  (2 * NGX_SF_METRICS_NAME)


typedef struct {
    ngx_http_request_t         *r;
    ngx_sf_main_conf_t         *smcf;
    ngx_sf_metrics_t           *metrics;
    ngx_sf_counts_t             sum;
    ngx_sf_gauges_t             gauges;
    ngx_sf_zone_facts_t        *facts;    /* by zone */
    ngx_chain_t                *out;
    ngx_chain_t               **end;
    ngx_buf_t                  *b;        /* the last one */
    off_t                       size;
    unsigned                    open:1;   /* OpenMetrics */
    unsigned                    failed:1;
} ngx_sf_prometheus_t;

typedef struct ngx_sf_family_s  ngx_sf_family_t;

typedef void (*ngx_sf_family_pt)(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);

struct ngx_sf_family_s {
    const char                 *name;
    const char                 *type;
    const char                 *help;
    ngx_sf_family_pt            write;
    size_t                      offset;   /* of what is written */
};


/* --- ngx_sf_prometheus_text.c: how it is written --- */

/* lines, of NGX_SF_PROMETHEUS_LINE bytes at most; a failure is kept in ex */
void ngx_sf_prometheus_line(ngx_sf_prometheus_t *ex, const char *fmt, ...);

/* a label's value; buf has NGX_SF_PROMETHEUS_NAME bytes, longer text is cut */
void ngx_sf_prometheus_escape(u_char *buf, const u_char *text, size_t len);

/* all samples of a histogram with one label */
void ngx_sf_prometheus_histogram(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family, const char *label, const char *value,
    const ngx_sf_histogram_t *histogram);


/* --- ngx_sf_family.c: what is shown --- */

extern const ngx_sf_family_t  ngx_sf_families[];  /* ended by a NULL name */


#endif /* _NGX_SF_PROMETHEUS_H_INCLUDED_ */

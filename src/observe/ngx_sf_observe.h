
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What operators, balancers and scrapers are shown.
 */


#ifndef _NGX_SF_OBSERVE_H_INCLUDED_
#define _NGX_SF_OBSERVE_H_INCLUDED_


#include "ngx_sf_http.h"


/* --- ngx_sf_gauge.c: what workers tell once a second --- */

typedef struct {
    ngx_uint_t                  workers;
    ngx_uint_t                  memory;   /* bytes */
    ngx_uint_t                  bodies;   /* bytes */
    ngx_sf_server_gauge_t      *servers;  /* by place, as the next */
    ngx_sf_upstream_gauge_t    *upstreams;
} ngx_sf_gauges_t;

/* begins to publish; NGX_ERROR: memory is short */
ngx_int_t ngx_sf_gauges_start(ngx_sf_worker_t *worker);
void ngx_sf_gauges_stop(ngx_sf_worker_t *worker);

/* the gauges of this worker, now */
void ngx_sf_gauges_publish(ngx_sf_worker_t *worker);

/* those of all, added up; NGX_ERROR: memory is short */
ngx_int_t ngx_sf_gauges_sum(ngx_sf_metrics_t *metrics, ngx_pool_t *pool,
    ngx_sf_gauges_t *sum);


/* --- the operator's locations: content handlers --- */

ngx_int_t ngx_sf_purge_handler(ngx_http_request_t *r);
ngx_int_t ngx_sf_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_sf_live_handler(ngx_http_request_t *r);
ngx_int_t ngx_sf_report_handler(ngx_http_request_t *r);
ngx_int_t ngx_sf_prometheus_handler(ngx_http_request_t *r);

/*
 * What they begin with, as they only show: whether a request is no GET or
 * HEAD, asks for a tag that nothing here has, or cannot be read, and has been
 * answered; the handler returns *rc then.
 */
ngx_uint_t ngx_sf_status_refused(ngx_http_request_t *r, ngx_int_t *rc);


#endif /* _NGX_SF_OBSERVE_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_HISTOGRAM_H_INCLUDED_
#define _NGX_SF_HISTOGRAM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Times by their length: how many fell into each bucket, in microseconds. */

#define NGX_SF_HISTOGRAM_BUCKETS  19

typedef struct {
    uint64_t                    bucket[NGX_SF_HISTOGRAM_BUCKETS];
    uint64_t                    sum;
} ngx_sf_histogram_t;


/* upper bounds of all buckets but the last, and all as Prometheus calls them
   (seconds) */
extern const ngx_uint_t
    ngx_sf_histogram_bounds[NGX_SF_HISTOGRAM_BUCKETS - 1];
extern const char *const
    ngx_sf_histogram_names[NGX_SF_HISTOGRAM_BUCKETS];

void ngx_sf_histogram_add(ngx_sf_histogram_t *histogram, uint64_t us);
uint64_t ngx_sf_histogram_count(const ngx_sf_histogram_t *histogram);

/*
 * Microseconds below which a part p (0..1) of all lies, by interpolation in
 * its bucket, and not above high, where that is not 0; 0 when there is none.
 * Above the last bound nothing is known but high.
 */
double ngx_sf_histogram_quantile(const uint64_t *bucket, double p,
    ngx_uint_t high);


#endif /* _NGX_SF_HISTOGRAM_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Histograms: what falls into which bucket, and percentiles out of them.
 */


#include "ngx_sf_histogram.h"
#include "unit.h"


static ngx_sf_histogram_t  test_histogram;


static double
test_quantile(double p, ngx_uint_t high)
{
    uint64_t    bucket[NGX_SF_HISTOGRAM_BUCKETS];
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        bucket[i] = test_histogram.bucket[i];
    }

    return ngx_sf_histogram_quantile(bucket, p, high);
}


/* a bound belongs to its bucket, as "le" says */

static void
test_bounds(void)
{
    ngx_uint_t          i, good;
    ngx_sf_histogram_t  h;

    good = 1;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS - 1; i++) {
        ngx_memzero(&h, sizeof(h));
        ngx_sf_histogram_add(&h, ngx_sf_histogram_bounds[i]);
        ngx_sf_histogram_add(&h, ngx_sf_histogram_bounds[i] + 1);

        good &= h.bucket[i] == 1 && h.bucket[i + 1] == 1
                && h.sum == 2 * ngx_sf_histogram_bounds[i] + 1
                && ngx_sf_histogram_count(&h) == 2;
    }

    unit_ok(good, "a bound is in its bucket, what is above in the next");

    good = 1;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS - 1; i++) {
        good &= ngx_sf_histogram_bounds[i]
                == (ngx_uint_t) (strtod(ngx_sf_histogram_names[i], NULL)
                                 * 1000000 + 0.5);
    }

    unit_ok(good, "the names of the bounds are the bounds, in seconds");
}


static void
test_quantiles(void)
{
    ngx_uint_t  i;

    ngx_memzero(&test_histogram, sizeof(test_histogram));

    unit_ok(test_quantile(0.5, 0) == 0, "nothing has no percentile");

    for (i = 0; i < 100; i++) {
        ngx_sf_histogram_add(&test_histogram, 200);
    }

    unit_ok(test_quantile(0.5, 0) == 175, "half of a bucket is its middle");
    unit_ok(test_quantile(1, 0) == 250, "all of it is its bound");
    unit_ok(test_quantile(1, 200) == 200, "but not above the highest");
    unit_ok(test_quantile(0.5, 200) == 150, "which ends the bucket");

    for (i = 0; i < 100; i++) {
        ngx_sf_histogram_add(&test_histogram, 9000000);
    }

    unit_ok(test_quantile(0.5, 9000000) == 250, "the first half is below");
    unit_ok(test_quantile(0.75, 9000000) == 7000000,
            "above the last bound up to the highest");
    unit_ok(test_quantile(0.75, 0) == 5000000,
            "or it is not known, and the last bound");
    unit_ok(test_quantile(0, 0) == 100, "none of it is where it begins");
}


int
main(void)
{
    unit_init();

    test_bounds();
    test_quantiles();

    return unit_done();
}

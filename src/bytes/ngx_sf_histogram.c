
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Times by their length.  The bounds are fixed, so that histograms of workers
 * and of nodes can be added up.
 */


#include "ngx_sf_histogram.h"


/* those of the performance report from 0.1 s on, finer ones below */

const ngx_uint_t
ngx_sf_histogram_bounds[NGX_SF_HISTOGRAM_BUCKETS - 1] = {
    10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000,
    250000, 500000, 1000000, 2500000, 5000000
};

const char *const
ngx_sf_histogram_names[NGX_SF_HISTOGRAM_BUCKETS] = {
    "0.00001", "0.000025", "0.00005", "0.0001", "0.00025", "0.0005", "0.001",
    "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0",
    "2.5", "5.0", "+Inf"
};


void
ngx_sf_histogram_add(ngx_sf_histogram_t *histogram, uint64_t us)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS - 1; i++) {
        if (us <= ngx_sf_histogram_bounds[i]) {
            break;
        }
    }

    histogram->bucket[i]++;
    histogram->sum += us;
}


uint64_t
ngx_sf_histogram_count(const ngx_sf_histogram_t *histogram)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        n += histogram->bucket[i];
    }

    return n;
}


/*
 * Within its bucket a time is taken to lie where its rank does, as Prometheus'
 * histogram_quantile() does it.  The last bucket has no upper bound: it is the
 * longest time, high, where that is known (0: it is not), which also bounds the
 * bucket that it is in.
 */

double
ngx_sf_histogram_quantile(const uint64_t *bucket, double p, ngx_uint_t high)
{
    double      rank, below, from, to;
    uint64_t    all;
    ngx_uint_t  i;

    all = 0;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        all += bucket[i];
    }

    if (all == 0) {
        return 0;
    }

    rank = p * all;
    below = 0;

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS - 1; i++) {
        if (bucket[i] && below + bucket[i] >= rank) {
            break;
        }

        below += bucket[i];
    }

    from = i ? ngx_sf_histogram_bounds[i - 1] : 0;
    to = i < NGX_SF_HISTOGRAM_BUCKETS - 1 ? ngx_sf_histogram_bounds[i]
                                        : ngx_max(high, from);

    if (high && high < to) {
        to = ngx_max(high, from);
    }

    if (bucket[i] == 0) {
        return to;
    }

    return from + (to - from) * (rank - below) / bucket[i];
}

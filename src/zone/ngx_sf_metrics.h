
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_METRICS_H_INCLUDED_
#define _NGX_SF_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_sf_histogram.h"
#include "ngx_sf_pg.h"
#include "ngx_sf_shm.h"


/*
 * What is counted, in shared memory of its own, so that it works with any
 * zone or none.
 *
 * A worker has a slot, claimed by pid, and adds to its own counters without a
 * lock; who reads adds up all slots, and what those left that have gone.
 * Gauges are published once a second.  Sizes are fixed, and so are labels:
 * the rows of the API, a table of statuses, names of upstreams and servers as
 * they were configured.  Times are microseconds where nothing else is said.
 *
 * Fields marked (m) are read and written under the mutex, those marked (o)
 * are written by their owner only.
 */

#define NGX_SF_METRICS_ENDPOINTS  64      /* rows, and two more */
#define NGX_SF_METRICS_SLOTS      NGX_SF_SLOTS
#define NGX_SF_METRICS_UPSTREAMS  16
#define NGX_SF_METRICS_SERVERS    64
#define NGX_SF_METRICS_NAME       96      /* bytes of a name, with its NUL */
#define NGX_SF_METRICS_METHODS    4
#define NGX_SF_METRICS_STATUSES   21
#define NGX_SF_METRICS_CLASSES    6       /* of a status, and 499 */
#define NGX_SF_METRICS_KINDS      4       /* ngx_sf_resource_e */
#define NGX_SF_METRICS_INTERVAL   5       /* seconds between two pasts */
#define NGX_SF_METRICS_PASTS      740     /* of an hour and a bit */
#define NGX_SF_METRICS_SLOW       16      /* slow requests, of a worker */
#define NGX_SF_METRICS_LAYOUT     2       /* of what sizes do not tell */


typedef struct ngx_sf_metrics_s     ngx_sf_metrics_t;
typedef struct ngx_sf_metrics_sh_s  ngx_sf_metrics_sh_t;


/* --- what is added up: words only, so that all of it is one loop --- */

typedef struct {
    uint64_t                    requests[NGX_SF_METRICS_METHODS]
                                        [NGX_SF_METRICS_STATUSES];
    uint64_t                    cache[NGX_SF_CACHE_STATUSES];
    uint64_t                    slow;
    ngx_sf_histogram_t          duration; /* of requests */
    ngx_sf_histogram_t          query;    /* of statements */
} ngx_sf_endpoint_counts_t;

/* requests that were passed on, and those that nobody behind has answered */

typedef struct {
    ngx_sf_histogram_t          duration[NGX_SF_METRICS_CLASSES];
    uint64_t                    failed;
} ngx_sf_fallback_counts_t;

typedef struct {
    ngx_sf_endpoint_counts_t    endpoints[NGX_SF_METRICS_ENDPOINTS];
    ngx_sf_fallback_counts_t    fallback;
    ngx_sf_histogram_t          queue[NGX_SF_PG_LANES];
    uint64_t                    errors[NGX_SF_PG_OUTCOMES];
    uint64_t                    flights[NGX_SF_METRICS_KINDS];
    uint64_t                    limited;  /* refused before they came to us */
    uint64_t                    bodies_refused;   /* softfactory_max_bodies */
    uint64_t                    evictions;    /* of all zones */
    uint64_t                    cpu;      /* of the process */
    uint64_t                    disconnects[NGX_SF_METRICS_UPSTREAMS]
                                           [NGX_SF_PG_CLOSE_REASONS];
} ngx_sf_counts_t;


/* --- what a worker publishes --- */

typedef enum {
    NGX_SF_GAUGE_CONNECTING = 0,
    NGX_SF_GAUGE_IDLE,
    NGX_SF_GAUGE_ACTIVE,        /* has statements in flight */
    NGX_SF_GAUGE_DRAINING,
    NGX_SF_GAUGE_STATES
} ngx_sf_gauge_e;

typedef struct {
    ngx_uint_t                  conns[NGX_SF_GAUGE_STATES];
    ngx_uint_t                  statements;
    ngx_uint_t                  statements_max;
} ngx_sf_lane_gauge_t;

typedef struct {
    ngx_uint_t                  used;     /* by this worker's configuration */
    ngx_sf_lane_gauge_t         lanes[NGX_SF_PG_LANES];
} ngx_sf_server_gauge_t;

typedef struct {
    ngx_uint_t                  used;
    ngx_uint_t                  up;
    ngx_uint_t                  queue[NGX_SF_PG_LANES];
    ngx_uint_t                  queue_max;
} ngx_sf_upstream_gauge_t;


/* shortest and longest request, 0: there was none */

typedef struct {
    ngx_uint_t                  low;
    ngx_uint_t                  high;
} ngx_sf_span_t;

/* of all, and of the last two intervals: one is written, one is read */

typedef struct {
    ngx_sf_span_t               all;
    ngx_sf_span_t               span[2];
    ngx_uint_t                  tick[2];  /* numbers of the intervals */
} ngx_sf_spans_t;


/* a request that took longer than softfactory_slow; texts end with NUL */

typedef struct {
    ngx_uint_t                  serial;   /* 0: none, or it is written to */
    time_t                      sec;
    ngx_uint_t                  msec;
    ngx_uint_t                  endpoint;
    ngx_uint_t                  status;
    ngx_uint_t                  cache;    /* ngx_sf_cache_status_e */
    int64_t                     user;     /* 0: not known */
    uint64_t                    total;
    uint64_t                    auth;
    uint64_t                    queue;
    uint64_t                    db;
    uint64_t                    write;
    u_char                      sqlstate[6];
    u_char                      id[65];
    u_char                      trace[33];
    u_char                      params[256];
} ngx_sf_slow_t;


typedef struct {
    ngx_atomic_t                pid;      /* (m) 0: free */
    ngx_sf_counts_t             counts;   /* (o) */
    ngx_sf_spans_t              spans[NGX_SF_METRICS_ENDPOINTS];  /* (o) */
    ngx_sf_server_gauge_t       servers[NGX_SF_METRICS_SERVERS];  /* (o) */
    ngx_sf_upstream_gauge_t     upstreams[NGX_SF_METRICS_UPSTREAMS];
                                          /* (o) */
    ngx_uint_t                  memory;   /* (o) bytes resident */
    ngx_uint_t                  bodies;   /* (o) bytes kept to be sent */
    ngx_sf_slow_t               slow[NGX_SF_METRICS_SLOW];    /* (o) */
} ngx_sf_metrics_slot_t;


/* --- how things stood at a time --- */

typedef struct {
    uint64_t                    requests;
    uint64_t                    errors;   /* 5xx */
    uint64_t                    slow;
    uint64_t                    queries;
    uint64_t                    cache[NGX_SF_CACHE_STATUSES];
    uint64_t                    bucket[NGX_SF_HISTOGRAM_BUCKETS];
    uint64_t                    sum;
    uint64_t                    query_sum;
    ngx_sf_span_t               span;     /* of the interval that it ends */
} ngx_sf_past_endpoint_t;

/* what a look at the machine brings; or sums of that, or peaks */

typedef struct {
    double                      cpu;      /* percent of all processors */
    double                      memory;   /* percent */
    double                      nginx_cpu;    /* percent of one processor */
    double                      nginx_memory; /* bytes */
} ngx_sf_machine_t;

typedef struct {
    time_t                      sec;
    ngx_uint_t                  msec;
    ngx_msec_t                  at;       /* ngx_current_msec */
    uint64_t                    evictions;
    uint64_t                    errors[NGX_SF_PG_OUTCOMES];
    uint64_t                    queue[NGX_SF_HISTOGRAM_BUCKETS];
    ngx_uint_t                  looks;    /* that machine is the sum of */
    ngx_sf_machine_t            machine;
    ngx_sf_machine_t            peak;     /* of the interval, as the next */
    ngx_uint_t                  queue_peak;
    ngx_uint_t                  under_way_peak;
    ngx_sf_fallback_counts_t    fallback;
    ngx_sf_past_endpoint_t      total;    /* of the API, and unknown paths */
    ngx_sf_past_endpoint_t      endpoints[NGX_SF_METRICS_ENDPOINTS];
} ngx_sf_past_t;


/* names: NUL is at the end, an empty one is free */

typedef struct {
    u_char                      name[NGX_SF_METRICS_NAME];
    ngx_uint_t                  upstream; /* of a server */
} ngx_sf_metrics_name_t;

struct ngx_sf_metrics_sh_s {
    uint64_t                    layout;
    ngx_sf_past_t               start;    /* its times; all else is 0 */
    ngx_sf_counts_t             gone;     /* (m) of workers that have left */
    ngx_sf_spans_t              gone_spans[NGX_SF_METRICS_ENDPOINTS]; /* (m) */
    ngx_sf_metrics_name_t       upstreams[NGX_SF_METRICS_UPSTREAMS];  /* (m) */
    ngx_sf_metrics_name_t       servers[NGX_SF_METRICS_SERVERS];  /* (m) */

    /* the rest is written by the worker that has won the second */

    ngx_atomic_t                second;   /* ngx_current_msec of the last */
    ngx_atomic_t                seconds;  /* number of them */
    ngx_atomic_t                tick;     /* number of intervals, from 1 */
    uint64_t                    ticks_busy;   /* of the processors, last */
    uint64_t                    ticks_all;
    uint64_t                    cpu;      /* of nginx, the same */
    ngx_msec_t                  looked;   /* when */
    ngx_sf_machine_t            machine;  /* of the last look */
    ngx_sf_machine_t            sum;      /* of all looks */
    ngx_uint_t                  looks;
    ngx_sf_machine_t            peak;     /* since the start */
    ngx_sf_machine_t            interval_peak;
    ngx_uint_t                  queue_peak;
    ngx_uint_t                  interval_queue_peak;
    ngx_uint_t                  interval_under_way_peak;
    ngx_atomic_t                npasts;
    ngx_sf_past_t               pasts[NGX_SF_METRICS_PASTS];
    ngx_sf_metrics_slot_t       slots[NGX_SF_METRICS_SLOTS];
};


/* --- ngx_sf_metrics.c: counting, and adding up --- */

struct ngx_sf_metrics_s {
    ngx_shm_zone_t             *shm_zone;
    ngx_uint_t                  nendpoints;   /* of the API */
    uint64_t                    layout;
    ngx_sf_metrics_sh_t        *sh;
    ngx_slab_pool_t            *shpool;
    ngx_sf_metrics_slot_t      *slot;     /* never NULL in a worker */
    ngx_uint_t                  nslow;
};

/* indexes beside those of the rows: paths that are none, principals */

#define ngx_sf_metrics_unknown(metrics)    ((metrics)->nendpoints)
#define ngx_sf_metrics_principal(metrics)  ((metrics)->nendpoints + 1)

/* names of what is counted, by index; status 0 is any other */
extern const char *const  ngx_sf_metrics_methods[NGX_SF_METRICS_METHODS];
extern const ngx_uint_t   ngx_sf_metrics_statuses[NGX_SF_METRICS_STATUSES];
extern const char *const  ngx_sf_metrics_classes[NGX_SF_METRICS_CLASSES];
extern const char *const  ngx_sf_metrics_lanes[NGX_SF_PG_LANES];
extern const char *const  ngx_sf_metrics_outcomes[NGX_SF_PG_OUTCOMES];
extern const char *const  ngx_sf_metrics_cache[NGX_SF_CACHE_STATUSES];

/* bytes of shared memory; a number that changes with what is in it */
size_t ngx_sf_metrics_size(void);
uint64_t ngx_sf_metrics_layout(void);

/* init callback; shm_zone->data is the ngx_sf_metrics_t */
ngx_int_t ngx_sf_metrics_init(ngx_shm_zone_t *shm_zone, void *data);

/* whether the segment of an old cycle cannot be taken over */
ngx_uint_t ngx_sf_metrics_differs(ngx_shm_zone_t *shm_zone, uint64_t layout);

/*
 * Claims a slot.  Where there is none it counts in memory of its own, which
 * nobody reads; NGX_ERROR: memory is short.
 */
ngx_int_t ngx_sf_metrics_enter(ngx_sf_metrics_t *metrics, ngx_log_t *log);
void ngx_sf_metrics_leave(ngx_sf_metrics_t *metrics);

/* adds what workers have counted that have died to what is kept */
void ngx_sf_metrics_bury(ngx_sf_metrics_t *metrics);

/* a request that has ended */
void ngx_sf_metrics_request(ngx_sf_metrics_t *metrics, ngx_uint_t endpoint,
    ngx_uint_t method, ngx_uint_t status, ngx_uint_t cache, uint64_t us);

/* a request that was passed on has ended; failed: nobody has answered it */
void ngx_sf_metrics_fallback(ngx_sf_metrics_t *metrics, ngx_uint_t status,
    ngx_uint_t failed, uint64_t us);

/*
 * The place of a name, which this worker uses from here on; NGX_ERROR: all
 * are taken.  A name that is too long is cut.
 */
ngx_int_t ngx_sf_metrics_upstream(ngx_sf_metrics_t *metrics,
    const ngx_str_t *name);
ngx_int_t ngx_sf_metrics_server(ngx_sf_metrics_t *metrics,
    ngx_uint_t upstream, const ngx_str_t *name);

/* of all workers; sum need not be zeroed */
void ngx_sf_metrics_sum(ngx_sf_metrics_t *metrics, ngx_sf_counts_t *sum);
void ngx_sf_metrics_fallback_sum(ngx_sf_metrics_t *metrics,
    ngx_sf_fallback_counts_t *sum);

/*
 * Shortest and longest request of all workers: of an interval, or, for tick 0,
 * since the start.
 */
void ngx_sf_metrics_span(ngx_sf_metrics_t *metrics, ngx_uint_t endpoint,
    ngx_uint_t tick, ngx_sf_span_t *span);
void ngx_sf_metrics_widen(ngx_sf_span_t *span, const ngx_sf_span_t *other);

/*
 * What has been counted since then; 0 where there is less now: a worker that
 * dies while its counters go over to those that are kept takes some along.
 */

static ngx_inline uint64_t
ngx_sf_metrics_since(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}


/* requests of an endpoint: all, and those with 5xx; the same of the fallback */
uint64_t ngx_sf_metrics_requests(const ngx_sf_endpoint_counts_t *counts,
    uint64_t *errors);
uint64_t ngx_sf_metrics_fallbacks(const ngx_sf_fallback_counts_t *counts,
    uint64_t *errors);


/* --- ngx_sf_sample.c: what is looked at once a second --- */

/* how things stand by what has been counted, with the spans of a tick */
void ngx_sf_sample_now(ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t tick, ngx_sf_past_t *now);

/*
 * The youngest past that is at least so many seconds old, or the start; 0
 * seconds: the start.
 */
const ngx_sf_past_t *ngx_sf_sample_past(ngx_sf_metrics_t *metrics,
    time_t seconds);

/* what the machine and the queues were like since a past */

typedef struct {
    ngx_sf_machine_t            average;
    ngx_sf_machine_t            peak;
    ngx_uint_t                  queue_peak;
} ngx_sf_sample_load_t;

void ngx_sf_sample_load(ngx_sf_metrics_t *metrics,
    const ngx_sf_past_t *since, ngx_sf_sample_load_t *load);

/* requests that were passed on, in the last minute or a little more */

#define NGX_SF_SAMPLE_MINUTE  60

typedef struct {
    ngx_uint_t                  requests;
    ngx_uint_t                  errors;   /* 5xx */
    ngx_uint_t                  failed;   /* nobody has answered */
    unsigned                    away:1;   /* which is no accident */
} ngx_sf_sample_fallback_t;

void ngx_sf_sample_fallback(ngx_sf_metrics_t *metrics,
    ngx_sf_sample_fallback_t *minute);

/*
 * Takes what a second tells: memory and processor time of this process; the
 * first worker in the second looks at the machine, and keeps a past every
 * NGX_SF_METRICS_INTERVAL.
 */
void ngx_sf_sample_take(ngx_sf_metrics_t *metrics, ngx_log_t *log);


#endif /* _NGX_SF_METRICS_H_INCLUDED_ */

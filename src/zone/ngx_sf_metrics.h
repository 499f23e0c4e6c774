
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
 * A worker has a slot, that of its number, and adds to its own counters without
 * a lock; who reads adds up all slots, and what those left that have gone.
 * Gauges are published once a second.  Times are microseconds where nothing
 * else is said.
 *
 * Endpoints, upstreams and servers have places, which are found by name, so
 * that a reload with more of them, fewer, or in another order, keeps what has
 * been counted of all others.  An index is that of a worker's configuration,
 * and stands nowhere in shared memory; each worker knows the places of its
 * own.  A place is used again when none is free and no worker uses it, the
 * one that has been left for the longest time first.
 *
 * There is room for what is configured, and some more:
 *
 *     places of endpoints  E  a power of two above the number of them and 3
 *     slots                S  a power of two, 4 for each of worker_processes,
 *                             from 16 to 256; 256 if that is missing, or
 *                             stands behind http{}
 *     upstreams            U  a power of two, 2 for each of them, from 4
 *     servers              N  the same, from 16
 *
 *     bytes: 740 * (1608 + 144 E) + S * (9448 + 1121 E + 208 U + 296 N)
 *            + 4032 + 1240 E + 240 U + 104 N
 *
 * and 1 % for the slab pool.  A reload that needs more room gets new memory,
 * with all that the old one had, see ngx_sf_metrics_plan(); it never shrinks.
 *
 * Fields marked (m) are written under the mutex, those marked (o) by their
 * owner only.  All are read without it where a figure may be one of a moment
 * before or after: the mutex is for adding up, so that nothing is counted
 * twice or not at all while a worker leaves, and for finding places.  A name
 * that is read while a place is given to another is that of one of the two, or
 * a part of it, with its NUL.
 */

#define NGX_SF_METRICS_SLOTS_MIN      16
#define NGX_SF_METRICS_UPSTREAMS_MIN  4
#define NGX_SF_METRICS_SERVERS_MIN    16
#define NGX_SF_METRICS_NAME       96      /* bytes of a name, with its NUL */
#define NGX_SF_METRICS_METHODS    4
#define NGX_SF_METRICS_STATUSES   21
#define NGX_SF_METRICS_CLASSES    6       /* of a status, and 499 */
#define NGX_SF_METRICS_KINDS      4       /* ngx_sf_resource_e */
#define NGX_SF_METRICS_INTERVAL   5       /* seconds between two pasts */
#define NGX_SF_METRICS_PASTS      740     /* of an hour and a bit */
#define NGX_SF_METRICS_SLOW       16      /* slow requests, of a worker */
#define NGX_SF_METRICS_LAYOUT     3       /* of what sizes do not tell */


typedef struct ngx_sf_metrics_s     ngx_sf_metrics_t;
typedef struct ngx_sf_metrics_sh_s  ngx_sf_metrics_sh_t;


/* for how many there is room */

typedef struct {
    ngx_uint_t                  endpoints;
    ngx_uint_t                  slots;
    ngx_uint_t                  upstreams;
    ngx_uint_t                  servers;
} ngx_sf_metrics_room_t;

/* places of what has no name in a configuration; endpoints are behind them */

typedef enum {
    NGX_SF_METRICS_UNKNOWN = 0, /* paths that are none */
    NGX_SF_METRICS_PRINCIPAL,
    NGX_SF_METRICS_FORMER,      /* endpoints whose places are used again */
    NGX_SF_METRICS_NAMED
} ngx_sf_metrics_place_e;

/* that of an endpoint which has none, or whose place is another's by now */
#define NGX_SF_METRICS_NOWHERE  ((ngx_uint_t) -1)


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

/* connections that were closed, by reason */

typedef uint64_t  ngx_sf_closed_t[NGX_SF_PG_CLOSE_REASONS];


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


typedef struct {
    ngx_sf_fallback_counts_t    fallback;
    ngx_sf_histogram_t          queue[NGX_SF_PG_LANES];
    uint64_t                    errors[NGX_SF_PG_OUTCOMES];
    uint64_t                    flights[NGX_SF_METRICS_KINDS];
    uint64_t                    limited;  /* refused before they came to us */
    uint64_t                    bodies_refused;   /* softfactory_max_bodies */
    uint64_t                    evictions;    /* of all zones */
    uint64_t                    cpu;      /* of the process */

    /* the end of the words that are here; these are elsewhere, by place */

    ngx_sf_endpoint_counts_t   *endpoints;
    ngx_sf_closed_t            *disconnects;  /* of an upstream */
    ngx_sf_spans_t             *spans;    /* of an endpoint */
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


/* a request that took longer than softfactory_slow; texts end with NUL */

typedef struct {
    ngx_uint_t                  serial;   /* 0: none, or it is written to */
    time_t                      sec;
    ngx_uint_t                  msec;
    ngx_uint_t                  endpoint; /* its place */
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


/* where the arrays are never changes */

typedef struct {
    ngx_atomic_t                pid;      /* (m) 0: free */
    u_char                     *uses;     /* (m) places of endpoints */
    ngx_sf_server_gauge_t      *servers;  /* (o) by place */
    ngx_sf_upstream_gauge_t    *upstreams;    /* (o) by place */
    ngx_sf_counts_t             counts;   /* (o) */
    ngx_uint_t                  memory;   /* (o) bytes resident */
    ngx_uint_t                  bodies;   /* (o) bytes kept to be sent */
    ngx_sf_slow_t               slow[NGX_SF_METRICS_SLOW];    /* (o) */
} ngx_sf_metrics_slot_t;


/* --- how things stood at a time --- */

typedef struct {
    uint64_t                    requests;
    uint64_t                    errors;   /* 5xx */
    uint64_t                    queries;
    uint64_t                    cache[NGX_SF_CACHE_STATUSES];
    uint64_t                    bucket[NGX_SF_HISTOGRAM_BUCKETS];
    uint64_t                    sum;
    uint64_t                    query_sum;
    ngx_sf_span_t               span;     /* of the interval that it ends */
} ngx_sf_past_endpoint_t;

/*
 * The same as it is kept.  A window is not much longer than an hour, in which
 * no counter but the sums moves by 2^31: what is above 32 bits follows from
 * how it stands now, see ngx_sf_sample_then().
 */

typedef struct {
    uint32_t                    requests;
    uint32_t                    errors;
    uint32_t                    queries;
    uint32_t                    cache[NGX_SF_CACHE_STATUSES];
    uint32_t                    bucket[NGX_SF_HISTOGRAM_BUCKETS];
    uint32_t                    low;      /* of the span, an hour at most */
    uint32_t                    high;
    uint64_t                    sum;
    uint64_t                    query_sum;
} ngx_sf_past_place_t;

/* what a look at the machine brings; or sums of that, or peaks */

typedef struct {
    double                      cpu;      /* percent of all processors */
    double                      memory;   /* percent */
    double                      nginx_cpu;    /* percent of one processor */
    double                      nginx_memory; /* bytes */
} ngx_sf_machine_t;

typedef struct {
    ngx_uint_t                  serial;   /* from 1, 0: the start */
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
    ngx_sf_past_endpoint_t      total;    /* of all places but the principal's,
                                             so that it never sinks */
    ngx_sf_past_place_t        *endpoints;    /* by place, NULL: not kept */
} ngx_sf_past_t;


/* names: NUL is at the end, one that begins with it is free */

typedef struct {
    u_char                      name[NGX_SF_METRICS_NAME];
    ngx_uint_t                  upstream; /* of a server */
} ngx_sf_metrics_name_t;

typedef struct {
    u_char                      name[NGX_SF_METRICS_NAME];
    ngx_uint_t                  life;     /* number of its owner, from 1 */
    ngx_uint_t                  seen;     /* the last worker that began to use
                                             it, by sh->entered */
    ngx_uint_t                  since;    /* serial of the first past that has
                                             something of it */
} ngx_sf_metrics_endpoint_t;

struct ngx_sf_metrics_sh_s {
    uint64_t                    layout;
    ngx_sf_metrics_room_t       room;
    ngx_sf_past_t               start;    /* its times; all else is 0 */
    ngx_sf_counts_t             gone;     /* (m) of workers that have left */
    ngx_sf_metrics_endpoint_t  *endpoints;    /* (m) */
    ngx_sf_metrics_name_t      *upstreams;    /* (m) */
    ngx_sf_metrics_name_t      *servers;  /* (m) */
    ngx_uint_t                  entered;  /* (m) workers so far */
    ngx_uint_t                  lives;    /* (m) names so far */
    ngx_sf_metrics_slot_t      *slots;

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
    ngx_sf_past_t              *pasts;
};


/* --- ngx_sf_metrics.c: counting, and adding up --- */

/* where this worker counts an endpoint */

typedef struct {
    ngx_sf_endpoint_counts_t   *counts;
    ngx_sf_spans_t             *spans;
    ngx_uint_t                  place;
    ngx_uint_t                  life;     /* of the place, then */
} ngx_sf_metrics_own_t;

struct ngx_sf_metrics_s {
    ngx_shm_zone_t             *shm_zone;
    ngx_sf_workers_t           *workers;
    ngx_str_t                  *names;    /* of the endpoints, by index */
    ngx_uint_t                  nendpoints;
    ngx_sf_metrics_room_t       room;     /* that there is to be */
    ngx_slab_pool_t            *from;     /* what a new one takes over */
    ngx_sf_metrics_sh_t        *sh;
    ngx_slab_pool_t            *shpool;
    ngx_sf_metrics_slot_t      *slot;     /* never NULL in a worker */
    ngx_sf_metrics_slot_t      *told;     /* what one without a place in sh has
                                             handed over; NULL: it has one */
    ngx_sf_metrics_own_t       *endpoints;    /* by index, and the two below */
    ngx_uint_t                  nslow;
};

/* indexes behind those of the endpoints: paths that are none, principals */

#define ngx_sf_metrics_unknown(metrics)    ((metrics)->nendpoints)
#define ngx_sf_metrics_principal(metrics)  ((metrics)->nendpoints + 1)

/* names of what is counted, by index; status 0 is any other */
extern const char *const  ngx_sf_metrics_methods[NGX_SF_METRICS_METHODS];
extern const ngx_uint_t   ngx_sf_metrics_statuses[NGX_SF_METRICS_STATUSES];
extern const char *const  ngx_sf_metrics_classes[NGX_SF_METRICS_CLASSES];
extern const char *const  ngx_sf_metrics_lanes[NGX_SF_PG_LANES];
extern const char *const  ngx_sf_metrics_outcomes[NGX_SF_PG_OUTCOMES];
extern const char *const  ngx_sf_metrics_cache[NGX_SF_CACHE_STATUSES];

/*
 * Takes the slot of this worker, and finds the places of endpoints.  Where
 * there is no slot it counts in memory of its own, which is handed over once a
 * second; gauges are not shown then.  NGX_ERROR: memory is short.
 */
ngx_int_t ngx_sf_metrics_enter(ngx_sf_metrics_t *metrics, ngx_log_t *log);
void ngx_sf_metrics_leave(ngx_sf_metrics_t *metrics);

/* hands over what one without a slot has counted */
void ngx_sf_metrics_tell(ngx_sf_metrics_t *metrics);

/* keeps what a dead worker has counted: for ngx_sf_workers_holder_t */
ngx_int_t ngx_sf_metrics_bury(void *metrics, ngx_uint_t n, ngx_pid_t pid);

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

/*
 * The place to show something under an endpoint's name, by index.  Where there
 * is NOWHERE, what it counts is shown as that of unknown paths, or of former
 * endpoints, and must not be shown once more.
 */
ngx_uint_t ngx_sf_metrics_place(const ngx_sf_metrics_t *metrics,
    ngx_uint_t i);

/* what a sum has of it, which is 0 from NOWHERE */
const ngx_sf_endpoint_counts_t *ngx_sf_metrics_of(
    const ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t i);

/* of all workers, by place, without spans; NGX_ERROR: memory is short */
ngx_int_t ngx_sf_metrics_sum(ngx_sf_metrics_t *metrics, ngx_pool_t *pool,
    ngx_sf_counts_t *sum);
void ngx_sf_metrics_fallback_sum(ngx_sf_metrics_t *metrics,
    ngx_sf_fallback_counts_t *sum);

/*
 * Shortest and longest request of all workers: of an interval, or, for tick 0,
 * since the start.
 */
void ngx_sf_metrics_span(ngx_sf_metrics_t *metrics, ngx_uint_t place,
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


/* --- ngx_sf_metrics_room.c: its memory, and what a reload takes over --- */

/* what a configuration has; endpoints stand in metrics->names */

typedef struct {
    ngx_uint_t                  workers;  /* 0: not known yet */
    ngx_uint_t                  upstreams;
    ngx_uint_t                  servers;
} ngx_sf_metrics_need_t;

/*
 * Sets metrics->room; returns the bytes of shared memory.  old is that of a
 * running nginx, or NULL.  Where it has room enough it is taken over, and
 * metrics->room is its own.  If not, *grow is set: the new one begins with
 * what the old one has then.  What the workers of the running nginx count from
 * there on, in the requests that they still have, is seen by them alone.
 */
size_t ngx_sf_metrics_plan(ngx_sf_metrics_t *metrics,
    const ngx_sf_metrics_need_t *need, const ngx_shm_zone_t *old,
    ngx_uint_t *grow);

/* init callback; shm_zone->data is the ngx_sf_metrics_t */
ngx_int_t ngx_sf_metrics_init(ngx_shm_zone_t *shm_zone, void *data);


/* --- ngx_sf_sample.c: what is looked at once a second --- */

/*
 * How things stand by what has been counted, with the spans of a tick: all of
 * it, now->endpoints if that is not NULL, or one place of an endpoint.
 */
void ngx_sf_sample_now(ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t tick, ngx_sf_past_t *now);
void ngx_sf_sample_place(ngx_sf_metrics_t *metrics,
    const ngx_sf_counts_t *sum, ngx_uint_t tick, ngx_uint_t place,
    ngx_sf_past_endpoint_t *now);

/* how a place that stands like that stood in a past; without its span */
void ngx_sf_sample_then(ngx_sf_metrics_t *metrics, const ngx_sf_past_t *past,
    ngx_uint_t place, const ngx_sf_past_endpoint_t *now,
    ngx_sf_past_endpoint_t *then);

/* widens a span by those of the intervals since a past */
void ngx_sf_sample_span(ngx_sf_metrics_t *metrics, const ngx_sf_past_t *since,
    ngx_uint_t place, ngx_sf_span_t *span);

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

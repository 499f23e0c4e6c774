
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_RECOMMEND_H_INCLUDED_
#define _NGX_SF_RECOMMEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* What an operator should do about the figures of a report, in words. */

/* of an endpoint */

typedef struct {
    const char                 *name;     /* for directives */
    const char                 *path;
    ngx_uint_t                  requests;
    ngx_uint_t                  errors;   /* 5xx */
    double                      avg;      /* ms */
    double                      p95;
    double                      query;    /* ms on average, of a statement */
    ngx_uint_t                  queries;
    ngx_uint_t                  hits;     /* from the zone, of any age */
    ngx_uint_t                  asked;    /* those, and misses */
} ngx_sf_recommend_endpoint_t;

/* of all */

typedef struct {
    double                      cpu;      /* percent, on average */
    double                      memory;
    double                      queue_p95;    /* ms */
    ngx_uint_t                  busy;     /* refused by a full queue */
    ngx_uint_t                  quota;    /* refused as a principal had
                                             filled its part of the queue */
    ngx_uint_t                  expired;  /* waited too long */
    ngx_uint_t                  unavailable;
    ngx_uint_t                  bridged;  /* error= holds everywhere */
    ngx_uint_t                  timeout;
    ngx_uint_t                  broken;   /* statements that do not fit */
    ngx_uint_t                  evictions;
    ngx_uint_t                  requests;
    ngx_uint_t                  uncovered;    /* tables without triggers */
    ngx_uint_t                  incoherent;   /* a listener is lost */
    ngx_uint_t                  down;     /* upstreams */
    ngx_uint_t                  passed;   /* to the application */
    ngx_uint_t                  unanswered;   /* of those */
} ngx_sf_recommend_server_t;

/* thresholds of the performance report: ms, percent */

#define NGX_SF_RECOMMEND_SLOW      500
#define NGX_SF_RECOMMEND_VERY_SLOW 2000
#define NGX_SF_RECOMMEND_TEXT      512    /* bytes of a sentence */

/*
 * The sentence of a rule, if it applies: its end, or NULL.  buf has room for
 * NGX_SF_RECOMMEND_TEXT bytes, without NUL.
 */
typedef u_char *(*ngx_sf_recommend_endpoint_pt)(u_char *buf, u_char *last,
    const ngx_sf_recommend_endpoint_t *endpoint);
typedef u_char *(*ngx_sf_recommend_server_pt)(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);

/* the rules, ended by NULL; the most urgent ones first */
extern const ngx_sf_recommend_endpoint_pt  ngx_sf_recommend_endpoint_rules[];
extern const ngx_sf_recommend_server_pt    ngx_sf_recommend_server_rules[];

/* why an endpoint is slow, in a few words */
const char *ngx_sf_recommend_issue(const ngx_sf_recommend_endpoint_t *endpoint);


#endif /* _NGX_SF_RECOMMEND_H_INCLUDED_ */

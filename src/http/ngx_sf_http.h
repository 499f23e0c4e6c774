
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The path of a request: types that several of its files share, and what each
 * gives to the others, in the order in which a request passes them.
 */


#ifndef _NGX_SF_HTTP_H_INCLUDED_
#define _NGX_SF_HTTP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_sf_version.h"
#include "ngx_sf_number.h"
#include "ngx_sf_jwt.h"
#include "ngx_sf_shm.h"
#include "ngx_sf_metrics.h"
#include "ngx_sf_listen.h"
#include "ngx_sf_api.h"


typedef struct ngx_sf_main_conf_s   ngx_sf_main_conf_t;
typedef struct ngx_sf_loc_conf_s    ngx_sf_loc_conf_t;
typedef struct ngx_sf_worker_s      ngx_sf_worker_t;
typedef struct ngx_sf_lookup_s      ngx_sf_lookup_t;
typedef struct ngx_sf_flight_s      ngx_sf_flight_t;
typedef struct ngx_sf_tokens_s      ngx_sf_tokens_t;
typedef struct ngx_sf_buckets_s     ngx_sf_buckets_t;
typedef struct ngx_sf_parsed_table_s  ngx_sf_parsed_table_t;
typedef struct ngx_sf_principals_s  ngx_sf_principals_t;
typedef struct ngx_sf_places_s      ngx_sf_places_t;
typedef struct ngx_sf_ctx_s         ngx_sf_ctx_t;


/* --- ngx_sf_route.c: method and path -> endpoint --- */

typedef struct ngx_sf_routes_s  ngx_sf_routes_t;

typedef struct {
    ngx_sf_endpoint_t          *endpoint; /* NULL: no such native method */
    ngx_uint_t                  native;   /* methods, of enabled endpoints */
    ngx_uint_t                  app;      /* methods of the application */
    ngx_str_t                   path[NGX_SF_PATH_PARAMS];   /* names of the
                                             path, by place; no data: none */
} ngx_sf_match_t;

ngx_sf_routes_t *ngx_sf_routes_compile(ngx_conf_t *cf,
    ngx_sf_endpoint_t *endpoints, ngx_uint_t n);

/* NGX_OK, or NGX_DECLINED: the path is not known here */
ngx_int_t ngx_sf_route_find(const ngx_sf_routes_t *routes,
    const u_char *enabled, const ngx_str_t *path, ngx_uint_t method,
    ngx_sf_match_t *match);

/* NGX_DECLINED: both of them are enabled, with one path and one method */
ngx_int_t ngx_sf_routes_check(const ngx_sf_routes_t *routes,
    const u_char *enabled, const ngx_sf_endpoint_t *both[2]);

/* by what a request is counted, and what that is called */
ngx_uint_t ngx_sf_route_index(const ngx_sf_ctx_t *ctx);
const char *ngx_sf_route_name(const ngx_sf_main_conf_t *smcf,
    ngx_uint_t endpoint);


/* --- ngx_sf_address.c: clients by address, and how often each may fail --- */

/* a number for the address, by which all IPv6 addresses of a /64 are one */
uint64_t ngx_sf_address(const struct sockaddr *sa);

ngx_sf_buckets_t *ngx_sf_buckets_create(ngx_cycle_t *cycle);

/* NGX_BUSY: it has failed too often; times are ngx_current_msec */
ngx_int_t ngx_sf_address_may_fail(ngx_sf_buckets_t *buckets,
    uint64_t address, ngx_msec_t now);
void ngx_sf_address_failed(ngx_sf_buckets_t *buckets, uint64_t address,
    ngx_msec_t now);


/* --- ngx_sf_token.c: bearer tokens that this worker has verified --- */

ngx_sf_tokens_t *ngx_sf_tokens_create(ngx_cycle_t *cycle);

/* forgets all of them; there is nothing else to free */
void ngx_sf_tokens_clear(ngx_sf_tokens_t *tokens);

/*
 * Claims of a token by the rules of a location; verified once, then looked up
 * by the whole token and the identity of what is trusted, with the rules
 * applied anew.  sa is the client's address.  NULL, or the reason of the
 * refusal.
 */
const char *ngx_sf_token_claims(ngx_sf_tokens_t *tokens, ngx_pool_t *temp,
    const ngx_str_t *token, const ngx_sf_jwt_rules_t *rules, int64_t now,
    const struct sockaddr *sa, ngx_sf_jwt_claims_t *claims);


/* --- ngx_sf_keys.c: files of keys, which a worker reads again --- */

typedef struct {
    ngx_sf_jwt_set_t            set;
    ngx_sf_jwt_terms_t          terms;
    ngx_str_t                   path;     /* absolute, with a NUL behind it */
    u_char                      digest[32];   /* of the text of the set */
    ngx_file_info_t             info;     /* of the file as it was seen last */
    ngx_err_t                   told;     /* why it cannot be read */
} ngx_sf_key_file_t;

/*
 * Reads a file, at once: it is local and small.  NGX_OK: the set is a new one;
 * NGX_DONE: the text is that of the set.  On NGX_ERROR the set stays, and why
 * says what is wrong with the file, beside the returned err, if that is not 0.
 */
ngx_int_t ngx_sf_key_file_read(ngx_sf_key_file_t *file, ngx_log_t *log,
    u_char *why, ngx_err_t *err);

/* a worker looks at its files every 10 s */
void ngx_sf_keys_start(ngx_sf_worker_t *worker);
void ngx_sf_keys_stop(ngx_sf_worker_t *worker);


/* --- ngx_sf_auth.c: the user of a request, and what it may --- */

typedef struct {
    int64_t                     id;
    uint64_t                    products; /* bits of the gates passed */
} ngx_sf_principal_t;

/* a fixed token of the configuration */

typedef struct {
    ngx_str_t                   token;
    ngx_sf_principal_t          principal;
    ngx_str_t                   slugs;    /* its products, until their bits are
                                             known; no data: they are */
    u_char                     *file;
    ngx_uint_t                  line;
} ngx_sf_fixed_token_t;

/* the steps from TOKEN to GATE of ngx_sf_request.c */
ngx_int_t ngx_sf_auth_token(ngx_sf_ctx_t *ctx);
ngx_int_t ngx_sf_auth_principal_ask(ngx_sf_ctx_t *ctx);
ngx_int_t ngx_sf_auth_principal_take(ngx_sf_ctx_t *ctx);
ngx_int_t ngx_sf_auth_gate(ngx_sf_ctx_t *ctx);

/*
 * Sets the owner of what is made for a request, its user or its address, and
 * the principal whose turn at the database it takes: softfactory_fair_key.
 */
ngx_int_t ngx_sf_auth_charge(const ngx_sf_ctx_t *ctx, ngx_sf_lookup_t *lookup);

/* user id of the request's token, or NGX_DECLINED; no I/O */
ngx_int_t ngx_sf_auth_user(ngx_http_request_t *r, ngx_sf_loc_conf_t *slcf,
    int64_t *user);


/* --- ngx_sf_fence.c: users that have written through the fallback --- */

/*
 * For a request that is passed on: its fence is raised when it goes upstream.
 * NGX_ERROR: memory is short.
 */
ngx_int_t ngx_sf_fence_prepare(ngx_sf_ctx_t *ctx);

/*
 * The time that must have been confirmed before the user of a request is
 * answered from the zone, ahead during a write; 0: it may be at any time.
 */
ngx_msec_t ngx_sf_fence_time(ngx_sf_ctx_t *ctx);

/* a filter that sees the bodies of requests go upstream */
void ngx_sf_fence_init(void);


/* --- ngx_sf_endpoint.c: declarations become endpoints --- */

/*
 * All of smcf->rows: what one word says of another is checked, statements,
 * templates and routes are compiled.  NGX_ERROR has been logged.
 */
ngx_int_t ngx_sf_endpoints_compile(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf);


/* --- ngx_sf_resource.c: what is asked of the database, and made of it --- */

typedef enum {
    NGX_SF_RESOURCE_PRINCIPAL = 0,  /* active flag and products of a user */
    NGX_SF_RESOURCE_TOTAL,      /* number of rows by a filter */
    NGX_SF_RESOURCE_RESPONSE,   /* JSON of an endpoint */
    NGX_SF_RESOURCE_PING        /* whether the pool is up */
} ngx_sf_resource_e;

struct ngx_sf_resource_s {
    ngx_sf_resource_e           kind;
    ngx_sf_endpoint_t          *endpoint; /* NULL: principal */
    ngx_sf_statement_t         *statement;
    ngx_uint_t                  lane;
    ngx_sf_resource_t          *total;    /* that a response shows */
    ngx_uint_t                  index;    /* of smcf->resources */
    ngx_sf_tags_t               tags;
    u_char                      id[NGX_SF_IDENTITY_LEN];  /* its keys begin
                                                             with that */
    uint64_t                    params;   /* mask of those that matter */
    uint64_t                    echoes;   /* of those that are shown as they
                                             came */
    unsigned                    personal:1;   /* differs from user to user */
    unsigned                    cached:1;
};

/* a resource for one request */

struct ngx_sf_lookup_s {
    const ngx_sf_resource_t    *resource;
    ngx_sf_loc_conf_t          *slcf;
    const ngx_sf_params_t      *params;   /* NULL: it has none */
    const ngx_sf_key_t         *key;      /* for user 0; NULL: not known */
    int64_t                     user;
    uint32_t                    owner;    /* of what is made */
    uint32_t                    principal;    /* whose turn is taken, or 0 */
    unsigned                    bypass:1; /* neither read nor stored */
    unsigned                    fenced:1; /* nor is the total that it shows */
    ngx_msec_t                  fence;    /* it is read after that time */
};

/* compiles the resources of an endpoint, or that of principals */
ngx_int_t ngx_sf_resource_compile(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_endpoint_t *endpoint);
ngx_int_t ngx_sf_resource_compile_principal(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf);

/* in a worker: what has to be told of each resource, in that zone */
ngx_int_t ngx_sf_resource_covers(ngx_sf_main_conf_t *smcf,
    ngx_sf_zone_t *zone, ngx_pool_t *pool);

void ngx_sf_resource_source(const ngx_sf_lookup_t *lookup,
    ngx_sf_bind_source_t *source);

/*
 * The canonical key: lookups with equal keys have equal responses.  key->data
 * is a buffer of key->len bytes; NGX_DECLINED: they are not enough.
 */
ngx_int_t ngx_sf_resource_key(const ngx_sf_lookup_t *lookup, ngx_uint_t source,
    ngx_sf_key_t *key);

/* what is read of a row's parameters; the id of the path, or 0 */
int64_t ngx_sf_resource_id(const ngx_sf_lookup_t *lookup);

/*
 * Makes what a flight brings of its results: its status, and body or error,
 * and its deadline.
 */
ngx_int_t ngx_sf_resource_render(ngx_sf_flight_t *flight);

/* JSON of an endpoint, by the shape of res; it has one also without a res */
ngx_int_t ngx_sf_resource_render_json(ngx_pool_t *pool,
    const ngx_sf_endpoint_t *endpoint, const ngx_sf_shape_t *shape,
    const ngx_sf_params_t *params, const PGresult *res, int64_t total,
    ngx_str_t *body);

/* the number of a total's text, and ms to its deadline, or -1 */
ngx_int_t ngx_sf_resource_parse_total(const ngx_str_t *text, int64_t *total,
    int64_t *deadline);

/* a strong entity tag: NGX_SF_ETAG_LEN bytes (RFC 9110, 8.8.3) */
void ngx_sf_resource_etag(const ngx_str_t *body, u_char *etag);


/* --- ngx_sf_parsed.c: requests that this worker has read before --- */

typedef struct {
    ngx_pool_t                 *pool;
    ngx_uint_t                  holders;  /* the table, and requests */
    ngx_uint_t                  used;
    uint64_t                    hash;
    ngx_sf_loc_conf_t          *slcf;
    ngx_str_t                   uri;
    ngx_str_t                   args;
    ngx_sf_match_t              match;
    ngx_sf_params_t             params;
    ngx_sf_key_t                key;      /* of the response, for user 0 */
} ngx_sf_parsed_t;

ngx_sf_parsed_table_t *ngx_sf_parsed_table_create(ngx_cycle_t *cycle);
void ngx_sf_parsed_table_destroy(ngx_sf_parsed_table_t *parsed_table);

/* what these bytes were read as, to be released; NULL: it is not known */
ngx_sf_parsed_t *ngx_sf_parsed_find(ngx_sf_parsed_table_t *parsed_table,
    ngx_sf_loc_conf_t *slcf, const ngx_str_t *uri, const ngx_str_t *args);

/* keeps what a request was read as, if it may be */
void ngx_sf_parsed_keep(ngx_sf_parsed_table_t *parsed_table, ngx_sf_ctx_t *ctx);
void ngx_sf_parsed_release(ngx_sf_parsed_t *parsed);


/* --- ngx_sf_body.c: bodies that a worker keeps until they are sent --- */

#define NGX_SF_BODY_SMALL  (16 * 1024)    /* bytes: these are not counted */

/* the same bytes, for all requests that send them */

typedef struct {
    ngx_queue_t                 queue;    /* of its bucket */
    ngx_uint_t                  refs;
    uint32_t                    principal;    /* whose it is, 0: of several, or
                                                 of nobody */
    size_t                      len;
    u_char                      data[1];
} ngx_sf_body_t;

typedef struct {
    ngx_queue_t                *buckets;  /* of ngx_sf_body_t */
    size_t                      bytes;    /* of all of these */
    ngx_uint_t                  refused;  /* since the last line of log */
    time_t                      logged;
} ngx_sf_bodies_t;

ngx_int_t ngx_sf_bodies_init(ngx_cycle_t *cycle, ngx_sf_bodies_t *bodies);

/*
 * A copy for a principal, to be freed as often.  NGX_SF_PG_BUSY: there is no
 * room, or memory is short; NGX_SF_PG_QUOTA_FULL: there is none for it.
 */
ngx_sf_pg_outcome_e ngx_sf_body_copy(ngx_sf_worker_t *worker,
    const ngx_str_t *text, uint32_t principal, ngx_sf_body_t **copy);
void ngx_sf_body_free(ngx_sf_worker_t *worker, ngx_sf_body_t *body);


/* --- ngx_sf_flight.c: one execution of one resource for 1..n requests --- */

typedef struct ngx_sf_wait_s  ngx_sf_wait_t;

typedef void (*ngx_sf_landed_pt)(ngx_sf_wait_t *wait);

/* a place: what a request or a flight waits for, or has got */

struct ngx_sf_wait_s {
    ngx_queue_t                 queue;    /* flight->waiters */
    ngx_sf_flight_t            *flight;   /* NULL: not in one */
    ngx_sf_zone_t              *zone;     /* of what was found */
    ngx_sf_found_t              found;    /* in the zone, without a flight */
    uint32_t                    principal;    /* that waits, or 0 */
    ngx_sf_landed_pt            handler;
    ngx_sf_flight_t            *page;     /* that waits, for its total */
    void                       *data;     /* or the request that does */
};

typedef struct {
    ngx_queue_t                *buckets;  /* flights that can be joined */
    ngx_sf_flight_t           **pings;    /* by pool: the one that is under way,
                                             or NULL */
    ngx_uint_t                  npings;
} ngx_sf_flights_t;

/*
 * States of a flight.  ngx_sf_flight_set_state() is the only function that
 * moves one, and sees to its timer and its place in the table.
 *
 *     LOOKING -> WAITING -> WOKEN -> LOOKING    another worker makes it
 *     LOOKING -> TOTAL -> QUERY -> LANDED       this one does
 *
 * The timer takes it from WAITING to LOOKING as well.  TOTAL is left out where
 * nothing has to be known first, QUERY where there is nothing to send, or it is
 * refused; and what is there already, or of use to nobody, goes to LANDED from
 * any state.
 */
typedef enum {
    NGX_SF_FLIGHT_LOOKING = 0,  /* for a turn: nothing is set, nor pending */
    NGX_SF_FLIGHT_WAITING,      /* linked; the timer is set */
    NGX_SF_FLIGHT_WOKEN,        /* linked; the timer is not set but posted */
    NGX_SF_FLIGHT_TOTAL,        /* the total is pending; the pool does not have
                                   the query, which depends on it */
    NGX_SF_FLIGHT_QUERY,        /* the pool has the query, or had it while the
                                   total is pending */
    NGX_SF_FLIGHT_LANDED        /* not linked, not held; once those who waited
                                   have been told nobody waits, nothing is
                                   pending, and there is no claim */
} ngx_sf_flight_state_e;

struct ngx_sf_flight_s {
    ngx_queue_t                 queue;    /* a bucket of flights */
    ngx_sf_flight_state_e       state;
    ngx_queue_t                 waiters;
    ngx_uint_t                  members;  /* places, and its own */
    ngx_pool_t                 *pool;
    ngx_sf_worker_t            *worker;

    ngx_sf_lookup_t             lookup;   /* its params are a copy */
    ngx_sf_params_t             params;
    ngx_sf_zone_t              *zone;     /* NULL: not cached */
    ngx_sf_key_t                key;
    ngx_sf_fresh_t              fresh;
    ngx_sf_stamp_t              stamp;
    ngx_sf_claim_t              claim;
    ngx_sf_flight_t           **ping;     /* its place in flights, or NULL */
    ngx_msec_t                  created;

    ngx_sf_pg_query_t           query;
    ngx_sf_wait_t               total;
    int64_t                     count;    /* that the total says */
    ngx_uint_t                  pending;  /* results that are missing */
    ngx_msec_t                  give_up;  /* waiting for other workers */
    ngx_event_t                 timer;    /* in WAITING and WOKEN */

    ngx_sf_pg_outcome_e         outcome;
    PGresult                   *res;
    ngx_sf_found_t              found;    /* what another worker has made, or
                                             something stale */
    ngx_uint_t                  status;
    ngx_str_t                   body;
    ngx_sf_body_t              *copy;     /* that it is in, or NULL */
    ngx_str_t                   error;
    ngx_msec_t                  deadline;
    uint64_t                    queue_time;   /* microseconds, of its total */
    uint64_t                    db_time;
    u_char                      sqlstate[6];
    u_char                      etag[NGX_SF_ETAG_LEN];

    /*
     * In which table and for whom it is there does not follow from its state:
     * a newer one takes its place under the key at any time, and it has a place
     * of its own only if it has a claim, or is a ping.
     */

    unsigned                    linked:1; /* in flights; in TOTAL and QUERY a
                                             newer one may be there instead */
    unsigned                    held:1;   /* a place of its own; in TOTAL and
                                             QUERY only */

    /* what it brings */

    unsigned                    counted:1;    /* count is known */
    unsigned                    incoherent:1;
    unsigned                    tagged:1; /* etag is set */
};

/*
 * Takes a place in the making of a resource.  NGX_OK: it is there, in the zone
 * or in a flight that has landed; NGX_AGAIN: wait->handler will be called;
 * NGX_ERROR: memory is short.
 */
ngx_int_t ngx_sf_flight_ask(ngx_sf_worker_t *worker, ngx_sf_wait_t *wait,
    const ngx_sf_lookup_t *lookup);


/* --- ngx_sf_flight_state.c: states of flights, and places in them --- */

/* gives the place, and what was found, up; the last one ends the flight */
void ngx_sf_flight_leave(ngx_sf_wait_t *wait);

/* npools: that the worker has */
ngx_int_t ngx_sf_flights_init(ngx_cycle_t *cycle, ngx_sf_flights_t *flights,
    ngx_uint_t npools);
void ngx_sf_flights_destroy(ngx_sf_flights_t *flights);


/* --- ngx_sf_flight_wait.c: flights and the zone --- */

/* for whom a resource is looked up in the zone, and by what it is judged */
void ngx_sf_flight_fresh(ngx_sf_worker_t *worker, const ngx_sf_lookup_t *lookup,
    ngx_sf_fresh_t *fresh);

/* the zone says that something has changed under a hash */
void ngx_sf_flights_woken(ngx_sf_worker_t *worker, uint64_t hash);


/* --- ngx_sf_flight_result.c: what a flight has brought --- */

/* adds how long the statements of a flight have taken, and why they failed */
void ngx_sf_flight_times(const ngx_sf_flight_t *flight, uint64_t *queue,
    uint64_t *db, u_char sqlstate[6]);

/* of a place whose resource is there */
ngx_sf_pg_outcome_e ngx_sf_flight_outcome(const ngx_sf_wait_t *wait);
ngx_sf_entry_t *ngx_sf_flight_entry(const ngx_sf_wait_t *wait);
ngx_str_t ngx_sf_flight_body(const ngx_sf_wait_t *wait);


/* --- ngx_sf_principal.c: users that this worker has found in the zone --- */

ngx_sf_principals_t *ngx_sf_principals_create(ngx_cycle_t *cycle);

/* NGX_DECLINED: the zone must be asked */
ngx_int_t ngx_sf_principal_find(ngx_sf_worker_t *worker,
    const ngx_sf_lookup_t *lookup, ngx_sf_principal_t *principal);

/* keeps a user that may pass, by what the zone has said for that lookup */
void ngx_sf_principal_keep(ngx_sf_worker_t *worker,
    const ngx_sf_lookup_t *lookup, const ngx_sf_found_t *found,
    const ngx_sf_principal_t *principal);


/* --- ngx_sf_request.c: the steps of a request --- */

typedef enum {
    NGX_SF_STEP_ROUTE = 0,
    NGX_SF_STEP_TOKEN,
    NGX_SF_STEP_PARAMS,
    NGX_SF_STEP_PRINCIPAL_ASK,
    NGX_SF_STEP_PRINCIPAL_TAKE,
    NGX_SF_STEP_GATE,
    NGX_SF_STEP_ASK,
    NGX_SF_STEP_TAKE,
    NGX_SF_STEP_SEND
} ngx_sf_step_e;

struct ngx_sf_ctx_s {
    ngx_http_request_t         *request;
    ngx_sf_loc_conf_t          *slcf;
    ngx_sf_worker_t            *worker;
    ngx_sf_step_e               step;

    ngx_sf_match_t              match;
    ngx_sf_endpoint_t          *endpoint;
    int64_t                     user;     /* of the token, 0: not known */
    ngx_sf_principal_t         *principal;    /* NULL: nobody yet */
    ngx_sf_principal_t          known;    /* the one of that user */
    ngx_sf_parsed_t            *parsed;   /* NULL: it was read anew */
    ngx_sf_params_t             params;

    ngx_sf_wait_t               wait;     /* principal, then the response */

    ngx_uint_t                  status;
    ngx_str_t                   error;    /* text of an error response */
    ngx_str_t                   body;
    ngx_sf_body_t              *copy;     /* that it is in, or NULL */
    ngx_str_t                   etag;
    ngx_sf_cache_status_e       cache_status;
    ngx_msec_t                  fence;    /* of its user: ngx_sf_fence.c */
    ngx_msec_t                  created;  /* of a response from the zone */
    ngx_uint_t                  retry_after;  /* seconds, 0: no header */

    uint64_t                    started;  /* microseconds, monotonic */
    uint64_t                    auth_time;    /* microseconds */
    uint64_t                    cache_time;
    uint64_t                    queue_time;
    uint64_t                    db_time;
    uint64_t                    answered; /* after that time, 0: not known */
    u_char                      sqlstate[6];  /* of its statements, the last */

    unsigned                    parked:1;
    unsigned                    graced:1; /* the principal is an old one */
    unsigned                    refused:1;    /* the token that it has */
    unsigned                    varies:1; /* by Accept-Encoding */
    unsigned                    preflight:1;  /* OPTIONS */
    unsigned                    done:1;   /* answered or handed over */
    unsigned                    with_body:1;  /* the request has one */
    unsigned                    passed:1; /* to the fallback */
    unsigned                    ended:1;  /* and counted */
};

/* content handler of softfactory_pass */
ngx_int_t ngx_sf_handler(ngx_http_request_t *r);

/* handler of the log phase: counts what has ended */
ngx_int_t ngx_sf_request_log(ngx_http_request_t *r);


/* --- ngx_sf_trace.c: by what a request is known elsewhere --- */

/*
 * X-Request-Id of the request, if it is plain text of at most 64 bytes, or the
 * first 8 digits of nginx's own; the trace id of its traceparent (W3C Trace
 * Context, 3.2), or an empty text.  The text lives as long as r.
 */
void ngx_sf_trace_request_id(ngx_http_request_t *r, ngx_str_t *id);
void ngx_sf_trace_id(ngx_http_request_t *r, ngx_str_t *id);


/* --- ngx_sf_slow.c: requests that took long --- */

/* lines of the log in this second, of one worker */

typedef struct {
    time_t                      second;
    ngx_uint_t                  logged;
    ngx_uint_t                  skipped;
} ngx_sf_slow_limit_t;

/* keeps and logs a request that has ended after total microseconds */
void ngx_sf_slow_request(ngx_sf_ctx_t *ctx, uint64_t total);


/* --- ngx_sf_health.c: /health and /ready --- */

/* the document that the endpoint is; up: the pool has answered */
ngx_int_t ngx_sf_health_body(ngx_sf_ctx_t *ctx, ngx_uint_t up,
    ngx_str_t *body);


/* --- ngx_sf_cors.c: cross-origin headers --- */

/* adds what the Fetch standard asks for to a response; NGX_OK, NGX_ERROR */
ngx_int_t ngx_sf_cors_headers(ngx_http_request_t *r,
    const ngx_array_t *origins, ngx_uint_t preflight);

/* NULL, or why no browser sends such an Origin (RFC 6454, 6.2; URL standard) */
const char *ngx_sf_cors_wrong(const ngx_str_t *origin);


/* --- ngx_sf_response.c: status and bytes -> HTTP --- */

/*
 * Sends ctx->status with ctx->body, or with ctx->error as JSON; to OPTIONS no
 * body and Allow.  Returns what a content handler returns.
 */
ngx_int_t ngx_sf_response_send(ngx_sf_ctx_t *ctx);

/* sets the error of a response; returns status, so that a step can return it */
ngx_int_t ngx_sf_response_error(ngx_sf_ctx_t *ctx, ngx_uint_t status,
    const char *error);

/* the same for a flight that brought no result */
ngx_int_t ngx_sf_response_outcome(ngx_sf_ctx_t *ctx,
    ngx_sf_pg_outcome_e outcome);


/* HIT, MISS ...; empty when the cache was not asked */
const ngx_str_t *ngx_sf_response_cache_status(ngx_sf_cache_status_e status);


/* --- ngx_sf_gzip.c: compressed forms of responses --- */

/*
 * For a response from the zone: takes its compressed form if the client asks
 * for it, which is made at the first time and kept beside it.
 */
void ngx_sf_gzip_choose(ngx_sf_ctx_t *ctx);

/* whether gzip is asked for, by Accept-Encoding (RFC 9110, 12.5.3) */
ngx_uint_t ngx_sf_gzip_accepted(const ngx_str_t *header);


/* --- ngx_sf_header.c: headers of requests and responses --- */

ngx_int_t ngx_sf_header_push(ngx_http_request_t *r, const char *name,
    size_t len, const ngx_str_t *value);
const ngx_str_t *ngx_sf_header_search(ngx_http_request_t *r, const char *name,
    size_t len);

/* most names are constants: their lengths need not be found at run time */

/* adds a header; name is a constant, the value lives as long as r */

static ngx_inline ngx_int_t
ngx_sf_header_add(ngx_http_request_t *r, const char *name,
    const ngx_str_t *value)
{
    return ngx_sf_header_push(r, name, ngx_strlen(name), value);
}

/* the first header of that name, in lower case; NULL when there is none */

static ngx_inline const ngx_str_t *
ngx_sf_header_find(ngx_http_request_t *r, const char *name)
{
    return ngx_sf_header_search(r, name, ngx_strlen(name));
}

/*
 * Takes the next element of a list such as that of Accept from *p: its name,
 * without parameters, and its weight in thousandths (RFC 9110, 12.4.2).
 * NGX_DONE: there is none before last.
 */
ngx_int_t ngx_sf_header_next(u_char **p, u_char *last, ngx_str_t *name,
    ngx_uint_t *weight);

/*
 * Whether a list of entity tags has this one, the way nginx's filter looks; by
 * weak comparison, or strong.  A list of "*" alone has any tag, also NULL.
 */
ngx_uint_t ngx_sf_header_lists(const ngx_str_t *list, const ngx_str_t *etag,
    ngx_uint_t weak);

/*
 * Whether conditions hold for a response of status 200, as nginx's filter sees
 * it: not in a subrequest, nor where error_page makes an error of it.
 */
ngx_uint_t ngx_sf_header_conditional(ngx_http_request_t *r);

/* whether If-Match lets a response with this tag out; NULL: it has none */
ngx_uint_t ngx_sf_header_matches(ngx_http_request_t *r,
    const ngx_str_t *etag);

/* sends the headers; of the conditions those that do not apply are dropped */
ngx_int_t ngx_sf_header_send(ngx_http_request_t *r);


/* --- ngx_http_softfactory_module.c: configuration --- */

/* of one endpoint, in ms; unset ones are inherited */

typedef struct {
    ngx_msec_t                  ttl;
    ngx_msec_t                  stale;
    ngx_msec_t                  error;
} ngx_sf_ttl_t;

/*
 * A database in a zone, as one configuration has it: made anew with each, and
 * numbered over all zones.  What is known of it, its counters and its listener,
 * is in the zone, where all workers of all configurations find it by identity:
 * ngx_sf_source_t, of which worker->sources has one for each origin.
 */

typedef struct {
    ngx_sf_zone_t              *zone;
    ngx_sf_pg_conf_t           *primary;
    u_char                      identity[16];
} ngx_sf_origin_t;

/* a location that shows something, of the server that it stands in */

typedef struct {
    void                       *server;   /* ngx_http_core_srv_conf_t */
    ngx_str_t                   what;     /* "report", "metrics", "live" */
    ngx_str_t                   path;
} ngx_sf_link_t;

/* the words of softfactory_endpoints, until the endpoints are known */

typedef struct {
    ngx_array_t                *words;    /* of ngx_str_t; NULL: not said */
    u_char                     *file;     /* where it stands */
    ngx_uint_t                  line;
} ngx_sf_choice_words_t;

/* the same of softfactory_cache_ttl */

typedef struct {
    ngx_str_t                   name;
    ngx_sf_ttl_t                ttl;
    u_char                     *file;
    ngx_uint_t                  line;
} ngx_sf_ttl_words_t;

typedef struct ngx_sf_declaration_s  ngx_sf_declaration_t;

struct ngx_sf_main_conf_s {
    ngx_array_t                 rows;     /* of ngx_sf_row_t: declared */
    ngx_array_t                 fragments;    /* of ngx_sf_fragment_t */
    ngx_sf_row_t               *principal_row;    /* NULL: a good token is
                                                     enough */
    ngx_sf_declaration_t       *declaration;  /* that is being read */
    ngx_sf_endpoint_t          *endpoints;    /* a row of each */
    ngx_uint_t                  nendpoints;
    ngx_sf_routes_t            *routes;
    ngx_sf_resource_t          *principal;    /* NULL: the same */
    ngx_uint_t                  nstatements;
    ngx_uint_t                  listen_id;    /* of listeners' statements */
    ngx_array_t                 products; /* of ngx_str_t: bit = index */
    ngx_array_t                 tables;   /* of ngx_str_t, of all tags: bit =
                                             index, as far as there are bits */
    ngx_array_t                 resources;    /* of ngx_sf_resource_t * */
    ngx_regex_t                *sql_like; /* see ngx_sf_param_env_t */
    ngx_array_t                 locations;    /* of ngx_sf_loc_conf_t * */
    ngx_array_t                 pools;    /* of ngx_sf_pg_conf_t * in use */
    ngx_array_t                 zones;    /* of ngx_sf_zone_t * */
    ngx_array_t                 origins;  /* of ngx_sf_origin_t */
    ngx_array_t                 operators;    /* of ngx_sf_loc_conf_t * with
                                                 a purge or a status */
    ngx_msec_t                  lease;    /* softfactory_listen_lease */
    ngx_msec_t                  look;     /* softfactory_listen_schema, 0:
                                             off */
    size_t                      max_bodies;   /* bytes, of a worker */
    size_t                      max_response; /* bytes, of PostgreSQL */
    ngx_sf_metrics_t           *metrics;  /* NULL: nothing is passed to us */
    ngx_sf_workers_t           *workers;  /* NULL: nothing has slots */
    u_char                     *observer; /* file of the last location that
                                             shows metrics, NULL: none */
    ngx_uint_t                  observer_line;
    ngx_array_t                 key_files;    /* of ngx_sf_key_file_t *; a
                                                 worker changes its own copy */
    ngx_array_t                 links;    /* of ngx_sf_link_t */
    ngx_int_t                   request_id;   /* index of $request_id */
    ngx_sf_worker_t            *worker;   /* set once, in the worker */
};

struct ngx_sf_loc_conf_s {
    ngx_str_t                   primary;  /* names of upstreams */
    ngx_str_t                   replicas;
    ngx_sf_pg_conf_t           *primary_pg;
    ngx_sf_pg_conf_t           *replicas_pg;
    ngx_sf_jwt_trust_t          own;      /* of this level */
    ngx_sf_jwt_rules_t          jwt;
    ngx_array_t                *tokens;   /* of ngx_sf_fixed_token_t */
    ngx_sf_choice_words_t       chosen;   /* softfactory_endpoints */
    u_char                     *enabled;  /* by endpoint index */
    ngx_array_t                *cors;     /* of ngx_str_t */
    ngx_str_t                   fallback;
    ngx_str_t                   version;
    ngx_flag_t                  anonymous;
    ngx_int_t                   max_page_size;
    ngx_int_t                   max_offset;   /* rows that pages skip */
    ngx_int_t                   min_search;   /* characters, of ASCII alone */
    ngx_http_complex_value_t   *fair_key; /* NULL: the user, or the address */

    ngx_str_t                   cache;    /* name of its zone, or "off" */
    ngx_sf_zone_t              *zone;     /* NULL: no cache */
    ngx_uint_t                  origin;   /* of its responses */
    ngx_array_t                *ttl_words;    /* of ngx_sf_ttl_words_t */
    ngx_sf_ttl_t               *ttls;     /* by endpoint index */
    ngx_array_t                *bypass;   /* predicates */
    ngx_msec_t                  incoherent_ttl;
    ngx_msec_t                  auth_grace;
    size_t                      max_entry;
    ngx_flag_t                  gzip;     /* stored forms */

    ngx_msec_t                  slow;     /* 0: nothing is slow */
    ngx_int_t                   slow_rate;    /* lines a second */

    ngx_http_core_srv_conf_t   *cscf;     /* for the check of fallback */
    u_char                     *file;     /* where softfactory_pass stands */
    ngx_uint_t                  line;
};

/* state of one worker */

struct ngx_sf_worker_s {
    ngx_cycle_t                *cycle;
    ngx_sf_main_conf_t         *smcf;
    ngx_sf_pg_pool_t          **pools;    /* by ngx_sf_pg_conf_t.index */
    ngx_sf_pg_logins_t          logins;   /* of all of them */
    ngx_sf_variants_t           variants;
    ngx_sf_flights_t            flights;
    ngx_sf_bodies_t             bodies;
    ngx_sf_source_t           **sources;  /* by origin; NULL: no cache */
    ngx_sf_listen_t           **listeners;    /* by origin, NULL: none */
    ngx_sf_tokens_t            *tokens;
    ngx_sf_parsed_table_t      *parsed_table;
    ngx_sf_principals_t        *principals;
    ngx_sf_places_t            *places;   /* by pool, of its gauges */
    ngx_event_t                 second;   /* timer of gauges and samples */
    ngx_event_t                 look;     /* timer of files of keys */
    ngx_sf_slow_limit_t         slow;
    time_t                      started;
};


extern ngx_module_t  ngx_http_softfactory_module;


#endif /* _NGX_SF_HTTP_H_INCLUDED_ */

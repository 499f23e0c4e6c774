
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Directives, variables and the life of a worker.
 *
 * Endpoints are declared anywhere in http{}, and so are upstreams: names of
 * both are looked up after all of it has been read.  A mistake refuses to
 * start, with a line that says what is allowed.
 *
 * Configuration is never written after it has been made, except for
 * smcf->worker, which a worker sets once in its own copy, and files of keys,
 * which it reads again there (ngx_sf_keys.c).
 *
 * The order in which nginx calls what is below:
 *
 *     create_main_conf    empty lists
 *     create_loc_conf     what is not set yet, at each level
 *     preconfiguration    variables
 *     (directives)        blocks become rows, names are kept
 *     init_main_conf      defaults of http{}; endpoints are compiled
 *     merge_loc_conf      levels inherit; names of endpoints are looked up
 *     postconfiguration   those of upstreams are, pools and zones are known
 *     init_module         one line of log
 *     init_process        a worker: pools, zones, listeners, gauges
 *     exit_process        the same, backwards
 */


#include "ngx_sf_conf.h"
#include "ngx_sf_observe.h"


static ngx_int_t ngx_http_softfactory_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_softfactory_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_softfactory_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_softfactory_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_softfactory_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);


static char *ngx_http_softfactory_init_main_conf(ngx_conf_t *cf, void *conf);
static char *ngx_http_softfactory_check_lease(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_softfactory_check_leeway(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_softfactory_check_response(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_softfactory_listen_schema(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

static ngx_int_t ngx_http_softfactory_endpoint_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_softfactory_cache_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_softfactory_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_softfactory_time_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_softfactory_request_id_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_softfactory_trace_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_softfactory_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_softfactory_init_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_softfactory_enter_zones(ngx_sf_worker_t *worker);
static ngx_int_t ngx_http_softfactory_listen(ngx_sf_worker_t *worker,
    ngx_uint_t i);
static void ngx_http_softfactory_woken(void *data, uint64_t hash);
static void ngx_http_softfactory_exit_process(ngx_cycle_t *cycle);


/* rows of a page, and rows that pages before it may have */

static ngx_conf_num_bounds_t  ngx_http_softfactory_page_size_bounds = {
    ngx_conf_check_num_bounds, 1, 100000
};


static ngx_conf_num_bounds_t  ngx_http_softfactory_offset_bounds = {
    ngx_conf_check_num_bounds, 0, NGX_MAX_INT32_VALUE
};


/* the original wants two, and refuses more than a hundred */

static ngx_conf_num_bounds_t  ngx_http_softfactory_search_bounds = {
    ngx_conf_check_num_bounds, 2, 100
};


/* a lease is renewed by a heartbeat every 500 ms */

static ngx_conf_post_t  ngx_http_softfactory_lease_bounds = {
    ngx_http_softfactory_check_lease
};


/* for so long a token is good before its time and after it */

static ngx_conf_post_t  ngx_http_softfactory_leeway_bounds = {
    ngx_http_softfactory_check_leeway
};


/* what the module asks for itself has to fit, as the looks at the schema */

#define NGX_HTTP_SOFTFACTORY_MIN_RESPONSE  (64 * 1024)
#define NGX_HTTP_SOFTFACTORY_MAX_RESPONSE  (1024 * 1024 * 1024)

static ngx_conf_post_t  ngx_http_softfactory_response_bounds = {
    ngx_http_softfactory_check_response
};


/*
 * Where nginx's own setter and bounds are enough they are used; most of the
 * other setters are in src/conf.  The last field of those that make a location
 * show something is its content handler, of words of an endpoint's block the
 * member of the row that they set.
 */

static ngx_command_t  ngx_http_softfactory_commands[] = {

    { ngx_string("softfactory_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_sf_cache_conf_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_pg"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE12,
      ngx_sf_pg_conninfo,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_pg_pool"),
      NGX_HTTP_UPS_CONF|NGX_CONF_1MORE,
      ngx_sf_pg_pool,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_listen"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_sf_pg_listen,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_listen_lease"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_sf_main_conf_t, lease),
      &ngx_http_softfactory_lease_bounds },

    { ngx_string("softfactory_listen_schema"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_softfactory_listen_schema,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_pass"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_sf_conf_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_endpoints"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_sf_conf_endpoints,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_jwt_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_conf_jwt_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_jwt_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_sf_jwt_conf_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_jwt_issuer"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_jwt_conf_issuer,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_jwt_audience"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_sf_jwt_conf_audience,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_jwt_user"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_jwt_conf_user,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_jwt_leeway"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, jwt.leeway),
      &ngx_http_softfactory_leeway_bounds },

    { ngx_string("softfactory_jwt_require"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_conf_jwt_require,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_sf_conf_token,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_anonymous"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, anonymous),
      NULL },

    { ngx_string("softfactory_max_page_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, max_page_size),
      &ngx_http_softfactory_page_size_bounds },

    { ngx_string("softfactory_max_offset"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, max_offset),
      &ngx_http_softfactory_offset_bounds },

    { ngx_string("softfactory_min_search"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, min_search),
      &ngx_http_softfactory_search_bounds },

    { ngx_string("softfactory_max_response"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_sf_main_conf_t, max_response),
      &ngx_http_softfactory_response_bounds },

    { ngx_string("softfactory_max_bodies"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_sf_main_conf_t, max_bodies),
      NULL },

    { ngx_string("softfactory_fair_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, fair_key),
      NULL },

    { ngx_string("softfactory_fallback"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_conf_fallback,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_cors_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_sf_conf_cors_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_cache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, cache),
      NULL },

    { ngx_string("softfactory_cache_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_2MORE,
      ngx_sf_cache_conf_ttl,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_cache_bypass"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_set_predicate_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, bypass),
      NULL },

    { ngx_string("softfactory_cache_incoherent_ttl"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, incoherent_ttl),
      NULL },

    { ngx_string("softfactory_cache_max_entry"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, max_entry),
      NULL },

    { ngx_string("softfactory_gzip"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, gzip),
      NULL },

    { ngx_string("softfactory_auth_grace"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, auth_grace),
      NULL },

    { ngx_string("softfactory_purge"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_cache_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_sf_purge_handler },

    { ngx_string("softfactory_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_cache_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_sf_status_handler },

    { ngx_string("softfactory_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_sf_metrics_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_sf_prometheus_handler },

    { ngx_string("softfactory_report"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_sf_metrics_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_sf_report_handler },

    { ngx_string("softfactory_live"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_sf_metrics_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_sf_live_handler },

    { ngx_string("softfactory_slow"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_sf_metrics_conf_slow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_version"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, version),
      NULL },

    { ngx_string("softfactory_endpoint"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_principal"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_NOARGS,
      ngx_sf_endpoint_conf_principal,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_fragment"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_sf_endpoint_conf_fragment,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("get"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_method,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("fallback"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_1MORE,
      ngx_sf_endpoint_conf_fallback,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("access"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_access,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("role"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_text,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, product) },

    { ngx_string("param"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_2MORE,
      ngx_sf_endpoint_conf_param,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("page"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_1MORE,
      ngx_sf_endpoint_conf_page,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sql"),
      NGX_SF_ENDPOINT_CONF|NGX_SF_PRINCIPAL_CONF|NGX_CONF_1MORE,
      ngx_sf_endpoint_conf_texts,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, sql) },

    { ngx_string("total"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_1MORE,
      ngx_sf_endpoint_conf_texts,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, total) },

    { ngx_string("expires"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_text,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, expires) },

    { ngx_string("json"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_1MORE,
      ngx_sf_endpoint_conf_texts,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, json) },

    { ngx_string("tags"),
      NGX_SF_ENDPOINT_CONF|NGX_SF_PRINCIPAL_CONF|NGX_CONF_1MORE,
      ngx_sf_endpoint_conf_words,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, tags) },

    { ngx_string("total_tags"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_1MORE,
      ngx_sf_endpoint_conf_words,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, total_tags) },

    { ngx_string("ttl"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_ttl,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("lane"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_lane,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("missing"),
      NGX_SF_ENDPOINT_CONF|NGX_SF_PRINCIPAL_CONF|NGX_CONF_TAKE12,
      ngx_sf_endpoint_conf_missing,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("check"),
      NGX_SF_ENDPOINT_CONF|NGX_SF_PRINCIPAL_CONF|NGX_CONF_TAKE3,
      ngx_sf_endpoint_conf_check,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("denied"),
      NGX_SF_PRINCIPAL_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_text,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, denied) },

    { ngx_string("document"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_document,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("summary"),
      NGX_SF_ENDPOINT_CONF|NGX_CONF_TAKE1,
      ngx_sf_endpoint_conf_text,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      (void *) offsetof(ngx_sf_row_t, summary) },

      ngx_null_command
};


/*
 * None is cacheable: most change in the course of a request, and nginx would
 * keep what it has seen first.
 */

static ngx_http_variable_t  ngx_http_softfactory_variables[] = {

    { ngx_string("softfactory_endpoint"), NULL,
      ngx_http_softfactory_endpoint_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_user"), NULL,
      ngx_http_softfactory_user_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_cache"), NULL,
      ngx_http_softfactory_cache_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_auth_time"), NULL,
      ngx_http_softfactory_time_variable,
      offsetof(ngx_sf_ctx_t, auth_time),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_db_time"), NULL,
      ngx_http_softfactory_time_variable,
      offsetof(ngx_sf_ctx_t, db_time),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_queue_time"), NULL,
      ngx_http_softfactory_time_variable,
      offsetof(ngx_sf_ctx_t, queue_time),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_request_id"), NULL,
      ngx_http_softfactory_request_id_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_trace_id"), NULL,
      ngx_http_softfactory_trace_id_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_http_module_t  ngx_http_softfactory_module_ctx = {
    ngx_http_softfactory_preconfiguration, /* preconfiguration */
    ngx_http_softfactory_postconfiguration, /* postconfiguration */

    ngx_http_softfactory_create_main_conf, /* create main configuration */
    ngx_http_softfactory_init_main_conf,   /* init main configuration */

    ngx_sf_pg_create_conf,                 /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_softfactory_create_loc_conf,  /* create location configuration */
    ngx_http_softfactory_merge_loc_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_softfactory_module = {
    NGX_MODULE_V1,
    &ngx_http_softfactory_module_ctx,      /* module context */
    ngx_http_softfactory_commands,         /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_softfactory_init_module,      /* init module */
    ngx_http_softfactory_init_process,     /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_softfactory_exit_process,     /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_softfactory_preconfiguration(ngx_conf_t *cf)
{
    ngx_sf_main_conf_t   *smcf;
    ngx_http_variable_t  *var, *v;

    static ngx_str_t  request_id = ngx_string("request_id");

    for (v = ngx_http_softfactory_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    smcf->request_id = ngx_http_get_variable_index(cf, &request_id);

    return smcf->request_id == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/*
 * All of http{} has been read and merged.  Locations come before the checks of
 * zones and connections, since they are what upstreams and zones are used by;
 * metrics come after these, as they are needed wherever there is a pool, and
 * the list of workers last, as zones and metrics are what it serves.
 */

static ngx_int_t
ngx_http_softfactory_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_sf_loc_conf_t   **slcf;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    slcf = smcf->locations.elts;

    for (i = 0; i < smcf->locations.nelts; i++) {
        if (ngx_sf_conf_finish(cf, slcf[i]) != NGX_OK
            || ngx_sf_cache_conf_finish(cf, slcf[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    slcf = smcf->operators.elts;

    for (i = 0; i < smcf->operators.nelts; i++) {
        if (ngx_sf_cache_conf_find_zone(cf, slcf[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_sf_cache_conf_reuse(cf, smcf);
    ngx_sf_conf_check_connections(cf, smcf);
    ngx_sf_fence_init();

    if (ngx_sf_metrics_conf_finish(cf, smcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_sf_conf_workers(cf, smcf);
}


static void *
ngx_http_softfactory_create_main_conf(ngx_conf_t *cf)
{
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_pcalloc(cf->pool, sizeof(ngx_sf_main_conf_t));
    if (smcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&smcf->rows, cf->pool, 32, sizeof(ngx_sf_row_t))
        != NGX_OK
        || ngx_array_init(&smcf->fragments, cf->pool, 8,
                          sizeof(ngx_sf_fragment_t))
           != NGX_OK
        || ngx_array_init(&smcf->tables, cf->pool, 16, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&smcf->resources, cf->pool, 64,
                          sizeof(ngx_sf_resource_t *))
           != NGX_OK
        || ngx_array_init(&smcf->products, cf->pool, 4, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&smcf->locations, cf->pool, 4,
                          sizeof(ngx_sf_loc_conf_t *))
           != NGX_OK
        || ngx_array_init(&smcf->pools, cf->pool, 2,
                          sizeof(ngx_sf_pg_conf_t *))
           != NGX_OK
        || ngx_array_init(&smcf->zones, cf->pool, 1, sizeof(ngx_sf_zone_t *))
           != NGX_OK
        || ngx_array_init(&smcf->origins, cf->pool, 1,
                          sizeof(ngx_sf_origin_t))
           != NGX_OK
        || ngx_array_init(&smcf->operators, cf->pool, 1,
                          sizeof(ngx_sf_loc_conf_t *))
           != NGX_OK
        || ngx_array_init(&smcf->key_files, cf->pool, 1,
                          sizeof(ngx_sf_key_file_t *))
           != NGX_OK
        || ngx_array_init(&smcf->links, cf->pool, 4, sizeof(ngx_sf_link_t))
           != NGX_OK)
    {
        return NULL;
    }

    smcf->lease = NGX_CONF_UNSET_MSEC;
    smcf->look = NGX_CONF_UNSET_MSEC;
    smcf->max_bodies = NGX_CONF_UNSET_SIZE;
    smcf->max_response = NGX_CONF_UNSET_SIZE;

    return smcf;
}


/* ngx_sf_cache_conf_finish() hands lease and look on to the zones in use */

static char *
ngx_http_softfactory_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_conf_init_msec_value(smcf->lease, 2000);
    ngx_conf_init_msec_value(smcf->look, 5000);
    ngx_conf_init_size_value(smcf->max_bodies, 128 * 1024 * 1024);
    ngx_conf_init_size_value(smcf->max_response, 8 * 1024 * 1024);

    return ngx_sf_endpoints_compile(cf, smcf) == NGX_OK ? NGX_CONF_OK
                                                        : NGX_CONF_ERROR;
}


/* one heartbeat may be late without a lease being lost */

static char *
ngx_http_softfactory_check_lease(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *lease = data;

    if (*lease < NGX_SF_LISTEN_LEASE_MIN) {
        return "must be 1s at least: heartbeats come every 500ms";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_softfactory_check_leeway(ngx_conf_t *cf, void *post, void *data)
{
    time_t  *leeway = data;

    if (*leeway > NGX_SF_JWT_LEEWAY_MAX) {
        return "must be between 0s and 10m: a larger one lets tokens live "
               "longer, set the clocks instead";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_softfactory_check_response(ngx_conf_t *cf, void *post, void *data)
{
    size_t  *size = data;

    if (*size < NGX_HTTP_SOFTFACTORY_MIN_RESPONSE
        || *size > NGX_HTTP_SOFTFACTORY_MAX_RESPONSE)
    {
        return "must be between 64k and 1024m";
    }

    return NGX_CONF_OK;
}


/* 0 stands for "off": the schema is not looked at */

static char *
ngx_http_softfactory_listen_schema(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t  *value;
    ngx_msec_t  look;

    if (smcf->look != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        smcf->look = 0;
        return NGX_CONF_OK;
    }

    look = ngx_parse_time(&value[1], 0);

    if (look == (ngx_msec_t) NGX_ERROR) {
        return "must be a time or \"off\"";
    }

    if (look < NGX_SF_LISTEN_LOOK_MIN || look > NGX_SF_LISTEN_LOOK_MAX) {
        return "must be between 250ms and 1h, or \"off\"";
    }

    smcf->look = look;

    return NGX_CONF_OK;
}


static void *
ngx_http_softfactory_create_loc_conf(ngx_conf_t *cf)
{
    ngx_sf_loc_conf_t  *slcf;

    slcf = ngx_pcalloc(cf->pool, sizeof(ngx_sf_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    ngx_sf_jwt_conf_init(slcf);

    slcf->tokens = NGX_CONF_UNSET_PTR;
    slcf->cors = NGX_CONF_UNSET_PTR;
    slcf->anonymous = NGX_CONF_UNSET;
    slcf->max_page_size = NGX_CONF_UNSET;
    slcf->max_offset = NGX_CONF_UNSET;
    slcf->min_search = NGX_CONF_UNSET;
    slcf->fair_key = NGX_CONF_UNSET_PTR;
    slcf->bypass = NGX_CONF_UNSET_PTR;
    slcf->incoherent_ttl = NGX_CONF_UNSET_MSEC;
    slcf->auth_grace = NGX_CONF_UNSET_MSEC;
    slcf->max_entry = NGX_CONF_UNSET_SIZE;
    slcf->gzip = NGX_CONF_UNSET;
    slcf->slow = NGX_CONF_UNSET_MSEC;
    slcf->slow_rate = NGX_CONF_UNSET;

    return slcf;
}


/*
 * What must be looked at for each location, those of `if` included, is done
 * here, since nginx keeps no list of them: that no other module passes requests
 * to PostgreSQL, and that an `if` has the upstreams of its location.
 */

static char *
ngx_http_softfactory_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_sf_loc_conf_t  *prev = parent;
    ngx_sf_loc_conf_t  *conf = child;

    if (ngx_sf_conf_check_passers(cf) != NGX_OK
        || ngx_sf_conf_inherit_pass(cf, prev, conf) != NGX_OK
        || ngx_sf_conf_merge_endpoints(cf, prev, conf) != NGX_OK
        || ngx_sf_cache_conf_merge_ttls(cf, prev, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_conf_merge_str_value(conf->cache, prev->cache, "");
    ngx_conf_merge_ptr_value(conf->bypass, prev->bypass, NULL);
    ngx_conf_merge_msec_value(conf->incoherent_ttl, prev->incoherent_ttl,
                              1000);
    ngx_conf_merge_msec_value(conf->auth_grace, prev->auth_grace, 300000);
    ngx_conf_merge_size_value(conf->max_entry, prev->max_entry, 1024 * 1024);
    ngx_conf_merge_value(conf->gzip, prev->gzip, 1);
    ngx_conf_merge_msec_value(conf->slow, prev->slow, 500);
    ngx_conf_merge_value(conf->slow_rate, prev->slow_rate, 10);

    ngx_sf_jwt_conf_merge(prev, conf);

    ngx_conf_merge_ptr_value(conf->tokens, prev->tokens, NULL);
    ngx_conf_merge_ptr_value(conf->cors, prev->cors, NULL);
    ngx_conf_merge_value(conf->anonymous, prev->anonymous, 1);
    ngx_conf_merge_value(conf->max_page_size, prev->max_page_size, 500);
    ngx_conf_merge_value(conf->max_offset, prev->max_offset, 100000);
    ngx_conf_merge_value(conf->min_search, prev->min_search, 2);
    ngx_conf_merge_ptr_value(conf->fair_key, prev->fair_key, NULL);
    ngx_conf_merge_str_value(conf->fallback, prev->fallback, "");
    ngx_conf_merge_str_value(conf->version, prev->version, "1.0.0");

    return NGX_CONF_OK;
}


/* not found until the route is known, and for a path that is none of ours */

static ngx_int_t
ngx_http_softfactory_endpoint_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_sf_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_softfactory_module);

    if (ctx == NULL || ctx->endpoint == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = ctx->endpoint->name.data;
    v->len = ctx->endpoint->name.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* HIT, MISS, ...: not found while the cache has not been asked */

static ngx_int_t
ngx_http_softfactory_cache_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_sf_ctx_t     *ctx;
    const ngx_str_t  *status;

    ctx = ngx_http_get_module_ctx(r, ngx_http_softfactory_module);

    if (ctx == NULL || ctx->cache_status == NGX_SF_CACHE_NONE) {
        v->not_found = 1;
        return NGX_OK;
    }

    status = ngx_sf_response_cache_status(ctx->cache_status);

    v->data = status->data;
    v->len = status->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/*
 * By the token alone: it never waits and never asks the database, so limit_req
 * can use it before the request comes to us.  Empty without a good token.
 */

static ngx_int_t
ngx_http_softfactory_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char             *p;
    int64_t             user;
    ngx_sf_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_softfactory_module);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = 0;

    if (ngx_sf_auth_user(r, slcf, &user) != NGX_OK) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_sprintf(p, "%L", user) - p;

    return NGX_OK;
}


/* seconds with a resolution of a microsecond, summed over statements */

static ngx_int_t
ngx_http_softfactory_time_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char        *p;
    uint64_t       us;
    ngx_sf_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_softfactory_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN + sizeof(".000000"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    us = *(uint64_t *) ((char *) ctx + data);

    v->data = p;
    v->len = ngx_sprintf(p, "%uL.%06uL", us / 1000000, us % 1000000) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_softfactory_request_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  id;

    ngx_sf_trace_request_id(r, &id);

    v->data = id.data;
    v->len = id.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_softfactory_trace_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  id;

    ngx_sf_trace_id(r, &id);

    v->data = id.data;
    v->len = id.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = id.len == 0;

    return NGX_OK;
}


/* once for each configuration that is taken up: a log tells what ran when */

static ngx_int_t
ngx_http_softfactory_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t           libpq;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_softfactory_module);

    if (smcf == NULL || smcf->pools.nelts == 0 || ngx_test_config) {
        return NGX_OK;
    }

    libpq = ngx_sf_pg_conn_library();

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "softfactory: module version " NGX_SF_VERSION
                  ", libpq %ui.%ui", libpq / 10000, libpq % 10000);

    return NGX_OK;
}


/*
 * Everything of a worker, and nothing in the master or in the cache manager.
 * On an error nginx ends the worker.  Metrics come before pools and zones,
 * which count; smcf->worker is set last, as it says that all of it is there.
 */

static ngx_int_t
ngx_http_softfactory_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t            i;
    ngx_sf_worker_t      *worker;
    ngx_sf_pg_conf_t    **pgcf;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_softfactory_module);

    if (smcf == NULL || smcf->pools.nelts == 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_sf_worker_t));
    if (worker == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_workers_enter(smcf->workers);

    worker->cycle = cycle;
    worker->smcf = smcf;
    worker->started = ngx_time();
    worker->tokens = ngx_sf_tokens_create(cycle);
    worker->parsed_table = ngx_sf_parsed_table_create(cycle);
    worker->principals = ngx_sf_principals_create(cycle);

    worker->variants.pool = cycle->pool;
    worker->variants.n = smcf->nstatements;
    worker->variants.made = ngx_pcalloc(cycle->pool,
                                     smcf->pools.nelts * smcf->nstatements
                                     * sizeof(ngx_sf_pg_statement_t *));
    worker->pools = ngx_pcalloc(cycle->pool, smcf->pools.nelts
                                             * sizeof(ngx_sf_pg_pool_t *));

    if (worker->tokens == NULL || worker->parsed_table == NULL
        || worker->principals == NULL || worker->variants.made == NULL
        || worker->pools == NULL
        || ngx_sf_flights_init(cycle, &worker->flights, smcf->pools.nelts)
           != NGX_OK
        || ngx_sf_bodies_init(cycle, &worker->bodies) != NGX_OK
        || ngx_sf_metrics_enter(smcf->metrics, cycle->log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_sf_pg_logins_init(cycle, &worker->logins);

    pgcf = smcf->pools.elts;

    for (i = 0; i < smcf->pools.nelts; i++) {
        worker->pools[i] = ngx_sf_pg_pool_create(cycle, pgcf[i],
                                                 smcf->nstatements,
                                                 &worker->logins);
        if (worker->pools[i] == NULL) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_softfactory_enter_zones(worker) != NGX_OK
        || ngx_sf_gauges_start(worker) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_sf_keys_start(worker);

    smcf->worker = worker;

    return NGX_OK;
}


/* a worker that cannot enter a zone does without its entries */

static ngx_int_t
ngx_http_softfactory_enter_zones(ngx_sf_worker_t *worker)
{
    ngx_uint_t            i;
    ngx_sf_zone_t       **zone;
    ngx_sf_main_conf_t   *smcf;

    smcf = worker->smcf;
    zone = smcf->zones.elts;

    for (i = 0; i < smcf->zones.nelts; i++) {
        if (ngx_sf_zone_enter(zone[i], smcf->workers->n) != NGX_OK) {
            continue;
        }

        zone[i]->woken = ngx_http_softfactory_woken;
        zone[i]->data = worker;

        if (ngx_sf_wake_open(zone[i], worker->cycle->log) != NGX_OK
            || ngx_sf_resource_covers(smcf, zone[i], worker->cycle->pool)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    worker->sources = ngx_pcalloc(worker->cycle->pool,
                        smcf->origins.nelts * sizeof(ngx_sf_source_t *) + 1);
    worker->listeners = ngx_pcalloc(worker->cycle->pool,
                        smcf->origins.nelts * sizeof(ngx_sf_listen_t *) + 1);

    if (worker->sources == NULL || worker->listeners == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < smcf->origins.nelts; i++) {
        if (ngx_http_softfactory_listen(worker, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * The worker's place in one database of a zone: an origin is what the
 * configuration says, a source its state in shared memory.  Every worker has a
 * listener, of which one is elected to connect (ngx_sf_listen.c); with
 * softfactory_listen another upstream's pool is its way.
 */

static ngx_int_t
ngx_http_softfactory_listen(ngx_sf_worker_t *worker, ngx_uint_t i)
{
    ngx_sf_origin_t     *origin;
    ngx_sf_pg_conf_t    *pgcf;
    ngx_sf_main_conf_t  *smcf;

    smcf = worker->smcf;
    origin = smcf->origins.elts;
    origin += i;

    if (origin->zone->slot == NULL) {
        return NGX_OK;
    }

    worker->sources[i] = ngx_sf_zone_source(origin->zone, origin->identity);

    if (worker->sources[i] == NULL) {
        ngx_log_error(NGX_LOG_ALERT, worker->cycle->log, 0,
                      "softfactory_zone \"%V\" has no room for another "
                      "upstream", &origin->zone->name);
        return NGX_OK;
    }

    pgcf = origin->primary;

    ngx_sf_pg_text_set_era(worker->pools[pgcf->index],
                           &worker->sources[i]->era);

    if (pgcf->listen_off) {
        return NGX_OK;
    }

    if (pgcf->listen_pg) {
        pgcf = pgcf->listen_pg;
    }

    worker->listeners[i] = ngx_sf_listen_create(worker->cycle, origin->zone,
                                                worker->sources[i],
                                                origin->primary,
                                                worker->pools[pgcf->index],
                                                smcf->listen_id);

    return worker->listeners[i] ? NGX_OK : NGX_ERROR;
}


/*
 * A datagram says what to look at again: the fill of a key, by its hash, or the
 * listener's state.
 */

static void
ngx_http_softfactory_woken(void *data, uint64_t hash)
{
    ngx_sf_worker_t  *worker = data;

    ngx_uint_t  i;

    if (hash != NGX_SF_WAKE_LISTENER) {
        ngx_sf_flights_woken(worker, hash);
        return;
    }

    for (i = 0; i < worker->smcf->origins.nelts; i++) {
        if (worker->listeners[i]) {
            ngx_sf_listen_nudge(worker->listeners[i]);
        }
    }
}


/*
 * Backwards: first what has queries, then the pools, whose connections are
 * counted once more as they close, and the places in shared memory last.
 */

static void
ngx_http_softfactory_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t            i;
    ngx_sf_zone_t       **zone;
    ngx_sf_worker_t      *worker;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_softfactory_module);

    if (smcf == NULL || smcf->worker == NULL) {
        return;
    }

    worker = smcf->worker;

    for (i = 0; i < smcf->origins.nelts; i++) {
        if (worker->listeners[i]) {
            ngx_sf_listen_destroy(worker->listeners[i]);
        }
    }

    ngx_sf_gauges_stop(worker);
    ngx_sf_keys_stop(worker);

    /* their queries are taken from pools that are still there */

    ngx_sf_flights_destroy(&worker->flights);

    for (i = 0; i < smcf->pools.nelts; i++) {
        ngx_sf_pg_pool_destroy(worker->pools[i]);
    }

    /* the last word, with the connections that were closed just now */

    ngx_sf_gauges_publish(worker);

    ngx_sf_tokens_clear(worker->tokens);
    ngx_sf_parsed_table_destroy(worker->parsed_table);

    zone = smcf->zones.elts;

    for (i = 0; i < smcf->zones.nelts; i++) {
        ngx_sf_zone_leave(zone[i]);
        ngx_sf_wake_close(zone[i]);
    }

    ngx_sf_metrics_leave(smcf->metrics);
    ngx_sf_workers_leave(smcf->workers);

    smcf->worker = NULL;
}

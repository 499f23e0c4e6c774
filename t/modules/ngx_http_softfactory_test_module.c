
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * For the tests only: a location that sends a statement of its own over a
 * lane of a pool and shows what became of it.
 *
 *     location /commit {
 *         softfactory_test_statement primary write 1 "INSERT …";
 *     }
 *
 * The statements of the API are read-only and well-formed, so what the pool
 * does with errors, in which place of a pipeline, and with transactions can be
 * shown only by statements like these.  $arg_v is bound as $1 when the
 * statement has one.  The response is a line with the outcome's number and the
 * SQLSTATE, then a line with the cells of each row.
 *
 *     location /later { softfactory_test_later primary; }
 *
 * /later?ms=60000 lets that time go by for the connections of a pool, and for
 * nothing else: what waits for a minute can be seen without waiting for it.
 *
 *     softfactory_test_name review_campaign other;
 *
 * gives an endpoint another name in shared memory: what a reload does to the
 * counters of endpoints that come, go and change places.
 */


#include "ngx_sf_test.h"


typedef struct {
    ngx_str_t                   describe; /* the file */
} ngx_sf_test_main_conf_t;


typedef struct {
    ngx_str_t                   upstream;
    ngx_uint_t                  lane;
    ngx_sf_pg_statement_t       statement;
} ngx_sf_test_conf_t;


typedef struct {
    ngx_http_request_t         *request;
    ngx_sf_pg_query_t           query;
    unsigned                    pending:1;
} ngx_sf_test_ctx_t;


static char *ngx_sf_test_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_sf_test_later_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_sf_test_name_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void *ngx_sf_test_create_main_conf(ngx_conf_t *cf);
static void *ngx_sf_test_create_conf(ngx_conf_t *cf);
static ngx_int_t ngx_sf_test_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_sf_test_handler(ngx_http_request_t *r);
static ngx_int_t ngx_sf_test_later_handler(ngx_http_request_t *r);
static void ngx_sf_test_later(ngx_event_t *timer, ngx_msec_t ms);
static ngx_sf_pg_pool_t *ngx_sf_test_pool(ngx_http_request_t *r,
    ngx_str_t *upstream);
static void ngx_sf_test_done(ngx_sf_pg_query_t *q,
    ngx_sf_pg_outcome_e outcome, PGresult *res);
static ngx_int_t ngx_sf_test_send(ngx_http_request_t *r,
    ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome, PGresult *res);
static void ngx_sf_test_cleanup(void *data);


const char *const  ngx_sf_test_lanes[] = {
    "read", "totals", "heavy", "write", "ping", "listen"
};


static ngx_command_t  ngx_sf_test_commands[] = {

    { ngx_string("softfactory_test_statement"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE4|NGX_CONF_TAKE5,
      ngx_sf_test_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_test_later"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_sf_test_later_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_test_name"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_sf_test_name_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_test_describe"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_sf_test_main_conf_t, describe),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_sf_test_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_sf_test_postconfiguration,         /* postconfiguration */

    ngx_sf_test_create_main_conf,          /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_sf_test_create_conf,               /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_softfactory_test_module = {
    NGX_MODULE_V1,
    &ngx_sf_test_module_ctx,               /* module context */
    ngx_sf_test_commands,                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_sf_test_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_sf_test_main_conf_t));
}


static ngx_int_t
ngx_sf_test_postconfiguration(ngx_conf_t *cf)
{
    ngx_sf_test_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf,
                                           ngx_http_softfactory_test_module);

    return tmcf->describe.len ? ngx_sf_test_describe(cf, &tmcf->describe)
                              : NGX_OK;
}


static void *
ngx_sf_test_create_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_sf_test_conf_t));
}


static char *
ngx_sf_test_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_test_conf_t  *tcf = conf;

    ngx_str_t                 *value;
    ngx_sf_main_conf_t        *smcf;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;
    tcf->upstream = value[1];

    while (ngx_strcmp(ngx_sf_test_lanes[tcf->lane], value[2].data) != 0) {
        if (++tcf->lane == NGX_SF_PG_LANES) {
            return "names no lane";
        }
    }

    /* ids are dense: the pools are made after all of them are known */

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    tcf->statement.id = smcf->nstatements++;
    tcf->statement.line = tcf->statement.id;
    ngx_str_set(&tcf->statement.name, "test");
    tcf->statement.columns = ngx_atoi(value[3].data, value[3].len);
    tcf->statement.text = (char *) value[4].data;

    if (cf->args->nelts > 5) {
        tcf->statement.tables = ngx_atoi(value[5].data, value[5].len);
    }

    tcf->statement.nvalues = ngx_strstr(value[4].data, "$1") != NULL;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_sf_test_handler;

    return NGX_CONF_OK;
}


static char *
ngx_sf_test_later_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_test_conf_t  *tcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;
    tcf->upstream = value[1];

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_sf_test_later_handler;

    return NGX_CONF_OK;
}


static char *
ngx_sf_test_name_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t           *value;
    ngx_uint_t           i;
    ngx_sf_row_t        *row;
    ngx_sf_main_conf_t  *smcf;

    value = cf->args->elts;
    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    row = smcf->rows.elts;

    for (i = 0; i < smcf->rows.nelts; i++) {
        if (ngx_strcmp(row[i].name, value[1].data) == 0) {
            row[i].name = (char *) value[2].data;
            return NGX_CONF_OK;
        }
    }

    return "names no endpoint that is declared above it";
}


static ngx_int_t
ngx_sf_test_handler(ngx_http_request_t *r)
{
    u_char               *text;
    ngx_str_t             v;
    const char          **values;
    ngx_sf_test_ctx_t    *ctx;
    ngx_sf_test_conf_t   *tcf;
    ngx_http_cleanup_t   *cln;
    ngx_sf_pg_outcome_e   outcome;

    tcf = ngx_http_get_module_loc_conf(r, ngx_http_softfactory_test_module);

    cln = ngx_http_cleanup_add(r, sizeof(ngx_sf_test_ctx_t));
    values = ngx_pcalloc(r->pool, 2 * sizeof(char *));

    if (cln == NULL || values == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_sf_test_ctx_t));
    cln->handler = ngx_sf_test_cleanup;

    if (ngx_http_arg(r, (u_char *) "v", 1, &v) == NGX_OK) {
        text = ngx_pcalloc(r->pool, v.len + 1);
        if (text == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memcpy(text, v.data, v.len);
        values[0] = (char *) text;
    }

    ctx->request = r;
    ctx->query.statement = &tcf->statement;
    ctx->query.values = values;
    ctx->query.outside = values[0] != NULL;
    ctx->query.lane = tcf->lane;
    ctx->query.handler = ngx_sf_test_done;
    ctx->query.data = ctx;

    outcome = ngx_sf_pg_submit(ngx_sf_test_pool(r, &tcf->upstream),
                               &ctx->query);

    if (outcome != NGX_SF_PG_OK) {
        return ngx_sf_test_send(r, &ctx->query, outcome, NULL);
    }

    ctx->pending = 1;
    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;

    return NGX_DONE;
}


static ngx_int_t
ngx_sf_test_later_handler(ngx_http_request_t *r)
{
    ngx_int_t            ms;
    ngx_str_t            v;
    ngx_uint_t           kind, state;
    ngx_queue_t         *q, *head;
    ngx_sf_pg_conn_t    *pgc;
    ngx_sf_pg_pool_t    *pool;
    ngx_sf_test_conf_t  *tcf;

    ngx_http_complex_value_t  cv;

    tcf = ngx_http_get_module_loc_conf(r, ngx_http_softfactory_test_module);
    pool = ngx_sf_test_pool(r, &tcf->upstream);

    if (ngx_http_arg(r, (u_char *) "ms", 2, &v) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    ms = ngx_atoi(v.data, v.len);
    if (ms == NGX_ERROR) {
        return NGX_HTTP_BAD_REQUEST;
    }

    for (kind = 0; kind < NGX_SF_PG_LANES; kind++) {
        for (state = 0; state < NGX_SF_PG_CONN_STATES; state++) {
            head = &pool->lanes[kind].conns[state];

            for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
                pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

                ngx_sf_test_later(&pgc->timer, ms);
            }
        }
    }

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value = v;

    return ngx_http_send_response(r, NGX_HTTP_OK, NULL, &cv);
}


static void
ngx_sf_test_later(ngx_event_t *timer, ngx_msec_t ms)
{
    ngx_msec_int_t  left;

    if (timer->timer_set) {
        left = (ngx_msec_int_t) (timer->timer.key - ngx_current_msec - ms);

        ngx_del_timer(timer);
        ngx_add_timer(timer, (ngx_msec_t) ngx_max(left, 1));
    }
}


static ngx_sf_pg_pool_t *
ngx_sf_test_pool(ngx_http_request_t *r, ngx_str_t *upstream)
{
    ngx_uint_t            i;
    ngx_sf_pg_conf_t    **pgcf;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);
    pgcf = smcf->pools.elts;

    for (i = 0; i < smcf->pools.nelts - 1; i++) {
        if (ngx_strcmp(pgcf[i]->name.data, upstream->data) == 0) {
            break;
        }
    }

    return smcf->worker->pools[i];
}


static void
ngx_sf_test_done(ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome,
    PGresult *res)
{
    ngx_connection_t    *c;
    ngx_sf_test_ctx_t   *ctx;
    ngx_http_request_t  *r;

    ctx = q->data;
    r = ctx->request;
    c = r->connection;

    ctx->pending = 0;

    ngx_http_finalize_request(r, ngx_sf_test_send(r, q, outcome, res));
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_sf_test_send(ngx_http_request_t *r, ngx_sf_pg_query_t *q,
    ngx_sf_pg_outcome_e outcome, PGresult *res)
{
    u_char                    *p, *last;
    ngx_str_t                  cell, text;
    ngx_uint_t                 i, n;
    ngx_http_complex_value_t   cv;

    text.data = ngx_pnalloc(r->pool, 65536);
    if (text.data == NULL) {
        ngx_sf_pg_result_free(res);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = text.data + 65536;
    p = ngx_sprintf(text.data, "outcome:%d sqlstate:%s retried:%ui\n",
                    outcome, q->sqlstate, q->retries);

    for (i = 0; res && i < ngx_sf_pg_result_rows(res); i++) {
        for (n = 0; n < q->statement->columns; n++) {
            cell = ngx_sf_pg_result_cell(res, i, n);
            p = ngx_slprintf(p, last, "%V|", &cell);
        }

        p = ngx_slprintf(p, last, "\n");
    }

    ngx_sf_pg_result_free(res);

    text.len = p - text.data;

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value = text;

    return ngx_http_send_response(r, NGX_HTTP_OK, NULL, &cv);
}


static void
ngx_sf_test_cleanup(void *data)
{
    ngx_sf_test_ctx_t  *ctx = data;

    if (ctx->pending) {
        ngx_sf_pg_cancel(&ctx->query);
    }
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Directives, variables and the life of a worker.
 *
 * The endpoint rows are compiled before any directive is read, so that a
 * directive can name an endpoint; upstreams are looked up after all of http{}
 * has been read, so that they may stand anywhere in it.  A mistake refuses to
 * start, with a line that says what is allowed.
 *
 * Configuration is never written after it has been made, except for
 * smcf->worker, which a worker sets once in its own copy.
 */


#include "ngx_sf.h"


static ngx_int_t ngx_http_softfactory_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_softfactory_compile(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_uint_t i);
static ngx_int_t ngx_http_softfactory_product(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, const char *slug, ngx_uint_t *bit);
static ngx_int_t ngx_http_softfactory_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_softfactory_upstream(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf, ngx_str_t *name, ngx_uint_t replicas,
    ngx_sf_pg_conf_t **pgcf);
static ngx_int_t ngx_http_softfactory_check_fallback(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);
static void *ngx_http_softfactory_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_softfactory_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_softfactory_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);

static char *ngx_http_softfactory_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_softfactory_endpoints(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_softfactory_unknown_endpoint(ngx_conf_t *cf,
    ngx_str_t *name);
static char *ngx_http_softfactory_jwt_secret(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_softfactory_secret_env(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *secret);
static char *ngx_http_softfactory_secret_file(ngx_conf_t *cf,
    ngx_str_t *name, ngx_str_t *secret);
static char *ngx_http_softfactory_token(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_softfactory_token_products(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_str_t *slugs, uint64_t *products);
static char *ngx_http_softfactory_fallback(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_softfactory_cors_origin(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

static ngx_int_t ngx_http_softfactory_endpoint_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_softfactory_user_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_softfactory_time_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_softfactory_init_process(ngx_cycle_t *cycle);
static void ngx_http_softfactory_exit_process(ngx_cycle_t *cycle);


static ngx_conf_num_bounds_t  ngx_http_softfactory_page_size_bounds = {
    ngx_conf_check_num_bounds, 1, 100000
};


static ngx_command_t  ngx_http_softfactory_commands[] = {

    { ngx_string("softfactory_pg"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
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

    { ngx_string("softfactory_pass"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_softfactory_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_endpoints"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_softfactory_endpoints,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_jwt_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_softfactory_jwt_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_token"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_http_softfactory_token,
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

    { ngx_string("softfactory_fallback"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_softfactory_fallback,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_cors_origin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_softfactory_cors_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("softfactory_version"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, version),
      NULL },

      ngx_null_command
};


static ngx_http_variable_t  ngx_http_softfactory_variables[] = {

    { ngx_string("softfactory_endpoint"), NULL,
      ngx_http_softfactory_endpoint_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_user"), NULL,
      ngx_http_softfactory_user_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_db_time"), NULL,
      ngx_http_softfactory_time_variable,
      offsetof(ngx_sf_ctx_t, db_time),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("softfactory_queue_time"), NULL,
      ngx_http_softfactory_time_variable,
      offsetof(ngx_sf_ctx_t, queue_time),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_http_module_t  ngx_http_softfactory_module_ctx = {
    ngx_http_softfactory_preconfiguration, /* preconfiguration */
    ngx_http_softfactory_postconfiguration, /* postconfiguration */

    ngx_http_softfactory_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

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
    NULL,                                  /* init module */
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
    ngx_str_t             name;
    ngx_uint_t            i;
    ngx_sf_main_conf_t   *smcf;
    ngx_sf_param_env_t    env;
    ngx_http_variable_t  *var, *v;

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

    for (i = 0; i < smcf->nendpoints; i++) {
        if (ngx_http_softfactory_compile(cf, smcf, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_str_set(&name, "principal");

    smcf->principal = ngx_sf_statement_compile(cf, &name, NULL,
                                               ngx_sf_api_principal, 2,
                                               &smcf->nstatements);

    smcf->routes = ngx_sf_routes_compile(cf, smcf->endpoints,
                                         smcf->nendpoints);

    if (smcf->principal == NULL || smcf->routes == NULL
        || ngx_sf_param_env_init(cf, &env) != NGX_OK)
    {
        return NGX_ERROR;
    }

    smcf->sql_like = env.sql_like;

    return NGX_OK;
}


static ngx_int_t
ngx_http_softfactory_compile(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_uint_t i)
{
    const char          *sql;
    ngx_uint_t           columns;
    ngx_sf_endpoint_t   *endpoint;
    const ngx_sf_row_t  *row;

    row = &ngx_sf_api[i];
    endpoint = &smcf->endpoints[i];

    endpoint->row = row;
    endpoint->index = i;
    endpoint->name.data = (u_char *) row->name;
    endpoint->name.len = ngx_strlen(row->name);

    while (row->params[endpoint->nparams].type != NGX_SF_PARAM_END) {
        endpoint->nparams++;
    }

    if (row->product
        && ngx_http_softfactory_product(cf, smcf, row->product,
                                        &endpoint->product)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    columns = 1;

    if (row->shape) {
        endpoint->program = ngx_sf_json_compile(cf->pool, row->shape);
        if (endpoint->program == NULL) {
            return NGX_ERROR;
        }

        columns = ngx_sf_json_columns(endpoint->program);
    }

    sql = row->document ? ngx_sf_api_ping : row->sql;

    if (sql) {
        endpoint->statement = ngx_sf_statement_compile(cf, &endpoint->name,
                                                       row->params, sql,
                                                       columns,
                                                       &smcf->nstatements);
        if (endpoint->statement == NULL) {
            return NGX_ERROR;
        }
    }

    if (row->total) {
        endpoint->total = ngx_sf_statement_compile(cf, &endpoint->name,
                                                   row->params, row->total, 1,
                                                   &smcf->nstatements);
        if (endpoint->total == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_softfactory_product(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    const char *slug, ngx_uint_t *bit)
{
    ngx_str_t  *product;

    product = smcf->products.elts;

    for (*bit = 0; *bit < smcf->products.nelts; (*bit)++) {
        if (ngx_strcmp(product[*bit].data, slug) == 0) {
            return NGX_OK;
        }
    }

    product = ngx_array_push(&smcf->products);
    if (product == NULL) {
        return NGX_ERROR;
    }

    product->data = (u_char *) slug;
    product->len = ngx_strlen(slug);

    return NGX_OK;
}


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

        if (ngx_http_softfactory_upstream(cf, slcf[i], &slcf[i]->primary, 0,
                                          &slcf[i]->primary_pg)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (slcf[i]->replicas.len
            && ngx_http_softfactory_upstream(cf, slcf[i],
                                             &slcf[i]->replicas, 1,
                                             &slcf[i]->replicas_pg)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_softfactory_check_fallback(cf, slcf[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_softfactory_upstream(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf,
    ngx_str_t *name, ngx_uint_t replicas, ngx_sf_pg_conf_t **out)
{
    ngx_uint_t                       i;
    ngx_sf_pg_conf_t                *pgcf, **pool;
    ngx_sf_main_conf_t              *smcf;
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);

    uscf = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        if (uscf[i]->srv_conf && uscf[i]->host.len == name->len
            && ngx_strncasecmp(uscf[i]->host.data, name->data, name->len)
               == 0)
        {
            break;
        }
    }

    pgcf = i == umcf->upstreams.nelts ? NULL
           : ngx_http_conf_upstream_srv_conf(uscf[i],
                                             ngx_http_softfactory_module);

    if (pgcf == NULL || pgcf->given.elts == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pass in %s:%ui names \"%V\": %s",
                      slcf->file, slcf->line, name,
                      pgcf ? "that upstream has no softfactory_pg"
                           : "there is no such upstream");
        return NGX_ERROR;
    }

    if (replicas ? pgcf->primary : pgcf->replicas) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pass in %s:%ui: upstream \"%V\" cannot be "
                      "a primary and replicas at once",
                      slcf->file, slcf->line, name);
        return NGX_ERROR;
    }

    *out = pgcf;

    if (pgcf->primary || pgcf->replicas) {
        return NGX_OK;
    }

    pgcf->primary = !replicas;
    pgcf->replicas = replicas;
    pgcf->index = smcf->pools.nelts;

    pool = ngx_array_push(&smcf->pools);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    *pool = pgcf;

    return ngx_sf_pg_conf_finish(cf, uscf[i], pgcf);
}


/* nginx itself would notice a missing named location at the first request */

static ngx_int_t
ngx_http_softfactory_check_fallback(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_str_t                  *name;
    ngx_http_core_loc_conf_t  **clcf;

    name = &slcf->fallback;

    if (name->len == 0 || name->data[0] != '@') {
        return NGX_OK;
    }

    clcf = slcf->cscf->named_locations;

    for ( /* void */ ; clcf && *clcf; clcf++) {
        if ((*clcf)->name.len == name->len
            && ngx_strncmp((*clcf)->name.data, name->data, name->len) == 0)
        {
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "softfactory_pass in %s:%ui has the fallback \"%V\", but "
                  "its server has no such location",
                  slcf->file, slcf->line, name);

    return NGX_ERROR;
}


static void *
ngx_http_softfactory_create_main_conf(ngx_conf_t *cf)
{
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_pcalloc(cf->pool, sizeof(ngx_sf_main_conf_t));
    if (smcf == NULL) {
        return NULL;
    }

    while (ngx_sf_api[smcf->nendpoints].name) {
        smcf->nendpoints++;
    }

    smcf->endpoints = ngx_pcalloc(cf->pool, smcf->nendpoints
                                            * sizeof(ngx_sf_endpoint_t));

    if (smcf->endpoints == NULL
        || ngx_array_init(&smcf->products, cf->pool, 4, sizeof(ngx_str_t))
           != NGX_OK
        || ngx_array_init(&smcf->locations, cf->pool, 4,
                          sizeof(ngx_sf_loc_conf_t *))
           != NGX_OK
        || ngx_array_init(&smcf->pools, cf->pool, 2,
                          sizeof(ngx_sf_pg_conf_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return smcf;
}


static void *
ngx_http_softfactory_create_loc_conf(ngx_conf_t *cf)
{
    ngx_sf_loc_conf_t  *slcf;

    slcf = ngx_pcalloc(cf->pool, sizeof(ngx_sf_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    slcf->keys = NGX_CONF_UNSET_PTR;
    slcf->tokens = NGX_CONF_UNSET_PTR;
    slcf->enabled = NGX_CONF_UNSET_PTR;
    slcf->cors = NGX_CONF_UNSET_PTR;
    slcf->anonymous = NGX_CONF_UNSET;
    slcf->max_page_size = NGX_CONF_UNSET;

    return slcf;
}


static char *
ngx_http_softfactory_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_sf_loc_conf_t  *prev = parent;
    ngx_sf_loc_conf_t  *conf = child;

    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    ngx_conf_merge_ptr_value(conf->keys, prev->keys, NULL);
    ngx_conf_merge_ptr_value(conf->tokens, prev->tokens, NULL);
    ngx_conf_merge_ptr_value(conf->cors, prev->cors, NULL);
    ngx_conf_merge_value(conf->anonymous, prev->anonymous, 1);
    ngx_conf_merge_value(conf->max_page_size, prev->max_page_size, 500);
    ngx_conf_merge_str_value(conf->fallback, prev->fallback, "");
    ngx_conf_merge_str_value(conf->version, prev->version, "1.0.0");

    if (conf->enabled == NGX_CONF_UNSET_PTR) {
        conf->enabled = prev->enabled;
    }

    if (conf->enabled == NGX_CONF_UNSET_PTR) {
        conf->enabled = ngx_palloc(cf->pool, smcf->nendpoints);
        if (conf->enabled == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memset(conf->enabled, 1, smcf->nendpoints);
        prev->enabled = conf->enabled;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_softfactory_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t                 *value;
    ngx_sf_loc_conf_t        **slot;
    ngx_sf_main_conf_t        *smcf;
    ngx_http_core_loc_conf_t  *clcf;

    if (slcf->primary.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    slcf->primary = value[1];

    if (cf->args->nelts == 3) {
        if (value[2].len <= 9
            || ngx_strncmp(value[2].data, "replicas=", 9) != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown parameter \"%V\", there is "
                               "replicas=upstream", &value[2]);
            return NGX_CONF_ERROR;
        }

        slcf->replicas.data = value[2].data + 9;
        slcf->replicas.len = value[2].len - 9;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    slot = ngx_array_push(&smcf->locations);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = slcf;

    slcf->cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    slcf->file = cf->conf_file->file.name.data;
    slcf->line = cf->conf_file->line;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_sf_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_softfactory_endpoints(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    u_char               on;
    ngx_str_t           *value, name;
    ngx_uint_t           i, n;
    ngx_sf_main_conf_t  *smcf;

    if (slcf->enabled != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    value = cf->args->elts;

    slcf->enabled = ngx_palloc(cf->pool, smcf->nendpoints);
    if (slcf->enabled == NULL) {
        return NGX_CONF_ERROR;
    }

    /* a list that begins by taking away begins with all of them */

    ngx_memset(slcf->enabled, value[1].data[0] == '-', smcf->nendpoints);

    for (i = 1; i < cf->args->nelts; i++) {
        name = value[i];
        on = 1;

        if (name.len == 3 && ngx_strncmp(name.data, "all", 3) == 0) {
            ngx_memset(slcf->enabled, 1, smcf->nendpoints);
            continue;
        }

        if (name.len && name.data[0] == '-') {
            name.data++;
            name.len--;
            on = 0;
        }

        for (n = 0; n < smcf->nendpoints; n++) {
            if (smcf->endpoints[n].name.len == name.len
                && ngx_strncmp(smcf->endpoints[n].name.data, name.data,
                               name.len)
                   == 0)
            {
                break;
            }
        }

        if (n == smcf->nendpoints) {
            return ngx_http_softfactory_unknown_endpoint(cf, &name);
        }

        slcf->enabled[n] = on;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_softfactory_unknown_endpoint(ngx_conf_t *cf, ngx_str_t *name)
{
    u_char               list[NGX_MAX_CONF_ERRSTR], *p;
    ngx_uint_t           i;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    p = list;

    for (i = 0; i < smcf->nendpoints; i++) {
        p = ngx_slprintf(p, list + sizeof(list) - 1, " %V",
                         &smcf->endpoints[i].name);
    }

    *p = '\0';

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown endpoint \"%V\", there are:%s", name, list);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_softfactory_jwt_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    char               *rv;
    ngx_str_t          *value, secret;
    ngx_sf_jwt_key_t  **key;

    value = cf->args->elts;
    secret = value[1];
    rv = NGX_CONF_OK;

    if (secret.len >= 4 && ngx_strncmp(secret.data, "env:", 4) == 0) {
        rv = ngx_http_softfactory_secret_env(cf, &value[1], &secret);

    } else if (secret.len >= 5 && ngx_strncmp(secret.data, "file:", 5) == 0) {
        rv = ngx_http_softfactory_secret_file(cf, &value[1], &secret);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    while (secret.len && isspace(secret.data[0])) {
        secret.data++;
        secret.len--;
    }

    while (secret.len && isspace(secret.data[secret.len - 1])) {
        secret.len--;
    }

    if (secret.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "secret \"%V\" is empty",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (slcf->keys == NGX_CONF_UNSET_PTR) {
        slcf->keys = ngx_array_create(cf->pool, 1,
                                      sizeof(ngx_sf_jwt_key_t *));
        if (slcf->keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    key = ngx_array_push(slcf->keys);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    *key = ngx_sf_jwt_key_create(cf->pool, &secret);

    return *key ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* a variable that no env directive keeps is gone after a binary upgrade */

static char *
ngx_http_softfactory_secret_env(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *secret)
{
    char             *text;
    ngx_str_t         var, *env;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    var.data = name->data + 4;
    var.len = name->len - 4;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);
    env = ccf->env.elts;

    for (i = 0; i < ccf->env.nelts; i++) {

        if (env[i].len < var.len
            || ngx_strncmp(env[i].data, var.data, var.len) != 0)
        {
            continue;
        }

        if (env[i].len > var.len && env[i].data[var.len] == '=') {
            secret->data = env[i].data + var.len + 1;
            secret->len = env[i].len - var.len - 1;
            return NGX_CONF_OK;
        }

        if (env[i].len == var.len) {
            text = getenv((char *) var.data);

            secret->data = (u_char *) (text ? text : "");
            secret->len = ngx_strlen(secret->data);
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the environment variable \"%V\" is not kept: add "
                       "\"env %V;\" at the top of the configuration, "
                       "before http", &var, &var);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_softfactory_secret_file(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *secret)
{
    char        *rv;
    ssize_t      n;
    ngx_str_t    path;
    ngx_file_t   file;

    path.data = name->data + 5;
    path.len = name->len - 5;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = path;
    file.log = cf->log;
    file.fd = ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", &path);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;

    secret->data = ngx_pnalloc(cf->pool, 4096);

    if (secret->data) {
        n = ngx_read_file(&file, secret->data, 4096, 0);

        if (n != NGX_ERROR) {
            secret->len = n;
            rv = NGX_CONF_OK;
        }
    }

    (void) ngx_close_file(file.fd);

    return rv;
}


static char *
ngx_http_softfactory_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_int_t              id;
    ngx_str_t             *value, slugs;
    ngx_sf_main_conf_t    *smcf;
    ngx_sf_fixed_token_t  *token;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty token";
    }

    id = NGX_ERROR;

    if (value[2].len > 5 && ngx_strncmp(value[2].data, "user=", 5) == 0) {
        id = ngx_atoi(value[2].data + 5, value[2].len - 5);
    }

    if (id < 1 || id > NGX_MAX_INT32_VALUE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be user=id, with the id of a row of "
                           "users", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (slcf->tokens == NGX_CONF_UNSET_PTR) {
        slcf->tokens = ngx_array_create(cf->pool, 1,
                                        sizeof(ngx_sf_fixed_token_t));
        if (slcf->tokens == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    token = ngx_array_push(slcf->tokens);
    if (token == NULL) {
        return NGX_CONF_ERROR;
    }

    token->token = value[1];
    token->principal.id = id;
    token->principal.products = 0;

    if (cf->args->nelts == 3) {
        return NGX_CONF_OK;
    }

    if (value[3].len <= 9 || ngx_strncmp(value[3].data, "products=", 9) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown parameter \"%V\", there is "
                           "products=all or products=slug,…", &value[3]);
        return NGX_CONF_ERROR;
    }

    slugs.data = value[3].data + 9;
    slugs.len = value[3].len - 9;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    return ngx_http_softfactory_token_products(cf, smcf, &slugs,
                                               &token->principal.products);
}


static char *
ngx_http_softfactory_token_products(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_str_t *slugs, uint64_t *products)
{
    u_char      *p, *last, *comma;
    ngx_str_t   *product;
    ngx_uint_t   i;

    if (slugs->len == 3 && ngx_strncmp(slugs->data, "all", 3) == 0) {
        *products = (uint64_t) -1;
        return NGX_CONF_OK;
    }

    product = smcf->products.elts;
    last = slugs->data + slugs->len;

    for (p = slugs->data; p < last; p = comma + 1) {
        comma = ngx_strlchr(p, last, ',');

        if (comma == NULL) {
            comma = last;
        }

        for (i = 0; i < smcf->products.nelts; i++) {
            if (product[i].len == (size_t) (comma - p)
                && ngx_strncmp(product[i].data, p, comma - p) == 0)
            {
                *products |= (uint64_t) 1 << i;
                break;
            }
        }

        if (i == smcf->products.nelts) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no endpoint asks for a product of "
                               "\"%V\", there are \"review\" and "
                               "\"sns-auto\"", slugs);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_softfactory_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t  *value;

    if (slcf->fallback.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len < 2
        || (value[1].data[0] != '@' && value[1].data[0] != '/'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be a named location (\"@app\") or a "
                           "URI (\"/app\")", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->fallback = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_softfactory_cors_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t   *value, *origin;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (slcf->cors == NGX_CONF_UNSET_PTR) {
        slcf->cors = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (slcf->cors == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if ((ngx_strncmp(value[i].data, "http://", 7) != 0
             && ngx_strncmp(value[i].data, "https://", 8) != 0)
            || value[i].data[value[i].len - 1] == '/')
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no origin, which is a scheme, a "
                               "host and a port as in "
                               "\"https://example.com:8443\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(slcf->cors);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


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

    worker->cycle = cycle;
    worker->smcf = smcf;
    worker->started = ngx_time();
    worker->tokens = ngx_sf_tokens_create(cycle);

    worker->statements = ngx_pcalloc(cycle->pool, smcf->nstatements
                                           * sizeof(ngx_sf_pg_statement_t *));
    worker->pools = ngx_pcalloc(cycle->pool, smcf->pools.nelts
                                             * sizeof(ngx_sf_pg_pool_t *));

    if (worker->tokens == NULL || worker->statements == NULL
        || worker->pools == NULL)
    {
        return NGX_ERROR;
    }

    ngx_sf_flights_init(&worker->flights);

    pgcf = smcf->pools.elts;

    for (i = 0; i < smcf->pools.nelts; i++) {
        worker->pools[i] = ngx_sf_pg_pool_create(cycle, pgcf[i],
                                                 smcf->nstatements);
        if (worker->pools[i] == NULL) {
            return NGX_ERROR;
        }
    }

    smcf->worker = worker;

    return NGX_OK;
}


static void
ngx_http_softfactory_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t           i;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_softfactory_module);

    if (smcf == NULL || smcf->worker == NULL) {
        return;
    }

    for (i = 0; i < smcf->pools.nelts; i++) {
        ngx_sf_pg_pool_destroy(smcf->worker->pools[i]);
    }

    ngx_sf_flights_destroy(&smcf->worker->flights);
    ngx_sf_tokens_destroy(smcf->worker->tokens);

    smcf->worker = NULL;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Directives of what is shown and counted: the operator's locations that need
 * no zone, the slow log, and the shared memory for metrics, which is there
 * wherever a location is passed to the module.
 */


#include "ngx_sf_conf.h"


static ngx_int_t ngx_sf_metrics_conf_link(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_sf_main_conf_t *smcf);
static ngx_int_t ngx_sf_metrics_conf_add(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_sf_metrics_t *metrics);
static void ngx_sf_metrics_conf_need(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_metrics_need_t *need);


char *
ngx_sf_metrics_conf_slow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (slcf->slow != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        slcf->slow = 0;

        return cf->args->nelts == 2 ? NGX_CONF_OK
                                    : "takes no rate when it is off";
    }

    n = ngx_parse_time(&value[1], 0);

    if (n == NGX_ERROR || n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no time, there are: a time as in "
                           "\"500ms\", off", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->slow = n;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    n = NGX_ERROR;

    if (ngx_strncmp(value[2].data, "rate=", 5) == 0) {
        n = ngx_atoi(value[2].data + 5, value[2].len - 5);
    }

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is unknown, there is: rate=number, in "
                           "lines a second", &value[2]);
        return NGX_CONF_ERROR;
    }

    slcf->slow_rate = n;

    return NGX_CONF_OK;
}


/* the last one is kept for the message that there is nothing to show */

char *
ngx_sf_metrics_conf_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t        *smcf;
    ngx_http_core_loc_conf_t  *clcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot share its location with another content handler";
    }

    clcf->handler = (ngx_http_handler_pt) cmd->post;

    smcf->observer = cf->conf_file->file.name.data;
    smcf->observer_line = cf->conf_file->line;

    return ngx_sf_metrics_conf_link(cf, cmd, smcf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* where it can be found, if it is at an address that can be written down */

static ngx_int_t
ngx_sf_metrics_conf_link(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_sf_main_conf_t *smcf)
{
    ngx_sf_link_t             *link;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  prefix = ngx_string("softfactory_");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex) {
        return NGX_OK;
    }
#endif

    if (clcf->name.len == 0 || clcf->name.data[0] != '/') {
        return NGX_OK;
    }

    link = ngx_array_push(&smcf->links);
    if (link == NULL) {
        return NGX_ERROR;
    }

    link->server = ngx_http_conf_get_module_srv_conf(cf,
                                                     ngx_http_core_module);
    link->path = clcf->name;
    link->what.data = cmd->name.data + prefix.len;
    link->what.len = cmd->name.len - prefix.len;

    return NGX_OK;
}


ngx_int_t
ngx_sf_metrics_conf_finish(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf)
{
    ngx_sf_metrics_t           *metrics;
    ngx_http_handler_pt        *handler;
    ngx_http_core_main_conf_t  *cmcf;

    if (smcf->pools.nelts == 0) {
        if (smcf->observer == NULL) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the location in %s:%ui has nothing to show: there is "
                      "no softfactory_pass", smcf->observer,
                      smcf->observer_line);
        return NGX_ERROR;
    }

    metrics = ngx_pcalloc(cf->pool, sizeof(ngx_sf_metrics_t));

    if (metrics == NULL
        || ngx_sf_metrics_conf_add(cf, smcf, metrics) != NGX_OK)
    {
        return NGX_ERROR;
    }

    smcf->metrics = metrics;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = ngx_sf_request_log;

    return NGX_OK;
}


/* shared memory that fits; of a running nginx, if that one does */

static ngx_int_t
ngx_sf_metrics_conf_add(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_metrics_t *metrics)
{
    size_t                  size;
    ngx_uint_t              i, grow;
    ngx_shm_zone_t         *old;
    ngx_sf_metrics_need_t   need;

    static ngx_str_t  name = ngx_string("softfactory_metrics");

    metrics->nendpoints = smcf->nendpoints;
    metrics->names = ngx_palloc(cf->pool, smcf->nendpoints
                                          * sizeof(ngx_str_t));
    if (metrics->names == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < smcf->nendpoints; i++) {
        metrics->names[i] = smcf->endpoints[i].name;
    }

    ngx_sf_metrics_conf_need(cf, smcf, &need);

    old = ngx_sf_conf_old_zone(cf, &name);
    size = ngx_sf_metrics_plan(metrics, &need, old, &grow);

    metrics->shm_zone = ngx_shared_memory_add(cf, &name, size,
                                              &ngx_http_softfactory_module);
    if (metrics->shm_zone == NULL) {
        return NGX_ERROR;
    }

    metrics->shm_zone->init = ngx_sf_metrics_init;
    metrics->shm_zone->data = metrics;
    ngx_sf_conf_size_zone(metrics->shm_zone, old, !grow);

    return NGX_OK;
}


/* worker_processes is not known yet where it stands behind http{} */

static void
ngx_sf_metrics_conf_need(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_metrics_need_t *need)
{
    ngx_uint_t          i;
    ngx_core_conf_t    *ccf;
    ngx_sf_pg_conf_t  **pgcf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);
    pgcf = smcf->pools.elts;

    need->workers = ccf->worker_processes == NGX_CONF_UNSET
                    ? 0 : ccf->worker_processes;
    need->upstreams = smcf->pools.nelts;
    need->servers = 0;

    for (i = 0; i < smcf->pools.nelts; i++) {
        need->servers += pgcf[i]->servers.nelts;
    }
}

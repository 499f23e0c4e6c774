
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * softfactory_live: what a balancer is told, which must not take a node out
 * that can respond.
 */


#include "ngx_sf_status.h"


static json_t *ngx_sf_live_reasons(ngx_sf_main_conf_t *smcf);


ngx_int_t
ngx_sf_live_handler(ngx_http_request_t *r)
{
    json_t              *reasons;
    ngx_int_t            rc;
    const char          *status;
    ngx_sf_main_conf_t  *smcf;

    if (ngx_sf_status_refused(r, &rc)) {
        return rc;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);

    reasons = ngx_sf_live_reasons(smcf);
    status = json_array_size(reasons) ? "degraded" : "ok";

    return ngx_sf_status_send(r, NGX_HTTP_OK, NULL,
                              json_pack("{s:o, s:s}", "reasons", reasons,
                                        "status", status));
}


/* as this worker sees it, without asking anybody */

static json_t *
ngx_sf_live_reasons(ngx_sf_main_conf_t *smcf)
{
    json_t             *list;
    ngx_uint_t          i, down, unheard, blind, open;
    ngx_msec_int_t      age;
    ngx_sf_origin_t    *origin;
    ngx_sf_source_t    *source;
    ngx_sf_pg_conf_t  **pgcf;

    ngx_sf_sample_fallback_t  minute;

    list = json_array();
    pgcf = smcf->pools.elts;
    origin = smcf->origins.elts;
    down = 0;
    unheard = 0;
    blind = 0;
    open = 0;

    for (i = 0; i < smcf->pools.nelts; i++) {
        down |= pgcf[i]->primary && !pgcf[i]->listener
                && ngx_sf_pg_is_down(smcf->worker->pools[i]);
    }

    for (i = 0; i < smcf->origins.nelts; i++) {
        source = smcf->worker->sources[i];

        if (source == NULL || origin[i].primary->listen_off) {
            continue;
        }

        unheard |= !ngx_sf_zone_coherent(source, smcf->lease, &age);
        blind |= source->blind != 0;
        open |= source->creators != 0;
    }

    if (down) {
        json_array_append_new(list, json_string("database"));
    }

    if (unheard) {
        json_array_append_new(list, json_string("listener"));
    }

    if (blind) {
        json_array_append_new(list, json_string("schema"));
    }

    if (open) {
        json_array_append_new(list, json_string("privileges"));
    }

    ngx_sf_sample_fallback(smcf->metrics, &minute);

    if (minute.away) {
        json_array_append_new(list, json_string("application"));
    }

    return list;
}

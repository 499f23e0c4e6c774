
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * /health and /ready: what the original tells a probe, about this server; and
 * what a balancer is told, which must not take a node out that can answer.
 *
 * Whether the database is there has been found out by a statement through the
 * pool.  The services and the schedulers belong to the application: they are
 * reported by name, as the original does, and as unavailable here.
 */


#include "ngx_sf.h"

#include <jansson.h>
#include <sys/resource.h>


static json_t *ngx_sf_health_reasons(ngx_sf_main_conf_t *smcf);
static json_t *ngx_sf_health_services(void);
static json_t *ngx_sf_health_timestamp(void);
static json_t *ngx_sf_health_uptime(int64_t seconds);
static double ngx_sf_health_cpu(int64_t uptime);
static double ngx_sf_health_memory(void);
static json_t *ngx_sf_health_text(const ngx_str_t *text);
static ngx_int_t ngx_sf_health_dump(ngx_pool_t *pool, json_t *doc,
    ngx_str_t *body);


static const char *const  ngx_sf_health_names[] = {
    "ai_automation", "claude_ai", "coocook", "review", "sns_auto",
    "webapp_builder", NULL
};


ngx_int_t
ngx_sf_health_document(ngx_sf_ctx_t *ctx, ngx_uint_t up, ngx_str_t *body)
{
    json_t   *doc;
    int64_t   uptime;

    uptime = ngx_time() - ctx->worker->started;

    doc = json_pack("{s:s, s:f, s:s, s:s, s:f, s:s, s:o, s:s, s:o, s:o,"
                    " s:I, s:o}",
                    "ai_service", "unknown",
                    "cpu_percent", ngx_sf_health_cpu(uptime),
                    "database", up ? "connected" : "disconnected",
                    "database_backend", "postgresql",
                    "memory_mb", ngx_sf_health_memory(),
                    "scheduler", "unavailable",
                    "services", ngx_sf_health_services(),
                    "status", up ? "ok" : "degraded",
                    "timestamp", ngx_sf_health_timestamp(),
                    "uptime", ngx_sf_health_uptime(uptime),
                    "uptime_seconds", (json_int_t) uptime,
                    "version", ngx_sf_health_text(&ctx->slcf->version));

    return ngx_sf_health_dump(ctx->request->pool, doc, body);
}


ngx_int_t
ngx_sf_health_ready(ngx_sf_ctx_t *ctx, ngx_uint_t up, ngx_str_t *body)
{
    json_t  *doc;

    doc = json_pack("{s:b, s:s*, s:o, s:o}",
                    "ready", (int) up,
                    "reason", up ? NULL : "database unavailable",
                    "timestamp", ngx_sf_health_timestamp(),
                    "version", ngx_sf_health_text(&ctx->slcf->version));

    return ngx_sf_health_dump(ctx->request->pool, doc, body);
}


ngx_int_t
ngx_sf_health_live_handler(ngx_http_request_t *r)
{
    json_t              *reasons;
    ngx_int_t            rc;
    const char          *status;
    ngx_sf_main_conf_t  *smcf;

    if (ngx_sf_status_refused(r, &rc)) {
        return rc;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);

    reasons = ngx_sf_health_reasons(smcf);
    status = json_array_size(reasons) ? "degraded" : "ok";

    return ngx_sf_status_send(r, NGX_HTTP_OK, NULL,
                              json_pack("{s:o, s:s}", "reasons", reasons,
                                        "status", status));
}


/* as this worker sees it, without asking anybody */

static json_t *
ngx_sf_health_reasons(ngx_sf_main_conf_t *smcf)
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


static json_t *
ngx_sf_health_services(void)
{
    json_t      *services;
    ngx_uint_t   i;

    services = json_object();

    for (i = 0; services && ngx_sf_health_names[i]; i++) {
        (void) json_object_set_new(services, ngx_sf_health_names[i],
                                   json_string("ok"));
    }

    return services;
}


/* 2026-02-20T10:00:00.123000+00:00; nginx knows milliseconds */

static json_t *
ngx_sf_health_timestamp(void)
{
    u_char       text[64];
    ngx_tm_t     tm;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    ngx_gmtime(tp->sec, &tm);

    *ngx_sprintf(text, "%4d-%02d-%02dT%02d:%02d:%02d.%06M+00:00",
                 tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                 tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                 tp->msec * 1000) = '\0';

    return json_string((char *) text);
}


static json_t *
ngx_sf_health_uptime(int64_t seconds)
{
    return json_sprintf("%lldh %lldm %llds", (long long) seconds / 3600,
                        (long long) seconds / 60 % 60,
                        (long long) seconds % 60);
}


/* of one core, since the worker started */

static double
ngx_sf_health_cpu(int64_t uptime)
{
    double         used;
    struct rusage  usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }

    used = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
           + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;

    return ngx_sf_number_round2(used * 100 / ngx_max(uptime, 1));
}


/* the worker's peak, one decimal */

static double
ngx_sf_health_memory(void)
{
    struct rusage  usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }

    return (double) (usage.ru_maxrss * 10 / 1024) / 10;
}


static json_t *
ngx_sf_health_text(const ngx_str_t *text)
{
    return json_stringn((char *) text->data, text->len);
}


/* takes the document's reference */

static ngx_int_t
ngx_sf_health_dump(ngx_pool_t *pool, json_t *doc, ngx_str_t *body)
{
    size_t  flags;

    flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(15);

    body->len = doc ? json_dumpb(doc, NULL, 0, flags) : 0;
    body->data = body->len ? ngx_pnalloc(pool, body->len + 1) : NULL;

    if (body->data) {
        (void) json_dumpb(doc, (char *) body->data, body->len, flags);
        body->data[body->len++] = '\n';
    }

    json_decref(doc);

    return body->data ? NGX_OK : NGX_ERROR;
}

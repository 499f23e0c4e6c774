
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * /health and /ready: what the original tells a probe, about this server.
 *
 * Whether the database is there has been found out by a statement through the
 * pool.  The services and the schedulers belong to the application: they are
 * reported by name, as the original does, and as unavailable here.
 */


#include "ngx_sf_document.h"

#include <sys/resource.h>


static json_t *ngx_sf_health_all(ngx_sf_ctx_t *ctx, ngx_uint_t up);
static json_t *ngx_sf_health_ready(ngx_sf_ctx_t *ctx, ngx_uint_t up);
static json_t *ngx_sf_health_services(void);
static json_t *ngx_sf_health_timestamp(void);
static json_t *ngx_sf_health_uptime(int64_t seconds);
static double ngx_sf_health_cpu(int64_t uptime);
static double ngx_sf_health_memory(void);
static json_t *ngx_sf_health_text(const ngx_str_t *text);


static const char *const  ngx_sf_health_names[] = {
    "ai_automation", "claude_ai", "coocook", "review", "sns_auto",
    "webapp_builder", NULL
};


ngx_int_t
ngx_sf_health_body(ngx_sf_ctx_t *ctx, ngx_uint_t up, ngx_str_t *body)
{
    json_t  *doc;

    doc = ctx->endpoint->row->document == NGX_SF_DOCUMENT_READY
          ? ngx_sf_health_ready(ctx, up) : ngx_sf_health_all(ctx, up);

    return ngx_sf_document_write(ctx->request->pool, doc, body);
}


static json_t *
ngx_sf_health_all(ngx_sf_ctx_t *ctx, ngx_uint_t up)
{
    int64_t  uptime;

    uptime = ngx_time() - ctx->worker->started;

    return json_pack("{s:s, s:f, s:s, s:s, s:f, s:s, s:o, s:s, s:o, s:o,"
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
}


static json_t *
ngx_sf_health_ready(ngx_sf_ctx_t *ctx, ngx_uint_t up)
{
    return json_pack("{s:b, s:s*, s:o, s:o}",
                    "ready", (int) up,
                    "reason", up ? NULL : "database unavailable",
                    "timestamp", ngx_sf_health_timestamp(),
                    "version", ngx_sf_health_text(&ctx->slcf->version));
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

    return ngx_sf_number_round(used * 100 / ngx_max(uptime, 1), 2);
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

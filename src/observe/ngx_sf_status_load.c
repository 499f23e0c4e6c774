
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What the status tells of the load: requests by endpoint, statements,
 * connections, workers, the machine, and the requests that were slow.  It is
 * what the live page is drawn from, once a second, so it is all counters: the
 * page takes differences.
 */


#include "ngx_sf_status.h"


#define NGX_SF_STATUS_LOAD_SLOW  32       /* slow requests that are shown */


typedef struct {
    ngx_sf_main_conf_t         *smcf;
    ngx_sf_metrics_t           *metrics;
    ngx_sf_counts_t             sum;
    ngx_sf_gauges_t             gauges;
    const ngx_sf_past_t        *minute;   /* how it was a minute ago */
    ngx_sf_slow_t               slow[NGX_SF_STATUS_LOAD_SLOW];
    ngx_uint_t                  nslow;
} ngx_sf_status_load_view_t;


static json_t *ngx_sf_status_load_machine(ngx_sf_status_load_view_t *view);
static json_t *ngx_sf_status_load_workers(ngx_sf_status_load_view_t *view);
static json_t *ngx_sf_status_load_clients(void);
static json_t *ngx_sf_status_load_bounds(void);
static json_t *ngx_sf_status_load_requests(ngx_sf_status_load_view_t *view);
static json_t *ngx_sf_status_load_application(ngx_sf_status_load_view_t *view);
static json_t *ngx_sf_status_load_endpoints(ngx_sf_status_load_view_t *view);
static json_t *ngx_sf_status_load_endpoint(ngx_sf_status_load_view_t *view,
    ngx_uint_t i, ngx_uint_t place);
static json_t *ngx_sf_status_load_upstreams(ngx_sf_status_load_view_t *view);
static json_t *ngx_sf_status_load_servers(ngx_sf_status_load_view_t *view,
    ngx_uint_t i);
static json_t *ngx_sf_status_load_lanes(const ngx_sf_server_gauge_t *server);
static json_t *ngx_sf_status_load_errors(ngx_sf_status_load_view_t *view);
static json_t *ngx_sf_status_load_slow(ngx_sf_status_load_view_t *view);
static void ngx_sf_status_load_slow_take(ngx_sf_status_load_view_t *view,
    const ngx_sf_slow_t *slow);


ngx_int_t
ngx_sf_status_load(ngx_http_request_t *r, json_t *doc)
{
    int                         rc;
    ngx_str_t                   value;
    ngx_time_t                 *tp;
    ngx_sf_past_t              *start;
    ngx_sf_status_load_view_t  *view;

    view = ngx_pcalloc(r->pool, sizeof(ngx_sf_status_load_view_t));
    if (view == NULL) {
        return NGX_ERROR;
    }

    view->smcf = ngx_http_get_module_main_conf(r,
                                               ngx_http_softfactory_module);
    view->metrics = view->smcf->metrics;

    ngx_sf_gauges_publish(view->smcf->worker);

    if (ngx_sf_gauges_sum(view->metrics, r->pool, &view->gauges) != NGX_OK
        || ngx_sf_metrics_sum(view->metrics, r->pool, &view->sum) != NGX_OK)
    {
        return NGX_ERROR;
    }

    view->minute = ngx_sf_sample_past(view->metrics, NGX_SF_SAMPLE_MINUTE);

    tp = ngx_timeofday();
    start = &view->metrics->sh->start;

    rc = json_object_update_new(doc,
             json_pack("{s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
                       " s:o, s:o}",
                       "now", tp->sec + tp->msec / 1000.0,
                       "started", start->sec + start->msec / 1000.0,
                       "workers", ngx_sf_status_load_workers(view),
                       "connections", ngx_sf_status_load_clients(),
                       "machine", ngx_sf_status_load_machine(view),
                       "buckets", ngx_sf_status_load_bounds(),
                       "requests", ngx_sf_status_load_requests(view),
                       "application", ngx_sf_status_load_application(view),
                       "endpoints", ngx_sf_status_load_endpoints(view),
                       "upstreams", ngx_sf_status_load_upstreams(view),
                       "errors", ngx_sf_status_load_errors(view),
                       "slow", ngx_sf_status_load_slow(view)));

    if (rc == 0
        && ngx_http_arg(r, (u_char *) "history", 7, &value) == NGX_OK)
    {
        rc = json_object_set_new(doc, "history",
                                 ngx_sf_history(view->metrics));
    }

    return rc == 0 ? NGX_OK : NGX_ERROR;
}


static json_t *
ngx_sf_status_load_machine(ngx_sf_status_load_view_t *view)
{
    ngx_sf_machine_t  *machine;

    machine = &view->metrics->sh->machine;

    return json_pack("{s:f, s:f}",
                     "cpu_percent", machine->cpu,
                     "memory_percent", machine->memory);
}


static json_t *
ngx_sf_status_load_workers(ngx_sf_status_load_view_t *view)
{
    json_t                 *list;
    ngx_uint_t              i;
    ngx_sf_metrics_slot_t  *slot;

    list = json_array();

    for (i = 0; i < view->metrics->sh->room.slots; i++) {
        slot = &view->metrics->sh->slots[i];

        if (slot->pid) {
            json_array_append_new(list,
                json_pack("{s:I, s:f, s:I}",
                          "pid", (json_int_t) slot->pid,
                          "cpu_seconds", slot->counts.cpu / 1000000.0,
                          "memory_bytes", (json_int_t) slot->memory));
        }
    }

    return list;
}


/* nginx counts them where it was built with its own status module */

static json_t *
ngx_sf_status_load_clients(void)
{
#if (NGX_STAT_STUB)

    return json_pack("{s:I, s:I, s:I, s:I}",
                     "active", (json_int_t) *ngx_stat_active,
                     "reading", (json_int_t) *ngx_stat_reading,
                     "writing", (json_int_t) *ngx_stat_writing,
                     "waiting", (json_int_t) *ngx_stat_waiting);

#else

    return json_object();

#endif
}


static json_t *
ngx_sf_status_load_bounds(void)
{
    json_t      *list;
    ngx_uint_t   i;

    list = json_array();

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS - 1; i++) {
        json_array_append_new(list, json_real(ngx_sf_histogram_bounds[i]
                                              / 1000000.0));
    }

    return list;
}


static json_t *
ngx_sf_status_load_requests(ngx_sf_status_load_view_t *view)
{
    uint64_t    n, errors, all, failed, slow;
    ngx_uint_t  i;

    all = 0;
    failed = 0;
    slow = 0;

    /* also of endpoints that have gone, so that it never sinks */

    for (i = 0; i < view->metrics->sh->room.endpoints; i++) {
        if (i == NGX_SF_METRICS_PRINCIPAL) {
            continue;
        }

        n = ngx_sf_metrics_requests(&view->sum.endpoints[i], &errors);

        all += n;
        failed += errors;
        slow += view->sum.endpoints[i].slow;
    }

    return json_pack("{s:I, s:I, s:I, s:I, s:I}",
                     "total", (json_int_t) all,
                     "limited", (json_int_t) view->sum.limited,
                     "errors", (json_int_t) failed,
                     "slow", (json_int_t) slow,
                     "fallback",
                     (json_int_t) ngx_sf_metrics_fallbacks(&view->sum.fallback,
                                                           &errors));
}


/* how what is passed on is answered: since the start, and in the last minute */

static json_t *
ngx_sf_status_load_application(ngx_sf_status_load_view_t *view)
{
    double                     seconds;
    json_t                    *classes;
    ngx_uint_t                 i;
    ngx_sf_sample_fallback_t   minute;
    const ngx_sf_histogram_t  *duration;

    classes = json_object();
    duration = view->sum.fallback.duration;
    seconds = 0;

    for (i = 0; i < NGX_SF_METRICS_CLASSES; i++) {
        json_object_set_new(classes, ngx_sf_metrics_classes[i],
                     json_integer(ngx_sf_histogram_count(&duration[i])));
        seconds += duration[i].sum / 1000000.0;
    }

    ngx_sf_sample_fallback(view->metrics, &minute);

    return json_pack("{s:b, s:I, s:f, s:o, s:{s:I, s:I, s:I}}",
                     "away", (int) minute.away,
                     "failed", (json_int_t) view->sum.fallback.failed,
                     "seconds", seconds,
                     "status", classes,
                     "minute",
                     "requests", (json_int_t) minute.requests,
                     "errors", (json_int_t) minute.errors,
                     "failed", (json_int_t) minute.failed);
}


static json_t *
ngx_sf_status_load_endpoints(ngx_sf_status_load_view_t *view)
{
    json_t      *list;
    uint64_t     errors;
    ngx_uint_t   i, place;

    list = json_array();

    for (i = 0; i <= view->metrics->nendpoints; i++) {
        place = ngx_sf_metrics_place(view->metrics, i);

        if (place != NGX_SF_METRICS_NOWHERE
            && ngx_sf_metrics_requests(&view->sum.endpoints[place], &errors))
        {
            json_array_append_new(list,
                                  ngx_sf_status_load_endpoint(view, i,
                                                              place));
        }
    }

    return list;
}


static json_t *
ngx_sf_status_load_endpoint(ngx_sf_status_load_view_t *view, ngx_uint_t i,
    ngx_uint_t place)
{
    json_t                    *buckets, *cache;
    ngx_uint_t                 k;
    ngx_sf_past_endpoint_t     now, then;
    ngx_sf_endpoint_counts_t  *counts;

    counts = &view->sum.endpoints[place];

    ngx_sf_sample_place(view->metrics, &view->sum, view->metrics->sh->tick,
                        place, &now);
    ngx_sf_sample_then(view->metrics, view->minute, place, &now, &then);

    buckets = json_array();
    cache = json_object();

    for (k = 0; k < NGX_SF_HISTOGRAM_BUCKETS; k++) {
        json_array_append_new(buckets,
                              json_integer(counts->duration.bucket[k]));
    }

    for (k = NGX_SF_CACHE_HIT; k < NGX_SF_CACHE_STATUSES; k++) {
        json_object_set_new(cache, ngx_sf_metrics_cache[k],
                            json_integer(counts->cache[k]));
    }

    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:I, s:f}",
                     "name", ngx_sf_route_name(view->smcf, i),
                     "path", i < view->metrics->nendpoints
                             ? view->smcf->endpoints[i].path : "",
                     "requests", (json_int_t) now.requests,
                     "minute",
                     (json_int_t) ngx_sf_metrics_since(now.requests,
                                                       then.requests),
                     "errors", (json_int_t) now.errors,
                     "slow", (json_int_t) counts->slow,
                     "seconds", counts->duration.sum / 1000000.0,
                     "buckets", buckets,
                     "cache", cache,
                     "queries",
                     (json_int_t) now.queries,
                     "query_seconds", counts->query.sum / 1000000.0);
}


static json_t *
ngx_sf_status_load_upstreams(ngx_sf_status_load_view_t *view)
{
    json_t                   *list, *queue;
    ngx_uint_t                i, k;
    ngx_sf_upstream_gauge_t  *upstream;

    list = json_array();

    for (i = 0; i < view->metrics->sh->room.upstreams; i++) {
        upstream = &view->gauges.upstreams[i];

        if (upstream->used == 0) {
            continue;
        }

        queue = json_object();

        for (k = 0; k < NGX_SF_PG_LISTEN; k++) {
            json_object_set_new(queue, ngx_sf_metrics_lanes[k],
                                json_integer(upstream->queue[k]));
        }

        json_array_append_new(list,
            json_pack("{s:s, s:b, s:o, s:o, s:I}",
                      "name", view->metrics->sh->upstreams[i].name,
                      "up", upstream->up != 0,
                      "servers", ngx_sf_status_load_servers(view, i),
                      "queue", queue,
                      "queue_max", (json_int_t) upstream->queue_max));
    }

    return list;
}


static json_t *
ngx_sf_status_load_servers(ngx_sf_status_load_view_t *view, ngx_uint_t i)
{
    json_t                       *list;
    ngx_uint_t                    k;
    const ngx_sf_server_gauge_t  *server;
    const ngx_sf_metrics_name_t  *name;

    list = json_array();

    for (k = 0; k < view->metrics->sh->room.servers; k++) {
        server = &view->gauges.servers[k];
        name = &view->metrics->sh->servers[k];

        if (server->used && name->upstream == i) {
            json_array_append_new(list,
                json_pack("{s:s, s:o}", "name", name->name,
                          "lanes", ngx_sf_status_load_lanes(server)));
        }
    }

    return list;
}


static json_t *
ngx_sf_status_load_lanes(const ngx_sf_server_gauge_t *server)
{
    json_t                     *lanes;
    ngx_uint_t                  i;
    const ngx_sf_lane_gauge_t  *lane;

    lanes = json_object();

    for (i = 0; i < NGX_SF_PG_LANES; i++) {
        lane = &server->lanes[i];

        json_object_set_new(lanes, ngx_sf_metrics_lanes[i],
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}",
                "connecting", (json_int_t) lane->conns[NGX_SF_GAUGE_CONNECTING],
                "idle", (json_int_t) lane->conns[NGX_SF_GAUGE_IDLE],
                "active", (json_int_t) lane->conns[NGX_SF_GAUGE_ACTIVE],
                "draining", (json_int_t) lane->conns[NGX_SF_GAUGE_DRAINING],
                "statements", (json_int_t) lane->statements,
                "statements_max", (json_int_t) lane->statements_max));
    }

    return lanes;
}


static json_t *
ngx_sf_status_load_errors(ngx_sf_status_load_view_t *view)
{
    json_t      *errors;
    ngx_uint_t   i;

    errors = json_object();

    for (i = NGX_SF_PG_OK + 1; i < NGX_SF_PG_OUTCOMES; i++) {
        json_object_set_new(errors, ngx_sf_metrics_outcomes[i],
                            json_integer(view->sum.errors[i]));
    }

    return errors;
}


/* the last ones of all workers, the newest first */

static json_t *
ngx_sf_status_load_slow(ngx_sf_status_load_view_t *view)
{
    json_t                           *list;
    ngx_uint_t                        i, k, serial;
    ngx_sf_slow_t                     copy, *slow;
    ngx_sf_metrics_slot_t            *slot;
    const ngx_sf_metrics_endpoint_t  *place;

    for (i = 0; i < view->metrics->sh->room.slots; i++) {
        slot = &view->metrics->sh->slots[i];

        for (k = 0; slot->pid && k < NGX_SF_METRICS_SLOW; k++) {
            serial = slot->slow[k].serial;

            ngx_memory_barrier();
            copy = slot->slow[k];
            ngx_memory_barrier();

            if (serial && copy.serial == serial
                && slot->slow[k].serial == serial)
            {
                ngx_sf_status_load_slow_take(view, &copy);
            }
        }
    }

    list = json_array();

    for (i = 0; i < view->nslow; i++) {
        slow = &view->slow[i];
        place = &view->metrics->sh->endpoints[slow->endpoint];

        json_array_append_new(list,
                              ngx_sf_slow_json(slow,
                                               (const char *) place->name));
    }

    return list;
}


/* in its order; what is oldest falls off the end */

static void
ngx_sf_status_load_slow_take(ngx_sf_status_load_view_t *view,
    const ngx_sf_slow_t *slow)
{
    ngx_uint_t            i;
    const ngx_sf_slow_t  *other;

    for (i = view->nslow; i > 0; i--) {
        other = &view->slow[i - 1];

        if (other->sec > slow->sec
            || (other->sec == slow->sec && other->msec >= slow->msec))
        {
            break;
        }

        if (i < NGX_SF_STATUS_LOAD_SLOW) {
            view->slow[i] = *other;
        }
    }

    if (i < NGX_SF_STATUS_LOAD_SLOW) {
        view->slow[i] = *slow;
    }

    view->nslow = ngx_min(view->nslow + 1, NGX_SF_STATUS_LOAD_SLOW);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The report of the performance document, at any moment: since the start, or
 * of the last minutes, as the difference of how things stand and stood.
 *
 * It is made in two parts: all figures are taken into an ngx_sf_report_t at one
 * moment, and then written as one document.  Figures of now (entries, gauges,
 * listeners) are not differences.
 *
 * The keys are those of the document's appendix B, and more of the same kind.
 * The sentences of "recommendations" come from the rules of ngx_sf_recommend.c.
 */


#include "ngx_sf_status.h"
#include "ngx_sf_conf.h"
#include "ngx_sf_recommend.h"


typedef struct {
    const char                 *name;
    time_t                      seconds;
} ngx_sf_window_t;

/* of an endpoint, in the window */

typedef struct {
    ngx_sf_recommend_endpoint_t  figures;
    uint64_t                     bucket[NGX_SF_HISTOGRAM_BUCKETS];
    ngx_uint_t                   cache[NGX_SF_CACHE_STATUSES];
    ngx_sf_span_t                span;    /* microseconds */
    double                       query_sum;   /* ms */
    double                       p50;
    double                       p99;
} ngx_sf_report_row_t;

typedef struct {
    ngx_sf_main_conf_t         *smcf;
    ngx_sf_metrics_t           *metrics;
    const ngx_sf_past_t        *since;
    ngx_sf_past_t               now;
    ngx_sf_counts_t             sum;
    ngx_sf_gauges_t             gauges;
    ngx_sf_sample_load_t        load;
    double                      seconds;
    ngx_uint_t                  requests;
    ngx_uint_t                  errors;
    ngx_uint_t                  queries;
    double                      query_sum;
    ngx_uint_t                  cache[NGX_SF_CACHE_STATUSES];
    double                      queue_p95;    /* ms */
    ngx_sf_fallback_counts_t    fallback;
    ngx_sf_report_row_t        *rows;     /* by index of the endpoint */
} ngx_sf_report_t;


static ngx_int_t ngx_sf_report_window(ngx_http_request_t *r,
    time_t *seconds);
static ngx_int_t ngx_sf_report_take(ngx_sf_report_t *report,
    ngx_pool_t *pool, time_t seconds);
static void ngx_sf_report_row(ngx_sf_report_t *report, ngx_uint_t i);
static void ngx_sf_report_span(ngx_sf_report_t *report, ngx_uint_t place,
    ngx_sf_span_t *span);
static void ngx_sf_report_totals(ngx_sf_report_t *report);
static void ngx_sf_report_fallback(ngx_sf_report_t *report);
static json_t *ngx_sf_report_document(ngx_sf_report_t *report);
static json_t *ngx_sf_report_summary(ngx_sf_report_t *report);
static json_t *ngx_sf_report_endpoints(ngx_sf_report_t *report);
static json_t *ngx_sf_report_slow(ngx_sf_report_t *report);
static json_t *ngx_sf_report_database(ngx_sf_report_t *report);
static json_t *ngx_sf_report_application(ngx_sf_report_t *report);
static json_t *ngx_sf_report_cache(ngx_sf_report_t *report);
static json_t *ngx_sf_report_recommendations(ngx_sf_report_t *report);
static void ngx_sf_report_server(ngx_sf_report_t *report,
    ngx_sf_recommend_server_t  *server);
static ngx_uint_t ngx_sf_report_asked(const ngx_uint_t *cache,
    ngx_uint_t *hits);
static json_t *ngx_sf_report_time(time_t sec);
static const char *ngx_sf_report_path(const ngx_sf_report_t *report,
    ngx_uint_t i);
static json_t *ngx_sf_report_number(double value);
static double ngx_sf_report_percent(double part, double all);


static const ngx_sf_window_t  ngx_sf_report_windows[] = {
    { "60s", 60 },
    { "1m",  60 },
    { "5m",  300 },
    { "15m", 900 },
    { "1h",  3600 },
    { NULL,  0 }
};


ngx_int_t
ngx_sf_report_handler(ngx_http_request_t *r)
{
    json_t           *doc;
    time_t            seconds;
    ngx_int_t         rc;
    ngx_sf_report_t  *report;

    if (ngx_sf_status_refused(r, &rc)) {
        return rc;
    }

    if (ngx_sf_report_window(r, &seconds) != NGX_OK) {
        return ngx_sf_status_send(r, NGX_HTTP_BAD_REQUEST, NULL,
                   json_pack("{s:s}", "error", "Unknown window, there are: "
                                               "60s, 5m, 15m, 1h"));
    }

    report = ngx_pcalloc(r->pool, sizeof(ngx_sf_report_t));
    if (report == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    report->smcf = ngx_http_get_module_main_conf(r,
                                                 ngx_http_softfactory_module);
    report->metrics = report->smcf->metrics;

    if (ngx_sf_report_take(report, r->pool, seconds) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    doc = ngx_sf_report_document(report);
    ngx_sf_status_sign(doc);

    return ngx_sf_status_send(r, NGX_HTTP_OK, NULL, doc);
}


/* no argument is no window: since the start */

static ngx_int_t
ngx_sf_report_window(ngx_http_request_t *r, time_t *seconds)
{
    ngx_str_t               value;
    const ngx_sf_window_t  *window;

    *seconds = 0;

    if (ngx_http_arg(r, (u_char *) "window", 6, &value) != NGX_OK) {
        return NGX_OK;
    }

    for (window = ngx_sf_report_windows; window->name; window++) {
        if (value.len == ngx_strlen(window->name)
            && ngx_memcmp(value.data, window->name, value.len) == 0)
        {
            *seconds = window->seconds;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/*
 * Pasts are kept every few seconds, so a window is a little longer than was
 * asked for; the document says how long.  Two places behind the endpoints are
 * those of unknown paths and of principals.
 */

static ngx_int_t
ngx_sf_report_take(ngx_sf_report_t *report, ngx_pool_t *pool, time_t seconds)
{
    ngx_uint_t         i;
    ngx_sf_metrics_t  *metrics;

    metrics = report->metrics;

    ngx_sf_gauges_publish(report->smcf->worker);

    report->rows = ngx_pcalloc(pool, (metrics->nendpoints + 2)
                                     * sizeof(ngx_sf_report_row_t));

    if (report->rows == NULL
        || ngx_sf_gauges_sum(metrics, pool, &report->gauges) != NGX_OK
        || ngx_sf_metrics_sum(metrics, pool, &report->sum) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_sf_sample_now(metrics, &report->sum, metrics->sh->tick, &report->now);

    report->since = ngx_sf_sample_past(metrics, seconds);
    ngx_sf_sample_load(metrics, report->since, &report->load);

    report->seconds = (ngx_msec_int_t) (report->now.at - report->since->at)
                      / 1000.0;
    report->seconds = ngx_max(report->seconds, 0.001);

    for (i = 0; i < metrics->nendpoints + 2; i++) {
        ngx_sf_report_row(report, i);
    }

    ngx_sf_report_totals(report);
    ngx_sf_report_fallback(report);

    return NGX_OK;
}


/* counters are in microseconds, the figures of the document in ms */

static void
ngx_sf_report_row(ngx_sf_report_t *report, ngx_uint_t i)
{
    ngx_uint_t                    k, high, place;
    ngx_sf_report_row_t          *row;
    ngx_sf_past_endpoint_t        now, then;
    ngx_sf_recommend_endpoint_t  *figures;

    row = &report->rows[i];
    figures = &row->figures;
    place = ngx_sf_metrics_place(report->metrics, i);

    figures->name = ngx_sf_route_name(report->smcf, i);
    figures->path = ngx_sf_report_path(report, i);

    if (place == NGX_SF_METRICS_NOWHERE) {
        return;
    }

    ngx_sf_sample_place(report->metrics, &report->sum,
                        report->metrics->sh->tick, place, &now);
    ngx_sf_sample_then(report->metrics, report->since, place, &now, &then);

    figures->requests = ngx_sf_metrics_since(now.requests, then.requests);
    figures->errors = ngx_sf_metrics_since(now.errors, then.errors);
    figures->queries = ngx_sf_metrics_since(now.queries, then.queries);

    for (k = 0; k < NGX_SF_HISTOGRAM_BUCKETS; k++) {
        row->bucket[k] = ngx_sf_metrics_since(now.bucket[k], then.bucket[k]);
    }

    for (k = 0; k < NGX_SF_CACHE_STATUSES; k++) {
        row->cache[k] = ngx_sf_metrics_since(now.cache[k], then.cache[k]);
    }

    figures->asked = ngx_sf_report_asked(row->cache, &figures->hits);

    row->query_sum = ngx_sf_metrics_since(now.query_sum, then.query_sum)
                     / 1000.0;

    row->span = now.span;
    ngx_sf_report_span(report, place, &row->span);

    if (figures->requests) {
        figures->avg = ngx_sf_metrics_since(now.sum, then.sum) / 1000.0
                       / figures->requests;
    }

    if (figures->queries) {
        figures->query = row->query_sum / figures->queries;
    }

    high = row->span.high;
    row->p50 = ngx_sf_histogram_quantile(row->bucket, 0.5, high) / 1000;
    row->p99 = ngx_sf_histogram_quantile(row->bucket, 0.99, high) / 1000;
    figures->p95 = ngx_sf_histogram_quantile(row->bucket, 0.95, high) / 1000;
}


/* the shortest and the longest request, by the intervals of the window */

static void
ngx_sf_report_span(ngx_sf_report_t *report, ngx_uint_t place,
    ngx_sf_span_t *span)
{
    if (report->since == &report->metrics->sh->start) {
        ngx_sf_metrics_span(report->metrics, place, 0, span);
        return;
    }

    ngx_sf_sample_span(report->metrics, report->since, place, span);
}


/*
 * Of all places, so that no endpoint that has gone is missing in them: the sum
 * of the rows is less then.  The statements of principals are added.
 */

static void
ngx_sf_report_totals(ngx_sf_report_t *report)
{
    uint64_t                       queue[NGX_SF_HISTOGRAM_BUCKETS];
    ngx_uint_t                     k;
    ngx_sf_report_row_t           *principal;
    const ngx_sf_past_endpoint_t  *now, *then;

    now = &report->now.total;
    then = &report->since->total;
    principal = &report->rows[ngx_sf_metrics_principal(report->metrics)];

    report->requests = ngx_sf_metrics_since(now->requests, then->requests);
    report->errors = ngx_sf_metrics_since(now->errors, then->errors);
    report->queries = ngx_sf_metrics_since(now->queries, then->queries)
                      + principal->figures.queries;
    report->query_sum = ngx_sf_metrics_since(now->query_sum, then->query_sum)
                        / 1000.0
                        + principal->query_sum;

    for (k = 0; k < NGX_SF_CACHE_STATUSES; k++) {
        report->cache[k] = ngx_sf_metrics_since(now->cache[k],
                                                then->cache[k]);
    }

    for (k = 0; k < NGX_SF_HISTOGRAM_BUCKETS; k++) {
        queue[k] = ngx_sf_metrics_since(report->now.queue[k],
                                        report->since->queue[k]);
    }

    report->queue_p95 = ngx_sf_histogram_quantile(queue, 0.95, 0) / 1000;
}


/* the structure is made of uint64_t alone, and is subtracted as an array */

static void
ngx_sf_report_fallback(ngx_sf_report_t *report)
{
    uint64_t        *to;
    ngx_uint_t       i;
    const uint64_t  *now, *then;

    to = (uint64_t *) &report->fallback;
    now = (const uint64_t *) &report->now.fallback;
    then = (const uint64_t *) &report->since->fallback;

    for (i = 0; i < sizeof(ngx_sf_fallback_counts_t) / sizeof(uint64_t); i++) {
        to[i] = ngx_sf_metrics_since(now[i], then[i]);
    }
}


static json_t *
ngx_sf_report_document(ngx_sf_report_t *report)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "start_time", ngx_sf_report_time(report->since->sec),
                     "end_time", ngx_sf_report_time(report->now.sec),
                     "duration_seconds",
                     ngx_sf_report_number(report->seconds),
                     "summary", ngx_sf_report_summary(report),
                     "endpoint_metrics", ngx_sf_report_endpoints(report),
                     "slow_endpoints", ngx_sf_report_slow(report),
                     "database", ngx_sf_report_database(report),
                     "application", ngx_sf_report_application(report),
                     "cache", ngx_sf_report_cache(report));
}


static json_t *
ngx_sf_report_summary(ngx_sf_report_t *report)
{
    ngx_uint_t                    i, slow, erring;
    ngx_sf_sample_load_t         *load;
    ngx_sf_recommend_endpoint_t  *figures;

    slow = 0;
    erring = 0;

    for (i = 0; i < report->metrics->nendpoints + 2; i++) {
        figures = &report->rows[i].figures;

        slow += figures->p95 > NGX_SF_RECOMMEND_SLOW;
        erring += figures->errors != 0;
    }

    load = &report->load;

    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
                     " s:I, s:I, s:o}",
              "total_requests", (json_int_t) report->requests,
              "total_errors", (json_int_t) report->errors,
              "requests_per_second",
              ngx_sf_report_number(report->requests / report->seconds),
              "avg_cpu_percent", ngx_sf_report_number(load->average.cpu),
              "peak_cpu_percent", ngx_sf_report_number(load->peak.cpu),
              "avg_memory_percent",
              ngx_sf_report_number(load->average.memory),
              "peak_memory_percent", ngx_sf_report_number(load->peak.memory),
              "avg_nginx_cpu_percent",
              ngx_sf_report_number(load->average.nginx_cpu),
              "peak_nginx_cpu_percent",
              ngx_sf_report_number(load->peak.nginx_cpu),
              "avg_nginx_memory_mb",
              ngx_sf_report_number(load->average.nginx_memory / 1048576),
              "peak_nginx_memory_mb",
              ngx_sf_report_number(load->peak.nginx_memory / 1048576),
              "slow_endpoint_count", (json_int_t) slow,
              "error_endpoint_count", (json_int_t) erring,
              "recommendations", ngx_sf_report_recommendations(report));
}


/* those that were asked */

static json_t *
ngx_sf_report_endpoints(ngx_sf_report_t *report)
{
    json_t               *doc;
    ngx_uint_t            i;
    ngx_sf_report_row_t  *row;

    doc = json_object();

    for (i = 0; i < report->metrics->nendpoints + 1; i++) {
        row = &report->rows[i];

        if (row->figures.requests == 0) {
            continue;
        }

        json_object_set_new(doc, row->figures.path,
            json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I,"
                      " s:o}",
                "requests", (json_int_t) row->figures.requests,
                "errors", (json_int_t) row->figures.errors,
                "avg_ms", ngx_sf_report_number(row->figures.avg),
                "min_ms", ngx_sf_report_number(row->span.low / 1000.0),
                "max_ms", ngx_sf_report_number(row->span.high / 1000.0),
                "p50_ms", ngx_sf_report_number(row->p50),
                "p95_ms", ngx_sf_report_number(row->figures.p95),
                "p99_ms", ngx_sf_report_number(row->p99),
                "cache_hit_percent",
                ngx_sf_report_number(ngx_sf_report_percent(row->figures.hits,
                                                       row->figures.asked)),
                "queries", (json_int_t) row->figures.queries,
                "avg_query_ms", ngx_sf_report_number(row->figures.query)));
    }

    return doc;
}


/* by the 95th percentile, as the document has it; principals are no endpoint */

static json_t *
ngx_sf_report_slow(ngx_sf_report_t *report)
{
    json_t                       *list;
    ngx_uint_t                    i;
    ngx_sf_recommend_endpoint_t  *figures;

    list = json_array();

    for (i = 0; i < report->metrics->nendpoints + 1; i++) {
        figures = &report->rows[i].figures;

        if (figures->p95 > NGX_SF_RECOMMEND_SLOW) {
            json_array_append_new(list,
                json_pack("{s:s, s:o, s:o, s:s}",
                          "endpoint", figures->path,
                          "avg_ms", ngx_sf_report_number(figures->avg),
                          "p95_ms", ngx_sf_report_number(figures->p95),
                          "issue", ngx_sf_recommend_issue(figures)));
        }
    }

    return list;
}


static json_t *
ngx_sf_report_database(ngx_sf_report_t *report)
{
    double       avg;
    json_t      *errors;
    ngx_uint_t   i;

    errors = json_object();

    for (i = NGX_SF_PG_OK + 1; i < NGX_SF_PG_OUTCOMES; i++) {
        json_object_set_new(errors, ngx_sf_metrics_outcomes[i],
                            json_integer(
                                ngx_sf_metrics_since(report->now.errors[i],
                                                 report->since->errors[i])));
    }

    avg = report->queries ? report->query_sum / report->queries : 0;

    return json_pack("{s:I, s:o, s:o, s:I, s:o}",
                     "queries", (json_int_t) report->queries,
                     "avg_query_ms", ngx_sf_report_number(avg),
                     "queue_p95_ms", ngx_sf_report_number(report->queue_p95),
                     "peak_queue_length",
                     (json_int_t) report->load.queue_peak,
                     "errors", errors);
}


/* what softfactory_fallback was sent, and how it answered */

static json_t *
ngx_sf_report_application(ngx_sf_report_t *report)
{
    double                     avg, p95;
    json_t                    *classes;
    uint64_t                   errors, n;
    ngx_uint_t                 i, k;
    ngx_sf_histogram_t         all;
    const ngx_sf_histogram_t  *duration;

    classes = json_object();

    ngx_memzero(&all, sizeof(ngx_sf_histogram_t));

    for (i = 0; i < NGX_SF_METRICS_CLASSES; i++) {
        duration = &report->fallback.duration[i];

        json_object_set_new(classes, ngx_sf_metrics_classes[i],
                            json_integer(ngx_sf_histogram_count(duration)));

        for (k = 0; k < NGX_SF_HISTOGRAM_BUCKETS; k++) {
            all.bucket[k] += duration->bucket[k];
        }

        all.sum += duration->sum;
    }

    n = ngx_sf_metrics_fallbacks(&report->fallback, &errors);
    avg = n ? all.sum / 1000.0 / n : 0;
    p95 = ngx_sf_histogram_quantile(all.bucket, 0.95, 0) / 1000;

    return json_pack("{s:I, s:I, s:o, s:o, s:o}",
                     "requests", (json_int_t) n,
                     "failed", (json_int_t) report->fallback.failed,
                     "avg_ms", ngx_sf_report_number(avg),
                     "p95_ms", ngx_sf_report_number(p95),
                     "status", classes);
}


/* entries and bytes are those of now */

static json_t *
ngx_sf_report_cache(ngx_sf_report_t *report)
{
    json_int_t            entries, bytes, size;
    ngx_uint_t            i, hits, asked, *cache;
    ngx_sf_zone_t       **zone;
    ngx_sf_zone_facts_t   facts;

    zone = report->smcf->zones.elts;
    cache = report->cache;
    entries = 0;
    bytes = 0;
    size = 0;

    for (i = 0; i < report->smcf->zones.nelts; i++) {
        ngx_sf_zone_facts(zone[i], &facts);

        entries += facts.nodes;
        bytes += facts.bytes;
        size += facts.room;
    }

    asked = ngx_sf_report_asked(cache, &hits);

    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I}",
                     "hits", (json_int_t) cache[NGX_SF_CACHE_HIT],
                     "misses", (json_int_t) (cache[NGX_SF_CACHE_MISS]
                                             + cache[NGX_SF_CACHE_EXPIRED]),
                     "stale", (json_int_t) (cache[NGX_SF_CACHE_UPDATING]
                                            + cache[NGX_SF_CACHE_STALE]),
                     "bypassed", (json_int_t) cache[NGX_SF_CACHE_BYPASS],
                     "hit_percent",
                     ngx_sf_report_number(ngx_sf_report_percent(hits,
                                                                asked)),
                     "evictions",
                     (json_int_t) ngx_sf_metrics_since(report->now.evictions,
                                                  report->since->evictions),
                     "entries", entries,
                     "bytes", bytes,
                     "size", size);
}


static json_t *
ngx_sf_report_recommendations(ngx_sf_report_t *report)
{
    u_char                               text[NGX_SF_RECOMMEND_TEXT], *last, *p;
    json_t                              *list;
    ngx_uint_t                           i;
    ngx_sf_recommend_server_t            server;
    const ngx_sf_recommend_server_pt    *rule;
    const ngx_sf_recommend_endpoint_pt  *by;

    list = json_array();
    last = text + sizeof(text);

    ngx_sf_report_server(report, &server);

    for (rule = ngx_sf_recommend_server_rules; *rule; rule++) {
        p = (*rule)(text, last, &server);

        if (p) {
            json_array_append_new(list, json_stringn((char *) text,
                                                     p - text));
        }
    }

    for (by = ngx_sf_recommend_endpoint_rules; *by; by++) {
        for (i = 0; i < report->metrics->nendpoints; i++) {
            p = (*by)(text, last, &report->rows[i].figures);

            if (p) {
                json_array_append_new(list, json_stringn((char *) text,
                                                         p - text));
            }
        }
    }

    return list;
}


/*
 * What the rules about the server as a whole go by.  A database whose listener
 * is switched off is not expected to be coherent.
 */

static void
ngx_sf_report_server(ngx_sf_report_t *report, ngx_sf_recommend_server_t *server)
{
    uint64_t                  errors[NGX_SF_PG_OUTCOMES], n;
    ngx_uint_t                i;
    ngx_sf_set_t              uncovered;
    ngx_msec_int_t            age;
    ngx_sf_origin_t          *origin;
    ngx_sf_source_t          *source;
    ngx_sf_upstream_gauge_t  *upstream;

    ngx_memzero(server, sizeof(ngx_sf_recommend_server_t));

    for (i = 0; i < NGX_SF_PG_OUTCOMES; i++) {
        errors[i] = ngx_sf_metrics_since(report->now.errors[i],
                                         report->since->errors[i]);
    }

    server->cpu = report->load.average.cpu;
    server->memory = report->load.average.memory;
    server->queue_p95 = report->queue_p95;
    server->busy = errors[NGX_SF_PG_BUSY];
    server->quota = errors[NGX_SF_PG_QUOTA_FULL];
    server->expired = errors[NGX_SF_PG_EXPIRED];
    server->unavailable = errors[NGX_SF_PG_UNAVAILABLE];
    server->bridged = ngx_sf_cache_conf_bridged(report->smcf);
    server->timeout = errors[NGX_SF_PG_TIMEOUT];
    server->broken = errors[NGX_SF_PG_BROKEN] + errors[NGX_SF_PG_DENIED];
    server->evictions = ngx_sf_metrics_since(report->now.evictions,
                                             report->since->evictions);
    server->requests = report->requests;
    server->passed = ngx_sf_metrics_fallbacks(&report->fallback, &n);
    server->unanswered = report->fallback.failed;

    for (i = 0; i < report->metrics->sh->room.upstreams; i++) {
        upstream = &report->gauges.upstreams[i];
        server->down += upstream->used && upstream->up == 0;
    }

    origin = report->smcf->origins.elts;

    for (i = 0; i < report->smcf->origins.nelts; i++) {
        source = report->smcf->worker->sources[i];

        if (source == NULL || origin[i].primary->listen_off) {
            continue;
        }

        /* without a listener it is not known either what has triggers */

        if (!ngx_sf_zone_coherent(source, report->smcf->lease, &age)) {
            server->incoherent++;
            continue;
        }

        server->uncovered += ngx_sf_zone_uncovered(origin[i].zone, source,
                                                   &uncovered);
    }
}


/* requests that the zone was asked for, and those that it had something for */

static ngx_uint_t
ngx_sf_report_asked(const ngx_uint_t *cache, ngx_uint_t *hits)
{
    *hits = cache[NGX_SF_CACHE_HIT] + cache[NGX_SF_CACHE_UPDATING]
            + cache[NGX_SF_CACHE_STALE];

    return *hits + cache[NGX_SF_CACHE_MISS] + cache[NGX_SF_CACHE_EXPIRED];
}


/* as in the document: without a zone; it is UTC */

static json_t *
ngx_sf_report_time(time_t sec)
{
    u_char    text[sizeof("1970-01-01T00:00:00")];
    ngx_tm_t  tm;

    ngx_gmtime(sec, &tm);

    *ngx_snprintf(text, sizeof(text) - 1, "%4d-%02d-%02dT%02d:%02d:%02d",
                  tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                  tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec) = '\0';

    return json_string((char *) text);
}


static const char *
ngx_sf_report_path(const ngx_sf_report_t *report, ngx_uint_t i)
{
    return i < report->metrics->nendpoints
           ? report->smcf->endpoints[i].path
           : ngx_sf_route_name(report->smcf, i);
}


/* three decimals: a microsecond is the finest that there is */

static json_t *
ngx_sf_report_number(double value)
{
    return json_real((double) (int64_t) (value * 1000 + 0.5) / 1000);
}


static double
ngx_sf_report_percent(double part, double all)
{
    return all ? 100 * part / all : 0;
}

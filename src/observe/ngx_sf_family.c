
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Families of metrics, a row for each: its name, its type, a sentence, the
 * function that writes its samples, and an offset in the structure that this
 * reads.  So most families need no function of their own.
 *
 * Samples are labelled by what is known at configuration, so the number of
 * series has a bound, whatever clients send.  A counter is there from the start
 * with 0 where that is affordable: a rate needs a first sample.
 *
 * (Prometheus, Metric and label naming: base units, _total for counters.)
 */


#include "ngx_sf_prometheus.h"


static void ngx_sf_family_of_zone(ngx_sf_prometheus_t *ex, ngx_uint_t i,
    u_char *name);
static ngx_uint_t ngx_sf_family_of_upstream(ngx_sf_prometheus_t *ex,
    ngx_uint_t i, u_char *name);
static ngx_uint_t ngx_sf_family_of_server(ngx_sf_prometheus_t *ex,
    ngx_uint_t i, u_char *buf, size_t size);
static ngx_sf_source_t *ngx_sf_family_of_source(ngx_sf_prometheus_t *ex,
    ngx_uint_t i, u_char *buf, size_t size);
static void ngx_sf_family_requests(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_endpoint_histogram(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_endpoint_counter(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_counter(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_fallback(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_fallback_duration(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_cache_requests(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_queue(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_errors(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_flights(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_up(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_disconnects(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_queue_gauge(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_connections(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_lane(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_fills(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_evictions(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_queue_bytes(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_by_queue(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family, ngx_uint_t i, ngx_uint_t small,
    ngx_uint_t rest);
static void ngx_sf_family_zone(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_listener(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_listener_state(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_clients(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_process(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_machine(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_cpu(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_start(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);
static void ngx_sf_family_build(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family);


/* the structures that the writers below read */

#define ngx_sf_in_endpoint(field)  offsetof(ngx_sf_endpoint_counts_t, field)
#define ngx_sf_in_counts(field)    offsetof(ngx_sf_counts_t, field)
#define ngx_sf_in_facts(field)     offsetof(ngx_sf_zone_facts_t, field)
#define ngx_sf_in_source(field)    offsetof(ngx_sf_source_t, field)
#define ngx_sf_in_upstream(field)  offsetof(ngx_sf_upstream_gauge_t, field)
#define ngx_sf_in_lane(field)      offsetof(ngx_sf_lane_gauge_t, field)
#define ngx_sf_in_gauges(field)    offsetof(ngx_sf_gauges_t, field)
#define ngx_sf_in_machine(field)   offsetof(ngx_sf_machine_t, field)

/* states of a listener, where an offset stands in the other rows */

#define NGX_SF_LISTENER_UP         0
#define NGX_SF_LISTENER_AGE        1
#define NGX_SF_LISTENER_QUEUE      2
#define NGX_SF_LISTENER_UNCOVERED  3
#define NGX_SF_LISTENER_OPEN       4


const ngx_sf_family_t  ngx_sf_families[] = {

    { "softfactory_requests_total", "counter",
      "Requests that have ended, by method, endpoint and status.",
      ngx_sf_family_requests, 0 },

    { "softfactory_request_duration_seconds", "histogram",
      "From the content handler to the last byte taken by the socket.",
      ngx_sf_family_endpoint_histogram, ngx_sf_in_endpoint(duration) },

    { "softfactory_slow_requests_total", "counter",
      "Requests that took longer than softfactory_slow.",
      ngx_sf_family_endpoint_counter, ngx_sf_in_endpoint(slow) },

    { "softfactory_fallback_requests_total", "counter",
      "Requests that were passed on to softfactory_fallback, by status.",
      ngx_sf_family_fallback, 0 },

    { "softfactory_fallback_failures_total", "counter",
      "Requests that were passed on and not answered.",
      ngx_sf_family_counter, ngx_sf_in_counts(fallback.failed) },

    { "softfactory_fallback_duration_seconds", "histogram",
      "Requests that were passed on, to the last byte taken by the socket.",
      ngx_sf_family_fallback_duration, 0 },

    { "softfactory_limited_requests_total", "counter",
      "Requests that limit_req or limit_conn have refused.",
      ngx_sf_family_counter, ngx_sf_in_counts(limited) },

    { "softfactory_bodies_bytes", "gauge",
      "Bytes of responses that workers keep until they are sent.",
      ngx_sf_family_process, ngx_sf_in_gauges(bodies) },

    { "softfactory_bodies_refused_total", "counter",
      "Responses that softfactory_max_bodies had no room for.",
      ngx_sf_family_counter, ngx_sf_in_counts(bodies_refused) },

    { "softfactory_cache_requests_total", "counter",
      "Requests by what the cache had for them.",
      ngx_sf_family_cache_requests, 0 },

    { "softfactory_db_query_duration_seconds", "histogram",
      "Statements, from being sent to their result.",
      ngx_sf_family_endpoint_histogram, ngx_sf_in_endpoint(query) },

    { "softfactory_db_queue_duration_seconds", "histogram",
      "Statements, waiting for a connection.",
      ngx_sf_family_queue, 0 },

    { "softfactory_db_errors_total", "counter",
      "Statements without a result, by reason.",
      ngx_sf_family_errors, 0 },

    { "softfactory_db_up", "gauge",
      "Whether some worker can reach a server of the upstream.",
      ngx_sf_family_up, 0 },

    { "softfactory_db_connections", "gauge",
      "Connections by state.",
      ngx_sf_family_connections, 0 },

    { "softfactory_db_statements", "gauge",
      "Statements in flight.",
      ngx_sf_family_lane, ngx_sf_in_lane(statements) },

    { "softfactory_db_statements_max", "gauge",
      "Statements that can be in flight: connections times depth.",
      ngx_sf_family_lane, ngx_sf_in_lane(statements_max) },

    { "softfactory_db_queue_length", "gauge",
      "Statements that wait for a connection.",
      ngx_sf_family_queue_gauge, ngx_sf_in_upstream(queue) },

    { "softfactory_db_queue_max", "gauge",
      "Statements that may wait: queue= times workers.",
      ngx_sf_family_queue_gauge, ngx_sf_in_upstream(queue_max) },

    { "softfactory_db_disconnects_total", "counter",
      "Connections closed, or not made, by reason.",
      ngx_sf_family_disconnects, 0 },

    { "softfactory_flights_total", "counter",
      "Executions of statements for one or more requests, by kind.",
      ngx_sf_family_flights, 0 },

    { "softfactory_cache_fills_total", "counter",
      "Responses made for the zone: stored, outrun by a change, too large.",
      ngx_sf_family_fills, 0 },

    { "softfactory_cache_evictions_total", "counter",
      "Entries that were evicted, by queue.",
      ngx_sf_family_evictions, 0 },

    { "softfactory_cache_returns_total", "counter",
      "Entries that returned soon after their eviction.",
      ngx_sf_family_zone, ngx_sf_in_facts(stats.returned) },

    { "softfactory_cache_no_room_total", "counter",
      "Allocations that found no room.",
      ngx_sf_family_zone, ngx_sf_in_facts(stats.no_room) },

    { "softfactory_cache_followers_total", "counter",
      "Requests that waited for another one of the same worker.",
      ngx_sf_family_zone, ngx_sf_in_facts(stats.followers) },

    { "softfactory_cache_waits_total", "counter",
      "Times that a worker waited for another one.",
      ngx_sf_family_zone, ngx_sf_in_facts(stats.waits) },

    { "softfactory_cache_abandoned_total", "counter",
      "Statements that were not sent, as no client waited any more.",
      ngx_sf_family_zone, ngx_sf_in_facts(stats.abandoned) },

    { "softfactory_cache_entries", "gauge", "Entries in the zone.",
      ngx_sf_family_zone, ngx_sf_in_facts(nodes) },

    { "softfactory_cache_bytes", "gauge", "Bytes of responses in the zone.",
      ngx_sf_family_zone, ngx_sf_in_facts(bytes) },

    { "softfactory_cache_size_bytes", "gauge",
      "Bytes available for entries.",
      ngx_sf_family_zone, ngx_sf_in_facts(room) },

    { "softfactory_cache_queue_bytes", "gauge",
      "Bytes taken by entries, by queue.",
      ngx_sf_family_queue_bytes, 0 },

    { "softfactory_cache_pinned_bytes", "gauge",
      "Bytes of responses that are being sent from the zone.",
      ngx_sf_family_zone, ngx_sf_in_facts(pinned) },

    { "softfactory_cache_fills_in_progress", "gauge",
      "Responses that are being made.",
      ngx_sf_family_zone, ngx_sf_in_facts(fills) },

    { "softfactory_listener_up", "gauge",
      "Whether a heartbeat was answered within softfactory_listen_lease.",
      ngx_sf_family_listener_state, NGX_SF_LISTENER_UP },

    { "softfactory_listener_confirmed_age_seconds", "gauge",
      "Age of the last heartbeat that was answered, -1: there was none.",
      ngx_sf_family_listener_state, NGX_SF_LISTENER_AGE },

    { "softfactory_listener_queue_usage", "gauge",
      "Part of the server's notification queue that is in use.",
      ngx_sf_family_listener_state, NGX_SF_LISTENER_QUEUE },

    { "softfactory_listener_uncovered_tables", "gauge",
      "Tables whose changes are not reported.",
      ngx_sf_family_listener_state, NGX_SF_LISTENER_UNCOVERED },

    { "softfactory_listener_open_tables", "gauge",
      "Tables whose changes are reported on a channel open to all roles.",
      ngx_sf_family_listener_state, NGX_SF_LISTENER_OPEN },

    { "softfactory_listener_schema_creators", "gauge",
      "Roles that may create objects in the schema, beside its owner.",
      ngx_sf_family_listener, ngx_sf_in_source(creators) },

    { "softfactory_listener_notifications_total", "counter",
      "Notifications received.",
      ngx_sf_family_listener, ngx_sf_in_source(notifications) },

    { "softfactory_listener_unreadable_total", "counter",
      "Notifications of these that could not be read.",
      ngx_sf_family_listener, ngx_sf_in_source(unreadable) },

    { "softfactory_listener_moves_total", "counter",
      "Counters of tables and rows that notifications have moved.",
      ngx_sf_family_listener, ngx_sf_in_source(moves) },

    { "softfactory_listener_flushes_total", "counter",
      "Times that everything was invalidated.",
      ngx_sf_family_listener, ngx_sf_in_source(epochs) },

    { "softfactory_listener_schema_changes_total", "counter",
      "Changes of tables themselves that were noticed.",
      ngx_sf_family_listener, ngx_sf_in_source(changes) },

    { "softfactory_listener_schema_changed_timestamp_seconds", "gauge",
      "When the last of these changes was noticed, 0: none was.",
      ngx_sf_family_listener, ngx_sf_in_source(changed_at) },

    { "softfactory_connections", "gauge",
      "Connections of clients to this nginx, by state.",
      ngx_sf_family_clients, 0 },

    { "softfactory_workers", "gauge",
      "Worker processes, including those that are shutting down.",
      ngx_sf_family_process, ngx_sf_in_gauges(workers) },

    { "softfactory_process_resident_memory_bytes", "gauge",
      "Resident memory of all workers, shared memory counted in each.",
      ngx_sf_family_process, ngx_sf_in_gauges(memory) },

    { "softfactory_process_cpu_seconds_total", "counter",
      "Processor time of all workers.",
      ngx_sf_family_cpu, 0 },

    { "softfactory_machine_cpu_ratio", "gauge",
      "Part of the processors that was busy in the last second.",
      ngx_sf_family_machine, ngx_sf_in_machine(cpu) },

    { "softfactory_machine_memory_ratio", "gauge",
      "Part of the memory that is in use.",
      ngx_sf_family_machine, ngx_sf_in_machine(memory) },

    { "softfactory_start_time_seconds", "gauge",
      "When counting began, in seconds since 1970.",
      ngx_sf_family_start, 0 },

    { "softfactory_build_info", "gauge",
      "Versions of the module, of nginx and of libpq.",
      ngx_sf_family_build, 0 },

    { NULL, NULL, NULL, NULL, 0 }
};


/*
 * GET with 200 and 5xx is there from the start, all else when it has happened:
 * methods times statuses would be a series each, most of them empty.
 */

static void
ngx_sf_family_requests(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    u_char       status[NGX_INT_T_LEN + 1];
    uint64_t     n;
    ngx_uint_t   i, m, s;

    for (i = 0; i <= ex->smcf->nendpoints; i++) {
        for (m = 0; m < NGX_SF_METRICS_METHODS; m++) {
            for (s = 0; s < NGX_SF_METRICS_STATUSES; s++) {
                n = ngx_sf_metrics_of(ex->metrics, &ex->sum, i)
                        ->requests[m][s];

                if (n == 0
                    && (i == ex->smcf->nendpoints || m
                        || (ngx_sf_metrics_statuses[s] != NGX_HTTP_OK
                            && ngx_sf_metrics_statuses[s] < 500)))
                {
                    continue;
                }

                *ngx_sprintf(status, ngx_sf_metrics_statuses[s] ? "%ui"
                                                                : "other",
                             ngx_sf_metrics_statuses[s]) = '\0';

                ngx_sf_prometheus_line(ex,
                           "%s{method=\"%s\",endpoint=\"%s\",status=\"%s\"} "
                           "%uL\n", family->name, ngx_sf_metrics_methods[m],
                           ngx_sf_route_name(ex->smcf, i), status, n);
            }
        }
    }
}


/* requests have no principal of their own, statements no unknown endpoint */

static void
ngx_sf_family_endpoint_histogram(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    ngx_uint_t     i, skip;
    const u_char  *counts;

    skip = family->offset == ngx_sf_in_endpoint(query)
           ? ngx_sf_metrics_unknown(ex->metrics)
           : ngx_sf_metrics_principal(ex->metrics);

    for (i = 0; i < ex->smcf->nendpoints + 2; i++) {
        counts = (const u_char *) ngx_sf_metrics_of(ex->metrics, &ex->sum, i);

        if (i != skip) {
            ngx_sf_prometheus_histogram(ex, family, "endpoint",
                           ngx_sf_route_name(ex->smcf, i),
                           (const ngx_sf_histogram_t *) (counts
                                                         + family->offset));
        }
    }
}


static void
ngx_sf_family_endpoint_counter(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    ngx_uint_t     i;
    const u_char  *counts;

    for (i = 0; i <= ex->smcf->nendpoints; i++) {
        counts = (const u_char *) ngx_sf_metrics_of(ex->metrics, &ex->sum, i);

        ngx_sf_prometheus_line(ex, "%s{endpoint=\"%s\"} %uL\n", family->name,
                               ngx_sf_route_name(ex->smcf, i),
                               *(const uint64_t *) (counts
                                                    + family->offset));
    }
}


static void
ngx_sf_family_counter(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_sf_prometheus_line(ex, "%s %uL\n", family->name,
                           *(uint64_t *) ((u_char *) &ex->sum
                                          + family->offset));
}


static void
ngx_sf_family_fallback(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_uint_t                 i;
    const ngx_sf_histogram_t  *duration;

    duration = ex->sum.fallback.duration;

    for (i = 0; i < NGX_SF_METRICS_CLASSES; i++) {
        ngx_sf_prometheus_line(ex, "%s{status=\"%s\"} %uL\n", family->name,
                               ngx_sf_metrics_classes[i],
                               ngx_sf_histogram_count(&duration[i]));
    }
}


static void
ngx_sf_family_fallback_duration(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_METRICS_CLASSES; i++) {
        ngx_sf_prometheus_histogram(ex, family, "status",
                                    ngx_sf_metrics_classes[i],
                                    &ex->sum.fallback.duration[i]);
    }
}


static void
ngx_sf_family_cache_requests(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    ngx_uint_t  i, k;

    for (i = 0; i < ex->smcf->nendpoints; i++) {
        if (ex->smcf->endpoints[i].response == NULL) {
            continue;
        }

        for (k = NGX_SF_CACHE_HIT; k < NGX_SF_CACHE_STATUSES; k++) {
            ngx_sf_prometheus_line(ex,
                           "%s{endpoint=\"%s\",result=\"%s\"} %uL\n",
                           family->name, ngx_sf_route_name(ex->smcf, i),
                           ngx_sf_metrics_cache[k],
                           ngx_sf_metrics_of(ex->metrics, &ex->sum, i)
                               ->cache[k]);
        }
    }
}


/* the listener's own statements are not shown */

static void
ngx_sf_family_queue(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_PG_LISTEN; i++) {
        ngx_sf_prometheus_histogram(ex, family, "lane",
                                    ngx_sf_metrics_lanes[i],
                                    &ex->sum.queue[i]);
    }
}


/* "ok" is left out: it is no error */

static void
ngx_sf_family_errors(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_uint_t  i;

    for (i = NGX_SF_PG_OK + 1; i < NGX_SF_PG_OUTCOMES; i++) {
        ngx_sf_prometheus_line(ex, "%s{reason=\"%s\"} %uL\n", family->name,
                               ngx_sf_metrics_outcomes[i],
                               ex->sum.errors[i]);
    }
}


static void
ngx_sf_family_flights(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_uint_t  i;

    static const char *const  kinds[NGX_SF_METRICS_KINDS] = {
        /* PRINCIPAL */  "principal",
        /* TOTAL */      "total",
        /* RESPONSE */   "answer",
        /* PING */       "ping"
    };

    for (i = 0; i < NGX_SF_METRICS_KINDS; i++) {
        ngx_sf_prometheus_line(ex, "%s{kind=\"%s\"} %uL\n", family->name,
                               kinds[i], ex->sum.flights[i]);
    }
}


/* an upstream is up where any worker finds it so */

static void
ngx_sf_family_up(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    u_char      name[NGX_SF_PROMETHEUS_NAME];
    ngx_uint_t  i;

    for (i = 0; i < ex->metrics->sh->room.upstreams; i++) {
        if (!ngx_sf_family_of_upstream(ex, i, name)) {
            continue;
        }

        ngx_sf_prometheus_line(ex, "%s{upstream=\"%s\"} %d\n", family->name,
                               name, ex->gauges.upstreams[i].up != 0);
    }
}


static void
ngx_sf_family_disconnects(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    u_char      name[NGX_SF_PROMETHEUS_NAME];
    ngx_uint_t  i, k;

    for (i = 0; i < ex->metrics->sh->room.upstreams; i++) {
        if (!ngx_sf_family_of_upstream(ex, i, name)) {
            continue;
        }

        for (k = NGX_SF_PG_CLOSE_NONE + 1; k < NGX_SF_PG_CLOSE_REASONS; k++) {
            ngx_sf_prometheus_line(ex,
                               "%s{upstream=\"%s\",reason=\"%s\"} %uL\n",
                               family->name, name, ngx_sf_pg_conn_close_name(k),
                               ex->sum.disconnects[i][k]);
        }
    }
}


static void
ngx_sf_family_queue_gauge(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    u_char                    name[NGX_SF_PROMETHEUS_NAME];
    ngx_uint_t                i, k;
    ngx_sf_upstream_gauge_t  *upstream;

    for (i = 0; i < ex->metrics->sh->room.upstreams; i++) {
        upstream = &ex->gauges.upstreams[i];

        if (!ngx_sf_family_of_upstream(ex, i, name)) {
            continue;
        }

        for (k = 0; k < NGX_SF_PG_LISTEN; k++) {
            ngx_sf_prometheus_line(ex,
                               "%s{upstream=\"%s\",lane=\"%s\"} %ui\n",
                               family->name, name, ngx_sf_metrics_lanes[k],
                               family->offset == ngx_sf_in_upstream(queue)
                               ? upstream->queue[k] : upstream->queue_max);
        }
    }
}


/* the name of an upstream's place; 0: nobody uses it */

static ngx_uint_t
ngx_sf_family_of_upstream(ngx_sf_prometheus_t *ex, ngx_uint_t i,
    u_char *name)
{
    const u_char  *text;

    text = ex->metrics->sh->upstreams[i].name;
    ngx_sf_prometheus_escape(name, text, ngx_strlen(text));

    return ex->gauges.upstreams[i].used != 0;
}


/* upstream="...",server="..." of a place, with NUL; 0: nobody uses it */

static ngx_uint_t
ngx_sf_family_of_server(ngx_sf_prometheus_t *ex, ngx_uint_t i, u_char *buf,
    size_t size)
{
    u_char                        upstream[NGX_SF_PROMETHEUS_NAME];
    u_char                        server[NGX_SF_PROMETHEUS_NAME];
    const u_char                 *text;
    const ngx_sf_metrics_name_t  *name;

    if (ex->gauges.servers[i].used == 0) {
        return 0;
    }

    name = &ex->metrics->sh->servers[i];
    text = ex->metrics->sh->upstreams[name->upstream].name;

    ngx_sf_prometheus_escape(upstream, text, ngx_strlen(text));
    ngx_sf_prometheus_escape(server, name->name, ngx_strlen(name->name));

    *ngx_slprintf(buf, buf + size - 1, "upstream=\"%s\",server=\"%s\"",
                  upstream, server) = '\0';

    return 1;
}


static void
ngx_sf_family_connections(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    u_char      labels[2 * NGX_SF_PROMETHEUS_NAME + 32];
    ngx_uint_t  i, k, state;

    static const char *const  states[] = {
        "connecting", "idle", "active", "draining"
    };

    for (i = 0; i < ex->metrics->sh->room.servers; i++) {
        if (!ngx_sf_family_of_server(ex, i, labels, sizeof(labels))) {
            continue;
        }

        for (k = 0; k < NGX_SF_PG_LANES; k++) {
            for (state = 0; state < NGX_SF_GAUGE_STATES; state++) {
                ngx_sf_prometheus_line(ex,
                        "%s{%s,lane=\"%s\",state=\"%s\"} %ui\n",
                        family->name, labels, ngx_sf_metrics_lanes[k],
                        states[state],
                        ex->gauges.servers[i].lanes[k].conns[state]);
            }
        }
    }
}


static void
ngx_sf_family_lane(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    u_char       labels[2 * NGX_SF_PROMETHEUS_NAME + 32];
    u_char      *lane;
    ngx_uint_t   i, k;

    for (i = 0; i < ex->metrics->sh->room.servers; i++) {
        if (!ngx_sf_family_of_server(ex, i, labels, sizeof(labels))) {
            continue;
        }

        for (k = 0; k < NGX_SF_PG_LANES; k++) {
            lane = (u_char *) &ex->gauges.servers[i].lanes[k];

            ngx_sf_prometheus_line(ex, "%s{%s,lane=\"%s\"} %ui\n",
                                   family->name, labels,
                                   ngx_sf_metrics_lanes[k],
                                   *(ngx_uint_t *) (lane + family->offset));
        }
    }
}


static void
ngx_sf_family_fills(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    u_char                       name[NGX_SF_PROMETHEUS_NAME];
    ngx_uint_t                   i;
    const ngx_sf_cache_stats_t  *stats;

    for (i = 0; i < ex->smcf->zones.nelts; i++) {
        stats = &ex->facts[i].stats;
        ngx_sf_family_of_zone(ex, i, name);

        ngx_sf_prometheus_line(ex,
                               "%s{zone=\"%s\",result=\"stored\"} %ui\n"
                               "%s{zone=\"%s\",result=\"raced\"} %ui\n"
                               "%s{zone=\"%s\",result=\"refused\"} %ui\n",
                               family->name, name, stats->fills,
                               family->name, name, stats->raced,
                               family->name, name, stats->refused);
    }
}


static void
ngx_sf_family_evictions(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    ngx_uint_t             i;
    ngx_sf_cache_stats_t  *stats;

    for (i = 0; i < ex->smcf->zones.nelts; i++) {
        stats = &ex->facts[i].stats;

        ngx_sf_family_by_queue(ex, family, i,
                               stats->evictions - stats->evictions_main,
                               stats->evictions_main);
    }
}


static void
ngx_sf_family_queue_bytes(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    ngx_uint_t  i;

    for (i = 0; i < ex->smcf->zones.nelts; i++) {
        ngx_sf_family_by_queue(ex, family, i,
                               ex->facts[i].queues[NGX_SF_SMALL],
                               ex->facts[i].queues[NGX_SF_MAIN]);
    }
}


static void
ngx_sf_family_by_queue(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family, ngx_uint_t i, ngx_uint_t small,
    ngx_uint_t rest)
{
    u_char  name[NGX_SF_PROMETHEUS_NAME];

    ngx_sf_family_of_zone(ex, i, name);

    ngx_sf_prometheus_line(ex,
                           "%s{zone=\"%s\",queue=\"small\"} %ui\n"
                           "%s{zone=\"%s\",queue=\"main\"} %ui\n",
                           family->name, name, small,
                           family->name, name, rest);
}


static void
ngx_sf_family_zone(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    u_char       name[NGX_SF_PROMETHEUS_NAME];
    u_char      *facts;
    ngx_uint_t   i;

    for (i = 0; i < ex->smcf->zones.nelts; i++) {
        facts = (u_char *) &ex->facts[i];
        ngx_sf_family_of_zone(ex, i, name);

        ngx_sf_prometheus_line(ex, "%s{zone=\"%s\"} %ui\n", family->name,
                               name, *(ngx_uint_t *) (facts
                                                      + family->offset));
    }
}


static void
ngx_sf_family_of_zone(ngx_sf_prometheus_t *ex, ngx_uint_t i, u_char *name)
{
    ngx_sf_zone_t  **zone;

    zone = ex->smcf->zones.elts;

    ngx_sf_prometheus_escape(name, zone[i]->name.data, zone[i]->name.len);
}


/* zone="...",upstream="..." of an origin, with NUL; NULL: it is not used */

static ngx_sf_source_t *
ngx_sf_family_of_source(ngx_sf_prometheus_t *ex, ngx_uint_t i, u_char *buf,
    size_t size)
{
    u_char            zone[NGX_SF_PROMETHEUS_NAME];
    u_char            upstream[NGX_SF_PROMETHEUS_NAME];
    ngx_sf_origin_t  *origin;

    origin = ex->smcf->origins.elts;
    origin += i;

    ngx_sf_prometheus_escape(zone, origin->zone->name.data,
                             origin->zone->name.len);
    ngx_sf_prometheus_escape(upstream, origin->primary->name.data,
                             origin->primary->name.len);

    *ngx_slprintf(buf, buf + size - 1, "zone=\"%s\",upstream=\"%s\"", zone,
                  upstream) = '\0';

    return origin->primary->listen_off ? NULL
                                       : ex->smcf->worker->sources[i];
}


static void
ngx_sf_family_listener(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    u_char            labels[2 * NGX_SF_PROMETHEUS_NAME + 32];
    ngx_uint_t        i;
    ngx_sf_source_t  *source;

    for (i = 0; i < ex->smcf->origins.nelts; i++) {
        source = ngx_sf_family_of_source(ex, i, labels, sizeof(labels));

        if (source) {
            ngx_sf_prometheus_line(ex, "%s{%s} %uA\n", family->name, labels,
                                   *(ngx_atomic_t *) ((u_char *) source
                                                      + family->offset));
        }
    }
}


/* worked out at the time of the scrape: the offset only says what */

static void
ngx_sf_family_listener_state(ngx_sf_prometheus_t *ex,
    const ngx_sf_family_t *family)
{
    u_char            labels[2 * NGX_SF_PROMETHEUS_NAME + 32];
    double            value;
    ngx_uint_t        i, up;
    ngx_sf_set_t      set;
    ngx_msec_int_t    age;
    ngx_sf_origin_t  *origin;
    ngx_sf_source_t  *source;

    origin = ex->smcf->origins.elts;

    for (i = 0; i < ex->smcf->origins.nelts; i++) {
        source = ngx_sf_family_of_source(ex, i, labels, sizeof(labels));

        if (source == NULL) {
            continue;
        }

        up = ngx_sf_zone_coherent(source, ex->smcf->lease, &age);

        switch (family->offset) {

        case NGX_SF_LISTENER_UP:
            value = up;
            break;

        case NGX_SF_LISTENER_AGE:
            value = age < 0 ? -1 : age / 1000.0;
            break;

        case NGX_SF_LISTENER_QUEUE:
            value = source->queue_usage / 1000000.0;
            break;

        default: /* NGX_SF_LISTENER_UNCOVERED, _OPEN */
            value = family->offset == NGX_SF_LISTENER_OPEN
                    ? ngx_sf_set_count(&source->schema.open)
                    : ngx_sf_zone_uncovered(origin[i].zone, source, &set);
        }

        ngx_sf_prometheus_line(ex, "%s{%s} %.6f\n", family->name, labels,
                               value);
    }
}


/* nginx's own counters, where it was built with them */

static void
ngx_sf_family_clients(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
#if (NGX_STAT_STUB)

    ngx_sf_prometheus_line(ex,
                           "%s{state=\"active\"} %uA\n"
                           "%s{state=\"reading\"} %uA\n"
                           "%s{state=\"writing\"} %uA\n"
                           "%s{state=\"waiting\"} %uA\n",
                           family->name, *ngx_stat_active,
                           family->name, *ngx_stat_reading,
                           family->name, *ngx_stat_writing,
                           family->name, *ngx_stat_waiting);

#endif
}


static void
ngx_sf_family_process(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_sf_prometheus_line(ex, "%s %ui\n", family->name,
                           *(ngx_uint_t *) ((u_char *) &ex->gauges
                                            + family->offset));
}


/* looks are in percent, Prometheus wants ratios */

static void
ngx_sf_family_machine(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_sf_prometheus_line(ex, "%s %.6f\n", family->name,
                        *(double *) ((u_char *) &ex->metrics->sh->machine
                                     + family->offset)
                        / 100);
}


static void
ngx_sf_family_cpu(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_sf_prometheus_line(ex, "%s %uL.%06uL\n", family->name,
                           ex->sum.cpu / 1000000, ex->sum.cpu % 1000000);
}


static void
ngx_sf_family_start(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_sf_prometheus_line(ex, "%s %T.%03ui\n", family->name,
                           ex->metrics->sh->start.sec,
                           ex->metrics->sh->start.msec);
}


static void
ngx_sf_family_build(ngx_sf_prometheus_t *ex, const ngx_sf_family_t *family)
{
    ngx_uint_t  libpq;

    libpq = ngx_sf_pg_conn_library();

    ngx_sf_prometheus_line(ex,
                           "%s{version=\"%s\",nginx=\"%s\","
                           "libpq=\"%ui.%ui\"} 1\n",
                           family->name, NGX_SF_VERSION, NGINX_VERSION,
                           libpq / 10000, libpq % 10000);
}

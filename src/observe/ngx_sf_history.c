
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The last hour for the charts of the live page: a row for each interval that
 * the samples have kept, NGX_SF_METRICS_INTERVAL seconds each, the oldest one
 * first.  Rates and shares are those of the interval, what is under way and
 * what waits are its peaks.  There are never more rows than an hour has.
 */


#include "ngx_sf_status.h"


#define NGX_SF_HISTORY_ROWS  (3600 / NGX_SF_METRICS_INTERVAL)


typedef struct {
    const ngx_sf_past_t        *from;
    const ngx_sf_past_t        *to;
    double                      seconds;
    ngx_uint_t                  requests;
    ngx_uint_t                  passed;
    ngx_uint_t                  hits;     /* from the zone, of any age */
    ngx_uint_t                  asked;    /* and not from the zone */
    uint64_t                    bucket[NGX_SF_HISTOGRAM_BUCKETS];
} ngx_sf_history_t;

/* a column: its name, and its value in a row, or null */

typedef json_t *(*ngx_sf_history_pt)(const ngx_sf_history_t *row,
    uintptr_t data);

typedef struct {
    const char                 *name;
    ngx_sf_history_pt           value;
    uintptr_t                   data;     /* per cent, or an offset */
} ngx_sf_history_column_t;


static const ngx_sf_past_t *ngx_sf_history_past(ngx_sf_metrics_sh_t *sh,
    ngx_uint_t serial);
static json_t *ngx_sf_history_row(const ngx_sf_past_t *from,
    const ngx_sf_past_t *to);
static void ngx_sf_history_take(ngx_sf_history_t *row);
static json_t *ngx_sf_history_time(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_requests(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_errors(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_percentile(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_hits(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_queries(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_peak(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_machine(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_passed(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_failed(const ngx_sf_history_t *row,
    uintptr_t data);
static json_t *ngx_sf_history_share(double part, double all);
static json_t *ngx_sf_history_number(double value);


#define ngx_sf_in_past(field)     offsetof(ngx_sf_past_t, field)
#define ngx_sf_in_machine(field)  offsetof(ngx_sf_machine_t, field)

static const ngx_sf_history_column_t  ngx_sf_history_columns[] = {
    { "time", ngx_sf_history_time, 0 },
    { "seconds", ngx_sf_history_time, 1 },
    { "requests", ngx_sf_history_requests, 0 },
    { "errors", ngx_sf_history_errors, 0 },
    { "p50_ms", ngx_sf_history_percentile, 50 },
    { "p95_ms", ngx_sf_history_percentile, 95 },
    { "p99_ms", ngx_sf_history_percentile, 99 },
    { "hits", ngx_sf_history_hits, 0 },
    { "queries", ngx_sf_history_queries, 0 },
    { "under_way", ngx_sf_history_peak, ngx_sf_in_past(under_way_peak) },
    { "waiting", ngx_sf_history_peak, ngx_sf_in_past(queue_peak) },
    { "passed", ngx_sf_history_passed, 0 },
    { "failed", ngx_sf_history_failed, 0 },
    { "cpu", ngx_sf_history_machine, ngx_sf_in_machine(cpu) },
    { "memory", ngx_sf_history_machine, ngx_sf_in_machine(memory) },
    { NULL, NULL, 0 }
};


json_t *
ngx_sf_history(ngx_sf_metrics_t *metrics)
{
    json_t                         *names, *rows;
    ngx_uint_t                      i, n;
    const ngx_sf_past_t            *from, *to;
    const ngx_sf_history_column_t  *column;

    names = json_array();
    rows = json_array();

    for (column = ngx_sf_history_columns; column->name; column++) {
        json_array_append_new(names, json_string(column->name));
    }

    /* the oldest one may be written to at this moment */

    n = metrics->sh->npasts;
    i = n - ngx_min(n, ngx_min(NGX_SF_METRICS_PASTS - 2,
                               NGX_SF_HISTORY_ROWS));
    from = ngx_sf_history_past(metrics->sh, i);

    while (i < n) {
        to = ngx_sf_history_past(metrics->sh, ++i);
        json_array_append_new(rows, ngx_sf_history_row(from, to));
        from = to;
    }

    return json_pack("{s:o, s:o}", "columns", names, "rows", rows);
}


/* in their order, from 1; the start is before all of them */

static const ngx_sf_past_t *
ngx_sf_history_past(ngx_sf_metrics_sh_t *sh, ngx_uint_t serial)
{
    return serial ? &sh->pasts[(serial - 1) % NGX_SF_METRICS_PASTS]
                  : &sh->start;
}


/* the difference of two pasts that follow one another */

static json_t *
ngx_sf_history_row(const ngx_sf_past_t *from, const ngx_sf_past_t *to)
{
    json_t                         *values;
    ngx_sf_history_t                row;
    const ngx_sf_history_column_t  *column;

    row.from = from;
    row.to = to;

    ngx_sf_history_take(&row);

    values = json_array();

    for (column = ngx_sf_history_columns; column->name; column++) {
        json_array_append_new(values, column->value(&row, column->data));
    }

    return values;
}


/* what several columns need; the rest is read from the two pasts */

static void
ngx_sf_history_take(ngx_sf_history_t *row)
{
    ngx_uint_t                     i, n;
    uint64_t                       errors;
    const ngx_sf_past_endpoint_t  *now, *then;

    now = &row->to->total;
    then = &row->from->total;

    row->seconds = (ngx_msec_int_t) (row->to->at - row->from->at) / 1000.0;
    row->seconds = ngx_max(row->seconds, 0.001);

    row->requests = ngx_sf_metrics_since(now->requests, then->requests);
    row->passed = ngx_sf_metrics_since(
                      ngx_sf_metrics_fallbacks(&row->to->fallback, &errors),
                      ngx_sf_metrics_fallbacks(&row->from->fallback,
                                               &errors));
    row->hits = 0;
    row->asked = 0;

    for (i = NGX_SF_CACHE_HIT; i < NGX_SF_CACHE_BYPASS; i++) {
        n = ngx_sf_metrics_since(now->cache[i], then->cache[i]);
        row->asked += n;

        if (i != NGX_SF_CACHE_MISS && i != NGX_SF_CACHE_EXPIRED) {
            row->hits += n;
        }
    }

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        row->bucket[i] = ngx_sf_metrics_since(now->bucket[i], then->bucket[i]);
    }
}


/* when the interval ended, and how long it was */

static json_t *
ngx_sf_history_time(const ngx_sf_history_t *row, uintptr_t data)
{
    return ngx_sf_history_number(data ? row->seconds
                                      : row->to->sec
                                        + row->to->msec / 1000.0);
}


static json_t *
ngx_sf_history_requests(const ngx_sf_history_t *row, uintptr_t data)
{
    return ngx_sf_history_number(row->requests / row->seconds);
}


static json_t *
ngx_sf_history_errors(const ngx_sf_history_t *row, uintptr_t data)
{
    return ngx_sf_history_share(ngx_sf_metrics_since(row->to->total.errors,
                                                     row->from->total.errors),
                                row->requests);
}


static json_t *
ngx_sf_history_percentile(const ngx_sf_history_t *row, uintptr_t data)
{
    if (row->requests == 0) {
        return json_null();
    }

    return ngx_sf_history_number(
               ngx_sf_histogram_quantile(row->bucket, data / 100.0,
                                         row->to->total.span.high)
               / 1000);
}


static json_t *
ngx_sf_history_hits(const ngx_sf_history_t *row, uintptr_t data)
{
    return ngx_sf_history_share(row->hits, row->asked);
}


static json_t *
ngx_sf_history_queries(const ngx_sf_history_t *row, uintptr_t data)
{
    return ngx_sf_history_number(ngx_sf_metrics_since(row->to->total.queries,
                                                      row->from->total.queries)
                                 / row->seconds);
}


static json_t *
ngx_sf_history_peak(const ngx_sf_history_t *row, uintptr_t data)
{
    return json_integer(*(ngx_uint_t *) ((u_char *) row->to + data));
}


/* looks are summed up; none was taken where there is no /proc */

static json_t *
ngx_sf_history_machine(const ngx_sf_history_t *row, uintptr_t data)
{
    double      now, then;
    ngx_uint_t  n;

    n = row->to->looks - row->from->looks;
    now = *(double *) ((u_char *) &row->to->machine + data);
    then = *(double *) ((u_char *) &row->from->machine + data);

    return n ? ngx_sf_history_number((now - then) / n) : json_null();
}


static json_t *
ngx_sf_history_passed(const ngx_sf_history_t *row, uintptr_t data)
{
    return ngx_sf_history_number(row->passed / row->seconds);
}


static json_t *
ngx_sf_history_failed(const ngx_sf_history_t *row, uintptr_t data)
{
    return ngx_sf_history_share(ngx_sf_metrics_since(row->to->fallback.failed,
                                                row->from->fallback.failed),
                                row->passed);
}


/* per cent; of nothing there is no share */

static json_t *
ngx_sf_history_share(double part, double all)
{
    return all ? ngx_sf_history_number(100 * part / all) : json_null();
}


/* three decimals, so that an hour stays short */

static json_t *
ngx_sf_history_number(double value)
{
    return json_real((double) (int64_t) (value * 1000 + 0.5) / 1000);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What is looked at once a second, and kept for an hour.
 *
 * Each worker tells its own memory and processor time.  The first one in a
 * second also looks at the machine; every few seconds it writes down how all
 * counters stand.  What happened in a window is the difference of two such
 * pasts.
 *
 * The files of /proc are read in place: they are made by the kernel while
 * they are read, and nothing waits for a disk.  Where there is none, the
 * figures stay 0.
 */


#include "ngx_sf_metrics.h"

#include <sys/resource.h>


/* failures in a minute that are no accident, if they are half of all */

#define NGX_SF_SAMPLE_FAILED  3


static void ngx_sf_sample_process(ngx_sf_metrics_slot_t *slot);
static void ngx_sf_sample_look(ngx_sf_metrics_sh_t *sh);
static void ngx_sf_sample_add(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_machine_t *look);
static void ngx_sf_sample_peak(ngx_sf_machine_t *peak,
    const ngx_sf_machine_t *look);
static void ngx_sf_sample_nginx(ngx_sf_metrics_sh_t *sh,
    ngx_sf_machine_t *look);
static ngx_int_t ngx_sf_sample_cpu(ngx_sf_metrics_sh_t *sh, double *percent);
static ngx_int_t ngx_sf_sample_memory(double *percent);
static ngx_uint_t ngx_sf_sample_queues(ngx_sf_metrics_sh_t *sh);
static ngx_uint_t ngx_sf_sample_under_way(ngx_sf_metrics_sh_t *sh);
static void ngx_sf_sample_keep(ngx_sf_metrics_t *metrics, ngx_log_t *log);
static void ngx_sf_sample_endpoints(ngx_sf_metrics_t *metrics,
    const ngx_sf_counts_t *sum, ngx_uint_t tick, ngx_sf_past_t *now);
static void ngx_sf_sample_add_up(ngx_sf_past_endpoint_t *total,
    const ngx_sf_past_endpoint_t *one);
static void ngx_sf_sample_pack(ngx_sf_past_place_t *past,
    const ngx_sf_past_endpoint_t *one);
static uint64_t ngx_sf_sample_unpack(uint32_t then, uint64_t now);
static ngx_int_t ngx_sf_sample_read(const char *path, char *buf,
    size_t size);


void
ngx_sf_sample_take(ngx_sf_metrics_t *metrics, ngx_log_t *log)
{
    ngx_atomic_uint_t     last;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;

    ngx_sf_sample_process(metrics->slot);
    ngx_sf_metrics_tell(metrics);

    last = sh->second;

    /* the timers of workers drift, and the clock has milliseconds */

    if ((ngx_msec_int_t) (ngx_current_msec - last) < 950
        || !ngx_atomic_cmp_set(&sh->second, last, ngx_current_msec))
    {
        return;
    }

    ngx_sf_sample_look(sh);

    if (++sh->seconds % NGX_SF_METRICS_INTERVAL == 0) {
        ngx_sf_workers_bury(metrics->workers);
        ngx_sf_sample_keep(metrics, log);
    }
}


static void
ngx_sf_sample_process(ngx_sf_metrics_slot_t *slot)
{
    char           buf[128];
    unsigned long  size, resident;
    struct rusage  usage;

    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        slot->counts.cpu = (uint64_t) (usage.ru_utime.tv_sec
                                       + usage.ru_stime.tv_sec) * 1000000
                           + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    }

    if (ngx_sf_sample_read("/proc/self/statm", buf, sizeof(buf)) == NGX_OK
        && sscanf(buf, "%lu %lu", &size, &resident) == 2)
    {
        slot->memory = resident * ngx_pagesize;
    }
}


/* a look that cannot be taken leaves the last one, and does not count */

static void
ngx_sf_sample_look(ngx_sf_metrics_sh_t *sh)
{
    ngx_uint_t        n;
    ngx_sf_machine_t  look;

    n = ngx_sf_sample_queues(sh);

    sh->queue_peak = ngx_max(sh->queue_peak, n);
    sh->interval_queue_peak = ngx_max(sh->interval_queue_peak, n);

    n = ngx_sf_sample_under_way(sh);

    sh->interval_under_way_peak = ngx_max(sh->interval_under_way_peak, n);

    ngx_sf_sample_nginx(sh, &look);

    if (ngx_sf_sample_cpu(sh, &look.cpu) == NGX_OK
        && ngx_sf_sample_memory(&look.memory) == NGX_OK)
    {
        ngx_sf_sample_add(sh, &look);
    }
}


static void
ngx_sf_sample_add(ngx_sf_metrics_sh_t *sh, const ngx_sf_machine_t *look)
{
    sh->machine = *look;
    sh->looks++;

    sh->sum.cpu += look->cpu;
    sh->sum.memory += look->memory;
    sh->sum.nginx_cpu += look->nginx_cpu;
    sh->sum.nginx_memory += look->nginx_memory;

    ngx_sf_sample_peak(&sh->peak, look);
    ngx_sf_sample_peak(&sh->interval_peak, look);
}


static void
ngx_sf_sample_peak(ngx_sf_machine_t *peak, const ngx_sf_machine_t *look)
{
    peak->cpu = ngx_max(peak->cpu, look->cpu);
    peak->memory = ngx_max(peak->memory, look->memory);
    peak->nginx_cpu = ngx_max(peak->nginx_cpu, look->nginx_cpu);
    peak->nginx_memory = ngx_max(peak->nginx_memory, look->nginx_memory);
}


/* what the workers have told */

static void
ngx_sf_sample_nginx(ngx_sf_metrics_sh_t *sh, ngx_sf_machine_t *look)
{
    uint64_t        cpu;
    ngx_uint_t      i;
    ngx_msec_int_t  ms;

    cpu = sh->gone.cpu;
    look->nginx_memory = 0;

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid) {
            cpu += sh->slots[i].counts.cpu;
            look->nginx_memory += sh->slots[i].memory;
        }
    }

    ms = (ngx_msec_int_t) (ngx_current_msec - sh->looked);

    look->nginx_cpu = sh->looked && cpu > sh->cpu && ms > 0
                      ? (cpu - sh->cpu) / 10.0 / ms : 0;

    sh->cpu = cpu;
    sh->looked = ngx_current_msec;
}


/* percent since the last look: proc(5), /proc/stat */

static ngx_int_t
ngx_sf_sample_cpu(ngx_sf_metrics_sh_t *sh, double *percent)
{
    char                buf[512];
    uint64_t            all, busy, before, then;
    ngx_uint_t          i;
    unsigned long long  t[8];

    if (ngx_sf_sample_read("/proc/stat", buf, sizeof(buf)) != NGX_OK
        || sscanf(buf, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0],
                  &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7])
           != 8)
    {
        return NGX_ERROR;
    }

    all = 0;

    for (i = 0; i < 8; i++) {
        all += t[i];
    }

    /* idle and iowait */

    busy = all - t[3] - t[4];
    before = sh->ticks_all;
    then = sh->ticks_busy;

    sh->ticks_all = all;
    sh->ticks_busy = busy;

    if (before == 0 || all <= before) {
        return NGX_ERROR;
    }

    *percent = busy > then ? 100.0 * (busy - then) / (all - before) : 0;
    *percent = ngx_min(*percent, 100);

    return NGX_OK;
}


/* percent that cannot be had without swapping: proc(5), /proc/meminfo */

static ngx_int_t
ngx_sf_sample_memory(double *percent)
{
    char           buf[2048], *total, *available;
    unsigned long  all, left;

    if (ngx_sf_sample_read("/proc/meminfo", buf, sizeof(buf)) != NGX_OK) {
        return NGX_ERROR;
    }

    total = strstr(buf, "MemTotal:");
    available = strstr(buf, "MemAvailable:");

    if (total == NULL || available == NULL
        || sscanf(total, "MemTotal: %lu", &all) != 1
        || sscanf(available, "MemAvailable: %lu", &left) != 1
        || all == 0)
    {
        return NGX_ERROR;
    }

    *percent = 100 - 100.0 * ngx_min(left, all) / all;

    return NGX_OK;
}


/* statements of requests that wait, of all workers */

static ngx_uint_t
ngx_sf_sample_queues(ngx_sf_metrics_sh_t *sh)
{
    ngx_uint_t                i, k, lane, n;
    ngx_sf_upstream_gauge_t  *upstream;

    n = 0;

    for (i = 0; i < sh->room.slots; i++) {
        for (k = 0; sh->slots[i].pid && k < sh->room.upstreams; k++) {
            upstream = &sh->slots[i].upstreams[k];

            for (lane = 0; lane < NGX_SF_PG_LISTEN; lane++) {
                n += upstream->queue[lane];
            }
        }
    }

    return n;
}


/* statements of requests that the servers work on, of all workers */

static ngx_uint_t
ngx_sf_sample_under_way(ngx_sf_metrics_sh_t *sh)
{
    ngx_uint_t              i, k, lane, n;
    ngx_sf_server_gauge_t  *server;

    n = 0;

    for (i = 0; i < sh->room.slots; i++) {
        for (k = 0; sh->slots[i].pid && k < sh->room.servers; k++) {
            server = &sh->slots[i].servers[k];

            for (lane = 0; lane < NGX_SF_PG_LISTEN; lane++) {
                n += server->lanes[lane].statements;
            }
        }
    }

    return n;
}


static void
ngx_sf_sample_keep(ngx_sf_metrics_t *metrics, ngx_log_t *log)
{
    ngx_uint_t            tick;
    ngx_pool_t           *pool;
    ngx_sf_past_t        *past;
    ngx_sf_counts_t       sum;
    ngx_sf_metrics_sh_t  *sh;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, log);
    if (pool == NULL) {
        return;
    }

    sh = metrics->sh;
    tick = sh->tick;

    /* what is counted from here on counts for the next, in the other place */

    sh->tick = tick + 1;

    if (ngx_sf_metrics_sum(metrics, pool, &sum) == NGX_OK) {
        past = &sh->pasts[sh->npasts % NGX_SF_METRICS_PASTS];
        past->serial = sh->npasts + 1;

        ngx_sf_sample_now(metrics, &sum, tick, past);

        ngx_memory_barrier();
        sh->npasts++;
    }

    ngx_memzero(&sh->interval_peak, sizeof(ngx_sf_machine_t));
    sh->interval_queue_peak = 0;
    sh->interval_under_way_peak = 0;

    ngx_destroy_pool(pool);
}


void
ngx_sf_sample_now(ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t tick, ngx_sf_past_t *now)
{
    ngx_uint_t            i, lane;
    ngx_time_t           *tp;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    tp = ngx_timeofday();

    now->sec = tp->sec;
    now->msec = tp->msec;
    now->at = ngx_current_msec;
    now->evictions = sum->evictions;
    now->looks = sh->looks;
    now->machine = sh->sum;
    now->peak = sh->interval_peak;
    now->queue_peak = sh->interval_queue_peak;
    now->under_way_peak = sh->interval_under_way_peak;
    now->fallback = sum->fallback;

    for (i = 0; i < NGX_SF_PG_OUTCOMES; i++) {
        now->errors[i] = sum->errors[i];
    }

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        now->queue[i] = 0;

        for (lane = 0; lane < NGX_SF_PG_LANES; lane++) {
            now->queue[i] += sum->queue[lane].bucket[i];
        }
    }

    ngx_sf_sample_endpoints(metrics, sum, tick, now);
}


/* what a user's row takes is no request of its own */

static void
ngx_sf_sample_endpoints(ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t tick, ngx_sf_past_t *now)
{
    ngx_uint_t              i;
    ngx_sf_past_endpoint_t  one;

    ngx_memzero(&now->total, sizeof(ngx_sf_past_endpoint_t));

    for (i = 0; i < metrics->sh->room.endpoints; i++) {
        ngx_sf_sample_place(metrics, sum, tick, i, &one);

        if (i != NGX_SF_METRICS_PRINCIPAL) {
            ngx_sf_sample_add_up(&now->total, &one);
        }

        if (now->endpoints) {
            ngx_sf_sample_pack(&now->endpoints[i], &one);
        }
    }
}


void
ngx_sf_sample_place(ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t tick, ngx_uint_t place, ngx_sf_past_endpoint_t *now)
{
    const ngx_sf_endpoint_counts_t  *counts;

    counts = &sum->endpoints[place];

    now->requests = ngx_sf_metrics_requests(counts, &now->errors);
    now->queries = ngx_sf_histogram_count(&counts->query);
    now->sum = counts->duration.sum;
    now->query_sum = counts->query.sum;

    ngx_memcpy(now->cache, counts->cache, sizeof(now->cache));
    ngx_memcpy(now->bucket, counts->duration.bucket, sizeof(now->bucket));

    ngx_sf_metrics_span(metrics, place, tick, &now->span);
}


static void
ngx_sf_sample_add_up(ngx_sf_past_endpoint_t *total,
    const ngx_sf_past_endpoint_t *one)
{
    ngx_uint_t  i;

    total->requests += one->requests;
    total->errors += one->errors;
    total->queries += one->queries;
    total->sum += one->sum;
    total->query_sum += one->query_sum;

    for (i = 0; i < NGX_SF_CACHE_STATUSES; i++) {
        total->cache[i] += one->cache[i];
    }

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        total->bucket[i] += one->bucket[i];
    }

    ngx_sf_metrics_widen(&total->span, &one->span);
}


static void
ngx_sf_sample_pack(ngx_sf_past_place_t *past,
    const ngx_sf_past_endpoint_t *one)
{
    ngx_uint_t  i;

    past->requests = (uint32_t) one->requests;
    past->errors = (uint32_t) one->errors;
    past->queries = (uint32_t) one->queries;
    past->sum = one->sum;
    past->query_sum = one->query_sum;
    past->low = ngx_min(one->span.low, UINT32_MAX);
    past->high = ngx_min(one->span.high, UINT32_MAX);

    for (i = 0; i < NGX_SF_CACHE_STATUSES; i++) {
        past->cache[i] = (uint32_t) one->cache[i];
    }

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        past->bucket[i] = (uint32_t) one->bucket[i];
    }
}


void
ngx_sf_sample_then(ngx_sf_metrics_t *metrics, const ngx_sf_past_t *past,
    ngx_uint_t place, const ngx_sf_past_endpoint_t *now,
    ngx_sf_past_endpoint_t *then)
{
    ngx_uint_t                  i;
    const ngx_sf_past_place_t  *packed;

    ngx_memzero(then, sizeof(ngx_sf_past_endpoint_t));

    /* the start, or what another one has left there */

    if (past->endpoints == NULL
        || past->serial < metrics->sh->endpoints[place].since)
    {
        return;
    }

    packed = &past->endpoints[place];

    then->requests = ngx_sf_sample_unpack(packed->requests, now->requests);
    then->errors = ngx_sf_sample_unpack(packed->errors, now->errors);
    then->queries = ngx_sf_sample_unpack(packed->queries, now->queries);
    then->sum = packed->sum;
    then->query_sum = packed->query_sum;

    for (i = 0; i < NGX_SF_CACHE_STATUSES; i++) {
        then->cache[i] = ngx_sf_sample_unpack(packed->cache[i],
                                              now->cache[i]);
    }

    for (i = 0; i < NGX_SF_HISTOGRAM_BUCKETS; i++) {
        then->bucket[i] = ngx_sf_sample_unpack(packed->bucket[i],
                                               now->bucket[i]);
    }
}


/*
 * The number with these lower bits that is next to how it stands now; it is
 * greater where a worker that has died took some along.
 */

static uint64_t
ngx_sf_sample_unpack(uint32_t then, uint64_t now)
{
    return now - (uint64_t) (int64_t) (int32_t) ((uint32_t) now - then);
}


void
ngx_sf_sample_span(ngx_sf_metrics_t *metrics, const ngx_sf_past_t *since,
    ngx_uint_t place, ngx_sf_span_t *span)
{
    ngx_uint_t            i, n;
    ngx_sf_span_t         one;
    const ngx_sf_past_t  *past;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    n = sh->npasts;

    for (i = 1; i <= n && i < NGX_SF_METRICS_PASTS; i++) {
        past = &sh->pasts[(n - i) % NGX_SF_METRICS_PASTS];

        if (past == since || past->serial < sh->endpoints[place].since) {
            break;
        }

        one.low = past->endpoints[place].low;
        one.high = past->endpoints[place].high;

        ngx_sf_metrics_widen(span, &one);
    }
}


const ngx_sf_past_t *
ngx_sf_sample_past(ngx_sf_metrics_t *metrics, time_t seconds)
{
    ngx_uint_t            i, n;
    ngx_msec_int_t        ms;
    const ngx_sf_past_t  *past;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    n = sh->npasts;
    ms = (ngx_msec_int_t) seconds * 1000;

    if (seconds == 0) {
        return &sh->start;
    }

    /* the oldest one may be written to at this moment */

    for (i = 1; i <= n && i < NGX_SF_METRICS_PASTS; i++) {
        past = &sh->pasts[(n - i) % NGX_SF_METRICS_PASTS];

        if ((ngx_msec_int_t) (ngx_current_msec - past->at) >= ms) {
            return past;
        }
    }

    /* the oldest one, if there was a longer time than is kept */

    return n < NGX_SF_METRICS_PASTS
           ? &sh->start
           : &sh->pasts[(n - i + 1) % NGX_SF_METRICS_PASTS];
}


void
ngx_sf_sample_load(ngx_sf_metrics_t *metrics, const ngx_sf_past_t *since,
    ngx_sf_sample_load_t *load)
{
    ngx_uint_t            i, n;
    const ngx_sf_past_t  *past;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    n = sh->looks - since->looks;

    load->average.cpu = n ? (sh->sum.cpu - since->machine.cpu) / n : 0;
    load->average.memory = n ? (sh->sum.memory - since->machine.memory) / n
                             : 0;
    load->average.nginx_cpu = n ? (sh->sum.nginx_cpu
                                   - since->machine.nginx_cpu) / n : 0;
    load->average.nginx_memory = n ? (sh->sum.nginx_memory
                                      - since->machine.nginx_memory) / n : 0;

    if (since == &sh->start) {
        load->peak = sh->peak;
        load->queue_peak = sh->queue_peak;
        return;
    }

    load->peak = sh->interval_peak;
    load->queue_peak = sh->interval_queue_peak;
    n = sh->npasts;

    for (i = 1; i <= n && i < NGX_SF_METRICS_PASTS; i++) {
        past = &sh->pasts[(n - i) % NGX_SF_METRICS_PASTS];

        if (past == since) {
            break;
        }

        ngx_sf_sample_peak(&load->peak, &past->peak);
        load->queue_peak = ngx_max(load->queue_peak, past->queue_peak);
    }
}


void
ngx_sf_sample_fallback(ngx_sf_metrics_t *metrics,
    ngx_sf_sample_fallback_t *minute)
{
    uint64_t                         requests, errors, before;
    ngx_sf_fallback_counts_t         now;
    const ngx_sf_fallback_counts_t  *then;

    ngx_sf_metrics_fallback_sum(metrics, &now);
    then = &ngx_sf_sample_past(metrics, NGX_SF_SAMPLE_MINUTE)->fallback;

    requests = ngx_sf_metrics_fallbacks(&now, &errors);

    minute->requests = ngx_sf_metrics_since(requests,
                               ngx_sf_metrics_fallbacks(then, &before));
    minute->errors = ngx_sf_metrics_since(errors, before);
    minute->failed = ngx_sf_metrics_since(now.failed, then->failed);

    minute->away = minute->failed >= NGX_SF_SAMPLE_FAILED
                   && minute->failed * 2 >= minute->requests;
}


static ngx_int_t
ngx_sf_sample_read(const char *path, char *buf, size_t size)
{
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, size - 1);
    (void) ngx_close_file(fd);

    if (n <= 0) {
        return NGX_ERROR;
    }

    buf[n] = '\0';

    return NGX_OK;
}

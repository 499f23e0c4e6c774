
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Counting, without a lock: each worker adds to its own slot.
 *
 * A sum may be taken while workers count, and shows each counter as it was at
 * some moment.  When a worker leaves, or somebody sees that it has died, its
 * counters go over to those that are kept, under the mutex.  A slot is zeroed
 * when it is claimed.
 */


#include "ngx_sf_metrics.h"


static void ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_slot_t *slot);
static void ngx_sf_metrics_add(void *sum, const void *counts, size_t size);
static void ngx_sf_metrics_merge(ngx_sf_spans_t *spans,
    const ngx_sf_spans_t *other);
static ngx_uint_t ngx_sf_metrics_used(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_name_t *name);
static ngx_uint_t *ngx_sf_metrics_use(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_slot_t *slot, const ngx_sf_metrics_name_t *name);
static void ngx_sf_metrics_forget(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_name_t *name);
static void ngx_sf_metrics_clean(u_char *text, size_t size,
    const ngx_str_t *name);
static void ngx_sf_metrics_take(ngx_sf_span_t *span,
    const ngx_sf_spans_t *spans, ngx_uint_t tick);
static ngx_uint_t ngx_sf_metrics_dead(ngx_pid_t pid);
static ngx_int_t ngx_sf_metrics_name(ngx_sf_metrics_t *metrics,
    ngx_sf_metrics_name_t *names, ngx_uint_t n, ngx_uint_t upstream,
    const ngx_str_t *name);
static ngx_int_t ngx_sf_metrics_find(const ngx_sf_metrics_name_t *names,
    ngx_uint_t n, ngx_uint_t upstream, const u_char *text);


const char *const  ngx_sf_metrics_methods[NGX_SF_METRICS_METHODS] = {
    "GET", "HEAD", "OPTIONS", "other"
};

const ngx_uint_t  ngx_sf_metrics_statuses[NGX_SF_METRICS_STATUSES] = {
    200, 304, 400, 401, 403, 404, 405, 499, 500, 503, 504,
    201, 202, 204, 206, 408, 409, 412, 416, 429, 0
};

/* a client that has left before it got anything is a class of its own */

const char *const  ngx_sf_metrics_classes[NGX_SF_METRICS_CLASSES] = {
    "1xx", "2xx", "3xx", "4xx", "5xx", "499"
};

const char *const  ngx_sf_metrics_lanes[NGX_SF_PG_LANES] = {
    "read", "totals", "heavy", "write", "ping", "listen"
};

const char *const  ngx_sf_metrics_outcomes[NGX_SF_PG_OUTCOMES] = {
    "ok", "busy", "expired", "unavailable", "timeout", "denied", "invalid",
    "conflict", "broken", "failed", "quota"
};

const char *const  ngx_sf_metrics_cache[NGX_SF_CACHE_STATUSES] = {
    "none", "hit", "miss", "expired", "updating", "stale", "bypass"
};


size_t
ngx_sf_metrics_size(void)
{
    size_t  size;

    /* the slab pool's own pages, one descriptor for each page and a spare */

    size = sizeof(ngx_sf_metrics_sh_t);
    size += size / ngx_pagesize * sizeof(ngx_slab_page_t) + 8 * ngx_pagesize;

    return ngx_align(size, ngx_pagesize);
}


uint64_t
ngx_sf_metrics_layout(void)
{
    uint64_t  layout;

    layout = NGX_SF_METRICS_LAYOUT;
    layout = layout * 31 + sizeof(ngx_sf_metrics_sh_t);
    layout = layout * 31 + sizeof(ngx_sf_counts_t);
    layout = layout * 31 + sizeof(ngx_sf_metrics_slot_t);
    layout = layout * 31 + sizeof(ngx_sf_past_t);

    return layout;
}


ngx_int_t
ngx_sf_metrics_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_sf_metrics_t  *old = data;

    ngx_uint_t            i;
    ngx_time_t           *tp;
    ngx_sf_metrics_t     *metrics;
    ngx_sf_metrics_sh_t  *sh;

    metrics = shm_zone->data;
    metrics->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (old || shm_zone->shm.exists) {
        metrics->sh = metrics->shpool->data;
        return NGX_OK;
    }

    sh = ngx_slab_alloc(metrics->shpool, sizeof(ngx_sf_metrics_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    /* slots are zeroed when they are claimed, pasts are written as a whole */

    ngx_memzero(sh, offsetof(ngx_sf_metrics_sh_t, pasts));

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        sh->slots[i].pid = 0;
    }

    tp = ngx_timeofday();

    sh->second = ngx_current_msec;
    sh->tick = 1;

    sh->start.sec = tp->sec;
    sh->start.msec = tp->msec;
    sh->start.at = ngx_current_msec;
    sh->layout = metrics->layout;

    metrics->shpool->data = sh;
    metrics->sh = sh;

    return NGX_OK;
}


ngx_uint_t
ngx_sf_metrics_differs(ngx_shm_zone_t *shm_zone, uint64_t layout)
{
    ngx_slab_pool_t      *shpool;
    ngx_sf_metrics_sh_t  *sh;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    sh = shpool->data;

    return sh == NULL || sh->layout != layout;
}


ngx_int_t
ngx_sf_metrics_enter(ngx_sf_metrics_t *metrics, ngx_log_t *log)
{
    ngx_uint_t              i;
    ngx_sf_metrics_slot_t  *slot;

    ngx_sf_metrics_bury(metrics);

    slot = NULL;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        if (metrics->sh->slots[i].pid == 0) {
            slot = &metrics->sh->slots[i];
            ngx_memzero(slot, sizeof(ngx_sf_metrics_slot_t));
            slot->pid = ngx_pid;
            break;
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "softfactory: more than %d workers, this one does not "
                      "show in the metrics", NGX_SF_METRICS_SLOTS);

        slot = ngx_calloc(sizeof(ngx_sf_metrics_slot_t), log);
        if (slot == NULL) {
            return NGX_ERROR;
        }
    }

    metrics->slot = slot;

    return NGX_OK;
}


void
ngx_sf_metrics_leave(ngx_sf_metrics_t *metrics)
{
    ngx_sf_metrics_slot_t  *slot;

    slot = metrics->slot;
    metrics->slot = NULL;

    if (slot == NULL) {
        return;
    }

    if (slot->pid == 0) {
        ngx_free(slot);
        return;
    }

    ngx_shmtx_lock(&metrics->shpool->mutex);
    ngx_sf_metrics_keep(metrics->sh, slot);
    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


void
ngx_sf_metrics_bury(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t              i;
    ngx_sf_metrics_slot_t  *slot;

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        slot = &metrics->sh->slots[i];

        if (slot->pid == 0 || slot == metrics->slot
            || !ngx_sf_metrics_dead(slot->pid))
        {
            continue;
        }

        ngx_shmtx_lock(&metrics->shpool->mutex);

        if (slot->pid && ngx_sf_metrics_dead(slot->pid)) {
            ngx_sf_metrics_keep(metrics->sh, slot);
        }

        ngx_shmtx_unlock(&metrics->shpool->mutex);
    }
}


/* a worker that has our pid has died before us */

static ngx_uint_t
ngx_sf_metrics_dead(ngx_pid_t pid)
{
    return pid == ngx_pid || !ngx_sf_alive(pid);
}


/* whoever dies in the middle of this loses some, and counts none twice */

static void
ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_slot_t *slot)
{
    ngx_uint_t  i;

    slot->pid = 0;

    ngx_sf_metrics_add(&sh->gone, &slot->counts, sizeof(ngx_sf_counts_t));

    for (i = 0; i < NGX_SF_METRICS_ENDPOINTS; i++) {
        ngx_sf_metrics_merge(&sh->gone_spans[i], &slot->spans[i]);
    }
}


/* an interval that is over gives way to a later one */

static void
ngx_sf_metrics_merge(ngx_sf_spans_t *spans, const ngx_sf_spans_t *other)
{
    ngx_uint_t  i;

    ngx_sf_metrics_widen(&spans->all, &other->all);

    for (i = 0; i < 2; i++) {
        if (spans->tick[i] < other->tick[i]) {
            spans->tick[i] = other->tick[i];
            spans->span[i] = other->span[i];

        } else if (spans->tick[i] == other->tick[i]) {
            ngx_sf_metrics_widen(&spans->span[i], &other->span[i]);
        }
    }
}


static void
ngx_sf_metrics_add(void *sum, const void *counts, size_t size)
{
    uint64_t        *to;
    ngx_uint_t       i;
    const uint64_t  *from;

    to = sum;
    from = counts;

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}


void
ngx_sf_metrics_widen(ngx_sf_span_t *span, const ngx_sf_span_t *other)
{
    if (other->low && (span->low == 0 || other->low < span->low)) {
        span->low = other->low;
    }

    span->high = ngx_max(span->high, other->high);
}


void
ngx_sf_metrics_request(ngx_sf_metrics_t *metrics, ngx_uint_t endpoint,
    ngx_uint_t method, ngx_uint_t status, ngx_uint_t cache, uint64_t us)
{
    ngx_uint_t                 i, tick;
    ngx_sf_span_t              span;
    ngx_sf_spans_t            *spans;
    ngx_sf_endpoint_counts_t  *counts;

    counts = &metrics->slot->counts.endpoints[endpoint];

    for (i = 0; ngx_sf_metrics_statuses[i]; i++) {
        if (ngx_sf_metrics_statuses[i] == status) {
            break;
        }
    }

    counts->requests[method][i]++;
    counts->cache[cache]++;

    ngx_sf_histogram_add(&counts->duration, us);

    span.low = ngx_max(us, 1);
    span.high = span.low;

    spans = &metrics->slot->spans[endpoint];
    tick = metrics->sh->tick;

    ngx_sf_metrics_widen(&spans->all, &span);

    if (spans->tick[tick & 1] != tick) {
        spans->span[tick & 1] = span;
        spans->tick[tick & 1] = tick;

    } else {
        ngx_sf_metrics_widen(&spans->span[tick & 1], &span);
    }
}


void
ngx_sf_metrics_fallback(ngx_sf_metrics_t *metrics, ngx_uint_t status,
    ngx_uint_t failed, uint64_t us)
{
    ngx_uint_t                 class;
    ngx_sf_fallback_counts_t  *counts;

    counts = &metrics->slot->counts.fallback;
    class = status / 100 - 1;

    if (class >= NGX_SF_METRICS_CLASSES - 1 || status == 499) {
        class = NGX_SF_METRICS_CLASSES - 1;
    }

    ngx_sf_histogram_add(&counts->duration[class], us);
    counts->failed += failed;
}


ngx_int_t
ngx_sf_metrics_upstream(ngx_sf_metrics_t *metrics, const ngx_str_t *name)
{
    return ngx_sf_metrics_name(metrics, metrics->sh->upstreams,
                               NGX_SF_METRICS_UPSTREAMS, 0, name);
}


ngx_int_t
ngx_sf_metrics_server(ngx_sf_metrics_t *metrics, ngx_uint_t upstream,
    const ngx_str_t *name)
{
    return ngx_sf_metrics_name(metrics, metrics->sh->servers,
                               NGX_SF_METRICS_SERVERS, upstream, name);
}


static ngx_int_t
ngx_sf_metrics_name(ngx_sf_metrics_t *metrics, ngx_sf_metrics_name_t *names,
    ngx_uint_t n, ngx_uint_t upstream, const ngx_str_t *name)
{
    u_char      text[NGX_SF_METRICS_NAME];
    ngx_int_t   found;
    ngx_uint_t  i;

    ngx_sf_metrics_clean(text, sizeof(text), name);

    ngx_shmtx_lock(&metrics->shpool->mutex);

    found = ngx_sf_metrics_find(names, n, upstream, text);

    /* a place that is free, or that no worker uses any more */

    for (i = 0; found == NGX_ERROR && i < n; i++) {
        if (names[i].name[0] == '\0') {
            found = i;
        }
    }

    for (i = 0; found == NGX_ERROR && i < n; i++) {
        if (!ngx_sf_metrics_used(metrics->sh, &names[i])) {
            ngx_sf_metrics_forget(metrics->sh, &names[i]);
            found = i;
        }
    }

    if (found != NGX_ERROR) {
        names[found].upstream = upstream;
        ngx_memcpy(names[found].name, text, sizeof(text));

        /* at once, as the next name must not take it for a free one */

        *ngx_sf_metrics_use(metrics->sh, metrics->slot, &names[found]) = 1;
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return found;
}


static ngx_int_t
ngx_sf_metrics_find(const ngx_sf_metrics_name_t *names, ngx_uint_t n,
    ngx_uint_t upstream, const u_char *text)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (names[i].upstream == upstream
            && ngx_strcmp(names[i].name, text) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


/* plain text, as Prometheus and JSON take nothing but UTF-8 */

static void
ngx_sf_metrics_clean(u_char *text, size_t size, const ngx_str_t *name)
{
    size_t  i;

    for (i = 0; i < name->len && i < size - 1; i++) {
        text[i] = name->data[i] >= ' ' && name->data[i] < 0x7f
                  ? name->data[i] : '?';
    }

    ngx_memzero(text + i, size - i);
}


static ngx_uint_t
ngx_sf_metrics_used(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_name_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        if (sh->slots[i].pid && *ngx_sf_metrics_use(sh, &sh->slots[i], name))
        {
            return 1;
        }
    }

    return 0;
}


/* where a worker says that it uses a name */

static ngx_uint_t *
ngx_sf_metrics_use(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_slot_t *slot,
    const ngx_sf_metrics_name_t *name)
{
    if (name >= sh->servers && name < sh->servers + NGX_SF_METRICS_SERVERS) {
        return &slot->servers[name - sh->servers].used;
    }

    return &slot->upstreams[name - sh->upstreams].used;
}


/* an upstream takes its servers along, and what was counted of it */

static void
ngx_sf_metrics_forget(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_name_t *name)
{
    ngx_uint_t  i, upstream;

    if (name < sh->upstreams
        || name >= sh->upstreams + NGX_SF_METRICS_UPSTREAMS)
    {
        return;
    }

    upstream = name - sh->upstreams;

    ngx_memzero(sh->gone.disconnects[upstream],
                sizeof(sh->gone.disconnects[upstream]));

    for (i = 0; i < NGX_SF_METRICS_SERVERS; i++) {
        if (sh->servers[i].upstream == upstream) {
            ngx_memzero(&sh->servers[i], sizeof(ngx_sf_metrics_name_t));
        }
    }
}


void
ngx_sf_metrics_sum(ngx_sf_metrics_t *metrics, ngx_sf_counts_t *sum)
{
    ngx_uint_t            i;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    ngx_memcpy(sum, &sh->gone, sizeof(ngx_sf_counts_t));

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_add(sum, &sh->slots[i].counts,
                               sizeof(ngx_sf_counts_t));
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


void
ngx_sf_metrics_fallback_sum(ngx_sf_metrics_t *metrics,
    ngx_sf_fallback_counts_t *sum)
{
    ngx_uint_t            i;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    *sum = sh->gone.fallback;

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_add(sum, &sh->slots[i].counts.fallback,
                               sizeof(ngx_sf_fallback_counts_t));
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


void
ngx_sf_metrics_span(ngx_sf_metrics_t *metrics, ngx_uint_t endpoint,
    ngx_uint_t tick, ngx_sf_span_t *span)
{
    ngx_uint_t            i;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    span->low = 0;
    span->high = 0;

    ngx_sf_metrics_take(span, &sh->gone_spans[endpoint], tick);

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_take(span, &sh->slots[i].spans[endpoint], tick);
        }
    }
}


static void
ngx_sf_metrics_take(ngx_sf_span_t *span, const ngx_sf_spans_t *spans,
    ngx_uint_t tick)
{
    if (tick == 0) {
        ngx_sf_metrics_widen(span, &spans->all);

    } else if (spans->tick[tick & 1] == tick) {
        ngx_sf_metrics_widen(span, &spans->span[tick & 1]);
    }
}


uint64_t
ngx_sf_metrics_requests(const ngx_sf_endpoint_counts_t *counts,
    uint64_t *errors)
{
    uint64_t    n;
    ngx_uint_t  i, m;

    n = 0;
    *errors = 0;

    for (m = 0; m < NGX_SF_METRICS_METHODS; m++) {
        for (i = 0; i < NGX_SF_METRICS_STATUSES; i++) {
            n += counts->requests[m][i];

            if (ngx_sf_metrics_statuses[i] >= 500) {
                *errors += counts->requests[m][i];
            }
        }
    }

    return n;
}


uint64_t
ngx_sf_metrics_fallbacks(const ngx_sf_fallback_counts_t *counts,
    uint64_t *errors)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;
    *errors = 0;

    for (i = 0; i < NGX_SF_METRICS_CLASSES; i++) {
        n += ngx_sf_histogram_count(&counts->duration[i]);

        if (ngx_sf_metrics_classes[i][0] == '5') {
            *errors += ngx_sf_histogram_count(&counts->duration[i]);
        }
    }

    return n;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Counting, without a lock: each worker adds to its own slot.
 *
 * A sum may be taken while workers count, and shows each counter as it was at
 * some moment.  What a worker has counted is never lost: when it leaves, or
 * somebody sees that it has died, its counters go over to those that are
 * kept, under the mutex, and its slot is zeroed.
 */


#include "ngx_sf_metrics.h"


static void ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_slot_t *slot);
static void ngx_sf_metrics_add(ngx_sf_counts_t *sum,
    const ngx_sf_counts_t *counts);
static void ngx_sf_metrics_widen(ngx_sf_span_t *span,
    const ngx_sf_span_t *other);
static ngx_uint_t ngx_sf_metrics_dead(ngx_pid_t pid);
static ngx_int_t ngx_sf_metrics_name(ngx_sf_metrics_t *metrics,
    ngx_sf_metrics_name_t *names, ngx_uint_t n, ngx_uint_t upstream,
    const ngx_str_t *name);


const char *const  ngx_sf_metrics_methods[] = {
    "GET", "HEAD", "OPTIONS", "other"
};

const ngx_uint_t  ngx_sf_metrics_statuses[] = {
    200, 304, 400, 401, 403, 404, 405, 499, 500, 503, 504,
    201, 202, 204, 206, 408, 409, 413, 416, 0
};

const char *const  ngx_sf_metrics_lanes[] = {
    "read", "heavy", "write", "listen"
};

const char *const  ngx_sf_metrics_outcomes[] = {
    "ok", "busy", "expired", "unavailable", "timeout", "denied", "invalid",
    "conflict", "broken", "failed"
};

const char *const  ngx_sf_metrics_cache[] = {
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

    layout = sizeof(ngx_sf_metrics_sh_t);
    layout = layout * 31 + sizeof(ngx_sf_counts_t);
    layout = layout * 31 + sizeof(ngx_sf_metrics_slot_t);
    layout = layout * 31 + sizeof(ngx_sf_past_t);

    return layout;
}


ngx_int_t
ngx_sf_metrics_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_sf_metrics_t  *old = data;

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

    for (data = sh->slots;
         data < (void *) &sh->slots[NGX_SF_METRICS_SLOTS];
         data = (ngx_sf_metrics_slot_t *) data + 1)
    {
        ((ngx_sf_metrics_slot_t *) data)->pid = 0;
    }

    tp = ngx_timeofday();

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
    return pid == ngx_pid || (kill(pid, 0) != 0 && ngx_errno == ESRCH);
}


static void
ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_slot_t *slot)
{
    ngx_uint_t  i;

    ngx_sf_metrics_add(&sh->gone, &slot->counts);

    for (i = 0; i < NGX_SF_METRICS_ENDPOINTS; i++) {
        ngx_sf_metrics_widen(&sh->gone_spans[i], &slot->spans[i]);
    }

    slot->pid = 0;
}


static void
ngx_sf_metrics_add(ngx_sf_counts_t *sum, const ngx_sf_counts_t *counts)
{
    ngx_uint_t         i, *to;
    const ngx_uint_t  *from;

    to = (ngx_uint_t *) sum;
    from = (const ngx_uint_t *) counts;

    for (i = 0; i < sizeof(ngx_sf_counts_t) / sizeof(ngx_uint_t); i++) {
        to[i] += from[i];
    }
}


static void
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
    ngx_sf_span_t             *span;
    ngx_sf_endpoint_counts_t  *counts;

    counts = &metrics->slot->counts.endpoints[endpoint];

    for (i = 0; ngx_sf_metrics_statuses[i]; i++) {
        if (ngx_sf_metrics_statuses[i] == status) {
            break;
        }
    }

    counts->requests[method][i]++;
    counts->cache[cache]++;

    us = ngx_max(us, 1);
    ngx_sf_histogram_add(&counts->duration, us);

    span = &metrics->slot->spans[endpoint];
    tick = metrics->sh->tick;

    if (span->tick != tick) {
        span->tick_low = us;
        span->tick_high = us;
        span->tick = tick;

        span->low = span->low ? ngx_min(span->low, us) : us;
        span->high = ngx_max(span->high, us);
        return;
    }

    if (us < span->tick_low || span->tick_low == 0) {
        span->tick_low = us;
        span->low = span->low ? ngx_min(span->low, us) : us;
    }

    if (us > span->tick_high) {
        span->tick_high = us;
        span->high = ngx_max(span->high, us);
    }
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

    ngx_cpystrn(text, name->data, ngx_min(name->len + 1, sizeof(text)));
    found = NGX_ERROR;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    for (i = 0; i < n; i++) {
        if (names[i].name[0] == '\0') {
            names[i].upstream = upstream;
            ngx_memcpy(names[i].name, text, sizeof(text));
        }

        if (names[i].upstream == upstream
            && ngx_strcmp(names[i].name, text) == 0)
        {
            found = i;
            break;
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return found;
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
            ngx_sf_metrics_add(sum, &sh->slots[i].counts);
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


void
ngx_sf_metrics_span(ngx_sf_metrics_t *metrics, ngx_uint_t endpoint,
    ngx_sf_span_t *span)
{
    ngx_uint_t            i;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    *span = sh->gone_spans[endpoint];

    for (i = 0; i < NGX_SF_METRICS_SLOTS; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_widen(span, &sh->slots[i].spans[endpoint]);
        }
    }
}


ngx_uint_t
ngx_sf_metrics_requests(const ngx_sf_endpoint_counts_t *counts,
    ngx_uint_t *errors)
{
    ngx_uint_t  i, m, n;

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

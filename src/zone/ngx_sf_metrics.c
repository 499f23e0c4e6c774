
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Counting, without a lock: each worker adds to its own slot.
 *
 * A sum may be taken while workers count, and shows each counter as it was at
 * some moment.  When a worker leaves, or another one sees that it has died, its
 * counters go over to those that are kept, under the mutex.  A slot is zeroed
 * when it is claimed.
 *
 * All of the shared memory is one block: its head, and the arrays, whose sizes
 * are those of sh->room.
 */


#include "ngx_sf_metrics.h"


static void ngx_sf_metrics_capacity(ngx_sf_metrics_t *metrics,
    const ngx_sf_metrics_need_t *need);
static ngx_uint_t ngx_sf_metrics_power(ngx_uint_t n, ngx_uint_t min);
static uint64_t ngx_sf_metrics_layout(void);
static ngx_uint_t ngx_sf_metrics_lacking(ngx_sf_metrics_t *metrics,
    ngx_sf_metrics_sh_t *sh);
static size_t ngx_sf_metrics_size(const ngx_sf_metrics_room_t *room);
static size_t ngx_sf_metrics_block_size(const ngx_sf_metrics_room_t *room);
static size_t ngx_sf_metrics_counts_size(const ngx_sf_metrics_room_t *room);
static size_t ngx_sf_metrics_slot_size(const ngx_sf_metrics_room_t *room);
static void ngx_sf_metrics_lay(ngx_sf_metrics_sh_t *sh);
static u_char *ngx_sf_metrics_lay_counts(ngx_sf_counts_t *counts,
    const ngx_sf_metrics_room_t *room, u_char *p);
static u_char *ngx_sf_metrics_lay_slot(ngx_sf_metrics_slot_t *slot,
    const ngx_sf_metrics_room_t *room, u_char *p);
static void ngx_sf_metrics_start(ngx_sf_metrics_sh_t *sh);
static void ngx_sf_metrics_inherit(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_sh_t *old);
static void ngx_sf_metrics_inherit_pasts(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_sh_t *old);

static ngx_sf_metrics_slot_t *ngx_sf_metrics_claim(ngx_sf_metrics_t *metrics);
static ngx_sf_metrics_slot_t *ngx_sf_metrics_alone(
    const ngx_sf_metrics_room_t *room, ngx_log_t *log);
static ngx_uint_t ngx_sf_metrics_settle(ngx_sf_metrics_t *metrics);
static ngx_uint_t ngx_sf_metrics_endpoint(const ngx_sf_metrics_sh_t *sh,
    const ngx_str_t *name);
static ngx_uint_t ngx_sf_metrics_vacant(ngx_sf_metrics_t *metrics);
static ngx_uint_t ngx_sf_metrics_inhabited(const ngx_sf_metrics_sh_t *sh,
    ngx_uint_t place);
static void ngx_sf_metrics_evict(ngx_sf_metrics_sh_t *sh, ngx_uint_t place);
static void ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_slot_t *slot);
static void ngx_sf_metrics_gather(ngx_sf_counts_t *sum,
    const ngx_sf_counts_t *counts, const ngx_sf_metrics_room_t *room);
static void ngx_sf_metrics_add(void *sum, const void *counts, size_t size);
static void ngx_sf_metrics_move(void *sum, const void *counts, void *told,
    size_t size);
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
static ngx_int_t ngx_sf_metrics_name(ngx_sf_metrics_t *metrics,
    ngx_sf_metrics_name_t *names, ngx_uint_t n, ngx_uint_t upstream,
    const ngx_str_t *name);
static ngx_int_t ngx_sf_metrics_find(const ngx_sf_metrics_name_t *names,
    ngx_uint_t n, ngx_uint_t upstream, const u_char *text);


/* bytes of the words of which all are added up */

#define NGX_SF_METRICS_WORDS  offsetof(ngx_sf_counts_t, endpoints)


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
ngx_sf_metrics_plan(ngx_sf_metrics_t *metrics,
    const ngx_sf_metrics_need_t *need, const ngx_shm_zone_t *old,
    ngx_uint_t *grow)
{
    ngx_uint_t              lacking;
    ngx_slab_pool_t        *shpool;
    ngx_sf_metrics_sh_t    *sh;
    ngx_sf_metrics_room_t  *room;

    room = &metrics->room;

    ngx_sf_metrics_capacity(metrics, need);

    shpool = old ? (ngx_slab_pool_t *) old->shm.addr : NULL;
    sh = shpool ? shpool->data : NULL;

    /* what other code has counted cannot be read */

    if (sh == NULL || sh->layout != ngx_sf_metrics_layout()) {
        *grow = old != NULL;
        return ngx_sf_metrics_size(room);
    }

    ngx_shmtx_lock(&shpool->mutex);
    lacking = ngx_sf_metrics_lacking(metrics, sh);
    ngx_shmtx_unlock(&shpool->mutex);

    *grow = lacking || sh->room.slots < room->slots
            || sh->room.upstreams < room->upstreams
            || sh->room.servers < room->servers;

    if (*grow == 0) {
        *room = sh->room;
        return old->shm.size;
    }

    /* all places stay where they are, and more come behind them */

    room->endpoints = lacking
                   ? ngx_sf_metrics_power(sh->room.endpoints + lacking - 1, 0)
                   : sh->room.endpoints;
    room->slots = ngx_max(room->slots, sh->room.slots);
    room->upstreams = ngx_max(room->upstreams, sh->room.upstreams);
    room->servers = ngx_max(room->servers, sh->room.servers);

    metrics->from = shpool;

    return ngx_sf_metrics_size(room);
}


/* old workers and new ones live beside each other, each with names of theirs */

static void
ngx_sf_metrics_capacity(ngx_sf_metrics_t *metrics,
    const ngx_sf_metrics_need_t *need)
{
    ngx_uint_t              slots;
    ngx_sf_metrics_room_t  *room;

    room = &metrics->room;

    slots = need->workers ? 4 * ngx_min(need->workers, NGX_SF_SLOTS)
                          : NGX_SF_SLOTS;
    slots = ngx_sf_metrics_power(slots - 1, NGX_SF_METRICS_SLOTS_MIN);

    room->endpoints = ngx_sf_metrics_power(metrics->nendpoints
                                           + NGX_SF_METRICS_NAMED, 0);
    room->slots = ngx_min(slots, NGX_SF_SLOTS);
    room->upstreams = ngx_sf_metrics_power(2 * need->upstreams - 1,
                                           NGX_SF_METRICS_UPSTREAMS_MIN);
    room->servers = ngx_sf_metrics_power(2 * need->servers - 1,
                                         NGX_SF_METRICS_SERVERS_MIN);
}


/* the first power of two that is greater than n, and not less than min */

static ngx_uint_t
ngx_sf_metrics_power(ngx_uint_t n, ngx_uint_t min)
{
    ngx_uint_t  power;

    for (power = 1; power <= n || power < min; power *= 2) { /* void */ }

    return power;
}


/* endpoints for which there is no place, while workers use the others */

static ngx_uint_t
ngx_sf_metrics_lacking(ngx_sf_metrics_t *metrics, ngx_sf_metrics_sh_t *sh)
{
    ngx_int_t   lacking;
    ngx_uint_t  i, place;

    lacking = 0;

    for (i = 0; i < metrics->nendpoints; i++) {
        place = ngx_sf_metrics_endpoint(sh, &metrics->names[i]);

        /* one that returns takes the place that it has left */

        lacking += place == NGX_SF_METRICS_UNKNOWN
                   || !ngx_sf_metrics_inhabited(sh, place);
    }

    for (i = NGX_SF_METRICS_NAMED; i < sh->room.endpoints; i++) {
        lacking -= !ngx_sf_metrics_inhabited(sh, i);
    }

    return ngx_max(lacking, 0);
}


static uint64_t
ngx_sf_metrics_layout(void)
{
    uint64_t  layout;

    layout = NGX_SF_METRICS_LAYOUT;
    layout = layout * 31 + sizeof(ngx_sf_metrics_sh_t);
    layout = layout * 31 + sizeof(ngx_sf_metrics_endpoint_t);
    layout = layout * 31 + sizeof(ngx_sf_endpoint_counts_t);
    layout = layout * 31 + sizeof(ngx_sf_counts_t);
    layout = layout * 31 + sizeof(ngx_sf_closed_t);
    layout = layout * 31 + sizeof(ngx_sf_server_gauge_t);
    layout = layout * 31 + sizeof(ngx_sf_metrics_slot_t);
    layout = layout * 31 + sizeof(ngx_sf_past_t);
    layout = layout * 31 + sizeof(ngx_sf_past_place_t);

    return layout;
}


/* the slab pool's own pages, one descriptor for each page and a spare */

static size_t
ngx_sf_metrics_size(const ngx_sf_metrics_room_t *room)
{
    size_t  size;

    size = ngx_sf_metrics_block_size(room);
    size += size / ngx_pagesize * sizeof(ngx_slab_page_t) + 8 * ngx_pagesize;

    return ngx_align(size, ngx_pagesize);
}


static size_t
ngx_sf_metrics_block_size(const ngx_sf_metrics_room_t *room)
{
    return sizeof(ngx_sf_metrics_sh_t)
           + room->endpoints * sizeof(ngx_sf_metrics_endpoint_t)
           + (room->upstreams + room->servers) * sizeof(ngx_sf_metrics_name_t)
           + ngx_sf_metrics_counts_size(room)
           + NGX_SF_METRICS_PASTS
             * (sizeof(ngx_sf_past_t)
                + room->endpoints * sizeof(ngx_sf_past_place_t))
           + room->slots * (sizeof(ngx_sf_metrics_slot_t)
                            + ngx_sf_metrics_slot_size(room));
}


static size_t
ngx_sf_metrics_counts_size(const ngx_sf_metrics_room_t *room)
{
    return room->endpoints * (sizeof(ngx_sf_endpoint_counts_t)
                              + sizeof(ngx_sf_spans_t))
           + room->upstreams * sizeof(ngx_sf_closed_t);
}


/* the arrays of a slot */

static size_t
ngx_sf_metrics_slot_size(const ngx_sf_metrics_room_t *room)
{
    return ngx_sf_metrics_counts_size(room)
           + room->servers * sizeof(ngx_sf_server_gauge_t)
           + room->upstreams * sizeof(ngx_sf_upstream_gauge_t)
           + ngx_align(room->endpoints, sizeof(uint64_t));
}


static void
ngx_sf_metrics_lay(ngx_sf_metrics_sh_t *sh)
{
    u_char                       *p;
    ngx_uint_t                    i;
    const ngx_sf_metrics_room_t  *room;

    room = &sh->room;
    p = (u_char *) (sh + 1);

    sh->endpoints = (ngx_sf_metrics_endpoint_t *) p;
    p = (u_char *) (sh->endpoints + room->endpoints);

    sh->upstreams = (ngx_sf_metrics_name_t *) p;
    p = (u_char *) (sh->upstreams + room->upstreams);

    sh->servers = (ngx_sf_metrics_name_t *) p;
    p = (u_char *) (sh->servers + room->servers);

    p = ngx_sf_metrics_lay_counts(&sh->gone, room, p);

    sh->pasts = (ngx_sf_past_t *) p;
    p = (u_char *) (sh->pasts + NGX_SF_METRICS_PASTS);

    for (i = 0; i < NGX_SF_METRICS_PASTS; i++) {
        sh->pasts[i].endpoints = (ngx_sf_past_place_t *) p;
        p = (u_char *) (sh->pasts[i].endpoints + room->endpoints);
    }

    sh->slots = (ngx_sf_metrics_slot_t *) p;
    p = (u_char *) (sh->slots + room->slots);

    for (i = 0; i < room->slots; i++) {
        sh->slots[i].pid = 0;
        p = ngx_sf_metrics_lay_slot(&sh->slots[i], room, p);
    }
}


static u_char *
ngx_sf_metrics_lay_counts(ngx_sf_counts_t *counts,
    const ngx_sf_metrics_room_t *room, u_char *p)
{
    counts->endpoints = (ngx_sf_endpoint_counts_t *) p;
    p = (u_char *) (counts->endpoints + room->endpoints);

    counts->disconnects = (ngx_sf_closed_t *) p;
    p = (u_char *) (counts->disconnects + room->upstreams);

    counts->spans = (ngx_sf_spans_t *) p;

    return (u_char *) (counts->spans + room->endpoints);
}


static u_char *
ngx_sf_metrics_lay_slot(ngx_sf_metrics_slot_t *slot,
    const ngx_sf_metrics_room_t *room, u_char *p)
{
    p = ngx_sf_metrics_lay_counts(&slot->counts, room, p);

    slot->servers = (ngx_sf_server_gauge_t *) p;
    p = (u_char *) (slot->servers + room->servers);

    slot->upstreams = (ngx_sf_upstream_gauge_t *) p;
    slot->uses = (u_char *) (slot->upstreams + room->upstreams);

    return slot->uses + ngx_align(room->endpoints, sizeof(uint64_t));
}


ngx_int_t
ngx_sf_metrics_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_sf_metrics_t  *old = data;

    ngx_sf_metrics_t     *metrics;
    ngx_slab_pool_t      *shpool;
    ngx_sf_metrics_sh_t  *sh;

    metrics = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    metrics->shpool = shpool;

    if (old || shm_zone->shm.exists) {
        metrics->sh = shpool->data;
        return NGX_OK;
    }

    sh = ngx_slab_alloc(shpool, ngx_sf_metrics_block_size(&metrics->room));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    /* slots are zeroed when they are claimed, pasts are written as a whole */

    ngx_memzero(sh, sizeof(ngx_sf_metrics_sh_t));

    sh->layout = ngx_sf_metrics_layout();
    sh->room = metrics->room;

    ngx_sf_metrics_lay(sh);

    ngx_memzero(sh->endpoints, (u_char *) sh->pasts
                               - (u_char *) sh->endpoints);
    ngx_sf_metrics_start(sh);

    if (metrics->from) {
        ngx_shmtx_lock(&metrics->from->mutex);
        ngx_sf_metrics_inherit(sh, metrics->from->data);
        ngx_shmtx_unlock(&metrics->from->mutex);

        metrics->from = NULL;
    }

    shpool->data = sh;
    metrics->sh = sh;

    return NGX_OK;
}


static void
ngx_sf_metrics_start(ngx_sf_metrics_sh_t *sh)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    sh->second = ngx_current_msec;
    sh->tick = 1;

    sh->start.sec = tp->sec;
    sh->start.msec = tp->msec;
    sh->start.at = ngx_current_msec;

    /* endpoints cannot be called like that */

    ngx_memcpy(sh->endpoints[NGX_SF_METRICS_UNKNOWN].name, "unknown",
               sizeof("unknown"));
    ngx_memcpy(sh->endpoints[NGX_SF_METRICS_PRINCIPAL].name, "principal",
               sizeof("principal"));
}


/* all arrays are as long as those of the old one, or longer */

static void
ngx_sf_metrics_inherit(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_sh_t *old)
{
    ngx_uint_t                    i;
    const ngx_sf_metrics_room_t  *room;

    room = &old->room;

    sh->start = old->start;
    sh->entered = old->entered;
    sh->lives = old->lives;

    ngx_memcpy((void *) &sh->second, (const void *) &old->second,
               offsetof(ngx_sf_metrics_sh_t, pasts)
               - offsetof(ngx_sf_metrics_sh_t, second));
    ngx_memcpy(sh->endpoints, old->endpoints,
               room->endpoints * sizeof(ngx_sf_metrics_endpoint_t));
    ngx_memcpy(sh->upstreams, old->upstreams,
               room->upstreams * sizeof(ngx_sf_metrics_name_t));
    ngx_memcpy(sh->servers, old->servers,
               room->servers * sizeof(ngx_sf_metrics_name_t));

    ngx_sf_metrics_gather(&sh->gone, &old->gone, room);

    for (i = 0; i < room->slots; i++) {
        if (old->slots[i].pid) {
            ngx_sf_metrics_gather(&sh->gone, &old->slots[i].counts, room);
        }
    }

    ngx_sf_metrics_inherit_pasts(sh, old);
}


static void
ngx_sf_metrics_inherit_pasts(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_sh_t *old)
{
    ngx_uint_t            i;
    ngx_sf_past_t        *past;
    ngx_sf_past_place_t  *endpoints;

    for (i = 0; i < old->npasts && i < NGX_SF_METRICS_PASTS; i++) {
        past = &sh->pasts[i];
        endpoints = past->endpoints;

        *past = old->pasts[i];
        past->endpoints = endpoints;

        ngx_memcpy(endpoints, old->pasts[i].endpoints,
                   old->room.endpoints * sizeof(ngx_sf_past_place_t));
        ngx_memzero(endpoints + old->room.endpoints,
                    (sh->room.endpoints - old->room.endpoints)
                    * sizeof(ngx_sf_past_place_t));
    }
}


ngx_int_t
ngx_sf_metrics_enter(ngx_sf_metrics_t *metrics, ngx_log_t *log)
{
    ngx_uint_t                    lacking;
    ngx_sf_metrics_slot_t        *slot;
    const ngx_sf_metrics_room_t  *room;

    room = &metrics->sh->room;

    metrics->endpoints = ngx_calloc((metrics->nendpoints + 2)
                                    * sizeof(ngx_sf_metrics_own_t), log);
    if (metrics->endpoints == NULL) {
        return NGX_ERROR;
    }

    slot = ngx_sf_metrics_claim(metrics);

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "softfactory: more than %ui workers, the connections "
                      "of this one do not show in the metrics", room->slots);

        slot = ngx_sf_metrics_alone(room, log);
        metrics->told = ngx_sf_metrics_alone(room, log);

        if (slot == NULL || metrics->told == NULL) {
            return NGX_ERROR;
        }
    }

    metrics->slot = slot;

    lacking = ngx_sf_metrics_settle(metrics);

    if (lacking) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "softfactory: metrics have no room for %ui endpoints, "
                      "which count as unknown ones", lacking);
    }

    return NGX_OK;
}


static ngx_sf_metrics_slot_t *
ngx_sf_metrics_claim(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t              n;
    ngx_sf_metrics_sh_t    *sh;
    ngx_sf_metrics_slot_t  *slot;

    sh = metrics->sh;
    n = metrics->workers->n;

    if (n >= sh->room.slots || !ngx_sf_workers_absent(sh->slots[n].pid)) {
        return NULL;
    }

    slot = &sh->slots[n];

    (void) ngx_sf_metrics_bury(metrics, n, slot->pid);

    ngx_shmtx_lock(&metrics->shpool->mutex);

    /* who reads without the mutex still finds the arrays */

    ngx_memzero(&slot->counts, NGX_SF_METRICS_WORDS);
    ngx_memzero(slot->counts.endpoints, ngx_sf_metrics_slot_size(&sh->room));
    ngx_memzero(slot->slow, sizeof(slot->slow));

    slot->memory = 0;
    slot->bodies = 0;
    slot->pid = ngx_pid;

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return slot;
}


/* a slot in memory of this worker */

static ngx_sf_metrics_slot_t *
ngx_sf_metrics_alone(const ngx_sf_metrics_room_t *room, ngx_log_t *log)
{
    ngx_sf_metrics_slot_t  *slot;

    slot = ngx_calloc(sizeof(ngx_sf_metrics_slot_t)
                      + ngx_sf_metrics_slot_size(room), log);
    if (slot) {
        (void) ngx_sf_metrics_lay_slot(slot, room, (u_char *) (slot + 1));
    }

    return slot;
}


/*
 * Finds the places of this worker's endpoints.  Those that have one are all
 * found first, so that no other takes it.  Returns the number of those for
 * which there is none, as more than one reload is still under way.
 */

static ngx_uint_t
ngx_sf_metrics_settle(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t                  i, n, lacking, found;
    ngx_sf_metrics_sh_t        *sh;
    ngx_sf_metrics_own_t       *own;
    ngx_sf_metrics_endpoint_t  *place;

    sh = metrics->sh;
    own = metrics->endpoints;
    n = metrics->nendpoints;
    lacking = 0;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    sh->entered++;

    for (i = 0; i < n; i++) {
        own[i].place = ngx_sf_metrics_endpoint(sh, &metrics->names[i]);
        metrics->slot->uses[own[i].place] = 1;
    }

    own[ngx_sf_metrics_principal(metrics)].place = NGX_SF_METRICS_PRINCIPAL;

    for (i = 0; i < n + 2; i++) {

        if (i < n && own[i].place == NGX_SF_METRICS_UNKNOWN) {
            found = ngx_sf_metrics_vacant(metrics);
            lacking += found == NGX_SF_METRICS_UNKNOWN;
            own[i].place = found;

            if (found != NGX_SF_METRICS_UNKNOWN) {
                ngx_sf_metrics_clean(sh->endpoints[found].name,
                                     NGX_SF_METRICS_NAME,
                                     &metrics->names[i]);
                sh->endpoints[found].life = ++sh->lives;
            }

            metrics->slot->uses[found] = 1;
        }

        place = &sh->endpoints[own[i].place];
        place->seen = sh->entered;

        own[i].life = place->life;
        own[i].counts = &metrics->slot->counts.endpoints[own[i].place];
        own[i].spans = &metrics->slot->counts.spans[own[i].place];
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return lacking;
}


/* NGX_SF_METRICS_UNKNOWN: it has none */

static ngx_uint_t
ngx_sf_metrics_endpoint(const ngx_sf_metrics_sh_t *sh, const ngx_str_t *name)
{
    u_char      text[NGX_SF_METRICS_NAME];
    ngx_uint_t  i;

    ngx_sf_metrics_clean(text, sizeof(text), name);

    for (i = NGX_SF_METRICS_NAMED; i < sh->room.endpoints; i++) {
        if (ngx_strcmp(sh->endpoints[i].name, text) == 0) {
            return i;
        }
    }

    return NGX_SF_METRICS_UNKNOWN;
}


/* a place that is free; or else the one that has been left for the longest */

static ngx_uint_t
ngx_sf_metrics_vacant(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t            i, found;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;

    for (i = NGX_SF_METRICS_NAMED; i < sh->room.endpoints; i++) {
        if (sh->endpoints[i].name[0] == '\0') {
            return i;
        }
    }

    found = NGX_SF_METRICS_UNKNOWN;

    /* this worker may have no slot by which others see what it uses */

    for (i = NGX_SF_METRICS_NAMED; i < sh->room.endpoints; i++) {
        if ((found == NGX_SF_METRICS_UNKNOWN
             || sh->endpoints[i].seen < sh->endpoints[found].seen)
            && !metrics->slot->uses[i]
            && !ngx_sf_metrics_inhabited(sh, i))
        {
            found = i;
        }
    }

    if (found != NGX_SF_METRICS_UNKNOWN) {
        ngx_sf_metrics_evict(sh, found);
    }

    return found;
}


static ngx_uint_t
ngx_sf_metrics_inhabited(const ngx_sf_metrics_sh_t *sh, ngx_uint_t place)
{
    ngx_uint_t  i;

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid && sh->slots[i].uses[place]) {
            return 1;
        }
    }

    return 0;
}


/*
 * What has been counted in a place stays in the total.  Slots have nothing of
 * it, as who has used it has left; pasts do, also the one that may be written
 * just now, and none of them is looked at.
 */

static void
ngx_sf_metrics_evict(ngx_sf_metrics_sh_t *sh, ngx_uint_t place)
{
    ngx_sf_endpoint_counts_t  *counts;

    counts = sh->gone.endpoints;

    ngx_sf_metrics_add(&counts[NGX_SF_METRICS_FORMER], &counts[place],
                       sizeof(ngx_sf_endpoint_counts_t));

    ngx_memzero(&counts[place], sizeof(ngx_sf_endpoint_counts_t));
    ngx_memzero(&sh->gone.spans[place], sizeof(ngx_sf_spans_t));

    sh->endpoints[place].since = sh->npasts + 2;
}


void
ngx_sf_metrics_leave(ngx_sf_metrics_t *metrics)
{
    ngx_sf_metrics_slot_t  *slot;

    slot = metrics->slot;

    if (slot == NULL) {
        return;
    }

    if (metrics->told) {
        ngx_sf_metrics_tell(metrics);

        ngx_free(metrics->told);
        ngx_free(slot);

        metrics->told = NULL;

    } else {
        ngx_shmtx_lock(&metrics->shpool->mutex);
        ngx_sf_metrics_keep(metrics->sh, slot);
        ngx_shmtx_unlock(&metrics->shpool->mutex);
    }

    ngx_free(metrics->endpoints);

    metrics->slot = NULL;
    metrics->endpoints = NULL;
}


/*
 * A place is given to others when no slot says that it is used, and so it may
 * not be that of our endpoint any more.
 */

void
ngx_sf_metrics_tell(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t             i, to;
    ngx_sf_counts_t       *counts, *told, *gone;
    ngx_sf_metrics_sh_t   *sh;
    ngx_sf_metrics_own_t  *own;

    if (metrics->told == NULL) {
        return;
    }

    sh = metrics->sh;
    gone = &sh->gone;
    counts = &metrics->slot->counts;
    told = &metrics->told->counts;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    ngx_sf_metrics_move(gone, counts, told, NGX_SF_METRICS_WORDS);
    ngx_sf_metrics_move(gone->disconnects, counts->disconnects,
                        told->disconnects,
                        sh->room.upstreams * sizeof(ngx_sf_closed_t));

    for (i = 0; i < metrics->nendpoints + 2; i++) {
        own = &metrics->endpoints[i];
        to = sh->endpoints[own->place].life == own->life
             ? own->place : NGX_SF_METRICS_FORMER;

        ngx_sf_metrics_move(&gone->endpoints[to], own->counts,
                            &told->endpoints[own->place],
                            sizeof(ngx_sf_endpoint_counts_t));
        ngx_sf_metrics_merge(&gone->spans[to], own->spans);
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


ngx_int_t
ngx_sf_metrics_bury(void *data, ngx_uint_t n, ngx_pid_t pid)
{
    ngx_sf_metrics_t  *metrics = data;

    ngx_sf_metrics_slot_t  *slot;

    if (n >= metrics->sh->room.slots) {
        return NGX_OK;
    }

    slot = &metrics->sh->slots[n];

    if (slot->pid == 0 || (ngx_pid_t) slot->pid != pid) {
        return NGX_OK;
    }

    ngx_shmtx_lock(&metrics->shpool->mutex);

    if ((ngx_pid_t) slot->pid == pid) {
        ngx_sf_metrics_keep(metrics->sh, slot);
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return NGX_OK;
}


/* a worker that dies in the middle of this loses some, and counts none twice */

static void
ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_slot_t *slot)
{
    slot->pid = 0;

    ngx_sf_metrics_gather(&sh->gone, &slot->counts, &sh->room);
}


/* the room is that of the counts; a sum for readers has no spans */

static void
ngx_sf_metrics_gather(ngx_sf_counts_t *sum, const ngx_sf_counts_t *counts,
    const ngx_sf_metrics_room_t *room)
{
    ngx_uint_t  i;

    ngx_sf_metrics_add(sum, counts, NGX_SF_METRICS_WORDS);
    ngx_sf_metrics_add(sum->endpoints, counts->endpoints,
                       room->endpoints * sizeof(ngx_sf_endpoint_counts_t));
    ngx_sf_metrics_add(sum->disconnects, counts->disconnects,
                       room->upstreams * sizeof(ngx_sf_closed_t));

    for (i = 0; sum->spans && i < room->endpoints; i++) {
        ngx_sf_metrics_merge(&sum->spans[i], &counts->spans[i]);
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


/* adds what has not been told yet */

static void
ngx_sf_metrics_move(void *sum, const void *counts, void *told, size_t size)
{
    uint64_t        *to, *before;
    ngx_uint_t       i;
    const uint64_t  *from;

    to = sum;
    from = counts;
    before = told;

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        to[i] += from[i] - before[i];
        before[i] = from[i];
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

    counts = metrics->endpoints[endpoint].counts;

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

    spans = metrics->endpoints[endpoint].spans;
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
                               metrics->sh->room.upstreams, 0, name);
}


ngx_int_t
ngx_sf_metrics_server(ngx_sf_metrics_t *metrics, ngx_uint_t upstream,
    const ngx_str_t *name)
{
    return ngx_sf_metrics_name(metrics, metrics->sh->servers,
                               metrics->sh->room.servers, upstream, name);
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

    for (i = 0; i < sh->room.slots; i++) {
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
    if (name >= sh->servers && name < sh->servers + sh->room.servers) {
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
        || name >= sh->upstreams + sh->room.upstreams)
    {
        return;
    }

    upstream = name - sh->upstreams;

    ngx_memzero(sh->gone.disconnects[upstream],
                sizeof(sh->gone.disconnects[upstream]));

    for (i = 0; i < sh->room.servers; i++) {
        if (sh->servers[i].upstream == upstream) {
            ngx_memzero(&sh->servers[i], sizeof(ngx_sf_metrics_name_t));
        }
    }
}


/* an index behind those of the endpoints has a place for ever */

ngx_uint_t
ngx_sf_metrics_place(const ngx_sf_metrics_t *metrics, ngx_uint_t i)
{
    const ngx_sf_metrics_own_t  *own;

    own = &metrics->endpoints[i];

    if ((i < metrics->nendpoints && own->place == NGX_SF_METRICS_UNKNOWN)
        || metrics->sh->endpoints[own->place].life != own->life)
    {
        return NGX_SF_METRICS_NOWHERE;
    }

    return own->place;
}


const ngx_sf_endpoint_counts_t *
ngx_sf_metrics_of(const ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t i)
{
    ngx_uint_t  place;

    static const ngx_sf_endpoint_counts_t  nothing;

    place = ngx_sf_metrics_place(metrics, i);

    return place == NGX_SF_METRICS_NOWHERE ? &nothing : &sum->endpoints[place];
}


ngx_int_t
ngx_sf_metrics_sum(ngx_sf_metrics_t *metrics, ngx_pool_t *pool,
    ngx_sf_counts_t *sum)
{
    ngx_uint_t                    i;
    ngx_sf_metrics_sh_t          *sh;
    const ngx_sf_metrics_room_t  *room;

    sh = metrics->sh;
    room = &sh->room;

    ngx_memzero(sum, sizeof(ngx_sf_counts_t));

    sum->endpoints = ngx_pcalloc(pool, room->endpoints
                                       * sizeof(ngx_sf_endpoint_counts_t));
    sum->disconnects = ngx_pcalloc(pool, room->upstreams
                                         * sizeof(ngx_sf_closed_t));

    if (sum->endpoints == NULL || sum->disconnects == NULL) {
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&metrics->shpool->mutex);

    ngx_sf_metrics_gather(sum, &sh->gone, room);

    for (i = 0; i < room->slots; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_gather(sum, &sh->slots[i].counts, room);
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return NGX_OK;
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

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_add(sum, &sh->slots[i].counts.fallback,
                               sizeof(ngx_sf_fallback_counts_t));
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


void
ngx_sf_metrics_span(ngx_sf_metrics_t *metrics, ngx_uint_t place,
    ngx_uint_t tick, ngx_sf_span_t *span)
{
    ngx_uint_t            i;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    span->low = 0;
    span->high = 0;

    ngx_sf_metrics_take(span, &sh->gone.spans[place], tick);

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_take(span, &sh->slots[i].counts.spans[place], tick);
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

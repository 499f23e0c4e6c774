
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The memory of the metrics: for how many there is room, where everything
 * stands, and what a reload takes over.
 *
 * All of it is one block: its head, and the arrays, whose sizes are those of
 * sh->room.  A configuration that fits into the old one goes on in it.  For one
 * that does not there is a new one, with the places of the old one and more
 * behind them: indexes of places stay what they are, and so pasts are copied as
 * they stand.  What slots have counted until then is kept in the new one, and
 * its slots begin with nothing.
 */


#include "ngx_sf_metrics_room.h"


static void ngx_sf_metrics_capacity(ngx_sf_metrics_t *metrics,
    const ngx_sf_metrics_need_t *need);
static ngx_uint_t ngx_sf_metrics_power(ngx_uint_t n, ngx_uint_t min);
static uint64_t ngx_sf_metrics_layout(void);
static ngx_uint_t ngx_sf_metrics_lacking(ngx_sf_metrics_t *metrics,
    ngx_sf_metrics_sh_t *sh);
static size_t ngx_sf_metrics_size(const ngx_sf_metrics_room_t *room);
static size_t ngx_sf_metrics_block_size(const ngx_sf_metrics_room_t *room);
static void ngx_sf_metrics_lay(ngx_sf_metrics_sh_t *sh);
static void ngx_sf_metrics_start(ngx_sf_metrics_sh_t *sh);
static void ngx_sf_metrics_inherit(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_sh_t *old);
static void ngx_sf_metrics_inherit_pasts(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_sh_t *old);


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

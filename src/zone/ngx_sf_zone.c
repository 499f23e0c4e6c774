
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The zone: shared memory, the workers that use it and the databases that it
 * holds responses of.
 *
 * The mutex is that of nginx's own slab pool, because nginx unlocks it when a
 * worker dies inside.  What that worker was doing to the arena is then not
 * known: sh->busy still holds its pid, and the next one to lock the mutex
 * notices.  From there on the arena is not touched; as soon as no worker
 * sends from it any more it is made anew, empty.
 *
 * The number of a worker is that of its slot, see ngx_sf_workers.c.  The slot
 * of one that has died is cleared, with what it had pinned or claimed; the
 * entries and the marks are not known here, so that is done by callbacks of
 * the zone.
 */


#include "ngx_sf_shm.h"

#include <sys/random.h>


#define NGX_SF_ZONE_MAGIC        0x7366616374303031ULL
#define NGX_SF_ZONE_VERSION      7
#define NGX_SF_ZONE_BUCKET_SIZE  1024     /* bytes of zone for a bucket */


static uint64_t ngx_sf_zone_layout(void);
static ngx_int_t ngx_sf_zone_create(ngx_sf_zone_t *zone, size_t size);
static void ngx_sf_zone_empty(ngx_sf_zone_sh_t *sh);
static ngx_uint_t ngx_sf_zone_renew(ngx_sf_zone_t *zone);
static void ngx_sf_zone_count(ngx_sf_zone_t *zone, ngx_sf_slot_t *slot);
static void ngx_sf_zone_add_up(ngx_sf_zone_sh_t *sh,
    ngx_sf_zone_facts_t *facts);


ngx_int_t
ngx_sf_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_sf_zone_t  *old = data;

    ngx_sf_zone_t  *zone;

    zone = shm_zone->data;

    if (old) {
        zone->sh = old->sh;
        zone->shpool = old->shpool;

    } else {
        zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

        if (shm_zone->shm.exists) {
            zone->sh = zone->shpool->data;

        } else if (ngx_sf_zone_create(zone, shm_zone->shm.size) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    zone->seed = zone->sh->seed;

    ngx_shmtx_lock(&zone->shpool->mutex);
    zone->generation = ++zone->sh->generation;
    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


ngx_uint_t
ngx_sf_zone_differs(ngx_shm_zone_t *shm_zone, const u_char *identities,
    ngx_uint_t n)
{
    ngx_uint_t         i, k, places;
    ngx_slab_pool_t   *shpool;
    ngx_sf_zone_sh_t  *sh;

    static const u_char  none[16];

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    sh = shpool->data;

    if (sh == NULL || sh->magic != NGX_SF_ZONE_MAGIC
        || sh->layout != ngx_sf_zone_layout())
    {
        return 1;
    }

    /* places of databases that nobody names any more are not given back */

    places = 0;

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        for (k = 0; k < n; k++) {
            if (ngx_memcmp(sh->sources[i].identity, &identities[16 * k], 16)
                == 0)
            {
                break;
            }
        }

        places += k < n || ngx_memcmp(sh->sources[i].identity, none,
                                      sizeof(none))
                           == 0;
    }

    return places < n;
}


/*
 * A number that changes with the size of any structure of the zone, and with
 * the version, for what else changes in ngx_sf_shm.h or in the meaning of what
 * is kept.
 */

static uint64_t
ngx_sf_zone_layout(void)
{
    uint64_t  n;

    n = NGX_SF_ZONE_VERSION;
    n = n * 31 + sizeof(ngx_sf_zone_sh_t);
    n = n * 31 + sizeof(ngx_sf_slot_t);
    n = n * 31 + sizeof(ngx_sf_source_t);
    n = n * 31 + sizeof(ngx_sf_node_t);
    n = n * 31 + sizeof(ngx_sf_fill_t);
    n = n * 31 + sizeof(ngx_sf_entry_t);

    return n;
}


static ngx_int_t
ngx_sf_zone_create(ngx_sf_zone_t *zone, size_t size)
{
    size_t             len;
    ngx_uint_t         n;
    ngx_slab_pool_t   *shpool;
    ngx_sf_zone_sh_t  *sh;

    shpool = zone->shpool;
    len = sizeof(" in softfactory_zone \"\"") + zone->name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    sh = ngx_slab_calloc(shpool, sizeof(ngx_sf_zone_sh_t));

    if (shpool->log_ctx == NULL || sh == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(shpool->log_ctx, " in softfactory_zone \"%V\"%Z",
                &zone->name);

    for (n = 1; n < size / NGX_SF_ZONE_BUCKET_SIZE; n *= 2) { /* void */ }

    sh->mask = n - 1;
    sh->buckets = ngx_slab_alloc(shpool, n * sizeof(ngx_sf_node_t *));
    if (sh->buckets == NULL) {
        return NGX_ERROR;
    }

    if (ngx_sf_admit_create(sh, shpool, size) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the rest is one run of pages, but for one that may be cut off by it */

    sh->arena_size = (shpool->pfree - 1) * ngx_pagesize;
    sh->arena = ngx_slab_alloc(shpool, sh->arena_size);
    if (sh->arena == NULL) {
        return NGX_ERROR;
    }

    if (getrandom(&sh->seed, sizeof(sh->seed), 0) != sizeof(sh->seed)) {
        sh->seed = (uint64_t) ngx_random() << 32 | ngx_pid;
    }

    sh->magic = NGX_SF_ZONE_MAGIC;
    sh->layout = ngx_sf_zone_layout();
    sh->size = size;

    ngx_sf_zone_empty(sh);

    shpool->log_nomem = 0;
    shpool->data = sh;
    zone->sh = sh;

    return NGX_OK;
}


static void
ngx_sf_zone_empty(ngx_sf_zone_sh_t *sh)
{
    ngx_memzero(sh->buckets, (sh->mask + 1) * sizeof(ngx_sf_node_t *));
    ngx_memzero(sh->arena, sizeof(ngx_slab_pool_t));

    sh->arena->end = (u_char *) sh->arena + sh->arena_size;
    sh->arena->addr = sh->arena;
    sh->arena->min_shift = 3;

    ngx_slab_init(sh->arena);

    sh->arena->log_nomem = 0;

    ngx_sf_admit_init(sh);
    ngx_queue_init(&sh->fills);

    sh->nodes = 0;
    sh->bytes = 0;
}


ngx_uint_t
ngx_sf_zone_lock(ngx_sf_zone_t *zone)
{
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (sh->busy) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "process %uA died inside softfactory_zone \"%V\", "
                      "which is emptied", sh->busy, &zone->name);
        sh->doubt = 1;
    }

    sh->busy = ngx_pid;
    ngx_sf_release();

    if (sh->doubt && !ngx_sf_zone_renew(zone)) {
        ngx_sf_zone_unlock(zone);
        return 0;
    }

    return 1;
}


void
ngx_sf_zone_unlock(ngx_sf_zone_t *zone)
{
    ngx_sf_release();
    zone->sh->busy = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* empties the arena, unless somebody is still sending from it */

static ngx_uint_t
ngx_sf_zone_renew(ngx_sf_zone_t *zone)
{
    ngx_uint_t         i;
    uint64_t           all[NGX_SF_SLOT_WORDS];
    ngx_sf_slot_t     *slot;
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        slot = &sh->slots[i];

        if (slot->pid && slot->npins && ngx_sf_alive(slot->pid)) {
            return 0;
        }
    }

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        slot = &sh->slots[i];

        ngx_memzero(slot->pins, sizeof(slot->pins));
        slot->npins = 0;
        slot->pinned = 0;

        if (slot->pid && !ngx_sf_alive(slot->pid)) {
            ngx_sf_zone_count(zone, slot);
            slot->pid = 0;
        }
    }

    ngx_sf_zone_empty(sh);

    sh->doubt = 0;
    sh->era++;

    ngx_memset(all, 0xff, sizeof(all));
    ngx_sf_wake(zone, all, NGX_SF_WAKE_ALL);

    return 1;
}


ngx_int_t
ngx_sf_zone_enter(ngx_sf_zone_t *zone, ngx_uint_t n)
{
    ngx_pid_t       pid;
    ngx_sf_slot_t  *slot;

    zone->slot = NULL;

    if (n == NGX_SF_SLOTS) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "softfactory_zone \"%V\" has no room for another "
                      "worker", &zone->name);
        return NGX_DECLINED;
    }

    slot = &zone->sh->slots[n];
    pid = slot->pid;

    /* who has died may be left there, if the others do not use this zone */

    if (!ngx_sf_workers_absent(pid)) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "softfactory_zone \"%V\": process %P has the slot of "
                      "this worker", &zone->name, pid);
        return NGX_BUSY;
    }

    if (ngx_sf_zone_bury(zone, n, pid) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "softfactory_zone \"%V\": process %P died, and its slot "
                      "cannot be used while others send from this zone",
                      &zone->name, pid);
        return NGX_AGAIN;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    slot->pid = ngx_pid;
    slot->generation = zone->generation;
    slot->name_len = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    zone->slot = slot;
    zone->nslot = n;

    return NGX_OK;
}


/* what a worker has counted is kept */

static void
ngx_sf_zone_count(ngx_sf_zone_t *zone, ngx_sf_slot_t *slot)
{
    ngx_uint_t   i, *sum, *n;

    sum = (ngx_uint_t *) &zone->sh->gone;
    n = (ngx_uint_t *) &slot->stats;

    for (i = 0; i < sizeof(ngx_sf_cache_stats_t) / sizeof(ngx_uint_t); i++) {
        sum[i] += n[i];
        n[i] = 0;
    }
}


ngx_int_t
ngx_sf_zone_bury(void *data, ngx_uint_t n, ngx_pid_t pid)
{
    ngx_sf_zone_t  *zone = data;

    ngx_sf_slot_t  *slot;

    slot = &zone->sh->slots[n];

    if (slot->pid == 0 || (ngx_pid_t) slot->pid != pid) {
        return NGX_OK;
    }

    if (!ngx_sf_zone_lock(zone)) {
        return NGX_AGAIN;
    }

    if ((ngx_pid_t) slot->pid == pid) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "softfactory_zone \"%V\": process %P is gone, it had "
                      "%ui values pinned", &zone->name, pid, slot->npins);

        zone->release(zone, slot, pid);
        zone->died(zone);
        ngx_sf_zone_count(zone, slot);

        slot->pid = 0;
    }

    ngx_sf_zone_unlock(zone);

    return NGX_OK;
}


void
ngx_sf_zone_leave(ngx_sf_zone_t *zone)
{
    if (zone->slot == NULL) {
        return;
    }

    if (ngx_sf_zone_lock(zone)) {
        zone->release(zone, zone->slot, ngx_pid);
        ngx_sf_zone_count(zone, zone->slot);
        zone->slot->pid = 0;
        ngx_sf_zone_unlock(zone);
    }

    zone->slot = NULL;
}


ngx_sf_source_t *
ngx_sf_zone_source(ngx_sf_zone_t *zone, const u_char identity[16])
{
    ngx_uint_t        i;
    ngx_sf_source_t  *source, *found;

    static const u_char  none[16];

    found = NULL;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        source = &zone->sh->sources[i];

        if (ngx_memcmp(source->identity, identity, 16) == 0) {
            found = source;
            break;
        }

        if (ngx_memcmp(source->identity, none, 16) == 0) {
            ngx_memcpy(source->identity, identity, 16);
            found = source;
            break;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return found;
}


void
ngx_sf_zone_facts(ngx_sf_zone_t *zone, ngx_sf_zone_facts_t *facts)
{
    ngx_uint_t         i, usable;
    ngx_queue_t       *q;
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;

    ngx_memzero(facts, sizeof(ngx_sf_zone_facts_t));

    facts->room = sh->arena_size;
    facts->pinned = ngx_sf_zone_pinned(zone);

    usable = ngx_sf_zone_lock(zone);

    if (usable) {
        facts->bytes = sh->bytes;
        facts->nodes = sh->nodes;

        for (i = 0; i < NGX_SF_QUEUES; i++) {
            facts->queues[i] = sh->fifos[i].bytes;
        }

        for (q = ngx_queue_head(&sh->fills);
             q != ngx_queue_sentinel(&sh->fills);
             q = ngx_queue_next(q))
        {
            facts->fills++;
        }
    }

    /* a worker that leaves in the middle would be counted in neither place */

    ngx_sf_zone_add_up(sh, facts);

    if (usable) {
        ngx_sf_zone_unlock(zone);
    }
}


size_t
ngx_sf_zone_pinned(ngx_sf_zone_t *zone)
{
    size_t          bytes;
    ngx_uint_t      i;
    ngx_sf_slot_t  *slot;

    bytes = 0;

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        slot = &zone->sh->slots[i];

        if (slot->pid) {
            bytes += slot->pinned;
        }
    }

    return bytes;
}


static void
ngx_sf_zone_add_up(ngx_sf_zone_sh_t *sh, ngx_sf_zone_facts_t *facts)
{
    ngx_uint_t         i, k, *sum;
    ngx_sf_slot_t     *slot;
    const ngx_uint_t  *n;

    facts->stats = sh->gone;
    sum = (ngx_uint_t *) &facts->stats;

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        slot = &sh->slots[i];
        n = (ngx_uint_t *) &slot->stats;

        facts->workers += slot->pid != 0;
        facts->pins += slot->pid ? slot->npins : 0;

        for (k = 0;
             k < sizeof(ngx_sf_cache_stats_t) / sizeof(ngx_uint_t);
             k++)
        {
            sum[k] += n[k];
        }
    }
}


ngx_uint_t
ngx_sf_zone_coherent(const ngx_sf_source_t *source, ngx_msec_t lease,
    ngx_msec_int_t *age)
{
    ngx_msec_t  confirmed;

    confirmed = source->confirmed;
    *age = -1;

    if (confirmed == 0) {
        return 0;
    }

    *age = (ngx_msec_int_t) (ngx_current_msec - confirmed);
    *age = ngx_max(*age, 0);

    return *age <= (ngx_msec_int_t) lease && !source->doubted;
}

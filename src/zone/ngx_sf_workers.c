
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The workers of this nginx, old and new ones: each has a number, which is
 * that of its slot in every holder of slots, the zones and the metrics.
 *
 * The list has shared memory of its own, and is there whenever something has
 * slots, so that it outlives all holders: whatever a reload replaces, no two
 * processes that live have the same number.
 *
 * A worker that leaves has emptied its slots.  One that is killed has not;
 * whoever notices that empties them, in all holders that it knows, before the
 * number is given away.  In one that it does not know, as it belongs to another
 * configuration, the next worker with that number does it when it enters.
 *
 * This mutex is taken before those of the holders, never after.
 */


#include "ngx_sf_shm.h"


static ngx_uint_t ngx_sf_workers_dead(const ngx_sf_workers_t *workers,
    ngx_uint_t n);
static ngx_uint_t ngx_sf_workers_emptied(ngx_sf_workers_t *workers,
    ngx_uint_t n);


size_t
ngx_sf_workers_size(void)
{
    return ngx_align(sizeof(ngx_sf_workers_sh_t), ngx_pagesize)
           + 8 * ngx_pagesize;
}


ngx_int_t
ngx_sf_workers_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_sf_workers_t  *workers;

    workers = shm_zone->data;
    workers->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        workers->sh = workers->shpool->data;
        return NGX_OK;
    }

    workers->sh = ngx_slab_calloc(workers->shpool,
                                  sizeof(ngx_sf_workers_sh_t));
    if (workers->sh == NULL) {
        return NGX_ERROR;
    }

    workers->shpool->data = workers->sh;

    return NGX_OK;
}


void
ngx_sf_workers_enter(ngx_sf_workers_t *workers)
{
    ngx_uint_t  i;

    workers->n = NGX_SF_SLOTS;

    ngx_sf_workers_bury(workers);

    ngx_shmtx_lock(&workers->shpool->mutex);

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        if (workers->sh->pids[i] == 0) {
            workers->sh->pids[i] = ngx_pid;
            workers->n = i;
            break;
        }
    }

    ngx_shmtx_unlock(&workers->shpool->mutex);
}


void
ngx_sf_workers_leave(ngx_sf_workers_t *workers)
{
    if (workers->n == NGX_SF_SLOTS) {
        return;
    }

    ngx_shmtx_lock(&workers->shpool->mutex);

    /* if it has not, somebody will find that it is dead */

    if (ngx_sf_workers_emptied(workers, workers->n)) {
        workers->sh->pids[workers->n] = 0;
    }

    ngx_shmtx_unlock(&workers->shpool->mutex);

    workers->n = NGX_SF_SLOTS;
}


void
ngx_sf_workers_bury(ngx_sf_workers_t *workers)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_SLOTS; i++) {

        if (!ngx_sf_workers_dead(workers, i)) {
            continue;
        }

        ngx_shmtx_lock(&workers->shpool->mutex);

        if (ngx_sf_workers_dead(workers, i)
            && ngx_sf_workers_emptied(workers, i))
        {
            workers->sh->pids[i] = 0;
        }

        ngx_shmtx_unlock(&workers->shpool->mutex);
    }
}


/* another worker that has our pid has died before us */

ngx_uint_t
ngx_sf_workers_absent(ngx_pid_t pid)
{
    return pid == 0 || pid == ngx_pid || !ngx_sf_alive(pid);
}


static ngx_uint_t
ngx_sf_workers_dead(const ngx_sf_workers_t *workers, ngx_uint_t n)
{
    ngx_pid_t  pid;

    pid = workers->sh->pids[n];

    return pid && n != workers->n && ngx_sf_workers_absent(pid);
}


/* each holder sees by the pid whether its slot has been emptied already */

static ngx_uint_t
ngx_sf_workers_emptied(ngx_sf_workers_t *workers, ngx_uint_t n)
{
    ngx_uint_t                i, emptied;
    ngx_sf_workers_holder_t  *holder;

    emptied = 1;
    holder = workers->holders.elts;

    for (i = 0; i < workers->holders.nelts; i++) {
        if (holder[i].bury(holder[i].data, n, workers->sh->pids[n])
            != NGX_OK)
        {
            emptied = 0;
        }
    }

    return emptied;
}

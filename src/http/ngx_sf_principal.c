
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Principals: users that this worker has found in the zone a moment ago.
 *
 * Every request with a token needs its user, and nearly all get what the one
 * before has got.  A copy of that is as good as the entry: the same
 * counters, the same lease and the same ttl are looked at, but no mutex is
 * needed and nothing pinned.  A copy counts only while the entry would be
 * beyond doubt, young and coherent; else the zone is asked, which knows what
 * to do then.  Only users who may pass are kept.
 *
 * Now and then the zone is asked all the same, so that the entry of a user that
 * sends requests stays there for the other workers.
 *
 * A user has one place; the next user with the same place takes it.
 */


#include "ngx_sf_http.h"


#define NGX_SF_PRINCIPALS_SIZE  4096      /* a power of two */
#define NGX_SF_PRINCIPALS_KEPT  10000     /* ms, then the zone is asked */


typedef struct {
    const ngx_sf_source_t      *source;   /* NULL: free */
    ngx_sf_principal_t          principal;
    ngx_msec_t                  taken;    /* from the zone */
    ngx_msec_t                  created;
    ngx_sf_stamp_t              stamp;
} ngx_sf_principal_copy_t;


struct ngx_sf_principals_s {
    ngx_sf_principal_copy_t     copies[NGX_SF_PRINCIPALS_SIZE];
};


static ngx_sf_principal_copy_t *ngx_sf_principal_place(
    ngx_sf_worker_t *worker, const ngx_sf_lookup_t *lookup);


ngx_sf_principals_t *
ngx_sf_principals_create(ngx_cycle_t *cycle)
{
    return ngx_pcalloc(cycle->pool, sizeof(ngx_sf_principals_t));
}


/*
 * The copy is judged like the entry, by the counters and the lease of now, so
 * it never outlives a change that the worker has heard of.  A lookup that
 * bypasses the zone bypasses the copies as well.
 */

ngx_int_t
ngx_sf_principal_find(ngx_sf_worker_t *worker, const ngx_sf_lookup_t *lookup,
    ngx_sf_principal_t *principal)
{
    ngx_sf_zone_t            *zone;
    ngx_sf_fresh_t            fresh;
    ngx_sf_principal_copy_t  *copy;

    zone = lookup->slcf->zone;

    if (zone == NULL || zone->slot == NULL || lookup->bypass) {
        return NGX_DECLINED;
    }

    copy = ngx_sf_principal_place(worker, lookup);

    if (copy->source == NULL || copy->principal.id != lookup->user
        || copy->source != worker->sources[lookup->slcf->origin]
        || ngx_current_msec - copy->taken >= NGX_SF_PRINCIPALS_KEPT)
    {
        return NGX_DECLINED;
    }

    ngx_sf_flight_fresh(worker, lookup, &fresh);

    if (!ngx_sf_cache_young(zone, &copy->stamp, copy->created, &fresh)) {
        return NGX_DECLINED;
    }

    *principal = copy->principal;

    return NGX_OK;
}


/*
 * Kept as the entry was stored: `created` is when that was made, and `taken`
 * only says when the zone was last asked.
 */

void
ngx_sf_principal_keep(ngx_sf_worker_t *worker, const ngx_sf_lookup_t *lookup,
    const ngx_sf_found_t *found, const ngx_sf_principal_t *principal)
{
    ngx_sf_entry_t           *entry;
    ngx_sf_principal_copy_t  *copy;

    entry = found->value;

    if (found->status != NGX_SF_CACHE_HIT || entry->incoherent
        || entry->deadline)
    {
        return;
    }

    copy = ngx_sf_principal_place(worker, lookup);

    copy->source = worker->sources[lookup->slcf->origin];
    copy->principal = *principal;
    copy->taken = ngx_current_msec;
    copy->created = entry->created;
    copy->stamp = entry->stamp;
}


/* the seed keeps clients from choosing users that take one place */

static ngx_sf_principal_copy_t *
ngx_sf_principal_place(ngx_sf_worker_t *worker, const ngx_sf_lookup_t *lookup)
{
    uint64_t  hash;

    hash = ngx_sf_mix(lookup->user, ngx_sf_zone_seed(lookup->slcf->zone) | 1);

    return &worker->principals->copies[hash & (NGX_SF_PRINCIPALS_SIZE - 1)];
}

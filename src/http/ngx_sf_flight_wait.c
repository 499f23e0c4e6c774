
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Flights and the zone: which one makes what may be cached, and which wait.
 *
 * It is made by the flight that gets the claim (ngx_sf_cache.c), once for all
 * workers.  A flight that does not get it waits, and with it all that have a
 * place in it: a datagram comes when the claim has ended (ngx_sf_wake.c).  Then
 * it looks again, since the response may be there, or it may be its turn to
 * make it.  Datagrams get lost, so it also looks now and then.  Nobody waits
 * longer than making the resource may take: after that something stale stands
 * in for it, or there is none.
 *
 * This file says what the zone has; what a flight does about that is told in
 * ngx_sf_flight.c.
 */


#include "ngx_sf_flight.h"


#define NGX_SF_FLIGHT_GRACE    2000       /* ms of a claim beyond the query */
#define NGX_SF_PRINCIPAL_TTL   300000     /* ms: the tags do the work */


static ngx_msec_t ngx_sf_flight_limit(const ngx_sf_flight_t *flight);


void
ngx_sf_flight_fresh(ngx_sf_worker_t *worker, const ngx_sf_lookup_t *lookup,
    ngx_sf_fresh_t *fresh)
{
    ngx_sf_ttl_t       *ttl;
    ngx_sf_loc_conf_t  *slcf;

    slcf = lookup->slcf;

    fresh->owner = lookup->owner;
    fresh->source = worker->sources[slcf->origin];
    fresh->cover = &slcf->zone->covers[lookup->resource->index];
    fresh->now = ngx_current_msec;
    fresh->lease = worker->smcf->lease;
    fresh->incoherent_ttl = slcf->incoherent_ttl;
    fresh->stale = 0;
    fresh->error = 0;
    fresh->grace = 0;

    if (lookup->resource->endpoint == NULL) {
        fresh->ttl = NGX_SF_PRINCIPAL_TTL;
        fresh->grace = slcf->auth_grace;
        return;
    }

    ttl = &slcf->ttls[lookup->resource->endpoint->index];

    fresh->ttl = ttl->ttl;

    /* what shows a total is as old as that: it must not expire at once */

    if (lookup->resource->kind == NGX_SF_RESOURCE_TOTAL) {
        fresh->ttl -= ngx_sf_cache_last(ttl->ttl);
    }

    fresh->stale = ttl->stale;
    fresh->error = ttl->error;
}


void
ngx_sf_flight_stamp(ngx_sf_flight_t *flight)
{
    ngx_sf_zone_t    *zone;
    ngx_sf_source_t  *source;
    ngx_sf_lookup_t  *lookup;

    lookup = &flight->lookup;
    zone = lookup->slcf->zone;
    source = flight->worker->sources[lookup->slcf->origin];

    ngx_sf_stamp_read(zone, source - zone->sh->sources,
                      &lookup->resource->tags, lookup->user,
                      ngx_sf_resource_id(lookup), &flight->stamp);
}


ngx_int_t
ngx_sf_flight_claim(ngx_sf_flight_t *flight, ngx_sf_found_t *found)
{
    ngx_int_t  rc;

    ngx_sf_flight_stamp(flight);

    rc = ngx_sf_cache_claim(flight->zone, &flight->key, &flight->fresh,
                            &flight->stamp, ngx_sf_flight_limit(flight),
                            found);

    if (rc == NGX_DECLINED) {
        flight->claim = found->claim;
    }

    return rc;
}


/* ms that making a resource may take at the most */

static ngx_msec_t
ngx_sf_flight_limit(const ngx_sf_flight_t *flight)
{
    ngx_msec_t                limit;
    ngx_sf_pg_conf_t         *pgcf;
    const ngx_sf_resource_t  *total;

    pgcf = flight->lookup.slcf->primary_pg;
    total = flight->lookup.resource->total;
    limit = pgcf->wait + pgcf->timeout[flight->query.lane]
            + NGX_SF_FLIGHT_GRACE;

    /* one after the other, see ngx_sf_flight_start() */

    return total ? limit + pgcf->wait + pgcf->timeout[total->lane] : limit;
}


void
ngx_sf_flight_wait(ngx_sf_flight_t *flight)
{
    flight->zone->slot->stats.waits++;
    flight->give_up = ngx_current_msec + ngx_sf_flight_limit(flight);

    ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_WAITING);
}


void
ngx_sf_flights_woken(ngx_sf_worker_t *worker, uint64_t hash)
{
    ngx_uint_t        i, first, last;
    ngx_queue_t      *q, *next, *bucket;
    ngx_sf_flight_t  *flight;

    first = hash % NGX_SF_FLIGHT_BUCKETS;
    last = first;

    if (hash == NGX_SF_WAKE_ALL) {
        first = 0;
        last = NGX_SF_FLIGHT_BUCKETS - 1;
    }

    for (i = first; i <= last; i++) {
        bucket = &worker->flights.buckets[i];

        for (q = ngx_queue_head(bucket); q != bucket; q = next) {
            next = ngx_queue_next(q);
            flight = ngx_queue_data(q, ngx_sf_flight_t, queue);

            /* looked at in a turn of its own */

            if (flight->state == NGX_SF_FLIGHT_WAITING
                && (hash == NGX_SF_WAKE_ALL || flight->key.hash == hash))
            {
                ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_WOKEN);
            }
        }
    }
}


ngx_int_t
ngx_sf_flight_look_again(ngx_sf_flight_t *flight)
{
    ngx_int_t       rc;
    ngx_sf_found_t  found;

    ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_LOOKING);
    flight->fresh.now = ngx_current_msec;

    rc = ngx_sf_flight_claim(flight, &found);

    if (rc == NGX_OK) {
        flight->found = found;
        return NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if ((ngx_msec_int_t) (flight->give_up - ngx_current_msec) > 0) {
        ngx_sf_flight_set_state(flight, NGX_SF_FLIGHT_WAITING);
        return NGX_AGAIN;
    }

    /* others have tried one after the other */

    flight->outcome = NGX_SF_PG_EXPIRED;
    ngx_sf_flight_substitute(flight);

    return NGX_OK;
}


void
ngx_sf_flight_substitute(ngx_sf_flight_t *flight)
{
    ngx_uint_t         down;
    ngx_sf_pg_pool_t  *primary;

    if (flight->outcome != NGX_SF_PG_BUSY
        && flight->outcome != NGX_SF_PG_QUOTA_FULL
        && flight->outcome != NGX_SF_PG_EXPIRED
        && flight->outcome != NGX_SF_PG_UNAVAILABLE)
    {
        return;
    }

    primary = flight->worker->pools[flight->lookup.slcf->primary_pg->index];
    down = flight->outcome == NGX_SF_PG_UNAVAILABLE
           && ngx_sf_pg_down(primary);
    flight->fresh.now = ngx_current_msec;

    if (ngx_sf_cache_lookup_stale(flight->zone, &flight->key, &flight->fresh,
                                  down, &flight->found)
        == NGX_OK)
    {
        flight->outcome = NGX_SF_PG_OK;
    }
}

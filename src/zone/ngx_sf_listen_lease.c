
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What a listener tells the zone: how long all workers may trust what they
 * find there, and what has been found out about the database.
 *
 * Only the owner tells it, so each time the mutex is held and the owner looked
 * at: a worker that was stopped may wake up when another has its place.  What
 * is known of the tables stands there before the lease is renewed.
 */


#include "ngx_sf_listen_conn.h"


static void ngx_sf_listen_lease_publish(ngx_sf_listen_t *l);


ngx_int_t
ngx_sf_listen_lease_confirm(ngx_sf_listen_t *l)
{
    ngx_sf_source_t  *source;

    if (!ngx_sf_zone_lock(l->zone)) {
        return NGX_OK;
    }

    source = l->source;

    if (source->owner != ngx_pid) {
        ngx_sf_listen_lease_yield(l);
        ngx_sf_zone_unlock(l->zone);
        return NGX_DECLINED;
    }

    source->seen = ngx_current_msec;
    source->schema = l->schema;
    source->blind = l->misses >= NGX_SF_LISTEN_MISSES;
    source->listened = l->server;
    source->server = l->direct ? 0 : l->server;
    source->queue_usage = l->usage;
    source->names = l->names;
    source->open = l->open;
    ngx_sf_listen_lease_publish(l);

    /* a worker that sees the lease renewed sees the rest */

    ngx_memory_barrier();

    if ((ngx_msec_int_t) (l->sent - source->confirmed) > 0) {
        source->confirmed = l->sent;
    }

    ngx_sf_zone_unlock(l->zone);

    return NGX_OK;
}


void
ngx_sf_listen_lease_doubt(ngx_sf_listen_t *l)
{
    if (!ngx_sf_zone_lock(l->zone)) {
        return;
    }

    if (l->source->owner == ngx_pid) {
        ngx_sf_listen_lease_publish(l);
    }

    ngx_sf_zone_unlock(l->zone);
}


/* under the mutex; every hit looks at what is covered, and at nothing else */

static void
ngx_sf_listen_lease_publish(ngx_sf_listen_t *l)
{
    ngx_uint_t  i, doubted;

    doubted = l->full || l->garbled;

    l->source->doubted = doubted;

    for (i = 0; i < NGX_SF_NAME_WORDS; i++) {
        l->source->covered[i] = doubted ? 0 : l->schema.covered.words[i];
    }
}


void
ngx_sf_listen_lease_yield(ngx_sf_listen_t *l)
{
    if (l->source->owner == ngx_pid) {
        l->source->owner = 0;
    }

    if (l->source->candidate == ngx_pid) {
        l->source->candidate = 0;
    }
}

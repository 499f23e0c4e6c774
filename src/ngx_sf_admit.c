
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Which entries stay when the zone is full: those that were used last.
 *
 * All of it is done under the mutex of the zone.
 */


#include "ngx_sf_shm.h"


#define NGX_SF_ADMIT_TOUCH  1000          /* ms between moves in the LRU */


void
ngx_sf_admit_init(ngx_sf_zone_sh_t *sh)
{
    ngx_queue_init(&sh->lru);
}


void
ngx_sf_admit_enter(ngx_sf_zone_t *zone, ngx_sf_node_t *node, ngx_msec_t now)
{
    node->used = now;
    ngx_queue_insert_tail(&zone->sh->lru, &node->lru);
}


void
ngx_sf_admit_leave(ngx_sf_zone_t *zone, ngx_sf_node_t *node)
{
    ngx_queue_remove(&node->lru);
}


void
ngx_sf_admit_hit(ngx_sf_zone_t *zone, ngx_sf_node_t *node, ngx_msec_t now)
{
    if (now - node->used >= NGX_SF_ADMIT_TOUCH) {
        ngx_sf_admit_leave(zone, node);
        ngx_sf_admit_enter(zone, node, now);
    }
}


ngx_sf_node_t *
ngx_sf_admit_victim(ngx_sf_zone_t *zone)
{
    ngx_queue_t  *q;

    if (ngx_queue_empty(&zone->sh->lru)) {
        return NULL;
    }

    q = ngx_queue_head(&zone->sh->lru);

    return ngx_queue_data(q, ngx_sf_node_t, lru);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_LISTEN_H_INCLUDED_
#define _NGX_SF_LISTEN_H_INCLUDED_


#include "ngx_sf_pg.h"
#include "ngx_sf_shm.h"


typedef struct ngx_sf_listen_s  ngx_sf_listen_t;


/* statement ids that a listener takes, from the one it is given on */

#define NGX_SF_LISTEN_STATEMENTS  7

/* in ms */

#define NGX_SF_LISTEN_LEASE_MIN   1000
#define NGX_SF_LISTEN_LOOK_MIN    250
#define NGX_SF_LISTEN_LOOK_MAX    3600000


/*
 * A worker's listener for one source of a zone: takes part in the election,
 * and while it is elected keeps the source's generations and its lease.  pool
 * is that of the primary, or of the upstream named by its softfactory_listen.
 * Memory is the cycle's; NULL when it is short.
 */
ngx_sf_listen_t *ngx_sf_listen_create(ngx_cycle_t *cycle,
    ngx_sf_zone_t *zone, ngx_sf_source_t *source,
    const ngx_sf_pg_conf_t *primary, ngx_sf_pg_pool_t *pool,
    ngx_uint_t first_id);

/* gives the office up; before the pool is destroyed */
void ngx_sf_listen_destroy(ngx_sf_listen_t *listen);

/* another worker asks for a heartbeat now, or has changed the election */
void ngx_sf_listen_nudge(ngx_sf_listen_t *listen);


#endif /* _NGX_SF_LISTEN_H_INCLUDED_ */

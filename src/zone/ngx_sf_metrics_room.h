
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_METRICS_ROOM_H_INCLUDED_
#define _NGX_SF_METRICS_ROOM_H_INCLUDED_


#include "ngx_sf_metrics.h"


/*
 * What ngx_sf_metrics.c has for ngx_sf_metrics_room.c, which it does not know;
 * no other file includes it.
 */

/* bytes of the arrays of counters; of all arrays of a slot */
size_t ngx_sf_metrics_counts_size(const ngx_sf_metrics_room_t *room);
size_t ngx_sf_metrics_slot_size(const ngx_sf_metrics_room_t *room);

/* says where the arrays are, from p on; returns their end */
u_char *ngx_sf_metrics_lay_counts(ngx_sf_counts_t *counts,
    const ngx_sf_metrics_room_t *room, u_char *p);
u_char *ngx_sf_metrics_lay_slot(ngx_sf_metrics_slot_t *slot,
    const ngx_sf_metrics_room_t *room, u_char *p);

/* the place of a name, NGX_SF_METRICS_UNKNOWN: it has none (m) */
ngx_uint_t ngx_sf_metrics_endpoint(const ngx_sf_metrics_sh_t *sh,
    const ngx_str_t *name);

/* whether a worker with a slot uses a place (m) */
ngx_uint_t ngx_sf_metrics_inhabited(const ngx_sf_metrics_sh_t *sh,
    ngx_uint_t place);

/* adds counters with that room to a sum; one for readers has no spans */
void ngx_sf_metrics_gather(ngx_sf_counts_t *sum, const ngx_sf_counts_t *counts,
    const ngx_sf_metrics_room_t *room);


#endif /* _NGX_SF_METRICS_ROOM_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What the files of a flight have in common; no other file includes it.  They
 * know only those before them:
 *
 *     wait, result, flight
 */


#ifndef _NGX_SF_FLIGHT_H_INCLUDED_
#define _NGX_SF_FLIGHT_H_INCLUDED_


#include "ngx_sf_http.h"


#define NGX_SF_FLIGHT_BUCKETS  1024


/* --- ngx_sf_flight_wait.c: who makes it, and who waits for it --- */

/* what is read after this is good while none of these counters moves */
void ngx_sf_flight_stamp(ngx_sf_flight_t *flight);

/*
 * Looks in the zone, for the right to make what is not there.  NGX_OK: it is,
 * in *found; NGX_AGAIN: another worker is at it; NGX_DECLINED: the flight makes
 * it, and has the claim unless the zone had no room for one.
 */
ngx_int_t ngx_sf_flight_claim(ngx_sf_flight_t *flight, ngx_sf_found_t *found);

/* another worker is at it: the timer's handler is called to look again */
void ngx_sf_flight_wait(ngx_sf_flight_t *flight);

/*
 * For a flight that has waited.  NGX_OK: it can land; NGX_AGAIN: it waits on;
 * NGX_DECLINED: it makes the resource.
 */
ngx_int_t ngx_sf_flight_look_again(ngx_sf_flight_t *flight);

/* back-pressure or an outage: what there is, if it may be shown */
void ngx_sf_flight_substitute(ngx_sf_flight_t *flight);


/* --- ngx_sf_flight_result.c: what becomes of a response --- */

/* ends the claim: errors are not stored, the next request asks again */
void ngx_sf_flight_store(ngx_sf_flight_t *flight);

/*
 * The slowest member holds the body, so it is shared with other flights that
 * have made the same.  When there is no room for it, it may be in the zone all
 * the same: who asks again is sent that.
 */
void ngx_sf_flight_keep(ngx_sf_flight_t *flight);


#endif /* _NGX_SF_FLIGHT_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What the files of a flight have in common; no other file of src includes it.
 * They know only those before them:
 *
 *     state, wait, result, flight
 */


#ifndef _NGX_SF_FLIGHT_H_INCLUDED_
#define _NGX_SF_FLIGHT_H_INCLUDED_


#include "ngx_sf_http.h"


#define NGX_SF_FLIGHT_BUCKETS  1024


/* --- ngx_sf_flight_state.c: states of flights, and places in them --- */

void ngx_sf_flight_set_state(ngx_sf_flight_t *flight,
    ngx_sf_flight_state_e state);

/*
 * The youngest one under a key, or NULL.  A flight goes by the rules of the
 * location it began in, and those that pass the zone by are apart.
 */
ngx_sf_flight_t *ngx_sf_flight_find(ngx_sf_worker_t *worker,
    const ngx_sf_key_t *key, const ngx_sf_lookup_t *lookup);

/* makes a flight one that is found, in place of the old one, or NULL */
ngx_int_t ngx_sf_flight_link(ngx_sf_flight_t *flight, const ngx_sf_key_t *key,
    ngx_sf_flight_t *old);

/* takes a place.  NGX_OK: it has landed; NGX_AGAIN: the handler is called */
ngx_int_t ngx_sf_flight_enter(ngx_sf_flight_t *flight, ngx_sf_wait_t *wait);

/*
 * The same in one that was found: a query that waits for a turn waits for that
 * of the joining principal from now on, if there is one.
 */
ngx_int_t ngx_sf_flight_join(ngx_sf_flight_t *flight, ngx_sf_wait_t *wait);

/* nothing more comes: all that wait are told; the caller has a place in it */
void ngx_sf_flight_land(ngx_sf_flight_t *flight);

/* a place of its own, and giving that up */
void ngx_sf_flight_hold(ngx_sf_flight_t *flight);
void ngx_sf_flight_let_go(ngx_sf_flight_t *flight);

/*
 * A flight that only the zone may wait for loses its own place, if nobody in
 * the zone does; a ping goes on.  running: also one whose statement was sent.
 * Whether it lost it.
 */
ngx_uint_t ngx_sf_flight_give_up(ngx_sf_flight_t *flight, ngx_uint_t running);

/* gives up a place of the caller, which may have been the last one */
void ngx_sf_flight_release(ngx_sf_flight_t *flight);

/*
 * query.wanted: asked before a statement is sent, as claims may have been taken
 * over since the last client left, and when one that runs holds up others.
 */
ngx_uint_t ngx_sf_flight_wanted(ngx_sf_pg_query_t *q);

/* nobody has a place in it */
void ngx_sf_flight_end(ngx_sf_flight_t *flight);


/* --- ngx_sf_flight_wait.c: waiting for another worker --- */

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
 * the same: a request that comes later is sent that.
 */
void ngx_sf_flight_keep(ngx_sf_flight_t *flight);


#endif /* _NGX_SF_FLIGHT_H_INCLUDED_ */

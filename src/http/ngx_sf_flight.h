
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What the files of a flight have in common; no other file includes it.  They
 * know only those before them:
 *
 *     result, flight
 */


#ifndef _NGX_SF_FLIGHT_H_INCLUDED_
#define _NGX_SF_FLIGHT_H_INCLUDED_


#include "ngx_sf_http.h"


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

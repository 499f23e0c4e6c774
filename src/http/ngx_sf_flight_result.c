
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What flights bring: where a response is kept that was made of rows, and what
 * the requests that have a place find there.
 *
 * A response goes into the zone, whose copy is for requests that come later,
 * and stays with the flight for those that wait.  When it is large, the worker
 * keeps one copy of it for all flights that have made the same.
 *
 * Nothing here knows in which state a flight is.
 */


#include "ngx_sf_flight.h"


static uint32_t ngx_sf_flight_principal(const ngx_sf_flight_t *flight);


void
ngx_sf_flight_store(ngx_sf_flight_t *flight)
{
    ngx_sf_content_t  response;

    if (flight->outcome != NGX_SF_PG_OK
        || flight->found.status == NGX_SF_CACHE_STALE
        || flight->status != NGX_HTTP_OK)
    {
        ngx_sf_cache_abandon(flight->zone, &flight->claim);
        return;
    }

    response.stamp = &flight->stamp;
    response.created = flight->created;
    response.deadline = flight->deadline;
    response.incoherent = flight->incoherent;
    response.owner = flight->fresh.owner;
    response.etag = flight->tagged ? flight->etag : NULL;
    response.data = flight->body.data;
    response.len = flight->body.len;

    ngx_sf_cache_store(flight->zone, &flight->claim, &response,
                       flight->lookup.slcf->max_entry);
}


void
ngx_sf_flight_keep(ngx_sf_flight_t *flight)
{
    u_char  *data;

    data = flight->body.data;
    flight->outcome = ngx_sf_body_copy(flight->worker, &flight->body,
                                       ngx_sf_flight_principal(flight),
                                       &flight->copy);

    if (flight->copy) {
        flight->body.data = flight->copy->data;

    } else {
        ngx_sf_pg_result_trim(flight->body.len);
        ngx_str_null(&flight->body);
    }

    (void) ngx_pfree(flight->pool, data);
}


/* the principal that waits, 0: there are several */

static uint32_t
ngx_sf_flight_principal(const ngx_sf_flight_t *flight)
{
    uint32_t        principal;
    ngx_queue_t    *node;
    ngx_sf_wait_t  *wait;

    principal = flight->query.principal;

    for (node = ngx_queue_head(&flight->waiters);
         node != ngx_queue_sentinel(&flight->waiters);
         node = ngx_queue_next(node))
    {
        wait = ngx_queue_data(node, ngx_sf_wait_t, queue);

        if (wait->principal != principal) {
            return 0;
        }
    }

    return principal;
}


void
ngx_sf_flight_times(const ngx_sf_flight_t *flight, uint64_t *queue,
    uint64_t *db, u_char sqlstate[6])
{
    const ngx_sf_pg_query_t  *q;

    q = &flight->query;

    *queue += flight->queue_time;
    *db += flight->db_time;

    if (q->done) {
        *queue += (q->sent ? q->sent : q->done) - q->submitted;
        *db += q->sent ? q->done - q->sent : 0;
    }

    /* that of an attempt which was repeated is no reason */

    if (flight->outcome != NGX_SF_PG_OK
        && (flight->sqlstate[0] || q->sqlstate[0]))
    {
        ngx_memcpy(sqlstate, flight->sqlstate[0] ? (char *) flight->sqlstate
                                                 : q->sqlstate, 6);
    }
}


ngx_sf_pg_outcome_e
ngx_sf_flight_outcome(const ngx_sf_wait_t *wait)
{
    return wait->found.value ? NGX_SF_PG_OK
           : wait->flight ? wait->flight->outcome : NGX_SF_PG_FAILED;
}


ngx_sf_entry_t *
ngx_sf_flight_entry(const ngx_sf_wait_t *wait)
{
    return wait->found.value ? wait->found.value
           : wait->flight ? wait->flight->found.value : NULL;
}


ngx_str_t
ngx_sf_flight_body(const ngx_sf_wait_t *wait)
{
    ngx_str_t        body;
    ngx_sf_entry_t  *value;

    value = ngx_sf_flight_entry(wait);

    if (value == NULL) {
        return wait->flight->body;
    }

    body.data = value->data;
    body.len = value->len;

    return body;
}

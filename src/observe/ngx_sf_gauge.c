
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Gauges: what a worker tells of its pools, once a second, and whenever it is
 * asked for all of them.  Nothing on the way of a request is touched by it.
 *
 * A counter is added to where something happens; a gauge is the state of the
 * worker's own lists, copied to its part of shared memory (ngx_sf_metrics.h).
 * A sum over the workers is as old as the last second of each.
 */


#include "ngx_sf_observe.h"


#define NGX_SF_GAUGE_PERIOD  1000         /* ms */


/* where in shared memory the gauges of a pool are; NGX_ERROR: nowhere */

struct ngx_sf_places_s {
    ngx_int_t                   upstream;
    ngx_int_t                  *servers;
};


static void ngx_sf_gauge_handler(ngx_event_t *ev);
static ngx_int_t ngx_sf_gauge_place(ngx_sf_worker_t *worker, ngx_uint_t i);
static void ngx_sf_gauge_pool(ngx_sf_worker_t *worker, ngx_uint_t i);
static void ngx_sf_gauge_lane(ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *of, ngx_sf_lane_gauge_t *gauge);
static ngx_uint_t ngx_sf_gauge_state(const ngx_sf_pg_conn_t *pgc);
static void ngx_sf_gauge_add(void *sum, const void *gauges, size_t size);


/*
 * The places are asked for by name, once.  The timer is cancelable: a worker
 * that shuts down does not stay for it.
 */

ngx_int_t
ngx_sf_gauges_start(ngx_sf_worker_t *worker)
{
    ngx_uint_t  i, n;

    n = worker->smcf->pools.nelts;

    worker->places = ngx_pcalloc(worker->cycle->pool,
                                 n * sizeof(ngx_sf_places_t));
    if (worker->places == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (ngx_sf_gauge_place(worker, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    worker->second.handler = ngx_sf_gauge_handler;
    worker->second.data = worker;
    worker->second.log = worker->cycle->log;
    worker->second.cancelable = 1;

    ngx_sf_gauge_handler(&worker->second);

    return NGX_OK;
}


void
ngx_sf_gauges_stop(ngx_sf_worker_t *worker)
{
    if (worker->second.timer_set) {
        ngx_del_timer(&worker->second);
    }
}


/*
 * An upstream or a server without a place is served like any other, but not
 * shown.
 */

static ngx_int_t
ngx_sf_gauge_place(ngx_sf_worker_t *worker, ngx_uint_t i)
{
    ngx_uint_t          n;
    ngx_sf_places_t    *places;
    ngx_sf_metrics_t   *metrics;
    ngx_sf_pg_pool_t   *pool;

    metrics = worker->smcf->metrics;
    places = &worker->places[i];
    pool = worker->pools[i];

    places->servers = ngx_palloc(worker->cycle->pool,
                                 pool->nservers * sizeof(ngx_int_t));
    if (places->servers == NULL) {
        return NGX_ERROR;
    }

    places->upstream = ngx_sf_metrics_upstream(metrics, &pool->conf->name);

    for (n = 0; n < pool->nservers; n++) {
        places->servers[n] = places->upstream == NGX_ERROR ? NGX_ERROR
                             : ngx_sf_metrics_server(metrics,
                                               places->upstream,
                                               &pool->servers[n].conf->name);

        if (places->servers[n] == NGX_ERROR) {
            ngx_log_error(NGX_LOG_WARN, worker->cycle->log, 0,
                          "softfactory: metrics have no room for server "
                          "\"%V\" of upstream \"%V\"",
                          &pool->servers[n].conf->name, &pool->conf->name);
        }
    }

    return NGX_OK;
}


static void
ngx_sf_gauge_handler(ngx_event_t *ev)
{
    ngx_sf_worker_t  *worker;

    worker = ev->data;

    ngx_sf_gauges_publish(worker);
    ngx_sf_sample_take(worker->smcf->metrics, worker->cycle->log);

    ngx_add_timer(ev, NGX_SF_GAUGE_PERIOD);
}


/* evictions and disconnects are counted elsewhere, and copied here */

void
ngx_sf_gauges_publish(ngx_sf_worker_t *worker)
{
    ngx_uint_t       i, evictions;
    ngx_sf_zone_t  **zone;

    for (i = 0; i < worker->smcf->pools.nelts; i++) {
        ngx_sf_gauge_pool(worker, i);
    }

    zone = worker->smcf->zones.elts;
    evictions = 0;

    for (i = 0; i < worker->smcf->zones.nelts; i++) {
        if (zone[i]->slot) {
            evictions += zone[i]->slot->stats.evictions;
        }
    }

    worker->smcf->metrics->slot->counts.evictions = evictions;
    worker->smcf->metrics->slot->bodies = worker->bodies.bytes;
}


static void
ngx_sf_gauge_pool(ngx_sf_worker_t *worker, ngx_uint_t i)
{
    ngx_uint_t                n, lane;
    ngx_sf_places_t          *places;
    ngx_sf_pg_pool_t         *pool;
    ngx_sf_server_gauge_t     server;
    ngx_sf_metrics_slot_t    *slot;
    ngx_sf_upstream_gauge_t  *upstream;

    pool = worker->pools[i];
    slot = worker->smcf->metrics->slot;
    places = &worker->places[i];

    if (places->upstream == NGX_ERROR) {
        return;
    }

    upstream = &slot->upstreams[places->upstream];
    upstream->up = !ngx_sf_pg_is_down(pool);
    upstream->queue_max = pool->conf->queue;

    for (n = 0; n < NGX_SF_PG_CLOSE_REASONS; n++) {
        slot->counts.disconnects[places->upstream][n] = pool->closed[n];
    }

    for (n = 0; n < NGX_SF_PG_LANES; n++) {
        upstream->queue[n] = pool->lanes[n].nwaiting;
    }

    /* a worker that reads this meanwhile finds what was, or what is */

    for (n = 0; n < pool->nservers; n++) {
        if (places->servers[n] == NGX_ERROR) {
            continue;
        }

        server.used = 1;

        for (lane = 0; lane < NGX_SF_PG_LANES; lane++) {
            ngx_sf_gauge_lane(&pool->lanes[lane], &pool->servers[n],
                              &server.lanes[lane]);
        }

        slot->servers[places->servers[n]] = server;
    }
}


/*
 * Closed ones count as well in what could be in flight; spare ones do not, as
 * they only stand in for others.
 */

static void
ngx_sf_gauge_lane(ngx_sf_pg_lane_t *lane, const ngx_sf_pg_server_t *of,
    ngx_sf_lane_gauge_t *gauge)
{
    ngx_uint_t         state;
    ngx_queue_t       *q, *head;
    ngx_sf_pg_conn_t  *pgc;

    ngx_memzero(gauge, sizeof(ngx_sf_lane_gauge_t));

    for (state = 0; state < NGX_SF_PG_CONN_STATES; state++) {
        head = &lane->conns[state];

        for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
            pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

            if (pgc->server != of) {
                continue;
            }

            if (!pgc->spare) {
                gauge->statements_max += ngx_sf_pg_lane_depth(lane, of);
            }

            if (state != NGX_SF_PG_CONN_CLOSED) {
                gauge->conns[ngx_sf_gauge_state(pgc)]++;
                gauge->statements += pgc->outstanding;
            }
        }
    }
}


static ngx_uint_t
ngx_sf_gauge_state(const ngx_sf_pg_conn_t *pgc)
{
    switch (pgc->state) {

    case NGX_SF_PG_CONN_CONNECTING:
        return NGX_SF_GAUGE_CONNECTING;

    case NGX_SF_PG_CONN_DRAINING:
        return NGX_SF_GAUGE_DRAINING;

    default:
        return pgc->outstanding ? NGX_SF_GAUGE_ACTIVE : NGX_SF_GAUGE_IDLE;
    }
}


/* of all that have a slot; a worker that has died counts until it is buried */

ngx_int_t
ngx_sf_gauges_sum(ngx_sf_metrics_t *metrics, ngx_pool_t *pool,
    ngx_sf_gauges_t *sum)
{
    ngx_uint_t                    i;
    ngx_sf_metrics_slot_t        *slot;
    const ngx_sf_metrics_room_t  *room;

    room = &metrics->sh->room;

    ngx_memzero(sum, sizeof(ngx_sf_gauges_t));

    sum->servers = ngx_pcalloc(pool, room->servers
                                     * sizeof(ngx_sf_server_gauge_t));
    sum->upstreams = ngx_pcalloc(pool, room->upstreams
                                       * sizeof(ngx_sf_upstream_gauge_t));

    if (sum->servers == NULL || sum->upstreams == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < room->slots; i++) {
        slot = &metrics->sh->slots[i];

        if (slot->pid) {
            sum->workers++;
            sum->memory += slot->memory;
            sum->bodies += slot->bodies;

            ngx_sf_gauge_add(sum->servers, slot->servers,
                             room->servers * sizeof(ngx_sf_server_gauge_t));
            ngx_sf_gauge_add(sum->upstreams, slot->upstreams,
                             room->upstreams
                             * sizeof(ngx_sf_upstream_gauge_t));
        }
    }

    return NGX_OK;
}


/* all members are ngx_uint_t, so a structure is added up as an array of them */

static void
ngx_sf_gauge_add(void *sum, const void *gauges, size_t size)
{
    ngx_uint_t         i, *to;
    const ngx_uint_t  *from;

    to = sum;
    from = gauges;

    for (i = 0; i < size / sizeof(ngx_uint_t); i++) {
        to[i] += from[i];
    }
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The lane that listens: its subscribers hear what a server tells on its own,
 * and when the connection is closed.
 *
 * The lane connects when a query is submitted to it, and keeps its connection
 * while it has subscribers: the connection has no lifetime, and when its
 * worker begins to exit the subscribers decide.  All of them share it; LISTEN
 * may be said twice.
 *
 * libpq hands notifications out as it meets them in its input.  They are
 * taken before the result that follows them is handled, so the result of any
 * statement of the lane says that the notifications before it have been told:
 * a server sends those that are pending ahead of its ReadyForQuery, and an
 * exclusive lane is answered by that.
 *
 * (PostgreSQL manual, 34.9 Asynchronous Notification.)
 */


#include "ngx_sf_pg.h"


static void ngx_sf_pg_notify_notified(ngx_sf_pg_conn_t *pgc,
    const PGnotify *notify);
static void ngx_sf_pg_notify_closed(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_close_e reason);
static void ngx_sf_pg_notify_exiting(ngx_sf_pg_conn_t *pgc);


static const ngx_sf_pg_tell_t  ngx_sf_pg_notify_tell = {
    ngx_sf_pg_notify_notified,
    ngx_sf_pg_notify_closed,
    ngx_sf_pg_notify_exiting
};


void
ngx_sf_pg_notify_init(ngx_sf_pg_pool_t *pool)
{
    ngx_queue_init(&pool->subscribers);

    pool->lanes[NGX_SF_PG_LISTEN].tell = &ngx_sf_pg_notify_tell;
}


void
ngx_sf_pg_notify_subscribe(ngx_sf_pg_pool_t *pool,
    ngx_sf_pg_subscriber_t *sub)
{
    ngx_queue_insert_tail(&pool->subscribers, &sub->queue);
}


void
ngx_sf_pg_notify_unsubscribe(ngx_sf_pg_pool_t *pool,
    ngx_sf_pg_subscriber_t *sub)
{
    ngx_queue_remove(&sub->queue);

    if (ngx_queue_empty(&pool->subscribers)) {
        ngx_sf_pg_notify_hang_up(pool, NGX_SF_PG_CLOSE_RETIRED);
    }
}


void
ngx_sf_pg_notify_hang_up(ngx_sf_pg_pool_t *pool, ngx_sf_pg_close_e reason)
{
    ngx_uint_t         state;
    ngx_queue_t       *q, *next, *head;
    ngx_sf_pg_conn_t  *pgc;

    for (state = NGX_SF_PG_CONN_CONNECTING;
         state < NGX_SF_PG_CONN_STATES;
         state++)
    {
        head = &pool->lanes[NGX_SF_PG_LISTEN].conns[state];

        for (q = ngx_queue_head(head); q != head; q = next) {
            next = ngx_queue_next(q);
            pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

            if (reason == NGX_SF_PG_CLOSE_STANDBY && !pgc->leaving) {
                ngx_sf_pg_server_failed(pgc->server);
            }

            ngx_sf_pg_conn_leave(pgc, reason);
        }
    }
}


static void
ngx_sf_pg_notify_notified(ngx_sf_pg_conn_t *pgc, const PGnotify *notify)
{
    ngx_queue_t             *q, *next, *head;
    ngx_sf_pg_subscriber_t  *sub;

    head = &pgc->lane->pool->subscribers;

    for (q = ngx_queue_head(head); q != head; q = next) {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_sf_pg_subscriber_t, queue);

        sub->notified(sub, notify);
    }
}


static void
ngx_sf_pg_notify_closed(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    ngx_queue_t             *q, *next, *head;
    ngx_sf_pg_subscriber_t  *sub;

    head = &pgc->lane->pool->subscribers;

    for (q = ngx_queue_head(head); q != head; q = next) {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_sf_pg_subscriber_t, queue);

        sub->closed(sub, reason);
    }
}


static void
ngx_sf_pg_notify_exiting(ngx_sf_pg_conn_t *pgc)
{
    ngx_queue_t             *q, *next, *head;
    ngx_sf_pg_subscriber_t  *sub;

    head = &pgc->lane->pool->subscribers;

    for (q = ngx_queue_head(head); q != head; q = next) {
        next = ngx_queue_next(q);
        sub = ngx_queue_data(q, ngx_sf_pg_subscriber_t, queue);

        sub->exiting(sub);
    }
}

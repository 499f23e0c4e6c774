
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Turns: how many statements a principal may have under way in a lane.
 *
 * A statement cannot be taken back, so a principal with statements on all
 * connections of a lane would make the others wait for them.  A principal has a
 * share of the lane, which is less than the lane where that has more than one
 * connection: so many turns.  A query needs one to stand in the line of its
 * endpoint; those that find none are parked with their principal, in their
 * order, and each turn that comes back lets one of them into its line.  A user
 * with twenty searches and one with a single one so go by turns.
 *
 * One whose endpoint has to wait for an old head yields its turn to another of
 * its principal, once in each turn of the event loop: else a user with a query
 * for a locked table would wait for that with all the other ones.
 *
 * The turn of a statement that was sent comes back with its result and not
 * before: the client may be gone, but the connection is still at it.
 *
 * Nobody (0) has any number of turns: a query of the module's own.
 */


#include "ngx_sf_pg.h"


#define NGX_SF_PG_PRINCIPALS  256         /* buckets of a lane */


struct ngx_sf_pg_principal_s {
    ngx_queue_t                 queue;    /* bucket, or lane->idle */
    ngx_sf_pg_lane_t           *lane;
    uint32_t                    id;
    ngx_uint_t                  turns;    /* in the line or under way */
    ngx_uint_t                  under_way;
    ngx_uint_t                  waiting;  /* in the line or parked */
    ngx_queue_t                 parked;   /* of ngx_sf_pg_query_t.place */
    uint64_t                    yielded;  /* pool->now of the last time */
};


static ngx_queue_t *ngx_sf_pg_turn_bucket(const ngx_sf_pg_lane_t *lane,
    uint32_t id);
static ngx_sf_pg_principal_t *ngx_sf_pg_turn_find(const ngx_sf_pg_lane_t *lane,
    uint32_t id);
static ngx_sf_pg_principal_t *ngx_sf_pg_turn_create(ngx_sf_pg_lane_t *lane,
    uint32_t id);
static void ngx_sf_pg_turn_forget(ngx_sf_pg_principal_t *p);


ngx_int_t
ngx_sf_pg_turns_init(ngx_pool_t *pool, ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t  i;

    ngx_queue_init(&lane->parked);
    ngx_queue_init(&lane->idle);

    lane->principals = ngx_palloc(pool, NGX_SF_PG_PRINCIPALS
                                        * sizeof(ngx_queue_t));
    if (lane->principals == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_SF_PG_PRINCIPALS; i++) {
        ngx_queue_init(&lane->principals[i]);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_sf_pg_turn_waiting(const ngx_sf_pg_lane_t *lane, uint32_t id,
    ngx_uint_t *under_way)
{
    ngx_sf_pg_principal_t  *p;

    p = ngx_sf_pg_turn_find(lane, id);

    *under_way = p ? p->under_way : 0;

    return p ? p->waiting : 0;
}


/* one that is sent again has had its turn, and gets another at once */

ngx_uint_t
ngx_sf_pg_turn_wait(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q,
    ngx_uint_t share)
{
    ngx_sf_pg_principal_t  *p;

    if (q->turn) {
        q->turn->turns--;

    } else if (q->principal) {
        q->turn = ngx_sf_pg_turn_find(lane, q->principal);

        if (q->turn == NULL) {
            q->turn = ngx_sf_pg_turn_create(lane, q->principal);
        }
    }

    p = q->turn;

    if (p == NULL) {
        return 1;
    }

    p->waiting++;

    if (q->sent == 0 && p->turns >= share) {
        q->parked = 1;
        ngx_queue_insert_tail(&p->parked, &q->place);
        return 0;
    }

    p->turns++;

    return 1;
}


ngx_uint_t
ngx_sf_pg_turn_under_way(const ngx_sf_pg_query_t *q)
{
    return q->turn ? q->turn->under_way : 0;
}


void
ngx_sf_pg_turn_take(ngx_sf_pg_query_t *q)
{
    ngx_sf_pg_principal_t  *p;

    p = q->turn;

    if (p == NULL) {
        return;
    }

    p->waiting--;

    if (q->parked) {
        ngx_queue_remove(&q->place);
        q->parked = 0;
        q->turn = NULL;
        ngx_sf_pg_turn_forget(p);
    }
}


ngx_sf_pg_principal_t *
ngx_sf_pg_turn_sent(ngx_sf_pg_query_t *q)
{
    ngx_sf_pg_principal_t  *p;

    p = q->turn;
    q->turn = NULL;

    if (p) {
        p->under_way++;
    }

    return p;
}


ngx_sf_pg_lane_t *
ngx_sf_pg_turn_lane(const ngx_sf_pg_principal_t *p)
{
    return p->lane;
}


ngx_sf_pg_query_t *
ngx_sf_pg_turn_over(ngx_sf_pg_principal_t *p, ngx_uint_t sent,
    ngx_uint_t share)
{
    ngx_queue_t        *node;
    ngx_sf_pg_query_t  *q;

    p->turns--;
    p->under_way -= sent;

    if (p->turns >= share || ngx_queue_empty(&p->parked)) {
        ngx_sf_pg_turn_forget(p);
        return NULL;
    }

    node = ngx_queue_head(&p->parked);
    q = ngx_queue_data(node, ngx_sf_pg_query_t, place);

    ngx_queue_remove(node);
    q->parked = 0;
    p->turns++;

    return q;
}


ngx_sf_pg_query_t *
ngx_sf_pg_turn_yield(ngx_sf_pg_query_t *q)
{
    ngx_queue_t            *node;
    ngx_sf_pg_query_t      *other;
    ngx_sf_pg_principal_t  *p;

    p = q->turn;

    if (p == NULL || q->sent || p->yielded == p->lane->pool->now) {
        return NULL;
    }

    for (node = ngx_queue_head(&p->parked);
         node != ngx_queue_sentinel(&p->parked);
         node = ngx_queue_next(node))
    {
        other = ngx_queue_data(node, ngx_sf_pg_query_t, place);

        if (other->line == q->line) {
            continue;
        }

        ngx_queue_remove(node);
        other->parked = 0;

        q->parked = 1;
        ngx_queue_insert_tail(&p->parked, &q->place);

        p->yielded = p->lane->pool->now;

        return other;
    }

    return NULL;
}


static ngx_queue_t *
ngx_sf_pg_turn_bucket(const ngx_sf_pg_lane_t *lane, uint32_t id)
{
    return &lane->principals[id % NGX_SF_PG_PRINCIPALS];
}


static ngx_sf_pg_principal_t *
ngx_sf_pg_turn_find(const ngx_sf_pg_lane_t *lane, uint32_t id)
{
    ngx_queue_t            *node, *bucket;
    ngx_sf_pg_principal_t  *p;

    bucket = ngx_sf_pg_turn_bucket(lane, id);

    for (node = ngx_queue_head(bucket); node != bucket;
         node = ngx_queue_next(node))
    {
        p = ngx_queue_data(node, ngx_sf_pg_principal_t, queue);

        if (p->id == id) {
            return p;
        }
    }

    return NULL;
}


/*
 * They are kept for others when they have nothing here any more, so there are
 * never more than queries at a time.  NULL: memory is short, and the query goes
 * as one of nobody.
 */

static ngx_sf_pg_principal_t *
ngx_sf_pg_turn_create(ngx_sf_pg_lane_t *lane, uint32_t id)
{
    ngx_queue_t            *node;
    ngx_sf_pg_principal_t  *p;

    if (ngx_queue_empty(&lane->idle)) {
        p = ngx_palloc(lane->pool->memory, sizeof(ngx_sf_pg_principal_t));
        if (p == NULL) {
            return NULL;
        }

    } else {
        node = ngx_queue_head(&lane->idle);
        ngx_queue_remove(node);
        p = ngx_queue_data(node, ngx_sf_pg_principal_t, queue);
    }

    ngx_memzero(p, sizeof(ngx_sf_pg_principal_t));

    p->id = id;
    p->lane = lane;
    ngx_queue_init(&p->parked);
    ngx_queue_insert_head(ngx_sf_pg_turn_bucket(lane, id), &p->queue);

    return p;
}


static void
ngx_sf_pg_turn_forget(ngx_sf_pg_principal_t *p)
{
    if (p->turns == 0 && p->waiting == 0) {
        ngx_queue_remove(&p->queue);
        ngx_queue_insert_head(&p->lane->idle, &p->queue);
    }
}

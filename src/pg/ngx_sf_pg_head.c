
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Heads: whom the age of a connection's first statement holds up.
 *
 * In a pipeline everything waits behind the head.  That one is slow says
 * nothing yet; that one is much slower than its endpoint always was says that
 * it is held up, by a lock most likely, and so will others be that read the
 * same tables.  So the head is a sensor, of which one is enough:
 *
 *   young    nothing is put behind a head older than 5 ms
 *   blame    a head older than 8 times what its endpoint takes, and 1 ms,
 *            bars that endpoint, and all that share a table with it which is
 *            not proved: from which nothing has come back in time that was
 *            sent after the head began
 *   probe    of an endpoint that shares some of the head's tables, but not
 *            all, one statement goes, and proves them or is a sensor too.  Two
 *            sensors are to blame on what they have in common
 *   late     what stands behind a head older than that, and 20 ms, is sent
 *            again elsewhere, and so is a unit of several statements, whose
 *            results come together: the statement at its head may not be to
 *            blame, and afterwards none is, since each was sent alone
 *
 *   stand-in a connection whose head is held up is made good by a spare one.
 *            In a heavy lane that is one that is to blame, and older than 50
 *            ms, or than a second where it is not known yet what its endpoint
 *            takes: there a head is often slow without being late
 *
 * Sending again early makes an overload out of a slow table: the results that
 * it throws away cost as much as those that are waited for.
 *
 * A write waits for rows, which its neighbours need not want: in an exclusive
 * lane nobody is to blame.  All times are those of the turn, pool->now, and
 * servers are judged apart.
 */


#include "ngx_sf_pg.h"


/* microseconds */

#define NGX_SF_PG_HEAD_YOUNG   5000
#define NGX_SF_PG_HEAD_OLD     1000
#define NGX_SF_PG_HEAD_LATE    20000
#define NGX_SF_PG_HEAD_HELD    50000
#define NGX_SF_PG_HEAD_LOOK    1000000

/* of what an endpoint takes */

#define NGX_SF_PG_HEAD_TIMES   8

/*
 * A result of the read lane that took longer was held up, and is no measure;
 * of a heavy one no more than that is believed at first
 */

#define NGX_SF_PG_HEAD_MEASURE 1000000

/* weight of a result in the mean: one in 16, by which it is stored */

#define NGX_SF_PG_HEAD_WEIGHT  16


static void ngx_sf_pg_head_measured(const ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_line_t *line, uint64_t age, ngx_uint_t unit);
static uint64_t ngx_sf_pg_head_limit(const ngx_sf_pg_line_t *line,
    uint64_t floor);
static uint64_t ngx_sf_pg_head_patience(const ngx_sf_pg_line_t *line);
static ngx_uint_t ngx_sf_pg_head_unproved(const ngx_sf_pg_conn_t *pgc,
    ngx_uint_t tables);
static ngx_uint_t ngx_sf_pg_head_stands_for(const ngx_sf_pg_conn_t *pgc,
    const ngx_sf_pg_line_t *line);
static ngx_uint_t ngx_sf_pg_head_running(const ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *server);


static ngx_inline ngx_sf_pg_slot_t *
ngx_sf_pg_head(const ngx_sf_pg_conn_t *pgc)
{
    return &pgc->fifo[pgc->head];
}


/* ngx_sf_pg_head_age(), without a call for each */

static ngx_inline uint64_t
ngx_sf_pg_head_time(const ngx_sf_pg_conn_t *pgc)
{
    uint64_t  now, since;

    if (pgc->count == 0) {
        return 0;
    }

    now = pgc->lane->pool->now;
    since = ngx_sf_pg_head(pgc)->since;

    return now > since ? now - since : 0;
}


void
ngx_sf_pg_head_begin(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_head(pgc)->since = pgc->lane->pool->now;

    pgc->late = 0;
    pgc->apart = 0;
}


/* the time of a unit is that of all its statements */

void
ngx_sf_pg_head_answered(ngx_sf_pg_conn_t *pgc)
{
    uint64_t           age;
    ngx_uint_t         i, tables;
    ngx_sf_pg_line_t  *line;
    ngx_sf_pg_slot_t  *slot;

    slot = ngx_sf_pg_head(pgc);
    line = slot->line;
    age = ngx_sf_pg_head_time(pgc);

    if (age <= ngx_sf_pg_head_limit(line, NGX_SF_PG_HEAD_OLD)) {
        for (tables = line->tables; tables; tables &= tables - 1) {
            i = ffsl((long) tables) - 1;

            if (pgc->server->proved[i] < slot->sent) {
                pgc->server->proved[i] = slot->sent;
            }
        }
    }

    if (slot->first) {
        ngx_sf_pg_head_measured(pgc->lane, line, age,
                                ngx_sf_pg_head_unit(pgc));
    }
}


/*
 * In a heavy lane an endpoint may always take more than a second, so nothing is
 * left out; but one result moves the mean by half at most, lest those that a
 * lock has held up hide the next one.
 */

static void
ngx_sf_pg_head_measured(const ngx_sf_pg_lane_t *lane, ngx_sf_pg_line_t *line,
    uint64_t age, ngx_uint_t unit)
{
    uint64_t  limit;

    if (ngx_sf_pg_heavy(lane)) {

        if (line->mean == 0) {
            line->mean = NGX_SF_PG_HEAD_WEIGHT
                         * ngx_min(age, NGX_SF_PG_HEAD_MEASURE);
            return;
        }

        if (age < line->mean / NGX_SF_PG_HEAD_WEIGHT / NGX_SF_PG_HEAD_TIMES) {
            line->mean /= 2;
            return;
        }

        limit = ngx_sf_pg_head_limit(line, NGX_SF_PG_HEAD_LATE);
        age = ngx_min(age, limit);

    } else if (age >= NGX_SF_PG_HEAD_MEASURE) {
        return;
    }

    line->mean += age / ngx_max(unit, 1);
    line->mean -= line->mean / NGX_SF_PG_HEAD_WEIGHT;
}


ngx_uint_t
ngx_sf_pg_head_unit(const ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t         i, n;
    ngx_sf_pg_slot_t  *slot;

    n = 0;

    for (i = 0; i < pgc->count; i++) {
        slot = &pgc->fifo[(pgc->head + i) % pgc->nfifo];

        if (slot->kind == NGX_SF_PG_SLOT_SYNC) {
            break;
        }

        n += slot->kind == NGX_SF_PG_SLOT_EXECUTE;
    }

    return n;
}


uint64_t
ngx_sf_pg_head_age(const ngx_sf_pg_conn_t *pgc)
{
    return ngx_sf_pg_head_time(pgc);
}


uint64_t
ngx_sf_pg_head_late(const ngx_sf_pg_conn_t *pgc)
{
    uint64_t           late;
    ngx_sf_pg_line_t  *line;

    line = pgc->count ? ngx_sf_pg_head(pgc)->line : NULL;

    if (line && ngx_sf_pg_heavy(pgc->lane)) {
        late = ngx_sf_pg_head_patience(line);

        return ngx_min(late, NGX_SF_PG_HEAD_LOOK);
    }

    return ngx_sf_pg_head_limit(line, NGX_SF_PG_HEAD_LATE);
}


/* how old a head may be: a multiple of what its endpoint takes, and floor */

static uint64_t
ngx_sf_pg_head_limit(const ngx_sf_pg_line_t *line, uint64_t floor)
{
    uint64_t  limit;

    if (line == NULL) {
        return floor;
    }

    limit = NGX_SF_PG_HEAD_TIMES * line->mean / NGX_SF_PG_HEAD_WEIGHT;

    return ngx_max(limit, floor);
}


ngx_uint_t
ngx_sf_pg_head_young(const ngx_sf_pg_conn_t *pgc)
{
    return ngx_sf_pg_head_time(pgc) <= NGX_SF_PG_HEAD_YOUNG;
}


ngx_uint_t
ngx_sf_pg_head_held(const ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_line_t  *line;

    if (!ngx_sf_pg_heavy(pgc->lane)) {
        return !ngx_sf_pg_head_young(pgc);
    }

    line = pgc->count ? ngx_sf_pg_head(pgc)->line : NULL;

    return line && ngx_sf_pg_head_time(pgc) > ngx_sf_pg_head_patience(line);
}


/* the age from which on a head of a heavy lane is held up */

static uint64_t
ngx_sf_pg_head_patience(const ngx_sf_pg_line_t *line)
{
    return ngx_sf_pg_head_limit(line, line->mean ? NGX_SF_PG_HEAD_HELD
                                                 : NGX_SF_PG_HEAD_MEASURE);
}


ngx_sf_pg_line_t *
ngx_sf_pg_head_blames(const ngx_sf_pg_conn_t *pgc)
{
    uint64_t           age;
    ngx_sf_pg_line_t  *line;

    age = ngx_sf_pg_head_time(pgc);

    if (age <= NGX_SF_PG_HEAD_OLD || pgc->apart
        || ngx_sf_pg_exclusive(pgc->lane))
    {
        return NULL;
    }

    line = ngx_sf_pg_head(pgc)->line;

    return line && age > ngx_sf_pg_head_limit(line, NGX_SF_PG_HEAD_OLD)
           ? line : NULL;
}


ngx_sf_pg_pass_e
ngx_sf_pg_head_passes(ngx_sf_pg_lane_t *lane, const ngx_sf_pg_line_t *line,
    const ngx_sf_pg_server_t *server)
{
    ngx_uint_t         state, n, common, suspects;
    ngx_queue_t       *q, *head;
    ngx_sf_pg_conn_t  *pgc;
    ngx_sf_pg_line_t  *old;
    ngx_sf_pg_pass_e   pass;

    pass = NGX_SF_PG_PASS_ALL;
    suspects = (ngx_uint_t) -1;
    n = 0;

    for (state = NGX_SF_PG_CONN_READY; state < NGX_SF_PG_CONN_STATES; state++) {
        head = &lane->conns[state];

        for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
            pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

            old = pgc->server == server ? ngx_sf_pg_head_blames(pgc) : NULL;

            if (old == NULL) {
                continue;
            }

            if (old == line) {
                return NGX_SF_PG_PASS_NONE;
            }

            n++;
            suspects &= ngx_sf_pg_head_unproved(pgc, old->tables);
            common = old->tables & line->tables;

            if (ngx_sf_pg_head_unproved(pgc, common) == 0) {
                continue;
            }

            if (common == old->tables) {
                return NGX_SF_PG_PASS_NONE;
            }

            pass = NGX_SF_PG_PASS_PROBE;
        }
    }

    if (pass == NGX_SF_PG_PASS_ALL) {
        return pass;
    }

    return line->probes
           || (n > 1 && suspects && (line->tables & suspects) == suspects)
           ? NGX_SF_PG_PASS_NONE : NGX_SF_PG_PASS_PROBE;
}


/* those of the tables from which nothing has come since the head began */

static ngx_uint_t
ngx_sf_pg_head_unproved(const ngx_sf_pg_conn_t *pgc, ngx_uint_t tables)
{
    uint64_t    since;
    ngx_uint_t  i, unproved;

    since = ngx_sf_pg_head(pgc)->since;
    unproved = 0;

    for (i = 0; tables; i++, tables >>= 1) {
        if ((tables & 1) && pgc->server->proved[i] <= since) {
            unproved |= (ngx_uint_t) 1 << i;
        }
    }

    return unproved;
}


/*
 * The oldest of the heads for which another old one stands, by which it is seen
 * too when it goes on.
 */

ngx_sf_pg_conn_t *
ngx_sf_pg_head_stuck(ngx_sf_pg_lane_t *lane, const ngx_sf_pg_server_t *server)
{
    ngx_queue_t       *q, *p, *head;
    ngx_sf_pg_conn_t  *pgc, *other, *oldest;
    ngx_sf_pg_line_t  *line;

    oldest = NULL;
    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        if (pgc->server != server) {
            continue;
        }

        if (ngx_sf_pg_head_young(pgc)) {
            return NULL;
        }

        line = ngx_sf_pg_head_blames(pgc);

        for (p = ngx_queue_head(head); line && p != head;
             p = ngx_queue_next(p))
        {
            other = ngx_queue_data(p, ngx_sf_pg_conn_t, queue);

            if (other != pgc && other->server == server
                && ngx_sf_pg_head_stands_for(other, line)
                && (oldest == NULL || ngx_sf_pg_head_time(pgc)
                                      > ngx_sf_pg_head_time(oldest)))
            {
                oldest = pgc;
            }
        }
    }

    return oldest;
}


/*
 * Whether an old head bars an endpoint wholly: it is of the same one, or reads
 * some of its tables and no others, which are not proved.
 */

static ngx_uint_t
ngx_sf_pg_head_stands_for(const ngx_sf_pg_conn_t *pgc,
    const ngx_sf_pg_line_t *line)
{
    ngx_sf_pg_line_t  *old;

    old = ngx_sf_pg_head_blames(pgc);

    return old
           && (old == line
               || ((old->tables & line->tables) == old->tables
                   && ngx_sf_pg_head_unproved(pgc, old->tables)));
}


/*
 * A statement at a time is one until its Sync has been answered.  A spare
 * connection of a heavy lane stands in for one that is held up, no more: what
 * is slow by itself gets no other backends for that.
 */

ngx_uint_t
ngx_sf_pg_conn_room(const ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t  depth;

    if (ngx_sf_pg_head_time(pgc) > NGX_SF_PG_HEAD_YOUNG) {
        return 0;
    }

    depth = ngx_sf_pg_lane_depth(pgc->lane, pgc->server);

    if (depth == 1) {
        return pgc->count == 0
               && (!pgc->spare || !ngx_sf_pg_heavy(pgc->lane)
                   || ngx_sf_pg_head_running(pgc->lane, pgc->server)
                      < pgc->lane->pool->conf->size[pgc->lane->kind]);
    }

    return depth - ngx_min(pgc->outstanding, depth);
}


/* connections to a server that are at work and not held up */

static ngx_uint_t
ngx_sf_pg_head_running(const ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *server)
{
    ngx_uint_t          n;
    ngx_queue_t        *q;
    const ngx_queue_t  *head;
    ngx_sf_pg_conn_t   *pgc;

    n = 0;
    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        n += pgc->server == server && pgc->count && !ngx_sf_pg_head_held(pgc);
    }

    return n;
}


/* how many queries the ready connections of a lane can still take */

ngx_uint_t
ngx_sf_pg_lane_free(ngx_sf_pg_lane_t *lane)
{
    ngx_uint_t         n;
    ngx_queue_t       *q, *head;
    ngx_sf_pg_conn_t  *pgc;

    n = 0;
    head = &lane->conns[NGX_SF_PG_CONN_READY];

    for (q = ngx_queue_head(head); q != head; q = ngx_queue_next(q)) {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, queue);

        n += ngx_sf_pg_conn_room(pgc);
    }

    return n;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Marks: which users are writing past the module, and when they last have.
 *
 * A mark is a user and a time, in a row that follows from the user's number.
 * While writes of that user are under way the time lies ahead, by more than a
 * write should take; when the last of them is over it is the moment of that.
 * There is one mark for a user, however many writes there are.
 *
 * A row has few places.  When none is free the oldest of those whose writes
 * are over is taken, and its time is kept in the mark of the row, which counts
 * for all users there; when there is no such one that mark is used itself.
 *
 * Marks are written under the mutex of the zone and read without it: a place
 * is nobody's while it changes hands.  A worker that finds another user's time
 * in it asks the database once too often.
 */


#include "ngx_sf_shm.h"


static ngx_sf_marks_t *ngx_sf_mark_row(ngx_sf_zone_t *zone, uint64_t key);
static uint64_t ngx_sf_mark_key(int64_t user);
static ngx_sf_mark_t *ngx_sf_mark_find(ngx_sf_marks_t *row, uint64_t key,
    ngx_msec_t now);
static void ngx_sf_mark_move(ngx_atomic_t *time, ngx_msec_t to);


void
ngx_sf_mark_begin(ngx_sf_zone_t *zone, int64_t user, ngx_msec_t now,
    ngx_sf_write_t *write)
{
    uint64_t         key;
    ngx_sf_mark_t   *mark;
    ngx_sf_marks_t  *row;

    key = ngx_sf_mark_key(user);
    row = ngx_sf_mark_row(zone, key);

    write->user = user;
    write->mark = NULL;

    if (!ngx_sf_zone_lock(zone)) {

        /* for all of the row, and until it is over by itself */

        row->any.time = now + NGX_SF_MARK_AHEAD;
        ngx_sf_mark_move(&zone->sh->marked, now + NGX_SF_MARK_AHEAD);
        return;
    }

    mark = ngx_sf_mark_find(row, key, now);

    /* those before have taken too long, or their worker is gone */

    if (mark->writes && (ngx_msec_int_t) (mark->time - now) <= 0) {
        mark->writes = 0;
        mark->life++;
    }

    mark->writes++;
    mark->time = now + NGX_SF_MARK_AHEAD;

    write->mark = mark;
    write->life = mark->life;

    ngx_sf_mark_move(&zone->sh->marked, mark->time);

    ngx_sf_zone_unlock(zone);
}


void
ngx_sf_mark_end(ngx_sf_zone_t *zone, ngx_sf_write_t *write, ngx_msec_t now)
{
    uint64_t        key;
    ngx_sf_mark_t  *mark;

    if (!ngx_sf_zone_lock(zone)) {
        return;
    }

    mark = write->mark;

    if (mark && mark->life == write->life) {
        mark->writes--;

    } else {
        key = ngx_sf_mark_key(write->user);
        mark = ngx_sf_mark_find(ngx_sf_mark_row(zone, key), key, now);
    }

    if (mark->writes == 0) {
        mark->time = now;
    }

    ngx_sf_mark_move(&zone->sh->marked, now);

    ngx_sf_zone_unlock(zone);
}


ngx_msec_t
ngx_sf_mark_time(ngx_sf_zone_t *zone, int64_t user)
{
    uint64_t         key;
    ngx_uint_t       i;
    ngx_msec_t       time, any;
    ngx_sf_marks_t  *row;

    key = ngx_sf_mark_key(user);
    row = ngx_sf_mark_row(zone, key);
    any = row->any.time;

    for (i = 0; i < NGX_SF_MARK_WAYS; i++) {
        if (row->marks[i].key == key) {
            time = row->marks[i].time;

            return any && (ngx_msec_int_t) (any - time) > 0 ? any : time;
        }
    }

    return any;
}


void
ngx_sf_mark_release(ngx_sf_zone_t *zone)
{
    ngx_uint_t      i, n;
    ngx_sf_mark_t  *mark;

    for (i = 0; i < NGX_SF_MARK_ROWS; i++) {
        for (n = 0; n <= NGX_SF_MARK_WAYS; n++) {
            mark = n < NGX_SF_MARK_WAYS ? &zone->sh->marks[i].marks[n]
                                        : &zone->sh->marks[i].any;

            if (mark->writes) {
                mark->writes = 0;
                mark->life++;
            }
        }
    }
}


static ngx_sf_marks_t *
ngx_sf_mark_row(ngx_sf_zone_t *zone, uint64_t key)
{
    return &zone->sh->marks[ngx_sf_mix(key ^ zone->seed, zone->seed | 1)
                            % NGX_SF_MARK_ROWS];
}


/* any number but that of a free place */

static uint64_t
ngx_sf_mark_key(int64_t user)
{
    uint64_t  key;

    key = (uint64_t) user ^ (uint64_t) 1 << 63;

    return key ? key : 1;
}


/* the mark of a user, or one that is free for it */

static ngx_sf_mark_t *
ngx_sf_mark_find(ngx_sf_marks_t *row, uint64_t key, ngx_msec_t now)
{
    ngx_uint_t      i;
    ngx_sf_mark_t  *mark, *oldest;

    oldest = NULL;

    for (i = 0; i < NGX_SF_MARK_WAYS; i++) {
        mark = &row->marks[i];

        if (mark->key == key) {
            return mark;
        }

        if (mark->writes == 0
            && (oldest == NULL
                || (oldest->key
                    && (mark->key == 0
                        || (ngx_msec_int_t) (mark->time - oldest->time) < 0))))
        {
            oldest = mark;
        }
    }

    if (oldest == NULL) {
        return &row->any;
    }

    if (oldest->key) {
        ngx_sf_mark_move(&row->any.time, oldest->time);
    }

    oldest->key = 0;
    ngx_memory_barrier();

    oldest->time = now;
    oldest->life++;
    ngx_memory_barrier();

    oldest->key = key;

    return oldest;
}


/* times only go forward */

static void
ngx_sf_mark_move(ngx_atomic_t *time, ngx_msec_t to)
{
    if (*time == 0 || (ngx_msec_int_t) (to - *time) > 0) {
        *time = to;
    }
}

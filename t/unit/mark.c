
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Marks of users that write past the module.
 *
 *     unit-with: -It/tools t/tools/workers.c t/tools/sound.c
 */


#include "workers.h"
#include "unit.h"


#define TEST_NOW    1000000
#define TEST_AHEAD  (TEST_NOW + NGX_SF_MARK_AHEAD)


static ngx_shm_zone_t  *test_shm;
static ngx_sf_zone_t   *test_zone;


static void
test_begin(void)
{
    test_shm = workers_zone(NGX_SF_ZONE_MIN);
    test_zone = workers_start(test_shm, ngx_pid);
}


static ngx_msec_t
test_time(int64_t user)
{
    return ngx_sf_mark_time(test_zone, user);
}


/* the n-th user after one whose mark would stand in the same row */

static int64_t
test_neighbour(int64_t user, ngx_uint_t n)
{
    int64_t         other;
    ngx_msec_t      time;
    ngx_uint_t      i;
    ngx_sf_write_t  write;

    /* the row shows by its mark for all */

    ngx_sf_mark_begin(test_zone, user, TEST_NOW, &write);

    for (i = 0; i < NGX_SF_MARK_ROWS; i++) {
        if (test_zone->sh->marks[i].marks[0].key) {
            break;
        }
    }

    ngx_sf_mark_end(test_zone, &write, TEST_NOW);
    time = test_zone->sh->marks[i].any.time;
    test_zone->sh->marks[i].any.time = 42;

    for (other = user + 1; n; other++) {
        n -= test_time(other) == 42;
    }

    test_zone->sh->marks[i].any.time = time;

    return other - 1;
}


static void
test_one(void)
{
    ngx_uint_t      i, others;
    ngx_sf_write_t  one, two;

    static const int64_t  numbers[] = { 0, -1, INT64_MIN, INT64_MAX };

    test_begin();

    unit_ok(test_time(7) == 0, "a user that has not written has no mark");

    ngx_sf_mark_begin(test_zone, 7, TEST_NOW, &one);
    ngx_sf_mark_begin(test_zone, 7, TEST_NOW, &two);
    unit_ok(test_time(7) == TEST_AHEAD, "it lies ahead");

    for (i = 8, others = 0; i < 8 + 70000; i++) {
        others += test_time(i) != 0;
    }

    unit_ok(others == 0, "nobody else has one");

    ngx_sf_mark_end(test_zone, &two, TEST_NOW + 5);
    unit_ok(test_time(7) == TEST_AHEAD,
            "the end of one is not that of another, of the same moment");
    ngx_sf_mark_end(test_zone, &one, TEST_NOW + 9);
    unit_ok(test_time(7) == TEST_NOW + 9, "the last one moves it");

    /* longer than any write should take */

    ngx_sf_mark_begin(test_zone, 7, TEST_NOW, &one);
    ngx_sf_mark_begin(test_zone, 7, TEST_AHEAD, &two);
    ngx_sf_mark_end(test_zone, &two, TEST_AHEAD + 1);
    unit_ok(test_time(7) == TEST_AHEAD + 1, "one that is overdue is over");
    ngx_sf_mark_end(test_zone, &one, TEST_AHEAD + 2);
    unit_ok(test_time(7) == TEST_AHEAD + 2, "its end counts all the same");

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        ngx_sf_mark_begin(test_zone, numbers[i], TEST_NOW, &one);
        unit_ok(test_time(numbers[i]) == TEST_AHEAD, "%lld has a mark",
                (long long) numbers[i]);
    }

    workers_zone_free(test_shm);
}


static void
test_row(void)
{
    int64_t         user[NGX_SF_MARK_WAYS + 2];
    ngx_uint_t      i;
    ngx_sf_write_t  write[NGX_SF_MARK_WAYS + 2];

    test_begin();

    user[0] = 7;

    for (i = 1; i < NGX_SF_MARK_WAYS + 2; i++) {
        user[i] = test_neighbour(7, i);
    }

    /* more writers at once than a row has places */

    for (i = 0; i <= NGX_SF_MARK_WAYS; i++) {
        ngx_sf_mark_begin(test_zone, user[i], TEST_NOW + i, &write[i]);
    }

    unit_ok(test_time(user[0]) == TEST_AHEAD + NGX_SF_MARK_WAYS
            && test_time(user[NGX_SF_MARK_WAYS + 1])
               == TEST_AHEAD + NGX_SF_MARK_WAYS,
            "one too many counts for the row");
    ngx_sf_mark_end(test_zone, &write[NGX_SF_MARK_WAYS], TEST_NOW + 10);
    unit_ok(test_time(user[NGX_SF_MARK_WAYS + 1]) == TEST_NOW + 10
            && test_time(user[0]) == TEST_AHEAD, "until it is over");

    for (i = 0; i < NGX_SF_MARK_WAYS; i++) {
        ngx_sf_mark_end(test_zone, &write[i], TEST_NOW + 20 + i);
    }

    /* the place of the oldest */

    ngx_sf_mark_begin(test_zone, user[i], TEST_NOW + 40, &write[0]);
    unit_ok(test_time(user[i]) == TEST_NOW + 40 + NGX_SF_MARK_AHEAD
            && test_time(user[1]) == TEST_NOW + 21, "a place is taken over");
    unit_ok(test_time(user[0]) == TEST_NOW + 20, "and its time is kept");

    workers_zone_free(test_shm);
}


static void
test_dead(void)
{
    ngx_pid_t        self, dead;
    ngx_sf_zone_t   *zone;
    ngx_sf_write_t   one, two;

    test_begin();

    self = ngx_pid;
    dead = workers_spawn();
    zone = workers_start(test_shm, dead);

    ngx_sf_mark_begin(zone, 7, TEST_NOW, &one);
    workers_kill(dead);

    test_zone = workers_start(test_shm, self);

    unit_ok(test_zone->slot && zone->slot->pid != (ngx_atomic_uint_t) dead
            && workers_logged(NGX_LOG_NOTICE) > 0,
            "the next worker clears its slot: %s", workers_last());
    unit_ok(test_time(7) == TEST_AHEAD, "a worker has died: it stays");
    ngx_sf_mark_begin(test_zone, 7, TEST_NOW + 1, &two);
    ngx_sf_mark_end(test_zone, &two, TEST_NOW + 2);
    unit_ok(test_time(7) == TEST_NOW + 2, "until the next write is over");
    ngx_sf_mark_end(test_zone, &one, TEST_NOW + 3);
    unit_ok(test_time(7) == TEST_NOW + 3, "one of before moves it");

    workers_zone_free(test_shm);
}


int
main(void)
{
    unit_init();

    test_one();
    test_row();
    test_dead();

    return unit_done();
}

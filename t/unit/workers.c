
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The list of workers: numbers that are taken, left and inherited, and the
 * holders of slots, which are emptied in between.  A holder of this test only
 * notes what it is told.
 *
 *     unit-with: -It/tools t/tools/workers.c
 */


#include "workers.h"
#include "unit.h"


#define TEST_HOLDERS  2


typedef struct {
    ngx_uint_t       n;
    ngx_pid_t        pid;
    ngx_uint_t       times;
    ngx_uint_t       busy;      /* cannot just now */
} test_holder_t;


static test_holder_t     test_holders[TEST_HOLDERS];
static ngx_slab_pool_t  *test_shpool;


static ngx_int_t
test_bury(void *data, ngx_uint_t n, ngx_pid_t pid)
{
    test_holder_t  *holder = data;

    if (holder->busy) {
        return NGX_AGAIN;
    }

    holder->n = n;
    holder->pid = pid;
    holder->times++;

    return NGX_OK;
}


/* whether all holders were told of that worker since the last time, once */

static ngx_uint_t
test_told(ngx_uint_t n, ngx_pid_t pid)
{
    ngx_uint_t  i, good;

    good = 1;

    for (i = 0; i < TEST_HOLDERS; i++) {
        good &= test_holders[i].times == 1 && test_holders[i].n == n
                && test_holders[i].pid == pid;
        test_holders[i].times = 0;
    }

    return good;
}


/* the list as a configuration knows it */

static ngx_sf_workers_t *
test_list(void)
{
    ngx_uint_t                i;
    ngx_shm_zone_t            zone;
    ngx_sf_workers_t         *list;
    ngx_sf_workers_holder_t  *holder;

    list = ngx_pcalloc(unit_pool, sizeof(ngx_sf_workers_t));

    ngx_memzero(&zone, sizeof(ngx_shm_zone_t));
    zone.data = list;
    zone.shm.addr = (u_char *) test_shpool;

    (void) ngx_sf_workers_init(&zone, test_shpool->data);
    (void) ngx_array_init(&list->holders, unit_pool, TEST_HOLDERS,
                          sizeof(ngx_sf_workers_holder_t));

    for (i = 0; i < TEST_HOLDERS; i++) {
        holder = ngx_array_push(&list->holders);
        holder->bury = test_bury;
        holder->data = &test_holders[i];
    }

    return list;
}


static ngx_sf_workers_t *
test_enter(ngx_pid_t pid)
{
    ngx_sf_workers_t  *list;

    list = test_list();
    ngx_pid = pid;

    ngx_sf_workers_enter(list);

    return list;
}


static void
test_create(void)
{
    size_t  size;

    size = ngx_sf_workers_size();

    test_shpool = ngx_memalign(ngx_pagesize, size, &unit_log);
    ngx_memzero(test_shpool, size);

    ngx_slab_sizes_init();

    test_shpool->end = (u_char *) test_shpool + size;
    test_shpool->min_shift = 3;
    test_shpool->addr = test_shpool;

    (void) ngx_shmtx_create(&test_shpool->mutex, &test_shpool->lock, NULL);
    ngx_slab_init(test_shpool);

    unit_ok(test_list()->sh != NULL, "a list of %zu bytes", size);
    unit_ok(test_list()->sh == test_list()->sh, "a reload takes it over");
}


static void
test_numbers(void)
{
    ngx_pid_t          dead, live;
    ngx_sf_workers_t  *one, *two, *three;

    live = workers_spawn();
    dead = workers_spawn();

    one = test_enter(live);
    two = test_enter(dead);

    unit_ok(one->n == 0 && two->n == 1 && one->sh->pids[1]
            == (ngx_atomic_uint_t) dead, "workers have numbers");

    ngx_sf_workers_bury(two);
    unit_ok(test_holders[0].times == 0, "of the living nobody is buried");

    workers_kill(dead);

    three = test_enter(getpid());
    unit_ok(test_told(1, dead), "one that has died is, by all holders");
    unit_ok(three->n == 1, "and its number is given away");

    ngx_pid = live;
    ngx_sf_workers_bury(one);
    unit_ok(test_holders[0].times == 0, "once");

    ngx_pid = getpid();
    ngx_sf_workers_leave(three);
    unit_ok(test_told(1, getpid()) && one->sh->pids[1] == 0
            && three->n == NGX_SF_SLOTS, "one that leaves has no number");

    ngx_sf_workers_leave(three);
    unit_ok(test_holders[0].times == 0, "nor anything to leave");

    /* it has died, and the kernel has given its pid to this one */

    one->sh->pids[1] = getpid();
    three = test_enter(getpid());
    unit_ok(three->n == 1 && test_told(1, getpid()),
            "a pid that comes again is buried, and has its number");

    ngx_sf_workers_bury(three);
    unit_ok(test_holders[0].times == 0, "and does not bury itself");

    ngx_sf_workers_leave(three);
    (void) test_told(1, getpid());

    ngx_pid = live;
    ngx_sf_workers_leave(one);
    (void) test_told(0, live);
    workers_kill(live);
}


/* a number stays with the dead as long as a slot cannot be emptied */

static void
test_busy(void)
{
    ngx_pid_t          dead;
    ngx_sf_workers_t  *one, *two;

    dead = workers_spawn();
    one = test_enter(dead);
    workers_kill(dead);

    test_holders[1].busy = 1;
    two = test_enter(getpid());
    unit_ok(two->n == 1 && two->sh->pids[0] == (ngx_atomic_uint_t) dead,
            "a slot cannot be emptied: another number");

    test_holders[1].busy = 0;
    test_holders[0].times = 0;
    ngx_sf_workers_bury(two);
    unit_ok(test_told(0, dead) && two->sh->pids[0] == 0, "until it can");

    test_holders[1].busy = 1;
    ngx_sf_workers_leave(two);
    unit_ok(one->sh->pids[1] == (ngx_atomic_uint_t) getpid(),
            "the same where one leaves");

    test_holders[1].busy = 0;
    test_holders[0].times = 0;
    dead = workers_spawn();
    one = test_enter(dead);
    unit_ok(one->n == 0, "while its process lives");

    one->sh->pids[1] = 0;
    ngx_sf_workers_leave(one);
    (void) test_told(0, dead);
    workers_kill(dead);
}


static void
test_full(void)
{
    ngx_uint_t         i;
    ngx_pid_t          live;
    ngx_sf_workers_t  *one;

    live = workers_spawn();
    one = test_list();

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        one->sh->pids[i] = live;
    }

    one = test_enter(getpid());
    unit_ok(one->n == NGX_SF_SLOTS, "all of %d numbers are taken",
            NGX_SF_SLOTS);
    ngx_sf_workers_leave(one);
    unit_ok(one->sh->pids[0] == (ngx_atomic_uint_t) live,
            "one without a number leaves none");

    workers_kill(live);
    one = test_enter(getpid());
    unit_ok(one->n == 0 && one->sh->pids[1] == 0, "all are free at once");
    ngx_sf_workers_leave(one);
}


int
main(void)
{
    unit_init();

    test_create();
    test_numbers();
    test_busy();
    test_full();

    ngx_free(test_shpool);

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The zone: made, taken over, shared; its slots and places; workers that die
 * with the mutex in their hands.
 *
 *     unit-with: -It/tools t/tools/workers.c
 */


#include "workers.h"
#include "unit.h"


#define TEST_SIZE  NGX_SF_ZONE_MIN


static ngx_pid_t  test_pid;


/* the zone of another configuration over the same memory */

static void
test_configure(ngx_shm_zone_t *next, ngx_sf_zone_t *zone,
    ngx_shm_zone_t *shm_zone)
{
    *next = *shm_zone;
    next->data = zone;

    ngx_memzero(zone, sizeof(ngx_sf_zone_t));
    ngx_str_set(&zone->name, "test");
}


static void
test_create(void)
{
    size_t             size;
    ngx_uint_t         i, good;
    ngx_sf_zone_t     *zone;
    ngx_shm_zone_t    *shm;
    ngx_sf_zone_sh_t  *sh;

    static const size_t  sizes[] = {
        NGX_SF_ZONE_MIN, NGX_SF_ZONE_MIN + 4096, NGX_SF_ZONE_MIN + 3 * 4096,
        5000000 / 4096 * 4096, 8 * 1024 * 1024, 64 * 1024 * 1024
    };

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size = sizes[i];
        shm = workers_zone(size);
        zone = shm->data;
        sh = zone->sh;

        good = sh == zone->shpool->data && sh->size == size
               && (sh->mask & (sh->mask + 1)) == 0 && sh->mask > 1000
               && (u_char *) sh->arena > shm->shm.addr
               && (u_char *) sh->arena + sh->arena_size
                  <= shm->shm.addr + size;

        unit_ok(good, "a zone of %lu bytes", (unsigned long) size);

        unit_ok(sh->arena->pfree * ngx_pagesize > (size - 1700000) / 100 * 97,
                "of which %lu are for responses",
                (unsigned long) (sh->arena->pfree * ngx_pagesize));

        unit_ok(sh->nodes == 0 && sh->bytes == 0 && sh->busy == 0
                && ngx_queue_empty(&sh->fifos[NGX_SF_SMALL].nodes)
                && ngx_queue_empty(&sh->fifos[NGX_SF_MAIN].nodes)
                && ngx_queue_empty(&sh->fills),
                "and that is empty");

        workers_zone_free(shm);
    }
}


static void
test_too_small(void)
{
    ngx_sf_zone_t    zone;
    ngx_shm_zone_t   small, *shm;
    ngx_slab_pool_t  *sp;

    shm = workers_zone(TEST_SIZE);
    test_configure(&small, &zone, shm);

    small.shm.size = 1024 * 1024;
    ngx_memzero(shm->shm.addr, TEST_SIZE);

    sp = (ngx_slab_pool_t *) shm->shm.addr;
    sp->end = shm->shm.addr + small.shm.size;
    sp->min_shift = 3;
    sp->addr = sp;
    (void) ngx_shmtx_create(&sp->mutex, &sp->lock, NULL);
    ngx_slab_init(sp);

    unit_ok(ngx_sf_zone_init(&small, NULL) == NGX_ERROR,
            "a zone that its own tables do not fit in");

    (void) workers_logged(NGX_LOG_CRIT);
    workers_zone_free(shm);
}


static void
test_reload(void)
{
    ngx_sf_zone_t    *zone, next, again;
    ngx_shm_zone_t   *shm, next_shm, again_shm;

    shm = workers_zone(TEST_SIZE);
    zone = shm->data;

    unit_ok(zone->generation == 1, "the first configuration");

    test_configure(&next_shm, &next, shm);
    unit_ok(ngx_sf_zone_init(&next_shm, zone) == NGX_OK
            && next.sh == zone->sh && next.shpool == zone->shpool
            && next.generation == 2 && zone->generation == 1,
            "a reload takes the zone over, the old workers keep their number");

    test_configure(&again_shm, &again, shm);
    again_shm.shm.exists = 1;
    unit_ok(ngx_sf_zone_init(&again_shm, NULL) == NGX_OK
            && again.sh == zone->sh && again.generation == 3,
            "and so does one that finds the segment");

    workers_zone_free(shm);
}


static void
test_differs(void)
{
    u_char             mine[NGX_SF_SOURCES][16];
    uint64_t           kept;
    ngx_uint_t         i;
    ngx_sf_zone_t     *zone;
    ngx_shm_zone_t    *shm;
    ngx_sf_zone_sh_t  *sh;

    shm = workers_zone(TEST_SIZE);
    zone = shm->data;
    sh = zone->sh;
    ngx_memzero(mine, sizeof(mine));

    unit_ok(!ngx_sf_zone_differs(shm, mine[0], 0), "a zone of this version");

    kept = sh->magic++;
    unit_ok(ngx_sf_zone_differs(shm, mine[0], 0), "that of something else");
    sh->magic = kept;

    kept = sh->layout++;
    unit_ok(ngx_sf_zone_differs(shm, mine[0], 0), "one of another layout");
    sh->layout = kept;

    zone->shpool->data = NULL;
    unit_ok(ngx_sf_zone_differs(shm, mine[0], 0),
            "one that was never finished");
    zone->shpool->data = sh;

    /* databases that are named keep their places, others take free ones */

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        sh->sources[i].identity[0] = i + 1;
        mine[i][0] = i + 1;
    }

    unit_ok(!ngx_sf_zone_differs(shm, mine[0], NGX_SF_SOURCES),
            "all places, by the same databases");

    mine[3][0] = 200;
    unit_ok(ngx_sf_zone_differs(shm, mine[0], NGX_SF_SOURCES),
            "no place for a new one");
    unit_ok(ngx_sf_zone_differs(shm, mine[3], 1),
            "nor where the old ones are named no more");

    sh->sources[9].identity[0] = 0;
    unit_ok(!ngx_sf_zone_differs(shm, mine[3], 1), "one place is free");

    workers_zone_free(shm);
}


static void
test_sources(void)
{
    u_char            identity[16];
    ngx_uint_t        i, wrong;
    ngx_sf_zone_t    *zone;
    ngx_shm_zone_t   *shm;
    ngx_sf_source_t  *source, *found[NGX_SF_SOURCES];

    shm = workers_zone(TEST_SIZE);
    zone = shm->data;
    wrong = 0;

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        ngx_memset(identity, i + 1, sizeof(identity));
        found[i] = ngx_sf_zone_source(zone, identity);

        wrong += found[i] != &zone->sh->sources[i];
    }

    unit_ok(wrong == 0, "a place for each of %d databases", NGX_SF_SOURCES);

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        ngx_memset(identity, i + 1, sizeof(identity));
        wrong += ngx_sf_zone_source(zone, identity) != found[i];
    }

    unit_ok(wrong == 0, "which is found again");

    identity[15]++;
    source = ngx_sf_zone_source(zone, identity);
    unit_ok(source == NULL, "and none for one more");

    workers_zone_free(shm);
}


static void
test_slots(void)
{
    ngx_uint_t         i;
    ngx_pid_t          dead, live;
    ngx_sf_zone_t     *one, *two, *other;
    ngx_shm_zone_t    *shm;
    ngx_sf_zone_sh_t  *sh;

    ngx_sf_workers_sh_t  *list;

    shm = workers_zone(TEST_SIZE);
    live = workers_spawn();
    dead = workers_spawn();

    one = workers_start(shm, test_pid);
    sh = one->sh;

    unit_ok(one->slot == &sh->slots[one->nslot]
            && one->slot->pid == (ngx_atomic_uint_t) test_pid
            && one->slot->generation == 1 && one->slot->name_len == 0,
            "a worker has a slot");

    two = workers_start(shm, dead);
    unit_ok(two->slot != one->slot, "another one has another");

    two->slot->stats.hits = 5;
    two->slot->name_len = 4;
    workers_kill(dead);

    other = workers_start(shm, live);
    unit_ok(other->slot == two->slot && other->slot->stats.hits == 0
            && other->slot->name_len == 0
            && workers_logged(NGX_LOG_NOTICE) == 1,
            "that of a dead one is given away: %s", workers_last());

    (void) workers_turn(other);
    ngx_sf_zone_leave(other);
    unit_ok(other->slot == NULL && two->slot->pid == 0,
            "a worker gives its slot back");

    ngx_sf_zone_leave(other);
    unit_ok(other->slot == NULL, "once");

    list = workers_list(shm, one)->sh;

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        list->pids[i] = live;
    }

    unit_ok(workers_start(shm, test_pid) == NULL,
            "all of %d slots are taken", NGX_SF_SLOTS);
    unit_ok(workers_logged(NGX_LOG_ALERT) == 1
            && strstr(workers_last(), "has no room for another worker"),
            "which is told: %s", workers_last());

    sh->slots[0].pid = live;
    unit_ok(ngx_sf_zone_enter(one, 0) == NGX_BUSY && one->slot == NULL
            && workers_logged(NGX_LOG_ALERT) == 1
            && strstr(workers_last(), "has the slot of this worker"),
            "so is one that another has still: %s", workers_last());

    list->pids[NGX_SF_SLOTS - 1] = dead;
    two = workers_start(shm, test_pid);
    unit_ok(two && two->nslot == NGX_SF_SLOTS - 1, "all but the last");

    (void) workers_logged(NGX_LOG_NOTICE);
    workers_kill(live);
    workers_zone_free(shm);
}


/* a worker died long ago, and the kernel has given its pid to this one */

static void
test_own_pid(void)
{
    ngx_uint_t       i, n;
    ngx_sf_zone_t   *zone;
    ngx_shm_zone_t  *shm;

    shm = workers_zone(TEST_SIZE);
    zone = workers_start(shm, test_pid);
    zone = workers_start(shm, test_pid);

    for (i = 0, n = 0; i < NGX_SF_SLOTS; i++) {
        n += zone->sh->slots[i].pid == (ngx_atomic_uint_t) test_pid;
    }

    unit_ok(n == 1, "a pid that comes again has one slot");

    (void) workers_logged(NGX_LOG_NOTICE);
    workers_zone_free(shm);
}


/* of hashes: nobody knows it, and all workers have the same */

static void
test_seed(void)
{
    ngx_sf_zone_t    next, none, *zone;
    ngx_shm_zone_t  *shm, *other, next_shm;

    shm = workers_zone(TEST_SIZE);
    other = workers_zone(TEST_SIZE);
    zone = shm->data;

    unit_ok(ngx_sf_zone_seed(zone) != ngx_sf_zone_seed(other->data)
            && ngx_sf_zone_seed(zone) != 0, "each zone has its seed");

    test_configure(&next_shm, &next, shm);
    (void) ngx_sf_zone_init(&next_shm, zone);
    unit_ok(ngx_sf_zone_seed(&next) == ngx_sf_zone_seed(zone),
            "which stays over a reload");

    ngx_memzero(&none, sizeof(none));
    unit_ok(ngx_sf_zone_seed(NULL) == 0 && ngx_sf_zone_seed(&none) == 0,
            "what is no zone has none");

    workers_zone_free(shm);
    workers_zone_free(other);
}


static void
test_lock(void)
{
    ngx_sf_zone_t   *zone;
    ngx_shm_zone_t  *shm;

    shm = workers_zone(TEST_SIZE);
    zone = workers_start(shm, test_pid);

    unit_ok(ngx_sf_zone_lock(zone)
            && zone->sh->busy == (ngx_atomic_uint_t) test_pid
            && !ngx_shmtx_trylock(&zone->shpool->mutex),
            "the worker inside says so");

    ngx_sf_zone_unlock(zone);

    unit_ok(zone->sh->busy == 0 && ngx_shmtx_trylock(&zone->shpool->mutex),
            "and leaves no trace");

    ngx_shmtx_unlock(&zone->shpool->mutex);
    workers_zone_free(shm);
}


/* what a worker leaves behind when it is killed inside the mutex */

static void
test_die_inside(ngx_sf_zone_t *zone)
{
    (void) workers_turn(zone);
    (void) ngx_sf_zone_lock(zone);

    workers_kill(ngx_pid);

    /* by the master */

    (void) ngx_shmtx_force_unlock(&zone->shpool->mutex, ngx_pid);
}


static void
test_death(void)
{
    ngx_uint_t         pages, logged;
    ngx_sf_zone_t     *one, *two;
    ngx_shm_zone_t    *shm;
    ngx_sf_zone_sh_t  *sh;

    shm = workers_zone(TEST_SIZE);
    one = workers_start(shm, test_pid);
    two = workers_start(shm, workers_spawn());
    sh = one->sh;
    pages = sh->arena->pfree;

    (void) ngx_slab_alloc_locked(sh->arena, 100000);
    (void) ngx_slab_alloc_locked(sh->arena, 100);
    sh->nodes = 2;
    sh->bytes = 100100;
    sh->buckets[5] = (ngx_sf_node_t *) sh->arena;
    two->slot->npins = 3;

    test_die_inside(two);

    (void) workers_turn(one);
    (void) workers_logged(NGX_LOG_WARN);
    logged = 0;

    unit_ok(ngx_sf_zone_lock(one), "a worker died inside the mutex");
    logged = workers_logged(NGX_LOG_WARN);
    unit_ok(logged == 1, "%s", workers_last());

    unit_ok(sh->arena->pfree == pages && sh->nodes == 0 && sh->bytes == 0
            && sh->buckets[5] == NULL && two->slot->npins == 0,
            "the next one finds it empty");
    unit_ok(sh->era == 1 && !sh->doubt
            && sh->busy == (ngx_atomic_uint_t) test_pid, "and of a new era");

    ngx_sf_zone_unlock(one);

    unit_ok(ngx_sf_zone_lock(one) && sh->era == 1
            && workers_logged(NGX_LOG_WARN) == 0, "it is that once");
    ngx_sf_zone_unlock(one);

    workers_zone_free(shm);
}


/* not while somebody may still be sending from the arena */

static void
test_doubt(void)
{
    ngx_pid_t          dead;
    ngx_sf_zone_t      other, *one, *two, *three, *late, *last;
    ngx_shm_zone_t    *shm;
    ngx_sf_zone_sh_t  *sh;

    shm = workers_zone(TEST_SIZE);
    one = workers_start(shm, test_pid);
    two = workers_start(shm, workers_spawn());
    three = workers_start(shm, workers_spawn());
    sh = one->sh;
    dead = two->slot->pid;

    (void) ngx_slab_alloc_locked(sh->arena, 100000);
    three->slot->npins = 1;

    test_die_inside(two);

    (void) workers_turn(one);
    unit_ok(!ngx_sf_zone_lock(one) && sh->doubt && sh->era == 0,
            "the arena is not touched while another sends from it");
    unit_ok(sh->busy == 0 && ngx_shmtx_trylock(&one->shpool->mutex),
            "and the mutex is free");
    ngx_shmtx_unlock(&one->shpool->mutex);
    unit_ok(!ngx_sf_zone_lock(one) && workers_logged(NGX_LOG_WARN) == 1,
            "for as long as it takes");

    late = workers_start(shm, workers_spawn());
    unit_ok(late && late->slot != two->slot
            && two->slot->pid != 0 && sh->era == 0,
            "a worker that starts now has a slot, and buries nobody");

    other = *one;
    unit_ok(ngx_sf_zone_enter(&other, two->nslot) == NGX_AGAIN
            && other.slot == NULL && workers_logged(NGX_LOG_ALERT) == 1
            && strstr(workers_last(), "while others send"),
            "but not that of the dead one: %s", workers_last());

    (void) workers_turn(late);
    ngx_sf_zone_leave(late);
    unit_ok(late->slot == NULL && sh->era == 0,
            "one that exits now touches nothing");

    (void) workers_turn(three);
    three->slot->npins = 0;

    (void) workers_turn(one);
    unit_ok(ngx_sf_zone_lock(one) && sh->era == 1 && !sh->doubt,
            "nobody sends any more: the arena is made anew");
    ngx_sf_zone_unlock(one);
    unit_ok(two->slot->pid == 0, "and the slot of the dead one is free");

    /* the same with one that sends and is killed */

    three->slot->npins = 1;
    sh->busy = dead;

    unit_ok(!ngx_sf_zone_lock(one), "again");

    workers_kill(three->slot->pid);
    unit_ok(ngx_sf_zone_lock(one) && sh->era == 2,
            "until the sender is dead, too");
    ngx_sf_zone_unlock(one);

    last = workers_start(shm, workers_spawn());
    unit_ok(last && (last->slot == two->slot || last->slot == three->slot),
            "their slots are taken again");

    (void) workers_logged(NGX_LOG_NOTICE);
    workers_kill(last->slot->pid);
    workers_zone_free(shm);
}


int
main(void)
{
    unit_init();
    test_pid = ngx_pid;

    test_create();
    test_too_small();
    test_reload();
    test_differs();
    test_sources();
    test_slots();
    test_own_pid();
    test_seed();
    test_lock();
    test_death();
    test_doubt();

    return unit_done();
}

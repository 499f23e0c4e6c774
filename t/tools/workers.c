
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#include "workers.h"
#include "unit.h"

#include <sys/prctl.h>
#include <sys/wait.h>


#define WORKERS_LEVELS  (NGX_LOG_DEBUG + 1)


static ngx_uint_t  workers_messages[WORKERS_LEVELS];
static char        workers_message[NGX_MAX_ERROR_STR];


static void
workers_require(ngx_uint_t good, const char *what)
{
    if (!good) {
        fprintf(stderr, "Bail out! %s\n", what);
        exit(2);
    }
}


static void
workers_write(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    workers_messages[level]++;

    len = ngx_min(len, sizeof(workers_message) - 1);
    ngx_memcpy(workers_message, buf, len);
    workers_message[len] = '\0';
}


/* what ngx_init_zone_pool() does, but for the semaphore */

static void
workers_pool(u_char *addr, size_t size)
{
    ngx_slab_pool_t  *sp;

    ngx_memzero(addr, size);

    if (unit_log.writer == NULL) {
        ngx_slab_sizes_init();
        ngx_use_stderr = 0;
        unit_log.writer = workers_write;
    }

    sp = (ngx_slab_pool_t *) addr;

    sp->end = addr + size;
    sp->min_shift = 3;
    sp->addr = addr;
    sp->mutex.spin = (ngx_uint_t) -1;

    workers_require(ngx_shmtx_create(&sp->mutex, &sp->lock, NULL) == NGX_OK,
                    "no mutex");

    ngx_slab_init(sp);
}


ngx_shm_zone_t *
workers_zone(size_t size)
{
    ngx_sf_zone_t     *zone;
    ngx_shm_zone_t    *shm_zone, list_zone;
    ngx_sf_workers_t   list;

    zone = ngx_pcalloc(unit_pool, sizeof(ngx_sf_zone_t));
    shm_zone = ngx_pcalloc(unit_pool, sizeof(ngx_shm_zone_t));

    workers_require(zone && shm_zone, "no memory");

    ngx_str_set(&zone->name, "test");
    zone->shm_zone = shm_zone;
    zone->release = ngx_sf_cache_release;
    zone->died = ngx_sf_mark_release;

    shm_zone->data = zone;
    shm_zone->shm.size = size;
    shm_zone->shm.name = zone->name;
    shm_zone->shm.log = &unit_log;
    shm_zone->shm.addr = ngx_memalign(ngx_pagesize,
                                      size + ngx_sf_workers_size(),
                                      &unit_log);

    workers_require(shm_zone->shm.addr != NULL, "no memory");

    workers_pool(shm_zone->shm.addr, size);
    workers_require(ngx_sf_zone_init(shm_zone, NULL) == NGX_OK, "no zone");

    /* the list of workers stands behind it */

    ngx_memzero(&list_zone, sizeof(ngx_shm_zone_t));
    list_zone.data = &list;
    list_zone.shm.addr = shm_zone->shm.addr + size;

    workers_pool(list_zone.shm.addr, ngx_sf_workers_size());
    workers_require(ngx_sf_workers_init(&list_zone, NULL) == NGX_OK,
                    "no list");

    return shm_zone;
}


void
workers_zone_free(ngx_shm_zone_t *shm_zone)
{
    ngx_free(shm_zone->shm.addr);
    shm_zone->shm.addr = NULL;
}


ngx_sf_workers_t *
workers_list(ngx_shm_zone_t *shm_zone, ngx_sf_zone_t *zone)
{
    ngx_sf_workers_t         *list;
    ngx_sf_workers_holder_t  *holder;

    list = ngx_pcalloc(unit_pool, sizeof(ngx_sf_workers_t));

    workers_require(list && ngx_array_init(&list->holders, unit_pool, 1,
                                           sizeof(ngx_sf_workers_holder_t))
                            == NGX_OK,
                    "no memory");

    list->shpool = (ngx_slab_pool_t *) (shm_zone->shm.addr
                                        + shm_zone->shm.size);
    list->sh = list->shpool->data;
    list->n = zone->slot ? zone->nslot : NGX_SF_SLOTS;

    holder = ngx_array_push(&list->holders);
    holder->bury = ngx_sf_zone_bury;
    holder->data = zone;

    return list;
}


ngx_sf_zone_t *
workers_start(ngx_shm_zone_t *shm_zone, ngx_pid_t pid)
{
    ngx_sf_zone_t     *zone;
    ngx_sf_workers_t  *list;

    zone = ngx_palloc(unit_pool, sizeof(ngx_sf_zone_t));
    workers_require(zone != NULL, "no memory");

    *zone = *(ngx_sf_zone_t *) shm_zone->data;
    ngx_pid = pid;

    list = workers_list(shm_zone, zone);
    ngx_sf_workers_enter(list);

    return ngx_sf_zone_enter(zone, list->n) == NGX_OK ? zone : NULL;
}


ngx_sf_zone_t *
workers_turn(ngx_sf_zone_t *zone)
{
    ngx_pid = zone->slot->pid;

    return zone;
}


void
workers_covered(ngx_sf_source_t *source, const ngx_sf_cover_t *cover,
    ngx_uint_t covered)
{
    ngx_uint_t                  i;
    const ngx_sf_cover_word_t  *w;

    for (i = 0; i < cover->n; i++) {
        w = &cover->words[i];

        if (covered) {
            source->covered[w->word] |= w->mask;

        } else {
            source->covered[w->word] &= ~w->mask;
        }
    }
}


ngx_pid_t
workers_spawn(void)
{
    ngx_pid_t  pid;

    pid = fork();

    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);

        for ( ;; ) {
            (void) pause();
        }
    }

    workers_require(pid != -1, "no process");

    return pid;
}


void
workers_kill(ngx_pid_t pid)
{
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
}


ngx_uint_t
workers_logged(ngx_uint_t level)
{
    ngx_uint_t  n;

    n = workers_messages[level];
    workers_messages[level] = 0;

    return n;
}


const char *
workers_last(void)
{
    return workers_message;
}

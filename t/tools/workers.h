
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * A zone in ordinary memory and the workers that share it, in one process: a
 * worker is what it knows of the zone, and a pid.  The one that ngx_pid says
 * is at work.  For unit tests and fuzzing; unit_init() comes first.
 */


#ifndef _WORKERS_H_INCLUDED_
#define _WORKERS_H_INCLUDED_


#include "ngx_sf_shm.h"


/* what nginx does before workers start; ends the program when that fails */
ngx_shm_zone_t *workers_zone(size_t size);

/* all workers of the zone are gone with it */
void workers_zone_free(ngx_shm_zone_t *shm_zone);

/*
 * A worker of that pid, which is at work from now on: it has entered the zone.
 * NULL when there is no slot for it.
 */
ngx_sf_zone_t *workers_start(ngx_shm_zone_t *shm_zone, ngx_pid_t pid);

/* lets a worker go on */
ngx_sf_zone_t *workers_turn(ngx_sf_zone_t *zone);

/* the list of those that there are, as that worker knows it */
ngx_sf_workers_t *workers_list(ngx_shm_zone_t *shm_zone, ngx_sf_zone_t *zone);

/* what a listener says of the tables of something: they are covered, or not */
void workers_covered(ngx_sf_source_t *source, const ngx_sf_cover_t *cover,
    ngx_uint_t covered);

/* a process that does nothing, for its pid; ends with this one */
ngx_pid_t workers_spawn(void);

/* ends it: the pid is that of nobody */
void workers_kill(ngx_pid_t pid);

/*
 * Messages of a level since the last call.  What is logged while this is used
 * goes nowhere else.
 */
ngx_uint_t workers_logged(ngx_uint_t level);

/* the last of them, whatever its level */
const char *workers_last(void);


/*
 * --- sound.c ---
 *
 * NULL, or what in the zone does not fit together, or what has been logged as
 * an alert.
 */
const char *workers_sound(ngx_sf_zone_t *zone);


#endif /* _WORKERS_H_INCLUDED_ */

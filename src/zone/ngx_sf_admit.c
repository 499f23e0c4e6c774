
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Which entries stay when the zone is full: S3-FIFO, with a share for each
 * owner.
 *
 *          new                      asked for again
 *     key ------> small, a tenth ------------------> main, the rest <-.
 *      |              |                                  |            |
 *      |              | not asked for                    | not since  | since
 *      |              v                                  v            |
 *      |            ghost                               out     ------'
 *      |              |
 *      '--------------+--> main: a key that comes back soon
 *
 * Both queues are FIFO.  A hit counts in the node that it has found and moves
 * nothing; the queues are looked at when there is no room.  What is asked for
 * once passes through the small queue, however much of it there is.
 *
 * A client that asks twice for all that it asks for would still get past that.
 * So an entry has an owner, the principal that it was made for, until another
 * one asks for it.  The owner of more than an eighth of the arena in the main
 * queue gets no more into it: its entries are in a FIFO of what main leaves.
 *
 * What is larger than a page needs pages side by side, and there is no end to
 * the entries that may have to go for that.  It takes from the small queue; if
 * that is not enough it is refused, and its key remembered as an evicted one
 * is.  Main gives way only where the key comes back, no more than the size of
 * what comes, and for each owner no more than its share in a minute.  Without
 * that small entries all over the arena would keep large ones out for ever.
 *
 * Claims come before anything is known of a response, and take from the small
 * queue, too.  Main gives way to them when there is nothing else.
 *
 * All of it is done under the mutex of the zone.  Sizes are those that the
 * arena rounds to.
 */


#include "ngx_sf_shm.h"


#define NGX_SF_ADMIT_SMALL     10         /* a part of this of the entries */
#define NGX_SF_ADMIT_SHARE     8          /* the same, of the arena */
#define NGX_SF_ADMIT_SHIFT     3          /* of the arena's smallest chunks */
#define NGX_SF_ADMIT_STEPS     64         /* for one allocation, at most */
#define NGX_SF_ADMIT_SACRIFICE 4          /* times its size */
#define NGX_SF_ADMIT_PERIOD    60000      /* ms, of what main gave */
#define NGX_SF_ADMIT_GHOST     2048       /* bytes of zone for a ghost */


static ngx_sf_queue_e ngx_sf_admit_turn(ngx_sf_zone_sh_t *sh,
    const ngx_sf_need_t *need, ngx_uint_t promoted);
static ngx_uint_t ngx_sf_admit_may_take(ngx_sf_zone_sh_t *sh,
    const ngx_sf_need_t *need);
static void ngx_sf_admit_charge(ngx_sf_zone_sh_t *sh, ngx_sf_need_t *need,
    const ngx_sf_node_t *node);
static ngx_uint_t ngx_sf_admit_entitled(const ngx_sf_zone_sh_t *sh,
    const ngx_sf_entry_t *value);
static void ngx_sf_admit_push(ngx_sf_zone_sh_t *sh, ngx_sf_node_t *node,
    ngx_sf_queue_e queue);
static void ngx_sf_admit_weigh(ngx_sf_zone_sh_t *sh,
    const ngx_sf_entry_t *value, size_t weight);
static size_t ngx_sf_admit_weight(const ngx_sf_node_t *node);
static size_t ngx_sf_admit_room(size_t size);
static ngx_sf_ghost_t *ngx_sf_admit_ghost(const ngx_sf_zone_sh_t *sh,
    uint64_t hash);
static ngx_sf_ghost_t *ngx_sf_admit_ghosts(const ngx_sf_zone_sh_t *sh,
    uint64_t hash, uint32_t *tag);


ngx_int_t
ngx_sf_admit_create(ngx_sf_zone_sh_t *sh, ngx_slab_pool_t *shpool,
    size_t size)
{
    ngx_uint_t  n;

    for (n = NGX_SF_GHOST_WAYS; n * 2 <= size / NGX_SF_ADMIT_GHOST; n *= 2) {
        /* void */
    }

    sh->nghosts = n;
    sh->ghosts = ngx_slab_alloc(shpool, n * sizeof(ngx_sf_ghost_t));

    return sh->ghosts ? NGX_OK : NGX_ERROR;
}


void
ngx_sf_admit_init(ngx_sf_zone_sh_t *sh)
{
    ngx_uint_t  i;

    ngx_memzero(sh->ghosts, sh->nghosts * sizeof(ngx_sf_ghost_t));
    ngx_memzero(sh->shares, sizeof(sh->shares));
    ngx_memzero(sh->given, sizeof(sh->given));
    ngx_memzero(sh->fifos, sizeof(sh->fifos));
    sh->buried = 0;

    for (i = 0; i < NGX_SF_QUEUES; i++) {
        ngx_queue_init(&sh->fifos[i].nodes);
    }
}


uint32_t
ngx_sf_admit_owner(uint64_t seed, uint64_t who)
{
    uint32_t  owner;

    owner = ngx_sf_mix(who ^ seed, seed | 1) >> 32;

    return owner ? owner : 1;
}


ngx_sf_entry_t *
ngx_sf_admit_store(ngx_sf_zone_t *zone, ngx_sf_node_t *node,
    ngx_sf_entry_t *value)
{
    ngx_sf_entry_t    *old;
    ngx_sf_ghost_t    *ghost;
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;
    old = node->value;

    if (old) {
        ngx_sf_admit_weigh(sh, old, -ngx_sf_admit_weight(node));

        node->value = value;
        value->queue = old->queue;
        value->owner = old->owner;
        old->queue = NGX_SF_QUEUES;

        ngx_sf_admit_weigh(sh, value, ngx_sf_admit_weight(node));

        return old;
    }

    node->value = value;
    node->freq = 0;

    ghost = ngx_sf_admit_ghost(sh, node->hash);

    if (ghost) {
        ghost->tag = 0;
        zone->slot->stats.returned++;

        if (ngx_sf_admit_entitled(sh, value)) {
            ngx_sf_admit_push(sh, node, NGX_SF_MAIN);
            return NULL;
        }
    }

    ngx_sf_admit_push(sh, node, NGX_SF_SMALL);

    return NULL;
}


void
ngx_sf_admit_leave(ngx_sf_zone_t *zone, ngx_sf_node_t *node)
{
    ngx_sf_entry_t  *value;

    value = node->value;

    ngx_sf_admit_weigh(zone->sh, value, -ngx_sf_admit_weight(node));

    zone->sh->fifos[value->queue].n--;
    value->queue = NGX_SF_QUEUES;
    ngx_queue_remove(&node->fifo);
}


void
ngx_sf_admit_disown(ngx_sf_zone_t *zone, ngx_sf_node_t *node)
{
    size_t  weight;

    weight = ngx_sf_admit_weight(node);

    ngx_sf_admit_weigh(zone->sh, node->value, -weight);
    node->value->owner = 0;
    ngx_sf_admit_weigh(zone->sh, node->value, weight);
}


void
ngx_sf_admit_grow(ngx_sf_zone_t *zone, const ngx_sf_entry_t *value,
    const ngx_sf_entry_t *form)
{
    if (value->queue != NGX_SF_QUEUES) {
        ngx_sf_admit_weigh(zone->sh, value, ngx_sf_admit_room(form->size));
    }
}


ngx_sf_node_t *
ngx_sf_admit_victim(ngx_sf_zone_t *zone, ngx_sf_need_t *need)
{
    ngx_uint_t         promoted;
    ngx_queue_t       *q;
    ngx_sf_node_t     *node;
    ngx_sf_queue_e     queue;
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;
    promoted = 0;

    /* pages that lie apart do not make room for what needs many */

    while (need->steps < NGX_SF_ADMIT_STEPS
           && (need->what != NGX_SF_ADMIT_PAGES
               || need->freed <= NGX_SF_ADMIT_SACRIFICE * need->size))
    {
        need->steps++;

        queue = ngx_sf_admit_turn(sh, need, promoted);
        q = ngx_queue_head(&sh->fifos[queue].nodes);

        if (q == ngx_queue_sentinel(&sh->fifos[queue].nodes)) {
            return NULL;
        }

        node = ngx_queue_data(q, ngx_sf_node_t, fifo);

        if (queue == NGX_SF_SMALL
            && (node->freq == 0 || !ngx_sf_admit_entitled(sh, node->value)))
        {
            ngx_sf_admit_bury(sh, node->hash);
            ngx_sf_admit_charge(sh, need, node);
            return node;
        }

        if (queue == NGX_SF_MAIN && node->freq == 0) {
            ngx_sf_admit_charge(sh, need, node);
            zone->slot->stats.evictions_main++;
            return node;
        }

        /* asked for: from here to there, or round again */

        promoted |= queue == NGX_SF_SMALL;
        node->freq = queue == NGX_SF_SMALL ? 0 : node->freq - 1;

        ngx_sf_admit_leave(zone, node);
        ngx_sf_admit_push(sh, node, NGX_SF_MAIN);
    }

    return NULL;
}


/* which queue has to give way */

static ngx_sf_queue_e
ngx_sf_admit_turn(ngx_sf_zone_sh_t *sh, const ngx_sf_need_t *need,
    ngx_uint_t promoted)
{
    size_t      small, rest;
    ngx_uint_t  bound;

    small = sh->fifos[NGX_SF_SMALL].bytes;
    rest = sh->fifos[NGX_SF_MAIN].bytes;

    bound = need->what == NGX_SF_ADMIT_CLAIM
            || (need->what == NGX_SF_ADMIT_PAGES
                && !ngx_sf_admit_may_take(sh, need));

    if (small == 0) {
        return bound && need->what == NGX_SF_ADMIT_PAGES ? NGX_SF_SMALL
                                                         : NGX_SF_MAIN;
    }

    if (rest == 0 || (bound && !promoted)) {
        return NGX_SF_SMALL;
    }

    return small > (small + rest) / NGX_SF_ADMIT_SMALL ? NGX_SF_SMALL
                                                       : NGX_SF_MAIN;
}


/* whether main has to make room for somebody's pages */

static ngx_uint_t
ngx_sf_admit_may_take(ngx_sf_zone_sh_t *sh, const ngx_sf_need_t *need)
{
    ngx_uint_t  i;

    if (ngx_current_msec - sh->given_time >= NGX_SF_ADMIT_PERIOD) {
        ngx_memzero(sh->given, sizeof(sh->given));
        sh->given_time = ngx_current_msec;
    }

    i = need->owner % NGX_SF_OWNERS;

    return (need->known || ngx_sf_admit_ghost(sh, need->hash))
           && need->given < need->size
           && sh->shares[i] + sh->given[i]
              <= sh->arena_size / NGX_SF_ADMIT_SHARE;
}


void
ngx_sf_admit_refuse(ngx_sf_zone_t *zone, const ngx_sf_need_t *need)
{
    zone->slot->stats.no_room++;

    if (need->what == NGX_SF_ADMIT_PAGES) {
        ngx_sf_admit_bury(zone->sh, need->hash);
    }
}


/* an entry goes for what somebody needs */

static void
ngx_sf_admit_charge(ngx_sf_zone_sh_t *sh, ngx_sf_need_t *need,
    const ngx_sf_node_t *node)
{
    size_t  weight;

    weight = ngx_sf_admit_weight(node);
    need->freed += weight;

    if (node->value->queue == NGX_SF_MAIN
        && need->what == NGX_SF_ADMIT_PAGES)
    {
        need->given += weight;
        sh->given[need->owner % NGX_SF_OWNERS] += weight;
    }
}


/* whether an entry may come into the main queue */

static ngx_uint_t
ngx_sf_admit_entitled(const ngx_sf_zone_sh_t *sh, const ngx_sf_entry_t *value)
{
    return value->owner == 0
           || sh->shares[value->owner % NGX_SF_OWNERS]
              <= sh->arena_size / NGX_SF_ADMIT_SHARE;
}


static void
ngx_sf_admit_push(ngx_sf_zone_sh_t *sh, ngx_sf_node_t *node,
    ngx_sf_queue_e queue)
{
    node->value->queue = queue;

    sh->fifos[queue].n++;
    ngx_queue_insert_tail(&sh->fifos[queue].nodes, &node->fifo);

    ngx_sf_admit_weigh(sh, node->value, ngx_sf_admit_weight(node));
}


/* adds to the sums of an entry's queue and owner */

static void
ngx_sf_admit_weigh(ngx_sf_zone_sh_t *sh, const ngx_sf_entry_t *value,
    size_t weight)
{
    sh->fifos[value->queue].bytes += weight;

    if (value->queue == NGX_SF_MAIN && value->owner) {
        sh->shares[value->owner % NGX_SF_OWNERS] += weight;
    }
}


static size_t
ngx_sf_admit_weight(const ngx_sf_node_t *node)
{
    size_t                 weight;
    const ngx_sf_entry_t  *form;

    form = node->value->gzip;
    weight = ngx_sf_admit_room(sizeof(ngx_sf_node_t) + node->len)
             + ngx_sf_admit_room(node->value->size);

    return form ? weight + ngx_sf_admit_room(form->size) : weight;
}


/* what an allocation takes of the arena: see ngx_slab.c */

static size_t
ngx_sf_admit_room(size_t size)
{
    size_t  chunk;

    if (size > ngx_pagesize / 2) {
        return ngx_align(size, ngx_pagesize);
    }

    for (chunk = 1 << NGX_SF_ADMIT_SHIFT; chunk < size; chunk *= 2) {
        /* void */
    }

    return chunk;
}


/* in the place of the one that has been there longest */

void
ngx_sf_admit_bury(ngx_sf_zone_sh_t *sh, uint64_t hash)
{
    uint32_t         tag;
    ngx_uint_t       i;
    ngx_sf_ghost_t  *ghost, *place;

    ghost = ngx_sf_admit_ghosts(sh, hash, &tag);
    place = ghost;
    sh->buried++;

    for (i = 0; i < NGX_SF_GHOST_WAYS; i++) {
        if (ghost[i].tag == 0 || ghost[i].tag == tag) {
            place = &ghost[i];
            break;
        }

        if (sh->buried - ghost[i].time > sh->buried - place->time) {
            place = &ghost[i];
        }
    }

    place->tag = tag;
    place->time = sh->buried;
}


/* of a key that has been there not long ago */

static ngx_sf_ghost_t *
ngx_sf_admit_ghost(const ngx_sf_zone_sh_t *sh, uint64_t hash)
{
    uint32_t         tag;
    ngx_uint_t       i;
    ngx_sf_ghost_t  *ghost;

    ghost = ngx_sf_admit_ghosts(sh, hash, &tag);

    for (i = 0; i < NGX_SF_GHOST_WAYS; i++) {
        if (ghost[i].tag == tag
            && sh->buried - ghost[i].time < sh->fifos[NGX_SF_MAIN].n)
        {
            return &ghost[i];
        }
    }

    return NULL;
}


/* the places for a hash, and what stands for it there */

static ngx_sf_ghost_t *
ngx_sf_admit_ghosts(const ngx_sf_zone_sh_t *sh, uint64_t hash, uint32_t *tag)
{
    *tag = hash >> 32 ? hash >> 32 : 1;

    return &sh->ghosts[(hash & (sh->nghosts / NGX_SF_GHOST_WAYS - 1))
                       * NGX_SF_GHOST_WAYS];
}

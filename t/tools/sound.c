
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Whether all that is in a zone fits together: nodes, values, fills, pins and
 * what the arena says is in use.  Reads the structures of
 * src/zone/ngx_sf_shm.h and those of nginx's slab pool, and changes nothing.
 */


#include "workers.h"


#define SOUND_VALUES      32768
#define SOUND_SHIFT       3             /* of the smallest chunks */
#define SOUND_SHIFTS      16

/* of a page in use; see ngx_slab.c */

#define SOUND_PAGE_KIND   3
#define SOUND_PAGE_START  0x8000000000000000


typedef struct {
    ngx_sf_entry_t             *value;
    ngx_uint_t                  refs;     /* that were found */
} sound_seen_t;


typedef struct {
    ngx_sf_zone_sh_t           *sh;
    const char                 *wrong;    /* NULL: nothing so far */

    sound_seen_t                seen[SOUND_VALUES];
    ngx_uint_t                  nseen;
    ngx_uint_t                  nodes;
    ngx_uint_t                  values;   /* of nodes */
    ngx_uint_t                  queued;   /* the same, by the queues */
    ngx_uint_t                  fills;
    size_t                      bytes;
    ngx_uint_t                  used[SOUND_SHIFTS];   /* chunks */
    ngx_uint_t                  pages;    /* of what is larger */
} sound_t;


static sound_t  sound;


/* what the arena gives for a size */

static size_t
sound_room(size_t size)
{
    size_t  chunk;

    if (size > ngx_pagesize / 2) {
        return ngx_align(size, ngx_pagesize);
    }

    for (chunk = 1 << SOUND_SHIFT; chunk < size; chunk *= 2) { /* void */ }

    return chunk;
}


/* something is in the arena */

static void
sound_chunk(sound_t *s, size_t size)
{
    size_t      room;
    ngx_uint_t  shift;

    room = sound_room(size);

    if (room > ngx_pagesize / 2) {
        s->pages += room / ngx_pagesize;
        return;
    }

    for (shift = SOUND_SHIFT; ((size_t) 1 << shift) < room; shift++) {
        /* void */
    }

    s->used[shift]++;
}


/* somebody refers to a value */

static void
sound_see(sound_t *s, ngx_sf_entry_t *value)
{
    ngx_uint_t  i;

    for (i = 0; i < s->nseen; i++) {
        if (s->seen[i].value == value) {
            s->seen[i].refs++;
            return;
        }
    }

    if (s->nseen == SOUND_VALUES) {
        s->wrong = "there are too many values to look at";
        return;
    }

    s->seen[s->nseen].value = value;
    s->seen[s->nseen++].refs = 1;

    s->bytes += value->size;
    sound_chunk(s, value->size);

    if (value->size != offsetof(ngx_sf_entry_t, data) + value->len) {
        s->wrong = "the size of a value";
    }

    if (value->gzip) {
        sound_see(s, value->gzip);
    }
}


static void
sound_node(sound_t *s, ngx_sf_node_t *node, ngx_uint_t bucket)
{
    ngx_sf_key_t  key;

    key.data = node->key;
    key.len = node->len;
    ngx_sf_cache_hash(&key, s->sh->seed);

    if (key.hash != node->hash || (key.hash & s->sh->mask) != bucket) {
        s->wrong = "a node in the wrong bucket";
    }

    if (node->value == NULL && node->fill == NULL) {
        s->wrong = "a node of no use";
    }

    if (node->fill && node->fill->node != node) {
        s->wrong = "the fill of another node";
    }

    if (node->value) {
        sound_see(s, node->value);
        s->values++;
    }

    s->nodes++;
    s->fills += node->fill != NULL;
    sound_chunk(s, sizeof(ngx_sf_node_t) + node->len);
}


static void
sound_nodes(sound_t *s)
{
    ngx_uint_t      i;
    ngx_sf_node_t  *node;

    for (i = 0; i <= s->sh->mask; i++) {
        for (node = s->sh->buckets[i]; node; node = node->next) {
            sound_node(s, node, i);
        }
    }

    if (s->nodes != s->sh->nodes) {
        s->wrong = "the number of nodes";
    }
}


/* what an entry takes, and what has it */

static void
sound_weigh(sound_t *s, ngx_sf_node_t *node, size_t *bytes, size_t *shares)
{
    size_t           weight;
    ngx_sf_entry_t  *value;

    value = node->value;

    weight = sound_room(sizeof(ngx_sf_node_t) + node->len)
             + sound_room(value->size)
             + (value->gzip ? sound_room(value->gzip->size) : 0);

    *bytes += weight;

    if (value->queue == NGX_SF_MAIN && value->owner) {
        shares[value->owner % NGX_SF_OWNERS] += weight;
    }

    if (node->freq > NGX_SF_FREQ) {
        s->wrong = "more hits than are counted";
    }
}


static void
sound_fifo(sound_t *s, ngx_sf_fifo_t *fifo, ngx_sf_queue_e queue,
    size_t *shares)
{
    size_t          bytes;
    ngx_uint_t      n;
    ngx_queue_t    *q;
    ngx_sf_node_t  *node;

    n = 0;
    bytes = 0;

    for (q = ngx_queue_head(&fifo->nodes);
         q != ngx_queue_sentinel(&fifo->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_sf_node_t, fifo);
        n++;

        if (node->value == NULL) {
            s->wrong = "a node without a value in a queue";
            return;
        }

        if (node->value->queue != queue) {
            s->wrong = "an entry of another queue";
        }

        sound_weigh(s, node, &bytes, shares);
    }

    if (n != fifo->n || bytes != fifo->bytes) {
        s->wrong = "the sums of a queue";
    }

    s->queued += n;
}


static void
sound_fifos(sound_t *s)
{
    ngx_uint_t  i;

    static size_t  shares[NGX_SF_OWNERS];

    ngx_memzero(shares, sizeof(shares));

    for (i = 0; i < NGX_SF_QUEUES; i++) {
        sound_fifo(s, &s->sh->fifos[i], i, shares);
    }

    if (s->queued != s->values) {
        s->wrong = "nodes with a value, and those in the queues";
    }

    if (ngx_memcmp(shares, s->sh->shares, sizeof(shares)) != 0) {
        s->wrong = "the shares of owners";
    }
}


static void
sound_fills(sound_t *s)
{
    uint64_t        serial;
    ngx_uint_t      n;
    ngx_queue_t    *q;
    ngx_sf_fill_t  *fill;

    n = 0;
    serial = 0;

    for (q = ngx_queue_head(&s->sh->fills);
         q != ngx_queue_sentinel(&s->sh->fills);
         q = ngx_queue_next(q))
    {
        fill = ngx_queue_data(q, ngx_sf_fill_t, queue);
        n++;

        if (fill->node->fill != fill || fill->serial <= serial) {
            s->wrong = "fills that do not stand in their order";
        }

        serial = fill->serial;
        sound_chunk(s, sizeof(ngx_sf_fill_t));
    }

    if (n != s->fills || serial > s->sh->serial) {
        s->wrong = "fills of nodes, and those in the list";
    }
}


static void
sound_pins(sound_t *s, ngx_sf_slot_t *slot)
{
    size_t         pinned;
    ngx_uint_t     i, n;
    ngx_sf_pin_t  *pin;

    n = 0;
    pinned = 0;

    for (i = 0; i < NGX_SF_PINS; i++) {
        pin = &slot->pins[i];

        if ((pin->value != NULL) != (pin->count != 0)
            || (pin->value && slot->pid == 0))
        {
            s->wrong = "a pin of nobody";
        }

        if (pin->value) {
            n++;
            pinned += pin->value->size;
            sound_see(s, pin->value);
        }
    }

    if (n != slot->npins || pinned != slot->pinned) {
        s->wrong = "the sums of a worker's pins";
    }
}


static void
sound_values(sound_t *s)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        sound_pins(s, &s->sh->slots[i]);
    }

    for (i = 0; i < s->nseen; i++) {
        if (s->seen[i].refs != s->seen[i].value->refs) {
            s->wrong = "the references of a value";
        }
    }

    if (s->bytes != s->sh->bytes) {
        s->wrong = "the bytes of all values";
    }
}


/* pages: free ones as the list has them, the others as much as is in use */

static void
sound_arena(sound_t *s)
{
    ngx_uint_t        i, n, large, unused, listed;
    ngx_slab_page_t  *page;
    ngx_slab_pool_t  *arena;

    arena = s->sh->arena;
    large = 0;
    unused = 0;
    listed = 0;

    for (page = arena->pages; page < arena->last; page += n) {

        n = 1;

        if ((page->prev & SOUND_PAGE_KIND) == 0) {

            if (page->slab & SOUND_PAGE_START) {
                n = page->slab & ~SOUND_PAGE_START;
                large += n;

            } else {
                n = page->slab;
                unused += n;
            }
        }

        if (n == 0 || page + n > arena->last) {
            s->wrong = "the pages of the arena";
            return;
        }
    }

    for (page = arena->free.next; page != &arena->free; page = page->next) {
        listed += page->slab;
    }

    if (unused != listed || unused != arena->pfree) {
        s->wrong = "the free pages of the arena";
    }

    if (large != s->pages) {
        s->wrong = "pages that nobody has, or that are not there";
    }

    for (i = SOUND_SHIFT; i < ngx_pagesize_shift; i++) {
        if (arena->stats[i - SOUND_SHIFT].used != s->used[i]) {
            s->wrong = "chunks that nobody has, or that are not there";
        }
    }
}


const char *
workers_sound(ngx_sf_zone_t *zone)
{
    sound_t  *s;

    s = &sound;

    ngx_memzero(s, sizeof(sound_t));
    s->sh = zone->sh;

    sound_nodes(s);
    sound_fifos(s);
    sound_fills(s);
    sound_values(s);
    sound_arena(s);

    if (s->sh->busy || *zone->shpool->mutex.lock) {
        s->wrong = "somebody is inside the mutex";
    }

    if (workers_logged(NGX_LOG_ALERT) || workers_logged(NGX_LOG_EMERG)) {
        s->wrong = workers_last();
    }

    return s->wrong;
}

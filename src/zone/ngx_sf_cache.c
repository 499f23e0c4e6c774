
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Responses in the zone.
 *
 * A node stands under a key.  It has a value, or one is being made (a fill), or
 * both.  A value is never changed: a new one takes its place, and the old one
 * is freed by its last reader.  Readers hold a pin, which is a record in the
 * slot of their worker; a pin is taken under the mutex and given back without
 * it.
 *
 * References of a value: one of its node, one for each record of a pin; of a
 * compressed form, one of the value that it belongs to.
 *
 * A fill is a claim on making the response.  It can be joined by others only
 * while the counters that its maker read before it asked are current; after
 * that the next one to come takes it over, and what the first one brings is
 * thrown away.
 *
 * This file knows nothing of requests and holds no mutex while it copies.
 */


#include "ngx_sf_shm.h"


#define NGX_SF_CACHE_YOUNG       8        /* until this part of its ttl */
#define NGX_SF_CACHE_OVERDUE     1000     /* ms, a fill that nobody ended */
#define NGX_SF_CACHE_MIX         0x9e3779b97f4a7c15ULL
#define NGX_SF_CACHE_BUCKET      64       /* nodes, at most */


static void ngx_sf_cache_hash_end(ngx_sf_key_t *key);
static ngx_int_t ngx_sf_cache_look(ngx_sf_zone_t *zone, ngx_sf_node_t *node,
    const ngx_sf_fresh_t *fresh, ngx_uint_t *filling, ngx_sf_found_t *found);
static ngx_sf_node_t *ngx_sf_cache_find(ngx_sf_zone_t *zone,
    const ngx_sf_key_t *key);
static ngx_sf_node_t *ngx_sf_cache_insert(ngx_sf_zone_t *zone,
    const ngx_sf_key_t *key);
static void ngx_sf_cache_remove(ngx_sf_zone_t *zone, ngx_sf_node_t *node);
static ngx_sf_freshness_e ngx_sf_cache_judge(ngx_sf_zone_t *zone,
    const ngx_sf_node_t *node, const ngx_sf_fresh_t *fresh);
static ngx_uint_t ngx_sf_cache_expires(const ngx_sf_node_t *node,
    ngx_msec_t ttl, ngx_msec_t age);
static ngx_uint_t ngx_sf_cache_heard(const ngx_sf_fresh_t *fresh);
static ngx_msec_t ngx_sf_cache_age(ngx_msec_t created, ngx_msec_t now);
static ngx_uint_t ngx_sf_cache_graced(ngx_sf_zone_t *zone,
    const ngx_sf_entry_t *value, const ngx_sf_fresh_t *fresh);
static ngx_int_t ngx_sf_cache_take(ngx_sf_zone_t *zone, ngx_sf_node_t *node,
    uint32_t owner, ngx_sf_cache_status_e status, ngx_sf_found_t *found);
static ngx_uint_t ngx_sf_cache_joinable(ngx_sf_zone_t *zone,
    const ngx_sf_fill_t *fill, ngx_msec_t now);
static void ngx_sf_cache_begin(ngx_sf_zone_t *zone, const ngx_sf_key_t *key,
    const ngx_sf_fresh_t *fresh, const ngx_sf_stamp_t *stamp,
    ngx_msec_t limit, ngx_sf_claim_t *claim);
static void ngx_sf_cache_overdue(ngx_sf_zone_t *zone, ngx_msec_t now);
static ngx_uint_t ngx_sf_cache_claimed(ngx_sf_zone_t *zone,
    const ngx_sf_claim_t *claim);
static void ngx_sf_cache_end_fill(ngx_sf_zone_t *zone, ngx_sf_fill_t *fill);
static ngx_sf_entry_t *ngx_sf_cache_new_value(ngx_sf_zone_t *zone,
    size_t len, const ngx_sf_claim_t *claim, uint32_t owner);
static void *ngx_sf_cache_alloc(ngx_sf_zone_t *zone, ngx_sf_need_t *need);
static void *ngx_sf_cache_alloc_claim(ngx_sf_zone_t *zone, size_t size);
static void ngx_sf_cache_evict(ngx_sf_zone_t *zone, ngx_sf_node_t *node);
static void ngx_sf_cache_drop_value(ngx_sf_zone_t *zone,
    ngx_sf_entry_t *value);
static ngx_sf_pin_t *ngx_sf_cache_pin_record(ngx_sf_slot_t *slot,
    const ngx_sf_entry_t *value, ngx_uint_t free);


/*
 * Keys are compared in full: the hash only has to spread them, also those that
 * a client has chosen so that they meet.  It does not know the seed, and a
 * step that folds the product of two words cannot be undone without it.
 */

void
ngx_sf_cache_hash(ngx_sf_key_t *key, uint64_t seed)
{
    u_char    *p;
    size_t     left;
    uint64_t   h, word;

    h = seed ^ key->len;

    for (p = key->data, left = key->len; left >= sizeof(word);
         p += sizeof(word), left -= sizeof(word))
    {
        ngx_memcpy(&word, p, sizeof(word));
        h = ngx_sf_mix(h ^ word, seed + NGX_SF_CACHE_MIX);
    }

    word = 0;
    ngx_memcpy(&word, p, left);

    key->hash = ngx_sf_mix(h ^ word, seed ^ NGX_SF_CACHE_MIX);

    ngx_sf_cache_hash_end(key);
}


void
ngx_sf_cache_hash_more(ngx_sf_key_t *key, uint64_t word, uint64_t seed)
{
    key->hash = ngx_sf_mix(key->hash ^ word, seed + NGX_SF_CACHE_MIX);

    ngx_sf_cache_hash_end(key);
}


/* two values mean something else in a datagram */

static void
ngx_sf_cache_hash_end(ngx_sf_key_t *key)
{
    if (key->hash <= NGX_SF_WAKE_ALL) {
        key->hash += 2;
    }
}


ngx_int_t
ngx_sf_cache_lookup(ngx_sf_zone_t *zone, const ngx_sf_key_t *key,
    const ngx_sf_fresh_t *fresh, ngx_sf_found_t *found)
{
    ngx_int_t       rc;
    ngx_uint_t      filling;
    ngx_sf_node_t  *node;

    ngx_memzero(found, sizeof(ngx_sf_found_t));
    found->status = NGX_SF_CACHE_MISS;

    if (!ngx_sf_zone_lock(zone)) {
        return NGX_DECLINED;
    }

    node = ngx_sf_cache_find(zone, key);
    rc = ngx_sf_cache_look(zone, node, fresh, &filling, found);

    ngx_sf_zone_unlock(zone);

    return rc == NGX_OK ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_sf_cache_claim(ngx_sf_zone_t *zone, const ngx_sf_key_t *key,
    const ngx_sf_fresh_t *fresh, const ngx_sf_stamp_t *stamp,
    ngx_msec_t limit, ngx_sf_found_t *found)
{
    ngx_int_t       rc;
    ngx_uint_t      filling;
    ngx_sf_node_t  *node;

    ngx_memzero(found, sizeof(ngx_sf_found_t));
    found->status = NGX_SF_CACHE_MISS;

    if (!ngx_sf_zone_lock(zone)) {
        return NGX_DECLINED;
    }

    node = ngx_sf_cache_find(zone, key);
    rc = ngx_sf_cache_look(zone, node, fresh, &filling, found);

    if (rc == NGX_BUSY) {
        rc = NGX_DECLINED;

    } else if (rc == NGX_DECLINED && filling) {
        node->fill->waiters[zone->nslot / 64]
                                        |= (uint64_t) 1 << zone->nslot % 64;
        rc = NGX_AGAIN;

    } else if (rc == NGX_DECLINED) {
        ngx_sf_cache_overdue(zone, fresh->now);
        ngx_sf_cache_begin(zone, key, fresh, stamp, limit, &found->claim);
    }

    ngx_sf_zone_unlock(zone);

    return rc;
}


/*
 * Takes what a node has if it may be sent: what is fresh, or what is stale
 * while somebody makes it anew.  filling: somebody does, and may be waited for.
 * NGX_BUSY: it is fresh, but no worker can pin more; nobody need make it anew.
 */

static ngx_int_t
ngx_sf_cache_look(ngx_sf_zone_t *zone, ngx_sf_node_t *node,
    const ngx_sf_fresh_t *fresh, ngx_uint_t *filling, ngx_sf_found_t *found)
{
    ngx_sf_freshness_e  freshness;

    freshness = NGX_SF_GONE;
    *filling = 0;

    if (node && node->value) {
        freshness = ngx_sf_cache_judge(zone, node, fresh);

        if (freshness != NGX_SF_GONE) {
            found->status = NGX_SF_CACHE_EXPIRED;
        }
    }

    if (freshness == NGX_SF_FRESH) {
        return ngx_sf_cache_take(zone, node, fresh->owner, NGX_SF_CACHE_HIT,
                                 found) == NGX_OK ? NGX_OK : NGX_BUSY;
    }

    *filling = node && node->fill
               && ngx_sf_cache_joinable(zone, node->fill, fresh->now);

    return freshness == NGX_SF_STALE && *filling
           ? ngx_sf_cache_take(zone, node, fresh->owner,
                               NGX_SF_CACHE_UPDATING, found)
           : NGX_DECLINED;
}


ngx_int_t
ngx_sf_cache_lookup_stale(ngx_sf_zone_t *zone, const ngx_sf_key_t *key,
    const ngx_sf_fresh_t *fresh, ngx_uint_t down, ngx_sf_found_t *found)
{
    ngx_int_t        rc;
    ngx_uint_t       usable;
    ngx_sf_node_t   *node;
    ngx_sf_entry_t  *value;

    ngx_memzero(found, sizeof(ngx_sf_found_t));

    if (!ngx_sf_zone_lock(zone)) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;
    node = ngx_sf_cache_find(zone, key);
    value = node ? node->value : NULL;

    if (value) {
        usable = ngx_sf_cache_judge(zone, node, fresh) <= NGX_SF_STALE;

        if (!usable && down) {
            usable = (fresh->error
                      && ngx_sf_cache_age(value->created, fresh->now)
                         < fresh->ttl + fresh->error)
                     || ngx_sf_cache_graced(zone, value, fresh);
        }

        if (usable) {
            rc = ngx_sf_cache_take(zone, node, fresh->owner,
                                   NGX_SF_CACHE_STALE, found);
        }
    }

    ngx_sf_zone_unlock(zone);

    return rc;
}


static ngx_sf_node_t *
ngx_sf_cache_find(ngx_sf_zone_t *zone, const ngx_sf_key_t *key)
{
    ngx_sf_node_t  *node;

    node = zone->sh->buckets[key->hash & zone->sh->mask];

    for ( /* void */ ; node; node = node->next) {
        if (node->hash == key->hash && node->len == key->len
            && ngx_memcmp(node->key, key->data, key->len) == 0)
        {
            return node;
        }
    }

    return NULL;
}


/*
 * The node of a key; making room for a new one may evict any other.  A bucket
 * that is full takes none: a walk through it is done under the mutex.
 */

static ngx_sf_node_t *
ngx_sf_cache_insert(ngx_sf_zone_t *zone, const ngx_sf_key_t *key)
{
    ngx_uint_t      n;
    ngx_sf_node_t  *node, **bucket;

    node = ngx_sf_cache_find(zone, key);

    if (node) {
        return node;
    }

    bucket = &zone->sh->buckets[key->hash & zone->sh->mask];

    for (n = 0, node = *bucket; node; node = node->next) {
        n++;
    }

    if (n >= NGX_SF_CACHE_BUCKET) {
        return NULL;
    }

    node = ngx_sf_cache_alloc_claim(zone, sizeof(ngx_sf_node_t) + key->len);

    if (node == NULL) {
        return NULL;
    }

    node->next = *bucket;
    node->value = NULL;
    node->fill = NULL;
    node->freq = 0;
    node->hash = key->hash;
    node->len = key->len;
    ngx_memcpy(node->key, key->data, key->len);

    *bucket = node;
    zone->sh->nodes++;

    return node;
}


/* a node with neither a value nor a fill is of no use */

static void
ngx_sf_cache_remove(ngx_sf_zone_t *zone, ngx_sf_node_t *node)
{
    ngx_sf_node_t  **link;

    link = &zone->sh->buckets[node->hash & zone->sh->mask];

    while (*link != node) {
        link = &(*link)->next;
    }

    *link = node->next;
    zone->sh->nodes--;

    ngx_slab_free_locked(zone->sh->arena, node);
}


static ngx_sf_freshness_e
ngx_sf_cache_judge(ngx_sf_zone_t *zone, const ngx_sf_node_t *node,
    const ngx_sf_fresh_t *fresh)
{
    ngx_msec_t       age;
    ngx_sf_entry_t  *value;

    value = node->value;

    if (!ngx_sf_stamp_current(zone, &value->stamp)
        || (value->deadline
            && (ngx_msec_int_t) (value->deadline - fresh->now) <= 0))
    {
        return NGX_SF_GONE;
    }

    age = ngx_sf_cache_age(value->created, fresh->now);

    if (value->incoherent || !ngx_sf_cache_heard(fresh)) {
        return age < ngx_min(fresh->ttl, fresh->incoherent_ttl)
               ? NGX_SF_FRESH : NGX_SF_OLD;
    }

    /* young ones need no more than that */

    if (age < fresh->ttl - fresh->ttl / NGX_SF_CACHE_YOUNG
        || (age < fresh->ttl && !ngx_sf_cache_expires(node, fresh->ttl, age)))
    {
        return NGX_SF_FRESH;
    }

    return age < fresh->ttl + fresh->stale ? NGX_SF_STALE : NGX_SF_OLD;
}


/*
 * What was made together does not expire together: in the last tenth of its
 * ttl an entry is made anew at a moment that follows from its key and from
 * when it was made, so that neighbours do not stay together either.  Until the
 * ttl is over the old one may be shown meanwhile, as a stale one is.
 */

static ngx_uint_t
ngx_sf_cache_expires(const ngx_sf_node_t *node, ngx_msec_t ttl,
    ngx_msec_t age)
{
    uint64_t    moment;
    ngx_msec_t  last;

    last = ngx_sf_cache_last(ttl);

    if (age < ttl - last) {
        return 0;
    }

    moment = ngx_sf_mix(node->hash, node->value->created * NGX_SF_CACHE_MIX)
             >> 32;

    return age >= ttl - (last * moment >> 32);
}


ngx_uint_t
ngx_sf_cache_young(ngx_sf_zone_t *zone, const ngx_sf_stamp_t *stamp,
    ngx_msec_t created, const ngx_sf_fresh_t *fresh)
{
    return ngx_sf_cache_heard(fresh)
           && ngx_sf_cache_age(created, fresh->now)
              < fresh->ttl - fresh->ttl / NGX_SF_CACHE_YOUNG
           && ngx_sf_stamp_current(zone, stamp);
}


/* whether a change of what an entry shows would have been told */

static ngx_uint_t
ngx_sf_cache_heard(const ngx_sf_fresh_t *fresh)
{
    ngx_msec_t  confirmed;

    confirmed = fresh->source->confirmed;

    return confirmed
           && (ngx_msec_int_t) (fresh->now - confirmed)
              <= (ngx_msec_int_t) fresh->lease
           && ngx_sf_cover_holds(fresh->cover, fresh->source);
}


/* the clocks of two workers may be a turn of the event loop apart */

static ngx_msec_t
ngx_sf_cache_age(ngx_msec_t created, ngx_msec_t now)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (now - created);

    return age > 0 ? age : 0;
}


/* good when the listener was last heard, and that is not long ago */

static ngx_uint_t
ngx_sf_cache_graced(ngx_sf_zone_t *zone, const ngx_sf_entry_t *value,
    const ngx_sf_fresh_t *fresh)
{
    ngx_msec_t  confirmed;

    if (fresh->grace == 0 || !ngx_sf_stamp_current(zone, &value->stamp)) {
        return 0;
    }

    confirmed = fresh->source->confirmed;

    if (confirmed == 0 || value->incoherent
        || (ngx_msec_int_t) (confirmed - value->created) < 0)
    {
        confirmed = value->created;
    }

    return ngx_sf_cache_age(value->created, confirmed) < fresh->ttl
           && (ngx_msec_int_t) (fresh->now - confirmed)
              < (ngx_msec_int_t) fresh->grace;
}


/* pins the value of a node */

static ngx_int_t
ngx_sf_cache_take(ngx_sf_zone_t *zone, ngx_sf_node_t *node, uint32_t owner,
    ngx_sf_cache_status_e status, ngx_sf_found_t *found)
{
    if (ngx_sf_cache_pin(zone, node->value) != NGX_OK) {
        return NGX_DECLINED;
    }

    found->value = node->value;
    found->status = status;

    ngx_sf_admit_hit(zone, node, owner);

    return NGX_OK;
}


static ngx_uint_t
ngx_sf_cache_joinable(ngx_sf_zone_t *zone, const ngx_sf_fill_t *fill,
    ngx_msec_t now)
{
    if ((ngx_msec_int_t) (fill->deadline - now) <= 0
        || !ngx_sf_stamp_current(zone, &fill->stamp))
    {
        return 0;
    }

    return fill->pid == ngx_pid || ngx_sf_alive(fill->pid);
}


/*
 * Room is made before the node is looked at, which may go itself for it.  What
 * waits for a fill that is taken over waits for the new one.
 */

static void
ngx_sf_cache_begin(ngx_sf_zone_t *zone, const ngx_sf_key_t *key,
    const ngx_sf_fresh_t *fresh, const ngx_sf_stamp_t *stamp,
    ngx_msec_t limit, ngx_sf_claim_t *claim)
{
    ngx_sf_fill_t     *fill;
    ngx_sf_node_t     *node;
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;
    fill = ngx_sf_cache_alloc_claim(zone, sizeof(ngx_sf_fill_t));

    if (fill == NULL) {
        return;
    }

    node = ngx_sf_cache_insert(zone, key);

    if (node == NULL || node->fill) {
        ngx_slab_free_locked(sh->arena, fill);

        if (node == NULL) {
            return;
        }

        fill = node->fill;
        ngx_queue_remove(&fill->queue);

    } else {
        ngx_memzero(fill, sizeof(ngx_sf_fill_t));
        fill->node = node;
        node->fill = fill;
    }

    fill->serial = ++sh->serial;
    fill->pid = ngx_pid;
    fill->deadline = fresh->now + limit;
    fill->stamp = *stamp;
    ngx_queue_insert_tail(&sh->fills, &fill->queue);

    /* what is there is out of date, but there it is */

    if (node->value) {
        ngx_sf_admit_hit(zone, node, fresh->owner);
    }

    claim->node = node;
    claim->serial = fill->serial;
    claim->hash = node->hash;
    claim->era = sh->era;
}


/* fills whose makers are gone, and that nobody has asked for again */

static void
ngx_sf_cache_overdue(ngx_sf_zone_t *zone, ngx_msec_t now)
{
    ngx_queue_t    *q;
    ngx_sf_fill_t  *fill;

    while (!ngx_queue_empty(&zone->sh->fills)) {
        q = ngx_queue_head(&zone->sh->fills);
        fill = ngx_queue_data(q, ngx_sf_fill_t, queue);

        if ((ngx_msec_int_t) (now - fill->deadline) < NGX_SF_CACHE_OVERDUE) {
            return;
        }

        ngx_sf_cache_end_fill(zone, fill);
    }
}


static ngx_uint_t
ngx_sf_cache_claimed(ngx_sf_zone_t *zone, const ngx_sf_claim_t *claim)
{
    ngx_queue_t       *q;
    ngx_sf_fill_t     *fill;
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;

    if (claim->node == NULL || claim->era != sh->era) {
        return 0;
    }

    /* the youngest are at the end; the node may be gone with its fill */

    for (q = ngx_queue_last(&sh->fills);
         q != ngx_queue_sentinel(&sh->fills);
         q = ngx_queue_prev(q))
    {
        fill = ngx_queue_data(q, ngx_sf_fill_t, queue);

        if (fill->serial == claim->serial) {
            return 1;
        }

        if (fill->serial < claim->serial) {
            return 0;
        }
    }

    return 0;
}


/* the fill of a node is over, one way or the other */

static void
ngx_sf_cache_end_fill(ngx_sf_zone_t *zone, ngx_sf_fill_t *fill)
{
    ngx_sf_node_t  *node;

    node = fill->node;

    ngx_queue_remove(&fill->queue);
    ngx_slab_free_locked(zone->sh->arena, fill);

    node->fill = NULL;

    if (node->value == NULL) {
        ngx_sf_cache_remove(zone, node);
    }
}


void
ngx_sf_cache_store(ngx_sf_zone_t *zone, ngx_sf_claim_t *claim,
    const ngx_sf_content_t *response, size_t max)
{
    ngx_uint_t       current;
    ngx_sf_entry_t  *value, *old;

    current = ngx_sf_stamp_current(zone, response->stamp);

    if (claim->node == NULL || !current || response->len > max) {
        zone->slot->stats.raced += !current;
        zone->slot->stats.refused += response->len > max;
        ngx_sf_cache_abandon(zone, claim);
        return;
    }

    value = ngx_sf_cache_new_value(zone, response->len, claim, response->owner);

    if (value == NULL) {
        ngx_sf_cache_abandon(zone, claim);
        return;
    }

    value->created = response->created;
    value->deadline = response->deadline;
    value->stamp = *response->stamp;
    value->incoherent = response->incoherent != 0;
    ngx_memcpy(value->data, response->data, response->len);

    if (response->etag) {
        ngx_memcpy(value->etag, response->etag, NGX_SF_ETAG_LEN);
    }

    if (ngx_sf_zone_lock(zone)) {

        if (ngx_sf_cache_claimed(zone, claim)) {
            (void) ngx_atomic_fetch_add(&value->refs, 1);

            old = ngx_sf_admit_store(zone, claim->node, value);

            if (old) {
                ngx_sf_cache_drop_value(zone, old);
            }

            zone->slot->stats.fills++;
        }

        ngx_sf_zone_unlock(zone);
    }

    ngx_sf_cache_unpin(zone, value);
    ngx_sf_cache_abandon(zone, claim);
}


void
ngx_sf_cache_abandon(ngx_sf_zone_t *zone, ngx_sf_claim_t *claim)
{
    uint64_t        waiters[NGX_SF_SLOT_WORDS];
    ngx_sf_fill_t  *fill;

    if (claim->node == NULL) {
        return;
    }

    ngx_memzero(waiters, sizeof(waiters));

    if (ngx_sf_zone_lock(zone)) {

        if (ngx_sf_cache_claimed(zone, claim)) {
            fill = claim->node->fill;
            ngx_memcpy(waiters, fill->waiters, sizeof(waiters));
            ngx_sf_cache_end_fill(zone, fill);
        }

        ngx_sf_zone_unlock(zone);
    }

    claim->node = NULL;

    ngx_sf_wake(zone, waiters, claim->hash);
}


/*
 * One critical section: a worker that comes later finds no fill and claims; one
 * that came before has its bit in it, and it stays.  Bits are never cleared, so
 * one may be all that is left of a waiter.
 */

ngx_uint_t
ngx_sf_cache_give_up(ngx_sf_zone_t *zone, ngx_sf_claim_t *claim)
{
    uint64_t        waiters;
    ngx_uint_t      i;
    ngx_sf_fill_t  *fill;

    waiters = 0;

    if (ngx_sf_zone_lock(zone)) {

        if (ngx_sf_cache_claimed(zone, claim)) {
            fill = claim->node->fill;

            for (i = 0; i < NGX_SF_SLOT_WORDS; i++) {
                waiters |= fill->waiters[i];
            }

            if (waiters == 0) {
                ngx_sf_cache_end_fill(zone, fill);
            }
        }

        ngx_sf_zone_unlock(zone);
    }

    if (waiters) {
        return 0;
    }

    claim->node = NULL;

    return 1;
}


/*
 * Room for a value, pinned by the caller and not yet to be found.  With a claim
 * it is for the key of that, which may have to give up its old value for it.
 */

static ngx_sf_entry_t *
ngx_sf_cache_new_value(ngx_sf_zone_t *zone, size_t len,
    const ngx_sf_claim_t *claim, uint32_t owner)
{
    ngx_sf_need_t    need;
    ngx_sf_node_t   *node;
    ngx_sf_entry_t  *value;

    if (!ngx_sf_zone_lock(zone)) {
        return NULL;
    }

    node = claim && ngx_sf_cache_claimed(zone, claim) ? claim->node : NULL;

    ngx_memzero(&need, sizeof(ngx_sf_need_t));
    need.size = offsetof(ngx_sf_entry_t, data) + len;
    need.what = need.size > ngx_pagesize ? NGX_SF_ADMIT_PAGES
                                         : NGX_SF_ADMIT_VALUE;

    if (node) {
        need.hash = node->hash;
        need.owner = owner;
        need.known = node->value != NULL;
    }

    value = ngx_sf_cache_alloc(zone, &need);

    if (value == NULL && node && node->value && node->value->refs == 1) {
        ngx_sf_cache_evict(zone, node);
        value = ngx_slab_alloc_locked(zone->sh->arena, need.size);
    }

    if (value) {
        ngx_memzero(value, offsetof(ngx_sf_entry_t, data));
        value->queue = NGX_SF_QUEUES;
        value->owner = owner;
        value->size = need.size;
        value->len = len;
        zone->sh->bytes += need.size;

        if (ngx_sf_cache_pin(zone, value) != NGX_OK) {
            ngx_slab_free_locked(zone->sh->arena, value);
            zone->sh->bytes -= need.size;
            zone->slot->stats.no_room++;
            value = NULL;
        }
    }

    ngx_sf_zone_unlock(zone);

    return value;
}


/* a full zone makes room for what is asked for now */

static void *
ngx_sf_cache_alloc(ngx_sf_zone_t *zone, ngx_sf_need_t *need)
{
    void           *p;
    ngx_sf_node_t  *node;

    for ( ;; ) {
        p = ngx_slab_alloc_locked(zone->sh->arena, need->size);

        if (p) {
            return p;
        }

        node = ngx_sf_admit_victim(zone, need);

        if (node == NULL) {
            ngx_sf_admit_refuse(zone, need);
            return NULL;
        }

        ngx_sf_cache_evict(zone, node);
    }
}


/* what a claim needs */

static void *
ngx_sf_cache_alloc_claim(ngx_sf_zone_t *zone, size_t size)
{
    ngx_sf_need_t  need;

    ngx_memzero(&need, sizeof(ngx_sf_need_t));
    need.what = NGX_SF_ADMIT_CLAIM;
    need.size = size;

    return ngx_sf_cache_alloc(zone, &need);
}


/* a node gives its value up for others, and goes unless it is asked for */

static void
ngx_sf_cache_evict(ngx_sf_zone_t *zone, ngx_sf_node_t *node)
{
    ngx_sf_admit_leave(zone, node);
    ngx_sf_cache_drop_value(zone, node->value);
    node->value = NULL;

    if (node->fill == NULL) {
        ngx_sf_cache_remove(zone, node);
    }

    zone->slot->stats.evictions++;
}


/* gives a reference back; under the mutex */

static void
ngx_sf_cache_drop_value(ngx_sf_zone_t *zone, ngx_sf_entry_t *value)
{
    if (ngx_atomic_fetch_add(&value->refs, -1) != 1) {
        return;
    }

    if (value->gzip) {
        ngx_sf_cache_drop_value(zone, value->gzip);
    }

    zone->sh->bytes -= value->size;
    ngx_slab_free_locked(zone->sh->arena, value);
}


ngx_int_t
ngx_sf_cache_pin(ngx_sf_zone_t *zone, ngx_sf_entry_t *value)
{
    ngx_sf_pin_t   *pin;
    ngx_sf_slot_t  *slot;

    slot = zone->slot;
    pin = ngx_sf_cache_pin_record(slot, value, 1);

    if (pin == NULL) {
        return NGX_DECLINED;
    }

    if (pin->value == NULL) {
        slot->npins++;
        (void) ngx_atomic_fetch_add(&value->refs, 1);

        ngx_sf_release();

        pin->value = value;
        slot->pinned += value->size;
    }

    pin->count++;

    return NGX_OK;
}


/*
 * The record goes first, as it comes last in a pin: a worker that dies between
 * leaves a value that is freed too late, not one that is freed twice.
 */

void
ngx_sf_cache_unpin(ngx_sf_zone_t *zone, ngx_sf_entry_t *value)
{
    ngx_sf_pin_t   *pin;
    ngx_sf_slot_t  *slot;

    slot = zone->slot;

    if (slot == NULL) {
        return;
    }

    pin = ngx_sf_cache_pin_record(slot, value, 0);

    if (pin == NULL) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "softfactory_zone \"%V\": a value is not pinned",
                      &zone->name);
        return;
    }

    if (--pin->count) {
        return;
    }

    slot->pinned -= value->size;
    pin->value = NULL;

    ngx_sf_release();

    /* nobody can find one without references: it is this worker's to free */

    if (ngx_atomic_fetch_add(&value->refs, -1) == 1
        && ngx_sf_zone_lock(zone))
    {
        value->refs = 1;
        ngx_sf_cache_drop_value(zone, value);
        ngx_sf_zone_unlock(zone);
    }

    /* the arena is not made anew while a worker has pins */

    ngx_sf_release();
    slot->npins--;
}


/* the record of a value; with free, else one that is not in use */

static ngx_sf_pin_t *
ngx_sf_cache_pin_record(ngx_sf_slot_t *slot, const ngx_sf_entry_t *value,
    ngx_uint_t free)
{
    ngx_uint_t     i, n;
    ngx_sf_pin_t  *pin;

    n = ((uintptr_t) value >> 7) % NGX_SF_PINS;

    for (i = 0; i < NGX_SF_PINS; i++) {
        pin = &slot->pins[(n + i) % NGX_SF_PINS];

        if (pin->value == value || (free && pin->value == NULL)) {
            return pin;
        }
    }

    return NULL;
}


ngx_sf_entry_t *
ngx_sf_cache_gzip(ngx_sf_zone_t *zone, ngx_sf_entry_t *value,
    ngx_uint_t *make)
{
    ngx_sf_entry_t  *form;

    *make = 0;
    form = value->gzip;

    if (form == NULL) {
        *make = !value->gzip_tried;
        value->gzip_tried = 1;
        return NULL;
    }

    /* the value is pinned, and holds its form */

    if (ngx_sf_cache_pin(zone, form) != NGX_OK) {
        return NULL;
    }

    ngx_sf_cache_unpin(zone, value);

    return form;
}


void
ngx_sf_cache_attach(ngx_sf_zone_t *zone, ngx_sf_entry_t *value,
    const u_char *etag, const u_char *data, size_t len, size_t max)
{
    ngx_sf_entry_t  *form;

    form = len > max ? NULL : ngx_sf_cache_new_value(zone, len, NULL, 0);

    if (form == NULL) {
        return;
    }

    form->created = value->created;
    form->deadline = value->deadline;
    form->stamp = value->stamp;
    form->incoherent = value->incoherent;
    ngx_memcpy(form->etag, etag, NGX_SF_ETAG_LEN);
    ngx_memcpy(form->data, data, len);

    if (ngx_sf_zone_lock(zone)) {

        if (value->gzip == NULL) {
            (void) ngx_atomic_fetch_add(&form->refs, 1);
            value->gzip = form;
            ngx_sf_admit_grow(zone, value, form);
        }

        ngx_sf_zone_unlock(zone);
    }

    ngx_sf_cache_unpin(zone, form);
}


void
ngx_sf_cache_release(ngx_sf_zone_t *zone, ngx_sf_slot_t *slot, ngx_pid_t pid)
{
    ngx_uint_t      i;
    ngx_queue_t    *q, *next;
    ngx_sf_fill_t  *fill;

    for (i = 0; i < NGX_SF_PINS; i++) {
        if (slot->pins[i].value) {
            ngx_sf_cache_drop_value(zone, slot->pins[i].value);
        }
    }

    ngx_memzero(slot->pins, sizeof(slot->pins));
    slot->npins = 0;
    slot->pinned = 0;

    for (q = ngx_queue_head(&zone->sh->fills);
         q != ngx_queue_sentinel(&zone->sh->fills);
         q = next)
    {
        next = ngx_queue_next(q);
        fill = ngx_queue_data(q, ngx_sf_fill_t, queue);

        if (fill->pid == pid) {
            ngx_sf_wake(zone, fill->waiters, fill->node->hash);
            ngx_sf_cache_end_fill(zone, fill);
        }
    }
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The directory: names of tables, and of key columns of tables, that workers
 * of any configuration have asked for.
 *
 * A name gets a number in the zone when a worker first wants to know whether
 * changes of it are told, and keeps it for as long as there is a zone.  So the
 * old and the new workers of a reload, which may have different endpoints,
 * never mean two things by one number.  Listeners look for all that is in the
 * directory, and set a bit for what is told: what they have not seen, because
 * it came later or the directory was full, is not.  A bit that is set for a key
 * says that the table is covered and that its triggers tell that key.
 *
 * Names are compared as a whole; hashes are for speed.  One is written before
 * the number of names grows, so it is read without the mutex.
 *
 * The name of a table is that of a tag, with a schema or without, which stands
 * for the schema of the upstream; "users" and "public.users" are two names,
 * each looked for by itself.  A key is written behind its table as in a tag,
 * "users.id=".
 */


#include "ngx_sf_shm.h"


#define NGX_SF_DIRECTORY_MIX  0x9e3779b97f4a7c15ULL


static uint64_t ngx_sf_directory_hash(const u_char *p, size_t len);
static size_t ngx_sf_directory_write(u_char *p, const ngx_str_t *table,
    const ngx_str_t *key);
static ngx_uint_t ngx_sf_directory_search(const ngx_sf_directory_t *directory,
    const u_char *name, size_t len);
static ngx_uint_t ngx_sf_directory_append(ngx_sf_zone_t *zone,
    const u_char *name, size_t len, ngx_uint_t table);
static void ngx_sf_cover_add(ngx_sf_cover_t *cover, ngx_uint_t n);
static int ngx_libc_cdecl ngx_sf_directory_compare(const void *one,
    const void *two);


ngx_uint_t
ngx_sf_directory_find(const ngx_sf_zone_t *zone, const ngx_str_t *table,
    const ngx_str_t *key)
{
    size_t      len;
    u_char      name[NGX_SF_NAME];
    ngx_uint_t  n, keyed;

    len = ngx_sf_directory_write(name, table, key);
    n = ngx_sf_directory_search(&zone->sh->directory, name, len);

    if (n == NGX_SF_NAMES) {
        return NGX_SF_NAMES;
    }

    /* whatever is asked for may look like a key */

    keyed = key && key->len;

    return keyed == (zone->sh->directory.names[n].table != n) ? n
                                                              : NGX_SF_NAMES;
}


ngx_uint_t
ngx_sf_directory_add(ngx_sf_zone_t *zone, const ngx_str_t *table,
    const ngx_str_t *key)
{
    size_t      len;
    u_char      name[NGX_SF_NAME];
    ngx_uint_t  n, owner;

    n = ngx_sf_directory_find(zone, table, key);

    if (n != NGX_SF_NAMES) {
        return n;
    }

    owner = NGX_SF_NAMES;

    if (key && key->len) {
        owner = ngx_sf_directory_add(zone, table, NULL);

        if (owner == NGX_SF_NAMES) {
            return NGX_SF_NAMES;
        }
    }

    len = ngx_sf_directory_write(name, table, key);

    return ngx_sf_directory_append(zone, name, len, owner);
}


/* no work of the arena: whoever died inside the mutex has done no harm here */

static ngx_uint_t
ngx_sf_directory_append(ngx_sf_zone_t *zone, const u_char *name, size_t len,
    ngx_uint_t table)
{
    ngx_uint_t           n, full;
    ngx_sf_name_t       *place;
    ngx_sf_directory_t  *directory;

    directory = &zone->sh->directory;
    full = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    n = ngx_sf_directory_search(directory, name, len);

    if (n != NGX_SF_NAMES) {
        /* void */

    } else if (len == 0 || directory->n == NGX_SF_NAMES) {
        full = !directory->full;
        directory->full = 1;

    } else {
        n = directory->n;
        place = &directory->names[n];

        ngx_memcpy(place->name, name, len);
        place->len = len;
        place->table = table == NGX_SF_NAMES ? n : table;
        directory->hashes[n] = ngx_sf_directory_hash(name, len);

        ngx_sf_release();
        directory->n = n + 1;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (full) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "softfactory_zone \"%V\" has names of %ui tables and "
                      "keys already: changes of \"%*s\" and of others that "
                      "are new go unheard, responses from them are cached for "
                      "at most softfactory_cache_incoherent_ttl, until nginx "
                      "is started again", &zone->name,
                      (ngx_uint_t) NGX_SF_NAMES, len, name);
    }

    return n;
}


static ngx_uint_t
ngx_sf_directory_search(const ngx_sf_directory_t *directory,
    const u_char *name, size_t len)
{
    uint64_t              hash;
    ngx_uint_t            i, n;
    const ngx_sf_name_t  *place;

    n = directory->n;
    hash = ngx_sf_directory_hash(name, len);

    for (i = 0; i < n; i++) {
        place = &directory->names[i];

        if (directory->hashes[i] == hash && place->len == len
            && ngx_memcmp(place->name, name, len) == 0)
        {
            return i;
        }
    }

    return NGX_SF_NAMES;
}


static uint64_t
ngx_sf_directory_hash(const u_char *p, size_t len)
{
    uint64_t  hash;

    hash = len;

    while (len--) {
        hash = ngx_sf_mix(hash ^ *p++, NGX_SF_DIRECTORY_MIX);
    }

    return hash;
}


/* 0: it is too long to be one */

static size_t
ngx_sf_directory_write(u_char *p, const ngx_str_t *table, const ngx_str_t *key)
{
    u_char  *last;

    if (table->len + (key ? key->len : 0) + sizeof(".=") - 1 > NGX_SF_NAME) {
        return 0;
    }

    last = ngx_cpymem(p, table->data, table->len);

    if (key && key->len) {
        *last++ = '.';
        last = ngx_cpymem(last, key->data, key->len);
        *last++ = '=';
    }

    return last - p;
}


ngx_str_t
ngx_sf_directory_name(const ngx_sf_zone_t *zone, ngx_uint_t n)
{
    ngx_str_t  name;

    name.data = zone->sh->directory.names[n].name;
    name.len = zone->sh->directory.names[n].len;

    return name;
}


ngx_str_t
ngx_sf_directory_key(const ngx_sf_zone_t *zone, ngx_uint_t n)
{
    ngx_str_t             key;
    ngx_uint_t            table;
    const ngx_sf_name_t  *names;

    names = zone->sh->directory.names;
    table = names[n].table;

    ngx_str_null(&key);

    if (table != n) {
        key.data = (u_char *) names[n].name + names[table].len + 1;
        key.len = names[n].len - names[table].len - 2;
    }

    return key;
}


ngx_uint_t
ngx_sf_directory_list(const ngx_sf_zone_t *zone, const ngx_sf_set_t *set,
    ngx_str_t *names)
{
    ngx_uint_t  i, n, count;

    n = zone->sh->directory.n;
    count = 0;

    for (i = 0; i < n; i++) {
        if (ngx_sf_set_has(set, i)) {
            names[count++] = ngx_sf_directory_name(zone, i);
        }
    }

    ngx_qsort(names, count, sizeof(ngx_str_t), ngx_sf_directory_compare);

    return count;
}


static int ngx_libc_cdecl
ngx_sf_directory_compare(const void *one, const void *two)
{
    int               rc;
    const ngx_str_t  *a = one;
    const ngx_str_t  *b = two;

    rc = ngx_memcmp(a->data, b->data, ngx_min(a->len, b->len));

    return rc ? rc : (int) a->len - (int) b->len;
}


/* what there is no number for has that of the word that is never set */

void
ngx_sf_cover_make(ngx_sf_zone_t *zone, const ngx_sf_tags_t *tags,
    ngx_sf_cover_t *cover)
{
    ngx_uint_t           i, n;
    const ngx_sf_tag_t  *tag;

    cover->n = 0;

    for (i = 0; i < tags->n; i++) {
        tag = &tags->tag[i];
        n = ngx_sf_directory_add(zone, &tag->table, &tag->key);

        ngx_sf_cover_add(cover, n);

        if (n != NGX_SF_NAMES) {
            ngx_sf_set_add(&zone->needs, n);
        }
    }

    if (tags->unknown) {
        ngx_sf_cover_add(cover, NGX_SF_NAMES);
    }
}


static void
ngx_sf_cover_add(ngx_sf_cover_t *cover, ngx_uint_t n)
{
    uint64_t    bit;
    ngx_uint_t  i;

    bit = (uint64_t) 1 << n % 64;

    for (i = 0; i < cover->n; i++) {
        if (cover->words[i].word == n / 64) {
            cover->words[i].mask |= bit;
            return;
        }
    }

    cover->words[i].word = n / 64;
    cover->words[i].mask = bit;
    cover->n++;
}


ngx_uint_t
ngx_sf_zone_uncovered(const ngx_sf_zone_t *zone, const ngx_sf_source_t *source,
    ngx_sf_set_t *uncovered)
{
    ngx_uint_t            i, n, table;
    const ngx_sf_name_t  *names;

    n = zone->sh->directory.n;
    names = zone->sh->directory.names;

    ngx_memzero(uncovered, sizeof(ngx_sf_set_t));

    for (i = 0; i < n; i++) {
        if (!ngx_sf_set_has(&zone->needs, i)) {
            continue;
        }

        table = names[i].table;

        if (!ngx_sf_source_covers(source, table)) {
            ngx_sf_set_add(uncovered, table);

        } else if (!ngx_sf_source_covers(source, i)) {
            ngx_sf_set_add(uncovered, i);
        }
    }

    return ngx_sf_set_count(uncovered);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Tags: what a response was read from, and whether that has changed since.
 *
 * The zone has a fixed array of counters.  A tag hashes to one of them; two
 * tags that share a counter only drop more than they must.  A change of rows
 * moves the counter of the table, and for each key column of the table those
 * of the values concerned; when these are too many to be told, it moves the
 * key's counter for "any value" instead.  So a tag with a key stands for two
 * counters.  The first counters are the epochs of the sources: moving one
 * drops all that came from there.
 *
 * A stamp is taken before a statement is sent.  Its response is good while the
 * counters are what they were: a change that is committed after the statement
 * has read its rows is told later still.
 */


#include "ngx_sf_shm.h"
#include "ngx_sf_table.h"


/* kinds of counters of one table, see ngx_sf_tag_index() */

#define NGX_SF_TAG_COUNTER_TABLE     0
#define NGX_SF_TAG_COUNTER_ANY(key)  (1 + 2 * (key))
#define NGX_SF_TAG_COUNTER_ONE(key)  (2 + 2 * (key))


static const char *ngx_sf_tag_parse(const u_char *p, const u_char *last,
    ngx_sf_tag_t *tag);
static uint32_t ngx_sf_tag_index(ngx_uint_t source, ngx_uint_t table,
    ngx_uint_t kind, int64_t value);
static void ngx_sf_stamp_add(ngx_sf_zone_t *zone, ngx_sf_stamp_t *stamp,
    uint32_t index);
static ngx_int_t ngx_sf_tags_move_key(ngx_sf_zone_t *zone, ngx_uint_t source,
    ngx_uint_t table, const u_char *p, const u_char *last, ngx_uint_t *moved);
static ngx_int_t ngx_sf_tag_value(const u_char **pp, const u_char *last,
    int64_t *value);
static void ngx_sf_tag_move(ngx_sf_zone_t *zone, uint32_t index);
static const u_char *ngx_sf_tag_word(const u_char *p, const u_char *last);


const char *
ngx_sf_tags_compile(const char *text, ngx_sf_tags_t *tags)
{
    const char    *wrong;
    ngx_uint_t     pairs;
    ngx_sf_tag_t  *tag;
    const u_char  *p, *end, *last;

    ngx_memzero(tags, sizeof(ngx_sf_tags_t));

    if (text == NULL) {
        tags->tables = NGX_SF_TAGS_UNKNOWN;
        return NULL;
    }

    p = (const u_char *) text;
    last = p + ngx_strlen(text);
    pairs = 0;

    while (p < last) {
        end = ngx_sf_tag_word(p, last);

        if (tags->n == NGX_SF_TAGS) {
            return "too many tags, there may be 8";
        }

        tag = &tags->tag[tags->n++];
        wrong = ngx_sf_tag_parse(p, end, tag);

        if (wrong) {
            return wrong;
        }

        tags->tables |= (ngx_uint_t) 1 << tag->table;
        pairs += tag->from == NGX_SF_TAG_TABLE ? 1 : 2;
        p = end + 1;
    }

    return pairs > NGX_SF_TAGS ? "too many tags, there may be 8, and one with "
                                 "a key counts twice" : NULL;
}


/* table, table.key=$user or table.key=$id */

static const char *
ngx_sf_tag_parse(const u_char *p, const u_char *last, ngx_sf_tag_t *tag)
{
    ngx_int_t      n;
    const u_char  *dot, *equals;

    dot = ngx_strlchr((u_char *) p, (u_char *) last, '.');
    n = ngx_sf_table_find(p, (dot ? dot : last) - p);

    if (n == NGX_ERROR) {
        return "an unknown table";
    }

    tag->table = n;
    tag->from = NGX_SF_TAG_TABLE;

    if (dot == NULL) {
        return NULL;
    }

    equals = ngx_strlchr((u_char *) dot, (u_char *) last, '=');

    if (equals == NULL) {
        return "a key without a value, which is $user or $id";
    }

    n = ngx_sf_table_key(tag->table, dot + 1, equals - dot - 1);

    if (n == NGX_ERROR) {
        return "an unknown key";
    }

    tag->key = n;
    p = equals + 1;

    if (last - p == 5 && ngx_memcmp(p, "$user", 5) == 0) {
        tag->from = NGX_SF_TAG_USER;
        return NULL;
    }

    if (last - p == 3 && ngx_memcmp(p, "$id", 3) == 0) {
        tag->from = NGX_SF_TAG_ID;
        return NULL;
    }

    return "a value that is neither $user nor $id";
}


void
ngx_sf_stamp_read(ngx_sf_zone_t *zone, ngx_uint_t source,
    const ngx_sf_tags_t *tags, int64_t user, int64_t id,
    ngx_sf_stamp_t *stamp)
{
    int64_t              value;
    ngx_uint_t           i;
    const ngx_sf_tag_t  *tag;

    stamp->n = 0;
    ngx_sf_stamp_add(zone, stamp, source);

    for (i = 0; i < tags->n; i++) {
        tag = &tags->tag[i];

        if (tag->from == NGX_SF_TAG_TABLE) {
            ngx_sf_stamp_add(zone, stamp,
                             ngx_sf_tag_index(source, tag->table,
                                              NGX_SF_TAG_COUNTER_TABLE, 0));
            continue;
        }

        value = tag->from == NGX_SF_TAG_USER ? user : id;

        ngx_sf_stamp_add(zone, stamp,
                         ngx_sf_tag_index(source, tag->table,
                                     NGX_SF_TAG_COUNTER_ANY(tag->key), 0));
        ngx_sf_stamp_add(zone, stamp,
                         ngx_sf_tag_index(source, tag->table,
                                     NGX_SF_TAG_COUNTER_ONE(tag->key),
                                     value));
    }

    /* the values are read before anything that the caller does next */

    ngx_memory_barrier();
}


static void
ngx_sf_stamp_add(ngx_sf_zone_t *zone, ngx_sf_stamp_t *stamp, uint32_t index)
{
    stamp->index[stamp->n] = index;
    stamp->value[stamp->n] = zone->sh->counters[index];
    stamp->n++;
}


ngx_uint_t
ngx_sf_stamp_current(ngx_sf_zone_t *zone, const ngx_sf_stamp_t *stamp)
{
    ngx_uint_t  i;

    for (i = 0; i < stamp->n; i++) {
        if (zone->sh->counters[stamp->index[i]] != stamp->value[i]) {
            return 0;
        }
    }

    return 1;
}


/* splitmix64 over all that makes a counter; the epochs are left out */

static uint32_t
ngx_sf_tag_index(ngx_uint_t source, ngx_uint_t table, ngx_uint_t kind,
    int64_t value)
{
    uint64_t  h;

    h = (((uint64_t) source * 32 + table) * 8 + kind + 1)
        * 0x9e3779b97f4a7c15ULL;
    h += (uint64_t) value;

    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
    h ^= h >> 31;

    return NGX_SF_SOURCES + h % (NGX_SF_COUNTERS - NGX_SF_SOURCES);
}


ngx_uint_t
ngx_sf_tags_move(ngx_sf_zone_t *zone, ngx_uint_t source,
    const u_char *payload, size_t len)
{
    ngx_uint_t  moved;

    moved = 0;

    if (ngx_sf_tags_try(zone, source, payload, len, &moved) != NGX_OK) {
        ngx_sf_tags_move_all(zone, source);
        moved++;
    }

    return moved;
}


ngx_int_t
ngx_sf_tags_try(ngx_sf_zone_t *zone, ngx_uint_t source,
    const u_char *payload, size_t len, ngx_uint_t *moved)
{
    ngx_int_t      table;
    const u_char  *p, *end, *last;

    last = payload + len;
    end = ngx_sf_tag_word(payload, last);
    table = ngx_sf_table_find(payload, end - payload);

    /* triggers of a newer version may name tables that nothing here reads */

    if (table == NGX_ERROR) {
        return NGX_OK;
    }

    (*moved)++;
    ngx_sf_tag_move(zone, ngx_sf_tag_index(source, table,
                                           NGX_SF_TAG_COUNTER_TABLE, 0));

    for (p = end + 1; p < last; p = end + 1) {
        end = ngx_sf_tag_word(p, last);

        if (ngx_sf_tags_move_key(zone, source, table, p, end, moved)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* key=value,value,... or key=* */

static ngx_int_t
ngx_sf_tags_move_key(ngx_sf_zone_t *zone, ngx_uint_t source,
    ngx_uint_t table, const u_char *p, const u_char *last, ngx_uint_t *moved)
{
    int64_t        value;
    ngx_int_t      key;
    const u_char  *equals;

    equals = ngx_strlchr((u_char *) p, (u_char *) last, '=');

    if (equals == NULL) {
        return NGX_ERROR;
    }

    key = ngx_sf_table_key(table, p, equals - p);

    if (key == NGX_ERROR) {
        return NGX_OK;
    }

    p = equals + 1;

    if (last - p == 1 && *p == '*') {
        ngx_sf_tag_move(zone, ngx_sf_tag_index(source, table,
                                           NGX_SF_TAG_COUNTER_ANY(key), 0));
        (*moved)++;
        return NGX_OK;
    }

    do {
        if (ngx_sf_tag_value(&p, last, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_sf_tag_move(zone, ngx_sf_tag_index(source, table,
                                        NGX_SF_TAG_COUNTER_ONE(key), value));
        (*moved)++;

    } while (p++ < last);

    return NGX_OK;
}


/* an integer that ends at a comma or at the end of the word */

static ngx_int_t
ngx_sf_tag_value(const u_char **pp, const u_char *last, int64_t *value)
{
    uint64_t       n;
    ngx_uint_t     minus, digits;
    const u_char  *p;

    n = 0;
    p = *pp;
    minus = p < last && *p == '-';

    for (p += minus, digits = 0; p < last && *p != ','; p++, digits++) {
        if (*p < '0' || *p > '9' || digits == 19) {
            return NGX_ERROR;
        }

        n = n * 10 + (*p - '0');
    }

    if (digits == 0 || n > (uint64_t) INT64_MAX + minus) {
        return NGX_ERROR;
    }

    *pp = p;
    *value = (int64_t) (minus ? 0 - n : n);

    return NGX_OK;
}


void
ngx_sf_tags_move_table(ngx_sf_zone_t *zone, ngx_uint_t source,
    ngx_uint_t table)
{
    ngx_uint_t  key;

    ngx_sf_tag_move(zone, ngx_sf_tag_index(source, table,
                                           NGX_SF_TAG_COUNTER_TABLE, 0));

    for (key = 0; key < NGX_SF_TABLE_KEYS; key++) {
        ngx_sf_tag_move(zone, ngx_sf_tag_index(source, table,
                                           NGX_SF_TAG_COUNTER_ANY(key), 0));
    }
}


void
ngx_sf_tags_move_all(ngx_sf_zone_t *zone, ngx_uint_t source)
{
    ngx_sf_tag_move(zone, source);

    (void) ngx_atomic_fetch_add(&zone->sh->sources[source].epochs, 1);
}


static void
ngx_sf_tag_move(ngx_sf_zone_t *zone, uint32_t index)
{
    (void) ngx_atomic_fetch_add(&zone->sh->counters[index], 1);
}


static const u_char *
ngx_sf_tag_word(const u_char *p, const u_char *last)
{
    const u_char  *end;

    end = ngx_strlchr((u_char *) p, (u_char *) last, ' ');

    return end ? end : last;
}

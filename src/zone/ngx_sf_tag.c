
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
 * What is hashed is the text that a notification has: the names of the table
 * and of the key, and the value.  So whoever is told moves the same counters as
 * whoever has tags of that table expects, whatever either knows of it: there is
 * no list of tables that both would have to share.  A notification tells no
 * schema, so tables of one name in two schemas share counters.
 *
 * A stamp is taken before a statement is sent.  Its response is good while the
 * counters are what they were: a change that is committed after the statement
 * has read its rows is told later still.
 */


#include "ngx_sf_shm.h"


#define NGX_SF_TAG_BASIS   0xcbf29ce484222325ULL      /* of FNV-1a */
#define NGX_SF_TAG_PRIME   0x100000001b3ULL

#define NGX_SF_TAG_DIGEST  16         /* digits of a digest of a text */
#define NGX_SF_TAG_UUID    36


static const char *ngx_sf_tag_parse(const u_char *p, const u_char *last,
    ngx_sf_tag_t *tag);
static const char *ngx_sf_tag_parse_key(const u_char *p, const u_char *last,
    ngx_sf_tag_t *tag);
static const char *ngx_sf_tag_parse_table(const u_char *p, const u_char *last,
    ngx_sf_tag_t *tag);
static uint64_t ngx_sf_tag_hash(uint64_t hash, const u_char *p, size_t len);
static uint64_t ngx_sf_tag_hash_number(uint64_t hash, int64_t n);
static uint32_t ngx_sf_tag_index(ngx_uint_t source, uint64_t hash);
static void ngx_sf_stamp_add(ngx_sf_zone_t *zone, ngx_sf_stamp_t *stamp,
    uint32_t index);
static ngx_int_t ngx_sf_tags_move_key(ngx_sf_zone_t *zone, ngx_uint_t source,
    uint64_t table, const u_char *p, const u_char *last, ngx_uint_t *moved);
static ngx_int_t ngx_sf_tag_value(const u_char *p, const u_char *last,
    uint64_t *hash);
static ngx_uint_t ngx_sf_tag_is_digest(const u_char *p, size_t len);
static ngx_uint_t ngx_sf_tag_is_uuid(const u_char *p, size_t len);
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
        tags->unknown = 1;
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

        pairs += tag->from == NGX_SF_TAG_TABLE ? 1 : 2;
        p = end + 1;
    }

    return pairs > NGX_SF_TAGS ? "too many tags, there may be 8, and one with "
                                 "a key counts twice" : NULL;
}


/* table, table.key=$user or table.key=$id, each also with a schema in front */

static const char *
ngx_sf_tag_parse(const u_char *p, const u_char *last, ngx_sf_tag_t *tag)
{
    const char    *wrong;
    const u_char  *dot, *equals;

    tag->from = NGX_SF_TAG_TABLE;

    equals = ngx_strlchr((u_char *) p, (u_char *) last, '=');

    if (equals == NULL) {
        return ngx_sf_tag_parse_table(p, last, tag);
    }

    for (dot = equals; dot > p && *dot != '.'; dot--) { /* void */ }

    wrong = ngx_sf_tag_parse_table(p, dot, tag);

    return wrong ? wrong : ngx_sf_tag_parse_key(dot + 1, last, tag);
}


static const char *
ngx_sf_tag_parse_table(const u_char *p, const u_char *last, ngx_sf_tag_t *tag)
{
    const u_char  *dot;

    tag->table.data = (u_char *) p;
    tag->table.len = last - p;

    dot = ngx_strlchr((u_char *) p, (u_char *) last, '.');

    if (dot) {
        if (!ngx_sf_tag_is_name(p, dot - p)) {
            return "a bad name of a schema";
        }

        p = dot + 1;
    }

    if (!ngx_sf_tag_is_name(p, last - p)) {
        return "a bad name of a table";
    }

    tag->whole = ngx_sf_tag_hash(NGX_SF_TAG_BASIS, p, last - p);

    return NULL;
}


static const char *
ngx_sf_tag_parse_key(const u_char *p, const u_char *last, ngx_sf_tag_t *tag)
{
    const u_char  *equals;

    equals = ngx_strlchr((u_char *) p, (u_char *) last, '=');

    if (!ngx_sf_tag_is_name(p, equals - p)) {
        return "a bad name of a key";
    }

    tag->key.data = (u_char *) p;
    tag->key.len = equals - p;
    tag->keyed = ngx_sf_tag_hash(tag->whole, p, equals - p);

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
    uint64_t             one;
    ngx_uint_t           i;
    const ngx_sf_tag_t  *tag;

    stamp->n = 0;
    ngx_sf_stamp_add(zone, stamp, source);

    for (i = 0; i < tags->n; i++) {
        tag = &tags->tag[i];

        if (tag->from == NGX_SF_TAG_TABLE) {
            ngx_sf_stamp_add(zone, stamp,
                             ngx_sf_tag_index(source, tag->whole));
            continue;
        }

        value = tag->from == NGX_SF_TAG_USER ? user : id;
        one = ngx_sf_tag_hash_number(tag->keyed, value);

        ngx_sf_stamp_add(zone, stamp, ngx_sf_tag_index(source, tag->keyed));
        ngx_sf_stamp_add(zone, stamp, ngx_sf_tag_index(source, one));
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


/*
 * FNV-1a of one word more, and of a byte between words that none has.  Words
 * are names, then a value, so what stands for a table, for a key and for a
 * value of it have one, two and three of them.
 */

static uint64_t
ngx_sf_tag_hash(uint64_t hash, const u_char *p, size_t len)
{
    while (len--) {
        hash = (hash ^ *p++) * NGX_SF_TAG_PRIME;
    }

    return hash * NGX_SF_TAG_PRIME;
}


/* as PostgreSQL writes it */

static uint64_t
ngx_sf_tag_hash_number(uint64_t hash, int64_t n)
{
    u_char    *p, text[NGX_INT64_LEN];
    uint64_t   size;

    size = n < 0 ? 0 - (uint64_t) n : (uint64_t) n;
    p = ngx_sprintf(text, "%s%uL", n < 0 ? "-" : "", size);

    return ngx_sf_tag_hash(hash, text, p - text);
}


/* splitmix64 over all that makes a counter; the epochs are left out */

static uint32_t
ngx_sf_tag_index(ngx_uint_t source, uint64_t hash)
{
    uint64_t  h;

    h = hash + (source + 1) * 0x9e3779b97f4a7c15ULL;

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
    uint64_t       table;
    const u_char  *p, *end, *last;

    last = payload + len;
    end = ngx_sf_tag_word(payload, last);

    /* no tag can name it */

    if (!ngx_sf_tag_is_name(payload, end - payload)) {
        return NGX_OK;
    }

    (*moved)++;
    table = ngx_sf_tag_hash(NGX_SF_TAG_BASIS, payload, end - payload);
    ngx_sf_tag_move(zone, ngx_sf_tag_index(source, table));

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
    uint64_t table, const u_char *p, const u_char *last, ngx_uint_t *moved)
{
    uint64_t       key, one;
    const u_char  *equals, *end;

    equals = ngx_strlchr((u_char *) p, (u_char *) last, '=');

    if (equals == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_sf_tag_is_name(p, equals - p)) {
        return NGX_OK;
    }

    key = ngx_sf_tag_hash(table, p, equals - p);
    p = equals + 1;

    if (last - p == 1 && *p == '*') {
        ngx_sf_tag_move(zone, ngx_sf_tag_index(source, key));
        (*moved)++;
        return NGX_OK;
    }

    do {
        end = ngx_strlchr((u_char *) p, (u_char *) last, ',');
        end = end ? end : last;
        one = key;

        if (ngx_sf_tag_value(p, end, &one) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_sf_tag_move(zone, ngx_sf_tag_index(source, one));
        (*moved)++;

        p = end + 1;

    } while (end < last);

    return NGX_OK;
}


/*
 * An integer, a uuid, or the digest of a text.  Only what a trigger tells is
 * read: if they should ever tell something else, all is dropped rather than
 * the wrong thing.
 */

static ngx_int_t
ngx_sf_tag_value(const u_char *p, const u_char *last, uint64_t *hash)
{
    uint64_t       n;
    ngx_uint_t     minus, digits;
    const u_char  *start;

    start = p;

    if (ngx_sf_tag_is_digest(p, last - p) || ngx_sf_tag_is_uuid(p, last - p)) {
        *hash = ngx_sf_tag_hash(*hash, p, last - p);
        return NGX_OK;
    }

    n = 0;
    minus = p < last && *p == '-';

    for (p += minus, digits = 0; p < last; p++, digits++) {
        if (*p < '0' || *p > '9' || digits == 19) {
            return NGX_ERROR;
        }

        n = n * 10 + (*p - '0');
    }

    if (digits == 0 || n > (uint64_t) INT64_MAX + minus) {
        return NGX_ERROR;
    }

    /* written by hand it may have zeros in front, or be -0 */

    *hash = start[minus] == '0'
            ? ngx_sf_tag_hash_number(*hash, (int64_t) (minus ? 0 - n : n))
            : ngx_sf_tag_hash(*hash, start, last - start);

    return NGX_OK;
}


/* an integer of 16 digits is one, too, and has the same text */

static ngx_uint_t
ngx_sf_tag_is_digest(const u_char *p, size_t len)
{
    size_t  i;

    if (len != NGX_SF_TAG_DIGEST) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'))) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_sf_tag_is_uuid(const u_char *p, size_t len)
{
    size_t  i;

    if (len != NGX_SF_TAG_UUID) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {

            if (p[i] != '-') {
                return 0;
            }

        } else if (!((p[i] >= '0' && p[i] <= '9')
                     || (p[i] >= 'a' && p[i] <= 'f')))
        {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_sf_tag_is_value(const u_char *p, size_t len)
{
    uint64_t  hash;

    hash = 0;

    return ngx_sf_tag_value(p, p + len, &hash) == NGX_OK;
}


ngx_uint_t
ngx_sf_tag_is_name(const u_char *p, size_t len)
{
    size_t  i;

    if (len == 0 || len > NGX_SF_TAG_NAME || (p[0] >= '0' && p[0] <= '9')) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9')
              || p[i] == '_'))
        {
            return 0;
        }
    }

    return 1;
}


void
ngx_sf_tags_move_table(ngx_sf_zone_t *zone, ngx_uint_t source,
    ngx_uint_t table)
{
    uint64_t              whole, keyed;
    ngx_str_t             key;
    ngx_uint_t            i, n;
    ngx_sf_tag_t          tag;
    const ngx_sf_name_t  *names;

    n = zone->sh->directory.n;
    names = zone->sh->directory.names;

    (void) ngx_sf_tag_parse_table(names[table].name,
                                  names[table].name + names[table].len, &tag);
    whole = tag.whole;
    ngx_sf_tag_move(zone, ngx_sf_tag_index(source, whole));

    for (i = 0; i < n; i++) {
        if (names[i].table == table && i != table) {
            key = ngx_sf_directory_key(zone, i);
            keyed = ngx_sf_tag_hash(whole, key.data, key.len);
            ngx_sf_tag_move(zone, ngx_sf_tag_index(source, keyed));
        }
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


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The location that drops responses by hand: POST with one of
 *
 *     ?tag=table             all that is read from a table
 *     ?tag=table.key=value   what is read from rows with that key
 *     ?endpoint=name         all responses of an endpoint
 *     ?all                   everything
 *
 * Nothing is searched for or freed: counters are moved, as when the database
 * tells of a change.  The response says which ones.
 */


#include "ngx_sf_status.h"


static ngx_int_t ngx_sf_purge(ngx_http_request_t *r, ngx_sf_zone_t *zone,
    json_t *moved, const char **error);
static ngx_int_t ngx_sf_purge_endpoint(ngx_http_request_t *r,
    ngx_sf_zone_t *zone, const ngx_str_t *name, json_t *moved,
    const char **error);
static void ngx_sf_purge_tags(ngx_sf_zone_t *zone, const ngx_sf_tags_t *tags,
    json_t *moved);
static void ngx_sf_purge_all(ngx_sf_zone_t *zone, json_t *moved);
static ngx_int_t ngx_sf_purge_tag(ngx_sf_zone_t *zone, const ngx_str_t *tag,
    json_t *moved);
static ngx_int_t ngx_sf_purge_payload(ngx_sf_zone_t *zone,
    const ngx_str_t *tag, u_char *payload, size_t *len);
static ngx_str_t ngx_sf_purge_base(const ngx_str_t *table);
static void ngx_sf_purge_table(ngx_sf_zone_t *zone, const ngx_str_t *table,
    json_t *moved);
static void ngx_sf_purge_move(ngx_sf_zone_t *zone, const u_char *payload,
    size_t len, json_t *moved);


#define NGX_SF_PURGE_PAYLOAD  256         /* bytes, of a tag */
#define NGX_SF_PURGE_TABLE    4096        /* the same, of a table with keys */


ngx_int_t
ngx_sf_purge_handler(ngx_http_request_t *r)
{
    json_t              *moved;
    ngx_int_t            rc;
    const char          *error;
    ngx_sf_loc_conf_t   *slcf;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_sf_status_send(r, NGX_HTTP_NOT_ALLOWED, "POST",
                                  json_pack("{s:s}", "error",
                                            "Method not allowed"));
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_softfactory_module);
    moved = json_array();

    if (moved == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_sf_purge(r, slcf->zone, moved, &error);

    if (rc != NGX_OK) {
        json_decref(moved);
        return ngx_sf_status_send(r, NGX_HTTP_BAD_REQUEST, NULL,
                                  json_pack("{s:s}", "error", error));
    }

    return ngx_sf_status_send(r, NGX_HTTP_OK, NULL,
                              json_pack("{s:o}", "moved", moved));
}


/* NGX_DECLINED: nothing that can be purged is named */

static ngx_int_t
ngx_sf_purge(ngx_http_request_t *r, ngx_sf_zone_t *zone, json_t *moved,
    const char **error)
{
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) "endpoint", 8, &value) == NGX_OK) {
        return ngx_sf_purge_endpoint(r, zone, &value, moved, error);
    }

    if (ngx_http_arg(r, (u_char *) "tag", 3, &value) == NGX_OK) {
        *error = "There is no such tag: it is table or table.key=value";
        return ngx_sf_purge_tag(zone, &value, moved);
    }

    *error = "One of tag, endpoint and all is needed";

    if (ngx_http_arg(r, (u_char *) "all", 3, &value) != NGX_OK
        && (r->args.len != 3 || ngx_strncmp(r->args.data, "all", 3) != 0))
    {
        return NGX_DECLINED;
    }

    ngx_sf_purge_all(zone, moved);

    return NGX_OK;
}


/*
 * An endpoint has no counter of its own: those of its tables are moved.  One
 * whose tables nobody knows has none at all.
 */

static ngx_int_t
ngx_sf_purge_endpoint(ngx_http_request_t *r, ngx_sf_zone_t *zone,
    const ngx_str_t *name, json_t *moved, const char **error)
{
    ngx_uint_t           i;
    ngx_sf_endpoint_t   *endpoint;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);
    endpoint = smcf->endpoints;

    for (i = 0; i < smcf->nendpoints; i++) {

        if (endpoint[i].response == NULL || !endpoint[i].response->cached
            || endpoint[i].name.len != name->len
            || ngx_memcmp(endpoint[i].name.data, name->data, name->len) != 0)
        {
            continue;
        }

        if (endpoint[i].response->tags.unknown) {
            *error = "This endpoint has no tags, so its responses cannot be "
                     "told from others: they are kept for "
                     "softfactory_cache_incoherent_ttl at most, and ?all "
                     "drops them";
            return NGX_DECLINED;
        }

        ngx_sf_purge_tags(zone, &endpoint[i].response->tags, moved);

        return NGX_OK;
    }

    *error = "There is no such endpoint with cached responses";

    return NGX_DECLINED;
}


/* each table once */

static void
ngx_sf_purge_tags(ngx_sf_zone_t *zone, const ngx_sf_tags_t *tags,
    json_t *moved)
{
    ngx_uint_t  i, k;

    for (i = 0; i < tags->n; i++) {
        for (k = 0; tags->tag[k].whole != tags->tag[i].whole; k++) {
            /* void */
        }

        if (k == i) {
            ngx_sf_purge_table(zone, &tags->tag[i].table, moved);
        }
    }
}


static void
ngx_sf_purge_all(ngx_sf_zone_t *zone, json_t *moved)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        ngx_sf_tags_move_all(zone, i);
    }

    json_array_append_new(moved, json_string("all"));
}


static ngx_int_t
ngx_sf_purge_tag(ngx_sf_zone_t *zone, const ngx_str_t *tag, json_t *moved)
{
    u_char  payload[NGX_SF_PURGE_PAYLOAD];
    size_t  len;

    if (ngx_sf_directory_find(zone, tag, NULL) != NGX_SF_NAMES) {
        ngx_sf_purge_table(zone, tag, moved);
        return NGX_OK;
    }

    if (ngx_sf_purge_payload(zone, tag, payload, &len) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_sf_purge_move(zone, payload, len, moved);

    return NGX_OK;
}


/*
 * "table.key=value", also with %3D for "=", as a notification has it, which
 * tells no schema.  The zone has to know the table and the key: else a name
 * that is misspelt would seem to have been purged.
 */

static ngx_int_t
ngx_sf_purge_payload(ngx_sf_zone_t *zone, const ngx_str_t *tag,
    u_char *payload, size_t *len)
{
    u_char     *text, *dot, *equals, *src, *dst;
    ngx_str_t   table, key, base;

    if (tag->len >= NGX_SF_PURGE_PAYLOAD) {
        return NGX_DECLINED;
    }

    text = payload;
    src = tag->data;
    dst = text;
    ngx_unescape_uri(&dst, &src, tag->len, 0);

    equals = ngx_strlchr(text, dst, '=');

    if (equals == NULL) {
        return NGX_DECLINED;
    }

    for (dot = equals; dot > text && *dot != '.'; dot--) { /* void */ }

    table.data = text;
    table.len = dot - text;
    key.data = dot + 1;
    key.len = equals - dot - 1;

    if (dot == text || key.len == 0
        || ngx_sf_directory_find(zone, &table, &key) == NGX_SF_NAMES
        || !ngx_sf_tag_is_value(equals + 1, dst - equals - 1))
    {
        return NGX_DECLINED;
    }

    *dot = ' ';
    base = ngx_sf_purge_base(&table);
    *len = dst - base.data;
    ngx_memmove(payload, base.data, *len);

    return NGX_OK;
}


/* the name of a table without its schema */

static ngx_str_t
ngx_sf_purge_base(const ngx_str_t *table)
{
    u_char     *dot;
    ngx_str_t   base;

    base = *table;
    dot = ngx_strlchr(base.data, base.data + base.len, '.');

    if (dot) {
        base.len -= dot + 1 - base.data;
        base.data = dot + 1;
    }

    return base;
}


/* as when the table is truncated; it may have more keys than there is room */

static void
ngx_sf_purge_table(ngx_sf_zone_t *zone, const ngx_str_t *table, json_t *moved)
{
    u_char      *p, *last, payload[NGX_SF_PURGE_TABLE];
    ngx_str_t    base, key;
    ngx_uint_t   i, n, k;

    n = ngx_sf_directory_find(zone, table, NULL);
    base = ngx_sf_purge_base(table);

    last = payload + sizeof(payload);
    p = ngx_slprintf(payload, last, "%V", &base);

    for (i = 0; n != NGX_SF_NAMES && i < zone->sh->directory.n; i++) {
        key = ngx_sf_directory_key(zone, i);

        if (zone->sh->directory.names[i].table == n && key.len) {
            p = ngx_slprintf(p, last, " %V=*", &key);
        }
    }

    if (p == last) {
        for (k = 0; k < NGX_SF_SOURCES; k++) {
            ngx_sf_tags_move_table(zone, k, n);
        }

        json_array_append_new(moved, json_stringn((char *) base.data,
                                                  base.len));
        return;
    }

    ngx_sf_purge_move(zone, payload, p - payload, moved);
}


/* for every database of the zone */

static void
ngx_sf_purge_move(ngx_sf_zone_t *zone, const u_char *payload, size_t len,
    json_t *moved)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        (void) ngx_sf_tags_move(zone, i, payload, len);
    }

    json_array_append_new(moved, json_stringn((const char *) payload, len));
}


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
static ngx_int_t ngx_sf_purge_tag(ngx_sf_zone_t *zone, const ngx_str_t *tag,
    json_t *moved);
static ngx_int_t ngx_sf_purge_payload(const ngx_str_t *tag, u_char *payload,
    size_t *len);
static void ngx_sf_purge_table(ngx_sf_zone_t *zone, ngx_uint_t table,
    json_t *moved);
static void ngx_sf_purge_move(ngx_sf_zone_t *zone, const u_char *payload,
    size_t len, json_t *moved);


#define NGX_SF_PURGE_PAYLOAD  256         /* bytes */


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
    ngx_uint_t  i;
    ngx_str_t   value;

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

    for (i = 0; i < NGX_SF_SOURCES; i++) {
        ngx_sf_tags_move_all(zone, i);
    }

    json_array_append_new(moved, json_string("all"));

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
    ngx_uint_t           i, table, tables;
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

        tables = endpoint[i].response->tags.tables;

        if (tables & NGX_SF_TAGS_UNKNOWN) {
            *error = "This endpoint has no tags, so its responses cannot be "
                     "told from others: they are kept for "
                     "softfactory_cache_incoherent_ttl at most, and ?all "
                     "drops them";
            return NGX_DECLINED;
        }

        for (table = 0; table < ngx_sf_table_count(); table++) {
            if (tables & ((ngx_uint_t) 1 << table)) {
                ngx_sf_purge_table(zone, table, moved);
            }
        }

        return NGX_OK;
    }

    *error = "There is no such endpoint with cached responses";

    return NGX_DECLINED;
}


static ngx_int_t
ngx_sf_purge_tag(ngx_sf_zone_t *zone, const ngx_str_t *tag, json_t *moved)
{
    u_char     payload[NGX_SF_PURGE_PAYLOAD];
    size_t     len;
    ngx_int_t  table;

    table = ngx_sf_table_find(tag->data, tag->len);

    if (table != NGX_ERROR) {
        ngx_sf_purge_table(zone, table, moved);
        return NGX_OK;
    }

    if (ngx_sf_purge_payload(tag, payload, &len) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_sf_purge_move(zone, payload, len, moved);

    return NGX_OK;
}


/* "table.key=value", also with %3D for "=", as a notification has it */

static ngx_int_t
ngx_sf_purge_payload(const ngx_str_t *tag, u_char *payload, size_t *len)
{
    u_char     *p, *dot, *equals, *src, *dst;
    ngx_int_t   table;
    ngx_uint_t  minus;

    if (tag->len >= NGX_SF_PURGE_PAYLOAD) {
        return NGX_DECLINED;
    }

    src = tag->data;
    dst = payload;
    ngx_unescape_uri(&dst, &src, tag->len, 0);

    dot = ngx_strlchr(payload, dst, '.');
    equals = ngx_strlchr(payload, dst, '=');

    if (dot == NULL || equals == NULL || equals < dot) {
        return NGX_DECLINED;
    }

    table = ngx_sf_table_find(payload, dot - payload);

    if (table == NGX_ERROR
        || ngx_sf_table_key(table, dot + 1, equals - dot - 1) == NGX_ERROR)
    {
        return NGX_DECLINED;
    }

    p = equals + 1;
    minus = p < dst && *p == '-';

    if (ngx_atoof(p + minus, dst - p - minus) == NGX_ERROR) {
        return NGX_DECLINED;
    }

    *dot = ' ';
    *len = dst - payload;

    return NGX_OK;
}


/* as when the table is truncated */

static void
ngx_sf_purge_table(ngx_sf_zone_t *zone, ngx_uint_t table, json_t *moved)
{
    u_char                 payload[NGX_SF_PURGE_PAYLOAD], *p;
    ngx_uint_t             i;
    const ngx_sf_table_t  *t;

    t = &ngx_sf_tables[table];
    p = ngx_sprintf(payload, "%s", t->name);

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        p = ngx_sprintf(p, " %s=*", t->keys[i]);
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

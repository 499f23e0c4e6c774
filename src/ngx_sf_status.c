
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The location that tells what a zone holds and how its listeners are, as
 * JSON.  It asks no database and takes the mutex for a moment only.
 */


#include "ngx_sf.h"

#include <jansson.h>


typedef struct {
    const char                 *name;
    size_t                      offset;   /* in ngx_sf_cache_stats_t */
} ngx_sf_status_counter_t;


static json_t *ngx_sf_status_cache(ngx_sf_zone_t *zone);
static void ngx_sf_status_counters(ngx_sf_zone_t *zone, json_t *doc);
static json_t *ngx_sf_status_sources(ngx_http_request_t *r,
    ngx_sf_zone_t *zone);
static json_t *ngx_sf_status_source(ngx_sf_main_conf_t *smcf,
    ngx_sf_origin_t *origin, ngx_sf_source_t *source);
static json_t *ngx_sf_status_tables(ngx_uint_t mask);


#define NGX_SF_STATUS_COUNTER(name)                                           \
    { #name, offsetof(ngx_sf_cache_stats_t, name) }

static const ngx_sf_status_counter_t  ngx_sf_status_names[] = {
    NGX_SF_STATUS_COUNTER(bypassed),
    NGX_SF_STATUS_COUNTER(evictions),
    NGX_SF_STATUS_COUNTER(expired),
    NGX_SF_STATUS_COUNTER(fills),
    NGX_SF_STATUS_COUNTER(followers),
    NGX_SF_STATUS_COUNTER(hits),
    NGX_SF_STATUS_COUNTER(misses),
    NGX_SF_STATUS_COUNTER(raced),
    NGX_SF_STATUS_COUNTER(refused),
    NGX_SF_STATUS_COUNTER(stale),
    NGX_SF_STATUS_COUNTER(waits),
    { NULL, 0 }
};


ngx_int_t
ngx_sf_status_handler(ngx_http_request_t *r)
{
    ngx_sf_loc_conf_t  *slcf;

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_sf_status_send(r, NGX_HTTP_NOT_ALLOWED, "GET, HEAD",
                                  json_pack("{s:s}", "error",
                                            "Method not allowed"));
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_softfactory_module);

    return ngx_sf_status_send(r, NGX_HTTP_OK, NULL,
               json_pack("{s:o, s:o}",
                         "cache", ngx_sf_status_cache(slcf->zone),
                         "sources", ngx_sf_status_sources(r, slcf->zone)));
}


static json_t *
ngx_sf_status_cache(ngx_sf_zone_t *zone)
{
    json_t            *doc;
    size_t             bytes;
    ngx_uint_t         i, nodes, fills, workers, pins;
    ngx_queue_t       *q;
    ngx_sf_zone_sh_t  *sh;

    sh = zone->sh;
    bytes = 0;
    nodes = 0;
    fills = 0;
    workers = 0;
    pins = 0;

    if (ngx_sf_zone_lock(zone)) {
        bytes = sh->bytes;
        nodes = sh->nodes;

        for (q = ngx_queue_head(&sh->fills);
             q != ngx_queue_sentinel(&sh->fills);
             q = ngx_queue_next(q))
        {
            fills++;
        }

        ngx_sf_zone_unlock(zone);
    }

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        if (sh->slots[i].pid) {
            workers++;
            pins += sh->slots[i].npins;
        }
    }

    doc = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                    "bytes", (json_int_t) bytes,
                    "entries", (json_int_t) nodes,
                    "fills_under_way", (json_int_t) fills,
                    "pinned_bytes", (json_int_t) ngx_sf_cache_pinned(zone),
                    "pins", (json_int_t) pins,
                    "room", (json_int_t) sh->arena_size,
                    "size", (json_int_t) sh->size,
                    "workers", (json_int_t) workers);

    ngx_sf_status_counters(zone, doc);

    return doc;
}


/* sums over all workers, those that have left too */

static void
ngx_sf_status_counters(ngx_sf_zone_t *zone, json_t *doc)
{
    u_char                         *stats;
    json_int_t                      n;
    ngx_uint_t                      i;
    const ngx_sf_status_counter_t  *counter;

    for (counter = ngx_sf_status_names; counter->name; counter++) {
        stats = (u_char *) &zone->sh->gone;
        n = *(ngx_uint_t *) (stats + counter->offset);

        for (i = 0; i < NGX_SF_SLOTS; i++) {
            stats = (u_char *) &zone->sh->slots[i].stats;
            n += *(ngx_uint_t *) (stats + counter->offset);
        }

        json_object_set_new(doc, counter->name, json_integer(n));
    }
}


static json_t *
ngx_sf_status_sources(ngx_http_request_t *r, ngx_sf_zone_t *zone)
{
    json_t              *list;
    ngx_uint_t           i;
    ngx_sf_origin_t     *origin;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);
    origin = smcf->origins.elts;
    list = json_array();

    for (i = 0; i < smcf->origins.nelts; i++) {
        if (origin[i].zone == zone && smcf->worker->sources[i]) {
            json_array_append_new(list,
                       ngx_sf_status_source(smcf, &origin[i],
                                            smcf->worker->sources[i]));
        }
    }

    return list;
}


static json_t *
ngx_sf_status_source(ngx_sf_main_conf_t *smcf, ngx_sf_origin_t *origin,
    ngx_sf_source_t *source)
{
    ngx_msec_t      confirmed;
    ngx_msec_int_t  age;

    confirmed = source->confirmed;
    age = (ngx_msec_int_t) (ngx_current_msec - confirmed);

    return json_pack("{s:b, s:o, s:I, s:I, s:I, s:I, s:f, s:o, s:s#}",
                     "coherent", (int) (confirmed
                                 && age <= (ngx_msec_int_t) smcf->lease),
                     "confirmed_ms_ago",
                     confirmed ? json_integer(ngx_max(age, 0)) : json_null(),
                     "flushes", (json_int_t) source->epochs,
                     "listener_pid", (json_int_t) source->owner,
                     "moves", (json_int_t) source->moves,
                     "notifications", (json_int_t) source->notifications,
                     "queue_usage", (double) source->queue_usage / 1000000,
                     "uncovered", ngx_sf_status_tables(source->uncovered),
                     "upstream", origin->primary->name.data,
                     (size_t) origin->primary->name.len);
}


static json_t *
ngx_sf_status_tables(ngx_uint_t mask)
{
    json_t      *list;
    ngx_uint_t   i;

    list = json_array();

    for (i = 0; i < ngx_sf_table_count(); i++) {
        if (mask & ((ngx_uint_t) 1 << i)) {
            json_array_append_new(list, json_string(ngx_sf_tables[i].name));
        }
    }

    return list;
}


ngx_int_t
ngx_sf_status_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *allow, json_t *doc)
{
    size_t        len;
    u_char       *p;
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_str_t     methods;
    ngx_chain_t   out;

    p = NULL;
    len = doc ? json_dumpb(doc, NULL, 0, JSON_COMPACT|JSON_SORT_KEYS) : 0;
    b = ngx_calloc_buf(r->pool);

    if (len && b) {
        p = ngx_pnalloc(r->pool, len + 1);
    }

    if (p) {
        json_dumpb(doc, (char *) p, len, JSON_COMPACT|JSON_SORT_KEYS);
        p[len++] = '\n';
    }

    json_decref(doc);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (allow) {
        methods.data = (u_char *) allow;
        methods.len = ngx_strlen(allow);

        if (ngx_sf_header_add(r, "Allow", &methods) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = p;
    b->last = p + len;
    b->memory = 1;
    b->last_buf = r == r->main;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}

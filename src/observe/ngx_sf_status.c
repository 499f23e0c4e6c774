
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The location that tells what a zone holds and how its listeners are, as
 * JSON, beside what ngx_sf_status_load.c tells of the requests.  It asks no
 * database and takes the mutex for a moment only.
 */


#include "ngx_sf_status.h"


typedef struct {
    const char                 *name;
    size_t                      offset;   /* in ngx_sf_cache_stats_t */
} ngx_sf_status_counter_t;


static json_t *ngx_sf_status_cache(ngx_sf_zone_t *zone);
static json_t *ngx_sf_status_links(ngx_http_request_t *r);
static json_t *ngx_sf_status_sources(ngx_http_request_t *r,
    ngx_sf_zone_t *zone);
static json_t *ngx_sf_status_source(ngx_sf_main_conf_t *smcf,
    ngx_sf_origin_t *origin, ngx_sf_source_t *source);
static json_t *ngx_sf_status_schema(ngx_sf_zone_t *zone,
    ngx_sf_source_t *source);
static json_t *ngx_sf_status_tables(ngx_sf_zone_t *zone,
    const ngx_sf_set_t *set);


#define NGX_SF_STATUS_COUNTER(name)                                           \
    { #name, offsetof(ngx_sf_cache_stats_t, name) }

static const ngx_sf_status_counter_t  ngx_sf_status_names[] = {
    NGX_SF_STATUS_COUNTER(abandoned),
    NGX_SF_STATUS_COUNTER(bypassed),
    NGX_SF_STATUS_COUNTER(evictions),
    NGX_SF_STATUS_COUNTER(evictions_main),
    NGX_SF_STATUS_COUNTER(expired),
    NGX_SF_STATUS_COUNTER(fills),
    NGX_SF_STATUS_COUNTER(followers),
    NGX_SF_STATUS_COUNTER(hits),
    NGX_SF_STATUS_COUNTER(misses),
    NGX_SF_STATUS_COUNTER(no_room),
    NGX_SF_STATUS_COUNTER(raced),
    NGX_SF_STATUS_COUNTER(refused),
    NGX_SF_STATUS_COUNTER(returned),
    NGX_SF_STATUS_COUNTER(stale),
    NGX_SF_STATUS_COUNTER(waits),
    { NULL, 0 }
};


ngx_int_t
ngx_sf_status_handler(ngx_http_request_t *r)
{
    json_t              *doc;
    ngx_int_t            rc;
    ngx_sf_loc_conf_t   *slcf;
    ngx_sf_main_conf_t  *smcf;

    if (ngx_sf_status_refused(r, &rc)) {
        return rc;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_softfactory_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);

    doc = json_pack("{s:o, s:o, s:o}",
                    "cache", ngx_sf_status_cache(slcf->zone),
                    "links", ngx_sf_status_links(r),
                    "sources", ngx_sf_status_sources(r, slcf->zone));

    ngx_sf_status_sign(doc);

    if (smcf->metrics && ngx_sf_status_load(r, doc) != NGX_OK) {
        json_decref(doc);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_sf_status_send(r, NGX_HTTP_OK, NULL, doc);
}


ngx_uint_t
ngx_sf_status_refused(ngx_http_request_t *r, ngx_int_t *rc)
{
    *rc = ngx_http_discard_request_body(r);

    if (*rc != NGX_OK) {
        return 1;
    }

    if (!ngx_sf_header_matches(r, NULL)) {
        *rc = ngx_sf_status_send(r, NGX_HTTP_PRECONDITION_FAILED, NULL,
                                 json_pack("{s:s}", "error",
                                           "Precondition failed"));
        return 1;
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return 0;
    }

    *rc = ngx_sf_status_send(r, NGX_HTTP_NOT_ALLOWED, "GET, HEAD",
                             json_pack("{s:s}", "error",
                                       "Method not allowed"));

    return 1;
}


/* a host's name may be no text, then it is left out */

void
ngx_sf_status_sign(json_t *doc)
{
    json_object_set_new(doc, "module_version", json_string(NGX_SF_VERSION));
    json_object_set_new(doc, "node",
                        json_stringn((char *) ngx_cycle->hostname.data,
                                     ngx_cycle->hostname.len));
}


/* what the same server shows besides, by its path, and the path of this */

static json_t *
ngx_sf_status_links(ngx_http_request_t *r)
{
    void                *server;
    json_t              *links;
    ngx_uint_t           i;
    ngx_sf_link_t       *link;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);
    server = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    link = smcf->links.elts;
    links = json_object();

    json_object_set_new(links, "status",
                        json_stringn((char *) r->uri.data, r->uri.len));

    for (i = 0; i < smcf->links.nelts; i++) {
        if (link[i].server == server) {
            json_object_setn_new(links, (char *) link[i].what.data,
                                 link[i].what.len,
                                 json_stringn((char *) link[i].path.data,
                                              link[i].path.len));
        }
    }

    return links;
}


static json_t *
ngx_sf_status_cache(ngx_sf_zone_t *zone)
{
    json_t                         *doc;
    ngx_sf_zone_facts_t             facts;
    const ngx_sf_status_counter_t  *counter;

    ngx_sf_zone_facts(zone, &facts);

    doc = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                    "bytes", (json_int_t) facts.bytes,
                    "entries", (json_int_t) facts.nodes,
                    "fills_under_way", (json_int_t) facts.fills,
                    "main_bytes", (json_int_t) facts.queues[NGX_SF_MAIN],
                    "pinned_bytes", (json_int_t) facts.pinned,
                    "pins", (json_int_t) facts.pins,
                    "room", (json_int_t) facts.room,
                    "size", (json_int_t) zone->sh->size,
                    "small_bytes", (json_int_t) facts.queues[NGX_SF_SMALL],
                    "workers", (json_int_t) facts.workers);

    for (counter = ngx_sf_status_names; counter->name; counter++) {
        json_object_set_new(doc, counter->name,
                            json_integer(*(ngx_uint_t *)
                                         ((u_char *) &facts.stats
                                          + counter->offset)));
    }

    return doc;
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
    ngx_uint_t      coherent;
    ngx_sf_set_t    uncovered;
    ngx_sf_zone_t  *zone;
    ngx_msec_int_t  age;

    zone = origin->zone;
    coherent = ngx_sf_zone_coherent(source, smcf->lease, &age);
    (void) ngx_sf_zone_uncovered(zone, source, &uncovered);

    return json_pack("{s:I, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:o,"
                     " s:o, s:I, s:s%}",
                     "channel_names", (json_int_t) source->names,
                     "coherent", (int) coherent,
                     "confirmed_ms_ago",
                     age < 0 ? json_null() : json_integer(age),
                     "creators", (json_int_t) source->creators,
                     "flushes", (json_int_t) source->epochs,
                     "listener_pid", (json_int_t) source->owner,
                     "moves", (json_int_t) source->moves,
                     "notifications", (json_int_t) source->notifications,
                     "open_channel", ngx_sf_status_tables(zone,
                                                         &source->schema.open),
                     "queue_usage", (double) source->queue_usage / 1000000,
                     "schema", ngx_sf_status_schema(zone, source),
                     "uncovered", ngx_sf_status_tables(zone, &uncovered),
                     "unreadable", (json_int_t) source->unreadable,
                     "upstream", origin->primary->name.data,
                     (size_t) origin->primary->name.len);
}


/* changes that were seen; of the last one when it was, and what was dropped */

static json_t *
ngx_sf_status_schema(ngx_sf_zone_t *zone, ngx_sf_source_t *source)
{
    json_t            *dropped;
    ngx_atomic_uint_t  changes;

    changes = source->changes;
    ngx_memory_barrier();

    dropped = source->changed_rest
              ? json_pack("[s]", "everything")
              : ngx_sf_status_tables(zone, &source->changed);

    return json_pack("{s:o, s:I, s:o}",
                     "changed_at",
                     source->changed_at ? json_integer(source->changed_at)
                                        : json_null(),
                     "changes", (json_int_t) changes,
                     "dropped", dropped);
}


static json_t *
ngx_sf_status_tables(ngx_sf_zone_t *zone, const ngx_sf_set_t *set)
{
    json_t      *list;
    ngx_str_t    names[NGX_SF_NAMES];
    ngx_uint_t   i, n;

    list = json_array();
    n = ngx_sf_directory_list(zone, set, names);

    for (i = 0; i < n; i++) {
        json_array_append_new(list, json_stringn((char *) names[i].data,
                                                 names[i].len));
    }

    return list;
}


ngx_int_t
ngx_sf_status_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *allow, json_t *doc)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_str_t     body, methods;
    ngx_chain_t   out;

    rc = ngx_sf_document_write(r->pool, doc, &body);
    b = ngx_calloc_buf(r->pool);

    if (rc != NGX_OK || b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = body.len;
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

    rc = ngx_sf_header_send(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = 1;
    b->last_buf = r == r->main;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}

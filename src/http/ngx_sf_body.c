
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Bodies that a worker keeps in its own memory until they are sent.
 *
 * A client that does not read, or a stream of HTTP/2 whose window is shut,
 * holds what it is sent for as long as it likes.  What lies in the zone is sent
 * from there.  What does not has been made by a flight, or may not be pinned
 * any longer; it is kept here, once for all requests of the worker that send
 * the same bytes, so that it is responses that count, not streams.
 *
 * All of these have a budget in each worker, softfactory_max_bodies; what does
 * not fit in it is not sent, its requests get 503.  A principal has half of it,
 * or one body if that is larger, and 429 beyond that: one client that does not
 * read leaves the others something.  What several are sent is nobody's.  Small
 * bodies are left out: there are as many of them as requests, and nginx needs
 * more for a request.
 */


#include "ngx_sf_http.h"


#define NGX_SF_BODY_BUCKETS  256

/* of the budget, what one principal may have: one in so many */

#define NGX_SF_BODY_SHARE    2


static ngx_queue_t *ngx_sf_body_bucket(ngx_sf_bodies_t *bodies,
    const ngx_str_t *text);
static ngx_uint_t ngx_sf_body_quota(ngx_sf_worker_t *worker, size_t len,
    uint32_t principal);
static void ngx_sf_body_refused(ngx_sf_worker_t *worker, size_t len,
    const char *why);


ngx_int_t
ngx_sf_bodies_init(ngx_cycle_t *cycle, ngx_sf_bodies_t *bodies)
{
    ngx_uint_t  i;

    bodies->buckets = ngx_palloc(cycle->pool, NGX_SF_BODY_BUCKETS
                                              * sizeof(ngx_queue_t));
    if (bodies->buckets == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_SF_BODY_BUCKETS; i++) {
        ngx_queue_init(&bodies->buckets[i]);
    }

    return NGX_OK;
}


/* a line of log a second says how many there were since the last one */

static void
ngx_sf_body_refused(ngx_sf_worker_t *worker, size_t len, const char *why)
{
    time_t            now;
    ngx_sf_bodies_t  *bodies;

    bodies = &worker->bodies;
    now = ngx_time();

    worker->smcf->metrics->slot->counts.bodies_refused++;
    bodies->refused++;

    if (bodies->logged == now) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, worker->cycle->log, 0,
                  "softfactory_max_bodies: %uz bytes are being sent, there is "
                  "%s, for %uz more; responses refused so: %ui",
                  bodies->bytes, why, len, bodies->refused);

    bodies->logged = now;
    bodies->refused = 0;
}


ngx_sf_pg_outcome_e
ngx_sf_body_copy(ngx_sf_worker_t *worker, const ngx_str_t *text,
    uint32_t principal, ngx_sf_body_t **copy)
{
    ngx_queue_t      *q, *bucket;
    ngx_sf_body_t    *body;
    ngx_sf_bodies_t  *bodies;

    bodies = &worker->bodies;
    bucket = ngx_sf_body_bucket(bodies, text);

    for (q = ngx_queue_head(bucket); q != bucket; q = ngx_queue_next(q)) {
        body = ngx_queue_data(q, ngx_sf_body_t, queue);

        if (body->len == text->len
            && ngx_memcmp(body->data, text->data, text->len) == 0)
        {
            if (body->principal != principal) {
                body->principal = 0;
            }

            body->refs++;
            *copy = body;
            return NGX_SF_PG_OK;
        }
    }

    if (text->len > worker->smcf->max_bodies
        || bodies->bytes > worker->smcf->max_bodies - text->len)
    {
        ngx_sf_body_refused(worker, text->len, "no room");
        return NGX_SF_PG_BUSY;
    }

    if (ngx_sf_body_quota(worker, text->len, principal)) {
        ngx_sf_body_refused(worker, text->len, "no room for one client");
        return NGX_SF_PG_QUOTA_FULL;
    }

    body = ngx_alloc(offsetof(ngx_sf_body_t, data) + text->len,
                     worker->cycle->log);
    if (body == NULL) {
        return NGX_SF_PG_BUSY;
    }

    bodies->bytes += text->len;

    body->refs = 1;
    body->principal = principal;
    body->len = text->len;
    ngx_memcpy(body->data, text->data, text->len);

    ngx_queue_insert_head(bucket, &body->queue);
    *copy = body;

    return NGX_SF_PG_OK;
}


/*
 * Whether a principal has its part and would have more.  The walk is made only
 * while that much is kept, and over 8192 bodies at most with the default.
 */

static ngx_uint_t
ngx_sf_body_quota(ngx_sf_worker_t *worker, size_t len, uint32_t principal)
{
    size_t            part, held;
    ngx_uint_t        i;
    ngx_queue_t      *q, *bucket;
    ngx_sf_body_t    *body;
    ngx_sf_bodies_t  *bodies;

    bodies = &worker->bodies;
    part = worker->smcf->max_bodies / NGX_SF_BODY_SHARE;
    held = 0;

    if (principal == 0 || bodies->bytes + len <= part) {
        return 0;
    }

    for (i = 0; i < NGX_SF_BODY_BUCKETS; i++) {
        bucket = &bodies->buckets[i];

        for (q = ngx_queue_head(bucket); q != bucket; q = ngx_queue_next(q)) {
            body = ngx_queue_data(q, ngx_sf_body_t, queue);

            if (body->principal == principal) {
                held += body->len;
            }
        }
    }

    return held && held + len > part;
}


void
ngx_sf_body_free(ngx_sf_worker_t *worker, ngx_sf_body_t *body)
{
    if (--body->refs) {
        return;
    }

    ngx_queue_remove(&body->queue);
    worker->bodies.bytes -= body->len;
    ngx_free(body);
}


/* the bytes are compared: a few of them are enough to find them by */

static ngx_queue_t *
ngx_sf_body_bucket(ngx_sf_bodies_t *bodies, const ngx_str_t *text)
{
    size_t    n;
    uint32_t  hash;

    n = ngx_min(text->len, NGX_SF_BODY_SMALL);
    hash = ngx_murmur_hash2(text->data, n) + text->len;

    return &bodies->buckets[hash % NGX_SF_BODY_BUCKETS];
}

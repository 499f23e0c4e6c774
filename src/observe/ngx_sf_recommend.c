
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Rules: a figure, a threshold, and what to do.  Each names what it is about,
 * the figure, and the directive or the file that helps.  The thresholds of
 * latency, errors, processor and memory are those of the performance report.
 *
 * A rule is a function of the figures alone, so that each can be tried with
 * made-up ones.  One that does not apply returns NULL, and so does one about a
 * share while there have been too few requests.
 */


#include "ngx_sf_recommend.h"


/* with fewer requests a share says nothing */

#define NGX_SF_RECOMMEND_FEW  20

#define ngx_sf_recommend_s(n)     ((n) == 1 ? "" : "s")


static u_char *ngx_sf_recommend_latency(u_char *buf, u_char *last,
    const ngx_sf_recommend_endpoint_t *endpoint);
static u_char *ngx_sf_recommend_errors(u_char *buf, u_char *last,
    const ngx_sf_recommend_endpoint_t *endpoint);
static u_char *ngx_sf_recommend_hits(u_char *buf, u_char *last,
    const ngx_sf_recommend_endpoint_t *endpoint);
static u_char *ngx_sf_recommend_down(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_application(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_listener(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_triggers(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_broken(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_busy(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_quota(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_queue(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_timeout(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_cpu(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_memory(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);
static u_char *ngx_sf_recommend_evictions(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server);


const ngx_sf_recommend_endpoint_pt  ngx_sf_recommend_endpoint_rules[] = {
    ngx_sf_recommend_errors,
    ngx_sf_recommend_latency,
    ngx_sf_recommend_hits,
    NULL
};


const ngx_sf_recommend_server_pt  ngx_sf_recommend_server_rules[] = {
    ngx_sf_recommend_down,
    ngx_sf_recommend_application,
    ngx_sf_recommend_listener,
    ngx_sf_recommend_triggers,
    ngx_sf_recommend_broken,
    ngx_sf_recommend_busy,
    ngx_sf_recommend_quota,
    ngx_sf_recommend_queue,
    ngx_sf_recommend_timeout,
    ngx_sf_recommend_cpu,
    ngx_sf_recommend_memory,
    ngx_sf_recommend_evictions,
    NULL
};


/* 5xx; those of clients (4xx) need nothing to be done here */

static u_char *
ngx_sf_recommend_errors(u_char *buf, u_char *last,
    const ngx_sf_recommend_endpoint_t *endpoint)
{
    double  percent;

    if (endpoint->requests < NGX_SF_RECOMMEND_FEW) {
        return NULL;
    }

    percent = 100.0 * endpoint->errors / endpoint->requests;

    if (percent <= 0.5) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "%s: %.1f %% of the responses are errors (%s): see "
                        "error.log, and the errors of the database section "
                        "by reason.", endpoint->path, percent,
                        percent > 5 ? "critical, above 5 %" : "above 0.5 %");
}


/*
 * Where the time goes decides what helps: the statement, if it takes more than
 * a fifth of the threshold on average, else what is before or behind it.
 */

static u_char *
ngx_sf_recommend_latency(u_char *buf, u_char *last,
    const ngx_sf_recommend_endpoint_t *endpoint)
{
    if (endpoint->p95 <= NGX_SF_RECOMMEND_SLOW) {
        return NULL;
    }

    buf = ngx_slprintf(buf, last, "%s: the 95th percentile is %.1f ms (%s): ",
                       endpoint->path, endpoint->p95,
                       endpoint->p95 > NGX_SF_RECOMMEND_VERY_SLOW
                       ? "critical, above 2 s" : "above 500 ms");

    if (endpoint->queries && endpoint->query > NGX_SF_RECOMMEND_SLOW / 5) {
        return ngx_slprintf(buf, last,
                            "its statement takes %.0f ms; look at its plan "
                            "with EXPLAIN, at conf/postgresql/indexes.sql "
                            "and at the load of the database.",
                            endpoint->query);
    }

    return ngx_slprintf(buf, last,
                        "its statement takes %.0f ms, the time goes "
                        "elsewhere; the phases of the slow requests tell "
                        "whether they wait for a connection (connections= of "
                        "softfactory_pg_pool) or for their clients.",
                        endpoint->query);
}


/*
 * Of requests that could have been hits; those that bypass the cache do not
 * count.  A share needs more requests to be sure of than an error does.
 */

static u_char *
ngx_sf_recommend_hits(u_char *buf, u_char *last,
    const ngx_sf_recommend_endpoint_t *endpoint)
{
    double  percent;

    if (endpoint->asked < 5 * NGX_SF_RECOMMEND_FEW) {
        return NULL;
    }

    percent = 100.0 * endpoint->hits / endpoint->asked;

    if (percent >= 50) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "%s: only %.0f %% of the requests are answered from "
                        "the cache: a longer softfactory_cache_ttl %s, with "
                        "stale=, asks the database less, unless its tables "
                        "change as often.", endpoint->path, percent,
                        endpoint->name);
}


/*
 * Unreachable now, or only for some statements of the window: then the question
 * is what clients were sent meanwhile.
 */

static u_char *
ngx_sf_recommend_down(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->down == 0 && server->unavailable == 0) {
        return NULL;
    }

    if (server->down == 0) {
        return ngx_slprintf(buf, last,
                            "The database could not be reached for %ui "
                            "statement%s: %s.", server->unavailable,
                            ngx_sf_recommend_s(server->unavailable),
                            server->bridged
                            ? "error= of softfactory_cache_ttl shows what was "
                              "in the cache, another server or replicas= "
                              "would answer the rest"
                            : "softfactory_cache_ttl all error= shows old "
                              "responses meanwhile");
    }

    return ngx_slprintf(buf, last,
                        "%ui upstream%s cannot be reached: see error.log, "
                        "the server lines and softfactory_pg.", server->down,
                        server->down == 1 ? "" : "s");
}


/* more than 0.5 %, as for errors of our own */

static u_char *
ngx_sf_recommend_application(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->unanswered * 200 <= server->passed) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "The application behind did not answer %ui of %ui "
                        "requests that were passed on: see its own log, the "
                        "location of softfactory_fallback, and error.log for "
                        "why nginx could not reach it.", server->unanswered,
                        server->passed);
}


static u_char *
ngx_sf_recommend_listener(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->incoherent == 0) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "Notifications are not heard: responses are cached for "
                        "softfactory_cache_incoherent_ttl only.  See the "
                        "sources of the status, and softfactory_listen.");
}


static u_char *
ngx_sf_recommend_triggers(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->uncovered == 0) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "Current triggers are missing on %ui table%s: run "
                        "conf/postgresql/softfactory-tables.sql as the owner.",
                        server->uncovered,
                        ngx_sf_recommend_s(server->uncovered));
}


/* the statement and the schema differ, or a privilege is missing */

static u_char *
ngx_sf_recommend_broken(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->broken == 0) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "The schema did not fit %ui statement%s: error.log "
                        "says what is missing; the tables must be those of "
                        "conf/postgresql/schema.sql.", server->broken,
                        ngx_sf_recommend_s(server->broken));
}


static u_char *
ngx_sf_recommend_busy(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->busy + server->expired == 0) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "A full queue refused %ui statement%s and %ui "
                        "waited too long: more connections=, totals= or "
                        "heavy= in softfactory_pg_pool if the database has "
                        "room, else a longer queue= and wait=, or fewer "
                        "requests (limit_req).", server->busy,
                        ngx_sf_recommend_s(server->busy), server->expired);
}


static u_char *
ngx_sf_recommend_quota(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->quota == 0) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "%ui statement%s of users or addresses that filled a "
                        "quarter of the queue %s refused (429): where many "
                        "share one address, set_real_ip_from, or "
                        "softfactory_fair_key.", server->quota,
                        ngx_sf_recommend_s(server->quota),
                        server->quota == 1 ? "was" : "were");
}


/* 10 ms; a queue that refuses or expires statements is the rule before */

static u_char *
ngx_sf_recommend_queue(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->queue_p95 <= 10 || server->busy + server->expired) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "5 %% of the statements wait %.0f ms or longer for a "
                        "connection: more connections=, totals= or heavy= "
                        "in softfactory_pg_pool.", server->queue_p95);
}


static u_char *
ngx_sf_recommend_timeout(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->timeout == 0) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "%ui statement%s ran into a timeout: look for "
                        "locks (pg_locks) and slow plans before timeout= or "
                        "heavy_timeout= of softfactory_pg_pool is raised.",
                        server->timeout, ngx_sf_recommend_s(server->timeout));
}


static u_char *
ngx_sf_recommend_cpu(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->cpu <= 75) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "The processors are %.1f %% busy (%s): move "
                        "PostgreSQL to a machine of its own, or add a node.",
                        server->cpu,
                        server->cpu > 90 ? "critical, above 90 %"
                                         : "above 75 %");
}


static u_char *
ngx_sf_recommend_memory(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->memory <= 80) {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "%.1f %% of the memory is in use (%s): see which "
                        "process has it; nginx's part is in the summary.",
                        server->memory,
                        server->memory > 95 ? "critical, above 95 %"
                                            : "above 80 %");
}


/* more than one for a hundred requests */

static u_char *
ngx_sf_recommend_evictions(u_char *buf, u_char *last,
    const ngx_sf_recommend_server_t *server)
{
    if (server->requests < NGX_SF_RECOMMEND_FEW
        || server->evictions * 100 <= server->requests)
    {
        return NULL;
    }

    return ngx_slprintf(buf, last,
                        "%ui %s had to make room for others, for %ui "
                        "requests: a larger softfactory_zone.",
                        server->evictions,
                        server->evictions == 1 ? "entry" : "entries",
                        server->requests);
}


/*
 * The statement is to blame when all its executions have taken half of the time
 * of all requests, or more.
 */

const char *
ngx_sf_recommend_issue(const ngx_sf_recommend_endpoint_t *endpoint)
{
    if (endpoint->queries == 0) {
        return "Slow without a statement: clients that read slowly";
    }

    if (endpoint->query * endpoint->queries * 2
        >= endpoint->avg * endpoint->requests)
    {
        return "The statement is slow: look at its plan and its indexes";
    }

    return "Waiting for a connection or for the client";
}

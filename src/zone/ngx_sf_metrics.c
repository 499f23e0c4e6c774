
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Counting, without a lock: each worker adds to its own slot.
 *
 * A sum may be taken while workers count, and shows each counter as it was at
 * some moment.  When a worker leaves, or another one sees that it has died, its
 * counters go over to those that are kept, under the mutex.  A slot is zeroed
 * when it is claimed.
 *
 * A place belongs to the endpoint whose name it has, also while no worker uses
 * it: an endpoint that returns goes on there.  When none is free, the one that
 * was left first gets another name and the next number of a life (evicting):
 *
 *     kept counters  go over to FORMER, so that no total sinks
 *     slots          have none, as the workers that used it have left
 *     pasts          still have the old ones; those before `since` are not
 *                    read for this place
 *
 * A worker with a slot says there what it uses, and keeps its places as long as
 * it lives.  One without a slot cannot say it, and remembers the life of each
 * place.  What it counts in one that has another life by now goes over to
 * FORMER, and is not shown under its own name.  An endpoint that finds no place
 * counts as UNKNOWN, and is shown as that only.
 */


#include "ngx_sf_metrics_room.h"


static ngx_sf_metrics_slot_t *ngx_sf_metrics_claim(ngx_sf_metrics_t *metrics);
static ngx_sf_metrics_slot_t *ngx_sf_metrics_alone(
    const ngx_sf_metrics_room_t *room, ngx_log_t *log);
static ngx_uint_t ngx_sf_metrics_settle(ngx_sf_metrics_t *metrics);
static ngx_uint_t ngx_sf_metrics_vacant(ngx_sf_metrics_t *metrics);
static void ngx_sf_metrics_evict(ngx_sf_metrics_sh_t *sh, ngx_uint_t place);
static void ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_slot_t *slot);
static void ngx_sf_metrics_add(void *sum, const void *counts, size_t size);
static void ngx_sf_metrics_move(void *sum, const void *counts, void *told,
    size_t size);
static void ngx_sf_metrics_merge(ngx_sf_spans_t *spans,
    const ngx_sf_spans_t *other);
static ngx_uint_t ngx_sf_metrics_used(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_name_t *name);
static ngx_uint_t *ngx_sf_metrics_use(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_slot_t *slot, const ngx_sf_metrics_name_t *name);
static void ngx_sf_metrics_forget(ngx_sf_metrics_sh_t *sh,
    ngx_sf_metrics_name_t *name);
static void ngx_sf_metrics_clean(u_char *text, size_t size,
    const ngx_str_t *name);
static void ngx_sf_metrics_take(ngx_sf_span_t *span,
    const ngx_sf_spans_t *spans, ngx_uint_t tick);
static ngx_int_t ngx_sf_metrics_name(ngx_sf_metrics_t *metrics,
    ngx_sf_metrics_name_t *names, ngx_uint_t n, ngx_uint_t upstream,
    const ngx_str_t *name);
static ngx_int_t ngx_sf_metrics_find(const ngx_sf_metrics_name_t *names,
    ngx_uint_t n, ngx_uint_t upstream, const u_char *text);


/* bytes of the words of which all are added up */

#define NGX_SF_METRICS_WORDS  offsetof(ngx_sf_counts_t, endpoints)


const char *const  ngx_sf_metrics_methods[NGX_SF_METRICS_METHODS] = {
    "GET", "HEAD", "OPTIONS", "other"
};

const ngx_uint_t  ngx_sf_metrics_statuses[NGX_SF_METRICS_STATUSES] = {
    200, 304, 400, 401, 403, 404, 405, 499, 500, 503, 504,
    201, 202, 204, 206, 408, 409, 412, 416, 429, 0
};

/* a client that has left before it got anything is a class of its own */

const char *const  ngx_sf_metrics_classes[NGX_SF_METRICS_CLASSES] = {
    "1xx", "2xx", "3xx", "4xx", "5xx", "499"
};

const char *const  ngx_sf_metrics_lanes[NGX_SF_PG_LANES] = {
    "read", "totals", "heavy", "write", "ping", "listen"
};

const char *const  ngx_sf_metrics_outcomes[NGX_SF_PG_OUTCOMES] = {
    "ok", "busy", "expired", "unavailable", "timeout", "denied", "invalid",
    "conflict", "broken", "failed", "quota"
};

const char *const  ngx_sf_metrics_cache[NGX_SF_CACHE_STATUSES] = {
    "none", "hit", "miss", "expired", "updating", "stale", "bypass"
};


ngx_int_t
ngx_sf_metrics_enter(ngx_sf_metrics_t *metrics, ngx_log_t *log)
{
    ngx_uint_t                    lacking;
    ngx_sf_metrics_slot_t        *slot;
    const ngx_sf_metrics_room_t  *room;

    room = &metrics->sh->room;

    metrics->endpoints = ngx_calloc((metrics->nendpoints + 2)
                                    * sizeof(ngx_sf_metrics_own_t), log);
    if (metrics->endpoints == NULL) {
        return NGX_ERROR;
    }

    slot = ngx_sf_metrics_claim(metrics);

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "softfactory: more than %ui workers, the connections "
                      "of this one do not show in the metrics", room->slots);

        slot = ngx_sf_metrics_alone(room, log);
        metrics->told = ngx_sf_metrics_alone(room, log);

        if (slot == NULL || metrics->told == NULL) {
            return NGX_ERROR;
        }
    }

    metrics->slot = slot;

    lacking = ngx_sf_metrics_settle(metrics);

    if (lacking) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "softfactory: metrics have no room for %ui endpoints, "
                      "which count as unknown ones", lacking);
    }

    return NGX_OK;
}


static ngx_sf_metrics_slot_t *
ngx_sf_metrics_claim(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t              n;
    ngx_sf_metrics_sh_t    *sh;
    ngx_sf_metrics_slot_t  *slot;

    sh = metrics->sh;
    n = metrics->workers->n;

    if (n >= sh->room.slots || !ngx_sf_workers_absent(sh->slots[n].pid)) {
        return NULL;
    }

    slot = &sh->slots[n];

    (void) ngx_sf_metrics_bury(metrics, n, slot->pid);

    ngx_shmtx_lock(&metrics->shpool->mutex);

    /* who reads without the mutex still finds the arrays */

    ngx_memzero(&slot->counts, NGX_SF_METRICS_WORDS);
    ngx_memzero(slot->counts.endpoints, ngx_sf_metrics_slot_size(&sh->room));
    ngx_memzero(slot->slow, sizeof(slot->slow));

    slot->memory = 0;
    slot->bodies = 0;
    slot->pid = ngx_pid;

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return slot;
}


/* a slot in memory of this worker */

static ngx_sf_metrics_slot_t *
ngx_sf_metrics_alone(const ngx_sf_metrics_room_t *room, ngx_log_t *log)
{
    ngx_sf_metrics_slot_t  *slot;

    slot = ngx_calloc(sizeof(ngx_sf_metrics_slot_t)
                      + ngx_sf_metrics_slot_size(room), log);
    if (slot) {
        (void) ngx_sf_metrics_lay_slot(slot, room, (u_char *) (slot + 1));
    }

    return slot;
}


size_t
ngx_sf_metrics_counts_size(const ngx_sf_metrics_room_t *room)
{
    return room->endpoints * (sizeof(ngx_sf_endpoint_counts_t)
                              + sizeof(ngx_sf_spans_t))
           + room->upstreams * sizeof(ngx_sf_closed_t);
}


size_t
ngx_sf_metrics_slot_size(const ngx_sf_metrics_room_t *room)
{
    return ngx_sf_metrics_counts_size(room)
           + room->servers * sizeof(ngx_sf_server_gauge_t)
           + room->upstreams * sizeof(ngx_sf_upstream_gauge_t)
           + ngx_align(room->endpoints, sizeof(uint64_t));
}


u_char *
ngx_sf_metrics_lay_counts(ngx_sf_counts_t *counts,
    const ngx_sf_metrics_room_t *room, u_char *p)
{
    counts->endpoints = (ngx_sf_endpoint_counts_t *) p;
    p = (u_char *) (counts->endpoints + room->endpoints);

    counts->disconnects = (ngx_sf_closed_t *) p;
    p = (u_char *) (counts->disconnects + room->upstreams);

    counts->spans = (ngx_sf_spans_t *) p;

    return (u_char *) (counts->spans + room->endpoints);
}


u_char *
ngx_sf_metrics_lay_slot(ngx_sf_metrics_slot_t *slot,
    const ngx_sf_metrics_room_t *room, u_char *p)
{
    p = ngx_sf_metrics_lay_counts(&slot->counts, room, p);

    slot->servers = (ngx_sf_server_gauge_t *) p;
    p = (u_char *) (slot->servers + room->servers);

    slot->upstreams = (ngx_sf_upstream_gauge_t *) p;
    slot->uses = (u_char *) (slot->upstreams + room->upstreams);

    return slot->uses + ngx_align(room->endpoints, sizeof(uint64_t));
}


/*
 * Finds the places of this worker's endpoints.  Those that have one are all
 * found first, so that no other takes it.  Returns the number of those for
 * which there is none, as more than one reload is still under way.
 */

static ngx_uint_t
ngx_sf_metrics_settle(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t                  i, n, lacking, found;
    ngx_sf_metrics_sh_t        *sh;
    ngx_sf_metrics_own_t       *own;
    ngx_sf_metrics_endpoint_t  *place;

    sh = metrics->sh;
    own = metrics->endpoints;
    n = metrics->nendpoints;
    lacking = 0;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    sh->entered++;

    for (i = 0; i < n; i++) {
        own[i].place = ngx_sf_metrics_endpoint(sh, &metrics->names[i]);
        metrics->slot->uses[own[i].place] = 1;
    }

    own[ngx_sf_metrics_principal(metrics)].place = NGX_SF_METRICS_PRINCIPAL;

    for (i = 0; i < n + 2; i++) {

        if (i < n && own[i].place == NGX_SF_METRICS_UNKNOWN) {
            found = ngx_sf_metrics_vacant(metrics);
            lacking += found == NGX_SF_METRICS_UNKNOWN;
            own[i].place = found;

            if (found != NGX_SF_METRICS_UNKNOWN) {
                ngx_sf_metrics_clean(sh->endpoints[found].name,
                                     NGX_SF_METRICS_NAME,
                                     &metrics->names[i]);
                sh->endpoints[found].life = ++sh->lives;
            }

            metrics->slot->uses[found] = 1;
        }

        place = &sh->endpoints[own[i].place];
        place->seen = sh->entered;

        own[i].life = place->life;
        own[i].counts = &metrics->slot->counts.endpoints[own[i].place];
        own[i].spans = &metrics->slot->counts.spans[own[i].place];
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return lacking;
}


ngx_uint_t
ngx_sf_metrics_endpoint(const ngx_sf_metrics_sh_t *sh, const ngx_str_t *name)
{
    u_char      text[NGX_SF_METRICS_NAME];
    ngx_uint_t  i;

    ngx_sf_metrics_clean(text, sizeof(text), name);

    for (i = NGX_SF_METRICS_NAMED; i < sh->room.endpoints; i++) {
        if (ngx_strcmp(sh->endpoints[i].name, text) == 0) {
            return i;
        }
    }

    return NGX_SF_METRICS_UNKNOWN;
}


/* a place that is free; or else the one that has been left for the longest */

static ngx_uint_t
ngx_sf_metrics_vacant(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t            i, found;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;

    for (i = NGX_SF_METRICS_NAMED; i < sh->room.endpoints; i++) {
        if (sh->endpoints[i].name[0] == '\0') {
            return i;
        }
    }

    found = NGX_SF_METRICS_UNKNOWN;

    /* this worker may have no slot by which others see what it uses */

    for (i = NGX_SF_METRICS_NAMED; i < sh->room.endpoints; i++) {
        if ((found == NGX_SF_METRICS_UNKNOWN
             || sh->endpoints[i].seen < sh->endpoints[found].seen)
            && !metrics->slot->uses[i]
            && !ngx_sf_metrics_inhabited(sh, i))
        {
            found = i;
        }
    }

    if (found != NGX_SF_METRICS_UNKNOWN) {
        ngx_sf_metrics_evict(sh, found);
    }

    return found;
}


ngx_uint_t
ngx_sf_metrics_inhabited(const ngx_sf_metrics_sh_t *sh, ngx_uint_t place)
{
    ngx_uint_t  i;

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid && sh->slots[i].uses[place]) {
            return 1;
        }
    }

    return 0;
}


/*
 * What has been counted in a place stays in the total.  Slots have nothing of
 * it, as who has used it has left; pasts do, also the one that may be written
 * just now, and none of them is looked at.
 */

static void
ngx_sf_metrics_evict(ngx_sf_metrics_sh_t *sh, ngx_uint_t place)
{
    ngx_sf_endpoint_counts_t  *counts;

    counts = sh->gone.endpoints;

    ngx_sf_metrics_add(&counts[NGX_SF_METRICS_FORMER], &counts[place],
                       sizeof(ngx_sf_endpoint_counts_t));

    ngx_memzero(&counts[place], sizeof(ngx_sf_endpoint_counts_t));
    ngx_memzero(&sh->gone.spans[place], sizeof(ngx_sf_spans_t));

    sh->endpoints[place].since = sh->npasts + 2;
}


void
ngx_sf_metrics_leave(ngx_sf_metrics_t *metrics)
{
    ngx_sf_metrics_slot_t  *slot;

    slot = metrics->slot;

    if (slot == NULL) {
        return;
    }

    if (metrics->told) {
        ngx_sf_metrics_tell(metrics);

        ngx_free(metrics->told);
        ngx_free(slot);

        metrics->told = NULL;

    } else {
        ngx_shmtx_lock(&metrics->shpool->mutex);
        ngx_sf_metrics_keep(metrics->sh, slot);
        ngx_shmtx_unlock(&metrics->shpool->mutex);
    }

    ngx_free(metrics->endpoints);

    metrics->slot = NULL;
    metrics->endpoints = NULL;
}


/*
 * A place is given to others when no slot says that it is used, and so it may
 * not be that of our endpoint any more.
 */

void
ngx_sf_metrics_tell(ngx_sf_metrics_t *metrics)
{
    ngx_uint_t             i, to;
    ngx_sf_counts_t       *counts, *told, *gone;
    ngx_sf_metrics_sh_t   *sh;
    ngx_sf_metrics_own_t  *own;

    if (metrics->told == NULL) {
        return;
    }

    sh = metrics->sh;
    gone = &sh->gone;
    counts = &metrics->slot->counts;
    told = &metrics->told->counts;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    ngx_sf_metrics_move(gone, counts, told, NGX_SF_METRICS_WORDS);
    ngx_sf_metrics_move(gone->disconnects, counts->disconnects,
                        told->disconnects,
                        sh->room.upstreams * sizeof(ngx_sf_closed_t));

    for (i = 0; i < metrics->nendpoints + 2; i++) {
        own = &metrics->endpoints[i];
        to = sh->endpoints[own->place].life == own->life
             ? own->place : NGX_SF_METRICS_FORMER;

        ngx_sf_metrics_move(&gone->endpoints[to], own->counts,
                            &told->endpoints[own->place],
                            sizeof(ngx_sf_endpoint_counts_t));
        ngx_sf_metrics_merge(&gone->spans[to], own->spans);
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


ngx_int_t
ngx_sf_metrics_bury(void *data, ngx_uint_t n, ngx_pid_t pid)
{
    ngx_sf_metrics_t  *metrics = data;

    ngx_sf_metrics_slot_t  *slot;

    if (n >= metrics->sh->room.slots) {
        return NGX_OK;
    }

    slot = &metrics->sh->slots[n];

    if (slot->pid == 0 || (ngx_pid_t) slot->pid != pid) {
        return NGX_OK;
    }

    ngx_shmtx_lock(&metrics->shpool->mutex);

    if ((ngx_pid_t) slot->pid == pid) {
        ngx_sf_metrics_keep(metrics->sh, slot);
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return NGX_OK;
}


/* a worker that dies in the middle of this loses some, and counts none twice */

static void
ngx_sf_metrics_keep(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_slot_t *slot)
{
    slot->pid = 0;

    ngx_sf_metrics_gather(&sh->gone, &slot->counts, &sh->room);
}


void
ngx_sf_metrics_gather(ngx_sf_counts_t *sum, const ngx_sf_counts_t *counts,
    const ngx_sf_metrics_room_t *room)
{
    ngx_uint_t  i;

    ngx_sf_metrics_add(sum, counts, NGX_SF_METRICS_WORDS);
    ngx_sf_metrics_add(sum->endpoints, counts->endpoints,
                       room->endpoints * sizeof(ngx_sf_endpoint_counts_t));
    ngx_sf_metrics_add(sum->disconnects, counts->disconnects,
                       room->upstreams * sizeof(ngx_sf_closed_t));

    for (i = 0; sum->spans && i < room->endpoints; i++) {
        ngx_sf_metrics_merge(&sum->spans[i], &counts->spans[i]);
    }
}


/* an interval that is over gives way to a later one */

static void
ngx_sf_metrics_merge(ngx_sf_spans_t *spans, const ngx_sf_spans_t *other)
{
    ngx_uint_t  i;

    ngx_sf_metrics_widen(&spans->all, &other->all);

    for (i = 0; i < 2; i++) {
        if (spans->tick[i] < other->tick[i]) {
            spans->tick[i] = other->tick[i];
            spans->span[i] = other->span[i];

        } else if (spans->tick[i] == other->tick[i]) {
            ngx_sf_metrics_widen(&spans->span[i], &other->span[i]);
        }
    }
}


static void
ngx_sf_metrics_add(void *sum, const void *counts, size_t size)
{
    uint64_t        *to;
    ngx_uint_t       i;
    const uint64_t  *from;

    to = sum;
    from = counts;

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}


/* adds what has not been told yet */

static void
ngx_sf_metrics_move(void *sum, const void *counts, void *told, size_t size)
{
    uint64_t        *to, *before;
    ngx_uint_t       i;
    const uint64_t  *from;

    to = sum;
    from = counts;
    before = told;

    for (i = 0; i < size / sizeof(uint64_t); i++) {
        to[i] += from[i] - before[i];
        before[i] = from[i];
    }
}


void
ngx_sf_metrics_widen(ngx_sf_span_t *span, const ngx_sf_span_t *other)
{
    if (other->low && (span->low == 0 || other->low < span->low)) {
        span->low = other->low;
    }

    span->high = ngx_max(span->high, other->high);
}


void
ngx_sf_metrics_request(ngx_sf_metrics_t *metrics, ngx_uint_t endpoint,
    ngx_uint_t method, ngx_uint_t status, ngx_uint_t cache, uint64_t us)
{
    ngx_uint_t                 i, tick;
    ngx_sf_span_t              span;
    ngx_sf_spans_t            *spans;
    ngx_sf_endpoint_counts_t  *counts;

    counts = metrics->endpoints[endpoint].counts;

    for (i = 0; ngx_sf_metrics_statuses[i]; i++) {
        if (ngx_sf_metrics_statuses[i] == status) {
            break;
        }
    }

    counts->requests[method][i]++;
    counts->cache[cache]++;

    ngx_sf_histogram_add(&counts->duration, us);

    span.low = ngx_max(us, 1);
    span.high = span.low;

    spans = metrics->endpoints[endpoint].spans;
    tick = metrics->sh->tick;

    ngx_sf_metrics_widen(&spans->all, &span);

    if (spans->tick[tick & 1] != tick) {
        spans->span[tick & 1] = span;
        spans->tick[tick & 1] = tick;

    } else {
        ngx_sf_metrics_widen(&spans->span[tick & 1], &span);
    }
}


void
ngx_sf_metrics_fallback(ngx_sf_metrics_t *metrics, ngx_uint_t status,
    ngx_uint_t failed, uint64_t us)
{
    ngx_uint_t                 class;
    ngx_sf_fallback_counts_t  *counts;

    counts = &metrics->slot->counts.fallback;
    class = status / 100 - 1;

    if (class >= NGX_SF_METRICS_CLASSES - 1 || status == 499) {
        class = NGX_SF_METRICS_CLASSES - 1;
    }

    ngx_sf_histogram_add(&counts->duration[class], us);
    counts->failed += failed;
}


ngx_int_t
ngx_sf_metrics_upstream(ngx_sf_metrics_t *metrics, const ngx_str_t *name)
{
    return ngx_sf_metrics_name(metrics, metrics->sh->upstreams,
                               metrics->sh->room.upstreams, 0, name);
}


ngx_int_t
ngx_sf_metrics_server(ngx_sf_metrics_t *metrics, ngx_uint_t upstream,
    const ngx_str_t *name)
{
    return ngx_sf_metrics_name(metrics, metrics->sh->servers,
                               metrics->sh->room.servers, upstream, name);
}


static ngx_int_t
ngx_sf_metrics_name(ngx_sf_metrics_t *metrics, ngx_sf_metrics_name_t *names,
    ngx_uint_t n, ngx_uint_t upstream, const ngx_str_t *name)
{
    u_char      text[NGX_SF_METRICS_NAME];
    ngx_int_t   found;
    ngx_uint_t  i;

    ngx_sf_metrics_clean(text, sizeof(text), name);

    ngx_shmtx_lock(&metrics->shpool->mutex);

    found = ngx_sf_metrics_find(names, n, upstream, text);

    /* a place that is free, or that no worker uses any more */

    for (i = 0; found == NGX_ERROR && i < n; i++) {
        if (names[i].name[0] == '\0') {
            found = i;
        }
    }

    for (i = 0; found == NGX_ERROR && i < n; i++) {
        if (!ngx_sf_metrics_used(metrics->sh, &names[i])) {
            ngx_sf_metrics_forget(metrics->sh, &names[i]);
            found = i;
        }
    }

    if (found != NGX_ERROR) {
        names[found].upstream = upstream;
        ngx_memcpy(names[found].name, text, sizeof(text));

        /* at once, as the next name must not take it for a free one */

        *ngx_sf_metrics_use(metrics->sh, metrics->slot, &names[found]) = 1;
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return found;
}


static ngx_int_t
ngx_sf_metrics_find(const ngx_sf_metrics_name_t *names, ngx_uint_t n,
    ngx_uint_t upstream, const u_char *text)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (names[i].upstream == upstream
            && ngx_strcmp(names[i].name, text) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


/* plain text, as Prometheus and JSON take nothing but UTF-8 */

static void
ngx_sf_metrics_clean(u_char *text, size_t size, const ngx_str_t *name)
{
    size_t  i;

    for (i = 0; i < name->len && i < size - 1; i++) {
        text[i] = name->data[i] >= ' ' && name->data[i] < 0x7f
                  ? name->data[i] : '?';
    }

    ngx_memzero(text + i, size - i);
}


static ngx_uint_t
ngx_sf_metrics_used(ngx_sf_metrics_sh_t *sh,
    const ngx_sf_metrics_name_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid && *ngx_sf_metrics_use(sh, &sh->slots[i], name))
        {
            return 1;
        }
    }

    return 0;
}


/* where a worker says that it uses a name */

static ngx_uint_t *
ngx_sf_metrics_use(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_slot_t *slot,
    const ngx_sf_metrics_name_t *name)
{
    if (name >= sh->servers && name < sh->servers + sh->room.servers) {
        return &slot->servers[name - sh->servers].used;
    }

    return &slot->upstreams[name - sh->upstreams].used;
}


/* an upstream takes its servers along, and what was counted of it */

static void
ngx_sf_metrics_forget(ngx_sf_metrics_sh_t *sh, ngx_sf_metrics_name_t *name)
{
    ngx_uint_t  i, upstream;

    if (name < sh->upstreams
        || name >= sh->upstreams + sh->room.upstreams)
    {
        return;
    }

    upstream = name - sh->upstreams;

    ngx_memzero(sh->gone.disconnects[upstream],
                sizeof(sh->gone.disconnects[upstream]));

    for (i = 0; i < sh->room.servers; i++) {
        if (sh->servers[i].upstream == upstream) {
            ngx_memzero(&sh->servers[i], sizeof(ngx_sf_metrics_name_t));
        }
    }
}


/* an index behind those of the endpoints has a place for ever */

ngx_uint_t
ngx_sf_metrics_place(const ngx_sf_metrics_t *metrics, ngx_uint_t i)
{
    const ngx_sf_metrics_own_t  *own;

    own = &metrics->endpoints[i];

    if ((i < metrics->nendpoints && own->place == NGX_SF_METRICS_UNKNOWN)
        || metrics->sh->endpoints[own->place].life != own->life)
    {
        return NGX_SF_METRICS_NOWHERE;
    }

    return own->place;
}


const ngx_sf_endpoint_counts_t *
ngx_sf_metrics_of(const ngx_sf_metrics_t *metrics, const ngx_sf_counts_t *sum,
    ngx_uint_t i)
{
    ngx_uint_t  place;

    static const ngx_sf_endpoint_counts_t  nothing;

    place = ngx_sf_metrics_place(metrics, i);

    return place == NGX_SF_METRICS_NOWHERE ? &nothing : &sum->endpoints[place];
}


ngx_int_t
ngx_sf_metrics_sum(ngx_sf_metrics_t *metrics, ngx_pool_t *pool,
    ngx_sf_counts_t *sum)
{
    ngx_uint_t                    i;
    ngx_sf_metrics_sh_t          *sh;
    const ngx_sf_metrics_room_t  *room;

    sh = metrics->sh;
    room = &sh->room;

    ngx_memzero(sum, sizeof(ngx_sf_counts_t));

    sum->endpoints = ngx_pcalloc(pool, room->endpoints
                                       * sizeof(ngx_sf_endpoint_counts_t));
    sum->disconnects = ngx_pcalloc(pool, room->upstreams
                                         * sizeof(ngx_sf_closed_t));

    if (sum->endpoints == NULL || sum->disconnects == NULL) {
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&metrics->shpool->mutex);

    ngx_sf_metrics_gather(sum, &sh->gone, room);

    for (i = 0; i < room->slots; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_gather(sum, &sh->slots[i].counts, room);
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);

    return NGX_OK;
}


void
ngx_sf_metrics_fallback_sum(ngx_sf_metrics_t *metrics,
    ngx_sf_fallback_counts_t *sum)
{
    ngx_uint_t            i;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;

    ngx_shmtx_lock(&metrics->shpool->mutex);

    *sum = sh->gone.fallback;

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_add(sum, &sh->slots[i].counts.fallback,
                               sizeof(ngx_sf_fallback_counts_t));
        }
    }

    ngx_shmtx_unlock(&metrics->shpool->mutex);
}


void
ngx_sf_metrics_span(ngx_sf_metrics_t *metrics, ngx_uint_t place,
    ngx_uint_t tick, ngx_sf_span_t *span)
{
    ngx_uint_t            i;
    ngx_sf_metrics_sh_t  *sh;

    sh = metrics->sh;
    span->low = 0;
    span->high = 0;

    ngx_sf_metrics_take(span, &sh->gone.spans[place], tick);

    for (i = 0; i < sh->room.slots; i++) {
        if (sh->slots[i].pid) {
            ngx_sf_metrics_take(span, &sh->slots[i].counts.spans[place], tick);
        }
    }
}


static void
ngx_sf_metrics_take(ngx_sf_span_t *span, const ngx_sf_spans_t *spans,
    ngx_uint_t tick)
{
    if (tick == 0) {
        ngx_sf_metrics_widen(span, &spans->all);

    } else if (spans->tick[tick & 1] == tick) {
        ngx_sf_metrics_widen(span, &spans->span[tick & 1]);
    }
}


uint64_t
ngx_sf_metrics_requests(const ngx_sf_endpoint_counts_t *counts,
    uint64_t *errors)
{
    uint64_t    n;
    ngx_uint_t  i, m;

    n = 0;
    *errors = 0;

    for (m = 0; m < NGX_SF_METRICS_METHODS; m++) {
        for (i = 0; i < NGX_SF_METRICS_STATUSES; i++) {
            n += counts->requests[m][i];

            if (ngx_sf_metrics_statuses[i] >= 500) {
                *errors += counts->requests[m][i];
            }
        }
    }

    return n;
}


uint64_t
ngx_sf_metrics_fallbacks(const ngx_sf_fallback_counts_t *counts,
    uint64_t *errors)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;
    *errors = 0;

    for (i = 0; i < NGX_SF_METRICS_CLASSES; i++) {
        n += ngx_sf_histogram_count(&counts->duration[i]);

        if (ngx_sf_metrics_classes[i][0] == '5') {
            *errors += ngx_sf_histogram_count(&counts->duration[i]);
        }
    }

    return n;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Workers that ask, respond, give up, change rows, read on and are killed, in
 * any order, and a model of what they may get.  What holds at every step:
 *
 *   - a response that is found is one of its key, whole, and not older than
 *     the last change of its rows;
 *   - what is pinned keeps its bytes, whatever happens to the zone;
 *   - a fill is waited for only while a worker is at it that asked after the
 *     last change;
 *   - what has been taken over, or has raced with a change, is not kept;
 *   - all that is in the zone fits together (t/tools/sound.c).
 *
 *     unit-with: -It/tools t/tools/workers.c t/tools/sound.c
 */


#include "workers.h"
#include "unit.h"


#define MODEL_STEPS     200000
#define MODEL_SEEDS     2
#define MODEL_LOOK      50              /* steps between looks at the whole */
#define MODEL_SIZE      NGX_SF_ZONE_MIN
#define MODEL_KEYS      48
#define MODEL_WORKERS   4
#define MODEL_HELD      100             /* pins of a worker, at most */
#define MODEL_CLAIMS    24              /* of all, at most */
#define MODEL_MAX       300000          /* bytes of a response */
#define MODEL_TTL       20000           /* ms */
#define MODEL_STALE     10000
#define MODEL_LIMIT     8000
#define MODEL_OWNERS    6


/* what a response begins with; the rest of its bytes follow from it */

typedef struct {
    uint32_t          key;
    uint32_t          version;
    uint32_t          seed;
    uint32_t          form;             /* 1: it is the compressed form */
} model_head_t;


/* a pin of a worker */

typedef struct {
    ngx_sf_entry_t   *value;
    model_head_t      head;
    size_t            len;
} model_pin_t;


typedef struct {
    ngx_sf_zone_t    *zone;             /* NULL: not there */
    ngx_uint_t        npins;
    model_pin_t       pins[MODEL_HELD];
} model_worker_t;


/* a worker that makes a response */

typedef struct {
    model_worker_t   *worker;
    uint32_t          key;
    uint32_t          version;          /* of the rows that it reads */
    ngx_msec_t        created;
    ngx_msec_t        deadline;
    ngx_uint_t        over;             /* another has taken the key */
    ngx_uint_t        era;
    uint32_t          owner;
    ngx_sf_claim_t    claim;
    ngx_sf_stamp_t    stamp;
} model_claim_t;


static uint64_t          model_state;
static ngx_shm_zone_t   *model_shm;
static ngx_sf_zone_sh_t *model_sh;
static ngx_sf_fresh_t    model_fresh;
static ngx_sf_tags_t     model_tags;
static ngx_sf_cover_t    model_cover;
static const char       *model_wrong;

static uint32_t          model_versions[MODEL_KEYS];
static model_worker_t    model_workers[MODEL_WORKERS];
static model_claim_t     model_claims[MODEL_CLAIMS];
static ngx_uint_t        model_nclaims;

static ngx_uint_t        model_hits, model_waits, model_stored, model_thrown;
static ngx_uint_t        model_deaths, model_forms;

static u_char            model_buf[MODEL_MAX];


static uint32_t
model_random(uint32_t below)
{
    model_state ^= model_state << 13;
    model_state ^= model_state >> 7;
    model_state ^= model_state << 17;

    return (uint32_t) (model_state >> 20) % below;
}


static void
model_require(ngx_uint_t good, const char *what)
{
    if (!good && model_wrong == NULL) {
        model_wrong = what;
    }
}


static ngx_sf_key_t
model_key(uint32_t n)
{
    static char   text[64];

    ngx_sf_key_t  key;

    key.data = (u_char *) text;
    key.len = sprintf(text, "key %u%.*s", n, (int) n, "..............");
    ngx_sf_cache_hash(&key, model_sh->seed);

    return key;
}


/* bytes of a response, in model_buf */

static void
model_body(const model_head_t *head, size_t len)
{
    size_t  i;

    ngx_memcpy(model_buf, head, ngx_min(len, sizeof(model_head_t)));

    for (i = sizeof(model_head_t); i < len; i++) {
        model_buf[i] = (u_char) (head->seed + i * 13);
    }
}


static ngx_uint_t
model_intact(const ngx_sf_entry_t *value, const model_head_t *head,
    size_t len)
{
    model_body(head, len);

    return value->len == len
           && ngx_memcmp(value->data, model_buf, len) == 0;
}


static model_worker_t *
model_pick(void)
{
    model_worker_t  *w;

    do {
        w = &model_workers[model_random(MODEL_WORKERS)];
    } while (w->zone == NULL);

    (void) workers_turn(w->zone);

    return w;
}


static void
model_start(model_worker_t *w)
{
    w->npins = 0;
    w->zone = workers_start(model_shm, workers_spawn());

    model_require(w->zone != NULL, "a worker finds no slot");
}


/* --- what a worker does --- */

static void
model_unpin(model_worker_t *w, ngx_uint_t i)
{
    model_pin_t  *pin;

    pin = &w->pins[i];

    model_require(model_intact(pin->value, &pin->head, pin->len),
                  "a response has changed while it was pinned");

    ngx_sf_cache_unpin(w->zone, pin->value);

    *pin = w->pins[--w->npins];
}


/* a response has been found: it is held for a while */

static void
model_hold(model_worker_t *w, ngx_sf_entry_t *value, uint32_t key,
    ngx_uint_t changed)
{
    model_pin_t  *pin;

    if (w->npins == MODEL_HELD) {
        model_unpin(w, model_random(MODEL_HELD));
    }

    pin = &w->pins[w->npins++];

    pin->value = value;
    pin->len = value->len;
    ngx_memcpy(&pin->head, value->data, sizeof(model_head_t));

    model_require(pin->head.key == key, "the response of another key");
    model_require(changed || pin->head.version == model_versions[key],
                  "a response that was read before a change");
    model_require(model_intact(value, &pin->head, pin->len),
                  "a response that is not whole");
}


static model_claim_t *
model_maker(uint32_t key)
{
    ngx_uint_t      i;
    model_claim_t  *c;

    for (i = 0; i < model_nclaims; i++) {
        c = &model_claims[i];

        if (c->key == key && !c->over && c->era == model_sh->era) {
            return c;
        }
    }

    return NULL;
}


/* whether others have to wait for it */

static ngx_uint_t
model_at_it(const model_claim_t *c)
{
    return c && c->worker && c->version == model_versions[c->key]
           && (ngx_msec_int_t) (c->deadline - model_fresh.now) > 0;
}


static void
model_claimed(model_worker_t *w, uint32_t key, const ngx_sf_stamp_t *stamp,
    const ngx_sf_found_t *found)
{
    model_claim_t  *c;

    c = model_maker(key);

    if (found->claim.node == NULL) {
        return;
    }

    model_require(!model_at_it(c), "a fill that is taken from its maker");

    if (c) {
        c->over = 1;
    }

    c = &model_claims[model_nclaims++];

    c->worker = w;
    c->key = key;
    c->version = model_versions[key];
    c->created = model_fresh.now;
    c->deadline = model_fresh.now + MODEL_LIMIT;
    c->over = 0;
    c->era = model_sh->era;
    c->owner = model_fresh.owner;
    c->claim = found->claim;
    c->stamp = *stamp;
}


static void
model_fetch(model_worker_t *w)
{
    uint32_t         key;
    ngx_int_t        rc;
    ngx_uint_t       look;
    ngx_sf_key_t     k;
    ngx_sf_found_t   found;
    ngx_sf_stamp_t   stamp;

    key = model_random(MODEL_KEYS);
    k = model_key(key);
    look = model_nclaims == MODEL_CLAIMS || model_random(4) == 0;

    ngx_sf_stamp_read(w->zone, model_fresh.source - model_sh->sources,
                      &model_tags, key, 0, &stamp);

    rc = look ? ngx_sf_cache_lookup(w->zone, &k, &model_fresh, &found)
              : ngx_sf_cache_claim(w->zone, &k, &model_fresh, &stamp,
                                   MODEL_LIMIT, &found);

    switch (rc) {

    case NGX_OK:
        model_hits++;
        model_hold(w, found.value, key, 0);
        model_require(found.status != NGX_SF_CACHE_UPDATING
                      || model_at_it(model_maker(key)),
                      "an old response while nobody makes a new one");
        break;

    case NGX_AGAIN:
        model_waits++;
        model_require(model_at_it(model_maker(key)),
                      "somebody waits for what nobody makes");
        break;

    default:
        model_require(!look || found.claim.node == NULL,
                      "a claim of a look");
        model_claimed(w, key, &stamp, &found);
    }
}


static void
model_fetch_stale(model_worker_t *w)
{
    uint32_t         key;
    ngx_uint_t       down;
    ngx_sf_key_t     k;
    ngx_sf_found_t   found;

    key = model_random(MODEL_KEYS);
    k = model_key(key);
    down = model_random(2);

    if (ngx_sf_cache_lookup_stale(w->zone, &k, &model_fresh, down, &found)
        == NGX_OK)
    {
        model_hold(w, found.value, key, down);
    }
}


static size_t
model_length(void)
{
    return sizeof(model_head_t)
           + (model_random(5) ? model_random(6000)
                              : model_random(MODEL_MAX
                                             - sizeof(model_head_t)));
}


/* how a claim ends; its worker may be dead */

static void
model_end(ngx_uint_t n)
{
    ngx_uint_t         fills, lost, kept;
    model_head_t       head;
    model_claim_t      c;
    ngx_sf_slot_t     *slot;
    ngx_sf_content_t   response;

    c = model_claims[n];
    model_claims[n] = model_claims[--model_nclaims];

    if (c.worker == NULL) {
        return;
    }

    (void) workers_turn(c.worker->zone);

    if (model_random(5) == 0) {
        ngx_sf_cache_abandon(c.worker->zone, &c.claim);
        return;
    }

    if (model_random(5) == 0
        && ngx_sf_cache_give_up(c.worker->zone, &c.claim))
    {
        return;
    }

    head.key = c.key;
    head.version = c.version;
    head.seed = model_random(1000000);
    head.form = 0;

    response.stamp = &c.stamp;
    response.created = c.created;
    response.deadline = 0;
    response.incoherent = 0;
    response.owner = c.owner;
    response.etag = NULL;
    response.data = model_buf;
    response.len = model_length();

    model_body(&head, response.len);

    slot = c.worker->zone->slot;
    fills = slot->stats.fills;
    lost = slot->stats.raced + slot->stats.refused + slot->stats.no_room;

    ngx_sf_cache_store(c.worker->zone, &c.claim, &response, MODEL_MAX * 3 / 4);

    kept = slot->stats.fills != fills;
    lost = slot->stats.raced + slot->stats.refused + slot->stats.no_room
           - lost;

    model_stored += kept;
    model_thrown += !kept;

    model_require(c.claim.node == NULL, "a claim that does not end");
    model_require(!kept || (!c.over && c.era == model_sh->era
                            && c.version == model_versions[c.key]
                            && response.len <= MODEL_MAX * 3 / 4),
                  "a response is kept that must not be");
    model_require(kept || lost || c.over || c.era != model_sh->era
                  || model_sh->doubt
                  || (ngx_msec_int_t) (model_fresh.now - c.deadline) >= 0,
                  "a response is lost without a reason");
}


static void
model_change(model_worker_t *w)
{
    u_char      payload[128], *p;
    uint32_t    key, other;
    ngx_uint_t  source;

    source = model_fresh.source - model_sh->sources;

    if (model_random(400) == 0) {
        ngx_sf_tags_move_all(w->zone, source);

        for (key = 0; key < MODEL_KEYS; key++) {
            model_versions[key]++;
        }

        return;
    }

    key = model_random(MODEL_KEYS);
    other = model_random(MODEL_KEYS);

    p = ngx_sprintf(payload, "campaign_applications user_id=%uD,%uD", key,
                    other);

    (void) ngx_sf_tags_move(w->zone, source, payload, p - payload);

    model_versions[key]++;
    model_versions[other]++;
}


/* the compressed form, in place of what is pinned */

static void
model_gzip(model_worker_t *w)
{
    size_t           len;
    ngx_uint_t       make, i;
    model_pin_t     *pin;
    model_head_t     head;
    ngx_sf_entry_t  *form;

    if (w->npins == 0) {
        return;
    }

    i = model_random(w->npins);
    pin = &w->pins[i];

    if (pin->head.form) {
        return;
    }

    form = ngx_sf_cache_gzip(w->zone, pin->value, &make);

    if (form) {
        model_forms++;
        pin->value = form;
        pin->len = form->len;
        head = pin->head;
        ngx_memcpy(&pin->head, form->data, sizeof(model_head_t));

        model_require(pin->head.form == 1 && pin->head.key == head.key
                      && pin->head.version == head.version
                      && pin->head.seed == head.seed + 1
                      && model_intact(form, &pin->head, pin->len),
                      "the form of another response");
        return;
    }

    if (!make && model_random(3)) {
        return;
    }

    head = pin->head;
    head.form = 1;
    head.seed++;
    len = sizeof(model_head_t) + model_random(pin->len / 3 + 1);
    model_body(&head, len);

    ngx_sf_cache_attach(w->zone, pin->value, (u_char *) "0123456789abcdef"
                        "0123456789abcdef01", model_buf, len, MODEL_MAX);
}


/* a worker is killed, at times inside the mutex; another one comes */

static void
model_death(model_worker_t *w)
{
    ngx_pid_t   pid;
    ngx_uint_t  i;

    pid = ngx_pid;

    if (model_random(3) == 0) {
        (void) ngx_sf_zone_lock(w->zone);
        (void) ngx_shmtx_force_unlock(&w->zone->shpool->mutex, pid);
    }

    workers_kill(pid);
    model_deaths++;

    for (i = 0; i < model_nclaims; i++) {
        if (model_claims[i].worker == w) {
            model_claims[i].worker = NULL;
        }
    }

    w->zone = NULL;

    if (model_random(2)) {
        model_start(w);
    }
}


static void
model_exit(model_worker_t *w)
{
    ngx_pid_t   pid;
    ngx_uint_t  i;

    pid = ngx_pid;

    for (i = 0; i < model_nclaims; i++) {
        if (model_claims[i].worker == w) {
            model_claims[i].worker = NULL;
        }
    }

    ngx_sf_zone_leave(w->zone);

    /* requests that end after that */

    if (w->npins) {
        ngx_sf_cache_unpin(w->zone, w->pins[0].value);
    }

    workers_kill(pid);
    w->zone = NULL;
}


/* those that are not there; one at least stays */

static void
model_staff(ngx_uint_t step)
{
    ngx_uint_t       i, there;
    model_worker_t  *w, *gone;

    there = 0;
    gone = NULL;

    for (i = 0; i < MODEL_WORKERS; i++) {
        if (model_workers[i].zone) {
            there++;

        } else {
            gone = &model_workers[i];
        }
    }

    if (gone && model_random(500) == 0) {
        model_start(gone);
        return;
    }

    if (there == 1 || model_random(2000)) {
        return;
    }

    w = model_pick();

    if (model_random(4)) {
        model_death(w);

    } else {
        model_exit(w);
    }
}


static void
model_step(ngx_uint_t step)
{
    ngx_uint_t       what;
    model_worker_t  *w;

    model_staff(step);

    w = model_pick();
    what = model_random(100);
    model_fresh.now += model_random(20);
    model_fresh.source->confirmed = model_fresh.now;
    model_fresh.owner = 1 + model_random(MODEL_OWNERS);

    if (what < 45) {
        model_fetch(w);

    } else if (what < 50) {
        model_fetch_stale(w);

    } else if (what < 72) {
        if (w->npins) {
            model_unpin(w, model_random(w->npins));
        }

    } else if (what < 90) {
        if (model_nclaims) {
            model_end(model_random(model_nclaims));
        }

    } else if (what < 93) {
        model_change(w);

    } else if (what < 95) {
        if (w->npins && w->npins < MODEL_HELD) {
            w->pins[w->npins] = w->pins[model_random(w->npins)];
            model_require(ngx_sf_cache_pin(w->zone,
                                           w->pins[w->npins].value)
                          == NGX_OK, "one pin more");
            w->npins++;
        }

    } else {
        model_gzip(w);
    }
}


/* keys that share a counter would be lost when the model says that they stay */

static ngx_uint_t
model_apart(ngx_sf_zone_t *zone)
{
    uint32_t        i, k;
    ngx_sf_stamp_t  stamps[MODEL_KEYS];

    for (i = 0; i < MODEL_KEYS; i++) {
        ngx_sf_stamp_read(zone, 0, &model_tags, i, 0, &stamps[i]);

        for (k = 0; k < i; k++) {
            if (stamps[i].index[2] == stamps[k].index[2]) {
                return 0;
            }
        }
    }

    return 1;
}


static void
model_begin(uint64_t seed)
{
    u_char      identity[16];
    ngx_uint_t  i;

    model_state = seed;
    model_wrong = NULL;
    model_nclaims = 0;

    model_hits = model_waits = model_stored = model_thrown = 0;
    model_deaths = model_forms = 0;

    model_shm = workers_zone(MODEL_SIZE);

    for (i = 0; i < MODEL_WORKERS; i++) {
        model_start(&model_workers[i]);
    }

    model_sh = model_workers[0].zone->sh;

    ngx_memset(identity, 7, sizeof(identity));
    (void) ngx_sf_tags_compile("campaign_applications.user_id=$user",
                               &model_tags);

    ngx_memzero(&model_fresh, sizeof(ngx_sf_fresh_t));
    model_fresh.source = ngx_sf_zone_source(model_workers[0].zone, identity);
    ngx_sf_cover_make(model_workers[0].zone, &model_tags, &model_cover);
    model_fresh.cover = &model_cover;
    workers_covered(model_fresh.source, &model_cover, 1);
    model_fresh.now = 1000000;
    model_fresh.ttl = MODEL_TTL;
    model_fresh.stale = MODEL_STALE;
    model_fresh.error = 10 * MODEL_TTL;
    model_fresh.lease = 2000;
    model_fresh.incoherent_ttl = 1000;
}


/* all is given back: what is left is what has been stored, and that can go */

static void
model_finish(ngx_uint_t pages)
{
    ngx_uint_t         i;
    ngx_sf_key_t       key;
    ngx_sf_zone_t     *zone;
    ngx_sf_found_t     found;
    ngx_sf_stamp_t     stamp;
    ngx_sf_content_t   response;

    while (model_nclaims) {
        model_end(0);
    }

    for (i = 0; i < MODEL_WORKERS; i++) {
        if (model_workers[i].zone) {
            (void) workers_turn(model_workers[i].zone);

            while (model_workers[i].npins) {
                model_unpin(&model_workers[i], 0);
            }

            ngx_sf_zone_leave(model_workers[i].zone);
            workers_kill(ngx_pid);
        }
    }

    zone = workers_start(model_shm, workers_spawn());
    unit_ok(workers_sound(zone) == NULL && ngx_sf_zone_pinned(zone) == 0
            && ngx_queue_empty(&model_sh->fills), "all is given back");

    ngx_memzero(&response, sizeof(response));
    response.stamp = &stamp;
    response.len = model_sh->arena_size;
    response.data = model_buf;

    key = model_key(MODEL_KEYS);
    model_fresh.stale = 0;

    ngx_sf_stamp_read(zone, 0, &model_tags, 0, 0, &stamp);

    /* each owner makes a part of it go */

    for (i = 1; model_sh->nodes && i < 1000; i++) {
        model_fresh.owner = i;
        response.owner = i;

        (void) ngx_sf_cache_claim(zone, &key, &model_fresh, &stamp, 1,
                                  &found);
        ngx_sf_cache_store(zone, &found.claim, &response, response.len);
    }

    unit_ok(model_sh->nodes == 0 && model_sh->bytes == 0
            && model_sh->arena->pfree == pages, "and nothing is lost");

    workers_kill(ngx_pid);
    workers_zone_free(model_shm);
}


static void
model_run(uint64_t seed)
{
    ngx_uint_t            step, pages;
    const char           *wrong;
    ngx_sf_zone_facts_t   facts;

    model_begin(seed);
    pages = model_sh->arena->pfree;
    wrong = NULL;

    unit_ok(model_apart(model_workers[0].zone), "keys are told apart");

    for (step = 0; step < MODEL_STEPS && model_wrong == NULL; step++) {
        model_step(step);

        if (step % MODEL_LOOK == 0 && !model_sh->doubt
            && model_sh->busy == 0)
        {
            wrong = workers_sound(model_pick()->zone);
            model_require(wrong == NULL, wrong);
        }
    }

    unit_ok(model_wrong == NULL, "%lu steps: %s", (unsigned long) step,
            model_wrong ? model_wrong : "as the model says");

    printf("# %lu hits, %lu waits, %lu stored, %lu thrown away, %lu forms, "
           "%lu deaths, %lu eras\n", (unsigned long) model_hits,
           (unsigned long) model_waits, (unsigned long) model_stored,
           (unsigned long) model_thrown, (unsigned long) model_forms,
           (unsigned long) model_deaths, (unsigned long) model_sh->era);

    ngx_sf_zone_facts(model_pick()->zone, &facts);

    printf("# %lu evictions, %lu of them from main, %lu came back, %lu times "
           "no room\n", (unsigned long) facts.stats.evictions,
           (unsigned long) facts.stats.evictions_main,
           (unsigned long) facts.stats.returned,
           (unsigned long) facts.stats.no_room);

    unit_ok(model_wrong
            || (model_hits > step / 20 && model_waits > step / 200
                && model_stored > step / 50 && model_thrown > step / 200
                && model_forms > step / 200 && model_deaths > 5
                && model_sh->era > 1 && facts.stats.evictions_main > 100
                && facts.stats.returned > 100 && facts.stats.no_room > 50),
            "all of it has happened");

    if (model_wrong == NULL) {
        model_finish(pages);
    }

    (void) workers_logged(NGX_LOG_NOTICE);
}


int
main(void)
{
    uint64_t  n;

    unit_init();

    for (n = 1; n <= MODEL_SEEDS; n++) {
        model_run(n * 0x9e3779b97f4a7c15ULL);
    }

    return unit_done();
}

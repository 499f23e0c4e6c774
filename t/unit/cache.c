
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Responses in the zone: found, claimed, stored, thrown away; what a request is
 * shown, and for how long; pins, and what workers that die leave behind.
 *
 *     unit-with: -It/tools t/tools/workers.c t/tools/sound.c
 */


#include "workers.h"
#include "unit.h"


#define TEST_SIZE    NGX_SF_ZONE_MIN
#define TEST_START   1000000            /* ms */
#define TEST_TTL     100000
#define TEST_LEASE   2000
#define TEST_SHORT   1000               /* incoherent ttl */
#define TEST_LIMIT   5000
#define TEST_MAX     (64 * 1024 * 1024)
#define TEST_TAGS    "campaigns campaign_applications.user_id=$user"
#define TEST_TEXT    64
#define TEST_ETAG    "\"0123456789abcdef0123456789abcdef\""


/* a response that a worker is about to make */

typedef struct {
    ngx_sf_zone_t    *zone;
    ngx_int_t         rc;
    ngx_sf_found_t    found;
    ngx_sf_stamp_t    stamp;
    ngx_msec_t        created;
} test_ask_t;


typedef struct {
    const char       *name;
    ngx_msec_int_t    age;
    ngx_msec_t        stale;
    ngx_msec_t        error;
    ngx_msec_t        grace;
    ngx_msec_int_t    deadline;     /* from now, 0: none */
    ngx_msec_int_t    heard;        /* before now */
    ngx_uint_t        incoherent;
    const char       *moved;        /* since: a payload, or * for all */
    const char       *uncovered;    /* tables, as tags */
    const char       *want;         /* see test_freshness() */
} test_fresh_t;


#define TEST_NEVER  NGX_MAX_INT32_VALUE


static const test_fresh_t  test_rows[] = {

    /* time */

    { "new", 0, 0, 0, 0, 0, 0, 0, NULL, NULL, "HHSS" },
    { "by a clock that is ahead", -5, 0, 0, 0, 0, 0, 0, NULL, NULL, "HHSS" },
    { "before its last tenth", 89999, 0, 0, 0, 0, 0, 0, NULL, NULL, "HHSS" },
    { "at the end of ttl", 100000, 0, 0, 0, 0, 0, 0, NULL, NULL, "EE--" },
    { "stale", 100000, 30000, 0, 0, 0, 0, 0, NULL, NULL, "EUSS" },
    { "just stale", 129999, 30000, 0, 0, 0, 0, 0, NULL, NULL, "EUSS" },
    { "beyond stale", 130000, 30000, 0, 0, 0, 0, 0, NULL, NULL, "EE--" },

    /* without a database */

    { "error", 100000, 0, 50000, 0, 0, 0, 0, NULL, NULL, "EE-S" },
    { "just within error", 149999, 0, 50000, 0, 0, 0, 0, NULL, NULL, "EE-S" },
    { "beyond error", 150000, 0, 50000, 0, 0, 0, 0, NULL, NULL, "EE--" },
    { "stale and error", 129999, 30000, 50000, 0, 0, 0, 0, NULL, NULL,
      "EUSS" },
    { "beyond stale, within error", 130000, 30000, 50000, 0, 0, 0, 0, NULL,
      NULL, "EE-S" },

    /* changes: gone at once, and never stale */

    { "another user's change", 0, 0, 0, 0, 0, 0, 0,
      "campaign_applications user_id=100000", NULL, "HHSS" },
    { "a change of another table", 0, 0, 0, 0, 0, 0, 0, "users id=1", NULL,
      "HHSS" },
    { "a change of its user", 0, 0, 0, 0, 0, 0, 0, "user", NULL, "MM--" },
    { "a change of all users", 0, 0, 0, 0, 0, 0, 0,
      "campaign_applications user_id=*", NULL, "MM--" },
    { "a change of its table", 0, 0, 0, 0, 0, 0, 0, "campaigns id=1", NULL,
      "MM--" },
    { "a change, stale", 100000, 30000, 0, 0, 0, 0, 0, "user", NULL, "MM--" },
    { "a change, error", 0, 0, 50000, 0, 0, 0, 0, "user", NULL, "MM-S" },
    { "a change, beyond error", 150000, 0, 50000, 0, 0, 0, 0, "user", NULL,
      "MM--" },
    { "everything", 0, 0, 0, 0, 0, 0, 0, "*", NULL, "MM--" },
    { "everything, stale", 0, 30000, 0, 0, 0, 0, 0, "*", NULL, "MM--" },
    { "everything, error", 0, 30000, 50000, 0, 0, 0, 0, "*", NULL, "MM-S" },
    { "what cannot be read", 0, 0, 0, 0, 0, 0, 0, "users ?", NULL, "MM--" },

    /* a row that drops out of a list */

    { "before a deadline", 0, 0, 0, 0, 1, 0, 0, NULL, NULL, "HHSS" },
    { "at a deadline", 10, 0, 0, 0, -1, 0, 0, NULL, NULL, "MM--" },
    { "a deadline long ago", 50000, 0, 0, 0, -40000, 0, 0, NULL, NULL,
      "MM--" },
    { "a deadline, stale", 50000, 30000, 0, 0, -1, 0, 0, NULL, NULL, "MM--" },
    { "a deadline, error", 50000, 0, 50000, 0, -1, 0, 0, NULL, NULL, "MM-S" },
    { "a deadline after ttl", 100000, 0, 0, 0, 5, 0, 0, NULL, NULL, "EE--" },
    { "a deadline after ttl, stale", 100000, 30000, 0, 0, 5, 0, 0, NULL,
      NULL, "EUSS" },

    /* nobody would tell of a change: not for long, and never stale */

    { "at the end of the lease", 50000, 0, 0, 0, 0, 2000, 0, NULL, NULL,
      "HHSS" },
    { "beyond the lease", 50000, 0, 0, 0, 0, 2001, 0, NULL, NULL, "EE--" },
    { "beyond the lease, stale", 50000, 60000, 0, 0, 0, 2001, 0, NULL, NULL,
      "EE--" },
    { "beyond the lease, ttl and stale", 100000, 60000, 0, 0, 0, 2001, 0,
      NULL, NULL, "EE--" },
    { "beyond the lease, error", 50000, 0, 1, 0, 0, 2001, 0, NULL, NULL,
      "EE-S" },
    { "beyond the lease, new", 999, 0, 0, 0, 0, 2001, 0, NULL, NULL,
      "HHSS" },
    { "beyond the lease, not so new", 1000, 0, 0, 0, 0, 2001, 0, NULL, NULL,
      "EE--" },
    { "beyond the lease, a change", 999, 0, 0, 0, 0, 2001, 0, "user", NULL,
      "MM--" },
    { "beyond the lease, a deadline", 999, 0, 0, 0, -1, 2001, 0, NULL, NULL,
      "MM--" },
    { "no listener yet", 999, 0, 0, 0, 0, TEST_NEVER, 0, NULL, NULL, "HHSS" },
    { "no listener yet, not so new", 1000, 0, 0, 0, 0, TEST_NEVER, 0, NULL,
      NULL, "EE--" },
    { "a listener whose clock is ahead", 50000, 0, 0, 0, 0, -100, 0, NULL,
      NULL, "HHSS" },
    { "read elsewhere", 999, 0, 0, 0, 0, 0, 1, NULL, NULL, "HHSS" },
    { "read elsewhere, not so new", 1000, 30000, 0, 0, 0, 0, 1, NULL, NULL,
      "EE--" },
    { "a table without triggers", 1000, 0, 0, 0, 0, 0, 0, NULL,
      "campaigns", "EE--" },
    { "the other one without triggers", 1000, 0, 0, 0, 0, 0, 0, NULL,
      "campaign_applications.user_id=$user", "EE--" },
    { "a table without triggers, new", 999, 0, 0, 0, 0, 0, 0, NULL,
      "campaigns", "HHSS" },
    { "triggers missing elsewhere", 50000, 0, 0, 0, 0, 0, 0, NULL,
      "users sns_posts", "HHSS" },

    /* grace: was good when the listener was last heard */

    { "grace", 100000, 0, 0, 60000, 0, 0, 0, NULL, NULL, "EE--" },
    { "grace, within ttl when last heard", 150000, 0, 0, 60000, 0, 59999, 0,
      NULL, NULL, "EE-S" },
    { "beyond grace", 150000, 0, 0, 60000, 0, 60000, 0, NULL, NULL, "EE--" },
    { "grace, old when last heard", 150000, 0, 0, 60000, 0, 50000, 0, NULL,
      NULL, "EE--" },
    { "grace, just good when last heard", 149999, 0, 0, 60000, 0, 50000, 0,
      NULL, NULL, "EE-S" },
    { "grace, a change", 150000, 0, 0, 60000, 0, 59999, 0, "user", NULL,
      "MM--" },
    { "grace, everything", 150000, 0, 0, 60000, 0, 59999, 0, "*", NULL,
      "MM--" },
    { "grace, heard before it was read", 59999, 0, 0, 60000, 0, 70000, 0,
      NULL, NULL, "EE-S" },
    { "beyond grace, heard before it was read", 60000, 0, 0, 60000, 0, 70000,
      0, NULL, NULL, "EE--" },
    { "grace, never heard", 59999, 0, 0, 60000, 0, TEST_NEVER, 0, NULL, NULL,
      "EE-S" },
    { "grace, read elsewhere", 59999, 0, 0, 60000, 0, 0, 1, NULL, NULL,
      "EE-S" },
    { "beyond grace, read elsewhere", 60000, 0, 0, 60000, 0, 0, 1, NULL,
      NULL, "EE--" },

    { NULL, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL }
};


static ngx_shm_zone_t    *test_shm;
static ngx_sf_zone_t     *test_a;       /* two workers */
static ngx_sf_zone_t     *test_b;
static ngx_sf_zone_sh_t  *test_sh;
static ngx_sf_fresh_t     test_fresh;
static ngx_sf_cover_t     test_cover;
static ngx_pid_t          test_pid;


static void
test_begin(void)
{
    u_char         identity[16];
    ngx_sf_tags_t  tags;

    test_shm = workers_zone(TEST_SIZE);
    test_b = workers_start(test_shm, workers_spawn());
    test_a = workers_start(test_shm, test_pid);
    test_sh = test_a->sh;

    ngx_memset(identity, 7, sizeof(identity));
    (void) ngx_sf_tags_compile(TEST_TAGS, &tags);
    ngx_memzero(&test_fresh, sizeof(ngx_sf_fresh_t));

    test_fresh.source = ngx_sf_zone_source(test_a, identity);
    test_fresh.source->confirmed = TEST_START;
    ngx_sf_cover_make(test_a, &tags, &test_cover);
    workers_covered(test_fresh.source, &test_cover, 1);
    test_fresh.cover = &test_cover;
    test_fresh.now = TEST_START;
    test_fresh.ttl = TEST_TTL;
    test_fresh.lease = TEST_LEASE;
    test_fresh.incoherent_ttl = TEST_SHORT;
}


static void
test_end(void)
{
    if (test_b->slot) {
        workers_kill(test_b->slot->pid);
    }

    ngx_pid = test_pid;
    workers_zone_free(test_shm);
}


static void
test_is_sound(const char *when)
{
    const char  *wrong;

    wrong = workers_sound(test_a);

    unit_ok(wrong == NULL, "%s: %s", when, wrong ? wrong : "sound");
}


/* --- asking and making --- */

static ngx_sf_key_t
test_key(const char *text)
{
    ngx_sf_key_t  key;

    key.data = (u_char *) text;
    key.len = strlen(text);
    ngx_sf_cache_hash(&key, test_sh->seed);

    return key;
}


static void
test_stamp(ngx_sf_zone_t *zone, int64_t user, ngx_sf_stamp_t *stamp)
{
    ngx_sf_tags_t  tags;

    (void) ngx_sf_tags_compile(TEST_TAGS, &tags);
    ngx_sf_stamp_read(zone, test_fresh.source - test_sh->sources, &tags, user,
                      0, stamp);
}


/* looks, and claims what is not there */

static ngx_int_t
test_ask(test_ask_t *ask, ngx_sf_zone_t *zone, const char *text)
{
    ngx_sf_key_t  key;

    (void) workers_turn(zone);
    key = test_key(text);

    ask->zone = zone;
    ask->created = test_fresh.now;
    test_stamp(zone, 0, &ask->stamp);

    ask->rc = ngx_sf_cache_claim(zone, &key, &test_fresh, &ask->stamp,
                                 TEST_LIMIT, &ask->found);
    return ask->rc;
}


static ngx_int_t
test_look(test_ask_t *ask, ngx_sf_zone_t *zone, const char *text)
{
    ngx_sf_key_t  key;

    (void) workers_turn(zone);
    key = test_key(text);
    ask->zone = zone;

    ask->rc = ngx_sf_cache_lookup(zone, &key, &test_fresh, &ask->found);
    return ask->rc;
}


/* len bytes that begin with text and go on in their own way */

static u_char *
test_body(const char *text, size_t len)
{
    size_t   i, n;
    u_char  *data;

    data = malloc(len + 1);
    n = strlen(text);

    for (i = 0; i < len; i++) {
        data[i] = i < n ? (u_char) text[i] : (u_char) (i * 7 + text[0]);
    }

    return data;
}


static ngx_uint_t
test_shows(const ngx_sf_entry_t *value, const char *text, size_t len)
{
    u_char      *data;
    ngx_uint_t   good;

    if (value == NULL) {
        return 0;
    }

    data = test_body(text, len);
    good = value->len == len && ngx_memcmp(value->data, data, len) == 0;
    free(data);

    return good;
}


static void
test_make(test_ask_t *ask, const char *text, size_t len)
{
    u_char            *data;
    ngx_sf_content_t   response;

    (void) workers_turn(ask->zone);
    data = test_body(text, len);

    response.stamp = &ask->stamp;
    response.created = ask->created;
    response.deadline = 0;
    response.incoherent = 0;
    response.owner = test_fresh.owner;
    response.etag = (u_char *) TEST_ETAG;
    response.data = data;
    response.len = len;

    ngx_sf_cache_store(ask->zone, &ask->found.claim, &response, TEST_MAX);

    free(data);
}


static void
test_abandon(test_ask_t *ask)
{
    (void) workers_turn(ask->zone);
    ngx_sf_cache_abandon(ask->zone, &ask->found.claim);
}


static void
test_unpin(test_ask_t *ask)
{
    (void) workers_turn(ask->zone);
    ngx_sf_cache_unpin(ask->zone, ask->found.value);
    ask->found.value = NULL;
}


/* asks for what must not be there, and makes it */

static ngx_uint_t
test_fill(ngx_sf_zone_t *zone, const char *key, const char *text, size_t len)
{
    test_ask_t  ask;

    if (test_ask(&ask, zone, key) != NGX_DECLINED
        || ask.found.claim.node == NULL)
    {
        return 0;
    }

    test_make(&ask, text, len);

    return 1;
}


/* what is larger than all there is pushes out all that may go for somebody */

static void
test_empty(void)
{
    ngx_uint_t  i;

    for (i = 1; test_sh->nodes && i < 1000; i++) {
        test_fresh.owner = i;
        (void) test_fill(test_a, "huge", "x", test_sh->arena_size);
    }

    test_fresh.owner = 0;
}


static void
test_notify(const char *payload)
{
    (void) ngx_sf_tags_move(test_a, test_fresh.source - test_sh->sources,
                            (u_char *) payload, strlen(payload));
}


static ngx_sf_node_t *
test_node(const char *text)
{
    ngx_sf_key_t    key;
    ngx_sf_node_t  *node;

    key = test_key(text);
    node = test_sh->buckets[key.hash & test_sh->mask];

    while (node && (node->len != key.len
                    || ngx_memcmp(node->key, key.data, key.len) != 0))
    {
        node = node->next;
    }

    return node;
}


static ngx_uint_t
test_there(const char *text)
{
    ngx_sf_node_t  *node;

    node = test_node(text);

    return node && node->value;
}


static ngx_uint_t
test_fills(void)
{
    ngx_uint_t    n;
    ngx_queue_t  *q;

    n = 0;

    for (q = ngx_queue_head(&test_sh->fills);
         q != ngx_queue_sentinel(&test_sh->fills);
         q = ngx_queue_next(q))
    {
        n++;
    }

    return n;
}


static ngx_uint_t
test_waits(ngx_sf_zone_t *zone, const char *text)
{
    ngx_sf_node_t  *node;

    node = test_node(text);

    return node && node->fill
           && (node->fill->waiters[zone->nslot / 64] >> zone->nslot % 64 & 1);
}


/* --- the tests --- */

static void
test_life(void)
{
    size_t      bytes;
    test_ask_t  one, two;

    test_begin();

    unit_ok(test_look(&one, test_a, "life") == NGX_DECLINED
            && one.found.status == NGX_SF_CACHE_MISS
            && one.found.claim.node == NULL && test_sh->nodes == 0,
            "a look claims nothing");

    unit_ok(test_ask(&one, test_a, "life") == NGX_DECLINED
            && one.found.status == NGX_SF_CACHE_MISS && one.found.claim.node
            && one.found.claim.hash == test_key("life").hash
            && test_sh->nodes == 1 && test_fills() == 1,
            "a request has a claim");
    test_is_sound("a claim");

    unit_ok(test_look(&two, test_b, "life") == NGX_DECLINED
            && !test_waits(test_b, "life"), "a look does not wait");
    unit_ok(test_ask(&two, test_b, "life") == NGX_AGAIN
            && test_waits(test_b, "life") && !test_waits(test_a, "life")
            && two.found.claim.node == NULL, "another one waits");
    unit_ok(test_ask(&two, test_a, "life") == NGX_AGAIN
            && test_waits(test_a, "life"), "and so does the same worker");

    test_make(&one, "body", 300);

    unit_ok(test_fills() == 0 && one.found.claim.node == NULL
            && test_a->slot->stats.fills == 1, "the response ends the claim");
    test_is_sound("a response");
    bytes = test_sh->bytes;

    unit_ok(bytes == offsetof(ngx_sf_entry_t, data) + 300
            && test_a->slot->npins == 0, "and is not pinned by its maker");

    unit_ok(test_ask(&two, test_b, "life") == NGX_OK
            && two.found.status == NGX_SF_CACHE_HIT
            && test_shows(two.found.value, "body", 300),
            "it is found");
    unit_ok(two.found.value->created == TEST_START
            && two.found.value->deadline == 0
            && !two.found.value->incoherent
            && ngx_memcmp(two.found.value->etag, TEST_ETAG, NGX_SF_ETAG_LEN)
               == 0, "with all that it came with");
    unit_ok(test_b->slot->npins == 1 && test_b->slot->pinned == bytes
            && ngx_sf_zone_pinned(test_a) == bytes, "and pinned");
    test_is_sound("a pin");

    unit_ok(test_look(&one, test_b, "life") == NGX_OK
            && test_b->slot->npins == 1 && test_b->slot->pinned == bytes,
            "twice is one pin");
    test_unpin(&one);
    unit_ok(test_b->slot->npins == 1, "until both are given back");
    test_unpin(&two);
    unit_ok(test_b->slot->npins == 0 && ngx_sf_zone_pinned(test_a) == 0
            && test_sh->bytes == bytes, "nothing is pinned, all is there");

    unit_ok(test_look(&one, test_a, "lif") == NGX_DECLINED
            && test_look(&one, test_a, "lifes") == NGX_DECLINED
            && test_look(&one, test_a, "LIFE") == NGX_DECLINED,
            "under its own key only");
    test_is_sound("the end");

    test_end();
}


/* lengths from none on; neighbours keep their bytes */

static void
test_lengths(void)
{
    char        key[TEST_TEXT];
    size_t      len;
    test_ask_t  ask;
    ngx_uint_t  wrong;

    test_begin();
    wrong = 0;

    for (len = 0; len < 6000; len += len < 300 ? 1 : 97) {
        (void) sprintf(key, "length %lu", (unsigned long) len);
        wrong += !test_fill(test_a, key, key, len);
    }

    unit_ok(wrong == 0, "responses of all lengths");
    test_is_sound("lengths");

    for (len = 0; len < 6000; len += len < 300 ? 1 : 97) {
        (void) sprintf(key, "length %lu", (unsigned long) len);

        if (test_ask(&ask, test_b, key) != NGX_OK
            || !test_shows(ask.found.value, key, len))
        {
            wrong++;
            continue;
        }

        test_unpin(&ask);
    }

    unit_ok(wrong == 0, "as they were");
    test_end();
}


static int
test_compare(const void *one, const void *other)
{
    uint64_t  a, b;

    a = *(const uint64_t *) one;
    b = *(const uint64_t *) other;

    return a < b ? -1 : a > b;
}


/* keys as ngx_sf_resource_key() makes them: few bytes differ */

static void
test_spread(uint64_t seed)
{
    u_char         bytes[29];
    int64_t        number;
    ngx_uint_t     i, used, equal, low;
    ngx_sf_key_t   key;

    static u_char    buckets[65536];
    static uint64_t  hashes[65536];

    ngx_memzero(buckets, sizeof(buckets));
    ngx_memzero(bytes, sizeof(bytes));
    ngx_memcpy(bytes, "abcd", 4);
    key.data = bytes;
    key.len = sizeof(bytes);
    low = 0;

    for (i = 0; i < 65536; i++) {
        number = i % 256;
        ngx_memcpy(bytes + 5, &number, sizeof(number));
        number = i / 256;
        ngx_memcpy(bytes + 13, &number, sizeof(number));

        ngx_sf_cache_hash(&key, seed);

        low += key.hash <= NGX_SF_WAKE_ALL;
        hashes[i] = key.hash;
        buckets[key.hash % 65536] = 1;
    }

    for (i = 0, used = 0; i < 65536; i++) {
        used += buckets[i];
    }

    qsort(hashes, 65536, sizeof(uint64_t), test_compare);

    for (i = 1, equal = 0; i < 65536; i++) {
        equal += hashes[i] == hashes[i - 1];
    }

    /* 1 - 1/e of the buckets, were they thrown */

    unit_ok(low == 0 && equal == 0 && used > 41000 && used < 42000,
            "seed %llx: 65536 keys, %lu of as many buckets, %lu equal",
            (unsigned long long) seed, (unsigned long) used,
            (unsigned long) equal);
}


static void
test_hashes(void)
{
    u_char         bytes[40];
    uint64_t       hash;
    ngx_uint_t     i, equal;
    ngx_sf_key_t   key, other;

    static const uint64_t  seeds[] = {
        0, 1, 2, 0xff, 1ULL << 32, 1ULL << 63, (uint64_t) -1,
        0x123456789abcdef0ULL
    };

    for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        test_spread(seeds[i]);
    }

    ngx_memzero(bytes, sizeof(bytes));
    key.data = bytes;
    equal = 0;

    for (i = 0; i < sizeof(bytes); i++) {
        key.len = i;
        ngx_sf_cache_hash(&key, 7);
        hash = key.hash;
        key.len = i + 1;
        ngx_sf_cache_hash(&key, 7);
        equal += key.hash == hash;
    }

    unit_ok(equal == 0, "zeros at the end count");

    /* bytes that make up for others under any seed, as in a sum they would */

    other = key;
    other.data = ngx_pcalloc(unit_pool, sizeof(bytes));

    for (i = 0; i < 64; i++) {
        bytes[7] = 0x80;
        bytes[8 + i / 8] = 1 << i % 8;
        ngx_sf_cache_hash(&key, i);
        ngx_sf_cache_hash(&other, i);
        equal += key.hash == other.hash;
        bytes[8 + i / 8] = 0;
    }

    unit_ok(equal == 0, "changes do not cancel out");
}


/* a bucket that somebody has filled on purpose */

static void
test_bucket(void)
{
    char           keys[100][TEST_TEXT];
    ngx_uint_t     i, n, there, refused;
    test_ask_t     ask;
    ngx_sf_key_t   key;

    test_begin();

    for (i = 0, n = 0; n < 100; i++) {
        (void) sprintf(keys[n], "chosen %lu", (unsigned long) i);
        key = test_key(keys[n]);
        n += (key.hash & test_sh->mask) == 17;
    }

    for (i = 0, there = 0, refused = 0; i < n; i++) {
        if (test_fill(test_a, keys[i], keys[i], 100)) {
            there++;

        } else {
            refused++;
        }
    }

    unit_ok(there == 64 && refused == 36, "%lu responses in one bucket",
            (unsigned long) there);
    unit_ok(test_sh->nodes == 64 && test_fills() == 0, "and no more");
    test_is_sound("a full bucket");

    unit_ok(test_look(&ask, test_b, keys[63]) == NGX_OK
            && test_shows(ask.found.value, keys[63], 100),
            "those that are there are found");
    test_unpin(&ask);

    test_notify("campaigns id=1");
    unit_ok(test_fill(test_b, keys[5], "new", 50)
            && test_look(&ask, test_a, keys[5]) == NGX_OK
            && test_shows(ask.found.value, "new", 50), "and made anew");
    test_unpin(&ask);
    unit_ok(test_fill(test_a, "other", "x", 10) && test_there("other"),
            "others do not notice");
    test_is_sound("beside it");

    test_end();
}


/* makes the response of a row, and lets happen what it says; its stamp */

static ngx_sf_stamp_t
test_row_setup(const test_fresh_t *row, const char *key, int64_t user)
{
    char               payload[TEST_TEXT];
    ngx_msec_t         now;
    test_ask_t         ask;
    ngx_sf_tags_t      tags;
    ngx_sf_cover_t     cover;
    ngx_sf_content_t   response;

    now = test_fresh.now;

    test_fresh.source->confirmed = now;
    workers_covered(test_fresh.source, &test_cover, 1);
    test_fresh.now = now - row->age;

    (void) test_ask(&ask, test_a, key);
    test_stamp(test_a, user, &ask.stamp);

    response.stamp = &ask.stamp;
    response.created = test_fresh.now;
    response.deadline = row->deadline ? now + row->deadline
                                        + (row->deadline < 0) : 0;
    response.incoherent = row->incoherent;
    response.owner = 0;
    response.etag = NULL;
    response.data = (u_char *) "x";
    response.len = 1;

    ngx_sf_cache_store(test_a, &ask.found.claim, &response, 1);

    test_fresh.now = now;
    test_fresh.stale = row->stale;
    test_fresh.error = row->error;
    test_fresh.grace = row->grace;
    test_fresh.source->confirmed = row->heard == TEST_NEVER ? 0
                                   : now - row->heard;

    if (row->uncovered) {
        (void) ngx_sf_tags_compile(row->uncovered, &tags);
        ngx_sf_cover_make(test_a, &tags, &cover);
        workers_covered(test_fresh.source, &cover, 0);
    }

    if (row->moved == NULL) {
        /* void */

    } else if (strcmp(row->moved, "user") == 0) {
        (void) sprintf(payload, "campaign_applications user_id=%d",
                       (int) user);
        test_notify(payload);

    } else if (strcmp(row->moved, "*") == 0) {
        ngx_sf_tags_move_all(test_a,
                             test_fresh.source - test_sh->sources);

    } else {
        test_notify(row->moved);
    }

    return ask.stamp;
}


/* whether a row's response is beyond doubt, as far as the row tells */

static ngx_uint_t
test_young(const test_fresh_t *row)
{
    return row->age < TEST_TTL - TEST_TTL / 8 && row->heard <= TEST_LEASE
           && ngx_sf_cover_holds(&test_cover, test_fresh.source)
           && row->want[0] == 'H';
}


static char
test_letter(const test_ask_t *ask)
{
    static const char  letters[] = {
        /* NONE */ '-', 'H', 'M', 'E', 'U', 'S', 'B'
    };

    return letters[ask->found.status];
}


/*
 * For each row four letters: what a request gets (H a hit, U the old one, E or
 * M nothing: it is expired, or gone); what it gets while another worker is at
 * it; what it gets as the database is busy (S the old one), and when it is
 * away.
 */

static void
test_freshness(void)
{
    int                  user;
    char                 key[TEST_TEXT];
    ngx_str_t            got;
    test_ask_t           ask, other;
    ngx_sf_key_t         k;
    ngx_sf_stamp_t       stamp;
    const test_fresh_t  *row;
    u_char               letters[4];

    test_begin();
    got.data = letters;
    got.len = 4;

    for (row = test_rows, user = 1; row->name; row++, user++) {
        (void) sprintf(key, "row %d", user);
        stamp = test_row_setup(row, key, user);

        if (!row->incoherent && row->deadline == 0) {
            unit_ok(ngx_sf_cache_young(test_a, &stamp,
                                       test_fresh.now - row->age, &test_fresh)
                    == test_young(row), "%s: whether it is young", row->name);
        }

        (void) test_look(&ask, test_a, key);
        letters[0] = test_letter(&ask);

        if (ask.found.value) {
            test_unpin(&ask);
        }

        if (test_ask(&other, test_b, key) == NGX_OK) {
            test_unpin(&other);
            other.found.claim.node = NULL;
        }

        (void) test_ask(&ask, test_a, key);
        letters[1] = test_letter(&ask);

        if (ask.found.value) {
            test_unpin(&ask);

        } else if (ask.rc != NGX_AGAIN) {
            letters[1] = '?';
        }

        test_abandon(&other);
        k = test_key(key);
        (void) workers_turn(test_a);

        (void) ngx_sf_cache_lookup_stale(test_a, &k, &test_fresh, 0,
                                         &ask.found);
        letters[2] = test_letter(&ask);

        if (ask.found.value) {
            test_unpin(&ask);
        }

        (void) ngx_sf_cache_lookup_stale(test_a, &k, &test_fresh, 1,
                                         &ask.found);
        letters[3] = test_letter(&ask);

        if (ask.found.value) {
            test_unpin(&ask);
        }

        unit_is(&got, row->want, "%s", row->name);
    }

    test_is_sound("freshness");

    k = test_key("nothing");
    unit_ok(ngx_sf_cache_lookup_stale(test_a, &k, &test_fresh, 1, &ask.found)
            == NGX_DECLINED && ask.found.value == NULL,
            "nothing comes of nothing");

    test_end();
}


/* a ttl that is shorter than what holds without a listener */

static void
test_short_ttl(void)
{
    test_ask_t  ask;

    static const test_fresh_t  row = {
        "a short ttl, never heard", TEST_SHORT / 2, 0, 0, 0, 0, TEST_NEVER, 0,
        NULL, NULL, NULL
    };

    test_begin();

    (void) test_row_setup(&row, "short", 1);
    unit_ok(test_look(&ask, test_a, "short") == NGX_OK,
            "without a listener it is good for a while");
    test_unpin(&ask);

    test_fresh.ttl = TEST_SHORT / 4;
    unit_ok(test_look(&ask, test_a, "short") != NGX_OK,
            "but not beyond its ttl");

    test_end();
}


/* the age at which an entry is made anew; 0: not within its ttl */

static ngx_msec_t
test_expires(const char *key, ngx_msec_t ttl)
{
    ngx_msec_t       low, high, age, begin;
    ngx_sf_key_t     k;
    ngx_sf_found_t   found;

    begin = test_fresh.now;
    test_fresh.ttl = ttl;
    k = test_key(key);

    for (low = 0, high = ttl; low < high; /* void */ ) {
        age = (low + high) / 2;
        test_fresh.now = begin + age;
        test_fresh.source->confirmed = test_fresh.now;

        (void) ngx_sf_cache_lookup(test_a, &k, &test_fresh, &found);

        if (found.value) {
            ngx_sf_cache_unpin(test_a, found.value);
            low = age + 1;

        } else {
            high = age;
        }
    }

    test_fresh.now = begin;
    test_fresh.source->confirmed = begin;
    test_fresh.ttl = TEST_TTL;

    return low;
}


/* what is made together is not made anew together */

static void
test_expiry(void)
{
    char           key[TEST_TEXT];
    ngx_uint_t     i, n, early, wrong, moved;
    ngx_uint_t     tenths[10];
    ngx_msec_t     age, again;

    test_begin();
    ngx_memzero(tenths, sizeof(tenths));
    n = 1000;

    for (i = 0, early = 0, wrong = 0, moved = 0; i < n; i++) {
        (void) sprintf(key, "expiry %lu", (unsigned long) i);
        (void) test_fill(test_a, key, key, 10);
        age = test_expires(key, TEST_TTL);

        wrong += age <= TEST_TTL / 10 * 9 || age > TEST_TTL;
        tenths[(age - TEST_TTL / 10 * 9 - 1) / (TEST_TTL / 100) % 10]++;
        wrong += test_expires(key, 9999) != 9999;

        test_notify("campaigns id=1");
        test_fresh.now++;
        test_fresh.source->confirmed = test_fresh.now;
        (void) test_fill(test_a, key, key, 10);
        again = test_expires(key, TEST_TTL);
        moved += again + 1 < age || again > age + 1;
    }

    for (i = 0; i < 10; i++) {
        early += tenths[i] > n / 20 && tenths[i] < n / 5;
    }

    unit_ok(wrong == 0, "none before the last tenth of its ttl, none after "
            "it; not where that is short");
    unit_ok(early == 10, "all over that tenth");
    unit_ok(moved > n - n / 20, "and at another moment each time");

    test_end();
}


/* what may join a fill, and what takes it over */

static void
test_join(void)
{
    test_ask_t  one, two, three, look;

    test_begin();

    /* a change in between */

    (void) test_ask(&one, test_a, "join");
    (void) test_ask(&three, test_b, "join");
    test_notify("campaigns id=1");

    unit_ok(test_ask(&two, test_b, "join") == NGX_DECLINED
            && two.found.claim.node
            && two.found.claim.serial > one.found.claim.serial
            && test_fills() == 1,
            "after a change nobody joins: the fill is taken over");
    unit_ok(test_waits(test_b, "join"), "with those that wait for it");
    test_is_sound("taken over");

    unit_ok(test_ask(&three, test_a, "join") == NGX_AGAIN,
            "the new fill is joined");

    test_make(&one, "old", 10);
    unit_ok(!test_there("join") && test_fills() == 1
            && test_a->slot->stats.raced == 1,
            "what the first one brings is thrown away");
    test_make(&two, "new", 20);
    unit_ok(test_look(&look, test_a, "join") == NGX_OK
            && test_shows(look.found.value, "new", 20) && test_fills() == 0,
            "what the second one brings is kept");
    test_unpin(&look);
    test_is_sound("two responses");

    /* the other way round, and everything moves */

    test_notify("campaigns id=1");
    (void) test_ask(&one, test_a, "join");
    ngx_sf_tags_move_all(test_a, test_fresh.source - test_sh->sources);
    unit_ok(test_ask(&two, test_b, "join") == NGX_DECLINED,
            "nor when everything has changed");
    test_make(&two, "newer", 20);
    test_make(&one, "older", 10);

    unit_ok(test_look(&look, test_a, "join") == NGX_OK
            && test_shows(look.found.value, "newer", 20),
            "the first one comes too late");
    test_unpin(&look);
    test_is_sound("the other way round");

    /* a change that concerns others */

    test_notify("campaigns id=1");
    (void) test_ask(&one, test_a, "join");
    test_notify("users id=1");
    unit_ok(test_ask(&two, test_b, "join") == NGX_AGAIN,
            "a change of something else does not count");
    test_abandon(&one);

    test_end();
}


/* a fill whose maker lets its time pass */

static void
test_late(void)
{
    test_ask_t  one, two, look;

    test_begin();

    (void) test_ask(&one, test_a, "late");
    test_fresh.now += TEST_LIMIT - 1;
    test_fresh.source->confirmed = test_fresh.now;

    unit_ok(test_ask(&two, test_b, "late") == NGX_AGAIN,
            "a fill is waited for until its deadline");

    test_fresh.now++;
    unit_ok(test_ask(&two, test_b, "late") == NGX_DECLINED
            && two.found.claim.node && test_fills() == 1,
            "then it is taken over");

    /* nothing has moved: only the serial tells one from the other */

    test_make(&one, "one", 10);
    unit_ok(!test_there("late") && test_fills() == 1
            && test_a->slot->stats.fills == 0,
            "what comes later is thrown away");
    test_is_sound("too late");

    test_make(&two, "two", 10);
    unit_ok(test_look(&look, test_a, "late") == NGX_OK
            && test_shows(look.found.value, "two", 10), "the second counts");
    test_unpin(&look);

    /* the same with an older one that gives up */

    test_notify("campaigns id=1");
    (void) test_ask(&one, test_a, "late");
    test_notify("campaigns id=1");
    (void) test_ask(&two, test_b, "late");
    test_abandon(&one);
    unit_ok(test_fills() == 1 && one.found.claim.node == NULL,
            "one that was taken over gives up nothing");
    test_abandon(&one);
    test_abandon(&two);
    test_abandon(&two);
    unit_ok(test_fills() == 0 && test_there("late"),
            "nor is it given up twice; the old response stays");

    /* nobody asks again */

    (void) test_ask(&one, test_a, "forgotten");
    (void) test_ask(&two, test_b, "kept");
    test_fresh.now += TEST_LIMIT + 999;
    unit_ok(test_ask(&look, test_a, "other") == NGX_DECLINED
            && test_node("forgotten") && test_fills() == 3,
            "a fill that nobody ends");
    test_abandon(&look);
    test_fresh.now++;
    unit_ok(test_ask(&look, test_a, "other") == NGX_DECLINED
            && test_node("forgotten") == NULL && test_node("kept") == NULL
            && test_fills() == 1, "is ended by those that ask for others");
    test_is_sound("forgotten");

    test_make(&one, "x", 10);
    test_abandon(&two);
    test_abandon(&look);
    unit_ok(!test_there("forgotten") && test_fills() == 0,
            "what it brings is not kept");
    test_is_sound("late");

    test_end();
}


static void
test_abandoned(void)
{
    test_ask_t  one, two;

    test_begin();

    (void) test_ask(&one, test_a, "given up");
    (void) test_ask(&two, test_b, "given up");
    test_abandon(&one);

    unit_ok(test_fills() == 0 && test_sh->nodes == 0,
            "a fill that is given up leaves nothing");
    unit_ok(test_ask(&two, test_b, "given up") == NGX_DECLINED
            && two.found.claim.node, "one that waited for it tries itself");
    test_make(&two, "x", 10);

    test_fresh.now += TEST_TTL;
    test_fresh.source->confirmed = test_fresh.now;
    unit_ok(test_ask(&one, test_a, "given up") == NGX_DECLINED
            && one.found.status == NGX_SF_CACHE_EXPIRED, "it expires");
    test_abandon(&one);
    unit_ok(test_there("given up") && test_fills() == 0,
            "an old response is still there");
    test_is_sound("given up");

    ngx_memzero(&one.found.claim, sizeof(ngx_sf_claim_t));
    test_abandon(&one);
    test_make(&one, "y", 10);
    unit_ok(test_sh->nodes == 1 && test_a->slot->stats.refused == 0,
            "without a claim nothing is stored");
    test_is_sound("no claim");

    test_end();
}


/* whether a claim is given up that its maker has no use for */

static ngx_uint_t
test_gives_up(test_ask_t *ask)
{
    (void) workers_turn(ask->zone);

    return ngx_sf_cache_give_up(ask->zone, &ask->found.claim);
}


static void
test_unwanted(void)
{
    test_ask_t  one, two, look;

    test_begin();

    (void) test_ask(&one, test_a, "unwanted");
    unit_ok(test_gives_up(&one) && one.found.claim.node == NULL
            && test_fills() == 0 && test_sh->nodes == 0,
            "a fill that nobody waits for goes");
    unit_ok(test_ask(&two, test_b, "unwanted") == NGX_DECLINED
            && two.found.claim.node, "the next one claims");

    /* the other worker, and another location of its own */

    (void) test_ask(&look, test_a, "unwanted");
    unit_ok(!test_gives_up(&two) && two.found.claim.node
            && test_fills() == 1, "one that another worker waits for stays");
    test_make(&two, "two", 10);
    unit_ok(test_there("unwanted"), "and its response is stored");

    (void) test_ask(&one, test_a, "own");
    (void) test_ask(&look, test_a, "own");
    unit_ok(!test_gives_up(&one) && test_fills() == 1,
            "so does one that its own worker waits for");
    test_abandon(&one);
    test_is_sound("waited for");

    /* what waits, waits for the one that has taken over */

    test_notify("campaigns id=1");
    (void) test_ask(&one, test_a, "late");
    (void) test_ask(&look, test_b, "late");
    test_notify("campaigns id=1");
    (void) test_ask(&two, test_b, "late");
    unit_ok(test_gives_up(&one) && one.found.claim.node == NULL
            && test_fills() == 1, "one that was taken over is nobody's");
    unit_ok(!test_gives_up(&two), "the one that took it over has its waiters");
    test_make(&two, "two", 10);
    test_is_sound("unwanted");

    test_end();
}


/* what a response's size may be */

static void
test_refused(void)
{
    ngx_uint_t         pages;
    test_ask_t         ask;
    ngx_sf_content_t   response;

    test_begin();
    pages = test_sh->arena->pfree;

    (void) test_ask(&ask, test_a, "large");
    ngx_memzero(&response, sizeof(response));
    response.stamp = &ask.stamp;
    response.created = ask.created;
    response.data = (u_char *) "12345678";
    response.len = 8;

    ngx_sf_cache_store(test_a, &ask.found.claim, &response, 7);
    unit_ok(test_sh->nodes == 0 && test_a->slot->stats.refused == 1
            && test_fills() == 0, "more than is allowed is refused");

    (void) test_ask(&ask, test_a, "large");
    ngx_sf_cache_store(test_a, &ask.found.claim, &response, 8);
    unit_ok(test_there("large"), "as much as that is not");

    /* etag NULL: there is none */

    (void) test_look(&ask, test_a, "large");
    unit_ok(ask.found.value && ask.found.value->etag[0] == '\0', "no tag");
    test_unpin(&ask);

    (void) test_fill(test_a, "two", "x", 100);
    unit_ok(test_fill(test_a, "huge", "x", test_sh->arena_size)
            && !test_there("huge") && test_a->slot->stats.no_room == 1
            && test_a->slot->stats.refused == 1,
            "more than there is finds no room");
    test_is_sound("huge");
    unit_ok(test_fill(test_a, "after", "x", 100) && test_there("after"),
            "and it goes on");

    test_empty();
    unit_ok(test_sh->nodes == 0 && test_sh->bytes == 0
            && test_sh->arena->pfree == pages,
            "an empty zone has as many pages as at first");

    test_end();
}


/* stores until the first one had to go; returns how many there are */

static ngx_uint_t
test_crowd(size_t len)
{
    char        key[TEST_TEXT];
    ngx_uint_t  n, evictions;

    evictions = test_a->slot->stats.evictions;

    for (n = 0; test_a->slot->stats.evictions == evictions; n++) {
        (void) sprintf(key, "crowd %lu", (unsigned long) n);
        (void) test_fill(test_a, key, key, len);
    }

    return n;
}


static ngx_uint_t
test_present(ngx_uint_t i)
{
    char  key[TEST_TEXT];

    (void) sprintf(key, "crowd %lu", (unsigned long) i);

    return test_there(key);
}


/* which entries stay is tested in t/unit/admit.c */

static void
test_room(void)
{
    ngx_uint_t  i, n, there, gone;

    test_begin();
    n = test_crowd(3000);

    for (i = 1, there = 0; i < n; i++) {
        there += test_present(i);
    }

    unit_ok(!test_present(0) && there == n - 1,
            "%lu responses: the first one makes room for the last",
            (unsigned long) n);
    test_is_sound("crowded");

    unit_ok(n > 500 && test_fill(test_a, "large", "large", 100000)
            && test_there("large"), "a large response among small ones");

    for (gone = 0; gone < n && !test_present(gone); gone++) { /* void */ }

    for (i = gone, there = 0; i < n; i++) {
        there += test_present(i);
    }

    unit_ok(there == n - gone && gone > 20 && gone < 40,
            "%lu had to go, the oldest ones", (unsigned long) gone);
    test_is_sound("large");

    /* as many as one allocation may look at are not enough */

    unit_ok(test_fill(test_a, "larger", "x", 500000)
            && !test_there("larger") && test_a->slot->stats.no_room == 1,
            "a larger one finds no room");

    for (i = 0; i < 4 && !test_there("larger"); i++) {
        (void) test_fill(test_a, "larger", "larger", 500000);
    }

    unit_ok(test_there("larger") && i < 4,
            "until it has been asked for %lu times more", (unsigned long) i);
    test_is_sound("larger");

    test_end();
}


/* takes all that is left of the arena: pages, then chunks of each size */

static void *
test_exhaust(void)
{
    void    *p, *last;
    size_t   size;

    last = NULL;

    for (size = 1 << 20; size >= sizeof(void *); size /= 2) {
        while ((p = ngx_slab_alloc_locked(test_sh->arena, size)) != NULL) {
            *(void **) p = last;
            last = p;
        }
    }

    return last;
}


static void
test_relieve(void *last)
{
    void  *next;

    for ( /* void */ ; last; last = next) {
        next = *(void **) last;
        ngx_slab_free_locked(test_sh->arena, last);
    }
}


/* a key that is known finds room for its claim, too */

static void
test_full(void)
{
    void        *all;
    test_ask_t   ask;

    test_begin();
    (void) test_crowd(3000);
    test_fresh.now += TEST_TTL;
    test_fresh.source->confirmed = test_fresh.now;

    all = test_exhaust();

    unit_ok(test_ask(&ask, test_a, "crowd 5") == NGX_DECLINED
            && ask.found.status == NGX_SF_CACHE_EXPIRED
            && ask.found.claim.node, "a full zone has room for a claim");
    test_make(&ask, "fresh", 3000);
    unit_ok(test_ask(&ask, test_a, "crowd 5") == NGX_OK
            && test_shows(ask.found.value, "fresh", 3000),
            "and for what comes of it");
    test_unpin(&ask);

    test_relieve(all);
    test_is_sound("full");

    /* the oldest one of all makes room for its own claim */

    all = test_exhaust();
    unit_ok(test_ask(&ask, test_a, "crowd 9") == NGX_DECLINED
            && ask.found.claim.node, "even by what it stands for");
    test_abandon(&ask);
    test_relieve(all);
    test_is_sound("full again");

    /* nothing can be evicted: no claim, and no harm */

    test_empty();

    all = test_exhaust();
    unit_ok(test_ask(&ask, test_a, "nothing") == NGX_DECLINED
            && ask.found.claim.node == NULL,
            "where nothing can go there is no claim");
    test_relieve(all);
    test_is_sound("too full");

    test_end();
}


/* a reader goes on reading */

static void
test_pins(void)
{
    size_t      bytes;
    ngx_uint_t  pages;
    test_ask_t  one, two, three, fill;

    test_begin();
    (void) test_fill(test_a, "pinned", "old", 20000);
    bytes = test_sh->bytes;
    pages = test_sh->arena->pfree;

    (void) test_look(&one, test_a, "pinned");
    (void) test_look(&two, test_b, "pinned");

    /* replaced */

    test_notify("campaigns id=1");
    (void) test_ask(&fill, test_b, "pinned");
    test_make(&fill, "new", 20000);
    (void) test_look(&three, test_a, "pinned");

    unit_ok(test_shows(one.found.value, "old", 20000)
            && test_shows(two.found.value, "old", 20000)
            && test_shows(three.found.value, "new", 20000),
            "a response that is replaced can be read on");
    unit_ok(test_sh->bytes == 2 * bytes
            && test_sh->arena->pfree == pages - 5, "and takes its room");
    test_is_sound("replaced");

    test_unpin(&one);
    unit_ok(test_sh->bytes == 2 * bytes
            && test_shows(two.found.value, "old", 20000),
            "until the last has read it");
    test_unpin(&two);
    unit_ok(test_sh->bytes == bytes && test_sh->arena->pfree == pages,
            "then it is free");
    test_is_sound("given back");

    /* evicted */

    test_empty();
    unit_ok(!test_there("pinned")
            && test_shows(three.found.value, "new", 20000),
            "so can one that had to go");
    test_is_sound("evicted");
    test_unpin(&three);
    unit_ok(test_sh->bytes == 0, "nothing is left");
    test_is_sound("nothing");

    /* a pin that is none */

    (void) test_fill(test_a, "pinned", "x", 10);
    (void) test_look(&one, test_a, "pinned");
    two = one;
    test_unpin(&one);
    test_unpin(&two);
    unit_ok(workers_logged(NGX_LOG_ALERT) == 1 && test_there("pinned")
            && test_a->slot->npins == 0, "%s", workers_last());
    test_is_sound("no pin");

    test_end();
}


static void
test_pin_table(void)
{
    char         key[TEST_TEXT];
    size_t       bytes;
    ngx_uint_t   i, wrong;
    test_ask_t  *asks, ask;

    test_begin();
    asks = calloc(NGX_SF_PINS + 1, sizeof(test_ask_t));
    wrong = 0;

    for (i = 0; i <= NGX_SF_PINS; i++) {
        (void) sprintf(key, "pin %lu", (unsigned long) i);
        wrong += !test_fill(test_a, key, key, 50 + i);
    }

    for (i = 0; i < NGX_SF_PINS; i++) {
        (void) sprintf(key, "pin %lu", (unsigned long) i);
        wrong += test_ask(&asks[i], test_a, key) != NGX_OK;
    }

    unit_ok(wrong == 0 && test_a->slot->npins == NGX_SF_PINS,
            "%d pins", NGX_SF_PINS);
    bytes = test_sh->bytes;

    (void) sprintf(key, "pin %d", NGX_SF_PINS);
    unit_ok(test_ask(&ask, test_a, key) == NGX_DECLINED
            && ask.found.value == NULL && ask.found.claim.node == NULL,
            "one more is not to be had");
    unit_ok(test_ask(&ask, test_b, key) == NGX_OK, "by this worker");
    test_unpin(&ask);
    unit_ok(test_ask(&ask, test_a, "pin 5") == NGX_OK, "but by those it has");
    test_unpin(&ask);

    unit_ok(test_ask(&ask, test_a, "other") == NGX_DECLINED
            && ask.found.claim.node, "a response can be made");
    test_make(&ask, "x", 100);
    unit_ok(!test_there("other") && test_a->slot->stats.no_room == 1
            && test_sh->bytes == bytes && test_fills() == 0,
            "and is not stored");
    test_is_sound("no pin left");

    test_unpin(&asks[7]);
    unit_ok(test_ask(&ask, test_a, key) == NGX_OK, "one goes, another comes");
    test_unpin(&ask);
    (void) test_ask(&ask, test_a, "other");
    test_make(&ask, "x", 100);
    unit_ok(test_there("other"), "a new one, too");

    for (i = 0; i < NGX_SF_PINS; i++) {
        if (i != 7) {
            (void) sprintf(key, "pin %lu", (unsigned long) i);
            wrong += !test_shows(asks[i].found.value, key, 50 + i);
            test_unpin(&asks[i]);
        }
    }

    unit_ok(wrong == 0 && test_a->slot->npins == 0
            && test_a->slot->pinned == 0, "all are given back");
    test_is_sound("pins");

    free(asks);
    test_end();
}


/* a worker is killed, and one that starts finds what it had */

static void
test_dead(void)
{
    size_t          bytes;
    ngx_uint_t      pages;
    ngx_pid_t       pid;
    test_ask_t      one, two, pin;
    ngx_sf_slot_t  *slot;

    test_begin();
    pages = test_sh->arena->pfree;
    (void) test_fill(test_a, "dead", "old", 20000);
    bytes = test_sh->bytes;

    slot = test_b->slot;
    (void) test_look(&pin, test_b, "dead");
    (void) test_look(&pin, test_b, "dead");
    test_notify("campaigns id=1");
    (void) test_fill(test_a, "dead", "new", 20000);
    (void) test_fill(test_b, "known", "x", 10);
    test_notify("campaigns id=1");
    (void) test_ask(&one, test_b, "known");
    (void) test_ask(&one, test_b, "unmade");

    unit_ok(test_ask(&two, test_a, "unmade") == NGX_AGAIN
            && test_fills() == 2 && slot->npins == 1,
            "a worker with a pin and two claims");

    pid = slot->pid;
    workers_kill(pid);

    unit_ok(test_ask(&two, test_a, "known") == NGX_DECLINED
            && two.found.claim.node,
            "the fill of a dead one is not waited for");
    test_make(&two, "y", 10);
    unit_ok(test_there("known") && test_fills() == 1, "nor needed");
    unit_ok(test_sh->bytes > 2 * bytes, "but its pin holds");

    test_b = workers_start(test_shm, workers_spawn());
    unit_ok(test_b->slot == slot && slot->npins == 0 && slot->pinned == 0,
            "the next worker has its slot");
    unit_ok(test_node("unmade") == NULL && test_fills() == 0
            && test_sh->bytes < 2 * bytes, "and neither claim nor pin is left");
    test_is_sound("buried");

    /* one that exits gives all back itself */

    test_notify("campaigns id=1");
    (void) test_ask(&one, test_b, "unmade");
    (void) test_fill(test_a, "dead", "newer", 20000);
    (void) test_look(&pin, test_b, "dead");
    test_notify("campaigns id=1");
    (void) test_fill(test_a, "dead", "newest", 20000);

    (void) workers_turn(test_b);
    ngx_sf_zone_leave(test_b);
    test_b->slot = NULL;
    unit_ok(test_fills() == 0 && test_node("unmade") == NULL
            && slot->pid == 0, "a worker that exits gives all back");
    test_is_sound("left");

    /* after that its requests end */

    ngx_sf_cache_unpin(test_b, pin.found.value);
    test_is_sound("nothing is given back twice");

    test_empty();
    unit_ok(test_sh->bytes == 0 && test_sh->nodes == 0
            && test_sh->arena->pfree == pages, "nothing was lost");

    (void) workers_logged(NGX_LOG_NOTICE);
    test_end();
}


/* the arena is made anew under claims and pins */

static void
test_era(void)
{
    ngx_uint_t  pages;
    test_ask_t  one, two, pin, look;

    test_begin();
    pages = test_sh->arena->pfree;

    (void) test_fill(test_a, "era", "x", 20000);
    (void) test_ask(&one, test_a, "claimed");
    (void) test_look(&pin, test_a, "era");

    test_sh->busy = test_b->slot->pid;

    unit_ok(test_look(&look, test_a, "era") == NGX_DECLINED
            && look.found.value == NULL, "in doubt nothing is found");
    unit_ok(test_ask(&look, test_b, "other") == NGX_DECLINED
            && look.found.claim.node == NULL, "nor claimed");
    test_make(&one, "x", 10);
    unit_ok(test_sh->era == 0 && one.found.claim.node == NULL,
            "nor stored");
    unit_ok(test_shows(pin.found.value, "x", 20000),
            "what is pinned can be read on");

    test_unpin(&pin);
    unit_ok(test_sh->era == 0, "the last pin is given back");
    unit_ok(test_ask(&one, test_a, "era") == NGX_DECLINED
            && one.found.claim.node && test_sh->era == 1
            && test_sh->nodes == 1, "then all is new");
    test_is_sound("a new era");

    /* a claim of the old era, under the same key and the same serial */

    two = one;
    two.found.claim.era = 0;
    test_make(&two, "old", 10);
    unit_ok(!test_there("era") && test_fills() == 1,
            "a claim of an old era is none");
    test_make(&one, "new", 10);
    unit_ok(test_there("era"), "one of the new era is");

    /* the value that is pinned last has been replaced */

    (void) test_look(&pin, test_b, "era");
    test_notify("campaigns id=1");
    (void) test_fill(test_a, "era", "newer", 20000);
    test_sh->busy = test_a->slot->pid;
    test_unpin(&pin);
    unit_ok(workers_logged(NGX_LOG_ALERT) == 0,
            "a pin that is given back in doubt frees nothing twice");

    unit_ok(test_look(&look, test_a, "era") == NGX_DECLINED
            && test_sh->era == 2 && test_sh->bytes == 0
            && test_sh->arena->pfree == pages, "all is new again");
    test_is_sound("eras");

    (void) workers_logged(NGX_LOG_WARN);
    test_end();
}


static void
test_gzip(void)
{
    u_char          *data;
    size_t           bytes, form_size;
    ngx_uint_t       make, pages;
    test_ask_t       one, two;
    ngx_sf_entry_t  *form, *other;

    test_begin();
    (void) test_fill(test_a, "gzip", "body", 20000);
    bytes = test_sh->bytes;
    pages = test_sh->arena->pfree;
    form_size = offsetof(ngx_sf_entry_t, data) + 5000;

    (void) test_look(&one, test_a, "gzip");
    (void) test_look(&two, test_b, "gzip");

    (void) workers_turn(test_a);
    unit_ok(ngx_sf_cache_gzip(test_a, one.found.value, &make) == NULL
            && make == 1, "the first one that asks makes the form");
    (void) workers_turn(test_b);
    unit_ok(ngx_sf_cache_gzip(test_b, two.found.value, &make) == NULL
            && make == 0, "the others have none yet");

    (void) workers_turn(test_a);
    ngx_sf_cache_attach(test_a, one.found.value, (u_char *) TEST_ETAG,
                        (u_char *) "x", 1, 0);
    unit_ok(one.found.value->gzip == NULL, "one that is too large is none");

    data = test_body("form", 5000);
    ngx_sf_cache_attach(test_a, one.found.value, (u_char *) TEST_ETAG, data,
                        5000, 5000);
    free(data);
    unit_ok(one.found.value->gzip && test_sh->bytes == bytes + form_size
            && test_a->slot->npins == 1, "it lies beside the response");
    test_is_sound("attached");

    form = one.found.value->gzip;
    unit_ok(test_shows(form, "form", 5000)
            && form->created == one.found.value->created
            && form->deadline == one.found.value->deadline
            && ngx_memcmp(form->etag, TEST_ETAG, NGX_SF_ETAG_LEN) == 0
            && ngx_sf_stamp_current(test_a, &form->stamp),
            "and is as old as that");

    ngx_sf_cache_attach(test_a, one.found.value, (u_char *) TEST_ETAG,
                        (u_char *) "again", 5, 100);
    unit_ok(one.found.value->gzip == form
            && test_sh->bytes == bytes + form_size, "there is one only");

    other = ngx_sf_cache_gzip(test_a, one.found.value, &make);
    unit_ok(other == form && make == 0 && test_a->slot->npins == 1
            && test_a->slot->pinned == form_size,
            "a pin of the response becomes one of the form");
    test_is_sound("exchanged");

    /* the response goes, the form is still read */

    test_notify("campaigns id=1");
    (void) test_fill(test_a, "gzip", "new", 20000);
    test_unpin(&two);
    unit_ok(test_sh->bytes == bytes + form_size
            && test_shows(form, "form", 5000),
            "a form outlives its response while it is pinned");
    test_is_sound("outlived");

    (void) workers_turn(test_a);
    ngx_sf_cache_unpin(test_a, form);
    unit_ok(test_sh->bytes == bytes && test_sh->arena->pfree == pages,
            "and no longer");
    test_is_sound("free");

    test_end();
}


/* forms in all the ways that they may go */

static void
test_gzip_ends(void)
{
    size_t           bytes;
    ngx_uint_t       make;
    test_ask_t       one, two;
    ngx_sf_entry_t  *form;

    test_begin();
    (void) test_fill(test_a, "gzip", "body", 20000);
    bytes = test_sh->bytes;

    /* attached to one that has been replaced in between */

    (void) test_look(&one, test_a, "gzip");
    (void) ngx_sf_cache_gzip(test_a, one.found.value, &make);
    test_notify("campaigns id=1");
    (void) test_fill(test_b, "gzip", "new", 20000);
    (void) workers_turn(test_a);
    ngx_sf_cache_attach(test_a, one.found.value, (u_char *) TEST_ETAG,
                        (u_char *) "form", 4, 100);
    test_is_sound("attached to what is replaced");
    test_unpin(&one);
    unit_ok(test_sh->bytes == bytes, "a form goes with its response");
    test_is_sound("both gone");

    /* evicted together */

    (void) test_look(&one, test_a, "gzip");
    ngx_sf_cache_attach(test_a, one.found.value, (u_char *) TEST_ETAG,
                        (u_char *) "form", 4, 100);
    test_unpin(&one);
    test_empty();
    unit_ok(test_sh->bytes == 0, "they are evicted together");

    /* a worker dies with a form in its hands */

    (void) test_fill(test_a, "gzip", "body", 20000);
    (void) test_look(&one, test_a, "gzip");
    ngx_sf_cache_attach(test_a, one.found.value, (u_char *) TEST_ETAG,
                        (u_char *) "form", 4, 100);
    (void) test_look(&two, test_b, "gzip");
    (void) workers_turn(test_b);
    form = ngx_sf_cache_gzip(test_b, two.found.value, &make);
    test_is_sound("two workers");
    test_unpin(&one);

    workers_kill(test_b->slot->pid);
    test_b = workers_start(test_shm, workers_spawn());
    unit_ok(form && form->refs == 1 && test_there("gzip"),
            "the form of a dead worker stays with its response");
    test_is_sound("a worker is dead");

    /* no room for a form, no harm */

    (void) test_fill(test_b, "other", "body", 20000);
    (void) test_look(&one, test_b, "other");
    ngx_sf_cache_attach(test_b, one.found.value, (u_char *) TEST_ETAG,
                        (u_char *) "x", test_sh->arena_size,
                        test_sh->arena_size);
    unit_ok(one.found.value->gzip == NULL
            && test_shows(one.found.value, "body", 20000),
            "there is no room for a form");
    test_is_sound("no room");
    test_unpin(&one);
    test_empty();
    unit_ok(test_sh->bytes == 0, "and nothing is left of it");

    (void) workers_logged(NGX_LOG_NOTICE);
    test_end();
}


int
main(void)
{
    unit_init();
    test_pid = ngx_pid;

    test_life();
    test_lengths();
    test_hashes();
    test_bucket();
    test_freshness();
    test_short_ttl();
    test_expiry();
    test_join();
    test_late();
    test_abandoned();
    test_unwanted();
    test_refused();
    test_room();
    test_full();
    test_pins();
    test_pin_table();
    test_dead();
    test_era();
    test_gzip();
    test_gzip_ends();

    return unit_done();
}

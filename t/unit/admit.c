
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Which entries stay, and when they expire: streams of requests through the
 * real cache, by a clock of the test's own, beside a model of an LRU of the
 * same size.
 *
 *     unit-with: -It/tools t/tools/workers.c t/tools/sound.c
 */


#include "workers.h"
#include "unit.h"

#include <math.h>


#define TEST_SIZE    (16 * 1024 * 1024)
#define TEST_KEYS    100000
#define TEST_MAX     (512 * 1024)
#define TEST_SHARED  0x10000            /* owners of hot entries come after */

#define TEST_STREAM  300000             /* requests by Zipf's law */


/* an LRU over the arena's bytes, as if they could be had in any piece */

typedef struct {
    uint32_t          prev;             /* 0: the ends of the list */
    uint32_t          next;
    uint32_t          weight;           /* 0: not there */
} test_lru_t;


static ngx_shm_zone_t    *test_shm;
static ngx_sf_zone_t     *test_zone;
static ngx_sf_zone_sh_t  *test_sh;
static ngx_sf_fresh_t     test_fresh;
static ngx_sf_tags_t      test_tags;
static ngx_sf_cover_t     test_cover;
static uint64_t           test_state;
static u_char             test_bytes[TEST_MAX];

static test_lru_t         test_lru[TEST_KEYS + 1];
static size_t             test_lru_bytes;

static double             test_law[TEST_KEYS];


static void
test_begin(size_t size)
{
    u_char  identity[16];

    test_shm = workers_zone(size);
    test_zone = workers_start(test_shm, ngx_pid);
    test_sh = test_zone->sh;
    test_state = 88172645463325252ULL;

    ngx_memset(identity, 7, sizeof(identity));
    (void) ngx_sf_tags_compile("campaigns", &test_tags);

    ngx_memzero(&test_fresh, sizeof(ngx_sf_fresh_t));
    test_fresh.source = ngx_sf_zone_source(test_zone, identity);
    ngx_sf_cover_make(test_zone, &test_tags, &test_cover);
    test_fresh.cover = &test_cover;
    test_fresh.now = 1000000;
    test_fresh.source->confirmed = test_fresh.now;
    workers_covered(test_fresh.source, &test_cover, 1);
    test_fresh.ttl = 300000;
    test_fresh.lease = 2000;
    test_fresh.incoherent_ttl = 1000;

    /* streams are the same each time */

    test_zone->seed = 42;
    test_sh->seed = 42;

    ngx_memzero(test_lru, sizeof(test_lru));
    test_lru_bytes = 0;
}


static void
test_end(void)
{
    workers_zone_free(test_shm);
}


static uint32_t
test_random(uint32_t below)
{
    test_state ^= test_state << 13;
    test_state ^= test_state >> 7;
    test_state ^= test_state << 17;

    return (uint64_t) (uint32_t) (test_state >> 20) * below >> 32;
}


static ngx_sf_key_t
test_key(uint32_t n)
{
    static char   text[64];

    ngx_sf_key_t  key;

    key.data = (u_char *) text;
    key.len = sprintf(text, "the key with number %u", n);
    ngx_sf_cache_hash(&key, test_sh->seed);

    return key;
}


/* a request for len bytes: whether they are there; else they are stored */

static ngx_uint_t
test_ask(uint32_t n, size_t len, uint32_t owner)
{
    ngx_sf_key_t       key;
    ngx_sf_found_t     found;
    ngx_sf_stamp_t     stamp;
    ngx_sf_content_t   response;

    key = test_key(n);
    test_fresh.owner = owner;

    ngx_sf_stamp_read(test_zone, test_fresh.source - test_sh->sources,
                      &test_tags, 0, 0, &stamp);

    if (ngx_sf_cache_claim(test_zone, &key, &test_fresh, &stamp, 1000, &found)
        == NGX_OK)
    {
        ngx_sf_cache_unpin(test_zone, found.value);
        return 1;
    }

    ngx_memzero(&response, sizeof(ngx_sf_content_t));
    response.stamp = &stamp;
    response.created = test_fresh.now;
    response.owner = owner;
    response.data = test_bytes;
    response.len = len;

    ngx_sf_cache_store(test_zone, &found.claim, &response, TEST_MAX);

    return 0;
}


/* the entry of a key, NULL: there is none */

static ngx_sf_node_t *
test_node(uint32_t n)
{
    ngx_sf_key_t    key;
    ngx_sf_node_t  *node;

    key = test_key(n);
    node = test_sh->buckets[key.hash & test_sh->mask];

    while (node && node->hash != key.hash) {
        node = node->next;
    }

    return node && node->value ? node : NULL;
}


static ngx_sf_queue_e
test_queue(uint32_t n)
{
    ngx_sf_node_t  *node;

    node = test_node(n);

    return node ? node->value->queue : NGX_SF_QUEUES;
}


static void
test_is_sound(const char *when)
{
    const char  *wrong;

    wrong = workers_sound(test_zone);

    unit_ok(wrong == NULL, "%s: %s", when, wrong ? wrong : "sound");
}


/* --- the model --- */

static size_t
test_room(size_t size)
{
    size_t  n;

    if (size > ngx_pagesize / 2) {
        return ngx_align(size, ngx_pagesize);
    }

    for (n = 8; n < size; n *= 2) { /* void */ }

    return n;
}


static void
test_lru_unlink(uint32_t n)
{
    test_lru[test_lru[n].prev].next = test_lru[n].next;
    test_lru[test_lru[n].next].prev = test_lru[n].prev;
}


static ngx_uint_t
test_lru_ask(uint32_t n, size_t len)
{
    uint32_t     last;
    ngx_uint_t   hit;
    test_lru_t  *e;

    n++;
    e = &test_lru[n];
    hit = e->weight != 0;

    if (hit) {
        test_lru_unlink(n);

    } else {
        e->weight = test_room(offsetof(ngx_sf_entry_t, data) + len)
                    + test_room(sizeof(ngx_sf_node_t) + 25);
        test_lru_bytes += e->weight;
    }

    e->prev = 0;
    e->next = test_lru[0].next;
    test_lru[e->next].prev = n;
    test_lru[0].next = n;

    while (test_lru_bytes > test_sh->arena_size) {
        last = test_lru[0].prev;
        test_lru_bytes -= test_lru[last].weight;
        test_lru[last].weight = 0;
        test_lru_unlink(last);
    }

    return hit;
}


/* --- streams --- */

static void
test_zipf_law(double s)
{
    double      sum;
    ngx_uint_t  i;

    for (i = 0, sum = 0; i < TEST_KEYS; i++) {
        sum += pow(i + 1, -s);
        test_law[i] = sum;
    }

    for (i = 0; i < TEST_KEYS; i++) {
        test_law[i] /= sum;
    }
}


static uint32_t
test_zipf(void)
{
    double    x;
    uint32_t  low, high, middle;

    x = test_random(0xffffffff) / 4294967295.0;
    low = 0;
    high = TEST_KEYS - 1;

    while (low < high) {
        middle = (low + high) / 2;

        if (test_law[middle] < x) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low;
}


/* 0.6 to 60 KB, of which there are as many below 6 KB as above */

static size_t
test_length(uint32_t n)
{
    return 600 * pow(100, (n * 2654435761U >> 8) / 16777216.0);
}


static void
test_stream(uint32_t owners, const char *who, double least)
{
    size_t      len;
    uint32_t    n;
    ngx_uint_t  i, hits, best;

    test_begin(TEST_SIZE);
    hits = 0;
    best = 0;

    for (i = 0; i < TEST_STREAM; i++) {
        n = test_zipf();
        len = test_length(n);

        best += test_lru_ask(n, len);
        hits += test_ask(n, len, 1 + test_random(owners));
    }

    unit_ok(hits >= best * least,
            "%s: %lu of %d by Zipf's law are hits, an LRU has %lu", who,
            (unsigned long) hits, TEST_STREAM, (unsigned long) best);
    test_is_sound(who);

    test_end();
}


/* keys that somebody asks for, each times times, while hot ones are, too */

typedef struct {
    const char       *name;
    ngx_uint_t        hot;              /* of an owner each, 3,000 bytes */
    ngx_uint_t        pace;             /* keys between two of these, 0: none */
    ngx_uint_t        n;                /* keys of the scan */
    size_t            len;
    ngx_uint_t        times;
    ngx_uint_t        stay;             /* of the hot ones, at least */
} test_scan_t;


static const test_scan_t  test_scans[] = {
    { "small ones, 120 hot ones each once a second",
      120, 130, 60000, 580, 1, 114 },
    { "small ones, 120 hot ones each once in ten seconds",
      120, 1300, 60000, 580, 1, 114 },
    { "large ones", 270, 0, 439, 217000, 1, 265 },
    { "large ones, twice", 270, 0, 439, 217000, 2, 265 },
    { "twice", 1200, 100, 10000, 3000, 2, 1180 },
    { "four times", 1200, 100, 10000, 3000, 4, 1180 },
    { NULL, 0, 0, 0, 0, 0, 0 }
};


static void
test_scan(const test_scan_t *scan)
{
    ngx_uint_t  i, k, asked, stay;

    test_begin(TEST_SIZE);
    asked = 0;

    for (i = 0; i < 2 * scan->hot; i++) {
        (void) test_ask(i % scan->hot, 3000, TEST_SHARED + i % scan->hot);
    }

    for (i = 0; i < scan->n; i++) {
        for (k = 0; k < scan->times; k++) {
            (void) test_ask(TEST_KEYS + i, scan->len, 1);
        }

        if (scan->pace && i % scan->pace == 0) {
            k = asked++ % scan->hot;
            (void) test_ask(k, 3000, TEST_SHARED + k);
        }
    }

    for (i = 0, stay = 0; i < scan->hot; i++) {
        stay += test_node(i) != NULL;
    }

    unit_ok(stay >= scan->stay, "a scan of %s: %lu of %lu stay", scan->name,
            (unsigned long) stay, (unsigned long) scan->hot);
    test_is_sound(scan->name);

    test_end();
}


static void
test_stream_small(ngx_uint_t n)
{
    while (n--) {
        (void) test_ask(test_zipf(), 1500, 1 + test_random(1000));
    }
}


/* what wants many pages, when small entries lie all over the arena */

static void
test_pages(uint32_t owners, ngx_uint_t times, ngx_uint_t most)
{
    size_t      before, gone;
    ngx_uint_t  i, k;

    test_begin(TEST_SIZE);
    test_stream_small(60000);
    before = test_sh->fifos[NGX_SF_MAIN].bytes;

    for (i = 0; i < 300; i++) {
        for (k = 0; k < times; k++) {
            (void) test_ask(TEST_KEYS + i, 217000,
                            TEST_SHARED + test_random(owners));
        }
    }

    gone = before - ngx_min(before, test_sh->fifos[NGX_SF_MAIN].bytes);

    unit_ok(gone * 100 <= before * most,
            "large ones, %lu times, of %lu owners, take %lu of main's %lu",
            (unsigned long) times, (unsigned long) owners,
            (unsigned long) gone, (unsigned long) before);
    test_is_sound("large ones");

    if (owners > 1) {
        test_end();
        return;
    }

    /* a minute later there is as much again */

    before = test_sh->fifos[NGX_SF_MAIN].bytes;
    ngx_current_msec += 59999;
    (void) test_ask(TEST_KEYS, 217000, TEST_SHARED);
    (void) test_ask(TEST_KEYS, 217000, TEST_SHARED);
    unit_ok(before == test_sh->fifos[NGX_SF_MAIN].bytes || times == 1,
            "and no more within a minute");
    ngx_current_msec += 1;
    (void) test_ask(TEST_KEYS, 217000, TEST_SHARED);
    unit_ok(before > test_sh->fifos[NGX_SF_MAIN].bytes,
            "after that the next one finds some");
    test_is_sound("a minute later");

    test_end();
}


/* a working set of small entries becomes one of large ones */

static void
test_shift(void)
{
    uint32_t    n;
    ngx_uint_t  i, hits;

    test_begin(TEST_SIZE);
    test_stream_small(60000);
    hits = 0;

    for (i = 0; i < 8000; i++) {
        n = test_random(100);
        hits += test_ask(TEST_KEYS + n, 50000, 1 + test_random(1000))
                && i >= 6000;
        test_stream_small(1);
    }

    unit_ok(hits > 1900, "large ones find their place: %lu hits of 2000",
            (unsigned long) hits);
    test_is_sound("large ones that are hot");

    test_end();
}


/* fills the zone with entries that nobody asks for again */

static void
test_flood(uint32_t first, ngx_uint_t n)
{
    while (n--) {
        (void) test_ask(first++, 1500, 7);
    }
}


static void
test_queues(void)
{
    ngx_uint_t      all;
    ngx_sf_node_t  *node;

    test_begin(NGX_SF_ZONE_MIN);
    all = test_sh->arena_size / 2048;

    (void) test_ask(1, 1500, 1);
    (void) test_ask(2, 1500, 1);
    (void) test_ask(2, 1500, 1);
    unit_ok(test_queue(1) == NGX_SF_SMALL && test_queue(2) == NGX_SF_SMALL
            && test_node(1)->freq == 0 && test_node(2)->freq == 1,
            "new ones are in the small queue, hits count");

    (void) test_ask(2, 1500, 1);
    (void) test_ask(2, 1500, 1);
    (void) test_ask(2, 1500, 1);
    unit_ok(test_node(2)->freq == 3, "up to three");

    test_flood(100, all);
    node = test_node(2);
    unit_ok(test_node(1) == NULL && node
            && node->value->queue == NGX_SF_MAIN && node->freq == 0,
            "what was asked for again goes on to main, the other goes");
    test_is_sound("a full zone");

    (void) test_ask(1, 1500, 1);
    unit_ok(test_queue(1) == NGX_SF_SMALL,
            "one that comes back too late begins anew");

    (void) test_ask(3, 1500, 1);
    (void) test_ask(4, 1500, 1);
    test_flood(10000, all);
    unit_ok(test_node(3) == NULL && test_node(4) == NULL, "others go");
    test_sh->fifos[NGX_SF_MAIN].n += 10000;
    (void) test_ask(3, 1500, 1);
    test_sh->fifos[NGX_SF_MAIN].n -= 10000;
    unit_ok(test_queue(3) == NGX_SF_MAIN
            && test_zone->slot->stats.returned == 1,
            "one that comes back in time is in main at once");
    (void) test_ask(4, 1500, 1);
    unit_ok(test_queue(4) == NGX_SF_SMALL, "which main's size decides");
    test_is_sound("ghosts");

    test_end();
}


static void
test_owners(void)
{
    size_t      share;
    ngx_uint_t  i, main, all;

    test_begin(NGX_SF_ZONE_MIN);
    all = test_sh->arena_size / 2048;

    for (i = 0; i < 2 * all; i++) {
        (void) test_ask(i, 1500, 5);
        (void) test_ask(i, 1500, 5);
    }

    share = test_sh->shares[5];
    unit_ok(share > test_sh->arena_size / 8
            && share < test_sh->arena_size / 8 + 4096
            && share == test_sh->fifos[NGX_SF_MAIN].bytes,
            "an owner has an eighth of the arena in main");

    /* asked for by another one, they are nobody's */

    for (i = 0, main = 0; i < 2 * all; i++) {
        if (test_queue(i) == NGX_SF_MAIN) {
            main++;
            (void) test_ask(i, 1500, 6);
        }
    }

    unit_ok(main > 100 && test_sh->shares[5] == 0 && test_sh->shares[6] == 0
            && test_sh->fifos[NGX_SF_MAIN].bytes == share,
            "what two have asked for counts for neither");
    test_is_sound("common entries");

    for (i = 0; i < all; i++) {
        (void) test_ask(100000 + i, 1500, 5);
        (void) test_ask(100000 + i, 1500, 5);
    }

    unit_ok(test_sh->shares[5] > test_sh->arena_size / 8,
            "and the owner has its share again");
    test_is_sound("again");

    test_end();
}


/* main is all that there is: claims still find room */

static void
test_claims(void)
{
    void           *p;
    size_t          size;
    ngx_uint_t      i;
    ngx_queue_t    *q;
    ngx_sf_need_t   need;
    ngx_sf_fifo_t  *small;
    ngx_sf_node_t  *node;

    static void    *taken[NGX_SF_ZONE_MIN / sizeof(void *)];

    test_begin(NGX_SF_ZONE_MIN);
    small = &test_sh->fifos[NGX_SF_SMALL];

    for (i = 0; i < 20000 && test_zone->slot->stats.evictions == 0; i++) {
        (void) test_ask(i, 100, 1 + i);
    }

    for (i = 0; i < 20000 && small->n; i++) {
        q = ngx_queue_head(&small->nodes);
        node = ngx_queue_data(q, ngx_sf_node_t, fifo);
        node->freq = 1;

        ngx_memzero(&need, sizeof(ngx_sf_need_t));
        need.what = NGX_SF_ADMIT_CLAIM;
        need.steps = 63;
        (void) ngx_sf_admit_victim(test_zone, &need);
    }

    unit_ok(small->bytes == 0 && test_sh->fifos[NGX_SF_MAIN].n > 1000,
            "all of %lu entries are in main",
            (unsigned long) test_sh->fifos[NGX_SF_MAIN].n);

    /* whatever is left is taken */

    for (size = ngx_pagesize, i = 0; size >= sizeof(void *); size /= 2) {
        while ((p = ngx_slab_alloc_locked(test_sh->arena, size)) != NULL) {
            taken[i++] = p;
        }
    }

    (void) test_ask(TEST_KEYS, 100, 1);
    unit_ok(test_node(TEST_KEYS) != NULL, "a claim finds room all the same");

    while (i) {
        ngx_slab_free_locked(test_sh->arena, taken[--i]);
    }

    test_is_sound("main alone");

    test_end();
}


/*
 * Entries that are made in one second, each asked for every 10 seconds: the
 * most that is made anew in a second, when they expire for the first and the
 * second time.  If all did at their ttl, it would be a tenth of them.
 */

static void
test_expiry(void)
{
    uint32_t    n, keys;
    ngx_uint_t  second, misses, peaks[2];

    test_begin(64 * 1024 * 1024);
    keys = 40000;
    peaks[0] = 0;
    peaks[1] = 0;

    for (n = 0; n < keys; n++) {
        (void) test_ask(n, 100, 1);
    }

    for (second = 1; second < 660; second++) {
        test_fresh.now += 1000;
        test_fresh.source->confirmed = test_fresh.now;
        misses = 0;

        for (n = second % 10; n < keys; n += 10) {
            misses += !test_ask(n, 100, 1);
        }

        peaks[second > 400] = ngx_max(peaks[second > 400], misses);
    }

    unit_ok(peaks[0] > 1000 && peaks[0] < 1500 && peaks[1] > 1000
            && peaks[1] < 1500 && test_zone->slot->stats.evictions == 0,
            "%u entries of one second: at most %lu of them a second are made "
            "anew, then %lu", keys, (unsigned long) peaks[0],
            (unsigned long) peaks[1]);

    test_end();
}


int
main(void)
{
    const test_scan_t  *scan;

    unit_init();
    test_zipf_law(0.9);

    test_queues();
    test_owners();
    test_claims();

    test_stream(10000, "many owners", 1);
    test_stream(1, "one owner", 0.95);

    for (scan = test_scans; scan->name; scan++) {
        test_scan(scan);
    }

    test_pages(1000, 1, 0);
    test_pages(1, 1, 0);
    test_pages(1, 2, 25);
    test_shift();
    test_expiry();

    return unit_done();
}

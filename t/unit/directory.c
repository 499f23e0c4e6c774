
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The directory of tables and keys: their numbers, what is covered, and what
 * workers of different configurations see of each other's.
 *
 *     unit-with: -It/tools t/tools/workers.c
 */


#include "workers.h"
#include "unit.h"


static ngx_shm_zone_t   *test_shm;
static ngx_sf_zone_t    *test_old;      /* of the configuration before */
static ngx_sf_zone_t    *test_new;
static ngx_sf_source_t  *test_source;


static ngx_uint_t
test_find(ngx_sf_zone_t *zone, const char *table, const char *key)
{
    ngx_str_t  t, k;

    t = unit_str(table, strlen(table));
    k = unit_str(key, strlen(key));

    return ngx_sf_directory_find(zone, &t, &k);
}


static ngx_sf_cover_t
test_make(ngx_sf_zone_t *zone, const char *text)
{
    ngx_sf_tags_t   tags;
    ngx_sf_cover_t  cover;

    if (ngx_sf_tags_compile(text, &tags) != NULL) {
        printf("Bail out! %s does not compile\n", text);
        exit(2);
    }

    ngx_sf_cover_make(zone, &tags, &cover);

    return cover;
}


/* what one configuration lacks, as text */

static void
test_lacks(ngx_sf_zone_t *zone, const char *want, const char *name)
{
    u_char        buf[512], *p;
    ngx_str_t     got, names[NGX_SF_NAMES];
    ngx_uint_t    i, n, count;
    ngx_sf_set_t  set;

    p = buf;
    count = ngx_sf_zone_uncovered(zone, test_source, &set);
    n = ngx_sf_directory_list(zone, &set, names);

    for (i = 0; i < n; i++) {
        p = ngx_sprintf(p, "%s%V", i ? " " : "", &names[i]);
    }

    got.data = buf;
    got.len = p - buf;

    unit_is(&got, want, "%s", name);
    unit_ok(count == n, "%s: as many as there are names", name);
}


static void
test_numbers(void)
{
    ngx_uint_t      users, id;
    ngx_sf_cover_t  cover;

    unit_ok(test_find(test_old, "users", "") == NGX_SF_NAMES,
            "nothing is there at first");

    cover = test_make(test_old, "users.id=$id");
    users = test_find(test_old, "users", "");
    id = test_find(test_old, "users", "id");

    unit_ok(users != NGX_SF_NAMES && id != NGX_SF_NAMES && users != id,
            "a key comes with its table");
    unit_ok(cover.n == 1 && cover.words[0].mask == (uint64_t) 1 << id,
            "it is the key that has to be told");
    unit_ok(test_find(test_old, "users.id=", "") == NGX_SF_NAMES,
            "a key is no table");
    unit_ok(test_find(test_old, "user", "s.id") == NGX_SF_NAMES,
            "a name is compared as a whole");
    unit_ok(test_find(test_old, "", "") == NGX_SF_NAMES, "nor is nothing");

    (void) test_make(test_new, "orders users.id=$user public.users");

    unit_ok(test_find(test_new, "users", "") == users
            && test_find(test_new, "users", "id") == id,
            "another configuration has the same numbers");
    unit_ok(test_find(test_old, "orders", "") != users,
            "and others for others");
    unit_ok(test_find(test_old, "public.users", "") != users,
            "with a schema it is another name");
}


/* coverage is positive, and by name */

static void
test_covered(void)
{
    ngx_sf_cover_t  users, orders, both, unknown, none;

    users = test_make(test_old, "users.id=$id");
    orders = test_make(test_new, "orders.id=$id");
    both = test_make(test_new, "users orders.id=$id");
    unknown = test_make(test_new, "users");
    none = test_make(test_new, "");
    test_make(test_new, "orders");

    unit_ok(!ngx_sf_cover_holds(&users, test_source), "nothing is covered");
    unit_ok(ngx_sf_cover_holds(&none, test_source),
            "what reads no table needs nothing");
    test_lacks(test_old, "users", "a table for its keys");
    test_lacks(test_new, "orders public.users users", "in their order");

    workers_covered(test_source, &users, 1);
    workers_covered(test_source, &unknown, 1);
    unit_ok(ngx_sf_cover_holds(&users, test_source), "a table is covered");
    unit_ok(!ngx_sf_cover_holds(&orders, test_source)
            && !ngx_sf_cover_holds(&both, test_source),
            "which nobody has looked at is not");
    test_lacks(test_old, "", "the old configuration lacks nothing");
    test_lacks(test_new, "orders public.users", "the new one does");

    /* the triggers of a table tell no key */

    both = test_make(test_new, "orders public.users");
    workers_covered(test_source, &both, 1);
    unit_ok(!ngx_sf_cover_holds(&orders, test_source),
            "a table without the key does not cover it");
    test_lacks(test_new, "orders.id=", "the key is named");

    workers_covered(test_source, &orders, 1);
    unit_ok(ngx_sf_cover_holds(&orders, test_source), "with it, it does");
    test_lacks(test_new, "", "and nothing is lacking");
}


static void
test_unknown(void)
{
    ngx_sf_tags_t   tags;
    ngx_sf_cover_t  cover;

    unit_ok(ngx_sf_tags_compile(NULL, &tags) == NULL && tags.unknown,
            "tags may be unknown");

    ngx_sf_cover_make(test_new, &tags, &cover);
    ngx_memset((void *) test_source->covered, 0xff,
               NGX_SF_NAME_WORDS * sizeof(ngx_atomic_t));

    unit_ok(!ngx_sf_cover_holds(&cover, test_source),
            "then nothing covers them");

    ngx_memzero((void *) test_source->covered, sizeof(test_source->covered));
}


static void
test_full(void)
{
    char            text[64];
    ngx_uint_t      i, n;
    ngx_sf_cover_t  cover, last;

    last = test_make(test_new, "users");
    n = test_new->sh->directory.n;

    for (i = n; i < NGX_SF_NAMES; i++) {
        (void) sprintf(text, "t%lu", (unsigned long) i);
        last = test_make(test_new, text);
    }

    unit_ok(last.n == 1 && last.words[0].word == NGX_SF_NAME_WORDS - 1
            && last.words[0].mask == (uint64_t) 1 << 63,
            "there is room for so many");
    (void) workers_logged(NGX_LOG_WARN);

    cover = test_make(test_new, "one_more.id=$id users");
    unit_ok(test_new->sh->directory.n == NGX_SF_NAMES, "and for no more");
    unit_ok(workers_logged(NGX_LOG_WARN) == 1, "that is logged");
    (void) test_make(test_old, "another");
    unit_ok(workers_logged(NGX_LOG_WARN) == 0, "once");

    ngx_memset((void *) test_source->covered, 0xff,
               NGX_SF_NAME_WORDS * sizeof(ngx_atomic_t));
    unit_ok(!ngx_sf_cover_holds(&cover, test_source),
            "which has no number is not covered");
    unit_ok(test_find(test_new, "users", "id") != NGX_SF_NAMES,
            "who had one keeps it");
    unit_ok(ngx_sf_cover_holds(&last, test_source), "and is covered");
}


int
main(void)
{
    u_char  identity[16];

    unit_init();

    test_shm = workers_zone(NGX_SF_ZONE_MIN);
    test_old = workers_start(test_shm, workers_spawn());
    test_new = workers_start(test_shm, ngx_getpid());

    ngx_memset(identity, 1, sizeof(identity));
    test_source = ngx_sf_zone_source(test_new, identity);

    test_numbers();
    test_covered();
    test_unknown();
    test_full();

    workers_zone_free(test_shm);

    return unit_done();
}

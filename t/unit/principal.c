
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Copies of principals: whose are kept, and what ends one.
 *
 *     unit-with: -It/tools t/tools/workers.c
 */


#include "workers.h"
#include "ngx_sf_http.h"
#include "unit.h"


#define TEST_NOW    1000000            /* ms */
#define TEST_TTL    300000
#define TEST_TAGS   "users.id=$user subscriptions.user_id=$user"
#define TEST_KEPT   10000
#define TEST_MANY   20000              /* more than there are places */


static ngx_sf_zone_t        *test_zone;
static ngx_sf_source_t      *test_sources[2];
static ngx_sf_resource_t     test_resource;
static ngx_sf_cover_t        test_cover;
static ngx_sf_loc_conf_t     test_location, test_other;
static ngx_sf_main_conf_t    test_smcf;
static ngx_sf_worker_t       test_worker;
static ngx_sf_entry_t        test_entry;


static void
test_begin(void)
{
    u_char      identity[16];
    ngx_uint_t  i;

    test_zone = workers_start(workers_zone(NGX_SF_ZONE_MIN), ngx_pid);

    for (i = 0; i < 2; i++) {
        ngx_memset(identity, i + 1, sizeof(identity));
        test_sources[i] = ngx_sf_zone_source(test_zone, identity);
    }

    (void) ngx_sf_tags_compile(TEST_TAGS, &test_resource.tags);
    ngx_sf_cover_make(test_zone, &test_resource.tags, &test_cover);
    test_zone->covers = &test_cover;
    test_resource.kind = NGX_SF_RESOURCE_PRINCIPAL;

    test_smcf.lease = 2000;
    test_location.zone = test_zone;
    test_other.zone = test_zone;
    test_other.origin = 1;

    test_worker.smcf = &test_smcf;
    test_worker.sources = test_sources;
    test_worker.principals =
                       ngx_sf_principals_create((ngx_cycle_t *) ngx_cycle);
}


static ngx_sf_lookup_t
test_lookup(ngx_sf_loc_conf_t *slcf, int64_t user)
{
    ngx_sf_lookup_t  lookup;

    ngx_memzero(&lookup, sizeof(ngx_sf_lookup_t));

    lookup.resource = &test_resource;
    lookup.slcf = slcf;
    lookup.user = user;

    return lookup;
}


/* a user of whom the zone has told just now, by an entry of that age */

static void
test_keep(int64_t user, ngx_msec_t age)
{
    ngx_uint_t          i;
    ngx_sf_found_t      found;
    ngx_sf_lookup_t     lookup;
    ngx_sf_principal_t  principal;

    for (i = 0; i < 2; i++) {
        test_sources[i]->confirmed = ngx_current_msec;
        workers_covered(test_sources[i], &test_cover, 1);
    }

    lookup = test_lookup(&test_location, user);
    ngx_sf_stamp_read(test_zone, test_sources[0] - test_zone->sh->sources,
                      &test_resource.tags, user, 0, &test_entry.stamp);
    test_entry.created = ngx_current_msec - age;

    ngx_memzero(&found, sizeof(ngx_sf_found_t));
    found.value = &test_entry;
    found.status = NGX_SF_CACHE_HIT;

    principal.id = user;
    principal.products = user << 1 | 1;

    ngx_sf_principal_keep(&test_worker, &lookup, &found, &principal);
}


static ngx_uint_t
test_found(ngx_sf_loc_conf_t *slcf, int64_t user, ngx_uint_t bypass)
{
    ngx_sf_lookup_t     lookup;
    ngx_sf_principal_t  principal;

    lookup = test_lookup(slcf, user);
    lookup.bypass = bypass;

    return ngx_sf_principal_find(&test_worker, &lookup, &principal) == NGX_OK
           && principal.id == user
           && principal.products == ((uint64_t) user << 1 | 1);
}


static ngx_uint_t
test_there(int64_t user)
{
    return test_found(&test_location, user, 0);
}


static void
test_whose(void)
{
    unit_ok(!test_there(7), "nobody is known at first");
    unit_ok(!test_there(0), "nor is nobody");

    test_keep(7, 0);
    unit_ok(test_there(7), "one that was found");
    unit_ok(!test_there(8), "and no other");
    unit_ok(!test_found(&test_other, 7, 0),
            "nor that user in another database");
    unit_ok(!test_found(&test_location, 7, 1),
            "not for a user that has written");
    unit_ok(test_there(7), "it is still known");

    test_location.zone = NULL;
    unit_ok(!test_there(7), "without a zone nobody is");
    test_location.zone = test_zone;

    test_entry.incoherent = 1;
    test_keep(9, 0);
    unit_ok(!test_there(9), "none that was read elsewhere");
    test_entry.incoherent = 0;

    test_entry.deadline = TEST_NOW + TEST_TTL;
    test_keep(9, 0);
    unit_ok(!test_there(9), "none that has an end");
    test_entry.deadline = 0;
}


static void
test_move(const char *payload)
{
    (void) ngx_sf_tags_move(test_zone,
                            test_sources[0] - test_zone->sh->sources,
                            (u_char *) payload, strlen(payload));
}


static void
test_until(void)
{
    ngx_uint_t  i;

    static const char  *changes[] = {
        "users id=7", "users id=*", "subscriptions user_id=7", "users ?"
    };

    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        test_keep(7, 0);
        unit_ok(test_there(7), "before %s", changes[i]);
        test_move(changes[i]);
        unit_ok(!test_there(7), "not after %s", changes[i]);
    }

    test_keep(7, 0);
    test_move("users id=8");
    test_move("campaigns id=7");
    unit_ok(test_there(7), "changes of others are none");

    ngx_sf_tags_move_all(test_zone,
                         test_sources[0] - test_zone->sh->sources);
    unit_ok(!test_there(7), "everything has changed");

    test_keep(7, 0);
    ngx_current_msec += TEST_KEPT - 1;
    test_sources[0]->confirmed = ngx_current_msec;
    unit_ok(test_there(7), "for some seconds");
    ngx_current_msec++;
    unit_ok(!test_there(7), "then the zone is asked");

    test_keep(7, 0);
    ngx_current_msec += test_smcf.lease;
    unit_ok(test_there(7), "to the end of the lease");
    ngx_current_msec++;
    unit_ok(!test_there(7), "not beyond it");

    test_keep(7, 0);
    workers_covered(test_sources[0], &test_cover, 0);
    unit_ok(!test_there(7), "not without triggers");

    test_keep(7, TEST_TTL - TEST_TTL / 8 - 1);
    unit_ok(test_there(7), "most of its ttl");
    test_keep(7, TEST_TTL - TEST_TTL / 8);
    unit_ok(!test_there(7), "the rest is the zone's to judge");
}


static void
test_room(void)
{
    int64_t     user;
    ngx_uint_t  latest, kept;

    latest = 0;
    kept = 0;

    for (user = 1; user <= TEST_MANY; user++) {
        test_keep(user, 0);
        latest += test_there(user);
    }

    for (user = 1; user <= TEST_MANY; user++) {
        kept += test_there(user);
    }

    unit_ok(latest == TEST_MANY, "the latest always has a place");
    unit_ok(kept > 3000 && kept <= 4096, "%u have one", (unsigned) kept);
}


int
main(void)
{
    unit_init();

    ngx_current_msec = TEST_NOW;

    test_begin();
    test_whose();
    test_until();
    test_room();

    return unit_done();
}

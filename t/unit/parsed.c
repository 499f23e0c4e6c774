
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Parsed requests: which are kept, for how long, and which make room.
 *
 *     unit-with: -It/tools t/tools/endpoints.c
 */


#include "endpoints.h"
#include "ngx_sf_shm.h"
#include "unit.h"


#define TEST_MANY     20000         /* ten times what the table holds */
#define TEST_PLACES   2048
#define TEST_MAX_LEN  512           /* of path and query string */
#define TEST_LIST     "/api/review/campaigns"
#define TEST_DATES    "/api/sns/analytics"


static endpoints_t             test_e;
static ngx_sf_parsed_table_t  *test_table;
static ngx_sf_loc_conf_t       test_location;
static ngx_sf_zone_t           test_zone;
static ngx_sf_source_t        *test_source;


static void
test_begin(void)
{
    test_zone.sh = ngx_pcalloc(unit_pool, sizeof(ngx_sf_zone_sh_t));
    test_zone.seed = 0x9e3779b97f4a7c15;
    test_source = &test_zone.sh->sources[0];
    test_location.zone = &test_zone;
    test_e.worker.sources = &test_source;
    test_table = ngx_sf_parsed_table_create((ngx_cycle_t *) ngx_cycle);
}


/* a request as it stands when its parameters have been read */

static void
test_keep(const char *name, const char *uri, const char *query,
    ngx_uint_t status)
{
    ngx_sf_ctx_t        ctx;
    ngx_http_request_t  r;

    ngx_memzero(&ctx, sizeof(ngx_sf_ctx_t));
    ngx_memzero(&r, sizeof(ngx_http_request_t));

    r.pool = ngx_create_pool(1024, &unit_log);
    r.uri.data = (u_char *) uri;
    r.uri.len = strlen(uri);
    r.args.data = (u_char *) query;
    r.args.len = strlen(query);

    ctx.request = &r;
    ctx.slcf = &test_location;
    ctx.worker = &test_e.worker;
    ctx.endpoint = endpoints_find(&test_e, name);
    ctx.match.endpoint = ctx.endpoint;
    ctx.endpoint->response->cached = 1;

    if (ngx_sf_params_read(r.pool, ctx.endpoint->row->params, ctx.match.path,
                           &r.args, &test_e.env, &ctx.params)
        != NGX_OK)
    {
        unit_ok(0, "%s?%s is read", uri, query);
    }

    ctx.params.status = status;
    ngx_sf_parsed_keep(test_table, &ctx);

    ngx_destroy_pool(r.pool);
}


static ngx_uint_t
test_kept(const char *uri, const char *query)
{
    ngx_str_t         path, args;
    ngx_sf_parsed_t  *parsed;

    path.data = (u_char *) uri;
    path.len = strlen(uri);
    args.data = (u_char *) query;
    args.len = strlen(query);

    parsed = ngx_sf_parsed_find(test_table, &test_location, &path, &args);

    if (parsed == NULL) {
        return 0;
    }

    ngx_sf_parsed_release(parsed);

    return 1;
}


static void
test_which(void)
{
    test_keep("review_campaigns", TEST_LIST, "page=2", 0);

    unit_ok(test_kept(TEST_LIST, "page=2"), "a request is kept");
    unit_ok(!test_kept(TEST_LIST, "page=3"), "another one is not it");
    unit_ok(!test_kept(TEST_LIST "x", "page=2"), "nor is another path");

    test_keep("review_campaigns", TEST_LIST, "page=4", 404);
    unit_ok(!test_kept(TEST_LIST, "page=4"), "one with an error is not kept");

    /* what "30 days ago" means is another day tomorrow */

    test_keep("sns_analytics", TEST_DATES, "", 0);
    unit_ok(!test_kept(TEST_DATES, ""), "one with dates is not kept");

    test_keep("sns_analytics", TEST_DATES, "end_date=2024-01-31", 0);
    unit_ok(!test_kept(TEST_DATES, "end_date=2024-01-31"),
            "even if they are given");
}


static const char *
test_long(size_t len, ngx_uint_t n)
{
    char  *query;

    query = ngx_pcalloc(unit_pool, len + 1);
    ngx_memset(query, 'x', len);
    ngx_sprintf((u_char *) query, "y=%08ui&", n);
    query[strlen(query)] = len > strlen(query) ? 'x' : '\0';

    return query;
}


/* the longest is kept; a longer one takes no place from others either */

static void
test_length(void)
{
    size_t       len;
    ngx_uint_t   i;
    const char  *query;

    len = TEST_MAX_LEN - strlen(TEST_LIST);

    query = test_long(len, 0);
    test_keep("review_campaigns", TEST_LIST, query, 0);
    unit_ok(test_kept(TEST_LIST, query), "the longest is kept");

    query = test_long(len + 1, 1);
    test_keep("review_campaigns", TEST_LIST, query, 0);
    unit_ok(!test_kept(TEST_LIST, query), "one that is longer is not");

    test_keep("review_campaigns", TEST_LIST, "page=7", 0);

    for (i = 2; i < TEST_MANY / 2; i++) {
        test_keep("review_campaigns", TEST_LIST, test_long(len + 1, i), 0);
    }

    unit_ok(test_kept(TEST_LIST, "page=7"), "many of these move nobody out");
}


/* one that is in use stays, whatever comes; the others make room */

static void
test_room(void)
{
    char        query[64];
    ngx_uint_t  i, fresh, stayed, left;

    fresh = 0;
    stayed = 0;
    left = 0;

    test_keep("review_campaigns", TEST_LIST, "page=5", 0);

    for (i = 0; i < TEST_MANY; i++) {
        snprintf(query, sizeof(query), "v=%u", (unsigned) i);
        test_keep("review_campaigns", TEST_LIST, query, 0);

        fresh += test_kept(TEST_LIST, query);
        stayed += test_kept(TEST_LIST, "page=5");
    }

    for (i = 0; i < TEST_MANY; i++) {
        snprintf(query, sizeof(query), "v=%u", (unsigned) i);
        left += test_kept(TEST_LIST, query);
    }

    unit_ok(fresh == TEST_MANY, "the latest is always kept");
    unit_ok(stayed == TEST_MANY, "one in use stays: %u of %u",
            (unsigned) stayed, (unsigned) TEST_MANY);
    unit_ok(left <= TEST_PLACES && left > TEST_PLACES / 2,
            "no more than there are places: %u", (unsigned) left);
}


/* a request that has it, when another one takes its place */

static void
test_held(void)
{
    char              query[64];
    ngx_str_t         path, args;
    ngx_uint_t        i;
    ngx_sf_parsed_t  *parsed;

    ngx_str_set(&path, TEST_LIST);
    ngx_str_set(&args, "page=6");

    test_keep("review_campaigns", TEST_LIST, "page=6", 0);
    parsed = ngx_sf_parsed_find(test_table, &test_location, &path, &args);

    if (!unit_ok(parsed != NULL, "it is held")) {
        return;
    }

    for (i = 0; i < TEST_MANY; i++) {
        snprintf(query, sizeof(query), "w=%u", (unsigned) i);
        test_keep("review_campaigns", TEST_LIST, query, 0);
    }

    unit_ok(!test_kept(TEST_LIST, "page=6"), "it has made room");
    unit_is(&parsed->args, "page=6", "and is there for what holds it");

    ngx_sf_parsed_release(parsed);
}


int
main(void)
{
    unit_init();
    endpoints_compile(&test_e, unit_pool);
    test_e.env.now = 1709164800;        /* 2024-02-29 */

    test_begin();
    test_which();
    test_length();
    test_room();
    test_held();

    ngx_sf_parsed_table_destroy(test_table);

    return unit_done();
}

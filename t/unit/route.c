
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Routes: every endpoint of conf/api, the forms of names in paths, endpoints
 * that are not served.
 *
 *     unit-with: -It/tools t/tools/endpoints.c
 */


#include "endpoints.h"
#include "unit.h"


#define TEST_METHODS  7


typedef struct {
    const char  *path;
    const char  *name;          /* of GET's endpoint, NULL: not known here */
    const char  *id;
} test_path_t;


static const test_path_t  test_paths[] = {

    { "/api/review/campaigns", "review_campaigns", NULL },
    { "/api/review/campaigns/", NULL, NULL },
    { "/api/review/campaigns?page=1", NULL, NULL },
    { "/API/review/campaigns", NULL, NULL },
    { "/api/review/campaign", NULL, NULL },
    { "/api/review/campaignsx", NULL, NULL },
    { "//api/review/campaigns", NULL, NULL },
    { "api/review/campaigns", NULL, NULL },
    { "/", NULL, NULL },
    { "", NULL, NULL },

    /* $id: digits and nothing else, however many */

    { "/api/review/campaigns/1", "review_campaign", "1" },
    { "/api/review/campaigns/0", "review_campaign", "0" },
    { "/api/review/campaigns/007", "review_campaign", "007" },
    { "/api/review/campaigns/99999999999999999999999", "review_campaign",
      "99999999999999999999999" },
    { "/api/review/campaigns/-1", NULL, NULL },
    { "/api/review/campaigns/+1", NULL, NULL },
    { "/api/review/campaigns/1x", NULL, NULL },
    { "/api/review/campaigns/x1", NULL, NULL },
    { "/api/review/campaigns/1.0", NULL, NULL },
    { "/api/review/campaigns/1/", NULL, NULL },
    { "/api/review/campaigns//1", NULL, NULL },
    { "/api/review/campaigns/ 1", NULL, NULL },
    { "/api/review/campaigns/1 ", NULL, NULL },
    { "/api/review/campaigns/$id", NULL, NULL },
    { "/api/review/campaigns/\xd9\xa1", NULL, NULL },
    { "/api/review/campaigns/:", NULL, NULL },
    { "/api/review/campaigns//", NULL, NULL },

    { "/api/review/campaigns/12/applications",
      "review_campaign_applications", "12" },
    { "/api/review/campaigns/12/applications/", NULL, NULL },
    { "/api/review/campaigns/12/application", NULL, NULL },
    { "/api/review/campaigns/12/applicationsx", NULL, NULL },
    { "/api/review/campaigns//applications", NULL, NULL },
    { "/api/review/campaigns/x/applications", NULL, NULL },
    { "/api/review/campaigns/12x/applications", NULL, NULL },
    { "/api/review/campaigns/applications", NULL, NULL },

    { "/api/review/listings/12", "review_listing", "12" },
    { "/api/review/listings/search", "review_listings_search", NULL },
    { "/api/review/listings/searching", NULL, NULL },
    { "/api/review/listings/12/bookmark", NULL, NULL },

    { "/health", "health", NULL },
    { "/api/health", "api_health", NULL },
    { "/ready", "ready", NULL },

    { NULL, NULL, NULL }
};


static const ngx_uint_t  test_methods[TEST_METHODS] = {
    NGX_HTTP_GET, NGX_HTTP_HEAD, NGX_HTTP_POST, NGX_HTTP_PUT,
    NGX_HTTP_DELETE, NGX_HTTP_OPTIONS, NGX_HTTP_PATCH
};


static endpoints_t  test_e;
static u_char       test_all[256];


/* the path stands in a block of its own size */

static ngx_int_t
test_find(const u_char *enabled, const char *path, ngx_uint_t method,
    ngx_sf_match_t *match)
{
    ngx_str_t  text;

    text = unit_str(path, strlen(path));

    return ngx_sf_route_find(test_e.smcf->routes, enabled, &text, method,
                             match);
}


static void
test_table(void)
{
    ngx_int_t           rc;
    ngx_uint_t          good;
    ngx_sf_match_t      match;
    const test_path_t  *p;

    for (p = test_paths; p->path; p++) {
        rc = test_find(test_all, p->path, NGX_HTTP_GET, &match);

        if (p->name == NULL) {
            unit_ok(rc == NGX_DECLINED, "\"%s\" is not known", p->path);
            continue;
        }

        good = rc == NGX_OK && match.endpoint
               && strcmp(match.endpoint->row->name, p->name) == 0
               && (p->id == NULL
                   || (match.path[0].len == strlen(p->id)
                       && ngx_memcmp(match.path[0].data, p->id,
                                     match.path[0].len)
                          == 0));

        unit_ok(good, "\"%s\" is %s", p->path, p->name);
    }
}


/* the path of a row with digits in place of $id */

static void
test_path(char *out, const ngx_sf_row_t *row, const char *digits)
{
    const char  *id;

    id = strstr(row->path, "$id");

    if (id == NULL) {
        (void) sprintf(out, "%s", row->path);
        return;
    }

    (void) sprintf(out, "%.*s%s%s", (int) (id - row->path), row->path, digits,
                   id + 3);
}


/* each method finds its row, and the other methods of the path are told */

static void
test_row(ngx_sf_endpoint_t *endpoint)
{
    char                 path[256];
    ngx_int_t            rc;
    ngx_uint_t           i, good, native, app;
    ngx_sf_match_t       match;
    ngx_sf_endpoint_t   *other;
    const ngx_sf_row_t  *row;

    row = endpoint->row;
    native = 0;
    app = 0;

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        other = &test_e.smcf->endpoints[i];

        if (strcmp(other->row->path, row->path) == 0) {
            native |= other->row->method;
            app |= other->row->app_methods;
        }
    }

    test_path(path, row, "42");

    for (i = 0; i < TEST_METHODS; i++) {
        rc = test_find(test_all, path, test_methods[i], &match);

        good = rc == NGX_OK && match.native == native && match.app == app;

        if (test_methods[i] == row->method) {
            good = good && match.endpoint == endpoint;

        } else if (!(test_methods[i] & native)) {
            good = good && match.endpoint == NULL;
        }

        unit_ok(good, "%s: %s, method %lx", row->name, path,
                (unsigned long) test_methods[i]);
    }

    if (strstr(row->path, "$id") == NULL) {
        unit_ok(match.path[0].len == 0, "%s has no id", row->name);
        return;
    }

    unit_ok(match.path[0].len == 2
            && ngx_memcmp(match.path[0].data, "42", 2) == 0,
            "%s has its id", row->name);
}


/* a path is known while one of its endpoints is on */

static void
test_disabled(ngx_sf_endpoint_t *endpoint)
{
    char             path[256];
    u_char           enabled[256];
    ngx_int_t        rc;
    ngx_uint_t       i, others;
    ngx_sf_match_t   match;

    test_path(path, endpoint->row, "42");
    ngx_memset(enabled, 1, sizeof(enabled));
    enabled[endpoint->index] = 0;

    others = 0;

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        if (i != endpoint->index
            && strcmp(test_e.smcf->endpoints[i].row->path,
                      endpoint->row->path) == 0)
        {
            others = 1;
        }
    }

    rc = test_find(enabled, path, endpoint->row->method, &match);

    unit_ok(match.endpoint == NULL
            && !(match.native & endpoint->row->method)
            && rc == (others ? NGX_OK : NGX_DECLINED),
            "%s is off", endpoint->row->name);

    ngx_memzero(enabled, sizeof(enabled));
    enabled[endpoint->index] = 1;

    rc = test_find(enabled, path, endpoint->row->method, &match);

    unit_ok(rc == NGX_OK && match.endpoint == endpoint
            && match.native == endpoint->row->method,
            "%s alone is on", endpoint->row->name);

    enabled[endpoint->index] = 0;

    rc = test_find(enabled, path, endpoint->row->method, &match);

    unit_ok(rc == NGX_DECLINED, "%s, all are off", endpoint->row->name);
}


/* parameters whose values come from the path */

#define TEST_NAME(n, t, place)                                                \
    { .name = n, .type = NGX_SF_PARAM_##t, .path = place }
#define TEST_END                                                              \
    { .name = NULL, .type = NGX_SF_PARAM_END }

static const ngx_sf_param_t  test_none[] = { TEST_END };

static const ngx_sf_param_t  test_id[] = { TEST_NAME("id", ID, 1), TEST_END };

static const ngx_sf_param_t  test_uuid[] = {
    TEST_NAME("key", UUID, 1), TEST_END
};

static const ngx_sf_param_t  test_text[] = {
    TEST_NAME("slug", TEXT, 1), TEST_END
};

static const ngx_sf_param_t  test_int[] = {
    TEST_NAME("n", INT, 1), TEST_END
};

static const ngx_sf_param_t  test_two[] = {
    TEST_NAME("page", TEXT, 2), TEST_NAME("id", ID, 1), TEST_END
};


/*
 * Rows of the test: several methods of a path, a prefix of another, names of
 * different types in one place, a path that two locations serve each in a way
 * of its own.
 */

static const ngx_sf_row_t  test_rows[] = {
    { .name = "list", .path = "/a", .method = NGX_HTTP_GET,
      .params = test_none },
    { .name = "make", .path = "/a", .method = NGX_HTTP_POST,
      .app_methods = NGX_HTTP_PUT, .params = test_none },
    { .name = "item", .path = "/a/$id", .method = NGX_HTTP_GET,
      .app_methods = NGX_HTTP_PATCH, .params = test_id },
    { .name = "change", .path = "/a/$id", .method = NGX_HTTP_PUT,
      .params = test_id },
    { .name = "part", .path = "/a/$id/b", .method = NGX_HTTP_GET,
      .params = test_id },
    { .name = "drop", .path = "/a/$id/b", .method = NGX_HTTP_DELETE,
      .params = test_id },
    { .name = "fixed", .path = "/a/5", .method = NGX_HTTP_GET,
      .params = test_none },
    { .name = "slug", .path = "/a/$slug", .method = NGX_HTTP_GET,
      .params = test_text },
    { .name = "key", .path = "/a/$key", .method = NGX_HTTP_GET,
      .params = test_uuid },
    { .name = "page", .path = "/a/$id/$page", .method = NGX_HTTP_GET,
      .params = test_two },
    { .name = "count", .path = "/n/$n", .method = NGX_HTTP_GET,
      .params = test_int },
    { .name = "Big", .path = "/Big", .method = NGX_HTTP_GET,
      .params = test_none },
    { .name = "other", .path = "/a", .method = NGX_HTTP_GET,
      .params = test_none },
    { .name = NULL }
};


typedef struct {
    const char  *path;
    ngx_uint_t   method;
    const char  *name;
    ngx_uint_t   native;
    ngx_uint_t   app;
} test_match_t;


static const test_match_t  test_matches[] = {
    { "/a", NGX_HTTP_GET, "list", NGX_HTTP_GET|NGX_HTTP_POST, NGX_HTTP_PUT },
    { "/a", NGX_HTTP_POST, "make", NGX_HTTP_GET|NGX_HTTP_POST,
      NGX_HTTP_PUT },
    { "/a", NGX_HTTP_PUT, NULL, NGX_HTTP_GET|NGX_HTTP_POST, NGX_HTTP_PUT },
    { "/a/1", NGX_HTTP_GET, "item", NGX_HTTP_GET|NGX_HTTP_PUT,
      NGX_HTTP_PATCH },
    { "/a/1", NGX_HTTP_PUT, "change", NGX_HTTP_GET|NGX_HTTP_PUT,
      NGX_HTTP_PATCH },
    { "/a/1", NGX_HTTP_DELETE, NULL, NGX_HTTP_GET|NGX_HTTP_PUT,
      NGX_HTTP_PATCH },
    { "/a/1/b", NGX_HTTP_GET, "part", NGX_HTTP_GET|NGX_HTTP_DELETE, 0 },
    { "/a/1/b", NGX_HTTP_DELETE, "drop", NGX_HTTP_GET|NGX_HTTP_DELETE, 0 },
    { "/a/1/c", NGX_HTTP_GET, "page", NGX_HTTP_GET, 0 },
    { "/a/5", NGX_HTTP_GET, "fixed", NGX_HTTP_GET, 0 },
    { "/a/57", NGX_HTTP_GET, "item", NGX_HTTP_GET|NGX_HTTP_PUT,
      NGX_HTTP_PATCH },

    /* a narrow type comes first; a name never has a "/" in it, nor nothing */

    { "/a/5x", NGX_HTTP_GET, "slug", NGX_HTTP_GET, 0 },
    { "/a/0b1c9f6e-6f0a-4C6f-9d1c-5f2b6a7c8d9e", NGX_HTTP_GET, "key",
      NGX_HTTP_GET, 0 },
    { "/a/0b1c9f6e-6f0a-4c6f-9d1c-5f2b6a7c8d9", NGX_HTTP_GET, "slug",
      NGX_HTTP_GET, 0 },
    { "/a/0b1c9f6e-6f0a-4c6f-9d1c-5f2b6a7c8d9ef", NGX_HTTP_GET, "slug",
      NGX_HTTP_GET, 0 },
    { "/a/0b1c9f6e+6f0a-4c6f-9d1c-5f2b6a7c8d9e", NGX_HTTP_GET, "slug",
      NGX_HTTP_GET, 0 },
    { "/a/", NGX_HTTP_GET, NULL, 0, 0 },
    { "/a/x/", NGX_HTTP_GET, NULL, 0, 0 },
    { "/a/1/", NGX_HTTP_GET, NULL, 0, 0 },
    { "/a/1/b/", NGX_HTTP_GET, NULL, 0, 0 },

    { "/n/-12", NGX_HTTP_GET, "count", NGX_HTTP_GET, 0 },
    { "/n/12", NGX_HTTP_GET, "count", NGX_HTTP_GET, 0 },
    { "/n/-", NGX_HTTP_GET, NULL, 0, 0 },
    { "/n/--1", NGX_HTTP_GET, NULL, 0, 0 },
    { "/n/+1", NGX_HTTP_GET, NULL, 0, 0 },

    /* letters are compared as they are */

    { "/Big", NGX_HTTP_GET, "Big", NGX_HTTP_GET, 0 },
    { "/big", NGX_HTTP_GET, NULL, 0, 0 },
    { "/A", NGX_HTTP_GET, NULL, 0, 0 },

    { NULL, 0, NULL, 0, 0 }
};


/* what two of the rows have in common is served by one of them */

static void
test_shared(const ngx_sf_routes_t *routes, ngx_sf_endpoint_t *endpoints,
    ngx_uint_t n)
{
    u_char                    enabled[16];
    ngx_str_t                 path;
    ngx_sf_match_t            match;
    const ngx_sf_endpoint_t  *both[2];

    ngx_memset(enabled, 1, sizeof(enabled));

    unit_ok(ngx_sf_routes_check(routes, enabled, both) == NGX_DECLINED
            && both[0] == &endpoints[0] && both[1] == &endpoints[n - 1],
            "two endpoints of one path and one method");

    enabled[0] = 0;
    path = unit_str("/a", 2);

    unit_ok(ngx_sf_routes_check(routes, enabled, both) == NGX_OK
            && ngx_sf_route_find(routes, enabled, &path, NGX_HTTP_GET, &match)
               == NGX_OK
            && match.endpoint == &endpoints[n - 1],
            "a location serves one of them");

    /* the digits are the other endpoint's, where nothing serves ids */

    enabled[2] = 0;
    enabled[3] = 0;
    path = unit_str("/a/1", 4);

    unit_ok(ngx_sf_route_find(routes, enabled, &path, NGX_HTTP_GET, &match)
            == NGX_OK
            && strcmp(match.endpoint->row->name, "slug") == 0
            && match.path[0].len == 1,
            "what is not served leaves the path to a wider type");
}


static void
test_own(void)
{
    u_char               enabled[16];
    ngx_str_t            path;
    ngx_int_t            rc;
    ngx_uint_t           n, good;
    ngx_sf_match_t       match;
    ngx_sf_routes_t     *routes;
    ngx_sf_endpoint_t    endpoints[16];
    const test_match_t  *m;

    ngx_memzero(endpoints, sizeof(endpoints));

    for (n = 0; test_rows[n].name; n++) {
        endpoints[n].row = &test_rows[n];
        endpoints[n].index = n;
    }

    routes = ngx_sf_routes_compile(&test_e.cf, endpoints, n);

    test_shared(routes, endpoints, n);

    ngx_memset(enabled, 1, sizeof(enabled));
    enabled[n - 1] = 0;

    for (m = test_matches; m->path; m++) {
        path = unit_str(m->path, strlen(m->path));
        rc = ngx_sf_route_find(routes, enabled, &path, m->method, &match);

        good = rc == (m->native ? NGX_OK : NGX_DECLINED)
               && match.native == m->native && match.app == m->app;

        if (m->name == NULL) {
            good = good && match.endpoint == NULL;

        } else {
            good = good && match.endpoint
                   && strcmp(match.endpoint->row->name, m->name) == 0;
        }

        unit_ok(good, "own rows: %s, method %lx", m->path,
                (unsigned long) m->method);
    }

    path = unit_str("/a/42/next", 10);
    (void) ngx_sf_route_find(routes, enabled, &path, NGX_HTTP_GET, &match);

    unit_ok(match.path[0].len == 2
            && ngx_memcmp(match.path[0].data, "42", 2) == 0
            && match.path[1].len == 4
            && ngx_memcmp(match.path[1].data, "next", 4) == 0,
            "names are told by their places");
}


/* a prefix of every path, and every path with one byte more, is another */

static void
test_prefixes(void)
{
    char             path[256];
    size_t           len;
    ngx_uint_t       i, wrong, total;
    ngx_sf_match_t   match;

    wrong = 0;
    total = 0;

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        test_path(path, test_e.smcf->endpoints[i].row, "42");
        len = strlen(path);

        path[len] = 'x';
        path[len + 1] = '\0';
        wrong += test_find(test_all, path, NGX_HTTP_GET, &match) == NGX_OK;
        total++;

        for (path[len] = '\0'; len > 0; path[--len] = '\0') {
            if (test_find(test_all, path, NGX_HTTP_GET, &match) == NGX_OK
                && strncmp(match.endpoint->row->path, path,
                           strcspn(match.endpoint->row->path, "$"))
                   != 0)
            {
                wrong++;
            }

            total++;
        }
    }

    unit_ok(wrong == 0, "%lu parts of paths, %lu found wrongly",
            (unsigned long) total, (unsigned long) wrong);
}


int
main(void)
{
    ngx_uint_t  i;

    unit_init();
    endpoints_compile(&test_e, unit_pool);
    ngx_memset(test_all, 1, sizeof(test_all));

    test_table();

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        test_row(&test_e.smcf->endpoints[i]);
        test_disabled(&test_e.smcf->endpoints[i]);
    }

    test_own();
    test_prefixes();

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Items of all endpoints: their keys, their tags against their statements,
 * and the forms in which totals and entity tags are kept.
 *
 *     unit-with: -It/tools t/tools/endpoints.c t/tools/ngx_sf_table.c
 */


#include "endpoints.h"
#include "ngx_sf_table.h"
#include "unit.h"


#define TEST_NOW      1709164800    /* 2024-02-29 */
#define TEST_KEY      4096
#define TEST_QUERIES  500
#define TEST_EFFECT   2048
#define TEST_WORD     64

/* a schema, as SQL has it */

#define TEST_QUOTED   "\"a \"\"b\"\" c\""


/* two query strings, and whether they are one and the same question */

typedef struct {
    const char  *endpoint;
    const char  *one;
    const char  *other;
    ngx_uint_t   response;      /* equal */
    ngx_uint_t   total;
} test_pair_t;


static const test_pair_t  test_pairs[] = {

    /* pages: of the first one nothing is said, and nothing to a total */

    { "review_campaigns", "", "page=1", 1, 1 },
    { "review_campaigns", "", "page=1&per_page=12", 1, 1 },
    { "review_campaigns", "", "per_page=12", 1, 1 },
    { "review_campaigns", "", "page=x", 1, 1 },
    { "review_campaigns", "", "page=%31", 1, 1 },
    { "review_campaigns", "", "page=01", 1, 1 },
    { "review_campaigns", "", "page=1&page=2", 1, 1 },
    { "review_campaigns", "", "page=2", 0, 1 },
    { "review_campaigns", "page=2", "page=3", 0, 1 },
    { "review_campaigns", "", "per_page=13", 0, 1 },
    { "review_campaigns", "page=2&per_page=6", "page=1&per_page=12", 0, 1 },
    { "review_campaigns", "page=3&per_page=5", "page=3&per_page=6", 0, 1 },
    { "review_campaigns", "per_page=500", "per_page=501", 1, 1 },
    { "review_campaigns", "page=12", "per_page=12&page=12", 1, 1 },
    { "review_listings", "", "limit=20", 1, 1 },
    { "review_listings", "limit=7", "per_page=7", 1, 1 },
    { "review_listings_search", "q=ab", "q=ab&per_page=20&page=1", 1, 1 },

    /* unknown ones, order, repetition, encoding */

    { "review_campaigns", "", "x=1&utm_source=mail", 1, 1 },
    { "review_campaigns", "", "Page=2&PAGE=2&page[]=2", 1, 1 },
    { "review_campaigns", "", "id=5&user=7", 1, 1 },
    { "review_campaigns", "", "&&=&", 1, 1 },
    { "review_campaigns", "category=a&page=2", "page=2&category=a", 1, 1 },
    { "review_campaigns", "category=a", "category=a&category=b", 1, 1 },
    { "review_campaigns", "category=a", "category=b&category=a", 0, 0 },
    { "review_campaigns", "category=a+b", "category=a%20b", 1, 1 },
    { "review_campaigns", "category=a", "%63ategory=%61", 1, 1 },
    { "review_campaigns", "category=a", "category=A", 0, 0 },
    { "review_campaigns", "category=a", "category=a%20", 0, 0 },
    { "review_campaigns", "", "category=", 1, 1 },
    { "review_campaigns", "", "category=a", 0, 0 },
    { "review_listings",
      "category=a&platform=b&reward_type=c&min_reward=1&max_reward=2"
      "&sort_by=created&page=2&limit=5",
      "limit=5&page=2&sort_by=created&max_reward=2&min_reward=1"
      "&reward_type=c&platform=b&category=a", 1, 1 },

    /* the same text under another name */

    { "review_listings", "category=a", "reward_type=a", 0, 0 },
    { "review_listings", "category=a", "platform=a", 0, 0 },
    { "review_listings", "min_reward=5", "max_reward=5", 0, 0 },
    { "review_listings", "category=a&reward_type=b",
      "category=b&reward_type=a", 0, 0 },
    { "review_listings", "category=aa", "category=a&reward_type=a", 0, 0 },

    /* lists */

    { "review_listings", "platform=a", "source_platform=a", 1, 1 },
    { "review_listings", "platform=a", "platform=a,", 1, 1 },
    { "review_listings", "platform=a", "platform=,%20a%20,", 1, 1 },
    { "review_listings", "platform=a,b", "platform=a,%20b,,", 1, 1 },
    { "review_listings", "platform=a,b", "platform=a", 0, 0 },
    { "review_listings", "platform=a,b", "platform=b", 0, 0 },
    { "review_listings", "platform=a,b", "platform=ab", 0, 0 },
    { "review_listings", "platform=a,b", "platform=%7B%22a%22,%22b%22%7D",
      0, 0 },
    { "review_listings", "", "platform=", 1, 1 },
    { "review_listings", "", "platform=,", 0, 0 },
    { "review_listings", "", "platform_one=a", 1, 1 },

    /* numbers and choices; the order of rows is nothing to a total */

    { "review_listings", "", "min_reward=0", 1, 1 },
    { "review_listings", "", "min_reward=x", 1, 1 },
    { "review_listings", "min_reward=5", "min_reward=%2B5", 1, 1 },
    { "review_listings", "min_reward=5", "min_reward=%2005", 1, 1 },
    { "review_listings", "min_reward=5", "min_reward=-5", 0, 0 },
    { "review_listings", "", "sort_by=deadline", 1, 1 },
    { "review_listings", "", "sort_by=nothing", 1, 1 },
    { "review_listings", "", "sort_by=created", 0, 1 },
    { "review_listings", "sort_by=created", "sort_by=reward_value", 0, 1 },
    { "sns_posts", "account_id=5", "account_id=05", 1, 1 },
    { "sns_posts", "account_id=5", "account_id=6", 0, 0 },
    { "sns_posts", "account_id=5", "status=5", 0, 0 },

    /* what is repeated in the response counts as it came */

    { "review_listings_search", "q=ab", "q=AB", 0, 0 },
    { "review_listings_search", "q=ab", "q=%20ab%20", 1, 1 },
    { "analytics_advanced", "", "metric=revenue", 1, 0 },
    { "analytics_advanced", "", "metric=users", 0, 0 },
    { "analytics_advanced", "period=30", "period=%2B30", 0, 0 },
    { "analytics_advanced", "period=30", "period=31", 0, 0 },
    { "sns_analytics", "", "end_date=2024-02-29", 1, 0 },
    { "sns_analytics", "", "end_date=2024-02-29&start_date=2024-01-30", 1,
      0 },
    { "sns_analytics", "end_date=2024-01-31", "date_to=2024-01-31", 1, 0 },
    { "sns_analytics", "end_date=2024-01-31", "end_date=2024-01-31T23:59:59",
      1, 0 },
    { "sns_analytics", "end_date=2024-01-31", "end_date=2024-02-01", 0, 0 },
    { "sns_analytics", "end_date=2024-01-31", "start_date=2024-01-31", 0, 0 },
    { "sns_analytics", "platform=a", "", 0, 0 },

    { NULL, NULL, NULL, 0, 0 }
};


/* parts of query strings, made into any */

static const char *const  test_values[] = {
    "", "0", "1", "2", "5", "%2B5", "05", "12", "20", "100", "a", "A", "ab",
    "a,b", "b,a", "a,", ",", "a+b", "a%20b", "deadline", "created",
    "reward_value", "2024-01-31", "2024-01-31T10:00:00", "2024-02-29",
    "revenue", "30", "a%00b", "%FF", "{\"a\"}"
};


typedef struct {
    const char  *text;
    ngx_int_t    rc;
    int64_t      total;
    int64_t      ms;
} test_total_t;


#define TEST_FAR  (366LL * 24 * 3600 * 1000)


static const test_total_t  test_totals[] = {

    { "0", NGX_OK, 0, -1 },
    { "17", NGX_OK, 17, -1 },
    { "9223372036854775807", NGX_OK, NGX_MAX_INT_T_VALUE, -1 },
    { "17 1", NGX_OK, 17, 1 },
    { "17 86400000", NGX_OK, 17, 86400000 },
    { "0 5", NGX_OK, 0, 5 },

    /* within what a clock of ms may be moved by */

    { "17 0", NGX_OK, 17, 0 },
    { "17 -1", NGX_OK, 17, 0 },
    { "17 -9223372036854775808", NGX_OK, 17, 0 },
    { "17 31622400000", NGX_OK, 17, TEST_FAR },
    { "17 31622400001", NGX_OK, 17, TEST_FAR },
    { "17 9223372036854775807", NGX_OK, 17, TEST_FAR },
    { "17 99999999999999999999999999", NGX_OK, 17, TEST_FAR },

    { "", NGX_ERROR, 0, 0 },
    { " ", NGX_ERROR, 0, 0 },
    { " 5", NGX_ERROR, 0, 0 },
    { "x", NGX_ERROR, 0, 0 },
    { "x 5", NGX_ERROR, 0, 0 },
    { "17 ", NGX_ERROR, 0, 0 },
    { "17 x", NGX_ERROR, 0, 0 },
    { "17 5x", NGX_ERROR, 0, 0 },
    { "17 5 6", NGX_ERROR, 0, 0 },
    { "17.5", NGX_ERROR, 0, 0 },

    { NULL, 0, 0, 0 }
};


static endpoints_t        test_e;
static ngx_sf_loc_conf_t  test_location;  /* without a zone: no seed */


typedef struct {
    ngx_uint_t       good;      /* the query was not refused */
    ngx_sf_params_t  params;
    ngx_sf_lookup_t  lookup;
} test_lookup_t;


static void
test_read(test_lookup_t *o, const ngx_sf_resource_t *resource,
    const char *query, const char *digits, int64_t user)
{
    ngx_str_t  id, args;

    ngx_memzero(o, sizeof(test_lookup_t));

    o->lookup.resource = resource;
    o->lookup.slcf = &test_location;
    o->lookup.user = user;
    o->good = 1;

    if (resource->endpoint == NULL) {
        return;
    }

    id = unit_str(digits, strlen(digits));
    args = unit_str(query, strlen(query));

    o->good = ngx_sf_params_read(unit_pool, resource->endpoint->row->params,
                                 &id, &args, &test_e.env, &o->params)
              == NGX_OK && o->params.status == 0;
    o->lookup.params = &o->params;
}


static uint64_t  test_hash;             /* of the last key */


static ngx_str_t
test_key(const test_lookup_t *o, ngx_uint_t source)
{
    ngx_str_t     out;
    ngx_sf_key_t  key;

    key.data = ngx_pnalloc(unit_pool, TEST_KEY);
    key.len = TEST_KEY;
    out.data = key.data;
    out.len = 0;

    if (o->good && ngx_sf_resource_key(&o->lookup, source, &key) == NGX_OK) {
        out.len = key.len;
        test_hash = key.hash;
    }

    return out;
}


static ngx_str_t
test_query(const ngx_sf_resource_t *resource, const char *query,
    const char *digits, int64_t user, ngx_uint_t source)
{
    test_lookup_t  o;

    test_read(&o, resource, query, digits, user);

    return test_key(&o, source);
}


static ngx_uint_t
test_same(const ngx_str_t *one, const ngx_str_t *other)
{
    return one->len == other->len && one->len != 0
           && ngx_memcmp(one->data, other->data, one->len) == 0;
}


static void
test_one_pair(const test_pair_t *p, const ngx_sf_resource_t *resource,
    ngx_uint_t equal, const char *kind)
{
    ngx_str_t  one, other;

    one = test_query(resource, p->one, "1", 7, 0);
    other = test_query(resource, p->other, "1", 7, 0);

    unit_ok(one.len && other.len && test_same(&one, &other) == equal,
            "%s, %s: \"%s\" %s \"%s\"", p->endpoint, kind, p->one,
            equal ? "is" : "is not", p->other);
}


static void
test_queries(void)
{
    const test_pair_t  *p;
    ngx_sf_endpoint_t  *endpoint;

    for (p = test_pairs; p->endpoint; p++) {
        endpoint = endpoints_find(&test_e, p->endpoint);

        test_one_pair(p, endpoint->response, p->response, "response");

        if (endpoint->total) {
            test_one_pair(p, endpoint->total, p->total, "total");
        }
    }
}


/* what a request does, as text: the statement, its values, what is echoed */

static ngx_str_t
test_effect(const test_lookup_t *o)
{
    u_char                   *p, *last;
    ngx_str_t                 out;
    ngx_uint_t                i;
    const char              **values;
    const ngx_sf_resource_t  *resource;
    ngx_sf_bind_source_t      source;
    ngx_sf_pg_statement_t    *variant;

    resource = o->lookup.resource;
    p = ngx_pnalloc(unit_pool, TEST_EFFECT);
    out.data = p;
    last = p + TEST_EFFECT;

    ngx_sf_resource_source(&o->lookup, &source);

    variant = ngx_sf_statement_variant(&test_e.worker.variants, test_e.primary,
                                       resource->statement, &source);
    values = ngx_sf_statement_bind(unit_pool, variant, &source);

    p = ngx_slprintf(p, last, "%ui", variant->id);

    for (i = 0; i < variant->nvalues; i++) {
        p = ngx_slprintf(p, last, "|%s", values[i]);
    }

    if (resource->kind == NGX_SF_RESOURCE_RESPONSE) {
        p = ngx_slprintf(p, last, "|%L of %L", o->params.page,
                         o->params.page_size);

        for (i = 0; i < resource->endpoint->nparams; i++) {
            if (resource->echoes & ((uint64_t) 1 << i)) {
                p = ngx_slprintf(p, last, "|%V", &o->params.values[i].echo);
            }
        }
    }

    out.len = p - out.data;

    return out;
}


static uint32_t
test_random(ngx_uint_t below)
{
    static uint32_t  state = 2463534242U;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;

    return state % below;
}


/* up to five parameters of an endpoint, or others */

static void
test_compose(char *query, const ngx_sf_endpoint_t *endpoint)
{
    ngx_uint_t             n;
    const char            *name, *value;
    const ngx_sf_param_t  *param;

    *query = '\0';

    for (n = test_random(6); n; n--) {
        name = "other";

        if (endpoint->nparams && test_random(8)) {
            param = &endpoint->row->params[test_random(endpoint->nparams)];
            name = param->alias && test_random(4) == 0 ? param->alias
                                                       : param->name;
        }

        value = test_values[test_random(sizeof(test_values)
                                        / sizeof(test_values[0]))];

        query += sprintf(query, "%s=%s&", name, value);
    }
}


/* keys are equal when, and only when, the effects are */

static void
test_resource_effects(const ngx_sf_resource_t *resource, const char *kind)
{
    char           query[512];
    ngx_str_t      keys[TEST_QUERIES], effects[TEST_QUERIES];
    ngx_uint_t     i, k, n, equal, wrong;
    test_lookup_t  o;

    if (resource == NULL) {
        return;
    }

    n = 0;
    equal = 0;
    wrong = 0;

    for (i = 0; i < TEST_QUERIES; i++) {
        test_compose(query, resource->endpoint);
        test_read(&o, resource, query, "5", 7);

        if (!o.good) {
            continue;
        }

        keys[n] = test_key(&o, 0);
        effects[n] = test_effect(&o);

        for (k = 0; k < n; k++) {
            equal += test_same(&keys[k], &keys[n]);

            if (test_same(&keys[k], &keys[n])
                != test_same(&effects[k], &effects[n]))
            {
                wrong++;
                printf("# %s: %.*s, %.*s\n", query, (int) effects[k].len,
                       effects[k].data, (int) effects[n].len,
                       effects[n].data);
            }
        }

        n++;
    }

    unit_ok(wrong == 0 && n > 20 && equal,
            "%s %s: %lu queries, %lu pairs of one effect",
            resource->endpoint->row->name, kind, (unsigned long) n,
            (unsigned long) equal);
}


static void
test_effects(void)
{
    ngx_uint_t          i;
    ngx_sf_endpoint_t  *endpoint;

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        endpoint = &test_e.smcf->endpoints[i];

        if (endpoint->row->sql) {
            test_resource_effects(endpoint->response, "response");
            test_resource_effects(endpoint->total, "total");
        }
    }
}


/* the name that a resource goes by in the results */

static const char *
test_name(const ngx_sf_resource_t *resource)
{
    static char  name[128];

    static const char *const  kinds[] = {
        "", " total", " response", " ping"
    };

    (void) sprintf(name, "%s%s",
                   resource->endpoint ? resource->endpoint->row->name
                                      : "principal",
                   kinds[resource->kind]);

    return name;
}


typedef void (*test_resource_pt)(const ngx_sf_resource_t *resource);


static void
test_each(test_resource_pt call)
{
    ngx_uint_t          i;
    ngx_sf_endpoint_t  *endpoint;

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        endpoint = &test_e.smcf->endpoints[i];

        if (endpoint->response) {
            call(endpoint->response);
        }

        if (endpoint->total) {
            call(endpoint->total);
        }
    }

    call(test_e.smcf->principal);
}


static const char *
test_digits(const ngx_sf_resource_t *resource)
{
    return resource->endpoint
           && strstr(resource->endpoint->path, "{id}") ? "5" : "";
}


/* whose the response is, and where it comes from */

static void
test_owner(const ngx_sf_resource_t *resource)
{
    ngx_str_t      key, other;
    ngx_uint_t     source, wrong;
    test_lookup_t  o;

    key = test_query(resource, "q=ab", "5", 7, 0);

    other = test_query(resource, "q=ab", "5", 8, 0);
    unit_ok(test_same(&key, &other) == !resource->personal,
            "%s %s from user to user", test_name(resource),
            resource->personal ? "differs" : "is the same");

    wrong = 0;

    for (source = 1; source < NGX_SF_SOURCES; source++) {
        other = test_query(resource, "q=ab", "5", 7, source);
        wrong += test_same(&key, &other);
    }

    unit_ok(wrong == 0 && key.len, "%s differs from source to source",
            test_name(resource));

    other = test_query(resource, "q=ab", "6", 7, 0);
    unit_ok(test_same(&key, &other) == (*test_digits(resource) == '\0'),
            "%s and the id of the path", test_name(resource));

    other = test_query(resource, "q=ab", "0005", 7, 0);
    unit_ok(test_same(&key, &other), "%s and zeros before the id",
            test_name(resource));

    test_read(&o, resource, "q=ab", "5", 7);
    unit_ok(ngx_sf_resource_id(&o.lookup) == (*test_digits(resource) ? 5 : 0),
            "%s: the id of the tags", test_name(resource));
}


/* a key that was made for nobody, with the user put in */

static void
test_remembered(const ngx_sf_resource_t *resource)
{
    uint64_t       hash;
    ngx_str_t      key, short_key;
    ngx_uint_t     i, wrong;
    test_lookup_t  o;
    ngx_sf_key_t   nobody;

    static const int64_t  users[] = {
        0, 1, 7, 256, NGX_MAX_INT32_VALUE, NGX_MAX_INT_T_VALUE
    };

    test_read(&o, resource, "q=ab&category=abc&platform=a,b&page=2", "5", 0);
    nobody.data = ngx_pnalloc(unit_pool, TEST_KEY);
    nobody.len = TEST_KEY;
    wrong = ngx_sf_resource_key(&o.lookup, 3, &nobody) != NGX_OK;

    for (i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        o.lookup.user = users[i];
        o.lookup.key = NULL;
        key = test_key(&o, 3);
        hash = test_hash;

        o.lookup.key = &nobody;
        short_key = test_key(&o, 3);
        wrong += !test_same(&key, &short_key) || test_hash != hash;

        /* users are told apart by the hash, too */

        wrong += (hash != nobody.hash) != (resource->personal && users[i]);
    }

    unit_ok(wrong == 0, "%s: a key that is remembered", test_name(resource));
}


/* a buffer that is too small is left alone behind its end */

static void
test_room(const ngx_sf_resource_t *resource)
{
    size_t         len;
    ngx_str_t      key;
    ngx_uint_t     wrong;
    ngx_sf_key_t   small;
    test_lookup_t  o;

    test_read(&o, resource, "q=ab&category=abc&platform=a,b&page=2", "5", 7);
    key = test_key(&o, 0);
    wrong = key.len == 0;

    for (len = 0; len <= key.len; len++) {
        small.data = ngx_pnalloc(unit_pool, len);
        small.len = len;

        if (ngx_sf_resource_key(&o.lookup, 0, &small) != NGX_OK) {
            wrong += len == key.len;
            continue;
        }

        wrong += len != key.len || small.len != len || small.hash < 2
                 || ngx_memcmp(small.data, key.data, len) != 0;
    }

    unit_ok(wrong == 0, "%s: a key of %lu bytes needs so many",
            test_name(resource), (unsigned long) key.len);
}


static ngx_uint_t
test_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_';
}


/* reads a word and the blanks behind it */

static const char *
test_word(const char *p, char *word)
{
    size_t  len;

    for (len = 0; test_word_char(*p) && len < TEST_WORD - 1; len++) {
        word[len] = *p++;
    }

    word[len] = '\0';

    while (*p == ' ') {
        p++;
    }

    return p;
}


/* whether the statement itself makes a relation of that name: WITH name AS */

static ngx_uint_t
test_defined(const char *text, const char *name)
{
    char         form[TEST_WORD + 16];
    const char  *p;

    (void) sprintf(form, "%s AS ", name);

    for (p = strstr(text, form); p; p = strstr(p + 1, form)) {
        if (p == text || test_word_char(p[-1])) {
            continue;
        }

        if (p[strlen(form)] == '('
            || strncmp(p + strlen(form), "MATERIALIZED (", 14) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* the schema in front of a name: what a stranger's table is not found by */

#define TEST_SCHEMA  TEST_QUOTED "."


/* a table wherever it is named, unless its schema is too; NULL: none is */

static const char *
test_bare(const char *text)
{
    char         word[TEST_WORD];
    size_t       len;
    const char  *p, *start;

    static char  found[TEST_WORD];

    len = sizeof(TEST_SCHEMA) - 1;
    p = strstr(text, "*/");
    p = p ? p : text;

    while (*p) {
        if (!test_word_char(*p)) {
            p++;
            continue;
        }

        start = p;
        p = test_word(p, word);

        if (ngx_sf_table_find((u_char *) word, strlen(word)) != NGX_ERROR
            && ((size_t) (start - text) < len
                || strncmp(start - len, TEST_SCHEMA, len) != 0))
        {
            (void) sprintf(found, "bare %.*s", TEST_WORD - 8, word);
            return found;
        }
    }

    return NULL;
}


/* the tables that are named after FROM and JOIN; strange: what is none */

static ngx_uint_t
test_tables(const char *text, const char **strange)
{
    char         word[TEST_WORD], name[TEST_WORD];
    ngx_int_t    n;
    ngx_uint_t   mask;
    const char  *p;

    static char  found[TEST_WORD];

    mask = 0;
    *strange = test_bare(text);

    for (p = text; *p; /* void */ ) {
        if (!test_word_char(*p)) {
            p++;
            continue;
        }

        p = test_word(p, word);

        if (strcmp(word, "FROM") != 0 && strcmp(word, "JOIN") != 0) {
            continue;
        }

        if (strncmp(p, TEST_SCHEMA, sizeof(TEST_SCHEMA) - 1) == 0) {
            p += sizeof(TEST_SCHEMA) - 1;
        }

        p = test_word(p, name);

        if (strcmp(name, "LATERAL") == 0) {
            p = test_word(p, name);
        }

        /* a function, or a list of rows in parentheses */

        if (*p == '(' || name[0] == '\0' || test_defined(text, name)) {
            continue;
        }

        n = ngx_sf_table_find((u_char *) name, strlen(name));

        if (n == NGX_ERROR) {
            (void) strcpy(found, name);
            *strange = found;
            continue;
        }

        mask |= (ngx_uint_t) 1 << n;

        /* tables are joined by JOIN: this test would miss them else */

        p = test_word(p, word);

        if (*p == ',') {
            (void) strcpy(found, "a comma");
            *strange = found;
        }
    }

    return mask;
}


typedef struct {
    const ngx_sf_resource_t  *resource;
    ngx_uint_t                tables;
    ngx_uint_t                texts;
    const char               *strange;
} test_texts_t;


static void
test_variant(ngx_sf_pg_statement_t *variant,
    const ngx_sf_bind_source_t *source, void *data)
{
    test_texts_t  *t = data;

    const char  *strange;

    t->texts++;
    t->tables |= test_tables(variant->text, &strange);

    if (strange) {
        t->strange = strange;
    }
}


static const char *
test_template(const ngx_sf_resource_t *resource)
{
    return resource->kind == NGX_SF_RESOURCE_PRINCIPAL
           ? test_e.smcf->principal_row->sql
           : resource->kind == NGX_SF_RESOURCE_PING ? ""
           : resource->kind == NGX_SF_RESOURCE_TOTAL
             ? resource->endpoint->row->total
           : resource->endpoint->row->sql;
}


static void
test_tags(const ngx_sf_resource_t *resource)
{
    ngx_int_t            n;
    ngx_uint_t           i, wrong, tables;
    test_texts_t         t;
    const ngx_sf_tag_t  *tag;

    ngx_memzero(&t, sizeof(t));
    t.resource = resource;

    endpoints_variants(&test_e, resource, test_variant, &t);

    unit_ok(t.strange == NULL, "%s: %s", test_name(resource),
            t.strange ? t.strange : "tables that are known");
    tables = 0;

    for (i = 0; i < resource->tags.n; i++) {
        tag = &resource->tags.tag[i];
        n = ngx_sf_table_find(tag->table.data, tag->table.len);

        if (n != NGX_ERROR) {
            tables |= (ngx_uint_t) 1 << n;
        }
    }

    unit_ok(t.tables == tables && t.texts,
            "%s: the tables of its tags, 0x%lx, are those that it reads, "
            "0x%lx", test_name(resource), (unsigned long) tables,
            (unsigned long) t.tables);

    wrong = 0;

    for (i = 0; i < resource->tags.n; i++) {
        tag = &resource->tags.tag[i];

        wrong += tag->from == NGX_SF_TAG_USER && !resource->personal;
        wrong += tag->from == NGX_SF_TAG_ID && *test_digits(resource) == '\0';
    }

    unit_ok(wrong == 0, "%s: its tags are of what it knows",
            test_name(resource));

    if (resource->kind != NGX_SF_RESOURCE_RESPONSE || resource->total == NULL) {
        unit_ok((strstr(test_template(resource), "$user") != NULL)
                == resource->personal, "%s: personal if it names the user",
                test_name(resource));
    }
}


/* a list shows its total: it goes when that does, and is as personal */

static void
test_total(const ngx_sf_resource_t *resource)
{
    ngx_uint_t           i, k, wrong;
    const ngx_sf_tag_t  *tag, *own;

    if (resource->total == NULL) {
        return;
    }

    wrong = 0;

    for (i = 0; i < resource->total->tags.n; i++) {
        tag = &resource->total->tags.tag[i];

        for (k = 0; k < resource->tags.n; k++) {
            own = &resource->tags.tag[k];

            if (own->whole == tag->whole && own->keyed == tag->keyed
                && own->from == tag->from)
            {
                break;
            }
        }

        wrong += k == resource->tags.n;
    }

    unit_ok(wrong == 0, "%s: the tags of its total are its own",
            test_name(resource));
    unit_ok(resource->personal == (strstr(test_template(resource), "$user")
                                   || resource->total->personal),
            "%s: personal if it or its total names the user",
            test_name(resource));
    unit_ok(resource->total->lane == (resource->lane == NGX_SF_PG_HEAVY
                                      ? NGX_SF_PG_HEAVY : NGX_SF_PG_TOTALS)
            && resource->total->total == NULL,
            "%s: counted apart", test_name(resource));
}


/* a page names its parameters, its total those of the filter */

static void
test_params(const ngx_sf_resource_t *resource)
{
    char                   name[TEST_WORD], word[TEST_WORD];
    ngx_uint_t             i, wrong;
    const char            *p;
    const ngx_sf_param_t  *params;

    if (resource->kind != NGX_SF_RESOURCE_TOTAL) {
        return;
    }

    wrong = 0;
    params = resource->endpoint->row->params;

    for (i = 0; params[i].type != NGX_SF_PARAM_END; i++) {
        (void) sprintf(name, "%s", params[i].name);
        word[0] = '\0';

        for (p = strchr(test_template(resource), '$'); p; p = strchr(p, '$')) {
            p = test_word(p + 1, word);

            if (strcmp(word, name) == 0) {
                break;
            }
        }

        wrong += (strcmp(word, name) == 0) != (resource->params >> i & 1);
    }

    unit_ok(wrong == 0, "%s: the parameters that it names",
            test_name(resource));
}


/* the first is of nothing */

static const u_char   test_no_id[NGX_SF_IDENTITY_LEN];
static const u_char  *test_ids[256] = { test_no_id };
static ngx_uint_t     test_nids = 1;


static void
test_id(const ngx_sf_resource_t *resource)
{
    ngx_str_t   key;
    ngx_uint_t  i, wrong;

    wrong = 0;
    key = test_query(resource, "q=ab", test_digits(resource), 7, 0);

    for (i = 0; i < test_nids; i++) {
        wrong += ngx_memcmp(test_ids[i], resource->id, NGX_SF_IDENTITY_LEN)
                 == 0;
    }

    if (resource->cached) {
        test_ids[test_nids++] = resource->id;
    }

    unit_ok(wrong == 0, "%s: its id is that of no other", test_name(resource));
    unit_ok(key.len > NGX_SF_IDENTITY_LEN
            && ngx_memcmp(key.data, resource->id, NGX_SF_IDENTITY_LEN) == 0,
            "%s: its keys begin with it", test_name(resource));
    unit_ok(resource->cached == (resource->kind != NGX_SF_RESOURCE_PING),
            "%s: in the zone", test_name(resource));
}


static void
test_totals_text(void)
{
    int64_t              total, ms;
    ngx_int_t            rc;
    ngx_str_t            text;
    const test_total_t  *t;

    for (t = test_totals; t->text; t++) {
        text = unit_str(t->text, strlen(t->text));
        rc = ngx_sf_resource_parse_total(&text, &total, &ms);

        unit_ok(rc == t->rc
                && (rc != NGX_OK || (total == t->total && ms == t->ms)),
                "total \"%s\"", t->text);
    }
}


static void
test_etag(void)
{
    u_char      etag[NGX_SF_ETAG_LEN + 1];
    ngx_str_t   body, out;

    out.data = etag;
    out.len = NGX_SF_ETAG_LEN;
    etag[NGX_SF_ETAG_LEN] = '#';

    ngx_str_null(&body);
    ngx_sf_resource_etag(&body, etag);
    unit_is(&out, "\"d41d8cd98f00b204e9800998ecf8427e\"", "tag of no bytes");

    body = unit_str("{\"a\":1}\n", 8);
    ngx_sf_resource_etag(&body, etag);
    unit_is(&out, "\"4588ff3797b78d819d858fa3bdd82b09\"", "tag of a body");

    unit_ok(etag[NGX_SF_ETAG_LEN] == '#', "%d bytes", NGX_SF_ETAG_LEN);
}


int
main(void)
{
    unit_init();
    endpoints_compile(&test_e, unit_pool);
    test_e.env.now = TEST_NOW;
    ngx_str_set(&test_e.primary->quoted, TEST_QUOTED);

    test_queries();
    test_effects();

    test_each(test_owner);
    test_each(test_room);
    test_each(test_remembered);
    test_each(test_tags);
    test_each(test_total);
    test_each(test_params);
    test_each(test_id);

    test_totals_text();
    test_etag();

    return unit_done();
}

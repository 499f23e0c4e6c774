
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Rules of the report's recommendations, one by one: each speaks above its
 * threshold and is silent at it, names its figure and the remedy; what is
 * well brings no recommendation at all.
 */


#include "ngx_sf_recommend.h"
#include "unit.h"


typedef struct {
    const char                  *name;
    ngx_sf_recommend_endpoint_t  endpoint;
    const char                  *words[4]; /* all of them; none: silence */
} test_endpoint_t;

typedef struct {
    const char                 *name;
    ngx_sf_recommend_server_t   server;
    const char                 *words[4];
} test_server_t;


#define TEST_NAME  .name = "sns_posts", .path = "/api/sns/posts"


static const test_endpoint_t  test_endpoints[] = {

    { "all is well",
      { TEST_NAME, .requests = 1000, .p95 = 2, .hits = 990, .asked = 1000 },
      { NULL } },

    { "nobody has asked", { TEST_NAME }, { NULL } },

    { "errors, at the threshold",
      { TEST_NAME, .requests = 1000, .errors = 5 }, { NULL } },

    { "errors, above it",
      { TEST_NAME, .requests = 1000, .errors = 6 },
      { "/api/sns/posts", "0.6 %", "above 0.5 %", "error.log" } },

    { "errors, too few to tell",
      { TEST_NAME, .requests = 19, .errors = 19 }, { NULL } },

    { "errors, critical",
      { TEST_NAME, .requests = 1000, .errors = 51 },
      { "5.1 %", "critical, above 5 %" } },

    { "latency, at the threshold",
      { TEST_NAME, .requests = 1000, .p95 = 500 }, { NULL } },

    { "latency by the statement",
      { TEST_NAME, .requests = 1000, .p95 = 501, .avg = 300,
        .queries = 1000, .query = 290 },
      { "/api/sns/posts", "501.0 ms (above 500 ms)", "290 ms", "EXPLAIN" } },

    { "latency elsewhere",
      { TEST_NAME, .requests = 1000, .p95 = 501, .avg = 300,
        .queries = 1000, .query = 3 },
      { "501.0 ms", "connections=", "clients" } },

    { "latency, critical",
      { TEST_NAME, .requests = 1000, .p95 = 2001 },
      { "2001.0 ms", "critical, above 2 s" } },

    { "hits, at the threshold",
      { TEST_NAME, .requests = 1000, .hits = 500, .asked = 1000 }, { NULL } },

    { "hits, below it",
      { TEST_NAME, .requests = 1000, .hits = 490, .asked = 1000 },
      { "49 %", "softfactory_cache_ttl sns_posts", "stale=" } },

    { "hits, too few to tell",
      { TEST_NAME, .requests = 99, .hits = 0, .asked = 99 }, { NULL } },

    { NULL, { .name = NULL }, { NULL } }
};


static const test_server_t  test_servers[] = {

    { "all is well", { .cpu = 75, .memory = 80, .requests = 1000,
                       .evictions = 10, .queue_p95 = 10 }, { NULL } },

    { "an upstream is down", { .down = 1, .unavailable = 9 },
      { "1 upstream cannot be reached", "softfactory_pg" } },

    { "two are", { .down = 2 }, { "2 upstreams cannot be reached" } },

    { "it was down", { .unavailable = 9 },
      { "9 statements: softfactory_cache_ttl all error=" } },

    { "it was down, once", { .unavailable = 1 }, { "1 statement:" } },

    { "it was down, and old responses were shown",
      { .unavailable = 9, .bridged = 1 },
      { "9 statements: error= of softfactory_cache_ttl shows what was",
        "another server" } },

    { "the listener is lost", { .incoherent = 1 },
      { "softfactory_cache_incoherent_ttl", "softfactory_listen" } },

    { "tables without triggers", { .uncovered = 3 },
      { "3 tables:", "softfactory-tables.sql" } },

    { "a table without", { .uncovered = 1 }, { "1 table:" } },

    { "statements that do not fit", { .broken = 4 },
      { "4 statements:", "schema.sql" } },

    { "one that does not fit", { .broken = 1 }, { "1 statement:" } },

    { "a full queue", { .busy = 5 },
      { "5 statements", "connections=", "queue=", "limit_req" } },

    { "a full queue, for one", { .busy = 1 }, { "1 statement and 0 " } },

    { "a client that asks for too much", { .quota = 15 },
      { "15 statements of", "were refused", "softfactory_fair_key" } },

    { "just so", { .quota = 1 }, { "1 statement of", "was refused" } },

    { "waited too long", { .expired = 6, .queue_p95 = 2000 },
      { "6 waited too long", "wait=" } },

    { "waiting", { .queue_p95 = 12 }, { "12 ms", "connections=", "totals=",
                                          "heavy=" } },

    { "timeouts", { .timeout = 7 }, { "7 statements", "pg_locks",
                                      "timeout=" } },

    { "a timeout", { .timeout = 1 }, { "1 statement ran" } },

    { "processors", { .cpu = 76 }, { "76.0 %", "above 75 %", "a node" } },

    { "processors, critical", { .cpu = 91 }, { "critical, above 90 %" } },

    { "memory", { .memory = 81 }, { "81.0 %", "above 80 %" } },

    { "memory, critical", { .memory = 96 }, { "critical, above 95 %" } },

    { "the application does not answer", { .requests = 1000, .passed = 100,
      .unanswered = 99 },
      { "The application behind did not answer 99 of 100 requests" } },

    { "the application, once", { .requests = 1000, .passed = 1000,
      .unanswered = 5 }, { NULL } },

    { "evictions", { .requests = 1000, .evictions = 11 },
      { "11 entries", "softfactory_zone" } },

    { "evictions, too few to tell", { .requests = 19, .evictions = 19 },
      { NULL } },

    { NULL, { .cpu = 0 }, { NULL } }
};


/* whether a text, one sentence or none, has all words */

static void
test_words(const char *name, u_char *text, size_t len, ngx_uint_t sentences,
    const char *const *words)
{
    ngx_uint_t  i, good;

    text[len] = '\0';
    good = sentences == (words[0] != NULL);

    for (i = 0; i < 4 && words[i]; i++) {
        good &= strstr((char *) text, words[i]) != NULL;
    }

    if (sentences) {
        good &= len < NGX_SF_RECOMMEND_TEXT - 16 && text[len - 1] == '.';
    }

    unit_ok(good, "%s: %s", name, sentences ? (char *) text : "(nothing)");
}


static void
test_endpoint_rules(void)
{
    u_char                               text[4 * NGX_SF_RECOMMEND_TEXT + 1];
    u_char                              *p, *end;
    ngx_uint_t                           n;
    const test_endpoint_t               *t;
    const ngx_sf_recommend_endpoint_pt  *rule;

    for (t = test_endpoints; t->name; t++) {
        p = text;
        n = 0;

        for (rule = ngx_sf_recommend_endpoint_rules; *rule; rule++) {
            end = (*rule)(p, p + NGX_SF_RECOMMEND_TEXT, &t->endpoint);
            n += end != NULL;
            p = end ? end : p;
        }

        test_words(t->name, text, p - text, n, t->words);
    }
}


static void
test_server_rules(void)
{
    u_char                             text[4 * NGX_SF_RECOMMEND_TEXT + 1];
    u_char                            *p, *end;
    ngx_uint_t                         n;
    const test_server_t               *t;
    const ngx_sf_recommend_server_pt  *rule;

    for (t = test_servers; t->name; t++) {
        p = text;
        n = 0;

        for (rule = ngx_sf_recommend_server_rules; *rule; rule++) {
            end = (*rule)(p, p + NGX_SF_RECOMMEND_TEXT, &t->server);
            n += end != NULL;
            p = end ? end : p;
        }

        test_words(t->name, text, p - text, n, t->words);
    }
}


static void
test_issue(void)
{
    ngx_sf_recommend_endpoint_t  endpoint = { TEST_NAME, .avg = 600,
                                              .requests = 10 };

    unit_ok(strstr(ngx_sf_recommend_issue(&endpoint), "clients"),
            "slow without a statement");

    endpoint.queries = 10;
    endpoint.query = 300;
    unit_ok(strstr(ngx_sf_recommend_issue(&endpoint), "plan"),
            "slow by its statement");

    endpoint.query = 299;
    unit_ok(strstr(ngx_sf_recommend_issue(&endpoint), "Waiting"),
            "slow elsewhere");
}


int
main(void)
{
    unit_init();

    test_endpoint_rules();
    test_server_rules();
    test_issue();

    return unit_done();
}

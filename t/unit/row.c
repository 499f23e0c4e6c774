
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Rows of the API that say something wrongly, and what is said of them.
 *
 *     unit-with: -It/tools t/tools/endpoints.c
 */


#include "endpoints.h"
#include "unit.h"


#define P_END                                                                 \
    { NULL, NGX_SF_PARAM_END, NULL, 0, 0, 0, NULL, NULL, NULL }
#define P(name, type)                                                         \
    { name, NGX_SF_PARAM_##type, NULL, 0, 0, 0, NULL, NULL, NULL }
#define P_SIZE(size, max)                                                     \
    { "per_page", NGX_SF_PARAM_PAGE_SIZE, NULL, size, 1, max, NULL, NULL,     \
      NULL }
#define P_SINCE(name, since)                                                  \
    { name, NGX_SF_PARAM_DATE, NULL, 0, 0, 0, NULL, NULL, since }
#define P_CHOICE(choices)                                                     \
    { "c", NGX_SF_PARAM_CHOICE, NULL, 0, 0, 0, NULL, choices, NULL }

#define F(key, kind, column)                                                  \
    { key, NGX_SF_JSON_##kind, column, NULL, NULL, 0 }
#define F_END  { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }

#define PARAMS(...)  .params = (const ngx_sf_param_t[]) { __VA_ARGS__, P_END }
#define CHOICE(...)                                                           \
    P_CHOICE(((const ngx_sf_choice_t[]) { __VA_ARGS__, { NULL, NULL } }))

#define SHAPE(...)                                                            \
    .shape = (const ngx_sf_json_field_t[]) {                                  \
        { NULL, NGX_SF_JSON_OBJECT, 0,                                        \
          (const ngx_sf_json_field_t[]) { __VA_ARGS__, F_END }, NULL, 0 } }


/* a row that is right; what stands behind it counts */

#define ROW(...)                                                              \
    { .name = "good", .path = "/good", .method = NGX_HTTP_GET,                \
      .access = NGX_SF_USER, PARAMS(P("s", STRING)), .sql = "SELECT $s",      \
      .tags = "users", .ttl = 1, SHAPE(F("a", INT, 0)), __VA_ARGS__ }

#define TEST_95                                                               \
    "a_name_that_is_long_a_name_that_is_long_a_name_that_is_long_a_name_"     \
    "that_is_long_a_name_that_is_"

#define PAGES  P("page", PAGE), P_SIZE(20, 0)


typedef struct {
    ngx_sf_row_t         row;
    const char          *wrong;     /* NULL: nothing is */
} test_case_t;


#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"

static const test_case_t  test_cases[] = {

    { ROW(.lane = NGX_SF_PG_READ), NULL },
    { ROW(PARAMS(PAGES), .total = "SELECT 1", .deadlines = 1,
          SHAPE(F("a", PAGE, 0), F("b", PAGES, 0), F("c", TOTAL, 0))), NULL },
    { ROW(PARAMS(P("l", LIST), P("one", LIST_ONE))), NULL },
    { ROW(PARAMS(P("to", DATE), P_SINCE("from", "to"))), NULL },
    { ROW(PARAMS(CHOICE({ "a", "a[1] DESC" }, { "b", "'$b [[', \"$\"" }))),
      NULL },
    { ROW(.path = "/a/{id}/b", PARAMS(P("id", ID)),
          .tags = "users.id=$id"), NULL },
    { ROW(.sql = "SELECT $user", .tags = "users.id=$user"), NULL },
    { ROW(.sql = "SELECT '$user'", .access = NGX_SF_ANYONE), NULL },
    { ROW(.sql = NULL, SHAPE(F("a", PARAM, 0))), NULL },
    { ROW(.sql = NULL, .shape = NULL, .body = "{}"), NULL },

    /* names and paths */

    { ROW(.name = ""), "a name with other characters" },
    { ROW(.name = "Good"), "a name with other characters" },
    { ROW(.name = "a-b"), "a name with other characters" },
    { ROW(.name = TEST_95), NULL },
    { ROW(.name = TEST_95 "n"), "a name of more than 95 characters" },
    { ROW(.name = "principal"), "a name that means something else" },
    { ROW(.name = "all"), "a name that means something else" },
    { ROW(.path = NULL), "no path" },
    { ROW(.path = "api"), "no path" },
    { ROW(.method = 0), "no method" },
    { ROW(.app_methods = NGX_HTTP_GET|NGX_HTTP_POST),
      "a method that is the application's, too" },
    { ROW(.path = "/{id}/{id}", PARAMS(P("id", ID))), "more than one {id}" },
    { ROW(.path = "/{id}"), "not one ID for the {id}" },
    { ROW(PARAMS(P("id", ID))), "not one ID for the {id}" },
    { ROW(.path = "/{id}", PARAMS(P("id", ID), P("i", ID))),
      "not one ID for the {id}" },
    { ROW(.tags = "users.id=$id"), "a tag of an ID" },

    /* what is the response */

    { ROW(.shape = NULL), "not one of a shape" },
    { ROW(.body = "{}"), "not one of a shape" },
    { ROW(.shape = NULL, .body = "{}"), "a statement without a shape" },
    { ROW(.sql = NULL, .missing = "no"), "no statement, but what depends" },
    { ROW(.sql = NULL, .total = "SELECT 1"), "no statement, but what" },
    { ROW(.ttl = 0), "a statement without a ttl" },
    { ROW(.deadlines = 1), "deadlines without a total" },

    /* access */

    { ROW(.product = "a", .access = NGX_SF_ANONYMOUS), "a product, but asks" },
    { ROW(.product = ""), "a product that is empty" },
    { ROW(.product = "a,b"), "a product that is empty, \"all\" or has" },
    { ROW(.product = "all"), "a product that is empty, \"all\"" },
    { ROW(.sql = "SELECT $user", .access = NGX_SF_ANONYMOUS),
      "$user in a statement, but asks" },
    { ROW(PARAMS(PAGES), .total = "SELECT $user", .access = NGX_SF_ANYONE),
      "$user in a statement, but asks" },
    { ROW(.tags = "campaigns users.id=$user"), "a tag of the user" },
    { ROW(PARAMS(PAGES), .total = "SELECT 1",
          .total_tags = "users.id=$user"), "a tag of the user" },

    /* parameters */

    { ROW(.params = NULL), "no table of parameters" },
    { ROW(PARAMS(P("s", STRING), P("s", INT))), "two parameters of one name" },
    { ROW(PARAMS(P(NULL, STRING))), "a parameter without a name" },
    { ROW(PARAMS(P("S", STRING))), "a parameter without a name" },
    { ROW(PARAMS(P("user", STRING))), "a parameter whose name means" },
    { ROW(PARAMS(P("schema", STRING))), "a parameter whose name means" },
    { ROW(PARAMS({ "x", 99, NULL, 0, 0, 0, NULL, NULL, NULL })),
      "a parameter of a type that there is not" },
    { ROW(PARAMS(P("l", LIST))), "a LIST without the LIST_ONE" },
    { ROW(PARAMS(P("l", LIST), P("s", STRING), P("one", LIST_ONE))),
      "a LIST without the LIST_ONE" },
    { ROW(PARAMS(P("one", LIST_ONE))), "a LIST_ONE without the LIST" },
    { ROW(PARAMS(P("s", STRING), P("one", LIST_ONE))),
      "a LIST_ONE without the LIST" },
    { ROW(PARAMS(P_CHOICE(NULL))), "a CHOICE without choices" },
    { ROW(PARAMS(CHOICE({ NULL, NULL }))), "a CHOICE without choices" },
    { ROW(PARAMS(CHOICE({ "a", NULL }))), "a CHOICE without SQL" },
    { ROW(PARAMS(CHOICE({ "a", "a" }, { "b", "b" }, { "a", "c" }))),
      "a CHOICE with one value twice" },
    { ROW(PARAMS(CHOICE({ "a", "$s" }))), "a CHOICE whose SQL names" },
    { ROW(PARAMS(CHOICE({ "a", "a" }, { "b", "'b" }))), "a CHOICE whose SQL" },
    { ROW(PARAMS(CHOICE({ "a", "[[a" }))), "a CHOICE whose SQL names" },
    { ROW(PARAMS(P_SINCE("from", "to"))), "a DATE since none" },
    { ROW(PARAMS(P_SINCE("from", "to"), P("to", DATE))), "a DATE since none" },
    { ROW(PARAMS(P("to", STRING), P_SINCE("from", "to"))),
      "a DATE since none" },
    { ROW(PARAMS(P("t", TEXT))), "a TEXT without a default" },
    { ROW(PARAMS({ "i", NGX_SF_PARAM_INT_STRICT, NULL, 0, 2, 1, NULL, NULL,
                   NULL })), "an INT_STRICT whose bounds" },
    { ROW(PARAMS(P("page", PAGE))), "not one PAGE for one PAGE_SIZE" },
    { ROW(PARAMS(P_SIZE(20, 0))), "not one PAGE for one PAGE_SIZE" },
    { ROW(PARAMS(PAGES, P("p", PAGE), P("z", PAGE_SIZE))),
      "a PAGE_SIZE whose default" },
    { ROW(PARAMS(P("page", PAGE), P_SIZE(20, 10))),
      "a PAGE_SIZE whose default" },
    { ROW(.sql = "SELECT 1 $page"), "$page without a PAGE" },
    { ROW(.total = "SELECT 1"), "a total without pages" },

    /* shapes */

    { ROW(SHAPE(F("a", PARAM, 1))), "a parameter in its shape" },
    { ROW(SHAPE(F("a", PARAM_INT, -1))), "a parameter in its shape" },
    { ROW(SHAPE(F("a", TOTAL, 0))), "a total in its shape" },
    { ROW(SHAPE(F("a", PAGE, 0))), "a total in its shape" },
    { ROW(SHAPE(F("a", INT, -1))), "a cell in its shape" },
    { ROW(.sql = NULL), "a cell in its shape" },
    { ROW(SHAPE(F("a", LITERAL, 0))), "a literal without text" },
    { ROW(SHAPE(F("a", ROWS, -1))), "a container without fields" },
    { ROW(SHAPE(F("a", INT, 0), F(NULL, INT, 1))), "a field without a key" }
};

#pragma GCC diagnostic pop


static ngx_conf_t  test_cf;
static ngx_log_t   test_log;
static char        test_said[2 * NGX_MAX_ERROR_STR];


static void
test_hear(ngx_log_t *log, ngx_uint_t level, u_char *buf, size_t len)
{
    (void) snprintf(test_said, sizeof(test_said), "%.*s", (int) len, buf);
}


/* whether the rows are refused with these words; NULL: they are right */

static ngx_uint_t
test_said_of(const ngx_sf_row_t *rows, const char *wrong)
{
    ngx_int_t  rc;

    test_said[0] = '\0';
    rc = ngx_sf_rows_check(&test_cf, rows);

    return wrong ? rc == NGX_ERROR && strstr(test_said, wrong) != NULL
                 : rc == NGX_OK && test_said[0] == '\0';
}


static void
test_rows(void)
{
    char          wrong[256];
    ngx_uint_t    i;
    ngx_sf_row_t  rows[2];

    for (i = 0; i < sizeof(test_cases) / sizeof(test_cases[0]); i++) {
        ngx_memzero(rows, sizeof(rows));
        rows[0] = test_cases[i].row;

        if (test_cases[i].wrong) {
            (void) sprintf(wrong, "endpoint \"%s\" has %s", rows[0].name,
                           test_cases[i].wrong);
        }

        unit_ok(test_said_of(rows, test_cases[i].wrong ? wrong : NULL),
                "%lu: %s: %s", (unsigned long) i,
                test_cases[i].wrong ? test_cases[i].wrong : "right",
                test_said);
    }
}


/* what only several rows can say wrongly */

static void
test_tables(void)
{
    ngx_uint_t           i;

    static char          names[NGX_SF_ROWS + 1][16];
    static char          paths[NGX_SF_ROWS + 1][16];
    static ngx_sf_row_t  rows[NGX_SF_ROWS + 2];

    for (i = 0; i <= NGX_SF_ROWS; i++) {
        (void) sprintf(names[i], "row_%lu", (unsigned long) i);
        (void) sprintf(paths[i], "/row/%lu", (unsigned long) i);

        rows[i] = test_cases[0].row;
        rows[i].name = names[i];
        rows[i].path = paths[i];
        rows[i].missing = names[i];
    }

    rows[NGX_SF_ROWS].name = NULL;
    unit_ok(test_said_of(rows, NULL), "as many as there may be");
    rows[NGX_SF_ROWS].name = names[NGX_SF_ROWS];
    unit_ok(test_said_of(rows, "there are 501 endpoints, there may be 500"),
            "one more: %s", test_said);

    for (i = 0; i <= 64; i++) {
        rows[i].product = names[i];
    }

    unit_ok(test_said_of(rows, "endpoint \"row_64\" has a product too many"),
            "65 products: %s", test_said);

    rows[64].product = names[3];
    unit_ok(test_said_of(rows, "there are 501 endpoints"),
            "64 products: %s", test_said);

    rows[3].name = NULL;
    rows[2].name = names[0];
    unit_ok(test_said_of(rows, "endpoint \"row_0\" has the name of another"),
            "a name twice: %s", test_said);

    rows[2].name = names[2];
    rows[2].path = paths[1];
    unit_ok(test_said_of(rows, "endpoint \"row_2\" has the path and the"),
            "a path twice: %s", test_said);

    rows[2].method = NGX_HTTP_POST|NGX_HTTP_GET;
    unit_ok(test_said_of(rows, "endpoint \"row_2\" has the path and the"),
            "a method of it twice: %s", test_said);

    rows[2].method = NGX_HTTP_POST;
    unit_ok(test_said_of(rows, NULL), "with another method: %s", test_said);

    rows[2].missing = rows[0].missing;
    unit_ok(test_said_of(rows, "endpoint \"row_2\" has the statement, the "
                               "parameters, the tags and the shape of "
                               "endpoint \"row_0\""),
            "all of it twice: %s", test_said);

    rows[2].sql = "SELECT $s /* again */";
    unit_ok(test_said_of(rows, NULL), "with another comment: %s", test_said);

    rows[2].sql = NULL;
    rows[2].shape = NULL;
    rows[2].missing = NULL;
    rows[2].body = "{}";
    rows[1] = rows[2];
    rows[1].name = names[1];
    rows[1].path = paths[0];
    unit_ok(test_said_of(rows, NULL), "a document twice: %s", test_said);
}


int
main(void)
{
    unit_init();
    endpoints_conf(&test_cf, unit_pool);

    ngx_use_stderr = 0;
    test_log = unit_log;
    test_log.writer = test_hear;
    test_cf.log = &test_log;

    test_rows();
    test_tables();

    unit_ok(test_said_of(ngx_sf_api, NULL), "the rows of the API: %s",
            test_said);

    return unit_done();
}

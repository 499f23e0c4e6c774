
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What a definition's identity depends on, member by member; and that two
 * definitions which only look the same when they are written one after the
 * other have two of them.
 */


#include "ngx_sf_api.h"
#include "unit.h"


#define TEST_CASES  64


/* a definition in which nothing is missing */

static ngx_sf_choice_t      test_choices[] = {
    { "newest", "id DESC" }, { "oldest", "id" }, { NULL, NULL }
};

static ngx_sf_choice_t      test_other_choices[] = {
    { "newest", "id DESC" }, { NULL, NULL }
};

static ngx_sf_param_t       test_params[] = {
    { "s", NGX_SF_PARAM_TEXT, "t", "u", 1, 2, "v", "w", 3, 4, test_choices,
      "x", 5 },
    { .name = "order", .type = NGX_SF_PARAM_CHOICE },
    { .name = NULL, .type = NGX_SF_PARAM_END },
    { .name = NULL, .type = NGX_SF_PARAM_END }
};

static ngx_sf_param_t       test_other_params[] = {
    { .name = NULL, .type = NGX_SF_PARAM_END }
};

static ngx_sf_check_t       test_checks[] = {
    { "mine", 403, "not yours" }, { "open", 400, "closed" }, { NULL, 0, NULL }
};

static ngx_sf_check_t       test_other_checks[] = {
    { "mine", 403, "not yours" }, { NULL, 0, NULL }
};

static ngx_sf_row_t         test_row = {
    .name = "name", .path = "/path", .method = NGX_HTTP_GET,
    .app_methods = NGX_HTTP_POST, .access = NGX_SF_USER, .product = "product",
    .params = test_params, .lane = NGX_SF_PG_READ, .sql = "SELECT 1",
    .tags = "users", .ttl = 1, .ttl_said = 1, .total = "SELECT 2",
    .total_tags = "payments", .expires = "expires", .json = "{*}",
    .missing = "missing", .missing_status = 404, .checks = test_checks,
    .summary = "summary", .file = "file", .line = 1
};


typedef enum {
    TEST_NUMBER = 0,
    TEST_TEXT,
    TEST_POINTER
} test_form_e;


typedef struct {
    const char   *name;
    void         *base;
    size_t        offset;
    size_t        size;
    test_form_e   form;
    const void   *other;    /* POINTER */
    ngx_uint_t    matters;
} test_member_t;


#define MEMBER(of, type, member, form, other, matters)                        \
    { #type "." #member, of, offsetof(type, member),                          \
      sizeof(((type *) 0)->member), form, other, matters }

#define ROW(member, form, matters)                                            \
    MEMBER(&test_row, ngx_sf_row_t, member, form, NULL, matters)
#define PARAM(member, form)                                                   \
    MEMBER(test_params, ngx_sf_param_t, member, form, NULL, 1)
#define CHOICE(member)                                                        \
    MEMBER(&test_choices[1], ngx_sf_choice_t, member, TEST_TEXT, NULL, 1)
#define CHECK(member, form)                                                   \
    MEMBER(test_checks, ngx_sf_check_t, member, form, NULL, 1)


static const test_member_t  test_members[] = {

    /* how it is reached, by whom and when */

    ROW(name, TEST_TEXT, 0),
    ROW(path, TEST_TEXT, 0),
    ROW(method, TEST_NUMBER, 0),
    ROW(app_methods, TEST_NUMBER, 0),
    ROW(access, TEST_NUMBER, 0),
    ROW(product, TEST_TEXT, 0),
    ROW(lane, TEST_NUMBER, 0),
    ROW(ttl, TEST_NUMBER, 0),
    ROW(ttl_said, TEST_NUMBER, 0),

    /* of those that have no statement, and what only people read */

    ROW(document, TEST_NUMBER, 0),
    ROW(summary, TEST_TEXT, 0),
    ROW(denied, TEST_TEXT, 0),
    ROW(file, TEST_TEXT, 0),
    ROW(line, TEST_NUMBER, 0),

    ROW(sql, TEST_TEXT, 1),
    ROW(tags, TEST_TEXT, 1),
    ROW(total, TEST_TEXT, 1),
    ROW(total_tags, TEST_TEXT, 1),
    ROW(expires, TEST_TEXT, 1),
    ROW(json, TEST_TEXT, 1),
    ROW(missing, TEST_TEXT, 1),
    ROW(missing_status, TEST_NUMBER, 1),
    MEMBER(&test_row, ngx_sf_row_t, params, TEST_POINTER, test_other_params,
           1),
    MEMBER(&test_row, ngx_sf_row_t, checks, TEST_POINTER, test_other_checks,
           1),

    PARAM(name, TEST_TEXT),
    PARAM(type, TEST_NUMBER),
    PARAM(alias, TEST_TEXT),
    PARAM(def, TEST_TEXT),
    PARAM(min, TEST_NUMBER),
    PARAM(max, TEST_NUMBER),
    PARAM(unset, TEST_TEXT),
    PARAM(invalid, TEST_TEXT),
    PARAM(lenient, TEST_NUMBER),
    PARAM(path, TEST_NUMBER),
    PARAM(since, TEST_TEXT),
    PARAM(number, TEST_NUMBER),
    MEMBER(test_params, ngx_sf_param_t, choices, TEST_POINTER,
           test_other_choices, 1),

    CHOICE(value),
    CHOICE(sql),

    CHECK(column, TEST_TEXT),
    CHECK(status, TEST_NUMBER),
    CHECK(text, TEST_TEXT),

    { NULL, NULL, 0, 0, 0, NULL, 0 }
};


/* all identities so far that should differ */

static u_char      test_ids[TEST_CASES][NGX_SF_IDENTITY_LEN];
static ngx_uint_t  test_nids;


static ngx_uint_t
test_same(const u_char *one, const u_char *other)
{
    return ngx_memcmp(one, other, NGX_SF_IDENTITY_LEN) == 0;
}


/* whether a definition is told from all that were seen before it */

static ngx_uint_t
test_new(ngx_uint_t kind)
{
    u_char      *id;
    ngx_uint_t   i;

    id = test_ids[test_nids];
    ngx_sf_identity(&test_row, kind, id);

    for (i = 0; i < test_nids; i++) {
        if (test_same(test_ids[i], id)) {
            return 0;
        }
    }

    return ++test_nids < TEST_CASES;
}


/* each byte of a number counts, and of a text each letter and its length */

static void
test_member(const test_member_t *m)
{
    char         longer[64];
    u_char      *place, kept[sizeof(void *)];
    ngx_uint_t   i, moved, n;
    const char  *text, *texts[3];

    u_char       id[NGX_SF_IDENTITY_LEN];

    place = (u_char *) m->base + m->offset;
    ngx_memcpy(kept, place, m->size);

    moved = 0;
    n = m->form == TEST_NUMBER ? m->size : m->form == TEST_TEXT ? 3 : 1;

    if (m->form == TEST_TEXT) {
        ngx_memcpy(&text, kept, sizeof(text));
        (void) snprintf(longer, sizeof(longer), "%s ", text);

        texts[0] = NULL;
        texts[1] = longer;
        texts[2] = longer + 1;
    }

    for (i = 0; i < n; i++) {

        switch (m->form) {

        case TEST_NUMBER:
            place[i] ^= 1;
            break;

        case TEST_TEXT:
            ngx_memcpy(place, &texts[i], sizeof(char *));
            break;

        default: /* TEST_POINTER */
            ngx_memcpy(place, &m->other, sizeof(void *));
            break;
        }

        ngx_sf_identity(&test_row, 0, id);
        moved += !test_same(test_ids[0], id);

        ngx_memcpy(place, kept, m->size);
    }

    unit_ok(moved == (m->matters ? n : 0), "%s %s", m->name,
            m->matters ? "counts" : "does not count");
}


/* a member that nobody has thought of here leaves a hole in its structure */

static void
test_complete(const void *base, size_t size, const char *what)
{
    size_t                i, hole, widest;
    u_char                seen[sizeof(ngx_sf_row_t)];
    const test_member_t  *m;

    ngx_memzero(seen, sizeof(seen));

    for (m = test_members; m->name; m++) {
        if (m->base == base) {
            ngx_memset(&seen[m->offset], 1, m->size);
        }
    }

    widest = 0;
    hole = 0;

    for (i = 0; i < size; i++) {
        hole = seen[i] ? 0 : hole + 1;
        widest = ngx_max(widest, hole);
    }

    unit_ok(widest < sizeof(void *), "all members of %s are tried", what);
}


/* the same texts and elements, put together in another way */

static void
test_framing(void)
{
    ngx_sf_param_t   param;
    ngx_sf_check_t   check;
    ngx_sf_choice_t  choice;

    unit_ok(test_new(1), "another kind");

    test_row.sql = "SELECT 1users";
    test_row.tags = "";
    unit_ok(test_new(0), "a text that has moved into the one before");

    test_row.tags = NULL;
    unit_ok(test_new(0), "no text in place of an empty one");

    /* what stands in front of a text may stand in one, too */

    test_row.sql = "SELECT\2 1";
    test_row.tags = "users";
    unit_ok(test_new(0), "texts that are cut behind the first word");

    test_row.sql = "SELECT";
    test_row.tags = " 1\2users";
    unit_ok(test_new(0), "and before it");

    test_row.sql = "SELECT 1";
    test_row.tags = "users";

    test_row.missing = NULL;
    unit_ok(test_new(0), "a text less");

    test_row.missing = "{*}";
    test_row.json = NULL;
    unit_ok(test_new(0), "the same text in place of another one");

    test_row.missing = "missing";
    test_row.json = "{*}";

    param = test_params[0];
    test_params[0] = test_params[1];
    test_params[1] = param;
    unit_ok(test_new(0), "parameters in another order");

    test_params[1] = test_params[0];
    test_params[0] = param;
    test_params[1].choices = test_choices;
    test_params[0].choices = NULL;
    unit_ok(test_new(0), "choices that belong to the next parameter");

    test_params[0].choices = test_choices;
    test_params[1].choices = NULL;
    test_params[1].type = NGX_SF_PARAM_END;
    unit_ok(test_new(0), "a parameter less");

    test_params[1].type = NGX_SF_PARAM_CHOICE;
    test_params[2].type = NGX_SF_PARAM_TEXT;
    unit_ok(test_new(0), "a parameter more");

    test_params[2].type = NGX_SF_PARAM_END;

    choice = test_choices[0];
    test_choices[0] = test_choices[1];
    test_choices[1] = choice;
    unit_ok(test_new(0), "choices in another order");

    choice = test_choices[0];
    test_choices[0] = test_choices[1];
    test_choices[1] = choice;

    check = test_checks[0];
    test_checks[0] = test_checks[1];
    test_checks[1] = check;
    unit_ok(test_new(0), "checks in another order");

    check = test_checks[0];
    test_checks[0] = test_checks[1];
    test_checks[1] = check;

    test_row.checks = NULL;
    unit_ok(test_new(0), "none");

    test_row.checks = test_checks;
    test_row.params = NULL;
    unit_ok(test_new(0), "no table of parameters in place of an empty one");

    test_row.params = test_params;
    ngx_sf_identity(&test_row, 0, test_ids[test_nids]);
    unit_ok(test_same(test_ids[0], test_ids[test_nids]), "and all as it was");
}


int
main(void)
{
    const test_member_t  *m;

    unit_init();

    unit_ok(test_new(0), "the first");

    for (m = test_members; m->name; m++) {
        test_member(m);
    }

    test_complete(&test_row, sizeof(ngx_sf_row_t), "a row");
    test_complete(test_params, sizeof(ngx_sf_param_t), "a parameter");
    test_complete(&test_choices[1], sizeof(ngx_sf_choice_t), "a choice");
    test_complete(test_checks, sizeof(ngx_sf_check_t), "a check");

    test_framing();

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Templates and the texts and values that come of them; what is said of those
 * that are refused; fragments and clocks.
 */


#include "ngx_sf_api.h"
#include "ngx_sf_sql.h"
#include "unit.h"


#define TEST_MAX_PAGE_SIZE  500


#define P(param, kind, ...)                                                   \
    { .name = param, .type = NGX_SF_PARAM_##kind, .min = -NGX_SF_NO_LIMIT,    \
      .max = NGX_SF_NO_LIMIT, __VA_ARGS__ }
#define P_END  { .type = NGX_SF_PARAM_END }


static const ngx_sf_choice_t  test_orders[] = {
    { "id", "id" },
    { "name", "name DESC, a_column_with_a_rather_long_name_indeed, id" },
    { "none", "" },
    { NULL, NULL }
};

static const ngx_sf_param_t  test_params[] = {
    P("page", PAGE),
    P("per_page", PAGE_SIZE, .number = 7),
    P("s", TEXT),
    P("t", TEXT),
    P("i", INT, .unset = "0", .lenient = 1),
    P("l", LIST),
    P("one", LIST_ONE),
    P("order", CHOICE, .choices = test_orders, .lenient = 1),
    P("id", ID, .path = 1),
    P("n", NUMBER),
    P("b", BOOL),
    P("u", UUID),
    P("d", DATE),
    P("ts", TIME),
    P("q", SEARCH, .lenient = 1),
    P_END
};

/* some without pages, some with all that a message can show */

static const ngx_sf_param_t  test_no_params[] = { P_END };

static const ngx_sf_row_t  test_row = {
    .name = "test",
    .params = test_params,
    .file = "conf/api/test.conf",
    .line = 17
};

static const ngx_sf_row_t  test_bare_row = {
    .name = "principal"
};

static const ngx_sf_row_t  test_pageless_row = {
    .name = "pageless",
    .params = test_no_params,
    .file = "a.conf",
    .line = 1
};


/* all behind "SELECT " */

typedef struct {
    const char  *sql;
    const char  *query;
    const char  *want;          /* text, then values after bars */
} test_case_t;


static const test_case_t  test_cases[] = {

    { "1", "", "1" },
    { "1", "s=x&page=2", "1" },
    { "", "", "" },

    /* bound once, numbered as they come */

    { "a = $s", "s=x", "a = $1|x" },
    { "a = $s OR b = $s", "s=x", "a = $1 OR b = $1|x" },
    { "$t $s $t $s", "s=x&t=y", "$1 $2 $1 $2|y|x" },
    { "$s+$t", "s=x&t=y", "$1+$2|x|y" },
    { "$s::text, ($s)", "s=x", "$1::text, ($1)|x" },
    { "$s,$user,$s,$user", "s=x", "$1,$2::bigint,$1,$2::bigint|x|42" },
    { "$user", "s=x", "$1::bigint|42" },
    { "$schema.a, $schema.b", "", "\"public\".a, \"public\".b" },
    { "$s_t", NULL, NULL },
    { "$s", "s=';%20DROP%20TABLE%20users;%20--", "$1|'; DROP TABLE users; --"
    },
    { "$s", "s=$t[[]]", "$1|$t[[]]" },

    /* a value that is not set is NULL, an empty one is not set */

    { "$s", "", "$1|<null>" },
    { "$s", "s=", "$1|<null>" },
    { "$i", "i=x", "$1::bigint|<null>" },
    { "$i, $s", "s=x", "$1::bigint, $2|<null>|x" },

    /* a cast to the type, unless one follows at once */

    { "$id", "", "$1::bigint|1" },
    { "$id::integer", "", "$1::integer|1" },
    { "$i::int", "i=7", "$1::int|7" },
    { "$i ::int", "i=7", "$1::bigint ::int|7" },
    { "$i:", "i=7", "$1::bigint:|7" },
    { "$i::int, $i", "i=7", "$1::int, $1::bigint|7" },
    { "$n", "n=1.5", "$1::numeric|1.5" },
    { "$n::float8", "n=1.5", "$1::float8|1.5" },
    { "$b", "b=on", "$1::boolean|true" },
    { "$u", "u=01234567-89AB-cdef-0123-456789abcdef",
      "$1::uuid|01234567-89ab-cdef-0123-456789abcdef" },
    { "$d", "d=20240229", "$1::date|2024-02-29" },
    { "$ts", "ts=2024-02-29+10:11", "$1::timestamptz|2024-02-29T10:11:00" },
    { "$ts::timestamp", "ts=2024-02-29+10:11",
      "$1::timestamp|2024-02-29T10:11:00" },
    { "$l", "l=a,b", "$1::text[]|{\"a\",\"b\"}" },
    { "$one", "l=a", "$1|a" },
    { "$q", "q=a_b", "$1|%a\\_b%" },
    { "$user::text", "", "$1::bigint::text|42" },

    /* groups: by the first parameter inside */

    { "a[[ AND s = $s]] z", "s=x", "a AND s = $1 z|x" },
    { "a[[ AND s = $s]] z", "s=", "a z" },
    { "a[[ AND s = $s]] z", "", "a z" },
    { "a[[ AND s = $s]][[ AND t = $t]]", "t=y", "a AND t = $1|y" },
    { "a[[ AND s = $s]][[ AND t = $t]]", "s=x", "a AND s = $1|x" },
    { "a[[ AND s = $s]][[ AND t = $t]]", "s=x&t=y",
      "a AND s = $1 AND t = $2|x|y" },
    { "[[$s]][[$s]]", "s=x", "$1$1|x" },
    { "[[$s]][[$s]]", "", "" },
    { "[[s = $s AND u = $user]]", "s=x", "s = $1 AND u = $2::bigint|x|42" },
    { "[[s = $s AND u = $user]]", "", "" },
    { "[[$schema.a = $s]]", "s=x", "\"public\".a = $1|x" },
    { "[[$schema.a = $s]]", "", "" },
    { "[[$s, $t]]", "s=x", "$1, $2|x|<null>" },
    { "[[$s, $t]]", "t=y", "" },
    { "$t[[ $s]] $t", "s=x&t=y", "$1 $2 $1|y|x" },
    { "[[i = $i]]", "i=0", "" },
    { "[[i = $i]]", "i=-5", "i = $1::bigint|-5" },

    /* brackets that are none of a group's */

    { "l = ANY ($l::text[])", "l=a,b", "l = ANY ($1::text[])|{\"a\",\"b\"}" },
    { "[[l = ANY ($l::text[])]]", "l=a,b",
      "l = ANY ($1::text[])|{\"a\",\"b\"}" },
    { "[[l = $one]][[l = ANY ($l::text[])]]", "l=a", "l = $1|a" },
    { "[[l = $one]][[l = ANY ($l::text[])]]", "l=a,b",
      "l = ANY ($1::text[])|{\"a\",\"b\"}" },
    { "[[l = $one]][[l = ANY ($l::text[])]]", "l=", "" },
    { "(array_agg(a))[1], ARRAY[1, 2]", "", "(array_agg(a))[1], ARRAY[1, 2]"
    },

    { "[[s = $s[$i]]]", "s=x", "s = $1[$2::bigint]|x|<null>" },
    { "[[s = a[b[$i]]]]", "i=1",
      "s = a[b[$1::bigint]]|1" },
    { "[[s = a[b[$i]]]]", "", "" },
    { "[[a[b[1]] = $s]]", "s=x", "a[b[1]] = $1|x" },
    { "a[ [[$s]]]", "s=x", "a[ $1]|x" },
    { "a[b[1]] $s", "s=x", "a[b[1]] $1|x" },
    { "a[b[ [[$s]] ]]", "s=x", "a[b[ $1 ]]|x" },
    { "ARRAY[ [1, 2], [3, 4] ]", "", "ARRAY[ [1, 2], [3, 4] ]" },
    { "a[1", "", "a[1" },
    { "a]", "", "a]" },

    /* nothing is looked for where SQL quotes */

    { "'$5.00'", "", "'$5.00'" },
    { "'$s [[' $s", "s=x", "'$s [[' $1|x" },
    { "'it''s $s' $s", "s=x", "'it''s $s' $1|x" },
    { "'' $s ''", "s=x", "'' $1 ''|x" },
    { "'\\' $s", "s=x", "'\\' $1|x" },
    { "some_e'\\' $s", "s=x", "some_e'\\' $1|x" },
    { "U&'\\0024' $s", "s=x", "U&'\\0024' $1|x" },
    { "E'it\\'s $s' $s", "s=x", "E'it\\'s $s' $1|x" },
    { "e'it''s $s' $s", "s=x", "e'it''s $s' $1|x" },
    { "E'\\\\' $s", "s=x", "E'\\\\' $1|x" },
    { "E'a' '\\' $s", "s=x", "E'a' '\\' $1|x" },
    { "E'a' \n\t'\\' $s' $s", "s=x", "E'a' \n\t'\\' $s' $1|x" },
    { "E'a' -- '\n '\\' $s' $s", "s=x", "E'a' -- '\n '\\' $s' $1|x" },
    { "E'a' - $s", "s=x", "E'a' - $1|x" },
    { "\"$s [[\" $s", "s=x", "\"$s [[\" $1|x" },
    { "\"a\"\"$s\" $s", "s=x", "\"a\"\"$s\" $1|x" },
    { "$$ $s [[ '$$ $s", "s=x", "$$ $s [[ '$$ $1|x" },
    { "$a$ $s $b$ $$ $a$ $s", "s=x", "$a$ $s $b$ $$ $a$ $1|x" },
    { "$a$$s$a$", "", "$a$$s$a$" },
    { "-- $s [[ '\n$s", "s=x", "-- $s [[ '\n$1|x" },
    { "$s -- $t", "s=x", "$1 -- $t|x" },
    { "1 - -$s", "s=x", "1 - -$1|x" },
    { "/* $s [[ ' */ $s", "s=x", "/* $s [[ ' */ $1|x" },
    { "/* /* ' */ $t */ $s", "s=x", "/* /* ' */ $t */ $1|x" },
    { "4 / 2 * $s", "s=x", "4 / 2 * $1|x" },
    { "price$s + $s", "s=x", "price$s + $1|x" },
    { "[[a = ']]' AND s = $s]]", "s=x", "a = ']]' AND s = $1|x" },
    { "[[a = ']]' AND s = $s]]", "", "" },

    /* what has no end, and groups that are none */

    { "'a", NULL, NULL },
    { "'it''s", NULL, NULL },
    { "E'a\\'", NULL, NULL },
    { "E'a\\", NULL, NULL },
    { "E'a'\n'", NULL, NULL },
    { "\"a", NULL, NULL },
    { "$$ a", NULL, NULL },
    { "$a$ $b$", NULL, NULL },
    { "$s$t", NULL, NULL },
    { "/* /* */", NULL, NULL },
    { "/*", NULL, NULL },
    { "[[ $s", NULL, NULL },
    { "[[ $s ]", NULL, NULL },
    { "[[ a[$s ]]", NULL, NULL },
    { "]]", NULL, NULL },
    { "[[$s]]]]", NULL, NULL },
    { "[[ [[$s]] ]]", NULL, NULL },
    { "[[ '$s' ]]", NULL, NULL },
    { "[[ $user ]]", NULL, NULL },
    { "[[u = $user AND s = $s]]", NULL, NULL },
    { "ARRAY[[1, 2]]", NULL, NULL },

    /* choices stand in the text */

    { "ORDER BY $order", "", "ORDER BY id" },
    { "ORDER BY $order", "order=name",
      "ORDER BY name DESC, a_column_with_a_rather_long_name_indeed, id" },
    { "ORDER BY $order", "order=id;DROP", "ORDER BY id" },
    { "$order $order", "order=id", "id id" },
    { "<$order>", "order=none", "<>" },
    { "[[a $order b]]", "order=none", "a  b" },

    /* the first page of default size is a literal */

    { "x $limit", "", "x LIMIT 7" },
    { "x $limit", "page=1&per_page=7", "x LIMIT 7" },
    { "x $limit", "page=2", "x LIMIT $1 OFFSET $2|7|7" },
    { "x $limit", "per_page=8", "x LIMIT $1 OFFSET $2|8|0" },
    { "x $limit", "page=3&per_page=100", "x LIMIT $1 OFFSET $2|100|200" },
    { "x $limit", "page=2&per_page=999999", "x LIMIT $1 OFFSET $2|500|500" },
    { "$s $limit $user", "s=x&page=2",
      "$1 LIMIT $2 OFFSET $3 $4::bigint|x|7|7|42" },
    { "($limit) ($limit)", "page=2",
      "(LIMIT $1 OFFSET $2) (LIMIT $1 OFFSET $2)|7|7" },
    { "($limit) ($limit)", "", "(LIMIT 7) (LIMIT 7)" },

    /* names that are no parameters */

    { "$", NULL, NULL },
    { "$1", NULL, NULL },
    { "a = $", NULL, NULL },
    { "$S", NULL, NULL },
    { "$users", NULL, NULL },
    { "$limits", NULL, NULL },
    { "$page", NULL, NULL },
    { "$per_page", NULL, NULL },
    { "$sx", NULL, NULL },
    { "$s1", NULL, NULL },
    { "$nothing", NULL, NULL },
    { "[[ $nothing ]]", NULL, NULL },

    { NULL, NULL, NULL }
};


static ngx_conf_t          test_cf;
static ngx_sf_pg_conf_t    test_primary;
static ngx_sf_param_env_t  test_env;

static u_char              test_said[NGX_MAX_ERROR_STR];
static size_t              test_said_len;


static void
test_writer(ngx_log_t *log, ngx_uint_t level, u_char *text, size_t len)
{
    ngx_memcpy(test_said, text, len);
    test_said_len = len;
}


/* with what is logged in test_said */

static ngx_sf_statement_t *
test_compile(const ngx_sf_row_t *row, const char *what, const char *sql,
    ngx_uint_t *next)
{
    ngx_sf_statement_t  *st;

    test_said_len = 0;
    ngx_use_stderr = 0;
    unit_log.writer = test_writer;

    st = ngx_sf_statement_compile(&test_cf, row, what, sql, 1, next);
    unit_log.writer = NULL;
    ngx_use_stderr = 1;

    return st;
}


static void
test_variants(ngx_sf_variants_t *variants, ngx_uint_t n)
{
    variants->pool = unit_pool;
    variants->n = n;
    variants->made = ngx_pcalloc(unit_pool, n * sizeof(void *));
}


/* text and values as one; each of them in memory of just its size */

static void
test_show(ngx_sf_statement_t *st, const ngx_sf_variants_t *variants,
    const char *query, ngx_str_t *out)
{
    u_char                  *p;
    ngx_str_t                id, args;
    ngx_uint_t               i;
    const char             **values;
    ngx_sf_params_t          params;
    ngx_sf_bind_source_t     source;
    ngx_sf_pg_statement_t   *variant;

    ngx_str_set(&id, "1");
    args = unit_str(query, strlen(query));

    p = ngx_pnalloc(unit_pool, 4096);
    out->data = p;
    out->len = 0;

    if (ngx_sf_params_read(unit_pool, test_params, &id, &args, &test_env,
                           &params)
        != NGX_OK || params.status)
    {
        return;
    }

    ngx_memzero(&source, sizeof(ngx_sf_bind_source_t));

    source.values = params.values;
    source.user = 42;
    source.page_size = params.page_size;
    source.offset = params.offset;
    source.first = params.first;

    variant = ngx_sf_statement_variant(variants, &test_primary, st, &source);
    values = ngx_sf_statement_bind(unit_pool, variant, &source);

    p = ngx_sprintf(p, "%s", variant->text);

    for (i = 0; i < variant->nvalues; i++) {
        p = ngx_sprintf(p, "|%s", values[i] ? values[i] : "<null>");
    }

    out->len = p - out->data;
}


static void
test_templates(void)
{
    char                     sql[1024], want[1024];
    ngx_str_t                out;
    ngx_uint_t               next;
    ngx_sf_variants_t        variants;
    const test_case_t       *c;
    ngx_sf_statement_t      *st;

    for (c = test_cases; c->sql; c++) {
        next = 3;

        (void) snprintf(sql, sizeof(sql), "SELECT %s", c->sql);
        st = test_compile(&test_row, "sql", sql, &next);

        if (c->want == NULL) {
            unit_ok(st == NULL && test_said_len, "refused: %s", c->sql);
            continue;
        }

        (void) snprintf(want, sizeof(want), "/* test */ SELECT %s", c->want);

        test_variants(&variants, next);
        test_show(st, &variants, c->query, &out);
        unit_is(&out, want, "%s: %s", c->sql, c->query);
    }
}


typedef struct {
    const ngx_sf_row_t  *row;
    const char          *what;
    const char          *sql;
    const char          *want;
} test_message_t;


#define TEST_PLACE  "of endpoint \"test\" in conf/api/test.conf:17 "
#define TEST_SQL    "sql " TEST_PLACE
#define TEST_BEGIN                                                            \
    ", it has to begin with SELECT, WITH, VALUES or TABLE"


static const test_message_t  test_messages[] = {
    { &test_row, "sql", "SELECT $x",
      TEST_SQL "names \"$x\", which is no parameter of it, there are: "
      "$s, $t, $i, $l, $one, $order, $id, $n, $b, $u, $d, $ts, $q, $limit, "
      "$user, $schema" },
    { &test_row, "total", "SELECT $page",
      "total " TEST_PLACE "names \"$page\", which is no parameter of it, there "
      "are: $s, $t, $i, $l, $one, $order, $id, $n, $b, $u, $d, $ts, $q, "
      "$limit, $user, $schema" },
    { &test_bare_row, "sql", "SELECT $x",
      "sql of endpoint \"principal\" names \"$x\", which is no "
      "parameter of it, there are: $user, $schema" },
    { &test_pageless_row, "sql", "SELECT $limit",
      "sql of endpoint \"pageless\" in a.conf:1 names \"$limit\", but the "
      "endpoint has no page" },
    { &test_row, "sql", "SELECT 'a", TEST_SQL "has a string without an "
      "end" },
    { &test_row, "sql", "SELECT [[a]]",
      TEST_SQL "has a group without a parameter" },
    { &test_row, "sql", "SELECT [[u = $user AND s = $s]]",
      TEST_SQL "has a group of which the first name is \"$user\", it "
      "has to be that of the parameter without which the group is left out" },
    { &test_row, "sql", "DELETE FROM a",
      TEST_SQL "begins with \"DELETE\"" TEST_BEGIN },
    { &test_row, "sql", "  -- SELECT\n /* SELECT */ update a SET b = 1",
      TEST_SQL "begins with \"update\"" TEST_BEGIN },
    { &test_row, "sql", "selects 1",
      TEST_SQL "begins with \"selects\"" TEST_BEGIN },
    { &test_row, "sql", "", TEST_SQL "begins with \"nothing\""
      TEST_BEGIN },
    { &test_row, "sql", "$s", TEST_SQL "begins with \"nothing\""
      TEST_BEGIN },
    { &test_row, "sql",
      "SELECT [[$s]] [[$t]] [[$i]] [[$l]] [[$one]] [[$n]] [[$b]] [[$u]] "
      "[[$d]]",
      TEST_SQL "has more than 8 groups and choices that differ, "
      "\"$limit\" among them" },
    { NULL, NULL, NULL, NULL }
};


static void
test_refusals(void)
{
    u_char                 *p;
    ngx_str_t               said;
    ngx_uint_t              next;
    ngx_sf_statement_t     *st;
    const test_message_t   *m;

    for (m = test_messages; m->sql; m++) {
        next = 0;
        st = test_compile(m->row, m->what, m->sql, &next);

        /* behind the time and the level */

        test_said[ngx_min(test_said_len, sizeof(test_said) - 1)] = '\0';
        p = (u_char *) strstr((char *) test_said, " of endpoint");
        p = p ? p - ngx_strlen(m->what) : NULL;
        said.data = p ? p : test_said;
        said.len = p ? test_said + test_said_len - p : 0;

        if (said.len && said.data[said.len - 1] == '\n') {
            said.len--;
        }

        unit_is(&said, m->want, "said of %s", m->sql);
        unit_ok(st == NULL && next == 0, "and no ids are taken");
    }
}


static const char *const  test_beginnings[] = {
    "SELECT 1", "select 1", "WITH a AS (SELECT 1) SELECT * FROM a",
    "VALUES (1)", "TABLE a", "(SELECT 1) UNION (SELECT 2)",
    "\n /* a */ -- b\n SELECT 1", NULL
};


static void
test_begin(void)
{
    ngx_uint_t  i, next;

    for (i = 0; test_beginnings[i]; i++) {
        next = 0;
        unit_ok(test_compile(&test_bare_row, "sql", test_beginnings[i], &next)
                && next == 1, "a read: %s", test_beginnings[i]);
    }
}


/* sixty-one parameters and what is ours; one more is too many */

static void
test_binds(void)
{
    char                   *p, sql[1024], names[64][4];
    ngx_uint_t              i, n, next, user;
    ngx_sf_row_t            row;
    ngx_sf_value_t          values[64];
    ngx_sf_param_t          params[64];
    ngx_sf_variants_t       variants;
    ngx_sf_statement_t     *st;
    ngx_sf_bind_source_t    source;
    ngx_sf_pg_statement_t  *variant;

    ngx_memzero(params, sizeof(params));
    ngx_memzero(values, sizeof(values));
    ngx_memzero(&source, sizeof(ngx_sf_bind_source_t));
    ngx_memzero(&row, sizeof(ngx_sf_row_t));

    row.name = "many";
    row.params = params;
    source.values = values;
    params[0].type = NGX_SF_PARAM_PAGE_SIZE;
    params[0].name = "per_page";
    params[0].number = 7;

    p = sql + sprintf(sql, "SELECT $user");

    for (n = 1; n < 61; n++) {
        (void) sprintf(names[n], "p%u", (unsigned) n);
        params[n].name = names[n];
        params[n].type = NGX_SF_PARAM_INT;
        p += sprintf(p, ", $%s", names[n]);
    }

    (void) sprintf(p, " $limit");

    next = 0;
    st = test_compile(&row, "sql", sql, &next);
    test_variants(&variants, next);

    variant = ngx_sf_statement_variant(&variants, &test_primary, st, &source);

    unit_ok(variant->nvalues == 63
            && strstr(variant->text, "$61::bigint LIMIT $62 OFFSET $63"),
            "sixty parameters, the user and a page");
    unit_ok(ngx_sf_statement_params(st, &user) == (1ull << 61) - 2 && user,
            "all of them are named");
    unit_ok(ngx_sf_statement_bind(unit_pool, variant, &source) != NULL,
            "all of them are bound");

    for (i = n; i < 62; i++) {
        params[i].name = "x";
        params[i].type = NGX_SF_PARAM_INT;
    }

    unit_ok(test_compile(&row, "sql", "SELECT 1", &next) == NULL,
            "sixty-two parameters are refused");

    /* the names that there are, as far as there is room */

    params[61].type = NGX_SF_PARAM_END;

    for (i = 1; i < 61; i++) {
        params[i].name = "a_rather_long_name_of_a_parameter";
    }

    unit_ok(test_compile(&row, "sql", "SELECT $y", &next) == NULL
            && test_said_len < 1024 && strstr((char *) test_said, ", ..."),
            "a list of names ends");
}


static const char  test_two[] =
    "SELECT a[[ AND s = $s]][[ AND i = $i]] ORDER BY $order $limit";

static const char *const  test_queries[] = {
    "", "s=x", "i=1", "s=x&i=1", "order=name", "order=name&s=x",
    "order=name&i=1", "order=name&s=x&i=1", "order=none", "order=none&s=x",
    "order=none&i=1", "order=none&s=x&i=1", NULL
};


/* a text is made once, and its number is that of no other */

static void
test_numbers(void)
{
    u_char                   seen[64];
    ngx_str_t                out;
    ngx_uint_t               i, n, next, wrong;
    ngx_sf_variants_t        variants;
    ngx_sf_statement_t      *st, *st2;
    ngx_sf_pg_statement_t   *old[64];

    next = 5;
    wrong = 0;

    st = ngx_sf_statement_compile(&test_cf, &test_row, "sql", test_two, 9,
                                  &next);
    unit_ok(next == 5 + 2 * 2 * 3 * 2, "24 texts: the next id is %lu",
            (unsigned long) next);

    st2 = test_compile(&test_bare_row, "sql", "SELECT $user", &next);
    unit_ok(next == 30, "one text: the next id is %lu", (unsigned long) next);

    test_variants(&variants, next);
    ngx_memzero(seen, sizeof(seen));

    for (n = 0; test_queries[n]; n++) {
        test_show(st, &variants, test_queries[n], &out);
    }

    for (i = 5; i < next; i++) {
        seen[i] = variants.made[i] != NULL;
        old[i] = variants.made[i];

        if (old[i]) {
            wrong += old[i]->id != i || old[i]->columns != 9
                     || strcmp((char *) old[i]->name.data, "test") != 0;
            n--;
        }
    }

    unit_ok(n == 0 && wrong == 0, "12 queries, 12 texts made");
    unit_ok(variants.made[29] == NULL && st2, "none of another statement");

    for (n = 0; test_queries[n]; n++) {
        test_show(st, &variants, test_queries[n], &out);
    }

    for (i = 5; i < next; i++) {
        wrong += old[i] != variants.made[i];
    }

    unit_ok(wrong == 0, "none made again");
}


static void
test_label(void)
{
    ngx_str_t            out;
    ngx_uint_t           next;
    ngx_sf_variants_t    variants;
    ngx_sf_statement_t  *st;

    next = 0;
    st = test_compile(&test_row, "total", "SELECT count(*)", &next);

    test_variants(&variants, next);
    test_show(st, &variants, "", &out);
    unit_is(&out, "/* test total */ SELECT count(*)", "a total is labelled");

    unit_ok(!ngx_sf_statement_pages(st)
            && ngx_sf_statement_pages(test_compile(&test_row, "sql",
                                                   "TABLE a $limit", &next)),
            "one of them has pages");
}


/* values stay when the request that brought them is gone */

static void
test_copies(void)
{
    char                     text[] = "xyz";
    ngx_uint_t               next;
    const char             **values;
    ngx_sf_value_t           value[16];
    ngx_sf_variants_t        variants;
    ngx_sf_statement_t      *st;
    ngx_sf_bind_source_t     source;
    ngx_sf_pg_statement_t   *variant;

    ngx_memzero(&source, sizeof(ngx_sf_bind_source_t));
    ngx_memzero(value, sizeof(value));
    next = 0;

    st = test_compile(&test_row, "sql", "SELECT $s $user $limit", &next);
    test_variants(&variants, next);

    value[2].text.data = (u_char *) text;
    value[2].text.len = 2;
    value[2].set = 1;
    source.values = value;
    source.user = INT32_MAX;
    source.page_size = 1;
    source.offset = INT64_MAX;

    variant = ngx_sf_statement_variant(&variants, &test_primary, st, &source);
    values = ngx_sf_statement_bind(unit_pool, variant, &source);

    ngx_memset(text, '-', 3);
    ngx_memzero(&source, sizeof(ngx_sf_bind_source_t));

    unit_ok(strcmp(values[0], "xy") == 0, "a text is copied and ended");
    unit_ok(strcmp(values[1], "2147483647") == 0, "a user");
    unit_ok(strcmp(values[2], "1") == 0, "a limit");
    unit_ok(strcmp(values[3], "9223372036854775807") == 0, "an offset");
}


typedef struct {
    const char  *text;
    const char  *want;
} test_pair_t;


static const test_pair_t  test_expansions[] = {
    { "SELECT 1", "SELECT 1" },
    { "SELECT $cols FROM a", "SELECT  a, b  FROM a" },
    { "$cols", " a, b " },
    { "$cols,$cols", " a, b , a, b " },
    { "$cols$cols", "$cols$cols" },
    { "$s,$cols,$limit", "$s, a, b ,$limit" },
    { "1-$minus", "1- -1 " },
    { "'$cols' \"$cols\" $$ $cols $$ -- $cols\n/* $cols */ $cols",
      "'$cols' \"$cols\" $$ $cols $$ -- $cols\n/* $cols */  a, b " },
    { "$colsx $col $x", "$colsx $col $x" },
    { "[[AND $filters]]", "[[AND  a = $a AND u = $user ]]" },
    { "a[$one]", "a[ 1 ]" },
    { "WHERE $noted AND x", "WHERE  u = $user -- mine\n AND x" },
    { "$empty", "  " },
    { "$cols 'no end $cols", " a, b  'no end $cols" },
    { "", "" },
    { NULL, NULL }
};

static const test_pair_t  test_fragments[] = {
    { "cols", "a, b" },
    { "filters", "a = $a AND u = $user" },
    { "one", "1" },
    { "noted", "u = $user -- mine" },
    { "empty", "" },
    { "minus", "-1" },
    { "unused", "c" },
    { NULL, NULL }
};


static void
test_fragment(void)
{
    ngx_str_t           out;
    ngx_uint_t          i, used;
    ngx_array_t        *fragments;
    const test_pair_t  *pair;
    ngx_sf_fragment_t  *fragment;

    fragments = ngx_array_create(unit_pool, 8, sizeof(ngx_sf_fragment_t));

    for (pair = test_fragments; pair->text; pair++) {
        fragment = ngx_array_push(fragments);
        ngx_memzero(fragment, sizeof(ngx_sf_fragment_t));
        fragment->name.data = (u_char *) pair->text;
        fragment->name.len = strlen(pair->text);
        fragment->text = pair->want;
    }

    for (pair = test_expansions; pair->text; pair++) {
        out.data = (u_char *) ngx_sf_fragment_expand(unit_pool, fragments,
                                                     pair->text);
        out.len = strlen((char *) out.data);
        unit_is(&out, pair->want, "expanded: %s", pair->text);
    }

    fragment = fragments->elts;
    used = 0;

    for (i = 0; i < fragments->nelts; i++) {
        used += fragment[i].used;
    }

    unit_ok(used == 6 && !fragment[6].used, "those that are named are used");
}


static const test_pair_t  test_clocks[] = {
    { "SELECT 1", NULL },
    { "SELECT now()", "now()" },
    { "SELECT NOW ( )", "now()" },
    { "SELECT pg_catalog.now()", "now()" },
    { "SELECT now, a.now, nowhere()", NULL },
    { "SELECT 'now()', \"now\"(), $$now()$$ -- now()\n/* now() */", NULL },
    { "SELECT E'\\'now()'", NULL },
    { "SELECT $now (1)", NULL },
    { "a >= localtimestamp", "localtimestamp" },
    { "a >= LocalTimestamp(3)", "localtimestamp" },
    { "localtime", "localtime" },
    { "a.localtimestamp", NULL },
    { "current_date - 7", "current_date" },
    { "current_time", "current_time" },
    { "current_timestamp", "current_timestamp" },
    { "current_dates, my_current_date", NULL },
    { "clock_timestamp()", "clock_timestamp()" },
    { "statement_timestamp()", "statement_timestamp()" },
    { "transaction_timestamp()", "transaction_timestamp()" },
    { "timeofday()", "timeofday()" },
    { "age(a)", "age()" },
    { "age(a, b)", "age()" },
    { "SELECT age FROM a WHERE age > 3", NULL },
    { "page(a), average(a)", NULL },
    { "ORDER BY random()", "random()" },
    { "[[AND a > current_date AND s = $s]]", "current_date" },
    { "random(), now()", "random()" },
    { "'no end now()", NULL },
    { "", NULL },
    { NULL, NULL }
};


static void
test_clock(void)
{
    const char         *found;
    const test_pair_t  *pair;

    for (pair = test_clocks; pair->text; pair++) {
        found = ngx_sf_statement_clock(pair->text);

        unit_ok(pair->want ? found && strcmp(found, pair->want) == 0
                           : found == NULL,
                "%s in %s", pair->want ? pair->want : "no clock", pair->text);
    }
}


int
main(void)
{
    unit_init();

    test_cf.pool = unit_pool;
    test_cf.log = &unit_log;
    test_env.max_page_size = TEST_MAX_PAGE_SIZE;
    test_env.min_search = 2;
    ngx_str_set(&test_primary.quoted, "\"public\"");

    unit_ok(ngx_sf_param_env_init(&test_cf, &test_env) == NGX_OK, "regex");

    test_templates();
    test_refusals();
    test_begin();
    test_binds();
    test_numbers();
    test_label();
    test_copies();
    test_fragment();
    test_clock();

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Templates and the texts and values that come of them; then every text of
 * every row of the API.
 *
 *     unit-with: -It/tools t/tools/endpoints.c
 */


#include "endpoints.h"
#include "unit.h"


#define P_END                                                                 \
    { NULL, NGX_SF_PARAM_END, NULL, 0, 0, 0, NULL, NULL, NULL }
#define P(name, type)                                                         \
    { name, NGX_SF_PARAM_##type, NULL, 0, 0, 0, NULL, NULL, NULL }


static const ngx_sf_choice_t  test_orders[] = {
    { "id", "id" },
    { "name", "name DESC, a_column_with_a_rather_long_name_indeed, id" },
    { "none", "" },
    { NULL, NULL }
};

static const ngx_sf_param_t  test_params[] = {
    P("page", PAGE),
    { "per_page", NGX_SF_PARAM_PAGE_SIZE, NULL, 7, 1, 0, NULL, NULL, NULL },
    P("s", STRING),
    P("t", STRING),
    P("i", INT),
    P("l", LIST),
    P("one", LIST_ONE),
    { "order", NGX_SF_PARAM_CHOICE, NULL, 0, 0, 0, NULL, test_orders, NULL },
    P_END
};


typedef struct {
    const char  *sql;
    const char  *query;
    const char  *want;          /* text, then values after bars */
} test_case_t;


static const test_case_t  test_cases[] = {

    { "SELECT 1", "", "SELECT 1" },
    { "SELECT 1", "s=x&page=2", "SELECT 1" },
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

    /* a value that is not set is empty */

    { "$s", "", "$1|" },
    { "$i", "i=x", "$1|" },

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
    { "[[u = $user AND s = $s]]", "s=x", "u = $1::bigint AND s = $2|42|x" },
    { "[[u = $user AND s = $s]]", "", "" },
    { "[[$s, $t]]", "s=x", "$1, $2|x|" },
    { "[[$s, $t]]", "t=y", "" },
    { "$t[[ $s]] $t", "s=x&t=y", "$1 $2 $1|y|x" },
    { "[[i = $i]]", "i=0", "" },
    { "[[i = $i]]", "i=-5", "i = $1|-5" },

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

    { "[[s = $s[$i]]]", "s=x", "s = $1[$2]|x|" },
    { "[[s = a[b[$i]]]]", "i=1", "s = a[b[$1]]|1" },
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

    { "x $page", "", "x LIMIT 7" },
    { "x $page", "page=1&per_page=7", "x LIMIT 7" },
    { "x $page", "page=2", "x LIMIT $1 OFFSET $2|7|7" },
    { "x $page", "per_page=8", "x LIMIT $1 OFFSET $2|8|0" },
    { "x $page", "page=3&per_page=100", "x LIMIT $1 OFFSET $2|100|200" },
    { "x $page", "page=2&per_page=999999", "x LIMIT $1 OFFSET $2|500|500" },
    { "$s $page $user", "s=x&page=2",
      "$1 LIMIT $2 OFFSET $3 $4::bigint|x|7|7|42" },
    { "($page) ($page)", "page=2",
      "(LIMIT $1 OFFSET $2) (LIMIT $1 OFFSET $2)|7|7" },
    { "($page) ($page)", "", "(LIMIT 7) (LIMIT 7)" },

    /* names that are no parameters */

    { "$", NULL, NULL },
    { "$1", NULL, NULL },
    { "a = $", NULL, NULL },
    { "$S", NULL, NULL },
    { "$users", NULL, NULL },
    { "$pages", NULL, NULL },
    { "$sx", NULL, NULL },
    { "$s1", NULL, NULL },
    { "$nothing", NULL, NULL },
    { "[[ $nothing ]]", NULL, NULL },

    { NULL, NULL, NULL }
};


static endpoints_t  test_e;


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

    if (ngx_sf_params_read(unit_pool, test_params, &id, &args, &test_e.env,
                           &params)
        != NGX_OK)
    {
        return;
    }

    source.values = params.values;
    source.user = 42;
    source.page_size = params.page_size;
    source.offset = params.offset;
    source.first = params.first;

    variant = ngx_sf_statement_variant(variants, test_e.primary, st, &source);
    values = ngx_sf_statement_bind(unit_pool, variant, &source);

    p = ngx_sprintf(p, "%s", variant->text);

    for (i = 0; i < variant->nvalues; i++) {
        p = ngx_sprintf(p, "|%s", values[i]);
    }

    out->len = p - out->data;
}


static void
test_templates(void)
{
    ngx_str_t                name, out;
    ngx_uint_t               next;
    ngx_sf_variants_t        variants;
    const test_case_t       *c;
    ngx_sf_statement_t      *st;

    ngx_str_set(&name, "test");

    for (c = test_cases; c->sql; c++) {
        next = 3;

        if (c->want == NULL) {
            unit_log.log_level = NGX_LOG_STDERR;
            st = ngx_sf_statement_compile(&test_e.cf, &name, test_params,
                                          c->sql, 1, &next);
            unit_log.log_level = NGX_LOG_NOTICE;

            unit_ok(st == NULL, "refused: %s", c->sql);
            continue;
        }

        st = ngx_sf_statement_compile(&test_e.cf, &name, test_params, c->sql,
                                      1, &next);

        variants = test_e.worker.variants;
        variants.made = ngx_pcalloc(unit_pool, next * sizeof(void *));

        test_show(st, &variants, c->query, &out);
        unit_is(&out, c->want, "%s: %s", c->sql, c->query);
    }
}


static const char  test_two[] =
    "SELECT a[[ AND s = $s]][[ AND i = $i]] ORDER BY $order $page";

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
    ngx_str_t                name, out;
    ngx_uint_t               i, n, next, wrong;
    ngx_sf_variants_t        variants;
    ngx_sf_statement_t      *st, *st2;
    ngx_sf_pg_statement_t   *old[64];

    ngx_str_set(&name, "test");
    next = 5;
    wrong = 0;

    st = ngx_sf_statement_compile(&test_e.cf, &name, test_params, test_two, 9,
                                  &next);
    unit_ok(next == 5 + 2 * 2 * 3 * 2, "24 texts: the next id is %lu",
            (unsigned long) next);

    st2 = ngx_sf_statement_compile(&test_e.cf, &name, NULL, "SELECT $user", 1,
                                   &next);
    unit_ok(next == 30, "one text: the next id is %lu", (unsigned long) next);

    variants = test_e.worker.variants;
    variants.made = ngx_pcalloc(unit_pool, next * sizeof(void *));
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


/* values stay when the request that brought them is gone */

static void
test_copies(void)
{
    char                     text[] = "xyz";
    ngx_str_t                name;
    ngx_uint_t               next;
    const char             **values;
    ngx_sf_value_t           value[8];
    ngx_sf_variants_t        variants;
    ngx_sf_statement_t      *st;
    ngx_sf_bind_source_t     source;
    ngx_sf_pg_statement_t   *variant;

    ngx_str_set(&name, "test");
    ngx_memzero(&source, sizeof(ngx_sf_bind_source_t));
    ngx_memzero(value, sizeof(value));
    next = 0;

    st = ngx_sf_statement_compile(&test_e.cf, &name, test_params,
                                  "$s $user $page", 1, &next);
    variants = test_e.worker.variants;
    variants.made = ngx_pcalloc(unit_pool, next * sizeof(void *));

    value[2].text.data = (u_char *) text;
    value[2].text.len = 2;
    source.values = value;
    source.user = INT32_MAX;
    source.page_size = 1;
    source.offset = INT64_MAX;

    variant = ngx_sf_statement_variant(&variants, test_e.primary, st, &source);
    values = ngx_sf_statement_bind(unit_pool, variant, &source);

    ngx_memset(text, '-', 3);
    ngx_memzero(&source, sizeof(ngx_sf_bind_source_t));

    unit_ok(strcmp(values[0], "xy") == 0, "a text is copied and ended");
    unit_ok(strcmp(values[1], "2147483647") == 0, "a user");
    unit_ok(strcmp(values[2], "1") == 0, "a limit");
    unit_ok(strcmp(values[3], "9223372036854775807") == 0, "an offset");
}


typedef struct {
    u_char                *ids;
    ngx_uint_t             variants;
    ngx_uint_t             wrong;
    ngx_uint_t             columns;
    const char            *texts[1024];
} test_api_t;


/* $1 to $n all occur, nothing of the template is left */

static ngx_uint_t
test_text(ngx_sf_pg_statement_t *variant, ngx_uint_t first)
{
    u_char       seen[32];
    ngx_uint_t   i, n;
    const char  *p;

    ngx_memzero(seen, sizeof(seen));

    if (strncmp(variant->text, "/* ", 3) != 0
        || strstr(variant->text, "[[") || strstr(variant->text, "]]")
        || strchr(variant->text, ';'))
    {
        return 0;
    }

    for (p = variant->text; (p = strchr(p, '$')) != NULL; p++) {
        n = atoi(p + 1);

        if (n < 1 || n > variant->nvalues) {
            return 0;
        }

        seen[n] = 1;
    }

    for (i = 1; i <= variant->nvalues; i++) {
        if (!seen[i]) {
            return 0;
        }
    }

    /*
     * A page is cut by a literal on the first page only; a list without pages
     * has an end of its own
     */

    p = strstr(variant->text, "LIMIT ");

    if (p && strncmp(p, "LIMIT 10000", sizeof("LIMIT 10000") - 1) == 0) {
        p = strstr(p + 1, "LIMIT ");
    }

    if (p == NULL) {
        return 1;
    }

    return first ? (p[6] != '$' && strstr(p, "OFFSET") == NULL)
                 : (p[6] == '$' && strstr(p, " OFFSET $") != NULL);
}


static void
test_variant(ngx_sf_pg_statement_t *variant,
    const ngx_sf_bind_source_t *source, void *data)
{
    test_api_t  *api = data;

    ngx_uint_t    i;
    const char  **values;

    api->wrong += api->ids[variant->id]++;
    api->wrong += !test_text(variant, source->first);
    api->wrong += variant->columns != api->columns;

    for (i = 0; i < api->variants; i++) {
        api->wrong += strcmp(api->texts[i], variant->text) == 0;
    }

    api->texts[api->variants++] = variant->text;

    values = ngx_sf_statement_bind(unit_pool, variant, source);

    for (i = 0; i < variant->nvalues; i++) {
        api->wrong += values[i] == NULL;
    }
}


/* columns that the reader of a resource's rows looks at */

static ngx_uint_t
test_columns(const ngx_sf_resource_t *resource)
{
    switch (resource->kind) {

    case NGX_SF_RESOURCE_RESPONSE:
        return ngx_sf_json_columns(resource->endpoint->program);

    case NGX_SF_RESOURCE_TOTAL:
        return resource->endpoint->row->deadlines ? 2 : 1;

    case NGX_SF_RESOURCE_PING:
        return 1;

    default: /* NGX_SF_RESOURCE_PRINCIPAL */
        return 2;
    }
}


static void
test_resource(test_api_t *api, const ngx_sf_resource_t *resource,
    const char *kind)
{
    if (resource == NULL) {
        return;
    }

    api->variants = 0;
    api->wrong = 0;
    api->columns = test_columns(resource);

    endpoints_variants(&test_e, resource, test_variant, api);

    unit_ok(api->wrong == 0 && api->variants > 0, "%s %s, %lu texts",
            resource->endpoint ? resource->endpoint->row->name : "principal",
            kind, (unsigned long) api->variants);
}


static void
test_api(void)
{
    ngx_uint_t          i, listen, wrong;
    test_api_t          api;
    ngx_sf_endpoint_t  *endpoint;

    api.ids = ngx_pcalloc(unit_pool, test_e.smcf->nstatements);

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        endpoint = &test_e.smcf->endpoints[i];

        test_resource(&api, endpoint->response, "rows");
        test_resource(&api, endpoint->total, "total");
    }

    test_resource(&api, test_e.smcf->principal, "");

    wrong = 0;

    for (i = 0; i < test_e.smcf->nstatements; i++) {
        listen = i >= test_e.smcf->listen_id
                 && i < test_e.smcf->listen_id + NGX_SF_LISTEN_STATEMENTS;

        wrong += api.ids[i] != (listen ? 0 : 1);
    }

    unit_ok(wrong == 0, "%lu ids, each of one text or a listener's",
            (unsigned long) test_e.smcf->nstatements);
}


int
main(void)
{
    unit_init();
    endpoints_compile(&test_e, unit_pool);

    test_templates();
    test_numbers();
    test_copies();
    test_api();

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Parameters against Python's own results, t/unit/data/param.txt (made by
 * param.py), and the bounds and errors that are the module's.
 *
 * What was read is shown as one text: the values that are set, each with its
 * echo in brackets when it differs, then the page, then "first".  An error is
 * its status and text.
 *
 *     unit-with: -It/tools t/tools/endpoints.c
 */


#include "endpoints.h"
#include "unit.h"


#define TEST_NOW  1772064000 + 86399      /* the end of 2026-02-26 */


#define P_END                                                                 \
    { NULL, NGX_SF_PARAM_END, NULL, 0, 0, 0, NULL, NULL, NULL }
#define P(name, type)                                                         \
    { name, NGX_SF_PARAM_##type, NULL, 0, 0, 0, NULL, NULL, NULL }


static const ngx_sf_choice_t  test_choices[] = {
    { "one", "ONE" }, { "two", "TWO" }, { NULL, NULL }
};

static const ngx_sf_param_t  test_id[] = { P("i", ID), P_END };
static const ngx_sf_param_t  test_string[] = { P("s", STRING), P_END };
static const ngx_sf_param_t  test_int[] = { P("i", INT), P_END };
static const ngx_sf_param_t  test_search[] = { P("q", SEARCH), P_END };

static const ngx_sf_param_t  test_list[] = {
    { "l", NGX_SF_PARAM_LIST, "alias", 0, 0, 0, NULL, NULL, NULL },
    P("one", LIST_ONE),
    P_END
};

static const ngx_sf_param_t  test_int_default[] = {
    { "i", NGX_SF_PARAM_INT_DEFAULT, NULL, 30, 0, 0, NULL, NULL, NULL },
    P_END
};

static const ngx_sf_param_t  test_int_strict[] = {
    { "i", NGX_SF_PARAM_INT_STRICT, NULL, 30, -3660, 3660, NULL, NULL, NULL },
    P_END
};

static const ngx_sf_param_t  test_text[] = {
    { "t", NGX_SF_PARAM_TEXT, NULL, 0, 0, 0, "revenue", NULL, NULL },
    P_END
};

static const ngx_sf_param_t  test_choice[] = {
    { "c", NGX_SF_PARAM_CHOICE, NULL, 0, 0, 0, NULL, test_choices, NULL },
    P_END
};

static const ngx_sf_param_t  test_date[] = {
    { "d", NGX_SF_PARAM_DATE, "alias", 30, 0, 0, NULL, NULL, NULL },
    P_END
};

static const ngx_sf_param_t  test_range[] = {
    { "end", NGX_SF_PARAM_DATE, "to", 0, 0, 0, NULL, NULL, NULL },
    { "start", NGX_SF_PARAM_DATE, "from", 30, 0, 0, NULL, NULL, "end" },
    P_END
};

static const ngx_sf_param_t  test_page[] = {
    P("page", PAGE),
    { "per_page", NGX_SF_PARAM_PAGE_SIZE, "limit", 20, 1, 0, NULL, NULL,
      NULL },
    P_END
};

static const ngx_sf_param_t  test_page_100[] = {
    P("page", PAGE),
    { "per_page", NGX_SF_PARAM_PAGE_SIZE, NULL, 20, 1, 100, NULL, NULL,
      NULL },
    P_END
};

static const ngx_sf_param_t  test_errors[] = {
    P("q", SEARCH),
    P("page", PAGE),
    { "per_page", NGX_SF_PARAM_PAGE_SIZE, NULL, 20, 1, 0, NULL, NULL, NULL },
    P("s", STRING),
    { "i", NGX_SF_PARAM_INT_STRICT, NULL, 0, 0, 9, NULL, NULL, NULL },
    P_END
};


typedef struct {
    const char            *name;
    const ngx_sf_param_t  *rows;
} test_kind_t;


static const test_kind_t  test_kinds[] = {
    { "id", test_id },
    { "string", test_string },
    { "list", test_list },
    { "int", test_int },
    { "int_default", test_int_default },
    { "int_strict", test_int_strict },
    { "text", test_text },
    { "choice", test_choice },
    { "date", test_date },
    { "range", test_range },
    { "search", test_search },
    { "page", test_page },
    { "page_100", test_page_100 },
    { "errors", test_errors },
    { NULL, NULL }
};


typedef struct {
    const char  *kind;
    const char  *query;
    const char  *want;
} test_case_t;


static const test_case_t  test_cases[] = {

    /* absent, and the first of several; a name is no part of another */

    { "string", "t=1&ss=2&s%00=3", "" },
    { "string", "s=1&s=2", "s=1" },
    { "string", "s=&s=2", "" },
    { "list", "", "" },
    { "int", "", "" },
    { "int_default", "", "i=30" },
    { "int_strict", "", "i=30" },
    { "text", "", "t=revenue" },
    { "text", "t=", "t=" },
    { "text", "t=users", "t=users" },
    { "text", "t=%C3%A9+%22", "t=\xc3\xa9 \"" },
    { "text", "t=%00", "400 Invalid t" },

    /* bytes that are no UTF-8, each by itself, beside others that are */

    { "string", "s=%C3%C3%A9", "s=\xef\xbf\xbd\xc3\xa9" },
    { "string", "s=%E2%82%C3", "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=%F0%9F%C0%BB",
      "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=%F8%88%80%80",
      "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=a%ED%A0%80b",
      "s=a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "b" },
    { "string", "s=%F4%90%80%80",
      "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=%ED%9F%BF%EE%80%80%F4%8F%BF%BF",
      "s=\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf" },
    { "string", "s=a%C3%A9+b%EA%B0%80c", "s=a\xc3\xa9 b\xea\xb0\x80" "c" },
    { "list", "l=%EA%B0%80,%FFx", "l={\"\xea\xb0\x80\",\"\xef\xbf\xbdx\"}" },

    /* NUL is no text of PostgreSQL's */

    { "string", "s=%00", "400 Invalid s" },
    { "string", "s=a%00b", "400 Invalid s" },
    { "list", "l=a,%00", "400 Invalid l" },
    { "search", "q=ab%00c", "400 Invalid q" },
    { "int", "i=7%00", "" },
    { "int_strict", "i=7%00", "400 Invalid i" },

    /* an alias: of a list when the name is absent, even if it is empty */

    { "list", "alias=a,b", "l={\"a\",\"b\"}" },
    { "list", "l=a&alias=b", "one=a" },
    { "list", "alias=b&l=", "" },
    { "list", "alias=b&l", "" },
    { "list", "one=a", "" },
    { "date", "alias=2024-01-01", "d=2024-01-01" },
    { "date", "d=2023-01-01&alias=2024-01-01", "d=2023-01-01" },

    /* of a page size, also when the name is no number */

    { "page", "limit=7", "page 1 size 7 offset 0" },
    { "page", "limit=7&per_page=8", "page 1 size 8 offset 0" },
    { "page", "limit=7&per_page=x", "page 1 size 7 offset 0" },
    { "page", "limit=0&per_page=8", "page 1 size 8 offset 0" },
    { "page", "limit=7&per_page=0", "404 Not found" },
    { "page", "page=2&per_page=0", "404 Not found" },
    { "page", "page=2&per_page=-1", "404 Not found" },
    { "page", "page=0&per_page=0", "404 Not found" },

    { "page_100", "per_page=101", "page 1 size 100 offset 0" },
    { "page_100", "limit=7", "page 1 size 20 offset 0 first" },
    { "page_100", "per_page=99&page=3", "page 3 size 99 offset 198" },

    { "choice", "", "c=0" },
    { "choice", "c=one", "c=0" },
    { "choice", "c=two", "c=1" },
    { "choice", "c=TWO", "c=0" },
    { "choice", "c=tw", "c=0" },
    { "choice", "c=two%00", "c=0" },
    { "choice", "c=twoo", "c=0" },
    { "choice", "c=three&c=two", "c=0" },

    /* a range is counted back from its end */

    { "range", "", "end=2026-02-26&start=2026-01-27" },
    { "range", "end=2024-03-01", "end=2024-03-01&start=2024-01-31" },
    { "range", "end=x&start=y", "end=2026-02-26&start=2026-01-27" },
    { "range", "start=2020-01-01", "end=2026-02-26&start=2020-01-01" },
    { "range", "start=2030-01-01&end=20250101",
      "end=2025-01-01&start=2030-01-01" },
    { "range", "to=2025-01-01&from=2024-01-01",
      "end=2025-01-01&start=2024-01-01" },
    { "range", "end=0001-01-10", "end=0001-01-10&start=0001-01-01" },
    { "range", "end=2025-01-01T23&start=2024-01-01+00:00",
      "end=2025-01-01&start=2024-01-01" },
    { "range", "end=2025-01-01garbage&start=2024-01-01Tx",
      "end=2026-02-26&start=2026-01-27" },
    { "range", "end=20250101T24&start=20240101T",
      "end=2026-02-26&start=2026-01-27" },
    { "range", "end=0001-01-31", "end=0001-01-31&start=0001-01-01" },
    { "range", "end=0001-02-01", "end=0001-02-01&start=0001-01-02" },
    { "range", "end=9999-12-31", "end=9999-12-31&start=9999-12-01" },

    /* the first error in the order of the table is kept */

    { "errors", "q=ab", "q=%ab%&i=0 page 1 size 20 offset 0 first" },
    { "errors", "",
      "400 Search keyword must be at least 2 characters" },
    { "errors", "i=x&s=%00&per_page=0&page=0&q=a",
      "400 Search keyword must be at least 2 characters" },
    { "errors", "q=ab&i=x&s=%00&per_page=0&page=0", "404 Not found" },
    { "errors", "q=ab&i=x&s=%00&per_page=0", "404 Not found" },
    { "errors", "q=ab&i=x&s=%00&page=2&per_page=0", "404 Not found" },
    { "errors", "q=ab&i=x&s=%00", "400 Invalid s" },
    { "errors", "q=ab&i=10", "400 Invalid i" },
    { "errors", "q=ab&i=x&page=99999999999", "400 Invalid i" },
    { "errors", "q=ab&page=99999999999", "404 Not found" },
    { "errors", "q=ab&page=9223372036854775807&per_page=500",
      "404 Not found" },

    { NULL, NULL, NULL }
};


static endpoints_t  test_e;


/* values in the query; bytes in a block of their own, so that ASan sees */

static void
test_show(ngx_pool_t *pool, const ngx_sf_param_t *rows, const char *id,
    const ngx_str_t *query, ngx_str_t *out)
{
    u_char           *p, *start;
    ngx_str_t         digits;
    ngx_uint_t        i;
    ngx_sf_value_t   *v;
    ngx_sf_params_t   params;

    start = ngx_pnalloc(pool, 8 * 1024 * 8);
    p = start;

    digits.data = (u_char *) id;
    digits.len = strlen(id);

    if (ngx_sf_params_read(pool, rows, &digits, query, &test_e.env, &params)
        != NGX_OK)
    {
        ngx_str_set(out, "no memory");
        return;
    }

    for (i = 0; rows[i].type != NGX_SF_PARAM_END; i++) {
        v = &params.values[i];

        if (!v->set || params.status) {
            continue;
        }

        p = ngx_sprintf(p, "%s%s=", p > start ? "&" : "", rows[i].name);

        if (rows[i].type == NGX_SF_PARAM_CHOICE) {
            p = ngx_sprintf(p, "%L", v->number);
            continue;
        }

        p = ngx_cpymem(p, v->text.data, v->text.len);

        if (v->echo.data && (v->echo.len != v->text.len
            || ngx_memcmp(v->echo.data, v->text.data, v->text.len) != 0))
        {
            *p++ = '(';
            p = ngx_cpymem(p, v->echo.data, v->echo.len);
            *p++ = ')';
        }
    }

    if (params.status) {
        p = ngx_sprintf(p, "%ui %V", params.status, &params.error);

    } else if (params.no_row) {
        p = ngx_sprintf(p, " no row");

    } else if (params.page_size) {
        p = ngx_sprintf(p, "%spage %L size %L offset %L%s",
                        p > start ? " " : "", params.page, params.page_size,
                        params.offset, params.first ? " first" : "");
    }

    out->data = start;
    out->len = p - start;
}


static void
test_one(const char *kind, const char *query, size_t len, const char *want,
    size_t want_len)
{
    ngx_str_t           args, out;
    ngx_pool_t         *pool;
    const test_kind_t  *k;

    for (k = test_kinds; k->name; k++) {
        if (strcmp(k->name, kind) == 0) {
            break;
        }
    }

    pool = ngx_create_pool(4096, &unit_log);

    args.len = len;
    args.data = ngx_pnalloc(pool, len);
    ngx_memcpy(args.data, query, len);

    test_show(pool, k->rows, "1", &args, &out);

    unit_test_text(out.data, out.len, want, want_len, __FILE__, __LINE__,
                   "%s: %.*s", kind, (int) ngx_min(len, 60), query);

    ngx_destroy_pool(pool);
}


static size_t
test_unhex(char *out, const char *hex)
{
    size_t    n;
    unsigned  byte;

    for (n = 0; sscanf(hex + 1 + 2 * n, "%2x", &byte) == 1; n++) {
        out[n] = byte;
    }

    return n;
}


static void
test_file(void)
{
    FILE    *file;
    char     line[8192], kind[32], query[4096], want[4096], out[4096];
    char     args[4096];
    size_t   len, want_len;

    file = fopen("t/unit/data/param.txt", "r");

    if (file == NULL) {
        printf("Bail out! no t/unit/data/param.txt\n");
        exit(2);
    }

    while (fgets(line, sizeof(line), file)) {

        if (sscanf(line, "%31[a-z_] %4095s %4095s", kind, query, want) != 3) {
            continue;
        }

        len = test_unhex(args, query);
        want_len = test_unhex(out, want);

        test_one(kind, args, len, out, want_len);
    }

    fclose(file);
}


typedef struct {
    const char  *digits;
    const char  *want;
} test_digits_t;


static const test_digits_t  test_ids[] = {
    { "0", "i=0" },
    { "1", "i=1" },
    { "007", "i=7" },
    { "2147483647", "i=2147483647" },
    { "2147483648", "i=2147483648" },
    { "4294967297", "i=4294967297" },
    { "9223372036854775807", "i=9223372036854775807" },
    { "9223372036854775808", "i=0 no row" },
    { "18446744073709551617", "i=0 no row" },
    { "99999999999999999999999999", "i=0 no row" },
    { "0000000000000000000000000000000000000000000000000000000000000001",
      "i=1" },
    { NULL, NULL }
};


/* the path's digits, whatever the query says */

static void
test_path_ids(void)
{
    ngx_str_t             args, out;
    const test_digits_t  *d;

    for (d = test_ids; d->digits; d++) {
        args = unit_str("i=5", 3);
        test_show(unit_pool, test_id, d->digits, &args, &out);
        unit_is(&out, d->want, "id %s", d->digits);
    }
}


static void
test_repeat(const char *kind, const char *before, const char *what, size_t n,
    const char *after, const char *want)
{
    char    *query;
    size_t   i, len;

    query = malloc(strlen(before) + n * strlen(what) + strlen(after) + 1);
    len = sprintf(query, "%s", before);

    for (i = 0; i < n; i++) {
        len += sprintf(query + len, "%s", what);
    }

    len += sprintf(query + len, "%s", after);

    if (want) {
        test_one(kind, query, len, want, strlen(want));

    } else {
        test_one(kind, query, len, query, len);
    }

    free(query);
}


/* bounds of texts, of lists, of the query string; want NULL: as it came */

static void
test_limits(void)
{
    char    want[1024];
    size_t  i, len;

    test_repeat("string", "s=", "x", 1024, "", NULL);
    test_repeat("string", "s=", "x", 1025, "", "400 Invalid s");
    test_repeat("string", "s=", "%41", 1025, "", "400 Invalid s");

    /* a byte that is no UTF-8 counts for the three of U+FFFD */

    test_repeat("string", "s=", "%FF", 342, "", "400 Invalid s");
    test_repeat("string", "s=", "%C3%A9", 513, "", "400 Invalid s");

    test_repeat("text", "t=", "x", 1024, "", NULL);
    test_repeat("text", "t=", "x", 1025, "", "400 Invalid t");
    test_repeat("list", "l=", "x", 1025, "", "400 Invalid l");
    test_repeat("int_strict", "i=", "0", 1024, "7", "400 Invalid i");
    test_repeat("int", "i=", "0", 1025, "7", "i=7");

    len = sprintf(want, "l={\"x\"");

    for (i = 1; i < 64; i++) {
        len += sprintf(want + len, ",\"x\"");
    }

    (void) sprintf(want + len, "}");

    test_repeat("list", "l=", "x,", 64, "", want);
    test_repeat("list", "l=", "x,", 64, " ,,", want);
    test_repeat("list", "l=", "x,", 65, "", "400 Too many l values");
    test_repeat("list", "l=", "x,", 64, "y", "400 Too many l values");
    test_repeat("list", "l=", ",", 1000, "y", "one=y");

    /* 16384 bytes are read, one more is too many */

    test_repeat("string", "", "&", 16381, "s=x", "s=x");
    test_repeat("string", "", "&", 16382, "s=x",
                "400 Query string is too long");
    test_repeat("page", "", "x=1&", 4096, "page=3",
                "400 Query string is too long");
    test_repeat("search", "q=ab&", "q=%00&", 2000, "", "q=%ab%");
}


static void
test_max_page_size(void)
{
    ngx_str_t  args, out;

    test_e.env.max_page_size = 10;

    args = unit_str("per_page=500&page=4", 19);
    test_show(unit_pool, test_page, "", &args, &out);
    unit_is(&out, "page 4 size 10 offset 30", "per_page is clamped");

    args = unit_str("", 0);
    test_show(unit_pool, test_page, "", &args, &out);
    unit_is(&out, "page 1 size 10 offset 0",
            "a default above the maximum is no first page of its size");

    test_e.env.max_page_size = 1000;

    args = unit_str("per_page=900", 12);
    test_show(unit_pool, test_page_100, "", &args, &out);
    unit_is(&out, "page 1 size 100 offset 0",
            "the row's maximum holds below the configured one");

    test_e.env.max_page_size = ENDPOINTS_MAX_PAGE_SIZE;
}


/* saturates where the text can still be written */

static void
test_least(void)
{
    ngx_str_t  args, out;

    args = unit_str("i=-9223372036854775809", 22);
    test_show(unit_pool, test_int, "", &args, &out);

    unit_ok(out.len == 22
            && ngx_memcmp(out.data, "i=-922337203685477580", 21) == 0,
            "the least number");
}


/* today is what the caller says, in UTC */

static void
test_clock(void)
{
    ngx_str_t  args, out;

    args = unit_str("", 0);

    test_e.env.now = 0;
    test_show(unit_pool, test_range, "", &args, &out);
    unit_is(&out, "end=1970-01-01&start=1969-12-02", "day 0");

    test_e.env.now = 86399;
    test_show(unit_pool, test_range, "", &args, &out);
    unit_is(&out, "end=1970-01-01&start=1969-12-02", "its last second");

    test_e.env.now = 86400;
    test_show(unit_pool, test_range, "", &args, &out);
    unit_is(&out, "end=1970-01-02&start=1969-12-03", "day 1");

    test_e.env.now = 1709164800;
    test_show(unit_pool, test_range, "", &args, &out);
    unit_is(&out, "end=2024-02-29&start=2024-01-30", "29 February");

    test_e.env.now = TEST_NOW;
}


/* no query makes any row of the API fail but by its own rules */

static void
test_api(void)
{
    ngx_str_t             id, args;
    ngx_uint_t            i, good;
    ngx_sf_params_t       params;
    const ngx_sf_row_t   *row;

    ngx_str_set(&id, "17");

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        row = test_e.smcf->endpoints[i].row;
        args = unit_str("x=y&q=ab", 8);

        good = ngx_sf_params_read(unit_pool, row->params, &id, &args,
                                  &test_e.env, &params)
               == NGX_OK
               && params.status == 0 && params.no_row == 0
               && (row->total == NULL || (params.first && params.page == 1));

        unit_ok(good, "%s without parameters", row->name);
    }
}


int
main(void)
{
    const test_case_t  *c;

    unit_init();
    endpoints_compile(&test_e, unit_pool);
    test_e.env.now = TEST_NOW;

    for (c = test_cases; c->kind; c++) {
        test_one(c->kind, c->query, strlen(c->query), c->want,
                 strlen(c->want));
    }

    test_file();
    test_path_ids();
    test_limits();
    test_max_page_size();
    test_least();
    test_clock();
    test_api();

    return unit_done();
}

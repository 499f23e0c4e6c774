
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * JSON over real PGresults, made with libpq's own functions.  The pools are
 * mallocs here, so a document that outgrows its measure is an ASan report.
 */


#include "ngx_sf_json.h"
#include "ngx_sf_type.h"
#include "unit.h"


#define TEST_COLUMNS  16


typedef struct {
    ngx_sf_json_kind_e   kind;
    const char          *cell;    /* NULL: SQL NULL */
    const char          *want;
} test_cell_t;


static const test_cell_t  test_cells[] = {

    { NGX_SF_JSON_INT, "0", "0" },
    { NGX_SF_JSON_INT, "17", "17" },
    { NGX_SF_JSON_INT, "-17", "-17" },
    { NGX_SF_JSON_INT, "9223372036854775807", "9223372036854775807" },
    { NGX_SF_JSON_INT, "-9223372036854775808", "-9223372036854775808" },
    { NGX_SF_JSON_INT, NULL, "null" },
    { NGX_SF_JSON_INT, "", "null" },
    { NGX_SF_JSON_INT, "-", "null" },
    { NGX_SF_JSON_INT, "007", "null" },
    { NGX_SF_JSON_INT, "-07", "null" },
    { NGX_SF_JSON_INT, "12x", "null" },
    { NGX_SF_JSON_INT, "1.5", "1.5" },
    { NGX_SF_JSON_INT, "-0.50", "-0.50" },
    { NGX_SF_JSON_INT, "1500.00", "1500.00" },
    { NGX_SF_JSON_INT, "1e+20", "1e+20" },
    { NGX_SF_JSON_INT, "1.5e-05", "1.5e-05" },
    { NGX_SF_JSON_INT, "123456789012345678901234567890.123456789012345678",
      "123456789012345678901234567890.123456789012345678" },
    { NGX_SF_JSON_INT, "1.", "null" },
    { NGX_SF_JSON_INT, ".5", "null" },
    { NGX_SF_JSON_INT, "1.5.5", "null" },
    { NGX_SF_JSON_INT, "1e", "null" },
    { NGX_SF_JSON_INT, "1e+", "null" },
    { NGX_SF_JSON_INT, "e5", "null" },
    { NGX_SF_JSON_INT, "1 ", "null" },
    { NGX_SF_JSON_INT, "+1", "null" },
    { NGX_SF_JSON_INT, "NaN", "null" },
    { NGX_SF_JSON_INT, "-Infinity", "null" },

    { NGX_SF_JSON_FLOAT, "12", "12.0" },
    { NGX_SF_JSON_FLOAT, "-0", "-0.0" },
    { NGX_SF_JSON_FLOAT, "29.3", "29.3" },
    { NGX_SF_JSON_FLOAT, "1e+15", "1000000000000000.0" },
    { NGX_SF_JSON_FLOAT, "1e+16", "1e+16" },
    { NGX_SF_JSON_FLOAT, "1e-05", "1e-05" },
    { NGX_SF_JSON_FLOAT, "0.30000000000000004", "0.30000000000000004" },
    { NGX_SF_JSON_FLOAT, "-2.2250738585072014e-308",
      "-2.2250738585072014e-308" },
    { NGX_SF_JSON_FLOAT, "NaN", "null" },
    { NGX_SF_JSON_FLOAT, "Infinity", "null" },
    { NGX_SF_JSON_FLOAT, "-Infinity", "null" },
    { NGX_SF_JSON_FLOAT, "1,5", "null" },
    { NGX_SF_JSON_FLOAT, "", "null" },
    { NGX_SF_JSON_FLOAT, NULL, "null" },
    { NGX_SF_JSON_FLOAT_OR_0, NULL, "0" },
    { NGX_SF_JSON_FLOAT_OR_0, "0", "0.0" },
    { NGX_SF_JSON_FLOAT_OR_0, "1.25", "1.25" },
    { NGX_SF_JSON_FLOAT_OR_0, "x", "null" },

    { NGX_SF_JSON_ROUND2, "0.125", "0.12" },
    { NGX_SF_JSON_ROUND2, "2.675", "2.67" },
    { NGX_SF_JSON_ROUND2, "0.005", "0.01" },
    { NGX_SF_JSON_ROUND2, "185.4699999", "185.47" },
    { NGX_SF_JSON_ROUND2, "-100", "-100.0" },
    { NGX_SF_JSON_ROUND2, NULL, "null" },
    { NGX_SF_JSON_ROUND2_OR_0, NULL, "0" },
    { NGX_SF_JSON_ROUND2_OR_0, "29.299999999999997", "29.3" },
    { NGX_SF_JSON_ROUND2_OR_0, "nan", "null" },

    { NGX_SF_JSON_BOOL, "t", "true" },
    { NGX_SF_JSON_BOOL, "f", "false" },
    { NGX_SF_JSON_BOOL, NULL, "null" },
    { NGX_SF_JSON_BOOL, "", "null" },
    { NGX_SF_JSON_BOOL, "true", "null" },
    { NGX_SF_JSON_BOOL, "0", "false" },
    { NGX_SF_JSON_BOOL, "1", "true" },
    { NGX_SF_JSON_BOOL, "-32768", "true" },

    { NGX_SF_JSON_STRING, NULL, "null" },
    { NGX_SF_JSON_STRING, "", "\"\"" },
    { NGX_SF_JSON_STRING, "a", "\"a\"" },
    { NGX_SF_JSON_STRING, "</script>&'", "\"</script>&'\"" },
    { NGX_SF_JSON_STRING, "\xea\xb0\x80\xf0\x9f\x98\x80",
      "\"\xea\xb0\x80\xf0\x9f\x98\x80\"" },
    { NGX_SF_JSON_STRING, "a\"b\\c", "\"a\\\"b\\\\c\"" },
    { NGX_SF_JSON_STRING, "\b\t\n\v\f\r\x1f\x7f",
      "\"\\b\\t\\n\\u000b\\f\\r\\u001f\\u007f\"" },
    { NGX_SF_JSON_STRING, "\x01\x01\x01\x01\x01\x01\x01\x01\x01",
      "\"\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\"" },
    { NGX_SF_JSON_STRING, "\xc2\x80\xc2\xa2\xef\xbf\xbd",
      "\"\xc2\x80\xc2\xa2\xef\xbf\xbd\"" },

    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00", "\"2026-02-20T10:00:00\"" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.1",
      "\"2026-02-20T10:00:00.100000\"" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.123456",
      "\"2026-02-20T10:00:00.123456\"" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.00123",
      "\"2026-02-20T10:00:00.001230\"" },
    { NGX_SF_JSON_TIME, "0001-01-01 00:00:00", "\"0001-01-01T00:00:00\"" },
    { NGX_SF_JSON_TIME, "9999-12-31 23:59:59.999999",
      "\"9999-12-31T23:59:59.999999\"" },
    { NGX_SF_JSON_TIME, NULL, "null" },
    { NGX_SF_JSON_TIME, "", "null" },
    { NGX_SF_JSON_TIME, "infinity", "\"9999-12-31T23:59:59.999999\"" },
    { NGX_SF_JSON_TIME, "-infinity", "\"0001-01-01T00:00:00\"" },
    { NGX_SF_JSON_TIME, "infinit", "null" },
    { NGX_SF_JSON_TIME, "infinity ", "null" },
    { NGX_SF_JSON_TIME, "+infinity", "null" },
    { NGX_SF_JSON_TIME, "--infinity", "null" },
    { NGX_SF_JSON_TIME, "0044-03-15 12:00:00 BC", "null" },
    { NGX_SF_JSON_TIME, "12026-02-20 10:00:00", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+00",
      "\"2026-02-20T10:00:00\"" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.5+00",
      "\"2026-02-20T10:00:00.500000\"" },
    { NGX_SF_JSON_TIME, "2026-03-01 08:30:00.5+09",
      "\"2026-02-28T23:30:00.500000\"" },
    { NGX_SF_JSON_TIME, "2024-02-29 23:30:00-03:30",
      "\"2024-03-01T03:00:00\"" },
    { NGX_SF_JSON_TIME, "1883-11-18 12:00:00-04:56:02",
      "\"1883-11-18T16:56:02\"" },
    { NGX_SF_JSON_TIME, "0001-01-01 00:00:00+09", "null" },
    { NGX_SF_JSON_TIME, "9999-12-31 23:59:59-01", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+0", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+0x", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+09:", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.+00", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.1234567", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.12\"45", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20T10:00:00", "null" },
    { NGX_SF_JSON_TIME, "2026-02-2: 10:00:00", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:0/", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:0\xb0", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20 10-00:00", "null" },
    { NGX_SF_JSON_TIME, "2026-02-20", "\"2026-02-20\"" },
    { NGX_SF_JSON_TIME, "2026-02-2x", "null" },

    { NGX_SF_JSON_DATE, "2026-02-20", "\"2026-02-20\"" },
    { NGX_SF_JSON_DATE, NULL, "null" },
    { NGX_SF_JSON_DATE, "", "null" },
    { NGX_SF_JSON_DATE, "infinity", "\"9999-12-31\"" },
    { NGX_SF_JSON_DATE, "-infinity", "\"0001-01-01\"" },
    { NGX_SF_JSON_DATE, "infinity\n", "null" },
    { NGX_SF_JSON_DATE, "0044-03-15 BC", "null" },
    { NGX_SF_JSON_DATE, "2026-02-2\"", "null" },
    { NGX_SF_JSON_DATE, "2026/02/20", "null" },
    { NGX_SF_JSON_DATE, "2026-02-20 10:00:00", "null" },

    { NGX_SF_JSON_END, NULL, NULL }
};


/* a result of ncolumns columns; cells row by row, NULL is SQL NULL */

static PGresult *
test_result(int nrows, int ncolumns, const char *const *cells)
{
    int           row, column;
    PGresult     *res;
    const char   *cell;
    PGresAttDesc  columns[TEST_COLUMNS];

    res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

    ngx_memzero(columns, sizeof(columns));

    for (column = 0; column < ncolumns; column++) {
        columns[column].name = (char *) "c";
    }

    (void) PQsetResultAttrs(res, ncolumns, columns);

    for (row = 0; row < nrows; row++) {
        for (column = 0; column < ncolumns; column++) {
            cell = *cells++;
            (void) PQsetvalue(res, row, column, (char *) cell,
                              cell ? (int) strlen(cell) : -1);
        }
    }

    return res;
}


static ngx_str_t
test_render(const ngx_sf_json_field_t *shape, ngx_sf_json_source_t *source)
{
    ngx_str_t               out;
    ngx_sf_json_program_t  *program;

    ngx_str_null(&out);

    program = ngx_sf_json_compile(unit_pool, shape);

    if (program == NULL
        || ngx_sf_json_render(unit_pool, program, source, &out) != NGX_OK)
    {
        printf("# no program or no memory\n");
    }

    return out;
}


/* digits that no int8 has are not counted before, so they do not come */

static void
test_digits(void)
{
    int                    i;
    PGresult              *res;
    ngx_str_t              out;
    PGresAttDesc           column;
    ngx_sf_json_source_t   source;

    static const int            oids[] = { 20, 23, 21, 1700, 701, 0 };
    static const char           digits[] = "1234567890123456789012345";
    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_INT, 0, NULL, NULL, 0 };

    for (i = 0; oids[i]; i++) {
        ngx_memzero(&column, sizeof(column));
        column.name = (char *) "c";
        column.typid = oids[i];

        res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
        (void) PQsetResultAttrs(res, 1, &column);
        (void) PQsetvalue(res, 0, 0, (char *) digits, sizeof(digits) - 1);

        ngx_memzero(&source, sizeof(source));
        source.res = res;
        out = test_render(&shape, &source);

        unit_is(&out, i < 3 ? "null\n" : "1234567890123456789012345\n",
                "25 digits of oid %d", oids[i]);

        PQclear(res);
    }
}


static ngx_str_t
test_render_rows(const ngx_sf_json_field_t *shape, int nrows, int ncolumns,
    const char *const *cells)
{
    PGresult              *res;
    ngx_str_t              out;
    ngx_sf_json_source_t   source;

    res = test_result(nrows, ncolumns, cells);

    ngx_memzero(&source, sizeof(source));
    source.res = res;

    out = test_render(shape, &source);

    PQclear(res);

    return out;
}


static void
test_kinds(void)
{
    char                  want[256];
    ngx_str_t             out;
    const test_cell_t    *c;
    ngx_sf_json_field_t   shape;

    for (c = test_cells; c->kind != NGX_SF_JSON_END; c++) {

        ngx_memzero(&shape, sizeof(shape));
        shape.kind = c->kind;

        (void) snprintf(want, sizeof(want), "%s\n", c->want);

        out = test_render_rows(&shape, 1, 1, &c->cell);

        unit_is(&out, want, "kind %d of case %lu", (int) c->kind,
                (unsigned long) (c - test_cells));
    }
}


/* the plain way to escape, to compare with */

static size_t
test_escape(char *p, const char *text, size_t len)
{
    char                 *start;
    unsigned char         ch;
    const char           *at;
    static const char     from[] = "\"\\\n\r\t\b\f";
    static const char     to[] = "\"\\nrtbf";

    start = p;

    while (len--) {
        ch = *text++;
        at = memchr(from, ch, sizeof(from) - 1);

        if (at != NULL) {
            p += sprintf(p, "\\%c", to[at - from]);

        } else if (ch < 0x20 || ch == 0x7f) {
            p += sprintf(p, "\\u%04x", ch);

        } else {
            *p++ = ch;
        }
    }

    return p - start;
}


/* every byte at every place of texts around the size of one and two words */

static void
test_escapes(void)
{
    int                           ch;
    char                          cell[32], want[256];
    size_t                        i, len, n;
    ngx_str_t                     out;
    const char                   *cells[1];
    ngx_uint_t                    wrong;
    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_STRING, 0, NULL, NULL, 0 };

    for (len = 1; len < 20; len++) {

        wrong = 0;

        for (ch = 1; ch < 256; ch++) {
            for (i = 0; i < len; i++) {

                ngx_memset(cell, 'x', len);
                cell[len] = '\0';
                cell[i] = (char) ch;

                cells[0] = cell;
                out = test_render_rows(&shape, 1, 1, cells);

                n = test_escape(want + 1, cell, len);
                want[0] = '"';
                want[n + 1] = '"';
                want[n + 2] = '\n';

                if (out.len != n + 3 || ngx_memcmp(out.data, want, n + 3)) {
                    wrong++;
                }
            }
        }

        unit_ok(wrong == 0, "each byte at each place of %lu: %lu wrong",
                (unsigned long) len, (unsigned long) wrong);
    }
}


/* text of n characters that take width bytes each, after some ASCII */

static void
test_cut(size_t ascii, size_t n, size_t width)
{
    char                      cell[1024], want[1100], *p;
    size_t                    i, bytes;
    ngx_str_t                 out;
    const char               *cells[1];
    static const char *const  wide[] = { "", "a", "\xc3\xa9", "\xea\xb0\x80",
                                         "\xf0\x9f\x98\x80" };
    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_CUT100, 0, NULL, NULL, 0 };

    p = cell;

    for (i = 0; i < ascii; i++) {
        *p++ = 'a';
    }

    for (i = 0; i < n; i++) {
        p = (char *) ngx_cpymem(p, wide[width], width);
    }

    *p = '\0';

    bytes = p - cell;

    if (ascii + n > 100) {
        bytes = (ascii > 100) ? 100 : ascii + (100 - ascii) * width;
        (void) snprintf(want, sizeof(want), "\"%.*s...\"\n", (int) bytes,
                        cell);
    } else {
        (void) snprintf(want, sizeof(want), "\"%s\"\n", cell);
    }

    cells[0] = cell;
    out = test_render_rows(&shape, 1, 1, cells);

    unit_is(&out, want, "cut of %lu and %lu of width %lu",
            (unsigned long) ascii, (unsigned long) n, (unsigned long) width);
}


static void
test_cuts(void)
{
    size_t  ascii, n, width;

    for (width = 1; width <= 4; width++) {
        for (ascii = 0; ascii < 12; ascii++) {
            for (n = 98 - ascii; n <= 102 - ascii; n++) {
                test_cut(ascii, n, width);
            }
        }

        test_cut(0, 200, width);
        test_cut(99, 60, width);
        test_cut(100, 60, width);
        test_cut(101, 60, width);
        test_cut(25, 1, width);
    }
}


/* escapes right before and behind the cut */

static void
test_cut_escapes(void)
{
    char         cell[128], want[1024];
    ngx_str_t    out;
    const char  *cells[2];
    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_CUT100, 0, NULL, NULL, 0 };

    ngx_memset(cell, '\n', 101);
    cell[101] = '\0';
    cells[0] = cell;

    out = test_render_rows(&shape, 1, 1, cells);

    want[0] = '"';
    strcpy(want + 1 + test_escape(want + 1, cell, 100), "...\"\n");
    unit_is(&out, want, "a cut text of newlines");

    cell[100] = '\0';
    out = test_render_rows(&shape, 1, 1, cells);

    strcpy(want + 1 + test_escape(want + 1, cell, 100), "\"\n");
    unit_is(&out, want, "a hundred newlines");

    cells[0] = NULL;
    out = test_render_rows(&shape, 1, 1, cells);
    unit_is(&out, "null\n", "a cut NULL");
}


static const ngx_sf_json_field_t  test_row_fields[] = {
    { "id", NGX_SF_JSON_INT, 0, NULL, NULL, 0 },
    { "name", NGX_SF_JSON_STRING, 1, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  test_page_fields[] = {
    { "current_page", NGX_SF_JSON_PAGE, 0, NULL, NULL, 0 },
    { "pages", NGX_SF_JSON_PAGES, 0, NULL, NULL, 0 },
    { "posts", NGX_SF_JSON_ROWS, -1, test_row_fields, NULL, 0 },
    { "total", NGX_SF_JSON_TOTAL, 0, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  test_page =
    { NULL, NGX_SF_JSON_OBJECT, 0, test_page_fields, NULL, 0 };


static void
test_pages(void)
{
    PGresult              *res;
    ngx_str_t              out;
    ngx_sf_json_source_t   source;
    const char            *cells[] = { "7", "x\ny", "8", NULL };

    ngx_memzero(&source, sizeof(source));

    source.page = 1;
    source.pages = INT64_MAX;
    source.total = -INT64_MAX;
    source.res = res = test_result(2, 2, cells);

    out = test_render(&test_page, &source);
    unit_is(&out, "{\"current_page\":1,\"pages\":9223372036854775807,"
            "\"posts\":[{\"id\":7,\"name\":\"x\\ny\"},"
            "{\"id\":8,\"name\":null}],"
            "\"total\":-9223372036854775807}\n", "a page of two rows");

    PQclear(res);

    source.res = res = test_result(0, 2, NULL);

    out = test_render(&test_page, &source);
    unit_is(&out, "{\"current_page\":1,\"pages\":9223372036854775807,"
            "\"posts\":[],\"total\":-9223372036854775807}\n",
            "a page of no rows");

    PQclear(res);
}


static void
test_rows(void)
{
    ngx_str_t     out;
    const char   *cells[] = { "1", "a", NULL, "b", "3", "c", NULL, NULL };
    const char   *list[] = { "1", "a", "2", "b", "3", "c" };

    ngx_sf_json_field_t  rows =
        { NULL, NGX_SF_JSON_ROWS, -1, test_row_fields, NULL, 0 };

    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[{\"id\":1,\"name\":\"a\"},{\"id\":null,\"name\":\"b\"},"
            "{\"id\":3,\"name\":\"c\"},{\"id\":null,\"name\":null}]\n",
            "all rows of a bare array");

    rows.column = 0;
    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[{\"id\":1,\"name\":\"a\"},{\"id\":3,\"name\":\"c\"}]\n",
            "rows with NULL in a column stay out");

    rows.first = 1;
    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[{\"id\":3,\"name\":\"c\"}]\n", "from row 1 on");

    rows.first = 3;
    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[]\n", "only rows that stay out");

    rows.first = 9;
    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[]\n", "from behind the last row on");

    rows.kind = NGX_SF_JSON_BACKWARDS;
    rows.column = -1;
    rows.first = 0;
    out = test_render_rows(&rows, 3, 2, list);
    unit_is(&out, "[{\"id\":3,\"name\":\"c\"},{\"id\":2,\"name\":\"b\"},"
            "{\"id\":1,\"name\":\"a\"}]\n", "the last row first");

    rows.first = 1;
    out = test_render_rows(&rows, 3, 2, list);
    unit_is(&out, "[{\"id\":3,\"name\":\"c\"},{\"id\":2,\"name\":\"b\"}]\n",
            "as far as the first that is meant");

    rows.first = 3;
    out = test_render_rows(&rows, 3, 2, list);
    unit_is(&out, "[]\n", "which may be behind the last");
}


static void
test_map(void)
{
    ngx_str_t     out;
    const char   *cells[] = { "1", "a\"", "2", NULL, "3", "b" };

    ngx_sf_json_field_t  map =
        { NULL, NGX_SF_JSON_MAP, 1, test_row_fields, NULL, 0 };

    out = test_render_rows(&map, 3, 2, cells);
    unit_is(&out, "{\"a\\\"\":{\"id\":1,\"name\":\"a\\\"\"},"
            "\"b\":{\"id\":3,\"name\":\"b\"}}\n",
            "a map, the row without a key left out");

    out = test_render_rows(&map, 0, 2, NULL);
    unit_is(&out, "{}\n", "a map of no rows");

    map.column = 0;
    map.first = 2;
    out = test_render_rows(&map, 3, 2, cells);
    unit_is(&out, "{\"3\":{\"id\":3,\"name\":\"b\"}}\n",
            "a map by integers from row 2 on");
}


/* row 0 is a figure, the rows behind it are a list: two lists, one cell */

static void
test_mixed(void)
{
    PGresult              *res;
    ngx_str_t              out, params[3];
    ngx_sf_json_source_t   source;
    const char            *cells[] = { "5", "head", "1", "a", "2", "b" };

    static const ngx_sf_json_field_t  inner[] = {
        { "f", NGX_SF_JSON_LITERAL, 0, NULL, "10", 0 },
        { "s", NGX_SF_JSON_STRING, 1, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  empty[] = {
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  fields[] = {
        { "a\"", NGX_SF_JSON_OBJECT, 0, inner, NULL, 0 },
        { "b", NGX_SF_JSON_ROWS, -1, inner, NULL, 1 },
        { "c", NGX_SF_JSON_PARAM, 0, NULL, NULL, 0 },
        { "d", NGX_SF_JSON_PARAM_INT, 1, NULL, NULL, 0 },
        { "e", NGX_SF_JSON_MAP, 1, inner, NULL, 2 },
        { "f", NGX_SF_JSON_PARAM, 2, NULL, NULL, 0 },
        { "g", NGX_SF_JSON_OBJECT, 0, empty, NULL, 0 },
        { "h", NGX_SF_JSON_ROWS, -1, empty, NULL, 1 },
        { "i", NGX_SF_JSON_CUT100, 1, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_OBJECT, 0, fields, NULL, 0 };

    params[0] = unit_str("p\"", 2);
    params[1] = unit_str("30", 2);
    ngx_str_null(&params[2]);

    ngx_memzero(&source, sizeof(source));
    source.res = res = test_result(3, 2, cells);
    source.params = params;

    out = test_render(&shape, &source);
    unit_is(&out, "{\"a\\\"\":{\"f\":10,\"s\":\"head\"},"
            "\"b\":[{\"f\":10,\"s\":\"a\"},{\"f\":10,\"s\":\"b\"}],"
            "\"c\":\"p\\\"\",\"d\":30,"
            "\"e\":{\"b\":{\"f\":10,\"s\":\"b\"}},"
            "\"f\":null,\"g\":{},\"h\":[{},{}],\"i\":\"head\"}\n",
            "cells of row 0 among lists, a map and parameters");

    PQclear(res);
}


/* the figures of /api/performance/roi */

static void
test_figures(void)
{
    ngx_str_t              out;
    const char            *cells[] = { "57", "185.474", NULL };

    static const ngx_sf_json_field_t  breakeven[] = {
        { "current", NGX_SF_JSON_INT, 0, NULL, NULL, 0 },
        { "value", NGX_SF_JSON_LITERAL, 0, NULL, "10", 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  ratio[] = {
        { "unit", NGX_SF_JSON_LITERAL, 0, NULL, "\"x\"", 0 },
        { "value", NGX_SF_JSON_LITERAL, 0, NULL, "10.0", 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  roi[] = {
        { "unit", NGX_SF_JSON_LITERAL, 0, NULL, "\"%\"", 0 },
        { "value", NGX_SF_JSON_ROUND2_OR_0, 1, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  margin[] = {
        { "unit", NGX_SF_JSON_LITERAL, 0, NULL, "\"%\"", 0 },
        { "value", NGX_SF_JSON_ROUND2_OR_0, 2, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  fields[] = {
        { "breakeven_subscriptions", NGX_SF_JSON_OBJECT, 0, breakeven, NULL,
          0 },
        { "clv_cac_ratio", NGX_SF_JSON_OBJECT, 0, ratio, NULL, 0 },
        { "overall_roi", NGX_SF_JSON_OBJECT, 0, roi, NULL, 0 },
        { "profit_margin", NGX_SF_JSON_OBJECT, 0, margin, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_OBJECT, 0, fields, NULL, 0 };

    out = test_render_rows(&shape, 1, 3, cells);
    unit_is(&out, "{\"breakeven_subscriptions\":{\"current\":57,\"value\":10},"
            "\"clv_cac_ratio\":{\"unit\":\"x\",\"value\":10.0},"
            "\"overall_roi\":{\"unit\":\"%\",\"value\":185.47},"
            "\"profit_margin\":{\"unit\":\"%\",\"value\":0}}\n",
            "figures among constants");
}


static void
test_literal(void)
{
    ngx_str_t               out;
    ngx_sf_json_source_t    source;
    ngx_sf_json_program_t  *program;

    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_LITERAL, 0, NULL, "{\"status\":\"ok\"}", 0 };

    ngx_memzero(&source, sizeof(source));

    out = test_render(&shape, &source);
    unit_is(&out, "{\"status\":\"ok\"}\n", "a document without a result");

    program = ngx_sf_json_compile(unit_pool, &shape);
    unit_ok(ngx_sf_json_columns(program) == 0, "it reads no column");
}


static void
test_columns(void)
{
    ngx_sf_json_program_t  *program;

    static const ngx_sf_json_field_t  cells[] = {
        { "a", NGX_SF_JSON_PARAM, 40, NULL, NULL, 0 },
        { "b", NGX_SF_JSON_INT, 3, NULL, NULL, 0 },
        { "c", NGX_SF_JSON_STRING, 1, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    ngx_sf_json_field_t  rows =
        { NULL, NGX_SF_JSON_ROWS, -1, cells, NULL, 0 };

    program = ngx_sf_json_compile(unit_pool, &rows);
    unit_ok(ngx_sf_json_columns(program) == 4, "columns of the cells");
    unit_ok(ngx_sf_json_kinds(program)[0] == 0
            && ngx_sf_json_kinds(program)[1] == NGX_SF_TYPE_STRING
            && ngx_sf_json_kinds(program)[2] == 0
            && ngx_sf_json_kinds(program)[3] == NGX_SF_TYPE_NUMBER,
            "what they are read as");

    rows.column = 7;
    program = ngx_sf_json_compile(unit_pool, &rows);
    unit_ok(ngx_sf_json_columns(program) == 8, "columns with the one of ROWS");

    rows.kind = NGX_SF_JSON_MAP;
    program = ngx_sf_json_compile(unit_pool, &rows);
    unit_ok(ngx_sf_json_columns(program) == 8, "columns with the key's");
    unit_ok(ngx_sf_json_kinds(program)[7] == NGX_SF_TYPE_STRING,
            "a key is a string");
}


static void
test_refused(void)
{
    ngx_sf_json_field_t  fields[] = {
        { "a", NGX_SF_JSON_INT, 0, NULL, NULL, 0 },
        { "b", NGX_SF_JSON_INT, 1, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_ROWS, -1, fields, NULL, 0 };

    unit_ok(ngx_sf_json_compile(unit_pool, &shape) != NULL, "keys in order");

    fields[1].key = "a";
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "a key twice");

    fields[1].key = "Z";
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "out of order");

    fields[1].key = "\xc3\xa9";
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) != NULL,
            "order of bytes, not of signed characters");

    fields[1].key = NULL;
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "no key");

    fields[1].key = "b";
    fields[1].kind = NGX_SF_JSON_MAP;
    fields[1].fields = test_row_fields;
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "rows in rows");

    shape.kind = NGX_SF_JSON_OBJECT;
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) != NULL, "rows in objects");

    shape.kind = NGX_SF_JSON_END;
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "nothing at all");
}


static void
test_many_rows(void)
{
    u_char       *p, *last;
    ngx_str_t     out;
    ngx_uint_t    i, n;
    const char  **cells;

    cells = ngx_palloc(unit_pool, 1000 * sizeof(char *));

    for (i = 0; i < 1000; i += 2) {
        cells[i] = "1234567";
        cells[i + 1] = (i % 3) ? "some \"quoted\" text\n" : "plain text";
    }

    out = test_render_rows(&test_page, 500, 2, cells);

    n = 0;
    last = out.data + out.len;

    for (p = out.data; p < last; p++) {
        n += (*p == '{');
    }

    unit_ok(n == 501, "500 rows");
    unit_ok(last[-1] == '\n' && last[-2] == '}', "the end of 500 rows");
}


/* values that fill their bounds to the last byte: nothing may be left out */

static void
test_tight(void)
{
    char          text[102];
    ngx_str_t     out;
    ngx_uint_t    i;
    const char   *cells[36];

    static const ngx_sf_json_field_t  fields[] = {
        { "d", NGX_SF_JSON_DATE, 0, NULL, NULL, 0 },
        { "f", NGX_SF_JSON_BOOL, 1, NULL, NULL, 0 },
        { "i", NGX_SF_JSON_INT, 2, NULL, NULL, 0 },
        { "s", NGX_SF_JSON_STRING, 3, NULL, NULL, 0 },
        { "t", NGX_SF_JSON_TIME, 4, NULL, NULL, 0 },
        { "x", NGX_SF_JSON_CUT100, 5, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  rows =
        { NULL, NGX_SF_JSON_ROWS, -1, fields, NULL, 0 };

    static const ngx_sf_json_field_t  string =
        { NULL, NGX_SF_JSON_STRING, 0, NULL, NULL, 0 };

    ngx_memset(text, 'x', 101);
    text[101] = '\0';

    for (i = 0; i < 36; i += 6) {
        cells[i] = "2026-02-20";
        cells[i + 1] = "f";
        cells[i + 2] = "-9223372036854775808";
        cells[i + 3] = NULL;
        cells[i + 4] = "2026-02-20 10:00:00.1";
        cells[i + 5] = text;
    }

    out = test_render_rows(&rows, 6, 6, cells);
    unit_ok(out.len > 6 * 200, "rows of the longest values");

    /* sixteen controls: two words, none counted twice */

    cells[0] = "\x01\x02\x03\x04\x05\x06\x07\x0b"
               "\x01\x02\x03\x04\x05\x06\x07\x0b";
    out = test_render_rows(&string, 1, 1, cells);
    unit_ok(out.len == 16 * 6 + 3, "a string of controls");
}


static void
test_error(void)
{
    ngx_str_t  message, out;

    message = unit_str("Not found", 9);
    (void) ngx_sf_json_error(unit_pool, &message, &out);
    unit_is(&out, "{\"error\":\"Not found\"}\n", "an error");

    message = unit_str("a\"\x01\xc3\xa9", 5);
    (void) ngx_sf_json_error(unit_pool, &message, &out);
    unit_is(&out, "{\"error\":\"a\\\"\\u0001\xc3\xa9\"}\n",
            "an error with text from outside");

    message.len = 0;
    (void) ngx_sf_json_error(unit_pool, &message, &out);
    unit_is(&out, "{\"error\":\"\"}\n", "an error without words");
}


int
main(void)
{
    unit_init();

    test_kinds();
    test_digits();
    test_escapes();
    test_cuts();
    test_cut_escapes();
    test_pages();
    test_rows();
    test_map();
    test_mixed();
    test_figures();
    test_literal();
    test_columns();
    test_refused();
    test_many_rows();
    test_tight();
    test_error();

    return unit_done();
}

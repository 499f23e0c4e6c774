
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * JSON over real PGresults, made with libpq's own functions.  The pools are
 * mallocs here, so a document that outgrows its measure is an ASan report.
 */


#include "ngx_sf_json.h"
#include "unit.h"


#define TEST_COLUMNS  16


typedef struct {
    ngx_sf_json_kind_e   kind;
    const char          *cell;    /* NULL: SQL NULL */
    const char          *want;
    const char          *null;    /* of the field */
    ngx_uint_t           number;
} test_cell_t;


static const test_cell_t  test_cells[] = {

    { NGX_SF_JSON_INT, "0", "0", NULL, 0 },
    { NGX_SF_JSON_INT, "17", "17", NULL, 0 },
    { NGX_SF_JSON_INT, "-17", "-17", NULL, 0 },
    { NGX_SF_JSON_INT, "9223372036854775807", "9223372036854775807", NULL, 0 },
    { NGX_SF_JSON_INT, "-9223372036854775808",
      "-9223372036854775808", NULL, 0 },
    { NGX_SF_JSON_INT, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_INT, "", "null", NULL, 0 },
    { NGX_SF_JSON_INT, "-", "null", NULL, 0 },
    { NGX_SF_JSON_INT, "007", "null", NULL, 0 },
    { NGX_SF_JSON_INT, "-07", "null", NULL, 0 },
    { NGX_SF_JSON_INT, "12x", "null", NULL, 0 },
    { NGX_SF_JSON_INT, "1234567890123456789012345", "null", NULL, 0 },
    { NGX_SF_JSON_INT, NULL, "-1", "-1", 0 },
    { NGX_SF_JSON_INT, NULL, "\"nothing at all, twice\"",
      "\"nothing at all, twice\"", 0 },

    { NGX_SF_JSON_NUMERIC, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1.5", "1.5", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "-0.50", "-0.50", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1500.00", "1500.00", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1e+20", "1e+20", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1.5e-05", "1.5e-05", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "123456789012345678901234567890.123456789012345678",
      "123456789012345678901234567890.123456789012345678", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1.", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, ".5", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1.5.5", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1e", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1e+", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "e5", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "1 ", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "+1", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "NaN", "null", NULL, 0 },
    { NGX_SF_JSON_NUMERIC, "-Infinity", "null", NULL, 0 },

    { NGX_SF_JSON_FLOAT, "12", "12.0", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "-0", "-0.0", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "29.3", "29.3", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "1e+15", "1000000000000000.0", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "1e+16", "1e+16", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "1e-05", "1e-05", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "0.30000000000000004",
      "0.30000000000000004", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "-2.2250738585072014e-308",
      "-2.2250738585072014e-308", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "NaN", "null", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "Infinity", "null", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "-Infinity", "null", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "1,5", "null", NULL, 0 },
    { NGX_SF_JSON_FLOAT, "", "null", NULL, 0 },
    { NGX_SF_JSON_FLOAT, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_FLOAT, NULL, "0", "0", 0 },
    { NGX_SF_JSON_FLOAT, "0", "0.0", "0", 0 },
    { NGX_SF_JSON_FLOAT, "1.25", "1.25", "0", 0 },
    { NGX_SF_JSON_FLOAT, "x", "null", "0", 0 },

    { NGX_SF_JSON_ROUND, "0.125", "0.12", NULL, 2 },
    { NGX_SF_JSON_ROUND, "2.675", "2.67", NULL, 2 },
    { NGX_SF_JSON_ROUND, "0.005", "0.01", NULL, 2 },
    { NGX_SF_JSON_ROUND, "185.4699999", "185.47", NULL, 2 },
    { NGX_SF_JSON_ROUND, "-100", "-100.0", NULL, 2 },
    { NGX_SF_JSON_ROUND, NULL, "null", NULL, 2 },
    { NGX_SF_JSON_ROUND, NULL, "0", "0", 2 },
    { NGX_SF_JSON_ROUND, "29.299999999999997", "29.3", "0", 2 },
    { NGX_SF_JSON_ROUND, "nan", "null", "0", 2 },

    { NGX_SF_JSON_ROUND, "2.5", "2.0", NULL, 0 },
    { NGX_SF_JSON_ROUND, "-1234.56", "-1234.6", NULL, 1 },
    { NGX_SF_JSON_ROUND, "0.1234567895", "0.123456789", NULL, 9 },
    { NGX_SF_JSON_ROUND, "-4503599627370495.5", "-4503599627370495.5", NULL,
      9 },
    { NGX_SF_JSON_ROUND, "1e+300", "1e+300", NULL, 9 },
    { NGX_SF_JSON_ROUND, "17", "17.0", NULL, 2 },

    { NGX_SF_JSON_BOOL, "t", "true", NULL, 0 },
    { NGX_SF_JSON_BOOL, NULL, "false", "false", 0 },
    { NGX_SF_JSON_BOOL, "f", "false", NULL, 0 },
    { NGX_SF_JSON_BOOL, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_BOOL, "", "null", NULL, 0 },
    { NGX_SF_JSON_BOOL, "true", "null", NULL, 0 },
    { NGX_SF_JSON_BOOL, "0", "false", NULL, 0 },
    { NGX_SF_JSON_BOOL, "1", "true", NULL, 0 },
    { NGX_SF_JSON_BOOL, "-32768", "true", NULL, 0 },

    { NGX_SF_JSON_STRING, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_STRING, NULL, "\"none\"", "\"none\"", 0 },
    { NGX_SF_JSON_STRING, "", "\"\"", NULL, 0 },
    { NGX_SF_JSON_STRING, "a", "\"a\"", NULL, 0 },
    { NGX_SF_JSON_STRING, "</script>&'", "\"</script>&'\"", NULL, 0 },
    { NGX_SF_JSON_STRING, "\xea\xb0\x80\xf0\x9f\x98\x80",
      "\"\xea\xb0\x80\xf0\x9f\x98\x80\"", NULL, 0 },
    { NGX_SF_JSON_STRING, "a\"b\\c", "\"a\\\"b\\\\c\"", NULL, 0 },
    { NGX_SF_JSON_STRING, "\b\t\n\v\f\r\x1f\x7f",
      "\"\\b\\t\\n\\u000b\\f\\r\\u001f\\u007f\"", NULL, 0 },
    { NGX_SF_JSON_STRING, "\x01\x01\x01\x01\x01\x01\x01\x01\x01",
      "\"\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\"",
      NULL, 0 },
    { NGX_SF_JSON_STRING, "\xc2\x80\xc2\xa2\xef\xbf\xbd",
      "\"\xc2\x80\xc2\xa2\xef\xbf\xbd\"", NULL, 0 },

    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00",
      "\"2026-02-20T10:00:00\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.1",
      "\"2026-02-20T10:00:00.100000\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.123456",
      "\"2026-02-20T10:00:00.123456\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.00123",
      "\"2026-02-20T10:00:00.001230\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "0001-01-01 00:00:00",
      "\"0001-01-01T00:00:00\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "9999-12-31 23:59:59.999999",
      "\"9999-12-31T23:59:59.999999\"", NULL, 0 },
    { NGX_SF_JSON_TIME, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "infinity",
      "\"9999-12-31T23:59:59.999999\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "-infinity", "\"0001-01-01T00:00:00\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "infinit", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "infinity ", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "+infinity", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "--infinity", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "0044-03-15 12:00:00 BC", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "12026-02-20 10:00:00", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-03-01 08:30:00.5+09",
      "\"2026-02-28T23:30:00.500000\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "2024-02-29 23:30:00-03:30",
      "\"2024-03-01T03:00:00\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "1883-11-18 12:00:00-04:56:02",
      "\"1883-11-18T16:56:02\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "0001-01-01 00:00:00+09", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "9999-12-31 23:59:59-01", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+0", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+0x", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00+09:", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.+00", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.1234567", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:00.12\"45", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20T10:00:00", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-2: 10:00:00", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:0/", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10:00:0\xb0", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20 10-00:00", "null", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-20", "\"2026-02-20\"", NULL, 0 },
    { NGX_SF_JSON_TIME, "2026-02-2x", "null", NULL, 0 },

    { NGX_SF_JSON_ZONED, "2026-02-20 10:00:00+00",
      "\"2026-02-20T10:00:00+00:00\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, "2026-02-20 10:00:00.5+00",
      "\"2026-02-20T10:00:00.500000+00:00\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, "2026-03-01 08:30:00.5+09",
      "\"2026-02-28T23:30:00.500000+00:00\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, "1883-11-18 12:00:00-04:56:02",
      "\"1883-11-18T16:56:02+00:00\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, "infinity", "\"infinity\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, "-infinity", "\"-infinity\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, "0044-03-15 12:00:00+00 BC",
      "\"0044-03-15 12:00:00+00 BC\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, "12026-02-20 10:00:00.123456+00",
      "\"12026-02-20 10:00:00.123456+00\"", NULL, 0 },
    { NGX_SF_JSON_ZONED, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_ZONED, "", "null", NULL, 0 },
    { NGX_SF_JSON_ZONED, "a \"quote\"", "null", NULL, 0 },
    { NGX_SF_JSON_ZONED, "\xc3\xa9", "null", NULL, 0 },
    { NGX_SF_JSON_ZONED, "1234567890123456789012345678901234567890123456789",
      "null", NULL, 0 },

    { NGX_SF_JSON_DATE, "2026-02-20", "\"2026-02-20\"", NULL, 0 },
    { NGX_SF_JSON_DATE, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_DATE, "", "null", NULL, 0 },
    { NGX_SF_JSON_DATE, "infinity", "\"9999-12-31\"", NULL, 0 },
    { NGX_SF_JSON_DATE, "-infinity", "\"0001-01-01\"", NULL, 0 },
    { NGX_SF_JSON_DATE, "infinity\n", "null", NULL, 0 },
    { NGX_SF_JSON_DATE, "0044-03-15 BC", "null", NULL, 0 },
    { NGX_SF_JSON_DATE, "2026-02-2\"", "null", NULL, 0 },
    { NGX_SF_JSON_DATE, "2026/02/20", "null", NULL, 0 },
    { NGX_SF_JSON_DATE, "2026-02-20 10:00:00", "null", NULL, 0 },

    { NGX_SF_JSON_RAW, "{\"a\":\n[1, \"\\u00e9\"]}",
      "{\"a\":\n[1, \"\\u00e9\"]}", NULL, 0 },
    { NGX_SF_JSON_RAW, NULL, "null", NULL, 0 },
    { NGX_SF_JSON_RAW, NULL, "{}", "{}", 0 },
    { NGX_SF_JSON_RAW, "", "null", NULL, 0 },

    { NGX_SF_JSON_ARRAY, NULL, "null", NULL, NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, NULL, "[]", "[]", NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "{}", "[]", NULL, NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "{1}", "[1]", NULL, NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "{1,NULL,-3}", "[1,null,-3]", NULL,
      NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "{{1,2},{NULL,4}}", "[[1,2],[null,4]]", NULL,
      NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "{{{{{{9}}}}}}", "[[[[[[9]]]]]]", NULL,
      NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "{{{{{{{9}}}}}}}", "null", NULL, NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "[0:1]={7,8}", "[7,8]", NULL, NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "[-1:0][2:2]={{7},{8}}", "[[7],[8]]", NULL,
      NGX_SF_JSON_INT },
    { NGX_SF_JSON_ARRAY, "{t,f,NULL}", "[true,false,null]", NULL,
      NGX_SF_JSON_BOOL },
    { NGX_SF_JSON_ARRAY, "{1.50,NaN,123456789012345678901234567890.1}",
      "[1.50,null,123456789012345678901234567890.1]", NULL,
      NGX_SF_JSON_NUMERIC },
    { NGX_SF_JSON_ARRAY, "{1,0.5,1e+300,Infinity}",
      "[1.0,0.5,1e+300,null]", NULL, NGX_SF_JSON_FLOAT },
    { NGX_SF_JSON_ARRAY, "{a,\"b c\",\"\",\"NULL\",null}",
      "[\"a\",\"b c\",\"\",\"NULL\",\"null\"]", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"a,b\",\"{x}\",\"q\\\"q\",\"b\\\\s\"}",
      "[\"a,b\",\"{x}\",\"q\\\"q\",\"b\\\\s\"]", NULL,
      NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"\\\\x0a\",\"a\nb\",\xea\xb0\x80}",
      "[\"\\\\x0a\",\"a\\nb\",\"\xea\xb0\x80\"]", NULL,
      NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"\\\"\\\"\\\"\",\"\\\\\\\\\\\\\"}",
      "[\"\\\"\\\"\\\"\",\"\\\\\\\\\\\\\"]", NULL,
      NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"2026-02-20 10:00:00\",NULL}",
      "[\"2026-02-20T10:00:00\",null]", NULL, NGX_SF_JSON_TIME },
    { NGX_SF_JSON_ARRAY, "{\"2026-02-20 10:00:00+00\",infinity}",
      "[\"2026-02-20T10:00:00+00:00\",\"infinity\"]", NULL,
      NGX_SF_JSON_ZONED },
    { NGX_SF_JSON_ARRAY, "{2026-02-20,infinity}",
      "[\"2026-02-20\",\"9999-12-31\"]", NULL, NGX_SF_JSON_DATE },
    { NGX_SF_JSON_ARRAY, "{\"{\\\"a\\\": [1, null]}\",7}",
      "[{\"a\": [1, null]},7]", NULL, NGX_SF_JSON_RAW },
    { NGX_SF_JSON_ARRAY, "{\"1\\\"\"}", "[null]", NULL, NGX_SF_JSON_INT },

    /* no arrays */
    { NGX_SF_JSON_ARRAY, "", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "a", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{a", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{a,", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{a,}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{,a}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{a}}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{a},{b}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{a}{b}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{{a}b}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{a\"b\"}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"b\"a}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"a}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"a\\\"}", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "{\"a\\", "null", NULL, NGX_SF_JSON_STRING },
    { NGX_SF_JSON_ARRAY, "[0:1]", "null", NULL, NGX_SF_JSON_STRING },

    { NGX_SF_JSON_END, NULL, NULL, NULL, 0 }
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
        shape.null = c->null;
        shape.number = c->number;

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
        { NULL, NGX_SF_JSON_STRING, 0, NULL, NULL, NULL, 0 };

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


static const ngx_sf_json_field_t  test_row_fields[] = {
    { "id", NGX_SF_JSON_INT, 0, NULL, NULL, NULL, 0 },
    { "name", NGX_SF_JSON_STRING, 1, NULL, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  test_row[] = {
    { NULL, NGX_SF_JSON_OBJECT, 0, test_row_fields, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  test_page_fields[] = {
    { "current_page", NGX_SF_JSON_PAGE, 0, NULL, NULL, NULL, 0 },
    { "pages", NGX_SF_JSON_PAGES, 0, NULL, NULL, NULL, 0 },
    { "posts", NGX_SF_JSON_ROWS, -1, test_row, NULL, NULL, 0 },
    { "total", NGX_SF_JSON_TOTAL, 0, NULL, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  test_page =
    { NULL, NGX_SF_JSON_OBJECT, 0, test_page_fields, NULL, NULL, 0 };


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

    ngx_sf_json_field_t  rows =
        { NULL, NGX_SF_JSON_ROWS, -1, test_row, NULL, NULL, 0 };

    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[{\"id\":1,\"name\":\"a\"},{\"id\":null,\"name\":\"b\"},"
            "{\"id\":3,\"name\":\"c\"},{\"id\":null,\"name\":null}]\n",
            "all rows of a bare array");

    rows.column = 0;
    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[{\"id\":1,\"name\":\"a\"},{\"id\":3,\"name\":\"c\"}]\n",
            "rows with NULL in a column stay out");

    out = test_render_rows(&rows, 0, 2, NULL);
    unit_is(&out, "[]\n", "no rows");

    rows.column = 1;
    rows.fields = test_row_fields;
    out = test_render_rows(&rows, 4, 2, cells);
    unit_is(&out, "[1,null,3]\n", "one value of each row");
}


static void
test_map(void)
{
    ngx_str_t     out;
    const char   *cells[] = { "1", "a\"", "2", NULL, "3", "b" };

    ngx_sf_json_field_t  map =
        { NULL, NGX_SF_JSON_MAP, 1, test_row, NULL, NULL, 0 };

    out = test_render_rows(&map, 3, 2, cells);
    unit_is(&out, "{\"a\\\"\":{\"id\":1,\"name\":\"a\\\"\"},"
            "\"b\":{\"id\":3,\"name\":\"b\"}}\n",
            "a map, the row without a key left out");

    out = test_render_rows(&map, 0, 2, NULL);
    unit_is(&out, "{}\n", "a map of no rows");

    map.column = 0;
    map.fields = test_row_fields + 1;
    out = test_render_rows(&map, 3, 2, cells);
    unit_is(&out, "{\"1\":\"a\\\"\",\"2\":null,\"3\":\"b\"}\n",
            "a map of values by integers");
}


/* cells of row 0 among lists of all rows, a map and what is no cell */

static void
test_mixed(void)
{
    PGresult              *res;
    ngx_str_t              out, params[4], echoes[4];
    ngx_sf_json_source_t   source;
    const char            *cells[] = { "5", "head", "1", "a", "2", "b" };

    static const ngx_sf_json_field_t  inner[] = {
        { "f", NGX_SF_JSON_LITERAL, 0, NULL, "10", NULL, 0 },
        { "s", NGX_SF_JSON_STRING, 1, NULL, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  empty[] = {
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  row[] = {
        { NULL, NGX_SF_JSON_OBJECT, 0, inner, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  empty_row[] = {
        { NULL, NGX_SF_JSON_OBJECT, 0, empty, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  list[] = {
        { NULL, NGX_SF_JSON_LITERAL, 0, NULL, "1", NULL, 0 },
        { NULL, NGX_SF_JSON_ECHO, 1, NULL, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_STRING, 1, NULL, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  fields[] = {
        { "a\\\"", NGX_SF_JSON_OBJECT, 0, inner, NULL, NULL, 0 },
        { "b", NGX_SF_JSON_ROWS, -1, row, NULL, NULL, 0 },
        { "c", NGX_SF_JSON_PARAM, 0, NULL, NULL, NULL, 0 },
        { "d", NGX_SF_JSON_PARAM_NUMBER, 1, NULL, NULL, NULL, 0 },
        { "e", NGX_SF_JSON_MAP, 1, row, NULL, NULL, 0 },
        { "f", NGX_SF_JSON_PARAM, 2, NULL, NULL, NULL, 0 },
        { "f0", NGX_SF_JSON_PARAM_NUMBER, 2, NULL, NULL, "0", 0 },
        { "f1", NGX_SF_JSON_PARAM_NUMBER, 3, NULL, NULL, NULL, 0 },
        { "g", NGX_SF_JSON_OBJECT, 0, empty, NULL, NULL, 0 },
        { "h", NGX_SF_JSON_ROWS, -1, empty_row, NULL, NULL, 0 },
        { "i", NGX_SF_JSON_LIST, 0, list, NULL, NULL, 0 },
        { "j", NGX_SF_JSON_LIST, 0, empty, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_OBJECT, 0, fields, NULL, NULL, 0 };

    params[0] = unit_str("p\"", 2);
    params[1] = unit_str("30", 2);
    ngx_str_null(&params[2]);
    params[3] = unit_str("true", 4);
    ngx_memcpy(echoes, params, sizeof(params));
    echoes[1] = unit_str("+30", 3);

    ngx_memzero(&source, sizeof(source));
    source.res = res = test_result(3, 2, cells);
    source.params = params;
    source.echoes = echoes;

    out = test_render(&shape, &source);
    unit_is(&out, "{\"a\\\"\":{\"f\":10,\"s\":\"head\"},"
            "\"b\":[{\"f\":10,\"s\":\"head\"},{\"f\":10,\"s\":\"a\"},"
            "{\"f\":10,\"s\":\"b\"}],"
            "\"c\":\"p\\\"\",\"d\":30,"
            "\"e\":{\"head\":{\"f\":10,\"s\":\"head\"},"
            "\"a\":{\"f\":10,\"s\":\"a\"},\"b\":{\"f\":10,\"s\":\"b\"}},"
            "\"f\":null,\"f0\":0,\"f1\":true,\"g\":{},\"h\":[{},{},{}],"
            "\"i\":[1,\"+30\",\"head\"],\"j\":[]}\n",
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
        { "current", NGX_SF_JSON_INT, 0, NULL, NULL, NULL, 0 },
        { "value", NGX_SF_JSON_LITERAL, 0, NULL, "10", NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  ratio[] = {
        { "unit", NGX_SF_JSON_LITERAL, 0, NULL, "\"x\"", NULL, 0 },
        { "value", NGX_SF_JSON_LITERAL, 0, NULL, "10.0", NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  roi[] = {
        { "unit", NGX_SF_JSON_LITERAL, 0, NULL, "\"%\"", NULL, 0 },
        { "value", NGX_SF_JSON_ROUND, 1, NULL, NULL, "0", 2 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  margin[] = {
        { "unit", NGX_SF_JSON_LITERAL, 0, NULL, "\"%\"", NULL, 0 },
        { "value", NGX_SF_JSON_ROUND, 2, NULL, NULL, "0", 2 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  fields[] = {
        { "breakeven_subscriptions", NGX_SF_JSON_OBJECT, 0, breakeven, NULL,
          NULL, 0 },
        { "clv_cac_ratio", NGX_SF_JSON_OBJECT, 0, ratio, NULL, NULL, 0 },
        { "overall_roi", NGX_SF_JSON_OBJECT, 0, roi, NULL, NULL, 0 },
        { "profit_margin", NGX_SF_JSON_OBJECT, 0, margin, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_OBJECT, 0, fields, NULL, NULL, 0 };

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
    ngx_str_t              out;
    ngx_sf_json_source_t   source;

    static const ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_LITERAL, 0, NULL, "{\"status\":\"ok\"}", NULL, 0 };

    ngx_memzero(&source, sizeof(source));

    out = test_render(&shape, &source);
    unit_is(&out, "{\"status\":\"ok\"}\n", "a document without a result");
}


static void
test_refused(void)
{
    ngx_sf_json_field_t  fields[] = {
        { "a", NGX_SF_JSON_INT, 0, NULL, NULL, NULL, 0 },
        { "b", NGX_SF_JSON_INT, 1, NULL, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    ngx_sf_json_field_t  row[] = {
        { NULL, NGX_SF_JSON_OBJECT, 0, fields, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    ngx_sf_json_field_t  shape =
        { NULL, NGX_SF_JSON_ROWS, -1, row, NULL, NULL, 0 };

    unit_ok(ngx_sf_json_compile(unit_pool, &shape) != NULL, "keys in order");

    fields[1].key = "Z";
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) != NULL,
            "and in any other");

    fields[1].key = NULL;
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "no key");

    fields[1].key = "b";
    fields[1].kind = NGX_SF_JSON_MAP;
    fields[1].fields = test_row;
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "rows in rows");

    shape.kind = NGX_SF_JSON_OBJECT;
    row[0].key = "r";
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) != NULL, "rows in objects");

    row[0].kind = NGX_SF_JSON_END;
    shape.kind = NGX_SF_JSON_ROWS;
    unit_ok(ngx_sf_json_compile(unit_pool, &shape) == NULL, "rows of nothing");

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
    const char   *cells[42];

    static const ngx_sf_json_field_t  fields[] = {
        { "d", NGX_SF_JSON_DATE, 0, NULL, NULL, NULL, 0 },
        { "f", NGX_SF_JSON_BOOL, 1, NULL, NULL, NULL, 0 },
        { "i", NGX_SF_JSON_INT, 2, NULL, NULL, NULL, 0 },
        { "s", NGX_SF_JSON_STRING, 3, NULL, NULL, NULL, 0 },
        { "t", NGX_SF_JSON_TIME, 4, NULL, NULL, NULL, 0 },
        { "x", NGX_SF_JSON_STRING, 5, NULL, NULL, NULL, 0 },
        { "y", NGX_SF_JSON_INT, 3, NULL, NULL, "\"not a digit of a number\"",
          0 },
        { "z", NGX_SF_JSON_ARRAY, 6, NULL, NULL, NULL, NGX_SF_JSON_DATE },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  row[] = {
        { NULL, NGX_SF_JSON_OBJECT, 0, fields, NULL, NULL, 0 },
        { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
    };

    static const ngx_sf_json_field_t  rows =
        { NULL, NGX_SF_JSON_ROWS, -1, row, NULL, NULL, 0 };

    static const ngx_sf_json_field_t  string =
        { NULL, NGX_SF_JSON_STRING, 0, NULL, NULL, NULL, 0 };

    ngx_memset(text, 'x', 101);
    text[101] = '\0';

    for (i = 0; i < 42; i += 7) {
        cells[i] = "2026-02-20";
        cells[i + 1] = "f";
        cells[i + 2] = "-9223372036854775808";
        cells[i + 3] = NULL;
        cells[i + 4] = "2026-02-20 10:00:00.1";
        cells[i + 5] = text;
        cells[i + 6] = "{2026-02-20,-infinity}";
    }

    out = test_render_rows(&rows, 6, 7, cells);
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
    test_escapes();
    test_pages();
    test_rows();
    test_map();
    test_mixed();
    test_figures();
    test_literal();
    test_refused();
    test_many_rows();
    test_tight();
    test_error();

    return unit_done();
}

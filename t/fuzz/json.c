
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Any bytes, made UTF-8: a template that ends with NUL, and behind it cells of
 * a result: they end with NUL too, rows after a cell of each column, and a cell
 * of one \x01 is SQL NULL.  jansson must read what comes out of a fixed shape,
 * and find in it what went in, and what comes out of the template, if it is one
 * and fits the columns, whose names are letters.
 */


#include <jansson.h>

#include "ngx_sf_template.h"
#include "unit.h"


#define FUZZ_CELLS  12
#define FUZZ_ROWS   8
#define FUZZ_LEN    4096


typedef struct {
    const char  *text;      /* NULL: SQL NULL */
    size_t       len;
} fuzz_cell_t;


typedef void (*fuzz_check_pt)(const fuzz_cell_t *cell, const json_t *value);


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check_int(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_float(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_round2(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_bool(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_string(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_time(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_zoned(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_date(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_array(const fuzz_cell_t *cell, const json_t *value);


/* int8, numeric, 2 float8, bool, text, 3 times, text, text[], float8[] */

static const Oid  fuzz_types[FUZZ_CELLS] = {
    20, 1700, 701, 701, 16, 25, 1114, 1184, 1082, 25, 1009, 1022
};


static const ngx_sf_json_field_t  fuzz_cells[] = {
    { "a", NGX_SF_JSON_INT, 0, NULL, NULL, NULL, 0 },
    { "b", NGX_SF_JSON_NUMERIC, 1, NULL, NULL, NULL, 0 },
    { "c", NGX_SF_JSON_FLOAT, 2, NULL, NULL, "0", 0 },
    { "d", NGX_SF_JSON_ROUND, 3, NULL, NULL, NULL, 2 },
    { "e", NGX_SF_JSON_BOOL, 4, NULL, NULL, NULL, 0 },
    { "f", NGX_SF_JSON_STRING, 5, NULL, NULL, NULL, 0 },
    { "g", NGX_SF_JSON_TIME, 6, NULL, NULL, NULL, 0 },
    { "h", NGX_SF_JSON_ZONED, 7, NULL, NULL, NULL, 0 },
    { "i", NGX_SF_JSON_DATE, 8, NULL, NULL, NULL, 0 },
    { "j", NGX_SF_JSON_STRING, 9, NULL, NULL, NULL, 0 },
    { "k", NGX_SF_JSON_ARRAY, 10, NULL, NULL, NULL, NGX_SF_JSON_STRING },
    { "l", NGX_SF_JSON_ARRAY, 11, NULL, NULL, NULL, NGX_SF_JSON_FLOAT },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
};


static const fuzz_check_pt  fuzz_checks[FUZZ_CELLS] = {
    fuzz_check_int, fuzz_check_int, fuzz_check_float, fuzz_check_round2,
    fuzz_check_bool, fuzz_check_string, fuzz_check_time, fuzz_check_zoned,
    fuzz_check_date, fuzz_check_string, fuzz_check_array, fuzz_check_array
};


static const ngx_sf_json_field_t  fuzz_row[] = {
    { NULL, NGX_SF_JSON_OBJECT, 0, fuzz_cells, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  fuzz_fields[] = {
    { "some", NGX_SF_JSON_ROWS, 6, fuzz_row, NULL, NULL, 0 },
    { "all", NGX_SF_JSON_ROWS, -1, fuzz_row, NULL, NULL, 0 },
    { "map", NGX_SF_JSON_MAP, 9, fuzz_row, NULL, NULL, 0 },
    { "param", NGX_SF_JSON_PARAM, 0, NULL, NULL, NULL, 0 },
    { "number", NGX_SF_JSON_PARAM_NUMBER, 1, NULL, NULL, NULL, 0 },
    { "echo", NGX_SF_JSON_ECHO, 1, NULL, NULL, NULL, 0 },
    { "total", NGX_SF_JSON_TOTAL, 0, NULL, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  fuzz_shape =
    { NULL, NGX_SF_JSON_OBJECT, 0, fuzz_fields, NULL, NULL, 0 };


static const ngx_sf_template_name_t  fuzz_names[] = {
    { "p", 0 },
    { "n", 1 },
    { NULL, 0 }
};


static const ngx_sf_template_hidden_t  fuzz_hidden[] = {
    { "e", 0x02 },
    { NULL, 0 }
};


static ngx_sf_json_program_t  *fuzz_program;


static void
fuzz_require(ngx_uint_t good, const char *what)
{
    if (!good) {
        fprintf(stderr, "FAILED: %s\n", what);
        abort();
    }
}


/* length of a UTF-8 sequence, 0 if it is none (RFC 3629) */

static size_t
fuzz_sequence(const uint8_t *p, size_t len)
{
    size_t    i, n;
    uint32_t  ch;

    if (p[0] < 0x80) {
        return 1;
    }

    n = (p[0] >= 0xf0) ? 4 : (p[0] >= 0xe0) ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4 || n > len) {
        return 0;
    }

    ch = p[0] & (0xff >> (n + 1));

    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        ch = ch << 6 | (p[i] & 0x3f);
    }

    if ((n == 3 && ch < 0x800) || (n == 4 && ch < 0x10000) || ch > 0x10ffff
        || (ch >= 0xd800 && ch <= 0xdfff))
    {
        return 0;
    }

    return n;
}


static size_t
fuzz_make_utf8(char *out, const uint8_t *data, size_t size)
{
    size_t  i, n;

    for (i = 0; i < size; i += n) {
        n = fuzz_sequence(data + i, size - i);

        if (n == 0) {
            out[i] = '?';
            n = 1;
            continue;
        }

        ngx_memcpy(out + i, data + i, n);
    }

    return size;
}


static void
fuzz_check_null(const fuzz_cell_t *cell, const json_t *value)
{
    fuzz_require(json_is_null(value)
                 || (json_is_real(value) && json_real_value(value) == 0),
                 "SQL NULL is null or 0");
}


static void
fuzz_check_int(const fuzz_cell_t *cell, const json_t *value)
{
    char  *end;

    fuzz_require(json_is_null(value) || json_is_real(value), "int");

    if (json_is_real(value)) {
        fuzz_require(json_real_value(value) == strtod(cell->text, &end)
                     && *end == '\0', "the same integer");
    }
}


static void
fuzz_check_float(const fuzz_cell_t *cell, const json_t *value)
{
    char    *end;
    double   number;

    number = strtod(cell->text, &end);

    if (cell->len == 0 || *end != '\0' || number - number != 0) {
        fuzz_require(json_is_null(value), "no finite number is null");
        return;
    }

    fuzz_require(json_is_real(value) && json_real_value(value) == number,
                 "the same float");
}


static void
fuzz_check_round2(const fuzz_cell_t *cell, const json_t *value)
{
    double  number;

    if (json_is_real(value)) {
        number = json_real_value(value) - strtod(cell->text, NULL);
        fuzz_require(number > -0.00501 && number < 0.00501, "nearly the same");
        return;
    }

    fuzz_check_float(cell, value);
}


static void
fuzz_check_bool(const fuzz_cell_t *cell, const json_t *value)
{
    json_type  type;

    type = strcmp(cell->text, "t") == 0 || strchr("-123456789", *cell->text)
           ? JSON_TRUE
           : strcmp(cell->text, "f") == 0 || strcmp(cell->text, "0") == 0
           ? JSON_FALSE : JSON_NULL;

    if (cell->len == 0) {
        type = JSON_NULL;
    }

    fuzz_require(json_typeof(value) == type, "bool");
}


static void
fuzz_check_string(const fuzz_cell_t *cell, const json_t *value)
{
    fuzz_require(json_is_string(value)
                 && json_string_length(value) == cell->len
                 && ngx_memcmp(json_string_value(value), cell->text,
                               cell->len) == 0, "the same text");
}


/* whether it is one without end, which has to be the last or the first one */

static ngx_uint_t
fuzz_check_endless(const fuzz_cell_t *cell, const json_t *value,
    const char *last, const char *first)
{
    ngx_uint_t  negative;

    negative = cell->len && cell->text[0] == '-';

    if (cell->len != sizeof("infinity") - 1 + negative
        || ngx_memcmp(cell->text + negative, "infinity", 8) != 0)
    {
        return 0;
    }

    fuzz_require(json_is_string(value)
                 && ngx_strcmp(json_string_value(value),
                               negative ? first : last) == 0,
                 "without end");

    return 1;
}


static void
fuzz_check_time(const fuzz_cell_t *cell, const json_t *value)
{
    size_t       len;
    const char  *text;

    if (json_is_null(value)
        || fuzz_check_endless(cell, value, "9999-12-31T23:59:59.999999",
                              "0001-01-01T00:00:00"))
    {
        return;
    }

    if (cell->len == 10) {
        fuzz_check_date(cell, value);
        return;
    }

    text = json_string_value(value);
    len = json_string_length(value);

    fuzz_require((len == 19 || len == 26) && text[10] == 'T'
                 && strspn(text, "0123456789-:T.") == len, "a time");

    /* with an offset it is another one */

    fuzz_require(strpbrk(cell->text + 19, "+-")
                 || (ngx_memcmp(text, cell->text, 10) == 0
                     && ngx_memcmp(text + 11, cell->text + 11, 8) == 0),
                 "the same time");
}


/* the time in UTC, or the very text */

static void
fuzz_check_zoned(const fuzz_cell_t *cell, const json_t *value)
{
    size_t       len;
    const char  *text;

    if (json_is_null(value)) {
        return;
    }

    text = json_string_value(value);
    len = json_string_length(value);

    if (len == cell->len && ngx_memcmp(text, cell->text, len) == 0) {
        return;
    }

    fuzz_require((len == 25 || len == 32) && text[10] == 'T'
                 && strcmp(text + len - 6, "+00:00") == 0, "a time in UTC");
}


static void
fuzz_check_array(const fuzz_cell_t *cell, const json_t *value)
{
    fuzz_require(json_is_null(value)
                 || (json_is_array(value) && strchr("{[", cell->text[0])),
                 "an array");
}


static void
fuzz_check_date(const fuzz_cell_t *cell, const json_t *value)
{
    if (json_is_null(value)
        || fuzz_check_endless(cell, value, "9999-12-31", "0001-01-01"))
    {
        return;
    }

    fuzz_check_string(cell, value);
    fuzz_require(cell->len == 10 && strspn(cell->text, "0123456789-") == 10,
                 "a date");
}


static void
fuzz_check_rows(fuzz_cell_t *cells, size_t nrows, const json_t *root)
{
    char           key[2];
    size_t         row, i;
    const json_t  *rows, *value;

    rows = json_object_get(root, "all");
    fuzz_require(json_array_size(rows) == nrows, "number of rows");

    key[1] = '\0';

    for (row = 0; row < nrows; row++) {
        for (i = 0; i < FUZZ_CELLS; i++, cells++) {

            key[0] = 'a' + (char) i;
            value = json_object_get(json_array_get(rows, row), key);

            if (cells->text == NULL) {
                fuzz_check_null(cells, value);

            } else {
                fuzz_checks[i](cells, value);
            }
        }

        if (cells[-3].text != NULL) {
            fuzz_require(json_object_getn(json_object_get(root, "map"),
                                          cells[-3].text, cells[-3].len)
                         != NULL, "a key of the map");
        }
    }
}


/* NULL: jansson has no number beyond a double's */

static json_t *
fuzz_render(ngx_pool_t *pool, const ngx_sf_json_program_t *program,
    const PGresult *res, const ngx_str_t *params, ngx_str_t *out)
{
    json_t                *root;
    json_error_t           error;
    ngx_sf_json_source_t   source;

    ngx_memzero(&source, sizeof(source));

    source.res = res;
    source.params = params;
    source.echoes = params;
    source.total = PQntuples(res);

    fuzz_require(ngx_sf_json_render(pool, program, &source, out) == NGX_OK,
                 "memory");
    fuzz_require(out->data[out->len - 1] == '\n', "newline");

    root = json_loadb((char *) out->data, out->len,
                      JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);

    fuzz_require(root || strstr(error.text, "overflow"), error.text);

    return root;
}


static void
fuzz_render_shape(ngx_pool_t *pool, const PGresult *res, fuzz_cell_t *cells,
    const ngx_str_t *params)
{
    json_t     *root;
    ngx_str_t   out;

    root = fuzz_render(pool, fuzz_program, res, params, &out);

    fuzz_require(memchr(out.data, 0x7f, out.len) == NULL, "DEL is escaped");

    if (root) {
        fuzz_check_rows(cells, PQntuples(res), root);
        json_decref(root);
    }
}


/* a template that needs row 0 is not rendered without one */

static void
fuzz_render_template(ngx_pool_t *pool, const char *text, const PGresult *res,
    const ngx_str_t *params, const ngx_sf_template_hidden_t *hidden)
{
    u_char              error[128];
    size_t              offset;
    ngx_str_t           out;
    const char         *wrong;
    ngx_sf_shape_t     *shape;
    ngx_sf_template_t  *t;

    t = ngx_sf_template_parse(pool, text, fuzz_names, hidden, &wrong,
                              &offset);

    if (t == NULL) {
        fuzz_require(*wrong && offset <= strlen(text), "a mistake");
        return;
    }

    shape = ngx_sf_template_bind(t, res, &unit_log, error, sizeof(error));

    if (shape == NULL) {
        fuzz_require(*error && strlen((char *) error) < sizeof(error),
                     "an error");
        return;
    }

    fuzz_require(ngx_sf_shape_fits(shape, res), "it fits its own columns");

    if (PQntuples(res) || !ngx_sf_template_needs(t)->row) {
        json_decref(fuzz_render(pool, shape->program, res, params, &out));
    }

    ngx_destroy_pool(shape->pool);
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    unit_init();

    fuzz_program = ngx_sf_json_compile(unit_pool, &fuzz_shape);
    fuzz_require(fuzz_program != NULL, "the shape compiles");

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int           i;
    char          text[FUZZ_LEN + 1], *p, *last, *end, names[FUZZ_CELLS][2];
    size_t        n;
    PGresult     *res;
    ngx_str_t     params[2];
    ngx_pool_t   *pool;
    fuzz_cell_t   cells[FUZZ_ROWS * FUZZ_CELLS];
    PGresAttDesc  columns[FUZZ_CELLS];

    last = text + fuzz_make_utf8(text, data, ngx_min(size, FUZZ_LEN));

    /* the cut at FUZZ_LEN may have gone through a character: not in it */

    *last = '\0';

    res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

    ngx_memzero(columns, sizeof(columns));

    for (i = 0; i < FUZZ_CELLS; i++) {
        names[i][0] = (char) ('a' + i);
        names[i][1] = '\0';
        columns[i].name = names[i];
        columns[i].typid = fuzz_types[i];
    }

    (void) PQsetResultAttrs(res, FUZZ_CELLS, columns);

    /* behind the template */

    p = text + strlen(text) + 1;

    for (n = 0; n < FUZZ_ROWS * FUZZ_CELLS; n++) {

        /* the last row is filled up with what is left: empty cells */

        if (p > last) {
            if (n % FUZZ_CELLS == 0) {
                break;
            }

            p = last;
        }

        end = p + strlen(p);
        cells[n].text = (strcmp(p, "\x01") == 0) ? NULL : p;
        cells[n].len = end - p;
        p = end + 1;

        (void) PQsetvalue(res, (int) (n / FUZZ_CELLS), (int) (n % FUZZ_CELLS),
                          (char *) cells[n].text,
                          cells[n].text ? (int) cells[n].len : -1);
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, &unit_log);

    for (i = 0; i < 2; i++) {
        params[i].data = (u_char *) (n ? cells[i].text : NULL);
        params[i].len = params[i].data ? cells[i].len : 0;
    }

    fuzz_render_shape(pool, res, cells, params);
    fuzz_render_template(pool, text, res, params, NULL);
    fuzz_render_template(pool, text, res, params, fuzz_hidden);

    ngx_destroy_pool(pool);
    PQclear(res);

    return 0;
}

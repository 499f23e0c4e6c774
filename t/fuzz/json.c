
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Any bytes, made UTF-8, as the cells of a result: cells end with NUL, rows
 * after a cell of each kind, and a cell of one \x01 is SQL NULL.  jansson must
 * read what comes out, and find in it what went in.
 */


#include <jansson.h>

#include "ngx_sf_json.h"
#include "unit.h"


#define FUZZ_CELLS  11
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
static void fuzz_check_cut(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_time(const fuzz_cell_t *cell, const json_t *value);
static void fuzz_check_date(const fuzz_cell_t *cell, const json_t *value);


static const ngx_sf_json_field_t  fuzz_cells[] = {
    { "a", NGX_SF_JSON_INT, 0, NULL, NULL, 0 },
    { "b", NGX_SF_JSON_FLOAT, 1, NULL, NULL, 0 },
    { "c", NGX_SF_JSON_FLOAT_OR_0, 2, NULL, NULL, 0 },
    { "d", NGX_SF_JSON_ROUND2, 3, NULL, NULL, 0 },
    { "e", NGX_SF_JSON_ROUND2_OR_0, 4, NULL, NULL, 0 },
    { "f", NGX_SF_JSON_BOOL, 5, NULL, NULL, 0 },
    { "g", NGX_SF_JSON_STRING, 6, NULL, NULL, 0 },
    { "h", NGX_SF_JSON_CUT100, 7, NULL, NULL, 0 },
    { "i", NGX_SF_JSON_TIME, 8, NULL, NULL, 0 },
    { "j", NGX_SF_JSON_DATE, 9, NULL, NULL, 0 },
    { "k", NGX_SF_JSON_STRING, 10, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
};


static const fuzz_check_pt  fuzz_checks[FUZZ_CELLS] = {
    fuzz_check_int, fuzz_check_float, fuzz_check_float, fuzz_check_round2,
    fuzz_check_round2, fuzz_check_bool, fuzz_check_string, fuzz_check_cut,
    fuzz_check_time, fuzz_check_date, fuzz_check_string
};


static const ngx_sf_json_field_t  fuzz_fields[] = {
    { "all", NGX_SF_JSON_ROWS, -1, fuzz_cells, NULL, 0 },
    { "first", NGX_SF_JSON_CUT100, 7, NULL, NULL, 0 },
    { "map", NGX_SF_JSON_MAP, 10, fuzz_cells, NULL, 1 },
    { "param", NGX_SF_JSON_PARAM, 0, NULL, NULL, 0 },
    { "param_int", NGX_SF_JSON_PARAM_INT, 1, NULL, NULL, 0 },
    { "some", NGX_SF_JSON_ROWS, 6, fuzz_cells, NULL, 0 },
    { "total", NGX_SF_JSON_TOTAL, 0, NULL, NULL, 0 },
    { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
};


static const ngx_sf_json_field_t  fuzz_shape =
    { NULL, NGX_SF_JSON_OBJECT, 0, fuzz_fields, NULL, 0 };


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


static void
fuzz_check_cut(const fuzz_cell_t *cell, const json_t *value)
{
    size_t       i, n, len;
    const char  *text;

    n = 0;

    for (i = 0; i < cell->len && n < 100; n++) {
        i += fuzz_sequence((const uint8_t *) cell->text + i, cell->len - i);
    }

    if (i == cell->len) {
        fuzz_check_string(cell, value);
        return;
    }

    text = json_string_value(value);
    len = json_string_length(value);

    fuzz_require(len == i + 3 && ngx_memcmp(text, cell->text, i) == 0
                 && ngx_memcmp(text + i, "...", 3) == 0, "a hundred points");
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

        if (row > 0 && cells[-1].text != NULL) {
            fuzz_require(json_object_getn(json_object_get(root, "map"),
                                          cells[-1].text, cells[-1].len)
                         != NULL, "a key of the map");
        }
    }
}


static void
fuzz_render(ngx_pool_t *pool, PGresult *res, fuzz_cell_t *cells, size_t nrows,
    ngx_str_t *params)
{
    json_t                *root;
    ngx_str_t              out;
    json_error_t           error;
    ngx_sf_json_source_t   source;

    ngx_memzero(&source, sizeof(source));

    source.res = res;
    source.params = params;
    source.total = nrows;

    fuzz_require(ngx_sf_json_render(pool, fuzz_program, &source, &out)
                 == NGX_OK, "memory");
    fuzz_require(out.data[out.len - 1] == '\n', "newline");
    fuzz_require(memchr(out.data, 0x7f, out.len) == NULL, "DEL is escaped");

    root = json_loadb((char *) out.data, out.len, JSON_DECODE_INT_AS_REAL,
                      &error);

    /* jansson has no number beyond a double's */

    if (root == NULL && strstr(error.text, "overflow")) {
        return;
    }

    fuzz_require(root != NULL, error.text);

    fuzz_check_rows(cells, nrows, root);

    json_decref(root);
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
    char          text[FUZZ_LEN + 1], *p, *last, *end;
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
        columns[i].name = (char *) "c";
    }

    (void) PQsetResultAttrs(res, FUZZ_CELLS, columns);

    p = text;

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
        params[i].data = (u_char *) cells[i].text;
        params[i].len = cells[i].text ? cells[i].len : 0;
    }

    fuzz_render(pool, res, cells, n / FUZZ_CELLS, params);

    ngx_destroy_pool(pool);
    PQclear(res);

    return 0;
}

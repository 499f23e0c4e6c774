
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * A query string to every endpoint, and what is bound of it: no crash, values
 * that PostgreSQL can take, pages within bounds.  Beside the endpoints there is
 * one with parameters of all types, for each the strict and the lenient reader,
 * and all of them in a path.  The first byte picks the user and the digits of
 * the path, the rest is the query string.
 */


#include "../tools/endpoints.c"

#include "unit.h"


#define FUZZ_MAX_TEXT    1024      /* bytes of a decoded text */
#define FUZZ_MAX_VALUE   8192      /* of a value bound: escaped, quoted */
#define FUZZ_MAX_ROWS    NGX_MAX_INT32_VALUE


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static const char *const  fuzz_ids[] = {
    "0", "1", "2147483647", "2147483648", "9223372036854775808",
    "00000000000000000000000000000000017",
    "340282366920938463463374607431768211456", "4294967296"
};


#define P(param, kind, ...)                                                   \
    { .name = param, .type = NGX_SF_PARAM_##kind, .min = -NGX_SF_NO_LIMIT,    \
      .max = NGX_SF_NO_LIMIT, __VA_ARGS__ }
#define P_TYPES(n, ...)                                                       \
    P("id" n, ID, __VA_ARGS__), P("i" n, INT, __VA_ARGS__),                   \
    P("n" n, NUMBER, __VA_ARGS__), P("b" n, BOOL, __VA_ARGS__),               \
    P("t" n, TEXT, __VA_ARGS__), P("u" n, UUID, __VA_ARGS__),                 \
    P("d" n, DATE, __VA_ARGS__), P("ts" n, TIME, __VA_ARGS__),                \
    P("c" n, CHOICE, .choices = fuzz_choices, __VA_ARGS__)


static const ngx_sf_choice_t  fuzz_choices[] = {
    { "one", "1" }, { "two", "2" }, { NULL, NULL }
};

static const ngx_sf_param_t  fuzz_params[] = {
    P_TYPES("", .lenient = 0, .invalid = "Invalid, and it is said so"),
    P_TYPES("", .lenient = 1),
    P_TYPES("1", .lenient = 1, .unset = "1"),
    P_TYPES("", .path = 1),
    P("i", INT, .lenient = 1, .def = "7"),
    P("l", LIST, .lenient = 1),
    P("one", LIST_ONE),
    P("l", LIST, .alias = "t", .lenient = 1),
    P("q", SEARCH, .lenient = 1),
    { .name = "n", .type = NGX_SF_PARAM_NUMBER, .min = -3, .max = 40,
      .lenient = 1, .def = "1.5" },
    { .name = "i", .type = NGX_SF_PARAM_INT, .min = -3, .max = 40,
      .lenient = 1 },
    { .name = "t", .type = NGX_SF_PARAM_TEXT, .min = 2, .max = 3,
      .lenient = 1 },
    P("d", DATE, .lenient = 1, .def = "today", .number = 30),
    P("page", PAGE),
    P("per_page", PAGE_SIZE, .alias = "limit", .number = 20),
    { .type = NGX_SF_PARAM_END }
};

static const ngx_sf_row_t  fuzz_row = {
    .name = "types",
    .params = fuzz_params
};


static endpoints_t  fuzz_e;


static void
fuzz_require(ngx_uint_t good, const char *what, const char *endpoint)
{
    if (!good) {
        fprintf(stderr, "FAILED: %s of %s\n", what, endpoint);
        abort();
    }
}


/* RFC 3629, written from its grammar */

static ngx_uint_t
fuzz_is_utf8(const u_char *p, size_t len)
{
    size_t  i, n;
    u_char  low, high;

    for (i = 0; i < len; i += n) {
        low = 0x80;
        high = 0xbf;

        if (p[i] < 0x80) {
            n = 1;

        } else if (p[i] >= 0xc2 && p[i] <= 0xdf) {
            n = 2;

        } else if (p[i] >= 0xe0 && p[i] <= 0xef) {
            n = 3;
            low = p[i] == 0xe0 ? 0xa0 : 0x80;
            high = p[i] == 0xed ? 0x9f : 0xbf;

        } else if (p[i] >= 0xf0 && p[i] <= 0xf4) {
            n = 4;
            low = p[i] == 0xf0 ? 0x90 : 0x80;
            high = p[i] == 0xf4 ? 0x8f : 0xbf;

        } else {
            return 0;
        }

        if (n > len - i || (n > 1 && (p[i + 1] < low || p[i + 1] > high))
            || (n > 2 && (p[i + 2] & 0xc0) != 0x80)
            || (n > 3 && (p[i + 3] & 0xc0) != 0x80))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
fuzz_is_number(const ngx_str_t *text, int64_t number)
{
    char  digits[32];

    (void) snprintf(digits, sizeof(digits), "%lld", (long long) number);

    return text->len == strlen(digits)
           && ngx_memcmp(text->data, digits, text->len) == 0;
}


static ngx_uint_t
fuzz_is_date(const ngx_str_t *text)
{
    int        year, month, day, n;
    char       date[16];
    struct tm  tm;

    if (text->len != 10) {
        return 0;
    }

    ngx_memcpy(date, text->data, 10);
    date[10] = '\0';

    if (sscanf(date, "%4d-%2d-%2d%n", &year, &month, &day, &n) != 3
        || n != 10 || year < 1)
    {
        return 0;
    }

    ngx_memzero(&tm, sizeof(tm));
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;

    return timegm(&tm) != -1 && tm.tm_mon == month - 1 && tm.tm_mday == day;
}


/* the text form of an array of at least so many texts, all quoted */

static ngx_uint_t
fuzz_is_array(const ngx_str_t *text, ngx_uint_t least)
{
    size_t      i;
    ngx_uint_t  items;

    if (text->len < 2 || text->data[0] != '{'
        || text->data[text->len - 1] != '}')
    {
        return 0;
    }

    items = 0;
    i = 1;

    for ( ;; ) {
        if (text->data[i++] != '"') {
            return 0;
        }

        while (i < text->len && text->data[i] != '"') {
            i += text->data[i] == '\\' ? 2 : 1;
        }

        items++;

        if (i + 2 > text->len) {
            return 0;
        }

        i++;

        if (text->data[i] != ',') {
            return i == text->len - 1 && items >= least && items <= 64;
        }

        i++;
    }
}


/* a pattern: % around it, no other % or _ without a backslash before it */

static ngx_uint_t
fuzz_is_pattern(const ngx_str_t *text)
{
    size_t  i;

    if (text->len < 4 || text->data[0] != '%'
        || text->data[text->len - 1] != '%')
    {
        return 0;
    }

    for (i = 1; i < text->len - 1; i++) {
        if (ngx_strchr("<>\"'", text->data[i]) && text->data[i]) {
            return 0;
        }

        if ((text->data[i] == '%' || text->data[i] == '_')
            && text->data[i - 1] != '\\')
        {
            return 0;
        }
    }

    return 1;
}


/* -?(0|[1-9][0-9]*)([.][0-9]+)?(e-?[0-9]+)?, of the grammar in RFC 8259 */

static ngx_uint_t
fuzz_is_json_number(const ngx_str_t *text)
{
    char         number[128];
    size_t       n;
    const char  *p;

    if (text->len > 80) {
        return 0;
    }

    (void) snprintf(number, sizeof(number), "%.*s", (int) text->len,
                    text->data);

    p = number + (number[0] == '-');
    n = strspn(p, "0123456789");

    if (n == 0 || (n > 1 && p[0] == '0')) {
        return 0;
    }

    p += n;

    if (*p == '.') {
        n = strspn(++p, "0123456789");
        p += n;
    }

    if (n && *p == 'e') {
        p += 1 + (p[1] == '-');
        n = strspn(p, "0123456789");
        p += n;
    }

    return n && *p == '\0';
}


static ngx_uint_t
fuzz_is_uuid(const ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text->data[i] != '-') {
                return 0;
            }

        } else if (memchr("0123456789abcdef", text->data[i], 16) == NULL) {
            return 0;
        }
    }

    return i == 36;
}


static ngx_uint_t
fuzz_is_time(const ngx_str_t *text)
{
    ngx_str_t  date;

    if (text->len < sizeof("2024-02-29T10:11:00") - 1
        || text->len > sizeof("2024-02-29T10:11:00.123456+09:00") - 1)
    {
        return 0;
    }

    date.data = text->data;
    date.len = 10;

    return fuzz_is_date(&date) && text->data[10] == 'T'
           && text->data[13] == ':' && text->data[16] == ':';
}


/* bounds are not for defaults, and small here: a double is exact enough */

static ngx_uint_t
fuzz_within(const ngx_sf_param_t *row, double number)
{
    return (row->min == -NGX_SF_NO_LIMIT || number >= (double) row->min)
           && (row->max == NGX_SF_NO_LIMIT || number <= (double) row->max);
}


static void
fuzz_value(const ngx_sf_param_t *row, const ngx_sf_value_t *v,
    const char *name)
{
    ngx_uint_t  n;

    if (!v->set) {
        return;
    }

    fuzz_require(v->text.len <= FUZZ_MAX_VALUE && v->echo.len <= FUZZ_MAX_TEXT,
                 "length", name);
    fuzz_require(fuzz_is_utf8(v->text.data, v->text.len)
                 && fuzz_is_utf8(v->echo.data, v->echo.len), "UTF-8", name);
    fuzz_require(v->text.len == 0
                 || memchr(v->text.data, '\0', v->text.len) == NULL,
                 "NUL", name);

    switch (row->type) {

    case NGX_SF_PARAM_ID:
        fuzz_require(fuzz_is_number(&v->text, v->number) && v->number >= 0,
                     "id", name);
        break;

    case NGX_SF_PARAM_INT:
        fuzz_require(fuzz_is_number(&v->text, v->number), "int", name);
        fuzz_require(!v->given || row->def
                     || fuzz_within(row, (double) v->number),
                     "bounds of an int", name);
        break;

    case NGX_SF_PARAM_NUMBER:
        fuzz_require(fuzz_is_json_number(&v->text), "number", name);
        fuzz_require(!v->given
                     || fuzz_within(row, strtod((char *) v->text.data, NULL)),
                     "bounds of a number", name);
        break;

    case NGX_SF_PARAM_BOOL:
        fuzz_require((v->text.len == 4
                      && ngx_memcmp(v->text.data, "true", 4) == 0)
                     || (v->text.len == 5
                         && ngx_memcmp(v->text.data, "false", 5) == 0),
                     "bool", name);
        break;

    case NGX_SF_PARAM_TEXT:
        fuzz_require(v->text.len <= FUZZ_MAX_TEXT, "text", name);
        break;

    case NGX_SF_PARAM_UUID:
        fuzz_require(fuzz_is_uuid(&v->text), "uuid", name);
        break;

    case NGX_SF_PARAM_TIME:
        fuzz_require(fuzz_is_time(&v->text), "time", name);
        break;

    case NGX_SF_PARAM_LIST:
        fuzz_require(fuzz_is_array(&v->text,
                         row[1].type == NGX_SF_PARAM_LIST_ONE ? 2 : 1),
                     "list", name);
        fuzz_require(row[1].type != NGX_SF_PARAM_LIST_ONE || v[1].set == 0,
                     "one beside a list", name);
        break;

    case NGX_SF_PARAM_LIST_ONE:
        fuzz_require(v->text.len > 0 && v->text.len <= FUZZ_MAX_TEXT,
                     "one", name);
        break;

    case NGX_SF_PARAM_CHOICE:
        for (n = 0; row->choices[n].value; n++) { /* void */ }

        fuzz_require(v->number >= 0 && v->number < (int64_t) n, "choice",
                     name);
        break;

    case NGX_SF_PARAM_DATE:
        fuzz_require(fuzz_is_date(&v->text), "date", name);
        break;

    case NGX_SF_PARAM_SEARCH:
        fuzz_require(fuzz_is_pattern(&v->text), "pattern", name);
        break;

    default:
        break;
    }
}


static void
fuzz_pages(const ngx_sf_row_t *row, const ngx_sf_params_t *params)
{
    const ngx_sf_param_t  *p;

    fuzz_require(params->offset >= 0 && params->offset <= FUZZ_MAX_ROWS,
                 "offset", row->name);

    for (p = row->params; p->type != NGX_SF_PARAM_END; p++) {

        if (p->type != NGX_SF_PARAM_PAGE_SIZE) {
            continue;
        }

        fuzz_require(params->page >= 1 && params->page_size >= 1
                     && params->page_size <= ENDPOINTS_MAX_PAGE_SIZE
                     && (p->max <= 0 || params->page_size <= p->max)
                     && params->offset
                        == (params->page - 1) * params->page_size,
                     "page", row->name);

        fuzz_require(params->first == (params->page == 1
                                       && params->page_size == p->number),
                     "first page", row->name);
    }
}


static void
fuzz_bound(ngx_pool_t *pool, ngx_sf_lookup_t *lookup,
    const ngx_sf_resource_t *resource, const char *name)
{
    size_t                   len;
    ngx_uint_t               i;
    const char             **values;
    ngx_sf_bind_source_t     source;
    ngx_sf_pg_statement_t   *variant;

    if (resource == NULL) {
        return;
    }

    lookup->resource = resource;
    ngx_sf_resource_source(lookup, &source);

    variant = ngx_sf_statement_variant(&fuzz_e.worker.variants, fuzz_e.primary,
                                       resource->statement, &source);
    fuzz_require(variant != NULL, "text", name);

    values = ngx_sf_statement_bind(pool, variant, &source);

    for (i = 0; i < variant->nvalues; i++) {

        if (values[i] == NULL) {
            continue;
        }

        len = strlen(values[i]);
        fuzz_require(len <= FUZZ_MAX_VALUE
                     && fuzz_is_utf8((u_char *) values[i], len), "value",
                     name);
    }
}


static ngx_int_t
fuzz_read(ngx_pool_t *pool, const ngx_sf_row_t *row, const ngx_str_t *path,
    const ngx_str_t *args, ngx_sf_params_t *params)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = ngx_sf_params_read(pool, row->params, path, args, &fuzz_e.env,
                            params);
    fuzz_require(rc == NGX_OK, "memory", row->name);

    if (params->status) {
        fuzz_require((params->status == NGX_HTTP_BAD_REQUEST
                      || params->status == NGX_HTTP_NOT_FOUND)
                     && params->error.len > 0 && params->error.len < 100
                     && fuzz_is_utf8(params->error.data, params->error.len),
                     "error", row->name);
        return NGX_DECLINED;
    }

    for (i = 0; row->params[i].type != NGX_SF_PARAM_END; i++) {
        fuzz_value(&row->params[i], &params->values[i], row->name);
    }

    fuzz_pages(row, params);

    return NGX_OK;
}


static void
fuzz_endpoint(ngx_pool_t *pool, ngx_sf_endpoint_t *endpoint,
    const ngx_str_t *path, const ngx_str_t *args, int64_t user)
{
    ngx_sf_lookup_t   lookup;
    ngx_sf_params_t   params;

    if (fuzz_read(pool, endpoint->row, path, args, &params) != NGX_OK) {
        return;
    }

    ngx_memzero(&lookup, sizeof(ngx_sf_lookup_t));
    lookup.params = &params;
    lookup.user = user;

    fuzz_bound(pool, &lookup, endpoint->response, endpoint->row->name);
    fuzz_bound(pool, &lookup, endpoint->total, endpoint->row->name);
}


/* each type alone, as the first error ends the reading of all */

static void
fuzz_types(ngx_pool_t *pool, const ngx_str_t *args)
{
    ngx_str_t        path;
    ngx_uint_t       i;
    ngx_sf_row_t     row;
    ngx_sf_param_t   alone[3];
    ngx_sf_params_t  params;

    path = *args;
    row = fuzz_row;
    row.params = alone;

    for (i = 0; fuzz_params[i].type != NGX_SF_PARAM_END; i++) {
        alone[0] = fuzz_params[i];
        alone[1] = fuzz_params[i + 1];
        alone[2].type = NGX_SF_PARAM_END;

        if (alone[0].type == NGX_SF_PARAM_LIST_ONE
            || alone[0].type == NGX_SF_PARAM_PAGE_SIZE)
        {
            continue;
        }

        if (alone[1].type != NGX_SF_PARAM_LIST_ONE
            && alone[1].type != NGX_SF_PARAM_PAGE_SIZE)
        {
            alone[1].type = NGX_SF_PARAM_END;
        }

        (void) fuzz_read(pool, &row, &path, args, &params);
    }
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    unit_init();
    unit_log.log_level = NGX_LOG_EMERG;

    endpoints_compile(&fuzz_e, unit_pool);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t      pick;
    ngx_str_t    path[NGX_SF_PATH_PARAMS], args;
    ngx_uint_t   i;
    ngx_pool_t  *pool;

    if (size == 0) {
        return 0;
    }

    pick = data[0];

    pool = ngx_create_pool(4096, &unit_log);
    fuzz_require(pool != NULL, "memory", "the test");

    for (i = 0; i < NGX_SF_PATH_PARAMS; i++) {
        path[i].data = (u_char *) fuzz_ids[pick & 7];
        path[i].len = strlen(fuzz_ids[pick & 7]);
    }

    /* a block of its own: a byte read past the end is found */

    args.len = size - 1;
    args.data = ngx_pnalloc(pool, args.len + (args.len == 0));
    ngx_memcpy(args.data, data + 1, args.len);

    fuzz_e.env.now = (time_t) (pick >> 3) * 86400 * 400;

    for (i = 0; i < fuzz_e.smcf->nendpoints; i++) {
        fuzz_endpoint(pool, &fuzz_e.smcf->endpoints[i], path, &args,
                      pick & 1 ? INT32_MAX : 1);
    }

    fuzz_types(pool, &args);

    ngx_destroy_pool(pool);

    return 0;
}

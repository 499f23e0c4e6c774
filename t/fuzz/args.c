
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * A query string to every endpoint, and what is bound of it: no crash, values
 * that PostgreSQL can take, pages within bounds.  The first byte picks the
 * user and the digits of the path, the rest is the query string.
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


/* the text form of an array of two or more texts, all quoted */

static ngx_uint_t
fuzz_is_array(const ngx_str_t *text)
{
    size_t      i;
    ngx_uint_t  resources;

    if (text->len < 2 || text->data[0] != '{'
        || text->data[text->len - 1] != '}')
    {
        return 0;
    }

    resources = 0;
    i = 1;

    for ( ;; ) {
        if (text->data[i++] != '"') {
            return 0;
        }

        while (i < text->len && text->data[i] != '"') {
            i += text->data[i] == '\\' ? 2 : 1;
        }

        resources++;

        if (i + 2 > text->len) {
            return 0;
        }

        i++;

        if (text->data[i] != ',') {
            return i == text->len - 1 && resources >= 2 && resources <= 64;
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

    case NGX_SF_PARAM_STRING:
    case NGX_SF_PARAM_LIST_ONE:
        fuzz_require(v->text.len > 0 && v->text.len <= FUZZ_MAX_TEXT,
                     "string", name);
        break;

    case NGX_SF_PARAM_LIST:
        fuzz_require(fuzz_is_array(&v->text), "list", name);
        fuzz_require(v[1].set == 0, "one beside a list", name);
        break;

    case NGX_SF_PARAM_INT:
        fuzz_require(fuzz_is_number(&v->text, v->number) && v->number != 0,
                     "int", name);
        break;

    case NGX_SF_PARAM_INT_DEFAULT:
        fuzz_require(fuzz_is_number(&v->text, v->number), "int", name);
        break;

    case NGX_SF_PARAM_INT_STRICT:
        fuzz_require(fuzz_is_number(&v->text, v->number)
                     && v->number >= row->min && v->number <= row->max,
                     "strict int", name);
        break;

    case NGX_SF_PARAM_TEXT:
        fuzz_require(v->text.len <= FUZZ_MAX_TEXT, "text", name);
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
                     && (p->max == 0 || params->page_size <= p->max)
                     && params->offset
                        == (params->page - 1) * params->page_size,
                     "page", row->name);

        fuzz_require(params->first == (params->page == 1
                                       && params->page_size == p->def),
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
        len = strlen(values[i]);
        fuzz_require(len <= FUZZ_MAX_VALUE
                     && fuzz_is_utf8((u_char *) values[i], len), "value",
                     name);
    }
}


static void
fuzz_endpoint(ngx_pool_t *pool, ngx_sf_endpoint_t *endpoint,
    const ngx_str_t *id, const ngx_str_t *args, int64_t user)
{
    ngx_int_t            rc;
    ngx_uint_t           i;
    ngx_sf_lookup_t      lookup;
    ngx_sf_params_t      params;
    const ngx_sf_row_t  *row;

    row = endpoint->row;

    rc = ngx_sf_params_read(pool, row->params, id, args, &fuzz_e.env,
                            &params);
    fuzz_require(rc == NGX_OK, "memory", row->name);

    if (params.status) {
        fuzz_require((params.status == NGX_HTTP_BAD_REQUEST
                      || params.status == NGX_HTTP_NOT_FOUND)
                     && params.error.len > 0 && params.error.len < 100
                     && fuzz_is_utf8(params.error.data, params.error.len),
                     "error", row->name);
        return;
    }

    for (i = 0; i < endpoint->nparams; i++) {
        fuzz_value(&row->params[i], &params.values[i], row->name);
    }

    fuzz_pages(row, &params);

    ngx_memzero(&lookup, sizeof(ngx_sf_lookup_t));
    lookup.params = &params;
    lookup.user = user;

    fuzz_bound(pool, &lookup, endpoint->response, row->name);
    fuzz_bound(pool, &lookup, endpoint->total, row->name);
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
    ngx_str_t    id, args;
    ngx_uint_t   i;
    ngx_pool_t  *pool;

    if (size == 0) {
        return 0;
    }

    pick = data[0];

    pool = ngx_create_pool(4096, &unit_log);
    fuzz_require(pool != NULL, "memory", "the test");

    id.data = (u_char *) fuzz_ids[pick & 7];
    id.len = strlen(fuzz_ids[pick & 7]);

    /* a block of its own: a byte read past the end is found */

    args.len = size - 1;
    args.data = ngx_pnalloc(pool, args.len + (args.len == 0));
    ngx_memcpy(args.data, data + 1, args.len);

    fuzz_e.env.now = (time_t) (pick >> 3) * 86400 * 400;

    for (i = 0; i < fuzz_e.smcf->nendpoints; i++) {
        fuzz_endpoint(pool, &fuzz_e.smcf->endpoints[i], &id, &args,
                      pick & 1 ? INT32_MAX : 1);
    }

    ngx_destroy_pool(pool);

    return 0;
}

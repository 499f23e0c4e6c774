
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Parameters: the only place where outside text becomes values of statements.
 *
 * ngx_sf_args.c finds the raw values in the query string.  Then each row of the
 * endpoint's table is read by the function of its type, in the order of the
 * table, and the first error is kept: it is not reported before the principal
 * is known, as an inactive user gets 401 whatever the parameters are.
 *
 * A value has up to three forms: the text that is bound to the statement, the
 * text that the response repeats, and a number.  A filter that is not `set` is
 * left out of the statement's text.
 *
 * Values are bounded here, so that nothing absurd reaches the pool: texts by
 * NGX_SF_PARAM_MAX_TEXT, ids by PostgreSQL's integer, pages by the number of
 * rows that a table with such ids can have.
 */


#include "ngx_sf_api.h"
#include "ngx_sf_number.h"

#include <inttypes.h>


#define NGX_SF_PARAM_MAX_ARGS    16384    /* bytes of a query string */
#define NGX_SF_PARAM_MAX_TEXT    1024     /* bytes of a decoded text */
#define NGX_SF_PARAM_MAX_ITEMS   64       /* of a list */
#define NGX_SF_PARAM_MAX_ROWS    NGX_MAX_INT32_VALUE
#define NGX_SF_PARAM_SEARCH_MIN  2        /* code points of a keyword that
                                             has others than ASCII */
#define NGX_SF_PARAM_SEARCH_MAX  100

#define NGX_SF_SECONDS_A_DAY     86400
#define NGX_SF_DAYS_IN_ERA       146097   /* 400 years */
#define NGX_SF_MARCH_FIRST       719468   /* days of year 0 from March on,
                                             until 1970-01-01 */
#define NGX_SF_FIRST_DAY         -719162  /* 0001-01-01, from 1970-01-01 */


typedef struct {
    ngx_pool_t                 *pool;
    const ngx_sf_param_t       *rows;
    const ngx_str_t            *raw;      /* by row: decoded, or data NULL */
    const ngx_str_t            *alias;
    const ngx_sf_param_env_t   *env;
    ngx_sf_params_t            *params;
} ngx_sf_param_reader_t;


/* NGX_OK, or NGX_ERROR when memory is short; errors in the input are kept */

typedef ngx_int_t (*ngx_sf_param_read_pt)(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);


static ngx_int_t ngx_sf_param_read_id(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_string(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_list(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_list_one(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_int(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_int_default(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_int_strict(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_text(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_choice(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_date(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_search(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_page(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_page_size(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);

static ngx_uint_t ngx_sf_param_text_ok(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static u_char *ngx_sf_param_quote(u_char *out, const ngx_str_t *item);
static ngx_int_t ngx_sf_param_set_number(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, int64_t number);
static ngx_int_t ngx_sf_param_error(ngx_sf_param_reader_t *rd,
    ngx_uint_t status, const char *before, const char *name,
    const char *after);
static size_t ngx_sf_param_code_points(const ngx_str_t *text);
static ngx_int_t ngx_sf_param_iso_date(const ngx_str_t *text, int64_t *day);
static ngx_int_t ngx_sf_param_search_pattern(ngx_pool_t *pool,
    const ngx_str_t *text, ngx_str_t *out);


static const ngx_sf_param_read_pt  ngx_sf_param_readers[] = {
    /* END */          NULL,
    /* ID */           ngx_sf_param_read_id,
    /* STRING */       ngx_sf_param_read_string,
    /* LIST */         ngx_sf_param_read_list,
    /* LIST_ONE */     ngx_sf_param_read_list_one,
    /* INT */          ngx_sf_param_read_int,
    /* INT_DEFAULT */  ngx_sf_param_read_int_default,
    /* INT_STRICT */   ngx_sf_param_read_int_strict,
    /* TEXT */         ngx_sf_param_read_text,
    /* CHOICE */       ngx_sf_param_read_choice,
    /* DATE */         ngx_sf_param_read_date,
    /* SEARCH */       ngx_sf_param_read_search,
    /* PAGE */         ngx_sf_param_read_page,
    /* PAGE_SIZE */    ngx_sf_param_read_page_size
};


/*
 * What the original refuses in a keyword as SQL-looking: a quote before OR or
 * AND and a later "=", a second command, UNION SELECT, a comment.
 */

static const char  ngx_sf_param_sql_like[] =
    "(?m)['\"]\\s*(?:or|and)\\s.*="
    "|;\\s*(?:drop|delete|update|insert|alter|create)\\s"
    "|union\\s+(?:all\\s+)?select"
    "|--\\s*$"
    "|/\\*(?s:.*?)\\*/";


ngx_int_t
ngx_sf_param_env_init(ngx_conf_t *cf, ngx_sf_param_env_t *env)
{
    u_char               errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t  rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern.data = (u_char *) ngx_sf_param_sql_like;
    rc.pattern.len = sizeof(ngx_sf_param_sql_like) - 1;
    rc.options = NGX_REGEX_CASELESS;
    rc.pool = cf->pool;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    if (ngx_regex_compile(&rc) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V", &rc.err);
        return NGX_ERROR;
    }

    env->sql_like = rc.regex;

    return NGX_OK;
}


/*
 * Params->first says that the page is the one for which the statement has a
 * literal LIMIT (ngx_sf_statement.c); an offset is known only when both the
 * page and its size are.
 */

ngx_int_t
ngx_sf_params_read(ngx_pool_t *pool, const ngx_sf_param_t *rows,
    const ngx_str_t *id, const ngx_str_t *args,
    const ngx_sf_param_env_t *env, ngx_sf_params_t *params)
{
    ngx_str_t              *raw;
    ngx_uint_t              i, n;
    ngx_sf_param_reader_t   rd;

    ngx_memzero(params, sizeof(ngx_sf_params_t));

    for (n = 0; rows[n].type != NGX_SF_PARAM_END; n++) { /* void */ }

    raw = ngx_pcalloc(pool, 2 * n * sizeof(ngx_str_t) + 1);
    params->values = ngx_pcalloc(pool, n * sizeof(ngx_sf_value_t) + 1);

    if (raw == NULL || params->values == NULL) {
        return NGX_ERROR;
    }

    rd.pool = pool;
    rd.rows = rows;
    rd.raw = raw;
    rd.alias = raw + n;
    rd.env = env;
    rd.params = params;

    if (args->len > NGX_SF_PARAM_MAX_ARGS) {
        return ngx_sf_param_error(&rd, NGX_HTTP_BAD_REQUEST,
                                  "Query string is too long", "", "");
    }

    if (ngx_sf_args_read(pool, args, rows, raw, raw + n) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (rows[i].type == NGX_SF_PARAM_ID) {
            raw[i] = *id;
        }

        if (ngx_sf_param_readers[rows[i].type](&rd, i) != NGX_OK) {
            return NGX_ERROR;
        }

        /* the LIST before a LIST_ONE has read for both */

        params->values[i].given = raw[i].data || raw[n + i].data
                                  || (rows[i].type == NGX_SF_PARAM_LIST_ONE
                                      && params->values[i - 1].given);
    }

    if (params->page == 0 || params->page_size == 0) {
        return NGX_OK;
    }

    /* a page that no table can reach has no rows */

    if (params->page > 1
        && params->page - 1 > NGX_SF_PARAM_MAX_ROWS / params->page_size)
    {
        return ngx_sf_param_error(&rd, NGX_HTTP_NOT_FOUND, "Not found", "",
                                  "");
    }

    params->offset = (params->page - 1) * params->page_size;

    return NGX_OK;
}


/* one block for all texts; those with an error are never kept */

ngx_int_t
ngx_sf_params_copy(ngx_pool_t *pool, const ngx_sf_params_t *params,
    ngx_uint_t n, ngx_sf_params_t *copy)
{
    u_char          *p;
    size_t           size;
    ngx_uint_t       i;
    ngx_sf_value_t  *value;

    size = 0;

    for (i = 0; i < n; i++) {
        size += params->values[i].text.len + params->values[i].echo.len;
    }

    value = ngx_palloc(pool, n * sizeof(ngx_sf_value_t) + 1);
    p = ngx_pnalloc(pool, size + 1);

    if (value == NULL || p == NULL) {
        return NGX_ERROR;
    }

    *copy = *params;
    copy->values = value;

    for (i = 0; i < n; i++) {
        value[i] = params->values[i];

        if (value[i].text.data) {
            value[i].text.data = p;
            p = ngx_cpymem(p, params->values[i].text.data, value[i].text.len);
        }

        if (value[i].echo.data) {
            value[i].echo.data = p;
            p = ngx_cpymem(p, params->values[i].echo.data, value[i].echo.len);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_param_read_id(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    int64_t  number;

    /* an id beyond int8 is no error: the endpoint has no such row */

    number = ngx_atoof(rd->raw[i].data, rd->raw[i].len);

    if (number < 0) {
        rd->params->no_row = 1;
        number = 0;
    }

    return ngx_sf_param_set_number(rd, i, number);
}


/* an empty filter is none, as in the original */

static ngx_int_t
ngx_sf_param_read_string(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    const ngx_str_t  *raw;

    raw = &rd->raw[i];

    if (raw->len == 0 || !ngx_sf_param_text_ok(rd, i, raw)) {
        return NGX_OK;
    }

    rd->params->values[i].text = *raw;
    rd->params->values[i].set = 1;

    return NGX_OK;
}


/*
 * Items are trimmed and empty ones dropped; when none is left the text itself
 * is the only item, as in the original, and matches nothing.  The value is
 * the text form of a PostgreSQL array, every item quoted.
 */

static ngx_int_t
ngx_sf_param_read_list(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    u_char           *out, *p, *last;
    ngx_str_t         raw, item, only;
    ngx_uint_t        n;
    ngx_sf_value_t   *value;

    raw = rd->raw[i].data ? rd->raw[i] : rd->alias[i];

    if (raw.len == 0 || !ngx_sf_param_text_ok(rd, i, &raw)) {
        return NGX_OK;
    }

    /* at worst every byte is escaped, and "," becomes "\",\"" */

    out = ngx_pnalloc(rd->pool, 3 * raw.len + sizeof("{\"\"}"));
    if (out == NULL) {
        return NGX_ERROR;
    }

    value = &rd->params->values[i];
    value->text.data = out;

    n = 0;
    only = raw;
    p = raw.data;
    last = p + raw.len;

    while (p < last) {
        item.data = p;
        p = ngx_strlchr(p, last, ',');
        item.len = (p ? p : last) - item.data;
        p = p ? p + 1 : last;

        item = ngx_sf_number_strip(&item);

        if (item.len == 0) {
            continue;
        }

        if (n++ == NGX_SF_PARAM_MAX_ITEMS) {
            return ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST, "Too many ",
                                      rd->rows[i].name, " values");
        }

        only = item;
        *out++ = n == 1 ? '{' : ',';
        out = ngx_sf_param_quote(out, &item);
    }

    if (n < 2) {
        rd->params->values[i + 1].text = only;
        rd->params->values[i + 1].set = 1;
        return NGX_OK;
    }

    *out++ = '}';

    value->text.len = out - value->text.data;
    value->set = 1;

    return NGX_OK;
}


/* an item of an array's text form */

static u_char *
ngx_sf_param_quote(u_char *out, const ngx_str_t *item)
{
    size_t  i;

    *out++ = '"';

    for (i = 0; i < item->len; i++) {
        if (item->data[i] == '"' || item->data[i] == '\\') {
            *out++ = '\\';
        }

        *out++ = item->data[i];
    }

    *out++ = '"';

    return out;
}


/* the LIST before it has done the work */

static ngx_int_t
ngx_sf_param_read_list_one(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    return NGX_OK;
}


/* what is no integer is no filter; 0 is none either, as in the original */

static ngx_int_t
ngx_sf_param_read_int(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    int64_t  number;

    if (ngx_sf_number_parse_int(&rd->raw[i], &number) != NGX_OK
        || number == 0)
    {
        return NGX_OK;
    }

    return ngx_sf_param_set_number(rd, i, number);
}


static ngx_int_t
ngx_sf_param_read_int_default(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    int64_t  number;

    if (ngx_sf_number_parse_int(&rd->raw[i], &number) != NGX_OK) {
        number = rd->rows[i].def;
    }

    return ngx_sf_param_set_number(rd, i, number);
}


/* the number counts, the text is echoed as it came */

static ngx_int_t
ngx_sf_param_read_int_strict(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    int64_t                number;
    const ngx_str_t       *raw;
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];
    raw = &rd->raw[i];

    if (raw->data == NULL) {
        return ngx_sf_param_set_number(rd, i, row->def);
    }

    if (ngx_sf_number_parse_int(raw, &number) != NGX_OK
        || number < row->min || number > row->max)
    {
        return ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST, "Invalid ",
                                  row->name, "");
    }

    if (!ngx_sf_param_text_ok(rd, i, raw)) {
        return NGX_OK;
    }

    rd->params->values[i].echo = *raw;

    return ngx_sf_param_set_number(rd, i, number);
}


/* not a filter: it is always there, if only by its default */

static ngx_int_t
ngx_sf_param_read_text(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    ngx_sf_value_t  *value;

    value = &rd->params->values[i];

    if (rd->raw[i].data == NULL) {
        value->text.data = (u_char *) rd->rows[i].text;
        value->text.len = ngx_strlen(rd->rows[i].text);

    } else {
        if (!ngx_sf_param_text_ok(rd, i, &rd->raw[i])) {
            return NGX_OK;
        }

        value->text = rd->raw[i];
    }

    value->echo = value->text;
    value->set = 1;

    return NGX_OK;
}


/*
 * The number of the choice selects its SQL; nothing of the text that came is
 * used.  What is none of the choices is the first one.
 */

static ngx_int_t
ngx_sf_param_read_choice(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    ngx_uint_t              n;
    const ngx_str_t        *raw;
    const ngx_sf_choice_t  *choice;

    raw = &rd->raw[i];
    choice = rd->rows[i].choices;

    for (n = 0; choice[n].value; n++) {
        if (ngx_strlen(choice[n].value) == raw->len
            && ngx_memcmp(choice[n].value, raw->data, raw->len) == 0)
        {
            rd->params->values[i].number = n;
        }
    }

    rd->params->values[i].set = 1;

    return NGX_OK;
}


/*
 * The date part of an ISO date or datetime counts; what is missing or is no
 * date becomes .def days before the parameter .since, or before today.  The
 * row that .since names stands earlier in the table.
 */

static ngx_int_t
ngx_sf_param_read_date(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    u_char                *text;
    int64_t                day, shift;
    ngx_tm_t               tm;
    ngx_str_t              raw;
    ngx_uint_t             n;
    ngx_sf_value_t        *value;
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];
    raw = rd->raw[i].data ? rd->raw[i] : rd->alias[i];

    if (ngx_sf_param_iso_date(&raw, &day) != NGX_OK) {
        day = rd->env->now / NGX_SF_SECONDS_A_DAY;

        for (n = 0; row->since && n < i; n++) {
            if (ngx_strcmp(rd->rows[n].name, row->since) == 0) {
                day = rd->params->values[n].number;
            }
        }

        day -= row->def;
    }

    text = ngx_pnalloc(rd->pool, 3 * NGX_INT_T_LEN);
    if (text == NULL) {
        return NGX_ERROR;
    }

    day = ngx_max(day, NGX_SF_FIRST_DAY);

    /* nginx knows no time before 1970, but 2000 years later days repeat */

    shift = day < 0 ? 5 : 0;

    ngx_gmtime((day + shift * NGX_SF_DAYS_IN_ERA) * NGX_SF_SECONDS_A_DAY,
               &tm);

    value = &rd->params->values[i];

    value->text.data = text;
    value->text.len = ngx_sprintf(text, "%04d-%02d-%02d",
                                  tm.ngx_tm_year - (int) shift * 400,
                                  tm.ngx_tm_mon,
                                  tm.ngx_tm_mday)
                      - text;
    value->number = day;
    value->set = 1;

    return NGX_OK;
}


/*
 * The length counts in characters, as Python's len() does, of a keyword whose
 * blanks at both ends are gone.  The keyword is bound like any other value; the
 * refusal of what looks like SQL is kept because clients of the original see
 * it.
 */

static ngx_int_t
ngx_sf_param_read_search(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    size_t           n, min;
    u_char           digits[NGX_INT_T_LEN + 1];
    ngx_str_t        text;
    ngx_sf_value_t  *value;

    value = &rd->params->values[i];
    text = ngx_sf_number_strip(&rd->raw[i]);
    n = ngx_sf_param_code_points(&text);

    /* two characters of another script may be a word */

    min = n == text.len ? rd->env->min_search : NGX_SF_PARAM_SEARCH_MIN;

    if (n < min) {
        *ngx_sprintf(digits, "%uz", min) = '\0';

        return ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST,
                                  "Search keyword must be at least ",
                                  (char *) digits, " characters");
    }

    if (n > NGX_SF_PARAM_SEARCH_MAX) {
        return ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST,
                  "Search keyword must be 100 characters or less", "", "");
    }

    if (ngx_regex_exec(rd->env->sql_like, &text, NULL, 0) >= 0) {
        return ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST,
                                  "Invalid search keyword", "", "");
    }

    if (!ngx_sf_param_text_ok(rd, i, &text)) {
        return NGX_OK;
    }

    value->set = 1;

    return ngx_sf_param_search_pattern(rd->pool, &text, &value->text);
}


/* below 1 is 404 and not 400: there is no such page */

static ngx_int_t
ngx_sf_param_read_page(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    int64_t  page;

    if (ngx_sf_number_parse_int(&rd->raw[i], &page) != NGX_OK) {
        page = 1;
    }

    if (page < 1) {
        return ngx_sf_param_error(rd, NGX_HTTP_NOT_FOUND, "Not found", "",
                                  "");
    }

    rd->params->page = page;

    return NGX_OK;
}


/*
 * The row's bound first, then that of the location: the latter holds for
 * endpoints that have none of their own, too.  A page is read before its size,
 * as P_PAGES has them in that order.
 */

static ngx_int_t
ngx_sf_param_read_page_size(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    int64_t                size;
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];

    if (ngx_sf_number_parse_int(&rd->raw[i], &size) != NGX_OK
        && ngx_sf_number_parse_int(&rd->alias[i], &size) != NGX_OK)
    {
        size = row->def;
    }

    if (size < 1) {
        return ngx_sf_param_error(rd, NGX_HTTP_NOT_FOUND, "Not found", "",
                                  "");
    }

    if (row->max && size > row->max) {
        size = row->max;
    }

    rd->params->page_size = ngx_min(size, rd->env->max_page_size);
    rd->params->first = rd->params->page == 1
                        && rd->params->page_size == row->def;

    return NGX_OK;
}


/* PostgreSQL's text has no NUL, and no column is longer than the bound */

static ngx_uint_t
ngx_sf_param_text_ok(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    if (text->len <= NGX_SF_PARAM_MAX_TEXT
        && ngx_strlchr(text->data, text->data + text->len, '\0') == NULL)
    {
        return 1;
    }

    (void) ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST, "Invalid ",
                              rd->rows[i].name, "");

    return 0;
}


static ngx_int_t
ngx_sf_param_set_number(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    int64_t number)
{
    u_char          *text;
    ngx_sf_value_t  *value;

    text = ngx_pnalloc(rd->pool, NGX_INT64_LEN + 1);
    if (text == NULL) {
        return NGX_ERROR;
    }

    value = &rd->params->values[i];

    value->number = number;
    value->set = 1;
    value->text.data = text;

    /* not ngx_sprintf(), which cannot negate the least of all */

    value->text.len = snprintf((char *) text, NGX_INT64_LEN + 1, "%" PRId64,
                               number);

    if (value->echo.data == NULL) {
        value->echo = value->text;
    }

    return NGX_OK;
}


/* the first error counts; NGX_ERROR only when memory is short */

static ngx_int_t
ngx_sf_param_error(ngx_sf_param_reader_t *rd, ngx_uint_t status,
    const char *before, const char *name, const char *after)
{
    u_char           *p;
    ngx_sf_params_t  *params;

    params = rd->params;

    if (params->status) {
        return NGX_OK;
    }

    p = ngx_pnalloc(rd->pool, ngx_strlen(before) + ngx_strlen(name)
                              + ngx_strlen(after) + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    params->status = status;
    params->error.data = p;
    params->error.len = ngx_sprintf(p, "%s%s%s", before, name, after) - p;

    return NGX_OK;
}


/*
 * Bytes that do not continue a character (RFC 3629, 3); the text is valid
 * UTF-8.
 */

static size_t
ngx_sf_param_code_points(const ngx_str_t *text)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < text->len; i++) {
        n += (text->data[i] & 0xc0) != 0x80;
    }

    return n;
}


/* YYYY-MM-DD or YYYYMMDD, alone or before a separator and a time */

static ngx_int_t
ngx_sf_param_iso_date(const ngx_str_t *text, int64_t *day)
{
    size_t      len;
    u_char     *p;
    ngx_int_t   year, month, mday, era, yoe, doy, leap;

    static const u_char  days[] = { 31, 28, 31, 30, 31, 30,
                                    31, 31, 30, 31, 30, 31 };

    p = text->data;

    if (text->len >= 10 && p[4] == '-' && p[7] == '-') {
        month = ngx_atoi(p + 5, 2);
        mday = ngx_atoi(p + 8, 2);
        len = 10;

    } else if (text->len >= 8) {
        month = ngx_atoi(p + 4, 2);
        mday = ngx_atoi(p + 6, 2);
        len = 8;

    } else {
        return NGX_DECLINED;
    }

    /* any one separator; of the time only the hour is looked at */

    if (text->len > len
        && (text->len < len + 3
            || ngx_atoi(p + len + 1, 2) < 0 || ngx_atoi(p + len + 1, 2) > 23))
    {
        return NGX_DECLINED;
    }

    year = ngx_atoi(p, 4);

    if (year < 1 || month < 1 || month > 12 || mday < 1) {
        return NGX_DECLINED;
    }

    leap = month == 2 && year % 4 == 0 && (year % 100 || year % 400 == 0);

    if (mday > days[month - 1] + leap) {
        return NGX_DECLINED;
    }

    /* days since 1970-01-01: years begin in March, eras are 400 years */

    if (month <= 2) {
        year--;
        month += 12;
    }

    era = year / 400;
    yoe = year % 400;
    doy = (153 * (month - 3) + 2) / 5 + mday - 1;

    *day = era * NGX_SF_DAYS_IN_ERA + yoe * 365 + yoe / 4 - yoe / 100 + doy
           - NGX_SF_MARCH_FIRST;

    return NGX_OK;
}


/*
 * The stored texts are HTML-escaped, so the keyword is escaped likewise; then
 * LIKE's wildcards lose their meaning.  A backslash keeps its own, as in the
 * original.
 */

static ngx_int_t
ngx_sf_param_search_pattern(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_str_t *out)
{
    u_char  *p, *last, *dst;

    dst = ngx_pnalloc(pool, 6 * text->len + sizeof("%%"));
    if (dst == NULL) {
        return NGX_ERROR;
    }

    out->data = dst;
    *dst++ = '%';

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        switch (*p) {

        case '&':
            dst = ngx_cpymem(dst, "&amp;", 5);
            break;

        case '<':
            dst = ngx_cpymem(dst, "&lt;", 4);
            break;

        case '>':
            dst = ngx_cpymem(dst, "&gt;", 4);
            break;

        case '"':
            dst = ngx_cpymem(dst, "&quot;", 6);
            break;

        case '\'':
            dst = ngx_cpymem(dst, "&#x27;", 6);
            break;

        case '%':
        case '_':
            *dst++ = '\\';
            /* fall through */

        default:
            *dst++ = *p;
        }
    }

    *dst++ = '%';
    *dst = '\0';

    out->len = dst - out->data;

    return NGX_OK;
}

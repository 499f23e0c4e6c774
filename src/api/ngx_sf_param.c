
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Parameters: the only place where outside text becomes values of statements.
 *
 * ngx_sf_args.c finds the raw values in the query string, the route those of
 * the path.  Then each parameter of the endpoint is read by its type, in the
 * order of their lines, and the first error is kept: it is not reported before
 * the principal is known, as an inactive user gets 401 whatever the parameters
 * are.
 *
 * Types are strict: text that is no value of the type is an error, unless the
 * parameter is lenient, and then it counts as absent.  An absent parameter has
 * its default; without one it is not `set`: a group of the statement that
 * begins with it is left out, elsewhere it is NULL.  In a path there is no bad
 * request: text that is no value is the id of nothing.
 *
 * A value has up to three forms: the text that is bound to the statement, in
 * canonical spelling, the text as it came, and a number.
 *
 * Values are bounded here, so that nothing absurd reaches the pool: texts by
 * their length, ids by int8, pages by the number of rows that a table
 * with such ids can have.
 */


#include "ngx_sf_api.h"
#include "ngx_sf_canonical.h"
#include "ngx_sf_number.h"
#include "ngx_sf_param_value.h"


#define NGX_SF_PARAM_MAX_ARGS    16384    /* bytes of a query string */
#define NGX_SF_PARAM_MAX_ROWS    NGX_MAX_INT32_VALUE

#define NGX_SF_PARAM_DAY         86400    /* seconds */


static ngx_int_t ngx_sf_param_read(ngx_sf_param_reader_t *rd, ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_page(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_page_size(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_read_value(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_uint_t ngx_sf_param_within(const ngx_sf_param_reader_t *rd,
    const ngx_sf_param_t *row);
static ngx_int_t ngx_sf_param_default(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_default_date(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static ngx_int_t ngx_sf_param_refuse(ngx_sf_param_reader_t *rd,
    ngx_uint_t i);
static void ngx_sf_param_clear(ngx_sf_param_reader_t *rd, ngx_uint_t i);
static ngx_int_t ngx_sf_param_error(ngx_sf_param_reader_t *rd,
    ngx_uint_t status, const char *before, const char *middle,
    const char *after);


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
    const ngx_str_t *path, const ngx_str_t *args,
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
        if (rows[i].path) {
            raw[i] = path[rows[i].path - 1];

            if (ngx_sf_args_utf8(pool, &raw[i]) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        if (ngx_sf_param_read(&rd, i) != NGX_OK) {
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
ngx_sf_param_read(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    switch (rd->rows[i].type) {

    case NGX_SF_PARAM_LIST_ONE:

        /* the LIST before it has done the work */

        return NGX_OK;

    case NGX_SF_PARAM_PAGE:
        return ngx_sf_param_read_page(rd, i);

    case NGX_SF_PARAM_PAGE_SIZE:
        return ngx_sf_param_read_page_size(rd, i);

    default:
        return ngx_sf_param_read_value(rd, i);
    }
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
 * endpoints that have none of their own, too.  A page is read before its size:
 * `page` declares them in that order.
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
        size = row->number;
    }

    if (size < 1) {
        return ngx_sf_param_error(rd, NGX_HTTP_NOT_FOUND, "Not found", "",
                                  "");
    }

    if (row->max > 0 && size > row->max) {
        size = row->max;
    }

    rd->params->page_size = ngx_min(size, rd->env->max_page_size);
    rd->params->first = rd->params->page == 1
                        && rd->params->page_size == row->number;

    return NGX_OK;
}


/*
 * Empty text counts as absent, unless there is a default: then a client may
 * say with it that the default is not meant.  A search has to be there.
 */

static ngx_int_t
ngx_sf_param_read_value(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    ngx_int_t              rc;
    ngx_str_t              text;
    ngx_sf_value_t        *value;
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];
    value = &rd->params->values[i];
    text = rd->raw[i].data ? rd->raw[i] : rd->alias[i];

    if (text.len == 0 && !row->path && (text.data == NULL || row->def == NULL)
        && (row->type != NGX_SF_PARAM_SEARCH || row->def || row->lenient))
    {
        return ngx_sf_param_default(rd, i);
    }

    rc = ngx_sf_param_value_parse(rd, i, &text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED || !ngx_sf_param_within(rd, row)) {
        ngx_sf_param_clear(rd, i);
        return ngx_sf_param_refuse(rd, i);
    }

    if (row->unset && (ngx_sf_param_is(&text, row->unset)
                       || ngx_sf_param_is(&value->text, row->unset)))
    {
        ngx_sf_param_clear(rd, i);
        return ngx_sf_param_default(rd, i);
    }

    if (value->set && value->echo.data == NULL) {
        value->echo = text;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_sf_param_within(const ngx_sf_param_reader_t *rd, const ngx_sf_param_t *row)
{
    return (row->min == -NGX_SF_NO_LIMIT || rd->low >= row->min)
           && (row->max == NGX_SF_NO_LIMIT || rd->high <= row->max);
}


/* bounds are for what clients say: a default may lie outside of them */

static ngx_int_t
ngx_sf_param_default(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    ngx_str_t              text;
    ngx_sf_value_t        *value;
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];
    value = &rd->params->values[i];

    if (row->type == NGX_SF_PARAM_DATE) {
        return ngx_sf_param_default_date(rd, i);
    }

    if (row->def == NULL) {
        return row->type == NGX_SF_PARAM_CHOICE
               ? ngx_sf_param_value_set_choice(rd, i, 0) : NGX_OK;
    }

    text.data = (u_char *) row->def;
    text.len = ngx_strlen(row->def);

    if (ngx_sf_param_value_parse(rd, i, &text) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (value->set && value->echo.data == NULL) {
        value->echo = text;
    }

    return NGX_OK;
}


/*
 * Counted back from another parameter, which stands earlier, or from today, or
 * a date.
 */

static ngx_int_t
ngx_sf_param_default_date(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    int64_t                day;
    ngx_str_t              text;
    ngx_uint_t             n;
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];
    day = rd->env->now / NGX_SF_PARAM_DAY;

    if (row->since) {

        for (n = 0; ngx_strcmp(rd->rows[n].name, row->since) != 0; n++) {
            if (n == i) {
                return NGX_OK;
            }
        }

        if (!rd->params->values[n].set) {
            return NGX_OK;
        }

        day = rd->params->values[n].number;

    } else if (row->def == NULL) {
        return NGX_OK;

    } else if (ngx_strcmp(row->def, "today") != 0) {
        text.data = (u_char *) row->def;
        text.len = ngx_strlen(row->def);

        if (ngx_sf_canonical_date(&text, &day) != NGX_OK) {
            return NGX_OK;
        }
    }

    if (ngx_sf_param_value_set_day(rd, i, day - row->number) != NGX_OK) {
        return NGX_ERROR;
    }

    rd->params->values[i].echo = rd->params->values[i].text;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_param_refuse(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];

    if (row->path && row->invalid == NULL) {
        rd->params->no_row = 1;
        return NGX_OK;
    }

    if (row->lenient) {
        return ngx_sf_param_default(rd, i);
    }

    if (row->invalid) {
        return ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST, row->invalid, "",
                                  "");
    }

    return ngx_sf_param_error(rd, NGX_HTTP_BAD_REQUEST, rd->wrong[0],
                              rd->wrong[1], rd->wrong[2]);
}


static void
ngx_sf_param_clear(ngx_sf_param_reader_t *rd, ngx_uint_t i)
{
    ngx_uint_t  n;

    n = rd->rows[i + 1].type == NGX_SF_PARAM_LIST_ONE ? 2 : 1;

    ngx_memzero(&rd->params->values[i], n * sizeof(ngx_sf_value_t));
}


/* the first error counts; NGX_ERROR only when memory is short */

static ngx_int_t
ngx_sf_param_error(ngx_sf_param_reader_t *rd, ngx_uint_t status,
    const char *before, const char *middle, const char *after)
{
    u_char           *p;
    ngx_sf_params_t  *params;

    params = rd->params;

    if (params->status) {
        return NGX_OK;
    }

    p = ngx_pnalloc(rd->pool, ngx_strlen(before) + ngx_strlen(middle)
                              + ngx_strlen(after) + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    params->status = status;
    params->error.data = p;
    params->error.len = ngx_sprintf(p, "%s%s%s", before, middle, after) - p;

    return NGX_OK;
}

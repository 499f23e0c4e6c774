
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What a row of the API can say wrongly.
 *
 * The code that walks the rows relies on what is checked here, once, when the
 * configuration is read: that a LIST has a place for a single item behind it,
 * that the numbers of parameters exist, that bits and places suffice.  Each
 * check tells what the row "has"; what a statement or its tags say wrongly is
 * found where they are compiled: ngx_sf_statement.c, ngx_sf_resource.c.
 */


#include "ngx_sf_api.h"
#include "ngx_sf_metrics.h"
#include "ngx_sf_sql.h"


/* bits of a mask: products of a principal, parameters of a resource */

#define NGX_SF_ROW_BITS   64


static const char *ngx_sf_row_check(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_name(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_path(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_response(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_product(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_params(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_pages(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_user(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_id(const ngx_sf_row_t *row);
static const char *ngx_sf_row_check_shape(const ngx_sf_row_t *row);

static const char *ngx_sf_row_check_param(const ngx_sf_param_t *params,
    ngx_uint_t i);
static const char *ngx_sf_row_check_choices(const ngx_sf_choice_t *choice);
static const char *ngx_sf_row_check_since(const ngx_sf_param_t *params,
    ngx_uint_t i);
static const char *ngx_sf_row_check_field(const ngx_sf_row_t *row,
    const ngx_sf_json_field_t *field);

static ngx_uint_t ngx_sf_row_is_word(const char *text);
static ngx_uint_t ngx_sf_row_names(const char *sql, const char *name);
static ngx_uint_t ngx_sf_row_count(const ngx_sf_row_t *row,
    ngx_sf_param_type_e type);
static ngx_uint_t ngx_sf_row_products(const ngx_sf_row_t *rows, ngx_uint_t n);


static const char *(*const ngx_sf_row_checks[])(const ngx_sf_row_t *row) = {
    ngx_sf_row_check_name,
    ngx_sf_row_check_path,
    ngx_sf_row_check_response,
    ngx_sf_row_check_product,
    ngx_sf_row_check_params,
    ngx_sf_row_check_pages,
    ngx_sf_row_check_user,
    ngx_sf_row_check_id,
    ngx_sf_row_check_shape,
    NULL
};


/* names that templates and directives have for something else */

static const char *const  ngx_sf_row_own_params[] = {
    "user", "schema", NULL
};

static const char *const  ngx_sf_row_own_names[] = {
    "all", "principal", "unknown", NULL
};


/*
 * Row by row, and each against those before it; the first mistake is enough.
 * What is common to all of them is counted as well: products are bits of a
 * principal's mask, and there are no more endpoints than NGX_SF_ROWS.
 */

ngx_int_t
ngx_sf_rows_check(ngx_conf_t *cf, const ngx_sf_row_t *rows)
{
    ngx_uint_t   i, n;
    const char  *wrong;

    for (i = 0; rows[i].name; i++) {
        wrong = ngx_sf_row_check(&rows[i]);

        for (n = 0; n < i && wrong == NULL; n++) {

            if (ngx_strcmp(rows[n].name, rows[i].name) == 0) {
                wrong = "the name of another one";

            } else if (ngx_strcmp(rows[n].path, rows[i].path) == 0
                       && (rows[n].method & rows[i].method))
            {
                wrong = "the path and the method of another one";
            }
        }

        if (wrong == NULL && ngx_sf_row_products(rows, i + 1)
                             > NGX_SF_ROW_BITS)
        {
            wrong = "a product too many, there may be 64";
        }

        if (wrong) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "endpoint \"%s\" has %s", rows[i].name, wrong);
            return NGX_ERROR;
        }
    }

    if (i > NGX_SF_ROWS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "there are %ui endpoints, there may be %d", i,
                           NGX_SF_ROWS);
        return NGX_ERROR;
    }

    return ngx_sf_identity_check(cf, rows);
}


static const char *
ngx_sf_row_check(const ngx_sf_row_t *row)
{
    ngx_uint_t   i;
    const char  *wrong;

    wrong = NULL;

    for (i = 0; ngx_sf_row_checks[i] && wrong == NULL; i++) {
        wrong = ngx_sf_row_checks[i](row);
    }

    return wrong;
}


/*
 * The name stands in directives, metrics and logs, and must need no quotes
 * there.
 */

static const char *
ngx_sf_row_check_name(const ngx_sf_row_t *row)
{
    const char *const  *own;

    if (!ngx_sf_row_is_word(row->name)) {
        return "a name with other characters than a-z, 0-9 and _";
    }

    if (ngx_strlen(row->name) >= NGX_SF_METRICS_NAME) {
        return "a name of more than 95 characters";
    }

    for (own = ngx_sf_row_own_names; *own; own++) {
        if (ngx_strcmp(*own, row->name) == 0) {
            return "a name that means something else";
        }
    }

    return NULL;
}


/* a method of a path is either ours or, by app_methods, the application's */

static const char *
ngx_sf_row_check_path(const ngx_sf_row_t *row)
{
    const char  *id;

    if (row->path == NULL || row->path[0] != '/') {
        return "no path that begins with \"/\"";
    }

    if (row->method == 0) {
        return "no method";
    }

    if (row->method & row->app_methods) {
        return "a method that is the application's, too";
    }

    id = strstr(row->path, "{id}");

    return id && strstr(id + 1, "{id}") ? "more than one {id} in its path"
                                        : NULL;
}


static const char *
ngx_sf_row_check_response(const ngx_sf_row_t *row)
{
    if ((row->shape != NULL) + (row->body != NULL)
        + (row->document != NGX_SF_DOCUMENT_NONE) != 1)
    {
        return "not one of a shape, a body and a document";
    }

    if (row->sql == NULL) {
        return row->total || row->missing || row->forbidden
               ? "no statement, but what depends on one" : NULL;
    }

    if (row->shape == NULL) {
        return "a statement without a shape";
    }

    if (row->ttl <= 0) {
        return "a statement without a ttl";
    }

    return row->deadlines && row->total == NULL
           ? "deadlines without a total" : NULL;
}


/* products= of a fixed token is a list of them, or "all" */

static const char *
ngx_sf_row_check_product(const ngx_sf_row_t *row)
{
    if (row->product == NULL) {
        return NULL;
    }

    if (row->access != NGX_SF_USER) {
        return "a product, but asks for no user";
    }

    return row->product[0] == '\0' || strchr(row->product, ',')
           || ngx_strcmp(row->product, "all") == 0
           ? "a product that is empty, \"all\" or has a comma" : NULL;
}


static const char *
ngx_sf_row_check_params(const ngx_sf_row_t *row)
{
    ngx_uint_t             i, n;
    const char            *wrong;
    const ngx_sf_param_t  *params;

    params = row->params;

    if (params == NULL) {
        return "no table of parameters";
    }

    for (i = 0; params[i].type != NGX_SF_PARAM_END; i++) {

        for (n = 0; n < i; n++) {
            if (ngx_strcmp(params[n].name, params[i].name) == 0) {
                return "two parameters of one name";
            }
        }

        wrong = ngx_sf_row_check_param(params, i);

        if (wrong) {
            return wrong;
        }
    }

    return i > NGX_SF_ROW_BITS ? "more than 64 parameters" : NULL;
}


static const char *
ngx_sf_row_check_param(const ngx_sf_param_t *params, ngx_uint_t i)
{
    const char *const     *own;
    const ngx_sf_param_t  *param;

    param = &params[i];

    if (param->name == NULL || !ngx_sf_row_is_word(param->name)) {
        return "a parameter without a name of a-z, 0-9 and _";
    }

    for (own = ngx_sf_row_own_params; *own; own++) {
        if (ngx_strcmp(*own, param->name) == 0) {
            return "a parameter whose name means something else";
        }
    }

    switch (param->type) {

    case NGX_SF_PARAM_LIST:
        return params[i + 1].type != NGX_SF_PARAM_LIST_ONE
               ? "a LIST without the LIST_ONE behind it" : NULL;

    case NGX_SF_PARAM_LIST_ONE:
        return i == 0 || params[i - 1].type != NGX_SF_PARAM_LIST
               ? "a LIST_ONE without the LIST in front of it" : NULL;

    case NGX_SF_PARAM_CHOICE:
        return ngx_sf_row_check_choices(param->choices);

    case NGX_SF_PARAM_DATE:
        return ngx_sf_row_check_since(params, i);

    case NGX_SF_PARAM_TEXT:
        return param->text == NULL ? "a TEXT without a default" : NULL;

    case NGX_SF_PARAM_PAGE_SIZE:
        return param->def < 1 || (param->max && param->max < param->def)
               ? "a PAGE_SIZE whose default is not within its bounds" : NULL;

    case NGX_SF_PARAM_INT_STRICT:
        return param->min > param->max
               ? "an INT_STRICT whose bounds are the wrong way round" : NULL;

    default:
        return param->type > NGX_SF_PARAM_PAGE_SIZE
               ? "a parameter of a type that there is not" : NULL;
    }
}


/* what stands for a value goes into the text as it is */

static const char *
ngx_sf_row_check_choices(const ngx_sf_choice_t *choice)
{
    ngx_str_t           text;
    ngx_uint_t          i, n;
    ngx_sf_sql_t        reader;
    ngx_sf_sql_token_e  token;

    if (choice == NULL || choice[0].value == NULL) {
        return "a CHOICE without choices";
    }

    for (i = 0; choice[i].value; i++) {

        for (n = 0; n < i; n++) {
            if (ngx_strcmp(choice[n].value, choice[i].value) == 0) {
                return "a CHOICE with one value twice";
            }
        }

        if (choice[i].sql == NULL) {
            return "a CHOICE without SQL";
        }

        ngx_sf_sql_start(&reader, choice[i].sql);

        do {
            token = ngx_sf_sql_next(&reader, &text);

            if (token != NGX_SF_SQL_TEXT && token != NGX_SF_SQL_END) {
                return "a CHOICE whose SQL names something, or has no end";
            }

        } while (token != NGX_SF_SQL_END);
    }

    return NULL;
}


/* dates are read in the order of the table: ngx_sf_param_read_date() */

static const char *
ngx_sf_row_check_since(const ngx_sf_param_t *params, ngx_uint_t i)
{
    ngx_uint_t  n;

    if (params[i].since == NULL) {
        return NULL;
    }

    for (n = 0; n < i; n++) {
        if (params[n].type == NGX_SF_PARAM_DATE
            && ngx_strcmp(params[n].name, params[i].since) == 0)
        {
            return NULL;
        }
    }

    return "a DATE since none that stands in front of it";
}


/* $page is composed of both: which page, and how long */

static const char *
ngx_sf_row_check_pages(const ngx_sf_row_t *row)
{
    ngx_uint_t  page, size;

    page = ngx_sf_row_count(row, NGX_SF_PARAM_PAGE);
    size = ngx_sf_row_count(row, NGX_SF_PARAM_PAGE_SIZE);

    if (page != size || page > 1) {
        return "not one PAGE for one PAGE_SIZE";
    }

    if (page == 0 && row->total) {
        return "a total without pages";
    }

    return page == 0 && ngx_sf_row_names(row->sql, "page")
           ? "$page without a PAGE" : NULL;
}


/* a response that is of a user needs one */

static const char *
ngx_sf_row_check_user(const ngx_sf_row_t *row)
{
    ngx_uint_t  named;

    named = ngx_sf_row_names(row->sql, "user");

    if ((named || ngx_sf_row_names(row->total, "user"))
        && row->access != NGX_SF_USER)
    {
        return "$user in a statement, but asks for no user";
    }

    if (row->tags && strstr(row->tags, "=$user") && !named) {
        return "a tag of the user, who is not in the statement";
    }

    return row->total_tags && strstr(row->total_tags, "=$user")
           && !ngx_sf_row_names(row->total, "user")
           ? "a tag of the user, who is not in the total" : NULL;
}


/* the digits of a path have one place in the values, and tags may name it */

static const char *
ngx_sf_row_check_id(const ngx_sf_row_t *row)
{
    ngx_uint_t  n;

    n = ngx_sf_row_count(row, NGX_SF_PARAM_ID);

    if (n > 1 || n != (strstr(row->path, "{id}") != NULL)) {
        return "not one ID for the {id} of its path";
    }

    return n == 0 && ((row->tags && strstr(row->tags, "=$id"))
                      || (row->total_tags
                          && strstr(row->total_tags, "=$id")))
           ? "a tag of an ID, which it has not" : NULL;
}


/*
 * The type and the number of columns are checked against each result, not here.
 */

static const char *
ngx_sf_row_check_shape(const ngx_sf_row_t *row)
{
    return row->shape ? ngx_sf_row_check_field(row, row->shape) : NULL;
}


static const char *
ngx_sf_row_check_field(const ngx_sf_row_t *row,
    const ngx_sf_json_field_t *field)
{
    ngx_int_t                   n;
    const char                 *wrong;
    const ngx_sf_json_field_t  *child;

    switch (field->kind) {

    case NGX_SF_JSON_LITERAL:
        return field->text == NULL ? "a literal without text" : NULL;

    case NGX_SF_JSON_PARAM:
    case NGX_SF_JSON_PARAM_INT:

        for (n = 0; row->params[n].type != NGX_SF_PARAM_END; n++) {
            /* void */
        }

        return field->column < 0 || field->column >= n
               ? "a parameter in its shape that it does not have" : NULL;

    case NGX_SF_JSON_PAGE:
    case NGX_SF_JSON_PAGES:
    case NGX_SF_JSON_TOTAL:
        return row->total == NULL ? "a total in its shape, but asks for none"
                                  : NULL;

    case NGX_SF_JSON_OBJECT:
    case NGX_SF_JSON_ROWS:
    case NGX_SF_JSON_BACKWARDS:
    case NGX_SF_JSON_MAP:
        break;

    default:
        return row->sql == NULL || field->column < 0
               ? "a cell in its shape, but no column for it" : NULL;
    }

    if (field->fields == NULL) {
        return "a container without fields in its shape";
    }

    for (child = field->fields; child->kind != NGX_SF_JSON_END; child++) {

        wrong = child->key ? ngx_sf_row_check_field(row, child)
                           : "a field without a key in its shape";
        if (wrong) {
            return wrong;
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_sf_row_is_word(const char *text)
{
    return text[0] != '\0'
           && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_")]
              == '\0';
}


/* whether a template names $name; what is wrong in it is told elsewhere */

static ngx_uint_t
ngx_sf_row_names(const char *sql, const char *name)
{
    size_t              len;
    ngx_str_t           text;
    ngx_sf_sql_t        reader;
    ngx_sf_sql_token_e  token;

    if (sql == NULL) {
        return 0;
    }

    len = ngx_strlen(name);
    ngx_sf_sql_start(&reader, sql);

    do {
        token = ngx_sf_sql_next(&reader, &text);

        if (token == NGX_SF_SQL_NAME && text.len == len
            && ngx_memcmp(text.data, name, len) == 0)
        {
            return 1;
        }

    } while (token != NGX_SF_SQL_END && token != NGX_SF_SQL_WRONG);

    return 0;
}


static ngx_uint_t
ngx_sf_row_count(const ngx_sf_row_t *row, ngx_sf_param_type_e type)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; row->params[i].type != NGX_SF_PARAM_END; i++) {
        n += row->params[i].type == type;
    }

    return n;
}


/* different products of the first n rows */

static ngx_uint_t
ngx_sf_row_products(const ngx_sf_row_t *rows, ngx_uint_t n)
{
    ngx_uint_t  i, k, count;

    count = 0;

    for (i = 0; i < n; i++) {
        if (rows[i].product == NULL) {
            continue;
        }

        for (k = 0; k < i; k++) {
            if (rows[k].product
                && ngx_strcmp(rows[k].product, rows[i].product) == 0)
            {
                break;
            }
        }

        count += k == i;
    }

    return count;
}

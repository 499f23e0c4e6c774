
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Declarations become endpoints, when all of http{} has been read.
 *
 * A row says what its block says.  Here its texts are compiled: fragments into
 * statements, statements into texts with binds, the template into a tree, all
 * paths into routes; and what can be known to be wrong before any request is
 * refused, with the file and the line of the block.  Types and names of columns
 * are not known here: they are looked at when the first result comes.
 *
 * Nothing is allowed that has no effect: a parameter that no text names, a
 * fragment that no statement has, $user where nobody asks who that is.
 */


#include "ngx_sf_http.h"
#include "ngx_sf_type.h"


/* products of a principal are bits */

#define NGX_SF_ENDPOINT_PRODUCTS  64

/* bytes of a template that a message shows */

#define NGX_SF_ENDPOINT_NEAR      48


static ngx_int_t ngx_sf_endpoint_compile(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_sf_row_t *row,
    ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_endpoint_path(ngx_conf_t *cf,
    ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_endpoint_expand(ngx_conf_t *cf,
    const ngx_sf_main_conf_t *smcf, ngx_sf_row_t *row);
static ngx_int_t ngx_sf_endpoint_template(ngx_conf_t *cf,
    ngx_sf_endpoint_t *endpoint);
static u_char *ngx_sf_endpoint_near(ngx_pool_t *pool, const char *text,
    size_t offset);
static ngx_int_t ngx_sf_endpoint_empty(ngx_conf_t *cf,
    ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_endpoint_keep(ngx_conf_t *cf, ngx_pool_t *pool);
static void ngx_sf_endpoint_destroy(void *data);
static ngx_uint_t ngx_sf_endpoint_is_number(ngx_sf_param_type_e type);
static ngx_int_t ngx_sf_endpoint_check(ngx_conf_t *cf,
    const ngx_sf_main_conf_t *smcf, const ngx_sf_endpoint_t *endpoint);
static const char *ngx_sf_endpoint_check_page(
    const ngx_sf_endpoint_t *endpoint);
static const char *ngx_sf_endpoint_check_user(
    const ngx_sf_endpoint_t *endpoint);
static uint64_t ngx_sf_endpoint_path_id(const ngx_sf_row_t *row);
static const char *ngx_sf_endpoint_check_tags(
    const ngx_sf_endpoint_t *endpoint);
static const char *ngx_sf_endpoint_check_clock(
    const ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_endpoint_check_names(ngx_conf_t *cf,
    const ngx_sf_main_conf_t *smcf, const ngx_sf_row_t *row);
static ngx_int_t ngx_sf_endpoint_check_params(ngx_conf_t *cf,
    const ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_endpoint_check_value(ngx_conf_t *cf,
    const ngx_sf_row_t *row, const ngx_sf_param_t *param, const char *text,
    const char *option);
static uint64_t ngx_sf_endpoint_used(const ngx_sf_endpoint_t *endpoint);
static ngx_uint_t ngx_sf_endpoint_count(const ngx_sf_row_t *row,
    ngx_sf_param_type_e type);
static ngx_int_t ngx_sf_endpoint_product(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, const ngx_sf_row_t *row, ngx_uint_t *bit);
static ngx_int_t ngx_sf_endpoint_check_fragments(ngx_conf_t *cf,
    const ngx_sf_main_conf_t *smcf);
static ngx_int_t ngx_sf_endpoint_refuse(ngx_conf_t *cf,
    const ngx_sf_row_t *row, const char *wrong);


static const char *(*const ngx_sf_endpoint_checks[])(
    const ngx_sf_endpoint_t *endpoint) = {
    ngx_sf_endpoint_check_page,
    ngx_sf_endpoint_check_user,
    ngx_sf_endpoint_check_tags,
    ngx_sf_endpoint_check_clock,
    NULL
};


/*
 * Statement ids are dense, and are given here: those of the endpoints, those of
 * the listeners, that of the principal.  Each pool has arrays of their number.
 */

ngx_int_t
ngx_sf_endpoints_compile(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf)
{
    ngx_uint_t           i;
    ngx_sf_row_t        *row;
    ngx_sf_param_env_t   env;

    row = smcf->rows.elts;

    if (smcf->rows.nelts > NGX_SF_ROWS) {
        return ngx_sf_endpoint_refuse(cf, &row[NGX_SF_ROWS],
                                      "500 endpoints before it, more there "
                                      "cannot be");
    }

    smcf->endpoints = ngx_pcalloc(cf->pool, smcf->rows.nelts
                                            * sizeof(ngx_sf_endpoint_t) + 1);
    if (smcf->endpoints == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < smcf->rows.nelts; i++) {
        smcf->endpoints[i].index = i;

        if (ngx_sf_endpoint_compile(cf, smcf, &row[i], &smcf->endpoints[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    smcf->nendpoints = smcf->rows.nelts;

    if ((smcf->principal_row
         && ngx_sf_endpoint_expand(cf, smcf, smcf->principal_row) != NGX_OK)
        || ngx_sf_endpoint_check_fragments(cf, smcf) != NGX_OK
        || ngx_sf_identity_check(cf, &smcf->rows) != NGX_OK)
    {
        return NGX_ERROR;
    }

    smcf->listen_id = smcf->nstatements;
    smcf->nstatements += NGX_SF_LISTEN_STATEMENTS;

    smcf->routes = ngx_sf_routes_compile(cf, smcf->endpoints,
                                         smcf->nendpoints);

    if (smcf->routes == NULL
        || ngx_sf_resource_compile_principal(cf, smcf) != NGX_OK
        || ngx_sf_param_env_init(cf, &env) != NGX_OK)
    {
        return NGX_ERROR;
    }

    smcf->sql_like = env.sql_like;

    return NGX_OK;
}


/* a row becomes an endpoint: what can be known of it before any request */

static ngx_int_t
ngx_sf_endpoint_compile(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_row_t *row, ngx_sf_endpoint_t *endpoint)
{
    endpoint->row = row;
    endpoint->name.data = (u_char *) row->name;
    endpoint->name.len = ngx_strlen(row->name);

    while (row->params[endpoint->nparams].type != NGX_SF_PARAM_END) {
        endpoint->nparams++;
    }

    if (ngx_sf_endpoint_path(cf, endpoint) != NGX_OK
        || ngx_sf_endpoint_expand(cf, smcf, row) != NGX_OK
        || ngx_sf_endpoint_template(cf, endpoint) != NGX_OK
        || ngx_sf_shapes_init(cf->pool, &endpoint->shapes) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (row->product && smcf->principal_row == NULL) {
        return ngx_sf_endpoint_refuse(cf, row, "a role, but no "
                                      "softfactory_principal says which roles "
                                      "a user has");
    }

    if (row->product
        && ngx_sf_endpoint_product(cf, smcf, row, &endpoint->product)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_sf_resource_compile(cf, smcf, endpoint) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_sf_endpoint_check(cf, smcf, endpoint);
}


/* with braces around its names, as OpenAPI and most others write them */

static ngx_int_t
ngx_sf_endpoint_path(ngx_conf_t *cf, ngx_sf_endpoint_t *endpoint)
{
    size_t       len;
    u_char      *p;
    const char  *from;

    from = endpoint->row->path;

    p = ngx_pnalloc(cf->pool, ngx_strlen(from) + NGX_SF_PATH_PARAMS + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    endpoint->path = (char *) p;

    while (*from) {
        if (*from != '$') {
            *p++ = *from++;
            continue;
        }

        len = strcspn(++from, "/");
        p = ngx_sprintf(p, "{%*s}", len, from);
        from += len;
    }

    *p = '\0';

    return NGX_OK;
}


static ngx_int_t
ngx_sf_endpoint_expand(ngx_conf_t *cf, const ngx_sf_main_conf_t *smcf,
    ngx_sf_row_t *row)
{
    if (row->sql) {
        row->sql = ngx_sf_fragment_expand(cf->pool, &smcf->fragments,
                                          row->sql);
        if (row->sql == NULL) {
            return NGX_ERROR;
        }
    }

    if (row->total) {
        row->total = ngx_sf_fragment_expand(cf->pool, &smcf->fragments,
                                            row->total);
        if (row->total == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the names of a template are those of the parameters, in their order */

static ngx_int_t
ngx_sf_endpoint_template(ngx_conf_t *cf, ngx_sf_endpoint_t *endpoint)
{
    size_t                     offset;
    ngx_uint_t                 i, n;
    const char                *wrong;
    const ngx_sf_row_t        *row;
    const ngx_sf_check_t      *check;
    ngx_sf_template_name_t    *names;
    ngx_sf_template_hidden_t  *hidden;

    row = endpoint->row;

    if (row->document) {
        return NGX_OK;
    }

    for (n = 0, check = row->checks; check && check->column; check++) {
        n++;
    }

    names = ngx_pcalloc(cf->pool, (endpoint->nparams + 1)
                                  * sizeof(ngx_sf_template_name_t));
    hidden = ngx_pcalloc(cf->pool, (n + 1)
                                   * sizeof(ngx_sf_template_hidden_t));

    if (names == NULL || hidden == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < endpoint->nparams; i++) {
        names[i].name = row->params[i].name;
        names[i].number = ngx_sf_endpoint_is_number(row->params[i].type);
    }

    for (i = 0; i < n; i++) {
        hidden[i].name = row->checks[i].column;
        hidden[i].kind = NGX_SF_TYPE_BOOLEAN;
    }

    endpoint->template = ngx_sf_template_parse(cf->pool, row->json, names,
                                               hidden, &wrong, &offset);

    if (endpoint->template == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "json of endpoint \"%s\" in %s:%ui has %s %s",
                      row->name, row->file, row->line, wrong,
                      ngx_sf_endpoint_near(cf->pool, row->json, offset));
        return NGX_ERROR;
    }

    return ngx_sf_endpoint_empty(cf, endpoint);
}


/* where that is: the words of the text from there on, in one line */

static u_char *
ngx_sf_endpoint_near(ngx_pool_t *pool, const char *text, size_t offset)
{
    u_char  *near, words[NGX_SF_ENDPOINT_NEAR];

    near = ngx_pnalloc(pool, sizeof(words) + sizeof("at \"\""));

    if (near == NULL || text[offset] == '\0') {
        return (u_char *) "at its end";
    }

    ngx_sf_pg_one_line(words, sizeof(words), text + offset);
    ngx_sprintf(near, "at \"%s\"%Z", words);

    return near;
}


/*
 * What is sent without asking the database, or when there are no rows: known
 * here already, unless a row has to be there.
 */

static ngx_int_t
ngx_sf_endpoint_empty(ngx_conf_t *cf, ngx_sf_endpoint_t *endpoint)
{
    u_char                          error[NGX_MAX_CONF_ERRSTR];
    const ngx_sf_template_needs_t  *needs;

    needs = ngx_sf_template_needs(endpoint->template);

    if (endpoint->row->sql == NULL
        && (needs->columns || needs->page || needs->total))
    {
        return ngx_sf_endpoint_refuse(cf, endpoint->row,
                                      "a column or a page in its json, but no "
                                      "sql");
    }

    if (needs->row) {
        return NGX_OK;
    }

    /* cf->log is that of the cycle before, and ends with it */

    endpoint->empty = ngx_sf_template_bind(endpoint->template, NULL,
                                           &cf->cycle->new_log, error,
                                           sizeof(error));
    if (endpoint->empty == NULL) {
        return ngx_sf_endpoint_refuse(cf, endpoint->row, (char *) error);
    }

    return ngx_sf_endpoint_keep(cf, endpoint->empty->pool);
}


/* the pool of a shape is destroyed with the configuration */

static ngx_int_t
ngx_sf_endpoint_keep(ngx_conf_t *cf, ngx_pool_t *pool)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    cln->handler = ngx_sf_endpoint_destroy;
    cln->data = pool;

    return NGX_OK;
}


static void
ngx_sf_endpoint_destroy(void *data)
{
    ngx_destroy_pool(data);
}


static ngx_uint_t
ngx_sf_endpoint_is_number(ngx_sf_param_type_e type)
{
    return type == NGX_SF_PARAM_ID || type == NGX_SF_PARAM_INT
           || type == NGX_SF_PARAM_NUMBER || type == NGX_SF_PARAM_BOOL;
}


/* what one word of a block says of another, once its texts are compiled */

static ngx_int_t
ngx_sf_endpoint_check(ngx_conf_t *cf, const ngx_sf_main_conf_t *smcf,
    const ngx_sf_endpoint_t *endpoint)
{
    ngx_uint_t   i;
    const char  *wrong;

    for (i = 0; ngx_sf_endpoint_checks[i]; i++) {
        wrong = ngx_sf_endpoint_checks[i](endpoint);

        if (wrong) {
            return ngx_sf_endpoint_refuse(cf, endpoint->row, wrong);
        }
    }

    return ngx_sf_endpoint_check_names(cf, smcf, endpoint->row) == NGX_OK
           ? ngx_sf_endpoint_check_params(cf, endpoint) : NGX_ERROR;
}


/* a fragment takes the place of a parameter that has its name */

static ngx_int_t
ngx_sf_endpoint_check_names(ngx_conf_t *cf, const ngx_sf_main_conf_t *smcf,
    const ngx_sf_row_t *row)
{
    ngx_uint_t                i;
    const ngx_sf_param_t     *param;
    const ngx_sf_fragment_t  *fragment;

    fragment = smcf->fragments.elts;

    for (param = row->params; param->type != NGX_SF_PARAM_END; param++) {
        for (i = 0; i < smcf->fragments.nelts; i++) {

            if (ngx_strcmp(fragment[i].name.data, param->name) != 0) {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "endpoint \"%s\" in %s:%ui has a parameter \"%s\" "
                          "that is the name of a fragment in %s:%ui",
                          row->name, row->file, row->line, param->name,
                          fragment[i].file, fragment[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* a page has a place in the statement, and what shows a total asks for one */

static const char *
ngx_sf_endpoint_check_page(const ngx_sf_endpoint_t *endpoint)
{
    ngx_uint_t                      paged, limited;
    const ngx_sf_row_t             *row;
    const ngx_sf_template_needs_t  *needs;

    row = endpoint->row;

    if (endpoint->template == NULL) {
        return NULL;
    }

    needs = ngx_sf_template_needs(endpoint->template);
    paged = ngx_sf_endpoint_count(row, NGX_SF_PARAM_PAGE) != 0;
    limited = endpoint->response
              && ngx_sf_statement_pages(endpoint->response->statement);

    if (paged && !limited) {
        return "a page, but no $limit in its sql";
    }

    if (needs->page && !paged) {
        return "$page in its json, but no page";
    }

    if (needs->total && row->total == NULL) {
        return "$pages or $total in its json, but no total";
    }

    if (row->total && !paged) {
        return "a total, but no page";
    }

    if (row->total && !needs->total) {
        return "a total, but neither $pages nor $total in its json";
    }

    return NULL;
}


/* a response that is of a user needs one */

static const char *
ngx_sf_endpoint_check_user(const ngx_sf_endpoint_t *endpoint)
{
    const ngx_sf_row_t  *row;

    row = endpoint->row;

    return endpoint->response && endpoint->response->personal
           && row->access != NGX_SF_USER
           ? "$user in its sql or total, but asks for no user: it needs "
             "\"access user;\"" : NULL;
}


/* the bit of the id in the path, which is always there; 0: there is none */

static uint64_t
ngx_sf_endpoint_path_id(const ngx_sf_row_t *row)
{
    ngx_uint_t  i;

    for (i = 0; row->params[i].type != NGX_SF_PARAM_END; i++) {
        if (row->params[i].type == NGX_SF_PARAM_ID && row->params[i].path) {
            return (uint64_t) 1 << i;
        }
    }

    return 0;
}


static const char *
ngx_sf_endpoint_check_tags(const ngx_sf_endpoint_t *endpoint)
{
    uint64_t             id;
    ngx_uint_t           user;
    const ngx_sf_row_t  *row;

    row = endpoint->row;

    if (row->tags == NULL) {
        return NULL;
    }

    (void) ngx_sf_statement_params(endpoint->response->statement, &user);

    if (strstr(row->tags, "=$user") && !user) {
        return "a tag of $user, who is not in its sql";
    }

    if ((strstr(row->tags, "=$id")
         || (row->total_tags && strstr(row->total_tags, "=$id")))
        && (ngx_sf_endpoint_count(row, NGX_SF_PARAM_ID) != 1
            || ngx_sf_endpoint_path_id(row) == 0))
    {
        return "a tag of $id, but no $id of the type id in its path";
    }

    id = ngx_sf_endpoint_path_id(row);

    if (strstr(row->tags, "=$id")
        && !(ngx_sf_statement_params(endpoint->response->statement, &user)
             & id))
    {
        return "a tag of $id, which is not in its sql";
    }

    if (endpoint->total
        && strstr(row->total_tags ? row->total_tags : row->tags, "=$id")
        && !(endpoint->total->params & id))
    {
        return "a tag of $id, which is not in its total: say total_tags";
    }

    return endpoint->total && !endpoint->total->personal
           && strstr(row->total_tags ? row->total_tags : row->tags, "=$user")
           ? "a tag of $user, who is not in its total: say total_tags" : NULL;
}


/* time alone changes the response: somebody has to have thought of that */

static const char *
ngx_sf_endpoint_check_clock(const ngx_sf_endpoint_t *endpoint)
{
    const ngx_sf_row_t  *row;

    row = endpoint->row;

    if (row->expires || row->ttl_said) {
        return NULL;
    }

    return (row->sql && ngx_sf_statement_clock(row->sql))
           || (row->total && ngx_sf_statement_clock(row->total))
           ? "a function in its sql or total whose value changes by itself, as "
             "now() or random(): say for how long a response is good by ttl, "
             "or by expires" : NULL;
}


static ngx_int_t
ngx_sf_endpoint_check_params(ngx_conf_t *cf,
    const ngx_sf_endpoint_t *endpoint)
{
    uint64_t               used;
    ngx_uint_t             i;
    const ngx_sf_param_t  *param;

    used = ngx_sf_endpoint_used(endpoint);
    param = endpoint->row->params;

    for (i = 0; i < endpoint->nparams; i++) {
        if (ngx_sf_endpoint_check_value(cf, endpoint->row, &param[i],
                                        param[i].def, "default")
            != NGX_OK
            || ngx_sf_endpoint_check_value(cf, endpoint->row, &param[i],
                                           param[i].unset, "unset")
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        if ((used & ((uint64_t) 1 << i))
            || param[i].type == NGX_SF_PARAM_PAGE
            || param[i].type == NGX_SF_PARAM_PAGE_SIZE)
        {
            continue;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "endpoint \"%s\" in %s:%ui has a parameter \"%s\" that "
                      "neither its sql nor its total or json names",
                      endpoint->row->name, endpoint->row->file,
                      endpoint->row->line, param[i].name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* read as a request would have it that has no such parameter */

static ngx_int_t
ngx_sf_endpoint_check_value(ngx_conf_t *cf, const ngx_sf_row_t *row,
    const ngx_sf_param_t *param, const char *text, const char *option)
{
    ngx_str_t            path[NGX_SF_PATH_PARAMS], args;
    ngx_sf_param_t       alone[2];
    ngx_sf_params_t      params;
    ngx_sf_param_env_t   env;

    if (text == NULL
        || (param->type == NGX_SF_PARAM_DATE
            && (text[0] < '0' || text[0] > '9')))
    {
        return NGX_OK;
    }

    ngx_memzero(path, sizeof(path));
    ngx_memzero(alone, sizeof(alone));
    ngx_memzero(&env, sizeof(ngx_sf_param_env_t));
    ngx_str_null(&args);

    alone[0] = *param;
    alone[0].path = 0;
    alone[0].unset = NULL;
    alone[0].def = text;

    if (ngx_sf_params_read(cf->temp_pool, alone, path, &args, &env, &params)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (params.values[0].set) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "endpoint \"%s\" in %s:%ui has a parameter \"%s\" whose "
                  "%s is no value of it: \"%s\"", row->name, row->file,
                  row->line, param->name, option, text);

    return NGX_ERROR;
}


/* a list serves its single item, a date the one that counts from it */

static uint64_t
ngx_sf_endpoint_used(const ngx_sf_endpoint_t *endpoint)
{
    uint64_t               used;
    ngx_uint_t             i, k, user;
    const ngx_sf_param_t  *param;

    used = 0;
    param = endpoint->row->params;

    if (endpoint->template) {
        used |= ngx_sf_template_needs(endpoint->template)->params;
    }

    if (endpoint->response && endpoint->row->sql) {
        used |= ngx_sf_statement_params(endpoint->response->statement, &user);
    }

    if (endpoint->total) {
        used |= ngx_sf_statement_params(endpoint->total->statement, &user);
    }

    for (i = endpoint->nparams; i-- > 0; /* void */ ) {
        if (!(used & ((uint64_t) 1 << i))) {
            continue;
        }

        if (param[i].type == NGX_SF_PARAM_LIST_ONE) {
            used |= (uint64_t) 1 << (i - 1);
        }

        for (k = 0; param[i].since && k < i; k++) {
            if (ngx_strcmp(param[k].name, param[i].since) == 0) {
                used |= (uint64_t) 1 << k;
            }
        }
    }

    return used;
}


static ngx_uint_t
ngx_sf_endpoint_count(const ngx_sf_row_t *row, ngx_sf_param_type_e type)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; row->params[i].type != NGX_SF_PARAM_END; i++) {
        n += row->params[i].type == type;
    }

    return n;
}


/*
 * A product is known by its bit in the masks of principals, which is its place
 * in the order in which endpoints ask for products.
 */

static ngx_int_t
ngx_sf_endpoint_product(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    const ngx_sf_row_t *row, ngx_uint_t *bit)
{
    ngx_str_t  *product;

    product = smcf->products.elts;

    for (*bit = 0; *bit < smcf->products.nelts; (*bit)++) {
        if (ngx_strcmp(product[*bit].data, row->product) == 0) {
            return NGX_OK;
        }
    }

    if (smcf->products.nelts == NGX_SF_ENDPOINT_PRODUCTS) {
        return ngx_sf_endpoint_refuse(cf, row, "a role too many, there may be "
                                      "64 different ones");
    }

    product = ngx_array_push(&smcf->products);
    if (product == NULL) {
        return NGX_ERROR;
    }

    product->data = (u_char *) row->product;
    product->len = ngx_strlen(row->product);

    return NGX_OK;
}


static ngx_int_t
ngx_sf_endpoint_check_fragments(ngx_conf_t *cf,
    const ngx_sf_main_conf_t *smcf)
{
    ngx_uint_t          i;
    ngx_sf_fragment_t  *fragment;

    fragment = smcf->fragments.elts;

    for (i = 0; i < smcf->fragments.nelts; i++) {
        if (!fragment[i].used) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "fragment \"%V\" in %s:%ui is named by no sql and "
                          "no total", &fragment[i].name, fragment[i].file,
                          fragment[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_endpoint_refuse(ngx_conf_t *cf, const ngx_sf_row_t *row,
    const char *wrong)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "endpoint \"%s\" in %s:%ui has %s", row->name, row->file,
                  row->line, wrong);

    return NGX_ERROR;
}

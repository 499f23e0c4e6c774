
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Resources: what is asked of the database, and what is made of its rows.
 *
 * There are few kinds.  The response of an endpoint is a JSON document; it may
 * show a total, which is a resource of its own, because pages that differ share
 * it.  The principal says what a user may do.  Each has a statement, the tags
 * of what that reads, and a form in which it is kept in the zone:
 *
 *   principal   "1" and the bits of the roles, or "0" and the number of the
 *               check that is not true; 0: there is no such user
 *   total       the number, and after a blank the ms to its deadline
 *   response    the document
 *
 * The key of a lookup is made of all that has an effect on its response and of
 * nothing else: two query strings that mean the same have one key.  It begins
 * with the identity of what is asked for (ngx_sf_identity.c), behind which all
 * is as that says: parameters by their numbers, values as they take effect.
 */


#include "ngx_sf_http.h"
#include "ngx_sf_type.h"

#include <ngx_md5.h>


/* no deadline is taken to be further away than this */

#define NGX_SF_RESOURCE_FAR  (366LL * 24 * 3600 * 1000)


/* room for what is made of the statement of principals */

#define NGX_SF_RESOURCE_WHOLE      "SELECT  FROM (\n) p"
#define NGX_SF_RESOURCE_NO_BITS    "0::bigint"
#define NGX_SF_RESOURCE_BITS                                                  \
    "(SELECT bit_or(CASE r END) FROM unnest(p.roles) r)"
#define NGX_SF_RESOURCE_BIT        " WHEN '' THEN ''::bigint"


/* where a key has the user */

#define NGX_SF_RESOURCE_KEY_USER  (NGX_SF_IDENTITY_LEN + 1)


typedef struct {
    u_char                     *pos;
    u_char                     *end;
} ngx_sf_resource_writer_t;


static ngx_int_t ngx_sf_resource_compile_total(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_sf_endpoint_t *endpoint);
static ngx_sf_resource_t *ngx_sf_resource_create(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_sf_resource_e kind,
    ngx_sf_endpoint_t *endpoint, const ngx_sf_row_t *row, const char *sql,
    ngx_uint_t columns, const char *tags);
static void ngx_sf_resource_refuse_tags(ngx_conf_t *cf,
    const ngx_sf_resource_t *resource, const ngx_sf_row_t *row,
    const char *tags, const char *wrong);
static ngx_int_t ngx_sf_resource_list(ngx_sf_main_conf_t *smcf,
    ngx_sf_resource_t *resource);
static ngx_uint_t ngx_sf_resource_table(ngx_sf_main_conf_t *smcf,
    const ngx_str_t *name);
static ngx_int_t ngx_sf_resource_judge_total(
    const ngx_sf_pg_statement_t *statement, const PGresult *res,
    u_char *error, size_t size);
static ngx_int_t ngx_sf_resource_principal_kinds(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_uint_t columns);
static ngx_int_t ngx_sf_resource_principal_sql(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, const ngx_sf_row_t *row, ngx_str_t *sql);
static u_char *ngx_sf_resource_bits(u_char *p, const ngx_array_t *products);
static u_char *ngx_sf_resource_quote(u_char *p, u_char quote,
    const u_char *text, size_t len);
static ngx_int_t ngx_sf_resource_key_write(const ngx_sf_lookup_t *lookup,
    ngx_uint_t source, ngx_sf_key_t *key);
static void ngx_sf_resource_write(ngx_sf_resource_writer_t *w, const void *data,
    size_t len);
static void ngx_sf_resource_write_text(ngx_sf_resource_writer_t *w,
    const ngx_str_t *text);
static void ngx_sf_resource_write_params(ngx_sf_resource_writer_t *w,
    const ngx_sf_lookup_t  *lookup);
static ngx_int_t ngx_sf_resource_render_principal(ngx_sf_flight_t *flight);
static ngx_int_t ngx_sf_resource_render_total(ngx_sf_flight_t *flight);
static ngx_int_t ngx_sf_resource_render_response(ngx_sf_flight_t *flight);
static ngx_int_t ngx_sf_resource_render_ping(ngx_sf_flight_t *flight);
static ngx_sf_shape_t *ngx_sf_resource_shape(ngx_log_t *log,
    ngx_sf_endpoint_t *endpoint, const PGresult *res);
static void ngx_sf_resource_say(u_char *error, size_t size, const char *fmt,
    ...);
static const char *ngx_sf_resource_refuse(ngx_sf_flight_t *flight,
    const ngx_sf_shape_t *shape);
static const char *ngx_sf_resource_refuse_empty(ngx_sf_flight_t *flight);
static ngx_int_t ngx_sf_resource_refuse_depth(ngx_sf_flight_t *flight);


typedef ngx_int_t (*ngx_sf_resource_render_pt)(ngx_sf_flight_t *flight);

static const ngx_sf_resource_render_pt  ngx_sf_resource_renderers[] = {
    /* PRINCIPAL */  ngx_sf_resource_render_principal,
    /* TOTAL */      ngx_sf_resource_render_total,
    /* RESPONSE */   ngx_sf_resource_render_response,
    /* PING */       ngx_sf_resource_render_ping
};


/* the directives that have their statements, and what is not of one */

static const char *const  ngx_sf_resource_whats[] = {
    /* PRINCIPAL */  "sql",
    /* TOTAL */      "total",
    /* RESPONSE */   "sql",
    /* PING */       "ping"
};


/*
 * The columns of a response are those that its template binds; a total and a
 * principal have theirs by their places.
 */

ngx_int_t
ngx_sf_resource_compile(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_endpoint_t *endpoint)
{
    ngx_sf_resource_t   *resource;
    const ngx_sf_row_t  *row;

    row = endpoint->row;

    if (row->document) {
        endpoint->response =
            ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_PING, endpoint,
                                   row, "SELECT 1", 1, "");

        return endpoint->response ? NGX_OK : NGX_ERROR;
    }

    if (row->sql == NULL) {
        return NGX_OK;
    }

    resource = ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_RESPONSE,
                                      endpoint, row, row->sql, 0, row->tags);

    if (resource == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_statement_set_judge(resource->statement, ngx_sf_shape_judge,
                               endpoint);

    endpoint->response = resource;
    resource->params = (uint64_t) -1;
    resource->echoes = ngx_sf_template_needs(endpoint->template)->echoes;

    return row->total ? ngx_sf_resource_compile_total(cf, smcf, endpoint)
                      : NGX_OK;
}


static ngx_int_t
ngx_sf_resource_compile_total(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_endpoint_t *endpoint)
{
    ngx_sf_resource_t   *response, *total;
    const ngx_sf_row_t  *row;

    row = endpoint->row;
    response = endpoint->response;

    total = ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_TOTAL, endpoint,
                                   row, row->total, 0,
                                   row->total_tags ? row->total_tags
                                                   : row->tags);
    if (total == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_statement_set_judge(total->statement, ngx_sf_resource_judge_total,
                               endpoint);

    total->lane = response->lane == NGX_SF_PG_HEAVY ? NGX_SF_PG_HEAVY
                                                    : NGX_SF_PG_TOTALS;
    endpoint->total = total;
    response->total = total;
    response->personal |= total->personal;

    return NGX_OK;
}


/*
 * What the database says of a user becomes columns of known places: those that
 * are checked, in their order, and the bits of the roles that it has.
 *
 *     SELECT p."active", (SELECT bit_or(CASE r WHEN 'review' THEN '1'::bigint
 *     WHEN 'sns-auto' THEN '2'::bigint END) FROM unnest(p.roles) r)
 *     FROM (statement of the block) p
 */

ngx_int_t
ngx_sf_resource_compile_principal(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf)
{
    ngx_str_t              sql;
    ngx_uint_t             columns;
    ngx_sf_row_t           made;
    const ngx_sf_row_t    *row;
    const ngx_sf_check_t  *check;

    row = smcf->principal_row;

    if (row == NULL) {
        return NGX_OK;
    }

    columns = 1;

    for (check = row->checks; check && check->column; check++) {
        columns++;
    }

    if (ngx_sf_resource_principal_sql(cf, smcf, row, &sql) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the bits are part of its identity, and the roles give them */

    made = *row;
    made.sql = (char *) sql.data;

    smcf->principal =
        ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_PRINCIPAL, NULL,
                               &made, made.sql, columns, made.tags);

    if (smcf->principal == NULL) {
        return NGX_ERROR;
    }

    /* all users would be the same one, or changes of none be heard of */

    if (!smcf->principal->personal
        || (row->tags && strstr(row->tags, "=$id")))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_principal in %s:%ui has %s", row->file,
                      row->line, smcf->principal->personal
                                 ? "a tag of $id, which only endpoints have"
                                 : "no $user in its sql");
        return NGX_ERROR;
    }

    return ngx_sf_resource_principal_kinds(cf, smcf, columns);
}


/* booleans, and a number behind them */

static ngx_int_t
ngx_sf_resource_principal_kinds(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_uint_t columns)
{
    u_char  *kinds;

    kinds = ngx_palloc(cf->pool, columns);
    if (kinds == NULL) {
        return NGX_ERROR;
    }

    ngx_memset(kinds, NGX_SF_TYPE_BOOLEAN, columns);
    kinds[columns - 1] = NGX_SF_TYPE_NUMBER;

    ngx_sf_statement_set_kinds(smcf->principal->statement, kinds);

    return NGX_OK;
}


static ngx_int_t
ngx_sf_resource_principal_sql(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    const ngx_sf_row_t *row, ngx_str_t *sql)
{
    u_char                *p;
    size_t                 size;
    ngx_str_t             *product;
    ngx_uint_t             i;
    const ngx_sf_check_t  *check;

    size = sizeof(NGX_SF_RESOURCE_WHOLE) + ngx_strlen(row->sql)
           + sizeof(NGX_SF_RESOURCE_NO_BITS) + sizeof(NGX_SF_RESOURCE_BITS);

    for (check = row->checks; check && check->column; check++) {
        size += sizeof("p.\"\", ") + 2 * ngx_strlen(check->column);
    }

    product = smcf->products.elts;

    for (i = 0; i < smcf->products.nelts; i++) {
        size += sizeof(NGX_SF_RESOURCE_BIT) + 2 * product[i].len
                + NGX_INT64_LEN;
    }

    p = ngx_pnalloc(cf->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    sql->data = p;
    p = ngx_cpymem(p, "SELECT ", sizeof("SELECT ") - 1);

    for (check = row->checks; check && check->column; check++) {
        p = ngx_cpymem(p, "p.", sizeof("p.") - 1);
        p = ngx_sf_resource_quote(p, '"', (u_char *) check->column,
                                  ngx_strlen(check->column));
        p = ngx_cpymem(p, ", ", sizeof(", ") - 1);
    }

    p = ngx_sf_resource_bits(p, &smcf->products);
    p = ngx_sprintf(p, " FROM (%s\n) p%Z", row->sql);

    sql->len = p - 1 - sql->data;

    return NGX_OK;
}


/*
 * A bit for each role that gates an endpoint, the same as in a principal.  The
 * database compares whole texts, whatever stands in one.
 */

static u_char *
ngx_sf_resource_bits(u_char *p, const ngx_array_t *products)
{
    ngx_str_t   *product;
    ngx_uint_t   i;

    if (products->nelts == 0) {
        return ngx_cpymem(p, NGX_SF_RESOURCE_NO_BITS,
                          sizeof(NGX_SF_RESOURCE_NO_BITS) - 1);
    }

    product = products->elts;
    p = ngx_cpymem(p, "(SELECT bit_or(CASE r", sizeof("(SELECT bit_or(CASE r")
                                                - 1);

    for (i = 0; i < products->nelts; i++) {
        p = ngx_cpymem(p, " WHEN ", sizeof(" WHEN ") - 1);
        p = ngx_sf_resource_quote(p, '\'', product[i].data, product[i].len);
        p = ngx_sprintf(p, " THEN '%L'::bigint",
                        (int64_t) ((uint64_t) 1 << i));
    }

    return ngx_cpymem(p, " END) FROM unnest(p.roles) r)",
                      sizeof(" END) FROM unnest(p.roles) r)") - 1);
}


static u_char *
ngx_sf_resource_quote(u_char *p, u_char quote, const u_char *text, size_t len)
{
    size_t  i;

    *p++ = quote;

    for (i = 0; i < len; i++) {
        if (text[i] == quote) {
            *p++ = quote;
        }

        *p++ = text[i];
    }

    *p++ = quote;

    return p;
}


/* row: for names and parameters, it need not live */

static ngx_sf_resource_t *
ngx_sf_resource_create(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_resource_e kind, ngx_sf_endpoint_t *endpoint,
    const ngx_sf_row_t *row, const char *sql, ngx_uint_t columns,
    const char *tags)
{
    ngx_uint_t          personal;
    const char         *wrong;
    ngx_sf_resource_t  *resource;

    resource = ngx_pcalloc(cf->pool, sizeof(ngx_sf_resource_t));
    if (resource == NULL) {
        return NULL;
    }

    resource->lane = endpoint ? row->lane : NGX_SF_PG_READ;
    ngx_sf_identity(row, kind, resource->id);

    resource->kind = kind;
    resource->endpoint = endpoint;
    resource->statement = ngx_sf_statement_compile(cf, row,
                                                ngx_sf_resource_whats[kind],
                                                sql, columns,
                                                &smcf->nstatements);
    if (resource->statement == NULL) {
        return NULL;
    }

    wrong = ngx_sf_tags_compile(tags, &resource->tags);

    if (wrong) {
        ngx_sf_resource_refuse_tags(cf, resource, row, tags, wrong);
        return NULL;
    }

    if (ngx_sf_resource_list(smcf, resource) != NGX_OK) {
        return NULL;
    }

    resource->params = ngx_sf_statement_params(resource->statement, &personal);
    resource->personal = personal;
    resource->cached = kind != NGX_SF_RESOURCE_PING && row->ttl != 0;

    return resource;
}


/* the last of those that have been compiled is the wrong one */

static void
ngx_sf_resource_refuse_tags(ngx_conf_t *cf, const ngx_sf_resource_t *resource,
    const ngx_sf_row_t *row, const char *tags, const char *wrong)
{
    size_t      len;
    ngx_uint_t  n;

    for (n = 1; n < resource->tags.n; n++) {
        tags += strcspn(tags, " ") + 1;
    }

    len = strcspn(tags, " ");

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "%s of endpoint \"%s\" in %s:%ui have %s at \"%*s\"",
                  resource->kind == NGX_SF_RESOURCE_TOTAL && row->total_tags
                  ? "total_tags" : "tags",
                  row->name, row->file, row->line, wrong, len, tags);
}


/*
 * Its number, and for the heads of pipelines a bit for each table that it
 * reads.  A table that there is no bit for is shared with no other statement.
 */

static ngx_int_t
ngx_sf_resource_list(ngx_sf_main_conf_t *smcf, ngx_sf_resource_t *resource)
{
    ngx_uint_t           i, n, tables;
    ngx_sf_resource_t  **slot;

    slot = ngx_array_push(&smcf->resources);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = resource;
    resource->index = smcf->resources.nelts - 1;
    tables = 0;

    for (i = 0; i < resource->tags.n; i++) {
        n = ngx_sf_resource_table(smcf, &resource->tags.tag[i].table);

        if (n < NGX_SF_PG_TABLES) {
            tables |= (ngx_uint_t) 1 << n;
        }
    }

    ngx_sf_statement_set_tables(resource->statement, tables);

    return NGX_OK;
}


/* the number of a table in this configuration */

static ngx_uint_t
ngx_sf_resource_table(ngx_sf_main_conf_t *smcf, const ngx_str_t *name)
{
    ngx_str_t   *table;
    ngx_uint_t   i;

    table = smcf->tables.elts;

    for (i = 0; i < smcf->tables.nelts; i++) {
        if (table[i].len == name->len
            && ngx_memcmp(table[i].data, name->data, name->len) == 0)
        {
            return i;
        }
    }

    table = ngx_array_push(&smcf->tables);
    if (table == NULL) {
        return NGX_SF_PG_TABLES;
    }

    *table = *name;

    return i;
}


ngx_int_t
ngx_sf_resource_covers(ngx_sf_main_conf_t *smcf, ngx_sf_zone_t *zone,
    ngx_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_sf_resource_t  **resource;

    zone->covers = ngx_pcalloc(pool, smcf->resources.nelts
                                     * sizeof(ngx_sf_cover_t));
    if (zone->covers == NULL) {
        return NGX_ERROR;
    }

    resource = smcf->resources.elts;

    for (i = 0; i < smcf->resources.nelts; i++) {
        ngx_sf_cover_make(zone, &resource[i]->tags, &zone->covers[i]);
    }

    return NGX_OK;
}


void
ngx_sf_resource_source(const ngx_sf_lookup_t *lookup,
    ngx_sf_bind_source_t *source)
{
    ngx_memzero(source, sizeof(ngx_sf_bind_source_t));

    source->user = lookup->user;

    if (lookup->params) {
        source->values = lookup->params->values;
        source->page_size = lookup->params->page_size;
        source->offset = lookup->params->offset;
        source->first = lookup->params->first;
    }
}


int64_t
ngx_sf_resource_id(const ngx_sf_lookup_t *lookup)
{
    ngx_uint_t             i;
    const ngx_sf_param_t  *param;

    if (lookup->resource->endpoint == NULL) {
        return 0;
    }

    param = lookup->resource->endpoint->row->params;

    for (i = 0; param[i].type != NGX_SF_PARAM_END; i++) {
        if (param[i].type == NGX_SF_PARAM_ID) {
            return lookup->params->values[i].number;
        }
    }

    return 0;
}


ngx_int_t
ngx_sf_resource_key(const ngx_sf_lookup_t *lookup, ngx_uint_t source,
    ngx_sf_key_t *key)
{
    int64_t   user;
    uint64_t  seed;

    seed = ngx_sf_zone_seed(lookup->slcf->zone);
    user = lookup->resource->personal ? lookup->user : 0;

    if (lookup->key && lookup->key->len <= key->len) {
        key->len = lookup->key->len;
        ngx_memcpy(key->data, lookup->key->data, key->len);
        key->hash = lookup->key->hash;

    } else if (ngx_sf_resource_key_write(lookup, source, key) == NGX_OK) {
        ngx_sf_cache_hash(key, seed);

    } else {
        return NGX_DECLINED;
    }

    /* last, as the rest of it is the same for all users */

    if (user) {
        ngx_memcpy(key->data + NGX_SF_RESOURCE_KEY_USER, &user, sizeof(user));
        ngx_sf_cache_hash_more(key, user, seed);
    }

    return NGX_OK;
}


/* the key for user 0 */

static ngx_int_t
ngx_sf_resource_key_write(const ngx_sf_lookup_t *lookup, ngx_uint_t source,
    ngx_sf_key_t *key)
{
    u_char                    n;
    int64_t                   user;
    ngx_sf_resource_writer_t  w;

    n = source;
    user = 0;

    w.pos = key->data;
    w.end = key->data + key->len;

    ngx_sf_resource_write(&w, lookup->resource->id, NGX_SF_IDENTITY_LEN);
    ngx_sf_resource_write(&w, &n, sizeof(n));
    ngx_sf_resource_write(&w, &user, sizeof(user));

    if (lookup->params) {
        ngx_sf_resource_write_params(&w, lookup);
    }

    if (w.pos == NULL) {
        return NGX_DECLINED;
    }

    key->len = w.pos - key->data;

    return NGX_OK;
}


/* pos becomes NULL when the buffer is full, and stays so */

static void
ngx_sf_resource_write(ngx_sf_resource_writer_t *w, const void *data, size_t len)
{
    if (w->pos == NULL || (size_t) (w->end - w->pos) < len) {
        w->pos = NULL;
        return;
    }

    w->pos = ngx_cpymem(w->pos, data, len);
}


static void
ngx_sf_resource_write_text(ngx_sf_resource_writer_t *w, const ngx_str_t *text)
{
    uint32_t  len;

    len = text->len;

    ngx_sf_resource_write(w, &len, sizeof(len));
    ngx_sf_resource_write(w, text->data, text->len);
}


/* parameters that have no effect are not there at all */

static void
ngx_sf_resource_write_params(ngx_sf_resource_writer_t *w,
    const ngx_sf_lookup_t *lookup)
{
    u_char                    index;
    ngx_uint_t                i;
    const ngx_sf_resource_t  *resource;
    const ngx_sf_value_t     *value;
    const ngx_sf_param_t     *param;

    resource = lookup->resource;
    param = resource->endpoint->row->params;

    for (i = 0; param[i].type != NGX_SF_PARAM_END; i++) {
        value = &lookup->params->values[i];

        if (!(resource->params & ((uint64_t) 1 << i))
            || param[i].type == NGX_SF_PARAM_PAGE
            || param[i].type == NGX_SF_PARAM_PAGE_SIZE
            || (!value->set && value->number == 0 && value->text.len == 0
                && value->echo.len == 0))
        {
            continue;
        }

        index = i << 1 | value->set;

        ngx_sf_resource_write(w, &index, sizeof(index));
        ngx_sf_resource_write(w, &value->number, sizeof(value->number));
        ngx_sf_resource_write_text(w, &value->text);

        if (resource->echoes & ((uint64_t) 1 << i)) {
            ngx_sf_resource_write_text(w, &value->echo);
        }
    }

    if (resource->kind == NGX_SF_RESOURCE_RESPONSE && lookup->params->page) {
        ngx_sf_resource_write(w, &lookup->params->page, sizeof(int64_t));
        ngx_sf_resource_write(w, &lookup->params->page_size, sizeof(int64_t));
    }
}


ngx_int_t
ngx_sf_resource_render(ngx_sf_flight_t *flight)
{
    flight->status = NGX_HTTP_OK;

    return ngx_sf_resource_renderers[flight->lookup.resource->kind](flight);
}


/* the first check that is not true counts; without a row it is number 0 */

static ngx_int_t
ngx_sf_resource_render_principal(ngx_sf_flight_t *flight)
{
    u_char                *p;
    ngx_str_t              bits;
    ngx_uint_t             i;
    const ngx_sf_check_t  *check;

    if (ngx_sf_pg_result_rows(flight->res) == 0) {
        ngx_str_set(&flight->body, "00");
        return NGX_OK;
    }

    check = flight->worker->smcf->principal_row->checks;

    for (i = 0; check && check[i].column; i++) {
        if (!ngx_sf_pg_result_bool(flight->res, 0, i)) {
            break;
        }
    }

    p = ngx_pnalloc(flight->pool, 1 + NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    flight->body.data = p;

    if (check && check[i].column) {
        flight->body.len = ngx_sprintf(p, "0%ui", i + 1) - p;
        return NGX_OK;
    }

    bits = ngx_sf_pg_result_cell(flight->res, 0, i);
    flight->body.len = 1 + ngx_min(bits.len, NGX_INT64_LEN);

    *p++ = '1';
    ngx_memcpy(p, bits.data, flight->body.len - 1);

    return NGX_OK;
}


static ngx_int_t
ngx_sf_resource_render_total(ngx_sf_flight_t *flight)
{
    u_char     *p;
    int64_t     ms, total;
    ngx_str_t   count, left;

    count = ngx_sf_pg_result_cell(flight->res, 0, 0);
    ngx_str_null(&left);

    if (flight->lookup.resource->endpoint->row->expires) {
        left = ngx_sf_pg_result_cell(flight->res, 0, 1);
    }

    p = ngx_pnalloc(flight->pool, count.len + 1 + left.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    flight->body.data = p;
    p = ngx_cpymem(p, count.data, count.len);

    if (left.len) {
        *p++ = ' ';
        p = ngx_cpymem(p, left.data, left.len);
    }

    flight->body.len = p - flight->body.data;

    if (ngx_sf_resource_parse_total(&flight->body, &total, &ms) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ms >= 0) {
        flight->deadline = flight->created + ms;
    }

    return NGX_OK;
}


ngx_int_t
ngx_sf_resource_parse_total(const ngx_str_t *text, int64_t *total, int64_t *ms)
{
    u_char     *blank;
    ngx_str_t   number;

    blank = ngx_strlchr(text->data, text->data + text->len, ' ');

    number.data = text->data;
    number.len = (blank ? blank : text->data + text->len) - text->data;
    *ms = -1;

    if (ngx_sf_number_parse_int(&number, total) != NGX_OK) {
        return NGX_ERROR;
    }

    if (blank == NULL) {
        return NGX_OK;
    }

    number.data = blank + 1;
    number.len = text->data + text->len - number.data;

    if (ngx_sf_number_parse_int(&number, ms) != NGX_OK) {
        return NGX_ERROR;
    }

    *ms = ngx_max(0, ngx_min(*ms, NGX_SF_RESOURCE_FAR));

    return NGX_OK;
}


static ngx_int_t
ngx_sf_resource_render_response(ngx_sf_flight_t *flight)
{
    const char          *refusal;
    ngx_sf_shape_t      *shape;
    ngx_sf_endpoint_t   *endpoint;

    /* it was not asked for, see ngx_sf_flight_needless(): it has no rows, or */

    if (flight->res == NULL
        && flight->lookup.params->offset < flight->count)
    {
        return ngx_sf_resource_refuse_depth(flight);
    }

    endpoint = flight->lookup.resource->endpoint;
    shape = ngx_sf_resource_shape(flight->worker->cycle->log, endpoint,
                                  flight->res);

    if (flight->res && shape == NULL) {
        return NGX_ERROR;
    }

    refusal = ngx_sf_resource_refuse(flight, shape);

    if (refusal) {
        flight->error.data = (u_char *) refusal;
        flight->error.len = ngx_strlen(refusal);
        return NGX_OK;
    }

    if (shape == NULL
        || ngx_sf_resource_render_json(flight->pool, endpoint, shape,
                                       flight->lookup.params, flight->res,
                                       flight->count, &flight->body)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (flight->zone) {
        ngx_sf_resource_etag(&flight->body, flight->etag);
        flight->tagged = 1;
    }

    return NGX_OK;
}


/*
 * A result has been judged when it came, so that there is a shape for it; NULL
 * without one means that a row has to be there, or that memory is short.
 */

static ngx_sf_shape_t *
ngx_sf_resource_shape(ngx_log_t *log, ngx_sf_endpoint_t *endpoint,
    const PGresult *res)
{
    u_char  error[NGX_MAX_ERROR_STR];

    return res ? ngx_sf_shape_find(&endpoint->shapes, endpoint->template, res,
                                   log, error, sizeof(error))
               : endpoint->empty;
}


/* the count, and behind it the column of expires, if there is one */

static ngx_int_t
ngx_sf_resource_judge_total(const ngx_sf_pg_statement_t *statement,
    const PGresult *res, u_char *error, size_t size)
{
    ngx_uint_t                 i, n;
    const char                *expires;
    const ngx_sf_endpoint_t   *endpoint;

    endpoint = statement->owner;
    expires = endpoint->row->expires;
    n = expires ? 2 : 1;

    if (ngx_sf_pg_result_columns(res) != n) {
        ngx_sf_resource_say(error, size, "the total has %ui columns, it needs "
                            "count(*)%s", ngx_sf_pg_result_columns(res),
                            expires ? " and behind it that of expires"
                                    : " alone");
        return NGX_DECLINED;
    }

    if (expires && ngx_strcmp(ngx_sf_pg_result_name(res, 1), expires) != 0) {
        ngx_sf_resource_say(error, size, "column 2 of the total is not \"%s\", "
                            "as expires says", expires);
        return NGX_DECLINED;
    }

    for (i = 0; i < n; i++) {
        if (ngx_sf_type_misfit(ngx_sf_pg_result_type(res, i),
                               NGX_SF_TYPE_NUMBER))
        {
            ngx_sf_resource_say(error, size, "column %ui of the total is no "
                                "number", i + 1);
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static void
ngx_sf_resource_say(u_char *error, size_t size, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(error, error + size - 1, fmt, args);
    va_end(args);

    *p = '\0';
}


/* the errors that only the rows can tell; the first one counts */

static const char *
ngx_sf_resource_refuse(ngx_sf_flight_t *flight, const ngx_sf_shape_t *shape)
{
    ngx_uint_t             i;
    const ngx_sf_row_t    *row;
    const ngx_sf_check_t  *check;

    row = flight->lookup.resource->endpoint->row;

    if (ngx_sf_pg_result_rows(flight->res) == 0) {
        return ngx_sf_resource_refuse_empty(flight);
    }

    for (i = 0, check = row->checks; check && check[i].column; i++) {
        if (!ngx_sf_pg_result_bool(flight->res, 0, shape->hidden[i])) {
            flight->status = check[i].status;
            return check[i].text;
        }
    }

    return NULL;
}


/* no row is an error where the block says so, or where one has to be shown */

static const char *
ngx_sf_resource_refuse_empty(ngx_sf_flight_t *flight)
{
    const ngx_sf_endpoint_t  *endpoint;

    endpoint = flight->lookup.resource->endpoint;

    if (endpoint->row->missing) {
        flight->status = endpoint->row->missing_status;
        return endpoint->row->missing;
    }

    if (endpoint->row->checks || flight->lookup.params->page > 1
        || ngx_sf_template_needs(endpoint->template)->row)
    {
        flight->status = NGX_HTTP_NOT_FOUND;
        return "Not found";
    }

    return NULL;
}


/* there is such a page, but all rows before it would be read for it */

static ngx_int_t
ngx_sf_resource_refuse_depth(ngx_sf_flight_t *flight)
{
    u_char  *p;

    static const char  text[] = "Page is too deep, it may skip %i rows";

    p = ngx_pnalloc(flight->pool, sizeof(text) + NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    flight->status = NGX_HTTP_BAD_REQUEST;
    flight->error.data = p;
    flight->error.len = ngx_sprintf(p, text, flight->lookup.slcf->max_offset)
                        - p;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_resource_render_ping(ngx_sf_flight_t *flight)
{
    return NGX_OK;
}


ngx_int_t
ngx_sf_resource_render_json(ngx_pool_t *pool,
    const ngx_sf_endpoint_t *endpoint, const ngx_sf_shape_t *shape,
    const ngx_sf_params_t *params, const PGresult *res, int64_t total,
    ngx_str_t *body)
{
    ngx_str_t             *texts;
    ngx_uint_t             i, n;
    ngx_sf_json_source_t   source;

    n = endpoint->nparams;

    texts = ngx_palloc(pool, 2 * n * sizeof(ngx_str_t) + 1);
    if (texts == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        texts[i] = params->values[i].text;
        texts[n + i] = params->values[i].echo;
    }

    ngx_memzero(&source, sizeof(ngx_sf_json_source_t));

    source.res = res;
    source.params = texts;
    source.echoes = texts + n;

    if (params->page_size) {
        source.page = params->page;
        source.total = total;
        source.pages = total / params->page_size
                       + (total % params->page_size > 0);
    }

    return ngx_sf_json_render(pool, shape->program, &source, body);
}


void
ngx_sf_resource_etag(const ngx_str_t *body, u_char *etag)
{
    u_char     hash[16];
    ngx_md5_t  md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, body->data, body->len);
    ngx_md5_final(hash, &md5);

    etag[0] = '"';
    ngx_hex_dump(etag + 1, hash, sizeof(hash));
    etag[NGX_SF_ETAG_LEN - 1] = '"';
}

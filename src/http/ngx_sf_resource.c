
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
 *   principal   "0" for nobody, or "1" and the bits of the products
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


/* of the principal's statement: bits of a slug, and what stands for a slug */

#define NGX_SF_RESOURCE_NO_BITS  "0::bigint"
#define NGX_SF_RESOURCE_BITS     "CASE p.slug END"
#define NGX_SF_RESOURCE_BIT      " WHEN '' THEN ''::bigint"


/* where a key has the user */

#define NGX_SF_RESOURCE_KEY_USER  (NGX_SF_IDENTITY_LEN + 1)


typedef struct {
    u_char                     *pos;
    u_char                     *end;
} ngx_sf_resource_writer_t;


static ngx_sf_resource_t *ngx_sf_resource_create(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_sf_resource_e kind,
    ngx_sf_endpoint_t *endpoint, const char *sql, ngx_uint_t columns,
    const char *tags);
static u_char *ngx_sf_resource_bits(u_char *p, const ngx_array_t *products);
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
static const char *ngx_sf_resource_refuse(ngx_sf_flight_t *flight);
static ngx_int_t ngx_sf_resource_refuse_depth(ngx_sf_flight_t *flight);


typedef ngx_int_t (*ngx_sf_resource_render_pt)(ngx_sf_flight_t *flight);

static const ngx_sf_resource_render_pt  ngx_sf_resource_renderers[] = {
    /* PRINCIPAL */  ngx_sf_resource_render_principal,
    /* TOTAL */      ngx_sf_resource_render_total,
    /* RESPONSE */   ngx_sf_resource_render_response,
    /* PING */       ngx_sf_resource_render_ping
};


typedef enum {
    NGX_SF_PRINCIPAL_ACTIVE = 0,
    NGX_SF_PRINCIPAL_PRODUCTS
} ngx_sf_principal_column_e;


/* what the columns of those are read as that have no shape */

static const u_char  ngx_sf_resource_principal_kinds[] = {
    /* ACTIVE */    NGX_SF_TYPE_BOOLEAN,
    /* PRODUCTS */  NGX_SF_TYPE_NUMBER
};

static const u_char  ngx_sf_resource_total_kinds[] = {
    NGX_SF_TYPE_NUMBER, NGX_SF_TYPE_NUMBER
};


ngx_int_t
ngx_sf_resource_compile(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_endpoint_t *endpoint)
{
    u_char              *kinds;
    ngx_uint_t           columns;
    ngx_sf_resource_t   *resource;
    const ngx_sf_row_t  *row;

    row = endpoint->row;

    if (row->document) {
        endpoint->response =
            ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_PING, endpoint,
                                   ngx_sf_api_ping, 1, "");

        return endpoint->response ? NGX_OK : NGX_ERROR;
    }

    if (row->sql == NULL) {
        return NGX_OK;
    }

    columns = ngx_sf_json_columns(endpoint->program);
    resource = ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_RESPONSE,
                                      endpoint, row->sql, columns, row->tags);

    if (resource == NULL) {
        return NGX_ERROR;
    }

    kinds = ngx_sf_json_kinds(endpoint->program);

    if (row->forbidden) {
        kinds[0] |= NGX_SF_TYPE_BOOLEAN;
    }

    ngx_sf_statement_set_kinds(resource->statement, kinds);

    endpoint->response = resource;
    resource->params = (uint64_t) -1;

    if (row->total == NULL) {
        return NGX_OK;
    }

    endpoint->total = ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_TOTAL,
                                             endpoint, row->total,
                                             row->deadlines ? 2 : 1,
                                             row->total_tags);
    if (endpoint->total == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_statement_set_kinds(endpoint->total->statement,
                               ngx_sf_resource_total_kinds);
    endpoint->total->lane = resource->lane == NGX_SF_PG_HEAVY ? NGX_SF_PG_HEAVY
                            : NGX_SF_PG_TOTALS;
    resource->total = endpoint->total;
    resource->personal |= endpoint->total->personal;

    return NGX_OK;
}


ngx_int_t
ngx_sf_resource_compile_principal(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf)
{
    size_t         size;
    u_char        *sql;
    ngx_str_t      bits, *product;
    ngx_uint_t     i;
    ngx_sf_row_t   row;

    size = ngx_max(sizeof(NGX_SF_RESOURCE_NO_BITS),
                   sizeof(NGX_SF_RESOURCE_BITS));
    product = smcf->products.elts;

    for (i = 0; i < smcf->products.nelts; i++) {
        size += sizeof(NGX_SF_RESOURCE_BIT) + 2 * product[i].len
                + NGX_INT64_LEN;
    }

    bits.data = ngx_pnalloc(cf->temp_pool, size);
    sql = ngx_pnalloc(cf->pool, size + ngx_strlen(ngx_sf_api_principal));

    if (bits.data == NULL || sql == NULL) {
        return NGX_ERROR;
    }

    bits.len = ngx_sf_resource_bits(bits.data, &smcf->products) - bits.data;
    *ngx_sprintf(sql, ngx_sf_api_principal, &bits) = '\0';

    ngx_memzero(&row, sizeof(ngx_sf_row_t));
    row.sql = (char *) sql;
    row.tags = ngx_sf_api_principal_tags;

    smcf->principal =
        ngx_sf_resource_create(cf, smcf, NGX_SF_RESOURCE_PRINCIPAL, NULL,
                               row.sql, 2, row.tags);

    if (smcf->principal == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_identity(&row, NGX_SF_RESOURCE_PRINCIPAL, smcf->principal->id);

    ngx_sf_statement_set_kinds(smcf->principal->statement,
                               ngx_sf_resource_principal_kinds);

    return NGX_OK;
}


/*
 * A bit for each slug that gates an endpoint, the same as in a principal.  The
 * database compares whole slugs, whatever stands in one.
 */

static u_char *
ngx_sf_resource_bits(u_char *p, const ngx_array_t *products)
{
    size_t      n;
    ngx_str_t  *product;
    ngx_uint_t  i;

    if (products->nelts == 0) {
        return ngx_cpymem(p, NGX_SF_RESOURCE_NO_BITS,
                          sizeof(NGX_SF_RESOURCE_NO_BITS) - 1);
    }

    product = products->elts;
    p = ngx_cpymem(p, "CASE p.slug", sizeof("CASE p.slug") - 1);

    for (i = 0; i < products->nelts; i++) {
        p = ngx_cpymem(p, " WHEN '", sizeof(" WHEN '") - 1);

        for (n = 0; n < product[i].len; n++) {
            if (product[i].data[n] == '\'') {
                *p++ = '\'';
            }

            *p++ = product[i].data[n];
        }

        p = ngx_sprintf(p, "' THEN '%L'::bigint",
                        (int64_t) ((uint64_t) 1 << i));
    }

    return ngx_cpymem(p, " END", sizeof(" END") - 1);
}


static ngx_sf_resource_t *
ngx_sf_resource_create(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_resource_e  kind, ngx_sf_endpoint_t *endpoint, const char *sql,
    ngx_uint_t columns, const char *tags)
{
    ngx_str_t           name;
    ngx_uint_t          personal;
    const char         *wrong;
    ngx_sf_resource_t  *resource;

    resource = ngx_pcalloc(cf->pool, sizeof(ngx_sf_resource_t));
    if (resource == NULL) {
        return NULL;
    }

    ngx_str_set(&name, "principal");

    if (endpoint) {
        name = endpoint->name;
        resource->lane = endpoint->row->lane;
        ngx_sf_identity(endpoint->row, kind, resource->id);
    }

    resource->kind = kind;
    resource->endpoint = endpoint;
    resource->statement = ngx_sf_statement_compile(cf, &name,
                                     endpoint ? endpoint->row->params : NULL,
                                     sql, columns, &smcf->nstatements);
    if (resource->statement == NULL) {
        return NULL;
    }

    wrong = tags ? ngx_sf_tags_compile(tags, &resource->tags) : "no tags";

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "tags of endpoint \"%V\": %s", &name, wrong);
        return NULL;
    }

    ngx_sf_statement_set_tables(resource->statement, resource->tags.tables);

    resource->params = ngx_sf_statement_params(resource->statement, &personal);
    resource->personal = personal;
    resource->cached = kind != NGX_SF_RESOURCE_PING;

    return resource;
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

        if (resource->kind == NGX_SF_RESOURCE_RESPONSE) {
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


static ngx_int_t
ngx_sf_resource_render_principal(ngx_sf_flight_t *flight)
{
    u_char     *p;
    ngx_str_t   bits;

    if (ngx_sf_pg_result_rows(flight->res) == 0
        || !ngx_sf_pg_result_bool(flight->res, 0, NGX_SF_PRINCIPAL_ACTIVE))
    {
        ngx_str_set(&flight->body, "0");
        return NGX_OK;
    }

    bits = ngx_sf_pg_result_cell(flight->res, 0, NGX_SF_PRINCIPAL_PRODUCTS);

    p = ngx_pnalloc(flight->pool, 1 + bits.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    flight->body.data = p;
    flight->body.len = 1 + bits.len;

    *p++ = '1';
    ngx_memcpy(p, bits.data, bits.len);

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

    if (flight->lookup.resource->endpoint->row->deadlines) {
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
    const char  *refusal;

    /* it was not asked for, see ngx_sf_flight_needless(): it has no rows, or */

    if (flight->res == NULL
        && flight->lookup.params->offset < flight->count)
    {
        return ngx_sf_resource_refuse_depth(flight);
    }

    refusal = ngx_sf_resource_refuse(flight);

    if (refusal) {
        flight->error.data = (u_char *) refusal;
        flight->error.len = ngx_strlen(refusal);
        return NGX_OK;
    }

    if (ngx_sf_resource_render_json(flight->pool,
                                    flight->lookup.resource->endpoint,
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


/* the errors that only the rows can tell */

static const char *
ngx_sf_resource_refuse(ngx_sf_flight_t *flight)
{
    ngx_uint_t           rows;
    const ngx_sf_row_t  *row;

    row = flight->lookup.resource->endpoint->row;
    rows = ngx_sf_pg_result_rows(flight->res);

    if (rows == 0 && row->missing) {
        flight->status = NGX_HTTP_NOT_FOUND;
        return row->missing;
    }

    if (rows == 0 && flight->lookup.params->page > 1) {
        flight->status = NGX_HTTP_NOT_FOUND;
        return "Not found";
    }

    if (row->forbidden && !ngx_sf_pg_result_bool(flight->res, 0, 0)) {
        flight->status = NGX_HTTP_FORBIDDEN;
        return row->forbidden;
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
ngx_sf_resource_render_json(ngx_pool_t *pool, const ngx_sf_endpoint_t *endpoint,
    const ngx_sf_params_t *params, const PGresult *res, int64_t total,
    ngx_str_t *body)
{
    ngx_str_t             *echoes;
    ngx_uint_t             i;
    ngx_sf_json_source_t   source;

    echoes = ngx_palloc(pool, endpoint->nparams * sizeof(ngx_str_t) + 1);
    if (echoes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < endpoint->nparams; i++) {
        echoes[i] = params->values[i].echo;
    }

    ngx_memzero(&source, sizeof(ngx_sf_json_source_t));

    source.res = res;
    source.params = echoes;

    if (params->page_size) {
        source.page = params->page;
        source.total = total;
        source.pages = (total + params->page_size - 1) / params->page_size;
    }

    return ngx_sf_json_render(pool, endpoint->program, &source, body);
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


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What the module is made of, as JSON, for tests and checks: they read no C.
 *
 *     http {
 *         softfactory_test_describe FILE;
 *     }
 *
 * writes FILE when the configuration has been read, and nginx -t is enough for
 * that; .ci/describe.sh does it and leaves build/describe.json.  An object,
 * whose keys are
 *
 *     directives  objects: name, contexts ("http", "upstream", "server",
 *                 "location", "endpoint", "principal"), and where the value is
 *                 a number or a flag, kind ("flag", "number", "size", "ms",
 *                 "s") and default, of the first server; min and max if nginx
 *                 checks them
 *     variables   names, without the "$"
 *     endpoints   objects in the order of the rows: name, path, method, access
 *                 (ANYONE, ANONYMOUS, USER), params, personal (whether one of
 *                 its responses differs from user to user), and what the row
 *                 has of product, lane, sql, total (texts), tags, total_tags,
 *                 ttl, expires, json, summary, missing; checks: objects with
 *                 column, status and text; document: true, where a function
 *                 makes it
 *       params    objects: name, type (as in ngx_sf_param_type_e), min, max,
 *                 number, lenient, and where there are some def, unset, alias,
 *                 since, and choices: values
 *     products    slugs, in the order of their bits
 *     tables      objects: name, keys, columns (without the keys), version (as
 *                 the triggers have it)
 *     families    objects of metrics: name, type, help
 *     pool        parameters of softfactory_pg_pool, of the first upstream:
 *                 objects: name, kind, default, min, max (but for flags)
 *     lanes       objects of the last upstream: name, conninfo (what libpq is
 *                 given, as an object)
 *     connections of one worker to the first upstream, at most, with that of
 *                 the listener
 *
 * All of it is known when the configuration is read, some 60 KB; the file is
 * new each time.
 */


#include "ngx_sf_test.h"
#include "ngx_sf_prometheus.h"
#include "ngx_sf_table.h"

#include <jansson.h>


static json_t *ngx_sf_test_directives(ngx_conf_t *cf);
static json_t *ngx_sf_test_variables(ngx_conf_t *cf);
static json_t *ngx_sf_test_endpoints(ngx_conf_t *cf);
static json_t *ngx_sf_test_products(ngx_conf_t *cf);
static json_t *ngx_sf_test_tables(ngx_conf_t *cf);
static json_t *ngx_sf_test_families(ngx_conf_t *cf);
static json_t *ngx_sf_test_pool(ngx_conf_t *cf);
static json_t *ngx_sf_test_lane_list(ngx_conf_t *cf);
static json_t *ngx_sf_test_connections(ngx_conf_t *cf);


typedef struct {
    const char                 *name;
    json_t                   *(*make)(ngx_conf_t *cf);
} ngx_sf_test_part_t;


static const ngx_sf_test_part_t  ngx_sf_test_parts[] = {
    { "directives", ngx_sf_test_directives },
    { "variables", ngx_sf_test_variables },
    { "endpoints", ngx_sf_test_endpoints },
    { "products", ngx_sf_test_products },
    { "tables", ngx_sf_test_tables },
    { "families", ngx_sf_test_families },
    { "pool", ngx_sf_test_pool },
    { "lanes", ngx_sf_test_lane_list },
    { "connections", ngx_sf_test_connections },
    { NULL, NULL }
};


typedef struct {
    ngx_uint_t                  flag;
    const char                 *name;
} ngx_sf_test_context_t;


static const ngx_sf_test_context_t  ngx_sf_test_contexts[] = {
    { NGX_HTTP_MAIN_CONF, "http" },
    { NGX_HTTP_UPS_CONF, "upstream" },
    { NGX_HTTP_SRV_CONF, "server" },
    { NGX_HTTP_LOC_CONF, "location" },
    { NGX_SF_ENDPOINT_CONF, "endpoint" },
    { NGX_SF_PRINCIPAL_CONF, "principal" },
    { 0, NULL }
};


/* directives with a setter of their own, and one number among their values */

typedef struct {
    const char                 *name;
    const char                 *kind;
    ngx_uint_t                  conf;
    size_t                      offset;
} ngx_sf_test_value_t;


static const ngx_sf_test_value_t  ngx_sf_test_values[] = {
    { "softfactory_listen_schema", "ms", NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_sf_main_conf_t, look) },
    { "softfactory_slow", "ms", NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_sf_loc_conf_t, slow) },
    { NULL, NULL, 0, 0 }
};


static const char *const  ngx_sf_test_access[] = {
    "ANYONE", "ANONYMOUS", "USER"
};


static const char *const  ngx_sf_test_types[] = {
    "END", "ID", "INT", "NUMBER", "BOOL", "TEXT", "UUID", "DATE", "TIME",
    "LIST", "LIST_ONE", "CHOICE", "SEARCH", "PAGE", "PAGE_SIZE"
};


static void
ngx_sf_test_text(json_t *object, const char *key, const char *text)
{
    if (text) {
        json_object_set_new(object, key, json_string(text));
    }
}


/* the number behind a setter of nginx: what it is, or NULL */

static const char *
ngx_sf_test_kind(const ngx_command_t *cmd)
{
    return cmd->set == ngx_conf_set_flag_slot ? "flag"
           : cmd->set == ngx_conf_set_num_slot ? "number"
           : cmd->set == ngx_conf_set_size_slot ? "size"
           : cmd->set == ngx_conf_set_msec_slot ? "ms"
           : cmd->set == ngx_conf_set_sec_slot ? "s" : NULL;
}


/* all of these fields have the size of an ngx_int_t */

static void
ngx_sf_test_value(ngx_conf_t *cf, json_t *object, const char *kind,
    ngx_uint_t place, size_t offset)
{
    u_char                     *conf;
    ngx_http_conf_ctx_t        *ctx;
    ngx_http_core_srv_conf_t  **cscf;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscf = cmcf->servers.elts;
    ctx = cscf[0]->ctx;

    conf = place == NGX_HTTP_MAIN_CONF_OFFSET
           ? ctx->main_conf[ngx_http_softfactory_module.ctx_index]
           : ctx->loc_conf[ngx_http_softfactory_module.ctx_index];

    json_object_set_new(object, "kind", json_string(kind));
    json_object_set_new(object, "default",
                        json_integer(*(ngx_int_t *) (conf + offset)));
}


static json_t *
ngx_sf_test_command(ngx_conf_t *cf, const ngx_command_t *cmd)
{
    json_t                       *out, *contexts;
    const char                   *kind;
    ngx_conf_num_bounds_t        *bounds;
    const ngx_sf_test_value_t    *value;
    const ngx_sf_test_context_t  *context;

    contexts = json_array();

    for (context = ngx_sf_test_contexts; context->name; context++) {
        if (cmd->type & context->flag) {
            json_array_append_new(contexts, json_string(context->name));
        }
    }

    out = json_pack("{s:s, s:o}", "name", cmd->name.data, "contexts",
                    contexts);
    kind = ngx_sf_test_kind(cmd);

    if (kind) {
        ngx_sf_test_value(cf, out, kind, cmd->conf, cmd->offset);
    }

    for (value = ngx_sf_test_values; value->name; value++) {
        if (ngx_strcmp(value->name, cmd->name.data) == 0) {
            ngx_sf_test_value(cf, out, value->kind, value->conf,
                              value->offset);
        }
    }

    bounds = cmd->post;

    if (kind && bounds && bounds->post_handler == ngx_conf_check_num_bounds) {
        json_object_set_new(out, "min", json_integer(bounds->low));
        json_object_set_new(out, "max", json_integer(bounds->high));
    }

    return out;
}


static json_t *
ngx_sf_test_directives(ngx_conf_t *cf)
{
    json_t         *out;
    ngx_uint_t      i;
    ngx_command_t  *cmd;
    ngx_module_t   *module;

    out = json_array();

    for (i = 0; cf->cycle->modules[i]; i++) {
        module = cf->cycle->modules[i];

        if (module != &ngx_http_softfactory_module) {
            continue;
        }

        for (cmd = module->commands; cmd->name.len; cmd++) {
            json_array_append_new(out, ngx_sf_test_command(cf, cmd));
        }
    }

    return out;
}


static json_t *
ngx_sf_test_variables(ngx_conf_t *cf)
{
    json_t                     *out;
    ngx_uint_t                  i;
    ngx_hash_key_t             *key;
    ngx_http_core_main_conf_t  *cmcf;

    out = json_array();
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    key = cmcf->variables_keys->keys.elts;

    for (i = 0; i < cmcf->variables_keys->keys.nelts; i++) {
        if (ngx_strncmp(key[i].key.data, "softfactory_", 12) == 0) {
            json_array_append_new(out,
                                  json_stringn((char *) key[i].key.data,
                                               key[i].key.len));
        }
    }

    return out;
}


static json_t *
ngx_sf_test_params(const ngx_sf_param_t *param)
{
    json_t                 *out, *object, *choices;
    const ngx_sf_choice_t  *choice;

    out = json_array();

    for ( /* void */ ; param && param->type != NGX_SF_PARAM_END; param++) {

        object = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}",
                           "name", param->name,
                           "type", ngx_sf_test_types[param->type],
                           "min", (json_int_t) param->min,
                           "max", (json_int_t) param->max,
                           "number", (json_int_t) param->number,
                           "lenient", (int) param->lenient);

        ngx_sf_test_text(object, "def", param->def);
        ngx_sf_test_text(object, "unset", param->unset);
        ngx_sf_test_text(object, "alias", param->alias);
        ngx_sf_test_text(object, "since", param->since);

        if (param->choices) {
            choices = json_array();

            for (choice = param->choices; choice->value; choice++) {
                json_array_append_new(choices, json_string(choice->value));
            }

            json_object_set_new(object, "choices", choices);
        }

        json_array_append_new(out, object);
    }

    return out;
}


static void
ngx_sf_test_checks(json_t *object, const ngx_sf_check_t *check)
{
    json_t  *out;

    if (check == NULL) {
        return;
    }

    out = json_array();

    for ( /* void */ ; check->column; check++) {
        json_array_append_new(out, json_pack("{s:s, s:I, s:s}",
                                             "column", check->column,
                                             "status",
                                             (json_int_t) check->status,
                                             "text", check->text));
    }

    json_object_set_new(object, "checks", out);
}


static json_t *
ngx_sf_test_endpoint(const ngx_sf_endpoint_t *endpoint)
{
    json_t              *out;
    ngx_uint_t           personal;
    const ngx_sf_row_t  *row;

    row = endpoint->row;
    personal = (endpoint->response && endpoint->response->personal)
               || (endpoint->total && endpoint->total->personal);

    out = json_pack("{s:s, s:s, s:s, s:s, s:o, s:b}", "name", row->name,
                    "path", endpoint->path,
                    "method", row->method == NGX_HTTP_GET ? "GET" : "other",
                    "access", ngx_sf_test_access[row->access],
                    "params", ngx_sf_test_params(row->params),
                    "personal", (int) personal);

    ngx_sf_test_text(out, "product", row->product);
    ngx_sf_test_text(out, "sql", row->sql);
    ngx_sf_test_text(out, "tags", row->tags);
    ngx_sf_test_text(out, "total", row->total);
    ngx_sf_test_text(out, "total_tags", row->total_tags);
    ngx_sf_test_text(out, "missing", row->missing);
    ngx_sf_test_text(out, "expires", row->expires);
    ngx_sf_test_text(out, "json", row->json);
    ngx_sf_test_text(out, "summary", row->summary);
    ngx_sf_test_checks(out, row->checks);

    if (row->sql) {
        ngx_sf_test_text(out, "lane", ngx_sf_test_lanes[row->lane]);
    }

    if (row->ttl) {
        json_object_set_new(out, "ttl", json_integer(row->ttl));
    }

    if (row->document) {
        json_object_set_new(out, "document", json_true());
    }

    return out;
}


static json_t *
ngx_sf_test_endpoints(ngx_conf_t *cf)
{
    json_t              *out;
    ngx_uint_t           i;
    ngx_sf_main_conf_t  *smcf;

    out = json_array();
    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    for (i = 0; i < smcf->nendpoints; i++) {
        json_array_append_new(out,
                              ngx_sf_test_endpoint(&smcf->endpoints[i]));
    }

    return out;
}


static json_t *
ngx_sf_test_products(ngx_conf_t *cf)
{
    json_t              *out;
    ngx_str_t           *slug;
    ngx_uint_t           i;
    ngx_sf_main_conf_t  *smcf;

    out = json_array();
    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    slug = smcf->products.elts;

    for (i = 0; i < smcf->products.nelts; i++) {
        json_array_append_new(out, json_stringn((char *) slug[i].data,
                                                slug[i].len));
    }

    return out;
}


static json_t *
ngx_sf_test_tables(ngx_conf_t *cf)
{
    char         version[9];
    size_t       len;
    json_t      *out, *keys, *columns;
    ngx_uint_t   i, n;
    const char  *p;

    out = json_array();

    for (i = 0; i < ngx_sf_table_count(); i++) {

        keys = json_array();
        columns = json_array();

        for (n = 0; n < NGX_SF_TABLE_KEYS && ngx_sf_tables[i].keys[n]; n++) {
            json_array_append_new(keys, json_string(ngx_sf_tables[i].keys[n]));
        }

        for (p = ngx_sf_tables[i].columns; *p; p += len + (p[len] == ',')) {
            len = strcspn(p, ",");
            json_array_append_new(columns, json_stringn(p, len));
        }

        ngx_sprintf((u_char *) version, "%08xD%Z", ngx_sf_table_version(i));

        json_array_append_new(out,
            json_pack("{s:s, s:o, s:o, s:s}", "name", ngx_sf_tables[i].name,
                      "keys", keys, "columns", columns, "version", version));
    }

    return out;
}


static json_t *
ngx_sf_test_families(ngx_conf_t *cf)
{
    json_t                 *out;
    const ngx_sf_family_t  *family;

    out = json_array();

    for (family = ngx_sf_families; family->name; family++) {
        json_array_append_new(out,
            json_pack("{s:s, s:s, s:s}", "name", family->name, "type",
                      family->type, "help", family->help));
    }

    return out;
}


static ngx_sf_pg_conf_t *
ngx_sf_test_upstream(ngx_conf_t *cf, ngx_uint_t last)
{
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscf = umcf->upstreams.elts;

    return ngx_http_conf_upstream_srv_conf(
               uscf[last ? umcf->upstreams.nelts - 1 : 0],
               ngx_http_softfactory_module);
}


static json_t *
ngx_sf_test_pool(ngx_conf_t *cf)
{
    json_t                        *out, *object;
    ngx_int_t                      value;
    ngx_sf_pg_conf_t              *pgcf;
    const ngx_sf_pg_pool_param_t  *param;

    static const char *const  kinds[] = { "number", "ms", "flag" };

    out = json_array();
    pgcf = ngx_sf_test_upstream(cf, 0);

    for (param = ngx_sf_pg_pool_params; param->name; param++) {
        value = *(ngx_int_t *) ((u_char *) pgcf + param->offset);
        object = json_pack("{s:s, s:s, s:I}", "name", param->name, "kind",
                           kinds[param->type], "default", (json_int_t) value);

        if (param->type != NGX_SF_PG_POOL_FLAG) {
            json_object_set_new(object, "min", json_integer(param->min));
            json_object_set_new(object, "max", json_integer(param->max));
        }

        json_array_append_new(out, object);
    }

    return out;
}


static json_t *
ngx_sf_test_lane_list(ngx_conf_t *cf)
{
    json_t            *out, *conninfo;
    ngx_uint_t         i, lane;
    ngx_keyval_t      *kv;
    ngx_sf_pg_conf_t  *pgcf;

    out = json_array();
    pgcf = ngx_sf_test_upstream(cf, 1);

    for (lane = 0; lane < NGX_SF_PG_LANES; lane++) {
        conninfo = json_object();
        kv = pgcf->options[lane].elts;

        for (i = 0; i < pgcf->options[lane].nelts; i++) {
            json_object_set_new(conninfo, (char *) kv[i].key.data,
                                json_stringn((char *) kv[i].value.data,
                                             kv[i].value.len));
        }

        json_array_append_new(out,
            json_pack("{s:s, s:o}", "name", ngx_sf_test_lanes[lane],
                      "conninfo", conninfo));
    }

    return out;
}


static json_t *
ngx_sf_test_connections(ngx_conf_t *cf)
{
    return json_integer(ngx_sf_pg_conf_connections(ngx_sf_test_upstream(cf,
                                                                       0)));
}


ngx_int_t
ngx_sf_test_describe(ngx_conf_t *cf, ngx_str_t *file)
{
    int                        failed;
    json_t                    *out;
    const ngx_sf_test_part_t  *part;

    out = json_object();

    for (part = ngx_sf_test_parts; part->name; part++) {
        json_object_set_new(out, part->name, part->make(cf));
    }

    failed = json_dump_file(out, (char *) file->data, JSON_INDENT(1));
    json_decref(out);

    if (failed) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "cannot write \"%V\"", file);
        return NGX_ERROR;
    }

    return NGX_OK;
}

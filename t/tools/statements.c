
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Prints the module's own statements as JSON, for plans and for benchmarks:
 *
 *     statements list
 *     statements variants
 *     statements session
 *     statements show ENDPOINT KIND [QUERYSTRING] [id=N] [user=N]
 *
 * list: an object for each statement (endpoint, kind, lane, columns,
 * nvariants).  variants: one for each text (id, endpoint, kind, lane, columns,
 * nvalues, text).  session: settings of a session by lane, as libpq's word
 * "options".  show: text and values that a request with this query string
 * sends; KIND is rows, total, ping or principal (ENDPOINT principal, too).
 */


#include <jansson.h>

#include "endpoints.h"
#include "unit.h"


static const char *const  tool_lanes[NGX_SF_PG_LANES] = {
    "read", "totals", "heavy", "write", "ping", "listen"
};


static const char *const  tool_kinds[] = {
    /* PRINCIPAL */  "principal",
    /* TOTAL */      "total",
    /* RESPONSE */   "rows",
    /* PING */       "ping"
};


/* a resource, and what is told of its statement */

typedef struct {
    const ngx_sf_resource_t  *resource;
    const char               *endpoint;
    const char               *kind;
    const char               *lane;
    json_t                   *out;
} tool_statement_t;


typedef void (*tool_statement_pt)(endpoints_t *e, tool_statement_t *st);


static void
tool_count(ngx_sf_pg_statement_t *variant, const ngx_sf_bind_source_t *source,
    void *data)
{
    ngx_sf_pg_statement_t  **last = ((void **) data)[0];

    *last = variant;
    ++*(ngx_uint_t *) ((void **) data)[1];
}


static void
tool_list(endpoints_t *e, tool_statement_t *st)
{
    void                   *data[2];
    ngx_uint_t              n;
    ngx_sf_pg_statement_t  *last;

    n = 0;
    last = NULL;
    data[0] = &last;
    data[1] = &n;

    endpoints_variants(e, st->resource, tool_count, data);

    json_array_append_new(st->out,
        json_pack("{s:s, s:s, s:s, s:i, s:i}", "endpoint", st->endpoint,
                  "kind", st->kind, "lane", st->lane,
                  "columns", (int) last->columns, "nvariants", (int) n));
}


static void
tool_variant(ngx_sf_pg_statement_t *variant,
    const ngx_sf_bind_source_t *source, void *data)
{
    tool_statement_t  *st = data;

    json_array_append_new(st->out,
        json_pack("{s:i, s:s, s:s, s:s, s:i, s:i, s:s}",
                  "id", (int) variant->id, "endpoint", st->endpoint,
                  "kind", st->kind, "lane", st->lane,
                  "columns", (int) variant->columns,
                  "nvalues", (int) variant->nvalues,
                  "text", variant->text));
}


static void
tool_variants(endpoints_t *e, tool_statement_t *st)
{
    endpoints_variants(e, st->resource, tool_variant, st);
}


static void
tool_resource(endpoints_t *e, const ngx_sf_resource_t *resource,
    tool_statement_pt call, json_t *out)
{
    tool_statement_t  st;

    if (resource == NULL) {
        return;
    }

    st.resource = resource;
    st.endpoint = resource->endpoint ? resource->endpoint->row->name
                                     : "principal";
    st.kind = tool_kinds[resource->kind];
    st.lane = tool_lanes[resource->lane];
    st.out = out;

    call(e, &st);
}


static json_t *
tool_walk(endpoints_t *e, tool_statement_pt call)
{
    json_t      *out;
    ngx_uint_t   i;

    out = json_array();

    for (i = 0; i < e->smcf->nendpoints; i++) {
        tool_resource(e, e->smcf->endpoints[i].response, call, out);
        tool_resource(e, e->smcf->endpoints[i].total, call, out);
    }

    tool_resource(e, e->smcf->principal, call, out);

    return out;
}


static json_t *
tool_session(endpoints_t *e)
{
    json_t      *out;
    ngx_str_t    options;
    ngx_uint_t   lane;

    out = json_object();

    for (lane = 0; lane < NGX_SF_PG_LANES; lane++) {
        options = endpoints_session(e, lane);

        json_object_set_new(out, tool_lanes[lane],
                            json_stringn((char *) options.data, options.len));
    }

    return out;
}


static json_t *
tool_sent(endpoints_t *e, const ngx_sf_lookup_t *lookup)
{
    json_t                  *values;
    ngx_uint_t               i;
    const char             **value;
    ngx_sf_bind_source_t     source;
    ngx_sf_pg_statement_t   *variant;

    ngx_sf_resource_source(lookup, &source);

    variant = ngx_sf_statement_variant(&e->worker.variants, e->primary,
                                       lookup->resource->statement, &source);
    if (variant == NULL) {
        return NULL;
    }

    value = ngx_sf_statement_bind(e->cf.pool, variant, &source);

    if (value == NULL) {
        return NULL;
    }

    values = json_array();

    for (i = 0; i < variant->nvalues; i++) {
        json_array_append_new(values, value[i] ? json_string(value[i])
                                               : json_null());
    }

    return json_pack("{s:s, s:o}", "text", variant->text, "values", values);
}


static void
tool_die(const char *what, const u_char *text, size_t len)
{
    fprintf(stderr, "statements: %s%.*s\n", what, (int) len, text);
    exit(1);
}


static const ngx_sf_resource_t *
tool_find(endpoints_t *e, const char *name, const char *kind)
{
    ngx_sf_resource_t  *resource;
    ngx_sf_endpoint_t  *endpoint;

    if (strcmp(kind, "principal") == 0) {
        return e->smcf->principal;
    }

    endpoint = endpoints_find(e, name);

    if (endpoint == NULL) {
        tool_die("no such endpoint: ", (u_char *) name, strlen(name));
        return NULL;
    }

    resource = strcmp(kind, "total") == 0 ? endpoint->total
                                          : endpoint->response;

    if (resource == NULL || strcmp(kind, tool_kinds[resource->kind]) != 0) {
        tool_die("this endpoint has no statement of kind ", (u_char *) kind,
                 strlen(kind));
    }

    return resource;
}


static json_t *
tool_show(endpoints_t *e, int argc, char *const *argv)
{
    int               i;
    ngx_str_t         id, args;
    ngx_sf_lookup_t   lookup;
    ngx_sf_params_t   params;

    if (argc < 2) {
        tool_die("usage: show ENDPOINT KIND [QUERY] [id=N] [user=N]",
                 (u_char *) "", 0);
    }

    ngx_memzero(&lookup, sizeof(ngx_sf_lookup_t));
    ngx_str_set(&id, "1");
    ngx_str_set(&args, "");
    lookup.user = 1;

    for (i = 2; i < argc; i++) {
        if (strncmp(argv[i], "id=", 3) == 0) {
            id.data = (u_char *) argv[i] + 3;
            id.len = strlen(argv[i]) - 3;

        } else if (strncmp(argv[i], "user=", 5) == 0) {
            lookup.user = atoll(argv[i] + 5);

        } else {
            args.data = (u_char *) argv[i];
            args.len = strlen(argv[i]);
        }
    }

    lookup.resource = tool_find(e, argv[0], argv[1]);

    if (lookup.resource->endpoint == NULL) {
        return tool_sent(e, &lookup);
    }

    if (ngx_sf_params_read(e->cf.pool, lookup.resource->endpoint->row->params,
                           &id, &args, &e->env, &params)
        != NGX_OK)
    {
        return NULL;
    }

    if (params.status) {
        tool_die("refused: ", params.error.data, params.error.len);
    }

    lookup.params = &params;

    return tool_sent(e, &lookup);
}


int
main(int argc, char *const *argv)
{
    json_t       *out;
    endpoints_t   e;

    unit_init();
    endpoints_compile(&e, unit_pool);
    e.env.now = time(NULL);

    out = NULL;

    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        out = tool_walk(&e, tool_list);

    } else if (argc == 2 && strcmp(argv[1], "variants") == 0) {
        out = tool_walk(&e, tool_variants);

    } else if (argc == 2 && strcmp(argv[1], "session") == 0) {
        out = tool_session(&e);

    } else if (argc > 2 && strcmp(argv[1], "show") == 0) {
        out = tool_show(&e, argc - 2, argv + 2);

    } else {
        fprintf(stderr, "usage: statements list | variants | session | "
                "show ENDPOINT KIND [QUERY] [id=N] [user=N]\n");
        return 2;
    }

    if (out == NULL || json_dumpf(out, stdout, JSON_INDENT(1)) != 0) {
        fprintf(stderr, "statements: no memory\n");
        return 1;
    }

    printf("\n");
    json_decref(out);
    ngx_destroy_pool(unit_pool);

    return 0;
}


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
    "read", "heavy", "write"
};


/* a statement and what it is told by */

typedef struct {
    const char            *endpoint;
    const char            *kind;
    ngx_uint_t             lane;
    const ngx_sf_param_t  *params;
    ngx_sf_statement_t    *statement;
    json_t                *out;
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

    endpoints_variants(e, st->statement, st->params, tool_count, data);

    json_array_append_new(st->out,
        json_pack("{s:s, s:s, s:s, s:i, s:i}", "endpoint", st->endpoint,
                  "kind", st->kind, "lane", tool_lanes[st->lane],
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
                  "kind", st->kind, "lane", tool_lanes[st->lane],
                  "columns", (int) variant->columns,
                  "nvalues", (int) variant->nvalues,
                  "text", variant->text));
}


static void
tool_variants(endpoints_t *e, tool_statement_t *st)
{
    endpoints_variants(e, st->statement, st->params, tool_variant, st);
}


static json_t *
tool_walk(endpoints_t *e, tool_statement_pt call)
{
    ngx_uint_t          i;
    tool_statement_t    st;
    ngx_sf_endpoint_t  *endpoint;

    st.out = json_array();

    for (i = 0; i < e->smcf->nendpoints; i++) {
        endpoint = &e->smcf->endpoints[i];

        st.endpoint = endpoint->row->name;
        st.kind = endpoint->row->document ? "ping" : "rows";
        st.lane = endpoint->row->lane;
        st.params = endpoint->row->params;
        st.statement = endpoint->statement;

        if (st.statement) {
            call(e, &st);
        }

        st.kind = "total";
        st.lane = NGX_SF_PG_HEAVY;
        st.statement = endpoint->total;

        if (st.statement) {
            call(e, &st);
        }
    }

    st.endpoint = "principal";
    st.kind = "principal";
    st.lane = NGX_SF_PG_READ;
    st.params = NULL;
    st.statement = e->smcf->principal;

    call(e, &st);

    return st.out;
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
tool_sent(endpoints_t *e, ngx_sf_statement_t *st,
    const ngx_sf_bind_source_t *source)
{
    json_t                  *values;
    ngx_uint_t               i;
    const char             **value;
    ngx_sf_pg_statement_t   *variant;

    variant = ngx_sf_statement_variant(&e->worker, st, source);

    if (variant == NULL) {
        return NULL;
    }

    value = ngx_sf_statement_bind(e->cf.pool, variant, source);

    if (value == NULL) {
        return NULL;
    }

    values = json_array();

    for (i = 0; i < variant->nvalues; i++) {
        json_array_append_new(values, json_string(value[i]));
    }

    return json_pack("{s:s, s:o}", "text", variant->text, "values", values);
}


static void
tool_die(const char *what, const u_char *text, size_t len)
{
    fprintf(stderr, "statements: %s%.*s\n", what, (int) len, text);
    exit(1);
}


static ngx_sf_statement_t *
tool_find(endpoints_t *e, const char *name, const char *kind,
    const ngx_sf_param_t **params)
{
    ngx_sf_statement_t  *st;
    ngx_sf_endpoint_t   *endpoint;

    static const ngx_sf_param_t  none[] = {
        { NULL, NGX_SF_PARAM_END, NULL, 0, 0, 0, NULL, NULL, NULL }
    };

    *params = none;

    if (strcmp(kind, "principal") == 0) {
        return e->smcf->principal;
    }

    endpoint = endpoints_find(e, name);

    if (endpoint == NULL) {
        tool_die("no such endpoint: ", (u_char *) name, strlen(name));
        return NULL;
    }

    *params = endpoint->row->params;
    st = strcmp(kind, "total") == 0 ? endpoint->total : endpoint->statement;

    if (st == NULL
        || (strcmp(kind, "ping") == 0) != (endpoint->row->document != NULL))
    {
        tool_die("this endpoint has no statement of kind ", (u_char *) kind,
                 strlen(kind));
    }

    return st;
}


static json_t *
tool_show(endpoints_t *e, int argc, char *const *argv)
{
    int                    i;
    ngx_str_t              id, args;
    ngx_sf_params_t        params;
    ngx_sf_statement_t    *st;
    ngx_sf_bind_source_t   source;
    const ngx_sf_param_t  *rows;

    if (argc < 2) {
        tool_die("usage: show ENDPOINT KIND [QUERY] [id=N] [user=N]",
                 (u_char *) "", 0);
    }

    ngx_memzero(&source, sizeof(ngx_sf_bind_source_t));
    ngx_str_set(&id, "1");
    ngx_str_set(&args, "");
    source.user = 1;

    for (i = 2; i < argc; i++) {
        if (strncmp(argv[i], "id=", 3) == 0) {
            id.data = (u_char *) argv[i] + 3;
            id.len = strlen(argv[i]) - 3;

        } else if (strncmp(argv[i], "user=", 5) == 0) {
            source.user = atoll(argv[i] + 5);

        } else {
            args.data = (u_char *) argv[i];
            args.len = strlen(argv[i]);
        }
    }

    st = tool_find(e, argv[0], argv[1], &rows);

    if (ngx_sf_params_read(e->cf.pool, rows, &id, &args, &e->env, &params)
        != NGX_OK)
    {
        return NULL;
    }

    if (params.status) {
        tool_die("refused: ", params.error.data, params.error.len);
    }

    source.values = params.values;
    source.page_size = params.page_size;
    source.offset = params.offset;
    source.first = params.first;

    return tool_sent(e, st, &source);
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

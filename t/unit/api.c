
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The endpoints of conf/api: every text that each of them has, and that none
 * needs a parameter but by its own rules.
 *
 *     unit-with: -It/tools t/tools/endpoints.c
 */


#include "endpoints.h"
#include "unit.h"


static endpoints_t  test_e;


typedef struct {
    u_char                *ids;
    ngx_uint_t             variants;
    ngx_uint_t             wrong;
    const char            *texts[1024];
} test_api_t;


/* $1 to $n all occur, nothing of the template is left */

static ngx_uint_t
test_text(ngx_sf_pg_statement_t *variant, ngx_uint_t first)
{
    u_char       seen[32];
    ngx_uint_t   i, n;
    const char  *p;

    ngx_memzero(seen, sizeof(seen));

    if (strncmp(variant->text, "/* ", 3) != 0
        || strstr(variant->text, "[[") || strstr(variant->text, "]]")
        || strchr(variant->text, ';'))
    {
        return 0;
    }

    for (p = variant->text; (p = strchr(p, '$')) != NULL; p++) {
        n = atoi(p + 1);

        if (n < 1 || n > variant->nvalues) {
            return 0;
        }

        seen[n] = 1;
    }

    for (i = 1; i <= variant->nvalues; i++) {
        if (!seen[i]) {
            return 0;
        }
    }

    /*
     * A page is cut by a literal on the first page only; a list without pages
     * has an end of its own
     */

    p = strstr(variant->text, "LIMIT ");

    if (p && strncmp(p, "LIMIT 10000", sizeof("LIMIT 10000") - 1) == 0) {
        p = strstr(p + 1, "LIMIT ");
    }

    if (p == NULL) {
        return 1;
    }

    return first ? (p[6] != '$' && strstr(p, "OFFSET") == NULL)
                 : (p[6] == '$' && strstr(p, " OFFSET $") != NULL);
}


static void
test_variant(ngx_sf_pg_statement_t *variant,
    const ngx_sf_bind_source_t *source, void *data)
{
    test_api_t  *api = data;

    ngx_uint_t  i;

    api->wrong += api->ids[variant->id]++;
    api->wrong += !test_text(variant, source->first);

    for (i = 0; i < api->variants; i++) {
        api->wrong += strcmp(api->texts[i], variant->text) == 0;
    }

    api->texts[api->variants++] = variant->text;

    api->wrong += ngx_sf_statement_bind(unit_pool, variant, source) == NULL;
}


static void
test_resource(test_api_t *api, const ngx_sf_resource_t *resource,
    const char *kind)
{
    if (resource == NULL) {
        return;
    }

    api->variants = 0;
    api->wrong = 0;

    endpoints_variants(&test_e, resource, test_variant, api);

    unit_ok(api->wrong == 0 && api->variants > 0, "%s %s, %lu texts",
            resource->endpoint ? resource->endpoint->row->name : "principal",
            kind, (unsigned long) api->variants);
}


/* ids are dense */

static void
test_texts(void)
{
    ngx_uint_t          i, listen, wrong;
    test_api_t          api;
    ngx_sf_endpoint_t  *endpoint;

    api.ids = ngx_pcalloc(unit_pool, test_e.smcf->nstatements);

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        endpoint = &test_e.smcf->endpoints[i];

        test_resource(&api, endpoint->response, "rows");
        test_resource(&api, endpoint->total, "total");
    }

    test_resource(&api, test_e.smcf->principal, "");

    wrong = 0;

    for (i = 0; i < test_e.smcf->nstatements; i++) {
        listen = i >= test_e.smcf->listen_id
                 && i < test_e.smcf->listen_id + NGX_SF_LISTEN_STATEMENTS;

        wrong += api.ids[i] != (listen ? 0 : 1);
    }

    unit_ok(wrong == 0, "%lu ids, each of one text or a listener's",
            (unsigned long) test_e.smcf->nstatements);
}


/* no query makes any of them fail but by its own rules */

static void
test_defaults(void)
{
    ngx_str_t             path[NGX_SF_PATH_PARAMS], args;
    ngx_uint_t            i, good;
    ngx_sf_params_t       params;
    const ngx_sf_row_t   *row;

    for (i = 0; i < NGX_SF_PATH_PARAMS; i++) {
        ngx_str_set(&path[i], "17");
    }

    for (i = 0; i < test_e.smcf->nendpoints; i++) {
        row = test_e.smcf->endpoints[i].row;
        args = unit_str("x=y&q=ab", 8);

        good = ngx_sf_params_read(unit_pool, row->params, path, &args,
                                  &test_e.env, &params)
               == NGX_OK
               && params.status == 0 && params.no_row == 0
               && (row->total == NULL || (params.first && params.page == 1));

        unit_ok(good, "%s without parameters", row->name);
    }
}


int
main(void)
{
    unit_init();
    endpoints_compile(&test_e, unit_pool);

    test_texts();
    test_defaults();

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#include "endpoints.h"

#include <glob.h>


#define ENDPOINTS_API     "conf/api"
#define ENDPOINTS_SOCKET  "unix:/nowhere/.s.PGSQL.5432"


/* places in main_conf and srv_conf, which nginx would give to its modules */

enum {
    ENDPOINTS_CORE = 0,
    ENDPOINTS_MODULE,
    ENDPOINTS_UPSTREAM,
    ENDPOINTS_CONFS
};


/* the one with include, which no header of nginx declares */

extern ngx_module_t  ngx_conf_module;


static ngx_str_t  endpoints_conninfo[] = {
    ngx_string("softfactory_pg"),
    ngx_string("dbname=softfactory user=app")
};


static void
endpoints_require(ngx_uint_t good, const char *what)
{
    if (!good) {
        fprintf(stderr, "Bail out! %s\n", what);
        exit(2);
    }
}


static void *
endpoints_alloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_pcalloc(pool, size);
    endpoints_require(p != NULL, "no memory");

    return p;
}


void
endpoints_conf(ngx_conf_t *cf, ngx_pool_t *pool)
{
    ngx_http_conf_ctx_t        *ctx;
    ngx_http_core_main_conf_t  *cmcf;

    ngx_memzero(cf, sizeof(ngx_conf_t));

    ctx = endpoints_alloc(pool, sizeof(ngx_http_conf_ctx_t));
    cmcf = endpoints_alloc(pool, sizeof(ngx_http_core_main_conf_t));

    ctx->main_conf = endpoints_alloc(pool, ENDPOINTS_CONFS * sizeof(void *));
    ctx->srv_conf = endpoints_alloc(pool, ENDPOINTS_CONFS * sizeof(void *));
    ctx->loc_conf = endpoints_alloc(pool, ENDPOINTS_CONFS * sizeof(void *));
    ctx->main_conf[ENDPOINTS_CORE] = cmcf;
    ctx->loc_conf[ENDPOINTS_CORE] = endpoints_alloc(pool,
                                           sizeof(ngx_http_core_loc_conf_t));

    ngx_http_core_module.ctx_index = ENDPOINTS_CORE;
    ngx_http_softfactory_module.ctx_index = ENDPOINTS_MODULE;
    ngx_http_upstream_module.ctx_index = ENDPOINTS_UPSTREAM;

    cf->ctx = ctx;
    cf->pool = pool;
    cf->temp_pool = pool;
    cf->log = pool->log;
    cf->cycle = (ngx_cycle_t *) ngx_cycle;

    cmcf->variables_keys = endpoints_alloc(pool,
                                           sizeof(ngx_hash_keys_arrays_t));
    cmcf->variables_keys->pool = pool;
    cmcf->variables_keys->temp_pool = pool;

    endpoints_require(ngx_hash_keys_array_init(cmcf->variables_keys,
                                               NGX_HASH_SMALL)
                      == NGX_OK, "no memory");
}


/* what nginx's parser needs of a cycle to find directives and to include */

static void
endpoints_cycle(ngx_cycle_t *cycle, ngx_pool_t *pool)
{
    static ngx_module_t  *modules[] = {
        &ngx_conf_module, &ngx_http_softfactory_module, NULL
    };

    cycle->modules = modules;
    cycle->conf_prefix.data = (u_char *) "";
    cycle->prefix.data = (u_char *) "";

    ngx_rbtree_init(&cycle->config_dump_rbtree, &cycle->config_dump_sentinel,
                    ngx_str_rbtree_insert_value);

    endpoints_require(ngx_array_init(&cycle->config_dump, pool, 8,
                                     sizeof(ngx_conf_dump_t))
                      == NGX_OK, "no memory");
}


/* all files of conf/api, or of the folder in SF_TEST_API, as if included */

static void
endpoints_parse(ngx_conf_t *cf, ngx_pool_t *pool)
{
    char         pattern[NGX_MAX_PATH];
    glob_t       files;
    size_t       i;
    ngx_str_t    file;
    const char  *dir;

    dir = getenv("SF_TEST_API");
    ngx_snprintf((u_char *) pattern, sizeof(pattern), "%s/*.conf%Z",
                 dir ? dir : ENDPOINTS_API);

    endpoints_cycle(cf->cycle, pool);

    cf->module_type = NGX_HTTP_MODULE;
    cf->cmd_type = NGX_HTTP_MAIN_CONF;
    cf->args = ngx_array_create(pool, 10, sizeof(ngx_str_t));
    endpoints_require(cf->args != NULL, "no memory");

    endpoints_require(glob(pattern, 0, NULL, &files) == 0,
                      "there are no files of endpoints");

    for (i = 0; i < files.gl_pathc; i++) {
        file.len = strlen(files.gl_pathv[i]);
        file.data = endpoints_alloc(pool, file.len + 1);
        ngx_memcpy(file.data, files.gl_pathv[i], file.len);

        endpoints_require(ngx_conf_parse(cf, &file) == NGX_CONF_OK,
                          "a file of endpoints cannot be read");
    }

    globfree(&files);
}


void
endpoints_compile(endpoints_t *e, ngx_pool_t *pool)
{
    ngx_http_module_t    *module;
    ngx_http_conf_ctx_t  *ctx;

    ngx_memzero(e, sizeof(endpoints_t));
    endpoints_conf(&e->cf, pool);

    ctx = e->cf.ctx;
    module = ngx_http_softfactory_module.ctx;

    e->smcf = module->create_main_conf(&e->cf);
    endpoints_require(e->smcf != NULL, "no memory");

    ctx->main_conf[ENDPOINTS_MODULE] = e->smcf;

    endpoints_require(module->preconfiguration(&e->cf) == NGX_OK,
                      "no memory");

    endpoints_parse(&e->cf, pool);

    endpoints_require(module->init_main_conf(&e->cf, e->smcf) == NGX_CONF_OK,
                      "the endpoints do not compile");

    e->worker.cycle = e->cf.cycle;
    e->worker.smcf = e->smcf;
    e->worker.variants.pool = pool;
    e->worker.variants.n = e->smcf->nstatements;
    e->worker.variants.made = endpoints_alloc(pool, e->smcf->nstatements
                                           * sizeof(ngx_sf_pg_statement_t *));

    e->primary = ngx_sf_pg_create_conf(&e->cf);
    endpoints_require(e->primary != NULL, "no memory");

    e->env.sql_like = e->smcf->sql_like;
    e->env.max_page_size = ENDPOINTS_MAX_PAGE_SIZE;
    e->env.min_search = 2;
}


ngx_sf_endpoint_t *
endpoints_find(endpoints_t *e, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < e->smcf->nendpoints; i++) {
        if (ngx_strcmp(e->smcf->endpoints[i].name.data, name) == 0) {
            return &e->smcf->endpoints[i];
        }
    }

    return NULL;
}


/* makes the combination number n of the parameters; 0: there are no more */

static ngx_uint_t
endpoints_combine(endpoints_source_t *s, const ngx_sf_param_t *params,
    ngx_uint_t n)
{
    ngx_uint_t              i;
    const ngx_sf_choice_t  *choice;

    ngx_memzero(s, sizeof(endpoints_source_t));

    s->source.values = s->values;
    s->source.first = n % 2;
    n /= 2;

    for (i = 0; params && params[i].type != NGX_SF_PARAM_END; i++) {

        endpoints_require(i < ENDPOINTS_PARAMS, "too many parameters");

        if (params[i].type == NGX_SF_PARAM_CHOICE) {
            for (choice = params[i].choices; choice->value; choice++) {
                /* void */
            }

            s->values[i].set = 1;
            s->values[i].number = n % (choice - params[i].choices);
            n /= choice - params[i].choices;
            continue;
        }

        s->values[i].set = n % 2;
        n /= 2;
    }

    return n == 0;
}


void
endpoints_variants(endpoints_t *e, const ngx_sf_resource_t *resource,
    endpoints_variant_pt call, void *data)
{
    u_char                 *seen;
    ngx_uint_t              n;
    endpoints_source_t      s;
    const ngx_sf_param_t   *params;
    ngx_sf_pg_statement_t  *variant;

    seen = endpoints_alloc(e->cf.pool, e->smcf->nstatements);
    params = resource->endpoint ? resource->endpoint->row->params : NULL;

    for (n = 0; endpoints_combine(&s, params, n); n++) {

        variant = ngx_sf_statement_variant(&e->worker.variants, e->primary,
                                           resource->statement, &s.source);
        endpoints_require(variant != NULL, "no memory");
        endpoints_require(variant->id < e->smcf->nstatements,
                          "an id is out of bounds");

        if (seen[variant->id]++ == 0) {
            call(variant, &s.source, data);
        }
    }
}


ngx_str_t
endpoints_session(endpoints_t *e, ngx_uint_t lane)
{
    ngx_str_t                      none = ngx_null_string;
    ngx_url_t                      url;
    ngx_uint_t                     i;
    ngx_keyval_t                  *kv;
    ngx_core_conf_t                ccf;
    void                         **conf[1];
    ngx_sf_pg_conf_t              *pgcf;
    ngx_http_conf_ctx_t           *ctx;
    ngx_http_upstream_server_t    *us;
    ngx_http_upstream_srv_conf_t   uscf;

    ngx_memzero(&url, sizeof(ngx_url_t));
    ngx_memzero(&ccf, sizeof(ngx_core_conf_t));
    ngx_memzero(&uscf, sizeof(ngx_http_upstream_srv_conf_t));

    /* where the user of the workers is looked up */

    ccf.user = geteuid();
    ccf.group = getegid();
    conf[0] = (void **) &ccf;
    ngx_core_module.index = 0;
    e->cf.cycle->conf_ctx = (void ****) conf;

    ngx_str_set(&url.url, ENDPOINTS_SOCKET);
    ngx_str_set(&uscf.host, "database");

    ctx = e->cf.ctx;
    ctx->srv_conf[ENDPOINTS_UPSTREAM] = &uscf;

    e->cf.args = ngx_array_create(e->cf.pool, 2, sizeof(ngx_str_t));
    uscf.servers = ngx_array_create(e->cf.pool, 1,
                                    sizeof(ngx_http_upstream_server_t));
    pgcf = ngx_sf_pg_create_conf(&e->cf);

    endpoints_require(e->cf.args && uscf.servers && pgcf
                      && ngx_parse_url(e->cf.pool, &url) == NGX_OK,
                      "no memory");

    ngx_memcpy(ngx_array_push_n(e->cf.args, 2), endpoints_conninfo,
               sizeof(endpoints_conninfo));

    us = ngx_array_push(uscf.servers);
    ngx_memzero(us, sizeof(ngx_http_upstream_server_t));
    us->name = url.url;
    us->addrs = url.addrs;
    us->naddrs = url.naddrs;
    us->weight = 1;

    endpoints_require(ngx_sf_pg_conninfo(&e->cf, NULL, pgcf) == NGX_CONF_OK
                      && ngx_sf_pg_conf_finish(&e->cf, &uscf, pgcf)
                         == NGX_OK,
                      "the settings of a session cannot be made");

    e->cf.cycle->conf_ctx = NULL;
    kv = pgcf->options[lane].elts;

    for (i = 0; i < pgcf->options[lane].nelts; i++) {
        if (ngx_strcmp(kv[i].key.data, "options") == 0) {
            return kv[i].value;
        }
    }

    return none;
}

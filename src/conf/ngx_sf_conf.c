
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Setters of directives whose values are more than a number or a word, and
 * what can be checked only when all of http{} has been read.
 *
 * A setter keeps what is written; names of upstreams, zones and locations are
 * looked up at the end, since nginx.conf may have them in any order.  Errors of
 * that time have no line of their own any more, so each location keeps its file
 * and line (slcf->file).
 *
 * Every mistake ends in a line that says what is allowed.
 */


#include "ngx_sf_conf.h"


#define NGX_SF_CONF_SECRET_MAX  4096      /* bytes of a file */


/* what a secret does not begin with, and what was meant */

typedef struct {
    const char                 *text;
    const char                 *use;
} ngx_sf_conf_prefix_t;


/* a module of nginx that passes requests on, and its directive */

typedef struct {
    const char                 *module;
    const char                 *directive;
} ngx_sf_conf_passer_t;


static ngx_int_t ngx_sf_conf_add_location(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);
static char *ngx_sf_conf_secret_text(ngx_conf_t *cf, ngx_str_t *secret);
static char *ngx_sf_conf_secret_env(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *secret);
static char *ngx_sf_conf_secret_file(ngx_conf_t *cf,
    ngx_str_t *name, ngx_str_t *secret);
static ngx_int_t ngx_sf_conf_choose(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf);
static ngx_uint_t ngx_sf_conf_nendpoints(ngx_conf_t *cf);
static u_char *ngx_sf_conf_endpoint_flags(ngx_conf_t *cf, u_char flag);
static ngx_int_t ngx_sf_conf_token_slugs(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);
static ngx_int_t ngx_sf_conf_token_products(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_sf_fixed_token_t *token);
static ngx_int_t ngx_sf_conf_product(const ngx_sf_main_conf_t *smcf,
    const u_char *slug, size_t len);
static void ngx_sf_conf_refuse_products(ngx_conf_t *cf,
    const ngx_sf_main_conf_t *smcf, const ngx_sf_fixed_token_t *token,
    const ngx_str_t *slugs);
static ngx_int_t ngx_sf_conf_check_endpoints(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);
static ngx_int_t ngx_sf_conf_upstream(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf, ngx_str_t *name, ngx_uint_t replicas,
    ngx_sf_pg_conf_t **pgcf);
static ngx_int_t ngx_sf_conf_check_schema(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);
static ngx_int_t ngx_sf_conf_listen(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf);
static ngx_http_upstream_srv_conf_t *ngx_sf_conf_find_upstream(
    ngx_conf_t *cf, const ngx_str_t *name);
static ngx_int_t ngx_sf_conf_use_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_sf_pg_conf_t *pgcf);
static ngx_int_t ngx_sf_conf_check_fallback(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);
static ngx_int_t ngx_sf_conf_check_passer(ngx_conf_t *cf,
    const char *directive, ngx_http_upstream_srv_conf_t *uscf);
static ngx_int_t ngx_sf_conf_holder(ngx_sf_workers_t *workers,
    ngx_int_t (*bury)(void *data, ngx_uint_t n, ngx_pid_t pid), void *data);


static const ngx_sf_conf_prefix_t  ngx_sf_conf_prefixes[] = {
    { "/", "file:/path" },
    { "./", "file:path" },
    { "../", "file:path" },
    { "~/", "file:/path" },
    { "$", "env:NAME" },
    { "file:", "file:path, in small letters" },
    { "env:", "env:NAME, in small letters" },
    { NULL, NULL }
};


static const ngx_sf_conf_passer_t  ngx_sf_conf_passers[] = {
    { "ngx_http_proxy_module", "proxy_pass" },
    { "ngx_http_fastcgi_module", "fastcgi_pass" },
    { "ngx_http_uwsgi_module", "uwsgi_pass" },
    { "ngx_http_scgi_module", "scgi_pass" },
    { "ngx_http_grpc_module", "grpc_pass" },
    { "ngx_http_memcached_module", "memcached_pass" },
    { NULL, NULL }
};


/*
 * The location is put on a list, smcf->locations, which the end of http{}
 * walks: only then are the upstreams known that it names.
 */

char *
ngx_sf_conf_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (slcf->primary.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    slcf->primary = value[1];

    if (cf->args->nelts == 3) {
        if (value[2].len <= 9
            || ngx_strncmp(value[2].data, "replicas=", 9) != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown parameter \"%V\", there is "
                               "replicas=upstream", &value[2]);
            return NGX_CONF_ERROR;
        }

        slcf->replicas.data = value[2].data + 9;
        slcf->replicas.len = value[2].len - 9;
    }

    slcf->cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    slcf->file = cf->conf_file->file.name.data;
    slcf->line = cf->conf_file->line;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot share its location with another content handler";
    }

    clcf->handler = ngx_sf_handler;

    return ngx_sf_conf_add_location(cf, slcf) == NGX_OK ? NGX_CONF_OK
                                                        : NGX_CONF_ERROR;
}


/*
 * nginx runs the handler of the location with the configuration of the `if`, so
 * that needs the names of the upstreams, too.  A limit_except has a handler of
 * its own, which is that of the location unless it says otherwise.
 */

ngx_int_t
ngx_sf_conf_inherit_pass(ngx_conf_t *cf, ngx_sf_loc_conf_t *prev,
    ngx_sf_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if ((!clcf->noname && !clcf->lmt_excpt)
        || conf->primary.len || prev->primary.len == 0)
    {
        return NGX_OK;
    }

    conf->primary = prev->primary;
    conf->replicas = prev->replicas;
    conf->cscf = prev->cscf;
    conf->file = prev->file;
    conf->line = prev->line;

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = ngx_sf_handler;
    }

    return ngx_sf_conf_add_location(cf, conf);
}


/* its names are looked up when all of http{} has been read */

static ngx_int_t
ngx_sf_conf_add_location(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_sf_loc_conf_t   **slot;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    slot = ngx_array_push(&smcf->locations);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = slcf;

    return NGX_OK;
}


/* endpoints may be declared below: the words wait for the end of http{} */

char *
ngx_sf_conf_endpoints(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t   *value, *word;
    ngx_uint_t   n;

    if (slcf->chosen.words) {
        return "is duplicate";
    }

    n = cf->args->nelts - 1;
    value = cf->args->elts;

    slcf->chosen.words = ngx_array_create(cf->pool, n, sizeof(ngx_str_t));
    if (slcf->chosen.words == NULL) {
        return NGX_CONF_ERROR;
    }

    word = ngx_array_push_n(slcf->chosen.words, n);
    ngx_memcpy(word, &value[1], n * sizeof(ngx_str_t));

    slcf->chosen.file = cf->conf_file->file.name.data;
    slcf->chosen.line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/*
 * nginx merges from the top down, and never the topmost level itself: what that
 * one says is looked up with the first level below it.
 */

ngx_int_t
ngx_sf_conf_merge_endpoints(ngx_conf_t *cf, ngx_sf_loc_conf_t *prev,
    ngx_sf_loc_conf_t *conf)
{
    if (ngx_sf_conf_choose(cf, prev) != NGX_OK
        || ngx_sf_conf_choose(cf, conf) != NGX_OK
        || ngx_sf_conf_token_slugs(cf, prev) != NGX_OK
        || ngx_sf_conf_token_slugs(cf, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (prev->enabled == NULL) {
        prev->enabled = ngx_sf_conf_endpoint_flags(cf, 1);
        if (prev->enabled == NULL) {
            return NGX_ERROR;
        }
    }

    if (conf->enabled == NULL) {
        conf->enabled = prev->enabled;
    }

    return NGX_OK;
}


/* a byte for each endpoint; the words are applied from left to right */

static ngx_int_t
ngx_sf_conf_choose(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    u_char      *found;
    ngx_str_t   *word, name;
    ngx_uint_t   i, k, n, on;

    if (slcf->chosen.words == NULL || slcf->enabled) {
        return NGX_OK;
    }

    word = slcf->chosen.words->elts;

    /* a list that begins by taking away begins with all of them */

    slcf->enabled = ngx_sf_conf_endpoint_flags(cf, word[0].data[0] == '-');
    found = ngx_sf_conf_endpoint_flags(cf, 0);

    if (slcf->enabled == NULL || found == NULL) {
        return NGX_ERROR;
    }

    n = ngx_sf_conf_nendpoints(cf);

    for (i = 0; i < slcf->chosen.words->nelts; i++) {
        name = word[i];
        on = 1;

        if (name.len && name.data[0] == '-') {
            name.data++;
            name.len--;
            on = 0;
        }

        if (ngx_sf_conf_find_endpoints(cf, &name, slcf->chosen.file,
                                       slcf->chosen.line, found)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (k = 0; k < n; k++) {
            if (found[k]) {
                slcf->enabled[k] = on;
            }
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_sf_conf_nendpoints(ngx_conf_t *cf)
{
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    return smcf->nendpoints;
}


static u_char *
ngx_sf_conf_endpoint_flags(ngx_conf_t *cf, u_char flag)
{
    u_char      *flags;
    ngx_uint_t   n;

    n = ngx_sf_conf_nendpoints(cf);
    flags = ngx_palloc(cf->pool, n + 1);

    if (flags) {
        ngx_memset(flags, flag, n + 1);
    }

    return flags;
}


ngx_int_t
ngx_sf_conf_find_endpoints(ngx_conf_t *cf, const ngx_str_t *name,
    const u_char *file, ngx_uint_t line, u_char *found)
{
    u_char               list[NGX_MAX_CONF_ERRSTR], *p;
    ngx_uint_t           i, n, star;
    const ngx_str_t     *own;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    n = 0;
    p = list;
    star = name->len && name->data[name->len - 1] == '*';

    for (i = 0; i < smcf->nendpoints; i++) {
        own = &smcf->endpoints[i].name;

        found[i] = (name->len == 3 && ngx_strncmp(name->data, "all", 3) == 0)
                   || ((star ? own->len >= name->len - 1
                             : own->len == name->len)
                       && ngx_strncmp(own->data, name->data,
                                      name->len - star)
                          == 0);
        n += found[i];
        p = ngx_slprintf(p, list + sizeof(list) - 1, " %V", own);
    }

    *p = '\0';

    if (n || (name->len == 3 && ngx_strncmp(name->data, "all", 3) == 0)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "unknown endpoint \"%V\" in %s:%ui, there are:%s", name,
                  file, line, list);

    return NGX_ERROR;
}


/*
 * Each directive of a level adds a key, and a token may be signed by any of
 * them: that is how a secret is changed without refusing the tokens that are
 * out.  Blanks around it go, as a file as a rule ends with a line break.
 */

char *
ngx_sf_conf_jwt_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    char               *rv;
    ngx_str_t          *value, secret;
    ngx_sf_jwt_key_t  **key;

    value = cf->args->elts;
    secret = value[1];
    rv = NGX_CONF_OK;

    if (secret.len >= 4 && ngx_strncmp(secret.data, "env:", 4) == 0) {
        rv = ngx_sf_conf_secret_env(cf, &value[1], &secret);

    } else if (secret.len >= 5 && ngx_strncmp(secret.data, "file:", 5) == 0) {
        rv = ngx_sf_conf_secret_file(cf, &value[1], &secret);

    } else {
        rv = ngx_sf_conf_secret_text(cf, &secret);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    while (secret.len && isspace(secret.data[0])) {
        secret.data++;
        secret.len--;
    }

    while (secret.len && isspace(secret.data[secret.len - 1])) {
        secret.len--;
    }

    if (secret.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "secret \"%V\" is empty",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (slcf->own.secrets == NGX_CONF_UNSET_PTR) {
        slcf->own.secrets = ngx_array_create(cf->pool, 1,
                                             sizeof(ngx_sf_jwt_key_t *));
        if (slcf->own.secrets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    key = ngx_array_push(slcf->own.secrets);
    if (key == NULL) {
        return NGX_CONF_ERROR;
    }

    *key = ngx_sf_jwt_key_create(cf->pool, &secret);

    return *key ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_sf_conf_jwt_require(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t  *value;

    if (slcf->jwt.exp != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "exp") == 0) {
        slcf->jwt.exp = 1;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        slcf->jwt.exp = 0;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" cannot be required, there are: exp, off",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * A secret that stands in the configuration.  What looks like a path or a
 * variable is one whose prefix was forgotten: a client that guesses it could
 * sign tokens with the text itself.  It may as well be the secret, so it is
 * not told to the log.
 */

static char *
ngx_sf_conf_secret_text(ngx_conf_t *cf, ngx_str_t *secret)
{
    const ngx_sf_conf_prefix_t  *prefix;

    for (prefix = ngx_sf_conf_prefixes; prefix->text; prefix++) {
        if (ngx_strncasecmp(secret->data, (u_char *) prefix->text,
                            ngx_strlen(prefix->text))
            == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "a secret begins with \"%s\": use %s; one that "
                               "really does can be in a file",
                               prefix->text, prefix->use);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* a variable that no env directive keeps is gone after a binary upgrade */

static char *
ngx_sf_conf_secret_env(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *secret)
{
    char             *text;
    ngx_str_t         var, *env;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    var.data = name->data + 4;
    var.len = name->len - 4;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);
    env = ccf->env.elts;

    for (i = 0; i < ccf->env.nelts; i++) {

        if (env[i].len != var.len
            || ngx_strncmp(env[i].data, var.data, var.len) != 0)
        {
            continue;
        }

        /* nginx keeps the name, and the text of the directive behind it */

        if (env[i].data[var.len] == '=') {
            secret->data = env[i].data + var.len + 1;

        } else {
            text = getenv((char *) var.data);
            secret->data = (u_char *) (text ? text : "");
        }

        secret->len = ngx_strlen(secret->data);

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the environment variable \"%V\" is not kept: add "
                       "\"env %V;\" at the top of the configuration, "
                       "before http", &var, &var);

    return NGX_CONF_ERROR;
}


static char *
ngx_sf_conf_secret_file(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *secret)
{
    ngx_str_t  path;

    path.data = name->data + 5;
    path.len = name->len - 5;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK
        || ngx_sf_conf_read_file(cf, &path, NGX_SF_CONF_SECRET_MAX, secret)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * The file is read once, by the user that reads the configuration, so the
 * workers need not have access to it.  One that fills the buffer counts as too
 * long.
 */

ngx_int_t
ngx_sf_conf_read_file(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *bytes)
{
    ssize_t     n;
    ngx_int_t   rc;
    ngx_file_t  file;

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *path;
    file.log = cf->log;

    /* a FIFO is not waited for, and cannot be read at an offset */

    file.fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                            NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    bytes->data = ngx_pnalloc(cf->pool, max);

    if (bytes->data) {
        n = ngx_read_file(&file, bytes->data, max, 0);

        if (n == (ssize_t) max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is longer than %uz bytes", path,
                               max - 1);

        } else if (n == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is not a file that can be read", path);

        } else {
            bytes->data[n] = '\0';
            bytes->len = n;
            rc = NGX_OK;
        }
    }

    (void) ngx_close_file(file.fd);

    return rc;
}


/*
 * A fixed token is a principal of its own: neither a signature nor a row of the
 * database is looked at, so its products are named here as well.  It is
 * compared as it is sent.
 */

char *
ngx_sf_conf_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    int64_t                id;
    ngx_str_t             *value;
    ngx_sf_fixed_token_t  *token;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty token";
    }

    if (ngx_strncmp(value[1].data, "file:", 5) == 0
        || ngx_strncmp(value[1].data, "env:", 4) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "token \"%V\" would be that text: a fixed token "
                           "stands in the configuration as it is sent",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    id = NGX_ERROR;

    if (value[2].len > 5 && ngx_strncmp(value[2].data, "user=", 5) == 0) {
        id = ngx_atoof(value[2].data + 5, value[2].len - 5);
    }

    if (id < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be user=id, with the id of a row of "
                           "users", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (slcf->tokens == NGX_CONF_UNSET_PTR) {
        slcf->tokens = ngx_array_create(cf->pool, 1,
                                        sizeof(ngx_sf_fixed_token_t));
        if (slcf->tokens == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    token = ngx_array_push(slcf->tokens);
    if (token == NULL) {
        return NGX_CONF_ERROR;
    }

    token->token = value[1];
    token->principal.id = id;
    token->principal.products = 0;
    ngx_str_null(&token->slugs);

    if (cf->args->nelts == 3) {
        return NGX_CONF_OK;
    }

    if (value[3].len <= 9 || ngx_strncmp(value[3].data, "products=", 9) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown parameter \"%V\", there is "
                           "products=all or products=slug,…", &value[3]);
        return NGX_CONF_ERROR;
    }

    token->slugs.data = value[3].data + 9;
    token->slugs.len = value[3].len - 9;
    token->file = cf->conf_file->file.name.data;
    token->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* products are those that endpoints ask for; the bits stand in their order */

static ngx_int_t
ngx_sf_conf_token_slugs(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_uint_t             i;
    ngx_sf_main_conf_t    *smcf;
    ngx_sf_fixed_token_t  *token;

    if (slcf->tokens == NGX_CONF_UNSET_PTR || slcf->tokens == NULL) {
        return NGX_OK;
    }

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    token = slcf->tokens->elts;

    for (i = 0; i < slcf->tokens->nelts; i++) {
        if (token[i].slugs.data
            && ngx_sf_conf_token_products(cf, smcf, &token[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_conf_token_products(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_fixed_token_t *token)
{
    u_char      *p, *last, *comma;
    ngx_str_t    slugs;
    ngx_int_t    bit;

    slugs = token->slugs;
    token->slugs.data = NULL;

    if (slugs.len == 3 && ngx_strncmp(slugs.data, "all", 3) == 0) {
        token->principal.products = (uint64_t) -1;
        return NGX_OK;
    }

    last = slugs.data + slugs.len;

    for (p = slugs.data; p < last; p = comma + 1) {
        comma = ngx_strlchr(p, last, ',');

        if (comma == NULL) {
            comma = last;
        }

        bit = ngx_sf_conf_product(smcf, p, comma - p);

        if (bit == NGX_ERROR) {
            ngx_sf_conf_refuse_products(cf, smcf, token, &slugs);
            return NGX_ERROR;
        }

        token->principal.products |= (uint64_t) 1 << bit;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_conf_product(const ngx_sf_main_conf_t *smcf, const u_char *slug,
    size_t len)
{
    ngx_str_t   *product;
    ngx_uint_t   i;

    product = smcf->products.elts;

    for (i = 0; i < smcf->products.nelts; i++) {
        if (product[i].len == len
            && ngx_strncmp(product[i].data, slug, len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


static void
ngx_sf_conf_refuse_products(ngx_conf_t *cf, const ngx_sf_main_conf_t *smcf,
    const ngx_sf_fixed_token_t *token, const ngx_str_t *slugs)
{
    u_char       list[NGX_MAX_CONF_ERRSTR], *p;
    ngx_str_t   *product;
    ngx_uint_t   i;

    p = list;
    product = smcf->products.elts;

    for (i = 0; i < smcf->products.nelts; i++) {
        p = ngx_slprintf(p, list + sizeof(list) - 1, " %V", &product[i]);
    }

    *p = '\0';

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "no endpoint asks for a product of \"%V\" in %s:%ui, there "
                  "are:%s", slugs, token->file, token->line,
                  p == list ? (u_char *) " none" : list);
}


char *
ngx_sf_conf_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t  *value;

    if (slcf->fallback.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len < 2
        || (value[1].data[0] != '@' && value[1].data[0] != '/'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be a named location (\"@app\") or a "
                           "URI (\"/app\")", &value[1]);
        return NGX_CONF_ERROR;
    }

    slcf->fallback = value[1];

    return NGX_CONF_OK;
}


char *
ngx_sf_conf_cors_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t   *value, *origin;
    ngx_uint_t   i;
    const char  *why;

    value = cf->args->elts;

    if (slcf->cors == NGX_CONF_UNSET_PTR) {
        slcf->cors = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (slcf->cors == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        why = ngx_sf_cors_wrong(&value[i]);

        if (why) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no origin of browsers, %s: it is a "
                               "scheme, a host and, if it is not the "
                               "scheme's own, a port, as in "
                               "\"https://example.com:8443\"", &value[i], why);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(slcf->cors);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


/*
 * In this order: the upstreams, as a pool is made of what they say; the one for
 * the listener, which is a pool as well; keys of tokens; the fallback, last.
 * The zone and the database in it are looked up by the primary after that, see
 * ngx_sf_cache_conf_finish().
 */

ngx_int_t
ngx_sf_conf_finish(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    if (ngx_sf_conf_check_endpoints(cf, slcf) != NGX_OK
        || ngx_sf_conf_upstream(cf, slcf, &slcf->primary, 0,
                                &slcf->primary_pg)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (slcf->replicas.len
        && ngx_sf_conf_upstream(cf, slcf, &slcf->replicas, 1,
                                &slcf->replicas_pg)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (slcf->replicas_pg && ngx_sf_conf_check_schema(cf, slcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (slcf->primary_pg->listen.len && slcf->primary_pg->listen_pg == NULL
        && ngx_sf_conf_listen(cf, slcf->primary_pg) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_sf_jwt_conf_finish(cf, slcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_sf_conf_check_fallback(cf, slcf);
}


/* there are some, and each method of a path is that of one of them */

static ngx_int_t
ngx_sf_conf_check_endpoints(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_sf_main_conf_t       *smcf;
    const ngx_sf_endpoint_t  *both[2];

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    if (smcf->nendpoints == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pass in %s:%ui has no endpoint to serve: "
                      "declare one by softfactory_endpoint, or include the "
                      "files of conf/api, in http{}", slcf->file, slcf->line);
        return NGX_ERROR;
    }

    if (ngx_sf_routes_check(smcf->routes, slcf->enabled, both) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pass in %s:%ui serves endpoints \"%V\" and "
                      "\"%V\", which have one path and one method: choose by "
                      "softfactory_endpoints", slcf->file, slcf->line,
                      &both[0]->name, &both[1]->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * An upstream becomes a pool when the first location names it, and one that no
 * location names is not connected to.  It is either an ordered list of
 * primaries or a set of replicas: its servers are chosen in another way.  One
 * that only a listener used until now is a full one from here on.
 */

static ngx_int_t
ngx_sf_conf_upstream(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf,
    ngx_str_t *name, ngx_uint_t replicas, ngx_sf_pg_conf_t **out)
{
    ngx_sf_pg_conf_t              *pgcf;
    ngx_http_upstream_srv_conf_t  *uscf;

    uscf = ngx_sf_conf_find_upstream(cf, name);
    pgcf = uscf ? ngx_http_conf_upstream_srv_conf(uscf,
                                             ngx_http_softfactory_module)
                : NULL;

    if (pgcf == NULL || pgcf->given.elts == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pass in %s:%ui names \"%V\": %s",
                      slcf->file, slcf->line, name,
                      pgcf ? "that upstream has no softfactory_pg"
                           : "there is no such upstream");
        return NGX_ERROR;
    }

    if (replicas ? pgcf->primary : pgcf->replicas) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pass in %s:%ui: upstream \"%V\" cannot be "
                      "a primary and replicas at once",
                      slcf->file, slcf->line, name);
        return NGX_ERROR;
    }

    *out = pgcf;

    if (pgcf->primary || pgcf->replicas) {
        pgcf->listener = 0;
        return NGX_OK;
    }

    pgcf->primary = !replicas;
    pgcf->replicas = replicas;

    return ngx_sf_conf_use_upstream(cf, uscf, pgcf);
}


/* the texts of statements are composed once for both */

static ngx_int_t
ngx_sf_conf_check_schema(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_str_t  *primary, *replicas;

    primary = &slcf->primary_pg->schema;
    replicas = &slcf->replicas_pg->schema;

    if (primary->len == replicas->len
        && ngx_memcmp(primary->data, replicas->data, primary->len) == 0)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "softfactory_pass in %s:%ui: upstream \"%V\" has "
                  "schema=%V, its replicas \"%V\" have schema=%V",
                  slcf->file, slcf->line, &slcf->primary_pg->name, primary,
                  &slcf->replicas_pg->name, replicas);

    return NGX_ERROR;
}


/*
 * The upstream whose servers the listener of another one connects to.  Through
 * a pooler that shares its sessions no notification comes, so there has to be a
 * second way to the same database.
 */

static ngx_int_t
ngx_sf_conf_listen(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf)
{
    ngx_sf_pg_conf_t              *direct;
    ngx_http_upstream_srv_conf_t  *uscf;

    uscf = ngx_sf_conf_find_upstream(cf, &pgcf->listen);
    direct = uscf ? ngx_http_conf_upstream_srv_conf(uscf,
                                               ngx_http_softfactory_module)
                  : NULL;

    if (direct == NULL || direct->given.elts == NULL || direct->replicas) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_listen of upstream \"%V\" in %s:%ui names "
                      "\"%V\": %s", &pgcf->name, pgcf->file, pgcf->line,
                      &pgcf->listen,
                      direct == NULL ? "there is no such upstream"
                      : direct->replicas ? "replicas cannot be listened to"
                      : "that upstream has no softfactory_pg");
        return NGX_ERROR;
    }

    pgcf->listen_pg = direct;

    if (direct->primary) {
        return NGX_OK;
    }

    direct->primary = 1;
    direct->listener = 1;

    return ngx_sf_conf_use_upstream(cf, uscf, direct);
}


/*
 * As nginx looks for them, without regard to case.  Those that a proxy_pass
 * makes up have no configuration of ours.
 */

static ngx_http_upstream_srv_conf_t *
ngx_sf_conf_find_upstream(ngx_conf_t *cf, const ngx_str_t *name)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscf = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {
        if (uscf[i]->srv_conf && uscf[i]->host.len == name->len
            && ngx_strncasecmp(uscf[i]->host.data, name->data, name->len)
               == 0)
        {
            return uscf[i];
        }
    }

    return NULL;
}


/* its index is that of its pool in each worker */

static ngx_int_t
ngx_sf_conf_use_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *uscf,
    ngx_sf_pg_conf_t *pgcf)
{
    ngx_sf_pg_conf_t    **pool;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    pgcf->index = smcf->pools.nelts;

    pool = ngx_array_push(&smcf->pools);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    *pool = pgcf;

    return ngx_sf_pg_conf_finish(cf, uscf, pgcf);
}


/* nginx itself would notice a missing named location at the first request */

static ngx_int_t
ngx_sf_conf_check_fallback(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_str_t                  *name;
    ngx_http_core_loc_conf_t  **clcf;

    name = &slcf->fallback;

    if (name->len == 0 || name->data[0] != '@') {
        return NGX_OK;
    }

    clcf = slcf->cscf->named_locations;

    for ( /* void */ ; clcf && *clcf; clcf++) {
        if ((*clcf)->name.len == name->len
            && ngx_strncmp((*clcf)->name.data, name->data, name->len) == 0)
        {
            return NGX_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "softfactory_pass in %s:%ui has the fallback \"%V\", but "
                  "its server has no such location",
                  slcf->file, slcf->line, name);

    return NGX_ERROR;
}


/*
 * nginx's own modules would pass requests to PostgreSQL.  An upstream does not
 * know its users, but the configuration of a location of each of them begins
 * with an ngx_http_upstream_conf_t, and that with the upstream.  Called while
 * locations are merged, which is when also those of `if` can be seen.
 */

ngx_int_t
ngx_sf_conf_check_passers(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_module_t                *module;
    ngx_http_conf_ctx_t         *ctx;
    ngx_http_upstream_conf_t    *ucf;
    const ngx_sf_conf_passer_t  *passer;

    ctx = cf->ctx;

    for (i = 0; cf->cycle->modules[i]; i++) {
        module = cf->cycle->modules[i];

        if (module->type != NGX_HTTP_MODULE) {
            continue;
        }

        for (passer = ngx_sf_conf_passers; passer->module; passer++) {
            if (ngx_strcmp(module->name, passer->module) != 0) {
                continue;
            }

            ucf = ctx->loc_conf[module->ctx_index];

            if (ucf->upstream && ucf->upstream != NGX_CONF_UNSET_PTR
                && ngx_sf_conf_check_passer(cf, passer->directive,
                                            ucf->upstream)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_conf_check_passer(ngx_conf_t *cf, const char *directive,
    ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_sf_pg_conf_t          *pgcf;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_core_srv_conf_t  *cscf;

    pgcf = uscf->srv_conf ? ngx_http_conf_upstream_srv_conf(uscf,
                                             ngx_http_softfactory_module)
                          : NULL;

    if (pgcf == NULL || pgcf->given.elts == NULL) {
        return NGX_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "%s in location \"%V\" names upstream \"%V\", which is "
                  "PostgreSQL's: use softfactory_pass, in the server in "
                  "%s:%ui", directive, &clcf->name, &uscf->host,
                  cscf->file_name, cscf->line);

    return NGX_ERROR;
}


/*
 * A worker also has a socket that it listens on, one to its master and one to
 * be woken for each zone.  Nothing is said where events{} stands behind http{}.
 */

void
ngx_sf_conf_check_connections(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf)
{
    ngx_uint_t          i, n;
    ngx_event_conf_t   *ecf;
    ngx_sf_pg_conf_t  **pgcf;

    if (ngx_get_conf(cf->cycle->conf_ctx, ngx_events_module) == NULL) {
        return;
    }

    n = 0;
    pgcf = smcf->pools.elts;
    ecf = ngx_event_get_conf(cf->cycle->conf_ctx, ngx_event_core_module);

    for (i = 0; i < smcf->pools.nelts; i++) {
        n += ngx_sf_pg_conf_connections(pgcf[i]);
    }

    if (n && n + smcf->zones.nelts + 2 >= ecf->connections) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "worker_connections %ui leave nothing for clients: a "
                      "worker has up to %ui connections to PostgreSQL, by "
                      "softfactory_pg_pool", ecf->connections, n);
    }
}


/* also for zones that nothing uses yet: the list must not be younger */

ngx_int_t
ngx_sf_conf_workers(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf)
{
    ngx_uint_t         i;
    ngx_sf_zone_t    **zone;
    ngx_sf_workers_t  *workers;

    static ngx_str_t  name = ngx_string("softfactory_workers");

    if (smcf->zones.nelts == 0 && smcf->metrics == NULL) {
        return NGX_OK;
    }

    workers = ngx_pcalloc(cf->pool, sizeof(ngx_sf_workers_t));

    if (workers == NULL
        || ngx_array_init(&workers->holders, cf->pool, smcf->zones.nelts + 1,
                          sizeof(ngx_sf_workers_holder_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    workers->shm_zone = ngx_shared_memory_add(cf, &name,
                                              ngx_sf_workers_size(),
                                              &ngx_http_softfactory_module);
    if (workers->shm_zone == NULL) {
        return NGX_ERROR;
    }

    workers->shm_zone->init = ngx_sf_workers_init;
    workers->shm_zone->data = workers;
    smcf->workers = workers;

    zone = smcf->zones.elts;

    for (i = 0; i < smcf->zones.nelts; i++) {
        if (ngx_sf_conf_holder(workers, ngx_sf_zone_bury, zone[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (smcf->metrics == NULL) {
        return NGX_OK;
    }

    smcf->metrics->workers = workers;

    return ngx_sf_conf_holder(workers, ngx_sf_metrics_bury, smcf->metrics);
}


static ngx_int_t
ngx_sf_conf_holder(ngx_sf_workers_t *workers,
    ngx_int_t (*bury)(void *data, ngx_uint_t n, ngx_pid_t pid), void *data)
{
    ngx_sf_workers_holder_t  *holder;

    holder = ngx_array_push(&workers->holders);
    if (holder == NULL) {
        return NGX_ERROR;
    }

    holder->bury = bury;
    holder->data = data;

    return NGX_OK;
}


ngx_shm_zone_t *
ngx_sf_conf_old_zone(ngx_conf_t *cf, const ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *zone;

    if (cf->cycle->old_cycle == NULL || ngx_is_init_cycle(cf->cycle->old_cycle))
    {
        return NULL;
    }

    for (part = &cf->cycle->old_cycle->shared_memory.part;
         part;
         part = part->next)
    {
        zone = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (zone[i].tag == &ngx_http_softfactory_module
                && zone[i].shm.name.len == name->len
                && ngx_memcmp(zone[i].shm.name.data, name->data, name->len)
                   == 0)
            {
                return &zone[i];
            }
        }
    }

    return NULL;
}


/*
 * nginx takes over the memory of a zone that has the name, the tag and the size
 * of the one before.  Its flag noreuse is not good for keeping it from that: at
 * the next reload the memory in use would be taken over, and freed as well,
 * since whether it is freed goes by the flag of the zone that it was made for.
 * A page more is another size; it stays until the memory is made new again.
 */

void
ngx_sf_conf_size_zone(ngx_shm_zone_t *zone, const ngx_shm_zone_t *old,
    ngx_uint_t fits)
{
    size_t  size;

    size = zone->shm.size;

    if (old == NULL) {
        return;
    }

    if (fits && old->shm.size == size + ngx_pagesize) {
        zone->shm.size = old->shm.size;

    } else if (!fits && old->shm.size == size) {
        zone->shm.size += ngx_pagesize;
    }
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Directives of tokens: whose are believed.
 *
 * Each directive is inherited by itself, so a location with an audience of its
 * own has the keys of the server.  What results is one object, trust, by whose
 * address verified tokens are found again; levels that say nothing of their own
 * have that of the level above, and share its tokens.
 *
 * Files of keys are read here once for all locations that name them.  What they
 * must have beside them is known at the end of http{}.
 */


#include "ngx_sf_conf.h"


static char *ngx_sf_jwt_conf_terms(ngx_conf_t *cf, ngx_sf_jwt_terms_t *terms);
static ngx_sf_key_file_t *ngx_sf_jwt_conf_file(ngx_conf_t *cf,
    const ngx_str_t *path, const ngx_sf_jwt_terms_t *terms);
static ngx_sf_key_file_t *ngx_sf_jwt_conf_new_file(ngx_conf_t *cf,
    const ngx_str_t *path, const ngx_sf_jwt_terms_t *terms);
static void ngx_sf_jwt_conf_cleanup(void *data);
static char *ngx_sf_jwt_conf_add_set(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf,
    ngx_sf_key_file_t *file);
static ngx_uint_t ngx_sf_jwt_conf_says_nothing(const ngx_sf_jwt_trust_t *own);
static void ngx_sf_jwt_conf_inherit(ngx_sf_jwt_trust_t *own,
    const ngx_sf_jwt_trust_t *from);


/* what there is where nothing is said */

static const ngx_sf_jwt_trust_t  ngx_sf_jwt_conf_defaults = {
    NULL, NULL, ngx_null_string, NULL, ngx_string("user_id")
};


/* softfactory_jwt_key file [alg=name] [kid=name] */

char *
ngx_sf_jwt_conf_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t           *value, path;
    ngx_sf_key_file_t   *file;
    ngx_sf_jwt_terms_t   terms;

    value = cf->args->elts;
    path = value[1];

    if (path.len == 0) {
        return "has an empty name of a file";
    }

    if (ngx_strncmp(path.data, "file:", 5) == 0
        || ngx_strncmp(path.data, "env:", 4) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be the name of a file, as it is",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_sf_jwt_conf_terms(cf, &terms) != NGX_CONF_OK
        || ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    file = ngx_sf_jwt_conf_file(cf, &path, &terms);
    if (file == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_sf_jwt_conf_add_set(cf, slcf, file);
}


static char *
ngx_sf_jwt_conf_terms(ngx_conf_t *cf, ngx_sf_jwt_terms_t *terms)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    terms->alg = NGX_SF_JWT_NO_ALG;
    ngx_str_null(&terms->kid);

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "alg=", 4) == 0) {
            terms->alg = ngx_sf_jwt_alg(value[i].data + 4, value[i].len - 4);

            if (terms->alg == NGX_SF_JWT_NO_ALG) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "unknown algorithm in \"%V\", there are: "
                                   NGX_SF_JWT_ALGS, &value[i]);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (value[i].len > 4 && ngx_strncmp(value[i].data, "kid=", 4) == 0) {
            terms->kid.data = value[i].data + 4;
            terms->kid.len = value[i].len - 4;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown parameter \"%V\", there are alg=name and "
                           "kid=name", &value[i]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* one that was named before on the same terms, or a new one */

static ngx_sf_key_file_t *
ngx_sf_jwt_conf_file(ngx_conf_t *cf, const ngx_str_t *path,
    const ngx_sf_jwt_terms_t *terms)
{
    ngx_uint_t            i;
    ngx_sf_key_file_t   **file;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    file = smcf->key_files.elts;

    for (i = 0; i < smcf->key_files.nelts; i++) {
        if (file[i]->path.len == path->len
            && ngx_memcmp(file[i]->path.data, path->data, path->len) == 0
            && file[i]->terms.alg == terms->alg
            && file[i]->terms.kid.len == terms->kid.len
            && ngx_strncmp(file[i]->terms.kid.data, terms->kid.data,
                           terms->kid.len)
               == 0)
        {
            return file[i];
        }
    }

    file = ngx_array_push(&smcf->key_files);
    if (file == NULL) {
        return NULL;
    }

    *file = ngx_sf_jwt_conf_new_file(cf, path, terms);

    return *file;
}


/* its keys outlive the configuration's log, so they have that of the cycle */

static ngx_sf_key_file_t *
ngx_sf_jwt_conf_new_file(ngx_conf_t *cf, const ngx_str_t *path,
    const ngx_sf_jwt_terms_t *terms)
{
    u_char               why[NGX_SF_JWT_SET_WHY];
    ngx_err_t            err;
    ngx_sf_key_file_t   *file;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_sf_key_file_t));
    if (cln == NULL) {
        return NULL;
    }

    file = cln->data;
    ngx_memzero(file, sizeof(ngx_sf_key_file_t));

    file->path = *path;
    file->terms = *terms;

    cln->handler = ngx_sf_jwt_conf_cleanup;

    if (ngx_sf_key_file_read(file, &cf->cycle->new_log, why, &err) != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err, "\"%V\" %s", path, why);
        return NULL;
    }

    return file;
}


static void
ngx_sf_jwt_conf_cleanup(void *data)
{
    ngx_sf_key_file_t  *file = data;

    ngx_sf_jwt_set_clear(&file->set);
}


static char *
ngx_sf_jwt_conf_add_set(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf,
    ngx_sf_key_file_t *file)
{
    ngx_uint_t          i;
    ngx_sf_jwt_set_t  **set;

    if (slcf->own.sets == NGX_CONF_UNSET_PTR) {
        slcf->own.sets = ngx_array_create(cf->pool, 1,
                                          sizeof(ngx_sf_jwt_set_t *));
        if (slcf->own.sets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    set = slcf->own.sets->elts;

    for (i = 0; i < slcf->own.sets->nelts; i++) {
        if (set[i] == &file->set) {
            return "is duplicate";
        }
    }

    set = ngx_array_push(slcf->own.sets);
    if (set == NULL) {
        return NGX_CONF_ERROR;
    }

    *set = &file->set;

    return NGX_CONF_OK;
}


char *
ngx_sf_jwt_conf_audience(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t   *value, *audience;
    ngx_uint_t   i;

    if (slcf->own.audiences != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    slcf->own.audiences = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                           sizeof(ngx_str_t));
    if (slcf->own.audiences == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "has an empty audience";
        }

        audience = ngx_array_push(slcf->own.audiences);
        if (audience == NULL) {
            return NGX_CONF_ERROR;
        }

        *audience = value[i];
    }

    return NGX_CONF_OK;
}


/* one only: of the keys nobody says which of several issuers each belongs to */

char *
ngx_sf_jwt_conf_issuer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t  *value;

    if (slcf->own.issuer.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty issuer";
    }

    slcf->own.issuer = value[1];

    return NGX_CONF_OK;
}


char *
ngx_sf_jwt_conf_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t  *value;

    if (slcf->own.user.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > NGX_SF_JWT_CLAIM_MAX) {
        return "must be the name of a claim, of at most 128 bytes";
    }

    slcf->own.user = value[1];

    return NGX_CONF_OK;
}


void
ngx_sf_jwt_conf_init(ngx_sf_loc_conf_t *slcf)
{
    slcf->own.secrets = NGX_CONF_UNSET_PTR;
    slcf->own.sets = NGX_CONF_UNSET_PTR;
    slcf->own.audiences = NGX_CONF_UNSET_PTR;
    slcf->jwt.leeway = NGX_CONF_UNSET;
    slcf->jwt.exp = NGX_CONF_UNSET;
}


/* http{} is no child of anything, so it is completed by its first one */

void
ngx_sf_jwt_conf_merge(ngx_sf_loc_conf_t *prev, ngx_sf_loc_conf_t *conf)
{
    if (prev->jwt.trust == NULL) {
        ngx_sf_jwt_conf_inherit(&prev->own, &ngx_sf_jwt_conf_defaults);
        prev->jwt.trust = &prev->own;
    }

    if (ngx_sf_jwt_conf_says_nothing(&conf->own)) {
        conf->jwt.trust = prev->jwt.trust;

    } else {
        ngx_sf_jwt_conf_inherit(&conf->own, prev->jwt.trust);
        conf->jwt.trust = &conf->own;
    }

    ngx_conf_merge_sec_value(conf->jwt.leeway, prev->jwt.leeway, 5);
    ngx_conf_merge_value(conf->jwt.exp, prev->jwt.exp, 0);
}


static ngx_uint_t
ngx_sf_jwt_conf_says_nothing(const ngx_sf_jwt_trust_t *own)
{
    return own->secrets == NGX_CONF_UNSET_PTR
           && own->sets == NGX_CONF_UNSET_PTR
           && own->audiences == NGX_CONF_UNSET_PTR
           && own->issuer.len == 0 && own->user.len == 0;
}


static void
ngx_sf_jwt_conf_inherit(ngx_sf_jwt_trust_t *own,
    const ngx_sf_jwt_trust_t *from)
{
    if (own->secrets == NGX_CONF_UNSET_PTR) {
        own->secrets = from->secrets;
    }

    if (own->sets == NGX_CONF_UNSET_PTR) {
        own->sets = from->sets;
    }

    if (own->audiences == NGX_CONF_UNSET_PTR) {
        own->audiences = from->audiences;
    }

    if (own->issuer.len == 0) {
        own->issuer = from->issuer;
    }

    if (own->user.len == 0) {
        own->user = from->user;
    }
}


ngx_int_t
ngx_sf_jwt_conf_finish(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_uint_t                  i;
    const char                 *why;
    ngx_sf_jwt_set_t          **set;
    const ngx_sf_jwt_trust_t   *trust;

    trust = slcf->jwt.trust;

    if (trust->sets == NULL) {
        return NGX_OK;
    }

    set = trust->sets->elts;
    why = NULL;

    for (i = 0; i < trust->sets->nelts; i++) {
        if (set[i]->jwks && (trust->issuer.len == 0 || !trust->audiences)) {
            why = "a JWK set needs softfactory_jwt_issuer and "
                  "softfactory_jwt_audience beside it: its issuer signs for "
                  "others, too";
        }
    }

    if (why == NULL) {
        why = ngx_sf_jwt_sets_check(set, trust->sets->nelts);
    }

    if (why == NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "softfactory_pass in %s:%ui, softfactory_jwt_key: %s",
                  slcf->file, slcf->line, why);

    return NGX_ERROR;
}


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
 */


#include "ngx_sf_conf.h"


static ngx_uint_t ngx_sf_jwt_conf_says_nothing(const ngx_sf_jwt_trust_t *own);
static void ngx_sf_jwt_conf_inherit(ngx_sf_jwt_trust_t *own,
    const ngx_sf_jwt_trust_t *from);


/* what there is where nothing is said */

static const ngx_sf_jwt_trust_t  ngx_sf_jwt_conf_defaults = {
    NULL, NULL, ngx_null_string, NULL, ngx_string("user_id")
};


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

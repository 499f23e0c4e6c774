
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Sets of keys: a file with a public key in PEM, or a JWK set (RFC 7517).
 *
 * A JWK set is published for many readers, so keys that are not for us are
 * passed over: those of another use, algorithm, type or curve.  A key that is
 * for us and is wrong spoils the set, since it is a mistake that somebody has
 * to know of: a short RSA key, a private one, a name that is there twice.  Then
 * those stay that were there before.
 *
 * A key in PEM has neither an algorithm nor a name of its own, so these are
 * given with the file.
 */


#include <jansson.h>

#include "ngx_sf_jwt_set.h"


#define NGX_SF_JWT_SET_POOL  1024

/* characters of the longest member that is read */

#define NGX_SF_JWT_MEMBER    ((NGX_SF_JWT_KEY_MAX * 4 + 2) / 3)


/* a member of a JWK, in base64url */

typedef struct {
    ngx_str_t                   text;
    u_char                      data[NGX_SF_JWT_KEY_MAX];
} ngx_sf_jwt_member_t;


/* makes a key of a JWK: NGX_DECLINED: it is none of ours, or NGX_ERROR */

typedef ngx_int_t (*ngx_sf_jwk_pt)(ngx_pool_t *pool, const json_t *jwk,
    ngx_sf_jwt_key_t **key, const char **why);


/* by ngx_sf_jwt_alg_e */

typedef struct {
    const char                 *kty;
    ngx_sf_jwk_pt               read;
} ngx_sf_jwk_type_t;


static ngx_int_t ngx_sf_jwt_set_pem(ngx_sf_jwt_set_t *set,
    const ngx_str_t *text, const ngx_sf_jwt_terms_t *terms, u_char *why);
static ngx_int_t ngx_sf_jwt_set_jwks(ngx_sf_jwt_set_t *set,
    const ngx_str_t *text, const ngx_sf_jwt_terms_t *terms, u_char *why);
static ngx_int_t ngx_sf_jwt_set_jwk(ngx_sf_jwt_set_t *set, const json_t *jwk,
    ngx_sf_jwt_alg_e alg, const char **why);
static const char *ngx_sf_jwk_foreign(const json_t *jwk,
    ngx_sf_jwt_alg_e *alg);
static ngx_uint_t ngx_sf_jwk_verifies(const json_t *jwk);
static ngx_int_t ngx_sf_jwk_rsa(ngx_pool_t *pool, const json_t *jwk,
    ngx_sf_jwt_key_t **key, const char **why);
static ngx_int_t ngx_sf_jwk_ec(ngx_pool_t *pool, const json_t *jwk,
    ngx_sf_jwt_key_t **key, const char **why);
static ngx_int_t ngx_sf_jwk_okp(ngx_pool_t *pool, const json_t *jwk,
    ngx_sf_jwt_key_t **key, const char **why);
static ngx_int_t ngx_sf_jwk_oct(ngx_pool_t *pool, const json_t *jwk,
    ngx_sf_jwt_key_t **key, const char **why);
static ngx_uint_t ngx_sf_jwk_is(const json_t *jwk, const char *name,
    const char *text);
static ngx_int_t ngx_sf_jwk_member(const json_t *jwk, const char *name,
    ngx_sf_jwt_member_t *member);
static const char *ngx_sf_jwt_set_add(ngx_sf_jwt_set_t *set,
    ngx_sf_jwt_key_t *key, const ngx_str_t *kid);
static ngx_uint_t ngx_sf_jwt_kid_cmp(const ngx_str_t *a, const ngx_str_t *b);
static ngx_int_t ngx_sf_jwt_set_follows(ngx_sf_jwt_set_t *fresh,
    const ngx_sf_jwt_set_t *set, u_char *why);
static const char *ngx_sf_jwt_sets_clash(const ngx_sf_jwt_set_t *a,
    const ngx_sf_jwt_set_t *b);
static const char *ngx_sf_jwt_keys_clash(const ngx_sf_jwt_key_t *a,
    const ngx_sf_jwt_key_t *b);


static const ngx_sf_jwk_type_t  ngx_sf_jwk_types[] = {
    { "oct", ngx_sf_jwk_oct },
    { "RSA", ngx_sf_jwk_rsa },
    { "EC", ngx_sf_jwk_ec },
    { "OKP", ngx_sf_jwk_okp }
};


ngx_int_t
ngx_sf_jwt_set_read(ngx_sf_jwt_set_t *set, const ngx_str_t *text,
    const ngx_sf_jwt_terms_t *terms, ngx_log_t *log, u_char *why)
{
    ngx_int_t         rc;
    ngx_sf_jwt_set_t  fresh;

    ngx_memzero(&fresh, sizeof(ngx_sf_jwt_set_t));

    fresh.pool = ngx_create_pool(NGX_SF_JWT_SET_POOL, log);

    if (fresh.pool) {
        fresh.keys = ngx_array_create(fresh.pool, 2,
                                      sizeof(ngx_sf_jwt_key_t *));
    }

    if (fresh.keys == NULL) {
        rc = NGX_ERROR;
        ngx_sprintf(why, NGX_SF_JWT_MEMORY "%Z");

    } else if (ngx_strnstr(text->data, (char *) "-----BEGIN ", text->len)) {
        rc = ngx_sf_jwt_set_pem(&fresh, text, terms, why);

    } else {
        rc = ngx_sf_jwt_set_jwks(&fresh, text, terms, why);
    }

    if (rc == NGX_OK && set->pool) {
        rc = ngx_sf_jwt_set_follows(&fresh, set, why);
    }

    if (rc != NGX_OK) {
        ngx_sf_jwt_set_clear(&fresh);
        return NGX_ERROR;
    }

    ngx_sf_jwt_set_clear(set);
    *set = fresh;

    return NGX_OK;
}


/* what nginx -t refuses does not come in by a change of the file, either */

static ngx_int_t
ngx_sf_jwt_set_follows(ngx_sf_jwt_set_t *fresh, const ngx_sf_jwt_set_t *set,
    u_char *why)
{
    const char  *reason;

    reason = ngx_sf_jwt_sets_check(&fresh, 1);

    if (reason == NULL && set->jwks != fresh->jwks) {
        reason = "PEM and a JWK set take each other's place by a reload only";
    }

    if (reason == NULL) {
        return NGX_OK;
    }

    ngx_snprintf(why, NGX_SF_JWT_SET_WHY, "has keys that cannot be used: %s%Z",
                 reason);

    return NGX_ERROR;
}


void
ngx_sf_jwt_set_clear(ngx_sf_jwt_set_t *set)
{
    if (set->pool) {
        ngx_destroy_pool(set->pool);
    }

    ngx_memzero(set, sizeof(ngx_sf_jwt_set_t));
}


static ngx_int_t
ngx_sf_jwt_set_pem(ngx_sf_jwt_set_t *set, const ngx_str_t *text,
    const ngx_sf_jwt_terms_t *terms, u_char *why)
{
    const char        *reason;
    ngx_sf_jwt_key_t  *key;

    key = NULL;

    if (terms->alg == NGX_SF_JWT_NO_ALG) {
        reason = "is PEM, which has no algorithm: add alg=RS256, alg=ES256 or "
                 "alg=EdDSA";

    } else if (terms->alg == NGX_SF_JWT_HS256) {
        reason = "is PEM, which holds no key of HS256: that is a JWK of the "
                 "type \"oct\", or softfactory_jwt_secret";

    } else {
        reason = ngx_sf_jwt_key_pem(set->pool, text, terms->alg, &key);
    }

    if (reason == NULL) {
        reason = ngx_sf_jwt_set_add(set, key,
                                    terms->kid.len ? &terms->kid : NULL);
    }

    if (reason == NULL) {
        return NGX_OK;
    }

    ngx_snprintf(why, NGX_SF_JWT_SET_WHY, "%s%Z", reason);

    return NGX_ERROR;
}


/* why the first key was passed over is said when there is no other */

static ngx_int_t
ngx_sf_jwt_set_jwks(ngx_sf_jwt_set_t *set, const ngx_str_t *text,
    const ngx_sf_jwt_terms_t *terms, u_char *why)
{
    size_t       i;
    json_t      *root, *keys, *jwk;
    ngx_int_t    rc;
    const char  *reason;

    root = json_loadb((char *) text->data, text->len,
                      JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL, NULL);
    keys = json_object_get(root, "keys");
    rc = NGX_ERROR;

    if (root == NULL) {
        ngx_sprintf(why, "is neither PEM nor a JWK set in JSON%Z");

    } else if (!json_is_array(keys)) {
        ngx_sprintf(why, "is no JWK set: it has no array \"keys\"%Z");

    } else if (terms->kid.len) {
        ngx_sprintf(why, "is a JWK set, whose keys have a \"kid\" of their "
                    "own: kid= is for PEM%Z");

    } else {
        rc = NGX_OK;
        set->jwks = 1;
        ngx_sprintf(why, "has no keys%Z");
    }

    for (i = 0; rc != NGX_ERROR && i < json_array_size(keys); i++) {
        jwk = json_array_get(keys, i);
        reason = NULL;

        rc = ngx_sf_jwt_set_jwk(set, jwk, terms->alg, &reason);

        if (rc == NGX_ERROR || (rc == NGX_DECLINED && i == 0)) {
            ngx_snprintf(why, NGX_SF_JWT_SET_WHY, "%s: key number %uz %s%Z",
                         rc == NGX_ERROR ? "has a bad key"
                                         : "has no key to use",
                         i + 1, reason);
        }
    }

    json_decref(root);

    return rc == NGX_ERROR || set->keys->nelts == 0 ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_sf_jwt_set_jwk(ngx_sf_jwt_set_t *set, const json_t *jwk,
    ngx_sf_jwt_alg_e alg, const char **why)
{
    json_t            *value;
    ngx_int_t          rc;
    ngx_str_t          kid;
    ngx_sf_jwt_key_t  *key;

    *why = ngx_sf_jwk_foreign(jwk, &alg);
    if (*why) {
        return NGX_DECLINED;
    }

    if (alg != NGX_SF_JWT_HS256 && json_object_get(jwk, "d")) {
        *why = "is a private key: give the public one";
        return NGX_ERROR;
    }

    key = NULL;

    rc = ngx_sf_jwk_types[alg].read(set->pool, jwk, &key, why);
    if (rc != NGX_OK) {
        return rc;
    }

    value = json_object_get(jwk, "kid");

    if (value && !json_is_string(value)) {
        *why = "has a \"kid\" that is no string";
        return NGX_ERROR;
    }

    /* an empty one is one, too */

    kid.data = (u_char *) json_string_value(value);
    kid.len = json_string_length(value);

    *why = ngx_sf_jwt_set_add(set, key, value ? &kid : NULL);

    return *why ? NGX_ERROR : NGX_OK;
}


/*
 * Whether it is for somebody else; else *alg, which is what the directive says
 * or NGX_SF_JWT_NO_ALG, becomes that of the key.
 */

static const char *
ngx_sf_jwk_foreign(const json_t *jwk, ngx_sf_jwt_alg_e *alg)
{
    json_t            *name, *use;
    ngx_sf_jwt_alg_e   own;

    name = json_object_get(jwk, "alg");
    use = json_object_get(jwk, "use");

    if (use && !ngx_sf_jwk_is(jwk, "use", "sig")) {
        return "is not for signatures: its \"use\" is not \"sig\"";
    }

    if (!ngx_sf_jwk_verifies(jwk)) {
        return "is not for signatures: \"verify\" is not among its "
               "\"key_ops\"";
    }

    if (name) {
        own = json_is_string(name)
              ? ngx_sf_jwt_alg((u_char *) json_string_value(name),
                               json_string_length(name))
              : NGX_SF_JWT_NO_ALG;

        if (own == NGX_SF_JWT_NO_ALG) {
            return "has an \"alg\" that is none of " NGX_SF_JWT_ALGS;
        }

        if (*alg != NGX_SF_JWT_NO_ALG && *alg != own) {
            return "has another \"alg\" than alg= says";
        }

        *alg = own;
    }

    if (*alg == NGX_SF_JWT_NO_ALG) {
        return "has no \"alg\": alg= says it for such keys";
    }

    if (!ngx_sf_jwk_is(jwk, "kty", ngx_sf_jwk_types[*alg].kty)) {
        return "has another \"kty\" than its algorithm needs";
    }

    return NULL;
}


static ngx_uint_t
ngx_sf_jwk_verifies(const json_t *jwk)
{
    size_t         i;
    json_t        *ops;
    const char    *op;

    ops = json_object_get(jwk, "key_ops");

    for (i = 0; i < json_array_size(ops); i++) {
        op = json_string_value(json_array_get(ops, i));

        if (op && ngx_strcmp(op, "verify") == 0) {
            return 1;
        }
    }

    return ops == NULL;
}


static ngx_int_t
ngx_sf_jwk_rsa(ngx_pool_t *pool, const json_t *jwk, ngx_sf_jwt_key_t **key,
    const char **why)
{
    ngx_sf_jwt_member_t  n, e;

    if (ngx_sf_jwk_member(jwk, "n", &n) != NGX_OK
        || ngx_sf_jwk_member(jwk, "e", &e) != NGX_OK)
    {
        *why = "has no \"n\" and \"e\" in base64url, of at most 8192 bits";
        return NGX_ERROR;
    }

    *why = ngx_sf_jwt_key_rsa(pool, &n.text, &e.text, key);

    return *why ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_sf_jwk_ec(ngx_pool_t *pool, const json_t *jwk, ngx_sf_jwt_key_t **key,
    const char **why)
{
    ngx_sf_jwt_member_t  x, y;

    if (!ngx_sf_jwk_is(jwk, "crv", "P-256")) {
        *why = "is not on the curve P-256, which ES256 needs";
        return NGX_DECLINED;
    }

    if (ngx_sf_jwk_member(jwk, "x", &x) != NGX_OK
        || ngx_sf_jwk_member(jwk, "y", &y) != NGX_OK)
    {
        *why = "has no \"x\" and \"y\" in base64url";
        return NGX_ERROR;
    }

    *why = ngx_sf_jwt_key_ec(pool, &x.text, &y.text, key);

    return *why ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_sf_jwk_okp(ngx_pool_t *pool, const json_t *jwk, ngx_sf_jwt_key_t **key,
    const char **why)
{
    ngx_sf_jwt_member_t  x;

    if (!ngx_sf_jwk_is(jwk, "crv", "Ed25519")) {
        *why = "is no Ed25519 key, which EdDSA needs";
        return NGX_DECLINED;
    }

    if (ngx_sf_jwk_member(jwk, "x", &x) != NGX_OK) {
        *why = "has no \"x\" in base64url";
        return NGX_ERROR;
    }

    *why = ngx_sf_jwt_key_ed25519(pool, &x.text, key);

    return *why ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_sf_jwk_oct(ngx_pool_t *pool, const json_t *jwk, ngx_sf_jwt_key_t **key,
    const char **why)
{
    ngx_sf_jwt_member_t  k;

    if (ngx_sf_jwk_member(jwk, "k", &k) != NGX_OK) {
        *why = "has no \"k\" in base64url, of at most 1024 bytes";
        return NGX_ERROR;
    }

    if (k.text.len < NGX_SF_JWT_HMAC_MIN) {
        *why = "is a key of less than 32 bytes, too short for HS256";
        return NGX_ERROR;
    }

    *key = ngx_sf_jwt_key_create(pool, &k.text);
    *why = NGX_SF_JWT_MEMORY;

    ngx_explicit_memzero(k.data, sizeof(k.data));

    return *key ? NGX_OK : NGX_ERROR;
}


static ngx_uint_t
ngx_sf_jwk_is(const json_t *jwk, const char *name, const char *text)
{
    json_t  *value;
    size_t   len;

    value = json_object_get(jwk, name);
    len = ngx_strlen(text);

    return json_is_string(value) && json_string_length(value) == len
           && ngx_memcmp(json_string_value(value), text, len) == 0;
}


static ngx_int_t
ngx_sf_jwk_member(const json_t *jwk, const char *name,
    ngx_sf_jwt_member_t *member)
{
    json_t     *value;
    ngx_str_t   src;

    value = json_object_get(jwk, name);

    src.data = (u_char *) json_string_value(value);
    src.len = json_string_length(value);

    member->text.data = member->data;
    member->text.len = 0;

    if (src.len == 0 || src.len > NGX_SF_JWT_MEMBER
        || ngx_strlchr(src.data, src.data + src.len, '='))
    {
        return NGX_ERROR;
    }

    return ngx_decode_base64url(&member->text, &src);
}


/* kid is NULL: it has none */

static const char *
ngx_sf_jwt_set_add(ngx_sf_jwt_set_t *set, ngx_sf_jwt_key_t *key,
    const ngx_str_t *kid)
{
    ngx_uint_t          i;
    ngx_sf_jwt_key_t  **known;

    known = set->keys->elts;

    for (i = 0; kid && i < set->keys->nelts; i++) {
        if (known[i]->kid.data
            && ngx_sf_jwt_kid_cmp(&known[i]->kid, kid) == 0)
        {
            return "has the \"kid\" of another one";
        }
    }

    if (kid) {
        key->kid.len = kid->len;
        key->kid.data = ngx_pnalloc(set->pool, kid->len + 1);

        if (key->kid.data == NULL) {
            return NGX_SF_JWT_MEMORY;
        }

        ngx_memcpy(key->kid.data, kid->data, kid->len);
    }

    known = ngx_array_push(set->keys);
    if (known == NULL) {
        return NGX_SF_JWT_MEMORY;
    }

    *known = key;

    return NULL;
}


static ngx_uint_t
ngx_sf_jwt_kid_cmp(const ngx_str_t *a, const ngx_str_t *b)
{
    return a->len != b->len || ngx_memcmp(a->data, b->data, a->len) != 0;
}


const char *
ngx_sf_jwt_sets_check(ngx_sf_jwt_set_t **sets, ngx_uint_t n)
{
    ngx_uint_t   i, k;
    const char  *why;

    why = NULL;

    for (i = 0; i < n; i++) {
        for (k = i; why == NULL && k < n; k++) {
            why = ngx_sf_jwt_sets_clash(sets[i], sets[k]);
        }
    }

    return why;
}


/* of one set each pair is looked at once */

static const char *
ngx_sf_jwt_sets_clash(const ngx_sf_jwt_set_t *a, const ngx_sf_jwt_set_t *b)
{
    ngx_uint_t          i, k;
    const char         *why;
    ngx_sf_jwt_key_t  **one, **other;

    why = NULL;
    one = a->keys->elts;
    other = b->keys->elts;

    for (i = 0; i < a->keys->nelts; i++) {
        for (k = a == b ? i + 1 : 0; why == NULL && k < b->keys->nelts; k++) {
            why = ngx_sf_jwt_keys_clash(one[i], other[k]);
        }
    }

    return why;
}


static const char *
ngx_sf_jwt_keys_clash(const ngx_sf_jwt_key_t *a, const ngx_sf_jwt_key_t *b)
{
    if (a->kid.data && b->kid.data) {
        return ngx_sf_jwt_kid_cmp(&a->kid, &b->kid) == 0
               ? "two keys have the same kid, so neither could be chosen"
               : NULL;
    }

    return a->alg == b->alg
           ? "a key without a kid is not the only one of its algorithm, so "
             "it could never be chosen" : NULL;
}

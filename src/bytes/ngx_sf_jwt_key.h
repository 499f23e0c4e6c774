
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_JWT_KEY_H_INCLUDED_
#define _NGX_SF_JWT_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/types.h>


#define NGX_SF_JWT_ALGS      "RS256, ES256, EdDSA, HS256"

/* bits of an RSA key; larger ones would make each forged token expensive */

#define NGX_SF_JWT_RSA_MIN   2048
#define NGX_SF_JWT_RSA_MAX   8192

/* bytes of the largest number in a key, and of the largest signature */

#define NGX_SF_JWT_KEY_MAX   (NGX_SF_JWT_RSA_MAX / 8)

/* bytes of a key for HMAC-SHA256 that stands in a file (RFC 7518, 3.2) */

#define NGX_SF_JWT_HMAC_MIN  32

#define NGX_SF_JWT_MEMORY    "cannot be kept, memory is short"


typedef enum {
    NGX_SF_JWT_HS256 = 0,
    NGX_SF_JWT_RS256,
    NGX_SF_JWT_ES256,
    NGX_SF_JWT_EDDSA,
    NGX_SF_JWT_NO_ALG
} ngx_sf_jwt_alg_e;


/* it is of one algorithm, for good: no token has a say in that */

typedef struct {
    ngx_sf_jwt_alg_e            alg;
    ngx_str_t                   kid;      /* data is NULL: it has none */
    EVP_MAC_CTX                *mac;      /* of HS256 */
    EVP_PKEY                   *pkey;     /* of all others */
    EVP_MD_CTX                 *ctx;
} ngx_sf_jwt_key_t;


/* by the name that a header has; NGX_SF_JWT_NO_ALG: none of ours */
ngx_sf_jwt_alg_e ngx_sf_jwt_alg(const u_char *name, size_t len);

/*
 * Prepares an HMAC-SHA256 key (RFC 2104, RFC 7518 section 3.2); the context
 * is kept for the life of the pool and freed by it.  NULL when memory is
 * short or the cryptographic library refuses.
 */
ngx_sf_jwt_key_t *ngx_sf_jwt_key_create(ngx_pool_t *pool,
    const ngx_str_t *secret);

/*
 * Public keys, freed with the pool: of the only block of a PEM text, or of the
 * numbers that a JWK has, most significant byte first.  NULL, or why not, as
 * the rest of a sentence about the key.
 */
const char *ngx_sf_jwt_key_pem(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_sf_jwt_alg_e alg, ngx_sf_jwt_key_t **key);
const char *ngx_sf_jwt_key_rsa(ngx_pool_t *pool, const ngx_str_t *n,
    const ngx_str_t *e, ngx_sf_jwt_key_t **key);
const char *ngx_sf_jwt_key_ec(ngx_pool_t *pool, const ngx_str_t *x,
    const ngx_str_t *y, ngx_sf_jwt_key_t **key);
const char *ngx_sf_jwt_key_ed25519(ngx_pool_t *pool, const ngx_str_t *x,
    ngx_sf_jwt_key_t **key);

/*
 * Whether text, in base64url, is the signature of the input: NGX_OK or
 * NGX_DECLINED; NGX_ERROR: the library fails.
 */
ngx_int_t ngx_sf_jwt_key_check(const ngx_sf_jwt_key_t *key,
    const ngx_str_t *input, const ngx_str_t *text);

/* r and s of 32 bytes each as OpenSSL reads them; der has room for 72 */
size_t ngx_sf_jwt_key_der(u_char *der, const u_char *rs);


#endif /* _NGX_SF_JWT_KEY_H_INCLUDED_ */

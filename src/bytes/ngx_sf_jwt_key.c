
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Keys of tokens.  A key is of one algorithm: HS256, RS256, ES256 on P-256, or
 * EdDSA with Ed25519 (RFC 7518, RFC 8037).  What a key is good for is said by
 * whoever configured it and never by a token (RFC 8725, 3.1), so a public key
 * cannot be made the secret of an HMAC.
 *
 * A signature has one spelling: what is decoded is encoded again and must be
 * what was sent, or spare bits of the last character and padding would make
 * several tokens of one.  Of ES256 there remains a second signature, of r and
 * the negative of s, that anybody can compute.  Signers make either of the two,
 * so none can be refused; nothing here takes two texts for two logins.
 *
 * The contexts are not re-entrant, like the rest of a worker.  OpenSSL leaves
 * its errors in a queue of the process, where nginx would find them in the
 * middle of a TLS connection: it is emptied after each failure.
 */


#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "ngx_sf_jwt_key.h"


/* SHA-256, and the same in base64url without padding */

#define NGX_SF_JWT_MAC_LEN     32
#define NGX_SF_JWT_MAC64_LEN   43

/* a coordinate of P-256, two of them with the byte that says so, r and s */

#define NGX_SF_JWT_P256_LEN    32
#define NGX_SF_JWT_POINT_LEN   65
#define NGX_SF_JWT_RS_LEN      64
#define NGX_SF_JWT_DER_LEN     72

#define NGX_SF_JWT_ED25519_LEN 32
#define NGX_SF_JWT_EDDSA_LEN   64

/* whatever stands before it, and around it */

#define NGX_SF_JWT_PRIVATE     "PRIVATE KEY-----"


typedef struct {
    ngx_str_t                   name;
    const char                 *type;     /* of a public key in OpenSSL */
    const char                 *other;    /* what is said of another type */
} ngx_sf_jwt_alg_t;


static ngx_sf_jwt_key_t *ngx_sf_jwt_key_add(ngx_pool_t *pool,
    ngx_sf_jwt_alg_e alg);
static void ngx_sf_jwt_key_cleanup(void *data);
static const char *ngx_sf_jwt_key_keep(ngx_pool_t *pool,
    ngx_sf_jwt_alg_e alg, EVP_PKEY *pkey, ngx_sf_jwt_key_t **key);
static const char *ngx_sf_jwt_key_judge(ngx_sf_jwt_alg_e alg, EVP_PKEY *pkey);
static const char *ngx_sf_jwt_key_judge_rsa(EVP_PKEY *pkey);
static const char *ngx_sf_jwt_key_block(BIO *bio, EVP_PKEY **pkey);
static EVP_PKEY *ngx_sf_jwt_key_build(const char *type, OSSL_PARAM_BLD *bld);
static ngx_int_t ngx_sf_jwt_key_check_mac(const ngx_sf_jwt_key_t *key,
    const ngx_str_t *input, const ngx_str_t *text);
static ngx_int_t ngx_sf_jwt_key_decode(const ngx_str_t *text, u_char *buf,
    size_t *len);
static u_char *ngx_sf_jwt_key_der_number(u_char *p, const u_char *number);


/* by ngx_sf_jwt_alg_e; NGX_SF_JWT_ALGS lists the names */

static const ngx_sf_jwt_alg_t  ngx_sf_jwt_algs[] = {
    { ngx_string("HS256"), NULL, NULL },
    { ngx_string("RS256"), "RSA", "is no RSA key, which RS256 needs" },
    { ngx_string("ES256"), "EC",
      "is no key of an elliptic curve, which ES256 needs" },
    { ngx_string("EdDSA"), "ED25519",
      "is no Ed25519 key, which EdDSA needs" },
    { ngx_null_string, NULL, NULL }
};


ngx_sf_jwt_alg_e
ngx_sf_jwt_alg(const u_char *name, size_t len)
{
    ngx_uint_t        i;
    const ngx_str_t  *known;

    for (i = 0; i < NGX_SF_JWT_NO_ALG; i++) {
        known = &ngx_sf_jwt_algs[i].name;

        if (known->len == len && ngx_memcmp(known->data, name, len) == 0) {
            break;
        }
    }

    return i;
}


ngx_sf_jwt_key_t *
ngx_sf_jwt_key_create(ngx_pool_t *pool, const ngx_str_t *secret)
{
    int                rc;
    EVP_MAC           *mac;
    OSSL_PARAM         params[2];
    ngx_sf_jwt_key_t  *key;

    key = ngx_sf_jwt_key_add(pool, NGX_SF_JWT_HS256);
    if (key == NULL) {
        return NULL;
    }

    mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    if (mac == NULL) {
        return NULL;
    }

    /* the context holds a reference of its own */

    key->mac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);

    if (key->mac == NULL) {
        return NULL;
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    /*
     * The two hashes of the key are made here, once.  A NULL key would mean
     * the key set before, even if none was.
     */

    rc = EVP_MAC_init(key->mac, secret->len ? secret->data : (u_char *) "",
                      secret->len, params);

    return rc == 1 ? key : NULL;
}


static ngx_sf_jwt_key_t *
ngx_sf_jwt_key_add(ngx_pool_t *pool, ngx_sf_jwt_alg_e alg)
{
    ngx_sf_jwt_key_t    *key;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_sf_jwt_key_t));
    if (cln == NULL) {
        return NULL;
    }

    key = cln->data;
    ngx_memzero(key, sizeof(ngx_sf_jwt_key_t));
    key->alg = alg;

    cln->handler = ngx_sf_jwt_key_cleanup;

    return key;
}


static void
ngx_sf_jwt_key_cleanup(void *data)
{
    ngx_sf_jwt_key_t  *key = data;

    EVP_MAC_CTX_free(key->mac);
    EVP_MD_CTX_free(key->ctx);
    EVP_PKEY_free(key->pkey);
}


/* takes over pkey, which may be NULL: the library could not read it */

static const char *
ngx_sf_jwt_key_keep(ngx_pool_t *pool, ngx_sf_jwt_alg_e alg, EVP_PKEY *pkey,
    ngx_sf_jwt_key_t **key)
{
    const char  *why;

    if (pkey == NULL) {
        ERR_clear_error();
        return "is no public key that can be read";
    }

    *key = ngx_sf_jwt_key_add(pool, alg);
    if (*key == NULL) {
        EVP_PKEY_free(pkey);
        return NGX_SF_JWT_MEMORY;
    }

    (*key)->pkey = pkey;
    (*key)->ctx = EVP_MD_CTX_new();

    why = (*key)->ctx ? ngx_sf_jwt_key_judge(alg, pkey) : NGX_SF_JWT_MEMORY;

    ERR_clear_error();

    return why;
}


static const char *
ngx_sf_jwt_key_judge(ngx_sf_jwt_alg_e alg, EVP_PKEY *pkey)
{
    char    name[32];
    size_t  len;

    if (!EVP_PKEY_is_a(pkey, ngx_sf_jwt_algs[alg].type)) {
        return ngx_sf_jwt_algs[alg].other;
    }

    if (alg == NGX_SF_JWT_RS256) {
        return ngx_sf_jwt_key_judge_rsa(pkey);
    }

    if (alg == NGX_SF_JWT_ES256
        && (EVP_PKEY_get_group_name(pkey, name, sizeof(name), &len) != 1
            || ngx_strcmp(name, SN_X9_62_prime256v1) != 0))
    {
        return "is not on the curve P-256, which ES256 needs";
    }

    return NULL;
}


/* by an exponent of 1 anybody could sign */

static const char *
ngx_sf_jwt_key_judge_rsa(EVP_PKEY *pkey)
{
    int      bits;
    BIGNUM  *e;

    bits = EVP_PKEY_get_bits(pkey);

    if (bits < NGX_SF_JWT_RSA_MIN) {
        return "is an RSA key of less than 2048 bits";
    }

    if (bits > NGX_SF_JWT_RSA_MAX) {
        return "is an RSA key of more than 8192 bits";
    }

    e = NULL;

    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1) {
        return NGX_SF_JWT_MEMORY;
    }

    bits = BN_is_odd(e) && !BN_is_one(e) ? BN_num_bits(e) : 0;

    BN_free(e);

    return bits > 0 && bits <= 64 ? NULL
                                  : "is an RSA key with a bad exponent";
}


const char *
ngx_sf_jwt_key_pem(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_sf_jwt_alg_e alg, ngx_sf_jwt_key_t **key)
{
    BIO         *bio;
    EVP_PKEY    *pkey, *second;
    const char  *why;

    if (ngx_strnstr(text->data, (char *) NGX_SF_JWT_PRIVATE, text->len)) {
        return "is a private key: give the public one, as "
               "\"openssl pkey -pubout\" makes it";
    }

    bio = BIO_new_mem_buf(text->data, (int) text->len);
    if (bio == NULL) {
        return NGX_SF_JWT_MEMORY;
    }

    second = NULL;

    why = ngx_sf_jwt_key_block(bio, &pkey);

    if (why == NULL) {
        why = ngx_sf_jwt_key_keep(pool, alg, pkey, key);
    }

    /* of two keys the second would be ignored */

    if (why == NULL && ngx_sf_jwt_key_block(bio, &second) == NULL) {
        why = "has more than one key: a file of PEM has one, others are in "
              "files of their own";
    }

    EVP_PKEY_free(second);
    BIO_free(bio);
    ERR_clear_error();

    return why;
}


/* the next block of PEM; a name of RFC 7468, or the older one of RSA keys */

static const char *
ngx_sf_jwt_key_block(BIO *bio, EVP_PKEY **pkey)
{
    char           *name, *header;
    long            len;
    u_char         *data;
    const char     *why;
    const u_char   *p;

    *pkey = NULL;

    if (PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
        return "holds no key in PEM that can be read";
    }

    why = NULL;
    p = data;

    if (ngx_strcmp(name, PEM_STRING_PUBLIC) == 0) {
        *pkey = d2i_PUBKEY(NULL, &p, len);

    } else if (ngx_strcmp(name, PEM_STRING_RSA_PUBLIC) == 0) {
        *pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, len);

    } else if (ngx_strstr(name, "CERTIFICATE") != NULL) {
        why = "is a certificate: give its public key, as "
              "\"openssl x509 -pubkey -noout\" prints it";

    } else {
        why = "begins with something that is no public key";
    }

    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, len);

    return why;
}


const char *
ngx_sf_jwt_key_rsa(ngx_pool_t *pool, const ngx_str_t *n, const ngx_str_t *e,
    ngx_sf_jwt_key_t **key)
{
    BIGNUM          *bn, *be;
    EVP_PKEY        *pkey;
    OSSL_PARAM_BLD  *bld;

    pkey = NULL;

    bn = BN_bin2bn(n->data, (int) n->len, NULL);
    be = BN_bin2bn(e->data, (int) e->len, NULL);
    bld = OSSL_PARAM_BLD_new();

    if (bn && be && bld
        && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1
        && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1)
    {
        pkey = ngx_sf_jwt_key_build("RSA", bld);
    }

    OSSL_PARAM_BLD_free(bld);
    BN_free(be);
    BN_free(bn);

    return ngx_sf_jwt_key_keep(pool, NGX_SF_JWT_RS256, pkey, key);
}


/* that the point is on the curve is looked at by the library */

const char *
ngx_sf_jwt_key_ec(ngx_pool_t *pool, const ngx_str_t *x, const ngx_str_t *y,
    ngx_sf_jwt_key_t **key)
{
    u_char           point[NGX_SF_JWT_POINT_LEN], *p;
    EVP_PKEY        *pkey;
    OSSL_PARAM_BLD  *bld;

    if (x->len != NGX_SF_JWT_P256_LEN || y->len != NGX_SF_JWT_P256_LEN) {
        return "has coordinates that are not 32 bytes long";
    }

    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    p = ngx_cpymem(point + 1, x->data, NGX_SF_JWT_P256_LEN);
    ngx_memcpy(p, y->data, NGX_SF_JWT_P256_LEN);

    pkey = NULL;
    bld = OSSL_PARAM_BLD_new();

    if (bld
        && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
                                           SN_X9_62_prime256v1, 0)
           == 1
        && OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
                                            point, sizeof(point))
           == 1)
    {
        pkey = ngx_sf_jwt_key_build("EC", bld);
    }

    OSSL_PARAM_BLD_free(bld);

    return ngx_sf_jwt_key_keep(pool, NGX_SF_JWT_ES256, pkey, key);
}


const char *
ngx_sf_jwt_key_ed25519(ngx_pool_t *pool, const ngx_str_t *x,
    ngx_sf_jwt_key_t **key)
{
    EVP_PKEY  *pkey;

    if (x->len != NGX_SF_JWT_ED25519_LEN) {
        return "has a coordinate that is not 32 bytes long";
    }

    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x->data,
                                       x->len);

    return ngx_sf_jwt_key_keep(pool, NGX_SF_JWT_EDDSA, pkey, key);
}


static EVP_PKEY *
ngx_sf_jwt_key_build(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY      *pkey;
    OSSL_PARAM    *params;
    EVP_PKEY_CTX  *ctx;

    pkey = NULL;
    params = OSSL_PARAM_BLD_to_param(bld);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1) {
        (void) EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    }

    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);

    return pkey;
}


/* of a signature of the wrong length nothing is computed */

ngx_int_t
ngx_sf_jwt_key_check(const ngx_sf_jwt_key_t *key, const ngx_str_t *input,
    const ngx_str_t *text)
{
    int            rc;
    size_t         len;
    u_char         buf[NGX_SF_JWT_KEY_MAX], der[NGX_SF_JWT_DER_LEN], *sig;
    const EVP_MD  *md;

    if (key->alg == NGX_SF_JWT_HS256) {
        return ngx_sf_jwt_key_check_mac(key, input, text);
    }

    if (ngx_sf_jwt_key_decode(text, buf, &len) != NGX_OK
        || len != (key->alg == NGX_SF_JWT_ES256
                   ? NGX_SF_JWT_RS_LEN
                   : (size_t) EVP_PKEY_get_size(key->pkey)))
    {
        return NGX_DECLINED;
    }

    sig = buf;
    md = key->alg == NGX_SF_JWT_EDDSA ? NULL : EVP_sha256();

    if (key->alg == NGX_SF_JWT_ES256) {
        len = ngx_sf_jwt_key_der(der, buf);
        sig = der;
    }

    rc = EVP_MD_CTX_reset(key->ctx) == 1
         && EVP_DigestVerifyInit(key->ctx, NULL, md, NULL, key->pkey) == 1;

    if (rc) {
        rc = EVP_DigestVerify(key->ctx, sig, len, input->data, input->len);

        if (rc == 1) {
            return NGX_OK;
        }

        ERR_clear_error();

        return NGX_DECLINED;
    }

    ERR_clear_error();

    return NGX_ERROR;
}


/*
 * The code is compared as text: the one right encoding of the one right code.
 * The length of that is known, so another one is refused before anything is
 * hashed; the comparison takes the same time wherever the texts differ.
 */

static ngx_int_t
ngx_sf_jwt_key_check_mac(const ngx_sf_jwt_key_t *key, const ngx_str_t *input,
    const ngx_str_t *text)
{
    size_t     len;
    u_char     code[NGX_SF_JWT_MAC_LEN], buf[NGX_SF_JWT_MAC64_LEN + 1];
    ngx_str_t  src, dst;

    if (text->len != NGX_SF_JWT_MAC64_LEN) {
        return NGX_DECLINED;
    }

    if (EVP_MAC_init(key->mac, NULL, 0, NULL) != 1
        || EVP_MAC_update(key->mac, input->data, input->len) != 1
        || EVP_MAC_final(key->mac, code, &len, NGX_SF_JWT_MAC_LEN) != 1)
    {
        return NGX_ERROR;
    }

    src.data = code;
    src.len = len;

    dst.data = buf;

    ngx_encode_base64url(&dst, &src);

    return CRYPTO_memcmp(buf, text->data, NGX_SF_JWT_MAC64_LEN) == 0
           ? NGX_OK : NGX_DECLINED;
}


/* buf has room for NGX_SF_JWT_KEY_MAX bytes */

static ngx_int_t
ngx_sf_jwt_key_decode(const ngx_str_t *text, u_char *buf, size_t *len)
{
    u_char     again[ngx_base64_encoded_length(NGX_SF_JWT_KEY_MAX)];
    ngx_str_t  src, dst;

    if (text->len > (NGX_SF_JWT_KEY_MAX * 4 + 2) / 3) {
        return NGX_DECLINED;
    }

    src = *text;
    dst.data = buf;

    if (ngx_decode_base64url(&dst, &src) != NGX_OK) {
        return NGX_DECLINED;
    }

    *len = dst.len;

    src = dst;
    dst.data = again;

    ngx_encode_base64url(&dst, &src);

    return dst.len == text->len
           && ngx_memcmp(dst.data, text->data, text->len) == 0
           ? NGX_OK : NGX_DECLINED;
}


/* SEQUENCE { INTEGER r, INTEGER s }, as short as it can be */

size_t
ngx_sf_jwt_key_der(u_char *der, const u_char *rs)
{
    u_char  *p;

    p = ngx_sf_jwt_key_der_number(der + 2, rs);
    p = ngx_sf_jwt_key_der_number(p, rs + NGX_SF_JWT_P256_LEN);

    der[0] = V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED;
    der[1] = (u_char) (p - der - 2);

    return p - der;
}


/* a first byte of 0 says that a number with its highest bit set is positive */

static u_char *
ngx_sf_jwt_key_der_number(u_char *p, const u_char *number)
{
    size_t  len, sign;

    len = NGX_SF_JWT_P256_LEN;

    while (len > 1 && *number == 0) {
        number++;
        len--;
    }

    sign = *number >> 7;

    *p++ = V_ASN1_INTEGER;
    *p++ = (u_char) (sign + len);

    if (sign) {
        *p++ = 0;
    }

    return ngx_cpymem(p, number, len);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The first byte says what the others are: 't' a token as it is, which can
 * never be good; 's' header, NUL and payload, to be signed with the right
 * secret; 'a' a payload to be signed by a key pair; 'k' a file of keys;
 * anything else a payload to be signed under a good header.
 */


#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "ngx_sf_jwt.h"
#include "unit.h"


#define FUZZ_NOW     1000
#define FUZZ_SECRET  "secret"
#define FUZZ_LEN     16384


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static EVP_PKEY            *fuzz_pair;
static ngx_sf_jwt_rules_t   fuzz_rules;
static ngx_sf_jwt_trust_t   fuzz_trust;


static void
fuzz_require(ngx_uint_t good, const char *what)
{
    if (!good) {
        fprintf(stderr, "FAILED: %s\n", what);
        abort();
    }
}


static u_char *
fuzz_encode(u_char *p, const u_char *data, size_t len)
{
    ngx_str_t  src, dst;

    src.data = (u_char *) data;
    src.len = len;
    dst.data = p;

    ngx_encode_base64url(&dst, &src);

    return p + dst.len;
}


/* by the pair, or the secret */

static ngx_str_t
fuzz_sign(ngx_pool_t *pool, const uint8_t *header, size_t header_len,
    const uint8_t *payload, size_t payload_len, ngx_uint_t pair)
{
    u_char       sig[64], *p;
    size_t       len;
    unsigned     n;
    ngx_str_t    token;
    EVP_MD_CTX  *ctx;

    token.data = ngx_pnalloc(pool, ngx_base64_encoded_length(header_len)
                                   + ngx_base64_encoded_length(payload_len)
                                   + ngx_base64_encoded_length(64) + 2);

    p = fuzz_encode(token.data, header, header_len);
    *p++ = '.';
    p = fuzz_encode(p, payload, payload_len);

    len = sizeof(sig);

    if (pair) {
        ctx = EVP_MD_CTX_new();
        (void) EVP_DigestSignInit(ctx, NULL, NULL, NULL, fuzz_pair);
        (void) EVP_DigestSign(ctx, sig, &len, token.data, p - token.data);
        EVP_MD_CTX_free(ctx);

    } else {
        (void) HMAC(EVP_sha256(), FUZZ_SECRET, strlen(FUZZ_SECRET),
                    token.data, p - token.data, sig, &n);
        len = n;
    }

    *p++ = '.';
    p = fuzz_encode(p, sig, len);

    token.len = p - token.data;

    return token;
}


static const char *
fuzz_whole(ngx_pool_t *pool, const ngx_str_t *token,
    ngx_sf_jwt_claims_t *claims)
{
    const char    *reason;
    ngx_sf_jwt_t   jwt;

    reason = ngx_sf_jwt_read(pool, token, &fuzz_rules, FUZZ_NOW, &jwt);

    if (reason == NULL) {
        reason = ngx_sf_jwt_verify(&jwt, &fuzz_trust);
        *claims = jwt.claims;
    }

    return reason;
}


/* what a good token must be, whatever the parser thought */

static void
fuzz_check_good(const uint8_t *payload, size_t len,
    const ngx_sf_jwt_claims_t *claims)
{
    json_t      *root;
    const char  *type;

    fuzz_require(claims->exp > FUZZ_NOW, "not expired");
    fuzz_require(claims->not_before <= FUZZ_NOW, "valid already");
    fuzz_require(claims->user == NGX_SF_JWT_USER_NONE || claims->user_id > 0,
                 "an id that can be");

    root = json_loadb((const char *) payload, len,
                      JSON_ALLOW_NUL|JSON_DECODE_INT_AS_REAL, NULL);
    type = json_string_value(json_object_get(root, "type"));

    fuzz_require(type != NULL && strcmp(type, "access") == 0, "access");
    fuzz_require(json_object_get(root, "user_id") != NULL, "user_id");

    json_decref(root);
}


static void
fuzz_verify(ngx_pool_t *pool, const uint8_t *header, size_t header_len,
    const uint8_t *payload, size_t payload_len, ngx_uint_t pair)
{
    ngx_str_t             token;
    const char           *reason;
    ngx_sf_jwt_claims_t   claims;

    token = fuzz_sign(pool, header, header_len, payload, payload_len, pair);

    reason = fuzz_whole(pool, &token, &claims);

    fuzz_require(reason == NULL || strcmp(reason, "wrong signature") != 0,
                 "the signature is right");

    if (reason != NULL) {
        return;
    }

    fuzz_check_good(payload, payload_len, &claims);
    fuzz_require(!pair || !claims.endless, "a pair signs for a time");

    token.data[payload_len % token.len] ^= 1;

    reason = fuzz_whole(pool, &token, &claims);
    fuzz_require(reason != NULL, "one bit makes it bad");
}


/* a file of keys is none, or has some */

static void
fuzz_read(ngx_sf_jwt_set_t *set, const u_char *data, size_t size,
    ngx_sf_jwt_alg_e alg)
{
    u_char              why[NGX_SF_JWT_SET_WHY];
    ngx_int_t           rc;
    ngx_str_t           text;
    ngx_sf_jwt_terms_t  terms;

    text.data = (u_char *) data;
    text.len = size;

    terms.alg = alg;
    ngx_str_null(&terms.kid);

    why[0] = '\0';
    rc = ngx_sf_jwt_set_read(set, &text, &terms, &unit_log, why);

    fuzz_require(rc == NGX_OK ? set->keys->nelts > 0 : why[0] != '\0',
                 "keys, or why not");
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    BIO               *bio;
    long               len;
    char              *pem;
    ngx_sf_jwt_key_t **key;
    ngx_sf_jwt_set_t **place;

    static ngx_sf_jwt_set_t  set;

    ngx_str_t  secret = ngx_string(FUZZ_SECRET);

    unit_init();

    ngx_str_set(&fuzz_trust.user, "user_id");
    fuzz_trust.secrets = ngx_array_create(unit_pool, 1,
                                          sizeof(ngx_sf_jwt_key_t *));
    key = ngx_array_push(fuzz_trust.secrets);
    *key = ngx_sf_jwt_key_create(unit_pool, &secret);
    fuzz_require(*key != NULL, "a key");

    fuzz_pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    bio = BIO_new(BIO_s_mem());
    (void) PEM_write_bio_PUBKEY(bio, fuzz_pair);
    len = BIO_get_mem_data(bio, &pem);
    fuzz_read(&set, (u_char *) pem, len, NGX_SF_JWT_EDDSA);
    BIO_free(bio);

    fuzz_trust.sets = ngx_array_create(unit_pool, 1,
                                       sizeof(ngx_sf_jwt_set_t *));
    place = ngx_array_push(fuzz_trust.sets);
    *place = &set;
    fuzz_require(set.keys != NULL, "a pair");

    fuzz_rules.trust = &fuzz_trust;

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t               kind;
    ngx_str_t             token;
    ngx_pool_t           *pool;
    const char           *reason;
    const uint8_t        *payload;
    ngx_sf_jwt_claims_t   claims;
    ngx_sf_jwt_set_t      set;
    static const char     header[] = "{\"alg\":\"HS256\"}";
    static const char     pair[] = "{\"alg\":\"EdDSA\"}";

    if (size == 0 || size > FUZZ_LEN) {
        return 0;
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, &unit_log);

    kind = *data++;
    size--;

    if (kind == 't') {
        token.len = size;
        token.data = ngx_pnalloc(pool, size);
        ngx_memcpy(token.data, data, size);

        reason = fuzz_whole(pool, &token, &claims);
        fuzz_require(reason != NULL, "nobody guesses a signature");

    } else if (kind == 's') {
        payload = memchr(data, '\0', size);

        if (payload != NULL) {
            fuzz_verify(pool, data, payload - data, payload + 1,
                        size - (payload + 1 - data), 0);
        }

    } else if (kind == 'a') {
        fuzz_verify(pool, (const uint8_t *) pair, sizeof(pair) - 1, data,
                    size, 1);

    } else if (kind == 'k') {
        ngx_memzero(&set, sizeof(ngx_sf_jwt_set_t));
        fuzz_read(&set, data, size, size % (NGX_SF_JWT_NO_ALG + 1));
        ngx_sf_jwt_set_clear(&set);

    } else {
        fuzz_verify(pool, (const uint8_t *) header, sizeof(header) - 1, data,
                    size, 0);
    }

    ngx_destroy_pool(pool);

    return 0;
}

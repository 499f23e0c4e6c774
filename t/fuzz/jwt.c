
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The first byte says what the others are: 't' a token as it is, which can
 * never be good; 's' header, NUL and payload, to be signed with the right key;
 * anything else a payload to be signed under a good header.
 */


#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ngx_sf_jwt.h"
#include "unit.h"


#define FUZZ_NOW     1000
#define FUZZ_SECRET  "secret"
#define FUZZ_LEN     16384


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static ngx_sf_jwt_key_t  *fuzz_key;

static const ngx_sf_jwt_rules_t  fuzz_rules;


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


static ngx_str_t
fuzz_sign(ngx_pool_t *pool, const uint8_t *header, size_t header_len,
    const uint8_t *payload, size_t payload_len)
{
    u_char      mac[32], *p;
    unsigned    len;
    ngx_str_t   token;

    token.data = ngx_pnalloc(pool, ngx_base64_encoded_length(header_len)
                                   + ngx_base64_encoded_length(payload_len)
                                   + ngx_base64_encoded_length(32) + 2);

    p = fuzz_encode(token.data, header, header_len);
    *p++ = '.';
    p = fuzz_encode(p, payload, payload_len);

    (void) HMAC(EVP_sha256(), FUZZ_SECRET, strlen(FUZZ_SECRET), token.data,
                p - token.data, mac, &len);

    *p++ = '.';
    p = fuzz_encode(p, mac, len);

    token.len = p - token.data;

    return token;
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
    const uint8_t *payload, size_t payload_len)
{
    ngx_str_t             token;
    const char           *reason;
    ngx_sf_jwt_claims_t   claims;

    token = fuzz_sign(pool, header, header_len, payload, payload_len);

    reason = ngx_sf_jwt_verify(pool, &token, &fuzz_key, 1, &fuzz_rules,
                               FUZZ_NOW, &claims);

    fuzz_require(reason == NULL || strcmp(reason, "wrong signature") != 0,
                 "the signature is right");

    if (reason != NULL) {
        return;
    }

    fuzz_check_good(payload, payload_len, &claims);

    token.data[payload_len % token.len] ^= 1;

    reason = ngx_sf_jwt_verify(pool, &token, &fuzz_key, 1, &fuzz_rules,
                               FUZZ_NOW, &claims);
    fuzz_require(reason != NULL, "one bit makes it bad");
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    ngx_str_t  secret = ngx_string(FUZZ_SECRET);

    unit_init();

    fuzz_key = ngx_sf_jwt_key_create(unit_pool, &secret);
    fuzz_require(fuzz_key != NULL, "a key");

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
    static const char     header[] = "{\"alg\":\"HS256\"}";

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

        reason = ngx_sf_jwt_verify(pool, &token, &fuzz_key, 1, &fuzz_rules,
                                   FUZZ_NOW, &claims);
        fuzz_require(reason != NULL, "nobody guesses a signature");

    } else if (kind == 's') {
        payload = memchr(data, '\0', size);

        if (payload != NULL) {
            fuzz_verify(pool, data, payload - data, payload + 1,
                        size - (payload + 1 - data));
        }

    } else {
        fuzz_verify(pool, (const uint8_t *) header, sizeof(header) - 1, data,
                    size);
    }

    ngx_destroy_pool(pool);

    return 0;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Access tokens: compact JWS (RFC 7515), HMAC-SHA256 and nothing else, with
 * the claims read the way PyJWT and the Python API behind it read them.  All
 * bytes here are hostile until the signature has been found right, and the
 * order is chosen accordingly: the three segments, the header, the signature,
 * and only then the payload.  Of the header alg has a say; crit names what
 * must be understood, and nothing is (RFC 7515, 4.1.11); a kid is a string
 * (4.1.4) that nothing is looked up by.
 * ngx_sf_token.c calls this and keeps what it returns; nothing here knows a
 * request, a header line or a user's row.
 *
 * The signature is compared as text: the one right encoding of the one right
 * code.  Decoding what was sent would let several spellings of a token pass
 * (spare bits of the last character, padding), and a token is revoked by its
 * spelling.
 *
 * A key is a keyed EVP_MAC context that is reset for each token, so that the
 * two hashes of the key are made once.  It is not re-entrant, like the rest
 * of a worker.
 */


#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "ngx_sf_jwt.h"
#include "ngx_sf_number.h"


/* SHA-256, and the same in base64url without padding */

#define NGX_SF_JWT_MAC_LEN     32
#define NGX_SF_JWT_MAC64_LEN   43

/* doubles from here on, and those below its negative, are no int64 */

#define NGX_SF_JWT_INT64_END   9223372036854775808.0

/* integers from here on may be the double of a neighbour */

#define NGX_SF_JWT_EXACT       9007199254740992.0

/* NUL is a character like others: strings are compared with their length */

#define NGX_SF_JWT_JSON        JSON_ALLOW_NUL


struct ngx_sf_jwt_key_s {
    EVP_MAC_CTX    *ctx;
};


typedef struct {
    ngx_str_t       header;
    ngx_str_t       payload;
    ngx_str_t       mac;
    ngx_str_t       input;      /* header and payload, what is signed */
} ngx_sf_jwt_parts_t;


static void ngx_sf_jwt_key_cleanup(void *data);
static ngx_int_t ngx_sf_jwt_split(const ngx_str_t *token,
    ngx_sf_jwt_parts_t *parts);
static const char *ngx_sf_jwt_check_header(ngx_pool_t *temp,
    ngx_str_t *header);
static ngx_int_t ngx_sf_jwt_check_mac(ngx_sf_jwt_parts_t *parts,
    ngx_sf_jwt_key_t *key);
static json_t *ngx_sf_jwt_decode(ngx_pool_t *temp, ngx_str_t *segment);
static ngx_uint_t ngx_sf_jwt_is_string(const json_t *value, const char *text);
static const char *ngx_sf_jwt_read_claims(const json_t *payload,
    ngx_sf_jwt_claims_t *claims);
static const char *ngx_sf_jwt_read_times(const json_t *payload,
    ngx_sf_jwt_claims_t *claims);
static const char *ngx_sf_jwt_read_user(const json_t *payload,
    ngx_sf_jwt_claims_t *claims);
static ngx_int_t ngx_sf_jwt_read_id(const json_t *value, int64_t *id);
static ngx_int_t ngx_sf_jwt_read_int(const json_t *value, int64_t *n);
static int64_t ngx_sf_jwt_truncate(double value);


ngx_sf_jwt_key_t *
ngx_sf_jwt_key_create(ngx_pool_t *pool, const ngx_str_t *secret)
{
    int                  rc;
    EVP_MAC             *mac;
    OSSL_PARAM           params[2];
    ngx_sf_jwt_key_t    *key;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_sf_jwt_key_t));
    if (cln == NULL) {
        return NULL;
    }

    key = cln->data;
    key->ctx = NULL;

    cln->handler = ngx_sf_jwt_key_cleanup;

    mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    if (mac == NULL) {
        return NULL;
    }

    /* the context holds a reference of its own */

    key->ctx = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);

    if (key->ctx == NULL) {
        return NULL;
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    /* a NULL key would mean the key set before, even if none was */

    rc = EVP_MAC_init(key->ctx, secret->len ? secret->data : (u_char *) "",
                      secret->len, params);

    return rc == 1 ? key : NULL;
}


static void
ngx_sf_jwt_key_cleanup(void *data)
{
    ngx_sf_jwt_key_t  *key = data;

    EVP_MAC_CTX_free(key->ctx);
}


/*
 * The order of the checks is the order of their cost and of what they expose:
 * nothing of the payload is decoded before a key has signed it.  A HMAC that
 * fails is an error of the library, not of the token, and ends the search for a
 * key.
 */

const char *
ngx_sf_jwt_verify(ngx_pool_t *temp, const ngx_str_t *token,
    ngx_sf_jwt_key_t **keys, ngx_uint_t nkeys,
    const ngx_sf_jwt_rules_t *rules, int64_t now,
    ngx_sf_jwt_claims_t *claims)
{
    json_t              *payload;
    ngx_int_t            rc;
    ngx_uint_t           i;
    const char          *reason;
    ngx_sf_jwt_parts_t   parts;

    if (ngx_sf_jwt_split(token, &parts) != NGX_OK) {
        return "not three segments";
    }

    reason = ngx_sf_jwt_check_header(temp, &parts.header);
    if (reason != NULL) {
        return reason;
    }

    rc = NGX_DECLINED;

    for (i = 0; i < nkeys && rc == NGX_DECLINED; i++) {
        rc = ngx_sf_jwt_check_mac(&parts, keys[i]);
    }

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? "wrong signature" : "HMAC failed";
    }

    payload = ngx_sf_jwt_decode(temp, &parts.payload);

    if (!json_is_object(payload)) {
        json_decref(payload);
        return "payload is no JSON object";
    }

    reason = ngx_sf_jwt_read_claims(payload, claims);

    json_decref(payload);

    if (reason != NULL) {
        return reason;
    }

    return ngx_sf_jwt_check(claims, rules, now);
}


/*
 * Exp is exclusive: a token that ends at 10:00:00 is expired at 10:00:00 (RFC
 * 7519, 4.1.4), as PyJWT has it.  The leeway moves both ends outwards.
 */

const char *
ngx_sf_jwt_check(const ngx_sf_jwt_claims_t *claims,
    const ngx_sf_jwt_rules_t *rules, int64_t now)
{
    if (rules->exp && claims->endless) {
        return "no exp";
    }

    if (claims->exp <= now - rules->leeway) {
        return "expired";
    }

    if (claims->not_before > now + rules->leeway) {
        return "not valid yet";
    }

    return NULL;
}


/* Exactly two dots, nothing else is looked at: a segment may be empty here. */

static ngx_int_t
ngx_sf_jwt_split(const ngx_str_t *token, ngx_sf_jwt_parts_t *parts)
{
    u_char  *last, *dot1, *dot2;

    last = token->data + token->len;

    dot1 = ngx_strlchr(token->data, last, '.');
    if (dot1 == NULL) {
        return NGX_DECLINED;
    }

    dot2 = ngx_strlchr(dot1 + 1, last, '.');
    if (dot2 == NULL || ngx_strlchr(dot2 + 1, last, '.') != NULL) {
        return NGX_DECLINED;
    }

    parts->header.data = token->data;
    parts->header.len = dot1 - token->data;

    parts->payload.data = dot1 + 1;
    parts->payload.len = dot2 - (dot1 + 1);

    parts->mac.data = dot2 + 1;
    parts->mac.len = last - (dot2 + 1);

    parts->input.data = token->data;
    parts->input.len = dot2 - token->data;

    return NGX_OK;
}


/*
 * A key is of one algorithm, so alg is compared with a constant.  A list of
 * those that are allowed, or "none", is how verifiers are tricked (RFC 8725,
 * 3.1).
 */

static const char *
ngx_sf_jwt_check_header(ngx_pool_t *temp, ngx_str_t *header)
{
    json_t      *root, *kid;
    const char  *reason;

    root = ngx_sf_jwt_decode(temp, header);

    if (!json_is_object(root)) {
        json_decref(root);
        return "header is no JSON object";
    }

    reason = NULL;
    kid = json_object_get(root, "kid");

    if (!ngx_sf_jwt_is_string(json_object_get(root, "alg"), "HS256")) {
        reason = "algorithm is not HS256";

    } else if (json_object_get(root, "crit")) {
        reason = "asks for extensions by crit";

    } else if (kid && !json_is_string(kid)) {
        reason = "kid is no string";
    }

    json_decref(root);

    return reason;
}


/*
 * The length of a right signature is known, so another one is refused before
 * anything is hashed.  The comparison takes the same time wherever the texts
 * differ.
 */

static ngx_int_t
ngx_sf_jwt_check_mac(ngx_sf_jwt_parts_t *parts, ngx_sf_jwt_key_t *key)
{
    size_t     len;
    u_char     code[NGX_SF_JWT_MAC_LEN], text[NGX_SF_JWT_MAC64_LEN + 1];
    ngx_str_t  src, dst;

    if (parts->mac.len != NGX_SF_JWT_MAC64_LEN) {
        return NGX_DECLINED;
    }

    if (EVP_MAC_init(key->ctx, NULL, 0, NULL) != 1
        || EVP_MAC_update(key->ctx, parts->input.data, parts->input.len) != 1
        || EVP_MAC_final(key->ctx, code, &len, NGX_SF_JWT_MAC_LEN) != 1)
    {
        return NGX_ERROR;
    }

    src.data = code;
    src.len = len;

    dst.data = text;

    ngx_encode_base64url(&dst, &src);

    return CRYPTO_memcmp(text, parts->mac.data, NGX_SF_JWT_MAC64_LEN) == 0
           ? NGX_OK : NGX_DECLINED;
}


/*
 * NULL: no base64url of JSON, or no memory.  Integers are exact; jansson
 * refuses a text with one beyond int64, which is then read as doubles.
 */

static json_t *
ngx_sf_jwt_decode(ngx_pool_t *temp, ngx_str_t *segment)
{
    json_t        *root;
    ngx_str_t      text;
    json_error_t   error;

    /* nginx stops at padding and ignores what follows; here none is allowed */

    if (ngx_strlchr(segment->data, segment->data + segment->len, '=')) {
        return NULL;
    }

    text.data = ngx_pnalloc(temp, ngx_base64_decoded_length(segment->len));
    if (text.data == NULL) {
        return NULL;
    }

    if (ngx_decode_base64url(&text, segment) != NGX_OK) {
        return NULL;
    }

    root = json_loadb((char *) text.data, text.len, NGX_SF_JWT_JSON, &error);

    if (root == NULL && json_error_code(&error) == json_error_numeric_overflow)
    {
        root = json_loadb((char *) text.data, text.len,
                          NGX_SF_JWT_JSON|JSON_DECODE_INT_AS_REAL, NULL);
    }

    return root;
}


static ngx_uint_t
ngx_sf_jwt_is_string(const json_t *value, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return json_is_string(value)
           && json_string_length(value) == len
           && ngx_memcmp(json_string_value(value), text, len) == 0;
}


/*
 * Refresh tokens are signed with the same key: "type" is what tells them from
 * access tokens.  A token for an audience is for somebody else, as we have no
 * name that it could contain (RFC 7519, 4.1.3).
 */

static const char *
ngx_sf_jwt_read_claims(const json_t *payload, ngx_sf_jwt_claims_t *claims)
{
    json_t      *aud;
    const char  *reason;

    if (!ngx_sf_jwt_is_string(json_object_get(payload, "type"), "access")) {
        return "no access token";
    }

    aud = json_object_get(payload, "aud");

    if (aud != NULL && !json_is_null(aud)) {
        return "made for an audience";
    }

    reason = ngx_sf_jwt_read_times(payload, claims);
    if (reason != NULL) {
        return reason;
    }

    return ngx_sf_jwt_read_user(payload, claims);
}


/*
 * PyJWT takes iat for a second nbf: a token from the future is not valid yet.
 * So the later of the two is kept.
 */

static const char *
ngx_sf_jwt_read_times(const json_t *payload, ngx_sf_jwt_claims_t *claims)
{
    int64_t   n;
    json_t   *exp, *nbf, *iat;

    exp = json_object_get(payload, "exp");
    nbf = json_object_get(payload, "nbf");
    iat = json_object_get(payload, "iat");

    claims->exp = INT64_MAX;
    claims->not_before = 0;
    claims->endless = exp == NULL;

    if (exp != NULL && ngx_sf_jwt_read_int(exp, &claims->exp) != NGX_OK) {
        return "exp is no number";
    }

    if (nbf != NULL) {
        if (ngx_sf_jwt_read_int(nbf, &n) != NGX_OK) {
            return "nbf is no number";
        }

        claims->not_before = ngx_max(claims->not_before, n);
    }

    if (iat != NULL) {
        if (ngx_sf_jwt_read_int(iat, &n) != NGX_OK) {
            return "iat is no number";
        }

        claims->not_before = ngx_max(claims->not_before, n);
    }

    return NULL;
}


/*
 * A token whose user is null, or an id that no row can have, is a good token of
 * nobody: ngx_sf_auth.c refuses it as one of an unknown user.
 */

static const char *
ngx_sf_jwt_read_user(const json_t *payload, ngx_sf_jwt_claims_t *claims)
{
    int64_t   id;
    json_t   *user;

    user = json_object_get(payload, "user_id");

    claims->user = NGX_SF_JWT_USER_NONE;
    claims->user_id = 0;

    if (json_is_null(user)) {
        return NULL;
    }

    if (ngx_sf_jwt_read_id(user, &id) != NGX_OK) {
        return "user_id is no number";
    }

    if (id > 0) {
        claims->user = NGX_SF_JWT_USER_ID;
        claims->user_id = id;
    }

    return NULL;
}


/*
 * A number, or one as text.  Python and PostgreSQL must read the same id: of a
 * text int() of Python takes "1_0" and the digits of all scripts, where
 * PostgreSQL takes neither.  *id is below 1 when no row can have it, as for a
 * text that is INT64_MAX or beyond.
 */

static ngx_int_t
ngx_sf_jwt_read_id(const json_t *value, int64_t *id)
{
    double      real;
    size_t      i;
    ngx_str_t   text;

    *id = 0;

    if (json_is_integer(value)) {
        *id = json_integer_value(value);
        return NGX_OK;
    }

    if (json_is_real(value)) {
        real = json_real_value(value);

        if (real >= 1 && real < NGX_SF_JWT_EXACT
            && real == (double) (int64_t) real)
        {
            *id = (int64_t) real;
        }

        return NGX_OK;
    }

    text.data = (u_char *) json_string_value(value);
    text.len = json_string_length(value);

    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '_' || text.data[i] >= 0x80) {
            return NGX_DECLINED;
        }
    }

    if (ngx_sf_number_parse_int(&text, id) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (*id == INT64_MAX) {
        *id = 0;
    }

    return NGX_OK;
}


/* as Python's int(): numbers are truncated, booleans count, null does not */

static ngx_int_t
ngx_sf_jwt_read_int(const json_t *value, int64_t *n)
{
    ngx_str_t  text;

    if (json_is_integer(value)) {
        *n = json_integer_value(value);
        return NGX_OK;
    }

    if (json_is_real(value)) {
        *n = ngx_sf_jwt_truncate(json_real_value(value));
        return NGX_OK;
    }

    if (json_is_boolean(value)) {
        *n = json_is_true(value);
        return NGX_OK;
    }

    if (!json_is_string(value)) {
        return NGX_DECLINED;
    }

    text.data = (u_char *) json_string_value(value);
    text.len = json_string_length(value);

    return ngx_sf_number_parse_int(&text, n);
}


/*
 * A cast of a double that no int64 can hold is undefined in C; NaN does not
 * come from JSON.
 */

static int64_t
ngx_sf_jwt_truncate(double value)
{
    if (value >= NGX_SF_JWT_INT64_END) {
        return INT64_MAX;
    }

    if (value < -NGX_SF_JWT_INT64_END) {
        return INT64_MIN;
    }

    return (int64_t) value;
}

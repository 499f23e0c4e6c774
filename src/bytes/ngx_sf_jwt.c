
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Access tokens: compact JWS (RFC 7515), with the claims read the way PyJWT and
 * the Python API behind it read them.  All bytes here are hostile until the
 * signature has been found right, and that comes last, since it may cost more
 * than all else of a request: by then the three segments are there, the header
 * names an algorithm and a key that are one, and the claims are those of a
 * token that would be good now, and here.  What is read before is two texts of
 * JSON, each shorter than a request's header, and nothing is done by it.
 *
 * Which key it is, is not for a token to say (RFC 8725, 3.1): alg must be that
 * of the key, which has one only.  A kid names one key of the files; without
 * one there must be just one key of that algorithm.  Secrets of the
 * configuration have no names, and each of them is tried, as they are cheap.
 * crit names what must be understood, and nothing is (RFC 7515, 4.1.11).
 *
 * ngx_sf_token.c calls this and keeps what it returns; nothing here knows a
 * request, a header line or a user's row.
 */


#include <jansson.h>

#include "ngx_sf_jwt.h"
#include "ngx_sf_number.h"


/* doubles from here on, and those below its negative, are no int64 */

#define NGX_SF_JWT_INT64_END   9223372036854775808.0

/* integers from here on may be the double of a neighbour */

#define NGX_SF_JWT_EXACT       9007199254740992.0

/* NUL is a character like others: strings are compared with their length */

#define NGX_SF_JWT_JSON        JSON_ALLOW_NUL


static ngx_int_t ngx_sf_jwt_split(const ngx_str_t *token, ngx_str_t *header,
    ngx_str_t *payload, ngx_sf_jwt_t *jwt);
static const char *ngx_sf_jwt_read_header(const json_t *header,
    const ngx_sf_jwt_trust_t *trust, ngx_sf_jwt_t *jwt);
static const char *ngx_sf_jwt_choose(const ngx_sf_jwt_trust_t *trust,
    ngx_sf_jwt_alg_e alg, const json_t *kid, ngx_sf_jwt_t *jwt);
static ngx_uint_t ngx_sf_jwt_find(const ngx_sf_jwt_trust_t *trust,
    ngx_sf_jwt_alg_e alg, const json_t *kid, const ngx_sf_jwt_key_t **found);
static ngx_uint_t ngx_sf_jwt_trusted(const ngx_sf_jwt_trust_t *trust,
    const ngx_sf_jwt_set_t *set);
static json_t *ngx_sf_jwt_decode(ngx_pool_t *temp, ngx_str_t *segment);
static ngx_uint_t ngx_sf_jwt_is_string(const json_t *value, const char *text);
static ngx_uint_t ngx_sf_jwt_is(const json_t *value, const ngx_str_t *text);
static const char *ngx_sf_jwt_read_claims(const json_t *payload,
    const ngx_sf_jwt_trust_t *trust, ngx_sf_jwt_claims_t *claims);
static const char *ngx_sf_jwt_read_audience(const json_t *aud,
    const ngx_array_t *audiences);
static ngx_uint_t ngx_sf_jwt_among(const json_t *value,
    const ngx_array_t *texts);
static const char *ngx_sf_jwt_read_times(const json_t *payload,
    ngx_sf_jwt_claims_t *claims);
static const char *ngx_sf_jwt_read_user(const json_t *user,
    ngx_sf_jwt_claims_t *claims);
static ngx_int_t ngx_sf_jwt_read_id(const json_t *value, int64_t *id);
static ngx_int_t ngx_sf_jwt_read_int(const json_t *value, int64_t *n);
static int64_t ngx_sf_jwt_truncate(double value);


const char *
ngx_sf_jwt_read(ngx_pool_t *temp, const ngx_str_t *token,
    const ngx_sf_jwt_rules_t *rules, int64_t now, ngx_sf_jwt_t *jwt)
{
    json_t      *header, *payload;
    ngx_str_t    first, second;
    const char  *reason;

    if (ngx_sf_jwt_split(token, &first, &second, jwt) != NGX_OK) {
        return "not three segments";
    }

    header = ngx_sf_jwt_decode(temp, &first);

    reason = json_is_object(header)
             ? ngx_sf_jwt_read_header(header, rules->trust, jwt)
             : "header is no JSON object";

    json_decref(header);

    if (reason != NULL) {
        return reason;
    }

    payload = ngx_sf_jwt_decode(temp, &second);

    reason = json_is_object(payload)
             ? ngx_sf_jwt_read_claims(payload, rules->trust, &jwt->claims)
             : "payload is no JSON object";

    json_decref(payload);

    if (reason != NULL) {
        return reason;
    }

    /* a key that others have, too, is one that signs for a time only */

    if (ngx_sf_jwt_costly(jwt) && jwt->claims.endless) {
        return "no exp";
    }

    return ngx_sf_jwt_check(&jwt->claims, rules, now);
}


/* a failure of the library is none of the token, and ends the search */

const char *
ngx_sf_jwt_verify(const ngx_sf_jwt_t *jwt, const ngx_sf_jwt_trust_t *trust)
{
    ngx_int_t           rc;
    ngx_uint_t          i;
    ngx_sf_jwt_key_t  **secret;

    rc = NGX_DECLINED;

    if (jwt->key) {
        rc = ngx_sf_jwt_key_check(jwt->key, &jwt->input, &jwt->signature);
    }

    if (jwt->secrets) {
        secret = trust->secrets->elts;

        for (i = 0; i < trust->secrets->nelts && rc == NGX_DECLINED; i++) {
            rc = ngx_sf_jwt_key_check(secret[i], &jwt->input,
                                      &jwt->signature);
        }
    }

    if (rc == NGX_OK) {
        return NULL;
    }

    return rc == NGX_DECLINED ? "wrong signature" : "OpenSSL failed";
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
ngx_sf_jwt_split(const ngx_str_t *token, ngx_str_t *header,
    ngx_str_t *payload, ngx_sf_jwt_t *jwt)
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

    header->data = token->data;
    header->len = dot1 - token->data;

    payload->data = dot1 + 1;
    payload->len = dot2 - (dot1 + 1);

    jwt->signature.data = dot2 + 1;
    jwt->signature.len = last - (dot2 + 1);

    jwt->input.data = token->data;
    jwt->input.len = dot2 - token->data;

    return NGX_OK;
}


static const char *
ngx_sf_jwt_read_header(const json_t *header, const ngx_sf_jwt_trust_t *trust,
    ngx_sf_jwt_t *jwt)
{
    json_t            *alg, *kid;
    ngx_sf_jwt_alg_e   known;

    alg = json_object_get(header, "alg");
    kid = json_object_get(header, "kid");

    known = json_is_string(alg)
            ? ngx_sf_jwt_alg((u_char *) json_string_value(alg),
                             json_string_length(alg))
            : NGX_SF_JWT_NO_ALG;

    if (known == NGX_SF_JWT_NO_ALG) {
        return "algorithm is none of " NGX_SF_JWT_ALGS;
    }

    if (json_object_get(header, "crit")) {
        return "asks for extensions by crit";
    }

    if (kid && !json_is_string(kid)) {
        return "kid is no string";
    }

    return ngx_sf_jwt_choose(trust, known, kid, jwt);
}


/*
 * A kid that names a key leaves no choice.  One that names none of a file may
 * be of an issuer that signs by a secret of ours.
 */

static const char *
ngx_sf_jwt_choose(const ngx_sf_jwt_trust_t *trust, ngx_sf_jwt_alg_e alg,
    const json_t *kid, ngx_sf_jwt_t *jwt)
{
    ngx_uint_t  n;

    jwt->key = NULL;
    n = ngx_sf_jwt_find(trust, alg, kid, &jwt->key);

    jwt->secrets = trust->secrets && alg == NGX_SF_JWT_HS256
                   && (kid == NULL || n == 0);

    if (n == 1 && jwt->key->alg != alg) {
        return "its key is of another algorithm";
    }

    if (n > 1) {
        jwt->key = NULL;
    }

    if (jwt->key || jwt->secrets) {
        return NULL;
    }

    if (n > 1) {
        return kid ? "several keys have its kid"
                   : "several keys have its algorithm, and it has no kid";
    }

    return kid ? "no key has its kid" : "no key has its algorithm";
}


/* how many keys it may mean, and the last of them */

static ngx_uint_t
ngx_sf_jwt_find(const ngx_sf_jwt_trust_t *trust, ngx_sf_jwt_alg_e alg,
    const json_t *kid, const ngx_sf_jwt_key_t **found)
{
    ngx_uint_t          i, k, n;
    ngx_sf_jwt_set_t  **set;
    ngx_sf_jwt_key_t  **key;

    if (trust->sets == NULL) {
        return 0;
    }

    n = 0;
    set = trust->sets->elts;

    for (i = 0; i < trust->sets->nelts; i++) {

        if (!ngx_sf_jwt_trusted(trust, set[i])) {
            continue;
        }

        key = set[i]->keys->elts;

        for (k = 0; k < set[i]->keys->nelts; k++) {

            if (kid ? key[k]->kid.data && ngx_sf_jwt_is(kid, &key[k]->kid)
                    : key[k]->alg == alg)
            {
                *found = key[k];
                n++;
            }
        }
    }

    return n;
}


/*
 * An issuer that publishes its keys signs for others as well, so a token by
 * one of them must say who made it and for whom.  The configuration of a
 * location that lacks this is refused; $softfactory_user is known elsewhere.
 */

static ngx_uint_t
ngx_sf_jwt_trusted(const ngx_sf_jwt_trust_t *trust,
    const ngx_sf_jwt_set_t *set)
{
    return !set->jwks || (trust->issuer.len && trust->audiences);
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


static ngx_uint_t
ngx_sf_jwt_is(const json_t *value, const ngx_str_t *text)
{
    return json_is_string(value)
           && json_string_length(value) == text->len
           && ngx_memcmp(json_string_value(value), text->data, text->len)
              == 0;
}


/*
 * Refresh tokens of the application are signed with the same key: "type" is
 * what tells them from access tokens.  Other issuers have no such claim; what
 * they tell by is the audience.
 */

static const char *
ngx_sf_jwt_read_claims(const json_t *payload, const ngx_sf_jwt_trust_t *trust,
    ngx_sf_jwt_claims_t *claims)
{
    json_t      *type;
    const char  *reason;

    type = json_object_get(payload, "type");

    if (!(type == NULL && trust->audiences)
        && !ngx_sf_jwt_is_string(type, "access"))
    {
        return "no access token";
    }

    if (trust->issuer.len
        && !ngx_sf_jwt_is(json_object_get(payload, "iss"), &trust->issuer))
    {
        return "made by another issuer";
    }

    reason = ngx_sf_jwt_read_audience(json_object_get(payload, "aud"),
                                      trust->audiences);
    if (reason != NULL) {
        return reason;
    }

    reason = ngx_sf_jwt_read_times(payload, claims);
    if (reason != NULL) {
        return reason;
    }

    return ngx_sf_jwt_read_user(json_object_get(payload,
                                                (char *) trust->user.data),
                                claims);
}


/*
 * A token for an audience is for somebody else where we have no name that it
 * could contain (RFC 7519, 4.1.3).
 */

static const char *
ngx_sf_jwt_read_audience(const json_t *aud, const ngx_array_t *audiences)
{
    size_t      i;
    ngx_uint_t  ours;

    if (audiences == NULL) {
        return aud == NULL || json_is_null(aud) ? NULL
                                                : "made for an audience";
    }

    ours = ngx_sf_jwt_among(aud, audiences);

    for (i = 0; i < json_array_size(aud); i++) {

        if (!json_is_string(json_array_get(aud, i))) {
            return "aud is not of strings";
        }

        ours |= ngx_sf_jwt_among(json_array_get(aud, i), audiences);
    }

    return ours ? NULL : "made for another audience";
}


static ngx_uint_t
ngx_sf_jwt_among(const json_t *value, const ngx_array_t *texts)
{
    ngx_str_t   *text;
    ngx_uint_t   i;

    text = texts->elts;

    for (i = 0; i < texts->nelts; i++) {
        if (ngx_sf_jwt_is(value, &text[i])) {
            return 1;
        }
    }

    return 0;
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
ngx_sf_jwt_read_user(const json_t *user, ngx_sf_jwt_claims_t *claims)
{
    int64_t  id;

    claims->user = NGX_SF_JWT_USER_NONE;
    claims->user_id = 0;

    if (json_is_null(user)) {
        return NULL;
    }

    if (ngx_sf_jwt_read_id(user, &id) != NGX_OK) {
        return "user is no number";
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

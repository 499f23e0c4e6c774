
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_JWT_H_INCLUDED_
#define _NGX_SF_JWT_H_INCLUDED_


#include "ngx_sf_jwt_set.h"


typedef enum {
    NGX_SF_JWT_USER_ID = 0,     /* the user is a positive int8 */
    NGX_SF_JWT_USER_NONE        /* it is null, or no id that can exist:
                                   a valid token of nobody */
} ngx_sf_jwt_user_e;


/* what an access token says; times in seconds since the epoch */

typedef struct {
    int64_t                     user_id;
    ngx_sf_jwt_user_e           user;
    int64_t                     exp;      /* INT64_MAX: never */
    int64_t                     not_before; /* the later of nbf and iat */
    unsigned                    endless:1;  /* there is no exp */
} ngx_sf_jwt_claims_t;


#define NGX_SF_JWT_LEEWAY_MAX  600        /* seconds */
#define NGX_SF_JWT_CLAIM_MAX   128        /* bytes of the name of a claim */

/*
 * Whose tokens are believed, and for whom they must have been made.  Locations
 * for which all of it is the same have the same one, by whose address tokens
 * that were verified are found again.
 */

typedef struct {
    ngx_array_t                *secrets;  /* of ngx_sf_jwt_key_t *, NULL: none;
                                             any of them may have signed */
    ngx_array_t                *sets;     /* of ngx_sf_jwt_set_t *, or NULL */
    ngx_str_t                   issuer;   /* empty: any, or none */
    ngx_array_t                *audiences;    /* of ngx_str_t; NULL: a token
                                                 must not have any */
    ngx_str_t                   user;     /* name of the claim */
} ngx_sf_jwt_trust_t;


/* what is asked of claims, beyond what makes them those of an access token */

typedef struct {
    time_t                      leeway;   /* seconds that the clock of the
                                             issuer may be off */
    ngx_flag_t                  exp;      /* there must be one */
    const ngx_sf_jwt_trust_t   *trust;
} ngx_sf_jwt_rules_t;


/* a token that says it is good, before its signature has been looked at */

typedef struct {
    ngx_sf_jwt_claims_t         claims;
    ngx_str_t                   input;    /* what is signed */
    ngx_str_t                   signature;    /* in base64url */
    const ngx_sf_jwt_key_t     *key;      /* the only one, or NULL */
    unsigned                    secrets:1;    /* one of them may be it, too */
} ngx_sf_jwt_t;


/*
 * Reads a compact JWS (RFC 7515 section 3.1): its header, for which there must
 * be a key, and the claims of an access token as contract section 1.1 step 4
 * says, which must hold by the rules at the time now.  temp is used for
 * decoding.  Returns NULL, or the reason why it is not good: a constant text
 * for the log.  Nothing of it is to be believed before ngx_sf_jwt_verify().
 */
const char *ngx_sf_jwt_read(ngx_pool_t *temp, const ngx_str_t *token,
    const ngx_sf_jwt_rules_t *rules, int64_t now, ngx_sf_jwt_t *jwt);

/*
 * Whether the signature is right: NULL, or the reason.  That costs some tens
 * of microseconds where ngx_sf_jwt_costly() is true, and a microsecond else.
 */
const char *ngx_sf_jwt_verify(const ngx_sf_jwt_t *jwt,
    const ngx_sf_jwt_trust_t *trust);

#define ngx_sf_jwt_costly(jwt)                                                \
    ((jwt)->key && (jwt)->key->alg != NGX_SF_JWT_HS256)

/*
 * Whether claims that were verified earlier, maybe by other rules, hold by
 * these at the time now: NULL, or the reason.
 */
const char *ngx_sf_jwt_check(const ngx_sf_jwt_claims_t *claims,
    const ngx_sf_jwt_rules_t *rules, int64_t now);


#endif /* _NGX_SF_JWT_H_INCLUDED_ */

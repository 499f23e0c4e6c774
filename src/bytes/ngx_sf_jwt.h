
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_JWT_H_INCLUDED_
#define _NGX_SF_JWT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct ngx_sf_jwt_key_s  ngx_sf_jwt_key_t;


typedef enum {
    NGX_SF_JWT_USER_ID = 0,     /* user_id is a positive int8 */
    NGX_SF_JWT_USER_NONE        /* user_id is null, or no id that can exist:
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

/* what is asked of claims, beyond what makes them those of an access token */

typedef struct {
    time_t                      leeway;   /* seconds that the clock of the
                                             issuer may be off */
    ngx_flag_t                  exp;      /* there must be one */
} ngx_sf_jwt_rules_t;


/*
 * Prepares an HMAC-SHA256 key (RFC 2104, RFC 7518 section 3.2); the context
 * is kept for the life of the pool and freed by it.  NULL when memory is
 * short or the cryptographic library refuses.
 */
ngx_sf_jwt_key_t *ngx_sf_jwt_key_create(ngx_pool_t *pool,
    const ngx_str_t *secret);

/*
 * Verifies a compact JWS (RFC 7515 section 3.1) of algorithm HS256 and no
 * other, against any of nkeys keys, and reads the claims of an access token
 * as contract section 1.1 step 4 says.  Signature comparison takes constant
 * time; claims are looked at only after it.  temp is used for decoding.
 * Returns NULL when the token is good by the rules at the time now, else the
 * reason: a constant text for the log.
 */
const char *ngx_sf_jwt_verify(ngx_pool_t *temp, const ngx_str_t *token,
    ngx_sf_jwt_key_t **keys, ngx_uint_t nkeys,
    const ngx_sf_jwt_rules_t *rules, int64_t now,
    ngx_sf_jwt_claims_t *claims);

/*
 * Whether claims that were verified earlier, maybe by other rules, hold by
 * these at the time now: NULL, or the reason.
 */
const char *ngx_sf_jwt_check(const ngx_sf_jwt_claims_t *claims,
    const ngx_sf_jwt_rules_t *rules, int64_t now);


#endif /* _NGX_SF_JWT_H_INCLUDED_ */

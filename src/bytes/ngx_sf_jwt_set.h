
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_JWT_SET_H_INCLUDED_
#define _NGX_SF_JWT_SET_H_INCLUDED_


#include "ngx_sf_jwt_key.h"


#define NGX_SF_JWT_SET_WHY  256           /* bytes for a sentence, with NUL */


/* the keys of a file, which end together; pool is NULL before the first */

typedef struct {
    ngx_pool_t                 *pool;
    ngx_array_t                *keys;     /* of ngx_sf_jwt_key_t * */
    unsigned                    jwks:1;
} ngx_sf_jwt_set_t;


/* what the configuration says of a file, beside its name */

typedef struct {
    ngx_sf_jwt_alg_e            alg;      /* NGX_SF_JWT_NO_ALG: its own */
    ngx_str_t                   kid;      /* empty: none */
} ngx_sf_jwt_terms_t;


/*
 * Makes the set hold the keys of a text, which is PEM or a JWK set (RFC 7517),
 * and frees those that it held.  On NGX_ERROR it stays as it was, and why says
 * what is wrong, as a sentence whose subject is the file.
 */
ngx_int_t ngx_sf_jwt_set_read(ngx_sf_jwt_set_t *set, const ngx_str_t *text,
    const ngx_sf_jwt_terms_t *terms, ngx_log_t *log, u_char *why);

/* frees the keys */
void ngx_sf_jwt_set_clear(ngx_sf_jwt_set_t *set);

/*
 * Whether each key of sets that are used together can be chosen by a token:
 * NULL, or why one can not, as a sentence.
 */
const char *ngx_sf_jwt_sets_check(ngx_sf_jwt_set_t **sets, ngx_uint_t n);


#endif /* _NGX_SF_JWT_SET_H_INCLUDED_ */

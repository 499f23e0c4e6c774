
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What ngx_sf_param.c and ngx_sf_param_value.c share: a text of one parameter
 * becomes its value in the latter.
 */


#ifndef _NGX_SF_PARAM_VALUE_H_INCLUDED_
#define _NGX_SF_PARAM_VALUE_H_INCLUDED_


#include "ngx_sf_api.h"


typedef struct {
    ngx_pool_t                 *pool;
    const ngx_sf_param_t       *rows;
    const ngx_str_t            *raw;      /* by row: decoded, or data NULL */
    const ngx_str_t            *alias;
    const ngx_sf_param_env_t   *env;
    ngx_sf_params_t            *params;
    int64_t                     low;      /* what a value is for its minimum */
    int64_t                     high;     /* and for its maximum */
    const char                 *wrong[3]; /* parts of an error, should there be
                                             one */
    u_char                      digits[NGX_INT64_LEN + 1];
} ngx_sf_param_reader_t;


/*
 * Sets a value from a text of its type, and what min and max are about to low
 * and high.  NGX_DECLINED: the text is none, and wrong says what to tell;
 * NGX_ERROR: memory is short.
 */
ngx_int_t ngx_sf_param_value_parse(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text);

/* the values of defaults that are no texts */
ngx_int_t ngx_sf_param_value_set_day(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    int64_t day);
ngx_int_t ngx_sf_param_value_set_choice(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, ngx_uint_t n);


static ngx_inline ngx_uint_t
ngx_sf_param_is(const ngx_str_t *text, const char *word)
{
    return ngx_strlen(word) == text->len
           && ngx_memcmp(word, text->data, text->len) == 0;
}


#endif /* _NGX_SF_PARAM_VALUE_H_INCLUDED_ */

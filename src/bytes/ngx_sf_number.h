
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_NUMBER_H_INCLUDED_
#define _NGX_SF_NUMBER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* room for any number written by this file, in bytes */

#define NGX_SF_NUMBER_LEN  32


/*
 * Reads text by the rules of Python's int(str): surrounding Unicode white
 * space, an optional sign, Unicode decimal digits, single underscores between
 * digits.  Values beyond int64 saturate at its limits, so comparisons with
 * any smaller integer keep their outcome.  Text is UTF-8; no allocation.
 * Returns NGX_OK, or NGX_DECLINED when the text is no integer.
 * (Python Language Reference, "Integer literals"; Unicode 14, category Nd.)
 */
ngx_int_t ngx_sf_number_parse_int(const ngx_str_t *text, int64_t *value);

/*
 * The text without the white space around it, as Python's str.strip(); it
 * points into the same bytes.  U+001C to U+001F count here, not for int().
 */
ngx_str_t ngx_sf_number_strip(const ngx_str_t *text);

/*
 * Writes the shortest decimal that reads back as the same double, in the form
 * of Python's repr(float): always ".0" or an exponent, exponent form from
 * 1e16 up and below 1e-4.  NaN and infinities, which JSON cannot hold, become
 * "null".  Needs NGX_SF_NUMBER_LEN bytes; returns the end of the text.
 */
u_char *ngx_sf_number_write_float(u_char *p, double value);

/* decimals that a value can be rounded to, at most */

#define NGX_SF_NUMBER_DECIMALS  9

/*
 * The double nearest to value rounded to so many decimals: correct rounding of
 * the exact binary value, ties to even, as Python's round(value, decimals).
 */
double ngx_sf_number_round(double value, ngx_uint_t decimals);


#endif /* _NGX_SF_NUMBER_H_INCLUDED_ */

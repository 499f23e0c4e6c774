
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_CANONICAL_H_INCLUDED_
#define _NGX_SF_CANONICAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* room that any canonical text fits in, but for that of a text itself */

#define NGX_SF_CANONICAL_LEN  80


/*
 * Each reads a value and gives the one text that stands for it, NUL-terminated:
 * out->data has room for NGX_SF_CANONICAL_LEN bytes.  NGX_DECLINED: the text is
 * no such value.  Text may have any bytes.
 */

/* 8-4-4-4-12 in either case, made lower */
ngx_int_t ngx_sf_canonical_uuid(const ngx_str_t *text, ngx_str_t *out);

/* true, t, yes, on, 1 and their opposites in either case: "true", "false" */
ngx_int_t ngx_sf_canonical_bool(const ngx_str_t *text, ngx_str_t *out);

/*
 * A decimal number of at most 64 digits, as JSON would write it; an exponent
 * stays.  It is between floor and ceil, which saturate.
 */
ngx_int_t ngx_sf_canonical_number(const ngx_str_t *text, ngx_str_t *out,
    int64_t *floor, int64_t *ceil);

/*
 * YYYY-MM-DD[T ]hh:mm[:ss[.ffffff]][Z|+hh[:mm]|-hh[:mm]]: with a T, with
 * seconds, without zeros at the end of a fraction.
 */
ngx_int_t ngx_sf_canonical_time(const ngx_str_t *text, ngx_str_t *out);


/*
 * YYYY-MM-DD or YYYYMMDD, alone or before a separator and a time, of which the
 * hour is looked at; day counts from 1970-01-01.
 */
ngx_int_t ngx_sf_canonical_date(const ngx_str_t *text, int64_t *day);

/* the text of a day, which becomes 0001-01-01 if it is before that */
void ngx_sf_canonical_write_date(ngx_str_t *out, int64_t *day);


#endif /* _NGX_SF_CANONICAL_H_INCLUDED_ */

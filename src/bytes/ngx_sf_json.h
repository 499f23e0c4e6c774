
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_JSON_H_INCLUDED_
#define _NGX_SF_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <libpq-fe.h>


/*
 * A shape says what a JSON document looks like: a tree of fields, written as
 * static tables in ngx_sf_api.c and compiled once, at configuration, into a
 * program of literal bytes and cell encoders that a page of rows walks.
 */

/*
 * It is one more whenever the same rows become other bytes by the same shape,
 * or a kind gets another number: a reload may bring new code to old entries,
 * which are not found by it then (ngx_sf_identity.c).
 */

#define NGX_SF_JSON_VERSION  1


typedef enum {
    NGX_SF_JSON_END = 0,        /* ends a table of fields */

    /* a cell of the current row; SQL NULL is null unless said otherwise */
    NGX_SF_JSON_INT,            /* a number, digits as they come */
    NGX_SF_JSON_FLOAT,
    NGX_SF_JSON_FLOAT_OR_0,     /* NULL is the integer 0 */
    NGX_SF_JSON_ROUND2,         /* float rounded to two decimals */
    NGX_SF_JSON_ROUND2_OR_0,    /* the same, NULL is the integer 0 */
    NGX_SF_JSON_BOOL,
    NGX_SF_JSON_STRING,
    NGX_SF_JSON_CUT100,         /* over 100 code points: cut, "..." appended */
    NGX_SF_JSON_TIME,           /* timestamp -> 2026-02-20T10:00:00[.123456],
                                   in UTC; date -> 2026-02-20 */
    NGX_SF_JSON_DATE,

    /* values that do not come from a row */
    NGX_SF_JSON_LITERAL,        /* .text, bytes of JSON */
    NGX_SF_JSON_PARAM,          /* string: parameter number .column */
    NGX_SF_JSON_PARAM_INT,      /* integer: parameter number .column */
    NGX_SF_JSON_PAGE,
    NGX_SF_JSON_PAGES,
    NGX_SF_JSON_TOTAL,

    /* containers, of .fields */
    NGX_SF_JSON_OBJECT,         /* cells below come from the current row */
    NGX_SF_JSON_ROWS,           /* array: an object for each row */
    NGX_SF_JSON_BACKWARDS,      /* the same, the last row first */
    NGX_SF_JSON_MAP             /* object: for each row, its .column cell as
                                   the key and an object as the value; rows
                                   without a key are left out */
} ngx_sf_json_kind_e;


typedef struct ngx_sf_json_field_s  ngx_sf_json_field_t;

struct ngx_sf_json_field_s {
    const char                 *key;      /* NULL for the whole document */
    ngx_sf_json_kind_e          kind;
    ngx_int_t                   column;   /* of the result, from 0; a param's
                                             number; of rows: those with NULL
                                             in it are left out, -1: none */
    const ngx_sf_json_field_t  *fields;   /* containers; ended by END */
    const char                 *text;     /* LITERAL */
    ngx_int_t                   first;    /* of rows: the first, from 0 */
};


typedef struct ngx_sf_json_program_s  ngx_sf_json_program_t;


typedef struct {
    const PGresult             *res;      /* NULL: the shape reads no cell */
    const ngx_str_t            *params;   /* effective values, as text; no
                                             data: null */
    int64_t                     page;
    int64_t                     pages;
    int64_t                     total;
} ngx_sf_json_source_t;


/*
 * Compiles a shape; the program lives as long as the pool.  The fields of an
 * object must stand in byte order of their keys and a ROWS or MAP not inside
 * another, or NULL is returned; NULL also when memory is short.
 */
ngx_sf_json_program_t *ngx_sf_json_compile(ngx_pool_t *pool,
    const ngx_sf_json_field_t *shape);

/* how many columns a result must have for this program, 0 if it reads none */
ngx_uint_t ngx_sf_json_columns(const ngx_sf_json_program_t *program);

/*
 * What each of them is read as, masks of ngx_sf_type.h; the types of a result
 * must be good for that.
 */
u_char *ngx_sf_json_kinds(const ngx_sf_json_program_t *program);

/*
 * Renders one document, ended by a newline, into a buffer of the pool that is
 * measured first and written once: no cell is copied twice.  Cells outside a
 * ROWS or MAP come from row 0; the caller has checked that it exists and that
 * the result has ngx_sf_json_columns() columns, of types that are good for
 * ngx_sf_json_kinds(), in text format, UTF-8.
 * Returns NGX_OK or NGX_ERROR (memory).
 */
ngx_int_t ngx_sf_json_render(ngx_pool_t *pool,
    const ngx_sf_json_program_t *program, const ngx_sf_json_source_t *source,
    ngx_str_t *out);

/* writes {"error":"<message>"} and a newline; message is UTF-8 */
ngx_int_t ngx_sf_json_error(ngx_pool_t *pool, const ngx_str_t *message,
    ngx_str_t *out);


#endif /* _NGX_SF_JSON_H_INCLUDED_ */

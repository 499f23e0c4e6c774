
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_JSON_H_INCLUDED_
#define _NGX_SF_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <libpq-fe.h>


/*
 * A shape says what a JSON document looks like: a tree of fields, made of a
 * template and the types of the columns (ngx_sf_template_bind.c) and compiled
 * into a program of literal bytes and cell encoders that a page of rows walks.
 */

/*
 * It is one more whenever the same rows become other bytes by the same
 * template: a reload may bring new code to old entries, which are not found by
 * it then (ngx_sf_identity.c).
 */

#define NGX_SF_JSON_VERSION  2


typedef enum {
    NGX_SF_JSON_END = 0,        /* ends a table of fields */

    /* a cell of the current row; SQL NULL is null unless .null is another */
    NGX_SF_JSON_INT,            /* of an integer type, digits as they come */
    NGX_SF_JSON_NUMERIC,        /* the same, of any length */
    NGX_SF_JSON_FLOAT,
    NGX_SF_JSON_ROUND,          /* a number rounded to .number decimals */
    NGX_SF_JSON_BOOL,
    NGX_SF_JSON_STRING,
    NGX_SF_JSON_TIME,           /* timestamp -> 2026-02-20T10:00:00[.123456] */
    NGX_SF_JSON_ZONED,          /* timestamp with time zone -> the same in UTC,
                                   and +00:00 */
    NGX_SF_JSON_DATE,
    NGX_SF_JSON_RAW,            /* json, as it is */
    NGX_SF_JSON_ARRAY,          /* {...} -> [...], of cells of kind .number */

    /* values that do not come from a row */
    NGX_SF_JSON_LITERAL,        /* .text, bytes of JSON */
    NGX_SF_JSON_PARAM,          /* string: parameter number .column */
    NGX_SF_JSON_PARAM_NUMBER,   /* a number or a boolean: the same */
    NGX_SF_JSON_ECHO,           /* string: the same, as the client wrote it */
    NGX_SF_JSON_PAGE,
    NGX_SF_JSON_PAGES,
    NGX_SF_JSON_TOTAL,

    /* containers, of .fields */
    NGX_SF_JSON_OBJECT,         /* cells below come from the current row */
    NGX_SF_JSON_LIST,           /* array: each field, they have no keys */
    NGX_SF_JSON_ROWS,           /* array: the one field, for each row */
    NGX_SF_JSON_MAP             /* object: for each row, its .column cell as
                                   the key and the one field as the value;
                                   rows without a key are left out */
} ngx_sf_json_kind_e;


typedef struct ngx_sf_json_field_s  ngx_sf_json_field_t;

struct ngx_sf_json_field_s {
    const char                 *key;      /* with JSON's escapes; NULL: none */
    ngx_sf_json_kind_e          kind;
    ngx_int_t                   column;   /* of the result, from 0; a param's
                                             number; of rows: those with NULL
                                             in it are left out, -1: none */
    const ngx_sf_json_field_t  *fields;   /* containers; ended by END */
    const char                 *text;     /* LITERAL */
    const char                 *null;     /* JSON for SQL NULL, NULL: null */
    ngx_uint_t                  number;   /* ROUND, ARRAY */
};


typedef struct ngx_sf_json_program_s  ngx_sf_json_program_t;


typedef struct {
    const PGresult             *res;      /* NULL: the shape reads no cell */
    const ngx_str_t            *params;   /* values as they take effect; no
                                             data: null */
    const ngx_str_t            *echoes;   /* the same, as they came */
    int64_t                     page;
    int64_t                     pages;
    int64_t                     total;
} ngx_sf_json_source_t;


/*
 * Compiles a shape; the program lives as long as the pool, and needs neither
 * the fields nor their texts any more but those of SQL NULL.  Keys are written
 * in the order of the fields.  NULL: a ROWS or MAP stands inside another, a
 * field of an object has no key, or memory is short.
 */
ngx_sf_json_program_t *ngx_sf_json_compile(ngx_pool_t *pool,
    const ngx_sf_json_field_t *shape);

/*
 * Renders one document, ended by a newline, into a buffer of the pool that is
 * measured first and written once: no cell is copied twice.  Cells outside a
 * ROWS or MAP come from row 0; the caller has checked that it exists and that
 * the result has the columns of the shape, of types that are written as their
 * kinds say, in text format, UTF-8.
 * Returns NGX_OK or NGX_ERROR (memory).
 */
ngx_int_t ngx_sf_json_render(ngx_pool_t *pool,
    const ngx_sf_json_program_t *program, const ngx_sf_json_source_t *source,
    ngx_str_t *out);

/* writes {"error":"<message>"} and a newline; message is UTF-8 */
ngx_int_t ngx_sf_json_error(ngx_pool_t *pool, const ngx_str_t *message,
    ngx_str_t *out);

/* a text with JSON's escapes, as a key has them; NULL: memory is short */
const char *ngx_sf_json_escape(ngx_pool_t *pool, const char *text);


#endif /* _NGX_SF_JSON_H_INCLUDED_ */

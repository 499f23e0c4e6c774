
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_JSON_VALUE_H_INCLUDED_
#define _NGX_SF_JSON_VALUE_H_INCLUDED_


#include "ngx_sf_json.h"


/*
 * What ngx_sf_json.c, which walks programs, ngx_sf_json_list.c, which walks
 * PostgreSQL's arrays, and ngx_sf_json_value.c, which writes values, have in
 * common; no other file includes it.
 */


/* where the value of an op is found */

typedef enum {
    NGX_SF_JSON_FROM_NOWHERE = 0,         /* literal bytes only */
    NGX_SF_JSON_FROM_CELL,
    NGX_SF_JSON_FROM_PARAM,               /* an array of texts */
    NGX_SF_JSON_FROM_NUMBER,              /* page, pages, total */
    NGX_SF_JSON_FROM_ROWS                 /* the body, for each row */
} ngx_sf_json_from_e;


typedef struct {
    const u_char                 *text;    /* NULL: SQL NULL, and len is 0 */
    uint32_t                      len;
    u_char                        number;  /* of the op */
    unsigned                      plain:1; /* nothing in it to be escaped; of
                                              an array: it is one */
} ngx_sf_json_cell_t;


typedef size_t (*ngx_sf_json_length_pt)(ngx_sf_json_cell_t *cell);
typedef u_char *(*ngx_sf_json_write_pt)(u_char *p,
    const ngx_sf_json_cell_t *cell);


typedef struct {
    ngx_sf_json_from_e            from;
    size_t                        bound;   /* bytes that are always enough */
    ngx_uint_t                    whole;   /* on top of it those of the cell */
    ngx_sf_json_length_pt         length;  /* bytes on top of it, or NULL */
    ngx_sf_json_write_pt          write;   /* of what is not SQL NULL */
    size_t                        source;  /* offset in the source */
} ngx_sf_json_encoder_t;


/* never NULL; for the compilation of a shape, an op keeps what it needs */
const ngx_sf_json_encoder_t *ngx_sf_json_encoder(ngx_sf_json_kind_e kind);

/* a cell that is not what its kind says */
u_char *ngx_sf_json_write_null(u_char *p);

/* bytes that are enough for a text with its escapes, without the quotes */
size_t ngx_sf_json_length_escaped(const u_char *text, size_t len);

/* writes a text with its escapes, without the quotes; returns its end */
u_char *ngx_sf_json_write_escaped(u_char *p, const u_char *text, size_t len);


/* --- ngx_sf_json_list.c: length() and write() of an array --- */

size_t ngx_sf_json_length_list(ngx_sf_json_cell_t *cell);
u_char *ngx_sf_json_write_list(u_char *p, const ngx_sf_json_cell_t *cell);


#endif /* _NGX_SF_JSON_VALUE_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_TEMPLATE_H_INCLUDED_
#define _NGX_SF_TEMPLATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_sf_json.h"


/*
 * A template says what the JSON document of an endpoint looks like: JSON in
 * which a bare word is a column.  It is parsed at configuration, and bound to
 * the columns of a statement when the first result has told their names and
 * types.
 */


typedef struct ngx_sf_template_s  ngx_sf_template_t;


/* names that a template may have behind a $, beside page, pages and total */

typedef struct {
    const char                 *name;     /* NULL: the end of the list */
    ngx_uint_t                  number;   /* written as a number or a boolean,
                                             as it takes effect; else a
                                             string */
} ngx_sf_template_name_t;


/* what a template has been found to need */

typedef struct {
    uint64_t                    params;   /* by place in the list of names */
    uint64_t                    echoes;   /* of these, as they came: text() */
    unsigned                    columns:1;    /* it reads a result */
    unsigned                    row:1;    /* row 0, that has to exist */
    unsigned                    page:1;   /* $page */
    unsigned                    total:1;  /* $pages or $total */
} ngx_sf_template_needs_t;


/* columns that take part in no {*} */

typedef struct {
    const char                 *name;     /* NULL: the end of the list */
    ngx_uint_t                  kind;     /* of ngx_sf_type.h that it has to be
                                             good for, 0: any */
} ngx_sf_template_hidden_t;


/*
 * Parses a template; text NULL stands for [{*}].  Both lists must live as long
 * as the pool.  NULL: *wrong says why, as in "a name without ...", with the
 * offset of that in the text.
 */
ngx_sf_template_t *ngx_sf_template_parse(ngx_pool_t *pool, const char *text,
    const ngx_sf_template_name_t *names,
    const ngx_sf_template_hidden_t *hidden, const char **wrong,
    size_t *offset);

const ngx_sf_template_needs_t *ngx_sf_template_needs(
    const ngx_sf_template_t *t);


/* a template and the columns of one row description */

typedef struct ngx_sf_shape_s  ngx_sf_shape_t;

struct ngx_sf_shape_s {
    ngx_sf_shape_t             *next;     /* older one of the same template */
    ngx_pool_t                 *pool;     /* all of it */
    ngx_sf_json_program_t      *program;
    ngx_uint_t                  ncolumns;
    uint32_t                   *types;    /* oids */
    char                      **names;
    int                        *hidden;   /* column of each hidden one, by
                                             place in the list */
};


/*
 * Binds a template to the columns of a result, which may be NULL when the
 * template needs no row: then there are none.  NULL: the text of error
 * (NUL-terminated, at most size bytes) says which column is wrong and what to
 * write instead, or that memory is short.  The shape is destroyed with its
 * pool.
 */
ngx_sf_shape_t *ngx_sf_template_bind(const ngx_sf_template_t *t,
    const PGresult *res, ngx_log_t *log, u_char *error, size_t size);

/* whether a result has the very columns, by name and type, of a shape */
ngx_uint_t ngx_sf_shape_fits(const ngx_sf_shape_t *shape,
    const PGresult *res);


/* --- ngx_sf_shape.c: the shapes that a worker has of one template --- */

/* all zeroes at first; written by workers only, each has its own */

typedef struct {
    ngx_sf_shape_t             *newest;
} ngx_sf_shapes_t;


/* shapes are destroyed before the pool, which is that of the template */
ngx_int_t ngx_sf_shapes_init(ngx_pool_t *pool, ngx_sf_shapes_t *shapes);

/*
 * The shape that fits a result (NULL, of a template that reads no column), made
 * if there is none.  NULL: as ngx_sf_template_bind().
 */
ngx_sf_shape_t *ngx_sf_shape_find(ngx_sf_shapes_t *shapes,
    const ngx_sf_template_t *t, const PGresult *res, ngx_log_t *log,
    u_char *error, size_t size);


#endif /* _NGX_SF_TEMPLATE_H_INCLUDED_ */

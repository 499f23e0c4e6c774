
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_TYPE_H_INCLUDED_
#define _NGX_SF_TYPE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_sf_json.h"


/*
 * What a column is read as: a mask, for one column may be read in more than
 * one way.  A type of PostgreSQL (an oid) is good for some of them.
 */

#define NGX_SF_TYPE_NUMBER   0x01
#define NGX_SF_TYPE_BOOLEAN  0x02
#define NGX_SF_TYPE_STRING   0x04


/* the first oid that is not PostgreSQL's own: an enum, an extension's type */

#define NGX_SF_TYPE_USER     16384


typedef struct {
    uint32_t                    oid;
    const char                 *name;
    ngx_uint_t                  kinds;    /* that it is good for */
    ngx_sf_json_kind_e          json;     /* how it is written in a template,
                                             END: not at all */
    uint32_t                    item;     /* ARRAY: oid of the items */
} ngx_sf_type_t;


typedef struct {
    ngx_uint_t                  kind;
    const char                 *name;
} ngx_sf_type_kind_t;


extern const ngx_sf_type_t       ngx_sf_types[];      /* ended by a NULL name */
extern const ngx_sf_type_kind_t  ngx_sf_type_kinds[]; /* the same */


/* the first of the kinds that the type is not good for, NULL: there is none */
const ngx_sf_type_kind_t *ngx_sf_type_misfit(uint32_t oid, ngx_uint_t kinds);

/* how a cell of the type is written: what is not known is a string */
ngx_sf_json_kind_e ngx_sf_type_json(uint32_t oid);

/* the same of the items of an array */
ngx_sf_json_kind_e ngx_sf_type_item(uint32_t oid);

/* the name of a type, or NULL */
const char *ngx_sf_type_name(uint32_t oid);


#endif /* _NGX_SF_TYPE_H_INCLUDED_ */

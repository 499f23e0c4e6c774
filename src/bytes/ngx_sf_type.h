
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_TYPE_H_INCLUDED_
#define _NGX_SF_TYPE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * What a column is read as: a mask, for one column may be read in more than
 * one way.  A type of PostgreSQL (an oid) is good for some of them.
 */

#define NGX_SF_TYPE_NUMBER   0x01
#define NGX_SF_TYPE_BOOLEAN  0x02
#define NGX_SF_TYPE_STRING   0x04
#define NGX_SF_TYPE_TIME     0x08         /* a date will do */
#define NGX_SF_TYPE_DATE     0x10


/* the first oid that is not PostgreSQL's own: an enum, an extension's type */

#define NGX_SF_TYPE_USER     16384


typedef struct {
    uint32_t                    oid;
    const char                 *name;
    ngx_uint_t                  kinds;    /* that it is good for */
} ngx_sf_type_t;


typedef struct {
    ngx_uint_t                  kind;
    u_char                      letter;   /* in ngx_sf_tables */
    const char                 *name;
} ngx_sf_type_kind_t;


extern const ngx_sf_type_t       ngx_sf_types[];      /* ended by a NULL name */
extern const ngx_sf_type_kind_t  ngx_sf_type_kinds[]; /* the same */


/* the first of the kinds that the type is not good for, NULL: there is none */
const ngx_sf_type_kind_t *ngx_sf_type_misfit(uint32_t oid, ngx_uint_t kinds);

/* the name of a type, or NULL */
const char *ngx_sf_type_name(uint32_t oid);


#endif /* _NGX_SF_TYPE_H_INCLUDED_ */

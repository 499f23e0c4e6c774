
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_TABLE_H_INCLUDED_
#define _NGX_SF_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_sf_notify.h"


#define NGX_SF_TABLE_KEYS  2


/*
 * A table that responses are read from.  A change of a row moves the tag of the
 * table, and one tag for each key column and value of the row, before and
 * after the change.
 */

typedef struct {
    const char                 *name;
    const char                 *keys[NGX_SF_TABLE_KEYS];  /* NULL: no more */
    const char                 *columns;  /* that responses read beside the keys
                                             and the id, comma separated: when
                                             no other one changes, an UPDATE
                                             is silent */
} ngx_sf_table_t;


extern const ngx_sf_table_t  ngx_sf_tables[];     /* ended by a NULL name */


/* number of tables; a set of them is a mask of 32 bits */
ngx_uint_t ngx_sf_table_count(void);

/* index of a table by its name, or NGX_ERROR */
ngx_int_t ngx_sf_table_find(const u_char *name, size_t len);

/* index of a key column of a table by its name, or NGX_ERROR */
ngx_int_t ngx_sf_table_key(ngx_uint_t table, const u_char *name, size_t len);

/*
 * A number that changes whenever the row of the table does: the argument of
 * its triggers (eight hexadecimal digits), by which old ones are recognised.
 */
uint32_t ngx_sf_table_version(ngx_uint_t table);


#endif /* _NGX_SF_TABLE_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_PG_FILE_H_INCLUDED_
#define _NGX_SF_PG_FILE_H_INCLUDED_


#include "ngx_sf_pg.h"


/*
 * What the directives of a PostgreSQL upstream, ngx_sf_pg_conf.c, need of the
 * look at the files that they name, ngx_sf_pg_file.c.
 */

#define NGX_SF_PG_SYSTEM  160000          /* libpq: sslrootcert=system */


/* the value of a word of softfactory_pg, or NULL */
ngx_str_t *ngx_sf_pg_given(ngx_sf_pg_conf_t *pgcf, const char *keyword);

/* NGX_DECLINED: the word names a file, by a path that is not absolute */
ngx_int_t ngx_sf_pg_file_named(const char *keyword, const char *value);

/* whether libpq will take all files as they are; NGX_ERROR has been logged */
ngx_int_t ngx_sf_pg_files_check(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf);


#endif /* _NGX_SF_PG_FILE_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Documents that are built as trees and written by jansson: what is asked for
 * seldom, by operators and probes.
 */


#ifndef _NGX_SF_DOCUMENT_H_INCLUDED_
#define _NGX_SF_DOCUMENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <jansson.h>

#include "ngx_sf_http.h"


/* how they are written */

#define NGX_SF_DOCUMENT_FLAGS                                                 \
    (JSON_COMPACT|JSON_SORT_KEYS|JSON_REAL_PRECISION(15))


/* --- ngx_sf_document.c --- */

/*
 * Writes a document, with a line end, to the pool, and frees it.  NGX_ERROR:
 * it is NULL, or memory is short.
 */
ngx_int_t ngx_sf_document_write(ngx_pool_t *pool, json_t *doc,
    ngx_str_t *body);


/* --- ngx_sf_slow.c --- */

/* for the log and the status; endpoint is its name.  The caller frees it */
json_t *ngx_sf_slow_json(const ngx_sf_slow_t *slow, const char *endpoint);


#endif /* _NGX_SF_DOCUMENT_H_INCLUDED_ */

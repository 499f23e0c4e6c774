
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What the operator's documents have in common.
 */


#ifndef _NGX_SF_STATUS_H_INCLUDED_
#define _NGX_SF_STATUS_H_INCLUDED_


#include "ngx_sf_document.h"
#include "ngx_sf_observe.h"


/* adds the version of the module, and the node's name */
void ngx_sf_status_sign(json_t *doc);

/* the last hour, for its charts: ngx_sf_history.c */
json_t *ngx_sf_history(ngx_sf_metrics_t *metrics);

/* adds what the live page shows to a document: ngx_sf_status_load.c */
ngx_int_t ngx_sf_status_load(ngx_http_request_t *r, json_t *doc);

/*
 * Sends a document, which is freed; allow may be NULL.  Returns what a content
 * handler returns.
 */
ngx_int_t ngx_sf_status_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *allow, json_t *doc);


#endif /* _NGX_SF_STATUS_H_INCLUDED_ */

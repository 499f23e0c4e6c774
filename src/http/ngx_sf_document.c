
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Documents: trees of jansson become bytes of a pool.
 */


#include "ngx_sf_document.h"


ngx_int_t
ngx_sf_document_write(ngx_pool_t *pool, json_t *doc, ngx_str_t *body)
{
    body->len = doc ? json_dumpb(doc, NULL, 0, NGX_SF_DOCUMENT_FLAGS) : 0;
    body->data = body->len ? ngx_pnalloc(pool, body->len + 1) : NULL;

    if (body->data) {
        (void) json_dumpb(doc, (char *) body->data, body->len,
                          NGX_SF_DOCUMENT_FLAGS);
        body->data[body->len++] = '\n';
    }

    json_decref(doc);

    return body->data ? NGX_OK : NGX_ERROR;
}

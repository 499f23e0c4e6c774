
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The shapes of an endpoint in a worker: its template, bound to each of the row
 * descriptions that have come lately.  There is one as a rule.  There are more
 * while servers differ, as during a change of the schema, or when the texts of
 * an endpoint select different columns; the oldest goes when there are too
 * many, and is bound again when it is needed.
 *
 * The pool judges a description when it meets it first (ngx_sf_pg_text.c),
 * which binds it here; the rendering of each result then finds the shape.
 */


#include "ngx_sf_api.h"


#define NGX_SF_SHAPES  8


static void ngx_sf_shapes_cleanup(void *data);
static void ngx_sf_shapes_drop(ngx_sf_shape_t **shape);


ngx_int_t
ngx_sf_shapes_init(ngx_pool_t *pool, ngx_sf_shapes_t *shapes)
{
    ngx_pool_cleanup_t  *cln;

    shapes->newest = NULL;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_sf_shapes_cleanup;
    cln->data = shapes;

    return NGX_OK;
}


static void
ngx_sf_shapes_cleanup(void *data)
{
    ngx_sf_shapes_t  *shapes = data;

    while (shapes->newest) {
        ngx_sf_shapes_drop(&shapes->newest);
    }
}


/* the pool of a shape has the shape in it as well */

static void
ngx_sf_shapes_drop(ngx_sf_shape_t **shape)
{
    ngx_pool_t  *pool;

    pool = (*shape)->pool;
    *shape = (*shape)->next;

    ngx_destroy_pool(pool);
}


ngx_sf_shape_t *
ngx_sf_shape_find(ngx_sf_shapes_t *shapes, const ngx_sf_template_t *t,
    const PGresult *res, ngx_log_t *log, u_char *error, size_t size)
{
    ngx_uint_t        n;
    ngx_sf_shape_t  **shape, *made;

    n = 0;

    for (shape = &shapes->newest; *shape; shape = &(*shape)->next) {
        if (ngx_sf_shape_fits(*shape, res)) {
            return *shape;
        }

        if (++n == NGX_SF_SHAPES) {
            break;
        }
    }

    made = ngx_sf_template_bind(t, res, log, error, size);

    if (made == NULL) {
        return NULL;
    }

    if (n == NGX_SF_SHAPES) {
        ngx_sf_shapes_drop(shape);
    }

    made->next = shapes->newest;
    shapes->newest = made;

    return made;
}


/* the endpoint is a worker's own as far as its shapes are concerned */

ngx_int_t
ngx_sf_shape_judge(const ngx_sf_pg_statement_t *statement, const PGresult *res,
    u_char *error, size_t size)
{
    ngx_sf_endpoint_t  *endpoint;

    endpoint = (ngx_sf_endpoint_t *) statement->owner;

    return ngx_sf_shape_find(&endpoint->shapes, endpoint->template, res,
                             ngx_cycle->log, error, size)
           ? NGX_OK : NGX_DECLINED;
}

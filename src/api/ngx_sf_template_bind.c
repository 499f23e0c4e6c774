
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * A template and the columns of a result: names become numbers, and types the
 * way in which cells are written.  The tree of the template becomes fields,
 * which are compiled and forgotten; what is left has no name to be looked up.
 *
 * Everything that could be wrong about the columns is found here, once for each
 * row description.  What is said about it is for the one who wrote the SQL, so
 * it names the column and says what to write.
 */


#include "ngx_sf_pg.h"
#include "ngx_sf_template_tree.h"
#include "ngx_sf_type.h"


/* of the memory of a shape, at first */

#define NGX_SF_SHAPE_POOL  2048


typedef struct {
    const ngx_sf_template_t    *t;
    ngx_sf_shape_t             *shape;
    ngx_pool_t                 *pool;     /* of what is not kept */
    u_char                     *error;
    size_t                      size;     /* of its room */
    unsigned                    empty:1;  /* there is no result */
} ngx_sf_template_binding_t;


static ngx_int_t ngx_sf_template_bind_shape(ngx_sf_template_binding_t *b,
    const PGresult *res);
static ngx_int_t ngx_sf_template_describe(ngx_sf_template_binding_t *b,
    const PGresult *res);
static ngx_int_t ngx_sf_template_bind_names(ngx_sf_template_binding_t *b);
static ngx_int_t ngx_sf_template_bind_hidden(ngx_sf_template_binding_t *b);
static ngx_int_t ngx_sf_template_bind_value(ngx_sf_template_binding_t *b,
    const ngx_sf_template_node_t *node, ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_template_bind_cell(ngx_sf_template_binding_t *b,
    ngx_int_t column, ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_template_bind_as(ngx_sf_template_binding_t *b,
    const ngx_sf_template_node_t *node, ngx_uint_t kind, const char *where,
    ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_template_bind_fields(ngx_sf_template_binding_t *b,
    const ngx_sf_template_node_t *node, ngx_sf_json_field_t *field);
static ngx_sf_json_field_t *ngx_sf_template_bind_star(
    ngx_sf_template_binding_t *b, const ngx_sf_template_node_t *braces,
    const ngx_sf_template_node_t *star, ngx_sf_json_field_t *field);
static void ngx_sf_template_mark(const ngx_sf_shape_t *shape,
    const ngx_sf_template_node_t *node, u_char *named);
static void ngx_sf_template_mark_column(const ngx_sf_shape_t *shape,
    const char *name, u_char *named);
static ngx_int_t ngx_sf_template_find(const ngx_sf_shape_t *shape,
    const char *name);
static ngx_int_t ngx_sf_template_bind_column(ngx_sf_template_binding_t *b,
    const char *name);
static ngx_int_t ngx_sf_template_refuse(ngx_sf_template_binding_t *b,
    const char *fmt, ...);
static ngx_int_t ngx_sf_template_refuse_type(ngx_sf_template_binding_t *b,
    ngx_int_t column, const char *where, const char *what);


ngx_sf_shape_t *
ngx_sf_template_bind(const ngx_sf_template_t *t, const PGresult *res,
    ngx_log_t *log, u_char *error, size_t size)
{
    ngx_int_t                   rc;
    ngx_pool_t                 *pool;
    ngx_sf_template_binding_t   b;

    b.t = t;
    b.shape = NULL;
    b.error = error;
    b.size = size;
    b.empty = res == NULL;

    *error = '\0';

    pool = ngx_create_pool(NGX_SF_SHAPE_POOL, log);
    b.pool = ngx_create_pool(NGX_SF_SHAPE_POOL, log);

    if (pool) {
        b.shape = ngx_pcalloc(pool, sizeof(ngx_sf_shape_t));
    }

    rc = NGX_ERROR;

    if (b.pool && b.shape) {
        b.shape->pool = pool;
        rc = ngx_sf_template_bind_shape(&b, res);
    }

    if (b.pool) {
        ngx_destroy_pool(b.pool);
    }

    if (rc == NGX_OK) {
        return b.shape;
    }

    if (pool) {
        ngx_destroy_pool(pool);
    }

    if (*error == '\0') {
        (void) ngx_sf_template_refuse(&b, "memory is short");
    }

    return NULL;
}


static ngx_int_t
ngx_sf_template_bind_shape(ngx_sf_template_binding_t *b, const PGresult *res)
{
    ngx_sf_json_field_t  root;

    ngx_memzero(&root, sizeof(ngx_sf_json_field_t));

    if (ngx_sf_template_describe(b, res) != NGX_OK
        || ngx_sf_template_bind_names(b) != NGX_OK
        || ngx_sf_template_bind_hidden(b) != NGX_OK
        || ngx_sf_template_bind_value(b, b->t->root, &root) != NGX_OK)
    {
        return NGX_ERROR;
    }

    b->shape->program = ngx_sf_json_compile(b->shape->pool, &root);

    return b->shape->program ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_sf_template_describe(ngx_sf_template_binding_t *b, const PGresult *res)
{
    size_t           len;
    ngx_uint_t       i, n;
    const char      *name;
    ngx_sf_shape_t  *shape;

    shape = b->shape;
    n = PQnfields(res);

    shape->ncolumns = n;
    shape->types = ngx_palloc(shape->pool, n * sizeof(uint32_t) + 1);
    shape->names = ngx_palloc(shape->pool, n * sizeof(char *) + 1);

    if (shape->types == NULL || shape->names == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        name = PQfname(res, (int) i);
        len = ngx_strlen(name) + 1;

        shape->types[i] = PQftype(res, (int) i);
        shape->names[i] = ngx_pnalloc(shape->pool, len);

        if (shape->names[i] == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(shape->names[i], name, len);
    }

    return NGX_OK;
}


/* names have to be good only where one is asked for */

static ngx_int_t
ngx_sf_template_bind_names(ngx_sf_template_binding_t *b)
{
    ngx_uint_t   i;
    const char  *name;

    if (b->empty || (!b->t->needs.columns && b->t->hidden[0].name == NULL)) {
        return NGX_OK;
    }

    for (i = 0; i < b->shape->ncolumns; i++) {
        name = b->shape->names[i];

        if (*name == '\0' || ngx_strcmp(name, "?column?") == 0) {
            return ngx_sf_template_refuse(b, "column %ui has no name: write "
                                          "AS and a name behind it", i + 1);
        }

        if (ngx_sf_template_find(b->shape, name) != (ngx_int_t) i) {
            return ngx_sf_template_refuse(b, "two columns have the name "
                                          "\"%s\": write AS and another name "
                                          "behind one of them", name);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_template_bind_hidden(ngx_sf_template_binding_t *b)
{
    ngx_uint_t                       n;
    ngx_int_t                        column;
    const ngx_sf_type_kind_t        *kind;
    const ngx_sf_template_hidden_t  *hidden;

    if (b->empty) {
        return NGX_OK;
    }

    hidden = b->t->hidden;

    for (n = 0; hidden[n].name; n++) { /* void */ }

    b->shape->hidden = ngx_palloc(b->shape->pool, n * sizeof(int) + 1);

    if (b->shape->hidden == NULL) {
        return NGX_ERROR;
    }

    for (n = 0; hidden[n].name; n++) {

        column = ngx_sf_template_bind_column(b, hidden[n].name);

        if (column == NGX_ERROR) {
            return NGX_ERROR;
        }

        b->shape->hidden[n] = (int) column;
        kind = ngx_sf_type_misfit(b->shape->types[column], hidden[n].kind);

        if (kind) {
            return ngx_sf_template_refuse_type(b, column, "here", kind->name);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_template_bind_value(ngx_sf_template_binding_t *b,
    const ngx_sf_template_node_t *node, ngx_sf_json_field_t *field)
{
    field->key = node->key;
    field->kind = node->kind;
    field->text = node->text;
    field->null = node->null;
    field->column = -1;

    switch (node->kind) {

    case NGX_SF_JSON_END:
        field->column = ngx_sf_template_bind_column(b, node->column);

        return field->column == NGX_ERROR ? NGX_ERROR
               : ngx_sf_template_bind_cell(b, field->column, field);

    case NGX_SF_JSON_ROUND:
        field->number = node->number;
        return ngx_sf_template_bind_as(b, node, NGX_SF_TYPE_NUMBER,
                                       "in round()", field);

    case NGX_SF_JSON_PARAM:
    case NGX_SF_JSON_PARAM_NUMBER:
    case NGX_SF_JSON_ECHO:
        field->column = node->number;
        return NGX_OK;

    case NGX_SF_JSON_ROWS:
        if (b->empty) {
            field->kind = NGX_SF_JSON_LITERAL;
            field->text = "[]";
            return NGX_OK;
        }

        if (node->column) {
            field->column = ngx_sf_template_bind_column(b, node->column);

            if (field->column == NGX_ERROR) {
                return NGX_ERROR;
            }
        }

        return ngx_sf_template_bind_fields(b, node, field);

    case NGX_SF_JSON_MAP:
        if (b->empty) {
            field->kind = NGX_SF_JSON_LITERAL;
            field->text = "{}";
            return NGX_OK;
        }

        if (ngx_sf_template_bind_as(b, node, NGX_SF_TYPE_STRING, "as a key",
                                    field)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_sf_template_bind_fields(b, node, field);

    case NGX_SF_JSON_OBJECT:
    case NGX_SF_JSON_LIST:
        return ngx_sf_template_bind_fields(b, node, field);

    default:
        return NGX_OK;
    }
}


static ngx_int_t
ngx_sf_template_bind_cell(ngx_sf_template_binding_t *b, ngx_int_t column,
    ngx_sf_json_field_t *field)
{
    uint32_t  oid;

    oid = b->shape->types[column];

    field->column = column;
    field->kind = ngx_sf_type_json(oid);

    if (field->kind == NGX_SF_JSON_END) {
        return ngx_sf_template_refuse(b, "column \"%s\" is of type %s, which "
                                      "JSON does not have: write "
                                      "to_json(%s) AS %s",
                                      b->shape->names[column],
                                      ngx_sf_type_name(oid),
                                      b->shape->names[column],
                                      b->shape->names[column]);
    }

    if (field->kind == NGX_SF_JSON_ARRAY) {
        field->number = ngx_sf_type_item(oid);
    }

    return NGX_OK;
}


/* a column that is not written by its own type */

static ngx_int_t
ngx_sf_template_bind_as(ngx_sf_template_binding_t *b,
    const ngx_sf_template_node_t *node, ngx_uint_t kind, const char *where,
    ngx_sf_json_field_t *field)
{
    const ngx_sf_type_kind_t  *misfit;

    field->column = ngx_sf_template_bind_column(b, node->column);

    if (field->column == NGX_ERROR) {
        return NGX_ERROR;
    }

    misfit = ngx_sf_type_misfit(b->shape->types[field->column], kind);

    return misfit ? ngx_sf_template_refuse_type(b, field->column, where,
                                                misfit->name)
                  : NGX_OK;
}


static ngx_int_t
ngx_sf_template_bind_fields(ngx_sf_template_binding_t *b,
    const ngx_sf_template_node_t *node, ngx_sf_json_field_t *field)
{
    ngx_uint_t                     n;
    ngx_sf_json_field_t           *f;
    const ngx_sf_template_node_t  *child;

    n = 1;

    for (child = node->first; child; child = child->next) {
        n += child->star ? b->shape->ncolumns : 1;
    }

    f = ngx_pcalloc(b->pool, n * sizeof(ngx_sf_json_field_t));
    if (f == NULL) {
        return NGX_ERROR;
    }

    field->fields = f;

    for (child = node->first; child; child = child->next) {

        if (child->star) {
            f = ngx_sf_template_bind_star(b, node, child, f);

            if (f == NULL) {
                return NGX_ERROR;
            }

        } else if (ngx_sf_template_bind_value(b, child, f++) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* fields of the columns that nothing else names, in the order of SELECT */

static ngx_sf_json_field_t *
ngx_sf_template_bind_star(ngx_sf_template_binding_t *b,
    const ngx_sf_template_node_t *braces, const ngx_sf_template_node_t *star,
    ngx_sf_json_field_t *field)
{
    u_char                        *named;
    ngx_uint_t                     i;
    ngx_int_t                      column;
    const ngx_sf_template_node_t  *node;

    named = ngx_pcalloc(b->pool, b->shape->ncolumns + 1);
    if (named == NULL) {
        return NULL;
    }

    for (i = 0; b->t->hidden[i].name; i++) {
        named[b->shape->hidden[i]] = 1;
    }

    for (node = star->first; node; node = node->next) {
        column = ngx_sf_template_bind_column(b, node->column);

        if (column == NGX_ERROR) {
            return NULL;
        }

        named[column] = 1;
    }

    for (node = braces->first; node; node = node->next) {
        ngx_sf_template_mark_column(b->shape, node->name, named);
        ngx_sf_template_mark(b->shape, node, named);
    }

    for (i = 0; i < b->shape->ncolumns; i++) {

        if (named[i]) {
            continue;
        }

        field->key = ngx_sf_json_escape(b->pool, b->shape->names[i]);

        if (field->key == NULL
            || ngx_sf_template_bind_cell(b, i, field) != NGX_OK)
        {
            return NULL;
        }

        field++;
    }

    return field;
}


/* the columns that a member names, at any depth */

static void
ngx_sf_template_mark(const ngx_sf_shape_t *shape,
    const ngx_sf_template_node_t *node, u_char *named)
{
    const ngx_sf_template_node_t  *child;

    if (node->star) {
        return;
    }

    ngx_sf_template_mark_column(shape, node->column, named);

    for (child = node->first; child; child = child->next) {
        if (child->star) {
            return;
        }
    }

    for (child = node->first; child; child = child->next) {
        ngx_sf_template_mark(shape, child, named);
    }
}


static void
ngx_sf_template_mark_column(const ngx_sf_shape_t *shape, const char *name,
    u_char *named)
{
    ngx_int_t  column;

    column = name ? ngx_sf_template_find(shape, name) : NGX_ERROR;

    if (column != NGX_ERROR) {
        named[column] = 1;
    }
}


/* the first of this name, or NGX_ERROR, which no column is */

static ngx_int_t
ngx_sf_template_find(const ngx_sf_shape_t *shape, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; i < shape->ncolumns; i++) {
        if (ngx_strcmp(shape->names[i], name) == 0) {
            return i;
        }
    }

    return NGX_ERROR;
}


/* the same, but it says which columns there are */

static ngx_int_t
ngx_sf_template_bind_column(ngx_sf_template_binding_t *b, const char *name)
{
    u_char          *p, *last;
    ngx_int_t        column;
    ngx_uint_t       i;
    ngx_sf_shape_t  *shape;

    shape = b->shape;
    column = ngx_sf_template_find(shape, name);

    if (column != NGX_ERROR) {
        return column;
    }

    (void) ngx_sf_template_refuse(b, "there is no column \"%s\"%s", name,
                                  shape->ncolumns ? ", only" : "");

    p = b->error + ngx_strlen(b->error);
    last = b->error + b->size - 1;

    for (i = 0; i < shape->ncolumns; i++) {

        /* so that the last one of those that are named has room for dots */

        if (ngx_strlen(shape->names[i]) + sizeof(", \"\" ...")
            > (size_t) (last - p))
        {
            p = ngx_slprintf(p, last, " ...");
            break;
        }

        p = ngx_slprintf(p, last, "%s \"%s\"", i ? "," : "", shape->names[i]);
    }

    *p = '\0';
    ngx_sf_pg_one_line(b->error, b->size, (char *) b->error);

    return NGX_ERROR;
}


static ngx_int_t
ngx_sf_template_refuse(ngx_sf_template_binding_t *b, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(b->error, b->error + b->size - 1, fmt, args);
    va_end(args);

    *p = '\0';
    ngx_sf_pg_one_line(b->error, b->size, (char *) b->error);

    return NGX_ERROR;
}


/* the type is named where its name is known, else by its oid */

static ngx_int_t
ngx_sf_template_refuse_type(ngx_sf_template_binding_t *b, ngx_int_t column,
    const char *where, const char *what)
{
    uint32_t     oid;
    u_char       number[sizeof("the oid ") + NGX_INT32_LEN];
    const char  *type;

    oid = b->shape->types[column];
    type = ngx_sf_type_name(oid);

    if (type == NULL) {
        ngx_sprintf(number, "the oid %uD%Z", oid);
        type = (char *) number;
    }

    return ngx_sf_template_refuse(b, "column \"%s\" is of type %s, where a %s "
                                  "is expected %s: write a cast in SQL",
                                  b->shape->names[column], type, what, where);
}


ngx_uint_t
ngx_sf_shape_fits(const ngx_sf_shape_t *shape, const PGresult *res)
{
    ngx_uint_t  i;

    if ((ngx_uint_t) PQnfields(res) != shape->ncolumns) {
        return 0;
    }

    for (i = 0; i < shape->ncolumns; i++) {
        if (PQftype(res, (int) i) != shape->types[i]) {
            return 0;
        }
    }

    for (i = 0; i < shape->ncolumns; i++) {
        if (ngx_strcmp(PQfname(res, (int) i), shape->names[i]) != 0) {
            return 0;
        }
    }

    return 1;
}

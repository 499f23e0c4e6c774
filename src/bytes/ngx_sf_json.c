
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * JSON documents out of PostgreSQL's text columns.  A shape, a tree of fields,
 * is compiled into a flat program: an op is a run of literal bytes and the
 * encoder of one value behind it, so that braces, keys and constants cost one
 * copy.  An op that walks rows is followed by its body, the ops of one row;
 * bodies do not nest.
 *
 *     {"campaigns":[   rows    body: {"id":  int   ,"title":  string   }
 *     ],"total":       total
 *     }\n              (no value)
 *
 * ngx_sf_template_bind.c compiles, ngx_sf_resource.c renders rows, and
 * ngx_sf_response.c errors.  The encoders are in ngx_sf_json_value.c; an op
 * holds a copy of its own, so that rendering never asks for a kind.
 *
 * Rendering goes over the program twice.  The first pass adds up the bounds
 * known since the compilation; only the values without one, strings, are
 * looked at, and what was found out is kept in a list of cells, which the
 * second pass takes one by one as it writes.  Hence two rules: both passes
 * meet the same strings in the same order, and nothing is written that was not
 * added up, be it an encoder's or a comma.
 */


#include "ngx_sf_json.h"
#include "ngx_sf_json_value.h"


typedef struct ngx_sf_json_op_s  ngx_sf_json_op_t;


struct ngx_sf_json_op_s {
    ngx_str_t                     lead;    /* literal bytes before the value */
    ngx_sf_json_from_e            from;
    ngx_sf_json_length_pt         length;
    ngx_sf_json_write_pt          write;
    ngx_str_t                     null;    /* what SQL NULL is */
    size_t                        source;  /* offset there */
    int                           column;  /* or number of the parameter */
    u_char                        number;  /* of the field */
    unsigned                      whole:1; /* the cell's own bytes count */

    /* of an op that walks rows */

    ngx_uint_t                    nbody;   /* ops of one row, behind this */
    size_t                        bound;   /* bytes of one row and a comma */
    ngx_uint_t                    ncells;  /* strings of one row */
};


struct ngx_sf_json_program_s {
    ngx_sf_json_op_t             *ops;
    ngx_uint_t                    nops;
    size_t                        bound;   /* of all that is not in a body */
    ngx_uint_t                    ncells;  /* strings that are not in a body */
};


typedef struct {
    ngx_sf_json_program_t        *program;
    u_char                       *lead;    /* of the op to come */
    u_char                       *pos;     /* literal bytes end here */
    ngx_uint_t                    in_row;
} ngx_sf_json_compile_t;


/* one of the two passes */

typedef struct {
    const ngx_sf_json_source_t   *source;
    ngx_sf_json_cell_t           *cell;    /* of the string to come */
} ngx_sf_json_pass_t;


static void ngx_sf_json_measure_shape(const ngx_sf_json_field_t *field,
    ngx_uint_t *nops, size_t *text);
static ngx_int_t ngx_sf_json_compile_value(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_json_compile_list(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_json_compile_rows(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static void ngx_sf_json_add_text(ngx_sf_json_compile_t *c, const char *text);
static ngx_sf_json_op_t *ngx_sf_json_add_op(ngx_sf_json_compile_t *c,
    ngx_sf_json_kind_e kind, const ngx_sf_json_field_t *field);
static void ngx_sf_json_sum(const ngx_sf_json_op_t *op, ngx_uint_t nops,
    size_t *bound, ngx_uint_t *ncells);

static ngx_uint_t ngx_sf_json_count_cells(
    const ngx_sf_json_program_t *program, int nrows);
static size_t ngx_sf_json_measure_ops(ngx_sf_json_pass_t *pass,
    const ngx_sf_json_op_t *op, ngx_uint_t nops, int row);
static size_t ngx_sf_json_measure_rows(ngx_sf_json_pass_t *pass,
    const ngx_sf_json_op_t *op);
static u_char *ngx_sf_json_write_ops(u_char *p, ngx_sf_json_pass_t *pass,
    const ngx_sf_json_op_t *op, ngx_uint_t nops, int row);
static u_char *ngx_sf_json_write_rows(u_char *p, ngx_sf_json_pass_t *pass,
    const ngx_sf_json_op_t *op);


/*
 * The shape is walked twice: its size bounds what the program needs, and then
 * it is filled.  Every document ends with a newline, as those of Flask do.
 */

ngx_sf_json_program_t *
ngx_sf_json_compile(ngx_pool_t *pool, const ngx_sf_json_field_t *shape)
{
    size_t                  text;
    ngx_uint_t              nops;
    ngx_sf_json_compile_t   c;
    ngx_sf_json_program_t  *program;

    nops = 1;
    text = 1;

    ngx_sf_json_measure_shape(shape, &nops, &text);

    program = ngx_pcalloc(pool, sizeof(ngx_sf_json_program_t));
    if (program == NULL) {
        return NULL;
    }

    program->ops = ngx_pcalloc(pool, nops * sizeof(ngx_sf_json_op_t));
    c.lead = ngx_pnalloc(pool, text);

    if (program->ops == NULL || c.lead == NULL) {
        return NULL;
    }

    c.program = program;
    c.pos = c.lead;
    c.in_row = 0;

    if (ngx_sf_json_compile_value(&c, shape) != NGX_OK) {
        return NULL;
    }

    ngx_sf_json_add_text(&c, "\n");
    (void) ngx_sf_json_add_op(&c, NGX_SF_JSON_END, shape);

    ngx_sf_json_sum(program->ops, program->nops, &program->bound,
                    &program->ncells);

    return program;
}


/* upper bounds: a container has up to two brackets, a colon and three ops */

static void
ngx_sf_json_measure_shape(const ngx_sf_json_field_t *field, ngx_uint_t *nops,
    size_t *text)
{
    const ngx_sf_json_field_t  *f;

    *nops += 3;
    *text += sizeof("[{:}]");

    if (field->text != NULL) {
        *text += ngx_strlen(field->text);
    }

    if (field->fields == NULL) {
        return;
    }

    for (f = field->fields; f->kind != NGX_SF_JSON_END; f++) {

        if (f->key != NULL) {
            *text += ngx_strlen(f->key) + sizeof(",\"\":");
        }

        ngx_sf_json_measure_shape(f, nops, text);
    }
}


static ngx_int_t
ngx_sf_json_compile_value(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field)
{
    switch (field->kind) {

    case NGX_SF_JSON_END:
        return NGX_ERROR;

    case NGX_SF_JSON_LITERAL:
        ngx_sf_json_add_text(c, field->text);
        return NGX_OK;

    case NGX_SF_JSON_OBJECT:
    case NGX_SF_JSON_LIST:
        return ngx_sf_json_compile_list(c, field);

    case NGX_SF_JSON_ROWS:
    case NGX_SF_JSON_MAP:
        return ngx_sf_json_compile_rows(c, field);

    default:
        (void) ngx_sf_json_add_op(c, field->kind, field);
        return NGX_OK;
    }
}


/* the fields as they stand, a comma between two */

static ngx_int_t
ngx_sf_json_compile_list(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field)
{
    ngx_uint_t                  object;
    const ngx_sf_json_field_t  *f;

    object = (field->kind == NGX_SF_JSON_OBJECT);

    ngx_sf_json_add_text(c, object ? "{" : "[");

    for (f = field->fields; f->kind != NGX_SF_JSON_END; f++) {

        if (f != field->fields) {
            ngx_sf_json_add_text(c, ",");
        }

        if (object) {
            if (f->key == NULL) {
                return NGX_ERROR;
            }

            ngx_sf_json_add_text(c, "\"");
            ngx_sf_json_add_text(c, f->key);
            ngx_sf_json_add_text(c, "\":");
        }

        if (ngx_sf_json_compile_value(c, f) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_sf_json_add_text(c, object ? "}" : "]");

    return NGX_OK;
}


/*
 * The op of the rows, then those of one row.  The key of a map is the first
 * value of its row.  An END op carries the bytes behind the last value, so each
 * body ends with one.
 */

static ngx_int_t
ngx_sf_json_compile_rows(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field)
{
    ngx_uint_t         map;
    ngx_sf_json_op_t  *op;

    if (c->in_row) {
        return NGX_ERROR;
    }

    map = (field->kind == NGX_SF_JSON_MAP);

    ngx_sf_json_add_text(c, map ? "{" : "[");

    op = ngx_sf_json_add_op(c, field->kind, field);

    c->in_row = 1;

    if (map) {
        (void) ngx_sf_json_add_op(c, NGX_SF_JSON_STRING, field);
        ngx_sf_json_add_text(c, ":");
    }

    if (ngx_sf_json_compile_value(c, field->fields) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) ngx_sf_json_add_op(c, NGX_SF_JSON_END, field);

    c->in_row = 0;

    op->nbody = c->program->ops + c->program->nops - (op + 1);

    ngx_sf_json_sum(op + 1, op->nbody, &op->bound, &op->ncells);
    op->bound += sizeof(",") - 1;

    ngx_sf_json_add_text(c, map ? "}" : "]");

    return NGX_OK;
}


/* literal bytes gather, and become the lead of the next op */

static void
ngx_sf_json_add_text(ngx_sf_json_compile_t *c, const char *text)
{
    c->pos = ngx_cpymem(c->pos, text, ngx_strlen(text));
}


static ngx_sf_json_op_t *
ngx_sf_json_add_op(ngx_sf_json_compile_t *c, ngx_sf_json_kind_e kind,
    const ngx_sf_json_field_t *field)
{
    ngx_sf_json_op_t             *op;
    const ngx_sf_json_encoder_t  *encoder;

    encoder = ngx_sf_json_encoder(kind);

    op = &c->program->ops[c->program->nops++];

    op->lead.data = c->lead;
    op->lead.len = c->pos - c->lead;
    op->from = encoder->from;
    op->length = encoder->length;
    op->write = encoder->write;
    op->whole = encoder->whole;
    op->source = encoder->source;
    op->column = (int) field->column;
    op->number = (u_char) field->number;
    op->null.data = (u_char *) (field->null ? field->null : "null");
    op->null.len = ngx_strlen(op->null.data);
    op->bound = encoder->bound;

    if (kind == NGX_SF_JSON_ARRAY) {
        op->length = ngx_sf_json_length_list;
        op->write = ngx_sf_json_write_list;
    }

    if (op->bound && op->bound < op->null.len) {
        op->bound = op->null.len;
    }

    c->lead = c->pos;

    return op;
}


/* what is known without a row: a body counts by the row, not here */

static void
ngx_sf_json_sum(const ngx_sf_json_op_t *op, ngx_uint_t nops, size_t *bound,
    ngx_uint_t *ncells)
{
    const ngx_sf_json_op_t  *last;

    *bound = 0;
    *ncells = 0;

    for (last = op + nops; op < last; op += op->nbody + 1) {
        *bound += op->lead.len;
        *bound += op->nbody ? 0 : op->bound;
        *ncells += (op->length != NULL);
    }
}


ngx_int_t
ngx_sf_json_render(ngx_pool_t *pool, const ngx_sf_json_program_t *program,
    const ngx_sf_json_source_t *source, ngx_str_t *out)
{
    size_t               size;
    u_char              *last;
    ngx_uint_t           n;
    ngx_sf_json_pass_t   pass;
    ngx_sf_json_cell_t  *cells;

    n = ngx_sf_json_count_cells(program, PQntuples(source->res));

    cells = ngx_palloc(pool, n * sizeof(ngx_sf_json_cell_t));
    if (cells == NULL) {
        return NGX_ERROR;
    }

    pass.source = source;
    pass.cell = cells;

    size = program->bound
           + ngx_sf_json_measure_ops(&pass, program->ops, program->nops, 0);

    out->data = ngx_pnalloc(pool, size);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    pass.cell = cells;

    last = ngx_sf_json_write_ops(out->data, &pass, program->ops,
                                 program->nops, 0);

    out->len = last - out->data;

    (void) ngx_pfree(pool, cells);

    return NGX_OK;
}


/* rows left out are counted as well */

static ngx_uint_t
ngx_sf_json_count_cells(const ngx_sf_json_program_t *program, int nrows)
{
    ngx_uint_t         n;
    ngx_sf_json_op_t  *op, *last;

    n = program->ncells;
    last = program->ops + program->nops;

    for (op = program->ops; op < last; op += op->nbody + 1) {
        n += op->ncells * nrows;
    }

    return n;
}


/*
 * Libpq's text ends with NUL and lives as long as the result, so no value is
 * copied before it is written.  SQL NULL is a cell without text.
 */

static ngx_inline void
ngx_sf_json_load(ngx_sf_json_cell_t *cell, const ngx_sf_json_source_t *source,
    const ngx_sf_json_op_t *op, int row)
{
    const ngx_str_t  *param;

    cell->number = op->number;

    if (op->from == NGX_SF_JSON_FROM_PARAM) {
        param = *(const ngx_str_t *const *)
                                       ((const u_char *) source + op->source);
        param += op->column;
        cell->text = param->data;
        cell->len = param->len;
        return;
    }

    cell->text = (const u_char *) PQgetvalue(source->res, row, op->column);
    cell->len = PQgetlength(source->res, row, op->column);

    if (cell->len == 0 && PQgetisnull(source->res, row, op->column)) {
        cell->text = NULL;
    }
}


/* whether the row stays out of an array or a map */

static ngx_inline ngx_uint_t
ngx_sf_json_skip(const ngx_sf_json_source_t *source,
    const ngx_sf_json_op_t *op, int row)
{
    return op->column >= 0 && PQgetisnull(source->res, row, op->column);
}


/* what the values need on top of their bounds */

static size_t
ngx_sf_json_measure_ops(ngx_sf_json_pass_t *pass, const ngx_sf_json_op_t *op,
    ngx_uint_t nops, int row)
{
    size_t                   size;
    ngx_sf_json_cell_t      *cell;
    const ngx_sf_json_op_t  *last;

    size = 0;

    for (last = op + nops; op < last; op += op->nbody + 1) {

        if (op->length) {
            cell = pass->cell++;
            ngx_sf_json_load(cell, pass->source, op, row);
            size += op->length(cell);

        } else if (op->nbody) {
            size += ngx_sf_json_measure_rows(pass, op);

        } else if (op->whole) {
            size += PQgetlength(pass->source->res, row, op->column);
        }
    }

    return size;
}


static size_t
ngx_sf_json_measure_rows(ngx_sf_json_pass_t *pass, const ngx_sf_json_op_t *op)
{
    int     n, row;
    size_t  size;

    size = 0;
    n = PQntuples(pass->source->res);

    for (row = 0; row < n; row++) {
        if (ngx_sf_json_skip(pass->source, op, row)) {
            continue;
        }

        size += op->bound
                + ngx_sf_json_measure_ops(pass, op + 1, op->nbody, row);
    }

    return size;
}


/*
 * Values without a length() need nothing from the first pass, so their cell is
 * a local one.  A number of the page stands in the source, at op->source.
 */

static u_char *
ngx_sf_json_write_ops(u_char *p, ngx_sf_json_pass_t *pass,
    const ngx_sf_json_op_t *op, ngx_uint_t nops, int row)
{
    ngx_sf_json_cell_t      *cell, unmeasured;
    const ngx_sf_json_op_t  *last;

    for (last = op + nops; op < last; op += op->nbody + 1) {

        p = ngx_cpymem(p, op->lead.data, op->lead.len);

        switch (op->from) {

        case NGX_SF_JSON_FROM_CELL:
        case NGX_SF_JSON_FROM_PARAM:

            if (op->length) {
                cell = pass->cell++;

            } else {
                cell = &unmeasured;
                ngx_sf_json_load(cell, pass->source, op, row);
            }

            p = cell->text ? op->write(p, cell)
                           : ngx_cpymem(p, op->null.data, op->null.len);
            break;

        case NGX_SF_JSON_FROM_NUMBER:
            p = ngx_sprintf(p, "%L", *(const int64_t *)
                               ((const u_char *) pass->source + op->source));
            break;

        case NGX_SF_JSON_FROM_ROWS:
            p = ngx_sf_json_write_rows(p, pass, op);
            break;

        case NGX_SF_JSON_FROM_NOWHERE:
            break;
        }
    }

    return p;
}


static u_char *
ngx_sf_json_write_rows(u_char *p, ngx_sf_json_pass_t *pass,
    const ngx_sf_json_op_t *op)
{
    int      n, row;
    u_char  *start;

    start = p;
    n = PQntuples(pass->source->res);

    for (row = 0; row < n; row++) {
        if (ngx_sf_json_skip(pass->source, op, row)) {
            continue;
        }

        if (p != start) {
            *p++ = ',';
        }

        p = ngx_sf_json_write_ops(p, pass, op + 1, op->nbody, row);
    }

    return p;
}


ngx_int_t
ngx_sf_json_error(ngx_pool_t *pool, const ngx_str_t *message, ngx_str_t *out)
{
    u_char  *p;
    size_t   len;

    len = sizeof("{\"error\":\"\"}\n") - 1
          + ngx_sf_json_length_escaped(message->data, message->len);

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    p = ngx_cpymem(p, "{\"error\":\"", sizeof("{\"error\":\"") - 1);
    p = ngx_sf_json_write_escaped(p, message->data, message->len);
    p = ngx_cpymem(p, "\"}\n", sizeof("\"}\n") - 1);

    out->len = p - out->data;

    return NGX_OK;
}


const char *
ngx_sf_json_escape(ngx_pool_t *pool, const char *text)
{
    u_char  *p;
    size_t   len;

    len = ngx_strlen(text);

    p = ngx_pnalloc(pool, ngx_sf_json_length_escaped((const u_char *) text,
                                                     len) + 1);
    if (p == NULL) {
        return NULL;
    }

    *ngx_sf_json_write_escaped(p, (const u_char *) text, len) = '\0';

    return (char *) p;
}

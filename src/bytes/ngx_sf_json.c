
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * JSON documents out of PostgreSQL's text columns.  A shape, a tree of static
 * fields, is compiled at configuration into a flat program: an op is a run of
 * literal bytes and the encoder of one value behind it, so that braces, keys
 * and constants cost one copy.  An op that walks rows is followed by its body,
 * the ops of one row; bodies do not nest.
 *
 *     {"campaigns":[   rows    body: {"id":  int   ,"title":  string   }
 *     ],"total":       total
 *     }\n              (no value)
 *
 * ngx_http_softfactory_module.c compiles, ngx_sf_resource.c renders rows, and
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
#include "ngx_sf_type.h"


/* types whose numbers may be longer than the bound of an INT */

#define ngx_sf_json_is_wide(oid)                                              \
    ((oid) != 20 && (oid) != 21 && (oid) != 23)


typedef struct ngx_sf_json_op_s  ngx_sf_json_op_t;


struct ngx_sf_json_op_s {
    ngx_str_t                     lead;    /* literal bytes before the value */
    ngx_sf_json_from_e            from;
    ngx_sf_json_length_pt         length;
    ngx_sf_json_write_pt          write;
    const char                   *null;
    size_t                        number;
    int                           column;  /* or number of the parameter */
    unsigned                      digits:1;   /* of an INT, written as they
                                                 come */
    unsigned                      backwards:1;    /* rows: the last first */

    /* of an op that walks rows */

    int                           first;
    ngx_uint_t                    nbody;   /* ops of one row, behind this */
    size_t                        bound;   /* bytes of one row and a comma */
    ngx_uint_t                    ncells;  /* strings of one row */
};


struct ngx_sf_json_program_s {
    ngx_sf_json_op_t             *ops;
    ngx_uint_t                    nops;
    ngx_uint_t                    columns;
    u_char                       *kinds;   /* of the columns */
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
    ngx_uint_t                    wide;    /* digits are counted */
} ngx_sf_json_pass_t;


static void ngx_sf_json_measure_shape(const ngx_sf_json_field_t *field,
    ngx_uint_t *nops, size_t *text, ngx_uint_t *columns);
static ngx_int_t ngx_sf_json_compile_value(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_json_compile_object(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_json_compile_rows(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static void ngx_sf_json_add_text(ngx_sf_json_compile_t *c, const char *text);
static ngx_sf_json_op_t *ngx_sf_json_add_op(ngx_sf_json_compile_t *c,
    ngx_sf_json_kind_e kind, ngx_int_t column);
static void ngx_sf_json_sum(const ngx_sf_json_op_t *op, ngx_uint_t nops,
    size_t *bound, ngx_uint_t *ncells);

static ngx_uint_t ngx_sf_json_wide(const ngx_sf_json_program_t *program,
    const PGresult *res);
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
    ngx_uint_t              nops, columns;
    ngx_sf_json_compile_t   c;
    ngx_sf_json_program_t  *program;

    nops = 1;
    text = 1;
    columns = 0;

    ngx_sf_json_measure_shape(shape, &nops, &text, &columns);

    program = ngx_pcalloc(pool, sizeof(ngx_sf_json_program_t));
    if (program == NULL) {
        return NULL;
    }

    program->ops = ngx_pcalloc(pool, nops * sizeof(ngx_sf_json_op_t));
    program->kinds = ngx_pcalloc(pool, columns + 1);
    c.lead = ngx_pnalloc(pool, text);

    if (program->ops == NULL || program->kinds == NULL || c.lead == NULL) {
        return NULL;
    }

    c.program = program;
    c.pos = c.lead;
    c.in_row = 0;

    if (ngx_sf_json_compile_value(&c, shape) != NGX_OK) {
        return NULL;
    }

    ngx_sf_json_add_text(&c, "\n");
    (void) ngx_sf_json_add_op(&c, NGX_SF_JSON_END, -1);

    ngx_sf_json_sum(program->ops, program->nops, &program->bound,
                    &program->ncells);

    return program;
}


/* upper bounds: a container has up to two brackets, a colon and three ops */

static void
ngx_sf_json_measure_shape(const ngx_sf_json_field_t *field, ngx_uint_t *nops,
    size_t *text, ngx_uint_t *columns)
{
    const ngx_sf_json_field_t  *f;

    *nops += 3;
    *text += sizeof("[{:}]");

    if (field->column >= (ngx_int_t) *columns) {
        *columns = field->column + 1;
    }

    if (field->text != NULL) {
        *text += ngx_strlen(field->text);
    }

    if (field->fields == NULL) {
        return;
    }

    for (f = field->fields; f->kind != NGX_SF_JSON_END; f++) {

        if (f->key != NULL) {
            *text += ngx_sf_json_length_escaped((const u_char *) f->key,
                                                ngx_strlen(f->key))
                     + sizeof(",\"\":");
        }

        ngx_sf_json_measure_shape(f, nops, text, columns);
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
        return ngx_sf_json_compile_object(c, field);

    case NGX_SF_JSON_ROWS:
    case NGX_SF_JSON_BACKWARDS:
    case NGX_SF_JSON_MAP:
        return ngx_sf_json_compile_rows(c, field);

    default:
        (void) ngx_sf_json_add_op(c, field->kind, field->column);
        return NGX_OK;
    }
}


/*
 * Fields in byte order of their keys, each once: that is the order on the wire,
 * and a mistake in a shape is found here.
 */

static ngx_int_t
ngx_sf_json_compile_object(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field)
{
    const ngx_sf_json_field_t  *f;

    ngx_sf_json_add_text(c, "{");

    for (f = field->fields; f->kind != NGX_SF_JSON_END; f++) {

        if (f->key == NULL) {
            return NGX_ERROR;
        }

        if (f != field->fields) {

            if (ngx_strcmp(f[-1].key, f->key) >= 0) {
                return NGX_ERROR;
            }

            ngx_sf_json_add_text(c, ",");
        }

        *c->pos++ = '"';
        c->pos = ngx_sf_json_write_escaped(c->pos, (const u_char *) f->key,
                                           ngx_strlen(f->key));
        ngx_sf_json_add_text(c, "\":");

        if (ngx_sf_json_compile_value(c, f) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_sf_json_add_text(c, "}");

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

    op = ngx_sf_json_add_op(c, field->kind, field->column);
    op->first = (int) field->first;
    op->backwards = (field->kind == NGX_SF_JSON_BACKWARDS);

    c->in_row = 1;

    if (map) {
        (void) ngx_sf_json_add_op(c, NGX_SF_JSON_STRING, field->column);
        ngx_sf_json_add_text(c, ":");
    }

    if (ngx_sf_json_compile_object(c, field) != NGX_OK) {
        return NGX_ERROR;
    }

    (void) ngx_sf_json_add_op(c, NGX_SF_JSON_END, -1);

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
    ngx_int_t column)
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
    op->null = encoder->null;
    op->number = encoder->number;
    op->column = (int) column;
    op->bound = encoder->bound;
    op->digits = kind == NGX_SF_JSON_INT;

    c->lead = c->pos;

    if ((encoder->from == NGX_SF_JSON_FROM_CELL
         || encoder->from == NGX_SF_JSON_FROM_ROWS)
        && column >= (ngx_int_t) c->program->columns)
    {
        c->program->columns = column + 1;
    }

    if (encoder->kind) {
        c->program->kinds[column] |= encoder->kind;
    }

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


ngx_uint_t
ngx_sf_json_columns(const ngx_sf_json_program_t *program)
{
    return program->columns;
}


u_char *
ngx_sf_json_kinds(const ngx_sf_json_program_t *program)
{
    return program->kinds;
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
    pass.wide = ngx_sf_json_wide(program, source->res);

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


/* whether digits that are copied may be more than their bound */

static ngx_uint_t
ngx_sf_json_wide(const ngx_sf_json_program_t *program, const PGresult *res)
{
    ngx_uint_t  i;

    for (i = 0; res && i < program->columns; i++) {
        if ((program->kinds[i] & NGX_SF_TYPE_NUMBER)
            && ngx_sf_json_is_wide(PQftype(res, i)))
        {
            return 1;
        }
    }

    return 0;
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
        if (nrows > op->first) {
            n += op->ncells * (nrows - op->first);
        }
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

    if (op->from == NGX_SF_JSON_FROM_PARAM) {
        param = &source->params[op->column];
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

        } else if (op->digits && pass->wide) {
            size += PQgetlength(pass->source->res, row, op->column);
        }
    }

    return size;
}


/* the first rows may be those of another part of the document: op->first */

static size_t
ngx_sf_json_measure_rows(ngx_sf_json_pass_t *pass, const ngx_sf_json_op_t *op)
{
    int     i, n, row;
    size_t  size;

    size = 0;
    n = PQntuples(pass->source->res);

    for (i = op->first; i < n; i++) {
        row = op->backwards ? n - 1 - (i - op->first) : i;

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
 * a local one.  A number of the page stands in the source, at op->number.
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
                cell->wide = op->digits && pass->wide;
                ngx_sf_json_load(cell, pass->source, op, row);
            }

            p = cell->text ? op->write(p, cell)
                           : ngx_cpymem(p, op->null, ngx_strlen(op->null));
            break;

        case NGX_SF_JSON_FROM_NUMBER:
            p = ngx_sprintf(p, "%L", *(const int64_t *)
                               ((const u_char *) pass->source + op->number));
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
    int      i, n, row;
    u_char  *start;

    start = p;
    n = PQntuples(pass->source->res);

    for (i = op->first; i < n; i++) {
        row = op->backwards ? n - 1 - (i - op->first) : i;

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

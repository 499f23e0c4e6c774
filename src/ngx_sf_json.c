
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
 * ngx_sf_request.c renders pages with it, ngx_sf_export.c whole files,
 * ngx_sf_response.c errors.
 *
 * Rendering goes over the program twice.  The first pass adds up the bounds
 * known since the compilation; only the values without one, strings, are
 * looked at, and what was found out is kept in a list of cells, which the
 * second pass takes one by one as it writes.  Hence two rules: both passes
 * meet the same strings in the same order, and an encoder never writes more
 * than its bound, plus its length if it has one, whatever stands in the cell.
 * A cell that is not what its kind says becomes null, so the output is JSON in
 * any case.  Text is UTF-8 and goes out as it is: neither PostgreSQL nor
 * the caller lets other bytes in.
 */


#include "ngx_sf_json.h"
#include "ngx_sf_number.h"


/* eight characters of text at once: a constant of eight equal bytes */

#define NGX_SF_JSON_WORD          sizeof(uint64_t)
#define ngx_sf_json_word(ch)      (0x0101010101010101ull * (ch))

/* the longest escape is \u00xx: what it adds to its one byte */

#define NGX_SF_JSON_ESCAPE        5

#define NGX_SF_JSON_DATE_LEN      (sizeof("2026-02-20") - 1)
#define NGX_SF_JSON_TIME_LEN      (sizeof("2026-02-20 10:00:00") - 1)
#define NGX_SF_JSON_FRACTION_LEN  (sizeof(".123456") - 1)

/* of CUT100, in code points */

#define NGX_SF_JSON_CUT           100


typedef struct ngx_sf_json_op_s  ngx_sf_json_op_t;


/* where the value of an op is found */

typedef enum {
    NGX_SF_JSON_FROM_NOWHERE = 0,         /* literal bytes only */
    NGX_SF_JSON_FROM_CELL,
    NGX_SF_JSON_FROM_PARAM,
    NGX_SF_JSON_FROM_NUMBER,              /* page, pages, total */
    NGX_SF_JSON_FROM_ROWS                 /* the body, for each row */
} ngx_sf_json_from_e;


typedef struct {
    const u_char                 *text;    /* NULL: SQL NULL, and len is 0 */
    uint32_t                      len;     /* of what is written of it */
    unsigned                      cut:1;   /* there is more text */
    unsigned                      plain:1; /* nothing in it to be escaped */
} ngx_sf_json_cell_t;


typedef size_t (*ngx_sf_json_length_pt)(ngx_sf_json_cell_t *cell);
typedef u_char *(*ngx_sf_json_write_pt)(u_char *p,
    const ngx_sf_json_cell_t *cell);


typedef struct {
    ngx_sf_json_from_e            from;
    size_t                        bound;   /* bytes that are always enough */
    ngx_sf_json_length_pt         length;  /* bytes on top of it, or NULL */
    ngx_sf_json_write_pt          write;
    size_t                        number;  /* offset in the source */
} ngx_sf_json_encoder_t;


struct ngx_sf_json_op_s {
    ngx_str_t                     lead;    /* literal bytes before the value */
    ngx_sf_json_from_e            from;
    ngx_sf_json_length_pt         length;
    ngx_sf_json_write_pt          write;
    size_t                        number;
    int                           column;  /* or number of the parameter */

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
static ngx_int_t ngx_sf_json_compile_object(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static ngx_int_t ngx_sf_json_compile_rows(ngx_sf_json_compile_t *c,
    const ngx_sf_json_field_t *field);
static void ngx_sf_json_add_text(ngx_sf_json_compile_t *c, const char *text);
static ngx_sf_json_op_t *ngx_sf_json_add_op(ngx_sf_json_compile_t *c,
    ngx_sf_json_kind_e kind, ngx_int_t column);
static size_t ngx_sf_json_bound(const ngx_sf_json_op_t *op, ngx_uint_t nops);
static ngx_uint_t ngx_sf_json_ncells(const ngx_sf_json_op_t *op,
    ngx_uint_t nops);

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

static u_char *ngx_sf_json_write_null(u_char *p);
static u_char *ngx_sf_json_write_int(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_float(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_float_or_0(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_round2(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_round2_or_0(u_char *p,
    const ngx_sf_json_cell_t *cell);
static ngx_int_t ngx_sf_json_read_float(const ngx_sf_json_cell_t *cell,
    double *value);
static u_char *ngx_sf_json_write_bool(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_time(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_fraction(u_char *p, const u_char *text,
    size_t len);
static u_char *ngx_sf_json_write_date(u_char *p,
    const ngx_sf_json_cell_t *cell);
static size_t ngx_sf_json_length_string(ngx_sf_json_cell_t *cell);
static size_t ngx_sf_json_length_cut(ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_string(u_char *p,
    const ngx_sf_json_cell_t *cell);
static size_t ngx_sf_json_cut(const u_char *text, size_t len);
static size_t ngx_sf_json_specials(const u_char *text, size_t len);
static u_char *ngx_sf_json_write_escaped(u_char *p, const u_char *text,
    size_t len);
static u_char *ngx_sf_json_write_escape(u_char *p, u_char ch);


/* one row per kind, in the order of ngx_sf_json_kind_e; null always fits */

static const ngx_sf_json_encoder_t  ngx_sf_json_encoders[] = {

    /* END: the literal bytes after the last value */
    { NGX_SF_JSON_FROM_NOWHERE, 0, NULL, NULL, 0 },

    /* INT */
    { NGX_SF_JSON_FROM_CELL,
      NGX_INT64_LEN, NULL, ngx_sf_json_write_int, 0 },

    /* FLOAT */
    { NGX_SF_JSON_FROM_CELL,
      NGX_SF_NUMBER_LEN, NULL, ngx_sf_json_write_float, 0 },

    /* FLOAT_OR_0 */
    { NGX_SF_JSON_FROM_CELL,
      NGX_SF_NUMBER_LEN, NULL, ngx_sf_json_write_float_or_0, 0 },

    /* ROUND2 */
    { NGX_SF_JSON_FROM_CELL,
      NGX_SF_NUMBER_LEN, NULL, ngx_sf_json_write_round2, 0 },

    /* ROUND2_OR_0 */
    { NGX_SF_JSON_FROM_CELL,
      NGX_SF_NUMBER_LEN, NULL, ngx_sf_json_write_round2_or_0, 0 },

    /* BOOL */
    { NGX_SF_JSON_FROM_CELL,
      sizeof("false") - 1, NULL, ngx_sf_json_write_bool, 0 },

    /* STRING */
    { NGX_SF_JSON_FROM_CELL,
      sizeof("null") - 1, ngx_sf_json_length_string,
      ngx_sf_json_write_string, 0 },

    /* CUT100 */
    { NGX_SF_JSON_FROM_CELL,
      sizeof("\"...\"") - 1, ngx_sf_json_length_cut,
      ngx_sf_json_write_string, 0 },

    /* TIME */
    { NGX_SF_JSON_FROM_CELL,
      sizeof("\"2026-02-20T10:00:00.123456\"") - 1, NULL,
      ngx_sf_json_write_time, 0 },

    /* DATE */
    { NGX_SF_JSON_FROM_CELL,
      sizeof("\"2026-02-20\"") - 1, NULL, ngx_sf_json_write_date, 0 },

    /* LITERAL never becomes an op */
    { NGX_SF_JSON_FROM_NOWHERE, 0, NULL, NULL, 0 },

    /* PARAM */
    { NGX_SF_JSON_FROM_PARAM,
      sizeof("null") - 1, ngx_sf_json_length_string,
      ngx_sf_json_write_string, 0 },

    /* PARAM_INT */
    { NGX_SF_JSON_FROM_PARAM,
      NGX_INT64_LEN, NULL, ngx_sf_json_write_int, 0 },

    /* PAGE */
    { NGX_SF_JSON_FROM_NUMBER,
      NGX_INT64_LEN, NULL, NULL, offsetof(ngx_sf_json_source_t, page) },

    /* PAGES */
    { NGX_SF_JSON_FROM_NUMBER,
      NGX_INT64_LEN, NULL, NULL, offsetof(ngx_sf_json_source_t, pages) },

    /* TOTAL */
    { NGX_SF_JSON_FROM_NUMBER,
      NGX_INT64_LEN, NULL, NULL, offsetof(ngx_sf_json_source_t, total) },

    /* OBJECT never becomes an op */
    { NGX_SF_JSON_FROM_NOWHERE, 0, NULL, NULL, 0 },

    /* ROWS */
    { NGX_SF_JSON_FROM_ROWS, 0, NULL, NULL, 0 },

    /* MAP */
    { NGX_SF_JSON_FROM_ROWS, 0, NULL, NULL, 0 }
};


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
    if (program->ops == NULL) {
        return NULL;
    }

    c.lead = ngx_pnalloc(pool, text);
    if (c.lead == NULL) {
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

    program->bound = ngx_sf_json_bound(program->ops, program->nops);
    program->ncells = ngx_sf_json_ncells(program->ops, program->nops);

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
            *text += ngx_strlen(f->key) * (NGX_SF_JSON_ESCAPE + 1)
                     + sizeof(",\"\":");
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
        return ngx_sf_json_compile_object(c, field);

    case NGX_SF_JSON_ROWS:
    case NGX_SF_JSON_MAP:
        return ngx_sf_json_compile_rows(c, field);

    default:
        (void) ngx_sf_json_add_op(c, field->kind, field->column);
        return NGX_OK;
    }
}


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
    op->bound = ngx_sf_json_bound(op + 1, op->nbody) + 1;
    op->ncells = ngx_sf_json_ncells(op + 1, op->nbody);

    ngx_sf_json_add_text(c, map ? "}" : "]");

    return NGX_OK;
}


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

    encoder = &ngx_sf_json_encoders[kind];

    op = &c->program->ops[c->program->nops++];

    op->lead.data = c->lead;
    op->lead.len = c->pos - c->lead;
    op->from = encoder->from;
    op->length = encoder->length;
    op->write = encoder->write;
    op->number = encoder->number;
    op->column = (int) column;
    op->bound = encoder->bound;

    c->lead = c->pos;

    if ((encoder->from == NGX_SF_JSON_FROM_CELL
         || encoder->from == NGX_SF_JSON_FROM_ROWS)
        && column >= (ngx_int_t) c->program->columns)
    {
        c->program->columns = column + 1;
    }

    return op;
}


static size_t
ngx_sf_json_bound(const ngx_sf_json_op_t *op, ngx_uint_t nops)
{
    size_t                   bound;
    const ngx_sf_json_op_t  *last;

    bound = 0;

    for (last = op + nops; op < last; op += op->nbody + 1) {
        bound += op->lead.len;

        if (op->nbody == 0) {
            bound += op->bound;
        }
    }

    return bound;
}


static ngx_uint_t
ngx_sf_json_ncells(const ngx_sf_json_op_t *op, ngx_uint_t nops)
{
    ngx_uint_t               n;
    const ngx_sf_json_op_t  *last;

    n = 0;

    for (last = op + nops; op < last; op += op->nbody + 1) {
        n += (op->length != NULL);
    }

    return n;
}


ngx_uint_t
ngx_sf_json_columns(const ngx_sf_json_program_t *program)
{
    return program->columns;
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
        if (nrows > op->first) {
            n += op->ncells * (nrows - op->first);
        }
    }

    return n;
}


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
        }
    }

    return size;
}


static size_t
ngx_sf_json_measure_rows(ngx_sf_json_pass_t *pass, const ngx_sf_json_op_t *op)
{
    int     row, n;
    size_t  size;

    size = 0;
    n = PQntuples(pass->source->res);

    for (row = op->first; row < n; row++) {

        if (ngx_sf_json_skip(pass->source, op, row)) {
            continue;
        }

        size += op->bound
                + ngx_sf_json_measure_ops(pass, op + 1, op->nbody, row);
    }

    return size;
}


static u_char *
ngx_sf_json_write_ops(u_char *p, ngx_sf_json_pass_t *pass,
    const ngx_sf_json_op_t *op, ngx_uint_t nops, int row)
{
    ngx_sf_json_cell_t       cell;
    const ngx_sf_json_op_t  *last;

    for (last = op + nops; op < last; op += op->nbody + 1) {

        p = ngx_cpymem(p, op->lead.data, op->lead.len);

        switch (op->from) {

        case NGX_SF_JSON_FROM_CELL:
        case NGX_SF_JSON_FROM_PARAM:

            if (op->length) {
                p = op->write(p, pass->cell++);
                break;
            }

            ngx_sf_json_load(&cell, pass->source, op, row);
            p = op->write(p, &cell);
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
    int      row, n;
    u_char  *start;

    start = p;
    n = PQntuples(pass->source->res);

    for (row = op->first; row < n; row++) {

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


static u_char *
ngx_sf_json_write_null(u_char *p)
{
    return ngx_cpymem(p, "null", sizeof("null") - 1);
}


static u_char *
ngx_sf_json_write_int(u_char *p, const ngx_sf_json_cell_t *cell)
{
    size_t         len;
    u_char        *start;
    const u_char  *text;

    start = p;
    text = cell->text;
    len = cell->len;

    if (len && *text == '-') {
        *p++ = *text++;
        len--;
    }

    if (len == 0 || len > NGX_INT64_LEN - 1 || (len > 1 && *text == '0')) {
        return ngx_sf_json_write_null(start);
    }

    do {
        if (*text < '0' || *text > '9') {
            return ngx_sf_json_write_null(start);
        }

        *p++ = *text++;

    } while (--len);

    return p;
}


static u_char *
ngx_sf_json_write_float(u_char *p, const ngx_sf_json_cell_t *cell)
{
    double  value;

    if (ngx_sf_json_read_float(cell, &value) != NGX_OK) {
        return ngx_sf_json_write_null(p);
    }

    return ngx_sf_number_write_float(p, value);
}


static u_char *
ngx_sf_json_write_float_or_0(u_char *p, const ngx_sf_json_cell_t *cell)
{
    if (cell->text == NULL) {
        *p++ = '0';
        return p;
    }

    return ngx_sf_json_write_float(p, cell);
}


static u_char *
ngx_sf_json_write_round2(u_char *p, const ngx_sf_json_cell_t *cell)
{
    double  value;

    if (ngx_sf_json_read_float(cell, &value) != NGX_OK) {
        return ngx_sf_json_write_null(p);
    }

    return ngx_sf_number_write_float(p, ngx_sf_number_round2(value));
}


static u_char *
ngx_sf_json_write_round2_or_0(u_char *p, const ngx_sf_json_cell_t *cell)
{
    if (cell->text == NULL) {
        *p++ = '0';
        return p;
    }

    return ngx_sf_json_write_round2(p, cell);
}


/* strtod() stops at the NUL that libpq puts after each cell */

static ngx_int_t
ngx_sf_json_read_float(const ngx_sf_json_cell_t *cell, double *value)
{
    char  *end;

    if (cell->len == 0) {
        return NGX_DECLINED;
    }

    *value = strtod((const char *) cell->text, &end);

    return (u_char *) end == cell->text + cell->len ? NGX_OK : NGX_DECLINED;
}


static u_char *
ngx_sf_json_write_bool(u_char *p, const ngx_sf_json_cell_t *cell)
{
    if (cell->len == 1 && *cell->text == 't') {
        return ngx_cpymem(p, "true", sizeof("true") - 1);
    }

    if (cell->len == 1 && *cell->text == 'f') {
        return ngx_cpymem(p, "false", sizeof("false") - 1);
    }

    return ngx_sf_json_write_null(p);
}


/*
 * Bits are set where eight characters differ from a form in which a zero
 * stands for any digit; zeros of the form leave room for 0 to 9 in a byte
 * before its high bit is reached, other characters for nothing.
 */

static ngx_inline uint64_t
ngx_sf_json_misfit(const u_char *text, const char *form)
{
    uint64_t  word, like, digits, room;

    ngx_memcpy(&word, text, NGX_SF_JSON_WORD);
    ngx_memcpy(&like, form, NGX_SF_JSON_WORD);

    digits = ~((like ^ ngx_sf_json_word('0')) + ngx_sf_json_word(0x7f))
             & ngx_sf_json_word(0x80);
    room = ngx_sf_json_word(0x7f) - (digits >> 7) * ('9' - '0');

    word ^= like;

    return (((word & ngx_sf_json_word(0x7f)) + room) | word)
           & ngx_sf_json_word(0x80);
}


/*
 * PostgreSQL drops trailing zeros of the fraction and the whole fraction when
 * it is zero.  "infinity", years of five digits and "BC" do not fit: Python
 * has no such time either.
 */

static u_char *
ngx_sf_json_write_time(u_char *p, const ngx_sf_json_cell_t *cell)
{
    u_char        *last;
    const u_char  *text;

    text = cell->text;

    if (cell->len < NGX_SF_JSON_TIME_LEN
        || ngx_sf_json_misfit(text, "0000-00-")
        || ngx_sf_json_misfit(text + 8, "00 00:00")
        || ngx_sf_json_misfit(text + 11, "00:00:00"))
    {
        return ngx_sf_json_write_null(p);
    }

    last = p;

    *last++ = '"';
    last = ngx_cpymem(last, text, NGX_SF_JSON_TIME_LEN);
    p[1 + NGX_SF_JSON_DATE_LEN] = 'T';

    if (cell->len > NGX_SF_JSON_TIME_LEN) {

        last = ngx_sf_json_write_fraction(last, text + NGX_SF_JSON_TIME_LEN,
                                          cell->len - NGX_SF_JSON_TIME_LEN);
        if (last == NULL) {
            return ngx_sf_json_write_null(p);
        }
    }

    *last++ = '"';

    return last;
}


/* NULL: this is no point with one to six digits behind it */

static u_char *
ngx_sf_json_write_fraction(u_char *p, const u_char *text, size_t len)
{
    size_t  i;

    if (*text != '.' || len < 2 || len > NGX_SF_JSON_FRACTION_LEN) {
        return NULL;
    }

    *p++ = '.';

    for (i = 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return NULL;
        }

        *p++ = text[i];
    }

    for ( /* void */ ; i < NGX_SF_JSON_FRACTION_LEN; i++) {
        *p++ = '0';
    }

    return p;
}


static u_char *
ngx_sf_json_write_date(u_char *p, const ngx_sf_json_cell_t *cell)
{
    if (cell->len != NGX_SF_JSON_DATE_LEN
        || ngx_sf_json_misfit(cell->text, "0000-00-")
        || ngx_sf_json_misfit(cell->text + 2, "00-00-00"))
    {
        return ngx_sf_json_write_null(p);
    }

    *p++ = '"';
    p = ngx_cpymem(p, cell->text, NGX_SF_JSON_DATE_LEN);
    *p++ = '"';

    return p;
}


/*
 * The high bit of each byte that JSON wants escaped: controls, the quote, the
 * backslash, DEL.  With the high bits off no sum carries into its neighbour,
 * so the marks are exact, whatever the byte order.
 */

static ngx_inline uint64_t
ngx_sf_json_marks(uint64_t word)
{
    uint64_t  low, plain;

    low = word & ngx_sf_json_word(0x7f);

    plain = (low + ngx_sf_json_word(0x80 - ' '))
            & ((low ^ ngx_sf_json_word('"')) + ngx_sf_json_word(0x7f))
            & ((low ^ ngx_sf_json_word('\\')) + ngx_sf_json_word(0x7f))
            & ~(low + ngx_sf_json_word(0x80 - 0x7f));

    return ~(plain | word) & ngx_sf_json_word(0x80);
}


/* how many of a word's high bits are set, of a word with no other bits */

static ngx_inline size_t
ngx_sf_json_count(uint64_t marks)
{
    return ((marks >> 7) * ngx_sf_json_word(1)) >> 56;
}


static ngx_inline ngx_uint_t
ngx_sf_json_special(u_char ch)
{
    return ch < ' ' || ch == '"' || ch == '\\' || ch == 0x7f;
}


/* every escape is taken for one of the long ones */

static size_t
ngx_sf_json_length_string(ngx_sf_json_cell_t *cell)
{
    size_t  n;

    n = ngx_sf_json_specials(cell->text, cell->len);

    cell->cut = 0;
    cell->plain = (n == 0);

    return cell->len + n * NGX_SF_JSON_ESCAPE;
}


static size_t
ngx_sf_json_length_cut(ngx_sf_json_cell_t *cell)
{
    size_t  len, size;

    len = cell->len;
    cell->len = ngx_sf_json_cut(cell->text, len);

    size = ngx_sf_json_length_string(cell);
    cell->cut = (cell->len != len);

    return size;
}


static u_char *
ngx_sf_json_write_string(u_char *p, const ngx_sf_json_cell_t *cell)
{
    if (cell->text == NULL) {
        return ngx_sf_json_write_null(p);
    }

    *p++ = '"';

    p = cell->plain ? ngx_cpymem(p, cell->text, cell->len)
                    : ngx_sf_json_write_escaped(p, cell->text, cell->len);

    if (cell->cut) {
        p = ngx_cpymem(p, "...", sizeof("...") - 1);
    }

    *p++ = '"';

    return p;
}


/* bytes of the first hundred code points; a byte 10xxxxxx begins none */

static size_t
ngx_sf_json_cut(const u_char *text, size_t len)
{
    size_t      i;
    uint64_t    word;
    ngx_uint_t  n;

    if (len <= NGX_SF_JSON_CUT) {
        return len;
    }

    n = 0;
    i = 0;

    while (n + NGX_SF_JSON_WORD <= NGX_SF_JSON_CUT
           && i + NGX_SF_JSON_WORD <= len)
    {
        ngx_memcpy(&word, text + i, NGX_SF_JSON_WORD);
        word &= ~(word << 1) & ngx_sf_json_word(0x80);

        n += NGX_SF_JSON_WORD - ngx_sf_json_count(word);
        i += NGX_SF_JSON_WORD;
    }

    for ( /* void */ ; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80 && n++ == NGX_SF_JSON_CUT) {
            break;
        }
    }

    return i;
}


/*
 * How many bytes are special, at least: the last word is filled up with what
 * stands before it, and the halves of a short text may overlap.
 */

static size_t
ngx_sf_json_specials(const u_char *text, size_t len)
{
    size_t         n;
    uint32_t       half[2];
    uint64_t       word;
    const u_char  *last;

    n = 0;

    if (len < sizeof(uint32_t)) {
        while (len--) {
            n += ngx_sf_json_special(*text++);
        }

        return n;
    }

    if (len < NGX_SF_JSON_WORD) {
        ngx_memcpy(&half[0], text, sizeof(uint32_t));
        ngx_memcpy(&half[1], text + len - sizeof(uint32_t), sizeof(uint32_t));
        ngx_memcpy(&word, half, NGX_SF_JSON_WORD);

        return ngx_sf_json_count(ngx_sf_json_marks(word));
    }

    last = text + len - NGX_SF_JSON_WORD;

    for ( /* void */ ; text < last; text += NGX_SF_JSON_WORD) {
        ngx_memcpy(&word, text, NGX_SF_JSON_WORD);
        n += ngx_sf_json_count(ngx_sf_json_marks(word));
    }

    ngx_memcpy(&word, last, NGX_SF_JSON_WORD);

    return n + ngx_sf_json_count(ngx_sf_json_marks(word));
}


static u_char *
ngx_sf_json_write_escaped(u_char *p, const u_char *text, size_t len)
{
    uint64_t       word;
    const u_char  *last, *stop;

    last = text + len;

    while (text != last) {

        stop = last;

        if (last - text >= (ssize_t) NGX_SF_JSON_WORD) {
            ngx_memcpy(&word, text, NGX_SF_JSON_WORD);
            stop = text + NGX_SF_JSON_WORD;

            if (ngx_sf_json_marks(word) == 0) {
                ngx_memcpy(p, &word, NGX_SF_JSON_WORD);
                p += NGX_SF_JSON_WORD;
                text = stop;
                continue;
            }
        }

        for ( /* void */ ; text != stop; text++) {
            if (ngx_sf_json_special(*text)) {
                p = ngx_sf_json_write_escape(p, *text);

            } else {
                *p++ = *text;
            }
        }
    }

    return p;
}


static u_char *
ngx_sf_json_write_escape(u_char *p, u_char ch)
{
    static const u_char  hex[] = "0123456789abcdef";

    *p++ = '\\';

    switch (ch) {

    case '"':
    case '\\':
        *p++ = ch;
        return p;

    case '\n':
        *p++ = 'n';
        return p;

    case '\r':
        *p++ = 'r';
        return p;

    case '\t':
        *p++ = 't';
        return p;

    case '\b':
        *p++ = 'b';
        return p;

    case '\f':
        *p++ = 'f';
        return p;
    }

    p = ngx_cpymem(p, "u00", sizeof("u00") - 1);

    *p++ = hex[ch >> 4];
    *p++ = hex[ch & 0xf];

    return p;
}


ngx_int_t
ngx_sf_json_error(ngx_pool_t *pool, const ngx_str_t *message, ngx_str_t *out)
{
    u_char  *p;
    size_t   len;

    len = sizeof("{\"error\":\"\"}\n") - 1
          + message->len + NGX_SF_JSON_ESCAPE
            * ngx_sf_json_specials(message->data, message->len);

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

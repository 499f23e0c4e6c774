
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_TEMPLATE_TREE_H_INCLUDED_
#define _NGX_SF_TEMPLATE_TREE_H_INCLUDED_


#include "ngx_sf_template.h"


/*
 * What ngx_sf_template_read.c, ngx_sf_template.c, which makes the tree, and
 * ngx_sf_template_bind.c, which gives its columns their numbers, have in
 * common; no other file includes it.
 */


typedef struct ngx_sf_template_node_s  ngx_sf_template_node_t;

struct ngx_sf_template_node_s {
    ngx_sf_json_kind_e          kind;     /* END: a column, by its type */
    ngx_uint_t                  star;     /* in braces: all columns, the
                                             children are left out */
    const char                 *key;      /* in braces: with JSON's escapes */
    const char                 *name;     /* the same without */
    const char                 *column;   /* a cell's; of ROWS: the one behind
                                             "if", or NULL; the key of a MAP */
    const char                 *text;     /* LITERAL */
    const char                 *null;     /* behind ??, or NULL */
    ngx_uint_t                  number;   /* of a parameter; decimals */
    const u_char               *at;       /* in the text, while it is read */
    ngx_sf_template_node_t     *first;    /* child */
    ngx_sf_template_node_t     *next;
};


struct ngx_sf_template_s {
    ngx_sf_template_node_t          *root;
    ngx_sf_template_needs_t          needs;
    const ngx_sf_template_hidden_t  *hidden;  /* never NULL */
};


/* --- ngx_sf_template_read.c: bytes -> words, strings, numbers --- */

typedef struct {
    ngx_pool_t                     *pool;
    const u_char                   *pos;  /* the text ends with NUL */
    const ngx_sf_template_name_t   *names;
    const char                     *wrong;
    const u_char                   *at;   /* that is wrong */
    ngx_uint_t                      depth;
    ngx_uint_t                      ncolumns; /* read so far */
} ngx_sf_template_reader_t;


/* remembers why, unless something has been wrong before; returns NGX_ERROR */
ngx_int_t ngx_sf_template_wrong(ngx_sf_template_reader_t *r,
    const u_char *at, const char *why);

/* NULL: that memory is short has been remembered */
void *ngx_sf_template_alloc(ngx_sf_template_reader_t *r, size_t size);

/* the next character that is no blank */
u_char ngx_sf_template_peek(ngx_sf_template_reader_t *r);

/* whether it is this one, which is taken */
ngx_uint_t ngx_sf_template_take(ngx_sf_template_reader_t *r, u_char ch);

/* whether the next one begins the name of a column */
ngx_uint_t ngx_sf_template_is_word(ngx_sf_template_reader_t *r);

/* the name of a column, or of something else without the backticks */
ngx_int_t ngx_sf_template_word(ngx_sf_template_reader_t *r,
    const char **word);

/* a string in double quotes: as written without them, and what it says */
ngx_int_t ngx_sf_template_string(ngx_sf_template_reader_t *r,
    const char **json, const char **text);

/*
 * A string, a number, true, false or null, as written.  NGX_DECLINED: none of
 * them is next.
 */
ngx_int_t ngx_sf_template_literal(ngx_sf_template_reader_t *r,
    const char **json);


#endif /* _NGX_SF_TEMPLATE_TREE_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * PostgreSQL's arrays as those of JSON.  The text of an array nests braces, has
 * quotes around the items that need them and says NULL without quotes; bounds
 * may stand before it, which JSON has no word for:
 *
 *     {1,2,NULL}                  [1,2,null]
 *     {{a,"b \"c\""},{d,"NULL"}}  [["a","b \"c\""],["d","NULL"]]
 *     [0:1]={t,f}                 [true,false]
 *
 * One reader of tokens serves both passes of a rendering, so that the second
 * writes what the first has measured.  An item is written by the encoder of the
 * type of the items, which meets a cell made of the item's text; only strings
 * and json can have escapes of the array in it.  What is no array, which no
 * column of an array's type holds, becomes null as a whole.
 *
 * (PostgreSQL manual, "Array Input and Output Syntax".)
 */


#include "ngx_sf_json_value.h"


/* dimensions of an array at most: MAXDIM */

#define NGX_SF_JSON_LIST_DEPTH  6


typedef enum {
    NGX_SF_JSON_LIST_OPEN = 0,
    NGX_SF_JSON_LIST_ITEM,
    NGX_SF_JSON_LIST_CLOSE,
    NGX_SF_JSON_LIST_END,
    NGX_SF_JSON_LIST_WRONG
} ngx_sf_json_list_token_e;


typedef struct {
    const u_char                 *pos;
    const u_char                 *last;
    ngx_uint_t                    depth;
    unsigned                      opened:1;   /* the last token was { */
    unsigned                      filled:1;   /* it was an item or } */
    unsigned                      comma:1;    /* one stands before it */
} ngx_sf_json_list_t;


static void ngx_sf_json_list_start(ngx_sf_json_list_t *list,
    const ngx_sf_json_cell_t *cell);
static ngx_sf_json_list_token_e ngx_sf_json_list_next(
    ngx_sf_json_list_t *list, ngx_sf_json_cell_t *item);
static ngx_sf_json_list_token_e ngx_sf_json_list_open(
    ngx_sf_json_list_t *list);
static ngx_sf_json_list_token_e ngx_sf_json_list_close(
    ngx_sf_json_list_t *list);
static ngx_sf_json_list_token_e ngx_sf_json_list_quoted(
    ngx_sf_json_list_t *list, ngx_sf_json_cell_t *item);
static ngx_sf_json_list_token_e ngx_sf_json_list_plain(
    ngx_sf_json_list_t *list, ngx_sf_json_cell_t *item);
static u_char *ngx_sf_json_list_write(u_char *p, ngx_sf_json_kind_e kind,
    ngx_sf_json_cell_t *item);
static u_char *ngx_sf_json_list_unescape(u_char *p, ngx_uint_t string,
    const ngx_sf_json_cell_t *item);


size_t
ngx_sf_json_length_list(ngx_sf_json_cell_t *cell)
{
    size_t                        size;
    ngx_sf_json_cell_t            item;
    ngx_sf_json_list_t            list;
    ngx_sf_json_list_token_e      token;
    const ngx_sf_json_encoder_t  *encoder;

    encoder = ngx_sf_json_encoder(cell->number);
    cell->plain = 0;
    size = 0;

    ngx_sf_json_list_start(&list, cell);

    for ( ;; ) {
        token = ngx_sf_json_list_next(&list, &item);

        if (token == NGX_SF_JSON_LIST_WRONG) {
            return 0;
        }

        if (token == NGX_SF_JSON_LIST_END) {
            cell->plain = 1;
            return size;
        }

        size += sizeof(",[") - 1;

        if (token == NGX_SF_JSON_LIST_ITEM) {
            size += encoder->bound;
            size += encoder->whole ? item.len : 0;
            size += encoder->length ? ngx_sf_json_length_escaped(item.text,
                                                                 item.len) : 0;
        }
    }
}


u_char *
ngx_sf_json_write_list(u_char *p, const ngx_sf_json_cell_t *cell)
{
    ngx_sf_json_cell_t        item;
    ngx_sf_json_list_t        list;
    ngx_sf_json_list_token_e  token;

    if (!cell->plain) {
        return ngx_sf_json_write_null(p);
    }

    ngx_sf_json_list_start(&list, cell);

    for ( ;; ) {
        token = ngx_sf_json_list_next(&list, &item);

        if (token >= NGX_SF_JSON_LIST_END) {
            return p;
        }

        if (list.comma) {
            *p++ = ',';
        }

        if (token == NGX_SF_JSON_LIST_ITEM) {
            p = ngx_sf_json_list_write(p, cell->number, &item);

        } else {
            *p++ = token == NGX_SF_JSON_LIST_OPEN ? '[' : ']';
        }
    }
}


/* bounds end with "=", which cannot stand before the first brace otherwise */

static void
ngx_sf_json_list_start(ngx_sf_json_list_t *list,
    const ngx_sf_json_cell_t *cell)
{
    ngx_memzero(list, sizeof(ngx_sf_json_list_t));

    list->pos = cell->text;
    list->last = cell->text + cell->len;

    if (cell->len == 0 || *list->pos != '[') {
        return;
    }

    while (list->pos != list->last && *list->pos != '{') {
        list->pos++;
    }
}


static ngx_sf_json_list_token_e
ngx_sf_json_list_next(ngx_sf_json_list_t *list, ngx_sf_json_cell_t *item)
{
    ngx_uint_t  outside;

    outside = list->depth == 0;
    list->comma = 0;

    if (list->pos == list->last) {
        return outside && list->filled ? NGX_SF_JSON_LIST_END
                                       : NGX_SF_JSON_LIST_WRONG;
    }

    if (*list->pos == '}') {
        return ngx_sf_json_list_close(list);
    }

    if (list->filled) {
        if (outside || *list->pos++ != ',' || list->pos == list->last) {
            return NGX_SF_JSON_LIST_WRONG;
        }

        list->comma = 1;
    }

    if (*list->pos == '{') {
        return ngx_sf_json_list_open(list);
    }

    list->opened = 0;
    list->filled = 1;

    if (outside) {
        return NGX_SF_JSON_LIST_WRONG;
    }

    return *list->pos == '"' ? ngx_sf_json_list_quoted(list, item)
                             : ngx_sf_json_list_plain(list, item);
}


static ngx_sf_json_list_token_e
ngx_sf_json_list_open(ngx_sf_json_list_t *list)
{
    if (list->depth == NGX_SF_JSON_LIST_DEPTH) {
        return NGX_SF_JSON_LIST_WRONG;
    }

    list->pos++;
    list->depth++;
    list->opened = 1;
    list->filled = 0;

    return NGX_SF_JSON_LIST_OPEN;
}


/* behind a comma there must be something */

static ngx_sf_json_list_token_e
ngx_sf_json_list_close(ngx_sf_json_list_t *list)
{
    if (list->depth == 0 || !(list->opened || list->filled)) {
        return NGX_SF_JSON_LIST_WRONG;
    }

    list->pos++;
    list->depth--;
    list->opened = 0;
    list->filled = 1;

    return NGX_SF_JSON_LIST_CLOSE;
}


/* the text of the item is what stands between its quotes, with backslashes */

static ngx_sf_json_list_token_e
ngx_sf_json_list_quoted(ngx_sf_json_list_t *list, ngx_sf_json_cell_t *item)
{
    const u_char  *p;

    item->text = ++list->pos;
    item->plain = 1;

    for (p = list->pos; p < list->last && *p != '"'; p++) {
        if (*p == '\\') {
            item->plain = 0;
            p++;
        }
    }

    if (p >= list->last) {
        return NGX_SF_JSON_LIST_WRONG;
    }

    item->len = p - item->text;
    list->pos = p + 1;

    return NGX_SF_JSON_LIST_ITEM;
}


static ngx_sf_json_list_token_e
ngx_sf_json_list_plain(ngx_sf_json_list_t *list, ngx_sf_json_cell_t *item)
{
    const u_char  *p;

    for (p = list->pos; p < list->last && *p != ',' && *p != '}'; p++) {
        if (*p == '{' || *p == '"' || *p == '\\') {
            return NGX_SF_JSON_LIST_WRONG;
        }
    }

    if (p == list->pos) {
        return NGX_SF_JSON_LIST_WRONG;
    }

    item->text = list->pos;
    item->len = p - list->pos;
    item->plain = 1;
    list->pos = p;

    if (item->len == 4 && ngx_memcmp(item->text, "NULL", 4) == 0) {
        item->text = NULL;
        item->len = 0;
    }

    return NGX_SF_JSON_LIST_ITEM;
}


static u_char *
ngx_sf_json_list_write(u_char *p, ngx_sf_json_kind_e kind,
    ngx_sf_json_cell_t *item)
{
    if (item->text == NULL) {
        return ngx_sf_json_write_null(p);
    }

    if (kind == NGX_SF_JSON_STRING) {
        *p++ = '"';
        p = ngx_sf_json_list_unescape(p, 1, item);
        *p++ = '"';

        return p;
    }

    if (item->plain) {
        return ngx_sf_json_encoder(kind)->write(p, item);
    }

    return kind == NGX_SF_JSON_RAW ? ngx_sf_json_list_unescape(p, 0, item)
                                   : ngx_sf_json_write_null(p);
}


/* a backslash of the array goes, and what stands behind it is itself */

static u_char *
ngx_sf_json_list_unescape(u_char *p, ngx_uint_t string,
    const ngx_sf_json_cell_t *item)
{
    const u_char  *text, *next, *last;

    text = item->text;
    last = text + item->len;

    while (text != last) {

        next = text + (*text == '\\');
        text = next;

        do {
            next++;
        } while (next < last && *next != '\\');

        p = string ? ngx_sf_json_write_escaped(p, text, next - text)
                   : ngx_cpymem(p, text, next - text);
        text = next;
    }

    return p;
}

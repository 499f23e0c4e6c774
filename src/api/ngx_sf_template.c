
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Templates of JSON documents: JSON in which a bare word is a column.
 *
 *     [{*}]                              an object of all columns for each row
 *     {"total": $total, "rows": [{*}]}   among other things
 *     {id, "created": created_at}        of row 0; the key of id is "id"
 *     [{* -secret} if id]                of the rows where id is not NULL
 *     {platform: {posts}}                a member for each row
 *     round(rate, 2) ?? 0                what SQL NULL is
 *
 * A template becomes a tree.  An array that reads a column has one value, which
 * stands for each row; all others are arrays of what is in them.  Braces whose
 * only key is a bare word are a map, which has that column of each row as a key
 * and leaves out rows where it is NULL.
 *
 * An asterisk leaves out the columns that its braces name anywhere, be it as a
 * value or as a key: a column that has another key has not two.  Braces inside
 * with an asterisk of their own do not count, nor their keys.
 *
 * What a column is, number and type, is known when a result has come:
 * ngx_sf_template_bind.c.
 */


#include "ngx_sf_template_tree.h"


/* of a template, in bytes, and of what is in what */

#define NGX_SF_TEMPLATE_LEN    65536
#define NGX_SF_TEMPLATE_DEPTH  32

/* of round(), as many as NGX_SF_NUMBER_DECIMALS */

#define NGX_SF_TEMPLATE_DECIMALS  9


static const char *ngx_sf_template_check(const char *text, size_t *offset);
static ngx_int_t ngx_sf_template_value(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_container(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_braces(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_member(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *braces, ngx_sf_template_node_t *member);
static ngx_int_t ngx_sf_template_member_string(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *member);
static ngx_int_t ngx_sf_template_member_word(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *braces, ngx_sf_template_node_t *member);
static ngx_int_t ngx_sf_template_star(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *member);
static ngx_uint_t ngx_sf_template_unique(const ngx_sf_template_node_t *braces,
    const ngx_sf_template_node_t *member);
static ngx_int_t ngx_sf_template_brackets(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_condition(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_end(ngx_sf_template_reader_t *r, u_char ch);
static ngx_int_t ngx_sf_template_name(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_unknown(ngx_sf_template_reader_t *r,
    const u_char *at, const char *name);
static ngx_int_t ngx_sf_template_column(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_round(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_text(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_int_t ngx_sf_template_null(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node);
static ngx_sf_template_node_t *ngx_sf_template_child(
    ngx_sf_template_reader_t *r, ngx_sf_template_node_t ***last);
static ngx_int_t ngx_sf_template_look(ngx_sf_template_reader_t *r,
    const ngx_sf_template_node_t *node, ngx_uint_t in_row,
    ngx_sf_template_needs_t *needs);


static const ngx_sf_template_name_t    ngx_sf_template_no_names[] = {
    { NULL, 0 }
};

static const ngx_sf_template_hidden_t  ngx_sf_template_no_hidden[] = {
    { NULL, 0 }
};


typedef struct {
    const char                 *name;
    ngx_sf_json_kind_e          kind;
} ngx_sf_template_own_t;

static const ngx_sf_template_own_t  ngx_sf_template_own[] = {
    { "page", NGX_SF_JSON_PAGE },
    { "pages", NGX_SF_JSON_PAGES },
    { "total", NGX_SF_JSON_TOTAL },
    { NULL, NGX_SF_JSON_END }
};


ngx_sf_template_t *
ngx_sf_template_parse(ngx_pool_t *pool, const char *text,
    const ngx_sf_template_name_t *names,
    const ngx_sf_template_hidden_t *hidden, const char **wrong,
    size_t *offset)
{
    ngx_sf_template_t         *t;
    ngx_sf_template_reader_t   r;

    text = text ? text : "[{*}]";
    *wrong = ngx_sf_template_check(text, offset);

    if (*wrong) {
        return NULL;
    }

    ngx_memzero(&r, sizeof(ngx_sf_template_reader_t));

    r.pool = pool;
    r.pos = (const u_char *) text;
    r.names = names ? names : ngx_sf_template_no_names;

    t = ngx_sf_template_alloc(&r, sizeof(ngx_sf_template_t)
                                  + sizeof(ngx_sf_template_node_t));

    if (t) {
        t->root = (ngx_sf_template_node_t *) (t + 1);
        t->hidden = hidden ? hidden : ngx_sf_template_no_hidden;

        if (ngx_sf_template_value(&r, t->root) == NGX_OK
            && ngx_sf_template_peek(&r) != '\0')
        {
            (void) ngx_sf_template_wrong(&r, r.pos, "more text behind the "
                                         "document");
        }
    }

    if (r.wrong == NULL) {
        (void) ngx_sf_template_look(&r, t->root, 0, &t->needs);
    }

    if (r.wrong) {
        *wrong = r.wrong;
        *offset = r.at - (const u_char *) text;
        return NULL;
    }

    return t;
}


const ngx_sf_template_needs_t *
ngx_sf_template_needs(const ngx_sf_template_t *t)
{
    return &t->needs;
}


/* its strings go out as they are, so they have to be UTF-8 (RFC 3629) */

static const char *
ngx_sf_template_check(const char *text, size_t *offset)
{
    size_t    len;
    u_char   *p, *last;
    uint32_t  ch;

    len = ngx_strlen(text);
    *offset = 0;

    if (len > NGX_SF_TEMPLATE_LEN) {
        return "more than 65536 bytes";
    }

    p = (u_char *) text;
    last = p + len;

    while (p < last) {
        *offset = p - (u_char *) text;
        ch = *p < 0x80 ? *p++ : ngx_utf8_decode(&p, last - p);

        if (ch > 0x10ffff || (ch >= 0xd800 && ch <= 0xdfff)) {
            return "bytes that are not UTF-8";
        }
    }

    return NULL;
}


static ngx_int_t
ngx_sf_template_value(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    u_char     ch;
    ngx_int_t  rc;

    ch = ngx_sf_template_peek(r);
    node->at = r->pos;

    if (ch == '{' || ch == '[') {
        return ngx_sf_template_container(r, node);
    }

    if (ch == '$') {
        return ngx_sf_template_name(r, node) == NGX_OK
               ? ngx_sf_template_null(r, node) : NGX_ERROR;
    }

    node->kind = NGX_SF_JSON_LITERAL;
    rc = ngx_sf_template_literal(r, &node->text);

    if (rc == NGX_DECLINED && ngx_sf_template_is_word(r)) {
        rc = ngx_sf_template_column(r, node);
    }

    if (rc == NGX_OK) {
        return ngx_sf_template_null(r, node);
    }

    return ngx_sf_template_wrong(r, r->pos,
                                 ch == '\'' ? "a single quote, where strings "
                                              "have double ones"
                                 : ch == '*' ? "an asterisk that is not in "
                                               "braces: {*}"
                                 : ch == '\0' ? "an end where a value is "
                                                "missing"
                                 : "no value");
}


static ngx_int_t
ngx_sf_template_container(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    ngx_int_t  rc;

    if (r->depth == NGX_SF_TEMPLATE_DEPTH) {
        return ngx_sf_template_wrong(r, r->pos, "more than 32 containers in "
                                     "each other");
    }

    r->depth++;

    rc = *r->pos++ == '{' ? ngx_sf_template_braces(r, node)
                          : ngx_sf_template_brackets(r, node);
    r->depth--;

    if (rc == NGX_OK && ngx_sf_template_peek(r) == '?') {
        return ngx_sf_template_wrong(r, r->pos, "a ?? behind what is never "
                                     "NULL");
    }

    return rc;
}


static ngx_int_t
ngx_sf_template_braces(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    const u_char            *at;
    ngx_sf_template_node_t  *member, **last;

    node->kind = NGX_SF_JSON_OBJECT;
    last = &node->first;

    if (ngx_sf_template_take(r, '}')) {
        return NGX_OK;
    }

    do {
        member = ngx_sf_template_child(r, &last);
        at = r->pos;

        if (member == NULL
            || ngx_sf_template_member(r, node, member) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (node->kind == NGX_SF_JSON_MAP && node->first->next) {
            return ngx_sf_template_wrong(r, at, "a key without quotes beside "
                                         "other members: it is a column, with "
                                         "a member for each row");
        }

        if (!ngx_sf_template_unique(node, member)) {
            return ngx_sf_template_wrong(r, at, "the same key twice");
        }

    } while (ngx_sf_template_take(r, ','));

    return ngx_sf_template_end(r, '}');
}


static ngx_int_t
ngx_sf_template_member(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *braces, ngx_sf_template_node_t *member)
{
    u_char                         ch;
    const ngx_sf_template_node_t  *node;

    ch = ngx_sf_template_peek(r);
    member->at = r->pos;

    if (ch == '"') {
        return ngx_sf_template_member_string(r, member);
    }

    if (ngx_sf_template_is_word(r)) {
        return ngx_sf_template_member_word(r, braces, member);
    }

    if (ch == '*') {
        for (node = braces->first; node != member; node = node->next) {
            if (node->star) {
                return ngx_sf_template_wrong(r, r->pos, "two asterisks in the "
                                             "same braces");
            }
        }

        return ngx_sf_template_star(r, member);
    }

    return ngx_sf_template_wrong(r, r->pos,
                                 ch == '}' || ch == ',' ? "a comma without a "
                                                          "member"
                                 : ch == '\'' ? "a single quote, where keys "
                                                "have double ones"
                                 : ch == '\0' ? "open braces"
                                 : "a member without a key");
}


static ngx_int_t
ngx_sf_template_member_string(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *member)
{
    const char  *key, *name;

    if (ngx_sf_template_string(r, &key, &name) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_sf_template_take(r, ':')) {
        return ngx_sf_template_wrong(r, *r->pos == '=' ? r->pos : member->at,
                                     *r->pos == '=' ? "a \"=\", where a \":\" "
                                                      "is expected"
                                     : "a key without a value");
    }

    member->key = key;
    member->name = name;

    return ngx_sf_template_value(r, member);
}


/* a bare word is a column, and its key the same; or the keys of a map */

static ngx_int_t
ngx_sf_template_member_word(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *braces, ngx_sf_template_node_t *member)
{
    u_char       ch;
    const char  *word;

    if (ngx_sf_template_word(r, &word) != NGX_OK) {
        return NGX_ERROR;
    }

    ch = ngx_sf_template_peek(r);

    if (ch == '(' || ch == '=') {
        return ngx_sf_template_wrong(r, ch == '(' ? member->at : r->pos,
                                     ch == '(' ? "an expression without a key"
                                     : "a \"=\", where a \":\" is expected");
    }

    r->ncolumns++;

    if (ngx_sf_template_take(r, ':')) {
        braces->kind = NGX_SF_JSON_MAP;
        braces->column = word;

        return ngx_sf_template_value(r, member);
    }

    member->key = ngx_sf_json_escape(r->pool, word);
    member->name = word;
    member->column = word;

    if (member->key == NULL) {
        return ngx_sf_template_wrong(r, r->pos, "memory is short");
    }

    return ngx_sf_template_null(r, member);
}


static ngx_int_t
ngx_sf_template_star(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *member)
{
    ngx_sf_template_node_t  *minus, **last;

    r->pos++;
    r->ncolumns++;
    member->star = 1;
    last = &member->first;

    while (ngx_sf_template_take(r, '-')) {
        minus = ngx_sf_template_child(r, &last);

        if (minus == NULL
            || ngx_sf_template_word(r, &minus->column) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_sf_template_unique(const ngx_sf_template_node_t *braces,
    const ngx_sf_template_node_t *member)
{
    const ngx_sf_template_node_t  *node;

    for (node = braces->first; node != member; node = node->next) {
        if (node->name && member->name
            && ngx_strcmp(node->name, member->name) == 0)
        {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_sf_template_brackets(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    ngx_uint_t               ncolumns;
    ngx_sf_template_node_t  *item, **last;

    node->kind = NGX_SF_JSON_LIST;
    ncolumns = r->ncolumns;
    last = &node->first;

    if (ngx_sf_template_take(r, ']')) {
        return NGX_OK;
    }

    do {
        item = ngx_sf_template_child(r, &last);
        item = ngx_sf_template_peek(r) ? item : NULL;

        if (item == NULL) {
            return ngx_sf_template_wrong(r, node->at, "an open bracket");
        }

        if (*r->pos == ']' || *r->pos == ',') {
            return ngx_sf_template_wrong(r, r->pos, "a comma without a value");
        }

        if (ngx_sf_template_value(r, item) != NGX_OK
            || ngx_sf_template_condition(r, node) != NGX_OK)
        {
            return NGX_ERROR;
        }

    } while (ngx_sf_template_take(r, ','));

    if (r->ncolumns != ncolumns) {
        node->kind = NGX_SF_JSON_ROWS;

        if (node->first->next) {
            return ngx_sf_template_wrong(r, node->first->next->at, "an array "
                                         "of several values that reads "
                                         "columns: one stands for each row");
        }
    }

    return ngx_sf_template_end(r, ']');
}


/* behind a value, so this is no column of that name */

static ngx_int_t
ngx_sf_template_condition(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    const char    *word;
    const u_char  *at;

    if (!ngx_sf_template_is_word(r)) {
        return NGX_OK;
    }

    at = r->pos;

    if (ngx_sf_template_word(r, &word) != NGX_OK) {
        return NGX_ERROR;
    }

    if (*at == '`' || ngx_strcmp(word, "if") != 0) {
        return ngx_sf_template_wrong(r, at, "a missing comma");
    }

    if (!ngx_sf_template_is_word(r)) {
        return ngx_sf_template_wrong(r, r->pos, "an \"if\" without a column");
    }

    r->ncolumns++;

    return ngx_sf_template_word(r, &node->column);
}


/* the bracket or brace that ends a container; else it says what is likely */

static ngx_int_t
ngx_sf_template_end(ngx_sf_template_reader_t *r, u_char ch)
{
    u_char  next;

    if (ngx_sf_template_take(r, ch)) {
        return NGX_OK;
    }

    next = *r->pos;

    if (next == '\0') {
        return ngx_sf_template_wrong(r, r->pos, ch == '}' ? "open braces"
                                                          : "an open bracket");
    }

    if (ngx_sf_template_is_word(r) || ngx_strchr("\"{[$*", next)) {
        return ngx_sf_template_wrong(r, r->pos, "a missing comma");
    }

    if (ngx_strchr("+-*/%|<>=!&", next)) {
        return ngx_sf_template_wrong(r, r->pos, "an operator: only SQL "
                                     "computes");
    }

    return ngx_sf_template_wrong(r, r->pos, ch == '}' ? "no comma and no \"}\""
                                            : "no comma and no \"]\"");
}


static ngx_int_t
ngx_sf_template_name(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    ngx_uint_t                    i;
    const char                   *name;
    const u_char                 *at;
    const ngx_sf_template_own_t  *own;

    at = r->pos++;

    if (*r->pos == '`' || !ngx_sf_template_is_word(r) || r->pos != at + 1) {
        return ngx_sf_template_wrong(r, at, "a \"$\" without a name");
    }

    if (ngx_sf_template_word(r, &name) != NGX_OK) {
        return NGX_ERROR;
    }

    for (own = ngx_sf_template_own; own->name; own++) {
        if (ngx_strcmp(own->name, name) == 0) {
            node->kind = own->kind;
            return NGX_OK;
        }
    }

    for (i = 0; r->names[i].name; i++) {
        if (ngx_strcmp(r->names[i].name, name) == 0) {
            node->kind = r->names[i].number ? NGX_SF_JSON_PARAM_NUMBER
                                            : NGX_SF_JSON_PARAM;
            node->number = i;
            return NGX_OK;
        }
    }

    return ngx_sf_template_unknown(r, at, name);
}


static ngx_int_t
ngx_sf_template_unknown(ngx_sf_template_reader_t *r, const u_char *at,
    const char *name)
{
    u_char  *why;

    static const char  unknown[] = "\"$%s\", which is neither a parameter nor "
                                   "$page, $pages or $total%Z";

    why = ngx_sf_template_alloc(r, sizeof(unknown) + ngx_strlen(name));

    if (why == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(why, unknown, name);

    return ngx_sf_template_wrong(r, at, (char *) why);
}


/* a column, or a function that has its name before a bracket */

static ngx_int_t
ngx_sf_template_column(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    const char  *word;

    if (ngx_sf_template_word(r, &word) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_sf_template_take(r, '(')) {
        node->kind = NGX_SF_JSON_END;
        node->column = word;
        r->ncolumns++;

        return NGX_OK;
    }

    if (*node->at != '`' && ngx_strcmp(word, "round") == 0) {
        return ngx_sf_template_round(r, node);
    }

    if (*node->at != '`' && ngx_strcmp(word, "text") == 0) {
        return ngx_sf_template_text(r, node);
    }

    return ngx_sf_template_wrong(r, node->at, "a function that is neither "
                                 "round(column, decimals) nor text($name)");
}


static ngx_int_t
ngx_sf_template_round(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    u_char  digit;

    if (!ngx_sf_template_is_word(r)) {
        return ngx_sf_template_wrong(r, r->pos, "a round() of no column");
    }

    if (ngx_sf_template_word(r, &node->column) != NGX_OK) {
        return NGX_ERROR;
    }

    node->kind = NGX_SF_JSON_ROUND;
    r->ncolumns++;

    if (!ngx_sf_template_take(r, ',')) {
        return ngx_sf_template_wrong(r, r->pos, "a round() without decimals: "
                                     "round(column, 2)");
    }

    digit = ngx_sf_template_peek(r);

    if (digit < '0' || digit > '0' + NGX_SF_TEMPLATE_DECIMALS) {
        return ngx_sf_template_wrong(r, r->pos, "decimals that are not 0 to "
                                     "9");
    }

    node->number = digit - '0';
    r->pos++;

    if (!ngx_sf_template_take(r, ')')) {
        return ngx_sf_template_wrong(r, r->pos, "decimals that are not 0 to "
                                     "9, and a bracket");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_template_text(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    const u_char  *at;

    if (ngx_sf_template_peek(r) != '$') {
        return ngx_sf_template_wrong(r, r->pos, "a text() of no $name");
    }

    at = r->pos;

    if (ngx_sf_template_name(r, node) != NGX_OK) {
        return NGX_ERROR;
    }

    if (node->kind != NGX_SF_JSON_PARAM
        && node->kind != NGX_SF_JSON_PARAM_NUMBER)
    {
        return ngx_sf_template_wrong(r, at, "a text() of no parameter");
    }

    node->kind = NGX_SF_JSON_ECHO;

    return ngx_sf_template_take(r, ')') ? NGX_OK
           : ngx_sf_template_wrong(r, r->pos, "an open text(");
}


static ngx_int_t
ngx_sf_template_null(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t *node)
{
    ngx_int_t      rc;
    const u_char  *at;

    if (!ngx_sf_template_take(r, '?')) {
        return NGX_OK;
    }

    at = r->pos - 1;

    if (*r->pos++ != '?') {
        return ngx_sf_template_wrong(r, at, "a single \"?\", where \"??\" is "
                                     "meant");
    }

    if (node->kind == NGX_SF_JSON_LITERAL || node->kind == NGX_SF_JSON_PAGE
        || node->kind == NGX_SF_JSON_PAGES
        || node->kind == NGX_SF_JSON_TOTAL)
    {
        return ngx_sf_template_wrong(r, at, "a ?? behind what is never NULL");
    }

    rc = ngx_sf_template_literal(r, &node->null);

    return rc != NGX_DECLINED ? rc
           : ngx_sf_template_wrong(r, r->pos, "a ?? without a string, a "
                                   "number, true, false or null");
}


static ngx_sf_template_node_t *
ngx_sf_template_child(ngx_sf_template_reader_t *r,
    ngx_sf_template_node_t ***last)
{
    ngx_sf_template_node_t  *node;

    node = ngx_sf_template_alloc(r, sizeof(ngx_sf_template_node_t));

    if (node) {
        (void) ngx_sf_template_peek(r);
        node->at = r->pos;

        **last = node;
        *last = &node->next;
    }

    return node;
}


/* what it needs, and whether rows stand within rows */

static ngx_int_t
ngx_sf_template_look(ngx_sf_template_reader_t *r,
    const ngx_sf_template_node_t *node, ngx_uint_t in_row,
    ngx_sf_template_needs_t *needs)
{
    ngx_uint_t                     rows;
    const ngx_sf_template_node_t  *child;

    rows = node->kind == NGX_SF_JSON_ROWS || node->kind == NGX_SF_JSON_MAP;

    if (rows && in_row) {
        return ngx_sf_template_wrong(r, node->at, "rows within rows, which "
                                     "only a column of type json can have");
    }

    switch (node->kind) {

    case NGX_SF_JSON_ECHO:
        needs->echoes |= (uint64_t) 1 << node->number;
        /* fall through */

    case NGX_SF_JSON_PARAM:
    case NGX_SF_JSON_PARAM_NUMBER:
        needs->params |= (uint64_t) 1 << node->number;
        break;

    case NGX_SF_JSON_PAGE:
        needs->page = 1;
        break;

    case NGX_SF_JSON_PAGES:
    case NGX_SF_JSON_TOTAL:
        needs->total = 1;
        break;

    case NGX_SF_JSON_END:
    case NGX_SF_JSON_ROUND:
        needs->row |= !in_row;
        /* fall through */

    case NGX_SF_JSON_ROWS:
    case NGX_SF_JSON_MAP:
        needs->columns = 1;
        break;

    default:
        break;
    }

    for (child = node->first; child && !node->star; child = child->next) {
        if (ngx_sf_template_look(r, child, in_row || rows, needs) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

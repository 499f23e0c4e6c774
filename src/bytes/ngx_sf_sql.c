
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * SQL as a template has it: what is quoted, what is a name, what is a group.
 *
 * A template is SQL with $name in the place of values and [[ … ]] around what
 * may be left out.  They are looked for as PostgreSQL's own lexer would look,
 * so that nothing is found where SQL means something else:
 *
 *   'it''s $5.00'   E'it\'s $5.00'     strings
 *   "a [[strange]] name"               names
 *   $$ … $$         $tag$ … $tag$      strings, too
 *   -- to the end of the line          comments; the other kind nests
 *   price$usd                          an identifier
 *   a[b[1]]                            subscripts
 *
 * Subscripts end before the group that they stand in does: of a run of closing
 * brackets the last two close the group.
 *
 * A backslash in a string that no E stands before is a byte like any other:
 * sessions have standard_conforming_strings on.
 *
 * (PostgreSQL manual, 4.1, and src/backend/parser/scan.l.)
 */


#include "ngx_sf_sql.h"


static ngx_sf_sql_token_e ngx_sf_sql_marked(const ngx_sf_sql_t *sql,
    const u_char *p);
static ngx_sf_sql_token_e ngx_sf_sql_take(ngx_sf_sql_t *sql,
    ngx_sf_sql_token_e token, ngx_str_t *text);
static ngx_sf_sql_token_e ngx_sf_sql_refuse(ngx_sf_sql_t *sql,
    const char *wrong);

static u_char *ngx_sf_sql_skip(ngx_sf_sql_t *sql, u_char *p);
static u_char *ngx_sf_sql_skip_bracket(ngx_sf_sql_t *sql, u_char *p);
static u_char *ngx_sf_sql_skip_word(ngx_sf_sql_t *sql, u_char *p);
static u_char *ngx_sf_sql_skip_quoted(ngx_sf_sql_t *sql, u_char *p);
static u_char *ngx_sf_sql_skip_escaped(ngx_sf_sql_t *sql, u_char *p);
static u_char *ngx_sf_sql_skip_gap(u_char *p);
static u_char *ngx_sf_sql_skip_dollar(ngx_sf_sql_t *sql, u_char *p);
static u_char *ngx_sf_sql_skip_line(ngx_sf_sql_t *sql, u_char *p);
static u_char *ngx_sf_sql_skip_comment(ngx_sf_sql_t *sql, u_char *p);

static size_t ngx_sf_sql_dollar(const u_char *p);


static const char  ngx_sf_sql_no_end_of_string[] = "a string without an end";


static ngx_inline ngx_uint_t
ngx_sf_sql_begins_word(u_char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_'
           || ch >= 0x80;
}


static ngx_inline ngx_uint_t
ngx_sf_sql_continues_word(u_char ch)
{
    return ngx_sf_sql_begins_word(ch) || (ch >= '0' && ch <= '9');
}


void
ngx_sf_sql_start(ngx_sf_sql_t *sql, const char *text)
{
    ngx_memzero(sql, sizeof(ngx_sf_sql_t));

    sql->pos = (u_char *) text;
}


/*
 * Text is one token up to the next mark, however many strings and comments are
 * in it.  The text of a NAME is without its "$".
 */

ngx_sf_sql_token_e
ngx_sf_sql_next(ngx_sf_sql_t *sql, ngx_str_t *text)
{
    u_char              *p;
    ngx_sf_sql_token_e   token;

    text->data = sql->pos;
    token = ngx_sf_sql_marked(sql, sql->pos);

    if (token != NGX_SF_SQL_TEXT) {
        return ngx_sf_sql_take(sql, token, text);
    }

    for (p = sql->pos;
         ngx_sf_sql_marked(sql, p) == NGX_SF_SQL_TEXT;
         /* void */ )
    {
        p = ngx_sf_sql_skip(sql, p);

        if (p == NULL) {
            return NGX_SF_SQL_WRONG;
        }
    }

    text->len = p - text->data;
    sql->pos = p;

    return NGX_SF_SQL_TEXT;
}


/* E'…' begins like a word, and a word never ends like it */

ngx_uint_t
ngx_sf_sql_word(ngx_sf_sql_t *sql, ngx_str_t *word)
{
    u_char  *p;

    for (p = sql->pos; *p; p = sql->pos) {

        if (*p == '$' && ngx_sf_sql_dollar(p) == 0) {
            (void) ngx_sf_sql_take(sql, NGX_SF_SQL_NAME, word);
            continue;
        }

        sql->pos = ngx_sf_sql_skip(sql, p);

        if (sql->pos == NULL) {
            sql->pos = p;
            return 0;
        }

        if (ngx_sf_sql_begins_word(*p) && sql->pos[-1] != '\'') {
            word->data = p;
            word->len = sql->pos - p;
            return 1;
        }
    }

    return 0;
}


/* what begins at p, which nothing quotes */

static ngx_sf_sql_token_e
ngx_sf_sql_marked(const ngx_sf_sql_t *sql, const u_char *p)
{
    switch (*p) {

    case '\0':
        return NGX_SF_SQL_END;

    case '$':
        return ngx_sf_sql_dollar(p) ? NGX_SF_SQL_TEXT : NGX_SF_SQL_NAME;

    case '[':
        return p[1] == '[' ? NGX_SF_SQL_OPEN : NGX_SF_SQL_TEXT;

    case ']':
        return p[1] == ']' && sql->depth == 0 ? NGX_SF_SQL_CLOSE
                                              : NGX_SF_SQL_TEXT;

    default:
        return NGX_SF_SQL_TEXT;
    }
}


static ngx_sf_sql_token_e
ngx_sf_sql_take(ngx_sf_sql_t *sql, ngx_sf_sql_token_e token, ngx_str_t *text)
{
    switch (token) {

    case NGX_SF_SQL_NAME:
        text->data = ++sql->pos;

        while (ngx_sf_sql_continues_word(*sql->pos)) {
            sql->pos++;
        }

        break;

    case NGX_SF_SQL_OPEN:
        if (sql->group) {
            return ngx_sf_sql_refuse(sql, "a group within a group");
        }

        sql->group = 1;
        sql->outer = sql->depth;
        sql->depth = 0;
        sql->pos += 2;
        break;

    case NGX_SF_SQL_CLOSE:
        if (!sql->group) {
            return ngx_sf_sql_refuse(sql, "]] without [[");
        }

        sql->group = 0;
        sql->depth = sql->outer;
        sql->pos += 2;
        break;

    default: /* NGX_SF_SQL_END */
        if (sql->group) {
            return ngx_sf_sql_refuse(sql, "a group without an end");
        }
    }

    text->len = sql->pos - text->data;

    return token;
}


static ngx_sf_sql_token_e
ngx_sf_sql_refuse(ngx_sf_sql_t *sql, const char *wrong)
{
    sql->wrong = wrong;

    return NGX_SF_SQL_WRONG;
}


/* past what begins at p and is text; NULL: it has no end */

static u_char *
ngx_sf_sql_skip(ngx_sf_sql_t *sql, u_char *p)
{
    switch (*p) {

    case '\'':
    case '"':
        return ngx_sf_sql_skip_quoted(sql, p);

    case '$':
        return ngx_sf_sql_skip_dollar(sql, p);

    case '-':
        return p[1] == '-' ? ngx_sf_sql_skip_line(sql, p) : p + 1;

    case '/':
        return p[1] == '*' ? ngx_sf_sql_skip_comment(sql, p) : p + 1;

    case '[':
    case ']':
        return ngx_sf_sql_skip_bracket(sql, p);

    default:
        return ngx_sf_sql_begins_word(*p) ? ngx_sf_sql_skip_word(sql, p)
                                          : p + 1;
    }
}


static u_char *
ngx_sf_sql_skip_bracket(ngx_sf_sql_t *sql, u_char *p)
{
    if (*p == '[') {
        sql->depth++;

    } else if (sql->depth) {
        sql->depth--;
    }

    return p + 1;
}


/* a keyword or an identifier, which may have a $ in it; or the E of a string */

static u_char *
ngx_sf_sql_skip_word(ngx_sf_sql_t *sql, u_char *p)
{
    if ((*p == 'e' || *p == 'E') && p[1] == '\'') {
        return ngx_sf_sql_skip_escaped(sql, p + 1);
    }

    while (ngx_sf_sql_continues_word(*p) || *p == '$') {
        p++;
    }

    return p;
}


/* a doubled quote does not end it; it begins another one at once */

static u_char *
ngx_sf_sql_skip_quoted(ngx_sf_sql_t *sql, u_char *p)
{
    u_char  *end;

    end = (u_char *) ngx_strchr(p + 1, *p);

    if (end == NULL) {
        sql->wrong = *p == '"' ? "a quoted name without an end"
                               : ngx_sf_sql_no_end_of_string;
        return NULL;
    }

    return end + 1;
}


/* goes on behind a line break: E'a' and 'b\'' of the next line are one */

static u_char *
ngx_sf_sql_skip_escaped(ngx_sf_sql_t *sql, u_char *p)
{
    do {
        for (p++; *p != '\''; p++) {
            if (*p == '\\') {
                p++;
            }

            if (*p == '\0') {
                sql->wrong = ngx_sf_sql_no_end_of_string;
                return NULL;
            }
        }

        p++;

        if (*p != '\'') {
            p = ngx_sf_sql_skip_gap(p);
        }

    } while (*p == '\'');

    return p;
}


/* to where the next part of a string may begin, else p */

static u_char *
ngx_sf_sql_skip_gap(u_char *p)
{
    u_char      *start;
    ngx_uint_t   lines;

    start = p;

    for (lines = 0; ; p++) {

        if (p[0] == '-' && p[1] == '-') {
            p += strcspn((char *) p, "\r\n");
        }

        if (*p == '\n' || *p == '\r') {
            lines++;

        } else if (*p != ' ' && *p != '\t' && *p != '\f' && *p != '\v') {
            return *p == '\'' && lines ? p : start;
        }
    }
}


static u_char *
ngx_sf_sql_skip_dollar(ngx_sf_sql_t *sql, u_char *p)
{
    size_t   len;
    u_char  *end;

    len = ngx_sf_sql_dollar(p);

    for (end = p + len; (end = (u_char *) ngx_strchr(end, '$')); end++) {
        if (ngx_strncmp(end, p, len) == 0) {
            return end + len;
        }
    }

    sql->wrong = "a dollar-quoted string without an end";

    return NULL;
}


static u_char *
ngx_sf_sql_skip_line(ngx_sf_sql_t *sql, u_char *p)
{
    return p + strcspn((char *) p, "\r\n");
}


static u_char *
ngx_sf_sql_skip_comment(ngx_sf_sql_t *sql, u_char *p)
{
    ngx_uint_t  depth;

    depth = 0;

    do {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;

        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            p += 2;

        } else if (*p++ == '\0') {
            sql->wrong = "a comment without an end";
            return NULL;
        }

    } while (depth);

    return p;
}


/* length of the $$ or $tag$ at p; 0: the $ is a name's */

static size_t
ngx_sf_sql_dollar(const u_char *p)
{
    const u_char  *tag;

    tag = p + 1;

    if (ngx_sf_sql_begins_word(*tag)) {
        while (ngx_sf_sql_continues_word(*tag)) {
            tag++;
        }
    }

    return *tag == '$' ? (size_t) (tag + 1 - p) : 0;
}

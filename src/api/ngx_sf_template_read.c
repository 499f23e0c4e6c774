
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The words of a template: what JSON has, and names.  All texts are copied to
 * the pool, since the template may be gone when it is used.  What is wrong is
 * remembered once, with its place, and everything ends then.
 *
 * A word of digits and letters is a name, so that a column may begin with a
 * digit; one of digits alone is a number where a value can be.
 */


#include "ngx_sf_template_tree.h"


#define ngx_sf_template_is_digit(ch)  ((ch) >= '0' && (ch) <= '9')


static ngx_inline ngx_uint_t
ngx_sf_template_is_letter(u_char ch)
{
    return ngx_sf_template_is_digit(ch) || ch == '_'
           || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}


static const char *ngx_sf_template_copy(ngx_sf_template_reader_t *r,
    const u_char *text, size_t len);
static const u_char *ngx_sf_template_letters(const u_char *p);
static u_char *ngx_sf_template_escape(ngx_sf_template_reader_t *r,
    u_char *out);
static u_char *ngx_sf_template_code_point(ngx_sf_template_reader_t *r,
    u_char *out);
static ngx_int_t ngx_sf_template_hex(const u_char *p);
static ngx_int_t ngx_sf_template_number(ngx_sf_template_reader_t *r,
    const char **json);
static const u_char *ngx_sf_template_digits(const u_char *p);


ngx_int_t
ngx_sf_template_wrong(ngx_sf_template_reader_t *r, const u_char *at,
    const char *why)
{
    if (r->wrong == NULL) {
        r->wrong = why;
        r->at = at;
    }

    return NGX_ERROR;
}


void *
ngx_sf_template_alloc(ngx_sf_template_reader_t *r, size_t size)
{
    void  *p;

    p = ngx_pcalloc(r->pool, size);

    if (p == NULL) {
        (void) ngx_sf_template_wrong(r, r->pos, "memory is short");
    }

    return p;
}


static const char *
ngx_sf_template_copy(ngx_sf_template_reader_t *r, const u_char *text,
    size_t len)
{
    u_char  *p;

    p = ngx_sf_template_alloc(r, len + 1);

    if (p) {
        ngx_memcpy(p, text, len);
    }

    return (char *) p;
}


u_char
ngx_sf_template_peek(ngx_sf_template_reader_t *r)
{
    while (*r->pos == ' ' || *r->pos == '\t' || *r->pos == '\n'
           || *r->pos == '\r')
    {
        r->pos++;
    }

    return *r->pos;
}


ngx_uint_t
ngx_sf_template_take(ngx_sf_template_reader_t *r, u_char ch)
{
    if (ngx_sf_template_peek(r) != ch) {
        return 0;
    }

    r->pos++;

    return 1;
}


ngx_uint_t
ngx_sf_template_is_word(ngx_sf_template_reader_t *r)
{
    return ngx_sf_template_is_letter(ngx_sf_template_peek(r))
           || *r->pos == '`';
}


ngx_int_t
ngx_sf_template_word(ngx_sf_template_reader_t *r, const char **word)
{
    u_char         quote;
    const u_char  *first, *p;

    quote = ngx_sf_template_peek(r) == '`';
    first = r->pos + quote;
    p = first;

    if (quote) {
        while (*p && *p != '`') {
            p++;
        }

        if (*p == '\0') {
            return ngx_sf_template_wrong(r, r->pos, "an open backtick");
        }

    } else {
        p = ngx_sf_template_letters(p);
    }

    if (p == first) {
        return ngx_sf_template_wrong(r, r->pos, "a name is missing");
    }

    *word = ngx_sf_template_copy(r, first, p - first);
    r->pos = p + quote;

    return *word ? NGX_OK : NGX_ERROR;
}


static const u_char *
ngx_sf_template_letters(const u_char *p)
{
    while (ngx_sf_template_is_letter(*p)) {
        p++;
    }

    return p;
}


/* no escape is shorter than what it stands for */

ngx_int_t
ngx_sf_template_string(ngx_sf_template_reader_t *r, const char **json,
    const char **text)
{
    u_char        *out;
    const u_char  *first, *open;

    open = r->pos;
    first = ++r->pos;

    while (*r->pos != '"') {

        if (*r->pos == '\0') {
            return ngx_sf_template_wrong(r, open, "an open double quote");
        }

        if (*r->pos < ' ') {
            return ngx_sf_template_wrong(r, r->pos, "a line break or control "
                                         "in a string, where JSON has \\n "
                                         "and its like");
        }

        r->pos += 1 + (*r->pos == '\\' && r->pos[1] != '\0');
    }

    *json = ngx_sf_template_copy(r, first, r->pos - first);
    out = ngx_sf_template_alloc(r, r->pos - first + 1);

    if (*json == NULL || out == NULL) {
        return NGX_ERROR;
    }

    *text = (char *) out;
    r->pos = first;

    while (*r->pos != '"') {

        if (*r->pos != '\\') {
            *out++ = *r->pos++;
            continue;
        }

        out = ngx_sf_template_escape(r, out);

        if (out == NULL) {
            return NGX_ERROR;
        }
    }

    r->pos++;

    return NGX_OK;
}


static u_char *
ngx_sf_template_escape(ngx_sf_template_reader_t *r, u_char *out)
{
    const char  *at;

    static const char  from[] = "\"\\/bfnrt";
    static const char  to[] = "\"\\/\b\f\n\r\t";

    if (r->pos[1] == 'u') {
        return ngx_sf_template_code_point(r, out);
    }

    at = r->pos[1] ? ngx_strchr(from, r->pos[1]) : NULL;

    if (at == NULL) {
        (void) ngx_sf_template_wrong(r, r->pos, "a \\ that JSON does not "
                                     "have");
        return NULL;
    }

    *out++ = to[at - from];
    r->pos += 2;

    return out;
}


/* \u and four digits, of which two may be one character (RFC 8259, 7) */

static u_char *
ngx_sf_template_code_point(ngx_sf_template_reader_t *r, u_char *out)
{
    uint32_t       ch;
    ngx_int_t      n, low;
    const u_char  *at;

    at = r->pos;
    n = ngx_sf_template_hex(at);
    ch = n;

    if (n >= 0xd800 && n <= 0xdbff) {
        low = ngx_sf_template_hex(at + 6);
        at += 6;
        n = (low >= 0xdc00 && low <= 0xdfff) ? n : NGX_ERROR;
        ch = 0x10000 + ((ch - 0xd800) << 10) + (uint32_t) (low - 0xdc00);
    }

    if (n <= 0 || (n >= 0xdc00 && n <= 0xdfff)) {
        (void) ngx_sf_template_wrong(r, r->pos, "a \\u that is no character");
        return NULL;
    }

    r->pos = at + 6;

    if (ch < 0x80) {
        *out++ = (u_char) ch;
        return out;
    }

    if (ch >= 0x10000) {
        *out++ = (u_char) (0xf0 | (ch >> 18));
        *out++ = (u_char) (0x80 | ((ch >> 12) & 0x3f));

    } else if (ch >= 0x800) {
        *out++ = (u_char) (0xe0 | (ch >> 12));
    }

    *out++ = (u_char) (ch >= 0x800 ? 0x80 | ((ch >> 6) & 0x3f)
                                   : 0xc0 | (ch >> 6));
    *out++ = (u_char) (0x80 | (ch & 0x3f));

    return out;
}


/* of \u and four digits, or NGX_ERROR; NUL, at the end of the text, is none */

static ngx_int_t
ngx_sf_template_hex(const u_char *p)
{
    ngx_uint_t  i;

    if (p[0] != '\\' || p[1] != 'u') {
        return NGX_ERROR;
    }

    for (i = 2; i < 6; i++) {
        if (p[i] == '\0') {
            return NGX_ERROR;
        }
    }

    return ngx_hextoi((u_char *) p + 2, 4);
}


ngx_int_t
ngx_sf_template_literal(ngx_sf_template_reader_t *r, const char **json)
{
    size_t         i, len;
    const char    *text;
    const u_char  *first;

    static const char *const  words[] = { "true", "false", "null" };

    (void) ngx_sf_template_peek(r);
    first = r->pos;

    if (*first == '"') {
        if (ngx_sf_template_string(r, json, &text) != NGX_OK) {
            return NGX_ERROR;
        }

        *json = ngx_sf_template_copy(r, first, r->pos - first);

        return *json ? NGX_OK : NGX_ERROR;
    }

    len = ngx_sf_template_letters(first) - first;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (ngx_strlen(words[i]) == len
            && ngx_memcmp(words[i], first, len) == 0)
        {
            *json = words[i];
            r->pos += len;
            return NGX_OK;
        }
    }

    return ngx_sf_template_number(r, json);
}


static ngx_int_t
ngx_sf_template_number(ngx_sf_template_reader_t *r, const char **json)
{
    ngx_uint_t     good;
    const u_char  *first, *p, *digits;

    first = r->pos;
    digits = first + (*first == '-');

    if (!ngx_sf_template_is_digit(*digits)) {
        return *first == '-' ? ngx_sf_template_wrong(r, first, "no number")
                             : NGX_DECLINED;
    }

    p = ngx_sf_template_digits(digits);
    good = *digits != '0' || p == digits + 1;

    if (*p == '.') {
        digits = p + 1;
        p = ngx_sf_template_digits(digits);
        good = good && p != digits;
    }

    if ((*p == 'e' || *p == 'E')
        && (p[1] == '-' || p[1] == '+' || ngx_sf_template_is_digit(p[1])))
    {
        digits = p + 1 + !ngx_sf_template_is_digit(p[1]);
        p = ngx_sf_template_digits(digits);
        good = good && p != digits;
    }

    /* 2fa is the name of a column */

    if (ngx_sf_template_letters(first) > p) {
        return NGX_DECLINED;
    }

    if (!good || *p == '.' || ngx_sf_template_is_letter(*p)) {
        return ngx_sf_template_wrong(r, first, "a number that JSON does not "
                                     "have");
    }

    *json = ngx_sf_template_copy(r, first, p - first);
    r->pos = p;

    return *json ? NGX_OK : NGX_ERROR;
}


static const u_char *
ngx_sf_template_digits(const u_char *p)
{
    while (ngx_sf_template_is_digit(*p)) {
        p++;
    }

    return p;
}

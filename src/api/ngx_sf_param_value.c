
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Types of parameters: what a text is as a value of each.
 *
 * Here a text is a value or is none; whether that is an error, and what stands
 * in for it, is ngx_sf_param.c's.
 */


#include "ngx_sf_canonical.h"
#include "ngx_sf_number.h"
#include "ngx_sf_param_value.h"

#include <inttypes.h>


#define NGX_SF_PARAM_MAX_TEXT    1024     /* bytes of a decoded text */
#define NGX_SF_PARAM_MAX_ITEMS   64       /* of a list */
#define NGX_SF_PARAM_SEARCH_MIN  2        /* code points of a keyword that
                                             has others than ASCII */
#define NGX_SF_PARAM_SEARCH_MAX  100


typedef ngx_int_t (*ngx_sf_param_parse_pt)(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);

typedef ngx_int_t (*ngx_sf_param_canonical_pt)(const ngx_str_t *text,
    ngx_str_t *out);


static ngx_int_t ngx_sf_param_parse_id(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_int(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_number(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_bool(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_text(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_uuid(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_date(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_time(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_list(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_choice(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);
static ngx_int_t ngx_sf_param_parse_search(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text);

static ngx_int_t ngx_sf_param_items(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    ngx_str_t rest, ngx_str_t *out);
static ngx_str_t ngx_sf_param_item(ngx_str_t *rest);
static u_char *ngx_sf_param_quote(u_char *out, const ngx_str_t *item);
static ngx_int_t ngx_sf_param_search_pattern(ngx_pool_t *pool,
    const ngx_str_t *text, ngx_str_t *out);
static ngx_int_t ngx_sf_param_canonical(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, const ngx_str_t *text, ngx_sf_param_canonical_pt canonical);
static ngx_int_t ngx_sf_param_set_number(ngx_sf_param_reader_t *rd,
    ngx_uint_t i, int64_t number);
static ngx_int_t ngx_sf_param_wrong(ngx_sf_param_reader_t *rd,
    const char *before, const char *middle, const char *after);
static ngx_uint_t ngx_sf_param_text_ok(const ngx_str_t *text);
static ngx_uint_t ngx_sf_param_saturated(const ngx_str_t *text,
    int64_t number);
static size_t ngx_sf_param_code_points(const ngx_str_t *text);


/* by type; those that are read in another way have none */

static const ngx_sf_param_parse_pt  ngx_sf_param_parsers[] = {
    /* END */        NULL,
    /* ID */         ngx_sf_param_parse_id,
    /* INT */        ngx_sf_param_parse_int,
    /* NUMBER */     ngx_sf_param_parse_number,
    /* BOOL */       ngx_sf_param_parse_bool,
    /* TEXT */       ngx_sf_param_parse_text,
    /* UUID */       ngx_sf_param_parse_uuid,
    /* DATE */       ngx_sf_param_parse_date,
    /* TIME */       ngx_sf_param_parse_time,
    /* LIST */       ngx_sf_param_parse_list,
    /* LIST_ONE */   NULL,
    /* CHOICE */     ngx_sf_param_parse_choice,
    /* SEARCH */     ngx_sf_param_parse_search,
    /* PAGE */       NULL,
    /* PAGE_SIZE */  NULL
};


ngx_int_t
ngx_sf_param_value_parse(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];

    rd->low = row->min;
    rd->high = row->max;

    (void) ngx_sf_param_wrong(rd, "Invalid ", row->name, "");

    return ngx_sf_param_parsers[row->type](rd, i, text);
}


/*
 * An id beyond int8 is no error: there is no such row.  Zeros in front do not
 * count, however many there are.
 */

static ngx_int_t
ngx_sf_param_parse_id(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    size_t   n;
    int64_t  number;

    for (n = 0; n < text->len; n++) {
        if (text->data[n] < '0' || text->data[n] > '9') {
            return NGX_DECLINED;
        }
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    number = ngx_atoof(text->data, text->len);

    if (number < 0) {
        rd->params->no_row = 1;
        number = 0;
    }

    return ngx_sf_param_set_number(rd, i, number);
}


/*
 * As Python's int() reads it.  What int8 cannot hold is an error, but to those
 * who are lenient the number next to it: comparisons come out the same.
 */

static ngx_int_t
ngx_sf_param_parse_int(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    int64_t      number;
    ngx_uint_t   short_enough;

    if (ngx_sf_number_parse_int(text, &number) != NGX_OK) {
        return NGX_DECLINED;
    }

    short_enough = ngx_sf_param_text_ok(text);

    if (!rd->rows[i].lenient
        && (!short_enough || ngx_sf_param_saturated(text, number)))
    {
        return NGX_DECLINED;
    }

    rd->low = number;
    rd->high = number;

    if (ngx_sf_param_set_number(rd, i, number) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!short_enough) {
        rd->params->values[i].echo = rd->params->values[i].text;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_param_parse_number(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    ngx_sf_value_t  *value;

    value = &rd->params->values[i];

    value->text.data = ngx_pnalloc(rd->pool, NGX_SF_CANONICAL_LEN);
    if (value->text.data == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_sf_param_text_ok(text)
        || ngx_sf_canonical_number(text, &value->text, &rd->low, &rd->high)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    value->set = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_param_parse_bool(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    return ngx_sf_param_canonical(rd, i, text, ngx_sf_canonical_bool);
}


static ngx_int_t
ngx_sf_param_parse_text(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    ngx_sf_value_t  *value;

    if (!ngx_sf_param_text_ok(text)) {
        return NGX_DECLINED;
    }

    rd->low = ngx_sf_param_code_points(text);
    rd->high = rd->low;

    value = &rd->params->values[i];
    value->text = *text;
    value->set = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_param_parse_uuid(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    return ngx_sf_param_canonical(rd, i, text, ngx_sf_canonical_uuid);
}


/* the date part of a date or a datetime counts */

static ngx_int_t
ngx_sf_param_parse_date(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    int64_t  day;

    if (!ngx_sf_param_text_ok(text)
        || ngx_sf_canonical_date(text, &day) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_sf_param_value_set_day(rd, i, day);
}


static ngx_int_t
ngx_sf_param_parse_time(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    return ngx_sf_param_canonical(rd, i, text, ngx_sf_canonical_time);
}


/*
 * Items are trimmed and empty ones dropped; when none is left the text itself
 * is the only item, as in the original, and matches nothing.  The value is
 * the text form of a PostgreSQL array, every item quoted.  A single item is
 * the value of the LIST_ONE behind, if there is one.
 */

static ngx_int_t
ngx_sf_param_parse_list(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    ngx_int_t        n;
    ngx_str_t        rest, only;
    ngx_sf_value_t  *value;

    if (!ngx_sf_param_text_ok(text)) {
        return NGX_DECLINED;
    }

    if (text->len == 0) {
        return NGX_OK;
    }

    rd->low = ngx_sf_param_code_points(text);
    rd->high = rd->low;

    value = &rd->params->values[i];
    n = ngx_sf_param_items(rd, i, *text, &value->text);

    if (n < 0) {
        return n;
    }

    if (n > 1 || rd->rows[i + 1].type != NGX_SF_PARAM_LIST_ONE) {
        value->set = 1;
        return NGX_OK;
    }

    ngx_str_null(&value->text);

    rest = *text;
    only = ngx_sf_param_item(&rest);

    value[1].text = only.len ? only : *text;
    value[1].echo = value[1].text;
    value[1].set = 1;

    return NGX_OK;
}


/* the number of items, 0 for a text that is one itself; or an error */

static ngx_int_t
ngx_sf_param_items(ngx_sf_param_reader_t *rd, ngx_uint_t i, ngx_str_t rest,
    ngx_str_t *out)
{
    u_char     *p;
    ngx_int_t   n;
    ngx_str_t   item, text;

    /* at worst every byte is escaped, and "," becomes "\",\"" */

    p = ngx_pnalloc(rd->pool, 3 * rest.len + sizeof("{\"\"}"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    text = rest;
    item = ngx_sf_param_item(&rest);

    for (n = 0; item.len; n++) {

        if (n == NGX_SF_PARAM_MAX_ITEMS) {
            return ngx_sf_param_wrong(rd, "Too many ", rd->rows[i].name,
                                      " values");
        }

        *p++ = n ? ',' : '{';
        p = ngx_sf_param_quote(p, &item);
        item = ngx_sf_param_item(&rest);
    }

    if (n == 0) {
        *p++ = '{';
        p = ngx_sf_param_quote(p, &text);
    }

    *p++ = '}';
    out->len = p - out->data;

    return n;
}


/* the next item that is not empty, without the blanks around it */

static ngx_str_t
ngx_sf_param_item(ngx_str_t *rest)
{
    u_char     *p, *last;
    ngx_str_t   item;

    item.len = 0;
    item.data = rest->data;
    last = rest->data + rest->len;

    while (rest->data < last && item.len == 0) {
        item.data = rest->data;
        p = ngx_strlchr(rest->data, last, ',');
        item.len = (p ? p : last) - item.data;
        item = ngx_sf_number_strip(&item);
        rest->data = p ? p + 1 : last;
    }

    rest->len = last - rest->data;

    return item;
}


/* an item of an array's text form */

static u_char *
ngx_sf_param_quote(u_char *out, const ngx_str_t *item)
{
    size_t  i;

    *out++ = '"';

    for (i = 0; i < item->len; i++) {
        if (item->data[i] == '"' || item->data[i] == '\\') {
            *out++ = '\\';
        }

        *out++ = item->data[i];
    }

    *out++ = '"';

    return out;
}


/*
 * The number of the choice selects its SQL; nothing of the text that came is
 * used.
 */

static ngx_int_t
ngx_sf_param_parse_choice(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text)
{
    ngx_uint_t              n;
    const ngx_sf_choice_t  *choice;

    choice = rd->rows[i].choices;

    for (n = 0; choice[n].value; n++) {
        if (ngx_sf_param_is(text, choice[n].value)) {
            return ngx_sf_param_value_set_choice(rd, i, n);
        }
    }

    return NGX_DECLINED;
}


/*
 * The length counts in characters, as Python's len() does, of a keyword whose
 * blanks at both ends are gone.  The keyword is bound like any other value; the
 * refusal of what looks like SQL is kept because clients of the original see
 * it.
 */

static ngx_int_t
ngx_sf_param_parse_search(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *raw)
{
    int64_t                n, min, max;
    ngx_str_t              text;
    ngx_sf_value_t        *value;
    const ngx_sf_param_t  *row;

    row = &rd->rows[i];
    text = ngx_sf_number_strip(raw);
    n = ngx_sf_param_code_points(&text);

    /* two characters of another script may be a word */

    min = n == (int64_t) text.len ? (int64_t) rd->env->min_search
                                  : NGX_SF_PARAM_SEARCH_MIN;
    min = row->min > 0 ? row->min : min;
    max = row->max > 0 && row->max != NGX_SF_NO_LIMIT ? row->max
                                               : NGX_SF_PARAM_SEARCH_MAX;
    rd->low = n;
    rd->high = n;

    if (n < min || n > max) {
        (void) ngx_sprintf(rd->digits, "%L%Z", n < min ? min : max);

        return n < min
               ? ngx_sf_param_wrong(rd, "Search keyword must be at least ",
                                    (char *) rd->digits, " characters")
               : ngx_sf_param_wrong(rd, "Search keyword must be ",
                                    (char *) rd->digits,
                                    " characters or less");
    }

    if (ngx_regex_exec(rd->env->sql_like, &text, NULL, 0) >= 0) {
        return ngx_sf_param_wrong(rd, "Invalid search keyword", "", "");
    }

    if (!ngx_sf_param_text_ok(&text)) {
        return NGX_DECLINED;
    }

    value = &rd->params->values[i];
    value->echo = text;
    value->set = 1;

    return ngx_sf_param_search_pattern(rd->pool, &text, &value->text);
}


/*
 * The stored texts are HTML-escaped, so the keyword is escaped likewise; then
 * LIKE's wildcards lose their meaning.  A backslash keeps its own, as in the
 * original.
 */

static ngx_int_t
ngx_sf_param_search_pattern(ngx_pool_t *pool, const ngx_str_t *text,
    ngx_str_t *out)
{
    u_char  *p, *last, *dst;

    dst = ngx_pnalloc(pool, 6 * text->len + sizeof("%%"));
    if (dst == NULL) {
        return NGX_ERROR;
    }

    out->data = dst;
    *dst++ = '%';

    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        switch (*p) {

        case '&':
            dst = ngx_cpymem(dst, "&amp;", 5);
            break;

        case '<':
            dst = ngx_cpymem(dst, "&lt;", 4);
            break;

        case '>':
            dst = ngx_cpymem(dst, "&gt;", 4);
            break;

        case '"':
            dst = ngx_cpymem(dst, "&quot;", 6);
            break;

        case '\'':
            dst = ngx_cpymem(dst, "&#x27;", 6);
            break;

        case '%':
        case '_':
            *dst++ = '\\';
            /* fall through */

        default:
            *dst++ = *p;
        }
    }

    *dst++ = '%';
    *dst = '\0';

    out->len = dst - out->data;

    return NGX_OK;
}


/* of the types that are texts in a form of their own */

static ngx_int_t
ngx_sf_param_canonical(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    const ngx_str_t *text, ngx_sf_param_canonical_pt canonical)
{
    ngx_sf_value_t  *value;

    value = &rd->params->values[i];

    value->text.data = ngx_pnalloc(rd->pool, NGX_SF_CANONICAL_LEN);
    if (value->text.data == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_sf_param_text_ok(text)
        || canonical(text, &value->text) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    value->set = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_param_set_number(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    int64_t number)
{
    u_char          *text;
    ngx_sf_value_t  *value;

    text = ngx_pnalloc(rd->pool, NGX_INT64_LEN + 1);
    if (text == NULL) {
        return NGX_ERROR;
    }

    value = &rd->params->values[i];

    value->number = number;
    value->set = 1;
    value->text.data = text;

    /* not ngx_sprintf(), which cannot negate the least of all */

    value->text.len = snprintf((char *) text, NGX_INT64_LEN + 1, "%" PRId64,
                               number);

    return NGX_OK;
}


ngx_int_t
ngx_sf_param_value_set_day(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    int64_t day)
{
    ngx_sf_value_t  *value;

    value = &rd->params->values[i];

    value->text.data = ngx_pnalloc(rd->pool, NGX_SF_CANONICAL_LEN);
    if (value->text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sf_canonical_write_date(&value->text, &day);

    value->number = day;
    value->set = 1;

    return NGX_OK;
}


ngx_int_t
ngx_sf_param_value_set_choice(ngx_sf_param_reader_t *rd, ngx_uint_t i,
    ngx_uint_t n)
{
    ngx_sf_value_t         *value;
    const ngx_sf_choice_t  *choice;

    value = &rd->params->values[i];
    choice = &rd->rows[i].choices[n];

    value->number = n;
    value->set = 1;
    value->text.data = (u_char *) choice->value;
    value->text.len = ngx_strlen(choice->value);
    value->echo = value->text;

    return NGX_OK;
}


/* says what is wrong with a text */

static ngx_int_t
ngx_sf_param_wrong(ngx_sf_param_reader_t *rd, const char *before,
    const char *middle, const char *after)
{
    rd->wrong[0] = before;
    rd->wrong[1] = middle;
    rd->wrong[2] = after;

    return NGX_DECLINED;
}


/* PostgreSQL's text has no NUL, and no column is longer than the bound */

static ngx_uint_t
ngx_sf_param_text_ok(const ngx_str_t *text)
{
    return text->len <= NGX_SF_PARAM_MAX_TEXT
           && ngx_strlchr(text->data, text->data + text->len, '\0') == NULL;
}


/*
 * Whether a number is what stands for all beyond it.  Only its plain spelling
 * is taken for the last one that int8 holds.
 */

static ngx_uint_t
ngx_sf_param_saturated(const ngx_str_t *text, int64_t number)
{
    size_t       len;
    const char  *last;

    if (number != INT64_MAX && number != INT64_MIN) {
        return 0;
    }

    last = number == INT64_MAX ? "9223372036854775807"
                               : "-9223372036854775808";
    len = ngx_strlen(last);

    return text->len != len || ngx_memcmp(text->data, last, len) != 0;
}


/*
 * Bytes that do not continue a character (RFC 3629, 3); the text is valid
 * UTF-8.
 */

static size_t
ngx_sf_param_code_points(const ngx_str_t *text)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < text->len; i++) {
        n += (text->data[i] & 0xc0) != 0x80;
    }

    return n;
}

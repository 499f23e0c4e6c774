
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * How the values of a JSON document are written.  An encoder is a row of a
 * table, one for each kind of field: where the value is found, how many bytes
 * are always enough for it, whether those of the cell come on top of it, and up
 * to two functions.  write() is for cells and parameters.  Strings have
 * length() as well, which says how many bytes come on top of the bound and
 * leaves in the cell what write() goes by; it is called once for each cell,
 * before write().
 *
 *     kind      bound   length()             write()
 *     INT       20      -                    17
 *     TIME      28      -                    "2026-02-20T10:00:00"
 *     STRING    4       bytes and escapes    "a \"quoted\" word"
 *     PAGE      20      -                    -
 *
 * ngx_sf_json.c copies the encoder into an op when it compiles a shape, takes
 * length() and write() from there when it renders, and escapes keys and error
 * messages.  What has no write() it writes itself.  Only ngx_sf_json_list.c
 * asks for an encoder while it renders, once for each array.
 *
 * An encoder never writes more than its bound, plus its length if it has one,
 * whatever stands in the cell.  The types of the cells are those that the kinds
 * were chosen by (ngx_sf_type.c); a value that JSON has no form for, such as
 * NaN, becomes null, and so would a cell that is not of its type, so the output
 * is JSON in any case; only json is taken as it is, which PostgreSQL has
 * checked.  SQL NULL comes to length(), with no bytes, but not to write().
 * Text is UTF-8 and goes out as it is: neither PostgreSQL nor the caller lets
 * other bytes in.  Nothing here allocates.
 */


#include "ngx_sf_json_value.h"
#include "ngx_sf_number.h"


/* eight characters of text at once: a constant of eight equal bytes */

#define NGX_SF_JSON_WORD          sizeof(uint64_t)
#define ngx_sf_json_word(ch)      (0x0101010101010101ull * (ch))

/* the longest escape is \u00xx: what it adds to its one byte */

#define NGX_SF_JSON_ESCAPE        5

/* of a number whose digits are copied: those of int8 and a sign */

#define NGX_SF_JSON_DIGITS        NGX_INT64_LEN

#define NGX_SF_JSON_DATE_LEN      (sizeof("2026-02-20") - 1)
#define NGX_SF_JSON_TIME_LEN      (sizeof("2026-02-20 10:00:00") - 1)
#define NGX_SF_JSON_FRACTION_LEN  (sizeof(".123456") - 1)

/* of a timestamp with time zone that has no other form than PostgreSQL's */

#define NGX_SF_JSON_ZONED_LEN     48


static u_char *ngx_sf_json_write_int(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_numeric(u_char *p,
    const ngx_sf_json_cell_t *cell);
static const u_char *ngx_sf_json_skip_digits(const u_char *p,
    const u_char *last);
static u_char *ngx_sf_json_write_float(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_round(u_char *p,
    const ngx_sf_json_cell_t *cell);
static ngx_int_t ngx_sf_json_read_float(const ngx_sf_json_cell_t *cell,
    double *value);
static u_char *ngx_sf_json_write_bool(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_time(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_zoned(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_as_is(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_moment(u_char *p,
    const ngx_sf_json_cell_t *cell);
static ngx_int_t ngx_sf_json_move_to_utc(u_char *p, const u_char *zone,
    size_t len);
static u_char *ngx_sf_json_write_fraction(u_char *p, const u_char *text,
    size_t len);
static u_char *ngx_sf_json_write_date(u_char *p,
    const ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_endless(u_char *p,
    const ngx_sf_json_cell_t *cell, const char *last, const char *first);
static u_char *ngx_sf_json_write_raw(u_char *p,
    const ngx_sf_json_cell_t *cell);
static size_t ngx_sf_json_length_param(ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_param(u_char *p,
    const ngx_sf_json_cell_t *cell);
static size_t ngx_sf_json_length_string(ngx_sf_json_cell_t *cell);
static u_char *ngx_sf_json_write_string(u_char *p,
    const ngx_sf_json_cell_t *cell);
static size_t ngx_sf_json_specials(const u_char *text, size_t len);
static u_char *ngx_sf_json_write_escape(u_char *p, u_char ch);


/*
 * One row per kind, in the order of ngx_sf_json_kind_e: from, bound, whole,
 * length, write, source.  A bound has room for null.
 */

static const ngx_sf_json_encoder_t  ngx_sf_json_encoders[] = {

    /* END: the literal bytes after the last value */
    { NGX_SF_JSON_FROM_NOWHERE, 0, 0, NULL, NULL, 0 },

    /* INT, NUMERIC */
    { NGX_SF_JSON_FROM_CELL, NGX_SF_JSON_DIGITS, 0,
      NULL, ngx_sf_json_write_int, 0 },
    { NGX_SF_JSON_FROM_CELL, sizeof("null") - 1, 1,
      NULL, ngx_sf_json_write_numeric, 0 },

    /* FLOAT, ROUND */
    { NGX_SF_JSON_FROM_CELL, NGX_SF_NUMBER_LEN, 0,
      NULL, ngx_sf_json_write_float, 0 },
    { NGX_SF_JSON_FROM_CELL, NGX_SF_NUMBER_LEN, 0,
      NULL, ngx_sf_json_write_round, 0 },

    /* BOOL */
    { NGX_SF_JSON_FROM_CELL, sizeof("false") - 1, 0,
      NULL, ngx_sf_json_write_bool, 0 },

    /* STRING */
    { NGX_SF_JSON_FROM_CELL, sizeof("null") - 1, 0,
      ngx_sf_json_length_string, ngx_sf_json_write_string, 0 },

    /* TIME, ZONED, DATE */
    { NGX_SF_JSON_FROM_CELL, sizeof("\"2026-02-20T10:00:00.123456\"") - 1, 0,
      NULL, ngx_sf_json_write_time, 0 },
    { NGX_SF_JSON_FROM_CELL, sizeof("\"\"") - 1 + NGX_SF_JSON_ZONED_LEN, 0,
      NULL, ngx_sf_json_write_zoned, 0 },
    { NGX_SF_JSON_FROM_CELL, sizeof("\"2026-02-20\"") - 1, 0,
      NULL, ngx_sf_json_write_date, 0 },

    /* RAW; ARRAY: its functions are those of ngx_sf_json_list.c */
    { NGX_SF_JSON_FROM_CELL, sizeof("null") - 1, 1,
      NULL, ngx_sf_json_write_raw, 0 },
    { NGX_SF_JSON_FROM_CELL, sizeof("null") - 1, 0,
      NULL, NULL, 0 },

    /* LITERAL: no op, its bytes stand before the next one */
    { NGX_SF_JSON_FROM_NOWHERE, 0, 0, NULL, NULL, 0 },

    /* PARAM, PARAM_NUMBER, ECHO */
    { NGX_SF_JSON_FROM_PARAM, sizeof("null") - 1, 0,
      ngx_sf_json_length_string, ngx_sf_json_write_string,
      offsetof(ngx_sf_json_source_t, params) },
    { NGX_SF_JSON_FROM_PARAM, sizeof("false") - 1, 0,
      ngx_sf_json_length_param, ngx_sf_json_write_param,
      offsetof(ngx_sf_json_source_t, params) },
    { NGX_SF_JSON_FROM_PARAM, sizeof("null") - 1, 0,
      ngx_sf_json_length_string, ngx_sf_json_write_string,
      offsetof(ngx_sf_json_source_t, echoes) },

    /* PAGE, PAGES, TOTAL */
    { NGX_SF_JSON_FROM_NUMBER, NGX_INT64_LEN, 0,
      NULL, NULL, offsetof(ngx_sf_json_source_t, page) },
    { NGX_SF_JSON_FROM_NUMBER, NGX_INT64_LEN, 0,
      NULL, NULL, offsetof(ngx_sf_json_source_t, pages) },
    { NGX_SF_JSON_FROM_NUMBER, NGX_INT64_LEN, 0,
      NULL, NULL, offsetof(ngx_sf_json_source_t, total) },

    /* OBJECT, LIST: no op either */
    { NGX_SF_JSON_FROM_NOWHERE, 0, 0, NULL, NULL, 0 },
    { NGX_SF_JSON_FROM_NOWHERE, 0, 0, NULL, NULL, 0 },

    /* ROWS, MAP */
    { NGX_SF_JSON_FROM_ROWS, 0, 0, NULL, NULL, 0 },
    { NGX_SF_JSON_FROM_ROWS, 0, 0, NULL, NULL, 0 }
};


const ngx_sf_json_encoder_t *
ngx_sf_json_encoder(ngx_sf_json_kind_e kind)
{
    return &ngx_sf_json_encoders[kind];
}


u_char *
ngx_sf_json_write_null(u_char *p)
{
    return ngx_cpymem(p, "null", sizeof("null") - 1);
}


/* more digits than int8 has were not counted, so they do not come */

static u_char *
ngx_sf_json_write_int(u_char *p, const ngx_sf_json_cell_t *cell)
{
    return cell->len <= NGX_SF_JSON_DIGITS
           ? ngx_sf_json_write_numeric(p, cell) : ngx_sf_json_write_null(p);
}


/*
 * The digits as they come: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?, as
 * PostgreSQL writes any finite number.
 */

static u_char *
ngx_sf_json_write_numeric(u_char *p, const ngx_sf_json_cell_t *cell)
{
    const u_char  *text, *last, *digits;

    text = cell->text;
    last = text + cell->len;

    digits = text + (text != last && *text == '-');
    text = ngx_sf_json_skip_digits(digits, last);

    if (text == digits || (*digits == '0' && text - digits > 1)) {
        return ngx_sf_json_write_null(p);
    }

    if (text != last && *text == '.') {
        digits = ++text;
        text = ngx_sf_json_skip_digits(digits, last);

        if (text == digits) {
            return ngx_sf_json_write_null(p);
        }
    }

    if (text != last && (*text == 'e' || *text == 'E')) {
        digits = text + 1;
        digits += digits != last && (*digits == '-' || *digits == '+');
        text = ngx_sf_json_skip_digits(digits, last);

        if (text == digits) {
            return ngx_sf_json_write_null(p);
        }
    }

    return text == last ? ngx_cpymem(p, cell->text, cell->len)
                        : ngx_sf_json_write_null(p);
}


static const u_char *
ngx_sf_json_skip_digits(const u_char *p, const u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

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
ngx_sf_json_write_round(u_char *p, const ngx_sf_json_cell_t *cell)
{
    double  value;

    if (ngx_sf_json_read_float(cell, &value) != NGX_OK) {
        return ngx_sf_json_write_null(p);
    }

    value = ngx_sf_number_round(value, cell->number);

    return ngx_sf_number_write_float(p, value);
}


/*
 * strtod() stops at the NUL that libpq puts after each cell, and at what stands
 * after an item of an array
 */

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


/* a number is true unless it is zero */

static u_char *
ngx_sf_json_write_bool(u_char *p, const ngx_sf_json_cell_t *cell)
{
    u_char  first;

    first = cell->len ? *cell->text : '\0';

    if (cell->len == 1 && (first == 'f' || first == '0')) {
        return ngx_cpymem(p, "false", sizeof("false") - 1);
    }

    if ((cell->len == 1 && first == 't') || first == '-'
        || (first >= '1' && first <= '9'))
    {
        return ngx_cpymem(p, "true", sizeof("true") - 1);
    }

    return ngx_sf_json_write_null(p);
}


static ngx_inline ngx_uint_t
ngx_sf_json_special(u_char ch)
{
    return ch < ' ' || ch == '"' || ch == '\\' || ch == 0x7f;
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
 * Years of five digits and "BC" are no form of this: Python has no such time
 * either.
 */

static u_char *
ngx_sf_json_write_time(u_char *p, const ngx_sf_json_cell_t *cell)
{
    u_char  *last;

    if (cell->len == NGX_SF_JSON_DATE_LEN) {
        return ngx_sf_json_write_date(p, cell);
    }

    last = ngx_sf_json_write_moment(p + 1, cell);

    if (last == NULL) {
        return ngx_sf_json_write_endless(p, cell,
                                         "\"9999-12-31T23:59:59.999999\"",
                                         "\"0001-01-01T00:00:00\"");
    }

    *p = '"';
    *last++ = '"';

    return last;
}


static u_char *
ngx_sf_json_write_zoned(u_char *p, const ngx_sf_json_cell_t *cell)
{
    u_char  *last;

    last = ngx_sf_json_write_moment(p + 1, cell);

    if (last == NULL) {
        return ngx_sf_json_write_as_is(p, cell);
    }

    *p = '"';
    last = ngx_cpymem(last, "+00:00", sizeof("+00:00") - 1);
    *last++ = '"';

    return last;
}


/* "infinity", "0044-03-15 12:00:00+00 BC" */

static u_char *
ngx_sf_json_write_as_is(u_char *p, const ngx_sf_json_cell_t *cell)
{
    size_t   i;
    u_char  *last;

    if (cell->len == 0 || cell->len > NGX_SF_JSON_ZONED_LEN) {
        return ngx_sf_json_write_null(p);
    }

    last = p;
    *last++ = '"';

    for (i = 0; i < cell->len; i++) {
        if (ngx_sf_json_special(cell->text[i]) || cell->text[i] > 0x7f) {
            return ngx_sf_json_write_null(p);
        }

        *last++ = cell->text[i];
    }

    *last++ = '"';

    return last;
}


/*
 * PostgreSQL drops trailing zeros of the fraction and the whole fraction when
 * it is zero, and puts the session's offset behind a time with a zone.  NULL:
 * it is something else.
 */

static u_char *
ngx_sf_json_write_moment(u_char *p, const ngx_sf_json_cell_t *cell)
{
    u_char        *last;
    const u_char  *text, *zone, *end;

    text = cell->text;

    if (cell->len < NGX_SF_JSON_TIME_LEN
        || ngx_sf_json_misfit(text, "0000-00-")
        || ngx_sf_json_misfit(text + 8, "00 00:00")
        || ngx_sf_json_misfit(text + 11, "00:00:00"))
    {
        return NULL;
    }

    last = ngx_cpymem(p, text, NGX_SF_JSON_TIME_LEN);
    p[NGX_SF_JSON_DATE_LEN] = 'T';

    end = text + cell->len;
    text += NGX_SF_JSON_TIME_LEN;
    zone = text;

    while (zone != end && *zone != '+' && *zone != '-') {
        zone++;
    }

    if (zone != text) {
        last = ngx_sf_json_write_fraction(last, text, zone - text);

        if (last == NULL) {
            return NULL;
        }
    }

    if (zone != end && ngx_sf_json_move_to_utc(p, zone, end - zone) != NGX_OK) {
        return NULL;
    }

    return last;
}


/* takes the offset, "+09", "-03:30" or "+00:53:28", off a time just written */

static ngx_int_t
ngx_sf_json_move_to_utc(u_char *p, const u_char *zone, size_t len)
{
    size_t      i;
    time_t      t;
    ngx_int_t   n, offset;
    struct tm   tm;

    offset = 0;

    for (i = 0; i < 3; i++) {
        n = 3 * i < len ? ngx_atoi((u_char *) zone + 3 * i + 1, 2) : 0;

        if (3 * i < len && (len < 3 * i + 3 || n == NGX_ERROR)) {
            return NGX_DECLINED;
        }

        offset = offset * 60 + n;
    }

    if (offset == 0) {
        return NGX_OK;
    }

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = ngx_atoi(p, 4) - 1900;
    tm.tm_mon = ngx_atoi(p + 5, 2) - 1;
    tm.tm_mday = ngx_atoi(p + 8, 2);
    tm.tm_hour = ngx_atoi(p + 11, 2);
    tm.tm_min = ngx_atoi(p + 14, 2);
    tm.tm_sec = ngx_atoi(p + 17, 2);

    t = timegm(&tm) + (*zone == '-' ? offset : -offset);

    if (gmtime_r(&t, &tm) == NULL
        || tm.tm_year < 1 - 1900 || tm.tm_year > 9999 - 1900)
    {
        return NGX_DECLINED;
    }

    ngx_sprintf(p, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);

    return NGX_OK;
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
        return ngx_sf_json_write_endless(p, cell, "\"9999-12-31\"",
                                         "\"0001-01-01\"");
    }

    *p++ = '"';
    p = ngx_cpymem(p, cell->text, NGX_SF_JSON_DATE_LEN);
    *p++ = '"';

    return p;
}


/* "infinity" is the last time that Python has, "-infinity" the first */

static u_char *
ngx_sf_json_write_endless(u_char *p, const ngx_sf_json_cell_t *cell,
    const char *last, const char *first)
{
    size_t  len;

    static const char  infinity[] = "-infinity";

    len = sizeof(infinity) - 1;

    if (cell->len == len && ngx_memcmp(cell->text, infinity, len) == 0) {
        return ngx_cpymem(p, first, ngx_strlen(first));
    }

    if (cell->len == len - 1
        && ngx_memcmp(cell->text, infinity + 1, len - 1) == 0)
    {
        return ngx_cpymem(p, last, ngx_strlen(last));
    }

    return ngx_sf_json_write_null(p);
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


static u_char *
ngx_sf_json_write_raw(u_char *p, const ngx_sf_json_cell_t *cell)
{
    return cell->len ? ngx_cpymem(p, cell->text, cell->len)
                     : ngx_sf_json_write_null(p);
}


static size_t
ngx_sf_json_length_param(ngx_sf_json_cell_t *cell)
{
    return cell->len;
}


/* true and false, in the spelling of PostgreSQL or JSON */

static u_char *
ngx_sf_json_write_param(u_char *p, const ngx_sf_json_cell_t *cell)
{
    u_char  first;

    first = cell->len ? *cell->text : '\0';

    if (first == 't') {
        return ngx_cpymem(p, "true", sizeof("true") - 1);
    }

    if (first == 'f') {
        return ngx_cpymem(p, "false", sizeof("false") - 1);
    }

    return ngx_sf_json_write_numeric(p, cell);
}


/* every escape is taken for one of the long ones */

static size_t
ngx_sf_json_length_string(ngx_sf_json_cell_t *cell)
{
    size_t  n;

    n = ngx_sf_json_specials(cell->text, cell->len);

    cell->plain = (n == 0);

    return cell->len + n * NGX_SF_JSON_ESCAPE;
}


static u_char *
ngx_sf_json_write_string(u_char *p, const ngx_sf_json_cell_t *cell)
{
    *p++ = '"';

    p = cell->plain ? ngx_cpymem(p, cell->text, cell->len)
                    : ngx_sf_json_write_escaped(p, cell->text, cell->len);

    *p++ = '"';

    return p;
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


size_t
ngx_sf_json_length_escaped(const u_char *text, size_t len)
{
    return len + ngx_sf_json_specials(text, len) * NGX_SF_JSON_ESCAPE;
}


u_char *
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

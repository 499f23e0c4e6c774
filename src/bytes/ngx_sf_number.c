
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Numbers as Python reads and writes them.  The API this module stands in for
 * is a Python program, so "page=%D9%A3" is page 3, "1.5" is no integer, and a
 * sum of 12 goes out as 12.0.  ngx_sf_param.c reads query strings with it,
 * ngx_sf_jwt.c claims, ngx_sf_json_value.c writes with it.
 *
 * Reading folds the text to ASCII on the fly, the way CPython does it before
 * it parses: a decimal digit of any script becomes '0' to '9', white space
 * beyond ASCII a blank; everything else beyond ASCII is refused.  U+001C to
 * U+001F are white space to str.strip() but not to int(), and so not here.
 *
 * Writing wants the shortest decimal that reads back as the same double.  Most
 * values are money or percentages, so a value that is a whole number of
 * ten-thousandths is found by one division; the others are searched digit by
 * digit.  The C library is asked only in the "C" locale, which nginx never
 * leaves, and nothing here allocates.
 */


#include <float.h>
#include <math.h>

#include "ngx_sf_number.h"


/* int() refuses more digits than this, leading zeros included */

#define NGX_SF_NUMBER_DIGITS  4300

/*
 * The range of values tried in ten-thousandths.  A decimal of at most 15
 * digits is the only one of that length that reads as its double (DBL_DIG).
 */

#define NGX_SF_NUMBER_UNIT    10000
#define NGX_SF_NUMBER_FIXED   1e11

/* digits that always tell doubles apart */

#define NGX_SF_NUMBER_EXACT   17

/* from here up a double has no fraction */

#define NGX_SF_NUMBER_WHOLE   4503599627370496.0

/* what a character is to int(); ASCII stands for itself */

#define NGX_SF_NUMBER_OTHER   0x100
#define NGX_SF_NUMBER_LAST    0x101


static ngx_uint_t ngx_sf_number_fold(u_char **pos, u_char *last);
static ngx_uint_t ngx_sf_number_fold_wide(uint32_t ch);
static ngx_uint_t ngx_sf_number_space(ngx_uint_t ch);
static ngx_uint_t ngx_sf_number_digit(ngx_uint_t ch);
static u_char *ngx_sf_number_write_fixed(u_char *p, double value);
static void ngx_sf_number_shortest(char *text, double value);
static ngx_uint_t ngx_sf_number_bump(char *text);
static u_char *ngx_sf_number_lay_out(u_char *p, const char *text);
static void ngx_sf_number_print(char *text, const char *format, int digits,
    double value);


/* Unicode 14, category Nd: the zeros; nine more digits follow each */

static const uint32_t  ngx_sf_number_zeros[] = {
    0x00660, 0x006f0, 0x007c0, 0x00966, 0x009e6, 0x00a66, 0x00ae6, 0x00b66,
    0x00be6, 0x00c66, 0x00ce6, 0x00d66, 0x00de6, 0x00e50, 0x00ed0, 0x00f20,
    0x01040, 0x01090, 0x017e0, 0x01810, 0x01946, 0x019d0, 0x01a80, 0x01a90,
    0x01b50, 0x01bb0, 0x01c40, 0x01c50, 0x0a620, 0x0a8d0, 0x0a900, 0x0a9d0,
    0x0a9f0, 0x0aa50, 0x0abf0, 0x0ff10, 0x104a0, 0x10d30, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730,
    0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950,
    0x1fbf0
};


/* Unicode 14, white space beyond ASCII: pairs of first and last */

static const uint32_t  ngx_sf_number_spaces[][2] = {
    { 0x0085, 0x0085 },
    { 0x00a0, 0x00a0 },
    { 0x1680, 0x1680 },
    { 0x2000, 0x200a },
    { 0x2028, 0x2029 },
    { 0x202f, 0x202f },
    { 0x205f, 0x205f },
    { 0x3000, 0x3000 }
};


/*
 * As int() of CPython (Objects/longobject.c): blanks on both sides, a sign,
 * digits with single "_" between them.  A number beyond int64 is no error
 * there, and here becomes the nearest int64, so that bounds still work.
 */

ngx_int_t
ngx_sf_number_parse_int(const ngx_str_t *text, int64_t *value)
{
    u_char      *p, *last;
    int64_t      n;
    ngx_uint_t   ch, sign, digits;

    p = text->data;
    last = p + text->len;

    do {
        ch = ngx_sf_number_fold(&p, last);
    } while (ngx_sf_number_space(ch));

    sign = ch;

    if (ch == '-' || ch == '+') {
        ch = ngx_sf_number_fold(&p, last);
    }

    /* counted downwards: the negative side holds one value more */

    n = 0;

    for (digits = 1; /* void */ ; digits++) {

        if (!ngx_sf_number_digit(ch) || digits > NGX_SF_NUMBER_DIGITS) {
            return NGX_DECLINED;
        }

        ch -= '0';
        n = (n < (INT64_MIN + (int64_t) ch) / 10) ? INT64_MIN
                                                  : n * 10 - (int64_t) ch;

        ch = ngx_sf_number_fold(&p, last);

        if (ch == '_') {
            ch = ngx_sf_number_fold(&p, last);

        } else if (!ngx_sf_number_digit(ch)) {
            break;
        }
    }

    while (ngx_sf_number_space(ch)) {
        ch = ngx_sf_number_fold(&p, last);
    }

    if (ch != NGX_SF_NUMBER_LAST) {
        return NGX_DECLINED;
    }

    if (sign != '-') {
        n = (n == INT64_MIN) ? INT64_MAX : -n;
    }

    *value = n;

    return NGX_OK;
}


/*
 * The next character as ASCII, OTHER where it is neither digit nor blank, or
 * LAST.
 */

static ngx_uint_t
ngx_sf_number_fold(u_char **pos, u_char *last)
{
    u_char    *p;
    uint32_t   ch;

    if (*pos == last) {
        return NGX_SF_NUMBER_LAST;
    }

    if (**pos < 0x80) {
        return *(*pos)++;
    }

    p = *pos;
    ch = ngx_utf8_decode(pos, last - p);

    if (ch > 0x10ffff) {

        /* nginx does not step over a character that is cut off */

        if (*pos == p) {
            (*pos)++;
        }

        return NGX_SF_NUMBER_OTHER;
    }

    return ngx_sf_number_fold_wide(ch);
}


static ngx_uint_t
ngx_sf_number_fold_wide(uint32_t ch)
{
    ngx_uint_t  i, n;

    n = sizeof(ngx_sf_number_zeros) / sizeof(ngx_sf_number_zeros[0]);

    for (i = 0; i < n && ch >= ngx_sf_number_zeros[i]; i++) {
        if (ch - ngx_sf_number_zeros[i] < 10) {
            return '0' + (ch - ngx_sf_number_zeros[i]);
        }
    }

    n = sizeof(ngx_sf_number_spaces) / sizeof(ngx_sf_number_spaces[0]);

    for (i = 0; i < n && ch >= ngx_sf_number_spaces[i][0]; i++) {
        if (ch <= ngx_sf_number_spaces[i][1]) {
            return ' ';
        }
    }

    return NGX_SF_NUMBER_OTHER;
}


static ngx_uint_t
ngx_sf_number_space(ngx_uint_t ch)
{
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}


static ngx_uint_t
ngx_sf_number_digit(ngx_uint_t ch)
{
    return ch >= '0' && ch <= '9';
}


/* as str.strip(), for which the four separators of ASCII are blanks, too */

ngx_str_t
ngx_sf_number_strip(const ngx_str_t *text)
{
    u_char      *p, *last;
    ngx_str_t    strip;
    ngx_uint_t   ch;

    p = text->data;
    last = p + text->len;

    strip.data = p;
    strip.len = 0;

    while (p < last) {
        ch = ngx_sf_number_fold(&p, last);

        if (ngx_sf_number_space(ch) || (ch >= 0x1c && ch <= 0x1f)) {

            if (strip.len == 0) {
                strip.data = p;
            }

            continue;
        }

        strip.len = p - strip.data;
    }

    return strip;
}


/*
 * As repr() of Python writes a double, with ".0" behind a whole number: the
 * API's clients compare texts.  JSON has no NaN and no infinity.
 */

u_char *
ngx_sf_number_write_float(u_char *p, double value)
{
    char     text[NGX_SF_NUMBER_LEN];
    u_char  *last;

    if (!isfinite(value)) {
        return ngx_cpymem(p, "null", 4);
    }

    if (fabs(value) < NGX_SF_NUMBER_FIXED) {
        last = ngx_sf_number_write_fixed(p, value);
        if (last != NULL) {
            return last;
        }
    }

    ngx_sf_number_shortest(text, value);

    return ngx_sf_number_lay_out(p, text);
}


/* NULL: the value is no whole number of ten-thousandths */

static u_char *
ngx_sf_number_write_fixed(u_char *p, double value)
{
    double    size;
    uint64_t  n;

    size = fabs(value);
    n = (uint64_t) (size * NGX_SF_NUMBER_UNIT + 0.5);

    /* both operands are exact, so this is the double nearest to n / 10^4 */

    if ((double) n / NGX_SF_NUMBER_UNIT != size) {
        return NULL;
    }

    if (signbit(value)) {
        *p++ = '-';
    }

    p = ngx_sprintf(p, "%uL.%04uL", n / NGX_SF_NUMBER_UNIT,
                    n % NGX_SF_NUMBER_UNIT);

    while (p[-1] == '0' && p[-2] != '.') {
        p--;
    }

    return p;
}


/*
 * Leaves the shortest text as printf's %e writes it: "-d.ddde+dd".  Decimals
 * below 15 digits need a try only where a double has fewer bits.
 */

static void
ngx_sf_number_shortest(char *text, double value)
{
    int  digits;

    digits = (fabs(value) < DBL_MIN) ? 1 : DBL_DIG;

    for ( /* void */ ; digits < NGX_SF_NUMBER_EXACT; digits++) {

        ngx_sf_number_print(text, "%.*e", digits - 1, value);

        if (strtod(text, NULL) == value) {
            return;
        }

        /*
         * The doubles below a power of two lie closer than those above: the
         * nearest decimal may miss it and the next one further up hit it.
         */

        if (ngx_sf_number_bump(text) && strtod(text, NULL) == value) {
            return;
        }
    }

    ngx_sf_number_print(text, "%.*e", NGX_SF_NUMBER_EXACT - 1, value);
}


/* adds one to the last digit; false when every digit is a nine */

static ngx_uint_t
ngx_sf_number_bump(char *text)
{
    char  *p;

    p = strchr(text, 'e');

    while (p-- != text) {

        if (*p == '9') {
            *p = '0';

        } else if (ngx_sf_number_digit(*p)) {
            (*p)++;
            return 1;
        }
    }

    return 0;
}


/*
 * repr()'s choice of form (CPython, Python/pystrtod.c, format code "r"): with
 * an exponent below -4 or from 16 on, else with a point.
 */

static u_char *
ngx_sf_number_lay_out(u_char *p, const char *text)
{
    int          exponent;
    size_t       n;
    u_char       digits[NGX_SF_NUMBER_LEN];
    const char  *e;

    if (*text == '-') {
        *p++ = *text++;
    }

    e = strchr(text, 'e');
    exponent = atoi(e + 1);

    digits[0] = *text++;
    n = 1;

    for ( /* void */ ; text < e; text++) {
        if (*text != '.') {
            digits[n++] = *text;
        }
    }

    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }

    if (exponent < -4 || exponent >= 16) {
        *p++ = digits[0];

        if (n > 1) {
            *p++ = '.';
            p = ngx_cpymem(p, digits + 1, n - 1);
        }

        return ngx_cpymem(p, e, ngx_strlen(e));
    }

    if (exponent < 0) {
        p = ngx_cpymem(p, "0.000", 1 - exponent);
        return ngx_cpymem(p, digits, n);
    }

    /* the point stands after digit number exponent, counted from 0 */

    while (n < (size_t) exponent + 2) {
        digits[n++] = '0';
    }

    p = ngx_cpymem(p, digits, exponent + 1);
    *p++ = '.';

    return ngx_cpymem(p, digits + exponent + 1, n - exponent - 1);
}


/*
 * As round(value, decimals): the decimal that is nearest to the exact binary
 * value, which printf finds, and not a rounded product, which is not exact.
 */

double
ngx_sf_number_round(double value, ngx_uint_t decimals)
{
    char  text[NGX_SF_NUMBER_LEN];

    if (!(fabs(value) < NGX_SF_NUMBER_WHOLE)) {
        return value;
    }

    ngx_sf_number_print(text, "%.*f", (int) decimals, value);

    return strtod(text, NULL);
}


/* nginx's own formats cut a fraction off instead of rounding it */

static void
ngx_sf_number_print(char *text, const char *format, int digits, double value)
{
    /* NOLINTNEXTLINE: it is bounded; C11's snprintf_s() exists nowhere */
    (void) snprintf(text, NGX_SF_NUMBER_LEN, format, digits, value);
}

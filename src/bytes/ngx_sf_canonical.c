
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Canonical texts: of all spellings of a value the one that is bound to the
 * statement and stands in the key of the response, so that two spellings are
 * one entry, and the database finds by it what the key says.
 *
 * What is not accepted here PostgreSQL would often accept: a uuid in braces,
 * "NaN", 0x7.  It is refused all the same, since a column may hold a value
 * whose text, in a notification, is none of these.
 */


#include "ngx_sf_canonical.h"


#define NGX_SF_CANONICAL_DIGITS      64   /* of a number */
#define NGX_SF_CANONICAL_EXPONENT    308
#define NGX_SF_CANONICAL_FRACTION    6    /* digits of a second's */
#define NGX_SF_CANONICAL_ZONE        15   /* hours: PostgreSQL's datetime.h */

#define NGX_SF_CANONICAL_UUID_LEN    36

#define NGX_SF_SECONDS_A_DAY         86400
#define NGX_SF_DAYS_IN_ERA           146097   /* 400 years */
#define NGX_SF_MARCH_FIRST           719468   /* days of year 0 from March on,
                                                 until 1970-01-01 */
#define NGX_SF_FIRST_DAY             -719162  /* 0001-01-01, likewise */


/* a number in its parts; the digits are those before and behind the point */

typedef struct {
    ngx_uint_t                  negative;
    ngx_str_t                   whole;
    ngx_str_t                   fraction;
    ngx_int_t                   exponent;
    ngx_str_t                   power;    /* the exponent's text, or empty */
} ngx_sf_canonical_number_t;


static ngx_int_t ngx_sf_canonical_number_parts(const ngx_str_t *text,
    ngx_sf_canonical_number_t *number);
static ngx_int_t ngx_sf_canonical_power(ngx_str_t *rest,
    ngx_sf_canonical_number_t *number);
static void ngx_sf_canonical_bounds(const ngx_sf_canonical_number_t *number,
    int64_t *floor, int64_t *ceil);
static ngx_str_t ngx_sf_canonical_digits(ngx_str_t *rest);
static ngx_uint_t ngx_sf_canonical_take(ngx_str_t *rest, const char *set);
static ngx_uint_t ngx_sf_canonical_two(ngx_str_t *rest, ngx_int_t max,
    u_char **out);
static ngx_int_t ngx_sf_canonical_seconds(ngx_str_t *rest, u_char **out);
static ngx_int_t ngx_sf_canonical_zone(ngx_str_t *rest, u_char **out);


static const char *const  ngx_sf_canonical_true[] = {
    "true", "t", "yes", "on", "1", NULL
};

static const char *const  ngx_sf_canonical_false[] = {
    "false", "f", "no", "off", "0", NULL
};


ngx_int_t
ngx_sf_canonical_uuid(const ngx_str_t *text, ngx_str_t *out)
{
    size_t  i;
    u_char  ch;

    if (text->len != NGX_SF_CANONICAL_UUID_LEN) {
        return NGX_DECLINED;
    }

    for (i = 0; i < text->len; i++) {
        ch = text->data[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (ch != '-') {
                return NGX_DECLINED;
            }

        } else {
            ch = ngx_tolower(ch);

            if ((ch < '0' || ch > '9') && (ch < 'a' || ch > 'f')) {
                return NGX_DECLINED;
            }
        }

        out->data[i] = ch;
    }

    out->data[i] = '\0';
    out->len = i;

    return NGX_OK;
}


ngx_int_t
ngx_sf_canonical_bool(const ngx_str_t *text, ngx_str_t *out)
{
    ngx_uint_t          i, is;
    const char *const  *word;

    for (is = 0; is < 2; is++) {
        word = is ? ngx_sf_canonical_true : ngx_sf_canonical_false;

        for (i = 0; word[i]; i++) {
            if (ngx_strlen(word[i]) == text->len
                && ngx_strncasecmp(text->data, (u_char *) word[i], text->len)
                   == 0)
            {
                out->len = ngx_sprintf(out->data, "%s%Z", word[0]) - out->data
                           - 1;
                return NGX_OK;
            }
        }
    }

    return NGX_DECLINED;
}


/* ".5", "+7" and "007" are no JSON: the sign goes, and one zero is enough */

ngx_int_t
ngx_sf_canonical_number(const ngx_str_t *text, ngx_str_t *out, int64_t *floor,
    int64_t *ceil)
{
    u_char                     *p;
    ngx_sf_canonical_number_t   number;

    if (ngx_sf_canonical_number_parts(text, &number) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_sf_canonical_bounds(&number, floor, ceil);

    while (number.whole.len && number.whole.data[0] == '0') {
        number.whole.data++;
        number.whole.len--;
    }

    p = out->data;

    if (number.negative) {
        *p++ = '-';
    }

    if (number.whole.len == 0) {
        *p++ = '0';
    }

    p = ngx_cpymem(p, number.whole.data, number.whole.len);

    if (number.fraction.len) {
        *p++ = '.';
        p = ngx_cpymem(p, number.fraction.data, number.fraction.len);
    }

    if (number.power.len) {
        p = ngx_sprintf(p, "e%i", number.exponent);
    }

    *p = '\0';
    out->len = p - out->data;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_canonical_number_parts(const ngx_str_t *text,
    ngx_sf_canonical_number_t *number)
{
    ngx_str_t  rest;

    ngx_memzero(number, sizeof(ngx_sf_canonical_number_t));

    rest = *text;

    number->negative = ngx_sf_canonical_take(&rest, "-");

    if (!number->negative) {
        (void) ngx_sf_canonical_take(&rest, "+");
    }

    number->whole = ngx_sf_canonical_digits(&rest);

    if (ngx_sf_canonical_take(&rest, ".")) {
        number->fraction = ngx_sf_canonical_digits(&rest);
    }

    if (number->whole.len + number->fraction.len == 0
        || number->whole.len + number->fraction.len > NGX_SF_CANONICAL_DIGITS)
    {
        return NGX_DECLINED;
    }

    if (ngx_sf_canonical_take(&rest, "eE")
        && ngx_sf_canonical_power(&rest, number) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return rest.len ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_sf_canonical_power(ngx_str_t *rest, ngx_sf_canonical_number_t *number)
{
    ngx_uint_t  negative;

    negative = ngx_sf_canonical_take(rest, "-");

    if (!negative) {
        (void) ngx_sf_canonical_take(rest, "+");
    }

    number->power = ngx_sf_canonical_digits(rest);
    number->exponent = ngx_atoi(number->power.data, number->power.len);

    if (number->exponent == NGX_ERROR
        || number->exponent > NGX_SF_CANONICAL_EXPONENT)
    {
        return NGX_DECLINED;
    }

    if (negative) {
        number->exponent = -number->exponent;
    }

    return NGX_OK;
}


/* digit by digit: a double would take 9007199254740993 for a neighbour */

static void
ngx_sf_canonical_bounds(const ngx_sf_canonical_number_t *number,
    int64_t *floor, int64_t *ceil)
{
    int64_t    n;
    ngx_int_t  i, digit, point, last;
    ngx_int_t  part;

    n = 0;
    part = 0;
    point = (ngx_int_t) number->whole.len + number->exponent;
    last = number->whole.len + number->fraction.len;

    for (i = 0; i < ngx_max(point, last); i++) {

        if (i >= last) {
            digit = 0;

        } else if (i < (ngx_int_t) number->whole.len) {
            digit = number->whole.data[i] - '0';

        } else {
            digit = number->fraction.data[i - number->whole.len] - '0';
        }

        if (i >= point) {
            part |= digit != 0;

        } else if (n > (INT64_MAX - digit) / 10) {
            n = INT64_MAX;

        } else {
            n = n * 10 + digit;
        }
    }

    /* so does what lies beyond it: the part saturates with the number */

    if (n == INT64_MAX) {
        part = 0;
    }

    *floor = number->negative ? -n - part : n;
    *ceil = number->negative ? -n : n + part;
}


ngx_int_t
ngx_sf_canonical_time(const ngx_str_t *text, ngx_str_t *out)
{
    u_char     *p;
    int64_t     day;
    ngx_str_t   date, rest;

    date.data = text->data;
    date.len = sizeof("YYYY-MM-DD") - 1;

    if (text->len <= date.len || date.data[4] != '-' || date.data[7] != '-'
        || ngx_sf_canonical_date(&date, &day) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rest.data = text->data + date.len;
    rest.len = text->len - date.len;

    p = ngx_cpymem(out->data, date.data, date.len);
    *p++ = 'T';

    if (!ngx_sf_canonical_take(&rest, "T ")
        || !ngx_sf_canonical_two(&rest, 23, &p)
        || !ngx_sf_canonical_take(&rest, ":"))
    {
        return NGX_DECLINED;
    }

    *p++ = ':';

    if (!ngx_sf_canonical_two(&rest, 59, &p)
        || ngx_sf_canonical_seconds(&rest, &p) != NGX_OK
        || ngx_sf_canonical_zone(&rest, &p) != NGX_OK
        || rest.len)
    {
        return NGX_DECLINED;
    }

    *p = '\0';
    out->len = p - out->data;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_canonical_seconds(ngx_str_t *rest, u_char **out)
{
    u_char     *p;
    ngx_str_t   fraction;

    p = *out;
    *p++ = ':';

    if (!ngx_sf_canonical_take(rest, ":")) {
        *out = ngx_cpymem(p, "00", 2);
        return NGX_OK;
    }

    if (!ngx_sf_canonical_two(rest, 59, &p)) {
        return NGX_DECLINED;
    }

    if (ngx_sf_canonical_take(rest, ".")) {
        fraction = ngx_sf_canonical_digits(rest);

        if (fraction.len == 0 || fraction.len > NGX_SF_CANONICAL_FRACTION) {
            return NGX_DECLINED;
        }

        while (fraction.len && fraction.data[fraction.len - 1] == '0') {
            fraction.len--;
        }

        if (fraction.len) {
            *p++ = '.';
            p = ngx_cpymem(p, fraction.data, fraction.len);
        }
    }

    *out = p;

    return NGX_OK;
}


/* none, Z, or hours and minutes */

static ngx_int_t
ngx_sf_canonical_zone(ngx_str_t *rest, u_char **out)
{
    u_char  *p, sign;

    p = *out;

    if (rest->len == 0) {
        return NGX_OK;
    }

    sign = rest->data[0];
    *p++ = sign;

    if (ngx_sf_canonical_take(rest, "Z")) {
        *out = p;
        return NGX_OK;
    }

    if (!ngx_sf_canonical_take(rest, "+-")
        || !ngx_sf_canonical_two(rest, NGX_SF_CANONICAL_ZONE, &p))
    {
        return NGX_DECLINED;
    }

    *p++ = ':';

    if (!ngx_sf_canonical_take(rest, ":")) {
        *out = ngx_cpymem(p, "00", 2);
        return NGX_OK;
    }

    if (!ngx_sf_canonical_two(rest, 59, &p)) {
        return NGX_DECLINED;
    }

    *out = p;

    return NGX_OK;
}


/* two digits of at most max, copied */

static ngx_uint_t
ngx_sf_canonical_two(ngx_str_t *rest, ngx_int_t max, u_char **out)
{
    ngx_int_t  n;

    n = rest->len < 2 ? NGX_ERROR : ngx_atoi(rest->data, 2);

    if (n == NGX_ERROR || n > max) {
        return 0;
    }

    *out = ngx_cpymem(*out, rest->data, 2);

    rest->data += 2;
    rest->len -= 2;

    return 1;
}


static ngx_str_t
ngx_sf_canonical_digits(ngx_str_t *rest)
{
    ngx_str_t  digits;

    digits.data = rest->data;
    digits.len = 0;

    while (rest->len && rest->data[0] >= '0' && rest->data[0] <= '9') {
        digits.len++;
        rest->data++;
        rest->len--;
    }

    return digits;
}


/* one character, if it is of the set */

static ngx_uint_t
ngx_sf_canonical_take(ngx_str_t *rest, const char *set)
{
    if (rest->len == 0 || rest->data[0] == '\0'
        || ngx_strchr(set, rest->data[0]) == NULL)
    {
        return 0;
    }

    rest->data++;
    rest->len--;

    return 1;
}


ngx_int_t
ngx_sf_canonical_date(const ngx_str_t *text, int64_t *day)
{
    size_t      len;
    u_char     *p;
    ngx_int_t   year, month, mday, era, yoe, doy, leap;

    static const u_char  days[] = { 31, 28, 31, 30, 31, 30,
                                    31, 31, 30, 31, 30, 31 };

    p = text->data;

    if (text->len >= 10 && p[4] == '-' && p[7] == '-') {
        month = ngx_atoi(p + 5, 2);
        mday = ngx_atoi(p + 8, 2);
        len = 10;

    } else if (text->len >= 8) {
        month = ngx_atoi(p + 4, 2);
        mday = ngx_atoi(p + 6, 2);
        len = 8;

    } else {
        return NGX_DECLINED;
    }

    /* any one separator; of the time only the hour is looked at */

    if (text->len > len
        && (text->len < len + 3
            || ngx_atoi(p + len + 1, 2) < 0 || ngx_atoi(p + len + 1, 2) > 23))
    {
        return NGX_DECLINED;
    }

    year = ngx_atoi(p, 4);

    if (year < 1 || month < 1 || month > 12 || mday < 1) {
        return NGX_DECLINED;
    }

    leap = month == 2 && year % 4 == 0 && (year % 100 || year % 400 == 0);

    if (mday > days[month - 1] + leap) {
        return NGX_DECLINED;
    }

    /* days since 1970-01-01: years begin in March, eras are 400 years */

    if (month <= 2) {
        year--;
        month += 12;
    }

    era = year / 400;
    yoe = year % 400;
    doy = (153 * (month - 3) + 2) / 5 + mday - 1;

    *day = era * NGX_SF_DAYS_IN_ERA + yoe * 365 + yoe / 4 - yoe / 100 + doy
           - NGX_SF_MARCH_FIRST;

    return NGX_OK;
}


/* nginx knows no time before 1970, but 2000 years later days repeat */

void
ngx_sf_canonical_write_date(ngx_str_t *out, int64_t *day)
{
    int64_t   shift;
    ngx_tm_t  tm;

    *day = ngx_max(*day, NGX_SF_FIRST_DAY);
    shift = *day < 0 ? 5 : 0;

    ngx_gmtime((*day + shift * NGX_SF_DAYS_IN_ERA) * NGX_SF_SECONDS_A_DAY,
               &tm);

    out->len = ngx_sprintf(out->data, "%04d-%02d-%02d%Z",
                           tm.ngx_tm_year - (int) shift * 400, tm.ngx_tm_mon,
                           tm.ngx_tm_mday)
               - out->data - 1;
}

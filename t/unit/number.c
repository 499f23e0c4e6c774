
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Numbers against Python's own results: t/unit/data/int.txt and float.txt
 * come from python3.11 (t/unit/data/make.py), one case a line.
 */


#include "ngx_sf_number.h"
#include "unit.h"


typedef struct {
    const char  *text;
    const char  *repr;
    const char  *round2;
} test_float_t;


/* numbers of the original's responses */

static const test_float_t  test_floats[] = {
    { "12", "12.0", "12.0" },
    { "29.3", "29.3", "29.3" },
    { "1e16", "1e+16", "1e+16" },
    { "1e15", "1000000000000000.0", "1000000000000000.0" },
    { "0.0001", "0.0001", "0.0" },
    { "0.00001", "1e-05", "0.0" },
    { "-0.0", "-0.0", "-0.0" },
    { "0", "0.0", "0.0" },
    { "0.125", "0.125", "0.12" },
    { "2.675", "2.675", "2.67" },
    { "0.005", "0.005", "0.01" },
    { "185.474", "185.474", "185.47" },
    { "nan", "null", "null" },
    { "inf", "null", "null" },
    { "-inf", "null", "null" },
    { NULL, NULL, NULL }
};


static FILE *
test_open(const char *name)
{
    FILE  *file;

    file = fopen(name, "r");

    if (file == NULL) {
        printf("Bail out! no %s\n", name);
        exit(2);
    }

    return file;
}


/* the text stands in a block of its own size: what is past it is found */

static void
test_write(double value, const char *want)
{
    u_char     *p;
    ngx_str_t   text;

    p = ngx_pnalloc(unit_pool, NGX_SF_NUMBER_LEN);

    text.data = p;
    text.len = ngx_sf_number_write_float(p, value) - p;

    unit_is(&text, want, "%s is written %s", want, want);
}


static void
test_int_file(void)
{
    FILE       *file;
    char        line[16384], want[32], got[32];
    u_char      bytes[8192];
    size_t      n, len;
    int64_t     value;
    ngx_str_t   text;
    unsigned    byte;

    file = test_open("t/unit/data/int.txt");

    while (fgets(line, sizeof(line), file)) {

        if (line[0] == '#') {
            continue;
        }

        for (len = 0; sscanf(line + 1 + 2 * len, "%2x", &byte) == 1; len++) {
            bytes[len] = byte;
        }

        n = 1 + 2 * len;
        sscanf(line + n, "%*s %31s", want);

        text = unit_str((char *) bytes, len);

        if (ngx_sf_number_parse_int(&text, &value) == NGX_OK) {
            (void) snprintf(got, sizeof(got), "%lld", (long long) value);

        } else {
            (void) snprintf(got, sizeof(got), "no");
        }

        unit_ok(strcmp(got, want) == 0, "int of %.40s: %s, want %s", line,
                got, want);
    }

    fclose(file);
}


static size_t
test_utf8(u_char *p, uint32_t ch)
{
    if (ch < 0x800) {
        p[0] = 0xc0 | (ch >> 6);
        p[1] = 0x80 | (ch & 0x3f);
        return 2;
    }

    if (ch < 0x10000) {
        p[0] = 0xe0 | (ch >> 12);
        p[1] = 0x80 | ((ch >> 6) & 0x3f);
        p[2] = 0x80 | (ch & 0x3f);
        return 3;
    }

    p[0] = 0xf0 | (ch >> 18);
    p[1] = 0x80 | ((ch >> 12) & 0x3f);
    p[2] = 0x80 | ((ch >> 6) & 0x3f);
    p[3] = 0x80 | (ch & 0x3f);

    return 4;
}


/*
 * All of Unicode, one character before a 7.  The tables hold every digit and
 * every blank (int.txt), so they are right if there are no others.
 */

static void
test_int_unicode(void)
{
    u_char      bytes[5];
    size_t      len;
    int64_t     value;
    uint32_t    ch;
    ngx_str_t   text;
    ngx_uint_t  digits, blanks;

    digits = 0;
    blanks = 0;

    for (ch = 0x80; ch < 0x110000; ch++) {

        len = test_utf8(bytes, ch);
        bytes[len] = '7';

        text.data = bytes;
        text.len = len;

        if (ngx_sf_number_parse_int(&text, &value) == NGX_OK) {
            digits++;
            continue;
        }

        text.len = len + 1;

        if (ngx_sf_number_parse_int(&text, &value) == NGX_OK) {
            blanks++;
        }
    }

    unit_ok(digits == 650, "digits beyond ASCII: %lu, want 650",
            (unsigned long) digits);
    unit_ok(blanks == 19, "blanks beyond ASCII: %lu, want 19",
            (unsigned long) blanks);
}


static void
test_int_length(void)
{
    int64_t     value;
    ngx_str_t   text;
    ngx_int_t   rc;

    text.data = ngx_pnalloc(unit_pool, 4301);
    ngx_memset(text.data, '0', 4301);
    text.data[4299] = '7';

    text.len = 4300;
    rc = ngx_sf_number_parse_int(&text, &value);
    unit_ok(rc == NGX_OK && value == 7, "4300 digits");

    text.len = 4301;
    rc = ngx_sf_number_parse_int(&text, &value);
    unit_ok(rc == NGX_DECLINED, "4301 digits are too many");

    text.len = 0;
    rc = ngx_sf_number_parse_int(&text, &value);
    unit_ok(rc == NGX_DECLINED, "no text");
}


typedef struct {
    const char  *text;
    const char  *strip;
} test_strip_t;


static const test_strip_t  test_strips[] = {
    { "", "" },
    { " ", "" },
    { "a", "a" },
    { " a b \t", "a b" },
    { "\x1c\x1d" "a\x1e\x1f", "a" },
    { "\xc2\xa0\xe3\x80\x80" "a\xc2\x85\xe2\x80\x83", "a" },
    { "\xe2\x80\x8b", "\xe2\x80\x8b" },
    { "\v\f\r\n", "" },
    { " \xea\xb0\x80 \xea\xb0\x80 ", "\xea\xb0\x80 \xea\xb0\x80" },
    { " \xff ", "\xff" },
    { " \xe2\x80", "\xe2\x80" },
    { NULL, NULL }
};


static void
test_strip(void)
{
    ngx_str_t            text, strip;
    const test_strip_t  *s;

    for (s = test_strips; s->text; s++) {
        text = unit_str(s->text, strlen(s->text));
        strip = ngx_sf_number_strip(&text);

        unit_is(&strip, s->strip, "strip case %lu",
                (unsigned long) (s - test_strips));
    }
}


static void
test_float_table(void)
{
    double               value;
    const test_float_t  *f;

    for (f = test_floats; f->text; f++) {
        value = strtod(f->text, NULL);

        test_write(value, f->repr);
        test_write(ngx_sf_number_round(value, 2), f->round2);
    }
}


static void
test_float_file(void)
{
    FILE      *file;
    char       line[256], repr[64], round2[64];
    double     value;
    uint64_t   bits;

    file = test_open("t/unit/data/float.txt");

    while (fgets(line, sizeof(line), file)) {

        if (sscanf(line, "%lx %63s %63s", &bits, repr, round2) != 3) {
            continue;
        }

        ngx_memcpy(&value, &bits, sizeof(double));

        test_write(value, repr);
        test_write(ngx_sf_number_round(value, 2), round2);
    }

    fclose(file);
}


/* whatever the bits are: the text fits and reads back; %.17g has no ".0" and
   turns to exponents later */

static void
test_float_random(void)
{
    char        text[64];
    u_char      out[NGX_SF_NUMBER_LEN + 1], *last;
    double      value;
    uint64_t    bits;
    ngx_uint_t  i, wrong;

    bits = 88172645463325252u;
    wrong = 0;

    for (i = 0; i < 200000; i++) {

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;

        ngx_memcpy(&value, &bits, sizeof(double));

        if (value != value || value - value != 0) {
            continue;
        }

        last = ngx_sf_number_write_float(out, value);
        *last = '\0';

        (void) snprintf(text, sizeof(text), "%.17g", value);

        if (strtod((char *) out, NULL) != value
            || (size_t) (last - out) > strlen(text) + 6)
        {
            wrong++;
        }
    }

    unit_ok(wrong == 0, "200000 doubles read back, %lu did not",
            (unsigned long) wrong);
}


int
main(void)
{
    unit_init();

    test_int_file();
    test_int_unicode();
    test_int_length();
    test_strip();
    test_float_table();
    test_float_file();
    test_float_random();

    return unit_done();
}

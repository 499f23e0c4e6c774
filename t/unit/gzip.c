
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Who gets a compressed form: Accept-Encoding.  (RFC 9110, 12.5.3; 12.4.2 for
 * weights, 8.4.1 for the names of codings and 5.6.1 for lists.)
 */


#include "ngx_sf_http.h"
#include "unit.h"


typedef struct {
    const char  *header;
    ngx_uint_t   accepted;
} test_case_t;


static const test_case_t  test_cases[] = {

    /* what clients send */

    { "gzip, deflate, br", 1 },
    { "gzip, deflate, br, zstd", 1 },
    { "gzip, deflate", 1 },
    { "gzip;q=1.0,deflate;q=0.6,identity;q=0.3", 1 },
    { "gzip, x-gzip, deflate", 1 },
    { "br;q=1.0, gzip;q=0.8, *;q=0.1", 1 },
    { "deflate, gzip;q=1.0, *;q=0.5", 1 },
    { "identity", 0 },
    { "identity, *;q=0", 0 },
    { "deflate", 0 },
    { "br", 0 },
    { "", 0 },

    /* the examples of the RFC */

    { "compress, gzip", 1 },
    { "*", 1 },
    { "compress;q=0.5, gzip;q=1.0", 1 },
    { "gzip;q=1.0, identity; q=0.5, *;q=0", 1 },

    /* names: whole ones, in any case */

    { "gzip", 1 },
    { "GZIP", 1 },
    { "GzIp", 1 },
    { "x-gzip", 1 },
    { "X-GZip", 1 },
    { "gzi", 0 },
    { "gzipp", 0 },
    { "x-gzipp", 0 },
    { "y-gzip", 0 },
    { "-gzip", 0 },
    { "gzip-x", 0 },
    { "\"gzip\"", 0 },
    { "g zip", 0 },
    { "**", 0 },

    /* blanks and empty elements */

    { " gzip", 1 },
    { "gzip ", 1 },
    { "\tgzip\t", 1 },
    { "br ,gzip", 1 },
    { "br,  \t gzip", 1 },
    { "br,gzip", 1 },
    { ",gzip", 1 },
    { ",,gzip,,", 1 },
    { " , ,\t, gzip , ,", 1 },
    { ",", 0 },
    { " ", 0 },
    { ", ,", 0 },

    /* weights */

    { "gzip;q=1", 1 },
    { "gzip;q=1.", 1 },
    { "gzip;q=1.0", 1 },
    { "gzip;q=1.000", 1 },
    { "gzip;q=0", 0 },
    { "gzip;q=0.", 0 },
    { "gzip;q=0.0", 0 },
    { "gzip;q=0.00", 0 },
    { "gzip;q=0.000", 0 },
    { "gzip;q=0.001", 1 },
    { "gzip;q=0.01", 1 },
    { "gzip;q=0.1", 1 },
    { "gzip;q=0.999", 1 },
    { "gzip;Q=0", 0 },
    { "gzip;Q=0.5", 1 },
    { "gzip ; q=0", 0 },
    { "gzip ;q=0", 0 },
    { "gzip; q=0", 0 },
    { "gzip\t;\tq=0", 0 },
    { "gzip;q=0 ", 0 },
    { "gzip;q=0.0 ", 0 },
    { "gzip;q=0.5 ", 1 },
    { "gzip;q=0,br", 0 },
    { "gzip;q=0 , br", 0 },
    { "br,gzip;q=0", 0 },
    { "br;q=0, gzip", 1 },
    { "x-gzip;q=0", 0 },

    /* anything, where gzip is not named */

    { "*;q=1", 1 },
    { "*;q=0.001", 1 },
    { "*;q=0", 0 },
    { "*;q=0.000", 0 },
    { "br, *", 1 },
    { "gzip, *;q=0", 1 },
    { "*;q=0, gzip", 1 },
    { "gzip;q=0, *", 0 },
    { "*, gzip;q=0", 0 },
    { "gzip;q=0, *;q=1", 0 },
    { "gzip;q=0.001, *;q=0", 1 },

    /* against the response as it is */

    { "identity, gzip", 1 },
    { "gzip, identity", 1 },
    { "gzip;q=0.5, identity;q=0.5", 1 },
    { "gzip;q=0.5, identity", 0 },
    { "identity;q=1, gzip;q=0.999", 0 },
    { "identity;q=0.9, gzip;q=0.8", 0 },
    { "identity;q=0.8, gzip;q=0.9", 1 },
    { "identity;q=0, gzip;q=0.001", 1 },
    { "identity;q=0", 0 },
    { "identity;q=0, *", 1 },
    { "identity;q=0.5, *", 1 },
    { "identity, *;q=0.5", 0 },
    { "identity;q=0, gzip;q=0", 0 },
    { "IDENTITY;q=0.9, gzip;q=0.8", 0 },
    { "identityy;q=0.9, gzip;q=0.8", 1 },

    /* what is none: no crash, and nothing that was refused */

    { "gzip;", 1 },
    { "gzip;;q=0", 0 },
    { "gzip;q", 1 },
    { ";q=0", 0 },
    { ";", 0 },
    { "=", 0 },
    { "q=1", 0 },
    { "gzip;q=00", 0 },
    { "gzip;q=0.0000000001", 0 },
    { "gzip;q=-1", 0 },
    { "gzip;q=x", 0 },
    { "gzip;q=.5", 0 },
    { "gzip;q=1.5", 1 },
    { "gzip;q=1.999", 1 },
    { "gzip;q=1.5, identity", 1 },
    { "gzip;q=0.5x", 1 },
    { "gzip;q=0x1", 0 },
    { "gzip\x01", 0 },
    { "\xff\xfe, gzip", 1 },

    { NULL, 0 }
};


static ngx_uint_t
test_accepted(const char *header, size_t len)
{
    ngx_str_t  text;

    text = unit_str(header, len);

    return ngx_sf_gzip_accepted(&text);
}


/* every byte that is read stands in the header: all of its beginnings */

static void
test_ends(void)
{
    size_t  len;

    static const char  header[] = "identity;q=0.25, x-gzip ; q=0.500 , *;q=0";

    for (len = 0; len < sizeof(header); len++) {
        (void) test_accepted(header, len);
    }

    unit_ok(1, "beginnings of a header");
}


/* all weights of three digits against each other */

static void
test_weights(void)
{
    int         gzip, identity;
    char        header[128];
    size_t      len;
    ngx_uint_t  wrong;

    wrong = 0;

    for (gzip = 0; gzip <= 1000; gzip += 1) {
        for (identity = gzip % 7; identity <= 1000; identity += 7) {

            len = snprintf(header, sizeof(header),
                           "gzip;q=%d.%03d, identity;q=%d.%03d",
                           gzip / 1000, gzip % 1000, identity / 1000,
                           identity % 1000);

            wrong += test_accepted(header, len)
                     != (gzip > 0 && gzip >= identity);
        }

        ngx_reset_pool(unit_pool);
    }

    unit_ok(wrong == 0, "weights of gzip and identity");
}


int
main(void)
{
    ngx_str_t           none = ngx_null_string;
    const test_case_t  *c;

    unit_init();

    for (c = test_cases; c->header; c++) {
        unit_ok(test_accepted(c->header, strlen(c->header)) == c->accepted,
                "\"%s\" %s", c->header,
                c->accepted ? "asks for it" : "does not");
    }

    unit_ok(!ngx_sf_gzip_accepted(&none), "no bytes at all");

    test_ends();
    test_weights();

    return unit_done();
}

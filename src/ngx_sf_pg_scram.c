
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What a server asks for at a login by password.
 *
 * SCRAM has the client hash as often as the server says (RFC 5802, 5.1), and
 * libpq does that at once, in the worker: 4,096 rounds take 4 ms, 600,000 half
 * a second, and a hostile number for ever.  The number stands in one message,
 * which is looked at before libpq gets it: in the socket, or behind TLS in what
 * OpenSSL has decrypted.
 *
 * A server that sends more at once gains nothing: libpq compares the nonce
 * first, which is the answer to one of its own.
 */


#include "ngx_sf_pg.h"

#include <openssl/err.h>
#include <openssl/ssl.h>


/* rounds, at most */

#define NGX_SF_PG_SCRAM_ROUNDS  1000000

/* AuthenticationSASLContinue: R, a length, 11, a text of less than this */

#define NGX_SF_PG_SCRAM_HEAD    9
#define NGX_SF_PG_SCRAM_TEXT    1024
#define NGX_SF_PG_SCRAM_CODE    11


static size_t ngx_sf_pg_scram_peek(ngx_sf_pg_conn_t *pgc, u_char *buf,
    size_t size);
static ngx_uint_t ngx_sf_pg_scram_rounds(u_char *p, u_char *last);


ngx_uint_t
ngx_sf_pg_scram_refused(ngx_sf_pg_conn_t *pgc)
{
    u_char    buf[NGX_SF_PG_SCRAM_HEAD + NGX_SF_PG_SCRAM_TEXT];
    size_t    n;
    uint32_t  len, code;

    /* why a connect has failed is told once, and libpq has to hear it */

    if (PQstatus(pgc->pg) == CONNECTION_STARTED) {
        return 0;
    }

    n = ngx_sf_pg_scram_peek(pgc, buf, sizeof(buf));

    if (n == 0 || buf[0] != 'R') {
        return 0;
    }

    /* one in pieces would come past this */

    if (n < NGX_SF_PG_SCRAM_HEAD) {
        return 1;
    }

    ngx_memcpy(&len, buf + 1, sizeof(len));
    ngx_memcpy(&code, buf + 5, sizeof(code));
    len = ntohl(len);

    if (ntohl(code) != NGX_SF_PG_SCRAM_CODE) {
        return 0;
    }

    return len < NGX_SF_PG_SCRAM_HEAD - 1 || len >= n
           || ngx_sf_pg_scram_rounds(buf + NGX_SF_PG_SCRAM_HEAD,
                                     buf + 1 + len)
              > NGX_SF_PG_SCRAM_ROUNDS;
}


static size_t
ngx_sf_pg_scram_peek(ngx_sf_pg_conn_t *pgc, u_char *buf, size_t size)
{
    SSL      *ssl;
    ssize_t   n;

    ssl = PQsslStruct(pgc->pg, "OpenSSL");

    if (ssl == NULL) {
        n = recv(pgc->c->fd, buf, size, MSG_PEEK|MSG_DONTWAIT);

    } else if (SSL_is_init_finished(ssl)) {
        ERR_clear_error();
        n = SSL_peek(ssl, buf, (int) size);
        ERR_clear_error();

    } else {
        return 0;
    }

    return n > 0 ? (size_t) n : 0;
}


/* r=nonce,s=salt,i=4096; a number that is too long is too large */

static ngx_uint_t
ngx_sf_pg_scram_rounds(u_char *p, u_char *last)
{
    ngx_uint_t  rounds;

    while (last - p > 3 && ngx_strncmp(p, ",i=", 3) != 0) {
        p++;
    }

    rounds = 0;

    for (p += 3; p < last && *p >= '0' && *p <= '9'; p++) {
        rounds = rounds * 10 + *p - '0';

        if (rounds > NGX_SF_PG_SCRAM_ROUNDS) {
            break;
        }
    }

    return rounds;
}

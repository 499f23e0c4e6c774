
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
 * first, which is the response to one of its own.
 *
 * Connections to all servers hash one after the other, in the order in which
 * their messages came, and after each the worker has as long for everything
 * else: all connects of a start would stop it for the sum of their times.  Only
 * what computes is kept in order, not the whole connect: a server that does not
 * result holds nobody up.  Neither that time nor that in the queue counts for
 * connect_timeout, as it is none of the server's.
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


static void ngx_sf_pg_logins_handler(ngx_event_t *ev);
static size_t ngx_sf_pg_scram_peek(ngx_sf_pg_conn_t *pgc, u_char *buf,
    size_t size);
static ngx_uint_t ngx_sf_pg_scram_rounds(u_char *p, u_char *last);


ngx_int_t
ngx_sf_pg_scram_look(ngx_sf_pg_conn_t *pgc)
{
    u_char    buf[NGX_SF_PG_SCRAM_HEAD + NGX_SF_PG_SCRAM_TEXT];
    size_t    n;
    uint32_t  len, code;

    /* why a connect has failed is told once, and libpq has to hear it */

    if (PQstatus(pgc->pg) == CONNECTION_STARTED) {
        return NGX_OK;
    }

    n = ngx_sf_pg_scram_peek(pgc, buf, sizeof(buf));

    if (n == 0 || buf[0] != 'R') {
        return NGX_OK;
    }

    if (n < NGX_SF_PG_SCRAM_HEAD) {
        return NGX_AGAIN;
    }

    ngx_memcpy(&len, buf + 1, sizeof(len));
    ngx_memcpy(&code, buf + 5, sizeof(code));
    len = ntohl(len);

    if (ntohl(code) != NGX_SF_PG_SCRAM_CODE) {
        return NGX_OK;
    }

    if (len < NGX_SF_PG_SCRAM_HEAD - 1 || len >= sizeof(buf)) {
        return NGX_DECLINED;
    }

    if (len >= n) {
        return NGX_AGAIN;
    }

    return ngx_sf_pg_scram_rounds(buf + NGX_SF_PG_SCRAM_HEAD, buf + 1 + len)
           > NGX_SF_PG_SCRAM_ROUNDS ? NGX_DECLINED : NGX_BUSY;
}


void
ngx_sf_pg_logins_init(ngx_cycle_t *cycle, ngx_sf_pg_logins_t *logins)
{
    ngx_queue_init(&logins->waiting);

    logins->timer.handler = ngx_sf_pg_logins_handler;
    logins->timer.data = logins;
    logins->timer.log = cycle->log;
    logins->timer.cancelable = 1;
}


ngx_int_t
ngx_sf_pg_login_begin(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_logins_t  *logins;

    logins = pgc->lane->pool->logins;

    if (!logins->timer.timer_set) {
        return NGX_OK;
    }

    pgc->queued = 1;
    pgc->expires -= ngx_current_msec;
    ngx_del_timer(&pgc->timer);

    ngx_queue_insert_tail(&logins->waiting, &pgc->login);

    return NGX_AGAIN;
}


void
ngx_sf_pg_login_end(ngx_sf_pg_conn_t *pgc, uint64_t us)
{
    ngx_msec_t      ms;
    ngx_msec_int_t  left;

    ms = (us + 999) / 1000;

    /*
     * nginx's clock stood still meanwhile, and is left so: timers would be over
     * before the events that have come are looked at
     */

    ngx_add_timer(&pgc->lane->pool->logins->timer, 2 * ms);

    pgc->expires += ms;
    left = (ngx_msec_int_t) (pgc->expires - ngx_current_msec);

    ngx_del_timer(&pgc->timer);
    ngx_add_timer(&pgc->timer, ngx_max(left, 1));
}


void
ngx_sf_pg_login_leave(ngx_sf_pg_conn_t *pgc)
{
    if (pgc->queued) {
        pgc->queued = 0;
        ngx_queue_remove(&pgc->login);
    }
}


static void
ngx_sf_pg_logins_handler(ngx_event_t *ev)
{
    ngx_queue_t         *q;
    ngx_sf_pg_conn_t    *pgc;
    ngx_sf_pg_logins_t  *logins;

    logins = ev->data;

    /* one that has nothing to hash any more lets the next one */

    while (!ngx_queue_empty(&logins->waiting) && !ev->timer_set) {
        q = ngx_queue_head(&logins->waiting);
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, login);

        ngx_sf_pg_login_leave(pgc);

        pgc->expires += ngx_current_msec;
        pgc->timer.handler(&pgc->timer);
    }
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

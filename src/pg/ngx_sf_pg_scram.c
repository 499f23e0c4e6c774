
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
 * OpenSSL has decrypted.  Until the login is over libpq gets whole messages
 * only, all that are there, and each is looked at.
 *
 * Connections to all servers hash one after the other: first those for whose
 * lane queries wait that has no connection, else in the order in which their
 * messages came.  After each the worker has as long for everything else:
 * all connects of a start would stop it for the sum of their times.  Only what
 * computes is kept in order, not the whole connect: a server that does not
 * answer holds nobody up.  Neither that time nor that in the queue counts for
 * connect_timeout, as it is none of the server's.
 */


#include "ngx_sf_pg.h"

#include <openssl/err.h>
#include <openssl/ssl.h>


/* rounds, at most */

#define NGX_SF_PG_SCRAM_ROUNDS  1000000

/* a message's type and length; those that log in have a code, and a text */

#define NGX_SF_PG_SCRAM_LENGTH    5
#define NGX_SF_PG_SCRAM_HEAD      9
#define NGX_SF_PG_SCRAM_MESSAGES  4096

#define NGX_SF_PG_SCRAM_OK        0
#define NGX_SF_PG_SCRAM_CONTINUE  11
#define NGX_SF_PG_SCRAM_FINAL     12


static void ngx_sf_pg_logins_handler(ngx_event_t *ev);
static size_t ngx_sf_pg_scram_peek(ngx_sf_pg_conn_t *pgc, u_char *buf,
    size_t size);
static ngx_int_t ngx_sf_pg_scram_message(u_char *p, u_char *last,
    size_t *size);
static uint32_t ngx_sf_pg_scram_number(const u_char *p);
static ngx_uint_t ngx_sf_pg_scram_rounds(u_char *p, u_char *last);
static ngx_sf_pg_conn_t *ngx_sf_pg_logins_next(ngx_sf_pg_logins_t *logins);


ngx_int_t
ngx_sf_pg_scram_look(ngx_sf_pg_conn_t *pgc)
{
    u_char     buf[NGX_SF_PG_SCRAM_MESSAGES], *p, *last;
    size_t     size;
    ngx_int_t  rc;

    switch (PQstatus(pgc->pg)) {

    case CONNECTION_SSL_STARTUP:

        /* a letter: libpq would keep more of it for later */

        return ngx_sf_pg_scram_peek(pgc, buf, 2) > 1 && buf[0] != 'E'
               ? NGX_DECLINED : NGX_OK;

    case CONNECTION_AWAITING_RESPONSE:
        break;

    default:
        return NGX_OK;
    }

    rc = NGX_OK;
    last = buf + ngx_sf_pg_scram_peek(pgc, buf, sizeof(buf));

    for (p = buf; p < last; p += size) {

        switch (ngx_sf_pg_scram_message(p, last, &size)) {

        case NGX_OK:
            break;

        case NGX_BUSY:
            rc = NGX_BUSY;
            break;

        case NGX_AGAIN:
            return last == buf + sizeof(buf) ? NGX_DECLINED : NGX_AGAIN;

        case NGX_DONE:
            return rc;

        default: /* NGX_DECLINED */
            return NGX_DECLINED;
        }
    }

    return rc;
}


/*
 * One message, of which libpq is given all or nothing: what it had of the next
 * one would not be seen here again.  NGX_DONE: nothing behind it is hashed.
 */

static ngx_int_t
ngx_sf_pg_scram_message(u_char *p, u_char *last, size_t *size)
{
    uint32_t    code;
    ngx_uint_t  rounds;

    if (*p == 'E') {
        return NGX_DONE;
    }

    if (last - p < NGX_SF_PG_SCRAM_LENGTH) {
        return NGX_AGAIN;
    }

    *size = (size_t) ngx_sf_pg_scram_number(p + 1) + 1;

    if (*size < NGX_SF_PG_SCRAM_LENGTH) {
        return NGX_DONE;
    }

    if ((size_t) (last - p) < *size) {
        return NGX_AGAIN;
    }

    if (*p != 'R' || *size < NGX_SF_PG_SCRAM_HEAD) {
        return NGX_OK;
    }

    code = ngx_sf_pg_scram_number(p + NGX_SF_PG_SCRAM_LENGTH);

    if (code == NGX_SF_PG_SCRAM_OK) {
        return NGX_DONE;
    }

    /* libpq goes by what it expects, not by which of the two it is */

    if (code != NGX_SF_PG_SCRAM_CONTINUE && code != NGX_SF_PG_SCRAM_FINAL) {
        return NGX_OK;
    }

    rounds = ngx_sf_pg_scram_rounds(p + NGX_SF_PG_SCRAM_HEAD, p + *size);

    if (rounds > NGX_SF_PG_SCRAM_ROUNDS) {
        return NGX_DECLINED;
    }

    return rounds ? NGX_BUSY : NGX_OK;
}


static uint32_t
ngx_sf_pg_scram_number(const u_char *p)
{
    uint32_t  n;

    ngx_memcpy(&n, p, sizeof(n));

    return ntohl(n);
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
    ngx_sf_pg_conn_t    *pgc;
    ngx_sf_pg_logins_t  *logins;

    logins = ev->data;

    /* one that has nothing to hash any more lets the next one */

    while (!ngx_queue_empty(&logins->waiting) && !ev->timer_set) {
        pgc = ngx_sf_pg_logins_next(logins);

        ngx_sf_pg_login_leave(pgc);

        pgc->expires += ngx_current_msec;
        pgc->timer.handler(&pgc->timer);
    }
}


/* the first for whose lane queries wait that has no connection, or the first */

static ngx_sf_pg_conn_t *
ngx_sf_pg_logins_next(ngx_sf_pg_logins_t *logins)
{
    ngx_queue_t       *q;
    ngx_sf_pg_conn_t  *pgc;

    for (q = ngx_queue_head(&logins->waiting);
         q != ngx_queue_sentinel(&logins->waiting);
         q = ngx_queue_next(q))
    {
        pgc = ngx_queue_data(q, ngx_sf_pg_conn_t, login);

        if (pgc->lane->nwaiting
            && pgc->lane->nconns[NGX_SF_PG_CONN_READY] == 0)
        {
            return pgc;
        }
    }

    q = ngx_queue_head(&logins->waiting);

    return ngx_queue_data(q, ngx_sf_pg_conn_t, login);
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


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * How much a server sends.
 *
 * libpq keeps a result until it is complete, and a message until it is, however
 * long that is, and does not say how much it has.  What it has read is counted
 * by the kernel: an offset for peeking becomes smaller by each byte that is
 * read from a Unix socket (socket(7), SO_PEEK_OFF); of TCP it says what has
 * arrived, and what of that has not been read (tcp(7), TCP_INFO).
 *
 * That is asked only where a turn has brought bytes and no result, which a
 * result of usual size never does twice: its cost is nothing to others.  Where
 * the kernel does not tell, only complete results are measured.
 *
 * One call of libpq reads a long message for as long as it finds more of it,
 * and does not return before that.  So what waits in the kernel is looked at
 * before, but what comes meanwhile is beyond any bound of ours.
 */


#include "ngx_sf_pg.h"

#include <sys/ioctl.h>


/* what nobody has asked for, in bytes */

#define NGX_SF_PG_UNASKED   65536

#define NGX_SF_PG_PEEK_OFF  0x7fffffff


/* the C library's structure may end before what the kernel tells */

typedef struct {
    struct tcp_info             info;
    uint64_t                    pacing_rate;
    uint64_t                    max_pacing_rate;
    uint64_t                    bytes_acked;
    uint64_t                    bytes_received;
} ngx_sf_pg_tcp_info_t;


static uint64_t ngx_sf_pg_inflow(ngx_sf_pg_conn_t *pgc);
static ngx_sf_pg_close_e ngx_sf_pg_inflow_judge(ngx_sf_pg_conn_t *pgc,
    uint64_t n, ngx_uint_t results);
static void ngx_sf_pg_inflow_count(ngx_sf_pg_conn_t *pgc);
static uint64_t ngx_sf_pg_inflow_read(ngx_sf_pg_conn_t *pgc);
static uint64_t ngx_sf_pg_inflow_read_unix(ngx_socket_t s);
static uint64_t ngx_sf_pg_inflow_read_tcp(ngx_socket_t s);


void
ngx_sf_pg_inflow_begin(ngx_sf_pg_conn_t *pgc)
{
    pgc->progress = 1;
    pgc->counted = 0;
    pgc->unasked = 0;
}


ngx_sf_pg_close_e
ngx_sf_pg_inflow_ahead(ngx_sf_pg_conn_t *pgc)
{
    int  unread;

    if (pgc->count ? !pgc->counted : pgc->lane->tell != NULL) {
        return NGX_SF_PG_CLOSE_NONE;
    }

    if (ioctl(pgc->c->fd, FIONREAD, &unread) == -1) {
        return NGX_SF_PG_CLOSE_NONE;
    }

    /* of those behind the head there may be as much */

    return ngx_sf_pg_inflow_judge(pgc, ngx_sf_pg_inflow(pgc) + unread,
                                  ngx_max(pgc->outstanding, 1));
}


ngx_sf_pg_close_e
ngx_sf_pg_inflow_check(ngx_sf_pg_conn_t *pgc)
{
    if (pgc->unasked) {
        return NGX_SF_PG_CLOSE_UNASKED;
    }

    if (pgc->progress) {
        pgc->progress = 0;
        pgc->counted = 0;
        return NGX_SF_PG_CLOSE_NONE;
    }

    if (!pgc->counted) {
        ngx_sf_pg_inflow_count(pgc);

        pgc->inflow = ngx_sf_pg_inflow_read(pgc);
        pgc->counted = 1;
        return NGX_SF_PG_CLOSE_NONE;
    }

    /* the head is not complete, so all of it is the head's */

    return ngx_sf_pg_inflow_judge(pgc, ngx_sf_pg_inflow(pgc), 1);
}


/* since it is counted */

static uint64_t
ngx_sf_pg_inflow(ngx_sf_pg_conn_t *pgc)
{
    uint64_t  n;

    n = pgc->counted ? ngx_sf_pg_inflow_read(pgc) : 0;

    return n > pgc->inflow ? n - pgc->inflow : 0;
}


/* results: of which it may be */

static ngx_sf_pg_close_e
ngx_sf_pg_inflow_judge(ngx_sf_pg_conn_t *pgc, uint64_t n, ngx_uint_t results)
{
    uint64_t  limit;

    limit = pgc->count
            ? (uint64_t) pgc->lane->pool->conf->max_response * results
            : NGX_SF_PG_UNASKED;

    if (n <= limit) {
        return NGX_SF_PG_CLOSE_NONE;
    }

    return pgc->count ? NGX_SF_PG_CLOSE_TOO_LARGE : NGX_SF_PG_CLOSE_UNASKED;
}


/* an offset ends at 0, so it begins anew */

static void
ngx_sf_pg_inflow_count(ngx_sf_pg_conn_t *pgc)
{
    int  offset;

    if (pgc->addr.len == 0) {
        offset = NGX_SF_PG_PEEK_OFF;
        (void) setsockopt(pgc->c->fd, SOL_SOCKET, SO_PEEK_OFF, &offset,
                          sizeof(offset));
    }
}


static uint64_t
ngx_sf_pg_inflow_read(ngx_sf_pg_conn_t *pgc)
{
    return pgc->addr.len ? ngx_sf_pg_inflow_read_tcp(pgc->c->fd)
                         : ngx_sf_pg_inflow_read_unix(pgc->c->fd);
}


static uint64_t
ngx_sf_pg_inflow_read_unix(ngx_socket_t s)
{
    int        offset;
    socklen_t  len;

    len = sizeof(offset);

    if (getsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &offset, &len) == -1
        || offset < 0)
    {
        return 0;
    }

    return NGX_SF_PG_PEEK_OFF - offset;
}


static uint64_t
ngx_sf_pg_inflow_read_tcp(ngx_socket_t s)
{
    int                   unread;
    socklen_t             len;
    ngx_sf_pg_tcp_info_t  tcp;

    len = sizeof(tcp);

    /* in this order: what arrives between the two counts as not read */

    if (getsockopt(s, IPPROTO_TCP, TCP_INFO, &tcp, &len) == -1
        || len < sizeof(tcp)
        || ioctl(s, FIONREAD, &unread) == -1)
    {
        return 0;
    }

    return tcp.bytes_received > (uint64_t) unread
           ? tcp.bytes_received - unread : 0;
}

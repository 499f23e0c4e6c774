
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * One libpq connection and its pipeline.  Only this file does libpq I/O.
 *
 * libpq gives results without names, in the order of the requests.  The FIFO
 * holds what the server owes us, Syncs and prepares included; every result is
 * checked against its head, and any doubt closes the connection, because a
 * mix-up would hand one user the rows of another.
 *
 *   EXECUTE, PREPARE   one result, then NULL, then the slot is done
 *   SYNC               PIPELINE_SYNC, without a NULL; an error that arrives
 *                      here is the commit's, followed by NULL and then by
 *                      PIPELINE_SYNC
 *
 * A prepare stands under a Sync of its own, so a text that does not fit the
 * schema fails alone.  When a statement fails, those after it in its unit are
 * ABORTED: they are read-only, so they are sent again, each by itself.
 *
 * Events are level triggered: one PQconsumeInput() does not empty the socket.
 * libpq may close the socket by itself at any call, so an event is deleted
 * before a call that may do so while connecting, and only forgotten after.
 * PQgetResult() is called only when PQisBusy() says that it cannot block.
 *
 * (PostgreSQL manual, 34.4 Asynchronous Command Processing, 34.5 Pipeline
 * Mode.)
 */


#include "ngx_sf_pg.h"

#include <openssl/ssl.h>


/* results above this make libpq keep a large buffer: the connection retires */

#define NGX_SF_PG_OVERSIZED       (4 * 1024 * 1024)

/* what the server is given beyond its own statement_timeout, in ms */

#define NGX_SF_PG_ANSWER_GRACE    1000

/* how long a statement that could not be prepared is not tried again, in ms */

#define NGX_SF_PG_PREPARE_RETRY   1000

#define NGX_SF_PG_SERVER_VERSION  140000


typedef struct {
    ngx_uint_t                  level;
    const char                 *text;
} ngx_sf_pg_close_reason_t;


static ngx_int_t ngx_sf_pg_conn_start(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_failed(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_close_e reason);
static void ngx_sf_pg_conn_connect_handler(ngx_event_t *ev);
static void ngx_sf_pg_conn_connected(ngx_sf_pg_conn_t *pgc);
static ngx_int_t ngx_sf_pg_conn_check(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_timer_handler(ngx_event_t *ev);
static void ngx_sf_pg_conn_notice(void *arg, const char *message);

static ngx_int_t ngx_sf_pg_conn_prepare(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_statement_t *statement);
static ngx_int_t ngx_sf_pg_conn_execute(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_query_t *q);
static ngx_int_t ngx_sf_pg_conn_put_sync(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_query_t *q);
static ngx_int_t ngx_sf_pg_conn_flush(ngx_sf_pg_conn_t *pgc);

static void ngx_sf_pg_conn_read_handler(ngx_event_t *rev);
static void ngx_sf_pg_conn_write_handler(ngx_event_t *wev);
static ngx_int_t ngx_sf_pg_conn_results(ngx_sf_pg_conn_t *pgc);
static ngx_int_t ngx_sf_pg_conn_result(ngx_sf_pg_conn_t *pgc, PGresult *res);
static ngx_int_t ngx_sf_pg_conn_on_sync(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_int_t ngx_sf_pg_conn_on_prepare(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_int_t ngx_sf_pg_conn_on_execute(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_int_t ngx_sf_pg_conn_on_rows(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_int_t ngx_sf_pg_conn_on_error(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static void ngx_sf_pg_conn_on_aborted(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot);
static void ngx_sf_pg_conn_log_result(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_statement_t *statement, const char *what, PGresult *res);

static ngx_sf_pg_slot_t *ngx_sf_pg_conn_push(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_e kind);
static void ngx_sf_pg_conn_pop(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_settle(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_arm(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_unwind(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_close_e reason);
static ngx_int_t ngx_sf_pg_conn_watch(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t on);
static void ngx_sf_pg_conn_release(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_one_line(u_char *buf, size_t size, const char *text);


static const ngx_sf_pg_close_reason_t  ngx_sf_pg_close_reasons[] = {
    /* EXIT */            { NGX_LOG_INFO, NULL },
    /* RETIRED */         { NGX_LOG_INFO, NULL },
    /* CONNECT */         { NGX_LOG_ERR,  "connect failed" },
    /* CONNECT_TIMEOUT */ { NGX_LOG_ERR,  "connect timed out" },
    /* NO_SLOT */         { NGX_LOG_ERR,  "worker_connections are not enough" },
    /* STANDBY */         { NGX_LOG_WARN, "server is in recovery, "
                                          "not a primary" },
    /* VERSION */         { NGX_LOG_ERR,  "server is older than "
                                          "PostgreSQL 14" },
    /* ENCODING */        { NGX_LOG_ERR,  "database encoding is SQL_ASCII, "
                                          "UTF-8 text cannot be promised" },
    /* LOST */            { NGX_LOG_WARN, "connection lost" },
    /* SEND */            { NGX_LOG_WARN, "sending failed" },
    /* TIMEOUT */         { NGX_LOG_ERR,  "no answer in time" },
    /* MISMATCH */        { NGX_LOG_ERR,  "result does not match the "
                                          "pipeline" }
};


void
ngx_sf_pg_conn_open(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_CONNECTING);

    if (ngx_sf_pg_conn_start(pgc) != NGX_OK) {
        ngx_sf_pg_conn_failed(pgc, pgc->pg && PQsocket(pgc->pg) >= 0
                                   && pgc->c == NULL
                                   ? NGX_SF_PG_CLOSE_NO_SLOT
                                   : NGX_SF_PG_CLOSE_CONNECT);
        return;
    }

    pgc->timer.handler = ngx_sf_pg_conn_timer_handler;
    pgc->timer.data = pgc;
    pgc->timer.log = pgc->lane->pool->log;
    pgc->timer.cancelable = 1;

    ngx_add_timer(&pgc->timer, pgc->lane->pool->conf->connect_timeout);
}


static ngx_int_t
ngx_sf_pg_conn_start(ngx_sf_pg_conn_t *pgc)
{
    ngx_str_t           addr;
    ngx_uint_t          i, n;
    const char        **keys, **values;
    ngx_array_t        *options;
    ngx_keyval_t       *kv;
    ngx_connection_t   *c;

    options = &pgc->lane->pool->conf->options[pgc->lane->kind];
    kv = options->elts;
    n = options->nelts;

    keys = ngx_alloc(2 * (n + 4) * sizeof(char *), pgc->lane->pool->log);
    if (keys == NULL) {
        return NGX_ERROR;
    }

    values = keys + n + 4;

    for (i = 0; i < n; i++) {
        keys[i] = (char *) kv[i].key.data;
        values[i] = (char *) kv[i].value.data;
    }

    keys[n] = "host";
    values[n++] = (char *) pgc->server->conf->host.data;
    keys[n] = "port";
    values[n++] = (char *) pgc->server->conf->port.data;

    addr = ngx_sf_pg_server_address(pgc->server);
    pgc->addr.len = ngx_min(addr.len, NGX_SOCKADDR_STRLEN);
    pgc->addr.data = pgc->addr_text;
    *ngx_cpymem(pgc->addr_text, addr.data, pgc->addr.len) = '\0';

    if (pgc->addr.len) {
        keys[n] = "hostaddr";
        values[n++] = (char *) pgc->addr_text;
    }

    keys[n] = NULL;
    values[n] = NULL;

    pgc->pg = PQconnectStartParams(keys, values, 0);

    ngx_free(keys);

    if (pgc->pg == NULL || PQstatus(pgc->pg) == CONNECTION_BAD) {
        return NGX_ERROR;
    }

    PQsetNoticeProcessor(pgc->pg, ngx_sf_pg_conn_notice, pgc);

    c = ngx_get_connection(PQsocket(pgc->pg), pgc->lane->pool->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    pgc->c = c;

    c->data = pgc;
    c->read->handler = ngx_sf_pg_conn_connect_handler;
    c->write->handler = ngx_sf_pg_conn_connect_handler;
    c->read->log = c->log;
    c->write->log = c->log;

    return ngx_sf_pg_conn_watch(c->write, NGX_WRITE_EVENT, 1);
}


static void
ngx_sf_pg_conn_failed(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    ngx_sf_pg_server_failed(pgc->server);
    ngx_sf_pg_conn_close(pgc, reason);
}


static void
ngx_sf_pg_conn_connect_handler(ngx_event_t *ev)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;
    ngx_sf_pg_conn_t  *pgc;

    c = ev->data;
    pgc = c->data;

    if (ngx_sf_pg_conn_watch(c->read, NGX_READ_EVENT, 0) != NGX_OK
        || ngx_sf_pg_conn_watch(c->write, NGX_WRITE_EVENT, 0) != NGX_OK)
    {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_CONNECT);
        return;
    }

    switch (PQconnectPoll(pgc->pg)) {

    case PGRES_POLLING_READING:
        rc = ngx_sf_pg_conn_watch(c->read, NGX_READ_EVENT, 1);
        break;

    case PGRES_POLLING_WRITING:
        rc = ngx_sf_pg_conn_watch(c->write, NGX_WRITE_EVENT, 1);
        break;

    case PGRES_POLLING_OK:
        ngx_sf_pg_conn_connected(pgc);
        return;

    default:
        rc = NGX_ERROR;
    }

    /* one address, one sslmode: libpq has no reason to change its socket */

    if (rc != NGX_OK || PQsocket(pgc->pg) != c->fd) {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_CONNECT);
    }
}


static void
ngx_sf_pg_conn_connected(ngx_sf_pg_conn_t *pgc)
{
    ngx_msec_t         lifetime;
    ngx_connection_t  *c;

    c = pgc->c;

    ngx_del_timer(&pgc->timer);

    if (ngx_sf_pg_conn_check(pgc) != NGX_OK) {
        return;
    }

    if (PQsetnonblocking(pgc->pg, 1) != 0
        || PQenterPipelineMode(pgc->pg) != 1
        || ngx_sf_pg_conn_watch(c->read, NGX_READ_EVENT, 1) != NGX_OK)
    {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_CONNECT);
        return;
    }

    ngx_sf_pg_server_connected(pgc->server);

    c->read->handler = ngx_sf_pg_conn_read_handler;
    c->write->handler = ngx_sf_pg_conn_write_handler;
    c->idle = 1;

    pgc->timer.cancelable = 0;

    lifetime = pgc->lane->pool->conf->lifetime;
    pgc->expires = 0;

    if (lifetime) {
        pgc->expires = ngx_current_msec + lifetime
                       - ngx_random() % (lifetime / 5 + 1);
    }

    ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_READY);
    ngx_sf_pg_pool_post_dispatch(pgc->lane->pool);
}


/* what must be true of a server before it is given a statement */

static ngx_int_t
ngx_sf_pg_conn_check(ngx_sf_pg_conn_t *pgc)
{
    const char  *value;

    if (PQserverVersion(pgc->pg) < NGX_SF_PG_SERVER_VERSION) {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_VERSION);
        return NGX_ERROR;
    }

    value = PQparameterStatus(pgc->pg, "server_encoding");

    if (value && ngx_strcmp(value, "SQL_ASCII") == 0) {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_ENCODING);
        return NGX_ERROR;
    }

    value = PQparameterStatus(pgc->pg, "in_hot_standby");

    if (pgc->lane->pool->conf->primary
        && value && ngx_strcmp(value, "on") == 0)
    {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_STANDBY);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_sf_pg_conn_timer_handler(ngx_event_t *ev)
{
    ngx_sf_pg_conn_t  *pgc;

    pgc = ev->data;

    if (pgc->state == NGX_SF_PG_CONN_CONNECTING) {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_CONNECT_TIMEOUT);
        return;
    }

    ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_TIMEOUT);
}


/* libpq would print notices to stderr */

static void
ngx_sf_pg_conn_notice(void *arg, const char *message)
{
    u_char             line[NGX_MAX_ERROR_STR / 4];
    ngx_sf_pg_conn_t  *pgc = arg;

    ngx_sf_pg_one_line(line, sizeof(line), message);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, pgc->lane->pool->log, 0,
                   "softfactory pg notice: %s", line);
}


ngx_int_t
ngx_sf_pg_conn_send(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q)
{
    ngx_uint_t         alone;
    ngx_sf_pg_conf_t  *conf;

    conf = pgc->lane->pool->conf;
    alone = q->alone || !conf->shared_sync
            || pgc->lane->kind == NGX_SF_PG_WRITE;

    if (conf->prepare && pgc->prepared[q->statement->id] == 0) {
        if (ngx_sf_pg_conn_prepare(pgc, q->statement) != NGX_OK) {
            return NGX_ERROR;
        }

        alone = 1;
    }

    if (alone && pgc->unsynced
        && ngx_sf_pg_conn_put_sync(pgc, NULL) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_sf_pg_conn_execute(pgc, q) != NGX_OK) {
        return NGX_ERROR;
    }

    /* from here on the query is in the FIFO, and closing takes care of it */

    if (alone) {
        (void) ngx_sf_pg_conn_put_sync(pgc, q);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_pg_conn_prepare(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_statement_t *statement)
{
    u_char             name[sizeof("s") + NGX_INT32_LEN];
    ngx_sf_pg_slot_t  *slot;

    if (pgc->unsynced && ngx_sf_pg_conn_put_sync(pgc, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_sprintf(name, "s%uD%Z", ++pgc->nprepares);

    if (PQsendPrepare(pgc->pg, (char *) name, statement->text, 0, NULL) != 1)
    {
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_SEND);
        return NGX_ERROR;
    }

    pgc->prepared[statement->id] = pgc->nprepares;

    slot = ngx_sf_pg_conn_push(pgc, NGX_SF_PG_SLOT_PREPARE);
    slot->statement = statement;

    return ngx_sf_pg_conn_put_sync(pgc, NULL);
}


static ngx_int_t
ngx_sf_pg_conn_execute(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q)
{
    int                     rc;
    u_char                  name[sizeof("s") + NGX_INT32_LEN];
    ngx_sf_pg_slot_t       *slot;
    ngx_sf_pg_statement_t  *st;

    st = q->statement;

    if (pgc->lane->pool->conf->prepare) {
        ngx_sprintf(name, "s%uD%Z", pgc->prepared[st->id]);

        rc = PQsendQueryPrepared(pgc->pg, (char *) name, st->nvalues,
                                 q->values, NULL, NULL, 0);
    } else {
        rc = PQsendQueryParams(pgc->pg, st->text, st->nvalues, NULL,
                               q->values, NULL, NULL, 0);
    }

    if (rc != 1) {
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_SEND);
        return NGX_ERROR;
    }

    slot = ngx_sf_pg_conn_push(pgc, NGX_SF_PG_SLOT_EXECUTE);
    slot->statement = st;
    slot->query = q;

    q->conn = pgc;

    pgc->outstanding++;
    pgc->unsynced = 1;

    return NGX_OK;
}


void
ngx_sf_pg_conn_sync(ngx_sf_pg_conn_t *pgc)
{
    (void) ngx_sf_pg_conn_put_sync(pgc, NULL);
}


/* q: the query of an exclusive lane, which is answered by this Sync */

static ngx_int_t
ngx_sf_pg_conn_put_sync(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q)
{
    ngx_sf_pg_slot_t  *slot;

    if (PQpipelineSync(pgc->pg) != 1) {
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_SEND);
        return NGX_ERROR;
    }

    slot = ngx_sf_pg_conn_push(pgc, NGX_SF_PG_SLOT_SYNC);

    if (pgc->lane->kind == NGX_SF_PG_WRITE) {
        slot->query = q;
    }

    pgc->unsynced = 0;

    return ngx_sf_pg_conn_flush(pgc);
}


/* write interest exists only while libpq has bytes that the kernel refused */

static ngx_int_t
ngx_sf_pg_conn_flush(ngx_sf_pg_conn_t *pgc)
{
    int  rc;

    rc = PQflush(pgc->pg);

    if (rc >= 0
        && ngx_sf_pg_conn_watch(pgc->c->write, NGX_WRITE_EVENT, rc == 1)
           == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_SEND);

    return NGX_ERROR;
}


static void
ngx_sf_pg_conn_read_handler(ngx_event_t *rev)
{
    SSL               *ssl;
    ngx_connection_t  *c;
    ngx_sf_pg_conn_t  *pgc;

    c = rev->data;
    pgc = c->data;

    /* nginx closes idle connections of a worker that is shutting down */

    if (c->close && pgc->count == 0) {
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_RETIRED);
        return;
    }

    if (PQconsumeInput(pgc->pg) != 1) {

        /* what came before the end is still good */

        if (ngx_sf_pg_conn_results(pgc) == NGX_OK) {
            ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_LOST);
        }

        return;
    }

    if (ngx_sf_pg_conn_results(pgc) != NGX_OK) {
        return;
    }

    if (c->write->active && ngx_sf_pg_conn_flush(pgc) != NGX_OK) {
        return;
    }

    /* a record that is decrypted already does not make the socket readable */

    ssl = PQsslStruct(pgc->pg, "OpenSSL");

    if (ssl && SSL_pending(ssl)) {
        ngx_post_event(rev, &ngx_posted_next_events);
    }

    ngx_sf_pg_conn_settle(pgc);
}


static void
ngx_sf_pg_conn_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;

    c = wev->data;

    (void) ngx_sf_pg_conn_flush(c->data);
}


/* NGX_ERROR: the connection has been closed */

static ngx_int_t
ngx_sf_pg_conn_results(ngx_sf_pg_conn_t *pgc)
{
    PGresult  *res;

    while (pgc->count && !PQisBusy(pgc->pg)) {

        res = PQgetResult(pgc->pg);

        if (res) {
            if (ngx_sf_pg_conn_result(pgc, res) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (!pgc->answered) {
            if (PQstatus(pgc->pg) == CONNECTION_BAD) {
                return NGX_OK;
            }

            ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_MISMATCH);
            return NGX_ERROR;
        }

        pgc->answered = 0;

        if (pgc->fifo[pgc->head].kind != NGX_SF_PG_SLOT_SYNC) {
            ngx_sf_pg_conn_pop(pgc);
        }
    }

    return NGX_OK;
}


/* takes over the result; NGX_ERROR: the connection has been closed */

static ngx_int_t
ngx_sf_pg_conn_result(ngx_sf_pg_conn_t *pgc, PGresult *res)
{
    ngx_sf_pg_slot_t  *slot;

    slot = &pgc->fifo[pgc->head];

    if (pgc->answered && slot->kind != NGX_SF_PG_SLOT_SYNC) {
        PQclear(res);
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_MISMATCH);
        return NGX_ERROR;
    }

    switch (slot->kind) {

    case NGX_SF_PG_SLOT_SYNC:
        return ngx_sf_pg_conn_on_sync(pgc, slot, res);

    case NGX_SF_PG_SLOT_PREPARE:
        pgc->answered = 1;
        return ngx_sf_pg_conn_on_prepare(pgc, slot, res);

    default: /* NGX_SF_PG_SLOT_EXECUTE */
        pgc->answered = 1;
        return ngx_sf_pg_conn_on_execute(pgc, slot, res);
    }
}


static ngx_int_t
ngx_sf_pg_conn_on_sync(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    PGresult           *kept;
    ngx_sf_pg_query_t  *q;

    if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
        PQclear(res);

        q = slot->query;
        kept = slot->res;
        ngx_sf_pg_conn_pop(pgc);

        if (q) {
            ngx_sf_pg_query_finish(q, NGX_SF_PG_OK, kept);

        } else if (kept) {
            PQclear(kept);
        }

        return NGX_OK;
    }

    /* the commit failed; a read has nothing to commit */

    if (PQresultStatus(res) == PGRES_FATAL_ERROR
        && pgc->lane->kind == NGX_SF_PG_WRITE)
    {
        pgc->answered = 1;
        return ngx_sf_pg_conn_on_error(pgc, slot, res);
    }

    ngx_sf_pg_conn_log_result(pgc, NULL, "error at Sync", res);
    PQclear(res);
    ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_LOST);

    return NGX_ERROR;
}


static ngx_int_t
ngx_sf_pg_conn_on_prepare(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    const ngx_sf_pg_sqlstate_t  *row;

    if (PQresultStatus(res) == PGRES_COMMAND_OK) {
        PQclear(res);
        return NGX_OK;
    }

    row = ngx_sf_pg_sqlstate(PQresultErrorField(res, PG_DIAG_SQLSTATE));

    if (row->action == NGX_SF_PG_LOST) {
        PQclear(res);
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_LOST);
        return NGX_ERROR;
    }

    ngx_sf_pg_conn_log_result(pgc, slot->statement, "cannot be prepared",
                              res);
    PQclear(res);

    pgc->prepared[slot->statement->id] = 0;
    slot->statement->failed_until = ngx_current_msec
                                    + NGX_SF_PG_PREPARE_RETRY;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_pg_conn_on_execute(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    pgc->outstanding--;

    switch (PQresultStatus(res)) {

    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        return ngx_sf_pg_conn_on_rows(pgc, slot, res);

    case PGRES_PIPELINE_ABORTED:
        PQclear(res);
        ngx_sf_pg_conn_on_aborted(pgc, slot);
        return NGX_OK;

    case PGRES_FATAL_ERROR:
        return ngx_sf_pg_conn_on_error(pgc, slot, res);

    default:
        PQclear(res);
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_MISMATCH);
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_sf_pg_conn_on_rows(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    ngx_sf_pg_slot_t   *sync;
    ngx_sf_pg_query_t  *q;

    if ((ngx_uint_t) PQnfields(res) != slot->statement->columns) {
        PQclear(res);
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_MISMATCH);
        return NGX_ERROR;
    }

    if (PQresultMemorySize(res) > NGX_SF_PG_OVERSIZED
        && pgc->state == NGX_SF_PG_CONN_READY)
    {
        ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_DRAINING);
    }

    q = slot->query;
    slot->query = NULL;
    slot->statement->failed_until = 0;

    if (q && pgc->lane->kind == NGX_SF_PG_WRITE) {

        /* not committed yet: the Sync that follows answers */

        sync = &pgc->fifo[(pgc->head + 1) % pgc->nfifo];
        sync->res = res;
        return NGX_OK;
    }

    if (q) {
        ngx_sf_pg_query_finish(q, NGX_SF_PG_OK, res);
        return NGX_OK;
    }

    PQclear(res);

    return NGX_OK;
}


static ngx_int_t
ngx_sf_pg_conn_on_error(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    char                        *code;
    ngx_sf_pg_slot_t            *sync;
    ngx_sf_pg_query_t           *q;
    const ngx_sf_pg_sqlstate_t  *row;

    code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    row = ngx_sf_pg_sqlstate(code);

    /* an error without a code is libpq's own word for a lost connection */

    if (row->action == NGX_SF_PG_LOST || code == NULL) {
        PQclear(res);
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_LOST);
        return NGX_ERROR;
    }

    q = slot->query;
    slot->query = NULL;

    if (pgc->lane->kind == NGX_SF_PG_WRITE
        && slot->kind == NGX_SF_PG_SLOT_EXECUTE)
    {
        sync = &pgc->fifo[(pgc->head + 1) % pgc->nfifo];
        sync->query = NULL;
    }

    if (row->action == NGX_SF_PG_REPREPARE && slot->statement) {
        pgc->prepared[slot->statement->id] = 0;
    }

    /* a read lane is read-only by its own settings */

    if (row->action == NGX_SF_PG_DEMOTED
        && pgc->lane->kind == NGX_SF_PG_WRITE)
    {
        ngx_sf_pg_server_demoted(pgc->server);
    }

    if (q == NULL) {
        PQclear(res);
        return NGX_OK;
    }

    ngx_cpystrn((u_char *) q->sqlstate, (u_char *) code, sizeof(q->sqlstate));

    if ((row->action == NGX_SF_PG_RETRY || row->action == NGX_SF_PG_REPREPARE)
        && !q->retried && q->statement->failed_until == 0
        && pgc->lane->kind != NGX_SF_PG_WRITE)
    {
        PQclear(res);

        q->retried = 1;
        q->alone = 1;
        ngx_sf_pg_pool_requeue(pgc->lane->pool, q);
        return NGX_OK;
    }

    ngx_sf_pg_conn_log_result(pgc, q->statement, "failed", res);
    PQclear(res);

    ngx_sf_pg_query_finish(q, row->outcome, NULL);

    return NGX_OK;
}


/* a neighbour in the same unit failed: this one is innocent */

static void
ngx_sf_pg_conn_on_aborted(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot)
{
    ngx_sf_pg_query_t  *q;

    q = slot->query;
    slot->query = NULL;

    if (q) {
        q->alone = 1;
        ngx_sf_pg_pool_requeue(pgc->lane->pool, q);
    }
}


static void
ngx_sf_pg_conn_log_result(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_statement_t *statement, const char *what, PGresult *res)
{
    u_char       line[NGX_MAX_ERROR_STR / 4], *p;
    const char  *code, *message;

    static const ngx_str_t  commit = ngx_string("commit");

    code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    p = ngx_snprintf(line, 8, "%s ", code ? code : "");
    ngx_sf_pg_one_line(p, line + sizeof(line) - p, message ? message : "");

    ngx_sf_pg_log(pgc->lane->pool, NGX_LOG_ERR,
                  statement ? &statement->name : &commit, what,
                  (char *) line);
}


static ngx_sf_pg_slot_t *
ngx_sf_pg_conn_push(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_e kind)
{
    ngx_sf_pg_slot_t  *slot;

    slot = &pgc->fifo[(pgc->head + pgc->count) % pgc->nfifo];
    ngx_memzero(slot, sizeof(ngx_sf_pg_slot_t));
    slot->kind = kind;

    if (pgc->count++ == 0) {
        pgc->c->idle = 0;
        ngx_sf_pg_conn_arm(pgc);
    }

    return slot;
}


static void
ngx_sf_pg_conn_pop(ngx_sf_pg_conn_t *pgc)
{
    pgc->head = (pgc->head + 1) % pgc->nfifo;
    pgc->count--;

    if (pgc->count) {
        ngx_sf_pg_conn_arm(pgc);

    } else {
        pgc->c->idle = 1;
        ngx_del_timer(&pgc->timer);
    }
}


/* after a turn of results: room for more, or time to go */

static void
ngx_sf_pg_conn_settle(ngx_sf_pg_conn_t *pgc)
{
    if (pgc->lane->nwaiting) {
        ngx_sf_pg_pool_post_dispatch(pgc->lane->pool);
    }

    if (pgc->count == 0
        && (pgc->state == NGX_SF_PG_CONN_DRAINING
            || (ngx_exiting && pgc->lane->nwaiting == 0)))
    {
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_RETIRED);
    }
}


/* the server's own timeout comes first; this one is for a silent server */

static void
ngx_sf_pg_conn_arm(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_conf_t  *conf;

    conf = pgc->lane->pool->conf;

    ngx_add_timer(&pgc->timer, conf->timeout[pgc->lane->kind]
                               + NGX_SF_PG_ANSWER_GRACE);
}


void
ngx_sf_pg_conn_drain(ngx_sf_pg_conn_t *pgc)
{
    if (pgc->count == 0) {
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_RETIRED);
        return;
    }

    if (pgc->state == NGX_SF_PG_CONN_READY) {
        ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_DRAINING);
    }
}


void
ngx_sf_pg_conn_close(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    u_char                           line[NGX_MAX_ERROR_STR / 4];
    ngx_sf_pg_pool_t                *pool;
    const ngx_sf_pg_close_reason_t  *why;

    pool = pgc->lane->pool;
    why = &ngx_sf_pg_close_reasons[reason];

    if (why->text) {
        ngx_sf_pg_one_line(line, sizeof(line),
                           pgc->pg ? PQerrorMessage(pgc->pg) : "");
        ngx_sf_pg_log(pool, why->level, &pgc->server->conf->name, why->text,
                      (char *) line);
    }

    if (pgc->timer.timer_set) {
        ngx_del_timer(&pgc->timer);
    }

    ngx_sf_pg_conn_release(pgc);
    ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_CLOSED);

    ngx_memzero(pgc->prepared, pool->nstatements * sizeof(uint32_t));
    pgc->nprepares = 0;
    pgc->outstanding = 0;
    pgc->unsynced = 0;
    pgc->answered = 0;

    ngx_sf_pg_conn_unwind(pgc, reason);

    if (reason != NGX_SF_PG_CLOSE_EXIT) {
        ngx_sf_pg_pool_post_dispatch(pool);
    }
}


/*
 * From the tail, so that what goes back to the head of the waiting list keeps
 * its order.  A handler may cancel a query that still stands in this FIFO, so
 * the ring stays valid throughout.
 */

static void
ngx_sf_pg_conn_unwind(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    ngx_sf_pg_slot_t   *slot;
    ngx_sf_pg_query_t  *q;

    while (pgc->count) {
        pgc->count--;

        slot = &pgc->fifo[(pgc->head + pgc->count) % pgc->nfifo];

        if (slot->res) {
            PQclear(slot->res);
        }

        q = slot->query;

        if (q == NULL || reason == NGX_SF_PG_CLOSE_EXIT) {
            continue;
        }

        if (pgc->lane->kind == NGX_SF_PG_WRITE) {

            /* the Sync comes first here, and its statement must not follow */

            ngx_sf_pg_cancel(q);
            ngx_sf_pg_query_finish(q, NGX_SF_PG_UNAVAILABLE, NULL);
            continue;
        }

        if (q->retried) {
            ngx_sf_pg_query_finish(q, NGX_SF_PG_UNAVAILABLE, NULL);
            continue;
        }

        q->retried = 1;
        q->alone = 1;
        ngx_sf_pg_pool_requeue(pgc->lane->pool, q);
    }

    pgc->head = 0;
}


/* the descriptor is libpq's: it is forgotten by nginx before it is closed */

static void
ngx_sf_pg_conn_release(ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t         flags;
    ngx_connection_t  *c;

    c = pgc->c;

    if (c) {
        flags = pgc->pg && PQsocket(pgc->pg) == c->fd ? 0 : NGX_CLOSE_EVENT;

        if (c->read->active) {
            (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
        }

        if (c->write->active) {
            (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
        }

        if (c->read->posted) {
            ngx_delete_posted_event(c->read);
        }

        if (c->write->posted) {
            ngx_delete_posted_event(c->write);
        }

        c->read->closed = 1;
        c->write->closed = 1;

        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        pgc->c = NULL;
    }

    if (pgc->pg) {
        PQfinish(pgc->pg);
        pgc->pg = NULL;
    }
}


static ngx_int_t
ngx_sf_pg_conn_watch(ngx_event_t *ev, ngx_int_t event, ngx_uint_t on)
{
    if (on == ev->active) {
        return NGX_OK;
    }

    return on ? ngx_add_event(ev, event, NGX_LEVEL_EVENT)
              : ngx_del_event(ev, event, 0);
}


static void
ngx_sf_pg_one_line(u_char *buf, size_t size, const char *text)
{
    u_char  *p, *last;

    p = buf;
    last = buf + size - 1;

    while (*text && p < last) {
        *p++ = (u_char) *text < ' ' ? ' ' : (u_char) *text;
        text++;
    }

    while (p > buf && p[-1] == ' ') {
        p--;
    }

    *p = '\0';
}

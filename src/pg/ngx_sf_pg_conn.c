
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * One libpq connection: how it is made, watched and closed.
 *
 * It closes itself, in one of its events: that of its socket, its timer, or
 * the one that ngx_sf_pg_conn_leave() posts for all others that find that it
 * has to go.
 *
 * Only this file and ngx_sf_pg_pipeline.c do libpq I/O; ngx_sf_pg_scram.c and
 * ngx_sf_pg_inflow.c look at what has come and take nothing.  Events are level
 * triggered: one PQconsumeInput() does not empty the socket.  libpq may close
 * the socket by itself at any call, so an event is deleted before a call that
 * may do so while connecting, and only forgotten after.
 *
 * Files that libpq reads at a connect (passfile, certificates) and the work
 * of SCRAM are the one exception to the rule that nothing blocks a worker; see
 * ngx_sf_pg_scram.c for how much of that there may be.
 *
 * (PostgreSQL manual, 34.1 Connection Functions, 34.4 Asynchronous Command
 * Processing.)
 */


#include "ngx_sf_pg.h"

#include <openssl/ssl.h>


/* from this version on a server reports in_hot_standby */

#define NGX_SF_PG_SERVER_VERSION  140000

/* when a message that comes in pieces is looked at again, in ms */

#define NGX_SF_PG_PIECES          10

/* the highest process id that Linux gives; other systems' are below it too */

#define NGX_SF_PG_PID_MAX         4194304


typedef struct {
    ngx_uint_t                  level;
    const char                 *name;     /* for metrics */
    const char                 *text;     /* NULL: not logged */
} ngx_sf_pg_close_reason_t;


static ngx_int_t ngx_sf_pg_conn_start(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_connect_timer(ngx_sf_pg_conn_t *pgc,
    ngx_msec_t ms);
static void ngx_sf_pg_conn_failed(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_close_e reason);
static void ngx_sf_pg_conn_connect_handler(ngx_event_t *ev);
static PostgresPollingStatusType ngx_sf_pg_conn_poll(ngx_sf_pg_conn_t *pgc,
    ngx_uint_t hashes);
static void ngx_sf_pg_conn_connected(ngx_sf_pg_conn_t *pgc);
static ngx_int_t ngx_sf_pg_conn_check(ngx_sf_pg_conn_t *pgc);
static ngx_uint_t ngx_sf_pg_conn_is_pooled(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_timer_handler(ngx_event_t *ev);
static void ngx_sf_pg_conn_close_handler(ngx_event_t *ev);
static void ngx_sf_pg_conn_notice(void *arg, const PGresult *res);
static void ngx_sf_pg_conn_read_handler(ngx_event_t *rev);
static ngx_sf_pg_close_e ngx_sf_pg_conn_asked(ngx_sf_pg_conn_t *pgc);
static ngx_sf_pg_close_e ngx_sf_pg_conn_read(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_write_handler(ngx_event_t *wev);
static void ngx_sf_pg_conn_settle(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_conn_release(ngx_sf_pg_conn_t *pgc);


static const ngx_sf_pg_close_reason_t  ngx_sf_pg_close_reasons[] = {
    /* NONE */            { NGX_LOG_INFO, "none", NULL },
    /* EXIT */            { NGX_LOG_INFO, "exit", NULL },
    /* RETIRED */         { NGX_LOG_INFO, "retired", NULL },
    /* CONNECT */         { NGX_LOG_ERR,  "connect", "connect failed" },
    /* CONNECT_TIMEOUT */ { NGX_LOG_ERR,  "connect_timeout",
                            "connect timed out" },
    /* SCRAM */           { NGX_LOG_ERR,  "scram",
                            "server asks for too many rounds of SCRAM" },
    /* NO_SLOT */         { NGX_LOG_ERR,  "no_slot",
                            "worker_connections are not enough" },
    /* STANDBY */         { NGX_LOG_WARN, "standby",
                            "server is in recovery, not a primary" },
    /* VERSION */         { NGX_LOG_ERR,  "version",
                            "server is older than PostgreSQL 14" },
    /* ENCODING */        { NGX_LOG_ERR,  "encoding",
                            "database encoding is SQL_ASCII, "
                            "UTF-8 text cannot be promised" },
    /* LOST */            { NGX_LOG_WARN, "lost", "connection lost" },
    /* SEND */            { NGX_LOG_WARN, "send", "sending failed" },
    /* TIMEOUT */         { NGX_LOG_ERR,  "timeout", "no response in time" },
    /* STUCK */           { NGX_LOG_WARN, "stuck",
                            "all connections are held up, gives up one" },
    /* MISMATCH */        { NGX_LOG_ERR,  "mismatch",
                            "result does not match the pipeline" },
    /* TOO_LARGE */       { NGX_LOG_ERR,  "too_large", NULL },
    /* UNASKED */         { NGX_LOG_ERR,  "unasked",
                            "the server sends what nobody has asked for" }
};


void
ngx_sf_pg_conn_init(ngx_sf_pg_conn_t *pgc)
{
    pgc->timer.handler = ngx_sf_pg_conn_timer_handler;
    pgc->timer.data = pgc;
    pgc->timer.log = pgc->lane->pool->log;

    pgc->close.handler = ngx_sf_pg_conn_close_handler;
    pgc->close.data = pgc;
    pgc->close.log = pgc->lane->pool->log;
}


/*
 * Until the connect has ended `expires` is the end of its time, and the timer
 * is cancelable: a worker that shuts down does not wait for it.
 */

void
ngx_sf_pg_conn_open(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_CONNECTING);

    if (ngx_sf_pg_conn_start(pgc) != NGX_OK) {
        ngx_sf_pg_server_failed(pgc->server);
        ngx_sf_pg_conn_leave(pgc, pgc->pg && PQsocket(pgc->pg) >= 0
                                  && pgc->c == NULL
                                  ? NGX_SF_PG_CLOSE_NO_SLOT
                                  : NGX_SF_PG_CLOSE_CONNECT);
        return;
    }

    pgc->timer.cancelable = 1;
    pgc->expires = ngx_current_msec + pgc->lane->pool->conf->connect_timeout;

    ngx_sf_pg_conn_connect_timer(pgc, NGX_MAX_UINT32_VALUE);
}


/* when its time is over, or in ms */

static void
ngx_sf_pg_conn_connect_timer(ngx_sf_pg_conn_t *pgc, ngx_msec_t ms)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (pgc->expires - ngx_current_msec);

    if (pgc->timer.timer_set) {
        ngx_del_timer(&pgc->timer);
    }

    ngx_add_timer(&pgc->timer, ngx_min(ms, (ngx_msec_t) ngx_max(left, 1)));
}


/*
 * libpq gets the options of the lane, and where to connect in this attempt.
 * host is what is verified by TLS and looked up in a passfile, hostaddr is
 * where the connection goes: with it libpq resolves nothing (PostgreSQL manual,
 * libpq, Parameter Key Words).  The descriptor stays libpq's; nginx only
 * watches it.
 */

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

    PQsetNoticeReceiver(pgc->pg, ngx_sf_pg_conn_notice, pgc);

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


/* a failed connect counts against the server: ngx_sf_pg_server.c */

static void
ngx_sf_pg_conn_failed(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    ngx_sf_pg_server_failed(pgc->server);
    ngx_sf_pg_conn_close(pgc, reason);
}


/*
 * One step of the connect, at most one PQconnectPoll().  Both events are off
 * while it runs, since it may close the socket, and its result says which one
 * is wanted next.  What has come is looked at before libpq gets it: a message
 * of which a part is missing is looked at again soon, and a login that hashes
 * may have to queue, for which the timer or the queue calls this again.
 */

static void
ngx_sf_pg_conn_connect_handler(ngx_event_t *ev)
{
    ngx_int_t          rc, hashes;
    ngx_connection_t  *c;
    ngx_sf_pg_conn_t  *pgc;

    c = ev->data;
    pgc = c->data;

    if (pgc->leaving) {
        ngx_sf_pg_conn_close(pgc, pgc->leaving);
        return;
    }

    /* nginx calls it for all connections at worker_shutdown_timeout */

    if (pgc->queued) {
        return;
    }

    if (ngx_sf_pg_conn_watch(c->read, NGX_READ_EVENT, 0) != NGX_OK
        || ngx_sf_pg_conn_watch(c->write, NGX_WRITE_EVENT, 0) != NGX_OK)
    {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_CONNECT);
        return;
    }

    hashes = ngx_sf_pg_scram_look(pgc);

    if (hashes == NGX_DECLINED) {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_SCRAM);
        return;
    }

    if (hashes == NGX_AGAIN) {
        ngx_sf_pg_conn_connect_timer(pgc, NGX_SF_PG_PIECES);
        return;
    }

    if (hashes == NGX_BUSY && ngx_sf_pg_login_begin(pgc) == NGX_AGAIN) {
        return;
    }

    switch (ngx_sf_pg_conn_poll(pgc, hashes == NGX_BUSY)) {

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


/* how long a login has hashed decides when the next one may */

static PostgresPollingStatusType
ngx_sf_pg_conn_poll(ngx_sf_pg_conn_t *pgc, ngx_uint_t hashes)
{
    uint64_t                   began;
    PostgresPollingStatusType  status;

    if (!hashes) {
        return PQconnectPoll(pgc->pg);
    }

    began = ngx_sf_pg_now();
    status = PQconnectPoll(pgc->pg);

    ngx_sf_pg_login_end(pgc, ngx_sf_pg_now() - began);

    return status;
}


/*
 * The session is checked, and taken into use.  Its lifetime is up to a fifth
 * shorter than configured, at random, so that connections that were made
 * together do not end together; the listening one has none.
 */

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
    ngx_sf_pg_inflow_begin(pgc);

    if (!pgc->server->pooler && ngx_sf_pg_conn_is_pooled(pgc)) {
        ngx_sf_pg_server_pooler(pgc->server);
    }

    c->read->handler = ngx_sf_pg_conn_read_handler;
    c->write->handler = ngx_sf_pg_conn_write_handler;
    c->idle = 1;

    lifetime = pgc->lane->pool->conf->lifetime;
    pgc->expires = 0;

    if (lifetime && pgc->lane->kind != NGX_SF_PG_LISTEN) {
        pgc->expires = ngx_current_msec + lifetime
                       - ngx_random() % (lifetime / 5 + 1);
    }

    if (pgc->spare) {
        ngx_add_timer(&pgc->timer, NGX_SF_PG_SPARE_IDLE);
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

    if (pgc->lane->pool->conf->primary && ngx_sf_pg_server_is_standby(pgc)) {
        ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_STANDBY);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Whether a pooler stands between, by what it cannot keep from us: the process
 * that it gives for a cancel is a number of its own making, and a session that
 * it lends has not started with our options.  Either is enough, and one
 * connection that shows it stands for all to its server.
 */

static ngx_uint_t
ngx_sf_pg_conn_is_pooled(ngx_sf_pg_conn_t *pgc)
{
    int          pid;
    const char  *value;

    pid = PQbackendPID(pgc->pg);

    if (pid <= 0 || pid > NGX_SF_PG_PID_MAX) {
        return 1;
    }

    value = PQparameterStatus(pgc->pg, "default_transaction_read_only");

    return pgc->lane->kind != NGX_SF_PG_WRITE
           && (value == NULL || ngx_strcmp(value, "on") != 0);
}


/*
 * One timer for three times that never run at once: that of the connect, that
 * of the head of the FIFO, and that of a spare connection without work.
 */

static void
ngx_sf_pg_conn_timer_handler(ngx_event_t *ev)
{
    ngx_sf_pg_conn_t   *pgc;
    ngx_sf_pg_close_e   reason;

    pgc = ev->data;

    if (pgc->state == NGX_SF_PG_CONN_CONNECTING) {
        if ((ngx_msec_int_t) (pgc->expires - ngx_current_msec) > 0) {
            ngx_sf_pg_conn_connect_timer(pgc, NGX_MAX_UINT32_VALUE);
            ngx_sf_pg_conn_connect_handler(pgc->c->read);

        } else {
            ngx_sf_pg_conn_failed(pgc, NGX_SF_PG_CLOSE_CONNECT_TIMEOUT);
        }

        return;
    }

    /* a spare one that nobody has needed */

    reason = pgc->count ? ngx_sf_pg_pipeline_timeout(pgc)
                        : NGX_SF_PG_CLOSE_RETIRED;

    if (reason != NGX_SF_PG_CLOSE_NONE) {
        ngx_sf_pg_conn_close(pgc, reason);
    }
}


static void
ngx_sf_pg_conn_close_handler(ngx_event_t *ev)
{
    ngx_sf_pg_conn_t  *pgc;

    pgc = ev->data;

    ngx_sf_pg_conn_close(pgc, pgc->leaving);
}


/*
 * libpq would print notices to stderr.  What a server says before it closes a
 * connection that asks for nothing is one of them: it is for the line about
 * the loss, of which libpq knows only that it was not expected.
 */

static void
ngx_sf_pg_conn_notice(void *arg, const PGresult *res)
{
    u_char             line[NGX_MAX_ERROR_STR / 4];
    const char        *severity;
    ngx_sf_pg_conn_t  *pgc = arg;
    ngx_sf_pg_pool_t  *pool;

    pool = pgc->lane->pool;
    severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (severity && (ngx_strcmp(severity, "FATAL") == 0
                     || ngx_strcmp(severity, "PANIC") == 0))
    {
        ngx_sf_pg_one_line(pgc->farewell, NGX_SF_PG_FAREWELL,
                           PQresultErrorMessage(res));
        return;
    }

    /* libpq's own: it has dropped a message that no statement is there for */

    if (PQresultErrorField(res, PG_DIAG_SQLSTATE) == NULL
        && pgc->state != NGX_SF_PG_CONN_CONNECTING && pgc->count == 0)
    {
        pgc->unasked = 1;
    }

    ngx_sf_pg_one_line(line, sizeof(line), PQresultErrorMessage(res));

    ngx_log_error(NGX_LOG_INFO, pool->log, 0,
                  "softfactory upstream \"%V\": %s", &pool->conf->name, line);
}


/*
 * What the functions below find comes up to here as a reason, so the connection
 * is closed when none of them is at work on it any more.
 */

static void
ngx_sf_pg_conn_read_handler(ngx_event_t *rev)
{
    SSL                *ssl;
    ngx_connection_t   *c;
    ngx_sf_pg_conn_t   *pgc;
    ngx_sf_pg_close_e   reason;

    c = rev->data;
    pgc = c->data;

    reason = ngx_sf_pg_conn_asked(pgc);

    if (reason == NGX_SF_PG_CLOSE_NONE) {
        reason = ngx_sf_pg_conn_read(pgc);
    }

    if (reason == NGX_SF_PG_CLOSE_TOO_LARGE) {
        reason = ngx_sf_pg_pipeline_too_large(pgc);
    }

    if (reason != NGX_SF_PG_CLOSE_NONE) {
        ngx_sf_pg_conn_close(pgc, reason);
        return;
    }

    /* a record that is decrypted already does not make the socket readable */

    ssl = PQsslStruct(pgc->pg, "OpenSSL");

    if (ssl && SSL_pending(ssl)) {
        ngx_post_event(rev, &ngx_posted_next_events);
    }

    ngx_sf_pg_conn_settle(pgc);
}


/* whether nginx, or another part of the pool, wants the connection closed */

static ngx_sf_pg_close_e
ngx_sf_pg_conn_asked(ngx_sf_pg_conn_t *pgc)
{
    ngx_connection_t  *c;

    c = pgc->c;

    /*
     * worker_shutdown_timeout is over: clients are closed the same way, and the
     * worker does not stay for what waits to be sent
     */

    if (c->close && c->error) {
        pgc->lane->timer.cancelable = 1;
        return NGX_SF_PG_CLOSE_EXIT;
    }

    /* nginx closes idle connections of a worker that is shutting down */

    if (c->close && pgc->lane->tell) {
        c->close = 0;
        pgc->lane->tell->exiting(pgc);

    } else if (c->close && pgc->count == 0) {
        return NGX_SF_PG_CLOSE_RETIRED;
    }

    return pgc->leaving;
}


/* what came before the end is still good, a farewell too */

static ngx_sf_pg_close_e
ngx_sf_pg_conn_read(ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t         lost;
    ngx_sf_pg_close_e  reason;

    reason = ngx_sf_pg_inflow_ahead(pgc);

    if (reason != NGX_SF_PG_CLOSE_NONE) {
        return reason;
    }

    lost = PQconsumeInput(pgc->pg) != 1;
    reason = ngx_sf_pg_pipeline_results(pgc);

    if (reason != NGX_SF_PG_CLOSE_NONE) {
        return reason;
    }

    if (lost) {
        (void) PQisBusy(pgc->pg);
        return NGX_SF_PG_CLOSE_LOST;
    }

    reason = ngx_sf_pg_inflow_check(pgc);

    if (reason != NGX_SF_PG_CLOSE_NONE) {
        return reason;
    }

    return pgc->c->write->active ? ngx_sf_pg_pipeline_flush(pgc)
                                 : NGX_SF_PG_CLOSE_NONE;
}


static void
ngx_sf_pg_conn_write_handler(ngx_event_t *wev)
{
    ngx_connection_t   *c;
    ngx_sf_pg_conn_t   *pgc;
    ngx_sf_pg_close_e   reason;

    c = wev->data;
    pgc = c->data;

    reason = ngx_sf_pg_pipeline_flush(pgc);

    if (reason != NGX_SF_PG_CLOSE_NONE) {
        ngx_sf_pg_conn_close(pgc, reason);
    }
}


/* after a turn of results: room for more, or time to go */

static void
ngx_sf_pg_conn_settle(ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t  nwaiting;

    nwaiting = pgc->lane->nwaiting;

    if (pgc->lane->kind == NGX_SF_PG_READ) {
        nwaiting += pgc->lane->pool->lanes[NGX_SF_PG_PING].nwaiting;
    }

    if (nwaiting) {
        ngx_sf_pg_pool_post_dispatch(pgc->lane->pool);
    }

    if (pgc->count == 0
        && (pgc->state == NGX_SF_PG_CONN_DRAINING
            || (ngx_exiting && nwaiting == 0
                && pgc->lane->kind != NGX_SF_PG_LISTEN)))
    {
        ngx_sf_pg_conn_close(pgc, NGX_SF_PG_CLOSE_RETIRED);
    }
}


/*
 * It is as new, and in the list of closed ones, before the queries of its FIFO
 * go back: their handlers run then, and may submit others.  A failure counts
 * against the server, which backs off after max_fails of them, when the
 * connection has executed nothing of what it was given, or when the server
 * sends what nobody has asked for; the reasons from LOST on are those of
 * connections that had been made.
 */

void
ngx_sf_pg_conn_close(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    u_char                           line[NGX_MAX_ERROR_STR / 4];
    ngx_uint_t                       connected;
    ngx_sf_pg_pool_t                *pool;
    const ngx_sf_pg_close_reason_t  *why;

    pool = pgc->lane->pool;
    why = &ngx_sf_pg_close_reasons[reason];
    connected = pgc->state != NGX_SF_PG_CONN_CONNECTING;
    pool->closed[reason]++;

    if (why->text) {
        ngx_sf_pg_one_line(line, sizeof(line),
                           pgc->farewell[0] ? (char *) pgc->farewell
                           : pgc->pg ? PQerrorMessage(pgc->pg) : "");
        ngx_sf_pg_log(pool, why->level, &pgc->server->conf->name, why->text,
                      (char *) line);
    }

    if (pgc->timer.timer_set) {
        ngx_del_timer(&pgc->timer);
    }

    if (pgc->close.posted) {
        ngx_delete_posted_event(&pgc->close);
    }

    ngx_sf_pg_login_leave(pgc);

    /* a server that accepts connections and dies of the first statement */

    if ((reason >= NGX_SF_PG_CLOSE_LOST && reason != NGX_SF_PG_CLOSE_STUCK
         && pgc->count && !pgc->proved)
        || reason == NGX_SF_PG_CLOSE_UNASKED)
    {
        ngx_sf_pg_server_failed(pgc->server);
    }

    ngx_sf_pg_conn_release(pgc);
    ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_CLOSED);

    ngx_memzero(pgc->prepared, pool->nstatements * sizeof(uint32_t));
    pgc->nprepares = 0;
    pgc->outstanding = 0;
    pgc->unit = 0;
    pgc->leaving = NGX_SF_PG_CLOSE_NONE;
    pgc->answered = 0;
    pgc->late = 0;
    pgc->apart = 0;
    pgc->overdue = 0;
    pgc->proved = 0;
    pgc->farewell[0] = '\0';

    ngx_sf_pg_pipeline_unwind(pgc, reason);

    if (connected && pgc->lane->tell) {
        pgc->lane->tell->closed(pgc, reason);
    }

    if (reason != NGX_SF_PG_CLOSE_EXIT) {
        ngx_sf_pg_pool_post_dispatch(pool);
    }
}


ngx_uint_t
ngx_sf_pg_conn_library(void)
{
    return PQlibVersion();
}


const char *
ngx_sf_pg_conn_close_name(ngx_sf_pg_close_e reason)
{
    return ngx_sf_pg_close_reasons[reason].name;
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

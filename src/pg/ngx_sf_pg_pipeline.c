
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The pipeline of a connection: statements out, results back in their order.
 *
 * libpq gives results without names.  The FIFO holds what the server owes us,
 * Syncs and prepares included; every result is checked against its head, and
 * any doubt closes the connection, because a mix-up would hand one user the
 * rows of another.
 *
 *   EXECUTE, PREPARE   one result, then NULL, then the slot is done
 *   SYNC               PIPELINE_SYNC, without a NULL; an error that arrives
 *                      here is the commit's, followed by NULL and then by
 *                      PIPELINE_SYNC
 *
 * A unit is what ends with one Sync, and each of its slots knows that Sync.
 * When a statement fails, those after it in its unit are ABORTED: they are
 * read-only, so they are sent again, each by itself.  The statement of an
 * exclusive lane is answered by its Sync: that is the commit of a write, and
 * to a listener it says that all notifications before it are here.
 *
 * A text that a connection is not thought to know goes with its prepare, its
 * execution behind it and a Sync of their own, so one that does not fit the
 * schema fails alone, and so a pooler gives all of it to one session.  What is
 * known is a guess where sessions are shared: the server says 42P05 when the
 * name is there already, 26000 when it is not, 0A000 when it is there from
 * before a change of the schema.  Nothing has been executed then, and the
 * statement is sent again as the server wants it, once for each of the three;
 * one that meets the same a second time goes without a name, which is always
 * right.
 *
 * PQgetResult() is called only when PQisBusy() says that it cannot block.
 * Nothing here closes a connection: what finds that it cannot go on returns
 * the reason, NGX_SF_PG_CLOSE_NONE if there is none.
 *
 * (PostgreSQL manual, 34.5 Pipeline Mode.)
 */


#include "ngx_sf_pg.h"


/* results above this make libpq keep a large buffer: the connection retires */

#define NGX_SF_PG_OVERSIZED      (4 * 1024 * 1024)

/* what the server is given beyond its own statement_timeout, in ms */

#define NGX_SF_PG_RESULT_GRACE   1000

/* times that a query is sent again from behind a head that is late */

#define NGX_SF_PG_MOVES          2

/* how long a statement that does not fit the schema is not tried, in ms */

#define NGX_SF_PG_PREPARE_RETRY  1000

/* names given on a connection: each holds up to 70 kB of its backend */

#define NGX_SF_PG_NAMES          200

/*
 * The function of PostgreSQL that says that a plan is stale (plancache.c:
 * "cached plan must not change result type"); others use its SQLSTATE too
 */

#define NGX_SF_PG_STALE_SOURCE   "RevalidateCachedQuery"

/*
 * For values that the database's encoding does not have: bytes of a character,
 * characters replaced one after the other, and what stands for them
 */

#define NGX_SF_PG_FOREIGN        4
#define NGX_SF_PG_REWORDS        8
#define NGX_SF_PG_NO_CHARACTER   0x01


static ngx_sf_pg_text_t *ngx_sf_pg_pipeline_text(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_query_t *q);
static ngx_sf_pg_slot_t *ngx_sf_pg_pipeline_prepare(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_query_t *q, const ngx_sf_pg_text_t *text);
static ngx_sf_pg_slot_t *ngx_sf_pg_pipeline_execute(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_query_t *q, const ngx_sf_pg_text_t *text);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_result(ngx_sf_pg_conn_t *pgc,
    PGresult *res);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_on_sync(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_on_prepare(
    ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot, PGresult *res);
static void ngx_sf_pg_pipeline_not_prepared(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, const ngx_sf_pg_sqlstate_t *row, PGresult *res);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_on_execute(
    ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_on_rows(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_on_exclusive(
    ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot, PGresult *res);
static void ngx_sf_pg_pipeline_proved(ngx_sf_pg_conn_t *pgc,
    PGresult *res);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_on_error(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_error(PGresult *res,
    const ngx_sf_pg_sqlstate_t **row);
static void ngx_sf_pg_pipeline_keep_code(ngx_sf_pg_query_t *q,
    PGresult *res);
static ngx_sf_pg_action_e ngx_sf_pg_pipeline_forget(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, ngx_sf_pg_action_e action, PGresult *res);
static ngx_uint_t ngx_sf_pg_pipeline_again(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, ngx_sf_pg_query_t *q, ngx_sf_pg_action_e action,
    PGresult *res);
static ngx_uint_t ngx_sf_pg_pipeline_reword(ngx_sf_pg_query_t *q,
    PGresult *res);
static void ngx_sf_pg_pipeline_foreign(const char *message, u_char *foreign);
static ngx_uint_t ngx_sf_pg_pipeline_replace(u_char *text,
    const u_char *foreign);
static void ngx_sf_pg_pipeline_clash(ngx_sf_pg_query_t *q,
    ngx_sf_pg_action_e action);
static void ngx_sf_pg_pipeline_on_aborted(ngx_sf_pg_slot_t *slot);
static void ngx_sf_pg_pipeline_log_result(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_statement_t *statement, const char *what, PGresult *res);
static ngx_sf_pg_slot_t *ngx_sf_pg_pipeline_push(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_e kind);
static void ngx_sf_pg_pipeline_pop(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_pipeline_take_notifications(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_pipeline_arm(ngx_sf_pg_conn_t *pgc);
static void ngx_sf_pg_pipeline_set_timer(ngx_sf_pg_conn_t *pgc,
    ngx_msec_t age);
static ngx_msec_t ngx_sf_pg_pipeline_due(ngx_sf_pg_conn_t *pgc);
static ngx_uint_t ngx_sf_pg_pipeline_unwanted(ngx_sf_pg_conn_t *pgc);
static ngx_uint_t ngx_sf_pg_pipeline_dropped(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_query_t *q);
static void ngx_sf_pg_pipeline_send_again(ngx_sf_pg_conn_t *pgc);
static ngx_sf_pg_close_e ngx_sf_pg_pipeline_overdue(ngx_sf_pg_conn_t *pgc);


/*
 * A statement that has its unit for itself ends the one that is open first: a
 * failure in that would abort it, and its own would abort the others.  The Sync
 * of a shared unit comes when the turn's statements have all been sent, from
 * ngx_sf_pg_lane_sync().
 */

ngx_sf_pg_close_e
ngx_sf_pg_pipeline_send(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q)
{
    ngx_uint_t          alone, known;
    ngx_sf_pg_text_t   *text;
    ngx_sf_pg_slot_t   *prepare, *execute;
    ngx_sf_pg_close_e   reason;

    text = ngx_sf_pg_pipeline_text(pgc, q);
    known = text == NULL || pgc->prepared[q->statement->id] == text->version;

    alone = !known || q->alone || !pgc->lane->pool->conf->shared_sync
            || ngx_sf_pg_exclusive(pgc->lane);

    if (alone && pgc->unit) {
        reason = ngx_sf_pg_pipeline_sync(pgc);

        if (reason != NGX_SF_PG_CLOSE_NONE) {
            return reason;
        }
    }

    prepare = NULL;

    if (!known) {
        prepare = ngx_sf_pg_pipeline_prepare(pgc, q, text);

        if (prepare == NULL) {
            return NGX_SF_PG_CLOSE_SEND;
        }
    }

    execute = ngx_sf_pg_pipeline_execute(pgc, q, text);

    if (execute == NULL) {
        return NGX_SF_PG_CLOSE_SEND;
    }

    if (prepare) {
        prepare->execute = execute;
    }

    return alone ? ngx_sf_pg_pipeline_sync(pgc) : NGX_SF_PG_CLOSE_NONE;
}


/* what it is known by or will be, NULL: it goes without a name */

static ngx_sf_pg_text_t *
ngx_sf_pg_pipeline_text(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q)
{
    ngx_sf_pg_text_t  *text;
    ngx_sf_pg_pool_t  *pool;

    pool = pgc->lane->pool;

    if (!pool->conf->prepare || q->unnamed) {
        return NULL;
    }

    text = ngx_sf_pg_text(pool, q->statement);

    if (text
        && pgc->prepared[q->statement->id] != text->version
        && pgc->nprepares >= NGX_SF_PG_NAMES)
    {
        return NULL;
    }

    return text;
}


/* NULL: it could not be sent */

static ngx_sf_pg_slot_t *
ngx_sf_pg_pipeline_prepare(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q,
    const ngx_sf_pg_text_t *text)
{
    ngx_sf_pg_slot_t  *slot;

    if (PQsendPrepare(pgc->pg, (char *) text->name, (char *) text->text, 0,
                      NULL)
        != 1)
    {
        return NULL;
    }

    /*
     * The name counts as known from here on: what is sent after this is behind
     * it, and a failure takes it back.
     */

    pgc->prepared[q->statement->id] = text->version;
    pgc->nprepares++;

    slot = ngx_sf_pg_pipeline_push(pgc, NGX_SF_PG_SLOT_PREPARE);
    slot->statement = q->statement;
    slot->line = q->line;
    slot->sent = q->sent;

    return slot;
}


/*
 * text: that is known by its name, or NULL.  The query is in the FIFO from
 * here on, unless NULL is returned: then it could not be sent.
 */

static ngx_sf_pg_slot_t *
ngx_sf_pg_pipeline_execute(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q,
    const ngx_sf_pg_text_t *text)
{
    int                     rc;
    ngx_sf_pg_slot_t       *slot;
    ngx_sf_pg_statement_t  *st;

    st = q->statement;

    if (text) {
        rc = PQsendQueryPrepared(pgc->pg, (char *) text->name, st->nvalues,
                                 q->values, NULL, NULL, 0);
    } else {
        rc = PQsendQueryParams(pgc->pg, st->text, st->nvalues, NULL,
                               q->values, NULL, NULL, 0);
    }

    if (rc != 1) {
        return NULL;
    }

    slot = ngx_sf_pg_pipeline_push(pgc, NGX_SF_PG_SLOT_EXECUTE);
    slot->statement = st;
    slot->query = q;
    slot->line = q->line;
    slot->sent = q->sent;
    slot->prepared = text ? text->version : 0;
    slot->probe = q->probe;
    slot->turn = ngx_sf_pg_turn_sent(q);

    q->line->probes += q->probe;

    q->conn = pgc;
    q->server = pgc->server->conf->hash;

    pgc->outstanding++;

    return slot;
}


/*
 * Each slot of the unit is told which Sync ends it: those that stand before it
 * in the ring, pgc->unit of them.
 */

ngx_sf_pg_close_e
ngx_sf_pg_pipeline_sync(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_slot_t  *slot, *sync;

    if (PQpipelineSync(pgc->pg) != 1) {
        return NGX_SF_PG_CLOSE_SEND;
    }

    sync = ngx_sf_pg_pipeline_push(pgc, NGX_SF_PG_SLOT_SYNC);

    for (slot = sync; pgc->unit; pgc->unit--) {
        slot = slot == pgc->fifo ? &pgc->fifo[pgc->nfifo - 1] : slot - 1;
        slot->sync = sync;
    }

    return ngx_sf_pg_pipeline_flush(pgc);
}


/* write interest exists only while libpq has bytes that the kernel refused */

ngx_sf_pg_close_e
ngx_sf_pg_pipeline_flush(ngx_sf_pg_conn_t *pgc)
{
    int  rc;

    rc = PQflush(pgc->pg);

    if (rc >= 0
        && ngx_sf_pg_conn_watch(pgc->c->write, NGX_WRITE_EVENT, rc == 1)
           == NGX_OK)
    {
        return NGX_SF_PG_CLOSE_NONE;
    }

    return NGX_SF_PG_CLOSE_SEND;
}


/*
 * libpq ends the results of a statement by a NULL, so a slot is popped at the
 * NULL and not at the result; a PIPELINE_SYNC has none behind it.
 * pgc->answered tells one NULL from the other: without it nothing has come for
 * the head, and the connection is gone or the FIFO is wrong.
 */

ngx_sf_pg_close_e
ngx_sf_pg_pipeline_results(ngx_sf_pg_conn_t *pgc)
{
    PGresult           *res;
    ngx_sf_pg_close_e   reason;

    ngx_sf_pg_pipeline_take_notifications(pgc);

    pgc->lane->pool->now = ngx_sf_pg_now();

    while (pgc->count && !PQisBusy(pgc->pg)) {

        res = PQgetResult(pgc->pg);

        /* what libpq has met on its way to this result, if anybody listens */

        if (pgc->lane->tell) {
            ngx_sf_pg_pipeline_take_notifications(pgc);
        }

        if (res) {
            reason = ngx_sf_pg_pipeline_result(pgc, res);

            if (reason != NGX_SF_PG_CLOSE_NONE) {
                return reason;
            }

            continue;
        }

        if (!pgc->answered) {
            return PQstatus(pgc->pg) == CONNECTION_BAD
                   ? NGX_SF_PG_CLOSE_NONE : NGX_SF_PG_CLOSE_MISMATCH;
        }

        pgc->answered = 0;

        if (pgc->fifo[pgc->head].kind != NGX_SF_PG_SLOT_SYNC) {
            ngx_sf_pg_pipeline_pop(pgc);
        }
    }

    return NGX_SF_PG_CLOSE_NONE;
}


/*
 * Takes over the result.  None of our statements has two, so a second one for a
 * slot says that the FIFO and the server disagree; a Sync may have an error
 * before it.
 */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_result(ngx_sf_pg_conn_t *pgc, PGresult *res)
{
    ngx_sf_pg_slot_t  *slot;

    slot = &pgc->fifo[pgc->head];

    if (pgc->answered && slot->kind != NGX_SF_PG_SLOT_SYNC) {
        PQclear(res);
        return NGX_SF_PG_CLOSE_MISMATCH;
    }

    switch (slot->kind) {

    case NGX_SF_PG_SLOT_SYNC:
        return ngx_sf_pg_pipeline_on_sync(pgc, slot, res);

    case NGX_SF_PG_SLOT_PREPARE:
        pgc->answered = 1;
        return ngx_sf_pg_pipeline_on_prepare(pgc, slot, res);

    default: /* NGX_SF_PG_SLOT_EXECUTE */
        pgc->answered = 1;
        return ngx_sf_pg_pipeline_on_execute(pgc, slot, res);
    }
}


/*
 * Takes over the result.  The slot is popped before the handler is called,
 * which may cancel queries and so walk the FIFO.
 */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_on_sync(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    PGresult           *kept;
    ngx_sf_pg_query_t  *q;

    if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
        PQclear(res);

        q = slot->query;
        kept = slot->res;
        ngx_sf_pg_pipeline_pop(pgc);

        if (q) {
            ngx_sf_pg_query_finish(q, NGX_SF_PG_OK, kept);

        } else if (kept) {
            PQclear(kept);
        }

        return NGX_SF_PG_CLOSE_NONE;
    }

    /* the commit failed; a read has nothing to commit */

    if (PQresultStatus(res) == PGRES_FATAL_ERROR
        && ngx_sf_pg_exclusive(pgc->lane))
    {
        pgc->answered = 1;
        return ngx_sf_pg_pipeline_on_error(pgc, slot, res);
    }

    ngx_sf_pg_pipeline_log_result(pgc, NULL, "error at Sync", res);
    PQclear(res);

    return NGX_SF_PG_CLOSE_LOST;
}


/* takes over the result */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_on_prepare(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    ngx_sf_pg_close_e            reason;
    const ngx_sf_pg_sqlstate_t  *row;

    reason = NGX_SF_PG_CLOSE_NONE;

    if (PQresultStatus(res) != PGRES_COMMAND_OK) {
        reason = ngx_sf_pg_pipeline_error(res, &row);

        if (reason == NGX_SF_PG_CLOSE_NONE) {
            ngx_sf_pg_pipeline_not_prepared(pgc, slot, row, res);
        }
    }

    PQclear(res);

    return reason;
}


/*
 * A prepare has failed.  The statement stands behind it in the same unit and
 * will come as ABORTED; what its query is told then is left in its slot.  That
 * the name is taken is no failure: the text is there, and is executed by the
 * name.  One that does not fit the schema would fail again for each request, so
 * ngx_sf_pg_submit() refuses it for a second.
 */

static void
ngx_sf_pg_pipeline_not_prepared(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, const ngx_sf_pg_sqlstate_t *row, PGresult *res)
{
    ngx_sf_pg_query_t  *q;

    q = slot->execute->query;

    if (row->action == NGX_SF_PG_TAKEN) {
        if (q) {
            ngx_sf_pg_pipeline_clash(q, row->action);
        }

        return;
    }

    ngx_sf_pg_pipeline_log_result(pgc, slot->statement, "cannot be prepared",
                              res);

    pgc->prepared[slot->statement->id] = 0;

    if (row->outcome == NGX_SF_PG_BROKEN) {
        pgc->lane->pool->failed_until[slot->statement->id] =
                                ngx_current_msec + NGX_SF_PG_PREPARE_RETRY;
    }

    /* there is no value of a client in a text */

    slot->execute->prepare = row->outcome == NGX_SF_PG_INVALID
                             ? NGX_SF_PG_FAILED : row->outcome;

    if (q) {
        ngx_sf_pg_pipeline_keep_code(q, res);
    }
}


/*
 * The turn of its principal is over with the result, good or bad: the backend
 * is done with the statement.
 */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_on_execute(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    ngx_sf_pg_principal_t  *turn;

    pgc->outstanding--;

    turn = slot->turn;
    slot->turn = NULL;
    ngx_sf_pg_lane_over(turn, 1);

    switch (PQresultStatus(res)) {

    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        ngx_sf_pg_head_answered(pgc);

        return ngx_sf_pg_exclusive(pgc->lane)
               ? ngx_sf_pg_pipeline_on_exclusive(pgc, slot, res)
               : ngx_sf_pg_pipeline_on_rows(pgc, slot, res);

    case PGRES_PIPELINE_ABORTED:
        PQclear(res);
        ngx_sf_pg_pipeline_on_aborted(slot);
        return NGX_SF_PG_CLOSE_NONE;

    case PGRES_FATAL_ERROR:
        return ngx_sf_pg_pipeline_on_error(pgc, slot, res);

    default:
        PQclear(res);
        return NGX_SF_PG_CLOSE_MISMATCH;
    }
}


/*
 * A result with another number of columns is that of another statement: the
 * FIFO is wrong, unless the statement has a judge, which takes any number.  One
 * with other types comes from a schema that has changed, which is an error of
 * this statement, and not tried again for a second.
 */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_on_rows(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    ngx_int_t           rc;
    ngx_sf_pg_pool_t   *pool;
    ngx_sf_pg_query_t  *q;

    pool = pgc->lane->pool;
    rc = ngx_sf_pg_text_judge(pool, slot->statement, res);

    if (rc == NGX_ERROR) {
        PQclear(res);
        return NGX_SF_PG_CLOSE_MISMATCH;
    }

    ngx_sf_pg_pipeline_proved(pgc, res);

    if (ngx_sf_pg_result_exceeds(res, pool->conf->max_response)) {
        PQclear(res);
        (void) ngx_sf_pg_pipeline_too_large(pgc);
        return NGX_SF_PG_CLOSE_NONE;
    }

    q = slot->query;
    slot->query = NULL;
    pool->failed_until[slot->statement->id] = rc == NGX_OK ? 0
                               : ngx_current_msec + NGX_SF_PG_PREPARE_RETRY;

    if (q == NULL || rc != NGX_OK) {
        PQclear(res);
        res = NULL;
    }

    if (q) {
        ngx_sf_pg_query_finish(q, rc == NGX_OK ? NGX_SF_PG_OK
                                               : NGX_SF_PG_BROKEN, res);
    }

    return NGX_SF_PG_CLOSE_NONE;
}


/*
 * Not committed yet: the Sync that follows answers.  What has been done is
 * done, so with a result that is not what it should be its outcome is not
 * known.
 */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_on_exclusive(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_slot_t *slot, PGresult *res)
{
    ngx_sf_pg_pool_t  *pool;

    pool = pgc->lane->pool;

    if (ngx_sf_pg_text_judge(pool, slot->statement, res) != NGX_OK) {
        PQclear(res);
        return NGX_SF_PG_CLOSE_MISMATCH;
    }

    ngx_sf_pg_pipeline_proved(pgc, res);

    pool->failed_until[slot->statement->id] = 0;

    slot->sync->query = slot->query;
    slot->sync->res = res;
    slot->query = NULL;

    return NGX_SF_PG_CLOSE_NONE;
}


/*
 * The server executes statements: the loss of the connection is not held
 * against it from now on.  libpq never makes its input buffer smaller, so after
 * a large result the connection takes no more, and ends.
 */

static void
ngx_sf_pg_pipeline_proved(ngx_sf_pg_conn_t *pgc, PGresult *res)
{
    pgc->proved = 1;

    if (PQresultMemorySize(res) > NGX_SF_PG_OVERSIZED
        && pgc->state == NGX_SF_PG_CONN_READY)
    {
        ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_DRAINING);
    }
}


/*
 * An error of a statement, or of a commit.  In this order: whether the
 * connection is still good; what the error says about the name that it ran by;
 * whether the server has become a standby; whether the statement is sent again;
 * and if not, what its query is told.  A client is to blame for a value only
 * where there is one of a client (q->blame).
 */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_on_error(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    PGresult *res)
{
    ngx_sf_pg_query_t           *q;
    ngx_sf_pg_close_e            reason;
    ngx_sf_pg_action_e           action;
    const ngx_sf_pg_sqlstate_t  *row;

    reason = ngx_sf_pg_pipeline_error(res, &row);

    if (reason != NGX_SF_PG_CLOSE_NONE) {
        PQclear(res);
        return reason;
    }

    pgc->proved = 1;

    q = slot->query;
    slot->query = NULL;

    action = ngx_sf_pg_pipeline_forget(pgc, slot, row->action, res);

    /* read-only may also be a setting of ours, or of a role */

    if (action == NGX_SF_PG_DEMOTED
        && ngx_sf_pg_exclusive(pgc->lane)
        && ngx_sf_pg_server_is_standby(pgc))
    {
        ngx_sf_pg_server_demoted(pgc->server);
    }

    if (q == NULL) {
        PQclear(res);
        return NGX_SF_PG_CLOSE_NONE;
    }

    ngx_sf_pg_pipeline_keep_code(q, res);

    if (ngx_sf_pg_pipeline_again(pgc, slot, q, action, res)) {
        PQclear(res);
        ngx_sf_pg_query_requeue(q);
        return NGX_SF_PG_CLOSE_NONE;
    }

    ngx_sf_pg_pipeline_log_result(pgc, q->statement, "failed", res);
    PQclear(res);

    ngx_sf_pg_query_finish(q, row->outcome == NGX_SF_PG_INVALID && !q->blame
                              ? NGX_SF_PG_FAILED : row->outcome, NULL);

    return NGX_SF_PG_CLOSE_NONE;
}


/* an error without a code is libpq's own word for a lost connection */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_error(PGresult *res, const ngx_sf_pg_sqlstate_t **row)
{
    const char  *code;

    code = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    *row = ngx_sf_pg_sqlstate(code);

    return code == NULL || (*row)->action == NGX_SF_PG_LOST
           ? NGX_SF_PG_CLOSE_LOST : NGX_SF_PG_CLOSE_NONE;
}


/* the code that the log of slow requests shows */

static void
ngx_sf_pg_pipeline_keep_code(ngx_sf_pg_query_t *q, PGresult *res)
{
    ngx_cpystrn((u_char *) q->sqlstate,
                (u_char *) PQresultErrorField(res, PG_DIAG_SQLSTATE),
                sizeof(q->sqlstate));
}


/* what is not true any more of the name that a statement ran by */

static ngx_sf_pg_action_e
ngx_sf_pg_pipeline_forget(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    ngx_sf_pg_action_e action, PGresult *res)
{
    uint32_t    *known;
    const char  *source;

    if (slot->prepared == 0) {
        return action;
    }

    known = &pgc->prepared[slot->statement->id];

    if (action == NGX_SF_PG_GONE && *known == slot->prepared) {
        *known = 0;
    }

    if (action == NGX_SF_PG_STALE) {
        source = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

        if (source == NULL
            || ngx_strcmp(source, NGX_SF_PG_STALE_SOURCE) != 0)
        {
            return NGX_SF_PG_FINISH;
        }

        ngx_sf_pg_text_stale(pgc->lane->pool, slot->statement,
                             slot->prepared);
    }

    return action;
}


/*
 * Whether a statement that failed is sent again.  That a name is taken, gone
 * or stale may also be the word of a function, so it is an error of a
 * statement that had no name.
 */

static ngx_uint_t
ngx_sf_pg_pipeline_again(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_t *slot,
    ngx_sf_pg_query_t *q, ngx_sf_pg_action_e action, PGresult *res)
{
    switch (action) {

    case NGX_SF_PG_TAKEN:
    case NGX_SF_PG_GONE:
    case NGX_SF_PG_STALE:
        if (slot->prepared) {
            ngx_sf_pg_pipeline_clash(q, action);
        }

        return slot->prepared != 0;

    case NGX_SF_PG_RETRY:
        if (ngx_sf_pg_exclusive(pgc->lane) || q->retries) {
            return 0;
        }

        q->retries++;
        q->alone = 1;
        return 1;

    case NGX_SF_PG_REWORD:
        if (ngx_sf_pg_exclusive(pgc->lane)) {
            return 0;
        }

        q->alone = 1;
        return ngx_sf_pg_pipeline_reword(q, res);

    default:
        return 0;
    }
}


/*
 * The database's encoding lacks a character, so no row has it: any other will
 * do that no row has either.  One that no value has stands in what is stored,
 * and is not the client's.
 */

static ngx_uint_t
ngx_sf_pg_pipeline_reword(ngx_sf_pg_query_t *q, PGresult *res)
{
    u_char       foreign[NGX_SF_PG_FOREIGN + 1];
    ngx_uint_t   i, found;
    const char  *message;

    found = 0;
    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    ngx_sf_pg_pipeline_foreign(message ? message : "", foreign);

    if (q->rewords++ == NGX_SF_PG_REWORDS) {
        foreign[0] = '\0';
    }

    for (i = 0; q->blame && i < q->statement->nvalues; i++) {
        if (q->values[i]) {
            found |= ngx_sf_pg_pipeline_replace((u_char *) q->values[i],
                                                foreign);
        }
    }

    q->blame = found;

    return found;
}


/*
 * The character that a message of PostgreSQL names (mbutils.c,
 * report_untranslatable_char()): "... byte sequence 0xf0 0x9f 0x98 0x80 in
 * encoding ..."; empty: it names none.
 */

static void
ngx_sf_pg_pipeline_foreign(const char *message, u_char *foreign)
{
    ngx_int_t   n;
    ngx_uint_t  i;

    message = strstr(message, "0x");

    for (i = 0; message && i < NGX_SF_PG_FOREIGN; i++) {
        n = message[0] == '0' && message[1] == 'x'
            ? ngx_hextoi((u_char *) message + 2, 2) : NGX_ERROR;

        if (n == NGX_ERROR) {
            break;
        }

        foreign[i] = (u_char) n;
        message += sizeof("0xf0") - 1;
        message += *message == ' ';
    }

    foreign[i] = '\0';
}


/* in place; without a character, all that are not ASCII */

static ngx_uint_t
ngx_sf_pg_pipeline_replace(u_char *text, const u_char *foreign)
{
    u_char      *to;
    size_t       len;
    ngx_uint_t   found;

    found = 0;
    len = ngx_strlen(foreign);

    for (to = text; *text; /* void */ ) {

        if (len ? ngx_strncmp(text, foreign, len) != 0 : *text < 0x80) {
            *to++ = *text++;
            continue;
        }

        found = 1;
        *to++ = NGX_SF_PG_NO_CHARACTER;
        text++;

        while ((*text & 0xc0) == 0x80) {
            text++;
        }
    }

    *to = '\0';

    return found;
}


/* it is not sent again: its result would be as large */

ngx_sf_pg_close_e
ngx_sf_pg_pipeline_too_large(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_slot_t   *slot;
    ngx_sf_pg_query_t  *q;

    slot = &pgc->fifo[pgc->head];

    if (slot->kind != NGX_SF_PG_SLOT_EXECUTE) {
        return NGX_SF_PG_CLOSE_MISMATCH;
    }

    q = slot->query;
    slot->query = NULL;
    pgc->proved = 1;

    ngx_sf_pg_log(pgc->lane->pool, NGX_LOG_ERR, &slot->statement->name,
                  "its response is larger than softfactory_max_response", "");

    if (q) {
        ngx_sf_pg_query_finish(q, NGX_SF_PG_FAILED, NULL);
    }

    return NGX_SF_PG_CLOSE_TOO_LARGE;
}


/*
 * How a query whose name has met TAKEN, GONE or STALE is sent next: again by
 * its name, once for each of them, and after that without one.  So it is sent a
 * few times at most, and the last of them depends on no name.
 */

static void
ngx_sf_pg_pipeline_clash(ngx_sf_pg_query_t *q, ngx_sf_pg_action_e action)
{
    ngx_uint_t  bit;

    bit = (ngx_uint_t) 1 << action;

    q->unnamed = (q->clashes & bit) != 0;
    q->clashes |= bit;
    q->alone = 1;
}


/* its own prepare has failed, or a neighbour that it has no part in */

static void
ngx_sf_pg_pipeline_on_aborted(ngx_sf_pg_slot_t *slot)
{
    ngx_sf_pg_query_t  *q;

    q = slot->query;
    slot->query = NULL;

    if (q == NULL) {
        return;
    }

    if (slot->prepare != NGX_SF_PG_OK) {
        ngx_sf_pg_query_finish(q, slot->prepare, NULL);
        return;
    }

    q->alone = 1;
    ngx_sf_pg_query_requeue(q);
}


/* at the Sync there is no statement: the line is about the commit */

static void
ngx_sf_pg_pipeline_log_result(ngx_sf_pg_conn_t *pgc,
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


/*
 * The ring has room for all that ngx_sf_pg_conn_room() lets in: see
 * ngx_sf_pg_pool_connection().  nginx closes idle connections when a worker
 * shuts down; one that is owed a result is not idle, except on the listen lane,
 * whose subscribers decide then.
 */

static ngx_sf_pg_slot_t *
ngx_sf_pg_pipeline_push(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_slot_e kind)
{
    ngx_sf_pg_slot_t  *slot;

    slot = &pgc->fifo[(pgc->head + pgc->count) % pgc->nfifo];
    ngx_memzero(slot, sizeof(ngx_sf_pg_slot_t));
    slot->kind = kind;
    slot->first = pgc->unit == 0;

    if (kind != NGX_SF_PG_SLOT_SYNC) {
        pgc->unit++;
    }

    if (pgc->count++ == 0) {
        pgc->c->idle = pgc->lane->kind == NGX_SF_PG_LISTEN;
        ngx_sf_pg_pipeline_arm(pgc);
    }

    return slot;
}


/*
 * The head is done, and the next one is armed.  Without one the connection is
 * idle, and a spare one ends if that lasts.
 */

static void
ngx_sf_pg_pipeline_pop(ngx_sf_pg_conn_t *pgc)
{
    ngx_sf_pg_slot_t  *slot;

    slot = &pgc->fifo[pgc->head];

    if (slot->probe) {
        slot->line->probes--;
    }

    pgc->head = (pgc->head + 1) % pgc->nfifo;
    pgc->count--;
    pgc->progress = 1;

    if (pgc->count) {
        ngx_sf_pg_pipeline_arm(pgc);
        return;
    }

    pgc->c->idle = 1;

    if (pgc->spare) {
        pgc->timer.cancelable = 1;
        ngx_add_timer(&pgc->timer, NGX_SF_PG_SPARE_IDLE);

    } else {
        ngx_del_timer(&pgc->timer);
    }
}


/* on a lane that nobody listens on they are dropped: libpq would keep them */

static void
ngx_sf_pg_pipeline_take_notifications(ngx_sf_pg_conn_t *pgc)
{
    PGnotify                *notify;
    const ngx_sf_pg_tell_t  *tell;

    tell = pgc->lane->tell;

    while ((notify = PQnotifies(pgc->pg)) != NULL) {

        if (tell) {
            pgc->progress = 1;
            tell->notified(pgc, notify);
        }

        PQfreemem(notify);
    }
}


/* a new head: its time begins */

static void
ngx_sf_pg_pipeline_arm(ngx_sf_pg_conn_t *pgc)
{
    pgc->overdue = 0;
    pgc->timer.cancelable = pgc->lane->kind == NGX_SF_PG_LISTEN;

    ngx_sf_pg_head_begin(pgc);
    ngx_sf_pg_pipeline_set_timer(pgc, 0);
}


/*
 * The server's own timeout comes first; ours is for a silent one.  Before
 * that a head may be late for those behind it.
 */

static void
ngx_sf_pg_pipeline_set_timer(ngx_sf_pg_conn_t *pgc, ngx_msec_t age)
{
    ngx_msec_t  due, late;

    due = ngx_sf_pg_pipeline_due(pgc);

    late = pgc->late ? age + NGX_SF_PG_STUCK_INTERVAL
                     : ngx_sf_pg_head_late(pgc) / 1000 + 1;
    due = ngx_min(due, late);

    due = due > age ? due - age : 1;

    /* nginx leaves a timer that is set where it is, if it is not far off */

    if (pgc->timer.timer_set
        && (ngx_msec_int_t) (pgc->timer.timer.key - ngx_current_msec - due) > 0)
    {
        ngx_del_timer(&pgc->timer);
    }

    ngx_add_timer(&pgc->timer, due);
}


/* the age of a head at which it has had its time, in ms */

static ngx_msec_t
ngx_sf_pg_pipeline_due(ngx_sf_pg_conn_t *pgc)
{
    ngx_msec_t  due;

    due = pgc->lane->pool->conf->timeout[pgc->lane->kind]
          + NGX_SF_PG_RESULT_GRACE;

    return pgc->overdue ? 2 * due : due;
}


/*
 * From the tail, so that what goes back to the head of the waiting list keeps
 * its order.  A handler may cancel a query that still stands in this FIFO, so
 * the ring stays valid throughout.
 */

void
ngx_sf_pg_pipeline_unwind(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason)
{
    ngx_sf_pg_slot_t   *slot;
    ngx_sf_pg_query_t  *q;

    while (pgc->count) {
        pgc->count--;

        slot = &pgc->fifo[(pgc->head + pgc->count) % pgc->nfifo];

        if (slot->res) {
            PQclear(slot->res);
        }

        if (slot->probe) {
            slot->line->probes--;
        }

        q = slot->query;

        if (reason == NGX_SF_PG_CLOSE_EXIT) {
            continue;
        }

        ngx_sf_pg_lane_over(slot->turn, 1);

        if (q == NULL) {
            continue;
        }

        if (ngx_sf_pg_exclusive(pgc->lane)) {
            ngx_sf_pg_query_finish(q, NGX_SF_PG_UNAVAILABLE, NULL);
            continue;
        }

        ngx_sf_pg_query_resend(q, reason);
    }

    pgc->head = 0;
}


/* nginx may fire it early: it moves a timer only when it is far off */

ngx_sf_pg_close_e
ngx_sf_pg_pipeline_timeout(ngx_sf_pg_conn_t *pgc)
{
    uint64_t           age;
    ngx_sf_pg_close_e  reason;

    pgc->lane->pool->now = ngx_sf_pg_now();
    age = ngx_sf_pg_head_age(pgc);

    if (!pgc->late && age > ngx_sf_pg_head_late(pgc)) {
        pgc->late = 1;
        ngx_sf_pg_pipeline_send_again(pgc);
    }

    if (pgc->late && ngx_sf_pg_pipeline_unwanted(pgc)) {
        return NGX_SF_PG_CLOSE_RETIRED;
    }

    /* what waits may need a spare connection now, or that one is given up */

    if (pgc->late && pgc->lane->nwaiting) {
        ngx_sf_pg_pool_post_dispatch(pgc->lane->pool);
    }

    if (age / 1000 >= ngx_sf_pg_pipeline_due(pgc)) {
        reason = ngx_sf_pg_pipeline_overdue(pgc);

        if (reason != NGX_SF_PG_CLOSE_NONE) {
            return reason;
        }
    }

    ngx_sf_pg_pipeline_set_timer(pgc, age / 1000);

    return NGX_SF_PG_CLOSE_NONE;
}


/*
 * Whether nobody waits for anything that is under way: closing the connection
 * is how it is cancelled, at most once a second in a lane, or at once when the
 * worker shuts down and would wait for it.
 */

static ngx_uint_t
ngx_sf_pg_pipeline_unwanted(ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t          i;
    ngx_sf_pg_lane_t   *lane;
    ngx_sf_pg_query_t  *q;

    lane = pgc->lane;

    if (ngx_sf_pg_exclusive(lane)
        || (!ngx_exiting
            && (ngx_msec_int_t) (lane->stuck_at - ngx_current_msec) > 0))
    {
        return 0;
    }

    for (i = 0; i < pgc->count; i++) {
        q = pgc->fifo[(pgc->head + i) % pgc->nfifo].query;

        if (q && !ngx_sf_pg_pipeline_dropped(pgc, q)) {
            return 0;
        }
    }

    lane->stuck_at = ngx_current_msec + NGX_SF_PG_STUCK_INTERVAL;

    return 1;
}


/*
 * Its owner may keep a query that nobody waits for, so that the next request
 * for the same does not begin anew.  In a heavy lane that ends when others have
 * waited for the connection for a second.
 */

static ngx_uint_t
ngx_sf_pg_pipeline_dropped(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_query_t *q)
{
    return ngx_sf_pg_heavy(pgc->lane) && pgc->lane->nwaiting
           && ngx_sf_pg_head_age(pgc) / 1000 >= NGX_SF_PG_STUCK_INTERVAL
           && q->wanted && !q->wanted(q);
}


/*
 * What stands behind a late head goes elsewhere, and the head's own unit does
 * if it has several statements.  Their results are dropped when they come.
 */

static void
ngx_sf_pg_pipeline_send_again(ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t              i;
    ngx_sf_pg_slot_t       *slot, *head;
    ngx_sf_pg_query_t      *q;
    ngx_sf_pg_principal_t  *turn;

    if (ngx_sf_pg_exclusive(pgc->lane)) {
        return;
    }

    head = &pgc->fifo[pgc->head];
    pgc->apart = ngx_sf_pg_head_unit(pgc) > 1;

    for (i = 0; i < pgc->count; i++) {
        slot = &pgc->fifo[(pgc->head + i) % pgc->nfifo];
        q = slot->query;

        if (q == NULL || q->moved == NGX_SF_PG_MOVES
            || (!pgc->apart && slot->sync == head->sync))
        {
            continue;
        }

        slot->query = NULL;

        /* the server is at the head alone: the others hold nothing up */

        if (slot != head) {
            turn = slot->turn;
            slot->turn = NULL;
            ngx_sf_pg_lane_over(turn, 1);
        }

        q->moved++;
        q->alone = 1;
        ngx_sf_pg_query_requeue(q);
    }
}


/* all have had their time */

static ngx_sf_pg_close_e
ngx_sf_pg_pipeline_overdue(ngx_sf_pg_conn_t *pgc)
{
    ngx_uint_t          i;
    ngx_sf_pg_slot_t   *slot;
    ngx_sf_pg_query_t  *q;

    if (ngx_sf_pg_head_unit(pgc) < 2 || pgc->overdue) {
        return NGX_SF_PG_CLOSE_TIMEOUT;
    }

    /* the same time once more, for all the rest: nobody waits for it now */

    pgc->overdue = 1;

    if (pgc->state == NGX_SF_PG_CONN_READY) {
        ngx_sf_pg_conn_set_state(pgc, NGX_SF_PG_CONN_DRAINING);
    }

    /* a handler may cancel queries, but does not move the FIFO */

    for (i = 0; i < pgc->count; i++) {
        slot = &pgc->fifo[(pgc->head + i) % pgc->nfifo];
        q = slot->query;

        if (q) {
            slot->query = NULL;
            ngx_sf_pg_query_finish(q, NGX_SF_PG_TIMEOUT, NULL);
        }
    }

    return NGX_SF_PG_CLOSE_NONE;
}

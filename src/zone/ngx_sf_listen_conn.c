
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The listening connection.  What is said on it: LISTEN, heartbeats, now and
 * then a look at the channel and the catalogue (ngx_sf_listen_channel.c,
 * ngx_sf_listen_look.c); what is heard there, results and notifications; and
 * its state, which the election moves as well (ngx_sf_listen.c has the states).
 *
 * A turn of the event loop takes what one read brings, 16 KB or little more of
 * notifications, so a storm of them leaves time for requests.
 *
 * One statement is under way at a time, and the time at which it was sent is
 * what its result proves (ngx_sf_listen_lease.c).  Results count only when they
 * come from the server that LISTEN was said to, and only for the owner: others
 * do not get beyond LISTENING.
 *
 * (PostgreSQL manual, LISTEN, NOTIFY.)
 */


#include "ngx_sf_listen_conn.h"


/* in ms */

#define NGX_SF_LISTEN_BACKOFF    4000     /* after errors, at most */


typedef struct {
    const ngx_sf_pg_statement_t  *statement;
    ngx_int_t                   (*handler)(ngx_sf_listen_t *l, PGresult *res);
} ngx_sf_listen_saying_t;


static void ngx_sf_listen_send(ngx_sf_listen_t *l,
    ngx_sf_listen_statement_e what);
static void ngx_sf_listen_answer(ngx_sf_pg_query_t *q,
    ngx_sf_pg_outcome_e outcome, PGresult *res);
static void ngx_sf_listen_failed(ngx_sf_listen_t *l,
    ngx_sf_listen_statement_e what, ngx_sf_pg_outcome_e outcome);
static ngx_int_t ngx_sf_listen_said(ngx_sf_listen_t *l, PGresult *res);
static ngx_int_t ngx_sf_listen_checked(ngx_sf_listen_t *l, PGresult *res);
static ngx_int_t ngx_sf_listen_looked(ngx_sf_listen_t *l, PGresult *res);
static ngx_int_t ngx_sf_listen_trimmed(ngx_sf_listen_t *l, PGresult *res);
static ngx_int_t ngx_sf_listen_beaten(ngx_sf_listen_t *l, PGresult *res);

static void ngx_sf_listen_notified(ngx_sf_pg_subscriber_t *sub,
    const PGnotify *notify);
static void ngx_sf_listen_closed(ngx_sf_pg_subscriber_t *sub,
    ngx_sf_pg_close_e reason);
static void ngx_sf_listen_exiting(ngx_sf_pg_subscriber_t *sub);


static const ngx_sf_pg_statement_t  ngx_sf_listen_beat_statement = {
    0, ngx_string("heartbeat"),
    "/* heartbeat */ SELECT pg_is_in_recovery(),"
    " (pg_notification_queue_usage() * 1000000)::int", 0, 2, NULL, 0, 0,
    NULL, NULL
};


/* by their numbers; the handlers are called with a good result */

static const ngx_sf_listen_saying_t
    ngx_sf_listen_sayings[NGX_SF_LISTEN_STATEMENTS] =
{
    { &ngx_sf_listen_say_statement, ngx_sf_listen_said },
    { &ngx_sf_listen_open_statement, ngx_sf_listen_said },
    { &ngx_sf_listen_channel_statement, ngx_sf_listen_checked },
    { &ngx_sf_listen_look_statement, ngx_sf_listen_looked },
    { &ngx_sf_listen_beat_statement, ngx_sf_listen_beaten },
    { &ngx_sf_listen_creators_statement, ngx_sf_listen_creators_seen },
    { &ngx_sf_listen_trim_statement, ngx_sf_listen_trimmed }
};


static const char *const  ngx_sf_listen_states[] = {
    "idle", "connecting", "listening", "checking", "up"
};


void
ngx_sf_listen_conn_prepare(ngx_cycle_t *cycle, ngx_sf_listen_t *l,
    ngx_uint_t first_id)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_LISTEN_STATEMENTS; i++) {
        l->statements[i] = *ngx_sf_listen_sayings[i].statement;
        l->statements[i].id = first_id + i;
    }

    l->query.lane = NGX_SF_PG_LISTEN;
    l->query.handler = ngx_sf_listen_answer;
    l->query.data = l;

    l->sub.data = l;
    l->sub.notified = ngx_sf_listen_notified;
    l->sub.closed = ngx_sf_listen_closed;
    l->sub.exiting = ngx_sf_listen_exiting;

    ngx_sf_listen_channel_prepare(cycle, l);
    ngx_sf_listen_look_prepare(l);
}


void
ngx_sf_listen_conn_set_state(ngx_sf_listen_t *l, ngx_sf_listen_state_e state)
{
    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, l->log, 0,
                   "softfactory listener of \"%V\": %s->%s",
                   &l->primary->name, ngx_sf_listen_states[l->state],
                   ngx_sf_listen_states[state]);

    if (l->state == NGX_SF_LISTEN_IDLE && state != NGX_SF_LISTEN_IDLE) {
        ngx_sf_pg_notify_subscribe(l->pool, &l->sub);
    }

    if (l->state != NGX_SF_LISTEN_IDLE && state == NGX_SF_LISTEN_IDLE) {

        if (l->busy) {
            l->busy = 0;
            ngx_sf_pg_cancel(&l->query);
        }

        if (l->hold.timer_set) {
            ngx_del_timer(&l->hold);
        }

        ngx_sf_pg_notify_unsubscribe(l->pool, &l->sub);
    }

    if (state == NGX_SF_LISTEN_CONNECTING) {
        l->since = ngx_current_msec;
        l->retry_at = ngx_current_msec;
        l->errors = 0;
        l->heal = 0;
        ngx_sf_listen_channel_reset(l);
    }

    l->state = state;

    ngx_sf_listen_conn_arm(l);
}


/* idle workers look at different times, the owner is on time */

void
ngx_sf_listen_conn_arm(ngx_sf_listen_t *l)
{
    ngx_msec_t      delay;
    ngx_msec_int_t  left;

    delay = NGX_SF_LISTEN_TICK;

    switch (l->state) {

    case NGX_SF_LISTEN_IDLE:
        delay -= ngx_random() % (NGX_SF_LISTEN_TICK / 5);
        break;

    case NGX_SF_LISTEN_LISTENING:
        delay = NGX_SF_LISTEN_POLL;
        break;

    case NGX_SF_LISTEN_UP:
        left = ngx_min((ngx_msec_int_t) (l->sent + NGX_SF_LISTEN_HEARTBEAT
                                         - ngx_current_msec),
                       (ngx_msec_int_t) (l->look_at - ngx_current_msec));

        if (left > 0 && left < (ngx_msec_int_t) delay) {
            delay = left;
        }

        break;

    default: /* CONNECTING, CHECKING */
        break;
    }

    /* a timer that is set would not be moved by so little */

    if (l->tick.timer_set) {
        ngx_del_timer(&l->tick);
    }

    ngx_add_timer(&l->tick, delay);
}


void
ngx_sf_listen_conn_next(ngx_sf_listen_t *l)
{
    ngx_msec_t  now;

    now = ngx_current_msec;

    if (l->busy || (ngx_msec_int_t) (l->retry_at - now) > 0) {
        return;
    }

    switch (l->state) {

    case NGX_SF_LISTEN_CONNECTING:
        ngx_sf_listen_send(l, l->heal ? NGX_SF_LISTEN_BEAT : l->step);
        break;

    case NGX_SF_LISTEN_CHECKING:
        ngx_sf_listen_send(l, NGX_SF_LISTEN_LOOK);
        break;

    case NGX_SF_LISTEN_UP:
        if (ngx_sf_listen_look_due(l)) {
            ngx_sf_listen_send(l, l->step);

        } else if (l->trim) {
            ngx_sf_listen_send(l, NGX_SF_LISTEN_TRIM);

        } else if (ngx_sf_listen_channel_due(l)) {
            ngx_sf_listen_send(l, NGX_SF_LISTEN_CHANNEL);

        } else if (ngx_sf_listen_creators_due(l)) {
            ngx_sf_listen_send(l, NGX_SF_LISTEN_CREATORS);

        } else if (l->nudged
                   || now - l->sent >= NGX_SF_LISTEN_HEARTBEAT)
        {
            ngx_sf_listen_send(l, NGX_SF_LISTEN_BEAT);
        }

        break;

    default: /* IDLE, LISTENING */
        break;
    }
}


static void
ngx_sf_listen_send(ngx_sf_listen_t *l, ngx_sf_listen_statement_e what)
{
    ngx_msec_t          now;
    ngx_sf_pg_query_t  *q;

    q = &l->query;
    q->statement = &l->statements[what];
    q->values = what == NGX_SF_LISTEN_CREATORS ? &l->nspname
                : what == NGX_SF_LISTEN_CHANNEL ? &l->waits
                : q->statement->nvalues ? l->values : NULL;

    if (what == NGX_SF_LISTEN_LOOK) {
        ngx_sf_listen_look_values(l);
    }

    now = ngx_current_msec;

    if (ngx_sf_pg_submit(l->pool, q) != NGX_SF_PG_OK) {
        return;
    }

    l->sent = now;
    l->busy = 1;
    l->nudged = 0;

    if (what == NGX_SF_LISTEN_LOOK) {
        ngx_sf_listen_look_sent(l);
    }

    l->asked_for = l->waits;
}


static void
ngx_sf_listen_answer(ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome,
    PGresult *res)
{
    ngx_sf_listen_t            *l;
    ngx_sf_listen_statement_e   what;

    l = q->data;
    l->busy = 0;

    what = q->statement - l->statements;

    if (outcome != NGX_SF_PG_OK) {
        ngx_sf_listen_failed(l, what, outcome);
        return;
    }

    l->errors = 0;

    if (what == NGX_SF_LISTEN_BEAT && l->state == NGX_SF_LISTEN_CONNECTING) {
        l->heal = 0;

    } else if (q->server != l->server
               && (what != NGX_SF_LISTEN_SAY
                   || l->state != NGX_SF_LISTEN_CONNECTING))
    {

        /* the pool has moved on, and LISTEN was said elsewhere */

        ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_CONNECTING);

    } else if (ngx_sf_listen_sayings[what].handler(l, res) == NGX_DECLINED) {
        ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_IDLE);
    }

    ngx_sf_pg_result_free(res);

    ngx_sf_listen_conn_next(l);
}


/* the pool has logged why */

static void
ngx_sf_listen_failed(ngx_sf_listen_t *l, ngx_sf_listen_statement_e what,
    ngx_sf_pg_outcome_e outcome)
{
    ngx_msec_t  delay;

    if (what == NGX_SF_LISTEN_CREATORS) {
        ngx_sf_listen_creators_later(l);
        return;
    }

    if (what != NGX_SF_LISTEN_BEAT && l->state != NGX_SF_LISTEN_CONNECTING) {
        ngx_sf_listen_look_failed(l);

        if (l->state == NGX_SF_LISTEN_CHECKING) {
            ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_UP);
        }
    }

    l->step = NGX_SF_LISTEN_SAY;
    l->trim = 0;

    if (outcome == NGX_SF_PG_UNAVAILABLE || outcome == NGX_SF_PG_EXPIRED) {
        return;
    }

    if (what == NGX_SF_LISTEN_BEAT || l->state == NGX_SF_LISTEN_CONNECTING) {
        delay = NGX_SF_LISTEN_TICK << ngx_min(l->errors, 8);
        l->retry_at = ngx_current_msec
                      + ngx_min(delay, NGX_SF_LISTEN_BACKOFF);
        l->errors++;
    }

    /*
     * "could not access status of transaction": the queue's tail lags behind,
     * which to ask for its usage puts right.
     */

    l->heal = what != NGX_SF_LISTEN_BEAT
              && l->state == NGX_SF_LISTEN_CONNECTING;
}


static ngx_int_t
ngx_sf_listen_said(ngx_sf_listen_t *l, PGresult *res)
{
    if (l->state == NGX_SF_LISTEN_CONNECTING) {
        l->server = l->query.server;
    }

    ngx_sf_listen_channel_said(l);

    return NGX_OK;
}


/* on to the look, or, outside of that, to nothing */

static ngx_int_t
ngx_sf_listen_checked(ngx_sf_listen_t *l, PGresult *res)
{
    ngx_int_t  rc;

    rc = ngx_sf_listen_channel_seen(l, res);

    if (l->step == NGX_SF_LISTEN_CHANNEL) {
        l->step = NGX_SF_LISTEN_LOOK;
    }

    if (l->state != NGX_SF_LISTEN_CONNECTING) {
        return rc;
    }

    /* not before the result has come, whenever this turn has begun */

    ngx_time_update();

    l->listening = ngx_current_msec;

    ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_LISTENING);
    l->reports->said(l);

    return NGX_OK;
}


/* whatever the first look has found, there are others after it */

static ngx_int_t
ngx_sf_listen_looked(ngx_sf_listen_t *l, PGresult *res)
{
    ngx_int_t  rc;

    rc = ngx_sf_listen_look_seen(l, res);

    if (rc == NGX_OK && l->state == NGX_SF_LISTEN_CHECKING) {
        ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_UP);
    }

    return rc;
}


static ngx_int_t
ngx_sf_listen_trimmed(ngx_sf_listen_t *l, PGresult *res)
{
    l->trim = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_listen_beaten(ngx_sf_listen_t *l, PGresult *res)
{
    if (ngx_sf_pg_result_rows(res) != 1
        || ngx_sf_pg_result_bool(res, 0, 0))
    {
        ngx_sf_pg_notify_hang_up(l->pool, NGX_SF_PG_CLOSE_STANDBY);
        return NGX_OK;
    }

    ngx_sf_listen_channel_used(l, ngx_sf_pg_result_number(res, 0, 1));

    return ngx_sf_listen_lease_confirm(l);
}


/* anybody can say anything on the open channel, while it is needed */

static void
ngx_sf_listen_notified(ngx_sf_pg_subscriber_t *sub, const PGnotify *notify)
{
    ngx_uint_t        moved;
    ngx_sf_listen_t  *l;

    l = sub->data;

    if (l->open == 0
        && ngx_strcmp(notify->relname, NGX_SF_TABLE_CHANNEL) == 0)
    {
        return;
    }

    (void) ngx_atomic_fetch_add(&l->source->notifications, 1);

    if (ngx_strcmp(notify->extra, NGX_SF_TABLE_TRIGGERS) == 0) {
        ngx_sf_listen_look_soon(l, NGX_SF_LISTEN_TRIGGERS_CAME);
        ngx_sf_listen_conn_next(l);
        return;
    }

    if (ngx_strcmp(notify->extra, NGX_SF_TABLE_SCHEMA) == 0) {
        ngx_sf_listen_look_soon(l, NGX_SF_LISTEN_SCHEMA_CAME);
        ngx_sf_listen_conn_next(l);
        return;
    }

    moved = 0;

    if (ngx_sf_tags_try(l->zone, l->index, (u_char *) notify->extra,
                        ngx_strlen(notify->extra), &moved)
        != NGX_OK)
    {
        ngx_sf_listen_channel_garbled(l, notify->be_pid);
    }

    (void) ngx_atomic_fetch_add(&l->source->moves, moved);
}


static void
ngx_sf_listen_closed(ngx_sf_pg_subscriber_t *sub, ngx_sf_pg_close_e reason)
{
    ngx_sf_listen_t  *l;

    l = sub->data;

    if (l->busy) {
        l->busy = 0;
        ngx_sf_pg_cancel(&l->query);
    }

    ngx_sf_listen_channel_reset(l);

    if (reason == NGX_SF_PG_CLOSE_EXIT) {
        l->reports->lost(l);
        return;
    }

    if (l->state == NGX_SF_LISTEN_CHECKING || l->state == NGX_SF_LISTEN_UP) {
        ngx_log_error(NGX_LOG_WARN, l->log, 0,
                      "softfactory upstream \"%V\": not listening on %V any "
                      "more, responses are trusted until the lease is over",
                      &l->primary->name,
                      ngx_sf_pg_server_name(l->pool, l->server));
    }

    if (l->state != NGX_SF_LISTEN_CONNECTING) {
        ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_CONNECTING);
    }
}


static void
ngx_sf_listen_exiting(ngx_sf_pg_subscriber_t *sub)
{
    ngx_sf_listen_t  *l;

    l = sub->data;
    l->reports->exiting(l);
}

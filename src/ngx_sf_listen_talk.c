
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What is said on the listening connection: LISTEN, heartbeats, now and then
 * a look at the triggers; and what is heard there, answers and notifications.
 *
 * One statement is under way at a time, and the time at which it was sent is
 * what its answer proves (ngx_sf_listen_confirm).  Answers count only when they
 * come from the server that LISTEN was said to, and only for the owner: others
 * do not get beyond LISTENING.
 *
 * The look at the triggers finds the tables that are uncovered.  It is made
 * at the beginning, every ten seconds, and soon after the database has said
 * that triggers come or go.  When a table is covered again everything is
 * dropped: what was read while a change could go unheard must not live on.
 *
 * (PostgreSQL manual, LISTEN, NOTIFY, pg_trigger.)
 */


#include "ngx_sf_listen_talk.h"


/* in ms */

#define NGX_SF_LISTEN_CHECK      10000    /* of the triggers */
#define NGX_SF_LISTEN_RECHECK    250      /* the next one, at the soonest */
#define NGX_SF_LISTEN_RETRY      2000     /* the next one, after a failure */
#define NGX_SF_LISTEN_BACKOFF    4000     /* after errors, at most */


/* statements, in the order of their ids */

typedef enum {
    NGX_SF_LISTEN_SAY = 0,
    NGX_SF_LISTEN_BEAT,
    NGX_SF_LISTEN_TRIGGERS
} ngx_sf_listen_statement_e;


static ngx_int_t ngx_sf_listen_values(ngx_cycle_t *cycle,
    ngx_sf_listen_t *l);

static void ngx_sf_listen_send(ngx_sf_listen_t *l,
    ngx_sf_listen_statement_e what);
static void ngx_sf_listen_answer(ngx_sf_pg_query_t *q,
    ngx_sf_pg_outcome_e outcome, PGresult *res);
static void ngx_sf_listen_failed(ngx_sf_listen_t *l,
    ngx_sf_listen_statement_e what, ngx_sf_pg_outcome_e outcome);
static void ngx_sf_listen_said(ngx_sf_listen_t *l);
static void ngx_sf_listen_beaten(ngx_sf_listen_t *l, PGresult *res);
static void ngx_sf_listen_looked(ngx_sf_listen_t *l, PGresult *res);
static void ngx_sf_listen_report(ngx_sf_listen_t *l);

static void ngx_sf_listen_notified(ngx_sf_pg_subscriber_t *sub,
    const char *channel, const char *payload);
static void ngx_sf_listen_closed(ngx_sf_pg_subscriber_t *sub,
    ngx_sf_pg_close_e reason);
static void ngx_sf_listen_exiting(ngx_sf_pg_subscriber_t *sub);


/*
 * TRIGGERS: $1 names, $2 versions; the tables of which a part, partitions and
 * children included, lacks a trigger.  No part is locked.
 */

static const ngx_sf_pg_statement_t  ngx_sf_listen_statements[] = {

    { 0, ngx_string("listen"), "LISTEN " NGX_SF_TABLE_CHANNEL, 0, 0 },

    { 0, ngx_string("heartbeat"),
      "/* heartbeat */ SELECT pg_is_in_recovery(),"
      " (pg_notification_queue_usage() * 1000000)::int", 0, 2 },

    { 0, ngx_string("triggers"),
      "/* triggers */ WITH RECURSIVE part (name, version, relid) AS ("
      " SELECT name, version, to_regclass(name)::oid"
      " FROM unnest($1::text[], $2::text[]) AS t (name, version)"
      " UNION"
      " SELECT name, version, inhrelid"
      " FROM part JOIN pg_inherits ON inhparent = relid)"
      " SELECT DISTINCT name FROM part WHERE ("
      " SELECT count(*) FROM pg_trigger"
      " WHERE tgrelid = relid AND tgenabled = 'A'"
      " AND tgname IN ('softfactory_notify_insert',"
      " 'softfactory_notify_update', 'softfactory_notify_delete',"
      " 'softfactory_notify_truncate')"
      " AND tgargs = convert_to(version, 'UTF8') || decode('00', 'hex'))"
      " <> 4", 2, 1 }
};


ngx_int_t
ngx_sf_listen_prepare(ngx_cycle_t *cycle, ngx_sf_listen_t *l,
    ngx_uint_t first_id)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_LISTEN_STATEMENTS; i++) {
        l->statements[i] = ngx_sf_listen_statements[i];
        l->statements[i].id = first_id + i;
    }

    l->query.lane = NGX_SF_PG_LISTEN;
    l->query.handler = ngx_sf_listen_answer;
    l->query.data = l;

    l->sub.data = l;
    l->sub.notified = ngx_sf_listen_notified;
    l->sub.closed = ngx_sf_listen_closed;
    l->sub.exiting = ngx_sf_listen_exiting;

    return ngx_sf_listen_values(cycle, l);
}


/* names and versions of all tables, as literals of text[] */

static ngx_int_t
ngx_sf_listen_values(ngx_cycle_t *cycle, ngx_sf_listen_t *l)
{
    size_t       size;
    u_char      *names, *versions, *n, *v;
    ngx_uint_t   i, count;

    count = ngx_sf_table_count();
    size = sizeof("{}");

    for (i = 0; i < count; i++) {
        size += ngx_strlen(ngx_sf_tables[i].name) + 1;
    }

    names = ngx_pnalloc(cycle->pool, size);
    versions = ngx_pnalloc(cycle->pool, sizeof("{}") + count * 9);

    if (names == NULL || versions == NULL) {
        return NGX_ERROR;
    }

    n = names;
    v = versions;

    for (i = 0; i < count; i++) {
        n = ngx_sprintf(n, "%c%s", i ? ',' : '{', ngx_sf_tables[i].name);
        v = ngx_sprintf(v, "%c%08xD", i ? ',' : '{',
                        ngx_sf_table_version(i));
    }

    ngx_sprintf(n, "}%Z");
    ngx_sprintf(v, "}%Z");

    l->values[0] = (char *) names;
    l->values[1] = (char *) versions;

    return NGX_OK;
}


void
ngx_sf_listen_next(ngx_sf_listen_t *l)
{
    ngx_msec_t  now;

    now = ngx_current_msec;

    if (l->busy || (ngx_msec_int_t) (l->retry_at - now) > 0) {
        return;
    }

    switch (l->state) {

    case NGX_SF_LISTEN_CONNECTING:
        ngx_sf_listen_send(l, l->heal ? NGX_SF_LISTEN_BEAT
                                      : NGX_SF_LISTEN_SAY);
        break;

    case NGX_SF_LISTEN_CHECKING:
        ngx_sf_listen_send(l, NGX_SF_LISTEN_TRIGGERS);
        break;

    case NGX_SF_LISTEN_UP:
        if ((ngx_msec_int_t) (l->check_at - now) <= 0) {
            ngx_sf_listen_send(l, NGX_SF_LISTEN_TRIGGERS);

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
    q->values = q->statement->nvalues ? l->values : NULL;

    now = ngx_current_msec;

    if (ngx_sf_pg_submit(l->pool, q) != NGX_SF_PG_OK) {
        return;
    }

    l->sent = now;
    l->busy = 1;
    l->nudged = 0;

    if (what == NGX_SF_LISTEN_TRIGGERS) {
        l->checked = now;
        l->moving = l->changed;
        l->changed = 0;
    }
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

    if (what == NGX_SF_LISTEN_SAY) {
        ngx_sf_listen_said(l);

    } else if (l->state == NGX_SF_LISTEN_CONNECTING) {
        l->heal = 0;

    } else if (q->server != l->server) {

        /* the pool has moved on, and LISTEN was said elsewhere */

        ngx_sf_listen_set_state(l, NGX_SF_LISTEN_CONNECTING);

    } else if (what == NGX_SF_LISTEN_BEAT) {
        ngx_sf_listen_beaten(l, res);

    } else {
        ngx_sf_listen_looked(l, res);
    }

    ngx_sf_pg_result_free(res);

    ngx_sf_listen_next(l);
}


/* the pool has logged why */

static void
ngx_sf_listen_failed(ngx_sf_listen_t *l, ngx_sf_listen_statement_e what,
    ngx_sf_pg_outcome_e outcome)
{
    ngx_msec_t  delay;

    if (what == NGX_SF_LISTEN_TRIGGERS) {
        l->changed |= l->moving;
        l->check_at = ngx_current_msec + NGX_SF_LISTEN_RETRY;

        /* heartbeats go on; until it is known no table counts as covered */

        if (l->moving) {
            l->uncovered = NGX_SF_LISTEN_ALL;
        }

        if (l->state == NGX_SF_LISTEN_CHECKING) {
            ngx_sf_listen_set_state(l, NGX_SF_LISTEN_UP);
        }
    }

    if (outcome == NGX_SF_PG_UNAVAILABLE || outcome == NGX_SF_PG_EXPIRED) {
        return;
    }

    if (what != NGX_SF_LISTEN_TRIGGERS) {
        delay = NGX_SF_LISTEN_TICK << ngx_min(l->errors, 8);
        l->retry_at = ngx_current_msec
                      + ngx_min(delay, NGX_SF_LISTEN_BACKOFF);
        l->errors++;
    }

    /*
     * "could not access status of transaction": the queue's tail lags behind,
     * which to ask for its usage puts right.
     */

    l->heal = what == NGX_SF_LISTEN_SAY;
}


static void
ngx_sf_listen_said(ngx_sf_listen_t *l)
{
    l->server = l->query.server;

    /* not before the answer has come, whenever this turn has begun */

    ngx_time_update();

    l->listening = ngx_current_msec;

    ngx_sf_listen_set_state(l, NGX_SF_LISTEN_LISTENING);
    ngx_sf_listen_elect(l);
}


static void
ngx_sf_listen_beaten(ngx_sf_listen_t *l, PGresult *res)
{
    ngx_int_t  n;
    ngx_str_t  usage;

    if (ngx_sf_pg_result_rows(res) != 1
        || ngx_sf_pg_result_bool(res, 0, 0))
    {
        ngx_sf_pg_notify_hang_up(l->pool, NGX_SF_PG_CLOSE_STANDBY);
        return;
    }

    usage = ngx_sf_pg_result_cell(res, 0, 1);
    n = ngx_atoi(usage.data, usage.len);
    l->usage = n == NGX_ERROR ? 0 : n;

    (void) ngx_sf_listen_confirm(l);
}


static void
ngx_sf_listen_looked(ngx_sf_listen_t *l, PGresult *res)
{
    ngx_int_t   table;
    ngx_str_t   name;
    ngx_uint_t  i, mask, first;

    mask = 0;

    for (i = 0; i < ngx_sf_pg_result_rows(res); i++) {
        name = ngx_sf_pg_result_cell(res, i, 0);
        table = ngx_sf_table_find(name.data, name.len);

        if (table != NGX_ERROR) {
            mask |= (ngx_uint_t) 1 << table;
        }
    }

    first = l->state == NGX_SF_LISTEN_CHECKING;

    /* what was read while a change could go unheard must not live on */

    if (!first && (l->uncovered & ~mask)) {
        ngx_sf_tags_move_all(l->zone, l->index);
    }

    l->uncovered = mask;
    l->check_at = l->changed ? l->checked + NGX_SF_LISTEN_RECHECK
                             : ngx_current_msec + NGX_SF_LISTEN_CHECK;

    if (ngx_sf_listen_confirm(l) != NGX_OK) {
        return;
    }

    if (l->moving) {
        ngx_sf_tags_move_all(l->zone, l->index);
    }

    if (first) {
        ngx_sf_listen_set_state(l, NGX_SF_LISTEN_UP);
    }

    ngx_sf_listen_report(l);
}


static void
ngx_sf_listen_report(ngx_sf_listen_t *l)
{
    u_char      *p, *last, names[NGX_MAX_ERROR_STR / 2];
    ngx_uint_t   i;

    if (l->uncovered == l->reported) {
        return;
    }

    l->reported = l->uncovered;

    if (l->uncovered == 0) {
        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "softfactory upstream \"%V\": all tables have current "
                      "triggers", &l->primary->name);
        return;
    }

    p = names;
    last = names + sizeof(names);

    for (i = 0; i < ngx_sf_table_count(); i++) {
        if (l->uncovered & ((ngx_uint_t) 1 << i)) {
            p = ngx_slprintf(p, last, "%s%s", p == names ? "" : ", ",
                             ngx_sf_tables[i].name);
        }
    }

    ngx_log_error(NGX_LOG_WARN, l->log, 0,
                  "softfactory upstream \"%V\": tables without current "
                  "triggers: %*s; answers from them live at most "
                  "softfactory_cache_incoherent_ttl; see "
                  "conf/postgresql/notify.sql",
                  &l->primary->name, (size_t) (p - names), names);
}


/* anybody in the database can say anything here */

static void
ngx_sf_listen_notified(ngx_sf_pg_subscriber_t *sub, const char *channel,
    const char *payload)
{
    ngx_uint_t        moved;
    ngx_msec_t        soonest;
    ngx_sf_listen_t  *l;

    l = sub->data;

    if (ngx_strcmp(channel, NGX_SF_TABLE_CHANNEL) != 0) {
        return;
    }

    (void) ngx_atomic_fetch_add(&l->source->notifications, 1);

    if (ngx_strcmp(payload, NGX_SF_TABLE_TRIGGERS) != 0) {
        moved = ngx_sf_tags_move(l->zone, l->index, (u_char *) payload,
                                 ngx_strlen(payload));
        (void) ngx_atomic_fetch_add(&l->source->moves, moved);
        return;
    }

    soonest = l->checked + NGX_SF_LISTEN_RECHECK;

    if ((ngx_msec_int_t) (soonest - ngx_current_msec) < 0) {
        soonest = ngx_current_msec;
    }

    l->changed = 1;
    l->check_at = soonest;

    ngx_sf_listen_next(l);
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

    if (reason == NGX_SF_PG_CLOSE_EXIT) {
        ngx_sf_listen_leave(l);
        return;
    }

    if (l->state == NGX_SF_LISTEN_CHECKING || l->state == NGX_SF_LISTEN_UP) {
        ngx_log_error(NGX_LOG_WARN, l->log, 0,
                      "softfactory upstream \"%V\": not listening on %V any "
                      "more, answers are trusted until the lease is over",
                      &l->primary->name,
                      ngx_sf_pg_server_name(l->pool, l->server));
    }

    if (l->state != NGX_SF_LISTEN_CONNECTING) {
        ngx_sf_listen_set_state(l, NGX_SF_LISTEN_CONNECTING);
    }
}


static void
ngx_sf_listen_exiting(ngx_sf_pg_subscriber_t *sub)
{
    ngx_sf_listen_hold(sub->data);
}

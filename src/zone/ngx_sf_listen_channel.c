
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The channel: by which names it is listened to, and when what is told there
 * can be relied on.
 *
 * The names stand in a table of the database, softfactory.channel, which only
 * the owners of the tables and the module's role may read; the triggers tell on
 * all of them.  LISTEN is said by an anonymous block that reads the table, so
 * no name is ever in a statement's text, in a log, or here.  What the block has
 * found, a setting of the session remembers.
 *
 *   - A name that comes is listened to at the next look; then the epoch moves,
 *     as it may have been the only one for a while.
 *   - One that has gone is listened to until all transactions have ended that
 *     had the table locked when it was missed: they may have told on it.
 *     Nobody else can lock that table.
 *   - Without a readable name no trigger of the new kind is heard, and no table
 *     that has such triggers counts as covered.
 *   - Triggers that were made before there were secret names tell on the open
 *     channel, on which every role may speak.  It is listened to while a table
 *     has such triggers, or there is no name.
 *
 * The triggers fall silent when the server's notification queue is half full.
 * So nothing is relied on from when NGX_SF_LISTEN_FULL of it is used until that
 * is over and, again, all transactions have ended that had the table locked
 * then; and then the epoch moves.  (ngx_sf_listen_lease_doubt() tells it.)
 *
 * What cannot be read may mean any change.  It moves the epoch, though not
 * twice in NGX_SF_LISTEN_MEND: in between nothing is relied on either.
 *
 * (PostgreSQL manual, LISTEN, pg_locks.)
 */


#include "ngx_sf_listen_conn.h"


#define NGX_SF_LISTEN_FULL       400000   /* ppm of the notification queue */

/* in ms */

#define NGX_SF_LISTEN_MEND       250      /* between epochs that were forced */
#define NGX_SF_LISTEN_WARN       60000    /* between lines of log about it */
#define NGX_SF_LISTEN_WAIT_EACH  250      /* between looks at transactions */


static void ngx_sf_listen_channel_heard(ngx_sf_listen_t *l, PGresult *res);
static void ngx_sf_listen_channel_waited(ngx_sf_listen_t *l, PGresult *res);
static void ngx_sf_listen_channel_wait(ngx_sf_listen_t *l, const char *whom);
static void ngx_sf_listen_channel_mend(ngx_event_t *ev);


/* $1 of the statement that asks, beside a list */

static const char  ngx_sf_listen_nobody[] = "-";
static const char  ngx_sf_listen_all[] = "";


#define NGX_SF_LISTEN_NAMES                                                   \
    "pg_listening_channels() AS c (name)"                                     \
    " WHERE name ~ '^sf_[0-9a-f]{32}$'"

/* of many names the newest: the triggers tell on each */

const ngx_sf_pg_statement_t  ngx_sf_listen_say_statement = {
    0, ngx_string("listen"),
    "DO $softfactory$ DECLARE names text[]; one text; BEGIN"
    " BEGIN"
    " names := ARRAY(SELECT c.name FROM " NGX_SF_TABLE_SECRET " c"
    " WHERE c.name ~ '^sf_[0-9a-f]{32}$' ORDER BY c.since DESC, c.name"
    " LIMIT 8);"
    " EXCEPTION WHEN OTHERS THEN names := '{}';"
    " END;"
    " FOREACH one IN ARRAY names LOOP"
    " EXECUTE format('LISTEN %I', one);"
    " END LOOP;"
    " PERFORM set_config('softfactory.names', array_to_string(names, ','),"
    " false);"
    " END $softfactory$", 0, 0, NULL, 0, 0, NULL, NULL
};

const ngx_sf_pg_statement_t  ngx_sf_listen_open_statement = {
    0, ngx_string("listen"), "LISTEN " NGX_SF_TABLE_CHANNEL, 0, 0, NULL, 0, 0,
    NULL, NULL
};

const ngx_sf_pg_statement_t  ngx_sf_listen_trim_statement = {
    0, ngx_string("unlisten"),
    "DO $softfactory$ DECLARE gone text; BEGIN"
    " FOR gone IN SELECT name FROM " NGX_SF_LISTEN_NAMES
    " AND name <> ALL (string_to_array("
    "current_setting('softfactory.names'), ','))"
    " LOOP EXECUTE format('UNLISTEN %I', gone);"
    " END LOOP;"
    " END $softfactory$", 0, 0, NULL, 0, 0, NULL, NULL
};

/*
 * $1: '-', the transactions that are waited for are not asked for; '', all that
 * have the table locked; or those of a former result, of which those are told
 * that still do.
 */

const ngx_sf_pg_statement_t  ngx_sf_listen_channel_statement = {
    0, ngx_string("channel"),
    "/* channel */ SELECT"
    " cardinality(string_to_array(current_setting('softfactory.names'), ',')),"
    " (SELECT count(*) FROM " NGX_SF_LISTEN_NAMES "),"
    " (SELECT md5(coalesce(string_agg(name, ',' ORDER BY name), ''))"
    " FROM " NGX_SF_LISTEN_NAMES "),"
    " (pg_notification_queue_usage() * 1000000)::int,"
    " CASE WHEN $1::text <> '-' THEN"
    " (SELECT string_agg(DISTINCT l.virtualtransaction, ',')"
    " FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'softfactory' AND c.relname = 'channel'"
    " AND l.database = (SELECT oid FROM pg_database"
    " WHERE datname = current_database())"
    " AND l.pid <> pg_backend_pid() AND ($1::text = ''"
    " OR l.virtualtransaction = ANY (string_to_array($1::text, ',')))) END",
    1, 5, NULL, 0, 0, NULL, NULL
};


void
ngx_sf_listen_channel_prepare(ngx_cycle_t *cycle, ngx_sf_listen_t *l)
{
    l->mend.handler = ngx_sf_listen_channel_mend;
    l->mend.data = l;
    l->mend.log = cycle->log;
    l->mend.cancelable = 1;

    l->waits = ngx_sf_listen_nobody;
}


/* nothing has been said in the next session; what is in doubt remains so */

void
ngx_sf_listen_channel_reset(ngx_sf_listen_t *l)
{
    l->step = NGX_SF_LISTEN_SAY;
    l->opened = 0;
    l->names = 0;
    l->leaving = 0;
    l->trim = 0;

    ngx_memzero(l->heard, sizeof(l->heard));

    ngx_sf_listen_channel_wait(l, l->full ? ngx_sf_listen_all
                                          : ngx_sf_listen_nobody);
}


/* a candidate has to hear what the owner listens to */

void
ngx_sf_listen_channel_said(ngx_sf_listen_t *l)
{
    if (l->step == NGX_SF_LISTEN_OPEN) {
        l->opened = 1;
    }

    l->open |= l->source->open;
    l->step = l->open && !l->opened ? NGX_SF_LISTEN_OPEN
                                    : NGX_SF_LISTEN_CHANNEL;
}


ngx_uint_t
ngx_sf_listen_channel_due(const ngx_sf_listen_t *l)
{
    return l->waits != ngx_sf_listen_nobody
           && (ngx_msec_int_t) (l->wait_at - ngx_current_msec) <= 0;
}


ngx_int_t
ngx_sf_listen_channel_seen(ngx_sf_listen_t *l, PGresult *res)
{
    if (ngx_sf_pg_result_rows(res) != 1) {
        return NGX_OK;
    }

    ngx_sf_listen_channel_heard(l, res);
    ngx_sf_listen_channel_used(l, ngx_sf_pg_result_number(res, 0, 3));

    /* what is asked for from now on was not asked for by this statement */

    if (l->asked_for == l->waits && l->waits != ngx_sf_listen_nobody) {
        ngx_sf_listen_channel_waited(l, res);
    }

    return l->state == NGX_SF_LISTEN_UP ? ngx_sf_listen_lease_confirm(l)
                                        : NGX_OK;
}


static void
ngx_sf_listen_channel_heard(ngx_sf_listen_t *l, PGresult *res)
{
    ngx_str_t   digest;
    ngx_uint_t  heard;

    l->names = ngx_sf_pg_result_number(res, 0, 0);
    heard = ngx_sf_pg_result_number(res, 0, 1);
    digest = ngx_sf_pg_result_cell(res, 0, 2);

    if (digest.len == sizeof(l->heard)
        && ngx_memcmp(l->heard, digest.data, digest.len) != 0)
    {
        ngx_memcpy(l->heard, digest.data, digest.len);

        /* the first look after LISTEN moves it by itself */

        if (l->state == NGX_SF_LISTEN_UP) {
            ngx_sf_tags_move_all(l->zone, l->index);
        }
    }

    if (heard > l->names && !l->leaving) {
        l->leaving = 1;
        ngx_sf_listen_channel_wait(l, ngx_sf_listen_all);
    }
}


/* how full the queue is, as a heartbeat or a look says */

void
ngx_sf_listen_channel_used(ngx_sf_listen_t *l, ngx_uint_t usage)
{
    l->usage = usage;

    if (usage < NGX_SF_LISTEN_FULL) {

        if (l->silent) {
            l->silent = 0;
            ngx_sf_listen_channel_wait(l, ngx_sf_listen_all);
        }

        return;
    }

    if (!l->full) {
        ngx_log_error(NGX_LOG_WARN, l->log, 0,
                      "softfactory upstream \"%V\": the server's notification "
                      "queue is %ui%% full, responses are cached for at most "
                      "softfactory_cache_incoherent_ttl",
                      &l->primary->name, usage / 10000);
    }

    l->full = 1;
    l->silent = 1;
}


/* which ones are still there, of those that are waited for */

static void
ngx_sf_listen_channel_waited(ngx_sf_listen_t *l, PGresult *res)
{
    char       *whom;
    ngx_str_t   left;

    left = ngx_sf_pg_result_cell(res, 0, 4);

    if (left.len) {
        whom = ngx_alloc(left.len + 1, l->log);

        if (whom) {
            ngx_memcpy(whom, left.data, left.len + 1);
        }

        ngx_sf_listen_channel_wait(l, whom ? whom : ngx_sf_listen_all);
        l->wait_at = ngx_current_msec + NGX_SF_LISTEN_WAIT_EACH;
        return;
    }

    ngx_sf_listen_channel_wait(l, ngx_sf_listen_nobody);

    l->trim = l->leaving;
    l->leaving = 0;

    if (l->full && !l->silent) {
        ngx_sf_tags_move_all(l->zone, l->index);
        l->full = 0;

        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "softfactory upstream \"%V\": the server's notification "
                      "queue has room again", &l->primary->name);
    }
}


/* not while the statement is under way: its value goes */

static void
ngx_sf_listen_channel_wait(ngx_sf_listen_t *l, const char *whom)
{
    if (l->waits != ngx_sf_listen_nobody && l->waits != ngx_sf_listen_all) {
        ngx_free((char *) l->waits);
    }

    l->waits = whom;
    l->wait_at = ngx_current_msec;
}


void
ngx_sf_listen_channel_garbled(ngx_sf_listen_t *l, int pid)
{
    ngx_msec_t  now;

    now = ngx_current_msec;

    (void) ngx_atomic_fetch_add(&l->source->unreadable, 1);

    if (l->warned == 0 || now - l->warned >= NGX_SF_LISTEN_WARN) {
        l->warned = now ? now : 1;

        ngx_log_error(NGX_LOG_WARN, l->log, 0,
                      "softfactory upstream \"%V\": a notification cannot be "
                      "read, everything is dropped; it comes from the server "
                      "process %d", &l->primary->name, pid);
    }

    if (l->mend.timer_set) {
        if (!l->garbled) {
            l->garbled = 1;
            ngx_sf_listen_lease_doubt(l);
        }

        return;
    }

    ngx_sf_tags_move_all(l->zone, l->index);
    ngx_add_timer(&l->mend, NGX_SF_LISTEN_MEND);
}


static void
ngx_sf_listen_channel_mend(ngx_event_t *ev)
{
    ngx_sf_listen_t  *l;

    l = ev->data;

    if (!l->garbled) {
        return;
    }

    ngx_sf_tags_move_all(l->zone, l->index);
    l->garbled = 0;
    ngx_sf_listen_lease_doubt(l);

    ngx_add_timer(&l->mend, NGX_SF_LISTEN_MEND);
}

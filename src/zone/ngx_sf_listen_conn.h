
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_LISTEN_CONN_H_INCLUDED_
#define _NGX_SF_LISTEN_CONN_H_INCLUDED_


#include "ngx_sf_listen.h"
#include "ngx_sf_notify.h"


/*
 * What the files of the listener share; no other file includes it.  Each calls
 * only those that stand before it here:
 *
 *   ngx_sf_listen_lease.c     what is told to the zone
 *   ngx_sf_listen_channel.c   whether all is heard
 *   ngx_sf_listen_look.c      what the catalogue says
 *   ngx_sf_listen_creators.c  which roles may create in it
 *   ngx_sf_listen_conn.c      the connection: what is said on it, and its state
 *   ngx_sf_listen.c           the election
 *
 * The connection tells the election by callbacks what has become of it.  A
 * handler of a result tells the connection by what it returns: NGX_DECLINED,
 * another worker is the owner now.
 */


/* in ms */

#define NGX_SF_LISTEN_TICK       250
#define NGX_SF_LISTEN_POLL       20       /* tick of a waiting candidate */
#define NGX_SF_LISTEN_HEARTBEAT  500

#define NGX_SF_LISTEN_VALUES     4

#define NGX_SF_LISTEN_MISSES     2        /* looks in a row: all is unknown */

/* what has been told on the channel, beside changes of rows */

#define NGX_SF_LISTEN_TRIGGERS_CAME  1    /* or went */
#define NGX_SF_LISTEN_SCHEMA_CAME    2    /* something may have changed */


/* what the open channel is needed for */

#define NGX_SF_LISTEN_TABLES     1        /* schema.open */
#define NGX_SF_LISTEN_EVENTS     2        /* event triggers */
#define NGX_SF_LISTEN_NAMELESS   4        /* there is no other */


typedef enum {
    NGX_SF_LISTEN_IDLE = 0,
    NGX_SF_LISTEN_CONNECTING,
    NGX_SF_LISTEN_LISTENING,
    NGX_SF_LISTEN_CHECKING,
    NGX_SF_LISTEN_UP
} ngx_sf_listen_state_e;


/* statements, in the order of their ids; a look begins with the first ones */

typedef enum {
    NGX_SF_LISTEN_SAY = 0,
    NGX_SF_LISTEN_OPEN,
    NGX_SF_LISTEN_CHANNEL,
    NGX_SF_LISTEN_LOOK,
    NGX_SF_LISTEN_BEAT,
    NGX_SF_LISTEN_CREATORS,
    NGX_SF_LISTEN_TRIM
} ngx_sf_listen_statement_e;


/* what the connection tells the election */

typedef void (*ngx_sf_listen_report_pt)(ngx_sf_listen_t *l);

typedef struct {
    ngx_sf_listen_report_pt     said;     /* LISTEN is in force */
    ngx_sf_listen_report_pt     exiting;  /* the worker is; it is closed unless
                                             hold is set */
    ngx_sf_listen_report_pt     lost;     /* it is closed, for good */
} ngx_sf_listen_reports_t;


struct ngx_sf_listen_s {
    const ngx_sf_listen_reports_t  *reports;  /* whom they reach */
    ngx_sf_zone_t              *zone;
    ngx_sf_source_t            *source;
    ngx_uint_t                  index;    /* of the source */
    const ngx_sf_pg_conf_t     *primary;  /* whose responses are watched over */
    ngx_sf_pg_pool_t           *pool;
    ngx_uint_t                  direct;   /* the pool's servers are others */
    ngx_log_t                  *log;

    ngx_sf_listen_state_e       state;
    ngx_sf_pg_subscriber_t      sub;      /* unless IDLE */
    ngx_event_t                 tick;
    ngx_event_t                 hold;     /* keeps an exiting worker */
    ngx_event_t                 mend;     /* since the epoch was forced */

    ngx_sf_pg_statement_t       statements[NGX_SF_LISTEN_STATEMENTS];
    const char                 *values[NGX_SF_LISTEN_VALUES];  /* of LOOK */
    ngx_sf_pg_query_t           query;

    /* times, ngx_current_msec */

    ngx_msec_t                  sent;     /* the last statement */
    ngx_msec_t                  retry_at; /* after an error */
    ngx_msec_t                  since;    /* of CONNECTING */
    ngx_msec_t                  rest;     /* not elected before that */
    ngx_msec_t                  listening;    /* LISTEN is in force */
    ngx_msec_t                  look_at;  /* the next look */
    ngx_msec_t                  looked;   /* the last one was sent */
    ngx_msec_t                  digest_at;    /* the next one with digests */
    ngx_msec_t                  exiting;  /* it was noticed, 0: not yet */

    ngx_uint_t                  errors;   /* in a row */
    uint32_t                    server;   /* that LISTEN was said to */
    ngx_sf_schema_t             schema;   /* as found */
    ngx_sf_set_t                reported[NGX_SF_LACKS];   /* as logged */
    ngx_uint_t                  listed;   /* names of the directory that the
                                             look asks for: the first ones */
    u_char                     *lists;    /* as text, for its values */
    ngx_uint_t                  misses;   /* looks that failed, in a row */
    ngx_uint_t                  told;     /* since the last look was sent */
    ngx_uint_t                  asked;    /* what the one under way is for */
    ngx_uint_t                  usage;    /* of the notification queue, ppm */

    ngx_sf_listen_statement_e   step;     /* that comes next before a look */
    ngx_uint_t                  names;    /* of the channel, that are listened
                                             to */
    u_char                      heard[32];    /* digest of those, and of names
                                                 that have gone */
    ngx_uint_t                  open;     /* mask of what the open channel is
                                             needed for, 0: for nothing */
    ngx_uint_t                  told_open;    /* as logged */
    ngx_sf_set_t                told_tables;  /* the same, the tables */
    const char                 *waits;    /* for whom, ngx_sf_listen_channel.c
                                             has how */
    const char                 *asked_for;    /* by the last statement */
    ngx_msec_t                  wait_at;  /* when they are looked at again */
    ngx_msec_t                  warned;   /* of what cannot be read, 0: never */

    const char                 *nspname;  /* schema of the tables */
    ngx_msec_t                  creators_at;  /* the next look at them */
    ngx_uint_t                  creators; /* as logged */

    unsigned                    busy:1;   /* the query is the pool's */
    unsigned                    nudged:1; /* a heartbeat is wanted now */
    unsigned                    heal:1;   /* LISTEN failed: something else
                                             first */
    unsigned                    digesting:1;  /* the look under way does */
    unsigned                    opened:1; /* the open channel is listened to */
    unsigned                    leaving:1;    /* a name that has gone, too */
    unsigned                    trim:1;   /* UNLISTEN is to be said */
    unsigned                    full:1;   /* the queue is, or has been and some
                                             may have been silent */
    unsigned                    silent:1; /* it is */
    unsigned                    garbled:1;    /* the epoch is to be moved */
};


/* --- ngx_sf_listen_lease.c: what is told to the zone --- */

/*
 * Tells the zone what the last result has proved.  NGX_DECLINED: another
 * worker is the owner now, and this one is to be idle.  Without the mutex
 * nothing is told, and the lease gets shorter.
 */
ngx_int_t ngx_sf_listen_lease_confirm(ngx_sf_listen_t *l);

/* the same, of what cannot be relied on now, whatever the last result proves */
void ngx_sf_listen_lease_doubt(ngx_sf_listen_t *l);

/* gives up the place, whichever it is; under the mutex */
void ngx_sf_listen_lease_yield(ngx_sf_listen_t *l);


/* --- ngx_sf_listen_channel.c: whether all is heard --- */

extern const ngx_sf_pg_statement_t  ngx_sf_listen_say_statement;
extern const ngx_sf_pg_statement_t  ngx_sf_listen_open_statement;
extern const ngx_sf_pg_statement_t  ngx_sf_listen_channel_statement;
extern const ngx_sf_pg_statement_t  ngx_sf_listen_trim_statement;

/* once; another session begins */
void ngx_sf_listen_channel_prepare(ngx_cycle_t *cycle, ngx_sf_listen_t *l);
void ngx_sf_listen_channel_reset(ngx_sf_listen_t *l);

/* LISTEN is in force: what comes next */
void ngx_sf_listen_channel_said(ngx_sf_listen_t *l);

/* whether it is time to ask, between looks; the result */
ngx_uint_t ngx_sf_listen_channel_due(const ngx_sf_listen_t *l);
ngx_int_t ngx_sf_listen_channel_seen(ngx_sf_listen_t *l, PGresult *res);

/* how full the queue is, ppm */
void ngx_sf_listen_channel_used(ngx_sf_listen_t *l, ngx_uint_t usage);

/* a server process has told what cannot be read */
void ngx_sf_listen_channel_garbled(ngx_sf_listen_t *l, int pid);


/* --- ngx_sf_listen_look.c: what the catalogue says --- */

extern const ngx_sf_pg_statement_t  ngx_sf_listen_look_statement;

void ngx_sf_listen_look_prepare(ngx_sf_listen_t *l);
void ngx_sf_listen_look_destroy(ngx_sf_listen_t *l);

/* whether it is time for one, while the owner is UP */
ngx_uint_t ngx_sf_listen_look_due(const ngx_sf_listen_t *l);

/*
 * A look is about to be sent; it has been; its result; it has failed.  After
 * the first one the owner is UP, whatever has come of it.
 */
void ngx_sf_listen_look_values(ngx_sf_listen_t *l);
void ngx_sf_listen_look_sent(ngx_sf_listen_t *l);
ngx_int_t ngx_sf_listen_look_seen(ngx_sf_listen_t *l, PGresult *res);
void ngx_sf_listen_look_failed(ngx_sf_listen_t *l);

/* somebody says that there is something to be seen: what, as above */
void ngx_sf_listen_look_soon(ngx_sf_listen_t *l, ngx_uint_t told);

/* what is covered has been logged by another worker */
void ngx_sf_listen_look_inherit(ngx_sf_listen_t *l);


/* --- ngx_sf_listen_creators.c: which roles may create in the schema --- */

extern const ngx_sf_pg_statement_t  ngx_sf_listen_creators_statement;

/* whether it is time to ask; not now; the result */
ngx_uint_t ngx_sf_listen_creators_due(const ngx_sf_listen_t *l);
void ngx_sf_listen_creators_later(ngx_sf_listen_t *l);
ngx_int_t ngx_sf_listen_creators_seen(ngx_sf_listen_t *l, PGresult *res);


/* --- ngx_sf_listen_conn.c: the connection --- */

/* statements and handlers, once; reports and tick are the caller's */
void ngx_sf_listen_conn_prepare(ngx_cycle_t *cycle, ngx_sf_listen_t *l,
    ngx_uint_t first_id);

/* the only function that changes the state; it sets the next tick, too */
void ngx_sf_listen_conn_set_state(ngx_sf_listen_t *l,
    ngx_sf_listen_state_e state);
void ngx_sf_listen_conn_arm(ngx_sf_listen_t *l);

/* sends what is due, one statement at a time */
void ngx_sf_listen_conn_next(ngx_sf_listen_t *l);


#endif /* _NGX_SF_LISTEN_CONN_H_INCLUDED_ */

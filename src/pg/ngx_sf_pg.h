
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_PG_H_INCLUDED_
#define _NGX_SF_PG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <libpq-fe.h>


/*
 * The pool: how statements reach PostgreSQL and how results come back.
 *
 * Configuration (ngx_sf_pg_conf_t) is made once and never written again.
 * Everything else here belongs to one worker.  A pool serves one upstream; it
 * has lanes of connections to each of its servers.  A query waits in its lane
 * until a connection takes it, then stands in that connection's FIFO until its
 * result arrives; its handler is called exactly once.
 */

typedef struct ngx_sf_pg_conf_s    ngx_sf_pg_conf_t;
typedef struct ngx_sf_pg_pool_s    ngx_sf_pg_pool_t;
typedef struct ngx_sf_pg_lane_s    ngx_sf_pg_lane_t;
typedef struct ngx_sf_pg_server_s  ngx_sf_pg_server_t;
typedef struct ngx_sf_pg_conn_s    ngx_sf_pg_conn_t;
typedef struct ngx_sf_pg_query_s   ngx_sf_pg_query_t;
typedef struct ngx_sf_pg_slot_s    ngx_sf_pg_slot_t;
typedef struct ngx_sf_pg_line_s    ngx_sf_pg_line_t;
typedef struct ngx_sf_pg_subscriber_s  ngx_sf_pg_subscriber_t;
typedef struct ngx_sf_pg_principal_s   ngx_sf_pg_principal_t;


typedef enum {
    NGX_SF_PG_READ = 0,         /* fast reads, pipelined */
    NGX_SF_PG_TOTALS,           /* how many rows a list has */
    NGX_SF_PG_HEAVY,            /* aggregates, searches, deep pages */
    NGX_SF_PG_WRITE,            /* one transaction at a time */
    NGX_SF_PG_PING,             /* whether the database is there: it goes
                                   before all others, by the connections of the
                                   read lane, or one of its own */
    NGX_SF_PG_LISTEN,           /* one connection, while there is a
                                   subscriber: ngx_sf_pg_notify.c */
    NGX_SF_PG_LANES
} ngx_sf_pg_lane_e;


/*
 * Lanes whose statements have their connection for themselves, each under its
 * own Sync, by which it is answered; they are never sent again.
 */
#define ngx_sf_pg_exclusive(lane)                                             \
    ((lane)->kind == NGX_SF_PG_WRITE || (lane)->kind == NGX_SF_PG_LISTEN)

/* those whose statements may be slow: they too have a connection each */
#define ngx_sf_pg_heavy(lane)                                                 \
    ((lane)->kind == NGX_SF_PG_TOTALS || (lane)->kind == NGX_SF_PG_HEAVY)

/* those that have spare connections, for when a statement is held up */
#define ngx_sf_pg_spared(lane)                                                \
    ((lane)->kind == NGX_SF_PG_READ || ngx_sf_pg_heavy(lane))


/* one `server` line of the upstream */

typedef struct {
    ngx_str_t                   name;     /* as written, for the log */
    ngx_str_t                   host;     /* as written, or a directory */
    ngx_str_t                   port;
    uint32_t                    hash;     /* of the name, not 0 */
    ngx_array_t                 addrs;    /* of ngx_str_t, numeric; empty for
                                             a Unix socket */
    ngx_uint_t                  weight;
    ngx_uint_t                  max_fails;
    ngx_msec_t                  fail_timeout;
    unsigned                    backup:1;
    unsigned                    down:1;
    unsigned                    resolve:1;  /* host is a name */
} ngx_sf_pg_server_conf_t;


/* of a schema's name, and of the same in double quotes, at most */

#define NGX_SF_PG_SCHEMA_LEN  63
#define NGX_SF_PG_QUOTED_LEN  (2 * NGX_SF_PG_SCHEMA_LEN + 2)


struct ngx_sf_pg_conf_s {
    ngx_str_t                   name;     /* of the upstream */
    u_char                     *file;     /* and where it stands */
    ngx_uint_t                  line;
    ngx_array_t                 pooled;   /* what softfactory_pg_pool has said,
                                             of ngx_sf_pg_pooled_t */
    ngx_uint_t                  index;    /* of the pool in a worker */
    ngx_array_t                 given;    /* of ngx_keyval_t: conninfo */
    ngx_str_t                   schema;   /* of the tables; ends with NUL */
    ngx_str_t                   quoted;   /* the same, as SQL has it */
    ngx_array_t                 options[NGX_SF_PG_LANES];
                                          /* of ngx_keyval_t: conninfo of a
                                             lane, texts end with NUL */
    ngx_array_t                 servers;  /* of ngx_sf_pg_server_conf_t, those
                                             marked backup last */
    ngx_uint_t                  size[NGX_SF_PG_LANES];    /* per server */
    ngx_msec_t                  timeout[NGX_SF_PG_LANES]; /* of a statement */
    ngx_msec_t                  lock_timeout;     /* write lane */
    ngx_msec_t                  connect_timeout;
    ngx_msec_t                  lifetime;         /* of a connection */
    ngx_msec_t                  wait;             /* in the queue, at most */
    ngx_uint_t                  queue;            /* waiting, at most */
    ngx_uint_t                  depth;            /* in flight, connection */
    size_t                      max_response;     /* bytes of a result */
    ngx_flag_t                  shared_sync;
    ngx_flag_t                  prepare;

    ngx_str_t                   listen;           /* name of the upstream */
    ngx_flag_t                  listen_off;       /* that listeners use */
    ngx_sf_pg_conf_t           *listen_pg;

    ngx_resolver_t             *resolver;         /* NULL: names stay */
    ngx_msec_t                  resolver_timeout;

    unsigned                    primary:1;  /* must accept writes */
    unsigned                    replicas:1;
    unsigned                    listener:1; /* only listeners connect */
};


/* tables that a statement can be said to read: a mask */

#define NGX_SF_PG_TABLES  64


/* a statement text; lives as long as the worker */

typedef struct ngx_sf_pg_statement_s  ngx_sf_pg_statement_t;

/*
 * Whether the columns of a result are those that its reader can do with.  Else
 * error is told why, as a text of at most size bytes with its NUL.
 */
typedef ngx_int_t (*ngx_sf_pg_judge_pt)(const ngx_sf_pg_statement_t *statement,
    const PGresult *res, u_char *error, size_t size);

struct ngx_sf_pg_statement_s {
    ngx_uint_t                  id;       /* dense: index of conn->prepared */
    ngx_str_t                   name;     /* of the endpoint, for the log */
    const char                 *text;
    ngx_uint_t                  nvalues;
    ngx_uint_t                  columns;  /* that every result must have */
    const u_char               *kinds;    /* what each is read as, masks of
                                             ngx_sf_type.h; NULL: any type */
    ngx_uint_t                  line;     /* the id of the first text of its
                                             endpoint, which may have many */
    ngx_uint_t                  tables;   /* that it reads */
    ngx_sf_pg_judge_pt          judge;    /* instead of columns and kinds, or
                                             NULL */
    const void                 *owner;    /* for the judge */
};


typedef enum {
    NGX_SF_PG_OK = 0,
    NGX_SF_PG_BUSY,             /* queue full */
    NGX_SF_PG_EXPIRED,          /* waited too long */
    NGX_SF_PG_UNAVAILABLE,      /* no connection, or it was lost */
    NGX_SF_PG_TIMEOUT,          /* statement_timeout */
    NGX_SF_PG_DENIED,           /* a privilege is missing */
    NGX_SF_PG_INVALID,          /* a client's value does not fit its type */
    NGX_SF_PG_CONFLICT,         /* serialization, deadlock, lock */
    NGX_SF_PG_BROKEN,           /* the statement does not fit the schema, or
                                   its result not what it is read as */
    NGX_SF_PG_FAILED,           /* any other error of the server */
    NGX_SF_PG_QUOTA_FULL,       /* a principal's part of the queue is full */
    NGX_SF_PG_OUTCOMES
} ngx_sf_pg_outcome_e;


/*
 * Called exactly once for a submitted query, unless it was cancelled.  On
 * NGX_SF_PG_OK the result is handed over: the handler, or what it gives it to,
 * calls ngx_sf_pg_result_free().  On any other outcome it is NULL.  The
 * handler may submit and cancel queries; the query is no longer the pool's.
 */
typedef void (*ngx_sf_pg_handler_pt)(ngx_sf_pg_query_t *q,
    ngx_sf_pg_outcome_e outcome, PGresult *res);

/*
 * Asked before a query is sent for the first time, and when it holds up others
 * in a heavy lane.  0: its owner has dropped it, as by ngx_sf_pg_cancel(), and
 * it may be gone.
 */
typedef ngx_uint_t (*ngx_sf_pg_wanted_pt)(ngx_sf_pg_query_t *q);


struct ngx_sf_pg_query_s {
    ngx_queue_t                 queue;    /* line->waiting, lane->parked */
    ngx_sf_pg_statement_t      *statement;
    const char                **values;   /* text format, NULL is NULL; may
                                             be written to, not lengthened */
    ngx_uint_t                  lane;
    ngx_sf_pg_handler_pt        handler;
    ngx_sf_pg_wanted_pt         wanted;   /* NULL: it always is */
    void                       *data;
    uint32_t                    principal;    /* that asks, 0: none, it has
                                                 not to wait for a turn */
    unsigned                    outside:1;    /* a value is a client's */

    /* the pool's own */
    ngx_sf_pg_pool_t           *pool;
    ngx_sf_pg_line_t           *line;     /* of its endpoint in its lane */
    ngx_queue_t                 place;    /* turn->parked */
    ngx_sf_pg_principal_t      *turn;     /* whose turn it has or waits for */
    ngx_sf_pg_conn_t           *conn;     /* while in a FIFO */
    ngx_msec_t                  expires;  /* of waiting, ngx_current_msec */
    uint64_t                    submitted;  /* microseconds, monotonic */
    uint64_t                    sent;
    uint64_t                    done;
    uint32_t                    server;   /* hash of the one that had it */
    char                        sqlstate[6];

    ngx_uint_t                  retries;  /* sent again, clashes apart */
    ngx_uint_t                  moved;    /* sent again from behind a head */
    ngx_uint_t                  clashes;  /* mask of actions: what its name
                                             has met */

    unsigned                    waiting:1;
    unsigned                    parked:1; /* until it has a turn */
    unsigned                    probe:1;  /* for others of its line, which wait
                                             for what becomes of it */
    unsigned                    alone:1;  /* under a Sync of its own */
    unsigned                    unnamed:1;    /* its text is sent each time */
    unsigned                    blame:1;  /* a value of a client may be wrong */
    ngx_uint_t                  rewords;  /* times that values were changed */
};


/*
 * States of a connection; each is a list of its lane, and
 * ngx_sf_pg_conn_set_state() is the only function that moves one.
 */
typedef enum {
    NGX_SF_PG_CONN_CLOSED = 0,  /* not connected, nothing under way */
    NGX_SF_PG_CONN_CONNECTING,
    NGX_SF_PG_CONN_READY,       /* takes statements up to depth */
    NGX_SF_PG_CONN_DRAINING,    /* takes none, closes when empty */
    NGX_SF_PG_CONN_STATES
} ngx_sf_pg_conn_state_e;


typedef enum {
    NGX_SF_PG_SLOT_PREPARE = 0,
    NGX_SF_PG_SLOT_EXECUTE,
    NGX_SF_PG_SLOT_SYNC
} ngx_sf_pg_slot_e;


/*
 * Why a connection is closed; ngx_sf_pg_conn.c has the text and the log level
 * of each.  From LOST on they are failures of connections that had been made.
 */

typedef enum {
    NGX_SF_PG_CLOSE_NONE = 0,   /* it stays */
    NGX_SF_PG_CLOSE_EXIT,       /* the worker exits: nobody is answered */
    NGX_SF_PG_CLOSE_RETIRED,
    NGX_SF_PG_CLOSE_CONNECT,
    NGX_SF_PG_CLOSE_CONNECT_TIMEOUT,
    NGX_SF_PG_CLOSE_SCRAM,
    NGX_SF_PG_CLOSE_NO_SLOT,
    NGX_SF_PG_CLOSE_STANDBY,
    NGX_SF_PG_CLOSE_VERSION,
    NGX_SF_PG_CLOSE_ENCODING,
    NGX_SF_PG_CLOSE_LOST,
    NGX_SF_PG_CLOSE_SEND,
    NGX_SF_PG_CLOSE_TIMEOUT,
    NGX_SF_PG_CLOSE_STUCK,
    NGX_SF_PG_CLOSE_MISMATCH,
    NGX_SF_PG_CLOSE_TOO_LARGE,
    NGX_SF_PG_CLOSE_UNASKED,
    NGX_SF_PG_CLOSE_REASONS
} ngx_sf_pg_close_e;


/* of a worker: connections that wait to hash for a login, and until when */

typedef struct {
    ngx_queue_t                 waiting;  /* of ngx_sf_pg_conn_t.login */
    ngx_event_t                 timer;    /* while nobody may */
} ngx_sf_pg_logins_t;


/* a statement as one pool sends it: ngx_sf_pg_text.c */

typedef struct {
    u_char                     *text;     /* ends with NUL */
    u_char                      name[33]; /* the same */
    uint32_t                    version;  /* how often it has been made anew,
                                             from 1; 0: there is none yet */
    ngx_uint_t                  era;      /* that it has */
    ngx_uint_t                  stale;    /* times that it was said to be */
    ngx_uint_t                  columns;  /* of the last result that was
                                             judged */
    Oid                        *types;    /* of these, NULL: none was */
    char                       *names;    /* the same, each ends with NUL; for
                                             a judge only */
    size_t                      room;     /* for types and names, bytes */
    unsigned                    refused:1;    /* and the judgement */
} ngx_sf_pg_text_t;


/* what the server owes us next: an entry of a connection's FIFO */

struct ngx_sf_pg_slot_s {
    ngx_sf_pg_slot_e            kind;
    ngx_sf_pg_statement_t      *statement;
    ngx_sf_pg_query_t          *query;    /* NULL: drained and dropped */
    ngx_sf_pg_line_t           *line;     /* of its statement, SYNC: NULL */
    uint64_t                    sent;     /* ngx_sf_pg_now() */
    uint64_t                    since;    /* when it became the head */
    PGresult                   *res;      /* exclusive lanes: kept until the
                                             Sync says it is committed */
    uint32_t                    prepared; /* version of the text that it ran
                                             by name, 0: it had none */
    ngx_sf_pg_principal_t      *turn;     /* EXECUTE: that it takes, or NULL */
    ngx_sf_pg_outcome_e         prepare;  /* of its own prepare, if it failed */
    ngx_sf_pg_slot_t           *execute;  /* PREPARE: what it is for */
    ngx_sf_pg_slot_t           *sync;     /* that ends its unit, once sent */
    unsigned                    first:1;  /* of its unit */
    unsigned                    probe:1;
};


/*
 * Connections of a lane of reads that are opened when heads of others are held
 * up, and how many are left whose heads are not
 */

#define NGX_SF_PG_SPARES          2

/* how long one of them stays without need, in ms */

#define NGX_SF_PG_SPARE_IDLE      60000

/* between two closes of connections in a lane that are held up, in ms */

#define NGX_SF_PG_STUCK_INTERVAL  1000


#define NGX_SF_PG_FAREWELL  256           /* bytes, with NUL */

struct ngx_sf_pg_conn_s {
    ngx_queue_t                 queue;    /* lane->conns[state] */
    ngx_sf_pg_conn_state_e      state;
    ngx_sf_pg_lane_t           *lane;
    ngx_sf_pg_server_t         *server;

    PGconn                     *pg;
    ngx_connection_t           *c;
    ngx_str_t                   addr;     /* numeric, of this attempt */
    u_char                      addr_text[NGX_SOCKADDR_STRLEN + 1];
    ngx_queue_t                 login;    /* logins->waiting */
    ngx_event_t                 timer;    /* connect, then head of the FIFO */
    ngx_event_t                 close;    /* posted: it is leaving */
    ngx_sf_pg_close_e           leaving;  /* why it will be closed */
    ngx_msec_t                  expires;  /* lifetime, ngx_current_msec; at
                                             first of the attempt to connect,
                                             what is left while it is queued */

    ngx_sf_pg_slot_t           *fifo;     /* ring of nfifo slots */
    ngx_uint_t                  nfifo;
    ngx_uint_t                  head;
    ngx_uint_t                  count;
    ngx_uint_t                  outstanding;  /* EXECUTE slots in the FIFO */
    ngx_uint_t                  unit;     /* slots since the last Sync */
    uint32_t                   *prepared; /* by statement id: version of the
                                             text that is thought to be known
                                             there by its name, 0: none */
    ngx_uint_t                  nprepares;  /* on this connection so far */
    u_char                      farewell[NGX_SF_PG_FAREWELL];
                                          /* why the server ends it, a line */

    unsigned                    spare:1;    /* not one of size[], or a ping's:
                                               opened when heads of others are
                                               old */
    unsigned                    queued:1;   /* in logins->waiting */
    unsigned                    answered:1; /* head has had its result */
    unsigned                    late:1;     /* what is behind the head was sent
                                               again */
    unsigned                    apart:1;    /* and what is in its unit: its age
                                               blames nobody any more */
    unsigned                    overdue:1;  /* what is expired was answered */
    unsigned                    proved:1;   /* it has executed something */
    unsigned                    progress:1; /* what has come was asked for,
                                               and is complete */
    unsigned                    counted:1;  /* there is an inflow */
    unsigned                    unasked:1;  /* rows came without a statement */
    uint64_t                    inflow;   /* bytes read, when there had been
                                             no progress */
};


/* whom a connection tells what a server says on its own, and its end */

typedef struct {
    void                      (*notified)(ngx_sf_pg_conn_t *pgc,
                                          const PGnotify *notify);
    void                      (*closed)(ngx_sf_pg_conn_t *pgc,
                                        ngx_sf_pg_close_e reason);
    void                      (*exiting)(ngx_sf_pg_conn_t *pgc);
} ngx_sf_pg_tell_t;


/* an endpoint in a lane: those of it that wait, and how it fares */

struct ngx_sf_pg_line_s {
    ngx_queue_t                 queue;    /* lane->lines, while one waits */
    ngx_queue_t                 waiting;  /* of ngx_sf_pg_query_t */
    ngx_uint_t                  nwaiting;
    ngx_uint_t                  tables;
    uint64_t                    mean;     /* of the time that a result takes,
                                             microseconds times 16 */
    ngx_uint_t                  probes;   /* in FIFOs */
};


struct ngx_sf_pg_lane_s {
    ngx_sf_pg_pool_t           *pool;
    ngx_uint_t                  kind;     /* ngx_sf_pg_lane_e */
    ngx_queue_t                 conns[NGX_SF_PG_CONN_STATES];
    ngx_uint_t                  nconns[NGX_SF_PG_CONN_STATES];
    ngx_uint_t                  nspares;  /* of those that are closed */
    ngx_queue_t                 lines;    /* in which queries wait */
    ngx_queue_t                 parked;   /* those that wait for a turn */
    ngx_uint_t                  nwaiting; /* both */
    ngx_queue_t                *principals;   /* buckets: ngx_sf_pg_turn.c */
    ngx_queue_t                 idle;     /* of ngx_sf_pg_principal_t */
    ngx_sf_pg_line_t          **line;     /* by statement->line, made at first
                                             use */
    ngx_msec_t                  stuck_at; /* next close of a stuck connection
                                             allowed */
    ngx_event_t                 timer;    /* wait of the first one waiting */
    const ngx_sf_pg_tell_t     *tell;     /* of the listen lane, else NULL */
};


struct ngx_sf_pg_server_s {
    ngx_sf_pg_server_conf_t    *conf;
    ngx_sf_pg_pool_t           *pool;
    ngx_str_t                  *addrs;    /* malloc'd with their text */
    ngx_uint_t                  naddrs;
    ngx_uint_t                  next;     /* address of the next attempt */
    ngx_uint_t                  fails;    /* connects failed in a row */
    ngx_msec_t                  retry_at; /* ngx_current_msec */
    ngx_int_t                   current_weight;
    ngx_event_t                 resolve;
    ngx_event_t                 retry;    /* at retry_at */
    unsigned                    backoff:1;  /* until retry_at */
    unsigned                    pooler:1;   /* it has been one, once */
    unsigned                    tried:1;    /* nothing may be sent there now */
    uint64_t                    proved[NGX_SF_PG_TABLES];
                                          /* by table: when the last statement
                                             was sent that read it and came
                                             back in time */
};


struct ngx_sf_pg_pool_s {
    ngx_sf_pg_conf_t           *conf;
    ngx_log_t                  *log;
    ngx_uint_t                  nstatements;
    ngx_msec_t                 *failed_until; /* by statement id: preparing
                                                 it failed, 0: it did not */
    ngx_sf_pg_text_t           *texts;    /* by statement id */
    const ngx_atomic_t         *era;      /* of the schema, NULL: always 0 */
    ngx_sf_pg_logins_t         *logins;   /* of the worker */
    ngx_pool_t                 *memory;
    uint64_t                    now;      /* ngx_sf_pg_now() of this turn */
    ngx_sf_pg_server_t         *servers;
    ngx_uint_t                  nservers;
    ngx_sf_pg_server_t         *active;   /* of a primary */
    ngx_sf_pg_server_t         *connected;    /* the last one that was */
    ngx_sf_pg_lane_t            lanes[NGX_SF_PG_LANES];
    ngx_queue_t                 subscribers;  /* of the listen lane */
    ngx_event_t                 dispatch; /* posted, once a turn */
    ngx_msec_t                  log_at;   /* next line of log allowed */
    ngx_uint_t                  log_skipped;
    ngx_uint_t                  closed[NGX_SF_PG_CLOSE_REASONS];
                                          /* connections, since the start */
};


/* --- ngx_sf_pg_pool.c: queries and connections of one upstream --- */

/*
 * Makes the worker's pool and starts to connect its read lane.  nstatements
 * bounds the statement ids; all pools of a worker share its logins.  Memory is
 * the cycle's; NULL when it is short.
 */
ngx_sf_pg_pool_t *ngx_sf_pg_pool_create(ngx_cycle_t *cycle,
    ngx_sf_pg_conf_t *conf, ngx_uint_t nstatements,
    ngx_sf_pg_logins_t *logins);

/* closes every connection; queries still there are forgotten, not answered */
void ngx_sf_pg_pool_destroy(ngx_sf_pg_pool_t *pool);

/*
 * Queues a query.  NGX_SF_PG_OK: the handler will be called, not from inside
 * this call.  Otherwise the reason, and the handler will not be called.
 */
ngx_sf_pg_outcome_e ngx_sf_pg_submit(ngx_sf_pg_pool_t *pool,
    ngx_sf_pg_query_t *q);

/*
 * A query that waits for a turn of its principal takes one of this one, if that
 * has any; else, and for any other query, nothing changes.
 */
void ngx_sf_pg_adopt(ngx_sf_pg_query_t *q, uint32_t principal);

/* forgets a query: unsent it is dropped, sent its result is drained */
void ngx_sf_pg_cancel(ngx_sf_pg_query_t *q);

/* seconds until it is worth asking a pool again that was unavailable, >= 1 */
ngx_uint_t ngx_sf_pg_retry_after(ngx_sf_pg_pool_t *pool);

/*
 * Whether the last attempts to reach any server failed and no connection is
 * left.  The first starts an attempt when one is due, the second only looks.
 */
ngx_uint_t ngx_sf_pg_down(ngx_sf_pg_pool_t *pool);
ngx_uint_t ngx_sf_pg_is_down(const ngx_sf_pg_pool_t *pool);


/* --- ngx_sf_pg_turn.c: how many a principal may have under way --- */

ngx_int_t ngx_sf_pg_turns_init(ngx_pool_t *pool, ngx_sf_pg_lane_t *lane);

/* queries of a principal that wait */
ngx_uint_t ngx_sf_pg_turn_waiting(const ngx_sf_pg_lane_t *lane, uint32_t id,
    ngx_uint_t *under_way);

/* a query begins to wait; share: turns of one.  0: it is parked */
ngx_uint_t ngx_sf_pg_turn_wait(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q,
    ngx_uint_t share);

/* it waits no more; one that was not parked has its turn, in q->turn */
void ngx_sf_pg_turn_take(ngx_sf_pg_query_t *q);

/* it is sent: its turn is the connection's until the result is here */
ngx_sf_pg_principal_t *ngx_sf_pg_turn_sent(ngx_sf_pg_query_t *q);

/* in which it is one */
ngx_sf_pg_lane_t *ngx_sf_pg_turn_lane(const ngx_sf_pg_principal_t *p);

/* statements of its principal that are under way */
ngx_uint_t ngx_sf_pg_turn_under_way(const ngx_sf_pg_query_t *q);

/*
 * A turn comes back; sent: of a statement that was.  The one that was parked
 * and has it now, or NULL.
 */
ngx_sf_pg_query_t *ngx_sf_pg_turn_over(ngx_sf_pg_principal_t *p,
    ngx_uint_t sent, ngx_uint_t share);

/*
 * The turn of a query that may not be sent now goes to another of its principal
 * and of another line, and the query is parked.  NULL: nothing has changed.
 */
ngx_sf_pg_query_t *ngx_sf_pg_turn_yield(ngx_sf_pg_query_t *q);


/* --- ngx_sf_pg_lane.c: the lists that queries and connections stand in --- */

ngx_int_t ngx_sf_pg_lane_init(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_pool_t *pool, ngx_uint_t kind);

/* the line of a statement; NULL: memory is short */
ngx_sf_pg_line_t *ngx_sf_pg_lane_line(ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_statement_t *statement);

/* statements that a connection of a lane to this server takes at a time */
ngx_uint_t ngx_sf_pg_lane_depth(const ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *server);

/* moves it to the list of the state: the only function that does */
void ngx_sf_pg_conn_set_state(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_conn_state_e state);

/*
 * It is closed for this reason, not from inside this call, and takes no more
 * statements.  Queries in the FIFO go back to the pool then.
 */
void ngx_sf_pg_conn_leave(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason);

/* takes no more statements, and leaves when the last result is in */
void ngx_sf_pg_conn_drain(ngx_sf_pg_conn_t *pgc);

/* starts or ends the interest in an event; NGX_ERROR has been logged */
ngx_int_t ngx_sf_pg_conn_watch(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t on);

/* forgets all queries that wait */
void ngx_sf_pg_lane_forget(ngx_sf_pg_lane_t *lane);

/* one of those that wait, the oldest of its line; NULL: none waits */
ngx_sf_pg_query_t *ngx_sf_pg_lane_any(ngx_sf_pg_lane_t *lane);

/* puts a query in its line, takes it out */
void ngx_sf_pg_lane_wait(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q);
void ngx_sf_pg_lane_take(ngx_sf_pg_query_t *q);

/* one that is parked goes by the turns of this principal, in the same time */
void ngx_sf_pg_lane_adopt(ngx_sf_pg_lane_t *lane, ngx_sf_pg_query_t *q,
    uint32_t principal);

/* those in a line that may not be sent now yield their turns */
void ngx_sf_pg_lane_yield(ngx_sf_pg_lane_t *lane, ngx_sf_pg_line_t *line);

/* turns that one principal may have there */
ngx_uint_t ngx_sf_pg_lane_share(const ngx_sf_pg_lane_t *lane);

/*
 * A turn, or none, comes back to its lane, of a query that is not sent or of a
 * statement, which may have gone by a connection of another lane
 */
void ngx_sf_pg_lane_over(ngx_sf_pg_principal_t *turn, ngx_uint_t sent);
void ngx_sf_pg_query_over(ngx_sf_pg_query_t *q);

/*
 * A query that was sent waits again.  The second counts how often, by the
 * reason for which its connection goes, and finishes it when it is enough.
 */
void ngx_sf_pg_query_requeue(ngx_sf_pg_query_t *q);
void ngx_sf_pg_query_resend(ngx_sf_pg_query_t *q, ngx_sf_pg_close_e reason);

/* calls the handler: the query is its owner's again */
void ngx_sf_pg_query_finish(ngx_sf_pg_query_t *q, ngx_sf_pg_outcome_e outcome,
    PGresult *res);

/* the pool looks in this turn what it can send */
void ngx_sf_pg_pool_post_dispatch(ngx_sf_pg_pool_t *pool);

/*
 * Log of the pool, at most a line a second and worker; text from the server
 * is made one line.  err may be NULL.
 */
void ngx_sf_pg_log(ngx_sf_pg_pool_t *pool, ngx_uint_t level,
    const ngx_str_t *subject, const char *what, const char *err);

/* copies text to buf without its line ends; buf ends with NUL */
void ngx_sf_pg_one_line(u_char *buf, size_t size, const char *text);

/* a clock for durations, in microseconds: nginx's own stands still in a turn */
uint64_t ngx_sf_pg_now(void);


/* --- ngx_sf_pg_head.c: what an old head of a FIFO stands for --- */

typedef enum {
    NGX_SF_PG_PASS_ALL = 0,
    NGX_SF_PG_PASS_PROBE,       /* one, to see */
    NGX_SF_PG_PASS_NONE
} ngx_sf_pg_pass_e;

/* a slot has become the head of its connection */
void ngx_sf_pg_head_begin(ngx_sf_pg_conn_t *pgc);

/* the head, a statement, has had a result */
void ngx_sf_pg_head_answered(ngx_sf_pg_conn_t *pgc);

/* statements from the head to its Sync: their results may come together */
ngx_uint_t ngx_sf_pg_head_unit(const ngx_sf_pg_conn_t *pgc);

/* how long the head has been one, in microseconds; 0 without one */
uint64_t ngx_sf_pg_head_age(const ngx_sf_pg_conn_t *pgc);

/*
 * The age at which what stands behind the head is sent again, or, where nothing
 * does, at which it is looked at first; microseconds
 */
uint64_t ngx_sf_pg_head_late(const ngx_sf_pg_conn_t *pgc);

/* whether something may be put behind the head */
ngx_uint_t ngx_sf_pg_head_young(const ngx_sf_pg_conn_t *pgc);

/* whether a spare connection may stand in for this one */
ngx_uint_t ngx_sf_pg_head_held(const ngx_sf_pg_conn_t *pgc);

/* the endpoint that is to blame for the age of the head, NULL: none is */
ngx_sf_pg_line_t *ngx_sf_pg_head_blames(const ngx_sf_pg_conn_t *pgc);

/* which statements of an endpoint may be sent to a server now */
ngx_sf_pg_pass_e ngx_sf_pg_head_passes(ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_line_t *line, const ngx_sf_pg_server_t *server);

/* how many statements more a connection can be given now */
ngx_uint_t ngx_sf_pg_conn_room(const ngx_sf_pg_conn_t *pgc);

/* how many all the ready connections of a lane can be given */
ngx_uint_t ngx_sf_pg_lane_free(ngx_sf_pg_lane_t *lane);

/* the connection to give up when all to a server are held up, NULL: none */
ngx_sf_pg_conn_t *ngx_sf_pg_head_stuck(ngx_sf_pg_lane_t *lane,
    const ngx_sf_pg_server_t *server);


/* --- ngx_sf_pg_server.c: where a pool may connect to --- */

ngx_int_t ngx_sf_pg_servers_create(ngx_cycle_t *cycle,
    ngx_sf_pg_pool_t *pool);
void ngx_sf_pg_servers_destroy(ngx_sf_pg_pool_t *pool);

/*
 * The server that a new connection of this lane goes to, NULL: none now.
 * spare: one to which a spare connection is wanted, or NULL.
 */
ngx_sf_pg_server_t *ngx_sf_pg_server_pick(ngx_sf_pg_lane_t *lane,
    ngx_sf_pg_server_t *spare);

/* whether a connection, if only a spare one, can still be opened to it */
ngx_uint_t ngx_sf_pg_server_has_spare(ngx_sf_pg_server_t *server,
    ngx_sf_pg_lane_t *lane);

/* the server, with a ready connection and not tried, for the next statement */
ngx_sf_pg_server_t *ngx_sf_pg_server_balance(ngx_sf_pg_lane_t *lane);

/*
 * A connect failed, or the connection was lost before its first result: back
 * off with jitter; or a connect succeeded.
 */
void ngx_sf_pg_server_failed(ngx_sf_pg_server_t *server);
void ngx_sf_pg_server_connected(ngx_sf_pg_server_t *server);

/*
 * Whether a server is backing off for the first time, so that a queue may
 * wait for the next attempt: a connect that is cut off is no outage yet.
 */
ngx_uint_t ngx_sf_pg_servers_hopeful(ngx_sf_pg_pool_t *pool);

/*
 * It is a pooler: its connections are given a statement at a time.  pgbouncer
 * takes a session back at a ReadyForQuery although it has sent it the first
 * messages of the next unit already, and the client that is lent the session
 * next gets the result (pgbouncer, issue 759).
 */
void ngx_sf_pg_server_pooler(ngx_sf_pg_server_t *server);

/* whether the server said last that it is in recovery */
ngx_uint_t ngx_sf_pg_server_is_standby(const ngx_sf_pg_conn_t *pgc);

/* it takes no writes any more: its connections are drained */
void ngx_sf_pg_server_demoted(ngx_sf_pg_server_t *server);

/* the address of the next attempt, empty for a Unix socket */
ngx_str_t ngx_sf_pg_server_address(ngx_sf_pg_server_t *server);

/* the name of a server, for the log, by the hash that a query has brought */
const ngx_str_t *ngx_sf_pg_server_name(ngx_sf_pg_pool_t *pool,
    uint32_t hash);


/* --- ngx_sf_pg_conn.c: one libpq connection --- */

/* once, of one that was never opened */
void ngx_sf_pg_conn_init(ngx_sf_pg_conn_t *pgc);

/* starts to connect; on failure the server has been told */
void ngx_sf_pg_conn_open(ngx_sf_pg_conn_t *pgc);

/*
 * The only exit, for itself and for the end of the worker; all others say
 * ngx_sf_pg_conn_leave().  Queries in the FIFO go back to the pool: reads are
 * sent again, writes end with an unknown outcome.
 */
void ngx_sf_pg_conn_close(ngx_sf_pg_conn_t *pgc, ngx_sf_pg_close_e reason);


/* version of libpq, as PG_VERSION_NUM */
ngx_uint_t ngx_sf_pg_conn_library(void);

/* a word for the reason of a close, for metrics */
const char *ngx_sf_pg_conn_close_name(ngx_sf_pg_close_e reason);


/* --- ngx_sf_pg_text.c: what is sent for a statement --- */

/*
 * A number in shared memory that grows when the schema has changed: from then
 * on statements are prepared anew.  The listener moves the number.
 */
void ngx_sf_pg_text_set_era(ngx_sf_pg_pool_t *pool, const ngx_atomic_t *era);

/* text and name of this era; NULL: memory is short */
ngx_sf_pg_text_t *ngx_sf_pg_text(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement);

/* the plan of this version is stale: the next text is another one */
void ngx_sf_pg_text_stale(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, uint32_t version);

/*
 * Whether the columns of a result are those that its statement is read by.
 * NGX_DECLINED: they are not, which is logged once.  NGX_ERROR: there are more
 * or fewer than its statement has.
 */
ngx_int_t ngx_sf_pg_text_judge(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res);


/* --- ngx_sf_pg_pipeline.c: statements out, results back --- */

/*
 * All of these return why the connection has to go, NGX_SF_PG_CLOSE_NONE if it
 * has not.
 */

/*
 * Appends a query (and its prepare at first use) to the pipeline.  It is in
 * the FIFO when q->conn is set, whatever is returned; else still the caller's.
 */
ngx_sf_pg_close_e ngx_sf_pg_pipeline_send(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_query_t *q);

/* ends the unit of statements sent since the last Sync and flushes */
ngx_sf_pg_close_e ngx_sf_pg_pipeline_sync(ngx_sf_pg_conn_t *pgc);

/* sends what libpq holds, and watches for room while it holds more */
ngx_sf_pg_close_e ngx_sf_pg_pipeline_flush(ngx_sf_pg_conn_t *pgc);

/*
 * The head of the FIFO is late: what stands behind it is sent again elsewhere.
 * Or it has had its time.  A statement alone in its unit means a silent server
 * then, and the connection goes; the results of others may lie behind slower
 * ones, so the server gets the same time once more, but the queries that have
 * waited too long are told so now.
 */
ngx_sf_pg_close_e ngx_sf_pg_pipeline_timeout(ngx_sf_pg_conn_t *pgc);

/* takes all results that have arrived, and answers their queries */
ngx_sf_pg_close_e ngx_sf_pg_pipeline_results(ngx_sf_pg_conn_t *pgc);

/* empties the FIFO of a connection that has been closed for reason */
void ngx_sf_pg_pipeline_unwind(ngx_sf_pg_conn_t *pgc,
    ngx_sf_pg_close_e reason);


/*
 * The head's result is larger than max_response: its query is told.  Returns
 * why the connection goes, if more of it may come.
 */
ngx_sf_pg_close_e ngx_sf_pg_pipeline_too_large(ngx_sf_pg_conn_t *pgc);


/* --- ngx_sf_pg_inflow.c: how much a server sends --- */

/* of a connection that has been made */
void ngx_sf_pg_inflow_begin(ngx_sf_pg_conn_t *pgc);

/* before bytes are read: those that are there may be too many */
ngx_sf_pg_close_e ngx_sf_pg_inflow_ahead(ngx_sf_pg_conn_t *pgc);

/* after that, and when all results have been taken that are complete */
ngx_sf_pg_close_e ngx_sf_pg_inflow_check(ngx_sf_pg_conn_t *pgc);


/* --- ngx_sf_pg_scram.c: what a server asks for at a login --- */

/*
 * Before each PQconnectPoll().  NGX_OK: it takes no time; NGX_BUSY: it hashes;
 * NGX_DECLINED: far too long; NGX_AGAIN: a part of the message is missing that
 * would tell.
 */
ngx_int_t ngx_sf_pg_scram_look(ngx_sf_pg_conn_t *pgc);

/* once, of a worker */
void ngx_sf_pg_logins_init(ngx_cycle_t *cycle, ngx_sf_pg_logins_t *logins);

/*
 * Whether it may hash now.  NGX_AGAIN: it is queued, without a timer, whose
 * handler is called when it may.
 */
ngx_int_t ngx_sf_pg_login_begin(ngx_sf_pg_conn_t *pgc);

/* it has, which took so long, in microseconds; or it has gone */
void ngx_sf_pg_login_end(ngx_sf_pg_conn_t *pgc, uint64_t us);
void ngx_sf_pg_login_leave(ngx_sf_pg_conn_t *pgc);


/* --- ngx_sf_pg_notify.c: the lane that listens --- */

/*
 * What hears what the server tells on its own.  Its functions are called from
 * the middle of a connection's work: they may submit and cancel queries, and
 * subscribe and unsubscribe themselves.
 */

struct ngx_sf_pg_subscriber_s {
    ngx_queue_t                 queue;    /* pool->subscribers */
    void                       *data;

    /* a notification, before any result that has come after it */
    void                      (*notified)(ngx_sf_pg_subscriber_t *sub,
                                          const PGnotify *notify);

    /* a connection that had been made is closed; its queries were answered,
       or with NGX_SF_PG_CLOSE_EXIT forgotten */
    void                      (*closed)(ngx_sf_pg_subscriber_t *sub,
                                        ngx_sf_pg_close_e reason);

    /* the worker begins to exit; the connection stays until it does */
    void                      (*exiting)(ngx_sf_pg_subscriber_t *sub);
};

/* of a pool that has its lanes */
void ngx_sf_pg_notify_init(ngx_sf_pg_pool_t *pool);

/* connections are made for the queries of the lane, not by this */
void ngx_sf_pg_notify_subscribe(ngx_sf_pg_pool_t *pool,
    ngx_sf_pg_subscriber_t *sub);

/* without subscribers the lane has no connection */
void ngx_sf_pg_notify_unsubscribe(ngx_sf_pg_pool_t *pool,
    ngx_sf_pg_subscriber_t *sub);

/*
 * Closes the lane's connections, not from inside this call.  The reason is
 * NGX_SF_PG_CLOSE_RETIRED, or _STANDBY: the server is then backed off from.
 */
void ngx_sf_pg_notify_hang_up(ngx_sf_pg_pool_t *pool,
    ngx_sf_pg_close_e reason);


/* --- ngx_sf_pg_result.c: what a result says --- */

typedef enum {
    NGX_SF_PG_FINISH = 0,       /* the query gets the outcome */
    NGX_SF_PG_RETRY,            /* a read is sent once more */
    NGX_SF_PG_TAKEN,            /* its name is known there already */
    NGX_SF_PG_GONE,             /* its name is not known there */
    NGX_SF_PG_STALE,            /* its plan does not fit the schema any more */
    NGX_SF_PG_REWORD,           /* the database's encoding has no such text */
    NGX_SF_PG_LOST,             /* the connection is of no use any more */
    NGX_SF_PG_DEMOTED           /* the server takes no writes any more */
} ngx_sf_pg_action_e;

typedef struct {
    const char                 *sqlstate; /* five characters or a class */
    ngx_sf_pg_outcome_e         outcome;
    ngx_sf_pg_action_e          action;
} ngx_sf_pg_sqlstate_t;

/*
 * The row of a SQLSTATE (PostgreSQL manual, appendix A); NULL or an unknown
 * code is NGX_SF_PG_FAILED.
 */
const ngx_sf_pg_sqlstate_t *ngx_sf_pg_sqlstate(const char *sqlstate);

ngx_uint_t ngx_sf_pg_result_rows(const PGresult *res);

/* its columns, and the name and the oid of the type of one, by number */
ngx_uint_t ngx_sf_pg_result_columns(const PGresult *res);
const char *ngx_sf_pg_result_name(const PGresult *res, ngx_uint_t column);
uint32_t ngx_sf_pg_result_type(const PGresult *res, ngx_uint_t column);

/* a cell as text that lives as long as the result; NULL is {0, NULL} */
ngx_str_t ngx_sf_pg_result_cell(const PGresult *res, ngx_uint_t row,
    ngx_uint_t column);

/* a cell of an integer; NULL, and what is none or negative, is 0 */
ngx_uint_t ngx_sf_pg_result_number(const PGresult *res, ngx_uint_t row,
    ngx_uint_t column);

/* a cell of a boolean, or of an integer that stands for one; NULL is 0 */
ngx_uint_t ngx_sf_pg_result_bool(const PGresult *res, ngx_uint_t row,
    ngx_uint_t column);

/* frees a result; memory of a large one goes back to the system */
void ngx_sf_pg_result_free(PGresult *res);

/* whether its rows have taken more bytes than that */
ngx_uint_t ngx_sf_pg_result_exceeds(const PGresult *res, size_t max);

/* the same for what has been made of it, once size bytes have been freed */
void ngx_sf_pg_result_trim(size_t size);


#endif /* _NGX_SF_PG_H_INCLUDED_ */

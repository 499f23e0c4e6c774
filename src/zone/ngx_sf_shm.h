
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_SHM_H_INCLUDED_
#define _NGX_SF_SHM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/*
 * Everything that two workers can see at once.
 *
 * The zone begins with parts of fixed size; what is behind them is the arena,
 * a slab pool of its own with nodes, values and fills, which can be emptied
 * as a whole.  Fields marked (m) are read and written under the mutex of the
 * zone, those marked (a) are atomic, those marked (o) are written by their
 * owner only.  Times are ngx_current_msec, a clock that all workers share.
 */

#define NGX_SF_SOURCES      16        /* primaries that share a zone */
#define NGX_SF_SLOTS        256       /* workers, old and new ones */
#define NGX_SF_SLOT_WORDS   (NGX_SF_SLOTS / 64)
#define NGX_SF_PINS         128       /* values that a worker sends from */
#define NGX_SF_COUNTERS     65536     /* the first ones are the epochs */
#define NGX_SF_MARK_ROWS    512       /* of users that have written */
#define NGX_SF_MARK_WAYS    8         /* users of a row */
#define NGX_SF_TAGS         8         /* of a response, beside the epoch */
#define NGX_SF_ETAG_LEN     34        /* with its quotes */
#define NGX_SF_NAMES        1024      /* of tables and their keys */
#define NGX_SF_NAME         196       /* bytes of one */
#define NGX_SF_NAME_WORDS   (NGX_SF_NAMES / 64)
#define NGX_SF_OWNERS       1024      /* counters of what they have */
#define NGX_SF_GHOST_WAYS   4         /* places that a key may have */
#define NGX_SF_FREQ         3         /* hits of an entry that are counted */

#define NGX_SF_ZONE_MIN     (4 * 1024 * 1024)

/* what one processor writes does not take along what others only read */

#define NGX_SF_ALIGNED      __attribute__((aligned(64)))


/*
 * What is read and written before it is done for others when they see what is
 * written after it.  ngx_memory_barrier() waits for that, which takes longer
 * than most of what a hit does.
 */

#define ngx_sf_release()    __atomic_thread_fence(__ATOMIC_RELEASE)


/* the product of two words, folded: what is fed to it cannot be told of it */

static ngx_inline uint64_t
ngx_sf_mix(uint64_t a, uint64_t b)
{
    unsigned __int128  product;

    product = (unsigned __int128) a * b;

    return (uint64_t) product ^ (uint64_t) (product >> 64);
}


/* whether a process is there; one that is not ours to signal is */

static ngx_inline ngx_uint_t
ngx_sf_alive(ngx_pid_t pid)
{
    return kill(pid, 0) == 0 || ngx_errno != ESRCH;
}


typedef struct ngx_sf_zone_s      ngx_sf_zone_t;
typedef struct ngx_sf_zone_sh_s   ngx_sf_zone_sh_t;
typedef struct ngx_sf_node_s      ngx_sf_node_t;
typedef struct ngx_sf_entry_s     ngx_sf_entry_t;
typedef struct ngx_sf_fill_s      ngx_sf_fill_t;


/* names of the directory, by their numbers: see ngx_sf_directory.c */

typedef struct {
    uint64_t                    words[NGX_SF_NAME_WORDS];
} ngx_sf_set_t;

static ngx_inline void
ngx_sf_set_add(ngx_sf_set_t *set, ngx_uint_t n)
{
    set->words[n / 64] |= (uint64_t) 1 << n % 64;
}

static ngx_inline ngx_uint_t
ngx_sf_set_has(const ngx_sf_set_t *set, ngx_uint_t n)
{
    return set->words[n / 64] >> n % 64 & 1;
}

static ngx_inline ngx_uint_t
ngx_sf_set_count(const ngx_sf_set_t *set)
{
    ngx_uint_t  i, n;

    for (i = 0, n = 0; i < NGX_SF_NAME_WORDS; i++) {
        n += __builtin_popcountll(set->words[i]);
    }

    return n;
}


/* counters that a response depends on, and what they were: see ngx_sf_tag.c */

typedef struct {
    uint32_t                    n;
    uint32_t                    index[NGX_SF_TAGS + 1];
    uint64_t                    value[NGX_SF_TAGS + 1];
} ngx_sf_stamp_t;


/* --- what is in the zone --- */

/* where an entry stands to stay: see ngx_sf_admit.c */

typedef enum {
    NGX_SF_SMALL = 0,
    NGX_SF_MAIN,
    NGX_SF_QUEUES               /* in none */
} ngx_sf_queue_e;

/* bytes that answer a request; refs: its node, each pin, its parent */

struct ngx_sf_entry_s {
    ngx_atomic_t                refs;     /* (a) 0: free it */
    ngx_sf_entry_t             *gzip;     /* the same, compressed: set once,
                                             (m) */
    size_t                      size;     /* of the chunk */
    ngx_msec_t                  created;  /* before it was read */
    ngx_msec_t                  deadline; /* good until then, 0: no such */
    ngx_sf_stamp_t              stamp;
    u_char                      etag[NGX_SF_ETAG_LEN];
    u_char                      incoherent;   /* not read where the listener
                                                 listens */
    u_char                      queue;    /* (m) */
    uint32_t                    owner;    /* (m) whom it was made for, 0: it is
                                             common */
    ngx_uint_t                  gzip_tried;
    size_t                      len;
    u_char                      data[1];
};


/* a response that is being made */

struct ngx_sf_fill_s {
    ngx_queue_t                 queue;    /* (m) sh->fills */
    ngx_sf_node_t              *node;
    uint64_t                    serial;   /* of the claim */
    ngx_pid_t                   pid;
    ngx_msec_t                  deadline;
    uint64_t                    waiters[NGX_SF_SLOT_WORDS];
    ngx_sf_stamp_t              stamp;
};


struct ngx_sf_node_s {
    ngx_queue_t                 fifo;     /* (m) sh->fifos, with a value
                                             only */
    ngx_sf_node_t              *next;     /* (m) of its bucket */
    ngx_sf_entry_t             *value;    /* (m) NULL: none yet */
    ngx_sf_fill_t              *fill;     /* (m) NULL: nobody is at it */
    uint64_t                    hash;
    uint32_t                    len;
    u_char                      freq;     /* (m) hits, see ngx_sf_admit.c */
    u_char                      key[1];
};


/* a value that a worker may be reading from */

typedef struct {
    ngx_sf_entry_t             *value;    /* (o) NULL: free */
    ngx_uint_t                  count;    /* (o) readers in that worker */
} ngx_sf_pin_t;


typedef struct {
    ngx_uint_t                  hits;
    ngx_uint_t                  misses;
    ngx_uint_t                  stale;
    ngx_uint_t                  expired;
    ngx_uint_t                  bypassed;
    ngx_uint_t                  fills;    /* stored */
    ngx_uint_t                  raced;    /* thrown away: a tag had moved */
    ngx_uint_t                  refused;  /* too large */
    ngx_uint_t                  no_room;  /* allocations, of any kind */
    ngx_uint_t                  evictions;
    ngx_uint_t                  evictions_main;   /* of these, of main */
    ngx_uint_t                  returned; /* soon after an eviction */
    ngx_uint_t                  followers;    /* joined in the same worker */
    ngx_uint_t                  waits;    /* for another worker */
    ngx_uint_t                  abandoned;    /* not sent: nobody waited for
                                                 it any more */
} ngx_sf_cache_stats_t;


/* a worker; the pid tells one that has died from the next one */

typedef struct {
    ngx_atomic_t                pid;      /* (m) 0: free */
    ngx_uint_t                  generation;   /* (m) of its configuration */
    size_t                      name_len; /* (m) of its datagram socket, which
                                             is in the abstract namespace */
    u_char                      name[32]; /* (m) */
    uint64_t                    secret;   /* (m) of that socket: what a
                                             datagram for it begins with */
    ngx_sf_pin_t                pins[NGX_SF_PINS];
    ngx_uint_t                  npins;    /* (o) records in use */
    size_t                      pinned;   /* (o) bytes of their values */
    ngx_sf_cache_stats_t        stats;    /* (o) */
} ngx_sf_slot_t;


/* why changes of a table would not be told */

typedef enum {
    NGX_SF_LACK_TRIGGERS = 0,   /* one is missing, or not as it must be */
    NGX_SF_LACK_SUBSCRIPTION,   /* logical replication writes past them */
    NGX_SF_LACK_SHAPE,          /* it is no plain table, or a part of one that
                                   has no triggers of ours */
    NGX_SF_LACK_CHANNEL,        /* its triggers, or the listener, cannot read
                                   the channel's name */
    NGX_SF_LACKS
} ngx_sf_lack_e;


/* what a look at the catalogue has found of the names of the directory */

typedef struct {
    ngx_sf_set_t                covered;  /* tables whose changes are told, and
                                             keys that are told with them */
    ngx_sf_set_t                open;     /* tables that tell on the open
                                             channel */
    u_char                      lacks[NGX_SF_NAMES];  /* 1 + ngx_sf_lack_e, 0:
                                                         none is known */
    uint64_t                    digests[NGX_SF_NAMES];    /* of tables, 0: not
                                                             known */
    uint64_t                    rest;     /* the same of what all of them may
                                             use: functions, enums, roles */
} ngx_sf_schema_t;


/*
 * A database that responses come from, found by its identity.  Fields marked
 * (o) are written by the worker that is `owner`, which is the one that listens;
 * ngx_sf_listen.c has the rules.
 */

typedef struct {
    u_char                      identity[16]; /* (m) of ngx_sf_origin_t,
                                                 zeroes: free */
    ngx_atomic_t                confirmed;    /* (o) when the last heartbeat
                                                 that was answered was sent */
    ngx_atomic_t                covered[NGX_SF_NAME_WORDS + 1];
                                          /* (o) names whose changes are told:
                                             schema.covered, none while
                                             doubted; the last word is never
                                             set */
    ngx_atomic_t                era;      /* (a) moves before the counters do
                                             when a relation may have become
                                             something else */
    ngx_atomic_t                listened; /* (o) hash of the server that was
                                             listened to last: at another one
                                             there may be a gap */
    ngx_atomic_t                server;   /* (o) the same, where responses of
                                             others are not watched over; 0:
                                             softfactory_listen names servers
                                             of its own, any will do */
    ngx_pid_t                   owner;    /* (m) 0: none */
    ngx_uint_t                  owner_generation; /* (m) */
    ngx_uint_t                  owner_slot;   /* (m) */
    ngx_msec_t                  seen;     /* (m) when it last ran */
    ngx_pid_t                   candidate;    /* (m) of a newer generation */
    ngx_atomic_t                notifications;    /* (a) */
    ngx_atomic_t                moves;    /* (a) of counters */
    ngx_atomic_t                epochs;   /* (a) times that all was dropped */
    ngx_atomic_t                queue_usage;  /* (o) of the server's
                                                 notification queue, ppm */
    ngx_atomic_t                doubted;  /* (o) something goes unheard, or has
                                             not been understood */
    ngx_atomic_t                names;    /* (o) of the channel */
    ngx_atomic_t                open;     /* (o) what the open channel is
                                             needed for, a mask of the
                                             listener's; 0: for nothing */
    ngx_atomic_t                unreadable;   /* (a) notifications */
    ngx_sf_schema_t             schema;   /* (m) as the last look found it; to
                                             be shown it is read without */
    ngx_atomic_t                blind;    /* (o) the looks fail */
    ngx_atomic_t                changes;  /* (a) of the schema, that were
                                             seen */
    ngx_sf_set_t                changed;  /* (o) tables, the last time */
    ngx_atomic_t                changed_rest; /* (o) then, what all may use */
    ngx_atomic_t                changed_at;   /* (o) then, in seconds since
                                                 1970, 0: never */
    ngx_atomic_t                creators; /* (o) roles that may create in the
                                             schema, its owner and superusers
                                             apart */
} ngx_sf_source_t;


/* a table, or a key of a table */

typedef struct {
    ngx_uint_t                  table;    /* its number; of a table, its own */
    size_t                      len;
    u_char                      name[NGX_SF_NAME];
} ngx_sf_name_t;

/* see ngx_sf_directory.c */

typedef struct {
    ngx_atomic_t                n;        /* (m) grows when one is there */
    ngx_uint_t                  full;     /* (m) and has been logged to be */
    uint64_t                    hashes[NGX_SF_NAMES];
    ngx_sf_name_t               names[NGX_SF_NAMES];
} ngx_sf_directory_t;


/* the entries of a queue */

typedef struct {
    ngx_queue_t                 nodes;    /* (m) the oldest first */
    ngx_uint_t                  n;        /* (m) */
    size_t                      bytes;    /* (m) of the arena */
} ngx_sf_fifo_t;


/* a key that has been evicted a while ago */

typedef struct {
    uint32_t                    tag;      /* (m) of its hash, 0: free */
    uint32_t                    time;     /* (m) sh->buried, then */
} ngx_sf_ghost_t;


/* a user that writes past the module: see ngx_sf_mark.c */

typedef struct {
    ngx_atomic_t                key;      /* (m) of the user, 0: free */
    ngx_atomic_t                time;     /* (m) of the last write, ahead while
                                             one is under way; 0: none */
    uint32_t                    writes;   /* (m) under way */
    uint32_t                    life;     /* (m) of that number */
} ngx_sf_mark_t;

typedef struct {
    ngx_sf_mark_t               marks[NGX_SF_MARK_WAYS];
    ngx_sf_mark_t               any;      /* whom there is no place for */
} ngx_sf_marks_t;


struct ngx_sf_zone_sh_s {

    /* what never changes, and so stays in every processor's cache */

    uint64_t                    magic;
    uint64_t                    layout;   /* of all structures here */
    uint64_t                    seed;     /* of hashes, random */
    size_t                      size;
    ngx_slab_pool_t            *arena;
    size_t                      arena_size;
    ngx_sf_node_t             **buckets;  /* what they hold: (m) */
    ngx_uint_t                  mask;
    ngx_sf_ghost_t             *ghosts;   /* what they hold: (m) */
    ngx_uint_t                  nghosts;

    /* what every hit writes */

    ngx_atomic_t                busy NGX_SF_ALIGNED;  /* pid that is inside
                                                         the mutex */
    ngx_uint_t                  generation;   /* (m) of configurations */
    ngx_uint_t                  era;      /* (m) the arena was made anew */
    ngx_uint_t                  doubt;    /* (m) a worker died inside */
    ngx_sf_fifo_t               fifos[NGX_SF_QUEUES];     /* (m) */
    uint32_t                    buried;   /* (m) ghosts so far */
    ngx_queue_t                 fills;    /* (m) the oldest first */
    uint64_t                    serial;   /* (m) of the last claim */
    ngx_uint_t                  nodes;    /* (m) */
    size_t                      bytes;    /* (m) of values */
    ngx_sf_cache_stats_t        gone;     /* (m) of workers that have left */
    size_t                      shares[NGX_SF_OWNERS];    /* (m) bytes in main
                                                             by owner */
    size_t                      given[NGX_SF_OWNERS]; /* (m) bytes that main
                                                         gave for its pages */
    ngx_msec_t                  given_time;   /* (m) since then */

    ngx_sf_source_t             sources[NGX_SF_SOURCES] NGX_SF_ALIGNED;
    ngx_sf_directory_t          directory;
    ngx_atomic_t                marked;   /* (m) the last of the marks, 0:
                                             there are none yet */
    ngx_sf_marks_t              marks[NGX_SF_MARK_ROWS];
    ngx_atomic_t                counters[NGX_SF_COUNTERS];    /* (a) */
    ngx_sf_slot_t               slots[NGX_SF_SLOTS];
};


/* --- ngx_sf_workers.c: which workers there are --- */

typedef struct {
    ngx_atomic_t                pids[NGX_SF_SLOTS];   /* (m) by number, 0:
                                                         free */
} ngx_sf_workers_sh_t;

/*
 * What has a slot for each worker.  The slot of one that has died, or leaves,
 * is emptied, unless it is that of another pid by now; NGX_AGAIN: it cannot be
 * just now.
 */

typedef struct {
    ngx_int_t                 (*bury)(void *data, ngx_uint_t n, ngx_pid_t pid);
    void                       *data;
} ngx_sf_workers_holder_t;

typedef struct {
    ngx_shm_zone_t             *shm_zone;
    ngx_slab_pool_t            *shpool;
    ngx_sf_workers_sh_t        *sh;
    ngx_array_t                 holders;  /* of this configuration */
    ngx_uint_t                  n;        /* the number of this worker,
                                             NGX_SF_SLOTS: it has none */
} ngx_sf_workers_t;

/* bytes of shared memory; its init callback */
size_t ngx_sf_workers_size(void);
ngx_int_t ngx_sf_workers_init(ngx_shm_zone_t *shm_zone, void *data);

/* takes a number, before any slot; gives it back, after all slots */
void ngx_sf_workers_enter(ngx_sf_workers_t *workers);
void ngx_sf_workers_leave(ngx_sf_workers_t *workers);

/* empties the slots of those that have died */
void ngx_sf_workers_bury(ngx_sf_workers_t *workers);

/* whether what has that pid, 0 or not ours yet, belongs to nobody any more */
ngx_uint_t ngx_sf_workers_absent(ngx_pid_t pid);


/*
 * What has to be told of a response, or of something else that has tags: words
 * of source->covered, and their bits.
 */

typedef struct {
    ngx_uint_t                  word;
    uint64_t                    mask;
} ngx_sf_cover_word_t;

typedef struct {
    ngx_uint_t                  n;
    ngx_sf_cover_word_t         words[NGX_SF_TAGS + 1];
} ngx_sf_cover_t;

static ngx_inline ngx_uint_t
ngx_sf_cover_holds(const ngx_sf_cover_t *cover, const ngx_sf_source_t *source)
{
    ngx_uint_t                  n;
    const ngx_sf_cover_word_t  *w;

    w = cover->words;

    for (n = cover->n; n; n--, w++) {
        if (w->mask & ~source->covered[w->word]) {
            return 0;
        }
    }

    return 1;
}

static ngx_inline ngx_uint_t
ngx_sf_source_covers(const ngx_sf_source_t *source, ngx_uint_t n)
{
    return source->covered[n / 64] >> n % 64 & 1;
}


/* --- ngx_sf_zone.c: the zone, its workers, its databases --- */

/* configuration of a zone, and what a worker knows of it */

struct ngx_sf_zone_s {
    ngx_shm_zone_t             *shm_zone;
    ngx_str_t                   name;
    ngx_sf_zone_sh_t           *sh;
    ngx_slab_pool_t            *shpool;
    uint64_t                    seed;     /* sh->seed, on a line of its own */
    ngx_uint_t                  generation;
    ngx_msec_t                  lease;    /* of its listeners */
    ngx_msec_t                  look;     /* between looks at the schema, 0:
                                             there are none */
    ngx_sf_set_t                needs;    /* names that tags of this
                                             configuration have */
    ngx_sf_cover_t             *covers;   /* by resource */

    ngx_sf_slot_t              *slot;     /* of this worker, NULL: none */
    ngx_uint_t                  nslot;
    ngx_connection_t           *wake;     /* its datagram socket */
    void                      (*woken)(void *data, uint64_t hash);
    void                       *data;

    /* under the mutex: what a worker that leaves, or has died, has held; and
       what it was at, when it has died */
    void                      (*release)(ngx_sf_zone_t *zone,
                                         ngx_sf_slot_t *slot, ngx_pid_t pid);
    void                      (*died)(ngx_sf_zone_t *zone);
};

/*
 * init callback of the shared memory: reload, existing segment, fresh one.
 * One that does not fit must not come here: see ngx_sf_zone_differs().
 */
ngx_int_t ngx_sf_zone_init(ngx_shm_zone_t *shm_zone, void *data);

/*
 * Whether the segment of an old cycle cannot be taken over: it has another
 * layout, or no places for these n databases (identities, 16 bytes each).
 */
ngx_uint_t ngx_sf_zone_differs(ngx_shm_zone_t *shm_zone,
    const u_char *identities, ngx_uint_t n);

/*
 * Takes the slot of the worker with that number.  If not, the log says why, and
 * the worker does without the cache.  NGX_DECLINED: it has no number;
 * NGX_BUSY: the slot is that of a process which is there; NGX_AGAIN: that of
 * one that has died, and cannot be emptied while others send from a zone which
 * is in doubt.
 */
ngx_int_t ngx_sf_zone_enter(ngx_sf_zone_t *zone, ngx_uint_t n);
void ngx_sf_zone_leave(ngx_sf_zone_t *zone);

/* releases what a dead worker had: for ngx_sf_workers_holder_t */
ngx_int_t ngx_sf_zone_bury(void *zone, ngx_uint_t n, ngx_pid_t pid);

/*
 * The mutex.  No body is copied or compressed under it, and no call is made
 * that can block: at most kill(), a datagram, or a line of log.  0: a worker
 * has died inside and the arena cannot be trusted yet; it is not held then.
 */
ngx_uint_t ngx_sf_zone_lock(ngx_sf_zone_t *zone);
void ngx_sf_zone_unlock(ngx_sf_zone_t *zone);

/* what a zone holds at a moment, and has done so far */

typedef struct {
    size_t                      bytes;    /* of values */
    size_t                      room;     /* that there is for entries */
    size_t                      pinned;
    size_t                      queues[NGX_SF_QUEUES];    /* of the room, by
                                                             queue */
    ngx_uint_t                  nodes;
    ngx_uint_t                  fills;    /* under way */
    ngx_uint_t                  workers;
    ngx_uint_t                  pins;
    ngx_sf_cache_stats_t        stats;    /* of all workers, gone ones too */
} ngx_sf_zone_facts_t;

void ngx_sf_zone_facts(ngx_sf_zone_t *zone, ngx_sf_zone_facts_t *facts);

/* bytes of values that all workers send from */
size_t ngx_sf_zone_pinned(ngx_sf_zone_t *zone);

/*
 * Whether a listener has been heard of within the lease, and hears all; *age is
 * for how long it has not been heard of, in ms, -1: never.
 */
ngx_uint_t ngx_sf_zone_coherent(const ngx_sf_source_t *source,
    ngx_msec_t lease, ngx_msec_int_t *age);

/* for ngx_sf_cache_hash(); 0 for a zone that is not there */

static ngx_inline uint64_t
ngx_sf_zone_seed(const ngx_sf_zone_t *zone)
{
    return zone ? zone->seed : 0;
}

/*
 * The place of a database in the zone, by the MD5 of its identity; NULL when
 * all are taken.
 */
ngx_sf_source_t *ngx_sf_zone_source(ngx_sf_zone_t *zone,
    const u_char identity[16]);


/* --- ngx_sf_wake.c: datagrams from worker to worker --- */

/* what no key hashes to: a listener is nudged; all keys have changed */

#define NGX_SF_WAKE_LISTENER  0
#define NGX_SF_WAKE_ALL       1

/* what waits for these bits of slots is told that hash has changed */
void ngx_sf_wake(ngx_sf_zone_t *zone, const uint64_t *slots, uint64_t hash);

/* the same for one slot */
void ngx_sf_wake_slot(ngx_sf_zone_t *zone, ngx_uint_t slot, uint64_t hash);

/* binds the socket of this worker; zone->woken is called for each datagram */
ngx_int_t ngx_sf_wake_open(ngx_sf_zone_t *zone, ngx_log_t *log);
void ngx_sf_wake_close(ngx_sf_zone_t *zone);


/* --- ngx_sf_tag.c: what has changed since --- */

typedef enum {
    NGX_SF_TAG_TABLE = 0,       /* any row of the table */
    NGX_SF_TAG_USER,            /* rows whose key is the user */
    NGX_SF_TAG_ID               /* rows whose key is the path's $id */
} ngx_sf_tag_e;

/* a tag of an endpoint, as compiled from its row */

typedef struct {
    ngx_str_t                   table;    /* "table" or "schema.table" */
    ngx_str_t                   key;      /* column; empty: any row */
    ngx_sf_tag_e                from;
    uint64_t                    whole;    /* hash of the table, and of table */
    uint64_t                    keyed;    /* and key: see ngx_sf_tag.c */
} ngx_sf_tag_t;

typedef struct {
    ngx_uint_t                  n;
    ngx_sf_tag_t                tag[NGX_SF_TAGS];
    ngx_uint_t                  unknown;  /* there may be other tables */
} ngx_sf_tags_t;

#define NGX_SF_TAG_NAME  63           /* bytes of a name in PostgreSQL */

/*
 * Compiles "table table.key=$user schema.table.key=$id ...", in which names are
 * as PostgreSQL folds them; a text of NULL says that nothing is known of the
 * tables.  NULL, or what is wrong with it.  The tags point into the text.
 */
const char *ngx_sf_tags_compile(const char *text, ngx_sf_tags_t *tags);

/* reads the counters of tags, for these values, and the epoch of a source */
void ngx_sf_stamp_read(ngx_sf_zone_t *zone, ngx_uint_t source,
    const ngx_sf_tags_t *tags, int64_t user, int64_t id,
    ngx_sf_stamp_t *stamp);

/* whether nothing has moved since */
ngx_uint_t ngx_sf_stamp_current(ngx_sf_zone_t *zone,
    const ngx_sf_stamp_t *stamp);

/*
 * Moves the counters that a notification names, "table key=1,2 key=*"; what
 * cannot be read moves the epoch.  Returns the number of counters moved.
 */
ngx_uint_t ngx_sf_tags_move(ngx_sf_zone_t *zone, ngx_uint_t source,
    const u_char *payload, size_t len);

/*
 * The same, but NGX_DECLINED when it cannot be read and the epoch has yet to be
 * moved; *moved grows by the counters that were.
 */
ngx_int_t ngx_sf_tags_try(ngx_sf_zone_t *zone, ngx_uint_t source,
    const u_char *payload, size_t len, ngx_uint_t *moved);

/* whether that can be a name in a tag, or a value in a notification */
ngx_uint_t ngx_sf_tag_is_name(const u_char *p, size_t len);
ngx_uint_t ngx_sf_tag_is_value(const u_char *p, size_t len);

/*
 * Drops all that was read from a table of a source, by whatever tag: by its
 * number in the directory, where the keys are.
 */
void ngx_sf_tags_move_table(ngx_sf_zone_t *zone, ngx_uint_t source,
    ngx_uint_t table);

/* drops all that came from a source */
void ngx_sf_tags_move_all(ngx_sf_zone_t *zone, ngx_uint_t source);


/* --- ngx_sf_directory.c: numbers of tables, and of their keys --- */

/*
 * The number of a table, or of a key of it (NULL or empty: of the table);
 * NGX_SF_NAMES: it has none, or there is no room for one more.
 */
ngx_uint_t ngx_sf_directory_find(const ngx_sf_zone_t *zone,
    const ngx_str_t *table, const ngx_str_t *key);
ngx_uint_t ngx_sf_directory_add(ngx_sf_zone_t *zone, const ngx_str_t *table,
    const ngx_str_t *key);

/* "table" or "table.key="; the key alone, empty for a table */
ngx_str_t ngx_sf_directory_name(const ngx_sf_zone_t *zone, ngx_uint_t n);
ngx_str_t ngx_sf_directory_key(const ngx_sf_zone_t *zone, ngx_uint_t n);

/* the names of a set in their order, NGX_SF_NAMES at most; how many */
ngx_uint_t ngx_sf_directory_list(const ngx_sf_zone_t *zone,
    const ngx_sf_set_t *set, ngx_str_t *names);

/* what has to be told of what has these tags; they count as needed from now */
void ngx_sf_cover_make(ngx_sf_zone_t *zone, const ngx_sf_tags_t *tags,
    ngx_sf_cover_t *cover);

/*
 * What this configuration needs and is not told: tables, and keys of tables
 * that are.  Returns how many.
 */
ngx_uint_t ngx_sf_zone_uncovered(const ngx_sf_zone_t *zone,
    const ngx_sf_source_t *source, ngx_sf_set_t *uncovered);


/* --- ngx_sf_mark.c: which users have written past the module --- */

#define NGX_SF_MARK_AHEAD  60000      /* ms: no write should take longer */

/* a write that is under way */

typedef struct {
    int64_t                     user;
    ngx_sf_mark_t              *mark;
    uint32_t                    life;     /* of the mark, then */
} ngx_sf_write_t;

void ngx_sf_mark_begin(ngx_sf_zone_t *zone, int64_t user, ngx_msec_t now,
    ngx_sf_write_t *write);
void ngx_sf_mark_end(ngx_sf_zone_t *zone, ngx_sf_write_t *write,
    ngx_msec_t now);

/* when a user has last written, ahead while it does, 0: never; no mutex */
ngx_msec_t ngx_sf_mark_time(ngx_sf_zone_t *zone, int64_t user);

/*
 * A worker has died, zone->died: its writes, and all others that are under way,
 * are over by themselves.
 */
void ngx_sf_mark_release(ngx_sf_zone_t *zone);


/* --- ngx_sf_admit.c: which entries stay; under the mutex --- */

/* room for its tables, before the arena is made of what is left */
ngx_int_t ngx_sf_admit_create(ngx_sf_zone_sh_t *sh, ngx_slab_pool_t *shpool,
    size_t size);
void ngx_sf_admit_init(ngx_sf_zone_sh_t *sh);

/* the owner's number of a principal; never 0.  Takes no mutex. */
uint32_t ngx_sf_admit_owner(uint64_t seed, uint64_t who);

/*
 * Puts a value of value->owner into a node.  Where that had one, which is
 * returned, the new one takes over its place and its owner.
 */
ngx_sf_entry_t *ngx_sf_admit_store(ngx_sf_zone_t *zone, ngx_sf_node_t *node,
    ngx_sf_entry_t *value);

/* a node is about to lose its value */
void ngx_sf_admit_leave(ngx_sf_zone_t *zone, ngx_sf_node_t *node);

/* it is asked for by others than its owner, and is nobody's from now on */
void ngx_sf_admit_disown(ngx_sf_zone_t *zone, ngx_sf_node_t *node);

/* a value, which may be that of a node, has got its compressed form */
void ngx_sf_admit_grow(ngx_sf_zone_t *zone, const ngx_sf_entry_t *value,
    const ngx_sf_entry_t *form);

/* what needs room */

typedef enum {
    NGX_SF_ADMIT_VALUE = 0,     /* of one page at most */
    NGX_SF_ADMIT_PAGES,         /* of several pages */
    NGX_SF_ADMIT_CLAIM          /* a node, or a fill */
} ngx_sf_admit_e;

typedef struct {
    ngx_sf_admit_e              what;
    size_t                      size;
    uint64_t                    hash;     /* of the key, 0: of none */
    uint32_t                    owner;    /* 0: it is common */
    ngx_uint_t                  known;    /* the key has an old value */
    size_t                      freed;    /* for it, so far */
    size_t                      given;    /* of that, by main */
    ngx_uint_t                  steps;    /* it has taken to find that */
} ngx_sf_need_t;

/* whose value has to make room for it; NULL: nobody's, it is refused */
ngx_sf_node_t *ngx_sf_admit_victim(ngx_sf_zone_t *zone, ngx_sf_need_t *need);
void ngx_sf_admit_refuse(ngx_sf_zone_t *zone, const ngx_sf_need_t *need);

/* a key that has been evicted, or refused, is remembered for a while */
void ngx_sf_admit_bury(ngx_sf_zone_sh_t *sh, uint64_t hash);


/* somebody asks for what a node has: all that a hit does about it */

static ngx_inline void
ngx_sf_admit_hit(ngx_sf_zone_t *zone, ngx_sf_node_t *node, uint32_t owner)
{
    node->freq += node->freq < NGX_SF_FREQ;

    if (node->value->owner && node->value->owner != owner) {
        ngx_sf_admit_disown(zone, node);
    }
}


/* --- ngx_sf_cache.c: responses in the zone --- */

typedef struct {
    u_char                     *data;
    size_t                      len;
    uint64_t                    hash;
} ngx_sf_key_t;

/* sets key->hash; seed is that of the zone, ngx_sf_zone_seed() */
void ngx_sf_cache_hash(ngx_sf_key_t *key, uint64_t seed);

/* the same for one word more, without another look at the rest */
void ngx_sf_cache_hash_more(ngx_sf_key_t *key, uint64_t word, uint64_t seed);

/* for whom an entry is looked up, and by what it is judged */

typedef struct {
    uint32_t                    owner;    /* that asks: see ngx_sf_admit.c */
    ngx_sf_source_t            *source;
    const ngx_sf_cover_t       *cover;    /* of the tables it was read from */
    ngx_msec_t                  now;
    ngx_msec_t                  ttl;
    ngx_msec_t                  stale;    /* beyond ttl, while refreshed */
    ngx_msec_t                  error;    /* beyond ttl, without database */
    ngx_msec_t                  grace;    /* after the last confirmation, for
                                             what was good then */
    ngx_msec_t                  lease;
    ngx_msec_t                  incoherent_ttl;
} ngx_sf_fresh_t;

/* the end of a ttl, in which each entry expires at a moment of its own */

static ngx_inline ngx_msec_t
ngx_sf_cache_last(ngx_msec_t ttl)
{
    return ttl < 10000 ? 0 : ttl / 10;
}

/*
 * Whether an entry with that stamp and time is beyond doubt: nothing it shows
 * has changed, that would have been heard, and its ttl is far from over.  For
 * one that is coherent itself and has no deadline; takes no mutex.
 */
ngx_uint_t ngx_sf_cache_young(ngx_sf_zone_t *zone,
    const ngx_sf_stamp_t *stamp, ngx_msec_t created,
    const ngx_sf_fresh_t *fresh);

typedef enum {
    NGX_SF_FRESH = 0,
    NGX_SF_STALE,               /* expired by time, within stale */
    NGX_SF_OLD,                 /* expired by time */
    NGX_SF_GONE                 /* something it shows has changed */
} ngx_sf_freshness_e;

typedef enum {
    NGX_SF_CACHE_NONE = 0,      /* not asked */
    NGX_SF_CACHE_HIT,
    NGX_SF_CACHE_MISS,
    NGX_SF_CACHE_EXPIRED,       /* there was one, it is made anew */
    NGX_SF_CACHE_UPDATING,      /* stale, somebody else makes it anew */
    NGX_SF_CACHE_STALE,         /* stale, the database is away or busy */
    NGX_SF_CACHE_BYPASS,
    NGX_SF_CACHE_STATUSES
} ngx_sf_cache_status_e;

/* the right, and the duty, to make a response */

typedef struct {
    ngx_sf_node_t              *node;     /* NULL: it will not be stored */
    uint64_t                    serial;
    uint64_t                    hash;
    ngx_uint_t                  era;
} ngx_sf_claim_t;

typedef struct {
    ngx_sf_entry_t             *value;    /* pinned, or NULL */
    ngx_sf_cache_status_e       status;
    ngx_sf_claim_t              claim;    /* when NGX_DECLINED */
} ngx_sf_found_t;

/*
 * Looks a response up.  NGX_OK: found->value may be sent, and must be unpinned;
 * or NGX_DECLINED.
 */
ngx_int_t ngx_sf_cache_lookup(ngx_sf_zone_t *zone, const ngx_sf_key_t *key,
    const ngx_sf_fresh_t *fresh, ngx_sf_found_t *found);

/*
 * The same, for a caller that makes it if it is not there: NGX_DECLINED, and
 * found->claim is ended by _store() or _abandon(), at the latest limit ms from
 * now.  NGX_AGAIN: another worker, or this one, is at it since counters that
 * are still current; this worker will be woken.
 */
ngx_int_t ngx_sf_cache_claim(ngx_sf_zone_t *zone, const ngx_sf_key_t *key,
    const ngx_sf_fresh_t *fresh, const ngx_sf_stamp_t *stamp,
    ngx_msec_t limit, ngx_sf_found_t *found);

/*
 * Looks up what there is, for want of something better: without a connection
 * (error, grace) or a busy one (stale).  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_sf_cache_lookup_stale(ngx_sf_zone_t *zone,
    const ngx_sf_key_t *key, const ngx_sf_fresh_t *fresh, ngx_uint_t down,
    ngx_sf_found_t *found);

/* what is stored: its bytes are copied */

typedef struct {
    const ngx_sf_stamp_t       *stamp;
    ngx_msec_t                  created;
    ngx_msec_t                  deadline;
    ngx_uint_t                  incoherent;
    uint32_t                    owner;    /* whom it is made for */
    const u_char               *etag;     /* NGX_SF_ETAG_LEN bytes, or NULL */
    const u_char               *data;
    size_t                      len;
} ngx_sf_content_t;

/*
 * Stores a response under a claim and wakes what waits for it.  It is thrown
 * away when its counters have moved, when it is larger than max, or when
 * there is no room.
 */
void ngx_sf_cache_store(ngx_sf_zone_t *zone, ngx_sf_claim_t *claim,
    const ngx_sf_content_t *response, size_t max);

/* gives a claim up, and wakes what waits, so that another one tries */
void ngx_sf_cache_abandon(ngx_sf_zone_t *zone, ngx_sf_claim_t *claim);

/*
 * Gives a claim up that this worker has no use for, unless another one waits
 * for it; whether it did.
 */
ngx_uint_t ngx_sf_cache_give_up(ngx_sf_zone_t *zone, ngx_sf_claim_t *claim);

/* one pin more of a value that is pinned; NGX_DECLINED: no room for it */
ngx_int_t ngx_sf_cache_pin(ngx_sf_zone_t *zone, ngx_sf_entry_t *value);
void ngx_sf_cache_unpin(ngx_sf_zone_t *zone, ngx_sf_entry_t *value);

/*
 * The compressed form of a pinned value, in exchange for its pin; NULL: there
 * is none and the pin is kept.  *make is set once for each value: the caller
 * makes the form and gives it to ngx_sf_cache_attach().
 */
ngx_sf_entry_t *ngx_sf_cache_gzip(ngx_sf_zone_t *zone, ngx_sf_entry_t *value,
    ngx_uint_t *make);
void ngx_sf_cache_attach(ngx_sf_zone_t *zone, ngx_sf_entry_t *value,
    const u_char *etag, const u_char *data, size_t len, size_t max);

/* what a worker has pinned or claimed: zone->release */
void ngx_sf_cache_release(ngx_sf_zone_t *zone, ngx_sf_slot_t *slot,
    ngx_pid_t pid);


#endif /* _NGX_SF_SHM_H_INCLUDED_ */


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The listener: one worker hears for all what has changed in the database.
 *
 * It moves the counters of a source (ngx_sf_tag.c) as notifications tell, and
 * renews the lease by which every worker judges what is in the zone: confirmed
 * is the time at which the last statement was sent that has been answered on
 * the listening connection.  A result there says that all notifications of
 * what was committed before have been applied.  So nothing has to notice that
 * a connection is lost; the lease runs out by itself.
 *
 * The worker is elected in the zone:
 *
 *   IDLE         another worker listens; every tick looks whether it is alive
 *   CONNECTING   owner or candidate: LISTEN is being sent, and sent again
 *   LISTENING    LISTEN is in force; the owner begins at once, a candidate
 *                waits for the owner
 *   CHECKING     owner: what does the catalogue say of the tables?
 *   UP           owner: heartbeats, and another look now and then
 *
 * owner.  Any worker takes the place of an owner that is gone, or that has
 * not run for a while (a stopped process).  It says LISTEN, after that is in
 * force it looks at the catalogue, and then it moves the epoch: what was
 * committed before has gone unheard, or unseen.  The same when the connection
 * was lost.  An owner that cannot connect for long leaves the place to others,
 * whose luck may be better.
 *
 * candidate.  After a reload a worker of the new configuration takes over from
 * the old one without dropping anything: it says LISTEN too, and waits until
 * the owner has a result to something sent after that.  What is committed
 * before that was sent the owner has applied, the rest is heard here.  An
 * owner that is told to exit stays for a candidate, but neither waits long
 * for the other; without a result there is a gap, and the epoch moves.
 *
 * A worker that was stopped may wake up when another has its place: whatever is
 * written in the name of the owner is written under the mutex, after a look at
 * the owner.  Counters may be moved by any worker at any time.
 *
 * This is the election; ngx_sf_listen_conn.c has what is said meanwhile, and
 * tells here when LISTEN is in force and when the connection is given up.
 */


#include "ngx_sf_listen_conn.h"


/* in ms */

#define NGX_SF_LISTEN_STOPPED    6000     /* an owner that has not run */
#define NGX_SF_LISTEN_PATIENCE   10000    /* without a connection */
#define NGX_SF_LISTEN_REST       1000     /* after that */
#define NGX_SF_LISTEN_HOLD       1000     /* an exiting owner stays */
#define NGX_SF_LISTEN_WAIT       2000     /* a candidate, for the owner */


/* what a look at the election means for this worker */

typedef enum {
    NGX_SF_LISTEN_STAY = 0,
    NGX_SF_LISTEN_START,        /* it has become owner or candidate */
    NGX_SF_LISTEN_ASK,          /* the owner for a heartbeat */
    NGX_SF_LISTEN_BEGIN,        /* as the owner, after a gap */
    NGX_SF_LISTEN_INHERIT,      /* as the owner, without one */
    NGX_SF_LISTEN_LEAVE
} ngx_sf_listen_move_e;


static void ngx_sf_listen_tick_handler(ngx_event_t *ev);
static void ngx_sf_listen_hold(ngx_sf_listen_t *l);
static void ngx_sf_listen_hold_handler(ngx_event_t *ev);

static void ngx_sf_listen_elect(ngx_sf_listen_t *l);
static void ngx_sf_listen_move(ngx_sf_listen_t *l, ngx_sf_listen_move_e move,
    ngx_uint_t slot);
static ngx_sf_listen_move_e ngx_sf_listen_stand(ngx_sf_listen_t *l,
    ngx_uint_t vacant, ngx_uint_t open);
static ngx_sf_listen_move_e ngx_sf_listen_serve(ngx_sf_listen_t *l);
static ngx_sf_listen_move_e ngx_sf_listen_wait(ngx_sf_listen_t *l,
    ngx_uint_t vacant);
static void ngx_sf_listen_claim(ngx_sf_listen_t *l, ngx_uint_t inherits);
static void ngx_sf_listen_leave(ngx_sf_listen_t *l);
static ngx_uint_t ngx_sf_listen_gone(ngx_sf_listen_t *l, ngx_pid_t pid);
static ngx_uint_t ngx_sf_listen_tired(ngx_sf_listen_t *l);

static void ngx_sf_listen_begin(ngx_sf_listen_t *l);
static void ngx_sf_listen_inherit(ngx_sf_listen_t *l);


static const ngx_sf_listen_reports_t  ngx_sf_listen_reports = {
    /* said */     ngx_sf_listen_elect,
    /* exiting */  ngx_sf_listen_hold,
    /* lost */     ngx_sf_listen_leave
};


ngx_sf_listen_t *
ngx_sf_listen_create(ngx_cycle_t *cycle, ngx_sf_zone_t *zone,
    ngx_sf_source_t *source, const ngx_sf_pg_conf_t *primary,
    ngx_sf_pg_pool_t *pool, ngx_uint_t first_id)
{
    ngx_sf_listen_t  *l;

    l = ngx_pcalloc(cycle->pool, sizeof(ngx_sf_listen_t));
    if (l == NULL) {
        return NULL;
    }

    l->reports = &ngx_sf_listen_reports;
    l->primary = primary;
    l->nspname = (char *) primary->schema.data;

    ngx_sf_listen_conn_prepare(cycle, l, first_id);

    l->zone = zone;
    l->source = source;
    l->index = source - zone->sh->sources;
    l->pool = pool;
    l->direct = pool->conf != primary;
    l->log = cycle->log;

    l->tick.handler = ngx_sf_listen_tick_handler;
    l->tick.data = l;
    l->tick.log = cycle->log;
    l->tick.cancelable = 1;

    l->hold.handler = ngx_sf_listen_hold_handler;
    l->hold.data = l;
    l->hold.log = cycle->log;

    /* the owner of an older generation is told to exit before long */

    ngx_add_timer(&l->tick, 1 + ngx_random() % NGX_SF_LISTEN_POLL);

    return l;
}


void
ngx_sf_listen_destroy(ngx_sf_listen_t *l)
{
    ngx_sf_listen_leave(l);

    ngx_del_timer(&l->tick);

    if (l->mend.timer_set) {
        ngx_del_timer(&l->mend);
    }

    ngx_sf_listen_look_destroy(l);
}


void
ngx_sf_listen_nudge(ngx_sf_listen_t *l)
{
    ngx_sf_listen_elect(l);

    if (l->state == NGX_SF_LISTEN_CHECKING || l->state == NGX_SF_LISTEN_UP) {
        l->nudged = 1;
        ngx_sf_listen_conn_next(l);
    }
}


static void
ngx_sf_listen_tick_handler(ngx_event_t *ev)
{
    ngx_sf_listen_t  *l;

    l = ev->data;

    if (ngx_exiting) {
        ngx_sf_listen_hold(l);
    }

    ngx_sf_listen_elect(l);
    ngx_sf_listen_conn_next(l);
    ngx_sf_listen_conn_arm(l);
}


/* a worker that has nothing else to do exits when this timer is gone */

static void
ngx_sf_listen_hold_handler(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_EVENT, ev->log, 0,
                   "softfactory listener waited in vain for a candidate");
}


/* an exiting worker stays for a moment, if it is the owner */

static void
ngx_sf_listen_hold(ngx_sf_listen_t *l)
{
    ngx_msec_int_t  left;

    if (l->exiting == 0) {
        l->exiting = ngx_current_msec;
    }

    left = l->exiting + NGX_SF_LISTEN_HOLD - ngx_current_msec;

    if (left <= 0 || l->hold.timer_set
        || (l->state != NGX_SF_LISTEN_CHECKING
            && l->state != NGX_SF_LISTEN_UP)
        || l->source->owner != ngx_pid
        || ngx_sf_listen_gone(l, l->source->candidate))
    {
        return;
    }

    ngx_add_timer(&l->hold, left);
}


/* a look at the owner and the candidate; the state may be another after it */

static void
ngx_sf_listen_elect(ngx_sf_listen_t *l)
{
    ngx_pid_t              owner, candidate;
    ngx_uint_t             vacant, open, slot;
    ngx_sf_source_t       *source;
    ngx_sf_listen_move_e   move;

    source = l->source;

    /*
     * Which of them is alive is found out without the mutex.  If another one
     * is in the place when it is held, the next tick will see.
     */

    owner = source->owner;
    candidate = source->candidate;

    vacant = ngx_sf_listen_gone(l, owner)
             || (ngx_msec_int_t) (ngx_current_msec - source->seen)
                > NGX_SF_LISTEN_STOPPED;
    open = ngx_sf_listen_gone(l, candidate);

    if (l->state == NGX_SF_LISTEN_IDLE && !vacant
        && (!open || source->owner_generation >= l->zone->generation))
    {
        return;
    }

    if (!ngx_sf_zone_lock(l->zone)) {
        return;
    }

    slot = source->owner_slot;

    if (source->owner != owner || source->candidate != candidate) {
        move = NGX_SF_LISTEN_STAY;

    } else if (l->state == NGX_SF_LISTEN_IDLE) {
        move = ngx_sf_listen_stand(l, vacant, open);

    } else if (owner == ngx_pid) {
        move = ngx_sf_listen_serve(l);

    } else if (candidate == ngx_pid) {
        move = ngx_sf_listen_wait(l, vacant);

    } else {
        move = NGX_SF_LISTEN_LEAVE;
    }

    if (move == NGX_SF_LISTEN_LEAVE) {
        ngx_sf_listen_lease_yield(l);
    }

    ngx_sf_zone_unlock(l->zone);

    ngx_sf_listen_move(l, move, slot);
}


static void
ngx_sf_listen_move(ngx_sf_listen_t *l, ngx_sf_listen_move_e move,
    ngx_uint_t slot)
{
    switch (move) {

    case NGX_SF_LISTEN_START:
        ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_CONNECTING);
        ngx_sf_listen_conn_next(l);
        break;

    case NGX_SF_LISTEN_ASK:
        ngx_sf_wake_slot(l->zone, slot, NGX_SF_WAKE_LISTENER);
        break;

    case NGX_SF_LISTEN_BEGIN:
        ngx_sf_listen_begin(l);
        break;

    case NGX_SF_LISTEN_INHERIT:
        ngx_sf_wake_slot(l->zone, slot, NGX_SF_WAKE_LISTENER);
        ngx_sf_listen_inherit(l);
        break;

    case NGX_SF_LISTEN_LEAVE:
        ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_IDLE);
        break;

    default: /* NGX_SF_LISTEN_STAY */
        break;
    }
}


/* the next four are called under the mutex */

static ngx_sf_listen_move_e
ngx_sf_listen_stand(ngx_sf_listen_t *l, ngx_uint_t vacant, ngx_uint_t open)
{
    ngx_sf_source_t  *source;

    source = l->source;

    if (ngx_exiting || l->zone->slot == NULL
        || (ngx_msec_int_t) (l->rest - ngx_current_msec) > 0)
    {
        return NGX_SF_LISTEN_STAY;
    }

    if (vacant) {
        ngx_sf_listen_claim(l, 0);
        return NGX_SF_LISTEN_START;
    }

    if (open && source->owner_generation < l->zone->generation) {
        source->candidate = ngx_pid;
        return NGX_SF_LISTEN_START;
    }

    return NGX_SF_LISTEN_STAY;
}


static ngx_sf_listen_move_e
ngx_sf_listen_serve(ngx_sf_listen_t *l)
{
    l->source->seen = ngx_current_msec;

    if (l->state == NGX_SF_LISTEN_LISTENING) {
        return NGX_SF_LISTEN_BEGIN;
    }

    return ngx_sf_listen_tired(l) ? NGX_SF_LISTEN_LEAVE : NGX_SF_LISTEN_STAY;
}


static ngx_sf_listen_move_e
ngx_sf_listen_wait(ngx_sf_listen_t *l, ngx_uint_t vacant)
{
    ngx_msec_int_t    gap;
    ngx_sf_source_t  *source;

    source = l->source;

    if (ngx_exiting || ngx_sf_listen_tired(l)) {
        return NGX_SF_LISTEN_LEAVE;
    }

    if (vacant) {
        ngx_sf_listen_claim(l, 0);

        return l->state == NGX_SF_LISTEN_LISTENING ? NGX_SF_LISTEN_BEGIN
                                                   : NGX_SF_LISTEN_STAY;
    }

    if (source->owner_generation >= l->zone->generation) {
        return NGX_SF_LISTEN_LEAVE;
    }

    if (l->state != NGX_SF_LISTEN_LISTENING) {
        return NGX_SF_LISTEN_STAY;
    }

    gap = l->listening - source->confirmed;

    if (gap >= 0 && ngx_current_msec - l->listening < NGX_SF_LISTEN_WAIT) {
        return NGX_SF_LISTEN_ASK;
    }

    /*
     * A new configuration may also name another server, and the owner may have
     * come to listen to the open channel meanwhile.
     */

    if (gap >= 0 || source->listened != l->server
        || (source->open && !l->opened))
    {
        ngx_sf_listen_claim(l, 0);
        return NGX_SF_LISTEN_BEGIN;
    }

    ngx_sf_listen_claim(l, 1);

    return NGX_SF_LISTEN_INHERIT;
}


/*
 * What the last look has found goes on from owner to owner, so that the next
 * one is compared with it; which tables are covered, only without a gap.
 */

static void
ngx_sf_listen_claim(ngx_sf_listen_t *l, ngx_uint_t inherits)
{
    ngx_sf_source_t  *source;

    source = l->source;

    source->owner = ngx_pid;
    source->owner_generation = l->zone->generation;
    source->owner_slot = l->zone->nslot;
    source->seen = ngx_current_msec;

    if (!inherits) {
        ngx_memzero(&source->schema.covered, sizeof(ngx_sf_set_t));
        ngx_memzero((void *) source->covered, sizeof(source->covered));
    }

    if (source->candidate == ngx_pid) {
        source->candidate = 0;
    }

    l->schema = source->schema;

    /* what was in doubt is, until the queue is seen to have room */

    if (source->doubted) {
        l->full = 1;
        l->silent = 1;
    }
}


/*
 * Gives up the place, and the connection.  When the mutex cannot be had, a pid
 * that is gone gives the place up, too.
 */

static void
ngx_sf_listen_leave(ngx_sf_listen_t *l)
{
    if (ngx_sf_zone_lock(l->zone)) {
        ngx_sf_listen_lease_yield(l);
        ngx_sf_zone_unlock(l->zone);
    }

    ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_IDLE);
}


/* a pid of our own that this process does not know of is an old one's */

static ngx_uint_t
ngx_sf_listen_gone(ngx_sf_listen_t *l, ngx_pid_t pid)
{
    if (pid == 0 || (pid == ngx_pid && l->state == NGX_SF_LISTEN_IDLE)) {
        return 1;
    }

    return !ngx_sf_alive(pid);
}


/* nothing is heard here: others may have more luck, and more time */

static ngx_uint_t
ngx_sf_listen_tired(ngx_sf_listen_t *l)
{
    if (l->state != NGX_SF_LISTEN_CONNECTING) {
        return 0;
    }

    if (!ngx_exiting
        && ngx_current_msec - l->since < NGX_SF_LISTEN_PATIENCE)
    {
        return 0;
    }

    l->rest = ngx_current_msec + NGX_SF_LISTEN_REST
              + ngx_random() % NGX_SF_LISTEN_REST;

    return 1;
}


/*
 * The owner listens: what was committed before has not been heard.  The epoch
 * moves when the first look is over; until then there is no new lease.
 */

static void
ngx_sf_listen_begin(ngx_sf_listen_t *l)
{
    ngx_memzero(&l->schema.covered, sizeof(ngx_sf_set_t));

    ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                  "softfactory upstream \"%V\": listening on %V",
                  &l->primary->name,
                  ngx_sf_pg_server_name(l->pool, l->server));

    ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_CHECKING);
    ngx_sf_listen_conn_next(l);
}


/* the lease is still the old owner's, and good */

static void
ngx_sf_listen_inherit(ngx_sf_listen_t *l)
{
    ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                  "softfactory upstream \"%V\": listening on %V, taken over",
                  &l->primary->name,
                  ngx_sf_pg_server_name(l->pool, l->server));

    l->step = NGX_SF_LISTEN_SAY;
    ngx_sf_listen_look_inherit(l);
    l->creators = l->source->creators;

    ngx_sf_listen_conn_set_state(l, NGX_SF_LISTEN_UP);
    ngx_sf_listen_conn_next(l);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Datagrams between workers, over real sockets: which worker is told when a
 * response is there, is given up, or when its maker has died.
 *
 *     unit-with: -It/tools t/tools/workers.c
 */


#include "workers.h"
#include "unit.h"

#include <sys/un.h>


#define TEST_SIZE         NGX_SF_ZONE_MIN
#define TEST_CONNECTIONS  8
#define TEST_HASHES       256


/* a worker, and what it has been told */

typedef struct {
    ngx_sf_zone_t    *zone;
    uint64_t          hashes[TEST_HASHES];
    ngx_uint_t        n;
} test_worker_t;


static ngx_connection_t  test_connections[TEST_CONNECTIONS];
static ngx_event_t       test_events[2 * TEST_CONNECTIONS];
static ngx_uint_t        test_added;

static ngx_shm_zone_t   *test_shm;
static test_worker_t     test_one, test_two, test_three;


static ngx_int_t
test_add_event(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    test_added += event == NGX_READ_EVENT && ev->handler;

    return NGX_OK;
}


/* as much of nginx's events as ngx_get_connection() needs */

static void
test_events_init(void)
{
    ngx_uint_t    i;
    ngx_cycle_t  *cycle;

    cycle = (ngx_cycle_t *) ngx_cycle;

    for (i = 0; i < TEST_CONNECTIONS; i++) {
        test_connections[i].read = &test_events[2 * i];
        test_connections[i].write = &test_events[2 * i + 1];
        test_connections[i].fd = (ngx_socket_t) -1;
        test_connections[i].data = i + 1 < TEST_CONNECTIONS
                                   ? &test_connections[i + 1] : NULL;
    }

    cycle->connections = test_connections;
    cycle->connection_n = TEST_CONNECTIONS;
    cycle->free_connections = test_connections;
    cycle->free_connection_n = TEST_CONNECTIONS;
    ngx_queue_init(&cycle->reusable_connections_queue);

    ngx_event_actions.add = test_add_event;
}


static void
test_woken(void *data, uint64_t hash)
{
    test_worker_t  *w = data;

    if (w->n < TEST_HASHES) {
        w->hashes[w->n++] = hash;
    }
}


static void
test_start(test_worker_t *w)
{
    w->n = 0;
    w->zone = workers_start(test_shm, workers_spawn());
    w->zone->woken = test_woken;
    w->zone->data = w;

    if (ngx_sf_wake_open(w->zone, &unit_log) != NGX_OK) {
        printf("Bail out! no socket\n");
        exit(2);
    }
}


/* what has come since: number of datagrams */

static ngx_uint_t
test_told(test_worker_t *w)
{
    ngx_event_t  *rev;

    w->n = 0;
    rev = w->zone->wake->read;
    rev->handler(rev);

    return w->n;
}


static void
test_bit(uint64_t *slots, test_worker_t *w)
{
    slots[w->zone->nslot / 64] |= (uint64_t) 1 << w->zone->nslot % 64;
}


static void
test_begin(void)
{
    test_shm = workers_zone(TEST_SIZE);
    test_added = 0;

    test_start(&test_one);
    test_start(&test_two);
    test_start(&test_three);
}


static void
test_stop(test_worker_t *w)
{
    if (w->zone) {
        (void) workers_turn(w->zone);
        ngx_sf_wake_close(w->zone);
        workers_kill(ngx_pid);
    }
}


static void
test_end(void)
{
    test_stop(&test_one);
    test_stop(&test_two);
    test_stop(&test_three);

    workers_zone_free(test_shm);
}


static void
test_sockets(void)
{
    uint64_t       slots[NGX_SF_SLOT_WORDS];
    ngx_uint_t     i, n;
    ngx_sf_slot_t  kept;

    test_begin();

    unit_ok(test_added == 3 && test_one.zone->slot->name_len > 1
            && test_one.zone->slot->name[0] == '\0'
            && (test_one.zone->slot->name_len
                != test_two.zone->slot->name_len
                || ngx_memcmp(test_one.zone->slot->name,
                              test_two.zone->slot->name,
                              test_one.zone->slot->name_len) != 0),
            "each has a name of its own, in no folder");

    unit_ok(test_told(&test_one) == 0, "at first nobody is told anything");

    ngx_sf_wake_slot(test_one.zone, test_two.zone->nslot, 42);
    unit_ok(test_told(&test_two) == 1 && test_two.hashes[0] == 42
            && test_told(&test_one) == 0 && test_told(&test_three) == 0,
            "one is told");
    ngx_sf_wake_slot(test_one.zone, test_one.zone->nslot, 43);
    unit_ok(test_told(&test_one) == 1 && test_one.hashes[0] == 43,
            "one may tell itself");

    ngx_memzero(slots, sizeof(slots));
    test_bit(slots, &test_two);
    test_bit(slots, &test_three);
    ngx_sf_wake(test_one.zone, slots, 44);
    unit_ok(test_told(&test_one) == 0 && test_told(&test_two) == 1
            && test_told(&test_three) == 1 && test_three.hashes[0] == 44,
            "two are told");

    ngx_memset(slots, 0xff, sizeof(slots));
    ngx_sf_wake(test_two.zone, slots, 45);
    unit_ok(test_told(&test_one) == 1 && test_told(&test_two) == 1
            && test_told(&test_three) == 1, "all are told, and nobody else");

    /* the receiver takes what there is, in turns */

    for (i = 0; i < 9; i++) {
        ngx_sf_wake_slot(test_one.zone, test_two.zone->nslot, 100 + i);
    }

    unit_ok(test_told(&test_two) == 9 && test_two.hashes[8] == 108,
            "what has come at once is read at once");

    /* a queue that is full, a name that is wrong, a slot of nobody */

    for (i = 0; i < 5000; i++) {
        ngx_sf_wake_slot(test_one.zone, test_two.zone->nslot, 7);
    }

    for (i = 0, n = 1; n; i += n) {
        n = test_told(&test_two);
    }

    unit_ok(i >= 1, "a receiver that does not listen stops nobody");

    kept = *test_two.zone->slot;
    test_two.zone->slot->name_len = sizeof(kept.name) + 1;
    ngx_sf_wake_slot(test_one.zone, test_two.zone->nslot, 7);
    test_two.zone->slot->name_len = 0;
    ngx_sf_wake_slot(test_one.zone, test_two.zone->nslot, 7);
    test_two.zone->slot->name_len = kept.name_len;
    test_two.zone->slot->name[1] ^= 0xff;
    ngx_sf_wake_slot(test_one.zone, test_two.zone->nslot, 7);
    test_two.zone->slot->name[1] ^= 0xff;
    ngx_sf_wake_slot(test_one.zone, NGX_SF_SLOTS - 1, 7);
    unit_ok(test_told(&test_two) == 0, "wrong names are those of nobody");

    test_end();
}


/* sends what a stranger may, to the second: what sendto() says */

static ssize_t
test_send(const void *data, size_t len)
{
    int                  s;
    ssize_t              n;
    socklen_t            size;
    ngx_sf_slot_t       *slot;
    struct sockaddr_un   sun;

    slot = test_two.zone->slot;
    s = socket(AF_UNIX, SOCK_DGRAM|SOCK_NONBLOCK, 0);

    ngx_memzero(&sun, sizeof(sun));
    sun.sun_family = AF_UNIX;
    ngx_memcpy(sun.sun_path, slot->name, slot->name_len);
    size = offsetof(struct sockaddr_un, sun_path) + slot->name_len;

    n = sendto(s, data, len, 0, (struct sockaddr *) &sun, size);
    close(s);

    return n;
}


/* how many datagrams wait at the second: they are taken away */

static ngx_uint_t
test_waiting(void)
{
    char        buf[64];
    ngx_uint_t  n;

    for (n = 0;
         recv(test_two.zone->wake->fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0;
         n++)
    { /* void */ }

    return n;
}


static void
test_strangers(void)
{
    size_t       len;
    uint64_t     data[3];
    ngx_uint_t   i, sent;

    test_begin();

    unit_ok(test_one.zone->slot->secret != test_two.zone->slot->secret,
            "each has a secret of its own");

    /* more than there is room for, of any length, with another's secret */

    data[0] = test_one.zone->slot->secret;
    data[1] = 5;
    data[2] = 0;
    sent = 0;

    for (i = 0; i < 100; i++) {
        for (len = 0; len <= sizeof(data); len += 4) {
            sent += test_send(data, len) == (ssize_t) len;
        }
    }

    unit_ok(sent == 700, "strangers can send what they like");
    unit_ok(test_waiting() == 0, "and nothing of it arrives");

    data[0] = test_two.zone->slot->secret;
    (void) test_send(data, 8);
    (void) test_send(data, 24);
    data[0] ^= (uint64_t) 1 << 63;
    (void) test_send(data, 16);
    data[0] ^= (uint64_t) 1 << 63 | 1;
    (void) test_send(data, 16);
    unit_ok(test_waiting() == 0, "nor with a part of the secret");

    for (i = 0; i < 5000; i++) {
        (void) test_send(data, 16);
    }

    ngx_sf_wake_slot(test_one.zone, test_two.zone->nslot, 5);
    unit_ok(test_told(&test_two) == 1 && test_two.hashes[0] == 5,
            "nothing is in the way of a worker's");

    /* a kernel without filters */

    (void) setsockopt(test_two.zone->wake->fd, SOL_SOCKET, SO_DETACH_FILTER,
                      &i, sizeof(i));

    unit_ok(test_send(data, 16) == 16 && test_send(data, 8) == 8
            && test_send("", 0) == 0 && test_told(&test_two) == 0,
            "the worker looks itself, too");

    data[0] = test_two.zone->slot->secret;
    unit_ok(test_send(data, 24) == 24 && test_told(&test_two) == 0
            && test_send(data, 16) == 16 && test_told(&test_two) == 1,
            "and at the length");

    /* one after the other has had the slot */

    data[1] = test_two.zone->slot->secret;
    (void) workers_turn(test_two.zone);
    ngx_sf_wake_close(test_two.zone);
    ngx_sf_zone_leave(test_two.zone);
    test_start(&test_two);
    unit_ok(test_two.zone->slot->secret != data[1],
            "the next one has another secret");

    test_end();
}


typedef struct {
    ngx_sf_key_t      key;
    ngx_sf_fresh_t    fresh;
    ngx_sf_stamp_t    stamp;
    ngx_sf_found_t    found;
} test_fill_t;


static ngx_int_t
test_ask(test_fill_t *f, test_worker_t *w, const char *text)
{
    u_char         identity[16];
    ngx_sf_tags_t  tags;

    (void) workers_turn(w->zone);

    ngx_memset(identity, 7, sizeof(identity));
    ngx_memzero(&f->fresh, sizeof(ngx_sf_fresh_t));
    f->fresh.source = ngx_sf_zone_source(w->zone, identity);
    f->fresh.now = 1000000;

    f->key.data = (u_char *) text;
    f->key.len = strlen(text);
    ngx_sf_cache_hash(&f->key, ngx_sf_zone_seed(w->zone));

    (void) ngx_sf_tags_compile("users", &tags);
    ngx_sf_stamp_read(w->zone, 0, &tags, 0, 0, &f->stamp);

    return ngx_sf_cache_claim(w->zone, &f->key, &f->fresh, &f->stamp, 1000,
                              &f->found);
}


static void
test_cache(void)
{
    test_fill_t        one, two, three;
    ngx_sf_content_t   response;

    test_begin();
    ngx_memzero(&response, sizeof(response));
    response.stamp = &one.stamp;
    response.data = (u_char *) "x";
    response.len = 1;

    /* stored */

    (void) test_ask(&one, &test_one, "key");
    unit_ok(test_ask(&two, &test_two, "key") == NGX_AGAIN
            && test_ask(&two, &test_two, "key") == NGX_AGAIN, "two waits");

    (void) workers_turn(test_one.zone);
    ngx_sf_cache_store(test_one.zone, &one.found.claim, &response, 1);
    unit_ok(test_told(&test_two) == 1 && test_two.hashes[0] == two.key.hash
            && test_told(&test_one) == 0 && test_told(&test_three) == 0,
            "and is told once, when the response is there");

    /* given up, refused */

    (void) test_ask(&one, &test_one, "given up");
    (void) test_ask(&three, &test_three, "given up");
    (void) workers_turn(test_one.zone);
    ngx_sf_cache_abandon(test_one.zone, &one.found.claim);
    unit_ok(test_told(&test_three) == 1 && test_told(&test_two) == 0,
            "or is given up");

    (void) test_ask(&one, &test_one, "refused");
    (void) test_ask(&three, &test_three, "refused");
    (void) workers_turn(test_one.zone);
    ngx_sf_cache_store(test_one.zone, &one.found.claim, &response, 0);
    unit_ok(test_told(&test_three) == 1, "or is too large");

    /* taken over: by the second, for the third */

    (void) test_ask(&one, &test_one, "taken");
    (void) test_ask(&three, &test_three, "taken");
    ngx_sf_tags_move_all(test_one.zone, 0);
    (void) test_ask(&two, &test_two, "taken");

    (void) workers_turn(test_one.zone);
    ngx_sf_cache_abandon(test_one.zone, &one.found.claim);
    unit_ok(test_told(&test_three) == 0, "not by one that was taken over");

    (void) workers_turn(test_two.zone);
    ngx_sf_cache_abandon(test_two.zone, &two.found.claim);
    unit_ok(test_told(&test_three) == 1
            && test_three.hashes[0] == three.key.hash,
            "but by the one that did that");

    test_end();
}


static void
test_deaths(void)
{
    test_fill_t  one, two;

    test_begin();

    /* buried by the next one */

    (void) test_ask(&one, &test_one, "dead");
    (void) test_ask(&two, &test_two, "dead");

    (void) workers_turn(test_one.zone);
    ngx_sf_wake_close(test_one.zone);
    workers_kill(ngx_pid);
    test_one.zone = NULL;

    test_start(&test_one);
    (void) test_told(&test_two);
    unit_ok(test_ask(&two, &test_two, "dead") == NGX_DECLINED
            && two.found.claim.node, "one that waited for a dead one need not");

    /* one that exits has one */

    (void) test_ask(&one, &test_three, "gone");
    (void) test_ask(&two, &test_two, "gone");
    (void) workers_turn(test_three.zone);
    ngx_sf_zone_leave(test_three.zone);
    unit_ok(test_told(&test_two) == 1 && test_two.hashes[0] == two.key.hash,
            "one that exits tells what waits for it");
    ngx_sf_wake_close(test_three.zone);
    test_three.zone = NULL;

    /* inside the mutex */

    (void) workers_turn(test_one.zone);
    test_one.zone->sh->busy = ngx_pid;
    (void) test_ask(&two, &test_two, "inside");
    unit_ok(test_told(&test_one) == 1
            && test_one.hashes[0] == NGX_SF_WAKE_ALL
            && test_told(&test_two) == 1
            && test_two.hashes[0] == NGX_SF_WAKE_ALL,
            "all are told when the arena is made anew");

    (void) workers_logged(NGX_LOG_NOTICE);
    (void) workers_logged(NGX_LOG_WARN);
    test_end();
}


int
main(void)
{
    unit_init();
    test_events_init();

    test_sockets();
    test_strangers();
    test_cache();
    test_deaths();

    return unit_done();
}

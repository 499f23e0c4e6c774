
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Datagrams from worker to worker.
 *
 * Each worker binds a socket in the abstract namespace, under a name that the
 * kernel chooses, and leaves the name in its slot of the zone.  A datagram is
 * a hint and nothing else: it says that something has changed under a hash,
 * the receiver looks for itself.  It may get lost; a flight that waits has a
 * deadline.
 *
 * Any process on the machine finds the names, and may send there.  So a
 * datagram begins with a secret of the socket that it goes to, which is in the
 * zone as well, and the kernel drops any other in the time of its sender: the
 * worker does not wake up, and there is always room for one that counts.  One
 * secret for all sockets would be told to a process that takes the name of a
 * worker that has died; with this one it can reach itself.
 *
 * (unix(7), autobind feature; the kernel's networking/filter.rst.)
 */


#include "ngx_sf_shm.h"

#include <linux/filter.h>
#include <sys/random.h>
#include <sys/un.h>


#define NGX_SF_WAKE_BATCH  64     /* datagrams of one turn */


typedef struct {
    uint64_t                    secret;   /* of the receiver */
    uint64_t                    hash;
} ngx_sf_wake_t;


static ngx_int_t ngx_sf_wake_guard(ngx_sf_zone_t *zone, ngx_socket_t s,
    ngx_log_t *log);
static ngx_int_t ngx_sf_wake_bind(ngx_sf_zone_t *zone, ngx_socket_t s);
static void ngx_sf_wake_handler(ngx_event_t *rev);


ngx_int_t
ngx_sf_wake_open(ngx_sf_zone_t *zone, ngx_log_t *log)
{
    ngx_socket_t       s;
    ngx_connection_t  *c;

    s = socket(AF_UNIX, SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (s == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return NGX_ERROR;
    }

    c = NULL;

    if (ngx_sf_wake_guard(zone, s, log) == NGX_OK
        && ngx_sf_wake_bind(zone, s) == NGX_OK)
    {
        c = ngx_get_connection(s, log);
    }

    if (c == NULL) {
        (void) ngx_close_socket(s);
        return NGX_ERROR;
    }

    c->data = zone;
    c->read->handler = ngx_sf_wake_handler;
    c->read->log = log;
    c->write->log = log;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    zone->wake = c;

    return NGX_OK;
}


/*
 * Before there is a name, so that nothing can have come.  The handler looks at
 * the secret as well: a kernel that takes no filters costs what strangers send,
 * and nothing else.  The filter sees words of the network's order.
 */

static ngx_int_t
ngx_sf_wake_guard(ngx_sf_zone_t *zone, ngx_socket_t s, ngx_log_t *log)
{
    uint32_t            words[2];
    uint64_t            secret;
    struct sock_fprog   program;
    struct sock_filter  filter[] = {
        BPF_STMT(BPF_LD|BPF_W|BPF_LEN, 0),
        BPF_JUMP(BPF_JMP|BPF_JEQ|BPF_K, sizeof(ngx_sf_wake_t), 0, 5),
        BPF_STMT(BPF_LD|BPF_W|BPF_ABS, offsetof(ngx_sf_wake_t, secret)),
        BPF_JUMP(BPF_JMP|BPF_JEQ|BPF_K, 0, 0, 3),
        BPF_STMT(BPF_LD|BPF_W|BPF_ABS, offsetof(ngx_sf_wake_t, secret) + 4),
        BPF_JUMP(BPF_JMP|BPF_JEQ|BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET|BPF_K, sizeof(ngx_sf_wake_t)),
        BPF_STMT(BPF_RET|BPF_K, 0)
    };

    if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret)) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno, "getrandom() failed");
        return NGX_ERROR;
    }

    ngx_memcpy(words, &secret, sizeof(secret));

    filter[3].k = ntohl(words[0]);
    filter[5].k = ntohl(words[1]);

    program.len = sizeof(filter) / sizeof(filter[0]);
    program.filter = filter;

    if (setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &program,
                   sizeof(program))
        == -1)
    {
        ngx_log_error(NGX_LOG_NOTICE, log, ngx_socket_errno,
                      "setsockopt(SO_ATTACH_FILTER) of a datagram socket "
                      "failed, ignored");
    }

    ngx_shmtx_lock(&zone->shpool->mutex);
    zone->slot->secret = secret;
    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


static ngx_int_t
ngx_sf_wake_bind(ngx_sf_zone_t *zone, ngx_socket_t s)
{
    socklen_t           len;
    ngx_sf_slot_t      *slot;
    struct sockaddr_un  sun;

    ngx_memzero(&sun, sizeof(sun));
    sun.sun_family = AF_UNIX;

    if (bind(s, (struct sockaddr *) &sun, sizeof(sa_family_t)) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_socket_errno,
                      "bind() of a datagram socket failed");
        return NGX_ERROR;
    }

    len = sizeof(sun);

    if (getsockname(s, (struct sockaddr *) &sun, &len) == -1
        || len <= offsetof(struct sockaddr_un, sun_path)
        || len - offsetof(struct sockaddr_un, sun_path)
           > sizeof(zone->slot->name))
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_socket_errno,
                      "getsockname() of a datagram socket failed");
        return NGX_ERROR;
    }

    slot = zone->slot;

    ngx_shmtx_lock(&zone->shpool->mutex);

    slot->name_len = len - offsetof(struct sockaddr_un, sun_path);
    ngx_memcpy(slot->name, sun.sun_path, slot->name_len);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


void
ngx_sf_wake_close(ngx_sf_zone_t *zone)
{
    if (zone->wake) {
        ngx_close_connection(zone->wake);
        zone->wake = NULL;
    }
}


static void
ngx_sf_wake_handler(ngx_event_t *rev)
{
    ssize_t            n;
    ngx_uint_t         i;
    ngx_sf_wake_t      wake;
    ngx_sf_zone_t     *zone;
    ngx_connection_t  *c;

    c = rev->data;
    zone = c->data;

    for (i = 0; i < NGX_SF_WAKE_BATCH; i++) {
        n = recv(c->fd, &wake, sizeof(wake), MSG_TRUNC);

        if (n == -1) {
            return;
        }

        if (n == sizeof(wake) && wake.secret == zone->slot->secret) {
            zone->woken(zone->data, wake.hash);
        }
    }
}


void
ngx_sf_wake(ngx_sf_zone_t *zone, const uint64_t *slots, uint64_t hash)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_SLOTS; i++) {
        if (slots[i / 64] & ((uint64_t) 1 << i % 64)) {
            ngx_sf_wake_slot(zone, i, hash);
        }
    }
}


/*
 * The name and the secret are read without the mutex: torn ones are those of
 * nobody, and a flight that waits there has a deadline.
 */

void
ngx_sf_wake_slot(ngx_sf_zone_t *zone, ngx_uint_t n, uint64_t hash)
{
    size_t              len;
    ngx_sf_slot_t      *slot;
    ngx_sf_wake_t       wake;
    struct sockaddr_un  sun;

    slot = &zone->sh->slots[n];
    len = slot->name_len;

    if (zone->wake == NULL || slot->pid == 0 || len == 0
        || len > sizeof(slot->name))
    {
        return;
    }

    ngx_memzero(&sun, sizeof(sun));
    sun.sun_family = AF_UNIX;
    ngx_memcpy(sun.sun_path, slot->name, len);

    wake.secret = slot->secret;
    wake.hash = hash;

    if (sendto(zone->wake->fd, &wake, sizeof(wake), MSG_DONTWAIT,
               (struct sockaddr *) &sun,
               offsetof(struct sockaddr_un, sun_path) + len)
        == -1)
    {
        ngx_log_debug1(NGX_LOG_DEBUG_EVENT, zone->wake->log, ngx_socket_errno,
                       "softfactory wake of slot %ui failed", n);
    }
}

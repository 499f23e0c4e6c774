
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Datagrams from worker to worker.
 *
 * Each worker binds a socket in the abstract namespace, under a name that the
 * kernel chooses, and leaves the name in its slot of the zone.  A datagram is
 * a hint and nothing else: it says that something has changed under a hash,
 * the receiver looks for itself.  It may get lost; whoever waits has a
 * deadline.  So a datagram from a stranger does no harm either.
 *
 * (unix(7), autobind feature.)
 */


#include "ngx_sf_shm.h"

#include <sys/un.h>


#define NGX_SF_WAKE_BATCH  64     /* datagrams of one turn */


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

    if (ngx_sf_wake_bind(zone, s) == NGX_OK) {
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
    uint64_t           hash;
    ngx_uint_t         i;
    ngx_sf_zone_t     *zone;
    ngx_connection_t  *c;

    c = rev->data;
    zone = c->data;

    for (i = 0; i < NGX_SF_WAKE_BATCH; i++) {
        n = recv(c->fd, &hash, sizeof(hash), 0);

        if (n == -1) {
            return;
        }

        if (n == sizeof(hash)) {
            zone->woken(zone->data, hash);
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
 * The name is read without the mutex: a torn one is the name of nobody, and
 * who waits there has a deadline.
 */

void
ngx_sf_wake_slot(ngx_sf_zone_t *zone, ngx_uint_t n, uint64_t hash)
{
    size_t              len;
    ngx_sf_slot_t      *slot;
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

    if (sendto(zone->wake->fd, &hash, sizeof(hash), MSG_DONTWAIT,
               (struct sockaddr *) &sun,
               offsetof(struct sockaddr_un, sun_path) + len)
        == -1)
    {
        ngx_log_debug1(NGX_LOG_DEBUG_EVENT, zone->wake->log, ngx_socket_errno,
                       "softfactory wake of slot %ui failed", n);
    }
}

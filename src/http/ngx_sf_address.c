
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Clients by their address, and how often each may fail.
 *
 * A signature of a public key costs tens of microseconds, and anybody can send
 * one that is wrong, so each address has a bucket: 16 failures at once, and one
 * more each second.  When it is empty, tokens that this worker does not know
 * are refused from that address without a look at their signature.  Those that
 * it has verified before are not asked for here, so neighbours behind one
 * address who are logged in do not notice, until a file of keys changes; then,
 * and for a new login, they may have to try again.
 *
 * What this does not bound: clients with many addresses, of which each has a
 * bucket, in each worker; tokens that are refused before their signature, and
 * those by a secret, which cost a microsecond.  limit_req is for these.
 *
 * A bucket is the time at which it will be full again.  Of four places that an
 * address may have the one makes room that is full soonest, so a table that is
 * too small forgets failures, and never counts them for somebody else.
 */


#include "ngx_sf_http.h"


#define NGX_SF_ADDRESS_SIZE     1024      /* buckets, a power of two */
#define NGX_SF_ADDRESS_WAYS     4
#define NGX_SF_ADDRESS_MIX      0x9e3779b97f4a7c15ULL

#define NGX_SF_ADDRESS_FAILURES 16
#define NGX_SF_ADDRESS_REFILL   1000      /* ms for each */


typedef struct {
    uint64_t                    address;
    ngx_msec_t                  full;     /* in the past: it is */
} ngx_sf_bucket_t;


struct ngx_sf_buckets_s {
    ngx_sf_bucket_t             buckets[NGX_SF_ADDRESS_SIZE];
};


static ngx_sf_bucket_t *ngx_sf_address_find(ngx_sf_buckets_t *buckets,
    uint64_t address);
static ngx_msec_int_t ngx_sf_address_lack(const ngx_sf_bucket_t *bucket,
    ngx_msec_t now);


/* IPv6 addresses below one prefix of 64 bits are one client's to choose */

uint64_t
ngx_sf_address(const struct sockaddr *sa)
{
    uint32_t                    address;
    const struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    uint64_t                    prefix;
    const struct sockaddr_in6  *sin6;
#endif

    address = 0;

    if (sa->sa_family == AF_INET) {
        sin = (const struct sockaddr_in *) sa;
        address = sin->sin_addr.s_addr;
    }

#if (NGX_HAVE_INET6)
    if (sa->sa_family == AF_INET6) {
        sin6 = (const struct sockaddr_in6 *) sa;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            ngx_memcpy(&address, &sin6->sin6_addr.s6_addr[12],
                       sizeof(address));

        } else {
            ngx_memcpy(&prefix, &sin6->sin6_addr, sizeof(prefix));

            if (prefix) {
                return prefix;
            }
        }
    }
#endif

    return (uint64_t) 1 << 63 | address;
}


ngx_sf_buckets_t *
ngx_sf_buckets_create(ngx_cycle_t *cycle)
{
    return ngx_pcalloc(cycle->pool, sizeof(ngx_sf_buckets_t));
}


ngx_int_t
ngx_sf_address_may_fail(ngx_sf_buckets_t *buckets, uint64_t address,
    ngx_msec_t now)
{
    ngx_sf_bucket_t  *bucket;

    bucket = ngx_sf_address_find(buckets, address);

    return bucket->address != address
           || ngx_sf_address_lack(bucket, now)
              <= (NGX_SF_ADDRESS_FAILURES - 1) * NGX_SF_ADDRESS_REFILL
           ? NGX_OK : NGX_BUSY;
}


void
ngx_sf_address_failed(ngx_sf_buckets_t *buckets, uint64_t address,
    ngx_msec_t now)
{
    ngx_msec_int_t    lack;
    ngx_sf_bucket_t  *bucket;

    bucket = ngx_sf_address_find(buckets, address);

    lack = bucket->address == address ? ngx_sf_address_lack(bucket, now) : 0;

    bucket->address = address;
    bucket->full = now + lack + NGX_SF_ADDRESS_REFILL;
}


/* the bucket of the address, or the one that would be its */

static ngx_sf_bucket_t *
ngx_sf_address_find(ngx_sf_buckets_t *buckets, uint64_t address)
{
    ngx_uint_t        i, place;
    ngx_sf_bucket_t  *bucket, *best;

    place = ngx_sf_mix(address, NGX_SF_ADDRESS_MIX)
            & (NGX_SF_ADDRESS_SIZE - NGX_SF_ADDRESS_WAYS);

    bucket = &buckets->buckets[place];
    best = bucket;

    for (i = 0; i < NGX_SF_ADDRESS_WAYS; i++) {

        if (bucket[i].address == address) {
            return &bucket[i];
        }

        if ((ngx_msec_int_t) (bucket[i].full - best->full) < 0) {
            best = &bucket[i];
        }
    }

    return best;
}


/* ms until it is full */

static ngx_msec_int_t
ngx_sf_address_lack(const ngx_sf_bucket_t *bucket, ngx_msec_t now)
{
    return ngx_max((ngx_msec_int_t) (bucket->full - now), 0);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Tokens: a worker's table of bearer tokens that it has verified.
 *
 * A token is good by what a location trusts, so an entry is found by the whole
 * token, compared byte by byte, and by the identity of that; new secrets mean a
 * new configuration and so a new worker with an empty table, and a file of keys
 * that has changed empties it (ngx_sf_keys.c).  Signature and claims cannot
 * change; time passes, and locations that trust the same may have rules of
 * their own, so the claims are checked on every hit.  Refused tokens are not
 * kept: an attacker has an endless supply.  What an expensive signature costs
 * is bounded in another way, by the client's address (ngx_sf_address.c).
 *
 * The table is bounded twice.  A token may stand in one of two places, and the
 * entry used longer ago makes room.  And all of them may have so many bytes:
 * beyond that a hand goes round the places and takes what was not used since it
 * was there last.
 */


#include "ngx_sf_http.h"


#define NGX_SF_TOKENS_SIZE     16384      /* entries, a power of two */
#define NGX_SF_TOKENS_BYTES    (16 * 1024 * 1024)
#define NGX_SF_TOKENS_MAX_LEN  4096       /* longer ones are always verified */
#define NGX_SF_TOKENS_MIX      0x9e3779b97f4a7c15ULL


typedef struct {
    uint32_t                    hash;
    uint32_t                    len;
    int64_t                     used;     /* seconds */
    int64_t                     seen;     /* used, when the hand was there */
    const ngx_sf_jwt_trust_t   *trust;
    ngx_sf_jwt_claims_t         claims;
    u_char                      token[1]; /* len bytes */
} ngx_sf_token_entry_t;


struct ngx_sf_tokens_s {
    ngx_log_t                  *log;
    ngx_sf_buckets_t           *buckets;
    size_t                      bytes;    /* of all entries */
    ngx_uint_t                  hand;
    ngx_sf_token_entry_t       *entries[NGX_SF_TOKENS_SIZE];
};


static const char *ngx_sf_token_verify(ngx_sf_tokens_t *tokens,
    const ngx_sf_jwt_t *jwt, const ngx_sf_jwt_trust_t *trust,
    const struct sockaddr *sa);
static uint32_t ngx_sf_token_hash(const ngx_str_t *token);
static ngx_sf_token_entry_t *ngx_sf_token_find(ngx_sf_tokens_t *tokens,
    const ngx_str_t *token, uint32_t hash, const ngx_sf_jwt_trust_t *trust);
static void ngx_sf_token_keep(ngx_sf_tokens_t *tokens, const ngx_str_t *token,
    uint32_t hash, const ngx_sf_jwt_trust_t *trust, int64_t now,
    const ngx_sf_jwt_claims_t *claims);
static void ngx_sf_token_room(ngx_sf_tokens_t *tokens, size_t size);
static void ngx_sf_token_drop(ngx_sf_tokens_t *tokens, ngx_uint_t place);


ngx_sf_tokens_t *
ngx_sf_tokens_create(ngx_cycle_t *cycle)
{
    ngx_sf_tokens_t  *tokens;

    tokens = ngx_pcalloc(cycle->pool, sizeof(ngx_sf_tokens_t));
    if (tokens == NULL) {
        return NULL;
    }

    tokens->log = cycle->log;
    tokens->buckets = ngx_sf_buckets_create(cycle);

    return tokens->buckets ? tokens : NULL;
}


void
ngx_sf_tokens_clear(ngx_sf_tokens_t *tokens)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_TOKENS_SIZE; i++) {
        ngx_sf_token_drop(tokens, i);
    }
}


const char *
ngx_sf_token_claims(ngx_sf_tokens_t *tokens, ngx_pool_t *temp,
    const ngx_str_t *token, const ngx_sf_jwt_rules_t *rules, int64_t now,
    const struct sockaddr *sa, ngx_sf_jwt_claims_t *claims)
{
    uint32_t               hash;
    const char            *reason;
    ngx_sf_jwt_t           jwt;
    ngx_sf_token_entry_t  *entry;

    hash = ngx_sf_token_hash(token);
    entry = ngx_sf_token_find(tokens, token, hash, rules->trust);

    if (entry) {
        entry->used = now;
        *claims = entry->claims;

        return ngx_sf_jwt_check(claims, rules, now);
    }

    reason = ngx_sf_jwt_read(temp, token, rules, now, &jwt);

    if (reason == NULL) {
        reason = ngx_sf_token_verify(tokens, &jwt, rules->trust, sa);
    }

    if (reason) {
        return reason;
    }

    *claims = jwt.claims;

    if (token->len <= NGX_SF_TOKENS_MAX_LEN) {
        ngx_sf_token_keep(tokens, token, hash, rules->trust, now, claims);
    }

    return NULL;
}


static const char *
ngx_sf_token_verify(ngx_sf_tokens_t *tokens, const ngx_sf_jwt_t *jwt,
    const ngx_sf_jwt_trust_t *trust, const struct sockaddr *sa)
{
    uint64_t     address;
    const char  *reason;

    if (!ngx_sf_jwt_costly(jwt)) {
        return ngx_sf_jwt_verify(jwt, trust);
    }

    address = ngx_sf_address(sa);

    if (ngx_sf_address_may_fail(tokens->buckets, address, ngx_current_msec)
        != NGX_OK)
    {
        return "too many wrong signatures from its address";
    }

    reason = ngx_sf_jwt_verify(jwt, trust);

    if (reason) {
        ngx_sf_address_failed(tokens->buckets, address, ngx_current_msec);
    }

    return reason;
}


/*
 * The end of a token is that of its signature, which nobody can choose: only
 * those that have been verified are kept.
 */

static uint32_t
ngx_sf_token_hash(const ngx_str_t *token)
{
    uint64_t  word;

    if (token->len < sizeof(word)) {
        return 0;
    }

    ngx_memcpy(&word, token->data + token->len - sizeof(word), sizeof(word));

    return ngx_sf_mix(word, NGX_SF_TOKENS_MIX);
}


static ngx_sf_token_entry_t *
ngx_sf_token_find(ngx_sf_tokens_t *tokens, const ngx_str_t *token,
    uint32_t hash, const ngx_sf_jwt_trust_t *trust)
{
    ngx_uint_t             i, place;
    ngx_sf_token_entry_t  *entry;

    place = hash & (NGX_SF_TOKENS_SIZE - 1);

    for (i = 0; i < 2; i++) {
        entry = tokens->entries[place ^ i];

        if (entry && entry->hash == hash && entry->trust == trust
            && entry->len == token->len
            && ngx_memcmp(entry->token, token->data, token->len) == 0)
        {
            return entry;
        }
    }

    return NULL;
}


static void
ngx_sf_token_keep(ngx_sf_tokens_t *tokens, const ngx_str_t *token,
    uint32_t hash, const ngx_sf_jwt_trust_t *trust, int64_t now,
    const ngx_sf_jwt_claims_t *claims)
{
    size_t                 size;
    ngx_uint_t             place;
    ngx_sf_token_entry_t  *entry, *a, *b;

    size = sizeof(ngx_sf_token_entry_t) + token->len;

    ngx_sf_token_room(tokens, size);

    entry = ngx_alloc(size, tokens->log);
    if (entry == NULL) {
        return;
    }

    entry->hash = hash;
    entry->len = token->len;
    entry->used = now;
    entry->seen = now;
    entry->trust = trust;
    entry->claims = *claims;
    ngx_memcpy(entry->token, token->data, token->len);

    place = hash & (NGX_SF_TOKENS_SIZE - 1);
    a = tokens->entries[place];
    b = tokens->entries[place ^ 1];

    if (a && (b == NULL || b->used < a->used)) {
        place ^= 1;
    }

    ngx_sf_token_drop(tokens, place);

    tokens->entries[place] = entry;
    tokens->bytes += size;
}


/* the second round takes what the first has let pass, so there is an end */

static void
ngx_sf_token_room(ngx_sf_tokens_t *tokens, size_t size)
{
    ngx_sf_token_entry_t  *entry;

    while (tokens->bytes + size > NGX_SF_TOKENS_BYTES) {
        entry = tokens->entries[tokens->hand];

        if (entry && entry->used != entry->seen) {
            entry->seen = entry->used;

        } else {
            ngx_sf_token_drop(tokens, tokens->hand);
        }

        tokens->hand = (tokens->hand + 1) & (NGX_SF_TOKENS_SIZE - 1);
    }
}


static void
ngx_sf_token_drop(ngx_sf_tokens_t *tokens, ngx_uint_t place)
{
    ngx_sf_token_entry_t  *entry;

    entry = tokens->entries[place];

    if (entry) {
        tokens->entries[place] = NULL;
        tokens->bytes -= sizeof(ngx_sf_token_entry_t) + entry->len;
        ngx_free(entry);
    }
}

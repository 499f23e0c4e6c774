
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Tokens: a worker's table of bearer tokens that it has verified.
 *
 * A token is good by the keys of a location, so an entry is found by the
 * whole token, compared byte by byte, and by the identity of the array of
 * keys; new keys mean a new configuration and so a new worker with an empty
 * table.  Signature and claims cannot change; time passes, and locations that
 * share keys may have rules of their own, so the claims are checked on every
 * hit.  Refused tokens are not kept: an attacker has an endless supply.
 *
 * The table is bounded: a token may stand in one of two places, and the entry
 * used longer ago makes room.
 */


#include "ngx_sf_http.h"


#define NGX_SF_TOKENS_SIZE     16384      /* entries, a power of two */
#define NGX_SF_TOKENS_MAX_LEN  1024       /* longer ones are always verified */
#define NGX_SF_TOKENS_MIX      0x9e3779b97f4a7c15ULL


typedef struct {
    uint32_t                    hash;
    uint32_t                    len;
    int64_t                     used;     /* seconds */
    const ngx_array_t          *keys;
    ngx_sf_jwt_claims_t         claims;
    u_char                      token[1]; /* len bytes */
} ngx_sf_token_entry_t;


struct ngx_sf_tokens_s {
    ngx_log_t                  *log;
    ngx_sf_token_entry_t       *entries[NGX_SF_TOKENS_SIZE];
};


static uint32_t ngx_sf_token_hash(const ngx_str_t *token);
static ngx_sf_token_entry_t *ngx_sf_token_find(ngx_sf_tokens_t *tokens,
    const ngx_str_t *token, uint32_t hash, const ngx_array_t *keys);
static void ngx_sf_token_keep(ngx_sf_tokens_t *tokens, const ngx_str_t *token,
    uint32_t hash, const ngx_array_t *keys, int64_t now,
    const ngx_sf_jwt_claims_t *claims);


ngx_sf_tokens_t *
ngx_sf_tokens_create(ngx_cycle_t *cycle)
{
    ngx_sf_tokens_t  *tokens;

    tokens = ngx_pcalloc(cycle->pool, sizeof(ngx_sf_tokens_t));
    if (tokens == NULL) {
        return NULL;
    }

    tokens->log = cycle->log;

    return tokens;
}


void
ngx_sf_tokens_destroy(ngx_sf_tokens_t *tokens)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_TOKENS_SIZE; i++) {
        if (tokens->entries[i]) {
            ngx_free(tokens->entries[i]);
            tokens->entries[i] = NULL;
        }
    }
}


const char *
ngx_sf_token_claims(ngx_sf_tokens_t *tokens, ngx_pool_t *temp,
    const ngx_str_t *token, const ngx_array_t *keys,
    const ngx_sf_jwt_rules_t *rules, int64_t now, ngx_sf_jwt_claims_t *claims)
{
    uint32_t               hash;
    const char            *reason;
    ngx_sf_token_entry_t  *entry;

    if (keys == NULL || keys->nelts == 0) {
        return "no key is configured";
    }

    hash = ngx_sf_token_hash(token);
    entry = ngx_sf_token_find(tokens, token, hash, keys);

    if (entry) {
        entry->used = now;
        *claims = entry->claims;

        return ngx_sf_jwt_check(claims, rules, now);
    }

    reason = ngx_sf_jwt_verify(temp, token, keys->elts, keys->nelts, rules,
                               now, claims);

    if (reason == NULL && token->len <= NGX_SF_TOKENS_MAX_LEN) {
        ngx_sf_token_keep(tokens, token, hash, keys, now, claims);
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
    uint32_t hash, const ngx_array_t *keys)
{
    ngx_uint_t             i, place;
    ngx_sf_token_entry_t  *entry;

    place = hash & (NGX_SF_TOKENS_SIZE - 1);

    for (i = 0; i < 2; i++) {
        entry = tokens->entries[place ^ i];

        if (entry && entry->hash == hash && entry->keys == keys
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
    uint32_t hash, const ngx_array_t *keys, int64_t now,
    const ngx_sf_jwt_claims_t *claims)
{
    ngx_uint_t             place;
    ngx_sf_token_entry_t  *entry, *a, *b;

    entry = ngx_alloc(sizeof(ngx_sf_token_entry_t) + token->len, tokens->log);
    if (entry == NULL) {
        return;
    }

    entry->hash = hash;
    entry->len = token->len;
    entry->used = now;
    entry->keys = keys;
    entry->claims = *claims;
    ngx_memcpy(entry->token, token->data, token->len);

    place = hash & (NGX_SF_TOKENS_SIZE - 1);
    a = tokens->entries[place];
    b = tokens->entries[place ^ 1];

    if (a && (b == NULL || b->used < a->used)) {
        place ^= 1;
        a = b;
    }

    if (a) {
        ngx_free(a);
    }

    tokens->entries[place] = entry;
}

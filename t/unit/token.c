
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The table of verified tokens: what is found in it is the token that was
 * verified, by the keys that it was verified with, for as long as it is good.
 * Tokens are made here, as in jwt.c.
 */


#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ngx_sf_http.h"
#include "unit.h"


#define TEST_NOW       1000
#define TEST_EXP       1000000
#define TEST_SECRET    "test-platform-secret-key"
#define TEST_HEADER    "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define TEST_MANY      40000        /* more than there are places */
#define TEST_MAX_LEN   4096         /* of a token that is kept */
#define TEST_BYTES     (16 * 1024 * 1024)   /* of all of them */
#define TEST_LARGE     6000         /* of 4 KB, more than these */


static ngx_sf_tokens_t   *test_tokens;
static ngx_uint_t         test_known;       /* the last one was not verified */
static ngx_sf_jwt_key_t  *test_key, *test_other_key;
static ngx_sf_jwt_rules_t  test_rules;      /* no leeway, an end if any */
static ngx_sf_jwt_trust_t  *test_keys, *test_same_keys, *test_other_keys;
static ngx_sf_jwt_trust_t  *test_none;


static u_char *
test_base64url(u_char *p, const u_char *data, size_t len)
{
    ngx_str_t  src, dst;

    src.data = (u_char *) data;
    src.len = len;
    dst.data = p;
    ngx_encode_base64url(&dst, &src);

    return p + dst.len;
}


static ngx_str_t
test_token(const char *payload)
{
    u_char     buf[16384], mac[EVP_MAX_MD_SIZE], *p;
    unsigned   len;

    p = test_base64url(buf, (const u_char *) TEST_HEADER,
                       strlen(TEST_HEADER));
    *p++ = '.';
    p = test_base64url(p, (const u_char *) payload, strlen(payload));

    (void) HMAC(EVP_sha256(), TEST_SECRET, strlen(TEST_SECRET), buf, p - buf,
                mac, &len);

    *p++ = '.';
    p = test_base64url(p, mac, len);

    return unit_str((char *) buf, p - buf);
}


static ngx_str_t
test_user(ngx_uint_t user, size_t padding)
{
    char  payload[8192];

    ngx_memzero(payload, sizeof(payload));
    ngx_sprintf((u_char *) payload,
                "{\"type\":\"access\",\"user_id\":%ui,\"exp\":%d,\"x\":\"",
                user, TEST_EXP);
    ngx_memset(payload + strlen(payload), 'x', padding);
    strcat(payload, "\"}");

    return test_token(payload);
}


static ngx_sf_jwt_trust_t *
test_trust(ngx_sf_jwt_key_t *key)
{
    ngx_sf_jwt_key_t    **place;
    ngx_sf_jwt_trust_t   *trust;

    trust = ngx_pcalloc(unit_pool, sizeof(ngx_sf_jwt_trust_t));
    ngx_str_set(&trust->user, "user_id");

    if (key) {
        trust->secrets = ngx_array_create(unit_pool, 1,
                                          sizeof(ngx_sf_jwt_key_t *));
        place = ngx_array_push(trust->secrets);
        *place = key;
    }

    return trust;
}


static const char *
test_ask(const ngx_str_t *token, const ngx_sf_jwt_trust_t *trust, int64_t now,
    int64_t *user)
{
    u_char               *free;
    ngx_pool_t           *temp;
    const char           *reason;
    ngx_sf_jwt_rules_t    rules;
    ngx_sf_jwt_claims_t   claims;

    ngx_memzero(&claims, sizeof(ngx_sf_jwt_claims_t));
    temp = ngx_create_pool(4096, &unit_log);

    rules = test_rules;
    rules.trust = trust;

    /* what is verified is decoded in memory of this pool */

    free = temp->d.last;
    reason = ngx_sf_token_claims(test_tokens, temp, token, &rules, now,
                                 &claims);
    test_known = temp->d.last == free && temp->large == NULL;
    *user = claims.user_id;
    ngx_destroy_pool(temp);

    return reason;
}


static ngx_uint_t
test_good(const ngx_str_t *token, ngx_uint_t user, int64_t now)
{
    int64_t  found;

    return test_ask(token, test_keys, now, &found) == NULL
           && found == (int64_t) user;
}


static void
test_begin(void)
{
    ngx_str_t  secret = ngx_string(TEST_SECRET), other = ngx_string("other");

    test_key = ngx_sf_jwt_key_create(unit_pool, &secret);
    test_other_key = ngx_sf_jwt_key_create(unit_pool, &other);
    test_keys = test_trust(test_key);
    test_same_keys = test_trust(test_key);
    test_other_keys = test_trust(test_other_key);
    test_none = test_trust(NULL);
    test_tokens = ngx_sf_tokens_create((ngx_cycle_t *) ngx_cycle);
}


/* first verified, then found: the results are the same */

static void
test_twice(void)
{
    int64_t      user;
    ngx_str_t    token;
    ngx_uint_t   round;
    const char  *reason;

    token = test_user(7, 0);

    for (round = 1; round <= 2; round++) {
        unit_ok(test_good(&token, 7, TEST_NOW), "it is good, round %u",
                (unsigned) round);

        reason = test_ask(&token, test_other_keys, TEST_NOW, &user);
        unit_ok(reason != NULL, "not by other keys, round %u: %s",
                (unsigned) round, reason ? reason : "good");

        reason = test_ask(&token, test_same_keys, TEST_NOW, &user);
        unit_ok(reason == NULL && user == 7,
                "by the same key in another location, round %u",
                (unsigned) round);

        reason = test_ask(&token, test_none, TEST_NOW, &user);
        unit_ok(reason != NULL, "not without a key, round %u",
                (unsigned) round);

        reason = test_ask(&token, test_keys, TEST_EXP - 1, &user);
        unit_ok(reason == NULL, "in its last second, round %u",
                (unsigned) round);

        reason = test_ask(&token, test_keys, TEST_EXP + 60, &user);
        unit_ok(reason != NULL, "not when it has expired, round %u",
                (unsigned) round);
    }
}


/* another text of the same length and end, which is what is hashed */

static void
test_collision(void)
{
    size_t       at;
    int64_t      user;
    ngx_str_t    token, forged;
    ngx_uint_t   wrong;

    token = test_user(8, 0);
    unit_ok(test_good(&token, 8, TEST_NOW), "it is good");

    wrong = 0;

    for (at = 0; at < token.len - 8; at++) {
        forged = unit_str((char *) token.data, token.len);
        forged.data[at] ^= 1;

        wrong += test_ask(&forged, test_keys, TEST_NOW, &user) == NULL;
    }

    unit_ok(wrong == 0, "another text with its end is not taken for it");
    unit_ok(test_good(&token, 8, TEST_NOW) && test_known, "which stays");
}


/* too short for a signature, or for an end */

static void
test_short(void)
{
    size_t       len;
    int64_t      user;
    ngx_str_t    token, text;
    ngx_uint_t   wrong;

    token = test_user(8, 0);
    wrong = 0;

    for (len = 0; len < 16; len++) {
        text = unit_str((char *) token.data + token.len - len, len);
        wrong += test_ask(&text, test_keys, TEST_NOW, &user) == NULL;
    }

    unit_ok(wrong == 0, "the end of a token is none");
}


/* a token in use stays known, whatever comes, and so does the latest */

static void
test_room(void)
{
    ngx_str_t    token, stays;
    ngx_uint_t   i, good, known, stayed;

    good = 0;
    known = 0;
    stayed = 0;

    stays = test_user(9, 0);
    good += test_good(&stays, 9, TEST_NOW);

    for (i = 0; i < TEST_MANY; i++) {
        token = test_user(100 + i, 0);

        good += test_good(&token, 100 + i, TEST_NOW + 2 * i);
        good += test_good(&token, 100 + i, TEST_NOW + 2 * i);
        known += test_known;

        good += test_good(&stays, 9, TEST_NOW + 2 * i + 1);
        stayed += test_known;
    }

    unit_ok(good == 3 * TEST_MANY + 1, "all of them are good: %u",
            (unsigned) good);
    unit_ok(known == TEST_MANY, "the latest is always known: %u",
            (unsigned) known);
    unit_ok(stayed == TEST_MANY, "one in use stays known: %u",
            (unsigned) stayed);
}


/* one of the padding's lengths gives the longest that is kept */

static void
test_length(void)
{
    size_t       n;
    ngx_str_t    token;
    ngx_uint_t   kept, wrong;

    kept = 0;
    wrong = 0;

    for (n = 2900; n < 3100; n++) {
        token = test_user(10, n);

        wrong += !test_good(&token, 10, TEST_NOW);
        wrong += !test_good(&token, 10, TEST_NOW);
        wrong += test_known != (token.len <= TEST_MAX_LEN);
        kept += test_known;
    }

    unit_ok(wrong == 0, "all are good, the short ones known: %u",
            (unsigned) wrong);
    unit_ok(kept > 0 && kept < 200, "there were both: %u", (unsigned) kept);
}


/* more bytes than there may be: the oldest go, one in use stays */

static void
test_bytes(void)
{
    ngx_str_t    token, stays;
    ngx_uint_t   i, known, stayed;

    known = 0;
    stayed = 0;

    ngx_sf_tokens_clear(test_tokens);

    stays = test_user(9, 2900);
    (void) test_good(&stays, 9, TEST_NOW);

    for (i = 0; i < TEST_LARGE; i++) {
        token = test_user(100 + i, 2900);

        (void) test_good(&token, 100 + i, TEST_NOW + 2 * i);
        (void) test_good(&token, 100 + i, TEST_NOW + 2 * i);
        known += test_known;

        (void) test_good(&stays, 9, TEST_NOW + 2 * i + 1);
        stayed += test_known;
    }

    unit_ok(known == TEST_LARGE, "a long one is known, too: %u",
            (unsigned) known);
    unit_ok(stayed == TEST_LARGE, "one in use stays known: %u",
            (unsigned) stayed);

    known = 0;

    for (i = 0; i < TEST_LARGE; i++) {
        token = test_user(100 + i, 2900);
        (void) test_good(&token, 100 + i, TEST_NOW + 2 * TEST_LARGE);
        known += test_known;
    }

    unit_ok(known < TEST_BYTES / token.len, "not all of them: %u",
            (unsigned) known);

    ngx_sf_tokens_clear(test_tokens);

    unit_ok(test_good(&stays, 9, TEST_NOW) && !test_known,
            "a table that was cleared knows none");
}


int
main(void)
{
    unit_init();
    test_begin();
    test_twice();
    test_collision();
    test_short();
    test_room();
    test_length();
    test_bytes();

    ngx_sf_tokens_clear(test_tokens);

    return unit_done();
}

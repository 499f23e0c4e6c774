
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
#define TEST_BURST     16           /* failures of an address at once */


static ngx_sf_tokens_t   *test_tokens;
static ngx_uint_t         test_known;       /* the last one was not verified */
static ngx_sf_jwt_key_t  *test_key, *test_other_key;
static ngx_sf_jwt_rules_t  test_rules;      /* no leeway, an end if any */
static ngx_sf_jwt_trust_t  *test_keys, *test_same_keys, *test_other_keys;
static ngx_sf_jwt_trust_t  *test_none;
static struct sockaddr_in   test_address;


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
                                 (struct sockaddr *) &test_address, &claims);
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
    test_address.sin_family = AF_INET;
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


static ngx_uint_t
test_failures(ngx_sf_buckets_t *buckets, uint64_t address, ngx_msec_t now)
{
    ngx_uint_t  n;

    for (n = 0; n < 100; n++) {
        if (ngx_sf_address_may_fail(buckets, address, now) != NGX_OK) {
            break;
        }

        ngx_sf_address_failed(buckets, address, now);
    }

    return n;
}


static void
test_buckets(void)
{
    uint64_t              a, b, i;
    ngx_uint_t            n;
    ngx_msec_t            now;
    struct sockaddr_in    in;
    struct sockaddr_in6   in6, near, far;
    ngx_sf_buckets_t     *buckets;

    ngx_memzero(&in, sizeof(in));
    ngx_memzero(&in6, sizeof(in6));

    in.sin_family = AF_INET;
    in.sin_addr.s_addr = inet_addr("192.0.2.1");
    in6.sin6_family = AF_INET6;
    in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
    ngx_memcpy(&in6.sin6_addr.s6_addr[12], &in.sin_addr.s_addr, 4);

    a = ngx_sf_address((struct sockaddr *) &in);
    unit_ok(a == ngx_sf_address((struct sockaddr *) &in6),
            "IPv4 is the same in IPv6");

    in6.sin6_addr.s6_addr[0] = 0x20;
    near = in6;
    near.sin6_addr.s6_addr[15] ^= 1;
    far = in6;
    far.sin6_addr.s6_addr[7] ^= 1;
    b = ngx_sf_address((struct sockaddr *) &in6);
    unit_ok(b == ngx_sf_address((struct sockaddr *) &near)
            && b != ngx_sf_address((struct sockaddr *) &far),
            "a prefix of 64 bits is one address");

    buckets = ngx_sf_buckets_create((ngx_cycle_t *) ngx_cycle);
    now = (ngx_msec_t) -5000;       /* before an overflow */

    unit_ok(test_failures(buckets, a, now) == TEST_BURST, "so many at once");
    unit_ok(test_failures(buckets, a, now + 999) == 0, "no more at once");
    unit_ok(test_failures(buckets, a, now + 1000) == 1, "one each second");
    unit_ok(test_failures(buckets, b, now) == TEST_BURST, "each has its own");
    unit_ok(test_failures(buckets, a, now + 11000) == 10, "ten in ten");
    unit_ok(test_failures(buckets, a, now + 1000000) == TEST_BURST,
            "never more at once");

    /* a table that is too small forgets, and never takes one for another */

    n = 0;

    for (i = 1000; i < 101000; i++) {
        n += test_failures(buckets, i, now) == TEST_BURST;
    }

    unit_ok(n == 100000, "no address pays for another: %u", (unsigned) n);
}


/* wrong signatures of a key, until they are not looked at any more */

static void
test_forgery(void)
{
    u_char               *p;
    int64_t               user;
    ngx_str_t             text, token, wrong;
    ngx_uint_t            i, n;
    const char           *reason;
    ngx_sf_jwt_set_t      set, **place;
    ngx_sf_jwt_terms_t    terms = { NGX_SF_JWT_NO_ALG, ngx_null_string };
    ngx_sf_jwt_trust_t   *trust;

    static u_char  why[NGX_SF_JWT_SET_WHY];
    static char    keys[] =
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    static char    claims[] = "{\"iss\":\"i\",\"aud\":\"a\",\"user_id\":1,"
                              "\"exp\":1000000}";

    ngx_memzero(&set, sizeof(ngx_sf_jwt_set_t));
    text = unit_str(keys, strlen(keys));

    unit_ok(ngx_sf_jwt_set_read(&set, &text, &terms, &unit_log, why)
            == NGX_OK, "a set of keys");

    trust = test_trust(test_key);
    trust->sets = ngx_array_create(unit_pool, 1, sizeof(ngx_sf_jwt_set_t *));
    place = ngx_array_push(trust->sets);
    *place = &set;
    ngx_str_set(&trust->issuer, "i");
    trust->audiences = ngx_array_create(unit_pool, 1, sizeof(ngx_str_t));
    *(ngx_str_t *) ngx_array_push(trust->audiences) = unit_str("a", 1);

    wrong.data = ngx_pnalloc(unit_pool, 512);
    p = test_base64url(wrong.data, (u_char *) "{\"alg\":\"EdDSA\"}", 15);
    *p++ = '.';
    p = test_base64url(p, (u_char *) claims, strlen(claims));
    *p++ = '.';
    ngx_memset(p, 'A', 86);
    wrong.len = p + 86 - wrong.data;

    token = test_token(claims);
    unit_ok(test_ask(&token, trust, TEST_NOW, &user) == NULL,
            "one that is good by a secret");

    ngx_current_msec = 1000;
    n = 0;

    for (i = 0; i < 2 * TEST_BURST; i++) {
        reason = test_ask(&wrong, trust, TEST_NOW, &user);
        n += reason && strcmp(reason, "wrong signature") == 0;
    }

    unit_ok(n == TEST_BURST, "so many are verified: %u", (unsigned) n);
    unit_ok(test_ask(&token, trust, TEST_NOW, &user) == NULL && test_known,
            "what is known is not asked about");

    token = test_token("{\"iss\":\"i\",\"aud\":\"a\",\"user_id\":2}");
    unit_ok(test_ask(&token, trust, TEST_NOW, &user) == NULL && user == 2,
            "nor is what a secret has signed");

    test_address.sin_addr.s_addr = inet_addr("192.0.2.7");
    reason = test_ask(&wrong, trust, TEST_NOW, &user);
    unit_ok(reason && strcmp(reason, "wrong signature") == 0,
            "another address has its own");

    ngx_sf_tokens_clear(test_tokens);
    ngx_sf_jwt_set_clear(&set);
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
    test_buckets();
    test_forgery();

    ngx_sf_tokens_clear(test_tokens);

    return unit_done();
}

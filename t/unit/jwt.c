
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Tokens are made here, with OpenSSL's one-shot HMAC() and a base64url of the
 * test's own, so that a mistake in the code cannot cancel itself out.  What is
 * signed by other keys than a secret is in jwt_key.c.
 */


#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ngx_sf_jwt.h"
#include "unit.h"


#define TEST_NOW      1000
#define TEST_HEADER   "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define TEST_SECRET   "test-platform-secret-key"

/* a payload whose user is 7, with more claims */

#define TEST_CLAIMS(more)  "{\"type\":\"access\",\"user_id\":7" more "}"
#define TEST_USER(user)    "{\"type\":\"access\",\"user_id\":" user "}"

#define TEST_NOBODY   -1
#define TEST_NEVER    INT64_MAX


typedef struct {
    const char  *payload;
    const char  *reason;       /* NULL: the token is good */
    int64_t      user_id;      /* or TEST_NOBODY */
    int64_t      exp;
    int64_t      not_before;
} test_claims_t;


static const char  test_no_object[] = "payload is no JSON object";
static const char  test_no_type[] = "no access token";
static const char  test_no_user[] = "user is no number";
static const char  test_no_exp[] = "exp is no number";
static const char  test_no_nbf[] = "nbf is no number";
static const char  test_no_iat[] = "iat is no number";
static const char  test_aud[] = "made for an audience";
static const char  test_late[] = "expired";
static const char  test_early[] = "not valid yet";


static const test_claims_t  test_claims[] = {

    { TEST_CLAIMS(""), NULL, 7, TEST_NEVER, 0 },
    { TEST_CLAIMS(",\"exp\":4600,\"iat\":1000,\"role\":\"user\""),
      NULL, 7, 4600, 1000 },

    /* exp: a number or the text of one, past when exp <= now */

    { TEST_CLAIMS(",\"exp\":1001"), NULL, 7, 1001, 0 },
    { TEST_CLAIMS(",\"exp\":1000"), test_late, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":1000.9"), test_late, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":1001.9"), NULL, 7, 1001, 0 },
    { TEST_CLAIMS(",\"exp\":\"1001\""), NULL, 7, 1001, 0 },
    { TEST_CLAIMS(",\"exp\":\" 1_001 \""), NULL, 7, 1001, 0 },
    { TEST_CLAIMS(",\"exp\":\"1000\""), test_late, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":\"1001.5\""), test_no_exp, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":\"1001\\u0000\""), test_no_exp, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":\"\""), test_no_exp, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":\"soon\""), test_no_exp, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":null"), test_no_exp, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":[1001]"), test_no_exp, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":{}"), test_no_exp, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":true"), test_late, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":0"), test_late, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":-5"), test_late, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":1e300"), NULL, 7, TEST_NEVER, 0 },
    { TEST_CLAIMS(",\"exp\":-1e300"), test_late, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":100000000000000000000000000"),
      NULL, 7, TEST_NEVER, 0 },
    { TEST_CLAIMS(",\"exp\":9223372036854775808"), NULL, 7, TEST_NEVER, 0 },
    { TEST_CLAIMS(",\"exp\":1e400"), test_no_object, 0, 0, 0 },
    { TEST_CLAIMS(",\"exp\":999,\"exp\":1001"), NULL, 7, 1001, 0 },

    /* nbf and iat: not in the future */

    { TEST_CLAIMS(",\"nbf\":1000"), NULL, 7, TEST_NEVER, 1000 },
    { TEST_CLAIMS(",\"nbf\":1001"), test_early, 0, 0, 0 },
    { TEST_CLAIMS(",\"nbf\":1000.9"), NULL, 7, TEST_NEVER, 1000 },
    { TEST_CLAIMS(",\"nbf\":\"1001\""), test_early, 0, 0, 0 },
    { TEST_CLAIMS(",\"nbf\":null"), test_no_nbf, 0, 0, 0 },
    { TEST_CLAIMS(",\"nbf\":\"x\""), test_no_nbf, 0, 0, 0 },
    { TEST_CLAIMS(",\"nbf\":-1e300"), NULL, 7, TEST_NEVER, 0 },
    { TEST_CLAIMS(",\"iat\":1000"), NULL, 7, TEST_NEVER, 1000 },
    { TEST_CLAIMS(",\"iat\":1001"), test_early, 0, 0, 0 },
    { TEST_CLAIMS(",\"iat\":\"999\""), NULL, 7, TEST_NEVER, 999 },
    { TEST_CLAIMS(",\"iat\":null"), test_no_iat, 0, 0, 0 },
    { TEST_CLAIMS(",\"iat\":[]"), test_no_iat, 0, 0, 0 },
    { TEST_CLAIMS(",\"iat\":true"), NULL, 7, TEST_NEVER, 1 },
    { TEST_CLAIMS(",\"iat\":900,\"nbf\":950"), NULL, 7, TEST_NEVER, 950 },
    { TEST_CLAIMS(",\"iat\":950,\"nbf\":900"), NULL, 7, TEST_NEVER, 950 },

    { TEST_CLAIMS(",\"aud\":\"x\""), test_aud, 0, 0, 0 },
    { TEST_CLAIMS(",\"aud\":[\"x\"]"), test_aud, 0, 0, 0 },
    { TEST_CLAIMS(",\"aud\":null"), NULL, 7, TEST_NEVER, 0 },
    { TEST_CLAIMS(",\"iss\":5,\"sub\":[],\"jti\":{}"),
      NULL, 7, TEST_NEVER, 0 },

    /* user_id: an integer in some form; null or out of range is nobody */

    { TEST_USER("1"), NULL, 1, TEST_NEVER, 0 },
    { TEST_USER("2.0"), NULL, 2, TEST_NEVER, 0 },
    { TEST_USER("2.5"), NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("\"2\""), NULL, 2, TEST_NEVER, 0 },
    { TEST_USER("\"+2 \""), NULL, 2, TEST_NEVER, 0 },
    { TEST_USER("\"\\u0662\""), test_no_user, 0, 0, 0 },
    { TEST_USER("\"\\uff14\""), test_no_user, 0, 0, 0 },
    { TEST_USER("\"1_0\""), test_no_user, 0, 0, 0 },
    { TEST_USER("\"2.0\""), test_no_user, 0, 0, 0 },
    { TEST_USER("\"2\\u00007\""), test_no_user, 0, 0, 0 },
    { TEST_USER("\"admin\""), test_no_user, 0, 0, 0 },
    { TEST_USER("\"\""), test_no_user, 0, 0, 0 },
    { TEST_USER("true"), test_no_user, 0, 0, 0 },
    { TEST_USER("[7]"), test_no_user, 0, 0, 0 },
    { TEST_USER("{\"id\":7}"), test_no_user, 0, 0, 0 },
    { TEST_USER("null"), NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("0"), NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("-1"), NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("2147483647"), NULL, 2147483647, TEST_NEVER, 0 },
    { TEST_USER("2147483648"), NULL, 2147483648, TEST_NEVER, 0 },
    { TEST_USER("\"2147483648\""), NULL, 2147483648, TEST_NEVER, 0 },
    { TEST_USER("4294967297"), NULL, 4294967297, TEST_NEVER, 0 },
    { TEST_USER("9007199254740993"), NULL, 9007199254740993, TEST_NEVER, 0 },
    { TEST_USER("\"9007199254740993\""),
      NULL, 9007199254740993, TEST_NEVER, 0 },
    { TEST_USER("9223372036854775807"), NULL, INT64_MAX, TEST_NEVER, 0 },
    { TEST_USER("9223372036854775808"), NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("-9223372036854775808"), NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("9007199254740991.0"),
      NULL, 9007199254740991, TEST_NEVER, 0 },
    { TEST_USER("9007199254740992.0"), NULL, TEST_NOBODY, TEST_NEVER, 0 },

    /* one number beyond int64 makes doubles of all */

    { TEST_USER("9007199254740993,\"exp\":1000000000000000000000"),
      NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("4294967297,\"exp\":1000000000000000000000"),
      NULL, 4294967297, TEST_NEVER, 0 },

    { TEST_USER("18446744073709551617"), NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("\"18446744073709551617\""),
      NULL, TEST_NOBODY, TEST_NEVER, 0 },
    { TEST_USER("1e300"), NULL, TEST_NOBODY, TEST_NEVER, 0 },

    { "{\"type\":\"access\"}", test_no_user, 0, 0, 0 },
    { "{\"user_id\":7}", test_no_type, 0, 0, 0 },
    { "{\"type\":\"refresh\",\"user_id\":7}", test_no_type, 0, 0, 0 },
    { "{\"type\":\"Access\",\"user_id\":7}", test_no_type, 0, 0, 0 },
    { "{\"type\":\"access\\u0000\",\"user_id\":7}", test_no_type, 0, 0, 0 },
    { "{\"type\":\"access2\",\"user_id\":7}", test_no_type, 0, 0, 0 },
    { "{\"type\":\"acces\",\"user_id\":7}", test_no_type, 0, 0, 0 },
    { "{\"type\":null,\"user_id\":7}", test_no_type, 0, 0, 0 },
    { "{\"type\":[\"access\"],\"user_id\":7}", test_no_type, 0, 0, 0 },
    { " {\"user_id\" : 7 , \"type\":\"access\" } \n",
      NULL, 7, TEST_NEVER, 0 },
    { TEST_CLAIMS(",\"x\":\"\\u0000\""), NULL, 7, TEST_NEVER, 0 },

    { "", test_no_object, 0, 0, 0 },
    { "null", test_no_object, 0, 0, 0 },
    { "7", test_no_object, 0, 0, 0 },
    { "\"access\"", test_no_object, 0, 0, 0 },
    { "[{\"type\":\"access\",\"user_id\":7}]", test_no_object, 0, 0, 0 },
    { "{\"type\":\"access\",\"user_id\":7", test_no_object, 0, 0, 0 },
    { TEST_CLAIMS("") "x", test_no_object, 0, 0, 0 },
    { TEST_CLAIMS(",\"x\":\"\xff\""), test_no_object, 0, 0, 0 },

    { NULL, NULL, 0, 0, 0 }
};


static ngx_sf_jwt_key_t  *test_key;
static ngx_sf_jwt_key_t  *test_other_key;

/* neither leeway nor anything that must be there */

static const ngx_sf_jwt_rules_t  test_rules;


static u_char *
test_base64url(u_char *p, const u_char *data, size_t len)
{
    size_t         i;
    ngx_uint_t     bits, n;
    static u_char  digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
                              "nopqrstuvwxyz0123456789-_";

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        bits = (bits << 8 | data[i]) & 0xffff;
        n += 8;

        while (n >= 6) {
            n -= 6;
            *p++ = digits[(bits >> n) & 0x3f];
        }
    }

    if (n) {
        *p++ = digits[(bits << (6 - n)) & 0x3f];
    }

    return p;
}


static ngx_str_t
test_sign(const EVP_MD *md, const char *secret, const char *header,
    const char *payload)
{
    u_char     buf[65536], mac[EVP_MAX_MD_SIZE], *p;
    unsigned   len;

    p = test_base64url(buf, (const u_char *) header, strlen(header));
    *p++ = '.';
    p = test_base64url(p, (const u_char *) payload, strlen(payload));

    (void) HMAC(md, secret, strlen(secret), buf, p - buf, mac, &len);

    *p++ = '.';
    p = test_base64url(p, mac, len);

    return unit_str((char *) buf, p - buf);
}


static ngx_str_t
test_token(const char *header, const char *payload)
{
    return test_sign(EVP_sha256(), TEST_SECRET, header, payload);
}


/* both steps, as of a request: rules without a trust have these secrets */

static const char *
test_whole(ngx_str_t *token, ngx_sf_jwt_key_t **keys, ngx_uint_t nkeys,
    const ngx_sf_jwt_rules_t *rules, int64_t now, ngx_sf_jwt_claims_t *claims)
{
    const char          *reason;
    ngx_array_t          secrets;
    ngx_sf_jwt_t         jwt;
    ngx_sf_jwt_rules_t   all;
    ngx_sf_jwt_trust_t   trust;

    all = *rules;

    if (all.trust == NULL) {
        ngx_memzero(&secrets, sizeof(ngx_array_t));
        secrets.elts = keys;
        secrets.nelts = nkeys;

        ngx_memzero(&trust, sizeof(ngx_sf_jwt_trust_t));
        trust.secrets = nkeys ? &secrets : NULL;
        ngx_str_set(&trust.user, "user_id");

        all.trust = &trust;
    }

    ngx_memset(&jwt, 0xa5, sizeof(ngx_sf_jwt_t));

    reason = ngx_sf_jwt_read(unit_pool, token, &all, now, &jwt);

    if (reason == NULL) {
        reason = ngx_sf_jwt_verify(&jwt, all.trust);
    }

    *claims = jwt.claims;

    return reason;
}


static const char *
test_verify(ngx_str_t *token, ngx_sf_jwt_claims_t *claims)
{
    return test_whole(token, &test_key, 1, &test_rules, TEST_NOW, claims);
}


static void
test_reason(ngx_str_t *token, const char *want, const char *name)
{
    const char           *reason;
    ngx_sf_jwt_claims_t   claims;

    reason = test_verify(token, &claims);

    unit_ok(reason != NULL && strcmp(reason, want) == 0, "%s: %s, want %s",
            name, reason ? reason : "good", want);
}


static ngx_sf_jwt_key_t *
test_create_key(const char *text)
{
    ngx_str_t  secret;

    secret = unit_str(text, strlen(text));

    return ngx_sf_jwt_key_create(unit_pool, &secret);
}


static void
test_all_claims(void)
{
    int64_t               user_id;
    ngx_str_t             token;
    const char           *reason;
    ngx_sf_jwt_claims_t   claims;
    const test_claims_t  *c;

    for (c = test_claims; c->payload; c++) {

        token = test_token(TEST_HEADER, c->payload);
        reason = test_verify(&token, &claims);

        if (c->reason || reason) {
            unit_ok(c->reason && reason && strcmp(reason, c->reason) == 0,
                    "%s: %s, want %s", c->payload, reason ? reason : "good",
                    c->reason ? c->reason : "good");
            continue;
        }

        user_id = (claims.user == NGX_SF_JWT_USER_NONE) ? TEST_NOBODY
                                                        : claims.user_id;

        unit_ok(user_id == c->user_id && claims.exp == c->exp
                && claims.not_before == c->not_before,
                "%s: user %ld exp %ld from %ld", c->payload, (long) user_id,
                (long) claims.exp, (long) claims.not_before);
    }
}


static void
test_headers(void)
{
    ngx_str_t             token;
    ngx_uint_t            i;
    ngx_sf_jwt_claims_t   claims;
    static const char    *good[] = {
        "{\"alg\":\"HS256\"}",
        "{\"typ\":5,\"kid\":\"\",\"b64\":true,\"alg\":\"HS256\"}",
        "{\"kid\":\"a\\u0000b\",\"cty\":[],\"alg\":\"HS256\"}",
        " {\"alg\":\"HS256\",\"x\":\"\\u0000\"} ",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        NULL
    };
    static const char    *bad[] = {
        "{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS512\"}", "{\"alg\":\"HS384\"}", "{\"alg\":\"PS256\"}",
        "{\"alg\":\"HS256 \"}", "{\"alg\":\"HS256\\u0000\"}",
        "{\"alg\":\"HS2\"}", "{\"alg\":\"\"}", "{\"alg\":null}",
        "{\"alg\":[\"HS256\"]}", "{\"alg\":256}", "{\"ALG\":\"HS256\"}",
        "{}", "{\"typ\":\"JWT\"}", NULL
    };
    static const char    *others[] = {
        "{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\"}", "{\"alg\":\"EdDSA\"}",
        NULL
    };
    static const char    *crit[] = {
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}",
        "{\"crit\":[],\"alg\":\"HS256\"}",
        "{\"crit\":null,\"alg\":\"HS256\"}",
        "{\"crit\":\"exp\",\"alg\":\"HS256\"}", NULL
    };
    static const char    *kid[] = {
        "{\"alg\":\"HS256\",\"kid\":1}", "{\"alg\":\"HS256\",\"kid\":null}",
        "{\"alg\":\"HS256\",\"kid\":[\"x\"]}",
        "{\"alg\":\"HS256\",\"kid\":true}", NULL
    };
    static const char    *broken[] = {
        "", "[]", "\"HS256\"", "null", "{\"alg\":\"HS256\"",
        "{\"alg\":\"HS256\"}{}", "{\"alg\":\"HS256\",\"x\":\"\xc3\"}", NULL
    };

    for (i = 0; good[i]; i++) {
        token = test_token(good[i], TEST_CLAIMS(""));
        unit_ok(test_verify(&token, &claims) == NULL, "header %s", good[i]);
    }

    for (i = 0; bad[i]; i++) {
        token = test_token(bad[i], TEST_CLAIMS(""));
        test_reason(&token, "algorithm is none of RS256, ES256, EdDSA, HS256",
                    bad[i]);
    }

    for (i = 0; others[i]; i++) {
        token = test_token(others[i], TEST_CLAIMS(""));
        test_reason(&token, "no key has its algorithm", others[i]);
    }

    for (i = 0; crit[i]; i++) {
        token = test_token(crit[i], TEST_CLAIMS(""));
        test_reason(&token, "asks for extensions by crit", crit[i]);
    }

    for (i = 0; kid[i]; i++) {
        token = test_token(kid[i], TEST_CLAIMS(""));
        test_reason(&token, "kid is no string", kid[i]);
    }

    for (i = 0; broken[i]; i++) {
        token = test_token(broken[i], TEST_CLAIMS(""));
        test_reason(&token, "header is no JSON object", broken[i]);
    }
}


/* one changed character anywhere, or one left out, and no token is good */

static void
test_forged(void)
{
    u_char                ch;
    size_t                i;
    ngx_str_t             token, part;
    ngx_uint_t            taken;
    ngx_sf_jwt_claims_t   claims;

    token = test_token(TEST_HEADER, TEST_CLAIMS(",\"exp\":4600"));
    taken = 0;

    for (i = 0; i < token.len; i++) {
        for (ch = 1; ch != 0; ch++) {

            if (ch == token.data[i]) {
                continue;
            }

            part = unit_str((char *) token.data, token.len);
            part.data[i] = ch;

            taken += (test_verify(&part, &claims) == NULL);
        }
    }

    unit_ok(taken == 0, "one character changed, the last included: %lu taken",
            (unsigned long) taken);

    for (i = 0; i < token.len; i++) {
        part = unit_str((char *) token.data, i);
        taken += (test_verify(&part, &claims) == NULL);
    }

    unit_ok(taken == 0, "cut short: %lu taken", (unsigned long) taken);
}


static void
test_shapes(void)
{
    char         text[1024];
    size_t       i, n;
    ngx_str_t    token, odd;
    ngx_uint_t   taken;
    const char  *tails[] = { "=", "==", "A", ".", ".x", " ", "\n", "=x" };

    ngx_sf_jwt_claims_t  claims;

    token = test_token(TEST_HEADER, TEST_CLAIMS(""));

    for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        n = (size_t) snprintf(text, sizeof(text), "%.*s%s", (int) token.len,
                              token.data, tails[i]);
        odd = unit_str(text, n);
        unit_ok(test_verify(&odd, &claims) != NULL, "tail %lu",
                (unsigned long) i);
    }

    n = token.len;
    ngx_memcpy(text, token.data, n);
    text[n] = '\0';
    odd = unit_str(text, n + 1);
    unit_ok(test_verify(&odd, &claims) != NULL, "a NUL behind the token");

    odd = unit_str("", 0);
    test_reason(&odd, "not three segments", "no token");

    odd = unit_str("..", 2);
    test_reason(&odd, "header is no JSON object", "two dots");

    odd = unit_str("...", 3);
    test_reason(&odd, "not three segments", "three dots");

    odd = unit_str("a.b", 3);
    test_reason(&odd, "not three segments", "one dot");

    /* HS512 over an HS256 header: right length of nothing */

    odd = test_sign(EVP_sha512(), TEST_SECRET, TEST_HEADER, TEST_CLAIMS(""));
    test_reason(&odd, "wrong signature", "another hash");

    odd = test_sign(EVP_sha256(), "another secret", TEST_HEADER,
                    TEST_CLAIMS(""));
    test_reason(&odd, "wrong signature", "another secret");

    taken = 0;

    for (i = 0; i < 8192; i++) {
        odd.data = ngx_pnalloc(unit_pool, 8192);
        odd.len = 8192;
        ngx_memset(odd.data, "A.=x"[i & 3], 8192);
        odd.data[i] = '.';
        odd.data[8191 - i / 2] = '.';
        taken += (test_verify(&odd, &claims) == NULL);
        (void) ngx_pfree(unit_pool, odd.data);
    }

    unit_ok(taken == 0, "8 KB of nothing");
}


static void
test_signed_padding(void)
{
    u_char     buf[512], mac[32], *p;
    unsigned   len;
    ngx_str_t  token;

    /* a padded payload with the right signature for its bytes */

    p = test_base64url(buf, (u_char *) TEST_HEADER, strlen(TEST_HEADER));
    *p++ = '.';
    p = test_base64url(p, (u_char *) TEST_CLAIMS(" "),
                       strlen(TEST_CLAIMS(" ")));
    *p++ = '=';

    (void) HMAC(EVP_sha256(), TEST_SECRET, strlen(TEST_SECRET), buf, p - buf,
                mac, &len);

    *p++ = '.';
    p = test_base64url(p, mac, len);

    token = unit_str((char *) buf, p - buf);
    test_reason(&token, "payload is no JSON object", "padding in a segment");
}


static void
test_large(void)
{
    char                 *payload, *header;
    size_t                i;
    ngx_str_t             token;
    ngx_sf_jwt_claims_t   claims;

    payload = ngx_palloc(unit_pool, 8192);
    (void) snprintf(payload, 8192, "{\"type\":\"access\",\"user_id\":7,"
                    "\"x\":\"%05900d\"}", 0);

    token = test_token(TEST_HEADER, payload);
    unit_ok(token.len > 7900 && test_verify(&token, &claims) == NULL
            && claims.user_id == 7, "a token of 8 KB");

    header = ngx_palloc(unit_pool, 6001);

    for (i = 0; i < 6000; i++) {
        header[i] = '[';
    }

    header[6000] = '\0';

    token = test_token(header, TEST_CLAIMS(""));
    test_reason(&token, "header is no JSON object", "a deep header");

    token = test_token(TEST_HEADER, header);
    test_reason(&token, "payload is no JSON object", "a deep payload");
}


static void
test_keys(void)
{
    ngx_str_t             token;
    ngx_uint_t            i;
    ngx_sf_jwt_key_t     *keys[3], *empty;
    ngx_sf_jwt_claims_t   claims;

    token = test_token(TEST_HEADER, TEST_CLAIMS(""));

    for (i = 0; i < 3; i++) {
        keys[0] = keys[1] = keys[2] = test_other_key;
        keys[i] = test_key;
        unit_ok(test_whole(&token, keys, 3, &test_rules, TEST_NOW, &claims)
                == NULL, "the right key is number %lu", (unsigned long) i);
    }

    unit_ok(test_whole(&token, &test_other_key, 1, &test_rules, TEST_NOW,
                       &claims)
            != NULL, "only another key");

    unit_ok(test_whole(&token, NULL, 0, &test_rules, TEST_NOW, &claims)
            != NULL, "no key");

    for (i = 0; i < 100; i++) {
        if (test_verify(&token, &claims) != NULL) {
            break;
        }
    }

    unit_ok(i == 100, "a key is good for many tokens");

    /* longer than a block of the hash, and none at all */

    keys[0] = test_create_key("0123456789012345678901234567890123456789"
                              "0123456789012345678901234567890123456789");
    token = test_sign(EVP_sha256(),
                      "0123456789012345678901234567890123456789"
                      "0123456789012345678901234567890123456789",
                      TEST_HEADER, TEST_CLAIMS(""));
    unit_ok(test_whole(&token, keys, 1, &test_rules, TEST_NOW, &claims)
            == NULL, "a key of 80 bytes");

    empty = test_create_key("");
    token = test_sign(EVP_sha256(), "", TEST_HEADER, TEST_CLAIMS(""));
    unit_ok(empty != NULL
            && test_whole(&token, &empty, 1, &test_rules, TEST_NOW, &claims)
               == NULL, "an empty key is a key");
}


/* RFC 7515, appendix A.1: no access token, but its signature is right */

static void
test_rfc(void)
{
    ngx_str_t           secret, token;
    const char         *reason;
    ngx_sf_jwt_key_t   *key;
    ngx_sf_jwt_claims_t claims;

    ngx_str_t  text = ngx_string(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");

    ngx_str_t  text64 = ngx_string(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4h"
        "cgUuTwjAzZr1Z9CAow");

    secret.data = ngx_pnalloc(unit_pool, 64);
    (void) ngx_decode_base64url(&secret, &text64);

    key = ngx_sf_jwt_key_create(unit_pool, &secret);
    token = unit_str((char *) text.data, text.len);

    reason = test_whole(&token, &key, 1, &test_rules, TEST_NOW, &claims);

    unit_ok(reason && strcmp(reason, test_no_type) == 0, "RFC 7515 A.1: %s",
            reason ? reason : "good");
}


static void
test_time(void)
{
    ngx_uint_t           i;
    ngx_sf_jwt_rules_t   rules;
    ngx_sf_jwt_claims_t  claims;

    static const time_t  leeways[] = { 0, 5, 600 };

    ngx_memzero(&rules, sizeof(ngx_sf_jwt_rules_t));
    ngx_memzero(&claims, sizeof(ngx_sf_jwt_claims_t));

    for (i = 0; i < sizeof(leeways) / sizeof(leeways[0]); i++) {
        rules.leeway = leeways[i];

        claims.exp = 2000 - rules.leeway;
        claims.not_before = 1000 + rules.leeway;

        unit_ok(ngx_sf_jwt_check(&claims, &rules, 999) != NULL, "too early");
        unit_ok(ngx_sf_jwt_check(&claims, &rules, 1000) == NULL, "from 1000");
        unit_ok(ngx_sf_jwt_check(&claims, &rules, 1999) == NULL, "to 1999");
        unit_ok(ngx_sf_jwt_check(&claims, &rules, 2000) != NULL,
                "not at 2000");
    }

    claims.exp = TEST_NEVER;
    unit_ok(ngx_sf_jwt_check(&claims, &rules, INT64_MAX - 601) == NULL,
            "never");
}


static void
test_require_exp(void)
{
    ngx_str_t            token;
    ngx_sf_jwt_rules_t   rules;
    ngx_sf_jwt_claims_t  claims;

    ngx_memzero(&rules, sizeof(ngx_sf_jwt_rules_t));
    rules.exp = 1;

    token = test_token(TEST_HEADER, TEST_CLAIMS(""));

    unit_ok(test_verify(&token, &claims) == NULL, "it need not end");
    unit_ok(ngx_sf_jwt_check(&claims, &rules, TEST_NOW) != NULL,
            "where it must, the same claims are no good");
    unit_ok(test_whole(&token, &test_key, 1, &rules, TEST_NOW, &claims)
            != NULL, "nor is the token");

    token = test_token(TEST_HEADER, TEST_CLAIMS(",\"exp\":1e300"));
    unit_ok(test_whole(&token, &test_key, 1, &rules, TEST_NOW, &claims)
            == NULL, "an end far away is one");
}


int
main(void)
{
    unit_init();

    test_key = test_create_key(TEST_SECRET);
    test_other_key = test_create_key("other");

    test_all_claims();
    test_headers();
    test_forged();
    test_shapes();
    test_signed_padding();
    test_large();
    test_keys();
    test_rfc();
    test_time();
    test_require_exp();

    return unit_done();
}

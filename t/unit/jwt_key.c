
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Keys of files, and tokens by them.  Keys are made by OpenSSL, and signatures
 * with it; those of the RFCs show that both read them as others do.
 */


#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "ngx_sf_jwt.h"
#include "unit.h"


#define TEST_NOW     1000
#define TEST_ISSUER  "https://issuer.example"

/* claims of a good token, with more of them */

#define TEST_WHO           "\"iss\":\"" TEST_ISSUER "\",\"aud\":\"api\""
#define TEST_CLAIMS(more)  "{" TEST_WHO ",\"exp\":2000,\"user_id\":7" more "}"


typedef struct {
    const char    *text;
    const char    *why;
} test_bad_t;


static EVP_PKEY  *test_rsa, *test_rsa2, *test_short, *test_ec, *test_p384;
static EVP_PKEY  *test_ed;
static u_char     test_why[NGX_SF_JWT_SET_WHY];


static u_char *
test_base64url(u_char *p, const void *data, size_t len)
{
    ngx_str_t  src, dst;

    src.data = (u_char *) data;
    src.len = len;
    dst.data = p;
    ngx_encode_base64url(&dst, &src);

    return p + dst.len;
}


static size_t
test_raw(u_char *sig, size_t len)
{
    ECDSA_SIG     *rs;
    const u_char  *p;

    p = sig;
    rs = d2i_ECDSA_SIG(NULL, &p, (long) len);
    BN_bn2binpad(ECDSA_SIG_get0_r(rs), sig, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(rs), sig + 32, 32);
    ECDSA_SIG_free(rs);

    return 64;
}


/* header and payload with a signature; raw: as JWS has that of a curve */

static ngx_str_t
test_sign_as(EVP_PKEY *pkey, const char *header, const char *payload,
    ngx_uint_t raw)
{
    u_char       buf[8192], sig[2048], *p;
    size_t       len;
    EVP_MD_CTX  *ctx;

    p = test_base64url(buf, header, strlen(header));
    *p++ = '.';
    p = test_base64url(p, payload, strlen(payload));

    len = sizeof(sig);
    ctx = EVP_MD_CTX_new();
    (void) EVP_DigestSignInit(ctx, NULL,
                              pkey == test_ed ? NULL : EVP_sha256(), NULL,
                              pkey);
    (void) EVP_DigestSign(ctx, sig, &len, buf, p - buf);
    EVP_MD_CTX_free(ctx);

    if (raw && pkey == test_ec) {
        len = test_raw(sig, len);
    }

    *p++ = '.';
    p = test_base64url(p, sig, len);

    return unit_str((char *) buf, p - buf);
}


static ngx_str_t
test_sign(EVP_PKEY *pkey, const char *header, const char *payload)
{
    return test_sign_as(pkey, header, payload, 1);
}


static ngx_str_t
test_hmac(const void *secret, size_t secret_len, const char *header,
    const char *payload)
{
    u_char    buf[8192], mac[32], *p;
    unsigned  len;

    p = test_base64url(buf, header, strlen(header));
    *p++ = '.';
    p = test_base64url(p, payload, strlen(payload));

    (void) HMAC(EVP_sha256(), secret, (int) secret_len, buf, p - buf, mac,
                &len);

    *p++ = '.';
    p = test_base64url(p, mac, len);

    return unit_str((char *) buf, p - buf);
}


static ngx_str_t
test_bio(BIO *bio)
{
    long        len;
    char       *data;
    ngx_str_t   text;

    len = BIO_get_mem_data(bio, &data);
    text = unit_str(data, len);
    BIO_free(bio);

    return text;
}


static ngx_str_t
test_pem(EVP_PKEY *pkey)
{
    BIO  *bio;

    bio = BIO_new(BIO_s_mem());
    (void) PEM_write_bio_PUBKEY(bio, pkey);

    return test_bio(bio);
}


static ngx_str_t
test_private(EVP_PKEY *pkey)
{
    BIO  *bio;

    bio = BIO_new(BIO_s_mem());
    (void) PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);

    return test_bio(bio);
}


static ngx_str_t
test_join(ngx_str_t a, const char *text, ngx_str_t b)
{
    char        buf[16384];
    ngx_uint_t  n;

    n = snprintf(buf, sizeof(buf), "%.*s%s%.*s", (int) a.len, a.data, text,
                 (int) b.len, b.data);

    return unit_str(buf, n);
}


/* a number of a key, in base64url */

static const char *
test_number(EVP_PKEY *pkey, const char *name)
{
    char    *text;
    u_char   buf[2048];
    BIGNUM  *bn;

    bn = NULL;
    (void) EVP_PKEY_get_bn_param(pkey, name, &bn);

    text = ngx_pcalloc(unit_pool, 4096);
    (void) test_base64url((u_char *) text, buf,
                          pkey == test_ec || pkey == test_p384
                          ? BN_bn2binpad(bn, buf, (EVP_PKEY_get_bits(pkey)
                                                   + 7) / 8)
                          : BN_bn2bin(bn, buf));
    BN_free(bn);

    return text;
}


/* a JWK; more goes before its end, as ,"kid":"x" */

static const char *
test_jwk(EVP_PKEY *pkey, const char *more)
{
    char    *text, x[64];
    u_char   raw[32];
    size_t   len;

    text = ngx_pnalloc(unit_pool, 4096);

    if (pkey == test_ed) {
        len = sizeof(raw);
        (void) EVP_PKEY_get_raw_public_key(pkey, raw, &len);
        *test_base64url((u_char *) x, raw, len) = '\0';
        (void) snprintf(text, 4096, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                        "\"x\":\"%s\"%s}", x, more);

    } else if (pkey == test_ec || pkey == test_p384) {
        (void) snprintf(text, 4096, "{\"kty\":\"EC\",\"crv\":\"%s\","
                        "\"x\":\"%s\",\"y\":\"%s\"%s}",
                        pkey == test_ec ? "P-256" : "P-384",
                        test_number(pkey, "qx"), test_number(pkey, "qy"),
                        more);

    } else {
        (void) snprintf(text, 4096, "{\"kty\":\"RSA\",\"n\":\"%s\","
                        "\"e\":\"%s\"%s}", test_number(pkey, "n"),
                        test_number(pkey, "e"), more);
    }

    return text;
}


static ngx_str_t
test_jwks(const char *a, const char *b, const char *c)
{
    char        buf[16384];
    ngx_uint_t  n;

    n = snprintf(buf, sizeof(buf), "{\"keys\":[%s%s%s%s%s]}", a,
                 b ? "," : "", b ? b : "", c ? "," : "", c ? c : "");

    return unit_str(buf, n);
}


static ngx_sf_jwt_set_t *
test_read(ngx_str_t text, ngx_sf_jwt_alg_e alg, const char *kid)
{
    ngx_int_t            rc;
    ngx_sf_jwt_set_t    *set;
    ngx_sf_jwt_terms_t   terms;

    terms.alg = alg;
    ngx_str_null(&terms.kid);

    if (kid) {
        terms.kid = unit_str(kid, strlen(kid));
    }

    set = ngx_pcalloc(unit_pool, sizeof(ngx_sf_jwt_set_t));
    test_why[0] = '\0';
    rc = ngx_sf_jwt_set_read(set, &text, &terms, &unit_log, test_why);

    return rc == NGX_OK ? set : NULL;
}


static void
test_refused(ngx_str_t text, ngx_sf_jwt_alg_e alg, const char *kid,
    const char *why)
{
    ngx_sf_jwt_set_t  *set;

    set = test_read(text, alg, kid);
    unit_ok(set == NULL && strstr((char *) test_why, why), "\"%s\" for \"%s\"",
            set ? "good" : (char *) test_why, why);

    if (set) {
        ngx_sf_jwt_set_clear(set);
    }
}


/* what of several sets a location believes: any issuer's, or ours */

static ngx_sf_jwt_trust_t *
test_trust(ngx_uint_t named, ngx_sf_jwt_set_t *a, ngx_sf_jwt_set_t *b)
{
    ngx_str_t            *audience;
    ngx_sf_jwt_set_t    **set;
    ngx_sf_jwt_trust_t   *trust;

    trust = ngx_pcalloc(unit_pool, sizeof(ngx_sf_jwt_trust_t));
    ngx_str_set(&trust->user, "user_id");

    trust->sets = ngx_array_create(unit_pool, 2, sizeof(ngx_sf_jwt_set_t *));
    set = ngx_array_push(trust->sets);
    *set = a;

    if (b) {
        set = ngx_array_push(trust->sets);
        *set = b;
    }

    if (named) {
        ngx_str_set(&trust->issuer, TEST_ISSUER);
        trust->audiences = ngx_array_create(unit_pool, 2, sizeof(ngx_str_t));
        audience = ngx_array_push(trust->audiences);
        ngx_str_set(audience, "other");
        audience = ngx_array_push(trust->audiences);
        ngx_str_set(audience, "api");
    }

    return trust;
}


static void
test_secret(ngx_sf_jwt_trust_t *trust, const void *data, size_t len)
{
    ngx_str_t           secret;
    ngx_sf_jwt_key_t  **key;

    secret.data = (u_char *) data;
    secret.len = len;

    trust->secrets = ngx_array_create(unit_pool, 1,
                                      sizeof(ngx_sf_jwt_key_t *));
    key = ngx_array_push(trust->secrets);
    *key = ngx_sf_jwt_key_create(unit_pool, &secret);
}


static const char *
test_verify(ngx_str_t token, const ngx_sf_jwt_trust_t *trust)
{
    const char          *reason;
    ngx_sf_jwt_t         jwt;
    ngx_sf_jwt_rules_t   rules;

    ngx_memset(&jwt, 0xa5, sizeof(ngx_sf_jwt_t));
    ngx_memzero(&rules, sizeof(ngx_sf_jwt_rules_t));
    rules.trust = trust;

    reason = ngx_sf_jwt_read(unit_pool, &token, &rules, TEST_NOW, &jwt);

    return reason ? reason : ngx_sf_jwt_verify(&jwt, trust);
}


static void
test_good(ngx_str_t token, const ngx_sf_jwt_trust_t *trust, const char *name)
{
    const char  *reason;

    reason = test_verify(token, trust);
    unit_ok(reason == NULL, "%s: %s", name, reason ? reason : "good");
}


static void
test_reason(ngx_str_t token, const ngx_sf_jwt_trust_t *trust,
    const char *want, const char *name)
{
    const char  *reason;

    reason = test_verify(token, trust);
    unit_ok(reason && strcmp(reason, want) == 0, "%s: %s, want %s", name,
            reason ? reason : "good", want);
}


/* RFC 7515, appendices A.1 to A.3, and RFC 8037, A.4 */

static void
test_rfc(void)
{
    size_t              at;
    ngx_str_t           input, sig, set_text;
    ngx_uint_t          i, wrong;
    ngx_sf_jwt_key_t  **key;
    ngx_sf_jwt_set_t   *set;

    static const char   joe[] =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    static const struct {
        const char     *jwk;
        const char     *header;
        const char     *payload;
        const char     *sig;
    } rfc[] = {
        { "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AyM1SysPpbyDfgZld3umj1qz"
          "KObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
          "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", joe,
          "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" },

        { "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjy"
          "bRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJr"
          "cS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ"
          "47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UT"
          "o7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGh"
          "yxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuX"
          "poQ\"}",
          "eyJhbGciOiJSUzI1NiJ9", joe,
          "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7A"
          "AuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAy"
          "nRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZ"
          "RmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCn"
          "vWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_Io"
          "ypGlUPQGe77Rw" },

        { "{\"kty\":\"EC\",\"alg\":\"ES256\",\"crv\":\"P-256\","
          "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
          "eyJhbGciOiJFUzI1NiJ9", joe,
          "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSAp"
          "mWQxfKTUJqPP3-Kg6NU1Q" },

        { "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"crv\":\"Ed25519\","
          "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
          "eyJhbGciOiJFZERTQSJ9", "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
          "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5Bh"
          "VsPt9g7sVvpAr_MuM0KAg" }
    };

    for (i = 0; i < 4; i++) {
        set_text = test_jwks(rfc[i].jwk, NULL, NULL);
        set = test_read(set_text, NGX_SF_JWT_NO_ALG, NULL);

        if (!unit_ok(set != NULL, "vector %lu: %s", (unsigned long) i,
                     test_why))
        {
            continue;
        }

        key = set->keys->elts;
        input = unit_str(rfc[i].header, strlen(rfc[i].header));
        input = test_join(input, ".", unit_str(rfc[i].payload,
                                               strlen(rfc[i].payload)));
        sig = unit_str(rfc[i].sig, strlen(rfc[i].sig));

        unit_ok(ngx_sf_jwt_key_check(key[0], &input, &sig) == NGX_OK,
                "vector %lu is right", (unsigned long) i);

        /* another last character has other spare bits, or is another byte */

        wrong = 0;

        for (at = 0; at < sig.len; at++) {
            sig.data[at] = rfc[i].sig[at] == 'A' ? 'B' : 'A';
            wrong += ngx_sf_jwt_key_check(key[0], &input, &sig) == NGX_OK;
            sig.data[at] = rfc[i].sig[at];
        }

        sig.data[at - 1]++;
        wrong += ngx_sf_jwt_key_check(key[0], &input, &sig) == NGX_OK;
        sig.data[at - 1]--;

        input.data[3] ^= 1;
        wrong += ngx_sf_jwt_key_check(key[0], &input, &sig) == NGX_OK;
        input.data[3] ^= 1;

        for (at = 0; at < sig.len; at++) {
            wrong += ngx_sf_jwt_key_check(key[0], &input,
                         &(ngx_str_t) { at, sig.data }) == NGX_OK;
        }

        unit_ok(wrong == 0, "no other signature is: %lu",
                (unsigned long) wrong);
        unit_ok(ngx_sf_jwt_key_check(key[0], &input, &sig) == NGX_OK,
                "a key is good for more than one");

        ngx_sf_jwt_set_clear(set);
    }
}


/* as OpenSSL writes it, with every length that a number can have */

static void
test_der(void)
{
    u_char      rs[64], der[72], *own;
    size_t      len;
    ngx_uint_t  i, k, wrong;
    ECDSA_SIG  *sig;

    wrong = 0;

    for (i = 0; i <= 32; i++) {
        for (k = 0; k < 4; k++) {
            ngx_memzero(rs, sizeof(rs));
            ngx_memset(rs + i, k & 1 ? 0x80 : 0x7f, 32 - i);
            ngx_memset(rs + 64 - i, k & 2 ? 0xff : 0x01, i);

            sig = ECDSA_SIG_new();
            ECDSA_SIG_set0(sig, BN_bin2bn(rs, 32, NULL),
                           BN_bin2bn(rs + 32, 32, NULL));
            own = NULL;
            len = i2d_ECDSA_SIG(sig, &own);

            wrong += ngx_sf_jwt_key_der(der, rs) != len
                     || ngx_memcmp(der, own, len) != 0;

            OPENSSL_free(own);
            ECDSA_SIG_free(sig);
        }
    }

    unit_ok(wrong == 0, "r and s as DER: %lu", (unsigned long) wrong);
}


static void
test_pems(void)
{
    BIO               *bio;
    long               len;
    u_char            *der;
    ngx_str_t          text, cert;
    ngx_sf_jwt_set_t  *set;

    static const char  certificate[] =
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    set = test_read(test_pem(test_rsa), NGX_SF_JWT_RS256, NULL);
    test_good(test_sign(test_rsa, "{\"alg\":\"RS256\"}", TEST_CLAIMS("")),
              test_trust(1, set, NULL), "RS256 by PEM");
    ngx_sf_jwt_set_clear(set);

    set = test_read(test_pem(test_ec), NGX_SF_JWT_ES256, "x");
    test_good(test_sign(test_ec, "{\"alg\":\"ES256\",\"kid\":\"x\"}",
                        TEST_CLAIMS("")),
              test_trust(1, set, NULL), "ES256 by PEM, with a name");
    ngx_sf_jwt_set_clear(set);

    text = test_join(unit_str("# ours\n", 7), "", test_pem(test_ed));
    set = test_read(text, NGX_SF_JWT_EDDSA, NULL);
    test_good(test_sign(test_ed, "{\"alg\":\"EdDSA\"}", TEST_CLAIMS("")),
              test_trust(1, set, NULL), "EdDSA by PEM, behind a comment");
    test_good(test_sign(test_ed, "{\"alg\":\"EdDSA\"}",
                        "{\"type\":\"access\",\"exp\":2000,\"user_id\":7}"),
              test_trust(0, set, NULL), "nobody asks for an issuer");
    ngx_sf_jwt_set_clear(set);

    der = NULL;
    len = i2d_PublicKey(test_rsa, &der);
    bio = BIO_new(BIO_s_mem());
    (void) PEM_write_bio(bio, PEM_STRING_RSA_PUBLIC, "", der, len);
    OPENSSL_free(der);
    set = test_read(test_bio(bio), NGX_SF_JWT_RS256, NULL);
    test_good(test_sign(test_rsa, "{\"alg\":\"RS256\"}", TEST_CLAIMS("")),
              test_trust(1, set, NULL), "the older form");
    ngx_sf_jwt_set_clear(set);

    test_refused(test_pem(test_rsa), NGX_SF_JWT_NO_ALG, NULL,
                 "is PEM, which has no algorithm: add alg=RS256, alg=ES256 or "
                 "alg=EdDSA");
    test_refused(test_pem(test_rsa), NGX_SF_JWT_HS256, NULL,
                 "is PEM, which holds no key of HS256");
    test_refused(test_pem(test_rsa), NGX_SF_JWT_ES256, NULL,
                 "is no key of an elliptic curve, which ES256 needs");
    test_refused(test_pem(test_ec), NGX_SF_JWT_RS256, NULL,
                 "is no RSA key, which RS256 needs");
    test_refused(test_pem(test_ec), NGX_SF_JWT_EDDSA, NULL,
                 "is no Ed25519 key, which EdDSA needs");
    test_refused(test_pem(test_p384), NGX_SF_JWT_ES256, NULL,
                 "is not on the curve P-256, which ES256 needs");
    test_refused(test_pem(test_short), NGX_SF_JWT_RS256, NULL,
                 "is an RSA key of less than 2048 bits");
    test_refused(test_private(test_rsa), NGX_SF_JWT_RS256, NULL,
                 "is a private key: give the public one");
    test_refused(test_join(test_pem(test_rsa), "", test_private(test_rsa)),
                 NGX_SF_JWT_RS256, NULL, "is a private key");
    test_refused(test_join(test_pem(test_rsa), "", test_pem(test_ec)),
                 NGX_SF_JWT_RS256, NULL, "has more than one key");

    cert = unit_str(certificate, strlen(certificate));
    test_refused(cert, NGX_SF_JWT_RS256, NULL, "is a certificate: give its");

    text = unit_str("-----BEGIN PUBLIC KEY-----\nMAA=\n"
                    "-----END PUBLIC KEY-----\n", 57);
    test_refused(text, NGX_SF_JWT_RS256, NULL,
                 "is no public key that can be read");

    text = test_pem(test_rsa);
    text.len /= 2;
    test_refused(text, NGX_SF_JWT_RS256, NULL,
                 "holds no key in PEM that can be read");

    text = unit_str("-----BEGIN EC PARAMETERS-----\nMAA=\n"
                    "-----END EC PARAMETERS-----\n", 63);
    test_refused(text, NGX_SF_JWT_ES256, NULL,
                 "begins with something that is no public key");
}


static void
test_sets(void)
{
    ngx_str_t          text;
    ngx_uint_t         i;
    ngx_sf_jwt_set_t  *set;

    static const test_bad_t  bad[] = {
        { "", "is neither PEM nor a JWK set in JSON" },
        { "keys", "is neither PEM nor a JWK set in JSON" },
        { "{\"keys\":[]", "is neither PEM nor a JWK set in JSON" },
        { "{\"keys\":[],\"keys\":[]}", "is neither PEM" },
        { "[]", "is no JWK set: it has no array \"keys\"" },
        { "{\"kty\":\"RSA\"}", "is no JWK set: it has no array" },
        { "{\"keys\":{}}", "is no JWK set: it has no array" },
        { "{\"keys\":[]}", "has no keys" },
        { "{\"keys\":[1]}", "has no key to use: key number 1 has no \"alg\"" },
        { "{\"keys\":[{\"kty\":\"oct\"}]}", "key number 1 has no \"alg\"" },
        { "{\"keys\":[{\"alg\":\"RS512\",\"kty\":\"RSA\"}]}",
          "key number 1 has an \"alg\" that is none of RS256, ES256, EdDSA, "
          "HS256" },
        { "{\"keys\":[{\"alg\":5,\"kty\":\"RSA\"}]}", "that is none of" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"use\":\"enc\"}]}",
          "is not for signatures: its \"use\" is not \"sig\"" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"use\":1}]}",
          "its \"use\" is not \"sig\"" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"key_ops\":[\"sign\",1]}]}",
          "\"verify\" is not among its \"key_ops\"" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"key_ops\":\"verify\"}]}",
          "\"verify\" is not among" },
        { "{\"keys\":[{\"alg\":\"RS256\",\"kty\":\"oct\",\"k\":\"QQ\"}]}",
          "has another \"kty\" than its algorithm needs" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"kty\":\"RSA\",\"n\":\"QQ\"}]}",
          "has another \"kty\"" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"kty\":\"oct\"}]}",
          "has a bad key: key number 1 has no \"k\"" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"kty\":\"oct\",\"k\":\"A=\"}]}",
          "has no \"k\" in base64url" },
        { "{\"keys\":[{\"alg\":\"HS256\",\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}",
          "is a key of less than 32 bytes, too short for HS256" },
        { "{\"keys\":[{\"alg\":\"RS256\",\"kty\":\"RSA\",\"n\":\"!\"}]}",
          "has no \"n\" and \"e\"" },
        { "{\"keys\":[{\"alg\":\"RS256\",\"kty\":\"RSA\",\"n\":\"AQ\","
          "\"e\":\"AQAB\"}]}", "key number 1 is an RSA key of less than" },
        { "{\"keys\":[{\"alg\":\"RS256\",\"kty\":\"RSA\",\"d\":\"AQ\"}]}",
          "is a private key: give the public one" },
        { "{\"keys\":[{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-384\"}]}",
          "is not on the curve P-256, which ES256 needs" },
        { "{\"keys\":[{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-256\","
          "\"x\":\"QQ\"}]}", "has no \"x\" and \"y\"" },
        { "{\"keys\":[{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-256\","
          "\"x\":\"QQ\",\"y\":\"QQ\"}]}",
          "has coordinates that are not 32 bytes long" },
        { "{\"keys\":[{\"alg\":\"ES256\",\"kty\":\"EC\",\"crv\":\"P-256\","
          "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
          "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}",
          "is no public key that can be read" },
        { "{\"keys\":[{\"alg\":\"EdDSA\",\"kty\":\"OKP\",\"crv\":\"Ed448\"}]}",
          "is no Ed25519 key, which EdDSA needs" },
        { "{\"keys\":[{\"alg\":\"EdDSA\",\"kty\":\"OKP\",\"crv\":\"Ed25519\","
          "\"x\":\"QQ\"}]}", "has a coordinate that is not 32 bytes long" },
        { NULL, NULL }
    };

    for (i = 0; bad[i].text; i++) {
        text = unit_str(bad[i].text, strlen(bad[i].text));
        test_refused(text, NGX_SF_JWT_NO_ALG, NULL, bad[i].why);
    }

    test_refused(test_jwks(test_jwk(test_short, ",\"alg\":\"RS256\""), NULL,
                           NULL), NGX_SF_JWT_NO_ALG, NULL,
                 "is an RSA key of less than 2048 bits");
    test_refused(test_jwks(test_jwk(test_rsa, ",\"kid\":1"), NULL, NULL),
                 NGX_SF_JWT_RS256, NULL, "has a \"kid\" that is no string");
    test_refused(test_jwks(test_jwk(test_rsa, ",\"kid\":\"a\""),
                           test_jwk(test_ec, ",\"alg\":\"RSA-OAEP\""),
                           test_jwk(test_rsa2, ",\"kid\":\"a\"")),
                 NGX_SF_JWT_RS256, NULL,
                 "has a bad key: key number 3 has the \"kid\" of another one");
    test_refused(test_jwks(test_jwk(test_rsa, ""), NULL, NULL),
                 NGX_SF_JWT_RS256, "a", "kid= is for PEM");
    test_refused(test_jwks(test_jwk(test_ec, ",\"alg\":\"ES256\""), NULL,
                           NULL), NGX_SF_JWT_RS256, NULL,
                 "has another \"alg\" than alg= says");

    /* the exponents 1, 2 and 2^64 + 1 */

    text = test_jwks(test_jwk(test_rsa, ",\"alg\":\"RS256\""), NULL, NULL);
    text.data[ngx_strstr(text.data, "AQAB") - (char *) text.data + 2] = '?';
    test_refused(text, NGX_SF_JWT_NO_ALG, NULL, "has no \"n\" and \"e\"");

    for (i = 0; i < 3; i++) {
        static const char  *exponents[] = { "AAAB", "AAAC", "AQAAAAAAAAAB" };

        char  buf[4096];

        text.len = snprintf(buf, sizeof(buf), "{\"keys\":[{\"kty\":\"RSA\","
                            "\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"%s\"}]}",
                            test_number(test_rsa, "n"), exponents[i]);
        test_refused(unit_str(buf, text.len), NGX_SF_JWT_NO_ALG, NULL,
                     "bad exponent");
    }

    /* those of others are passed over */

    text = test_jwks(test_jwk(test_short, ",\"use\":\"enc\""),
                     test_jwk(test_p384, ",\"alg\":\"ES384\""),
                     test_jwk(test_ec, ",\"alg\":\"ES256\",\"use\":\"sig\","
                              "\"key_ops\":[\"verify\"]"));
    set = test_read(text, NGX_SF_JWT_NO_ALG, NULL);

    if (unit_ok(set && set->keys->nelts == 1 && set->jwks, "one of three")) {
        test_good(test_sign(test_ec, "{\"alg\":\"ES256\"}", TEST_CLAIMS("")),
                  test_trust(1, set, NULL), "which is good");

        /* a set that cannot be read leaves the one that was there */

        text.len--;
        unit_ok(ngx_sf_jwt_set_read(set, &text,
                                    &(ngx_sf_jwt_terms_t)
                                    { NGX_SF_JWT_NO_ALG, ngx_null_string },
                                    &unit_log, test_why)
                == NGX_ERROR, "half of a file is none");
        test_good(test_sign(test_ec, "{\"alg\":\"ES256\"}", TEST_CLAIMS("")),
                  test_trust(1, set, NULL), "the old keys stay");
        ngx_sf_jwt_set_clear(set);
    }
}


/* which key it is, is not for a token to say */

static void
test_choice(void)
{
    ngx_str_t            text, token;
    ngx_sf_jwt_set_t    *set, *pem;
    ngx_sf_jwt_trust_t  *trust;

    text = test_jwks(test_jwk(test_rsa, ",\"alg\":\"RS256\",\"kid\":\"a\""),
                     test_jwk(test_rsa2, ",\"alg\":\"RS256\",\"kid\":\"b\""),
                     test_jwk(test_ec, ",\"alg\":\"ES256\",\"kid\":\"\""));
    set = test_read(text, NGX_SF_JWT_NO_ALG, NULL);
    pem = test_read(test_pem(test_ed), NGX_SF_JWT_EDDSA, NULL);
    trust = test_trust(1, set, pem);

#define test_by(pkey, header)                                                 \
    test_sign(pkey, "{" header "}", TEST_CLAIMS(""))

    test_good(test_by(test_rsa, "\"alg\":\"RS256\",\"kid\":\"a\""), trust,
              "the key a");
    test_good(test_by(test_rsa2, "\"alg\":\"RS256\",\"kid\":\"b\""), trust,
              "the key b");
    test_reason(test_by(test_rsa, "\"alg\":\"RS256\",\"kid\":\"b\""), trust,
                "wrong signature", "a kid leaves no choice");
    test_reason(test_by(test_rsa, "\"alg\":\"RS256\",\"kid\":\"c\""), trust,
                "no key has its kid", "no such key");
    test_reason(test_by(test_rsa, "\"alg\":\"RS256\",\"kid\":\"a\\u0000\""),
                trust, "no key has its kid", "a longer name");
    test_reason(test_by(test_rsa, "\"alg\":\"RS256\""), trust,
                "several keys have its algorithm, and it has no kid",
                "two keys, and no kid");
    test_good(test_by(test_ec, "\"alg\":\"ES256\""), trust,
              "one key of an algorithm");
    test_good(test_by(test_ec, "\"alg\":\"ES256\",\"kid\":\"\""), trust,
              "an empty name is one");
    test_good(test_by(test_ed, "\"alg\":\"EdDSA\""), trust, "one without kid");
    test_reason(test_by(test_ed, "\"alg\":\"EdDSA\",\"kid\":\"x\""), trust,
                "no key has its kid", "whose kid is unknown");
    test_reason(test_by(test_rsa, "\"alg\":\"ES256\",\"kid\":\"a\""), trust,
                "its key is of another algorithm", "another algorithm");
    test_reason(test_by(test_rsa, "\"alg\":\"PS256\",\"kid\":\"a\""), trust,
                "algorithm is none of " NGX_SF_JWT_ALGS, "PS256");
    test_reason(test_by(test_rsa, "\"alg\":\"none\",\"kid\":\"a\""), trust,
                "algorithm is none of " NGX_SF_JWT_ALGS, "none");
    test_reason(test_by(test_rsa, "\"alg\":\"rs256\",\"kid\":\"a\""), trust,
                "algorithm is none of " NGX_SF_JWT_ALGS, "small letters");
    test_reason(test_by(test_rsa, "\"kid\":\"a\""), trust,
                "algorithm is none of " NGX_SF_JWT_ALGS, "no algorithm");
    test_reason(test_by(test_rsa, "\"alg\":\"RS256\",\"kid\":\"a\",\"crit\":"
                        "[\"exp\"]"), trust, "asks for extensions by crit",
                "crit");
    test_reason(test_by(test_rsa, "\"alg\":\"RS256\",\"kid\":[\"a\"]"), trust,
                "kid is no string", "a list of names");

    /* a public key is no secret, in whatever form */

    text = test_pem(test_rsa);
    token = test_hmac(text.data, text.len, "{\"alg\":\"HS256\"}",
                      TEST_CLAIMS(""));
    test_reason(token, trust, "no key has its algorithm", "PEM as a secret");
    token = test_hmac(text.data, text.len,
                      "{\"alg\":\"HS256\",\"kid\":\"a\"}", TEST_CLAIMS(""));
    test_reason(token, trust, "its key is of another algorithm",
                "PEM as a secret, with its name");

    test_secret(trust, "ours", 4);
    test_reason(token, trust, "its key is of another algorithm",
                "PEM as a secret, beside another");
    token = test_hmac(text.data, text.len, "{\"alg\":\"HS256\"}",
                      TEST_CLAIMS(""));
    test_reason(token, trust, "wrong signature", "which is tried");
    test_reason(test_by(test_rsa, "\"alg\":\"HS256\""), trust,
                "wrong signature", "a signature as a code");

    test_good(test_hmac("ours", 4, "{\"alg\":\"HS256\"}", TEST_CLAIMS("")),
              trust, "by the secret");
    test_good(test_hmac("ours", 4, "{\"alg\":\"HS256\",\"kid\":\"z\"}",
                        TEST_CLAIMS("")), trust, "which has no name");

    ngx_sf_jwt_set_clear(pem);
    ngx_sf_jwt_set_clear(set);
}


/* HS256 of a file, beside a secret */

static void
test_secrets(void)
{
    ngx_str_t            text;
    ngx_sf_jwt_set_t    *set;
    ngx_sf_jwt_trust_t  *trust;

    static const char  k[] = "0123456789abcdef0123456789abcdef";

    text = test_jwks("{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"s\",\"k\":"
                     "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}",
                     NULL, NULL);
    set = test_read(text, NGX_SF_JWT_NO_ALG, NULL);
    trust = test_trust(1, set, NULL);

    test_good(test_hmac(k, 32, "{\"alg\":\"HS256\"}", TEST_CLAIMS("")), trust,
              "HS256 of a file");
    test_good(test_hmac(k, 32, "{\"alg\":\"HS256\"}",
                        "{" TEST_WHO ",\"user_id\":7}"), trust,
              "which need not end");

    test_secret(trust, "ours", 4);

    test_good(test_hmac(k, 32, "{\"alg\":\"HS256\"}", TEST_CLAIMS("")), trust,
              "beside a secret");
    test_good(test_hmac("ours", 4, "{\"alg\":\"HS256\"}", TEST_CLAIMS("")),
              trust, "the secret beside it");
    test_reason(test_hmac("ours", 4, "{\"alg\":\"HS256\",\"kid\":\"s\"}",
                          TEST_CLAIMS("")), trust, "wrong signature",
                "a kid leaves no choice");

    ngx_sf_jwt_set_clear(set);
}


/* what is looked at before the signature, which is wrong here */

static void
test_claims(void)
{
    ngx_uint_t           i;
    ngx_sf_jwt_set_t    *set;
    ngx_sf_jwt_trust_t  *trust, *bare;

    static const test_bad_t  claims[] = {
        { "{" TEST_WHO ",\"exp\":2000,\"user_id\":7}", "wrong signature" },
        { "{" TEST_WHO ",\"exp\":2000,\"user_id\":7,\"type\":\"access\"}",
          "wrong signature" },
        { "{" TEST_WHO ",\"exp\":2000,\"user_id\":7,\"type\":\"refresh\"}",
          "no access token" },
        { "{" TEST_WHO ",\"exp\":2000,\"user_id\":7,\"type\":null}",
          "no access token" },
        { "{" TEST_WHO ",\"user_id\":7}", "no exp" },
        { "{" TEST_WHO ",\"exp\":1000,\"user_id\":7}", "expired" },
        { "{" TEST_WHO ",\"exp\":2000,\"nbf\":1001,\"user_id\":7}",
          "not valid yet" },
        { "{" TEST_WHO ",\"exp\":2000}", "user is no number" },
        { "{\"aud\":\"api\",\"exp\":2000,\"user_id\":7}",
          "made by another issuer" },
        { "{\"iss\":\"https://issuer.example/\",\"aud\":\"api\","
          "\"exp\":2000,\"user_id\":7}", "made by another issuer" },
        { "{\"iss\":[\"https://issuer.example\"],\"aud\":\"api\","
          "\"exp\":2000,\"user_id\":7}", "made by another issuer" },
        { "{\"iss\":\"https://issuer.example\",\"exp\":2000,\"user_id\":7}",
          "made for another audience" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":null,\"exp\":2000,"
          "\"user_id\":7}", "made for another audience" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":\"API\",\"exp\":2000,"
          "\"user_id\":7}", "made for another audience" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":\"api\\u0000\","
          "\"exp\":2000,\"user_id\":7}", "made for another audience" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":[],\"exp\":2000,"
          "\"user_id\":7}", "made for another audience" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":[\"x\",\"y\"],"
          "\"exp\":2000,\"user_id\":7}", "made for another audience" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":[\"x\",\"api\"],"
          "\"exp\":2000,\"user_id\":7}", "wrong signature" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":[\"other\"],"
          "\"exp\":2000,\"user_id\":7}", "wrong signature" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":[\"api\",5],"
          "\"exp\":2000,\"user_id\":7}", "aud is not of strings" },
        { "{\"iss\":\"https://issuer.example\",\"aud\":{\"api\":\"api\"},"
          "\"exp\":2000,\"user_id\":7}", "made for another audience" },
        { NULL, NULL }
    };

    set = test_read(test_jwks(test_jwk(test_ed, ""), NULL, NULL),
                    NGX_SF_JWT_EDDSA, NULL);
    trust = test_trust(1, set, NULL);

    for (i = 0; claims[i].text; i++) {
        test_reason(test_sign(test_rsa, "{\"alg\":\"EdDSA\"}",
                              claims[i].text), trust, claims[i].why,
                    claims[i].text);
    }

    /* another claim has the user */

    ngx_str_set(&trust->user, "sub");
    test_good(test_sign(test_ed, "{\"alg\":\"EdDSA\"}",
                        "{" TEST_WHO ",\"exp\":2000,\"sub\":\"7\"}"), trust,
              "the user is in sub");
    test_reason(test_sign(test_ed, "{\"alg\":\"EdDSA\"}",
                          "{" TEST_WHO ",\"exp\":2000,\"user_id\":7}"), trust,
                "user is no number", "and nowhere else");

    /* an issuer that publishes its keys signs for others, too */

    bare = test_trust(0, set, NULL);
    test_reason(test_sign(test_ed, "{\"alg\":\"EdDSA\"}", "{\"type\":"
                          "\"access\",\"exp\":2000,\"user_id\":7}"), bare,
                "no key has its algorithm", "a set without an issuer");

    ngx_sf_jwt_set_clear(set);
}


static void
test_shapes(EVP_PKEY *pkey, ngx_sf_jwt_alg_e alg, const char *header,
    const char *name)
{
    u_char               ch;
    size_t               i, dot;
    ngx_str_t            token, part;
    ngx_uint_t           taken;
    ngx_sf_jwt_set_t    *set;
    ngx_sf_jwt_trust_t  *trust;

    set = test_read(test_pem(pkey), alg, NULL);
    trust = test_trust(1, set, NULL);

    token = test_sign(pkey, header, TEST_CLAIMS(""));
    test_good(token, trust, name);

    for (dot = token.len; token.data[dot - 1] != '.'; dot--) { /* void */ }

    taken = 0;

    for (i = 0; i < token.len; i += 1 + (i > dot + 8 && i + 9 < token.len)) {
        ch = token.data[i];
        token.data[i] = ch == 'A' ? 'B' : 'A';
        taken += test_verify(token, trust) == NULL;
        token.data[i] = ch;
    }

    for (i = 0; i < 256; i++) {
        ch = token.data[token.len - 1];
        token.data[token.len - 1] = (u_char) i;
        taken += i != ch && test_verify(token, trust) == NULL;
        token.data[token.len - 1] = ch;
    }

    for (i = 1; i <= token.len - dot; i++) {
        part = token;
        part.len -= i;
        taken += test_verify(part, trust) == NULL;
    }

    taken += test_verify(test_join(token, "A", unit_str("", 0)), trust)
             == NULL;
    taken += test_verify(test_join(token, "=", unit_str("", 0)), trust)
             == NULL;
    taken += test_verify(test_join(token, "AAAA", unit_str("", 0)), trust)
             == NULL;

    part = token;
    part.len = dot;
    taken += test_verify(test_join(part, "AAAA",
                                   unit_str((char *) token.data + dot,
                                            token.len - dot)), trust)
             == NULL;

    unit_ok(taken == 0, "%s: no other signature is: %lu", name,
            (unsigned long) taken);

    if (pkey == test_ec) {
        test_reason(test_sign_as(pkey, header, TEST_CLAIMS(""), 0), trust,
                    "wrong signature", "DER is not what JWS has");
        part.len = dot;
        ngx_memset(token.data + dot, 'A', token.len - dot);
        test_reason(token, trust, "wrong signature", "r and s are 0");
    }

    ngx_sf_jwt_set_clear(set);
}


static void
test_clashes(void)
{
    const char        *why;
    ngx_sf_jwt_set_t  *a, *b, *c, *sets[2];

    a = test_read(test_pem(test_rsa), NGX_SF_JWT_RS256, NULL);
    b = test_read(test_pem(test_rsa2), NGX_SF_JWT_RS256, "b");
    c = test_read(test_jwks(test_jwk(test_ec, ",\"kid\":\"b\",\"alg\":"
                                     "\"ES256\""),
                            test_jwk(test_ed, ",\"alg\":\"EdDSA\""), NULL),
                  NGX_SF_JWT_NO_ALG, NULL);

    sets[0] = a;
    sets[1] = b;
    why = ngx_sf_jwt_sets_check(sets, 2);
    unit_ok(why && strstr(why, "a key without a kid"), "%s", why);

    sets[0] = c;
    why = ngx_sf_jwt_sets_check(sets, 2);
    unit_ok(why && strstr(why, "the same kid"), "%s", why);

    sets[1] = a;
    unit_ok(ngx_sf_jwt_sets_check(sets, 2) == NULL, "each can be chosen");

    test_reason(test_sign(test_ec, "{\"alg\":\"ES256\",\"kid\":\"b\"}",
                          TEST_CLAIMS("")), test_trust(1, b, c),
                "several keys have its kid", "one name in two files");

    ngx_sf_jwt_set_clear(a);
    ngx_sf_jwt_set_clear(b);
    ngx_sf_jwt_set_clear(c);
}


int
main(void)
{
    unit_init();

    test_rsa = EVP_RSA_gen(2048);
    test_rsa2 = EVP_RSA_gen(3072);
    test_short = EVP_RSA_gen(2040);
    test_ec = EVP_EC_gen("P-256");
    test_p384 = EVP_EC_gen("P-384");
    test_ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

    test_rfc();
    test_der();
    test_pems();
    test_sets();
    test_choice();
    test_secrets();
    test_claims();
    test_shapes(test_rsa, NGX_SF_JWT_RS256, "{\"alg\":\"RS256\"}", "RS256");
    test_shapes(test_ec, NGX_SF_JWT_ES256, "{\"alg\":\"ES256\"}", "ES256");
    test_shapes(test_ed, NGX_SF_JWT_EDDSA, "{\"alg\":\"EdDSA\"}", "EdDSA");
    test_clashes();

    EVP_PKEY_free(test_rsa);
    EVP_PKEY_free(test_rsa2);
    EVP_PKEY_free(test_short);
    EVP_PKEY_free(test_ec);
    EVP_PKEY_free(test_p384);
    EVP_PKEY_free(test_ed);

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Cross-origin headers (WHATWG Fetch, "CORS protocol").
 *
 * An allowed Origin is echoed; any other, and a request without one, gets no
 * header and is served normally: the browser decides.  What depends on the
 * Origin says so in Vary, also for those that are not allowed, so that no
 * cache mixes the two.
 */


#include "ngx_sf_http.h"


/* of all names that a preflight may be allowed */

#define NGX_SF_CORS_HEADERS_LEN                                               \
    (sizeof("Authorization, Content-Type, X-Requested-With") - 1)


#define NGX_SF_CORS_PORT  65535


typedef struct {
    const char                 *name;
    ngx_str_t                   value;
} ngx_sf_cors_header_t;


/* what an origin begins with, and the port that is then left out */

typedef struct {
    ngx_str_t                   begin;
    ngx_int_t                   port;
} ngx_sf_cors_scheme_t;


static ngx_int_t ngx_sf_cors_add(ngx_http_request_t *r,
    const ngx_sf_cors_header_t *header);
static ngx_int_t ngx_sf_cors_allow_headers(ngx_http_request_t *r);
static ngx_uint_t ngx_sf_cors_names(const ngx_str_t *list,
    const ngx_str_t *name);
static const char *ngx_sf_cors_wrong_host(u_char *p, u_char *last);
static const char *ngx_sf_cors_wrong_port(u_char *p, u_char *last,
    ngx_int_t own);


static const ngx_sf_cors_header_t  ngx_sf_cors_response[] = {
    { "Access-Control-Allow-Credentials", ngx_string("true") },
    { "Access-Control-Expose-Headers",
      ngx_string("Retry-After, WWW-Authenticate, X-RateLimit-Limit, "
                 "X-RateLimit-Remaining") },
    { NULL, ngx_null_string }
};

static const ngx_sf_cors_header_t  ngx_sf_cors_preflight[] = {
    { "Access-Control-Allow-Credentials", ngx_string("true") },
    { "Access-Control-Allow-Methods",
      ngx_string("DELETE, GET, OPTIONS, POST, PUT") },
    { "Access-Control-Max-Age", ngx_string("600") },
    { NULL, ngx_null_string }
};

static const ngx_sf_cors_scheme_t  ngx_sf_cors_schemes[] = {
    { ngx_string("http://"), 80 },
    { ngx_string("https://"), 443 },
    { ngx_null_string, 0 }
};

static const ngx_str_t  ngx_sf_cors_request_headers[] = {
    ngx_string("Authorization"),
    ngx_string("Content-Type"),
    ngx_string("X-Requested-With"),
    ngx_null_string
};


/*
 * Origins are compared as bytes: a browser writes one in one way only, which is
 * also the only one that the directive accepts (ngx_sf_cors_wrong()).
 */

ngx_int_t
ngx_sf_cors_headers(ngx_http_request_t *r, const ngx_array_t *origins,
    ngx_uint_t preflight)
{
    ngx_str_t        *allowed;
    ngx_uint_t        i;
    const ngx_str_t  *origin;

    static const ngx_str_t  vary = ngx_string("Origin");

    if (origins == NULL) {
        return NGX_OK;
    }

    if (ngx_sf_header_add(r, "Vary", &vary) != NGX_OK) {
        return NGX_ERROR;
    }

    origin = ngx_sf_header_find(r, "origin");

    if (origin == NULL) {
        return NGX_OK;
    }

    allowed = origins->elts;

    for (i = 0; i < origins->nelts; i++) {
        if (allowed[i].len != origin->len
            || ngx_memcmp(allowed[i].data, origin->data, origin->len) != 0)
        {
            continue;
        }

        if (ngx_sf_header_add(r, "Access-Control-Allow-Origin",
                                   &allowed[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!preflight) {
            return ngx_sf_cors_add(r, ngx_sf_cors_response);
        }

        return ngx_sf_cors_add(r, ngx_sf_cors_preflight) == NGX_OK
               ? ngx_sf_cors_allow_headers(r) : NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_sf_cors_add(ngx_http_request_t *r, const ngx_sf_cors_header_t *header)
{
    for ( /* void */ ; header->name; header++) {
        if (ngx_sf_header_add(r, header->name, &header->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* those of ours that the preflight asks for */

static ngx_int_t
ngx_sf_cors_allow_headers(ngx_http_request_t *r)
{
    u_char           *p;
    ngx_str_t         allowed;
    ngx_uint_t        i;
    const ngx_str_t  *asked;

    asked = ngx_sf_header_find(r, "access-control-request-headers");

    if (asked == NULL) {
        return NGX_OK;
    }

    allowed.data = ngx_pnalloc(r->pool, NGX_SF_CORS_HEADERS_LEN);
    if (allowed.data == NULL) {
        return NGX_ERROR;
    }

    p = allowed.data;

    for (i = 0; ngx_sf_cors_request_headers[i].len; i++) {
        if (!ngx_sf_cors_names(asked, &ngx_sf_cors_request_headers[i])) {
            continue;
        }

        if (p > allowed.data) {
            p = ngx_cpymem(p, ", ", 2);
        }

        p = ngx_cpymem(p, ngx_sf_cors_request_headers[i].data,
                       ngx_sf_cors_request_headers[i].len);
    }

    allowed.len = p - allowed.data;

    if (allowed.len == 0) {
        return NGX_OK;
    }

    return ngx_sf_header_add(r, "Access-Control-Allow-Headers", &allowed);
}


/* whether a list of names, separated by commas, has this one */

static ngx_uint_t
ngx_sf_cors_names(const ngx_str_t *list, const ngx_str_t *name)
{
    u_char  *p, *last, *start;

    p = list->data;
    last = list->data + list->len;

    while (p < last) {
        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        start = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            p++;
        }

        if ((size_t) (p - start) == name->len
            && ngx_strncasecmp(start, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * What a browser never sends would never match, and nobody would learn why.  So
 * the form of an origin is checked when the configuration is read: small
 * letters, no slash at the end, no port that the scheme implies.  The result
 * goes into a sentence: "... is no origin of browsers, which ...".
 */

const char *
ngx_sf_cors_wrong(const ngx_str_t *origin)
{
    u_char                      *p, *host, *last;
    const char                  *why;
    const ngx_sf_cors_scheme_t  *scheme;

    last = origin->data + origin->len;

    for (p = origin->data; p < last; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            return "which have small letters only";
        }

        if (*p >= 0x80) {
            return "which write other letters as \"xn--\"";
        }
    }

    for (scheme = ngx_sf_cors_schemes; scheme->port; scheme++) {
        if (origin->len >= scheme->begin.len
            && ngx_memcmp(origin->data, scheme->begin.data,
                          scheme->begin.len)
               == 0)
        {
            break;
        }
    }

    if (scheme->port == 0) {
        return "which begin with \"http://\" or \"https://\"";
    }

    host = origin->data + scheme->begin.len;
    p = host;

    if (p < last && *p == '[') {
        p = ngx_strlchr(p, last, ']');
        p = p ? p + 1 : last;
    }

    while (p < last && *p != ':') {
        p++;
    }

    why = ngx_sf_cors_wrong_host(host, p);

    return why || p == last ? why
                            : ngx_sf_cors_wrong_port(p + 1, last,
                                                     scheme->port);
}


/* a name, an address of IPv4, or one of IPv6 in brackets */

static const char *
ngx_sf_cors_wrong_host(u_char *p, u_char *last)
{
    ngx_str_t        text;
    u_char           addr[16];

    if (p == last) {
        return "which have a host";
    }

    if (*p == '[') {
        text.data = p + 1;
        text.len = last - p - 1;

        return text.len && last[-1] == ']'
#if (NGX_HAVE_INET6)
               && ngx_inet6_addr(text.data, text.len - 1, addr) == NGX_OK
#endif
               ? NULL : "which have an address of IPv6 in \"[]\"";
    }

    for ( /* void */ ; p < last; p++) {
        if (*p == '/' || *p == '?' || *p == '#') {
            return "which end with the host or the port, without a slash";
        }

        if ((*p < 'a' || *p > 'z') && (*p < '0' || *p > '9')
            && *p != '.' && *p != '-' && *p != '_')
        {
            return "which name one host, by letters, digits, \"-\", \"_\" "
                   "and \".\"";
        }
    }

    return NULL;
}


/* decimal, without zeros before it (URL standard, "port state") */

static const char *
ngx_sf_cors_wrong_port(u_char *p, u_char *last, ngx_int_t own)
{
    ngx_int_t  port;

    if (p < last && last[-1] == '/') {
        return "which end with the host or the port, without a slash";
    }

    port = *p == '0' ? NGX_ERROR : ngx_atoi(p, last - p);

    if (port < 1 || port > NGX_SF_CORS_PORT) {
        return "which have a port between 1 and 65535";
    }

    return port == own ? "which leave the scheme's own port out" : NULL;
}

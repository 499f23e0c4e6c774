
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Headers of a request, and the tag of a purge, as any client may send them.
 * The input is a byte of flags and then lines, "Name: value", or "?" and a
 * query string.
 *
 *     If-None-Match    nginx's own filter is run on what was chosen: a response
 *                      goes out under the tag of its form, whatever is asked
 *     Accept-Encoding  by another reading of the grammar
 *     traceparent, X-Request-Id, Origin and those of a preflight: nothing but
 *                      what was sent, in the form that it must have
 *     ?tag=            moves what it names, or nothing
 */


#include "../tools/workers.c"

#include "ngx_sf_observe.h"

#include <jansson.h>
#include <regex.h>


#define FUZZ_LINES      32
#define FUZZ_BODY       1000
#define FUZZ_REQUEST    0               /* index of $request_id */

enum {
    FUZZ_ERROR_PAGE = 1,                /* as 404 */
    FUZZ_SUBREQUEST = 2,
    FUZZ_HEAD       = 4,
    FUZZ_POST       = 8,
    FUZZ_NO_FORM    = 16,               /* it is not compressed */
    FUZZ_PERL       = 32                /* disable_not_modified */
};

enum {
    FUZZ_CORE = 0,
    FUZZ_MODULE,
    FUZZ_CONFS
};


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern ngx_module_t  ngx_http_not_modified_filter_module;


static const char  fuzz_plain[] = "\"0123456789abcdef0123456789abcdef\"";
static const char  fuzz_gzip[] = "\"0123456789abcdef0123456789abcdgz\"";

static ngx_str_t  fuzz_origins[] = {
    ngx_string("https://a.example"),
    ngx_string("http://b.example:8080")
};

static ngx_sf_zone_t              *fuzz_zone;
static ngx_sf_entry_t             *fuzz_response, *fuzz_form;
static ngx_array_t                 fuzz_allowed;
static ngx_sf_loc_conf_t           fuzz_slcf;
static ngx_sf_main_conf_t          fuzz_smcf;
static ngx_http_core_main_conf_t   fuzz_cmcf;
static void                       *fuzz_main[FUZZ_CONFS];
static void                       *fuzz_loc[FUZZ_CONFS];
static ngx_http_variable_value_t   fuzz_variables[1];
static ngx_connection_t            fuzz_connection;
static regex_t                     fuzz_trace, fuzz_id, fuzz_accept;
static uint64_t                    fuzz_before[NGX_SF_COUNTERS];


static void
fuzz_require(ngx_uint_t good, const char *what)
{
    if (!good) {
        fprintf(stderr, "FAILED: %s\n", what);
        abort();
    }
}


/* --- what nginx does around a handler --- */

static ngx_int_t
fuzz_sent(ngx_http_request_t *r)
{
    r->header_sent = 1;

    return NGX_OK;
}


static ngx_int_t
fuzz_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    json_t  *doc;

    doc = json_loadb((char *) in->buf->pos, in->buf->last - in->buf->pos, 0,
                     NULL);
    fuzz_require(json_is_object(doc), "a response in JSON");
    json_decref(doc);

    return NGX_OK;
}


/* text in a block of its own: a byte read past the end is found */

static ngx_str_t
fuzz_copy(ngx_pool_t *pool, const uint8_t *data, size_t len)
{
    ngx_str_t  text;

    text.len = len;
    text.data = ngx_pnalloc(pool, len + (len == 0));
    fuzz_require(text.data != NULL, "memory");
    ngx_memcpy(text.data, data, len);

    return text;
}


/* nginx takes no control characters, and those two headers once */

static void
fuzz_header(ngx_http_request_t *r, const uint8_t *p, size_t len)
{
    size_t             i;
    const uint8_t     *colon;
    ngx_table_elt_t   *h, **known;

    colon = memchr(p, ':', len);

    if (colon == NULL) {
        return;
    }

    h = ngx_list_push(&r->headers_in.headers);
    fuzz_require(h != NULL, "memory");
    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = fuzz_copy(r->pool, p, colon - p);
    h->lowcase_key = ngx_pnalloc(r->pool, h->key.len + 1);
    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);

    len -= colon + 1 - p;

    for (p = colon + 1; len && *p == ' '; len--) { p++; }
    for (i = 0; i < len && p[i] >= ' ' && p[i] != 0x7f; i++) { /* void */ }

    h->value = fuzz_copy(r->pool, p, i);

    known = NULL;

    if (h->key.len == 13
        && ngx_memcmp(h->lowcase_key, "if-none-match", 13) == 0)
    {
        known = &r->headers_in.if_none_match;
    }

    if (known && *known == NULL) {
        *known = h;
    }
}


static ngx_http_request_t *
fuzz_request(ngx_pool_t *pool, uint8_t flags, const uint8_t *p, size_t len)
{
    ngx_uint_t           n;
    const uint8_t       *end, *last;
    ngx_http_request_t  *r;

    r = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    fuzz_require(r != NULL, "memory");

    r->pool = pool;
    r->connection = &fuzz_connection;
    r->main_conf = fuzz_main;
    r->loc_conf = fuzz_loc;
    r->srv_conf = fuzz_loc;
    r->variables = fuzz_variables;
    r->main = r;
    r->count = 1;
    r->discard_body = 1;
    r->http_version = NGX_HTTP_VERSION_11;
    r->method = flags & FUZZ_HEAD ? NGX_HTTP_HEAD
                : flags & FUZZ_POST ? NGX_HTTP_POST : NGX_HTTP_GET;
    r->err_status = flags & FUZZ_ERROR_PAGE ? NGX_HTTP_NOT_FOUND : 0;
    r->disable_not_modified = (flags & FUZZ_PERL) != 0;

    fuzz_require(ngx_list_init(&r->headers_in.headers, pool, FUZZ_LINES,
                               sizeof(ngx_table_elt_t)) == NGX_OK
                 && ngx_list_init(&r->headers_out.headers, pool, FUZZ_LINES,
                                  sizeof(ngx_table_elt_t)) == NGX_OK,
                 "memory");

    last = p + len;

    for (n = 0; p < last && n < FUZZ_LINES; n++, p = end + 1) {
        end = memchr(p, '\n', last - p);

        if (end == NULL) {
            end = last;
        }

        if (p < end && *p == '?') {
            r->args = fuzz_copy(pool, p + 1, end - p - 1);

        } else {
            fuzz_header(r, p, end - p);
        }
    }

    return r;
}


/* a header of the response, whose name is ended by a NUL */

static const ngx_str_t *
fuzz_out(ngx_http_request_t *r, const char *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && h[i].key.len == strlen(name)
                && memcmp(h[i].key.data, name, h[i].key.len) == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}


/* whether all of a text matches; one with a NUL matches nothing */

static ngx_uint_t
fuzz_matches(const regex_t *regex, const ngx_str_t *text)
{
    int    rc;
    char  *copy;

    if (text->len && memchr(text->data, '\0', text->len)) {
        return 0;
    }

    copy = strndup((char *) text->data, text->len);
    rc = regexec(regex, copy, 0, NULL, 0);
    free(copy);

    return rc == 0;
}


/* --- the properties --- */

/* RFC 9110, 12.5.3: a well-formed list, weighed by strtok() and strtod() */

static void
fuzz_check_accept(const ngx_str_t *header)
{
    char    *copy, *item, *q, *more;
    double   weight, gzip, any, identity;

    if (header == NULL) {
        return;
    }

    if (!fuzz_matches(&fuzz_accept, header)) {
        (void) ngx_sf_gzip_accepted(header);
        return;
    }

    gzip = any = identity = -1;
    copy = strndup((char *) header->data, header->len);

    for (item = strtok_r(copy, ", \t", &more);
         item;
         item = strtok_r(NULL, ", \t", &more))
    {
        q = strchr(item, ';');
        weight = q ? strtod(q + 3, NULL) : 1;

        if (q) {
            *q = '\0';
        }

        if (strcasecmp(item, "gzip") == 0 || strcasecmp(item, "x-gzip") == 0) {
            gzip = weight;

        } else if (strcmp(item, "*") == 0) {
            any = weight;

        } else if (strcasecmp(item, "identity") == 0) {
            identity = weight;
        }
    }

    free(copy);

    gzip = gzip < 0 ? any : gzip;

    fuzz_require(ngx_sf_gzip_accepted(header)
                 == (gzip > 0 && gzip >= identity), "Accept-Encoding");
}


/* a response of the zone, the form that was chosen, and nginx's filter */

static void
fuzz_check_form(ngx_http_request_t *r, uint8_t flags)
{
    ngx_uint_t           gzip, wanted;
    ngx_sf_ctx_t         ctx;
    ngx_table_elt_t      etag;
    const ngx_str_t     *accept;
    ngx_http_request_t   outer;
    ngx_sf_endpoint_t    endpoint;

    accept = ngx_sf_header_find(r, "accept-encoding");
    wanted = accept && ngx_sf_gzip_accepted(accept)
             && !(flags & (FUZZ_SUBREQUEST|FUZZ_NO_FORM));

    ngx_memzero(&ctx, sizeof(ngx_sf_ctx_t));
    ngx_memzero(&endpoint, sizeof(ngx_sf_endpoint_t));
    ngx_memzero(&etag, sizeof(ngx_table_elt_t));

    if (flags & FUZZ_SUBREQUEST) {
        ngx_memzero(&outer, sizeof(ngx_http_request_t));
        r->main = &outer;
    }

    endpoint.response = (ngx_sf_resource_t *) &endpoint;
    fuzz_response->gzip = flags & FUZZ_NO_FORM ? NULL : fuzz_form;
    fuzz_response->gzip_tried = 1;

    ctx.request = r;
    ctx.slcf = &fuzz_slcf;
    ctx.endpoint = &endpoint;
    ctx.wait.zone = fuzz_zone;
    ctx.wait.found.value = fuzz_response;
    ctx.body.data = fuzz_response->data;
    ctx.body.len = fuzz_response->len;
    ctx.etag.data = fuzz_response->etag;
    ctx.etag.len = NGX_SF_ETAG_LEN;

    fuzz_require(ngx_sf_cache_pin(fuzz_zone, fuzz_response) == NGX_OK, "a pin");

    ngx_sf_gzip_choose(&ctx);

    gzip = r->headers_out.content_encoding != NULL;
    etag.hash = 1;
    etag.value = ctx.etag;

    r->headers_out.etag = &etag;
    r->headers_out.status = r->err_status ? r->err_status : NGX_HTTP_OK;

    fuzz_require(ngx_http_top_header_filter(r) == NGX_OK && r->header_sent,
                 "it is sent");
    fuzz_require(gzip == (ctx.body.data == fuzz_form->data)
                 && gzip == (ctx.wait.found.value == fuzz_form),
                 "the body goes by Content-Encoding");

    if (r->headers_out.status != NGX_HTTP_NOT_MODIFIED) {
        fuzz_require(gzip == wanted, "what is wanted, if not modified");
        fuzz_require(memcmp(etag.value.data, gzip ? fuzz_gzip : fuzz_plain,
                            NGX_SF_ETAG_LEN) == 0, "a form has its own tag");
    }

    ngx_sf_cache_unpin(fuzz_zone, ctx.wait.found.value);
    fuzz_require(fuzz_zone->slot->npins == 0, "nothing stays pinned");

    r->main = r;
}


static void
fuzz_check_trace(ngx_http_request_t *r)
{
    ngx_str_t         id;
    const ngx_str_t  *sent;

    ngx_sf_trace_id(r, &id);
    sent = ngx_sf_header_find(r, "traceparent");

    if (sent && fuzz_matches(&fuzz_trace, sent)
        && memcmp(sent->data, "ff", 2) != 0
        && strspn((char *) sent->data + 3, "0") < 32
        && strspn((char *) sent->data + 36, "0") < 16
        && (sent->len == 55 || memcmp(sent->data, "00", 2) != 0))
    {
        fuzz_require(id.len == 32 && id.data == sent->data + 3, "a trace");

    } else {
        fuzz_require(id.len == 0, "no trace");
    }

    ngx_sf_trace_request_id(r, &id);
    sent = ngx_sf_header_find(r, "x-request-id");

    if (sent && fuzz_matches(&fuzz_id, sent)) {
        fuzz_require(id.len == sent->len && id.data == sent->data, "an id");

    } else {
        fuzz_require(id.len == 8 && id.data == fuzz_variables[0].data,
                     "nginx's own id");
    }
}


/* whether a list has a name, as strtok() finds it */

static ngx_uint_t
fuzz_names(const ngx_str_t *list, const char *name)
{
    char        *copy, *word, *more;
    ngx_uint_t   found;

    found = 0;
    copy = strndup((char *) list->data, list->len);

    for (word = strtok_r(copy, ", \t", &more);
         word;
         word = strtok_r(NULL, ", \t", &more))
    {
        found |= strcasecmp(word, name) == 0;
    }

    free(copy);

    return found;
}


static void
fuzz_check_cors(ngx_http_request_t *r)
{
    size_t            i;
    const ngx_str_t  *origin, *asked, *out;

    static const char  *names[] = { "Authorization", "Content-Type",
                                    "X-Requested-With", "Cookie", NULL };

    fuzz_require(ngx_sf_cors_headers(r, &fuzz_allowed, 1) == NGX_OK,
                 "memory");

    out = fuzz_out(r, "Vary");
    fuzz_require(out && out->len == 6, "Vary");

    origin = ngx_sf_header_find(r, "origin");
    out = fuzz_out(r, "Access-Control-Allow-Origin");

    for (i = 0; i < fuzz_allowed.nelts; i++) {
        if (origin && origin->len == fuzz_origins[i].len
            && memcmp(origin->data, fuzz_origins[i].data, origin->len) == 0)
        {
            break;
        }
    }

    if (i == fuzz_allowed.nelts) {
        fuzz_require(out == NULL
                     && !fuzz_out(r, "Access-Control-Allow-Credentials")
                     && !fuzz_out(r, "Access-Control-Allow-Headers"),
                     "another origin");
        return;
    }

    fuzz_require(out && out->data == fuzz_origins[i].data, "an origin");

    asked = ngx_sf_header_find(r, "access-control-request-headers");
    out = fuzz_out(r, "Access-Control-Allow-Headers");

    for (i = 0; names[i]; i++) {
        fuzz_require((asked && i < 3 && fuzz_names(asked, names[i]))
                     == (out && fuzz_names(out, names[i])), names[i]);
    }
}


/* moves counters and says so, or refuses and moves none */

static void
fuzz_check_purge(ngx_http_request_t *r)
{
    ngx_uint_t  moved;

    if (r->args.len == 0) {
        return;
    }

    r->method = NGX_HTTP_POST;
    r->err_status = 0;
    r->header_sent = 0;
    ngx_memcpy(fuzz_before, (void *) (uintptr_t) fuzz_zone->sh->counters,
               sizeof(fuzz_before));

    fuzz_require(ngx_sf_purge_handler(r) == NGX_OK, "a purge is answered");

    moved = memcmp(fuzz_before, (void *) (uintptr_t) fuzz_zone->sh->counters,
                   sizeof(fuzz_before)) != 0;

    fuzz_require(r->headers_out.status
                 == (moved ? NGX_HTTP_OK : NGX_HTTP_BAD_REQUEST), "a purge");
}


/* --- the target --- */

static ngx_sf_entry_t *
fuzz_entry(const char *etag, u_char text)
{
    ngx_sf_entry_t  *entry;

    entry = ngx_pcalloc(unit_pool, sizeof(ngx_sf_entry_t) + FUZZ_BODY);
    fuzz_require(entry != NULL, "memory");

    entry->refs = 1;
    entry->len = FUZZ_BODY;
    ngx_memset(entry->data, text, FUZZ_BODY);
    ngx_memcpy(entry->etag, etag, NGX_SF_ETAG_LEN);

    return entry;
}


static void
fuzz_filters(void)
{
    ngx_http_module_t  *module;

    ngx_http_top_header_filter = fuzz_sent;
    ngx_http_top_body_filter = fuzz_body;

    module = ngx_http_not_modified_filter_module.ctx;
    fuzz_require(module->postconfiguration(NULL) == NGX_OK, "the filter");
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    unit_init();
    unit_log.log_level = NGX_LOG_EMERG;
    fuzz_connection.log = &unit_log;

    fuzz_zone = workers_start(workers_zone(NGX_SF_ZONE_MIN), ngx_pid);
    fuzz_response = fuzz_entry(fuzz_plain, 'p');
    fuzz_form = fuzz_entry(fuzz_gzip, 'z');

    fuzz_slcf.gzip = 1;
    fuzz_slcf.zone = fuzz_zone;

    fuzz_allowed.elts = fuzz_origins;
    fuzz_allowed.nelts = sizeof(fuzz_origins) / sizeof(ngx_str_t);

    fuzz_cmcf.variables.nelts = 1;
    fuzz_smcf.request_id = FUZZ_REQUEST;
    fuzz_variables[FUZZ_REQUEST].valid = 1;
    fuzz_variables[FUZZ_REQUEST].len = 32;
    fuzz_variables[FUZZ_REQUEST].data =
                             (u_char *) "00112233445566778899aabbccddeeff";

    ngx_http_core_module.ctx_index = FUZZ_CORE;
    ngx_http_softfactory_module.ctx_index = FUZZ_MODULE;
    fuzz_main[FUZZ_CORE] = &fuzz_cmcf;
    fuzz_main[FUZZ_MODULE] = &fuzz_smcf;
    fuzz_loc[FUZZ_MODULE] = &fuzz_slcf;

    fuzz_filters();

    fuzz_require(regcomp(&fuzz_trace, "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}"
                         "-[0-9a-f]{2}(-.*)?$", REG_EXTENDED|REG_NOSUB) == 0
                 && regcomp(&fuzz_id, "^[0-9A-Za-z_.:-]{1,64}$",
                            REG_EXTENDED|REG_NOSUB) == 0
                 && regcomp(&fuzz_accept, "^([ \t]*[a-zA-Z0-9*-]+(;[qQ]=(0("
                            "\\.[0-9]{0,3})?|1(\\.0{0,3})?))?[ \t]*(,|$))*$",
                            REG_EXTENDED|REG_NOSUB) == 0, "a pattern");

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t              flags;
    ngx_pool_t          *pool;
    ngx_http_request_t  *r;

    if (size == 0) {
        return 0;
    }

    flags = data[0];

    pool = ngx_create_pool(4096, &unit_log);
    fuzz_require(pool != NULL, "memory");

    r = fuzz_request(pool, flags, data + 1, size - 1);

    fuzz_check_accept(ngx_sf_header_find(r, "accept-encoding"));
    fuzz_check_trace(r);
    fuzz_check_cors(r);
    fuzz_check_form(r, flags);
    fuzz_check_purge(r);

    ngx_destroy_pool(pool);

    return 0;
}

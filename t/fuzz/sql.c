
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Templates of SQL: whatever stands in one, the tokens and their marks put
 * together are the template again, groups neither nest nor stay open, and a
 * text that was taken for quoted has no name in it when something else stands
 * around it.  Words stand outside of what is quoted, and a text that does not
 * name a fragment stays as it is.
 */


#include "unit.h"

#include "ngx_sf_api.h"
#include "ngx_sf_sql.h"


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
fuzz_require(ngx_uint_t good, const char *what)
{
    if (!good) {
        fprintf(stderr, "FAILED: %s\n", what);
        abort();
    }
}


/* bytes of a token's mark before and behind its text */

static size_t
fuzz_mark(ngx_sf_sql_token_e token)
{
    return token == NGX_SF_SQL_NAME;
}


/* what quotes a template completely is one text, and so no name in another */

static void
fuzz_wrap(const char *text)
{
    char                *p;
    size_t               len;
    ngx_str_t            token;
    ngx_sf_sql_t         sql;

    len = strlen(text);
    p = malloc(len + sizeof("$fuzz_$$fuzz_$"));

    sprintf(p, "$fuzz_$%s$fuzz_$", text);

    if (strstr(text, "$fuzz_$") == NULL && (len == 0 || text[len - 1] != '$'))
    {
        ngx_sf_sql_start(&sql, p);
        fuzz_require(ngx_sf_sql_next(&sql, &token) == NGX_SF_SQL_TEXT
                     && token.len == strlen(p), "a dollar-quoted template");
        fuzz_require(ngx_sf_sql_next(&sql, &token) == NGX_SF_SQL_END,
                     "its end");
    }

    free(p);
}


/* words come in order, and a quoted text has none */

static void
fuzz_words(const char *text)
{
    char                *p;
    size_t               len;
    u_char              *pos;
    ngx_str_t            word;
    ngx_sf_sql_t         sql;

    pos = (u_char *) text;
    len = strlen(text);
    ngx_sf_sql_start(&sql, text);

    while (ngx_sf_sql_word(&sql, &word)) {
        fuzz_require(word.len && word.data >= pos
                     && word.data + word.len <= (u_char *) text + len,
                     "the place of a word");
        fuzz_require(memchr(word.data, '\'', word.len) == NULL
                     && memchr(word.data, ' ', word.len) == NULL, "a word");
        pos = word.data + word.len;
    }

    (void) ngx_sf_statement_clock(text);

    p = malloc(len + sizeof("$fuzz_$$fuzz_$"));
    sprintf(p, "$fuzz_$%s$fuzz_$", text);

    if (strstr(p + 1, "$fuzz_$") == p + len + sizeof("$fuzz_$") - 1) {
        ngx_sf_sql_start(&sql, p);
        fuzz_require(ngx_sf_sql_word(&sql, &word) == 0, "a word in a string");
        fuzz_require(ngx_sf_statement_clock(p) == NULL, "a clock in a string");
    }

    free(p);
}


/* the fragment is longer than its name, and blanks stand around it */

static void
fuzz_expand(const char *text)
{
    size_t               n, names;
    ngx_str_t            token;
    ngx_pool_t          *pool;
    const char          *out;
    ngx_array_t          fragments;
    ngx_sf_sql_t         sql;
    ngx_sf_fragment_t    fragment;
    ngx_sf_sql_token_e   kind;

    pool = ngx_create_pool(1024, &unit_log);

    ngx_memzero(&fragment, sizeof(ngx_sf_fragment_t));
    ngx_memzero(&fragments, sizeof(ngx_array_t));

    ngx_str_set(&fragment.name, "a");
    fragment.text = "(b)";
    fragments.elts = &fragment;

    out = ngx_sf_fragment_expand(pool, &fragments, text);
    fuzz_require(strcmp(out, text) == 0, "without fragments");

    fragments.nelts = 1;
    names = 0;
    ngx_sf_sql_start(&sql, text);

    do {
        kind = ngx_sf_sql_next(&sql, &token);
        names += kind == NGX_SF_SQL_NAME && token.len == 1
                 && token.data[0] == 'a';
    } while (kind != NGX_SF_SQL_END && kind != NGX_SF_SQL_WRONG);

    out = ngx_sf_fragment_expand(pool, &fragments, text);
    n = strlen(text) + names * (sizeof(" (b) ") - sizeof("$a"));
    fuzz_require(strlen(out) == n && fragment.used == (names != 0),
                 "with a fragment");

    ngx_destroy_pool(pool);
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    unit_init();

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                *text;
    size_t               seen;
    ngx_str_t            token;
    ngx_uint_t           group, last;
    ngx_sf_sql_t         sql;
    ngx_sf_sql_token_e   kind;

    text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    size = strlen(text);

    group = 0;
    last = NGX_SF_SQL_END;
    seen = 0;

    ngx_sf_sql_start(&sql, text);

    for ( ;; ) {
        kind = ngx_sf_sql_next(&sql, &token);

        if (kind == NGX_SF_SQL_WRONG) {
            fuzz_require(sql.wrong != NULL, "why it is wrong");
            break;
        }

        if (kind == NGX_SF_SQL_END) {
            fuzz_require(seen == size && !group, "the end");
            break;
        }

        seen += fuzz_mark(kind);
        fuzz_require(token.data == (u_char *) text + seen, "the place");
        seen += token.len;
        fuzz_require(seen <= size, "the length");

        fuzz_require(kind != NGX_SF_SQL_TEXT
                     || (token.len && last != NGX_SF_SQL_TEXT), "a text");
        fuzz_require(kind != NGX_SF_SQL_OPEN || !group++, "[[");
        fuzz_require(kind != NGX_SF_SQL_CLOSE || group--, "]]");

        last = kind;
    }

    fuzz_wrap(text);
    fuzz_words(text);
    fuzz_expand(text);
    free(text);

    return 0;
}

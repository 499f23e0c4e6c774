
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Templates of SQL: whatever stands in one, the tokens and their marks put
 * together are the template again, groups neither nest nor stay open, and a
 * text that was taken for quoted has no name in it when something else stands
 * around it.
 */


#include "unit.h"

#include "ngx_sf_sql.h"


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
    free(text);

    return 0;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Fragments: SQL that several texts share, named in them like a parameter.
 *
 * It takes the place of its name before anything else is looked for, so a
 * fragment may have parameters and groups, which are those of the endpoint
 * that names it.  Its own fragments were put in when it was declared: none
 * names itself.
 */


#include "ngx_sf_api.h"
#include "ngx_sf_sql.h"


static ngx_sf_fragment_t *ngx_sf_fragment_find(const ngx_array_t *fragments,
    const ngx_str_t *name);
static size_t ngx_sf_fragment_size(const ngx_array_t *fragments,
    const char *text);
static u_char *ngx_sf_fragment_put(u_char *p, const char *text);


/* what has no end is left as it is, for the statement to tell */

const char *
ngx_sf_fragment_expand(ngx_pool_t *pool, const ngx_array_t *fragments,
    const char *text)
{
    u_char              *p, *start;
    ngx_str_t            token;
    ngx_sf_sql_t         reader;
    const u_char        *copied;
    ngx_sf_fragment_t   *fragment;
    ngx_sf_sql_token_e   kind;

    start = ngx_pnalloc(pool, ngx_sf_fragment_size(fragments, text));
    if (start == NULL) {
        return NULL;
    }

    p = start;
    copied = (const u_char *) text;
    ngx_sf_sql_start(&reader, text);

    for ( ;; ) {
        kind = ngx_sf_sql_next(&reader, &token);

        if (kind == NGX_SF_SQL_END || kind == NGX_SF_SQL_WRONG) {
            break;
        }

        fragment = kind == NGX_SF_SQL_NAME
                   ? ngx_sf_fragment_find(fragments, &token) : NULL;

        if (fragment == NULL) {
            continue;
        }

        /* up to the $ */

        p = ngx_cpymem(p, copied, token.data - 1 - copied);
        copied = token.data + token.len;
        p = ngx_sf_fragment_put(p, fragment->text);

        fragment->used = 1;
    }

    (void) ngx_cpystrn(p, (u_char *) copied, ngx_strlen(copied) + 1);

    return (char *) start;
}


static ngx_sf_fragment_t *
ngx_sf_fragment_find(const ngx_array_t *fragments, const ngx_str_t *name)
{
    ngx_uint_t          i;
    ngx_sf_fragment_t  *fragment;

    fragment = fragments->elts;

    for (i = 0; i < fragments->nelts; i++) {
        if (fragment[i].name.len == name->len
            && ngx_memcmp(fragment[i].name.data, name->data, name->len) == 0)
        {
            return &fragment[i];
        }
    }

    return NULL;
}


/* with room for the blanks around each */

static size_t
ngx_sf_fragment_size(const ngx_array_t *fragments, const char *text)
{
    size_t               size;
    ngx_str_t            token;
    ngx_sf_sql_t         reader;
    ngx_sf_fragment_t   *fragment;
    ngx_sf_sql_token_e   kind;

    size = ngx_strlen(text) + 1;
    ngx_sf_sql_start(&reader, text);

    for ( ;; ) {
        kind = ngx_sf_sql_next(&reader, &token);

        if (kind == NGX_SF_SQL_END || kind == NGX_SF_SQL_WRONG) {
            return size;
        }

        fragment = kind == NGX_SF_SQL_NAME
                   ? ngx_sf_fragment_find(fragments, &token) : NULL;

        if (fragment) {
            size += ngx_strlen(fragment->text) + 2;
        }
    }
}


/*
 * Kept apart from what would make another string or a comment of it, as of
 * "1-$minus".  A comment in its last line ends there.
 */

static u_char *
ngx_sf_fragment_put(u_char *p, const char *text)
{
    *p++ = ' ';
    p = ngx_cpymem(p, text, ngx_strlen(text));
    *p++ = ngx_strstr(text, "--") ? '\n' : ' ';

    return p;
}

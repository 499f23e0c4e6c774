
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_SQL_H_INCLUDED_
#define _NGX_SF_SQL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_SF_SQL_END = 0,
    NGX_SF_SQL_TEXT,            /* is sent as it is */
    NGX_SF_SQL_NAME,            /* a parameter's, without its $ */
    NGX_SF_SQL_OPEN,            /* [[ */
    NGX_SF_SQL_CLOSE,           /* ]] */
    NGX_SF_SQL_WRONG            /* the reader's member wrong says why */
} ngx_sf_sql_token_e;


/* where a reader is in a template */

typedef struct {
    u_char                     *pos;
    ngx_uint_t                  depth;    /* of subscripts, in the group or
                                             outside of groups */
    ngx_uint_t                  outer;    /* the same, where the group began */
    const char                 *wrong;
    unsigned                    group:1;  /* inside [[ … ]] */
} ngx_sf_sql_t;


/* a template ends with NUL */
void ngx_sf_sql_start(ngx_sf_sql_t *sql, const char *text);

/* the next token and its bytes, which are those of the template */
ngx_sf_sql_token_e ngx_sf_sql_next(ngx_sf_sql_t *sql, ngx_str_t *text);

/*
 * Instead of tokens: the next keyword or identifier that nothing quotes.  0:
 * there is none, or what quotes has no end.
 */
ngx_uint_t ngx_sf_sql_word(ngx_sf_sql_t *sql, ngx_str_t *word);


#endif /* _NGX_SF_SQL_H_INCLUDED_ */

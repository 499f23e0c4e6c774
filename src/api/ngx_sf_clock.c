
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Clocks and chance in SQL.  What such a text finds changes without a change of
 * a table, so no notification tells that a response has become old: somebody
 * has to say how long it is good.
 *
 * A name counts where nothing quotes it.  age() with two arguments is no clock;
 * both are taken for one, since which of the two it is would take a parser.
 */


#include "ngx_sf_api.h"
#include "ngx_sf_sql.h"


typedef struct {
    ngx_str_t                   word;
    const char                 *name;     /* in messages */
    ngx_uint_t                  call;     /* only with a parenthesis */
} ngx_sf_clock_t;


static ngx_uint_t ngx_sf_clock_counts(const ngx_sf_clock_t *clock,
    const char *sql, const ngx_str_t *word);


static const ngx_sf_clock_t  ngx_sf_clocks[] = {
    { ngx_string("now"), "now()", 1 },
    { ngx_string("localtimestamp"), "localtimestamp", 0 },
    { ngx_string("localtime"), "localtime", 0 },
    { ngx_string("current_date"), "current_date", 0 },
    { ngx_string("current_time"), "current_time", 0 },
    { ngx_string("current_timestamp"), "current_timestamp", 0 },
    { ngx_string("clock_timestamp"), "clock_timestamp()", 1 },
    { ngx_string("statement_timestamp"), "statement_timestamp()", 1 },
    { ngx_string("transaction_timestamp"), "transaction_timestamp()", 1 },
    { ngx_string("timeofday"), "timeofday()", 1 },
    { ngx_string("age"), "age()", 1 },
    { ngx_string("random"), "random()", 1 },
    { ngx_null_string, NULL, 0 }
};


const char *
ngx_sf_statement_clock(const char *sql)
{
    ngx_str_t              word;
    ngx_sf_sql_t           reader;
    const ngx_sf_clock_t  *clock;

    ngx_sf_sql_start(&reader, sql);

    while (ngx_sf_sql_word(&reader, &word)) {

        for (clock = ngx_sf_clocks; clock->name; clock++) {
            if (clock->word.len == word.len
                && ngx_strncasecmp(clock->word.data, word.data, word.len) == 0
                && ngx_sf_clock_counts(clock, sql, &word))
            {
                return clock->name;
            }
        }
    }

    return NULL;
}


/* a.localtimestamp is a column, pg_catalog.now() is not */

static ngx_uint_t
ngx_sf_clock_counts(const ngx_sf_clock_t *clock, const char *sql,
    const ngx_str_t *word)
{
    u_char  *p;

    if (!clock->call) {
        return word->data == (u_char *) sql || word->data[-1] != '.';
    }

    p = word->data + word->len;
    p += strspn((char *) p, " \t\r\n\f\v");

    return *p == '(';
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The API as data: what an endpoint is, how its parameters are read, and how a
 * statement becomes a text with values.
 */


#ifndef _NGX_SF_API_H_INCLUDED_
#define _NGX_SF_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_sf_json.h"
#include "ngx_sf_pg.h"
#include "ngx_sf_template.h"


typedef struct ngx_sf_endpoint_s   ngx_sf_endpoint_t;
typedef struct ngx_sf_statement_s  ngx_sf_statement_t;
typedef struct ngx_sf_resource_s   ngx_sf_resource_t;


/* --- the API as data: what a softfactory_endpoint block says --- */

#define NGX_SF_ROWS         500 /* endpoints at most */
#define NGX_SF_PATH_PARAMS  4   /* $names of one path */
#define NGX_SF_NO_LIMIT     INT64_MAX


typedef enum {
    NGX_SF_ANYONE = 0,          /* never asks for a token */
    NGX_SF_ANONYMOUS,           /* the same, unless softfactory_anonymous off */
    NGX_SF_USER                 /* a token of an active user */
} ngx_sf_access_e;


/* how a parameter is read; what each means stands in ngx_sf_param.c */

typedef enum {
    NGX_SF_PARAM_END = 0,
    NGX_SF_PARAM_ID,            /* digits, an int8 that no row may have */
    NGX_SF_PARAM_INT,           /* int8 */
    NGX_SF_PARAM_NUMBER,        /* numeric */
    NGX_SF_PARAM_BOOL,
    NGX_SF_PARAM_TEXT,
    NGX_SF_PARAM_UUID,
    NGX_SF_PARAM_DATE,
    NGX_SF_PARAM_TIME,
    NGX_SF_PARAM_LIST,          /* comma separated */
    NGX_SF_PARAM_LIST_ONE,      /* stands after a LIST: set instead of it when
                                   it has a single item */
    NGX_SF_PARAM_CHOICE,        /* one of .choices */
    NGX_SF_PARAM_SEARCH,        /* keyword of a LIKE pattern */
    NGX_SF_PARAM_PAGE,
    NGX_SF_PARAM_PAGE_SIZE      /* default .number, clamped to .max if set */
} ngx_sf_param_type_e;


/* an allowed value of a CHOICE, and what stands for it in the statement */

typedef struct {
    const char                 *value;    /* NULL: the end of the list */
    const char                 *sql;
} ngx_sf_choice_t;


typedef struct {
    const char                 *name;
    ngx_sf_param_type_e         type;
    const char                 *alias;    /* read when name does not serve */
    const char                 *def;      /* value of one that is absent;
                                             NULL: then it is not set */
    int64_t                     min;      /* INT, NUMBER: of the value; TEXT,
                                             SEARCH, LIST: of the code points;
                                             -NGX_SF_NO_LIMIT: none */
    int64_t                     max;      /* the same; NGX_SF_NO_LIMIT: none;
                                             PAGE_SIZE: of the rows */
    const char                 *unset;    /* this value counts as absent */
    const char                 *invalid;  /* error of a 400; NULL: "Invalid "
                                             and the name */
    ngx_uint_t                  lenient;  /* no such value counts as absent */
    ngx_uint_t                  path;     /* comes from the path, 1 + its place
                                             there; 0: from the query string */
    const ngx_sf_choice_t      *choices;
    const char                 *since;    /* DATE: the default counts back from
                                             this, NULL: from today, if .def */
    int64_t                     number;   /* DATE: days before that; PAGE_SIZE:
                                             rows of a page by default */
} ngx_sf_param_t;


/* column not true: this status and error; the list ends with a NULL column */

typedef struct {
    const char                 *column;
    ngx_uint_t                  status;
    const char                 *text;
} ngx_sf_check_t;


/* documents that say whether the pool is up: ngx_sf_health.c */

typedef enum {
    NGX_SF_DOCUMENT_NONE = 0,
    NGX_SF_DOCUMENT_HEALTH,
    NGX_SF_DOCUMENT_READY
} ngx_sf_document_e;


/*
 * An endpoint as its block says it.  Texts have their fragments expanded.  It
 * has a statement, or a template that reads no column, or a document.  The
 * block of principals is a row, too, of which only sql, tags, missing, checks
 * and denied are said.
 */

typedef struct {
    const char                 *name;     /* of directives, metrics, logs */
    const char                 *path;     /* with its $names */
    ngx_uint_t                  method;
    ngx_uint_t                  app_methods;  /* the application's, same path */
    ngx_sf_access_e             access;
    const char                 *product;  /* slug of the gate, or NULL */
    const ngx_sf_param_t       *params;   /* never NULL */
    ngx_uint_t                  lane;     /* ngx_sf_pg_lane_e */
    const char                 *sql;      /* a template: ngx_sf_statement.c */
    const char                 *tags;     /* of what it reads: ngx_sf_tag.c */
    time_t                      ttl;      /* seconds in the cache, 0: it is not
                                             kept */
    ngx_uint_t                  ttl_said; /* in the block */
    const char                 *total;    /* statement of $total */
    const char                 *total_tags;
    const char                 *expires;  /* column of total: ms until the next
                                             row drops out */
    const char                 *json;     /* ngx_sf_template.c; NULL: an array
                                             of all columns */
    const char                 *missing;  /* no row: this error */
    ngx_uint_t                  missing_status;
    const ngx_sf_check_t       *checks;   /* of row 0; NULL: none */
    const char                 *denied;   /* of a principal without a role */
    ngx_sf_document_e           document;
    const char                 *summary;
    const char                 *file;     /* where the block ends */
    ngx_uint_t                  line;
} ngx_sf_row_t;


/* --- ngx_sf_fragment.c: texts that several statements share --- */

typedef struct {
    ngx_str_t                   name;
    const char                 *text;     /* others in it are expanded */
    ngx_uint_t                  used;
    const char                 *file;
    ngx_uint_t                  line;
} ngx_sf_fragment_t;

/*
 * The text with each $name of a fragment (an array of ngx_sf_fragment_t)
 * replaced, where SQL does not quote it; fragments do not hold other fragments'
 * names any more.  NULL: memory is short.
 */
const char *ngx_sf_fragment_expand(ngx_pool_t *pool,
    const ngx_array_t *fragments, const char *text);


/* --- ngx_sf_identity.c: by what a definition is known --- */

#define NGX_SF_IDENTITY_LEN  16

/*
 * The identity of what is made of a row by its statements: a digest of the kind
 * of that, a number that tells the things of one row apart, and of all that can
 * change a byte of it, or when it is dropped.  Name, path, method, access,
 * product, lane and ttl do not belong to it, and constant documents have none.
 */
void ngx_sf_identity(const ngx_sf_row_t *row, ngx_uint_t kind,
    u_char id[NGX_SF_IDENTITY_LEN]);

/*
 * NGX_ERROR, which was logged: two of the rows, an array of ngx_sf_row_t, have
 * a statement and one identity.
 */
ngx_int_t ngx_sf_identity_check(ngx_conf_t *cf, const ngx_array_t *rows);


/* an endpoint as compiled at configuration */

struct ngx_sf_endpoint_s {
    const ngx_sf_row_t         *row;
    ngx_uint_t                  index;    /* of the main configuration */
    ngx_str_t                   name;
    const char                 *path;     /* as people are shown it: {id} */
    ngx_uint_t                  nparams;
    ngx_uint_t                  product;  /* bit of the gate, where row->product
                                             says that there is one */
    ngx_sf_resource_t          *response; /* NULL: without a statement */
    ngx_sf_resource_t          *total;
    ngx_sf_template_t          *template; /* NULL: a document */
    ngx_sf_shape_t             *empty;    /* without any result; NULL: a row has
                                             to be there */
    ngx_sf_shapes_t             shapes;   /* written by workers only */
};


/* --- ngx_sf_shape.c: what a result of an endpoint is rendered by --- */

/*
 * The judge of a statement whose owner is an endpoint: whether the template
 * fits the columns of a result.
 */
ngx_int_t ngx_sf_shape_judge(const ngx_sf_pg_statement_t *statement,
    const PGresult *res, u_char *error, size_t size);


/* --- ngx_sf_statement.c: templates of SQL -> statement texts --- */

/* a parameter's value as it takes effect */

typedef struct {
    ngx_str_t                   text;     /* that is bound, valid UTF-8 */
    ngx_str_t                   echo;     /* that the response repeats */
    int64_t                     number;
    unsigned                    set:1;    /* present and applied */
    unsigned                    given:1;  /* by the request, not a default */
} ngx_sf_value_t;


/* what a statement is filled from */

typedef struct {
    const ngx_sf_value_t       *values;   /* by parameter */
    int64_t                     user;
    int64_t                     page_size;
    int64_t                     offset;
    unsigned                    first:1;  /* first page of default size */
} ngx_sf_bind_source_t;


/*
 * Compiles a template with the parameters of a row, of which the rest serves
 * messages; what is the directive that has it, "sql" or "total".  The texts
 * begin with a comment that names both.  Statement ids are taken from *next_id.
 * NULL: an error that has been logged.
 */
ngx_sf_statement_t *ngx_sf_statement_compile(ngx_conf_t *cf,
    const ngx_sf_row_t *row, const char *what, const char *sql,
    ngx_uint_t columns, ngx_uint_t *next_id);

/* mask of the parameters that a template names; *user: it names the user */
uint64_t ngx_sf_statement_params(const ngx_sf_statement_t *statement,
    ngx_uint_t *user);

/* whether a template has a $limit */
ngx_uint_t ngx_sf_statement_pages(const ngx_sf_statement_t *statement);

/* says who judges the columns of its results: see ngx_sf_pg_statement_t */
void ngx_sf_statement_set_judge(ngx_sf_statement_t *statement,
    ngx_sf_pg_judge_pt judge, const void *owner);

/* says what the columns are read as: a mask of ngx_sf_type.h for each */
void ngx_sf_statement_set_kinds(ngx_sf_statement_t *statement,
    const u_char *kinds);

/* says which tables it reads: bits of the configuration */
void ngx_sf_statement_set_tables(ngx_sf_statement_t *statement,
    ngx_uint_t tables);

/* texts that a worker has composed */

typedef struct {
    ngx_pool_t                 *pool;
    ngx_uint_t                  n;        /* ids of statements */
    ngx_sf_pg_statement_t     **made;     /* by upstream and id, or NULL */
} ngx_sf_variants_t;

/*
 * The text that serves these values from the tables of a primary upstream,
 * composed at first use.  NULL: memory is short.
 */
ngx_sf_pg_statement_t *ngx_sf_statement_variant(
    const ngx_sf_variants_t *variants, const ngx_sf_pg_conf_t *primary,
    ngx_sf_statement_t *statement, const ngx_sf_bind_source_t *source);

/*
 * Values in the order of the text's $1, $2, …, copied to the pool, NULL for
 * those that are not set; statement is a variant.  NULL: memory is short.
 */
const char **ngx_sf_statement_bind(ngx_pool_t *pool,
    const ngx_sf_pg_statement_t *statement,
    const ngx_sf_bind_source_t *source);

/* whether one of these values has come with the request */
ngx_uint_t ngx_sf_statement_outside(const ngx_sf_pg_statement_t *statement,
    const ngx_sf_bind_source_t *source);


/* --- ngx_sf_clock.c: texts whose result changes while the tables do not --- */

/* the first call of a clock or of chance in a template; NULL: there is none */
const char *ngx_sf_statement_clock(const char *sql);


/* --- ngx_sf_param.c: path and query -> typed values --- */

typedef struct {
    ngx_sf_value_t             *values;   /* by parameter of the row */
    int64_t                     page;
    int64_t                     page_size;
    int64_t                     offset;
    unsigned                    first:1;  /* first page of default size */
    unsigned                    no_row:1; /* an id that no row can have */
    ngx_uint_t                  status;   /* of the first error, 0: none */
    ngx_str_t                   error;
} ngx_sf_params_t;

typedef struct {
    ngx_regex_t                *sql_like; /* keywords that are refused */
    int64_t                     max_page_size;
    size_t                      min_search;   /* characters of a keyword that
                                                 is ASCII alone */
    time_t                      now;      /* of the request, seconds */
} ngx_sf_param_env_t;

/* compiles what the readers need; NGX_ERROR has been logged */
ngx_int_t ngx_sf_param_env_init(ngx_conf_t *cf, ngx_sf_param_env_t *env);

/*
 * Reads the parameters of a row from the values of the path, by place, and the
 * raw query string.  An error in the input is left in params->status and
 * ->error; NGX_ERROR only when memory is short.
 */
ngx_int_t ngx_sf_params_read(ngx_pool_t *pool, const ngx_sf_param_t *rows,
    const ngx_str_t *path, const ngx_str_t *args,
    const ngx_sf_param_env_t *env, ngx_sf_params_t *params);

/* copies what is needed beyond the request: values and their texts */
ngx_int_t ngx_sf_params_copy(ngx_pool_t *pool, const ngx_sf_params_t *params,
    ngx_uint_t n, ngx_sf_params_t *copy);


/* --- ngx_sf_args.c: query string -> raw values --- */

/*
 * Fills raw and alias, by row, with what the query string holds under the
 * row's name and alias: decoded, valid UTF-8, data NULL when there is none.
 * Both must be zeroed.  NGX_ERROR: memory is short.
 */
ngx_int_t ngx_sf_args_read(ngx_pool_t *pool, const ngx_str_t *args,
    const ngx_sf_param_t *rows, ngx_str_t *raw, ngx_str_t *alias);

/* what is no UTF-8 becomes U+FFFD, a byte at a time */
ngx_int_t ngx_sf_args_utf8(ngx_pool_t *pool, ngx_str_t *text);


#endif /* _NGX_SF_API_H_INCLUDED_ */

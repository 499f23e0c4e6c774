
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Statements: templates of SQL and the texts that are sent.
 *
 * A template is SQL with names in place of $1, $2:
 *
 *   $name       a parameter of the endpoint, bound with a cast to its type
 *               unless a cast follows; a choice stands for the SQL of the
 *               value chosen
 *   $user       the principal's id, bound; an int8 like an id of the path
 *   $schema     the schema that the tables of the upstream are in, quoted
 *   $limit      LIMIT and OFFSET; a literal LIMIT on the first page of
 *               default size, since the planner takes an unknown LIMIT for a
 *               tenth of the table
 *   [[ … ]]     left out unless the first parameter inside it is set
 *
 * Nothing of it is found where SQL quotes; ngx_sf_sql.c knows where that is.
 * A text begins with a comment that names its endpoint, for those who look at
 * pg_stat_activity or a log.
 *
 * A filter that is not applied is thus not in the text, and each combination
 * is a prepared statement with a plan of its own.  The combinations of a
 * template are counted at configuration, which gives every text a dense id:
 * each group, choice and page is a switch, and the positions of all switches
 * are the digits of a number, to which the id of the template is added.  The
 * text is composed in the worker when it is first needed.
 *
 * Values from outside are only ever bound, one that is not set as NULL.  Tables
 * are named as $schema.users, since nothing but PostgreSQL's own is found by
 * search_path (ngx_sf_pg_conf.c).
 */


#include "ngx_sf_api.h"
#include "ngx_sf_sql.h"


/*
 * Of a template: places at which its texts differ, values that are bound, and
 * texts.  Each text has an entry in tables of every worker and connection, and
 * its own plan in every session that has prepared it.
 */

#define NGX_SF_STATEMENT_SWITCHES  8
#define NGX_SF_STATEMENT_BINDS     64
#define NGX_SF_STATEMENT_TEXTS     4096

/* the user, the limit and the offset */

#define NGX_SF_STATEMENT_OWN       3

/* bytes of a list of names, in a message */

#define NGX_SF_STATEMENT_NAMES     512


typedef enum {
    NGX_SF_SEGMENT_TEXT = 0,
    NGX_SF_SEGMENT_PARAM,
    NGX_SF_SEGMENT_CHOICE,
    NGX_SF_SEGMENT_USER,
    NGX_SF_SEGMENT_SCHEMA,
    NGX_SF_SEGMENT_PAGE,
    NGX_SF_SEGMENT_OPEN,
    NGX_SF_SEGMENT_CLOSE
} ngx_sf_segment_e;


typedef struct {
    ngx_sf_segment_e            kind;
    ngx_str_t                   text;     /* TEXT */
    const char                 *cast;     /* PARAM */
    ngx_uint_t                  param;    /* PARAM, CHOICE, OPEN */
} ngx_sf_segment_t;


/* what distinguishes one text of a template from another */

typedef struct {
    ngx_sf_segment_e            kind;     /* OPEN, CHOICE or PAGE */
    ngx_uint_t                  param;
    ngx_uint_t                  radix;    /* number of its positions */
} ngx_sf_switch_t;


/* what stands behind $1, $2, … */

typedef enum {
    NGX_SF_BIND_PARAM = 0,
    NGX_SF_BIND_USER,
    NGX_SF_BIND_LIMIT,
    NGX_SF_BIND_OFFSET
} ngx_sf_bind_e;


typedef struct {
    ngx_sf_bind_e               kind;
    ngx_uint_t                  param;
} ngx_sf_bind_t;


typedef struct {
    ngx_uint_t                  n;
    ngx_sf_bind_t              *bind;
} ngx_sf_binds_t;


/* a text; the pool sees its first member */

typedef struct {
    ngx_sf_pg_statement_t       pg;
    ngx_sf_binds_t              binds;
} ngx_sf_variant_t;


struct ngx_sf_statement_s {
    ngx_str_t                   name;
    const ngx_sf_row_t         *row;      /* while it is compiled */
    const char                 *what;     /* the directive, likewise */
    const ngx_sf_param_t       *params;
    int64_t                     page_size;    /* default, for a literal; 0:
                                                 there are no pages */
    ngx_array_t                 segments; /* of ngx_sf_segment_t */
    ngx_uint_t                  group;    /* while it is compiled: 1 + the
                                             segment that opened one, or 0 */
    ngx_uint_t                  nswitches;
    ngx_sf_switch_t             switches[NGX_SF_STATEMENT_SWITCHES];
    ngx_uint_t                  columns;
    const u_char               *kinds;
    ngx_sf_pg_judge_pt          judge;
    const void                 *owner;
    ngx_uint_t                  tables;
    ngx_uint_t                  id;       /* of the first variant */
    ngx_uint_t                  nbinds;   /* that no text exceeds */
    size_t                      size;     /* the same */
};


static ngx_int_t ngx_sf_statement_params_init(ngx_conf_t *cf,
    ngx_sf_statement_t *st);
static ngx_int_t ngx_sf_statement_label(ngx_conf_t *cf,
    ngx_sf_statement_t *st);
static ngx_int_t ngx_sf_statement_begin(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const char *sql);
static ngx_int_t ngx_sf_statement_parse(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const char *sql);
static ngx_int_t ngx_sf_statement_parse_text(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const ngx_str_t *text);
static ngx_int_t ngx_sf_statement_parse_name(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const ngx_str_t *name);
static ngx_int_t ngx_sf_statement_parse_own(ngx_conf_t *cf,
    ngx_sf_statement_t *st, ngx_sf_segment_e kind);
static ngx_int_t ngx_sf_statement_parse_open(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const ngx_str_t *text);
static ngx_int_t ngx_sf_statement_parse_close(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const ngx_str_t *text);
static ngx_int_t ngx_sf_statement_refuse(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const char *fmt, ...);
static void ngx_sf_statement_names_list(const ngx_sf_statement_t *st,
    u_char *list);
static ngx_int_t ngx_sf_statement_add_param(ngx_conf_t *cf,
    ngx_sf_statement_t *st, ngx_uint_t param, const char *cast);
static ngx_int_t ngx_sf_statement_find_param(const ngx_sf_statement_t *st,
    const ngx_str_t *name);
static ngx_int_t ngx_sf_statement_add_switch(ngx_conf_t *cf,
    ngx_sf_statement_t *st, ngx_sf_segment_e kind, ngx_uint_t param,
    ngx_uint_t radix);
static ngx_sf_segment_t *ngx_sf_statement_add(ngx_sf_statement_t *st,
    ngx_sf_segment_e kind);
static ngx_int_t ngx_sf_statement_count(ngx_conf_t *cf,
    ngx_sf_statement_t *st, ngx_uint_t *next_id);
static size_t ngx_sf_statement_bound(ngx_sf_statement_t *st);
static size_t ngx_sf_statement_longest(const ngx_sf_choice_t *choices);
static void ngx_sf_statement_compose(ngx_sf_statement_t *st,
    const ngx_str_t *schema, const ngx_sf_bind_source_t *source,
    ngx_sf_binds_t *binds, u_char *p);
static u_char *ngx_sf_statement_compose_page(ngx_sf_statement_t *st,
    const ngx_sf_bind_source_t *source, ngx_sf_binds_t *binds, u_char *p);
static ngx_uint_t ngx_sf_statement_bind_number(ngx_sf_binds_t *binds,
    ngx_sf_bind_e kind, ngx_uint_t param);
static ngx_int_t ngx_sf_statement_value(ngx_pool_t *pool,
    const ngx_sf_bind_t *bind, const ngx_sf_bind_source_t *source,
    const char **out);
static const char *ngx_sf_statement_text(ngx_pool_t *pool,
    const ngx_str_t *value);
static const char *ngx_sf_statement_number(ngx_pool_t *pool, int64_t value);


/* what a token of a template becomes, in the order of ngx_sf_sql_token_e */

static ngx_int_t (*const ngx_sf_statement_parsers[])(ngx_conf_t *cf,
    ngx_sf_statement_t *st, const ngx_str_t *text) = {
    /* END */    NULL,
    /* TEXT */   ngx_sf_statement_parse_text,
    /* NAME */   ngx_sf_statement_parse_name,
    /* OPEN */   ngx_sf_statement_parse_open,
    /* CLOSE */  ngx_sf_statement_parse_close
};


/* names that no parameter can have */

typedef struct {
    ngx_str_t                   name;
    ngx_sf_segment_e            kind;
} ngx_sf_statement_name_t;


static const ngx_sf_statement_name_t  ngx_sf_statement_names[] = {
    { ngx_string("user"), NGX_SF_SEGMENT_USER },
    { ngx_string("schema"), NGX_SF_SEGMENT_SCHEMA },
    { ngx_string("limit"), NGX_SF_SEGMENT_PAGE },
    { ngx_null_string, NGX_SF_SEGMENT_TEXT }
};


/*
 * What the parameter of a type is cast to.  Ids and integers are bound as int8,
 * whatever the column is: an id that an integer column cannot hold finds no row
 * then, instead of being an error.
 */

static const char *const  ngx_sf_statement_casts[] = {
    /* END */        "",
    /* ID */         "::bigint",
    /* INT */        "::bigint",
    /* NUMBER */     "::numeric",
    /* BOOL */       "::boolean",
    /* TEXT */       "",
    /* UUID */       "::uuid",
    /* DATE */       "::date",
    /* TIME */       "::timestamptz",
    /* LIST */       "::text[]",
    /* LIST_ONE */   "",
    /* CHOICE */     "",
    /* SEARCH */     "",
    /* PAGE */       "",
    /* PAGE_SIZE */  ""
};


/* a text of these reads */

static const char *const  ngx_sf_statement_begins[] = {
    "SELECT", "WITH", "VALUES", "TABLE", NULL
};


/*
 * The ids from *next_id on are reserved for all texts of the template, whether
 * or not they are ever composed.
 */

ngx_sf_statement_t *
ngx_sf_statement_compile(ngx_conf_t *cf, const ngx_sf_row_t *row,
    const char *what, const char *sql, ngx_uint_t columns,
    ngx_uint_t *next_id)
{
    ngx_sf_statement_t  *st;

    st = ngx_pcalloc(cf->pool, sizeof(ngx_sf_statement_t));
    if (st == NULL) {
        return NULL;
    }

    st->name.data = (u_char *) row->name;
    st->name.len = ngx_strlen(row->name);
    st->row = row;
    st->what = what;
    st->params = row->params;
    st->columns = columns;
    st->id = *next_id;

    if (ngx_array_init(&st->segments, cf->pool, 16, sizeof(ngx_sf_segment_t))
        != NGX_OK
        || ngx_sf_statement_params_init(cf, st) != NGX_OK
        || ngx_sf_statement_label(cf, st) != NGX_OK
        || ngx_sf_statement_begin(cf, st, sql) != NGX_OK
        || ngx_sf_statement_parse(cf, st, sql) != NGX_OK
        || ngx_sf_statement_count(cf, st, next_id) != NGX_OK)
    {
        return NULL;
    }

    st->size = ngx_sf_statement_bound(st);
    st->row = NULL;

    return st;
}


static ngx_int_t
ngx_sf_statement_params_init(ngx_conf_t *cf, ngx_sf_statement_t *st)
{
    ngx_uint_t  i;

    for (i = 0; st->params && st->params[i].type != NGX_SF_PARAM_END; i++) {
        if (st->params[i].type == NGX_SF_PARAM_PAGE_SIZE) {
            st->page_size = st->params[i].number;
        }
    }

    /* each is bound once */

    if (i + NGX_SF_STATEMENT_OWN > NGX_SF_STATEMENT_BINDS) {
        return ngx_sf_statement_refuse(cf, st, "may have at most %d "
                                       "parameters, there are %ui",
                                       NGX_SF_STATEMENT_BINDS
                                       - NGX_SF_STATEMENT_OWN, i);
    }

    return NGX_OK;
}


/* the name, and "total" where the statement is of that; all pings are one */

static ngx_int_t
ngx_sf_statement_label(ngx_conf_t *cf, ngx_sf_statement_t *st)
{
    ngx_str_t  text;

    text.data = ngx_pnalloc(cf->pool, st->name.len + ngx_strlen(st->what)
                                      + sizeof("/*   */ "));
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = (ngx_strcmp(st->what, "ping") == 0
                ? ngx_sprintf(text.data, "/* ping */ ")
                : ngx_sprintf(text.data, "/* %V%s */ ", &st->name,
                              ngx_strcmp(st->what, "total") == 0 ? " total"
                                                                 : ""))
               - text.data;

    return ngx_sf_statement_parse_text(cf, st, &text);
}


/* writes are refused by the session, too, but here it is said when */

static ngx_int_t
ngx_sf_statement_begin(ngx_conf_t *cf, ngx_sf_statement_t *st,
    const char *sql)
{
    ngx_str_t           word;
    ngx_sf_sql_t        reader;
    const char *const  *begin;

    ngx_sf_sql_start(&reader, sql);

    if (!ngx_sf_sql_word(&reader, &word)) {
        ngx_str_set(&word, "nothing");
    }

    for (begin = ngx_sf_statement_begins; *begin; begin++) {
        if (ngx_strlen(*begin) == word.len
            && ngx_strncasecmp((u_char *) *begin, word.data, word.len) == 0)
        {
            return NGX_OK;
        }
    }

    return ngx_sf_statement_refuse(cf, st, "begins with \"%V\", it has to "
                                   "begin with SELECT, WITH, VALUES or TABLE",
                                   &word);
}


static ngx_int_t
ngx_sf_statement_parse(ngx_conf_t *cf, ngx_sf_statement_t *st,
    const char *sql)
{
    ngx_str_t           text;
    ngx_sf_sql_t        reader;
    ngx_sf_sql_token_e  token;

    ngx_sf_sql_start(&reader, sql);

    for ( ;; ) {
        token = ngx_sf_sql_next(&reader, &text);

        if (token == NGX_SF_SQL_END) {
            return NGX_OK;
        }

        if (token == NGX_SF_SQL_WRONG) {
            return ngx_sf_statement_refuse(cf, st, "has %s", reader.wrong);
        }

        if (ngx_sf_statement_parsers[token](cf, st, &text) != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_sf_statement_parse_text(ngx_conf_t *cf, ngx_sf_statement_t *st,
    const ngx_str_t *text)
{
    ngx_sf_segment_t  *seg;

    seg = ngx_sf_statement_add(st, NGX_SF_SEGMENT_TEXT);
    if (seg == NULL) {
        return NGX_ERROR;
    }

    seg->text = *text;

    return NGX_OK;
}


/*
 * Names of ours come first: no parameter can have one (ngx_sf_endpoint_conf.c).
 * What follows a name in the template follows its text.
 */

static ngx_int_t
ngx_sf_statement_parse_name(ngx_conf_t *cf, ngx_sf_statement_t *st,
    const ngx_str_t *name)
{
    u_char                          list[NGX_SF_STATEMENT_NAMES];
    ngx_int_t                       i;
    const char                     *cast;
    const ngx_sf_statement_name_t  *own;

    for (own = ngx_sf_statement_names; own->name.len; own++) {
        if (own->name.len == name->len
            && ngx_memcmp(own->name.data, name->data, name->len) == 0)
        {
            return ngx_sf_statement_parse_own(cf, st, own->kind);
        }
    }

    i = ngx_sf_statement_find_param(st, name);

    if (i == NGX_ERROR) {
        ngx_sf_statement_names_list(st, list);

        return ngx_sf_statement_refuse(cf, st, "names \"$%V\", which is no "
                                       "parameter of it, there are: %s", name,
                                       list);
    }

    cast = ngx_sf_statement_casts[st->params[i].type];

    if (ngx_strncmp(name->data + name->len, "::", 2) == 0) {
        cast = "";
    }

    return ngx_sf_statement_add_param(cf, st, i, cast);
}


/* without a user there is no response, so no group can depend on that */

static ngx_int_t
ngx_sf_statement_parse_own(ngx_conf_t *cf, ngx_sf_statement_t *st,
    ngx_sf_segment_e kind)
{
    ngx_sf_segment_t  *seg;

    seg = st->segments.elts;

    if (kind == NGX_SF_SEGMENT_USER && st->group
        && seg[st->group - 1].param == NGX_CONF_UNSET_UINT)
    {
        return ngx_sf_statement_refuse(cf, st, "has a group of which the "
                                       "first name is \"$user\", it has to be "
                                       "that of the parameter without which "
                                       "the group is left out");
    }

    if (kind == NGX_SF_SEGMENT_PAGE && st->page_size == 0) {
        return ngx_sf_statement_refuse(cf, st, "names \"$limit\", but the "
                                       "endpoint has no page");
    }

    if (ngx_sf_statement_add(st, kind) == NULL) {
        return NGX_ERROR;
    }

    return kind == NGX_SF_SEGMENT_PAGE
           ? ngx_sf_statement_add_switch(cf, st, kind, 0, 2) : NGX_OK;
}


/* the parameter that it depends on is the first one to come */

static ngx_int_t
ngx_sf_statement_parse_open(ngx_conf_t *cf, ngx_sf_statement_t *st,
    const ngx_str_t *text)
{
    ngx_sf_segment_t  *seg;

    seg = ngx_sf_statement_add(st, NGX_SF_SEGMENT_OPEN);
    if (seg == NULL) {
        return NGX_ERROR;
    }

    seg->param = NGX_CONF_UNSET_UINT;
    st->group = st->segments.nelts;

    return NGX_OK;
}


static ngx_int_t
ngx_sf_statement_parse_close(ngx_conf_t *cf, ngx_sf_statement_t *st,
    const ngx_str_t *text)
{
    ngx_sf_segment_t  *seg;

    seg = st->segments.elts;

    if (seg[st->group - 1].param == NGX_CONF_UNSET_UINT) {
        return ngx_sf_statement_refuse(cf, st, "has a group without a "
                                       "parameter");
    }

    st->group = 0;

    return ngx_sf_statement_add(st, NGX_SF_SEGMENT_CLOSE) ? NGX_OK
                                                          : NGX_ERROR;
}


/* says what is wrong, and where; the place is known, not that of cf */

static ngx_int_t
ngx_sf_statement_refuse(ngx_conf_t *cf, ngx_sf_statement_t *st,
    const char *fmt, ...)
{
    u_char   *p, text[NGX_MAX_CONF_ERRSTR];
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(text, text + sizeof(text), fmt, args);
    va_end(args);

    if (st->row->file) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s of endpoint \"%s\" in %s:%ui %*s", st->what,
                      st->row->name, st->row->file, st->row->line,
                      (size_t) (p - text), text);

    } else {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "%s of endpoint \"%s\" %*s", st->what, st->row->name,
                      (size_t) (p - text), text);
    }

    return NGX_ERROR;
}


/* "$a, $b, $user, $schema", NUL-terminated */

static void
ngx_sf_statement_names_list(const ngx_sf_statement_t *st, u_char *list)
{
    u_char      *last;
    ngx_uint_t   i;

    last = list + NGX_SF_STATEMENT_NAMES - sizeof(", ...");

    for (i = 0; st->params && st->params[i].type != NGX_SF_PARAM_END; i++) {

        if (st->params[i].type == NGX_SF_PARAM_PAGE
            || st->params[i].type == NGX_SF_PARAM_PAGE_SIZE)
        {
            continue;
        }

        if (ngx_strlen(st->params[i].name) + sizeof("$, ")
            > (size_t) (last - list))
        {
            *ngx_cpymem(list, "...", 3) = '\0';
            return;
        }

        list = ngx_sprintf(list, "$%s, ", st->params[i].name);
    }

    (void) ngx_slprintf(list, last, "%s$user, $schema%Z",
                        st->page_size ? "$limit, " : "");
    last[0] = '\0';
}


/* the first one in a group is what the group depends on */

static ngx_int_t
ngx_sf_statement_add_param(ngx_conf_t *cf, ngx_sf_statement_t *st,
    ngx_uint_t param, const char *cast)
{
    ngx_uint_t             n;
    ngx_sf_segment_t      *seg;
    const ngx_sf_param_t  *row;

    row = &st->params[param];
    seg = st->segments.elts;

    if (st->group && seg[st->group - 1].param == NGX_CONF_UNSET_UINT) {
        seg[st->group - 1].param = param;

        if (ngx_sf_statement_add_switch(cf, st, NGX_SF_SEGMENT_OPEN, param, 2)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    seg = ngx_sf_statement_add(st, row->type == NGX_SF_PARAM_CHOICE
                                   ? NGX_SF_SEGMENT_CHOICE
                                   : NGX_SF_SEGMENT_PARAM);
    if (seg == NULL) {
        return NGX_ERROR;
    }

    seg->cast = cast;
    seg->param = param;

    if (row->type != NGX_SF_PARAM_CHOICE) {
        return NGX_OK;
    }

    for (n = 0; row->choices[n].value; n++) { /* void */ }

    return ngx_sf_statement_add_switch(cf, st, NGX_SF_SEGMENT_CHOICE, param,
                                       n);
}


/* pages are not named, but for $limit */

static ngx_int_t
ngx_sf_statement_find_param(const ngx_sf_statement_t *st,
    const ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; st->params && st->params[i].type != NGX_SF_PARAM_END; i++) {

        if (st->params[i].type == NGX_SF_PARAM_PAGE
            || st->params[i].type == NGX_SF_PARAM_PAGE_SIZE)
        {
            continue;
        }

        if (ngx_strlen(st->params[i].name) == name->len
            && ngx_memcmp(st->params[i].name, name->data, name->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


/* the same switch in two places is one */

static ngx_int_t
ngx_sf_statement_add_switch(ngx_conf_t *cf, ngx_sf_statement_t *st,
    ngx_sf_segment_e kind, ngx_uint_t param, ngx_uint_t radix)
{
    ngx_uint_t  i;

    for (i = 0; i < st->nswitches; i++) {
        if (st->switches[i].kind == kind && st->switches[i].param == param) {
            return NGX_OK;
        }
    }

    if (st->nswitches == NGX_SF_STATEMENT_SWITCHES) {
        return ngx_sf_statement_refuse(cf, st, "has more than %d groups and "
                                       "choices that differ, \"$limit\" "
                                       "among them",
                                       NGX_SF_STATEMENT_SWITCHES);
    }

    st->switches[i].kind = kind;
    st->switches[i].param = param;
    st->switches[i].radix = radix;
    st->nswitches++;

    return NGX_OK;
}


static ngx_sf_segment_t *
ngx_sf_statement_add(ngx_sf_statement_t *st, ngx_sf_segment_e kind)
{
    ngx_sf_segment_t  *seg;

    seg = ngx_array_push(&st->segments);
    if (seg == NULL) {
        return NULL;
    }

    ngx_memzero(seg, sizeof(ngx_sf_segment_t));
    seg->kind = kind;

    return seg;
}


static ngx_int_t
ngx_sf_statement_count(ngx_conf_t *cf, ngx_sf_statement_t *st,
    ngx_uint_t *next_id)
{
    ngx_uint_t  i, n;

    n = 1;

    for (i = 0; i < st->nswitches; i++) {
        n *= st->switches[i].radix;

        if (n > NGX_SF_STATEMENT_TEXTS) {
            return ngx_sf_statement_refuse(cf, st, "has more than %d texts: "
                                           "each group, choice and "
                                           "\"$limit\" multiplies them",
                                           NGX_SF_STATEMENT_TEXTS);
        }
    }

    *next_id += n;

    return NGX_OK;
}


uint64_t
ngx_sf_statement_params(const ngx_sf_statement_t *st, ngx_uint_t *user)
{
    uint64_t                 mask;
    ngx_uint_t               i;
    const ngx_sf_segment_t  *seg;

    mask = 0;
    *user = 0;
    seg = st->segments.elts;

    for (i = 0; i < st->segments.nelts; i++) {

        if (seg[i].kind == NGX_SF_SEGMENT_USER) {
            *user = 1;

        } else if (seg[i].kind == NGX_SF_SEGMENT_PARAM
                   || seg[i].kind == NGX_SF_SEGMENT_CHOICE
                   || seg[i].kind == NGX_SF_SEGMENT_OPEN)
        {
            mask |= (uint64_t) 1 << seg[i].param;
        }
    }

    return mask;
}


ngx_uint_t
ngx_sf_statement_pages(const ngx_sf_statement_t *st)
{
    ngx_uint_t  i;

    for (i = 0; i < st->nswitches; i++) {
        if (st->switches[i].kind == NGX_SF_SEGMENT_PAGE) {
            return 1;
        }
    }

    return 0;
}


void
ngx_sf_statement_set_judge(ngx_sf_statement_t *st, ngx_sf_pg_judge_pt judge,
    const void *owner)
{
    st->judge = judge;
    st->owner = owner;
}


void
ngx_sf_statement_set_kinds(ngx_sf_statement_t *st, const u_char *kinds)
{
    st->kinds = kinds;
}


void
ngx_sf_statement_set_tables(ngx_sf_statement_t *st, ngx_uint_t tables)
{
    st->tables = tables;
}


/*
 * The positions of the switches, as digits of mixed radix, are the number of
 * the text.  A text has the schema of its upstream in it, so each upstream has
 * its own; what has been composed is kept for the life of the worker, and never
 * changes: two requests with the same switches send the same bytes.
 */

ngx_sf_pg_statement_t *
ngx_sf_statement_variant(const ngx_sf_variants_t *variants,
    const ngx_sf_pg_conf_t *primary, ngx_sf_statement_t *st,
    const ngx_sf_bind_source_t *source)
{
    u_char                  *p;
    ngx_uint_t               i, n, digit;
    ngx_sf_switch_t         *sw;
    ngx_sf_variant_t        *variant;
    ngx_sf_pg_statement_t  **made;

    n = 0;

    for (i = 0; i < st->nswitches; i++) {
        sw = &st->switches[i];

        if (sw->kind == NGX_SF_SEGMENT_PAGE) {
            digit = source->first;

        } else if (sw->kind == NGX_SF_SEGMENT_OPEN) {
            digit = source->values[sw->param].set;

        } else {
            digit = source->values[sw->param].number;
        }

        n = n * sw->radix + digit;
    }

    n += st->id;

    made = &variants->made[primary->index * variants->n + n];

    if (*made) {
        return *made;
    }

    variant = ngx_pcalloc(variants->pool,
                          sizeof(ngx_sf_variant_t)
                          + st->nbinds * sizeof(ngx_sf_bind_t) + st->size);
    if (variant == NULL) {
        return NULL;
    }

    variant->binds.bind = (ngx_sf_bind_t *) (variant + 1);
    p = (u_char *) (variant->binds.bind + st->nbinds);
    ngx_sf_statement_compose(st, &primary->quoted, source, &variant->binds,
                             p);

    variant->pg.id = n;
    variant->pg.line = st->id;
    variant->pg.tables = st->tables;
    variant->pg.name = st->name;
    variant->pg.text = (char *) p;
    variant->pg.nvalues = variant->binds.n;
    variant->pg.columns = st->columns;
    variant->pg.kinds = st->kinds;
    variant->pg.judge = st->judge;
    variant->pg.owner = st->owner;

    *made = &variant->pg;

    return &variant->pg;
}


/*
 * Room for any text of the template: what is not text becomes at most the
 * longest choice, a schema, or " LIMIT $NN OFFSET $NN".
 */

static size_t
ngx_sf_statement_bound(ngx_sf_statement_t *st)
{
    size_t             size, other;
    ngx_uint_t         i;
    ngx_sf_segment_t  *seg;

    size = 1;
    other = ngx_max(sizeof("LIMIT  OFFSET ") + 2 * NGX_INT64_LEN,
                    NGX_SF_PG_QUOTED_LEN);
    seg = st->segments.elts;

    for (i = 0; i < st->segments.nelts; i++) {

        switch (seg[i].kind) {

        case NGX_SF_SEGMENT_TEXT:
            size += seg[i].text.len;
            break;

        case NGX_SF_SEGMENT_CHOICE:
            size += ngx_sf_statement_longest(
                                        st->params[seg[i].param].choices);
            break;

        default:
            size += other;
            st->nbinds += seg[i].kind == NGX_SF_SEGMENT_PAGE ? 2 : 1;
        }
    }

    st->nbinds = ngx_min(st->nbinds, NGX_SF_STATEMENT_BINDS);

    return size;
}


static size_t
ngx_sf_statement_longest(const ngx_sf_choice_t *choices)
{
    size_t  size;

    for (size = 0; choices->value; choices++) {
        size = ngx_max(size, ngx_strlen(choices->sql));
    }

    return size;
}


/*
 * The text, and which values stand behind its $1, $2, ... This has to walk the
 * same way for the same switches: the binds are kept with the text, and used
 * for every request after this one.
 */

static void
ngx_sf_statement_compose(ngx_sf_statement_t *st, const ngx_str_t *schema,
    const ngx_sf_bind_source_t *source, ngx_sf_binds_t *binds, u_char *p)
{
    size_t                  len;
    ngx_uint_t              i, skip;
    ngx_sf_segment_t       *seg;
    const ngx_sf_choice_t  *choices;

    binds->n = 0;
    skip = 0;
    seg = st->segments.elts;

    for (i = 0; i < st->segments.nelts; i++) {

        if (seg[i].kind == NGX_SF_SEGMENT_CLOSE) {
            skip = 0;
            continue;
        }

        if (skip) {
            continue;
        }

        switch (seg[i].kind) {

        case NGX_SF_SEGMENT_OPEN:
            skip = !source->values[seg[i].param].set;
            break;

        case NGX_SF_SEGMENT_TEXT:
            p = ngx_cpymem(p, seg[i].text.data, seg[i].text.len);
            break;

        case NGX_SF_SEGMENT_CHOICE:
            choices = st->params[seg[i].param].choices;
            choices += source->values[seg[i].param].number;
            len = ngx_strlen(choices->sql);
            p = ngx_cpymem(p, choices->sql, len);
            break;

        case NGX_SF_SEGMENT_SCHEMA:
            p = ngx_cpymem(p, schema->data, schema->len);
            break;

        case NGX_SF_SEGMENT_PAGE:
            p = ngx_sf_statement_compose_page(st, source, binds, p);
            break;

        case NGX_SF_SEGMENT_USER:
            p = ngx_sprintf(p, "$%ui%s",
                            ngx_sf_statement_bind_number(binds,
                                                 NGX_SF_BIND_USER, 0),
                            ngx_sf_statement_casts[NGX_SF_PARAM_ID]);
            break;

        default: /* NGX_SF_SEGMENT_PARAM */
            p = ngx_sprintf(p, "$%ui%s",
                            ngx_sf_statement_bind_number(binds,
                                                 NGX_SF_BIND_PARAM,
                                                 seg[i].param),
                            seg[i].cast);
        }
    }

    *p = '\0';
}


/* Both are bound as text of unknown type; LIMIT and OFFSET make them int8. */

static u_char *
ngx_sf_statement_compose_page(ngx_sf_statement_t *st,
    const ngx_sf_bind_source_t *source, ngx_sf_binds_t *binds, u_char *p)
{
    ngx_uint_t  limit, offset;

    if (source->first) {
        return ngx_sprintf(p, "LIMIT %L", st->page_size);
    }

    limit = ngx_sf_statement_bind_number(binds, NGX_SF_BIND_LIMIT, 0);
    offset = ngx_sf_statement_bind_number(binds, NGX_SF_BIND_OFFSET, 0);

    return ngx_sprintf(p, "LIMIT $%ui OFFSET $%ui", limit, offset);
}


/* a value that is named twice is bound once; numbers start at 1 */

static ngx_uint_t
ngx_sf_statement_bind_number(ngx_sf_binds_t *binds, ngx_sf_bind_e kind,
    ngx_uint_t param)
{
    ngx_uint_t  i;

    for (i = 0; i < binds->n; i++) {
        if (binds->bind[i].kind == kind && binds->bind[i].param == param) {
            return i + 1;
        }
    }

    binds->bind[i].kind = kind;
    binds->bind[i].param = param;

    return ++binds->n;
}


/*
 * All values go as text, which the server reads by the types that it has found
 * for the parameters (PostgreSQL manual, Frontend/Backend Protocol, Extended
 * Query).  They are copied into the flight's pool.
 */

const char **
ngx_sf_statement_bind(ngx_pool_t *pool, const ngx_sf_pg_statement_t *statement,
    const ngx_sf_bind_source_t *source)
{
    ngx_uint_t             i;
    const char           **values;
    const ngx_sf_bind_t   *bind;

    values = ngx_palloc(pool, (statement->nvalues + 1) * sizeof(char *));
    if (values == NULL) {
        return NULL;
    }

    bind = ((const ngx_sf_variant_t *) statement)->binds.bind;

    for (i = 0; i < statement->nvalues; i++) {
        if (ngx_sf_statement_value(pool, &bind[i], source, &values[i])
            != NGX_OK)
        {
            return NULL;
        }
    }

    return values;
}


static ngx_int_t
ngx_sf_statement_value(ngx_pool_t *pool, const ngx_sf_bind_t *bind,
    const ngx_sf_bind_source_t *source, const char **out)
{
    const ngx_sf_value_t  *value;

    switch (bind->kind) {

    case NGX_SF_BIND_PARAM:
        value = &source->values[bind->param];

        if (!value->set) {
            *out = NULL;
            return NGX_OK;
        }

        *out = ngx_sf_statement_text(pool, &value->text);
        break;

    case NGX_SF_BIND_USER:
        *out = ngx_sf_statement_number(pool, source->user);
        break;

    case NGX_SF_BIND_LIMIT:
        *out = ngx_sf_statement_number(pool, source->page_size);
        break;

    default: /* NGX_SF_BIND_OFFSET */
        *out = ngx_sf_statement_number(pool, source->offset);
    }

    return *out ? NGX_OK : NGX_ERROR;
}


/* a page is bound only when it is another than the first of default size */

ngx_uint_t
ngx_sf_statement_outside(const ngx_sf_pg_statement_t *statement,
    const ngx_sf_bind_source_t *source)
{
    ngx_uint_t            i;
    const ngx_sf_bind_t  *bind;

    bind = ((const ngx_sf_variant_t *) statement)->binds.bind;

    for (i = 0; i < statement->nvalues; i++) {
        if (bind[i].kind == NGX_SF_BIND_LIMIT
            || bind[i].kind == NGX_SF_BIND_OFFSET
            || (bind[i].kind == NGX_SF_BIND_PARAM
                && source->values[bind[i].param].given))
        {
            return 1;
        }
    }

    return 0;
}


/* copied: the flight may outlive the request that brought the value */

static const char *
ngx_sf_statement_text(ngx_pool_t *pool, const ngx_str_t *value)
{
    u_char  *text;

    text = ngx_pnalloc(pool, value->len + 1);
    if (text == NULL) {
        return NULL;
    }

    *ngx_cpymem(text, value->data, value->len) = '\0';

    return (char *) text;
}


static const char *
ngx_sf_statement_number(ngx_pool_t *pool, int64_t value)
{
    u_char  *text;

    text = ngx_pnalloc(pool, NGX_INT64_LEN + 1);
    if (text == NULL) {
        return NULL;
    }

    *ngx_sprintf(text, "%L", value) = '\0';

    return (char *) text;
}

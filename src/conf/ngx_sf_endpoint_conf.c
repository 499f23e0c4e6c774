
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The blocks that declare endpoints and principals, and the fragments of SQL
 * that they share.
 *
 *     softfactory_endpoint products {
 *         get    /api/products;
 *         access public;
 *         sql    "SELECT id, slug, name FROM products ORDER BY id";
 *     }
 *
 * What stands in a block are commands of a context of their own, which is a bit
 * that nginx does not use: so nginx itself counts their arguments, reads an
 * include, and refuses what does not belong there.  The bit of "main" stands
 * beside it, as include is allowed by that one; no module of http{} has a
 * directive there.
 *
 * A setter keeps what is written in the row of the block and refuses what is
 * wrong by itself; what one word says of another is checked when the block
 * ends, or, where statements have to be read for it, when all of http{} is
 * known: ngx_sf_endpoint.c.
 */


#include "ngx_sf_conf.h"
#include "ngx_sf_number.h"


#define NGX_SF_ENDPOINT_FILE    (256 * 1024)  /* bytes of a file of SQL */
#define NGX_SF_ENDPOINT_TTL     300       /* seconds, when no ttl is said */
#define NGX_SF_ENDPOINT_NAME    64        /* bytes */
#define NGX_SF_ENDPOINT_PATH    256       /* bytes */
#define NGX_SF_ENDPOINT_PARAMS  60
#define NGX_SF_ENDPOINT_PAGE    100000    /* rows */
#define NGX_SF_ENDPOINT_DAYS    36600


/* the block that is being read */

struct ngx_sf_declaration_s {
    ngx_sf_row_t                row;
    ngx_array_t                 params;   /* of ngx_sf_param_t */
    ngx_array_t                 checks;   /* of ngx_sf_check_t */
    ngx_uint_t                  context;  /* NGX_SF_ENDPOINT_CONF, or that of
                                             principals */
    unsigned                    access:1; /* said, not assumed */
    unsigned                    lane:1;
};


/* a word of a directive, and the number that it stands for */

typedef struct {
    const char                 *word;     /* NULL: the end of the list */
    ngx_uint_t                  value;
} ngx_sf_endpoint_word_t;


/* an option of a parameter, as in min=1 */

typedef struct ngx_sf_endpoint_option_s  ngx_sf_endpoint_option_t;

typedef const char *(*ngx_sf_endpoint_option_pt)(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param,
    const ngx_sf_endpoint_option_t *option, char *value);

struct ngx_sf_endpoint_option_s {
    const char                 *name;     /* NULL: the end of the list */
    ngx_uint_t                  types;    /* mask of those that have it */
    ngx_sf_endpoint_option_pt   set;
    size_t                      offset;
};


static ngx_int_t ngx_sf_endpoint_conf_begin(ngx_conf_t *cf,
    const ngx_sf_main_conf_t *smcf, ngx_sf_declaration_t *block);
static ngx_int_t ngx_sf_endpoint_conf_defaults(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, const char *name);
static char *ngx_sf_endpoint_conf_block(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, ngx_sf_declaration_t *block,
    ngx_uint_t context);
static ngx_int_t ngx_sf_endpoint_conf_end(ngx_conf_t *cf,
    ngx_sf_declaration_t *block);
static ngx_int_t ngx_sf_endpoint_conf_lists(ngx_conf_t *cf,
    ngx_sf_declaration_t *block);
static const char *ngx_sf_endpoint_conf_wrong(
    const ngx_sf_declaration_t *block);
static const char *ngx_sf_endpoint_conf_path(ngx_conf_t *cf,
    ngx_sf_declaration_t *block);
static const char *ngx_sf_endpoint_conf_path_param(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, const u_char *name, size_t len,
    ngx_uint_t place);
static const char *ngx_sf_endpoint_conf_name(const ngx_str_t *name);
static ngx_uint_t ngx_sf_endpoint_conf_is_plain(const ngx_str_t *path);
static ngx_int_t ngx_sf_endpoint_conf_word(ngx_conf_t *cf,
    const ngx_sf_endpoint_word_t *words, const ngx_str_t *text,
    ngx_uint_t *value);
static char *ngx_sf_endpoint_conf_join(ngx_conf_t *cf, ngx_uint_t from,
    u_char between, const char **text);
static ngx_uint_t ngx_sf_endpoint_conf_is_blank(const char *text);
static char *ngx_sf_endpoint_conf_read(ngx_conf_t *cf, const ngx_str_t *name,
    const char **text);
static ngx_int_t ngx_sf_endpoint_conf_status(ngx_conf_t *cf,
    const ngx_str_t *text, ngx_uint_t *status);
static const char *ngx_sf_endpoint_conf_param_name(const ngx_str_t *name);
static ngx_uint_t ngx_sf_endpoint_conf_is_param(
    const ngx_sf_declaration_t *block, const char *name);
static ngx_sf_param_t *ngx_sf_endpoint_conf_add_param(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, const ngx_str_t *name,
    ngx_sf_param_type_e type);
static char *ngx_sf_endpoint_conf_options(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_uint_t index, ngx_uint_t from);
static char *ngx_sf_endpoint_conf_option(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param,
    const ngx_str_t *text);
static char *ngx_sf_endpoint_conf_choose(ngx_sf_param_t *param);
static ngx_uint_t ngx_sf_endpoint_conf_is_option(const ngx_str_t *text);
static char *ngx_sf_endpoint_conf_choice(ngx_conf_t *cf,
    ngx_array_t *choices, ngx_str_t *text);
static const char *ngx_sf_endpoint_conf_set_text(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param,
    const ngx_sf_endpoint_option_t *option, char *value);
static const char *ngx_sf_endpoint_conf_set_number(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param,
    const ngx_sf_endpoint_option_t *option, char *value);
static const char *ngx_sf_endpoint_conf_set_default(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param,
    const ngx_sf_endpoint_option_t *option, char *value);
static const char *ngx_sf_endpoint_conf_set_date(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param, char *value);
static const char *ngx_sf_endpoint_conf_set_invalid(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param,
    const ngx_sf_endpoint_option_t *option, char *value);
static const char *ngx_sf_endpoint_conf_set_one(ngx_conf_t *cf,
    ngx_sf_declaration_t *block, ngx_sf_param_t *param,
    const ngx_sf_endpoint_option_t *option, char *value);


static const ngx_sf_endpoint_word_t  ngx_sf_endpoint_conf_methods[] = {
    { "get", NGX_HTTP_GET },
    { NULL, 0 }
};

static const ngx_sf_endpoint_word_t  ngx_sf_endpoint_conf_app_methods[] = {
    { "post", NGX_HTTP_POST },
    { "put", NGX_HTTP_PUT },
    { "patch", NGX_HTTP_PATCH },
    { "delete", NGX_HTTP_DELETE },
    { NULL, 0 }
};

static const ngx_sf_endpoint_word_t  ngx_sf_endpoint_conf_accesses[] = {
    { "public", NGX_SF_ANYONE },
    { "anonymous", NGX_SF_ANONYMOUS },
    { "user", NGX_SF_USER },
    { NULL, 0 }
};

static const ngx_sf_endpoint_word_t  ngx_sf_endpoint_conf_lanes[] = {
    { "read", NGX_SF_PG_READ },
    { "heavy", NGX_SF_PG_HEAVY },
    { NULL, 0 }
};

static const ngx_sf_endpoint_word_t  ngx_sf_endpoint_conf_documents[] = {
    { "health", NGX_SF_DOCUMENT_HEALTH },
    { "ready", NGX_SF_DOCUMENT_READY },
    { NULL, 0 }
};

static const ngx_sf_endpoint_word_t  ngx_sf_endpoint_conf_types[] = {
    { "id", NGX_SF_PARAM_ID },
    { "int", NGX_SF_PARAM_INT },
    { "number", NGX_SF_PARAM_NUMBER },
    { "bool", NGX_SF_PARAM_BOOL },
    { "text", NGX_SF_PARAM_TEXT },
    { "uuid", NGX_SF_PARAM_UUID },
    { "date", NGX_SF_PARAM_DATE },
    { "time", NGX_SF_PARAM_TIME },
    { "list", NGX_SF_PARAM_LIST },
    { "choice", NGX_SF_PARAM_CHOICE },
    { "search", NGX_SF_PARAM_SEARCH },
    { NULL, 0 }
};


#define NGX_SF_ENDPOINT_TYPE(type)  ((ngx_uint_t) 1 << NGX_SF_PARAM_##type)

#define NGX_SF_ENDPOINT_PLAIN                                                 \
    (NGX_SF_ENDPOINT_TYPE(INT) | NGX_SF_ENDPOINT_TYPE(NUMBER)                 \
     | NGX_SF_ENDPOINT_TYPE(BOOL) | NGX_SF_ENDPOINT_TYPE(TEXT)                \
     | NGX_SF_ENDPOINT_TYPE(UUID) | NGX_SF_ENDPOINT_TYPE(DATE)                \
     | NGX_SF_ENDPOINT_TYPE(TIME))

#define NGX_SF_ENDPOINT_ALIAS                                                 \
    (NGX_SF_ENDPOINT_PLAIN | NGX_SF_ENDPOINT_TYPE(LIST)                       \
     | NGX_SF_ENDPOINT_TYPE(CHOICE) | NGX_SF_ENDPOINT_TYPE(SEARCH)            \
     | NGX_SF_ENDPOINT_TYPE(PAGE_SIZE))

#define NGX_SF_ENDPOINT_BOUNDS                                                \
    (NGX_SF_ENDPOINT_TYPE(INT) | NGX_SF_ENDPOINT_TYPE(NUMBER)                 \
     | NGX_SF_ENDPOINT_TYPE(TEXT))


static const ngx_sf_endpoint_option_t  ngx_sf_endpoint_conf_option_list[] = {

    { "default", NGX_SF_ENDPOINT_PLAIN | NGX_SF_ENDPOINT_TYPE(CHOICE),
      ngx_sf_endpoint_conf_set_default, 0 },

    { "min", NGX_SF_ENDPOINT_BOUNDS,
      ngx_sf_endpoint_conf_set_number, offsetof(ngx_sf_param_t, min) },

    { "max", NGX_SF_ENDPOINT_BOUNDS | NGX_SF_ENDPOINT_TYPE(PAGE_SIZE),
      ngx_sf_endpoint_conf_set_number, offsetof(ngx_sf_param_t, max) },

    { "alias", NGX_SF_ENDPOINT_ALIAS,
      ngx_sf_endpoint_conf_set_text, offsetof(ngx_sf_param_t, alias) },

    { "unset", NGX_SF_ENDPOINT_PLAIN,
      ngx_sf_endpoint_conf_set_text, offsetof(ngx_sf_param_t, unset) },

    { "invalid", NGX_SF_ENDPOINT_PLAIN | NGX_SF_ENDPOINT_TYPE(CHOICE)
                 | NGX_SF_ENDPOINT_TYPE(LIST),
      ngx_sf_endpoint_conf_set_invalid, 0 },

    { "one", NGX_SF_ENDPOINT_TYPE(LIST),
      ngx_sf_endpoint_conf_set_one, 0 },

    { NULL, 0, NULL, 0 }
};


/* names that texts, templates and directives have for something else */

static const char *const  ngx_sf_endpoint_conf_own_params[] = {
    "user", "schema", "limit", "page", "per_page", "pages", "total", NULL
};

static const char *const  ngx_sf_endpoint_conf_own_names[] = {
    "all", "principal", "unknown", NULL
};


char *
ngx_sf_endpoint_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    char                  *rv;
    ngx_sf_row_t          *row;
    ngx_sf_declaration_t   block;

    if (ngx_sf_endpoint_conf_begin(cf, smcf, &block) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_sf_endpoint_conf_block(cf, smcf, &block, NGX_SF_ENDPOINT_CONF);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_sf_endpoint_conf_end(cf, &block) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    row = ngx_array_push(&smcf->rows);
    if (row == NULL) {
        return NGX_CONF_ERROR;
    }

    *row = block.row;

    return NGX_CONF_OK;
}


/* a name that no other endpoint has */

static ngx_int_t
ngx_sf_endpoint_conf_begin(ngx_conf_t *cf, const ngx_sf_main_conf_t *smcf,
    ngx_sf_declaration_t *block)
{
    ngx_str_t     *value;
    ngx_uint_t     i;
    const char    *wrong;
    ngx_sf_row_t  *row;

    value = cf->args->elts;
    wrong = ngx_sf_endpoint_conf_name(&value[1]);

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "endpoint \"%V\" %s", &value[1], wrong);
        return NGX_ERROR;
    }

    row = smcf->rows.elts;

    for (i = 0; i < smcf->rows.nelts; i++) {
        if (ngx_strcmp(row[i].name, value[1].data) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "endpoint \"%V\" is declared in %s:%ui as well",
                               &value[1], row[i].file, row[i].line);
            return NGX_ERROR;
        }
    }

    return ngx_sf_endpoint_conf_defaults(cf, block, (char *) value[1].data);
}


/* what holds when the block says nothing */

static ngx_int_t
ngx_sf_endpoint_conf_defaults(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    const char *name)
{
    ngx_memzero(block, sizeof(ngx_sf_declaration_t));

    block->row.name = name;
    block->row.access = NGX_SF_USER;
    block->row.lane = NGX_SF_PG_READ;
    block->row.ttl = NGX_SF_ENDPOINT_TTL;

    if (ngx_array_init(&block->params, cf->pool, 4, sizeof(ngx_sf_param_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_array_init(&block->checks, cf->pool, 1,
                          sizeof(ngx_sf_check_t));
}


/* nginx reads it, with the words of one context, to its end, which is kept */

static char *
ngx_sf_endpoint_conf_block(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    ngx_sf_declaration_t *block, ngx_uint_t context)
{
    char        *rv;
    ngx_conf_t   save;

    smcf->declaration = block;
    block->context = context;

    save = *cf;
    cf->cmd_type = NGX_MAIN_CONF|context;

    rv = ngx_conf_parse(cf, NULL);

    block->row.file = (char *) cf->conf_file->file.name.data;
    block->row.line = cf->conf_file->line;

    *cf = save;
    smcf->declaration = NULL;

    return rv;
}


/*
 * softfactory_principal: who a user is.  Its row has the words that it shares
 * with endpoints; the column roles, which they have not, is looked at where an
 * endpoint asks for a role.
 */

char *
ngx_sf_endpoint_conf_principal(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    char                  *rv;
    ngx_sf_row_t          *row;
    ngx_sf_declaration_t   block;

    if (smcf->principal_row) {
        return "is duplicate";
    }

    if (ngx_sf_endpoint_conf_defaults(cf, &block, "principal") != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_sf_endpoint_conf_block(cf, smcf, &block, NGX_SF_PRINCIPAL_CONF);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (block.row.sql == NULL) {
        return "has no sql, which says who a user is";
    }

    if (ngx_sf_endpoint_conf_lists(cf, &block) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    row = ngx_palloc(cf->pool, sizeof(ngx_sf_row_t));
    if (row == NULL) {
        return NGX_CONF_ERROR;
    }

    *row = block.row;

    if (row->missing == NULL) {
        row->missing = "User not found";
        row->missing_status = NGX_HTTP_UNAUTHORIZED;
    }

    if (row->denied == NULL) {
        row->denied = "Role $role required";
    }

    smcf->principal_row = row;

    return NGX_CONF_OK;
}


/* what the block says as a whole, once all of it has been read */

static ngx_int_t
ngx_sf_endpoint_conf_end(ngx_conf_t *cf, ngx_sf_declaration_t *block)
{
    const char    *wrong;
    ngx_sf_row_t  *row;

    row = &block->row;
    wrong = ngx_sf_endpoint_conf_wrong(block);

    if (wrong == NULL) {
        wrong = ngx_sf_endpoint_conf_path(cf, block);
    }

    if (wrong) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "endpoint \"%s\" in %s:%ui %s",
                      row->name, row->file, row->line, wrong);
        return NGX_ERROR;
    }

    if (row->document) {
        row->lane = NGX_SF_PG_PING;
    }

    return ngx_sf_endpoint_conf_lists(cf, block);
}


/* ends what is a list */

static ngx_int_t
ngx_sf_endpoint_conf_lists(ngx_conf_t *cf, ngx_sf_declaration_t *block)
{
    ngx_sf_row_t    *row;
    ngx_sf_check_t  *check;
    ngx_sf_param_t  *param;

    row = &block->row;

    param = ngx_array_push(&block->params);
    if (param == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(param, sizeof(ngx_sf_param_t));
    row->params = block->params.elts;

    if (block->checks.nelts) {
        check = ngx_array_push(&block->checks);
        if (check == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(check, sizeof(ngx_sf_check_t));
        row->checks = block->checks.elts;
    }

    return NGX_OK;
}


/* words that need others; NULL: nothing is wrong */

static const char *
ngx_sf_endpoint_conf_wrong(const ngx_sf_declaration_t *block)
{
    const ngx_sf_row_t  *row;

    row = &block->row;

    if (row->path == NULL) {
        return "has no path: add \"get /path;\"";
    }

    if (row->document && (row->sql || row->json)) {
        return "has a document, and sql or json beside it";
    }

    if (row->document && (row->access != NGX_SF_ANYONE || row->product)) {
        return "has a document, which everybody may read: add "
               "\"access public;\"";
    }

    if (row->sql == NULL && row->json == NULL && row->document == 0) {
        return "has nothing to send: add sql, json or document";
    }

    if (row->sql == NULL
        && (row->total || row->tags || row->missing || block->checks.nelts
            || block->lane || row->ttl_said))
    {
        return "has total, tags, missing, check, lane or ttl, but no sql";
    }

    if (row->total == NULL && (row->total_tags || row->expires)) {
        return "has total_tags or expires, but no total";
    }

    if (row->total_tags && row->tags == NULL) {
        return "has total_tags, but no tags";
    }

    if (row->product && row->access != NGX_SF_USER) {
        return "has a role, which only a user has: it needs "
               "\"access user;\"";
    }

    return NULL;
}


/*
 * A name in the path is a whole segment.  One that no param declares is "id",
 * digits; it is put in front of the others.
 */

static const char *
ngx_sf_endpoint_conf_path(ngx_conf_t *cf, ngx_sf_declaration_t *block)
{
    size_t       len;
    ngx_uint_t   place;
    const char  *p, *wrong;

    place = 0;

    for (p = block->row.path; (p = strchr(p, '$')) != NULL; p += len) {
        len = strcspn(++p, "/");

        if (p[-2] != '/' || len == 0 || memchr(p, '$', len)) {
            return "has a path in which a $name is not a whole segment, as in "
                   "\"/api/campaigns/$id\"";
        }

        if (place == NGX_SF_PATH_PARAMS) {
            return "has more than 4 names in its path";
        }

        wrong = ngx_sf_endpoint_conf_path_param(cf, block, (u_char *) p, len,
                                                ++place);
        if (wrong) {
            return wrong;
        }
    }

    return NULL;
}


static const char *
ngx_sf_endpoint_conf_path_param(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    const u_char *name, size_t len, ngx_uint_t place)
{
    ngx_uint_t       i;
    ngx_sf_param_t  *param, id;

    static const ngx_uint_t  good = NGX_SF_ENDPOINT_TYPE(ID)
                                    | NGX_SF_ENDPOINT_TYPE(INT)
                                    | NGX_SF_ENDPOINT_TYPE(UUID)
                                    | NGX_SF_ENDPOINT_TYPE(TEXT)
                                    | NGX_SF_ENDPOINT_TYPE(DATE);

    param = block->params.elts;

    for (i = 0; i < block->params.nelts; i++) {

        if (ngx_strlen(param[i].name) != len
            || ngx_memcmp(param[i].name, name, len) != 0)
        {
            continue;
        }

        if (param[i].path) {
            return "has a name twice in its path";
        }

        if (!(good & ((ngx_uint_t) 1 << param[i].type))) {
            return "has a name in its path that is neither id, int, uuid, "
                   "text nor date";
        }

        if (param[i].def || param[i].unset || param[i].lenient
            || param[i].alias || param[i].since)
        {
            return "has a default, alias, unset or invalid=unset for a name "
                   "of its path, which is always there";
        }

        param[i].path = place;
        return NULL;
    }

    if (len != 2 || ngx_memcmp(name, "id", 2) != 0) {
        return "has a name in its path that no param declares";
    }

    ngx_memzero(&id, sizeof(ngx_sf_param_t));

    id.name = "id";
    id.type = NGX_SF_PARAM_ID;
    id.min = -NGX_SF_NO_LIMIT;
    id.max = NGX_SF_NO_LIMIT;
    id.path = place;

    if (ngx_array_push(&block->params) == NULL) {
        return "needs memory";
    }

    param = block->params.elts;

    ngx_memmove(&param[1], &param[0],
                (block->params.nelts - 1) * sizeof(ngx_sf_param_t));
    param[0] = id;

    return NULL;
}


/* lower-case words: they are labels of metrics, and names of directives */

static const char *
ngx_sf_endpoint_conf_name(const ngx_str_t *name)
{
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_SF_ENDPOINT_NAME
        || strspn((char *) name->data,
                  "abcdefghijklmnopqrstuvwxyz0123456789_") != name->len
        || (name->data[0] >= '0' && name->data[0] <= '9'))
    {
        return "must have a name of at most 64 small letters, digits and "
               "\"_\", that begins with a letter";
    }

    for (i = 0; ngx_sf_endpoint_conf_own_names[i]; i++) {
        if (ngx_strcmp(ngx_sf_endpoint_conf_own_names[i], name->data) == 0) {
            return "has a name that means something else: all, principal and "
                   "unknown";
        }
    }

    return NULL;
}


/* get PATH */

char *
ngx_sf_endpoint_conf_method(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t     *value;
    ngx_sf_row_t  *row;

    row = &smcf->declaration->row;
    value = cf->args->elts;

    if (row->path) {
        return "says a second path: an endpoint has one";
    }

    if (value[1].data[0] != '/' || value[1].len > NGX_SF_ENDPOINT_PATH
        || !ngx_sf_endpoint_conf_is_plain(&value[1]))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no path of an endpoint: it begins with "
                           "\"/\", is of plain ASCII without ? # %% { and }, "
                           "has at most 256 bytes, and its names are segments "
                           "as in \"/api/campaigns/$id\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    row->path = (char *) value[1].data;

    return ngx_sf_endpoint_conf_word(cf, ngx_sf_endpoint_conf_methods,
                                     &value[0], &row->method)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* it is compared with a path that has been decoded */

static ngx_uint_t
ngx_sf_endpoint_conf_is_plain(const ngx_str_t *path)
{
    ngx_uint_t  i;

    for (i = 0; i < path->len; i++) {
        if (path->data[i] <= ' ' || path->data[i] > '~'
            || ngx_strchr("?#{}%", path->data[i]))
        {
            return 0;
        }
    }

    return 1;
}


char *
ngx_sf_endpoint_conf_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t     *value;
    ngx_uint_t     i, method;
    ngx_sf_row_t  *row;

    row = &smcf->declaration->row;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_sf_endpoint_conf_word(cf, ngx_sf_endpoint_conf_app_methods,
                                      &value[i], &method)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        if (row->app_methods & method) {
            return "says a method twice";
        }

        row->app_methods |= method;
    }

    return NGX_CONF_OK;
}


char *
ngx_sf_endpoint_conf_access(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t             *value;
    ngx_uint_t             access;
    ngx_sf_declaration_t  *block;

    block = smcf->declaration;
    value = cf->args->elts;

    if (block->access) {
        return "is duplicate";
    }

    if (ngx_sf_endpoint_conf_word(cf, ngx_sf_endpoint_conf_accesses,
                                  &value[1], &access)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    block->row.access = access;
    block->access = 1;

    return NGX_CONF_OK;
}


char *
ngx_sf_endpoint_conf_lane(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t             *value;
    ngx_sf_declaration_t  *block;

    block = smcf->declaration;
    value = cf->args->elts;

    if (block->lane) {
        return "is duplicate";
    }

    block->lane = 1;

    return ngx_sf_endpoint_conf_word(cf, ngx_sf_endpoint_conf_lanes,
                                     &value[1], &block->row.lane)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_sf_endpoint_conf_document(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   document;

    value = cf->args->elts;

    if (smcf->declaration->row.document) {
        return "is duplicate";
    }

    if (ngx_sf_endpoint_conf_word(cf, ngx_sf_endpoint_conf_documents,
                                  &value[1], &document)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    smcf->declaration->row.document = document;

    return NGX_CONF_OK;
}


/* one that is no word of the list is refused with all that are */

static ngx_int_t
ngx_sf_endpoint_conf_word(ngx_conf_t *cf, const ngx_sf_endpoint_word_t *words,
    const ngx_str_t *text, ngx_uint_t *value)
{
    u_char                         list[NGX_MAX_CONF_ERRSTR], *p;
    const ngx_sf_endpoint_word_t  *word;

    p = list;

    for (word = words; word->word; word++) {
        if (ngx_strcmp(word->word, text->data) == 0) {
            *value = word->value;
            return NGX_OK;
        }

        p = ngx_slprintf(p, list + sizeof(list) - 1, " %s", word->word);
    }

    *p = '\0';

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is not known here, there are:%s", text, list);

    return NGX_ERROR;
}


char *
ngx_sf_endpoint_conf_ttl(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    time_t         ttl;
    ngx_str_t     *value;
    ngx_sf_row_t  *row;

    row = &smcf->declaration->row;
    value = cf->args->elts;

    if (row->ttl_said) {
        return "is duplicate";
    }

    row->ttl_said = 1;
    ttl = 0;

    if (ngx_strcmp(value[1].data, "off") != 0) {
        ttl = ngx_parse_time(&value[1], 1);

        if (ttl == (time_t) NGX_ERROR || ttl == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no time: it is one of at least a "
                               "second, as in \"300s\", or off", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    row->ttl = ttl;

    return NGX_CONF_OK;
}


/* role, expires, summary, denied: one text, at cmd->post in the row */

char *
ngx_sf_endpoint_conf_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t    *value;
    const char  **text;

    text = (const char **) ((u_char *) &smcf->declaration->row
                            + (uintptr_t) cmd->post);
    value = cf->args->elts;

    if (*text) {
        return "is duplicate";
    }

    if (value[1].len == 0) {
        return "is empty";
    }

    *text = (char *) value[1].data;

    return NGX_CONF_OK;
}


/* sql, total, json: strings that are lines of one text, or a file */

char *
ngx_sf_endpoint_conf_texts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    const char  **text;

    text = (const char **) ((u_char *) &smcf->declaration->row
                            + (uintptr_t) cmd->post);

    return *text ? "is duplicate" : ngx_sf_endpoint_conf_join(cf, 1, '\n',
                                                              text);
}


/* tags, total_tags: words of one text */

char *
ngx_sf_endpoint_conf_words(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    const char  **text;

    text = (const char **) ((u_char *) &smcf->declaration->row
                            + (uintptr_t) cmd->post);

    return *text ? "is duplicate" : ngx_sf_endpoint_conf_join(cf, 1, ' ', text);
}


/* softfactory_fragment NAME TEXT... */

char *
ngx_sf_endpoint_conf_fragment(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    char               *rv;
    ngx_str_t          *value;
    ngx_uint_t          i;
    const char         *wrong, *text;
    ngx_sf_fragment_t  *fragment;

    value = cf->args->elts;
    wrong = ngx_sf_endpoint_conf_name(&value[1]);

    for (i = 0; ngx_sf_endpoint_conf_own_params[i] && wrong == NULL; i++) {
        if (ngx_strcmp(ngx_sf_endpoint_conf_own_params[i], value[1].data)
            == 0)
        {
            wrong = "has a name that means something else in statements";
        }
    }

    fragment = smcf->fragments.elts;

    for (i = 0; i < smcf->fragments.nelts && wrong == NULL; i++) {
        if (ngx_strcmp(fragment[i].name.data, value[1].data) == 0) {
            wrong = "is declared twice";
        }
    }

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "fragment \"%V\" %s",
                           &value[1], wrong);
        return NGX_CONF_ERROR;
    }

    rv = ngx_sf_endpoint_conf_join(cf, 2, '\n', &text);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    text = ngx_sf_fragment_expand(cf->pool, &smcf->fragments, text);
    fragment = ngx_array_push(&smcf->fragments);

    if (text == NULL || fragment == NULL) {
        return NGX_CONF_ERROR;
    }

    fragment->name = value[1];
    fragment->text = text;
    fragment->used = 0;
    fragment->file = (char *) cf->conf_file->file.name.data;
    fragment->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* a token has at most 4094 bytes, so a longer text is several of them */

static char *
ngx_sf_endpoint_conf_join(ngx_conf_t *cf, ngx_uint_t from, u_char between,
    const char **text)
{
    u_char      *p;
    size_t       size;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (between == '\n' && ngx_strncmp(value[from].data, "file:", 5) == 0) {
        return value[from].len == 5 ? "has no name of a file behind file:"
               : cf->args->nelts > from + 1 ? "has a text beside its file"
               : ngx_sf_endpoint_conf_read(cf, &value[from], text);
    }

    size = 1;

    for (i = from; i < cf->args->nelts; i++) {
        size += value[i].len + 1;
    }

    p = ngx_pnalloc(cf->pool, size);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    *text = (char *) p;

    for (i = from; i < cf->args->nelts; i++) {
        if (i > from) {
            *p++ = between;
        }

        p = ngx_cpymem(p, value[i].data, value[i].len);
    }

    *p = '\0';

    return ngx_sf_endpoint_conf_is_blank(*text) ? "is empty" : NGX_CONF_OK;
}


static ngx_uint_t
ngx_sf_endpoint_conf_is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}


/* of the file that names it, not of the prefix of nginx */

static char *
ngx_sf_endpoint_conf_read(ngx_conf_t *cf, const ngx_str_t *name,
    const char **text)
{
    u_char      *p, *slash;
    size_t       dir;
    ngx_str_t    path, bytes, *own;

    path.data = name->data + 5;
    path.len = name->len - 5;

    if (path.data[0] != '/') {
        own = &cf->conf_file->file.name;
        slash = own->data + own->len;

        while (slash > own->data && slash[-1] != '/') {
            slash--;
        }

        dir = slash - own->data;
        p = ngx_pnalloc(cf->pool, dir + path.len + 1);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        *ngx_sprintf(p, "%*s%V", dir, own->data, &path) = '\0';

        path.data = p;
        path.len += dir;
    }

    if (ngx_sf_conf_read_file(cf, &path, NGX_SF_ENDPOINT_FILE, &bytes)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_strlen(bytes.data) != bytes.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" has a byte of zero in it", &path);
        return NGX_CONF_ERROR;
    }

    *text = (char *) bytes.data;

    return ngx_sf_endpoint_conf_is_blank(*text) ? "has an empty file"
                                                : NGX_CONF_OK;
}


/* missing [STATUS] TEXT */

char *
ngx_sf_endpoint_conf_missing(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t     *value;
    ngx_sf_row_t  *row;

    row = &smcf->declaration->row;
    value = cf->args->elts;

    if (row->missing) {
        return "is duplicate";
    }

    row->missing_status = smcf->declaration->context == NGX_SF_PRINCIPAL_CONF
                          ? NGX_HTTP_UNAUTHORIZED : NGX_HTTP_NOT_FOUND;

    if (cf->args->nelts == 3
        && ngx_sf_endpoint_conf_status(cf, &value[1], &row->missing_status)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    row->missing = (char *) value[cf->args->nelts - 1].data;

    return NGX_CONF_OK;
}


/* check COLUMN STATUS TEXT */

char *
ngx_sf_endpoint_conf_check(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t       *value;
    ngx_sf_check_t  *check;

    value = cf->args->elts;

    check = ngx_array_push(&smcf->declaration->checks);
    if (check == NULL) {
        return NGX_CONF_ERROR;
    }

    check->column = (char *) value[1].data;
    check->text = (char *) value[3].data;

    return ngx_sf_endpoint_conf_status(cf, &value[2], &check->status)
           == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_sf_endpoint_conf_status(ngx_conf_t *cf, const ngx_str_t *text,
    ngx_uint_t *status)
{
    ngx_int_t  n;

    n = ngx_atoi(text->data, text->len);

    if (n < 400 || n > 599) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no status of an error, it is a number "
                           "between 400 and 599", text);
        return NGX_ERROR;
    }

    *status = n;

    return NGX_OK;
}


/* page ROWS [alias=NAME] [max=ROWS]: two parameters, page and per_page */

char *
ngx_sf_endpoint_conf_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_int_t              n;
    ngx_str_t             *value;
    ngx_sf_param_t        *size;
    ngx_sf_declaration_t  *block;

    static ngx_str_t  page = ngx_string("page");
    static ngx_str_t  per_page = ngx_string("per_page");

    block = smcf->declaration;
    value = cf->args->elts;
    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > NGX_SF_ENDPOINT_PAGE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no number of rows, it is one between 1 "
                           "and %d", &value[1], NGX_SF_ENDPOINT_PAGE);
        return NGX_CONF_ERROR;
    }

    if (ngx_sf_endpoint_conf_add_param(cf, block, &page, NGX_SF_PARAM_PAGE)
        == NULL)
    {
        return NGX_CONF_ERROR;
    }

    size = ngx_sf_endpoint_conf_add_param(cf, block, &per_page,
                                          NGX_SF_PARAM_PAGE_SIZE);
    if (size == NULL) {
        return NGX_CONF_ERROR;
    }

    size->number = n;

    return ngx_sf_endpoint_conf_options(cf, block, block->params.nelts - 1,
                                        2);
}


/* param NAME TYPE [OPTION=VALUE...], and the values of a choice */

char *
ngx_sf_endpoint_conf_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ngx_str_t             *value;
    ngx_uint_t             type;
    const char            *wrong;
    ngx_sf_declaration_t  *block;

    block = smcf->declaration;
    value = cf->args->elts;
    wrong = ngx_sf_endpoint_conf_param_name(&value[1]);

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the name of parameter \"%V\" %s", &value[1],
                           wrong);
        return NGX_CONF_ERROR;
    }

    if (ngx_sf_endpoint_conf_word(cf, ngx_sf_endpoint_conf_types, &value[2],
                                  &type)
        != NGX_OK
        || ngx_sf_endpoint_conf_add_param(cf, block, &value[1], type) == NULL)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_sf_endpoint_conf_options(cf, block, block->params.nelts - 1,
                                        3);
}


/* such as statements can name; NULL: it is good */

static const char *
ngx_sf_endpoint_conf_param_name(const ngx_str_t *name)
{
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_SF_ENDPOINT_NAME
        || strspn((char *) name->data,
                  "abcdefghijklmnopqrstuvwxyz0123456789_") != name->len
        || (name->data[0] >= '0' && name->data[0] <= '9'))
    {
        return "must be at most 64 small letters, digits and \"_\", and begin "
               "with a letter";
    }

    for (i = 0; ngx_sf_endpoint_conf_own_params[i]; i++) {
        if (ngx_strcmp(ngx_sf_endpoint_conf_own_params[i], name->data) == 0) {
            return "means something else in statements";
        }
    }

    return NULL;
}


/* names and aliases are of one space: each is found by one key of a query */

static ngx_uint_t
ngx_sf_endpoint_conf_is_param(const ngx_sf_declaration_t *block,
    const char *name)
{
    ngx_uint_t             i;
    const ngx_sf_param_t  *param;

    param = block->params.elts;

    for (i = 0; i < block->params.nelts; i++) {
        if (ngx_strcmp(param[i].name, name) == 0
            || (param[i].alias && ngx_strcmp(param[i].alias, name) == 0))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_sf_param_t *
ngx_sf_endpoint_conf_add_param(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    const ngx_str_t *name, ngx_sf_param_type_e type)
{
    ngx_sf_param_t  *param;

    if (ngx_sf_endpoint_conf_is_param(block, (char *) name->data)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" is declared twice", name);
        return NULL;
    }

    if (block->params.nelts == NGX_SF_ENDPOINT_PARAMS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "endpoint \"%s\" has more than %d parameters",
                           block->row.name, NGX_SF_ENDPOINT_PARAMS);
        return NULL;
    }

    param = ngx_array_push(&block->params);
    if (param == NULL) {
        return NULL;
    }

    ngx_memzero(param, sizeof(ngx_sf_param_t));

    param->name = (char *) name->data;
    param->type = type;
    param->min = -NGX_SF_NO_LIMIT;
    param->max = type == NGX_SF_PARAM_PAGE_SIZE ? 0 : NGX_SF_NO_LIMIT;

    return param;
}


/* by its place: what an option adds may move the parameters */

static char *
ngx_sf_endpoint_conf_options(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_uint_t index, ngx_uint_t from)
{
    char             *rv;
    ngx_str_t        *value;
    ngx_uint_t        i;
    ngx_array_t       choices;
    ngx_sf_param_t   *param;
    ngx_sf_choice_t  *last;

    value = cf->args->elts;

    if (ngx_array_init(&choices, cf->pool, 4, sizeof(ngx_sf_choice_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = from; i < cf->args->nelts; i++) {

        param = block->params.elts;
        param += index;

        if (param->type == NGX_SF_PARAM_CHOICE
            && !ngx_sf_endpoint_conf_is_option(&value[i]))
        {
            rv = ngx_sf_endpoint_conf_choice(cf, &choices, &value[i]);

        } else {
            rv = ngx_sf_endpoint_conf_option(cf, block, param, &value[i]);
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    param = block->params.elts;
    param += index;

    if (param->type == NGX_SF_PARAM_PAGE_SIZE) {
        return param->max && param->max < param->number
               ? "has a max below its rows" : NGX_CONF_OK;
    }

    if (param->min > param->max) {
        return "has a min above its max";
    }

    if (param->type != NGX_SF_PARAM_CHOICE) {
        return NGX_CONF_OK;
    }

    if (choices.nelts < 2) {
        return "has less than two choices, which are written "
               "\"value=text of SQL\"";
    }

    last = ngx_array_push(&choices);
    if (last == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(last, sizeof(ngx_sf_choice_t));
    param->choices = choices.elts;

    return ngx_sf_endpoint_conf_choose(param);
}


/* the default of a choice is one of them */

static char *
ngx_sf_endpoint_conf_choose(ngx_sf_param_t *param)
{
    const ngx_sf_choice_t  *choice;

    for (choice = param->choices; param->def && choice->value; choice++) {
        if (ngx_strcmp(choice->value, param->def) == 0) {
            return NGX_CONF_OK;
        }
    }

    return param->def ? "has a default that is none of its choices"
                      : NGX_CONF_OK;
}


/* the values of a choice may be called like anything else */

static ngx_uint_t
ngx_sf_endpoint_conf_is_option(const ngx_str_t *text)
{
    return ngx_strncmp(text->data, "default=", 8) == 0
           || ngx_strncmp(text->data, "alias=", 6) == 0
           || ngx_strncmp(text->data, "invalid=", 8) == 0;
}


static char *
ngx_sf_endpoint_conf_choice(ngx_conf_t *cf, ngx_array_t *choices,
    ngx_str_t *text)
{
    char             *equals;
    ngx_uint_t        i;
    ngx_sf_choice_t  *choice;

    equals = strchr((char *) text->data, '=');

    if (equals == NULL || equals == (char *) text->data
        || equals[1] == '\0')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no choice, which is written "
                           "\"value=text of SQL\"", text);
        return NGX_CONF_ERROR;
    }

    *equals = '\0';
    choice = choices->elts;

    for (i = 0; i < choices->nelts; i++) {
        if (ngx_strcmp(choice[i].value, text->data) == 0) {
            return "has a choice twice";
        }
    }

    choice = ngx_array_push(choices);
    if (choice == NULL) {
        return NGX_CONF_ERROR;
    }

    choice->value = (char *) text->data;
    choice->sql = equals + 1;

    return NGX_CONF_OK;
}


static char *
ngx_sf_endpoint_conf_option(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_sf_param_t *param, const ngx_str_t *text)
{
    char                            *equals;
    u_char                           list[NGX_MAX_CONF_ERRSTR], *p;
    const char                      *wrong;
    const ngx_sf_endpoint_option_t  *option;

    p = list;
    equals = strchr((char *) text->data, '=');

    for (option = ngx_sf_endpoint_conf_option_list; option->name; option++) {

        if (!(option->types & ((ngx_uint_t) 1 << param->type))) {
            continue;
        }

        p = ngx_slprintf(p, list + sizeof(list) - 1, " %s=", option->name);

        if (equals == NULL
            || ngx_strlen(option->name)
               != (size_t) (equals - (char *) text->data)
            || ngx_strncmp(option->name, text->data,
                           equals - (char *) text->data) != 0)
        {
            continue;
        }

        wrong = option->set(cf, block, param, option, equals + 1);

        if (wrong) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" of parameter \"%s\" %s", text,
                               param->name, wrong);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    *p = '\0';

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is no option of parameter \"%s\", there "
                       "are:%s", text, param->name,
                       p == list ? (u_char *) " none" : list);

    return NGX_CONF_ERROR;
}


static const char *
ngx_sf_endpoint_conf_set_text(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_sf_param_t *param, const ngx_sf_endpoint_option_t *option, char *value)
{
    const char  **text;

    text = (const char **) ((u_char *) param + option->offset);

    if (*text) {
        return "says the same twice";
    }

    if (*value == '\0') {
        return "is empty";
    }

    if (text == &param->alias && ngx_sf_endpoint_conf_is_param(block, value)) {
        return "is the name of another parameter";
    }

    *text = value;

    return NULL;
}


static const char *
ngx_sf_endpoint_conf_set_number(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_sf_param_t *param, const ngx_sf_endpoint_option_t *option, char *value)
{
    int64_t    *number;
    ngx_str_t   text;

    number = (int64_t *) ((u_char *) param + option->offset);

    if (*number != -NGX_SF_NO_LIMIT && *number != NGX_SF_NO_LIMIT
        && *number != 0)
    {
        return "says the same twice";
    }

    text.data = (u_char *) value;
    text.len = ngx_strlen(value);

    if (ngx_sf_number_parse_int(&text, number) != NGX_OK) {
        return "is no integer";
    }

    if (*number < 1 && param->type == NGX_SF_PARAM_PAGE_SIZE) {
        return "is no number of rows";
    }

    return NULL;
}


static const char *
ngx_sf_endpoint_conf_set_default(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_sf_param_t *param, const ngx_sf_endpoint_option_t *option, char *value)
{
    if (param->def) {
        return "says the same twice";
    }

    param->def = value;

    return param->type == NGX_SF_PARAM_DATE
           ? ngx_sf_endpoint_conf_set_date(cf, block, param, value) : NULL;
}


/* today, or NAME, or so many days before one of them: end_date-30d */

static const char *
ngx_sf_endpoint_conf_set_date(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_sf_param_t *param, char *value)
{
    char                  *minus;
    size_t                 len;
    ngx_int_t              days;
    ngx_uint_t             i;
    const ngx_sf_param_t  *other;

    if (*value >= '0' && *value <= '9') {
        return NULL;
    }

    len = strcspn(value, "-");
    minus = value + len;

    if (*minus) {
        days = ngx_atoi((u_char *) minus + 1, ngx_strlen(minus) - 1
                                              - (ngx_strlen(minus) > 1));
        if (days < 1 || days > NGX_SF_ENDPOINT_DAYS
            || minus[ngx_strlen(minus) - 1] != 'd')
        {
            return "is no date: it is one as \"2026-02-20\", today, or days "
                   "before something, as in \"today-30d\"";
        }

        param->number = days;
    }

    if (len == 5 && ngx_strncmp(value, "today", 5) == 0) {
        param->def = "today";
        return NULL;
    }

    other = block->params.elts;

    for (i = 0; i < block->params.nelts; i++) {
        if (&other[i] != param && other[i].type == NGX_SF_PARAM_DATE
            && ngx_strlen(other[i].name) == len
            && ngx_strncmp(other[i].name, value, len) == 0)
        {
            if (other[i].def == NULL && other[i].path == 0) {
                return "counts from a date that has no default";
            }

            param->since = other[i].name;
            return NULL;
        }
    }

    return "counts from what is no date that stands above it";
}


static const char *
ngx_sf_endpoint_conf_set_invalid(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_sf_param_t *param, const ngx_sf_endpoint_option_t *option, char *value)
{
    if (param->lenient || param->invalid) {
        return "says the same twice";
    }

    if (*value == '\0') {
        return "is empty";
    }

    if (ngx_strcmp(value, "unset") == 0) {
        param->lenient = 1;

    } else {
        param->invalid = value;
    }

    return NULL;
}


/* the single item of a list is a parameter of its own, right behind it */

static const char *
ngx_sf_endpoint_conf_set_one(ngx_conf_t *cf, ngx_sf_declaration_t *block,
    ngx_sf_param_t *param, const ngx_sf_endpoint_option_t *option, char *value)
{
    ngx_str_t    name;
    const char  *wrong;

    if ((ngx_uint_t) (param - (ngx_sf_param_t *) block->params.elts) + 1
        != block->params.nelts)
    {
        return "says the same twice";
    }

    name.data = (u_char *) value;
    name.len = ngx_strlen(value);

    wrong = ngx_sf_endpoint_conf_param_name(&name);

    if (wrong) {
        return wrong;
    }

    if (ngx_sf_endpoint_conf_is_param(block, value)) {
        return "is the name of another parameter";
    }

    if (block->params.nelts == NGX_SF_ENDPOINT_PARAMS) {
        return "is one parameter too many";
    }

    return ngx_sf_endpoint_conf_add_param(cf, block, &name,
                                          NGX_SF_PARAM_LIST_ONE)
           ? NULL : "needs memory";
}

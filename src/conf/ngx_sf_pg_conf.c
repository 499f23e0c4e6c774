
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Directives of a PostgreSQL upstream, and what libpq is given for each lane.
 *
 * Where to connect comes from the `server` lines, how from softfactory_pg, and
 * from there, too, in which schema the tables are.
 *
 * A session finds nothing by search_path but what is PostgreSQL's own: a role
 * that may create an operator or a function in a schema on the path could have
 * its code run in the module's name, as a better match for its arguments
 * (PostgreSQL manual, Type Conversion, Operators; Schemas, Usage Patterns).
 *
 * Some keywords of libpq are refused, each for a reason of its own: they name
 * hosts, look things up in files or directories at every connect, or make
 * libpq change its socket behind the event loop's back.
 */


#include "ngx_sf_conf.h"
#include "ngx_sf_pg_file.h"


#define NGX_SF_PG_SOCKET  ".s.PGSQL."

/* how often a server looks whether the client of a statement is still there */

#define NGX_SF_PG_LOOK    "client_connection_check_interval"


typedef struct {
    const char                 *keyword;
    const char                 *why;
} ngx_sf_pg_refused_t;


typedef struct {
    const char                 *keyword;
    const char                 *value;
} ngx_sf_pg_default_t;


typedef struct {
    const char                 *name;
    const char                 *options;  /* of the server, beside timeouts */
} ngx_sf_pg_lane_conf_t;


typedef struct {
    const ngx_sf_pg_pool_param_t  *param;
    u_char                        *file;
    ngx_uint_t                     line;
} ngx_sf_pg_pooled_t;


static char *ngx_sf_pg_schema(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_str_t *name);
static ngx_uint_t ngx_sf_pg_sets(const char *options, const char *setting);
static char *ngx_sf_pg_conninfo_check(ngx_conf_t *cf,
    const PQconninfoOption *option);
static ngx_int_t ngx_sf_pg_conninfo_keep(ngx_conf_t *cf, ngx_array_t *given,
    const PQconninfoOption *option);
static char *ngx_sf_pg_conninfo_complete(ngx_conf_t *cf,
    ngx_sf_pg_conf_t *pgcf);
static char *ngx_sf_pg_conninfo_tls(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf);
static ngx_int_t ngx_sf_pg_init_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_sf_pg_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static char *ngx_sf_pg_pool_once(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_sf_pg_pool_param_t *param);
static char *ngx_sf_pg_pool_param(ngx_conf_t *cf,
    const ngx_sf_pg_pool_param_t *param, ngx_sf_pg_conf_t *pgcf,
    ngx_str_t *value);
static ngx_int_t ngx_sf_pg_conf_server(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_http_upstream_server_t *us);
static ngx_int_t ngx_sf_pg_conf_socket(ngx_conf_t *cf,
    ngx_sf_pg_conf_t *pgcf, ngx_sf_pg_server_conf_t *server,
    ngx_http_upstream_server_t *us);
static ngx_int_t ngx_sf_pg_conf_host(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_sf_pg_server_conf_t *server, ngx_http_upstream_server_t *us);
static ngx_uint_t ngx_sf_pg_conf_is_local(ngx_addr_t *addrs, ngx_uint_t n);
static ngx_int_t ngx_sf_pg_conf_lane(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_uint_t lane);
static ngx_int_t ngx_sf_pg_conf_startup(ngx_conf_t *cf,
    ngx_sf_pg_conf_t *pgcf, ngx_uint_t lane, ngx_array_t *options);
static ngx_int_t ngx_sf_pg_conf_push(ngx_conf_t *cf, ngx_array_t *options,
    const char *keyword, const u_char *value, size_t len);


static const ngx_sf_pg_refused_t  ngx_sf_pg_refused[] = {
    { "host", "name it in a \"server\" line" },
    { "hostaddr", "name it in a \"server\" line" },
    { "port", "name it in a \"server\" line" },
    { "service", "service files are read at every connect" },
    { "servicefile", "service files are read at every connect" },
    { "sslkeylogfile", "it would write the keys of all sessions to a file" },
    { "target_session_attrs", "the order of the \"server\" lines decides" },
    { "connect_timeout", "use connect_timeout= of softfactory_pg_pool" },
    { "gssencmode", "it is always \"disable\"" },
    { "client_encoding", "it is always \"UTF8\"" },
    { "replication", "statements need an ordinary connection" },
    { NULL, NULL }
};


/* schemas of PostgreSQL's own, or of a session's */

static const char *const  ngx_sf_pg_schemas[] = {
    "pg_", "information_schema", NULL
};


/*
 * What softfactory_pg need not say.  A peer that is gone without a word is
 * noticed within a minute while nothing is sent, and within ten seconds when
 * something is.
 */

static const ngx_sf_pg_default_t  ngx_sf_pg_defaults[] = {
    { "keepalives_idle", "30" },
    { "keepalives_interval", "10" },
    { "keepalives_count", "3" },
    { "tcp_user_timeout", "10000" },
    { "sslmode", "disable" },
    { NULL, NULL }
};


/* the others connect a second time, with or without TLS */

static const char *const  ngx_sf_pg_sslmodes[] = {
    "disable", "require", "verify-ca", "verify-full", NULL
};


/*
 * In the order of ngx_sf_pg_lane_e.  Read lanes are read-only, which is what
 * makes it safe to send a statement again.  Short statements are planned once
 * for a session; the slow ones for their values, each time.  The listener's
 * server notices sooner that its client is gone, as it would keep the
 * notifications for it.
 */

static const ngx_sf_pg_lane_conf_t  ngx_sf_pg_lanes[] = {
    { "read", " -c default_transaction_read_only=on"
              " -c plan_cache_mode=force_generic_plan" },
    { "totals", " -c default_transaction_read_only=on"
                " -c plan_cache_mode=force_custom_plan" },
    { "heavy", " -c default_transaction_read_only=on"
               " -c plan_cache_mode=force_custom_plan" },
    { "write", "" },
    { "ping", " -c default_transaction_read_only=on" },
    { "listen", " -c default_transaction_read_only=on"
                " -c plan_cache_mode=force_generic_plan"
                " -c lock_timeout=500"
                " -c tcp_user_timeout=10000 -c tcp_keepalives_idle=10"
                " -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3" }
};


/* sizes are those of one worker to one server; times in ms */

const ngx_sf_pg_pool_param_t  ngx_sf_pg_pool_params[] = {
    { "connections", NGX_SF_PG_POOL_NUMBER,
      offsetof(ngx_sf_pg_conf_t, size[NGX_SF_PG_READ]), 1, 1024 },
    { "totals", NGX_SF_PG_POOL_NUMBER,
      offsetof(ngx_sf_pg_conf_t, size[NGX_SF_PG_TOTALS]), 1, 1024 },
    { "heavy", NGX_SF_PG_POOL_NUMBER,
      offsetof(ngx_sf_pg_conf_t, size[NGX_SF_PG_HEAVY]), 1, 1024 },
    { "write", NGX_SF_PG_POOL_NUMBER,
      offsetof(ngx_sf_pg_conf_t, size[NGX_SF_PG_WRITE]), 1, 1024 },
    { "depth", NGX_SF_PG_POOL_NUMBER,
      offsetof(ngx_sf_pg_conf_t, depth), 1, 1024 },
    { "queue", NGX_SF_PG_POOL_NUMBER,
      offsetof(ngx_sf_pg_conf_t, queue), 1, 1000000 },
    { "wait", NGX_SF_PG_POOL_TIME,
      offsetof(ngx_sf_pg_conf_t, wait), 1, 3600000 },
    { "timeout", NGX_SF_PG_POOL_TIME,
      offsetof(ngx_sf_pg_conf_t, timeout[NGX_SF_PG_READ]), 1, 3600000 },
    { "heavy_timeout", NGX_SF_PG_POOL_TIME,
      offsetof(ngx_sf_pg_conf_t, timeout[NGX_SF_PG_HEAVY]), 1, 3600000 },
    { "write_timeout", NGX_SF_PG_POOL_TIME,
      offsetof(ngx_sf_pg_conf_t, timeout[NGX_SF_PG_WRITE]), 1, 3600000 },
    { "lock_timeout", NGX_SF_PG_POOL_TIME,
      offsetof(ngx_sf_pg_conf_t, lock_timeout), 1, 3600000 },
    { "connect_timeout", NGX_SF_PG_POOL_TIME,
      offsetof(ngx_sf_pg_conf_t, connect_timeout), 1, 3600000 },
    { "lifetime", NGX_SF_PG_POOL_TIME,
      offsetof(ngx_sf_pg_conf_t, lifetime), 0, NGX_MAX_INT32_VALUE },
    { "shared_sync", NGX_SF_PG_POOL_FLAG,
      offsetof(ngx_sf_pg_conf_t, shared_sync), 0, 0 },
    { "prepare", NGX_SF_PG_POOL_FLAG,
      offsetof(ngx_sf_pg_conf_t, prepare), 0, 0 },
    { NULL, 0, 0, 0, 0 }
};


/*
 * nginx makes one for each upstream{} and each server{}; those without
 * softfactory_pg (given.elts) mean nothing.  Defaults are set here and not in a
 * merge, as upstreams inherit nothing.
 */

void *
ngx_sf_pg_create_conf(ngx_conf_t *cf)
{
    ngx_sf_pg_conf_t  *pgcf;

    pgcf = ngx_pcalloc(cf->pool, sizeof(ngx_sf_pg_conf_t));
    if (pgcf == NULL) {
        return NULL;
    }

    pgcf->size[NGX_SF_PG_READ] = 2;
    pgcf->size[NGX_SF_PG_TOTALS] = 2;
    pgcf->size[NGX_SF_PG_HEAVY] = 2;
    pgcf->size[NGX_SF_PG_WRITE] = 2;
    pgcf->size[NGX_SF_PG_PING] = 1;
    pgcf->size[NGX_SF_PG_LISTEN] = 1;

    pgcf->timeout[NGX_SF_PG_READ] = 5000;
    pgcf->timeout[NGX_SF_PG_HEAVY] = 5000;
    pgcf->timeout[NGX_SF_PG_WRITE] = 5000;
    pgcf->timeout[NGX_SF_PG_LISTEN] = 2000;

    pgcf->lock_timeout = 2000;
    pgcf->connect_timeout = 3000;
    pgcf->lifetime = 1800000;
    pgcf->wait = 2000;
    pgcf->queue = 1024;
    pgcf->depth = 16;
    pgcf->shared_sync = 1;
    pgcf->prepare = 1;

    ngx_str_set(&pgcf->schema, "public");
    ngx_str_set(&pgcf->quoted, "\"public\"");

    return pgcf;
}


/*
 * libpq reads the text, so that its syntax, URIs included, is that of every
 * other client; what is kept are the words that were given.  The place of the
 * balancing method is taken here: one that stands before this line is refused
 * here, and one behind it at the end.
 */

char *
ngx_sf_pg_conninfo(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_pg_conf_t  *pgcf = conf;

    char                          *rv, *err;
    u_char                         line[NGX_MAX_CONF_ERRSTR / 2];
    ngx_str_t                     *value;
    PQconninfoOption              *options, *option;
    ngx_http_upstream_srv_conf_t  *uscf;

    if (pgcf->given.elts) {
        return "is duplicate";
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (uscf->peer.init_upstream) {
        return "cannot be combined with a load balancing method";
    }

    uscf->peer.init_upstream = ngx_sf_pg_init_upstream;

    if (ngx_array_init(&pgcf->given, cf->pool, 4, sizeof(ngx_keyval_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    err = NULL;

    options = PQconninfoParse((char *) value[1].data, &err);

    if (options == NULL) {
        ngx_sf_pg_one_line(line, sizeof(line), err ? err : "no memory");
        PQfreemem(err);

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid connection string: %s", line);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_OK;

    for (option = options; option->keyword; option++) {

        if (option->val == NULL) {
            continue;
        }

        rv = ngx_sf_pg_conninfo_check(cf, option);

        if (rv == NGX_CONF_OK
            && ngx_sf_pg_conninfo_keep(cf, &pgcf->given, option) != NGX_OK)
        {
            rv = NGX_CONF_ERROR;
        }

        if (rv != NGX_CONF_OK) {
            break;
        }
    }

    PQconninfoFree(options);

    if (rv == NGX_CONF_OK && cf->args->nelts > 2) {
        rv = ngx_sf_pg_schema(cf, pgcf, &value[2]);
    }

    return rv == NGX_CONF_OK ? ngx_sf_pg_conninfo_complete(cf, pgcf) : rv;
}


/*
 * The name goes into the text of statements, so it is quoted once and for all
 * (PostgreSQL manual, 4.1.1): in any case, since an unquoted one would be
 * folded to small letters.
 */

static char *
ngx_sf_pg_schema(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf, ngx_str_t *name)
{
    u_char             *p;
    ngx_uint_t          i;
    const char *const  *own;

    if (ngx_strncmp(name->data, "schema=", 7) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown parameter \"%V\", there is schema=", name);
        return NGX_CONF_ERROR;
    }

    pgcf->schema.data = name->data + 7;
    pgcf->schema.len = name->len - 7;

    if (pgcf->schema.len == 0 || pgcf->schema.len > NGX_SF_PG_SCHEMA_LEN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must name a schema in 1 to %d bytes",
                           name, NGX_SF_PG_SCHEMA_LEN);
        return NGX_CONF_ERROR;
    }

    for (own = ngx_sf_pg_schemas; *own; own++) {
        if (ngx_strncmp(pgcf->schema.data, *own, ngx_strlen(*own)) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is a schema of PostgreSQL's own",
                               &pgcf->schema);
            return NGX_CONF_ERROR;
        }
    }

    p = ngx_pnalloc(cf->pool, NGX_SF_PG_QUOTED_LEN);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    pgcf->quoted.data = p;
    *p++ = '"';

    for (i = 0; i < pgcf->schema.len; i++) {
        if (pgcf->schema.data[i] == '"') {
            *p++ = '"';
        }

        *p++ = pgcf->schema.data[i];
    }

    *p++ = '"';
    pgcf->quoted.len = p - pgcf->quoted.data;

    return NGX_CONF_OK;
}


static char *
ngx_sf_pg_conninfo_check(ngx_conf_t *cf, const PQconninfoOption *option)
{
    const char *const          *mode;
    const ngx_sf_pg_refused_t  *refused;

    for (refused = ngx_sf_pg_refused; refused->keyword; refused++) {
        if (ngx_strcmp(option->keyword, refused->keyword) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%s\" is not allowed in softfactory_pg: %s",
                               option->keyword, refused->why);
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_sf_pg_file_named(option->keyword, option->val) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%s\" must be an absolute path: libpq would "
                           "look in the folder that nginx was started from%s",
                           option->keyword, option->val,
                           ngx_strcmp(option->val, "system") == 0
                           ? " (sslrootcert=system needs libpq 16)" : "");
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(option->keyword, "options") == 0
        && ngx_sf_pg_sets(option->val, "search_path"))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "search_path is not allowed in options: the "
                           "tables are those of schema= behind the "
                           "connection string, and operators are "
                           "PostgreSQL's own");
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(option->keyword, "sslmode") != 0) {
        return NGX_CONF_OK;
    }

    for (mode = ngx_sf_pg_sslmodes; *mode; mode++) {
        if (ngx_strcmp(option->val, *mode) == 0) {
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "sslmode \"%s\" is not allowed, use \"disable\", "
                       "\"require\", \"verify-ca\" or \"verify-full\"; "
                       "libpq would connect twice with \"prefer\" and "
                       "\"allow\"", option->val);

    return NGX_CONF_ERROR;
}


/* a dash stands for an underscore there, and the case does not matter */

static ngx_uint_t
ngx_sf_pg_sets(const char *options, const char *setting)
{
    size_t       i, len;
    const char  *p;

    len = ngx_strlen(setting);

    for (p = options; *p; p++) {

        for (i = 0; i < len; i++) {
            if (ngx_tolower(p[i]) != setting[i]
                && !(p[i] == '-' && setting[i] == '_'))
            {
                break;
            }
        }

        if (i == len) {
            return 1;
        }
    }

    return 0;
}


/* copied: libpq frees its own list */

static ngx_int_t
ngx_sf_pg_conninfo_keep(ngx_conf_t *cf, ngx_array_t *given,
    const PQconninfoOption *option)
{
    size_t   len;
    u_char  *keyword;

    len = ngx_strlen(option->keyword);

    keyword = ngx_pnalloc(cf->pool, len + 1);
    if (keyword == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(keyword, (u_char *) option->keyword, len + 1);

    return ngx_sf_pg_conf_push(cf, given, (char *) keyword,
                               (u_char *) option->val,
                               ngx_strlen(option->val));
}


/* what libpq would guess, from the system's user or its home folder */

static char *
ngx_sf_pg_conninfo_complete(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf)
{
    ngx_str_t   *given;
    ngx_uint_t   i;

    static const char *const  words[] = { "dbname", "user" };

    for (i = 0; i < 2; i++) {
        given = ngx_sf_pg_given(pgcf, words[i]);

        if (given == NULL || given->len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "softfactory_pg needs %s=, as in "
                               "\"dbname=softfactory user=app\"", words[i]);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_sf_pg_conninfo_tls(cf, pgcf);
}


/*
 * verify-* without a file would use one in the home folder of the workers'
 * user, or refuse every connection.  libpq takes "system" with verify-full
 * only, since anybody can have a certificate of a public authority, for another
 * name.
 */

static char *
ngx_sf_pg_conninfo_tls(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf)
{
    ngx_str_t  *mode, *ca;

    mode = ngx_sf_pg_given(pgcf, "sslmode");
    ca = ngx_sf_pg_given(pgcf, "sslrootcert");

    if (ca == NULL) {
        if (mode && ngx_strncmp(mode->data, "verify-", 7) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "sslmode=%V needs sslrootcert=/path, a file of "
                               "the authorities' certificates%s", mode,
                               PQlibVersion() < NGX_SF_PG_SYSTEM
                               ? "" : ", or sslrootcert=system");
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (ngx_strcmp(ca->data, "system") == 0
        && (mode == NULL || ngx_strcmp(mode->data, "verify-full") != 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "sslrootcert=system needs sslmode=verify-full");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* nothing for nginx's own balancer here: see ngx_sf_pg_server.c */

static ngx_int_t
ngx_sf_pg_init_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    if (us->shm_zone) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "upstream \"%V\" in %s:%ui has softfactory_pg: "
                      "a zone cannot be used in it",
                      &us->host, us->file_name, us->line);
        return NGX_ERROR;
    }

    us->peer.init = ngx_sf_pg_init_peer;

    return NGX_OK;
}


/*
 * A proxy_pass with variables finds its upstream when a request comes, so
 * ngx_sf_conf_check_passers() has not seen it.
 */

static ngx_int_t
ngx_sf_pg_init_peer(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "upstream \"%V\" is a PostgreSQL upstream, "
                  "use softfactory_pass", &us->host);

    return NGX_ERROR;
}


/*
 * The parameters are set where the table says they are, in the upstream's
 * configuration; several lines add up.
 */

char *
ngx_sf_pg_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_pg_conf_t  *pgcf = conf;

    char                          *rv;
    size_t                         len;
    ngx_str_t                     *value, v;
    ngx_uint_t                     i;
    const ngx_sf_pg_pool_param_t  *param;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (param = ngx_sf_pg_pool_params; param->name; param++) {
            len = ngx_strlen(param->name);

            if (value[i].len > len && value[i].data[len] == '='
                && ngx_strncmp(value[i].data, param->name, len) == 0)
            {
                break;
            }
        }

        if (param->name == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown parameter \"%V\", there are "
                               "connections= totals= heavy= write= depth= "
                               "queue= wait= timeout= heavy_timeout= "
                               "write_timeout= lock_timeout= "
                               "connect_timeout= lifetime= shared_sync= "
                               "prepare=", &value[i]);
            return NGX_CONF_ERROR;
        }

        rv = ngx_sf_pg_pool_once(cf, pgcf, param);

        if (rv != NGX_CONF_OK) {
            return rv;
        }

        v.data = value[i].data + len + 1;
        v.len = value[i].len - len - 1;

        rv = ngx_sf_pg_pool_param(cf, param, pgcf, &v);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


/* the lines of an upstream add up, so no word may be said twice in them */

static char *
ngx_sf_pg_pool_once(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_sf_pg_pool_param_t *param)
{
    ngx_uint_t           i;
    ngx_sf_pg_pooled_t  *pooled;

    if (pgcf->pooled.elts == NULL
        && ngx_array_init(&pgcf->pooled, cf->pool, 4,
                          sizeof(ngx_sf_pg_pooled_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    pooled = pgcf->pooled.elts;

    for (i = 0; i < pgcf->pooled.nelts; i++) {
        if (pooled[i].param == param) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s= of this upstream was given in %s:%ui "
                               "already", param->name, pooled[i].file,
                               pooled[i].line);
            return NGX_CONF_ERROR;
        }
    }

    pooled = ngx_array_push(&pgcf->pooled);
    if (pooled == NULL) {
        return NGX_CONF_ERROR;
    }

    pooled->param = param;
    pooled->file = cf->conf_file->file.name.data;
    pooled->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* ngx_uint_t and ngx_msec_t are one type: all numbers are stored alike */

static char *
ngx_sf_pg_pool_param(ngx_conf_t *cf, const ngx_sf_pg_pool_param_t *param,
    ngx_sf_pg_conf_t *pgcf, ngx_str_t *value)
{
    void       *field;
    ngx_int_t   n;

    field = (char *) pgcf + param->offset;

    switch (param->type) {

    case NGX_SF_PG_POOL_FLAG:
        if (value->len == 2 && ngx_strncmp(value->data, "on", 2) == 0) {
            *(ngx_flag_t *) field = 1;
            return NGX_CONF_OK;
        }

        if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
            *(ngx_flag_t *) field = 0;
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s=\"%V\" must be \"on\" or \"off\"",
                           param->name, value);
        return NGX_CONF_ERROR;

    case NGX_SF_PG_POOL_TIME:
        n = ngx_parse_time(value, 0);
        break;

    default: /* NGX_SF_PG_POOL_NUMBER */
        n = ngx_atoi(value->data, value->len);
    }

    if (n == NGX_ERROR || n < param->min || n > param->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s=\"%V\" must be between %i%s and %i%s",
                           param->name, value, param->min,
                           param->type == NGX_SF_PG_POOL_TIME ? "ms" : "",
                           param->max,
                           param->type == NGX_SF_PG_POOL_TIME ? "ms" : "");
        return NGX_CONF_ERROR;
    }

    *(ngx_uint_t *) field = n;

    return NGX_CONF_OK;
}


char *
ngx_sf_pg_listen(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_pg_conf_t  *pgcf = conf;

    ngx_str_t                     *value;
    ngx_http_upstream_srv_conf_t  *uscf;

    if (pgcf->listen.len || pgcf->listen_off) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {
        pgcf->listen_off = 1;
        return NGX_CONF_OK;
    }

    if (value[1].len == 0) {
        return "must name an upstream or be \"off\"";
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (uscf->host.len == value[1].len
        && ngx_strncasecmp(uscf->host.data, value[1].data, value[1].len) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is the upstream that this stands in, "
                           "which listeners use without softfactory_listen",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    pgcf->listen = value[1];

    return NGX_CONF_OK;
}


/*
 * After all of http{}, and only for upstreams that are used: servers, those
 * marked backup behind the others, and the options of each lane.  The resolver
 * is that of http{}.
 */

ngx_int_t
ngx_sf_pg_conf_finish(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *uscf,
    ngx_sf_pg_conf_t *pgcf)
{
    ngx_uint_t                   i, backup, lane;
    ngx_sf_main_conf_t          *smcf;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_upstream_server_t  *us;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    pgcf->max_response = smcf->max_response;
    pgcf->name = uscf->host;
    pgcf->file = uscf->file_name;
    pgcf->line = uscf->line;

    if (uscf->peer.init_upstream != ngx_sf_pg_init_upstream) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "upstream \"%V\" in %s:%ui has softfactory_pg: "
                      "load balancing methods and keepalive cannot be used "
                      "in it", &uscf->host, uscf->file_name, uscf->line);
        return NGX_ERROR;
    }

    if (uscf->servers == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no servers are inside upstream \"%V\" in %s:%ui",
                      &uscf->host, uscf->file_name, uscf->line);
        return NGX_ERROR;
    }

    if (ngx_array_init(&pgcf->servers, cf->pool, uscf->servers->nelts,
                       sizeof(ngx_sf_pg_server_conf_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    us = uscf->servers->elts;

    for (backup = 0; backup < 2; backup++) {
        for (i = 0; i < uscf->servers->nelts; i++) {
            if (us[i].backup == backup
                && ngx_sf_pg_conf_server(cf, pgcf, &us[i]) != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    pgcf->timeout[NGX_SF_PG_TOTALS] = pgcf->timeout[NGX_SF_PG_HEAVY];
    pgcf->timeout[NGX_SF_PG_PING] = pgcf->timeout[NGX_SF_PG_READ];

    for (lane = 0; lane < NGX_SF_PG_LANES; lane++) {
        if (ngx_sf_pg_conf_lane(cf, pgcf, lane) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->resolver && clcf->resolver->connections.nelts) {
        pgcf->resolver = clcf->resolver;
        pgcf->resolver_timeout = clcf->resolver_timeout;
        ngx_conf_init_msec_value(pgcf->resolver_timeout, 30000);
    }

    return ngx_sf_pg_files_check(cf, pgcf);
}


/* a primary has one server at a time, replicas all of them */

ngx_uint_t
ngx_sf_pg_conf_connections(const ngx_sf_pg_conf_t *pgcf)
{
    ngx_uint_t  n;

    n = pgcf->listener ? 0 : pgcf->size[NGX_SF_PG_READ]
                             + pgcf->size[NGX_SF_PG_TOTALS]
                             + pgcf->size[NGX_SF_PG_HEAVY]
                             + 3 * NGX_SF_PG_SPARES
                             + pgcf->size[NGX_SF_PG_WRITE]
                             + pgcf->size[NGX_SF_PG_PING];

    return pgcf->replicas ? n * pgcf->servers.nelts
                          : n + pgcf->size[NGX_SF_PG_LISTEN];
}


/*
 * Parameters of nginx's balancer mean the same here, or are refused.  The hash
 * stands for the name where a number is needed: a query keeps that of the
 * server that had it, and 0 is none.
 */

static ngx_int_t
ngx_sf_pg_conf_server(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_http_upstream_server_t *us)
{
    ngx_sf_pg_server_conf_t  *server;

    server = ngx_array_push(&pgcf->servers);
    if (server == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(server, sizeof(ngx_sf_pg_server_conf_t));

    if (us->max_conns) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\": max_conns cannot be used with "
                      "softfactory_pg, use softfactory_pg_pool, in "
                      "upstream \"%V\" in %s:%ui",
                      &us->name, &pgcf->name, pgcf->file, pgcf->line);
        return NGX_ERROR;
    }

    server->name = us->name;
    server->hash = ngx_murmur_hash2(us->name.data, us->name.len);
    server->hash += server->hash == 0;
    server->weight = us->weight;
    server->max_fails = us->max_fails;
    server->fail_timeout = us->fail_timeout * 1000;
    server->backup = us->backup;
    server->down = us->down;

    if (ngx_array_init(&server->addrs, cf->pool, 1, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (us->addrs[0].sockaddr->sa_family == AF_UNIX) {
        return ngx_sf_pg_conf_socket(cf, pgcf, server, us);
    }

    return ngx_sf_pg_conf_host(cf, pgcf, server, us);
}


/* libpq names a socket by its directory and the port in its name */

static ngx_int_t
ngx_sf_pg_conf_socket(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_sf_pg_server_conf_t *server, ngx_http_upstream_server_t *us)
{
    u_char    *p, *last;
    ngx_str_t  path;

    path.data = us->name.data + sizeof("unix:") - 1;
    path.len = us->name.len - (sizeof("unix:") - 1);

    last = path.data + path.len;

    for (p = last; p > path.data && p[-1] != '/'; p--) { /* void */ }

    if (path.data[0] != '/'
        || (size_t) (last - p) <= sizeof(NGX_SF_PG_SOCKET) - 1
        || ngx_strncmp(p, NGX_SF_PG_SOCKET, sizeof(NGX_SF_PG_SOCKET) - 1)
           != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\": a PostgreSQL socket is named "
                      "unix:/directory/" NGX_SF_PG_SOCKET "port, in "
                      "upstream \"%V\" in %s:%ui",
                      &us->name, &pgcf->name, pgcf->file, pgcf->line);
        return NGX_ERROR;
    }

    server->host.data = ngx_pnalloc(cf->pool, p - path.data + 1);
    server->port.data = ngx_pnalloc(cf->pool, last - p + 1);

    if (server->host.data == NULL || server->port.data == NULL) {
        return NGX_ERROR;
    }

    server->host.len = ngx_max(p - path.data - 1, 1);
    ngx_cpystrn(server->host.data, path.data, server->host.len + 1);

    p += sizeof(NGX_SF_PG_SOCKET) - 1;

    server->port.len = last - p;
    ngx_cpystrn(server->port.data, p, server->port.len + 1);

    return NGX_OK;
}


/*
 * host:port, or [address]:port.  nginx has resolved the name already; a name
 * that is not its only address is resolved again later.  What leaves the
 * machine must say whether it is encrypted: a forgotten sslmode would send
 * passwords and rows in clear text.
 */

static ngx_int_t
ngx_sf_pg_conf_host(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_sf_pg_server_conf_t *server, ngx_http_upstream_server_t *us)
{
    u_char     *p, *colon, *last;
    ngx_str_t  *addr;
    ngx_uint_t  i;

    if (ngx_sf_pg_given(pgcf, "sslmode") == NULL
        && !ngx_sf_pg_conf_is_local(us->addrs, us->naddrs))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\" is another machine: softfactory_pg of "
                      "upstream \"%V\" must say sslmode=verify-full, "
                      "verify-ca, require or disable, in %s:%ui",
                      &us->name, &pgcf->name, pgcf->file, pgcf->line);
        return NGX_ERROR;
    }

    p = us->name.data;
    last = p + us->name.len;

    for (colon = last; colon > p && colon[-1] != ':' && colon[-1] != ']';
         colon--)
    {
        /* void */
    }

    if (colon == p || colon[-1] != ':') {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "server \"%V\" needs a port, such as \"%V:5432\", in "
                      "upstream \"%V\" in %s:%ui", &us->name, &us->name,
                      &pgcf->name, pgcf->file, pgcf->line);
        return NGX_ERROR;
    }

    server->port.len = last - colon;
    server->port.data = ngx_pnalloc(cf->pool, server->port.len + 1);
    server->host.data = ngx_pnalloc(cf->pool, us->name.len + 1);

    if (server->port.data == NULL || server->host.data == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(server->port.data, colon, server->port.len + 1);

    if (*p == '[') {
        p++;
        colon--;
    }

    server->host.len = colon - 1 - p;
    ngx_cpystrn(server->host.data, p, server->host.len + 1);

    for (i = 0; i < us->naddrs; i++) {
        addr = ngx_array_push(&server->addrs);
        if (addr == NULL) {
            return NGX_ERROR;
        }

        addr->data = ngx_pnalloc(cf->pool, NGX_SOCKADDR_STRLEN);
        if (addr->data == NULL) {
            return NGX_ERROR;
        }

        addr->len = ngx_sock_ntop(us->addrs[i].sockaddr, us->addrs[i].socklen,
                                  addr->data, NGX_SOCKADDR_STRLEN, 0);
    }

    addr = server->addrs.elts;
    server->resolve = addr->len != server->host.len
                      || ngx_strncmp(addr->data, server->host.data, addr->len)
                         != 0;

    return NGX_OK;
}


/* loopback addresses, all of them: 127.0.0.0/8 (RFC 1122, 3.2.1.3) and ::1 */

static ngx_uint_t
ngx_sf_pg_conf_is_local(ngx_addr_t *addrs, ngx_uint_t n)
{
    ngx_uint_t            i;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    for (i = 0; i < n; i++) {

        switch (addrs[i].sockaddr->sa_family) {

#if (NGX_HAVE_INET6)
        case AF_INET6:
            sin6 = (struct sockaddr_in6 *) addrs[i].sockaddr;

            if (!IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr)) {
                return 0;
            }

            break;
#endif

        default: /* AF_INET */
            sin = (struct sockaddr_in *) addrs[i].sockaddr;

            if (ntohl(sin->sin_addr.s_addr) >> 24 != 127) {
                return 0;
            }
        }
    }

    return 1;
}


/* the connection string of a lane: what is given, defaults, what is fixed */

static ngx_int_t
ngx_sf_pg_conf_lane(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf, ngx_uint_t lane)
{
    u_char                     *p, *name;
    ngx_str_t                   prefix, *given;
    ngx_uint_t                  i;
    ngx_array_t                *options;
    ngx_keyval_t               *kv, *copy;
    const ngx_sf_pg_default_t  *def;

    options = &pgcf->options[lane];

    if (ngx_array_init(options, cf->pool, 16, sizeof(ngx_keyval_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    kv = pgcf->given.elts;

    for (i = 0; i < pgcf->given.nelts; i++) {
        if (ngx_strcmp(kv[i].key.data, "options") == 0
            || ngx_strcmp(kv[i].key.data, "application_name") == 0)
        {
            continue;
        }

        copy = ngx_array_push(options);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        *copy = kv[i];
    }

    for (def = ngx_sf_pg_defaults; def->keyword; def++) {
        if (ngx_sf_pg_given(pgcf, def->keyword) == NULL
            && ngx_sf_pg_conf_push(cf, options, def->keyword,
                                   (u_char *) def->value,
                                   ngx_strlen(def->value))
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_str_set(&prefix, "softfactory");
    given = ngx_sf_pg_given(pgcf, "application_name");

    if (given) {
        prefix = *given;
    }

    name = ngx_pnalloc(cf->pool, prefix.len + sizeof("/listen"));
    if (name == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(name, "%V/%s", &prefix, ngx_sf_pg_lanes[lane].name);

    if (ngx_sf_pg_conf_push(cf, options, "application_name", name, p - name)
        != NGX_OK
        || ngx_sf_pg_conf_push(cf, options, "gssencmode",
                               (u_char *) "disable", 7)
           != NGX_OK
        || ngx_sf_pg_conf_push(cf, options, "client_encoding",
                               (u_char *) "UTF8", 4)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_sf_pg_conf_startup(cf, pgcf, lane, options);
}


/*
 * Settings of the session.  The user's own win over the first, but not over
 * those by which a text means what it says.  A statement is cancelled by
 * closing its connection, which a server has to look for; one that cannot
 * refuses a session that asks for it, whatever it is told after that.
 */

static ngx_int_t
ngx_sf_pg_conf_startup(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    ngx_uint_t lane, ngx_array_t *options)
{
    size_t      size;
    u_char     *text, *p;
    ngx_str_t  *given;

    static const char  fixed[] =
        "-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1"
        " -c IntervalStyle=postgres -c jit=off -c random_page_cost=1.1"
        " -c default_transaction_isolation=read\\ committed";
    static const char  look[] =
        " -c " NGX_SF_PG_LOOK "=500ms";
    static const char  last[] =
        " -c search_path=pg_catalog,pg_temp"
        " -c standard_conforming_strings=on";

    given = ngx_sf_pg_given(pgcf, "options");
    size = sizeof(fixed) + sizeof(look) + sizeof(last)
           + ngx_strlen(ngx_sf_pg_lanes[lane].options)
           + sizeof(" -c statement_timeout= -c lock_timeout=")
           + 2 * NGX_INT_T_LEN + (given ? given->len + 1 : 0);

    text = ngx_pnalloc(cf->pool, size);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, "%s%s -c statement_timeout=%M", fixed,
                    ngx_sf_pg_lanes[lane].options, pgcf->timeout[lane]);

    if (lane == NGX_SF_PG_WRITE) {
        p = ngx_sprintf(p, " -c lock_timeout=%M", pgcf->lock_timeout);
    }

    if (given == NULL
        || !ngx_sf_pg_sets((char *) given->data, NGX_SF_PG_LOOK))
    {
        p = ngx_cpymem(p, look, sizeof(look) - 1);
    }

    if (given) {
        p = ngx_sprintf(p, " %V", given);
    }

    p = ngx_cpymem(p, last, sizeof(last) - 1);

    return ngx_sf_pg_conf_push(cf, options, "options", text, p - text);
}


/* keyword is a constant; the value is copied and ended by NUL */

static ngx_int_t
ngx_sf_pg_conf_push(ngx_conf_t *cf, ngx_array_t *options,
    const char *keyword, const u_char *value, size_t len)
{
    u_char        *copy;
    ngx_keyval_t  *kv;

    kv = ngx_array_push(options);
    copy = ngx_pnalloc(cf->pool, len + 1);

    if (kv == NULL || copy == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(copy, value, len) = '\0';

    kv->key.data = (u_char *) keyword;
    kv->key.len = ngx_strlen(keyword);
    kv->value.data = copy;
    kv->value.len = len;

    return NGX_OK;
}

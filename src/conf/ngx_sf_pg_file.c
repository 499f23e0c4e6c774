
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Files that softfactory_pg names.
 *
 * libpq reads them whenever a worker connects, as the workers' user and in the
 * folder that nginx was started from.  What it does not like about them it
 * says at that time, or it goes on without them; here all of it is found when
 * the configuration is read.  What cannot be read by the user that tests a
 * configuration is left to the workers.
 */


#include "ngx_sf_pg_file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>


#define NGX_SF_PG_FILE_GROUPS  128
#define NGX_SF_PG_FILE_SIZE    (64 * 1024)    /* bytes of a passfile */
#define NGX_SF_PG_FILE_MAX     (16 * 1024 * 1024)     /* bytes of any */


/* NULL, or why the contents will not do */

typedef const char *(*ngx_sf_pg_file_pt)(ngx_conf_t *cf,
    ngx_sf_pg_conf_t *pgcf, const ngx_str_t *path);


typedef struct {
    const char                 *keyword;
    ngx_sf_pg_file_pt           contents; /* NULL: a folder */
} ngx_sf_pg_file_t;


static const ngx_sf_pg_file_t *ngx_sf_pg_file_find(const char *keyword,
    const u_char *value);
static void ngx_sf_pg_file_user(ngx_conf_t *cf, uid_t *uid, gid_t *gid);
static ngx_int_t ngx_sf_pg_file_check(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_sf_pg_file_t *file, ngx_keyval_t *kv, uid_t uid, gid_t gid);
static const char *ngx_sf_pg_file_mode(const ngx_sf_pg_file_t *file,
    const struct stat *st, uid_t uid, gid_t gid);
static ngx_uint_t ngx_sf_pg_file_in_group(uid_t uid, gid_t gid, gid_t group);
static const char *ngx_sf_pg_file_certificate(ngx_conf_t *cf,
    ngx_sf_pg_conf_t *pgcf, const ngx_str_t *path);
static const char *ngx_sf_pg_file_revocations(ngx_conf_t *cf,
    ngx_sf_pg_conf_t *pgcf, const ngx_str_t *path);
static ngx_int_t ngx_sf_pg_file_pem(const ngx_str_t *path, ngx_uint_t *certs,
    ngx_uint_t *crls);
static const char *ngx_sf_pg_file_key(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_str_t *path);
static int ngx_sf_pg_file_password(char *buf, int size, int rw, void *data);
static const char *ngx_sf_pg_file_passwords(ngx_conf_t *cf,
    ngx_sf_pg_conf_t *pgcf, const ngx_str_t *path);
static ngx_uint_t ngx_sf_pg_file_has_line(ngx_sf_pg_conf_t *pgcf,
    const ngx_sf_pg_server_conf_t *server, u_char *p, u_char *last);
static u_char *ngx_sf_pg_file_field(u_char *p, u_char *last,
    const ngx_str_t *value);


static const ngx_sf_pg_file_t  ngx_sf_pg_files[] = {
    { "passfile", ngx_sf_pg_file_passwords },
    { "sslkey", ngx_sf_pg_file_key },
    { "sslcert", ngx_sf_pg_file_certificate },
    { "sslrootcert", ngx_sf_pg_file_certificate },
    { "sslcrl", ngx_sf_pg_file_revocations },
    { "sslcrldir", NULL },
    { NULL, NULL }
};


/* NULL: the word names no file, or the system's own certificates */

static const ngx_sf_pg_file_t *
ngx_sf_pg_file_find(const char *keyword, const u_char *value)
{
    const ngx_sf_pg_file_t  *file;

    if (ngx_strcmp(keyword, "sslrootcert") == 0
        && ngx_strcmp(value, "system") == 0
        && PQlibVersion() >= NGX_SF_PG_SYSTEM)
    {
        return NULL;
    }

    for (file = ngx_sf_pg_files; file->keyword; file++) {
        if (ngx_strcmp(file->keyword, keyword) == 0) {
            return file;
        }
    }

    return NULL;
}


ngx_str_t *
ngx_sf_pg_given(ngx_sf_pg_conf_t *pgcf, const char *keyword)
{
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    kv = pgcf->given.elts;

    for (i = 0; i < pgcf->given.nelts; i++) {
        if (ngx_strcmp(kv[i].key.data, keyword) == 0) {
            return &kv[i].value;
        }
    }

    return NULL;
}


ngx_int_t
ngx_sf_pg_file_named(const char *keyword, const char *value)
{
    return value[0] == '/'
           || ngx_sf_pg_file_find(keyword, (u_char *) value) == NULL
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_sf_pg_files_check(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf)
{
    uid_t                    uid;
    gid_t                    gid;
    ngx_uint_t               i;
    ngx_keyval_t            *kv;
    const ngx_sf_pg_file_t  *file;

    ngx_sf_pg_file_user(cf, &uid, &gid);

    kv = pgcf->given.elts;

    for (i = 0; i < pgcf->given.nelts; i++) {
        file = ngx_sf_pg_file_find((char *) kv[i].key.data, kv[i].value.data);

        if (file
            && ngx_sf_pg_file_check(cf, pgcf, file, &kv[i], uid, gid)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* `user` is known when its directive stands before http{}, as it does */

static void
ngx_sf_pg_file_user(ngx_conf_t *cf, uid_t *uid, gid_t *gid)
{
    struct passwd    *pw;
    ngx_core_conf_t  *ccf;

    *uid = geteuid();
    *gid = getegid();

    if (*uid != 0) {
        return;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    if (ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        *uid = ccf->user;
        *gid = ccf->group;
        return;
    }

    pw = getpwnam(NGX_USER);

    if (pw) {
        *uid = pw->pw_uid;
        *gid = pw->pw_gid;
    }
}


/*
 * Three looks, each with a sentence of its own: whether the file is there,
 * whether the workers may read it, and whether libpq will like its contents.
 * OpenSSL leaves its errors in a queue of the process, which is emptied.
 */

static ngx_int_t
ngx_sf_pg_file_check(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_sf_pg_file_t *file, ngx_keyval_t *kv, uid_t uid, gid_t gid)
{
    const char   *why;
    struct stat   st;

    if (stat((char *) kv->value.data, &st) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, ngx_errno,
                      "softfactory_pg: %V \"%V\" cannot be read, in "
                      "upstream \"%V\" in %s:%ui", &kv->key, &kv->value,
                      &pgcf->name, pgcf->file, pgcf->line);
        return NGX_ERROR;
    }

    why = ngx_sf_pg_file_mode(file, &st, uid, gid);

    if (why) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pg: %V \"%V\" %s (uid %d), in "
                      "upstream \"%V\" in %s:%ui", &kv->key, &kv->value, why,
                      (int) uid, &pgcf->name, pgcf->file, pgcf->line);
        return NGX_ERROR;
    }

    why = file->contents ? file->contents(cf, pgcf, &kv->value) : NULL;
    ERR_clear_error();

    if (why) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pg: %V \"%V\" %s, in upstream \"%V\" in "
                      "%s:%ui", &kv->key, &kv->value, why, &pgcf->name,
                      pgcf->file, pgcf->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the checks of libpq, which would only warn on stderr and go on without */

static const char *
ngx_sf_pg_file_mode(const ngx_sf_pg_file_t *file, const struct stat *st,
    uid_t uid, gid_t gid)
{
    mode_t  mode;

    mode = st->st_uid == uid ? st->st_mode >> 6
           : ngx_sf_pg_file_in_group(uid, gid, st->st_gid) ? st->st_mode >> 3
                                                           : st->st_mode;

    if (file->contents == NULL) {
        return !S_ISDIR(st->st_mode) ? "is not a folder"
               : uid != 0 && !(mode & S_IXOTH)
                 ? "cannot be entered by the user of the workers" : NULL;
    }

    if (!S_ISREG(st->st_mode)) {
        return "is not a file";
    }

    if (st->st_size > NGX_SF_PG_FILE_MAX) {
        return "is longer than 16 MB, and is read at every connect";
    }

    if (uid != 0 && !(mode & S_IROTH)) {
        return "cannot be read by the user of the workers";
    }

    if (file->contents == ngx_sf_pg_file_passwords
        && (st->st_mode & (S_IRWXG|S_IRWXO)))
    {
        return "must have mode 0600 or less, libpq ignores it otherwise";
    }

    if (file->contents == ngx_sf_pg_file_key
        && (st->st_mode & (st->st_uid == 0 ? S_IWGRP|S_IXGRP|S_IRWXO
                                           : S_IRWXG|S_IRWXO)))
    {
        return "must have mode 0600, or 0640 when root owns it";
    }

    return NULL;
}


/* also by a supplementary group: workers call initgroups() */

static ngx_uint_t
ngx_sf_pg_file_in_group(uid_t uid, gid_t gid, gid_t group)
{
    int             i, n;
    gid_t           groups[NGX_SF_PG_FILE_GROUPS];
    struct passwd  *pw;

    if (gid == group) {
        return 1;
    }

    pw = getpwuid(uid);
    n = NGX_SF_PG_FILE_GROUPS;

    if (pw == NULL || getgrouplist(pw->pw_name, gid, groups, &n) == -1) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        if (groups[i] == group) {
            return 1;
        }
    }

    return 0;
}


/* a file that cannot be opened by this user is left to the workers */

static const char *
ngx_sf_pg_file_certificate(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_str_t *path)
{
    ngx_uint_t  certs, crls;

    return ngx_sf_pg_file_pem(path, &certs, &crls) == NGX_OK && certs == 0
           ? "holds no certificate that can be read: it must be PEM" : NULL;
}


static const char *
ngx_sf_pg_file_revocations(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_str_t *path)
{
    ngx_uint_t  certs, crls;

    return ngx_sf_pg_file_pem(path, &certs, &crls) == NGX_OK && crls == 0
           ? "holds no list of revocations that can be read: it must be PEM"
           : NULL;
}


/* one that is broken spoils the file; NGX_DECLINED: it cannot be opened */

static ngx_int_t
ngx_sf_pg_file_pem(const ngx_str_t *path, ngx_uint_t *certs,
    ngx_uint_t *crls)
{
    BIO                  *bio;
    int                   i;
    X509_INFO            *info;
    STACK_OF(X509_INFO)  *list;

    *certs = 0;
    *crls = 0;

    bio = BIO_new_file((char *) path->data, "r");
    if (bio == NULL) {
        return NGX_DECLINED;
    }

    list = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);

    for (i = 0; list && i < sk_X509_INFO_num(list); i++) {
        info = sk_X509_INFO_value(list, i);
        *certs += info->x509 != NULL;
        *crls += info->crl != NULL;
    }

    sk_X509_INFO_pop_free(list, X509_INFO_free);
    BIO_free(bio);

    return NGX_OK;
}


/*
 * Whether the key can be read, and belongs to sslcert: libpq would say so at
 * each connect, and a worker that asks for a password at a terminal would hang.
 */

static const char *
ngx_sf_pg_file_key(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_str_t *path)
{
    BIO         *bio;
    X509        *x509;
    EVP_PKEY    *key;
    ngx_str_t   *cert;
    const char  *why;

    bio = BIO_new_file((char *) path->data, "r");
    if (bio == NULL) {
        return NULL;
    }

    key = PEM_read_bio_PrivateKey(bio, NULL, ngx_sf_pg_file_password,
                                  ngx_sf_pg_given(pgcf, "sslpassword"));
    BIO_free(bio);

    if (key == NULL) {
        return "holds no key that can be read, with sslpassword= if it has a "
               "password";
    }

    why = NULL;
    cert = ngx_sf_pg_given(pgcf, "sslcert");
    bio = cert ? BIO_new_file((char *) cert->data, "r") : NULL;

    if (bio) {
        x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

        if (x509 && X509_check_private_key(x509, key) != 1) {
            why = "is not the key of sslcert";
        }

        X509_free(x509);
        BIO_free(bio);
    }

    EVP_PKEY_free(key);

    return why;
}


/* nobody is asked at a terminal */

static int
ngx_sf_pg_file_password(char *buf, int size, int rw, void *data)
{
    ngx_str_t  *password = data;

    if (password == NULL || password->len > (size_t) size) {
        return 0;
    }

    ngx_memcpy(buf, password->data, password->len);

    return (int) password->len;
}


/* where a password is given, the file is not looked at */

static const char *
ngx_sf_pg_file_passwords(ngx_conf_t *cf, ngx_sf_pg_conf_t *pgcf,
    const ngx_str_t *path)
{
    int                       fd;
    u_char                   *buf, *why;
    ssize_t                   n;
    ngx_uint_t                i;
    ngx_sf_pg_server_conf_t  *server;

    fd = open((char *) path->data, O_RDONLY|O_CLOEXEC);

    if (fd == -1 || ngx_sf_pg_given(pgcf, "password")) {
        n = NGX_ERROR;
        buf = NULL;

    } else {
        buf = ngx_palloc(cf->temp_pool, NGX_SF_PG_FILE_SIZE);
        n = buf ? read(fd, buf, NGX_SF_PG_FILE_SIZE) : NGX_ERROR;
    }

    if (fd != -1) {
        (void) close(fd);
    }

    if (n == NGX_ERROR || n == NGX_SF_PG_FILE_SIZE) {
        return NULL;
    }

    server = pgcf->servers.elts;

    for (i = 0; i < pgcf->servers.nelts; i++) {

        if (server[i].down
            || ngx_sf_pg_file_has_line(pgcf, &server[i], buf, buf + n))
        {
            continue;
        }

        why = ngx_pnalloc(cf->temp_pool, NGX_MAX_CONF_ERRSTR);
        if (why == NULL) {
            return "cannot be checked, memory is short";
        }

        ngx_snprintf(why, NGX_MAX_CONF_ERRSTR,
                     "has no line for \"%V:%V:%V:%V\" (a line is "
                     "host:port:dbname:user:password, * stands for any)%Z",
                     &server[i].host, &server[i].port,
                     ngx_sf_pg_given(pgcf, "dbname"),
                     ngx_sf_pg_given(pgcf, "user"));

        return (char *) why;
    }

    return NULL;
}


/* libpq's passwordFromFile(); a socket may stand as "localhost" */

static ngx_uint_t
ngx_sf_pg_file_has_line(ngx_sf_pg_conf_t *pgcf,
    const ngx_sf_pg_server_conf_t *server, u_char *p, u_char *last)
{
    u_char     *end, *rest;
    ngx_str_t   local;

    ngx_str_set(&local, "localhost");

    for ( /* void */ ; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '\n');

        if (end == NULL) {
            end = last;
        }

        if (*p == '#') {
            continue;
        }

        rest = ngx_sf_pg_file_field(p, end, &server->host);

        if (rest == NULL && server->host.data[0] == '/') {
            rest = ngx_sf_pg_file_field(p, end, &local);
        }

        rest = ngx_sf_pg_file_field(rest, end, &server->port);
        rest = ngx_sf_pg_file_field(rest, end,
                                    ngx_sf_pg_given(pgcf, "dbname"));
        rest = ngx_sf_pg_file_field(rest, end,
                                    ngx_sf_pg_given(pgcf, "user"));

        if (rest) {
            return 1;
        }
    }

    return 0;
}


/* behind the field and its colon, if it is "*" or the value; else NULL */

static u_char *
ngx_sf_pg_file_field(u_char *p, u_char *last, const ngx_str_t *value)
{
    size_t  i;

    if (p == NULL) {
        return NULL;
    }

    if (last - p >= 2 && p[0] == '*' && p[1] == ':') {
        return p + 2;
    }

    for (i = 0; i < value->len; i++) {

        if (p < last && *p == '\\') {
            p++;
        }

        if (p == last || *p++ != value->data[i]) {
            return NULL;
        }
    }

    return p < last && *p == ':' ? p + 1 : NULL;
}

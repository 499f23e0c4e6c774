
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Files of keys: read with the configuration, and again when they change.
 *
 * An issuer changes its keys whenever it likes, and somebody else writes what
 * it publishes into a file, so each worker looks at its files every 10 seconds.
 * That is one stat() of each; one that has changed is read and parsed at once,
 * as it is local and has 64 KB at most.  It should be renamed into place, but
 * half of a file is no set of keys either: what cannot be used leaves the keys
 * that were there, and is read again when it changes again.
 *
 * A worker may not be allowed to read what the master could: it keeps the keys
 * that came with the configuration until the next reload.  All workers see the
 * same, so only the first of them speaks of it.
 *
 * With a new set the worker forgets the tokens that it has verified: they may
 * have been signed by a key that is gone.
 */


#include "ngx_sf_http.h"

#include <openssl/evp.h>


#define NGX_SF_KEYS_PERIOD  10000         /* ms */
#define NGX_SF_KEYS_MAX     65536         /* bytes of a file */


static void ngx_sf_keys_handler(ngx_event_t *ev);
static ngx_uint_t ngx_sf_keys_look(ngx_sf_key_file_t *file, ngx_log_t *log);
static ngx_uint_t ngx_sf_keys_same(const ngx_file_info_t *a,
    const ngx_file_info_t *b);
static void ngx_sf_keys_tell(const ngx_sf_key_file_t *file, ngx_log_t *log,
    const u_char *why, ngx_err_t err);
static ngx_int_t ngx_sf_key_file_text(ngx_sf_key_file_t *file, ngx_fd_t fd,
    ngx_str_t *text, u_char *why, ngx_err_t *err);
static ngx_int_t ngx_sf_key_file_set(ngx_sf_key_file_t *file,
    const ngx_str_t *text, ngx_log_t *log, u_char *why);


/*
 * Whether the workers can read a file is said at the start, and not only when
 * it has changed and that is not seen.
 */

void
ngx_sf_keys_start(ngx_sf_worker_t *worker)
{
    ngx_fd_t             fd;
    ngx_uint_t           i;
    ngx_sf_key_file_t  **file;

    if (worker->smcf->key_files.nelts == 0) {
        return;
    }

    file = worker->smcf->key_files.elts;

    for (i = 0; i < worker->smcf->key_files.nelts; i++) {

        /* a worker that follows one that died has those of the master */

        (void) ngx_sf_keys_look(file[i], worker->cycle->log);

        if (file[i]->told) {
            continue;
        }

        fd = ngx_open_file(file[i]->path.data,
                           NGX_FILE_RDONLY|NGX_FILE_NONBLOCK, NGX_FILE_OPEN,
                           0);

        if (fd != NGX_INVALID_FILE) {
            (void) ngx_close_file(fd);
            continue;
        }

        file[i]->told = ngx_errno;
        ngx_sf_keys_tell(file[i], worker->cycle->log,
                         (u_char *) "cannot be read by workers", ngx_errno);
    }

    worker->look.handler = ngx_sf_keys_handler;
    worker->look.data = worker;
    worker->look.log = worker->cycle->log;
    worker->look.cancelable = 1;

    ngx_add_timer(&worker->look, NGX_SF_KEYS_PERIOD);
}


void
ngx_sf_keys_stop(ngx_sf_worker_t *worker)
{
    if (worker->look.timer_set) {
        ngx_del_timer(&worker->look);
    }
}


static void
ngx_sf_keys_handler(ngx_event_t *ev)
{
    ngx_uint_t           i, changed;
    ngx_sf_worker_t     *worker;
    ngx_sf_key_file_t  **file;

    worker = ev->data;
    changed = 0;

    file = worker->smcf->key_files.elts;

    for (i = 0; i < worker->smcf->key_files.nelts; i++) {
        changed |= ngx_sf_keys_look(file[i], ev->log);
    }

    if (changed) {
        ngx_sf_tokens_clear(worker->tokens);
    }

    ngx_add_timer(ev, NGX_SF_KEYS_PERIOD);
}


/* whether there is a new set; the same trouble is told once */

static ngx_uint_t
ngx_sf_keys_look(ngx_sf_key_file_t *file, ngx_log_t *log)
{
    u_char           why[NGX_SF_JWT_SET_WHY];
    ngx_err_t        err;
    ngx_int_t        rc;
    ngx_file_info_t  info;

    if (ngx_file_info(file->path.data, &info) != NGX_FILE_ERROR
        && ngx_sf_keys_same(&info, &file->info))
    {
        return 0;
    }

    rc = ngx_sf_key_file_read(file, log, why, &err);

    if (rc == NGX_ERROR) {
        if (err == 0 || err != file->told) {
            ngx_sf_keys_tell(file, log, why, err);
        }

        file->told = err;

        /* what is none of the text may be over the next time */

        if (err) {
            ngx_memzero(&file->info, sizeof(ngx_file_info_t));
        }

        return 0;
    }

    file->told = 0;

    if (rc == NGX_OK && ngx_worker == 0) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "softfactory_jwt_key: \"%V\" has changed: %ui keys",
                      &file->path, file->set.keys->nelts);
    }

    return rc == NGX_OK;
}


static ngx_uint_t
ngx_sf_keys_same(const ngx_file_info_t *a, const ngx_file_info_t *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
           && a->st_ctim.tv_sec == b->st_ctim.tv_sec
           && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec
           && a->st_size == b->st_size && a->st_ino == b->st_ino
           && a->st_dev == b->st_dev;
}


static void
ngx_sf_keys_tell(const ngx_sf_key_file_t *file, ngx_log_t *log,
    const u_char *why, ngx_err_t err)
{
    if (ngx_worker == 0) {
        ngx_log_error(NGX_LOG_WARN, log, err,
                      "softfactory_jwt_key: \"%V\" %s: the keys that were read "
                      "before stay", &file->path, why);
    }
}


ngx_int_t
ngx_sf_key_file_read(ngx_sf_key_file_t *file, ngx_log_t *log, u_char *why,
    ngx_err_t *err)
{
    ngx_fd_t   fd;
    ngx_int_t  rc;
    ngx_str_t  text;

    *err = 0;

    /* a FIFO is not waited for, and cannot be read at an offset */

    fd = ngx_open_file(file->path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        *err = ngx_errno;
        ngx_sprintf(why, "cannot be read%Z");
        return NGX_ERROR;
    }

    text.data = ngx_alloc(NGX_SF_KEYS_MAX + 1, log);

    if (text.data == NULL) {
        ngx_sprintf(why, NGX_SF_JWT_MEMORY "%Z");
        rc = NGX_ERROR;

    } else {
        rc = ngx_sf_key_file_text(file, fd, &text, why, err);
    }

    (void) ngx_close_file(fd);

    if (rc == NGX_OK) {
        rc = ngx_sf_key_file_set(file, &text, log, why);
    }

    /* it may hold a secret */

    if (text.data) {
        ngx_explicit_memzero(text.data, NGX_SF_KEYS_MAX + 1);
        ngx_free(text.data);
    }

    return rc;
}


/* its state is taken first: what is written from now on is seen later */

static ngx_int_t
ngx_sf_key_file_text(ngx_sf_key_file_t *file, ngx_fd_t fd, ngx_str_t *text,
    u_char *why, ngx_err_t *err)
{
    ssize_t  n;

    n = ngx_fd_info(fd, &file->info) == NGX_FILE_ERROR
        ? -1 : pread(fd, text->data, NGX_SF_KEYS_MAX + 1, 0);

    if (n == -1) {
        *err = ngx_errno;
        ngx_sprintf(why, "is not a file that can be read%Z");
        return NGX_ERROR;
    }

    if (n > NGX_SF_KEYS_MAX) {
        ngx_sprintf(why, "is longer than 64 KB%Z");
        return NGX_ERROR;
    }

    text->len = n;

    return NGX_OK;
}


/* a file that was only touched changes nothing */

static ngx_int_t
ngx_sf_key_file_set(ngx_sf_key_file_t *file, const ngx_str_t *text,
    ngx_log_t *log, u_char *why)
{
    u_char  digest[EVP_MAX_MD_SIZE];

    if (EVP_Digest(text->data, text->len, digest, NULL, EVP_sha256(), NULL)
        != 1)
    {
        ngx_sprintf(why, NGX_SF_JWT_MEMORY "%Z");
        return NGX_ERROR;
    }

    if (file->set.pool
        && ngx_memcmp(file->digest, digest, sizeof(file->digest)) == 0)
    {
        return NGX_DONE;
    }

    if (ngx_sf_jwt_set_read(&file->set, text, &file->terms, log, why)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(file->digest, digest, sizeof(file->digest));

    return NGX_OK;
}

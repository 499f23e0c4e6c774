
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Texts: what a pool sends for a statement, the name it has there, and the
 * types of what it brings.
 *
 * The name of a prepared statement is a digest of the very text that is
 * prepared under it, so one name never stands for two texts, no matter which
 * worker has prepared it and on which session: behind a pooler that shares its
 * sessions a name can only be known there, or not be known.
 *
 * A session keeps the row description with which a statement was prepared.
 * After a change of the schema it must be prepared anew, so its text has to
 * be another one, also for poolers that recognise texts: it ends with the
 * era, a number that grows.
 *
 *     SELECT ... WHERE c.id = $1
 *     SELECT ... WHERE c.id = $1 -- era 3
 *
 * The era is the pool's, which the listener moves when the schema has changed,
 * plus how often PostgreSQL has said that this very text is stale.  A text of
 * an older era is not taken back: it ends with its session.
 *
 * The columns of a result are looked at when they are others than those of the
 * last one: their types, which is a comparison of a few numbers, and for a
 * statement with a judge of its own also their names.
 */


#include "ngx_sf_pg.h"
#include "ngx_sf_type.h"

#include <ngx_md5.h>


#define NGX_SF_PG_TEXT_ERA     " -- era "

/* of a column's name in the log, bytes */

#define NGX_SF_PG_TEXT_COLUMN  128

/* of what a judge says, and of what is remembered of columns, at least */

#define NGX_SF_PG_TEXT_ERROR   512
#define NGX_SF_PG_TEXT_ROOM    256


static ngx_int_t ngx_sf_pg_text_make(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, ngx_sf_pg_text_t *text);
static ngx_uint_t ngx_sf_pg_text_same(const ngx_sf_pg_text_t *text,
    const PGresult *res);
static void ngx_sf_pg_text_remember(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res);
static ngx_int_t ngx_sf_pg_text_ask(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res);
static ngx_int_t ngx_sf_pg_text_look(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res);
static void ngx_sf_pg_text_refuse(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res,
    ngx_uint_t column, const char *kind);


static ngx_inline ngx_uint_t
ngx_sf_pg_text_era(const ngx_sf_pg_pool_t *pool, const ngx_sf_pg_text_t *text)
{
    return text->stale + (pool->era ? *pool->era : 0);
}


ngx_sf_pg_text_t *
ngx_sf_pg_text(ngx_sf_pg_pool_t *pool, const ngx_sf_pg_statement_t *statement)
{
    ngx_uint_t         era;
    ngx_sf_pg_text_t  *text;

    text = &pool->texts[statement->id];
    era = ngx_sf_pg_text_era(pool, text);

    if (text->version && text->era == era) {
        return text;
    }

    text->era = era;

    return ngx_sf_pg_text_make(pool, statement, text) == NGX_OK ? text : NULL;
}


/* the room is for any era, so it is taken once */

static ngx_int_t
ngx_sf_pg_text_make(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, ngx_sf_pg_text_t *text)
{
    u_char     *p, hash[16];
    size_t      len;
    ngx_md5_t   md5;

    len = ngx_strlen(statement->text);

    if (text->text == NULL) {
        text->text = ngx_pnalloc(pool->memory,
                                 len + sizeof(NGX_SF_PG_TEXT_ERA)
                                 + NGX_INT_T_LEN);
        if (text->text == NULL) {
            return NGX_ERROR;
        }
    }

    p = ngx_cpymem(text->text, statement->text, len);

    if (text->era) {
        p = ngx_sprintf(p, NGX_SF_PG_TEXT_ERA "%ui", text->era);
    }

    *p = '\0';

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, text->text, p - text->text);
    ngx_md5_final(hash, &md5);

    *ngx_hex_dump(text->name, hash, sizeof(hash)) = '\0';

    text->version++;

    return NGX_OK;
}


/* several may have run by the name: the first to say so is believed */

void
ngx_sf_pg_text_stale(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, uint32_t version)
{
    ngx_sf_pg_text_t  *text;

    text = &pool->texts[statement->id];

    if (version && version == text->version
        && text->era == ngx_sf_pg_text_era(pool, text))
    {
        text->stale++;
    }
}


/*
 * Columns are those that PostgreSQL has described, so a statement is judged
 * once for each description and not for each result.
 */

ngx_int_t
ngx_sf_pg_text_judge(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res)
{
    ngx_int_t          rc;
    ngx_sf_pg_text_t  *text;

    text = &pool->texts[statement->id];

    if (statement->judge == NULL) {

        if ((ngx_uint_t) PQnfields(res) != statement->columns) {
            return NGX_ERROR;
        }

        if (statement->kinds == NULL) {
            return NGX_OK;
        }
    }

    if (text->types && ngx_sf_pg_text_same(text, res)) {
        return text->refused ? NGX_DECLINED : NGX_OK;
    }

    rc = statement->judge ? ngx_sf_pg_text_ask(pool, statement, res)
                          : ngx_sf_pg_text_look(pool, statement, res);

    text->refused = (rc != NGX_OK);
    ngx_sf_pg_text_remember(pool, statement, res);

    return rc;
}


static ngx_uint_t
ngx_sf_pg_text_same(const ngx_sf_pg_text_t *text, const PGresult *res)
{
    int          i, n;
    const char  *name, *last;

    n = PQnfields(res);

    if ((ngx_uint_t) n != text->columns) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        if (PQftype(res, i) != text->types[i]) {
            return 0;
        }
    }

    if (text->names == NULL) {
        return 1;
    }

    last = text->names;

    for (i = 0; i < n; i++) {
        name = PQfname(res, i);

        while (*name && *name == *last) {
            name++;
            last++;
        }

        if (*name != *last++) {
            return 0;
        }
    }

    return 1;
}


/*
 * What there was no memory for is judged again.  The room grows by powers of
 * two, so a text whose descriptions alternate does not fill the worker.
 */

static void
ngx_sf_pg_text_remember(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res)
{
    int                i, n;
    char              *p;
    size_t             size;
    ngx_sf_pg_text_t  *text;

    text = &pool->texts[statement->id];
    n = PQnfields(res);
    size = n * sizeof(Oid);

    for (i = 0; statement->judge && i < n; i++) {
        size += ngx_strlen(PQfname(res, i)) + 1;
    }

    if (size > text->room || text->types == NULL) {
        text->room = ngx_max(text->room, NGX_SF_PG_TEXT_ROOM);

        while (text->room < size) {
            text->room *= 2;
        }

        text->types = ngx_palloc(pool->memory, text->room);

        if (text->types == NULL) {
            text->room = 0;
            return;
        }
    }

    text->columns = n;
    p = (char *) (text->types + n);
    text->names = statement->judge ? p : NULL;

    for (i = 0; i < n; i++) {
        text->types[i] = PQftype(res, i);

        if (statement->judge) {
            p = (char *) ngx_cpystrn((u_char *) p, (u_char *) PQfname(res, i),
                                     size)
                + 1;
        }
    }
}


static ngx_int_t
ngx_sf_pg_text_ask(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res)
{
    u_char  error[NGX_SF_PG_TEXT_ERROR];

    error[0] = '\0';

    if (statement->judge(statement, res, error, sizeof(error)) == NGX_OK) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                  "softfactory upstream \"%V\", %V: %s",
                  &pool->conf->name, &statement->name, error);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_sf_pg_text_look(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res)
{
    ngx_uint_t                 i;
    const ngx_sf_type_kind_t  *kind;

    for (i = 0; i < statement->columns; i++) {
        kind = ngx_sf_type_misfit(PQftype(res, i), statement->kinds[i]);

        if (kind) {
            ngx_sf_pg_text_refuse(pool, statement, res, i, kind->name);
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* the type is named where its name is known, else by its oid */

static void
ngx_sf_pg_text_refuse(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, const PGresult *res,
    ngx_uint_t column, const char *kind)
{
    u_char       name[NGX_SF_PG_TEXT_COLUMN], type[NGX_SF_PG_TEXT_COLUMN];
    const char  *known;

    ngx_sf_pg_one_line(name, sizeof(name), PQfname(res, column));
    known = ngx_sf_type_name(PQftype(res, column));
    ngx_sprintf(type, "the oid %uD%Z", (uint32_t) PQftype(res, column));

    ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                  "softfactory upstream \"%V\", %V: column %ui, \"%s\", is of "
                  "type %s, where a %s is expected",
                  &pool->conf->name, &statement->name, column + 1, name,
                  known ? known : (char *) type, kind);
}


void
ngx_sf_pg_text_set_era(ngx_sf_pg_pool_t *pool, const ngx_atomic_t *era)
{
    pool->era = era;
}

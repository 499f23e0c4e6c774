
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Texts: what a pool sends for a statement, and the name it has there.
 *
 * The name of a prepared statement is a digest of the very text that is
 * prepared under it, so one name never stands for two texts, whoever has
 * prepared it and on whichever session: behind a pooler that shares its
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
 * The era is the pool's, which whoever hears of changes of the schema moves,
 * plus how often PostgreSQL has said that this very text is stale.  A text of
 * an older era is not taken back: it ends with its session.
 */


#include "ngx_sf_pg.h"

#include <ngx_md5.h>


#define NGX_SF_PG_TEXT_ERA  " -- era "


static ngx_int_t ngx_sf_pg_text_make(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, ngx_sf_pg_text_t *text);


ngx_sf_pg_text_t *
ngx_sf_pg_text(ngx_sf_pg_pool_t *pool, const ngx_sf_pg_statement_t *statement)
{
    ngx_uint_t         era;
    ngx_sf_pg_text_t  *text;

    text = &pool->texts[statement->id];
    era = text->stale + (pool->era ? *pool->era : 0);

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


void
ngx_sf_pg_text_stale(ngx_sf_pg_pool_t *pool,
    const ngx_sf_pg_statement_t *statement, uint32_t version)
{
    ngx_sf_pg_text_t  *text;

    text = &pool->texts[statement->id];

    if (version && version == text->version) {
        text->stale++;
    }
}


void
ngx_sf_pg_pool_set_era(ngx_sf_pg_pool_t *pool, const ngx_atomic_t *era)
{
    pool->era = era;
}

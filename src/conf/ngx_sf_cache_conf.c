
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Directives of the cache: zones, times to live, and which database the
 * responses of a location come from.
 *
 * A zone may stand below its users, so it is looked up when all of http{} has
 * been read.  An origin is a primary upstream in a zone; its identity is what
 * keeps two databases apart that share one.
 */


#include "ngx_sf_conf.h"

#include <ngx_md5.h>


static ngx_sf_zone_t *ngx_sf_cache_conf_find(ngx_sf_main_conf_t *smcf,
    const ngx_str_t *name);
static ngx_uint_t ngx_sf_cache_conf_kept(const ngx_sf_endpoint_t *endpoint);
static ngx_int_t ngx_sf_cache_conf_apply(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);
static ngx_int_t ngx_sf_cache_conf_check_kept(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, const ngx_sf_ttl_words_t *words,
    const u_char *found);
static void ngx_sf_cache_conf_not_kept(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf, const ngx_sf_ttl_words_t *words);
static char *ngx_sf_cache_conf_time(ngx_conf_t *cf, ngx_str_t *value,
    ngx_msec_t *ms);
static ngx_sf_ttl_t *ngx_sf_cache_conf_ttls(ngx_conf_t *cf);
static void ngx_sf_cache_conf_default(ngx_conf_t *cf, ngx_sf_ttl_t *ttls);
static ngx_uint_t ngx_sf_cache_conf_differs(ngx_sf_main_conf_t *smcf,
    ngx_sf_zone_t *zone, ngx_shm_zone_t *old);
static void ngx_sf_cache_conf_identity(ngx_sf_pg_conf_t *pgcf,
    u_char identity[16]);
static ngx_str_t ngx_sf_cache_conf_word(ngx_sf_pg_conf_t *pgcf,
    const char *word);


/*
 * Named shared memory of the size that is given.  "off" is what a location says
 * to be without a zone, so no zone can have that name.
 */

char *
ngx_sf_cache_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_main_conf_t  *smcf = conf;

    ssize_t          size;
    ngx_str_t       *value;
    ngx_sf_zone_t   *zone, **slot;
    ngx_shm_zone_t  *shm_zone;

    value = cf->args->elts;
    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no size, as in \"64m\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < NGX_SF_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small: at least %dm",
                           &value[1], NGX_SF_ZONE_MIN / 1024 / 1024);
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(value[1].data, "off") == 0 || value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" cannot be the name of a zone", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_sf_cache_conf_find(smcf, &value[1])) {
        return "is duplicate";
    }

    shm_zone = ngx_shared_memory_add(cf, &value[1], size,
                                     &ngx_http_softfactory_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_sf_zone_t));
    slot = ngx_array_push(&smcf->zones);

    if (zone == NULL || slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = zone;
    zone->name = value[1];
    zone->shm_zone = shm_zone;
    zone->release = ngx_sf_cache_release;
    zone->died = ngx_sf_mark_release;

    shm_zone->init = ngx_sf_zone_init;
    shm_zone->data = zone;

    return NGX_CONF_OK;
}


static ngx_sf_zone_t *
ngx_sf_cache_conf_find(ngx_sf_main_conf_t *smcf, const ngx_str_t *name)
{
    ngx_uint_t       i;
    ngx_sf_zone_t  **zone;

    zone = smcf->zones.elts;

    for (i = 0; i < smcf->zones.nelts; i++) {
        if (zone[i]->name.len == name->len
            && ngx_memcmp(zone[i]->name.data, name->data, name->len) == 0)
        {
            return zone[i];
        }
    }

    return NULL;
}


/*
 * Three times: how long a response is served, how much longer while it is made
 * anew (stale=), and while the database cannot be asked (error=).  Each that is
 * not said is inherited by itself.  A later directive of the same level
 * replaces all three of its endpoints.
 */

char *
ngx_sf_cache_conf_ttl(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    char                *rv;
    ngx_str_t           *value, text;
    ngx_uint_t           i;
    ngx_sf_ttl_t         ttl;
    ngx_sf_ttl_words_t  *words;

    value = cf->args->elts;

    ttl.ttl = NGX_CONF_UNSET_MSEC;
    ttl.stale = NGX_CONF_UNSET_MSEC;
    ttl.error = NGX_CONF_UNSET_MSEC;

    for (i = 2; i < cf->args->nelts; i++) {
        text = value[i];

        if (ngx_strncmp(text.data, "stale=", 6) == 0) {
            text.data += 6;
            text.len -= 6;
            rv = ngx_sf_cache_conf_time(cf, &text, &ttl.stale);

        } else if (ngx_strncmp(text.data, "error=", 6) == 0) {
            text.data += 6;
            text.len -= 6;
            rv = ngx_sf_cache_conf_time(cf, &text, &ttl.error);

        } else {
            rv = ngx_sf_cache_conf_time(cf, &text, &ttl.ttl);

            if (rv == NGX_CONF_OK && ttl.ttl == 0) {
                rv = "has a time of 0: an endpoint is left out of the cache "
                     "by softfactory_cache_bypass";
            }
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (slcf->ttl_words == NULL) {
        slcf->ttl_words = ngx_array_create(cf->pool, 4,
                                           sizeof(ngx_sf_ttl_words_t));
        if (slcf->ttl_words == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    words = ngx_array_push(slcf->ttl_words);
    if (words == NULL) {
        return NGX_CONF_ERROR;
    }

    words->name = value[1];
    words->ttl = ttl;
    words->file = cf->conf_file->file.name.data;
    words->line = cf->conf_file->line;

    return NGX_CONF_OK;
}


/* endpoints may be declared below: what they are is known here only */

static ngx_int_t
ngx_sf_cache_conf_apply(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    u_char               *found;
    ngx_uint_t            i, k;
    ngx_sf_main_conf_t   *smcf;
    ngx_sf_ttl_words_t   *words;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    if (slcf->ttl_words == NULL || slcf->ttls) {
        return NGX_OK;
    }

    slcf->ttls = ngx_sf_cache_conf_ttls(cf);
    found = ngx_palloc(cf->temp_pool, smcf->nendpoints + 1);

    if (slcf->ttls == NULL || found == NULL) {
        return NGX_ERROR;
    }

    words = slcf->ttl_words->elts;

    for (i = 0; i < slcf->ttl_words->nelts; i++) {

        if (ngx_sf_conf_find_endpoints(cf, &words[i].name, words[i].file,
                                       words[i].line, found)
            != NGX_OK
            || ngx_sf_cache_conf_check_kept(cf, smcf, &words[i], found)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (k = 0; k < smcf->nendpoints; k++) {
            if (found[k]) {
                slcf->ttls[k] = words[i].ttl;
            }
        }
    }

    return NGX_OK;
}


/* one that is named by itself is refused; several may have some that are */

static ngx_int_t
ngx_sf_cache_conf_check_kept(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    const ngx_sf_ttl_words_t *words, const u_char *found)
{
    ngx_uint_t  i;

    for (i = 0; i < smcf->nendpoints; i++) {
        if (found[i]
            && (ngx_sf_cache_conf_kept(&smcf->endpoints[i])
                || smcf->endpoints[i].name.len != words->name.len))
        {
            return NGX_OK;
        }
    }

    ngx_sf_cache_conf_not_kept(cf, smcf, words);

    return NGX_ERROR;
}


/* whether responses of an endpoint may be in a zone at all */

static ngx_uint_t
ngx_sf_cache_conf_kept(const ngx_sf_endpoint_t *endpoint)
{
    return endpoint->response && endpoint->response->cached;
}


static void
ngx_sf_cache_conf_not_kept(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf,
    const ngx_sf_ttl_words_t *words)
{
    u_char      list[NGX_MAX_CONF_ERRSTR], *p;
    ngx_uint_t  i;

    p = list;

    for (i = 0; i < smcf->nendpoints; i++) {
        if (ngx_sf_cache_conf_kept(&smcf->endpoints[i])) {
            p = ngx_slprintf(p, list + sizeof(list) - 1, " %V",
                             &smcf->endpoints[i].name);
        }
    }

    *p = '\0';

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "responses of endpoint \"%V\" in %s:%ui are never cached, "
                  "those are of:%s", &words->name, words->file, words->line,
                  list);
}


static char *
ngx_sf_cache_conf_time(ngx_conf_t *cf, ngx_str_t *value, ngx_msec_t *ms)
{
    ngx_int_t  n;

    n = ngx_parse_time(value, 0);

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no time, there are: a time as in "
                           "\"300s\", stale=time, error=time", value);
        return NGX_CONF_ERROR;
    }

    if (*ms != NGX_CONF_UNSET_MSEC) {
        return "says the same twice";
    }

    *ms = n;

    return NGX_CONF_OK;
}


/* an entry for each endpoint, in which nothing is said yet */

static ngx_sf_ttl_t *
ngx_sf_cache_conf_ttls(ngx_conf_t *cf)
{
    ngx_uint_t           i;
    ngx_sf_ttl_t        *ttls;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    ttls = ngx_palloc(cf->pool, smcf->nendpoints * sizeof(ngx_sf_ttl_t) + 1);

    for (i = 0; ttls && i < smcf->nendpoints; i++) {
        ttls[i].ttl = NGX_CONF_UNSET_MSEC;
        ttls[i].stale = NGX_CONF_UNSET_MSEC;
        ttls[i].error = NGX_CONF_UNSET_MSEC;
    }

    return ttls;
}


/* what no level says is the row's own time, without any staleness */

static void
ngx_sf_cache_conf_default(ngx_conf_t *cf, ngx_sf_ttl_t *ttls)
{
    ngx_uint_t           i;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    for (i = 0; i < smcf->nendpoints; i++) {
        ngx_conf_init_msec_value(ttls[i].ttl,
                              smcf->endpoints[i].row->ttl * 1000);
        ngx_conf_init_msec_value(ttls[i].stale, 0);
        ngx_conf_init_msec_value(ttls[i].error, 0);
    }
}


/*
 * nginx merges from the top down, so the previous level is complete here: the
 * defaults are put into the topmost one.
 */

ngx_int_t
ngx_sf_cache_conf_merge_ttls(ngx_conf_t *cf, ngx_sf_loc_conf_t *prev,
    ngx_sf_loc_conf_t *conf)
{
    ngx_uint_t           i;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    if (ngx_sf_cache_conf_apply(cf, prev) != NGX_OK
        || ngx_sf_cache_conf_apply(cf, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (prev->ttls == NULL) {
        prev->ttls = ngx_sf_cache_conf_ttls(cf);

        if (prev->ttls == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_sf_cache_conf_default(cf, prev->ttls);

    if (conf->ttls == NULL) {
        conf->ttls = prev->ttls;
        return NGX_OK;
    }

    for (i = 0; i < smcf->nendpoints; i++) {
        ngx_conf_merge_msec_value(conf->ttls[i].ttl, prev->ttls[i].ttl, 0);
        ngx_conf_merge_msec_value(conf->ttls[i].stale, prev->ttls[i].stale,
                                  0);
        ngx_conf_merge_msec_value(conf->ttls[i].error, prev->ttls[i].error,
                                  0);
    }

    return NGX_OK;
}


/*
 * Every location with a zone, and every endpoint of it that is cached, must
 * have error=: the report asks, to know whether to recommend it.
 */

ngx_uint_t
ngx_sf_cache_conf_bridged(const ngx_sf_main_conf_t *smcf)
{
    ngx_uint_t            i, n, zones;
    ngx_sf_loc_conf_t   **slcf;

    zones = 0;
    slcf = smcf->locations.elts;

    for (i = 0; i < smcf->locations.nelts; i++) {
        zones += slcf[i]->zone != NULL;

        for (n = 0; slcf[i]->zone && n < smcf->nendpoints; n++) {
            if (slcf[i]->enabled[n]
                && ngx_sf_cache_conf_kept(&smcf->endpoints[n])
                && slcf[i]->ttls[n].error == 0)
            {
                return 0;
            }
        }
    }

    return zones != 0;
}


/*
 * The zone is a name until the end of http{}: these locations have a list of
 * their own, smcf->operators.
 */

char *
ngx_sf_cache_conf_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_sf_loc_conf_t  *slcf = conf;

    ngx_str_t                  *value;
    ngx_sf_loc_conf_t         **slot;
    ngx_sf_main_conf_t         *smcf;
    ngx_http_core_loc_conf_t   *clcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    value = cf->args->elts;

    if (clcf->handler) {
        return "cannot share its location with another content handler";
    }

    if (value[1].len == 0) {
        return "has an empty name of a zone";
    }

    slot = ngx_array_push(&smcf->operators);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = slcf;
    slcf->cache = value[1];
    slcf->file = cf->conf_file->file.name.data;
    slcf->line = cf->conf_file->line;
    clcf->handler = (ngx_http_handler_pt) cmd->post;

    return NGX_CONF_OK;
}


/* without a name it is the first zone; without any zone there is no cache */

ngx_int_t
ngx_sf_cache_conf_find_zone(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_sf_zone_t       **zone;
    ngx_sf_main_conf_t   *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);
    zone = smcf->zones.elts;

    if (slcf->cache.len == 0) {
        slcf->zone = smcf->zones.nelts ? zone[0] : NULL;
        return NGX_OK;
    }

    slcf->zone = ngx_sf_cache_conf_find(smcf, &slcf->cache);

    if (slcf->zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "there is no softfactory_zone \"%V\" for the location "
                      "in %s:%ui", &slcf->cache, slcf->file, slcf->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The database of the location's responses: a primary upstream in a zone, one
 * for all locations that have the same.  A zone has NGX_SF_SOURCES places for
 * them.  No entry may take more than an eighth of its zone.
 */

ngx_int_t
ngx_sf_cache_conf_finish(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf)
{
    ngx_uint_t           i, n;
    ngx_sf_origin_t     *origin;
    ngx_sf_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_softfactory_module);

    if (slcf->cache.len == 3 && ngx_strncmp(slcf->cache.data, "off", 3) == 0)
    {
        return NGX_OK;
    }

    if (ngx_sf_cache_conf_find_zone(cf, slcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (slcf->zone == NULL) {
        return NGX_OK;
    }

    slcf->zone->lease = smcf->lease;
    slcf->zone->look = smcf->look;
    slcf->max_entry = ngx_min(slcf->max_entry,
                              slcf->zone->shm_zone->shm.size / 8);

    n = 0;
    origin = smcf->origins.elts;

    for (i = 0; i < smcf->origins.nelts; i++) {
        if (origin[i].zone != slcf->zone) {
            continue;
        }

        if (origin[i].primary == slcf->primary_pg) {
            slcf->origin = i;
            return NGX_OK;
        }

        n++;
    }

    if (n == NGX_SF_SOURCES) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "softfactory_pass in %s:%ui: zone \"%V\" is shared by "
                      "more than %d upstreams", slcf->file, slcf->line,
                      &slcf->zone->name, NGX_SF_SOURCES);
        return NGX_ERROR;
    }

    origin = ngx_array_push(&smcf->origins);
    if (origin == NULL) {
        return NGX_ERROR;
    }

    origin->zone = slcf->zone;
    origin->primary = slcf->primary_pg;
    ngx_sf_cache_conf_identity(slcf->primary_pg, origin->identity);

    slcf->origin = i;

    return NGX_OK;
}


/*
 * Upstream, schema, database, user, and what may change a session: with another
 * of these the same statement may have another result.  The digest stands in
 * shared memory, so a reload finds the place of a database by it.
 */

static void
ngx_sf_cache_conf_identity(ngx_sf_pg_conf_t *pgcf, u_char identity[16])
{
    ngx_str_t    word;
    ngx_md5_t    md5;
    ngx_uint_t   i;

    static const char *const  words[] = { "dbname", "user", "options", NULL };

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, pgcf->name.data, pgcf->name.len);
    ngx_md5_update(&md5, "\n", 1);
    ngx_md5_update(&md5, pgcf->schema.data, pgcf->schema.len);

    for (i = 0; words[i]; i++) {
        word = ngx_sf_cache_conf_word(pgcf, words[i]);

        ngx_md5_update(&md5, "\n", 1);
        ngx_md5_update(&md5, word.data, word.len);
    }

    ngx_md5_final(identity, &md5);
}


static ngx_str_t
ngx_sf_cache_conf_word(ngx_sf_pg_conf_t *pgcf, const char *word)
{
    ngx_str_t      none;
    ngx_uint_t     i;
    ngx_keyval_t  *kv;

    kv = pgcf->given.elts;

    for (i = 0; i < pgcf->given.nelts; i++) {
        if (ngx_strcmp(kv[i].key.data, word) == 0) {
            return kv[i].value;
        }
    }

    ngx_str_set(&none, "");

    return none;
}


/*
 * nginx hands the memory of a running configuration to the zone of the same
 * name and size of the next one.  If that has a layout or databases that do not
 * fit, it gets another size and so new memory, and the cache begins empty.
 */

void
ngx_sf_cache_conf_reuse(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf)
{
    ngx_uint_t        i;
    ngx_sf_zone_t   **zone;
    ngx_shm_zone_t   *old;

    zone = smcf->zones.elts;

    for (i = 0; i < smcf->zones.nelts; i++) {
        old = ngx_sf_conf_old_zone(cf, &zone[i]->name);

        ngx_sf_conf_size_zone(zone[i]->shm_zone, old,
                              old && !ngx_sf_cache_conf_differs(smcf, zone[i],
                                                                old));
    }
}


static ngx_uint_t
ngx_sf_cache_conf_differs(ngx_sf_main_conf_t *smcf, ngx_sf_zone_t *zone,
    ngx_shm_zone_t *old)
{
    u_char            identities[16 * NGX_SF_SOURCES];
    ngx_uint_t        i, n;
    ngx_sf_origin_t  *origin;

    n = 0;
    origin = smcf->origins.elts;

    for (i = 0; i < smcf->origins.nelts; i++) {
        if (origin[i].zone == zone) {
            ngx_memcpy(&identities[16 * n++], origin[i].identity, 16);
        }
    }

    return ngx_sf_zone_differs(old, identities, n);
}

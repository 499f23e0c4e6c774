
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Setters of directives, and what is checked when all of http{} is known.
 */


#ifndef _NGX_SF_CONF_H_INCLUDED_
#define _NGX_SF_CONF_H_INCLUDED_


#include "ngx_sf_http.h"


/* --- ngx_sf_conf.c: setters of directives --- */

char *ngx_sf_conf_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_conf_endpoints(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_conf_jwt_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_conf_jwt_require(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_conf_token(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_conf_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_conf_cors_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Marks, by endpoint, those that a word stands for: "all", a name, or the
 * beginning of some as in "sns_*".  NGX_ERROR, which was logged: there is none;
 * name was said in file:line.
 */
ngx_int_t ngx_sf_conf_find_endpoints(ngx_conf_t *cf, const ngx_str_t *name,
    const u_char *file, ngx_uint_t line, u_char *found);

/* which endpoints a location serves, and the products of its tokens */
ngx_int_t ngx_sf_conf_merge_endpoints(ngx_conf_t *cf, ngx_sf_loc_conf_t *prev,
    ngx_sf_loc_conf_t *conf);

/*
 * The bytes of a local file, ended by NUL; those of the configuration are read
 * like this.  NGX_ERROR, which was logged: also for one that has max bytes or
 * more.
 */
ngx_int_t ngx_sf_conf_read_file(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *bytes);

/* whether the location that is being merged passes nothing to PostgreSQL */
ngx_int_t ngx_sf_conf_check_passers(ngx_conf_t *cf);

/* warns when upstreams take all connections of a worker */
void ngx_sf_conf_check_connections(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf);

/* the softfactory_pass of a location holds in its `if` and `limit_except` */
ngx_int_t ngx_sf_conf_inherit_pass(ngx_conf_t *cf, ngx_sf_loc_conf_t *prev,
    ngx_sf_loc_conf_t *conf);

/* after all of http{}: the upstreams and the fallback that slcf names */
ngx_int_t ngx_sf_conf_finish(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf);

/* after all of http{}, last: the list of workers, and what has their slots */
ngx_int_t ngx_sf_conf_workers(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf);

/* shared memory of ours by that name in a running nginx, which reloads */
ngx_shm_zone_t *ngx_sf_conf_old_zone(ngx_conf_t *cf, const ngx_str_t *name);

/*
 * Gives zone a size by which nginx takes over the memory of old, which may be
 * NULL, if it fits, and else makes it new.
 */
void ngx_sf_conf_size_zone(ngx_shm_zone_t *zone, const ngx_shm_zone_t *old,
    ngx_uint_t fits);


/* --- ngx_sf_jwt_conf.c: directives of tokens --- */

char *ngx_sf_jwt_conf_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_jwt_conf_audience(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_jwt_conf_issuer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_jwt_conf_user(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* what is not set yet, and what is inherited from the previous level */
void ngx_sf_jwt_conf_init(ngx_sf_loc_conf_t *slcf);
void ngx_sf_jwt_conf_merge(ngx_sf_loc_conf_t *prev, ngx_sf_loc_conf_t *conf);
/* --- ngx_sf_endpoint_conf.c: blocks that declare endpoints --- */

/* contexts of what stands in such blocks: bits that nginx does not use */
#define NGX_SF_ENDPOINT_CONF   0x00100000
#define NGX_SF_PRINCIPAL_CONF  0x00200000

char *ngx_sf_endpoint_conf(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_endpoint_conf_principal(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_fragment(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* words of a block */
char *ngx_sf_endpoint_conf_method(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_fallback(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_access(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_lane(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_document(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_ttl(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_missing(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_check(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_page(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_param(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* one text, several lines of one, or words, at cmd->post in ngx_sf_row_t */
char *ngx_sf_endpoint_conf_text(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_texts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_sf_endpoint_conf_words(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* after all of http{}: whether each key can be used by slcf */
ngx_int_t ngx_sf_jwt_conf_finish(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf);


/* --- ngx_sf_metrics_conf.c: directives of what is shown and counted --- */

char *ngx_sf_metrics_conf_slow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* a content handler, cmd->post, that needs no zone */
char *ngx_sf_metrics_conf_handler(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* after all of http{}: shared memory for what is counted, and its handler */
ngx_int_t ngx_sf_metrics_conf_finish(ngx_conf_t *cf,
    ngx_sf_main_conf_t *smcf);


/* --- ngx_sf_cache_conf.c: directives of the cache --- */

char *ngx_sf_cache_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_cache_conf_ttl(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* a content handler, cmd->post, of the zone that is named */
char *ngx_sf_cache_conf_handler(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* whether all that is kept may be shown while no server can be reached */
ngx_uint_t ngx_sf_cache_conf_bridged(const ngx_sf_main_conf_t *smcf);

/* times that are not set here are inherited from the previous level */
ngx_int_t ngx_sf_cache_conf_merge_ttls(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *prev, ngx_sf_loc_conf_t *conf);

/* after all of http{}: the zone that a location names */
ngx_int_t ngx_sf_cache_conf_find_zone(ngx_conf_t *cf,
    ngx_sf_loc_conf_t *slcf);

/* after ngx_sf_conf_finish(): the origin that slcf's responses come from */
ngx_int_t ngx_sf_cache_conf_finish(ngx_conf_t *cf, ngx_sf_loc_conf_t *slcf);

/* zones of a running nginx that have another layout are not taken over */
void ngx_sf_cache_conf_reuse(ngx_conf_t *cf, ngx_sf_main_conf_t *smcf);


/* --- ngx_sf_pg_conf.c: directives of a PostgreSQL upstream --- */

typedef enum {
    NGX_SF_PG_POOL_NUMBER = 0,
    NGX_SF_PG_POOL_TIME,
    NGX_SF_PG_POOL_FLAG
} ngx_sf_pg_pool_type_e;

typedef struct {
    const char                 *name;
    ngx_sf_pg_pool_type_e       type;
    size_t                      offset;   /* in ngx_sf_pg_conf_t */
    ngx_int_t                   min;
    ngx_int_t                   max;
} ngx_sf_pg_pool_param_t;

/* parameters of softfactory_pg_pool; a name of NULL ends them */
extern const ngx_sf_pg_pool_param_t  ngx_sf_pg_pool_params[];

void *ngx_sf_pg_create_conf(ngx_conf_t *cf);
char *ngx_sf_pg_conninfo(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_pg_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_sf_pg_listen(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* connections of one worker to an upstream in use, at most */
ngx_uint_t ngx_sf_pg_conf_connections(const ngx_sf_pg_conf_t *pgcf);

/* after all of http{}: servers and lanes of the upstream uscf */
ngx_int_t ngx_sf_pg_conf_finish(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf, ngx_sf_pg_conf_t *pgcf);


#endif /* _NGX_SF_CONF_H_INCLUDED_ */

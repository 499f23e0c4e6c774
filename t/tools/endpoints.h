
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The endpoints of conf/api as a configured nginx holds them, without an nginx:
 * its parser reads the files, and the module compiles what they declare.  For
 * unit tests, fuzzing and t/tools/statements.c; unit_init() comes first.
 */


#ifndef _ENDPOINTS_H_INCLUDED_
#define _ENDPOINTS_H_INCLUDED_


#include "ngx_sf_conf.h"


#define ENDPOINTS_MAX_PAGE_SIZE  500
#define ENDPOINTS_PARAMS         64


typedef struct {
    ngx_conf_t           cf;
    ngx_sf_main_conf_t  *smcf;
    ngx_sf_worker_t      worker;
    ngx_sf_pg_conf_t    *primary;     /* whose tables the texts name */
    ngx_sf_param_env_t   env;         /* .now is the caller's */
} endpoints_t;


/* what a statement is filled from, and room for its values */

typedef struct {
    ngx_sf_bind_source_t  source;
    ngx_sf_value_t        values[ENDPOINTS_PARAMS];
} endpoints_source_t;


typedef void (*endpoints_variant_pt)(ngx_sf_pg_statement_t *variant,
    const ngx_sf_bind_source_t *source, void *data);


/* a configuration in which names can be looked up; all of pool's life */
void endpoints_conf(ngx_conf_t *cf, ngx_pool_t *pool);

/* compiles all endpoints; ends the program when that fails */
void endpoints_compile(endpoints_t *e, ngx_pool_t *pool);

ngx_sf_endpoint_t *endpoints_find(endpoints_t *e, const char *name);

/*
 * Calls back for every text that the resource's statement has, once for each;
 * the values in the source are no real ones.
 */
void endpoints_variants(endpoints_t *e, const ngx_sf_resource_t *resource,
    endpoints_variant_pt call, void *data);

/*
 * Settings of a session of the lane ("-c name=value ..."), as the pool sends
 * them when nothing is configured.
 */
ngx_str_t endpoints_session(endpoints_t *e, ngx_uint_t lane);


#endif /* _ENDPOINTS_H_INCLUDED_ */

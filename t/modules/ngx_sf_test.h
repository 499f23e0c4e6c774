
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_TEST_H_INCLUDED_
#define _NGX_SF_TEST_H_INCLUDED_


#include "ngx_sf_conf.h"


/* names of lanes, by ngx_sf_pg_lane_e */
extern const char *const  ngx_sf_test_lanes[];


/* --- ngx_sf_test_describe.c --- */

/* after all of http{}, into this file */
ngx_int_t ngx_sf_test_describe(ngx_conf_t *cf, ngx_str_t *file);


#endif /* _NGX_SF_TEST_H_INCLUDED_ */

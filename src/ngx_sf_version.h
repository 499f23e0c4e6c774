
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#ifndef _NGX_SF_VERSION_H_INCLUDED_
#define _NGX_SF_VERSION_H_INCLUDED_


/*
 * The version of the module, here only: the line at the start, the status,
 * the report, the metrics and the build show this one, and the first heading
 * of CHANGES and the manual name the same.
 */

#define NGX_SF_VERSION  "0.9.0"


#endif /* _NGX_SF_VERSION_H_INCLUDED_ */

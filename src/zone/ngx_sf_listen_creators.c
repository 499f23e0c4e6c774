
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Which roles may create objects in the schema of the tables, beside its owner
 * and superusers.
 *
 * Our own statements find nothing there but the tables that they name
 * (ngx_sf_pg_conf.c).  The application's may: an operator or a function that
 * fits its arguments better than PostgreSQL's own is called with its rights,
 * and what it writes then we show.  So it is told, not acted upon.
 */


#include "ngx_sf_listen_conn.h"


#define NGX_SF_LISTEN_CREATORS_EACH  5000     /* ms */


/* $1 a schema: how many they are, and one of them */

const ngx_sf_pg_statement_t  ngx_sf_listen_creators_statement = {
    0, ngx_string("creators"),
    "/* creators */ SELECT count(DISTINCT a.grantee),"
    " min(CASE a.grantee WHEN 0 THEN 'PUBLIC'"
    " ELSE pg_get_userbyid(a.grantee)::text END)"
    " FROM pg_namespace n CROSS JOIN LATERAL"
    " aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a"
    " WHERE n.nspname = $1 AND a.privilege_type = 'CREATE'"
    " AND a.grantee <> n.nspowner AND NOT EXISTS"
    " (SELECT FROM pg_roles r WHERE r.oid = a.grantee AND r.rolsuper)", 1, 2,
    NULL, 0, 0, NULL, NULL
};


ngx_uint_t
ngx_sf_listen_creators_due(const ngx_sf_listen_t *l)
{
    return (ngx_msec_int_t) (l->creators_at - ngx_current_msec) <= 0;
}


void
ngx_sf_listen_creators_later(ngx_sf_listen_t *l)
{
    l->creators_at = ngx_current_msec + NGX_SF_LISTEN_CREATORS_EACH;
}


ngx_int_t
ngx_sf_listen_creators_seen(ngx_sf_listen_t *l, PGresult *res)
{
    u_char      line[NGX_MAX_ERROR_STR / 4];
    ngx_int_t   n, rc;
    ngx_str_t   count, name;

    ngx_sf_listen_creators_later(l);

    rc = ngx_sf_listen_lease_confirm(l);

    if (rc != NGX_OK || ngx_sf_pg_result_rows(res) != 1) {
        return rc;
    }

    count = ngx_sf_pg_result_cell(res, 0, 0);
    n = ngx_atoi(count.data, count.len);

    if (n == NGX_ERROR) {
        return NGX_OK;
    }

    l->source->creators = n;

    if ((ngx_uint_t) n == l->creators) {
        return NGX_OK;
    }

    l->creators = n;

    if (n == 0) {
        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "softfactory upstream \"%V\": nobody else may create "
                      "objects in schema \"%V\" any more",
                      &l->primary->name, &l->primary->schema);
        return NGX_OK;
    }

    name = ngx_sf_pg_result_cell(res, 0, 1);
    ngx_sf_pg_one_line(line, sizeof(line),
                            name.len ? (char *) name.data : "");

    ngx_log_error(NGX_LOG_WARN, l->log, 0,
                  "softfactory upstream \"%V\": %i beside its owner may create "
                  "objects in schema \"%V\", among them \"%s\"; see \"Roles "
                  "and privileges\" in the manual",
                  &l->primary->name, n, &l->primary->schema, line);

    return NGX_OK;
}

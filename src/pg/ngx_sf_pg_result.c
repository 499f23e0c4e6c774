
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What a result says: its cells, or the outcome that a SQLSTATE stands for.
 *
 * The table is the one place that decides what becomes of an error.  Codes
 * are matched before classes: the first row that is a prefix wins.  It says
 * two things: what the request is told (the HTTP status follows from the
 * outcome in ngx_sf_response.c) and what the pool does with the connection
 * and with the statement.  Actions that send again are bounded for a query,
 * and never taken for a write.
 */


#include "ngx_sf_pg.h"

#include <malloc.h>


/* a result above this leaves holes in the heap that are worth giving back */

#define NGX_SF_PG_RESULT_LARGE  (4 * 1024 * 1024)

/* bytes of a DataRow, and of each of its cells, without the value */

#define NGX_SF_PG_RESULT_ROW    7
#define NGX_SF_PG_RESULT_CELL   4


static const ngx_sf_pg_sqlstate_t  ngx_sf_pg_sqlstates[] = {

    { "08",    NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_LOST },
    { "57P01", NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_LOST },
    { "57P02", NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_LOST },
    { "57P03", NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_LOST },
    { "57P05", NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_LOST },
    { "25P03", NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_LOST },
    { "53",    NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_FINISH },
    { "28",    NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_FINISH },
    { "3D",    NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_FINISH },

    { "57014", NGX_SF_PG_TIMEOUT,     NGX_SF_PG_FINISH },
    { "40001", NGX_SF_PG_CONFLICT,    NGX_SF_PG_RETRY },
    { "40P01", NGX_SF_PG_CONFLICT,    NGX_SF_PG_RETRY },
    { "55P03", NGX_SF_PG_CONFLICT,    NGX_SF_PG_FINISH },

    { "42P05", NGX_SF_PG_BROKEN,      NGX_SF_PG_TAKEN },
    { "26000", NGX_SF_PG_BROKEN,      NGX_SF_PG_GONE },
    { "0A000", NGX_SF_PG_BROKEN,      NGX_SF_PG_STALE },
    { "25006", NGX_SF_PG_UNAVAILABLE, NGX_SF_PG_DEMOTED },

    { "42501", NGX_SF_PG_DENIED,      NGX_SF_PG_FINISH },
    { "42",    NGX_SF_PG_BROKEN,      NGX_SF_PG_FINISH },
    { "3F",    NGX_SF_PG_BROKEN,      NGX_SF_PG_FINISH },

    /*
     * What a client's value can do, where there is one: a stored value can do
     * the same.  The rest of class 22 is our fault.
     */

    { "22P05", NGX_SF_PG_INVALID,     NGX_SF_PG_REWORD },
    { "22001", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "22003", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "22007", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "22008", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "22021", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "22023", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "22025", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "22P02", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },
    { "54001", NGX_SF_PG_INVALID,     NGX_SF_PG_FINISH },

    { "",      NGX_SF_PG_FAILED,      NGX_SF_PG_FINISH }
};


const ngx_sf_pg_sqlstate_t *
ngx_sf_pg_sqlstate(const char *sqlstate)
{
    const ngx_sf_pg_sqlstate_t  *row;

    if (sqlstate == NULL) {
        sqlstate = "";
    }

    for (row = ngx_sf_pg_sqlstates; row->sqlstate[0]; row++) {
        if (ngx_strncmp(sqlstate, row->sqlstate, ngx_strlen(row->sqlstate))
            == 0)
        {
            break;
        }
    }

    return row;
}


ngx_uint_t
ngx_sf_pg_result_rows(const PGresult *res)
{
    return PQntuples(res);
}


ngx_uint_t
ngx_sf_pg_result_columns(const PGresult *res)
{
    return PQnfields(res);
}


const char *
ngx_sf_pg_result_name(const PGresult *res, ngx_uint_t column)
{
    return PQfname(res, column);
}


uint32_t
ngx_sf_pg_result_type(const PGresult *res, ngx_uint_t column)
{
    return PQftype(res, column);
}


ngx_str_t
ngx_sf_pg_result_cell(const PGresult *res, ngx_uint_t row, ngx_uint_t column)
{
    ngx_str_t  cell;

    ngx_str_null(&cell);

    if (!PQgetisnull(res, row, column)) {
        cell.data = (u_char *) PQgetvalue(res, row, column);
        cell.len = PQgetlength(res, row, column);
    }

    return cell;
}


ngx_uint_t
ngx_sf_pg_result_number(const PGresult *res, ngx_uint_t row, ngx_uint_t column)
{
    ngx_int_t  n;
    ngx_str_t  cell;

    cell = ngx_sf_pg_result_cell(res, row, column);
    n = ngx_atoi(cell.data, cell.len);

    return n == NGX_ERROR ? 0 : n;
}


ngx_uint_t
ngx_sf_pg_result_bool(const PGresult *res, ngx_uint_t row, ngx_uint_t column)
{
    ngx_str_t  cell;

    cell = ngx_sf_pg_result_cell(res, row, column);

    return cell.len && cell.data[0] != 'f' && cell.data[0] != '0';
}


void
ngx_sf_pg_result_free(PGresult *res)
{
    size_t  size;

    if (res == NULL) {
        return;
    }

    size = PQresultMemorySize(res);

    PQclear(res);
    ngx_sf_pg_result_trim(size);
}


/* as the server has sent them; what they take here is that and more */

ngx_uint_t
ngx_sf_pg_result_exceeds(const PGresult *res, size_t max)
{
    int     row, column, rows, columns;
    size_t  size;

    if (PQresultMemorySize(res) <= max) {
        return 0;
    }

    size = 0;
    rows = PQntuples(res);
    columns = PQnfields(res);

    for (row = 0; row < rows && size <= max; row++) {
        size += NGX_SF_PG_RESULT_ROW + columns * NGX_SF_PG_RESULT_CELL;

        for (column = 0; column < columns; column++) {
            size += PQgetlength(res, row, column);
        }
    }

    return size > max;
}


void
ngx_sf_pg_result_trim(size_t size)
{
    if (size > NGX_SF_PG_RESULT_LARGE) {
        (void) malloc_trim(0);
    }
}

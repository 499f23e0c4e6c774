
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Types of PostgreSQL, and what a column of them can be read as.
 *
 * A type is good for a kind of value when its text has one form in JSON that
 * nobody would dispute.  The others are here for their names: a message that
 * refuses a column says what it is.  What is not here is refused; the types
 * that a database has made itself are strings, as enums and citext are, since
 * no row description says more of them.
 *
 * A timestamp is no string here: as a cell it is not written as in JSON.  Nor
 * is a number or a boolean ever read out of a text.
 *
 * (PostgreSQL: src/include/catalog/pg_type.dat.)
 */


#include "ngx_sf_type.h"


#define NGX_SF_TYPE_INTEGER                                                   \
    (NGX_SF_TYPE_NUMBER | NGX_SF_TYPE_BOOLEAN | NGX_SF_TYPE_STRING)
#define NGX_SF_TYPE_DECIMAL  (NGX_SF_TYPE_NUMBER | NGX_SF_TYPE_STRING)


const ngx_sf_type_t  ngx_sf_types[] = {

    { 16,   "boolean",           NGX_SF_TYPE_BOOLEAN },
    { 21,   "smallint",          NGX_SF_TYPE_INTEGER },
    { 23,   "integer",           NGX_SF_TYPE_INTEGER },
    { 20,   "bigint",            NGX_SF_TYPE_INTEGER },
    { 26,   "oid",               NGX_SF_TYPE_DECIMAL },
    { 700,  "real",              NGX_SF_TYPE_DECIMAL },
    { 701,  "double precision",  NGX_SF_TYPE_DECIMAL },
    { 1700, "numeric",           NGX_SF_TYPE_DECIMAL },

    { 25,   "text",              NGX_SF_TYPE_STRING },
    { 1043, "character varying", NGX_SF_TYPE_STRING },
    { 1042, "character",         NGX_SF_TYPE_STRING },
    { 18,   "\"char\"",          NGX_SF_TYPE_STRING },
    { 19,   "name",              NGX_SF_TYPE_STRING },
    { 2950, "uuid",              NGX_SF_TYPE_STRING },
    { 650,  "cidr",              NGX_SF_TYPE_STRING },
    { 869,  "inet",              NGX_SF_TYPE_STRING },
    { 829,  "macaddr",           NGX_SF_TYPE_STRING },
    { 774,  "macaddr8",          NGX_SF_TYPE_STRING },
    { 790,  "money",             NGX_SF_TYPE_STRING },
    { 1083, "time",              NGX_SF_TYPE_STRING },
    { 1266, "time with time zone", NGX_SF_TYPE_STRING },
    { 1186, "interval",          NGX_SF_TYPE_STRING },

    { 1082, "date",              NGX_SF_TYPE_DATE | NGX_SF_TYPE_TIME
                                 | NGX_SF_TYPE_STRING },
    { 1114, "timestamp",         NGX_SF_TYPE_TIME },
    { 1184, "timestamp with time zone", NGX_SF_TYPE_TIME },

    { 17,   "bytea",             0 },
    { 114,  "json",              0 },
    { 142,  "xml",               0 },
    { 1560, "bit",               0 },
    { 1562, "bit varying",       0 },
    { 2249, "record",            0 },
    { 3802, "jsonb",             0 },
    { 1000, "boolean[]",         0 },
    { 1005, "smallint[]",        0 },
    { 1007, "integer[]",         0 },
    { 1016, "bigint[]",          0 },
    { 1009, "text[]",            0 },
    { 1015, "character varying[]", 0 },
    { 1115, "timestamp[]",       0 },
    { 1231, "numeric[]",         0 },
    { 3904, "int4range",         0 },
    { 3908, "tsrange",           0 },

    { 0, NULL, 0 }
};


const ngx_sf_type_kind_t  ngx_sf_type_kinds[] = {

    { NGX_SF_TYPE_NUMBER,  'n', "number" },
    { NGX_SF_TYPE_BOOLEAN, 'b', "boolean" },
    { NGX_SF_TYPE_STRING,  's', "string" },
    { NGX_SF_TYPE_TIME,    't', "timestamp" },
    { NGX_SF_TYPE_DATE,    'd', "date" },

    { 0, '\0', NULL }
};


static const ngx_sf_type_t *
ngx_sf_type_find(uint32_t oid)
{
    const ngx_sf_type_t  *type;

    for (type = ngx_sf_types; type->name && type->oid != oid; type++) {
        /* void */
    }

    return type;
}


const ngx_sf_type_kind_t *
ngx_sf_type_misfit(uint32_t oid, ngx_uint_t kinds)
{
    ngx_uint_t                 good;
    const ngx_sf_type_kind_t  *kind;

    good = oid < NGX_SF_TYPE_USER ? ngx_sf_type_find(oid)->kinds
                                  : NGX_SF_TYPE_STRING;

    for (kind = ngx_sf_type_kinds; kind->name; kind++) {
        if (kinds & ~good & kind->kind) {
            return kind;
        }
    }

    return NULL;
}


const char *
ngx_sf_type_name(uint32_t oid)
{
    return ngx_sf_type_find(oid)->name;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Types of PostgreSQL, and what a column of them can be read as.
 *
 * A template takes any type: each has a kind by which its cells are written, an
 * array that of its items, and what is not here is a string, as enums and
 * citext are, since no row description says more of the types that a database
 * has made itself.  Only records are refused, whose text no client could read.
 *
 * What the module reads itself needs a kind of value for which the type is
 * good: checks a boolean, totals and round() a number, keys of objects a
 * string.  What is not here is good for none, the types of a database for a
 * string.  A timestamp is no string here: as a cell it is not written as in
 * JSON.  Nor is a number or a boolean ever read out of a text.  The types that
 * are good for nothing are here for their names too: a message that refuses a
 * column says what it is.
 *
 * (PostgreSQL: src/include/catalog/pg_type.dat.)
 */


#include "ngx_sf_type.h"


#define NGX_SF_TYPE_INTEGER                                                   \
    (NGX_SF_TYPE_NUMBER | NGX_SF_TYPE_BOOLEAN | NGX_SF_TYPE_STRING)
#define NGX_SF_TYPE_DECIMAL  (NGX_SF_TYPE_NUMBER | NGX_SF_TYPE_STRING)


/* oid, name, kinds, how it is written in a template */

#define NGX_SF_TYPE(oid, name, kinds, json)                                   \
    { oid, name, kinds, NGX_SF_JSON_ ## json, 0 }

/* oid, name, oid of the items */

#define NGX_SF_TYPE_ARRAY(oid, name, item)                                    \
    { oid, name "[]", 0, NGX_SF_JSON_ARRAY, item }


const ngx_sf_type_t  ngx_sf_types[] = {

    NGX_SF_TYPE(16, "boolean", NGX_SF_TYPE_BOOLEAN, BOOL),
    NGX_SF_TYPE(21, "smallint", NGX_SF_TYPE_INTEGER, INT),
    NGX_SF_TYPE(23, "integer", NGX_SF_TYPE_INTEGER, INT),
    NGX_SF_TYPE(20, "bigint", NGX_SF_TYPE_INTEGER, INT),
    NGX_SF_TYPE(26, "oid", NGX_SF_TYPE_DECIMAL, INT),
    NGX_SF_TYPE(700, "real", NGX_SF_TYPE_DECIMAL, FLOAT),
    NGX_SF_TYPE(701, "double precision", NGX_SF_TYPE_DECIMAL, FLOAT),
    NGX_SF_TYPE(1700, "numeric", NGX_SF_TYPE_DECIMAL, NUMERIC),

    NGX_SF_TYPE(25, "text", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(1043, "character varying", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(1042, "character", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(18, "\"char\"", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(19, "name", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(2950, "uuid", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(650, "cidr", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(869, "inet", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(829, "macaddr", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(774, "macaddr8", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(790, "money", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(1083, "time", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(1266, "time with time zone", NGX_SF_TYPE_STRING, STRING),
    NGX_SF_TYPE(1186, "interval", NGX_SF_TYPE_STRING, STRING),

    NGX_SF_TYPE(1082, "date", NGX_SF_TYPE_STRING, DATE),
    NGX_SF_TYPE(1114, "timestamp", 0, TIME),
    NGX_SF_TYPE(1184, "timestamp with time zone", 0, ZONED),

    NGX_SF_TYPE(17, "bytea", 0, STRING),
    NGX_SF_TYPE(114, "json", 0, RAW),
    NGX_SF_TYPE(142, "xml", 0, STRING),
    NGX_SF_TYPE(1560, "bit", 0, STRING),
    NGX_SF_TYPE(1562, "bit varying", 0, STRING),
    NGX_SF_TYPE(2249, "record", 0, END),
    NGX_SF_TYPE(3802, "jsonb", 0, RAW),
    NGX_SF_TYPE(3904, "int4range", 0, STRING),
    NGX_SF_TYPE(3908, "tsrange", 0, STRING),

    NGX_SF_TYPE_ARRAY(1000, "boolean", 16),
    NGX_SF_TYPE_ARRAY(1005, "smallint", 21),
    NGX_SF_TYPE_ARRAY(1007, "integer", 23),
    NGX_SF_TYPE_ARRAY(1016, "bigint", 20),
    NGX_SF_TYPE_ARRAY(1028, "oid", 26),
    NGX_SF_TYPE_ARRAY(1021, "real", 700),
    NGX_SF_TYPE_ARRAY(1022, "double precision", 701),
    NGX_SF_TYPE_ARRAY(1231, "numeric", 1700),
    NGX_SF_TYPE_ARRAY(1009, "text", 25),
    NGX_SF_TYPE_ARRAY(1015, "character varying", 1043),
    NGX_SF_TYPE_ARRAY(1014, "character", 1042),
    NGX_SF_TYPE_ARRAY(1002, "\"char\"", 18),
    NGX_SF_TYPE_ARRAY(1003, "name", 19),
    NGX_SF_TYPE_ARRAY(2951, "uuid", 2950),
    NGX_SF_TYPE_ARRAY(651, "cidr", 650),
    NGX_SF_TYPE_ARRAY(1041, "inet", 869),
    NGX_SF_TYPE_ARRAY(1040, "macaddr", 829),
    NGX_SF_TYPE_ARRAY(775, "macaddr8", 774),
    NGX_SF_TYPE_ARRAY(791, "money", 790),
    NGX_SF_TYPE_ARRAY(1183, "time", 1083),
    NGX_SF_TYPE_ARRAY(1270, "time with time zone", 1266),
    NGX_SF_TYPE_ARRAY(1187, "interval", 1186),
    NGX_SF_TYPE_ARRAY(1182, "date", 1082),
    NGX_SF_TYPE_ARRAY(1115, "timestamp", 1114),
    NGX_SF_TYPE_ARRAY(1185, "timestamp with time zone", 1184),
    NGX_SF_TYPE_ARRAY(1001, "bytea", 17),
    NGX_SF_TYPE_ARRAY(199, "json", 114),
    NGX_SF_TYPE_ARRAY(3807, "jsonb", 3802),
    NGX_SF_TYPE_ARRAY(143, "xml", 142),
    NGX_SF_TYPE_ARRAY(1561, "bit", 1560),
    NGX_SF_TYPE_ARRAY(1563, "bit varying", 1562),
    NGX_SF_TYPE_ARRAY(3905, "int4range", 3904),
    NGX_SF_TYPE_ARRAY(3907, "numrange", 3906),
    NGX_SF_TYPE_ARRAY(3909, "tsrange", 3908),
    NGX_SF_TYPE_ARRAY(3911, "tstzrange", 3910),
    NGX_SF_TYPE_ARRAY(3913, "daterange", 3912),
    NGX_SF_TYPE_ARRAY(3927, "int8range", 3926),
    NGX_SF_TYPE_ARRAY(1017, "point", 600),
    NGX_SF_TYPE_ARRAY(2211, "regtype", 2206),
    NGX_SF_TYPE_ARRAY(2210, "regclass", 2205),
    NGX_SF_TYPE_ARRAY(4090, "regnamespace", 4089),
    NGX_SF_TYPE_ARRAY(4097, "regrole", 4096),
    NGX_SF_TYPE_ARRAY(271, "xid8", 5069),
    NGX_SF_TYPE(2287, "record[]", 0, END),

    { 0, NULL, 0, NGX_SF_JSON_STRING, 0 }
};


const ngx_sf_type_kind_t  ngx_sf_type_kinds[] = {

    { NGX_SF_TYPE_NUMBER, "number" },
    { NGX_SF_TYPE_BOOLEAN, "boolean" },
    { NGX_SF_TYPE_STRING, "string" },

    { 0, NULL }
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


ngx_sf_json_kind_e
ngx_sf_type_json(uint32_t oid)
{
    return ngx_sf_type_find(oid)->json;
}


ngx_sf_json_kind_e
ngx_sf_type_item(uint32_t oid)
{
    return ngx_sf_type_json(ngx_sf_type_find(oid)->item);
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Which types are good for what, and how each is written in a template.
 */


#include "ngx_sf_type.h"
#include "unit.h"


typedef struct {
    uint32_t             oid;
    ngx_uint_t           good;
    ngx_sf_json_kind_e   json;
} test_type_t;


#define TEST_N  NGX_SF_TYPE_NUMBER
#define TEST_B  NGX_SF_TYPE_BOOLEAN
#define TEST_S  NGX_SF_TYPE_STRING


static const test_type_t  test_types[] = {
    { 16, TEST_B, NGX_SF_JSON_BOOL },                /* boolean */
    { 21, TEST_N | TEST_B | TEST_S, NGX_SF_JSON_INT },/* smallint */
    { 1700, TEST_N | TEST_S, NGX_SF_JSON_NUMERIC },  /* numeric */
    { 701, TEST_N | TEST_S, NGX_SF_JSON_FLOAT },     /* double precision */
    { 25, TEST_S, NGX_SF_JSON_STRING },              /* text */
    { 2950, TEST_S, NGX_SF_JSON_STRING },            /* uuid */
    { 1082, TEST_S, NGX_SF_JSON_DATE },              /* date */
    { 1114, 0, NGX_SF_JSON_TIME },                   /* timestamp */
    { 1184, 0, NGX_SF_JSON_ZONED },                  /* timestamptz */
    { 17, 0, NGX_SF_JSON_STRING },                   /* bytea */
    { 3802, 0, NGX_SF_JSON_RAW },                    /* jsonb */
    { 1009, 0, NGX_SF_JSON_ARRAY },                  /* text[] */
    { 1, 0, NGX_SF_JSON_STRING },                    /* what nobody knows */
    { 16384, TEST_S, NGX_SF_JSON_STRING },           /* an enum */
    { 2249, 0, NGX_SF_JSON_END },                    /* record */
    { 2287, 0, NGX_SF_JSON_END },                    /* record[] */
    { 0, 0, NGX_SF_JSON_END }
};


static void
test_misfits(void)
{
    const test_type_t         *t;
    const ngx_sf_type_kind_t  *kind;

    for (t = test_types; t->oid; t++) {
        for (kind = ngx_sf_type_kinds; kind->name; kind++) {
            unit_ok(ngx_sf_type_misfit(t->oid, kind->kind)
                    == (t->good & kind->kind ? NULL : kind),
                    "oid %u as a %s", t->oid, kind->name);
        }

        unit_ok(ngx_sf_type_misfit(t->oid, 0) == NULL,
                "oid %u that nobody reads", t->oid);
        unit_ok(ngx_sf_type_json(t->oid) == t->json,
                "how oid %u is written", t->oid);
    }

    kind = ngx_sf_type_misfit(1700, NGX_SF_TYPE_NUMBER | NGX_SF_TYPE_BOOLEAN);
    unit_ok(kind && kind->kind == NGX_SF_TYPE_BOOLEAN,
            "the kind that it is not good for");

    unit_ok(ngx_sf_type_item(1231) == NGX_SF_JSON_NUMERIC
            && ngx_sf_type_item(3807) == NGX_SF_JSON_RAW
            && ngx_sf_type_item(1183) == NGX_SF_JSON_STRING,
            "how items of arrays are written");

    unit_ok(strcmp(ngx_sf_type_name(3802), "jsonb") == 0, "a name");
    unit_ok(ngx_sf_type_name(16384) == NULL, "no name");
}


int
main(void)
{
    unit_init();

    test_misfits();

    return unit_done();
}

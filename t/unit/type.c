
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Which types are good for what, and that each column of the list of tables is
 * read as something.
 */


#include "ngx_sf_table.h"
#include "ngx_sf_type.h"
#include "unit.h"


typedef struct {
    uint32_t     oid;
    const char  *good;      /* letters of the kinds */
} test_type_t;


static const test_type_t  test_types[] = {
    { 16, "b" },            /* boolean */
    { 21, "nbs" },          /* smallint */
    { 1700, "ns" },         /* numeric */
    { 701, "ns" },          /* double precision */
    { 25, "s" },            /* text */
    { 2950, "s" },          /* uuid */
    { 1082, "std" },        /* date */
    { 1114, "t" },          /* timestamp */
    { 1184, "t" },          /* timestamp with time zone */
    { 17, "" },             /* bytea */
    { 3802, "" },           /* jsonb */
    { 1009, "" },           /* text[] */
    { 1, "" },              /* what nobody knows */
    { 16384, "s" },         /* an enum */
    { 0, NULL }
};


static void
test_misfits(void)
{
    const test_type_t         *t;
    const ngx_sf_type_kind_t  *kind;

    for (t = test_types; t->good; t++) {
        for (kind = ngx_sf_type_kinds; kind->name; kind++) {
            unit_ok(ngx_sf_type_misfit(t->oid, kind->kind)
                    == (strchr(t->good, kind->letter) ? NULL : kind),
                    "oid %u as a %s", t->oid, kind->name);
        }

        unit_ok(ngx_sf_type_misfit(t->oid, 0) == NULL,
                "oid %u that nobody reads", t->oid);
    }

    kind = ngx_sf_type_misfit(21, NGX_SF_TYPE_NUMBER | NGX_SF_TYPE_TIME);
    unit_ok(kind && kind->kind == NGX_SF_TYPE_TIME,
            "the kind that it is not good for");

    unit_ok(strcmp(ngx_sf_type_name(3802), "jsonb") == 0, "a name");
    unit_ok(ngx_sf_type_name(16384) == NULL, "no name");
}


static void
test_tables(void)
{
    size_t                 n;
    ngx_uint_t             i;
    const char            *p;
    const ngx_sf_table_t  *t;

    for (t = ngx_sf_tables; t->name; t++) {
        n = 1;

        for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
            n += strcmp(t->keys[i], "id") != 0;
        }

        for (p = t->columns; *p; p++) {
            n += p == t->columns || *p == ',';
        }

        unit_ok(strlen(t->kinds) == n && strspn(t->kinds, "nbstd") == n,
                "%s: a kind for each of %lu columns", t->name,
                (unsigned long) n);
    }
}


int
main(void)
{
    unit_init();

    test_misfits();
    test_tables();

    return unit_done();
}

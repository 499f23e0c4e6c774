
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The look at the catalogue knows what the triggers of notify.sql tell: each
 * has a number for an argument, which follows from the list of tables.
 *
 *     unit-with: -It/tools t/tools/ngx_sf_table.c
 */


#include "ngx_sf_listen_conn.h"
#include "ngx_sf_table.h"
#include "unit.h"


int
main(void)
{
    u_char                *p, row[512];
    ngx_uint_t             i, k;
    const ngx_sf_table_t  *t;

    unit_init();

    for (i = 0; ngx_sf_tables[i].name; i++) {
        t = &ngx_sf_tables[i];
        p = ngx_sprintf(row, "('%08xD', '{table %s", ngx_sf_table_version(i),
                        t->name);

        for (k = 0; k < NGX_SF_TABLE_KEYS && t->keys[k]; k++) {
            p = ngx_sprintf(p, ",key %s", t->keys[k]);
        }

        ngx_sprintf(p, "}'%Z");

        unit_ok(strstr(ngx_sf_listen_look_statement.text, (char *) row)
                != NULL, "%s is known", row);
    }

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Texts and names of statements: one name for one text, whatever else the pool
 * has sent; others when the schema's era moves or a plan is stale.
 */


#include "ngx_sf_pg.h"
#include "unit.h"


static ngx_sf_pg_pool_t       test_pool;
static ngx_sf_pg_text_t       test_texts[2];
static ngx_sf_pg_statement_t  test_statements[2];


static const ngx_sf_pg_text_t *
test_text(ngx_uint_t i)
{
    return ngx_sf_pg_text(&test_pool, &test_statements[i]);
}


static void
test_names(void)
{
    unit_ok(strcmp((char *) test_text(0)->text, "SELECT 1") == 0,
            "the text as it is");

    /* printf 'SELECT 1' | md5sum */

    unit_ok(strcmp((char *) test_text(0)->name,
                   "b1698e52a0f16203489454196a0c6307") == 0, "its digest");
    unit_ok(strcmp((char *) test_text(0)->name, (char *) test_text(1)->name)
            != 0, "another text has another name");
    unit_ok(test_text(0)->version == 1 && test_text(1)->version == 1,
            "each is made once");
}


static void
test_eras(void)
{
    char           name[33], early[33];
    ngx_atomic_t   era;

    era = 0;
    strcpy(early, (char *) test_text(0)->name);

    ngx_sf_pg_text_set_era(&test_pool, &era);
    unit_ok(test_text(0)->version == 1, "era 0 is that of no era");

    era = 3;
    unit_ok(test_text(0)->version == 2, "the era moves: made anew");
    unit_ok(strcmp((char *) test_text(0)->text, "SELECT 1 -- era 3") == 0,
            "with the era in the text");
    strcpy(name, (char *) test_text(0)->name);
    unit_ok(strcmp(name, early) != 0, "and another name");

    ngx_sf_pg_text_stale(&test_pool, &test_statements[0], 1);
    unit_ok(test_text(0)->version == 2, "an older plan was stale: no matter");

    ngx_sf_pg_text_stale(&test_pool, &test_statements[0], 0);
    unit_ok(test_text(0)->version == 2, "one without a name: no matter");

    ngx_sf_pg_text_stale(&test_pool, &test_statements[0], 2);
    ngx_sf_pg_text_stale(&test_pool, &test_statements[0], 2);
    unit_ok(strcmp((char *) test_text(0)->text, "SELECT 1 -- era 4") == 0,
            "this plan is stale: made anew, once");
    unit_ok(test_text(0)->version == 3, "and so is its name");
    unit_ok(strcmp((char *) test_text(1)->text, "SELECT 2 -- era 3") == 0,
            "others are of the era");

    era = 18446744073709551610ul;
    unit_ok(test_text(0)->version == 4, "there is room for any era");

    ngx_sf_pg_text_set_era(&test_pool, NULL);
    test_texts[0].stale = 0;
    unit_ok(strcmp((char *) test_text(0)->name, early) == 0,
            "the same text has the same name again");
}


int
main(void)
{
    ngx_uint_t  i;

    static const char *const  sql[] = { "SELECT 1", "SELECT 2" };

    unit_init();

    test_pool.memory = unit_pool;
    test_pool.texts = test_texts;

    for (i = 0; i < 2; i++) {
        test_statements[i].id = i;
        test_statements[i].text = sql[i];
    }

    test_names();
    test_eras();

    return unit_done();
}

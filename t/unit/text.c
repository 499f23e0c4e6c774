
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Texts and names of statements: one name for one text, whatever else the pool
 * has sent; others when the schema's era moves or a plan is stale.  Columns of
 * results are judged once for each description.
 */


#include "ngx_sf_pg.h"
#include "ngx_sf_type.h"
#include "unit.h"


static ngx_sf_pg_pool_t       test_pool;
static ngx_sf_pg_text_t       test_texts[2];
static ngx_sf_pg_statement_t  test_statements[2];
static ngx_sf_pg_conf_t       test_conf;
static ngx_uint_t             test_judged;
static ngx_int_t              test_judgement;


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


/* a result without rows: names, all of one type */

static PGresult *
test_result(int n, const char *const *names, Oid oid)
{
    int           i;
    PGresult     *res;
    PGresAttDesc  columns[64];

    ngx_memzero(columns, sizeof(columns));

    for (i = 0; i < n; i++) {
        columns[i].name = (char *) names[i];
        columns[i].typid = oid;
    }

    res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    (void) PQsetResultAttrs(res, n, columns);

    return res;
}


/* what is said of a result, and whether its judge has been asked */

static void
test_judge_of(ngx_uint_t statement, int n, const char *const *names, Oid oid,
    ngx_int_t rc, ngx_uint_t asked, const char *what)
{
    PGresult    *res;
    ngx_uint_t   before;

    before = test_judged;
    res = test_result(n, names, oid);

    unit_ok(ngx_sf_pg_text_judge(&test_pool, &test_statements[statement], res)
            == rc, "%s", what);
    unit_ok(test_judged - before == asked, "%s: %s", what,
            asked ? "judged" : "not judged");

    PQclear(res);
}


static ngx_int_t
test_judge_ask(const ngx_sf_pg_statement_t *statement, const PGresult *res,
    u_char *error, size_t size)
{
    test_judged++;
    *ngx_snprintf(error, size - 1, "%s", "columns of nobody") = '\0';

    return statement->owner == &test_judged ? test_judgement : NGX_ERROR;
}


static void
test_judges(void)
{
    ngx_uint_t   i;
    const char  *many[64];

    static const char *const  ab[] = { "a", "b" };
    static const char *const  abc[] = { "a", "bc" };
    static const char *const  none[] = { "", "b" };
    static const u_char       kinds[] = { NGX_SF_TYPE_NUMBER, 0 };

    test_statements[0].columns = 2;
    test_judge_of(0, 1, ab, 23, NGX_ERROR, 0, "another number of columns");
    test_judge_of(0, 2, ab, 25, NGX_OK, 0, "any type, where none is asked");

    test_statements[0].kinds = kinds;
    test_judge_of(0, 2, ab, 23, NGX_OK, 0, "types that fit");
    test_judge_of(0, 2, abc, 23, NGX_OK, 0, "names do not matter");
    test_judge_of(0, 2, ab, 25, NGX_DECLINED, 0, "types that do not");
    test_judge_of(0, 2, ab, 25, NGX_DECLINED, 0, "nor again");
    test_judge_of(0, 2, ab, 21, NGX_OK, 0, "and others that do");

    test_statements[1].judge = test_judge_ask;
    test_statements[1].owner = &test_judged;
    test_judgement = NGX_OK;

    test_judge_of(1, 2, ab, 23, NGX_OK, 1, "a first result");
    test_judge_of(1, 2, ab, 23, NGX_OK, 0, "the same columns");
    test_judge_of(1, 2, abc, 23, NGX_OK, 1, "another name");
    test_judge_of(1, 2, ab, 23, NGX_OK, 1, "and the first again");
    test_judge_of(1, 2, none, 23, NGX_OK, 1, "an empty name");
    test_judge_of(1, 2, none, 25, NGX_OK, 1, "other types");
    test_judge_of(1, 1, none, 25, NGX_OK, 1, "fewer columns");
    test_judge_of(1, 0, none, 25, NGX_OK, 1, "none at all");
    test_judge_of(1, 0, none, 25, NGX_OK, 0, "and none again");

    test_judgement = NGX_DECLINED;
    test_judge_of(1, 2, ab, 20, NGX_DECLINED, 1, "columns that do not fit");
    test_judge_of(1, 2, ab, 20, NGX_DECLINED, 0, "nor again");

    for (i = 0; i < 64; i++) {
        many[i] = i % 2 ? "a_rather_long_name_of_a_column" : "short";
    }

    test_judgement = NGX_OK;
    test_judge_of(1, 64, many, 20, NGX_OK, 1, "many columns");
    test_judge_of(1, 64, many, 20, NGX_OK, 0, "the same many");

    many[63] = "a_rather_long_name_of_a_columN";
    test_judge_of(1, 64, many, 20, NGX_OK, 1, "the last letter of many");
}


int
main(void)
{
    ngx_uint_t  i;

    static const char *const  sql[] = { "SELECT 1", "SELECT 2" };

    unit_init();

    test_pool.memory = unit_pool;
    test_pool.texts = test_texts;
    test_pool.conf = &test_conf;
    test_pool.log = &unit_log;
    ngx_str_set(&test_conf.name, "test");

    for (i = 0; i < 2; i++) {
        test_statements[i].id = i;
        test_statements[i].text = sql[i];
        ngx_str_set(&test_statements[i].name, "statement");
    }

    test_names();
    test_eras();
    test_judges();

    return unit_done();
}

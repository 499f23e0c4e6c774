
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Templates: what is no template and where that is seen; what they need; which
 * document becomes of a result; what is said of columns that do not fit.  A
 * result is written as a text: columns "name:oid", rows of cells, ~ for SQL
 * NULL.
 */


#include "ngx_sf_api.h"
#include "unit.h"


#define TEST_COLUMNS  24
#define TEST_ERROR    256

/* what is asked of a hidden column */

#define TEST_BOOLEAN  0x02


typedef struct {
    const char  *text;
    const char  *wrong;
    const char  *at;        /* what stands there */
} test_wrong_t;


typedef struct {
    const char  *text;      /* NULL: the default */
    const char  *columns;
    const char  *rows;
    const char  *want;      /* without the newline */
} test_document_t;


typedef struct {
    const char  *text;
    const char  *columns;
    const char  *error;
} test_error_t;


static const ngx_sf_template_name_t  test_names[] = {
    { "metric", 0 },
    { "days", 1 },
    { "absent", 0 },
    { "open", 1 },
    { NULL, 0 }
};


static const ngx_sf_template_hidden_t  test_hidden[] = {
    { "is_owner", TEST_BOOLEAN },
    { "expires_ms", 0 },
    { NULL, 0 }
};


static const test_wrong_t  test_wrongs[] = {
    { "", "an end where a value is missing", "" },
    { "  \n", "an end where a value is missing", "" },
    { "{", "open braces", "" },
    { "{id", "open braces", "" },
    { "{id,", "open braces", "" },
    { "{\"a\": ", "an end where a value is missing", "" },
    { "[", "an open bracket", "[" },
    { "[1", "an open bracket", "" },
    { "[1,", "an open bracket", "[1," },
    { "{id} {id}", "more text behind the document", "{id}" },
    { "{id}}", "more text behind the document", "}" },
    { "{id,}", "a comma without a member", "}" },
    { "{,id}", "a comma without a member", ",id}" },
    { "{id,,id}", "a comma without a member", ",id}" },
    { "[1,]", "a comma without a value", "]" },
    { "[,1]", "a comma without a value", ",1]" },
    { "{id name}", "a missing comma", "name}" },
    { "{id \"name\": 1}", "a missing comma", "\"name\": 1}" },
    { "{\"a\": 1 \"b\": 2}", "a missing comma", "\"b\": 2}" },
    { "[1 2]", "a missing comma", "2]" },
    { "[{id} when id]", "a missing comma", "when id]" },
    { "[{id} `if` id]", "a missing comma", "`if` id]" },
    { "[{id} if]", "an \"if\" without a column", "]" },
    { "[{id} if \"id\"]", "an \"if\" without a column", "\"id\"]" },
    { "[{id} if id and x]", "a missing comma", "and x]" },
    { "{\"id\"}", "a key without a value", "\"id\"}" },
    { "{\"id\", x}", "a key without a value", "\"id\", x}" },
    { "{\"id\" = x}", "a \"=\", where a \":\" is expected", "= x}" },
    { "{id = x}", "a \"=\", where a \":\" is expected", "= x}" },
    { "{'id': x}", "a single quote, where keys have double ones", "'id': x}" },
    { "{\"a\": 'x'}", "a single quote, where strings have double ones",
      "'x'}" },
    { "{\"a\": *}", "an asterisk that is not in braces: {*}", "*}" },
    { "[*]", "an asterisk that is not in braces: {*}", "*]" },
    { "{*, *}", "two asterisks in the same braces", "*}" },
    { "{* -}", "a name is missing", "}" },
    { "{* -\"a\"}", "a name is missing", "\"a\"}" },
    { "{\"a\": x + 1}", "an operator: only SQL computes", "+ 1}" },
    { "{\"a\": x * 2}", "a missing comma", "* 2}" },
    { "{\"a\": x / 2}", "an operator: only SQL computes", "/ 2}" },
    { "{\"a\": x; }", "no comma and no \"}\"", "; }" },
    { "[x; ]", "no comma and no \"]\"", "; ]" },
    { "{\"a\": ;}", "no value", ";}" },
    { "{round(x, 2)}", "an expression without a key", "round(x, 2)}" },
    { "{$metric}", "a member without a key", "$metric}" },
    { "{[1]}", "a member without a key", "[1]}" },
    { "{\"a\": max(x)}", "a function that is neither round(column, decimals) "
      "nor text($name)", "max(x)}" },
    { "{\"a\": `round`(x, 2)}", "a function that is neither round(column, "
      "decimals) nor text($name)", "`round`(x, 2)}" },
    { "{\"a\": round(x)}", "a round() without decimals: round(column, 2)",
      ")}" },
    { "{\"a\": round(x, 10)}", "decimals that are not 0 to 9, and a bracket",
      "0)}" },
    { "{\"a\": round(x, -1)}", "decimals that are not 0 to 9", "-1)}" },
    { "{\"a\": round(x, n)}", "decimals that are not 0 to 9", "n)}" },
    { "{\"a\": round($days, 2)}", "a round() of no column", "$days, 2)}" },
    { "{\"a\": text(x)}", "a text() of no $name", "x)}" },
    { "{\"a\": text($page)}", "a text() of no parameter", "$page)}" },
    { "{\"a\": text($days}", "an open text(", "}" },
    { "{\"a\": $month}", "\"$month\", which is neither a parameter nor $page, "
      "$pages or $total", "$month}" },
    { "{\"a\": $}", "a \"$\" without a name", "$}" },
    { "{\"a\": $ page}", "a \"$\" without a name", "$ page}" },
    { "{\"a\": $`page`}", "a \"$\" without a name", "$`page`}" },
    { "{\"a\": x ? 0}", "a single \"?\", where \"??\" is meant", "? 0}" },
    { "{\"a\": x ??}", "a ?? without a string, a number, true, false or null",
      "}" },
    { "{\"a\": x ?? y}", "a ?? without a string, a number, true, false or "
      "null", "y}" },
    { "{\"a\": x ?? []}", "a ?? without a string, a number, true, false or "
      "null", "[]}" },
    { "{\"a\": 1 ?? 2}", "a ?? behind what is never NULL", "?? 2}" },
    { "{\"a\": $total ?? 2}", "a ?? behind what is never NULL", "?? 2}" },
    { "{\"a\": {x} ?? 2}", "a ?? behind what is never NULL", "?? 2}" },
    { "{\"a\": 1, \"a\": 2}", "the same key twice", "\"a\": 2}" },
    { "{\"a\": 1, \"\\u0061\": 2}", "the same key twice", "\"\\u0061\": 2}" },
    { "{id, \"id\": 2}", "the same key twice", "\"id\": 2}" },
    { "{id, x, id}", "the same key twice", "id}" },
    { "{a: {x}, b: {y}}", "a key without quotes beside other members: it is a "
      "column, with a member for each row", "b: {y}}" },
    { "{\"a\": 1, b: {y}}", "a key without quotes beside other members: it is "
      "a column, with a member for each row", "b: {y}}" },
    { "{a: {x}, *}", "a key without quotes beside other members: it is a "
      "column, with a member for each row", "*}" },
    { "[{id}, {id}]", "an array of several values that reads columns: one "
      "stands for each row", "{id}]" },
    { "[1, id]", "an array of several values that reads columns: one stands "
      "for each row", "id]" },
    { "[1, 2 if id]", "an array of several values that reads columns: one "
      "stands for each row", "2 if id]" },
    { "[{\"a\": [{x}]}]", "rows within rows, which only a column of type json "
      "can have", "[{x}]}]" },
    { "{a: {b: x}}", "rows within rows, which only a column of type json can "
      "have", "{b: x}}" },
    { "[{a: x}]", "rows within rows, which only a column of type json can "
      "have", "{a: x}]" },
    { "{\"a\": 01}", "a number that JSON does not have", "01}" },
    { "{\"a\": 1.}", "a number that JSON does not have", "1.}" },
    { "{\"a\": 1.5.5}", "a number that JSON does not have", "1.5.5}" },
    { "{\"a\": 1.5e}", "a number that JSON does not have", "1.5e}" },
    { "{\"a\": 1e+}", "a number that JSON does not have", "1e+}" },
    { "{\"a\": 1.5x}", "a number that JSON does not have", "1.5x}" },
    { "{\"a\": -x}", "no number", "-x}" },
    { "{\"a\": +1}", "no value", "+1}" },
    { "{\"a\": .5}", "no value", ".5}" },
    { "{\"a\": \"x}", "an open double quote", "\"x}" },
    { "{\"a\": \"x\\\"}", "an open double quote", "\"x\\\"}" },
    { "{\"a\": \"x\ny\"}", "a line break or control in a string, where JSON "
      "has \\n and its like", "\ny\"}" },
    { "{\"a\": \"\\x\"}", "a \\ that JSON does not have", "\\x\"}" },
    { "{\"a\": \"\\u12\"}", "a \\u that is no character", "\\u12\"}" },
    { "{\"a\": \"\\u0000\"}", "a \\u that is no character", "\\u0000\"}" },
    { "{\"a\": \"\\ud800\"}", "a \\u that is no character", "\\ud800\"}" },
    { "{\"a\": \"\\ud800\\u0041\"}", "a \\u that is no character",
      "\\ud800\\u0041\"}" },
    { "{\"a\": \"\\udc00\"}", "a \\u that is no character", "\\udc00\"}" },
    { "{`a}", "an open backtick", "`a}" },
    { "{``}", "a name is missing", "``}" },
    { "{\"\xff\": 1}", "bytes that are not UTF-8", "\xff\": 1}" },
    { "{\"\xed\xa0\x80\": 1}", "bytes that are not UTF-8",
      "\xed\xa0\x80\": 1}" },
    { "{\xc3\xa9}", "a member without a key", "\xc3\xa9}" },
    { NULL, NULL, NULL }
};


static const test_document_t  test_documents[] = {

    /* without a column */
    { "{\"a\": 1}", NULL, NULL, "{\"a\":1}" },
    { " [ ] ", NULL, NULL, "[]" },
    { "{ }", NULL, NULL, "{}" },
    { "[\"instagram\", \"tiktok\"]", NULL, NULL,
      "[\"instagram\",\"tiktok\"]" },
    { "[{\"a\": []}, {\"a\": {}}, [1, [2]]]", NULL, NULL,
      "[{\"a\":[]},{\"a\":{}},[1,[2]]]" },
    { "[{\"a\": 1}]", NULL, NULL, "[{\"a\":1}]" },
    { "{\"z\": 85.5,\n\t\"b\": 120.0, \"a\": -0, \"e\": 1E+5}", NULL, NULL,
      "{\"z\":85.5,\"b\":120.0,\"a\":-0,\"e\":1E+5}" },
    { "[true, false, null, \"\", 0]", NULL, NULL,
      "[true,false,null,\"\",0]" },
    { "{\"k\\u00e9\\\"\\/\": \"v\\n\\ud83d\\ude00\xea\xb0\x80$x\"}", NULL,
      NULL,
      "{\"k\\u00e9\\\"\\/\":\"v\\n\\ud83d\\ude00\xea\xb0\x80$x\"}" },
    { "\"text\"", NULL, NULL, "\"text\"" },
    { "{\"page\": $page, \"of\": $pages, \"n\": $total}", NULL, NULL,
      "{\"page\":2,\"of\":9,\"n\":88}" },
    { "[$metric, $days, $absent, $open]", NULL, NULL,
      "[\"rev\\\"enue\",30,null,true]" },
    { "[text($metric), text( $days ), text($open)]", NULL, NULL,
      "[\"rev\\\"enue\",\"+030\",\"T\"]" },
    { "[$absent ?? 0, text($absent) ?? \"none\", $days ?? 7]", NULL, NULL,
      "[0,\"none\",30]" },

    /* rows */
    { NULL, "id:23 name:25", "1 a|2 ~", "[{\"id\":1,\"name\":\"a\"},"
      "{\"id\":2,\"name\":null}]" },
    { NULL, "id:23", "", "[]" },
    { NULL, "", "", "[]" },
    { "[{*}]", "", "|", "[{}]" },
    { "{\"rows\": [{*}], \"n\": $total}", "b:25 a:23", "x 1",
      "{\"rows\":[{\"b\":\"x\",\"a\":1}],\"n\":88}" },
    { "[{id}]", "name:25 id:23", "a 1|b 2", "[{\"id\":1},{\"id\":2}]" },
    { "[ { id , \"n\" : name } if id ]", "name:25 id:23", "a ~|b 2|c ~",
      "[{\"id\":2,\"n\":\"b\"}]" },
    { "[{*} if `if`]", "if:23 x:25", "~ a|7 b", "[{\"if\":7,\"x\":\"b\"}]" },
    { "[id]", "id:23", "1|~|3", "[1,null,3]" },
    { "[id if id]", "id:23", "1|~|3", "[1,3]" },
    { "[if]", "if:23", "1", "[1]" },
    { "[[1, 2] if id]", "id:23", "1|~", "[[1,2]]" },
    { "[{\"a\": {id, \"p\": $days}, \"l\": [1, \"x\"]}]", "id:23", "1",
      "[{\"a\":{\"id\":1,\"p\":30},\"l\":[1,\"x\"]}]" },
    { "{\"a\": [{id}], \"b\": [{name} if id], \"c\": name}", "id:23 name:25",
      "~ x|2 y", "{\"a\":[{\"id\":null},{\"id\":2}],"
      "\"b\":[{\"name\":\"y\"}],\"c\":\"x\"}" },

    /* row 0 */
    { "{id, name}", "name:25 id:23", "a 1|b 2", "{\"id\":1,\"name\":\"a\"}" },
    { "id", "id:23", "5", "5" },
    { "{*}", "name:25 id:23", "a 1|b 2", "{\"name\":\"a\",\"id\":1}" },
    { "{\"t\": {a, \"u\": {b}}, \"x\": a}", "a:23 b:23", "1 2",
      "{\"t\":{\"a\":1,\"u\":{\"b\":2}},\"x\":1}" },

    /* names of any kind */
    { "{2024, 2fa, `a b`, `\xc3\xa9\"`, `null`}",
      "2024:23 2fa:23 a_b:23 \xc3\xa9\":23 null:23", "1 2 3 4 5",
      "{\"2024\":1,\"2fa\":2,\"a b\":3,\"\xc3\xa9\\\"\":4,\"null\":5}" },
    { "{\"a\": 2fa, \"b\": 1e5x, \"c\": true_}", "2fa:23 1e5x:23 true_:23",
      "1 2 3", "{\"a\":1,\"b\":2,\"c\":3}" },
    { "{true, \"b\": null, \"c\": `null`}", "true:23 null:23", "1 2",
      "{\"true\":1,\"b\":null,\"c\":2}" },

    /* all columns but */
    { "{* -secret}", "id:23 secret:25 name:25", "1 s a",
      "{\"id\":1,\"name\":\"a\"}" },
    { "[{*-a - b}]", "a:23 b:23 c:23", "1 2 3", "[{\"c\":3}]" },
    { "{\"x\": 0, *, \"y\": 1}", "a:23 b:23", "1 2",
      "{\"x\":0,\"a\":1,\"b\":2,\"y\":1}" },
    { "{*, \"b\": 7}", "a:23 b:23 c:23", "1 2 3",
      "{\"a\":1,\"c\":3,\"b\":7}" },
    { "{*, \"at\": b}", "a:23 b:23", "1 2", "{\"a\":1,\"at\":2}" },
    { "{*, \"at\": round(b, 1), a}", "a:23 b:23", "1 2",
      "{\"at\":2.0,\"a\":1}" },
    { "{*, \"l\": [{b, \"id\": c} if c]}", "id:23 b:23 c:23", "1 2 3|1 4 ~",
      "{\"id\":1,\"l\":[{\"b\":2,\"id\":3}]}" },
    { "{*, \"l\": [{*} if c]}", "a:23 c:23", "1 3",
      "{\"a\":1,\"l\":[{\"a\":1,\"c\":3}]}" },
    { "{*, \"l\": [{* -a}]}", "a:23 c:23", "1 3",
      "{\"a\":1,\"c\":3,\"l\":[{\"c\":3}]}" },
    { "{*, \"m\": {k: v}}", "a:23 k:25 v:23", "1 x 3",
      "{\"a\":1,\"m\":{\"x\":3}}" },

    /* maps */
    { "{platform: {posts, reach}}", "platform:25 posts:23 reach:23",
      "x 1 2|~ 9 9|y\" 3 4",
      "{\"x\":{\"posts\":1,\"reach\":2},\"y\\\"\":{\"posts\":3,\"reach\":4}}"
    },
    { "{\"by\": {`k`: round(v, 1) ?? 0}, \"n\": v}", "k:23 v:701",
      "1 1.25|2 ~", "{\"by\":{\"1\":1.2,\"2\":0},\"n\":1.25}" },
    { "{k: {*}}", "k:2950 v:23", "a-b 3", "{\"a-b\":{\"k\":\"a-b\",\"v\":3}}"
    },
    { "{k: [1, 2]}", "k:1082", "2026-02-20", "{\"2026-02-20\":[1,2]}" },
    { "{k: 1}", "k:16400", "", "{}" },

    /* SQL NULL, and rounded */
    { "{a ?? 0, \"b\": a ?? \"none\", \"c\": a ?? true, \"d\": a ?? null, "
      "\"e\": a ?? -1.50}", "a:23", "~",
      "{\"a\":0,\"b\":\"none\",\"c\":true,\"d\":null,\"e\":-1.50}" },
    { "{\"a\": round(a, 2) ?? 0, \"b\": round(b,0), \"c\": round(c , 9)}",
      "a:701 b:1700 c:20", "~ 2.50 7", "{\"a\":0,\"b\":2.0,\"c\":7.0}" },

    /* types */
    { "[{*}]", "a:21 b:23 c:20 d:26", "1 -2 9223372036854775807 4294967295",
      "[{\"a\":1,\"b\":-2,\"c\":9223372036854775807,\"d\":4294967295}]" },
    { "[{*}]", "a:700 b:701 c:1700 d:1700", "1 1e+20 1.50 NaN",
      "[{\"a\":1.0,\"b\":1e+20,\"c\":1.50,\"d\":null}]" },
    { "[{*}]", "a:700 b:701 c:1700", "Infinity NaN -Infinity",
      "[{\"a\":null,\"b\":null,\"c\":null}]" },
    { "[{*}]", "a:16 b:16 c:16", "t f ~",
      "[{\"a\":true,\"b\":false,\"c\":null}]" },
    { "[{*}]", "a:114 b:3802 c:114", "{\"x\":[1,2.50,\"\\u00e9\"]} [] ~",
      "[{\"a\":{\"x\":[1,2.50,\"\\u00e9\"]},\"b\":[],\"c\":null}]" },
    { "[{*}]", "a:25 b:1043 c:1042 d:18 e:19 f:2950 g:869 h:1186 i:790 j:3904",
      "a b c d e f 1.2.3.4/32 1 $1.50 [1,3)",
      "[{\"a\":\"a\",\"b\":\"b\",\"c\":\"c\",\"d\":\"d\",\"e\":\"e\","
      "\"f\":\"f\",\"g\":\"1.2.3.4/32\",\"h\":\"1\",\"i\":\"$1.50\","
      "\"j\":\"[1,3)\"}]" },
    { "[{*}]", "a:1114 b:1184 c:1082",
      "2026-02-20_10:00:00.5 2026-02-20_10:00:00+00 2026-02-20",
      "[{\"a\":\"2026-02-20T10:00:00.500000\","
      "\"b\":\"2026-02-20T10:00:00+00:00\",\"c\":\"2026-02-20\"}]" },
    { "[{*}]", "a:1184 b:17 c:16999 d:600", "infinity \\x0aff mood (1,2)",
      "[{\"a\":\"infinity\",\"b\":\"\\\\x0aff\",\"c\":\"mood\","
      "\"d\":\"(1,2)\"}]" },
    { "[{*}]", "a:1007 b:1009 c:1000 d:3807 e:1231 f:1115 g:17000",
      "{1,NULL} {a,\"b,c\"} [0:1]={t,f} {\"{\\\"a\\\":1}\"} {{1.50},{2}} "
      "{\"2026-02-20_10:00:00\"} {x,y}",
      "[{\"a\":[1,null],\"b\":[\"a\",\"b,c\"],\"c\":[true,false],"
      "\"d\":[{\"a\":1}],\"e\":[[1.50],[2]],"
      "\"f\":[\"2026-02-20T10:00:00\"],\"g\":\"{x,y}\"}]" },

    { NULL, NULL, NULL, NULL }
};


static const test_error_t  test_errors[] = {
    { NULL, "id:23 id:25", "two columns have the name \"id\": write AS and "
      "another name behind one of them" },
    { "{id}", "x:23 ?column?:23", "column 2 has no name: write AS and a name "
      "behind it" },
    { "{id}", "ID:23 `id`:25", "there is no column \"id\", only \"ID\", "
      "\"`id`\"" },
    { "{id}", "", "there is no column \"id\"" },
    { "[{*} if id]", "x:23", "there is no column \"id\", only \"x\"" },
    { "{id: 1}", "x:23", "there is no column \"id\", only \"x\"" },
    { "{* -id}", "x:23", "there is no column \"id\", only \"x\"" },
    { "{\"a\": round(id, 2)}", "x:23", "there is no column \"id\", only "
      "\"x\"" },
    { "{x}", "row:2249 x:23", NULL },
    { "{*}", "row:2249", "column \"row\" is of type record, which JSON does "
      "not have: write to_json(row) AS row" },
    { "{row}", "row:2287", "column \"row\" is of type record[], which JSON "
      "does not have: write to_json(row) AS row" },
    { "{\"a\": round(x, 2)}", "x:25", "column \"x\" is of type text, where a "
      "number is expected in round(): write a cast in SQL" },
    { "{\"a\": round(x, 2)}", "x:20000", "column \"x\" is of type the oid "
      "20000, where a number is expected in round(): write a cast in SQL" },
    { "{x: 1}", "x:114", "column \"x\" is of type json, where a string is "
      "expected as a key: write a cast in SQL" },
    { "{x: 1}", "x:1114", "column \"x\" is of type timestamp, where a string "
      "is expected as a key: write a cast in SQL" },
    { "{\"ok\": true}", "?column?:23 ?column?:23", NULL },
    { NULL, NULL, NULL }
};


static char  test_cells[1024];


/* words are parted by blanks, rows by bars; _ is a blank in a word */

static char *
test_word(char **p, const char *end)
{
    char  *word;

    word = *p;
    *p += strcspn(*p, end);

    if (**p) {
        *(*p)++ = '\0';
    }

    return word;
}


static void
test_blanks(char *p, char from)
{
    for ( /* void */ ; *p; p++) {
        *p = *p == from ? ' ' : *p;
    }
}


static PGresult *
test_result(const char *columns, const char *rows)
{
    int           n, row, column;
    char         *p, *line, *cell, *name;
    PGresult     *res;
    PGresAttDesc  attrs[TEST_COLUMNS];

    static char  names[1024];

    ngx_memzero(attrs, sizeof(attrs));
    strcpy(names, columns);

    p = names;

    for (n = 0; *p; n++) {
        name = test_word(&p, " ");
        cell = strrchr(name, ':');
        *cell = '\0';
        attrs[n].name = name;
        attrs[n].typid = atoi(cell + 1);

        if (strcmp(name, "a_b") == 0) {
            test_blanks(name, '_');
        }
    }

    res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    (void) PQsetResultAttrs(res, n, attrs);

    strcpy(test_cells, rows);
    p = test_cells;

    /* of no columns a row cannot be made by libpq's own functions */

    for (row = 0; *p && n; row++) {
        line = test_word(&p, "|");

        for (column = 0; column < n; column++) {
            cell = test_word(&line, " ");

            if (strchr(cell, ':')) {
                test_blanks(cell, '_');
            }

            (void) PQsetvalue(res, row, column, cell,
                              strcmp(cell, "~") ? (int) strlen(cell) : -1);
        }
    }

    return res;
}


static ngx_sf_template_t *
test_parse(const char *text, const ngx_sf_template_hidden_t *hidden)
{
    size_t              offset;
    const char         *wrong;
    ngx_sf_template_t  *t;

    t = ngx_sf_template_parse(unit_pool, text, test_names, hidden, &wrong,
                              &offset);

    if (t == NULL) {
        printf("# %s: %s at %lu\n", text, wrong, (unsigned long) offset);
    }

    return t;
}


static void
test_parse_wrong(void)
{
    size_t               offset;
    ngx_str_t            text;
    const char          *wrong;
    ngx_sf_template_t   *t;
    const test_wrong_t  *w;

    for (w = test_wrongs; w->text; w++) {
        t = ngx_sf_template_parse(unit_pool, w->text, test_names, NULL,
                                  &wrong, &offset);

        if (!unit_ok(t == NULL && wrong, "no template: %s", w->text)) {
            continue;
        }

        text = unit_str(wrong, strlen(wrong));
        unit_is(&text, w->wrong, "%s: why", w->text);

        text = unit_str(w->text + offset, strlen(w->text) - offset);
        unit_is(&text, w->at, "%s: where", w->text);
    }
}


static void
test_parse_deep(void)
{
    char        *text, *p;
    size_t       offset;
    ngx_uint_t   i, n;
    const char  *wrong;

    text = ngx_palloc(unit_pool, 70000);

    for (n = 32; n <= 33; n++) {
        p = text;

        for (i = 0; i < n; i++) {
            *p++ = '[';
        }

        for (i = 0; i < n; i++) {
            *p++ = ']';
        }

        *p = '\0';

        unit_ok((ngx_sf_template_parse(unit_pool, text, test_names, NULL,
                                       &wrong, &offset) != NULL) == (n == 32),
                "%lu in each other", (unsigned long) n);
    }

    unit_ok(strcmp(wrong, "more than 32 containers in each other") == 0
            && offset == 32, "33 are too many: %s", wrong);

    ngx_memset(text, ' ', 65537);
    text[0] = '1';
    text[65537] = '\0';

    unit_ok(ngx_sf_template_parse(unit_pool, text, test_names, NULL, &wrong,
                                  &offset) == NULL
            && strcmp(wrong, "more than 65536 bytes") == 0, "a long one");

    text[65536] = '\0';

    unit_ok(ngx_sf_template_parse(unit_pool, text, test_names, NULL, &wrong,
                                  &offset) != NULL, "which is not too long");
}


static void
test_parse_needs(const char *text, uint64_t params, const char *needs)
{
    char                            got[16], *p;
    const ngx_sf_template_needs_t  *n;

    n = ngx_sf_template_needs(test_parse(text, NULL));
    p = got;

    *p = 'c';
    p += n->columns;
    *p = 'r';
    p += n->row;
    *p = 'p';
    p += n->page;
    *p = 't';
    p += n->total;
    *p = '\0';

    unit_ok(strcmp(got, needs) == 0 && n->params == params,
            "%s needs %s of %lx", text ? text : "the default", got,
            (unsigned long) n->params);
}


static void
test_needs(void)
{
    test_parse_needs(NULL, 0, "c");
    test_parse_needs("[]", 0, "");
    test_parse_needs("{\"a\": [1, 2]}", 0, "");
    test_parse_needs("[{*}]", 0, "c");
    test_parse_needs("{*}", 0, "cr");
    test_parse_needs("{\"a\": x}", 0, "cr");
    test_parse_needs("{\"a\": {\"b\": round(x, 2)}}", 0, "cr");
    test_parse_needs("[{\"a\": x}]", 0, "c");
    test_parse_needs("[1 if x]", 0, "c");
    test_parse_needs("{k: {v}}", 0, "c");
    test_parse_needs("{\"a\": {k: 1}, \"b\": v}", 0, "cr");
    test_parse_needs("{\"a\": $page, \"b\": [{*}]}", 0, "cp");
    test_parse_needs("{\"a\": $pages}", 0, "t");
    test_parse_needs("{\"a\": $total, \"p\": $page}", 0, "pt");
    test_parse_needs("{\"a\": $days, \"p\": text($open)}", 0xa, "");
    test_parse_needs("[{\"a\": $metric, id}]", 1, "c");
}


static ngx_str_t
test_render(const ngx_sf_json_program_t *program, const PGresult *res)
{
    ngx_str_t              out, params[4], echoes[4];
    ngx_sf_json_source_t   source;

    params[0] = unit_str("rev\"enue", 8);
    params[1] = unit_str("30", 2);
    ngx_str_null(&params[2]);
    params[3] = unit_str("t", 1);

    ngx_memcpy(echoes, params, sizeof(params));
    echoes[1] = unit_str("+030", 4);
    echoes[3] = unit_str("T", 1);

    source.res = res;
    source.params = params;
    source.echoes = echoes;
    source.page = 2;
    source.pages = 9;
    source.total = 88;

    ngx_str_null(&out);
    (void) ngx_sf_json_render(unit_pool, program, &source, &out);

    return out;
}


static void
test_documents_of(const test_document_t *d,
    const ngx_sf_template_hidden_t *hidden)
{
    char                want[1024];
    u_char              error[TEST_ERROR];
    PGresult           *res;
    ngx_str_t           out;
    ngx_sf_shape_t     *shape;
    ngx_sf_template_t  *t;

    t = test_parse(d->text, hidden);

    if (!unit_ok(t != NULL, "a template: %s", d->text)) {
        return;
    }

    res = d->columns ? test_result(d->columns, d->rows) : NULL;
    shape = ngx_sf_template_bind(t, res, &unit_log, error, sizeof(error));

    if (unit_ok(shape != NULL, "%s fits %s: %s", d->text, d->columns, error)
        && (PQnfields(res) || strcmp(d->want, "[{}]")))
    {
        out = test_render(shape->program, res);
        (void) snprintf(want, sizeof(want), "%s\n", d->want);
        unit_is(&out, want, "%s of %s", d->text ? d->text : "the default",
                d->columns ? d->columns : "nothing");
    }

    if (shape) {
        ngx_destroy_pool(shape->pool);
    }

    PQclear(res);
}


static void
test_render_all(void)
{
    const test_document_t  *d;

    for (d = test_documents; d->want; d++) {
        test_documents_of(d, NULL);
    }
}


/* columns that take part in no asterisk, unless they are named */

static void
test_render_hidden(void)
{
    const test_document_t  *d;

    static const test_document_t  documents[] = {
        { NULL, "is_owner:16 id:23 expires_ms:20", "t 1 5|t 2 5",
          "[{\"id\":1},{\"id\":2}]" },
        { "{*, is_owner}", "expires_ms:20 id:23 is_owner:16", "~ 1 f",
          "{\"id\":1,\"is_owner\":false}" },
        { "{\"ok\": true}", "expires_ms:20 is_owner:16", "~ f",
          "{\"ok\":true}" },
        { NULL, NULL, NULL, NULL }
    };

    for (d = documents; d->want; d++) {
        test_documents_of(d, test_hidden);
    }
}


static void
test_bind_error(const char *text, const char *columns,
    const ngx_sf_template_hidden_t *hidden, const char *want)
{
    u_char           error[TEST_ERROR];
    PGresult        *res;
    ngx_str_t        got;
    ngx_sf_shape_t  *shape;

    res = test_result(columns, "");
    shape = ngx_sf_template_bind(test_parse(text, hidden), res, &unit_log,
                                 error, sizeof(error));

    unit_ok((shape == NULL) == (want != NULL), "%s and %s: %s",
            text ? text : "the default", columns, want ? "refused" : "fit");

    if (shape) {
        ngx_destroy_pool(shape->pool);
    }

    if (want) {
        got = unit_str((char *) error, strlen((char *) error));
        unit_is(&got, want, "%s and %s: why", text ? text : "the default",
                columns);
    }

    PQclear(res);
}


static void
test_bind_errors(void)
{
    const test_error_t  *e;

    for (e = test_errors; e->columns; e++) {
        test_bind_error(e->text, e->columns, NULL, e->error);
    }

    test_bind_error(NULL, "id:23 expires_ms:20", test_hidden,
                    "there is no column \"is_owner\", only \"id\", "
                    "\"expires_ms\"");
    test_bind_error("{\"a\": 1}", "is_owner:25 expires_ms:20", test_hidden,
                    "column \"is_owner\" is of type text, where a boolean is "
                    "expected here: write a cast in SQL");
    test_bind_error("{\"a\": 1}", "is_owner:16 is_owner:16 expires_ms:20",
                    test_hidden, "two columns have the name \"is_owner\": "
                    "write AS and another name behind one of them");
    test_bind_error("{* -is_owner -expires_ms}",
                    "is_owner:16 expires_ms:20", test_hidden, NULL);
}


/* what is said of many columns ends in dots, and is never too long */

static void
test_bind_bounded(void)
{
    size_t              size;
    u_char              error[TEST_ERROR];
    PGresult           *res;
    ngx_uint_t          good;
    ngx_sf_shape_t     *shape;
    ngx_sf_template_t  *t;

    t = test_parse("{x}", NULL);
    res = test_result("aaaaaaaaaaaaaaaa:23 bbbbbbbbbbbbbbbbbbbbbb:23 "
                      "cccccccccccccccc:23", "");

    shape = ngx_sf_template_bind(t, res, &unit_log, error, 60);
    unit_ok(shape == NULL && strcmp((char *) error, "there is no column "
                                    "\"x\", only \"aaaaaaaaaaaaaaaa\" ...")
            == 0, "some columns: %s", error);

    good = 0;

    for (size = 1; size < TEST_ERROR; size++) {
        ngx_memset(error, 0xff, sizeof(error));
        (void) ngx_sf_template_bind(t, res, &unit_log, error, size);

        good += ngx_strnlen(error, size) < size && error[size] == 0xff;
    }

    unit_ok(good == TEST_ERROR - 1, "an error of any size");

    PQclear(res);
}


static void
test_shapes(void)
{
    char                i, columns[32];
    u_char              error[TEST_ERROR];
    PGresult           *res;
    ngx_pool_t         *pool;
    ngx_uint_t          n;
    ngx_sf_shape_t     *first, *again, *shape;
    ngx_sf_shapes_t     shapes;
    ngx_sf_template_t  *t;

    pool = ngx_create_pool(1024, &unit_log);
    t = test_parse(NULL, NULL);
    (void) ngx_sf_shapes_init(pool, &shapes);

    res = test_result("id:23 name:25", "");
    first = ngx_sf_shape_find(&shapes, t, res, &unit_log, error, TEST_ERROR);
    again = ngx_sf_shape_find(&shapes, t, res, &unit_log, error, TEST_ERROR);
    PQclear(res);

    unit_ok(first && first == again, "a shape is made once");

    res = test_result("id:23 nam:25", "");
    again = ngx_sf_shape_find(&shapes, t, res, &unit_log, error, TEST_ERROR);
    unit_ok(again && again != first, "one of another name is another");
    unit_ok(!ngx_sf_shape_fits(first, res), "which does not fit the first");
    PQclear(res);

    res = test_result("id:23 name:1043", "");
    shape = ngx_sf_shape_find(&shapes, t, res, &unit_log, error, TEST_ERROR);
    unit_ok(shape && shape != first && shape != again,
            "and so is one of another type");
    PQclear(res);

    res = test_result("id:23", "");
    unit_ok(!ngx_sf_shape_fits(first, res), "or of fewer columns");
    PQclear(res);

    res = test_result("id:23 id:23", "");
    unit_ok(ngx_sf_shape_find(&shapes, t, res, &unit_log, error, TEST_ERROR)
            == NULL, "one that is refused is none");
    PQclear(res);

    for (i = 'a'; i < 'n'; i++) {
        (void) snprintf(columns, sizeof(columns), "%c:23", i);
        res = test_result(columns, "");
        (void) ngx_sf_shape_find(&shapes, t, res, &unit_log, error,
                                 TEST_ERROR);
        PQclear(res);
    }

    n = 0;

    for (shape = shapes.newest; shape; shape = shape->next) {
        n++;
    }

    unit_ok(n == 8 && strcmp(shapes.newest->names[0], "m") == 0,
            "the oldest go: %lu", (unsigned long) n);

    t = test_parse("{\"a\": 1}", NULL);
    shape = ngx_sf_shape_find(&shapes, t, NULL, &unit_log, error, TEST_ERROR);
    unit_ok(shape && shape->ncolumns == 0
            && ngx_sf_shape_find(&shapes, t, NULL, &unit_log, error,
                                 TEST_ERROR) == shape,
            "a shape of no result");

    ngx_destroy_pool(pool);
    unit_ok(shapes.newest == NULL, "shapes go with the pool");
}


int
main(void)
{
    unit_init();

    test_parse_wrong();
    test_parse_deep();
    test_needs();
    test_render_all();
    test_render_hidden();
    test_bind_errors();
    test_bind_bounded();
    test_shapes();

    return unit_done();
}

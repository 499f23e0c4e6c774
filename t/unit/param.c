
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Parameters against Python's own results, t/unit/data/param.txt (made by
 * param.py), and the bounds and errors that are the module's.
 *
 * What was read is shown as one text: the values that are set, of some each
 * with the text as it came in brackets when it differs, then the page, then
 * "first".  An error is its status and text.
 */


#include "ngx_sf_api.h"
#include "unit.h"


#define TEST_NOW            (1772064000 + 86399)  /* the end of 2026-02-26 */
#define TEST_MAX_PAGE_SIZE  500


#define P(param, kind, ...)                                                   \
    { .name = param, .type = NGX_SF_PARAM_##kind, .min = -NGX_SF_NO_LIMIT,    \
      .max = NGX_SF_NO_LIMIT, __VA_ARGS__ }
#define P_END  { .type = NGX_SF_PARAM_END }
#define P_BOUNDS(param, kind, least, most, ...)                               \
    { .name = param, .type = NGX_SF_PARAM_##kind, .min = least, .max = most,  \
      __VA_ARGS__ }


static const ngx_sf_choice_t  test_choices[] = {
    { "one", "ONE" }, { "two", "TWO" }, { NULL, NULL }
};

static const ngx_sf_param_t  test_id[] = { P("i", ID, .path = 1), P_END };
static const ngx_sf_param_t  test_query_id[] = { P("i", ID), P_END };
static const ngx_sf_param_t  test_string[] = { P("s", TEXT), P_END };
static const ngx_sf_param_t  test_uuid[] = { P("u", UUID), P_END };
static const ngx_sf_param_t  test_time[] = { P("t", TIME), P_END };
static const ngx_sf_param_t  test_number[] = { P("n", NUMBER), P_END };
static const ngx_sf_param_t  test_bool[] = { P("b", BOOL), P_END };
static const ngx_sf_param_t  test_search[] = { P("q", SEARCH), P_END };
static const ngx_sf_param_t  test_any_int[] = { P("i", INT), P_END };
static const ngx_sf_param_t  test_list_alone[] = { P("l", LIST), P_END };

static const ngx_sf_param_t  test_int[] = {
    P("i", INT, .unset = "0", .lenient = 1), P_END
};

static const ngx_sf_param_t  test_list[] = {
    P("l", LIST, .alias = "alias"), P("one", LIST_ONE), P_END
};

static const ngx_sf_param_t  test_list_lenient[] = {
    P("l", LIST, .lenient = 1), P("one", LIST_ONE), P_END
};

static const ngx_sf_param_t  test_list_default[] = {
    P("l", LIST, .def = "a,b"), P("one", LIST_ONE), P_END
};

static const ngx_sf_param_t  test_int_default[] = {
    P("i", INT, .def = "30", .lenient = 1), P_END
};

static const ngx_sf_param_t  test_int_strict[] = {
    P_BOUNDS("i", INT, -3660, 3660, .def = "30"), P_END
};

static const ngx_sf_param_t  test_int_said[] = {
    P_BOUNDS("i", INT, 1, NGX_SF_NO_LIMIT, .invalid = "i has to be positive",
             .alias = "alias"),
    P_END
};

static const ngx_sf_param_t  test_number_bounds[] = {
    P_BOUNDS("n", NUMBER, -1, 9007199254740993, .def = "1.50", .unset = "0"),
    P_END
};

static const ngx_sf_param_t  test_text[] = {
    P("t", TEXT, .def = "revenue"), P_END
};

static const ngx_sf_param_t  test_text_bounds[] = {
    P_BOUNDS("t", TEXT, 2, 3, .unset = "all"), P_END
};

static const ngx_sf_param_t  test_text_lenient[] = {
    P_BOUNDS("t", TEXT, 2, 3, .lenient = 1, .def = "x"), P_END
};

static const ngx_sf_param_t  test_bool_default[] = {
    P("b", BOOL, .def = "false", .lenient = 1), P_END
};

static const ngx_sf_param_t  test_choice[] = {
    P("c", CHOICE, .choices = test_choices, .lenient = 1), P_END
};

static const ngx_sf_param_t  test_choice_strict[] = {
    P("c", CHOICE, .choices = test_choices), P_END
};

static const ngx_sf_param_t  test_choice_default[] = {
    P("c", CHOICE, .choices = test_choices, .def = "two"), P_END
};

static const ngx_sf_param_t  test_date[] = {
    P("d", DATE, .alias = "alias", .def = "today", .number = 30,
      .lenient = 1),
    P_END
};

static const ngx_sf_param_t  test_date_strict[] = { P("d", DATE), P_END };

static const ngx_sf_param_t  test_date_fixed[] = {
    P("d", DATE, .def = "2020-03-01", .number = 1), P_END
};

static const ngx_sf_param_t  test_range[] = {
    P("end", DATE, .alias = "to", .def = "today", .lenient = 1),
    P("start", DATE, .alias = "from", .since = "end", .number = 30,
      .lenient = 1),
    P_END
};

static const ngx_sf_param_t  test_range_open[] = {
    P("end", DATE), P("start", DATE, .since = "end", .number = 30), P_END
};

static const ngx_sf_param_t  test_page[] = {
    P("page", PAGE),
    P("per_page", PAGE_SIZE, .alias = "limit", .number = 20),
    P_END
};

static const ngx_sf_param_t  test_page_100[] = {
    P("page", PAGE),
    P_BOUNDS("per_page", PAGE_SIZE, 1, 100, .number = 20),
    P_END
};

static const ngx_sf_param_t  test_search_optional[] = {
    P("q", SEARCH, .lenient = 1), P_END
};

static const ngx_sf_param_t  test_search_bounds[] = {
    P_BOUNDS("q", SEARCH, 3, 5), P_END
};

static const ngx_sf_param_t  test_search_said[] = {
    P("q", SEARCH, .invalid = "What?"), P_END
};

static const ngx_sf_param_t  test_errors[] = {
    P("q", SEARCH),
    P("page", PAGE),
    P("per_page", PAGE_SIZE, .alias = NULL, .number = 20),
    P("s", TEXT),
    P_BOUNDS("i", INT, 0, 9, .def = "0"),
    P_END
};

/* of a path with four places */

static const ngx_sf_param_t  test_path[] = {
    P("u", UUID, .path = 2),
    P("i", INT, .path = 1),
    P("t", TEXT, .path = 3),
    P("c", CHOICE, .path = 4, .choices = test_choices,
      .invalid = "No such choice"),
    P("q", TEXT),
    P_END
};


typedef struct {
    const char            *name;
    const ngx_sf_param_t  *rows;
    ngx_uint_t             echo;          /* shown */
} test_kind_t;


static const test_kind_t  test_kinds[] = {
    { "id", test_id, 0 },
    { "query_id", test_query_id, 1 },
    { "string", test_string, 1 },
    { "list", test_list, 0 },
    { "list_alone", test_list_alone, 0 },
    { "list_lenient", test_list_lenient, 0 },
    { "list_default", test_list_default, 0 },
    { "int", test_int, 0 },
    { "int_default", test_int_default, 0 },
    { "int_echo", test_int_default, 1 },
    { "int_strict", test_int_strict, 1 },
    { "int_said", test_int_said, 0 },
    { "any_int", test_any_int, 0 },
    { "number", test_number, 0 },
    { "number_bounds", test_number_bounds, 1 },
    { "bool", test_bool, 1 },
    { "bool_default", test_bool_default, 1 },
    { "uuid", test_uuid, 0 },
    { "time", test_time, 0 },
    { "text", test_text, 1 },
    { "text_bounds", test_text_bounds, 1 },
    { "text_lenient", test_text_lenient, 1 },
    { "choice", test_choice, 0 },
    { "choice_strict", test_choice_strict, 0 },
    { "choice_default", test_choice_default, 0 },
    { "date", test_date, 0 },
    { "date_strict", test_date_strict, 1 },
    { "date_fixed", test_date_fixed, 1 },
    { "range", test_range, 0 },
    { "range_open", test_range_open, 0 },
    { "search", test_search, 0 },
    { "search_echo", test_search, 1 },
    { "search_optional", test_search_optional, 0 },
    { "search_bounds", test_search_bounds, 0 },
    { "search_said", test_search_said, 0 },
    { "page", test_page, 0 },
    { "page_100", test_page_100, 0 },
    { "errors", test_errors, 0 },
    { NULL, NULL, 0 }
};


typedef struct {
    const char  *kind;
    const char  *query;
    const char  *want;
} test_case_t;


static const test_case_t  test_cases[] = {

    /* absent, and the first of several; a name is no part of another */

    { "string", "t=1&ss=2&s%00=3", "" },
    { "string", "s=1&s=2", "s=1" },
    { "string", "s=&s=2", "" },
    { "list", "", "" },
    { "int", "", "" },
    { "int_default", "", "i=30" },
    { "int_strict", "", "i=30" },
    { "text", "", "t=revenue" },
    { "text", "t=", "t=" },
    { "text", "t=users", "t=users" },
    { "text", "t=%C3%A9+%22", "t=\xc3\xa9 \"" },
    { "text", "t=%00", "400 Invalid t" },

    /* bytes that are no UTF-8, each by itself, beside others that are */

    { "string", "s=%C3%C3%A9", "s=\xef\xbf\xbd\xc3\xa9" },
    { "string", "s=%E2%82%C3", "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=%F0%9F%C0%BB",
      "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=%F8%88%80%80",
      "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=a%ED%A0%80b",
      "s=a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "b" },
    { "string", "s=%F4%90%80%80",
      "s=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    { "string", "s=%ED%9F%BF%EE%80%80%F4%8F%BF%BF",
      "s=\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf" },
    { "string", "s=a%C3%A9+b%EA%B0%80c", "s=a\xc3\xa9 b\xea\xb0\x80" "c" },
    { "list", "l=%EA%B0%80,%FFx", "l={\"\xea\xb0\x80\",\"\xef\xbf\xbdx\"}" },

    /* NUL is no text of PostgreSQL's */

    { "string", "s=%00", "400 Invalid s" },
    { "string", "s=a%00b", "400 Invalid s" },
    { "list", "l=a,%00", "400 Invalid l" },
    { "search", "q=ab%00c", "400 Invalid q" },
    { "int", "i=7%00", "" },
    { "int_strict", "i=7%00", "400 Invalid i" },

    /* an alias: of a list when the name is absent, even if it is empty */

    { "list", "alias=a,b", "l={\"a\",\"b\"}" },
    { "list", "l=a&alias=b", "one=a" },
    { "list", "alias=b&l=", "" },
    { "list", "alias=b&l", "" },
    { "list", "one=a", "" },
    { "date", "alias=2024-01-01", "d=2024-01-01" },
    { "date", "d=2023-01-01&alias=2024-01-01", "d=2023-01-01" },

    /* of a page size, also when the name is no number */

    { "page", "limit=7", "page 1 size 7 offset 0" },
    { "page", "limit=7&per_page=8", "page 1 size 8 offset 0" },
    { "page", "limit=7&per_page=x", "page 1 size 7 offset 0" },
    { "page", "limit=0&per_page=8", "page 1 size 8 offset 0" },
    { "page", "limit=7&per_page=0", "404 Not found" },
    { "page", "page=2&per_page=0", "404 Not found" },
    { "page", "page=2&per_page=-1", "404 Not found" },
    { "page", "page=0&per_page=0", "404 Not found" },

    { "page_100", "per_page=101", "page 1 size 100 offset 0" },
    { "page_100", "limit=7", "page 1 size 20 offset 0 first" },
    { "page_100", "per_page=99&page=3", "page 3 size 99 offset 198" },

    { "choice", "", "c=0" },
    { "choice", "c=one", "c=0" },
    { "choice", "c=two", "c=1" },
    { "choice", "c=TWO", "c=0" },
    { "choice", "c=tw", "c=0" },
    { "choice", "c=two%00", "c=0" },
    { "choice", "c=twoo", "c=0" },
    { "choice", "c=three&c=two", "c=0" },

    /* a range is counted back from its end */

    { "range", "", "end=2026-02-26&start=2026-01-27" },
    { "range", "end=2024-03-01", "end=2024-03-01&start=2024-01-31" },
    { "range", "end=x&start=y", "end=2026-02-26&start=2026-01-27" },
    { "range", "start=2020-01-01", "end=2026-02-26&start=2020-01-01" },
    { "range", "start=2030-01-01&end=20250101",
      "end=2025-01-01&start=2030-01-01" },
    { "range", "to=2025-01-01&from=2024-01-01",
      "end=2025-01-01&start=2024-01-01" },
    { "range", "end=0001-01-10", "end=0001-01-10&start=0001-01-01" },
    { "range", "end=2025-01-01T23&start=2024-01-01+00:00",
      "end=2025-01-01&start=2024-01-01" },
    { "range", "end=2025-01-01garbage&start=2024-01-01Tx",
      "end=2026-02-26&start=2026-01-27" },
    { "range", "end=20250101T24&start=20240101T",
      "end=2026-02-26&start=2026-01-27" },
    { "range", "end=0001-01-31", "end=0001-01-31&start=0001-01-01" },
    { "range", "end=0001-02-01", "end=0001-02-01&start=0001-01-02" },
    { "range", "end=9999-12-31", "end=9999-12-31&start=9999-12-01" },

    /* the first error in the order of the table is kept */

    { "errors", "q=ab", "q=%ab%&i=0 page 1 size 20 offset 0 first" },
    { "errors", "",
      "400 Search keyword must be at least 2 characters" },
    { "errors", "i=x&s=%00&per_page=0&page=0&q=a",
      "400 Search keyword must be at least 2 characters" },
    { "errors", "q=ab&i=x&s=%00&per_page=0&page=0", "404 Not found" },
    { "errors", "q=ab&i=x&s=%00&per_page=0", "404 Not found" },
    { "errors", "q=ab&i=x&s=%00&page=2&per_page=0", "404 Not found" },
    { "errors", "q=ab&i=x&s=%00", "400 Invalid s" },
    { "errors", "q=ab&i=10", "400 Invalid i" },
    { "errors", "q=ab&i=x&page=99999999999", "400 Invalid i" },
    { "errors", "q=ab&page=99999999999", "404 Not found" },
    { "errors", "q=ab&page=9223372036854775807&per_page=500",
      "404 Not found" },

    /* an int: in canonical form, and as it came */

    { "int_echo", "i=%2B007", "i=7(+007)" },
    { "int_echo", "i=1_0", "i=10(1_0)" },
    { "int_echo", "", "i=30" },
    { "int_echo", "i=x", "i=30" },
    { "int_echo", "i=", "i=30" },
    { "int_echo", "i=99999999999999999999",
      "i=9223372036854775807(99999999999999999999)" },
    { "int_strict", "i=", "400 Invalid i" },
    { "int_strict", "i=+3", "i=3( 3)" },
    { "int_strict", "i=3661", "400 Invalid i" },
    { "int_strict", "i=-3660", "i=-3660" },
    { "int", "i=-0", "" },
    { "int", "i=00", "" },
    { "int", "i=0&i=7", "" },
    { "any_int", "i=0", "i=0" },
    { "any_int", "i=", "" },
    { "any_int", "i=x", "400 Invalid i" },
    { "any_int", "i=9223372036854775807", "i=9223372036854775807" },
    { "any_int", "i=9223372036854775808", "400 Invalid i" },
    { "any_int", "i=-9223372036854775808", "i=-9223372036854775808" },
    { "any_int", "i=-9223372036854775809", "400 Invalid i" },
    { "int_said", "i=0", "400 i has to be positive" },
    { "int_said", "i=x", "400 i has to be positive" },
    { "int_said", "i=1", "i=1" },
    { "int_said", "", "" },
    { "int_said", "alias=2", "i=2" },
    { "int_said", "alias=2&i=3", "i=3" },
    { "int_said", "alias=-2", "400 i has to be positive" },

    /* an id of the query: digits, and one beyond int8 is no row's */

    { "query_id", "i=007", "i=7(007)" },
    { "query_id", "i=-7", "400 Invalid i" },
    { "query_id", "i=%2B7", "400 Invalid i" },
    { "query_id", "i=", "" },
    { "query_id", "", "" },
    { "query_id", "i=9223372036854775808", "i=0(9223372036854775808) no row" },

    /* numbers, as JSON has them */

    { "number", "n=7", "n=7" },
    { "number", "n=%2B007.50", "n=7.50" },
    { "number", "n=-.5", "n=-0.5" },
    { "number", "n=5.", "n=5" },
    { "number", "n=000", "n=0" },
    { "number", "n=1E5", "n=1e5" },
    { "number", "n=1e%2B05", "n=1e5" },
    { "number", "n=1.5e-308", "n=1.5e-308" },
    { "number", "n=1e309", "400 Invalid n" },
    { "number", "n=1e-309", "400 Invalid n" },
    { "number", "n=1e99999999999999999999", "400 Invalid n" },
    { "number", "n=", "" },
    { "number", "n=.", "400 Invalid n" },
    { "number", "n=-", "400 Invalid n" },
    { "number", "n=1e", "400 Invalid n" },
    { "number", "n=e5", "400 Invalid n" },
    { "number", "n=+7", "400 Invalid n" },
    { "number", "n=7+", "400 Invalid n" },
    { "number", "n=--7", "400 Invalid n" },
    { "number", "n=1.2.3", "400 Invalid n" },
    { "number", "n=NaN", "400 Invalid n" },
    { "number", "n=Infinity", "400 Invalid n" },
    { "number", "n=0x7", "400 Invalid n" },
    { "number", "n=1_0", "400 Invalid n" },
    { "number", "n=%D9%A3", "400 Invalid n" },
    { "number", "n=7%00", "400 Invalid n" },
    { "number_bounds", "", "n=1.50" },
    { "number_bounds", "n=", "400 Invalid n" },
    { "number_bounds", "n=-1", "n=-1" },
    { "number_bounds", "n=-1.0", "n=-1.0" },
    { "number_bounds", "n=-1.0000000000000000000000001", "400 Invalid n" },
    { "number_bounds", "n=-10e-1", "n=-10e-1" },
    { "number_bounds", "n=-10.01e-1", "400 Invalid n" },
    { "number_bounds", "n=9007199254740993", "n=9007199254740993" },
    { "number_bounds", "n=9007199254740993.1", "400 Invalid n" },
    { "number_bounds", "n=9007199254740994", "400 Invalid n" },
    { "number_bounds", "n=9.007199254740993e15", "n=9.007199254740993e15" },
    { "number_bounds", "n=9.0071992547409931e15", "400 Invalid n" },
    { "number_bounds", "n=1e308", "400 Invalid n" },
    { "number_bounds", "n=0", "n=1.50" },
    { "number_bounds", "n=000", "n=1.50" },
    { "number_bounds", "n=%2B2", "n=2(+2)" },

    { "bool", "b=true", "b=true" },
    { "bool", "b=True", "b=true(True)" },
    { "bool", "b=1", "b=true(1)" },
    { "bool", "b=t", "b=true(t)" },
    { "bool", "b=YES", "b=true(YES)" },
    { "bool", "b=on", "b=true(on)" },
    { "bool", "b=false", "b=false" },
    { "bool", "b=0", "b=false(0)" },
    { "bool", "b=F", "b=false(F)" },
    { "bool", "b=no", "b=false(no)" },
    { "bool", "b=Off", "b=false(Off)" },
    { "bool", "b=", "" },
    { "bool", "b", "" },
    { "bool", "b=tru", "400 Invalid b" },
    { "bool", "b=truee", "400 Invalid b" },
    { "bool", "b=2", "400 Invalid b" },
    { "bool", "b=true%00", "400 Invalid b" },
    { "bool_default", "", "b=false" },
    { "bool_default", "b=", "b=false" },
    { "bool_default", "b=perhaps", "b=false" },
    { "bool_default", "b=on", "b=true(on)" },

    { "uuid", "u=01234567-89ab-CDEF-0123-456789abcdeF",
      "u=01234567-89ab-cdef-0123-456789abcdef" },
    { "uuid", "u=", "" },
    { "uuid", "u=0123456789abcdef0123456789abcdef", "400 Invalid u" },
    { "uuid", "u={01234567-89ab-cdef-0123-456789abcdef}", "400 Invalid u" },
    { "uuid", "u=01234567-89ab-cdef-0123-456789abcdeg", "400 Invalid u" },
    { "uuid", "u=01234567-89ab-cdef-0123-456789abcde", "400 Invalid u" },
    { "uuid", "u=01234567-89ab-cdef-0123-456789abcdef0", "400 Invalid u" },
    { "uuid", "u=012345678-9ab-cdef-0123-456789abcdef", "400 Invalid u" },
    { "uuid", "u=01234567-89ab-cdef-0123-456789abcde%00", "400 Invalid u" },

    { "time", "t=2024-02-29T10:11:12.5Z", "t=2024-02-29T10:11:12.5Z" },
    { "time", "t=2024-02-29+10:11", "t=2024-02-29T10:11:00" },
    { "time", "t=2024-02-29T10:11%2B09", "t=2024-02-29T10:11:00+09:00" },
    { "time", "t=2024-02-29T10:11:12.120000-09:30",
      "t=2024-02-29T10:11:12.12-09:30" },
    { "time", "t=2024-02-29T10:11:12.000000", "t=2024-02-29T10:11:12" },
    { "time", "t=0001-01-01T00:00", "t=0001-01-01T00:00:00" },
    { "time", "t=9999-12-31T23:59:59.999999Z",
      "t=9999-12-31T23:59:59.999999Z" },
    { "time", "t=", "" },
    { "time", "t=2024-02-29", "400 Invalid t" },
    { "time", "t=2023-02-29T10:11", "400 Invalid t" },
    { "time", "t=20240229T10:11", "400 Invalid t" },
    { "time", "t=2024-02-29x10:11", "400 Invalid t" },
    { "time", "t=2024-02-29T10", "400 Invalid t" },
    { "time", "t=2024-02-29T1:11", "400 Invalid t" },
    { "time", "t=2024-02-29T24:00", "400 Invalid t" },
    { "time", "t=2024-02-29T10:60", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11:60", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11:12.", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11:12.1234567", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11.5", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11Zx", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11%2B16", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11%2B9", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11%2B09:", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11%2B09:60", "400 Invalid t" },
    { "time", "t=2024-02-29T10:11%00", "400 Invalid t" },
    { "time", "t=2024-02-29T", "400 Invalid t" },

    /* bounds of a text are in characters, and not for its default */

    { "text_bounds", "t=ab", "t=ab" },
    { "text_bounds", "t=a", "400 Invalid t" },
    { "text_bounds", "t=abcd", "400 Invalid t" },
    { "text_bounds", "t=%EA%B0%80%EA%B0%80%EA%B0%80",
      "t=\xea\xb0\x80\xea\xb0\x80\xea\xb0\x80" },
    { "text_bounds", "t=", "" },
    { "text_bounds", "t=all", "" },
    { "text_bounds", "t=All", "t=All" },
    { "text_lenient", "t=abcd", "t=x" },
    { "text_lenient", "t=", "t=x" },
    { "text_lenient", "t=%00", "t=x" },
    { "text_lenient", "", "t=x" },
    { "text_lenient", "t=ab", "t=ab" },

    { "list_alone", "l=a", "l={\"a\"}" },
    { "list_alone", "l=a,b", "l={\"a\",\"b\"}" },
    { "list_alone", "l=,", "l={\",\"}" },
    { "list_alone", "l=", "" },
    { "list_alone", "l=%00", "400 Invalid l" },
    { "list_lenient", "l=a,%00", "" },
    { "list_lenient", "l=a,b", "l={\"a\",\"b\"}" },
    { "list_default", "", "l={\"a\",\"b\"}" },
    { "list_default", "l=", "" },
    { "list_default", "l=c", "one=c" },

    { "choice_strict", "", "c=0" },
    { "choice_strict", "c=", "c=0" },
    { "choice_strict", "c=two", "c=1" },
    { "choice_strict", "c=three", "400 Invalid c" },
    { "choice_strict", "c=TWO", "400 Invalid c" },
    { "choice_strict", "c=two%00", "400 Invalid c" },
    { "choice_default", "", "c=1" },
    { "choice_default", "c=one", "c=0" },
    { "choice_default", "c=", "400 Invalid c" },

    { "date_strict", "", "" },
    { "date_strict", "d=", "" },
    { "date_strict", "d=20240229", "d=2024-02-29(20240229)" },
    { "date_strict", "d=2023-02-29", "400 Invalid d" },
    { "date_strict", "d=today", "400 Invalid d" },
    { "date_fixed", "", "d=2020-02-29" },
    { "date_fixed", "d=2020-01-01T10", "d=2020-01-01(2020-01-01T10)" },
    { "range_open", "", "" },
    { "range_open", "end=2024-03-01", "end=2024-03-01&start=2024-01-31" },
    { "range_open", "start=2024-03-01", "start=2024-03-01" },
    { "range_open", "end=x", "400 Invalid end" },

    { "search_echo", "q=+a_b+", "q=%a\\_b%(a_b)" },
    { "search_optional", "", "" },
    { "search_optional", "q=", "" },
    { "search_optional", "q=a", "" },
    { "search_optional", "q=ab", "q=%ab%" },
    { "search_bounds", "q=ab",
      "400 Search keyword must be at least 3 characters" },
    { "search_bounds", "q=abcdef",
      "400 Search keyword must be 5 characters or less" },
    { "search_bounds", "q=abcde", "q=%abcde%" },
    { "search_said", "q=a", "400 What?" },
    { "search_said", "", "400 What?" },

    { NULL, NULL, NULL }
};


static ngx_sf_param_env_t  test_env;


/* values in the query; bytes in a block of their own, so that ASan sees */

static void
test_show(ngx_pool_t *pool, const ngx_sf_param_t *rows, ngx_uint_t echo,
    const ngx_str_t *path, const ngx_str_t *query, ngx_str_t *out)
{
    u_char           *p, *start;
    ngx_uint_t        i;
    ngx_sf_value_t   *v;
    ngx_sf_params_t   params;

    start = ngx_pnalloc(pool, 8 * 1024 * 8);
    p = start;

    if (ngx_sf_params_read(pool, rows, path, query, &test_env, &params)
        != NGX_OK)
    {
        ngx_str_set(out, "no memory");
        return;
    }

    for (i = 0; rows[i].type != NGX_SF_PARAM_END; i++) {
        v = &params.values[i];

        if (!v->set || params.status) {
            continue;
        }

        p = ngx_sprintf(p, "%s%s=", p > start ? "&" : "", rows[i].name);

        if (rows[i].type == NGX_SF_PARAM_CHOICE) {
            p = ngx_sprintf(p, "%L", v->number);
            continue;
        }

        p = ngx_cpymem(p, v->text.data, v->text.len);

        if (echo && v->echo.data && (v->echo.len != v->text.len
            || ngx_memcmp(v->echo.data, v->text.data, v->text.len) != 0))
        {
            *p++ = '(';
            p = ngx_cpymem(p, v->echo.data, v->echo.len);
            *p++ = ')';
        }
    }

    if (params.status) {
        p = ngx_sprintf(p, "%ui %V", params.status, &params.error);

    } else if (params.no_row) {
        p = ngx_sprintf(p, " no row");

    } else if (params.page_size) {
        p = ngx_sprintf(p, "%spage %L size %L offset %L%s",
                        p > start ? " " : "", params.page, params.page_size,
                        params.offset, params.first ? " first" : "");
    }

    out->data = start;
    out->len = p - start;
}


static void
test_one(const char *kind, const char *query, size_t len, const char *want,
    size_t want_len)
{
    ngx_str_t           args, out;
    ngx_pool_t         *pool;
    const test_kind_t  *k;

    for (k = test_kinds; k->name; k++) {
        if (strcmp(k->name, kind) == 0) {
            break;
        }
    }

    pool = ngx_create_pool(4096, &unit_log);

    args.len = len;
    args.data = ngx_pnalloc(pool, len);
    ngx_memcpy(args.data, query, len);

    test_show(pool, k->rows, k->echo, NULL, &args, &out);

    unit_test_text(out.data, out.len, want, want_len, __FILE__, __LINE__,
                   "%s: %.*s", kind, (int) ngx_min(len, 60), query);

    ngx_destroy_pool(pool);
}


static size_t
test_unhex(char *out, const char *hex)
{
    size_t    n;
    unsigned  byte;

    for (n = 0; sscanf(hex + 1 + 2 * n, "%2x", &byte) == 1; n++) {
        out[n] = byte;
    }

    return n;
}


static void
test_file(void)
{
    FILE    *file;
    char     line[8192], kind[32], query[4096], want[4096], out[4096];
    char     args[4096];
    size_t   len, want_len;

    file = fopen("t/unit/data/param.txt", "r");

    if (file == NULL) {
        printf("Bail out! no t/unit/data/param.txt\n");
        exit(2);
    }

    while (fgets(line, sizeof(line), file)) {

        if (sscanf(line, "%31[a-z_] %4095s %4095s", kind, query, want) != 3) {
            continue;
        }

        len = test_unhex(args, query);
        want_len = test_unhex(out, want);

        test_one(kind, args, len, out, want_len);
    }

    fclose(file);
}


typedef struct {
    const char  *digits;
    const char  *want;
} test_digits_t;


static const test_digits_t  test_ids[] = {
    { "0", "i=0" },
    { "1", "i=1" },
    { "007", "i=7" },
    { "2147483647", "i=2147483647" },
    { "2147483648", "i=2147483648" },
    { "4294967297", "i=4294967297" },
    { "9223372036854775807", "i=9223372036854775807" },
    { "9223372036854775808", "i=0 no row" },
    { "18446744073709551617", "i=0 no row" },
    { "99999999999999999999999999", "i=0 no row" },
    { "0000000000000000000000000000000000000000000000000000000000000001",
      "i=1" },
    { "", " no row" },
    { "x", " no row" },
    { "-1", " no row" },
    { NULL, NULL }
};


/* the path's digits, whatever the query says */

static void
test_path_ids(void)
{
    ngx_str_t             path, args, out;
    const test_digits_t  *d;

    for (d = test_ids; d->digits; d++) {
        args = unit_str("i=5", 3);
        path = unit_str(d->digits, strlen(d->digits));
        test_show(unit_pool, test_id, 0, &path, &args, &out);
        unit_is(&out, d->want, "id %s", d->digits);
    }
}


#define TEST_UUID   "01234567-89AB-cdef-0123-456789abcdef"
#define TEST_LOWER  "01234567-89ab-cdef-0123-456789abcdef"


typedef struct {
    const char  *path[4];
    const char  *want;
} test_place_t;


static const test_place_t  test_places[] = {
    { { "7", TEST_UUID, "a", "two" }, "u=" TEST_LOWER "&i=7&t=a&c=1" },
    { { "-007", TEST_UUID, "a", "one" }, "u=" TEST_LOWER "&i=-7&t=a&c=0" },
    { { "7", TEST_UUID, "a\xff", "one" },
      "u=" TEST_LOWER "&i=7&t=a\xef\xbf\xbd&c=0" },
    { { "x", TEST_UUID, "a", "one" }, "u=" TEST_LOWER "&t=a&c=0 no row" },
    { { "7", "x", "a", "one" }, "i=7&t=a&c=0 no row" },
    { { "7", TEST_UUID, "a", "three" }, "400 No such choice" },
    { { NULL, NULL, NULL, NULL }, NULL }
};


/* values by place; what is none there is no bad request, unless it is said */

static void
test_path_places(void)
{
    ngx_str_t            path[4], args, out;
    ngx_uint_t           i;
    const test_place_t  *t;

    for (t = test_places; t->want; t++) {

        for (i = 0; i < 4; i++) {
            path[i] = unit_str(t->path[i], strlen(t->path[i]));
        }

        args = unit_str("t=b&u=x&i=9&c=one", 17);
        test_show(unit_pool, test_path, 0, path, &args, &out);
        unit_is(&out, t->want, "path %s, %s", t->path[0], t->path[1]);
    }

    for (i = 0; i < 4; i++) {
        path[i] = unit_str(test_places[0].path[i],
                           strlen(test_places[0].path[i]));
    }

    args = unit_str("q=z", 3);
    test_show(unit_pool, test_path, 0, path, &args, &out);
    unit_is(&out, "u=" TEST_LOWER "&i=7&t=a&c=1&q=z", "beside the query");
}


static void
test_repeat(const char *kind, const char *before, const char *what, size_t n,
    const char *after, const char *want)
{
    char    *query;
    size_t   i, len;

    query = malloc(strlen(before) + n * strlen(what) + strlen(after) + 1);
    len = sprintf(query, "%s", before);

    for (i = 0; i < n; i++) {
        len += sprintf(query + len, "%s", what);
    }

    len += sprintf(query + len, "%s", after);

    if (want) {
        test_one(kind, query, len, want, strlen(want));

    } else {
        test_one(kind, query, len, query, len);
    }

    free(query);
}


/* bounds of texts, of lists, of the query string; want NULL: as it came */

static void
test_limits(void)
{
    char    want[1024];
    size_t  i, len;

    test_repeat("string", "s=", "x", 1024, "", NULL);
    test_repeat("string", "s=", "x", 1025, "", "400 Invalid s");
    test_repeat("string", "s=", "%41", 1025, "", "400 Invalid s");

    /* a byte that is no UTF-8 counts for the three of U+FFFD */

    test_repeat("string", "s=", "%FF", 342, "", "400 Invalid s");
    test_repeat("string", "s=", "%C3%A9", 513, "", "400 Invalid s");

    test_repeat("text", "t=", "x", 1024, "", NULL);
    test_repeat("text", "t=", "x", 1025, "", "400 Invalid t");
    test_repeat("list", "l=", "x", 1025, "", "400 Invalid l");
    test_repeat("int_strict", "i=", "0", 1024, "7", "400 Invalid i");
    test_repeat("int", "i=", "0", 1025, "7", "i=7");

    len = sprintf(want, "l={\"x\"");

    for (i = 1; i < 64; i++) {
        len += sprintf(want + len, ",\"x\"");
    }

    (void) sprintf(want + len, "}");

    test_repeat("list", "l=", "x,", 64, "", want);
    test_repeat("list", "l=", "x,", 64, " ,,", want);
    test_repeat("list", "l=", "x,", 65, "", "400 Too many l values");
    test_repeat("list", "l=", "x,", 64, "y", "400 Too many l values");
    test_repeat("list", "l=", ",", 1000, "y", "one=y");

    /* 16384 bytes are read, one more is too many */

    test_repeat("string", "", "&", 16381, "s=x", "s=x");
    test_repeat("string", "", "&", 16382, "s=x",
                "400 Query string is too long");
    test_repeat("page", "", "x=1&", 4096, "page=3",
                "400 Query string is too long");
    test_repeat("search", "q=ab&", "q=%00&", 2000, "", "q=%ab%");
}


static void
test_max_page_size(void)
{
    ngx_str_t  args, out;

    test_env.max_page_size = 10;

    args = unit_str("per_page=500&page=4", 19);
    test_show(unit_pool, test_page, 0, NULL, &args, &out);
    unit_is(&out, "page 4 size 10 offset 30", "per_page is clamped");

    args = unit_str("", 0);
    test_show(unit_pool, test_page, 0, NULL, &args, &out);
    unit_is(&out, "page 1 size 10 offset 0",
            "a default above the maximum is no first page of its size");

    test_env.max_page_size = 1000;

    args = unit_str("per_page=900", 12);
    test_show(unit_pool, test_page_100, 0, NULL, &args, &out);
    unit_is(&out, "page 1 size 100 offset 0",
            "the row's maximum holds below the configured one");

    test_env.max_page_size = TEST_MAX_PAGE_SIZE;
}


/* saturates where the text can still be written */

static void
test_least(void)
{
    ngx_str_t  args, out;

    args = unit_str("i=-9223372036854775809", 22);
    test_show(unit_pool, test_int, 0, NULL, &args, &out);

    unit_ok(out.len == 22
            && ngx_memcmp(out.data, "i=-922337203685477580", 21) == 0,
            "the least number");
}


/* today is what the caller says, in UTC */

static void
test_clock(void)
{
    ngx_str_t  args, out;

    args = unit_str("", 0);

    test_env.now = 0;
    test_show(unit_pool, test_range, 0, NULL, &args, &out);
    unit_is(&out, "end=1970-01-01&start=1969-12-02", "day 0");

    test_env.now = 86399;
    test_show(unit_pool, test_range, 0, NULL, &args, &out);
    unit_is(&out, "end=1970-01-01&start=1969-12-02", "its last second");

    test_env.now = 86400;
    test_show(unit_pool, test_range, 0, NULL, &args, &out);
    unit_is(&out, "end=1970-01-02&start=1969-12-03", "day 1");

    test_env.now = 1709164800;
    test_show(unit_pool, test_range, 0, NULL, &args, &out);
    unit_is(&out, "end=2024-02-29&start=2024-01-30", "29 February");

    test_env.now = TEST_NOW;
}


/* what a worker keeps is its own */

static void
test_copy(void)
{
    u_char           *text;
    ngx_str_t         args, path;
    ngx_sf_params_t   params, copy;

    text = ngx_pstrdup(unit_pool, &(ngx_str_t) ngx_string("i=+7"));
    args.data = text;
    args.len = 4;
    ngx_str_null(&path);

    unit_ok(ngx_sf_params_read(unit_pool, test_int_strict, &path, &args,
                               &test_env, &params) == NGX_OK
            && ngx_sf_params_copy(unit_pool, &params, 1, &copy) == NGX_OK
            && params.values[0].given, "it is read and copied");

    ngx_memset(text, '-', 4);
    ngx_memset(params.values[0].text.data, '-', params.values[0].text.len);

    unit_is(&copy.values[0].text, "7", "a text");
    unit_is(&copy.values[0].echo, " 7", "the same as it came");
}


int
main(void)
{
    ngx_conf_t          cf;
    const test_case_t  *c;

    ngx_memzero(&cf, sizeof(ngx_conf_t));

    unit_init();

    cf.pool = unit_pool;
    cf.log = &unit_log;
    test_env.max_page_size = TEST_MAX_PAGE_SIZE;
    test_env.min_search = 2;
    test_env.now = TEST_NOW;

    unit_ok(ngx_sf_param_env_init(&cf, &test_env) == NGX_OK, "regex");

    for (c = test_cases; c->kind; c++) {
        test_one(c->kind, c->query, strlen(c->query), c->want,
                 strlen(c->want));
    }

    test_file();
    test_path_ids();
    test_path_places();
    test_limits();
    test_max_page_size();
    test_least();
    test_clock();
    test_copy();

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Heads: what the pool learns of the time that an endpoint takes, and when a
 * statement of it is held up.  A script is what the results took, in ms; wanted
 * is the age, in ms, from which on the next one is to blame, and the one from
 * which on a spare connection stands in for it.
 */


#include "ngx_sf_pg.h"
#include "unit.h"


typedef struct {
    ngx_uint_t          lane;
    const char         *script;
    const char         *want;
    const char         *name;
} test_heads_t;


static const test_heads_t  test_heads[] = {

    { NGX_SF_PG_HEAVY, "", "2/1001", "nothing is known" },
    { NGX_SF_PG_HEAVY, "5", "41/51", "the first one is believed" },
    { NGX_SF_PG_HEAVY, "20 20 20", "159/159", "as always" },

    { NGX_SF_PG_HEAVY, "1500 1500", "8204/8204", "always more than a second" },
    { NGX_SF_PG_HEAVY, "5 5 2000 2000 2000 2000 2000 2000 2000 2000 2000 2000 "
                       "2000 2000 2000 2000 2000", "4604/4604",
      "more than a second from now on" },

    { NGX_SF_PG_HEAVY, "5 5 3000", "57/57", "a lock" },
    { NGX_SF_PG_HEAVY, "5 5 3000 5", "55/55", "and after it" },
    { NGX_SF_PG_HEAVY, "3000 5 5 5 5 5 5", "237/237",
      "a lock before anything is known" },

    { NGX_SF_PG_READ, "5", "3/6", "the read lane learns slowly" },
    { NGX_SF_PG_READ, "5 5 1500", "5/6", "and leaves out what was held up" }
};


static ngx_sf_pg_conf_t    test_conf;
static ngx_sf_pg_pool_t    test_pool;
static ngx_sf_pg_lane_t    test_lane;
static ngx_sf_pg_server_t  test_server;
static ngx_sf_pg_slot_t    test_fifo[4];
static ngx_sf_pg_line_t    test_line;
static ngx_sf_pg_conn_t    test_conn;


/* a statement and its Sync */

static void
test_begin(void)
{
    ngx_memzero(test_fifo, sizeof(test_fifo));

    test_fifo[0].kind = NGX_SF_PG_SLOT_EXECUTE;
    test_fifo[0].line = &test_line;
    test_fifo[0].first = 1;
    test_fifo[1].kind = NGX_SF_PG_SLOT_SYNC;

    test_conn.head = 0;
    test_conn.count = 2;

    ngx_sf_pg_head_begin(&test_conn);
}


/* the age from which on something is true of the head */

static ngx_uint_t
test_age(ngx_uint_t blames)
{
    uint64_t    began;
    ngx_uint_t  ms;

    test_begin();
    began = test_pool.now;

    for (ms = 0; ms < 100000; ms++) {
        test_pool.now = began + 1000 * ms;

        if (blames ? ngx_sf_pg_head_blames(&test_conn) == &test_line
                   : ngx_sf_pg_head_held(&test_conn))
        {
            break;
        }
    }

    return ms;
}


static void
test_script(const test_heads_t *test)
{
    u_char       said[64];
    ngx_str_t    text;
    const char  *p;

    ngx_memzero(&test_line, sizeof(ngx_sf_pg_line_t));
    test_lane.kind = test->lane;

    for (p = test->script; *p; p += strcspn(p, " "), p += *p == ' ') {
        test_begin();
        test_pool.now += 1000 * atoi(p);
        ngx_sf_pg_head_answered(&test_conn);
    }

    text.data = said;
    text.len = ngx_sprintf(said, "%ui/%ui", test_age(1), test_age(0)) - said;

    unit_is(&text, test->want, "%s: %s", test->name, test->script);
}


int
main(void)
{
    ngx_uint_t  i;

    unit_init();

    test_pool.conf = &test_conf;
    test_pool.now = 1000000;
    test_lane.pool = &test_pool;
    test_conn.lane = &test_lane;
    test_conn.server = &test_server;
    test_conn.fifo = test_fifo;
    test_conn.nfifo = sizeof(test_fifo) / sizeof(test_fifo[0]);

    for (i = 0; i < NGX_SF_PG_CONN_STATES; i++) {
        ngx_queue_init(&test_lane.conns[i]);
    }

    for (i = 0; i < sizeof(test_heads) / sizeof(test_heads[0]); i++) {
        test_script(&test_heads[i]);
    }

    return unit_done();
}

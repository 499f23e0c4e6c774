
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Turns: which queries may be sent, told by scripts.  Principals are letters,
 * 0 is nobody; their queries have numbers, in the order of their submission.
 * The line is a plain one here.
 *
 *     +a     a submits a query
 *     !      the next one in the line is sent: its name, or a dash
 *     =a1    its result is here
 *     -a2    it is cancelled while it waits
 *     ~a1    its result is that it is sent again
 *     ?a     how many of a's wait, and how many are under way
 *
 * And how many turns one has, by the servers of a pool.
 */


#include "ngx_sf_pg.h"
#include "unit.h"


#define TEST_QUERIES  9


typedef struct {
    ngx_uint_t          share;
    const char         *script;
    const char         *want;
    const char         *name;
} test_turns_t;


static const test_turns_t  test_turns[] = {

    { 1, "+a +a +b ! ! ! =a1 !", "a1 b1 - a2",
      "one at a time" },
    { 1, "+a +a +a ! =a1 +b +c ! ! !", "a1 a2 b1 c1",
      "its next one is parked before them" },
    { 1, "+a +a +a ! +b +c =a1 ! ! ! =a2 !",
      "a1 b1 c1 a2 a3", "and behind those that came meanwhile" },
    { 1, "+a +a ! ! ?a ?b", "a1 - 1/1 0/0", "counts" },

    { 3, "+a +a +a +a +b ! ! ! ! ! =a2 ! ?a", "a1 a2 a3 b1 - a4 0/3",
      "three at a time" },

    { 1, "+0 +0 +0 ! ! ! ?0", "01 02 03 0/0",
      "nobody has no turns" },
    { 1, "+a +a +0 +a ! ! !", "a1 01 -",
      "and stands behind nobody's" },

    { 1, "+a +a +a -a2 ! =a1 ! ?a", "a1 a3 0/1",
      "one that waits for a turn leaves" },
    { 1, "+a +a +b -a1 ! !", "b1 a2",
      "one that has a turn gives it to the next" },
    { 1, "+a -a1 ! ?a", "- 0/0", "and if there is none" },

    { 1, "+a +a ! ~a1 ! ! ?a", "a1 a2 a1 0/2",
      "what is sent again has its turn at once" },
    { 1, "+a +a ! ~a1 -a1 ! ?a", "a1 a2 0/1", "or leaves before that" },
    { 1, "+a +a +a ! ~a1 ! ! =a1 =a2 ! =a3 ?a", "a1 a2 a1 a3 0/0",
      "all turns come back" }
};


typedef struct {
    ngx_uint_t          replicas;
    ngx_uint_t          lane;
    ngx_uint_t          size;
    const char         *servers;    /* s: a server, p: a pooler */
    ngx_uint_t          active;     /* of a primary, from 1 */
    ngx_uint_t          want;
} test_share_t;


static const test_share_t  test_shares[] = {
    { 0, NGX_SF_PG_READ, 1, "s", 0, NGX_MAX_UINT32_VALUE },
    { 0, NGX_SF_PG_READ, 2, "s", 0, 16 },
    { 0, NGX_SF_PG_READ, 3, "p", 0, 2 },
    { 0, NGX_SF_PG_HEAVY, 4, "s", 0, 3 },
    { 0, NGX_SF_PG_READ, 2, "sp", 2, 1 },
    { 0, NGX_SF_PG_READ, 2, "ps", 2, 16 },
    { 1, NGX_SF_PG_READ, 1, "ss", 0, 16 },
    { 1, NGX_SF_PG_READ, 1, "sp", 0, 1 },
    { 1, NGX_SF_PG_READ, 1, "ps", 0, 1 },
    { 1, NGX_SF_PG_READ, 2, "sp", 0, 18 },
    { 1, NGX_SF_PG_TOTALS, 2, "sp", 0, 3 }
};


static ngx_sf_pg_pool_t    test_pool;
static ngx_sf_pg_lane_t    test_lane;
static ngx_sf_pg_query_t   test_queries[128][TEST_QUERIES + 1];
static ngx_sf_pg_principal_t  *test_slots[128][TEST_QUERIES + 1];
static ngx_uint_t          test_n[128];
static ngx_queue_t         test_line;
static ngx_uint_t          test_share;


static void
test_wait(ngx_sf_pg_query_t *q)
{
    if (ngx_sf_pg_turn_wait(&test_lane, q, test_share)) {
        ngx_queue_insert_tail(&test_line, &q->queue);
    }
}


static void
test_submit(u_char who)
{
    ngx_sf_pg_query_t  *q;

    q = &test_queries[who][++test_n[who]];
    ngx_memzero(q, sizeof(ngx_sf_pg_query_t));

    q->principal = who == '0' ? 0 : who;

    test_wait(q);
}


static u_char *
test_send(u_char *p)
{
    ngx_uint_t          who, n;
    ngx_sf_pg_query_t  *q;

    if (ngx_queue_empty(&test_line)) {
        return ngx_sprintf(p, "- ");
    }

    q = ngx_queue_data(ngx_queue_head(&test_line), ngx_sf_pg_query_t, queue);

    who = (q - test_queries[0]) / (TEST_QUERIES + 1);
    n = (q - test_queries[0]) % (TEST_QUERIES + 1);

    ngx_queue_remove(&q->queue);
    ngx_sf_pg_turn_take(q);
    q->sent = 1;
    test_slots[who][n] = ngx_sf_pg_turn_sent(q);

    return ngx_sprintf(p, "%c%ui ", (int) who, n);
}


static void
test_over(ngx_sf_pg_principal_t *turn, ngx_uint_t sent)
{
    ngx_sf_pg_query_t  *q;

    q = turn ? ngx_sf_pg_turn_over(turn, sent, test_share) : NULL;

    if (q) {
        ngx_queue_insert_tail(&test_line, &q->queue);
    }
}


static u_char *
test_step(const char *step, u_char *p)
{
    u_char                  who;
    ngx_uint_t              n, waiting;
    ngx_sf_pg_query_t      *q;
    ngx_sf_pg_principal_t  *turn;

    if (*step == '!') {
        return test_send(p);
    }

    who = step[1];

    switch (*step) {

    case '+':
        test_submit(who);
        return p;

    case '?':
        waiting = ngx_sf_pg_turn_waiting(&test_lane, who == '0' ? 0 : who, &n);
        return ngx_sprintf(p, "%ui/%ui ", waiting, n);
    }

    n = step[2] - '0';
    q = &test_queries[who][n];

    if (*step == '-') {
        if (!q->parked) {
            ngx_queue_remove(&q->queue);
        }

        ngx_sf_pg_turn_take(q);
        turn = q->turn;
        q->turn = NULL;
        test_over(turn, 0);
        return p;
    }

    test_over(test_slots[who][n], 1);

    if (*step == '~') {
        test_wait(q);
    }

    return p;
}


static void
test_script(const test_turns_t *test)
{
    u_char       said[256], *p;
    ngx_str_t    text;
    const char  *step;

    ngx_memzero(test_n, sizeof(test_n));
    ngx_queue_init(&test_line);
    test_share = test->share;
    p = said;

    for (step = test->script; *step; /* void */ ) {
        p = test_step(step, p);

        while (*step && *step != ' ') {
            step++;
        }

        step += *step == ' ';
    }

    text.data = said;
    text.len = p - said - (p > said);

    unit_is(&text, test->want, "%s: %s", test->name, test->script);
}


/* principals that have nothing there are used again */

static void
test_reuse(void)
{
    ngx_uint_t          i, n;
    ngx_queue_t        *node;
    ngx_sf_pg_query_t   q;

    for (i = 1; i <= 10000; i++) {
        ngx_memzero(&q, sizeof(ngx_sf_pg_query_t));
        q.principal = i;

        (void) ngx_sf_pg_turn_wait(&test_lane, &q, 1);
        ngx_sf_pg_turn_take(&q);
        test_over(q.turn, 0);
    }

    n = 0;

    for (node = ngx_queue_head(&test_lane.idle);
         node != ngx_queue_sentinel(&test_lane.idle);
         node = ngx_queue_next(node))
    {
        n++;
    }

    unit_ok(n == 1, "no more principals than there were at a time");
}


static void
test_turns_of_one(const test_share_t *test)
{
    ngx_uint_t          i, turns;
    ngx_sf_pg_conf_t    conf;
    ngx_sf_pg_lane_t    lane;
    ngx_sf_pg_pool_t    pool;
    ngx_sf_pg_server_t  servers[2];

    ngx_memzero(&conf, sizeof(ngx_sf_pg_conf_t));
    ngx_memzero(&lane, sizeof(ngx_sf_pg_lane_t));
    ngx_memzero(&pool, sizeof(ngx_sf_pg_pool_t));
    ngx_memzero(servers, sizeof(servers));

    conf.replicas = test->replicas;
    conf.size[test->lane] = test->size;
    conf.depth = 16;
    lane.pool = &pool;
    lane.kind = test->lane;
    pool.conf = &conf;
    pool.servers = servers;
    pool.nservers = strlen(test->servers);
    pool.active = test->active ? &servers[test->active - 1] : NULL;

    for (i = 0; i < pool.nservers; i++) {
        servers[i].pooler = test->servers[i] == 'p';
    }

    turns = ngx_sf_pg_lane_share(&lane);

    unit_ok(turns == test->want, "lane %d, %d x \"%s\": %u turns, %u wanted",
            (int) test->lane, (int) test->size, test->servers,
            (unsigned) turns, (unsigned) test->want);
}


int
main(void)
{
    ngx_uint_t  i;

    unit_init();

    test_pool.memory = unit_pool;
    test_pool.log = &unit_log;
    test_lane.pool = &test_pool;

    unit_ok(ngx_sf_pg_turns_init(unit_pool, &test_lane) == NGX_OK, "a lane");

    for (i = 0; i < sizeof(test_turns) / sizeof(test_turns[0]); i++) {

        /* what a script has left there is no other's */

        (void) ngx_sf_pg_turns_init(unit_pool, &test_lane);
        test_script(&test_turns[i]);
    }

    (void) ngx_sf_pg_turns_init(unit_pool, &test_lane);
    test_reuse();

    for (i = 0; i < sizeof(test_shares) / sizeof(test_shares[0]); i++) {
        test_turns_of_one(&test_shares[i]);
    }

    return unit_done();
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Tags: their texts, the counters they stand for, and what notifications do
 * to those.
 *
 *     unit-with: -It/tools t/tools/workers.c
 */


#include "workers.h"
#include "unit.h"


#define TEST_USERS   20000
#define TEST_SOURCE  3

#define TEST_NAME63                                                           \
    "a23456789_123456789_123456789_123456789_123456789_123456789_123"


typedef struct {
    const char  *text;
    const char  *wrong;         /* NULL: it compiles */
    const char  *want;          /* table/key/from of each, and the counters */
} test_compile_t;


#define TEST_MANY                                                             \
    "too many tags, there may be 8, and one with a key counts twice"


static const test_compile_t  test_compiles[] = {

    { "", NULL, "0" },
    { "users", NULL, "users 1" },
    { "campaigns review_listings", NULL, "campaigns review_listings 2" },
    { "campaigns.id=$id", NULL, "campaigns.id=id 2" },
    { "campaigns.id=$user", NULL, "campaigns.id=user 2" },
    { "campaigns.creator_id=$user", NULL, "campaigns.creator_id=user 2" },
    { "campaigns.creator_id=$user campaigns.id=$id users", NULL,
      "campaigns.creator_id=user campaigns.id=id users 5" },
    { "users users", NULL, "users users 2" },
    { "users ", NULL, "users 1" },

    /* of a table it matters what it is called, not who knows it */

    { "user", NULL, "user 1" },
    { "no_table users", NULL, "no_table users 2" },
    { "_2.x3_=$id", NULL, "_2.x3_=id 2" },
    { "audit.events", NULL, "audit.events 1" },
    { "audit.events.id=$id", NULL, "audit.events.id=id 2" },
    { "users.id", NULL, "users.id 1" },
    { TEST_NAME63, NULL, TEST_NAME63 " 1" },
    { TEST_NAME63 "." TEST_NAME63 "." TEST_NAME63 "=$user", NULL,
      TEST_NAME63 "." TEST_NAME63 "." TEST_NAME63 "=user 2" },

    { "Users", "a bad name of a table", NULL },
    { "2users", "a bad name of a table", NULL },
    { "us-ers", "a bad name of a table", NULL },
    { "us\"ers", "a bad name of a table", NULL },
    { "us$ers", "a bad name of a table", NULL },
    { "us\xc3\xa9rs", "a bad name of a table", NULL },
    { TEST_NAME63 "x", "a bad name of a table", NULL },
    { " ", "a bad name of a table", NULL },
    { " users", "a bad name of a table", NULL },
    { "users  products", "a bad name of a table", NULL },
    { "users,products", "a bad name of a table", NULL },
    { "users\tproducts", "a bad name of a table", NULL },
    { "users=1", "a bad name of a table", NULL },
    { "=$id", "a bad name of a table", NULL },
    { ".id=$id", "a bad name of a table", NULL },
    { "users.", "a bad name of a table", NULL },
    { "a.b.c", "a bad name of a table", NULL },
    { "a.b.c.id=$id", "a bad name of a table", NULL },
    { "users.id $id", "a bad name of a table", NULL },
    { "users no.table.", "a bad name of a table", NULL },

    { ".users", "a bad name of a schema", NULL },
    { "..users", "a bad name of a schema", NULL },
    { "Audit.events", "a bad name of a schema", NULL },
    { TEST_NAME63 "x.users.id=$id", "a bad name of a schema", NULL },

    { "users.=$id", "a bad name of a key", NULL },
    { "users.Id=$id", "a bad name of a key", NULL },
    { "users.*=$id", "a bad name of a key", NULL },
    { "users." TEST_NAME63 "x=$id", "a bad name of a key", NULL },
    { "users. id=$id", "a bad name of a table", NULL },

    { "users.id=", "a value that is neither $user nor $id", NULL },
    { "users.id=$", "a value that is neither $user nor $id", NULL },
    { "users.id=id", "a value that is neither $user nor $id", NULL },
    { "users.id=$i", "a value that is neither $user nor $id", NULL },
    { "users.id=$ids", "a value that is neither $user nor $id", NULL },
    { "users.id=$use", "a value that is neither $user nor $id", NULL },
    { "users.id=$users", "a value that is neither $user nor $id", NULL },
    { "users.id=5", "a value that is neither $user nor $id", NULL },
    { "users.id==$id", "a value that is neither $user nor $id", NULL },
    { "users.id=$id,$user", "a value that is neither $user nor $id", NULL },

    /* eight counters beside the epoch: a key takes two */

    { "users products subscriptions payments campaigns review_listings "
      "sns_posts sns_accounts", NULL,
      "users products subscriptions payments campaigns review_listings "
      "sns_posts sns_accounts 8" },
    { "users products subscriptions payments campaigns review_listings "
      "sns_posts sns_accounts sns_analytics", "too many tags, there may be 8",
      NULL },
    { "users.id=$id users.id=$user campaigns.id=$id campaigns.id=$user", NULL,
      "users.id=id users.id=user campaigns.id=id campaigns.id=user 8" },
    { "users.id=$id users.id=$user campaigns.id=$id campaigns.id=$user users",
      TEST_MANY, NULL },
    { "users.id=$id users products subscriptions payments campaigns "
      "sns_posts sns_accounts", TEST_MANY, NULL },

    { NULL, NULL, NULL }
};


/* what becomes of a stamp when a payload comes */

typedef enum {
    TEST_KEPT = 0,
    TEST_DROPPED,
    TEST_EPOCH                  /* dropped with all else of the source */
} test_fate_e;

typedef struct {
    const char   *payload;
    ngx_uint_t    moved;
    const char   *tags;
    int64_t       user;
    int64_t       id;
    test_fate_e   fate;
} test_move_t;


#define TEST_MIN  (-NGX_MAX_INT_T_VALUE - 1)
#define TEST_MAX  NGX_MAX_INT_T_VALUE


static const test_move_t  test_moves[] = {

    /* a table */

    { "campaigns", 1, "campaigns", 0, 0, TEST_DROPPED },
    { "campaigns", 1, "users", 0, 0, TEST_KEPT },
    { "campaigns", 1, "users campaigns", 0, 0, TEST_DROPPED },
    { "campaigns", 1, "campaigns.id=$id", 0, 5, TEST_KEPT },
    { "campaigns", 1, "campaigns.creator_id=$user", 5, 0, TEST_KEPT },
    { "campaigns", 1, "", 0, 0, TEST_KEPT },
    { "campaigns ", 1, "campaigns", 0, 0, TEST_DROPPED },

    /* a value of a key */

    { "campaigns id=5", 2, "campaigns", 0, 0, TEST_DROPPED },
    { "campaigns id=5", 2, "campaigns.id=$id", 7, 5, TEST_DROPPED },
    { "campaigns id=5", 2, "campaigns.id=$id", 5, 7, TEST_KEPT },
    { "campaigns id=5", 2, "campaigns.id=$user", 5, 7, TEST_DROPPED },
    { "campaigns id=5", 2, "campaigns.id=$user", 7, 5, TEST_KEPT },
    { "campaigns id=5", 2, "campaigns.creator_id=$user", 5, 0, TEST_KEPT },
    { "campaigns id=5", 2, "users.id=$id", 0, 5, TEST_KEPT },
    { "campaigns id=5", 2, "campaigns.id=$id", 0, -5, TEST_KEPT },
    { "campaigns id=5", 2, "campaigns.id=$id", 0, 50, TEST_KEPT },
    { "campaigns id=0", 2, "campaigns.id=$id", 0, 0, TEST_DROPPED },
    { "campaigns id=-0", 2, "campaigns.id=$id", 0, 0, TEST_DROPPED },
    { "campaigns id=-5", 2, "campaigns.id=$id", 0, -5, TEST_DROPPED },
    { "campaigns id=-5", 2, "campaigns.id=$id", 0, 5, TEST_KEPT },
    { "campaigns id=005", 2, "campaigns.id=$id", 0, 5, TEST_DROPPED },

    /* values, keys */

    { "campaigns id=5,6", 3, "campaigns.id=$id", 0, 5, TEST_DROPPED },
    { "campaigns id=5,6", 3, "campaigns.id=$id", 0, 6, TEST_DROPPED },
    { "campaigns id=5,6", 3, "campaigns.id=$id", 0, 56, TEST_KEPT },
    { "campaigns id=5,-6,7", 4, "campaigns.id=$id", 0, -6, TEST_DROPPED },
    { "campaigns id=5,5", 3, "campaigns.id=$id", 0, 5, TEST_DROPPED },
    { "campaigns id=5 creator_id=8,9", 4, "campaigns.id=$id", 0, 5,
      TEST_DROPPED },
    { "campaigns id=5 creator_id=8,9", 4, "campaigns.creator_id=$user", 9, 0,
      TEST_DROPPED },
    { "campaigns id=5 creator_id=8,9", 4, "campaigns.creator_id=$user", 5, 0,
      TEST_KEPT },
    { "campaigns id=5 creator_id=8,9", 4, "campaigns.id=$id", 0, 9,
      TEST_KEPT },
    { "campaigns creator_id=8 id=5", 3, "campaigns.id=$id", 0, 5,
      TEST_DROPPED },
    { "campaigns id=5 id=6", 3, "campaigns.id=$id", 0, 6, TEST_DROPPED },

    /* too many to be told */

    { "campaigns id=*", 2, "campaigns.id=$id", 0, 5, TEST_DROPPED },
    { "campaigns id=*", 2, "campaigns.id=$id", 0, TEST_MIN, TEST_DROPPED },
    { "campaigns id=*", 2, "campaigns.creator_id=$user", 5, 0, TEST_KEPT },
    { "campaigns id=*", 2, "users.id=$id", 0, 5, TEST_KEPT },
    { "campaigns id=*", 2, "campaigns", 0, 0, TEST_DROPPED },
    { "campaigns id=* creator_id=8", 3, "campaigns.creator_id=$user", 8, 0,
      TEST_DROPPED },
    { "campaigns id=* creator_id=8", 3, "campaigns.creator_id=$user", 9, 0,
      TEST_KEPT },
    { "campaigns id=* creator_id=*", 3, "campaigns.creator_id=$user", 9, 0,
      TEST_DROPPED },

    /* the limits of a bigint */

    { "campaigns id=9223372036854775807", 2, "campaigns.id=$id", 0, TEST_MAX,
      TEST_DROPPED },
    { "campaigns id=9223372036854775807", 2, "campaigns.id=$id", 0, TEST_MIN,
      TEST_KEPT },
    { "campaigns id=-9223372036854775807", 2, "campaigns.id=$id", 0,
      TEST_MIN + 1, TEST_DROPPED },
    { "campaigns id=-9223372036854775808", 2, "campaigns.id=$id", 0, TEST_MIN,
      TEST_DROPPED },
    { "campaigns id=-9223372036854775808", 2, "campaigns.id=$id", 0, TEST_MAX,
      TEST_KEPT },
    { "campaigns id=9223372036854775808", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=-9223372036854775809", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=9999999999999999999", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=18446744073709551616", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=18446744073709551621", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=00000000000000000000000000005", 2, "users", 0, 0,
      TEST_EPOCH },

    /* texts are told as digests, uuids as they are */

    { "campaigns id=00000000000000a5", 2, "campaigns.id=$id", 0, 5,
      TEST_KEPT },
    { "campaigns id=1234567890123456", 2, "campaigns.id=$id", 0,
      1234567890123456, TEST_DROPPED },
    { "campaigns id=00c0ffee00c0ffee,5", 3, "campaigns.id=$id", 0, 5,
      TEST_DROPPED },
    { "campaigns id=123e4567-e89b-12d3-a456-426614174000,5", 3,
      "campaigns.id=$id", 0, 5, TEST_DROPPED },
    { "campaigns id=123E4567-e89b-12d3-a456-426614174000", 2, "users", 0, 0,
      TEST_EPOCH },
    { "campaigns id=123e4567-e89b-12d3-a456-42661417400", 2, "users", 0, 0,
      TEST_EPOCH },
    { "campaigns id=123e45678e89b-12d3-a456-426614174000", 2, "users", 0, 0,
      TEST_EPOCH },
    { "campaigns id=00C0FFEE00C0FFEE", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=0c0ffee00c0ffee", 2, "users", 0, 0, TEST_EPOCH },

    /* other tables and keys, whoever may read them */

    { "orders id=5", 2, "orders.id=$id", 0, 5, TEST_DROPPED },
    { "orders id=5", 2, "orders.id=$id", 0, 6, TEST_KEPT },
    { "orders id=5", 2, "campaigns.id=$id", 0, 5, TEST_KEPT },
    { "orders id=5", 2, "orders.customer=$id", 0, 5, TEST_KEPT },
    { "orders id=5", 2, "sales.orders.id=$id", 0, 5, TEST_DROPPED },
    { "orders id=*", 2, "sales.orders.id=$id", 0, 5, TEST_DROPPED },
    { "orders", 1, "sales.orders", 0, 0, TEST_DROPPED },
    { "orders", 1, "orders.sales", 0, 0, TEST_KEPT },
    { "id orders=5", 2, "orders.id=$id", 0, 5, TEST_KEPT },
    { "ordersid id=5", 2, "orders.idid=$id", 0, 5, TEST_KEPT },
    { "campaigns title=5", 2, "campaigns.title=$id", 0, 5, TEST_DROPPED },
    { "no_such_table", 1, "campaigns", 0, 0, TEST_KEPT },
    { "no_such_table id=5", 2, "campaigns.id=$id", 0, 5, TEST_KEPT },
    { "campaign id=5", 2, "campaigns", 0, 0, TEST_KEPT },
    { "campaigns title=5", 2, "campaigns.id=$id", 0, 5, TEST_KEPT },
    { "campaigns title=5", 2, "campaigns", 0, 0, TEST_DROPPED },
    { "campaigns title=5 id=5", 3, "campaigns.id=$id", 0, 5, TEST_DROPPED },

    /* what no tag can name */

    { "campaigns,users", 0, "campaigns users", 0, 0, TEST_KEPT },
    { "CAMPAIGNS", 0, "campaigns", 0, 0, TEST_KEPT },
    { " campaigns", 0, "campaigns", 0, 0, TEST_KEPT },
    { "campaigns\n", 0, "campaigns", 0, 0, TEST_KEPT },
    { "", 0, "campaigns", 0, 0, TEST_KEPT },
    { " ", 0, "campaigns", 0, 0, TEST_KEPT },
    { "campaigns =5", 1, "campaigns.id=$id", 0, 5, TEST_KEPT },
    { "campaigns Title=x", 1, "campaigns.id=$id", 0, 5, TEST_KEPT },

    /* what cannot be read */

    { "campaigns id", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns title", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns title=x,*", 2, "users", 0, 0, TEST_EPOCH },
    { "no_such_table ?", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=,", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=,5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5,", 3, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5,,6", 3, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=x", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5x", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5.0", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5;6", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=0x5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=+5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=-", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=--5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5-", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=*5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=**", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=*,5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5,*", 3, "users", 0, 0, TEST_EPOCH },
    { "campaigns id==5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5 6", 3, "users", 0, 0, TEST_EPOCH },
    { "campaigns  id=5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5  creator_id=6", 3, "users", 0, 0, TEST_EPOCH },
    { "campaigns id= 5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5\n", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=\xd9\xa5", 2, "users", 0, 0, TEST_EPOCH },
    { "campaigns id=5 creator_id=x", 3, "campaigns.id=$id", 0, 5,
      TEST_EPOCH },

    { NULL, 0, NULL, 0, 0, TEST_KEPT }
};


static ngx_shm_zone_t  *test_shm;
static ngx_sf_zone_t   *test_zone;

static uint64_t         test_before[NGX_SF_COUNTERS];
static u_char           test_moved[NGX_SF_COUNTERS];


static void
test_compile(void)
{
    u_char                 buf[512], *p;
    ngx_str_t              got;
    ngx_uint_t             i;
    const char            *wrong;
    ngx_sf_tag_t          *tag;
    ngx_sf_tags_t          tags;
    ngx_sf_stamp_t         stamp;
    const test_compile_t  *c;

    for (c = test_compiles; c->text; c++) {
        wrong = ngx_sf_tags_compile(c->text, &tags);

        if (c->wrong) {
            unit_ok(wrong && strcmp(wrong, c->wrong) == 0,
                    "\"%s\": %s", c->text, c->wrong);
            continue;
        }

        if (!unit_ok(wrong == NULL, "\"%s\" compiles", c->text)) {
            continue;
        }

        p = buf;

        for (i = 0; i < tags.n; i++) {
            tag = &tags.tag[i];
            p = ngx_sprintf(p, "%V", &tag->table);

            if (tag->from != NGX_SF_TAG_TABLE) {
                p = ngx_sprintf(p, ".%V=%s", &tag->key,
                                tag->from == NGX_SF_TAG_USER ? "user" : "id");
            }

            *p++ = ' ';
        }

        ngx_sf_stamp_read(test_zone, TEST_SOURCE, &tags, 1, 2, &stamp);

        got.data = buf;
        got.len = ngx_sprintf(p, "%uD", stamp.n - 1) - buf;

        unit_is(&got, c->want, "\"%s\": tags and counters", c->text);
    }
}


static void
test_stamp(const char *text, ngx_uint_t source, int64_t user, int64_t id,
    ngx_sf_stamp_t *stamp)
{
    ngx_sf_tags_t  tags;

    if (ngx_sf_tags_compile(text, &tags) != NULL) {
        printf("Bail out! %s does not compile\n", text);
        exit(2);
    }

    ngx_sf_stamp_read(test_zone, source, &tags, user, id, stamp);
}


/* the payload stands in a block of its own size */

static ngx_uint_t
test_notify(ngx_uint_t source, const char *payload)
{
    ngx_str_t  text;

    text = unit_str(payload, strlen(payload));

    return ngx_sf_tags_move(test_zone, source, text.data, text.len);
}


/* remembers all counters; test_compare() says which have moved since */

static void
test_remember(void)
{
    ngx_memcpy(test_before, (void *) test_zone->sh->counters,
               sizeof(test_before));
}


static ngx_uint_t
test_compare(void)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < NGX_SF_COUNTERS; i++) {
        test_moved[i] = test_zone->sh->counters[i] != test_before[i];
        n += test_moved[i];
    }

    return n;
}


static ngx_uint_t
test_hit(const ngx_sf_stamp_t *stamp)
{
    ngx_uint_t  i;

    for (i = 0; i < stamp->n; i++) {
        if (test_moved[stamp->index[i]]) {
            return 1;
        }
    }

    return 0;
}


static void
test_payloads(void)
{
    ngx_uint_t          moved, epochs, current;
    ngx_sf_stamp_t      stamp, other;
    ngx_sf_source_t    *source;
    const test_move_t  *m;

    source = &test_zone->sh->sources[TEST_SOURCE];

    for (m = test_moves; m->payload; m++) {
        test_stamp(m->tags, TEST_SOURCE, m->user, m->id, &stamp);
        test_stamp("campaigns campaigns.id=$id users", TEST_SOURCE + 1, 5, 5,
                   &other);

        unit_ok(stamp.index[0] == TEST_SOURCE
                && ngx_sf_stamp_current(test_zone, &stamp),
                "\"%s\" of %lld, %lld is current", m->tags,
                (long long) m->user, (long long) m->id);

        test_remember();
        epochs = source->epochs;

        moved = test_notify(TEST_SOURCE, m->payload);

        (void) test_compare();
        epochs = source->epochs - epochs;
        current = ngx_sf_stamp_current(test_zone, &stamp);

        unit_ok(moved == m->moved, "\"%s\" moves %lu, %lu wanted",
                m->payload, (unsigned long) moved, (unsigned long) m->moved);
        unit_ok(current == (m->fate == TEST_KEPT),
                "\"%s\" %s \"%s\" of %lld, %lld", m->payload,
                m->fate == TEST_KEPT ? "keeps" : "drops", m->tags,
                (long long) m->user, (long long) m->id);
        unit_ok(epochs == (m->fate == TEST_EPOCH)
                && test_moved[TEST_SOURCE] == (m->fate == TEST_EPOCH),
                "\"%s\" and the epoch", m->payload);
        unit_ok(ngx_sf_stamp_current(test_zone, &other),
                "\"%s\" and another source", m->payload);
    }
}


/* bytes that no text of C holds */

static void
test_bytes(void)
{
    static const char  nul[] = "campaigns id=5\0" "6";
    static const char  table[] = "campaigns\0";

    ngx_str_t       text;
    ngx_sf_stamp_t  stamp;

    test_stamp("users", TEST_SOURCE, 0, 0, &stamp);

    text = unit_str(table, sizeof(table) - 1);
    unit_ok(ngx_sf_tags_move(test_zone, TEST_SOURCE, text.data, text.len) == 0
            && ngx_sf_stamp_current(test_zone, &stamp),
            "a NUL is part of a name");

    text = unit_str(nul, sizeof(nul) - 1);
    unit_ok(ngx_sf_tags_move(test_zone, TEST_SOURCE, text.data, text.len) == 2
            && !ngx_sf_stamp_current(test_zone, &stamp),
            "a NUL is no digit");

    test_stamp("users", TEST_SOURCE, 0, 0, &stamp);

    text = unit_str("campaigns id=5 garbage", 22);
    unit_ok(ngx_sf_tags_move(test_zone, TEST_SOURCE, text.data, 14) == 2
            && ngx_sf_stamp_current(test_zone, &stamp),
            "nothing is read behind the end");
}


/* what a change of one user does to all others */

static void
test_users(void)
{
    ngx_uint_t       i, n, lost, wrong;
    ngx_sf_tags_t    tags;
    ngx_sf_stamp_t  *stamps;

    (void) ngx_sf_tags_compile("campaign_applications.user_id=$user", &tags);

    stamps = ngx_palloc(unit_pool, TEST_USERS * sizeof(ngx_sf_stamp_t));

    for (i = 0; i < TEST_USERS; i++) {
        ngx_sf_stamp_read(test_zone, TEST_SOURCE, &tags, i, 0, &stamps[i]);
    }

    test_remember();
    (void) test_notify(TEST_SOURCE, "campaign_applications user_id=777");
    n = test_compare();

    unit_ok(n == 2, "a user's change moves two counters");
    unit_ok(!ngx_sf_stamp_current(test_zone, &stamps[777]),
            "it drops what is that user's");

    lost = 0;
    wrong = 0;

    for (i = 0; i < TEST_USERS; i++) {
        lost += !ngx_sf_stamp_current(test_zone, &stamps[i]);
        wrong += ngx_sf_stamp_current(test_zone, &stamps[i])
                 == test_hit(&stamps[i]);
    }

    unit_ok(wrong == 0, "another's goes only where they share a counter");
    unit_ok(lost < 8, "%lu of %d users share it", (unsigned long) lost,
            TEST_USERS);

    /* all users, and none of another key or table */

    for (i = 0; i < TEST_USERS; i++) {
        ngx_sf_stamp_read(test_zone, TEST_SOURCE, &tags, i, 0, &stamps[i]);
    }

    (void) test_notify(TEST_SOURCE, "campaign_applications user_id=*");
    lost = 0;

    for (i = 0; i < TEST_USERS; i++) {
        lost += !ngx_sf_stamp_current(test_zone, &stamps[i]);
    }

    unit_ok(lost == TEST_USERS, "* drops those of all users");

    (void) ngx_sf_tags_compile("campaign_applications.campaign_id=$id "
                               "review_accounts.user_id=$user", &tags);

    for (i = 0; i < TEST_USERS; i++) {
        ngx_sf_stamp_read(test_zone, TEST_SOURCE, &tags, i, i, &stamps[i]);
    }

    (void) test_notify(TEST_SOURCE, "campaign_applications user_id=*");
    lost = 0;

    for (i = 0; i < TEST_USERS; i++) {
        lost += !ngx_sf_stamp_current(test_zone, &stamps[i]);
    }

    unit_ok(lost < 8, "but %lu of %d of other keys", (unsigned long) lost,
            TEST_USERS);
}


/* the same table in each of the databases that share the zone */

static void
test_sources(void)
{
    ngx_uint_t      i, k, wrong;
    ngx_sf_tags_t   tags;
    ngx_sf_stamp_t  stamps[NGX_SF_SOURCES];

    (void) ngx_sf_tags_compile("campaigns campaigns.id=$id "
                               "campaigns.creator_id=$user", &tags);

    for (k = 0; k < NGX_SF_SOURCES; k++) {

        for (i = 0; i < NGX_SF_SOURCES; i++) {
            ngx_sf_stamp_read(test_zone, i, &tags, 8, 5, &stamps[i]);
        }

        test_remember();
        (void) test_notify(k, "campaigns id=5 creator_id=*");
        (void) test_compare();

        wrong = ngx_sf_stamp_current(test_zone, &stamps[k]);

        for (i = 0; i < NGX_SF_SOURCES; i++) {
            wrong += ngx_sf_stamp_current(test_zone, &stamps[i])
                     == test_hit(&stamps[i]);
            wrong += i != k && test_hit(&stamps[i]);
        }

        unit_ok(wrong == 0, "a change in source %lu", (unsigned long) k);

        for (i = 0; i < NGX_SF_SOURCES; i++) {
            ngx_sf_stamp_read(test_zone, i, &tags, 8, 5, &stamps[i]);
        }

        test_remember();
        ngx_sf_tags_move_all(test_zone, k);

        wrong = test_compare() != 1;

        for (i = 0; i < NGX_SF_SOURCES; i++) {
            wrong += ngx_sf_stamp_current(test_zone, &stamps[i]) == (i == k);
        }

        unit_ok(wrong == 0, "all of source %lu", (unsigned long) k);
    }
}


/* a table that has become another one: by whatever tag it was read */

static void
test_tables(void)
{
    ngx_str_t       table;
    ngx_uint_t      i, n, epochs;
    ngx_sf_tags_t   tags;
    ngx_sf_cover_t  cover;
    ngx_sf_stamp_t  stamp, other;

    static const char *const  read[] = {
        "campaigns", "campaigns.id=$id", "campaigns.creator_id=$user",
        "users campaigns.id=$id", NULL
    };

    static const char *const  unread[] = {
        "campaign_applications.campaign_id=$id", "users.id=$id", "payments",
        NULL
    };

    for (i = 0; read[i]; i++) {
        (void) ngx_sf_tags_compile(read[i], &tags);
        ngx_sf_cover_make(test_zone, &tags, &cover);
    }

    ngx_str_set(&table, "campaigns");
    n = ngx_sf_directory_find(test_zone, &table, NULL);
    epochs = test_zone->sh->sources[TEST_SOURCE].epochs;

    for (i = 0; read[i]; i++) {
        test_stamp(read[i], TEST_SOURCE, 8, 5, &stamp);
        test_stamp(read[i], TEST_SOURCE + 1, 8, 5, &other);

        ngx_sf_tags_move_table(test_zone, TEST_SOURCE, n);

        unit_ok(!ngx_sf_stamp_current(test_zone, &stamp),
                "the table drops \"%s\"", read[i]);
        unit_ok(ngx_sf_stamp_current(test_zone, &other),
                "not \"%s\" of another source", read[i]);
    }

    for (i = 0; unread[i]; i++) {
        test_stamp(unread[i], TEST_SOURCE, 8, 5, &stamp);

        ngx_sf_tags_move_table(test_zone, TEST_SOURCE, n);

        unit_ok(ngx_sf_stamp_current(test_zone, &stamp),
                "the table keeps \"%s\"", unread[i]);
    }

    /* with a schema it is the same for notifications, which have none */

    (void) ngx_sf_tags_compile("audit.campaigns.id=$id", &tags);
    ngx_sf_cover_make(test_zone, &tags, &cover);
    ngx_str_set(&table, "audit.campaigns");
    n = ngx_sf_directory_find(test_zone, &table, NULL);

    test_stamp("audit.campaigns.id=$id", TEST_SOURCE, 8, 5, &stamp);
    ngx_sf_tags_move_table(test_zone, TEST_SOURCE, n);
    unit_ok(!ngx_sf_stamp_current(test_zone, &stamp),
            "a table of another schema drops its own");

    unit_ok(test_zone->sh->sources[TEST_SOURCE].epochs == epochs,
            "no epoch moves");
}


/* the values of two tables, and of two keys, that have the same names */

static void
test_names(void)
{
    ngx_uint_t      i, k, same;
    ngx_sf_tags_t   tags;
    ngx_sf_stamp_t  stamp;

    (void) ngx_sf_tags_compile("orders.user_id=$user orders.id=$user"
                               " order.user_id=$user order.id=$user", &tags);
    same = 0;

    for (i = 0; i < TEST_USERS; i++) {
        ngx_sf_stamp_read(test_zone, TEST_SOURCE, &tags, i, 0, &stamp);

        for (k = 4; k < stamp.n; k += 2) {
            same += stamp.index[k] == stamp.index[2];
        }
    }

    unit_ok(same < 8, "%lu of %d values share a counter with that of another "
            "table or key", (unsigned long) same, 3 * TEST_USERS);
}


/* counters are made use of evenly, and those of the epochs by nothing else */

static void
test_spread(void)
{
    int64_t          value;
    ngx_uint_t       i, k, n, low;
    ngx_sf_tags_t    tags;
    ngx_sf_stamp_t   stamp;

    static const int64_t  edges[] = {
        TEST_MIN, TEST_MIN + 1, -1, 0, 1, NGX_MAX_INT32_VALUE, TEST_MAX - 1,
        TEST_MAX
    };

    (void) ngx_sf_tags_compile("sns_posts.user_id=$user users.id=$id", &tags);
    ngx_memzero(test_moved, sizeof(test_moved));

    low = 0;

    for (i = 0; i < 50000; i++) {
        value = i < 8 ? edges[i] : (int64_t) i;
        ngx_sf_stamp_read(test_zone, i % NGX_SF_SOURCES, &tags, value, value,
                          &stamp);

        for (k = 1; k < stamp.n; k++) {
            low += stamp.index[k] < NGX_SF_SOURCES
                   || stamp.index[k] >= NGX_SF_COUNTERS;
            test_moved[stamp.index[k]] = 1;
        }
    }

    for (i = 0, n = 0; i < NGX_SF_COUNTERS; i++) {
        n += test_moved[i];
    }

    /* of 65520 a hundred thousand throws leave out a fraction of 1/e^1.53 */

    unit_ok(low == 0, "an epoch is no tag's counter");
    unit_ok(n > 50900 && n < 51700, "100000 values use %lu counters",
            (unsigned long) n);
}


int
main(void)
{
    unit_init();

    test_shm = workers_zone(NGX_SF_ZONE_MIN);
    test_zone = workers_start(test_shm, ngx_pid);

    test_compile();
    test_payloads();
    test_bytes();
    test_users();
    test_sources();
    test_tables();
    test_names();
    test_spread();

    workers_zone_free(test_shm);

    return unit_done();
}

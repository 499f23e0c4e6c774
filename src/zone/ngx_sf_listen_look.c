
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The look at the catalogue: of which tables are changes told, and is each
 * table still what it was?
 *
 * A look asks for all names of the zone's directory, which are those that any
 * worker of any configuration has tags of.
 *
 * A table is covered when it and all its parts, partitions and children, have
 * the triggers, and when nothing writes past them; a key of it, when all these
 * triggers tell it.  What is not known to be covered is not.
 *
 * What a relation is changes without any trigger being run: by a rewrite, a
 * partition that comes or goes, a schema that takes the name of another, a
 * privilege, a policy.  So the rows of the catalogue that say what a table is
 * are made into a digest, as are those of functions, enums and roles, and the
 * digests are compared with those of the look before.  Tables are found by
 * name each time.
 *
 * When something has moved, the order is: the era, which names the prepared
 * statements; the counters, which drop what was read; then the digests.
 *
 *   - A response that was read before the change has a stamp from before the
 *     counters, and is dropped.
 *   - One with a stamp from after them was asked for later still, in the new
 *     era, of what the look has seen; if that has changed again since, the
 *     next look sees another digest.
 *   - A worker that dies in between leaves the old digests, and the next look
 *     moves all once more.
 *
 * The first look after LISTEN moves the epoch in the same way, and tables that
 * come to be covered, or a key of them, are dropped: what was read while a
 * change could go unseen must not live on.
 *
 * A look is made at the beginning, every softfactory_listen_schema, and soon
 * after the database has said that there is something to be seen.  It locks
 * nothing; what it asks, everybody may ask.
 *
 * (PostgreSQL manual, chapter "System Catalogs".)
 */


#include "ngx_sf_listen_conn.h"


/* in ms */

#define NGX_SF_LISTEN_CHECK      10000    /* of the triggers, at least */
#define NGX_SF_LISTEN_RECHECK    250      /* the next one, at the soonest */
#define NGX_SF_LISTEN_RETRY      2000     /* the next one, after a failure */


/* values of the statement */

typedef enum {
    NGX_SF_LISTEN_NAMES = 0,
    NGX_SF_LISTEN_KEYS,
    NGX_SF_LISTEN_SCHEMA,       /* of the tables */
    NGX_SF_LISTEN_DIGESTS
} ngx_sf_listen_value_e;


typedef struct {
    const char                 *word;     /* in the result */
    const char                 *what;
    const char                 *advice;
} ngx_sf_listen_lack_t;


static void ngx_sf_listen_look_list(ngx_sf_listen_t *l);
static u_char *ngx_sf_listen_look_keys(ngx_sf_listen_t *l, u_char *p,
    ngx_uint_t table, ngx_uint_t n);
static void ngx_sf_listen_look_read(ngx_sf_listen_t *l, PGresult *res,
    ngx_sf_schema_t *found);
static void ngx_sf_listen_look_word(ngx_sf_listen_t *l, const char *word,
    ngx_uint_t table, ngx_sf_schema_t *found);
static void ngx_sf_listen_look_told(ngx_sf_listen_t *l, ngx_uint_t table,
    const ngx_str_t *untold, ngx_sf_schema_t *found);
static ngx_uint_t ngx_sf_listen_look_named(const ngx_str_t *list,
    const ngx_str_t *name);
static ngx_uint_t ngx_sf_listen_look_compare(const ngx_sf_schema_t *old,
    const ngx_sf_schema_t *found, ngx_uint_t n, ngx_sf_set_t *moved);
static void ngx_sf_listen_look_drop(ngx_sf_listen_t *l,
    const ngx_sf_schema_t *found, const ngx_sf_set_t *moved, ngx_uint_t rest);
static void ngx_sf_listen_look_changed(ngx_sf_listen_t *l,
    const ngx_sf_set_t *moved, ngx_uint_t rest);
static void ngx_sf_listen_look_report(ngx_sf_listen_t *l);
static void ngx_sf_listen_look_lacking(ngx_sf_listen_t *l,
    ngx_sf_set_t lacking[NGX_SF_LACKS]);
static void ngx_sf_listen_look_opened(ngx_sf_listen_t *l);
static u_char *ngx_sf_listen_look_names(ngx_sf_listen_t *l, u_char *p,
    u_char *last, const ngx_sf_set_t *set);


static const ngx_sf_listen_lack_t  ngx_sf_listen_lacks[NGX_SF_LACKS] = {
    { "triggers", "tables without current triggers",
      "; see conf/postgresql/softfactory-tables.sql" },
    { "subscription", "tables that a subscription writes to, which runs no "
      "triggers", "" },
    { "shape", "tables that are views or foreign, or parts of others", "" },
    { "channel", "tables whose triggers tell on a channel that cannot be "
      "read", "; see conf/postgresql/softfactory-tables.sql" }
};


/*
 * $1 names of tables, $2 for each the keys that tags have, $3 the schema of
 * those without one, $4 whether digests are wanted; a row for each table, with
 * the keys that are not told, and one without a name for the rest.  What is
 * asked about a part is a subquery of its own, so that it goes by an index
 * whatever the planner thinks of the number of parts: there are catalogues with
 * a million rows.
 *
 * Tables are found in the catalogue: to_regclass() fails where the role may not
 * use the schema, and that is to be seen like any other change.
 *
 * Functions are named with their schema, so that they are nobody else's; the
 * operators have exact matches in pg_catalog, which is searched first.
 *
 * xmin says that a row of the catalogue has been written.  VACUUM and ANALYZE
 * write theirs in place; temporary functions and enums are somebody else's,
 * and any role that may connect may make them; triggers of foreign keys change
 * nothing that is read.
 */

#define NGX_SF_LISTEN_ROWS(columns, order, from)                              \
    " (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', " columns "),"  \
    " ',' ORDER BY " order ") FROM pg_catalog." from ")"

#define NGX_SF_LISTEN_DIGEST(text)                                            \
    " CASE WHEN $4::bool"                                                     \
    " THEN pg_catalog.left(pg_catalog.md5(" text "), 16) END"

/*
 * Triggers that a former notify.sql has made have a number for an argument,
 * which stands for what they tell.
 */

#define NGX_SF_LISTEN_FORMER                                                  \
    "former (version, words) AS (VALUES"                                      \
    " ('9f5655e6', '{table users,key id}'::text[]),"                          \
    " ('aec90d72', '{table products}'),"                                      \
    " ('e50ce0d7', '{table subscriptions,key user_id}'),"                     \
    " ('fe973d60', '{table payments}'),"                                      \
    " ('ba82cacc', '{table campaigns,key id,key creator_id}'),"               \
    " ('c8bd57e8', '{table campaign_applications,key campaign_id,"            \
    "key user_id}'),"                                                         \
    " ('09ca2fa4', '{table review_listings,key id}'),"                        \
    " ('3a7d05b3', '{table review_accounts,key user_id}'),"                   \
    " ('0bfcbd64', '{table review_applications,key listing_id}'),"            \
    " ('5f16d70d', '{table review_bookmarks,key user_id}'),"                  \
    " ('a8a5c5ff', '{table sns_accounts,key user_id}'),"                      \
    " ('f2d1f168', '{table sns_posts,key user_id}'),"                         \
    " ('7aa97a49', '{table sns_analytics,key user_id}'))"

#define NGX_SF_LISTEN_PARTS                                                   \
    "WITH RECURSIVE " NGX_SF_LISTEN_FORMER                                    \
    ", list (name, base, keys, root) AS ("                                    \
    " SELECT name, base, pg_catalog.string_to_array(keys, ','),"              \
    " (SELECT c.oid FROM pg_catalog.pg_class c"                               \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"               \
    " WHERE n.nspname = CASE WHEN base = name THEN $3::text"                  \
    " ELSE pg_catalog.split_part(name, '.', 1) END AND c.relname = base)"     \
    " FROM (SELECT name, keys, CASE WHEN pg_catalog.strpos(name, '.') > 0"    \
    " THEN pg_catalog.split_part(name, '.', 2) ELSE name END AS base"         \
    " FROM ROWS FROM (pg_catalog.unnest($1::text[]),"                         \
    " pg_catalog.unnest($2::text[])) AS u (name, keys)) AS t"                 \
    "), part (name, base, keys, relid) AS ("                                  \
    " SELECT name, base, keys, root FROM list WHERE root IS NOT NULL"         \
    " UNION SELECT name, base, keys, inhrelid"                                \
    " FROM part JOIN pg_catalog.pg_inherits ON inhparent = relid)"

#define NGX_SF_LISTEN_IS_SHAPED                                               \
    " coalesce((SELECT relkind NOT IN ('r', 'p')"                             \
    " FROM pg_catalog.pg_class WHERE oid = relid), true)"                     \
    " OR EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = relid"   \
    " AND (part.name, inhparent) NOT IN (SELECT p.name, p.relid FROM part p))"

/* our triggers of a part; of these, those of the old kind; and the deaf ones */

#define NGX_SF_LISTEN_STAMPED                                                 \
    "pg_catalog.strpos(p.prosrc, '-- " NGX_SF_TABLE_STAMP "') > 0"

#define NGX_SF_LISTEN_MAY_TELL                                                \
    "p.prosecdef AND coalesce((SELECT"                                        \
    " pg_catalog.has_schema_privilege(p.proowner, n.oid, 'USAGE')"            \
    " AND pg_catalog.has_table_privilege(p.proowner, c.oid, 'SELECT')"        \
    " FROM pg_catalog.pg_class c"                                             \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"               \
    " WHERE n.nspname = 'softfactory' AND c.relname = 'channel'), false)"

/*
 * What a trigger tells stands in its arguments, as "table users" and "key id":
 * each is an argument, or a line of one, as softfactory.watch() has them.
 * There may be more keys than are needed here, and other lines, as those of the
 * columns that make it tell, which whoever watches the table answers for.
 */

#define NGX_SF_LISTEN_TELLS(word)                                             \
    "coalesce((SELECT words FROM former"                                      \
    " WHERE pg_catalog.concat(version, '\\000')"                              \
    " = pg_catalog.encode(tgargs, 'escape')), pg_catalog.string_to_array("    \
    "pg_catalog.replace(pg_catalog.encode(tgargs, 'escape'), '\\000',"        \
    " pg_catalog.chr(10)), pg_catalog.chr(10))) @> ARRAY[" word "]"

#define NGX_SF_LISTEN_IS_TRIGGER                                              \
    " tgrelid = relid AND tgenabled = 'A'"                                    \
    " AND tgname IN ('softfactory_notify_insert',"                            \
    " 'softfactory_notify_update', 'softfactory_notify_delete',"              \
    " 'softfactory_notify_truncate')"                                         \
    " AND " NGX_SF_LISTEN_TELLS("pg_catalog.concat('table ', base)")

#define NGX_SF_LISTEN_TRIGGERS                                                \
    " (SELECT ARRAY[pg_catalog.count(*), pg_catalog.count(*) FILTER"          \
    " (WHERE NOT " NGX_SF_LISTEN_STAMPED "), pg_catalog.count(*) FILTER"      \
    " (WHERE " NGX_SF_LISTEN_STAMPED " AND NOT (" NGX_SF_LISTEN_MAY_TELL "))]"\
    " FROM pg_catalog.pg_trigger"                                             \
    " JOIN pg_catalog.pg_proc p ON p.oid = tgfoid"                            \
    " WHERE" NGX_SF_LISTEN_IS_TRIGGER ")"

#define NGX_SF_LISTEN_UNTOLD                                                  \
    " pg_catalog.array_to_string(ARRAY(SELECT k.key"                          \
    " FROM pg_catalog.unnest(keys) AS k (key)"                                \
    " WHERE (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger"           \
    " WHERE" NGX_SF_LISTEN_IS_TRIGGER                                         \
    " AND " NGX_SF_LISTEN_TELLS("pg_catalog.concat('key ', k.key)")           \
    ") <> 4), ',')"

#define NGX_SF_LISTEN_IS_FED                                                  \
    " EXISTS (SELECT FROM pg_catalog.pg_subscription_rel"                     \
    " WHERE srrelid = relid)"

#define NGX_SF_LISTEN_OF_PART                                                 \
    "pg_catalog.concat_ws('/', relid,"                                        \
    " (SELECT pg_catalog.concat_ws(':', c.xmin, relfilenode, n.xmin,"         \
    " pg_catalog.has_table_privilege(c.oid, 'SELECT'),"                       \
    " pg_catalog.row_security_active(c.oid))"                                 \
    " FROM pg_catalog.pg_class c"                                             \
    " JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace"                 \
    " WHERE c.oid = relid),"                                                  \
    NGX_SF_LISTEN_ROWS("'a', attnum, xmin", "attnum",                         \
                       "pg_attribute WHERE attrelid = relid AND attnum > 0")  \
    "," NGX_SF_LISTEN_ROWS("'w', oid, xmin", "oid",                           \
                           "pg_rewrite WHERE ev_class = relid")               \
    "," NGX_SF_LISTEN_ROWS("'p', oid, xmin", "oid",                           \
                           "pg_policy WHERE polrelid = relid")                \
    "," NGX_SF_LISTEN_ROWS("'t', oid, xmin", "oid",                           \
                           "pg_trigger WHERE tgrelid = relid"                 \
                           " AND NOT tgisinternal") ")"

/*
 * What all tables may use.  A function or an enum of a role that owns none of
 * them, in a schema of its own, counts only when a table uses it: else any role
 * that may make one could have everything dropped all the time.
 */

#define NGX_SF_LISTEN_OWNERS                                                  \
    "SELECT oid FROM pg_catalog.pg_roles WHERE rolsuper UNION ALL"            \
    " SELECT datdba FROM pg_catalog.pg_database"                              \
    " WHERE datname = pg_catalog.current_database() UNION ALL"                \
    " SELECT nspowner FROM pg_catalog.pg_namespace"                           \
    " WHERE nspname = $3::text UNION ALL"                                     \
    " SELECT relowner FROM pg_catalog.pg_class JOIN part ON oid = relid"

#define NGX_SF_LISTEN_USERS                                                   \
    "SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, oid"                 \
    " FROM pg_catalog.pg_policy JOIN part ON polrelid = relid UNION ALL"      \
    " SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, oid"               \
    " FROM pg_catalog.pg_rewrite JOIN part ON ev_class = relid UNION ALL"     \
    " SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, oid"               \
    " FROM pg_catalog.pg_attrdef JOIN part ON adrelid = relid"

#define NGX_SF_LISTEN_IS_OURS(owner, schema)                                  \
    " (" owner " IN (" NGX_SF_LISTEN_OWNERS ") OR " schema " IN"              \
    " (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $3::text)"

#define NGX_SF_LISTEN_OF_ALL                                                  \
    "pg_catalog.concat_ws('/',"                                               \
    NGX_SF_LISTEN_ROWS("'f', oid, xmin", "oid",                               \
                       "pg_proc WHERE oid >= 16384 AND NOT"                   \
                       " pg_catalog.pg_is_other_temp_schema(pronamespace)"    \
                       " AND" NGX_SF_LISTEN_IS_OURS("proowner",               \
                                                    "pronamespace")           \
                       " OR oid IN (SELECT refobjid"                          \
                       " FROM pg_catalog.pg_depend WHERE refclassid"          \
                       " = 'pg_catalog.pg_proc'::pg_catalog.regclass"         \
                       " AND (classid, objid) IN (" NGX_SF_LISTEN_USERS ")))")\
    "," NGX_SF_LISTEN_ROWS("'e', oid, xmin", "oid",                           \
                           "pg_enum WHERE oid >= 16384 AND EXISTS"            \
                           " (SELECT FROM pg_catalog.pg_type t"               \
                           " WHERE t.oid = enumtypid AND NOT"                 \
                           " pg_catalog.pg_is_other_temp_schema("             \
                           "t.typnamespace) AND"                              \
                           NGX_SF_LISTEN_IS_OURS("t.typowner",                \
                                                 "t.typnamespace")            \
                           " OR t.oid IN (SELECT atttypid"                    \
                           " FROM pg_catalog.pg_attribute"                    \
                           " JOIN part ON attrelid = relid)))")               \
    "," NGX_SF_LISTEN_ROWS("'m', roleid, member", "roleid, member",           \
                           "pg_auth_members")                                 \
    "," NGX_SF_LISTEN_ROWS("'u', oid, rolsuper, rolbypassrls, rolinherit",    \
                           "oid",                                             \
                           "pg_roles WHERE rolsuper OR rolbypassrls"          \
                           " OR NOT rolinherit") ")"


/* what tells of tables, and by which channel; of event triggers only that */

const ngx_sf_pg_statement_t  ngx_sf_listen_look_statement = {
    0, ngx_string("look"),
    "/* look */ " NGX_SF_LISTEN_PARTS
    ", fact (name, relid, shaped, t, untold, fed, x) AS ("
    " SELECT name, relid," NGX_SF_LISTEN_IS_SHAPED "," NGX_SF_LISTEN_TRIGGERS
    "," NGX_SF_LISTEN_UNTOLD "," NGX_SF_LISTEN_IS_FED
    ", CASE WHEN $4::bool THEN " NGX_SF_LISTEN_OF_PART " END FROM part)"
    " SELECT '', CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_event_trigger"
    " JOIN pg_catalog.pg_proc p ON p.oid = evtfoid"
    " WHERE evtname = 'softfactory_schema_command'"
    " AND NOT " NGX_SF_LISTEN_STAMPED ") THEN 'open' ELSE '' END,"
    NGX_SF_LISTEN_DIGEST(NGX_SF_LISTEN_OF_ALL) ", ''"
    " UNION ALL SELECT list.name,"
    " CASE WHEN pg_catalog.bool_or(shaped) THEN 'shape'"
    " WHEN coalesce(pg_catalog.bool_or(t[1] <> 4), true) THEN 'triggers'"
    " WHEN pg_catalog.bool_or(fed) THEN 'subscription'"
    " WHEN pg_catalog.bool_or(t[3] > 0) THEN 'channel'"
    " WHEN pg_catalog.bool_and(t[2] = 0) THEN 'covered'"
    " WHEN pg_catalog.bool_and(t[2] = 4) THEN 'open' ELSE 'both' END,"
    NGX_SF_LISTEN_DIGEST("coalesce(pg_catalog.string_agg(x, ',' ORDER BY"
                         " relid), '')")
    ", pg_catalog.string_agg(DISTINCT untold, ',')"
    " FROM list LEFT JOIN fact ON fact.name = list.name GROUP BY list.name",
    NGX_SF_LISTEN_VALUES, 4, NULL, 0, 0, NULL, NULL
};


void
ngx_sf_listen_look_prepare(ngx_sf_listen_t *l)
{
    l->values[NGX_SF_LISTEN_NAMES] = "{}";
    l->values[NGX_SF_LISTEN_KEYS] = "{}";
    l->values[NGX_SF_LISTEN_SCHEMA] = (char *) l->primary->schema.data;

    /* no worker has logged anything yet, not even that all is well */

    ngx_memset(l->reported, 0xff, sizeof(l->reported));
}


void
ngx_sf_listen_look_destroy(ngx_sf_listen_t *l)
{
    if (l->lists) {
        ngx_free(l->lists);
        l->lists = NULL;
    }
}


/* also when names have come to the directory that it has not been made for */

ngx_uint_t
ngx_sf_listen_look_due(const ngx_sf_listen_t *l)
{
    ngx_msec_int_t  rest;

    if ((ngx_msec_int_t) (l->look_at - ngx_current_msec) <= 0) {
        return 1;
    }

    rest = (ngx_msec_int_t) (l->looked + NGX_SF_LISTEN_RECHECK
                             - ngx_current_msec);

    return l->listed != l->zone->sh->directory.n && rest <= 0;
}


void
ngx_sf_listen_look_values(ngx_sf_listen_t *l)
{
    l->digesting = l->zone->look
                   && (l->told || l->state == NGX_SF_LISTEN_CHECKING
                       || l->listed != l->zone->sh->directory.n
                       || (ngx_msec_int_t) (l->digest_at - ngx_current_msec)
                          <= 0);

    l->values[NGX_SF_LISTEN_DIGESTS] = l->digesting ? "t" : "f";

    /* if it cannot be sent now, it is no less wanted then */

    if (l->listed != l->zone->sh->directory.n) {
        l->look_at = ngx_current_msec;
        ngx_sf_listen_look_list(l);
    }
}


/*
 * Two arrays: of the tables, and of the keys of each.  Names come from tags, so
 * there is nothing in them to be escaped.
 */

static void
ngx_sf_listen_look_list(ngx_sf_listen_t *l)
{
    size_t                size;
    u_char               *p, *names, *keys, *k;
    ngx_uint_t            i, n;
    const ngx_sf_name_t  *place;

    n = l->zone->sh->directory.n;
    place = l->zone->sh->directory.names;
    size = sizeof("{}");

    for (i = 0; i < n; i++) {
        size += place[i].len + sizeof("\"\",") - 1;
    }

    names = ngx_alloc(2 * size, l->log);
    if (names == NULL) {
        return;
    }

    keys = names + size;
    p = names;
    k = keys;

    for (i = 0; i < n; i++) {
        if (place[i].table == i) {
            p = ngx_sprintf(p, "%c\"%*s\"", p == names ? '{' : ',',
                            place[i].len, place[i].name);
            *k = k == keys ? '{' : ',';
            k = ngx_sf_listen_look_keys(l, k + 1, i, n);
        }
    }

    ngx_sprintf(p, "%s}%Z", p == names ? "{" : "");
    ngx_sprintf(k, "%s}%Z", k == keys ? "{" : "");

    ngx_sf_listen_look_destroy(l);

    l->lists = names;
    l->listed = n;
    l->values[NGX_SF_LISTEN_NAMES] = (char *) names;
    l->values[NGX_SF_LISTEN_KEYS] = (char *) keys;
}


static u_char *
ngx_sf_listen_look_keys(ngx_sf_listen_t *l, u_char *p, ngx_uint_t table,
    ngx_uint_t n)
{
    u_char               *start;
    ngx_str_t             key;
    ngx_uint_t            i;
    const ngx_sf_name_t  *place;

    place = l->zone->sh->directory.names;
    *p++ = '"';
    start = p;

    for (i = 0; i < n; i++) {
        if (place[i].table == table && i != table) {
            key = ngx_sf_directory_key(l->zone, i);
            p = ngx_sprintf(p, "%s%V", p == start ? "" : ",", &key);
        }
    }

    *p++ = '"';

    return p;
}


void
ngx_sf_listen_look_sent(ngx_sf_listen_t *l)
{
    l->looked = l->sent;
    l->asked = l->told;
    l->told = 0;

    if (l->digesting) {
        l->digest_at = l->sent + l->zone->look;
    }
}


void
ngx_sf_listen_look_soon(ngx_sf_listen_t *l, ngx_uint_t told)
{
    l->told |= told;
    l->look_at = l->looked + NGX_SF_LISTEN_RECHECK;

    if ((ngx_msec_int_t) (l->look_at - ngx_current_msec) < 0) {
        l->look_at = ngx_current_msec;
    }
}


void
ngx_sf_listen_look_inherit(ngx_sf_listen_t *l)
{
    ngx_sf_listen_look_lacking(l, l->reported);

    l->look_at = ngx_current_msec;
    l->digest_at = ngx_current_msec;
}


/*
 * Heartbeats go on.  What was asked for, or has been asked for in vain for a
 * while, is not known, and no table counts as covered.
 */

void
ngx_sf_listen_look_failed(ngx_sf_listen_t *l)
{
    l->told |= l->asked;
    l->look_at = ngx_current_msec + NGX_SF_LISTEN_RETRY;
    l->digest_at = l->look_at;
    l->misses++;

    if (l->asked || l->misses >= NGX_SF_LISTEN_MISSES) {
        ngx_memzero(&l->schema.covered, sizeof(ngx_sf_set_t));
    }

    if (l->misses == NGX_SF_LISTEN_MISSES) {
        ngx_log_error(NGX_LOG_WARN, l->log, 0,
                      "softfactory upstream \"%V\": the look at the tables "
                      "fails; until it does not, responses are cached for at "
                      "most softfactory_cache_incoherent_ttl",
                      &l->primary->name);
    }

    if (l->state == NGX_SF_LISTEN_CHECKING) {
        ngx_sf_tags_move_all(l->zone, l->index);
    }
}


ngx_int_t
ngx_sf_listen_look_seen(ngx_sf_listen_t *l, PGresult *res)
{
    ngx_int_t        rc;
    ngx_msec_t       next;
    ngx_uint_t       rest, known, changed;
    ngx_sf_set_t     moved;
    ngx_sf_schema_t  found;

    l->step = NGX_SF_LISTEN_SAY;

    ngx_sf_listen_look_read(l, res, &found);
    ngx_memzero(&moved, sizeof(ngx_sf_set_t));

    known = 1;

    if (l->digesting) {
        known = l->source->schema.rest != 0;
        rest = ngx_sf_listen_look_compare(&l->source->schema, &found,
                                          l->listed, &moved);

    } else {
        ngx_memcpy(found.digests, l->source->schema.digests,
                   sizeof(found.digests));
        found.rest = l->source->schema.rest;
        rest = (l->asked & NGX_SF_LISTEN_SCHEMA_CAME) != 0;
    }

    ngx_sf_listen_look_drop(l, &found, &moved, rest);

    l->schema = found;
    l->misses = 0;

    next = l->looked + NGX_SF_LISTEN_CHECK;

    if (l->zone->look && (ngx_msec_int_t) (next - l->digest_at) > 0) {
        next = l->digest_at;
    }

    /* the open channel is needed, and not listened to yet */

    l->look_at = l->told || (l->open && !l->opened)
                 ? l->looked + NGX_SF_LISTEN_RECHECK : next;

    rc = ngx_sf_listen_lease_confirm(l);

    if (rc != NGX_OK) {
        return rc;
    }

    /* the first digests ever tell of no change */

    changed = rest || ngx_sf_set_count(&moved);

    if (changed && known) {
        ngx_sf_listen_look_changed(l, &moved, rest);
    }

    ngx_sf_listen_look_report(l);
    ngx_sf_listen_look_opened(l);

    return NGX_OK;
}


/* what came to the directory after the look was sent is not known here */

static void
ngx_sf_listen_look_read(ngx_sf_listen_t *l, PGresult *res,
    ngx_sf_schema_t *found)
{
    uint64_t    digest;
    ngx_str_t   name, word, untold, text;
    ngx_uint_t  i, n;

    ngx_memzero(found, sizeof(ngx_sf_schema_t));

    l->open = l->names ? 0 : NGX_SF_LISTEN_NAMELESS;

    for (i = 0; i < ngx_sf_pg_result_rows(res); i++) {
        name = ngx_sf_pg_result_cell(res, i, 0);
        word = ngx_sf_pg_result_cell(res, i, 1);
        text = ngx_sf_pg_result_cell(res, i, 2);
        untold = ngx_sf_pg_result_cell(res, i, 3);

        if (word.data == NULL) {
            continue;
        }

        digest = text.len ? strtoull((char *) text.data, NULL, 16) | 1 : 0;

        if (name.len == 0) {
            found->rest = digest;

            if (ngx_strcmp(word.data, "open") == 0) {
                l->open |= NGX_SF_LISTEN_EVENTS;
            }

            continue;
        }

        n = ngx_sf_directory_find(l->zone, &name, NULL);

        if (n < l->listed) {
            found->digests[n] = digest;
            ngx_sf_listen_look_word(l, (char *) word.data, n, found);
            ngx_sf_listen_look_told(l, n, &untold, found);
        }
    }
}


/* each kind of triggers is heard on a channel of its own */

static void
ngx_sf_listen_look_word(ngx_sf_listen_t *l, const char *word,
    ngx_uint_t table, ngx_sf_schema_t *found)
{
    ngx_uint_t  lack, open, secret;

    open = ngx_strcmp(word, "open") == 0;
    secret = ngx_strcmp(word, "covered") == 0;

    if (ngx_strcmp(word, "both") == 0) {
        open = 1;
        secret = 1;
    }

    if (open) {
        l->open |= NGX_SF_LISTEN_TABLES;
        ngx_sf_set_add(&found->open, table);
    }

    if (secret && l->names == 0) {
        word = "channel";

    } else if ((secret || open) && (!open || l->opened)) {
        ngx_sf_set_add(&found->covered, table);
    }

    for (lack = 0; lack < NGX_SF_LACKS; lack++) {
        if (ngx_strcmp(word, ngx_sf_listen_lacks[lack].word) == 0) {
            found->lacks[table] = 1 + lack;
        }
    }
}


/* the keys of a table that is covered */

static void
ngx_sf_listen_look_told(ngx_sf_listen_t *l, ngx_uint_t table,
    const ngx_str_t *untold, ngx_sf_schema_t *found)
{
    ngx_str_t             key;
    ngx_uint_t            i;
    const ngx_sf_name_t  *names;

    if (!ngx_sf_set_has(&found->covered, table)) {
        return;
    }

    names = l->zone->sh->directory.names;

    for (i = 0; i < l->listed; i++) {
        if (names[i].table != table || i == table) {
            continue;
        }

        key = ngx_sf_directory_key(l->zone, i);

        if (ngx_sf_listen_look_named(untold, &key)) {
            found->lacks[i] = 1 + NGX_SF_LACK_TRIGGERS;

        } else {
            ngx_sf_set_add(&found->covered, i);
        }
    }
}


/* whether a list with commas has that name */

static ngx_uint_t
ngx_sf_listen_look_named(const ngx_str_t *list, const ngx_str_t *name)
{
    u_char  *p, *end, *last;

    last = list->data + list->len;

    for (p = list->data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        if ((size_t) (end - p) == name->len
            && ngx_memcmp(p, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * The tables of which the digests have moved; whether that of the rest has.
 * What was not known may have been all, but for a table that nobody has asked
 * for before.
 */

static ngx_uint_t
ngx_sf_listen_look_compare(const ngx_sf_schema_t *old,
    const ngx_sf_schema_t *found, ngx_uint_t n, ngx_sf_set_t *moved)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (old->digests[i] != found->digests[i]
            && (old->digests[i] || old->rest == 0))
        {
            ngx_sf_set_add(moved, i);
        }
    }

    return old->rest != found->rest;
}


static void
ngx_sf_listen_look_drop(ngx_sf_listen_t *l, const ngx_sf_schema_t *found,
    const ngx_sf_set_t *moved, ngx_uint_t rest)
{
    ngx_uint_t            i;
    ngx_sf_set_t          tables;
    const ngx_sf_name_t  *names;

    names = l->zone->sh->directory.names;
    tables = *moved;

    for (i = 0; i < l->listed; i++) {
        if (ngx_sf_set_has(&found->covered, i)
            && !ngx_sf_set_has(&l->schema.covered, i))
        {
            ngx_sf_set_add(&tables, names[i].table);
        }
    }

    if (rest || ngx_sf_set_count(moved)) {
        (void) ngx_atomic_fetch_add(&l->source->era, 1);
    }

    if (rest || l->state == NGX_SF_LISTEN_CHECKING
        || l->asked & NGX_SF_LISTEN_TRIGGERS_CAME)
    {
        ngx_sf_tags_move_all(l->zone, l->index);
        return;
    }

    for (i = 0; i < l->listed; i++) {
        if (ngx_sf_set_has(&tables, i)) {
            ngx_sf_tags_move_table(l->zone, l->index, i);
        }
    }
}


/*
 * Only the owner tells it.  One that has lost the place has moved counters,
 * which does no harm, and the next owner sees the same.
 */

static void
ngx_sf_listen_look_changed(ngx_sf_listen_t *l, const ngx_sf_set_t *moved,
    ngx_uint_t rest)
{
    u_char      *p, *last, names[NGX_MAX_ERROR_STR / 2];
    const char  *dropped = "what was read from there";

    l->source->changed = *moved;
    l->source->changed_rest = rest;
    l->source->changed_at = ngx_time();

    /* who sees that there was one sees which */

    ngx_sf_release();
    (void) ngx_atomic_fetch_add(&l->source->changes, 1);

    last = names + sizeof(names);
    p = ngx_sf_listen_look_names(l, names, last, moved);

    if (rest) {
        dropped = "everything";
        p = ngx_slprintf(p, last, "%s%s", p == names ? "" : ", ",
                         l->digesting ? "functions, enums or roles"
                                      : "as was told");
    }

    ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                  "softfactory upstream \"%V\": the schema has changed "
                  "(%*s), %s is dropped", &l->primary->name,
                  (size_t) (p - names), names, dropped);
}


static void
ngx_sf_listen_look_report(ngx_sf_listen_t *l)
{
    u_char                      *p, *last, names[NGX_MAX_ERROR_STR / 2];
    ngx_uint_t                   i;
    ngx_sf_set_t                 uncovered, lacking[NGX_SF_LACKS];
    const ngx_sf_listen_lack_t  *lack;

    last = names + sizeof(names);

    ngx_sf_listen_look_lacking(l, lacking);

    if (ngx_memcmp(l->reported, lacking, sizeof(lacking)) == 0) {
        return;
    }

    if (ngx_sf_zone_uncovered(l->zone, l->source, &uncovered) == 0) {
        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "softfactory upstream \"%V\": all tables have current "
                      "triggers", &l->primary->name);
    }

    for (i = 0; i < NGX_SF_LACKS; i++) {
        lack = &ngx_sf_listen_lacks[i];

        if (ngx_sf_set_count(&lacking[i]) == 0
            || ngx_memcmp(&lacking[i], &l->reported[i], sizeof(ngx_sf_set_t))
               == 0)
        {
            continue;
        }

        p = ngx_sf_listen_look_names(l, names, last, &lacking[i]);

        ngx_log_error(NGX_LOG_WARN, l->log, 0,
                      "softfactory upstream \"%V\": %s: %*s; responses from "
                      "them are cached for at most "
                      "softfactory_cache_incoherent_ttl%s",
                      &l->primary->name, lack->what, (size_t) (p - names),
                      names, lack->advice);
    }

    ngx_memcpy(l->reported, lacking, sizeof(lacking));
}


/* of what this configuration needs, by what it lacks; a table for its keys */

static void
ngx_sf_listen_look_lacking(ngx_sf_listen_t *l,
    ngx_sf_set_t lacking[NGX_SF_LACKS])
{
    ngx_uint_t            i, n;
    const u_char         *lacks;
    const ngx_sf_name_t  *names;

    ngx_memzero(lacking, NGX_SF_LACKS * sizeof(ngx_sf_set_t));

    names = l->zone->sh->directory.names;
    lacks = l->schema.lacks;

    for (i = 0; i < l->zone->sh->directory.n; i++) {
        if (!ngx_sf_set_has(&l->zone->needs, i)) {
            continue;
        }

        n = lacks[names[i].table] ? names[i].table : i;

        if (lacks[n]) {
            ngx_sf_set_add(&lacking[lacks[n] - 1], n);
        }
    }
}


/* anybody may speak there, and listen: it is for a time of change only */

static void
ngx_sf_listen_look_opened(ngx_sf_listen_t *l)
{
    u_char      *p, *last, names[NGX_MAX_ERROR_STR / 2];
    ngx_uint_t   open;

    open = l->open & ~(ngx_uint_t) NGX_SF_LISTEN_NAMELESS;

    if (open == l->told_open
        && ngx_memcmp(&l->schema.open, &l->told_tables, sizeof(ngx_sf_set_t))
           == 0)
    {
        return;
    }

    l->told_open = open;
    l->told_tables = l->schema.open;

    if (open == 0) {
        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "softfactory upstream \"%V\": nothing is told on the "
                      "open channel any more", &l->primary->name);
        return;
    }

    last = names + sizeof(names);
    p = ngx_sf_listen_look_names(l, names, last, &l->schema.open);

    if (open & NGX_SF_LISTEN_EVENTS) {
        p = ngx_slprintf(p, last, "%sevent triggers",
                         p == names ? "" : ", ");
    }

    ngx_log_error(NGX_LOG_WARN, l->log, 0,
                  "softfactory upstream \"%V\": changes are told on the open "
                  "channel, where every role may listen and speak: %*s; run "
                  "conf/postgresql/softfactory-tables.sql again, and "
                  "event-trigger.sql where it was", &l->primary->name,
                  (size_t) (p - names), names);
}


static u_char *
ngx_sf_listen_look_names(ngx_sf_listen_t *l, u_char *p, u_char *last,
    const ngx_sf_set_t *set)
{
    ngx_str_t   names[NGX_SF_NAMES];
    ngx_uint_t  i, n;

    n = ngx_sf_directory_list(l->zone, set, names);

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, last, "%s%V", i ? ", " : "", &names[i]);
    }

    return p;
}

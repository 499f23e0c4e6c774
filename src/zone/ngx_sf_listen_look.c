
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The look at the catalogue: of which tables are changes told, and is each
 * table still what it was?
 *
 * A table is covered when it and all its parts, partitions and children, have
 * the triggers, and when nothing writes past them.  What is not known to be
 * covered is not.
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
 * come to be covered are dropped: what was read while a change could go unseen
 * must not live on.
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
    NGX_SF_LISTEN_VERSIONS,
    NGX_SF_LISTEN_SCHEMA,       /* of the tables */
    NGX_SF_LISTEN_DIGESTS
} ngx_sf_listen_value_e;


typedef struct {
    const char                 *word;     /* in the result */
    const char                 *what;
    const char                 *advice;
} ngx_sf_listen_lack_t;


static void ngx_sf_listen_look_read(ngx_sf_listen_t *l, PGresult *res,
    ngx_sf_schema_t *found);
static void ngx_sf_listen_look_word(ngx_sf_listen_t *l, const char *word,
    ngx_uint_t bit, ngx_sf_schema_t *found);
static ngx_int_t ngx_sf_listen_look_row(const ngx_str_t *name);
static ngx_uint_t ngx_sf_listen_look_compare(const ngx_sf_schema_t *old,
    const ngx_sf_schema_t *found);
static void ngx_sf_listen_look_drop(ngx_sf_listen_t *l,
    const ngx_sf_schema_t *found, ngx_uint_t moved);
static void ngx_sf_listen_look_changed(ngx_sf_listen_t *l,
    ngx_uint_t moved);
static void ngx_sf_listen_look_report(ngx_sf_listen_t *l);
static void ngx_sf_listen_look_opened(ngx_sf_listen_t *l);
static u_char *ngx_sf_listen_look_names(u_char *p, u_char *last,
    ngx_uint_t mask);


static const ngx_sf_listen_lack_t  ngx_sf_listen_lacks[NGX_SF_LACKS] = {
    { "triggers", "tables without current triggers",
      "; see conf/postgresql/notify.sql" },
    { "subscription", "tables that a subscription writes to, which runs no "
      "triggers", "" },
    { "shape", "tables that are views or foreign, or parts of others", "" },
    { "channel", "tables whose triggers tell on a channel that cannot be "
      "read", "; see conf/postgresql/notify.sql" }
};


/*
 * $1 names, $2 versions, $3 schema, $4 whether digests are wanted; a row for
 * each table, and one without a name for the rest.  What is asked about a part
 * is a subquery of its own, so that it goes by an index whatever the planner
 * thinks of the number of parts: there are catalogues with a million rows.
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

#define NGX_SF_LISTEN_PARTS                                                   \
    "WITH RECURSIVE list (name, version, root) AS ("                          \
    " SELECT name, version, (SELECT c.oid FROM pg_catalog.pg_class c"         \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"               \
    " WHERE n.nspname = $3::text AND c.relname = name)"                       \
    " FROM ROWS FROM (pg_catalog.unnest($1::text[]),"                         \
    " pg_catalog.unnest($2::text[])) AS t (name, version)"                    \
    "), part (name, version, relid) AS ("                                     \
    " SELECT name, version, root FROM list WHERE root IS NOT NULL"            \
    " UNION SELECT name, version, inhrelid"                                   \
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

#define NGX_SF_LISTEN_TRIGGERS                                                \
    " (SELECT ARRAY[pg_catalog.count(*), pg_catalog.count(*) FILTER"          \
    " (WHERE NOT " NGX_SF_LISTEN_STAMPED "), pg_catalog.count(*) FILTER"      \
    " (WHERE " NGX_SF_LISTEN_STAMPED " AND NOT (" NGX_SF_LISTEN_MAY_TELL "))]"\
    " FROM pg_catalog.pg_trigger"                                             \
    " JOIN pg_catalog.pg_proc p ON p.oid = tgfoid"                            \
    " WHERE tgrelid = relid AND tgenabled = 'A'"                              \
    " AND tgname IN ('softfactory_notify_insert',"                            \
    " 'softfactory_notify_update', 'softfactory_notify_delete',"              \
    " 'softfactory_notify_truncate') AND tgargs = pg_catalog.convert_to("     \
    "version, 'UTF8') || pg_catalog.decode('00', 'hex'))"

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
    ", fact (name, relid, shaped, t, fed, x) AS ("
    " SELECT name, relid," NGX_SF_LISTEN_IS_SHAPED "," NGX_SF_LISTEN_TRIGGERS
    "," NGX_SF_LISTEN_IS_FED
    ", CASE WHEN $4::bool THEN " NGX_SF_LISTEN_OF_PART " END FROM part)"
    " SELECT '', CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_event_trigger"
    " JOIN pg_catalog.pg_proc p ON p.oid = evtfoid"
    " WHERE evtname = 'softfactory_schema_command'"
    " AND NOT " NGX_SF_LISTEN_STAMPED ") THEN 'open' ELSE '' END,"
    NGX_SF_LISTEN_DIGEST(NGX_SF_LISTEN_OF_ALL)
    " UNION ALL SELECT list.name,"
    " CASE WHEN pg_catalog.bool_or(shaped) THEN 'shape'"
    " WHEN coalesce(pg_catalog.bool_or(t[1] <> 4), true) THEN 'triggers'"
    " WHEN pg_catalog.bool_or(fed) THEN 'subscription'"
    " WHEN pg_catalog.bool_or(t[3] > 0) THEN 'channel'"
    " WHEN pg_catalog.bool_and(t[2] = 0) THEN 'covered'"
    " WHEN pg_catalog.bool_and(t[2] = 4) THEN 'open' ELSE 'both' END,"
    NGX_SF_LISTEN_DIGEST("coalesce(pg_catalog.string_agg(x, ',' ORDER BY"
                         " relid), '')")
    " FROM list LEFT JOIN fact ON fact.name = list.name GROUP BY list.name",
    NGX_SF_LISTEN_VALUES, 3, NULL, 0, 0, NULL, NULL
};


ngx_int_t
ngx_sf_listen_look_prepare(ngx_cycle_t *cycle, ngx_sf_listen_t *l)
{
    size_t       size;
    u_char      *names, *versions, *n, *v;
    ngx_uint_t   i, count;

    count = ngx_sf_table_count();
    size = sizeof("{}");

    for (i = 0; i < count; i++) {
        size += ngx_strlen(ngx_sf_tables[i].name) + 1;
    }

    names = ngx_pnalloc(cycle->pool, size);
    versions = ngx_pnalloc(cycle->pool, sizeof("{}") + count * 9);

    if (names == NULL || versions == NULL) {
        return NGX_ERROR;
    }

    n = names;
    v = versions;

    for (i = 0; i < count; i++) {
        n = ngx_sprintf(n, "%c%s", i ? ',' : '{', ngx_sf_tables[i].name);
        v = ngx_sprintf(v, "%c%08xD", i ? ',' : '{',
                        ngx_sf_table_version(i));
    }

    ngx_sprintf(n, "}%Z");
    ngx_sprintf(v, "}%Z");

    l->values[NGX_SF_LISTEN_NAMES] = (char *) names;
    l->values[NGX_SF_LISTEN_VERSIONS] = (char *) versions;
    l->values[NGX_SF_LISTEN_SCHEMA] = (char *) l->primary->schema.data;

    /* no worker has logged anything yet, not even that all is well */

    ngx_memset(l->reported, 0xff, sizeof(l->reported));

    return NGX_OK;
}


void
ngx_sf_listen_look_values(ngx_sf_listen_t *l)
{
    l->digesting = l->zone->look
                   && (l->told || l->state == NGX_SF_LISTEN_CHECKING
                       || (ngx_msec_int_t) (l->digest_at - ngx_current_msec)
                          <= 0);

    l->values[NGX_SF_LISTEN_DIGESTS] = l->digesting ? "t" : "f";
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
    ngx_memcpy(l->reported, l->schema.lacks, sizeof(l->reported));

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
        l->schema.covered = 0;
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
    ngx_uint_t       moved, known;
    ngx_sf_schema_t  found;

    l->step = NGX_SF_LISTEN_SAY;

    ngx_sf_listen_look_read(l, res, &found);

    moved = 0;
    known = 1;

    if (l->digesting) {
        moved = ngx_sf_listen_look_compare(&l->source->schema, &found);
        known = l->source->schema.digests[ngx_sf_table_count()][0] != '\0';

    } else {
        ngx_memcpy(found.digests, l->source->schema.digests,
                   sizeof(found.digests));

        if (l->asked & NGX_SF_LISTEN_SCHEMA_CAME) {
            moved = (ngx_uint_t) 1 << ngx_sf_table_count();
        }
    }

    ngx_sf_listen_look_drop(l, &found, moved);

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

    if (moved && known) {
        ngx_sf_listen_look_changed(l, moved);
    }

    ngx_sf_listen_look_report(l);
    ngx_sf_listen_look_opened(l);

    return NGX_OK;
}


/* rows for what is not known here are none of ours */

static void
ngx_sf_listen_look_read(ngx_sf_listen_t *l, PGresult *res,
    ngx_sf_schema_t *found)
{
    ngx_int_t   n;
    ngx_str_t   name, word, digest;
    ngx_uint_t  i;

    ngx_memzero(found, sizeof(ngx_sf_schema_t));

    l->open = l->names ? 0 : NGX_SF_LISTEN_NAMELESS;

    for (i = 0; i < ngx_sf_pg_result_rows(res); i++) {
        name = ngx_sf_pg_result_cell(res, i, 0);
        word = ngx_sf_pg_result_cell(res, i, 1);
        digest = ngx_sf_pg_result_cell(res, i, 2);

        n = ngx_sf_listen_look_row(&name);

        if (n == NGX_ERROR || word.data == NULL) {
            continue;
        }

        if (digest.len == NGX_SF_DIGEST_LEN) {
            ngx_memcpy(found->digests[n], digest.data, digest.len);
        }

        ngx_sf_listen_look_word(l, (char *) word.data, (ngx_uint_t) 1 << n,
                                found);
    }

    /* event triggers tell of no table */

    found->covered &= ((ngx_uint_t) 1 << ngx_sf_table_count()) - 1;
}


/* each kind of triggers is heard on a channel of its own */

static void
ngx_sf_listen_look_word(ngx_sf_listen_t *l, const char *word, ngx_uint_t bit,
    ngx_sf_schema_t *found)
{
    ngx_uint_t  lack, open, secret;

    open = ngx_strcmp(word, "open") == 0;
    secret = ngx_strcmp(word, "covered") == 0;

    if (ngx_strcmp(word, "both") == 0) {
        open = 1;
        secret = 1;
    }

    if (open) {
        l->open |= bit;
    }

    if (secret && l->names == 0) {
        word = "channel";

    } else if (secret || open) {
        found->covered |= open && !l->opened ? 0 : bit;
    }

    for (lack = 0; lack < NGX_SF_LACKS; lack++) {
        if (ngx_strcmp(word, ngx_sf_listen_lacks[lack].word) == 0) {
            found->lacks[lack] |= bit;
        }
    }
}


static ngx_int_t
ngx_sf_listen_look_row(const ngx_str_t *name)
{
    return name->len ? ngx_sf_table_find(name->data, name->len)
                     : (ngx_int_t) ngx_sf_table_count();
}


/* mask of the digests that have moved; what was not known may have been all */

static ngx_uint_t
ngx_sf_listen_look_compare(const ngx_sf_schema_t *old,
    const ngx_sf_schema_t *found)
{
    ngx_uint_t  i, moved;

    moved = 0;

    for (i = 0; i <= ngx_sf_table_count(); i++) {
        if (ngx_memcmp(old->digests[i], found->digests[i],
                       NGX_SF_DIGEST_LEN)
            != 0)
        {
            moved |= (ngx_uint_t) 1 << i;
        }
    }

    return moved;
}


static void
ngx_sf_listen_look_drop(ngx_sf_listen_t *l, const ngx_sf_schema_t *found,
    ngx_uint_t moved)
{
    ngx_uint_t  i, all, tables;

    all = moved & (ngx_uint_t) 1 << ngx_sf_table_count();
    tables = moved | (found->covered & ~l->schema.covered);

    if (moved) {
        (void) ngx_atomic_fetch_add(&l->source->era, 1);
    }

    if (all || l->state == NGX_SF_LISTEN_CHECKING
        || l->asked & NGX_SF_LISTEN_TRIGGERS_CAME)
    {
        ngx_sf_tags_move_all(l->zone, l->index);
        tables = 0;
    }

    for (i = 0; i < ngx_sf_table_count(); i++) {
        if (tables & (ngx_uint_t) 1 << i) {
            ngx_sf_tags_move_table(l->zone, l->index, i);
        }
    }
}


/*
 * Only the owner tells it.  One that has lost the place has moved counters,
 * which does no harm, and the next owner sees the same.
 */

static void
ngx_sf_listen_look_changed(ngx_sf_listen_t *l, ngx_uint_t moved)
{
    u_char      *p, *last, names[NGX_MAX_ERROR_STR / 2];
    const char  *dropped = "what was read from there";

    (void) ngx_atomic_fetch_add(&l->source->changes, 1);
    l->source->changed = moved;
    l->source->changed_at = ngx_time();

    last = names + sizeof(names);
    p = ngx_sf_listen_look_names(names, last, moved);

    if (moved & (ngx_uint_t) 1 << ngx_sf_table_count()) {
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
    ngx_uint_t                   i, mask;
    const ngx_sf_listen_lack_t  *lack;

    last = names + sizeof(names);

    if (ngx_memcmp(l->reported, l->schema.lacks, sizeof(l->reported)) == 0) {
        return;
    }

    if (ngx_sf_zone_uncovered(l->source) == 0) {
        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "softfactory upstream \"%V\": all tables have current "
                      "triggers", &l->primary->name);
    }

    for (i = 0; i < NGX_SF_LACKS; i++) {
        mask = l->schema.lacks[i];
        lack = &ngx_sf_listen_lacks[i];

        if (mask == 0 || mask == l->reported[i]) {
            continue;
        }

        p = ngx_sf_listen_look_names(names, last, mask);

        ngx_log_error(NGX_LOG_WARN, l->log, 0,
                      "softfactory upstream \"%V\": %s: %*s; responses from "
                      "them are cached for at most "
                      "softfactory_cache_incoherent_ttl%s",
                      &l->primary->name, lack->what, (size_t) (p - names),
                      names, lack->advice);
    }

    ngx_memcpy(l->reported, l->schema.lacks, sizeof(l->reported));
}


/* anybody may speak there, and listen: it is for a time of change only */

static void
ngx_sf_listen_look_opened(ngx_sf_listen_t *l)
{
    u_char      *p, *last, names[NGX_MAX_ERROR_STR / 2];
    ngx_uint_t   open;

    open = l->open & ~NGX_SF_LISTEN_NAMELESS;

    if (open == l->told_open) {
        return;
    }

    l->told_open = open;

    if (open == 0) {
        ngx_log_error(NGX_LOG_NOTICE, l->log, 0,
                      "softfactory upstream \"%V\": nothing is told on the "
                      "open channel any more", &l->primary->name);
        return;
    }

    last = names + sizeof(names);
    p = ngx_sf_listen_look_names(names, last, open);

    if (open & (ngx_uint_t) 1 << ngx_sf_table_count()) {
        p = ngx_slprintf(p, last, "%sevent triggers",
                         p == names ? "" : ", ");
    }

    ngx_log_error(NGX_LOG_WARN, l->log, 0,
                  "softfactory upstream \"%V\": changes are told on the open "
                  "channel, where every role may listen and speak: %*s; run "
                  "conf/postgresql/notify.sql again, and event-trigger.sql "
                  "where it was", &l->primary->name, (size_t) (p - names),
                  names);
}


static u_char *
ngx_sf_listen_look_names(u_char *p, u_char *last, ngx_uint_t mask)
{
    u_char      *start;
    ngx_uint_t   i;

    start = p;

    for (i = 0; i < ngx_sf_table_count(); i++) {
        if (mask & (ngx_uint_t) 1 << i) {
            p = ngx_slprintf(p, last, "%s%s", p == start ? "" : ", ",
                             ngx_sf_tables[i].name);
        }
    }

    return p;
}

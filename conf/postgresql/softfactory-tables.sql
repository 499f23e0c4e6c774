-- Has the tables of SoftFactory watched, with the keys and the columns that its
-- endpoints read: softfactory.sql beside this file says what that means, and
-- must be there, as it is included.
--
--     psql -X -v ON_ERROR_STOP=1 -f softfactory-tables.sql
--     psql -X -v ON_ERROR_STOP=1 -v tables=campaigns,users \
--         -f softfactory-tables.sql
--     psql -X -v ON_ERROR_STOP=1 -v role=app -f softfactory-tables.sql
--     psql -X -v ON_ERROR_STOP=1 -v check=1 -f softfactory-tables.sql
--
-- Each table of the list below that search_path finds gets its triggers by
-- softfactory.watch(), which adds to what is watched there already.  role= is
-- the module's role, which may then read the name of the channel.
--
-- tables=a,b leaves the others as they are.  The module works without the
-- triggers of a table, but caches what it reads there for a shorter time.
--
-- check=1 changes nothing, reports the state of each table and of the channel,
-- and fails if a table that exists (or is named by tables=), or the channel, is
-- not ok.
--
-- Safe to repeat, by the tables' owner or a superuser: triggers of the former
-- notify.sql are replaced without a gap, partitions that came since get theirs,
-- what is right is not even locked.  The owner needs CREATE on the database the
-- first time, for the schema.  One transaction: readers go on, writers wait
-- from when the triggers of their table are made until all are; among long
-- transactions take a table at a time (tables=).  softfactory-remove.sql undoes
-- it.
--
-- The parts between "generated" lines are made by t/tools/notify.c from
-- t/tools/ngx_sf_table.c; .ci/check-notify.sh update makes them anew.

\set QUIET on
\set ON_ERROR_STOP on
\set SHOW_CONTEXT never
\encoding UTF8
\pset tuples_only on
\pset format unaligned
\pset pager off

\if :{?tables}
\else
    \set tables ''
\endif

\if :{?role}
\else
    \set role ''
\endif

\if :{?check}
\else
    \set check off
\endif

\if :check
BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
\else
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
\endif

SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';


-- The list: a table, its key columns, and all columns that count.  After this
-- search_path, which finds the tables, is out of the game.

SELECT pg_catalog.json_agg(t) AS list
  FROM (SELECT v.*, pg_catalog.to_regclass(v.name)::pg_catalog.oid AS relid
          FROM (VALUES
-- generated: calls
    ('users',
     '{id}',
     '{id, is_active, created_at, name, email}'),
    ('products',
     '{}',
     '{id, slug}'),
    ('subscriptions',
     '{user_id}',
     '{id, user_id, product_id, status}'),
    ('payments',
     '{}',
     '{id, amount, status, created_at}'),
    ('campaigns',
     '{id, creator_id}',
     '{id, creator_id, title, product_name, category, reward_type, reward_value,
       max_reviewers, deadline, status, created_at, description}'),
    ('campaign_applications',
     '{campaign_id, user_id}',
     '{id, campaign_id, user_id, message, sns_link, follower_count, status,
       created_at}'),
    ('review_listings',
     '{id}',
     '{id, source_platform, external_id, title, brand, category, reward_type,
       reward_value, deadline, max_applicants, current_applicants, url,
       image_url, status, scraped_at}'),
    ('review_accounts',
     '{user_id}',
     '{id, user_id}'),
    ('review_applications',
     '{listing_id}',
     '{id, listing_id, account_id, applied_at, status}'),
    ('review_bookmarks',
     '{user_id}',
     '{id, user_id, listing_id, created_at}'),
    ('sns_accounts',
     '{user_id}',
     '{id, user_id, platform, account_name, is_active, created_at}'),
    ('sns_posts',
     '{user_id}',
     '{id, user_id, account_id, content, platform, status, template_type,
       scheduled_at, created_at}'),
    ('sns_analytics',
     '{user_id}',
     '{id, user_id, account_id, date, followers, total_engagement, total_reach,
       total_impressions}')
-- generated, end
               ) AS v (name, keys, columns)) t
\gset

SET LOCAL search_path = pg_catalog;


-- Of these, the tables that are meant.  A key has to be an integer, as the
-- module knows no other ones of these tables.

SELECT coalesce(json_agg(t ORDER BY t.n), '[]') AS list, :'list' AS known
  FROM (SELECT l.*, c.relnamespace, n.nspname, c.relowner,
               (SELECT string_agg(quote_ident(column_name), ', ')
                  FROM unnest(l.columns) AS column_name
                  LEFT JOIN pg_attribute a
                    ON a.attrelid = l.relid AND a.attname = column_name
                       AND NOT a.attisdropped
                       AND (column_name <> ALL (l.keys)
                            OR a.atttypid IN ('int2'::regtype,
                                   'int4'::regtype, 'int8'::regtype))
                 WHERE a.attnum IS NULL) AS lacks
          FROM ROWS FROM (json_to_recordset(:'list')
                            AS (name text, keys text[], columns text[],
                                relid oid))
                   WITH ORDINALITY
                   AS l (name, keys, columns, relid, n)
          LEFT JOIN pg_class c ON c.oid = l.relid
          LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE :'tables' = ''
            OR l.name = ANY (regexp_split_to_array(:'tables', ' *, *'))) t
\gset

SELECT format('DO %L', format('BEGIN RAISE USING MESSAGE = %L; END', message))
  FROM (SELECT 1, format('unknown table "%s"; known are %s', unknown,
                         (SELECT string_agg(name, ', ')
                            FROM json_to_recordset(:'known') AS l (name text)))
          FROM regexp_split_to_table(:'tables', ' *, *') AS unknown
         WHERE :'tables' <> ''
           AND unknown NOT IN (SELECT name
                                 FROM json_to_recordset(:'known')
                                   AS l (name text))
         UNION ALL
        SELECT 2, format('table %s does not exist', l.name)
          FROM json_to_recordset(:'list') AS l (name text, relid oid)
         WHERE l.relid IS NULL AND :'tables' <> '' AND NOT :'check'::boolean
         UNION ALL
        SELECT 3, 'none of the tables exists: is it another database, or'
                  ' another search_path?'
         WHERE NOT EXISTS (SELECT FROM json_to_recordset(:'list')
                                    AS l (relid oid) WHERE relid IS NOT NULL)
         UNION ALL
        SELECT 4, format('table %s has no column %s, or not of the type that'
                         ' is expected', l.relid::regclass, l.lacks)
          FROM json_to_recordset(:'list') AS l (relid oid, lacks text)
         WHERE l.relid IS NOT NULL AND l.lacks IS NOT NULL
           AND NOT :'check'::boolean
       ) AS wrong (rank, message)
 ORDER BY rank
 LIMIT 1
\gexec


\if :check
\else
-- Any role can take this lock.  Who has it is named, since only that helps.

DO $$
DECLARE
    holder  record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('softfactory notify'));
EXCEPTION WHEN lock_not_available THEN
    SELECT l.pid, a.usename, a.application_name
      INTO holder
      FROM pg_locks l
      JOIN pg_database d ON d.oid = l.database
      LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE d.datname = current_database() AND l.locktype = 'advisory'
       AND l.granted AND l.objsubid = 1
       AND (l.classid::bigint << 32 | l.objid::bigint)
           = hashtext('softfactory notify');

    RAISE EXCEPTION 'another session holds the lock of this file: pid %,'
                    ' role %, application "%"',
                    holder.pid, holder.usename, holder.application_name
    USING ERRCODE = 'lock_not_available',
          HINT = format('If it is not a run of this file that will end, a'
                        ' superuser, or one of its role, can end it: SELECT'
                        ' pg_terminate_backend(%s)', holder.pid);
END $$;


-- The channel.  Who owns it, or its schema, knows the name and could replace
-- the table by something else, so it is nobody but an owner of what it tells.

SELECT format('DO %L', format('BEGIN RAISE USING MESSAGE = %L; END',
           format('%s belongs to %s, who is no owner of the tables', what,
                  owner::regrole)))
  FROM (SELECT 'schema softfactory', nspowner FROM pg_namespace
         WHERE nspname = 'softfactory'
         UNION ALL
        SELECT 'table softfactory.channel', relowner
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'softfactory' AND c.relname = 'channel')
       AS made (what, owner)
 WHERE NOT EXISTS (SELECT FROM pg_roles r
                    WHERE r.oid = owner AND r.rolsuper)
   AND owner <> (SELECT datdba FROM pg_database
                  WHERE datname = current_database())
   AND owner <> current_user::regrole
   AND NOT EXISTS (SELECT FROM json_to_recordset(:'list')
                            AS l (relowner oid) WHERE relowner = owner)
 LIMIT 1
\gexec

-- The functions, unless they are those of this version.  A superuser has them
-- made anew by whom they belong to: they are about to run with his rights.

SELECT rolsuper AS super,
       coalesce((SELECT nspowner::regrole::text FROM pg_namespace
                  WHERE nspname = 'softfactory'), current_user) AS maker
  FROM pg_roles WHERE rolname = current_user
\gset

-- generated: stamp
\set stamp 'softfactory.sql 61826261'
-- generated, end

SELECT :'super'::boolean
       OR coalesce(to_regclass('softfactory.channel')::oid, 0) = 0
       OR obj_description(to_regprocedure('softfactory.watch(regclass, name[],'
                                          ' name[], bool)'), 'pg_proc')
          IS DISTINCT FROM :'stamp'
       AS unmade
\gset

\if :unmade
SELECT format('SET LOCAL ROLE %s', :'maker') WHERE :'super'::boolean
\gexec
\ir softfactory.sql
SELECT 'RESET ROLE' WHERE :'super'::boolean
\gexec
\endif

SELECT grants.text
  FROM (SELECT quote_ident(:'role') WHERE :'role' <> '') AS reader (name)
 CROSS JOIN LATERAL (
        SELECT format('GRANT USAGE ON SCHEMA softfactory TO %s', name)
         WHERE NOT has_schema_privilege(name::regrole, 'softfactory', 'USAGE')
         UNION ALL
        SELECT format('GRANT SELECT ON softfactory.channel TO %s', name)
         WHERE NOT has_table_privilege(name::regrole, 'softfactory.channel',
                                       'SELECT')) AS grants (text)
\gexec


-- A table after the other.

SELECT format('SELECT softfactory.watch(%L::regclass, %L::name[], %L::name[],'
              ' false) AS done', l.relid::regclass, l.keys, l.columns)
  FROM json_to_recordset(:'list') AS l (relid oid, keys text[],
           columns text[], n int)
 WHERE l.relid IS NOT NULL
 ORDER BY l.n
\o /dev/null
\gexec
\o

-- generated: farewell
NOTIFY softfactory, 'triggers';

SELECT format('DO %L', 'BEGIN PERFORM pg_notify(name, ''triggers'')'
              ' FROM softfactory.channel; END')
-- generated, end
\gexec

\endif


\if :check

-- The triggers: one for each table, partition and kind of statement.  There may
-- be more keys and columns than are asked for here.

WITH RECURSIVE list AS (
    SELECT *
      FROM json_to_recordset(:'list') AS l (name text, keys text[],
               columns text[], relid oid, relnamespace oid, relowner oid,
               lacks text, n int)
     WHERE relid IS NOT NULL

), member (name, relid) AS (
    SELECT name, relid FROM list
     UNION
    SELECT m.name, i.inhrelid
      FROM member m JOIN pg_inherits i ON i.inhparent = m.relid

), kind (event, tgtype, tgoldtable, tgnewtable) AS (
    VALUES ('insert',   4, NULL,       'changed'),
           ('update',  16, 'old_rows', 'new_rows'),
           ('delete',   8, 'changed',  NULL),
           ('truncate', 32, NULL,      NULL)

), found AS (
    SELECT l.name, m.relid::regclass::text AS relation, k.event, k.tgtype,
           CASE WHEN g.oid IS NULL
                THEN 'missing'
                WHEN p.oid IS NULL OR l.lacks IS NOT NULL
                     OR g.tgtype <> k.tgtype OR g.tgqual IS NOT NULL
                     OR g.tgoldtable IS DISTINCT FROM k.tgoldtable::name
                     OR g.tgnewtable IS DISTINCT FROM k.tgnewtable::name
                     OR NOT 'table ' || l.name = ANY (w.words)
                     OR EXISTS (SELECT FROM unnest(l.keys) AS key
                                 WHERE 'key ' || key <> ALL (w.words))
                     OR 'every column' <> ALL (w.words)
                        AND EXISTS (SELECT FROM unnest(l.columns) AS name
                                     WHERE 'column ' || name <> ALL (w.words))
                THEN 'outdated'
                WHEN g.tgenabled <> 'A'
                THEN 'disabled'
                WHEN NOT p.prosecdef OR p.proconfig IS DISTINCT FROM
                         ARRAY['search_path=pg_catalog, pg_temp']
                     OR p.proowner <> l.relowner
                     OR EXISTS (SELECT FROM aclexplode(coalesce(p.proacl,
                                           acldefault('f', p.proowner))) a
                                 WHERE a.grantee <> p.proowner)
                THEN 'unsafe'
                ELSE 'ok'
           END AS state
      FROM list l
      JOIN member m ON m.name = l.name
     CROSS JOIN kind k
      LEFT JOIN pg_trigger g
        ON g.tgrelid = m.relid AND NOT g.tgisinternal
           AND g.tgname = 'softfactory_notify_' || k.event
      LEFT JOIN pg_proc p
        ON p.oid = g.tgfoid AND p.pronamespace = l.relnamespace
           AND p.proname = 'softfactory_notify_' || l.name
           AND split_part(p.prosrc, e'\n', 1) = '-- softfactory channel '
               || left(md5(substr(p.prosrc,
                                  strpos(p.prosrc, e'\n') + 1)), 8)
           AND split_part(p.prosrc, e'\n', 2) = '-- ' || CASE
               WHEN g.tgnargs = 1 THEN replace(convert_from(
                   substring(g.tgargs FROM 1 FOR length(g.tgargs) - 1),
                   getdatabaseencoding()), e'\n', ', ') END
     CROSS JOIN LATERAL (
           SELECT coalesce(string_to_array(replace(encode(g.tgargs, 'escape'),
                                                   '\000', ''), e'\n'),
                           '{}')) AS w (words)
     ORDER BY l.n, m.relid, k.tgtype
)

SELECT coalesce(json_agg(f), '[]') AS triggers
  FROM found f
\gset

SELECT l.name || ': ' || CASE WHEN l.relid IS NULL THEN 'table does not exist'
                              ELSE coalesce(f.states, 'ok') END
  FROM json_to_recordset(:'list') AS l (name text, relid oid, n int)
  LEFT JOIN (
        SELECT name, string_agg(state || ' on ' || places, '; '
                                ORDER BY state) AS states
          FROM (SELECT name, state,
                       string_agg(format('%s (%s)', relation, events), ', '
                                  ORDER BY relation) AS places
                  FROM (SELECT name, state, relation,
                               string_agg(event, ' ' ORDER BY tgtype) AS events
                          FROM json_to_recordset(:'triggers')
                            AS f (name text, state text, relation text,
                                  event text, tgtype int)
                         WHERE state <> 'ok'
                         GROUP BY name, state, relation) r
                 GROUP BY name, state) s
         GROUP BY name) f ON f.name = l.name
 ORDER BY l.n;

-- The channel: whether it is there, and who may read it or write to it.  What
-- is in it, only who may see that can tell.

SELECT coalesce(c.oid IS NOT NULL
                AND has_schema_privilege(n.oid, 'USAGE')
                AND has_table_privilege(c.oid, 'SELECT'), false) AS readable,
       CASE WHEN c.oid IS NULL
            THEN 'missing'
            WHEN c.relkind <> 'r' OR EXISTS (
                     SELECT FROM aclexplode(coalesce(c.relacl,
                                      acldefault('r', c.relowner))) a
                      WHERE a.grantee <> c.relowner
                        AND (a.grantee = 0 OR a.privilege_type <> 'SELECT'))
            THEN 'unsafe'
            WHEN (SELECT string_agg(DISTINCT p.proowner::regrole::text, ', ')
                    FROM json_to_recordset(:'list') AS l (name text,
                             relnamespace oid)
                    JOIN pg_proc p
                      ON p.pronamespace = l.relnamespace AND p.pronargs = 0
                         AND p.proname = 'softfactory_notify_' || l.name
                   WHERE NOT has_schema_privilege(p.proowner, n.oid, 'USAGE')
                      OR NOT has_table_privilege(p.proowner, c.oid, 'SELECT'))
                 IS NOT NULL
            THEN 'not readable by the owner of a function'
            ELSE 'ok'
       END AS channel
  FROM (VALUES ('softfactory', 'channel')) AS v (nspname, relname)
  LEFT JOIN pg_namespace n ON n.nspname = v.nspname
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = v.relname
\gset

\if :readable
SELECT CASE WHEN :'channel' = 'ok' AND NOT EXISTS (
                     SELECT FROM softfactory.channel)
            THEN 'empty' ELSE :'channel' END AS channel
\gset
\endif

SELECT 'channel: ' || :'channel';

SELECT format('DO %L', 'BEGIN RAISE ''not all triggers are there''; END')
 WHERE EXISTS (SELECT FROM json_to_recordset(:'triggers') AS f (state text)
                WHERE state <> 'ok')
    OR :'tables' <> ''
       AND EXISTS (SELECT FROM json_to_recordset(:'list') AS l (relid oid)
                    WHERE relid IS NULL)
\gexec

SELECT format('DO %L', 'BEGIN RAISE ''the channel is not as it must be''; END')
 WHERE :'channel' <> 'ok'
\gexec

\endif

COMMIT;

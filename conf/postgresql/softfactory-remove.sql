-- Removes what softfactory-tables.sql has made, or the former notify.sql, of
-- all tables of SoftFactory or some:
--
--     psql -X -v ON_ERROR_STOP=1 -f softfactory-remove.sql
--     psql -X -v ON_ERROR_STOP=1 -v tables=campaigns,users \
--         -f softfactory-remove.sql
--
-- Safe to repeat, by the tables' owner or a superuser.  One transaction; it
-- waits for whoever reads or writes the tables, ten seconds for each.  The
-- module then keeps what it reads there for a shorter time.  When no table is
-- watched any more the channel goes, and with it what softfactory.sql has made,
-- and the schema if nothing else is in it.  SELECT softfactory.unwatch('t')
-- removes the triggers of another table.
--
-- The list between the "generated" lines is made by t/tools/notify.c from
-- t/tools/ngx_sf_table.c; .ci/check-notify.sh update makes it anew.

\set QUIET on
\set ON_ERROR_STOP on
\set SHOW_CONTEXT never
\encoding UTF8

\if :{?tables}
\else
    \set tables ''
\endif

BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';


-- The tables by search_path; the function of one that is gone, likewise.

SELECT pg_catalog.json_agg(t) AS list
  FROM (SELECT v.*, pg_catalog.to_regclass(v.name)::pg_catalog.oid AS relid,
               pg_catalog.to_regproc(pg_catalog.concat('softfactory_notify_',
                   v.name))::pg_catalog.oid AS visible
          FROM (VALUES
-- generated: names
    ('users'),
    ('products'),
    ('subscriptions'),
    ('payments'),
    ('campaigns'),
    ('campaign_applications'),
    ('review_listings'),
    ('review_accounts'),
    ('review_applications'),
    ('review_bookmarks'),
    ('sns_accounts'),
    ('sns_posts'),
    ('sns_analytics')
-- generated, end
               ) AS v (name)) t
\gset

SET LOCAL search_path = pg_catalog;

SELECT format('DO %L', format('BEGIN RAISE USING MESSAGE = %L; END',
           format('unknown table "%s"; known are %s', unknown,
                  (SELECT string_agg(name, ', ')
                     FROM json_to_recordset(:'list') AS l (name text)))))
  FROM regexp_split_to_table(:'tables', ' *, *') AS unknown
 WHERE :'tables' <> ''
   AND unknown NOT IN (SELECT name
                         FROM json_to_recordset(:'list') AS l (name text))
 LIMIT 1
\gexec

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


-- A partition that was detached since keeps its triggers: they are found by
-- the function that they call.

SELECT coalesce(json_agg(DISTINCT p.oid::text), '[]') AS functions
  FROM json_to_recordset(:'list') AS l (name text, relid oid, visible oid)
  LEFT JOIN pg_class c ON c.oid = l.relid
  JOIN pg_proc p
    ON p.proname = 'softfactory_notify_' || l.name AND p.pronargs = 0
       AND (p.pronamespace = c.relnamespace
            OR c.oid IS NULL AND p.oid = l.visible
            OR p.oid IN (SELECT tgfoid FROM pg_trigger
                          WHERE tgrelid = l.relid))
 WHERE :'tables' = ''
    OR l.name = ANY (regexp_split_to_array(:'tables', ' *, *'))
\gset

SELECT format('DROP TRIGGER %I ON %s', g.tgname, g.tgrelid::regclass)
  FROM pg_trigger g
  JOIN json_array_elements_text(:'functions') AS f ON f::oid = g.tgfoid
 WHERE NOT g.tgisinternal
 ORDER BY g.tgrelid
\gexec

SELECT format('DROP FUNCTION %s()', f::oid::regproc)
  FROM json_array_elements_text(:'functions') AS f
\gexec

-- generated: farewell
NOTIFY softfactory, 'triggers';

SELECT format('DO %L', 'BEGIN PERFORM pg_notify(name, ''triggers'')'
              ' FROM softfactory.channel; END')
-- generated, end
 WHERE EXISTS (SELECT FROM pg_class c
                 JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'softfactory' AND c.relname = 'channel'
                  AND has_schema_privilege(n.oid, 'USAGE')
                  AND has_table_privilege(c.oid, 'SELECT'))
\gexec


-- The channel, when no function is left that notifies on it.

SELECT NOT EXISTS (SELECT FROM pg_proc
                    WHERE proname LIKE 'softfactory\_%'
                      AND position('-- softfactory channel ' IN prosrc) > 0)
       AS last
\gset

SELECT 'DROP TABLE softfactory.channel'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'softfactory' AND c.relname = 'channel'
   AND pg_has_role(c.relowner, 'USAGE') AND :'last'::boolean
\gexec

SELECT format('DROP FUNCTION %s', p.oid::regprocedure)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'softfactory' AND p.prokind = 'f'
   AND pg_has_role(p.proowner, 'USAGE') AND :'last'::boolean
\gexec

SELECT 'DROP SCHEMA softfactory'
  FROM pg_namespace n
 WHERE nspname = 'softfactory' AND pg_has_role(nspowner, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.refclassid = 'pg_namespace'::regclass
                      AND d.refobjid = n.oid)
\gexec

COMMIT;

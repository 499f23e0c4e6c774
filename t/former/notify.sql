-- The triggers that tell the module what has changed.
--
--     psql -X -v ON_ERROR_STOP=1 -f notify.sql
--     psql -X -v ON_ERROR_STOP=1 -v tables=campaigns,users -f notify.sql
--     psql -X -v ON_ERROR_STOP=1 -v role=app -f notify.sql
--     psql -X -v ON_ERROR_STOP=1 -v check=1 -f notify.sql
--
-- Each table of the list below that search_path finds gets a function
-- softfactory_notify_TABLE, in the table's own schema, and four triggers that
-- run after a statement.  So do its partitions and children: a statement that
-- names one of them runs only the triggers of that one.  When the transaction
-- commits, each session that listens to the channel receives
--
--     campaigns id=5,6 creator_id=42
--
-- the table, and for each of its key columns the values that the changed rows
-- have and had, without NULL; * for more than a hundred of them, or when more
-- than a million rows (in an UPDATE, half as many) or by TRUNCATE all have
-- changed.  One for each statement; none when the statement has changed no
-- row, or in an UPDATE none of the columns that the module reads.
--
-- The name of the channel is a secret, as every role that knows the name of a
-- channel may listen to it and notify on it.  It is in the table
-- softfactory.channel, in a schema that is made for it, which the owners of the
-- tables may read, and the module's role, given by role=.  Where there is a
-- name, it stays.  To have another one, insert a row and later delete the old
-- one; the triggers notify on all names.  README.md beside this file has the
-- steps.
--
-- The functions run with the rights of the table's owner, with a search_path of
-- their own, belong to that owner, and can be called by no other role.  They
-- never make a statement fail because of the channel: they are silent when it
-- cannot be read or the server's notification queue is half full.  The
-- listener sees that, and does not rely on them then.
--
-- tables=a,b leaves the others as they are.  The module works without the
-- triggers of a table, but caches what it reads there for a shorter time.
--
-- check=1 changes nothing, reports the state of each table and of the channel,
-- and each column whose type the module does not accept, and fails if there is
-- one or a table that exists (or is named by tables=), or the channel, is not
-- ok.
--
-- Safe to repeat, by the tables' owner or a superuser: older triggers are
-- replaced, partitions that came since get theirs, what is right is not even
-- locked.  The owner needs CREATE on the database the first time, for the
-- schema.  One transaction: readers go on, writers wait from when the triggers
-- of their table are made until all are; among long transactions take a table
-- at a time (tables=).  notify-remove.sql undoes it.
--
-- What to know before:
--
--   * Commits that notify wait for each other, in the whole server: README.md
--     has the figures.  Where a table is written too often for that, leave it
--     out.
--   * A session that listens and does not end its transaction keeps the server
--     from forgetting what was sent.  When half of the queue's 8 GB have come
--     together the triggers fall silent; a transaction that had notified before
--     and commits when all of it is full still fails.  README.md says what to do
--     about such sessions.
--   * A transaction that has notified cannot be prepared for a commit in two
--     phases: PREPARE TRANSACTION says so.
--   * The apply worker of a logical subscription runs no such triggers; the
--     application's own session_replication_role = replica does.
--   * While a column that is named here is renamed or dropped, writes to its
--     table fail.  Remove the triggers first.
--   * A foreign table cannot have them, nor a table of which it is a part.
--   * A row that MERGE (not UPDATE) moves to another partition is not told of:
--     PostgreSQL 15 shows it to no trigger of a statement.
--
-- The parts between "generated" lines are made by t/tools/notify.c from
-- src/zone/ngx_sf_table.c; .ci/check-notify.sh update makes them anew.

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


-- The list: a table, the version of its row, the stamp of its function, its
-- key columns, all columns of which the function speaks, and a letter for each
-- of them, which says what the module reads it as.  After this
-- search_path, which finds the tables, is out of the game.

SELECT pg_catalog.json_agg(t) AS list
  FROM (SELECT v.*, pg_catalog.to_regclass(v.name)::pg_catalog.oid AS relid
          FROM (VALUES
-- generated: tables
    ('users', '9f5655e6', '3ab6cd3e',
     '{id}',
     '{id, is_active, created_at, name, email}',
     'nbtss'),
    ('products', 'aec90d72', '7aec0413',
     '{}',
     '{id, slug}',
     'ns'),
    ('subscriptions', 'e50ce0d7', '75ec8644',
     '{user_id}',
     '{id, user_id, product_id, status}',
     'nnns'),
    ('payments', 'fe973d60', '52de28ba',
     '{}',
     '{id, amount, status, created_at}',
     'nnst'),
    ('campaigns', 'ba82cacc', '1974074f',
     '{id, creator_id}',
     '{id, creator_id, title, product_name, category, reward_type, reward_value,
       max_reviewers, deadline, status, created_at, description}',
     'nnsssssntsts'),
    ('campaign_applications', 'c8bd57e8', 'c4806b08',
     '{campaign_id, user_id}',
     '{id, campaign_id, user_id, message, sns_link, follower_count, status,
       created_at}',
     'nnnssnst'),
    ('review_listings', '09ca2fa4', 'ae9ce7c5',
     '{id}',
     '{id, source_platform, external_id, title, brand, category, reward_type,
       reward_value, deadline, max_applicants, current_applicants, url,
       image_url, status, scraped_at}',
     'nssssssntnnssst'),
    ('review_accounts', '3a7d05b3', '69c32d9a',
     '{user_id}',
     '{id, user_id}',
     'nn'),
    ('review_applications', '0bfcbd64', '886671c6',
     '{listing_id}',
     '{id, listing_id, account_id, applied_at, status}',
     'nnnts'),
    ('review_bookmarks', '5f16d70d', '47db63de',
     '{user_id}',
     '{id, user_id, listing_id, created_at}',
     'nnnt'),
    ('sns_accounts', 'a8a5c5ff', '638898e4',
     '{user_id}',
     '{id, user_id, platform, account_name, is_active, created_at}',
     'nnssbt'),
    ('sns_posts', 'f2d1f168', '38071f98',
     '{user_id}',
     '{id, user_id, account_id, content, platform, status, template_type,
       scheduled_at, created_at}',
     'nnnsssstt'),
    ('sns_analytics', '7aa97a49', '4673d910',
     '{user_id}',
     '{id, user_id, account_id, date, followers, total_engagement, total_reach,
       total_impressions}',
     'nnntnnnn')
-- generated, end
               ) AS v (name, version, stamp, keys, columns, kinds)) t
\gset

SET LOCAL search_path = pg_catalog;


-- Of these, the tables that are meant.  A key has to be an integer, or its
-- values could make the text too long or ambiguous.

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
                            AS (name text, version text, stamp text,
                                keys text[], columns text[], kinds text,
                                relid oid))
                   WITH ORDINALITY
                   AS l (name, version, stamp, keys, columns, kinds, relid, n)
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


-- The functions.  Variables named as the tables hold the schemas of those
-- whose functions are not there or not as they should be.

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

SELECT CASE WHEN has_database_privilege(current_database(), 'CREATE')
            THEN 'CREATE SCHEMA softfactory'
            ELSE format('DO %L', 'BEGIN RAISE ''there is no schema softfactory,'
                 ' and this role may create none: CREATE SCHEMA softfactory'
                 ' AUTHORIZATION the owner of the tables''; END')
       END
 WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'softfactory')
\gexec

SELECT NOT EXISTS (SELECT FROM pg_class c
                     JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'softfactory'
                      AND c.relname = 'channel') AS unmade
\gset

\if :unmade
CREATE TABLE softfactory.channel (
    name   text PRIMARY KEY
           DEFAULT 'sf_' || replace(gen_random_uuid()::text, '-', '')
           CHECK (name ~ '^sf_[0-9a-f]{32}$'),
    since  timestamp with time zone NOT NULL DEFAULT now()
);
\endif

SELECT 'INSERT INTO softfactory.channel DEFAULT VALUES'
 WHERE NOT EXISTS (SELECT FROM softfactory.channel)
\gexec

SELECT grants.text
  FROM (SELECT DISTINCT relowner::regrole::text
          FROM json_to_recordset(:'list') AS l (relid oid, relowner oid)
         WHERE relid IS NOT NULL
         UNION
        SELECT quote_ident(:'role') WHERE :'role' <> '') AS reader (name)
 CROSS JOIN LATERAL (
        SELECT format('GRANT USAGE ON SCHEMA softfactory TO %s', name)
         WHERE NOT has_schema_privilege(name::regrole, 'softfactory', 'USAGE')
         UNION ALL
        SELECT format('GRANT SELECT ON softfactory.channel TO %s', name)
         WHERE NOT has_table_privilege(name::regrole, 'softfactory.channel',
                                       'SELECT')) AS grants (text)
\gexec


-- Who has changed something by an older function, and told it on the open
-- channel, has committed before the new functions are there: while one is old
-- the module listens to that channel, too.

SELECT format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE',
              g.tgrelid::regclass)
  FROM json_to_recordset(:'list') AS l (name text, relnamespace oid)
  JOIN pg_proc p ON p.pronamespace = l.relnamespace AND p.pronargs = 0
                    AND p.proname = 'softfactory_notify_' || l.name
                    AND position('-- softfactory channel ' IN p.prosrc) = 0
  JOIN pg_trigger g ON g.tgfoid = p.oid
 GROUP BY g.tgrelid
 ORDER BY g.tgrelid
\gexec
\endif

-- generated: variables
SELECT max(nspname) FILTER (WHERE name = 'users') AS users,
       max(nspname) FILTER (WHERE name = 'products') AS products,
       max(nspname) FILTER (WHERE name = 'subscriptions') AS subscriptions,
       max(nspname) FILTER (WHERE name = 'payments') AS payments,
       max(nspname) FILTER (WHERE name = 'campaigns') AS campaigns,
       max(nspname) FILTER (WHERE name = 'campaign_applications') AS campaign_applications,
       max(nspname) FILTER (WHERE name = 'review_listings') AS review_listings,
       max(nspname) FILTER (WHERE name = 'review_accounts') AS review_accounts,
       max(nspname) FILTER (WHERE name = 'review_applications') AS review_applications,
       max(nspname) FILTER (WHERE name = 'review_bookmarks') AS review_bookmarks,
       max(nspname) FILTER (WHERE name = 'sns_accounts') AS sns_accounts,
       max(nspname) FILTER (WHERE name = 'sns_posts') AS sns_posts,
       max(nspname) FILTER (WHERE name = 'sns_analytics') AS sns_analytics
-- generated, end
  FROM json_to_recordset(:'list') AS l (name text, stamp text, nspname text,
           relnamespace oid)
 WHERE NOT :'check'::boolean
   AND NOT EXISTS (SELECT FROM pg_proc p
                    WHERE p.proname = 'softfactory_notify_' || l.name
                      AND p.pronamespace = l.relnamespace
                      AND p.pronargs = 0
                      AND position(' channel ' || l.stamp IN p.prosrc) > 0
                      AND p.prosecdef AND p.proconfig
                          = ARRAY['search_path=pg_catalog, pg_temp'])
\gset

-- generated: functions
\if :{?users}
CREATE OR REPLACE FUNCTION :"users".softfactory_notify_users()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 3ab6cd3e
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'users id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.id)
                       FILTER (WHERE c.id IS NOT NULL) AS id
              INTO told
              FROM (SELECT k.id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.id),
                                                (n.id)) AS k (id)
                     WHERE ROW(o.id, o.is_active, o.created_at, o.name, o.email)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.is_active, n.created_at, n.name, n.email)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.id)
                       FILTER (WHERE c.id IS NOT NULL) AS id
              INTO told
              FROM (SELECT k.id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('users',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.id) OPERATOR(pg_catalog.>) 100
                 THEN ' id=*'
                 ELSE ' id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?products}
CREATE OR REPLACE FUNCTION :"products".softfactory_notify_products()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 7aec0413
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'products';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n
              INTO told
              FROM (SELECT
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     WHERE ROW(o.id, o.slug)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.slug)::pg_catalog.record
                     LIMIT 1) c;
        ELSE
            SELECT pg_catalog.count(*) AS n
              INTO told
              FROM (SELECT FROM changed k LIMIT 1) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('products');
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?subscriptions}
CREATE OR REPLACE FUNCTION :"subscriptions".softfactory_notify_subscriptions()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 75ec8644
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'subscriptions user_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.user_id),
                                                (n.user_id)) AS k (user_id)
                     WHERE ROW(o.id, o.user_id, o.product_id, o.status)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.user_id, n.product_id, n.status)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('subscriptions',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.user_id) OPERATOR(pg_catalog.>) 100
                 THEN ' user_id=*'
                 ELSE ' user_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.user_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?payments}
CREATE OR REPLACE FUNCTION :"payments".softfactory_notify_payments()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 52de28ba
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'payments';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n
              INTO told
              FROM (SELECT
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     WHERE ROW(o.id, o.amount, o.status, o.created_at)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.amount, n.status, n.created_at)::pg_catalog.record
                     LIMIT 1) c;
        ELSE
            SELECT pg_catalog.count(*) AS n
              INTO told
              FROM (SELECT FROM changed k LIMIT 1) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('payments');
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?campaigns}
CREATE OR REPLACE FUNCTION :"campaigns".softfactory_notify_campaigns()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 1974074f
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'campaigns id=* creator_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.id)
                       FILTER (WHERE c.id IS NOT NULL) AS id,
                   pg_catalog.array_agg(DISTINCT c.creator_id)
                       FILTER (WHERE c.creator_id IS NOT NULL) AS creator_id
              INTO told
              FROM (SELECT k.id, k.creator_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.id, o.creator_id),
                                                (n.id, n.creator_id)) AS k (id, creator_id)
                     WHERE ROW(o.id, o.creator_id, o.title, o.product_name,
                               o.category, o.reward_type, o.reward_value,
                               o.max_reviewers, o.deadline, o.status,
                               o.created_at, o.description)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.creator_id, n.title, n.product_name,
                               n.category, n.reward_type, n.reward_value,
                               n.max_reviewers, n.deadline, n.status,
                               n.created_at, n.description)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.id)
                       FILTER (WHERE c.id IS NOT NULL) AS id,
                   pg_catalog.array_agg(DISTINCT c.creator_id)
                       FILTER (WHERE c.creator_id IS NOT NULL) AS creator_id
              INTO told
              FROM (SELECT k.id, k.creator_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('campaigns',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.id) OPERATOR(pg_catalog.>) 100
                 THEN ' id=*'
                 ELSE ' id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.id, ',')
            END,
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.creator_id) OPERATOR(pg_catalog.>) 100
                 THEN ' creator_id=*'
                 ELSE ' creator_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.creator_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?campaign_applications}
CREATE OR REPLACE FUNCTION :"campaign_applications".softfactory_notify_campaign_applications()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel c4806b08
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'campaign_applications campaign_id=* user_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.campaign_id)
                       FILTER (WHERE c.campaign_id IS NOT NULL) AS campaign_id,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.campaign_id, k.user_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.campaign_id, o.user_id),
                                                (n.campaign_id, n.user_id)) AS k (campaign_id, user_id)
                     WHERE ROW(o.id, o.campaign_id, o.user_id, o.message,
                               o.sns_link, o.follower_count, o.status,
                               o.created_at)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.campaign_id, n.user_id, n.message,
                               n.sns_link, n.follower_count, n.status,
                               n.created_at)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.campaign_id)
                       FILTER (WHERE c.campaign_id IS NOT NULL) AS campaign_id,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.campaign_id, k.user_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('campaign_applications',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.campaign_id) OPERATOR(pg_catalog.>) 100
                 THEN ' campaign_id=*'
                 ELSE ' campaign_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.campaign_id, ',')
            END,
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.user_id) OPERATOR(pg_catalog.>) 100
                 THEN ' user_id=*'
                 ELSE ' user_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.user_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?review_listings}
CREATE OR REPLACE FUNCTION :"review_listings".softfactory_notify_review_listings()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel ae9ce7c5
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'review_listings id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.id)
                       FILTER (WHERE c.id IS NOT NULL) AS id
              INTO told
              FROM (SELECT k.id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.id),
                                                (n.id)) AS k (id)
                     WHERE ROW(o.id, o.source_platform, o.external_id, o.title,
                               o.brand, o.category, o.reward_type,
                               o.reward_value, o.deadline, o.max_applicants,
                               o.current_applicants, o.url, o.image_url,
                               o.status, o.scraped_at)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.source_platform, n.external_id, n.title,
                               n.brand, n.category, n.reward_type,
                               n.reward_value, n.deadline, n.max_applicants,
                               n.current_applicants, n.url, n.image_url,
                               n.status, n.scraped_at)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.id)
                       FILTER (WHERE c.id IS NOT NULL) AS id
              INTO told
              FROM (SELECT k.id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('review_listings',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.id) OPERATOR(pg_catalog.>) 100
                 THEN ' id=*'
                 ELSE ' id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?review_accounts}
CREATE OR REPLACE FUNCTION :"review_accounts".softfactory_notify_review_accounts()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 69c32d9a
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'review_accounts user_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.user_id),
                                                (n.user_id)) AS k (user_id)
                     WHERE ROW(o.id, o.user_id)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.user_id)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('review_accounts',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.user_id) OPERATOR(pg_catalog.>) 100
                 THEN ' user_id=*'
                 ELSE ' user_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.user_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?review_applications}
CREATE OR REPLACE FUNCTION :"review_applications".softfactory_notify_review_applications()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 886671c6
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'review_applications listing_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.listing_id)
                       FILTER (WHERE c.listing_id IS NOT NULL) AS listing_id
              INTO told
              FROM (SELECT k.listing_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.listing_id),
                                                (n.listing_id)) AS k (listing_id)
                     WHERE ROW(o.id, o.listing_id, o.account_id, o.applied_at,
                               o.status)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.listing_id, n.account_id, n.applied_at,
                               n.status)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.listing_id)
                       FILTER (WHERE c.listing_id IS NOT NULL) AS listing_id
              INTO told
              FROM (SELECT k.listing_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('review_applications',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.listing_id) OPERATOR(pg_catalog.>) 100
                 THEN ' listing_id=*'
                 ELSE ' listing_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.listing_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?review_bookmarks}
CREATE OR REPLACE FUNCTION :"review_bookmarks".softfactory_notify_review_bookmarks()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 47db63de
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'review_bookmarks user_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.user_id),
                                                (n.user_id)) AS k (user_id)
                     WHERE ROW(o.id, o.user_id, o.listing_id, o.created_at)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.user_id, n.listing_id, n.created_at)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('review_bookmarks',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.user_id) OPERATOR(pg_catalog.>) 100
                 THEN ' user_id=*'
                 ELSE ' user_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.user_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?sns_accounts}
CREATE OR REPLACE FUNCTION :"sns_accounts".softfactory_notify_sns_accounts()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 638898e4
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'sns_accounts user_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.user_id),
                                                (n.user_id)) AS k (user_id)
                     WHERE ROW(o.id, o.user_id, o.platform, o.account_name,
                               o.is_active, o.created_at)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.user_id, n.platform, n.account_name,
                               n.is_active, n.created_at)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('sns_accounts',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.user_id) OPERATOR(pg_catalog.>) 100
                 THEN ' user_id=*'
                 ELSE ' user_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.user_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?sns_posts}
CREATE OR REPLACE FUNCTION :"sns_posts".softfactory_notify_sns_posts()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 38071f98
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'sns_posts user_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.user_id),
                                                (n.user_id)) AS k (user_id)
                     WHERE ROW(o.id, o.user_id, o.account_id, o.content,
                               o.platform, o.status, o.template_type,
                               o.scheduled_at, o.created_at)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.user_id, n.account_id, n.content,
                               n.platform, n.status, n.template_type,
                               n.scheduled_at, n.created_at)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('sns_posts',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.user_id) OPERATOR(pg_catalog.>) 100
                 THEN ' user_id=*'
                 ELSE ' user_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.user_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif

\if :{?sns_analytics}
CREATE OR REPLACE FUNCTION :"sns_analytics".softfactory_notify_sns_analytics()
RETURNS pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 4673d910
DECLARE
    told pg_catalog.record;
    payload pg_catalog.text;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
        payload := 'sns_analytics user_id=*';
    ELSE
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id
                      FROM old_rows o
                      FULL JOIN new_rows n ON n.id OPERATOR(pg_catalog.=) o.id
                     CROSS JOIN LATERAL (VALUES (o.user_id),
                                                (n.user_id)) AS k (user_id)
                     WHERE ROW(o.id, o.user_id, o.account_id, o.date,
                               o.followers, o.total_engagement, o.total_reach,
                               o.total_impressions)::pg_catalog.record
                           OPERATOR(pg_catalog.*<>)
                           ROW(n.id, n.user_id, n.account_id, n.date,
                               n.followers, n.total_engagement, n.total_reach,
                               n.total_impressions)::pg_catalog.record
                     LIMIT 1000001) c;
        ELSE
            SELECT pg_catalog.count(*) AS n,
                   pg_catalog.array_agg(DISTINCT c.user_id)
                       FILTER (WHERE c.user_id IS NOT NULL) AS user_id
              INTO told
              FROM (SELECT k.user_id FROM changed k LIMIT 1000001) c;
        END IF;

        IF told.n OPERATOR(pg_catalog.=) 0 THEN
            RETURN NULL;
        END IF;

        payload := pg_catalog.concat('sns_analytics',
            CASE WHEN told.n OPERATOR(pg_catalog.>) 1000000
                      OR pg_catalog.cardinality(told.user_id) OPERATOR(pg_catalog.>) 100
                 THEN ' user_id=*'
                 ELSE ' user_id=' OPERATOR(pg_catalog.||)
                      pg_catalog.array_to_string(told.user_id, ',')
            END);
    END IF;

    BEGIN
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;

    RETURN NULL;
END
$$;
\endif
-- generated, end

-- A function belongs to the table's owner, and nobody else may attach it to a
-- table of his own, to tell what he likes.

\if :check
\else

SELECT format('ALTER FUNCTION %s() OWNER TO %s', p.oid::regproc,
              l.relowner::regrole)
  FROM json_to_recordset(:'list') AS l (name text, relnamespace oid,
           relowner oid)
  JOIN pg_proc p ON p.pronamespace = l.relnamespace AND p.pronargs = 0
                    AND p.proname = 'softfactory_notify_' || l.name
 WHERE p.proowner <> l.relowner
\gexec

SELECT DISTINCT format('REVOKE ALL ON FUNCTION %s() FROM %s CASCADE',
              p.oid::regproc, CASE a.grantee WHEN 0 THEN 'PUBLIC'
                              ELSE a.grantee::regrole::text END)
  FROM json_to_recordset(:'list') AS l (name text, relnamespace oid)
  JOIN pg_proc p ON p.pronamespace = l.relnamespace AND p.pronargs = 0
                    AND p.proname = 'softfactory_notify_' || l.name
 CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 WHERE a.grantee <> p.proowner
\gexec

\endif


-- The triggers: one for each table, partition and kind of statement.

WITH RECURSIVE list AS (
    SELECT *
      FROM json_to_recordset(:'list') AS l (name text, version text,
               stamp text, relid oid, relnamespace oid, relowner oid,
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
    SELECT l.name, l.version, m.relid::regclass::text AS relation, k.*,
           format('%s.softfactory_notify_%s',
                  l.relnamespace::regnamespace, l.name) AS function,
           CASE WHEN g.oid IS NULL
                THEN 'missing'
                WHEN p.oid IS NULL OR l.lacks IS NOT NULL
                     OR g.tgtype <> k.tgtype OR g.tgqual IS NOT NULL
                     OR g.tgoldtable IS DISTINCT FROM k.tgoldtable::name
                     OR g.tgnewtable IS DISTINCT FROM k.tgnewtable::name
                     OR encode(g.tgargs, 'escape') <> l.version || '\000'
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
           AND position(' channel ' || l.stamp IN p.prosrc) > 0
     ORDER BY l.n, m.relid, k.tgtype
)

SELECT coalesce(json_agg(f), '[]') AS triggers
  FROM found f
\gset


\if :check

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

-- The types of columns: a domain counts as what it is of, and what a database
-- has made itself is a string, unless it has parts.

WITH kind (letter, name, types) AS (
    VALUES
-- generated: types
    ('n', 'number', '{21,23,20,26,700,701,1700}'),
    ('b', 'boolean', '{16,21,23,20}'),
    ('s', 'string', '{21,23,20,26,700,701,1700,25,1043,1042,18,19,2950,
      650,869,829,774,790,1083,1266,1186,1082}'),
    ('t', 'timestamp', '{1082,1114,1184}'),
    ('d', 'date', '{1082}')
-- generated, end
), misfit AS (
    SELECT l.n, a.attnum,
           format('%s: column %s is of type %s, where a %s is expected',
                  l.name, a.attname, format_type(a.atttypid, a.atttypmod),
                  k.name) AS line
      FROM json_to_recordset(:'list') AS l (name text, relid oid,
               columns text[], kinds text, n int)
     CROSS JOIN LATERAL ROWS FROM (unnest(l.columns),
                                   regexp_split_to_table(l.kinds, ''))
                     AS c (name, letter)
      JOIN kind k ON k.letter = c.letter
      JOIN pg_attribute a ON a.attrelid = l.relid AND a.attname = c.name
                             AND NOT a.attisdropped
     CROSS JOIN LATERAL (
            WITH RECURSIVE base AS (
                SELECT t.oid, t.typtype, t.typcategory, t.typbasetype
                  FROM pg_type t WHERE t.oid = a.atttypid
                 UNION ALL
                SELECT t.oid, t.typtype, t.typcategory, t.typbasetype
                  FROM base b JOIN pg_type t ON t.oid = b.typbasetype
                 WHERE b.typtype = 'd'
            )
            SELECT * FROM base WHERE typtype <> 'd') b
     WHERE b.oid <> ALL (k.types::oid[])
       AND NOT (k.letter = 's' AND b.oid >= 16384 AND b.typtype IN ('b', 'e')
                AND b.typcategory <> 'A')
)
SELECT coalesce(json_agg(m ORDER BY m.n, m.attnum), '[]') AS misfits
  FROM misfit m
\gset

SELECT line FROM json_to_recordset(:'misfits') AS m (line text);

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

SELECT format('DO %L', 'BEGIN RAISE ''not all columns are of a type that the'
              ' module takes''; END')
 WHERE :'misfits' <> '[]'
\gexec

\else

SELECT format('CREATE OR REPLACE TRIGGER softfactory_notify_%s'
              ' AFTER %1$s ON %s %s FOR EACH STATEMENT'
              ' EXECUTE FUNCTION %s(%L)', event, relation,
              coalesce('REFERENCING'
                       || nullif(concat(' OLD TABLE AS ' || tgoldtable,
                                        ' NEW TABLE AS ' || tgnewtable), ''),
                       ''),
              function, version),
       format('ALTER TABLE ONLY %s ENABLE ALWAYS'
              ' TRIGGER softfactory_notify_%s', relation, event)
  FROM json_to_recordset(:'triggers') AS f (name text, version text,
           relation text, event text, tgoldtable text, tgnewtable text,
           function text, state text)
 WHERE state <> 'ok'
\gexec

-- generated: farewell
NOTIFY softfactory, 'triggers';

SELECT format('DO %L', 'BEGIN PERFORM pg_notify(name, ''triggers'')'
              ' FROM softfactory.channel; END')
-- generated, end
\gexec

\endif

COMMIT;

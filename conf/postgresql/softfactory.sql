-- What makes a database tell the module of changes, for any table.
--
--     psql -X -1 -v ON_ERROR_STOP=1 -f softfactory.sql
--
-- Safe to repeat, by whoever shall own the schema softfactory that it makes:
-- mostly the owner of the tables, who needs CREATE on the database for that.
-- Any other tool for migrations can run it too; it has nothing but SQL.  Then,
-- by a table's owner, once for each table:
--
--     SELECT softfactory.watch('products');
--     SELECT softfactory.watch('orders', keys => '{id, customer_id}',
--                              columns => '{id, customer_id, status, total}');
--
--   softfactory.watch(table, keys, columns, replace)
--       makes the four triggers of the table, its partitions and children that
--       run after a statement.  When the transaction commits, each session that
--       listens to the channel receives
--
--           orders id=5,6 customer_id=42
--
--       the table, and for each key column the values that the changed rows
--       have and had, without NULL.  Integers and uuids are told as text, texts
--       and enums as the first 16 digits of the md5 of their UTF-8, which have
--       neither blanks nor commas; other types are refused.  "*" stands for
--       more than a hundred values, or for TRUNCATE or more than a million
--       rows (in an UPDATE, half as many).  One for each statement; none when
--       it has changed no row, or in an UPDATE none of the columns.  Columns
--       NULL, the default, are all, also those that come later; keys and the
--       primary key always count.  What is watched already goes on being
--       watched, triggers of the former notify.sql included, unless replace =>
--       true.  What is right is not even locked.
--
--   softfactory.unwatch(table)
--       removes them; what is read from the table is then cached for a shorter
--       time.
--
--   softfactory.reads(sql)
--       which tables and columns a query reads, and the call that watches them.
--       A name like $id counts as NULL, and what is in [[ ]] is included.  What
--       a function reads is not seen.
--
--   softfactory.check()
--       a row for each watched table: its state, what it lacks, what to do.
--
-- The name of the channel is a secret, as every role that knows the name of a
-- channel may listen to it and notify on it.  It is in softfactory.channel,
-- which the owners of watched tables may read.  Let the module's role read it,
-- which should be no owner of tables:
--
--     GRANT USAGE ON SCHEMA softfactory TO app;
--     GRANT SELECT ON softfactory.channel TO app;
--
-- The triggers run with the rights of the table's owner, with a search_path of
-- their own, belong to that owner, and can be called by no other role.  They
-- never make a statement fail: they are silent when the channel cannot be read
-- or the server's notification queue is half full, which the listener sees;
-- and tell of all keys when a column is gone that they were made for.
--
-- What to know before:
--
--   * Commits that notify wait for each other, in the whole server: README.md
--     has the figures.  Where a table is written too often for that, leave it
--     out.
--   * A session that listens and does not end its transaction keeps the server
--     from forgetting what was sent.  When half of the queue's 8 GB have come
--     together the triggers fall silent; a transaction that had notified before
--     and commits when all of it is full still fails.
--   * A transaction that has notified cannot be prepared for a commit in two
--     phases: PREPARE TRANSACTION says so.
--   * The apply worker of a logical subscription runs no such triggers; the
--     application's own session_replication_role = replica does.
--   * A row that MERGE (not UPDATE) moves to another partition is not told of:
--     PostgreSQL 15 shows it to no trigger of a statement.
--   * Without a primary key, or another index by which rows are told apart, an
--     UPDATE sorts the rows that it touches, before and after, to compare them.


-- The schema and the channel.  Who owns them knows the name, and runs in the
-- sessions of those who call the functions: so it is nobody who is unknown.

DO $$
DECLARE
    made pg_catalog.record;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(
        pg_catalog.hashtext('softfactory notify'));

    FOR made IN
        SELECT 'schema softfactory' AS what, nspowner AS owner
          FROM pg_catalog.pg_namespace
         WHERE nspname OPERATOR(pg_catalog.=) 'softfactory'
         UNION ALL
        SELECT 'table softfactory.channel', relowner
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n
            ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
         WHERE n.nspname OPERATOR(pg_catalog.=) 'softfactory'
           AND c.relname OPERATOR(pg_catalog.=) 'channel'
    LOOP
        PERFORM FROM pg_catalog.pg_roles r
          WHERE r.oid OPERATOR(pg_catalog.=) made.owner
            AND (r.rolsuper
                 OR r.rolname OPERATOR(pg_catalog.=) current_user
                 OR EXISTS (SELECT FROM pg_catalog.pg_database d
                             WHERE d.datdba OPERATOR(pg_catalog.=) r.oid
                               AND d.datname OPERATOR(pg_catalog.=)
                                   pg_catalog.current_database()));

        IF NOT FOUND THEN
            RAISE '% belongs to %, and not to %', made.what,
                  made.owner::pg_catalog.regrole, current_user
            USING HINT = pg_catalog.format('Run this file as that role, if it'
                ' is the owner of the tables: SET ROLE %s',
                made.owner::pg_catalog.regrole);
        END IF;
    END LOOP;

    IF made IS NULL THEN
        IF NOT pg_catalog.has_database_privilege(
                   pg_catalog.current_database(), 'CREATE')
        THEN
            RAISE 'there is no schema softfactory, and this role may create'
                  ' none: CREATE SCHEMA softfactory AUTHORIZATION the owner of'
                  ' the tables';
        END IF;

        CREATE SCHEMA softfactory;
    END IF;

    IF pg_catalog.to_regclass('softfactory.channel') IS NULL THEN
        CREATE TABLE softfactory.channel (
            name   pg_catalog.text PRIMARY KEY
                   DEFAULT pg_catalog.concat('sf_', pg_catalog.replace(
                       pg_catalog.gen_random_uuid()::pg_catalog.text, '-', ''))
                   CHECK (name OPERATOR(pg_catalog.~) '^sf_[0-9a-f]{32}$'),
            since  pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()
        );
    END IF;

    IF NOT EXISTS (SELECT FROM softfactory.channel) THEN
        INSERT INTO softfactory.channel DEFAULT VALUES;
    END IF;
END
$$;


-- A table, its partitions and children, and theirs.

CREATE OR REPLACE FUNCTION softfactory.parts(relation pg_catalog.oid)
RETURNS SETOF pg_catalog.oid LANGUAGE plpgsql STABLE ROWS 2
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE part (relid) AS (
        SELECT relation
         UNION
        SELECT i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = relid
    )
    SELECT relid FROM part;
END
$$;


-- The triggers of a part that are ours: what they are called, what they tell.
-- Words stand in their argument, as softfactory.words() makes them; those of
-- the former notify.sql have a number instead, and what they tell stands in the
-- text of their function.

CREATE OR REPLACE FUNCTION softfactory.told(relation pg_catalog.oid,
    OUT event pg_catalog.text, OUT function pg_catalog.oid,
    OUT words pg_catalog.text[], OUT former pg_catalog.bool)
RETURNS SETOF pg_catalog.record LANGUAGE plpgsql STABLE ROWS 4
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT substr(g.tgname, 20), p.oid,
           CASE WHEN old THEN l.words
                ELSE string_to_array(convert_from(
                         substring(g.tgargs FROM 1 FOR length(g.tgargs) - 1),
                         getdatabaseencoding()), e'\n')
           END, old
      FROM pg_trigger g
      JOIN pg_proc p ON p.oid = g.tgfoid
     CROSS JOIN LATERAL (
            SELECT g.tgnargs <> 1 OR encode(g.tgargs, 'escape') !~ '^table '
           ) AS o (old)
     CROSS JOIN LATERAL (
            SELECT ARRAY(SELECT 'key ' || key[1]
                           FROM regexp_matches((regexp_match(p.prosrc,
                                    'payload := ''\w+((?: \w+=\*)*)'';'))[1],
                                    '(\w+)=', 'g') AS key
                          WHERE key IS NOT NULL)
                   || ARRAY(SELECT 'column ' || "column"[1]
                              FROM regexp_matches(p.prosrc,
                                       '\mROW\(([^()]*)\)', 'g') AS list,
                                   regexp_matches(list[1], '\mo\.(\w+)', 'g')
                                       AS "column")
           ) AS l (words)
     WHERE g.tgrelid = relation AND NOT g.tgisinternal
       AND g.tgname IN ('softfactory_notify_insert',
                        'softfactory_notify_update',
                        'softfactory_notify_delete',
                        'softfactory_notify_truncate')
       AND p.proname LIKE 'softfactory\_notify\_%' AND p.pronargs = 0;
END
$$;


-- The columns by which two rows of a table are known to be one before and after
-- an UPDATE: those of an index, of types that PostgreSQL compares by operators
-- of its own.  Not among children, of which each has an index of its own.

CREATE OR REPLACE FUNCTION softfactory.identity(relation pg_catalog.oid)
RETURNS pg_catalog.name[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT array_agg(a.attname ORDER BY k.n)
          FROM pg_index i
          JOIN pg_class c ON c.oid = i.indrelid
         CROSS JOIN unnest(i.indkey::int2[], i.indclass::oid[])
                    WITH ORDINALITY AS k (attnum, class, n)
          JOIN pg_attribute a
            ON a.attrelid = relation AND a.attnum = k.attnum
          JOIN pg_type t ON t.oid = a.atttypid
          JOIN pg_opclass o ON o.oid = k.class
          LEFT JOIN pg_collation l ON l.oid = a.attcollation
         WHERE i.indrelid = relation AND i.indisunique AND i.indimmediate
           AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
           AND (c.relkind = 'p'
                OR NOT EXISTS (SELECT FROM pg_inherits h
                                WHERE h.inhparent = relation))
           AND k.n <= i.indnkeyatts
         GROUP BY i.indexrelid, i.indisprimary, i.indnkeyatts
        HAVING bool_and(a.attnotnull AND a.attgenerated IN ('', 's')
                        AND o.opcnamespace = 'pg_catalog'::regnamespace
                        AND coalesce(l.collisdeterministic, true)
                        AND (t.typtype = 'e'
                             OR CASE t.typtype WHEN 'd' THEN t.typbasetype
                                               ELSE t.oid END
                                = ANY ('{int2,int4,int8,uuid,text,varchar,
                                         bpchar,numeric,date,time,timestamp,
                                         timestamptz,oid,name,bytea,bool}'
                                       ::regtype[])))
         ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
         LIMIT 1
    );
END
$$;


-- The kind of a key: an integer or uuid, which is told itself, a text or enum,
-- of which a digest is; NULL, it cannot be a key.  A domain counts as what it
-- is of.

CREATE OR REPLACE FUNCTION softfactory.kind(relation pg_catalog.oid,
    key pg_catalog.name)
RETURNS pg_catalog.text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        WITH RECURSIVE base AS (
            SELECT t.oid, t.typtype, t.typbasetype
              FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             WHERE a.attrelid = relation AND a.attname = key AND a.attnum > 0
               AND NOT a.attisdropped
             UNION ALL
            SELECT t.oid, t.typtype, t.typbasetype
              FROM base b JOIN pg_type t ON t.oid = b.typbasetype
             WHERE b.typtype = 'd'
        )
        SELECT CASE WHEN oid = ANY ('{int2,int4,int8,uuid}'::regtype[])
                    THEN (SELECT t.typname::text FROM pg_type t
                           WHERE t.oid = base.oid)
                    WHEN oid = ANY ('{text,varchar}'::regtype[]) THEN 'text'
                    WHEN typtype = 'e' THEN 'enum'
               END
          FROM base WHERE typtype <> 'd'
    );
END
$$;


-- Names in the order in which they come first.

CREATE OR REPLACE FUNCTION softfactory.united(a pg_catalog.name[],
    b pg_catalog.name[])
RETURNS pg_catalog.name[] LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT coalesce(array_agg(name ORDER BY n), '{}')
          FROM (SELECT name, min(n)
                  FROM unnest(a || b) WITH ORDINALITY AS l (name, n)
                 GROUP BY name) AS u (name, n)
    );
END
$$;


-- The columns that count, NULL for all.  A row in which one is computed when it
-- is read cannot be compared as a whole: there all are named, and one that
-- comes later does not count until watch() is called again.

CREATE OR REPLACE FUNCTION softfactory.counted(relation pg_catalog.oid,
    columns pg_catalog.name[])
RETURNS pg_catalog.name[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF columns IS NULL THEN
        columns := (SELECT array_agg(attname ORDER BY attnum)
                        FILTER (WHERE attname !~ '[[:cntrl:]\\]')
                      FROM pg_attribute
                     WHERE attrelid = relation AND attnum > 0
                       AND NOT attisdropped
                    HAVING bool_or(attgenerated NOT IN ('', 's')));
    END IF;

    RETURN columns;
END
$$;


-- What triggers tell: table, keys, and the columns that count, or that all do.
-- It is a line each of their only argument.

CREATE OR REPLACE FUNCTION softfactory.words(relation pg_catalog.oid,
    keys pg_catalog.name[], columns pg_catalog.name[])
RETURNS pg_catalog.text[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT ARRAY['table ' || relname]
               || ARRAY(SELECT 'key ' || key FROM unnest(keys) AS key)
               || CASE WHEN columns IS NULL THEN ARRAY['every column']
                       ELSE ARRAY(SELECT 'column ' || name
                                    FROM unnest(softfactory.united(
                                             softfactory.identity(relation)
                                             || keys, columns)) AS name)
                  END
          FROM pg_class WHERE oid = relation
    );
END
$$;


-- Those of one kind, keys or columns, that the table still has.

CREATE OR REPLACE FUNCTION softfactory.named(words pg_catalog.text[],
    kind pg_catalog.text, relation pg_catalog.oid DEFAULT NULL)
RETURNS pg_catalog.name[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT coalesce(array_agg(l.name ORDER BY l.n), '{}')
          FROM (SELECT substr(word, length(kind) + 2)::name, min(n)
                  FROM unnest(words) WITH ORDINALITY AS w (word, n)
                 WHERE starts_with(word, kind || ' ')
                 GROUP BY word) AS l (name, n)
         WHERE relation IS NULL
            OR EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = relation AND a.attname = l.name
                          AND a.attnum > 0 AND NOT a.attisdropped)
    );
END
$$;


-- All that the triggers of a table tell.

CREATE OR REPLACE FUNCTION softfactory.known(relation pg_catalog.oid)
RETURNS pg_catalog.text[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT array_agg(word ORDER BY f.event, n)
          FROM softfactory.told(relation) AS f
         CROSS JOIN unnest(f.words) WITH ORDINALITY AS w (word, n)
    );
END
$$;


-- That argument as the catalogue has it.

CREATE OR REPLACE FUNCTION softfactory.argument(words pg_catalog.text[])
RETURNS pg_catalog.bytea LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT convert_to(array_to_string(words, e'\n'), getdatabaseencoding())
               || '\x00'::bytea
    );
END
$$;


-- The function's name: as long as it may be, that of the table is in it.

CREATE OR REPLACE FUNCTION softfactory.called(name pg_catalog.name)
RETURNS pg_catalog.text LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT 'softfactory_notify_'
               || CASE WHEN octet_length(name::text) > 44 THEN md5(name::text)
                       ELSE name::text END
    );
END
$$;


-- Names of columns, each of the same row.

CREATE OR REPLACE FUNCTION softfactory.listed(names pg_catalog.name[],
    prefix pg_catalog.text)
RETURNS pg_catalog.text LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT coalesce(string_agg(prefix || quote_ident(name), ', '
                                   ORDER BY n), '')
          FROM unnest(names) WITH ORDINALITY AS l (name, n)
    );
END
$$;


-- The columns that are compared for others: one that is computed when it is
-- read counts by those that it is made of.

CREATE OR REPLACE FUNCTION softfactory.stored(relation pg_catalog.oid,
    columns pg_catalog.name[])
RETURNS pg_catalog.name[] LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN (
        SELECT array_agg(name ORDER BY n)
          FROM (SELECT b.name, min(l.n) AS n
                  FROM unnest(columns) WITH ORDINALITY AS l (name, n)
                  JOIN pg_attribute a
                    ON a.attrelid = relation AND a.attname = l.name
                 CROSS JOIN LATERAL (
                       SELECT a.attname
                        WHERE a.attgenerated IN ('', 's')
                        UNION ALL
                       SELECT s.attname
                         FROM pg_attrdef f
                         JOIN pg_depend d
                           ON d.classid = 'pg_attrdef'::regclass
                              AND d.objid = f.oid
                              AND d.refclassid = 'pg_class'::regclass
                              AND d.refobjid = relation
                         JOIN pg_attribute s
                           ON s.attrelid = relation AND s.attnum = d.refobjsubid
                        WHERE a.attgenerated NOT IN ('', 's')
                          AND f.adrelid = relation AND f.adnum = a.attnum
                          AND s.attnum <> a.attnum) AS b (name)
                 GROUP BY b.name) AS c
    );
END
$$;


-- The text of the function of a table.  It has to be read with four things in
-- mind.  It runs in the session that writes, with the rights of the table's
-- owner, which may read the channel's name: so its search_path is fixed, every
-- name and operator has its schema all the same, no cast is looked up that
-- somebody may have made, and rows are compared by *<> rather than by IS
-- DISTINCT FROM, which would look for an operator "=".  It runs at each
-- statement of the application: so one pass over the rows gives everything, and
-- ends where the values would fill the memory.  It must not make that statement
-- fail: what goes wrong is told as a change of everything in the table, and
-- what can go wrong with the channel is nobody's business but the listener's,
-- which looks at it.  And the names that it gives must not meet those of the
-- table's columns.
--
-- The triggers of INSERT and DELETE give their only transition table the name
-- "changed", so that one statement will do for both.  Rows without an identity
-- are compared as two bags: those of which there are as many before as after
-- have not changed.
--
-- The channel is locked until the transaction ends, also where the queue is too
-- full: so the listener knows whom to wait for.
CREATE OR REPLACE FUNCTION softfactory.body(relation pg_catalog.oid,
    keys pg_catalog.name[], columns pg_catalog.name[],
    words pg_catalog.text[])
RETURNS pg_catalog.text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $_$
DECLARE
    title CONSTANT text := (SELECT relname FROM pg_class WHERE oid = relation);
    identity CONSTANT name[] := softfactory.identity(relation);
    counted CONSTANT name[] := softfactory.stored(relation,
                                                  identity || keys || columns);
    before CONSTANT text := CASE WHEN columns IS NULL THEN 'o.*'
                                 ELSE softfactory.listed(counted, 'o.') END;
    after CONSTANT text := CASE WHEN columns IS NULL THEN 'n.*'
                                ELSE softfactory.listed(counted, 'n.') END;
    most CONSTANT text := CASE WHEN keys = '{}' THEN '1' ELSE '1000001' END;
    longest int := octet_length(title);
    starred text := title;
    payload text := quote_literal(title);
    gather text := 'pg_catalog.count(*)';
    into_names text := 'told';
    variables text := '';
    changed text := '';
    numbered name[] := ARRAY(SELECT 'k' || n
                               FROM generate_subscripts(keys, 1) AS n);
    updated text;
    moved text := '';
    key record;
    spelt text;
    comma text;
    body text;
BEGIN
    FOR key IN
        SELECT k.name, k.n, softfactory.kind(relation, k.name) AS kind
          FROM unnest(keys) WITH ORDINALITY AS k (name, n)
         ORDER BY k.n
    LOOP
        starred := starred || format(' %s=*', key.name);
        longest := longest + octet_length(key.name::text) + 2
                   + 101 * CASE key.kind WHEN 'uuid' THEN 37
                                WHEN 'text' THEN 17 WHEN 'enum' THEN 17
                                ELSE 21 END;

        variables := variables || format(E'\n    told%s pg_catalog.%s[];',
            key.n, CASE key.kind WHEN 'enum' THEN 'text' ELSE key.kind END);
        into_names := into_names || format(', told%s', key.n);

        gather := gather || format($$,
                       pg_catalog.array_agg(DISTINCT c.k%1$s)
                           FILTER (WHERE c.k%1$s IS NOT NULL)$$, key.n);

        payload := payload || format($$,
                CASE WHEN told OPERATOR(pg_catalog.>) 1000000
                          OR pg_catalog.cardinality(told%1$s)
                             OPERATOR(pg_catalog.>) 100
                     THEN %2$L
                     ELSE %3$L OPERATOR(pg_catalog.||)
                          pg_catalog.array_to_string(told%1$s, ',')
                END$$, key.n, format(' %s=*', key.name),
            format(' %s=', key.name));

        spelt := CASE key.kind
            WHEN 'text' THEN 'pg_catalog.left(pg_catalog.md5('
                'pg_catalog.convert_to(%1$s::pg_catalog.text, ''UTF8'')), 16)'
                ' COLLATE pg_catalog."C"'
            WHEN 'enum' THEN 'CASE WHEN %1$s IS NOT NULL THEN pg_catalog.left('
                'pg_catalog.md5(pg_catalog.convert_to(pg_catalog.concat('
                '%1$s), ''UTF8'')), 16) END COLLATE pg_catalog."C"'
            ELSE '%1$s'
            END || ' AS k%2$s';

        comma := CASE key.n WHEN 1 THEN ' ' ELSE ', ' END;
        changed := changed || comma
                   || format(spelt, format('k.%I', key.name), key.n);
        moved := moved || comma || format(spelt, 'k.k' || key.n, key.n);
    END LOOP;

    IF identity IS NULL THEN
        updated := format($$(
                        SELECT b.*, pg_catalog.sum(b.side) OVER (
                                   ORDER BY b.image
                                   USING OPERATOR(pg_catalog.*<)
                                   RANGE BETWEEN CURRENT ROW
                                         AND CURRENT ROW) AS surplus
                          FROM (SELECT ROW(%1$s)::pg_catalog.record,
                                       1%3$s
                                  FROM old_rows o
                                 UNION ALL
                                SELECT ROW(%2$s)::pg_catalog.record,
                                       -1%4$s
                                  FROM new_rows n) AS b (image, side%5$s)) k
                         WHERE k.surplus OPERATOR(pg_catalog.<>) 0$$,
            before, after,
            ', ' || nullif(softfactory.listed(keys, 'o.'), ''),
            ', ' || nullif(softfactory.listed(keys, 'n.'), ''),
            ', ' || nullif(softfactory.listed(numbered, ''), ''));
    ELSE
        updated := format($$old_rows o
                          FULL JOIN new_rows n ON %1$s%2$s
                         WHERE ROW(%3$s)::pg_catalog.record
                               OPERATOR(pg_catalog.*<>)
                               ROW(%4$s)::pg_catalog.record$$,
            (SELECT string_agg(format('n.%1$I OPERATOR(pg_catalog.=) o.%1$I',
                                      i.name), ' AND ' ORDER BY i.n)
               FROM unnest(identity) WITH ORDINALITY AS i (name, n)),
            CASE WHEN keys <> '{}' THEN format($$
                         CROSS JOIN LATERAL (VALUES (%1$s),
                                                    (%2$s)) AS k (%3$s)$$,
                softfactory.listed(keys, 'o.'), softfactory.listed(keys, 'n.'),
                softfactory.listed(numbered, '')) END,
            before, after);
    END IF;

    body := '-- ' || array_to_string(words, ', ')
            || format($$
DECLARE
    payload pg_catalog.text;
    told pg_catalog.int8;%8$s
BEGIN
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN
            payload := %1$L;
        ELSE
            IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
                SELECT %2$s
                  INTO %9$s
                  FROM (SELECT%7$s
                          FROM %4$s
                         LIMIT %5$s) c;
            ELSE
                SELECT %2$s
                  INTO %9$s
                  FROM (SELECT%3$s FROM changed k LIMIT %5$s) c;
            END IF;

            IF told OPERATOR(pg_catalog.=) 0 THEN
                RETURN NULL;
            END IF;

            payload := pg_catalog.concat(%10$s);
        END IF;
%6$s
        PERFORM pg_catalog.pg_notify(c.name, payload)
           FROM softfactory.channel c
          WHERE pg_catalog.pg_notification_queue_usage()
                OPERATOR(pg_catalog.<) 0.5;
    EXCEPTION WHEN OTHERS THEN
        BEGIN
            PERFORM pg_catalog.pg_notify(c.name, %1$L)
               FROM softfactory.channel c
              WHERE pg_catalog.pg_notification_queue_usage()
                    OPERATOR(pg_catalog.<) 0.5;
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END;

    RETURN NULL;
END
$$,
        starred, gather, changed, updated, most,
        CASE WHEN longest >= 8000 THEN format($$
        IF pg_catalog.octet_length(payload) OPERATOR(pg_catalog.>) 7999 THEN
            payload := %L;
        END IF;
$$, starred) END, moved, variables, into_names, payload);

    RETURN format(E'-- softfactory channel %s\n%s', left(md5(body), 8), body);
END
$_$;


-- What there should be, and what there is: a row for each part and kind of
-- statement.

CREATE OR REPLACE FUNCTION softfactory.triggers(relation pg_catalog.oid,
    words pg_catalog.text[], body pg_catalog.text,
    OUT part pg_catalog.regclass, OUT event pg_catalog.text,
    OUT tables pg_catalog.text, OUT state pg_catalog.text)
RETURNS SETOF pg_catalog.record LANGUAGE plpgsql STABLE ROWS 8
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT m.relid::regclass, k.event,
           coalesce('REFERENCING'
                    || nullif(concat(' OLD TABLE AS ' || k.oldtable,
                                     ' NEW TABLE AS ' || k.newtable), ''), ''),
           CASE WHEN g.oid IS NULL
                THEN 'missing'
                WHEN p.oid IS NULL
                     OR g.tgtype <> k.tgtype OR g.tgqual IS NOT NULL
                     OR g.tgoldtable IS DISTINCT FROM k.oldtable::name
                     OR g.tgnewtable IS DISTINCT FROM k.newtable::name
                     OR g.tgargs <> w.argument
                THEN 'outdated'
                WHEN g.tgenabled <> 'A'
                THEN 'disabled'
                WHEN NOT p.prosecdef OR p.proconfig IS DISTINCT FROM
                         ARRAY['search_path=pg_catalog, pg_temp']
                     OR p.proowner <> c.relowner
                     OR EXISTS (SELECT FROM aclexplode(coalesce(p.proacl,
                                           acldefault('f', p.proowner))) a
                                 WHERE a.grantee <> p.proowner)
                THEN 'unsafe'
                ELSE 'ok'
           END
      FROM pg_class c
     CROSS JOIN softfactory.argument(words) AS w (argument)
     CROSS JOIN softfactory.called(c.relname) AS f (function)
     CROSS JOIN softfactory.parts(relation) AS m (relid)
     CROSS JOIN (VALUES ('insert',   4, NULL,       'changed'),
                        ('update',  16, 'old_rows', 'new_rows'),
                        ('delete',   8, 'changed',  NULL),
                        ('truncate', 32, NULL,      NULL))
                AS k (event, tgtype, oldtable, newtable)
      LEFT JOIN pg_trigger g
        ON g.tgrelid = m.relid AND NOT g.tgisinternal
           AND g.tgname = 'softfactory_notify_' || k.event
      LEFT JOIN pg_proc p
        ON p.oid = g.tgfoid AND p.pronamespace = c.relnamespace
           AND p.proname = f.function AND p.prosrc = body
     WHERE c.oid = relation
     ORDER BY m.relid, k.tgtype;
END
$$;


-- Any role can take this lock.  Who has it is named, since only that helps.

CREATE OR REPLACE FUNCTION softfactory.alone()
RETURNS pg_catalog.void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    holder record;
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

    RAISE EXCEPTION 'another session holds the lock of softfactory.watch():'
                    ' pid %, role %, application "%"',
                    holder.pid, holder.usename, holder.application_name
    USING ERRCODE = 'lock_not_available',
          HINT = format('If it is not a migration that will end, a'
                        ' superuser, or one of its role, can end it: SELECT'
                        ' pg_terminate_backend(%s)', holder.pid);
END
$$;


-- Sessions that listen look again at which triggers there are.

CREATE OR REPLACE FUNCTION softfactory.tell()
RETURNS pg_catalog.void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('softfactory', 'triggers');
    PERFORM pg_notify(name, 'triggers') FROM softfactory.channel;
EXCEPTION WHEN insufficient_privilege OR undefined_table THEN
    NULL;
END
$$;


-- Whether the table is one that can be watched.

CREATE OR REPLACE FUNCTION softfactory.may(relation pg_catalog.oid)
RETURNS pg_catalog.void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
    wrong text;
BEGIN
    FOR part IN
        SELECT c.oid::regclass AS name, c.*, i.parent
          FROM softfactory.parts(relation) AS m (relid)
          JOIN pg_class c ON c.oid = m.relid
          LEFT JOIN LATERAL (
                SELECT h.inhparent::regclass AS parent FROM pg_inherits h
                 WHERE h.inhrelid = c.oid
                   AND (c.oid = relation OR h.inhparent NOT IN (
                            SELECT softfactory.parts(relation)))
                 LIMIT 1) i ON true
         ORDER BY c.oid <> relation, c.oid
    LOOP
        wrong := CASE
            WHEN part.oid < 16384 THEN 'belongs to PostgreSQL itself'
            WHEN part.relkind = 'v' THEN
                'is a view; watch the tables that it reads, which'
                ' softfactory.reads() names'
            WHEN part.relkind = 'm' THEN
                'is a materialized view, whose refresh runs no trigger'
            WHEN part.relkind = 'f' THEN
                'is a foreign table, which changes without any trigger here'
            WHEN part.relkind NOT IN ('r', 'p') THEN 'is no table'
            WHEN part.relpersistence = 't' THEN
                'is temporary: no other session can read it'
            WHEN part.parent IS NOT NULL THEN format('is a part of %s, and'
                ' statements that name that table run only its triggers;'
                ' watch it instead', part.parent)
            END;

        IF wrong IS NOT NULL THEN
            RAISE '% cannot be watched: % %', relation::regclass,
                  CASE WHEN part.oid = relation THEN 'it'
                       ELSE 'its part ' || part.name END, wrong
            USING ERRCODE = 'wrong_object_type';
        END IF;
    END LOOP;
END
$$;


-- Whether the caller may: the triggers of a table run with the rights of its
-- owner, and only he can have them run always.

CREATE OR REPLACE FUNCTION softfactory.owned(relation pg_catalog.oid)
RETURNS pg_catalog.void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other record;
BEGIN
    FOR other IN
        SELECT c.oid::regclass AS name, c.relowner::regrole AS owner
          FROM softfactory.parts(relation) AS m (relid)
          JOIN pg_class c ON c.oid = m.relid
         WHERE NOT pg_has_role(c.relowner, 'USAGE')
         ORDER BY c.oid <> relation, c.oid
    LOOP
        RAISE 'must be owner of table %: that is %', other.name, other.owner
        USING ERRCODE = 'insufficient_privilege',
              HINT = format('Call it as that role: SET ROLE %s. The role that'
                            ' the module has should be no owner of tables.',
                            other.owner);
    END LOOP;
END
$$;


-- Keys and columns, and names that can be told.

CREATE OR REPLACE FUNCTION softfactory.fit(relation pg_catalog.oid,
    keys pg_catalog.name[], columns pg_catalog.name[])
RETURNS pg_catalog.void LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $_$
DECLARE
    title CONSTANT name := (SELECT relname FROM pg_class WHERE oid = relation);
    given record;
BEGIN
    IF title ~ '[[:cntrl:] =,\\]' THEN
        RAISE 'the name of table % cannot be told: it has a blank, a comma, "="'
              ' or "\"', relation::regclass;
    END IF;

    FOR given IN
        SELECT l.name, l.is_key, a.attnum, a.attgenerated,
               softfactory.kind(relation, l.name) AS kind,
               format_type(a.atttypid, a.atttypmod) AS type,
               c.collname, c.collisdeterministic
          FROM (SELECT unnest(keys), true UNION ALL
                SELECT unnest(columns), false) AS l (name, is_key)
          LEFT JOIN pg_attribute a
            ON a.attrelid = relation AND a.attname = l.name
               AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_collation c ON c.oid = a.attcollation
    LOOP
        IF given.attnum IS NULL THEN
            RAISE 'table % has no column %', relation::regclass,
                  coalesce(quote_ident(given.name), 'NULL')
            USING ERRCODE = 'undefined_column';

        ELSIF given.name ~ '[[:cntrl:]\\]'
              OR given.is_key AND given.name ~ '[ =,]'
        THEN
            RAISE 'the name of column % of % cannot be told: it has a blank, a'
                  ' comma, "=" or "\"', quote_ident(given.name),
                  relation::regclass;

        ELSIF NOT given.is_key THEN
            CONTINUE;

        ELSIF given.kind IS NULL THEN
            RAISE 'column % of % cannot be a key: it is of type %, of which'
                  ' equal values may differ as texts', quote_ident(given.name),
                  relation::regclass, given.type
            USING ERRCODE = 'datatype_mismatch',
                  HINT = 'Keys are smallint, integer, bigint, uuid, text,'
                         ' varchar or an enum. Without this key a change is'
                         ' one of the whole table.';

        ELSIF NOT coalesce(given.collisdeterministic, true) THEN
            RAISE 'column % of % cannot be a key: in its collation %, which is'
                  ' not deterministic, equal values may differ as texts',
                  quote_ident(given.name), relation::regclass,
                  quote_ident(given.collname)
            USING ERRCODE = 'datatype_mismatch';

        ELSIF given.attgenerated NOT IN ('', 's') THEN
            RAISE 'column % of % cannot be a key: it is computed when it is'
                  ' read, and no trigger sees it', quote_ident(given.name),
                  relation::regclass;

        ELSIF given.kind IN ('text', 'enum')
              AND getdatabaseencoding() = 'SQL_ASCII'
        THEN
            RAISE 'column % of % cannot be a key: a text has no certain'
                  ' meaning in the encoding SQL_ASCII', quote_ident(given.name),
                  relation::regclass;
        END IF;
    END LOOP;

    IF octet_length(concat_ws('=* ', title, array_to_string(keys, '=* ')))
       > 7900
    THEN
        RAISE 'table % has too many keys to be told', relation::regclass;
    END IF;
END
$_$;


-- Whether there is a channel without a name, for those who may see it.

CREATE OR REPLACE FUNCTION softfactory.nameless()
RETURNS pg_catalog.bool LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM softfactory.channel);
END
$$;


-- The owner of the table may read the channel, or the triggers would be silent.

CREATE OR REPLACE FUNCTION softfactory.heard(owner pg_catalog.oid)
RETURNS pg_catalog.void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass('softfactory.channel') IS NULL THEN
        RAISE 'there is no table softfactory.channel'
        USING HINT = 'Run softfactory.sql again.';
    END IF;

    IF NOT has_schema_privilege(owner, 'softfactory', 'USAGE')
       OR NOT has_table_privilege(owner, 'softfactory.channel', 'SELECT')
    THEN
        IF NOT has_schema_privilege('softfactory', 'USAGE WITH GRANT OPTION')
           OR NOT has_table_privilege('softfactory.channel',
                                      'SELECT WITH GRANT OPTION')
        THEN
            RAISE 'role % may not read softfactory.channel', owner::regrole
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Its owner says: GRANT USAGE ON SCHEMA'
                      ' softfactory TO %1$s; GRANT SELECT ON'
                      ' softfactory.channel TO %1$s', owner::regrole);
        END IF;

        EXECUTE format('GRANT USAGE ON SCHEMA softfactory TO %s',
                       owner::regrole);
        EXECUTE format('GRANT SELECT ON softfactory.channel TO %s',
                       owner::regrole);
    END IF;

    IF has_table_privilege('softfactory.channel', 'SELECT')
       AND softfactory.nameless()
    THEN
        INSERT INTO softfactory.channel DEFAULT VALUES;
    END IF;
END
$$;


-- Makes what is not as it should be.

CREATE OR REPLACE FUNCTION softfactory.make(relation pg_catalog.oid,
    words pg_catalog.text[], body pg_catalog.text)
RETURNS pg_catalog.void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    former CONSTANT oid[] := ARRAY(SELECT f.function
                                     FROM softfactory.told(relation) AS f);
    owner CONSTANT regrole := (SELECT relowner FROM pg_class
                                WHERE oid = relation);
    name CONSTANT text := (SELECT format('%s.%I', relnamespace::regnamespace,
                                         softfactory.called(relname))
                             FROM pg_class WHERE oid = relation);
    found record;
BEGIN
    -- Who has changed something by an older function, and told it on the open
    -- channel, has committed before the new function is there: while one is
    -- old the module listens to that channel, too.

    FOR found IN
        SELECT DISTINCT g.tgrelid::regclass AS part
          FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
         WHERE p.oid = to_regprocedure(name || '()')
           AND position('-- softfactory channel ' IN p.prosrc) = 0
         ORDER BY 1
    LOOP
        EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE',
                       found.part);
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_proc p
                    WHERE p.oid = to_regprocedure(name || '()')
                      AND p.prosrc = body AND p.prosecdef
                      AND p.proconfig
                          = ARRAY['search_path=pg_catalog, pg_temp'])
    THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION %s() RETURNS'
                       ' pg_catalog.trigger LANGUAGE plpgsql SECURITY DEFINER'
                       ' SET search_path = pg_catalog, pg_temp AS %L',
                       name, body);
    END IF;

    -- A function belongs to the table's owner, and nobody else may attach it to
    -- a table of his own, to tell what he likes.

    IF (SELECT proowner FROM pg_proc WHERE oid = to_regprocedure(name || '()'))
       <> owner
    THEN
        EXECUTE format('ALTER FUNCTION %s() OWNER TO %s', name, owner);
    END IF;

    FOR found IN
        SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC'
                             ELSE a.grantee::regrole::text END AS grantee
          FROM pg_proc p
         CROSS JOIN aclexplode(coalesce(p.proacl,
                                        acldefault('f', p.proowner))) a
         WHERE p.oid = to_regprocedure(name || '()')
           AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM %s CASCADE', name,
                       found.grantee);
    END LOOP;

    FOR found IN
        SELECT *
          FROM softfactory.triggers(relation, words, body) AS f
         WHERE f.state <> 'ok'
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER softfactory_notify_%s AFTER'
                       ' %1$s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION'
                       ' %s(%L)', found.event, found.part, found.tables, name,
                       array_to_string(words, e'\n'));
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER'
                       ' softfactory_notify_%s', found.part, found.event);
    END LOOP;

    -- of a table that has another name now, or stands in another schema

    FOR found IN
        SELECT p.oid::regprocedure AS function
          FROM pg_proc p
         WHERE p.oid = ANY (former) AND pg_has_role(p.proowner, 'USAGE')
           AND p.oid <> to_regprocedure(name || '()')
           AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgfoid = p.oid)
    LOOP
        EXECUTE format('DROP FUNCTION %s', found.function);
    END LOOP;

    PERFORM softfactory.tell();
END
$$;


CREATE OR REPLACE FUNCTION softfactory.watch(relation pg_catalog.regclass,
    keys pg_catalog.name[] DEFAULT '{}',
    columns pg_catalog.name[] DEFAULT NULL,
    replace pg_catalog.bool DEFAULT false)
RETURNS pg_catalog.text LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '10s'
SET client_min_messages = warning
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    words text[];
    body text;
    done text := 'unchanged';
BEGIN
    IF relation IS NULL OR keys IS NULL THEN
        RAISE 'softfactory.watch() needs a table, and keys that are not NULL';
    END IF;

    PERFORM softfactory.may(relation);
    PERFORM softfactory.alone();

    -- what is watched already, as far as it is there, and more

    IF replace IS NOT TRUE THEN
        words := softfactory.known(relation);
    END IF;

    keys := softfactory.united(softfactory.named(words, 'key', relation), keys);

    columns := CASE WHEN 'every column' = ANY (words) THEN NULL
                    WHEN columns IS NOT NULL THEN softfactory.united(
                        softfactory.named(words, 'column', relation), columns)
               END;

    columns := softfactory.counted(relation, columns);

    PERFORM softfactory.fit(relation, keys, columns);
    PERFORM softfactory.heard((SELECT relowner FROM pg_class
                                WHERE oid = relation));

    words := softfactory.words(relation, keys, columns);
    body := softfactory.body(relation, keys, columns, words);

    IF EXISTS (SELECT FROM softfactory.triggers(relation, words, body) AS f
                WHERE f.state <> 'ok')
    THEN
        PERFORM softfactory.owned(relation);
        PERFORM softfactory.make(relation, words, body);
        done := 'changed';
    END IF;

    RETURN format('%s: %s; keys: %s; columns: %s', relation, done,
                  coalesce(nullif(array_to_string(keys, ', '), ''), 'none'),
                  CASE WHEN columns IS NULL THEN 'all' ELSE coalesce(
                      nullif(array_to_string(softfactory.named(words, 'column'),
                                             ', '), ''), 'none') END);
END
$$;


CREATE OR REPLACE FUNCTION softfactory.unwatch(relation pg_catalog.regclass)
RETURNS pg_catalog.text LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '10s'
SET client_min_messages = warning
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    functions CONSTANT oid[] := ARRAY(SELECT f.function
                                        FROM softfactory.told(relation) AS f);
    gone record;
    done text := 'unchanged';
BEGIN
    PERFORM softfactory.alone();
    PERFORM softfactory.owned(relation);

    FOR gone IN
        SELECT g.tgname, g.tgrelid::regclass AS part
          FROM softfactory.parts(relation) AS m (relid)
          JOIN pg_trigger g ON g.tgrelid = m.relid
         WHERE g.tgfoid = ANY (functions) AND NOT g.tgisinternal
         ORDER BY g.tgrelid, g.tgtype
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', gone.tgname, gone.part);
        done := 'no longer watched';
    END LOOP;

    FOR gone IN
        SELECT f::regprocedure AS name
          FROM unnest(functions) AS f
         WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgfoid = f)
         GROUP BY f
    LOOP
        EXECUTE format('DROP FUNCTION %s', gone.name);
    END LOOP;

    IF done <> 'unchanged' THEN
        PERFORM softfactory.tell();
    END IF;

    RETURN format('%s: %s', relation, done);
END
$$;


-- The call that watches so much.

CREATE OR REPLACE FUNCTION softfactory.call(relation pg_catalog.oid,
    keys pg_catalog.name[], columns pg_catalog.name[])
RETURNS pg_catalog.text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
SELECT concat('SELECT softfactory.watch(', quote_literal(format('%s.%I',
                  c.relnamespace::regnamespace, c.relname)),
              ', keys => ' || quote_literal(nullif(keys, '{}')::text),
              ', columns => ' || quote_literal(columns::text), ')')
  FROM pg_class c WHERE c.oid = relation
$$;


-- The triggers are judged by what they tell themselves: watch() would make
-- them so.  A key or a column that is gone is no longer told.

CREATE OR REPLACE FUNCTION softfactory.faults(relation pg_catalog.oid,
    keys pg_catalog.name[], columns pg_catalog.name[],
    OUT state pg_catalog.text, OUT lacks pg_catalog.text)
RETURNS pg_catalog.record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
SELECT (array_agg(f.state ORDER BY array_position(
                      '{missing,disabled,unsafe,outdated}', f.state)))[1],
       string_agg(f.state || ' on ' || f.places, '; ' ORDER BY f.state)
  FROM (SELECT s.state, string_agg(format('%s (%s)', s.part, s.events), ', '
                                   ORDER BY s.part::text)
          FROM (SELECT d.state, d.part, string_agg(d.event, ' ' ORDER BY d.n)
                  FROM softfactory.counted(relation, columns) AS c (counted)
                 CROSS JOIN softfactory.words(relation, keys, c.counted)
                            AS w (words)
                 CROSS JOIN softfactory.triggers(relation, w.words,
                                softfactory.body(relation, keys, c.counted,
                                                 w.words))
                            WITH ORDINALITY AS d (part, event, tables, state, n)
                 WHERE d.state <> 'ok'
                 GROUP BY d.state, d.part) AS s (state, part, events)
         GROUP BY s.state) AS f (state, places)
$$;


CREATE OR REPLACE FUNCTION softfactory.check(
    OUT relation pg_catalog.regclass, OUT keys pg_catalog.name[],
    OUT columns pg_catalog.name[], OUT state pg_catalog.text,
    OUT lacks pg_catalog.text, OUT advice pg_catalog.text)
RETURNS SETOF pg_catalog.record LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    channel CONSTANT oid := to_regclass('softfactory.channel');
    t record;
    known text[];
BEGIN
    FOR t IN
        SELECT DISTINCT c.oid, c.relname, c.relowner::regrole AS owner
          FROM pg_trigger g
          JOIN pg_class c ON c.oid = g.tgrelid
          JOIN pg_proc p ON p.oid = g.tgfoid
         WHERE g.tgname LIKE 'softfactory\_notify\_%' AND NOT g.tgisinternal
           AND p.proname LIKE 'softfactory\_notify\_%' AND p.pronargs = 0
           AND NOT EXISTS (SELECT FROM pg_inherits h
                             JOIN pg_trigger u ON u.tgrelid = h.inhparent
                            WHERE h.inhrelid = c.oid AND u.tgfoid = p.oid)
         ORDER BY c.relname, c.oid
    LOOP
        relation := t.oid;
        known := softfactory.known(t.oid);
        keys := softfactory.named(known, 'key');
        columns := CASE WHEN 'every column' <> ALL (known)
                        THEN softfactory.named(known, 'column') END;
        advice := softfactory.call(t.oid, '{}', CASE WHEN columns IS NOT NULL
                                                     THEN '{}'::name[] END);

        SELECT f.state, f.lacks INTO state, lacks
          FROM softfactory.faults(t.oid,
                   softfactory.named(known, 'key', t.oid),
                   CASE WHEN columns IS NOT NULL
                        THEN softfactory.named(known, 'column', t.oid)
                   END) AS f;

        IF state = 'outdated' AND NOT EXISTS (
               SELECT FROM softfactory.told(t.oid) AS f WHERE NOT f.former)
        THEN
            state := 'former';
            lacks := 'has the triggers of notify.sql, which go on telling';

        ELSIF state IS NULL THEN
            lacks := CASE
                WHEN channel IS NULL THEN 'there is no softfactory.channel'
                WHEN NOT has_schema_privilege(t.owner, 'softfactory', 'USAGE')
                     OR NOT has_table_privilege(t.owner, channel, 'SELECT')
                    THEN format('%s may not read softfactory.channel', t.owner)
                WHEN EXISTS (SELECT FROM pg_class c,
                                         aclexplode(c.relacl) AS a
                              WHERE c.oid = channel AND a.grantee = 0)
                    THEN 'everybody may read softfactory.channel'
                END;

            IF lacks IS NOT NULL THEN
                state := 'channel';
                advice := CASE
                    WHEN channel IS NULL THEN 'run softfactory.sql'
                    WHEN lacks LIKE 'everybody%' THEN
                        'REVOKE ALL ON softfactory.channel FROM PUBLIC; then'
                        ' another name, see conf/postgresql/README.md'
                    ELSE format('GRANT USAGE ON SCHEMA softfactory TO %1$s;'
                                ' GRANT SELECT ON softfactory.channel TO %1$s',
                                t.owner)
                    END;

            ELSIF has_schema_privilege('softfactory', 'USAGE')
                  AND has_table_privilege(channel, 'SELECT')
                  AND softfactory.nameless()
            THEN
                state := 'channel';
                lacks := 'softfactory.channel has no name';
                advice := 'INSERT INTO softfactory.channel DEFAULT VALUES';

            ELSIF EXISTS (SELECT FROM pg_subscription_rel r
                            JOIN softfactory.parts(t.oid) AS m (relid)
                              ON m.relid = r.srrelid)
            THEN
                state := 'subscription';
                lacks := 'a subscription writes to it, which runs no triggers';
                advice := 'none: what is read from it is cached for a shorter'
                          ' time';
            ELSE
                state := 'ok';
                advice := NULL;
            END IF;
        END IF;

        RETURN NEXT;
    END LOOP;
END
$$;


-- What a view reads, and the views that it reads from: a row for each table,
-- with the columns that are named, and for each function that nobody sees into.

CREATE OR REPLACE FUNCTION softfactory.reads_of(view pg_catalog.oid,
    OUT relation pg_catalog.regclass, OUT columns pg_catalog.name[],
    OUT advice pg_catalog.text)
RETURNS SETOF pg_catalog.record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
WITH RECURSIVE used (classid, objid, attnum, relkind) AS (
    SELECT 'pg_class'::regclass::oid, view, 0, 'v'::"char"
     UNION
    SELECT d.refclassid, d.refobjid, d.refobjsubid, c.relkind
      FROM used u
      JOIN pg_rewrite r ON r.ev_class = u.objid
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass
                          AND d.objid = r.oid AND d.refobjid <> u.objid
      LEFT JOIN pg_class c ON d.refclassid = 'pg_class'::regclass
                              AND c.oid = d.refobjid
     WHERE u.classid = 'pg_class'::regclass AND u.relkind = 'v'
       AND (c.relkind <> 'S' OR d.refclassid = 'pg_proc'::regclass)

), found AS (
    SELECT u.objid, u.relkind,
           coalesce(array_agg(DISTINCT a.attname ORDER BY a.attname)
                        FILTER (WHERE a.attname IS NOT NULL), '{}') AS columns
      FROM used u
      LEFT JOIN pg_attribute a
        ON a.attrelid = u.objid AND a.attnum = u.attnum AND u.attnum > 0
     WHERE u.classid = 'pg_class'::regclass AND u.relkind <> 'v'
       AND u.objid >= 16384
     GROUP BY u.objid, u.relkind
)
(SELECT f.objid::regclass, f.columns,
       CASE WHEN f.relkind = 'm' THEN 'a materialized view is never coherent:'
                                      ' its refresh runs no trigger'
            WHEN f.relkind = 'f' THEN 'a foreign table is never coherent: it'
                                      ' changes without any trigger here'
            WHEN k.known IS NOT NULL
                 AND ('every column' = ANY (k.known)
                      OR f.columns <@ softfactory.named(k.known, 'column'))
            THEN 'is watched'
            ELSE softfactory.call(f.objid, '{}', f.columns)
       END
  FROM found f
  JOIN pg_class c ON c.oid = f.objid
 CROSS JOIN LATERAL (SELECT softfactory.known(f.objid)) AS k (known)
 ORDER BY c.relname, c.oid)
 UNION ALL
SELECT NULL, NULL, format('what the function %s reads is not seen',
                          u.objid::regprocedure)
  FROM used u
 WHERE u.classid = 'pg_proc'::regclass AND u.objid >= 16384
$$;


-- A view of the query is made, which runs nothing, and goes again.  Its tables
-- are found by the search_path of the caller, so all else has its schema.

CREATE OR REPLACE FUNCTION softfactory.reads(sql pg_catalog.text,
    OUT relation pg_catalog.regclass, OUT columns pg_catalog.name[],
    OUT advice pg_catalog.text)
RETURNS SETOF pg_catalog.record LANGUAGE plpgsql AS $$
BEGIN
    sql := pg_catalog.regexp_replace(sql, '\$limit\M(?!\$)', '', 'g');
    sql := pg_catalog.regexp_replace(sql, '\$\w+\M(?!\$)', 'NULL', 'g');
    sql := pg_catalog.regexp_replace(sql, '\[\[(?!\s*\d)|\]\]', '', 'g');
    sql := pg_catalog.regexp_replace(sql, '[\s;]+$', '');

    EXECUTE pg_catalog.concat('CREATE TEMPORARY VIEW softfactory_reads AS'
                              ' SELECT EXISTS (', sql, E'\n) AS yes');

    RETURN QUERY SELECT r.*
      FROM softfactory.reads_of('pg_temp.softfactory_reads'
                                ::pg_catalog.regclass) AS r;

    DROP VIEW pg_temp.softfactory_reads;
END
$$;


-- by which softfactory-tables.sql knows these functions again

-- generated: comment
COMMENT ON FUNCTION softfactory.watch(pg_catalog.regclass, pg_catalog.name[],
    pg_catalog.name[], pg_catalog.bool) IS 'softfactory.sql 61826261';
-- generated, end

-- Event triggers that report a migration to the module when it commits.
--
--     psql -X -v ON_ERROR_STOP=1 -f event-trigger.sql
--     psql -X -v ON_ERROR_STOP=1 -v schema=ours -f event-trigger.sql
--
-- By a superuser: PostgreSQL lets no other role make them.  The listener
-- receives the word "schema" on the channel of softfactory.sql after DDL, and
-- checks what has changed.  Without them it checks every few seconds
-- (softfactory_listen_schema), and with them too: roles belong to the whole
-- server, and no event trigger sees them.
--
-- Nothing is sent for temporary tables, and what they have; nor for DDL of a
-- role that is not a member of the owner of a table with our triggers and may
-- create nothing in its schema: such a role cannot change what is read, but
-- could empty the cache all the time.  A transaction sends at most one word.
-- The function never makes a statement fail: it is silent when the notification
-- queue is half full, and when anything is wrong with it.  Like every
-- transaction that has notified, one with DDL cannot be prepared for a commit
-- in two phases then.
--
-- The function stands in the schema public, or in the one that is named.  Safe
-- to repeat; event-trigger-remove.sql undoes it.

\set QUIET on
\set ON_ERROR_STOP on
\encoding UTF8

\if :{?schema}
\else
    \set schema public
\endif

BEGIN;

SET LOCAL client_min_messages = warning;

CREATE OR REPLACE FUNCTION :"schema".softfactory_schema_changed()
RETURNS pg_catalog.event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel
BEGIN
    IF TG_EVENT = 'ddl_command_end' THEN
        PERFORM FROM pg_event_trigger_ddl_commands()
          WHERE schema_name IS DISTINCT FROM 'pg_temp';
    ELSE
        PERFORM FROM pg_event_trigger_dropped_objects()
          WHERE NOT is_temporary;
    END IF;

    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- ours are the tables whose owner may read the channel

    PERFORM FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
      WHERE g.tgname = 'softfactory_notify_insert'
        AND has_schema_privilege(c.relowner, 'softfactory', 'USAGE')
        AND has_table_privilege(c.relowner, 'softfactory.channel', 'SELECT')
        AND (pg_has_role(session_user, c.relowner, 'MEMBER')
             OR has_schema_privilege(session_user, c.relnamespace, 'CREATE'));

    IF FOUND THEN
        PERFORM pg_notify(c.name, 'schema') FROM softfactory.channel c
          WHERE pg_notification_queue_usage() < 0.5;
    END IF;

EXCEPTION WHEN OTHERS THEN
    NULL;
END
$$;

-- nobody else needs it

REVOKE ALL ON FUNCTION :"schema".softfactory_schema_changed() FROM PUBLIC;

DROP EVENT TRIGGER IF EXISTS softfactory_schema_command;
DROP EVENT TRIGGER IF EXISTS softfactory_schema_drop;

CREATE EVENT TRIGGER softfactory_schema_command ON ddl_command_end
    EXECUTE FUNCTION :"schema".softfactory_schema_changed();

CREATE EVENT TRIGGER softfactory_schema_drop ON sql_drop
    EXECUTE FUNCTION :"schema".softfactory_schema_changed();

-- also for what is done with session_replication_role = replica

ALTER EVENT TRIGGER softfactory_schema_command ENABLE ALWAYS;
ALTER EVENT TRIGGER softfactory_schema_drop ENABLE ALWAYS;

COMMIT;

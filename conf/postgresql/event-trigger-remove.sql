-- Removes what event-trigger.sql has made:
--
--     psql -X -v ON_ERROR_STOP=1 -f event-trigger-remove.sql
--     psql -X -v ON_ERROR_STOP=1 -v schema=ours -f event-trigger-remove.sql
--
-- By a superuser.  Safe to repeat.  The listener then finds what has changed
-- by its looks alone (softfactory_listen_schema).

\set QUIET on
\set ON_ERROR_STOP on
\encoding UTF8

\if :{?schema}
\else
    \set schema public
\endif

BEGIN;

SET LOCAL client_min_messages = warning;

DROP EVENT TRIGGER IF EXISTS softfactory_schema_command;
DROP EVENT TRIGGER IF EXISTS softfactory_schema_drop;
DROP FUNCTION IF EXISTS :"schema".softfactory_schema_changed();

COMMIT;

# What a table is, and whether its changes are told: DDL fires no trigger, so
# the listener looks at the catalogue and drops what was read from a table that
# has become another.
#
# Each case below runs statements and waits until the old answer is gone; how
# long that took is told by a note (prove -v).  The looks come every 250 ms
# here, or, where only what is told may have an effect, every hour.
#
# The module's role is sf_reader, which may only read; app owns the tables.
#
# valgrind: no

use strict;
use warnings;
use feature 'state';
use lib 't/lib';
use Test::More ();
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
master_on();
workers(2);
worker_connections(256);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_schema');
our $SOCKET = $ENV{SF_TEST_PG_SOCKET};
our $CAMPAIGN = '/api/review/campaigns/1';
our $ROI = '/api/performance/roi';
our $EVENTS = "$ENV{SF_TEST_SQL}/event-trigger";

my $self = $$;


# super($sql), owner($sql): in the database of this file

sub super {
    return psql($_[0], dbname => $DB, user => 'postgres');
}


sub owner {
    return psql($_[0], dbname => $DB);
}


# roles are no part of a database

sub drop_roles {
    for my $role (qw(sf_reader sf_group sf_stranger)) {
        next if !psql("SELECT count(*) FROM pg_roles WHERE rolname = '$role'",
                      dbname => 'postgres');

        super("DROP OWNED BY $role");
        psql("DROP ROLE $role", dbname => 'postgres', user => 'postgres');
    }
}


sub privileges {
    super($_) for 'GRANT USAGE ON SCHEMA public TO sf_reader',
                  'GRANT SELECT ON ALL TABLES IN SCHEMA public TO sf_reader';
}


# the channel's name is the reader's to know, too

sub channel {
    super($_) for 'GRANT USAGE ON SCHEMA softfactory TO sf_reader',
                  'GRANT SELECT ON softfactory.channel TO sf_reader';
}


our $ROWS = <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, deadline, status,
                       created_at)
SELECT n, 1, 'of ' || n, 'p', 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 9) n;
INSERT INTO sns_accounts (id, user_id, platform, account_name, created_at)
VALUES (1, 1, 'p', 'account', 'yesterday')
SQL

drop_roles();
super("CREATE ROLE $_") for 'sf_reader LOGIN', 'sf_group', 'sf_stranger';
super($_) for split /;\n/, $ROWS;
privileges();
install_notify($DB);
channel();

END {
    local ($?, $@);
    eval { drop_roles() } if $$ == $self;
}


# http(%options): the upstream of the reader; looks come every look

sub http {
    my %o = (look => '250ms', @_);

    return conf(dbname => $DB, user => 'sf_reader', zone => 'api 8m', %o)
           . ($o{lines} // '') . "softfactory_listen_schema $o{look};\n";
}


defaults(http_config => http(),
         config => "softfactory_cache_incoherent_ttl 300ms;\n"
                   . "location = /live { softfactory_live; }\n"
                   . "location = /metrics { softfactory_metrics; }\n"
                   . api(operators('api')));


# x($path): where the answer is from

sub x {
    my $res = fetch($_[0] // $CAMPAIGN);

    return $res->{headers}{'x-cache'} // "$res->{status} none";
}


# kept($path): until there is an answer that stays

sub kept {
    my ($path) = @_;

    wait_until { x($path) eq 'HIT' } "an answer of $path is kept";
}


sub schema {
    return source()->{schema};
}


# seen($what, $table, $change, %options): one change.  An answer is kept, the
# change is made ($change: SQL of a superuser, or code), the answer is gone, and
# the status names the table, or "everything".  Options: path; uncovered, when
# the table's changes are not told afterwards

sub seen {
    my ($what, $table, $change, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $path = $o{path} // $CAMPAIGN;

    kept($path);

    my $changes = schema()->{changes};

    ref $change ? $change->() : super($change);

    my $time = time;

    wait_until { x($path) ne 'HIT' } "the old answer is gone after $what";
    Test::More::note(sprintf '%-45s %.2f s', $what, time - $time);

    # the status of another worker may be asked a moment later

    my $dropped = wait_until {
        my $schema = schema();
        $schema->{changes} > $changes && "@{$schema->{dropped}}";
    } "$what is a change";

    like($dropped, qr/\b(?:$table|everything)\b/, "$what: $table");
}


# made($sql): a change that is not looked at here, and has been seen

sub made {
    my $changes = schema()->{changes};

    super($_[0]);
    wait_until { schema()->{changes} > $changes } "it is seen: $_[0]";
}


# silent($what, $sql): what changes nothing that is read

sub silent {
    my ($what, $sql) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    kept($CAMPAIGN);

    my $changes = schema()->{changes};

    ref $sql ? $sql->() : super($sql);
    looked();
    is(x() . ' ' . (schema()->{changes} - $changes), 'HIT 1', $what);
}


# looked(): until a look has been made that was asked for now: it sees a change
# of a table that nothing is asked of here

sub looked {
    state $n = 10;

    my $changes = schema()->{changes};

    super('ALTER TABLE sns_analytics SET (fillfactor = ' . ++$n . ')');
    wait_until { schema()->{changes} > $changes } 'a look has been made';
}


# lines($what): of the log

sub lines {
    my ($what) = @_;

    return log_count(qr/softfactory upstream "primary": \Q$what\E/);
}


run_tests();

__DATA__

=== TEST 1: what a table is
--- no_error_log
[crit]
[alert]
[emerg]
--- check
wait_coherent();
is(schema()->{changes}, 0, 'nothing has changed yet');
is(schema()->{changed_at}, undef, 'ever');

seen('another type of a column', 'campaigns',
     'ALTER TABLE campaigns ALTER title TYPE varchar(200) USING upper(title)');
like(fetch($::CAMPAIGN)->{body}, qr/"OF 1"/, 'the new one is shown');
is("@{schema()->{dropped}}", 'campaigns', 'that table, and no other');
cmp_ok(abs(time - schema()->{changed_at}), '<', 60, 'it is said when');
cmp_ok(lines('the schema has changed (campaigns), what was read from there '
             . 'is dropped'), '==', 1, 'the log says so');

seen('a rewrite', 'campaigns', 'VACUUM FULL campaigns');
seen('an option', 'campaigns', 'ALTER TABLE campaigns SET (fillfactor = 90)');
seen('a column more', 'campaigns', 'ALTER TABLE campaigns ADD sf integer');
seen('a column less', 'campaigns', 'ALTER TABLE campaigns DROP sf');
seen('a default', 'campaigns',
     "ALTER TABLE campaigns ALTER category SET DEFAULT 'x'");

seen('a column with another name', 'campaigns',
     'ALTER TABLE campaigns RENAME description TO sf_old');
is(fetch($::CAMPAIGN)->{status}, 503, 'the statement does not fit');
made('ALTER TABLE campaigns RENAME sf_old TO description');
kept($::CAMPAIGN);

my $swap = 'ALTER TABLE campaigns RENAME title TO sf_old;
            ALTER TABLE campaigns RENAME description TO title;
            ALTER TABLE campaigns RENAME sf_old TO description';

made($swap);
wait_until { fetch($::CAMPAIGN)->{body} =~ /"description":"OF 1"/ }
           'two columns have changed places';
made($swap);

seen('a rule', 'campaigns',
     'CREATE RULE sf AS ON DELETE TO campaigns DO ALSO NOTHING');
seen('a rule less', 'campaigns', 'DROP RULE sf ON campaigns');
seen('a trigger', 'campaigns', 'CREATE TRIGGER sf BEFORE INSERT ON campaigns
     FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()');
seen('a trigger less', 'campaigns', 'DROP TRIGGER sf ON campaigns');
seen('another owner', 'campaigns', 'ALTER TABLE campaigns OWNER TO postgres');
made('ALTER TABLE campaigns OWNER TO app');
seen('a table of the same name', 'campaigns', sub {
    psql(<<'SQL', dbname => $::DB, user => 'postgres');
BEGIN; ALTER TABLE campaigns RENAME TO sf_old;
CREATE TABLE campaigns (LIKE sf_old INCLUDING ALL);
GRANT SELECT ON campaigns TO sf_reader;
INSERT INTO campaigns SELECT * FROM sf_old; COMMIT
SQL
});
wait_coherent(uncovered => 'campaigns');
made('DROP TABLE campaigns; ALTER TABLE sf_old RENAME TO campaigns');
wait_coherent();

seen('a child', 'campaigns', 'CREATE TABLE sf () INHERITS (campaigns)');
wait_coherent(uncovered => 'campaigns');
made('ALTER TABLE sf NO INHERIT campaigns; DROP TABLE sf');
wait_coherent();

# rows that come or go are told of, as ever

kept($::CAMPAIGN);
psql('BEGIN; TRUNCATE campaigns CASCADE; ROLLBACK', dbname => $::DB);
my $gone = psql("WITH d AS (DELETE FROM campaigns WHERE id = 9 RETURNING 1)
                 SELECT count(*) FROM d", dbname => $::DB);
is($gone, 1, 'a row is gone');
seen('a truncated table', 'campaigns', sub {
    psql('BEGIN; CREATE TEMP TABLE k AS TABLE campaigns; TRUNCATE campaigns '
         . 'CASCADE; INSERT INTO campaigns TABLE k; COMMIT', dbname => $::DB);
});


=== TEST 2: what all may use
--- check
wait_coherent();
seen('a function', 'everything', "CREATE FUNCTION sf_f() RETURNS integer
     LANGUAGE sql AS 'SELECT 1'");
cmp_ok(lines('the schema has changed (functions, enums or roles), everything '
             . 'is dropped'), '==', 1, 'the log says so');
is("@{schema()->{dropped}}", 'everything', 'and the status');
seen('another body of it', 'everything', "CREATE OR REPLACE FUNCTION sf_f()
     RETURNS integer LANGUAGE sql AS 'SELECT 2'");
seen('a function less', 'everything', 'DROP FUNCTION sf_f()');
seen('an enum', 'everything', "CREATE TYPE sf_e AS ENUM ('a', 'b')");
seen('a value of it', 'everything', "ALTER TYPE sf_e ADD VALUE 'c'");
seen('another name of a value', 'everything',
     "ALTER TYPE sf_e RENAME VALUE 'b' TO 'd'");
seen('an enum less', 'everything', 'DROP TYPE sf_e');
seen('a membership', 'everything', 'GRANT sf_group TO sf_stranger');
seen('a membership less', 'everything', 'REVOKE sf_group FROM sf_stranger');
seen('a role without policies', 'everything',
     'ALTER ROLE sf_stranger BYPASSRLS');
seen('a role that inherits nothing', 'everything',
     'ALTER ROLE sf_stranger NOINHERIT');
made('ALTER ROLE sf_stranger NOBYPASSRLS INHERIT');


=== TEST 3: which role may see what
--- no_error_log
[crit]
[alert]
[emerg]
--- check
wait_coherent();
seen('row security', 'campaigns',
     'ALTER TABLE campaigns ENABLE ROW LEVEL SECURITY');
is(fetch($::CAMPAIGN)->{status}, 404, 'nothing is to be seen');
made('CREATE POLICY sf ON campaigns USING (true)');
kept($::CAMPAIGN);
seen('another policy', 'campaigns', 'ALTER POLICY sf ON campaigns
     USING (id > 1)');
is(fetch($::CAMPAIGN)->{status}, 404, 'not that row');
made('DROP POLICY sf ON campaigns');
made('CREATE POLICY sf ON campaigns TO sf_group USING (true)');
made('GRANT sf_group TO sf_reader');
kept($::CAMPAIGN);
seen('the reader leaves a group', 'everything',
     'REVOKE sf_group FROM sf_reader');
made('ALTER POLICY sf ON campaigns TO PUBLIC');
kept($::CAMPAIGN);
seen('a policy less', 'campaigns', 'DROP POLICY sf ON campaigns');
made('ALTER TABLE campaigns DISABLE ROW LEVEL SECURITY');

seen('a privilege for somebody else', 'campaigns',
     'GRANT SELECT ON campaigns TO sf_stranger');
seen('a privilege less', 'campaigns', 'REVOKE SELECT ON campaigns FROM
     sf_reader');
isnt(fetch($::CAMPAIGN)->{status}, 200, 'it is refused');
made('GRANT SELECT ON campaigns TO sf_group; GRANT sf_group TO sf_reader');
kept($::CAMPAIGN);
seen('a privilege by a group less', 'campaigns',
     'REVOKE sf_group FROM sf_reader');
made('GRANT SELECT ON campaigns TO sf_reader');
kept($::CAMPAIGN);
seen('a privilege for a column', 'campaigns',
     'GRANT UPDATE (title) ON campaigns TO sf_stranger');
seen('the schema is closed', 'campaigns',
     'REVOKE USAGE ON SCHEMA public FROM sf_reader, PUBLIC');
made('GRANT USAGE ON SCHEMA public TO PUBLIC');
wait_coherent();
kept($::CAMPAIGN);


=== TEST 4: partitions
--- check
super(<<'SQL');
DROP TABLE payments;
CREATE TABLE payments (id integer, amount float8, status text,
    created_at timestamp) PARTITION BY RANGE (created_at);
ALTER TABLE payments OWNER TO app;
CREATE TABLE payments_old PARTITION OF payments
    FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE payments_new PARTITION OF payments
    FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
ALTER TABLE payments_old OWNER TO app;
ALTER TABLE payments_new OWNER TO app;
INSERT INTO payments
SELECT n, n, 'completed', now() - n * interval '100 days'
  FROM generate_series(1, 90) n
SQL
privileges();
install_notify($::DB, 'payments');
wait_coherent();
looked();

my %o = (path => $::ROI);
my $body = fetch($::ROI)->{body};

seen('a partition that is detached', 'payments',
     'ALTER TABLE payments DETACH PARTITION payments_old', %o);
seen('a partition that is attached', 'payments',
     "ALTER TABLE payments ATTACH PARTITION payments_old
      FOR VALUES FROM (MINVALUE) TO ('2020-01-01')", %o);
is(fetch($::ROI)->{body}, $body, 'as before');
seen('a partition that is rewritten', 'payments',
     'ALTER TABLE payments_old SET UNLOGGED', %o);
made('REVOKE SELECT ON payments_old FROM sf_reader');
kept($::ROI);
seen('a partition that is dropped', 'payments', 'DROP TABLE payments_old',
     %o);
seen('a partition without triggers', 'payments',
     "CREATE TABLE payments_old PARTITION OF payments
      FOR VALUES FROM (MINVALUE) TO ('2020-01-01')", %o);
wait_coherent(uncovered => 'payments');
made('DROP TABLE payments_old');
wait_coherent();


=== TEST 5: a schema that takes the name of another
--- check
wait_coherent();
super('CREATE SCHEMA green AUTHORIZATION app');
super(<<'SQL');
DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT relname FROM pg_class
              WHERE relnamespace = 'public'::regnamespace
                AND relkind IN ('r', 'p') AND relispartition = false
    LOOP
        EXECUTE format('CREATE TABLE green.%I (LIKE public.%1$I INCLUDING '
                       'DEFAULTS)', t);
        EXECUTE format('INSERT INTO green.%I TABLE public.%1$I', t);
        EXECUTE format('ALTER TABLE green.%I OWNER TO app', t);
    END LOOP;
END
$$;
UPDATE green.campaigns SET title = 'green';
GRANT USAGE ON SCHEMA green TO sf_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA green TO sf_reader
SQL

{
    local $ENV{PGOPTIONS} = '-c search_path=green';
    system(qw(psql -XAtq -v ON_ERROR_STOP=1 -h), $ENV{SF_TEST_PG_DIR}, '-p',
           $ENV{SF_TEST_PG_PORT}, qw(-U app -d), $::DB, '-f',
           "$ENV{SF_TEST_SQL}/softfactory-tables.sql") == 0
        or die 'softfactory-tables.sql fails';
}

looked();
seen('schemas that change their names', 'campaigns',
     'BEGIN; ALTER SCHEMA public RENAME TO blue;
      ALTER SCHEMA green RENAME TO public; COMMIT');
like(fetch($::CAMPAIGN)->{body}, qr/"green"/, 'the other table is shown');
wait_coherent();
seen('and back', 'campaigns',
     'BEGIN; ALTER SCHEMA public RENAME TO green;
      ALTER SCHEMA blue RENAME TO public; COMMIT');
unlike(fetch($::CAMPAIGN)->{body}, qr/"green"/, 'the first one again');
super('SET client_min_messages = error; DROP SCHEMA green CASCADE');

# forgets, before the next one looks, that campaigns once had a child

super('ANALYZE');


=== TEST 6: what is no change
--- check
wait_coherent();

super('CREATE TABLE sf_other (id integer PRIMARY KEY, t text)');
super('CREATE MATERIALIZED VIEW sf_mv AS SELECT count(*) FROM campaigns');

for my $case (
    ['VACUUM', 'VACUUM'],
    ['VACUUM of a table', 'VACUUM (FREEZE) campaigns'],
    ['ANALYZE', 'ANALYZE'],
    ['VACUUM ANALYZE', 'VACUUM (ANALYZE) campaigns'],
    ['a temporary table', 'CREATE TEMP TABLE t AS TABLE campaigns'],
    ['a temporary function', sub {
        ask("CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql "
            . "AS 'SELECT 1'", dbname => $main::DB);
    }],
    ['a temporary enum', sub {
        ask("CREATE TYPE pg_temp.e AS ENUM ('x')", dbname => $main::DB);
    }],
    ['an index', 'CREATE INDEX sf_i ON campaigns (title)'],
    ['an index, beside others', 'CREATE INDEX CONCURRENTLY sf_j ON campaigns '
                                . '(category)'],
    ['REINDEX', 'REINDEX TABLE campaigns'],
    ['REINDEX, beside others', 'REINDEX TABLE CONCURRENTLY campaigns'],
    ['an index with another name', 'ALTER INDEX sf_i RENAME TO sf_k'],
    ['an index less', 'DROP INDEX sf_k, sf_j'],
    ['another table', 'CREATE TABLE sf_third (id integer)'],
    ['its columns', 'ALTER TABLE sf_third ADD t text'],
    ['its privileges', 'GRANT SELECT ON sf_third TO sf_stranger'],
    ['its end', 'DROP TABLE sf_third'],
    ['a view of a table', 'CREATE VIEW sf_v AS SELECT id FROM campaigns'],
    ['a view less', 'DROP VIEW sf_v'],
    ['a materialized view', 'REFRESH MATERIALIZED VIEW sf_mv'],
    ['a comment', "COMMENT ON TABLE campaigns IS 'x'"],
    ['statistics', 'CREATE STATISTICS sf_s ON category, status FROM campaigns;'
                   . 'DROP STATISTICS sf_s'],
    ['a sequence', "SELECT nextval('campaigns_id_seq')"],
    ['a role', 'CREATE ROLE sf_more; DROP ROLE sf_more'],
    ['a password', "ALTER ROLE sf_stranger PASSWORD 'x'"],
    ['a publication', 'SET client_min_messages = error; CREATE PUBLICATION '
                      . 'sf_p FOR TABLE campaigns; DROP PUBLICATION sf_p'],
    ['a lock', 'BEGIN; LOCK TABLE campaigns; COMMIT'],
    ['what is rolled back', 'BEGIN; ALTER TABLE campaigns ADD sf integer; '
                            . 'ROLLBACK'],
    ['a checkpoint', 'CHECKPOINT'],
) {
    silent(@$case);
}

super('DROP TABLE sf_other; DROP MATERIALIZED VIEW sf_mv');


=== TEST 7: what is written while triggers are disabled
--- http_config eval: main::http(look => '1s')
--- check
wait_coherent();
seen('rows, between two looks', 'campaigns', sub {
    owner('ALTER TABLE campaigns DISABLE TRIGGER USER');
    owner("UPDATE campaigns SET title = 'unheard' WHERE id = 1");
    owner("ALTER TABLE campaigns ENABLE ALWAYS TRIGGER softfactory_notify_$_")
        for qw(insert update delete truncate);
});
like(fetch($::CAMPAIGN)->{body}, qr/"unheard"/, 'they are shown');
seen('rows, in one transaction', 'campaigns', sub {
    owner(<<'SQL');
BEGIN; ALTER TABLE campaigns DISABLE TRIGGER softfactory_notify_update;
UPDATE campaigns SET title = 'of 1' WHERE id = 1;
ALTER TABLE campaigns ENABLE ALWAYS TRIGGER softfactory_notify_update; COMMIT
SQL
});
like(fetch($::CAMPAIGN)->{body}, qr/"of 1"/, 'these, too');
wait_coherent();


=== TEST 8: a migration that tells it is seen at once
--- http_config eval: main::http(look => '1h')
--- check
wait_coherent();
kept($::CAMPAIGN);

my $add = 'ALTER TABLE campaigns ADD sf integer';
my $drop = 'ALTER TABLE campaigns DROP sf';
my $tell = SoftFactory::Live::tell_words('schema');

super($add);
sleep 0.6;
is(x(), 'HIT', 'nobody looks');
super($tell);
wait_until { x() ne 'HIT' } 'it is told';
seen('what is told with it', 'campaigns',
     "BEGIN; $drop; $tell; COMMIT");
is("@{schema()->{dropped}}", 'campaigns', 'that table only');
seen('what is told by a function', 'campaigns',
     "BEGIN; $add; DO \$\$ BEGIN PERFORM pg_notify(name, 'schema')
      FROM softfactory.channel; END \$\$; COMMIT");
super($drop);
kept($::CAMPAIGN);

# whoever tells lies changes nothing but that there is a look

my $changes = schema()->{changes};

super($tell);
wait_until { schema()->{changes} > $changes } 'the column has gone';
kept($::CAMPAIGN);
$changes = schema()->{changes};
my $n = source()->{notifications};
super($tell) for 1 .. 50;
wait_until { source()->{notifications} == $n + 50 } 'all is heard';
sleep 0.6;
is(x() . ' ' . (schema()->{changes} - $changes), 'HIT 0', 'nothing is dropped');


=== TEST 9: without looks
--- http_config eval: main::http(look => 'off')
--- check
wait_coherent();
kept($::CAMPAIGN);
super('ALTER TABLE campaigns ADD sf integer');
super(SoftFactory::Live::tell_words('triggers'));
wait_until { x() ne 'HIT' } 'triggers came or went';
is(schema()->{changes}, 0, 'no change is seen');
kept($::CAMPAIGN);
super('ALTER TABLE campaigns DROP sf');
sleep 0.6;
is(x(), 'HIT', 'nobody looks');
seen('what is told', 'everything',
     SoftFactory::Live::tell_words('schema'));
is("@{schema()->{dropped}}", 'everything', 'drops all');
cmp_ok(lines('the schema has changed (as was told), everything is dropped'),
       '==', 1, 'the log says so');

# the first look of another configuration knows nothing of before

kept($::CAMPAIGN);
super('ALTER TABLE campaigns ADD sf integer');

my $flushes = source()->{flushes};

reconfigure { s/softfactory_listen_schema off/softfactory_listen_schema 250ms/ };
wait_until { source()->{flushes} > $flushes } 'everything is dropped';
kept($::CAMPAIGN);
seen('then they come', 'campaigns', 'ALTER TABLE campaigns DROP sf');


=== TEST 10: event triggers
--- http_config eval: main::http(look => '1h')
--- check
wait_coherent();

my $file = sub {
    psql('', dbname => $::DB, user => 'postgres', file => "$::EVENTS$_[0].sql");
};

# the second time they tell of themselves

my $changes = schema()->{changes};

$file->('') for 1, 2;
wait_until { schema()->{changes} > $changes } 'they tell of themselves';
seen('a column more', 'campaigns', 'ALTER TABLE campaigns ADD sf integer');
seen('a column less', 'campaigns', 'ALTER TABLE campaigns DROP sf');
seen('a privilege', 'campaigns', 'GRANT SELECT ON campaigns TO sf_stranger');
seen('a policy', 'campaigns', 'CREATE POLICY sf ON campaigns USING (true)');
seen('a policy less', 'campaigns', 'DROP POLICY sf ON campaigns');
seen('a function', 'everything', "CREATE FUNCTION sf_f() RETURNS integer
     LANGUAGE sql AS 'SELECT 1'");
seen('a function less', 'everything', 'DROP FUNCTION sf_f()');

# by its owner, who could not make them, and whose replication role it is not

owner('CREATE TABLE sf_other (id integer)');
seen('what its owner does', 'campaigns', sub {
    owner('ALTER TABLE campaigns ADD sf integer');
});
seen('what is done as a replica', 'campaigns',
     'SET session_replication_role = replica; ALTER TABLE campaigns DROP sf');

my $n = source()->{notifications};

owner($_) for 'CREATE TEMP TABLE t (id serial PRIMARY KEY, t text);
               CREATE INDEX ON t (t); ALTER TABLE t ADD x integer;
               DROP TABLE t',
              'CREATE TEMP TABLE t AS TABLE campaigns',
              'CREATE TEMP VIEW v AS TABLE campaigns',
              'ANALYZE campaigns', 'VACUUM campaigns',
              "BEGIN; CREATE TABLE u (id integer); ROLLBACK";
is(source()->{notifications} - $n, 0, 'temporary tables tell nothing');
change('DROP TABLE sf_other', dbname => $::DB);
is(source()->{notifications} - $n, 1, 'others do, once');

# DDL goes on whatever happens in there; in one transaction, or the heartbeat
# would see it too

super('REVOKE EXECUTE ON FUNCTION pg_notification_queue_usage() FROM PUBLIC;
       SET ROLE app; CREATE TABLE sf_other (id integer); DROP TABLE sf_other;
       RESET ROLE;
       GRANT EXECUTE ON FUNCTION pg_notification_queue_usage() TO PUBLIC');

$file->('-remove');
$file->('-remove');
is(super("SELECT count(*) FROM pg_event_trigger"), 0, 'they are gone');
is(super("SELECT count(*) FROM pg_proc WHERE proname LIKE 'softfactory_s%'"),
   0, 'with their function');


=== TEST 11: what is being read while something changes is not kept
--- check
wait_coherent();
kept($::CAMPAIGN);
super('UPDATE campaigns SET title = title WHERE false');

# a request waits for a table; of the other one that it reads a column comes

my $lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my $client = start("$::CAMPAIGN?");

$client->finish;
$client = start('/api/review/campaigns/2');
wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") }
           'it waits';

my $changes = schema()->{changes};

super("ALTER TABLE campaign_applications ALTER message SET DEFAULT 'x'");
wait_until { schema()->{changes} > $changes } 'it is seen';
$lock->release;
is($client->finish->{status}, 200, 'it is answered');
is(x('/api/review/campaigns/2'), 'MISS', 'but that answer is not kept');
is(x('/api/review/campaigns/2'), 'HIT', 'the next one is');


=== TEST 12: what has changed while nobody listened, or another one began to
--- http_config eval
$::GATE = SoftFactory::Gate->new($::SOCKET);
main::http(look => '1h', listen => 'gated',
           lines => main::conf(name => 'gated', dbname => $::DB,
                               user => 'sf_reader',
                               server => '127.0.0.1:' . $::GATE->port))
--- no_error_log
[crit]
[alert]
[emerg]
--- check
wait_coherent();
is(schema()->{changes}, 0, 'nothing has changed');

# the last look was long ago when the next worker takes over

kept($::CAMPAIGN);
super('ALTER TABLE campaigns ADD sf integer');

my $flushes = source()->{flushes};
my @old = hup();

wait_until { x() ne 'HIT' } 'the next one looks';
wait_until { schema()->{changes} == 1 } 'it knows what there was before';
is(source()->{flushes}, $flushes, 'what was read elsewhere stays');

# a look is on its way while a session is lost: nothing is trusted

wait_until { !grep { running($_) } @old } 'the old ones have gone';
wait_coherent();
kept($::CAMPAIGN);
$::GATE->hold('look');
super("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = '$::DB' AND application_name LIKE '%/listen'");
wait_until { $::GATE->held } 'the first look is on its way';
is(x(), 'HIT', 'the lease is not over');

my $confirmed = source()->{confirmed_ms_ago};

super('ALTER TABLE campaigns DROP sf');
sleep 0.3;
cmp_ok(source()->{confirmed_ms_ago}, '>=', $confirmed + 250,
       'there is no other yet');
is(source()->{flushes}, $flushes, 'and nothing is dropped');
$::GATE->open;
wait_until { source()->{flushes} == $flushes + 1 } 'then all is, once';
wait_until { schema()->{changes} == 2 } 'what has changed is known';
wait_coherent();
kept($::CAMPAIGN);


=== TEST 13: a look that fails
--- no_error_log
[crit]
[alert]
[emerg]
--- check
wait_coherent();
is(fetch('/live')->{body}, qq({"reasons":[],"status":"ok"}\n), 'all is well');
kept($::CAMPAIGN);
super('REVOKE EXECUTE ON FUNCTION pg_catalog.bool_or(boolean) FROM PUBLIC');
wait_until { @{source()->{uncovered}} == 13 } 'no table counts as covered';
is(source()->{coherent}, JSON::PP::true, 'heartbeats go on');
is(fetch('/live')->{body}, qq({"reasons":["schema"],"status":"degraded"}\n),
   'it is said');
cmp_ok(lines('the look at the tables fails; until it does not, responses are '
             . 'cached for at most softfactory_cache_incoherent_ttl'), '==', 1,
       'the log says so');
super("UPDATE campaigns SET title = 'meanwhile' WHERE id = 1");
wait_until { fetch($::CAMPAIGN)->{body} =~ /"meanwhile"/ } 'nothing is old';
super('GRANT EXECUTE ON FUNCTION pg_catalog.bool_or(boolean) TO PUBLIC');
wait_coherent();
kept($::CAMPAIGN);
is(fetch('/live')->{body}, qq({"reasons":[],"status":"ok"}\n),
   'it comes back by itself');


=== TEST 14: what is no plain table is not covered
--- check
wait_coherent();

my $shape = 'tables that are views or foreign, or parts of others: campaigns; '
            . 'responses from them are cached for at most '
            . 'softfactory_cache_incoherent_ttl';

# a view, which is replaced by another one

made('ALTER TABLE campaigns RENAME TO sf_old;
      CREATE VIEW campaigns AS TABLE sf_old;
      GRANT SELECT ON campaigns TO sf_reader');
wait_coherent(uncovered => 'campaigns');
is(lines($shape), 1, 'the log says why');
seen('another view', 'campaigns', 'CREATE OR REPLACE VIEW campaigns AS
     SELECT * FROM sf_old WHERE id > 0');
super("UPDATE sf_old SET title = 'by its table' WHERE id = 1");
wait_until { fetch($::CAMPAIGN)->{body} =~ /"by its table"/ } 'it is read anew';
made('DROP VIEW campaigns; ALTER TABLE sf_old RENAME TO campaigns');
wait_coherent();

# a child of a table that has no triggers of ours

super("CREATE TABLE sf_parent (LIKE campaigns);
       ALTER TABLE campaigns INHERIT sf_parent");
wait_coherent(uncovered => 'campaigns');
is(lines($shape), 2, 'the log says why');
fetch($::CAMPAIGN);
super("UPDATE sf_parent SET title = 'by its parent' WHERE id = 1");
wait_until { fetch($::CAMPAIGN)->{body} =~ /"by its parent"/ }
           'what is written by its parent is read';
super("ALTER TABLE campaigns NO INHERIT sf_parent; DROP TABLE sf_parent;
       UPDATE campaigns SET title = 'of 1' WHERE id = 1");
wait_coherent();
kept($::CAMPAIGN);


=== TEST 15: a subscription writes past the triggers
--- http_config eval
$::P = main::pg_server('logical');
$::P->psql('ALTER SYSTEM SET wal_level = logical');
$::P->stop('fast');
$::P->start;
$::P->psql($_, dbname => 'postgres')
    for 'CREATE ROLE sf_reader LOGIN', 'CREATE DATABASE source OWNER app';

for my $db (qw(softfactory source)) {
    $::P->psql('', user => 'app', dbname => $db,
               file => "$ENV{SF_TEST_SQL}/schema.sql");
    $::P->psql("INSERT INTO users (id, email, password_hash, name, role,
                is_active) VALUES (1, 'x\@x.test', '!', 'Name', 'user', true)",
               dbname => $db);
}

$::P->psql('', user => 'app', set => 'role=sf_reader',
           file => "$ENV{SF_TEST_SQL}/softfactory-tables.sql");
$::P->psql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO sf_reader');
$::P->psql("INSERT INTO campaigns (id, creator_id, title, product_name, deadline,
            status, created_at) VALUES (1, 1, 'of 1', 'p', 'tomorrow', 'active',
            'yesterday')", dbname => 'source');
$::P->psql('CREATE PUBLICATION p FOR TABLE campaigns', dbname => 'source');
$::P->psql("SELECT pg_create_logical_replication_slot('sf', 'pgoutput')",
           dbname => 'source');

"softfactory_zone api 8m;\nsoftfactory_listen_schema 250ms;\n"
. main::conf(server => "unix:$::P->{socket}", user => 'sf_reader')
--- check
wait_coherent();
$::P->psql("CREATE SUBSCRIPTION s CONNECTION 'host=$::P->{dir} "
           . "port=$::P->{port} user=postgres dbname=source' PUBLICATION p "
           . "WITH (create_slot = false, slot_name = sf)");
wait_coherent(uncovered => 'campaigns');
cmp_ok(lines('tables that a subscription writes to, which runs no triggers: '
             . 'campaigns; responses from them are cached for at most '
             . 'softfactory_cache_incoherent_ttl'), '==', 1, 'the log says so');
like(get('/metrics')->{body}, qr/^softfactory_listener_uncovered_tables\{
     [^}]*\}\ 1/mx, 'so do metrics');
wait_until { fetch($::CAMPAIGN)->{body} =~ /"of 1"/ } 'the row has come';

for my $text ('new', 'newer') {
    $::P->psql("UPDATE campaigns SET title = '$text'", dbname => 'source');
    wait_until { $::P->psql('SELECT title FROM campaigns') eq $text }
               'it is replicated';
    wait_until { fetch($::CAMPAIGN)->{body} =~ /"$text"/ } 'it is shown';
    pass('a change is shown before the ttl is over');
}

$::P->psql('ALTER SUBSCRIPTION s DISABLE');
$::P->psql('ALTER SUBSCRIPTION s SET (slot_name = NONE)');
$::P->psql('DROP SUBSCRIPTION s');
wait_coherent();
kept($::CAMPAIGN);

# The channel that changes are told on: who can speak there and listen, what
# happens to its names, and that it never costs the application a write.
#
# sf_stranger may connect and nothing else; sf_maker has a schema of his own,
# too.  Where nobody can be trusted to hear of changes, an answer is kept for
# 300 ms.  The looks come every 250 ms.
#
# How full the server's queue is, a table says here: the function of PostgreSQL
# is put aside in this database.  8 GB would have to be written else.
#
# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
master_on();
workers(2);
worker_connections(256);
log_level('info');
plan('no_plan');

our ($DB, $COPY) = (scratch('sf_channel'),
                    scratch('sf_channel_copy', 'template0'));
our $CAMPAIGN = '/api/review/campaigns/1';
our $SQL = "$ENV{SF_TEST_SQL}/softfactory-tables.sql";
our $EVENTS = "$ENV{SF_TEST_SQL}/event-trigger";
our @ROLES = qw(sf_stranger sf_maker);

my $self = $$;


# super($sql), owner($sql), as($role, $sql): in the database of this file; the
# last one returns what psql says, errors too

sub super {
    return psql($_[0], dbname => $DB, user => 'postgres');
}


sub owner {
    return psql($_[0], dbname => $DB);
}


sub as {
    my ($role, $sql) = @_;

    my ($status, $text) = command('psql', '-XAtq',
        '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT},
        '-U', $role, '-d', $DB, '-c', $sql)->();

    return $text;
}


sub drop_roles {
    for my $role (@ROLES) {
        next if !psql("SELECT count(*) FROM pg_roles WHERE rolname = '$role'",
                      dbname => 'postgres');

        super("DROP OWNED BY $role");
        psql("DROP ROLE $role", dbname => 'postgres', user => 'postgres');
    }
}


owner($_) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, deadline, status,
                       created_at)
SELECT n, 1, 'of ' || n, 'p', 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 9) n
SQL

drop_roles();
super("CREATE ROLE $_ LOGIN") for @ROLES;
super('CREATE SCHEMA sf_maker AUTHORIZATION sf_maker');
install_notify($DB);

END {
    local ($?, $@);

    eval { drop_roles() } if $$ == $self;
}


# http($look): the upstream

sub http {
    return conf(dbname => $DB, zone => 'api 8m')
           . "softfactory_listen_schema " . ($_[0] // '250ms') . ";\n";
}


defaults(http_config => http(),
         config => "softfactory_cache_incoherent_ttl 300ms;\n"
                   . "location = /live { softfactory_live; }\n"
                   . "location = /metrics { softfactory_metrics; }\n"
                   . api(operators('api')));


sub x {
    return fetch($_[0] // $CAMPAIGN)->{headers}{'x-cache'};
}


# kept(): until there is an answer that stays longer than without a listener

sub kept {
    wait_until {
        x() eq 'HIT' && do { sleep 0.35; x() eq 'HIT' }
    } 'an answer is kept';
}


# title($text, $code): campaign 1 gets that title by the code, by default one
# UPDATE, and it is shown at once

my $n = 0;

sub heard {
    my ($what, $code) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $text = 'title ' . ++$n;
    my $sql = "UPDATE public.campaigns SET title = '$text' WHERE id = 1";

    kept();
    $code ? $code->($sql) : owner($sql);
    my $time = time;
    wait_until { fetch($CAMPAIGN)->{body} =~ /"$text"/ } "$text is heard";
    cmp_ok(time - $time, '<', 0.25 + sanitized(), $what);
}


# names(): the secret, one or more

sub names {
    return join ' ', split /\n/, super('SELECT name FROM softfactory.channel
                                         ORDER BY since, name');
}


sub listening {
    my ($count) = @_;

    wait_until { source()->{channel_names} == $count }
               "$count names are listened to";
}


sub lines {
    my ($what) = @_;

    return log_count(qr/softfactory upstream "primary": \Q$what\E/);
}


sub live {
    return fetch('/live')->{body} =~ /"reasons":\[(.*?)\]/ ? $1 : 'none';
}


sub metric {
    my ($name) = @_;

    return fetch('/metrics')->{body} =~ /^$name\{[^}]*\} (\S+)/m ? 0 + $1
                                                                 : 'none';
}


# old_kind($table): its function as it was before there was a secret

sub old_kind {
    my ($table) = @_;

    my $text = super("SELECT pg_get_functiondef(
                          'public.softfactory_notify_$table'::regproc)");

    $text =~ s/ SECURITY DEFINER//;
    $text =~ s/ SET search_path TO [^\n]*\n//;
    $text =~ s/softfactory channel /softfactory /;
    $text =~ s/\(c\.name, payload\)\n.*?;\n/('softfactory', payload);\n/s
        or die $text;
    psql($text, dbname => $DB);
}


# usage($part): the server's notification queue is so full from now on; undef:
# PostgreSQL's own function says it again

sub usage {
    my ($part) = @_;

    my $function = 'pg_catalog.pg_notification_queue_usage()';
    my $there = super("SELECT count(*) FROM pg_proc
                        WHERE proname = 'sf_queue_usage'");

    if (!defined $part) {
        super("DROP FUNCTION $function; ALTER FUNCTION
               pg_catalog.sf_queue_usage() RENAME TO
               pg_notification_queue_usage; DROP TABLE public.sf_usage")
            if $there;
        return;
    }

    if (!$there) {
        super($_) for 'CREATE TABLE public.sf_usage (part float8)',
            'INSERT INTO public.sf_usage VALUES (0)',
            "ALTER FUNCTION $function RENAME TO sf_queue_usage",
            "CREATE FUNCTION $function RETURNS float8 LANGUAGE sql
             SECURITY DEFINER AS 'SELECT part FROM public.sf_usage'";
    }

    super("UPDATE public.sf_usage SET part = $part");
}


run_tests();

__DATA__

=== TEST 1: a role without any grant
--- check
wait_coherent();
listening(1);
kept();

my $name = names();

like($name, qr/^sf_[0-9a-f]{32}$/, 'the name cannot be guessed');

# whatever he says

my ($before, $changes) = (source(), source()->{schema}{changes});

for my $channel (qw(softfactory sf softfactory.channel sf_stranger), 'sf_'
                 . '0' x 32)
{
    is(as('sf_stranger', "SELECT count(pg_notify('$channel', p || i))
             FROM generate_series(1, 100) i, unnest(ARRAY['users x', 'schema',
             'campaigns id=1,', 'campaigns id=', 'triggers']) p"), "500\n",
       "he speaks on $channel");
    as('sf_stranger', "NOTIFY \"$channel\", '$_'")
        for qw(schema triggers users), 'campaigns id=1', 'campaigns id=,';
}

heard('changes are heard');

my $after = source();

is($after->{flushes}, $before->{flushes}, 'nothing is dropped');
is($after->{notifications}, $before->{notifications} + 1, 'nor heard');
is($after->{unreadable}, 0, 'nothing of it is read');
is(metric('softfactory_listener_unreadable_total'), 0, 'metrics say the same');

# what he sees

for my $sql ('TABLE softfactory.channel',
             'SELECT 1 FROM softfactory.channel WHERE false',
             'LOCK TABLE softfactory.channel IN ACCESS SHARE MODE')
{
    like(as('sf_stranger', "BEGIN; $sql"), qr/permission denied/, $sql);
}

for my $sql ('SELECT query FROM pg_stat_activity',
             'SELECT pg_listening_channels()',
             'SELECT prosrc FROM pg_proc', 'SELECT tgargs FROM pg_trigger',
             'SELECT * FROM pg_prepared_statements', 'SELECT * FROM pg_locks',
             'SELECT * FROM pg_settings', 'SELECT * FROM pg_stats')
{
    unlike(as('sf_stranger', $sql), qr/$name/, "not by $sql");
}

# what is told is not for him

my ($out, $in) = psql_session('psql', '-XAtq', '-h', $ENV{SF_TEST_PG_DIR},
    '-p', $ENV{SF_TEST_PG_PORT}, '-U', 'sf_stranger', '-d', $::DB);

print $in "LISTEN softfactory; LISTEN softfactory_channel; LISTEN sf_end;\n"
          . "\\echo ready\n";

my $text = '';

read_until($out, \$text, qr/^ready/m, 'the stranger to listen');
owner("UPDATE campaigns SET title = 'secret' WHERE id = 1");
super('NOTIFY sf_end');
print $in "SELECT 1;\n";
read_until($out, \$text, qr/"sf_end"/, 'what is meant for all');
unlike($text, qr/campaigns/, 'he hears of no change');

# nor may he use our functions for a table of his own

for my $role (qw(sf_stranger sf_maker)) {
    like(as($role, "CREATE TEMP TABLE t (LIKE public.campaigns);
             CREATE TRIGGER t AFTER TRUNCATE ON t EXECUTE FUNCTION
             public.softfactory_notify_campaigns()"),
         qr/permission denied for (?:function|schema|table)/,
         "$role: no trigger of a temporary table");
}

like(as('sf_maker', 'CREATE TABLE sf_maker.t (id integer, creator_id integer);
         CREATE TRIGGER t AFTER TRUNCATE ON sf_maker.t EXECUTE FUNCTION
         public.softfactory_notify_campaigns()'),
     qr/permission denied for function/, 'nor of one that he owns');
like(as('sf_maker', 'SELECT public.softfactory_notify_campaigns()'),
     qr/permission denied for function/, 'nor by a call');


=== TEST 2: what a role does in a schema of its own drops nothing
--- check
wait_coherent();
psql('', dbname => $::DB, user => 'postgres', file => "$::EVENTS.sql");
wait_until { x() ne 'HIT' } 'a function of the superuser is a change';
kept();

my $before = source();

for my $i (1 .. 8) {
    as('sf_maker', "CREATE OR REPLACE FUNCTION sf_maker.f() RETURNS integer
        LANGUAGE sql AS 'SELECT $i'; CREATE TYPE sf_maker.e$i AS ENUM ('a')");
    as('sf_maker', "CREATE OR REPLACE FUNCTION sf_maker.softfactory_notify_x()
        RETURNS trigger LANGUAGE plpgsql AS '-- softfactory channel $i
        BEGIN RETURN NULL; END'; DROP TABLE IF EXISTS sf_maker.t;
        CREATE TABLE sf_maker.t (id int); CREATE TRIGGER
        softfactory_notify_insert AFTER INSERT ON sf_maker.t EXECUTE FUNCTION
        sf_maker.softfactory_notify_x()");
    sleep 0.1;
}

is(as('sf_maker', 'SELECT sf_maker.f()'), "8\n", 'he has made them');
is(x(), 'HIT', 'the answer is still there');
sleep 0.6;
is(x(), 'HIT', 'after the next look, too');

my $after = source();

is($after->{schema}{changes}, $before->{schema}{changes}, 'no change is seen');
is($after->{notifications}, $before->{notifications}, 'none is told');
is($after->{flushes}, $before->{flushes}, 'nothing is dropped');

# what a table uses counts, whoever has made it

owner("ALTER TABLE campaigns ENABLE ROW LEVEL SECURITY");
super('GRANT USAGE ON SCHEMA sf_maker TO app');
owner('CREATE POLICY sf ON campaigns USING (sf_maker.f() > 0)');
kept();

my $changes = source()->{schema}{changes};

as('sf_maker', "CREATE OR REPLACE FUNCTION sf_maker.f() RETURNS integer
    LANGUAGE sql AS 'SELECT 9'");
wait_until { source()->{schema}{changes} > $changes } 'a look finds it';
pass('a function that a policy calls');
owner('DROP POLICY sf ON campaigns;
       ALTER TABLE campaigns DISABLE ROW LEVEL SECURITY');
psql('', dbname => $::DB, user => 'postgres', file => "$::EVENTS-remove.sql");


=== TEST 3: what is told by the event triggers, on the channel
--- http_config eval: main::http('1h')
--- check
wait_coherent();
psql('', dbname => $::DB, user => 'postgres', file => "$::EVENTS.sql");

is(change('CREATE TABLE public.sf_t (id integer)', dbname => $::DB), 1,
   'a table in the schema');
is(change('DROP TABLE public.sf_t', dbname => $::DB), 1, 'and its end');

my $before = source()->{notifications};

as('sf_maker', 'CREATE TABLE sf_maker.u (id integer); DROP TABLE sf_maker.u');
sleep 0.3;
is(source()->{notifications}, $before, 'not one of a stranger');
super('GRANT CREATE ON SCHEMA public TO sf_maker');
as('sf_maker', 'CREATE TABLE public.sf_u (id integer)');
wait_until { source()->{notifications} > $before } 'it is told';
pass('unless he may make objects where the tables are');
super('DROP TABLE public.sf_u; REVOKE CREATE ON SCHEMA public FROM sf_maker');
psql('', dbname => $::DB, user => 'postgres', file => "$::EVENTS-remove.sql");


=== TEST 4: a channel without a name, or one that cannot be read
--- check
wait_coherent();
kept();

my $lack = 'tables whose triggers tell on a channel that cannot be read: '
           . 'campaign_applications,';

for my $case (['DELETE FROM softfactory.channel', sub {
                   install_notify($::DB)
               }, 'empty'],
              ['ALTER TABLE softfactory.channel RENAME TO gone', sub {
                   owner('ALTER TABLE softfactory.gone RENAME TO channel')
               }, 'missing'],
              ['ALTER SCHEMA softfactory RENAME TO gone', sub {
                   owner('ALTER SCHEMA gone RENAME TO softfactory')
               }, 'missing'],
              ['REVOKE SELECT ON softfactory.channel FROM app', sub {
                   owner('GRANT SELECT ON softfactory.channel TO app')
               }, 'not readable by the owner of a function'])
{
    my ($sql, $back, $state) = @$case;
    my $before = lines($lack);

    owner($sql);
    wait_until { @{source()->{uncovered}} == 13 } "none is covered: $sql";
    is(source()->{coherent}, JSON::PP::true, "heartbeats go on: $sql");
    is(lines($lack), $before + 1, "the log says why: $sql");

    for my $change ("INSERT INTO campaigns (id, creator_id, title, product_name,
                     deadline) VALUES (50, 1, 't', 'p', 'today')",
                    "UPDATE campaigns SET title = 'unheard' WHERE id IN (1, 50)",
                    'DELETE FROM campaigns WHERE id = 50', 'TRUNCATE payments')
    {
        is(owner($change), '', "no write fails: " . substr($change, 0, 9)
                               . ", $sql");
    }

    wait_until { fetch($::CAMPAIGN)->{body} =~ /"unheard"/ } 'nothing is old';

    my ($status, $text) = command('psql', '-XAtq', '-v', 'check=1',
        '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT},
        '-U', 'app', '-d', $::DB, '-f', $::SQL)->();

    like($text, qr/^channel: $state$/m, "check=1 says it: $sql");
    is($status, 3, "and fails: $sql");

    $back->();
    wait_coherent();
    heard("all is well again: $sql");
}


=== TEST 5: another name, without a gap
--- check
wait_coherent();
listening(1);
kept();

my $old = names();
my $flushes = source()->{flushes};
my $late = hold("UPDATE campaigns SET title = 'late' WHERE id = 2",
                dbname => $::DB);

owner('INSERT INTO softfactory.channel DEFAULT VALUES');
listening(2);
wait_until { source()->{flushes} == $flushes + 1 } 'everything is dropped';

my ($new) = grep { $_ ne $old } split / /, names();

is(change("UPDATE campaigns SET title = 'both' WHERE id = 1",
          dbname => $::DB), 2, 'it is told on both');
heard('and heard');
fetch('/api/review/campaigns/2') for 1 .. 3;
owner("DELETE FROM softfactory.channel WHERE name = '$old'");
listening(1);
sleep 0.6;
is(source()->{channel_names}, 1, 'one is left');
heard('changes are heard on it');

# one that was told on the old name only, and is committed now

wait_until { x('/api/review/campaigns/2') eq 'HIT' } 'an answer is kept';
$late->release;
wait_until { fetch('/api/review/campaigns/2')->{body} =~ /"late"/ }
           'it is heard all the same';
pass('who has told before is waited for');

my $unheard = source();

wait_until {
    super("SELECT pg_notify('$old', 'payments')");
    my $now = source()->{notifications};
    super("SELECT pg_notify('$old', 'payments')");
    sleep 0.1;
    source()->{notifications} == $now;
} 'then nobody listens to the old name';
pass('then nobody listens to the old name');
heard('the new one is heard');

# both at once

$flushes = source()->{flushes};
owner('BEGIN; DELETE FROM softfactory.channel;
       INSERT INTO softfactory.channel DEFAULT VALUES; COMMIT');
wait_until { source()->{flushes} > $flushes } 'everything is dropped';
heard('one that takes the place of another is heard');
isnt(names(), $new, 'it is another');


=== TEST 6: triggers of before there was a secret
--- check
wait_coherent();
kept();
old_kind($_) for qw(campaigns users);
wait_until { "@{source()->{open_channel}}" eq 'campaigns users' }
           'the status names them';
wait_coherent();
is(metric('softfactory_listener_open_tables'), 2, 'metrics count them');
is(lines('changes are told on the open channel, where every role may listen '
         . 'and speak: campaigns, users; run '
         . 'conf/postgresql/softfactory-tables.sql'), 1,
   'the log says it once');
heard('changes are heard on it');

my $before = source()->{notifications};

as('sf_stranger', "NOTIFY softfactory, 'campaigns id=1'");
wait_until { source()->{notifications} > $before } 'as is whatever is said';

# whoever takes over hears it, too

my $flushes = source()->{flushes};

hup();
wait_until { grep { $_ == source()->{listener_pid} } worker_pids() }
           'a new one listens';
wait_coherent();
heard('after a reload');
is(source()->{flushes}, $flushes, 'which drops nothing');

# a writer that has told there is waited for

my $late = hold("UPDATE campaigns SET title = 'late' WHERE id = 2",
                dbname => $::DB);
my $install = command('psql', '-Xq', '-v', 'ON_ERROR_STOP=1',
    '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT},
    '-U', 'app', '-d', $::DB, '-f', $::SQL);

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") }
           'the file waits';
fetch('/api/review/campaigns/2') for 1, 2;
$late->release;
is(join('', $install->()), '0', 'then it goes on');
wait_until { fetch('/api/review/campaigns/2')->{body} =~ /"late"/ }
           'what was told before it is heard';
wait_until { !@{source()->{open_channel}} } 'the open channel is left';
wait_coherent();
is(lines('nothing is told on the open channel any more'), 1, 'the log says so');
heard('changes are heard on the other one');
$before = source()->{notifications};
as('sf_stranger', "NOTIFY softfactory, 'campaigns id=1'");
heard('and only there');
is(source()->{notifications}, $before + 1, 'strangers are not');


=== TEST 7: a queue that is full costs no write
--- check
wait_coherent();
kept();
usage(0.39);
wait_coherent();
heard('less than four tenths: as ever');
usage(0.4);
wait_until { !source()->{coherent} } 'four tenths: nothing is trusted';
like(live(), qr/"listener"/, 'it is degraded');
is(lines("the server's notification queue is 40% full"), 1, 'the log says so');

my $before = source()->{notifications};

owner("UPDATE campaigns SET title = 'told' WHERE id = 1");
wait_until { source()->{notifications} == $before + 1 } 'it is told still';
usage(0.5);
fetch($::CAMPAIGN);
is(change("UPDATE campaigns SET title = 'half' WHERE id = 1",
          dbname => $::DB), 0, 'half: silence, and no error');
is(change('TRUNCATE payments', dbname => $::DB), 0, 'nor of TRUNCATE');
wait_until { fetch($::CAMPAIGN)->{body} =~ /"half"/ } 'nothing is old';

# one that was silent is committed when there is room again

my $late = hold("UPDATE campaigns SET title = 'silent' WHERE id = 2",
                dbname => $::DB);

usage(0.1);
sleep 1.2;
is(source()->{coherent}, JSON::PP::false, 'who has been silent is waited for');
fetch('/api/review/campaigns/2') for 1, 2;

my $flushes = source()->{flushes};

$late->release;
wait_until { fetch('/api/review/campaigns/2')->{body} =~ /"silent"/ }
           'nothing is old then, either';
wait_coherent();
cmp_ok(source()->{flushes}, '>', $flushes, 'then everything is dropped');
like(fetch('/api/review/campaigns/2')->{body}, qr/"silent"/, 'nothing is old');
is(live(), '', 'all is well');
is(lines("the server's notification queue has room again"), 1,
   'the log says so');
heard('changes are heard');
usage(undef);
wait_coherent();


=== TEST 8: what cannot be read
--- check
wait_coherent();
kept();

my $name = names();
my ($out, $in, $pid) = psql_session(SoftFactory::psql_words(dbname => $::DB));
my $text = '';

print $in "SELECT 'pid ' || pg_backend_pid();\n";
read_until($out, \$text, qr/^pid (\d+)\n/, 'a session');
my ($backend) = $text =~ /(\d+)/;

my ($before, $time) = (source(), time);

for my $i (1 .. 400) {
    print $in "SELECT pg_notify('$name', 'campaigns id=,$i') IS NULL;\n"
              . "SELECT pg_sleep(0.002) IS NULL;\n";
}

print $in "SELECT 'done';\n";

my ($polls, $doubted) = (0, 0);

wait_until {
    my $source = source();

    if ($source->{unreadable} > $before->{unreadable} + 1) {
        $polls++;
        $doubted += !$source->{coherent};
    }

    $source->{unreadable} >= $before->{unreadable} + 400;
} 'all is heard';

my $seconds = time - $time;

cmp_ok($doubted, '>', $polls / 2, 'nothing is trusted meanwhile');
cmp_ok(source()->{flushes} - $before->{flushes}, '<=', 2 + 4 * $seconds,
       'everything is dropped four times a second, at most');
cmp_ok(source()->{flushes} - $before->{flushes}, '>=', 2, 'and is');
wait_coherent();
is(lines('a notification cannot be read, everything is dropped; it comes from '
         . "the server process $backend"), 1, 'the sender is named, once');
is(metric('softfactory_listener_unreadable_total'), 400, 'metrics count them');
heard('changes are heard');


=== TEST 9: a copy of the schema
--- check
my ($status, $dump) = command("$ENV{SF_TEST_PG_BIN}/pg_dump", '--schema-only',
    '-N', 'sf_maker',
    '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT}, '-U', 'postgres',
    $::DB)->();

is($status, 0, 'pg_dump works');

unlike($dump, qr/sf_[0-9a-f]{32}/, 'the name is not in it');
psql('', dbname => $::COPY, user => 'postgres',
     file => write_file(scratch_dir() . '/copy.sql', $dump));

my $count = sub {
    psql('SELECT count(*) FROM softfactory.channel', dbname => $::COPY);
};

is($count->(), 0, 'nor in the copy');
is(psql("INSERT INTO public.users (id, email, password_hash, name)
         VALUES (1, 'e', '!', 'n')", dbname => $::COPY), '', 'no write fails');
is(psql("UPDATE public.users SET name = 'm'", dbname => $::COPY), '',
   'nor a change');
install_notify($::COPY);
is($count->(), 1, 'the file makes a name where there is none');

my $mine = psql('TABLE softfactory.channel', dbname => $::COPY);

install_notify($::COPY);
is(psql('TABLE softfactory.channel', dbname => $::COPY), $mine,
   'and leaves the one that is there');
unlike($mine, qr/${\ names()}/, 'another than elsewhere');


=== TEST 10: a role that cannot connect, and one that does not end what it has begun
--- check
my $by_all = sub {
    psql($_[0], dbname => 'postgres', user => 'postgres');
};

super("REVOKE CONNECT ON DATABASE $::DB FROM PUBLIC");
like(as('sf_stranger', "NOTIFY softfactory, 'users'"),
     qr/permission denied for database/, 'he cannot say anything');
super("GRANT CONNECT ON DATABASE $::DB TO PUBLIC");

# as the manual has it, in less time

$by_all->("ALTER ROLE sf_stranger SET idle_in_transaction_session_timeout
           = '200ms'");

my ($out, $in) = psql_session('sh', '-c', 'exec "$@" 2>&1', 'sh', 'psql',
    '-XAtq', '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT},
    '-U', 'sf_stranger', '-d', $::DB);
my $text = '';

print $in "LISTEN a; BEGIN; SELECT 'begun';\n";
read_until($out, \$text, qr/^begun/m, 'a transaction to begin');
wait_until {
    !backends("usename = 'sf_stranger'")
} 'his session has been ended';
pass('who stays in a transaction is ended');

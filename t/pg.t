# PostgreSQL as the module sees it: ways to connect, what a session is set to,
# bounds of the pool, errors of statements and of schemas, several databases
# and servers.  Locks stand in for slow statements: what waits for one has
# been sent, and goes on when the test says so.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
master_on();
worker_connections(512);
log_level('info');
plan('no_plan');

our ($A, $B) = (scratch('sf_pg_a'), scratch('sf_pg_b'));
our $dir = scratch_dir();
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';

our $ROWS = <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       deadline, status, created_at)
SELECT n, 1, 'of ' || n || ' in ' || current_database(), 'p', 'c',
       'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 20) n
SQL

for my $db ($A, $B) {
    psql($_, dbname => $db) for split /;\n/, $ROWS;
}

psql('DELETE FROM campaigns WHERE id > 15', dbname => $B);


# title($response): its status and the title of the campaign that it is

sub title {
    my ($res) = @_;

    return $res->{status} . ' '
           . ($res->{body} =~ /"title":"([^"]*)"\}\n\z/ ? $1 : 'none');
}


# error($response): its status and error

sub error {
    my ($res) = @_;

    return $res->{status} . ' '
           . ($res->{body} =~ /^\{"error":"([^"]*)"\}\n\z/ ? $1 : 'none');
}


# at($prefix, $upstream, @lines): the API below a prefix

sub at {
    my ($prefix, $upstream, @lines) = @_;

    return "location /$prefix/ {\n    rewrite ^/$prefix(/.*) \$1 break;\n"
           . "    softfactory_pass $upstream;\n" . join('', @lines) . "}\n";
}


# all(@texts): one text, as blocks of nginx's configuration are

sub all {
    return join '', @_;
}


# statement($path, $lane, $sql): a statement with one column, see t/modules

sub statement {
    my ($path, $lane, $sql, $upstream) = @_;

    $upstream //= 'primary';

    return "location = /$path { softfactory_test_statement $upstream $lane 1 "
           . "\"$sql\"; }\n";
}


# cell($path): what such a statement brings

sub cell {
    my ($path) = @_;

    my $body = fetch($path)->{body};

    return $body =~ /^outcome:0 .*\n(.*)\|\n\z/ ? $1 : $body;
}


# sessions($like): of the scratch databases, by their application_name

sub sessions {
    my ($like, $more) = @_;

    return backends("datname LIKE 'sf\\_pg\\__' AND application_name LIKE "
                    . "'$like' AND " . ($more // 'true'));
}


# authority($name, $subject): makes a certificate authority and a key and
# certificate that it has signed for another name

sub authority {
    my ($name, $subject) = @_;

    my $file = "$dir/$name";

    openssl('req', qw(-x509 -newkey rsa:2048 -nodes -days 2 -subj),
            "/CN=$name", '-keyout', "$file.key", '-out', "$file.crt");
    openssl('req', qw(-newkey rsa:2048 -nodes -subj), "/CN=$subject",
            '-keyout', "$file.server.key", '-out', "$file.csr");
    openssl('x509', qw(-req -days 2 -in), "$file.csr", '-CA', "$file.crt",
            '-CAkey', "$file.key", '-CAcreateserial', '-out',
            "$file.server.crt");

    chmod 0644, "$file.crt";
    return $file;
}

our $OTHER_CA = authority('other-ca', 'elsewhere.test');

# a server with a certificate of another name

our $elsewhere = pg_server('elsewhere');

{
    my $conf = "$elsewhere->{dir}/data/postgresql.conf";

    for my $suffix (qw(crt key)) {
        my $file = "$elsewhere->{dir}/server.$suffix";

        write_file($file, SoftFactory::Live::read_file(
                              "$OTHER_CA.server.$suffix"), 0600);
        chown +(getpwnam 'postgres')[2, 3], $file if $> == 0;
    }

    write_file($conf, SoftFactory::Live::read_file($conf)
        . "ssl = on\nssl_cert_file = '$elsewhere->{dir}/server.crt'\n"
        . "ssl_key_file = '$elsewhere->{dir}/server.key'\n");
    $elsewhere->stop('fast');
    $elsewhere->start;
}

# libpq reads a password only from a file of mode 0600

our $passfile = write_file("$dir/passfile", "*:*:*:app:secret\n", 0600);
our $wrongpass = write_file("$dir/wrongpass", "*:*:*:app:wrong\n", 0600);

if ($> == 0) {
    chown compiled_user(), $passfile, $wrongpass;
}

run_tests();

__DATA__

=== TEST 1: a server is reached by TCP, TLS or its socket, if all is right
--- http_config eval
my $tcp = "127.0.0.1:$ENV{SF_TEST_PG_PORT}";
my $app = "dbname=$::A user=app passfile=$::passfile";
my $ca = "sslmode=verify-full sslrootcert";

main::conf(name => 'socket', dbname => $::A)
. main::conf(name => 'tcp', server => $tcp, conninfo => $app)
. main::conf(name => 'uri', server => $tcp, conninfo =>
             "postgresql://app\@/$::A?passfile=$::passfile&sslmode=require")
. main::conf(name => 'tls', server => "localhost:$ENV{SF_TEST_PG_PORT}",
             conninfo => "$app $ca=$ENV{SF_TEST_PG_CA}")
. main::conf(name => 'address', server => $tcp,
             conninfo => "$app $ca=$ENV{SF_TEST_PG_CA}")
. main::conf(name => 'wrong-ca', server => $tcp,
             conninfo => "$app $ca=$::OTHER_CA.crt")
. main::conf(name => 'wrong-host', server =>
             "127.0.0.1:$::elsewhere->{port}",
             conninfo => "$app $ca=$::OTHER_CA.crt")
. main::conf(name => 'no-password', server => $tcp,
             conninfo => "dbname=$::A user=app")
. main::conf(name => 'wrong-password', server => $tcp,
             conninfo => "dbname=$::A user=app passfile=$::wrongpass")
. main::conf(name => 'no-database', dbname => 'sf_pg_nothing')
. main::conf(name => 'no-server', server => "127.0.0.1:"
             . main::free_port())
--- config eval
main::all(map { main::at($_, $_) } qw(socket tcp uri tls address wrong-ca
    wrong-host no-password wrong-password no-database no-server))
--- check
for my $way (qw(socket tcp uri tls address)) {
    wait_until { get("/$way$::CAMPAIGN/1")->{status} == 200 }
               "there is an answer by $way";
    is(title(get("/$way$::CAMPAIGN/1")), "200 of 1 in $::A", "by $way");
}

my $tls = sub {
    psql("SELECT count(*), count(*) FILTER (WHERE ssl), count(client_addr)
            FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid)
           WHERE datname = '$::A' AND application_name LIKE 'softfactory/%'
             AND ssl = $_[0]", user => 'postgres');
};

# one process under valgrind, two workers else

my $least = $ENV{TEST_NGINX_USE_VALGRIND} ? 3 : 5;

wait_until { (split /\|/, $tls->('true'))[0] >= $least }
           'as many by TLS as there are';
like($tls->('true'), qr/^(\d+)\|\1\|\1$/, 'those by TLS');

# each failure by name, and what libpq says of it, in one line

for (['wrong-ca', 'certificate verify failed'],
     ['wrong-host', 'server certificate for "elsewhere.test" does not match '
                    . 'host name "127.0.0.1"'],
     ['no-password', 'no password supplied'],
     ['wrong-password', 'password authentication failed for user "app"'],
     ['no-database', 'database "sf_pg_nothing" does not exist'],
     ['no-server', 'Connection refused'])
{
    my ($name, $why) = @$_;
    my $res = wait_until {
        my $res = get("/$name$::CAMPAIGN/1");
        $res->{status} == 503 && $res;
    } "there is no answer by $name";

    is(error($res), '503 Database unavailable', "$name: 503");
    like($res->{headers}{'retry-after'}, qr/^[1-9]\d*$/,
         "$name: Retry-After");
    wait_until { log_count(qr/\[error\].*upstream "$name", \S+: connect/)
                 && log_count(qr/"$name", \S+: connect failed: .*\Q$why\E/) }
               "the log tells of $name";
    pass("$name: the log tells why");
}
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 2: a session is set to what the responses need
--- http_config eval
main::conf(dbname => $::A, pool => 'timeout=1234ms heavy_timeout=5678ms '
           . 'write_timeout=4321ms lock_timeout=321ms')
. main::conf(name => 'named', conninfo =>
             "dbname=$::A user=app application_name=api options='-c "
             . "statement_timeout=777 -c work_mem=8MB "
             . '-c Client-Connection-Check-Interval=0 '
             . '-c standard_conforming_strings=off '
             . "-c sear\\\\\\\\ch_path=public'")
--- config eval
main::all(SoftFactory::api(), main::at('named', 'named'),
    main::statement('own', 'read', 'SELECT current_setting($1)', 'named'),
    map { main::statement($_, $_, 'SELECT current_setting($1)') }
    qw(read totals heavy write))
--- check
my %all = (TimeZone => 'UTC', DateStyle => 'ISO, MDY',
           IntervalStyle => 'postgres', extra_float_digits => 1,
           client_encoding => 'UTF8', search_path => 'pg_catalog,pg_temp',
           jit => 'off', standard_conforming_strings => 'on',
           default_transaction_isolation => 'read committed',
           client_connection_check_interval => '500ms');

my %lane = (read => ['on', '1234ms', 0], totals => ['on', '5678ms', 0],
            heavy => ['on', '5678ms', 0],
            write => ['off', '4321ms', '321ms']);

for my $lane (sort keys %lane) {
    my %want = (%all, default_transaction_read_only => $lane{$lane}[0],
                statement_timeout => $lane{$lane}[1],
                lock_timeout => $lane{$lane}[2],
                application_name => "softfactory/$lane");

    is(cell("/$lane?v=$_"), $want{$_}, "$lane: $_") for sort keys %want;
}

# the user's own options win

get("/named$::CAMPAIGN");
is(sessions('api/read') > 0, 1, 'application_name of the connection string');
is(sessions('api/totals'), 1, 'in each lane');
is(cell('/own?v=work_mem'), '8MB', 'so does what options say');
is(cell('/own?v=client_connection_check_interval'), '0',
   'and what a server may not be able to do');
is(cell('/own?v=search_path'), $all{search_path},
   'but not over where names are found');
is(cell('/own?v=standard_conforming_strings'), 'on',
   'nor over what a string is');


=== TEST 3: there are never more backends than configured
--- http_config eval
main::conf(dbname => $::A, pool =>
           'connections=3 totals=2 depth=4 timeout=60s heavy_timeout=60s '
           . 'wait=60s connect_timeout=10s')
--- config eval: SoftFactory::api('softfactory_fair_key "";')
--- check
wait_until { sessions('softfactory/read') == 3 } 'the read lane is warm';
is(sessions('softfactory/totals'), 0, 'the others connect when asked');

my $lock = hold($::LOCK, dbname => $::A);
my @read = map { start("$::CAMPAIGN/" . ($_ % 20 + 1)) } 1 .. 60;
my @lists = map { start("$::CAMPAIGN?page=" . ($_ % 10 + 1)
                        . "&per_page=1&category=c$_") } 1 .. 60;

# one that is held up speaks for its endpoint, so it need not be all of them

wait_until { sessions('softfactory/read', "wait_event_type = 'Lock'")
             && sessions('softfactory/totals', "wait_event_type = 'Lock'") }
           'the lock is waited for in both lanes';
cmp_ok(sessions('softfactory/read'), '<=', 5, 'not more, with two spare ones');
cmp_ok(sessions('softfactory/totals'), '<=', 2, 'nor in the other lane');
is(scalar(grep { $_->pending } @read, @lists), 120, 'nobody is answered');
$lock->release;

is_deeply([map { title($_->finish) } @read],
          [map { '200 of ' . ($_ % 20 + 1) . " in $::A" } 1 .. 60],
          'each has its own answer');
is(scalar(grep { my $s = $_->finish->{status}; $s == 200 || $s == 404 }
          @lists), 60, 'also the lists');
cmp_ok(sessions('softfactory/%'), '<=', 7, 'and not one more since');


=== TEST 4: statements are prepared and share a Sync unless that is off
--- http_config eval
main::all(map { my ($p, $s) = /(\w+)-(\w+)/;
                main::conf(name => $_, dbname => $::A, pool =>
                           "connections=1 prepare=$p shared_sync=$s") }
    qw(on-on on-off off-on off-off))
--- config eval
main::all(map { my $name = $_;
    main::at($name, $name)
    . main::statement("$name-now", 'read',
                      'SELECT extract(epoch from now())', $name)
    . main::statement("$name-prepared", 'read',
                      'SELECT count(*) FROM pg_prepared_statements', $name)
    . <<"CONF" } qw(on-on on-off off-on off-off));
location = /$name-both {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/$name-now" --><!--#include
                virtual="/$name-now" -->';
}
CONF
--- check
for my $name (qw(on-on on-off off-on off-off)) {
    my ($prepare, $shared) = split /-/, $name;

    is(title(get("/$name$::CAMPAIGN/$_")), "200 of $_ in $::A", "$name: $_")
        for 1 .. 3;
    is_deeply([map { title($_) } get_all(20, "/$name$::CAMPAIGN/7")],
              [("200 of 7 in $::A") x 20], "$name: twenty at once");
    is(get("/$name$::CAMPAIGN")->{status}, 200, "$name: a list");

    cell("/$name-now");

    my $n = cell("/$name-prepared");

    ok($prepare eq 'on' ? $n >= 2 : $n eq '0', "$name: $n are prepared");

    # statements under one Sync are one transaction, which has one time

    my ($one, $two) = fetch("/$name-both")->{body} =~ /^(\d+\.\d+)\|$/mg;

    ok($one && $two, "$name: two statements at once");
    is($one eq $two ? 'on' : 'off', $shared, "$name: shared_sync");
}


=== TEST 5: a statement that takes too long is a 504
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1 heavy=1 timeout=200ms '
           . 'heavy_timeout=300ms')
--- config eval: SoftFactory::api()
--- check
get("$::CAMPAIGN/1");
get($::CAMPAIGN);
select undef, undef, undef, 1.1;    # a total is kept for a second

my $lock = hold($::LOCK, dbname => $::A);
my $time = Time::HiRes::time();
my $res = get("$::CAMPAIGN/1");

is(error($res), '504 Database timeout', 'a row');
is($res->{headers}{'retry-after'}, undef, 'without Retry-After');
cmp_ok(Time::HiRes::time() - $time, '>', 0.19, 'after its time');
is(error(get($::CAMPAIGN)), '504 Database timeout', 'a list');
is(get('/api/review/listings')->{status}, 200, 'others are answered');

# one that would have been prepared first is no other

is(error(get("$::CAMPAIGN?category=c&per_page=2")), '504 Database timeout',
   'one that was not sent before');
is(error(get("$::CAMPAIGN/1")), '504 Database timeout',
   'the endpoint is not given up');
$lock->release;

is(title(get("$::CAMPAIGN/1")), "200 of 1 in $::A", 'and then it is there');
is(get("$::CAMPAIGN?category=c&per_page=2")->{status}, 200,
   'so is the one that was not sent before');
is(log_count(qr/\[error\].*57014 canceling statement/) > 0, 1,
   'the log tells so');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 6: what is wrong with a table is its endpoints' affair alone
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1 heavy=1 lifetime=0')
--- config eval: SoftFactory::api()
--- check
my $sql = sub { psql($_[0], dbname => $::A) };

# a privilege

get("$::CAMPAIGN/1");
$sql->('REVOKE SELECT ON campaigns FROM app');
is(error(get("$::CAMPAIGN/1")), '403 Forbidden', 'a missing privilege');
is(error(get('/api/review/my-campaigns')), '403 Forbidden',
   'another endpoint of the table');
is(get('/api/review/listings')->{status}, 200, 'others are answered');
is(log_count(qr/\[error\].*42501 permission denied for table campaigns/) > 0,
   1, 'the log tells so');
$sql->('GRANT SELECT ON campaigns TO app');
is(title(get("$::CAMPAIGN/1")), "200 of 1 in $::A", 'it is given back');

# a table, on a fresh connection and on one that has prepared its statement

for my $what ('known', 'unknown') {
    my $path = $what eq 'known' ? "$::CAMPAIGN/1" : '/api/review/bookmarks';
    my $table = $what eq 'known' ? 'campaigns' : 'review_bookmarks';
    my $lines = log_count(qr/\[error\].*42P01/);

    select undef, undef, undef, 1.1;    # a line a second
    $sql->("ALTER TABLE $table RENAME TO away");

    my @res = map { get($path) } 1 .. 5;

    is_deeply([map { error($_) } @res], [('503 Endpoint unavailable') x 5],
              "$what: its endpoint");
    like($res[0]{headers}{'retry-after'}, qr/^[1-9]\d*$/,
         "$what: Retry-After");
    is_deeply([map { error($_) } get_all(5, $path)],
              [('503 Endpoint unavailable') x 5], "$what: five at once");
    is(log_count(qr/\[error\].*42P01/) - $lines, 1,
       "$what: one line tells so");
    is(log_count(qr/\[error\].*42P01 relation "public.$table" does not exist/), 1,
       "$what: and why");
    is(get('/api/sns/accounts')->{status}, 200, "$what: others are answered");

    $sql->("ALTER TABLE away RENAME TO $table");
    wait_until { get($path)->{status} == 200 } "$what: it is back", 3;
    pass("$what: it is answered again");
}

# a column

$sql->('ALTER TABLE campaigns RENAME COLUMN reward_type TO away');
select undef, undef, undef, 1.1;
is(error(get("$::CAMPAIGN/1")), '503 Endpoint unavailable', 'a column');
$sql->('ALTER TABLE campaigns RENAME COLUMN away TO reward_type');
wait_until { get("$::CAMPAIGN/1")->{status} == 200 } 'it is back', 3;

is(sessions('softfactory/read'), 1, 'one connection');
is(log_count(qr/connection lost|does not match the pipeline/), 0,
   'which never had to be closed');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 7: a plan that has become wrong is made again unseen
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1 heavy=1 lifetime=0')
. main::conf(name => 'single', dbname => $::A,
             pool => 'connections=1 shared_sync=off')
--- config eval
SoftFactory::api() . main::at('single', 'single')
. main::all(map { main::statement("forget-$_", 'read',
    "SELECT count(*) FROM public.sf_forget()", $_) } qw(primary single))
--- check
my $sql = sub { psql($_[0], dbname => $::A) };
my $pid = sub {
    psql("SELECT string_agg(pid::text, ',' ORDER BY pid) FROM
          pg_stat_activity WHERE datname = '$::A' AND application_name =
          'softfactory/read'", user => 'postgres');
};

for my $prefix ('', '/single') {
    is(title(get("$prefix$::CAMPAIGN/$_")), "200 of $_ in $::A",
       "'$prefix' before: $_") for 1, 2;
}

my $before = $pid->();

# cached plan must not change result type (0A000)

for my $type ('text', 'varchar(300)') {
    $sql->("ALTER TABLE campaigns ALTER COLUMN title TYPE $type");

    for my $prefix ('', '/single') {
        is_deeply([map { title($_) } get_all(10, "$prefix$::CAMPAIGN/3")],
                  [("200 of 3 in $::A") x 10],
                  "'$prefix' when the title is $type");
        is(get("$prefix$::CAMPAIGN?page=2&per_page=5")->{status}, 200,
           "'$prefix' a list when the title is $type");
    }
}

# a statement that the session does not know any more (26000): a function
# forgets them all

$sql->(<<'SQL');
CREATE OR REPLACE FUNCTION sf_forget() RETURNS SETOF int LANGUAGE plpgsql AS
$$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$
SQL

for my $prefix ('', '/single') {
    my $name = $prefix ? 'single' : 'primary';

    is(cell("/forget-$name"), 0, "$name: all is forgotten");
    is_deeply([map { title($_) } get_all(10, "$prefix$::CAMPAIGN/4")],
              [("200 of 4 in $::A") x 10], "$name: nobody notices");
}

is($pid->(), $before, 'the connections are the same');
is(log_count(qr/\[(?:warn|error)\]/), 0, 'the log has nothing');


=== TEST 8: a queue has an end, and waiting in it too
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1 depth=1 queue=8 wait=700ms '
           . 'timeout=30s')
--- config eval: SoftFactory::api('softfactory_fair_key "";')
--- check
get("$::CAMPAIGN/1");

my $lock = hold($::LOCK, dbname => $::A);
my $first = start("$::CAMPAIGN/1");

wait_until { sessions('softfactory/read', "wait_event_type = 'Lock'") }
           'the first is sent';

my @queued = map { start("$::CAMPAIGN/$_") } 2, 3;
my $time = Time::HiRes::time();
my $res = wait_until {
    my $res = fetch("$::CAMPAIGN/4");
    $res->{status} == 503 && $res;
} 'a quarter of the queue is full';

is(error($res), '503 Server is busy', 'one more is refused');
is($res->{headers}{'retry-after'}, 1, 'with Retry-After');
ok($queued[0]->pending && $queued[1]->pending && $first->pending,
   'at once: the others still wait');

is(error($_->finish), '504 Database timeout', 'those that wait too long')
    for @queued;
cmp_ok(Time::HiRes::time() - $time, '>', 0.5, 'after their time');
ok($first->pending, 'the first is still held');
$lock->release;
is(title($first->finish), "200 of 1 in $::A", 'and has its answer');
is(title(get("$::CAMPAIGN/2")), "200 of 2 in $::A", 'so has the next');


=== TEST 9: a client that goes away makes room
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1 depth=1 queue=2 wait=30s '
           . 'timeout=30s')
--- config eval: SoftFactory::api('softfactory_fair_key "";')
--- check
my $lock = hold($::LOCK, dbname => $::A);
my $first = start("$::CAMPAIGN/1");

wait_until { sessions('softfactory/read', "wait_event_type = 'Lock'") }
           'the first is sent';

my @queued = map { start("$::CAMPAIGN/$_") } 2, 3;

wait_until { fetch("$::CAMPAIGN/4")->{status} == 503 } 'the queue is full';
$_->close for @queued;

my $fourth = start("$::CAMPAIGN/4");

wait_until { !$fourth->pending
             ? ($fourth = fetch_again($fourth)) && 0
             : $fourth->pending } 'there is room';

sub fetch_again {
    my ($c) = @_;

    $c->finish;
    return start("$::CAMPAIGN/4");
}

# the first goes too: its result comes, and nobody takes it for his

$first->close;
$lock->release;
is(title($fourth->finish), "200 of 4 in $::A", 'it has its own answer');
is(title(get("$::CAMPAIGN/5")), "200 of 5 in $::A", 'so has the next');


=== TEST 10: variables tell the endpoint and where the time went
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1 depth=1 timeout=30s '
           . 'wait=30s')
. <<'CONF'
log_format times '$request_uri|$status|$softfactory_endpoint|'
                 '$softfactory_db_time|$softfactory_queue_time';
CONF
--- config eval
SoftFactory::api('access_log logs/times.log times;')
. "location = /plain { return 200; }\n"
--- check
get("$::CAMPAIGN/1");

my $lock = hold($::LOCK, dbname => $::A);
my $first = start("$::CAMPAIGN/1?first");

wait_until { sessions('softfactory/read', "wait_event_type = 'Lock'") }
           'the first is sent';

my $second = start("$::CAMPAIGN/2?second");

select undef, undef, undef, 0.3;
$lock->release;
$_->finish for $first, $second;

get($_) for '/api/sns/templates', '/api/nothing', '/plain',
            "$::CAMPAIGN?page=0", '/api/review/listings?last';

my $log = wait_until { access_log('times.log') =~ /\?last.*\n/
                       && access_log('times.log') } 'all is logged';
my $line = sub { [split /\|/, ($log =~ /^\Q$_[0]\E\|(.*)$/m)[0]] };

my $one = $line->("$::CAMPAIGN/1?first");
my $two = $line->("$::CAMPAIGN/2?second");

is($one->[1], 'review_campaign', 'the endpoint');
like($_, qr/^\d+\.\d{6}$/, 'a time in seconds')
    for @$one[2, 3], @$two[2, 3];
cmp_ok($one->[2], '>', 0.25, 'the first was with the database');
cmp_ok($one->[3], '<', 0.25, 'and not in the queue');
cmp_ok($two->[3], '>', 0.25, 'the second was in the queue');
cmp_ok($two->[2], '<', 0.25, 'and not with the database');

is_deeply($line->('/api/sns/templates'),
          ['200', 'sns_templates', '0.000000', '0.000000'],
          'an endpoint without a database');
is_deeply($line->('/api/nothing'), ['404', '-', '0.000000', '0.000000'],
          'no endpoint');
is_deeply($line->('/plain'), ['200', '-', '-', '-'], 'no API');
is($line->("$::CAMPAIGN?page=0")->[1], 'review_campaigns', 'an error');
cmp_ok($line->('/api/review/listings?last')->[2], '>', 0,
       'a list, with both of its statements');


=== TEST 11: a connection is renewed after its lifetime
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1 heavy=1 lifetime=400ms')
. main::conf(name => 'forever', conninfo =>
             "dbname=$::A user=app application_name=forever",
             pool => 'connections=1 lifetime=0')
--- config eval: SoftFactory::api() . main::at('forever', 'forever')
--- check
my $pid = sub {
    psql("SELECT string_agg(pid::text, ',') FROM pg_stat_activity
           WHERE datname = '$::A' AND application_name = '$_[0]/read'",
         user => 'postgres');
};

get("/forever$::CAMPAIGN/1");

my $forever = $pid->('forever');
my (%seen, %status);
my $end = time + 2;

while (time < $end) {
    $seen{$pid->('softfactory')}++;
    $status{title(get("$::CAMPAIGN/6"))}++;
}

cmp_ok(scalar keys %seen, '>=', 3, 'there were several');
is(scalar(grep { /,/ } keys %seen), 0, 'one at a time');
is_deeply([keys %status], ["200 of 6 in $::A"], 'nobody noticed');

get("/forever$::CAMPAIGN/1");
is($pid->('forever'), $forever, 'lifetime=0 means for ever');


=== TEST 12: two databases never mix
--- http_config eval
main::conf(name => 'a', dbname => $::A, pool => 'connections=1 heavy=1')
. main::conf(name => 'b', dbname => $::B, pool => 'connections=1 heavy=1')
--- config eval: main::at('a', 'a') . main::at('b', 'b')
--- check
my %db = (a => $::A, b => $::B);
my %total = (a => 20, b => 15);
my @order = map { [$_ % 3 ? 'a' : 'b', $_ % 15 + 1] } 1 .. 120;

for my $round (1, 2) {
    my @clients = map { start("/$_->[0]$::CAMPAIGN/$_->[1]") } @order;
    my @lists = map { [$_, start("/$_$::CAMPAIGN?per_page=50")] }
                map { ('a', 'b') } 1 .. 20;

    is_deeply([map { title($_->finish) } @clients],
              [map { "200 of $_->[1] in $db{$_->[0]}" } @order],
              "120 rows, round $round");

    my @wrong = grep {
        my $doc = document($_->[1]->finish->{body});
        my $db = $db{$_->[0]};

        $doc->{total} != $total{$_->[0]}
        || @{$doc->{campaigns}} != $total{$_->[0]}
        || grep { $_->{title} !~ / in $db"$/ } @{$doc->{campaigns}};
    } @lists;

    is(scalar @wrong, 0, "40 lists and totals, round $round");
}


=== TEST 13: replicas stand in for a primary, and a primary is found
--- http_config eval
$::P = main::pg_server('primary');
$::P->psql('', file => "$ENV{SF_TEST_SQL}/schema.sql", user => 'app');
$::P->psql($_, user => 'app') for split /;\n/, $::ROWS;
$::S = main::pg_standby('standby', $::P);

my ($p, $s) = map { "unix:$_->{socket}" } $::P, $::S;

<<"CONF"
upstream primary {
    server $p;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connections=2 timeout=10s;
}
upstream replicas {
    server $s;
    softfactory_pg "dbname=softfactory user=app application_name=replica";
}
upstream either {
    server $s fail_timeout=1s;
    server $p fail_timeout=1s;
    softfactory_pg "dbname=softfactory user=app application_name=either";
}
CONF
--- config eval
main::at('rep', 'primary replicas=replicas') . main::at('alone', 'primary')
. main::at('either', 'either')
--- check
# what the standby has is old: it does not replay, so an answer tells its server

wait_until { $::S->psql('SELECT count(*) FROM campaigns') == 20 }
           'the standby has the rows';
$::S->psql('SELECT pg_wal_replay_pause()');
wait_until { $::S->psql('SELECT pg_get_wal_replay_pause_state()')
             eq 'paused' } 'the standby is paused';
$::P->psql("UPDATE campaigns SET title = 'new'", user => 'app');

my $old = '200 of 1 in softfactory';

is(title(get("/rep$::CAMPAIGN/1")), '200 new', 'the primary is asked');
is(title(get("/alone$::CAMPAIGN/1")), '200 new', 'also alone');
wait_until { title(get("/either$::CAMPAIGN/1")) eq '200 new' }
           'a primary is found behind a standby';
pass('a primary is found behind a standby');
is(log_count(qr/\[warn\].*"either".*server is in recovery, not a primary/)
   > 0, 1, 'the log tells of the standby');

# away

$::P->stop;
wait_until { title(get("/rep$::CAMPAIGN/1")) eq $old }
           'the replica stands in';
is_deeply([map { title($_) } get_all(10, "/rep$::CAMPAIGN/1")], [($old) x 10],
          'a replica stands in');
is(error(get("/alone$::CAMPAIGN/1")), '503 Database unavailable',
   'without replicas there is none');
is(error(get("/either$::CAMPAIGN/1")), '503 Database unavailable',
   'nor is a standby a primary');

# and back

$::P->start;
wait_until { title(get("/rep$::CAMPAIGN/1")) eq '200 new' }
           'the primary is asked again';
is_deeply([map { title($_) } get_all(10, "/rep$::CAMPAIGN/1")],
          [('200 new') x 10], 'the primary is asked again');

# the standby takes over

wait_until { title(get("/either$::CAMPAIGN/1")) eq '200 new' }
           'the list has its primary again';
$::P->stop;
$::S->promote;
wait_until { title(get("/either$::CAMPAIGN/1")) =~ /^200/ }
           'the list has a new primary';
pass('a standby that is promoted takes over');
is(log_count(qr/"either": the primary is now unix:.*standby/) > 0, 1,
   'the log tells so');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 14: a connection that is lost says why, in the server's words
--- http_config eval
main::conf(dbname => $::A, pool => 'connections=1')
. main::conf(name => 'busy', pool => 'connections=1 timeout=30s', conninfo =>
             "dbname=$::A user=app application_name=busy")
. main::conf(name => 'idle', pool => 'connections=1', conninfo =>
             "dbname=$::A user=app application_name=idle "
             . "options='-c idle_session_timeout=300ms'")
--- config eval
main::at('a', 'primary') . main::at('busy', 'busy') . main::at('idle', 'idle')
--- check
my $end = 'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity'
          . " WHERE datname = '$::A' AND application_name = ";

sub said {
    my ($upstream, $why) = @_;

    return wait_until {
        log_count(qr/\[warn\].*"$upstream", .*: connection lost: FATAL: +\Q$why/);
    } "$upstream: $why";
}

# one that does nothing, by an administrator and by a timeout

get("/$_$::CAMPAIGN/1") for 'a', 'busy', 'idle';
ok(said('idle', 'terminating connection due to idle-session timeout'),
   'a timeout of idle sessions');

is(psql("${end}'softfactory/read'", user => 'postgres'), 1, 'one is ended');
ok(said('primary', 'terminating connection due to administrator command'),
   'an administrator, while it does nothing');

# one at work; the read is sent again

my $lock = hold($::LOCK, dbname => $::A);
my $client = start("/busy$::CAMPAIGN/1");

wait_until { sessions('busy/read', "wait_event_type = 'Lock'") } 'it waits';
is(psql("${end}'busy/read'", user => 'postgres'), 1, 'another is ended');
ok(said('busy', 'terminating connection due to administrator command'),
   'an administrator, while it waits');
$lock->release;
like($client->finish->{body}, qr/"id":1\b/, 'its client is answered');

# the next one begins anew, and its loss is not told with old words

get("/a$::CAMPAIGN/1");
is(log_count(qr/unexpectedly/), 0, 'no loss was unexpected');

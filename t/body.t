# Bodies that a worker keeps for clients that do not read: shared, counted, and
# refused beyond softfactory_max_bodies.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use Time::HiRes qw(sleep);

no_shuffle();
no_root_location();
master_on();
log_level('info');
plan('no_plan');

our $DB = scratch('sf_body');
our $CAMPAIGN = '/api/review/campaigns';
our $LARGE = 94;        # of them, of 100 kB each and a character of ASCII
our $H2 = free_port();

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, '1@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, description,
                       deadline, status, created_at)
SELECT n, 1, 'of ' || n, 'p', repeat(chr(32 + n), 100000), 'tomorrow',
       'active', 'yesterday'
  FROM generate_series(1, 94) n;
UPDATE campaigns SET description = 'small' WHERE id = 33;
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       description, deadline, status, created_at)
SELECT 1000 + n, 1, 't', 'p', 'heavy', repeat('h', (n * 100000)::int),
       'tomorrow', 'active', 'yesterday'
  FROM unnest(ARRAY[9, 10, 11, 30, 500]) n;
INSERT INTO campaigns (id, creator_id, title, product_name, category, deadline,
                       status, created_at)
SELECT 5000 + n, 1, repeat('t', 190), repeat('p', 190), 'many', 'tomorrow', 'active',
       'yesterday'
  FROM generate_series(1, 5000) n
SQL

# by a Unix socket and by TCP: what has been read is counted in different ways

our %SERVERS = ('a Unix socket' => "unix:$ENV{SF_TEST_PG_SOCKET}",
                TCP => "127.0.0.1:$ENV{SF_TEST_PG_PORT}");

install_notify($DB);

# what the metrics say, when they have been told of it

sub kept {
    get('/metrics')->{body} =~ /^softfactory_bodies_bytes (\d+)$/m;
    return $1;
}

# complete($response, $id): whether a large campaign is there to its end

sub complete {
    my ($res, $id) = @_;

    my $char = chr(32 + $id);

    $char = "\\$char" if $char =~ /["\\]/;
    return index($res->{body}, '"description":"' . $char x 100000 . '"') > 0
           && $res->{body} =~ /\}\n\z/;
}

our %LIMITED = map {
    $_ => conf(server => $SERVERS{$_}, zone => 'api 64m',
               conninfo => "dbname=$DB user=app password=secret")
          . "softfactory_max_response 1m;\n"
} keys %SERVERS;

# peak($pid): kB that it has had at most

sub peak {
    open my $in, '<', "/proc/$_[0]/status" or return 0;
    return (map { /^VmHWM:\s+(\d+)/ } <$in>)[0];
}

# limited: what is larger than softfactory_max_response is 500, and nothing else

sub limited {
    my $pids = sub {
        psql("SELECT string_agg(pid::text, ' ' ORDER BY pid)
                FROM pg_stat_activity
               WHERE datname = '$DB' AND application_name ~ 'read'",
             user => 'postgres', dbname => 'postgres');
    };

    is(get("$CAMPAIGN/1$_")->{status}, 200, "$_: it fits") for '009', '010';

    my $before = $pids->();

    my ($worker) = worker_pids();
    my $peak = peak($worker);

    # the last is one row of 50 MB, which libpq reads as long as more is there

    for my $path ('/api/review/my-campaigns', "$CAMPAIGN/1011",
                  "$CAMPAIGN/1030", "$CAMPAIGN/1500")
    {
        my $res = get($path);

        is("$res->{status} $res->{body}",
           qq[500 {"error":"Internal server error"}\n], "$path is too large");
        is(get("$CAMPAIGN/33")->{status}, 200, 'others are answered');

        cmp_ok(peak($worker) - $peak, '<', 20000, "$path: most is not read")
            if !sanitized() && $path ne "$CAMPAIGN/1500";
    }

    my $lines = qr/\[error\].*\ review_(?:my_campaigns|campaign):\ its\ response
                   \ is\ larger\ than\ softfactory_max_response/x;

    wait_until { get("$CAMPAIGN/1500"); log_count($lines) }
               'the log has a line of it';
    wait_until { $pids->() ne $before } 'a connection has been closed';

    # what stands behind it in the pipeline is sent again

    my @clients = map { start("$CAMPAIGN/$_") }
                  map { (1500, 40 + $_) } 1 .. 20;

    is(join(' ', map { $_->finish->{status} } @clients),
       join(' ', (500, 200) x 20), 'neighbours are answered');
    wait_until { get($CAMPAIGN)->{status} == 200 } 'and all is well';
}

# of a connection that has a pipeline of answers near to the largest

our $LARGE_ONES = sub {
    return conf(server => $SERVERS{$_[0]}, pool => 'connections=1',
                conninfo => "dbname=$DB user=app password=secret")
           . "softfactory_max_response 1m;\n";
};

sub pipelined {
    my ($worker) = worker_pids();

    get("$CAMPAIGN/1010");

    for my $round (1 .. 10) {
        kill 'STOP', $worker;
        my @clients = map { start("$CAMPAIGN/1010") } 1 .. 14;
        kill 'CONT', $worker;

        is(join(' ', map { $_->finish->{status} } @clients),
           join(' ', (200) x 14), "round $round: all are answered");
    }
}

sub refused {
    get('/metrics')->{body} =~ /^softfactory_bodies_refused_total (\d+)$/m;
    return $1;
}

our @LINES = ('location = /metrics { softfactory_metrics; }',
              "listen 127.0.0.1:$H2 http2;",
              'http2_max_concurrent_streams 1000;');

defaults(http_config => conf(dbname => $DB, zone => 'api 64m'),
         config => api(operators('api'), @LINES));

run_tests();

__DATA__

=== TEST 1: streams that are not read share what they are sent
--- check
wait_coherent();

my @ids = grep { $_ != 33 } 1 .. $::LARGE;
my @paths = map { "$::CAMPAIGN/$_" } @ids;

is(get($_)->{status}, 200, "$_ is kept") for @paths;
wait_until { kept() == 0 } 'nothing is under way';

my ($c, @status) = stalled($::H2, @paths);

is(join(' ', @status), join(' ', (200) x @paths), 'all have begun');

my $told = 0;

wait_until {
    my $was = $told;

    sleep 1.2;
    $told = kept();
    $told && $told == $was;
} 'what is kept is told';

# some are sent from the zone, where they may be pinned

my $kept = kept();

cmp_ok($kept, '>', 100000, 'some are copies');
cmp_ok($kept, '<', 50 * 100000, 'some are sent from the zone');

my @more = map { [stalled($::H2, @paths)] } 1 .. 5;

wait_until {
    my $res = get("$::CAMPAIGN/33");
    $res->{status} == 200;
} 'others are served';
wait_until { kept() >= $kept } 'it is told again';
cmp_ok(kept(), '<', 1.1 * $kept, 'six times the streams, the same bytes');

for my $client ($c, map { $_->[0] } @more) {
    my @res = $client->finish;
    my @wrong = grep { !complete($res[$_], $ids[$_]) } 0 .. $#ids;

    is("@wrong", '', 'and each gets its own');
    $client->close;
}

wait_until { kept() == 0 } 'all of it is given back';


=== TEST 2: there is a budget
--- http_config eval
SoftFactory::conf(dbname => $::DB) . "softfactory_max_bodies 350k;\n"
--- config eval: SoftFactory::api('softfactory_fair_key "";', @::LINES)
--- check
my @slow = map { stalled($::H2, "$::CAMPAIGN/$_") } 3 .. 5;

is("@slow[1, 3, 5]", '200 200 200', 'three have room');
wait_until { kept() > 300000 } 'they are counted';

is((stalled($::H2, ("$::CAMPAIGN/4") x 20))[1], 200, 'so has one of them again');

my $res = get("$::CAMPAIGN/6");

is("$res->{status} $res->{headers}{'retry-after'}", '503 1', 'a fourth has not');
is($res->{body}, qq[{"error":"Server is busy"}\n], 'and is told');
is(get("$::CAMPAIGN/33")->{status}, 200, 'a small one is not asked');
is(get('/health')->{status}, 200, 'nor a probe');
is(get("$::CAMPAIGN/7")->{status}, 503, 'one after the other');
is(refused(), 2, 'they are counted');
ok(log_count(qr/\[error\].*softfactory_max_bodies: \d{6} bytes are being sent,/),
   'and logged');
get("$::CAMPAIGN/7") for 1 .. 40;
cmp_ok(log_count(qr/softfactory_max_bodies/), '<', 20, 'not each of them');

ok(complete($slow[0]->finish, 3), 'what is sent is complete');
is(get("$::CAMPAIGN/6")->{status}, 200, 'there is room again');
$slow[2]->close;
wait_until { kept() < 150000 } 'a client that leaves gives it back';
is(get("$::CAMPAIGN/6")->{status}, 200, 'at once');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 3: what may be kept is, even when there is no room to send it
--- http_config eval
SoftFactory::conf(dbname => $::DB, zone => 'api 64m')
. "softfactory_max_bodies 50k;\n"
--- check
wait_coherent();
is(get("$::CAMPAIGN/6")->{status}, 503, 'it is made, and not sent');

my $res = get("$::CAMPAIGN/6");

is("$res->{status} $res->{headers}{'x-cache'}", '200 HIT', 'but kept');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 4: without a pin left and without room it is 503
--- http_config eval
SoftFactory::conf(dbname => $::DB, zone => 'api 64m')
. "softfactory_max_bodies 1m;\n"
--- config eval
SoftFactory::api('softfactory_fair_key "";', SoftFactory::operators('api'),
                 @::LINES)
--- check
wait_coherent();

my @paths = map { "$::CAMPAIGN/$_" } grep { $_ != 33 } 1 .. $::LARGE;

is(get($_)->{status}, 200, "$_ is kept") for @paths;

my ($c, @status) = stalled($::H2, @paths);
my %n;

$n{$_}++ for @status;

is(join(' ', sort keys %n), '200 503', 'some have no room');
cmp_ok($n{503}, '<', 50, 'most have');

my ($left) = grep { $status[$_] == 503 } 0 .. $#status;
my $res = get($paths[$left]);

is("$res->{status} $res->{headers}{'retry-after'}", '503 1', 'nor has another');
ok(!defined $res->{headers}{etag}, 'its tag is not told');
is(request('HEAD', $paths[$left])->{status}, 200, 'for HEAD there is');
$c->close;
wait_until { kept() == 0 } 'all of it is given back';
is(get($paths[$left])->{status}, 200, 'and it is there again');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 5: one client has half of it
--- http_config eval
SoftFactory::conf(dbname => $::DB) . "softfactory_max_bodies 450k;\n"
--- config eval: SoftFactory::api('softfactory_fair_key $arg_who;', @::LINES)
--- check
my $slow = sub { (stalled($::H2, "$::CAMPAIGN/$_[1]?who=$_[0]"))[0, 1] };
my @a = map { [$slow->('a', $_)] } 3, 4;

is("$a[0][1] $a[1][1]", '200 200', 'two have room');

my $res = get("$::CAMPAIGN/5?who=a");

is("$res->{status} $res->{headers}{'retry-after'}", '429 1', 'a third has not');
is($res->{body}, qq[{"error":"Too many requests"}\n], 'and is told');
is(get("$::CAMPAIGN/33?who=a")->{status}, 200, 'a small one is not asked');
ok(log_count(qr/\[error\].*softfactory_max_bodies: .* no room for one client/),
   'it is logged');

my @b = map { [$slow->('b', $_)] } 4, 5;

is("$b[0][1] $b[1][1]", '200 200', 'for others there is room');

# what both are sent is nobody's

push @a, [$slow->('a', 6)];
is($a[2][1], 200, 'what others are sent too does not count');
is(get("$::CAMPAIGN/7?who=$_")->{status}, 503, "there is no more, for $_")
    for 'a', 'b', 'c';

ok(complete($a[0][0]->finish, 3), 'what is sent is complete');
$_->[0]->close for @a[1, 2], @b;
wait_until { get("$::CAMPAIGN/7?who=a")->{status} == 200 } 'there is room again';
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 6: also of what is in the zone
--- http_config eval
SoftFactory::conf(dbname => $::DB, zone => 'api 64m')
. "softfactory_max_bodies 1m;\n"
--- config eval
SoftFactory::api('softfactory_fair_key $arg_who;',
                 SoftFactory::operators('api'), @::LINES)
--- check
wait_coherent();

my @paths = map { "$::CAMPAIGN/$_" } grep { $_ != 33 } 1 .. $::LARGE;

is(get($_)->{status}, 200, "$_ is kept") for @paths;

my ($c, @status) = stalled($::H2, map { "$_?who=a" } @paths);
my %n;

$n{$_}++ for @status;
is(join(' ', sort keys %n), '200 429', 'some have no room');

my ($left) = grep { $status[$_] == 429 } 0 .. $#status;

is(get("$paths[$left]?who=a")->{status}, 429, 'nor has another');
is(get("$paths[$left]?who=b")->{status}, 200, 'for others there is');
$c->close;
wait_until { kept() == 0 } 'all of it is given back';
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 7: a result of PostgreSQL has an end: by a Unix socket
--- http_config eval: $::LIMITED{'a Unix socket'}
--- check
limited();
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 8: many that are allowed, one behind the other: by a Unix socket
--- http_config eval: $::LARGE_ONES->('a Unix socket')
--- config eval: SoftFactory::api(@::LINES)
--- check
pipelined();


=== TEST 9: and by TCP
--- http_config eval: $::LARGE_ONES->('TCP')
--- config eval: SoftFactory::api(@::LINES)
--- check
pipelined();


=== TEST 10: a result of PostgreSQL has an end: by TCP
--- http_config eval: $::LIMITED{TCP}
--- check
limited();
--- no_error_log
[alert]
[crit]
[emerg]

# Reload and exit: nobody loses an answer, nothing is left behind.
#
# valgrind: no
# expect-alert: connections="none" must be between

use strict;
use warnings;
use lib 't/lib';
use IO::Socket::INET;
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
master_on();
worker_connections(512);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_reload');
our $OTHER = scratch('sf_reload_other');
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';

for my $db ($DB, $OTHER) {
    psql($_, dbname => $db) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       deadline, status, created_at)
SELECT n, 1, 'of ' || current_database(), 'p', 'c', 'tomorrow', 'active',
       'yesterday'
  FROM generate_series(1, 20) n
SQL
}


sub title {
    my ($res) = @_;

    return $res->{status} . ' '
           . ($res->{body} =~ /"title":"([^"]*)"\}\n\z/ ? $1 : 'none');
}


sub sessions {
    my ($more) = @_;

    return backends("datname LIKE 'sf\\_reload%' AND application_name LIKE "
                    . "'softfactory/%' AND " . ($more // 'true'));
}


# what must never be said, however a worker ends

sub nothing_left {
    is(log_count(qr/open socket #?\d+ left|\[(?:alert|crit|emerg)\]
                    |exited\ with\ code\ [1-9]|exited\ on\ signal/x), 0,
       'nothing is left behind');
}


our $HTTP = conf(dbname => $DB, pool => 'connections=2 totals=1 heavy=1 '
                                        . 'timeout=30s heavy_timeout=30s '
                                        . 'wait=30s');

add_block_preprocessor(sub {
    my ($block) = @_;

    my $more = $block->more_http // '';

    $block->set_value(http_config => $HTTP . $more);
});

run_tests();

__DATA__

=== TEST 1: ten reloads under load lose no response and leave no backend
--- config eval: SoftFactory::api()
--- check
my $load = load(8, "$::CAMPAIGN/1", "$::CAMPAIGN?per_page=5",
                '/api/review/my-campaigns', '/api/sns/templates');
my (%gone, $n);

for my $round (1 .. 10) {
    my $seen = access_log() =~ tr/\n//;

    my @old = hup();
    $gone{$_} = 1 for @old;

    # the new workers have answered before the next reload

    wait_until { (access_log() =~ tr/\n//) > $seen + 40 } 'the load goes on';
}

my ($good, @bad) = $load->();

is(join('', @bad), '', 'no answer was lost');
cmp_ok($good, '>', 400, 'of many');
is(scalar keys %gone, 10, 'ten workers were replaced');

wait_until { !grep { running($_) } keys %gone } 'the old workers are gone';
is(scalar(my @now = children(master())), 1, 'one worker is left');
wait_until { sessions() <= 5 } 'the backends of the old ones are gone';
pass('the backends of the old ones are gone');
is(title(get("$::CAMPAIGN/1")), "200 of $::DB", 'and it goes on');
nothing_left();


=== TEST 2: a worker without work is gone at once
--- config eval: SoftFactory::api()
--- check
# with idle connections to its clients and to the database

get($::CAMPAIGN);

my $client = start("$::CAMPAIGN/1");

$client->finish;
wait_until { sessions() == 3 } 'both lanes are connected';

my $before = psql("SELECT string_agg(pid::text, ',') FROM pg_stat_activity
                    WHERE datname = '$::DB' AND application_name
                          LIKE 'softfactory/%'", user => 'postgres');
my $time = Time::HiRes::time();
my ($old) = hup();

wait_until { !running($old) } 'the old worker is gone';
cmp_ok(Time::HiRes::time() - $time, '<', sanitized() ? 6 : 3,
       'it did not wait for any time to pass');
is($client->finish->{status}, 0, 'its client is told');
wait_until { backends("pid IN ($before)") == 0 } 'its backends are gone';
pass('its backends are gone');
is(title(get("$::CAMPAIGN/1")), "200 of $::DB", 'the new one answers');
nothing_left();


=== TEST 3: a request that waits for the database outlives a reload
--- config eval: SoftFactory::api()
--- check
my $left = sub {
    sessions("datname = '$::DB' AND application_name = 'softfactory/$_[0]'");
};

# that have had work

get('/api/dashboard/kpis');
get_all(20, "$::CAMPAIGN/2");
wait_until { $left->('read') >= 2 && $left->('heavy') == 1 }
           'both lanes are connected';

my $row_lock = hold($::LOCK, dbname => $::DB);
my $sum_lock = hold('LOCK TABLE payments IN ACCESS EXCLUSIVE MODE',
                    dbname => $::DB);
my $row = start("$::CAMPAIGN/1");
my $sum = start('/api/dashboard/kpis');

wait_until { sessions("wait_event_type = 'Lock'") == 2 } 'both wait';

# the new configuration asks another database

my ($old) = reconfigure { s/dbname=$::DB\b/dbname=$::OTHER/ };

is(title(fetch("$::CAMPAIGN/1")), "200 of $::OTHER",
   'the new worker answers by the new configuration');
wait_until { $left->('read') == 1 } 'the connection without work is closed';
ok(running($old) && $row->pending && $sum->pending, 'the requests wait');
$row_lock->release;

my $res = $row->finish;

is(title($res), "200 of $::DB", 'one has its answer');
is($res->{headers}{connection}, 'close', 'which is its last');
wait_until { $left->('read') == 0 } 'its connection is closed then';
ok(running($old) && $sum->pending && $left->('heavy'), 'the other waits');
$sum_lock->release;
is($sum->finish->{status}, 200, 'and has its answer too');

wait_until { !running($old) } 'the old worker is gone';
wait_until { backends("datname = '$::DB'") == 0 } 'so are its backends';
pass('then the old worker and its backends are gone');
nothing_left();


=== TEST 4: a request that waits for the database outlives nginx itself
--- config eval: SoftFactory::api()
--- check
get("$::CAMPAIGN/1");

my $lock = hold($::LOCK, dbname => $::DB);
my @parked = map { start($_) } "$::CAMPAIGN/1", $::CAMPAIGN, "$::CAMPAIGN/2";

wait_until { sessions("wait_event_type = 'Lock'") >= 2 } 'they wait';

my ($master, $worker) = (master(), worker_pids());

kill 'QUIT', $master;
wait_until { error_log() =~ /gracefully shutting down/ } 'it is going';
is(scalar(grep { $_->pending } @parked), 3, 'the requests still wait');
ok(running($worker), 'and so does the worker');
$lock->release;
is(join(' ', map { $_->finish->{status} } @parked), '200 200 200',
   'they have their answers');

wait_until { !running($worker) && !running($master) } 'nginx is gone';
wait_until { sessions() == 0 } 'so are its backends';
pass('then nginx and its backends are gone');
nothing_left();


=== TEST 5: a worker that is told to end at once leaves nothing either
--- config eval: SoftFactory::api()
--- check
get("$::CAMPAIGN/1");

my $lock = hold($::LOCK, dbname => $::DB);
my @parked = map { start($_) } "$::CAMPAIGN/1", $::CAMPAIGN, "$::CAMPAIGN/2";

wait_until { sessions("wait_event_type = 'Lock'") >= 2 } 'they wait';

my ($master, $worker) = (master(), worker_pids());

kill 'TERM', $master;
wait_until { !running($worker) && !running($master) } 'nginx is gone';
is(join(' ', map { $_->finish->{status} } @parked), '0 0 0',
   'there is no answer');
wait_until { sessions() == 0 } 'its backends are gone, in the middle of work';
pass('its backends are gone, in the middle of work');
$lock->release;
nothing_left();


=== TEST 6: a configuration that is refused changes nothing
--- config eval: SoftFactory::api()
--- check
my ($worker) = worker_pids();
my $client = start("$::CAMPAIGN/1");

$client->finish;
SoftFactory::Live::change_conf(sub { s/connections=2/connections=none/ });
kill 'HUP', master();
wait_until { log_count(qr/\[emerg\].*connections="none" must be between/) }
           'it is refused';

is((worker_pids())[0], $worker, 'the worker stays');
$client->send(SoftFactory::Live::request_text("$::CAMPAIGN/2"));
is(title($client->finish), "200 of $::DB", 'also its connections');
--- no_error_log
[alert]
[crit]
--- no_shutdown_error_log
[alert]
[crit]


=== TEST 7: a server that does not answer holds no worker
--- more_http eval
$::SILENT = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16);
main::conf(name => 'silent', server => '127.0.0.1:' . $::SILENT->sockport,
           conninfo => 'dbname=x user=app',
           pool => 'connections=2 connect_timeout=60s wait=60s')
--- config eval
SoftFactory::api(<<'CONF')
location /silent/ {
    rewrite ^/silent(/.*) $1 break;
    softfactory_pass silent;
}
CONF
--- check
my @held;
my $accept = sub {
    $::SILENT->timeout(20);
    push @held, $::SILENT->accept || in_vain(20, 'a worker that connects')
        for 1 .. $_[0];
};

$accept->(2);

my ($old) = hup();

wait_until { !running($old) } 'the old worker is gone';
$accept->(2);
pass('a worker that is connecting is gone at once');
is(title(get("$::CAMPAIGN/1")), "200 of $::DB", 'the new one answers');

# one that somebody waits for stays, until he goes away

my $client = start("/silent$::CAMPAIGN/1");

wait_until { get("$::CAMPAIGN/1")->{status} == 200 && $client->pending }
           'a request waits';
($old) = hup();
ok(running($old) && $client->pending, 'it waits on');
$client->close;
wait_until { !running($old) } 'the old worker is gone';
pass('the worker is gone when nobody waits');
nothing_left();


=== TEST 8: a zone without places for new databases begins empty, and stays
--- more_http eval
join '', "softfactory_zone many 8m;\n",
    map { main::conf(name => "u$_", dbname => $::DB,
                     pool => 'connections=1 totals=1 heavy=1') } 1 .. 9
--- config eval
SoftFactory::api('location = /status { softfactory_status many; }',
    map { <<"CONF" } 1 .. 9)
location /u$_/ {
    rewrite ^/u$_(/.*) \$1 break;
    softfactory_pass u$_;
    softfactory_cache many;
}
CONF
--- check
my $entries = sub { zone_status()->{cache}{entries} };
my $again = sub {
    my ($edit, $wanted, $what) = @_;
    my @old = $edit ? reconfigure(sub { $edit->() }) : hup();

    wait_until { !grep { running($_) } @old } 'the old workers are gone';
    is(title(get("/u1$::CAMPAIGN/1")), "200 of $::DB", "$what: it answers");
    cmp_ok($entries->(), $wanted ? '>' : '<=', 1, "$what: entries");
};

get("/u$_$::CAMPAIGN/1") for 1 .. 9;
cmp_ok($entries->(), '>', 1, 'nine databases');

# 16 have places, and those that are left keep theirs

$again->(sub { s/\bu([1-9])\b(?=;| \{)/v$1/g }, 0, 'nine others');
get("/u$_$::CAMPAIGN/1") for 1 .. 9;
$again->(undef, 1, 'the same');
$again->(undef, 1, 'the same again');
$again->(sub { s/\bv([1-9])\b(?=;| \{)/w$1/g }, 0, 'nine others once more');
get("/u$_$::CAMPAIGN/1") for 1 .. 9;
$again->(undef, 1, 'these');
nothing_left();

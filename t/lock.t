# A lock on a table holds up those that read the table, and nobody else.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use Time::HiRes qw(time);
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
master_on();
plan('no_plan');

our $DB = scratch('sf_lock', 'softfactory');

psql("CREATE TABLE lock_$_ AS SELECT 1 AS n", dbname => $DB) for qw(u a b c);
log_statements($DB);


# the masks by which the pool is told what a statement reads

our %TABLE = (u => 1, a => 2, b => 4, c => 8);


# reads($lane, $tables, $n, $more, $upstream): statements of their own endpoints
# that read tables, named by their letters: /ua1, /ua2 ...

sub reads {
    my ($lane, $tables, $n, $more, $upstream) = @_;

    my @tables = split //, $tables;
    my $mask = 0;
    $mask += $::TABLE{$_} for @tables;
    my $from = join ', ', map { "public.lock_$_" } @tables;
    $from = "FROM $from" if @tables;

    return join '', map {
        "location = /$lane/$tables$_ { softfactory_test_statement "
        . ($upstream // 'primary') . " $lane 1 \"SELECT $_ $from" . ($more // '') . "\" $mask; }\n";
    } 1 .. $n;
}


# learnt(@paths): each has been answered often enough that the pool knows how
# long it takes: by one connection, and its prepare is no measure

sub learnt {
    for my $path (@_) {
        is(fetch($path)->{status}, 200, "$path, time $_") for 1 .. 3;
    }
}


# all(@texts): one text, as blocks of nginx's configuration are

sub all {
    return join '', @_;
}


# waiting($lane): connections whose statement waits for a lock

sub waiting {
    return backends("datname = '$::DB' AND wait_event_type = 'Lock' AND "
                    . "application_name = 'softfactory/$_[0]'");
}


# sessions($lane, $and)

sub sessions {
    my ($lane, $and) = @_;

    return backends("datname = '$::DB' AND application_name = "
                    . "'softfactory/$lane'" . ($and ? " AND $and" : ''));
}


# another(): the same server as another one, by a path of its own

sub another {
    my ($dir, $file) = $ENV{SF_TEST_PG_SOCKET} =~ m{^(.*)/([^/]+)$};
    my $path = scratch_dir() . '/another';

    symlink $dir, $path if !-l $path;

    return "$path/$file";
}


# at_once($worker, @paths): requests that come in one turn of its event loop, on
# connections that it knows

sub at_once {
    my ($worker, @paths) = @_;

    my @clients = map { start('/api/health') } @paths;

    $_->finish for @clients;
    kill 'STOP', $worker;
    wait_until {
        open my $in, '<', "/proc/$worker/stat" or die "$worker: $!";
        <$in> =~ /\) T /;
    } 'it has stopped';
    $clients[$_]->send(SoftFactory::Live::request_text($paths[$_]))
        for 0 .. $#paths;
    kill 'CONT', $worker;

    return @clients;
}


# held($sql): a session that has run it and keeps its locks

sub held { return hold($_[0], dbname => $::DB, user => 'app') }

our $LOCK = 'LOCK TABLE lock_a IN ACCESS EXCLUSIVE MODE';
our $POOL = 'wait=30s timeout=30s heavy_timeout=30s';

run_tests();

__DATA__

=== TEST 1: a request that does not read the table does not wait, one that does keeps a sensor
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('read', @$_) } ['ua', 8], ['ub', 2], ['u', 2],
                                           ['b', 1], ['', 1])
--- check
my @others = ('/health', '/ready',
              map { "/read/$_" } qw(ub1 ub2 u1 u2 b1 1));

fetch("/read/ua$_") for 1 .. 8;
fetch($_) for @others;

my $lock = held($::LOCK);
my @held = map { start("/read/ua$_") } 1 .. 8;

wait_until { waiting('read') } 'the lock is waited for';

for my $round (1 .. 20) {
    my @asked = map { start($_) } @others, @others;
    my $n = grep { $_->finish->{status} == 200 } @asked;

    is($n, 2 * @others, "round $round: others are answered");
}

is(scalar(grep { $_->pending } @held), 8, 'and those are not');

my $n = waiting('read');

# all may have been sent before the first of them was old

push @held, map { start("/read/ua$_") } (1 .. 8) x 5;
fetch($_) for @others;

cmp_ok(waiting('read'), '<=', $n, 'none more goes to the lock');
cmp_ok(sessions('read'), '<=', 4, 'two connections and two spare ones');

$lock->release;

is(scalar(grep { $_->finish->{status} == 200 } @held), 48,
   'all are answered when the lock goes');


=== TEST 2: a unit that shares a Sync with the one that is held up
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=1 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('read', @$_) } ['a', 1], ['b', 3])
--- check
my ($worker) = worker_pids();

fetch($_) for '/read/a1', map { "/read/b$_" } 1 .. 3;

my $lock = held($::LOCK);

# they come in one turn of the event loop, so they are one unit; the answer of
# the one that is its head is not sent before the others'

my @asked = at_once($worker, qw(/read/b1 /read/a1 /read/b2 /read/b3));

my $held = splice @asked, 1, 1;

like($_->finish->{body}, qr/outcome:0/, 'a neighbour in the unit is answered')
    for @asked;
ok($held->pending, 'the culprit is not');
cmp_ok(sessions('read'), '<=', 3, 'with two spare connections');

$lock->release;
is($held->finish->{status}, 200, 'until the lock goes');


=== TEST 3: endpoints that read the locked table and others each
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('read', @$_) } ['ua', 1], ['ab', 1], ['uab', 1],
                                           ['a', 1], ['ub', 1], ['', 1])
--- check
my @locked = map { "/read/$_" } qw(ua1 ab1 uab1 a1);
my @others = map { "/read/$_" } qw(ub1 1);

fetch($_) for @locked, @others;

my $lock = held($::LOCK);
my @held;

for my $path (@locked) {
    push @held, start($path);
    wait_until { waiting('read') } 'the lock is waited for';

    for (1 .. 10) {
        is(fetch($_)->{status}, 200, "$_ beside $path") for @others;
    }
}

ok($_->pending, 'one that reads the table waits') for @held;
cmp_ok(waiting('read'), '<=', 3, 'not all of them are sent');

$lock->release;
is($_->finish->{status}, 200, 'until the lock goes') for @held;


=== TEST 4: one endpoint cannot fill the queue of others
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=1 queue=16 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('read', @$_) } ['a', 1], ['b', 1])
--- check
fetch("/read/${_}1") for qw(a b);

my $lock = held($::LOCK);
my @held = start('/read/a1');

wait_until { waiting('read') } 'the lock is waited for';
push @held, map { start('/read/a1') } 1 .. 40;

my $busy = wait_until {
    my $n = grep { !$_->pending } @held;
    $n >= 30 && $n;
} 'the endpoint has filled its part';

is(scalar(grep { fetch('/read/b1')->{status} == 200 } 1 .. 20), 20,
   'another one is served');

$lock->release;

my %count;
$count{$_->finish->{body} =~ /outcome:(\d)/ ? $1 : 'none'}++ for @held;
cmp_ok($count{1} // 0, '>=', 30, 'those over a quarter are refused');
cmp_ok($count{0} // 0, '>=', 5, 'the others answered');
is(($count{0} // 0) + ($count{1} // 0), 41, 'and none is lost');


=== TEST 5: the only connection is held up
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=1 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('read', @$_) } ['a', 1], ['', 1])
--- check
fetch($_) for '/read/a1', '/read/1';

my $lock = held($::LOCK);
my @held = start('/read/a1');
wait_until { waiting('read') } 'the lock is waited for';

is(fetch('/read/1')->{status}, 200, 'others go by spare connections')
    for 1 .. 5;
is(waiting('read'), 1, 'one sensor');
ok(sessions('read') > 1, 'spare connections have been opened');

$lock->release;
is($_->finish->{status}, 200, 'all are answered') for @held;


=== TEST 6: a lane with a statement for each connection
--- http_config eval
main::conf(dbname => $::DB, pool => "totals=2 heavy=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map {
    my $lane = $_;
    map { main::reads($lane, @$_) } ['uab', 2], ['a', 1], ['ub', 1], ['u', 1],
                                    ['b', 1], ['', 1]
} 'totals', 'heavy')
--- check
for my $lane ('totals', 'heavy') {
    my @locked = map { "/$lane/$_" } qw(uab1 uab2 a1);
    my @others = map { "/$lane/$_" } qw(ub1 u1 b1 1);

    learnt(@locked, @others);
    is(sessions($lane), 1, "$lane: one connection has been enough");

    my $lock = held($::LOCK);
    my @held;

    # the second is a probe: it reads some of the tables of the first

    for my $path (qw(uab1 a1)) {
        push @held, start("/$lane/$path");
        wait_until { waiting($lane) == @held } "$path waits for the lock";
    }

    push @held, map { start("/$lane/$_") } qw(uab2 a1 uab1);

    for my $round (1 .. 10) {
        my @asked = map { start($_) } @others, @others;
        my $n = grep { $_->finish->{status} == 200 } @asked;

        is($n, 2 * @others, "$lane, round $round: others are answered");
    }

    is(scalar(grep { $_->pending } @held), 5, 'and those are not');
    is(waiting($lane), 2, 'none more goes to the lock');
    cmp_ok(sessions($lane), '<=', 4, 'two connections and two spare ones');

    $lock->release;
    is(scalar(grep { $_->finish->{body} =~ /retried:0/ } @held), 5,
       'all are answered when the lock goes, and were sent once');
}


=== TEST 7: both have been sent before the first of them was late
--- http_config eval
main::conf(dbname => $::DB, pool => "heavy=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('heavy', @$_) }
                               ['ua', 1], ['a', 1], ['u', 1], ['b', 1])
--- check
my ($worker) = worker_pids();

learnt(map { "/heavy/$_" } qw(ua1 a1 u1 b1));

my $lock = held($::LOCK);

kill 'STOP', $worker;
my @held = map { start("/heavy/$_") } qw(ua1 a1);
kill 'CONT', $worker;
wait_until { waiting('heavy') == 2 } 'both wait for the lock';

for my $path (qw(u1 b1)) {
    is(fetch("/heavy/$path")->{status}, 200, "$path is answered") for 1 .. 5;
}

ok($_->pending, 'what reads the table waits') for @held;
$lock->release;
is($_->finish->{status}, 200, 'until the lock goes') for @held;


=== TEST 8: as many endpoints wait for one lock as there are connections
--- http_config eval
main::conf(dbname => $::DB, pool => "heavy=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('heavy', @$_) }
                               ['uabc', 1], ['uab', 1], ['ua', 1], ['a', 1],
                               ['b', 1], ['uc', 1])
--- check
my @locked = map { "/heavy/$_" } qw(uabc1 uab1 ua1 a1);

learnt(@locked, map { "/heavy/$_" } qw(b1 uc1));

my $lock = held($::LOCK);
my @held;

# each reads less than the one before, so each is a probe

for my $path (@locked) {
    push @held, start($path);
    wait_until { waiting('heavy') == @held || log_count(qr/gives up one/) }
               "$path waits for the lock";
}

for my $path (qw(b1 uc1)) {
    is(fetch("/heavy/$path")->{status}, 200, "$path is answered") for 1 .. 5;
}

ok($_->pending, 'what reads the table waits') for @held;
wait_until { log_count(qr/gives up one/) } 'one was given up';
wait_until { sessions('heavy') <= 4 } 'two connections and two spare ones';

$lock->release;

my @retried = map { $_->finish->{body} =~ /outcome:0 .*retried:(\d)/ ? $1 : 9 }
              @held;

is(join(' ', @retried[1 .. 3]), '0 0 0', 'those that read less were not');
is($retried[0], 1, 'that one has been sent again');


=== TEST 9: what is slow by itself gets no spare connections
--- http_config eval
main::conf(dbname => $::DB, pool => "heavy=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('heavy', @$_) }
    ['a', 1], ['b', 1], ['u', 2, ', pg_sleep(0.3)'],
    ['c', 1, ', pg_sleep(1.2)'])
--- check
my @slow = map { "/heavy/$_" } qw(u1 u2);

# the answers of one are never under a second

learnt(map { "/heavy/$_" } qw(a1 b1 u1 u2 c1));

my $n = executed {
    is($_->finish->{status}, 200, 'slow')
        for map { start($_) } ((@slow) x 4, ('/heavy/c1') x 2);
} qr/SELECT \d FROM public.lock_/;

is($n, 10, 'each was executed once');
is(sessions('heavy'), 2, 'by two connections');

# they have been opened, and are not used when nothing is held up

my @locks = map { held("LOCK TABLE lock_$_ IN ACCESS EXCLUSIVE MODE") }
            qw(a b);
my @held = map { start("/heavy/${_}1") } qw(a b);

wait_until { waiting('heavy') == 2 } 'two are held up';
is($_->finish->{status}, 200, 'others are answered')
    for map { start($_) } (@slow) x 2;
is(sessions('heavy'), 4, 'by spare connections');

$_->release for @locks;
$_->finish for @held;

my @asked = map { start($_) } (@slow) x 4;
my $most = 0;

wait_until {
    my $active = sessions('heavy', "state = 'active'");

    $most = $active if $active > $most;
    !grep { $_->pending } @asked;
} 'all are answered';
$_->finish for @asked;
is($most, 2, 'two at a time');


=== TEST 10: a server is asked when nothing may be sent to the others
--- http_config eval
<<"CONF"
upstream primary {
    server unix:$ENV{SF_TEST_PG_SOCKET};
    softfactory_pg "dbname=$::DB user=app";
    softfactory_pg_pool $::POOL;
}
upstream replicas {
    server unix:$ENV{SF_TEST_PG_SOCKET} weight=200;
    server unix:@{[main::another()]};
    softfactory_pg "dbname=$::DB user=app";
    softfactory_pg_pool connections=2 $::POOL;
}
CONF
--- config eval
"location /api/ { softfactory_pass primary replicas=replicas; }\n"
. main::all(map { main::reads('read', $_, 1, '', 'replicas') } 'a', '')
--- check
fetch($_) for ('/read/a1', '/read/1') x 2;

my $lock = held($::LOCK);
my @held = start('/read/a1');

wait_until { waiting('read') == 1 } 'the lock is waited for';

# at one of the servers the endpoint is barred, but not at the other

push @held, start('/read/a1');
my $time = time;

wait_until { waiting('read') == 2 } 'at the other server too';
cmp_ok(time - $time, '<', 5, 'at once');
is(fetch('/read/1')->{status}, 200, 'others are answered') for 1 .. 5;

$lock->release;
is($_->finish->{status}, 200, 'all are') for @held;


=== TEST 11: a server whose connections are held up has spare ones by itself
--- http_config eval
<<"CONF"
upstream primary {
    server unix:$ENV{SF_TEST_PG_SOCKET};
    softfactory_pg "dbname=$::DB user=app";
    softfactory_pg_pool connections=1 $::POOL;
}
upstream replicas {
    server unix:$ENV{SF_TEST_PG_SOCKET};
    server unix:@{[main::another()]};
    softfactory_pg "dbname=$::DB user=app";
    softfactory_pg_pool connections=1 $::POOL;
}
CONF
--- config eval
"location /api/ { softfactory_pass primary replicas=replicas; }\n"
. main::all(map { main::reads('read', $_, 1, '', 'replicas') } 'a', '')
--- check
fetch($_) for ('/read/a1', '/read/1') x 4;
is(sessions('read'), 3, 'one each, and one of the primary');

my $lock = held($::LOCK);
my $held = start('/read/a1');

wait_until { waiting('read') == 1 } 'the lock is waited for';
wait_until {
    fetch('/read/1');
    sessions('read') > 3;
} 'one is opened in its place';
fetch('/read/1') for 1 .. 10;
is(sessions('read'), 4, 'and no more');

$lock->release;
is($held->finish->{status}, 200, 'it is answered');


=== TEST 12: an endpoint that is slow, and not its tables, waits for itself
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('read', @$_) }
    ['ua', 1, ', pg_advisory_xact_lock_shared(12)'], ['u', 1], ['a', 1])
--- check
my @others = ('/read/u1', '/read/a1');

learnt('/read/ua1', @others);

my $lock = held('SELECT pg_advisory_lock(12)');
my @held = start('/read/ua1');

wait_until { waiting('read') == 1 } 'it waits';

# until the first one is old, another may be sent

wait_until {
    push @held, start('/read/ua1');
    fetch($_) for @others;
    waiting('read') < @held;
} 'one waits for its endpoint';

# its tables are proved by the others, so they are not to blame

my $n = waiting('read');

push @held, map { start('/read/ua1') } 1 .. 5;
is(fetch($_)->{status}, 200, "$_ is answered") for (@others) x 5;
is(waiting('read'), $n, 'none more of it is sent');

$lock->release;
is($_->finish->{status}, 200, 'all are answered') for @held;


=== TEST 13: of an endpoint that shares some of the tables one goes, to see
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=2 $::POOL")
--- config eval
SoftFactory::api() . main::all(map { main::reads('read', @$_) }
                               ['ua', 1], ['a', 1], ['b', 1])
--- check
my ($worker) = worker_pids();

learnt('/read/ua1', '/read/a1', '/read/b1');

my $n = executed {
    my $lock = held($::LOCK);
    my @held = start('/read/ua1');

    wait_until { waiting('read') == 1 } 'the lock is waited for';
    fetch('/read/b1') for 1 .. 5;
    push @held, at_once($worker, ('/read/a1') x 4);
    wait_until { waiting('read') == 2 } 'one more waits for it';
    fetch('/read/b1') for 1 .. 20;
    is(waiting('read'), 2, 'and only that');
    wait_until { sessions('read') == 4 } 'there are two spare connections';

    $lock->release;
    like($_->finish->{body}, qr/outcome:0/, 'it is answered') for @held;
} qr/lock_a/;

is($n, 5, 'each was executed once');

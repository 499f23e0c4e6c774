# Probes: /health and /ready ask whether the database is there, wait for nobody
# and take nothing from the others.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
master_on();
worker_connections(1024);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_ping', 'softfactory');
our $GATE = SoftFactory::Gate->new($ENV{SF_TEST_PG_SOCKET});
our @TABLES = qw(a b c);

psql("CREATE TABLE ping_$_ AS SELECT 1 AS n", dbname => $DB) for @TABLES;
log_statements($DB);


# reads(): /a, /b and /c read a table each, /free none

sub reads {
    my ($mask, $conf) = (1, '');

    for my $table (@TABLES) {
        $conf .= "location = /$table { softfactory_test_statement primary read "
                 . "1 'SELECT 1 FROM public.ping_$table' $mask; }\n";
        $mask *= 2;
    }

    return $conf . "location = /free { softfactory_test_statement primary read "
           . "1 'SELECT 1'; }\n"
           . "location = /live { softfactory_live; }\n";
}


sub sessions {
    my ($lane, $more) = @_;

    return backends("datname = '$DB' AND application_name = "
                    . "'softfactory/$lane'" . ($more ? " AND $more" : ''));
}


# held($sql): a session that has run it and keeps its locks

sub held { return hold($_[0], dbname => $DB, user => 'app') }


# arrived(): all that was sent before this has been read by the worker, which
# takes connections in their order

sub arrived { fetch('/live')->{status} == 200 or die 'no answer' }


sub statuses {
    my %n;

    $n{$_->finish->{status}}++ for @_;

    return join ' ', map { "$_: $n{$_}" } sort keys %n;
}

our $LOCK = 'LOCK TABLE ' . join(', ', map { "ping_$_" } @TABLES)
            . ' IN ACCESS EXCLUSIVE MODE';
our $POOL = 'wait=30s timeout=30s heavy_timeout=30s';
our $PING = qr{/\* ping \*/};

defaults(config => api(reads()));

run_tests();

__DATA__

=== TEST 1: all connections are held up by locks
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=1 $::POOL")
--- check
fetch("/$_") for @::TABLES, 'free', 'health';

is(sessions('ping'), 0, 'a ping goes by the connections of the others');

my $lock = held($::LOCK);
my @held = map { start("/$_") } @::TABLES;

wait_until { sessions('read', "wait_event_type = 'Lock'") == 3 }
           'all connections are held up, the spare ones too';

my $waits = start('/free');

is(statuses(map { (start('/health'), start('/ready')) } 1 .. 10), '200: 20',
   "round $_: every probe is answered") for 1 .. 5;

is(scalar(grep { $_->pending } @held), 3, 'while the others wait');
is(sessions('ping'), 1, 'by a connection of their own');
ok($waits->pending, 'for which others have no use');

$lock->release;

is(statuses(@held, $waits), '200: 4', 'all are answered when the locks go');


=== TEST 2: probes take nothing from the others
--- http_config eval
main::conf(dbname => $::DB, server => '127.0.0.1:' . $::GATE->port,
           pool => "connections=2 $::POOL")
--- check
fetch('/free') for 1 .. 4;

my (@probes, @gone);

my $n = executed {
    $::GATE->hold('/* ping */');

    push @probes, map { (start('/health'), start('/ready')) } 1 .. 150;
    arrived();
    wait_until { $::GATE->held } 'the ping is under way';

    is(statuses(map { start('/free') } 1 .. 20), '200: 20',
       'others are answered meanwhile');
    is(scalar(grep { $_->pending } @probes), 300, 'and the probes wait');

    $::GATE->open;

    is(statuses(@probes), '200: 300', 'for one answer');
} $::PING;

is($n, 1, 'to one statement');

$n = executed {
    $::GATE->shut;

    push @gone, start('/health');
    arrived();

    for (1 .. 20) {
        pop(@gone)->close;
        arrived();
        push @gone, start('/health');
        arrived();
    }

    $::GATE->open;

    is(statuses(@gone), '200: 1', 'the last one is answered');
} $::PING;

is($n, 1, 'who asks and goes away makes no other statement');


=== TEST 3: the server says nothing
--- http_config eval
main::conf(dbname => $::DB, server => '127.0.0.1:' . $::GATE->port,
           pool => 'connections=1 wait=500ms timeout=500ms')
--- error_log
no response in time
--- no_error_log
[alert]
[crit]
[emerg]
--- check
is(fetch('/health')->{status}, 200, 'it is there');

$::GATE->shut;

my @probes = map { (start('/health'), start('/ready')) } 1 .. 10;
is(statuses(@probes), '503: 20', 'every probe is told that it is not');

$::GATE->open;

wait_until { fetch('/health')->{status} == 200 } 'it is there again';


=== TEST 4: the queue is full
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=1 queue=1 $::POOL")
--- check
fetch("/$_") for @::TABLES, 'free';

my $lock = held($::LOCK);
my @held;

# one by one, as there is room for one in the queue

for my $table (@::TABLES) {
    push @held, start("/$table");
    wait_until { sessions('read', "wait_event_type = 'Lock'") == @held }
               "$table is held up";
}

my @waiting = map { start('/free') } 1 .. 5;

wait_until { (grep { !$_->pending } @waiting) == 4 } 'the queue is full';

is(statuses(map { start('/ready') } 1 .. 20), '200: 20',
   'the probes do not stand in it');

$lock->release;
$_->finish for @held, @waiting;


=== TEST 5: what was opened for a lock is closed when it is not needed
--- http_config eval
main::conf(dbname => $::DB, pool => "connections=1 $::POOL")
--- config eval
SoftFactory::api() . main::reads()
. 'location = /later { softfactory_test_later primary; }'
--- check
fetch("/$_") for @::TABLES, 'free', 'health';

my $need = sub {
    my $lock = held($::LOCK);
    my @held = map { start("/$_") } @::TABLES;

    wait_until { sessions('read', "wait_event_type = 'Lock'") == 3 }
               'all connections are held up';
    is(fetch('/ready')->{status}, 200, 'a probe is answered');

    $lock->release;
    is(statuses(@held), '200: 3', 'and the others when the lock goes');
};

my $open = sub { sessions('read') . ' ' . sessions('ping') };

# a fetch is a turn of the event loop, in which what is due is closed

my $later = sub {
    fetch("/later?ms=$_[0]");
    fetch('/live');
    return $open->();
};

$need->();
is($open->(), '3 1', 'two spare connections, and that of the pings');
is($later->(50000), '3 1', 'they stay for a while');

$need->();
is($later->(50000), '3 1', 'longer when they have been needed again');

fetch('/later?ms=11000');
wait_until { $open->() eq '1 0' } 'after a minute they are closed';
pass('after a minute they are closed');

is(fetch('/free')->{status}, 200, 'the others stay');
is(fetch('/health')->{status}, 200, 'and serve the probes');
is($open->(), '1 0', 'which open none');

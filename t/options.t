# What an option changes, seen from outside: each that has no effect any more
# is found here.

use strict;
use warnings;
use lib 't/lib';
use IO::Socket::INET;
use POSIX ();
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;
use SoftFactory::Wait;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
worker_connections(256);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_options');
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';

psql("INSERT INTO users (id, email, password_hash, name, role, is_active)
      VALUES (1, 'a\@x.test', '!', 'Name', 'user', true)", dbname => $DB);
psql("INSERT INTO campaigns (id, creator_id, title, product_name,
                             max_reviewers, deadline, status, created_at)
      SELECT n, 1, 'of ' || n, 'p', 10, 'tomorrow', 'active', 'yesterday'
        FROM generate_series(1, 60) n", dbname => $DB);
SoftFactory::Live::log_statements($DB);


# refuser(): a port where every connection is closed at once, and the file that
# has a byte for each of them

my $self = $$;
my @children;

sub refuser {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64)
        or die "no port: $!";
    my $file = scratch_dir() . '/refused.' . $listen->sockport;

    write_file($file, '');

    my $pid = fork // die "fork: $!";

    if (!$pid) {
        while (my $client = $listen->accept) {
            open my $out, '>>', $file or POSIX::_exit(1);
            syswrite $out, '.';
            close $client;
        }
        POSIX::_exit(0);
    }

    push @children, $pid;

    return ($listen->sockport, $file);
}


END {
    local $?;

    if ($$ == $self) {
        for my $pid (@children) {
            kill TERM => $pid;
            ended($pid, 'a port that refuses');
        }
    }
}


# statements { ... }: what the server logs meanwhile of this database:
# [pid, name of the statement]

sub statements(&) {
    my ($code) = @_;

    my $file = "$ENV{SF_TEST_PG_DIR}/pg.log";
    my $from = -s $file;

    $code->();

    open my $in, '<', $file or die "$file: $!";
    seek $in, $from, 0;

    return map { m{\[(\d+)\] \S+ LOG:  execute ([^:]+): /\*} ? [$1, $2] : () }
           <$in>;
}


# slow($n): so many slow requests that end at once

sub slow {
    my ($n) = @_;

    my $lock = hold($::LOCK, dbname => $::DB);
    my @clients = map { start("$::CAMPAIGN/$_") } 1 .. $n;

    wait_until {
        backends("datname = '$::DB' AND wait_event_type = 'Lock'");
    } 'a request waits';
    sleep 1;
    $lock->release;

    is(join(' ', map { $_->finish->{status} } @clients),
       join(' ', (200) x $n), "$n slow ones are answered");
}


# slow_lines(): lines of the slow log, by the second in which they were written

sub slow_lines {
    my %n;

    $n{$_}++ for error_log() =~ /^(\S+ \S+) \[warn\].*softfactory slow req/mg;

    return \%n;
}


defaults(http_config => conf(dbname => $DB),
         no_error_log => "[crit]\n[alert]\n[emerg]\n");

run_tests();

__DATA__

=== TEST 1: max_fails: so many failures bring no pause
--- http_config eval
($::ONE, $::ONE_FILE) = main::refuser();
($::SIX, $::SIX_FILE) = main::refuser();
main::conf(dbname => $::DB)
. main::conf(name => 'one', server => "127.0.0.1:$::ONE fail_timeout=10s",
           pool => 'connections=1 heavy=1 wait=2s')
. main::conf(name => 'six',
             server => "127.0.0.1:$::SIX max_fails=6 fail_timeout=10s",
             pool => 'connections=1 heavy=1 wait=2s')
--- config eval
main::api() . <<'CONF'
location /one/ { rewrite ^/one(/.*) $1 break; softfactory_pass one; }
location /six/ { rewrite ^/six(/.*) $1 break; softfactory_pass six; }
CONF
--- check
is(fetch("/one$::CAMPAIGN")->{status}, 503, 'a dead server');
is(fetch("/six$::CAMPAIGN")->{status}, 503, 'another one');

# the pauses behind the first failure add up to more than the wait

cmp_ok(-s $::SIX_FILE, '>=', 7, 'six failures, and the one after them');
cmp_ok(-s $::ONE_FILE, '<', 7, 'by default there is a pause after each');


=== TEST 2: weight: replicas share the reads by it
--- http_config eval
$::GATE = SoftFactory::Gate->new($ENV{SF_TEST_PG_SOCKET});
main::conf(server => 'unix:/nowhere/.s.PGSQL.1') . <<"CONF"
upstream replicas {
    server unix:$ENV{SF_TEST_PG_SOCKET} weight=3;
    server 127.0.0.1:@{[$::GATE->port]};
    softfactory_pg "dbname=$::DB user=app";
    softfactory_pg_pool connections=2 heavy=1;
}
CONF
--- config
softfactory_token demo_token user=1 products=all;
location /api/ { softfactory_pass primary replicas=replicas; }
--- check
wait_until { fetch("$::CAMPAIGN/1")->{status} == 200 } 'replicas are asked';

my $lock = hold($::LOCK, dbname => $::DB);
my @clients = map { start("$::CAMPAIGN/$_") } 1 .. 2;

wait_until {
    backends("datname = '$::DB' AND wait_event_type = 'Lock'") == 2;
} 'a connection to each waits';
$lock->release;
$_->finish for @clients;

my %n;

$n{$_->[0]}++ for main::statements { fetch("$::CAMPAIGN/$_") for 1 .. 40 };

is(join(' ', sort { $a <=> $b } values %n), '10 30', 'one of four, and three');


=== TEST 3: lifetime: which connection ends first is left to chance
--- http_config eval
main::conf(dbname => $::DB, pool => 'connections=16 heavy=1 lifetime=6s')
--- config eval
main::api()
--- check
my $mine = "FROM pg_stat_activity WHERE datname = '$::DB'
            AND application_name = 'softfactory/read'";
my $lock = hold($::LOCK, dbname => $::DB);
my @clients = map { start("$::CAMPAIGN/$_") } 1 .. 60;

# the lock may open spare ones as well

wait_until { ask("SELECT count(*) $mine") >= 16 } 'sixteen connections';

my @pids = split /,/, ask("SELECT string_agg(pid::text, ','
                                              ORDER BY backend_start) $mine");

$lock->release;
$_->finish for @clients;

# one that is too old goes when something is asked: the first fifth of the
# lifetime before its end is a matter of chance, and not who came first

my ($left, $most) = (scalar @pids, 0);

wait_until {
    fetch("$::CAMPAIGN/1");

    my %alive = map { $_ => 1 }
                split /,/, ask("SELECT coalesce(string_agg(pid::text, ','),
                                                '') $mine");
    my ($older, $n) = (0, 0);

    for (@pids) {
        $alive{$_} ? $older++ : ($n += $older);
    }

    $left = grep { $alive{$_} } @pids;
    $most = $n if $n > $most;
    !$left;
} 'all are gone';

cmp_ok($most, '>=', 8, 'pairs of which the younger one was gone first');


=== TEST 4: prepare: statements have names, or none
--- http_config eval
main::conf(dbname => $::DB)
. main::conf(name => 'off', dbname => $::DB, pool => 'prepare=off')
--- config eval
main::api() . <<'CONF'
location /off/ { rewrite ^/off(/.*) $1 break; softfactory_pass off; }
CONF
--- check
my $names = sub {
    my ($prefix) = @_;

    my @names = map { $_->[1] } main::statements {
        fetch("$prefix$::CAMPAIGN/$_") for 1 .. 10;
    };

    return scalar(@names) . ' ' . grep { $_ eq '<unnamed>' } @names;
};

is($names->(''), '10 0', 'all have one');
is($names->('/off'), '10 10', 'none has');


=== TEST 5: shared_sync: statements that are sent together
--- http_config eval
main::conf(dbname => $::DB, pool => 'connections=1')
. main::conf(name => 'off', dbname => $::DB,
             pool => 'connections=1 shared_sync=off')
--- config eval
CORE::join '', map { <<"CONF" } ['on', 'primary'], ['off', 'off'];
location /$_->[0]/api/ { softfactory_pass $_->[1]; }
location = /$_->[0]/now {
    softfactory_test_statement $_->[1] read 1 "SELECT now()";
}
location = /$_->[0]/all {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/$_->[0]/now" --><!--#include
        virtual="/$_->[0]/now" --><!--#include virtual="/$_->[0]/now" -->';
}
CONF
--- check
# the time of the transaction; a statement is prepared alone, so the first
# round does not count

my $transactions = sub {
    my ($path) = @_;

    fetch($path);
    my %now = map { $_ => 1 } fetch($path)->{body} =~ /^(\d.*)\|$/mg;

    return scalar keys %now;
};

is($transactions->('/on/all'), 1, 'in one transaction');
is($transactions->('/off/all'), 3, 'each in its own');


=== TEST 6: rate: lines of the slow log in a second
--- http_config eval
main::conf(dbname => $::DB, pool => 'connections=40 wait=10s')
--- config eval
main::api('softfactory_slow 300ms rate=3;')
--- check
main::slow(30);

wait_until { %{main::slow_lines()} } 'there are lines';

my @n = sort { $b <=> $a } values %{main::slow_lines()};

is($n[0], 3, 'as many as allowed, in a second and in each');
cmp_ok(scalar @n, '<', 10, 'not all of them');


=== TEST 7: rate: another one, and none at all
--- http_config eval
main::conf(dbname => $::DB, pool => 'connections=40 wait=10s')
--- config eval
main::api('softfactory_slow 300ms rate=7;')
--- check
main::slow(30);
wait_until { %{main::slow_lines()} } 'there are lines';

my @n = sort { $b <=> $a } values %{main::slow_lines()};

is($n[0], 7, 'as many as allowed');


=== TEST 8: a rate of 0: nothing is logged, nor that it was not
--- http_config eval
main::conf(dbname => $::DB, pool => 'connections=40 wait=10s')
--- config eval
main::api('softfactory_slow 300ms rate=0;')
--- check
main::slow(5);
sleep 1;
main::slow(5);

is(log_count(qr/slow request/), 0, 'no line of any kind');

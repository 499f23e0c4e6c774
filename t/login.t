# Logins by password: what a server has the worker hash is done one after the
# other, and the worker has time for everything else between.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use Digest::SHA qw(sha256 hmac_sha256);
use MIME::Base64;
use Time::HiRes qw(time);
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
master_on();
log_level('info');
plan('no_plan');

our $DB = scratch('sf_login', 'softfactory');
our $ROUNDS = sanitized() ? 40000 : 300000;
our $GATE = SoftFactory::Gate->new($ENV{SF_TEST_PG_SOCKET});


# verifier($password, $rounds): what PostgreSQL keeps of it (RFC 5802, 3)

sub verifier {
    my ($password, $rounds) = @_;

    my $salt = 'salt of 16 bytes';
    my ($status, $text) = program('openssl kdf',
        ['openssl', 'kdf', '-keylen', 32, '-kdfopt', 'digest:SHA256',
         '-kdfopt', "pass:$password", '-kdfopt', "salt:$salt",
         '-kdfopt', "iter:$rounds", 'PBKDF2']);
    die $text if $status;

    $text =~ s/[^0-9A-F]//g;
    my $salted = pack 'H*', $text;

    return "SCRAM-SHA-256\$$rounds:" . encode_base64($salt, '') . '$'
           . join ':', map { encode_base64($_, '') }
                       sha256(hmac_sha256('Client Key', $salted)),
                       hmac_sha256('Server Key', $salted);
}

psql($_, user => 'postgres', dbname => 'postgres')
    for "DROP ROLE IF EXISTS sf_login",
        "CREATE ROLE sf_login LOGIN PASSWORD '" . verifier('x', $ROUNDS) . "'";

# one that may read waits for a lock, and is not refused before

psql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO sf_login',
     user => 'postgres', dbname => $DB);


sub sessions {
    return backends("usename = 'sf_login' AND state = 'idle' AND "
                    . "backend_start > '$_[0]'");
}

our $LIVE = 'location /live { softfactory_live; }';

run_tests();

psql($_, user => 'postgres', dbname => $DB)
    for 'DROP OWNED BY sf_login', 'DROP ROLE sf_login';

__DATA__

=== TEST 1: many connections, each of which takes long to log in
--- http_config eval
main::conf(dbname => $::DB, name => 'dead', pool => 'connect_timeout=30s',
           server => '127.0.0.1:' . do { $::GATE->shut; $::GATE->port })
. main::conf(server => "127.0.0.1:$ENV{SF_TEST_PG_PORT}",
             conninfo => "dbname=$::DB user=sf_login password=x",
             pool => 'connections=8 connect_timeout=2s')
--- config eval
SoftFactory::api($::LIVE)
. 'location /dead { softfactory_test_statement dead read 1 "SELECT 1"; }'
--- check
# a new worker begins to connect

my $now = psql('SELECT clock_timestamp()');

kill 'TERM', worker_pids();

my @times;

wait_until {
    my $time = time;
    fetch('/live');
    push @times, time - $time;

    @times % 20 == 0 && sessions($now) == 8;
} 'all have logged in';

# a turn of the event loop in which somebody hashes is far longer than others

my ($longest) = sort { $b <=> $a } @times;
my $all = 0;
$all += $_ for grep { $_ > $longest / 10 } @times;

cmp_ok($longest, '<', $all / 3, 'the worker stops for one of them at a time');
is(log_count(qr/connect timed out/), 0,
   'who waits for another has as long as before');
is(fetch('/health')->{status}, 200, 'a server that says nothing stops nobody');


=== TEST 2: a worker that has to exit while logins wait for each other
--- main_config: worker_shutdown_timeout 1s;
--- http_config eval
main::conf(dbname => $::DB,
           server => "127.0.0.1:$ENV{SF_TEST_PG_PORT}",
           conninfo => "dbname=$::DB user=sf_login password=x",
           pool => 'connections=8 connect_timeout=20s wait=60s timeout=60s')
--- config eval
SoftFactory::api($::LIVE)
--- check
my ($old) = worker_pids();
my $pid;

kill 'TERM', $old;
wait_until {
    ($pid) = worker_pids();
    $pid && $pid != $old && fetch('/live')->{status};
} 'a new worker begins to connect';

# a request that waits keeps it until nginx closes everything

my $lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my $client = start('/api/review/campaigns');

# what comes later is answered: the worker has accepted that one, too

fetch('/live');

kill 'QUIT', $pid;
wait_until { !running($pid) } 'it has gone';
$lock->release;
is($client->finish->{status}, 0, 'and has closed what was left');
is(log_count(qr/exited on signal/), 0, 'by itself');
is(fetch('/live')->{status}, 200, 'another one is there');

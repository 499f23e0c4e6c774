# Fairness: who may spend what of a pool.  Statements are held by locks on
# tables; whose wait is looked up in pg_stat_activity, by the lanes' names.

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

our $DB = scratch('sf_fair');
our $LISTINGS = '/api/review/listings';
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE review_listings IN ACCESS EXCLUSIVE MODE';
our $LOCKS = 'LOCK TABLE review_listings, payments, sns_accounts
              IN ACCESS EXCLUSIVE MODE';

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
SELECT n, n || '@x.test', '!', 'Name', 'user', true
  FROM generate_series(1, 9) n;
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       deadline, status, created_at)
SELECT n, 1, 'of ' || n, 'p', 'c', 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 20) n
SQL

log_statements($DB);

our %TOKEN = map { $_ => jwt(user_id => $_) } 1 .. 9;


# of($user, $path): a request on its way.  The token of user 1 needs no look at
# him

sub of {
    my ($user, $path, @o) = @_;

    return start($path, token => !$user ? undef
                                 : $user == 1 ? 'demo_token' : $TOKEN{$user},
                 @o);
}


# searches($user, $n): so many, each another one; they are heavy, and so is the
# total that each has

my $words = 'aaa';

sub searches {
    my ($user, $n) = @_;

    return map { of($user, "$LISTINGS/search?q=" . $words++) } 1 .. $n;
}


# held($lane): sessions of a lane that wait for a lock

sub held {
    my ($lane) = @_;

    return backends("datname = '$DB' AND wait_event_type = 'Lock' AND "
                    . "application_name = 'softfactory/$lane'");
}


# wait_held($lane => $n, ...)

sub wait_held {
    my %n = @_;

    for my $lane (sort keys %n) {
        wait_until { held($lane) == $n{$lane} } "$n{$lane} of $lane are held";
    }
}


# queued($lane): statements that wait, as the worker says once a second

sub queued {
    my ($lane) = @_;

    return get('/metrics', token => undef)->{body}
           =~ /^softfactory_db_queue_length\{.*lane="$lane"\} (\d+)/m
           && $1;
}


sub statuses {
    return join ' ', map { $_->finish->{status} } @_;
}


our $POOL = 'queue=16 wait=20s timeout=20s heavy_timeout=20s';
our $METRICS = 'location = /metrics { softfactory_metrics; }';

defaults(http_config => conf(dbname => $DB, pool => $POOL),
         config => api($METRICS));

run_tests();

__DATA__

=== TEST 1: a client that asks for much leaves a connection to the others
--- check
statuses(searches(1, 1));

my $lock = hold($::LOCK, dbname => $::DB);
my @mine = searches(1, 20);

wait_held(heavy => 1);

# one is under way, and a quarter of the queue is his: for the total of that,
# and for another with its own

my @refused = grep { !$_->pending } @mine;

wait_until { @refused = grep { !$_->pending } @mine; @refused == 18 }
           'all but two are answered';

my @res = map { $_->finish } @refused;

is(join(' ', map { $_->{status} } @res), join(' ', (429) x 18),
   'those beyond his part of the queue are refused');
is($res[0]{body}, qq({"error":"Too many requests"}\n), 'as JSON');
is($res[0]{headers}{'retry-after'}, 1, 'with Retry-After');

is(statuses(of(2, '/api/dashboard/kpis'), of(3, "$::CAMPAIGN?category=c"),
            of(4, '/api/dashboard/summary')),
   '200 200 200', 'others have their figures and their totals meanwhile');
is(held('heavy') + held('totals'), 1, 'and he waits in one connection');

my ($other) = searches(2, 1);

wait_until { queued('heavy') + held('heavy') == 6 }
           'also another waits for the lock';
$lock->release;
is(statuses($other), '200', 'he is answered');

my %refused = map { $_ => 1 } @refused;

is(statuses(grep { !$refused{$_} } @mine), '200 200',
   'and so are those that waited');
is(get('/metrics', token => undef)->{body}
   =~ /^softfactory_db_errors_total\{reason="quota"\} (\d+)/m && $1, 18,
   'it is counted');


=== TEST 2: they go by turns
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL . ' heavy=2')
--- config eval
SoftFactory::api($::METRICS, 'softfactory_fair_key $arg_who;')
--- check
# both connections are held, and the two spare ones, by four who wait for
# different tables

my %lock = map { $_ => hold("LOCK TABLE $_ IN ACCESS EXCLUSIVE MODE",
                            dbname => $::DB) }
           qw(review_listings payments sns_accounts subscriptions);

my @first = map { of(1, $_) }
            (map { "$::LISTINGS/search?q=turn$_&who=1" } 1, 2),
            '/api/analytics/advanced?who=9', '/api/sns/analytics?who=8',
            '/api/dashboard/summary?who=7';

wait_held(heavy => 4);

my @other = map { of(1, "/api/analytics/cohort?who=$_") } 2, 3;

wait_until { queued('heavy') == 5 } 'five wait';
$lock{payments}->release;

# user 1 has one under way: the connection that is free is for the others

is(statuses(@other, $first[2]), '200 200 200', 'all the others are served');
wait_held(heavy => 3);
is(scalar(grep { $_->pending } @first[0, 1]), 2, 'while the one waits');
$_->release for values %lock;
is(statuses(@first[0, 1, 3, 4]), '200 200 200 200', 'who comes then');


=== TEST 3: a client that has left before its response has had its turn
--- check
my $lock = hold($::LOCK, dbname => $::DB);

for (1 .. 3) {
    my ($c) = searches(1, 1);
    wait_held(heavy => 1);
    $c->close;
}

my ($c) = searches(1, 1);

is(statuses(of(2, '/api/dashboard/kpis')), '200', 'another is served');
wait_held(heavy => 1);
ok($c->pending, 'his next one waits');
$lock->release;
is(statuses($c), '200', 'until the first is over');


=== TEST 4: in the read lane it is a connection as well
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL . ' connections=3 depth=1')
--- check
my $lock = hold($::LOCKS, dbname => $::DB);
my @mine = map { of(1, $_) } "$::LISTINGS/1", '/api/sns/accounts',
           "$::LISTINGS/2", '/api/review/my-campaigns';

wait_held(read => 2);
wait_until { queued('read') == 2 } 'the others wait, of any endpoint';
is(statuses(of($_, '/api/review/my-applications')), '200',
   "user $_ is answered") for 2 .. 5;
is(scalar(grep { $_->pending } @mine), 4, 'his own are held');
$lock->release;
is(statuses(@mine), '404 200 404 200', 'until they can be answered');


=== TEST 5: whose turn it is may be said by the configuration
--- config eval
SoftFactory::api($::METRICS, 'softfactory_fair_key $arg_who;')
. 'location /by/ { rewrite ^/by(/.*)$ $1 break; softfactory_pass primary; '
. 'softfactory_fair_key "$http_x_tenant-tenant"; }'
--- check
my $lock = hold($::LOCKS, dbname => $::DB);
my $posts = '/api/sns/analytics?start_date=2026-01-0';
my $sums = '/api/dashboard/kpis';

my @one = (of(1, "${posts}1&who=one"), of(2, "$sums?who=one"));

wait_held(heavy => 1);
wait_until { queued('heavy') == 1 } 'two users are one';

my ($two) = of(1, "$sums?who=two");

wait_held(heavy => 2);
pass('and one user is two');
$lock->release;
is(statuses(@one, $two), '200 200 200', 'all are answered');

# nobody

$lock = hold($::LOCKS, dbname => $::DB);

my @nobody = map { of(1, $_) } "${posts}1", $sums;

wait_held(heavy => 2);
$lock->release;
is(statuses(@nobody), '200 200', 'without a name: no limit');

# a location has its own

$lock = hold($::LOCKS, dbname => $::DB);

my @tenant = (of(1, "/by${posts}1&who=1", headers => ['X-Tenant: t']),
              of(2, "/by$sums?who=2", headers => ['X-Tenant: t']));

wait_held(heavy => 1);
wait_until { queued('heavy') == 1 } 'a tenant is one';
$lock->release;
is(statuses(@tenant), '200 200', 'of a location');


=== TEST 6: without a user it is the address
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL . ' connections=2 depth=1')
--- check
my $lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my @mine = map { of(undef, "$::CAMPAIGN?category=$_") } 1 .. 3;

wait_held(totals => 1);
wait_until { queued('totals') == 2 } 'two wait';

my $other = of(2, "$::LISTINGS?category=a");

is(statuses($other), '200', 'others are served');
$lock->release;
is(statuses(@mine), '200 200 200', 'all are');


=== TEST 7: a client that waits for a locked table goes on with what is not locked
--- check
my $lock = hold($::LOCK, dbname => $::DB);
my $sensor = of(2, "$::LISTINGS?category=a");

wait_held(totals => 1);

# of user 1 one total may be under way; the first has to wait for the lock

my @barred = of(1, "$::LISTINGS?category=b");

wait_until { queued('totals') } 'it waits';

is(statuses(map { of(1, "/api/sns/posts?status=draft&per_page=$_") } 1 .. 3),
   '200 200 200', 'the others are answered');
ok($_->pending, 'and those of the table wait') for $sensor, @barred;

$lock->release;
is(statuses($sensor, @barred), '200 200', 'until the lock goes');


=== TEST 8: a client that joins the flight of another does not wait for the other's turns
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL, zone => 'api 8m')
--- check
my $kpis = '/api/dashboard/kpis';
my $lock = hold($::LOCK, dbname => $::DB);
my @mine = (searches(1, 1), of(1, $kpis));

wait_held(heavy => 1);
wait_until { queued('heavy') == 1 } 'what else user 1 wants waits for a turn';

my $other = of(2, $kpis);

is(statuses($other, pop @mine), '200 200', 'user 2 has one');
ok($_->pending, 'the lock is there') for @mine;

$lock->release;
is(statuses(@mine), '200', 'until it goes');


=== TEST 9: nor is it refused for another
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL . ' connections=2 depth=1',
           zone => 'api 8m')
--- config eval
SoftFactory::api('softfactory_fair_key $http_x_who;', $::METRICS)
--- check
my $flights = sub {
    get('/metrics', token => undef)->{body}
        =~ /^softfactory_flights_total\{kind="answer"\} (\d+)/m;
    return $1;
};
my $by = sub { of($_[1], $_[2], headers => ["X-Who: $_[0]"]) };

# a page that is asked for when its total is known

my $first = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
                 dbname => $::DB);
my @page = map { $by->($_, undef, "$::CAMPAIGN?page=2&per_page=5") } 'a', 'b';

wait_held(totals => 1);

# meanwhile "a" has filled his part of the queue: one is sent, four wait

my $lock = hold($::LOCK, dbname => $::DB);
my $before = $flights->();
my @held = map { $by->('a', 1, "$::LISTINGS/$_") } 1 .. 6;

wait_until { grep { !$_->pending } @held } 'one is refused';
is($flights->() - $before, 5, 'which is no flight');

$first->release;
is(statuses(@page), '200 200', 'the page is sent by the turns of "b"');

$lock->release;
is(join(' ', sort map { $_->finish->{status} } @held), '404 404 404 404 404 429',
   'and the others when the lock goes');

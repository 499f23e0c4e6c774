# Answers from shared memory: what a client sees of them, how long they live,
# what ends them, and what is never in there.
#
# Nobody waits for a time to pass where a lock can do: while a test holds a
# table, whatever is answered has not asked the database.
#
# The scratch database has users 1 to 4, 1 and 2 with all products; campaign n
# of user 2 - n % 2 has the title "of n".  Triggers are on all tables.

# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use IO::Socket::UNIX;
use IO::Uncompress::Gunzip ();
use POSIX ();
use JSON::PP ();
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
master_on();
worker_connections(512);
log_level('info');
plan('no_plan');

our ($DB, $OTHER) = (scratch('sf_cache'), scratch('sf_cache_other'));
our $dir = scratch_dir();
our $SLOW = free_port();
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';

our $DATA = <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active,
                   created_at)
SELECT n, n || '@x.test', '!', 'Name ' || n, 'user', true, 'yesterday'
  FROM generate_series(1, 4) n;
INSERT INTO subscriptions (user_id, product_id, status)
SELECT n, p.id, 'active' FROM generate_series(1, 2) n, products p;
INSERT INTO payments (user_id, product_id, amount, status, created_at)
SELECT 1, 1, n, 'completed', 'yesterday' FROM generate_series(1, 5) n;
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       max_reviewers, deadline, status, created_at)
SELECT n, 2 - n % 2, 'of ' || n, current_database(), 'c' || n % 3, 10,
       'tomorrow', 'active', localtimestamp - n * interval '1 hour'
  FROM generate_series(1, 30) n;
INSERT INTO campaign_applications (campaign_id, user_id, message, created_at)
SELECT n, 2 - n % 2, 'message ' || n, 'yesterday'
  FROM generate_series(1, 10) n;
INSERT INTO review_listings (id, source_platform, external_id, title, status,
                             category, deadline, scraped_at)
SELECT n, 'p' || n % 2, n, 'listing ' || n, 'active', 'c' || n % 3,
       'tomorrow', 'yesterday'
  FROM generate_series(1, 30) n;
INSERT INTO review_accounts (id, user_id, platform, account_name)
SELECT n, n, 'p', 'a' FROM generate_series(1, 2) n;
INSERT INTO review_applications (listing_id, account_id, applied_at, status)
SELECT n, 2 - n % 2, 'yesterday', 'pending' FROM generate_series(1, 4) n;
INSERT INTO review_bookmarks (user_id, listing_id, created_at)
SELECT 2 - n % 2, n, 'yesterday' FROM generate_series(1, 5) n;
INSERT INTO sns_accounts (id, user_id, platform, account_name, is_active,
                          created_at)
SELECT n, n, 'p' || n, 'account ' || n, true, 'yesterday'
  FROM generate_series(1, 2) n;
INSERT INTO sns_posts (id, user_id, account_id, content, platform, status,
                       created_at)
SELECT n, CASE WHEN n <= 600 THEN 1 ELSE 2 END,
       CASE WHEN n <= 600 THEN 1 ELSE 2 END,
       'post ' || n || repeat('x', n % 100), 'p' || n % 2, 'draft',
       localtimestamp - n * interval '1 minute'
  FROM generate_series(1, 620) n;
INSERT INTO sns_analytics (user_id, account_id, date, followers,
                           total_engagement, total_reach)
SELECT n, n, current_date - 1, n * 10, n * 100, n * 1000
  FROM generate_series(1, 2) n
SQL

for my $db ($DB, $OTHER) {
    psql($_, dbname => $db) for split /;\n/, $DATA;
    install_notify($db);
}

log_statements($DB);

our @ROWS = endpoints();
our @CACHED = grep { $_->{sql} } @ROWS;
our %TOKEN = map { $_ => jwt(user_id => $_) } 1 .. 4;


# path($row, $id): of an endpoint, for a row of the table; one of them does not
# answer without a parameter

sub path {
    my ($row, $id) = @_;
    my $path = $row->{path};

    $id //= 1;
    $path =~ s/\{id\}/$id/;

    return $path . ($row->{name} =~ /search/ ? '?q=listing' : '');
}


# by($user, $path): the answer to a user's token

sub by {
    my ($user, $path, %o) = @_;

    return get($path, token => $TOKEN{$user}, %o);
}


# x($response): its status and what it says of the cache

sub x {
    my ($res) = @_;

    return $res->{status} . ' ' . ($res->{headers}{'x-cache'} // 'none');
}


sub age {
    my ($res) = @_;

    return $res->{headers}{age} // -1;
}


# asked($response): whether it waited for a statement

sub asked {
    my ($res) = @_;

    return ($res->{headers}{'server-timing'} // '') =~ /\bdb;/ ? 1 : 0;
}


# etag($response)

sub etag {
    my ($res) = @_;

    return $res->{headers}{etag} // 'none';
}


# error($response): its status and error

sub error {
    my ($res) = @_;

    return $res->{status} . ' '
           . ($res->{body} =~ /^\{"error":"([^"]*)"\}\n\z/ ? $1 : 'none');
}


sub purge {
    my ($what) = @_;

    return request('POST', "/purge?$what");
}


# slow_server(): a server whose clients can be slow: the system takes little of
# an answer from nginx before they read

sub slow_server {
    return "server { listen 127.0.0.1:$SLOW sndbuf=16k; send_timeout 60s;\n"
           . "$::CONFIG }\n";
}


# slow(@paths): a request for each, whose first bytes are there

sub slow {
    my @clients = map { start($_, port => $::SLOW, rcvbuf => 4096) } @_;

    wait_until { !$_->pending } 'the first bytes are there' for @clients;

    return @clients;
}


sub gunzip {
    my ($res) = @_;
    my $text;

    IO::Uncompress::Gunzip::gunzip(\$res->{body}, \$text) or return 'no gzip';

    return $text;
}


# all_pins_back($title): one test

sub all_pins_back {
    my ($title) = @_;
    my $cache;

    eval {
        wait_until {
            $cache = zone_status()->{cache};
            $cache->{pins} == 0 && $cache->{pinned_bytes} == 0;
        } 'nothing is pinned';
    };

    is("$cache->{pins} $cache->{pinned_bytes}", '0 0', $title);
}


# off(@lines): the same API below /off/, without the cache

sub off {
    return at('off', 'softfactory_cache off;');
}


# at($prefix, $lines, $upstream): the API below a prefix

sub at {
    my ($prefix, $lines, $upstream) = @_;

    $lines //= '';
    $upstream //= 'primary';

    return "location /$prefix/ {\n    rewrite ^/$prefix(/.*)\$ \$1 break;\n"
           . "    softfactory_pass $upstream;\n    $lines\n}\n";
}


# waiting($n): sessions of the module that wait for a lock

sub waiting {
    my ($n, $more) = @_;

    return wait_until {
        backends("datname = '$DB' AND wait_event_type = 'Lock' AND "
                 . "application_name LIKE 'softfactory/%' AND "
                 . ($more // 'true')) == $n;
    } "$n wait for a lock";
}


our $POOL = 'connections=2 totals=1 heavy=1 wait=20s timeout=20s '
            . 'heavy_timeout=20s';

our $HTTP = conf(dbname => $DB, pool => $POOL, zone => 'api 32m');
our $CONFIG = api(operators('api'), off());

defaults(http_config => $HTTP, config => $CONFIG);

add_block_preprocessor(sub {
    my ($block) = @_;

    my $more = $block->more_http // '';

    $block->set_value(http_config => ($block->http_config // $HTTP) . $more);
});

run_tests();

__DATA__

=== TEST 1: every endpoint says where its response is from
--- check
wait_coherent();

my $timing = qr/^(?:auth;dur=\d+\.\d{3}, )?cache;dur=\d+\.\d{3}/;

for my $row (@::ROWS) {
    my $path = path($row);
    my $name = $row->{name};
    my $first = by(1, $path);
    my $next = by(1, $path);
    my $head = request('HEAD', $path, token => $::TOKEN{1});
    my ($one, $two) = map { $_->{headers} } $first, $next;

    if ($row->{document}) {
        is(join(', ', map { x($_) } $first, $next, $head),
           '200 BYPASS, 200 BYPASS, 200 BYPASS', "$name is never cached");
        is(join('', map { $_->{etag} // '' } $one, $two), '',
           "$name: nothing to compare");
        next;
    }

    my $expected = $row->{sql} ? '200 MISS, 200 HIT, 200 HIT'
                   : '200 HIT, 200 HIT, 200 HIT';

    is(join(', ', map { x($_) } $first, $next, $head), $expected,
       "$name: X-Cache");
    like(etag($first), qr/^"[0-9a-f]{32}"$/, "$name: ETag");
    is(etag($_), etag($first), "$name: the same ETag") for $next, $head;
    ok($first->{body} eq $next->{body}, "$name: the same body");
    is($head->{headers}{'content-length'}, length $next->{body},
       "$name: HEAD has the length");
    is($_->{'cache-control'}, $row->{access} eq 'ANONYMOUS'
       ? 'public, no-cache' : 'private, no-cache', "$name: Cache-Control")
        for $one, $two;
    is($one->{age}, undef, "$name: an answer that was made has no age");
    like($next->{headers}{'server-timing'}, qr/$timing$/,
         "$name: Server-Timing without the database");

    if ($row->{sql}) {
        like($first->{headers}{'server-timing'},
             qr/$timing, queue;dur=\d+\.\d{3}, db;dur=\d+\.\d{3}$/,
             "$name: Server-Timing with it");
        like($two->{age}, qr/^\d+$/, "$name: Age");
        cmp_ok($two->{age}, '<', 20, "$name: which is little");
        is($_->{vary}, 'Accept-Encoding', "$name: Vary") for $one, $two;
    }
}

my $rows = @::CACHED;
my $cache = zone_status()->{cache};

cmp_ok($cache->{fills}, '>=', $rows + 1, 'all of them and a user are stored');
is($cache->{fills_under_way}, 0, 'no fill is left');
all_pins_back('nothing is pinned');

# without a token

is(x(get($::CAMPAIGN, token => undef)), '200 HIT', 'a public one is for all');
is(x(get("$::CAMPAIGN/1", token => 'nonsense')), '200 HIT', 'really all');

# errors that need no row

for (["$::CAMPAIGN/x", 404], ["$::CAMPAIGN/99999999999", 404],
     ['/api/sns/posts', 401], ['/api/review/listings/search?q=%00', 400])
{
    my ($path, $status) = @$_;
    my $res = get($path, token => $status == 401 ? undef : 'demo_token');

    is($res->{status}, $status, "$path is an error");
    is(etag($res) . age($res), 'none-1', "$path has neither ETag nor Age");
}


=== TEST 2: what means the same is one entry
--- config eval
$::CONFIG . main::at('small', 'softfactory_max_page_size 11;')
--- check
wait_coherent();

my $today = POSIX::strftime('%Y-%m-%d', gmtime);
my $start = POSIX::strftime('%Y-%m-%d', gmtime(time - 30 * 86400));

# lists of query strings that mean the same; the lists mean different things

my @same = (
    [$::CAMPAIGN,
     ['', '?', '?page=1', '?per_page=12', '?page=1&per_page=12',
      '?per_page=12&page=1', '?page=%31', '?page=+1', '?page=01', '?page=x',
      '?page=', '?per_page=', '?per_page=1.5', '?category=', '?status=closed',
      '?utm=1&page=1&x', '?page=1&page=2', '?PAGE=2', '?&&&', '?search=a'],
     ['?page=2', '?x=1&page=2', '?page=2&page=1', '?page=2&per_page=12'],
     ['?per_page=11'],
     ['?category=c1', '?category=c1&category=c2', '?category=%631',
      '?page=1&category=c1'],
     ['?category=C1'], ['?category=c1+'],
     ['?per_page=500', '?per_page=501', '?per_page=99999999999999']],
    ["$::CAMPAIGN/1", ['', '?x', '?id=2']],
    ["$::CAMPAIGN/02", ['', '?page=2']],
    ['/api/review/listings',
     ['', '?sort_by=deadline', '?sort_by=nonsense', '?limit=20', '?limit=x',
      '?per_page=20', '?per_page=20&limit=3', '?min_reward=0',
      '?max_reward=x', '?platform=', '?source_platform=', '?q=x',
      '?reward_type='],
     ['?sort_by=created'], ['?sort_by=reward_value'],
     ['?limit=5', '?per_page=5', '?per_page=x&limit=5', '?per_page=5&limit=9'],
     ['?platform=p1', '?source_platform=p1', '?platform=p1,',
      '?platform=+p1+', '?platform=p1&source_platform=p0'],
     ['?platform=p0,p1'], ['?platform=,'],
     ['?min_reward=5', '?min_reward=+5', '?min_reward=05'], ['?max_reward=5']],
    ['/api/review/listings/search',
     ['?q=listing', '?q=%6cisting', '?page=1&q=listing', '?q=listing&q=x'],
     ['?q=listing+1']],
    ['/api/sns/posts',
     ['', '?account_id=0', '?account_id=x', '?status=', '?limit=20'],
     ['?account_id=1', '?account_id=01', '?account_id=+1'], ['?account_id=2'],
     ['?status=draft'], ['?limit=500', '?per_page=500', '?limit=1000']],
    ['/api/sns/analytics',
     ['', "?end_date=$today", "?date_to=$today", "?start_date=$start",
      "?date_from=$start&date_to=$today", '?end_date=x', '?start_date=',
      '?platform=', "?end_date=${today}T12:00:00"],
     ['?end_date=2020-01-31', '?date_to=2020-01-31',
      '?end_date=2020-01-31&start_date=2020-01-01'], ['?platform=p1']],
    ['/api/analytics/advanced',
     ['', '?metric=revenue', '?period=30', '?period=30&metric=revenue',
      '?x=y'],
     ['?period=3'], ['?metric=nothing']],
    ['/api/dashboard/kpis', ['', '?', '?a=b', '?page=2']]
);

for (@same) {
    my ($path, @lists) = @$_;
    my $title = $path;

    for my $list (@lists) {
        my $first = by(1, $path . $list->[0]);

        is(x($first), '200 MISS', "$path$list->[0] is an entry of its own");

        # twice, as a worker remembers what it has read before

        my @bad = grep {
            my $res = by(1, $path . $_);
            x($res) ne '200 HIT' || $res->{body} ne $first->{body};
        } @$list, @$list;

        is("@bad", '', "so are all that mean $path$list->[0]");
    }
}

# a path that nginx itself makes the same

is(x(by(1, $_)), '200 HIT', $_)
    for "/$::CAMPAIGN/1", '/api/review/./campaigns/1', "$::CAMPAIGN/%31",
        "$::CAMPAIGN/001";

# it is the effect that counts, also in a place with smaller pages

is(x(by(1, "/small$::CAMPAIGN?per_page=$_")), '200 HIT', "$_ is 11 there")
    for 11, 12, 500;
is(x(by(1, $::CAMPAIGN, headers => ['Accept: text/html', 'Cookie: a=b',
                                    'Accept-Language: ko'])), '200 HIT',
   'headers have none');

# the same query string elsewhere is something else

my @wrong;

for (1 .. 3) {
    for my $path ("$::CAMPAIGN/1", "$::CAMPAIGN/2", $::CAMPAIGN,
                  '/api/review/listings', '/api/sns/posts',
                  '/small/api/sns/posts')
    {
        my $query = "$path?page=1&account_id=1";

        push @wrong, $query
            if by(1, $query)->{body} ne by(1, $path =~ /small/
                ? "/off/api/sns/posts?limit=11&account_id=1"
                : "/off$query")->{body};
    }
}

is("@wrong", '', 'a query string belongs to its path');

# who waits is not disturbed by thousands of other requests

my $path = "$::CAMPAIGN/5?x=y";

by(1, $path);
purge('tag=campaigns.id=5');

my $lock = hold($::LOCK, dbname => $::DB);
my @clients = map { start($path) } 1, 2;

waiting(1);
request('HEAD', $_) for (map { "$::CAMPAIGN/1?x=$_" } 1 .. 4000);
get("$_?x=y") for '/api/sns/posts', '/api/sns/accounts',
                  '/api/review/listings', '/api/dashboard/kpis';
ok($clients[0]->pending && $clients[1]->pending, 'they wait');
$lock->release;
like($_->finish->{body}, qr/"of 5"/, 'and get what they asked for')
    for @clients;

# what is too long for a key is answered past the cache

my $x = 'x' x 1000;
my $long = "/api/review/listings?category=$x&reward_type=$x&platform=$x,"
           . join ',', 1 .. 9;

is(x(by(1, $long)), "200 $_", 'a long key') for 'MISS', 'HIT';
$long = "/api/review/listings?category=$x&reward_type=$x&platform="
        . '"' x 1000 . ',a';
is(x(by(1, $long)), '200 BYPASS', 'one that is too long') for 1, 2;


=== TEST 3: a client that has the response is told so, without the database
--- check
wait_coherent();

my $path = "$::CAMPAIGN?per_page=3";
my $first = get($path);
my $etag = etag($first);
my ($other) = map { tr/0-9a-f/1-9a-f0/r } $etag;

# one that is not there yet

purge('all');

my $res = get($path, headers => ["If-None-Match: $etag"]);

is(x($res), '304 MISS', 'it may have to be made to be compared');

my $lock = hold($::LOCK, dbname => $::DB);

for ($etag, "W/$etag", "$other, $etag", "$etag, $other", "$other,W/$etag",
     "\"\",$etag", '*', "$other , $etag , \"x\"")
{
    $res = get($path, headers => ["If-None-Match: $_"]);

    is(x($res), '304 HIT', "If-None-Match: $_");
    is($res->{body} . ($res->{headers}{'content-length'} // ''), '',
       "$_: no body");
    is(etag($res), $etag, "$_: the tag of the answer");
    is($res->{headers}{'cache-control'}, 'public, no-cache',
       "$_: Cache-Control");
    is($res->{headers}{vary}, 'Accept-Encoding', "$_: Vary");
    like($res->{headers}{age}, qr/^\d+$/, "$_: Age");
    ok(!asked($res), "$_: no statement");
}

for ($other, "W/$other", '""', 'x', substr($etag, 1, -1), "x$etag",
     substr($etag, 0, -1), '"*"')
{
    is(x(get($path, headers => ["If-None-Match: $_"])), '200 HIT',
       "If-None-Match: $_");
}

is(x(request('HEAD', $path, headers => ["If-None-Match: $etag"])), '304 HIT',
   'HEAD');
$res = request('GET', $path, headers => ["If-Match: $other"]);
is("$res->{status} $res->{body}", "412 {\"error\":\"Precondition failed\"}\n",
   'If-Match');
is(x(get($path, headers => ["If-Match: $etag"])), '200 HIT',
   'If-Match with the tag');
is(x(get($path, headers => ['Cache-Control: no-cache', 'Pragma: no-cache'])),
   '200 HIT', 'a client cannot ask past the cache');

$lock->release;

# constants too

$res = get('/api/sns/templates');
is(get('/api/sns/templates', headers => ['If-None-Match: ' . etag($res)])
   ->{status}, 304, 'an answer that never changes');

all_pins_back('nothing is pinned');


=== TEST 4: one form of a response is compressed, once, for clients that want it
--- check
wait_coherent();

my $path = "$::CAMPAIGN?per_page=30";
my $want = 'Accept-Encoding: gzip';
my $first = get($path, headers => [$want]);

is(x($first), '200 MISS', 'it is made');
is($first->{headers}{'content-encoding'}, undef, 'and sent as it is');

my $lock = hold($::LOCK, dbname => $::DB);
my $before = zone_status()->{cache}{bytes};
my $res = get($path, headers => [$want]);
my $after = zone_status()->{cache}{bytes};
my $gz = etag($res);

is(x($res), '200 HIT', 'the next one is compressed');
is($res->{headers}{'content-encoding'}, 'gzip', 'Content-Encoding');
is($res->{headers}{'content-length'}, length $res->{body}, 'Content-Length');
is($res->{headers}{vary}, 'Accept-Encoding', 'Vary');
is($res->{headers}{'content-type'}, 'application/json', 'Content-Type');
cmp_ok(length $res->{body}, '<', length($first->{body}) / 2, 'it is smaller');
ok(gunzip($res) eq $first->{body}, 'it is the same inside');
like($gz, qr/^"[0-9a-f]{30}gz"$/, 'it has a strong tag of its own');
isnt($gz, etag($first), 'which is another one');
cmp_ok($after, '>', $before, 'it is kept');

for my $try (1 .. 3) {
    my $again = get($path, headers => [$want]);

    ok($again->{body} eq $res->{body} && etag($again) eq $gz,
       'it is sent again');
}

is(zone_status()->{cache}{bytes}, $after, 'it was not made again');

my $plain = get($path);

is(etag($plain), etag($first), 'who wants none gets none');
ok($plain->{body} eq $first->{body}, 'as it was');
is($plain->{headers}{vary}, 'Accept-Encoding', 'Vary all the same');
is($plain->{headers}{'content-encoding'}, undef, 'no Content-Encoding');

my $head = request('HEAD', $path, headers => [$want]);

is($head->{headers}{'content-length'}, length $res->{body}, 'HEAD');
is(etag($head), $gz, 'HEAD has its tag');

# RFC 9110, 12.5.3

my %accept = map { $_ => 1 } 'gzip', 'GZIP', 'x-gzip', 'gzip;q=0.001', '*',
    '*;q=0, gzip', 'gzip;q=0.5, identity;q=0.4', 'gzip, identity', 'gzip;q=1',
    'br;q=1.0, gzip;q=0.8, *;q=0.1', 'gzip ; q=1', 'gzip;q=1.000',
    'deflate, gzip;q=1.0, *;q=0.5', 'gzip,deflate', 'deflate,gzip',
    ' gzip ', 'gzip;q=0.8;foo=1', 'identity;q=0, gzip', '*;q=0.001',
    "deflate,\tgzip", 'gzip; q=0.5';

$accept{$_} = 0 for 'gzip;q=0', 'gzip;q=0.0', 'gzip;q=0.000', '*;q=0',
    'gzip;q=0, *', 'deflate, br', 'identity', 'gzip;q=0.5, identity;q=1',
    'gzip;q=0.3, identity;q=0.31', 'identity;q=0.5, *;q=0.2', 'gzippy',
    'gzip;Q=0', 'x', ',', 'identity, gzip;q=0', 'agzip', 'gzip ; q=0',
    'gzip; q=0', '*;q=0.000';

for (sort keys %accept) {
    my $got = get($path, headers => ["Accept-Encoding: $_"]);
    my $form = $got->{headers}{'content-encoding'} // 'identity';

    is("$form " . etag($got), $accept{$_} ? "gzip $gz"
       : 'identity ' . etag($first), "Accept-Encoding: $_");
}

is(etag(get($path, headers => ['Accept-Encoding:'])), etag($first),
   'an empty one');

# either tag is good, whatever is wanted

for my $tag ($gz, "W/$gz", etag($first), 'W/' . etag($first), '"x", ' . $gz) {
    my $got = get($path, headers => [$want, "If-None-Match: $tag"]);

    is(x($got), '304 HIT', "If-None-Match: $tag");
    ok(index($tag, etag($got)) >= 0, 'the tag that the client has');
}

is(x(get($path, headers => ["If-None-Match: $gz"])), '200 HIT',
   'unless it is one of a form that is not wanted');
is(x(get($path, headers => [$want, 'If-None-Match: *'])), '304 HIT', '*');
is(x(get($path, headers => [$want, 'If-None-Match: "x"'])), '200 HIT',
   'another');

# HTTP/1.0, and what is too small

$res = fetch(undef, bytes => "GET $path HTTP/1.0\r\n$want\r\n\r\n");
is(etag($res) . ($res->{headers}{'content-encoding'} // ''), etag($first),
   'HTTP/1.0 gets the plain form');
ok($res->{body} eq $first->{body}, 'all of it');

get('/api/dashboard/summary') for 1, 2;
$res = get('/api/dashboard/summary', headers => [$want]);
is(x($res) . ($res->{headers}{'content-encoding'} // ''), '200 HIT',
   'nothing is won with a small one');
is($res->{headers}{vary}, 'Accept-Encoding', 'Vary is the same');

is(get('/api/sns/templates', headers => [$want])
   ->{headers}{'content-encoding'}, undef, 'nor are constants compressed');

$lock->release;

# it goes with the answer

change('UPDATE campaigns SET title = upper(title) WHERE id = 1',
       dbname => $::DB);
$res = get($path, headers => [$want]);
is(x($res), '200 MISS', 'it is gone with the answer');
like($res->{body}, qr/"OF 1"/, 'the new one is new');
$res = get($path, headers => [$want]);
like(gunzip($res), qr/"OF 1"/, 'so is its form');
isnt(etag($res), $gz, 'with another tag');
change("UPDATE campaigns SET title = 'of 1' WHERE id = 1", dbname => $::DB);
all_pins_back('nothing is pinned');


=== TEST 5: nginx's own gzip is not in the way
--- config eval
$::CONFIG . "gzip on; gzip_types application/json; gzip_min_length 1;"
. "gzip_vary on; gzip_http_version 1.1;"
--- check
wait_coherent();

my $want = 'Accept-Encoding: gzip';

for my $path ("$::CAMPAIGN?per_page=30", '/api/sns/posts?limit=500',
              '/api/dashboard/summary', '/api/sns/templates')
{
    my $plain = get("/off$path");
    my $made = get($path, headers => [$want]);
    my $found = get($path, headers => [$want]);
    my $again = get($path);
    my ($tag) = etag($made) =~ /^W\/(".*")$/;

    ok(gunzip($_) eq $plain->{body}, "$path: the same inside")
        for $made, $found;
    ok($again->{body} eq $plain->{body}, "$path: as it is");
    like($_->{headers}{vary}, qr/Accept-Encoding/, "$path: Vary")
        for $made, $found;
    is($tag, etag($again), "$path: compressed on the fly, a weak tag");
    is(get($path, headers => [$want, 'If-None-Match: ' . etag($_)])
       ->{status}, 304, "$path: it serves") for $made, $found, $again;
}

my $res = get("$::CAMPAIGN?per_page=30", headers => [$want]);

like(etag($res), qr/^"[0-9a-f]{30}gz"$/, 'what is kept is not made weak');
all_pins_back('nothing is pinned');


=== TEST 6: HTTP/2 and TLS make no difference
--- more_http eval
($::H2, $::TLS) = (main::free_port(), main::free_port());
main::self_signed("$::dir/tls");
<<"CONF" . $::CONFIG . "}\n";
server {
    server_name localhost;
    listen 127.0.0.1:$::H2 http2;
    listen 127.0.0.1:$::TLS ssl http2;
    ssl_certificate $::dir/tls.crt;
    ssl_certificate_key $::dir/tls.key;
CONF
--- check
wait_coherent();

my $posts = '/api/sns/posts?limit=500';
my @paths = map { ("$::CAMPAIGN?per_page=30&x=$_", "$posts&x=$_",
                   "$::CAMPAIGN/$_") } 1 .. 10;
my @plain = map { get($_)->{body} } @paths;
my $lock = hold("$::LOCK; LOCK TABLE sns_posts IN ACCESS EXCLUSIVE MODE",
                dbname => $::DB);
my @res = http2($::H2, @paths)->finish;

is(scalar(grep { $_->{status} == 200 } @res), 30, 'thirty streams');
is(scalar(grep { $res[$_]{body} eq $plain[$_] } 0 .. 29), 30,
   'each has its answer, without the database');

# curl knows both versions

sub curl {
    my ($version, @words) = @_;
    my ($status, $out) = command('curl', '-sS', '-m', '30', $version, '-i',
        '--cacert', "$::dir/tls.crt", '--resolve',
        "localhost:$::TLS:127.0.0.1", '-H', 'Authorization: Bearer demo_token',
        @words)->();

    return $status == 0 ? $out : "curl exits with $status: $out";
}

for my $version ('--http1.1', '--http2') {
    for my $path ("$::CAMPAIGN?per_page=30", $posts) {
        my $url = "https://localhost:$::TLS$path";
        my $body = get($path)->{body};
        my $out = curl($version, $url);
        my ($head, $got) = split /\r\n\r\n/, $out, 2;

        like($head, qr{^HTTP/\S+ 200}, "$version $path");
        like($head, qr/^x-cache: HIT\r?$/mi, 'from the cache');
        ok($got eq $body, 'all of it');

        ($head, $got) = split /\r\n\r\n/, curl($version, '--compressed',
                                                $url), 2;
        like($head, qr/^content-encoding: gzip\r?$/mi, 'compressed');
        ok($got eq $body, 'the same inside');

        my ($etag) = $head =~ /^etag: (\S+)/mi;
        $out = curl($version, '--compressed', '-H', "If-None-Match: $etag",
                    $url);
        like($out, qr{^HTTP/\S+ 304}, 'not modified');
        $out = curl($version, '-I', $url);
        like($out, qr/^content-length: @{[length $body]}\r?$/mi, 'HEAD');
    }
}

$lock->release;
all_pins_back('nothing is pinned');


=== TEST 7: large responses are sent from where they lie
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL, zone => 'api 32m')
. "softfactory_cache_max_entry 4m;\nsoftfactory_max_page_size 3000;\n"
. main::slow_server()
--- check
psql("INSERT INTO review_listings (id, source_platform, external_id, title, url,
          image_url, status, category, deadline, scraped_at)
      SELECT n + 1000, 'large', 'large ' || n, repeat(chr(65 + n % 26), 400),
             repeat('u', 400), repeat('i', 400), 'active', 'large',
             'tomorrow', 'yesterday' FROM generate_series(1, 800) n",
     dbname => $::DB);
wait_coherent();

my $large = '/api/review/listings?category=large&per_page=800';
my $small = "$::CAMPAIGN/1";

# from 4 KB to beyond a megabyte, on either side of what is a small one

for my $path (map { "/api/sns/posts?limit=$_" } 20, 90, 100, 500) {
    my $made = get($path);
    my $found = get($path);

    is(x($found), '200 HIT', "$path: " . length $made->{body});
    ok($made->{body} eq $found->{body}
       && $made->{body} eq get("/off$path")->{body}, 'it is whole');
}

my $body = get($large)->{body};

cmp_ok(length $body, '>', 1000000, 'a megabyte');
is(x(request('HEAD', $large, token => 'demo_token')), '200 HIT', 'HEAD');
all_pins_back('HEAD pins nothing');

# slow ones

my @slow = slow(($large) x 4);
my $cache = zone_status()->{cache};

is($cache->{pins}, 1, 'four send from one value');
cmp_ok($cache->{pinned_bytes}, '>=', length $body, 'its bytes are counted');
cmp_ok($cache->{pinned_bytes}, '<', 1.1 * length $body, 'once');
is(get($small)->{status}, 200, 'others are answered meanwhile');

# the value is replaced under them

change("UPDATE review_listings SET title = 'new' WHERE category = 'large'",
       dbname => $::DB);

my $new = get($large);

is(x($new), '200 MISS', 'a change while it is sent');
isnt($new->{body}, $body, 'brings another answer');
ok(get($large)->{body} eq $new->{body}, 'which is kept');
is(zone_status()->{cache}{pins}, 1, 'the old one is still there');

(shift @slow)->close;

for my $c (@slow) {
    my $res = $c->finish(60);

    is($res->{headers}{'content-length'}, length $body, 'it ends');
    ok($res->{body} eq $body, 'with the answer that it began with');
}

all_pins_back('then nothing is pinned');

# a quarter of the zone at most is sent from, the rest is copied

my @paths = map { '/api/review/listings?category=large&per_page=' . (800 - $_) }
            1 .. 6;

psql("UPDATE review_listings SET title = repeat('t', 500), url =
      repeat('v', 500), image_url = repeat('w', 500)
      WHERE category = 'large'", dbname => $::DB);
change("UPDATE review_listings SET brand = repeat('b', 250)
         WHERE category = 'large'", dbname => $::DB);

my %plain = map { $_ => get("/off$_")->{body} } @paths;

get($_) for @paths;
is(x(get($_)), '200 HIT', "$_ is kept") for @paths;

my %slow;

@slow{@paths} = slow(@paths);
$cache = zone_status()->{cache};
cmp_ok($cache->{pinned_bytes}, '<=', $cache->{size} / 4, 'a quarter at most');
cmp_ok($cache->{pins}, '<', 6, 'the others have a copy');
cmp_ok($cache->{pins}, '>', 1, 'of six');
is(x(get($small)), '200 HIT', 'the small ones go on');
ok($slow{$_}->finish(60)->{body} eq $plain{$_}, "$_ is whole") for @paths;
all_pins_back('then nothing is pinned');

# clients that go away

$_->close for slow(@paths);
all_pins_back('who goes away leaves nothing');

# small ones, to clients that ask for more than they read

my @small = map { "/api/sns/posts?limit=$_" } 40 .. 65;

get($_) for @small;
%plain = map { $_ => get($_)->{body} } @small;
cmp_ok(length $plain{$small[-1]}, '<', 16384, 'the largest of them');
%slow = map {
    $_ => start($_, port => $::SLOW, rcvbuf => 4096,
                bytes => SoftFactory::Live::request_text($_,
                             token => 'demo_token') x 12)
} @small;

wait_until { !$_->pending } 'the first bytes are there' for values %slow;
wait_until { zone_status()->{cache}{pins} } 'some are sent from the zone';

$cache = zone_status()->{cache};
cmp_ok($cache->{pinned_bytes}, '<=',
       $cache->{workers} * $cache->{size} / 4 / 256,
       "each worker sends from its share at most: $cache->{pins}");
cmp_ok($cache->{pins}, '<', @small, 'the others have a copy');
is(x(get($small)), '200 HIT', 'and all go on');

for my $path (@small) {
    is(scalar(grep { $slow{$path}->finish(60)->{body} eq $plain{$path} }
              1 .. 12), 12, "$path is whole, each time");
}

all_pins_back('then nothing is pinned');

psql("DELETE FROM review_listings WHERE category = 'large'",
     dbname => $::DB);


=== TEST 8: where nothing is cached, and which requests may bypass the cache
--- config eval
$::CONFIG . main::at('by', 'softfactory_cache_bypass $arg_past $http_x_past;')
--- check
wait_coherent();

my $n = executed {
    for (1 .. 3) {
        my $res = get("/off$::CAMPAIGN/1");

        is(x($res), '200 none', 'softfactory_cache off');
        is(age($res), -1, 'without an age');
    }
} qr/review_campaign\b/;

is($n, 3, 'three statements');
is(x(get("$::CAMPAIGN/1")), '200 MISS', 'nothing of it was kept');

# variables

my $path = "/by$::CAMPAIGN/1";

for my $o (['?past=1'], ['?past=no'], ['', 'X-Past: yes'], ['?past=00']) {
    my ($args, @headers) = @$o;

    $n = executed {
        my $res = get($path . $args, headers => \@headers);

        is(x($res), '200 BYPASS', "$args @headers: past the cache");
        is(age($res), -1, 'without an age');
    } qr/review_campaign\b/;
    is($n, 1, 'by a statement');
}

for my $o ([''], ['?past=0'], ['?past='], ['?past=0', 'X-Past: 0'],
           ['', 'Cache-Control: no-cache'])
{
    my ($args, @headers) = @$o;

    is(x(get($path . $args, headers => \@headers)), '200 HIT',
       "$args @headers: not past it");
}

# what comes past it is right at once, and does not replace what is there

my $lock = hold("UPDATE campaigns SET title = 'not yet' WHERE id = 1",
                dbname => $::DB);

is(x(get("$path?past=1")), '200 BYPASS', 'while a change is on its way');
is(x(get($path)), '200 HIT', 'the entry stays');
$lock->release;
change("UPDATE campaigns SET title = 'of 1' WHERE id = 1", dbname => $::DB);
is(x(get("/by/api/sns/templates?past=1")), '200 HIT',
   'a constant has nothing to ask');


=== TEST 9: a response lives for its time
--- config eval
$::CONFIG . <<'CONF' . main::at('long', 'softfactory_cache_ttl all 300s;');
softfactory_cache_ttl all 1s;
softfactory_cache_ttl sns_posts 300s;
CONF
--- check
wait_coherent();

my $first = get($::CAMPAIGN);

is(x($first), '200 MISS', 'it is made');

my $n = executed {
    for (1 .. 3) {
        my $res = get($::CAMPAIGN);

        is(x($res), '200 HIT', 'and kept');
        is(age($res), 0, 'young');
    }
} qr/review_campaigns/;

is($n, 0, 'no statement');
get('/api/sns/posts');
is(x(get("/long$::CAMPAIGN")), '200 HIT', 'the same entry by another place');
sleep 1.1;

my $res = get("/long$::CAMPAIGN");

is(x($res), '200 HIT', 'where it lives longer');
is(age($res), 1, 'and gets older');
is(x(get('/api/sns/posts')), '200 HIT', 'so does an endpoint of its own');

$res = get($::CAMPAIGN);
is(x($res), '200 EXPIRED', 'here its time is over');
is(age($res), -1, 'a new one is made');
ok(asked($res), 'by a statement');
is(x(get($::CAMPAIGN)), '200 HIT', 'and kept');
is(age(get("/long$::CAMPAIGN")), 0, 'everywhere');


=== TEST 10: without a listener nothing is older than a second
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL, listen => 'off',
           zone => 'api 8m')
--- config eval
$::CONFIG . main::at('never', 'softfactory_cache_incoherent_ttl 0;')
--- check
my $source = source();

ok(!$source->{coherent}, 'nobody listens');

my $path = "$::CAMPAIGN?per_page=5";

is(x(get($path)), '200 MISS', 'it is made');
is(x(get($path)), '200 HIT', 'and kept for a while');
is(x(get("/never$path")), '200 EXPIRED', 'or not even that') for 1, 2;

# nobody tells of the change

psql("UPDATE campaigns SET title = 'untold' WHERE id = 1", dbname => $::DB);

my $time = time;
my $res = wait_until {
    my $res = get($path);
    $res->{body} =~ /untold/ && $res;
} 'the change is seen';

cmp_ok(time - $time, '<', 1.3, 'it is seen within a second');
cmp_ok(age($res), '<=', 0, 'by an answer that is new');
psql("UPDATE campaigns SET title = 'of 1' WHERE id = 1", dbname => $::DB);

# nor does a total live on in the lists that show it

my $total = sub { get(shift)->{body} =~ /"total":(\d+)/ ? $1 : 'none' };

sleep 1.1;
is($total->("$path&page=1"), 30, 'a total');
psql("UPDATE campaigns SET status = 'closed' WHERE id = 1",
     dbname => $::DB);
$time = time;
sleep 0.7;
$total->("$path&page=2");
sleep 1.1 - (time - $time);
is($total->("$path&page=2"), 29, 'is not older either, on another page');
psql("UPDATE campaigns SET status = 'active' WHERE id = 1", dbname => $::DB);


=== TEST 11: nor where triggers are missing
--- http_config eval
main::scratch('sf_cache_bare', 'sf_cache_other');
main::psql("DROP TRIGGER softfactory_notify_update ON payments",
           dbname => 'sf_cache_bare');
main::conf(dbname => 'sf_cache_bare', pool => $::POOL, zone => 'api 8m')
--- check
wait_coherent(uncovered => 'payments');

my @dependent = grep { $_->{tags} =~ /\bpayments\b/ } @::CACHED;
my @others = grep { $_->{tags} !~ /\bpayments\b/ } @::CACHED;

cmp_ok(scalar @dependent, '>', 3, 'some read payments');
get(path($_)) for @dependent, @others;
is(x(get(path($_))), '200 HIT', "$_->{name} is kept")
    for $dependent[0], @others;
sleep 1.1;
is(x(get(path($_))), '200 EXPIRED', "$_->{name} is over") for @dependent;
is(x(get(path($_))), '200 HIT', "$_->{name} is not") for @others;

# once they are there

main::install_notify('sf_cache_bare');
wait_coherent();
get(path($_)) for @dependent;
sleep 1.1;
is(x(get(path($_))), '200 HIT', "$_->{name} is kept now") for @dependent;
--- no_error_log
[error]
[crit]
[alert]
[emerg]


=== TEST 12: while one request refreshes a response others get the old one
--- config eval
$::CONFIG . "softfactory_cache_ttl all 1s stale=60s;\n"
. main::at('strict', 'softfactory_cache_ttl all 1s stale=0;')
--- check
wait_coherent();

my $path = "$::CAMPAIGN/1";
my $old = get($path);

get('/api/dashboard/kpis');
sleep 1.1;

my $lock = hold($::LOCK, dbname => $::DB);
my $leader = start($path);

waiting(1);

my $n = executed {
    for (1 .. 5) {
        my $res = get($path);

        is(x($res), '200 UPDATING', 'the old one meanwhile');
        ok($res->{body} eq $old->{body}, 'as it was');
        cmp_ok(age($res), '>=', 1, 'with its age');
        ok(!asked($res), 'by no statement');
    }

    is(x(get($path, headers => ['If-None-Match: ' . etag($old)])),
       '304 UPDATING', 'also to compare with');
} qr/review_campaign\b/;

is($n, 0, 'nobody else asks');
ok($leader->pending, 'the first one waits for the new one');

my $strict = start("/strict$path");

select undef, undef, undef, 0.1;
ok($strict->pending, 'so does who wants nothing old');
$lock->release;
is(x($leader->finish), '200 EXPIRED', 'and gets it');
is(x($strict->finish), '200 EXPIRED', 'both do');
is(x(get($path)), '200 HIT', 'it is there for all');

# something that has changed is never shown

get("$::CAMPAIGN/2");
change("UPDATE campaigns SET title = 'changed' WHERE id = 2",
       dbname => $::DB);
sleep 1.1;
$lock = hold($::LOCK, dbname => $::DB);

my @clients = map { start("$::CAMPAIGN/2") } 1 .. 3;

waiting(1);
is(scalar(grep { $_->pending } @clients), 3,
   'they wait: what they could get has changed');
$lock->release;

for my $c (@clients) {
    my $res = $c->finish;

    is(x($res), '200 MISS', 'the answer');
    like($res->{body}, qr/"changed"/, 'is the new one');
}

# nor after a purge

get("$::CAMPAIGN/3");
sleep 1.1;
purge('tag=campaigns.id=3');
$lock = hold($::LOCK, dbname => $::DB);
@clients = map { start("$::CAMPAIGN/3") } 1 .. 2;
waiting(1);
is(scalar(grep { $_->pending } @clients), 2, 'nor after a purge');
$lock->release;
is(x($_->finish), '200 MISS', 'a new one') for @clients;

change("UPDATE campaigns SET title = 'of 2' WHERE id = 2", dbname => $::DB);


=== TEST 13: a busy pool is no reason for an error while there is an old response
--- http_config eval
main::conf(dbname => $::DB, zone => 'api 8m', pool => 'connections=1 depth=1 '
           . 'heavy=1 queue=1 wait=400ms timeout=20s')
--- config eval
$::CONFIG . "softfactory_cache_ttl all 1s stale=60s;\n"
. main::at('strict', 'softfactory_cache_ttl all 1s stale=0;')
--- check
wait_coherent();

my @paths = map { "$::CAMPAIGN/$_" } 1 .. 4;

get($_) for @paths;
sleep 1.1;

# one statement holds up its endpoint

my $lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my $blocked = start("$::CAMPAIGN/5");

waiting(1);

my $time = time;
my $res = get($paths[0]);

is(x($res), '200 STALE', 'who has waited too long gets the old one');
cmp_ok(age($res), '>=', 1, 'with its age');
cmp_ok(time - $time, '>', 0.3, 'after the wait');
is(error(get("/strict$paths[1]")), '504 Database timeout',
   'where nothing old may be shown it is an error');

my $waits = start("/strict$paths[2]");

wait_until { zone_status()->{cache}{fills_under_way} == 2 } 'one waits';
$time = time;
$res = get($paths[3]);
is(x($res), '200 STALE', 'who may not even wait gets it');
cmp_ok(time - $time, '<', 0.3, 'at once');
is(error(get("/strict$paths[0]")), '503 Server is busy', 'or an error');
is($waits->finish->{status}, 504, 'the one that waited');
$lock->release;
is($blocked->finish->{status}, 200, 'the one that was in the way');

wait_until { x(get($_)) eq '200 HIT' } 'all is well' for @paths;
pass('then all is as it was');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 14: responses outlive their database
--- http_config eval
$::pg = main::pg_server('away');
$::pg->psql('', file => "$ENV{SF_TEST_SQL}/schema.sql", user => 'app');
$::pg->psql($_, user => 'app') for split /;\n/, $::DATA;
$::pg->psql('', file => "$ENV{SF_TEST_SQL}/softfactory-tables.sql",
            user => 'app');
main::conf(server => "unix:$::pg->{socket}", zone => 'api 16m',
           pool => 'connections=2 heavy=1 wait=2s connect_timeout=1s')
--- config eval
$::CONFIG . "softfactory_cache_ttl all error=1h;\n"
. main::at('no-grace', 'softfactory_auth_grace 0;')
. main::at('short-grace', 'softfactory_auth_grace 1s;')
. main::at('no-error', 'softfactory_cache_ttl all error=0;')
. main::at('long', 'softfactory_cache_incoherent_ttl 5s;')
--- check
wait_coherent();

my %body;
my $first = time;

by(1, '/api/sns/posts');

for my $user (1, 2) {
    for my $row (@::ROWS) {
        next if $row->{document};
        my $path = path($row, $user);
        my $res = by($user, $path);

        $body{"$user $path"} = $res if $res->{status} == 200;
    }
}

my $n = keys %body;

cmp_ok($n, '>', 40, 'many answers');
$::pg->psql("UPDATE campaigns SET title = 'dropped' WHERE id = 2");
wait_until { source()->{notifications} == 1 } 'one was dropped';
wait_until { time > $first + 3 } 'the user was found 3 s ago';
purge('tag=payments');
is(x(by(1, '/long/api/dashboard/kpis')), '200 MISS', 'a response is younger');
$::pg->stop('immediate');
wait_until { !source()->{coherent} } 'the listener is not heard any more';
wait_until { time > $first + 6 } 'the user was found 5 s ago';

# which is too long for the user, but not for the response

my $stale = zone_status()->{cache}{stale};

is(x(by(1, '/long/api/dashboard/kpis')), '200 STALE',
   'one that is current goes to a user who is not: it is stale');
is(zone_status()->{cache}{stale}, $stale + 1, 'and counted as that');

for my $key (sort keys %body) {
    my ($user, $path) = split / /, $key;
    my $res = by($user, $path);
    my ($row) = grep { path($_, $user) eq $path } @::ROWS;

    is(x($res), $row->{sql} ? '200 STALE' : '200 HIT', "$key without it");
    ok($res->{body} eq $body{$key}{body}, "$key is as it was");
    cmp_ok(age($res), '>=', 1, "$key with its age") if $row->{sql};
}

my $etag = etag($body{"1 $::CAMPAIGN"});
my $res = get($::CAMPAIGN, headers => ["If-None-Match: $etag"]);

is(x($res), '304 STALE', 'it can be compared with');
get("$::CAMPAIGN?per_page=30", headers => ['Accept-Encoding: gzip']);
$res = request('HEAD', $::CAMPAIGN);
is(x($res), '200 STALE', 'HEAD');

# what nobody has asked for before

$res = get("$::CAMPAIGN/7");
is(error($res), '503 Database unavailable', 'what is not there cannot be had');
like($res->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After');
is(error(by(3, '/api/dashboard/kpis')), '503 Database unavailable',
   'nor who was not there before');
is(error(by(1, '/api/sns/posts?limit=x&account_id=7')),
   '503 Database unavailable', 'nor another filter');

# grace

is(x(get("/no-grace$::CAMPAIGN")), '200 STALE', 'no grace: public ones');
is(x(get('/no-grace/api/sns/posts')), '200 STALE', 'and fixed tokens');
is(error(by(1, '/no-grace/api/sns/posts')), '503 Database unavailable',
   'but nobody whom the database would know');
is(error(by(1, '/no-grace/api/sns/templates')), '503 Database unavailable',
   'not even for a constant');
is(error(by(1, '/short-grace/api/sns/posts')), '503 Database unavailable',
   'nor when the grace is over');
is(x(by(1, '/api/sns/posts')), '200 STALE', 'elsewhere it is not');

for ($::CAMPAIGN, '/api/sns/posts') {
    is(error(get("/no-error$_")), '503 Database unavailable',
       "without error=: $_");
}

# who waits with others keeps to the rules of his own place: a server that
# takes connections and says nothing lets them wait together

my $silent = IO::Socket::UNIX->new(Local => $::pg->{socket}, Listen => 9)
    or die "$::pg->{socket}: $!";

chmod 0777, $::pg->{socket};

my @together = wait_until {
    my $c = start('/api/sns/posts', token => $::TOKEN{1});
    sleep 0.1;
    $c->pending && $c;
} 'one waits';

push @together, start("$::CAMPAIGN/1"), start("/no-error$::CAMPAIGN/1"),
    start('/no-grace/api/sns/posts', token => $::TOKEN{1});
sleep 0.1;
is(scalar(grep { $_->pending } @together), 4, 'four wait together');
@together = map { $_->finish } @together;
is(join(', ', map { x($_) } @together[0, 1]), '200 STALE, 200 STALE',
   'who may have something old gets it');
is(join(', ', map { error($_) } @together[2, 3]),
   join(', ', ('503 Database unavailable') x 2), 'who may not does not');
close $silent;
unlink $::pg->{socket};

# an operator's word is stronger than grace

purge('tag=users.id=2');
is(error(by(2, '/api/sns/posts')), '503 Database unavailable',
   'a user who was dropped is not let in');
is(x(by(1, '/api/sns/posts')), '200 STALE', 'others are');
is(x(get($::CAMPAIGN)), '200 STALE', 'and the answers are there');

# and back

$::pg->start;
$::pg->psql("UPDATE campaigns SET title = 'after' WHERE id = 1");
wait_coherent();

my @wrong;

for my $key (sort keys %body) {
    my ($user, $path) = split / /, $key;
    next if $path =~ /advanced/;
    push @wrong, $key if by($user, $path)->{body}
                         ne by($user, "/off$path")->{body};
}

is("@wrong", '', 'when it is back, all are as the tables are');
like(get("$::CAMPAIGN/1")->{body}, qr/"after"/, 'also what changed meanwhile');
is(x(get("$::CAMPAIGN/1")), '200 HIT', 'and are kept');
is(x(by(2, '/no-grace/api/sns/posts')), '200 HIT', 'also the users');
all_pins_back('nothing is pinned');
$::pg->stop('immediate');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 15: errors are never kept, and a user that may not any more is told at once
--- check
wait_coherent();

# rows that come and go

for my $path ("$::CAMPAIGN/77", '/api/review/listings/77') {
    is(get($path)->{status}, 404, "$path is not there") for 1, 2;
}

change("INSERT INTO campaigns (id, creator_id, title, product_name,
            max_reviewers, deadline, status, created_at)
        VALUES (77, 1, 'of 77', 'p', 1, 'tomorrow', 'active', 'yesterday');
        INSERT INTO review_listings (id, source_platform, external_id, title,
            status, deadline)
        VALUES (77, 'p', '77', 'listing 77', 'active', 'tomorrow')",
       dbname => $::DB);

for my $path ("$::CAMPAIGN/77", '/api/review/listings/77') {
    is(x(get($path)), '200 MISS', "$path is");
    is(x(get($path)), '200 HIT', 'and is kept');
}

change('DELETE FROM campaigns WHERE id = 77;
        DELETE FROM review_listings WHERE id = 77', dbname => $::DB);

for my $path ("$::CAMPAIGN/77", '/api/review/listings/77') {
    is(get($path)->{status}, 404, "$path is gone again") for 1, 2;
}

# pages past the end

is(error(get("$::CAMPAIGN?page=9")), '404 Not found', 'a page past the end')
    for 1, 2;
change("INSERT INTO campaigns (id, creator_id, title, product_name,
            max_reviewers, deadline, status, created_at)
        SELECT n, 1, 'many', 'p', 1, 'tomorrow', 'active', '2020-01-01'
          FROM generate_series(1001, 1100) n", dbname => $::DB);
is(x(get("$::CAMPAIGN?page=9")), '200 MISS', 'is there when the list grows');
change('DELETE FROM campaigns WHERE id > 1000', dbname => $::DB);
is(error(get("$::CAMPAIGN?page=9")), '404 Not found', 'and not when it ends');

# another's applications

my $applications = "$::CAMPAIGN/2/applications";

is(x(by(2, $applications)), '200 MISS', 'applications');
is(error(by(1, $applications)), '403 Not authorized', "another's") for 1, 2;
change('UPDATE campaigns SET creator_id = 1 WHERE id = 2', dbname => $::DB);
is(x(by(1, $applications)), '200 MISS', 'with the campaign');
is(error(by(2, $applications)), '403 Not authorized', 'and not without');
change('UPDATE campaigns SET creator_id = 2 WHERE id = 2', dbname => $::DB);

# users

my $posts = '/api/sns/posts';

by(2, $posts);

my $n = executed {
    is(x(by(2, $posts)), '200 HIT', 'a user is known');
} qr/principal/;

is($n, 0, 'and not asked for');

for (["UPDATE users SET is_active = false WHERE id = 2",
      '401 User not found or inactive',
      'UPDATE users SET is_active = true WHERE id = 2'],
     ["UPDATE users SET is_active = NULL WHERE id = 2",
      '401 User not found or inactive',
      'UPDATE users SET is_active = true WHERE id = 2'],
     ["UPDATE subscriptions SET status = 'cancelled' WHERE user_id = 2",
      '403 Subscription to sns-auto required',
      "UPDATE subscriptions SET status = 'active' WHERE user_id = 2"],
     ["UPDATE products SET slug = 'other' WHERE slug = 'sns-auto'",
      '403 Subscription to sns-auto required',
      "UPDATE products SET slug = 'sns-auto' WHERE slug = 'other'"],
     ["UPDATE subscriptions SET user_id = 4 WHERE user_id = 2",
      '403 Subscription to sns-auto required',
      'UPDATE subscriptions SET user_id = 2 WHERE user_id = 4'])
{
    my ($sql, $error, $undo) = @$_;

    is(x(by(2, $posts)), '200 HIT', "before $sql");
    change($sql, dbname => $::DB);
    is(error(by(2, $posts)), $error, 'at once');
    is(error(by(2, "$posts?page=0")), $error, 'also before another error');
    $n = executed { by(2, $posts) for 1, 2 } qr/principal/;
    is($n, 0, 'that is known too');
    is(x(get($posts)), '200 HIT', 'others do not notice')
        if $sql !~ /products/ && by(1, $posts);
    change($undo, dbname => $::DB);
    is(x(by(2, $posts)), '200 HIT', 'the answer was there all the time');
}

is(error(by(3, $posts)), '403 Subscription to sns-auto required',
   'who has none');
change("INSERT INTO subscriptions (user_id, product_id, status)
        SELECT 3, id, 'active' FROM products", dbname => $::DB);
is(x(by(3, $posts)), '200 MISS', 'until there is one');
change('DELETE FROM subscriptions WHERE user_id = 3', dbname => $::DB);
is(error(by(3, $posts)), '403 Subscription to sns-auto required', 'and none');

# a user that is not there

$::TOKEN{9} = jwt(user_id => 9);
is(error(by(9, $posts)), '401 User not found or inactive', 'nobody')
    for 1, 2;
change("INSERT INTO users (id, email, password_hash, name, is_active)
        VALUES (9, '9', '!', 'x', true)", dbname => $::DB);
is(error(by(9, $posts)), '403 Subscription to sns-auto required', 'somebody');
change('DELETE FROM users WHERE id = 9', dbname => $::DB);
is(error(by(9, $posts)), '401 User not found or inactive', 'nobody again');


=== TEST 16: a change drops what shows it, and nothing else
--- check
wait_coherent();

# for each table: a statement, and one that undoes it; the rows are user 1's,
# campaign 1's and listing 1's

my %sql = (
    users => ['UPDATE users SET name = name || 1 WHERE id = 1'],
    subscriptions => ["UPDATE subscriptions SET status = 'x' WHERE user_id = 1
                       AND product_id = (SELECT min(id) FROM products)",
                      "UPDATE subscriptions SET status = 'active'
                       WHERE user_id = 1"],
    payments => ['UPDATE payments SET amount = amount + 1'],
    campaigns => ["UPDATE campaigns SET title = title || '.' WHERE id = 1"],
    campaign_applications =>
        ["INSERT INTO campaign_applications (campaign_id, user_id, message,
              created_at) VALUES (1, 1, 'x', 'yesterday')"],
    review_listings =>
        ["UPDATE review_listings SET title = title || '.' WHERE id = 1"],
    review_accounts => ['UPDATE review_accounts SET user_id = 3 WHERE id = 1',
                        'UPDATE review_accounts SET user_id = 1
                         WHERE id = 1'],
    review_applications =>
        ["INSERT INTO review_applications (listing_id, account_id, applied_at)
          VALUES (1, 1, 'yesterday')"],
    review_bookmarks => ['INSERT INTO review_bookmarks (user_id, listing_id)
                          VALUES (1, 20)'],
    sns_accounts => ["UPDATE sns_accounts SET account_name = 'x'
                       WHERE user_id = 1"],
    sns_posts => ["UPDATE sns_posts SET content = 'x', platform = 'new'
                    WHERE id = 1"],
    sns_analytics => ['UPDATE sns_analytics SET total_reach = 5
                        WHERE user_id = 1']
);

my %tables = map { $_ => 1 } map { /(\w+)(?:\.\S+)?/g }
             map { split ' ', $_->{tags} } @::CACHED;

is(join(' ', grep { !$sql{$_} && !/^\w+_id$|^id$/ } sort keys %tables), '',
   'a statement for each table');

for my $table (sort keys %sql) {
    my ($sql, $undo) = @{$sql{$table}};
    my (%before, @kept, @wrong, @lost, @others);

    for my $row (@::CACHED) {
        by($_, path($row, $_)) for 1, 2;
    }

    cmp_ok(change($sql, dbname => $::DB), '>', 0, "$table has changed");

    for my $row (@::CACHED) {
        my $path = path($row);
        my $reads = $row->{tags} =~ /\b$table\b/;
        my $res = by(1, $path);
        my $truth = by(1, "/off$path");

        push @kept, $row->{name} if $reads && x($res) ne '200 MISS';
        push @lost, $row->{name} if !$reads && x($res) ne '200 HIT';
        push @wrong, $row->{name} if $res->{body} ne $truth->{body}
                                     && $row->{name} !~ /advanced/;

        # those of user 2, campaign 2 and listing 2, unless any row counts

        my ($tag) = grep { /^$table\b/ } split ' ', $row->{tags};
        my ($total) = grep { /^$table\b/ } split ' ', $row->{total_tags} // '';

        next if grep { defined && $_ eq $table } $tag, $total;
        $res = by(2, path($row, 2));
        push @others, $row->{name} if $res->{status} == 200
                                      && x($res) ne '200 HIT';
    }

    is("@kept", '', "$table: no old answer");
    is("@lost", '', "$table: what does not read it is kept");
    is("@wrong", '', "$table: the answers are as the tables are");
    is("@others", '', "$table: other users, campaigns and listings are kept");
    change($undo, dbname => $::DB) if $undo;
}

# a change that no answer shows

get(path($_)) for @::CACHED;
is(change("UPDATE users SET password_hash = 'y', totp_secret = 'z';
           UPDATE review_listings SET requirements = '{\"a\":1}';
           UPDATE campaigns SET title = title;
           UPDATE sns_accounts SET followers_count = 5, access_token = 't'",
          dbname => $::DB), 0, 'nobody is told of what is not shown');
is(join(' ', map { $_->{name} } grep { x(get(path($_))) ne '200 HIT' }
             @::CACHED), '', 'and all is kept');

# a transaction that comes to nothing

psql("BEGIN; UPDATE campaigns SET title = 'never'; ROLLBACK",
     dbname => $::DB);
is(x(get($::CAMPAIGN)), '200 HIT', 'nor of what was rolled back');

# TRUNCATE, and many rows at once

for my $sql ('TRUNCATE review_bookmarks',
             "INSERT INTO review_bookmarks (user_id, listing_id, created_at)
              SELECT n % 4 + 1, 1 + n % 30, 'yesterday'
                FROM generate_series(1, 50) n")
{
    by($_, '/api/review/bookmarks') for 1, 2;
    change($sql, dbname => $::DB);

    for (1, 2) {
        my $res = by($_, '/api/review/bookmarks');

        is(x($res), '200 MISS', $sql =~ s/\s+/ /gr . ": user $_");
        is($res->{body}, by($_, '/off/api/review/bookmarks')->{body},
           'has it right');
    }
}


=== TEST 17: a deadline ends a response by itself
--- check
wait_coherent();

my $lists = sub {
    return ("$::CAMPAIGN?category=soon", "$::CAMPAIGN?per_page=100",
            '/api/review/listings?category=soon',
            '/api/review/listings/search?q=soon');
};

# deadlines in 1.5 and 2.5 seconds, by the database's clock

change("INSERT INTO campaigns (id, creator_id, title, product_name, category,
            max_reviewers, deadline, status, created_at)
        SELECT 90 + n, 1, 'soon ' || n, 'p', 'soon', 1,
               localtimestamp + (0.5 + n) * interval '1 s', 'active',
               'yesterday' FROM generate_series(1, 2) n;
        INSERT INTO review_listings (id, source_platform, external_id, title,
            category, status, deadline)
        SELECT id, 'p', 'soon ' || id, title, 'soon', 'active', deadline
          FROM campaigns WHERE id IN (91, 92)", dbname => $::DB);

my $told = source()->{notifications};
my $ms = psql('SELECT extract(epoch FROM deadline - localtimestamp)
                 FROM campaigns WHERE id = 91', dbname => $::DB);
my $end = time + $ms;

for ($lists->()) {
    my ($made, $found) = (get($_), get($_));

    is(x($made) . ', ' . x($found), '200 MISS, 200 HIT', "$_ is kept");
    like($found->{body}, qr/"soon 1".*"soon 2"|"soon 2".*"soon 1"/,
         'with both');
}

cmp_ok(time, '<', $end, 'in time');

for my $n (1, 2) {
    my $left = 2 - $n;

    sleep $end - time + 0.02 if $end > time;

    for ($lists->()) {
        my $res = get($_);
        my $ok = $res->{body} !~ /"soon $n"/
                 && ($left == 0 || $res->{body} =~ /"soon 2"/);

        ok($ok, "$_ without it, on time") or diag($res->{body});
        is(x($res), '200 MISS', "$_ was made anew, of $left");
        like($res->{body}, qr/"total":$left\b/, "$_: its total is $left")
            if !/per_page/;
        is(x(get($_)), '200 HIT', "$_ is kept, of $left");
    }

    $end += 1;
}

is(source()->{notifications}, $told, 'nobody has said anything');
psql('DELETE FROM campaigns WHERE id > 90; ', dbname => $::DB);
change('DELETE FROM review_listings WHERE id > 90', dbname => $::DB);


=== TEST 18: a list that was read before a deadline is not kept beyond it
--- check
# a page and its total are two statements: one of them waits until the deadline
# has passed, the other does not.  A total that is held up has its connection for
# a second: then a spare one is opened, as it is not known how long it takes

wait_coherent();

my $path = "$::CAMPAIGN?category=soon";

for ('total', 'page') {
    change("INSERT INTO campaigns (id, creator_id, title, product_name,
                category, max_reviewers, deadline, status, created_at)
            VALUES (90, 1, 'soon', 'p', 'soon', 1,
                    localtimestamp + interval '0.8 s', 'active', 'yesterday')",
           dbname => $::DB);

    my $end = time + 0.85;
    my ($lock, $other);

    # either by another total, or by a table that only the page is read from

    if ($_ eq 'total') {
        $lock = hold('LOCK TABLE review_listings IN ACCESS EXCLUSIVE MODE',
                     dbname => $::DB);
        $other = start('/api/review/listings?category=before');
        waiting(1);

    } else {
        $lock = hold('LOCK TABLE campaign_applications
                      IN ACCESS EXCLUSIVE MODE', dbname => $::DB);
    }

    my $list = start($path);

    wait_until { zone_status()->{cache}{fills_under_way} > 0 } 'it is made';
    sleep $end - time if $end > time;
    ok($list->pending, "the $_ waits");
    $lock->release;
    is($other->finish->{status}, 200, 'the statement before it') if $other;
    is($list->finish->{status}, 200, 'and the list');

    my $res = get($path);

    unlike($res->{body}, qr/"soon"/, 'the next one does not see the old row');
    like($res->{body}, qr/"total":0/, 'nor counts it');
    change('DELETE FROM campaigns WHERE id = 90', dbname => $::DB);
}


=== TEST 19: what is too large is not kept, and a full zone makes room
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL, zone => 'api 4m')
. main::slow_server()
--- config eval
$::CONFIG . main::at('tiny', 'softfactory_cache_max_entry 500;')
--- check
wait_coherent();

my $posts = '/tiny/api/sns/posts?limit=100';

is(x(get($posts)), '200 MISS', 'it is too large') for 1, 2;
is(x(get('/tiny/api/dashboard/summary')), "200 $_", 'a small one is not')
    for 'MISS', 'HIT';
cmp_ok(zone_status()->{cache}{refused}, '>=', 2, 'they are counted');
is(x(get('/api/sns/posts?limit=100')), "200 $_", 'elsewhere it is kept')
    for 'MISS', 'HIT';

# an eighth of the zone is the most, whatever is configured

my $first = "$::CAMPAIGN/1";

get($first);

my ($asked, @wrong, $bytes) = (0);

for my $size (301 .. 400) {
    my $path = "/api/sns/posts?limit=$size";
    my $res = get($path);

    $bytes += length $res->{body};
    push @wrong, x($res) if x($res) ne '200 MISS';
    push @wrong, x($res) if x($res = get($path)) ne '200 HIT';
}

my $cache = zone_status()->{cache};

is("@wrong", '', 'each is answered, and kept for now');
cmp_ok($bytes, '>', 2 * $cache->{room}, 'they are more than fit');
cmp_ok($cache->{evictions}, '>', 20, 'others had to go');
cmp_ok($cache->{bytes}, '<=', $cache->{room}, 'it is full');
is(x(get($first)), '200 MISS', 'the one that nobody asked for is gone');
is(x(get('/api/sns/posts?limit=400')), '200 HIT', 'the last one is there');
is(x(get('/api/sns/posts?limit=301')), '200 HIT',
   'the first is in main, by the share of its user');
is(x(get('/api/sns/posts?limit=330')), '200 MISS', 'which has an end');

# while slow clients hold on to a part of it

get("/api/sns/posts?limit=500&account_id=$_") for 0, 1;

my @slow = slow(map { "/api/sns/posts?limit=500&account_id=$_" } 0, 1);

is(zone_status()->{cache}{pins}, 2, 'two values are sent from');

for my $size (301 .. 360) {
    my $res = get("/api/sns/posts?limit=$size");

    push @wrong, x($res) if $res->{status} != 200;
}

is("@wrong", '', 'also while some is held');
ok($_->finish->{body} =~ /\A\{"current_page":1,.*\}\n\z/s, 'that is whole')
    for @slow;
all_pins_back('nothing is pinned');


=== TEST 20: nobody sees what is another's
--- check
wait_coherent();

# the demo's rows differ from user to user: 1 and 2 have other answers
# wherever the endpoint is personal, and the same ones elsewhere

my %id = map { $_->{name} => $_->{path} =~ /\{id\}/ ? [1, 2] : [0] } @::CACHED;
my (%truth, %differ);

for my $row (@::CACHED) {
    for my $id (@{$id{$row->{name}}}) {
        my $path = path($row, $id);

        $truth{"$_ $path"} = by($_, "/off$path") for 1 .. 3;
        $differ{$row->{name}} = 1 if $truth{"1 $path"}{body}
                                     ne $truth{"2 $path"}{body};
    }
}

# times of the points in this one go with the clock

delete $differ{analytics_advanced};

is(join(' ', sort keys %differ),
   join(' ', sort map { $_->{name} } grep { $_->{personal} } @::CACHED),
   'the personal ones are told apart by these users');

for my $order ([1, 2, 3], [3, 2, 1], [2, 1, 2, 1, 3, 3]) {
    purge('all');

    my @wrong;

    for my $row (@::CACHED) {
        for my $id (@{$id{$row->{name}}}) {
            my $path = path($row, $id);

            for my $user (@$order, @$order) {
                my $res = by($user, $path);
                my $truth = $truth{"$user $path"};

                push @wrong, "$user $path"
                    if $res->{status} != $truth->{status}
                       || $res->{body} ne $truth->{body}
                          && $row->{name} ne 'analytics_advanced';
            }
        }
    }

    is("@wrong", '', "users @$order");
}

# what is the same for all is there once

purge('all');

for my $row (grep { !$_->{personal} } @::CACHED) {
    my $path = path($row);

    by(1, $path);
    is(x(by(2, $path)), '200 HIT', "$row->{name} is for all")
        if !$row->{product};
}

for my $row (grep { $_->{personal} } @::CACHED) {
    my $path = path($row);

    by(1, $path);
    is(x(by(2, $path)), '200 MISS', "$row->{name} is not")
        if by(2, "/off$path")->{status} == 200;
}

# pages of lists: the total is for all where it counts the same

my $n = executed {
    by($_, '/api/review/listings?page=2') for 1, 2;
    by(1, '/api/review/listings?page=1&sort_by=created');
} qr/review_listings total/;

is($n, 0, 'a total that was counted before');
$n = executed { by($_, '/api/review/listings?platform=p1') for 1, 2 }
     qr/review_listings total/;
is($n, 1, 'or once for two users');


=== TEST 21: two databases in one zone never meet
--- http_config eval
$::HTTP . main::conf(name => 'other', dbname => $::OTHER, pool => $::POOL)
. main::conf(name => 'again', dbname => $::DB, pool => $::POOL)
--- config eval
$::CONFIG . main::at('other', '', 'other') . main::at('again', '', 'again')
--- check
wait_coherent(upstream => $_) for 'primary', 'other', 'again';

my %name = ('' => $::DB, '/other' => $::OTHER, '/again' => $::DB);

for my $at ('', '/other', '/again', '', '/other', '/again') {
    my $res = get("$at$::CAMPAIGN/4");

    like($res->{body}, qr/"product_name":"$name{$at}"/, "at $at/");
}

is(x(get("$_$::CAMPAIGN/4")), '200 HIT', "$_ is kept") for sort keys %name;

# users too: the other one has nobody any more

by(1, "$_/api/sns/posts") for sort keys %name;
change('UPDATE users SET is_active = false', dbname => $::OTHER,
       upstream => 'other');
is(x(by(1, '/api/sns/posts')), '200 HIT', 'a user of one');
is(error(by(1, '/other/api/sns/posts')), '401 User not found or inactive',
   'is nobody to the other');
is(x(by(1, '/again/api/sns/posts')), '200 HIT', 'but to a third');

# a change here is none there

change("UPDATE campaigns SET title = 'of four' WHERE id = 4",
       dbname => $::DB);
wait_until { x(get("/again$::CAMPAIGN/4")) eq '200 MISS' } 'both are told';
like(get("$_$::CAMPAIGN/4")->{body}, qr/"of four"/, "$_/ is new")
    for '', '/again';
is(x(get("/other$::CAMPAIGN/4")), '200 HIT', 'the other is kept');
change('UPDATE users SET is_active = true', dbname => $::OTHER,
       upstream => 'other');


=== TEST 22: an operator drops what is named
--- config eval
$::CONFIG . <<'CONF';
location = /guarded { softfactory_purge api; deny all; }
CONF
--- check
wait_coherent();

my $all = sub { by(1, path($_)) for @::CACHED };
my $missing = sub {
    join ' ', sort map { $_->{name} }
              grep { x(by(1, path($_))) eq '200 MISS' } @::CACHED;
};
my $reading = sub {
    my ($table) = @_;
    join ' ', sort map { $_->{name} }
              grep { $_->{tags} =~ /\b$table\b/ } @::CACHED;
};
my $moved = sub {
    my ($res) = @_;

    return "$res->{status} " . join ', ',
        map { s/"//gr } @{(document($res->{body})->{moved} // [])};
};

for my $table ('campaigns', 'payments', 'users', 'sns_posts',
               'review_bookmarks')
{
    $all->();
    like($moved->(purge("tag=$table")), qr/^200 $table\b/, "tag=$table");
    is($missing->(), $reading->($table), "drops what reads $table");
}

# a row

$all->();
by(2, '/api/sns/posts');
get("$::CAMPAIGN/2");
is($moved->(purge('tag=campaigns.id=2')), '200 campaigns id=2', 'a row');
is(x(get("$::CAMPAIGN/2")), '200 MISS', 'it is dropped');
is(x(get("$::CAMPAIGN/1")), '200 HIT', 'another is not');
is(x(get($::CAMPAIGN)), '200 MISS', 'a list is');
is($moved->(purge('tag=sns_posts.user_id%3D1')), '200 sns_posts user_id=1',
   "a user's");
is(x(by(1, '/api/sns/posts')), '200 MISS', 'they are dropped');
is(x(by(2, '/api/sns/posts')), '200 HIT', "another's are not");
is($moved->(purge('tag=users.id=-5')), '200 users id=-5', 'below 0');

# an endpoint

for my $row (@::CACHED) {
    $all->();
    like($moved->(purge("endpoint=$row->{name}")), qr/^200 \w/,
         "endpoint=$row->{name}");
    is(x(by(1, path($row))), '200 MISS', "$row->{name} is dropped");
}

# all

for ('all', 'all=1', 'x=y&all=') {
    $all->();
    is($moved->(purge($_)), '200 all', $_);
    is($missing->(), join(' ', sort map { $_->{name} } @::CACHED),
       'drops everything');
}

# what is not understood

$all->();

for ('', 'x', 'tag', 'tag=', 'tag=nothing', 'tag=campaigns.id',
     'tag=campaigns.id=', 'tag=campaigns.id=x', 'tag=campaigns.title=1',
     'tag=campaigns.id=1,2', 'tag=campaigns.id=-', 'tag=.id=1',
     'tag=campaigns.id=1%20creator_id=2', 'tag=campaigns%00',
     'tag=campaigns.id=' . '1' x 20, 'tag=' . 'c' x 3000, 'endpoint=',
     'endpoint=nothing', 'endpoint=sns_templates', 'endpoint=health',
     'endpoint=review_campaign%20', 'endpoint=review', 'ALL', 'allx',
     'tag=*', 'tag=CAMPAIGNS')
{
    my $res = request('POST', "/purge?$_");

    like(error($res), qr/^400 (?!none)/, '?' . substr $_, 0, 40);
}

is($missing->(), '', 'and drops nothing');

for my $method ('GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS') {
    my $res = request($method, '/purge?all');

    is("$res->{status} " . ($res->{headers}{allow} // 'none'), '405 POST',
       "$method is not allowed");
}

is($missing->(), '', 'and does nothing');
is(request('POST', '/guarded?all')->{status}, 403, 'it can be guarded');
is(request('POST', '/purge', body => 'all')->{status}, 400,
   'a body is not read');
is($moved->(request('POST', '/purge?all', body => 'x' x 100000)), '200 all',
   'nor in the way');
--- no_error_log
[crit]
[alert]
[emerg]


=== TEST 23: the state of the zone is told
--- check
wait_coherent();

my $doc = zone_status();
my ($cache, $source) = ($doc->{cache}, $doc->{sources}[0]);

is(join(' ', sort keys %$doc), 'application buckets cache connections '
   . 'endpoints errors links machine module_version node now requests slow '
   . 'sources started upstreams workers', 'its parts');
is(join(' ', sort keys %$source), 'channel_names coherent confirmed_ms_ago '
   . 'creators flushes listener_pid moves notifications open_channel '
   . 'queue_usage schema uncovered unreadable '
   . 'upstream',
   'of a database');
is($source->{upstream}, 'primary', 'its name');
is($source->{coherent}, JSON::PP::true, 'it is listened to');
is($source->{listener_pid}, (worker_pids())[0], 'by a worker');
cmp_ok($source->{confirmed_ms_ago}, '<', 2000, 'which is alive');
is($cache->{size}, 32 * 1024 * 1024, 'the size of the zone');
cmp_ok($cache->{room}, '<', $cache->{size}, 'is not all for answers');
is($cache->{workers}, 1, 'one worker');
is($cache->{entries}, 0, 'nothing is there');

get($::CAMPAIGN) for 1 .. 3;
get('/api/sns/accounts');
$doc = zone_status()->{cache};
is($doc->{entries}, 3, 'a list, its total and another');
is($doc->{fills}, 3, 'three fills');
cmp_ok($doc->{bytes}, '>', 1000, 'some bytes');
is("$doc->{hits} $doc->{misses}", '2 2', 'hits and misses are counted');
is("$doc->{pins} $doc->{pinned_bytes} $doc->{fills_under_way}", '0 0 0',
   'nothing is held');

get("$::CAMPAIGN?per_page=1");
purge('tag=campaigns');
get($::CAMPAIGN);
$doc = zone_status()->{cache};
is($doc->{misses}, 4, 'what was dropped is a miss');

is(request('HEAD', '/status')->{status}, 200, 'HEAD');

for my $method ('POST', 'PUT', 'DELETE') {
    my $res = request($method, '/status');

    is("$res->{status} $res->{headers}{allow}", '405 GET, HEAD',
       "$method is not allowed");
}


=== TEST 24: a log shows it too
--- http_config eval
"log_format sf '\$uri \$softfactory_cache \$softfactory_endpoint "
. "\$softfactory_db_time \$softfactory_queue_time';\n"
. "access_log logs/sf.log sf;\n" . $::HTTP
--- config eval
$::CONFIG . "access_log logs/sf.log sf;\n"
--- check
wait_coherent();
get($_) for $::CAMPAIGN, $::CAMPAIGN, "/off$::CAMPAIGN", '/api/sns/templates',
            '/health', '/api/nothing';

my @lines = grep { !/status|t-is-up/ }
            split /\n/, wait_until { my $log = access_log('sf.log');
                                     $log =~ /nothing/ && $log } 'logged';
my $time = qr/\d+\.\d{6}/;
my $none = qr/0\.000000/;

like($lines[0], qr/^\S+ MISS review_campaigns (?!$none)$time $time$/, 'MISS');
like($lines[1], qr/^\S+ HIT review_campaigns $none $none$/, 'HIT');
like($lines[2], qr/^\S+ - review_campaigns (?!$none)$time $time$/, 'off');
like($lines[3], qr/^\S+ HIT sns_templates $none $none$/, 'a constant');
like($lines[4], qr/^\S+ BYPASS health $time $time$/, 'a document');
like($lines[5], qr/^\S+ - - $none $none$/, 'no endpoint');


=== TEST 25: inside another page a response is plain
--- config eval
$::CONFIG . <<'CONF'
location = /page {
    ssi on;
    ssi_types *;
    default_type text/html;
    return 200 '<!--# include virtual="/api/review/campaigns?per_page=5" -->';
}
CONF
--- check
wait_coherent();

my $list = "$::CAMPAIGN?per_page=5";
my $gzip = [headers => ['Accept-Encoding: gzip']];

get($list);

my $body = get($list)->{body};

is(get($list, @$gzip)->{headers}{'content-encoding'}, 'gzip', 'by itself');
is(get('/page', @$gzip)->{body}, $body, 'in a page');
is(get('/page')->{body}, $body, 'the same without gzip');


=== TEST 26: lists that wait hold nothing that others need
--- http_config eval
SoftFactory::conf(dbname => $::DB, zone => 'api 32m',
                  pool => "$::POOL queue=1000 depth=1")
--- check
wait_coherent();

# 150 users with a total each, more than a worker has records of pins

my @users = map { 1000 + $_ } 1 .. 150;

psql("INSERT INTO users (id, email, password_hash, name, is_active)
      SELECT n, n || '\@w.test', '!', 'n', true
        FROM generate_series(1001, 1150) n", dbname => $::DB);
psql("INSERT INTO subscriptions (user_id, product_id, status)
      SELECT n, p.id, 'active' FROM generate_series(1001, 1150) n, products p",
     dbname => $::DB);

my %token = map { $_ => jwt(user_id => $_) } @users;
my $hit = "$::CAMPAIGN?category=c1";

get($hit);
get('/api/sns/posts', token => $token{$_}) for @users;
psql("UPDATE sns_accounts SET account_name = account_name || '.'",
     dbname => $::DB);
wait_until { x(get('/api/sns/posts')) ne '200 HIT' } 'the pages are dropped';

my $lock = hold('LOCK TABLE sns_accounts IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my @waiting = map { start('/api/sns/posts', token => $token{$_}) } @users;

wait_until { zone_status()->{cache}{fills_under_way} >= 150 } 'all wait';
is(x(get($hit)), '200 HIT', 'what is there is there for others');
$lock->release;
is(scalar(grep { $_->finish->{status} == 200 } @waiting), 150,
   'and all are answered');
psql("DELETE FROM subscriptions WHERE user_id > 1000", dbname => $::DB);
psql("DELETE FROM users WHERE id > 1000", dbname => $::DB);


=== TEST 27: what was made together is not made anew together
--- config eval
$::CONFIG . "softfactory_cache_ttl all 10s;"
--- check
wait_coherent();

# pages of one list, which show the same total

my @paths = map { "$::CAMPAIGN?per_page=$_" } 20 .. 35;
my @made = map { my $path = $_; my $time = time; get($path); $time } @paths;

sleep $made[0] + 8.5 - time;
is(x(get($_)), '200 HIT', "$_ is there before its last tenth") for @paths;

my (%age, @wrong);
my $totals = executed {
    while (time < $made[-1] + 10.2) {
        for my $i (0 .. $#paths) {
            my $x = x(get($paths[$i]));

            # all are as old as the total that they show

            push @{$age{$i}}, time - $made[0] if $x eq '200 EXPIRED';
            push @wrong, $x if $x !~ /\A200 (?:EXPIRED|HIT|UPDATING)\z/;
        }
    }
} qr/review_campaigns total/;

my @ages = sort { $a <=> $b } map { $_->[0] } values %age;

is("@wrong", '', 'all are answered');
is(@ages, @paths, 'each is made anew');
is((grep { @$_ > 1 } values %age), 0, 'once');
cmp_ok($ages[0], '>=', 8.99, 'not before the last tenth');
cmp_ok($ages[-1], '<', 10.2, 'nor after it');
cmp_ok($ages[-1] - $ages[0], '>', 0.2, 'but all over it');
is($totals, 1, 'by one count');


=== TEST 28: a scan takes nothing from what is asked for
--- http_config eval
main::conf(dbname => $::DB, pool => $::POOL, zone => 'api 4m')
--- check
wait_coherent();

my @hot = map { my $limit = $_; map { "/api/sns/posts?limit=$limit$_" }
                '', '&status=draft', '&account_id=1' } 1 .. 20;

for my $path (@hot, @hot) {
    by($_, $path) for 1, 2;
}

# unknown values of a filter: each is two entries, one of them the total

my $before = zone_status()->{cache};

get("/api/review/campaigns?category=scan$_", token => undef) for 1 .. 3000;

my $cache = zone_status()->{cache};

cmp_ok($cache->{evictions} - $before->{evictions}, '>', 500,
       'others of them have to go');
is($cache->{evictions_main}, $before->{evictions_main}, 'out of small');

my $hits = () = grep { x($_) eq '200 HIT' }
           map { (by(1, $_), by(2, $_)) } @hot;

cmp_ok($hits, '>=', 114, 'what is asked for stays, of 120');

# large ones of one user, who asks for each twice

$before = zone_status()->{cache};

for my $size (301 .. 400) {
    by(1, "/api/sns/posts?limit=$size") for 1, 2;
}

$cache = zone_status()->{cache};
cmp_ok($cache->{evictions} - $before->{evictions}, '>', 20,
       'large ones of one user');
cmp_ok($cache->{main_bytes}, '<', $cache->{room} / 2, 'are in main by a part');

$hits = () = grep { x($_) eq '200 HIT' } map { (by(1, $_), by(2, $_)) } @hot;
cmp_ok($hits, '>=', 114, 'and take nothing either');

# What can be answered without a row is answered without the database: here
# the pool can never connect, and every endpoint is asked everything that is
# wrong before a row is needed.

use strict;
use warnings;

use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;

use Time::HiRes ();

our $MISSING = 'Missing authorization header';
our $INVALID = 'Invalid or expired token';
our $INACTIVE = 'User not found or inactive';
our $DOWN = 'Database unavailable';


sub path_of {
    my ($endpoint, $id) = @_;

    $id //= 1;
    return $endpoint->{path} =~ s/\{id\}/$id/r;
}


# queries, by endpoint, and what is wrong with them; wrong() adds what holds
# for all endpoints

our %WRONG = (
    review_campaigns => [
        ['page=0', 404, 'Not found'], ['page=-1', 404, 'Not found'],
        ['per_page=0', 404, 'Not found'],
        ['page=2&per_page=0', 404, 'Not found'],
        ['page=2147483648', 404, 'Not found'],
        ['category=%00', 400, 'Invalid category'],
        ['category=' . 'x' x 1025, 400, 'Invalid category'],
    ],
    review_listings => [
        ['page=0', 404, 'Not found'], ['limit=0', 404, 'Not found'],
        ['page=3&per_page=-1', 404, 'Not found'],
        ['category=a%00', 400, 'Invalid category'],
        ['platform=%00', 400, 'Invalid platform'],
        ['source_platform=%00', 400, 'Invalid platform'],
        ['platform=' . 'a,' x 65, 400, 'Too many platform values'],
        ['reward_type=%00', 400, 'Invalid reward_type'],
    ],
    review_listings_search => [
        ['', 400, 'Search keyword must be at least 2 characters'],
        ['q=x', 400, 'Search keyword must be at least 2 characters'],
        ['q=' . 'x' x 101, 400,
         'Search keyword must be 100 characters or less'],
        ['q=a;drop+x', 400, 'Invalid search keyword'],
        ['q=ab%00', 400, 'Invalid q'], ['q=ab&page=0', 404, 'Not found'],
        ['q=ab&per_page=0', 404, 'Not found'],
    ],
    review_bookmarks => [
        ['page=0', 404, 'Not found'], ['per_page=-9', 404, 'Not found'],
    ],
    sns_posts => [
        ['page=0', 404, 'Not found'], ['limit=0', 404, 'Not found'],
        ['status=%00', 400, 'Invalid status'],
    ],
    sns_analytics => [['platform=%00', 400, 'Invalid platform']],
    analytics_advanced => [
        ['metric=%00', 400, 'Invalid metric'],
        ['period=', 400, 'Invalid period'],
        ['period=x', 400, 'Invalid period'],
        ['period=3661', 400, 'Invalid period'],
    ],
);

sub wrong {
    my ($endpoint) = @_;

    my $path = path_of($endpoint);
    my @cases = map { my ($query, @answer) = @$_; ["$path?$query", @answer] }
                @{$WRONG{$endpoint->{name}} // []};

    push @cases, ["$path?" . 'x' x 16385, 400, 'Query string is too long'];

    # an id that no row can have

    if ($endpoint->{path} =~ /\{id\}/) {
        push @cases, map { [path_of($endpoint, $_), 404,
                            $endpoint->{missing}] }
                     '9223372036854775808', '18446744073709551617', '9' x 100;
    }

    return @cases;
}


# is_down($path, ...): one test, 503 with Retry-After

sub is_down {
    my ($path, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    fails($path, 503, $DOWN, %o);

    my $res = get($path, %o);
    like($res->{headers}{'retry-after'} // 'none', qr/^[1-9]\d*$/,
         "$path: Retry-After");
}


defaults(
    http_config => conf(server => '127.0.0.1:1')
                   . "large_client_header_buffers 4 64k;\n",
    no_error_log => "[crit]\n[alert]\n[emerg]\n",
);

plan('no_plan');
run_tests();

__DATA__

=== TEST 1: a request without a token, or with a wrong one, is told so
--- check
my $start = Time::HiRes::time();
my $user = 0;

my @tokens = (
    'nonsense', 'a.b.c', 'demo_tokenx', 'Demo_token',
    jwt(user_id => 1, -secret => 'other'), jwt(user_id => 1, exp => 1),
    jwt(user_id => 1, exp => time - 60), jwt(user_id => 1, iat => time + 99),
    jwt(user_id => 1, nbf => time + 99), jwt(user_id => 1, aud => 'x'),
    jwt(user_id => 1, type => 'refresh'), jwt(user_id => 1, -without =>
    ['type']), jwt(user_id => 1, -alg => 'HS512'),
    jwt(user_id => 1, -alg => 'none'), jwt(), jwt(user_id => 'x'),
    jwt(user_id => 1, exp => undef),
);

my @nobody = (jwt(user_id => undef), jwt(user_id => 0), jwt(user_id => -1),
              jwt(user_id => 9223372036854775808), jwt(user_id => 2.5));

for my $endpoint (endpoints()) {
    my $path = path_of($endpoint);
    my ($bad) = wrong($endpoint);

    next if $endpoint->{access} ne 'USER';
    $user++;

    fails($path, 401, $main::MISSING, token => undef);
    fails($path, 401, $main::MISSING, token => undef,
          headers => ['Authorization: Basic ZGVtbw==']);
    fails($path, 401, $main::INVALID, token => $tokens[$_],
          title => "wrong token $_") for 0 .. $#tokens;
    fails($path, 401, $main::INACTIVE, token => $nobody[$_],
          title => "token $_ of nobody") for 0 .. $#nobody;

    # and that is all they are told

    fails($bad->[0], 401, $main::MISSING, token => undef);
    fails($bad->[0], 401, $main::INVALID, token => 'nonsense');
}

cmp_ok($user, '>', 20, 'many endpoints ask for a token');
cmp_ok(Time::HiRes::time() - $start, '<', 20, 'nobody has to wait');



=== TEST 2: what is wrong with the request is told at once
--- check
my $start = Time::HiRes::time();

for my $endpoint (endpoints()) {
    for my $case (wrong($endpoint)) {
        my ($path, $status, $error) = @$case;

        fails($path, $status, $error);
        fails($path, $status, $error, token => jwt(user_id => 1),
              title => 'held');

        next if $endpoint->{access} eq 'USER';
        fails($path, $status, $error, token => undef);
        fails($path, $status, $error, token => 'nonsense');
    }
}

cmp_ok(Time::HiRes::time() - $start, '<', 20, 'nobody has to wait');



=== TEST 3: a fixed token without the product is refused first
--- check
my %slugs;

for my $endpoint (endpoints()) {
    my $slug = $endpoint->{product} or next;
    my $error = "Subscription to $slug required";

    $slugs{$slug}++;
    fails(path_of($endpoint), 403, $error, token => 'plain_token');
    fails($_->[0], 403, $error, token => 'plain_token') for wrong($endpoint);
}

is(join(' ', sort keys %slugs), 'review sns-auto', 'two products gate');



=== TEST 4: what needs a row is 503, and says when to come again
--- check
my ($constant, $down) = (0, 0);

for my $endpoint (endpoints()) {
    my $path = path_of($endpoint);
    my $jwt = jwt(user_id => 1);

    $path .= '?q=xx' if $endpoint->{name} eq 'review_listings_search';

    if ($endpoint->{document}) {
        my $doc = answers($path, 503);
        is($doc->{ready} // $doc->{status},
           $doc->{ready} ? 'false' : '"degraded"', 'says so');
        next;
    }

    if ($endpoint->{access} eq 'USER') {
        is_down($path, token => $jwt);
    }

    if ($endpoint->{json} && !$endpoint->{sql}) {
        $constant++;
        answers($path, 200);
    } else {
        $down++;
        is_down($path);
    }
}

is($constant, 8, 'documents that need no row');
cmp_ok($down, '>', 15, 'endpoints that do');

is_down('/api/review/campaigns', token => undef);
is_down('/api/review/campaigns/1', token => undef);

my $ready = answers('/ready', 503);
is($ready->{reason}, '"database unavailable"', 'the reason');
my $health = answers('/health', 503);
is($health->{database}, '"disconnected"', 'the database');



=== TEST 5: methods and paths that do not exist
--- check
for my $endpoint (endpoints()) {
    my $path = path_of($endpoint);

    for my $method (qw(POST PUT DELETE PATCH)) {
        for my $token (undef, 'demo_token') {
            my $res = request($method, $path, token => $token, body => '{}');

            SoftFactory::judge($res, 405,
                               { error => '"Method not allowed"' },
                               "$method $path");
            is($res->{headers}{allow}, 'GET, HEAD, OPTIONS',
               "$method $path: Allow");
        }
    }

    my $res = request('OPTIONS', $path);
    is($res->{status}, 200, "OPTIONS $path");
    is($res->{body}, '', "OPTIONS $path: without a body");

    next if $path !~ m{^/api/};

    fails("$path/", 404, 'Not found', token => undef);
    fails("${path}x", 404, 'Not found', token => undef);
}

fails('/api/', 404, 'Not found', token => undef);
fails('/api/nonsense', 404, 'Not found');



=== TEST 6: campaigns may ask for a token as well
--- config eval
SoftFactory::api('softfactory_anonymous off;')
--- check
for my $path ('/api/review/campaigns', '/api/review/campaigns/1') {
    fails($path, 401, $main::MISSING, token => undef);
    fails($path, 401, $main::INVALID, token => 'nonsense');
    fails("$path?" . 'x' x 16385, 401, $main::MISSING, token => undef);
    fails("$path?" . 'x' x 16385, 400, 'Query string is too long');
    is_down($path);
    is_down($path, token => jwt(user_id => 1));
}

my $doc = answers('/ready', 503, undef, token => undef);
is($doc->{ready}, 'false', 'a probe needs none');



=== TEST 7: the same with a socket that nobody listens on
--- http_config eval
SoftFactory::conf(server => 'unix:/nonexistent/.s.PGSQL.5432')
--- check
fails('/api/review/listings/search?q=x', 400,
      'Search keyword must be at least 2 characters',
      token => jwt(user_id => 1));
fails('/api/review/campaigns?page=2&per_page=0', 404, 'Not found');
is_down('/api/review/campaigns');
is_down('/api/sns/posts', token => jwt(user_id => 1));

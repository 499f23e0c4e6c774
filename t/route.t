# Which requests are ours, and what becomes of the others.

use strict;
use warnings;

use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Wait;

use IO::Socket::INET;
use POSIX ();

# the application: it answers with the request as it came

my $listen = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1')
    or die "listen: $!";

our $APP = $listen->sockport;
my $self = $$;
my $child = fork // die "fork: $!";

if ($child == 0) {
    while (my $client = $listen->accept) {
        my $text = '';

        while ($text !~ /\r\n\r\n/) {
            sysread $client, $text, 65536, length $text or last;
        }

        my ($head, $body) = split /\r\n\r\n/, $text, 2;
        my ($length) = $head =~ /^content-length: (\d+)/mi;

        while (length $body < ($length // 0)) {
            sysread $client, $body, 65536, length $body or last;
        }

        my ($line) = $head =~ /^(.*?) HTTP/;
        my ($token) = $head =~ /^authorization: (.*?)\r?$/mi;
        my $answer = join "\n", $line, $token // 'none', $body;

        print {$client} "HTTP/1.0 418 app\r\nContent-Type: text/app\r\n"
                        . 'Content-Length: ' . length($answer) . "\r\n\r\n"
                        . ($line =~ /^HEAD/ ? '' : $answer);
        close $client;
    }

    POSIX::_exit(0);
}

close $listen;

END {
    local $?;

    if ($child && $$ == $self) {
        kill TERM => $child;
        ended($child, 'the application');
    }
}


sub path_of {
    my ($endpoint, $id) = @_;

    my $path = $endpoint->{path} =~ s/\{id\}/$id \/\/ 1/er;

    return $path . ($endpoint->{name} eq 'review_listings_search' ? '?q=ra'
                                                                  : '');
}


# the configuration with a fallback to the application

sub with_app {
    my ($fallback, @lines) = @_;

    return api(@lines, "softfactory_fallback $fallback;", <<"CONF");
location \@app { proxy_pass http://127.0.0.1:$APP; }
location /app {
    internal;
    proxy_pass http://127.0.0.1:$APP;
}
CONF
}


# to_app($method, $path, %options): one test, the application has got it

sub to_app {
    my ($method, $path, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $seen = delete $o{seen} // $path;
    my $res = request($method, $path, token => 'any', %o);

    is("$res->{status} $res->{body}",
       "418 $method $seen\nBearer any\n" . ($o{body} // ''),
       "$method $path goes to the application");
}


plan('no_plan');
run_tests();

__DATA__

=== TEST 1: a path that is nobody's is a JSON 404
--- check
for my $path (qw(/api/ /api/nonsense /api/review /api/review/
    /api/review/campaign /api/review/campaigns/ /api/review/campaignsx
    /api/review/Campaigns /api/review/listings/ /api/review/listings/search/
    /api/review/listings/searchx /api/review/campaigns/1/
    /api/review/campaigns/1/application /api/review/campaigns/applications
    /api/review/campaigns/1/applications/ /api/review/my-applications/1
    /api/review/campaigns/1/applications/1 /api/sns/accounts/1
    /api/review/campaigns%20
    /api/review/campaigns;x /api/health/ /api/ready /api/metrics),
    '/api/' . 'x' x 4000)
{
    fails($path, 404, 'Not found', token => undef);
    fails($path, 404, 'Not found');
}

for my $endpoint (endpoints()) {
    my $path = path_of($endpoint) =~ s/\?.*//r;

    next if $path !~ m{^/api/};
    fails("$path/", 404, 'Not found');
    fails("$path/x", 404, 'Not found');
}

# nginx has decoded and normalised the path

answers($_, 200)
    for '/api//review/campaigns', '/api/review/./campaigns',
        '/api/sns/../review/campaigns', '/api/review%2Fcampaigns',
        '/api/review/c%61mpaigns', '/api/review/campaigns?/x/',
        '/api/review/campaigns/%31', '/api/review/campaigns?';



=== TEST 2: an id is of digits, and need not be one that exists
--- check
for my $endpoint (grep { $_->{path} =~ /\{id\}/ } endpoints()) {
    fails(path_of($endpoint, $_), 404, 'Not found')
        for qw(-1 +1 abc 1a a1 1.0 1e3 0x1 1_0 1%2C2 %2B1 %201 1%20 %D9%A3
               %EF%BC%91 {id} 1;2 %31x), '9' x 30 . 'x';

    fails(path_of($endpoint, $_), 404, $endpoint->{missing})
        for qw(0 2147483647 2147483648 4294967297 9223372036854775807
               9223372036854775808 18446744073709551617), '9' x 3000,
               '0' x 3000;

    isnt(get(path_of($endpoint, '0' x 3000 . '1'))->{status}, 404,
         'zeros in front do not matter');
}



=== TEST 3: HEAD has the headers of GET and no body
--- check
sub same_head {
    my ($path, %o) = @_;

    my $get = request('GET', $path, %o);
    my $head = request('HEAD', $path, %o);

    delete @{$_->{headers}}{qw(date server-timing x-request-id)}
        for $get, $head;

    is($head->{body}, '', "no body: HEAD $path");
    is($head->{status}, $get->{status}, "the same status: HEAD $path");
    is_deeply($head->{headers}, $get->{headers},
              "the same headers: HEAD $path");
    is($head->{headers}{'content-length'}, length $get->{body},
       "and the right length: HEAD $path");
    return $get;
}

for my $endpoint (endpoints()) {
    my $path = path_of($endpoint);

    if ($endpoint->{document}) {
        my $head = request('HEAD', $path);
        is("$head->{status} $head->{body}", '200 ', "HEAD $path");
        next;
    }

    # the points of this one move with the time

    same_head($path, token => 'demo_token') if $path !~ /advanced/;
    same_head($path);
}

is(same_head('/api/sns/posts')->{status}, 401, 'also without a token');
is(same_head('/api/sns/posts', token => 'plain_token')->{status}, 403,
   'without the product');
is(same_head('/api/review/campaigns/999999')->{status}, 404,
   'without the row');
is(same_head('/api/nonsense')->{status}, 404, 'without an endpoint');
is(same_head('/api/analytics/advanced?period=x', token => 'demo_token')
   ->{status}, 400, 'and with a mistake');



=== TEST 4: OPTIONS tells the methods to any client
--- check
for my $endpoint (endpoints()) {
    for my $token (undef, 'demo_token', 'nonsense') {
        my $res = request('OPTIONS', path_of($endpoint), token => $token);

        is("$res->{status} $res->{headers}{allow} $res->{body}",
           '200 GET, HEAD, OPTIONS ',
           "OPTIONS $endpoint->{path}, token " . ($token // 'none'));
    }
}

is(request('OPTIONS', '/api/nonsense')->{status}, 404, 'not where none is');



=== TEST 5: another method is a JSON 405 that tells the right ones
--- check
for my $endpoint (endpoints()) {
    for my $method (qw(POST PUT DELETE PATCH PROPFIND FOO)) {
        my $res = request($method, path_of($endpoint), body => 'x' x 999);

        SoftFactory::judge($res, 405, { error => '"Method not allowed"' },
                           "$method $endpoint->{path}");
        is($res->{headers}{allow}, 'GET, HEAD, OPTIONS',
           "$method $endpoint->{path}: Allow");
    }
}

# the body is not taken for a request

my $res = request('POST', '/api/review/campaigns',
                  body => "GET / HTTP/1.1\r\nHost: x\r\n\r\n" x 10);
is($res->{status}, 405, 'a request for a body');
is(get('/api/dashboard/charts')->{status}, 200, 'and one after it');



=== TEST 6: a response says which caches may keep it
--- check
for my $endpoint (endpoints()) {
    my $public = $endpoint->{access} ne 'USER';
    my $res = get(path_of($endpoint));

    is($res->{headers}{'cache-control'},
       $public ? 'public, no-cache' : 'private, no-cache',
       "$endpoint->{path} is " . ($public ? 'public' : 'private'));
    is($res->{headers}{'content-length'}, length $res->{body},
       "$endpoint->{path}: its length");
    is($res->{headers}{'access-control-allow-origin'}, undef,
       "$endpoint->{path}: no CORS");
}

is(get('/api/sns/posts', token => undef)->{headers}{'cache-control'},
   'private, no-cache', 'so does an error');



=== TEST 7: what is not ours goes to the application, body and all
--- config eval
::with_app('@app')
--- check
to_app('GET', $_)
    for '/api/nonsense', '/api/review/campaigns/', '/api/x?a=b&c=%20+d',
        '/api/review/campaigns/abc', '/api/auth/me',
        '/api/review/campaigns/1/apply';

to_app($_, '/api/nonsense') for qw(DELETE PATCH PUT POST OPTIONS FOO);
to_app('POST', '/api/auth/login', body => '{"email":"a","password":"b"}');
to_app('POST', '/api/review/campaigns', body => '{}');
to_app('POST', '/api/review/listings?x=y', body => '{}');
to_app('POST', '/api/sns/accounts', body => '{}');
to_app('POST', '/api/sns/posts', body => '{}');

my $bytes = join '', map { chr $_ % 256 } 0 .. 300000;
to_app('POST', '/api/sns/posts', body => $bytes);
to_app('PUT', '/api/review/applications/1', body => substr $bytes, 0, 70000);
to_app('POST', '/api/upload', body => '');
to_app('POST', '/api/sns/posts', body => $bytes,
       headers => ['Expect: 100-continue']);

my $res = wire("POST /api/review/campaigns HTTP/1.1\r\nHost: x\r\n"
               . "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
               . "6\r\n world\r\n0\r\n\r\n");
like($res->{body}, qr/^POST .*\nnone\nhello world$/, 'chunks as well');

$res = request('HEAD', '/api/nonsense');
is("$res->{status} $res->{headers}{'content-type'} $res->{body}",
   '418 text/app ', 'HEAD too');

# ours stays ours

answers('/api/review/campaigns', 200);
fails('/api/review/campaigns/999999', 404, 'Campaign not found');
fails('/api/review/campaigns?page=999', 404, 'Not found');
fails('/api/sns/posts', 401, 'Missing authorization header', token => undef);

my %posts = map { $_ => 1 } qw(review_campaigns review_listings sns_accounts
                               sns_posts);

for my $endpoint (endpoints()) {
    my $path = path_of($endpoint);
    my $allow = 'GET, HEAD, OPTIONS'
                . ($posts{$endpoint->{name}} ? ', POST' : '');

    $res = request('PUT', $path, body => '{}');
    is("$res->{status} $res->{headers}{allow}", "405 $allow", "PUT $path");

    $res = request('OPTIONS', $path);
    is("$res->{status} $res->{headers}{allow}", "200 $allow",
       "OPTIONS $path");

    next if $posts{$endpoint->{name}};
    $res = request('POST', $path, body => '{}');
    is("$res->{status} $res->{headers}{allow}", "405 $allow", "POST $path");
}



=== TEST 8: the application may stand behind a URI
--- config eval
::with_app('/app')
--- check
to_app('GET', '/api/nonsense', seen => '/app');
to_app('GET', '/api/x?a=b&c=%20+d', seen => '/app?a=b&c=%20+d');
to_app('DELETE', '/api/x', seen => '/app');
to_app('POST', '/api/sns/posts?a=b', seen => '/app?a=b', body => 'x' x 99999);
answers('/api/review/campaigns', 200);
is(request('PUT', '/api/sns/posts')->{status}, 405, 'PUT is not allowed');
is(get('/app')->{status}, 404, 'not to be asked for by its own name');



=== TEST 9: endpoints that are switched off belong to the application
--- config eval
::with_app('@app', 'softfactory_endpoints -review_campaigns -sns_posts '
                   . '-review_listing -health;')
--- check
to_app('GET', '/api/review/campaigns');
to_app('OPTIONS', '/api/review/campaigns');
to_app('PUT', '/api/review/campaigns', body => 'x');
to_app('POST', '/api/review/campaigns', body => 'x');
to_app('GET', '/api/sns/posts?limit=500');
to_app('GET', '/api/review/listings/1');
to_app('GET', '/health');

for my $endpoint (endpoints()) {
    next if $endpoint->{name}
            =~ /^(?:review_campaigns|sns_posts|review_listing|health)$/;

    isnt(get(path_of($endpoint))->{status}, 418, "$endpoint->{name} is ours");
}



=== TEST 10: a list of endpoints is all there are, a location's wins
--- config eval
SoftFactory::api('softfactory_endpoints review_campaigns dashboard_kpis;')
. <<'CONF'
location /api/sns/ {
    softfactory_pass primary;
    softfactory_endpoints all -sns_accounts -sns_posts sns_posts;
}

location /api/analytics/ {
    softfactory_pass primary;
    softfactory_endpoints -analytics_trends analytics_trends -analytics_funnel;
}

location /api/performance/ {
    softfactory_pass primary;
    softfactory_endpoints performance_roi -performance_roi;
}
CONF
--- check
my %on = map { $_ => 1 } qw(review_campaigns dashboard_kpis sns_posts
    sns_analytics sns_templates analytics_overview analytics_advanced
    analytics_cohort analytics_service_metrics analytics_trends);

for my $endpoint (endpoints()) {
    my $path = path_of($endpoint);

    if ($on{$endpoint->{name}}) {
        is(get($path)->{status}, 200, "$endpoint->{name} is on");
        next;
    }

    fails($path, 404, 'Not found', title => 'off');
    fails($path, 404, 'Not found', title => 'off', token => undef);
    is(request($_, $path)->{status}, 404, "no $_ $path either")
        for qw(OPTIONS POST HEAD);
}

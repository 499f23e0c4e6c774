# Status, headers and bodies on the wire: HTTP/1.1, HTTP/2 and TLS, other
# modules of nginx round the answer, CORS, and bodies of many megabytes.
#
# The scratch database has users 1 and 2, 2 without a product; campaign n of
# user 1 has the title "of n"; its description is 1 MB for n = 11 and 20 MB
# for n = 12.

use strict;
use warnings;
use lib 't/lib';
use IO::Uncompress::Gunzip ();
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
master_on();
worker_connections(512);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_response');
our $dir = scratch_dir();

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
SELECT n, n || '@x.test', '!', 'Name', 'user', true
  FROM generate_series(1, 2) n;
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       description, deadline, status, created_at)
SELECT n, 1, 'of ' || n, 'p', 'c', CASE n WHEN 11 THEN repeat('1', 1000000)
                                   WHEN 12 THEN repeat('2', 20000000) END,
       'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 12) n;
INSERT INTO review_listings (source_platform, external_id, title, url,
                             image_url, status, deadline, scraped_at)
SELECT 'p', n, repeat(chr(65 + n % 26), 400), repeat('u', 400),
       repeat('i', 400), 'active', 'tomorrow', 'yesterday'
  FROM generate_series(1, 12000) n
SQL

our $CAMPAIGN = '/api/review/campaigns';


# title($response): of the campaign that it is, with its status

sub title {
    my ($res) = @_;

    return $res->{status} . ' '
           . ($res->{body} =~ /"title":"([^"]*)"\}\n\z/ ? $1 : 'none');
}


# tls(): the certificate of localhost, which is its own authority

sub tls {
    my $file = "$dir/localhost";

    self_signed($file) if !-f "$file.crt";

    return "ssl_certificate $file.crt; ssl_certificate_key $file.key;";
}


our $HTTP = conf(dbname => $DB, pool => 'connections=1 heavy=1 wait=20s '
                                        . 'timeout=20s heavy_timeout=20s')
            . conf(name => 'nowhere', server => 'unix:/nowhere/.s.PGSQL.1')
            . "softfactory_max_response 64m;\n";

add_block_preprocessor(sub {
    my ($block) = @_;

    my $http = $block->more_http // '';

    $block->set_value(http_config => $HTTP . $http);
});

run_tests();

__DATA__

=== TEST 1: every response has the headers of its kind
--- config eval
SoftFactory::api(<<'CONF');
location /nowhere/ {
    rewrite ^/nowhere(/.*) $1 break;
    softfactory_pass nowhere;
}
CONF
--- check
for (['public', "$::CAMPAIGN/1", undef, 200, 'public, no-cache'],
     ['public, with a token', "$::CAMPAIGN/1", 'demo_token', 200,
      'public, no-cache'],
     ['of a user', '/api/review/bookmarks', 'demo_token', 200,
      'private, no-cache'],
     ['constant', '/api/sns/templates', 'demo_token', 200,
      'private, no-cache'],
     ['health', '/health', undef, 200, 'public, no-cache'],
     ['400', '/api/review/listings/search?q=x', 'demo_token', 400,
      'private, no-cache'],
     ['401', '/api/review/bookmarks', undef, 401, 'private, no-cache'],
     ['403', '/api/sns/posts', 'plain_token', 403, 'private, no-cache'],
     ['404', "$::CAMPAIGN/99", undef, 404, 'public, no-cache'],
     ['404 of no endpoint', '/api/nothing', undef, 404, 'public, no-cache'],
     ['503', '/nowhere/api/review/bookmarks', 'demo_token', 503,
      'private, no-cache'])
{
    my ($what, $path, $token, $status, $cache) = @$_;
    my $res = get($path, token => $token);
    my $h = $res->{headers};

    is($res->{status}, $status, "$what: the status");
    is($h->{'content-type'}, 'application/json', "$what: the type");
    is($h->{'cache-control'}, $cache, "$what: Cache-Control");
    is($h->{'content-length'}, length $res->{body}, "$what: the length");
    is($h->{'transfer-encoding'}, undef, "$what: no chunks");
    is($h->{connection}, 'keep-alive', "$what: the connection stays");
    like($h->{'retry-after'} // '', $status == 503 ? qr/^[1-9]\d*$/ : qr/^$/,
         "$what: Retry-After");
    is(join(',', sort keys %$h), join(',', sort qw(cache-control connection
       content-length content-type date server),
       $status == 401 ? 'www-authenticate' : (),
       $status == 503 ? 'retry-after' : ()), "$what: no other header");

    # HEAD is the same without a body, and its connection stays in step

    my $head = request('HEAD', $path, token => $token);

    is($head->{body}, '', "$what: HEAD has no body");
    is($head->{status}, $status, "$what: HEAD has the status");
    delete @$_{qw(date content-length)} for $h, $head->{headers};
    is_deeply($head->{headers}, $h, "$what: HEAD has the headers");
    is(title(get("$::CAMPAIGN/2")), '200 of 2', "$what: the next answer");
}

my $length = get("$::CAMPAIGN/1")->{headers}{'content-length'};

is(request('HEAD', "$::CAMPAIGN/1")->{headers}{'content-length'}, $length,
   'HEAD has the length of the body');

my $res = request('POST', '/api/sns/templates', token => 'demo_token',
                  body => '{"x":1}');

is("$res->{status} $res->{body}",
   "405 {\"error\":\"Method not allowed\"}\n", 'a method it does not have');
is($res->{headers}{allow}, 'GET, HEAD, OPTIONS', 'and those it has');
is($res->{headers}{'content-type'}, 'application/json', 'in JSON');

$res = get("$::CAMPAIGN/3", headers => ['Range: bytes=0-3']);
is(title($res), '200 of 3', 'ranges are not served');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 2: requests on one connection are answered in their order
--- config eval: SoftFactory::api()
--- check
my $c = start(undef, bytes => '');

# the slow one first, and held until all of them are sent

my $lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my @order = map { $_ % 5 + 1 } 1 .. 40;
my $text = sub {
    SoftFactory::Live::request_text("$::CAMPAIGN/$_[0]", @_[1 .. $#_]);
};

$c->send(join '', map { $text->($_) } @order);

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") }
           'the first waits';
$lock->release;

is(join(' ', map { title($c->finish) } @order),
   join(' ', map { "200 of $_" } @order), 'forty of them');

# errors, bodies that nobody reads and HEAD among them

$c->send(join '', $text->(1), $text->('x'), $text->(99),
         $text->(2, method => 'HEAD'),
         "POST /api/sns/templates HTTP/1.1\r\nHost: x\r\n"
         . "Content-Length: 5\r\n\r\nGET /",
         "POST $::CAMPAIGN/1 HTTP/1.1\r\nHost: x\r\n"
         . "Transfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n",
         $text->(3), "GET $::CAMPAIGN/4 HTTP/1.0\r\n\r\n");

is(title($c->finish), '200 of 1', 'the first');
is($c->finish->{status}, 404, 'no endpoint');
is($c->finish->{status}, 404, 'no row');
$c->{no_body} = 1;
is($c->finish->{status}, 200, 'HEAD');
$c->{no_body} = 0;
is($c->finish->{status}, 405, 'POST with a body');
is($c->finish->{status}, 405, 'POST with chunks');
is(title($c->finish), '200 of 3', 'the one before the last');

my $res = $c->finish;

is(title($res), '200 of 4', 'HTTP/1.0');
is($res->{headers}{connection}, 'close', 'which is the last');
is($c->finish->{status}, 0, 'and the end');


=== TEST 3: fifty streams of HTTP/2 are answered at once, also by TLS
--- log_level: debug
--- more_http eval
my ($h2, $tls) = (main::free_port(), main::free_port());
$::H2 = $h2;
$::TLS = $tls;
<<"CONF" . main::tls() . SoftFactory::api() . "}\n";
log_format conn '\$connection \$status \$server_protocol \$scheme';
server {
    server_name localhost;
    listen 127.0.0.1:$h2 http2;
    listen 127.0.0.1:$tls ssl http2;
    access_log logs/conn.log conn;
CONF
--- config eval: SoftFactory::api()
--- check
my $lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my $c = http2($::H2, map { "$::CAMPAIGN/" . ($_ % 10 + 1) } 1 .. 50);

wait_until { log_count(qr/softfactory step:5/) >= 50 }
           'fifty wait for the lock';
$lock->release;

is_deeply([map { title($_) } $c->finish],
          [map { '200 of ' . ($_ % 10 + 1) } 1 .. 50],
          'each of fifty streams has its answer');

my $log = wait_until {
    my @lines = split /\n/, access_log('conn.log');
    @lines == 50 && \@lines;
} 'fifty are logged';
my %seen = map { $_ => 1 } @$log;

is(scalar keys %seen, 1, 'all on one connection');
like($log->[0], qr/^\d+ 200 HTTP\/2\.0 http$/, 'which was HTTP/2');

# one fails among the others, and large ones share the connection

my @res = http2($::H2, "$::CAMPAIGN/11", "$::CAMPAIGN/99", "$::CAMPAIGN/11",
                "$::CAMPAIGN/1", '/api/nothing')->finish;

is(join(' ', map { title($_) } @res), '200 of 11 404 none 200 of 11 200 of 1'
   . ' 404 none', 'small and large, good and bad');
ok(length $res[0]{body} > 1000000 && $res[0]{body} eq $res[2]{body},
   'large ones are whole');

# the same by TLS: curl knows both versions

for ('--http1.1', '--http2') {
    my ($status, $out) = command('curl', '-sS', '-m', '30', $_, '--cacert',
        "$::dir/localhost.crt", '--resolve', "localhost:$::TLS:127.0.0.1",
        '-i', map { "https://localhost:$::TLS$::CAMPAIGN/$_" }
              1, 99, 11, 2)->();

    is($status, 0, "$_ by TLS: curl is content");
    is(join(' ', $out =~ m{^HTTP/\S+ (\d+)}mg), '200 404 200 200',
       "$_ by TLS: each is answered");
    is(join(' ', $out =~ m{"title":"([^"]*)"\}$}mg), 'of 1 of 11 of 2',
       "$_ by TLS: in order");
    is(join(' ', $out =~ m{^content-type: (.*)\r$}mgi),
       join(' ', ('application/json') x 4), "$_ by TLS: the type");
    is($out =~ tr/1/1/ >= 1000000, 1, "$_ by TLS: all of it");
}


=== TEST 4: other modules of nginx take a response as any other
--- config eval
SoftFactory::api(<<'CONF');
gzip on;
gzip_types application/json;
gzip_min_length 1;
gzip_vary on;
error_page 404 401 405 503 /error;
location = /error { return 200 "an error page"; }
location /nowhere/ {
    rewrite ^/nowhere(/.*) $1 break;
    softfactory_pass nowhere;
}
location /added/ {
    rewrite ^/added(/.*) $1 break;
    softfactory_pass primary;
    add_header X-Frame-Options DENY always;
}
location = /ssi {
    ssi on;
    default_type text/html;
    return 200 '<!--# include virtual="/api/review/campaigns/1" wait="yes"
        -->@<!--# include virtual="/api/review/campaigns/99"
        -->@<!--# include virtual="/api/sns/templates"
        -->@<!--# include virtual="/nowhere/api/review/campaigns/1"
        -->@<!--# include virtual="/api/review/campaigns/2" -->';
}
location = /ssi-large {
    ssi on;
    default_type text/html;
    return 200 '<!--# include virtual="/api/review/campaigns/11"
        --><!--# include virtual="/api/review/campaigns/11" -->';
}
location /guarded/ {
    auth_request /api/sns/accounts;
    try_files /no-such-file @behind;
}
location = /guarded/large {
    auth_request /api/review/campaigns/11;
    try_files /no-such-file @behind;
}
location @behind { return 200 "behind it"; }
location /old/ { rewrite ^/old/(.*) /api/review/campaigns/$1 last; }
location /try/ { try_files /no-such-file /api/review/campaigns/4?x=1; }
location /index/ { error_page 403 = /api/review/campaigns/5; deny all; }
location /code/ { error_page 404 /api/review/campaigns/6; return 404; }
location /named/ { error_page 418 = @named; return 418; }
location @named {
    rewrite ^ /api/review/campaigns/7 break;
    softfactory_pass primary;
}
location = /mirror {
    mirror /api/review/campaigns/11;
    proxy_pass http://127.0.0.1:$TEST_NGINX_PORT/health;
}
CONF
--- check
my $plain = fetch("$::CAMPAIGN/1");

for my $path ("$::CAMPAIGN/1", "$::CAMPAIGN/11", "$::CAMPAIGN/99") {
    my $body = fetch($path)->{body};
    my $res = fetch($path, headers => ['Accept-Encoding: gzip']);
    my $text;

    IO::Uncompress::Gunzip::gunzip(\$res->{body}, \$text);
    is($res->{headers}{'content-encoding'}, 'gzip', "gzip: $path");
    ok($text eq $body, "gzip: $path is the same inside");
    like($res->{headers}{vary}, qr/Accept-Encoding/, "gzip: $path varies");
}

my ($a, $b, $c, $d, $e) =
    split /@/, fetch('/ssi', token => undef)->{body};

is($a, $plain->{body}, 'SSI: an answer inside of a page');
is($b, "{\"error\":\"Campaign not found\"}\n", 'SSI: a row that is not there');
is($c, "{\"error\":\"Missing authorization header\"}\n",
   'SSI: no token, no answer');
is($d, "{\"error\":\"Database unavailable\"}\n", 'SSI: no database');
is($e, fetch("$::CAMPAIGN/2")->{body}, 'SSI: and on it goes');

my $large = fetch("$::CAMPAIGN/11")->{body};

ok(fetch('/ssi-large')->{body} eq $large . $large, 'SSI: two large ones');

is(fetch('/guarded/x')->{body}, 'behind it', 'auth_request lets in');
is(fetch('/guarded/x', token => 'x')->{status}, 401, 'auth_request keeps out');
is(fetch('/guarded/x', token => 'x')->{headers}{'www-authenticate'},
   'Bearer realm="softfactory", error="invalid_token"',
   'auth_request passes on why');
is(fetch('/guarded/x', token => 'plain_token')->{status}, 403,
   'auth_request knows the gate');
is(fetch('/guarded/large')->{body}, 'behind it',
   'auth_request needs no body');
is(fetch("/mirror")->{status}, 200, 'a request in the background');
wait_until { access_log() =~ /mirror/ } 'it has ended too';

is(title(fetch('/old/3')), '200 of 3', 'rewrite');
is(title(fetch('/try/3')), '200 of 4', 'try_files');
is(title(fetch('/index/')), '200 of 5', 'an error page with its own status');
is(title(fetch('/code/')), '404 of 6', 'an error page with the old status');
is(title(fetch('/named/')), '200 of 7', 'a named location');

for (["$::CAMPAIGN/99", 404, 'Campaign not found'],
     ['/api/nothing', 404, 'Not found'],
     ['/api/sns/posts', 401, 'Missing authorization header'],
     ["/nowhere$::CAMPAIGN/1", 503, 'Database unavailable'])
{
    my $res = fetch($_->[0], token => undef);

    is("$res->{status} $res->{body}", "$_->[1] {\"error\":\"$_->[2]\"}\n",
       "error_page leaves alone: $_->[0]");
}

is(fetch("/added$::CAMPAIGN/$_")->{headers}{'x-frame-options'}, 'DENY',
   "add_header: $_") for 1, 99;
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 5: other origins are let in by name
--- config eval
SoftFactory::api(<<'CONF');
softfactory_cors_origin https://a.example http://127.0.0.1:5000;
location /off/ {
    rewrite ^/off(/.*) $1 break;
    softfactory_pass primary;
    softfactory_cors_origin https://other.example;
}
location /app {
    return 200 "the application";
}
CONF
--- check
sub cors {
    my ($res) = @_;

    return { map { s/^access-control-//r => $res->{headers}{$_} }
             grep { /^access-control|^vary|^allow/ }
             keys %{$res->{headers}} };
}

my $credentials = { 'allow-credentials' => 'true', 'expose-headers' =>
                    'Retry-After, WWW-Authenticate, X-RateLimit-Limit, '
                    . 'X-RateLimit-Remaining',
                    vary => 'Origin' };

for my $origin ('https://a.example', 'http://127.0.0.1:5000') {
    for my $path ("$::CAMPAIGN/1", "$::CAMPAIGN/99", '/api/nothing',
                  '/api/review/bookmarks')
    {
        for my $token ('demo_token', undef) {
            is_deeply(cors(get($path, token => $token,
                               headers => ["oRIGIN: $origin"])),
                      { 'allow-origin' => $origin, %$credentials },
                      "$origin may see $path");
        }
    }
}

for my $line ('Origin: https://b.example', 'Origin: null', 'Origin:',
              'Origin: https://a.example.b.example', 'Origin: https://a.exampl',
              'Origin: HTTPS://A.EXAMPLE', 'Origin: https://a.example/',
              'Origin: https://a.example:443', 'X-Origin: https://a.example',
              'X: y')
{
    my $res = get("$::CAMPAIGN/1", headers => [$line]);

    is(title($res), '200 of 1', "$line is served");
    is_deeply(cors($res), { vary => 'Origin' }, "$line is not let in");
}

is_deeply(cors(get("/off$::CAMPAIGN/1",
                   headers => ['Origin: https://a.example'])),
          { vary => 'Origin' }, 'a location has its own list');

# before the request proper: no token, and no database is asked

for (['/api/sns/posts', 'GET, HEAD, OPTIONS'],
     [$::CAMPAIGN, 'GET, HEAD, OPTIONS'],
     ["$::CAMPAIGN/1", 'GET, HEAD, OPTIONS'])
{
    my ($path, $allow) = @$_;
    my $res = request('OPTIONS', $path, headers => [
        'Origin: https://a.example', 'Access-Control-Request-Method: GET',
        'Access-Control-Request-Headers: authorization, content-type, x-evil']);
    my $cors = cors($res);

    is("$res->{status} $res->{body}", '200 ', "preflight: $path");
    is($res->{headers}{'content-length'}, 0, "preflight: $path, no body");
    is($cors->{allow}, $allow, "preflight: $path, Allow");
    is($cors->{'allow-origin'}, 'https://a.example',
       "preflight: $path, origin");
    is($cors->{'allow-methods'}, 'DELETE, GET, OPTIONS, POST, PUT',
       "preflight: $path, methods");
    is($cors->{'max-age'}, 600, "preflight: $path, for ten minutes");
    is($cors->{'allow-credentials'}, 'true', "preflight: $path, credentials");
    is($cors->{vary}, 'Origin', "preflight: $path, Vary");

    is($cors->{'allow-headers'}, 'Authorization, Content-Type',
       "preflight: $path, headers that it asks for");
}

my $res = request('OPTIONS', $::CAMPAIGN, headers =>
                  ['Origin: https://b.example',
                   'Access-Control-Request-Method: GET']);

is($res->{status}, 200, 'preflight of another origin');
is_deeply(cors($res), { allow => 'GET, HEAD, OPTIONS', vary => 'Origin' },
          'is told nothing');

$res = request('OPTIONS', $::CAMPAIGN);
is_deeply(cors($res), { allow => 'GET, HEAD, OPTIONS', vary => 'Origin' },
          'OPTIONS without an origin');
is(request('OPTIONS', '/api/nothing')->{status}, 404,
   'OPTIONS of no endpoint');


=== TEST 6: without CORS no response speaks of it
--- config eval: SoftFactory::api()
--- check
my $res = get("$::CAMPAIGN/1", headers => ['Origin: https://a.example']);

unlike($res->{head}, qr/access-control|vary/i, 'nothing');
unlike(request('OPTIONS', $::CAMPAIGN,
               headers => ['Origin: https://a.example'])->{head},
       qr/access-control|vary/i, 'also before the request');


=== TEST 7: large responses arrive whole and their memory goes back
--- config eval
SoftFactory::api('softfactory_max_page_size 20000;')
--- check
my ($pid) = worker_pids();
my $reader = "datname = '$::DB' AND application_name LIKE '%/read'";
my $reader_pid = sub {
    psql("SELECT string_agg(pid::text, ',') FROM pg_stat_activity
           WHERE $reader", user => 'postgres');
};

sub whole {
    my ($n, $res, $what) = @_;
    my ($digit, $length) = $n == 11 ? (1, 1000000) : (2, 20000000);

    my $from = index $res->{body}, '"description":"';
    my $text = substr $res->{body}, $from + 15, $length;

    ok($res->{status} == 200 && $text eq $digit x $length
       && substr($res->{body}, $from + 15 + $length, 2) eq '",'
       && $res->{body} =~ /"title":"of $n"\}\n\z/, $what)
        or diag("$res->{status}, ", length $res->{body}, ' bytes');
}

get("$::CAMPAIGN/$_") for 1 .. 10;

my $before = $reader_pid->();

whole(11, get("$::CAMPAIGN/11"), '1 MB');
is($reader_pid->(), $before, 'the connection stays after 1 MB');

my $rss = rss($pid);

whole(12, get("$::CAMPAIGN/12"), '20 MB');
wait_until { $reader_pid->() ne $before } 'the connection has retired';
is(title(get("$::CAMPAIGN/1")), '200 of 1', 'the next takes a new one');
isnt($reader_pid->(), $before, 'which is another');

whole(12, get("$::CAMPAIGN/12"), "20 MB, time $_") for 2 .. 8;
get("$::CAMPAIGN/1");

# ASan keeps what is freed for a while

my $limit = sanitized() ? 512 * 1024 : 16 * 1024;

cmp_ok(rss($pid) - $rss, '<', $limit, 'kB that stay after eight of 20 MB');

my $doc = document(get('/api/review/listings?per_page=20000')->{body});

is(scalar @{$doc->{listings}}, 12000, 'a page of 12,000 rows');
is(join('', map { $_->{title} =~ /^"(.)\1{399}"$/ ? () : 'x' }
        @{$doc->{listings}}), '', 'each whole');
cmp_ok(rss($pid) - $rss, '<', $limit, 'kB that stay after them');

# many at once

my @all = get_all(4, "$::CAMPAIGN/12");

whole(12, $_, 'one of four times 20 MB') for @all;
@all = ();
get("$::CAMPAIGN/1");
cmp_ok(rss($pid) - $rss, '<', $limit, 'kB that stay after four at once');
is(scalar(my @pids = worker_pids()), 1, 'one worker');
is($pids[0], $pid, 'which is the same');


=== TEST 8: a client that reads slowly, or not at all, is in nobody's way
--- config eval: SoftFactory::api('send_timeout 60s;')
--- check
my ($pid) = worker_pids();
my @slow = map { start("$::CAMPAIGN/12", rcvbuf => 8192) } 1 .. 3;

# a body on its way is a row that has been read

wait_until { !$_->pending } 'the first bytes are there' for @slow;

my $res = get("$::CAMPAIGN/1");

is(title($res), '200 of 1', 'another is answered meanwhile');
is(backends("datname = '$::DB' AND state = 'active' AND wait_event_type
             IS NOT NULL AND pid <> pg_backend_pid()"), 0,
   'no connection waits for the slow');

$slow[0]->close;
(shift @slow)->{socket} = undef;

is(title(get("$::CAMPAIGN/2")), '200 of 2', 'when one has gone away');

for my $c (@slow) {
    my $body = '';

    for (1 .. 50) {
        $c->more(time + 20, 1000);
        select undef, undef, undef, 0.002;
    }

    $res = $c->finish(60);
    like($res->{body}, qr/"description":"2{32000}/, 'it comes, slowly');
    is(length $res->{body}, $res->{headers}{'content-length'},
       'to the last byte');
    is(($res->{body} =~ tr/2/2/) >= 20000000, 1, 'nothing is missing');
}

is((worker_pids())[0], $pid, 'the worker is the same');

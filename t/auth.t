# Who is asking, and may they: the checks of the original, in their
# order and with their exact bodies.
#
# Users of the scratch database: 1 has both products, 2 an active review and
# a cancelled sns-auto, 3 neither, but what has their slugs in its own; 4 is
# inactive, 5 has NULL as is_active, 6 is an admin without a product.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
master_on();
plan('no_plan');

our $DB = scratch('sf_auth');

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'a@x.test', '!', 'Both', 'user', true),
       (2, 'b@x.test', '!', 'Review', 'user', true),
       (3, 'c@x.test', '!', 'Nothing', 'user', true),
       (4, 'd@x.test', '!', 'Inactive', 'user', false),
       (5, 'e@x.test', '!', 'Null', 'user', NULL),
       (6, 'f@x.test', '!', 'Admin', 'admin', true);
INSERT INTO subscriptions (user_id, product_id, plan_type, status)
SELECT u, p.id, 'monthly', s FROM products p,
       (VALUES (1, 'review', 'active'), (1, 'sns-auto', 'canceled'),
               (1, 'sns-auto', 'active'), (2, 'review', 'active'),
               (2, 'sns-auto', 'canceled'), (4, 'review', 'active')
       ) AS v (u, slug, s)
 WHERE p.slug = v.slug;
INSERT INTO products (id, name, slug, monthly_price)
VALUES (90, 'All in one', 'bundle,review,sns-auto', 1),
       (91, 'Quoted', '{review,"sns-auto"}', 1);
INSERT INTO subscriptions (user_id, product_id, plan_type, status)
VALUES (3, 90, 'monthly', 'active'), (3, 91, 'monthly', 'active');
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       deadline, status, created_at)
SELECT u, u, 'of ' || u, 'p', 'c', 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 6) u
SQL

our $MISSING = 'Missing authorization header';
our $INVALID = 'Invalid or expired token';
our $INACTIVE = 'User not found or inactive';

# asks for a token only; and then for a user, whose campaign tells who it is

our $ANY = '/api/sns/templates';
our $WHO = '/api/review/my-campaigns';


# body($error): its only spelling

sub body {
    my ($error) = @_;

    return "{\"error\":\"$error\"}\n";
}


# told($title, $path, $status, $error, %options): one test of both

sub told {
    my ($title, $path, $status, $error, %o) = @_;

    my $res = get($path, %o);

    is("$res->{status} $res->{body}", "$status " . body($error), $title);
}


# let_in($title, $user, $token): it is that user

sub let_in {
    my ($title, $user, $token, %o) = @_;

    my $res = get($WHO, token => $token, %o);
    my $doc = $res->{status} == 200 ? document($res->{body}) : [];

    is("$res->{status} " . join(',', map { $_->{title} } @$doc),
       "200 \"of $user\"", $title);
}


# made($json, $header): a token around any text, rightly signed

sub made {
    my ($payload, $header, $secret) = @_;

    $header //= '{"alg":"HS256","typ":"JWT"}';

    my $input = join '.', map { MIME::Base64::encode_base64url($_) }
                $header, $payload;

    return "$input." . MIME::Base64::encode_base64url(
        Digest::SHA::hmac_sha256($input, $secret // $SoftFactory::SECRET));
}


our $HTTP = conf(dbname => $DB) . conf(name => 'nowhere',
    server => 'unix:/nowhere/.s.PGSQL.1') . <<'CONF';
large_client_header_buffers 4 32k;
log_format user '$request_uri|$softfactory_user';
limit_req_zone $softfactory_user zone=users:1m rate=1r/m;
CONF

our $CONFIG = <<"CONF";
softfactory_jwt_secret "$SoftFactory::SECRET";
location /api/ { softfactory_pass primary; }
CONF

add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value(http_config => $HTTP);
});

run_tests();

__DATA__

=== TEST 1: a request without a bearer token is told so
--- config eval: $::CONFIG
--- check
for my $line ('Authorization:', 'Authorization: Basic dTpw',
              'Authorization: Bearer', 'Authorization: Bearer ',
              'Authorization: bearer ' . jwt(user_id => 1),
              'Authorization: BEARER ' . jwt(user_id => 1),
              'Authorization: Bearer' . jwt(user_id => 1),
              "Authorization: Bearer\t" . jwt(user_id => 1),
              'Authorization: Token ' . jwt(user_id => 1),
              'Authorization: ' . jwt(user_id => 1),
              'X-Authorization: Bearer ' . jwt(user_id => 1))
{
    told('without: ' . substr($line, 0, 24), $::ANY, 401, $::MISSING,
         token => undef, headers => [$line]);
}

told('without any header', $::ANY, 401, $::MISSING, token => undef);

my $res = get($::ANY, token => undef);

is($res->{headers}{'content-type'}, 'application/json', 'the type is JSON');
is($res->{headers}{'cache-control'}, 'private, no-cache', 'no cache keeps it');

let_in('the name of the header has no case', 1, undef,
       headers => ['aUTHORIZATION: Bearer ' . jwt(user_id => 1)]);
let_in('blanks round the value are none of it', 1, undef,
       headers => ['Authorization:   Bearer ' . jwt(user_id => 1) . '  ']);


=== TEST 2: a token that is not exactly right is invalid
--- config eval: $::CONFIG
--- check
my $good = jwt(user_id => 1);
my ($header, $payload, $mac) = split /\./, $good;
my $other = jwt(user_id => 2);
my $b64 = \&MIME::Base64::encode_base64url;

let_in('a right one', 1, $good);

my %bad = (
    'two blanks' => " $good",
    'a word after it' => "$good x",
    'a comma' => "$good,",
    'one letter' => 'x',
    'two segments' => "$header.$payload",
    'four segments' => "$good.$mac",
    'no segment' => '..',
    'dots only' => '...',
    'no signature' => "$header.$payload.",
    'no header' => ".$payload.$mac",
    'no payload' => "$header..$mac",
    'the algorithm none' => jwt(user_id => 1, -alg => 'none'),
    'none, with a signature' =>
        made('{"user_id":1,"type":"access"}', '{"alg":"none"}'),
    'none in capitals' =>
        made('{"user_id":1,"type":"access"}', '{"alg":"NONE"}'),
    'HS384' => jwt(user_id => 1, -alg => 'HS384'),
    'HS512' => jwt(user_id => 1, -alg => 'HS512'),
    'HS512, signed by HS256' =>
        made('{"user_id":1,"type":"access"}', '{"alg":"HS512"}'),
    'RS256' => jwt(user_id => 1, -alg => 'RS256'),
    'RS256, signed by HS256' =>
        made('{"user_id":1,"type":"access"}', '{"alg":"RS256"}'),
    'the algorithm in small letters' =>
        made('{"user_id":1,"type":"access"}', '{"alg":"hs256"}'),
    'the algorithm cut by NUL' =>
        made('{"user_id":1,"type":"access"}', '{"alg":"HS256\u0000"}'),
    'a list of algorithms' =>
        made('{"user_id":1,"type":"access"}', '{"alg":["HS256"]}'),
    'no algorithm' => made('{"user_id":1,"type":"access"}', '{}'),
    'a header that is a list' =>
        made('{"user_id":1,"type":"access"}', '["HS256"]'),
    'a header that is no JSON' =>
        made('{"user_id":1,"type":"access"}', '{"alg":"HS256"'),
    'another key' => jwt(user_id => 1, -secret => 'another'),
    'an empty key' => jwt(user_id => 1, -secret => ''),
    'the payload of another token' =>
        join('.', $header, (split /\./, $other)[1], $mac),
    'the header of another token' =>
        join('.', $b64->('{"alg":"HS256"}'), $payload, $mac),
    'the signature of another token' =>
        join('.', $header, $payload, (split /\./, $other)[2]),
    'a signature of hexadecimal digits' =>
        join('.', $header, $payload,
             Digest::SHA::hmac_sha256_hex("$header.$payload",
                                          $SoftFactory::SECRET)),
    'padding' => "$good=",
    'padding of the payload' => "$header.$payload==.$mac",
    'a letter that is not of base64' => "$header.$payload.*$mac",
    'a signature one letter shorter' => substr($good, 0, -1),
    'spare bits in the signature' => do {
        my $last = substr $mac, -1;
        my $set = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_';

        substr($good, 0, -1)
            . substr($set, index($set, $last) + 1, 1);
    },
    'a payload that is a list' => made('[1]'),
    'a payload that is text' => made('"access"'),
    'a payload that is no JSON' => made('{"user_id":1,"type":"access"'),
    'a payload with more behind it' =>
        made('{"user_id":1,"type":"access"} {}'),
    'a payload that is no UTF-8' =>
        made("{\"user_id\":1,\"type\":\"access\",\"x\":\"\xff\"}"),
);

for my $what (sort keys %bad) {
    told($what, $::WHO, 401, $::INVALID, token => $bad{$what});
}

my $url = made('{"user_id":1,"type":"access","x":"~~~???>>>"}');

like($url, qr/[-_].*\./, 'a payload with the two other letters');
let_in('base64url is right', 1, $url);
told('standard base64 is not', $::WHO, 401, $::INVALID,
     token => $url =~ tr{-_}{+/}r);

my $long = jwt(user_id => 1, x => 'x' x 8192);
cmp_ok(length $long, '>', 8192, 'a token of more than 8 KB');
let_in('it is good too', 1, $long);
told('but not when it is changed', $::WHO, 401, $::INVALID,
     token => substr($long, 0, 200) . 'y' . substr $long, 201);
let_in('what else stands in a header is no matter', 1,
       jwt(user_id => 1, -header => { kid => 'x', cty => ['x'],
                                      typ => 'x' }));

# but for what must be understood, and a kid that is none (RFC 7515)

told("crit $_", $::WHO, 401, $::INVALID,
     token => made('{"user_id":1,"type":"access"}', "{\"alg\":\"HS256\",$_}"))
    for '"crit":["exp"]', '"b64":false,"crit":["b64"]', '"crit":[]',
        '"crit":null', '"crit":"exp"';
told("kid $_", $::WHO, 401, $::INVALID,
     token => made('{"user_id":1,"type":"access"}',
                   "{\"alg\":\"HS256\",\"kid\":$_}"))
    for '1', 'null', '["x"]', '{}', 'true';
let_in('nor in the claims', 1,
       jwt(user_id => 1, iss => 'x', sub => 2, role => 'admin',
           email => 'c@x.test'));


=== TEST 3: times are read as the original reads them
--- config eval: "softfactory_jwt_leeway 0s;\n$::CONFIG"
--- check
my $now = time;
my $claims = '"user_id":1,"type":"access"';

for (['exp, an hour ago', "\"exp\":@{[$now - 3600]}"],
     ['exp, just now', "\"exp\":$now"],
     ['exp, just now, as a float', "\"exp\":$now.0"],
     ['exp, in this second', "\"exp\":$now.999"],
     ['exp, just now, as a string', "\"exp\":\"$now\""],
     ['exp 0', '"exp":0'],
     ['exp -1', '"exp":-1'],
     ['exp, a fraction as a string', "\"exp\":\"@{[$now + 60]}.5\""],
     ['exp, no number', '"exp":"soon"'],
     ['exp, an empty string', '"exp":""'],
     ['exp null', '"exp":null'],
     ['exp true', '"exp":true'],
     ['exp false', '"exp":false'],
     ['exp, a list', "\"exp\":[@{[$now + 60]}]"],
     ['exp, an object', '"exp":{}'],
     ['exp, beyond a double', '"exp":1e999'],
     ['nbf, in a minute', "\"nbf\":@{[$now + 60]}"],
     ['nbf, in a minute, as a float', "\"nbf\":@{[$now + 60]}.5"],
     ['nbf, in a minute, as a string', "\"nbf\":\"@{[$now + 60]}\""],
     ['nbf, no number', '"nbf":"soon"'],
     ['nbf null', '"nbf":null'],
     ['nbf, huge', '"nbf":100000000000000000000'],
     ['iat, in a minute', "\"iat\":@{[$now + 60]}"],
     ['iat, in a minute, as a string', "\"iat\":\"@{[$now + 60]}\""],
     ['iat, no number', '"iat":"then"'],
     ['iat null', '"iat":null'],
     ['iat, a list', '"iat":[]'],
     ['good exp, bad nbf', "\"exp\":@{[$now + 60]},\"nbf\":\"x\""])
{
    told($_->[0], $::WHO, 401, $::INVALID, token => made("{$claims,$_->[1]}"));
}

for (['no exp', '"x":1'],
     ['exp, in a minute', "\"exp\":@{[$now + 60]}"],
     ['exp, in a minute, as a float', "\"exp\":@{[$now + 60]}.5"],
     ['exp, in a minute, as a string', "\"exp\":\"@{[$now + 60]}\""],
     ['exp with blanks', "\"exp\":\" @{[$now + 60]} \""],
     ['exp, huge', '"exp":100000000000000000000'],
     ['nbf, just now', "\"nbf\":$now"],
     ['nbf, just now, as a string', "\"nbf\":\"$now\""],
     ['nbf 0', '"nbf":0'],
     ['nbf true', '"nbf":true'],
     ['iat, just now', "\"iat\":$now"],
     ['iat, in this second', "\"iat\":$now.999"],
     ['iat, a minute ago, as a string', "\"iat\":\"@{[$now - 60]}\""],
     ['iat true', '"iat":true'])
{
    let_in($_->[0], 1, made("{$claims,$_->[1]}"));
}

# the edge of both, and of a token that is known already

my $t = time + 2;
my $early = made("{$claims,\"nbf\":$t}");
my $late = made("{$claims,\"exp\":$t}");

told('a moment before nbf', $::WHO, 401, $::INVALID, token => $early);
let_in('a moment before exp', 1, $late);

select undef, undef, undef, 0.01 while time < $t;

let_in('at nbf', 1, $early);
told('at exp', $::WHO, 401, $::INVALID, token => $late);


=== TEST 4: aud and type make a token one of another kind
--- config eval: $::CONFIG
--- check
told('an audience', $::WHO, 401, $::INVALID,
     token => jwt(user_id => 1, aud => 'api'));
told('a list of audiences', $::WHO, 401, $::INVALID,
     token => jwt(user_id => 1, aud => ['api']));
told("type $_", $::WHO, 401, $::INVALID, token => jwt(user_id => 1, type => $_))
    for 'refresh', 'Access', 'access ', '', 1;
told('type null', $::WHO, 401, $::INVALID,
     token => jwt(user_id => 1, type => undef));
told('no type', $::WHO, 401, $::INVALID,
     token => jwt(user_id => 1, -without => ['type']));


=== TEST 5: the user of a token is a row of users that is active
--- config eval: $::CONFIG
--- check
my $type = '"type":"access"';

for (['a number', '1'], ['a string', '"1"'], ['a string with blanks', '" 1 "'],
     ['a whole float', '1.0'], ['an exponent', '1e0'])
{
    let_in("user_id as $_->[0]", 1, made("{$type,\"user_id\":$_->[1]}"));
}

told('without user_id', $::WHO, 401, $::INVALID, token => made("{$type}"));

for (['text', '"admin"'], ['an empty string', '""'],
     ['a fraction in a string', '"1.0"'], ['a list', '[1]'],
     ['an object', '{"id":1}'], ['several', '"1,2"'],
     ['SQL', '"1 OR true"'], ['digits of another script', '"\\uff11"'],
     ['a number with a mark', '"0_1"'])
{
    told("user_id as $_->[0]", $::WHO, 401, $::INVALID,
         token => made("{$type,\"user_id\":$_->[1]}"));
}

for (['null', 'null'], ['0', '0'], ['a negative number', '-1'],
     ['nobody', '7'], ['the largest integer', '2147483647'],
     ['one more', '2147483648'], ['the largest int8', '9223372036854775807'],
     ['a string of it', '"9223372036854775807"'],
     ['one more still', '9223372036854775808'],
     ['a huge number', '1000000000000000000000000000000'],
     ['a huge number in a string', '"99999999999999999999999"'],
     ['a fraction', '1.5'])
{
    told("user_id is $_->[0]", $::WHO, 401, $::INACTIVE,
         token => made("{$type,\"user_id\":$_->[1]}"));
}

told('a user who is inactive', $::WHO, 401, $::INACTIVE,
     token => jwt(user_id => 4));
told('a user of whom nobody knows', $::WHO, 401, $::INACTIVE,
     token => jwt(user_id => 5));
told('also where nothing is asked of the database', $::ANY, 401, $::INACTIVE,
     token => jwt(user_id => 4));

psql('UPDATE users SET is_active = false WHERE id = 2', dbname => $::DB);
told('who has become inactive', $::WHO, 401, $::INACTIVE,
     token => jwt(user_id => 2));
psql('UPDATE users SET is_active = true WHERE id = 2', dbname => $::DB);
let_in('and is active again', 2, jwt(user_id => 2));


=== TEST 6: a product opens its endpoints, whatever a token says of itself
--- config eval
$::CONFIG . <<'CONF'
softfactory_token review_token user=3 products=review;
softfactory_token sns_token user=3 products=sns-auto;
softfactory_token both_token user=3 products=sns-auto,review;
softfactory_token all_token user=3 products=all;
softfactory_token no_token user=3;
softfactory_token ghost user=99;
CONF
--- check
my @gated = grep { $_->{product} } endpoints();

is(join(' ', sort map { "$_->{product}:$_->{name}" } @gated),
   'review:review_campaign_applications review:review_my_campaigns '
   . 'sns-auto:sns_accounts sns-auto:sns_analytics sns-auto:sns_posts',
   'the endpoints of products');

for my $e (@gated) {
    my $path = $e->{path} =~ s/\{id\}/3/r;
    my $slug = $e->{product};
    my $refused = "Subscription to $slug required";

    for (['nothing', jwt(user_id => 3)],
         ['nothing, but a claim', jwt(user_id => 3, role => 'admin',
                                      products => ['all', $slug])],
         ['an admin', jwt(user_id => 6)], ['a token', 'no_token'])
    {
        told("$e->{name} with $_->[0]", $path, 403, $refused,
             token => $_->[1]);
    }

    for (['user 1', jwt(user_id => 1)], ['all', 'all_token'],
         ['both', 'both_token'],
         ['its token', $slug eq 'review' ? 'review_token' : 'sns_token'])
    {
        my $res = get($path, token => $_->[1]);

        isnt($res->{body}, body($refused), "$e->{name} with $_->[0]");
    }

    told("$e->{name} with the other token", $path, 403, $refused,
         token => $slug eq 'review' ? 'sns_token' : 'review_token');
}

my $two = jwt(user_id => 2);

let_in('user 2 has review', 2, $two);
told('and had sns-auto', '/api/sns/accounts', 403,
     'Subscription to sns-auto required', token => $two);
is(get($::ANY, token => $two)->{status}, 200, 'the templates need none');
let_in('a fixed token is that user', 3, 'review_token');
told('a fixed token is compared as a whole', $::WHO, 401, $::INVALID,
     token => 'review_toke');
told('with its case', $::WHO, 401, $::INVALID, token => 'Review_token');

psql("UPDATE subscriptions SET status = 'canceled' WHERE user_id = 2",
     dbname => $::DB);
told('a subscription that is cancelled', $::WHO, 403,
     'Subscription to review required', token => $two);
psql("UPDATE subscriptions s SET status = 'active' FROM products p
       WHERE p.id = product_id AND slug = 'review' AND user_id = 2",
     dbname => $::DB);
let_in('and taken again', 2, $two);


=== TEST 7: a public endpoint asks for a token where anonymous is off
--- config
softfactory_jwt_secret "key";
location /on/ {
    rewrite ^/on(/.*) $1 break;
    softfactory_pass primary;
}
location /off/ {
    rewrite ^/off(/.*) $1 break;
    softfactory_pass primary;
    softfactory_anonymous off;
}
--- check
my $good = jwt(user_id => 3, -secret => 'key');

for my $path ('/api/review/campaigns', '/api/review/campaigns/1') {
    is(get("/on$path", token => $_)->{status}, 200, "$path for anybody")
        for undef, 'x', jwt(user_id => 4, -secret => 'key'), $good;

    my $res = get("/on$path", token => $good);
    is($res->{headers}{'cache-control'}, 'public, no-cache',
       "$path for all caches");

    told("$path for nobody", "/off$path", 401, $::MISSING, token => undef);
    told("$path for a bad token", "/off$path", 401, $::INVALID, token => 'x');
    told("$path for the inactive", "/off$path", 401, $::INACTIVE,
         token => jwt(user_id => 4, -secret => 'key'));
    is(get("/off$path", token => $good)->{status}, 200, "$path for a user");
}

is(get('/off/health', token => undef)->{status}, 200,
   'the health is always public');


=== TEST 8: a location has several keys, of its own
--- config eval
my $file = main::write_file(main::scratch_dir() . '/key', "\tof a file\r\n");
<<"CONF"
location /a/ {
    rewrite ^/a(/.*) \$1 break;
    softfactory_pass primary;
    softfactory_jwt_secret "file:$file";
    softfactory_jwt_secret " literal ";
    softfactory_jwt_secret env:SF_AUTH_KEY;
}
location /b/ {
    rewrite ^/b(/.*) \$1 break;
    softfactory_pass primary;
    softfactory_jwt_secret literal;
    softfactory_token fixed user=1 products=all;
}
location /none/ {
    rewrite ^/none(/.*) \$1 break;
    softfactory_pass primary;
}
CONF
--- main_config eval
$ENV{SF_AUTH_KEY} = 'of the environment';
"env SF_AUTH_KEY;"
--- check
my %token = map { $_ => jwt(user_id => 1, -secret => $_) }
            'of the environment', 'of a file', 'literal', ' literal ', '';

# twice: the second time the token is known to the worker

for my $round (1, 2) {
    is(get("/a$::WHO", token => $token{$_})->{status}, 200,
       "the key $_ is one of three, round $round")
        for 'of the environment', 'of a file', 'literal';
    is(get("/b$::WHO", token => $token{literal})->{status}, 200,
       "the key literal is the one, round $round");
    told("the key $_ is not of this location, round $round", "/b$::WHO", 401,
         $::INVALID, token => $token{$_})
        for 'of the environment', 'of a file', ' literal ', '';
    told("no key fits where there is none, round $round", "/none$::WHO", 401,
         $::INVALID, token => $token{$_}) for sort keys %token;
    is(get("/b$::WHO", token => 'fixed')->{status}, 200,
       "a fixed token, round $round");
    told("a fixed token of another location, round $round", "/a$::WHO", 401,
         $::INVALID, token => 'fixed');
}


=== TEST 9: without a database everything is told that needs none
--- config eval
<<"CONF"
softfactory_jwt_secret "$SoftFactory::SECRET";
softfactory_token fixed user=1;
location /api/ { softfactory_pass nowhere; }
CONF
--- check
told('no such path', '/api/nothing', 404, 'Not found', token => 'x');
told('no such path, without a token', '/api/nothing', 404, 'Not found',
     token => undef);

my $res = request('DELETE', $::ANY, token => 'x');
is("$res->{status} $res->{body}", '405 ' . body('Method not allowed'),
   'no such method');

told('no token', $::ANY, 401, $::MISSING, token => undef);
told('a bad token', $::ANY, 401, $::INVALID, token => 'x');
told('a bad token goes before a bad parameter',
     '/api/review/listings/search?q=x', 401, $::INVALID, token => 'x');
told('no user can be it', $::ANY, 401, $::INACTIVE,
     token => jwt(user_id => undef));
is(get($::ANY, token => 'fixed')->{status}, 200, 'a fixed token needs no user');
told('a fixed token and a gate', $::WHO, 403, 'Subscription to review required',
     token => 'fixed');

# held until the user is known; told at once when that cannot be

told('a bad parameter', '/api/review/listings/search?q=x', 400,
     'Search keyword must be at least 2 characters',
     token => jwt(user_id => 1));
told('a page that cannot be', '/api/review/listings?page=0', 404, 'Not found',
     token => jwt(user_id => 1));

$res = get('/api/review/listings', token => jwt(user_id => 1));
is("$res->{status} $res->{body}", '503 ' . body('Database unavailable'),
   'and the rest is not available');
like($res->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'for a while');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 10: a bad parameter is reported only after the access checks
--- config eval: $::CONFIG
--- check
my $bad = '/api/review/listings/search?q=x';
my $gated = '/api/sns/posts?page=0';

told('an active user', $bad, 400,
     'Search keyword must be at least 2 characters',
     token => jwt(user_id => 3));
told('an inactive user', $bad, 401, $::INACTIVE, token => jwt(user_id => 4));
told('a user of whom nobody knows', $bad, 401, $::INACTIVE,
     token => jwt(user_id => 5));
told('nobody', $bad, 401, $::INACTIVE, token => jwt(user_id => 99));
told('a user without the product', $gated, 403,
     'Subscription to sns-auto required', token => jwt(user_id => 3));
told('a user with the product', $gated, 404, 'Not found',
     token => jwt(user_id => 1));
told('an id that no row can have', '/api/review/listings/99999999999', 404,
     'Listing not found', token => jwt(user_id => 3));
told('the same for the inactive', '/api/review/listings/99999999999', 401,
     $::INACTIVE, token => jwt(user_id => 4));


=== TEST 11: $softfactory_user is the user of a right token, at once
--- config eval
<<"CONF"
softfactory_jwt_secret "$SoftFactory::SECRET";
softfactory_token fixed user=42;
access_log logs/user.log user;
location /limited/ {
    limit_req zone=users;
    limit_req_status 429;
    rewrite ^/limited(/.*) \$1 break;
    softfactory_pass primary;
}
location /api/ { softfactory_pass primary; }
location /plain { return 200 "\$softfactory_user"; }
location /nowhere/ {
    rewrite ^/nowhere(/.*) \$1 break;
    softfactory_pass nowhere;
}
location /keyless {
    softfactory_jwt_secret other;
    return 200 "\$softfactory_user";
}
CONF
--- check
my %token = (
    'right' => [jwt(user_id => 1), 1],
    'nobody' => [jwt(user_id => 99), 99],
    'inactive' => [jwt(user_id => 4), 4],
    'fixed' => ['fixed', 42],
    'none' => [undef, ''],
    'empty' => ['', ''],
    'wrong-key' => [jwt(user_id => 1, -secret => 'x'), ''],
    'wrong-alg' => [jwt(user_id => 1, -alg => 'HS512'), ''],
    'expired' => [jwt(user_id => 1, exp => time - 60), ''],
    'early' => [jwt(user_id => 1, nbf => time + 60), ''],
    'refresh' => [jwt(user_id => 1, type => 'refresh'), ''],
    'null' => [jwt(user_id => undef), ''],
    'text' => [jwt(user_id => "1\"\n2"), ''],
);

for my $what (sort keys %token) {
    my ($token, $user) = @{$token{$what}};

    is(get("/plain?$what", token => $token)->{body}, $user,
       "outside of the module: $what");
    get("$::ANY?$what", token => $token);
}

is(get('/keyless', token => jwt(user_id => 1))->{body}, '',
   'it is by the keys of the location');
is(get("/nowhere$::ANY", token => jwt(user_id => 1))->{status}, 503,
   'a request that has no database');

my $log = wait_until { access_log('user.log') =~ /^\/nowhere.*\n/m
                       && access_log('user.log') } 'all is logged';

is($log =~ /^\Q$::ANY\E\?$_\|(.*)$/m ? $1 : undef, $token{$_}[1],
   "in the log: $_") for sort keys %token;
like($log, qr/^\/nowhere.*\|1$/m, 'in the log, without the database');

# one request a minute for each user, none for those who are not one

is(get("/limited$::ANY", token => jwt(user_id => 1))->{status}, 200,
   'the first of user 1');
is(get("/limited$::ANY", token => jwt(user_id => 1, x => 1))->{status}, 429,
   'the second of user 1, with another token');
is(get("/limited$::ANY", token => jwt(user_id => 3))->{status}, 200,
   'the first of user 3');
is(get("/limited$::ANY", token => jwt(user_id => 1, -secret => 'x'))->{status},
   401, "a wrong token does not count, number $_") for 1 .. 3;
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 12: a secret that is taken away refuses its tokens at once
--- config
softfactory_jwt_secret "first";
softfactory_jwt_secret "second";
location /api/ { softfactory_pass primary; }
--- check
my %token = map { $_ => jwt(user_id => 1, -secret => $_) }
            qw(first second third);

let_in("the $_ key", 1, $token{$_}) for qw(first second);
told('the third key', $::WHO, 401, $::INVALID, token => $token{third});

reconfigure { s/"first"/"third"/ };

# each on a connection of its own: those of the old worker are closed

for my $round (1 .. 5) {
    my @status = map { start($::WHO, token => $token{$_})->finish->{status} }
                 qw(first second third);

    is("@status", '401 200 200', "the first key is gone, round $round");
}


=== TEST 13: a clock that is off does not matter, within the leeway
--- config eval
<<"CONF";
softfactory_jwt_secret "$SoftFactory::SECRET";
location /api/ { softfactory_pass primary; }
location /exact/ {
    rewrite ^/exact(/.*) \$1 break;
    softfactory_jwt_leeway 0s;
    softfactory_pass primary;
}
location /wide/ {
    rewrite ^/wide(/.*) \$1 break;
    softfactory_jwt_leeway 10m;
    softfactory_pass primary;
    location /wide/user { return 200 "\$softfactory_user"; }
}
CONF
--- check
my @shift = map { my $s = $_;
                  [$s, jwt(user_id => 1, iat => time + $s),
                   jwt(user_id => 1, nbf => time + $s),
                   jwt(user_id => 1, exp => time - $s)] } 3, 120, 900;

# each token everywhere: the worker's table of tokens knows no location

my %leeway = (exact => 0, api => 5, wide => 600);

for (@shift) {
    my ($shift, @tokens) = @$_;

    for my $place ('wide', 'api', 'exact', 'wide') {
        my $path = $place eq 'api' ? $::ANY : "/$place$::ANY";
        my $want = $shift < $leeway{$place} ? 200 : 401;

        is(get($path, token => $tokens[$_])->{status}, $want,
           ('iat', 'nbf', 'exp')[$_] . " is off by $shift s, in $place")
            for 0 .. 2;
    }
}

is(get('/wide/user', token => $shift[1][1])->{body}, 1,
   '$softfactory_user has the leeway of its location');
is(get('/wide/user', token => $shift[2][1])->{body}, '', 'and no more');


=== TEST 14: a token must end where that is asked for
--- config eval
<<"CONF";
softfactory_jwt_secret "$SoftFactory::SECRET";
softfactory_jwt_require exp;
location /api/ { softfactory_pass primary; }
location /off/ {
    rewrite ^/off(/.*) \$1 break;
    softfactory_jwt_require off;
    softfactory_pass primary;
}
location /user { return 200 "\$softfactory_user"; }
CONF
--- check
my $endless = jwt(user_id => 1, -without => ['exp']);

let_in('one that ends', 1, jwt(user_id => 1));

for (1, 2) {
    is(get("/off$::ANY", token => $endless)->{status}, 200,
       'it need not where that is not asked for');
    told('one that does not', $::WHO, 401, $::INVALID, token => $endless);
}

is(get('/user', token => $endless)->{body}, '', 'is of nobody');
let_in('an end far away is one', 1,
       made('{"user_id":1,"type":"access","exp":1000000000000000000000}'));


=== TEST 15: 401 says what is wanted, and whether a token was refused
--- config eval
$::CONFIG . <<'CONF';
softfactory_token fixed user=1;
softfactory_cors_origin https://a.example;
CONF
--- check
sub challenge {
    my ($path, %o) = @_;

    my $res = get($path, %o);

    return "$res->{status} " . ($res->{headers}{'www-authenticate'} // 'none');
}

my $bearer = '401 Bearer realm="softfactory"';

is(challenge($::WHO, token => undef, headers => [$_]), $bearer,
   "no token: $_")
    for 'X: y', 'Authorization: Basic dTpw', 'Authorization: bearer x';

is(challenge($::WHO, token => $_->[1]), "$bearer, error=\"invalid_token\"",
   "a token that is refused: $_->[0]")
    for ['none', 'x'], ['expired', jwt(user_id => 1, exp => time - 60)],
        ['of another key', jwt(user_id => 1, -secret => 'x')],
        ['of null', jwt(user_id => undef)], ['of nobody', jwt(user_id => 99)],
        ['of one who is inactive', jwt(user_id => 4)];

is(challenge($::WHO, token => jwt(user_id => 1)), '200 none', 'a good token');
is(challenge('/api/sns/accounts', token => jwt(user_id => 3)), '403 none',
   'a good token without the product');
is(challenge('/api/sns/accounts', token => 'fixed'), '403 none',
   'a fixed token without it');

my $res = get($::WHO, token => 'x', headers => ['Origin: https://a.example']);

like($res->{headers}{'access-control-expose-headers'}, qr/WWW-Authenticate/,
     'a page may read it');

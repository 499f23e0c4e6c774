# Tokens that are signed by a key pair: which key it must be, what is asked of
# the claims, files that change while nginx runs, and how often an address may
# be wrong.  Keys are made by openssl, and so are the signatures.
#
# Users 1 and 2 of the scratch database may see their campaigns.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;
use Digest::SHA 'hmac_sha256';
use JSON::PP ();
use MIME::Base64 'encode_base64url';

no_shuffle();
no_root_location();
master_on();
plan('no_plan');

our $DB = scratch('sf_jwt_key');

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'a@x.test', '!', 'One', 'user', true),
       (2, 'b@x.test', '!', 'Two', 'user', true);
INSERT INTO subscriptions (user_id, product_id, plan_type, status)
SELECT u, p.id, 'monthly', 'active' FROM products p, generate_series(1, 2) u
 WHERE p.slug = 'review'
SQL

our $WHO = '/api/review/my-campaigns';
our $ISSUER = 'https://issuer.example';

# the folder is the workers' to read

our $dir = scratch_dir();
my $json = JSON::PP->new->canonical->utf8;

my %made = (RS256 => 'RSA -pkeyopt rsa_keygen_bits:2048',
            ES256 => 'EC -pkeyopt ec_paramgen_curve:P-256',
            EdDSA => 'ED25519');

for my $name (qw(RS256 ES256 EdDSA RS256-2 EdDSA-2)) {
    my ($alg) = $name =~ /^(\w+)/;

    openssl(split ' ', "genpkey -algorithm $made{$alg} -out $dir/$name.key");
    openssl(split ' ', "pkey -in $dir/$name.key -pubout -out $dir/$name.pem");
    openssl(split ' ', "pkey -in $dir/$name.key -pubout -outform DER "
                       . "-out $dir/$name.der");
}


# signature($key, $input): of the algorithm that the key has

sub signature {
    my ($key, $input) = @_;

    write_file("$dir/input", $input);

    openssl($key =~ /^EdDSA/
            ? (split ' ', "pkeyutl -sign -rawin -inkey $dir/$key.key "
                          . "-in $dir/input -out $dir/sig")
            : (split ' ', "dgst -sha256 -sign $dir/$key.key -out $dir/sig "
                          . "$dir/input"));

    my $sig = SoftFactory::Live::read_file("$dir/sig");

    # SEQUENCE { INTEGER, INTEGER } becomes two numbers of 32 bytes

    return $sig if $key !~ /^ES256/;
    return join '', map { substr "\0" x 32 . $_, -32 }
           unpack 'x2 x C/a x C/a', $sig;
}


# signed($key, %claims): a token of user 1 for the API.  Options as those of
# jwt(): -alg, -header => {}, -without => [], -secret (instead of a key)

sub signed {
    my ($key, %claims) = @_;

    %claims = (iss => $ISSUER, aud => 'api', exp => time + 3600, user_id => 1,
               %claims);

    my %o = map { $_ => delete $claims{$_} } grep { /^-/ } keys %claims;
    my ($alg) = $key =~ /^(\w+)/;

    delete @claims{@{$o{-without} // []}};

    my $input = join '.', map { encode_base64url($json->encode($_)) }
                { alg => $o{-alg} // $alg, %{$o{-header} // {}} }, \%claims;

    return "$input." . encode_base64url(
        defined $o{-secret} ? hmac_sha256($input, $o{-secret})
                            : signature($key, $input));
}


# jwk($key, %more): its public half as a member of a set

sub jwk {
    my ($key, %more) = @_;

    my $der = SoftFactory::Live::read_file("$dir/$key.der");
    my ($alg) = $key =~ /^(\w+)/;
    my %jwk = (alg => $alg, use => 'sig', kid => $key, %more);

    if ($alg eq 'RS256') {
        my (undef, $text) = program('openssl rsa', ['openssl', 'rsa', '-pubin',
            '-in', "$dir/$key.pem", '-noout', '-modulus']);
        my ($n) = $text =~ /Modulus=([0-9A-F]+)/;
        return { kty => 'RSA', e => 'AQAB',
                 n => encode_base64url(pack 'H*', $n), %jwk };
    }

    return { kty => 'OKP', crv => 'Ed25519',
             x => encode_base64url(substr $der, -32), %jwk }
        if $alg eq 'EdDSA';

    return { kty => 'EC', crv => 'P-256',
             x => encode_base64url(substr $der, -64, 32),
             y => encode_base64url(substr $der, -32), %jwk };
}


# publish($name, @keys): a set of keys, renamed into place

sub publish {
    my ($name, @keys) = @_;

    write_file("$dir/$name.new", $json->encode({ keys => \@keys }));
    rename "$dir/$name.new", "$dir/$name" or die "$name: $!";
}


# in($title, $token, $path), out(...): whether it is let in; twice, as what is
# good is known the second time

sub status {
    my ($token, $path) = @_;

    return get($path // $WHO, token => $token)->{status};
}

sub in {
    my ($title, $token, $path) = @_;

    is(join(' ', map { status($token, $path) } 1, 2), '200 200', $title);
}

sub out {
    my ($title, $token, $path) = @_;

    is(join(' ', map { status($token, $path) } 1, 2), '401 401', $title);
}


# in and out of a location that looks below /NAME/

our $PLACE = sub {
    my ($name, @lines) = @_;

    return join "\n", "location /$name/ {", "rewrite ^/$name(/.*) \$1 break;",
                'softfactory_pass primary;', @lines, '}', '';
};

our $NAMED = "softfactory_jwt_issuer $ISSUER;\nsoftfactory_jwt_audience api;";

publish('keys.json', jwk('RS256'), jwk('RS256-2'), jwk('ES256'),
        jwk('EdDSA'), { kty => 'RSA', alg => 'RSA-OAEP', use => 'enc' });

defaults(http_config => conf(dbname => $DB));
run_tests();

__DATA__

=== TEST 1: a token by the public key of a file in PEM
--- config eval
my $d = $::dir;
my ($rs, $es, $ed) = map {
    $::PLACE->($_, "softfactory_jwt_key $d/$_.pem alg=$_;")
} qw(RS256 ES256 EdDSA);
$rs . $es . $ed
. $::PLACE->('named', "softfactory_jwt_key $d/RS256.pem alg=RS256 kid=a;",
             "softfactory_jwt_key $d/RS256-2.pem alg=RS256 kid=b;",
             'softfactory_jwt_secret ours;', $::NAMED)
. $::PLACE->('user', "softfactory_jwt_key $d/EdDSA.pem alg=EdDSA;",
             'softfactory_jwt_user sub;', $::NAMED)
--- check
my @plain = (type => 'access', -without => ['iss', 'aud']);

for my $alg (qw(RS256 ES256 EdDSA)) {
    my $path = "/$alg$::WHO";
    my $token = signed($alg, @plain);

    in("$alg", $token, $path);

    substr(my $forged = $token, -9, 1) =~ tr/A-Za-z/B-ZAb-za/;
    out("$alg: another signature", $forged, $path) if $forged ne $token;
    out("$alg: padding", "$token=", $path);
    out("$alg: no type", signed($alg, -without => ['iss', 'aud']), $path);
    out("$alg: an audience", signed($alg, type => 'access'), $path);
    out("$alg: no exp", signed($alg, type => 'access',
                               -without => ['iss', 'aud', 'exp']), $path);
    out("$alg: expired", signed($alg, @plain, exp => time - 60), $path);
    out("$alg: crit", signed($alg, @plain, -header => { crit => ['exp'] }),
        $path);
    out("$alg: a kid that no key has",
        signed($alg, @plain, -header => { kid => 'x' }), $path);
    out("$alg: none", signed($alg, @plain, -alg => 'none'), $path);

    my $pem = SoftFactory::Live::read_file("$::dir/$alg.pem");
    out("$alg: the public key is no secret",
        signed($alg, @plain, -alg => 'HS256', -secret => $_), $path)
        for $pem, $pem =~ s/\n\z//r, '';
}

in('a name chooses a key', signed('RS256', -header => { kid => 'a' }),
   "/named$::WHO");
in('and another', signed('RS256-2', -header => { kid => 'b' }),
   "/named$::WHO");
out('which must be it', signed('RS256', -header => { kid => 'b' }),
    "/named$::WHO");
out('no name, and two keys', signed('RS256'), "/named$::WHO");
in('a secret beside them', signed('HS256', -secret => 'ours'),
   "/named$::WHO");
out('another secret', signed('HS256', -secret => 'theirs'), "/named$::WHO");
out('no secret, by name', signed('HS256', -secret => 'ours',
                                 -header => { kid => 'a' }), "/named$::WHO");

in('the user is in another claim', signed('EdDSA', sub => '2',
                                          -without => ['user_id']),
   "/user$::WHO");
out('and not in this one', signed('EdDSA', user_id => 2), "/user$::WHO");
out('a user of text', signed('EdDSA', sub => 'auth0|2'), "/user$::WHO");


=== TEST 2: a token by a key of a set must say who made it, and for whom
--- config eval
"softfactory_jwt_key $::dir/keys.json;
softfactory_jwt_issuer $::ISSUER;
softfactory_jwt_secret \"$SoftFactory::SECRET\";
location /user/ { return 200 \"\$softfactory_user\"; }
" . $::PLACE->('api', 'softfactory_jwt_audience other api;')
. $::PLACE->('other', 'softfactory_jwt_audience other;')
--- check
my ($api, $other) = ("/api$::WHO", "/other$::WHO");

in('a key by its name: ' . $_, signed($_, -header => { kid => $_ }), $api)
    for qw(RS256 RS256-2 ES256 EdDSA);
in('the only key of its algorithm', signed('ES256'), $api);
out('not the only one', signed('RS256'), $api);
out('the name of another key',
    signed('RS256', -header => { kid => 'RS256-2' }), $api);
out('the name of a key of another algorithm',
    signed('RS256', -header => { kid => 'EdDSA' }), $api);
out('that algorithm', signed('RS256', -alg => 'EdDSA',
                             -header => { kid => 'EdDSA' }), $api);
out('an unknown name', signed('EdDSA', -header => { kid => 'x' }), $api);
out('PS256', signed('RS256', -alg => 'PS256',
                    -header => { kid => 'RS256' }), $api);

out('another issuer', signed('EdDSA', iss => "$::ISSUER/"), $api);
out('no issuer', signed('EdDSA', -without => ['iss']), $api);
out('another audience', signed('EdDSA', aud => 'web'), $api);
out('no audience', signed('EdDSA', -without => ['aud']), $api);
in('one audience of several', signed('EdDSA', aud => ['web', 'api']), $api);
out('none of several', signed('EdDSA', aud => ['web', 'app']), $api);
out('a refresh token', signed('EdDSA', type => 'refresh'), $api);

# what a worker knows is known by the location's audience, too

my $token = signed('EdDSA');

in('for this location', $token, $api);
out('not for that', $token, $other);
in('for both', signed('EdDSA', aud => 'other'), $_) for $api, $other;

# the secret's tokens are asked the same

in('by the secret', jwt(user_id => 1, iss => $::ISSUER, aud => 'api'), $api);
out('by the secret, for nobody', jwt(user_id => 1), $api);

# a set without an audience is no set

is(get('/user/', token => $token)->{body}, '', 'no audience, no user');


=== TEST 3: the table of tokens holds long ones
--- config eval
$::PLACE->('api', "softfactory_jwt_key $::dir/keys.json;", $::NAMED)
--- check
in("a token of $_ characters more",
   signed('ES256', x => 'x' x $_), "/api$::WHO") for 1000, 2000, 3500;


=== TEST 4: a file of keys may change while nginx runs
--- config eval
main::publish('turn.json', main::jwk('ES256'), main::jwk('EdDSA'));
main::write_file("$::dir/turn.pem",
                 SoftFactory::Live::read_file("$::dir/EdDSA.pem"));
$::PLACE->('api', "softfactory_jwt_key $::dir/turn.json;", $::NAMED)
. $::PLACE->('pem', "softfactory_jwt_key $::dir/turn.pem alg=EdDSA;", $::NAMED)
--- check
my @pids = worker_pids();
my ($api, $pem) = ("/api$::WHO", "/pem$::WHO");
my %token = map { $_ => signed($_, -header => { kid => $_ }) }
            qw(ES256 EdDSA EdDSA-2);
my ($old, $new) = map { signed($_) } 'EdDSA', 'EdDSA-2';

in("$_ is in the set", $token{$_}, $api) for qw(ES256 EdDSA);
out('EdDSA-2 is not', $token{'EdDSA-2'}, $api);
in('the key of the other file', $old, $pem);

publish('turn.json', jwk('EdDSA-2'), jwk('ES256'));
write_file("$::dir/turn.pem",
           SoftFactory::Live::read_file("$::dir/EdDSA-2.pem"));

wait_until { status($token{'EdDSA-2'}, $api) == 200
             && status($new, $pem) == 200 } 'the new keys', 40;

in('a key that stays', $token{ES256}, $api);
out('a key that is gone, although its token was known', $token{EdDSA}, $api);
out('that of the other file', $old, $pem);
is(log_count(qr/\[notice\].*turn\.json" has changed: 2 keys/), 1,
   'it is told once');

# half of a file, and none

my $told = qr/\[warn\].*turn\.json" is neither PEM nor a JWK set in JSON:/;
my $gone = qr/\[warn\].*turn\.json" cannot be read: .*\(2: No such file/;

write_file("$::dir/turn.json", '{"keys":[');
wait_until { log_count($told) } 'a warning of half a file', 40;
in('the keys stay', $token{$_}, $api) for qw(EdDSA-2 ES256);

unlink "$::dir/turn.json";
wait_until { log_count($gone) } 'a warning of no file', 40;
in('the keys stay', $token{$_}, $api) for qw(EdDSA-2 ES256);

publish('turn.json', jwk('EdDSA'));
wait_until { status($token{EdDSA}, $api) == 200 } 'one that is there', 40;
out('those are gone', $token{$_}, $api) for qw(EdDSA-2 ES256);

# what nginx -t would refuse: two keys that no token can choose from, and
# a set in the place of a key

my $useless = qr/\[warn\].*turn\.json" has keys that cannot be used: /;
my $turned = qr/\[warn\].*turn\.pem" has keys .* by a reload only/;
my @nameless = map { my $key = jwk($_); delete $key->{kid}; $key }
               qw(EdDSA EdDSA-2);

publish('turn.json', @nameless);
publish('turn.pem', jwk('EdDSA'));
wait_until { log_count($useless) && log_count($turned) }
    'warnings of what cannot be used', 40;
in('the keys stay', $token{EdDSA}, $api);
in('that of the other file', $new, $pem);

is(log_count($told) . log_count($gone), '11', 'each warning is told once');
is("@{[worker_pids()]}", "@pids", 'there was no reload');


=== TEST 5: workers that may not read a file keep its keys until a reload
--- config eval
main::publish('root.json', main::jwk('ES256'));
chmod 0600, "$::dir/root.json";
$::PLACE->('api', "softfactory_jwt_key $::dir/root.json;", $::NAMED)
--- check
my $api = "/api$::WHO";
my $told = qr/\[warn\].*root\.json" cannot be read by workers: .*Permission/;
my %token = map { $_ => signed($_) } qw(ES256 EdDSA);

SKIP: {
    skip 'the workers are the user that reads the configuration', 5 if $>;

    reconfigure { s/user root;/user nobody nogroup;/;
                  s/(worker_processes +)1;/${1}2;/ };

    wait_until { log_count($told) } 'a warning';
    in('the key that the master has read', $token{ES256}, $api);
    out('another', $token{EdDSA}, $api);

    publish('root.json', jwk('EdDSA'));
    chmod 0600, "$::dir/root.json";
    sleep 12;

    in('what has been read stays', $token{ES256}, $api);
    is(log_count($told), 1, 'one of the workers says so, once');

    hup();
    wait_until { status($token{EdDSA}, $api) == 200 } 'the new key';
    wait_until { status($token{ES256}, $api) == 401 } 'it alone';
    in('the master has read it again', $token{EdDSA}, $api);
}


=== TEST 6: an address that sends wrong signatures has them looked at no more
--- config eval
"set_real_ip_from 127.0.0.1;
real_ip_header X-Real-IP;
softfactory_jwt_secret ours;
" . $::PLACE->('api', "softfactory_jwt_key $::dir/keys.json;", $::NAMED)
--- check
my $api = "/api$::WHO";
my @from = (headers => ['X-Real-IP: 192.0.2.1']);
my @other = (headers => ['X-Real-IP: 192.0.2.2']);
my ($known, @fresh) = map { signed('EdDSA', n => $_) } 0 .. 11;
my $forged = signed('RS256', -alg => 'EdDSA');

# of the right length, so that it is a signature

$forged =~ s/\.[^.]+\z/'.' . 'A' x 86/e;

is(get($api, token => $known, @from)->{status}, 200, 'one that is good');

my @status = map { get($api, token => $forged, @from)->{status} } 1 .. 40;
is("@status", join(' ', (401) x 40), 'many that are not');

my $refused = 0;

for my $token (@fresh[0 .. 9]) {
    get($api, token => $forged, @from) for 1 .. 3;
    $refused += get($api, token => $token, @from)->{status} == 401;
}

cmp_ok($refused, '>=', 5, 'a new token is not looked at, either');
is(get($api, token => $known, @from)->{status}, 200, 'one that is known is');
is(get($api, token => signed('HS256', -secret => 'ours'), @from)->{status},
   200, 'and one by a secret');
is(get($api, token => $fresh[10], @other)->{status}, 200,
   'another address does not notice');

wait_until { get($api, token => $fresh[0], @from)->{status} == 200 }
    'a second without a wrong one', 10;
pass('a second later it is looked at again');



=== TEST 7: a worker that follows one that died has the keys of today
--- config eval
main::publish('heir.json', main::jwk('ES256'));
$::PLACE->('api', "softfactory_jwt_key $::dir/heir.json;", $::NAMED)
--- check
my $api = "/api$::WHO";
my %token = map { $_ => signed($_, -header => { kid => $_ }) }
            qw(ES256 EdDSA);

in('a key of the start', $token{ES256}, $api);
publish('heir.json', jwk('EdDSA'));
wait_until { status($token{EdDSA}, $api) == 200 } 'the new key', 40;

my ($pid) = worker_pids();
kill 'KILL', $pid;
wait_until { my @now = worker_pids(); @now && $now[0] != $pid }
    'another worker';

in('it has the new one at once', $token{EdDSA}, $api);
out('and not what the master has read', $token{ES256}, $api);
--- no_error_log
[crit]
[emerg]

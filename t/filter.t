# What nginx's own filters make of an answer: conditions of a request, and
# filters that read or change a body.  Whether an answer was made or found
# makes no difference to either.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use IO::Uncompress::Gunzip;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
master_on();
plan('no_plan');

our $LIST = '/api/review/campaigns?per_page=12';
our $UNMATCHED = "412 {\"error\":\"Precondition failed\"}\n";
our $OTHER = '"00112233445566778899aabbccddeeff"';


# asked($path, @headers): status and body, without a token

sub asked {
    my ($path, @headers) = @_;

    my $res = get($path, token => undef, headers => \@headers);

    return "$res->{status} $res->{body}";
}


# plain($res): the body, decompressed where it says that it is compressed

sub plain {
    my ($res) = @_;

    return $res->{body}
        if ($res->{headers}{'content-encoding'} // '') ne 'gzip';

    my $text;

    IO::Uncompress::Gunzip::gunzip(\$res->{body}, \$text,
                                   TrailingData => \my $more)
        or return 'no gzip';

    return length($more // '') ? 'trailing garbage' : $text;
}


defaults(http_config => conf(zone => 'api 8m'), config => api(<<'CONF'));
softfactory_cors_origin https://a.example;
location = /status  { softfactory_status api; }
location = /purge   { softfactory_purge api; }
location = /metrics { softfactory_metrics; }
location = /report  { softfactory_report; }
location = /live    { softfactory_live; }
CONF

run_tests();

__DATA__

=== TEST 1: what has no date of modification is asked for by none
--- check
wait_coherent();

my @all = ($::LIST, '/api/sns/templates', '/health', '/ready', '/status',
           '/metrics', '/report', '/live');

for my $date ('Mon, 30 Nov 2099 00:00:00 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT',
              'tomorrow')
{
    for my $path (@all) {
        is(get($path, headers => ["$_: $date"])->{status}, 200,
           "$path, $_: $date")
            for 'If-Unmodified-Since', 'If-Modified-Since';
        is(request('HEAD', $path, token => 'demo_token',
                   headers => ["If-Unmodified-Since: $date"])->{status}, 200,
           "HEAD $path");
    }

    is(request('POST', '/purge?tag=campaigns',
               headers => ["If-Unmodified-Since: $date"])->{status}, 200,
       'a purge');
    is(request('OPTIONS', $::LIST, headers => ["If-Unmodified-Since: $date"])
       ->{status}, 200, 'OPTIONS');
    is(asked('/api/nothing', "If-Unmodified-Since: $date"),
       "404 {\"error\":\"Not found\"}\n", 'what is not there');
}

# with a tag the date does not count

get($::LIST);
my $tag = get($::LIST)->{headers}{etag};

is(get($::LIST, headers => ["If-None-Match: $tag",
                            'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT'])
   ->{status}, 304, 'If-None-Match before If-Modified-Since');
is(get($::LIST, headers => ["If-Match: $tag",
                            'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT'
                           ])
   ->{status}, 200, 'If-Match before If-Unmodified-Since');


=== TEST 2: a response that is not the one asked for is refused in JSON
--- check
wait_coherent();

for my $what ('made', 'found') {
    is(asked($::LIST . '&x=1', "If-Match: $::OTHER"), $::UNMATCHED,
       "one that was $what");
}

my $id = get($::LIST);
my $gz = get($::LIST, headers => ['Accept-Encoding: gzip']);
my ($idtag, $gztag) = map { $_->{headers}{etag} } $id, $gz;

like($gztag, qr/gz"$/, 'there are two forms');

is(asked($::LIST, "If-Match: $_"), "200 $id->{body}", "If-Match: $_")
    for $idtag, "$::OTHER, $idtag", "$idtag , $::OTHER", '*';
is(asked($::LIST, "If-Match: $_"), $::UNMATCHED, "If-Match: $_")
    for "W/$idtag", $gztag, 'x', '""', '"*"', "x$idtag", uc $idtag;

my $res = get($::LIST, headers => ['Accept-Encoding: gzip',
                                   "If-Match: $gztag"]);

is("$res->{status} $res->{headers}{'content-encoding'}", '200 gzip',
   'the other form has its own');

$res = get($::LIST, headers => ['Accept-Encoding: gzip', "If-Match: $idtag",
                                'Origin: https://a.example']);

is("$res->{status} $res->{body}", $::UNMATCHED, 'and no other');
is($res->{headers}{'content-encoding'}, undef, 'an error is not compressed');
is($res->{headers}{'content-type'}, 'application/json', 'it is JSON');
is($res->{headers}{etag}, undef, 'it has no tag');
is($res->{headers}{'access-control-allow-origin'}, 'https://a.example',
   'a page may read it');

$res = request('HEAD', $::LIST, headers => ["If-Match: $::OTHER"]);
is("$res->{status} $res->{body}", '412 ', 'HEAD');

is(asked($_, "If-Match: $::OTHER"), $::UNMATCHED, "$_ has no tag")
    for '/health', '/status', '/metrics', '/report', '/live';
is(asked('/api/review/campaigns/99999999', "If-Match: $::OTHER"),
   "404 {\"error\":\"Campaign not found\"}\n", 'what is not there is not');

# methods that select nothing

for my $line ("If-Match: $::OTHER", 'If-None-Match: *') {
    is(request('OPTIONS', $::LIST, headers => [$line])->{status}, 200,
       "OPTIONS, $line");
    is(request('POST', '/purge?tag=campaigns', headers => [$line])->{body},
       "{\"moved\":[\"campaigns id=* creator_id=*\"]}\n", "a purge, $line");
}


=== TEST 3: a tag is found as a whole and in its own letters
--- config eval
SoftFactory::api(<<'CONF');
softfactory_cors_origin https://a.example;
location = /status { softfactory_status api; }
location = /gone { error_page 404 /api/review/campaigns?per_page=12; return 404; }
location = /fine { error_page 404 =200 /api/review/campaigns?per_page=12; return 404; }
CONF
--- check
wait_coherent();

my $id = get($::LIST)->{headers}{etag};

get($::LIST);

my $gz = get($::LIST, headers => ['Accept-Encoding: gzip'])->{headers}{etag};
my $many = join ', ', map { sprintf '"%032x"', $_ } 1 .. 150;


# said($path, $tags): status, coding and whose tag, for who wants gzip

sub said {
    my ($path, $tags) = @_;

    my $res = get($path, headers => ['Accept-Encoding: gzip',
                                     "If-None-Match: $tags"]);
    my $etag = $res->{headers}{etag} // 'none';

    return "$res->{status} "
           . ($res->{headers}{'content-encoding'} // 'none') . ' '
           . ($etag eq $gz ? 'gz' : $etag eq $id ? 'id' : $etag);
}

for ([$gz, '304 none gz'], ["W/$gz", '304 none gz'],
     ["$::OTHER, $gz", '304 none gz'], ["$many, $gz", '304 none gz'],
     ["$gz, $id", '304 none id'], [$id, '304 none id'], ['*', '304 none id'],
     ["$many,$id", '304 none id'], [$many, '200 gzip gz'],
     [",, ,$gz,,", '304 none gz'], ["\"a,b\", $gz", '304 none gz'],
     [uc $gz, '200 gzip gz'], ["x$gz", '200 gzip gz'],
     ["w/$gz", '200 gzip gz'], ["W/ $gz", '200 gzip gz'],
     ["W/W/$gz", '200 gzip gz'], ["$gz$gz", '200 gzip gz'],
     ["$gz;$gz", '200 gzip gz'], ["$::OTHER $gz", '200 gzip gz'],
     [substr($gz, 1, -1), '200 gzip gz'], ["*, $::OTHER", '200 gzip gz'],
     ["\"$gz\"", '200 gzip gz'], ['"' . substr($gz, 2), '200 gzip gz'])
{
    my ($tags, $want) = @$_;

    is(said($::LIST, $tags), $want,
       'If-None-Match: ' . (length $tags > 100 ? '(many)' : $tags));
}

# nothing validates an answer that is sent as an error

is(said('/fine', $gz), '304 none gz', 'what stands in for an error');
is(said('/gone', $_), '404 gzip gz', "as an error, $_") for $gz, $id, '*';

my $body = get($::LIST)->{body};

is(asked('/gone', "If-Match: $::OTHER"), "404 $body", 'nor refuses it');
is(get('/fine', headers => ["If-Match: $::OTHER"])->{status}, 412,
   'unless it is 200');

# nginx takes one line of it

is(get($::LIST, headers => ["If-None-Match: $gz", "If-None-Match: $id"])
   ->{status}, 400, 'two lines');


=== TEST 4: filters of bodies see the same, whether it was made or found
--- http_config eval: SoftFactory::conf(zone => 'api 8m')
--- config eval
SoftFactory::api(<<'CONF');
softfactory_gzip off;
location /sub/ {
    rewrite ^/sub(/.*) $1 break;
    softfactory_pass primary;
    sub_filter_types application/json;
    sub_filter "campaign" "CAMPAIGN";
    sub_filter_once off;
}
location /sub-gzip/ {
    rewrite ^/sub-gzip(/.*) $1 break;
    softfactory_pass primary;
    gzip on;
    gzip_types application/json;
    sub_filter_types application/json;
    sub_filter "campaign" "CAMPAIGN";
    sub_filter_once off;
}
location /added/ {
    rewrite ^/added(/.*) $1 break;
    softfactory_pass primary;
    addition_types application/json;
    add_after_body /tail;
    location /added/on/ {
        rewrite ^/added/on(/.*) $1 break;
        softfactory_gzip on;
        softfactory_pass primary;
    }
}
location /ssi/ {
    rewrite ^/ssi(/.*) $1 break;
    softfactory_pass primary;
    ssi on;
    ssi_types application/json;
}
location = /tail { return 200 "the tail"; }
location = /status { softfactory_status api; }
location = /purge { softfactory_purge api; }
CONF
--- check
wait_coherent();

my $body = get($::LIST)->{body};
my %want = (sub => $body =~ s/campaign/CAMPAIGN/gr,
            'sub-gzip' => $body =~ s/campaign/CAMPAIGN/gr,
            added => "${body}the tail", ssi => $body);

isnt($want{sub}, $body, 'there is something to replace');

# made, found and found again

for my $place (sort keys %want) {
    for my $coding ('gzip', 'identity') {
        request('POST', '/purge?tag=campaigns');

        for my $cache ('MISS', 'HIT', 'HIT') {
            my $res = get("/$place$::LIST", headers =>
                          ["Accept-Encoding: $coding"]);

            is($res->{headers}{'x-cache'}, $cache, "$place: $cache");
            is(plain($res), $want{$place}, "$place, $coding: the same");
            is($res->{headers}{'content-encoding'} // 'identity',
               $place eq 'sub-gzip' ? $coding : 'identity',
               "$place, $coding: compressed by nginx, or not");
        }
    }
}

# without the switch, the stored form is what they get

my $res = get("/added/on$::LIST", headers => ['Accept-Encoding: gzip']);

is($res->{headers}{'content-encoding'}, 'gzip', 'on: the stored form');
like(plain($res), qr/garbage|no gzip/, 'which cannot be added to');

# and where it is off nothing varies by what a client accepts

$res = get($::LIST, headers => ['Accept-Encoding: gzip']);
is($res->{headers}{'content-encoding'}, undef, 'off: as it is');
is($res->{headers}{vary}, undef, 'off: for everybody');
is(get($::LIST, headers => ['If-None-Match: ' . $res->{headers}{etag}])
   ->{status}, 304, 'off: its tag is good');


=== TEST 5: stored forms may be switched at any level
--- http_config eval: "softfactory_gzip off;\n" . SoftFactory::conf(zone => 'api 8m')
--- config eval
SoftFactory::api(<<'CONF');
location = /status { softfactory_status api; }
location /on/ {
    rewrite ^/on(/.*) $1 break;
    softfactory_gzip on;
    softfactory_pass primary;
}
CONF
--- check
wait_coherent();
get($::LIST);

is(get($_->[0], headers => ['Accept-Encoding: gzip'])
   ->{headers}{'content-encoding'} // 'none', $_->[1], $_->[0])
    for [$::LIST, 'none'], ["/on$::LIST", 'gzip'], [$::LIST, 'none'];

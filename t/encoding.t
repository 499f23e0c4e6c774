# Databases in other encodings than UTF-8: a text that such a database cannot
# hold is that of no row.  And who is to blame when a value does not fit: the
# client only for one of his.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
plan('no_plan');

our @ENCODINGS = qw(LATIN1 EUC_KR UTF8);
our %DB = map { $_ => encoded("sf_in_\L$_", $_) } @ENCODINGS;
our $EMOJI = '%F0%9F%98%80';

our $ROWS = <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       deadline, status, created_at)
VALUES (1, 1, 'one', 'p', 'food', '2999-01-01', 'active', 'yesterday');
INSERT INTO review_listings (id, source_platform, external_id, title, brand,
                             category, url, deadline, status, scraped_at)
VALUES (1, 'naver', 'e', 'title', 'b', 'food', 'u', '2999-01-01', 'active',
        'yesterday'),
       (2, 'dash', 'f', 'title', 'b', 'food', 'u', '2999-01-01', 'active',
        'yesterday');
INSERT INTO sns_accounts (id, user_id, platform, account_name)
VALUES (1, 1, 'blog', 'a');
INSERT INTO sns_posts (id, user_id, account_id, content, platform, status,
                       created_at)
VALUES (1, 1, 1, 'text', 'blog', 'draft', 'yesterday')
SQL

for my $db (values %DB) {
    psql($_, dbname => $db) for split /;\n/, $ROWS;
}


# encoded($name, $encoding): a database with the tables

sub encoded {
    my ($name, $encoding) = @_;

    my $db = scratch($name, "template0 ENCODING $encoding LC_COLLATE 'C'"
                            . " LC_CTYPE 'C'");
    psql('', dbname => $db, file => "$ENV{SF_TEST_SQL}/schema.sql");

    return $db;
}


# at($prefix, $upstream): the API below a prefix

sub at {
    my ($prefix, $upstream) = @_;

    return "location /$prefix/ {\n    rewrite ^/$prefix(/.*) \$1 break;\n"
           . "    softfactory_pass $upstream;\n}\n";
}

run_tests();

__DATA__

=== TEST 1: schema.sql loads in every encoding
--- check
for my $encoding (@::ENCODINGS) {
    my $db = $::DB{$encoding};

    is(psql('SELECT getdatabaseencoding()', dbname => $db), $encoding,
       "a database in $encoding");
    is(psql('SELECT count(*) FROM products', dbname => $db), 6,
       "$encoding: the products are there");
    is(psql('SELECT count(icon) FROM products', dbname => $db),
       $encoding eq 'UTF8' ? 6 : 0, "$encoding: icons where they can be");

    psql('', dbname => $db, file => "$ENV{SF_TEST_SQL}/schema.sql");
    psql('', dbname => $db, file => "$ENV{SF_TEST_SQL}/indexes.sql");
    install_notify($db);
    pass("$encoding: the other files load too");
}

is(psql("SELECT string_agg(encode(convert_to(icon, 'UTF8'), 'hex'), ' '
                           ORDER BY id) FROM products",
        dbname => $::DB{UTF8}),
   'f09f8db3 f09f93b1 e2ad90 f09fa496 f09f92bb f09f96bcefb88f',
   'the icons of the application');


=== TEST 2: a text that the database cannot hold is that of no row
--- http_config eval
CORE::join '', map { main::conf(name => "u$_", dbname => $::DB{$_}) } @::ENCODINGS
--- config eval
qq{softfactory_jwt_secret "$SoftFactory::SECRET";\n}
. "softfactory_token demo_token user=1 products=all;\n"
. CORE::join '', map { main::at($_, "u$_") } @::ENCODINGS
--- check
my %page = (current_page => 1, pages => 0, total => 0);
my $zeros = { map { $_ => 0 } qw(engagement followers impressions posts
                                 reach) };

for my $encoding (@::ENCODINGS) {
    for my $text ($::EMOJI, '%ff', 'a%F0%9F%98%80b%E2%98%83') {
        answers("/$encoding/api/review/campaigns?category=$text", 200,
                { %page, campaigns => [] });
        answers("/$encoding/api/review/listings?category=$text", 200,
                { %page, listings => [] });
        answers("/$encoding/api/review/listings?platform=$text", 200,
                { %page, listings => [] });
        answers("/$encoding/api/review/listings/search?q=x$text", 200,
                { %page, listings => [] });
        answers("/$encoding/api/sns/posts?status=$text", 200,
                { %page, posts => [] });

        my $doc = answers("/$encoding/api/sns/analytics?platform=$text", 200);
        is_deeply($doc->{data}{totals}, $zeros, 'sums of nothing');

        is(get("/$encoding/api/analytics/advanced?metric=$text")->{status},
           200, "$encoding: no such metric");
    }

    # the others of a list are looked for

    my $doc = answers("/$encoding/api/review/listings?platform=naver,"
                      . "$::EMOJI,dash", 200);
    is($doc->{total}, 2, 'items of a list that can be there');

    $doc = answers("/$encoding/api/review/campaigns?category=food", 200);
    is($doc->{total}, 1, 'a text that can be there');

    # characters of many kinds, one after the other

    answers("/$encoding/api/review/campaigns?category="
            . CORE::join('', map { sprintf '%%E2%%98%%%02X', $_ }
                             0x80 .. 0x9f),
            200, { %page, campaigns => [] });
}

is(log_count(qr/\[(?:error|warn)\]/), 0, 'nobody complains');


=== TEST 3: what cannot be told in UTF-8 is no client's fault
--- http_config eval: main::conf(dbname => $::DB{LATIN1})
--- config eval
SoftFactory::api() . <<'CONF'
location = /raise {
    softfactory_test_statement primary read 1 "SELECT public.raised($1)";
}
location = /own {
    softfactory_test_statement primary read 1 "SELECT public.raised('22P05')";
}
CONF
--- check
psql('CREATE OR REPLACE FUNCTION raised(code text) RETURNS int
      LANGUAGE plpgsql AS $$ BEGIN RAISE USING ERRCODE = substr(code, 1, 5);
      END $$', dbname => $::DB{LATIN1});

# outcomes: 6 is the client's, 9 is ours

my $outcome = sub { fetch($_[0])->{body} =~ /^outcome:(\d+) sqlstate:(\w+)/
                    ? "$1 $2" : 'none' };

is($outcome->('/raise?v=22P05'), '9 22P05', 'all that he says can be said');
is($outcome->('/own'), '9 22P05', 'he has said nothing');
is($outcome->("/raise?v=22003$::EMOJI"), '6 22003', 'another error of his');

for my $code (qw(22001 22003 22007 22008 22021 22023 22025 22P02 54001)) {
    is($outcome->("/raise?v=$code"), "6 $code", "$code with a value of his");
}

is($outcome->("/raise?v=$_"), "9 $_", "$_ is never his")
    for qw(22012 22004 2200F);
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 4: a value that is stored is no client's fault either
--- http_config eval
"softfactory_zone api 4m;\n" . main::conf(dbname => $::DB{UTF8})
--- config eval
SoftFactory::api() . "location = /metrics { softfactory_metrics; }\n"
--- check
my $amount = sub {
    psql("DELETE FROM payments", dbname => $::DB{UTF8});
    psql("INSERT INTO payments (user_id, product_id, amount, status,
                                created_at)
          SELECT 1, (SELECT min(id) FROM products), $_[0], 'completed',
                 localtimestamp - interval '1 day'
            FROM generate_series(1, 2)", dbname => $::DB{UTF8});
};

$amount->('1.7e308');

for my $path (qw(dashboard/kpis analytics/overview performance/roi
                 analytics/advanced))
{
    fails("/api/$path", 500, 'Internal server error',
          title => 'a sum beyond any double');
}

# he has said for how long

fails('/api/analytics/advanced?period=30', 400, 'Invalid parameter');

is(log_count(qr/\[error\].*22003/) > 0, 1, 'the log tells so');

my $metrics = get('/metrics', token => undef)->{body};

like($metrics, qr/^softfactory_db_errors_total\{[^}]*"failed"[^}]*\} [1-9]/m,
     'the metrics count it as ours');

$amount->('10');
is(get("/api/$_")->{status}, 200, "/api/$_ is there again")
    for qw(dashboard/kpis analytics/overview);
--- no_error_log
[alert]
[crit]
[emerg]

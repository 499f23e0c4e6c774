# Columns of other types than the application makes: the type decides what stands
# in the JSON.  Where an endpoint needs one type, another is refused aloud, by
# the endpoints that read it and by no others; so is a statement that PostgreSQL
# refuses.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
plan('no_plan');

our $DB = scratch('sf_types');
our $CAMPAIGN = '/api/review/campaigns';

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true),
       (2, 'y@x.test', '!', 'Name', 'user', false);
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       reward_value, max_reviewers, deadline, status,
                       created_at)
VALUES (1, 1, 'one', 'p', 'food', '50', 7, '2999-12-31 23:30:00.25',
        'active', '2026-03-01 00:00:00'),
       (2, 1, 'two', 'p', NULL, NULL, NULL, '2998-01-01 00:00:00', 'active',
        '2026-02-01 00:00:00');
INSERT INTO review_listings (id, source_platform, external_id, title, url,
                             reward_value, deadline, status, scraped_at)
VALUES (1, 's', '0f0e0d0c-0b0a-0908-0706-050403020100', 't', 'u', 1500,
        '2999-01-01', 'active', '2026-03-01 01:02:03');
INSERT INTO sns_accounts (id, user_id, platform, account_name, is_active,
                          created_at)
VALUES (1, 1, 'p', 'a', true, '2026-03-01'), (2, 1, 'p', 'b', false, NULL),
       (3, 1, 'p', 'c', NULL, NULL)
SQL


# lines of a block; and the response, or what the log says

our @NEEDS = (
    [q{sql "SELECT id, ROW(id, title) AS pair FROM $schema.campaigns";},
     'column "pair" is of type record, which JSON does not have: write '
     . 'to_json(pair) AS pair'],
    [q{sql "SELECT to_json(ROW(id, title)) AS pair FROM $schema.campaigns
             ORDER BY id";},
     '[{"pair":{"f1":1,"f2":"one"}},{"pair":{"f1":2,"f2":"two"}}]'],
    [q{sql "SELECT title FROM $schema.campaigns"; json '{"n": round(title, 1)}';},
     'column "title" is of type character varying, where a number is expected '
     . 'in round(): write a cast in SQL'],
    [q{sql "SELECT 2.55 AS n, 7 AS i"; json '{"n": round(n, 1), "i": round(i, 1)}';},
     '{"n":2.5,"i":7.0}'],
    [q{sql "SELECT localtimestamp AS t"; ttl off; json '{t: {"n": 1}}';},
     'column "t" is of type timestamp, where a string is expected as a key: '
     . 'write a cast in SQL'],
    [q{sql "SELECT id, max_reviewers AS n FROM $schema.campaigns ORDER BY id";
       json '{id: n}';}, '{"1":7,"2":null}'],
    [q{sql "SELECT title, id FROM $schema.campaigns"; check title 403 "No";},
     'column "title" is of type character varying, where a boolean is expected '
     . 'here: write a cast in SQL'],
    [q{sql "SELECT 1 AS fine, 2 AS n"; check fine 403 "No";}, '[{"n":2}]'],
    [q{page 1; sql "SELECT id FROM $schema.campaigns ORDER BY id $limit";
       total "SELECT max(title) FROM $schema.campaigns";
       json '{"total": $total}';}, 'column 1 of the total is no number'],
);


# altered($table, $column, $type, code): what holds while the column is of that
# type; behind " USING " an expression, in which "kept" is the value before

sub altered {
    my ($table, $column, $type, $code) = @_;

    my ($name, $using) = split / USING /, $type;

    $using //= "kept::$name";
    psql("ALTER TABLE $table RENAME $column TO kept;
          ALTER TABLE $table ADD $column $name;
          UPDATE $table SET $column = $using", dbname => $::DB);
    $code->();
    psql("ALTER TABLE $table DROP $column;
          ALTER TABLE $table RENAME kept TO $column", dbname => $::DB);
}


# field($path, $key): the bytes of each value of a key, joined by blanks; there
# is no document within a document that is a value

sub field {
    my ($path, $key) = @_;

    my $res = wait_until {
        my $res = get($path);
        $res->{status} != 503 && $res;
    } "$path is there", 5;

    return join ' ', $res->{body} =~ /"$key":("(?:[^"\\]|\\.)*"|\[.*?\]
                                           |\{.*?\}|[^,}]*)/gx;
}


# at($prefix, $upstream): the API below a prefix

sub at {
    my ($prefix, $upstream) = @_;

    return "location /$prefix/ {\n    rewrite ^/$prefix(/.*) \$1 break;\n"
           . "    softfactory_pass $upstream;\n}\n";
}


# refused($path, $line): 503 to each request, and one line in the log

sub refused {
    my ($path, $line, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    fails($path, 503, 'Endpoint unavailable', %o) for 1 .. 3;
    is(get($path, %o)->{headers}{'retry-after'}, 1, "$path with Retry-After");
    is(log_count($line), 1, "one line tells why: $line");
}


# broken($path, $words): 503 to each request, and PostgreSQL's words in the log,
# of which there is a line in a second at most

sub broken {
    my ($path, $words) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $line = qr/(?:failed|cannot be prepared): \Q$words\E/;

    fails($path, 503, 'Endpoint unavailable') for 1 .. 3;
    is(get($path)->{headers}{'retry-after'}, 1, "$path with Retry-After");
    wait_until { get($path)->{status} == 503 && log_count($line) }
               "the log says $words", 5;
}

run_tests();

__DATA__

=== TEST 1: the type of a column decides what is shown
--- http_config eval
main::conf(dbname => $::DB)
. main::conf(name => 'seoul', conninfo => "dbname=$::DB user=app "
             . "options='-c TimeZone=Asia/Seoul'")
. main::conf(name => 'kathmandu', conninfo => "dbname=$::DB user=app "
             . "options='-c TimeZone=Asia/Kathmandu'")
. main::conf(name => 'newyork', conninfo => "dbname=$::DB user=app "
             . "options='-c TimeZone=America/New_York'")
--- config eval
SoftFactory::api() . CORE::join '', map { main::at($_, $_) }
    qw(seoul kathmandu newyork)
--- check
my @cases = (
    ['campaigns', 'deadline', 'timestamp with time zone', $::CAMPAIGN,
     '"2999-12-31T23:30:00.250000+00:00" "2998-01-01T00:00:00+00:00"'],
    ['campaigns', 'created_at', 'timestamp with time zone',
     "$::CAMPAIGN/1", '"2026-03-01T00:00:00+00:00"'],
    ['campaigns', 'created_at', 'date', "$::CAMPAIGN/1", '"2026-03-01"'],
    ['campaigns', 'created_at', 'time', "$::CAMPAIGN/1", '"00:00:00"'],
    ['campaigns', 'created_at', "interval USING '1 day 02:03:04'",
     "$::CAMPAIGN/1", '"1 day 02:03:04"'],
    ['campaigns', 'created_at', 'text', "$::CAMPAIGN/1",
     '"2026-03-01 00:00:00"'],
    ['campaigns', 'deadline', 'date',
     $::CAMPAIGN, '"2999-12-31" "2998-01-01"'],
    ['campaigns', 'deadline', 'text', "$::CAMPAIGN/1",
     '"2999-12-31 23:30:00.25"'],
    (map { ['campaigns', 'max_reviewers', $_->[0], $::CAMPAIGN, $_->[1]] }
        ['bigint', '7 null'], ['smallint', '7 null'], ['numeric', '7 null'],
        ['oid', '7 null'], ['positive', '7 null'], ['text', '"7" null'],
        ['numeric(10,2)', '7.00 null'], ['double precision', '7.0 null'],
        ['real USING kept / 2.0', '3.5 null'],
        ['double precision USING 1e300', '1e+300 1e+300'],
        ["double precision USING 'NaN'", 'null null'],
        ["real USING '-Infinity'", 'null null'],
        ['numeric USING -12345678901234567890123456789012345678901234567.50',
         '-12345678901234567890123456789012345678901234567.50 '
         . '-12345678901234567890123456789012345678901234567.50'],
        ["numeric USING 'NaN'", 'null null'],
        ['bigint USING -9223372036854775808',
         '-9223372036854775808 -9223372036854775808']),
    ['review_listings', 'reward_value', 'numeric(10,2) USING kept + 0.5',
     '/api/review/listings', '1500.50'],
    ['review_listings', 'reward_value', 'numeric(10,2) USING kept + 0.5',
     '/api/review/listings/1', '1500.50'],
    (map { ['sns_accounts', 'is_active', "$_ USING kept::integer::$_",
            '/api/sns/accounts', '1 0 null'] }
        qw(smallint integer bigint numeric)),
    ['sns_accounts', 'is_active', 'text', '/api/sns/accounts',
     '"true" "false" null'],
    ['campaigns', 'category', 'text', $::CAMPAIGN, '"food" null'],
    ['campaigns', 'category', 'char(6)', $::CAMPAIGN, '"food  " null'],
    ['campaigns', 'category', 'kind', $::CAMPAIGN, '"food" null'],
    ['campaigns', 'category', 'text[] USING ARRAY[kept]', "$::CAMPAIGN/1",
     '["food"]'],
    ['campaigns', 'category', 'text[] USING ARRAY[kept]', "$::CAMPAIGN/2",
     '[null]'],
    ['campaigns', 'category', 'integer[] USING ARRAY[7, NULL]',
     "$::CAMPAIGN/1", '[7,null]'],
    ['campaigns', 'category', 'bytea USING convert_to(kept, \'UTF8\')',
     "$::CAMPAIGN/1", '"\\\\x666f6f64"'],
    ['campaigns', 'category', "pair USING '(7,x)'", "$::CAMPAIGN/1",
     '"(7,x)"'],
    ['campaigns', 'reward_value', 'integer', $::CAMPAIGN, '50 null'],
    ['campaigns', 'reward_value', 'jsonb', $::CAMPAIGN, '50 null'],
    ['campaigns', 'reward_value', q(jsonb USING '{"b": [1, 2.50], "a": "x"}'),
     "$::CAMPAIGN/1", '{"a": "x", "b": [1, 2.50]}'],
    ['campaigns', 'reward_value', q(json USING '{"b":[1,2.50],"a":"x"}'),
     "$::CAMPAIGN/1", '{"b":[1,2.50],"a":"x"}'],
    ['campaigns', 'title', "timestamp USING '2026-01-01'", "$::CAMPAIGN/1",
     '"2026-01-01T00:00:00"'],
    ['review_listings', 'external_id', 'uuid', '/api/review/listings/1',
     '"0f0e0d0c-0b0a-0908-0706-050403020100"'],
);

psql($_, dbname => $::DB)
    for "CREATE TYPE kind AS ENUM ('food', 'tech')",
        'CREATE TYPE pair AS (a integer, b text)',
        'CREATE DOMAIN positive AS integer CHECK (value > 0)';

for my $case (@cases) {
    my ($table, $column, $type, $path, $want) = @$case;

    altered($table, $column, $type, sub {
        is(field($path, $column), $want, "$table.$column as $type");

        # the session's zone makes no difference

        if ($type =~ /zone/) {
            is(field("/$_$path", $column), $want, "$type in $_")
                for qw(seoul kathmandu newyork);
        }
    });
}

# who may pass

altered('users', 'is_active', 'smallint USING kept::int', sub {
    my $path = '/api/review/my-applications';

    is(get($path, token => jwt(user_id => 1))->{status}, 200, 'one is true');
    is(get($path, token => jwt(user_id => 2))->{status}, 401,
       'zero is false');
});

is(log_count(qr/\[(?:error|warn)\]/), 0, 'nobody complains');


=== TEST 2: what a statement cannot do without is missed, by name
--- http_config eval: main::conf(dbname => $::DB)
--- config eval: SoftFactory::api()
--- check
my @cases = (
    ['campaigns', 'deadline', 'text', $::CAMPAIGN,
     '42883 function isfinite(text) does not exist'],
    ['campaigns', 'max_reviewers', 'text', "$::CAMPAIGN/1",
     '42804 COALESCE types text and integer cannot be matched'],
    ['payments', 'amount', 'text', '/api/analytics/overview',
     '42883 function sum(text) does not exist'],
);

for my $case (@cases) {
    my ($table, $column, $type, $path, $words) = @$case;

    wait_until { get($path)->{status} == 200 } "$path is there", 5;

    altered($table, $column, $type, sub {
        broken($path, $words);
        is(get('/api/review/listings')->{status}, 200, 'others are there');
    });

    wait_until { get($path)->{status} == 200 } 'it is answered again', 5;
}

psql('ALTER TABLE campaigns RENAME product_name TO product',
     dbname => $::DB);
broken("$::CAMPAIGN/1", '42703 column c.product_name does not exist');
psql('ALTER TABLE campaigns RENAME product TO product_name',
     dbname => $::DB);
wait_until { get("$::CAMPAIGN/1")->{status} == 200 } 'it is answered again', 5;

# nobody can pass: nobody is told that he is unknown

altered('users', 'is_active', 'text', sub {
    my $path = '/api/review/my-applications';

    refused($path, qr/ principal: column 1, "active", is of type text, where a boolean is expected/,
            token => jwt(user_id => 1));
    is(get($::CAMPAIGN, token => undef)->{status}, 200,
       'what is open is answered');
});

wait_until {
    get('/api/review/my-applications', token => jwt(user_id => 1))->{status}
    == 200;
} 'users are known again', 5;

is(log_count(qr/connection lost|does not match/), 0, 'connections stay');
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 3: what an endpoint needs in one type is refused in another, by name
--- http_config eval
my $n = 0;

main::conf(dbname => $::DB) . CORE::join '', map {
    $n++;
    "softfactory_endpoint needs_$n {\n    get /api/needs/$n;\n"
    . "    access public;\n    $_->[0]\n}\n";
} @::NEEDS
--- config eval: SoftFactory::api()
--- check
my $n = 0;

for (@::NEEDS) {
    my ($text, $want) = @$_;

    $n++;

    if ($want =~ /^[\[{]/) {
        is(get("/api/needs/$n")->{body}, "$want\n", $text =~ s/\s+/ /gr);
    } else {
        refused("/api/needs/$n", qr/\[error\].* needs_$n: \Q$want\E/);
    }
}

is(log_count(qr/connection lost|does not match/), 0, 'connections stay');
--- no_error_log
[alert]
[crit]
[emerg]

# Columns of other types than the application makes: one that has an obvious
# form in JSON is shown so, any other is refused aloud, by the endpoints that
# read it and by no others.

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


# foretold($table, $column): whether check=1 of notify.sql names the column

sub foretold {
    my ($table, $column) = @_;

    my (undef, $text) = command('psql', '-Xq', '-h', $ENV{SF_TEST_PG_DIR},
        '-p', $ENV{SF_TEST_PG_PORT}, '-U', 'app', '-d', $::DB, '-v',
        'check=1', '-f', "$ENV{SF_TEST_SQL}/notify.sql")->();

    return scalar grep { /^$table: column $column is of type / }
                  split /\n/, $text;
}


# field($path, $key): the bytes of each value of a key, joined by blanks

sub field {
    my ($path, $key) = @_;

    my $res = wait_until {
        my $res = get($path);
        $res->{status} != 503 && $res;
    } "$path is there", 5;

    return join ' ', $res->{body} =~ /"$key":("(?:[^"\\]|\\.)*"|[^,}]*)/g;
}


# at($prefix, $upstream): the API below a prefix

sub at {
    my ($prefix, $upstream) = @_;

    return "location /$prefix/ {\n    rewrite ^/$prefix(/.*) \$1 break;\n"
           . "    softfactory_pass $upstream;\n}\n";
}

run_tests();

__DATA__

=== TEST 1: types that have a form in JSON
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
    ['campaigns', 'deadline', 'timestamp with time zone',
     $::CAMPAIGN, '"2999-12-31T23:30:00.250000" "2998-01-01T00:00:00"'],
    ['campaigns', 'created_at', 'timestamp with time zone',
     "$::CAMPAIGN/1", '"2026-03-01T00:00:00"'],
    ['campaigns', 'created_at', 'date', "$::CAMPAIGN/1", '"2026-03-01"'],
    ['campaigns', 'deadline', 'date',
     $::CAMPAIGN, '"2999-12-31" "2998-01-01"'],
    (map { ['campaigns', 'max_reviewers', $_->[0], $::CAMPAIGN, $_->[1]] }
        ['bigint', '7 null'], ['smallint', '7 null'], ['numeric', '7 null'],
        ['numeric(10,2)', '7.00 null'], ['double precision', '7 null'],
        ['real USING kept / 2.0', '3.5 null'],
        ['double precision USING 1e300', '1e+300 1e+300'],
        ["double precision USING 'NaN'", 'null null'],
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
            '/api/sns/accounts', 'true false null'] }
        qw(smallint integer bigint)),
    ['campaigns', 'category', 'text', $::CAMPAIGN, '"food" null'],
    ['campaigns', 'category', 'char(6)', $::CAMPAIGN, '"food  " null'],
    ['campaigns', 'category', 'kind', $::CAMPAIGN, '"food" null'],
    ['campaigns', 'reward_value', 'integer', $::CAMPAIGN, '"50" null'],
    ['review_listings', 'external_id', 'uuid', '/api/review/listings/1',
     '"0f0e0d0c-0b0a-0908-0706-050403020100"'],
);

psql("CREATE TYPE kind AS ENUM ('food', 'tech')", dbname => $::DB);

for my $case (@cases) {
    my ($table, $column, $type, $path, $want) = @$case;

    altered($table, $column, $type, sub {
        is(field($path, $column), $want, "$table.$column as $type");
        is(foretold($table, $column), 0, "$table.$column as $type: nothing is said before");

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


=== TEST 2: any other type is refused, by name
--- http_config eval: main::conf(dbname => $::DB)
--- config eval: SoftFactory::api()
--- check
my @cases = (
    ['campaigns', 'deadline', 'text', "$::CAMPAIGN/1", 'review_campaign',
     'timestamp', $::CAMPAIGN . '/2'],
    ['campaigns', 'reward_value', 'jsonb', $::CAMPAIGN, 'review_campaigns',
     'string'],
    ['campaigns', 'title', "bytea USING '\\x00'", "$::CAMPAIGN/1",
     'review_campaign', 'string'],
    ['campaigns', 'title', "timestamp USING '2026-01-01'", "$::CAMPAIGN/1",
     'review_campaign', 'string'],
    ['campaigns', 'created_at', 'time', "$::CAMPAIGN/1", 'review_campaign',
     'timestamp'],
    ['campaigns', 'max_reviewers', 'text', $::CAMPAIGN, 'review_campaigns',
     'number'],
    ['campaigns', 'category', "text[] USING ARRAY[kept]", "$::CAMPAIGN/1",
     'review_campaign', 'string'],
    ['sns_accounts', 'is_active', 'text', '/api/sns/accounts', 'sns_accounts',
     'boolean'],
    ['sns_accounts', 'is_active', 'numeric USING 1', '/api/sns/accounts',
     'sns_accounts', 'boolean'],
);

for my $case (@cases) {
    my ($table, $column, $type, $path, $endpoint, $kind, $more) = @$case;

    altered($table, $column, $type, sub {
        my ($name) = split / USING /, $type;
        my $line = qr/\[error\].* $endpoint: column \d+, "$column", is of type /;
        $line = qr/$line\Q$name, where a $kind is expected\E/;
        my $before = log_count($line);

        for (1 .. 3) {
            fails($path, 503, 'Endpoint unavailable',
                  title => "$column as $name");
        }

        is(get($path)->{headers}{'retry-after'}, 1, 'with Retry-After');
        fails($more, 503, 'Endpoint unavailable') if $more;
        is(log_count($line) - $before, 1, 'one line tells why');
        is(foretold($table, $column), 1, 'so does check=1 before');
        is(get('/api/review/listings')->{status}, 200, 'others are there');
    });

    wait_until { get($path)->{status} == 200 } 'it is answered again', 5;
}

# nobody can pass: nobody is told that he is unknown

altered('users', 'is_active', "text", sub {
    fails('/api/review/my-applications', 503, 'Endpoint unavailable',
          token => jwt(user_id => 1));
    is(get($::CAMPAIGN, token => undef)->{status}, 200,
       'what is open is answered');
    is(log_count(qr/ principal: column 1, "is_active", is of type text, where /),
       1, 'one line tells why');
    is(foretold('users', 'is_active'), 1, 'so does check=1 before');
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

# What becomes of a statement: the lane that it takes, the time that it is said
# to have taken, what a request is told when it fails, and who may keep that.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

no_shuffle();
no_root_location();
plan('no_plan');

our $DB = scratch('sf_outcome');
our $CAMPAIGN = '/api/review/campaigns';

psql("INSERT INTO users (id, email, password_hash, name, role, is_active)
      VALUES (1, 'a\@x.test', '!', 'Name', 'user', true)", dbname => $DB);
psql("INSERT INTO campaigns (id, creator_id, title, product_name,
                             max_reviewers, deadline, status, created_at)
      SELECT n, 1, 'of ' || n, 'p', 10, 'tomorrow', 'active', 'yesterday'
        FROM generate_series(1, 2100) n", dbname => $DB);

# a campaign whose title is a SQLSTATE cannot be read

psql($_, dbname => $DB) for split /^;;\n/m, <<'SQL';
CREATE FUNCTION sf_raise(state varchar) RETURNS varchar LANGUAGE plpgsql AS $$
BEGIN
    IF state ~ '^[0-9A-Z]{5}$' THEN
        RAISE EXCEPTION 'raised for the test' USING ERRCODE = state;
    END IF;
    RETURN state;
END $$
;;
ALTER TABLE campaigns RENAME TO sf_campaigns
;;
CREATE VIEW campaigns AS
    SELECT id, creator_id, public.sf_raise(title)::varchar(200) AS title,
           product_name, description, category, reward_type, reward_value,
           max_reviewers, deadline, status, created_at
      FROM sf_campaigns
SQL

our %STATES = (
    40001 => [503, 'Conflict, try again'],
    '40P01' => [503, 'Conflict, try again'],
    '55P03' => [503, 'Conflict, try again'],
    42501 => [403, 'Forbidden'],
    '42P01' => [503, 'Endpoint unavailable'],
    53200 => [503, 'Database unavailable'],
    57014 => [504, 'Database timeout'],
    'XX000' => [500, 'Internal server error'],
    'P0001' => [500, 'Internal server error'],
);

our @STATES = sort keys %STATES;

psql("INSERT INTO sf_campaigns (id, creator_id, title, product_name,
          max_reviewers, deadline, status, created_at)
      VALUES (3000 + $_, 1, '$STATES[$_]', 'p', 10, 'yesterday', 'closed',
              'yesterday')", dbname => $DB) for 0 .. $#STATES;

SoftFactory::Live::log_statements($DB);


# lanes { ... }: of the statements that the server logs meanwhile, by the name
# of the session

sub lanes(&) {
    my ($code) = @_;

    my $file = "$ENV{SF_TEST_PG_DIR}/pg.log";
    my $from = -s $file;

    $code->();

    open my $in, '<', $file or die "$file: $!";
    seek $in, $from, 0;

    my @lanes = map { m{\] softfactory/(\w+) LOG:  execute } ? $1 : () } <$in>;

    return join ' ', sort @lanes;
}


defaults(http_config => conf(dbname => $DB),
         no_error_log => "[alert]\n[emerg]\n");

run_tests();

__DATA__

=== TEST 1: what a request is told, by what the database says
--- check
for my $n (0 .. $#::STATES) {
    my $state = $::STATES[$n];
    my ($status, $error) = @{$::STATES{$state}};

    fails("$::CAMPAIGN/" . (3000 + $n), $status, $error, title => $state);
}

answers("$::CAMPAIGN/1", 200, undef, title => 'the others are answered');


=== TEST 2: pages far behind are no business of the quick lane
--- check
my $page = sub {
    my ($n) = @_;

    return main::lanes { get("$::CAMPAIGN?per_page=50&page=$n") };
};

is($page->(2), 'read totals', 'the total has a lane of its own');
is($page->(40), 'read totals', 'the last one that is not');
is($page->(41), 'heavy totals', 'the first one that is');


=== TEST 3: Server-Timing says what the variables say
--- http_config eval
main::conf(dbname => $::DB, zone => 'api 8m')
--- config eval
main::api('add_header X-Db $softfactory_db_time always;')
--- check
my $wrong = '';

for my $id (1 .. 50) {
    my $res = get("$::CAMPAIGN/$id");
    my ($ms) = ($res->{headers}{'server-timing'} // '')
               =~ /\bdb;dur=(\d+\.\d{3})$/;

    $wrong .= "$id: $res->{head}\n"
        if !defined $ms || !$ms
           || sprintf('%.6f', $ms / 1000) ne $res->{headers}{'x-db'};
}

is($wrong, '', 'to a microsecond');


=== TEST 4: a list that asks for a token is nothing that others may keep
--- http_config eval
main::conf(dbname => $::DB, zone => 'api 8m')
--- config eval
main::api('softfactory_anonymous off;')
--- check
for my $path ($::CAMPAIGN, "$::CAMPAIGN/1", "$::CAMPAIGN/999999") {
    for my $token ('demo_token', undef) {
        my $res = get($path, token => $token);

        is($res->{headers}{'cache-control'}, 'private, no-cache',
           "$res->{status} $path, token " . ($token // 'none'));
    }
}


=== TEST 5: one that asks for none is
--- check
is(get($_, token => undef)->{headers}{'cache-control'}, 'public, no-cache', $_)
    for $::CAMPAIGN, "$::CAMPAIGN/1", "$::CAMPAIGN/999999";

# Whose names a statement finds: tables of the schema that the upstream names,
# and of PostgreSQL's own what else it uses, whoever has put what into the
# schema; and what the module may read with the privileges of the manual.
#
# The databases are copies of the demo data.  In one of them a role without
# privileges has defined operators, functions and aggregates in public, for
# every pair of types that our columns and constants have.  They would be
# preferred to PostgreSQL's own wherever those take other types; each warns
# when it is called, and a comparison by it is always true.

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

our ($CLEAN, $EVIL, $MOVED, $GRANTS) =
    map { scratch("sf_names_$_", 'softfactory') } qw(clean evil moved grants);
our ($INTRUDER, $READER) = ('sf_names_intruder', 'sf_names_reader');
our $SCHEMA = 'My "own" schema';
our $STOLEN = 'sf_names: foreign code as';


# super($dbname, $sql): as the superuser, whom no privilege of ours concerns

sub super {
    my ($dbname, $sql) = @_;

    return psql($sql, dbname => $dbname, user => 'postgres');
}


super('postgres', "DROP ROLE IF EXISTS $INTRUDER, $READER");
super('postgres', "CREATE ROLE $INTRUDER");

END {
    local $?;

    super('postgres', "DROP DATABASE IF EXISTS $_ WITH (FORCE)")
        for $EVIL, $GRANTS;
    super('postgres', "DROP ROLE IF EXISTS $INTRUDER, $READER");
}


# the right to create, as PostgreSQL 14 and older give it to everybody

super($EVIL, 'GRANT CREATE ON SCHEMA public TO PUBLIC');
super($EVIL, <<"SQL");
SET ROLE $INTRUDER;
SET search_path = pg_catalog;
DO \$do\$
DECLARE
    types CONSTANT text[] := '{varchar,text,bool,int4,int8,numeric,float8,
        date,timestamp,interval,varchar[],text[]}';
    body CONSTANT text := ' LANGUAGE plpgsql AS \$b\$ BEGIN
        RAISE WARNING ''$STOLEN %'', current_user; RETURN ';
    l text; r text; o text;
BEGIN
    FOREACH l IN ARRAY types LOOP
        FOREACH r IN ARRAY types LOOP
            EXECUTE format('CREATE FUNCTION public.yes(%s, %s) RETURNS bool',
                           l, r) || body || 'true; END \$b\$';
            EXECUTE format('CREATE FUNCTION public.same(%1\$s, %2\$s)
                           RETURNS %1\$s', l, r) || body || '\$1; END \$b\$';

            FOREACH o IN ARRAY ARRAY['=', '<>', '<', '>', '<=', '>=', '~~',
                                     '!~~', '~~*', '!~~*'] LOOP
                EXECUTE format('CREATE OPERATOR public.%s (leftarg = %s,
                               rightarg = %s, function = public.yes)',
                               o, l, r);
            END LOOP;

            FOREACH o IN ARRAY ARRAY['+', '-', '*', '/', '%', '||'] LOOP
                EXECUTE format('CREATE OPERATOR public.%s (leftarg = %s,
                               rightarg = %s, function = public.same)',
                               o, l, r);
            END LOOP;

            FOREACH o IN ARRAY ARRAY['left', 'to_char', 'date_trunc', 'mod',
                'generate_series', 'format', 'convert_to', 'decode', 'round',
                'array_position', 'concat'] LOOP
                EXECUTE format('CREATE FUNCTION public.%1\$I(%2\$s, %3\$s)
                               RETURNS %2\$s', o, l, r)
                        || body || '\$1; END \$b\$';
            END LOOP;
        END LOOP;

        FOREACH o IN ARRAY ARRAY['floor', 'isfinite', 'lower', 'length',
                                 'unnest', 'to_regclass', 'quote_ident'] LOOP
            EXECUTE format('CREATE FUNCTION public.%1\$I(%2\$s)
                           RETURNS %2\$s', o, l) || body || '\$1; END \$b\$';
        END LOOP;

        EXECUTE format('CREATE FUNCTION public.next(int8, %s) RETURNS int8', l)
                || body || '\$1; END \$b\$';
        EXECUTE format('CREATE FUNCTION public.next(int8, %s, text)
                       RETURNS int8', l) || body || '\$1; END \$b\$';

        FOREACH o IN ARRAY ARRAY['count', 'max', 'min', 'sum', 'array_agg',
                                 'bit_or'] LOOP
            EXECUTE format('CREATE AGGREGATE public.%I(%s) (sfunc =
                           public.next, stype = int8)', o, l);
        END LOOP;

        EXECUTE format('CREATE AGGREGATE public.string_agg(%s, text) (sfunc =
                       public.next, stype = int8)', l);
    END LOOP;
END \$do\$
SQL

super($MOVED, qq{ALTER SCHEMA public RENAME TO "My ""own"" schema";
                 CREATE SCHEMA public});


# the block of the manual that begins with the word REVOKE, and what it says of
# the channel

super($GRANTS, grants());
psql('', dbname => $GRANTS, set => "role=$READER",
     file => "$ENV{SF_TEST_SQL}/softfactory-tables.sql");

sub grants {
    my $manual = 'conf/postgresql/README.md';

    open my $in, '<', $manual or die "$manual: $!";
    local $/;

    my ($sql) = <$in> =~ /^```sql\n(REVOKE CREATE ON SCHEMA.*?)^```$/ms
        or die "$manual has no grants";

    $sql =~ s/\bapp\b/$READER/g;
    $sql =~ s/DATABASE softfactory\b/DATABASE $GRANTS/;

    return $sql;
}


# stolen { ... }: how often foreign code has been run meanwhile

sub stolen(&) {
    my ($code) = @_;

    my $file = "$ENV{SF_TEST_PG_DIR}/pg.log";
    my $from = -s $file;

    $code->();

    open my $in, '<', $file or die "$file: $!";
    seek $in, $from, 0;

    return scalar grep { /\Q$STOLEN\E/ } <$in>;
}


# at($prefix, $upstream): the API once more, by another upstream

sub at {
    my ($prefix, $upstream) = @_;

    return <<"CONF";
location $prefix/ {
    rewrite ^$prefix(/.*) \$1 break;
    softfactory_pass $upstream;
}
CONF
}


# every endpoint that has a statement, and each filter of theirs; user 1 may
# see the applications to a campaign of his

our $OWN = psql('SELECT min(id) FROM campaigns WHERE creator_id = 1',
                dbname => $CLEAN);

our @PATHS = (
    (map { $_->{path} =~ s/\{id\}/$OWN/r }
     grep { $_->{sql} && $_->{name} ne 'review_listings_search' } endpoints()),

    map({ "/api/review/campaigns?$_" }
        qw(category=beauty category=nothing page=2&per_page=3)),
    map({ "/api/review/listings?$_" }
        qw(category=food category=nothing platform=revu reward_type=cash
           min_reward=1 max_reward=50000 sort_by=reward_value sort_by=created
           page=2),
        'platform=revu,inflexer',
        'category=food&platform=a,b&reward_type=x&min_reward=5'),
    map({ "/api/review/listings/search?q=$_" } qw(fo food nothing)),
    map({ "/api/sns/posts?$_" } qw(status=draft status=nothing account_id=1)),
    map({ "/api/sns/analytics?$_" }
        qw(platform=instagram start_date=2025-01-01&end_date=2026-12-31)),
    map({ "/api/analytics/advanced?$_" } qw(period=3 metric=nothing)),
);


# told($prefix, $token): what all of them answer, but for the times of points

sub told {
    my ($prefix, $token) = @_;

    return { map {
        my $res = get("$prefix$_", token => $token);
        $res->{body} =~ s/"timestamp":"[^"]*"/"timestamp":""/g;
        $_ => "$res->{status} $res->{body}";
    } @PATHS };
}


# user 1, who has all products, and one who has none

our @USERS = map { jwt(user_id => 0 + psql($_, dbname => $CLEAN)) } 'SELECT 1',
    "SELECT min(id) FROM users u WHERE is_active AND NOT EXISTS (SELECT
       FROM subscriptions s WHERE s.user_id = u.id AND s.status = 'active')";

defaults(
    http_config => conf(dbname => $CLEAN, zone => 'api 16m')
        . conf(name => 'evil', dbname => $EVIL)
        . conf(name => 'moved', dbname => $MOVED, schema => $SCHEMA)
        . conf(name => 'grants', dbname => $GRANTS, user => $READER),
    config => api(operators('api'), at('/evil', 'evil'), at('/moved', 'moved'),
                  at('/grants', 'grants'),
                  'location = /live { softfactory_live; }',
                  'location = /metrics { softfactory_metrics; }'));

run_tests();

__DATA__

=== TEST 1: operators, functions and aggregates of a stranger are not found
--- check
my @want = map { main::told('', $_) } @::USERS;

cmp_ok(main::stolen(sub {
    psql("SET search_path = public; SELECT count(*) FROM users
          WHERE name = 'nobody'::varchar", dbname => $::EVIL);
}), '>', 0, 'they would be found by search_path');

is(main::stolen(sub {
    wait_coherent(upstream => 'evil');
    is_deeply(main::told('/evil', $::USERS[0]), $want[0],
              'a user with all products');
    is_deeply(main::told('/evil', $::USERS[1]), $want[1],
              'a user without a product');
}), 0, 'no foreign code was run');

is_deeply([grep { $want[0]{$_} !~ /^200 / } sort keys %{$want[0]}], [],
          'all were 200');
like($want[1]{'/api/sns/accounts'}, qr/^403 /, 'and a gate shut');


=== TEST 2: the tables may be in a schema of any name
--- check
wait_coherent(upstream => 'moved');
is_deeply(main::told('/moved', $_), main::told('', $_), 'a user')
    for @::USERS;


=== TEST 3: the grants of the manual are enough for all endpoints
--- check
wait_coherent(upstream => 'grants');
is_deeply(main::told('/grants', $_), main::told('', $_), 'a user')
    for @::USERS;

for my $secret (qw(users.password_hash users.totp_secret users.reset_token
                   sns_accounts.access_token sns_accounts.refresh_token
                   review_accounts.credentials_enc
                   payments.stripe_payment_id))
{
    my ($table, $column) = split /\./, $secret;

    is(psql("SELECT has_column_privilege('$::READER', '$table', '$column',
                                         'SELECT')",
            dbname => $::GRANTS), 'f', "and do not give $secret");
}


=== TEST 4: roles that may create in the schema are told, once
--- check
wait_coherent(upstream => $_) for qw(primary evil moved grants);

# live($reasons): waits until these are the reasons of /live

sub live {
    my ($reasons) = @_;

    wait_until { get('/live')->{body} =~ /"reasons":\[\Q$reasons\E\]/ }
               "the reasons to be [$reasons]", 15;
}

# creators(): of each upstream, as the status and the metrics have it

sub creators {
    my %n = map { $_->{upstream} => $_->{creators} }
            @{zone_status()->{sources}};
    my %m = get('/metrics')->{body}
            =~ /^softfactory_listener_schema_creators\{.*upstream="(\w+)"\} (\d+)$/mg;

    is_deeply(\%m, \%n, 'the metrics are those of the status');
    return \%n;
}

live('"privileges"');
is_deeply(creators(), { primary => 0, evil => 1, moved => 0, grants => 0 },
          'everybody, in one of them');
is(log_count(qr/"evil": 1 beside its owner may create objects in schema/), 1,
   'the log says so');
is(log_count(qr/schema "public", among them "PUBLIC"; see/), 1, 'and who');

main::super($::EVIL, qq{CREATE SCHEMA other;
    GRANT CREATE ON SCHEMA other TO PUBLIC;
    GRANT CREATE ON SCHEMA public TO $::INTRUDER, postgres});
wait_until { SoftFactory::Live::source('evil')->{creators} == 2 }
           'one more, and a superuser, who is none', 15;

main::super($::EVIL, qq{REVOKE CREATE ON SCHEMA public FROM PUBLIC,
                        $::INTRUDER});
live('');
is(creators()->{evil}, 0, 'nobody else');
is(log_count(qr/\[warn\].*may create objects/), 2, 'two lines');
is(log_count(qr/\[notice\].*nobody else may create objects/), 1,
   'and one that it is over');

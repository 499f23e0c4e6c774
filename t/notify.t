# What the triggers of conf/postgresql/softfactory-tables.sql tell a session
# that listens, whoever writes and however; and what the file says, does and
# leaves alone.  t/watch.t has tables of one's own.
#
# nginx has no part in this.  The scratch database has the application's tables
# in the schema public; each check that needs other ones makes a schema with
# tables of the same names, and has them found by search_path.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Told;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
plan('no_plan');

our $DB = told_in(scratch('sf_notify'));
our $SQL = "$ENV{SF_TEST_SQL}/softfactory-tables.sql";
our $REMOVE = "$ENV{SF_TEST_SQL}/softfactory-remove.sql";

our @ROLES = qw(sf_notify_owner sf_notify_writer sf_notify_nobody);

my $self = $$;

as_super("DROP ROLE IF EXISTS $_") for @ROLES;
as_super("CREATE ROLE $_ LOGIN") for @ROLES;

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
SELECT n, n || '@x.test', '!', 'Name', 'user', true
  FROM generate_series(1, 200) n;
INSERT INTO campaigns (id, creator_id, title, product_name, max_reviewers,
                       deadline, status, created_at)
SELECT n, n % 3 + 1, 'of ' || n, 'p', 10, 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 10) n;
INSERT INTO campaign_applications (id, campaign_id, user_id, message)
SELECT n, n, n, 'please' FROM generate_series(1, 5) n;
INSERT INTO subscriptions (id, user_id, product_id) VALUES (1, 1, 1);
INSERT INTO payments (id, user_id, product_id, amount, currency, status)
VALUES (1, 1, 1, 0.0, 'USD', 'completed');
INSERT INTO review_listings (id, source_platform, external_id, title,
                             requirements, applied_accounts)
SELECT n, 'p', n, 't', '{}', '[]' FROM generate_series(1, 3) n;
INSERT INTO review_accounts (id, user_id, platform, account_name)
VALUES (1, 1, 'p', 'a');
INSERT INTO review_applications (id, listing_id, account_id) VALUES (1, 1, 1);
INSERT INTO review_bookmarks (id, user_id, listing_id) VALUES (1, 1, 1);
INSERT INTO sns_accounts (id, user_id, platform, account_name)
VALUES (1, 1, 'p', 'a'), (2, 2, 'p', 'b');
INSERT INTO sns_posts (id, user_id, account_id, content, platform)
SELECT n, n % 2 + 1, n % 2 + 1, 'c', 'p' FROM generate_series(1, 10) n;
INSERT INTO sns_analytics (id, user_id, account_id, date)
VALUES (1, 1, 1, 'today')
SQL


sub as_super {
    my ($sql, %o) = @_;

    return psql($sql, dbname => 'postgres', user => 'postgres', %o);
}


# run_file($file, %options): (status, output) of psql.  Options: dbname, user,
# path (search_path), and tables, check as they are given to the file

sub run_file {
    return start_file(@_)->();
}


sub start_file {
    my ($file, %o) = @_;

    local $ENV{PGOPTIONS} = '-c search_path=' . ($o{path} // 'public');

    return command('psql', '-X', '-v', 'ON_ERROR_STOP=1',
                   '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT},
                   '-U', $o{user} // 'app', '-d', $o{dbname} // $DB,
                   (map { ('-v', "$_=$o{$_}") }
                    grep { defined $o{$_} } qw(tables check)),
                   '-f', $file);
}


# runs($title, $file, $status, $output, %options): one test of both; what psql
# says of a file and line is left out

sub runs {
    my ($title, $file, $status, $output, %o) = @_;

    my ($got, $text) = run_file($file, %o);

    $text =~ s/^psql:\S+: //mg;
    is("$got\n$text", "$status\n$output", $title);
}


sub installs {
    my ($title, %o) = @_;

    runs($title, $SQL, 0, '', %o);
}


# states($title, $status, $lines, %options): of check=1, and channel

sub states {
    my ($title, $status, $lines, %o) = @_;

    $lines .= 'channel: ' . ($o{channel} // 'ok') . "\n";
    $lines .= "ERROR:  not all triggers are there\n" if $status;
    runs($title, $SQL, $status, $lines, check => 1, %o);
}


# in_schema($name, $sql): a schema with those tables, first in the path of the
# session that listens until in_schema() without a name

sub in_schema {
    my ($name, $sql) = @_;

    psql("CREATE SCHEMA IF NOT EXISTS $name", dbname => $DB) if $name;
    told('SET search_path = ' . ($name ? "$name, public" : 'public'));
    psql($_, dbname => $DB) for split /;\n/, $sql // '';
}


# argument($table): what its triggers have for an argument

sub argument {
    my ($name) = @_;

    my ($t) = grep { $_->{name} eq $name } described('tables');
    my %seen;

    return join "\n", "table $name", map({ "key $_" } @{$t->{keys}}),
        map { "column $_" } grep { !$seen{$_}++ } 'id', @{$t->{keys}},
                                                  @{$t->{columns}};
}


# all_states($state): a line for each table of the list

sub all_states {
    my ($state) = @_;

    return join '', map { "$_->{name}: $state\n" } described('tables');
}


# triggers(): all there is of them, with what a change would change

sub triggers {
    return psql(<<'SQL', dbname => $DB);
SELECT coalesce(string_agg(concat_ws(' ', tgrelid::regclass, tgname, t.oid,
                                     t.xmin, tgenabled, p.oid, p.xmin),
                           e'\n' ORDER BY t.oid), '')
  FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid
 WHERE tgname LIKE 'softfactory%'
SQL
}


sub leftovers {
    return psql(<<'SQL', dbname => $DB);
SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'softfactory%')
       || ' triggers, '
       || (SELECT count(*) FROM pg_proc WHERE proname LIKE 'softfactory%')
       || ' functions'
SQL
}


END {
    local $?;

    if ($$ == $self) {
        end_listeners();
        as_super("DROP DATABASE IF EXISTS $DB WITH (FORCE)");
        as_super("DROP ROLE IF EXISTS $_") for @ROLES;
    }
}


run_tests();

__DATA__

=== TEST 1: a statement tells which rows it has changed
--- check
states('nothing is there yet', 3,
       join('', map { "$_->{name}: missing on public.$_->{name}"
                      . " (insert delete update truncate)\n" }
                described('tables')), channel => 'missing');
installs('the file makes what is missing');
states('all is there', 0, all_states('ok'));

for (described('tables')) {
    is(psql("SELECT string_agg(DISTINCT encode(tgargs, 'escape'), ' ')
               FROM pg_trigger WHERE tgrelid = '$_->{name}'::regclass
                                 AND NOT tgisinternal", dbname => $::DB),
       argument($_->{name}) . '\\000',
       "$_->{name}: what is told is in the argument");
}

my $new = "(creator_id, title, product_name, deadline) SELECT %s, 't', 'p',"
          . " 'tomorrow'";

psql("SELECT setval('campaigns_id_seq', 100)", dbname => $::DB);

is(told('INSERT INTO campaigns ' . sprintf $new, 2),
   'campaigns id=101 creator_id=2', 'one row');
is(told('INSERT INTO campaigns ' . sprintf("$new FROM generate_series(1, 4) n",
                                           'n % 2 + 1')),
   'campaigns id=102,103,104,105 creator_id=1,2', 'four rows of two users');
is(told('INSERT INTO campaigns ' . sprintf "$new WHERE false", 1), '',
   'no row');

is(told("UPDATE campaigns SET title = 'new' WHERE id = 1"),
   'campaigns id=1 creator_id=2', 'a column that is read');
is(told("UPDATE campaigns SET title = 'new' WHERE id = 1"), '',
   'the value that is there already');
is(told("UPDATE campaigns SET title = 'new' WHERE id IN (1, 2, 3)"),
   'campaigns id=2,3 creator_id=1,3', 'only rows that have changed count');
is(told("UPDATE campaigns SET title = 'x' WHERE id = 0"), '', 'no such row');
is(told('UPDATE campaigns SET category = NULL WHERE id < 4'), '',
   'NULL for NULL');
is(told("UPDATE campaigns SET category = 'c' WHERE id = 1"),
   'campaigns id=1 creator_id=2', 'a value for NULL');
is(told('UPDATE campaigns SET category = NULL WHERE id = 1'),
   'campaigns id=1 creator_id=2', 'NULL for a value');
is(told('UPDATE campaigns SET creator_id = 5 WHERE id = 1'),
   'campaigns id=1 creator_id=2,5', 'a key, before and after');
is(told('UPDATE campaigns SET id = 1001 WHERE id = 101'),
   'campaigns id=101,1001 creator_id=2', 'an id, before and after');

is(told('DELETE FROM campaigns WHERE id > 102'),
   'campaigns id=103,104,105,1001 creator_id=1,2', 'rows that go');
is(told('DELETE FROM campaigns WHERE id > 10000'), '', 'none goes');

is(told('INSERT INTO payments (id, user_id, product_id, amount)'
        . ' VALUES (2, 1, 1, 2)'), 'payments', 'a table without keys: a row');
is(told('INSERT INTO payments (id, user_id, product_id, amount)'
        . ' SELECT 3, 1, 1, 2 WHERE false'), '', 'none');
is(told('UPDATE payments SET amount = 3 WHERE amount = 2'), 'payments',
   'a change');
is(told('UPDATE payments SET amount = 3 WHERE amount = 3'), '', 'no change');
is(told("UPDATE payments SET amount = '-0' WHERE amount = 0"), 'payments',
   'another value, though it is equal');
is(told('DELETE FROM payments WHERE amount = 3'), 'payments', 'one goes');
is(told('DELETE FROM payments WHERE amount = 3'), '', 'none goes');
is(told('TRUNCATE payments'), 'payments', 'all go');

is(told('BEGIN; UPDATE users SET name = 1 WHERE id = 1; ROLLBACK'), '',
   'what is rolled back');
is(told("BEGIN; UPDATE users SET name = 1 WHERE id = 1; SAVEPOINT s;
         UPDATE users SET name = 1 WHERE id = 2; ROLLBACK TO s;
         UPDATE users SET name = 1 WHERE id IN (4, 3); COMMIT"),
   'users id=1; users id=3,4', 'one for each statement that stays');
is(told('TRUNCATE campaigns CASCADE'),
   'campaigns id=* creator_id=*; campaign_applications campaign_id=* '
   . 'user_id=*', 'TRUNCATE, and what it takes with it');

my $many = 'UPDATE users SET name = name || 1 WHERE id <= %d';

is(told(sprintf $many, 100), 'users id=' . join(',', 1 .. 100),
   'a hundred values');
is(told(sprintf $many, 101), 'users id=*', 'more than a hundred');
is(told("WITH u AS (UPDATE users SET name = 'same')
         UPDATE sns_posts SET content = 'same'"),
   'sns_posts user_id=1,2; users id=*', 'many rows with few values');
is(told("UPDATE users SET id = id + 1000 WHERE id BETWEEN 150 AND 199"),
   'users id=' . join(',', 150 .. 199, 1150 .. 1199),
   'fifty before, fifty after');
is(told("UPDATE users SET id = id - 1000, name = id WHERE id > 1000 OR id = 3"),
   'users id=*', 'and one more');


=== TEST 2: every column of the list, and no other, makes a change of a row
--- check
my %other = (
    boolean => 'NOT coalesce(%s, false)',
    integer => 'coalesce(%s, 0) + 1000',
    json => q('{"n":1}'),
    'double precision' => 'coalesce(%s, 0) + 1',
);

psql("INSERT INTO campaigns (id, creator_id, title, product_name, deadline)
      VALUES (1, 1, 't', 'p', 'today')", dbname => $::DB);
psql("INSERT INTO payments (id, user_id, product_id, amount)
      VALUES (1, 1, 1, 1)", dbname => $::DB);
psql("INSERT INTO campaign_applications (id, campaign_id, user_id, message)
      VALUES (1, 1, 1, 'm')", dbname => $::DB);

for my $t (described('tables')) {
    my $id = psql("SELECT min(id) FROM $t->{name}", dbname => $::DB);
    my %is_key = map { $_ => 1 } @{$t->{keys}};
    my %read = map { $_ => 1 } 'id', @{$t->{keys}}, @{$t->{columns}};
    my (@silent, @loud);

    for (split /\n/, psql("SELECT column_name, data_type
                             FROM information_schema.columns
                            WHERE table_schema = 'public'
                              AND table_name = '$t->{name}'", dbname => $::DB))
    {
        my ($column, $type) = split /\|/;
        my $value = $other{$type} // ($type =~ /^(?:date|time)/
                                      ? "coalesce(%s, now()) + '1 day'"
                                      : "left(md5(coalesce(%s, '')), 3)");
        $value =~ s/%s/$column/;

        my $told = told("BEGIN; SET LOCAL session_replication_role = replica;
                         UPDATE $t->{name} SET $column = $value
                          WHERE id = $id; COMMIT");

        if ($told eq '') {
            push @silent, $column;
        } else {
            push @loud, $column;
            is($told =~ /^$t->{name}( \w+=-?\d+(,\d+)?)*$/
               && (!$is_key{$column} || $told =~ / $column=-?\d+,\d+/), 1,
               "$t->{name}.$column: $told");
        }

        $id = $id + 1000 if $column eq 'id';
        delete $read{$column} if $told ne '';
    }

    is(join(' ', sort keys %read), '', "$t->{name}: none is missed");
    is(scalar @loud, 1 + @{$t->{columns}} + grep({ $_ ne 'id' } @{$t->{keys}}),
       "$t->{name}: silent are @silent");
}


=== TEST 3: no matter which role writes, and how
--- check
my $row = "(id, creator_id, title, product_name, deadline)";

is(told("COPY campaigns $row FROM stdin;\n"
        . "11\t3\tt\tp\ttoday\n12\t4\tt\tp\ttoday\n\\."),
   'campaigns id=11,12 creator_id=3,4', 'COPY');
is(told("COPY campaigns $row FROM stdin;\n\\."), '', 'COPY of nothing');

my $upsert = "INSERT INTO campaigns $row VALUES (%d, 5, 't', 'p', 'today'),"
             . " (11, 5, 't', 'p', 'today') ON CONFLICT (id)";

is(told(sprintf "$upsert DO UPDATE SET creator_id = 5", 13),
   'campaigns id=11 creator_id=3,5; campaigns id=13 creator_id=5',
   'ON CONFLICT DO UPDATE of one, and one that is new');
is(told(sprintf "$upsert DO UPDATE SET creator_id = 5", 13), '',
   'DO UPDATE with the values that are there');
is(told(sprintf "$upsert DO NOTHING", 13), '', 'DO NOTHING');

if (psql('SHOW server_version_num') >= 150000) {
    is(told("MERGE INTO campaigns c
             USING (VALUES (11), (12), (14)) v (id) ON v.id = c.id
              WHEN MATCHED AND v.id = 11 THEN UPDATE SET title = 'merged'
              WHEN MATCHED THEN DELETE
              WHEN NOT MATCHED THEN INSERT $row
                   VALUES (v.id, 6, 't', 'p', 'today')"),
       'campaigns id=12 creator_id=4; campaigns id=11 creator_id=5; '
       . 'campaigns id=14 creator_id=6', 'MERGE');
} else {
    told("DELETE FROM campaigns WHERE id = 12;
          INSERT INTO campaigns $row VALUES (14, 6, 't', 'p', 'today')");
}

is(told("WITH a AS (UPDATE campaigns SET title = 'a' WHERE id = 13),
              b AS (UPDATE campaigns SET title = 'b' WHERE id = 14)
         DELETE FROM campaigns WHERE id = 11"),
   'campaigns id=11 creator_id=5; campaigns id=13,14 creator_id=5,6',
   'several parts of one statement');

told('CREATE VIEW sf_view AS SELECT * FROM campaigns');
is(told("UPDATE sf_view SET title = 'view' WHERE id = 13"),
   'campaigns id=13 creator_id=5', 'through a view');
told('DROP VIEW sf_view');

is(told("BEGIN; SET LOCAL session_replication_role = replica;
         DELETE FROM campaigns WHERE id = 14;
         INSERT INTO campaigns $row VALUES (14, 6, 't', 'p', 'today');
         UPDATE campaigns SET creator_id = 7 WHERE id = 14; COMMIT"),
   'campaigns id=14 creator_id=6; campaigns id=14 creator_id=6,7',
   'session_replication_role = replica');

# one that may write, and nothing else: not even see what it has written

as_super($_, dbname => $::DB) for split /;\n/, <<'SQL';
GRANT USAGE ON SCHEMA public TO sf_notify_writer;
GRANT INSERT, DELETE, UPDATE ON campaigns TO sf_notify_writer;
GRANT SELECT (id) ON campaigns TO sf_notify_writer;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM public;
ALTER TABLE campaigns ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON campaigns USING (id < 20) WITH CHECK (true)
SQL

is(told("SET ROLE sf_notify_writer;
         INSERT INTO campaigns $row VALUES (20, 7, 't', 'p', 'today');
         UPDATE campaigns SET title = 'writer' WHERE id = 14;
         DELETE FROM campaigns WHERE id = 14; RESET ROLE"),
   'campaigns id=20 creator_id=7; campaigns id=14 creator_id=7; '
   . 'campaigns id=14 creator_id=7', 'by a role that may do no more');

as_super($_, dbname => $::DB) for split /;\n/, <<'SQL';
DROP POLICY one ON campaigns;
ALTER TABLE campaigns DISABLE ROW LEVEL SECURITY;
DROP OWNED BY sf_notify_writer
SQL

in_schema('cascade', <<'SQL');
CREATE TABLE cascade.campaigns (LIKE public.campaigns INCLUDING ALL);
CREATE TABLE cascade.campaign_applications (
    LIKE public.campaign_applications,
    FOREIGN KEY (campaign_id) REFERENCES cascade.campaigns
        ON UPDATE CASCADE ON DELETE CASCADE);
INSERT INTO cascade.campaigns SELECT n, 1, 't', 'p', '', '', '', '', 1, 'today'
  FROM generate_series(1, 4) n;
INSERT INTO cascade.campaign_applications
SELECT n, n % 3 + 1, n, '' FROM generate_series(1, 6) n
SQL
installs('tables with actions of foreign keys', path => 'cascade');
is(told('UPDATE campaigns SET id = id + 10 WHERE id < 3'),
   'campaigns id=1,2,11,12 creator_id=1; '
   . 'campaign_applications campaign_id=1,2,11,12 user_id=1,3,4,6',
   'ON UPDATE CASCADE');
is(told('DELETE FROM campaigns WHERE id < 12'),
   'campaigns id=3,4,11 creator_id=1; '
   . 'campaign_applications campaign_id=3,11 user_id=2,3,5,6',
   'ON DELETE CASCADE');
in_schema();


=== TEST 4: a hostile search_path does not mislead the functions
--- check
# every name that they could look for is something else, or fails

my @fails = (['pg_notify', 'text, text'], ['cardinality', 'int[]'],
             ['array_to_string', 'int[], text'], ['concat', 'text'],
             ['concat', 'text, text, text'], ['array_agg', 'int']);
my $n = 0;

for my $op (qw(= > <> ||)) {
    push @fails, map { [$op, $_] } 'int, int', 'bigint, int', 'text, text',
                                   'varchar, varchar';
}

as_super('CREATE SCHEMA evil', dbname => $::DB);

for (@fails) {
    my ($name, $args) = @$_;
    my $function = $name =~ /\w/ ? $name : 'op' . ++$n;

    as_super("CREATE FUNCTION evil.$function($args) RETURNS bool"
             . " LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'evil'; END \$\$",
             dbname => $::DB);

    if ($function ne $name) {
        my ($left, $right) = split /, /, $args;
        as_super("CREATE OPERATOR evil.$name (FUNCTION = evil.$function,
                  LEFTARG = $left, RIGHTARG = $right)", dbname => $::DB);
    }
}

as_super("CREATE DOMAIN evil.$_ AS int", dbname => $::DB)
    for qw(text record trigger);

told("CREATE TEMP TABLE changed (x int); CREATE TEMP TABLE old_rows (x int);
      CREATE TEMP TABLE new_rows (x int);
      SET search_path = evil, pg_temp, public, pg_catalog");

is(told("SELECT 1 = 1; SELECT 1 IS DISTINCT FROM 1;
         SELECT pg_notify('a', 'b')"),
   'ERROR:  evil; ERROR:  evil; ERROR:  evil', 'others it does');

is(told("INSERT INTO campaigns (id, creator_id, title, product_name, deadline)
         VALUES (21, 8, 't', 'p', 'today');
         UPDATE campaigns SET title = 'path', creator_id = 9
          WHERE id OPERATOR(pg_catalog.=) 21;
         UPDATE campaigns SET title = 'path', creator_id = 9
          WHERE id OPERATOR(pg_catalog.=) 21;
         DELETE FROM campaigns WHERE id OPERATOR(pg_catalog.=) 21;
         TRUNCATE payments"),
   'campaigns id=21 creator_id=8; campaigns id=21 creator_id=8,9; '
   . 'campaigns id=21 creator_id=9; payments', 'these it does not');

told('SET search_path = public; DROP SCHEMA evil CASCADE;
      DROP TABLE pg_temp.changed, pg_temp.old_rows, pg_temp.new_rows');


=== TEST 5: keys that are NULL, that are there twice, that are long
--- check
in_schema('odd', <<'SQL');
CREATE TABLE odd.campaigns (LIKE public.campaigns);
ALTER TABLE odd.campaigns ALTER creator_id DROP NOT NULL,
                          ALTER id DROP NOT NULL,
                          ALTER id TYPE bigint, ALTER creator_id TYPE bigint
SQL
installs('a table that has its keys otherwise', path => 'odd');

my $insert = "INSERT INTO campaigns (id, creator_id, title, product_name,
                                     deadline)";

is(told("$insert VALUES (1, NULL, 't', 'p', 'today')"), 'campaigns id=1',
   'a key without a value');
is(told("$insert VALUES (NULL, NULL, 't', 'p', 'today')"), 'campaigns',
   'no key with a value');
is(told("$insert VALUES (2, NULL, 't', 'p', 'today'),
                        (3, 7, 't', 'p', 'today')"),
   'campaigns id=2,3 creator_id=7', 'some with, some without');
is(told('UPDATE campaigns SET creator_id = 8 WHERE id = 1'),
   'campaigns id=1 creator_id=8', 'a value for NULL');
is(told('UPDATE campaigns SET creator_id = NULL WHERE id = 1'),
   'campaigns id=1 creator_id=8', 'NULL for a value');
is(told('UPDATE campaigns SET title = 1 WHERE id IS NULL'), 'campaigns',
   'a row without an id');
is(told('DELETE FROM campaigns WHERE id IS NULL'), 'campaigns', 'and it goes');
is(told("$insert SELECT 1000 + n, nullif(n, 0), 't', 'p', 'today'
           FROM generate_series(0, 100) n"),
   'campaigns id=* creator_id=' . join(',', 1 .. 100),
   'NULL is not the hundred and first');
is(told('UPDATE campaigns SET id = 2003 - id WHERE id IN (1001, 1002)'),
   'campaigns id=1001,1002 creator_id=1,2', 'ids that are exchanged');
is(told("$insert VALUES (4, 1, 'a', 'p', 'today'), (4, 2, 'a', 'p', 'today');
         UPDATE campaigns SET title = 'b' WHERE creator_id = 2 AND id = 4"),
   'campaigns id=4 creator_id=1,2; campaigns id=4 creator_id=2',
   'an id that is there twice');

my $told = told("$insert SELECT -9223372036854775807 + n,
                                 -9223372036854775707 + n, 't', 'p', 'today'
                   FROM generate_series(0, 99) n");

is(scalar(() = $told =~ /-9223372036854775\d{3}(?= |,|$)/g), 200,
   'two hundred of the longest keys');
ok(length $told < 8000, 'in ' . length($told) . ' bytes');

is(told("$insert SELECT 5, 6, 't', 'p', 'today'
           FROM generate_series(1, 1000000)"), 'campaigns id=5 creator_id=6',
   'a million rows with the same keys');
is(told('DELETE FROM campaigns WHERE id IN (4, 5)'),
   'campaigns id=* creator_id=*', 'a few more than a million');
in_schema();


=== TEST 6: partitions and children
--- check
my @parts = (path => 'parts');
my $all = '(insert delete update truncate)';

my $are = sub {
    my ($title, $status, $state) = @_;

    states($title, $status, join('', map {
            "$_->{name}: " . ($_->{name} eq 'sns_posts' ? $state
                              : 'table does not exist') . "\n"
        } described('tables')), @parts);
};

in_schema('parts', <<'SQL');
CREATE TABLE parts.sns_posts (LIKE public.sns_posts) PARTITION BY RANGE (id);
CREATE TABLE parts.one PARTITION OF parts.sns_posts
    FOR VALUES FROM (1) TO (100);
CREATE TABLE parts.two PARTITION OF parts.sns_posts
    FOR VALUES FROM (100) TO (200) PARTITION BY LIST (user_id);
CREATE TABLE parts.two_1 PARTITION OF parts.two FOR VALUES IN (1, 2)
SQL

$are->('no partition has them', 3,
       "missing on parts.one $all, parts.sns_posts $all, parts.two $all, "
       . "parts.two_1 $all");
installs('partitions get them', @parts);
$are->('and all are seen', 0, 'ok');

# one whose columns have another order

psql($_, dbname => $::DB) for split /;\n/, <<'SQL';
CREATE TABLE parts."Two 2" (gone int, created_at timestamp,
    retry_count int, error_message text, reach int, views_count int,
    comments_count int, likes_count int, external_post_id varchar(255),
    link_url varchar(500), hashtags json, media_urls json,
    template_type varchar(50), published_at timestamp, scheduled_at timestamp,
    status varchar(20), platform varchar(50) NOT NULL, content text NOT NULL,
    campaign_id int, account_id int NOT NULL, user_id int NOT NULL,
    id int NOT NULL);
ALTER TABLE parts."Two 2" DROP COLUMN gone;
ALTER TABLE parts.two ATTACH PARTITION parts."Two 2" FOR VALUES IN (3, 4)
SQL

my $row = '(id, user_id, account_id, content, platform)';
my $insert = "INSERT INTO %s $row VALUES (%d, %d, 1, 'c', 'p')";

$are->('one that is new has none', 3, "missing on parts.\"Two 2\" $all");
is(told(sprintf $insert, 'sns_posts', 101, 3), 'sns_posts user_id=3',
   'a write to the table tells of it all the same');
is(told(sprintf $insert, '"Two 2"', 102, 3), '', 'one to the partition not');
installs('it gets them too', @parts);
$are->('then all is well', 0, 'ok');

is(told(sprintf($insert, 'sns_posts', 1, 1) . ", (103, 2, 1, 'c', 'p'),"
        . " (104, 3, 1, 'c', 'p')"),
   'sns_posts user_id=1,2,3', 'rows of three partitions');
is(told(sprintf $insert, 'one', 2, 9), 'sns_posts user_id=9',
   'into a partition');
is(told(sprintf $insert, 'two', 105, 4), 'sns_posts user_id=4',
   'into a partition that has some');
is(told(sprintf $insert, '"Two 2"', 106, 4), 'sns_posts user_id=4',
   'into a partition of a partition');
is(told("COPY sns_posts $row FROM stdin;\n3\t7\t1\tc\tp\n107\t4\t1\tc\tp\n\\."),
   'sns_posts user_id=4,7', 'COPY to the table');
is(told("COPY two_1 $row FROM stdin;\n108\t1\t1\tc\tp\n\\."),
   'sns_posts user_id=1', 'COPY to a partition');
is(told("UPDATE sns_posts SET content = 'd' WHERE id IN (1, 101)"),
   'sns_posts user_id=1,3', 'UPDATE');
is(told("UPDATE sns_posts SET content = 'd' WHERE id IN (1, 2)"),
   'sns_posts user_id=9', 'of which one changes nothing');
is(told("UPDATE \"Two 2\" SET content = 'e' WHERE id = 101"),
   'sns_posts user_id=3', 'UPDATE of a partition');
is(told("UPDATE \"Two 2\" SET retry_count = 7 WHERE id = 101"), '',
   'of what nobody reads');
is(told('UPDATE sns_posts SET id = 110 WHERE id = 3;
         UPDATE sns_posts SET user_id = 3 WHERE id = 3;
         UPDATE sns_posts SET id = 110, user_id = 3 WHERE id = 3'),
   'ERROR:  no partition of relation "two" found for row; '
   . 'sns_posts user_id=3,7; sns_posts user_id=3', 'rows that move');
is(told('UPDATE two SET user_id = 1 WHERE id = 110'),
   'sns_posts user_id=1,3', 'within a partition');
is(told('UPDATE sns_posts SET id = 4 WHERE id = 110'),
   'sns_posts user_id=1', 'with another id only');
is(told('DELETE FROM sns_posts WHERE id IN (4, 105)'),
   'sns_posts user_id=1,4', 'DELETE');
is(told('DELETE FROM two WHERE id = 106'), 'sns_posts user_id=4',
   'DELETE from a partition');
is(told('TRUNCATE "Two 2"'), 'sns_posts user_id=*', 'TRUNCATE of a partition');
is(told('TRUNCATE sns_posts'), 'sns_posts user_id=*', 'TRUNCATE, told once');

if (psql('SHOW server_version_num') >= 150000) {
    told(sprintf $insert, 'sns_posts', 1, 1);
    is(told("MERGE INTO sns_posts p USING (VALUES (1, 1), (102, 2)) v (id, u)
                ON v.id = p.id
              WHEN MATCHED THEN UPDATE SET user_id = 3
              WHEN NOT MATCHED THEN INSERT $row VALUES (id, u, 1, 'c', 'p')"),
       'sns_posts user_id=1,3; sns_posts user_id=2', 'MERGE');
}

told('ALTER TABLE sns_posts DETACH PARTITION one');
$are->('one that is detached is not missed', 0, 'ok');

in_schema('kin', <<'SQL');
CREATE TABLE kin.payments (LIKE public.payments);
CREATE TABLE kin.old_payments () INHERITS (kin.payments)
SQL
installs('a child gets them', path => 'kin');
is(told("INSERT INTO old_payments (id, user_id, product_id, amount)
         VALUES (1, 1, 1, 1)"), 'payments', 'and tells of itself');
is(told('UPDATE payments SET amount = 2'), 'payments', 'so does the table');
in_schema();


=== TEST 7: check=1 tells every state, and changes nothing
--- check
my @in = (path => 'states');

my $are = sub {
    my ($title, $status, %state) = @_;

    states($title, $status, join('', map {
            "$_->{name}: " . ($state{$_->{name}} // 'table does not exist')
            . "\n"
        } described('tables')), @in);
};

in_schema('states', <<'SQL');
CREATE TABLE states.users (LIKE public.users);
CREATE TABLE states.campaigns (LIKE public.campaigns)
SQL

my $all = '(insert delete update truncate)';

$are->('none is there', 3, users => "missing on states.users $all",
       campaigns => "missing on states.campaigns $all");
installs('one is made', @in, tables => 'users');
$are->('one is there', 3, users => 'ok',
       campaigns => "missing on states.campaigns $all");
states('only that one is asked for', 0, "users: ok\n", @in,
       tables => 'users');
states('only the other one', 3, "campaigns: missing on states.campaigns $all\n",
       @in, tables => 'campaigns');
states('one that does not exist, by name', 3,
       "users: ok\npayments: table does not exist\n", @in,
       tables => 'payments, users');
installs('all are made', @in);
$are->('all are there', 0, users => 'ok', campaigns => 'ok');

# each change is undone by the next installation

for (['DROP TRIGGER softfactory_notify_delete ON states.users',
      'missing on states.users (delete)'],
     ['ALTER TABLE states.users DISABLE TRIGGER softfactory_notify_update',
      'disabled on states.users (update)'],
     ['ALTER TABLE states.users ENABLE TRIGGER softfactory_notify_update',
      'disabled on states.users (update)'],
     ['ALTER TABLE states.users ENABLE REPLICA TRIGGER'
      . ' softfactory_notify_update', 'disabled on states.users (update)'],
     ['ALTER TABLE states.users DISABLE TRIGGER USER',
      "disabled on states.users $all"],
     ['CREATE OR REPLACE TRIGGER softfactory_notify_truncate AFTER TRUNCATE'
      . ' ON states.users EXECUTE FUNCTION states.softfactory_notify_users('
      . "'00000000')", 'outdated on states.users (truncate)'],
     ['CREATE OR REPLACE TRIGGER softfactory_notify_truncate AFTER TRUNCATE'
      . ' ON states.users EXECUTE FUNCTION states.softfactory_notify_users()',
      'outdated on states.users (truncate)'],
     ['CREATE OR REPLACE TRIGGER softfactory_notify_truncate BEFORE TRUNCATE'
      . ' ON states.users EXECUTE FUNCTION states.softfactory_notify_users('
      . "'" . argument('users') . "')",
      'outdated on states.users (truncate)'],
     ['CREATE OR REPLACE TRIGGER softfactory_notify_insert AFTER INSERT ON'
      . ' states.users REFERENCING NEW TABLE AS changed EXECUTE FUNCTION'
      . " states.softfactory_notify_campaigns('" . argument('users') . "')",
      'outdated on states.users (insert)'],
     ['CREATE OR REPLACE FUNCTION states.softfactory_notify_users() RETURNS'
      . ' trigger LANGUAGE plpgsql AS \'BEGIN RETURN NULL; END\'',
      "outdated on states.users $all"],
     ['ALTER FUNCTION states.softfactory_notify_users() SECURITY INVOKER',
      "unsafe on states.users $all"],
     ['ALTER FUNCTION states.softfactory_notify_users() RESET search_path',
      "unsafe on states.users $all"],
     ['ALTER FUNCTION states.softfactory_notify_users() SET search_path = public',
      "unsafe on states.users $all"],
     ['GRANT EXECUTE ON FUNCTION states.softfactory_notify_users() TO PUBLIC',
      "unsafe on states.users $all"],
     ['GRANT EXECUTE ON FUNCTION states.softfactory_notify_users()'
      . ' TO sf_notify_nobody', "unsafe on states.users $all"],
     ['DROP FUNCTION states.softfactory_notify_users() CASCADE',
      "missing on states.users $all"])
{
    my ($sql, $state) = @$_;

    psql($sql, dbname => $::DB);

    my $before = triggers();

    $are->($state, 3, users => $state, campaigns => 'ok');
    is(triggers(), $before, "nothing is changed: $sql");
    installs("repaired: $sql", @in);
    $are->("well again: $sql", 0, users => 'ok', campaigns => 'ok');
}

psql('DROP TRIGGER softfactory_notify_insert ON states.users', dbname => $::DB);
psql('ALTER TABLE states.users DISABLE TRIGGER softfactory_notify_update',
     dbname => $::DB);
$are->('two at once', 3, campaigns => 'ok', users =>
       'disabled on states.users (update); missing on states.users (insert)');
installs('also repaired', @in);

is(told("INSERT INTO users (id, email, password_hash, name)
         VALUES (1, 'e', '!', 'n')"), 'users id=1', 'they work as before');

as_super('GRANT USAGE ON SCHEMA states TO sf_notify_nobody', dbname => $::DB);
states('a role without rights may ask', 0, "users: ok\n", @in,
       tables => 'users', user => 'sf_notify_nobody');

for my $check (qw(0 off false)) {
    runs("check=$check is no check", $::SQL, 0, '', @in, check => $check);
}

psql('ALTER TABLE states.users DROP COLUMN is_active', dbname => $::DB);
$are->('a column is gone', 3, users => "outdated on states.users $all",
       campaigns => 'ok');
in_schema();


=== TEST 8: what is wrong is said before anything is changed
--- check
my $known = join ', ', map { $_->{name} } described('tables');
my @in = (path => 'wrong');

in_schema('wrong');
runs('no table at all', $::SQL, 3, 'ERROR:  none of the tables exists: is it'
     . " another database, or another search_path?\n", @in);
runs('no table to check', $::SQL, 3, 'ERROR:  none of the tables exists: is it'
     . " another database, or another search_path?\n", @in, check => 1);

psql($_, dbname => $::DB) for split /;\n/, <<'SQL';
CREATE TABLE wrong.users (LIKE public.users);
CREATE TABLE wrong.payments (id int, amount float8, created_at timestamp);
CREATE TABLE wrong.sns_posts (LIKE public.sns_posts);
ALTER TABLE wrong.sns_posts ALTER user_id TYPE text;
CREATE VIEW wrong.products AS SELECT * FROM public.products
SQL

my $before = triggers();

for my $file ($::SQL, $::REMOVE) {
    for my $tables ('user', 'users,Users', 'users,', 'users payments',
                    "users'; DROP TABLE users; --", 'sns_campaigns')
    {
        my ($unknown) = grep { $known !~ /\b$_\b/ || /^$/ || /\W/ }
                        split /,/, $tables, -1;

        runs("tables=$tables: unknown", $file, 3,
             "ERROR:  unknown table \"$unknown\"; known are $known\n",
             @in, tables => $tables);
    }
}

runs('one that does not exist', $::SQL, 3,
     "ERROR:  table campaigns does not exist\n", @in,
     tables => 'users,campaigns');
runs('a column that is missing', $::SQL, 3,
     'ERROR:  table wrong.payments has no column status, or not of the type'
     . " that is expected\n", @in, tables => 'users,payments');
runs('a key that is no number', $::SQL, 3,
     'ERROR:  table wrong.sns_posts has no column user_id, or not of the type'
     . " that is expected\n", @in, tables => 'users,sns_posts');
runs('a view', $::SQL, 3, 'ERROR:  wrong.products cannot be watched: it is a'
     . ' view; watch the tables that it reads, which softfactory.reads()'
     . " names\n", @in, tables => 'users,products');

like((run_file($::SQL, @in, tables => 'users', user => 'sf_notify_nobody'))[1],
     qr/ERROR:  table users does not exist/, 'a role that may not look');
as_super('GRANT USAGE ON SCHEMA wrong TO sf_notify_nobody', dbname => $::DB);
like((run_file($::SQL, @in, tables => 'users', user => 'sf_notify_nobody'))[1],
     qr/ERROR: .* permission denied/, 'a role that may not write');
like((run_file($::SQL, @in, tables => 'users', check => 'maybe'))[1],
     qr/ERROR: .* invalid input syntax for type boolean: "maybe"/,
     'check=maybe');

# any role can hold them up, and is named

my $lock = hold("SELECT pg_advisory_lock(hashtext('softfactory notify'))",
                dbname => $::DB, user => 'sf_notify_nobody');
my $pid = psql("SELECT pid FROM pg_locks l JOIN pg_database d
                    ON d.oid = l.database AND datname = current_database()
                 WHERE locktype = 'advisory'",
               dbname => $::DB, user => 'postgres');
my @runs = map { start_file($_, @in, tables => 'users') } $::SQL, $::REMOVE;

for my $run (@runs) {
    my ($status, $text) = $run->();

    like("$status $text", qr/^3\ .*ERROR:\ \ another\ session\ holds\ the\ lock
                            \ of\ this\ file:\ pid\ $pid,\ role\ sf_notify_nobody,
                            .*HINT:\ .*pg_terminate_backend\($pid\)/sx,
         'the one who holds the lock is named');
}

$lock->release;

is(triggers(), $before, 'nothing has changed');
installs('what is right can be made', @in, tables => 'users');
isnt(triggers(), $before, 'and is');


=== TEST 9: again, beside readers and writers, and by others
--- check
my $before = triggers();

is(heard(sub { installs('a second time') }), 'triggers',
   'who listens looks again');
is(triggers(), $before, 'nothing is made twice');
is(heard(sub { states('a look', 0, all_states('ok')) }), '',
   'a look says nothing');

my $writer = hold("UPDATE users SET name = 'held' WHERE id = 1",
                  dbname => $::DB);

installs('what is right is not even locked');
is(heard(sub { $writer->release }), 'users id=1', 'a writer is not disturbed');

psql('ALTER TABLE users DISABLE TRIGGER USER', dbname => $::DB);

my $reader = hold('SELECT FROM users LIMIT 1', dbname => $::DB);

installs('readers are not waited for');
$reader->release;
states('though there was something to do', 0, all_states('ok'));

my @in = (path => 'again');

in_schema('again', <<'SQL');
CREATE TABLE again.users (LIKE public.users);
CREATE TABLE again.payments (LIKE public.payments)
SQL

my @both = map { start_file($::SQL, @in) } 1, 2;

is(join(' ', map { join ':', $_->() } @both), '0: 0:', 'two at the same time');
states('have made them', 0, "users: ok\npayments: ok\n", @in,
       tables => 'users,payments');

# other owners

my $owner = 'sf_notify_owner';
my $mine = sub {
    return psql("SELECT proowner::regrole FROM pg_proc
                  WHERE oid = 'again.softfactory_notify_users'::regproc",
                dbname => $::DB);
};

as_super($_, dbname => $::DB) for split /;\n/, <<"SQL";
GRANT USAGE ON SCHEMA again TO $owner;
ALTER TABLE again.users OWNER TO $owner;
GRANT ALL ON again.users TO app
SQL

is(told("SET ROLE $owner; INSERT INTO again.users (id, email, password_hash,
                                                   name)
                          VALUES (1, 'e', '!', 'n'); RESET ROLE"),
   'users id=1', 'the new owner writes');
is(told("SET ROLE app; UPDATE users SET name = 'o'; RESET ROLE"),
   'users id=1', 'the old one too');
states('but its function is the old one\'s', 3, 'users: unsafe on again.users'
       . " (insert delete update truncate)\n", @in, tables => 'users');
like((run_file($::SQL, @in, user => $owner))[1],
     qr/ERROR:  permission denied for schema softfactory/,
     'and the new one may not read the channel yet');
like((run_file($::SQL, @in))[1], qr/ERROR:  must be .*$owner/,
     'and the old one cannot give away');
installs('a superuser can', @in, user => 'postgres');
is($mine->(), $owner, 'and gives it to whom the table belongs');
installs('there is nothing to do for either', @in, user => $_)
    for $owner, 'app';
is(told("UPDATE users SET name = 'oo'"), 'users id=1', 'that works');

my $old = "CREATE OR REPLACE FUNCTION again.softfactory_notify_users() RETURNS"
          . " trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'";

as_super($old, dbname => $::DB);
like((run_file($::SQL, @in, user => $owner))[1],
     qr/ERROR:  permission denied for schema again\n/,
     'who may make no function here cannot replace one');
installs('a superuser can', @in, user => 'postgres');
is($mine->(), $owner, 'and leaves it to whom it belonged');

as_super("GRANT CREATE ON SCHEMA again TO $owner", dbname => $::DB);
as_super($old, dbname => $::DB);
installs('and he makes the next one', @in, user => $owner);
states('as it should be', 0, "users: ok\npayments: ok\n", @in,
       tables => 'users,payments');
is(told("UPDATE users SET name = 'p'"), 'users id=1', 'that works');

# another schema

psql('CREATE SCHEMA moved', dbname => $::DB);
as_super("ALTER TABLE again.users SET SCHEMA moved", dbname => $::DB);
is(told("UPDATE moved.users SET name = 'q'"), 'users id=1',
   'a table that moves is still told of');
as_super("GRANT ALL ON SCHEMA moved TO $owner", dbname => $::DB);
states('but its function is elsewhere', 3, 'users: outdated on moved.users'
       . " (insert delete update truncate)\n", path => 'moved',
       tables => 'users');
installs('until it gets another one', path => 'moved', user => $owner);
is(told("UPDATE moved.users SET name = 'r'"), 'users id=1', 'which works');
in_schema();


=== TEST 10: all goes as it has come
--- check
my $remove = sub {
    my ($title, $left, %o) = @_;

    is(heard(sub { runs($title, $::REMOVE, 0, '', %o) }), 'triggers',
       "who listens looks again: $title");
    is(psql("SELECT (SELECT count(*) FROM pg_trigger
                      WHERE tgname LIKE 'softfactory%'
                        AND tgrelid IN (SELECT oid FROM pg_class
                                         WHERE relnamespace IN
                                               ('$o{path}'::regnamespace)))
                    || ' ' ||
                    (SELECT count(*) FROM pg_proc
                      WHERE proname LIKE 'softfactory%'
                        AND pronamespace = '$o{path}'::regnamespace)",
            dbname => $::DB), $left, "$left are left");
};

my @parts = (path => 'parts');

$remove->('nothing of it', '20 1', @parts, tables => 'users');
$remove->('partitions, and one that is detached', '0 0', @parts);
$remove->('again', '0 0', @parts);

in_schema('parts');
is(told('DELETE FROM sns_posts; DELETE FROM one'), '', 'it is silent there');
in_schema();
is(told("UPDATE sns_posts SET content = 'x' WHERE id = 2"),
   'sns_posts user_id=1', 'elsewhere not');

psql('DROP TABLE odd.campaigns', dbname => $::DB);
$remove->('the function of a table that is gone', '0 0', path => 'odd');
$remove->('the function of one that has moved', '4 1', path => 'again',
          tables => 'users', user => 'postgres');

my $before = triggers();

psql($_, dbname => $::DB) for split /;\n/, <<'SQL';
CREATE SCHEMA none;
CREATE TABLE none.users (LIKE public.users)
SQL

runs('a table that hides another one', $::REMOVE, 0, '', path => 'none,public',
     tables => 'users');
is(triggers(), $before, 'does not show its triggers');

like((run_file($::REMOVE, path => 'public', user => 'sf_notify_nobody'))[1],
     qr/ERROR: .* must be owner of /, 'whoever may not, may not');
is(triggers(), $before, 'and all stay');

psql("ALTER TABLE payments DISABLE TRIGGER USER", dbname => $::DB);
$remove->('two of them', '44 11', path => 'public',
          tables => 'users,payments');
states('are missing', 3, join('', map {
        "$_->{name}: " . ($_->{name} =~ /^(?:users|payments)$/
            ? "missing on public.$_->{name} (insert delete update truncate)"
            : 'ok') . "\n"
    } described('tables')));
is(told("UPDATE users SET name = 's' WHERE id = 1;
         UPDATE sns_posts SET content = 's' WHERE id = 2"),
   'sns_posts user_id=1', 'and so is what they would tell');
installs('they can come again', tables => 'users');
is(told("UPDATE users SET name = 't' WHERE id = 1"), 'users id=1',
   'and tell it');
$remove->('all', '0 0', path => 'public');
$remove->('whatever it was', '0 0', path => $_, user => 'postgres')
    for qw(cascade kin states wrong again moved);
is(psql("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'softf%'",
        dbname => $::DB), 0, 'no trigger is left');
is(psql("SELECT count(*) FROM pg_proc WHERE proname LIKE 'softf%'",
        dbname => $::DB), 0, 'no function');
is(psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'softfactory'",
        dbname => $::DB), 0, 'no channel');


=== TEST 11: a commit in two phases is refused by PostgreSQL itself
--- check
my $s = pg_server('sf_notify');

$s->psql('ALTER SYSTEM SET max_prepared_transactions = 2');
$s->stop('fast')->start;
$s->psql('', file => "$ENV{SF_TEST_SQL}/schema.sql", user => 'app');
$s->psql('', file => $::SQL, user => 'app');

my @there = (dbname => 'softfactory', host => $s->{dir}, port => $s->{port});
my $insert = "INSERT INTO users (id, email, password_hash, name)
              VALUES (%d, '%1\$d', '!', 'n')";

is(told(sprintf($insert, 1), @there), 'users id=1', 'a commit in one phase');
is(told(sprintf("BEGIN; $insert; PREPARE TRANSACTION 'p'", 2), @there),
   'ERROR:  cannot PREPARE a transaction that has executed LISTEN, UNLISTEN,'
   . ' or NOTIFY', 'one in two phases');
is(told("BEGIN; UPDATE users SET role = 'r'; PREPARE TRANSACTION 'p';
         COMMIT PREPARED 'p'", @there), '', 'of what is not told');

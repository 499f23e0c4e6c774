# What softfactory.watch() makes a table of one's own tell, what it refuses, and
# what softfactory.check(), reads() and unwatch() say and do.
#
# nginx has no part in this.  t/notify.t has the tables of SoftFactory, whose
# triggers are made by the same functions: hostile schemas, roles that write,
# partitions and states are looked at there.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use Digest::MD5 'md5_hex';
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Told;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
plan('no_plan');

our $DB = told_in(scratch('sf_watch', 'template0'));
our $SQL = "$ENV{SF_TEST_SQL}/softfactory.sql";
our @ROLES = qw(sf_watch_other sf_watch_module);
our $ID = '00000000-0000-4000-8000-00000000000';

my $self = $$;

drop_roles();
super("CREATE ROLE $_ LOGIN", dbname => 'postgres') for @ROLES;

owner($_) for split /;\n/, <<'SQL';
CREATE TYPE size AS ENUM ('small', 'large');
CREATE DOMAIN code AS varchar(20);
CREATE TABLE products (
    id uuid PRIMARY KEY, slug text, name text, price numeric, stock integer,
    size size, code code, seen bigint, data json);
CREATE TABLE notes (author smallint, body text, extra json);
CREATE TABLE orders (
    id bigint, customer uuid, state text, at date NOT NULL, total numeric,
    PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE orders_2025 PARTITION OF orders
    FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE orders_2026 PARTITION OF orders
    FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
SQL


# owner($sql), super($sql): in the database of this file, by the role that owns
# the tables and by the superuser

sub owner {
    return psql($_[0], dbname => $DB);
}


sub super {
    my ($sql, %o) = @_;

    return psql($sql, dbname => $DB, user => 'postgres', %o);
}


# says($sql, $user): what psql says, errors, details and hints too

sub says {
    my ($sql, $user) = @_;

    my ($status, $text) = command('psql', '-XAtq', '-v', 'SHOW_CONTEXT=never',
        '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT},
        '-U', $user // 'app', '-d', $DB, '-c', $sql)->();

    chomp $text;
    return $text;
}


# watch($arguments): softfactory.watch() with them, and what it returns

sub watch {
    return says("SELECT softfactory.watch($_[0])");
}


# digest($text): as a text is told that is a key

sub digest {
    my ($text) = @_;

    return substr md5_hex($text), 0, 16;
}


# triggers(): all there is of them, with what a change would change

sub triggers {
    return owner(<<'SQL');
SELECT coalesce(string_agg(concat_ws(' ', tgrelid::regclass, tgname, t.oid,
                                     t.xmin, tgenabled, p.oid, p.xmin),
                           e'\n' ORDER BY t.oid), '')
  FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid
 WHERE tgname LIKE 'softfactory%'
SQL
}


# check($table, $columns): of its row

sub check {
    my ($table, $columns) = @_;

    return owner("SELECT $columns FROM softfactory.check()
                   WHERE relation = '$table'::regclass");
}


sub drop_roles {
    for my $role (@ROLES) {
        next if !psql("SELECT count(*) FROM pg_roles WHERE rolname = '$role'",
                      dbname => 'postgres');

        super("DROP OWNED BY $role");
        super("DROP ROLE $role", dbname => 'postgres');
    }
}


END {
    local ($?, $@);

    if ($$ == $self) {
        end_listeners();
        eval { drop_roles() };
    }
}


run_tests();

__DATA__

=== TEST 1: the file
--- check
for (1, 2) {
    is(psql('', dbname => $::DB, file => $::SQL), '', "it can be run: $_");
}

is(owner('SELECT count(*) FROM softfactory.channel'), 1, 'there is one name');
is(owner('SELECT count(*) FROM softfactory.check()'), 0, 'nothing is watched');
is(owner("SELECT count(*) FROM pg_proc p
           WHERE pronamespace = 'softfactory'::regnamespace
             AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog,'
                                                 ' pg_temp'], false)
             AND proname <> 'reads'"), 0, 'the search_path of all is pinned');

for my $user (@::ROLES) {
    like(says('TABLE softfactory.channel', $user), qr/permission denied/,
         "$user cannot read the channel");
}

like(says("SELECT softfactory.watch('products')", 'sf_watch_other'),
     qr/permission denied for schema softfactory/, 'nor call what is there');


=== TEST 2: a table without keys: any change, of all columns
--- check
is(watch("'products'"), 'public.products: changed; keys: none; columns: all',
   'it is watched');

my $before = triggers();

is(heard(sub { watch("'products'") }), '', 'nothing to tell');
is(triggers(), $before, 'nor to make');
is(watch("'products'"), 'public.products: unchanged; keys: none; columns: all',
   'as it says');

my $writer = hold("INSERT INTO products (id) VALUES ('${main::ID}9')",
                  dbname => $::DB);

like(watch("'products'"), qr/unchanged/, 'what is right is not even locked');
$writer->release;

is(told("INSERT INTO products (id, slug) VALUES ('${main::ID}1', 'a')"),
   'products', 'a row');
is(told("INSERT INTO products SELECT * FROM products WHERE false"), '',
   'no row');
is(told("UPDATE products SET $_ WHERE slug = 'a'"), 'products', $_)
    for "name = 'n'", 'price = 1.0', 'price = 1.00', "data = '{}'",
        "data = '{ }'", "size = 'small'", "code = 'c'";
is(told("UPDATE products SET price = 1.00, data = '{ }' WHERE slug = 'a'"), '',
   'what is there already');
is(told("UPDATE products SET id = '${main::ID}2' WHERE slug = 'a'"), 'products',
   'the primary key');
is(told("DELETE FROM products WHERE slug = 'a'"), 'products', 'a row that goes');
is(told("DELETE FROM products WHERE slug = 'a'"), '', 'none');
is(told('TRUNCATE products'), 'products', 'TRUNCATE');

# a column that comes later

told("INSERT INTO products (id) VALUES ('${main::ID}1')");
owner('ALTER TABLE products ADD later integer DEFAULT 1');
is(told("UPDATE products SET later = 2"), 'products', 'it counts, too');
is(told("UPDATE products SET later = 2"), '', 'by its value');
owner('ALTER TABLE products DROP later');
is(told("UPDATE products SET name = 'm'"), 'products', 'it may go');
is(check('products', 'state'), 'ok', 'which is as it should be');


=== TEST 3: columns that are computed when they are read
--- check
if (psql('SHOW server_version_num') >= 180000) {
    owner('CREATE TABLE sums (id integer PRIMARY KEY, a integer, b integer,
               c integer, sum integer GENERATED ALWAYS AS (a + b) VIRTUAL)');
    is(watch("'sums', '{sum}'"), 'ERROR:  column sum of public.sums cannot be a'
       . ' key: it is computed when it is read, and no trigger sees it', 'no key');
    is(watch("'sums', '{id}', '{sum}'"),
       'public.sums: changed; keys: id; columns: id, sum', 'one that counts');
    told('INSERT INTO sums VALUES (1, 1, 1, 1)');
    is(told('UPDATE sums SET a = 2'), 'sums id=1', 'what it is made of');
    is(told('UPDATE sums SET b = 2'), 'sums id=1', 'all of it');
    is(told('UPDATE sums SET c = 2'), '', 'and no more');
    is(watch("'sums'"),
       'public.sums: changed; keys: id; columns: id, a, b, c, sum', 'all of now');
    is(told('UPDATE sums SET c = 3; UPDATE sums SET c = 3'), 'sums id=1',
       'they are compared');

    owner("CREATE TABLE later (id integer PRIMARY KEY, a integer)");
    watch("'later', '{id}'");
    told('INSERT INTO later VALUES (1, 1)');
    owner('ALTER TABLE later ADD twice integer GENERATED ALWAYS AS (a * 2)');
    is(check('later', 'state'), 'outdated', 'one that comes later');
    is(told('UPDATE later SET a = 2'), 'later id=*', 'nothing goes unsaid');
    says(check('later', 'advice'));
    is(told('UPDATE later SET a = 3; UPDATE later SET a = 3'), 'later id=1',
       'it is exact again');
    is(check('later', 'state'), 'ok', 'all is well');
} else {
    pass('there are none before PostgreSQL 18');
}


=== TEST 4: keys of each type, as text and by their digest
--- check
told('TRUNCATE products');
is(watch("'products', '{id, slug, size, code, stock, seen}', '{price}', true"),
   'public.products: changed; keys: id, slug, size, code, stock, seen;'
   . ' columns: id, slug, size, code, stock, seen, price', 'narrower');

my $told = sub {
    my (@values) = @_;

    return 'products' . join '', map { " $_->[0]=$_->[1]" }
        grep { defined $_->[1] }
        map { [$_, shift @values] } qw(id slug size code stock seen);
};
my $one = "INSERT INTO products (id, slug, size, code, stock, seen) VALUES ";

is(told("$one (upper('${main::ID}a')::uuid, 'a b,c=d', 'large', 'X', -7,
               9223372036854775807)"),
   $told->("${main::ID}a", digest('a b,c=d'), digest('large'), digest('X'), -7,
           '9223372036854775807'), 'one of each');
is(told("$one ('${main::ID}b', '', NULL, NULL, NULL, NULL)"),
   $told->("${main::ID}b", digest('')), 'NULL is not told, empty is');
is(told("UPDATE products SET slug = 'ü€😀' WHERE slug = ''"),
   $told->("${main::ID}b", join ',', sort(digest('ü€😀'), digest(''))),
   'in UTF-8, before and after');
is(told("UPDATE products SET size = 'small' WHERE size = 'large'"),
   $told->("${main::ID}a", digest('a b,c=d'),
           join(',', sort(digest('small'), digest('large'))), digest('X'), -7,
           '9223372036854775807'), 'an enum, before and after');
is(told("UPDATE products SET name = 'unread', data = '[]'"), '',
   'a column that is not watched');
is(told("UPDATE products SET price = 5 WHERE size IS NULL"),
   $told->("${main::ID}b", digest('ü€😀')), 'one that is');
is(told("DELETE FROM products WHERE size IS NULL"),
   $told->("${main::ID}b", digest('ü€😀')), 'a row that goes');
is(told("$one ('${main::ID}c', 'c', NULL, NULL, 1, NULL)
         ON CONFLICT (id) DO UPDATE SET stock = 2"),
   $told->("${main::ID}c", digest('c'), undef, undef, 1), 'ON CONFLICT, new');
is(told("$one ('${main::ID}c', 'c', NULL, NULL, 1, NULL)
         ON CONFLICT (id) DO UPDATE SET stock = 2"),
   $told->("${main::ID}c", digest('c'), undef, undef, '1,2'),
   'ON CONFLICT, old');
is(told("COPY products (id, slug) FROM stdin;\n${main::ID}d\td\n"
        . "${main::ID}e\te\n\\."),
   $told->("${main::ID}d,${main::ID}e", join ',', sort(digest('d'),
                                                       digest('e'))), 'COPY');
is(told('TRUNCATE products'), $told->(('*') x 6), 'TRUNCATE');

my $many = "INSERT INTO products (id, slug)
            SELECT md5(n::text)::uuid, n FROM generate_series(1, %d) n";

like(told(sprintf $many, 100), qr/^products\ id=([0-9a-f-]{36},?){100}
                                  \ slug=([0-9a-f]{16},?){100}$/x,
     'a hundred');
told('DELETE FROM products');
is(told(sprintf $many, 101), $told->('*', '*'), 'one more');

# more text than fits into a notification: the whole is told instead

owner("CREATE TABLE wide (a uuid PRIMARY KEY, b uuid, c uuid)");
watch("'wide', '{a, b, c}'");
is(told("INSERT INTO wide SELECT md5(n || 'a')::uuid, md5(n || 'b')::uuid,
                                 md5(n || 'c')::uuid
           FROM generate_series(1, 100) n"), 'wide a=* b=* c=*',
   'three hundred uuids');
like(told("INSERT INTO wide SELECT md5(n || 'a')::uuid, md5(n || 'b')::uuid,
                                   md5(n || 'c')::uuid
             FROM generate_series(101, 150) n"),
     qr/^wide a=[^*]+ b=[^*]+ c=[^*]+$/, 'a hundred and fifty');


=== TEST 5: it adds; replace narrows
--- check
my $products = 'public.products: changed; ';

watch("'products', '{id}', '{price}', true");
is(watch("'products', '{stock}', '{name}'"),
   $products . 'keys: id, stock; columns: id, stock, price, name', 'both');
is(watch("'products', '{stock}', '{price}'"),
   'public.products: unchanged; keys: id, stock; columns: id, stock, price,'
   . ' name', 'less is there already');
is(watch("'products', columns => NULL"),
   $products . 'keys: id, stock; columns: all', 'all columns');
is(watch("'products', columns => '{price}'"),
   'public.products: unchanged; keys: id, stock; columns: all', 'remain all');
is(watch("'products', '{slug}', '{}', true"),
   $products . 'keys: slug; columns: id, slug', 'until they are replaced');

# in one transaction: who writes meanwhile waits, and is told of

told("INSERT INTO products (id, slug) VALUES ('${main::ID}1', 'a')");

my $change = hold("SELECT softfactory.watch('products', '{id}')",
                  dbname => $::DB);
my $writer = command('psql', '-XAtq', '-h', $ENV{SF_TEST_PG_DIR}, '-p',
    $ENV{SF_TEST_PG_PORT}, '-U', 'app', '-d', $::DB, '-c',
    "UPDATE products SET name = 'meanwhile' WHERE slug = 'a'");

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") }
           'the writer waits';
is(heard(sub {
    $change->release;
    $writer->();
}), "triggers; products slug=" . digest('a') . " id=${main::ID}1",
   'what it has written is told by the new ones');

is(heard(sub { owner("BEGIN; SELECT softfactory.watch('products', '{seen}');
                      ROLLBACK") }), '', 'what is undone is not told');
is(check('products', 'keys, columns IS NULL'), '{slug,id}|t',
   'and has not been');


=== TEST 6: rows without a primary key are compared as a whole
--- check
is(watch("'notes', '{author}', '{body}'"),
   'public.notes: changed; keys: author; columns: author, body',
   'json, which has no order, is not compared');
told("INSERT INTO notes VALUES (1, 'a'), (2, 'b'), (2, 'b'), (3, 'c')");

is(told("UPDATE notes SET extra = '{}'"), '', 'what is not watched');
is(told("UPDATE notes SET body = body"), '', 'what is there already');
is(told("UPDATE notes SET body = 'd' WHERE author = 3"), 'notes author=3',
   'a row');
is(told("UPDATE notes SET body = CASE author WHEN 3 THEN 'e' ELSE body END"),
   'notes author=3', 'one among others');
is(told("UPDATE notes SET author = 2, body = 'b' WHERE author = 3"),
   'notes author=2,3', 'it becomes like others, which were not touched');
is(told("UPDATE notes SET author = 2, body = 'b'"), 'notes author=1,2',
   'or were, but have not changed');
is(told("UPDATE notes SET body = NULL; UPDATE notes SET body = NULL"),
   'notes author=2', 'NULL, and NULL again');
is(watch("'notes'"), 'public.notes: changed; keys: author; columns: all',
   'with all columns');
is(told("UPDATE notes SET extra = '[]'"), 'notes author=2', 'json too');
is(told("UPDATE notes SET extra = '[]'"), '', 'by its bytes');


=== TEST 7: partitions, children, names of all kinds
--- check
is(watch("'orders', '{id, customer}', '{state}'"),
   'public.orders: changed; keys: id, customer; columns: id, at, customer,'
   . ' state', 'the columns of the primary key count');

my $new = "INSERT INTO %s (id, customer, state, at) VALUES (1, '${main::ID}1',
                                                            'new', '%s')";

is(told(sprintf $new, 'orders', '2025-05-05'),
   "orders id=1 customer=${main::ID}1", 'a row');
is(told(sprintf $new, 'orders_2026', '2026-06-06'),
   "orders id=1 customer=${main::ID}1", 'into a partition');
is(told("UPDATE orders SET total = 1"), '', 'a column that is not watched');
is(told("UPDATE orders SET at = '2026-01-01' WHERE at < '2026-01-01'"),
   "orders id=1 customer=${main::ID}1", 'a row that moves');
is(told("UPDATE orders_2026 SET state = 'sent' WHERE at = '2026-01-01'"),
   "orders id=1 customer=${main::ID}1", 'UPDATE of a partition');
owner("CREATE TABLE orders_2027 PARTITION OF orders
           FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')");
is(check('orders', 'state, lacks, advice'),
   'missing|missing on public.orders_2027 (insert delete update truncate)|'
   . "SELECT softfactory.watch('public.orders', columns => '{}')",
   'one that is new');
says(check('orders', 'advice'));
is(check('orders', 'state'), 'ok', 'gets them by what is advised');
is(told(sprintf $new, 'orders_2027', '2027-07-07'),
   "orders id=1 customer=${main::ID}1", 'and tells');
is(says("SELECT softfactory.watch('orders_2027')"),
   'ERROR:  public.orders_2027 cannot be watched: it is a part of'
   . ' public.orders, and statements that name that table run only its'
   . ' triggers; watch it instead', 'a part of another table');
is(told('TRUNCATE orders_2027'), 'orders id=* customer=*', 'TRUNCATE');

# the ids of children are not unique among each other

owner('CREATE TABLE kin (id integer PRIMARY KEY, who integer);
       CREATE TABLE child (PRIMARY KEY (id)) INHERITS (kin)');
watch("'kin', '{who}'");
told('INSERT INTO kin VALUES (1, 1); INSERT INTO child VALUES (1, 1)');
is(told('UPDATE kin SET id = 2 WHERE tableoid = \'child\'::regclass'),
   'kin who=1', 'a child');
is(told('UPDATE kin SET id = 2'), 'kin who=1', 'two rows become alike');

# whatever a name is

owner('CREATE SCHEMA "Odd $1"');
owner('CREATE TABLE "Odd $1"."Ta\'ble%s" ("K\'ey%1$s" integer PRIMARY KEY,
       "co""l" text, "told" text, "k" text, "n" text, "o" text, "image" text)');
is(watch(q('"Odd $1"."Ta''ble%s"', '{"K''ey%1$s",k,n}', '{"co\"l",told}')),
   q("Odd $1"."Ta'ble%s": changed; keys: K'ey%1$s, k, n;)
   . q( columns: K'ey%1$s, k, n, co"l, told), 'quotes and signs');
is(told(q(INSERT INTO "Odd $1"."Ta'ble%s" VALUES (1, 'a', 'b', 'c', 'd'))),
   q(Ta'ble%s K'ey%1$s=1 k=) . digest('c') . ' n=' . digest('d'), 'a row');
is(told(q(UPDATE "Odd $1"."Ta'ble%s" SET "co""l" = 'x')),
   q(Ta'ble%s K'ey%1$s=1 k=) . digest('c') . ' n=' . digest('d'), 'a change');
is(told(q(UPDATE "Odd $1"."Ta'ble%s" SET image = 'x')), '', 'and none');

my $long = 'l' x 63;

owner("CREATE TABLE $long (id integer PRIMARY KEY)");
owner('CREATE TABLE ' . 'l' x 62 . ' (id integer PRIMARY KEY)');
is(watch("'$_', '{id}'"), "public.$_: changed; keys: id; columns: all",
   length($_) . ' letters') for $long, 'l' x 62;
is(told("INSERT INTO $long VALUES (1); INSERT INTO " . 'l' x 62
        . ' VALUES (1)'), "$long id=1; " . 'l' x 62 . ' id=1',
   'do not meet each other');

# another name, another schema

owner("ALTER TABLE notes RENAME TO papers");
is(check('papers', 'state'), 'outdated', 'a table has another name');
is(watch("'papers', columns => '{}'"),
   'public.papers: changed; keys: author; columns: all', 'and tells by that');
is(told("UPDATE papers SET body = 'f'"), 'papers author=2', 'one');
is(owner("SELECT count(*) FROM pg_proc
           WHERE proname = 'softfactory_notify_notes'"), 0,
   'the old function is gone');


=== TEST 8: what is refused
--- check
owner($_) for split /;\n/, <<'SQL';
CREATE COLLATION sf_any (provider = icu, locale = 'und-u-ks-level2',
                         deterministic = false);
CREATE TABLE bad (id integer PRIMARY KEY, "char" char(3), num numeric,
                  day date, real real, bool boolean, at timestamp, net inet,
                  name name, blob bytea, list integer[], doc jsonb,
                  free text COLLATE sf_any, "a b" text, "a=b" text,
                  "a,b" text, "a\b" text);
CREATE VIEW bad_view AS SELECT * FROM bad;
CREATE MATERIALIZED VIEW bad_copy AS SELECT * FROM bad;
CREATE SEQUENCE bad_sequence;
CREATE TABLE "bad table" (id integer)
SQL

my %type = (char => 'character(3)', num => 'numeric', day => 'date',
            real => 'real', bool => 'boolean', net => 'inet', name => 'name',
            at => 'timestamp without time zone', blob => 'bytea',
            list => 'integer[]', doc => 'jsonb');
my $before = triggers();

for (sort keys %type) {
    my $name = $_ eq 'char' || $_ eq 'real' ? "\"$_\"" : $_;

    is(watch("'bad', '{$_}'"),
       "ERROR:  column $name of public.bad cannot be a key: it is of type"
       . " $type{$_}, of which equal values may differ as texts\nHINT:  Keys"
       . ' are smallint, integer, bigint, uuid, text, varchar or an enum.'
       . ' Without this key a change is one of the whole table.', $_);
}

my $names = 'cannot be told: it has a blank, a comma, "=" or "\"';

for (["'bad', '{free}'", 'column free of public.bad cannot be a key: in its'
      . ' collation sf_any, which is not deterministic, equal values may differ'
      . ' as texts'],
     ["'bad', '{gone}'", 'table public.bad has no column gone'],
     ["'bad', '{id}', '{Id}'", 'table public.bad has no column "Id"'],
     ["'bad', '{id}', '{ctid}'", 'table public.bad has no column ctid'],
     ["'bad', '{NULL}'", 'table public.bad has no column NULL'],
     ["'bad', '{a b}'", "the name of column \"a b\" of public.bad $names"],
     ["'bad', '{a=b}'", "the name of column \"a=b\" of public.bad $names"],
     [q('bad', '{"a,b"}'), "the name of column \"a,b\" of public.bad $names"],
     [q('bad', '{}', ARRAY['a\b']), 'the name of column "a\b" of public.bad '
      . $names],
     [q('"bad table"'), "the name of table public.\"bad table\" $names"],
     ["'bad', NULL", 'softfactory.watch() needs a table, and keys that are not'
      . ' NULL'],
     ["'nowhere'", qr/^ERROR:  relation "nowhere" does not exist\n/],
     ["'bad_view'", 'public.bad_view cannot be watched: it is a view; watch the'
      . ' tables that it reads, which softfactory.reads() names'],
     ["'bad_copy'", 'public.bad_copy cannot be watched: it is a materialized'
      . ' view, whose refresh runs no trigger'],
     ["'bad_sequence'", 'public.bad_sequence cannot be watched: it is no table'],
     ["'pg_class'", 'pg_class cannot be watched: it belongs to PostgreSQL'
      . ' itself'])
{
    my ($arguments, $error) = @$_;

    ref $error ? like(watch($arguments), $error, $arguments)
               : is(watch($arguments), "ERROR:  $error", $arguments);
}

like(says("CREATE TEMP TABLE t (id int); SELECT softfactory.watch('t')"),
     qr/^ERROR:  \S+ cannot be watched: it is temporary: no other session/m,
     'a temporary table');
is(watch(q('bad', '{id}', '{"a b",doc,free}')),
   'public.bad: changed; keys: id; columns: id, a b, doc, free',
   'what is no key may be of any type and name');
watch(q('bad', '{}', '{}', true));
owner("SELECT softfactory.unwatch('bad')");
is(triggers(), $before, 'nothing is left');

# whose table it is

super("GRANT USAGE ON SCHEMA softfactory TO sf_watch_other;
       GRANT CREATE, USAGE ON SCHEMA public TO sf_watch_other;
       CREATE TABLE theirs (id integer PRIMARY KEY);
       ALTER TABLE theirs OWNER TO sf_watch_other");

is(says("SELECT softfactory.watch('bad')", 'sf_watch_other'),
   "ERROR:  must be owner of table public.bad: that is app\nHINT:  Call it as"
   . ' that role: SET ROLE app. The role that the module has should be no owner'
   . ' of tables.', 'a table of another');
is(says("SELECT softfactory.unwatch('products')", 'sf_watch_other'),
   "ERROR:  must be owner of table public.products: that is app\nHINT:  Call"
   . ' it as that role: SET ROLE app. The role that the module has should be no'
   . ' owner of tables.', 'nor can it be unwatched');
is(says("SELECT softfactory.watch('theirs', '{id}')", 'sf_watch_other'),
   'ERROR:  role sf_watch_other may not read softfactory.channel' . "\nHINT:  "
   . 'Its owner says: GRANT USAGE ON SCHEMA softfactory TO sf_watch_other; GRANT'
   . ' SELECT ON softfactory.channel TO sf_watch_other',
   'one\'s own, without the channel');
owner('GRANT SELECT ON softfactory.channel TO sf_watch_other');
is(says("SELECT softfactory.watch('theirs', '{id}')", 'sf_watch_other'),
   'public.theirs: changed; keys: id; columns: all', 'with it');
is(told('INSERT INTO theirs VALUES (1)'), 'theirs id=1', 'it tells');
is(owner("SELECT proowner::regrole FROM pg_proc
           WHERE proname = 'softfactory_notify_theirs'"), 'sf_watch_other',
   'by a function of that owner');
like(says('SELECT softfactory_notify_theirs()'),
     qr/^ERROR:  permission denied for function/, 'which no other may call');
super('ALTER TABLE theirs OWNER TO app');
is(check('theirs', 'state'), 'unsafe', 'when the owner changes');
like(watch("'theirs'"), qr/^ERROR:  must be owner of/,
     'the new one cannot replace what is not his');
super("SELECT softfactory.watch('theirs')");
is(check('theirs', 'state'), 'ok', 'a superuser can');


=== TEST 9: no write fails, and nothing goes unsaid
--- check
owner("CREATE TABLE free (id integer PRIMARY KEY, who text, what text)");
watch("'free', '{id, who}', '{what}'");
owner('ALTER TABLE free RENAME who TO whom');
is(told("INSERT INTO free VALUES (1, 'a', 'b')"), 'free id=* who=*',
   'a column has another name: everything is told');
is(told("UPDATE free SET what = 'c'"), 'free id=* who=*', 'by each statement');
is(check('free', 'state, lacks'), 'outdated|outdated on public.free (insert'
   . ' delete update truncate)', 'and the state says it');
watch("'free', '{whom}', '{what}'");
is(told("UPDATE free SET what = 'd'"), 'free id=1 whom=' . digest('a'),
   'until it is watched again');
is(check('free', 'state, keys'), 'ok|{id,whom}', 'then all is well');

my $silent = sub {
    my ($title, $sql, $back, $state) = @_;

    owner($sql);
    is(told("UPDATE free SET what = what || 'e'; DELETE FROM free WHERE id = 2;
             INSERT INTO free VALUES (2)"), '', "no write fails: $title");
    is(check('free', 'state, lacks, advice'), $state, "it is said: $title");
    owner($back);
    is(check('free', 'state'), 'ok', "well again: $title");
};

$silent->('no name', 'CREATE TABLE kept AS TABLE softfactory.channel;
          DELETE FROM softfactory.channel', 'INSERT INTO softfactory.channel
          TABLE kept; DROP TABLE kept', 'channel|softfactory.channel has no'
          . ' name|INSERT INTO softfactory.channel DEFAULT VALUES');
$silent->('no right', 'REVOKE SELECT ON softfactory.channel FROM app',
          'GRANT SELECT ON softfactory.channel TO app',
          'channel|app may not read softfactory.channel|GRANT USAGE ON SCHEMA'
          . ' softfactory TO app; GRANT SELECT ON softfactory.channel TO app');
$silent->('no channel', 'ALTER TABLE softfactory.channel RENAME TO gone',
          'ALTER TABLE softfactory.gone RENAME TO channel',
          'channel|there is no softfactory.channel|run softfactory.sql');
owner('GRANT SELECT ON softfactory.channel TO PUBLIC');
like(check('free', 'state, lacks, advice'), qr/^channel\|everybody\ may\ read
     \ softfactory.channel\|REVOKE\ ALL\ ON/x, 'a secret that is none');
owner('REVOKE ALL ON softfactory.channel FROM PUBLIC');

# each state of the triggers, and what repairs it

my $all = '(insert delete update truncate)';

for (['ALTER TABLE free DISABLE TRIGGER softfactory_notify_update',
      'disabled|disabled on public.free (update)'],
     ['DROP TRIGGER softfactory_notify_delete ON free',
      'missing|missing on public.free (delete)'],
     ['GRANT EXECUTE ON FUNCTION softfactory_notify_free() TO PUBLIC',
      "unsafe|unsafe on public.free $all"],
     ['ALTER FUNCTION softfactory_notify_free() RESET search_path',
      "unsafe|unsafe on public.free $all"],
     ["CREATE OR REPLACE FUNCTION softfactory_notify_free() RETURNS trigger"
      . " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
      "outdated|outdated on public.free $all"])
{
    my ($sql, $state) = @$_;

    owner($sql);
    is(check('free', 'state, lacks'), $state, $sql);
    says(check('free', 'advice'));
    is(check('free', 'state, keys'), 'ok|{id,whom}', "repaired: $sql");
}

is(told("UPDATE free SET what = 'f' WHERE id = 2"), 'free id=2',
   'they work as before');
owner("SELECT softfactory.unwatch('free')");
is(told("UPDATE free SET what = 'g'"), '', 'not when they are gone');
is(owner("SELECT count(*) FROM pg_proc
           WHERE proname = 'softfactory_notify_free'"), 0, 'with the function');
like(owner("SELECT softfactory.unwatch('free')"), qr/unchanged/, 'again');


=== TEST 10: what a query reads
--- check
my $reads = sub {
    my ($sql) = @_;

    return says("SELECT * FROM softfactory.reads(\$q\$$sql\$q\$)");
};

owner($_) for split /;\n/, <<'SQL';
CREATE VIEW cheap AS SELECT p.id, p.slug FROM products p WHERE price < 10;
CREATE FUNCTION hidden() RETURNS bigint LANGUAGE sql
    AS 'SELECT count(*) FROM bad';
SELECT softfactory.watch('products', '{id}', '{price}', true);
SELECT softfactory.watch('papers', '{}', NULL, true)
SQL

my $watch = "SELECT softfactory.watch('public.";

is($reads->('SELECT id, price FROM products'),
   'products|{id,price}|is watched', 'what is watched');
is($reads->('SELECT slug FROM products p WHERE p.stock > 0 ORDER BY seen;'),
   "products|{seen,slug,stock}|${watch}products', columns =>"
   . " '{seen,slug,stock}')", 'what is not: each clause counts');
is($reads->('SELECT body FROM papers'), 'papers|{body}|is watched',
   'all columns are');
is($reads->('SELECT count(*) FROM bad'),
   "bad|{}|${watch}bad', columns => '{}')", 'no column');
is($reads->('SELECT * FROM cheap -- a view'),
   "products|{id,price,slug}|${watch}products', columns =>"
   . " '{id,price,slug}')", 'through a view');
is($reads->('SELECT p.id, f.id, (SELECT max(what) FROM free) FROM products p
             JOIN free f USING (id::text)') =~ /^ERROR:/ ? 'error' : 'none',
   'error', 'what is no query');
is($reads->('SELECT p.id, f.id FROM products p JOIN free f ON f.id = $id
              WHERE slug = $slug [[AND stock > $stock]] AND $1 IS NULL
              ORDER BY 1 $limit'),
   "free|{id}|${watch}free', columns => '{id}')\n"
   . "products|{id,slug,stock}|${watch}products', columns =>"
   . " '{id,slug,stock}')", 'as it stands in a declaration');
is($reads->('SELECT * FROM bad_copy') =~ /a materialized view is never/, 1,
   'a materialized view');
is($reads->('SELECT hidden()'),
   '||what the function public.hidden() reads is not seen', 'a function');
like($reads->('DELETE FROM free'), qr/^ERROR:  syntax error at or near "DELETE"/,
   'nothing is written');
is(owner("SELECT count(*) FROM pg_class WHERE relname = 'softfactory_reads'"),
   0, 'no view is left');
is(says("SET search_path = \"Odd \$1\"; SELECT columns FROM softfactory.reads(
         'SELECT told FROM \"Ta''ble%s\"')"), '{told}',
   'tables are found by search_path');


=== TEST 11: from the triggers of before to these, without a gap
--- check
my $former = 't/former/notify.sql';
my @in = (dbname => scratch('sf_watch_former'));
my $tables = "$ENV{SF_TEST_SQL}/softfactory-tables.sql";
my $count = sub {
    return psql("SELECT count(*), count(DISTINCT tgrelid) FROM pg_trigger
                  WHERE tgname LIKE 'softfactory%'", @in);
};

psql('', @in, file => $former);
psql("INSERT INTO users (id, email, password_hash, name)
      VALUES (1, 'e', '!', 'n')", @in);
is($count->(), '52|13', 'the former ones are there');
psql('', @in, file => $::SQL);
is(psql("SELECT DISTINCT state, lacks FROM softfactory.check()", @in),
   'former|has the triggers of notify.sql, which go on telling',
   'the state says so');
is(psql("SELECT keys, columns FROM softfactory.check()
          WHERE relation = 'campaigns'::regclass", @in),
   '{id,creator_id}|{id,creator_id,title,product_name,category,reward_type,'
   . 'reward_value,max_reviewers,deadline,status,created_at,description}',
   'and what they tell');

my $update = "UPDATE users SET name = name || 'x' WHERE id = 1";

is(told($update, @in), 'users id=1', 'they tell');
like(psql("SELECT softfactory.watch('users', '{}', '{role}')", @in),
     qr/^public.users: changed; keys: id; columns: id, .*name.*, role$/,
     'one table is watched: what was told is kept');
is(told("$update; UPDATE users SET role = 'x'", @in),
   'users id=1; users id=1', 'it tells once of each, also of what has come');
is(psql("SELECT state FROM softfactory.check()
          WHERE relation = 'users'::regclass", @in), 'ok', 'it is one of these');
is($count->(), '52|13', 'there are no more of them than before');
psql('', @in, file => $former);
is($count->(), '52|13', 'nor when the former file is run once more');
is(told($update, @in), 'users id=1', 'it is told once');

# who writes while they are replaced

my $writer = hold("UPDATE users SET name = 'held' WHERE id = 1", @in);
my $run = command('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-h',
    $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT}, '-U', 'app', '-d',
    $in[1], '-f', $tables);

wait_until { backends("datname = '$in[1]' AND wait_event_type = 'Lock'") }
           'the file waits';
is(heard(sub {
    $writer->release;
    $run->();
}, @in), 'users id=1; triggers', 'what was written before is told');
is(psql("SELECT DISTINCT state FROM softfactory.check()", @in), 'ok',
   'all are watched');
is(told($update, @in), 'users id=1', 'and tell once');
is($count->(), '52|13', 'by one set of triggers');
psql('', @in, file => "$ENV{SF_TEST_SQL}/softfactory-remove.sql");
is($count->(), '0|0', 'all goes');
is(psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'softfactory'",
        @in), 0, 'with all that was made');

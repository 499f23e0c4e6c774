# Tables and keys by their names: what is covered is what triggers say that they
# tell, whoever has made them, and counters are moved for tables that nothing
# here reads.
#
# Where nobody can be trusted to hear of changes, an answer is kept for 300 ms.
#
# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use Time::HiRes qw(sleep);

no_shuffle();
no_root_location();
master_on();
workers(1);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_tables');
our ($CAMPAIGN, $MINE) = ('/api/review/campaigns', '/api/review/my-campaigns');

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, deadline, status,
                       created_at)
SELECT n, 1, 'of ' || n, 'p', 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 9) n;
CREATE TABLE orders (id bigint PRIMARY KEY, customer uuid, note text)
SQL

install_notify($DB);

our $CONFIG = "softfactory_cache_incoherent_ttl 300ms;\n"
              . api(operators('api'));

defaults(http_config => conf(dbname => $DB, zone => 'api 8m'),
         config => $CONFIG);


sub sql {
    return psql($_[0], dbname => $DB);
}


# triggers(%options): makes those of a table anew; words are their arguments, by
# function, which is that of notify.sql unless it is given, for events (all four
# of them)

sub triggers {
    my (%o) = @_;

    my $table = $o{table} // 'campaigns';
    my $name = $o{function} // "softfactory_notify_$table";
    my %rows = (insert => 'REFERENCING NEW TABLE AS changed',
                update => 'REFERENCING OLD TABLE AS old_rows'
                          . ' NEW TABLE AS new_rows',
                delete => 'REFERENCING OLD TABLE AS changed',
                truncate => '');
    my $words = join ', ', map { "'$_'" } @{$o{words}};

    sql("CREATE OR REPLACE TRIGGER softfactory_notify_$_ AFTER $_ ON $table
             $rows{$_} FOR EACH STATEMENT EXECUTE FUNCTION $name($words)"),
    sql("ALTER TABLE $table ENABLE ALWAYS TRIGGER softfactory_notify_$_")
        for @{$o{events} // [qw(insert update delete truncate)]};

    told();
}


# told(): the listener looks again, which drops everything

sub told {
    my $flushes = source()->{flushes};

    sql(SoftFactory::Live::tell_words('triggers'));
    wait_until { source()->{flushes} > $flushes } 'it has looked';
}


# kept($path): where it is from when it has been there for a while

sub kept {
    my ($path) = @_;

    fetch($path);
    sleep 0.35;

    return fetch($path)->{headers}{'x-cache'};
}


sub lines {
    return log_count(qr/softfactory upstream "primary": \Q$_[0]\E/);
}


run_tests();

__DATA__

=== TEST 1: triggers say in words what they tell
--- check
wait_coherent();
is(kept($_), 'HIT', "those of notify.sql: $_") for "$::CAMPAIGN/1", $::MINE;

# as softfactory.watch() has them: a table, its keys, its columns

my @words = ('table campaigns', 'key id', 'key creator_id', 'every column');

triggers(words => \@words);
wait_coherent();
is(kept($_), 'HIT', "words: $_") for "$::CAMPAIGN/1", $::MINE;
change("UPDATE campaigns SET title = 'other' WHERE id = 1", dbname => $::DB);
like(fetch("$::CAMPAIGN/1")->{body}, qr/"other"/, 'a change is heard');

# more of them than is needed

triggers(words => [@words, 'key category', 'column title', 'key' x 300]);
wait_coherent();
is(kept($::CAMPAIGN), 'HIT', 'more than is needed');

# a key less, also where only one trigger lacks it

triggers(words => ['table campaigns', 'key id', 'every column']);
wait_coherent(uncovered => 'campaigns.creator_id=');
is(lines('tables without current triggers: campaigns.creator_id=; responses '
         . 'from them are cached for at most'), 1, 'the log names the key');
is(kept("$::CAMPAIGN/1"), 'HIT', 'what does not need it is kept');
is(kept($::CAMPAIGN), 'HIT', 'so is a list');
is(kept($::MINE), 'EXPIRED', 'what does is not');
triggers(words => \@words);
wait_coherent();
triggers(words => ['table campaigns', 'key creator_id'],
         events => ['truncate']);
wait_coherent(uncovered => 'campaigns.id=');
is(kept("$::CAMPAIGN/1"), 'EXPIRED', 'as long as one trigger lacks it');
is(kept($::MINE), 'HIT', 'others are kept');

# of another table, or of none

for (['table campaign', @words[1, 2]], [@words[1, 2, 3]], ['00000000'],
     ['9f5655e6'], [])
{
    triggers(words => \@words);
    wait_coherent();
    triggers(words => $_, events => ['delete']);
    wait_coherent(uncovered => 'campaigns');
    is(kept("$::CAMPAIGN/1"), 'EXPIRED', "not the table's own: @$_");
}

# a table that has another name by now is not told by it

triggers(words => \@words);
wait_coherent();
sql('ALTER TABLE payments RENAME TO gone');
sql('ALTER TABLE campaigns RENAME TO payments');
sql('ALTER TABLE gone RENAME TO campaigns');
main::told();
wait_coherent(uncovered => 'campaigns payments');
pass('names that were exchanged are noticed');
sql('ALTER TABLE campaigns RENAME TO gone');
sql('ALTER TABLE payments RENAME TO campaigns');
sql('ALTER TABLE gone RENAME TO payments');

# back; a key that comes drops what was read without it

triggers(words => ['table campaigns', 'key id']);
wait_coherent(uncovered => 'campaigns.creator_id=');
fetch($::MINE);
triggers(words => \@words);
wait_coherent();
is(fetch($::MINE)->{headers}{'x-cache'}, 'MISS', 'what was read is dropped');
is(kept($::MINE), 'HIT', 'and kept again');


=== TEST 2: tables that nothing here reads
--- check
wait_coherent();

sql(<<'SQL');
CREATE OR REPLACE FUNCTION orders_told() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
-- softfactory channel 00000000
DECLARE
    payload text := 'orders';
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        SELECT concat('orders id=', string_agg(id::text, ','),
                      ' customer=', string_agg(customer::text, ','))
          INTO payload
          FROM changed;
    END IF;

    PERFORM pg_notify(name, payload) FROM softfactory.channel;
    RETURN NULL;
END $$
SQL

triggers(table => 'orders', function => 'orders_told', events =>
         [qw(insert delete truncate)], words => ['table orders', 'key id',
                                                 'key customer']);
wait_coherent();
is(kept($::CAMPAIGN), 'HIT', 'something is kept');

my $before = source();

is(change("INSERT INTO orders VALUES (1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
           'x')", dbname => $::DB), 1, 'it is told');

my $after = source();

is($after->{moves} - $before->{moves}, 3, 'counters of the table and its keys');
is($after->{unreadable}, $before->{unreadable}, 'nothing is unreadable');
is($after->{flushes}, $before->{flushes}, 'nothing else is dropped');
is(fetch($::CAMPAIGN)->{headers}{'x-cache'}, 'HIT', 'others are kept');
is(request('POST', "/purge?tag=$_")->{status}, 400, "nobody reads $_")
    for 'orders', 'orders.id=1', 'public.campaigns', 'campaigns.category=1',
        'campaigns.id=', 'campaigns.id=x';
is(request('POST', '/purge?tag=campaigns')->{body},
   "{\"moved\":[\"campaigns id=* creator_id=*\"]}\n", 'what is read');

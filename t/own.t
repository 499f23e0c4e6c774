# A table of one's own, from nothing to a coherent cache: four lines for an
# endpoint, one call in the database.

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

our $DB = scratch('sf_own', 'template0');

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
CREATE TABLE things (id bigint PRIMARY KEY, owner bigint, name text);
INSERT INTO things VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 1, 'three')
SQL

psql('', dbname => $DB, file => "$ENV{SF_TEST_SQL}/softfactory.sql");


# seen($path, $user): where it comes from, and the names in it

sub seen {
    my ($path, $user) = @_;

    my $res = get($path, token => $user && jwt(user_id => $user));

    return join ' ', $res->{headers}{'x-cache'},
                     $res->{body} =~ /"name":"([^"]*)"/g;
}


sub watch {
    my ($arguments) = @_;

    psql("SELECT softfactory.watch($arguments)", dbname => $DB);
}


defaults(
    http_config => conf(dbname => $DB, zone => 'api 8m') . <<'CONF',
softfactory_endpoint things {
    get    /things;
    access public;
    sql    "SELECT id, name FROM $schema.things ORDER BY id";
    tags   things;
}
softfactory_endpoint thing {
    get    /things/$id;
    access public;
    sql    "SELECT id, name FROM $schema.things WHERE id = $id";
    json   '{*}';
    tags   things.id=$id;
}
softfactory_endpoint mine {
    get    /mine;
    sql    "SELECT id, name FROM $schema.things WHERE owner = $user
             ORDER BY id";
    tags   things.owner=$user;
}
CONF
    config => <<"CONF" . operators('api'));
softfactory_jwt_secret "$SoftFactory::SECRET";
location / { softfactory_cache api; softfactory_pass primary; }
CONF

run_tests();

__DATA__

=== TEST 1: what is not watched is kept for a second, and said to be so
--- check
wait_until { "@{source()->{uncovered}}" eq 'things' } 'nothing is told';

is(seen('/things'), 'MISS one two three', 'asked for');
is(seen('/things'), 'HIT one two three', 'kept');

psql("UPDATE things SET name = 'uno' WHERE id = 1", dbname => $::DB);
wait_until { seen('/things') =~ / uno / } 'it is old soon', 5;
pass('and not for long');



=== TEST 2: watched by keys, each response goes with its rows, and no other
--- check
watch(q{'things', keys => '{id, owner}'});
wait_coherent();

my %now = ('/things' => 'uno two three', '/things/1' => 'uno',
           '/things/2' => 'two');
my %mine = (1 => 'uno three', 2 => 'two');

sub all_are {
    my ($what, %gone) = @_;

    is(seen($_), ($gone{$_} ? 'MISS' : 'HIT') . " $now{$_}", "$what: $_")
        for sort keys %now;
    is(seen('/mine', $_), ($gone{$_} ? 'MISS' : 'HIT') . " $mine{$_}",
       "$what: of $_") for sort keys %mine;
}

all_are('first', map { $_ => 1 } keys %now, keys %mine);
all_are('again');

change("UPDATE things SET name = 'one' WHERE id = 1", dbname => $::DB);
$now{'/things'} = 'one two three';
$now{'/things/1'} = 'one';
$mine{1} = 'one three';
all_are('a row', '/things' => 1, '/things/1' => 1, 1 => 1);

change("INSERT INTO things VALUES (4, 2, 'four')", dbname => $::DB);
$now{'/things'} = 'one two three four';
$mine{2} = 'two four';
all_are('a new row', '/things' => 1, 2 => 1);

change("UPDATE things SET owner = 2 WHERE id = 3", dbname => $::DB);
$mine{1} = 'one';
$mine{2} = 'two three four';
all_are('another owner', '/things' => 1, 1 => 1, 2 => 1);

change("DELETE FROM things WHERE id = 2", dbname => $::DB);
is(seen('/things/2'), 'MISS', 'a row that is gone');
$now{'/things'} = 'one three four';
delete $now{'/things/2'};
$mine{2} = 'three four';
all_are('no row', '/things' => 1, 2 => 1);



=== TEST 3: a key that is not watched is told by its name
--- check
watch(q{'things', keys => '{id}', replace => true});
wait_coherent(uncovered => 'things.owner=');

is(seen('/things'), 'MISS one three four', 'the table is covered');
is(seen('/mine', 1), 'MISS one', 'what needs the key is kept');
wait_until { seen('/mine', 1) ne 'HIT one' } 'for a second', 5;
is(seen('/things'), 'HIT one three four', 'the rest for longer');

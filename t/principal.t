# Who a user is: softfactory_principal over tables of one's own, and without.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;

no_shuffle();
no_root_location();
master_on();
plan('no_plan');

our $DB = scratch('sf_principal');

psql(<<'SQL', dbname => $DB);
CREATE TABLE people (number bigint PRIMARY KEY, "is Here" boolean,
                     paid boolean, groups text[]);
INSERT INTO people VALUES (1, true, true, '{a,"b c",o''x}'), (2, true, true, '{}'),
                          (3, true, true, NULL), (4, NULL, true, '{a}'),
                          (5, false, false, '{a}'), (6, true, false, '{a}'),
                          (7, true, true, '{NULL,b c,b c,other}');
SQL

our $PEOPLE = q{
    SELECT number, "is Here", paid, groups AS roles FROM $schema.people
     WHERE number = $user -- the last line, which may be a comment};


# declare($principal, @roles): endpoints /mine, and /0, /1 ... for the roles

sub declare {
    my ($principal, @roles) = @_;

    my $n = 0;
    my $text = $principal . <<'CONF';
softfactory_endpoint mine { get /mine; json '{"ok": true}'; }
softfactory_endpoint open { get /open; access public; json '{"ok": true}'; }
CONF

    for (@roles) {
        $text .= "softfactory_endpoint role_$n { get /$n; role \"$_\";"
                 . " json '{\"role\": $n}'; }\n";
        $n++;
    }

    return conf(dbname => $DB, zone => 'api 8m') . $text;
}


our $SERVER = <<"CONF";
softfactory_jwt_secret "$SoftFactory::SECRET";
softfactory_token fixed user=9 products=a;
softfactory_cache api;
location / { softfactory_pass primary; }
CONF


# seen($path, $user): status and body in one line

sub seen {
    my ($path, $user) = @_;

    my $res = get($path, token => $user && jwt(user_id => $user));
    chomp(my $body = $res->{body});

    return "$res->{status} $body";
}


run_tests();

__DATA__

=== TEST 1: a row, its checks in their order, and the roles
--- http_config eval
::declare(<<"CONF", 'a', 'b c', "o'x", 'never')
softfactory_principal {
    sql     '$::PEOPLE';
    missing "Who?";
    check   "is Here" 401 "Not here";
    check   paid 402 "Not paid";
    denied  "Only for \$role";
    tags    users.id=\$user;
}
CONF
--- config eval
$::SERVER
--- check
for my $turn ('made', 'kept') {
    is(::seen('/mine', 1), '200 {"ok":true}', "a user, $turn");
    is(::seen('/mine', 99), '401 {"error":"Who?"}', "no row, $turn");
    is(::seen('/mine', 4), '401 {"error":"Not here"}', "NULL, $turn");
    is(::seen('/mine', 5), '401 {"error":"Not here"}', "the first, $turn");
    is(::seen('/mine', 6), '402 {"error":"Not paid"}', "the second, $turn");
    is(::seen('/open'), '200 {"ok":true}', "nobody is asked for, $turn");
    is(::seen('/mine'), '401 {"error":"Missing authorization header"}',
       "no token, $turn");

    is(::seen("/$_", 1), "200 {\"role\":$_}", "role $_, $turn") for 0 .. 2;
    is(::seen('/3', 1), '403 {"error":"Only for never"}', "not that, $turn");
    is(::seen('/0', $_), '403 {"error":"Only for a"}', "user $_, $turn")
        for 2, 3, 7;
    is(::seen('/1', 7), '200 {"role":1}', "a role twice, and NULL, $turn");
}

is(get('/0', token => 'fixed')->{status}, 200, 'a fixed token has its own');
is(get('/1', token => 'fixed')->{status}, 403, 'and no others');



=== TEST 2: without a block a good token is enough
--- http_config eval
::declare('')
--- config eval
$::SERVER =~ s/ products=a//r
--- check
is(::seen('/mine', $_), '200 {"ok":true}', "user $_") for 1, 5, 99;
is(::seen('/mine'), '401 {"error":"Missing authorization header"}',
   'no token');
is(get('/mine', token => jwt(user_id => 1, -secret => 'other'))->{status},
   401, 'a bad one');
is(get('/mine', token => jwt(user_id => undef))->{body},
   "{\"error\":\"Invalid or expired token\"}\n", 'one without a user');



=== TEST 3: what is not said has a default
--- http_config eval
::declare("softfactory_principal { sql '$::PEOPLE'; }", 'a')
--- config eval
$::SERVER
--- check
is(::seen('/mine', 99), '401 {"error":"User not found"}', 'no row');
is(::seen('/mine', 4), '200 {"ok":true}', 'nothing is checked');
is(::seen('/0', 2), '403 {"error":"Role a required"}', 'no role');



=== TEST 4: a statement without the column roles is enough where none is asked
--- http_config eval
::declare('softfactory_principal { sql "SELECT 1 AS one WHERE $user < 5"; }')
--- config eval
$::SERVER =~ s/ products=a//r
--- check
is(::seen('/mine', 4), '200 {"ok":true}', 'a row');
is(::seen('/mine', 5), '401 {"error":"User not found"}', 'none');



=== TEST 5: and refused where one is
--- http_config eval
::declare('softfactory_principal { sql "SELECT 1 AS one WHERE $user < 5"; }',
          'a')
--- config eval
$::SERVER
--- check
like(::seen('/0', 4), qr/^503 /, 'no roles');
--- no_error_log
[crit]
[alert]
[emerg]
--- error_log
column p.roles does not exist



=== TEST 6: roles are told apart, in whichever order they are asked for
--- http_config eval
::declare("softfactory_principal { sql '$::PEOPLE'; tags users.id=\$user; }",
          'b c', 'a')
--- config eval
$::SERVER
--- check
is(::seen('/0', 7), '200 {"role":0}', 'b c');
is(::seen('/1', 7), '403 {"error":"Role a required"}', 'not a');

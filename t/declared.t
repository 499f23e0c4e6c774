# Endpoints that a stranger declares, over tables of his own: what clients see.
#
# The tables are those of a schema "shop", with keys that are uuids and columns
# of all kinds.  No trigger tells of changes, and nothing of conf/api is there.
#
# valgrind: no
# expect-alert: has to begin with SELECT

use strict;
use warnings;
use lib 't/lib';
use Test::More ();
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;
use Time::HiRes 'sleep';

no_shuffle();
no_root_location();
master_on();
worker_connections(256);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_declared');
our $dir = scratch_dir();
our $RED = '0f0e0d0c-0b0a-0908-0706-050403020100';
our $BLUE = 'ffffffff-0b0a-0908-0706-050403020100';


sub shop {
    my ($sql) = @_;

    psql($_, dbname => $DB) for split /;\n/, $sql;
}


shop(<<'SQL');
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'used');
CREATE TYPE shop.pair AS (a int, b text);
CREATE DOMAIN shop.cents AS int;
CREATE TABLE shop.items (
    key uuid PRIMARY KEY, slug text, n int, big bigint, price numeric,
    rate float8, good boolean, at timestamp, zoned timestamptz, day date,
    raw bytea, doc jsonb, old json, state shop.state, words text[],
    numbers int[], net inet, span interval, cost shop.cents);
INSERT INTO shop.items VALUES
    ('0f0e0d0c-0b0a-0908-0706-050403020100', 'red-hat', 1,
     9223372036854775807, 1.50, 0.1, true, '2026-02-20 10:00:00',
     '2026-02-20 10:00:00.5+02', '2026-02-20', '\x00ff',
     '{"a": [1, 2.50, null]}', '{"z":1,  "a":"\u00e9"}', 'used',
     '{"a,b",NULL,"q\"x\\y",""}', '{1,NULL,3}', '10.0.0.1', '1 day 2 hours',
     99);
INSERT INTO shop.items VALUES
    ('ffffffff-0b0a-0908-0706-050403020100', 'blue "hat"/é', -2)
SQL


# declare($name, $lines): a block for everybody

sub declare {
    my ($name, $lines) = @_;

    return "softfactory_endpoint $name {\n    access public;\n$lines\n}\n";
}


# http($declarations), config(@lines): this schema, and all paths to it

sub http {
    return conf(dbname => $DB, schema => 'shop', zone => 'api 8m',
                listen => 'off', pool => 'connections=2') . join '', @_;
}


sub config {
    return join "\n", @_, operators('api'), <<'CONF';
softfactory_jwt_secret "a secret of the tests";
softfactory_cache_incoherent_ttl 60s;
location / { softfactory_pass primary; }
CONF
}


# app(): an application behind the module, which answers what that does not know

sub app {
    return "softfactory_fallback \@app;\n"
           . "location \@app { return 299 app; }\n";
}


# body($path), x($path): what comes for it, with its status; with X-Cache

sub body {
    my ($path, %o) = @_;

    my $res = request('GET', $path, %o);

    return "$res->{status} " . $res->{body} =~ s/\n\z//r;
}


sub x {
    my ($path) = @_;

    my $res = request('GET', $path);

    return $res->{status} . ' ' . ($res->{headers}{'x-cache'} // 'none') . ' '
           . $res->{body} =~ s/\n\z//r;
}


# gives(path => body, ...): one test for each

sub gives {
    local $Test::Builder::Level = $Test::Builder::Level + 1;

    while (my ($path, $body) = splice @_, 0, 2) {
        $body = "200 $body" if $body !~ /^\d\d\d /;
        Test::More::is(body($path), $body, substr $path, 0, 70);
    }
}


# refused($path, $words): 503, and the line of the log that says why

sub refused {
    my ($path, $words) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $before = () = error_log() =~ /\Q$words\E/g;

    Test::More::is(body($path), '503 {"error":"Endpoint unavailable"}', $path);
    wait_until { (() = error_log() =~ /\[error\].*\Q$words\E/g) > $before }
        "a line of the log: $words";
    Test::More::pass("the log has: $words");
}


add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value(config => config()) if !defined $block->config
        || $block->config !~ /softfactory_pass/;
});

# texts in files: quotes need no backslash there

mkdir "$dir/api";
write_file("$dir/ticks.sql", <<'SQL');
SELECT 1 AS "a ""b""", 2 AS "if", 3 AS "true", $q$ it's $x [[ $q$ AS x
SQL
write_file("$dir/api/shop.conf", <<'CONF' =~ s/DIR/$dir/r);
softfactory_endpoint from_file {
    get /from-file;
    include DIR/api/of-all.inc;
    sql file:sql/list.sql;
}
CONF
write_file("$dir/api/of-all.inc", "access public;\nttl 60s;\n");
mkdir "$dir/api/sql";
write_file("$dir/api/sql/list.sql",
           "-- a list\nSELECT n FROM \$schema.items ORDER BY n\n");

defaults(config => config());
run_tests();

__DATA__

=== TEST 1: a column of each type, as it is without a template
--- http_config eval
main::http(main::declare('item', <<'CONF'), main::declare('own', <<'MORE'))
    get   /items/$key;
    param key uuid;
    sql   "SELECT * FROM $schema.items WHERE key = $key";
    json  '{*}';
CONF
    get   /own;
    sql   "SELECT '{new,used}'::$schema.state[] AS a,
                  to_json('{new,used}'::$schema.state[]) AS b,
                  (1, 'x')::$schema.pair AS c,
                  to_json((1, 'x')::$schema.pair) AS d";
    json  '{*}';
MORE
--- check
gives('/own' => '{"a":"{new,used}","b":["new","used"],"c":"(1,x)",'
                . '"d":{"a":1,"b":"x"}}');
is(body("/items/$::RED"), '200 {"key":"' . $::RED . '","slug":"red-hat","n":1,'
   . '"big":9223372036854775807,"price":1.50,"rate":0.1,"good":true,'
   . '"at":"2026-02-20T10:00:00","zoned":"2026-02-20T08:00:00.500000+00:00",'
   . '"day":"2026-02-20","raw":"\\\\x00ff","doc":{"a": [1, 2.50, null]},'
   . '"old":{"z":1,  "a":"\u00e9"},"state":"used",'
   . '"words":["a,b",null,"q\"x\\\\y",""],"numbers":[1,null,3],'
   . '"net":"10.0.0.1","span":"1 day 02:00:00","cost":99}', 'each of them');
is(body("/items/$::BLUE"), '200 {"key":"' . $::BLUE
   . '","slug":"blue \"hat\"/é","n":-2,"big":null,"price":null,"rate":null,'
   . '"good":null,"at":null,"zoned":null,"day":null,"raw":null,"doc":null,'
   . '"old":null,"state":null,"words":null,"numbers":null,"net":null,'
   . '"span":null,"cost":null}', 'and of none');


=== TEST 2: names in paths
--- http_config eval
main::http(main::declare('item', <<'CONF'),
    get   /items/$key;
    param key uuid;
    sql   "SELECT n FROM $schema.items WHERE key = $key";
    json  '{n, "key": $key}';
CONF
main::declare('slug', <<'CONF'),
    get   /slugs/$slug;
    param slug text;
    sql   "SELECT n FROM $schema.items WHERE slug = $slug";
    json  '{n, "slug": $slug}';
CONF
main::declare('number', <<'CONF'),
    get   /numbers/$number/of/$id;
    param number int;
    sql   "SELECT slug, $id AS id FROM $schema.items WHERE n = $number";
    json  '{slug, "number": $number, "id": $id}';
CONF
main::declare('day', <<'CONF'),
    get   /days/$day;
    param day date;
    sql   "SELECT n FROM $schema.items WHERE day = $day";
    json  '{n, "day": $day}';
CONF
main::declare('newest', <<'CONF'))
    get   /slugs/newest;
    json  '"a literal comes first"';
CONF
--- config eval: main::config(main::app())
--- check
my $upper = uc $::RED;
my $not = '404 {"error":"Not found"}';

gives("/items/$::RED" => qq({"n":1,"key":"$::RED"}),
      "/items/$upper" => qq({"n":1,"key":"$::RED"}),
      '/items/00000000-0000-0000-0000-000000000000' => $not,
      '/slugs/red-hat' => '{"n":1,"slug":"red-hat"}',
      '/slugs/red%2Dhat' => '{"n":1,"slug":"red-hat"}',
      '/slugs/Red-hat' => $not,
      '/slugs/newest' => '"a literal comes first"',
      '/numbers/-2/of/7' => '{"slug":"blue \"hat\"/é","number":-2,"id":7}',
      '/numbers/01/of/007' => '{"slug":"red-hat","number":1,"id":7}',
      '/numbers/1/of/' . '9' x 30 => $not,
      '/numbers/' . '9' x 30 . '/of/1' => $not,
      '/days/2026-02-20' => '{"n":1,"day":"2026-02-20"}',
      '/days/20260220' => '{"n":1,"day":"2026-02-20"}',
      '/days/2026-02-30' => $not, '/days/tomorrow' => $not);

# what the path does not allow is the application's

for my $path ("/items/{$::RED}", '/items/' . $::RED =~ s/-//gr,
              "/items/${main::RED}0", '/items/', '/items', "/items/$::RED/",
              '/items/' . substr($::RED, 1), '/slugs/', '/slugs/a/b',
              '/numbers/+1/of/1', '/numbers/1/of/-1', '/numbers/1.0/of/1',
              '/Items/' . $::RED, '/slugs/newest/')
{
    my $res = request('GET', $path);
    is("$res->{status} $res->{body}", '299 app', $path);
}


=== TEST 3: parameters of each type, with what they stand for
--- http_config eval
main::http(main::declare('values', <<'CONF'))
    get   /values;
    param i    int default=7 min=1 max=100 alias=int;
    param n    number;
    param b    bool;
    param t    text default=none min=2 max=4 unset=all;
    param u    uuid;
    param d    date;
    param ts   time;
    param l    list;
    param c    choice up=1 "down=-1";
    param k    id;
    param soft int min=0 invalid=unset;
    param hard int "invalid=Say a number";
    sql   "SELECT $i AS i, $n AS n, $b AS b, $t::text AS t, $u AS u,
                  $d AS d, $ts AS ts, $l AS l, $c AS c, $k AS k,
                  $soft AS soft, $hard AS hard";
    json  '{*}';
CONF
--- check
my %none = (i => 7, n => 'null', b => 'null', t => '"none"', u => 'null',
            d => 'null', ts => 'null', l => 'null', c => 1, k => 'null',
            soft => 'null', hard => 'null');

my $all = sub {
    my %v = (%none, @_);

    return '{' . join(',', map { qq("$_":$v{$_}) }
                      qw(i n b t u d ts l c k soft hard)) . '}';
};

my $day = '"2026-02-20"';
my $bad = sub { qq(400 {"error":"Invalid $_[0]"}) };

gives('/values' => $all->(), '/values?x=1&y' => $all->(),
      '/values?i=1' => $all->(i => 1), '/values?int=2' => $all->(i => 2),
      '/values?int=2&i=3' => $all->(i => 3), '/values?i=' => $bad->('i'),
      '/values?i=0' => $bad->('i'), '/values?i=101' => $bad->('i'),
      '/values?i=1.5' => $bad->('i'), '/values?int=x' => $bad->('i'),
      '/values?i=' . '9' x 25 => $bad->('i'),
      '/values?n=1.50' => $all->(n => '1.50'),
      '/values?n=-1e3' => $all->(n => -1000),
      '/values?n=NaN' => $bad->('n'), '/values?n=0x1' => $bad->('n'),
      '/values?n=' . '9' x 65 => $bad->('n'));

gives("/values?b=$_" => $all->(b => 'true')) for qw(true t yes on 1);
gives("/values?b=$_" => $all->(b => 'false')) for qw(false f no off 0);

gives('/values?b=2' => $bad->('b'), '/values?b=' => $all->(),
      '/values?t=abc' => $all->(t => '"abc"'),
      '/values?t=%C3%A9%C3%A9%C3%A9%C3%A9' => $all->(t => '"éééé"'),
      '/values?t=a' => $bad->('t'), '/values?t=abcde' => $bad->('t'),
      '/values?t=all' => $all->(), '/values?t=a%00b' => $bad->('t'),
      '/values?t=%27%22%5C' => $all->(t => q("'\"\\\\")),
      "/values?u=$::RED" => $all->(u => qq("$::RED")),
      '/values?u=' . uc $::RED => $all->(u => qq("$::RED")),
      '/values?u=1' => $bad->('u'),
      '/values?d=2026-02-20' => $all->(d => $day),
      '/values?d=20260220' => $all->(d => $day),
      '/values?d=2026-02-20T23:59' => $all->(d => $day),
      '/values?d=2026-02-30' => $bad->('d'),
      '/values?ts=2026-02-20T10:00' =>
          $all->(ts => '"2026-02-20T10:00:00+00:00"'),
      '/values?ts=2026-02-20+10:00:01.5%2B02:00' =>
          $all->(ts => '"2026-02-20T08:00:01.500000+00:00"'),
      '/values?ts=2026-02-20' => $bad->('ts'),
      '/values?ts=2026-02-20T25:00' => $bad->('ts'),
      '/values?l=a,b' => $all->(l => '["a","b"]'),
      '/values?l=%22a%22,NULL,%7Bb%7D,c+d' =>
          $all->(l => '["\"a\"","NULL","{b}","c d"]'),
      '/values?l=' . join(',', 1 .. 65) =>
          '400 {"error":"Too many l values"}',
      '/values?c=down' => $all->(c => -1), '/values?c=1' => $bad->('c'),
      '/values?k=5' => $all->(k => 5), '/values?k=x' => $bad->('k'),
      '/values?soft=-1' => $all->(), '/values?soft=x' => $all->(),
      '/values?soft=3' => $all->(soft => 3),
      '/values?hard=x' => '400 {"error":"Say a number"}',
      '/values?hard=x&i=x' => $bad->('i'));


=== TEST 4: a constant that has parameters
--- http_config eval
main::http(main::declare('constant', <<'CONF'))
    get   /constant/$id;
    param days int default=30 min=1 max=365;
    param day  date default=2026-02-20;
    param from date default=day-7d;
    param name text;
    param good bool;
    json  '{"days": $days, "as": text($days), "id": $id, "day": $day,
            "from": $from, "name": $name ?? "nobody", "good": $good,
            "list": [1, "two", null, 3.50, {}]}';
CONF
--- check
my $rest = '"list":[1,"two",null,3.50,{}]';
my $from = '"day":"2026-02-20","from":"2026-02-13"';

gives('/constant/5' => '{"days":30,"as":"30","id":5,' . $from
          . ',"name":"nobody","good":null,' . $rest . '}',
      '/constant/05?days=%2B7&name=%C3%A9%22&good=yes' => '{"days":7,'
          . '"as":"+7","id":5,' . $from . ',"name":"é\"","good":true,'
          . $rest . '}',
      '/constant/5?day=2026-01-01' => '{"days":30,"as":"30","id":5,'
          . '"day":"2026-01-01","from":"2025-12-25","name":"nobody",'
          . '"good":null,' . $rest . '}',
      '/constant/5?days=0' => '400 {"error":"Invalid days"}',
      '/constant/x' => '404 {"error":"Not found"}');

my $res = request('HEAD', '/constant/5');
is("$res->{status} $res->{body}", '200 ', 'HEAD');
cmp_ok($res->{headers}{'content-length'}, '>', 100, 'with its length');

$res = request('GET', '/constant/5',
               headers => ["If-None-Match: $res->{headers}{etag}"]);
is($res->{status}, 304, 'not modified');
is(request('POST', '/constant/5')->{status}, 405, 'no other method');


=== TEST 5: groups, fragments, choices, lists
--- http_config eval
main::http(<<'CONF', main::declare('list', <<'MORE'))
softfactory_fragment cheap "price < $price -- a comment
                           ";
softfactory_fragment chosen "true [[AND slug = $slug]] [[AND $cheap]]";
CONF
    get   /list;
    param slug   text;
    param price  number;
    param states list one=state;
    param words  list;
    param sort   choice "n=n" "slug=slug DESC" default=slug;
    sql   "SELECT n FROM $schema.items
            WHERE $chosen
                  [[AND state = ANY ($states::text[]::$schema.state[])]]"
          "       [[AND state = $state]]
                  [[AND words[1] = ANY ($words)]]
            ORDER BY $sort";
    json  '[n]';
MORE
--- check
gives('/list' => '[1,-2]', '/list?sort=n' => '[-2,1]',
      '/list?sort=slug' => '[1,-2]',
      '/list?sort=none' => '400 {"error":"Invalid sort"}',
      '/list?slug=red-hat' => '[1]', '/list?slug=none' => '[]',
      '/list?slug=' => '[1,-2]', '/list?price=1.51' => '[1]',
      '/list?price=1.50' => '[]', '/list?price=2&slug=red-hat' => '[1]',
      '/list?states=used,new' => '[1]', '/list?states=new' => '[]',
      '/list?states=used' => '[1]', '/list?words=a%2Cb' => '[]',
      '/list?words=x,a' => '[]');

# an enum that has no such value is an error of the client

is(body('/list?states=broken'), '400 {"error":"Invalid parameter"}',
   'not of the enum');
--- no_error_log
[crit]
[alert]
[emerg]


=== TEST 6: templates
--- http_config eval
main::http(main::declare('map', <<'CONF'),
    get   /map;
    sql   "SELECT slug, n, price FROM $schema.items ORDER BY n";
    json  '{slug: {n, "price": round(price, 1) ?? "free"}}';
CONF
main::declare('rest', <<'CONF'),
    get   /rest;
    sql   "SELECT slug, n, price, day, net FROM $schema.items ORDER BY n DESC";
    json  '{"first": {n, "the day": day ?? null},
            "all": [{* -net -day, "cost": round(price, 0)} if price],
            "slugs": [slug], "static": {"a": [true, []]}}';
CONF
main::declare('ticks', <<'CONF'),
    get   /ticks;
    sql   file:ticks.sql;
    json  '{`a "b"`, "c": `if`, "d": `true`}';
CONF
main::declare('none', <<'CONF'))
    get   /none;
    sql   "SELECT slug, n FROM $schema.items WHERE n = 77";
    json  '{"rows": [{*}], "map": 1, "by": {slug: n}}';
CONF
=~ s{file:}{file:$::dir/}r
--- check
gives('/map' => '{"blue \"hat\"/é":{"n":-2,"price":"free"},'
          . '"red-hat":{"n":1,"price":1.5}}',
      '/rest' => '{"first":{"n":1,"the day":"2026-02-20"},'
          . '"all":[{"slug":"red-hat","n":1,"cost":2.0}],'
          . '"slugs":["red-hat","blue \"hat\"/é"],"static":{"a":[true,[]]}}',
      '/ticks' => '{"a \"b\"":1,"c":2,"d":3}',
      '/none' => '{"rows":[],"map":1,"by":{}}');


=== TEST 7: no row, and rows that are not for everybody
--- http_config eval
main::http(main::declare('checked', <<'CONF'),
    get     /checked/$number;
    param   number int;
    sql     "SELECT n, n > 0 AS positive, good AS good, slug
               FROM $schema.items WHERE n = $number";
    json    '{*}';
    missing 410 "It is gone";
    check   positive 402 "Not positive";
    check   good 409 "Not good";
CONF
main::declare('number', <<'CONF'),
    get     /number/$number;
    param   number int;
    sql     "SELECT $number AS given, $number AS n";
    json    '{n}';
    check   given 403 "Zero";
CONF
main::declare('null_check', <<'CONF'),
    get     /null;
    sql     "SELECT good, n FROM $schema.items WHERE n = -2";
    check   good 403 "NULL is not true";
CONF
main::declare('bare', <<'CONF'),
    get     /bare/$number;
    param   number int;
    sql     "SELECT n FROM $schema.items WHERE n = $number";
    json    '{"of": {n}}';
CONF
main::declare('required', <<'CONF'))
    get     /required;
    param   slug text;
    sql     "SELECT n FROM $schema.items WHERE slug = $slug";
    missing 400 "slug is required";
CONF
--- check
gives('/checked/1' => '{"n":1,"slug":"red-hat"}',
      '/checked/-2' => '402 {"error":"Not positive"}',
      '/checked/5' => '410 {"error":"It is gone"}',
      '/null' => '403 {"error":"NULL is not true"}',
      '/bare/1' => '{"of":{"n":1}}', '/bare/2' => '404 {"error":"Not found"}',
      '/required' => '400 {"error":"slug is required"}',
      '/required?slug=red-hat' => '[{"n":1}]');

for my $path ('/checked/1', '/checked/-2', '/checked/5') {
    my ($get, $head) = map { request($_, $path) } qw(GET HEAD);

    is("$head->{status} $head->{body} $head->{headers}{'content-length'}",
       "$get->{status}  $get->{headers}{'content-length'}", "HEAD $path");
}

# a number is as good as a boolean, and 0 is not true

gives('/number/1' => '{"n":1}', '/number/-2' => '{"n":-2}',
      '/number/0' => '403 {"error":"Zero"}');


=== TEST 8: pages
--- http_config eval
main::http(main::declare('paged', <<'CONF'))
    get   /paged;
    page  1 alias=limit max=2;
    param slug text;
    sql   "SELECT n FROM $schema.items [[WHERE slug = $slug]] ORDER BY n $limit";
    total "SELECT count(*) FROM $schema.items [[WHERE slug = $slug]]";
    json  '{"page": $page, "pages": $pages, "total": $total, "rows": [n]}';
CONF
--- check
my $page = sub {
    sprintf '{"page":%d,"pages":%d,"total":%d,"rows":[%s]}', @_;
};

my $not = '404 {"error":"Not found"}';

gives('/paged' => $page->(1, 2, 2, '-2'), '/paged?page=2' => $page->(2, 2, 2, 1),
      '/paged?page=3' => $not, '/paged?page=0' => $not,
      '/paged?page=x' => $page->(1, 2, 2, '-2'),
      '/paged?limit=2' => $page->(1, 1, 2, '-2,1'),
      '/paged?per_page=2&limit=1' => $page->(1, 1, 2, '-2,1'),
      '/paged?per_page=50' => $page->(1, 1, 2, '-2,1'),
      '/paged?per_page=0' => $not,
      '/paged?slug=none' => $page->(1, 0, 0, ''),
      '/paged?slug=none&page=2' => $not);


=== TEST 9: files, in files, relative to them
--- http_config eval
main::http("include $::dir/api/shop.conf;\n", main::declare('x', <<'CONF'))
    get /x;
    json '0';
CONF
--- check
gives('/from-file' => '[{"n":-2},{"n":1}]');


=== TEST 10: what is kept, and for how long
--- http_config eval
main::http(main::declare('untagged', <<'CONF'),
    get  /untagged;
    sql  "SELECT n FROM $schema.items WHERE slug = 'red-hat'";
    json '{n}';
CONF
main::declare('off', <<'CONF'),
    get  /off;
    sql  "SELECT n, 'off' AS o FROM $schema.items WHERE slug = 'red-hat'";
    json '{n}';
    ttl  off;
CONF
main::declare('clock', <<'CONF'))
    get  /clock;
    sql  "SELECT clock_timestamp()::text AS at";
    json '{at}';
    ttl  1s;
CONF
--- config eval
main::config() =~ s/ttl 60s/ttl 2s/r
--- check
is(x('/untagged'), '200 MISS {"n":1}', 'first');
is(x('/untagged'), '200 HIT {"n":1}', 'again');
is(x('/off'), '200 BYPASS {"n":1}', 'not kept');
is(x('/off'), '200 BYPASS {"n":1}', 'not kept either');

my $clock = body('/clock');
is(body('/clock'), $clock, 'the clock stands for a second');

main::shop("UPDATE shop.items SET n = 3 WHERE slug = 'red-hat'");

like(x('/untagged'), qr/^200 HIT \{"n":1\}$/, 'nobody tells of the change');
is(x('/off'), '200 BYPASS {"n":3}', 'which is seen where nothing is kept');

wait_until { body('/untagged') eq '200 {"n":3}' } 'the time is over', 10;
pass('the time of the entry is over');
isnt(body('/clock'), $clock, 'and the clock goes on');

# it cannot be dropped by its name: nobody knows what it is read from

is(body('/untagged'), '200 {"n":3}', 'it is there');
my $res = request('POST', '/purge?endpoint=untagged');
is($res->{status}, 400, 'a purge of it is refused');
is($res->{body}, '{"error":"This endpoint has no tags, so its responses cannot'
   . ' be told from others: they are kept for softfactory_cache_incoherent_ttl'
   . ' at most, and ?all drops them"}' . "\n", 'which says why');
is(request('POST', '/purge?endpoint=off')->{status}, 400, 'nor one not kept');
is(request('POST', '/purge?all')->{status}, 200, 'but all can be dropped');
like(x('/untagged'), qr/^200 MISS /, 'with it');
main::shop("UPDATE shop.items SET n = 1 WHERE slug = 'red-hat'");


=== TEST 11: what is refused at the first result
--- http_config eval
my @texts = (
    record => 'SELECT ROW(1, 2) AS pair', '[{*}]', '',
    twice => 'SELECT 1 AS a, 2 AS a', '[{*}]', '',
    nameless => 'SELECT 1', '[{*}]', '',
    no_column => 'SELECT 1 AS a, 2 AS b', '{c}', '',
    minus => 'SELECT 1 AS a, 2 AS c', '{* -b}', '',
    condition => 'SELECT 1 AS a, 2 AS d', '[{*} if b]', '',
    no_check => 'SELECT 1 AS a, 2 AS e', '{a}', 'check b 403 "No";',
    text_check => "SELECT 't'::text AS a, 2 AS f", '{a}',
    'check a 403 "No";',
    rounded => "SELECT 'x' AS a", '{"a": round(a, 1)}', '',
    keyed => 'SELECT localtimestamp AS a', '{a: 1}', 'ttl 1s;',
    prepared => 'SELECT nothing FROM $schema.items', '[{*}]', '',
);
my $conf = '';

while (my ($name, $sql, $json, $more) = splice @texts, 0, 4) {
    $conf .= main::declare($name, "get /$name;\nsql \"$sql\";\n"
                                  . "json '$json';\n$more");
}

my @totals = (
    text_total => "SELECT 'x'", '',
    two_totals => 'SELECT count(*), 2 AS a FROM $schema.items', '',
    other_expires => 'SELECT count(*), 3 AS a FROM $schema.items',
    'expires ms;',
    no_expires => 'SELECT count(*) FROM $schema.items WHERE 4 = 4',
    'expires ms;',
);

while (my ($name, $total, $more) = splice @totals, 0, 3) {
    $conf .= main::declare($name, "get /$name;\npage 5;\n"
        . "sql \"SELECT '$name' AS a \$limit\";\ntotal \"$total\";\n"
        . "json '{\"total\": \$total, \"rows\": [a]}';\n$more");
}

main::http($conf)
--- check
my $upstream = 'softfactory upstream "primary", ';

refused('/record', "${upstream}record: column \"pair\" is of type record, "
        . 'which JSON does not have: write to_json(pair) AS pair');
refused('/twice', "${upstream}twice: two columns have the name \"a\"");
refused('/nameless', "${upstream}nameless: column 1 has no name: write AS");
refused('/no_column', "${upstream}no_column: there is no column \"c\", only "
        . '"a", "b"');
refused('/minus', "${upstream}minus: there is no column \"b\", only \"a\", "
        . '"c"');
refused('/condition', "${upstream}condition: there is no column \"b\"");
refused('/no_check', "${upstream}no_check: there is no column \"b\"");
refused('/text_check', "${upstream}text_check: column \"a\" is of type "
        . 'text, where a boolean is expected here: write a cast in SQL');
refused('/rounded', "${upstream}rounded: column \"a\" is of type text, where a "
        . 'number is expected in round(): write a cast in SQL');
refused('/keyed', "${upstream}keyed: column \"a\" is of type timestamp, where "
        . 'a string is expected as a key: write a cast in SQL');
refused('/prepared', 'column "nothing" does not exist');
refused('/text_total', "${upstream}text_total: column 1 of the total is no "
        . 'number');
refused('/two_totals', "${upstream}two_totals: the total has 2 columns, it "
        . 'needs count(*) alone');
refused('/other_expires', "${upstream}other_expires: column 2 of the total is "
        . 'not "ms", as expires says');
refused('/no_expires', "${upstream}no_expires: the total has 1 columns, it "
        . 'needs count(*) and behind it that of expires');
--- no_error_log
[crit]
[alert]
[emerg]


=== TEST 12: a table becomes another while it is read
--- http_config eval
main::http(main::declare('star', <<'CONF'),
    get  /star;
    sql  "SELECT * FROM $schema.moving ORDER BY 1";
    ttl  off;
CONF
main::declare('named', <<'CONF'))
    get  /named;
    sql  "SELECT m.* FROM $schema.moving m";
    json '[{a}]';
    ttl  off;
CONF
--- check
main::shop("DROP TABLE IF EXISTS shop.moving");
main::shop("CREATE TABLE shop.moving AS SELECT 1 AS a, 'x'::text AS b");

gives('/star' => '[{"a":1,"b":"x"}]', '/named' => '[{"a":1}]');

main::shop('ALTER TABLE shop.moving ALTER b TYPE int USING 5');
gives('/star' => '[{"a":1,"b":5}]', '/named' => '[{"a":1}]');

main::shop('ALTER TABLE shop.moving ADD c jsonb DEFAULT \'{"x": 1}\'');
gives('/star' => '[{"a":1,"b":5,"c":{"x": 1}}]', '/named' => '[{"a":1}]');

main::shop('ALTER TABLE shop.moving RENAME a TO z');
gives('/star' => '[{"z":1,"b":5,"c":{"x": 1}}]');
refused('/named', 'softfactory upstream "primary", named: there is no column '
        . '"a", only "z", "b", "c"');

main::shop('ALTER TABLE shop.moving RENAME z TO a');
wait_until { body('/named') eq '200 [{"a":1}]' } 'it is mended', 10;
gives('/star' => '[{"a":1,"b":5,"c":{"x": 1}}]');
--- no_error_log
[crit]
[alert]
[emerg]


=== TEST 13: a reload takes up what has changed, and keeps the rest
--- http_config eval
main::http(main::declare('changing', <<'CONF'),
    get   /changing;
    sql   "SELECT n, good FROM $schema.items WHERE n = 1 -- sql
          ";
    json  '{"old": n}';
    check good 403 "Not good";
CONF
main::declare('staying', <<'CONF'),
    get  /staying;
    sql  "SELECT n AS stay FROM $schema.items WHERE n = 1";
CONF
main::declare('unread', <<'CONF'))
    get  /unread;
    sql  "SELECT -n AS n, good FROM $schema.items WHERE n = -2";
    check good 403 "Not good";
CONF
--- check
# [what is changed, by what, X-Cache and body behind it]

gives('/changing' => '{"old":1}', '/staying' => '[{"stay":1}]',
      '/unread' => '403 {"error":"Not good"}');
is(x('/changing'), '200 HIT {"old":1}', 'both are kept');

my @changes = (
    [qr/"old": n/, '"new": n', '200 MISS {"new":1}', 'json'],
    [qr/SELECT n, good/, 'SELECT n + 1 AS n, good', '200 MISS {"new":2}',
     'sql'],
    [qr/check good 403/, 'tags products; check good 403', '200 MISS {"new":2}',
     'tags'],
    [qr/get   \/changing;/, "get /changing;\nparam x int;", undef, 'param'],
    [qr/check good 403 "Not good"/, 'check good 403 "Bad"',
     '200 MISS {"new":2}', 'a check'],
);

for (@changes) {
    my ($old, $new, $want, $title) = @$_;

    next if !defined $want;

    reconfigure { s/$old/$new/ };
    is(x('/changing'), $want, "another text of $title");
    is(x('/changing'), $want =~ s/MISS/HIT/r, 'is kept');
    is(x('/staying'), '200 HIT [{"stay":1}]', 'like the other one before');
}

# one more endpoint, in front of the others

my $requests = sub {
    my ($of) = grep { $_->{name} eq 'staying' } @{zone_status()->{endpoints}};
    return $of->{requests};
};

my $before = $requests->();

reconfigure {
    s/(?=softfactory_endpoint changing)/softfactory_endpoint fresh {
      get \/fresh; access public; sql "SELECT 1 AS fresh"; }\n/
};
is(x('/fresh'), '200 MISS [{"fresh":1}]', 'a new one');
is(x('/staying'), '200 HIT [{"stay":1}]', 'keeps the entries of the others');
is(x('/changing'), '200 HIT {"new":2}', 'all of them');
cmp_ok($requests->(), '>=', $before + 1, 'and the counters');

# away, and back under another name and path

reconfigure { s/softfactory_endpoint fresh \{.*?\}//s };
is(request('GET', '/fresh')->{status}, 404, 'one less');
is(x('/staying'), '200 HIT [{"stay":1}]', 'keeps them, too');

# a mistake changes nothing

SoftFactory::Live::change_conf(sub { s/SELECT n AS stay/SELEKT n AS stay/ });
kill HUP => master();
wait_until { log_count(qr/sql of endpoint "staying" in \S+ begins with "SELEKT"/) }
    'the mistake is told';
is(x('/staying'), '200 HIT [{"stay":1}]', 'the old ones stay');
--- no_error_log
[crit]
[alert]


=== TEST 14: two endpoints on one path, in two locations of a server
--- http_config eval
main::http(main::declare('list_1', <<'CONF'),
    get /list;
    sql "SELECT n FROM $schema.items ORDER BY n";
CONF
main::declare('list_2', <<'CONF'),
    get  /list;
    sql  "SELECT slug FROM $schema.items ORDER BY n DESC LIMIT 1";
CONF
main::declare('other', <<'CONF'))
    get  /other;
    json '"other"';
CONF
--- config
softfactory_cache_incoherent_ttl 60s;

location / {
    softfactory_pass primary;
    softfactory_endpoints list_1 other;
}

location /v2/ {
    rewrite ^/v2(/.*) $1 break;
    softfactory_pass primary;
    softfactory_endpoints -list_1;
}

location /v3/ {
    rewrite ^/v3(/.*) $1 break;
    softfactory_pass primary;
    softfactory_endpoints list_2;
}
--- check
for (1, 2) {
    gives('/list' => '[{"n":-2},{"n":1}]', '/v2/list' => '[{"slug":"red-hat"}]',
          '/v3/list' => '[{"slug":"red-hat"}]', '/other' => '"other"',
          '/v2/other' => '"other"');
    is(request('GET', '/v3/other')->{status}, 404, 'left out');
}

is(x('/v3/list'), '200 HIT [{"slug":"red-hat"}]',
   'one entry for all locations');

# Declarations that are wrong: each mistake is found by nginx -t, and its message
# says where it stands and what is allowed.
#
# A block is one run of nginx -t.  Its sections:
#
#     declared  in http{}, before the server
#     upstream  more lines of upstream "primary"
#     server    in server{}, instead of a location / with softfactory_pass
#     setup     Perl, run before, with $dir, a folder that nginx can read
#     refused   the only [emerg] line, whole.  HERE is the place of the line that
#               ends with "# here", FIRST that of the one with "# first", END
#               the end of the file
#
# A block with "accepted" passes without a word.  The last block compares the
# table in conf/api/README.md with the messages that were seen here.

use strict;
use warnings;
use lib 't/lib';
use Test::More ();
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
plan('no_plan');

our $dir = scratch_dir();
our %seen;


sub nginx_conf {
    my ($block) = @_;

    my $modules = join '', map { "load_module $_;\n" }
                  split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
    my $paths = join '', map { "${_}_temp_path $dir/tmp;\n" }
                qw(client_body proxy fastcgi uwsgi scgi);
    my $upstream = $block->upstream // '';
    my $server = $block->server // 'location / { softfactory_pass primary; }';

    my $conf = <<"CONF";
${modules}error_log stderr;
pid $dir/nginx.pid;
events { }
http {
    access_log off;
$paths
upstream primary {
    server unix:$ENV{SF_TEST_PG_SOCKET};
    softfactory_pg "dbname=softfactory user=app";
$upstream
}
@{[$block->declared // '']}
server {
    listen unix:$dir/listen;
$server
}
}
CONF

    $conf =~ s/\bDIR\b/$dir/g;

    return $conf;
}


# an nginx that refuses its configuration exits as it stands: no leaks then

sub nginx_t {
    my ($conf) = @_;

    local $ENV{ASAN_OPTIONS} = ($ENV{ASAN_OPTIONS} // '') . ',detect_leaks=0';

    write_file("$dir/nginx.conf", $conf);

    return program('nginx -t', [$ENV{TEST_NGINX_BINARY}, '-e', 'stderr', '-p',
                                "$dir/", '-c', "$dir/nginx.conf", '-t']);
}


sub refused {
    my ($block, $conf, $status, $out) = @_;

    my $want = $block->refused =~ s/\n\z//r =~ s/\n/ /gr;
    my @lines = $out =~ m{^\S+ \S+ \[emerg\] \d+#\d+: (.*)$}mg;
    my ($n, %place) = (0);

    for (split /\n/, $conf) {
        $n++;
        $place{uc $1} = "$dir/nginx.conf:$n" if /# (here|first)$/;
    }

    $place{END} = "$dir/nginx.conf:" . ($n + 1);
    $seen{$want} = 1;
    $want =~ s/\bDIR\b/$dir/g;
    $want =~ s/\b(HERE|FIRST|END)\b/$place{$1} or die $block->name/ge;

    Test::More::is_deeply([$status, @lines], [1, $want], $block->name)
        or Test::More::diag($out);
}


sub accepted {
    my ($block, $conf, $status, $out) = @_;

    Test::More::ok($status == 0
                   && $out !~ /\[(?:warn|error|crit|alert|emerg)\]/,
                   $block->name) or Test::More::diag($out);
}


# the rows of the table: | `mistake` | `message` |, where a place is that of a
# file shop.conf

sub documented {
    my ($name) = @_;

    my $text = SoftFactory::Live::read_file("$ENV{SF_TEST_API}/README.md");
    my ($section) = $text =~ /^## What is refused\n(.*?)^## /ms
        or die 'no section';
    my @rows = $section =~ /^\| .*\| (`.*`) \|$/mg;

    Test::More::cmp_ok(scalar @rows, '>=', 20, "$name: twenty rows at least");

    for (@rows) {
        s/^(`+) ?(.*?) ?\1$/$2/;
        s/\\\|/|/g;
        s/shop\.conf:\d+/HERE/;

        Test::More::ok($seen{$_}, "$name: " . substr $_, 0, 60);
    }
}


add_block_preprocessor(sub {
    my ($block) = @_;

    if (defined $block->setup) {
        eval "package main; " . $block->setup . "; 1"
            or die $block->name, ": $@";
    }

    if (defined $block->documented) {
        documented($block->name);

    } else {
        my $conf = nginx_conf($block);

        (defined $block->refused ? \&refused : \&accepted)
            ->($block, $conf, nginx_t($conf));
    }

    $block->set_value(SKIP => 1);
    $block->set_value(no_shutdown_error_log => undef);
});

mkdir "$dir/tmp";
run_tests();

__DATA__

=== the first endpoint of the manual is accepted
--- declared
softfactory_endpoint products {
    get    /api/products;
    access public;
    sql    "SELECT id, slug, name FROM $schema.products ORDER BY id";
    tags   products;
}
--- accepted


=== a word that no block has
--- declared
softfactory_endpoint products {
    gett /api/products; # here
    json '1';
}
--- refused
unknown directive "gett" in HERE


=== a directive of nginx in a block
--- declared
softfactory_endpoint products {
    get /api/products;
    gzip on; # here
}
--- refused
"gzip" directive is not allowed here in HERE


=== also one of main
--- declared
softfactory_endpoint products {
    worker_processes 2; # here
}
--- refused
"worker_processes" directive is not allowed here in HERE


=== a word of a block outside of one
--- declared
get /api/products; # here
--- refused
"get" directive is not allowed here in HERE


=== also in a location
--- server
location / {
    softfactory_pass primary;
    sql "SELECT 1"; # here
}
--- refused
"sql" directive is not allowed here in HERE


=== a block in server{}
--- server
softfactory_endpoint products { # here
    get  /api/products;
    json '1';
}
--- refused
"softfactory_endpoint" directive is not allowed here in HERE


=== a block in a block
--- declared
softfactory_endpoint products {
    softfactory_endpoint products { # here
    }
}
--- refused
"softfactory_endpoint" directive is not allowed here in HERE


=== a block without a name
--- declared
softfactory_endpoint { # here
}
--- refused
invalid number of arguments in "softfactory_endpoint" directive in HERE


=== a block without a body
--- declared
softfactory_endpoint products; # here
--- refused
directive "softfactory_endpoint" has no opening "{" in HERE


=== a name with a capital
--- declared
softfactory_endpoint Products { # here
}
--- refused
endpoint "Products" must have a name of at most 64 small letters, digits and "_", that begins with a letter in HERE


=== a name with a dash
--- declared
softfactory_endpoint my-products { # here
}
--- refused
endpoint "my-products" must have a name of at most 64 small letters, digits and "_", that begins with a letter in HERE


=== a name that begins with a digit
--- declared
softfactory_endpoint 2products { # here
}
--- refused
endpoint "2products" must have a name of at most 64 small letters, digits and "_", that begins with a letter in HERE


=== a name of 65 letters
--- declared eval
'softfactory_endpoint ' . 'a' x 65 . " { # here\n}"
--- refused eval
'endpoint "' . 'a' x 65 . '" must have a name of at most 64 small letters, digits and "_", that begins with a letter in HERE'


=== a name of the module's own
--- declared
softfactory_endpoint all { # here
}
--- refused
endpoint "all" has a name that means something else: all, principal and unknown in HERE


=== two endpoints of one name
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '1';
} # first
softfactory_endpoint products { # here
    get  /api/products2;
    json '2';
}
--- refused
endpoint "products" is declared in FIRST as well in HERE


=== no path
--- declared
softfactory_endpoint products {
    sql "SELECT 1 AS one";
} # here
--- refused
endpoint "products" in HERE has no path: add "get /path;"


=== nothing to send
--- declared
softfactory_endpoint products {
    get /api/products;
} # here
--- refused
endpoint "products" in HERE has nothing to send: add sql, json or document


=== two paths
--- declared
softfactory_endpoint products {
    get /api/products;
    get /api/all-products; # here
}
--- refused
"get" directive says a second path: an endpoint has one in HERE


=== a path without a slash
--- declared
softfactory_endpoint products {
    get api/products; # here
}
--- refused
"api/products" is no path of an endpoint: it begins with "/", is of plain ASCII without ? # % { and }, has at most 256 bytes, and its names are segments as in "/api/campaigns/$id" in HERE


=== a path with a query string
--- declared
softfactory_endpoint products {
    get /api/products?sort=id; # here
}
--- refused
"/api/products?sort=id" is no path of an endpoint: it begins with "/", is of plain ASCII without ? # % { and }, has at most 256 bytes, and its names are segments as in "/api/campaigns/$id" in HERE


=== names in braces, as elsewhere
--- declared
softfactory_endpoint products {
    get "/api/products/{id}"; # here
}
--- refused
"/api/products/{id}" is no path of an endpoint: it begins with "/", is of plain ASCII without ? # % { and }, has at most 256 bytes, and its names are segments as in "/api/campaigns/$id" in HERE


=== a path of 257 bytes
--- declared eval
"softfactory_endpoint products {\n    get /" . 'a' x 256 . "; # here\n}"
--- refused eval
'"/' . 'a' x 256 . '" is no path of an endpoint: it begins with "/", is of plain ASCII without ? # % { and }, has at most 256 bytes, and its names are segments as in "/api/campaigns/$id" in HERE'


=== a name that is a part of a segment
--- declared
softfactory_endpoint products {
    get /api/products-$id;
    sql "SELECT $id AS id";
} # here
--- refused
endpoint "products" in HERE has a path in which a $name is not a whole segment, as in "/api/campaigns/$id"


=== a name in the path that no param declares
--- declared
softfactory_endpoint products {
    get /api/products/$slug;
    sql "SELECT id FROM $schema.products WHERE slug = $slug";
} # here
--- refused
endpoint "products" in HERE has a name in its path that no param declares


=== a name in the path twice
--- declared
softfactory_endpoint products {
    get /api/products/$id/parts/$id;
    sql "SELECT $id AS id";
} # here
--- refused
endpoint "products" in HERE has a name twice in its path


=== five names in the path
--- declared
softfactory_endpoint products {
    get   /$a/$b/$c/$d/$e;
    param a int;
    param b int;
    param c int;
    param d int;
    param e int;
    sql "SELECT $a AS a, $b AS b, $c AS c, $d AS d, $e AS e";
} # here
--- refused
endpoint "products" in HERE has more than 4 names in its path


=== a type that no path can have
--- declared
softfactory_endpoint products {
    get   /api/products/$price;
    param price number;
    sql   "SELECT $price AS price";
} # here
--- refused
endpoint "products" in HERE has a name in its path that is neither id, int, uuid, text nor date


=== a default of a name in the path
--- declared
softfactory_endpoint products {
    get   /api/products/$slug;
    param slug text default=review;
    sql   "SELECT $slug::text AS slug";
} # here
--- refused
endpoint "products" in HERE has a default, alias, unset or invalid=unset for a name of its path, which is always there


=== two endpoints of one path in a location
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '1';
}
softfactory_endpoint products2 {
    get  /api/products;
    json '2';
}
--- server
location / {
    softfactory_pass primary; # here
}
--- refused
softfactory_pass in HERE serves endpoints "products" and "products2", which have one path and one method: choose by softfactory_endpoints


=== the names of a path do not tell two apart
--- declared
softfactory_endpoint products {
    get  /api/products/$id;
    json '$id';
}
softfactory_endpoint products2 {
    get   /api/products/$number;
    param number id;
    json  '{"number": $number}';
}
--- server
location / {
    softfactory_pass primary; # here
}
--- refused
softfactory_pass in HERE serves endpoints "products" and "products2", which have one path and one method: choose by softfactory_endpoints


=== in two locations they are accepted
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '1';
}
softfactory_endpoint products2 {
    get  /api/products;
    json '2';
}
--- server
location /api/ {
    softfactory_pass primary;
    softfactory_endpoints products2;
}
location = /api/products {
    softfactory_pass primary;
    softfactory_endpoints -products2;
}
--- accepted


=== types of names tell two paths apart
--- declared
softfactory_endpoint products {
    get  /api/products/$id;
    json '$id';
}
softfactory_endpoint products2 {
    get   /api/products/$slug;
    param slug text;
    json  '$slug';
}
--- accepted


=== the same statement twice is one endpoint too many
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.products";
} # first
softfactory_endpoint products2 {
    get /api/products2;
    sql "SELECT id FROM $schema.products";
} # here
--- refused
endpoint "products2" in HERE has the sql, the parameters, the tags and the json of endpoint "products" in FIRST: one is enough


=== an unknown access
--- declared
softfactory_endpoint products {
    get    /api/products;
    access everybody; # here
}
--- refused
"everybody" is not known here, there are: public anonymous user in HERE


=== two of them
--- declared
softfactory_endpoint products {
    get    /api/products;
    access public;
    access user; # here
}
--- refused
"access" directive is duplicate in HERE


=== an unknown lane
--- declared
softfactory_endpoint products {
    get  /api/products;
    lane fast; # here
}
--- refused
"fast" is not known here, there are: read heavy in HERE


=== an unknown document
--- declared
softfactory_endpoint products {
    get      /api/products;
    document status; # here
}
--- refused
"status" is not known here, there are: health ready in HERE


=== a document with a statement
--- declared
softfactory_endpoint products {
    get      /api/products;
    access   public;
    document health;
    sql      "SELECT 1 AS one";
} # here
--- refused
endpoint "products" in HERE has a document, and sql or json beside it


=== a document that asks for a user
--- declared
softfactory_endpoint products {
    get      /api/products;
    document health;
} # here
--- refused
endpoint "products" in HERE has a document, which everybody may read: add "access public;"


=== a method that no application has on a path
--- declared
softfactory_endpoint products {
    get      /api/products;
    fallback get; # here
}
--- refused
"get" is not known here, there are: post put patch delete in HERE


=== one of them twice
--- declared
softfactory_endpoint products {
    get      /api/products;
    fallback post put post; # here
}
--- refused
"fallback" directive says a method twice in HERE


=== a role of those who are nobody
--- declared
softfactory_endpoint products {
    get    /api/products;
    access public;
    role   review;
    sql    "SELECT 1 AS one";
} # here
--- refused
endpoint "products" in HERE has a role, which only a user has: it needs "access user;"


=== an unknown type
--- declared
softfactory_endpoint products {
    get   /api/products;
    param price decimal; # here
}
--- refused
"decimal" is not known here, there are: id int number bool text uuid date time list choice search in HERE


=== no type
--- declared
softfactory_endpoint products {
    get   /api/products;
    param price; # here
}
--- refused
invalid number of arguments in "param" directive in HERE


=== a name of a parameter with a capital
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brandName text; # here
}
--- refused
the name of parameter "brandName" must be at most 64 small letters, digits and "_", and begin with a letter in HERE


=== a name that means something else
--- declared
softfactory_endpoint products {
    get   /api/products;
    param limit int; # here
}
--- refused
the name of parameter "limit" means something else in statements in HERE


=== a parameter twice
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    param brand list; # here
}
--- refused
parameter "brand" is declared twice in HERE


=== an alias that is the name of a parameter
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    param maker text alias=brand; # here
}
--- refused
"alias=brand" of parameter "maker" is the name of another parameter in HERE


=== a parameter that is the alias of another one
--- declared
softfactory_endpoint products {
    get   /api/products;
    param maker text alias=brand;
    param brand text; # here
}
--- refused
parameter "brand" is declared twice in HERE


=== an alias of a page that is a parameter
--- declared
softfactory_endpoint products {
    get   /api/products;
    param size int;
    page  20 alias=size; # here
}
--- refused
"alias=size" of parameter "per_page" is the name of another parameter in HERE


=== an option that no parameter has
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text required; # here
}
--- refused
"required" is no option of parameter "brand", there are: default= min= max= alias= unset= invalid= in HERE


=== an option that the type has not
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand uuid max=36; # here
}
--- refused
"max=36" is no option of parameter "brand", there are: default= alias= unset= invalid= in HERE


=== a type without options
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand id default=1; # here
}
--- refused
"default=1" is no option of parameter "brand", there are: none in HERE


=== a default of a list
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand list default=a,b; # here
}
--- refused
"default=a,b" is no option of parameter "brand", there are: alias= invalid= one= in HERE


=== the quotes behind the equals sign
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text default="a b"; # here
}
--- refused
"b"" is no option of parameter "brand", there are: default= min= max= alias= unset= invalid= in HERE


=== an option twice
--- declared
softfactory_endpoint products {
    get   /api/products;
    param days int default=7 default=30; # here
}
--- refused
"default=30" of parameter "days" says the same twice in HERE


=== an option without a value
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text alias=; # here
}
--- refused
"alias=" of parameter "brand" is empty in HERE


=== a bound that is no integer
--- declared
softfactory_endpoint products {
    get   /api/products;
    param days int max=1.5; # here
}
--- refused
"max=1.5" of parameter "days" is no integer in HERE


=== a min above the max
--- declared
softfactory_endpoint products {
    get   /api/products;
    param days int min=30 max=7; # here
}
--- refused
"param" directive has a min above its max in HERE


=== a default that is no value of the type
--- declared
softfactory_endpoint products {
    get   /api/products;
    param days int default=week;
    sql   "SELECT $days AS days";
} # here
--- refused
endpoint "products" in HERE has a parameter "days" whose default is no value of it: "week"


=== a default may lie outside the bounds, which are for clients
--- declared
softfactory_endpoint products {
    get   /api/products;
    param days int default=0 min=1;
    param brand text default=abc max=2;
    sql   "SELECT $days AS days, $brand::text AS brand";
}
--- accepted


=== a day that there is not
--- declared
softfactory_endpoint products {
    get   /api/products;
    param day date default=2026-02-30;
    sql   "SELECT $day AS day";
} # here
--- refused
endpoint "products" in HERE has a parameter "day" whose default is no value of it: "2026-02-30"


=== a day that counts from nothing
--- declared
softfactory_endpoint products {
    get   /api/products;
    param day date default=yesterday; # here
}
--- refused
"default=yesterday" of parameter "day" counts from what is no date that stands above it in HERE


=== a day that counts in weeks
--- declared
softfactory_endpoint products {
    get   /api/products;
    param day date default=today-2w; # here
}
--- refused
"default=today-2w" of parameter "day" is no date: it is one as "2026-02-20", today, or days before something, as in "today-30d" in HERE


=== a day that counts from one that may be absent
--- declared
softfactory_endpoint products {
    get   /api/products;
    param until date;
    param since date default=until-7d; # here
}
--- refused
"default=until-7d" of parameter "since" counts from a date that has no default in HERE


=== a time that is none
--- declared
softfactory_endpoint products {
    get   /api/products;
    param at time default=noon;
    sql   "SELECT $at AS at";
} # here
--- refused
endpoint "products" in HERE has a parameter "at" whose default is no value of it: "noon"


=== a truth that is none
--- declared
softfactory_endpoint products {
    get   /api/products;
    param all_of bool default=maybe;
    sql   "SELECT $all_of AS a";
} # here
--- refused
endpoint "products" in HERE has a parameter "all_of" whose default is no value of it: "maybe"


=== a uuid that is none
--- declared
softfactory_endpoint products {
    get   /api/products;
    param key uuid default=0;
    sql   "SELECT $key AS key";
} # here
--- refused
endpoint "products" in HERE has a parameter "key" whose default is no value of it: "0"


=== a value that is never read as one
--- declared
softfactory_endpoint products {
    get   /api/products;
    param days int unset=any;
    sql   "SELECT $days AS days";
} # here
--- refused
endpoint "products" in HERE has a parameter "days" whose unset is no value of it: "any"


=== a choice of nothing
--- declared
softfactory_endpoint products {
    get   /api/products;
    param sort choice new; # here
}
--- refused
"new" is no choice, which is written "value=text of SQL" in HERE


=== a choice of one
--- declared
softfactory_endpoint products {
    get   /api/products;
    param sort choice new=id; # here
}
--- refused
"param" directive has less than two choices, which are written "value=text of SQL" in HERE


=== a choice twice
--- declared
softfactory_endpoint products {
    get   /api/products;
    param sort choice new=id "new=id DESC"; # here
}
--- refused
"param" directive has a choice twice in HERE


=== a default that is no choice
--- declared
softfactory_endpoint products {
    get   /api/products;
    param sort choice new=id "old=id DESC" default=price; # here
}
--- refused
"param" directive has a default that is none of its choices in HERE


=== a single item that has the name of another parameter
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    param brands list one=brand; # here
}
--- refused
"one=brand" of parameter "brands" is the name of another parameter in HERE


=== a single item of a name that means something else
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brands list one=user; # here
}
--- refused
"one=user" of parameter "brands" means something else in statements in HERE


=== a single item of a name with a capital
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brands list one=Brand; # here
}
--- refused
"one=Brand" of parameter "brands" must be at most 64 small letters, digits and "_", and begin with a letter in HERE


=== a parameter that nothing names
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    sql   "SELECT id FROM $schema.products";
} # here
--- refused
endpoint "products" in HERE has a parameter "brand" that neither its sql nor its total or json names


=== one that stands only in a string
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    sql   "SELECT id FROM $schema.products WHERE slug = '$brand'";
} # here
--- refused
endpoint "products" in HERE has a parameter "brand" that neither its sql nor its total or json names


=== an id that nothing names
--- declared
softfactory_endpoint products {
    get /api/products/$id;
    sql "SELECT id FROM $schema.products";
} # here
--- refused
endpoint "products" in HERE has a parameter "id" that neither its sql nor its total or json names


=== sixty parameters and one
--- declared eval
"softfactory_endpoint products {\n    get /api/products;\n"
. CORE::join("\n", map { "param p$_ int;" } 1 .. 61) . " # here\n}"
--- refused
endpoint "products" has more than 60 parameters in HERE


=== a page of no rows
--- declared
softfactory_endpoint products {
    get  /api/products;
    page 0; # here
}
--- refused
"0" is no number of rows, it is one between 1 and 100000 in HERE


=== a page above its own bound
--- declared
softfactory_endpoint products {
    get  /api/products;
    page 20 max=10; # here
}
--- refused
"page" directive has a max below its rows in HERE


=== an option that a page has not
--- declared
softfactory_endpoint products {
    get  /api/products;
    page 20 min=10; # here
}
--- refused
"min=10" is no option of parameter "per_page", there are: max= alias= in HERE


=== a page that the statement does not have
--- declared
softfactory_endpoint products {
    get  /api/products;
    page 20;
    sql  "SELECT id FROM $schema.products ORDER BY id";
} # here
--- refused
endpoint "products" in HERE has a page, but no $limit in its sql


=== a statement with a page that is not declared
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.products ORDER BY id $limit";
} # here
--- refused
sql of endpoint "products" in HERE names "$limit", but the endpoint has no page


=== a number of a page without pages
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT id FROM $schema.products ORDER BY id";
    json '{"page": $page, "products": [{*}]}';
} # here
--- refused
endpoint "products" in HERE has $page in its json, but no page


=== a number of rows without a total
--- declared
softfactory_endpoint products {
    get  /api/products;
    page 20;
    sql  "SELECT id FROM $schema.products ORDER BY id $limit";
    json '{"total": $total, "products": [{*}]}';
} # here
--- refused
endpoint "products" in HERE has $pages or $total in its json, but no total


=== a total without pages
--- declared
softfactory_endpoint products {
    get   /api/products;
    sql   "SELECT id FROM $schema.products ORDER BY id";
    total "SELECT count(*) FROM $schema.products";
    json  '{"total": $total, "products": [{*}]}';
} # here
--- refused
endpoint "products" in HERE has a total, but no page


=== a total that nobody sees
--- declared
softfactory_endpoint products {
    get   /api/products;
    page  20;
    sql   "SELECT id FROM $schema.products ORDER BY id $limit";
    total "SELECT count(*) FROM $schema.products";
} # here
--- refused
endpoint "products" in HERE has a total, but neither $pages nor $total in its json


=== words of a total without one
--- declared
softfactory_endpoint products {
    get     /api/products;
    sql     "SELECT id FROM $schema.products ORDER BY id";
    expires ms;
} # here
--- refused
endpoint "products" in HERE has total_tags or expires, but no total


=== tags of the total alone
--- declared
softfactory_endpoint products {
    get        /api/products;
    page       20;
    sql        "SELECT id FROM $schema.products ORDER BY id $limit";
    total      "SELECT count(*) FROM $schema.products";
    total_tags products;
    json       '{"total": $total, "products": [{*}]}';
} # here
--- refused
endpoint "products" in HERE has total_tags, but no tags


=== words of a statement without one
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '1';
    tags products;
} # here
--- refused
endpoint "products" in HERE has total, tags, missing, check, lane or ttl, but no sql


=== a user whom nobody asks for
--- declared
softfactory_endpoint products {
    get    /api/products;
    access public;
    sql    "SELECT id FROM $schema.sns_posts WHERE user_id = $user";
} # here
--- refused
endpoint "products" in HERE has $user in its sql or total, but asks for no user: it needs "access user;"


=== also where a token may come
--- declared
softfactory_endpoint products {
    get    /api/products;
    access anonymous;
    sql    "SELECT id FROM $schema.sns_posts WHERE user_id = $user";
} # here
--- refused
endpoint "products" in HERE has $user in its sql or total, but asks for no user: it needs "access user;"


=== a tag of a user who is not in the statement
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT id FROM $schema.sns_posts";
    tags sns_posts.user_id=$user;
} # here
--- refused
endpoint "products" in HERE has a tag of $user, who is not in its sql


=== a tag of an id that is not in the path
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT id FROM $schema.campaigns";
    tags campaigns.id=$id;
} # here
--- refused
endpoint "products" in HERE has a tag of $id, but no $id of the type id in its path


=== a tag of an id of the query string, which need not be there
--- declared
softfactory_endpoint products {
    get   /api/products;
    param id id;
    sql   "SELECT id FROM $schema.campaigns [[WHERE id = $id]]";
    tags  campaigns.id=$id;
} # here
--- refused
endpoint "products" in HERE has a tag of $id, but no $id of the type id in its path


=== a tag of an id that the statement does not have
--- declared
softfactory_endpoint products {
    get  /api/products/$id;
    sql  "SELECT title FROM $schema.campaigns";
    json '{"id": $id, "all": [{*}]}';
    tags campaigns.id=$id;
} # here
--- refused
endpoint "products" in HERE has a tag of $id, which is not in its sql


=== a tag of an id that the total does not have
--- declared
softfactory_endpoint products {
    get   /api/products/$id/parts;
    page  20;
    sql   "SELECT id FROM $schema.campaign_applications
            WHERE campaign_id = $id ORDER BY id $limit";
    total "SELECT count(*) FROM $schema.campaign_applications";
    json  '{"total": $total, "parts": [{*}]}';
    tags  campaign_applications.campaign_id=$id;
} # here
--- refused
endpoint "products" in HERE has a tag of $id, which is not in its total: say total_tags


=== principals that do not depend on the user
--- declared
softfactory_principal {
    sql "SELECT true AS active FROM $schema.users WHERE id = '$user'";
} # here
softfactory_endpoint products { get /api/products; json '[]'; }
--- refused
softfactory_principal in HERE has no $user in its sql


=== a tag of an id, which principals do not have
--- declared
softfactory_principal {
    sql  "SELECT true AS active FROM $schema.users WHERE id = $user";
    tags users.id=$id;
} # here
softfactory_endpoint products { get /api/products; json '[]'; }
--- refused
softfactory_principal in HERE has a tag of $id, which only endpoints have


=== a total that is not of the user
--- declared
softfactory_endpoint products {
    get   /api/products;
    page  20;
    sql   "SELECT id FROM $schema.sns_posts WHERE user_id = $user
            ORDER BY id $limit";
    total "SELECT count(*) FROM $schema.sns_posts";
    json  '{"total": $total, "posts": [{*}]}';
    tags  sns_posts.user_id=$user;
} # here
--- refused
endpoint "products" in HERE has a tag of $user, who is not in its total: say total_tags


=== any table may be named, and any key, with its schema or without
--- declared
softfactory_endpoint products {
    get  /api/products/$id;
    sql  "SELECT $id AS id";
    tags items shop.orders products.id=$id shop.orders.slug=$id;
}
--- accepted


=== a table that is no name
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    tags products Items;
} # here
--- refused
tags of endpoint "products" in HERE have a bad name of a table at "Items"


=== a table of a database
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    tags shop.public.items;
} # here
--- refused
tags of endpoint "products" in HERE have a bad name of a table at "shop.public.items"


=== a schema that is no name
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    tags $schema.items;
} # here
--- refused
tags of endpoint "products" in HERE have a bad name of a schema at "$schema.items"


=== a key that is no name
--- declared
softfactory_endpoint products {
    get  /api/products/$id;
    sql  "SELECT $id AS id";
    tags products campaigns.*=$id;
} # here
--- refused
tags of endpoint "products" in HERE have a bad name of a key at "campaigns.*=$id"


=== a key of another parameter
--- declared
softfactory_endpoint products {
    get   /api/products/$number;
    param number id;
    sql   "SELECT $number AS id";
    tags  campaigns.id=$number;
} # here
--- refused
tags of endpoint "products" in HERE have a value that is neither $user nor $id at "campaigns.id=$number"


=== nine tags
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    tags users products subscriptions payments campaigns review_listings
         sns_accounts sns_posts sns_analytics;
} # here
--- refused
tags of endpoint "products" in HERE have too many tags, there may be 8 at "sns_posts"


=== a table of the total that is no name
--- declared
softfactory_endpoint products {
    get        /api/products;
    page       20;
    sql        "SELECT id FROM $schema.products ORDER BY id $limit";
    total      "SELECT count(*) FROM $schema.products";
    json       '{"total": $total, "products": [{*}]}';
    tags       products;
    total_tags 2products;
} # here
--- refused
total_tags of endpoint "products" in HERE have a bad name of a table at "2products"


=== a name in a statement that is no parameter
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    sql   "SELECT id FROM $schema.products WHERE slug = $brnad";
} # here
--- refused
sql of endpoint "products" in HERE names "$brnad", which is no parameter of it, there are: $brand, $user, $schema


=== also in a total
--- declared
softfactory_endpoint products {
    get   /api/products;
    page  20;
    sql   "SELECT id FROM $schema.products ORDER BY id $limit";
    total "SELECT count(*) FROM $schema.products WHERE slug = $slug";
    json  '{"total": $total, "products": [{*}]}';
} # here
--- refused
total of endpoint "products" in HERE names "$slug", which is no parameter of it, there are: $limit, $user, $schema


=== a number in place of a name
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    sql   "SELECT id FROM $schema.products WHERE slug = $1";
} # here
--- refused
sql of endpoint "products" in HERE names "$1", which is no parameter of it, there are: $brand, $user, $schema


=== a fragment that stands below the one that names it
--- declared
softfactory_endpoint products {
    get   /api/products;
    sql   "SELECT id FROM $schema.products WHERE $later";
} # here
softfactory_fragment later "$even_later";
softfactory_fragment even_later "true";
--- refused
sql of endpoint "products" in HERE names "$even_later", which is no parameter of it, there are: $user, $schema


=== a group of the user
--- declared
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    sql   "SELECT id FROM $schema.sns_posts
            WHERE true [[AND user_id = $user AND platform = $brand]]";
} # here
--- refused
sql of endpoint "products" in HERE has a group of which the first name is "$user", it has to be that of the parameter without which the group is left out


=== a group without a parameter
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.products [[WHERE id > 1]]";
} # here
--- refused
sql of endpoint "products" in HERE has a group without a parameter


=== a group in a group
--- declared
softfactory_endpoint products {
    get   /api/products;
    param a int;
    param b int;
    sql   "SELECT id FROM $schema.products [[WHERE id > $a [[AND id < $b]]]]";
} # here
--- refused
sql of endpoint "products" in HERE has a group within a group


=== a group without an end
--- declared
softfactory_endpoint products {
    get   /api/products;
    param a int;
    sql   "SELECT id FROM $schema.products [[WHERE id > $a";
} # here
--- refused
sql of endpoint "products" in HERE has a group without an end


=== an end without a group
--- declared
softfactory_endpoint products {
    get   /api/products;
    param a int;
    sql   "SELECT id FROM $schema.products WHERE id > $a]]";
} # here
--- refused
sql of endpoint "products" in HERE has ]] without [[


=== nine groups
--- declared eval
"softfactory_endpoint products {\n    get /api/products;\n"
. CORE::join('', map { "    param p$_ int;\n" } 1 .. 9)
. '    sql "SELECT 1 AS one' . CORE::join('', map { " [[, \$p$_ AS p$_]]" } 1 .. 9)
. "\";\n} # here"
--- refused
sql of endpoint "products" in HERE has more than 8 groups and choices that differ, "$limit" among them


=== four choices of nine
--- declared eval
"softfactory_endpoint products {\n    get /api/products;\n"
. CORE::join('', map { my $n = $_;
                 "    param p$n choice"
                 . CORE::join('', map { " c$_=$_" } 1 .. 9) . ";\n" } 1 .. 4)
. '    sql "SELECT ' . CORE::join(', ', map { "\$p$_ AS p$_" } 1 .. 4)
. "\";\n} # here"
--- refused
sql of endpoint "products" in HERE has more than 4096 texts: each group, choice and "$limit" multiplies them


=== a string without an end
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.products WHERE slug = 'review";
} # here
--- refused
sql of endpoint "products" in HERE has a string without an end


=== a quoted name without an end
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id AS \"the id FROM $schema.products";
} # here
--- refused
sql of endpoint "products" in HERE has a quoted name without an end


=== a comment without an end
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id /* the id FROM $schema.products";
} # here
--- refused
sql of endpoint "products" in HERE has a comment without an end


=== dollars without an end
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT $$review AS slug";
} # here
--- refused
sql of endpoint "products" in HERE has a dollar-quoted string without an end


=== a fragment does not close what a statement opens
--- declared
softfactory_fragment open "slug = 'review";
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.products WHERE $open";
} # here
--- refused
sql of endpoint "products" in HERE has a string without an end


=== a statement that writes
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "UPDATE $schema.products SET slug = 'x' RETURNING id";
} # here
--- refused
sql of endpoint "products" in HERE begins with "UPDATE", it has to begin with SELECT, WITH, VALUES or TABLE


=== a statement of nothing
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "-- later";
} # here
--- refused
sql of endpoint "products" in HERE begins with "nothing", it has to begin with SELECT, WITH, VALUES or TABLE


=== an empty text
--- declared
softfactory_endpoint products {
    get /api/products;
    sql " "; # here
}
--- refused
"sql" directive is empty in HERE


=== two statements
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT 1 AS one";
    sql "SELECT 2 AS two"; # here
}
--- refused
"sql" directive is duplicate in HERE


=== a clock
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.campaigns WHERE deadline > now()";
} # here
--- refused
endpoint "products" in HERE has a function in its sql or total whose value changes by itself, as now() or random(): say for how long a response is good by ttl, or by expires


=== a clock in a fragment of a total
--- declared
softfactory_fragment current "deadline > localtimestamp";
softfactory_endpoint products {
    get   /api/products;
    page  20;
    sql   "SELECT id FROM $schema.campaigns ORDER BY id $limit";
    total "SELECT count(*) FROM $schema.campaigns WHERE $current";
    json  '{"total": $total, "products": [{*}]}';
} # here
--- refused
endpoint "products" in HERE has a function in its sql or total whose value changes by itself, as now() or random(): say for how long a response is good by ttl, or by expires


=== with a time it is accepted, and so is a clock in a string
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.campaigns WHERE deadline > now()";
    ttl 10s;
}
softfactory_endpoint clocks {
    get /api/clocks;
    sql "SELECT 'now()' AS \"random()\" -- localtimestamp
        ";
}
--- accepted


=== a time that is none
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT 1 AS one";
    ttl soon; # here
}
--- refused
"soon" is no time: it is one of at least a second, as in "300s", or off in HERE


=== a time of nothing
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT 1 AS one";
    ttl 0; # here
}
--- refused
"0" is no time: it is one of at least a second, as in "300s", or off in HERE


=== a status that is no error
--- declared
softfactory_endpoint products {
    get     /api/products;
    sql     "SELECT 1 AS one";
    missing 204 "None"; # here
}
--- refused
"204" is no status of an error, it is a number between 400 and 599 in HERE


=== a check without a status
--- declared
softfactory_endpoint products {
    get   /api/products;
    sql   "SELECT true AS mine";
    check mine "Not yours"; # here
}
--- refused
invalid number of arguments in "check" directive in HERE


=== its words in another order
--- declared
softfactory_endpoint products {
    get   /api/products;
    sql   "SELECT true AS mine";
    check 403 mine "Not yours"; # here
}
--- refused
"mine" is no status of an error, it is a number between 400 and 599 in HERE


=== a fragment twice
--- declared
softfactory_fragment visible "status = 'active'";
softfactory_fragment visible "true"; # here
--- refused
fragment "visible" is declared twice in HERE


=== a fragment of a name that means something else
--- declared
softfactory_fragment user "user_id = 1"; # here
--- refused
fragment "user" has a name that means something else in statements in HERE


=== a fragment that nothing names
--- declared
softfactory_fragment visible "status = 'active'"; # here
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.products";
}
--- refused
fragment "visible" in HERE is named by no sql and no total


=== a parameter of the name of a fragment
--- declared
softfactory_fragment brand "slug = 'review'"; # first
softfactory_endpoint products {
    get   /api/products;
    param brand text;
    sql   "SELECT id FROM $schema.products WHERE slug = $brand";
} # here
--- refused
endpoint "products" in HERE has a parameter "brand" that is the name of a fragment in FIRST


=== a file that there is not
--- declared
softfactory_endpoint products {
    get /api/products;
    sql file:none.sql; # here
}
--- refused
open() "DIR/none.sql" failed (2: No such file or directory) in HERE


=== no file at all
--- declared
softfactory_endpoint products {
    get /api/products;
    sql file:; # here
}
--- refused
"sql" directive has no name of a file behind file: in HERE


=== a folder
--- declared
softfactory_endpoint products {
    get /api/products;
    sql file:tmp; # here
}
--- refused
"DIR/tmp" is not a file that can be read in HERE


=== a file that is too long
--- setup
write_file("$dir/long.sql", 'SELECT 1 AS one' . ' ' x 300000);
--- declared
softfactory_endpoint products {
    get /api/products;
    sql file:long.sql; # here
}
--- refused
"DIR/long.sql" is longer than 262143 bytes in HERE


=== a file with a zero byte
--- setup
write_file("$dir/zero.sql", "SELECT 1\0 AS one");
--- declared
softfactory_endpoint products {
    get /api/products;
    sql file:zero.sql; # here
}
--- refused
"DIR/zero.sql" has a byte of zero in it in HERE


=== a file without a text
--- setup
write_file("$dir/empty.sql", "\n");
--- declared
softfactory_endpoint products {
    get /api/products;
    sql file:empty.sql; # here
}
--- refused
"sql" directive has an empty file in HERE


=== a file and a text
--- declared
softfactory_endpoint products {
    get /api/products;
    sql file:none.sql "SELECT 1"; # here
}
--- refused
"sql" directive has a text beside its file in HERE


=== an included block is refused where it ends, in its own file
--- setup
write_file("$dir/shop.conf", <<'CONF');
softfactory_endpoint products {
    get /api/products;
    sql "SELECT id FROM $schema.products WHERE slug = $slug";
}
CONF
--- declared
include DIR/shop.conf;
--- refused
sql of endpoint "products" in DIR/shop.conf:4 names "$slug", which is no parameter of it, there are: $user, $schema


=== a line of a block that is included
--- setup
write_file("$dir/params.conf", "param days int;\nparam days int;\n");
--- declared
softfactory_endpoint products {
    include params.conf;
}
--- refused
parameter "days" is declared twice in DIR/params.conf:2


=== a single quote in JSON
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json "{'one': one}";
} # here
--- refused
json of endpoint "products" in HERE has a single quote, where keys have double ones at "'one': one}"


=== a key with an equals sign
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{"one" = one}';
} # here
--- refused
json of endpoint "products" in HERE has a "=", where a ":" is expected at "= one}"


=== braces without an end
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{"one": one';
} # here
--- refused
json of endpoint "products" in HERE has open braces at its end


=== a bracket without an end
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '[{*}';
} # here
--- refused
json of endpoint "products" in HERE has an open bracket at its end


=== a missing comma
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one, 2 AS two";
    json '{one two}';
} # here
--- refused
json of endpoint "products" in HERE has a missing comma at "two}"


=== a comma too many
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{one,}';
} # here
--- refused
json of endpoint "products" in HERE has a comma without a member at "}"


=== in an array as well
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '[1, 2,]';
} # here
--- refused
json of endpoint "products" in HERE has a comma without a value at "]"


=== more than one document
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{one} {one}';
} # here
--- refused
json of endpoint "products" in HERE has more text behind the document at "{one}"


=== a key twice
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{one, "one": 1}';
} # here
--- refused
json of endpoint "products" in HERE has the same key twice at ""one": 1}"


=== an expression
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{"two": one + 1}';
} # here
--- refused
json of endpoint "products" in HERE has an operator: only SQL computes at "+ 1}"


=== a function
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 'a' AS slug";
    json '{"slug": upper(slug)}';
} # here
--- refused
json of endpoint "products" in HERE has a function that is neither round(column, decimals) nor text($name) at "upper(slug)}"


=== a function without a key
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1.5 AS rate";
    json '{round(rate, 1)}';
} # here
--- refused
json of endpoint "products" in HERE has an expression without a key at "round(rate, 1)}"


=== round without decimals
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1.5 AS rate";
    json '{"rate": round(rate)}';
} # here
--- refused
json of endpoint "products" in HERE has a round() without decimals: round(column, 2) at ")}"


=== round with too many
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1.5 AS rate";
    json '{"rate": round(rate, 12)}';
} # here
--- refused
json of endpoint "products" in HERE has decimals that are not 0 to 9, and a bracket at "2)}"


=== text of a column
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{"one": text(one)}';
} # here
--- refused
json of endpoint "products" in HERE has a text() of no $name at "one)}"


=== text of a page
--- declared
softfactory_endpoint products {
    get  /api/products;
    page 20;
    sql  "SELECT 1 AS one $limit";
    json '{"page": text($page), "rows": [{*}]}';
} # here
--- refused
json of endpoint "products" in HERE has a text() of no parameter at "$page), "rows": [{*}]}"


=== a name in JSON that is no parameter
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{"days": $days}';
} # here
--- refused
json of endpoint "products" in HERE has "$days", which is neither a parameter nor $page, $pages or $total at "$days}"


=== a dollar without a name
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '{"days": $}';
} # here
--- refused
json of endpoint "products" in HERE has a "$" without a name at "$}"


=== what is NULL of what never is
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{"one": {one} ?? 0}';
} # here
--- refused
json of endpoint "products" in HERE has a ?? behind what is never NULL at "?? 0}"


=== a single question mark
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{"one": one ? 0}';
} # here
--- refused
json of endpoint "products" in HERE has a single "?", where "??" is meant at "? 0}"


=== another column for NULL
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one, 2 AS two";
    json '{"one": one ?? two}';
} # here
--- refused
json of endpoint "products" in HERE has a ?? without a string, a number, true, false or null at "two}"


=== an asterisk outside of braces
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '[*]';
} # here
--- refused
json of endpoint "products" in HERE has an asterisk that is not in braces: {*} at "*]"


=== two asterisks
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{*, *}';
} # here
--- refused
json of endpoint "products" in HERE has two asterisks in the same braces at "*}"


=== an array of rows and something else
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one, 2 AS two";
    json '[one, two]';
} # here
--- refused
json of endpoint "products" in HERE has an array of several values that reads columns: one stands for each row at "two]"


=== rows within rows
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one, 2 AS two";
    json '[{one, "twos": [two]}]';
} # here
--- refused
json of endpoint "products" in HERE has rows within rows, which only a column of type json can have at "[two]}]"


=== a key of each row beside others
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 'a' AS slug, 2 AS two";
    json '{"two": 2, slug: {two}}';
} # here
--- refused
json of endpoint "products" in HERE has a key without quotes beside other members: it is a column, with a member for each row at "slug: {two}}"


=== a condition without a column
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '[{*} if]';
} # here
--- refused
json of endpoint "products" in HERE has an "if" without a column at "]"


=== a string without an end
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '{"one": "1}';
} # here
--- refused
json of endpoint "products" in HERE has an open double quote at ""1}"


=== a line break in a string
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '"one
two"';
} # here
--- refused
json of endpoint "products" in HERE has a line break or control in a string, where JSON has \n and its like at " two""


=== a backslash that nginx has taken away
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '"a\qb"';
} # here
--- refused
json of endpoint "products" in HERE has a \ that JSON does not have at "\qb""


=== a number that JSON does not have
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '[01]';
} # here
--- refused
json of endpoint "products" in HERE has a number that JSON does not have at "01]"


=== a backtick without an end
--- declared
softfactory_endpoint products {
    get  /api/products;
    sql  "SELECT 1 AS one";
    json '{`one}';
} # here
--- refused
json of endpoint "products" in HERE has an open backtick at "`one}"


=== bytes that are not UTF-8
--- declared eval
"softfactory_endpoint products {\n    get /api/products;\n"
. "    json '\"\xff\"';\n} # here"
--- refused eval
qq{json of endpoint "products" in HERE has bytes that are not UTF-8 at "\xff""}


=== thirty-three brackets
--- declared eval
"softfactory_endpoint products {\n    get /api/products;\n"
. "    json '" . '[' x 33 . ']' x 33 . "';\n} # here"
--- refused
json of endpoint "products" in HERE has more than 32 containers in each other at "[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"


=== a column without a statement
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '{"one": one}';
} # here
--- refused
endpoint "products" in HERE has a column or a page in its json, but no sql


=== quotes that do not end are found by nginx
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT 1 AS one;
}
--- refused
unexpected end of file, expecting ";" or "}" in END


=== a text that is longer than nginx reads
--- declared eval
"softfactory_endpoint products {\n    get /api/products;\n    sql \"SELECT "
. '1,' x 3000 . "1\"; # here\n}"
--- refused
too long parameter, probably missing terminating """ character in HERE


=== a semicolon that is missing
--- declared
softfactory_endpoint products {
    get /api/products
    sql "SELECT 1 AS one"; # here
}
--- refused
invalid number of arguments in "get" directive in HERE


=== no endpoint at all
--- server
location / {
    softfactory_pass primary; # here
}
--- refused
softfactory_pass in HERE has no endpoint to serve: declare one by softfactory_endpoint, or include the files of conf/api, in http{}


=== an endpoint of a location that there is not
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '1';
}
--- server
location / {
    softfactory_pass primary;
    softfactory_endpoints product; # here
}
--- refused
unknown endpoint "product" in HERE, there are: products


=== a beginning that no endpoint has
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '1';
}
--- server
location / {
    softfactory_pass primary;
    softfactory_endpoints shop_*; # here
}
--- refused
unknown endpoint "shop_*" in HERE, there are: products


=== one that is left out and that there is not
--- declared
softfactory_endpoint products {
    get  /api/products;
    json '1';
}
--- server
location / {
    softfactory_pass primary;
    softfactory_endpoints -product; # here
}
--- refused
unknown endpoint "product" in HERE, there are: products


=== a product that no endpoint asks for
--- declared
softfactory_principal {
    sql "SELECT ARRAY['shop'] AS roles WHERE $user > 0";
}
softfactory_endpoint products {
    get  /api/products;
    role shop;
    sql  "SELECT 1 AS one";
}
--- server
softfactory_token abc user=1 products=review; # here
location / { softfactory_pass primary; }
--- refused
no endpoint asks for a product of "review" in HERE, there are: shop


=== a time in the cache of what is never kept
--- declared
softfactory_endpoint products {
    get /api/products;
    sql "SELECT 1 AS one";
    ttl off;
}
softfactory_endpoint kept {
    get /api/kept;
    sql "SELECT 2 AS two";
}
softfactory_zone api 8m;
softfactory_cache api;
--- server
softfactory_cache_ttl products 5s; # here
location / { softfactory_pass primary; }
--- refused
responses of endpoint "products" in HERE are never cached, those are of: kept


=== five hundred endpoints and one
--- declared eval
CORE::join('', map { "softfactory_endpoint e$_ { get /e/$_; json '$_'; }\n" } 1 .. 501)
=~ s/\n\z/ # here\n/r
--- refused
endpoint "e501" in HERE has 500 endpoints before it, more there cannot be


=== five hundred are accepted
--- declared eval
CORE::join '', map { "softfactory_endpoint e$_ { get /e/$_; json '$_'; }\n" } 1 .. 500
--- accepted


=== the table of the manual
--- documented

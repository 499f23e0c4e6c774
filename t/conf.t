# Configurations: every mistake is found by nginx -t, in one line that says
# where it stands and what is allowed; good ones pass and do what they say.
#
# A block that is refused or accepted is no run of nginx but one of nginx -t.
# Its sections are put together to a configuration:
#
#     main      before http{}           server    in its server{}
#     http      in http{}               location  in its location /api/
#     events    in events{}
#     upstream  instead of the upstream "primary"; PG stands for the socket
#     declared  instead of the endpoints of conf/api
#     setup     Perl, run before, with $dir, a folder that others can read
#
# Refused: words of the line.  The line that is guilty ends with "# here"; if
# the words speak of an earlier one, as FIRST, that ends with "# first".
# Unsaid: words that stand nowhere.
# Warned: words of the only warning.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;
use File::Copy 'copy';

no_shuffle();
no_root_location();
master_on();
plan('no_plan');

our $dir = scratch_dir();
our ($user, $group) = $> == 0 ? ('nobody', 'nogroup') : ();


# give($path): the file belongs to the workers' user

sub give {
    my ($path) = @_;

    if ($> == 0) {
        chown +(getpwnam $user)[2], (getgrnam $group)[2], $path
            or die "$path: $!";
    }
}


sub nginx_conf {
    my ($block) = @_;

    my $modules = join '', map { "load_module $_;\n" }
                  split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
    my $users = $user ? "user $user $group;" : '';

    my $upstream = $block->upstream // <<'CONF';
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
}
CONF

    my $location = $block->location // '';
    $location = "softfactory_pass primary;\n$location"
        if $location !~ /softfactory_pass/;

    my $paths = join '', "access_log off;\n",
                map { "${_}_temp_path $dir/tmp;\n" }
                qw(client_body proxy fastcgi uwsgi scgi);

    my $conf = join "\n", $modules . $users, 'error_log stderr;',
        "pid $dir/nginx.pid;", 'events {', $block->events // '', '}',
        $block->main // '',
        'http {', $paths, $block->declared // declared(),
        $block->http // '', $upstream,
        'server {', "listen unix:$dir/listen;", $block->server // '',
        'location /api/ {', $location, '}', '}', '}', '';

    $conf =~ s/\bPG\b/$ENV{SF_TEST_PG_SOCKET}/g;
    $conf =~ s/\bDIR\b/$dir/g;

    return $conf;
}


# an nginx that refuses its configuration exits as it stands: no leaks then

sub nginx_t {
    my ($conf) = @_;

    local $ENV{ASAN_OPTIONS} = ($ENV{ASAN_OPTIONS} // '')
                               . ',detect_leaks=0';

    write_file("$dir/nginx.conf", $conf);

    return program('nginx -t', [$ENV{TEST_NGINX_BINARY}, '-e', 'stderr', '-p',
                                "$dir/", '-c', "$dir/nginx.conf", '-t']);
}


sub refused {
    my ($block, $status, $out) = @_;

    my $name = $block->name;
    my @lines = grep { /\[emerg\]/ } split /\n/, $out;
    my @why;

    my $n = 0;
    my $here = '\d+';
    my $first;

    for (split /\n/, nginx_conf($block)) {
        $n++;
        $here = $n if /# here$/;
        $first = "$dir/nginx.conf:$n" if /# first$/;
    }

    for my $words (split /\n/, $block->refused) {
        $words =~ s/\bFIRST\b/$first/ if $first;
        push @why, "not said: $words" if index($lines[0] // '', $words) < 0;
    }

    for my $words (split /\n/, $block->unsaid // '') {
        push @why, "said: $words" if index($out, $words) >= 0;
    }

    push @why, "the exit status is $status" if $status != 1;
    push @why, scalar(@lines) . ' lines of [emerg]' if @lines != 1;
    push @why, "not where: $dir/nginx.conf:$here"
        if ($lines[0] // '') !~ m{\Q$dir/nginx.conf\E:$here(?!\d)};

    ok(!@why, $name) or diag(join "\n", @why, $out);
}


sub accepted {
    my ($block, $status, $out) = @_;

    my $good = $status == 0 && $out !~ /\[(?:warn|error|crit|alert|emerg)\]/;

    ok($good, $block->name) or diag($out);
}


# accepted, with one warning

sub warned {
    my ($block, $status, $out) = @_;

    my @lines = grep { /\[(?:warn|error|crit|alert|emerg)\]/ } split /\n/, $out;
    my @why = grep { index($lines[0] // '', $_) < 0 }
              split /\n/, $block->warned;

    ok($status == 0 && @lines == 1 && $lines[0] =~ /\[warn\]/ && !@why,
       $block->name) or diag($out);
}


add_block_preprocessor(sub {
    my ($block) = @_;

    my $check = defined $block->refused ? \&refused
                : defined $block->warned ? \&warned
                : defined $block->accepted ? \&accepted : undef;

    return if !$check;

    if (defined $block->setup) {
        eval "package main; " . $block->setup . "; 1"
            or die $block->name, ": $@";
    }

    $check->($block, nginx_t(nginx_conf($block)));
    $block->set_value(SKIP => 1);
    $block->set_value(no_shutdown_error_log => undef);
});

mkdir "$dir/$_" for 'tmp', 'crl';

# a certificate with its key, and a key of nobody

openssl(split ' ', "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        . "-nodes -subj /CN=app -days 2 -keyout $dir/tls.key "
        . "-out $dir/tls.crt");
openssl(split ' ', "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 "
        . "-out $dir/stray.key");
openssl(split ' ', "pkey -in $dir/tls.key -aes256 -passout pass:word "
        . "-out $dir/locked.key");

# public keys of tokens, and a set of them

openssl(split ' ', "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:$_ "
        . "-out $dir/rsa$_.key") for 1024, 2048;
openssl(split ' ', "pkey -in $dir/$_->[0].key -pubout -out $dir/$_->[1].pem")
    for ['tls', 'ec'], ['stray', 'ec2'], ['rsa1024', 'short'],
        ['rsa2048', 'rsa'];

our $ED = '"kty":"OKP","crv":"Ed25519",'
          . '"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"';
write_file("$dir/keys.json", qq({"keys":[{$main::ED,"alg":"EdDSA","kid":"a"}]}));

write_file("$dir/bundle.crt", join "\n", 'authorities',
           map { SoftFactory::Live::read_file($_) } "$dir/tls.crt",
               $ENV{SF_TEST_PG_CA});

run_tests();

__DATA__

=== an endpoint that does not exist is refused with the names there are
--- location
softfactory_endpoints review_campaigns nonsense; # here
--- refused
unknown endpoint "nonsense" in
there are: dashboard_kpis dashboard_charts
sns_posts
ready


=== so is one that is to be switched off
--- location
softfactory_endpoints -nonsense; # here
--- refused
unknown endpoint "nonsense"


=== an empty endpoint name is refused
--- location
softfactory_endpoints ""; # here
--- refused
unknown endpoint ""


=== softfactory_endpoints stands once
--- location
softfactory_endpoints all;
softfactory_endpoints -health; # here
--- refused
"softfactory_endpoints" directive is duplicate


=== a parameter that the pool does not have is refused with those it has
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connections=1 conections=2; # here
}
--- refused
unknown parameter "conections=2", there are connections= totals= heavy=
write= depth= queue= wait= timeout=
shared_sync= prepare=


=== a parameter of the pool needs a value
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connections=; # here
}
--- refused
connections="" must be between 1 and 1024


=== no connection at all is too few
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connections=0; # here
}
--- refused
connections="0" must be between 1 and 1024


=== a lane has an upper bound
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool heavy=1025; # here
}
--- refused
heavy="1025" must be between 1 and 1024


=== totals need a connection
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool totals=0; # here
}
--- refused
totals="0" must be between 1 and 1024


=== the write lane cannot be left out
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool write=0; # here
}
--- refused
write="0" must be between 1 and 1024


=== a depth is a number
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool depth=-1; # here
}
--- refused
depth="-1" must be between 1 and 1024


=== a queue for nobody is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool queue=0; # here
}
--- refused
queue="0" must be between 1 and 1000000


=== a wait of nothing is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool wait=0; # here
}
--- refused
wait="0" must be between 1ms and 3600000ms


=== a time with an unknown unit is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool timeout=5parsecs; # here
}
--- refused
timeout="5parsecs" must be between 1ms and 3600000ms


=== a time is bounded above
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool heavy_timeout=2h; # here
}
--- refused
heavy_timeout="2h" must be between 1ms and 3600000ms


=== a statement without a time limit is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool write_timeout=0s; # here
}
--- refused
write_timeout="0s" must be between


=== so is a lock that is waited for without a limit
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool lock_timeout=0; # here
}
--- refused
lock_timeout="0" must be between


=== and a connect
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connect_timeout=0; # here
}
--- refused
connect_timeout="0" must be between


=== a lifetime is no number of connections
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool lifetime=ever; # here
}
--- refused
lifetime="ever" must be between 0ms and


=== a switch is on or off
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool shared_sync=yes; # here
}
--- refused
shared_sync="yes" must be "on" or "off"


=== so is the other switch
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool prepare=1; # here
}
--- refused
prepare="1" must be "on" or "off"


=== the lines of a pool add up
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg_pool depth=4 queue=8;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connections=1;
    softfactory_pg_pool shared_sync=off prepare=off;
}
--- accepted


=== no word may stand in two lines of a pool; the first of them is named
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connections=1 depth=4; # first
    softfactory_pg_pool queue=8;
    softfactory_pg_pool wait=1s depth=5; # here
}
--- refused
depth= of this upstream was given in FIRST already


=== nor twice in one
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool depth=4 depth=4; # here
}
--- refused
depth= of this upstream was given in


=== two upstreams have two pools
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool depth=4;
}

upstream other {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool depth=8;
}
--- accepted


=== a connection string without "=" is refused, in one line
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory nonsense"; # here
}
--- refused
invalid connection string:
missing "=" after "nonsense" in connection info string


=== a keyword that libpq does not have is refused, in one line
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory usr=app"; # here
}
--- refused
invalid connection string: invalid connection option "usr"


=== so is a URI that is none
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "postgresql:///softfactory?usr=app"; # here
}
--- refused
invalid connection string: invalid URI query parameter: "usr"


=== a connection string stands once
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg "dbname=softfactory user=app"; # here
}
--- refused
"softfactory_pg" directive is duplicate


=== the host belongs into a server line
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "host=db.example.com dbname=softfactory"; # here
}
--- refused
"host" is not allowed in softfactory_pg: name it in a "server" line


=== so does the host of a URI
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "postgresql://app@db.example.com/softfactory"; # here
}
--- refused
"host" is not allowed in softfactory_pg: name it in a "server" line


=== so does the address
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "hostaddr=127.0.0.1 dbname=softfactory"; # here
}
--- refused
"hostaddr" is not allowed in softfactory_pg: name it in a "server" line


=== so does the port
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "port=5432 dbname=softfactory"; # here
}
--- refused
"port" is not allowed in softfactory_pg: name it in a "server" line


=== a service file is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "service=production"; # here
}
--- refused
"service" is not allowed in softfactory_pg


=== the order of the servers is not libpq's business
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "target_session_attrs=read-write dbname=softfactory"; # here
}
--- refused
"target_session_attrs" is not allowed in softfactory_pg: the order of the


=== the time to connect is a parameter of the pool
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "connect_timeout=3 dbname=softfactory"; # here
}
--- refused
"connect_timeout" is not allowed in softfactory_pg:
use connect_timeout= of softfactory_pg_pool


=== GSSAPI encryption cannot be chosen
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "gssencmode=prefer dbname=softfactory"; # here
}
--- refused
"gssencmode" is not allowed in softfactory_pg: it is always "disable"


=== the encoding cannot be chosen
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "client_encoding=LATIN1 dbname=softfactory"; # here
}
--- refused
"client_encoding" is not allowed in softfactory_pg: it is always "UTF8"


=== a replication connection is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "replication=database dbname=softfactory"; # here
}
--- refused
"replication" is not allowed in softfactory_pg


=== sslmode=prefer is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "sslmode=prefer dbname=softfactory"; # here
}
--- refused
sslmode "prefer" is not allowed
use "disable", "require", "verify-ca" or "verify-full"
libpq would connect twice


=== options cannot set the search_path
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app options='-c search_path=softfactory'"; # here
}
--- refused
search_path is not allowed in options:
schema= behind the connection string


=== in any spelling
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app options='--Search-Path=softfactory'"; # here
}
--- refused
search_path is not allowed in options


=== the tables may be in another schema, which may have any name
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app" 'schema=My "own" schema';
}
--- accepted


=== the parameter is schema=
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app" scheme=a; # here
}
--- refused
unknown parameter "scheme=a", there is schema=


=== a schema has a name
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app" schema=; # here
}
--- refused
"schema=" must name a schema in 1 to 63 bytes


=== of 63 bytes
--- upstream eval
"upstream primary {
    server unix:PG;
    softfactory_pg \"dbname=softfactory user=app\" schema=" . 'a' x 63 . ";
}
"
--- accepted


=== at most
--- upstream eval
"upstream primary {
    server unix:PG;
    softfactory_pg \"dbname=softfactory user=app\" schema=" . 'a' x 64 . "; # here
}
"
--- refused
must name a schema in 1 to 63 bytes


=== which is none of PostgreSQL's own
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app" schema=pg_temp; # here
}
--- refused
"pg_temp" is a schema of PostgreSQL's own


=== a primary upstream and its replicas have the same schema
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app" schema=a;
}
upstream standbys {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app" schema=aa;
}
--- location
softfactory_pass primary replicas=standbys; # here
--- refused
upstream "primary" has schema=a, its replicas
"standbys" have schema=aa


=== sslmode=allow is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "sslmode=allow dbname=softfactory"; # here
}
--- refused
sslmode "allow" is not allowed


=== an sslmode that libpq does not have is refused
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "sslmode=verify_full dbname=softfactory"; # here
}
--- refused
sslmode "verify_full"


=== a server of another machine needs a word about TLS
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    server 192.0.2.1:5432;
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
server "192.0.2.1:5432" is another machine:
softfactory_pg of upstream "primary" must
say sslmode=verify-full, verify-ca, require or disable


=== so does one by IPv6
--- upstream
upstream primary {
    server [2001:db8::1]:5432;
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
server "[2001:db8::1]:5432" is another machine


=== a server needs a port
--- upstream
upstream primary {
    server 127.0.0.1;
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
server "127.0.0.1" needs a port, such as "127.0.0.1:5432"


=== so does one by IPv6
--- upstream
upstream primary {
    server [::1];
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
server "[::1]" needs a port, such as "[::1]:5432"


=== a Unix socket has a name as PostgreSQL gives it
--- upstream
upstream primary {
    server unix:/run/postgresql/socket;
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
server "unix:/run/postgresql/socket":
a PostgreSQL socket is named unix:/directory/.s.PGSQL.port


=== the folder alone is no Unix socket
--- upstream
upstream primary {
    server unix:/run/postgresql;
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
a PostgreSQL socket is named unix:/directory/.s.PGSQL.port


=== a Unix socket needs a port in its name
--- upstream
upstream primary {
    server unix:/run/postgresql/.s.PGSQL.;
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
a PostgreSQL socket is named unix:/directory/.s.PGSQL.port


=== an upstream without a server is refused
--- upstream
upstream primary {
    softfactory_pg "dbname=softfactory user=app";
} # here
--- refused
no servers are inside upstream


=== an upstream that does not exist is refused
--- location
softfactory_pass secondary; # here
--- refused
"secondary": there is no such upstream


=== so is one of replicas
--- location
softfactory_pass primary replicas=secondary; # here
--- refused
"secondary": there is no such upstream


=== an address in place of an upstream is refused
--- location
softfactory_pass 127.0.0.1:5432; # here
--- refused
"127.0.0.1:5432": there is no such upstream


=== an upstream that is not PostgreSQL's is refused
--- http
upstream web {
    server 127.0.0.1:8080;
}
--- location
softfactory_pass web; # here
--- refused
"web": that upstream has no softfactory_pg


=== a pool alone does not make an upstream PostgreSQL's
--- http
upstream web {
    server 127.0.0.1:8080;
    softfactory_pg_pool connections=1;
}
--- location
softfactory_pass web; # here
--- refused
"web": that upstream has no softfactory_pg


=== a load balancing method before the connection string is refused
--- upstream
upstream primary {
    least_conn;
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app"; # here
}
--- refused
"softfactory_pg" directive cannot be combined with a load balancing method


=== a load balancing method after the connection string is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    ip_hash;
}
--- refused
upstream "primary" in
has softfactory_pg: load balancing methods and keepalive cannot be used in it


=== so is a hash
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    hash $uri consistent;
}
--- refused
upstream "primary" in
has softfactory_pg: load balancing methods and keepalive


=== keepalive after the connection string is refused
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    keepalive 4;
}
--- refused
upstream "primary" in
has softfactory_pg: load balancing methods and keepalive cannot be used in it


=== keepalive before the connection string is refused
--- upstream
upstream primary {
    server unix:PG;
    keepalive 4;
    softfactory_pg "dbname=softfactory user=app"; # here
}
--- refused
"softfactory_pg" directive cannot be combined with a load balancing method


=== a zone of the upstream is refused
--- upstream
upstream primary {
    zone primary 64k;
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
}
--- refused
upstream "primary"
zone


=== an upstream is no primary and its own replicas
--- location
softfactory_pass primary replicas=primary; # here
--- refused
upstream "primary" cannot be a primary and replicas at once


=== nor in two locations
--- upstream
upstream a { server unix:PG; softfactory_pg "dbname=softfactory user=app"; }
upstream b { server unix:PG; softfactory_pg "dbname=softfactory user=app"; }
--- server
location /a/ { softfactory_pass a replicas=b; }
location /b/ { softfactory_pass b; } # here
--- location
softfactory_pass a;
--- refused
upstream "b" cannot be a primary and replicas at once


=== softfactory_pass needs an endpoint to serve
--- declared
--- location
softfactory_pass primary; # here
--- refused
has no endpoint to serve: declare one by softfactory_endpoint, or include
conf/api


=== an endpoint may be all that there is
--- declared
softfactory_endpoint one {
    get  /api/one;
    json '{"one": 1}';
}
--- accepted


=== softfactory_pass has one parameter, replicas=
--- location
softfactory_pass primary replica=primary; # here
--- refused
unknown parameter "replica=primary", there is replicas=upstream


=== replicas= needs a name
--- location
softfactory_pass primary replicas=; # here
--- refused
unknown parameter "replicas=", there is replicas=upstream


=== softfactory_pass stands once
--- location
softfactory_pass primary;
softfactory_pass primary; # here
--- refused
"softfactory_pass" directive is duplicate


=== an empty name of an upstream is refused
--- location
softfactory_pass ""; # here
--- refused
"": there is no such upstream


=== an empty secret is refused
--- location
softfactory_jwt_secret ""; # here
--- refused
secret "" is empty


=== a secret of blanks is empty
--- location
softfactory_jwt_secret "  "; # here
--- refused
is empty


=== an environment variable that is not kept is refused with what to add
--- location
softfactory_jwt_secret env:SF_CONF_T; # here
--- refused
the environment variable "SF_CONF_T" is not kept:
add "env SF_CONF_T;" at the top of the configuration, before http


=== the name of another variable that begins the same way does not help
--- main
env SF_CONF_T_2=secret;
--- location
softfactory_jwt_secret env:SF_CONF_T; # here
--- refused
the environment variable "SF_CONF_T" is not kept


=== an environment variable that is kept but not set is an empty secret
--- main
env SF_CONF_T;
--- location
softfactory_jwt_secret env:SF_CONF_T; # here
--- refused
secret "env:SF_CONF_T" is empty


=== an environment variable without a name is refused
--- main
env SF_CONF_T=secret;
--- location
softfactory_jwt_secret env:; # here
--- refused
the environment variable "" is not kept


=== a file with a secret must be there
--- location
softfactory_jwt_secret file:DIR/no-such-file; # here
--- refused
no-such-file" failed (2: No such file or directory)


=== an empty file is an empty secret
--- setup
write_file("$dir/empty", "\n");
--- location
softfactory_jwt_secret file:DIR/empty; # here
--- refused
secret "file:
empty" is empty


=== a file that is too long for a secret is refused and not cut
--- setup
write_file("$dir/long", 'x' x 5000);
--- location
softfactory_jwt_secret file:DIR/long; # here
--- refused
long"


=== a FIFO is not waited for
--- setup
require POSIX;
POSIX::mkfifo("$dir/fifo", 0600) or die "fifo: $!";
--- location
softfactory_jwt_secret file:DIR/fifo; # here
--- refused
fifo" is not a file that can be read


=== a file of keys must be there
--- location
softfactory_jwt_key DIR/none.pem alg=RS256; # here
--- refused
none.pem" cannot be read (2: No such file or directory)


=== a folder is no file of keys
--- location
softfactory_jwt_key DIR alg=RS256; # here
--- refused
is not a file that can be read (21: Is a directory)


=== a FIFO of keys is not waited for
--- setup
require POSIX;
POSIX::mkfifo("$dir/keys.fifo", 0600) or die "fifo: $!";
--- location
softfactory_jwt_key DIR/keys.fifo alg=RS256; # here
--- refused
keys.fifo" is not a file that can be read


=== a file of keys has a length
--- setup
write_file("$dir/long.json", ' ' x 65537);
--- location
softfactory_jwt_key DIR/long.json; # here
--- refused
long.json" is longer than 64 KB


=== a file of keys is named as it is
--- location
softfactory_jwt_key file:DIR/keys.json; # here
--- refused
keys.json" must be the name of a file, as it is


=== a file of keys has a name
--- location
softfactory_jwt_key ""; # here
--- refused
"softfactory_jwt_key" directive has an empty name of a file


=== an unknown algorithm is refused with those there are
--- location
softfactory_jwt_key DIR/rsa.pem alg=RS512; # here
--- refused
unknown algorithm in "alg=RS512", there are: RS256, ES256, EdDSA, HS256


=== algorithms have their own letters
--- location
softfactory_jwt_key DIR/rsa.pem alg=rs256; # here
--- refused
unknown algorithm in "alg=rs256"


=== an unknown parameter of a key is refused with those there are
--- location
softfactory_jwt_key DIR/rsa.pem key=a; # here
--- refused
unknown parameter "key=a", there are alg=name and kid=name


=== a name of a key is not empty
--- location
softfactory_jwt_key DIR/rsa.pem alg=RS256 kid=; # here
--- refused
unknown parameter "kid="


=== PEM needs an algorithm
--- location
softfactory_jwt_key DIR/rsa.pem; # here
--- refused
rsa.pem" is PEM, which has no algorithm: add alg=RS256, alg=ES256 or alg=EdDSA


=== a public key is no secret
--- location
softfactory_jwt_key DIR/rsa.pem alg=HS256; # here
--- refused
rsa.pem" is PEM, which holds no key of HS256
softfactory_jwt_secret


=== a key must be of the type of its algorithm
--- location
softfactory_jwt_key DIR/ec.pem alg=RS256; # here
--- refused
ec.pem" is no RSA key, which RS256 needs


=== and the other way round
--- location
softfactory_jwt_key DIR/rsa.pem alg=ES256; # here
--- refused
rsa.pem" is no key of an elliptic curve, which ES256 needs


=== an RSA key may be too short
--- location
softfactory_jwt_key DIR/short.pem alg=RS256; # here
--- refused
short.pem" is an RSA key of less than 2048 bits


=== a private key is not for nginx
--- location
softfactory_jwt_key DIR/rsa2048.key alg=RS256; # here
--- refused
rsa2048.key" is a private key: give the public one, as "openssl pkey -pubout" makes it


=== a certificate is no key
--- location
softfactory_jwt_key DIR/tls.crt alg=ES256; # here
--- refused
tls.crt" is a certificate: give its public key, as "openssl x509 -pubkey -noout" prints it


=== a file of PEM has one key
--- setup
write_file("$dir/both.pem", join '', map {
    SoftFactory::Live::read_file("$dir/$_.pem") } 'ec', 'ec2');
--- location
softfactory_jwt_key DIR/both.pem alg=ES256; # here
--- refused
both.pem" has more than one key


=== what is neither PEM nor JSON is refused
--- setup
write_file("$dir/text", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n");
--- location
softfactory_jwt_key DIR/text alg=RS256; # here
--- refused
text" is neither PEM nor a JWK set in JSON


=== one JWK is no set
--- setup
write_file("$dir/one.json", "{$main::ED}");
--- location
softfactory_jwt_key DIR/one.json; # here
--- refused
one.json" is no JWK set: it has no array "keys"


=== a set that has no key to use is refused with the reason of the first
--- setup
write_file("$dir/enc.json", qq({"keys":[{$main::ED,"alg":"EdDSA","use":"enc"}]}));
--- location
softfactory_jwt_key DIR/enc.json; # here
--- refused
enc.json" has no key to use: key number 1 is not for signatures: its "use" is not "sig"


=== a set without algorithms needs one
--- setup
write_file("$dir/plain.json", qq({"keys":[{$main::ED}]}));
--- location
softfactory_jwt_key DIR/plain.json; # here
--- refused
plain.json" has no key to use: key number 1 has no "alg": alg= says it for such keys


=== a private key spoils a set
--- setup
write_file("$dir/private.json", qq({"keys":[{$main::ED,"d":"x","alg":"EdDSA"}]}));
--- location
softfactory_jwt_key DIR/private.json; # here
--- refused
private.json" has a bad key: key number 1 is a private key: give the public one


=== so does a name that is there twice
--- setup
my $key = qq({$main::ED,"alg":"EdDSA","kid":"a"});
write_file("$dir/twice.json", qq({"keys":[$key,$key]}));
--- location
softfactory_jwt_key DIR/twice.json; # here
--- refused
twice.json" has a bad key: key number 2 has the "kid" of another one


=== the keys of a set have names of their own
--- location
softfactory_jwt_key DIR/keys.json kid=a; # here
--- refused
keys.json" is a JWK set, whose keys have a "kid" of their own


=== a file of keys stands once
--- location
softfactory_jwt_key DIR/rsa.pem alg=RS256;
softfactory_jwt_key DIR/rsa.pem alg=RS256; # here
--- refused
"softfactory_jwt_key" directive is duplicate


=== a set needs an issuer and an audience
--- location
softfactory_pass primary; # here
softfactory_jwt_key DIR/keys.json;
--- refused
a JWK set needs softfactory_jwt_issuer and softfactory_jwt_audience beside it


=== a set needs an audience, too
--- location
softfactory_pass primary; # here
softfactory_jwt_key DIR/keys.json;
softfactory_jwt_issuer https://issuer.example;
--- refused
a JWK set needs softfactory_jwt_issuer and softfactory_jwt_audience beside it


=== two keys that no token could choose
--- location
softfactory_pass primary; # here
softfactory_jwt_key DIR/ec.pem alg=ES256;
softfactory_jwt_key DIR/ec2.pem alg=ES256 kid=b;
--- refused
softfactory_jwt_key: a key without a kid is not the only one of its algorithm, so it could never be chosen


=== two keys of one name
--- location
softfactory_pass primary; # here
softfactory_jwt_key DIR/ec.pem alg=ES256 kid=a;
softfactory_jwt_key DIR/rsa.pem alg=RS256 kid=a;
--- refused
softfactory_jwt_key: two keys have the same kid


=== an issuer is not empty
--- location
softfactory_jwt_issuer ""; # here
--- refused
"softfactory_jwt_issuer" directive has an empty issuer


=== there is one issuer
--- location
softfactory_jwt_issuer a;
softfactory_jwt_issuer b; # here
--- refused
"softfactory_jwt_issuer" directive is duplicate


=== an audience is not empty
--- location
softfactory_jwt_audience a ""; # here
--- refused
"softfactory_jwt_audience" directive has an empty audience


=== softfactory_jwt_audience stands once
--- location
softfactory_jwt_audience a;
softfactory_jwt_audience b; # here
--- refused
"softfactory_jwt_audience" directive is duplicate


=== a claim has a name
--- location
softfactory_jwt_user ""; # here
--- refused
"softfactory_jwt_user" directive must be the name of a claim, of at most 128 bytes


=== softfactory_jwt_user stands once
--- location
softfactory_jwt_user sub;
softfactory_jwt_user sub; # here
--- refused
"softfactory_jwt_user" directive is duplicate


=== a passfile must be there
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/no-such-file";
}
--- refused
softfactory_pg: passfile "
no-such-file" cannot be read
(2: No such file or directory)


=== a passfile that others can read is refused, since libpq ignores it
--- setup
give(write_file("$dir/passfile", '*:*:*:*:secret', 0644));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/passfile";
}
--- refused
softfactory_pg: passfile "
must have mode 0600 or less, libpq ignores it otherwise


=== a passfile that the workers' user cannot read is refused
--- setup
write_file("$dir/other", '*:*:*:*:secret', $> == 0 ? 0600 : 0000);
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/other";
}
--- refused
softfactory_pg: passfile "
cannot be read by the user of the workers (uid


=== a folder is no passfile
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR";
}
--- refused
softfactory_pg: passfile "
is not a file


=== a key that others can read is refused, since libpq does so
--- setup
give(write_file("$dir/key", 'x', 0644));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "sslmode=require sslkey=DIR/key dbname=softfactory
                    user=app";
}
--- refused
softfactory_pg: sslkey "
must have mode 0600, or 0640 when root owns it


=== a key of the workers' user that its group can read is refused too
--- setup
give(write_file("$dir/group", 'x', 0640));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "sslmode=require sslkey=DIR/group dbname=softfactory
                    user=app";
}
--- refused
softfactory_pg: sslkey "
must have mode 0600, or 0640 when root owns it


=== a certificate of an authority must be there
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=verify-full
                    sslrootcert=DIR/no-such-file";
}
--- refused
softfactory_pg: sslrootcert "
cannot be read


=== a fallback that its server does not have is refused
--- http
server {
    listen unix:DIR/other;
    location @app { return 204; }
}
--- location
softfactory_pass primary; # here
softfactory_fallback @app;
--- refused
has the fallback "@app", but its server has no such location


=== a fallback that is inherited is looked up too
--- http
softfactory_fallback @app;
--- location
softfactory_pass primary; # here
--- refused
has the fallback "@app", but its server has no such location


=== a fallback is a named location or a path
--- location
softfactory_fallback app; # here
--- refused
"app" must be a named location ("@app") or a URI ("/app")


=== a fallback has a name
--- location
softfactory_fallback @; # here
--- refused
"@" must be a named location


=== a fallback stands once
--- server
location @app { return 204; }
--- location
softfactory_fallback @app;
softfactory_fallback @app; # here
--- refused
"softfactory_fallback" directive is duplicate


=== an origin has a scheme
--- location
softfactory_cors_origin https://a.example b.example; # here
--- refused
"b.example" is no origin of browsers, which begin with "http://" or "https://"
it is a scheme, a host and, if it is not the scheme's own, a port
as in "https://example.com:8443"


=== an origin has no slash at its end
--- location
softfactory_cors_origin https://a.example/; # here
--- refused
"https://a.example/" is no origin


=== an origin has no path
--- location
softfactory_cors_origin https://a.example/app; # here
--- refused
"https://a.example/app" is no origin


=== an origin has a host
--- location
softfactory_cors_origin https://; # here
--- refused
"https://" is no origin


=== any origin at all cannot be allowed
--- location
softfactory_cors_origin *; # here
--- refused
"*" is no origin


=== an empty origin is refused
--- location
softfactory_cors_origin ""; # here
--- refused
"" is no origin


=== a fixed token belongs to a user
--- location
softfactory_token demo_token products=all; # here
--- refused
"products=all" must be user=id, with the id of a row of users


=== user 0 is nobody
--- location
softfactory_token demo_token user=0; # here
--- refused
"user=0" must be user=id


=== a user has a number
--- location
softfactory_token demo_token user=demo; # here
--- refused
"user=demo" must be user=id


=== a user's number is a bigint of PostgreSQL
--- location
softfactory_token demo_token user=9223372036854775808; # here
--- refused
"user=9223372036854775808" must be user=id


=== which has no sign
--- location
softfactory_token demo_token user=-1; # here
--- refused
"user=-1" must be user=id


=== a leeway is a time
--- location
softfactory_jwt_leeway soon; # here
--- refused
"softfactory_jwt_leeway" directive invalid value


=== which is short
--- location
softfactory_jwt_leeway 601s; # here
--- refused
"softfactory_jwt_leeway" directive must be between 0s and 10m


=== and said once
--- location
softfactory_jwt_leeway 1s;
softfactory_jwt_leeway 2s; # here
--- refused
"softfactory_jwt_leeway" directive is duplicate


=== what a token must have is one of the words for it
--- location
softfactory_jwt_require nbf; # here
--- refused
"nbf" cannot be required, there are: exp, off


=== which is said once
--- location
softfactory_jwt_require exp;
softfactory_jwt_require off; # here
--- refused
"softfactory_jwt_require" directive is duplicate


=== an empty fixed token is refused
--- location
softfactory_token "" user=1; # here
--- refused
"softfactory_token" directive has an empty token


=== a product that opens nothing is refused with those that do
--- location
softfactory_token demo_token user=1 products=review,sns; # here
--- refused
no endpoint asks for a product of "review,sns" in
there are: review sns-auto


=== products need a name
--- location
softfactory_token demo_token user=1 products=; # here
--- refused
there is products=all or products=slug


=== a fixed token has no other parameter
--- location
softfactory_token demo_token user=1 product=review; # here
--- refused
unknown parameter "product=review", there is products=all or products=slug


=== a page of no rows is refused
--- location
softfactory_max_page_size 0; # here
--- refused
value must be between 1 and 100000


=== a page has an upper bound
--- location
softfactory_max_page_size 100001; # here
--- refused
value must be between 1 and 100000


=== softfactory_max_page_size stands once
--- location
softfactory_max_page_size 100;
softfactory_max_page_size 200; # here
--- refused
"softfactory_max_page_size" directive is duplicate


=== an offset is no less than none
--- location
softfactory_max_offset -1; # here
--- refused
invalid number


=== an offset has an upper bound
--- location
softfactory_max_offset 2147483648; # here
--- refused
value must be between 0 and 2147483647


=== softfactory_max_offset stands once
--- location
softfactory_max_offset 100;
softfactory_max_offset 200; # here
--- refused
"softfactory_max_offset" directive is duplicate


=== a keyword has two characters at least
--- location
softfactory_min_search 1; # here
--- refused
value must be between 2 and 100


=== a keyword may have a hundred
--- location
softfactory_min_search 101; # here
--- refused
value must be between 2 and 100


=== softfactory_min_search stands once
--- location
softfactory_min_search 2;
softfactory_min_search 3; # here
--- refused
"softfactory_min_search" directive is duplicate


=== softfactory_anonymous is on or off
--- location
softfactory_anonymous yes; # here
--- refused
invalid value "yes" in "softfactory_anonymous" directive
it must be "on" or "off"


=== softfactory_anonymous stands once
--- location
softfactory_anonymous on;
softfactory_anonymous on; # here
--- refused
"softfactory_anonymous" directive is duplicate


=== softfactory_version stands once
--- location
softfactory_version 1;
softfactory_version 2; # here
--- refused
"softfactory_version" directive is duplicate


=== softfactory_pass stands in a location only
--- server
softfactory_pass primary; # here
--- refused
"softfactory_pass" directive is not allowed here


=== and not in an if
--- location
if ($arg_a) {
    softfactory_pass primary; # here
}
--- refused
"softfactory_pass" directive is not allowed here


=== softfactory_pg stands in an upstream only
--- server
softfactory_pg "dbname=softfactory user=app"; # here
--- refused
"softfactory_pg" directive is not allowed here


=== softfactory_pg_pool stands in an upstream only
--- http
softfactory_pg_pool connections=1; # here
--- refused
"softfactory_pg_pool" directive is not allowed here


=== a secret does not stand in an upstream
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_jwt_secret secret; # here
}
--- refused
"softfactory_jwt_secret" directive is not allowed here


=== a directive with too few words is refused
--- location
softfactory_token demo_token; # here
--- refused
invalid number of arguments in "softfactory_token" directive


=== a zone has a size
--- http
softfactory_zone api large; # here
--- refused
"large" is no size, as in "64m"


=== a size below nothing is none
--- http
softfactory_zone api -64m; # here
--- refused
"-64m" is no size


=== a zone is not too small
--- http
softfactory_zone api 4095k; # here
--- refused
zone "api" is too small: at least 4m


=== a zone has a name
--- http
softfactory_zone "" 8m; # here
--- refused
"" cannot be the name of a zone


=== which is not the word for none
--- http
softfactory_zone off 8m; # here
--- refused
"off" cannot be the name of a zone


=== a zone is described once
--- http
softfactory_zone api 8m;
softfactory_zone other 8m;
softfactory_zone api 8m; # here
--- refused
"softfactory_zone" directive is duplicate


=== a zone needs both words
--- http
softfactory_zone api; # here
--- refused
invalid number of arguments in "softfactory_zone" directive


=== a zone stands in http only
--- server
softfactory_zone api 8m; # here
--- refused
"softfactory_zone" directive is not allowed here


=== the shared memory of another module is none
--- http
limit_req_zone $binary_remote_addr zone=api:8m rate=1r/s;
softfactory_zone api 8m; # here
--- refused
"api" is already declared for a different use


=== a cache that does not exist is refused
--- http
softfactory_zone api 8m;
--- location
softfactory_cache other;
--- refused
there is no softfactory_zone "other"


=== so is one where there is none at all
--- server
softfactory_cache api;
--- refused
there is no softfactory_zone "api"


=== so is one to purge
--- http
softfactory_zone api 8m;
--- server
location = /purge { softfactory_purge other; }
--- refused
there is no softfactory_zone "other"


=== and one to tell of
--- http
softfactory_zone api 8m;
--- server
location = /status { softfactory_status off; }
--- refused
there is no softfactory_zone "off"


=== also one without a name
--- server
location = /status { softfactory_status ""; }
--- refused
"softfactory_status" directive has an empty name of a zone


=== a purge has a location of its own
--- http
softfactory_zone api 8m;
--- location
softfactory_pass primary;
softfactory_purge api; # here
--- refused
"softfactory_purge" directive cannot share its location with another content handler


=== so has the status
--- http
softfactory_zone api 8m;
--- server
location = /status {
    softfactory_purge api;
    softfactory_status api; # here
}
--- refused
"softfactory_status" directive cannot share its location with another content handler


=== they stand in a location only
--- http
softfactory_zone api 8m;
--- server
softfactory_purge api; # here
--- refused
"softfactory_purge" directive is not allowed here


=== metrics need something to count
--- server
location = /metrics { softfactory_metrics; }
--- location
return 204; # no softfactory_pass
--- refused
has nothing to show: there is no softfactory_pass


=== they have a location of their own
--- location
softfactory_pass primary;
softfactory_report; # here
--- refused
"softfactory_report" directive cannot share its location with another content handler


=== and no words
--- server
location = /live { softfactory_live api; } # here
--- refused
invalid number of arguments in "softfactory_live" directive


=== what is slow takes some time
--- location
softfactory_slow 0; # here
--- refused
"0" is no time, there are: a time as in "500ms", off


=== which is a time
--- location
softfactory_slow slowly; # here
--- refused
"slowly" is no time, there are: a time as in "500ms", off


=== at a rate
--- location
softfactory_slow 1s rate=many; # here
--- refused
"rate=many" is unknown, there is: rate=number, in lines a second


=== and at no other one
--- location
softfactory_slow 1s 5; # here
--- refused
"5" is unknown, there is: rate=number, in lines a second


=== nor is it off at a rate
--- location
softfactory_slow off rate=5; # here
--- refused
"softfactory_slow" directive takes no rate when it is off


=== it is said once
--- location
softfactory_slow off;
softfactory_slow 1s; # here
--- refused
"softfactory_slow" directive is duplicate


=== the ttl of an endpoint that does not exist is refused with the names
--- location
softfactory_cache_ttl nonsense 300s; # here
--- refused
unknown endpoint "nonsense" in
there are: dashboard_kpis dashboard_charts
sns_posts
ready


=== so is that of one whose name is cut
--- location
softfactory_cache_ttl review 300s; # here
--- refused
unknown endpoint "review"


=== a ttl of nothing is refused
--- location
softfactory_cache_ttl sns_posts 0s; # here
--- refused
"softfactory_cache_ttl" directive has a time of 0
softfactory_cache_bypass


=== a ttl is a time
--- location
softfactory_cache_ttl all 5parsecs; # here
--- refused
"5parsecs" is no time, there are: a time as in "300s", stale=time, error=time


=== which does not run backwards
--- location
softfactory_cache_ttl all -5s; # here
--- refused
"-5s" is no time


=== stale= is a time
--- location
softfactory_cache_ttl all 300s stale=often; # here
--- refused
"often" is no time


=== error= too
--- location
softfactory_cache_ttl all error=; # here
--- refused
"" is no time


=== a ttl has no other parameter
--- location
softfactory_cache_ttl all 300s staleness=5s; # here
--- refused
"staleness=5s" is no time, there are: a time as in "300s", stale=time, error=time


=== a ttl is said once
--- location
softfactory_cache_ttl all 5s 6s; # here
--- refused
"softfactory_cache_ttl" directive says the same twice


=== so is what comes after it
--- location
softfactory_cache_ttl all 5s error=1h error=2h; # here
--- refused
"softfactory_cache_ttl" directive says the same twice


=== an endpoint alone has no ttl
--- location
softfactory_cache_ttl all; # here
--- refused
invalid number of arguments in "softfactory_cache_ttl" directive


=== the time without a listener is a time
--- location
softfactory_cache_incoherent_ttl soon; # here
--- refused
"softfactory_cache_incoherent_ttl" directive invalid value


=== an entry has a size
--- location
softfactory_cache_max_entry large; # here
--- refused
"softfactory_cache_max_entry" directive invalid value


=== grace is a time
--- location
softfactory_auth_grace off; # here
--- refused
"softfactory_auth_grace" directive invalid value


=== past the cache is by variables
--- location
softfactory_cache_bypass; # here
--- refused
invalid number of arguments in "softfactory_cache_bypass" directive


=== a lease outlives two heartbeats
--- http
softfactory_listen_lease 999ms; # here
--- refused
"softfactory_listen_lease" directive must be 1s at least: heartbeats come every 500ms


=== a lease is a time
--- http
softfactory_listen_lease long; # here
--- refused
"softfactory_listen_lease" directive invalid value


=== a lease is said once
--- http
softfactory_listen_lease 2s;
softfactory_listen_lease 3s; # here
--- refused
"softfactory_listen_lease" directive is duplicate


=== and for all
--- location
softfactory_listen_lease 2s; # here
--- refused
"softfactory_listen_lease" directive is not allowed here


=== looks at the schema are no busy loop
--- http
softfactory_listen_schema 249ms; # here
--- refused
"softfactory_listen_schema" directive must be between 250ms and 1h, or "off"


=== nor forgotten
--- http
softfactory_listen_schema 61m; # here
--- refused
"softfactory_listen_schema" directive must be between 250ms and 1h, or "off"


=== between two of them is a time
--- http
softfactory_listen_schema often; # here
--- refused
"softfactory_listen_schema" directive must be a time or "off"


=== which is said once
--- http
softfactory_listen_schema off;
softfactory_listen_schema 5s; # here
--- refused
"softfactory_listen_schema" directive is duplicate


=== for all
--- location
softfactory_listen_schema 5s; # here
--- refused
"softfactory_listen_schema" directive is not allowed here


=== a listener has an upstream
--- http
softfactory_zone api 8m;
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_listen direct;
}
--- refused
softfactory_listen of upstream "primary" in
"direct": there is no such upstream


=== which has a name
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_listen ""; # here
}
--- refused
"softfactory_listen" directive must name an upstream or be "off"


=== which is not its own
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_listen PRIMARY; # here
}
--- refused
"PRIMARY" is the upstream that this stands in


=== which is PostgreSQL's
--- http
softfactory_zone api 8m;
upstream web { server 127.0.0.1:8080; }
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_listen web;
}
--- refused
softfactory_listen of upstream "primary" in
"web"
has no softfactory_pg


=== which are no replicas
--- http
softfactory_zone api 8m;
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_listen replicas;
}
upstream replicas { server unix:PG; softfactory_pg "dbname=softfactory user=app"; }
--- location
softfactory_pass primary replicas=replicas;
--- refused
softfactory_listen of upstream "primary" in
"replicas"
replicas cannot be listened to


=== a listener is said once
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_listen off;
    softfactory_listen direct; # here
}
--- refused
"softfactory_listen" directive is duplicate


=== a listener stands in an upstream only
--- http
softfactory_listen off; # here
--- refused
"softfactory_listen" directive is not allowed here


=== a database has a name
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "user=app"; # here
}
--- refused
softfactory_pg needs dbname=


=== which is not empty
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname='' user=app"; # here
}
--- refused
softfactory_pg needs dbname=


=== who asks has a name
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory"; # here
}
--- refused
softfactory_pg needs user=


=== also in a URI
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "postgresql:///softfactory"; # here
}
--- refused
softfactory_pg needs user=


=== passfile is an absolute path
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=etc/x"; # here
}
--- refused
passfile "etc/x" must be an absolute path


=== sslkey is an absolute path
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslkey=etc/x"; # here
}
--- refused
sslkey "etc/x" must be an absolute path


=== sslcert is an absolute path
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslcert=etc/x"; # here
}
--- refused
sslcert "etc/x" must be an absolute path


=== sslrootcert is an absolute path
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslrootcert=etc/x"; # here
}
--- refused
sslrootcert "etc/x" must be an absolute path


=== sslcrl is an absolute path
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslcrl=etc/x"; # here
}
--- refused
sslcrl "etc/x" must be an absolute path


=== sslcrldir is an absolute path
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslcrldir=etc/x"; # here
}
--- refused
sslcrldir "etc/x" must be an absolute path


=== a home folder is none
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=~/.pgpass"; # here
}
--- refused
passfile "~/.pgpass" must be an absolute path


=== nor is a file that is there, seen from here
--- setup
copy($ENV{SF_TEST_PG_CA}, "$dir/ca.crt");
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslrootcert=ca.crt"; # here
}
--- refused
sslrootcert "ca.crt" must be an absolute path


=== verify-full needs an authority
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=verify-full"; # here
}
--- refused
sslmode=verify-full needs sslrootcert=/path


=== verify-ca needs an authority
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=verify-ca"; # here
}
--- refused
sslmode=verify-ca needs sslrootcert=/path


=== an authority has a certificate
--- setup
write_file("$dir/bad.crt", "x");
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=verify-full
                    sslrootcert=DIR/bad.crt";
}
--- refused
bad.crt" holds no certificate that can be read: it must be PEM


=== a key is none
--- setup
copy("$dir/tls.key", "$dir/tls.pub");
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=verify-full
                    sslrootcert=DIR/tls.pub";
}
--- refused
tls.pub" holds no certificate


=== a certificate that is cut spoils the others
--- setup
write_file("$dir/cut.crt", SoftFactory::Live::read_file("$dir/tls.crt")
           . substr SoftFactory::Live::read_file("$dir/tls.crt"), 0, 200);
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=verify-full
                    sslrootcert=DIR/cut.crt";
}
--- refused
cut.crt" holds no certificate


=== a client's certificate is one
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslcert=DIR/tls.pub";
}
--- refused
tls.pub" holds no certificate


=== a list of revocations is one
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslcrl=DIR/tls.crt";
}
--- refused
tls.crt" holds no list of revocations


=== a folder of them is one
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslcrldir=DIR/tls.crt";
}
--- refused
tls.crt" is not a folder


=== a key can be read
--- setup
give(write_file("$dir/no.key", "x", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslkey=DIR/no.key";
}
--- refused
no.key" holds no key that can be read


=== a file that is read at every connect is not endless
--- setup
give(write_file("$dir/endless", '', 0600));
truncate("$dir/endless", 1 << 40) or die "endless: $!";
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslkey=DIR/endless";
}
--- refused
endless" is longer than 16 MB


=== a key with a password needs it
--- setup
give("$dir/locked.key");
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslkey=DIR/locked.key sslpassword=wrong";
}
--- refused
locked.key" holds no key that can be read, with sslpassword=


=== a key belongs to its certificate
--- setup
give("$dir/stray.key");
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslkey=DIR/stray.key sslcert=DIR/tls.crt";
}
--- refused
stray.key" is not the key of sslcert


=== a passfile has a line for its server
--- setup
give(write_file("$dir/lines", "127.0.0.2:*:*:*:secret\n", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "127.0.0.1:5432:softfactory:app"
a line is host:port:dbname:user:password


=== with its port
--- setup
give(write_file("$dir/lines", "127.0.0.1:5433:*:*:secret\n", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "127.0.0.1:5432:softfactory:app"
a line is host:port:dbname:user:password


=== for the database
--- setup
give(write_file("$dir/lines", "*:*:other:*:secret\n", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "127.0.0.1:5432:softfactory:app"
a line is host:port:dbname:user:password


=== and the user
--- setup
give(write_file("$dir/lines", "*:*:*:apps:secret\n", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "127.0.0.1:5432:softfactory:app"
a line is host:port:dbname:user:password


=== which is whole
--- setup
give(write_file("$dir/lines", "*:*:*:app\n", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "127.0.0.1:5432:softfactory:app"
a line is host:port:dbname:user:password


=== a comment is none
--- setup
give(write_file("$dir/lines", "#*:*:*:*:secret\n", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "127.0.0.1:5432:softfactory:app"
a line is host:port:dbname:user:password


=== nor is an empty file
--- setup
give(write_file("$dir/lines", "\n", 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "127.0.0.1:5432:softfactory:app"
a line is host:port:dbname:user:password


=== a name is not its address
--- setup
give(write_file("$dir/lines", "127.0.0.1:*:*:*:secret\n", 0600));
--- upstream
upstream primary {
    server localhost:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- refused
passfile "
has no line for "localhost:5432:softfactory:app"
a line is host:port:dbname:user:password


=== an origin is not https://App.Example.com
--- location
softfactory_cors_origin https://App.Example.com; # here
--- refused
"https://App.Example.com" is no origin of browsers
which have small letters only


=== an origin is not HTTPS://a.example
--- location
softfactory_cors_origin HTTPS://a.example; # here
--- refused
"HTTPS://a.example" is no origin of browsers
which have small letters only


=== an origin is not https://a.example:443
--- location
softfactory_cors_origin https://a.example:443; # here
--- refused
"https://a.example:443" is no origin of browsers
which leave the scheme's own port out


=== an origin is not http://a.example:80
--- location
softfactory_cors_origin http://a.example:80; # here
--- refused
"http://a.example:80" is no origin of browsers
which leave the scheme's own port out


=== an origin is not https://a.example:8443/
--- location
softfactory_cors_origin https://a.example:8443/; # here
--- refused
"https://a.example:8443/" is no origin of browsers
without a slash


=== an origin is not https://a.example?x
--- location
softfactory_cors_origin https://a.example?x; # here
--- refused
"https://a.example?x" is no origin of browsers
without a slash


=== an origin is not https://*.example
--- location
softfactory_cors_origin https://*.example; # here
--- refused
"https://*.example" is no origin of browsers
which name one host


=== an origin is not https://user@a.example
--- location
softfactory_cors_origin https://user@a.example; # here
--- refused
"https://user@a.example" is no origin of browsers
which name one host


=== an origin is not https://a.example:0
--- location
softfactory_cors_origin https://a.example:0; # here
--- refused
"https://a.example:0" is no origin of browsers
between 1 and 65535


=== an origin is not https://a.example:65536
--- location
softfactory_cors_origin https://a.example:65536; # here
--- refused
"https://a.example:65536" is no origin of browsers
between 1 and 65535


=== an origin is not https://a.example:08443
--- location
softfactory_cors_origin https://a.example:08443; # here
--- refused
"https://a.example:08443" is no origin of browsers
between 1 and 65535


=== an origin is not https://a.example:
--- location
softfactory_cors_origin https://a.example:; # here
--- refused
"https://a.example:" is no origin of browsers
between 1 and 65535


=== an origin is not https://bücher.example
--- location
softfactory_cors_origin https://bücher.example; # here
--- refused
"https://bücher.example" is no origin of browsers
xn--


=== an origin is not https://[::1
--- location
softfactory_cors_origin https://[::1; # here
--- refused
"https://[::1" is no origin of browsers
an address of IPv6


=== an origin is not https://[x]
--- location
softfactory_cors_origin https://[x]; # here
--- refused
"https://[x]" is no origin of browsers
an address of IPv6


=== an origin is not null
--- location
softfactory_cors_origin null; # here
--- refused
"null" is no origin of browsers
which begin with


=== an origin is not ftp://a.example
--- location
softfactory_cors_origin ftp://a.example; # here
--- refused
"ftp://a.example" is no origin of browsers
which begin with


=== a secret is not /etc/nginx/softfactory.secret
--- location
softfactory_jwt_secret /etc/nginx/softfactory.secret; # here
--- refused
a secret begins with "/":
use file:/path


=== a secret is not ./softfactory.secret
--- location
softfactory_jwt_secret ./softfactory.secret; # here
--- refused
a secret begins with "./":
use file:path


=== a secret is not ../x
--- location
softfactory_jwt_secret ../x; # here
--- refused
a secret begins with "../":
use file:path


=== a secret is not ~/x
--- location
softfactory_jwt_secret ~/x; # here
--- refused
a secret begins with "~/":
use file:/path


=== a secret is not $PLATFORM_SECRET_KEY
--- location
softfactory_jwt_secret '$PLATFORM_SECRET_KEY'; # here
--- refused
a secret begins with "$":
use env:NAME


=== a secret is not FILE:/etc/x
--- location
softfactory_jwt_secret FILE:/etc/x; # here
--- refused
a secret begins with "file:":
use file:path, in small letters


=== a secret is not Env:X
--- location
softfactory_jwt_secret Env:X; # here
--- refused
a secret begins with "env:":
use env:NAME, in small letters


=== a secret that is one is not told
--- location
softfactory_jwt_secret '/pS3cr3t+of/somebody='; # here
--- refused
a secret begins with "/":
--- unsaid
pS3cr3t


=== a fixed token is not file:/etc/token
--- location
softfactory_token file:/etc/token user=1; # here
--- refused
token "file:/etc/token" would be that text


=== a fixed token is not env:TOKEN
--- location
softfactory_token env:TOKEN user=1; # here
--- refused
token "env:TOKEN" would be that text


=== sns_templates has no ttl
--- location
softfactory_cache_ttl sns_templates 5m; # here
--- refused
responses of endpoint "sns_templates" in
are never cached, those are of: dashboard_kpis
performance_roi


=== health has no ttl
--- location
softfactory_cache_ttl health 5m; # here
--- refused
responses of endpoint "health" in
are never cached, those are of: dashboard_kpis
performance_roi


=== dashboard_charts has no ttl
--- location
softfactory_cache_ttl dashboard_charts 5m; # here
--- refused
responses of endpoint "dashboard_charts" in
are never cached, those are of: dashboard_kpis
performance_roi


=== proxy_pass does not go to PostgreSQL: proxy_pass http://primary
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
    proxy_pass http://primary;
    }
}
--- refused
proxy_pass in location "/x/" names upstream "primary", which is PostgreSQL's
use softfactory_pass


=== proxy_pass does not go to PostgreSQL: proxy_pass http://PRIMARY/x/
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
    proxy_pass http://PRIMARY/x/;
    }
}
--- refused
proxy_pass in location "/x/" names upstream "PRIMARY", which is PostgreSQL's
use softfactory_pass


=== fastcgi_pass does not go to PostgreSQL: fastcgi_pass primary
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
    fastcgi_pass primary;
    }
}
--- refused
fastcgi_pass in location "/x/" names upstream "primary", which is PostgreSQL's
use softfactory_pass


=== uwsgi_pass does not go to PostgreSQL: uwsgi_pass primary
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
    uwsgi_pass primary;
    }
}
--- refused
uwsgi_pass in location "/x/" names upstream "primary", which is PostgreSQL's
use softfactory_pass


=== scgi_pass does not go to PostgreSQL: scgi_pass primary
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
    scgi_pass primary;
    }
}
--- refused
scgi_pass in location "/x/" names upstream "primary", which is PostgreSQL's
use softfactory_pass


=== grpc_pass does not go to PostgreSQL: grpc_pass primary
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
    grpc_pass primary;
    }
}
--- refused
grpc_pass in location "/x/" names upstream "primary", which is PostgreSQL's
use softfactory_pass


=== memcached_pass does not go to PostgreSQL: set $memcached_key x
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
    set $memcached_key x;
    memcached_pass primary;
    }
}
--- refused
memcached_pass in location "/x/" names upstream "primary", which is PostgreSQL's
use softfactory_pass


=== not even in an if
--- http
server { # here
    listen unix:DIR/other;
    location /x/ {
        if ($arg_x) { proxy_pass http://primary; }
        return 204;
    }
}
--- refused
proxy_pass in location "/x/" names upstream "primary"


=== an upstream and a location are enough
--- accepted


=== servers may be many, some of them down or for the worst case only
--- upstream
upstream primary {
    server unix:PG weight=3 max_fails=2 fail_timeout=5s;
    server 127.0.0.1:5433 backup;
    server localhost:5434 down;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_pg_pool connections=4 totals=3 heavy=2 write=1
                        depth=32 queue=100
                        wait=500ms timeout=1s heavy_timeout=1m
                        write_timeout=2s lock_timeout=500ms
                        connect_timeout=1s lifetime=0 shared_sync=off
                        prepare=off;
}
upstream replicas {
    server 127.0.0.1:5435;
    server 127.0.0.1:5436 weight=2;
    softfactory_pg "dbname=softfactory user=app";
}
--- location
softfactory_pass primary replicas=replicas;
--- accepted


=== a server may have an address of IPv6
--- upstream
upstream primary {
    server [::1]:5432;
    softfactory_pg "dbname=softfactory user=app";
}
--- accepted


=== another machine is good with a word about TLS
--- upstream
upstream primary {
    server 192.0.2.1:5432;
    server [2001:db8::1]:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=verify-full
                    sslrootcert=DIR/ca.crt";
}
--- setup
copy($ENV{SF_TEST_PG_CA}, "$dir/ca.crt");
--- accepted


=== the connection string may be a URI
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg
        "postgresql:///softfactory?user=app&sslmode=disable";
}
--- accepted


=== an upstream may stand after the server that uses it
--- upstream
--- http
server {
    listen unix:DIR/first;
    location / { softfactory_pass PRIMARY; }
}
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
}
--- accepted


=== files that the workers' user can read are good
--- setup
give(write_file("$dir/good", '*:*:*:*:secret', 0600));
copy("$dir/tls.key", "$dir/root-key");
chmod 0640, "$dir/root-key";
if ($> == 0) {
    chown 0, (getgrnam $group)[2], "$dir/root-key";
} else {
    chmod 0600, "$dir/root-key";
}
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/good
                    sslmode=require sslkey=DIR/root-key sslcert=DIR/tls.crt
                    sslrootcert=DIR/bundle.crt sslcrldir=DIR/crl";
}
--- accepted


=== a passfile may say it in many ways
--- setup
give(write_file("$dir/lines", <<'LINES', 0600));
# the application's
127.0.0.1:5432:other:app:secret
other:*:*:*:secret
127.0.0.1:*:softfactory:*:se\:cret
::1:5432:softfactory:app:secret
\db.example.com:5432:*:app:
*:*:a\:b:app:x
LINES
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    server 127.0.0.3:5432 down;
    server [::1]:5432 backup;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- accepted


=== of a socket the name is localhost, or its folder
--- setup
give(write_file("$dir/lines", 'localhost:*:softfactory:app:secret', 0600));
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines";
}
--- accepted


=== a password needs no line
--- setup
give(write_file("$dir/lines", 'x', 0600));
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app passfile=DIR/lines
                    password=x";
}
--- accepted


=== a key may have a password
--- setup
give("$dir/locked.key");
--- upstream
upstream primary {
    server 127.0.0.1:5432;
    softfactory_pg "dbname=softfactory user=app sslmode=require
                    sslkey=DIR/locked.key sslpassword=word
                    sslcert=DIR/tls.crt";
}
--- accepted


=== origins as browsers send them
--- location
softfactory_cors_origin http://localhost http://localhost:5000 https://a-b.c_d.e
                        https://127.0.0.1:80 http://[::1]:443 http://[2001:db8::1]
                        https://xn--bcher-kva.example https://a.example:65535;
--- accepted


=== other upstreams are nginx's own affair
--- http
upstream app { server 127.0.0.1:8000; }
server {
    listen unix:DIR/other;
    location / { proxy_pass http://app; }
    location /y { proxy_pass http://127.0.0.1:8001; }
    location /z { fastcgi_pass app; }
    location /v { set $up primary; proxy_pass http://$up; }
}
--- accepted


=== what nginx cannot use with so few connections is warned of
--- events
worker_connections 18;
--- warned
worker_connections 18 leave nothing for clients
up to 16 connections to PostgreSQL


=== one more than that is enough
--- events
worker_connections 19;
--- accepted


=== a secret may come from a file, the environment or the line itself
--- setup
write_file("$dir/secret", "secret\n");
$ENV{SF_CONF_SET} = 'secret';
--- main
env SF_CONF_SET;
--- location
softfactory_jwt_secret file:DIR/secret;
softfactory_jwt_secret file:secret;
softfactory_jwt_secret env:SF_CONF_SET;
softfactory_jwt_secret secret;
--- accepted


=== keys may come from several files, beside a secret
--- http
softfactory_jwt_issuer https://issuer.example;
--- server
softfactory_jwt_audience api web;
softfactory_jwt_key DIR/keys.json;
softfactory_jwt_key DIR/rsa.pem alg=RS256;
softfactory_jwt_key ec.pem alg=ES256 kid=b;
softfactory_jwt_key DIR/ec2.pem alg=ES256 kid=c;
location /other/ {
    softfactory_pass primary;
    softfactory_jwt_key DIR/keys.json alg=EdDSA;
    softfactory_jwt_user sub;
}
--- location
softfactory_jwt_secret secret;
softfactory_jwt_audience app;
--- accepted


=== an environment variable may have its value from its directive
--- main
env SF_CONF_T=secret;
--- location
softfactory_jwt_secret env:SF_CONF_T;
--- accepted


=== endpoints may be named, taken away and given back
--- server
location /a/ {
    softfactory_pass primary;
    softfactory_endpoints review_campaigns sns_posts;
}
location /b/ {
    softfactory_pass primary;
    softfactory_endpoints all -sns_posts;
}
--- location
softfactory_endpoints -review_campaigns -sns_posts sns_posts;
--- accepted


=== a zone may stand below its users, and be one of several
--- server
softfactory_cache other;
location = /purge { softfactory_purge other; }
location = /status { softfactory_status api; }
location /off/ { softfactory_pass primary; softfactory_cache off; }
location /api-too/ { softfactory_pass primary; softfactory_cache api; }
--- upstream
upstream primary {
    server unix:PG;
    softfactory_pg "dbname=softfactory user=app";
    softfactory_listen direct;
}
upstream direct { server unix:PG; softfactory_pg "dbname=softfactory user=app"; }
softfactory_zone api 4m;
softfactory_zone other 64m;
--- accepted


=== what the cache may be told
--- http
softfactory_zone api 4096k;
softfactory_listen_lease 1s;
softfactory_cache_ttl all 60s;
softfactory_cache_ttl sns_posts 500ms stale=0 error=0s;
softfactory_cache_incoherent_ttl 0;
softfactory_cache_max_entry 16k;
softfactory_auth_grace 0;
softfactory_cache_bypass $cookie_nocache $arg_nocache;
--- server
softfactory_cache_ttl review_campaigns stale=30s;
softfactory_cache_ttl all error=1h;
softfactory_cache_ttl analytics_funnel 1d;
softfactory_cache api;
--- location
softfactory_cache_ttl review_campaigns error=5m stale=1m 10m;
softfactory_cache_max_entry 1024m;
softfactory_cache_bypass $http_x_past;
--- accepted


=== all of it means nothing without a zone
--- location
softfactory_cache_ttl all 60s stale=30s;
softfactory_cache_bypass $arg_nocache;
softfactory_cache off;
--- accepted


=== what is shown, and what is slow
--- http
softfactory_slow 1s rate=100;
--- server
softfactory_slow off;
location = /metrics { softfactory_metrics; }
location = /report { softfactory_report; }
location = /live { softfactory_live; softfactory_slow 1m; }
--- location
softfactory_slow 250ms rate=0;
--- accepted


=== everything may stand in http{}
--- http
softfactory_endpoints -sns_posts;
softfactory_jwt_secret secret;
softfactory_token demo_token user=1 products=review,sns-auto;
softfactory_token other_token user=9223372036854775807 products=all;
softfactory_jwt_key DIR/rsa.pem alg=RS256 kid=a;
softfactory_jwt_issuer https://issuer.example;
softfactory_jwt_audience api;
softfactory_jwt_user sub;
softfactory_jwt_leeway 10m;
softfactory_jwt_require exp;
softfactory_anonymous off;
softfactory_max_page_size 100000;
softfactory_max_offset 2147483647;
softfactory_min_search 100;
softfactory_fallback /app;
softfactory_cors_origin http://a.example https://b.example:8443;
softfactory_cors_origin http://127.0.0.1:5000;
softfactory_version 2.0.0;
--- accepted


=== TEST 1: a location has what http{} says, unless the server says otherwise
--- http_config eval
main::conf() . <<'CONF'
softfactory_endpoints -sns_posts;
softfactory_jwt_secret "of http";
softfactory_token http_token user=1;
softfactory_anonymous off;
softfactory_max_page_size 1;
softfactory_fallback /http;
softfactory_cors_origin https://http.example;
softfactory_version http;
server {
    listen $TEST_NGINX_PORT;
    server_name plain;
    location / { softfactory_pass primary; }
    location = /http { return 200 "of http"; }
}
CONF
--- config
server_name other;
softfactory_endpoints -sns_accounts;
softfactory_jwt_secret "of server";
softfactory_token server_token user=1 products=all;
softfactory_anonymous on;
softfactory_max_page_size 2;
softfactory_fallback /server;
softfactory_cors_origin https://server.example;
softfactory_version server;
location / { softfactory_pass primary; }
location = /server { return 200 "of server"; }
location = /http { return 200 "of http"; }
location = /location { return 200 "of location"; }
location /api/review/ {
    softfactory_pass primary;
    softfactory_endpoints -review_my_campaigns;
    softfactory_jwt_secret "of location";
    softfactory_token location_token user=1;
    softfactory_anonymous off;
    softfactory_max_page_size 3;
    softfactory_fallback /location;
    softfactory_cors_origin https://location.example;
}
location = /ready {
    softfactory_pass primary;
    softfactory_version location;
}
--- check
for (['plain', 'http', '/api/sns/templates', '/api/sns/posts'],
     ['localhost', 'server', '/api/sns/templates', '/api/sns/accounts'],
     ['localhost', 'location', '/api/review/bookmarks',
      '/api/review/my-campaigns'])
{
    my ($host, $level, $native, $gone) = @$_;

    for my $other (qw(http server location)) {
        my $status = $other eq $level ? 200 : 401;

        is(get($native, host => $host, token => "${other}_token")->{status},
           $status, "the token of $other is worth $status in $level");
        is(get($native, host => $host,
               token => jwt(user_id => 1, -secret => "of $other"))->{status},
           $status, "a JWT of $other is worth $status in $level");

        my $res = get($native, host => $host, token => "${level}_token",
                      headers => ["Origin: https://$other.example"]);

        is($res->{headers}{'access-control-allow-origin'},
           $other eq $level ? "https://$other.example" : undef,
           "the origin of $other in $level");
    }

    is(get($gone, host => $host, token => "${level}_token")->{body},
       "of $level", "the fallback of $level serves what is not native in it");
}

for (['plain', '/api/review/campaigns', 'http_token', 1],
     ['localhost', '/api/sns/posts', 'server_token', 2],
     ['localhost', '/api/review/campaigns', 'location_token', 3])
{
    my ($host, $path, $token, $rows) = @$_;

    my $doc = document(get("$path?per_page=50", host => $host,
                           token => $token)->{body});

    is(scalar @{$doc->{campaigns} // $doc->{posts}}, $rows,
       "a page has $rows of $path in $host");
}

is(get('/api/review/campaigns', host => 'plain', token => undef)->{status},
   401, 'softfactory_anonymous of http');
is(get('/api/review/campaigns/1', token => undef)->{status},
   401, 'softfactory_anonymous of location');

for (['plain', '/health', 'http'], ['localhost', '/health', 'server'],
     ['localhost', '/ready', 'location'])
{
    my ($host, $path, $level) = @$_;

    is(document(get($path, host => $host)->{body})->{version}, "\"$level\"",
       "softfactory_version of $level");
}


=== TEST 2: proxy_pass to such an upstream by a variable is an error that says what to use
--- config
location /api/ { softfactory_pass primary; }
location /wrong { set $up primary; proxy_pass http://$up; }
--- request
GET /wrong
--- error_code: 500
--- no_error_log
[alert]
[crit]
[emerg]
--- error_log
upstream "primary" is a PostgreSQL upstream, use softfactory_pass

# Golden answers: status, headers and body of every endpoint as they were when
# t/golden/*.txt were made, and as they are now.  A file is of one endpoint,
# and paths.txt of what belongs to none; SoftFactory::Golden says what stands
# there and what is put away before it is compared.
#
# With SF_GOLDEN=1, as `make golden` has it, the files are made and nothing is
# compared: t/README.md says when one may do that.

# valgrind: no

use strict;
use warnings;

use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Golden;
use SoftFactory::Golden::Cases;
use SoftFactory::Live;

no_shuffle();
no_root_location();
master_on();
log_level('info');
plan('no_plan');

golden_nginx();

our $S = golden_server();
our %TOKENS = golden_tokens();
our $MAKE = $ENV{SF_GOLDEN} ? 1 : 0;

# a role that may not read the tables, and a port that nobody listens on

$S->psql('CREATE ROLE stranger LOGIN', dbname => 'softfactory');

our %AT = (server => "unix:$S->{socket}",
           pool => 'connections=1 wait=50s timeout=50s heavy_timeout=50s');
our $PORT = server_port();

# hosts that requests name, and what is special there

our @HOSTS = (
    [cached => 'primary', operators('api')],
    [uncached => 'primary', 'softfactory_cache off;'],
    [small => 'primary', 'softfactory_max_page_size 4;',
     'softfactory_max_offset 5;', 'softfactory_min_search 6;'],
    [closed => 'primary', 'softfactory_anonymous off;'],
    [cors => 'primary', 'softfactory_cors_origin https://app.example.com;'],
    [few => 'primary', 'softfactory_endpoints health;',
     'softfactory_fallback @app;'],
    [fallback => 'primary', 'softfactory_fallback @app;'],
    [edge => 'edge'],
    [denied => 'denied'],
    [away => 'away'],
);

sub host {
    my ($name, $upstream, @lines) = @_;

    my $api = api(@lines) =~ s/(?<=softfactory_pass )primary/$upstream/gr;

    return <<"CONF";
server {
    listen $PORT;
    server_name $name;
    location \@app { return 200 "application: \$request_method \$uri\\n"; }
    location / { return 404 "no location\n"; }
    $api
}
CONF
}

defaults(http_config => conf(%AT, zone => 'api 32m')
                        . conf(%AT, name => 'edge', dbname => 'edge')
                        . conf(%AT, name => 'denied', user => 'stranger')
                        . conf(%AT, name => 'away',
                               server => '127.0.0.1:' . free_port())
                        . <<'CONF' . join('', map { host(@$_) } @HOSTS),
large_client_header_buffers 4 32k;
softfactory_cache api;
softfactory_cache_ttl all 1h;
softfactory_listen_lease 60s;
CONF
         no_error_log => "[alert]\n[crit]\n[emerg]\n");

run_tests();


__DATA__

=== TEST 1: each endpoint has a file, and no other file is there
--- check
my @names = (sort('paths', map { $_->{name} } endpoints()));

is(join("\n", golden_files()), join("\n", @names), 'files of t/golden')
    if !$main::MAKE;



=== TEST 2: what was asked covers each parameter, its other name, its choices
--- check
for my $e (endpoints()) {
    next if $main::MAKE || !grep { $_ eq $e->{name} } golden_files();

    my @asked = map { $_->{request}[0] } golden_read($e->{name});
    my $lines = join "\n", @asked;
    my @missing = grep { $lines !~ /[?&]\Q$_\E/ } golden_wanted($e);

    is(join(' ', @missing), '', "parameters of $e->{name}");
    cmp_ok(scalar @asked, '>=', 50, "requests of $e->{name}");
}



=== TEST 3: answers are as they were, byte for byte
--- check
wait_coherent(upstream => $_) for qw(primary edge);

if ($main::MAKE) {
    golden_write($_->{name}, golden_play([golden_cases($_)], \%main::TOKENS))
        for endpoints(), { name => 'paths' };
}

for my $name ($main::MAKE ? () : golden_files()) {
    my @cases = golden_read($name);

    golden_compare($name, golden_play(\@cases, \%main::TOKENS),
                   "$name: " . @cases . ' answers');
}

# The report: the keys of the performance document's appendix B, numbers that
# are those of what the test has done, windows, and slow requests, which also
# go to the log and the status.
#
# A request is slow because it waits for a lock that the test holds, so its
# length is known from outside.

# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use JSON::PP ();
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
master_on();
workers(2);
worker_connections(256);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_report');
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';

psql("INSERT INTO users (id, email, password_hash, name, role, is_active,
                         created_at)
      VALUES (1, 'a\@x.test', '!', 'Name', 'user', true, 'yesterday')",
     dbname => $DB);
psql("INSERT INTO campaigns (id, creator_id, title, product_name, category,
                             max_reviewers, deadline, status, created_at)
      SELECT n, 1, 'of ' || n, 'p', 'c', 10, 'tomorrow', 'active', 'yesterday'
        FROM generate_series(1, 60) n", dbname => $DB);
install_notify($DB);


sub report {
    my ($window, $path) = @_;

    return JSON::PP::decode_json(get(($path // '/report')
                                     . ($window ? "?window=$window" : ''),
                                     token => undef)->{body});
}


# slowly($seconds, $path, %options): a request that has to wait that long

sub slowly {
    my ($seconds, $path, %o) = @_;

    my $lock = hold($::LOCK, dbname => $::DB);
    my $client = start($path, %o);

    wait_until {
        backends("datname = '$::DB' AND wait_event_type = 'Lock'");
    } 'it waits';

    sleep $seconds;
    $lock->release;

    return $client->finish;
}


# slow_lines(): what the slow log says, as Perl data

sub slow_lines {
    return map { JSON::PP::decode_json($_) }
           error_log() =~ /softfactory slow request: (\{.*\})$/mg;
}


our $REPORT = 'location = /report { softfactory_report; }';

defaults(http_config => conf(dbname => $DB, zone => 'api 8m'),
         config => api(operators('api'), $REPORT));

run_tests();

__DATA__

=== TEST 1: the keys of appendix B, and more
--- check
wait_coherent();
get("$::CAMPAIGN/1") for 1 .. 3;
get('/api/none');
sleep 0.1;

my $report = main::report();

for (qw(start_time end_time)) {
    like($report->{$_}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/, $_);
}

is(join(' ', sort keys %$report), 'application cache database duration_seconds '
   . 'end_time endpoint_metrics module_version node slow_endpoints start_time '
   . 'summary', 'sections');
is(join(' ', sort keys %{$report->{summary}}), 'avg_cpu_percent '
   . 'avg_memory_percent avg_nginx_cpu_percent avg_nginx_memory_mb '
   . 'error_endpoint_count peak_cpu_percent peak_memory_percent '
   . 'peak_nginx_cpu_percent peak_nginx_memory_mb recommendations '
   . 'requests_per_second slow_endpoint_count total_errors total_requests',
   'the summary');

my $one = $report->{endpoint_metrics}{"$::CAMPAIGN/{id}"};

is(join(' ', sort keys %$one), 'avg_ms avg_query_ms cache_hit_percent errors '
   . 'max_ms min_ms p50_ms p95_ms p99_ms queries requests', 'an endpoint');
is($one->{requests}, 3, 'its requests');
is($one->{errors}, 0, 'its errors');
is($one->{queries}, 1, 'its statements');
is($one->{cache_hit_percent}, 66.667, 'its hits');
cmp_ok($one->{min_ms}, '>', 0, 'the shortest takes some time');
cmp_ok($one->{max_ms}, '>=', $one->{$_}, "the longest no less than $_")
    for qw(min_ms avg_ms p50_ms p95_ms p99_ms);
cmp_ok($one->{p99_ms}, '>=', $one->{p50_ms}, 'percentiles are in order');
is($report->{endpoint_metrics}{unknown}{requests}, 1, 'a path that is none');
is($report->{summary}{total_requests}, 4, 'all requests');
is($report->{summary}{total_requests}, zone_status()->{requests}{total},
   'as the status has them');
is($report->{summary}{slow_endpoint_count}, 0, 'none is slow');
is(scalar @{$report->{slow_endpoints}}, 0, 'and none is listed');
is($report->{cache}{hits}, 2, 'hits');
is($report->{cache}{misses}, 1, 'misses');
is($report->{database}{queries}, 1, 'statements');

# a look is taken each second, and the first one has nothing to compare with

wait_until { main::report()->{summary}{avg_memory_percent} > 0 } 'two looks';
$report = main::report();
cmp_ok($report->{summary}{avg_nginx_memory_mb}, '>', 1, 'memory of nginx');
cmp_ok($report->{summary}{peak_nginx_memory_mb}, '>=',
       $report->{summary}{avg_nginx_memory_mb}, 'and its peak');
cmp_ok($report->{summary}{peak_memory_percent}, '>', 0, 'of the machine');



=== TEST 2: windows
--- check
my $res = get('/report?window=2h', token => undef);

is($res->{status}, 400, 'no such window');
is($res->{body}, qq({"error":"Unknown window, there are: 60s, 5m, 15m, 1h"}\n),
   'which is told');
is(request('DELETE', '/report')->{status}, 405, 'no such method');

get("$::CAMPAIGN/1") for 1 .. 5;
sleep 0.1;

for (qw(60s 1m 5m 15m 1h)) {
    my $report = main::report($_);

    is($report->{endpoint_metrics}{"$::CAMPAIGN/{id}"}{requests}, 5,
       "$_: what has happened since the start is in it");
    cmp_ok($report->{duration_seconds}, '<', 30, 'which is not long ago');
}

is(request('HEAD', '/report')->{status}, 200, 'HEAD');



=== TEST 3: an endpoint that is slow
--- config eval
main::api(main::operators('api'), $::REPORT, 'softfactory_slow 400ms;')
--- check
wait_coherent();

my $at = time;
my $res = main::slowly(0.8, "$::CAMPAIGN?page=2&category=c&token=hidden&%25=x",
                       headers => ['X-Request-Id: id-of-the-client',
                                   'traceparent: 00-' . 'ab' x 16
                                   . '-00f067aa0ba902b7-01']);
my $ms = (time - $at) * 1000;

is($res->{status}, 200, 'it is answered');
get("$::CAMPAIGN/1");
sleep 0.1;

my $report = main::report();
my $one = $report->{endpoint_metrics}{$::CAMPAIGN};

cmp_ok($one->{max_ms}, '>=', 800, 'it took as long as the lock');
cmp_ok($one->{max_ms}, '<=', $ms, 'and not longer than seen from here');
is($report->{summary}{slow_endpoint_count}, 1, 'one is slow');
is($report->{slow_endpoints}[0]{endpoint}, $::CAMPAIGN, 'this one');
cmp_ok($report->{slow_endpoints}[0]{p95_ms}, '>', 500, 'by its percentile');
like($report->{slow_endpoints}[0]{issue}, qr/statement is slow/, 'and why');
ok((grep { /^\Q$::CAMPAIGN\E: the 95th percentile is [\d.]+ ms .* EXPLAIN/ }
    @{$report->{summary}{recommendations}}), 'what to do');

my ($line, @more) = main::slow_lines();

is(scalar @more, 0, 'one line in the log');
is($line->{endpoint}, 'review_campaigns', 'endpoint');
like($line->{params}, qr/(?:^|&)page=2(?:&|$)/, 'a parameter');
like($line->{params}, qr/(?:^|&)category=c(?:&|$)/, 'another one');
unlike($line->{params}, qr/hidden|token/, 'nothing that is none');
unlike(error_log(), qr/hidden/, 'nowhere in the log');
is($line->{status}, 200, 'status');
is($line->{cache}, 'MISS', 'cache');
is($line->{user}, undef, 'user');
is($line->{request_id}, 'id-of-the-client', 'the id of the client');
is($line->{trace_id}, 'ab' x 16, 'its trace');
is($line->{sqlstate}, '', 'no SQLSTATE');
cmp_ok($line->{ms}, '>=', 800, 'time');
cmp_ok($line->{db_ms}, '>=', 800, 'which the database took');
cmp_ok($line->{queue_ms}, '<', 200, 'not the queue');
cmp_ok($line->{write_ms}, '<', 200, 'nor the client');

my $slow = zone_status()->{slow};

is(scalar @$slow, 1, 'the status has it too');
is_deeply($slow->[0], $line, 'just so');

# parameters of which every byte is escaped do not fit into a line

main::slowly(0.5, "$::CAMPAIGN?category=" . '%01' x 300);
sleep 0.1;
(undef, $line) = main::slow_lines();
is($line->{endpoint}, 'review_campaigns', 'a long line is whole');
is($line->{params}, undef, 'without them');
like(zone_status()->{slow}[0]{params}, qr/\x01{200}/, 'the status has them');



=== TEST 4: whose request it was, and what went wrong
--- http_config eval
main::conf(dbname => $::DB, zone => 'api 8m', pool => 'timeout=1s wait=5s')
--- config eval
main::api(main::operators('api'), $::REPORT, 'softfactory_slow 300ms;')
--- check
wait_coherent();

my $res = main::slowly(1.3, "$::CAMPAIGN/7/applications");

is($res->{status}, 504, 'a statement that took too long');
sleep 0.1;

my ($line) = main::slow_lines();

is($line->{sqlstate}, '57014', 'query_canceled');
is($line->{user}, 1, 'the user of the token');
is($line->{params}, 'id=7', 'the id of the path');
like($line->{request_id}, qr/^[0-9a-f]{8}$/, 'an id of our own');
is($line->{trace_id}, undef, 'no trace');

my $report = main::report();

is($report->{summary}{total_errors}, 1, 'an error');
is($report->{summary}{error_endpoint_count}, 1, 'of an endpoint');
is($report->{database}{errors}{timeout}, 1, 'a timeout');
ok((grep { /ran into a timeout/ }
    @{$report->{summary}{recommendations}}), 'what to do');
--- no_error_log
[crit]
[alert]
[emerg]



=== TEST 5: the slow log is limited, and can be off
--- config eval
main::api(main::operators('api'), $::REPORT, 'softfactory_slow 1ms rate=2;',
          'location /quiet/ { rewrite ^/quiet(/.*)$ $1 break; '
          . 'softfactory_pass primary; softfactory_slow off; }')
--- check
wait_coherent();

my $n = 24;
my $lock = hold($::LOCK, dbname => $::DB);
my @clients = map { start("$::CAMPAIGN/$_") } 1 .. $n;

sleep 0.1;
$lock->release;
is($clients[$_]->finish->{status}, 200, "slow one $_") for 0 .. $#clients;
sleep 0.1;

# two workers, a second that may end meanwhile

my $lines = () = main::slow_lines();

cmp_ok($lines, '>=', 2, 'some lines');
cmp_ok($lines, '<=', 8, 'but few');
wait_until { zone_status()->{requests}{slow} == $n } 'all are counted';

# the next slow one of the same worker tells of them; what is not found is
# asked for each time

wait_until {
    sleep 1.1;

    my $again = hold($::LOCK, dbname => $::DB);
    my @more = map { start("$::CAMPAIGN/" . (1000 + $_) . '?t=hidden') }
               1 .. 12;

    sleep 0.1;
    $again->release;
    $_->finish for @more;
    sleep 0.1;

    log_count(qr/softfactory: \d+ slow requests? not logged/);
} 'a line tells of the others', 30;

unlike(error_log(), qr/hidden/, 'and not what stood in a query string');

my $before = zone_status()->{requests}{slow};

$lock = hold($::LOCK, dbname => $::DB);
my $client = start("/quiet$::CAMPAIGN/51");
sleep 0.1;
$lock->release;
is($client->finish->{status}, 200, 'a slow one');
sleep 0.1;
is(zone_status()->{requests}{slow}, $before, 'that is none');



=== TEST 6: ids that are none, and those that are
--- config eval
main::api('location = /id { add_header X-Id $softfactory_request_id; '
          . 'add_header X-Trace $softfactory_trace_id; return 200 '
          . '$softfactory_request_id; }')
--- check
sub id {
    my $res = get('/id', headers => [map { "X-Request-Id: $_" } @_]);

    is($res->{headers}{'x-id'}, $res->{body}, 'the same each time');

    return $res->{body};
}

sub trace {
    return get('/id', headers => ["traceparent: $_[0]"])
           ->{headers}{'x-trace'} // 'none';
}

my ($trace, $parent) = ('0af7651916cd43dd8448eb211c80319c',
                        '00f067aa0ba902b7');

is(id($_), $_, 'taken over') for 'a', 'A.b-c_d:0', 'x' x 64;
like(id($_), qr/^[0-9a-f]{8}$/, 'one of our own')
    for 'a b', '"', 'x' x 65, "\xc3\xa4", '<script>';
like(id(), qr/^[0-9a-f]{8}$/, 'and where there is none');
isnt(id(), id(), 'another for each request');

is(trace("00-$trace-$parent-01"), $trace, 'a trace');
is(trace("01-$trace-$parent-01-more"), $trace, 'of a later version');
is(trace($_), 'none', 'no trace') for '', 'x',
    "00-$trace-$parent", "00-$trace-$parent-01-more", "ff-$trace-$parent-01",
    "00-" . uc($trace) . "-$parent-01", '00-' . '0' x 32 . "-$parent-01",
    "00-$trace-" . '0' x 16 . '-01', "00_$trace-$parent-01",
    "01-$trace-$parent-01more";



=== TEST 7: which version runs, wherever one would look
--- config eval
main::api(main::operators('api'), $::REPORT,
          'location = /metrics { softfactory_metrics; }')
--- check
open my $h, '<', 'src/ngx_sf_version.h' or die $!;
my ($version) = join('', <$h>) =~ /^#define NGX_SF_VERSION +"([\d.]+)"$/m;

is(main::report()->{module_version}, $version, 'the report');
is(zone_status()->{module_version}, $version, 'the status');
is(main::report()->{node}, lc((POSIX::uname())[1]), 'and on which host');
is(zone_status()->{node}, main::report()->{node}, 'as the status says');
like(get('/metrics', token => undef)->{body},
     qr/^softfactory_build_info\{version="\Q$version\E",nginx="[\d.]+",/m,
     'the metrics');
is(log_count(qr/\[notice\] .* softfactory: module version \Q$version\E, libpq /),
   1, 'one line of the log, whatever the number of workers');
is(JSON::PP::decode_json(get('/health')->{body})->{version}, '1.0.0',
   'which is not the text of softfactory_version');



=== TEST 8: the last hour, for charts, and what else there is to see
--- config eval
main::api(main::operators('api'), 'softfactory_fallback @app;',
          'location @app { return 502; }',
          'location = /softfactory/report { softfactory_report; }',
          'location /softfactory/live { softfactory_live; }',
          'location ~ ^/me.rics$ { softfactory_metrics; }',
          'location = /softfactory/status { softfactory_status api; }')
--- http_config eval
my $elsewhere = main::free_port();
main::conf(dbname => $::DB, zone => 'api 8m')
. "server { listen 127.0.0.1:$elsewhere; "
. 'location = /metrics { softfactory_metrics; } }'
--- check
wait_coherent();

sub status {
    my ($args) = @_;

    return JSON::PP::decode_json(get("/softfactory/status$args",
                                     token => undef)->{body});
}

sub history {
    my $history = status('?history=1')->{history};
    my @columns = @{$history->{columns}};

    return map { my %row; @row{@columns} = @$_; \%row } @{$history->{rows}};
}

is(status('')->{history}, undef, 'only who asks for it gets it');
is_deeply(status('')->{links}, { status => '/softfactory/status',
          report => '/softfactory/report', live => '/softfactory/live' },
          'locations of this server that have an address');

get("$::CAMPAIGN/1") for 1 .. 4;
get('/api/other') for 1 .. 2;

# an interval has five seconds

my $last;

wait_until { ($last) = grep { $_->{requests} } history() } 'it is in a row';

my @rows = history();
my ($before) = grep { !$_->{requests} } @rows;

is(sprintf('%.0f', $last->{requests} * $last->{seconds}), 4, 'requests');
is(sprintf('%.0f', $last->{passed} * $last->{seconds}), 2, 'passed on');
is($last->{failed}, 100, 'all of them without an answer');
is($last->{errors}, 0, 'which are no errors of ours');
is($last->{hits}, 75, 'one of four was not there');
cmp_ok($last->{p50_ms}, '>', 0, 'a median');
cmp_ok($last->{p99_ms}, '>=', $last->{p50_ms}, 'and what is slower');
is(sprintf('%.0f', $last->{queries} * $last->{seconds}), 1, 'a statement');
cmp_ok($last->{time}, '<=', time + 1, 'when it was');
cmp_ok($last->{time}, '>', time - 60, 'which is not long ago');
is((status('')->{endpoints}[0] // {})->{minute}, 4,
   'an endpoint has what it was asked in the last minute');
is_deeply([map { $before->{$_} } qw(requests errors hits p95_ms failed)],
          [0, undef, undef, undef, undef], 'nothing has no share')
    if $before;



=== TEST 9: what is set already is not recommended
--- http_config eval
$::P = main::pg_server('away');
$::P->psql('', file => "$ENV{SF_TEST_SQL}/schema.sql", user => 'app');

main::conf(zone => 'api 8m', server => "unix:$::P->{socket} fail_timeout=1s",
           dbname => 'softfactory');
--- config eval
<<'CONF'
softfactory_cache_ttl all error=1h;
location /api/ { softfactory_pass primary; }
location = /report { softfactory_report; }
CONF
--- check
sub recommended {
    return join "\n", @{report()->{summary}{recommendations}};
}

$::P->stop;
is(get($::CAMPAIGN)->{status}, 503, 'the database is away');
$::P->start;
wait_until { get($::CAMPAIGN)->{status} == 200 } 'and back';

# gauges are told once a second

wait_until { recommended() =~ /could not be reached for/ } 'it is told';
like(recommended(), qr/statements?: error= of softfactory_cache_ttl shows/,
     'error= is there');
unlike(recommended(), qr/softfactory_cache_ttl all error=/,
       'it is not recommended');
--- no_error_log
[alert]
[crit]
[emerg]

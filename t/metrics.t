# What is counted, and how Prometheus is told: every request by endpoint,
# method and status, statements, connections, the zone and its listener; the
# numbers against what the test has done, the text against its format.
#
# The scratch database has user 1 with all products and a few rows; triggers
# are on all tables.

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
workers(2);
worker_connections(256);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_metrics');
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';
our $CLOSED = free_port();
our $APP = free_port();

our $DATA = <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active,
                   created_at)
VALUES (1, 'a@x.test', '!', 'Name', 'user', true, 'yesterday'),
       (2, 'b@x.test', '!', 'Name', 'user', true, 'yesterday');
INSERT INTO subscriptions (user_id, product_id, status)
SELECT 1, id, 'active' FROM products;
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       max_reviewers, deadline, status, created_at)
SELECT n, 1, 'of ' || n, 'p', 'c', 10, 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 30) n;
INSERT INTO review_listings (id, source_platform, external_id, title, status,
                             category, deadline, scraped_at)
SELECT n, 'p', n, 'listing ' || n, 'active', 'c', 'tomorrow', 'yesterday'
  FROM generate_series(1, 5) n
SQL

psql($_, dbname => $DB) for split /;\n/, $DATA;
install_notify($DB);


# metrics(%options): all samples, by name and labels as they stand in the text

sub metrics {
    my (%o) = @_;
    my $res = get('/metrics', token => undef, %o);
    my %value;

    $res->{status} == 200 or die "/metrics: $res->{status}\n";

    for (split /\n/, $res->{body}) {
        next if /^#/;
        /^(\w+(?:\{[^}]*\})?) (\S+)$/ or die "no sample: $_\n";
        die "twice: $1\n" if exists $value{$1};
        $value{$1} = $2;
    }

    return \%value;
}


# more($before, $after, $sample): by how much it has grown

sub more {
    my ($before, $after, $sample) = @_;

    return ($after->{$sample} // 0) - ($before->{$sample} // 0);
}


# count($code, @samples): by how much they grow meanwhile, joined.  A request is
# counted when it has ended, which may be after its answer is here

sub count {
    my ($code, @samples) = @_;
    my $before = metrics();

    $code->();
    sleep 0.05;

    my $after = metrics();

    return join ' ', map { more($before, $after, $_) } @samples;
}


sub requests {
    my ($method, $endpoint, $status) = @_;

    return "softfactory_requests_total{method=\"$method\","
           . "endpoint=\"$endpoint\",status=\"$status\"}";
}


# passed(@classes): samples of what was passed on; failed: not answered

sub passed {
    return map { $_ eq 'failed' ? 'softfactory_fallback_failures_total'
                 : "softfactory_fallback_requests_total{status=\"$_\"}" } @_;
}


# an application that answers with the status that its path asks for

sub application {
    my ($port) = @_;

    return "server { listen 127.0.0.1:$port; error_page 418 /nothing; "
           . join(' ', map { "location = /api/$_ { return $_; }" }
                  200, 302, 404, 500, 502, 503, 504)
           . ' location = /health { return 200 own; } }';
}


sub path {
    my ($row) = @_;
    my $path = $row->{path};

    $path =~ s/\{id\}/1/;

    return $path . ($row->{name} =~ /search/ ? '?q=listing' : '');
}


our $POOL = ['connections=1 heavy=1 depth=2', 'queue=2',
             'wait=2s timeout=4s'];
our $HTTP = conf(dbname => $DB, zone => 'api 8m');
our $CONFIG = api(operators('api'), 'location = /metrics '
                  . '{ softfactory_metrics; } softfactory_fair_key "";');

defaults(http_config => $HTTP, config => $CONFIG);

run_tests();

__DATA__

=== TEST 1: every endpoint is counted
--- check
wait_coherent();

for my $row (endpoints()) {
    my $name = $row->{name};
    my $path = main::path($row);
    my $count = "softfactory_request_duration_seconds_count{"
                . "endpoint=\"$name\"}";
    my $sum = $count =~ s/_count/_sum/r;
    my $inf = $count =~ s/_count\{(.*)\}/_bucket{$1,le="+Inf"}/r;
    my $hits = "softfactory_cache_requests_total{endpoint=\"$name\","
               . 'result="hit"}';
    my $misses = $hits =~ s/hit/miss/r;
    my $queries = "softfactory_db_query_duration_seconds_count{"
                  . "endpoint=\"$name\"}";
    my $before = main::metrics();

    is(get($path)->{status}, 200, "$name answers") for 1, 2;
    request('HEAD', $path, token => 'demo_token');
    request('OPTIONS', $path);
    get($path, headers => ['If-None-Match: *']);

    sleep 0.05;

    my $after = main::metrics();
    my @more = map { main::more($before, $after, $_) }
               main::requests('GET', $name, 200),
               main::requests('HEAD', $name, 200), $count, $inf;

    my $not_modified = main::more($before, $after,
                                  main::requests('GET', $name, 304));

    is($more[0] + $not_modified, 3, "$name: GET");
    is($not_modified, 1, "$name: 304");
    is($more[1], 1, "$name: HEAD");
    is($more[2], 4, "$name: all of them have a duration");
    is($more[3], 4, "$name: which is in a bucket");
    cmp_ok(main::more($before, $after, $sum), '>', 0,
           "$name: and adds to the sum");

    next if !$row->{sql};

    is(main::more($before, $after, $misses), 1, "$name: a miss");
    is(main::more($before, $after, $hits), 3, "$name: the rest are hits");
    is(main::more($before, $after, $queries), $row->{total} ? 2 : 1,
       "$name: its statements");
}



=== TEST 2: statuses, and paths that are none
--- check
wait_coherent();

is(main::count(sub { get('/api/nothing') },
   main::requests('GET', 'unknown', 404)), 1, 'no endpoint');
is(main::count(sub { request('PATCH', '/api/review/campaigns') },
   main::requests('other', 'unknown', 405)), 1, 'no such method');
is(main::count(sub { get('/api/sns/posts', token => undef) },
   main::requests('GET', 'sns_posts', 401)), 1, 'no token');
is(main::count(sub { get('/api/review/campaigns/77') },
   main::requests('GET', 'review_campaign', 404)), 1, 'no row');
is(main::count(sub { get('/api/review/listings/search') },
   main::requests('GET', 'review_listings_search', 400)), 1, 'bad parameter');
is(main::count(sub { request('OPTIONS', '/api/sns/posts') },
   main::requests('OPTIONS', 'unknown', 200)), 1, 'OPTIONS');

# a client that goes away

my $before = main::metrics();
my $lock = hold($::LOCK, dbname => $::DB);
my $client = start('/api/review/campaigns/5');

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") == 1 }
           'it waits';
$client->close;

wait_until {
    main::more($before, main::metrics(),
               main::requests('GET', 'review_campaign', 499)) == 1;
} 'it is counted as 499';
$lock->release;

# answered by a filter in our place

is(main::count(sub { get('/api/review/campaigns/1',
                         headers => ['If-Match: "another"']) },
   main::requests('GET', 'review_campaign', 412)), 1, 'If-Match');

# a body that nobody wants is no part of the time

is(main::count(sub {
    my $client = start('/api/review/campaigns/1',
                       headers => ['Content-Length: 2']);

    sleep 0.6;
    $client->send('{}')->finish;
}, 'softfactory_request_duration_seconds_bucket{endpoint="review_campaign",'
   . 'le="0.5"}'), 1, 'a slow body');

# one user, whoever asks: his row is a statement of its own

is(main::count(sub { get('/api/sns/accounts', token => jwt(user_id => 1)) },
   'softfactory_db_query_duration_seconds_count{endpoint="principal"}',
   'softfactory_flights_total{kind="principal"}',
   'softfactory_flights_total{kind="answer"}'), '1 1 1',
   'a user is looked up');



=== TEST 3: the text is what Prometheus reads, and OpenMetrics where asked for
--- check
get('/api/review/campaigns');

my $res = get('/metrics', token => undef);
my $head = request('HEAD', '/metrics');

is($res->{headers}{'content-type'},
   'text/plain; version=0.0.4; charset=utf-8', 'its type');
is($res->{headers}{'content-length'}, length $res->{body}, 'its length');
cmp_ok($head->{headers}{'content-length'}, '>', 10000, 'HEAD');
is($head->{body}, '', 'without a body');

my $open = get('/metrics', token => undef, headers =>
    ['Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5']);

is($open->{headers}{'content-type'},
   'application/openmetrics-text; version=1.0.0; charset=utf-8',
   'the type of OpenMetrics');
like($open->{body}, qr/\n# EOF\n\z/, 'its end');

# by the weights in Accept; without a name for it, it is text

my $om = 'application/openmetrics-text';

for (["$om;q=0.5,text/plain;q=0.5", 1], ["$om;version=1.0.0;q=0.4", 1],
     [uc $om, 1], ["text/plain;q=0.9, $om", 1],
     ["$om;version=1.0.0,$om;version=0.0.1;q=0.75,text/plain;version=0.0.4;"
      . 'q=0.5,*/*;q=0.1', 1],
     ["$om;q=0.2,text/plain;q=0,*/*", 1], ["$om;q=0.2,*/*;q=0.1", 1],
     ["text/plain;version=0.0.4,$om;q=0", 0], ["$om;q=0", 0],
     ["$om;q=0.0,*/*", 0],
     ["$om;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.5", 0],
     ["$om;q=0.5,text/*", 0], ["$om;q=0.5,*/*", 0], ["x$om", 0], ["${om}2", 0],
     ['application/*', 0], ['*/*', 0], ['', 0], ['text/html', 0])
{
    my ($accept, $is) = @$_;

    is(request('HEAD', '/metrics', headers => ["Accept: $accept"])
       ->{headers}{'content-type'} =~ /openmetrics/ ? 1 : 0, $is,
       "Accept: $accept");
}

unlike($res->{body}, qr/# EOF/, 'not in the other one');

# those that the module has, and those of the table in conf/prometheus

my @families = map { $_->{name} } described('families');
open my $readme, '<', 'conf/prometheus/README.md' or die $!;
my %row = map { /^\| `(softfactory_\w+)` \|/ ? ($1 => 1) : () } <$readme>;

cmp_ok(scalar @families, '>=', 40, 'there are families');
is(join(' ', sort keys %row), join(' ', sort @families), 'they are documented');

for my $text ($res->{body}, $open->{body}) {
    my $is_open = $text =~ /# EOF/;
    my $what = $is_open ? 'OpenMetrics' : 'text';
    my ($family, $type, @bad, %seen, %bucket);

    for (split /\n/, $text) {
        if (/^# HELP (\w+) .+\.$/) {
            $family = $1;
            push @bad, "twice $_" if $seen{$family}++;

        } elsif (/^# TYPE (\w+) (counter|gauge|histogram)$/) {
            $type = $2;
            push @bad, $_
                if $1 ne $family
                   || ($type eq 'counter'
                       && ($family =~ /_total$/ xor !$is_open));

        } elsif (/^(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)$/) {
            my ($name, $labels, $value) = ($1, $2 // '', $3);
            my $want = $type eq 'histogram' ? qr/^${family}_(bucket|sum|count)$/
                       : $type eq 'counter' && $is_open ? qr/^${family}_total$/
                       : qr/^$family$/;

            push @bad, $_ if $name !~ $want
                             || $value !~ /^-?\d+(?:\.\d+)?$/;

            if ($labels =~ s/,?le="([^"]+)"//) {
                push @bad, "not cumulative: $_"
                    if ($bucket{$name}{$labels} // 0) > $value;
                $bucket{$name}{$labels} = $value;
            }

        } elsif ($_ ne '# EOF') {
            push @bad, $_;
        }
    }

    is("@bad", '', "$what: every line");
    is(join(' ', sort keys %seen),
       join(' ', sort map { $is_open ? s/_total$//r : $_ } @families),
       "$what: all families");
}

is(request('POST', '/metrics')->{status}, 405, 'POST');
is(request('POST', '/metrics')->{headers}{allow}, 'GET, HEAD', 'Allow');



=== TEST 4: statements that bring no result, by reason
--- http_config eval: main::conf(dbname => $::DB, pool => $::POOL, zone => 'api 8m')
--- check
sub errors {
    return map { "softfactory_db_errors_total{reason=\"$_\"}" } @_;
}

my $before = main::metrics();
my $lock = hold($::LOCK, dbname => $::DB);

# two in flight, two wait, the fifth is refused; those in flight run into their
# timeout, those that wait get on then

my @clients = map { start("/api/review/campaigns/$_", headers =>
                          ['Connection: close']) } 1 .. 2;

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") >= 1 }
           'they are in flight';

push @clients, map { start("/api/review/campaigns/$_") } 3 .. 12;

wait_until {
    main::more($before, main::metrics(), errors('busy'));
} 'the queue is full';

# what the other worker tells is up to a second old

my $length = 'softfactory_db_queue_length{upstream="primary",lane="read"}';

wait_until { main::metrics()->{$length} > 0 } 'statements wait';

my %now = %{main::metrics()};

is($now{'softfactory_db_queue_max{upstream="primary",lane="read"}'}, 4,
   'as many as two workers may have');
my ($in_flight) = grep { /^softfactory_db_statements\{.*"read"/ } keys %now;
cmp_ok($now{$in_flight}, '>', 0, 'statements are in flight');
my ($active) = grep { /^softfactory_db_connections\{.*"read",state="active"/ }
               keys %now;
cmp_ok($now{$active}, '>', 0, 'their connections are active');
my ($most) = grep { /^softfactory_db_statements_max\{.*"read"/ } keys %now;
is($now{$most}, 4, 'connections, times depth, times workers');

my %status;
$status{$_->finish->{status}}++ for @clients;

ok($status{503} && $status{504}, 'refused and too late: '
   . join ' ', map { "$_:$status{$_}" } sort keys %status);
$lock->release;
sleep 0.1;

my $after = main::metrics();

is(main::more($before, $after, errors('busy')), $status{503},
   'each that was refused');
cmp_ok(main::more($before, $after, errors('timeout')), '>', 0, 'timeouts');
cmp_ok(main::more($before, $after,
       'softfactory_db_queue_duration_seconds_count{lane="read"}'), '>', 0,
       'waiting is measured');
--- no_error_log
[crit]
[alert]
[emerg]



=== TEST 5: no database
--- http_config eval
main::conf(server => "127.0.0.1:$::CLOSED", zone => 'api 8m')
--- config eval
main::api(main::operators('api'),
          'location = /metrics { softfactory_metrics; }',
          'location = /report { softfactory_report; }',
          'location = /live { softfactory_live; }')
--- check
wait_until { get('/api/review/campaigns')->{status} == 503 } 'it is away';
wait_until { get('/live', token => undef)->{body} =~ /database/ } 'it is told';

my $live = get('/live', token => undef);

is($live->{status}, 200, 'a probe finds it alive');
is($live->{body}, qq({"reasons":["database","listener"],"status":"degraded"}\n),
   'and why it is degraded');

my $report = JSON::PP::decode_json(get('/report', token => undef)->{body});
my $advice = join "\n", @{$report->{summary}{recommendations}};

like($advice, qr/^Notifications are not heard/m, 'the report names the cause');
unlike($advice, qr/triggers are missing/, 'and not what it cannot know');

my $now;

wait_until {
    $now = main::metrics();
    $now->{'softfactory_db_up{upstream="primary"}'} == 0;
} 'it is down for all workers';

is($now->{'softfactory_listener_up{zone="api",upstream="primary"}'} + 0, 0,
   'and the listener');
cmp_ok($now->{'softfactory_db_errors_total{reason="unavailable"}'}, '>', 0,
       'statements are refused');
cmp_ok($now->{'softfactory_db_disconnects_total{upstream="primary",'
              . 'reason="connect"}'}, '>', 0, 'connects fail');
is(request('POST', '/live')->{status}, 405, 'POST');
--- no_error_log
[crit]
[alert]
[emerg]



=== TEST 6: the zone, and its listener
--- check
wait_coherent();

my $now = main::metrics();
my $labels = '{zone="api",upstream="primary"}';

is($now->{"softfactory_listener_up$labels"} + 0, 1, 'it listens');
is($now->{"softfactory_listener_uncovered_tables$labels"} + 0, 0,
   'to all tables');
cmp_ok($now->{"softfactory_listener_confirmed_age_seconds$labels"}, '<', 2,
       'with a heartbeat');

is(main::count(sub {
    change("UPDATE campaigns SET title = 'new' WHERE id = 3",
           dbname => $::DB);
}, "softfactory_listener_notifications_total$labels"), 1, 'a notification');

is(main::count(sub {
    get('/api/review/campaigns/3');
    get('/api/review/campaigns/3');
}, 'softfactory_cache_fills_total{zone="api",result="stored"}'), 1, 'a fill');

$now = main::metrics();
cmp_ok($now->{'softfactory_cache_entries{zone="api"}'}, '>=', 1, 'entries');
cmp_ok($now->{'softfactory_cache_bytes{zone="api"}'}, '>', 100, 'bytes');
is($now->{'softfactory_cache_pinned_bytes{zone="api"}'}, 0, 'nothing pinned');
is($now->{softfactory_workers}, 2, 'workers');
cmp_ok($now->{softfactory_process_resident_memory_bytes}, '>', 1e6, 'memory');



=== TEST 7: what was counted outlives a reload
--- check
get('/api/review/campaigns/4') for 1 .. 10;

my $sample = main::requests('GET', 'review_campaign', 200);

wait_until { main::metrics()->{$sample} == 10 } 'they are counted';

my $before = main::metrics();
my @old = hup();

wait_until { !grep { running($_) } @old } 'the old ones are gone';

my $after = main::metrics();

is($after->{$sample}, $before->{$sample}, 'and still are');
is($after->{softfactory_start_time_seconds},
   $before->{softfactory_start_time_seconds}, 'since then');
is($after->{softfactory_workers}, 2, 'two workers');



=== TEST 8: what was counted stands by the name of its endpoint
--- http_config eval: $::HTTP . "# names\n"
--- config eval
main::api(main::operators('api'),
          'location = /metrics { softfactory_metrics; }',
          'location = /report { softfactory_report; }')
--- check
my @labels = ('review_campaign', 'review_campaigns');   # of the paths
my @paths = ('/api/review/campaigns/4', '/api/review/campaigns');

sub counted {
    my ($now) = @_;

    return join ' ', map { $now->{main::requests('GET', $_, 200)} } @labels;
}

sub minutes {
    my %of = map { $_->{name} => $_->{minute} } @{zone_status()->{endpoints}};

    return join ' ', map { $of{$_} // 0 } @labels;
}

sub is_counted {
    my ($wanted, $name) = @_;

    wait_until { counted(main::metrics()) eq $wanted } $name;
    pass($name);
    is(minutes(), $wanted, "$name, in the last minute");
}

sub renamed {
    my ($names) = @_;

    return reconfigure { s/^.*# names$/$names # names/m };
}

sub reported {
    my $body = get('/report', token => undef)->{body};

    return JSON::PP::decode_json($body)->{summary}{total_requests};
}

sub history {
    my $body = get('/status?history=1', token => undef)->{body};

    return JSON::PP::decode_json($body)->{history}{rows};
}

wait_coherent();
get($paths[0]) for 1 .. 10;
get($paths[1]) for 1 .. 3;
is_counted('10 3', 'two endpoints');

my $started = main::metrics()->{softfactory_start_time_seconds};
my $total = zone_status()->{requests}{total};

# one goes, one has moved to its place, one is new

@labels = ('was_another', 'review_campaign');
renamed('softfactory_test_name review_campaign was_another; '
        . 'softfactory_test_name review_campaigns review_campaign;');
is_counted('0 10', 'each by its name');
is(zone_status()->{requests}{total}, $total, 'all that there was');
is(reported(), $total, 'in the report, too');
get($paths[1]) for 1 .. 2;
get($paths[0]);
is_counted('1 12', 'on both goes on');

@labels = ('review_campaign', 'review_campaigns');
renamed('');
is_counted('12 3', 'one that returns finds what it has left');
is(zone_status()->{requests}{total}, $total + 3, 'nothing is lost');

# more workers than there are places for

my $rows = @{history()};
my @gone = reconfigure { s/^worker_processes\s+2;/worker_processes 5;/m };

wait_until { !grep { running($_) } @gone } 'the old ones are gone';
is_counted('12 3', 'also in new memory');
is(main::metrics()->{softfactory_start_time_seconds}, $started,
   'since then');
is(zone_status()->{requests}{total}, $total + 3, 'nothing is lost here');
is(main::metrics()->{softfactory_workers}, 5, 'five workers');
cmp_ok(scalar @{history()}, '>=', $rows,
       'with the history');

# nginx frees no memory that it goes on with

for my $n (1, 2) {
    @gone = hup();
    wait_until { !grep { running($_) } @gone } 'the old ones are gone';
    is_counted('12 3', "it is taken over, $n");
}



=== TEST 9: a worker that is killed is buried in all zones, and counted on
--- http_config eval: $::HTTP . "softfactory_zone other 8m;\n"
--- check
wait_coherent();

my ($dead) = worker_pids();
my $sample = main::requests('GET', 'review_campaign', 200);

get('/api/review/campaigns/4') for 1 .. 10;
wait_until { main::metrics()->{$sample} == 10 } 'they are counted';

kill 'KILL', $dead;

# the one that is made in its place buries it before it does anything else

wait_until { my @now = worker_pids(); @now == 2 && !grep { $_ == $dead } @now }
           'another worker';
wait_until { main::metrics()->{softfactory_workers} == 2 } 'it counts';
is(main::metrics()->{$sample}, 10, 'what the dead one has counted');

hup();
get('/api/review/campaigns/4');
wait_until { main::metrics()->{$sample} == 11 } 'one more after a reload';

for my $zone ('api', 'other') {
    is(log_count(qr/zone "$zone": process $dead is gone/), 1,
       "buried in $zone, once");
}
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]



=== TEST 10: it is told without a descriptor to spare
--- check
wait_coherent();

# on connections that are there, one for each worker

my @clients = map { start('/metrics', token => undef) } 1 .. 8;
is($_->finish->{status}, 200, 'a connection') for @clients;

# no new descriptor from here on; the pool's connections end

for my $pid (worker_pids()) {
    command('prlimit', "--pid=$pid", '--nofile=3:1024')->();
}

sleep 1.2;

for my $c (@clients) {
    $c->send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    my $res = $c->finish;

    is($res->{status}, 200, 'all is told');
    like($res->{body}, qr/^softfactory_workers 2$/m, 'of both workers');
}

# a sanitizer wants some at the end

for my $pid (worker_pids()) {
    command('prlimit', "--pid=$pid", '--nofile=1024:1024')->();
}



=== TEST 11: requests that are passed on
--- config eval
main::api('softfactory_fallback @app;',
          'location = /metrics { softfactory_metrics; }',
          'location @app { return 200 app; }')
--- check
is(get('/api/other')->{body}, 'app', 'the application answers');
is(main::count(sub { get('/api/other') }, main::passed('2xx')), 1, 'one more');
is(main::count(sub { get('/api/other') },
   main::requests('GET', 'unknown', 404)), 0, 'which is not ours');



=== TEST 12: the server's own statistics tell endpoints and lanes apart
--- http_config eval
$::S = main::pg_server('statistics');
$::S->psql("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements",
           dbname => 'postgres');
$::S->stop('fast')->start;
$::S->psql('CREATE EXTENSION pg_stat_statements', dbname => 'softfactory');
$::S->psql('', dbname => 'softfactory', user => 'app',
           file => "$ENV{SF_TEST_SQL}/schema.sql");
main::conf(server => "unix:$::S->{socket}", zone => 'api 8m')
--- check
my @rows = grep { $_->{sql} } endpoints();

get(main::path($_)) for @rows;

my $known = <<'SQL';
SELECT string_agg(DISTINCT substring(query FROM '^/\* (\w+)'), ' ')
  FROM pg_stat_statements WHERE query LIKE '/*%'
SQL

my %seen = map { $_ => 1 }
           split ' ', $::S->psql($known, dbname => 'softfactory');

is(join(' ', grep { !$seen{$_} } map { $_->{name} } @rows), '',
   'every endpoint by the comment of its statements');

is($::S->psql(q{SELECT string_agg(DISTINCT application_name, ' ')
                  FROM pg_stat_activity WHERE usename = 'app'},
              dbname => 'softfactory'),
   'softfactory/heavy softfactory/listen softfactory/read softfactory/totals',
   'lanes by the name of the application');



=== TEST 13: what was passed on, by class of status and time
--- http_config eval: main::conf(dbname => $::DB, zone => 'api 8m') . main::application($::APP)
--- config eval
main::api('softfactory_fallback @app;',
          'location = /metrics { softfactory_metrics; }',
          "location \@app { proxy_pass http://127.0.0.1:$::APP; }")
--- check
my @all = main::passed('1xx', '2xx', '3xx', '4xx', '5xx', '499', 'failed');
my @cases = ([200, '0 1 0 0 0 0 0'], [302, '0 0 1 0 0 0 0'],
             [404, '0 0 0 1 0 0 0'], [500, '0 0 0 0 1 0 0'],
             [502, '0 0 0 0 1 0 1'], [503, '0 0 0 0 1 0 1'],
             [504, '0 0 0 0 1 0 1']);

for (@cases) {
    my ($status, $more) = @$_;

    is(main::count(sub {
        is(get("/api/$status")->{status}, $status, "$status comes through");
    }, @all), $more, "$status is counted");
}

my $count = 'softfactory_fallback_duration_seconds_count{status="2xx"}';
my $sum = $count =~ s/_count/_sum/r;

is(main::count(sub { get('/api/200') }, $count), 1, 'with its time');
cmp_ok(main::metrics()->{$sum}, '>', 0, 'which takes some');
is(main::count(sub { get('/api/review/campaigns/1') }, @all),
   '0 0 0 0 0 0 0', 'what is answered here was not passed on');
--- no_error_log
[crit]
[alert]
[emerg]



=== TEST 14: the application is dead
--- http_config eval
main::conf(dbname => $::DB, zone => 'api 8m')
. "upstream app { server 127.0.0.1:$::CLOSED; }"
. main::application($::APP)
--- config eval
main::api('softfactory_fallback @app;', main::operators('api'),
          'location = /metrics { softfactory_metrics; }',
          'location = /report { softfactory_report; }',
          'location = /live { softfactory_live; }',
          'location @app { proxy_pass http://app; }',
          'location /masked/ { rewrite ^/masked(/.*)$ $1 break; '
          . 'softfactory_pass primary; softfactory_fallback @masked; }',
          'location @masked { error_page 502 =200 /sorry; '
          . 'proxy_pass http://app; }',
          'location = /sorry { return 200 sorry; }',
          'location /up/ { rewrite ^/up(/.*)$ $1 break; '
          . 'softfactory_pass primary; softfactory_fallback @up; }',
          "location \@up { proxy_pass http://127.0.0.1:$::APP; }")
--- check
wait_coherent();

sub live { get('/live', token => undef)->{body} }

sub minute { zone_status()->{application} }

my $well = qq({"reasons":[],"status":"ok"}\n);
my $away = qq({"reasons":["application"],"status":"degraded"}\n);

is(main::count(sub {
    is(get('/api/other')->{status}, 502, 'nobody is there');
}, main::passed('5xx', 'failed')), '1 1', 'which is counted');
is(live(), $well, 'one failure is an accident');

# error_page has made 200 of it

is(main::count(sub {
    is(get('/masked/api/other')->{body}, 'sorry', 'nor here');
}, main::passed('2xx', '5xx', 'failed')), '1 0 1', 'a page hides nothing');
is(live(), $well, 'two are');
get('/api/other');
wait_until { live() eq $away } 'three are none';
is(get('/live', token => undef)->{status}, 200, 'a probe finds it alive');
ok(minute()->{away}, 'the status says so');
is_deeply(minute()->{minute}, { requests => 3, errors => 2, failed => 3 },
          'with the last minute');

my $report = JSON::PP::decode_json(get('/report', token => undef)->{body});

is($report->{application}{requests}, 3, 'the report: requests');
is($report->{application}{failed}, 3, 'the report: failures');
is($report->{application}{status}{'5xx'}, 2, 'the report: by status');
cmp_ok($report->{application}{avg_ms}, '>', 0, 'the report: time');
ok((grep { /^The application behind did not answer 3 of 3 requests/ }
    @{$report->{summary}{recommendations}}), 'the report: what to do');

# most are answered again

get('/up/api/200') for 1 .. 4;
wait_until { live() eq $well } 'it answers again';
is_deeply(minute()->{minute}, { requests => 7, errors => 2, failed => 3 },
          'the status, too');
ok(!minute()->{away}, 'and that this is enough');
is(main::count(sub { get('/api/review/campaigns/1') },
   main::passed('2xx', '5xx', 'failed')), '0 0 0', 'what is ours goes on');
--- no_error_log
[crit]
[alert]
[emerg]



=== TEST 15: the application hangs
--- http_config eval
$::HUNG = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8)
    or die $!;
main::conf(dbname => $::DB, zone => 'api 8m')
--- config eval
main::api('softfactory_fallback @app;',
          'location = /metrics { softfactory_metrics; }',
          'location @app { proxy_pass http://127.0.0.1:'
          . $::HUNG->sockport . '; }')
--- check
my @all = main::passed('4xx', '5xx', '499', 'failed');
my $impatient = main::count(sub {
    my $client = start('/api/other');

    sleep 0.3;
    $client->close;
    sleep 0.3;
}, @all);

is($impatient, '0 0 1 0', 'who leaves at once proves nothing');

my $patient = main::count(sub {
    my $client = start('/api/other');

    sleep 5.2;
    $client->close;
    sleep 0.3;
}, @all);

is($patient, '0 0 1 1', 'who has waited for long was not answered');



=== TEST 16: what limits refuse
--- http_config eval
main::conf(dbname => $::DB, zone => 'api 8m')
. 'limit_req_zone $server_name zone=few:1m rate=1r/m; limit_req_status 429;'
. 'limit_conn_zone $server_name zone=none:1m; limit_conn_status 429;'
--- config eval
main::api(main::operators('api'),
          'location = /metrics { softfactory_metrics; }',
          'error_page 429 /many;', 'location = /many { return 200 many; }',
          'location /api/sns/ { limit_req zone=few; '
          . 'softfactory_pass primary; }',
          'location /api/review/ { limit_conn none 1; '
          . 'softfactory_pass primary; }')
--- check
my $limited = 'softfactory_limited_requests_total';
my $sns = main::requests('GET', 'sns_accounts', 200);

wait_coherent();

is(main::count(sub {
    is(get('/api/sns/accounts')->{status}, 200, 'one may');
}, $limited, $sns), '0 1', 'and is counted as ever');

is(main::count(sub {
    is(get('/api/sns/accounts')->{status}, 429, 'the next may not');
}, $limited, $sns), '1 0', 'which is counted by itself');

my $lock = hold($::LOCK, dbname => $::DB);
my $client = start('/api/review/campaigns/9');

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") == 1 }
           'it waits';
is(main::count(sub {
    is(get('/api/review/campaigns/9')->{status}, 429, 'a second connection');
}, $limited), 1, 'that of limit_conn too');
$lock->release;
is($client->finish->{status}, 200, 'the first one goes on');
--- no_error_log
[crit]
[alert]
[emerg]



=== TEST 17: the probes of the application stay its own
--- http_config eval: main::conf(dbname => $::DB) . main::application($::APP)
--- config eval
main::api('softfactory_fallback @app;',
          'softfactory_endpoints -health -ready -api_health;',
          "location \@app { proxy_pass http://127.0.0.1:$::APP; }")
--- check
is(get('/health', token => undef)->{body}, 'own', 'it is asked');
is(get('/api/health', token => undef)->{status}, 404, 'for all of them');
is(get('/ready', token => undef)->{status}, 404, 'and says what it has');
is(get('/api/review/campaigns/1')->{status}, 200, 'the rest is answered here');
--- no_error_log
[crit]
[alert]
[emerg]

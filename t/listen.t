# The listener: who listens, who takes over from whom, and that no change goes
# unheard meanwhile, or is believed to be heard.
#
# "flushes" of /status counts how often everything was dropped: a hand-over
# without a gap leaves it as it is, anything else adds one.  Through a gate the
# connection of the listener is held up at a word, or altogether.
#
# Campaign n has the title "of n".  Where nobody can be trusted to hear of
# changes, an answer is kept for 300 ms.
#
# expect-alert: exited on signal 9
#
# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use JSON::PP ();
use List::Util qw(max);
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
master_on();
workers(2);
worker_connections(512);
log_level('info');
plan('no_plan');

our ($DB, $OTHER) = (scratch('sf_listen'), scratch('sf_listen_other'));
our ($PORT, $SOCKET) = (free_port(), $ENV{SF_TEST_PG_SOCKET});
our $GATE = SoftFactory::Gate->new($SOCKET);
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';

our $DATA = <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
VALUES (1, 'x@x.test', '!', 'Name', 'user', true);
INSERT INTO campaigns (id, creator_id, title, product_name, deadline, status,
                       created_at)
SELECT n, 1, 'of ' || n, 'p', 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 9) n;
INSERT INTO sns_accounts (id, user_id, platform, account_name, created_at)
VALUES (1, 1, 'p', 'account', 'yesterday')
SQL

for my $db ($DB, $OTHER) {
    psql($_, dbname => $db) for split /;\n/, $DATA;
    install_notify($db);
}

our $CONFIG = "add_header X-Worker \$pid always;\n"
              . "softfactory_cache_incoherent_ttl 300ms;\n"
              . "location = /pid { return 200 pid; }\n"
              . api(operators('api'));


# http(%options): http_config with the upstream "primary", whose listener goes
# by listen ("gated": through the gate); lines are added

sub http {
    my %o = @_;

    return conf(dbname => $DB, zone => 'api 8m', listen => $o{listen},
                pool => 'connections=2 timeout=20s wait=20s')
           . conf(name => 'gated', dbname => $DB,
                  server => '127.0.0.1:' . $GATE->port)
           . ($o{lines} // '') . spread();
}


# spread(@lines): a server, lines are added, whose connections are spread over
# the workers

sub spread {
    return "server {\n    listen 127.0.0.1:$PORT reuseport;\n$CONFIG@_}\n";
}


# under($prefix, $upstream, $line): the API once more, by another upstream

sub under {
    my ($prefix, $upstream, $line) = @_;

    $line //= '';

    return <<"CONF";
location $prefix/ {
    rewrite ^$prefix(/.*) \$1 break;
    softfactory_pass $upstream;
    $line
}
CONF
}


defaults(http_config => http(), config => $CONFIG);


# at($pid, $path, %options of start): the answer of that worker, over one
# connection that is kept

our %CLIENT;

sub at {
    my ($pid, $path, @o) = @_;

    my $c = $CLIENT{$pid} //= wait_until {
        my $c = start('/pid', port => $PORT);
        $c->finish->{headers}{'x-worker'} == $pid && $c;
    } "a connection to the worker $pid";

    $c->send(SoftFactory::Live::request_text($path, token => 'demo_token',
                                             @o));
    return $c->finish;
}


# source_at($pid, $upstream): what that worker says of a database

sub source_at {
    my ($pid, $name) = @_;

    my $doc = JSON::PP::decode_json(at($pid, '/status')->{body});
    my ($source) = grep { $_->{upstream} eq ($name // 'primary') }
                   @{$doc->{sources}};

    return $source;
}


sub x {
    my ($res) = @_;

    return $res->{headers}{'x-cache'} // "$res->{status} none";
}


# told($response): where it is from, and the title of a campaign

sub told {
    my ($res) = @_;

    return x($res) . ' '
           . ($res->{body} =~ /"title":"([^"]*)"\}\n\z/ ? $1 : 'none');
}


# kept($path): where it is from when it has been there for a while

sub kept {
    my ($path) = @_;

    my $pid = worker_pids();

    at($pid, $path);
    sleep 0.35;

    return x(at($pid, $path));
}


# title($text, %options): campaign 1 (or id) gets that title.  Options of psql

sub title {
    my ($text, %o) = @_;

    my $id = delete $o{id} // 1;

    psql("UPDATE campaigns SET title = '$text' WHERE id = $id",
         dbname => $DB, %o);
}


# heard($text, $what, %options): one test.  The title is changed, and all
# workers show it at once.  Options as title()

sub heard {
    my ($text, $what, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $path = "$CAMPAIGN/" . ($o{id} // 1);
    my @pids = worker_pids();

    at($_, $path) for @pids;
    title($text, %o);

    my $time = time;

    wait_until { !grep { at($_, $path)->{body} !~ /"\Q$text\E"/ } @pids }
               "$text is heard";

    # without it: the lease and the ttl after that

    cmp_ok(time - $time, '<', 1, $what);
}


# sessions($more): those that listen

sub sessions {
    my ($more) = @_;

    return backends("datname = '$DB' AND application_name = "
                    . "'softfactory/listen' AND " . ($more // 'true'));
}


# listener($old): until all workers are there, and one of them listens, nobody
# else, and not $old; its pid

sub listener {
    my ($old) = @_;

    return wait_until {
        my $source = source();
        my @pids = worker_pids();
        my ($pid) = grep { $_ == $source->{listener_pid} } @pids;

        @pids > 1 && $source->{coherent} && !@{$source->{uncovered}} && $pid
        && $pid != ($old // 0) && sessions() == 1 && $pid;
    } 'one worker listens';
}


sub other {
    my ($pid) = @_;

    return (grep { $_ != $pid } worker_pids())[0];
}


sub flushes {
    return source(@_)->{flushes};
}


sub disconnect {
    psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = '$DB' AND application_name LIKE '%/listen'",
         user => 'postgres');
}


# how many lines of the log speak of it

sub lines {
    my ($what) = @_;

    return log_count(qr/softfactory upstream "(?:primary|gated)": \Q$what\E/);
}


# gone(@pids): until these processes have ended

sub gone {
    my @pids = @_;

    return wait_until { !grep { running($_) } @pids } 'they are gone';
}


add_block_preprocessor(sub {
    my ($block) = @_;

    # PostgreSQL or a worker is killed here: that is an error in the log

    if (defined $block->killing) {
        my $worse = "[crit]\n[emerg]\n"
                    . ($block->killing =~ /worker/ ? '' : "[alert]\n");

        $block->set_value(no_error_log => $worse);
        $block->set_value(no_shutdown_error_log => $worse);
    }
});

run_tests();

__DATA__

=== TEST 1: one session listens for all workers
--- check
my $pid = listener();
my ($a, $b) = worker_pids();

is(sessions("state = 'idle'"), 1, 'one session, in no transaction');
is(flushes(), 1, 'everything was dropped when it began');
is(lines('listening on'), 1, 'the log says so');
at($_, "$::CAMPAIGN/1") for $a, $b;
is(told(at($_, "$::CAMPAIGN/1")), 'HIT of 1', 'there is an answer') for $a, $b;
heard('new', 'one hears for both');
is(kept("$::CAMPAIGN/1"), 'HIT', 'it is kept');
is(source()->{notifications}, 1, 'one notification');

# more of them

reconfigure { s/worker_processes\s+2/worker_processes 6/ };
isnt(listener($pid), $pid, 'another one listens');
wait_until { (my @pids = worker_pids()) == 6 } 'there are six workers';
heard('of 1', 'one hears for six');
sleep 0.6;
is(sessions(), 1, 'still one session');
is(flushes(), 1, 'nothing was dropped');


=== TEST 2: LISTEN is in force before everything is dropped
--- http_config eval: main::http(listen => 'gated', lines => "softfactory_listen_lease 60s;\n")
--- check
listener();

my $flushes = flushes();
my ($a, $b) = worker_pids();

$::GATE->hold('LISTEN');
disconnect();
wait_until { $::GATE->held } 'LISTEN is on its way';

is(told(at($a, "$::CAMPAIGN/2")), 'MISS of 2', 'something is read meanwhile');
title('unheard', id => 2);
is(told(at($b, "$::CAMPAIGN/2")), 'HIT of 2', 'and changed, nobody hears it');
sleep 0.3;
is(flushes(), $flushes, 'nothing has been dropped before LISTEN');
$::GATE->open;
wait_until { flushes() != $flushes } 'everything is dropped';
is(told(at($b, "$::CAMPAIGN/2")), 'MISS unheard', 'it is read again');
listener();
is(flushes(), $flushes + 1, 'dropped once');
heard('of 2', 'then it is heard', id => 2);


=== TEST 3: a reload hands over without a gap
--- http_config eval: main::http(listen => 'gated')
--- check
my $old = listener();
my $flushes = flushes();

# the new one takes its time, the old one hears

$::GATE->hold('LISTEN');

my @old = hup();

wait_until { $::GATE->held } 'the new LISTEN is on its way';
heard('between', 'what is changed between is heard');
is(source()->{listener_pid}, $old, 'by the old one');
$::GATE->open;
isnt(listener($old), $old, 'the new one takes over');
gone(@old);
is(kept("$::CAMPAIGN/1"), 'HIT', 'answers are kept');
heard('after', 'what is changed then is heard');
is(flushes(), $flushes, 'nothing was dropped');
is(lines('listening on'), 2, 'the log has both');
is(log_count(qr/listening on .*, taken over/), 1, 'and that it was taken over');

# one after the other

at((worker_pids())[0], "$::CAMPAIGN/$_") for 3 .. 9;

for my $n (1 .. 3) {
    my $pid = listener();
    my @old = hup();

    heard("at $n", 'a change at once');
    listener($pid);
    heard("of $n", 'and after');
    gone(@old);
}

is(join(' ', map { x(at((worker_pids())[0], "$::CAMPAIGN/$_")) } 3 .. 9),
   join(' ', ('HIT') x 7), 'what has not changed was kept all the time');
is(flushes(), $flushes, 'nothing was dropped by any of them');
is(lines('not listening'), 0, 'nobody has lost anything');

# faster than anybody can take over

my %gone = map { $_ => 1 } worker_pids();

for my $n (1 .. 6) {
    kill 'HUP', master();
    sleep 0.04 * $n;
    title("fast $n");
    $gone{$_} = 1 for worker_pids();
}

# the last of these reloads may still be on its way

wait_until {
    my @now = worker_pids();
    sleep 1.5;
    "@now" eq join ' ', worker_pids();
} 'the workers are the same for a while';

heard('settled', 'a change is heard');
delete @gone{worker_pids()};
gone(keys %gone);
listener();
heard('of 1', 'and later');


=== TEST 4: a worker that takes over waits until the other one has heard all before
--- http_config eval
$::SECOND = SoftFactory::Gate->new($::SOCKET);
main::http(listen => 'gated', lines => "softfactory_listen_lease 60s;\n")
--- check
my $old = listener();
my $flushes = flushes();

at($_, "$::CAMPAIGN/1") for worker_pids();
$::GATE->shut;
title('late');
reconfigure { s/127.0.0.1:${\$::GATE->port};/127.0.0.1:${\$::SECOND->port};/ };
wait_until { sessions("query LIKE '/* channel */%'") } 'the new one listens';
sleep 0.1;
is(told(at((worker_pids())[0], "$::CAMPAIGN/1")), 'HIT of 1',
   'a change is on its way to the old one');
is(source()->{listener_pid}, $old, 'who is not relieved yet');
$::GATE->open;
listener($old);
is(told(at((worker_pids())[0], "$::CAMPAIGN/1")) =~ /late/, 1,
   'when he is, the change is known');
is(flushes(), $flushes + 1, 'all is dropped, since it may be another server');
heard('of 1', 'changes are heard');


=== TEST 5: a new worker that does not come in time, or goes elsewhere
--- http_config eval: main::http(listen => 'gated')
--- check
listener();

my $flushes = flushes();

$::GATE->hold('LISTEN');

my $time = time;
my @old = hup();

gone(@old);
cmp_ok(time - $time, '<', 2 + sanitized(), 'the old one waits for a moment');
title('unheard');
$::GATE->open;
listener();
is(flushes(), $flushes + 1, 'then there was a gap');
is(at((worker_pids())[0], "$::CAMPAIGN/1")->{body} =~ /"unheard"/, 1,
   'and nothing is from before');

# the one that was to take over is killed

my $pid = listener();

$::GATE->hold('LISTEN');
hup();
wait_until { $::GATE->held } 'the new LISTEN is on its way';
kill 'KILL', worker_pids();
$::GATE->open;
listener($pid);
heard('of 1', 'others do');

# a session that the old one does not know of

my $next = listener();

$flushes = flushes();
reconfigure { s/softfactory_listen gated;// };
listener($next);
is(flushes(), $flushes + 1, 'what may be another server begins anew');
heard('of 1', 'changes are heard there');
--- killing: worker


=== TEST 6: a worker that is killed
--- check
my $pid = listener();
my $flushes = flushes();
my ($b) = other($pid);

at($_, "$::CAMPAIGN/1") for $pid, $b;
is(told(at($b, "$::CAMPAIGN/1")), 'HIT of 1', 'there is an answer');

my $time = time;

kill 'KILL', $pid;
title('unheard');
is(listener($pid) != $pid, 1, 'another one listens');
cmp_ok(time - $time, '<', 2 + 2 * sanitized(), 'soon');
is(told(at($b, "$::CAMPAIGN/1")) =~ /unheard/, 1, 'nothing is from before');
is(flushes(), $flushes + 1, 'everything was dropped once');
heard('heard', 'then it is heard');

# all of them

kill 'KILL', worker_pids();
listener();
is(told(at((worker_pids())[0], "$::CAMPAIGN/1")), 'MISS heard',
   'the zone outlives its workers');
is(flushes(), $flushes + 2, 'everything was dropped once more');
heard('of 1', 'and it is heard');
--- killing: worker


=== TEST 7: a worker that does not run
--- check
my $a = listener();
my $b = other($a);
my $flushes = flushes();

# for a moment

kill 'STOP', $a;
sleep 0.7;
kill 'CONT', $a;
heard('soon', 'a moment is no matter');
is(join(' ', @{source()}{qw(listener_pid flushes)}), "$a $flushes",
   'nobody takes over');

# for long: the lease ends, then answers are kept for 300 ms

at($_, "$::CAMPAIGN/1") for $a, $b;
kill 'STOP', $a;

my $time = time;

title('unheard');
is(told(at($b, "$::CAMPAIGN/1")), 'HIT soon', 'until the lease is over');
wait_until { told(at($b, "$::CAMPAIGN/1")) =~ /unheard/ } 'it is read';
cmp_ok(time - $time, '<', 2.6, 'no longer than that');
is(source_at($b)->{coherent}, JSON::PP::false, 'it is known');
is(source_at($b)->{listener_pid}, $a, 'whoever listens');
title('unheard too');
sleep 0.35;
is(told(at($b, "$::CAMPAIGN/1")), 'EXPIRED unheard too', 'every change is seen');

# somebody else has to

wait_until { my $s = source_at($b); $s->{listener_pid} == $b && $s->{coherent} }
           'another one listens';
cmp_ok(time - $time, '>', 5, 'not too early');
cmp_ok(time - $time, '<', 8 + 2 * sanitized(), 'nor too late');
is(source_at($b)->{flushes}, $flushes + 1, 'everything was dropped once');
wait_until { !@{source_at($b)->{uncovered}} } 'all is covered';

for my $text ('again', 'heard') {
    at($b, "$::CAMPAIGN/1");
    sleep 0.35;
    is(x(at($b, "$::CAMPAIGN/1")), 'HIT', 'answers are kept again');
    title($text);
    wait_until { told(at($b, "$::CAMPAIGN/1")) =~ / $text$/ } 'it is heard';
}

# it wakes up

kill 'CONT', $a;
wait_until { sessions() == 1 } 'it gives way';
is(listener(), $b, 'the other one stays');
is(told(at($a, "$::CAMPAIGN/1")), 'HIT heard', 'it knows of all');
heard('of 1', 'both hear of what is next');
is(flushes(), $flushes + 1, 'nothing else was dropped');


=== TEST 8: a reload while the listener does not run
--- check
my $a = listener();
my $b = other($a);
my $flushes = flushes();

kill 'STOP', $a;

my $time = time;

kill 'HUP', master();
wait_until { my $n = grep { $_ != $a } worker_pids(); $n == 2 && !running($b) }
           'there are new workers';

my ($c) = grep { $_ != $a } worker_pids();

title('unheard');
wait_until { my $s = source_at($c);
             $s->{listener_pid} != $a && $s->{coherent} } 'a new one listens';
cmp_ok(time - $time, '<', 4.5 + 2 * sanitized(), 'it has not waited for long');
is(source_at($c)->{flushes}, $flushes + 1, 'everything was dropped');
is(told(at($c, "$::CAMPAIGN/1")) =~ /unheard/, 1, 'nothing is from before');
kill 'CONT', $a;
gone($a);
listener();
is(flushes(), $flushes + 1, 'the old one changes nothing');
heard('of 1', 'changes are heard');


=== TEST 9: a connection that is cut off bounds the age of every response
--- http_config eval: main::http(listen => 'gated', lines => "softfactory_listen_lease 1s;\n")
--- check
my $a = listener();
my $b = other($a);
my $flushes = flushes();

# for less than it takes to give it up

at($_, "$::CAMPAIGN/1") for $a, $b;
$::GATE->shut;

my $time = time;

title('silence');

for my $pid ($b, $a) {
    wait_until { told(at($pid, "$::CAMPAIGN/1")) =~ /silence/ } 'it is read';
    cmp_ok(time - $time, '<', 1.5, 'the lease, and no longer');
}

is(source()->{coherent}, JSON::PP::false, 'it is known');
$::GATE->open;
wait_until { source()->{coherent} } 'it is heard again';
heard('heard', 'changes are heard');
is(flushes(), $flushes, 'nothing was lost, nothing is dropped');

# for longer

at($_, "$::CAMPAIGN/1") for $a, $b;
$::GATE->shut;
$time = time;

my ($old, $new) = ('heard', 'change 1');
my (@ages, $n);

# the time from a change until no worker shows anything older

while (time - $time < 4) {
    title($new = 'change ' . ++$n);
    my $began = time;

    wait_until { !grep { told(at($_, "$::CAMPAIGN/1")) !~ /$new$/ } $a, $b }
               'it is read';
    push @ages, time - $began;
}

cmp_ok(shift @ages, '<', 1.5, 'the lease at first');
cmp_ok(max(@ages), '<', 0.6, 'then the time without it');
is(lines('not listening on'), 1, 'it is given up');
$::GATE->open;
listener();
is(flushes(), $flushes + 1, 'everything was dropped once');
heard('of 1', 'changes are heard');
--- killing: connection


=== TEST 10: a session that is ended begins anew
--- check
my $pid = listener();
my $flushes = flushes();

for my $n (1, 2) {
    at($_, "$::CAMPAIGN/1") for worker_pids();
    disconnect();
    title("unheard $n");
    wait_until { flushes() == $flushes + $n } 'everything is dropped';
    is(told(at((worker_pids())[0], "$::CAMPAIGN/1")), "MISS unheard $n",
       'nothing is from before');
    is(listener(), $pid, 'the same one listens');
}

is(lines('not listening on'), 2, 'the log says so');
heard('of 1', 'changes are heard');
is(flushes(), $flushes + 2, 'nothing else was dropped');
--- killing: session


=== TEST 11: a standby is not listened to until it is promoted
--- http_config eval
$::P = main::pg_server('one');
$::P->psql('', user => 'app', file => "$ENV{SF_TEST_SQL}/$_.sql")
    for qw(schema softfactory-tables);
$::P->psql($_, user => 'app') for split /;\n/, $::DATA;
$::S = main::pg_standby('two', $::P);

my ($p, $s) = map { "unix:$_->{socket}" } $::P, $::S;

"softfactory_zone api 8m;\n"
. main::conf(server => "$s fail_timeout=1s;\n    server $p fail_timeout=1s")
. main::conf(name => 'other', server => $p, listen => 'standby')
. main::conf(name => 'standby', server => "$s fail_timeout=1s")
. main::spread(main::under('/other', 'other'))
--- check
my $on = sub {
    $_[0]->psql("SELECT count(*) FROM pg_stat_activity WHERE
                 application_name = 'softfactory/listen'");
};

wait_coherent();

my $pid = worker_pids();

# the standby is tried now and then, and left at once

wait_until { $on->($::P) . $on->($::S) eq '10' } 'the primary is listened to';
is(kept("$::CAMPAIGN/1"), 'HIT', 'answers are kept');
is(kept("/other$::CAMPAIGN/1"), 'EXPIRED', 'not where only a standby could be');
is(source('other')->{coherent}, JSON::PP::false, 'nobody listens there');
cmp_ok(log_count(qr/"standby".*server is in recovery/), '>', 0,
       'the log says why');

# the first one dies

at($_, "$::CAMPAIGN/1") for worker_pids();
$::P->psql("UPDATE campaigns SET title = 'last' WHERE id = 1");
wait_until { $::S->psql('SELECT title FROM campaigns WHERE id = 1') eq 'last' }
           'the standby has it';
$::P->stop;

my $flushes = flushes();

$::S->promote;
$::S->psql("UPDATE campaigns SET title = 'unheard' WHERE id = 1");
wait_coherent();
wait_coherent(upstream => 'other');
wait_until { flushes() > $flushes } 'everything is dropped';
is($on->($::S) > 0, 1, 'then the new primary is listened to');
is(told(at($pid, "$::CAMPAIGN/1")), 'MISS unheard', 'it is asked');
is(kept("$::CAMPAIGN/1"), 'HIT', 'answers are kept');
$::S->psql("UPDATE campaigns SET title = 'new' WHERE id = 1");
wait_until { told(at($pid, "$::CAMPAIGN/1")) =~ /new/ } 'it is heard';
is(kept("$::CAMPAIGN/1"), 'HIT', 'and kept again');
--- killing: server


=== TEST 12: a listener may go by another way than the pool, or there is none
--- http_config eval
$::POOLER = SoftFactory::Gate->new($::SOCKET);
"softfactory_zone api 8m;\nsoftfactory_listen_lease 1s;\n"
. main::conf(dbname => $::DB, server => '127.0.0.1:' . $::POOLER->port,
             listen => 'direct')
. main::conf(name => 'direct',
             conninfo => "dbname=$::DB user=app application_name=direct")
. main::conf(name => 'deaf', dbname => $::OTHER, listen => 'off')
. main::spread(main::under('/deaf', 'deaf'))
--- check
my $sessions = sub {
    psql("SELECT string_agg(DISTINCT application_name, ' ' ORDER BY
                            application_name)
            FROM pg_stat_activity WHERE datname = '$_[0]' AND
                 usename = 'app' AND application_name LIKE '%/%'",
         user => 'postgres');
};

wait_coherent();

my $flushes = flushes();

is(kept($_), 'HIT', 'answers are kept') for "$::CAMPAIGN/1", $::CAMPAIGN;
is($sessions->($::DB), 'direct/listen softfactory/read softfactory/totals',
   'by another way');
heard('heard', 'changes are heard');
hup();
wait_until { grep { $_ == source()->{listener_pid} } worker_pids() }
           'a new one listens';
heard('heard too', 'also after a reload');
is(flushes(), $flushes, 'which drops nothing');

# what the pool cannot reach does not matter to the listener

$::POOLER->shut;
is(x(at((worker_pids())[0], "$::CAMPAIGN/1")), 'HIT', 'an answer is there');
sleep 1.2;
is(x(at((worker_pids())[0], "$::CAMPAIGN/1")), 'HIT', 'and stays');
$::POOLER->open;
heard('of 1', 'changes are heard');

# nobody

is(kept("/deaf$::CAMPAIGN/1"), 'EXPIRED', 'elsewhere nothing is kept for long');

my $deaf = source('deaf');

is(join(' ', map { $_ ? 1 : 0 } @$deaf{qw(coherent listener_pid flushes)}),
   '0 0 0', 'nobody listens there');
is(defined $deaf->{confirmed_ms_ago}, '', 'nor ever has');
is($sessions->($::OTHER), 'softfactory/read', 'no session');

# switched off and on again

reconfigure { s/softfactory_listen direct/softfactory_listen off/ };
wait_until { !source()->{coherent} } 'the lease is over';
is(kept("$::CAMPAIGN/1"), 'EXPIRED', 'nobody listens any more');
wait_until { !backends("application_name = 'direct/listen'") } 'no session';
title('unheard');
reconfigure { s/softfactory_listen off/softfactory_listen direct/ };
wait_coherent();
is(told(at((worker_pids())[0], "$::CAMPAIGN/1")) =~ /unheard/, 1,
   'nothing is from before');
heard('of 1', 'changes are heard again');
--- killing: connection


=== TEST 13: triggers that are missing, changed, and back
--- check
wait_coherent();

my $flushes = flushes();
my $sql = sub { psql($_[0], dbname => $::DB) };
my $uncovered = sub {
    my ($names) = @_;

    $sql->(SoftFactory::Live::tell_words('triggers'));
    wait_coherent(uncovered => $names);
    is(join(' ', @{source()->{uncovered}}), $names, 'it is noticed');
};

is(kept($_), 'HIT', 'all is kept') for $::CAMPAIGN, '/api/sns/accounts';
psql('', dbname => $::DB, set => 'tables=campaigns',
     file => "$ENV{SF_TEST_SQL}/softfactory-remove.sql");
wait_coherent(uncovered => 'campaigns');
cmp_ok(lines('tables without current triggers: campaigns; responses from '
             . 'them are cached for at most softfactory_cache_incoherent_ttl; '
             . 'see conf/postgresql/softfactory-tables.sql'), '==', 1,
       'it is said');
is(kept($_), 'EXPIRED', 'not what is read there')
    for $::CAMPAIGN, "$::CAMPAIGN/1";
is(kept('/api/sns/accounts'), 'HIT', 'all else is');
title('unheard');
sleep 0.35;
is(told(at((worker_pids())[0], "$::CAMPAIGN/1")), 'EXPIRED unheard',
   'a change is seen in time');

# whatever may be wrong with one

$sql->('ALTER TABLE users DISABLE TRIGGER softfactory_notify_update');
$uncovered->('campaigns users');
$sql->('ALTER TABLE users ENABLE TRIGGER softfactory_notify_update');
$sql->('ALTER TABLE payments ENABLE REPLICA TRIGGER '
       . 'softfactory_notify_truncate');
$uncovered->('campaigns payments users');

my $definition = $sql->("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE
    tgrelid = 'sns_posts'::regclass AND tgname = 'softfactory_notify_insert'");
$definition =~ s/\('[^()]+'\)$/('00000000')/ or die $definition;
$sql->('DROP TRIGGER softfactory_notify_insert ON sns_posts');
$sql->($definition);
$sql->('ALTER TABLE sns_posts ENABLE ALWAYS TRIGGER '
       . 'softfactory_notify_insert');
$sql->('CREATE TABLE part () INHERITS (sns_analytics)');
$sql->('ALTER TABLE review_bookmarks RENAME TO gone');
$uncovered->('campaigns payments review_bookmarks sns_analytics sns_posts '
             . 'users');
is(kept('/api/sns/posts'), 'EXPIRED', 'nothing is kept of these');
is(lines('tables without current triggers: campaigns, payments, '
         . 'review_bookmarks, sns_analytics, sns_posts, users;'), 1,
   'they are named');
$sql->('ALTER TABLE gone RENAME TO review_bookmarks');

# back again: what was read before does not count

my $before = flushes();

at((worker_pids())[0], "$::CAMPAIGN/1");
title('unheard too');

my $back = time;

install_notify($::DB);
wait_coherent();
cmp_ok(time - $back, '<', 1.5 + sanitized(), 'all is well at once');
cmp_ok(flushes(), '>', $before, 'everything was dropped');
is(told(at((worker_pids())[0], "$::CAMPAIGN/1")) =~ /unheard too/, 1,
   'nothing is from before');
is(kept($_), 'HIT', 'all is kept again')
    for "$::CAMPAIGN/1", '/api/sns/posts', '/api/sns/accounts';
heard('of 1', 'changes are heard');
cmp_ok(lines('all tables have current triggers'), '>=', 1, 'it is said');
$sql->('DROP TABLE part');

# what triggers tell decides, and not who has asked for it: more keys will do,
# less will not; which columns make them tell is up to who has asked

for my $case (["'{}', NULL, true", 'users.id='], ["'{id}', '{name}', true", ''],
              ["'{role}', '{role}', true", 'users.id='],
              ["'{id}', '{role}'", ''], ["'{}', '{role}', true", 'users.id='],
              ["'{id}', NULL, true", ''])
{
    my ($arguments, $lack) = @$case;

    $sql->("SELECT softfactory.watch('users', $arguments)");
    wait_coherent(uncovered => $lack);
    is(join(' ', @{source()->{uncovered}}), $lack,
       "watch($arguments): " . ($lack ? 'too little' : 'enough'));
}

# those of before, which say it by a number

psql('', dbname => $::DB, set => 'tables=campaigns',
     file => 't/former/notify.sql');
$uncovered->('');
heard('of former triggers', 'changes are heard');
install_notify($::DB);
$uncovered->('');
heard('of 1', 'changes are heard');


=== TEST 14: two databases in one zone have a listener each
--- http_config eval
main::http(lines => main::conf(name => 'other', dbname => $::OTHER)
                    . "softfactory_zone second 8m;\n")
--- config eval
$::CONFIG . main::under('/other', 'other')
. main::under('/second', 'primary', 'softfactory_cache second;')
. 'location = /status-second { softfactory_status second; }'
--- check
wait_coherent();
wait_coherent(upstream => 'other');

my $other = sub { join ' ', @{source('other')}{qw(flushes notifications)} };
my ($path, @before) = ("/other$::CAMPAIGN/1", flushes(), $other->());
my $is = sub { told(fetch($_[0])) };

fetch($_) for $path, "$::CAMPAIGN/1";
is($is->($_), 'HIT of 1', 'an answer of each') for $path, "$::CAMPAIGN/1";
heard('mine', 'a change of one');
is($is->($path), 'HIT of 1', 'is nothing to the other');
is($other->(), $before[1], 'which hears nothing');
disconnect();
wait_until { flushes() > $before[0] } 'one is dropped';
wait_coherent();
is($is->($path), 'HIT of 1', 'the other one stays');
is($other->(), $before[1], 'with all it has');

# two zones of one database

my $second = sub {
    JSON::PP::decode_json(fetch('/status-second')->{body})->{sources}[0];
};

wait_until { $second->()->{coherent} && !@{$second->()->{uncovered}} }
           'both zones are up';
fetch("/second$::CAMPAIGN/1") for 1, 2;
is($is->("/second$::CAMPAIGN/1"), 'HIT mine', 'an answer in another zone');
heard('of 1', 'a change of both');
wait_until { $is->("/second$::CAMPAIGN/1") =~ /of 1$/ } 'the other hears it';
my @old = hup();

gone(@old);
wait_coherent();
heard('of two', 'also after a reload');
wait_until { $is->("/second$::CAMPAIGN/1") =~ /of two$/ }
           'the other hears it';
title('of 1');
--- killing: session


=== TEST 15: nginx that ends leaves no session, and does not wait
--- check
listener();

my ($master, @pids) = (master(), worker_pids());
my $time = time;

kill 'QUIT', $master;
gone($master, @pids);
cmp_ok(time - $time, '<', 0.9 + 2 * sanitized(), 'nobody is waited for');
wait_until { !sessions() } 'no session is left';
pass('no session is left');
is(log_count(qr/open socket|exited with code [1-9]/), 0, 'nothing is left');


=== TEST 16: the worker that listens goes on while its last requests do
--- check
my $pid = listener();
my $lock = hold($::LOCK, dbname => $::DB);
my $client = wait_until {
    my $c = start('/pid', port => $::PORT);
    $c->finish->{headers}{'x-worker'} == $pid && $c;
} 'a connection';

$client->send(SoftFactory::Live::request_text("$::CAMPAIGN/9"));
wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") }
           'it waits';

my ($master, @pids) = (master(), worker_pids());

kill 'QUIT', $master;
wait_until { error_log() =~ /gracefully shutting down/ } 'it is going';
gone(grep { $_ != $pid } @pids);
sleep 0.7;
is(sessions("now() - state_change < interval '600 ms'"), 1,
   'heartbeats go on');
ok($client->pending, 'a request waits');
$lock->release;
is($client->finish->{status}, 200, 'it has its answer');
gone($master, @pids);
wait_until { !sessions() } 'no session is left';
pass('no session is left');


=== TEST 17: worker_shutdown_timeout
--- main_config: worker_shutdown_timeout 1s;
--- check
my $old = listener();
my $flushes = flushes();
my $lock = hold($::LOCK, dbname => $::DB);
my @clients = map { start("$::CAMPAIGN/$_", port => $::PORT) } 1 .. 9;

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") }
           'they wait';

my @old = hup();

isnt(listener($old), $old, 'a new one listens');
is(flushes(), $flushes, 'nothing is dropped');
gone(@old);
is(join(' ', map { $_->finish->{status} } @clients), join(' ', (0) x 9),
   'who has waited too long is closed');
is(sessions(), 1, 'one session is left');

# and all of it

my ($master, @pids) = (master(), worker_pids());

@clients = map { start("$::CAMPAIGN/$_", port => $::PORT) } 1 .. 9;
wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'") > 1 }
           'they wait';
kill 'QUIT', $master;
gone($master, @pids);
wait_until { !sessions() } 'no session is left';
pass('no session is left');
$lock->release;
is(log_count(qr/open socket|exited with code [1-9]/), 0, 'nothing is left');


=== TEST 18: whatever is said on the channel
--- check
listener();

my $path = "$::CAMPAIGN/1";
my $long = 'campaigns id=' . join ',', map { 100000 + $_ } 1 .. 1000;

# what is said, and what it does to the answer and to everything

my @said = (
    ['', 'HIT', 0],
    ['x', 'HIT', 0],
    [' ', 'HIT', 0],
    ['tables id=1', 'HIT', 0],
    ['campaign id=1', 'HIT', 0],
    ['payments', 'HIT', 0],
    ['campaigns', 'HIT', 0],
    ['campaigns id=2 creator_id=1', 'HIT', 0],
    [$long, 'HIT', 0],
    ['campaigns other=1', 'HIT', 0],
    ['campaigns id=1', 'MISS', 0],
    ['campaigns id=*', 'MISS', 0],
    ['campaigns id=5,-3,1 creator_id=7', 'MISS', 0],
    ['campaigns id=', 'MISS', 1],
    ['campaigns id=1,', 'MISS', 1],
    ['campaigns id=,1', 'MISS', 1],
    ['campaigns id=a', 'MISS', 1],
    ['campaigns id=1x', 'MISS', 1],
    ['campaigns id', 'MISS', 1],
    ['campaigns =', 'HIT', 0],
    ['campaigns  id=2', 'MISS', 1],
    ['campaigns id=99999999999999999999', 'MISS', 1],
    ["campaigns id=\xc3\xa9", 'MISS', 1],
    ['triggers ', 'HIT', 0],
);

for my $said (@said) {
    my ($text, $x, $flushed) = @$said;

    # not soon after another one, see t/channel.t

    sleep 0.3 if $flushed;
    at($_, $path) for worker_pids();

    my $flushes = flushes();

    change(SoftFactory::Live::tell_words($text), dbname => $::DB);
    is(join(' ', x(at((worker_pids())[0], $path)), flushes() - $flushes),
       "$x $flushed", length $text < 80 ? "\"$text\"" : 'a long one');
}

psql("NOTIFY another, 'campaigns id=1'", dbname => $::DB);
is(x(at((worker_pids())[0], $path)), 'HIT', 'another channel');

# a storm: requests and heartbeats go on.  No tag can name the second key of
# these, so they move the counters of fifty rows and of the table

my $n = source()->{notifications};

psql("SELECT count(pg_notify(name, format('campaigns id=%s N%s=1',
                                          100 + n % 50, n)))
        FROM softfactory.channel, generate_series(1, 50000) n",
     dbname => $::DB);

my (@took, %seen);

wait_until {
    my $time = time;

    $seen{x(at((worker_pids())[0], $path))}++;
    push @took, time - $time;
    source()->{notifications} == $n + 50000;
} 'all are heard';

is(join(' ', keys %seen), 'HIT', 'what is not concerned stays');
cmp_ok(max(@took), '<', 0.5 + sanitized(),
       'nobody has to wait');
is(source()->{coherent}, JSON::PP::true, 'heartbeats are in time');
heard('of one', 'changes are heard');
title('of 1');


=== TEST 19: a role that may not ask what the listener asks
--- http_config eval
main::http(lines => "softfactory_listen_lease 1s;\n"
                    . main::conf(name => 'other', dbname => $::OTHER))
--- config eval: $::CONFIG . main::under('/other', 'other')
--- check
listener();
wait_coherent(upstream => 'other');

# in another database triggers go, which nobody is told of

my $time = time;

psql('DROP TRIGGER softfactory_notify_delete ON users', dbname => $::OTHER);

my $may = sub {
    psql("$_[0] EXECUTE ON FUNCTION $_[1] PUBLIC", dbname => $::DB,
         user => 'postgres');
};
my $path = "$::CAMPAIGN/1";

# for heartbeats

$may->('REVOKE', 'pg_notification_queue_usage() FROM');
wait_until { !source()->{coherent} } 'the lease is over';
is(at((worker_pids())[0], $path)->{status}, 200, 'answers go on');
is(kept($path), 'EXPIRED', 'but are not kept');
title('unheard');
sleep 0.35;
is(told(at((worker_pids())[0], $path)) =~ /unheard/, 1, 'nothing is old');
$may->('GRANT', 'pg_notification_queue_usage() TO');
wait_coherent();
is(kept($path), 'HIT', 'it comes back by itself');

# for the look at the triggers

$may->('REVOKE', 'bool_or(boolean) FROM');
psql(SoftFactory::Live::tell_words('triggers'), dbname => $::DB);
wait_until { @{source()->{uncovered}} == 13 } 'no table counts as covered';
is(kept($path), 'EXPIRED', 'what is not known to be heard is not kept');
is(source()->{coherent}, JSON::PP::true, 'heartbeats go on');
$may->('GRANT', 'bool_or(boolean) TO');
wait_coherent();
is(kept($path), 'HIT', 'it comes back by itself');
heard('of 1', 'changes are heard');

# the other one

wait_coherent(upstream => 'other', uncovered => 'users');
cmp_ok(time - $time, '<', 11 + 2 * sanitized(),
       'a look every ten seconds finds it');
--- killing: the listener


=== TEST 20: every worker knows by itself whether the database is there
--- http_config eval
$::THERE = main::pg_server('there');
$::THERE->psql('', user => 'app', file => "$ENV{SF_TEST_SQL}/$_.sql")
    for qw(schema softfactory-tables);
main::conf(server => "unix:$::THERE->{socket} fail_timeout=2s", zone => 'api 8m')
. main::spread('location = /live { softfactory_live; }')
--- check
my @pids;

wait_until { @pids = worker_pids(); @pids == 2 } 'two workers';

# nobody asks for anything but that

my $down = sub {
    join ' ', map { at($_, '/live')->{body} =~ /"database"/ ? 1 : 0 } @pids;
};
my $reads = sub {
    $::THERE->psql("SELECT count(*) FROM pg_stat_activity WHERE
                application_name = 'softfactory/read'");
};

wait_until { $reads->() == 4 } 'the lanes of both are open';
is($down->(), '0 0', 'it is there');

for (1, 2) {
    $::THERE->stop;
    wait_until { $down->() eq '1 1' } 'both say that it is away';
    $::THERE->start;
    wait_until { $down->() eq '0 0' } 'both say that it is back';
    wait_until { $reads->() >= 2 } 'both are connected';
}

pass('both know, whatever is asked for');
is(told(at($pids[0], "$::CAMPAIGN/1")), 'MISS none', 'and go on');
--- killing: server

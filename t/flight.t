# Flights: an answer that is asked for many times at once is made once, by one
# worker for all, and never from what was read before a change.
#
# Two workers, whose server tells who has answered.  Two kinds of barriers: a
# lock on a table stops a statement before it has a snapshot, so that it sees
# what is committed until then; the barrier of this database stops it after
# that, while it reads campaigns or users, so that it sees what was there when
# it began.
#
# expect-alert: exited on signal 9

# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
master_on();
workers(2);
worker_connections(1024);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_flight');
our $PORT = free_port();
our $CAMPAIGN = '/api/review/campaigns';
our $LOCK = 'LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE';

my $nth = 1000;

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, role, is_active)
SELECT n, n || '@x.test', '!', 'Name', 'user', true
  FROM generate_series(1, 9) n;
INSERT INTO subscriptions (user_id, product_id, status)
SELECT n, p.id, 'active' FROM generate_series(1, 9) n, products p;
INSERT INTO campaigns (id, creator_id, title, product_name, description,
                       deadline, status, created_at)
SELECT n, 1, 'of ' || n, 'p', CASE n WHEN 30 THEN repeat('d', 900000) END,
       'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 30) n;
INSERT INTO sns_accounts (id, user_id, platform, account_name, created_at)
SELECT n, n, 'p', 'account ' || n, 'yesterday' FROM generate_series(1, 9) n;
INSERT INTO review_listings (source_platform, external_id, title, status,
                             deadline, scraped_at)
VALUES ('p', 1, 'away1 both0 both1 late killed', 'active', 'tomorrow',
        'yesterday')
SQL

# rows of two tables are seen by the role app when nobody has the lock

psql(<<'SQL', dbname => $DB);
CREATE FUNCTION barrier() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_lock_shared(1);
    PERFORM pg_advisory_unlock_shared(1);
    RETURN true;
END $$
SQL

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
CREATE POLICY barrier ON campaigns USING (barrier());
CREATE POLICY barrier ON users USING (barrier());
ALTER TABLE campaigns ENABLE ROW LEVEL SECURITY;
ALTER TABLE campaigns FORCE ROW LEVEL SECURITY;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY
SQL

install_notify($DB);
log_statements($DB);

our %TOKEN = map { $_ => jwt(user_id => $_) } 1 .. 9;


# lock($sql): a table is locked, barrier(): the barrier is down, until release

sub lock_table {
    return hold($_[0] // $LOCK, dbname => $DB);
}


sub barrier {
    return hold('SELECT pg_advisory_lock(1)', dbname => $DB,
                user => 'postgres');
}


# seen(@pids): workers that have seen what was sent to them before this

sub seen {
    ask_at($_, '/api/health')->finish for @_;
}


# waiting($n): until n sessions of the module wait for a lock

sub waiting {
    my ($n) = @_;

    return wait_until { in_lock() == $n } "$n wait for a lock";
}


# in_lock(): how many do now

sub in_lock {
    return backends("datname = '$DB' AND wait_event_type = 'Lock' AND "
                    . "application_name LIKE 'softfactory/%'");
}


# ask_at($pid, $path, %options of start): a request on its way, on a new
# connection to that worker

sub ask_at {
    my ($pid, $path, %o) = @_;

    my $c = wait_until {
        my $c = start('/pid', port => $PORT, token => undef,
                      rcvbuf => $o{rcvbuf});
        $c->finish->{headers}{'x-worker'} == $pid && $c;
    } "a connection to the worker $pid";

    $c->send(SoftFactory::Live::request_text($path, token => 'demo_token',
                                             %o));
    return $c;
}


# many($n, $path, %options): requests on their way, to both workers

sub many {
    my ($n, $path, %o) = @_;

    return map { start($path, port => $PORT, %o) } 1 .. $n;
}


# told($response): its status, where it is from, and the title of a campaign

sub told {
    my ($res) = @_;

    return join ' ', $res->{status}, $res->{headers}{'x-cache'} // 'none',
                     $res->{body} =~ /"title":"([^"]*)"\}\n\z/ ? $1 : ();
}


# counts(@names): of /status

sub counts {
    my $cache = zone_status()->{cache};

    return join ' ', @$cache{@_};
}


# heartbeat: until one has been answered that was sent after now

sub heartbeat {
    my $time = time;

    wait_until { source()->{confirmed_ms_ago} < (time - $time) * 1000 - 20 }
               'a heartbeat';
}


# until_joined($n): so many requests wait in flights of their worker

sub until_joined {
    my ($n) = @_;

    wait_until { zone_status()->{cache}{followers} == $n } "$n have joined";
}


# pair(): both workers, other($pid): the one that is not that one

sub pair {
    my $pids = wait_until {
        my @pids = worker_pids();
        @pids == 2 && \@pids;
    } 'there are two workers';

    return @$pids;
}


sub other {
    my ($pid) = @_;

    return (grep { $_ != $pid } pair())[0];
}


# listened(): until a worker that lives listens, and has dropped what it must

sub listened {
    my $since = time;

    wait_until {
        my $source = source();
        running($source->{listener_pid}) && $source->{coherent}
            && $source->{confirmed_ms_ago} / 1000 < time - $since;
    } 'somebody listens';
}


# search($text): a search, which is long, as its total is

sub search {
    return "/api/review/listings/search?q=$_[0]";
}


# busy($pid): a lock, and searches that wait for it, of a user each, so that
# worker sends no other search meanwhile, and no total of one

sub busy {
    my ($pid) = @_;

    my $lock = lock_table('LOCK TABLE review_listings IN ACCESS EXCLUSIVE '
                          . 'MODE');
    my $fills = counts('fills_under_way');
    my @clients = map { ask_at($pid, search('busy' . ++$nth),
                               token => $TOKEN{$_}) } 1 .. 4;

    wait_until { counts('fills_under_way') == $fills + 2 * @clients }
               'they are at it';
    wait_until { backends("datname = '$DB' AND wait_event_type = 'Lock' AND "
                          . "application_name LIKE 'softfactory/%'") }
               'one of them waits for the lock';

    return ($lock, @clients);
}


# woken($title, sub): one test.  The sub has a request wait for another worker,
# and returns when it began to, the lock that it waits for in the end, and the
# request.  Who waits looks by himself every 250 ms; so he is released shortly
# after a look, and has to be there before the next one

sub woken {
    my ($title, $try) = @_;

    my @took;

    for (1 .. 4) {
        my ($began, $lock, $c) = $try->();
        my $rest = 0.25 - fmod(time - $began, 0.25);

        sleep $rest + 0.02;
        my $time = time;
        $lock->release;
        $c->finish;
        push @took, time - $time;
        last if $took[-1] < 0.12;
    }

    cmp_ok($took[-1], '<', 0.12, $title);
}


sub fmod {
    my ($x, $y) = @_;

    return $x - $y * int($x / $y);
}


our $HTTP = conf(dbname => $DB, zone => 'api 16m',
                 pool => 'connections=8 heavy=2 wait=20s timeout=20s '
                         . 'heavy_timeout=20s');
our $CONFIG = "add_header X-Worker \$pid always;\n"
              . "location = /pid { return 200 pid; }\n" . api(operators('api'));

# the connections of this one are spread over the workers

$HTTP .= "server {\n    listen 127.0.0.1:$PORT reuseport sndbuf=16k;\n"
         . "    send_timeout 60s;\n$CONFIG}\n";

# long statements one after the other

our $ONE_BY_ONE = $HTTP;

$ONE_BY_ONE =~ s/heavy=2/heavy=1 depth=1/ or die;

defaults(http_config => $HTTP, config => $CONFIG);

run_tests();

__DATA__

=== TEST 1: many clients of one worker share one statement
--- check
wait_coherent();

my ($pid) = pair();
my $lock = lock_table();
my @res;

my $n = executed {
    my @clients = map { ask_at($pid, "$::CAMPAIGN/1") } 1 .. 30;

    until_joined(29);
    waiting(1);
    is(scalar(grep { $_->pending } @clients), 30, 'they wait');
    $lock->release;
    @res = map { $_->finish } @clients;
} qr/review_campaign\b/;

is($n, 1, 'one statement');
is(scalar(grep { told($_) eq '200 MISS of 1' } @res), 30, 'for thirty');
is(scalar(grep { $_->{headers}{'x-worker'} == $pid } @res), 30, 'in one');
is(counts('fills', 'followers', 'waits', 'fills_under_way'), '1 29 0 0',
   'one was stored');

my %etags = map { $_->{headers}{etag} => 1 } @res;

is(scalar keys %etags, 1, 'one ETag');
is(told(fetch("$::CAMPAIGN/1", port => $::PORT)), '200 HIT of 1', 'it is kept');

# what they may ask for differs in its form

$lock = lock_table();

my @forms = (ask_at($pid, "$::CAMPAIGN/2"),
             ask_at($pid, "$::CAMPAIGN/2", method => 'HEAD'),
             ask_at($pid, "$::CAMPAIGN/2", headers =>
                    ['Accept-Encoding: gzip']),
             ask_at($pid, "$::CAMPAIGN/2?x=y", token => undef),
             ask_at($pid, "$::CAMPAIGN/02", headers =>
                    ['If-None-Match: *']));

$forms[1]{no_body} = 1;
until_joined(33);
$lock->release;
is(join(' ', map { $_->finish->{status} } @forms), '200 200 200 200 304',
   'each gets its form of it');
is(counts('fills'), 2, 'of one answer');


=== TEST 2: two workers share it as well
--- check
wait_coherent();

my $lock = lock_table();
my (@res, $time);

my $n = executed {
    my @clients = many(200, "$::CAMPAIGN/1");

    until_joined(198);
    waiting(1);
    is(counts('waits'), 1, 'one worker waits for the other');
    is(scalar(grep { $_->pending } @clients), 200, 'all of them wait');
    $lock->release;
    @res = map { $_->finish } @clients;
} qr/review_campaign\b/;

my %workers;

$workers{$_->{headers}{'x-worker'}}++ for @res;
is($n, 1, 'one statement');
is(scalar keys %workers, 2, 'for two workers');
is(scalar(grep { told($_) eq '200 MISS of 1' } @res), 200,
   'and two hundred clients');
is(counts('fills', 'fills_under_way'), '1 0', 'one was stored');

# a list and its total, of users who are not known yet

$lock = lock_table('LOCK TABLE users, campaigns IN ACCESS EXCLUSIVE MODE');

my @clients;

$n = executed {
    @clients = ((map { many(10, '/api/sns/posts', token => $::TOKEN{$_}) }
                 1 .. 3),
                (map { many(10, "$::CAMPAIGN?page=$_&per_page=10") } 1 .. 3));

    # of three users, and of the total that three pages wait for, one is sent at
    # least; the others may wait for it in their worker

    wait_until { my $n = in_lock(); $n >= 2 && $n <= 4 }
               'a user and the total wait for a lock';
    seen(pair());
    is(scalar(grep { $_->pending } @clients), 60, 'and all are pending');
    $lock->release;
    is(join(' ', grep { $_ != 200 } map { $_->finish->{status} } @clients), '',
       'sixty more');
} qr/principal|review_campaigns|sns_posts/;

is($n, 13, 'thirteen statements');

# errors are not kept, but shared while they are made

$lock = lock_table();
@clients = many(20, "$::CAMPAIGN/99");
waiting(1);
$lock->release;
is(join(' ', grep { $_ ne '404 MISS' } map { told($_->finish) } @clients), '',
   'what is not there is not there for all');


=== TEST 3: a request that waits for another worker is woken
--- check
wait_coherent();

my ($a, $b) = pair();
my $n = 0;

for ([$a, $b], [$b, $a]) {
    my ($leader, $waiter) = @$_;

    woken("$waiter by $leader", sub {
        my $path = "$::CAMPAIGN/" . ++$n;
        my $lock = lock_table();
        my $waits = zone_status()->{cache}{waits};
        our $first = ask_at($leader, $path);

        waiting(1);

        my $second = ask_at($waiter, $path);
        my $began = time;

        wait_until { zone_status()->{cache}{waits} == $waits + 1 } 'it waits';
        return ($began, $lock, $second);
    });
}

# a hundred who wait are answered as soon as one is

my $lock = lock_table();
my @clients = many(100, "$::CAMPAIGN/20");

until_joined(98);
waiting(1);
sleep 0.3;

my $time = time;

$lock->release;
$_->finish for @clients;
cmp_ok(time - $time, '<', sanitized() ? 1 : 0.5, 'a hundred at once');


=== TEST 4: a client that goes away takes nobody along
--- check
wait_coherent();

my ($a, $b) = pair();
my $lock = lock_table();

# the first to come, some of those who joined it, one of the other worker

my $n = executed {
    my $first = ask_at($a, "$::CAMPAIGN/1");

    waiting(1);

    my @here = map { ask_at($a, "$::CAMPAIGN/1") } 1 .. 6;
    my @there = map { ask_at($b, "$::CAMPAIGN/1") } 1 .. 4;

    until_joined(9);
    $_->close for $first, @here[0, 3], $there[0];
    wait_until { log_count(qr/closed connection|prematurely closed/) >= 4 }
               'nginx has noticed';
    waiting(1);
    $lock->release;
    is(join(', ', map { told($_->finish) } @here[1, 2, 4, 5], @there[1 .. 3]),
       join(', ', ('200 MISS of 1') x 7), 'the others have their answers');
} qr/review_campaign\b/;

is($n, 1, 'by one statement');

# all of them: what is on its way is kept for the next one

$lock = lock_table();
$n = executed {
    my @clients = ((map { ask_at($a, "$::CAMPAIGN/2") } 1 .. 3),
                   (map { ask_at($b, "$::CAMPAIGN/2") } 1 .. 3));

    waiting(1);
    until_joined(13);
    $_->close for @clients;
    wait_until { log_count(qr/closed connection|prematurely closed/) >= 10 }
               'nginx has noticed';
    $lock->release;
    wait_until { counts('fills_under_way') == 0 } 'it has ended';
} qr/review_campaign\b/;

is($n, 1, 'one statement');
is(told(fetch("$::CAMPAIGN/2", port => $::PORT)), '200 HIT of 2',
   'when all are gone it is there for the next one');

# while a worker waits for the other, nobody is left in it

$lock = lock_table();

my $leader = ask_at($a, "$::CAMPAIGN/3");

waiting(1);

my $waiter = ask_at($b, "$::CAMPAIGN/3");

wait_until { counts('waits') == 3 } 'it waits';
$waiter->close;
wait_until { log_count(qr/closed connection|prematurely closed/) >= 11 }
           'nginx has noticed';

my $again = ask_at($b, "$::CAMPAIGN/3");

wait_until { counts('waits') == 4 } 'another one waits';
$lock->release;
is(told($_->finish), '200 MISS of 3', 'both are answered')
    for $leader, $again;
wait_until { counts('pins', 'fills_under_way') eq '0 0' } 'nothing is left';


=== TEST 5: a request after a change never gets what was read before it
--- check
wait_coherent();

my ($a, $b) = pair();
my $path = "$::CAMPAIGN/5";

for ([$a, $a, $b, 'in one worker'], [$a, $b, $a, 'in the other worker']) {
    my ($first, $second, $third, $where) = @$_;

    change("UPDATE campaigns SET title = 'old' WHERE id = 5",
           dbname => $::DB);

    my $barrier = barrier();
    my $before = ask_at($first, $path);

    waiting(1);

    my $joined = ask_at($second, $path);

    sleep 0.1;
    waiting(1);
    change("UPDATE campaigns SET title = 'new' WHERE id = 5",
           dbname => $::DB);

    my $after = ask_at($second, $path);

    seen($second);

    my @more = map { ask_at($_, $path) } $a, $b, $a, $b;

    seen($a, $b);
    $barrier->release;
    is(told($before->finish), '200 MISS old', "$where: who came before it");
    like(told($joined->finish), qr/^200 MISS (?:old|new)$/, 'and joined');
    is(told($after->finish), '200 MISS new', 'who came after it');
    is(join(', ', map { told($_->finish) } @more),
       join(', ', ('200 MISS new') x 4), 'and all who joined that one');
    is(told(ask_at($_, $path)->finish), '200 HIT new', 'it is kept')
        for $a, $b;
}

wait_until { counts('fills_under_way', 'pins') eq '0 0' } 'nothing is left';

# a purge is a change

my $barrier = barrier();
my $before = ask_at($a, "$::CAMPAIGN/6");

waiting(1);
request('POST', '/purge?all');

my @after = map { ask_at($_, "$::CAMPAIGN/6") } $a, $b;

seen($a, $b);
$barrier->release;
is(told($_->finish), '200 MISS of 6', 'after a purge') for $before, @after;


=== TEST 6: what was read before a change is not kept
--- check
wait_coherent();

my ($a, $b) = pair();

# a row

my $barrier = barrier();
my $slow = ask_at($a, "$::CAMPAIGN/7");

waiting(1);
change("UPDATE campaigns SET title = 'newer' WHERE id = 7",
       dbname => $::DB);

my $fills = counts('fills');

$barrier->release;
unlike($slow->finish->{body}, qr/newer/, 'it was read before');
is(counts('fills', 'raced'), "$fills 1", 'and is thrown away');
is(told(ask_at($_, "$::CAMPAIGN/7")->finish), $_ == $a ? '200 MISS newer'
   : '200 HIT newer', 'the next one is read anew') for $a, $b;

# several changes, one after the other

for my $n (1 .. 3) {
    request('POST', '/purge?tag=campaigns.id=8');
    $barrier = barrier();
    $slow = ask_at($n == 2 ? $b : $a, "$::CAMPAIGN/8");
    waiting(1);
    change("UPDATE campaigns SET title = 'of 8, $n' WHERE id = 8",
           dbname => $::DB);
    $barrier->release;
    isnt(told($slow->finish), "200 MISS of 8, $n", 'read before');
    change("UPDATE campaigns SET title = title || '.' WHERE id = 8",
           dbname => $::DB);
    is(told(ask_at($_, "$::CAMPAIGN/8")->finish),
       ($_ == $a ? '200 MISS' : '200 HIT') . " of 8, $n.", 'read after it')
        for $a, $b;
}

# a list with its total

my $list = "$::CAMPAIGN?per_page=2";

$barrier = barrier();
$slow = ask_at($a, $list);
waiting(1);
change("INSERT INTO campaigns (id, creator_id, title, product_name, deadline,
            status, created_at)
        VALUES (31, 1, 'of 31', 'p', 'tomorrow', 'active', 'today')",
       dbname => $::DB);
$barrier->release;
like($slow->finish->{body}, qr/"total":30\}/, 'a list before it');

for ($a, $b) {
    my $res = ask_at($_, $list)->finish;

    like($res->{body}, qr/"of 31".*"total":31\}/, 'and after it');
    like(ask_at($_, "$::CAMPAIGN?per_page=3")->finish->{body},
         qr/"total":31\}/, 'also the total of another page');
}

change('DELETE FROM campaigns WHERE id = 31', dbname => $::DB);

# a user

my $posts = '/api/sns/posts';

$barrier = barrier();
$slow = ask_at($a, $posts, token => $::TOKEN{5});
waiting(1);
change('UPDATE users SET is_active = false WHERE id = 5', dbname => $::DB);

my $after = ask_at($b, $posts, token => $::TOKEN{5});

waiting(2);
$barrier->release;
is($slow->finish->{status}, 200, 'a user before it');
is($after->finish->{status}, 401, 'and after it');
is(ask_at($_, $posts, token => $::TOKEN{5})->finish->{status}, 401,
   'everywhere') for $a, $b;
change('UPDATE users SET is_active = true WHERE id = 5', dbname => $::DB);

# a change that is not committed yet: before it the old one, after it the new

my $held = hold("UPDATE campaigns SET title = 'committed' WHERE id = 9",
                dbname => $::DB, user => 'postgres');

is(told(ask_at($a, "$::CAMPAIGN/9")->finish), '200 MISS of 9',
   'while a change is on its way');

my $told = source()->{notifications};

$held->release;
wait_until { source()->{notifications} > $told } 'it is told';
is(told(ask_at($b, "$::CAMPAIGN/9")->finish), '200 MISS committed',
   'when it has come');


=== TEST 7: a worker that is killed while it makes a response blocks no other
--- check
wait_coherent();

my ($a) = pair();
my $b = other($a);
my $lock = lock_table();
my $leader = ask_at($a, "$::CAMPAIGN/1");

waiting(1);

my $locked = "datname = '$::DB' AND wait_event_type = 'Lock'";
my $backend = psql("SELECT pid FROM pg_stat_activity WHERE $locked",
                   user => 'postgres');
my @clients = map { ask_at($b, "$::CAMPAIGN/1") } 1 .. 5;

wait_until { counts('waits') == 1 } 'the other worker waits for it';

my $time = time;

kill 'KILL', $a;

wait_until { backends("$locked AND pid <> $backend") } 'another is made';
cmp_ok(time - $time, '<', 3, 'the other one does it, long before the 42 s');
waiting(1);
pass('the backend of the one that died is gone, in the middle of work');
$lock->release;
is(join(', ', map { told($_->finish) } @clients),
   join(', ', ('200 MISS of 1') x 5), 'and answers');
is($leader->finish->{status}, 0, 'who was with the one that died is not');
pair();
wait_until { counts('workers') == 2 } 'which is in the zone';
listened();
fetch("$::CAMPAIGN/1", port => $::PORT);
is(told(fetch("$::CAMPAIGN/1", port => $::PORT)), '200 HIT of 1',
   'all is well');
wait_until { counts('fills_under_way', 'pins') eq '0 0' } 'nothing is left';

# one that waits for another

my ($c) = pair();
my $d = other($c);

$lock = lock_table();
$leader = ask_at($c, "$::CAMPAIGN/2");
waiting(1);

my $waiter = ask_at($d, "$::CAMPAIGN/2");

wait_until { my $cache = zone_status()->{cache}; $cache->{waits} > 0 }
           'it waits';
kill 'KILL', $d;
$lock->release;
is(told($leader->finish), '200 MISS of 2', 'a waiter that dies');
is($waiter->finish->{status}, 0, 'is not missed');

# one that sends from the zone

my ($e) = pair();

listened();
ask_at($e, "$::CAMPAIGN/30")->finish;

my $slow = ask_at($e, "$::CAMPAIGN/30", rcvbuf => 4096);

wait_until { !$slow->pending } 'it is being sent';
is(counts('pins'), 1, 'from where it lies');
kill 'KILL', $e;
wait_until { counts('pins', 'pinned_bytes') eq '0 0' } 'it is given back';
pass('what it had pinned is given back');
listened();
ask_at((pair())[0], "$::CAMPAIGN/30")->finish;
is(told(ask_at($_, "$::CAMPAIGN/30")->finish), '200 HIT of 30',
   'the answer is there') for pair();
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]


=== TEST 8: the old workers and the new ones of a reload share it too
--- check
wait_coherent();

my $lock = lock_table();
my ($a) = pair();
my ($res, @more);

# an old one leads

my $n = executed {
    my $old = ask_at($a, "$::CAMPAIGN/1");

    waiting(1);
    hup();

    my ($new) = pair();
    my @clients = map { ask_at($new, "$::CAMPAIGN/1") } 1 .. 3;

    wait_until { counts('waits') >= 1 } 'a new one waits';
    ok(running($a) && $old->pending, 'for the old one');
    $lock->release;
    $res = $old->finish;
    @more = map { $_->finish } @clients;
} qr/review_campaign\b/;

is($n, 1, 'one statement');
is(told($res), '200 MISS of 1', 'the old one');
is($res->{headers}{connection}, 'close', 'whose last answer it is');
is(join(', ', map { told($_) } @more), join(', ', ('200 MISS of 1') x 3),
   'the new one');
wait_until { !running($a) } 'the old one is gone';

# a new one leads: a request of the old one gets there later, as it waits for
# its user first

my $users = lock_table('LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
my $accounts = lock_table('LOCK TABLE sns_accounts IN ACCESS EXCLUSIVE MODE');

($a) = pair();

my $old = ask_at($a, '/api/sns/accounts', token => $::TOKEN{1});

waiting(1);
hup();

my ($new) = pair();

$n = executed {
    my $client = ask_at($new, '/api/sns/accounts');

    waiting(2);

    my $waits = counts('waits');

    $users->release;
    wait_until { counts('waits') > $waits } 'the old one waits for the new';
    ok(running($a) && $old->pending, 'as long as it takes');
    waiting(1);
    $accounts->release;
    is($client->finish->{status}, 200, 'the new one');
    is($old->finish->{headers}{'x-worker'}, $a, 'the old one');
} qr/sns_accounts/;

is($n, 1, 'one statement');
wait_until { !running($a) } 'the old one is gone';

# each wakes the other

woken('a new one by an old one', sub {
    my $path = "$::CAMPAIGN/" . (10 + $n++);
    my $lock = lock_table();
    my ($a) = pair();
    our $leader = ask_at($a, $path);

    waiting(1);
    hup();

    my $waits = counts('waits');
    my $c = ask_at((pair())[0], $path);
    my $began = time;

    wait_until { counts('waits') > $waits } 'it waits';
    return ($began, $lock, $c);
});

woken('an old one by a new one', sub {
    my $path = '/api/analytics/advanced?period=' . ++$n;
    my $users = lock_table('LOCK TABLE users IN ACCESS EXCLUSIVE MODE');
    my $lock = lock_table('LOCK TABLE payments IN ACCESS EXCLUSIVE MODE');
    my ($a) = pair();
    my $c = ask_at($a, $path, token => $::TOKEN{2 + $n % 8});

    waiting(1);
    hup();
    our $leader = ask_at((pair())[0], $path);
    waiting(2);

    my $waits = counts('waits');

    $users->release;
    wait_until { counts('waits') > $waits } 'it waits';
    return (time, $lock, $c);
});

wait_until { counts('fills_under_way', 'pins') eq '0 0' } 'nothing is left';
--- no_error_log
[alert]
[crit]
[emerg]


=== TEST 9: a worker that shuts down with a fill under way ends it first
--- check
wait_coherent();

my ($a) = pair();
my $lock = lock_table();
my $client = ask_at($a, "$::CAMPAIGN/1");

waiting(1);

my $master = master();

kill 'QUIT', $master;
wait_until { log_count(qr/gracefully shutting down/) >= 1 } 'it is going';
ok($client->pending, 'the request waits');
$lock->release;
is(told($client->finish), '200 MISS of 1', 'and is answered');
wait_until { !running($master) } 'nginx is gone';
pass('then nginx is gone');


=== TEST 10: a user that has written reads what was written
--- http_config eval
my $http = $::HTTP;
$http =~ s/(?=location = .pid)/<<'CONF'/e;
softfactory_fallback /app;
location = /app {
    softfactory_test_statement primary write 1
        "UPDATE public.sns_accounts SET account_name = account_name || '!'
          WHERE id = $1::int RETURNING id";
}
CONF
$http
--- check
wait_coherent();

# the worker that listens is stopped: nobody hears of the change

my $deaf = source()->{listener_pid};
my $pid = other($deaf);
my $path = '/api/sns/accounts';
my ($one, $two, $app) = map { ask_at($pid, '/pid') } 1 .. 3;

$_->finish for $one, $two, $app;

my $ask = sub {
    my ($c, $path, $user, %o) = @_;

    $c->send(SoftFactory::Live::request_text($path, token => $::TOKEN{$user},
                                             %o));
    my $res = $c->finish;

    return join ' ', @$res{'status'}, $res->{headers}{'x-cache'} // 'none',
                     $res->{body} =~ /"(?:account_name|title)":"([^"]*)"/;
};

$ask->($two, $path, 2);
$ask->($one, $path, 1);
$ask->($one, "$::CAMPAIGN/1", 1);
is($ask->($one, $path, 1), '200 HIT account 1', 'an answer is kept');

kill 'STOP', $deaf;

my $time = time;

like($ask->($app, "$path?v=1", 1, method => 'POST'), qr/^200/, 'he writes');
is($ask->($one, $path, 1), '200 BYPASS account 1!', 'and reads it at once');
is($ask->($one, "$::CAMPAIGN/1", 1), '200 BYPASS of 1',
   'all that he reads is new');
is($ask->($two, $path, 2), '200 HIT account 2', "others' is kept");
is($ask->($two, "$::CAMPAIGN/1", 2), '200 HIT of 1', 'also what is for all');
cmp_ok(time - $time, '<', 2, 'within the lease');

kill 'CONT', $deaf;

wait_until { $ask->($one, $path, 1) eq '200 HIT account 1!' }
           'it is kept once more';
is($ask->($one, "$::CAMPAIGN/1", 1), '200 HIT of 1', 'as is the rest');

# what reads only, and who is nobody, is no writer

is($ask->($app, $path, 1, method => 'OPTIONS'), '200 none', 'OPTIONS');
is($ask->($one, $path, 1), '200 HIT account 1!', 'writes nothing');
$app->send(SoftFactory::Live::request_text($path, token => 'x',
                                           method => 'POST'));
$app->finish;
is($ask->($two, $path, 2), '200 HIT account 2', 'nobody neither');

# two writes at once: the one that began first ends last

my $row = hold('SELECT FROM sns_accounts WHERE id = 1 FOR UPDATE',
               dbname => $::DB);
my $first = ask_at($pid, "$path?v=1", token => $::TOKEN{1}, method => 'POST');

waiting(1);
like($ask->($app, "$path?v=9", 1, method => 'POST'), qr/^200/,
     'a short one while a long one is under way');
heartbeat();
is($ask->($one, $path, 1), '200 BYPASS account 1!',
   'has a fence of its own');
kill 'STOP', $deaf;
$row->release;
is($first->finish->{status}, 200, 'the long one ends');
is($ask->($one, $path, 1), '200 BYPASS account 1!!', 'and is read at once');
kill 'CONT', $deaf;


=== TEST 11: what nobody waits for is not asked
--- http_config eval
$::ONE_BY_ONE
--- check
wait_coherent();

my ($a, $b) = pair();
my $gone = 0;
my $leave = sub {
    $_->close for @_;
    $gone += @_;
    wait_until { log_count(qr/prematurely closed/) >= $gone } 'they have gone';
};

# searches, and their totals, that were not sent

my ($lock, @before) = busy($a);
my $n = executed {
    my @searches = map { ask_at($a, search("away$_"),
                                token => $::TOKEN{5 + $_ % 5}) } 1 .. 20;

    wait_until { counts('fills_under_way') == 2 * @before + 40 }
               'all of them wait';
    $leave->(@searches);
    is(counts('fills_under_way', 'abandoned'), 2 * @before . ' 40',
       'twenty searches of clients that have gone are given up');
    $lock->release;
    is($_->finish->{status}, 200, 'who waits before them is answered')
        for @before;
} qr/review_listings_search.*= '%(?!busy)/;

is($n, 0, 'no statement is theirs');
is(ask_at($a, search('away1'))->finish->{headers}{'x-cache'}, 'MISS',
   'the next one asks');

# one that has been sent is not sent again, however often it is left

$lock = lock_table();
$n = executed {
    for (1 .. 20) {
        my $followers = counts('followers');
        my $c = ask_at($a, "$::CAMPAIGN/3");

        waiting(1);
        wait_until { $_ == 1 || counts('followers') == $followers + 1 }
                   'it has joined';
        $leave->($c);
    }

    $lock->release;
    wait_until { counts('fills_under_way') == 0 } 'it has ended';
} qr/review_campaign\b/;

is($n, 1, 'one statement for twenty who ask and go');
is(told(ask_at($a, "$::CAMPAIGN/3")->finish), '200 HIT of 3',
   'its answer is there');
is(counts('abandoned'), 40, 'it was not given up');

# another worker waits, while the only client of this one goes

for my $sent (0, 1) {
    ($lock, @before) = $sent ? lock_table('LOCK TABLE review_listings '
                                          . 'IN ACCESS EXCLUSIVE MODE')
                             : busy($a);

    my $path = search("both$sent");
    my ($waits, $res) = counts('waits');

    $n = executed {
        my $leader = ask_at($a, $path);

        wait_until { counts('fills_under_way') == 2 * @before + 2 }
                   'one is at it';
        waiting(1) if $sent;

        my $waiter = ask_at($b, $path);

        wait_until { counts('waits') == $waits + 1 } 'the other one waits';
        $leave->($leader);
        is(counts('fills_under_way'), 2 * @before + 2, 'it is needed');
        $lock->release;
        $_->finish for @before;
        $res = $waiter->finish;
    } qr/review_listings_search.*= '%(?!busy)/;

    my $when = $sent ? 'after' : 'before';

    is(told($res), '200 MISS', "who waits $when it was sent is answered");
    is($n, 2, 'by one statement, and one of the total');
}

# the same, and the last one of them goes too; somebody else asks after a
# change, so that what the first worker makes is for nobody

($lock, @before) = busy($a);
$n = executed {
    my $leader = ask_at($a, search('late'));

    wait_until { counts('fills_under_way') == 2 * @before + 2 } 'at it';

    my $waits = counts('waits');
    my $waiter = ask_at($b, search('late'));

    wait_until { counts('waits') == $waits + 1 } 'the other one waits';
    $leave->($leader, $waiter);
    is(counts('abandoned'), 40, 'that is not known here');
    is(request('POST', '/purge?tag=review_listings')->{status}, 200,
       'a change');

    my $next = ask_at($b, search('late'));

    wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'")
                 > 1 } 'the next one has been sent';
    $lock->release;
    is(told($next->finish), '200 MISS', 'and is answered');
    $_->finish for @before;
    wait_until { counts('abandoned') == 42 } 'the first one is given up';
} qr/review_listings_search.*= '%(?!busy)/;

is($n, 2, 'one statement, and one of the total');
wait_until { counts('fills_under_way', 'pins') eq '0 0' } 'nothing is left';


=== TEST 12: a waiter that is killed does not keep a claim for ever
--- http_config eval
$::ONE_BY_ONE
--- check
wait_coherent();

my $b = source()->{listener_pid};
my $a = other($b);
my ($lock, @before) = busy($a);
my $leader = ask_at($a, search('killed'));

wait_until { counts('fills_under_way') == 2 * @before + 2 } 'one is at it';

my $waiter = ask_at($b, search('killed'));

wait_until { counts('waits') == 1 } 'the other one waits';
$leader->close;
wait_until { log_count(qr/prematurely closed/) >= 1 } 'the first one is gone';
kill 'KILL', $b;
is($waiter->finish->{status}, 0, 'and so is the worker that waits');
is(counts('fills_under_way'), 2 * @before + 2, 'nobody knows');
$lock->release;
$_->finish for @before;
wait_until { counts('fills_under_way', 'pins') eq '0 0' } 'the claim has ended';
pass('the claim ends by itself');
listened();
like(told(ask_at($a, search('killed'))->finish), qr/^200/, 'all is well');
--- no_error_log
[crit]
[emerg]
--- no_shutdown_error_log
[crit]
[emerg]


=== TEST 13: what passes the zone by is shared too
--- http_config eval
my $http = $::HTTP;
$http =~ s/(?=location = .pid)/softfactory_cache_bypass \$http_x_past;\n/;
$http
--- check
wait_coherent();

my ($pid) = pair();
my $past = sub {
    my ($n, $path) = @_;

    my $followers = counts('followers');
    my @clients = map { ask_at($pid, $path, headers => ['X-Past: 1']) }
                  1 .. $n;

    return (sub { counts('followers') - $followers }, @clients);
};

# the operator wants it

my $lock = lock_table();
my $n = executed {
    my ($joined, @clients) = $past->(10, "$::CAMPAIGN/1");

    wait_until { $joined->() == 9 } 'nine have joined one';

    my $other = ask_at($pid, "$::CAMPAIGN/1");

    wait_until { counts('fills_under_way') == 1 } 'who asks the zone has not';
    request('POST', '/purge?tag=campaigns.id=1');

    my ($again, @after) = $past->(3, "$::CAMPAIGN/1");

    wait_until { $again->() == 2 } 'nor who comes after a change';
    $lock->release;
    is(join(', ', map { told($_->finish) } @clients, @after),
       join(', ', ('200 BYPASS of 1') x 13), 'all are answered');
    is(told($other->finish), '200 MISS of 1', 'also who asks the zone');
} qr/review_campaign\b/;

is($n, 3, 'three statements for fourteen');
is(told(ask_at($pid, "$::CAMPAIGN/1")->finish), '200 MISS of 1',
   'none of them is kept');


=== TEST 14: what nobody waits for any more does not hold up others for long
--- check
wait_coherent();

my ($a, $b) = pair();
my $path = '/api/analytics/advanced';
my $locks = join ', ', qw(review_listings payments sns_accounts);
my $held = "datname = '$::DB' AND wait_event_type = 'Lock' AND "
           . "application_name = 'softfactory/heavy'";
my $left = 0;

# leaves($client): it has gone, and the worker knows

my $leaves = sub {
    $_[0]->close;
    $left++;
    wait_until { log_count(qr/prematurely closed/) >= $left } 'it has gone';
};

get($path, token => $::TOKEN{$_}) for 1 .. 5;
request('POST', '/purge?all');

# one is for another worker too, and the next one for nobody

my $lock = lock_table("LOCK TABLE $locks IN ACCESS EXCLUSIVE MODE");
my $n = executed {
    my $waits = counts('waits');
    my $needed = ask_at($a, '/api/sns/analytics', token => $::TOKEN{1});

    waiting(1);

    my $first = psql("SELECT pid FROM pg_stat_activity WHERE $held",
                     dbname => $::DB);
    my $waiter = ask_at($b, '/api/sns/analytics', token => $::TOKEN{1});

    wait_until { counts('waits') == $waits + 1 } 'the other worker waits';

    my $gone = ask_at($a, search('gone'), token => $::TOKEN{2});

    waiting(2);

    my $second = psql("SELECT pid FROM pg_stat_activity WHERE $held AND "
                      . "pid <> $first", dbname => $::DB);

    $leaves->($_) for $needed, $gone;
    is(in_lock(), 2, 'both run on');

    # who asks again meanwhile joins it, however often

    for (1 .. 10) {
        my $followers = counts('followers');
        my $c = ask_at($a, search('gone'), token => $::TOKEN{2});

        wait_until { counts('followers') > $followers } 'it has joined';
        $leaves->($c);
    }

    cmp_ok(in_lock(), '==', 2, 'also for those who ask and go');

    # and now somebody waits

    my $other = ask_at($a, search('other'), token => $::TOKEN{3});

    wait_until { !backends("$held AND pid = $second") } 'it has ended';
    waiting(2);
    is(backends("$held AND pid = $first"), 1,
       'and not the one that is waited for');

    my $again = ask_at($a, search('gone'), token => $::TOKEN{2});

    $lock->release;
    is(join(' ', map { $_->finish->{status} } $waiter, $other, $again),
       '200 200 200', 'all who have stayed are answered');
} qr/review_listings_search|sns_analytics/;

# the one that was cancelled waited for the lock before it was executed

is($n, 3, 'each was executed once');
is(counts('fills_under_way', 'pins'), '0 0', 'nothing is left');

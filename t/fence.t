# Fences: who has written through the fallback reads his write at once, while
# nobody has told the module of it yet.
#
# The application is a statement of the test module that writes: "POST ...
# ?v=user:text:id" gives the campaign of that id the title text, and adds a
# post of that user and a campaign, which have it too.  The listener is
# connected through a gate; when that is shut, no notification arrives.
#
# Campaign n has the title "of n".  Users 1 and 2 have one post each.

# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;
use Time::HiRes qw(time sleep);

no_shuffle();
no_root_location();
master_on();
workers(2);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_fence');
our $PORT = free_port();
our $GATE = SoftFactory::Gate->new($ENV{SF_TEST_PG_SOCKET});
our $CAMPAIGN = '/api/review/campaigns';
our $POSTS = '/api/sns/posts';

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (email, password_hash, name, role, is_active)
SELECT n || '@x.test', '!', 'Name', 'user', true FROM generate_series(1, 9) n;
INSERT INTO subscriptions (user_id, product_id, status)
SELECT n, p.id, 'active' FROM generate_series(1, 9) n, products p;
INSERT INTO campaigns (creator_id, title, product_name, deadline, status,
                       created_at)
SELECT 1, 'of ' || n, 'p', 'tomorrow', 'active', 'yesterday'
  FROM generate_series(1, 5) n;
INSERT INTO sns_accounts (user_id, platform, account_name, created_at)
SELECT n, 'p', 'account ' || n, 'yesterday' FROM generate_series(1, 9) n;
INSERT INTO sns_posts (user_id, account_id, content, platform, status,
                       created_at)
SELECT n, n, 'first', 'p', 'draft', 'yesterday' FROM generate_series(1, 2) n;
INSERT INTO review_listings (source_platform, external_id, title, status,
                             deadline, scraped_at)
SELECT 'p', n, 'listing ' || n, 'active', 'tomorrow', 'yesterday'
  FROM generate_series(1, 3) n
SQL

install_notify($DB);
log_statements($DB);

our %TOKEN = map { $_ => jwt(user_id => $_) } 1 .. 9;
our @CACHED = map { my $path = $_->{path};
                    $path =~ s/\{id\}/1/;
                    $path . ($_->{name} =~ /search/ ? '?q=listing' : '') }
              grep { $_->{sql} && $_->{access} ne 'ANYONE'
                     && $_->{name} ne 'review_campaign_applications' }
              endpoints();

our $APP = <<'CONF';
location @app {
    softfactory_test_statement primary write 1
        "WITH v AS (SELECT split_part($1::text, ':', 1)::int AS user_id,
                           split_part($1::text, ':', 2) AS title,
                           split_part($1::text, ':', 3)::int AS id),
              posts AS (INSERT INTO public.sns_posts
                               (user_id, account_id, content, platform,
                                status, created_at)
                        SELECT user_id, user_id, title, 'p', 'draft',
                               localtimestamp FROM v),
              added AS (INSERT INTO public.campaigns
                               (creator_id, title, product_name, deadline,
                                status, created_at)
                        SELECT user_id, title, 'p', 'tomorrow', 'active',
                               localtimestamp FROM v),
              changed AS (UPDATE public.campaigns c SET title = v.title
                            FROM v WHERE c.id = v.id)
         SELECT title FROM v";
}
CONF

our $CONFIG = "add_header X-Worker \$pid always;\n"
              . "location = /pid { return 200 pid; }\n$APP"
              . api('softfactory_fallback @app;', operators('api'));

# the connections of the second server are spread over the workers

our $HTTP = conf(dbname => $DB, zone => 'api 8m', listen => 'direct',
                 pool => 'connections=4 heavy=2 write_timeout=20s '
                         . 'lock_timeout=20s wait=20s')
            . conf(name => 'direct', dbname => $DB,
                   server => '127.0.0.1:' . $GATE->port)
            . "server {\n    listen 127.0.0.1:$PORT reuseport;\n$CONFIG}\n";

defaults(http_config => "softfactory_listen_lease 60s;\n$HTTP",
         config => $CONFIG);


# at($pid, $path, %options of start): the answer of that worker, over one
# connection that is kept.  Options also: user (default 1)

our %CLIENT;

sub at {
    my ($pid, $path, %o) = @_;

    my $c = $CLIENT{$pid} //= wait_until {
        my $c = start('/pid', port => $PORT, token => undef);
        $c->finish->{headers}{'x-worker'} == $pid && $c;
    } "a connection to the worker $pid";

    $c->{no_body} = ($o{method} // '') eq 'HEAD';
    $c->send(SoftFactory::Live::request_text($path,
             token => $TOKEN{$o{user} // 1}, %o));

    return $c->finish;
}


# clients($pid, $n): connections to that worker

sub clients {
    my ($pid, $n) = @_;

    return map {
        wait_until {
            my $c = start('/pid', port => $PORT, token => undef);
            $c->finish->{headers}{'x-worker'} == $pid && $c;
        } 'a connection';
    } 1 .. $n;
}


# asks($path, $user, @clients): on their way; user 1 has a token that needs no
# look at him

sub asks {
    my ($path, $user, @clients) = @_;

    my $token = $user == 1 ? 'demo_token' : $TOKEN{$user};

    $_->send(SoftFactory::Live::request_text($path, token => $token))
        for @clients;
}


# joined($n): until so many have joined a flight

sub joined {
    my ($n) = @_;

    wait_until { zone_status()->{cache}{followers} == $n } "$n have joined";
}


# x($response): where it is from

sub x {
    my ($res) = @_;

    return $res->{headers}{'x-cache'} // "$res->{status} none";
}


# told($response): where it is from, the total and the newest row of a list, or
# the title of a campaign

sub told {
    my ($res) = @_;

    my ($total) = $res->{body} =~ /"total":(\d+)/;
    my ($text) = $res->{body} =~ /"(?:content|title)":"([^"]*)"/;

    return join ' ', x($res), $total // (), $text // 'none';
}


# wrote($text, %options of at): what the application has answered.  Options
# also: id, at, path, as (the user of the post)

sub wrote {
    my ($text, %o) = @_;

    my $as = $o{as} // $o{user} // 1;
    my $res = at($o{at} // (worker_pids())[0],
                 ($o{path} // $POSTS) . "?v=$as:$text:" . ($o{id} // 1),
                 method => 'POST', %o);

    return $res->{body} =~ /^outcome:0 .*\n\Q$text\E\|\n\z/
           ? 'wrote' : "$res->{status} $res->{body}";
}


# warm: all workers and users 1 and 2 have all in the cache

sub warm {
    $GATE->open;
    wait_coherent();

    wait_until {
        !grep { x(at(@$_)) !~ /HIT/ }
         map { my $path = $_;
               map { my $pid = $_; map { [$pid, $path, user => $_] } 1, 2 }
               worker_pids() }
         @CACHED;
    } 'all is in the cache';
}


# heartbeat: until one has been answered that was sent after now

sub heartbeat {
    my $time = time;

    wait_until { source()->{confirmed_ms_ago} < (time - $time) * 1000 - 20 }
               'a heartbeat';
}


# settled($path, %options): until the cache is asked again

sub settled {
    my ($path, %o) = @_;

    wait_until { x(at((worker_pids())[1], $path, %o)) ne 'BYPASS' }
               'the fence is over';
}


run_tests();

__DATA__

=== TEST 1: the writer reads its write, on any worker, and others are served
--- check
warm();

my ($a, $b) = worker_pids();

is(told(at($b, $::POSTS)), 'HIT 1 first', 'a post');
is(told(at($b, $::CAMPAIGN)), 'HIT 5 of 5', 'campaigns');
$::GATE->shut;
is(wrote('one', at => $a), 'wrote', 'the application writes');

for my $pid ($a, $b) {
    is(told(at($pid, $::POSTS)), 'BYPASS 2 one', 'what is his');
    is(told(at($pid, "$::POSTS?per_page=1&page=2")), 'BYPASS 2 first',
       'another page');
    is(told(at($pid, "$::POSTS?status=draft")), 'BYPASS 2 one', 'a filter');
    is(told(at($pid, $::CAMPAIGN)), 'BYPASS 6 one', 'what everybody sees');
    is(told(at($pid, "$::CAMPAIGN/1")), 'BYPASS one', 'one row of it');
    is(join(' ', grep { x(at($pid, $_)) ne 'BYPASS' } @::CACHED), '',
       'all that could be from the cache');
    is(join(' ', grep { x(at($pid, $_, user => 2)) ne 'HIT' } @::CACHED), '',
       'for others it is');
}

is(told(at($b, $::POSTS, method => 'HEAD')), 'BYPASS none', 'HEAD too');
is(told(at($b, $::CAMPAIGN, user => 2)), 'HIT 5 of 5', 'others are not late');
is(told(at($b, $::CAMPAIGN, token => undef)), 'HIT 5 of 5',
   'nor is who has no token');
is(told(at($b, $::CAMPAIGN, token => 'demo_token')), 'BYPASS 6 one',
   'another token of the writer is his too');

my $etag = at($b, "$::CAMPAIGN/1", user => 2)->{headers}{etag};

is(at($b, "$::CAMPAIGN/1", user => 2, headers => ["If-None-Match: $etag"])
   ->{status}, 304, 'what another has is still good for him');
is(at($b, "$::CAMPAIGN/1", headers => ["If-None-Match: $etag"])->{status},
   200, 'and not for the writer');

$::GATE->open;
settled($::POSTS);
is(told(at($_, $::POSTS)), 'HIT 2 one', 'then it is kept again') for $a, $b;
settled($::CAMPAIGN);
at($a, $::CAMPAIGN, user => 2);
is(told(at($b, $::CAMPAIGN, user => $_)), 'HIT 6 one', 'for all') for 1, 2;


=== TEST 2: the same while the session that listens is stopped
--- check
warm();

my ($a, $b) = worker_pids();
my $flushes = source()->{flushes};
my $old = told(at($b, $::CAMPAIGN, user => 2));
my $backend = psql("SELECT pid FROM pg_stat_activity WHERE datname = '$::DB'
                    AND application_name = 'softfactory/listen'",
                   user => 'postgres');

kill 'STOP', $backend;

my @told = (wrote('two', at => $b),
            map { my $pid = $_;
                  map { told(at($pid, $::CAMPAIGN, user => $_)) } 1, 2 }
            $a, $b);

kill 'CONT', $backend;

is(join(', ', @told), "wrote, BYPASS 7 two, $old, BYPASS 7 two, $old",
   'the writer reads it, others have the old');
settled($::CAMPAIGN, user => 1);
wait_until { told(at($a, $::CAMPAIGN, user => 2)) eq 'HIT 7 two' }
           'it is heard of';
is(told(at($b, $::CAMPAIGN)), 'HIT 7 two', 'it is kept again');
is(source()->{flushes}, $flushes, 'nothing else was dropped');


=== TEST 3: while a write is under way nothing is taken from the cache
--- check
warm();

my ($a, $b) = worker_pids();
my $lock = hold("UPDATE campaigns SET title = 'locked' WHERE id = 3",
                dbname => $::DB);
my $post = start("$::POSTS?v=1:three:3", method => 'POST',
                 token => $::TOKEN{1});

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock' AND "
                      . "application_name = 'softfactory/write'") == 1 }
           'it waits';
heartbeat();
is(told(at($_, "$::CAMPAIGN/3")), 'BYPASS of 3', 'whatever is heard')
    for $a, $b;
at($b, "$::CAMPAIGN/3", user => 2);
is(told(at($b, "$::CAMPAIGN/3", user => 2)), 'HIT of 3', 'others do not mind');
is(told(at($b, "$::CAMPAIGN/3", token => jwt(user_id => 1 + $_))), 'HIT of 3',
   "nor does the user 1 + $_") for 256, 512, 4096, 8192, 65536;
ok($post->pending, 'it is still under way');
$::GATE->shut;
$lock->release;
like($post->finish->{body}, qr/^outcome:0 .*\nthree\|/, 'it is done');
is(told(at($_, "$::CAMPAIGN/3")), 'BYPASS three', 'it is read')
    for $a, $b;
$::GATE->open;
settled("$::CAMPAIGN/3");
is(told(at($a, "$::CAMPAIGN/3")), 'HIT three', 'it is kept again');


=== TEST 4: of two writes of a user each has its fence
--- check
warm();

my ($a, $b) = worker_pids();

# the one that began first ends last; then both began in the same moment

for my $id (4, 5) {
    at($b, "$::CAMPAIGN/$id", user => 2);

    my $lock = hold("SELECT 1 FROM campaigns WHERE id = $id FOR UPDATE",
                    dbname => $::DB);
    my @posts = clients($a, 2);
    my $send = sub {
        $posts[$_[0]]->send(SoftFactory::Live::request_text(
            "$::POSTS?v=1:both:$_[1]", method => 'POST',
            token => $::TOKEN{1}));
    };

    if ($id == 5) {
        kill 'STOP', $a;
        $send->(0, $id);
        $send->(1, 1);
        kill 'CONT', $a;

    } else {
        $send->(0, $id);
        wait_until { backends("datname = '$::DB' AND "
                              . "wait_event_type = 'Lock'") == 1 } 'it waits';
        $send->(1, 1);
    }

    like($posts[1]->finish->{body}, qr/^outcome:0/, 'one is done');
    ok($posts[0]->pending, 'the other one is under way');
    heartbeat();
    is(told(at($_, "$::CAMPAIGN/$id")), "BYPASS of $id", 'and has its fence')
        for $a, $b;
    at($b, "$::CAMPAIGN/$id", user => 2);
    is(told(at($b, "$::CAMPAIGN/$id", user => 2)), "HIT of $id",
       'there is an answer from before');
    $::GATE->shut;
    $lock->release;
    like($posts[0]->finish->{body}, qr/^outcome:0/, 'it is done');
    is(told(at($_, "$::CAMPAIGN/$id")), 'BYPASS both', 'and read')
        for $a, $b;
    $::GATE->open;
    settled("$::CAMPAIGN/$id");
}


=== TEST 5: a request raises no fence that is none of a user's writes
--- check
warm();

my ($a, $b) = worker_pids();
my $old = told(at($b, $::POSTS));

like($old, qr/^HIT/, 'there is an answer');
$::GATE->shut;

# the application here writes what everybody asks for

my $other = jwt(user_id => 1, -secret => 'another');
my %none = (
    'no token' => [token => undef],
    'a token of another key' => [token => $other],
    'a token that is over' => [token => jwt(user_id => 1, exp => 1)],
    'no user' => [token => jwt(-without => ['user_id'])],
    'another user' => [user => 9, as => 1],
    'GET' => [method => 'GET', path => '/api/unknown'],
    'OPTIONS' => [method => 'OPTIONS', path => '/api/unknown'],
);

for my $name (sort keys %none) {
    is(wrote('none', @{$none{$name}}), 'wrote', "a write: $name");
    is(told(at($b, $::POSTS)), $old, "no fence: $name");
}

at($a, '/api/unknown?v=1:none:1', method => 'HEAD');
is(told(at($b, $::POSTS)), $old, 'HEAD: no fence');
is(told(at($b, $::POSTS, user => 9)) =~ /^BYPASS/, 1,
   'one for the other user');
is(at($a, $::POSTS, method => 'DELETE')->{status}, 405, 'a method of nobody');
is(told(at($b, $::POSTS)), $old, 'no fence either');

# and what raises one

for my $method (qw(PUT DELETE PATCH POST)) {
    $::GATE->open;
    wait_until { x(at($b, $::POSTS)) eq 'HIT' } 'no fence';
    $::GATE->shut;
    is(wrote($method, method => $method, path => '/api/unknown'), 'wrote',
       "a write: $method");
    like(told(at($b, $::POSTS)), qr/^BYPASS \d+ $method$/,
         "a fence: $method");
}

$::GATE->open;


=== TEST 6: without a listener a fence ends by itself
--- http_config eval
(my $http = $::HTTP) =~ s/softfactory_listen direct/softfactory_listen off/;
"softfactory_listen_lease 1s;\n$http"
--- config eval
"softfactory_cache_incoherent_ttl 1s;\n$::CONFIG"
--- check
my ($a, $b) = worker_pids();

is(source()->{listener_pid}, 0, 'nobody listens');
wait_until { x(at($b, $::POSTS)) eq 'HIT' } 'there is an answer';

my $began = time;

is(wrote('six', at => $a), 'wrote', 'the application writes');

my (%seen, $x);
my $done = time;

wait_until {
    my $res = at($b, $::POSTS);
    $x = x($res);
    $seen{$res->{body} =~ /"six"/ ? 'new' : 'old'}++;
    $x ne 'BYPASS';
} 'the fence is over';

cmp_ok(time - $began, '>', 1.9, 'after the lease and the ttl');
cmp_ok(time - $done, '<', 3.5, 'and not long after');
is(join(' ', keys %seen), 'new', 'no answer was older');
like(told(at($b, $::POSTS)), qr/^HIT \d+ six$/, 'then it is kept');


=== TEST 7: of two hundred writes each is read at once
--- check
warm();

my @pids = worker_pids();
my (%x, @late);

for my $n (1 .. 200) {
    my ($write, $read) = @pids[$n % 2, ($n >> 1) % 2];
    my $wrote = wrote("round $n" =~ s/ /-/r, at => $write);

    push @late, "$n: $wrote" if $wrote ne 'wrote';

    for my $path ($::POSTS, "$::CAMPAIGN/1") {
        my $res = $n % 5 ? at($read, $path)
                  : fetch($path, token => $::TOKEN{1});

        $x{x($res)}++;
        push @late, "$n: " . told($res) if $res->{body} !~ /"round-$n"/;
    }
}

is(join("\n", @late), '', 'whichever worker is asked');
is(join(' ', grep { !/^(?:BYPASS|MISS|HIT)$/ } keys %x), '',
   'the cache or the database');
settled($::POSTS);
is(told(at($pids[0], $::POSTS)) =~ /^HIT \d+ round-200$/, 1,
   'then it is kept');


=== TEST 8: a request that does not go upstream raises no fence
--- config eval
my $slow = <<'CONF';
location /api/slow { softfactory_pass primary; softfactory_fallback @slow; }
location /api/part { softfactory_pass primary; softfactory_fallback @part; }
location @slow { rewrite ^ /written break; proxy_pass $app; }
location @part {
    rewrite ^ /written break;
    proxy_pass $app;
    proxy_http_version 1.1;
    proxy_request_buffering off;
}
CONF
(my $written = $::APP) =~ s{\@app}{= /written};
$slow =~ s{\$app}{'http://127.0.0.1:$TEST_NGINX_SERVER_PORT'}ge;
$::CONFIG . $slow . $written
--- check
warm();

my ($a, $b) = worker_pids();
my $old = told(at($b, $::POSTS));

# 100 says that nginx has begun to read the body

my $slow = sub {
    my ($path, $text) = @_;

    my $c = start("$path?v=1:$text:2", method => 'POST', token => $::TOKEN{1},
                  headers => ['Content-Length: 10', 'Expect: 100-continue']);

    $c->more(time + 20)
        until $c->{buffer} =~ s/^HTTP\S+ 100 .*?\r\n\r\n//s;
    $c->send('12345');

    return $c;
};

like($old, qr/^HIT/, 'there is an answer');
$::GATE->shut;

my $c = $slow->('/api/slow', 'slow');

is(told(at($_, $::POSTS)), $old, 'a body that is not complete') for $a, $b;
$c->send('67890');
like($c->finish->{body}, qr/^outcome:0 .*\nslow\|/, 'then it is passed on');
like(told(at($_, $::POSTS)), qr/^BYPASS \d+ slow$/, 'and has its fence')
    for $a, $b;

$::GATE->open;
settled($::POSTS);
wait_until { x(at($b, $::POSTS)) eq 'HIT' } 'there is an answer';
$::GATE->shut;
$slow->('/api/slow', 'left')->close;
wait_until { log_count(qr/prematurely closed/) } 'the client has gone';
is(told(at($b, $::POSTS)), told(at($a, $::POSTS)), 'one that does not come');
like(told(at($b, $::POSTS)), qr/^HIT/, 'leaves no fence either');

# the first part goes upstream

$c = $slow->('/api/part', 'part');
wait_until { x(at($a, $::POSTS)) eq 'BYPASS' } 'a fence';
like(told(at($b, $::POSTS)), qr/^BYPASS/, 'a body that is not buffered');
$c->send('67890');
like($c->finish->{body}, qr/^outcome:0 .*\npart\|/, 'that is passed on');
like(told(at($_, $::POSTS)), qr/^BYPASS \d+ part$/, 'and read') for $a, $b;

# a handler that does not read it

$::GATE->open;
settled($::POSTS);
wait_until { x(at($b, $::POSTS)) eq 'HIT' } 'there is an answer';
$::GATE->shut;

my ($next) = clients($b, 1);

is(wrote('unread', at => $b, headers => ['Content-Length: 3', '', 'abc']),
   'wrote', 'a body that nobody reads');
$next->send(SoftFactory::Live::request_text($::POSTS, token => $::TOKEN{1}));
like(told($next->finish), qr/^BYPASS \d+ unread$/, 'is a write as well');
$::GATE->open;


=== TEST 9: what is read after a write is read once for all
--- check
warm();

my ($a, $b) = worker_pids();
my $path = '/api/review/listings/1';
my @first = clients($a, 5);
my @second = clients($a, 5);
my $n = zone_status()->{cache}{followers};

$::GATE->shut;
is(wrote('one', user => 1), 'wrote', 'one writes');

my $lock = hold('LOCK TABLE review_listings IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my $m = executed {
    asks($path, 1, @first);
    joined($n + 4);

    # of the same user, whose answer it is

    is(wrote('two', user => 1), 'wrote', 'he writes again');
    asks($path, 1, @second);
    joined($n + 8);
    $lock->release;
    is(join(' ', map { x($_->finish) } @first, @second),
       join(' ', ('BYPASS') x 10), 'all are answered');
} qr/review_listing\b/;

is($m, 2, 'who comes after a write joins what began after it');

# of several users, what is for all

$lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
             dbname => $::DB);

my @users = (1, 2);
my @posts = map { start("$::POSTS?v=$_:late:2", method => 'POST',
                        token => $::TOKEN{$_}) } @users;

wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock' AND "
                      . "application_name = 'softfactory/write'") == 2 }
           'two write';
$lock->release;
like($_->finish->{body}, qr/^outcome:0/, 'it is done') for @posts;

# their fences are up now

wait_until { x(at($a, $::POSTS, user => 2)) eq 'BYPASS' } 'a fence';
$lock = hold('LOCK TABLE campaigns IN ACCESS EXCLUSIVE MODE',
             dbname => $::DB);
$n = zone_status()->{cache}{followers};
$m = executed {
    asks("$::CAMPAIGN/2", 1, @first);
    asks("$::CAMPAIGN/2", 2, @second);
    joined($n + 9);
    $lock->release;
    is(join(' ', map { told($_->finish) } @first, @second),
       join(' ', ('BYPASS late') x 10), 'two users');
} qr/review_campaign\b/;

is($m, 1, 'one statement');
$::GATE->open;


=== TEST 10: while a write is under way nothing that was sent is shared
--- http_config eval
(my $http = $::HTTP) =~ s/heavy=2/heavy=1 depth=1/;
"softfactory_listen_lease 60s;\n$http"
--- check
warm();

my ($a, $b) = worker_pids();
my $path = '/api/review/listings/search?q=listing';
my @clients = clients($a, 10);
my $n = zone_status()->{cache}{followers};
my $row = hold("SELECT FROM campaigns WHERE id = 3 FOR UPDATE",
               dbname => $::DB);
my $post = start("$::POSTS?v=1:under:3", method => 'POST',
                 token => $::TOKEN{1});
my $waiting = sub {
    my ($sessions) = @_;

    wait_until { backends("datname = '$::DB' AND wait_event_type = 'Lock'")
                 >= $sessions } "$sessions wait";
};

$waiting->(1);

my $lock = hold('LOCK TABLE review_listings IN ACCESS EXCLUSIVE MODE',
                dbname => $::DB);
my $m = executed {

    # the first one has been sent, those behind it have not

    asks($path, 1, $clients[0]);
    $waiting->(2);
    asks($path, 1, @clients[1 .. 9]);
    wait_until { zone_status()->{cache}{followers} >= $n + 8 }
               'the rest wait for one';
    $lock->release;
    is(join(' ', map { x($_->finish) } @clients),
       join(' ', ('BYPASS') x 10), 'all are answered');
} qr/review_listings_search/;

cmp_ok($m, '>', 2, 'who comes later has not been answered by the first');
cmp_ok($m, '<', 6, 'but by one of their own');
$row->release;
like($post->finish->{body}, qr/^outcome:0/, 'the write is over');

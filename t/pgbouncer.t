# A pooler between the module and PostgreSQL that gives its sessions to whoever
# has a transaction: what a connection has prepared may be known on the next
# session or not, and what is known there may be another connection's.  Every
# answer is that of a server without it.

# valgrind: no

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;

no_shuffle();
no_root_location();
master_on();
workers(4);
worker_connections(512);
log_level('info');
plan('no_plan');

our $DB = scratch('sf_bouncer', 'softfactory');
our $CLIENTS = 12;
our $REQUESTS = sanitized() ? 100 : 200;

psql("ALTER ROLE app IN DATABASE $DB SET TimeZone = 'UTC'",
     user => 'postgres');

# fewer sessions than the module has connections: 4 workers with 2 or 3

our %PORT = map {
    $_ => pg_bouncer($_, $DB, pool_mode => $_, default_pool_size => 4)
} qw(transaction statement);

# the same, but a Sync comes when the answer to the one before is out

our $GATE = SoftFactory::Gate->new(pg_bouncer('late', $DB,
    pool_mode => 'transaction', default_pool_size => 2));
$GATE->late;
$PORT{late} = $GATE->port;


# mix(): paths, and by whom they are asked

sub mix {
    my @users = ('demo_token', map { jwt(user_id => $_) } 2 .. 6);
    my @mix = map { ["/api/review/campaigns/$_", undef] } 1 .. 6;

    push @mix, map { ["/api/review/campaigns?$_", undef] }
        '', 'page=2&per_page=3', 'category=beauty', 'category=food&page=2',
        'category=none';

    for my $user (@users) {
        push @mix, map { ["/api/$_", $user] } qw(
            review/my-campaigns review/my-applications review/bookmarks
            review/listings review/listings/1 review/listings/2
            review/listings?category=beauty
            review/listings?sort_by=reward_value&per_page=5
            review/listings/search?q=an review/campaigns/3/applications
            sns/accounts sns/posts sns/posts?status=draft sns/analytics
            dashboard/summary dashboard/kpis analytics/overview
            analytics/cohort analytics/funnel performance/roi);
    }

    return @mix;
}


# said($response): what counts of it

sub said {
    my ($res) = @_;

    return "$res->{status} $res->{body}";
}


# compare($prefix, $expected, @changes): the clients ask, each in an order of its
# own, while the changes are made; (right, busy, and what was wrong)

sub compare {
    my ($prefix, $expected, @changes) = @_;

    my @mix = mix();
    my @clients;
    my $before = () = access_log() =~ /\n/g;

    for my $n (1 .. $::CLIENTS) {
        my $pid = open my $out, '-|';
        die "fork: $!" if !defined $pid;

        if (!$pid) {
            for my $i (1 .. $::REQUESTS) {
                my $k = ($n * 17 + $i * (2 * $n + 1)) % @mix;
                my $res = fetch("/$prefix$mix[$k][0]", token => $mix[$k][1]);
                my $said = said($res);

                print $said eq $expected->[$k] ? "right\n"
                      : $res->{status} == 503 ? "busy\n"
                      : "wrong $mix[$k][0]: $said" =~ s/\n//gr . "\n";
            }

            STDOUT->flush;
            POSIX::_exit(0);
        }

        push @clients, $out;
    }

    # the changes are spread over what is asked

    for my $i (1 .. @changes) {
        my $due = $before
                  + $i * $::CLIENTS * $::REQUESTS / (@changes + 1);

        wait_until { (() = access_log() =~ /\n/g) >= $due }
                   'enough has been asked', 60;
        psql($changes[$i - 1], dbname => $::DB);
    }

    my %count = (right => 0, busy => 0);
    my @wrong;

    for my $out (@clients) {
        while (<$out>) {
            /^(right|busy)$/ ? $count{$1}++ : push @wrong, $_;
        }

        close $out;
    }

    diag("$prefix: right $count{right}, busy $count{busy}, wrong "
         . scalar @wrong);

    return (@count{qw(right busy)}, @wrong);
}


# clashes(): how often the server has said what about the names of statements

sub clashes {
    my $log = SoftFactory::Live::read_file("$ENV{SF_TEST_PG_DIR}/pg.log");

    return { map { my $what = $_; $what => scalar(() = $log =~ /$what/g) }
             'prepared statement "\w+" already exists',
             'prepared statement "\w+" does not exist',
             'cached plan must not change result type' };
}


# at($prefix, $upstream, @lines): the API below a prefix

sub at {
    my ($prefix, $upstream, @lines) = @_;

    return "location /$prefix/ {\n    rewrite ^/$prefix(/.*) \$1 break;\n"
           . "    softfactory_pass $upstream;\n" . join('', @lines) . "}\n";
}


# pooled($mode, $pool): an upstream by the pooler, whose listener goes direct

sub pooled {
    my ($mode, $pool) = @_;

    return main::conf(name => $mode, dbname => $::DB,
                      server => "127.0.0.1:$::PORT{$mode}", listen => 'primary',
                      pool => "connections=2 heavy=1 wait=20s timeout=20s "
                      . ($pool // ''));
}

run_tests();

__DATA__

=== TEST 1: in transaction mode each response is that of the server itself
--- http_config eval
"softfactory_zone api 16m;\n"
. main::conf(dbname => $::DB) . main::pooled('transaction')
--- config eval
qq{softfactory_jwt_secret "$SoftFactory::SECRET";\n}
. "softfactory_token demo_token user=1 products=all;\n"
. main::at('direct', 'primary', "softfactory_cache off;\n")
. main::at('plain', 'transaction', "softfactory_cache off;\n")
. main::at('cached', 'transaction', "softfactory_cache api;\n"
           . "softfactory_cache_ttl all 1s;\n")
--- check
my @mix = mix();
my @expected = map { said(fetch("/direct$_->[0]", token => $_->[1])) } @mix;
my $clashes = clashes();

is(scalar(grep { /^(?:200|403|404) / } @expected), scalar @mix,
   'there is something to compare with');
cmp_ok(scalar(grep { /^200 / } @expected), '>', @mix / 2, 'mostly answers');

# types that look the same in JSON, and make plans stale; a table at a time, so
# that no statement holds one and waits for another

my @changes = map { my $type = $_;
    ("ALTER TABLE campaigns ALTER title TYPE $type->[0],
                            ALTER max_reviewers TYPE $type->[1]",
     "ALTER TABLE review_listings ALTER title TYPE $type->[0],
                                  ALTER reward_value TYPE $type->[1]",
     "ALTER TABLE sns_accounts ALTER account_name TYPE $type->[0]") }
    ['text', 'bigint'], ['varchar(500)', 'integer'];

my $all = $::CLIENTS * $::REQUESTS;

for my $prefix (qw(plain cached)) {
    my ($right, $busy, @wrong) = compare($prefix, \@expected, @changes);

    is_deeply([@wrong[0 .. ($#wrong < 4 ? $#wrong : 4)]], [],
              "$prefix: no answer is wrong");
    is($busy, 0, "$prefix: none is refused");
    is($right, $all, "$prefix: all are right");
}

for my $what (sort keys %$clashes) {
    cmp_ok(clashes()->{$what}, '>', $clashes->{$what}, "the server has said: "
           . $what);
}

is(log_count(qr/42P05|26000|0A000|08P01/), 0, 'our log has nothing of it');


=== TEST 2: in statement mode too
--- http_config eval
main::conf(dbname => $::DB) . main::pooled('statement')
--- config eval
qq{softfactory_jwt_secret "$SoftFactory::SECRET";\n}
. "softfactory_token demo_token user=1 products=all;\n"
. main::at('direct', 'primary') . main::at('statement', 'statement')
--- check
my @mix = mix();
my @expected = map { said(fetch("/direct$_->[0]", token => $_->[1])) } @mix;
my ($right, $busy, @wrong) = compare('statement', \@expected);

is_deeply(\@wrong, [], 'no answer is wrong');
is($busy, 0, 'none is refused');
is($right, $::CLIENTS * $::REQUESTS, 'all are right');


=== TEST 3: a change of the schema gives statements other texts and names
--- http_config eval
"softfactory_zone api 8m;\n" . main::conf(dbname => $::DB)
--- config eval
qq{softfactory_jwt_secret "$SoftFactory::SECRET";\n}
. "softfactory_token demo_token user=1 products=all;\n"
. main::at('direct', 'primary', "softfactory_cache api;\n")
. SoftFactory::operators('api')
--- check
my $path = '/direct/api/review/campaigns/1?n=';
my $n = 0;
my $era = sub {
    my $log = "$ENV{SF_TEST_PG_DIR}/pg.log";
    my $from = -s $log;

    # of another campaign each time: not from the cache

    fetch('/direct/api/review/campaigns/' . ++$n);

    # a text has lines, which the log indents

    my ($text) = reverse grep { /review_campaign \*/ && /LOG:  execute / }
                 split /\n(?!\t)/,
                 substr(SoftFactory::Live::read_file($log), $from);

    return $text && $text =~ /-- era (\d+)$/ ? $1 : 0;
};

log_statements($::DB);
install_notify($::DB);
reconfigure { s/worker_processes +4/worker_processes 1/ };
wait_coherent();

my $before = $era->();

psql("ALTER TABLE campaigns ADD more text", dbname => $::DB);
wait_until { $era->() > $before } 'statements are of another era';
pass('statements are of another era');


=== TEST 4: a session is not given back with half of what was sent
--- http_config eval
main::conf(dbname => $::DB) . main::pooled('late')
--- config eval
qq{softfactory_jwt_secret "$SoftFactory::SECRET";\n}
. "softfactory_token demo_token user=1 products=all;\n"
. main::at('direct', 'primary') . main::at('late', 'late')
--- check
my @mix = mix();
my @expected = map { said(fetch("/direct$_->[0]", token => $_->[1])) } @mix;
my ($right, $busy, @wrong) = compare('late', \@expected);

is_deeply(\@wrong, [], 'no answer is wrong');
is($busy, 0, 'none is refused');
is($right, $::CLIENTS * $::REQUESTS, 'all are right');

my $said = 'is a pooler, its connections are given one statement at a time';

like(error_log(), qr/upstream "late": 127\.0\.0\.1:\d+ $said/,
     'the pooler is recognised');
unlike(error_log(), qr/upstream "primary".*$said/,
       'and the server is not taken for one');

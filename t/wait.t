# The waits of the suites themselves: each that is in vain ends, and says what
# it waited for and where.

use strict;
use warnings;
use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Gate;
use SoftFactory::Live;
use SoftFactory::Wait;

no_shuffle();
no_root_location();
plan('no_plan');


# in_vain_is { code } $what: one test: it ends in time, and says that

sub in_vain_is(&$) {
    my ($code, $what) = @_;

    my $line = (caller)[2];
    my $begin = time;

    {
        local $ENV{SF_TEST_PATIENCE} = 0.3;
        eval { $code->() };
    }

    my $why = $@ =~ s/^(waited) [\d.]+ s /$1 /r;
    my $late = time - $begin > 20 ? ', far too late' : '';

    is($why . $late, "waited for $what, at t/wait.t line $line\n",
       "in vain: $what");
}


our @DB = (dbname => 'softfactory');

sub tells {
    goto &SoftFactory::Live::told;
}


run_tests();

__DATA__

=== TEST 1: a psql that does not answer
--- check
in_vain_is { ask('SELECT pg_sleep(5)') } 'psql: SELECT pg_sleep(5)';
is(ask('SELECT 1'), 1, 'the next question has a session of its own');
in_vain_is { psql('SELECT  pg_sleep(5)') } 'psql: SELECT pg_sleep(5)';
in_vain_is { hold('SELECT pg_sleep(5)') } 'psql: SELECT pg_sleep(5)';
is(tells('SELECT 1', @::DB), 0, 'a session that listens');
in_vain_is { tells('SELECT pg_sleep(5)', @::DB) } 'psql: SELECT pg_sleep(5)';


=== TEST 2: a program that does not end
--- check
in_vain_is { program('sleep 60', ['sleep', 60]) } 'sleep 60';
in_vain_is { command('sleep', 60)->() } 'sleep 60';
my @deaf = ('sh', '-c', 'exec sleep 60 >&- 2>&-');
in_vain_is { program('a shell', \@deaf) } 'the end of a shell';


=== TEST 3: an answer that does not come
--- check
my $half = start('/half', bytes => "GET /half HTTP/1.1\r\n");
in_vain_is { $half->finish(0.3) } 'an answer to GET /half';
in_vain_is { wait_until { 0 } 'never', 0.3 } 'never';

my $gate = SoftFactory::Gate->new($ENV{SF_TEST_PG_SOCKET});

is($gate->shut, 'ok', 'a gate answers');


=== TEST 4: a psql that has ended
--- check
eval { ask('\q') };
like($@, qr/^the end came instead of psql: \\q, at t\/wait\.t line \d+: /,
     'what is said of it');
is(ask('SELECT 2'), 2, 'the next question has a session of its own');


=== TEST 5: the next statement behind the data of a COPY is read
--- check
ask('CREATE TEMP TABLE copied (n int)');
ask("COPY copied FROM stdin;\n1\n2\n\\.");
is(ask('SELECT sum(n) FROM copied'), 3, 'rows');
ask("COPY copied FROM stdin;\n\\.\n");
is(ask('SELECT sum(n) FROM copied; -- with a comment'), 3, 'none');

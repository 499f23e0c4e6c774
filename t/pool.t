# What the pool does with errors, in every place of a pipeline, and with
# transactions: statements of the test module (t/modules) over all lanes.

use strict;
use warnings;
use lib 't/lib';
use SoftFactory::Wait;
use Test::Nginx::Socket;

no_shuffle();
no_root_location();
plan('no_plan');

sub runs {
    my ($what, $sql) = @_;

    my ($status, $text) = program("psql: $what",
        ["$ENV{SF_TEST_PG_BIN}/psql", qw(-qAtX -v ON_ERROR_STOP=1),
         '-h', $ENV{SF_TEST_PG_DIR}, '-p', $ENV{SF_TEST_PG_PORT},
         qw(-U app -d softfactory)], input => $sql);

    die "psql fails: $text" if $status;
}


runs('a table and functions', <<'SQL');
DROP TABLE IF EXISTS sf_test_pool;
CREATE TABLE sf_test_pool (n int, UNIQUE (n) DEFERRABLE INITIALLY DEFERRED);
CREATE OR REPLACE FUNCTION sf_test_raise(code text) RETURNS int
LANGUAGE plpgsql AS $$
BEGIN
    IF code <> '' THEN
        RAISE EXCEPTION 'raised for the test' USING ERRCODE = code;
    END IF;
    RETURN 1;
END $$;
CREATE OR REPLACE FUNCTION sf_test_once(code text) RETURNS int
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'
                   AND objid = 4711)
    THEN
        PERFORM pg_advisory_lock(4711);
        RAISE EXCEPTION 'raised the first time' USING ERRCODE = code;
    END IF;
    RETURN 1;
END $$;
SQL

my $self = $$;

END {
    local $?;

    runs('none of it', <<'SQL') if $$ == $self;
DROP TABLE IF EXISTS sf_test_pool;
DROP FUNCTION IF EXISTS sf_test_raise;
DROP FUNCTION IF EXISTS sf_test_once;
SQL
}


add_block_preprocessor(sub {
    my ($block) = @_;

    my $pool = $block->pool // '';

    $block->set_value('http_config', <<"CONF" . ($block->http_config // ''));
    include $ENV{SF_TEST_API}/*.conf;
    upstream primary {
        server unix:$ENV{SF_TEST_PG_SOCKET};
        softfactory_pg "dbname=softfactory user=app";
        softfactory_pg_pool connections=1 heavy=1 write=1 timeout=3s
                            write_timeout=3s lock_timeout=100ms $pool;
    }
CONF

    $block->set_value('config', <<'CONF' . ($block->config // ''));
    location /api/ { softfactory_pass primary; }

    location = /divide {
        softfactory_test_statement primary read 1
            "SELECT 8 / ($1::int - 2)";
    }

    location = /raise {
        softfactory_test_statement primary read 1
            "SELECT public.sf_test_raise($1)";
    }

    location = /insert {
        softfactory_test_statement primary write 1
            "INSERT INTO public.sf_test_pool VALUES ($1) RETURNING n";
    }

    location = /count {
        softfactory_test_statement primary heavy 1
            "SELECT count(*) FROM public.sf_test_pool";
    }
CONF

    if (!defined $block->no_error_log) {
        $block->set_value('no_error_log', "[alert]\n[crit]\n[emerg]");
    }
});

run_tests();

__DATA__

=== TEST 1: a statement on each lane is answered
--- request eval
["GET /divide?v=4", "GET /count", "GET /insert?v=1", "GET /count"]
--- response_body eval
["outcome:0 sqlstate: retried:0\n4|\n",
 "outcome:0 sqlstate: retried:0\n0|\n",
 "outcome:0 sqlstate: retried:0\n1|\n",
 "outcome:0 sqlstate: retried:0\n1|\n"]


=== TEST 2: an error in the middle of a shared Sync fails only the guilty one
--- config
location = /all {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/divide?v=3" --><!--#include
        virtual="/divide?v=2" --><!--#include
        virtual="/divide?v=4" --><!--#include
        virtual="/divide?v=10" -->';
}
--- request
GET /all
--- response_body
outcome:0 sqlstate: retried:0
8|
outcome:9 sqlstate:22012 retried:0
outcome:0 sqlstate: retried:0
4|
outcome:0 sqlstate: retried:0
1|


=== TEST 3: an error in the first place
--- config
location = /all {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/divide?v=2" --><!--#include
        virtual="/divide?v=3" --><!--#include
        virtual="/divide?v=4" -->';
}
--- request
GET /all
--- response_body
outcome:9 sqlstate:22012 retried:0
outcome:0 sqlstate: retried:0
8|
outcome:0 sqlstate: retried:0
4|


=== TEST 4: errors in the last place and in all places but one
--- config
location = /all {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/divide?v=2" --><!--#include
        virtual="/divide?v=2" --><!--#include
        virtual="/divide?v=4" --><!--#include
        virtual="/divide?v=2" -->';
}
--- request
GET /all
--- response_body
outcome:9 sqlstate:22012 retried:0
outcome:9 sqlstate:22012 retried:0
outcome:0 sqlstate: retried:0
4|
outcome:9 sqlstate:22012 retried:0


=== TEST 5: the same without a shared Sync
--- pool: shared_sync=off
--- config
location = /all {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/divide?v=3" --><!--#include
        virtual="/divide?v=2" --><!--#include
        virtual="/divide?v=4" -->';
}
--- request
GET /all
--- response_body
outcome:0 sqlstate: retried:0
8|
outcome:9 sqlstate:22012 retried:0
outcome:0 sqlstate: retried:0
4|


=== TEST 6: the same without prepared statements
--- pool: prepare=off
--- config
location = /all {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/divide?v=3" --><!--#include
        virtual="/divide?v=2" --><!--#include
        virtual="/divide?v=4" -->';
}
--- request
GET /all
--- response_body
outcome:0 sqlstate: retried:0
8|
outcome:9 sqlstate:22012 retried:0
outcome:0 sqlstate: retried:0
4|


=== TEST 7: every class of SQLSTATE has its outcome
--- request eval
["GET /raise?v=57014", "GET /raise?v=42501", "GET /raise?v=42P01",
 "GET /raise?v=22003", "GET /raise?v=40001", "GET /raise?v=40P01",
 "GET /raise?v=55P03", "GET /raise?v=53200", "GET /raise?v=XX000",
 "GET /raise?v=P0001", "GET /raise?v=23505", "GET /raise?v=25006"]
--- response_body eval
["outcome:4 sqlstate:57014 retried:0\n",
 "outcome:5 sqlstate:42501 retried:0\n",
 "outcome:8 sqlstate:42P01 retried:0\n",
 "outcome:6 sqlstate:22003 retried:0\n",
 "outcome:7 sqlstate:40001 retried:1\n",
 "outcome:7 sqlstate:40P01 retried:1\n",
 "outcome:7 sqlstate:55P03 retried:0\n",
 "outcome:3 sqlstate:53200 retried:0\n",
 "outcome:9 sqlstate:XX000 retried:0\n",
 "outcome:9 sqlstate:P0001 retried:0\n",
 "outcome:9 sqlstate:23505 retried:0\n",
 "outcome:3 sqlstate:25006 retried:0\n"]


=== TEST 8: a read that meets a conflict once is sent again and answered
--- config
location = /once {
    softfactory_test_statement primary heavy 1 "SELECT public.sf_test_once('40001')";
}
--- request
GET /once
--- response_body
outcome:0 sqlstate:40001 retried:1
1|


=== TEST 9: a statement that kills its backend is not sent a fourth time
--- config
location = /suicide {
    softfactory_test_statement primary read 1
        "SELECT pg_terminate_backend(pg_backend_pid())";
}
--- request eval
["GET /suicide", "GET /divide?v=4"]
--- response_body eval
["outcome:3 sqlstate: retried:2\n", "outcome:0 sqlstate: retried:0\n4|\n"]


=== TEST 10: a write that loses its connection is never repeated
--- config
location = /suicide {
    softfactory_test_statement primary write 1
        "SELECT pg_terminate_backend(pg_backend_pid())";
}
--- request eval
["GET /suicide", "GET /insert?v=10"]
--- response_body eval
["outcome:3 sqlstate: retried:0\n", "outcome:0 sqlstate: retried:0\n10|\n"]


=== TEST 11: a write is successful only when its commit is
--- request eval
["GET /insert?v=20", "GET /insert?v=20", "GET /insert?v=21", "GET /count"]
--- response_body_like eval
["outcome:0 sqlstate: retried:0\n20\\|\n",
 "outcome:9 sqlstate:23505 retried:0\n",
 "outcome:0 sqlstate: retried:0\n21\\|\n",
 "outcome:0 sqlstate: retried:0\n4\\|\n"]


=== TEST 12: a write that fails leaves its connection usable
--- request eval
["GET /insert?v=no-number", "GET /insert?v=30"]
--- response_body eval
["outcome:6 sqlstate:22P02 retried:0\n", "outcome:0 sqlstate: retried:0\n30|\n"]


=== TEST 13: a read lane refuses to write, and nobody takes it for a failover
--- config
location = /sneak {
    softfactory_test_statement primary read 1
        "INSERT INTO public.sf_test_pool VALUES (99) RETURNING n";
}
--- request eval
["GET /sneak", "GET /divide?v=4"]
--- response_body eval
["outcome:3 sqlstate:25006 retried:0\n", "outcome:0 sqlstate: retried:0\n4|\n"]


=== TEST 14: a statement that cannot be prepared fails alone
--- config
location = /broken {
    softfactory_test_statement primary read 1 "SELECT no_such_column";
}
location = /all {
    ssi on;
    default_type text/html;
    return 200 '<!--#include virtual="/divide?v=3" --><!--#include
        virtual="/broken" --><!--#include
        virtual="/divide?v=4" -->';
}
--- request
GET /all
--- response_body_like chomp
\Aoutcome:0 sqlstate: retried:0
8\|
outcome:8 sqlstate:42703 retried:\d
outcome:0 sqlstate: retried:0
4\|
\z


=== TEST 15: a result with another number of columns is nobody's
--- config
location = /two {
    softfactory_test_statement primary read 1 "SELECT 1, 2";
}
--- request
GET /two
--- response_body
outcome:3 sqlstate: retried:1
--- error_log
result does not match the pipeline


=== TEST 16: and the connection that brought it is replaced
--- config
location = /two {
    softfactory_test_statement primary read 1 "SELECT 1, 2";
}
--- request eval
["GET /two", "GET /divide?v=4"]
--- response_body eval
["outcome:3 sqlstate: retried:1\n", "outcome:0 sqlstate: retried:0\n4|\n"]

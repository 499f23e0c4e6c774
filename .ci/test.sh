#!/usr/bin/env bash
#
# make test: checks, unit tests, then the suite t/*.t twice against a private
# PostgreSQL: with the nginx of this machine, and with nginx under ASan and
# UBSan.  `.ci/test.sh t/route.t` runs only that file, twice;
# `.ci/test.sh -1 t/route.t` once, with the nginx of this machine and a
# PostgreSQL that stays for the next time: a matter of seconds.  Several files
# may be named.  SUITE_LIMIT=SECONDS is another limit for each of them than 300
# (600 with ASan).
#
# What a test may rely on in its environment:
#
#     SF_TEST_PG_DIR      folder of PostgreSQL's socket; there everybody is
#                         trusted, also the superuser postgres
#     SF_TEST_PG_PORT     port, on 127.0.0.1 and in the socket's name
#     SF_TEST_PG_SOCKET   $SF_TEST_PG_DIR/.s.PGSQL.$SF_TEST_PG_PORT
#     SF_TEST_PG_CA       certificate for sslmode=verify-full; the server's
#                         names are localhost and 127.0.0.1
#     SF_TEST_PG_BIN      PostgreSQL's programs (initdb, pg_ctl ...)
#     SF_TEST_SQL         conf/postgresql, absolute
#     SF_TEST_API         conf/api, absolute
#     SF_TEST_BUILD       build, absolute: scratch files go to its folder test
#     SF_TEST_SANITIZED   1 in the run with ASan (slower), else empty
#     TEST_NGINX_*        as Test::Nginx has them
#
# Database softfactory with small demo data, role app, password "secret"
# (asked for over TCP only).  Tests that change data put it back, or make a
# database of their own: app may.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$TOP/.ci/suite.sh"

cd "$TOP"
PASSED=0
FAILED=0


# step NAME COMMAND...: one test more; a command that counts for itself, in a
# line "N passed, N failed", is believed

step() {
    local name=$1 log=$TEST/$1.log status=0 counts
    shift

    echo "== $name"
    "$@" 2>&1 | tee "$log" || status=1
    counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed.*/\1 \2/p' "$log" |
             tail -n 1)

    if [ -n "$counts" ]; then
        PASSED=$((PASSED + ${counts% *}))
        FAILED=$((FAILED + ${counts#* }))
        [ "${counts#* }" = 0 ] || status=0
    elif [ "$status" = 0 ]; then
        PASSED=$((PASSED + 1))
    fi

    if [ "$status" != 0 ]; then
        echo "FAILED: $name"
        FAILED=$((FAILED + 1))
    fi
}


QUICK=
if [ "${1:-}" = -1 ]; then
    QUICK=1
    shift
    [ $# -gt 0 ] || die "usage: test.sh -1 t/FILE.t..."
fi

.ci/install.sh build run test

mkdir -p "$TEST"
exec 8> "$BUILD/.test.lock"
flock -n 8 || die "make test is at work already in this folder"

.ci/describe.sh

if [ -z "$QUICK" ]; then
    .ci/install.sh asan unit
    .ci/asan.sh
fi

if [ $# = 0 ]; then
    step check-runner .ci/check-runner.sh
    step check-style .ci/check-style.sh
    step check-includes .ci/check-includes.sh
    step check-docs .ci/check-docs.sh
    step check-notify .ci/check-notify.sh

    if [ -x .ci/unit.sh ]; then
        step unit .ci/unit.sh
    fi
fi

if [ -n "$QUICK" ]; then
    suite_kept
else
    suite_database
fi

[ -n "$QUICK" ] || step check-distribution .ci/check-distribution.sh

if [ $# = 0 ] && [ -z "$QUICK" ]; then
    step check-samples .ci/check-samples.sh
fi

export SF_TEST_SQL=$TOP/conf/postgresql SF_TEST_API=$TOP/conf/api
export SF_TEST_BUILD=$BUILD
export TEST_NGINX_BINARY=$TOP/.ci/nginx-keep-log.sh

export SF_NGINX=/usr/sbin/nginx SF_REPORTS=$TEST/reports SF_TEST_SANITIZED=
suite_modules
suite nginx 300 "$@"

if [ -n "$QUICK" ]; then
    echo "$PASSED passed, $FAILED failed"
    exit $((FAILED > 0))
fi

# Test::Nginx wants commas between these options

# nginx itself keeps its events, and a context of its regular expressions

printf 'leak:%s\n' ngx_event_process_init ngx_regex_malloc \
    > "$TEST/lsan.suppress"
export LSAN_OPTIONS=suppressions=$TEST/lsan.suppress:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS=detect_leaks=1,log_path=$TEST/reports-asan/asan
suite_modules "$BUILD/asan/nginx"
export SF_NGINX=$MODULES/nginx SF_REPORTS=$TEST/reports-asan
export SF_TEST_SANITIZED=1
unset TEST_NGINX_LOAD_MODULES
suite asan 600 "$@"

echo
echo "$PASSED passed, $FAILED failed" | tee "$TEST/summary"
[ "$FAILED" = 0 ]

#!/usr/bin/env bash
#
# Load tests: t/load.  Results go to build/load.
#
#     load.sh sessions     make load: the performance report's three scenarios
#                          by locust, 0 to 10 to 50 to 100 to 0 users in 5
#                          minutes; fails if p95 >= 500 ms or errors >= 1 %
#     load.sh 10k          make load-10k: 10,000 keep-alive connections at the
#                          report's pace and at k6's
#     load.sh expiry       make load-expiry: 40,000 answers that are made within
#                          20 seconds, until all have expired: six minutes
#
#     LOAD=short           less than a minute: that it runs
#     LOAD=long            sessions: the report's 30 minutes
#     LOAD_PACE=k6         sessions: an iteration of 7 requests in 4 seconds
#                          instead of 10 requests in 5 minutes
#     LOAD_BYPASS=1        every answer from the database
#
# and what else t/load/locustfile.py, load-10k.py and expiry.py say.
#
# The server is the module with two workers and the small demo data, in a
# PostgreSQL of its own.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

PYTHON=/usr/bin/python3
OUT=$BUILD/load
PG=$OUT/pg
RUNNER=
LIMIT=3600                      # seconds; the long form takes half of that

[ -x $PYTHON ] || PYTHON=python3
cd "$TOP"


finish() {
    trap '' INT TERM
    trap - EXIT

    if [ -n "$RUNNER" ] && kill -TERM "$RUNNER" 2> /dev/null; then
        wait "$RUNNER" || true
    fi

    .ci/postgres.sh stop "$PG"
    exit "$1"
}


# the k6 script cannot be run here, but read

check_k6() {
    if command -v node > /dev/null; then
        cp t/load/k6.js "$OUT/k6.mjs"
        node --check "$OUT/k6.mjs" || die "t/load/k6.js: syntax"
    else
        echo "no node here: t/load/k6.js is not checked"
    fi
}


database() {
    .ci/postgres.sh remove "$PG"
    .ci/postgres.sh start "$PG" 8>&-
    .ci/postgres.sh load "$PG" small
    eval "$(.ci/postgres.sh env "$PG")"

    LOAD_POSTMASTER=$(head -n 1 "$SF_TEST_PG_DIR/data/postmaster.pid")
    export LOAD_POSTMASTER
}


# run FILE: waits for it in the background, so that a signal is noticed

run() {
    local status=0

    timeout -k 60 $LIMIT "$PYTHON" -B -u "t/load/$1" 8>&- &
    RUNNER=$!
    wait "$RUNNER" || status=$?
    RUNNER=
    [ "$status" != 124 ] || die "t/load/$1 took more than $LIMIT s"
    return "$status"
}


case ${LOAD:-default} in
default | short | long)
    ;;
*)
    die "LOAD is short or long"
    ;;
esac

case ${1:-} in
sessions | 10k | expiry)
    ;;
*)
    die "usage: load.sh sessions | 10k | expiry"
    ;;
esac

.ci/install.sh build run load
.ci/build.sh
mkdir -p "$OUT"
exec 8> "$BUILD/.load.lock"
flock -n 8 || die "make load is at work already in this folder"

trap 'finish $?' EXIT
trap 'exit 1' INT TERM

export LOAD_BUILD=$BUILD LOAD_USER=

if is_root; then
    LOAD_USER=www-data
    reachable www-data "$OUT" || LOAD_USER=root
fi

case $1 in

sessions)
    check_k6
    database
    run run.py
    ;;

10k | expiry)
    gcc -O2 -g -W -Wall -Werror t/load/crowd.c -o "$OUT/crowd"
    database
    PGOPTIONS='-c client_min_messages=warning' psql -XqAt \
        -v ON_ERROR_STOP=1 -f t/bench/users.sql \
        "$(.ci/postgres.sh conninfo "$PG")"
    case $1 in
    10k)
        run load-10k.py
        ;;
    expiry)
        run expiry.py
        ;;
    esac
    ;;
esac

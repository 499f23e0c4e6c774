#!/usr/bin/env bash
#
# make bench: throughput and latency of the module, beside nginx alone, a Lua
# dictionary, libpq alone and pgbench with the same statements: t/bench.  The
# table goes to the terminal, every figure to build/bench.json.
#
#     BENCH=short      a minute, over little data: that it runs, no figures
#     BENCH_ROUNDS=3   fewer rounds than 9 (of some 2.5 minutes)
#     BENCH_SIZE=small data: small or large
#
# The database stays in build/bench for the next run; one that is two days old
# is made anew, because its campaigns expire.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
OUT=$BUILD/bench
export BENCH_BUILD=$BUILD BENCH_FORM=${BENCH:-long} BENCH_SIZE BENCH_WORKERS=

case $BENCH_FORM in
long)
    BENCH_SIZE=${BENCH_SIZE:-large}
    ;;
short)
    BENCH_SIZE=${BENCH_SIZE:-small}
    ;;
*)
    die "BENCH is short or long"
    ;;
esac

PG=$OUT/pg
[ "$BENCH_SIZE" = large ] || PG=$OUT/pg-$BENCH_SIZE


# sql STATEMENT: as superuser

sql() {
    psql -h "$SF_TEST_PG_DIR" -p "$SF_TEST_PG_PORT" -U postgres -XAtq -c "$1" \
        "${2:-softfactory}"
}


start() {
    .ci/postgres.sh start "$PG" 8>&-
    eval "$(.ci/postgres.sh env "$PG")"
}


# all of it fits in memory, and nothing runs beside a measurement

database() {
    if [ -n "$(find "$PG.loaded" -mtime +1 2> /dev/null)" ]; then
        .ci/postgres.sh remove "$PG"
    fi

    start

    if [ "$(sql 'SHOW shared_buffers')" != 512MB ]; then
        sql "ALTER SYSTEM SET shared_buffers = '512MB'"
        sql "ALTER SYSTEM SET autovacuum = off"
        .ci/postgres.sh stop "$PG"
        start
    fi

    if [ -z "$(sql "SELECT to_regclass('campaigns')")" ]; then
        echo "loading $BENCH_SIZE demo data"
        touch "$PG.loaded"
    fi

    .ci/postgres.sh load "$PG" "$BENCH_SIZE"
}


# the module's own statements are printed by a tool that is linked like the
# unit tests; it is made again when a source is newer

tools() {
    if [ ! -x "$BUILD/tools/statements" ] ||
       [ -n "$(find src t/tools ./*.c -newer "$BUILD/tools/statements" \
               -name '*.[ch]')" ]
    then
        .ci/asan.sh
        .ci/tools.sh
    fi

    gcc -O2 -g -W -Wall -Werror -I"$(pg_config --includedir)" \
        t/bench/pgpipe.c -o "$OUT/pgpipe" -lpq
}


.ci/install.sh build run bench asan unit
.ci/build.sh
mkdir -p "$OUT"
exec 8> "$BUILD/.bench.lock"
flock -n 8 || die "make bench is at work already in this folder"

tools
trap '.ci/postgres.sh stop "$PG"' EXIT
trap 'exit 1' INT TERM
database

BENCH_IDS=$(sql 'SELECT max(id) FROM campaigns')
BENCH_CONNINFO=$(.ci/postgres.sh conninfo "$PG")
BENCH_POSTMASTER=$(head -n 1 "$SF_TEST_PG_DIR/data/postmaster.pid")
export BENCH_IDS BENCH_CONNINFO BENCH_POSTMASTER

if is_root; then
    BENCH_WORKERS=www-data
    reachable www-data "$OUT" || BENCH_WORKERS=root
fi

python3 -B -u t/bench/bench.py 8>&-

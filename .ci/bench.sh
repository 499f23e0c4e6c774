#!/usr/bin/env bash
#
# make bench: what the module can do on this machine, in four parts: t/bench.
# Tables go to the terminal, every figure to build/bench.json.
#
#     uncached     answers that ask the database, beside nginx alone, a Lua
#                  dictionary, libpq alone and pgbench with the same statements
#     hits         answers from the zone, beside nginx alone and a Lua
#                  dictionary with the same headers; the zone's mutex
#     coherence    from a commit to the end of the old answer; how many
#                  requests reach the database; storms of notifications
#     neighbours   who waits while a table is locked; how many statements a slow
#                  load makes
#     fair         what one user who searches a lot costs the lists of others;
#                  by BENCH_ONLY alone
#     notify       what the triggers cost a writer; by BENCH_ONLY alone
#
#     BENCH_ONLY=hits  one part
#     BENCH=short      two minutes, over little data: that it runs, no
#                      figures
#     BENCH_ROUNDS=3   fewer rounds than 9 (of some 2.5 minutes uncached, 1.5
#                      of hits)
#     BENCH_SIZE=small data of the uncached part: small or large
#
# The databases stay in build/bench for the next run; one that is two days old
# is made anew, because its campaigns expire.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
OUT=$BUILD/bench
LIMIT=5400                      # seconds for one part, long form
FAILED=
export BENCH_BUILD=$BUILD BENCH_FORM=${BENCH:-long} BENCH_SIZE BENCH_WORKERS=

case $BENCH_FORM in
long)
    LARGE=${BENCH_SIZE:-large}
    ;;
short)
    LARGE=${BENCH_SIZE:-small}
    ;;
*)
    die "BENCH is short or long"
    ;;
esac

case ${BENCH_ONLY:=uncached hits coherence neighbours} in
uncached | hits | coherence | neighbours | fair | notify | \
"uncached hits coherence neighbours")
    ;;
*)
    die "BENCH_ONLY is uncached, hits, coherence, neighbours, fair or notify"
    ;;
esac


# sql STATEMENT: as superuser

sql() {
    psql -h "$SF_TEST_PG_DIR" -p "$SF_TEST_PG_PORT" -U postgres -XAtq -c "$1" \
        "${2:-softfactory}"
}


start() {
    .ci/postgres.sh start "$PG" 8>&-
    eval "$(.ci/postgres.sh env "$PG")"
}


stop() {
    [ -z "${PG:-}" ] || .ci/postgres.sh stop "$PG"
}


# database FOLDER SIZE: a server of its own with demo data; all of it fits in
# memory, and nothing runs beside a measurement

database() {
    stop
    PG=$OUT/$1
    BENCH_SIZE=$2

    if [ -n "$(find "$PG.loaded" -mtime +1 2> /dev/null)" ]; then
        .ci/postgres.sh remove "$PG"
    fi

    start

    if [ "$(sql 'SHOW shared_buffers')" != 512MB ]; then
        sql "ALTER SYSTEM SET shared_buffers = '512MB'"
        sql "ALTER SYSTEM SET autovacuum = off"
        [ -z "$PRELOAD" ] ||
            sql "ALTER SYSTEM SET shared_preload_libraries = $PRELOAD"
        .ci/postgres.sh stop "$PG"
        start
    fi

    if [ -z "$(sql "SELECT to_regclass('campaigns')")" ]; then
        echo "loading $BENCH_SIZE demo data"
        touch "$PG.loaded"
    fi

    .ci/postgres.sh load "$PG" "$BENCH_SIZE"

    BENCH_IDS=$(sql 'SELECT max(id) FROM campaigns')
    BENCH_CONNINFO=$(.ci/postgres.sh conninfo "$PG")
    BENCH_POSTMASTER=$(head -n 1 "$SF_TEST_PG_DIR/data/postmaster.pid")
    export BENCH_IDS BENCH_CONNINFO BENCH_POSTMASTER
}


# as much of it as the form asks for

database_plain() {
    if [ "$LARGE" = large ]; then
        PRELOAD='' database pg large
    else
        PRELOAD='' database "pg-$LARGE" "$LARGE"
    fi
}


# the same for the cache: with triggers, statements that can be counted, and
# users beside the demo's

database_cached() {
    PRELOAD=pg_stat_statements database pg-cache small

    export PGOPTIONS='-c client_min_messages=warning'
    sql 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements'
    psql -XqAt -v ON_ERROR_STOP=1 -f t/bench/users.sql "$BENCH_CONNINFO"
    psql -Xq -v ON_ERROR_STOP=1 -f conf/postgresql/softfactory-tables.sql \
        "$BENCH_CONNINFO"
    unset PGOPTIONS
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


# part FILE

part() {
    within $LIMIT "t/bench/$1" python3 -B -u "t/bench/$1"
}


uncached() {
    .ci/install.sh asan unit
    tools

    database_plain
    part bench.py 8>&- || FAILED+=" uncached"
}


fair() {
    database_plain
    part fair.py 8>&- || FAILED+=" fair"
}


hits() {
    database_cached
    part hits.py 8>&- || FAILED+=" hits"
}


coherence() {
    gcc -O2 -g -W -Wall -Werror t/bench/clients.c -o "$OUT/clients"
    database_cached
    part coherence.py 8>&- || FAILED+=" coherence"
}


neighbours() {
    gcc -O2 -g -W -Wall -Werror t/bench/clients.c -o "$OUT/clients"
    PRELOAD=pg_stat_statements database "pg-neighbours-$LARGE" "$LARGE"
    sql 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements'
    part neighbours.py 8>&- || FAILED+=" neighbours"
}


notify() {
    within $LIMIT notify.sh t/bench/notify.sh 8>&- || FAILED+=" notify"
}


.ci/install.sh build run bench
.ci/build.sh
mkdir -p "$OUT"
exec 8> "$BUILD/.bench.lock"
flock -n 8 || die "make bench is at work already in this folder"

trap stop EXIT
trap 'exit 1' INT TERM

if is_root; then
    BENCH_WORKERS=www-data
    reachable www-data "$OUT" || BENCH_WORKERS=root
fi

for part in $BENCH_ONLY; do
    "$part"
done

[ -z "$FAILED" ] || die "failed:$FAILED"

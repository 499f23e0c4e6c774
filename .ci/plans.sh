#!/usr/bin/env bash
#
# plans.sh [check|time|prove] [NAME ...]: the module's statements against a
# private PostgreSQL with the large demo data (build/plans/pg; loading takes a
# minute or two, and is done again after a day or when conf/postgresql changes).
#
#     check    every text parses, and those of t/plans/NAME.expected get the
#              plans, the indexes and the pages expected (default)
#     time     the same, with the CPU that each costs the server
#     prove    every index of conf/postgresql/indexes.sql is needed: without it
#              something costs more pages than expected, or sorts
#
# t/plans/plans.py says what stands in a .expected file.

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/plans
PG=$OUT/pg
action=check

case ${1:-} in
check | time | prove)
    action=$1
    shift
    ;;
esac

mkdir -p "$OUT"
alone plans

trap '"$TOP/.ci/postgres.sh" stop "$PG"' EXIT
trap 'exit 1' INT TERM


# as_super SQL: as the superuser, by socket

as_super() {
    local info

    info=$("$TOP/.ci/postgres.sh" conninfo "$PG")
    psql -qX "${info% user=*} user=postgres" -v ON_ERROR_STOP=1 -c "$1"
}


# load: the large demo data; pages are counted, so they may all stay in memory

load() {
    rm -f "$OUT/loaded"
    "$TOP/.ci/postgres.sh" remove "$PG"
    "$TOP/.ci/postgres.sh" start "$PG"

    as_super "ALTER SYSTEM SET shared_buffers = '512MB'"
    as_super "ALTER SYSTEM SET autovacuum = off"
    as_super "ALTER SYSTEM SET max_wal_size = '4GB'"

    "$TOP/.ci/postgres.sh" stop "$PG"
    "$TOP/.ci/postgres.sh" start "$PG"
    "$TOP/.ci/postgres.sh" load "$PG" large

    as_super "VACUUM ANALYZE"
    echo "$1" > "$OUT/loaded"
}


"$TOP/.ci/tools.sh"

stamp=$(cat "$TOP"/conf/postgresql/*.sql | sha256sum)

if changed "$OUT/loaded" "$stamp" ||
   [ -n "$(find "$OUT/loaded" -mmin +1440)" ]
then
    load "$stamp"
else
    "$TOP/.ci/postgres.sh" start "$PG"
fi

PYTHONDONTWRITEBYTECODE=1 python3 "$TOP/t/plans/plans.py" "$action" \
    "$("$TOP/.ci/postgres.sh" conninfo "$PG")" "$BUILD/tools/statements" "$@"

#!/usr/bin/env bash
#
# What the triggers cost a writer: inserts of one row per transaction into
# campaign_applications, with and without them, by 1 and by 16 writers, with
# fsync, alone and with a synchronous standby.  The two are measured in
# rotation; the table has medians, transactions a second and their ratio.
#
#     NOTIFY_ROUNDS=5 NOTIFY_SECONDS=5 t/bench/notify.sh
#
# A session listens, as one of the module would.  Uses a server of its own in
# build/bench/notify, which is removed.

set -euo pipefail
. "$(dirname "$0")/../../.ci/lib.sh"

cd "$TOP"
ROUNDS=${NOTIFY_ROUNDS:-5}
SECONDS_EACH=${NOTIFY_SECONDS:-5}
HOME_OF=$BUILD/bench/notify
PG=$HOME_OF/pg
STANDBY=$HOME_OF/standby


sql() {
    psql -h "$SF_TEST_PG_DIR" -p "$SF_TEST_PG_PORT" -U postgres -XAtq \
        -v ON_ERROR_STOP=1 -d "$1" "${@:2}"
}


as_postgres() {
    if is_root; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}


finish() {
    trap '' INT TERM
    trap - EXIT
    [ -z "${LISTENER:-}" ] || kill "$LISTENER" 2> /dev/null || true
    [ ! -d "$STANDBY/data" ] ||
        as_postgres "$SF_TEST_PG_BIN/pg_ctl" -D "$STANDBY/data" -m immediate \
            -s stop || true
    .ci/postgres.sh remove "$PG" || true
    rm -rf "$HOME_OF"
    exit "$1"
}


# two databases of one server: plain, and told with the triggers

databases() {
    local db

    for db in plain told; do
        sql postgres -c "CREATE DATABASE $db"
        sql "$db" -f conf/postgresql/schema.sql > "$HOME_OF/load.log"
        sql "$db" -c "INSERT INTO users (id, email, password_hash, name)
                      VALUES (1, 'a', 'a', 'a')" \
            -c "INSERT INTO campaigns (id, creator_id, title, product_name,
                    category, reward_type, max_reviewers, deadline)
                VALUES (1, 1, 'a', 'a', 'a', 'a', 1, '2099-01-01')"
    done

    sql told -f conf/postgresql/softfactory-tables.sql > "$HOME_OF/load.log"
}


standby() {
    install -d -m 755 "$STANDBY"
    ! is_root || chown postgres: "$STANDBY"

    as_postgres "$SF_TEST_PG_BIN/pg_basebackup" -h "$SF_TEST_PG_DIR" \
        -p "$SF_TEST_PG_PORT" -U postgres -D "$STANDBY/data" -R -X stream \
        -c fast -C -S standby
    as_postgres sh -c "printf \"port = %s\nunix_socket_directories = '%s'\n\" \
        $(free_port 20000) '$STANDBY' >> '$STANDBY/data/postgresql.conf'"
    as_postgres "$SF_TEST_PG_BIN/pg_ctl" -D "$STANDBY/data" -w -s \
        -l "$STANDBY/pg.log" start
    sql postgres -c "ALTER SYSTEM SET synchronous_standby_names = '*'" \
        -c "SELECT pg_reload_conf()" > /dev/null
}


# rate DATABASE WRITERS: transactions a second

rate() {
    pgbench -n -h "$SF_TEST_PG_DIR" -p "$SF_TEST_PG_PORT" -U postgres \
        -M prepared -c "$2" -j 2 -T "$SECONDS_EACH" \
        -f "$HOME_OF/insert.sql" "$1" 2> /dev/null |
        sed -nE 's/^tps = ([0-9.]+).*/\1/p'
}


median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}


measure() {
    local writers round db

    for writers in 1 16; do
        rm -f "$HOME_OF"/*.rates
        for ((round = 0; round < ROUNDS; round++)); do
            for db in plain told; do
                rate $db $writers >> "$HOME_OF/$db.rates"
            done
        done
        printf '%-24s %7d  %9.0f  %9.0f  %5.2f\n' "$1" $writers \
            "$(median < "$HOME_OF/plain.rates")" \
            "$(median < "$HOME_OF/told.rates")" \
            "$(paste "$HOME_OF/told.rates" "$HOME_OF/plain.rates" |
               awk '{ print $1 / $2 }' | median)"
    done
}


mkdir -p "$HOME_OF"
trap 'finish $?' EXIT
trap 'exit 1' INT TERM
.ci/postgres.sh start "$PG" > /dev/null
eval "$(.ci/postgres.sh env "$PG")"

for setting in fsync synchronous_commit full_page_writes; do
    sql postgres -c "ALTER SYSTEM SET $setting = on"
done
sql postgres -c "SELECT pg_reload_conf()" > /dev/null

databases
cat > "$HOME_OF/insert.sql" << 'SQL'
INSERT INTO campaign_applications (campaign_id, user_id, message)
VALUES (1, 1, 'a');
SQL

# psql reads notifications when it has something to say

CHANNEL=$(sql told -c 'SELECT name FROM softfactory.channel')

(echo "LISTEN $CHANNEL;"
 while sleep 0.1; do echo 'SELECT 1;'; done) 2> /dev/null |
    sql told > /dev/null 2>&1 &
LISTENER=$!

echo "                         writers    without       with  ratio"
measure "fsync"
standby
measure "synchronous standby"

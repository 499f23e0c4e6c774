#!/usr/bin/env bash
#
# A private PostgreSQL in a folder of its own (default build/pg):
#
#     postgres.sh start [DIR [PORT]]       makes it at first, then starts it
#     postgres.sh stop [DIR]
#     postgres.sh remove [DIR]             stops it and removes its folder
#     postgres.sh load [DIR [SIZE]]        demo data, if the database is empty
#     postgres.sh psql [DIR [ARG...]]      psql, by socket, as app
#     postgres.sh conninfo [DIR]           libpq words: by socket, as app
#     postgres.sh env [DIR]                SF_TEST_PG_* for eval, see test.sh
#
# "start" takes the first free port from 15432 on, which after a "stop" may be
# another one: a demo that runs (make run) has to be started again then.
#
# Database softfactory, owned by the role app (password "secret").  By socket
# everybody is trusted, also the superuser postgres; over TCP (127.0.0.1,
# localhost) a password is asked for (SCRAM).  TLS is on, by a CA made for it:
# sslrootcert=DIR/tls/ca.crt sslmode=verify-full works.  Nothing here is made
# to survive a crash of the machine.
#
# A server cannot run as root, so root runs it as the user postgres.  If that
# user cannot enter DIR, or DIR is too long for a socket's path, a folder
# below /tmp stands in for it; the file DIR.dir tells which.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

FIRST_PORT=15432
LOAD_LIMIT=1200                 # seconds, for one file of the demo data
SOCKET_MAX=80


# as_pg COMMAND...: as the user who owns the server

as_pg() {
    if is_root; then
        (cd / && within 180 "$1" runuser -u postgres -- "$@")
    else
        within 180 "$1" "$@"
    fi
}


# locate DIR: sets D, where the server of DIR really is

locate() {
    D=$(realpath -m "$1")
    REMEMBERED=$D.dir

    if [ -f "$REMEMBERED" ]; then
        D=$(cat "$REMEMBERED")
    fi
}


# settle: makes the folder D, or another one if D will not do

settle() {
    mkdir -p "$(dirname "$D")"

    if [ "${#D}" -gt $SOCKET_MAX ] ||
       ! reachable postgres "$(dirname "$D")"
    then
        D=$(mktemp -d /tmp/softfactory-pg.XXXXXX)
        echo "$D" > "$REMEMBERED"
    fi

    mkdir -p "$D/tls"
    chmod 755 "$D" "$D/tls"

    if is_root; then
        chown postgres: "$D" "$D/tls"
    fi
}


make_tls() {
    cd "$D/tls"

    {
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 \
            -keyout ca.key -out ca.crt -subj "/CN=softfactory test CA"
        openssl req -newkey rsa:2048 -nodes -keyout server.key \
            -out server.csr -subj "/CN=localhost"
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key \
            -CAcreateserial -days 3650 -out server.crt -extfile /dev/stdin \
            <<< "subjectAltName = DNS:localhost, IP:127.0.0.1"
    } > tls.log 2>&1 || die "cannot make certificates, see $D/tls/tls.log"

    chmod 600 ./*.key
    chmod 644 ./*.crt

    if is_root; then
        chown postgres: server.key
    fi

    cd "$TOP"
}


configure() {
    as_pg tee -a "$D/data/postgresql.conf" > /dev/null << CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$D'
max_connections = 200
max_wal_senders = 4
shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
ssl = on
ssl_cert_file = '$D/tls/server.crt'
ssl_key_file = '$D/tls/server.key'
ssl_ca_file = '$D/tls/ca.crt'
log_line_prefix = '%m [%p] %a '
CONF
}


# make_cluster: all or nothing, so that a run that was cut off is made again

make_cluster() {
    rm -rf "$D/data" "$D/ready"
    make_tls

    as_pg "$BIN/initdb" -D "$D/data" -U postgres --auth-local=trust \
        --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8 --no-sync \
        > "$BUILD/initdb.log" 2>&1 || die "see $BUILD/initdb.log"
    configure
}


make_database() {
    within 120 "the role and the database" \
        psql -h "$D" -p "$1" -U postgres -d postgres -qX -v ON_ERROR_STOP=1 \
        << SQL
CREATE ROLE app LOGIN CREATEDB PASSWORD 'secret';
CREATE DATABASE softfactory OWNER app;
SQL
    as_pg touch "$D/ready"
}


# running: whether the server of D runs; a pid file may outlive its server,
# and its number may belong to another process by now

running() {
    local pid

    pid=$(head -n 1 "$D/data/postmaster.pid" 2> /dev/null) || return 1
    [ "$(readlink "/proc/$pid/cwd")" = "$(realpath "$D/data")" ]
}


port_of() {
    sed -n 4p "$D/data/postmaster.pid"
}


# launch PORT

launch() {
    as_pg rm -f "$D/data/postmaster.pid"
    as_pg "$BIN/pg_ctl" -D "$D/data" -l "$D/pg.log" -o "-p $1" -w -t 120 \
        -s start < /dev/null > "$BUILD/pg_ctl.log" 2>&1 8>&- 9>&-
}


start() {
    local port=${1:-} try

    if running; then
        if [ "${port:-$(port_of)}" != "$(port_of)" ]; then
            die "already runs on port $(port_of)"
        fi
        return
    fi

    if [ ! -f "$D/ready" ]; then
        settle
        make_cluster
    fi

    # a port that was free may be taken before the server takes it

    for try in 1 2 3 4 5; do
        if [ -z "${1:-}" ]; then
            port=$(free_port $((FIRST_PORT + (try - 1) * 7)))
        elif port_busy "$port"; then
            die "port $port is in use"
        fi
        if launch "$port"; then
            break
        elif [ -n "${1:-}" ] || [ "$try" = 5 ]; then
            die "cannot start PostgreSQL, see $D/pg.log"
        fi
    done

    [ -f "$D/ready" ] || make_database "$port"
}


stop() {
    if running; then
        as_pg "$BIN/pg_ctl" -D "$D/data" -m fast -w -t 60 -s stop ||
            as_pg "$BIN/pg_ctl" -D "$D/data" -m immediate -w -t 60 -s stop
    fi
}


remove() {
    stop
    rm -rf "$D" "$REMEMBERED"
}


# load SIZE: small or large; nothing is left when it fails

load() {
    local size=$1 sql=$TOP/conf/postgresql file has
    local app=(within $LOAD_LIMIT "psql, loading $1 demo data" env
               PGOPTIONS="-c client_min_messages=error" psql -h "$D"
               -p "$(port_of)" -U app -d softfactory -qX -v ON_ERROR_STOP=1)

    has=$("${app[@]}" -At << SQL
SELECT coalesce(shobj_description(oid, 'pg_database'), '')
  FROM pg_database WHERE datname = current_database();
SQL
)
    if [ -n "$has" ]; then
        [ "$has" = "demo data, $size" ] ||
            echo "the database keeps what it has: $has (not $size)"
        return
    fi

    for file in schema demo indexes softfactory-tables; do
        "${app[@]}" -v size="$size" -f "$sql/$file.sql" \
            > "$BUILD/load.log" 2>&1 || {
            tail -n 5 "$BUILD/load.log" >&2
            "${app[@]}" -c 'DROP OWNED BY app'
            die "cannot load $sql/$file.sql"
        }
    done

    "${app[@]}" -c "COMMENT ON DATABASE softfactory IS 'demo data, $size'" \
        -c "ANALYZE"
}


BIN=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2> /dev/null |
      sort -V | tail -n 1)
[ -x "$BIN/initdb" ] || die "no PostgreSQL here, run: .ci/install.sh run"

action=${1:-}
locate "${2:-$BUILD/pg}"

case $action in

start)
    start "${3:-}"
    ;;

stop | remove)
    $action
    ;;

load | psql | conninfo | env)
    running || die "no server runs in $D"
    ;;

*)
    die "usage: start|stop|remove|load|psql|conninfo|env [DIR ...]"
    ;;
esac

case $action in

load)
    load "${3:-small}"
    ;;

psql)
    exec psql -X -h "$D" -p "$(port_of)" -U app -d softfactory "${@:3}"
    ;;

conninfo)
    echo "host=$D port=$(port_of) dbname=softfactory user=app"
    ;;

env)
    echo "export SF_TEST_PG_DIR=$D SF_TEST_PG_PORT=$(port_of)"
    echo "export SF_TEST_PG_SOCKET=$D/.s.PGSQL.$(port_of)"
    echo "export SF_TEST_PG_CA=$D/tls/ca.crt SF_TEST_PG_BIN=$BIN"
    ;;
esac

#!/usr/bin/env bash
#
# make run: builds the module, starts a private PostgreSQL with demo data and
# nginx with the module on http://localhost:9000, until Ctrl-C.
#
#     PORT=9001   another port
#     SIZE=large  much demo data (only when the database is still empty)
#     RUN_DIR     nginx's folder; default: build/run
#     RUN_PG      the database's; default: build/pg

set -euo pipefail
. "$(dirname "$0")/lib.sh"

PORT=${PORT:-9000}
SIZE=${SIZE:-small}
RUN=${RUN_DIR:-$BUILD/run}
PG=${RUN_PG:-$BUILD/pg}
TOKEN="softfactory_token demo_token user=1 products=all;"
NGINX=

# of the live page, in one line: a header must not hold a line's end

POLICY="default-src 'none'; script-src 'self'; style-src 'self'; "
POLICY+="connect-src 'self'; img-src 'self'; base-uri 'none'; "
POLICY+="form-action 'none'; frame-ancestors 'none'"


# what the operator sees, for the demo's server block; open to this machine
# only, as it listens on the loopback addresses

operator() {
    cat << OPERATOR

        location = /metrics             { softfactory_metrics; }
        location = /softfactory/report  { softfactory_report; }
        location = /softfactory/status  { softfactory_status api; }
        location = /softfactory/live    { softfactory_live; }
        location = /softfactory/purge   { softfactory_purge api; }

        location = /            { return 302 /softfactory/; }
        location = /softfactory { return 301 /softfactory/; }

        location /softfactory/ {
            alias $TOP/conf/dashboard/;
            index index.html;
            types {
                text/html              html;
                text/css               css;
                application/javascript js;
                image/svg+xml          svg;
            }
            charset utf-8;
            add_header Content-Security-Policy "$POLICY" always;
            add_header X-Content-Type-Options nosniff always;
            add_header Cache-Control no-cache always;
        }
OPERATOR
}


# render DIR: conf/softfactory-minimal.conf for this run: its module, database
# and port, a folder for nginx's files, and a token that needs no login

render() {
    local workers=www-data listen="listen 127.0.0.1:$PORT;" socket

    reachable "$workers" "$RUN" || workers=root
    socket=$("$TOP/.ci/postgres.sh" env "$PG" | sed -n 's/.*PG_SOCKET=//p')

    if grep -qs '^0*1 ' /proc/net/if_inet6; then
        listen+=" listen [::1]:$PORT;"
    fi

    [ -s "$1/softfactory.secret" ] ||
        (umask 077 && openssl rand -hex 32 > "$1/softfactory.secret")

    operator > "$1/operator.conf"

    {
        is_root && echo "user $workers;"
        cat << MAIN
worker_processes 2;
pid logs/nginx.pid;
error_log logs/error.log info;

MAIN
        sed -e "s|modules/$NAME|$BUILD/$NAME|" \
            -e "s|server 127.0.0.1:5432;|server unix:$socket;|" \
            -e "s|/usr/share/softfactory/api/|$TOP/conf/api/|" \
            -e "s|listen 9000;|$listen include operator.conf;|" \
            -e "s|^\( *\)softfactory_jwt_secret .*|&\n\1$TOKEN|" \
            -e '/^http {/r /dev/stdin' \
            "$TOP/conf/softfactory-minimal.conf" << HTTP
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    access_log logs/access.log;

HTTP
    } > "$1/nginx.conf"
}


finish() {
    trap '' INT TERM
    trap - EXIT

    if [ -n "$NGINX" ] && kill -TERM "$NGINX" 2> /dev/null; then
        wait "$NGINX" || true
    fi

    "$TOP/.ci/postgres.sh" stop "$PG"
    echo "stopped"
    exit "$1"
}


! port_busy "$PORT" ||
    die "port $PORT is in use, choose another: make run PORT=9001"

"$TOP/.ci/install.sh" build run
"$TOP/.ci/build.sh"

# one run at a time: the second would stop the database of the first

mkdir -p "$RUN/logs" "$RUN/tmp" "$RUN/conf"
exec 8> "$RUN/.lock"
flock -n 8 || die "make run is at work already in this folder"

trap 'finish $?' EXIT
trap 'exit 0' INT TERM

"$TOP/.ci/postgres.sh" start "$PG" 8>&-
"$TOP/.ci/postgres.sh" load "$PG" "$SIZE"

rm -f "$RUN"/logs/*
render "$RUN/conf"

nginx=(/usr/sbin/nginx -p "$RUN/" -e logs/error.log -c conf/nginx.conf)
"${nginx[@]}" -t -q
"${nginx[@]}" -g 'daemon off;' < /dev/null 8>&- &
NGINX=$!

for _ in {1..50}; do
    if port_busy "$PORT" || ! kill -0 "$NGINX" 2> /dev/null; then
        break
    fi
    sleep 0.1
done

port_busy "$PORT" || die "nginx does not listen, see $RUN/logs/error.log"

cat << TRY

Serving on http://localhost:$PORT.  To try:

    curl http://localhost:$PORT/health
    curl http://localhost:$PORT/api/review/campaigns
    curl -H 'Authorization: Bearer demo_token' \\
        http://localhost:$PORT/api/dashboard/kpis
    curl -H 'Authorization: Bearer demo_token' \\
        http://localhost:$PORT/api/sns/posts

Live page:      http://localhost:$PORT/softfactory/
Metrics:        http://localhost:$PORT/metrics
Report:         http://localhost:$PORT/softfactory/report?window=5m
SQL:            .ci/postgres.sh psql
Configuration:  ${RUN#"$TOP"/}/conf/nginx.conf
Logs:           ${RUN#"$TOP"/}/logs/
Stop:           Ctrl-C
TRY

wait "$NGINX"

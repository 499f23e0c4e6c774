#!/bin/bash
#
# The part of the official image's entry point that docker/compose.yml relies
# on: an empty PGDATA is made into a cluster, and the programs in
# /docker-entrypoint-initdb.d are run while the server has its socket only.

set -euo pipefail

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" -U postgres -E UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=trust \
        --pwfile=<(echo "$POSTGRES_PASSWORD")
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"

    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start

    for file in /docker-entrypoint-initdb.d/*; do
        "$file"
    done

    pg_ctl -D "$PGDATA" -m fast -w stop
fi

exec "$@" -c listen_addresses='*'

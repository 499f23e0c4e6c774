#!/bin/sh
#
# compose.yml: run once by the image of PostgreSQL, when its volume is empty.
# Makes the role app and its database, and loads the demo data (SIZE=large:
# much of it).

set -eu

psql -qX -v ON_ERROR_STOP=1 -v password="$APP_PASSWORD" \
    -U "${POSTGRES_USER:-postgres}" -d postgres << 'SQL'
CREATE ROLE app LOGIN PASSWORD :'password';
CREATE DATABASE softfactory OWNER app ENCODING 'UTF8' TEMPLATE template0;
SQL

for file in schema demo indexes softfactory-tables; do
    psql -qX -v ON_ERROR_STOP=1 -v size="${SIZE:-small}" \
        -U app -d softfactory -f "/sql/$file.sql" > /dev/null
done

psql -qX -v ON_ERROR_STOP=1 -U app -d softfactory -c ANALYZE

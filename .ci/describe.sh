#!/usr/bin/env bash
#
# describe.sh: build/describe.json, which says what the module is made of:
# directives, variables, endpoints, products, tables, metrics, parameters of the
# pool, what libpq is given in each lane.  The module itself writes it, by
# t/modules/ngx_sf_test_describe.c, where its form stands.  The timeouts of the
# second upstream are told apart by their numbers.  Made anew when the module
# is, or conf/api, or this file.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

"$TOP/.ci/build.sh" > /dev/null

alone describe

TEST_SO=$BUILD/mod/ngx_http_softfactory_test_module.so
OUT=$BUILD/describe
JSON=$BUILD/describe.json

if [ "$JSON" -nt "$BUILD/$NAME.so" ] && [ "$JSON" -nt "$TEST_SO" ] &&
   [ "$JSON" -nt "$TOP/.ci/describe.sh" ] &&
   [ -z "$(find "$TOP/conf/api" -newer "$JSON")" ]
then
    exit 0
fi

mkdir -p "$OUT"
cat > "$OUT/nginx.conf" << CONF
load_module $BUILD/$NAME.so;
load_module $TEST_SO;
pid nginx.pid;
error_log stderr;
events { }

http {
    access_log off;
    client_body_temp_path tmp;
    proxy_temp_path tmp;
    fastcgi_temp_path tmp;
    uwsgi_temp_path tmp;
    scgi_temp_path tmp;
    softfactory_test_describe $JSON.new;
    include $TOP/conf/api/*.conf;

    upstream defaults {
        server 127.0.0.1:5432;
        softfactory_pg "dbname=softfactory user=app";
    }

    upstream timeouts {
        server 127.0.0.1:5432;
        softfactory_pg "dbname=softfactory user=app";
        softfactory_pg_pool timeout=1001ms heavy_timeout=1002ms
                            write_timeout=1003ms lock_timeout=1004ms;
    }

    server {
        listen unix:$OUT/socket;
        location /api/ { softfactory_pass defaults; }
        location /     { softfactory_pass timeouts; }
    }
}
CONF

within 60 "nginx -t" /usr/sbin/nginx -t -q -e stderr -p "$OUT/" \
    -c "$OUT/nginx.conf" || die "cannot describe the module"
mv "$JSON.new" "$JSON"

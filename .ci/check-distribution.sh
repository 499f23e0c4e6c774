#!/usr/bin/env bash
#
# What the tests take for granted of programs and libraries that come with the
# distribution and change with its updates: which versions are here, and
# whether each thing is so, with who relies on it.  It needs a PostgreSQL that
# SF_TEST_PG_DIR and SF_TEST_PG_PORT name, as in test.sh.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

NGINX=${SF_NGINX:-/usr/sbin/nginx}
LIMIT=20                        # seconds, for each question
SAYS="server process with PID N."
findings=

# script: the output of psql that reads from a pipe, as the tests have it

script() {
    timeout $LIMIT psql -XAtq -v ON_ERROR_STOP=1 -h "$SF_TEST_PG_DIR" \
        -p "$SF_TEST_PG_PORT" -U app -d softfactory 2>&1 || true
}


# same WHAT WHO EXPECTED GOT: WHO relies on it

same() {
    [ "$3" = "$4" ] ||
        findings+="$1: expected \"${3//$'\n'/ }\", got \"${4//$'\n'/ }\""
    [ "$3" = "$4" ] || findings+=" ($2 relies on it)"$'\n'
}


psql=$(psql --version | sed -E 's/^psql \(PostgreSQL\) ([^ ]*).*/\1/')
nginx=$(timeout $LIMIT "$NGINX" -V 2>&1)
libpq=$(timeout $LIMIT python3 - << 'PY'
import ctypes

libpq = ctypes.CDLL("libpq.so.5")
print(libpq.PQlibVersion())
for name in ("PQenterPipelineMode", "PQsendFlushRequest", "PQpipelineSync"):
    getattr(libpq, name)
PY
) || findings+="libpq.so.5 has no pipelines (the module relies on it)"$'\n'

echo "nginx $(sed -nE 's|^nginx version: nginx/||p' <<< "$nginx")," \
     "psql $psql, libpq $libpq, PostgreSQL" \
     "$(script <<< 'SHOW server_version' | cut -d ' ' -f 1)," \
     "perl $(perl -e 'printf "%vd", $^V')," \
     "Test::Nginx $(perl -MTest::Nginx -e 'print $Test::Nginx::VERSION')"

same "psql $psql: the next statement behind the \"\\.\" of a COPY" \
     "statement() of t/lib/SoftFactory/Wait.pm" $'2\nend' "$(script << 'SQL'
CREATE TEMP TABLE t (n int);
COPY t FROM stdin;
1
2
\.
SELECT count(*) FROM t;
\echo end
SQL
)"

same "psql $psql: \\echo behind the rows of a statement that a semicolon ends" \
     "ask() of t/lib/SoftFactory.pm" $'1\nend\n2\nend' "$(script << 'SQL'
SELECT 1
;
\echo end
SELECT 2; -- with a comment
;
\echo end
SQL
)"

same "psql $psql: how it tells a notification" \
     "told() of t/lib/SoftFactory/Live.pm" \
     "Asynchronous notification \"a\" with payload \"b\" received from $SAYS" \
     "$(script <<< "LISTEN a; NOTIFY a, 'b';" | sed -E 's/[0-9]+/N/')"

faketime=$(echo /usr/lib/*/faketime/libfaketime.so.1)
same "libfaketime: a clock that stands still" \
     "t/lib/SoftFactory/Golden.pm" '2026-02-20 10:00:00.000000000' \
     "$(LD_PRELOAD=$faketime FAKETIME='2026-02-20 10:00:00' TZ=UTC \
        FAKETIME_DONT_FAKE_MONOTONIC=1 \
        timeout $LIMIT date '+%F %T.%N' 2> /dev/null)"

for word in with-compat with-debug with-http_v2_module with-http_ssl_module \
            with-http_realip_module with-http_auth_request_module
do
    [[ "$nginx" = *"--$word"* ]] ||
        findings+="$NGINX: is not built --$word (t/*.t rely on it)"$'\n'
done

[ "${libpq:-0}" -ge 140000 ] ||
    findings+="libpq $libpq: older than 14 (the module relies on it)"$'\n'

[ -z "$findings" ] || { printf '%s' "$findings"; exit 1; }

# shellcheck shell=bash disable=SC2034
#
# The Test::Nginx suite over one nginx, and the gate on what it left behind:
# sourced by test.sh and valgrind.sh after lib.sh.

TEST=$BUILD/test
MODULES=$TEST/modules


# suite_database: a new PostgreSQL with small demo data, for this run

suite_database() {
    "$TOP/.ci/postgres.sh" remove "$TEST/pg"
    trap '"$TOP/.ci/postgres.sh" stop "$TEST/pg"' EXIT
    trap 'exit 1' INT TERM

    "$TOP/.ci/postgres.sh" start "$TEST/pg"
    "$TOP/.ci/postgres.sh" load "$TEST/pg" small
    eval "$("$TOP/.ci/postgres.sh" env "$TEST/pg")"
}


# suite_modules [FILE...]: copies of the modules and of those files, which make
# at work beside this run does not touch

suite_modules() {
    rm -rf "$MODULES"
    mkdir -p "$MODULES"
    cp "$BUILD/$NAME.so" "$BUILD/mod/ngx_http_softfactory_test_module.so" \
        "$@" "$MODULES"

    TEST_NGINX_LOAD_MODULES="$MODULES/$NAME.so "
    TEST_NGINX_LOAD_MODULES+=$MODULES/ngx_http_softfactory_test_module.so
    export TEST_NGINX_LOAD_MODULES
}


# suite_kept: the database of an earlier run, or a new one that stays, unless
# the demo data's files have changed since it was made; `make clean` stops it

suite_kept() {
    local pg=$BUILD/kept/pg stamp

    mkdir -p "$BUILD/kept"
    stamp=$(cat "$TOP"/conf/postgresql/{schema,demo,indexes,softfactory}*.sql |
            cksum)

    if changed "$BUILD/kept/stamp" "$stamp"; then
        "$TOP/.ci/postgres.sh" remove "$pg"
    fi

    "$TOP/.ci/postgres.sh" start "$pg"

    if changed "$BUILD/kept/stamp" "$stamp"; then
        "$TOP/.ci/postgres.sh" load "$pg" small
        echo "$stamp" > "$BUILD/kept/stamp"
    fi

    eval "$("$TOP/.ci/postgres.sh" env "$pg")"
}


# suite NAME SECONDS [FILE...]: runs the files (default: all), each for at most
# so long, with the nginx that the environment names; leaves reports in
# $SF_REPORTS, adds to PASSED and FAILED

suite() {
    local name=$1 limit=${SUITE_LIMIT:-$2} log=$TEST/$1.log status=0 counts
    shift 2

    [ $# -gt 0 ] || set -- t/*.t

    export TEST_NGINX_SERVROOT=$TEST/servroot
    TEST_NGINX_PORT=$(free_port $((2000 + RANDOM % 8000)))
    export TEST_NGINX_PORT

    rm -rf "$SF_REPORTS" "$TEST_NGINX_SERVROOT"
    mkdir -p "$SF_REPORTS"
    chmod 777 "$SF_REPORTS"

    echo "== suite: $name"
    PYTHONDONTWRITEBYTECODE=1 python3 .ci/suite.py "$name" "$limit" \
        "$TEST/$name" "$@" 2>&1 | tee "$log" || status=1

    counts=$(sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log")

    if [ -z "$counts" ] || { [ "$status" = 1 ] && [ "${counts#* }" = 0 ]; }
    then
        echo "FAILED: suite $name did not come to its end"
        counts="0 1"
    fi

    PASSED=$((PASSED + ${counts% *}))
    FAILED=$((FAILED + ${counts#* }))
    gate "$name"
}


# gate NAME: prove does not notice a sanitizer's report, nor what nginx logs
# without a test looking for it.  A test that provokes an alert says so in its
# file: a line "# expect-alert: REGEX" (extended, matched against the log).

gate() {
    local pattern=$TEST/expected.re found

    sed -n 's/^# expect-alert: *//p' t/*.t > "$pattern"

    found=$(
        find "$SF_REPORTS" -type f ! -name 'error.*.log' -size +0 \
            -exec head -n 40 {} +
        grep -hE -e '\[(alert|crit|emerg)\]|runtime error:' \
            -e 'exited with code [1-9]|exited on sig' \
            "$SF_REPORTS"/error.*.log 2> /dev/null |
            { if [ -s "$pattern" ]; then grep -vEf "$pattern"; else cat; fi; }
    ) || true

    if [ -n "$found" ]; then
        printf '%s\n' "$found" | head -n 100
        echo "NOT CLEAN: $1 left reports in $SF_REPORTS"
        FAILED=$((FAILED + 1))
    else
        PASSED=$((PASSED + 1))
    fi
}

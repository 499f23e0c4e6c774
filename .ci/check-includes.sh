#!/usr/bin/env bash
#
# make check-includes: who may know whom.  Three rings: bytes (json, jwt,
# number, sql, type, table, histogram, advice), the database (pg_*) and shared
# memory (zone, tag, mark, cache, admit, wake) side by side, requests (the
# rest); an inner ring does not know an outer one.  The listener and the metrics
# know both of the middle.  libpq is called where its results are owned.  The
# files of the pool call only those before them.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
shopt -s nullglob

CORE='ngx_(config|core)\.h'
EVENT='ngx_(config|core|event)\.h'
LIBRARY='(libpq-fe|jansson|openssl/\w+)\.h'
OUTER='ngx_sf(_advice|_exposition|_sql|_type)?\.h'
C='(?!ngx_|libpq|jansson|openssl/)[\w/]+\.h'


# code FILE: the file without comments, line for line

code() {
    perl -0777 -pe 's{("(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])+\x27)|/\*.*?\*/}
        {defined $1 ? $1 : $& =~ s/[^\n]//gr}gsex' "$1"
}


# may_include FILE REGEX: one of the headers it may name

may_include() {
    code "$1" | FILE=$1 ALLOWED=$2 perl -ne '
        next unless /^\s*#\s*include\s*[<"]([^>"]+)[>"]/;
        print "$ENV{FILE}:$.: may not include $1\n"
            unless $1 =~ /^(?:$ENV{ALLOWED})$/'
}


# may_not_name FILE REGEX

may_not_name() {
    code "$1" | FILE=$1 WORD=$2 perl -ne '
        print "$ENV{FILE}:$.: may not know $&\n" if /\b(?:$ENV{WORD})/'
}


check() {
    local file=$1 own

    own=$(basename "${file%.[ch]}").h

    case $file in

    src/ngx_sf_json.c | src/ngx_sf_json_value.[ch])
        # the two that share ngx_sf_json_value.h
        may_include "$file" \
            "$CORE|$LIBRARY|$C|ngx_sf_(json|json_value|number|type)\.h"
        may_not_name "$file" 'ngx_http_\w+|ngx_event_t|ngx_connection_t'
        ;;

    src/ngx_sf_json.h | src/ngx_sf_jwt.[ch] | src/ngx_sf_number.[ch] |\
    src/ngx_sf_table.[ch] | src/ngx_sf_type.[ch] | src/ngx_sf_histogram.[ch] |\
    src/ngx_sf_advice.[ch] | src/ngx_sf_sql.[ch])
        may_include "$file" "$CORE|$LIBRARY|$C|$own|ngx_sf_number\.h"
        may_not_name "$file" 'ngx_http_\w+|ngx_event_t|ngx_connection_t'
        ;;

    src/ngx_sf_zone.c | src/ngx_sf_tag.c | src/ngx_sf_cache.c |\
    src/ngx_sf_admit.c | src/ngx_sf_mark.c | src/ngx_sf_wake.c |\
    src/ngx_sf_shm.h)
        may_include "$file" "$EVENT|$C|ngx_sf_(shm|table)\.h"
        may_not_name "$file" 'ngx_http_\w+|ngx_sf_pg_\w+|ngx_sf_ctx_t'
        ;;

    src/ngx_sf_metrics.h | src/ngx_sf_metrics.c | src/ngx_sf_sample.c)
        may_include "$file" "$CORE|$C|ngx_sf_(metrics|histogram|pg|shm)\.h"
        may_not_name "$file" 'ngx_http_\w+|ngx_sf_ctx_t'
        ;;

    src/ngx_sf_listen.c | src/ngx_sf_listen_look.c |\
    src/ngx_sf_listen_channel.c | src/ngx_sf_listen_creators.c |\
    src/ngx_sf_listen_talk.[ch])
        # those that share ngx_sf_listen_talk.h
        may_include "$file" "$C|ngx_sf_(listen|listen_talk|pg|shm|table)\.h"
        may_not_name "$file" 'ngx_http_request_t|ngx_sf_ctx_t'
        ;;

    src/ngx_sf_listen.h)
        may_include "$file" "$C|ngx_sf_(pg|shm)\.h"
        may_not_name "$file" 'ngx_http_request_t|ngx_sf_ctx_t'
        ;;

    src/ngx_sf_pg_conf.c)
        # directives: knows nginx's configuration, but no request of ours
        may_include "$file" "$C|ngx_sf\.h"
        may_not_name "$file" 'ngx_sf_ctx_t'
        ;;

    src/ngx_sf_pg_*.c)
        may_include "$file" \
            "$EVENT|ngx_md5\.h|$C|openssl/\w+\.h|ngx_sf_(pg|type)\.h"
        may_not_name "$file" 'ngx_http_request_t|ngx_sf_ctx_t'
        ;;

    src/ngx_sf_pg.h)
        may_include "$file" "ngx_(config|core|event|http)\.h|libpq-fe\.h|$C"
        may_not_name "$file" 'ngx_http_request_t|ngx_sf_ctx_t'
        ;;

    src/*.h)
        may_include "$file" '(?!ngx_sf_(json_value|listen_talk)\.h).+'
        ;;

    *.c)
        # libraries are no part of the layering, but libpq is
        may_include "$file" \
            "$OUTER|$C|ngx_md5\.h|jansson\.h|openssl/\w+\.h"
        ;;
    esac

    case $file in
    src/ngx_sf_pg_pipeline.c)
        ;;
    src/ngx_sf_pg_*.c | src/ngx_sf_json.c)
        may_not_name "$file" 'PQgetResult\s*\('
        ;;
    *)
        may_not_name "$file" 'PQ[a-z]\w*\s*\('
        ;;
    esac
}


# the files of the pool, each knows those before it only

POOL='result turn lane head text server inflow pipeline scram conn notify pool'

ordered() {
    local name file above=

    for name in $(tac -s ' ' <<< "$POOL "); do
        file=src/ngx_sf_pg_$name.c

        [ -z "$above" ] || may_not_name "$file" "(?:$above)\s*\("
        above+=${above:+|}$(defined "$file")
    done
}


# defined FILE: the functions that it gives to others, as a regex

defined() {
    code "$1" | perl -0777 -ne '
        push @f, $2 while /^(?!static)([\w *]+)\n(ngx_sf_\w+)\(/mg;
        print join "|", @f'
}


# the list of sources in config is the list of files

listed() {
    local file

    for file in "$NAME.c" src/*.[ch]; do
        grep -qE "^ +.ngx_addon_dir/$file( |\"|\$)" config ||
            echo "$file:1: is not listed in config"
    done

    sed -nE 's/^ +.ngx_addon_dir\/(.*\.[ch]).*/\1/p' config |
        while read -r file; do
            [ -f "$file" ] || echo "config:1: lists $file, which is missing"
        done
}


[ -f "$NAME.c" ] || die "$NAME.c is missing"

findings=$(
    listed
    ordered
    for file in "$NAME.c" src/*.[ch]; do
        check "$file"
    done
)

[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }

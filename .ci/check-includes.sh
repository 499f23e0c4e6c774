#!/usr/bin/env bash
#
# make check-includes: who may know whom.  The folders of src are rings, from
# the inner to the outer (ROOMS in lib.sh): a file names no function of an outer
# one and includes no header of it.  What each may know of nginx and of the
# libraries stands in room().  libpq is called where its results are owned.  The
# files of the pool, of a flight, of the listener and of the metrics know only
# those before them (ORDERS), and all others stand in some such order: no two
# know each other, directly or by others (circles.py).

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
shopt -s nullglob

LIBRARY='(libpq-fe|openssl/\w+)\.h'
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


# room ROOM: what of nginx its files may include, and must not name

room() {
    case $1 in
    bytes)
        nginx="ngx_(config|core)\.h|$LIBRARY|jansson\.h"
        never='ngx_http_\w+|ngx_event_t|ngx_connection_t'
        ;;
    pg)
        nginx='ngx_(config|core|event|md5)\.h|libpq-fe\.h|openssl/\w+\.h'
        never='ngx_http_\w+'
        ;;
    zone)
        nginx='ngx_(config|core|event)\.h'
        never='ngx_http_\w+'
        ;;
    *)
        # jansson comes with ngx_sf_document.h, for those that build documents

        nginx="ngx_(config|core|http|md5)\.h|$LIBRARY|ngx_sf_version\.h"
        never='ngx_slab_\w+|ngx_shmtx_\w+'
        ;;
    esac
}


# headers ROOM...: of these folders, as a regex; those that two files of a
# folder share, and of which no other folder knows, are not among them

headers() {
    local dir

    for dir in "$@"; do
        ls "src/$dir"
    done | sed -nE '/_(value|conn|flight|room|tree)\.h$/d; s/\.h$/\\.h/p' |
        paste -sd '|'
}


# rings: the headers and the functions of outer folders, seen from each

rings() {
    local dir nginx never inner=() outer file own

    for dir in "${ROOMS[@]}"; do
        inner+=("$dir")
        room "$dir"
        outer=$(outer "$dir")
        own=$(cd "src/$dir" && printf '%s|' *.h | sed 's/\./\\./g')

        for file in "src/$dir"/*.[ch]; do
            [ "$file" != src/http/ngx_sf_document.h ] ||
                nginx+='|jansson\.h'
            may_include "$file" "$nginx|$C|$own$(headers "${inner[@]}")"
            room "$dir"
            may_not_name "$file" "$never"
            [ -z "$outer" ] || may_not_name "$file" "(?:$outer)\b"
        done
    done
}


# outer ROOM: the functions of the folders around it, as a regex

outer() {
    local dir file beyond=

    for dir in "${ROOMS[@]}"; do
        [ -z "$beyond" ] || for file in "src/$dir"/*.c; do defined "$file"; done
        [ "$dir" != "$1" ] || beyond=1
    done | paste -sd '|'
}


# libpq FILE: only who owns a result calls it

libpq() {
    case $1 in
    src/pg/ngx_sf_pg_pipeline.c)
        ;;
    src/api/ngx_sf_template_bind.c)
        may_not_name "$1" 'PQ(?!nfields|ftype|fname)[a-z]\w*\s*\('
        ;;
    src/pg/* | src/conf/ngx_sf_pg_* | src/bytes/ngx_sf_json.c)
        may_not_name "$1" 'PQgetResult\s*\('
        ;;
    *)
        may_not_name "$1" 'PQ[a-z]\w*\s*\('
        ;;
    esac
}


# files of which each knows those before it only: how their paths begin, and
# what follows, "." for nothing.  Their headers, and src/README.md, say the same

ORDERS=(
    'src/pg/ngx_sf_pg result turn lane head text server inflow pipeline scram
     conn notify pool'
    'src/http/ngx_sf_flight state wait result .'
    'src/zone/ngx_sf_listen lease channel look creators conn .'
    'src/zone/ngx_sf_metrics . room'
)


# defined FILE: the functions that it gives to others, as a regex

defined() {
    code "$1" | perl -0777 -ne '
        push @f, $2 while /^(?!static)([\w *]+)\n(ngx_sf_\w+)\(/mg;
        print join("|", @f), "\n" if @f'
}


# known: who knows whom; the module, which is above all, is not among them

known() {
    local file

    "$TOP/.ci/circles.py" --test 2>&1 || true

    for file in src/*/*.[ch]; do
        printf '@ %s\n' "$file"
        code "$file"
    done | "$TOP/.ci/circles.py" "${ORDERS[@]}"
}


# every file stands in one of the folders

placed() {
    local file

    for file in src/*; do
        case " ${ROOMS[*]/#/src/} src/README.md src/ngx_sf_version.h " in
        *" $file "*) ;;
        *) echo "$file:1: is in none of the folders ${ROOMS[*]}" ;;
        esac
    done
}


# the files that comments name are there

named() {
    grep -rnoE 'ngx_sf_[a-z0-9_]+\.[ch]\b' "$NAME.c" src --include='*.[ch]' |
        while IFS=: read -r file line name; do
            [ -n "$(find src -name "$name")" ] ||
                echo "$file:$line: names $name, which is missing"
        done
}


# the list of sources in config is the list of files

listed() {
    local file

    for file in "$NAME.c" src/*.h src/*/*.[ch]; do
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
    placed
    named
    listed
    known
    rings
    for file in "$NAME.c" src/*/*.c; do
        libpq "$file"
    done
)

[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }

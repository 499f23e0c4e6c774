# shellcheck shell=bash disable=SC2034
#
# Shared by the scripts of this folder: sourced, not run.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$TOP/build
NAME=ngx_http_softfactory_module

# a script may be a recipe of make: its jobserver is not for the makes below

unset MAKEFLAGS MFLAGS MAKELEVEL

mkdir -p "$BUILD"


die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}


# within SECONDS WHAT COMMAND...: ends it when it takes longer, and says what
# did.  In the foreground, so that Ctrl-C reaches it

within() {
    local seconds=$1 what=$2 status=0
    shift 2

    timeout --foreground -k 10 "$seconds" "$@" || status=$?

    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        printf '%s: %s took more than %d s\n' "${0##*/}" "$what" \
            "$seconds" >&2
    fi

    return "$status"
}


# the folders of src, from the inner ring to the outer, and where the compiler
# looks for their headers

ROOMS=(bytes pg zone api http conf observe)
ROOM_FLAGS=("-I$TOP" "-I$TOP/src" "${ROOMS[@]/#/-I$TOP/src/}")


# version: of the module

version() {
    sed -nE 's/^#define NGX_SF_VERSION +"(.*)"/\1/p' \
        "$TOP/src/ngx_sf_version.h"
}


# is_root: whether this is the superuser

is_root() {
    [ "$(id -u)" = 0 ]
}


# reachable USER DIR: whether USER may enter DIR and all folders above it

reachable() {
    if is_root; then
        runuser -u "$1" -- test -x "$2" 2> /dev/null
    else
        test -x "$2"
    fi
}


# port_busy PORT: whether something listens on a port of 127.0.0.1

port_busy() {
    (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}


# free_port FIRST: the first port from FIRST on that nobody listens on

free_port() {
    local port=$1

    while port_busy "$port"; do
        port=$((port + 1))
        [ "$port" -lt $(($1 + 1000)) ] || die "no port is free from $1 on"
    done

    echo "$port"
}


# alone NAME: waits until no other script holds the lock of that name

alone() {
    exec 9> "$BUILD/.$1.lock"
    flock -w 900 9 || die "waited 900 s for the lock $BUILD/.$1.lock," \
        "which another script holds"
}


# changed STAMP TEXT: whether TEXT differs from what the file STAMP holds

changed() {
    [ ! -f "$1" ] || [ "$(cat "$1")" != "$2" ]
}


# apt_source: the file with the machine's own package source, the first that
# has one; only its name tells the form

apt_source() {
    local dir=/etc/apt/sources.list.d file

    for file in $dir/debian.sources /etc/apt/sources.list $dir/*.sources \
                $dir/*.list
    do
        if grep -qsE '^(deb |Types:.*\<deb\>)' "$file"; then
            echo "$file"
            return
        fi
    done

    die "no package source in /etc/apt"
}


# apt_private DIR TYPE SUITE: lets apt-get use the machine's first package
# source with another type (deb, deb-src) and suite ("-": as it is), by lists
# kept in DIR; the system's own lists and sources stay as they are.  Sets APT.

apt_private() {
    local dir=$1 type=$2 suite=$3 source
    local suites='s/^(Suites:).*/\1 '$suite'/' stanzas=1
    local line='s/^(deb( +\[[^]]*\])? +[^ ]+) +[^ ]+/\1 '$suite'/'

    if [ "$suite" = - ]; then
        suites=
        line=
        stanzas=9
    fi

    source=$(apt_source)
    rm -rf "$dir/parts"
    mkdir -p "$dir/parts" "$dir/lists/partial" "$dir/cache/archives/partial"

    if [[ "$source" = *.sources ]]; then
        awk -v n=$stanzas 'BEGIN { RS = ""; ORS = "\n\n" } NR <= n' \
            "$source" |
            sed -E -e "s/^(Types:).*/\1 $type/" -e "$suites" \
            > "$dir/parts/private.sources"
    else
        sed -nE -e '/^deb /!d' -e "$line" -e "s/^deb /$type /" -e p \
            "$source" > "$dir/parts/private.list"
    fi

    APT=(within 600 "the package source" apt-get -qq
         -o Acquire::Retries=3 -o Acquire::http::Timeout=60
         -o Dir::Etc::SourceList=/dev/null
         -o Dir::Etc::SourceParts="$dir/parts"
         -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache"
         -o APT::Sandbox::User=root)

    "${APT[@]}" update
}

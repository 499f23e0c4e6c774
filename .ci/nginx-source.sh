#!/usr/bin/env bash
#
# Fetches the source of this machine's nginx, patched as Debian builds it,
# into build/src and prints its folder.  Does nothing when it is there.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

DIR=$BUILD/src


# fetch SPEC: one of apt's ways to say which nginx

fetch() {
    rm -rf "$DIR"/nginx[-_]*
    (cd "$DIR" && "${APT[@]}" source "$1") > "$BUILD/nginx-source.log" 2>&1
}


found() {
    find "$DIR" -maxdepth 2 -path '*/nginx-*/configure' -printf '%h\n' \
        2> /dev/null | head -n 1
}


alone source

if [ ! -f "$DIR/done" ]; then
    mkdir -p "$DIR"
    apt_private "$DIR" deb-src -

    version=$(dpkg-query -W -f '${source:Version}' nginx-dev)
    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")

    # the pool can lack the source of a security update
    fetch "nginx=$version" || fetch "nginx/$release" ||
        die "cannot fetch nginx's source, see $BUILD/nginx-source.log"

    [ -n "$(found)" ] || die "no nginx source in $DIR"
    touch "$DIR/done"
fi

found

#!/usr/bin/env bash
#
# make deb-test: the package in a fresh Debian of this machine's release, with
# an nginx that answers while the package is installed, upgraded, removed and
# purged: t/samples/package.py.  Two builds, one with a higher version.
#
# The fresh Debian is a folder, made from packages at first and kept as
# build/deb-test/base.tar.  All of it runs in namespaces of its own for mounts
# and processes, which end with this script.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$TOP/.ci/suite.sh"

PLACE=$BUILD/deb-test
ROOT=$PLACE/root
PACKAGES=nginx,libpq5,libjansson4
LIMIT=300
CHILD=


# base: this release with nginx, and what the package depends on

base() {
    local release sources stamp

    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    sources=/etc/apt/sources.list.d/debian.sources
    [ -f $sources ] || sources=/etc/apt/sources.list
    stamp="$release $PACKAGES $(dpkg-query -W -f '${Version}' nginx)"

    changed "$PLACE/stamp" "$stamp" || return 0

    timeout -k 10 900 mmdebstrap -q --variant=minbase --include=$PACKAGES \
        "$release" "$PLACE/base.new.tar" $sources > "$PLACE/base.log" 2>&1 ||
        die "cannot make a fresh Debian, see $PLACE/base.log"
    mv "$PLACE/base.new.tar" "$PLACE/base.tar"
    echo "$stamp" > "$PLACE/stamp"
}


finish() {
    trap '' INT TERM

    if [ -n "$CHILD" ]; then
        kill "$CHILD" 2> /dev/null || true
        wait "$CHILD" || true
    fi

    rm -rf "$ROOT"
}


if ! is_root; then
    command -v sudo > /dev/null || die "a fresh Debian needs root"
    exec sudo "$0" "$@"
fi

mkdir -p "$PLACE"
exec 8> "$PLACE/.lock"
flock -n 8 || die "make deb-test is at work already in this folder"

trap finish EXIT
trap 'exit 1' INT TERM

base 8>&-

if [ -z "${SF_TEST_PG_DIR:-}" ]; then
    suite_kept 8>&-
fi

version=$(version)
packages=()
for revision in 1 2; do
    packages+=("$(DEB_VERSION=$version-$revision DEB_DIR=$PLACE \
                  "$TOP/.ci/deb.sh" 8>&-)")
done

rm -rf "$ROOT"
mkdir "$ROOT"
tar -C "$ROOT" -x -f "$PLACE/base.tar" --exclude='./dev/*'

export SF_SAMPLES_HOME=$PLACE PYTHONDONTWRITEBYTECODE=1

# bash is there as the first process, which has to wait for orphans

# shellcheck disable=SC2016
timeout -k 10 $LIMIT unshare --mount --pid --fork --mount-proc --kill-child \
    bash -c 'python3 "$@" & wait $!' bash \
    "$TOP/t/samples/package.py" "$ROOT" "${packages[@]}" \
    8>&- < /dev/null & CHILD=$!

status=0
wait $CHILD || status=$?
CHILD=
exit $status

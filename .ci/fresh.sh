#!/usr/bin/env bash
#
# make fresh-test: `make run` and `make test` in a fresh clone of what is
# committed here, inside a Debian that has git and make and nothing else.  What
# is missing in .ci/install.sh, or was there only by chance, shows.
#
#     fresh.sh [TARGET...]     other targets of make, after `make run`
#     FRESH_LIMIT=SECONDS      5400, for all of it
#
# As root (by sudo), because it takes mounts and a chroot: in namespaces of its
# own, so that nothing of it stays.  The base is kept in build/fresh, for a
# month; packages come from the machine's own sources.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

PLACE=$BUILD/fresh
BASE=$PLACE/base.tar
LOG=$PLACE/log
LIMIT=${FRESH_LIMIT:-5400}
SERVES=1500                     # seconds until `make run` serves
CHILD=


# base: Debian with git and make

base() {
    local release

    [ -z "$(find "$BASE" -mtime -30 2> /dev/null)" ] || return 0

    # shellcheck disable=SC1091
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")

    within 900 mmdebstrap mmdebstrap -q --variant=minbase \
        --include=git,make,ca-certificates \
        --hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr "$release" \
        "$PLACE/base.new.tar" "$(apt_source)" > "$PLACE/base.log" 2>&1 ||
        die "cannot make a base, see $PLACE/base.log"
    mv "$PLACE/base.new.tar" "$BASE"
}


# steps: what is done in there, PORT is free; it says how long each has taken

steps() {
    cat << 'STEPS'
set -euo pipefail

minutes() {
    printf '%d.%d min' $((SECONDS / 60)) $((SECONDS % 60 / 6))
}

git config --global --add safe.directory '*'
git clone -q file:///checkout /srv/softfactory
cd /srv/softfactory
echo "fresh: $(git log -1 --format='%h %s')"

timeout -k 60 "$SERVES" make run PORT="$PORT" > /tmp/run.log 2>&1 &
run=$!

until grep -q '^Serving on' /tmp/run.log; do
    kill -0 $run 2> /dev/null || {
        cat /tmp/run.log
        echo "fresh: make run has ended, $(minutes)"
        exit 1
    }
    sleep 1
done

curl -fsS -m 20 "http://localhost:$PORT/health"
echo "fresh: make run serves, $(minutes)"
kill -TERM $run
wait $run || true

for target in "$@"; do
    SECONDS=0
    make "$target"
    echo "fresh: make $target, $(minutes)"
done
STEPS
}


# inside TARGET...: in namespaces of our own

inside() {
    local root=$PLACE/root

    mkdir -p "$root"
    tar -C "$root" -xf "$BASE"
    mkdir -p "$root/checkout"

    mount --bind -o ro "$TOP" "$root/checkout"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"

    # what apt needs of this machine

    cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2> /dev/null || true
    cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"

    steps > "$root/root/steps"
    PORT=$(free_port 9100)

    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        PORT="$PORT" SERVES=$SERVES bash /root/steps "$@"
}


finish() {
    trap '' INT TERM

    if [ -n "$CHILD" ]; then
        kill "$CHILD" 2> /dev/null || true
        wait "$CHILD" || true
    fi

    # what its scripts say "see ..." of

    rm -rf "$PLACE/logs"
    mkdir -p "$PLACE/logs"
    find "$PLACE/root/srv/softfactory/build" "$PLACE/root/tmp" -maxdepth 2 \
        -name '*.log' -exec cp -t "$PLACE/logs" {} + 2> /dev/null || true
    rm -rf --one-file-system "$PLACE/root"
}


if ! is_root; then
    command -v sudo > /dev/null || die "a chroot needs root"
    exec sudo env FRESH_LIMIT="$LIMIT" "$0" "$@"
fi

if [ "${1:-}" = inside ]; then
    shift
    inside "$@"
fi

[ $# -gt 0 ] || set -- test

"$TOP/.ci/install.sh" fresh
mkdir -p "$PLACE"
exec 8> "$BUILD/.fresh.lock"
flock -n 8 || die "make fresh-test is at work already in this folder"

trap finish EXIT
trap 'exit 1' INT TERM

base
rm -rf --one-file-system "$PLACE/root"

[ -z "$(git -c safe.directory='*' -C "$TOP" status --porcelain)" ] ||
    echo "fresh: what is not committed is not tested"

SECONDS=0
timeout -k 10 "$LIMIT" unshare --mount --pid --fork --mount-proc \
    --kill-child "$TOP/.ci/fresh.sh" inside "$@" > >(tee "$LOG") 2>&1 \
    8>&- < /dev/null & CHILD=$!

status=0
wait $CHILD || status=$?
CHILD=

[ "$status" != 124 ] || echo "fresh: took more than $LIMIT s"
printf 'fresh: status %d after %d min\n' "$status" $((SECONDS / 60))
exit "$status"

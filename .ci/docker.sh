#!/usr/bin/env bash
#
# make docker-test: builds docker/Dockerfile and runs docker/compose.yml, for
# real but without a docker engine: by buildah, podman, and docker-compose at
# podman's socket.  Then t/docker/test.sh asks whether all is as it should be.
#
#     KEEP=1      leaves the images in build/docker, for the next run
#
# Nothing is pulled.  The base image is made from the packages of the release
# that runs here; PostgreSQL's and Prometheus' images have stand-ins, see
# t/docker/Dockerfile.
#
# All of it runs in namespaces of its own (mounts, processes, network): when
# this ends, however it ends, no container, no mount and no rule of a firewall
# is left, and its ports are nobody else's.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

PLACE=$BUILD/docker
STORE=$PLACE/store
CONTEXT=$PLACE/context
LIMIT=900
CHILD=

# where the tools write whatever they are told; hidden by empty folders

PRIVATE=(/run/netns /run/runc /run/containers /var/lib/containers)


# base_image: the packages of a small image of this release, like those that
# its makers publish

base_image() {
    local path excludes=()

    [ ! -s "$PLACE/base.tar" ] || return 0

    for path in doc info locale man; do
        excludes+=("--dpkgopt=path-exclude=/usr/share/$path/*")
    done

    within 900 mmdebstrap mmdebstrap -q --variant=minbase "${excludes[@]}" \
        --hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr "$RELEASE" \
        "$PLACE/base.new.tar" "$(apt_source)" > "$PLACE/base.log" 2>&1 ||
        die "cannot make a base image, see $PLACE/base.log"
    mv "$PLACE/base.new.tar" "$PLACE/base.tar"
}


# runtime: what podman starts containers with.  Where this runs inside of a
# container or a small machine, limits cannot be raised; podman asks for that.

runtime() {
    cat > "$1" << 'SH'
#!/bin/sh
strip() { jq "$2" "$1" > "$1.new" && cat "$1.new" > "$1" && rm "$1.new"; }
last=
for arg in "$@"; do
    case $last in
    --bundle | -b)
        strip "$arg/config.json" 'del(.process.rlimits)' ;;
    --process | -p)
        strip "$arg" 'del(.rlimits)' ;;
    esac
    last=$arg
done
exec runc "$@"
SH
    chmod 755 "$1"
}


# configure: everything that podman and buildah write lies below STORE

configure() {
    mkdir -p "$STORE/tmp"
    runtime "$STORE/runtime"

    cat > "$STORE/storage.conf" << CONF
[storage]
driver = "overlay"
graphroot = "$STORE/root"
runroot = "$STORE/run"
CONF
    cat > "$STORE/containers.conf" << CONF
[containers]
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "softfactory"
tmp_dir = "$STORE/libpod"
volume_path = "$STORE/volumes"

[engine.runtimes]
softfactory = ["$STORE/runtime"]

[network]
network_backend = "netavark"
network_config_dir = "$STORE/networks"
CONF
    export CONTAINERS_STORAGE_CONF=$STORE/storage.conf
    export CONTAINERS_CONF=$STORE/containers.conf
    export TMPDIR=$STORE/tmp
}


# image NAME FILE [ARG...]

image() {
    local name=$1 file=$2 log=$PLACE/${1##*/}.log
    shift 2

    buildah bud --pull-never --layers --isolation chroot --format docker \
        --build-arg BASE="$BASE_IMAGE" -t "localhost/$name" \
        -f "$CONTEXT/$file" "$@" "$CONTEXT" > "$log" 2>&1 ||
        { tail -n 20 "$log" >&2; die "cannot build $name, see $log"; }
}


# inside: in its own namespaces of mounts and processes, where this is init

inside() {
    local dir ours theirs

    trap 'exit 1' INT TERM

    for dir in "${PRIVATE[@]}"; do
        mkdir -p "$dir"
        mount -t tmpfs tmpfs "$dir"
    done

    configure
    SECONDS=0

    podman image exists "localhost/$BASE_IMAGE" ||
        podman import -q "$PLACE/base.tar" "localhost/$BASE_IMAGE" > /dev/null
    image softfactory docker/Dockerfile & ours=$!
    {
        image standin-postgres t/docker/Dockerfile --target postgres
        image standin-prometheus t/docker/Dockerfile --target prometheus
    } & theirs=$!

    wait $ours
    echo "the image is built: $SECONDS s"
    wait $theirs
    echo "the stand-ins are built: $SECONDS s"

    cd "$CONTEXT"
    LOGS=$PLACE unshare --net t/docker/test.sh
}


# finish: ends what runs, removes what is not to stay

finish() {
    trap '' INT TERM

    if [ -n "$CHILD" ]; then
        kill "$CHILD" 2> /dev/null || true
        wait "$CHILD" || true
    fi

    rmdir "${PRIVATE[@]}" 2> /dev/null || true
    find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' \
        -exec rmdir {} + 2> /dev/null || true
    rm -rf "$CONTEXT"

    [ -z "${KEEP:-}" ] || return 0
    rm -rf "$STORE"

    if [ -n "${SUDO_UID:-}" ]; then
        chown -R "$SUDO_UID:${SUDO_GID:-}" "$PLACE"
    fi
}


if ! is_root; then
    command -v sudo > /dev/null || die "mounts and networks need root"
    exec sudo env KEEP="${KEEP:-}" "$0" "$@"
fi

# shellcheck disable=SC1091
RELEASE=$(. /etc/os-release && echo "$VERSION_CODENAME")
export BASE_IMAGE=debian:$RELEASE-slim

if [ "${1:-}" = inside ]; then
    inside
    exit
fi

"$TOP/.ci/install.sh" docker

mkdir -p "$PLACE"
exec 8> "$BUILD/.docker.lock"
flock -n 8 || die "make docker-test is at work already in this folder"

trap finish EXIT
trap 'exit 1' INT TERM

base_image

# what is generated is not to be sent along

rm -rf "$CONTEXT"
mkdir "$CONTEXT"
tar -C "$TOP" -c --exclude=./build --exclude=./.git --exclude='./t/servroot*' \
    . | tar -C "$CONTEXT" -x

timeout -k 10 $LIMIT unshare --mount --pid --fork --mount-proc --kill-child \
    "$TOP/.ci/docker.sh" inside 8>&- < /dev/null & CHILD=$!

status=0
wait $CHILD || status=$?
CHILD=
exit $status

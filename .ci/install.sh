#!/usr/bin/env bash
#
# Installs the packages that a task needs and that are not there yet:
#
#     .ci/install.sh build run
#
# This is the one place that lists packages, in groups by task.  A second call
# only asks dpkg and needs no network.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

declare -A GROUP=(
    [build]="gcc libc6-dev make nginx nginx-dev libpq-dev libjansson-dev
             libssl-dev libpcre2-dev zlib1g-dev"
    [run]="nginx postgresql curl openssl ca-certificates"
    [test]="perl python3 curl procps universal-ctags libtest-nginx-perl
            pgbouncer libfaketime"
    [asan]="gcc dpkg-dev patch xz-utils libpcre2-dev libssl-dev zlib1g-dev"
    [unit]="gcc libjansson-dev libssl-dev"
    [fuzz]="clang libclang-rt-dev"
    [faults]="python3 procps iproute2 gdb"
    [plans]="python3 postgresql gcc libc6-dev"
    [bench]="wrk python3 gcc libpq-dev postgresql libnginx-mod-http-lua
             linux-perf valgrind"
    [load]="python3 python3-locust gcc libc6-dev postgresql"
    [valgrind]="valgrind"
    [deb]="debhelper dpkg-dev nginx-dev fakeroot"
    [deb-test]="mmdebstrap"
    [metrics]="prometheus perl"
    [page]="chromium"
    [npm]="nodejs npm"
    [docker]="podman buildah runc mmdebstrap jq catatonit docker-compose
              netavark aardvark-dns iptables iproute2 curl openssl"
    [fresh]="mmdebstrap git util-linux"
    [image]="nginx libpq5 libjansson4"
    [standins]="postgresql prometheus wget"
)

LIMIT=1200                      # seconds, for one call of apt-get

# not in every release of Debian: taken from the suite that has it

FORKY="libtest-nginx-perl"


# as_root COMMAND...

as_root() {
    if is_root; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}


# apt COMMAND...: with a bound for each wait, for the network, for the lock of
# another apt, and for all of it

apt() {
    as_root timeout --foreground -k 30 $LIMIT \
        env DEBIAN_FRONTEND=noninteractive apt-get -qq \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=3 -o Acquire::http::Timeout=60 "$@" < /dev/null
}


apt_install() {
    apt install -y --no-install-recommends "$@"
}


# installed packages are not to start services: a web server on port 80, a
# database with an empty cluster

hold_services() {
    local policy=/usr/sbin/policy-rc.d

    [ ! -e $policy ] || return 0

    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy > /dev/null
    as_root chmod 755 $policy
}


install_forky() {
    local dir=$BUILD/packages

    apt_private "$dir" deb forky
    (cd "$dir" && "${APT[@]}" download "$1")
    apt_install "$dir/$1"_*.deb
}


# install_one PACKAGE: or says in one line which one failed, and how to see why

install_one() {
    local log=$BUILD/install.log

    if [[ " $FORKY " == *" $1 "* ]] && ! apt-cache show "$1" > "$log" 2>&1
    then
        install_forky "$1" > "$log" 2>&1 && return
    else
        apt_install "$1" > "$log" 2>&1 && return
    fi

    die "cannot install $1: see $log or run: sudo apt-get install $1"
}


[ $# -gt 0 ] || die "usage: install.sh GROUP...; groups: ${!GROUP[*]}"

wanted=
for group in "$@"; do
    [ -n "${GROUP[$group]:-}" ] || die "no group $group in: ${!GROUP[*]}"
    wanted+=" ${GROUP[$group]}"
done

# shellcheck disable=SC2086
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted \
       2> /dev/null | awk '$2 == "installed" { print $1 }') || true

missing=()
for package in $wanted; do
    grep -qx "$package" <<< "$have" || missing+=("$package")
done

[ ${#missing[@]} -gt 0 ] || exit 0

if ! is_root && ! command -v sudo > /dev/null; then
    die "missing, run as root: apt-get install ${missing[*]}"
fi

echo "installing ${missing[*]}"

hold_services
apt update || die "cannot read the package lists: see apt-get update"

plain=()
for package in "${missing[@]}"; do
    [[ " $FORKY " == *" $package "* ]] || plain+=("$package")
done

# all at once is fast; one by one tells which fails

if [ ${#plain[@]} -gt 0 ]; then
    apt_install "${plain[@]}" > "$BUILD/install.log" 2>&1 || true
fi

for package in "${missing[@]}"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2> /dev/null |
        grep -qx installed || install_one "$package"
done

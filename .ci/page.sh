#!/usr/bin/env bash
#
# make page: the live page (conf/dashboard) in headless Chromium: t/page.
# Pictures of what it shows go to build/page.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
HOME_OF_PAGE=$BUILD/page
LIMIT=900                       # seconds
TOOLS="playwright-core@1 axe-core@4"


finish() {
    trap '' INT TERM
    trap - EXIT

    # it stops what it has started when it is asked to end

    local pid
    for pid in $(jobs -p); do
        kill -TERM "$pid" 2> /dev/null || true
    done
    wait
    .ci/postgres.sh stop "$HOME_OF_PAGE/pg"
    exit "$1"
}


# npm may come with another nodejs than Debian's, which brings its own

command -v npm > /dev/null || .ci/install.sh npm
.ci/install.sh build run page

mkdir -p "$HOME_OF_PAGE"
exec 8> "$BUILD/.page.lock"
flock -n 8 || die "make page is at work already in this folder"

.ci/build.sh

# they drive and judge, no browser is fetched: Debian's is used

for tool in $TOOLS; do
    if [ ! -d "$HOME_OF_PAGE/node_modules/${tool%@*}" ]; then
        # shellcheck disable=SC2086
        within 300 npm npm install --prefix "$HOME_OF_PAGE" --no-save \
            --no-audit --no-fund --ignore-scripts --loglevel=error $TOOLS
        break
    fi
done

rm -f "$HOME_OF_PAGE"/*.png
trap 'finish $?' EXIT
trap 'exit 1' INT TERM

timeout -k 30 $LIMIT node t/page/page.test.mjs 8>&- &
status=0
wait $! || status=$?
[ "$status" != 124 ] || die "t/page/page.test.mjs took more than $LIMIT s"
exit "$status"

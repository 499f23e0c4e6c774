#!/usr/bin/env bash
#
# make clean: stops the private PostgreSQL servers of this folder and removes
# everything that was generated.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

# a server's folder holds "data"; one that lives elsewhere is named by DIR.dir

while read -r dir; do
    "$TOP/.ci/postgres.sh" remove "$dir"
done < <(find "$BUILD" -maxdepth 3 \( -path '*/src' -o -path '*/asan' \) \
             -prune -o -type f -name '*.dir' -printf '%p\n' -o \
             -type d -name data -printf '%h\n' | sed 's/\.dir$//' | sort -u)

rm -rf "$BUILD" "$TOP"/t/servroot*

#!/usr/bin/env bash
#
# make clean: stops the private PostgreSQL servers of this folder and removes
# everything that was generated.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ -d "$BUILD/pg" ] || [ -f "$BUILD/pg.dir" ]; then
    "$TOP/.ci/postgres.sh" remove "$BUILD/pg"
fi

if [ -d "$BUILD/test/pg" ] || [ -f "$BUILD/test/pg.dir" ]; then
    "$TOP/.ci/postgres.sh" remove "$BUILD/test/pg"
fi

rm -rf "$BUILD" "$TOP"/t/servroot*

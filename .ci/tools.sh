#!/usr/bin/env bash
#
# tools.sh: builds t/tools/NOUN.c that have a main() as build/tools/NOUN, with
# the objects that the unit tests use.  They run under the sanitizers, so they
# tell what the module sends, not how fast.

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/tools
UNIT=$BUILD/unit
OBJS=${NGX_OBJS:-$BUILD/asan}
CC=${CC:-gcc}

# the archives are made by the run of any test

"$TOP/.ci/unit.sh" route > "$BUILD/tools.log" 2>&1 ||
    die "cannot build the module, see $BUILD/tools.log"

mapfile -t LIBS < <(grep -oE -- ' -l[a-z0-9-]+' "$OBJS/Makefile" | sort -u |
                    tr -d ' ')
LIBS+=(-lpq -ljansson -lssl -lcrypto -lm)

alone unit
mkdir -p "$OUT"
cd "$TOP"

mapfile -t tools < <(grep -lE '^main\(' t/tools/*.c)

for src in "${tools[@]}"; do
    noun=$(basename "${src%.c}")

    "$CC" "@$UNIT/flags" -It/tools "$src" t/tools/endpoints.c \
        t/tools/ngx_sf_table.c t/unit/unit.c \
        -o "$OUT/$noun.new" -Wl,--start-group "$UNIT/libmodule.a" \
        "$UNIT/libnginx.a" -Wl,--end-group "${LIBS[@]}"

    mv "$OUT/$noun.new" "$OUT/$noun"
done

#!/usr/bin/env bash
#
# make check-notify: softfactory.sql, softfactory-tables.sql and
# softfactory-remove.sql of conf/postgresql are what t/tools/notify.c makes of
# them and of the list of tables in t/tools/ngx_sf_table.c.
#
#     check-notify.sh           says so if they are not
#     check-notify.sh update    makes them anew
#
# The generator is linked without the module, so that it runs while something
# else does not compile.  nginx's source and ngx_auto_config.h come from
# .ci/asan.sh; another tree can be given in NGX_SOURCE and NGX_OBJS.

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/notify
SOURCE=${NGX_SOURCE:-$(echo "$BUILD"/src/nginx-*/)}
OBJS=${NGX_OBJS:-$BUILD/asan}
SQL=conf/postgresql
CC=${CC:-gcc}

if [ ! -d "$SOURCE/src/core" ] || [ ! -f "$OBJS/ngx_auto_config.h" ]; then
    die "no nginx in build/src and build/asan: run .ci/asan.sh first"
fi

alone notify
mkdir -p "$OUT"
cd "$TOP"

CFLAGS=(-g -O1 -W -Wall -Wpointer-arith -Wno-unused-parameter -Werror
        -ffunction-sections "-Wl,--gc-sections" "${ROOM_FLAGS[@]}"
        -isystem "$OBJS" -isystem "$(pg_config --includedir)")

for dir in core event os/unix; do
    CFLAGS+=(-isystem "$SOURCE/src/$dir")
done

# of nginx's core only the table of a CRC: its other function is left out

"$CC" "${CFLAGS[@]}" t/tools/notify.c t/tools/ngx_sf_table.c \
    "$SOURCE/src/core/ngx_crc32.c" -o "$OUT/notify"

for file in softfactory.sql softfactory-tables.sql softfactory-remove.sql; do
    "$OUT/notify" "$SQL/$file" > "$OUT/$file"

    if cmp -s "$OUT/$file" "$SQL/$file"; then
        continue
    elif [ "${1:-}" = update ]; then
        cp "$OUT/$file" "$SQL/$file"
    else
        diff -u "$SQL/$file" "$OUT/$file" | head -n 40 || true
        die "$SQL/$file is not what t/tools/notify.c makes of it," \
            "run: .ci/check-notify.sh update"
    fi
done

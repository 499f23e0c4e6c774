#!/usr/bin/env bash
#
# fuzz.sh [SECONDS [NOUN ...]]: builds the libFuzzer targets t/fuzz/NOUN.c, all
# or those named, and runs each for SECONDS (30).  Seeds are the small files of
# t/fuzz/corpus/NOUN; what a run finds of interest is kept in build/fuzz, for
# the next one.  On a finding the status is 1 and the input that caused it is
# left as build/fuzz/NOUN-crash-* (or -timeout-*, -oom-*, -leak-*).
#
# Compiles nginx by clang from the source in build/src, configured by
# .ci/asan.sh; another tree can be given in NGX_SOURCE and NGX_OBJS.

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/fuzz
SOURCE=${NGX_SOURCE:-$(echo "$BUILD"/src/nginx-*/)}
OBJS=${NGX_OBJS:-$BUILD/asan}
SECS=${1:-30}
shift || true

CC=${FUZZ_CC:-clang}

command -v "$CC" > /dev/null || die "needs clang: apt-get install clang"

if [ ! -d "$SOURCE/src/core" ] || [ ! -f "$OBJS/src/core/nginx.o" ]; then
    die "no nginx in build/src and build/asan: run .ci/asan.sh first"
fi

CFLAGS=(-g -O1 -fno-omit-frame-pointer -DNGX_DEBUG_PALLOC=1)

for dir in core event event/modules os/unix http http/modules http/v2; do
    CFLAGS+=(-isystem "$SOURCE/src/$dir")
done

CFLAGS+=(-isystem "$OBJS" -isystem "$(pg_config --includedir)"
         "${ROOM_FLAGS[@]}" -I"$TOP/t/unit")

# nginx: memory only, unwarned; the module: all, and coverage to steer by, but
# an empty ngx_str_t is NULL + 0 here as everywhere in nginx

CORE=("${CFLAGS[@]}" -w -fsanitize=address)
MODULE=("${CFLAGS[@]}" -W -Wall -Wpointer-arith -Wno-unused-parameter
        "-fsanitize=fuzzer-no-link,address,undefined"
        -fno-sanitize-recover=undefined
        "-fno-sanitize=nonnull-attribute,pointer-overflow")

mapfile -t LIBS < <(grep -oE -- ' -l[a-z0-9-]+' "$OBJS/Makefile" | sort -u |
                    tr -d ' ')
LIBS+=(-lpq -ljansson -lssl -lcrypto -lm)


# object FLAGS DIR FILE.c: compiles one file when it, a header or the flags
# changed

# shellcheck disable=SC2317
object() {
    local src=$3 obj=$OUT/$2/${3//\//_}.o

    if [ "$src" -nt "$obj" ] || [ "$OUT/$1.flags" -nt "$obj" ] ||
       [ -n "$(find "$TOP/src" "$TOP/t/unit" -name '*.h' -newer "$obj")" ]
    then
        rm -f "$obj"
        "$CC" "@$OUT/$1.flags" -c "$src" -o "$obj"
    fi
}


# flags NAME FLAG ...: writes a file of flags, untouched when they are the same

flags() {
    local file=$OUT/$1.flags
    shift

    if changed "$file" "$*"; then
        echo "$*" > "$file"
    fi
}


# core: nginx's own files, those the asan build has, but its main()

core() {
    if [ "$OUT/libnginx.a" -nt "$OBJS/ngx_auto_config.h" ] &&
       [ "$OUT/libnginx.a" -nt "$OUT/core.flags" ]
    then
        return 0
    fi

    rm -rf "$OUT/core" "$OUT/libnginx.a"
    mkdir -p "$OUT/core"

    (cd "$OBJS" && find src -name '*.o') | sed "s|^|$SOURCE/|; s|o$|c|" |
        xargs -P "$(nproc)" -I{} bash -c 'object core core {}'

    objcopy --redefine-sym main=ngx_main \
        "$OUT"/core/*_core_nginx.c.o

    ar rcs "$OUT/libnginx.a" "$OUT"/core/*.o
}


# module: what of it compiles, for a target may need little

module() {
    printf '%s\n' src/*/*.c "$NAME.c" t/unit/unit.c |
        xargs -P "$(nproc)" -I{} bash -c \
            '[ ! -f {} ] || object module module {}' || true

    rm -f "$OUT/libmodule.a"
    ar rcs "$OUT/libmodule.a" "$OUT"/module/*.o
}


# run NOUN: builds a target and lets it run

run() {
    local noun=$1 work=$OUT/corpus/$1 log=$OUT/$1.log seeds=()

    mkdir -p "$work"
    rm -f "$OUT/$noun"-*-*

    [ ! -d "t/fuzz/corpus/$noun" ] || seeds=("t/fuzz/corpus/$noun")

    "$CC" "@$OUT/module.flags" -fsanitize=fuzzer "t/fuzz/$noun.c" \
        -o "$OUT/$noun" -Wl,--start-group "$OUT/libmodule.a" \
        "$OUT/libnginx.a" -Wl,--end-group "${LIBS[@]}" || return 1

    if ! within $((SECS + 120)) "t/fuzz/$noun.c" "$OUT/$noun" \
         -max_total_time="$SECS" -timeout=10 -max_len=8192 \
         -rss_limit_mb=2048 -print_final_stats=1 \
         -artifact_prefix="$OUT/$noun-" "$work" "${seeds[@]}" > "$log" 2>&1
    then
        tail -n 60 "$log"
        ls "$OUT/$noun"-*-* 2> /dev/null || true
        return 1
    fi

    printf 't/fuzz/%s.c: %s runs, %s features, no finding\n' "$noun" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(sed -nE 's/.* ft: ([0-9]+) .*/\1/p' "$log" | tail -n 1)"
}


alone fuzz
mkdir -p "$OUT/module"
cd "$TOP"

flags core "${CORE[@]}"
flags module "${MODULE[@]}"

export -f object
export OUT CC TOP

core
module

if [ $# = 0 ]; then
    mapfile -t nouns < <(grep -lE '^LLVMFuzzerTestOneInput\(' t/fuzz/*.c |
                         sed 's|.*/||; s|\.c$||')
else
    nouns=("$@")
fi

status=0

for noun in "${nouns[@]}"; do
    run "$noun" || { echo "t/fuzz/$noun.c: FAILED"; status=1; }
done

exit "$status"

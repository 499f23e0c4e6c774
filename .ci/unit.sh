#!/usr/bin/env bash
#
# unit.sh [NOUN ...]: builds and runs the unit tests, all or those named, under
# AddressSanitizer and UndefinedBehaviorSanitizer.  A test is a t/unit/NOUN.c
# with a main(); t/unit/unit.h says what it may use.  Its TAP goes to
# build/unit/NOUN.tap, failures to the terminal.
#
# nginx's own objects come from build/asan, which .ci/asan.sh builds; another
# tree can be given in NGX_SOURCE (unpacked source) and NGX_OBJS (--builddir).

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/unit
SOURCE=${NGX_SOURCE:-$(echo "$BUILD"/src/nginx-*/)}
OBJS=${NGX_OBJS:-$BUILD/asan}

if [ ! -d "$SOURCE/src/core" ] || [ ! -f "$OBJS/src/core/nginx.o" ]; then
    die "no nginx in build/src and build/asan: run .ci/asan.sh first"
fi

CC=${CC:-gcc}
CFLAGS=(-g -O1 -W -Wall -Wpointer-arith -Wno-unused-parameter -Werror -Wshadow
        "-fsanitize=address,undefined" -fno-sanitize-recover=undefined
        -fno-sanitize=nonnull-attribute -fno-omit-frame-pointer
        -DNGX_DEBUG_PALLOC=1)

for dir in core event event/modules os/unix http http/modules http/v2; do
    CFLAGS+=(-isystem "$SOURCE/src/$dir")
done

CFLAGS+=(-isystem "$OBJS" -isystem "$(pg_config --includedir)"
         "${ROOM_FLAGS[@]}" -I"$TOP/t/unit")

# what nginx was linked with, and what the module needs

mapfile -t LIBS < <(grep -oE -- ' -l[a-z0-9-]+' "$OBJS/Makefile" | sort -u |
                    tr -d ' ')
LIBS+=(-lpq -ljansson -lssl -lcrypto -lm)


# core: archives nginx's objects, its main() out of the way

core() {
    local lib=$OUT/libnginx.a

    [ "$OBJS/src/core/nginx.o" -nt "$lib" ] || return 0

    objcopy --redefine-sym main=ngx_main "$OBJS/src/core/nginx.o" \
        "$OUT/ngx_main.o"

    rm -f "$lib"
    find "$OBJS/src" -name '*.o' ! -path "$OBJS/src/core/nginx.o" -print0 |
        xargs -0 ar rcs "$lib" "$OUT/ngx_main.o"
}


# object FILE.c: compiles a file of the module when it or any header is newer

object() {
    local src=$1 obj=$OUT/obj/${1//\//_}.o

    if [ "$src" -nt "$obj" ] || [ "$OUT/flags" -nt "$obj" ] ||
       [ -n "$(find src -name '*.h' -newer "$obj")" ]
    then
        rm -f "$obj"
        "$CC" "@$OUT/flags" -c "$src" -o "$obj"
    fi
}


# build NOUN: links a test with what it names, the module and nginx, of which
# only the objects it refers to go in

build() {
    local src=t/unit/$1.c with

    with=$(sed -nE 's/^[ *]*unit-with: *//p' "$src")

    # shellcheck disable=SC2086
    "$CC" "${CFLAGS[@]}" "$src" $with t/unit/unit.c -o "$OUT/$1" \
        -Wl,--start-group "$OUT/libmodule.a" "$OUT/libnginx.a" \
        -Wl,--end-group "${LIBS[@]}"
}


# run NOUN: adds the test's results to passed and failed

run() {
    local tap=$OUT/$1.tap good bad status=0

    timeout 300 "$OUT/$1" > "$tap" 2> "$OUT/$1.err" || status=$?

    good=$(grep -ac '^ok ' "$tap" || true)
    bad=$(grep -ac '^not ok ' "$tap" || true)

    # a test that dies says so by its status, its plan or the sanitizer

    if ! grep -aqx "1\.\.$((good + bad))" "$tap" || [ $((good + bad)) = 0 ] ||
       { [ "$status" != 0 ] && [ "$bad" = 0 ]; }
    then
        bad=$((bad + 1))
        printf 'not ok - %s ended early, status %s%s\n' "$1" "$status" \
            "$([ "$status" != 124 ] || echo ': it took more than 300 s')"
    fi

    grep -aA 3 '^not ok ' "$tap" | grep -av '^ok ' || true
    cat "$OUT/$1.err"

    printf '%-16s %6d passed, %d failed\n' "t/unit/$1.c" "$good" "$bad"

    passed=$((passed + good))
    failed=$((failed + bad))
}


alone unit
mkdir -p "$OUT/obj"
cd "$TOP"

core

if changed "$OUT/flags" "${CFLAGS[*]}"; then
    echo "${CFLAGS[*]}" > "$OUT/flags"
fi

# a file that does not compile fails the run, but only the tests that need it

passed=0
failed=0

mapfile -t sources < <(ls src/*/*.c ./*.c 2> /dev/null)

export -f object
export OUT CC

printf '%s\n' "${sources[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'object {}' || true

objects=()

for src in "${sources[@]}"; do
    objects+=("$OUT/obj/${src//\//_}.o")

    if [ ! -f "${objects[-1]}" ]; then
        unset 'objects[-1]'
        printf 'not ok - %s does not compile\n' "$src"
        failed=$((failed + 1))
    fi
done

rm -f "$OUT/libmodule.a"
ar rcs "$OUT/libmodule.a" "${objects[@]}"

if [ $# = 0 ]; then
    mapfile -t nouns < <(grep -lE '^main\(' t/unit/*.c |
                         sed 's|.*/||; s|\.c$||')
else
    nouns=("$@")
fi

for noun in "${nouns[@]}"; do
    if build "$noun"; then
        run "$noun"
    else
        printf 'not ok - t/unit/%s.c does not build\n' "$noun"
        failed=$((failed + 1))
    fi
done

printf '%d passed, %d failed\n' "$passed" "$failed"

[ "$failed" = 0 ]

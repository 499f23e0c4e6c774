#!/usr/bin/env bash
#
# Builds nginx with the module linked in and both under AddressSanitizer and
# UndefinedBehaviorSanitizer: build/asan/nginx.  Pool allocations are mallocs
# there (NGX_DEBUG_PALLOC), so that an overflow inside a pool is seen.  Takes
# half a minute at first, then what make needs.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

OUT=$BUILD/asan
SOURCE=$("$TOP/.ci/nginx-source.sh")

# nonnull-attribute: nginx itself copies 0 bytes from NULL at start;
# alignment: it compares the method of a request as whole words;
# shift: its murmur hash shifts bytes into the sign

SAN="-fsanitize=address,undefined -fno-sanitize-recover=undefined \
-fno-sanitize=nonnull-attribute,alignment,shift -fno-omit-frame-pointer"

alone asan

args=(--builddir="$OUT" --prefix="$OUT/prefix" --sbin-path="$OUT/nginx"
      --conf-path=conf/nginx.conf --error-log-path=stderr
      --pid-path=logs/nginx.pid --http-log-path=logs/access.log
      --with-compat --with-debug --with-threads --with-pcre-jit
      --with-http_ssl_module --with-http_v2_module
      --with-http_stub_status_module --with-http_realip_module
      --with-http_auth_request_module --with-http_sub_module
      --with-http_addition_module
      --with-cc-opt="-O1 -g $SAN -DNGX_DEBUG_PALLOC=1"
      --with-ld-opt="$SAN" --add-module="$TOP"
      --add-module="$TOP/t/modules")

stamp=$(printf '%s\n' "$SOURCE" "${args[@]}"
        cat "$TOP/config" "$TOP/t/modules/config")

cd "$SOURCE"

if changed "$OUT/stamp" "$stamp"; then
    rm -rf "$OUT"
    within 600 "nginx's configure" bash ./configure "${args[@]}" \
        > "$BUILD/asan-configure.log" 2>&1 ||
        die "configure failed, see $BUILD/asan-configure.log"
    echo "$stamp" > "$OUT/stamp"
fi

within 1800 "the build of nginx" \
    make -s -j"$(nproc)" -f "$OUT/Makefile" binary

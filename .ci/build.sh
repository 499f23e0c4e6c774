#!/usr/bin/env bash
#
# Builds the dynamic module for the nginx of this machine:
# build/ngx_http_softfactory_module.so.  nginx's configure runs again only
# when ./config, the flags or nginx change; then make does what is needed.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

SOURCE=${NGINX_SOURCE:-/usr/share/nginx/src}
OUT=$BUILD/mod

[ -f "$SOURCE/conf_flags" ] ||
    die "nginx's headers are missing, run: .ci/install.sh build"

alone build

# shellcheck disable=SC1091
. "$SOURCE/conf_flags"

CFLAGS="-g -O2 -fPIC -fstack-protector-strong -Wformat \
-Werror=format-security -Wdate-time -D_FORTIFY_SOURCE=2"
LDFLAGS="-fPIC -Wl,-z,relro -Wl,-z,now"

args=("${NGX_CONF_FLAGS[@]}"
      --with-cc-opt="$CFLAGS ${CC_OPT:-}" --with-ld-opt="$LDFLAGS ${LD_OPT:-}"
      --add-dynamic-module="$TOP" --add-dynamic-module="$TOP/t/modules"
      --builddir="$OUT")

stamp=$(printf '%s\n' "${args[@]}"
        cat "$TOP/config" "$TOP/t/modules/config" "$SOURCE/src/core/nginx.h")

cd "$SOURCE"

if changed "$OUT/stamp" "$stamp"; then
    rm -rf "$OUT"
    within 600 "nginx's configure" bash ./configure "${args[@]}" \
        > "$BUILD/mod-configure.log" 2>&1 ||
        { grep error: "$BUILD/mod-configure.log" ||
              tail -n 20 "$BUILD/mod-configure.log"
          die "configure failed, see $BUILD/mod-configure.log"; } >&2
    echo "$stamp" > "$OUT/stamp"
fi

[ -f "$BUILD/$NAME.so" ] ||
    echo "building the module, which takes a minute or two at the first time"

within 900 "the build of the module" \
    make -s -j"$(nproc)" -f "$OUT/Makefile" modules

# a new file each time: a running nginx may have the old one mapped

if ! cmp -s "$OUT/$NAME.so" "$BUILD/$NAME.so"; then
    cp "$OUT/$NAME.so" "$BUILD/$NAME.so.new"
    mv "$BUILD/$NAME.so.new" "$BUILD/$NAME.so"
fi

echo "build/$NAME.so: version $(version), for nginx" \
    "$(sed -nE 's/^#define NGINX_VERSION +"(.*)"/\1/p' src/core/nginx.h)"

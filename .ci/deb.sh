#!/usr/bin/env bash
#
# make deb: builds build/deb/libnginx-mod-http-softfactory_VERSION_ARCH.deb
# from a copy of this folder, as Debian's own modules for nginx are built, and
# looks at what is in it.
#
#     DEB_VERSION   default: the module's version, revision 1
#     DEB_DIR       default: build/deb

set -euo pipefail
. "$(dirname "$0")/lib.sh"

umask 022

PACKAGE=libnginx-mod-http-softfactory
OUT=${DEB_DIR:-$BUILD/deb}
COPY=$OUT/$PACKAGE
LOG=$OUT/build.log
VERSION=${DEB_VERSION:-$(version)-1}
SUITE=unstable


# changelog: CHANGES in Debian's form; the last change of that file is the
# time of all of it

changelog() {
    local maintainer when

    maintainer=$(sed -n 's/^Maintainer: //p' "$TOP/conf/debian/control")
    when=$(date -R -d "@$(changed_at)")

    awk -v package=$PACKAGE -v first="$VERSION" -v suite=$SUITE \
        -v sign=" -- $maintainer  $when" '
        /^Changes with / {
            if (stanza++) { print "\n" sign "\n" }
            print package " (" (stanza == 1 ? first : $4 "-1") ") " suite \
                  "; urgency=medium\n"
            next
        }

        /^    \*\) /    { sub(/^    \*\) /, "  * "); print; next }
        NF              { sub(/^ +/, "    "); print }
        END             { print "\n" sign }' "$TOP/CHANGES"
}


changed_at() {
    git -C "$TOP" log -1 --format=%ct -- CHANGES 2> /dev/null | grep . ||
        stat -c %Y "$TOP/CHANGES"
}


# copy: what is generated stays behind

copy() {
    rm -rf "$COPY"
    mkdir -p "$COPY"
    tar -C "$TOP" -c --exclude=./build --exclude=./.git \
        --exclude='./t/servroot*' . | tar -C "$COPY" -x
    cp -a "$TOP/conf/debian" "$COPY/debian"
    changelog > "$COPY/debian/changelog"
}


# inspect DEB: what an operator relies on, and what a package must not have

inspect() {
    local field files abi

    field=$(dpkg-deb -f "$1" Depends)
    files=$(dpkg-deb -c "$1" | awk '{ print $1, $2, $6 }')
    abi=$(sed -n 's/^nginx:abi=//p' \
          /usr/share/nginx/src/debian/libnginx-mod.abisubstvars)

    [[ $field == *"$abi"* ]] || die "it does not depend on $abi: $field"
    [[ $field == *libpq5* && $field == *libjansson4* ]] ||
        die "a library is missing: $field"

    for file in usr/lib/nginx/modules/$NAME.so \
        usr/share/nginx/modules-available/mod-http-softfactory.conf \
        usr/share/softfactory/{nginx.conf,dashboard/index.html} \
        usr/share/softfactory/api/{principal,review,sns}.conf \
        usr/share/softfactory/api/{dashboard,health}.conf \
        usr/share/softfactory/postgresql/softfactory{,-tables,-remove}.sql \
        usr/share/softfactory/postgresql/indexes.sql \
        usr/share/softfactory/site/conf.d/softfactory.conf \
        usr/share/softfactory/site/sites-available/softfactory \
        usr/share/doc/$PACKAGE/{copyright,conf/postgresql/README.md.gz}
    do
        grep -q -- "^-rw-r--r-- root/root ./$file\$" <<< "$files" ||
            die "it has no $file, or with another owner or mode"
    done

    if grep -v '^[-d]rw[x-]r-[x-]r-[x-] root/root ' <<< "$files"; then
        die "these have another owner or mode"
    fi

    if grep -E ' \./(etc|var|tmp)/' <<< "$files"; then
        die "these do not belong into the package"
    fi
}


mkdir -p "$OUT"
exec 9> "$OUT/.build.lock"
flock -w 300 9 || die "another make deb is at work for more than 300 s"

copy
rm -f "$OUT/${PACKAGE}"*_"$VERSION"_*

(cd "$COPY" && SOURCE_DATE_EPOCH=$(changed_at) DEB_BUILD_OPTIONS="parallel=$(
     nproc)" dpkg-buildpackage -b -us -uc) > "$LOG" 2>&1 9>&- ||
    { grep -E 'error|unmet' "$LOG" | head -n 5 || tail -n 20 "$LOG"
      die "the package cannot be built, see $LOG"; } >&2

deb=$OUT/${PACKAGE}_${VERSION}_$(dpkg --print-architecture).deb
inspect "$deb"
rm -rf "$COPY"
echo "$deb"

#!/usr/bin/env bash
#
# make install, make uninstall: puts the module, its data files and its sample
# configurations where nginx and the manual expect them.
#
#     deploy.sh install | uninstall
#     deploy.sh site DIR      only the sample, cut in two for conf.d/ and
#                             sites-available/
#     deploy.sh list          what install makes, a path a line
#
#     MODULE        what is installed; default: build/NAME.so
#     DESTDIR       goes before all paths (a package, a test)
#     MODULES_DIR   of nginx; default: what nginx -V says, or
#                   /usr/lib/nginx/modules
#     DATA_DIR      default: /usr/share/softfactory
#     LOAD_DIR      of files with a load_module line; default:
#                   /usr/share/nginx/modules-available
#
# Each file is written beside its place and then renamed: a running nginx has
# the old module mapped, and writing into that kills its workers.  Nothing in
# /etc is made or changed.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

umask 022

CONF=$TOP/conf
LOAD=mod-http-softfactory.conf
DATA=${DATA_DIR:-/usr/share/softfactory}
SO=${MODULE:-$BUILD/$NAME.so}
LOADS=${LOAD_DIR:-/usr/share/nginx/modules-available}
DEST=${DESTDIR:-}
ENABLED=$DEST/etc/nginx/modules-enabled


modules_dir() {
    local said

    said=$(PATH=$PATH:/usr/sbin nginx -V 2>&1 |
           sed -nE 's/.*--modules-path=([^ ]+).*/\1/p') || true
    echo "${MODULES_DIR:-${said:-/usr/lib/nginx/modules}}"
}


# site DIR: conf/softfactory.conf for an nginx that has a configuration: what
# stands in http{} before the server, and the server

site() {
    local http=$1/conf.d/softfactory.conf server=$1/sites-available/softfactory

    mkdir -p "$1/conf.d" "$1/sites-available"

    cat > "$http" << 'TEXT'
# A file of /etc/nginx/conf.d, for http{}; the server that belongs to it is
# sites-available/softfactory.  The module writes to the error log at the
# levels notice and warn too: nginx.conf needs "error_log ... notice".
#
# What to change: the addresses of PostgreSQL and of the application, those of
# balancers, the origins (here and in the server); in production the lines
# that begin with "production".  It needs a file beside it:
#
#     /etc/nginx/softfactory.pgpass   *:*:softfactory:app:password
#                                     owned by the workers' user, mode 0600

TEXT
    cat > "$server" << 'TEXT'
# A file of /etc/nginx/sites-available, to be linked in sites-enabled; it
# needs conf.d/softfactory.conf.
#
# What to change: listen and server_name, the origins (here and in conf.d); in
# production the lines that begin with "production".  It needs a file:
#
#     /etc/nginx/softfactory.secret   the application's PLATFORM_SECRET_KEY

TEXT
    awk -v http="$http" -v server="$server" '
        /^http \{/          { out = http; next }
        /^    server \{/    { out = server }
        /^\}/               { out = "" }
        out && !(started[out]++ == 0 && $0 == "") {
            sub(/^    /, "")
            print >> out
        }' "$CONF/softfactory.conf"
}


# files: "SOURCE TARGET" for each file that is installed; the site and the
# load line are made in $BUILD/site

files() {
    local file

    site "$BUILD/site"
    echo "load_module modules/$NAME.so;" > "$BUILD/site/$LOAD"

    echo "$SO $(modules_dir)/$NAME.so"
    echo "$BUILD/site/$LOAD $LOADS/$LOAD"
    echo "$CONF/softfactory.conf $DATA/nginx.conf"
    echo "$CONF/softfactory-minimal.conf $DATA/nginx-minimal.conf"

    for file in conf.d/softfactory.conf sites-available/softfactory; do
        echo "$BUILD/site/$file $DATA/site/$file"
    done

    for file in "$CONF"/{api,dashboard,grafana,postgresql,prometheus}/*; do
        case $file in
        *.test.yml | *.md) ;;
        *) echo "$file $DATA/${file#"$CONF"/}" ;;
        esac
    done
}


# place SOURCE TARGET: the target is another file then, never a changed one

place() {
    mkdir -p "${2%/*}"
    rm -f "$2.new"
    install -m 644 "$1" "$2.new"
    mv -f "$2.new" "$2"
}


install_all() {
    local source target

    [ -f "$SO" ] || die "there is no $SO, run: make"

    while read -r source target; do
        place "$source" "$DEST$target"
    done <<< "$LIST"

    echo "installed $DEST$(modules_dir)/$NAME.so, and $DEST$DATA"

    if [ -z "$DEST" ]; then
        echo "an nginx that runs has the new module after:" \
             "service nginx upgrade"
    fi
}


uninstall_all() {
    local target link=$ENABLED/50-$LOAD

    while read -r _ target; do
        rm -f "$DEST$target"
    done <<< "$LIST"

    if [ -d "$DEST$DATA" ]; then
        find "$DEST$DATA" -depth -type d -empty -delete
    fi

    # a link into nowhere would stop the next start

    if [ -L "$link" ] && [ ! -e "$link" ]; then
        rm -f "$link"
    fi

    if grep -rlsE "^[^#]*load_module.*$NAME" "$DEST/etc/nginx"; then
        echo "these still load the module: nginx will not start with them" >&2
    fi
}


[[ $DATA != *[[:space:]]* ]] || die "DATA_DIR has blanks: $DATA"

case ${1:-} in

install)
    LIST=$(files)
    install_all
    ;;

uninstall)
    LIST=$(files)
    uninstall_all
    ;;

site)
    site "${2:?}"
    ;;

list)
    files | sed "s|^[^ ]* |$DEST|"
    ;;

*)
    die "usage: install|uninstall|site DIR|list"
    ;;
esac

#!/usr/bin/env bash
#
# make check-style: what a reader of the C would trip over.  One line for each
# finding, "file:line: what".

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
shopt -s nullglob

MODULE=("$NAME.c" src/*/*.c)
HEADERS=(src/*.h src/*/*.h)
CODE=("${MODULE[@]}" "${HEADERS[@]}")
TEXT=("${CODE[@]}" t/unit/*.[ch] t/fuzz/*.[ch] config .ci/run .ci/*.sh)

BLOCKING='PQexec\w*|PQprepare|PQconnectdb\w*|PQreset|PQcancel'
BLOCKING+='|getaddrinfo|gethostbyname|u?sleep|system|popen'
UNFINISHED='TODO|FIXME|XXX|HACK|not implemented|placeholder|stub'

MEDIAN=25
CAP=100


lines() {
    local width=$1
    shift

    awk -v width="$width" '
        function say(text) { print FILENAME ":" FNR ": " text }

        length($0) > width      { say("over " width " columns") }
        /\t/                    { say("a tab") }
        /[ \t\r]$/              { say("blanks at the end") }' "$@"

    local file
    for file in "$@"; do
        if [ -n "$(tail -c 1 "$file")" ]; then
            echo "$file:$(wc -l < "$file"): no newline at the end"
        fi
    done
}


# words TEXT REGEX FILE...

words() {
    local text=$1 regex=$2
    shift 2

    grep -HnoP "$regex" "$@" | sed -E "s/^([^:]*:[0-9]+:)/\1 $text: /" || true
}


tags() {
    ctags -x --languages=C --langmap=C:.c.h --kinds-C="$1" \
        --_xformat='%{input} %{line} %{name} %{end}' "${@:2}"
}


functions() {
    tags f "${MODULE[@]}" | sort -k1,1 -k2,2n |
        awk -v cap="$CAP" -v limit="$MEDIAN" '
        {
            n = $4 - $2 + 1
            if (n > cap) {
                print $1 ":" $2 ": " $3 " has " n " lines, at most " cap
            }
            all[NR] = n
        }

        END {
            m = median(NR)
            if (m > limit) {
                print "src:1: the median function has " m \
                      " lines, at most " limit
            }
        }

        function median(count,    i, j, v) {
            for (i = 2; i <= count; i++) {
                v = all[i]
                for (j = i - 1; j > 0 && all[j] > v; j--) {
                    all[j + 1] = all[j]
                }
                all[j + 1] = v
            }
            return count ? all[int((count + 1) / 2)] : 0
        }'
}


# a function is followed by two blank lines, or by one and a directive of the
# preprocessor, or by nothing

spacing() {
    local file

    for file in "${MODULE[@]}"; do
        tags f "$file" | awk -v file="$file" '
            !text { ends[$4] = $3; next }

            { line[FNR] = $0 }

            END {
                for (e in ends) {
                    e += 0
                    if (e == FNR) {
                        continue
                    }
                    for (n = 0; e + n < FNR && line[e + n + 1] == ""; n++) { }
                    if (n != 2 && !(n == 1 && line[e + 2] ~ /^#/)) {
                        print file ":" e ": " n " blank lines after " ends[e] \
                              ", not 2"
                    }
                }
            }' - text=1 "$file"
    done
}


# one process holds the symbols of all modules: everything has the prefix; a
# macro too where other files see it

names() {
    { tags fvtsgue "${MODULE[@]}"; tags fvtsgued "${HEADERS[@]}"; } |
        awk '$3 !~ /^(ngx_sf_|ngx_http_softfactory_|_?NGX_SF_|__anon)/ {
            print $1 ":" $2 ": " $3 " lacks the prefix ngx_sf_"
        }'
}


guards() {
    local file guard

    for file in "${HEADERS[@]}"; do
        guard=$(basename "${file%.h}" | tr '[:lower:]' '[:upper:]')
        guard=_${guard}_H_INCLUDED_
        if ! grep -qx "#ifndef $guard" "$file" ||
           ! grep -qx "#define $guard" "$file"
        then
            echo "$file:1: no include guard $guard"
        fi
    done
}


command -v ctags > /dev/null ||
    die "universal-ctags is missing, run: .ci/install.sh test"
[ -f "$NAME.c" ] || die "$NAME.c is missing"

findings=$(
    lines 80 "${TEXT[@]}"
    words "blocks a worker" "\\b($BLOCKING)\\s*\\(" "${CODE[@]}"
    words "unfinished" "$UNFINISHED" "${CODE[@]}"
    functions
    spacing
    names
    guards
)

[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }

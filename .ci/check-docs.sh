#!/usr/bin/env bash
#
# make check-docs: each directive and variable that the C declares has a
# section "### name" in README.md, a directive's with the lines syntax,
# default and context; each directive stands in conf/softfactory.conf; each
# endpoint of src/ngx_sf_api.c is named in README.md; README.md and the newest
# entry of CHANGES name the version of src/ngx_sf_version.h.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
shopt -s nullglob

README=README.md
SAMPLE=conf/softfactory.conf
CHANGES=CHANGES
API=src/ngx_sf_api.c


# rows TABLE FILE...: "file:line name" for the rows of all tables whose
# declaration matches a regex: the row's first string is its name

rows() {
    local table=$1
    shift

    TABLE=$table perl -ne '
        $in = 1 if /^(?:static\s+)?(?:const\s+)?(?:$ENV{TABLE})\[/;
        if ($in && /(?:^|\{)\s*(?:\.name\s*=\s*|\{\s*)?
                     (?:ngx_string\()?"(\w+)"/x
            && !$named)
        {
            print "$ARGV:$. $1\n";
            $named = 1;
        }
        $named = 0 if $in && /^    \}|\},?\s*$/;
        $in = $named = 0 if /^\};/;
        close ARGV if eof' "$@"
}


# section NAME: the text below the heading "### NAME" of the README

section() {
    NAME=$1 perl -ne '
        if (/^(#+)\s+(.*?)\s*$/) {
            ($level, $title) = (length $1, $2);
            $title =~ s/[`\\]//g;
            $in = $level == 3 && $title eq $ENV{NAME} if $level <= 3;
            print "\n" if $in && $level == 3;
        } elsif ($in) {
            print;
        }' $README
}


directive() {
    local at=$1 name=$2 text line

    text=$(section "$name"; echo .)

    if [ "$text" = . ]; then
        echo "$at: directive $name has no section in $README"
    else
        for line in syntax default context; do
            grep -qiE "^[-* ]*$line:" <<< "$text" ||
                echo "$at: $README, section $name has no line \"$line:\""
        done
    fi

    grep -qwF "$name" $SAMPLE || echo "$at: directive $name is not in $SAMPLE"
}


variable() {
    local at=$1 name=$2

    [ "$(section "\$$name"; echo .)" != . ] ||
        echo "$at: variable \$$name has no section in $README"
}


endpoint() {
    local at=$1 name=$2

    grep -qwF "$name" $README || echo "$at: endpoint $name is not in $README"
}


# versions: CHANGES and the README name the one that is built

versions() {
    local here newest

    here=$(version)
    newest=$(sed -nE "s/^Changes with $NAME +//p" $CHANGES | head -n 1)

    [ -n "$here" ] || echo "src/ngx_sf_version.h:1: no NGX_SF_VERSION"
    [ "$newest" = "$here" ] ||
        echo "$CHANGES:1: the newest entry is \"$newest\", built is \"$here\""
    grep -qxF "This is version $here; [CHANGES](CHANGES) tells what is new." \
        $README || echo "$README:1: does not say that this is version $here"
}


# every KIND TABLE FILE...: checks all rows; none at all means that the tables
# have a form that is not understood here

every() {
    local kind=$1 table=$2 list at name
    shift 2

    list=$(rows "$table" "$@")
    [ -n "$list" ] || { echo "$1:1: no ${kind}s found"; return; }

    while read -r at name; do
        "$kind" "$at" "$name"
    done <<< "$list"
}


for file in "$NAME.c" $API $README $SAMPLE $CHANGES; do
    [ -f "$file" ] || die "$file is missing"
done

variables=("$NAME.c")
for file in src/*.c; do
    ! grep -q '^static ngx_http_variable_t' "$file" || variables+=("$file")
done

findings=$(
    every directive 'ngx_command_t\s+\w+' "$NAME.c" src/*.c

    if grep -q ngx_http_variable_t "${variables[@]}"; then
        every variable 'ngx_http_variable_t\s+\w+' "${variables[@]}"
    fi

    every endpoint '\w+\s+ngx_sf_api' $API
    versions
)

[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }

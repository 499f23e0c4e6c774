#!/usr/bin/env bash
#
# make check-docs: each directive and variable that the module has (as
# .ci/describe.sh tells) has a section "### name" in README.md, a directive's
# with the lines syntax, default and context; each directive stands in
# conf/softfactory.conf (those of softfactory_endpoint blocks stand in a table
# of conf/api/README.md instead); README.md and the newest entry of CHANGES name
# the version of src/ngx_sf_version.h; each row of the table under "## Security"
# names tests that there are, by file and title.  What the manual's tables,
# lines and links say is compared by .ci/docs.py.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"

README=README.md
SAMPLE=conf/softfactory.conf
CHANGES=CHANGES
JSON=$BUILD/describe.json


# names PART: of that list of the description, a line each; without directives
# of blocks

names() {
    PART=$1 perl -MJSON::PP -0777 -ne '
        print ref $_ ? $_->{name} : $_, "\n"
            for grep { !ref $_ || !$_->{contexts}
                       || "@{$_->{contexts}}" !~ /endpoint|principal/ }
                @{decode_json($_)->{$ENV{PART}}}' "$JSON"
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
    local name=$1 text line

    text=$(section "$name"; echo .)

    if [ "$text" = . ]; then
        echo "$README: directive $name has no section"
    else
        for line in syntax default context; do
            grep -qiE "^[-* ]*$line:" <<< "$text" ||
                echo "$README: section $name has no line \"$line:\""
        done
    fi

    grep -qwF "$name" $SAMPLE || echo "$SAMPLE: directive $name is not there"
}


variable() {
    local name=$1

    [ "$(section "\$$name"; echo .)" != . ] ||
        echo "$README: variable \$$name has no section"
}


# versions: CHANGES and the README name the one that is built

versions() {
    local here newest

    here=$(version)
    newest=$(sed -nE "s/^Changes with $NAME +//p" $CHANGES | head -n 1)

    [ -n "$here" ] || echo "src/ngx_sf_version.h:1: no NGX_SF_VERSION"
    [ "$newest" = "$here" ] ||
        echo "$CHANGES:1: the newest entry is \"$newest\", built is \"$here\""
    grep -qF "This is version $here; [CHANGES](CHANGES) tells what is new." \
        $README || echo "$README:1: does not say that this is version $here"
}


# guard FILE TITLE: a test of the suite has one; others may go without

guard() {
    local file=$1 title=$2

    if [ ! -f "$file" ]; then
        echo "$README: no $file, under \"Security\""
    elif [ "${file%.t}" != "$file" ]; then
        TITLE=$title perl -ne '
            $found ||= /^=== (?:TEST \d+: )?\Q$ENV{TITLE}\E$/;
            END { exit !$found }' "$file" ||
            echo "$README: $file has no test \"$title\""
    elif [ -n "$title" ]; then
        echo "$README: $file stands without a title, under \"Security\""
    fi
}


# threats: the rows of the table; the fourth of five cells is
# `FILE`: TITLE; `FILE`; ...

threats() {
    local rows row cells list test n=0
    local form="^\`(t/[^\`]+)\`(: ([^;]+))?\$"

    rows=$(sed -n '/^## Security$/,/^## [^S]/p' $README | grep '^| ')

    while IFS= read -r row; do
        n=$((n + 1))
        [ "$n" -gt 1 ] || continue

        # what is before the first bar is a cell, too

        IFS='|' read -ra cells <<< "$row"
        IFS=';' read -ra list <<< "${cells[4]:-}"

        [ "${#cells[@]}" = 6 ] ||
            echo "$README: not five cells, under \"Security\": $row"

        for test in "${list[@]}"; do
            test=${test# }
            test=${test% }

            if [[ $test =~ $form ]]; then
                guard "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}"
            else
                echo "$README: \"$test\" is no test, under \"Security\""
            fi
        done
    done <<< "$rows"

    [ "$n" -gt 1 ] || echo "$README: no threat under \"Security\""
}


# every KIND: none at all would mean that the description is broken

every() {
    local name list

    list=$(names "${1}s")
    [ -n "$list" ] || { echo "$JSON: no ${1}s"; return; }

    while read -r name; do
        "$1" "$name"
    done <<< "$list"
}


for file in $README $SAMPLE $CHANGES; do
    [ -f "$file" ] || die "$file is missing"
done

.ci/describe.sh

findings=$(
    every directive
    every variable
    versions
    threats
    python3 .ci/docs.py "$JSON"
)

[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }

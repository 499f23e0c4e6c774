#!/usr/bin/env bash
#
# make check-metrics: what conf/prometheus and conf/grafana ask for exists.
#
#     check-metrics.sh         promtool checks the configuration and the rules
#                              and runs their tests; each alert has some; the
#                              dashboard is JSON; each metric that is asked for
#                              stands in the table of metrics in
#                              conf/prometheus/README.md
#     check-metrics.sh FILE    and in FILE, which a softfactory_metrics
#                              location has answered, in either format
#
# Outside of expressions, as in an annotation, the name of a directive or of a
# variable is right as well.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

SAMPLE=${1:+$(realpath -m "$1")}
cd "$TOP"

README=README.md
TABLE=conf/prometheus/README.md
RULES=conf/prometheus/softfactory.rules.yml
TESTS=conf/prometheus/softfactory.rules.test.yml
BOARD=conf/grafana/softfactory.json
OUT=$BUILD/metrics


# tool COMMAND...: promtool without its output, unless it fails

tool() {
    within 120 promtool promtool "$@" > "$OUT/promtool.log" 2>&1 || {
        cat "$OUT/promtool.log"
        echo "promtool $*: failed"
    }
}


# documented: names in the first column of a table of the manual; a histogram
# also with its three endings

documented() {
    perl -ne '
        next unless /^\|\s*`(softfactory_\w+)/;
        $name = $1;
        print "$name\n";
        print "${name}_$_\n"
            for /\bhistogram\b/ ? qw(bucket sum count) : ();
    ' $TABLE | sort -u
}


# exposed FILE: names of samples, and of those that a declaration announces
# when there is nothing to count yet

exposed() {
    perl -ne '
        if (/^# TYPE (\w+) (\w+)/) {
            print "$1\n";
            print "${1}_total\n" if $2 eq "counter";
            print "${1}_info\n" if $2 eq "info";
            print "${1}_$_\n" for $2 eq "histogram" ? qw(bucket sum count) : ();
        } elsif (/^(\w+)/) {
            print "$1\n";
        }' "$1" | sort -u
}


# sections: names with a heading of their own, which directives and variables
# have

sections() {
    sed -nE 's/^### \$?(softfactory_\w+)$/\1/p' $README | sort -u
}


# asked: "file:line kind name" of all names in the rules, kind is expr or text;
# what has a colon is the name of a recorded series

asked() {
    perl -ne '
        $key = $1 eq "expr" ? "expr" : "text" if /^\s*(?:- )?(\w+):(?:\s|$)/;
        $kind = /^\s*#/ ? "text" : $key;
        print "$ARGV:$. $kind $1\n"
            while /(?<![\w:\$])(softfactory_\w+)(?![\w:])/g;
    ' $RULES

    # in the dashboard an expression is one line of JSON; a variable asks by
    # its definition

    perl -ne '
        $kind = /^\s*"(?:expr|definition|query)":/ ? "expr" : "text";
        print "$ARGV:$. $kind $1\n"
            while /(?<![\w:\$])(softfactory_\w+)(?![\w:])/g;
    ' $BOARD
}


# lacking KIND WHERE FILE: names of that kind that are not in FILE

lacking() {
    local at kind name

    while read -r at kind name; do
        if [ "$kind" = "$1" ] && ! grep -qxF "$name" "$3"; then
            echo "$at: $name is not in $2"
        fi
    done < "$OUT/asked"
}


# untested: an alert without a test in which it fires and one in which nothing
# does, for each of its severities

untested() {
    perl -0777 -ne '
        if ($ARGV eq "'$TESTS'") {
            for (split /^(?=\s*- \{?eval_time:)/m) {
                /alertname: (\w+)/ or next;
                my $alert = $1;
                $quiet{$alert} = 1 if /exp_alerts: \[\]/;
                $fires{"$alert $1"} = 1 while /severity: (\w+)/g;
            }
        } else {
            push @rules, [$1, $2]
                while /- alert: (\w+)\n.*?severity: (\w+)/sg;
        }
        END {
            for (@rules) {
                my ($alert, $severity) = @$_;
                print "$alert: no test in which it fires as $severity\n"
                    unless $fires{"$alert $severity"};
                print "$alert: no test in which it does not fire\n"
                    unless $quiet{$alert};
            }
            print "no alerts found\n" unless @rules;
        }' $TESTS $RULES | sort -u | sed "s|^|$TESTS: |"
}


.ci/install.sh metrics

for file in $README $TABLE $RULES $TESTS $BOARD ${SAMPLE:+"$SAMPLE"}; do
    [ -f "$file" ] || die "$file is missing"
done

mkdir -p "$OUT"
documented > "$OUT/documented"
asked > "$OUT/asked"
sort -u "$OUT/documented" <(sections) > "$OUT/known"

[ -s "$OUT/asked" ] || die "no names found in $RULES and $BOARD"
[ -s "$OUT/documented" ] || die "no table of metrics found in $TABLE"

findings=$(
    perl -MJSON::PP -0777 -ne 'decode_json($_)' $BOARD 2>&1 ||
        echo "$BOARD is no JSON"

    lacking expr "the table of metrics in $TABLE" "$OUT/documented"
    lacking text "$README" "$OUT/known"

    if [ -n "$SAMPLE" ]; then
        exposed "$SAMPLE" > "$OUT/exposed"
        lacking expr "$SAMPLE" "$OUT/exposed"
    fi

    untested
    tool check config conf/prometheus/prometheus.yml
    tool check rules $RULES
    tool test rules $TESTS
)

[ -z "$findings" ] || { printf '%s\n' "$findings"; exit 1; }

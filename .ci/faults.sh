#!/usr/bin/env bash
#
# make faults: databases, networks, workers and clients that stall, die and
# come back; t/faults/NN-name.py by the numbers of the fault table.  About
# twenty minutes.
#
#     FAULTS=short        what fits into three minutes
#     SF_FAULTS_ASAN=1    with build/asan/nginx instead
#     .ci/faults.sh 02 14             only these
#
# Figures go to build/faults.json, logs to build/faults.  Needs no network;
# 04 is skipped where this user may not make a network namespace.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

HOME_OF_FAULTS=$BUILD/faults
LIMIT=400                       # seconds for one file, long form
PYTHON=/usr/bin/python3
BESIDE=                         # short form: these wait more than they work

[ -x $PYTHON ] || PYTHON=python3
cd "$TOP"


finish() {
    trap '' INT TERM
    trap - EXIT

    # each undoes what it has started when it is asked to end

    local pid
    for pid in $(jobs -p); do
        kill -TERM "$pid" 2> /dev/null || true
    done
    wait
    .ci/postgres.sh stop "$HOME_OF_FAULTS/pg"
    exit "$1"
}


# one FILE: runs it, leaves its log; timeout(1) ends it politely first

one() {
    local log=$HOME_OF_FAULTS/$(basename "$1" .py).log status=0

    timeout -k 60 $LIMIT "$PYTHON" "$1" > "$log" 2>&1 9>&- 8>&- || status=$?
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        echo "not ok - $1 took more than $LIMIT s" >> "$log"
    elif [ "$status" -gt 1 ]; then
        echo "not ok - $1 ended with $status" >> "$log"
    fi
}


show() {
    cat "$HOME_OF_FAULTS/$(basename "$1" .py).log"
}


mkdir -p "$HOME_OF_FAULTS"
exec 8> "$BUILD/.faults.lock"
flock -n 8 || die "make faults is at work already in this folder"

if [ "${SF_FAULTS_ASAN:-}" = 1 ]; then
    [ -x "$BUILD/asan/nginx" ] || .ci/asan.sh
else
    .ci/build.sh

    # a copy: others may build while this runs

    cp "$BUILD/$NAME.so" "$HOME_OF_FAULTS/module.so"
fi

[ $# -gt 0 ] || set -- ""
files=()
for name in "$@"; do
    files+=(t/faults/"$name"[0-9-]*.py)
done

ulimit -n "$(ulimit -Hn)"
rm -f "$HOME_OF_FAULTS"/*.json "$HOME_OF_FAULTS"/*.log

trap 'finish $?' EXIT
trap 'exit 1' INT TERM

.ci/postgres.sh remove "$HOME_OF_FAULTS/pg"
.ci/postgres.sh start "$HOME_OF_FAULTS/pg" 8>&-
.ci/postgres.sh load "$HOME_OF_FAULTS/pg" small
export SF_FAULTS_KEEP=1

n=0
beside=()
if [ "${FAULTS:-}" = short ]; then
    BESIDE="04 09"
fi

for file in "${files[@]}"; do
    number=$(basename "$file")
    if [[ " $BESIDE " = *" ${number%%-*} "* ]]; then
        one "$file" &
        beside+=("$file")
    fi
done

for file in "${files[@]}"; do
    case " ${beside[*]} " in
    *" $file "*)
        ;;
    *)
        n=$((n + 1))
        printf 'faults %d of %d: %s, %d.%d min so far\n' "$n" \
            $((${#files[@]} - ${#beside[@]})) "$file" $((SECONDS / 60)) \
            $((SECONDS % 60 / 6))
        one "$file" &
        wait $!
        show "$file"
        ;;
    esac
done

wait
for file in "${beside[@]}"; do
    show "$file"
done

"$PYTHON" - "$HOME_OF_FAULTS" "$BUILD/faults.json" "${files[@]}" << 'SUM'
import json, os, sys

home, out, files = sys.argv[1], sys.argv[2], sys.argv[3:]
tests, passed, failed, lines = [], 0, 0, []
for f in files:
    name = os.path.basename(f)[:-3]
    try:
        with open(os.path.join(home, name + ".json")) as j:
            one = json.load(j)
    except (OSError, ValueError):
        one = {"name": name, "passed": 0, "failed": 1, "skipped": 0,
               "failures": ["did not end"], "figures": {}}
    tests.append(one)
    passed += one["passed"]
    failed += one["failed"]
    lines.append("%-24s %4d passed %3d failed %s %6.1f s" % (
        name, one["passed"], one["failed"],
        "%d skipped" % one["skipped"] if one["skipped"] else "         ",
        one["figures"].get("seconds", 0)))
    lines += ["    FAILED: " + x[:300] for x in one["failures"]]
with open(out, "w") as f:
    json.dump({"form": os.environ.get("FAULTS") or "long",
               "asan": os.environ.get("SF_FAULTS_ASAN") == "1",
               "passed": passed, "failed": failed, "tests": tests}, f,
              indent=1)
    f.write("\n")
print("\n".join(["", *lines, "", "%d passed, %d failed" % (passed, failed)]))
sys.exit(failed != 0)
SUM

#!/usr/bin/env bash
#
# Whether the runner of the suite (suite.py, limit.py) notices what it is there
# for: t/runner has a file that waits for ever, one that leaves a process, one
# that ends early, one that fails, one whose tests cannot be told from each
# other.  A matter of seconds.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

cd "$TOP"
OUT=$BUILD/runner

# a number of our own, by which processes are found that should be gone

export SF_RUNNER=$((RANDOM * 10))
findings=


# says TEXT: a line of the output has it

says() {
    grep -qF -- "$1" "$OUT/log" ||
        findings+="not said: $1"$'\n'
}


gone() {
    ! pgrep -f "^sleep ($((1000 + SF_RUNNER))|$((2000 + SF_RUNNER)))" \
        > /dev/null || findings+="still runs: what $1 has started"$'\n'
}


mkdir -p "$OUT"
export PYTHONDONTWRITEBYTECODE=1
begin=$SECONDS
status=0

python3 .ci/suite.py runner 3 "$OUT" \
    t/runner/{good,hangs,leaves,early,fails,alike}.t > "$OUT/log" 2>&1 ||
    status=$?

[ "$status" = 1 ] || findings+="status $status"$'\n'
says 'suite runner 2 of 6: t/runner/hangs.t, 0.'
says 't/runner/hangs.t: took more than 3 s and was ended'
says 'the last test: ok 1 - TEST 1: this ends'
says "was running: sleep $((1000 + SF_RUNNER))"
says "t/runner/leaves.t: left behind: sleep $((2000 + SF_RUNNER))"
says 't/runner/early.t: 3 tests were planned, 1 were run'
says 'not ok 1 - this is wrong'
says 't/runner/alike.t: 20 tests have the title - Allow'
says '26 passed, 5 failed'
gone suite.py

status=0
python3 .ci/limit.py 1 "a command" sh -c "setsid sleep $((1000 + SF_RUNNER)) &
    sleep $((1000 + SF_RUNNER))" > "$OUT/log" 2>&1 || status=$?

[ "$status" = 124 ] || findings+="limit.py: status $status"$'\n'
says 'a command took more than 1 s'
says "    sleep $((1000 + SF_RUNNER))"
gone limit.py

python3 .ci/limit.py 20 "a command" true ||
    findings+="limit.py: true is false"$'\n'

[ $((SECONDS - begin)) -lt 60 ] || findings+='it took a minute'$'\n'
[ -z "$findings" ] || { cat "$OUT/log"; printf '%s' "$findings"; exit 1; }

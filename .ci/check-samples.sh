#!/usr/bin/env bash
#
# make check-samples: what the project shows to others does what it says.
#
#     check-samples.sh syntax     nginx -t over all samples and all nginx
#                                 blocks of the manuals
#     check-samples.sh sample     conf/softfactory.conf, started and asked
#     check-samples.sh manual     the commands of the manuals
#     check-samples.sh install    make install under requests
#
# Without a word all of them.  They take the suite's PostgreSQL if it runs
# (SF_TEST_PG_DIR), else the kept one.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$TOP/.ci/suite.sh"

LIMIT=300


cd "$TOP"

[ $# -gt 0 ] || set -- syntax sample install manual

.ci/install.sh build run test
.ci/build.sh

if [ -z "${SF_TEST_PG_DIR:-}" ]; then
    suite_kept
fi

export SF_SAMPLES_HOME=$TEST/samples PYTHONDONTWRITEBYTECODE=1
passed=0
failed=0

for check in "$@"; do
    echo "== samples: $check"
    status=0
    said=$(python3 .ci/limit.py $LIMIT "samples: $check" \
           python3 "t/samples/$check.py" 2>&1) || status=$?
    printf '%s\n' "$said"
    counts=$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' \
             <<< "$said" | tail -n 1)

    if [ -n "$counts" ]; then
        passed=$((passed + ${counts% *}))
        failed=$((failed + ${counts#* }))
    else
        echo "not ok: $check ended with status $status (124: not within" \
             "$LIMIT s)"
        failed=$((failed + 1))
    fi
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

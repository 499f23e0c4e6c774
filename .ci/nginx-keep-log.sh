#!/usr/bin/env bash
#
# Stands in for nginx in the test suite: starts $SF_NGINX with the same
# arguments, then gives its error log a second name in $SF_REPORTS, so that
# the log is still there when the suite has cleaned up.

"$SF_NGINX" "$@" &
pid=$!
wait $pid
status=$?

if [ $status != 0 ]; then
    # the business of the test that started it: an nginx that refuses its
    # configuration exits as it stands, and never frees its pools

    for report in "$SF_REPORTS"/*."$pid"; do
        if [ -f "$report" ] &&
           ! grep -qE 'ERROR: AddressSan|runtime error' "$report"
        then
            rm -f "$report"
        fi
    done

    exit $status
fi

while [ $# -gt 1 ]; do
    if [ "$1" = -p ] && [ -f "$2/logs/error.log" ]; then
        ln -f "$2/logs/error.log" "$SF_REPORTS/error.$pid.log"
    fi
    shift
done

exit 0

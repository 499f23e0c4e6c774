#!/usr/bin/env bash
#
# make valgrind: the suite, or the files given, with the nginx of this machine
# under valgrind.  Two seconds a test block; not part of make test.
#
# Test::Nginx runs a single process then, so files about workers that come and
# go are left out: those with a line "# valgrind: no".

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$TOP/.ci/suite.sh"

cd "$TOP"
PASSED=0
FAILED=0

.ci/install.sh build run test valgrind
.ci/describe.sh
mkdir -p "$TEST"
exec 8> "$BUILD/.test.lock"
flock -n 8 || die "make test is at work already in this folder"

suite_database

export SF_TEST_SQL=$TOP/conf/postgresql SF_TEST_API=$TOP/conf/api
export SF_TEST_BUILD=$BUILD
export SF_TEST_SANITIZED=1 SF_REPORTS=$TEST/reports-valgrind
export TEST_NGINX_BINARY=/usr/sbin/nginx
suite_modules
export TEST_NGINX_USE_VALGRIND="-q --keep-debuginfo=yes --leak-check=full \
--show-leak-kinds=definite,indirect \
--errors-for-leak-kinds=definite,indirect \
--suppressions=$TOP/.ci/valgrind.suppress \
--log-file=$SF_REPORTS/valgrind.%p"

if [ $# = 0 ]; then
    mapfile -t files < <(grep -Lx '# valgrind: no' t/*.t)
    set -- "${files[@]}"
fi

suite valgrind 3600 "$@"

echo
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" = 0 ]

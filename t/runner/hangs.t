# Waits for ever, after a daemon has been started that outlives its parents.

use strict;
use warnings;
use POSIX ();
use Test::More 'no_plan';

pass('TEST 1: this ends');

if (!fork) {
    POSIX::setsid();
    POSIX::_exit(0) if fork;
    $SIG{TERM} = 'IGNORE';
    exec 'sleep', 1000 + $ENV{SF_RUNNER};
}

wait;
$SIG{TERM} = 'IGNORE';
sleep 60 while 1;

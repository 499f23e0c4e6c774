use strict;
use warnings;
use Test::More tests => 2;

ok(0, 'this is wrong');
pass('this is right');

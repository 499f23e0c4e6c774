use strict;
use warnings;
use Test::More tests => 2;

pass('one');
pass('two');

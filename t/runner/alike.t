# One title for many tests.

use strict;
use warnings;
use Test::More tests => 20;

pass('Allow') for 1 .. 20;

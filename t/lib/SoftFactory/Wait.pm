package SoftFactory::Wait;

# The waits of the suites.  Each has a bound, and one that is in vain ends the
# check and says for how long it was, for what, and where in the test's file:
#
#     waited 60 s for psql: SELECT pg_sleep(100), at t/pg.t line 301
#
# The bound of those for which nothing else is said is what SF_TEST_PATIENCE
# has, in seconds: far longer than a busy machine needs, and shorter than the
# limit of a file (.ci/suite.py).

use strict;
use warnings;

use IO::Select;
use IPC::Open2 ();
use POSIX ();
use Time::HiRes qw(time sleep);

use Exporter 'import';

our @EXPORT = qw(patience in_vain statement read_until
                 wait_until program ended psql_session);


sub patience {
    return $ENV{SF_TEST_PATIENCE} // 60;
}


# here(): the line of the test's own file that has called us

sub here {
    for (my $i = 0; my ($package, $file, $line) = caller $i; $i++) {
        return "$file line $line"
            if $package !~ /^(?:SoftFactory|Test|Time|IO)\b/;
    }

    return $0;
}


sub in_vain {
    my ($seconds, $what) = @_;

    $what =~ s/\s+/ /g;
    $what = substr($what, 0, 200) . '...' if length $what > 200;

    die "waited $seconds s for $what, at ", here(), "\n";
}


# wait_until { condition } 'what': its true value, or the check ends here.
# The third argument is the time allowed, in seconds

sub wait_until(&$;$) {
    my ($condition, $what, $seconds) = @_;

    $seconds //= 15;
    my $end = time + $seconds;

    for (;;) {
        my $value = $condition->();
        return $value if $value;
        in_vain($seconds, $what) if time > $end;
        sleep 0.02;
    }
}


# statement($sql): as psql takes it from a pipe.  What comes behind the "\."
# of a COPY is no part of it: psql 15.20 ends its input without a word at a
# semicolon that stands there alone

sub statement {
    my ($sql) = @_;

    return $sql =~ /^\\\.\s*\z/m ? "$sql\n" : "$sql\n;\n";
}


# read_until($in, \$text, $pattern, $what, $seconds): adds what comes to the
# text until that matches; an undefined pattern is the end of the file

sub read_until {
    my ($in, $text, $pattern, $what, $seconds) = @_;

    $seconds //= patience();

    my $select = IO::Select->new($in);
    my $end = time + $seconds;

    while (!defined $pattern || $$text !~ $pattern) {
        my $left = $end - time;

        if ($left <= 0 || !$select->can_read($left)) {
            next if $end - time > 0;
            in_vain($seconds, $what);
        }

        next if sysread $in, $$text, 65536, length $$text;

        return if !defined $pattern;
        die "the end came instead of $what, at ", here(), ": $$text\n";
    }
}


# ended($pid, $what, $seconds): its status; one that does not end is killed

sub ended {
    my ($pid, $what, $seconds) = @_;

    $seconds //= patience();
    my $end = time + $seconds;

    for (my $pause = 0.001; waitpid($pid, POSIX::WNOHANG) == 0;
         $pause = $pause < 0.05 ? $pause * 2 : 0.05)
    {
        if (time > $end) {
            kill 'KILL', $pid;
            waitpid $pid, 0;
            in_vain($seconds, "the end of $what");
        }

        sleep $pause;
    }

    return $?;
}


# program($what, $words, %options): runs it, (status, output).  Options:
# seconds, input, stderr (false: that goes where ours goes)

sub program {
    my ($what, $words, %o) = @_;

    my $seconds = $o{seconds} // patience();
    my $end = time + $seconds;
    my $input;

    if (defined $o{input}) {
        open $input, '+>', undef or die "$what: $!";
        print $input $o{input};
        $input->flush;
        sysseek $input, 0, 0;
    }

    my $pid = open my $out, '-|';
    die "fork: $!" if !defined $pid;

    if (!$pid) {
        open STDERR, '>&', \*STDOUT if $o{stderr} // 1;
        open STDIN, '<&', $input if $input;
        open STDIN, '<', '/dev/null' if !$input;
        { no warnings; exec { $words->[0] } @$words; }
        print STDERR "$words->[0]: $!\n";
        POSIX::_exit(127);
    }

    my $text = '';

    if (!eval { read_until($out, \$text, undef, $what, $seconds); 1 }) {
        my $why = $@;
        kill 'KILL', $pid;
        close $out;
        die $why;
    }

    # close() would wait for a program that has closed its output

    my $left = $end - time;
    my $status = ended($pid, $what, $left > 1 ? $left : 1);

    local ($?, $!);
    close $out;

    return ($status >> 8 || $status, $text);
}


# psql_session(@words): a psql that reads from a pipe: (its output, its input,
# its pid)

sub psql_session {
    my (@words) = @_;

    my $pid = IPC::Open2::open2(my $out, my $in, @words);

    $in->autoflush;
    return ($out, $in, $pid);
}


1;

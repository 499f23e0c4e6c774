package SoftFactory::Gate;

# A port of 127.0.0.1 before a PostgreSQL server, which can be shut: what is
# said over it is then kept, in the middle of a connection or before it has
# begun, until it is open again.
#
#     my $gate = SoftFactory::Gate->new($path);    # of a Unix socket,
#                                               # or a port of 127.0.0.1
#     $gate->shut;              # nothing passes, either way
#     $gate->hold($text);       # what a client says, from this text on
#     $gate->late;              # a Sync passes when the one before is answered
#     $gate->held;              # how many ends have something kept
#     $gate->open;
#
# Each of them returns when it is in force.  The gate ends with the test.

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Socket;
use SoftFactory::Wait;


sub new {
    my ($class, $path) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64)
        or die "no port: $!";

    socketpair my $here, my $there, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or die "socketpair: $!";
    $_->autoflush for $here, $there;

    my $pid = fork;
    die "fork: $!" if !defined $pid;

    if (!$pid) {
        close $here;
        $SIG{PIPE} = 'IGNORE';
        eval { keep($listen, $there, $path) };
        print STDERR $@ if $@;
        POSIX::_exit(0);
    }

    return bless { port => $listen->sockport, control => $here, pid => $pid,
                   parent => $$ }, $class;
}


sub DESTROY {
    my ($g) = @_;

    return if $g->{parent} != $$;

    local ($?, $!);

    # a gate made later may hold the other end too: the end of it is no sign

    kill 'KILL', $g->{pid};
    waitpid $g->{pid}, 0;
}


sub port { $_[0]{port} }

sub open { $_[0]->tell('open') }

sub shut { $_[0]->tell('shut') }

sub hold { $_[0]->tell("hold $_[1]") }

sub late { $_[0]->tell('late') }

sub held { $_[0]->tell('held') }


sub tell {
    my ($g, $line) = @_;

    print {$g->{control}} "$line\n";

    my $answer = '';
    read_until($g->{control}, \$answer, qr/\n\z/, "the gate to $line", 20);
    chomp $answer;

    return $answer;
}


# --- the process of the gate ---

# a connection is two ends; what has been read at one is text of the other

sub keep {
    my ($listen, $control, $path) = @_;

    my (%ends, $mode, $word);

    $mode = 'open';
    my $select = IO::Select->new($listen, $control);

    for (;;) {
        for my $s ($select->can_read) {

            if ($s == $control) {
                my $line = readline $control;
                return if !defined $line;
                chomp $line;

                if ($line eq 'held') {
                    my $n = grep { $_->{text} ne '' } values %ends;
                    print $control "$n\n";
                    next;
                }

                ($mode, $word) = split / /, $line, 2;
                pass($_, $mode, $word) for values %ends;
                print $control "ok\n";

            } elsif ($s == $listen) {
                my $client = $listen->accept or next;
                my $server = $path =~ /^\d+$/
                    ? IO::Socket::INET->new(PeerAddr => "127.0.0.1:$path")
                    : IO::Socket::UNIX->new(Peer => $path);

                if (!$server) {
                    close $client;
                    next;
                }

                my $owed = 0;

                $ends{$client} = { from => $client, to => $server, text => '',
                                   owed => \$owed, client => 1 };
                $ends{$server} = { from => $server, to => $client, text => '',
                                   owed => \$owed };
                $select->add($client, $server);

            } elsif (my $end = $ends{$s}) {
                if (sysread $s, $end->{text}, 65536, length $end->{text}) {
                    pass($end, $mode, $word);
                    pass($ends{$end->{to}}, $mode, $word) if $mode eq 'late';
                    next;
                }

                # what was kept is lost with the connection

                delete @ends{$end->{from}, $end->{to}};

                for ($end->{from}, $end->{to}) {
                    $select->remove($_);
                    close $_;
                }
            }
        }
    }
}


sub pass {
    my ($end, $mode, $word) = @_;

    return if $end->{text} eq '' || $mode eq 'shut'
              || $mode eq 'hold' && $end->{client}
                 && index($end->{text}, $word) >= 0;

    my $kept = $mode eq 'late' ? late_sync($end) : '';
    my $n = 0;

    while ($n < length $end->{text}) {
        $n += syswrite($end->{to}, $end->{text}, length($end->{text}) - $n,
                       $n) // last;
    }

    $end->{text} = $kept;
}


# late_sync($end): takes from its text what must wait: a Sync, and what is behind
# it, while the server owes a ReadyForQuery.  The two are looked for anywhere in
# the text: what is taken for one by mistake is only late

sub late_sync {
    my ($end) = @_;

    if (!$end->{client}) {
        my $n = () = $end->{text} =~ /Z\0\0\0\x05[ITE]/g;
        ${$end->{owed}} -= $n < ${$end->{owed}} ? $n : ${$end->{owed}};
        return '';
    }

    while ($end->{text} =~ /S\0\0\0\x04/g) {
        return substr $end->{text}, $-[0], length $end->{text}, ''
            if ${$end->{owed}};
        ${$end->{owed}}++;
    }

    return '';
}


1;

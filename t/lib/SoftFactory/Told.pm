package SoftFactory::Told;

# What a session hears that listens to the channel, word for word: for the
# suites of the triggers, in which nginx has no part.

use strict;
use warnings;

use SoftFactory ();
use SoftFactory::Live ();
use SoftFactory::Wait;

use Exporter 'import';

our @EXPORT = qw(told_in told heard end_listeners);

my ($database, %listeners);


# told_in($dbname): it is the database of those below; its name

sub told_in {
    ($database) = @_;

    return $database;
}


# told($sql, %options): what the statements make a session hear that listens,
# and their errors, joined by "; ".  They are run in that session, as the
# superuser.  Options: dbname, host, port

sub told {
    my ($sql, %o) = @_;

    return heard(sub { print {$_[0]} statement($sql) }, %o);
}


# heard($code, %options): the same of what the code does elsewhere.  The
# session sends two NOTIFY of its own: what comes between them has come
# meanwhile, and no more will come

sub heard {
    my ($code, %o) = @_;

    my $dbname = $o{dbname} // $database;
    my $session = $listeners{$dbname} //= listener($dbname, %o);
    my ($out, $in) = @$session;
    my $text = '';

    print {$in} SoftFactory::Live::listen_words(), ";\n",
                "NOTIFY sf_notify_begin;\n";
    read_until($out, \$text, notification('sf_notify_begin'),
               'psql before the change');
    $text =~ s/.*"sf_notify_begin".*?\n//s;

    $code->($in);

    print {$in} "NOTIFY sf_notify_end;\n";
    read_until($out, \$text, notification('sf_notify_end'),
               'psql behind the change');

    my @told;

    while ($text =~ /^(?:Asynchronous\ notification\ "sf_[0-9a-f]{32}"
                     (?:\ with\ payload\ "(.*)")?\ received.*|(?:ERROR:.*))$
                    /xmg)
    {
        push @told, $1 // $&;
    }

    return join '; ', @told;
}


sub notification {
    my ($channel) = @_;

    return qr/^Asynchronous notification "$channel".*\n/m;
}


sub listener {
    my ($dbname, %o) = @_;

    my ($out, $in, $pid) = psql_session('sh', '-c', 'exec "$@" 2>&1',
        'sh', 'psql', '-XAtq', '-v', 'VERBOSITY=terse',
        '-h', $o{host} // $ENV{SF_TEST_PG_DIR},
        '-p', $o{port} // $ENV{SF_TEST_PG_PORT},
        '-U', 'postgres', '-d', $dbname);

    print {$in} "LISTEN sf_notify_begin; LISTEN sf_notify_end;\n";

    return [$out, $in, $pid];
}


sub end_listeners {
    SoftFactory::end_session($_) for values %listeners;
    %listeners = ();
}


1;

package SoftFactory::Live;

# For the suites that look at a running nginx from several sides at once:
# requests that are on their way, locks as barriers in the database, nginx's
# processes and logs, PostgreSQL servers of a test's own.

use strict;
use warnings;

use Cwd ();
use File::Path ();
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use SoftFactory ();
use SoftFactory::Wait;
use Test::More ();
use Test::Nginx::Socket ();
use Time::HiRes qw(time sleep);

use Exporter 'import';

our @EXPORT = qw(start fetch get_all http2 stalled load wait_until hold backends
                 source wait_coherent change log_statements executed
                 write_file error_log log_count access_log master
                 worker_pids children running rss reconfigure hup command
                 free_port compiled_user pg_server pg_standby pg_bouncer
                 sanitized scratch_dir openssl self_signed);

my $self = $$;
my (@servers, @commands, $scratch, %listeners);


sub sanitized {
    return $ENV{SF_TEST_SANITIZED} ? 1 : 0;
}


# scratch_dir(): a folder that everybody may read and that goes at the end

sub scratch_dir {
    if (!$scratch) {
        $scratch = "/tmp/softfactory-t.$$";
        File::Path::make_path($scratch);
        chmod 0755, $scratch;
    }

    return $scratch;
}


# write_file($path, $text, $mode): the path

sub write_file {
    my ($path, $text, $mode) = @_;

    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
    chmod $mode, $path if defined $mode;

    return $path;
}


# free_port(): a port of 127.0.0.1 that nobody listens on

sub free_port {
    my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "no free port: $!";

    return $s->sockport;
}


# start($path, %options): a request on its way on a connection of its own.
# Options: token (default demo_token, undef: none), method, headers => [],
# port, rcvbuf, bytes (instead of a request).
# Methods: finish, pending, send, close

sub start {
    my ($path, %o) = @_;

    $o{token} = 'demo_token' if !exists $o{token};

    my $port = $o{port} // Test::Nginx::Socket::server_port();
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!";

    # before the connection is made, or it is too late for a small window

    $socket->sockopt(Socket::SO_RCVBUF(), $o{rcvbuf}) if $o{rcvbuf};

    connect $socket, Socket::pack_sockaddr_in($port,
                         Socket::inet_aton('127.0.0.1'))
        or die "connect to port $port: $!";

    my $c = bless { socket => $socket, buffer => '',
                    no_body => ($o{method} // '') eq 'HEAD' },
                  'SoftFactory::Live::Client';

    $c->send($o{bytes} // request_text($path, %o));

    return $c;
}


sub request_text {
    my ($path, %o) = @_;

    return join "\r\n", ($o{method} // 'GET') . " $path HTTP/1.1",
                'Host: localhost',
                defined $o{token} ? "Authorization: Bearer $o{token}" : (),
                @{$o{headers} // []}, '', '';
}


# fetch($path, %options): the answer to a request on a connection of its own

sub fetch {
    return start(@_)->finish;
}


# get_all($n, $path, %options): the answers to n requests that are on their
# way at the same time

sub get_all {
    my ($n, $path, @o) = @_;

    my @clients = map { start($path, @o) } 1 .. $n;

    return map { $_->finish } @clients;
}


package SoftFactory::Live::Client;

use SoftFactory::Wait;
use Time::HiRes qw(time);


sub send {
    my ($c, $bytes) = @_;

    $c->{line} = $1 if $bytes =~ m{^([!-~]+ [!-~]+) HTTP/};

    local $SIG{PIPE} = 'IGNORE';
    syswrite $c->{socket}, $bytes;

    return $c;
}


sub close {
    my ($c) = @_;

    CORE::close(delete $c->{socket});
}


# more($end, $bytes): reads what comes until then, at most so much; false at
# the end of the connection

sub more {
    my ($c, $end, $bytes) = @_;

    my $s = $c->{socket};

    my $left = $end - time;

    $left = 0 if $left < 0;
    IO::Select->new($s)->can_read($left)
        or in_vain(int($c->{seconds} // 30),
                   'an answer to ' . ($c->{line} // 'what was sent'));

    return sysread $s, $c->{buffer}, $bytes // 262144, length $c->{buffer};
}


# pending: whether nothing has come yet; false too when it was closed

sub pending {
    my ($c) = @_;

    return $c->{buffer} eq '' && !IO::Select->new($c->{socket})->can_read(0);
}


# finish($seconds): the next answer: a hash of status, headers by lower case
# name, head, body; status 0 if the connection ended instead

sub finish {
    my ($c, $seconds) = @_;

    $c->{seconds} = $seconds // 30;

    my $end = time + $c->{seconds};
    my $b = \$c->{buffer};

    while ($$b !~ /\r\n\r\n/) {
        $c->more($end)
            or return { status => 0, headers => {}, head => '', body => '' };
    }

    my $head = substr $$b, 0, index($$b, "\r\n\r\n") + 4, '';
    my %res = (head => $head, headers => {}, body => '');

    ($res{status}) = $head =~ m{^HTTP/1\.1 (\d+)};

    while ($head =~ /^([^:\r\n]+): *(.*?)\r$/mg) {
        my $name = lc $1;
        $res{headers}{$name} = defined $res{headers}{$name}
                               ? "$res{headers}{$name}, $2" : $2;
    }

    return \%res if $c->{no_body} || $res{status} == 304;

    my $length = $res{headers}{'content-length'};

    if (defined $length) {
        while (length $$b < $length) {
            $c->more($end) or last;
        }

        $res{body} = substr $$b, 0, $length, '';

    } elsif (($res{headers}{'transfer-encoding'} // '') eq 'chunked') {
        for (;;) {
            while ($$b !~ /^[0-9a-f]+\r\n/i) {
                $c->more($end) or return \%res;
            }

            my ($hex) = $$b =~ /^([0-9a-f]+)/i;
            my ($n, $skip) = (hex $hex, length($hex) + 2);

            while (length $$b < $skip + $n + 2) {
                $c->more($end) or return \%res;
            }

            $res{body} .= substr $$b, $skip, $n;
            substr $$b, 0, $skip + $n + 2, '';
            last if !$n;
        }

    } else {
        while ($c->more($end)) { }
        $res{body} = $$b;
        $$b = '';
    }

    return \%res;
}


package SoftFactory::Live;


# load($n, @paths): n clients that ask without a pause, half of them on one
# connection each; ->() ends them: (answers with 200, what else there was).
# A connection that nginx closes instead of an answer is a failure only when
# it is new: an old one may be closed by either side at any time

sub load {
    my ($n, @paths) = @_;

    my $stop = scratch_dir() . '/stop';
    my @clients;

    unlink $stop;

    for my $i (1 .. $n) {
        my $pid = open my $out, '-|';
        die "fork: $!" if !defined $pid;

        if (!$pid) {
            print join "\n", ask_on($stop, $i % 2, @paths);
            STDOUT->flush;
            POSIX::_exit(0);
        }

        push @clients, $out;
    }

    return sub {
        write_file($stop, '');

        my ($good, @bad) = (0);

        for my $out (@clients) {
            my $text = '';
            read_until($out, \$text, undef, 'the end of a client');
            close $out;

            my ($n, @lines) = split /^/, $text;
            $good += $n;
            push @bad, @lines;
        }

        return ($good, @bad);
    };
}


sub ask_on {
    my ($stop, $keep, @paths) = @_;

    my ($good, $c, @bad) = (0);

    while (!-e $stop) {
        my $path = $paths[$good % @paths];
        my $old = $c;

        my $res = eval {
            $c = $old ? $old->send(request_text($path, token => 'demo_token'))
                 : start($path);
            $c->finish(20);
        };

        if ($res && $res->{status} == 200) {
            $good++;
        } elsif (!($old && $res && $res->{status} == 0)) {
            push @bad, $res ? "$res->{status} $res->{body}" : $@;
        }

        undef $c if !$keep || !$res || $res->{status} != 200
                    || ($res->{headers}{connection} // '') eq 'close';
    }

    return ($good, @bad);
}


# http2($port, @paths): a request for each, all on their way on one connection
# of HTTP/2 (RFC 9113); ->finish: their answers, hashes of status and body

sub http2 {
    my ($port, @paths) = @_;

    return http2_client($port, 2 ** 31 - 1, @paths);
}


# stalled($port, @paths): the same with windows that are shut: it returns when
# all of the headers are there, (client, statuses).  ->finish opens the windows

sub stalled {
    my ($port, @paths) = @_;

    my $c = http2_client($port, 0, @paths);
    my %res;

    $c->{shut} = 1;

    while (keys %res < @paths) {
        my ($type, undef, $stream, $payload) = $c->next_frame(time + 30);

        if ($type == 1) {
            $res{$stream} = SoftFactory::Live::Client2::status($payload);
        } elsif ($type == 0 || $type == 3 || $type == 7) {
            die "not headers: frame $type of stream $stream\n";
        }
    }

    return $c, map { $res{$_} } @{$c->{streams}};
}


sub http2_client {
    my ($port, $window, @paths) = @_;

    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                       PeerPort => $port, Timeout => 10)
        or die "connect to port $port: $!";

    # windows that nothing here fills; headers are literals (RFC 7541, 6.2.2)

    my $text = sub {
        my $n = length $_[0];

        return ($n < 127 ? pack 'C', $n : pack 'CCC', 127,
                ($n - 127) % 128 | 128, int(($n - 127) / 128)) . $_[0];
    };
    my $out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
              . frame(4, 0, 0, pack 'nN', 4, $window)
              . frame(8, 0, 0, pack 'N', 2 ** 31 - 1 - 65535);
    my $stream = -1;

    for (@paths) {
        $out .= frame(1, 5, $stream += 2, "\x82\x86\x04" . $text->($_)
                      . "\x01" . $text->('localhost')
                      . "\x0f\x08" . $text->('Bearer demo_token'));
    }

    my $c = bless { socket => $socket, buffer => '', no_body => 1,
                    streams => [map { 2 * $_ + 1 } 0 .. $#paths] },
                  'SoftFactory::Live::Client2';

    return $c->send($out);
}


sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $stream) . $payload;
}


package SoftFactory::Live::Client2;

use Time::HiRes qw(time);

our @ISA = 'SoftFactory::Live::Client';

my %status = ("\x88" => 200, "\x8c" => 400, "\x8d" => 404, "\x8e" => 500);


# status($headers): of the static table, or digits beside a name of it

sub status {
    my ($headers) = @_;

    $headers =~ s/^\x20//;

    return $1 if $headers =~ /^[\x08\x48]\x03(\d{3})/;
    return $status{substr $headers, 0, 1} // 0;
}


# next_frame($end): (type, flags, stream, payload)

sub next_frame {
    my ($c, $end) = @_;

    my $b = \$c->{buffer};

    while (length $$b < 9
           || length $$b < 9 + unpack 'N', "\0" . substr $$b, 0, 3)
    {
        $c->more($end) or die "the connection is closed\n";
    }

    my ($n, $type, $flags, $stream) = unpack 'NCCN', "\0" . substr $$b, 0, 9, '';

    return $type, $flags, $stream, substr $$b, 0, $n, '';
}


sub finish {
    my ($c) = @_;

    my $end = time + 30;
    my %open = map { $_ => 1 } @{$c->{streams}};
    my %res;

    $c->send(SoftFactory::Live::frame(4, 0, 0, pack 'nN', 4, 2 ** 31 - 1))
        if delete $c->{shut};

    while (%open) {
        my ($type, $flags, $stream, $payload) = $c->next_frame($end);

        if ($type == 0) {
            $res{$stream}{body} .= $payload;
        } elsif ($type == 1) {
            $res{$stream}{status} = status($payload);
        } elsif ($type == 3) {
            $res{$stream}{status} = 'reset';
            delete $open{$stream};
        } elsif ($type == 4 && !($flags & 1)) {
            $c->send(SoftFactory::Live::frame(4, 1, 0, ''));
        } elsif ($type == 7) {
            die 'GOAWAY ', unpack('H*', $payload), "\n";
        }

        delete $open{$stream} if $type <= 1 && $flags & 1;
    }

    return map { $res{$_} } @{$c->{streams}};
}


package SoftFactory::Live;


# hold($sql, %options): a session that has run the statements in a
# transaction and keeps it open; ->release commits it.  Options as psql()

sub hold {
    my ($sql, %o) = @_;

    my ($out, $in, $pid) = psql_session(SoftFactory::psql_words(%o));
    my $text = '';

    print $in "BEGIN;\n", statement($sql), "\\echo held\n";

    if (!eval { read_until($out, \$text, qr/^held\n/m, "psql: $sql"); 1 }) {
        my $why = $@;
        SoftFactory::end_session([$out, $in, $pid], 0);
        die $why;
    }

    return bless { pid => $pid, in => $in, out => $out },
                 'SoftFactory::Live::Hold';
}


package SoftFactory::Live::Hold;

use SoftFactory::Wait;


sub release {
    my ($h) = @_;

    $h->{pid} or return;

    local ($?, $!, $@);
    print {$h->{in}} "COMMIT;\n";
    close $h->{in};
    ended(delete $h->{pid}, 'psql, which was told to commit');
}


# one that still waits, for a lock of another test's, is not waited for

sub DESTROY {
    my ($h) = @_;

    eval { $h->release };
    warn $@ if $@;
}


package SoftFactory::Live;


# backends($condition, %options): how many sessions pg_stat_activity has

sub backends {
    my ($condition, @o) = @_;

    return SoftFactory::psql('SELECT count(*) FROM pg_stat_activity WHERE '
                             . $condition, user => 'postgres',
                             dbname => 'postgres', @o);
}


# log_statements($dbname): has the suite's server log what is executed there, by
# sessions that begin after this

sub log_statements {
    my ($dbname) = @_;

    SoftFactory::psql("ALTER DATABASE $dbname SET log_statement = 'all'",
                      user => 'postgres', dbname => 'postgres');
}


# executed { ... } $pattern: how many statements of the module that match the
# server has logged meanwhile, each with its values behind it; those of its
# listener, which name tables, are not counted

sub executed(&$) {
    my ($code, $pattern) = @_;

    my $file = "$ENV{SF_TEST_PG_DIR}/pg.log";
    my $from = -s $file;

    $code->();

    open my $in, '<', $file or die "$file: $!";
    seek $in, $from, 0;

    my (@texts, %last);

    while (<$in>) {
        my ($pid) = /\[(\d+)\]/ or next;

        next if m{\bsoftfactory/listen\b};

        if (/LOG:  execute [^:]*: (.*)/) {
            push @texts, $1;
            $last{$pid} = \$texts[-1];

        } elsif ($last{$pid} && /DETAIL:  parameters: (.*)/) {
            ${delete $last{$pid}} .= " $1";
        }
    }

    return scalar grep { $_ =~ $pattern } @texts;
}


# --- the listener ---

# source($upstream): what /status says of a database, by default of "primary"

sub source {
    my $name = $_[0] // 'primary';

    my ($source) = grep { $_->{upstream} eq $name }
                   @{SoftFactory::zone_status()->{sources}};

    return $source // die "no source $name in /status\n";
}


# wait_coherent(%options): until the listener is up and all tables but those of
# uncovered (names, joined by a blank) have their triggers.  Options: upstream,
# uncovered

sub wait_coherent {
    my %o = (uncovered => '', @_);

    return wait_until {
        my $source = source($o{upstream});
        $source->{coherent} && "@{$source->{uncovered}}" eq $o{uncovered};
    } 'the listener is up';
}


# change($sql, %options): runs statements, and waits until the listener has
# been told of what they have changed; returns the number of notifications.
# Options: dbname, upstream, and host and port of another server

sub change {
    my ($sql, %o) = @_;

    my $before = source($o{upstream})->{notifications};
    my $n = told($sql, %o);

    wait_until { source($o{upstream})->{notifications} >= $before + $n }
               'the listener is told';

    return $n;
}


# listen_words(): what makes a session listen to the channel, by its names of
# now, if there are any

sub listen_words {
    return <<'SQL';
DO $$
DECLARE c text;
BEGIN
    FOR c IN SELECT name FROM softfactory.channel LOOP
        EXECUTE format('LISTEN %I', c);
    END LOOP;
EXCEPTION WHEN undefined_table THEN NULL;
END
$$
SQL
}


# tell_words($payload): what tells that on the channel

sub tell_words {
    return "SELECT pg_notify(name, '$_[0]') FROM softfactory.channel";
}


# told: a session that listens itself runs them; a notification of its own
# shows that there are no more

sub told {
    my ($sql, %o) = @_;

    my $host = $o{host} // $ENV{SF_TEST_PG_DIR};
    my $port = $o{port} // $ENV{SF_TEST_PG_PORT};

    my $session = $listeners{"$port $o{dbname}"} //= do {
        my ($out, $in) = psql_session(SoftFactory::psql_words(
            host => $host, port => $port, user => 'postgres',
            dbname => $o{dbname}));
        my $pid = '';

        print $in "LISTEN sf_told;\nSELECT pg_backend_pid();\n";
        read_until($out, \$pid, qr/\n/, 'psql to listen');
        { in => $in, out => $out, pid => 0 + $pid };
    };

    print { $session->{in} } statement(listen_words()), statement($sql),
                             "NOTIFY sf_told;\n";

    my $text = '';

    my $told = sub {
        return qr/^Asynchronous\ notification\ "($_[0])"\ .*
                  \ process\ with\ PID\ $session->{pid}\.$/xm;
    };

    read_until($session->{out}, \$text, $told->('sf_told'), "psql: $sql");

    my $channel = $told->('sf_[0-9a-f]{32}');
    my $n = () = $text =~ /$channel/g;

    return $n;
}


# --- nginx ---

sub read_file {
    my ($path) = @_;

    open my $in, '<', $path or return '';
    local $/;

    return scalar(<$in>) // '';
}


sub error_log {
    return read_file($Test::Nginx::Util::ErrLogFile);
}


sub log_count {
    my ($pattern) = @_;

    return scalar grep { $_ =~ $pattern } split /\n/, error_log();
}


sub access_log {
    my ($name) = @_;

    return read_file("$Test::Nginx::Util::LogDir/" . ($name // 'access.log'));
}


sub master {
    my $pid = read_file($Test::Nginx::Util::PidFile);
    chomp $pid;

    return $pid;
}


sub children {
    my ($pid) = @_;

    my $list = read_file("/proc/$pid/task/$pid/children");

    return split ' ', $list;
}


# worker_pids(): those that take requests, not those that are shutting down;
# under valgrind there is one process, which does it all.  One that has just been
# forked still bears the title of the master

sub worker_pids {
    my @titles;

    wait_until {
        @titles = map { [$_, read_file("/proc/$_/cmdline")] }
                  children(master());
        !grep { $_->[1] =~ /^nginx: master/ } @titles;
    } 'every child of the master has a title of its own', 5;

    my @pids = map { $_->[0] }
               grep { $_->[1] =~ /^nginx: worker process(?! is)/ } @titles;

    push @pids, master() if !@pids && $ENV{TEST_NGINX_USE_VALGRIND};

    return wantarray ? @pids : $pids[0];
}


sub running {
    my ($pid) = @_;

    return read_file("/proc/$pid/stat") =~ /^\d+ \(.*\) [^ZX]/;
}


# rss($pid): kB

sub rss {
    my ($pid) = @_;

    return read_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
}


# reconfigure { s/old/new/ }: changes nginx.conf, and has it read

sub reconfigure(&) {
    my ($change) = @_;

    change_conf($change);

    return hup();
}


sub change_conf {
    my ($change) = @_;

    local $_ = read_file($Test::Nginx::Util::ConfFile);
    my $old = $_;

    $change->();
    die "nginx.conf is as it was\n" if $_ eq $old;
    write_file($Test::Nginx::Util::ConfFile, $_);
}


# hup(): reloads; when it returns the new workers are there and the old ones
# have been told.  Returns the pids of the old ones

sub hup {
    my @old = worker_pids();
    my %old = map { $_ => 1 } @old;

    kill 'HUP', master();

    wait_until {
        my @now = worker_pids();
        @now && !grep { $old{$_} } @now;
    } 'nginx has reloaded';

    return @old;
}


# command(@words): starts a program, ->() waits for it: (status, output).  The
# bound is that of any wait, or its argument in seconds

sub command {
    my @words = @_;

    my $pid = open my $out, '-|';
    die "fork: $!" if !defined $pid;

    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec @words or die "$words[0]: $!";
    }

    push @commands, $pid;

    return sub {
        my ($text, $seconds) = ('', @_);

        my $status = eval {
            read_until($out, \$text, undef, "@words", $seconds);
            ended($pid, $words[0], $seconds);
        };
        my $why = $@;

        # close() waits for it

        kill 'KILL', $pid if !defined $status;
        close $out;
        @commands = grep { $_ != $pid } @commands;
        die $why if !defined $status;

        return ($status >> 8, $text);
    };
}


# openssl(@words): what it says is shown when it fails

sub openssl {
    my ($status, $text) = program("openssl $_[0]", ['openssl', @_]);

    die "openssl @_: $text" if $status;
}


# self_signed($file): $file.crt, the certificate of localhost, which is its own
# authority, and $file.key

sub self_signed {
    my ($file) = @_;

    openssl('req', qw(-x509 -newkey rsa:2048 -nodes -days 2 -subj
                      /CN=localhost -addext subjectAltName=DNS:localhost),
            '-keyout', "$file.key", '-out', "$file.crt");
}


# compiled_user(): (uid, gid) that workers have without a `user` directive
# before http{}, as Test::Nginx puts its own at the end; (-1, -1): not root

sub compiled_user {
    return (-1, -1) if $>;

    my (undef, $text) = program('nginx -V', [$ENV{TEST_NGINX_BINARY}, '-V']);
    my $name = $text =~ /--user=(\S+)/ ? $1 : 'nobody';
    my ($uid, $gid) = (getpwnam $name)[2, 3];

    return ($uid, $gid);
}


# --- PostgreSQL ---

# pg_standby($name, $primary): a streaming standby of the suite's server or of
# another one of ours.  Methods: start, stop($mode), promote, psql; fields:
# port, dir, socket

sub pg_standby {
    my ($name, $primary) = @_;

    my $s = pg_new($name);
    my $from = $primary // { dir => $ENV{SF_TEST_PG_DIR},
                             port => $ENV{SF_TEST_PG_PORT} };

    $s->run("$ENV{SF_TEST_PG_BIN}/pg_basebackup", '-h', $from->{dir}, '-p',
            $from->{port}, '-U', 'postgres', '-D', "$s->{dir}/data", '-R',
            '-X', 'stream', '-c', 'fast', '--no-sync');

    return $s->configure->start;
}


# pg_server($name): a server with an empty database softfactory of app

sub pg_server {
    my ($name) = @_;

    my $s = pg_new($name);

    $s->run("$ENV{SF_TEST_PG_BIN}/initdb", '-D', "$s->{dir}/data", '-U',
            'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C.UTF-8',
            '--no-sync');
    $s->configure->start;
    $s->psql('CREATE ROLE app LOGIN CREATEDB', dbname => 'postgres');
    $s->psql('CREATE DATABASE softfactory OWNER app', dbname => 'postgres');

    return $s;
}


sub pg_new {
    my ($name) = @_;

    my $dir = scratch_dir() . "/$name";

    File::Path::make_path($dir);
    chmod 0755, $dir;

    if ($> == 0) {
        my ($uid, $gid) = (getpwnam 'postgres')[2, 3];
        chown $uid, $gid, $dir;
    }

    my $s = bless { dir => $dir, port => free_port() },
                  'SoftFactory::Live::Server';

    $s->{socket} = "$dir/.s.PGSQL.$s->{port}";
    push @servers, $s;

    return $s;
}


# pg_bouncer($name, $dbname, %settings): PgBouncer before a database of the
# suite's server; returns its port.  It ends with the test

sub pg_bouncer {
    my ($name, $dbname, %settings) = @_;

    my $s = pg_new($name);
    my %ini = (listen_addr => '127.0.0.1', listen_port => $s->{port},
               unix_socket_dir => '', auth_type => 'trust',
               auth_file => "$s->{dir}/users", logfile => "$s->{dir}/log",
               ignore_startup_parameters => 'options',
               max_client_conn => 200, %settings);

    write_file($ini{auth_file}, "\"app\" \"\"\n");
    write_file("$s->{dir}/ini", join "\n", '[databases]',
               "$dbname = host=$ENV{SF_TEST_PG_DIR}"
               . " port=$ENV{SF_TEST_PG_PORT}",
               '[pgbouncer]', map({ "$_ = $ini{$_}" } sort keys %ini), '');

    $s->{end} = command('/usr/sbin/pgbouncer', '-q',
                        $> ? () : ('-u', 'postgres'), "$s->{dir}/ini");

    wait_until {
        IO::Socket::INET->new(PeerAddr => "127.0.0.1:$s->{port}");
    } "pgbouncer listens, see $s->{dir}/log";

    return $s->{port};
}


package SoftFactory::Live::Server;

use SoftFactory::Wait;


# a server cannot run as root

sub run {
    my ($s, @words) = @_;

    unshift @words, 'runuser', '-u', 'postgres', '--' if $> == 0;

    my $log = "$s->{dir}/run.log";
    my $cwd = Cwd::getcwd();
    chdir '/';
    my $pid = fork;

    if (!$pid) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log;
        open STDERR, '>&', \*STDOUT;
        exec @words or POSIX::_exit(127);
    }

    my $status = eval { ended($pid, "@words", 120) };
    my $why = $@;

    chdir $cwd;
    die $why if !defined $status;

    die "@words fails, see $log: ", SoftFactory::Live::read_file($log)
        if $status;

    return $s;
}


sub configure {
    my ($s) = @_;

    open my $out, '>>', "$s->{dir}/data/postgresql.conf" or die $!;
    print $out "port = $s->{port}\nlisten_addresses = '127.0.0.1'\n"
               . "unix_socket_directories = '$s->{dir}'\nfsync = off\n"
               . "max_connections = 200\nshared_buffers = 16MB\nssl = off\n"
               . "hot_standby = on\n";
    close $out;

    return $s;
}


sub start {
    my ($s) = @_;

    return $s->run("$ENV{SF_TEST_PG_BIN}/pg_ctl", '-D', "$s->{dir}/data",
                   '-l', "$s->{dir}/pg.log", '-w', '-s', 'start');
}


sub stop {
    my ($s, $mode) = @_;

    return $s->run("$ENV{SF_TEST_PG_BIN}/pg_ctl", '-D', "$s->{dir}/data",
                   '-m', $mode // 'immediate', '-w', '-s', 'stop');
}


sub promote {
    my ($s) = @_;

    return $s->run("$ENV{SF_TEST_PG_BIN}/pg_ctl", '-D', "$s->{dir}/data",
                   '-w', '-s', 'promote');
}


sub psql {
    my ($s, $sql, %o) = @_;

    local $ENV{SF_TEST_PG_DIR} = $s->{dir};
    local $ENV{SF_TEST_PG_PORT} = $s->{port};

    return SoftFactory::psql($sql, user => 'postgres', %o);
}


package SoftFactory::Live;


END {
    local ($?, $!);

    if ($$ == $self) {
        kill 'TERM', @commands if @commands;
        close $_->{in} for grep { defined } values %listeners;

        for my $s (@servers) {
            eval { $s->stop } if -f "$s->{dir}/data/postmaster.pid";
        }

        File::Path::remove_tree($scratch) if $scratch;
    }
}


# Also nothing of the kind while nginx goes

Test::Nginx::Socket::add_block_preprocessor(sub {
    my ($block) = @_;

    $block->set_value(no_shutdown_error_log =>
                      "[alert]\n[crit]\n[emerg]\nexited with code 1\n")
        if !defined $block->no_shutdown_error_log;
});


1;

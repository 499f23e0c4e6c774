package SoftFactory;

# What the suites t/*.t share.  A block of theirs may hold, instead of or
# beside the sections of Test::Nginx, a section "check": Perl that is run
# while the block's nginx is up, with everything below and Test::More.
#
#     === TEST 1: the list has the rows of the table
#     --- check
#     answers('/api/sns/accounts', 200, truth('SELECT ...'));
#
# A block without http_config, config or request gets conf(), api() and a
# request that is no matter, or what the file has set by defaults(); one
# without no_error_log allows no [error] and nothing worse.  An http_config that
# has no softfactory_endpoint of its own and no declared() gets declared(), the
# endpoints of conf/api.  Text is bytes everywhere: UTF-8 as it comes.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use Encode ();
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);
use SoftFactory::Wait;
use Test::More ();
use Test::Nginx::Socket ();

use Exporter 'import';

our @EXPORT = qw(conf declared api operators defaults jwt psql ask truth rows scratch
                 install_notify zone_status described endpoints request get wire
                 answers fails document float_text token_of);

our $SECRET = 'a secret of the tests';

my ($socket, $port, %scratch, %sessions);
my $self = $$;

my %defaults = (no_error_log => "[error]\n[crit]\n[alert]\n[emerg]\n");


# conf(%options): http_config with an upstream, by default the database of the
# suite by its socket.  Options: name, server (of the directive), conninfo,
# dbname, user, schema, pool (parameters of softfactory_pg_pool, or [lines of
# them]), listen (of softfactory_listen), zone (of softfactory_zone, as 'api 8m';
# without it nothing is cached)

sub conf {
    my %o = (name => 'primary', dbname => 'softfactory', user => 'app',
             server => "unix:$ENV{SF_TEST_PG_SOCKET}", @_);

    my $conninfo = $o{conninfo} // "dbname=$o{dbname} user=$o{user}";
    my $pool = join "\n    ", map { "softfactory_pg_pool $_;" }
               ref $o{pool} ? @{$o{pool}} : $o{pool} // ();
    my $schema = defined $o{schema} ? qq{'schema=$o{schema}'} : '';
    my $listen = $o{listen} ? "softfactory_listen $o{listen};" : '';
    my $zone = $o{zone} ? "softfactory_zone $o{zone};\n" : '';

    return $zone . <<"CONF";
upstream $o{name} {
    server $o{server};
    softfactory_pg "$conninfo" $schema;
    $pool
    $listen
}
CONF
}


# declared(): the line of an http_config that has the endpoints of conf/api

sub declared {
    return "include $ENV{SF_TEST_API}/*.conf;\n";
}


# api(@lines): config with the whole API, JWTs by $SECRET and the fixed tokens
# demo_token (user 1, all products) and plain_token (user 1, none); lines are
# added to the server

sub api {
    my $lines = join "\n", @_;

    return <<"CONF";
softfactory_jwt_secret "$SECRET";
softfactory_token demo_token user=1 products=all;
softfactory_token plain_token user=1;
$lines

location /api/    { softfactory_pass primary; }
location = /health { softfactory_pass primary; }
location = /ready  { softfactory_pass primary; }
CONF
}


# operators($zone): lines for api(), the locations /status and /purge

sub operators {
    my ($zone) = @_;

    return "location = /status { softfactory_status $zone; }\n"
           . "location = /purge { softfactory_purge $zone; }\n";
}


# defaults(section => text, ...): for the blocks of this file

sub defaults {
    %defaults = (%defaults, @_);
}


# jwt(%claims): an access token, valid for an hour.  A claim given as undef is
# null.  Options begin with "-": -secret, -alg, -header => {}, -without => []

sub jwt {
    my %claims = (type => 'access', iat => time, exp => time + 3600, @_);

    my %o = map { $_ => delete $claims{$_} } grep { /^-/ } keys %claims;
    my $alg = $o{-alg} // 'HS256';
    my $json = JSON::PP->new->canonical->utf8;

    delete @claims{@{$o{-without} // []}};

    my $input = join '.', map { encode_base64url($json->encode($_)) }
                { alg => $alg, typ => 'JWT', %{$o{-header} // {}} }, \%claims;

    my %hash = (HS256 => \&hmac_sha256, HS384 => \&hmac_sha384,
                HS512 => \&hmac_sha512);
    my $hash = $hash{$alg};
    my $mac = $hash ? $hash->($input, $o{-secret} // $SECRET) : '';

    return "$input." . encode_base64url($mac);
}


# psql($sql, %options): the output of one statement, unaligned, without the
# last newline.  Options: dbname, user (postgres is the superuser), file, set
# (a variable for that, as "name=value")

sub psql {
    my ($sql, %o) = @_;

    local $ENV{PGTZ} = 'UTC';
    local $ENV{PGOPTIONS} = '-c client_min_messages=error';

    my $what = $o{file} // $sql;
    my @words = (psql_words(%o), $o{set} ? ('-v', $o{set}) : (),
                 $o{file} ? ('-f', $o{file}) : ('-c', $sql));

    my ($status, $text) = program("psql: $what", \@words, stderr => 0);
    die "psql fails: $what" if $status;

    $text =~ s/\n\z//;
    return $text;
}


# psql_words(%options): psql over the suite's socket.  Options: host, port,
# dbname, user

sub psql_words {
    my (%o) = @_;

    return ('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1',
            '-h', $o{host} // $ENV{SF_TEST_PG_DIR},
            '-p', $o{port} // $ENV{SF_TEST_PG_PORT},
            '-U', $o{user} // 'app', '-d', $o{dbname} // 'softfactory');
}


# ask($sql, %options): the same over a session that is kept open, for many
# small questions

sub ask {
    my ($sql, %o) = @_;

    my $dbname = $o{dbname} // 'softfactory';
    my $session = $sessions{$dbname} //= session($dbname);
    my ($out, $in) = @$session;

    print {$in} statement($sql), "\\echo :the-end\n";

    my $text = '';

    if (!eval { read_until($out, \$text, qr/^:the-end\n\z/m, "psql: $sql");
                1 })
    {
        my $why = $@;
        end_session(delete $sessions{$dbname}, 0);
        die $why;
    }

    $text =~ s/\n?:the-end\n\z//;
    return $text;
}


sub session {
    my ($dbname) = @_;

    local $ENV{PGTZ} = 'UTC';
    local $ENV{PGOPTIONS} = '-c client_min_messages=error';

    return [psql_session(psql_words(dbname => $dbname))];
}


# end_session($session): psql ends with its input; one that is at work is killed

sub end_session {
    my ($session, $seconds) = @_;

    my ($out, $in, $pid) = @$session;

    close $in;
    close $out;
    eval { ended($pid, 'psql', $seconds // 5) };
}


sub end_sessions {
    end_session($_) for values %sessions;
    %sessions = ();
}


# rows($sql, %options): [{column => token}, ...], truth(): the first row's
# first column, which is JSON, as a document.  Tokens: see document()

sub rows {
    my ($sql, @o) = @_;

    return truth("SELECT coalesce(json_agg(q), '[]') FROM ($sql) q", @o);
}


sub truth {
    my ($sql, @o) = @_;

    return document(ask($sql, @o), 1);
}


# scratch($name, $template): a database of this test's own, from the template
# or with the tables and no rows; it is gone when the test ends

sub scratch {
    my ($name, $template) = @_;

    my %o = (dbname => 'postgres');

    end_sessions();
    drop_database($name);
    psql("CREATE DATABASE $name"
         . ($template ? " TEMPLATE $template" : ''), %o);
    $scratch{$name} = 1;

    psql('', dbname => $name, file => "$ENV{SF_TEST_SQL}/schema.sql")
        if !$template;

    return $name;
}


# sessions of the superuser may still be in it

sub drop_database {
    my ($name) = @_;

    psql("DROP DATABASE IF EXISTS $name WITH (FORCE)", dbname => 'postgres',
         user => 'postgres');
}


END {
    local $?;

    if ($$ == $self) {
        end_sessions();
        drop_database($_) for keys %scratch;
    }
}


# install_notify($dbname, $tables): has the tables of the application watched,
# all or those named

sub install_notify {
    my ($dbname, $tables) = @_;

    psql('', dbname => $dbname,
         file => "$ENV{SF_TEST_SQL}/softfactory-tables.sql",
         $tables ? (set => "tables=$tables") : ());
}


# zone_status(): what the location /status of operators() says, as Perl data

sub zone_status {
    return JSON::PP::decode_json(get('/status', token => undef)->{body});
}


# described($part): what the module is made of, as it says itself: the list of
# that name in build/describe.json; t/modules/ngx_sf_test_describe.c has the
# names and what stands in each

my $described;

sub described {
    my ($part) = @_;

    if (!$described) {
        my $file = "$ENV{SF_TEST_BUILD}/describe.json";

        open my $in, '<', $file or die "$file: $!, run .ci/describe.sh";
        local $/;
        $described = JSON::PP::decode_json(<$in>);
    }

    my $list = $described->{$part} // [];
    die "no $part in build/describe.json" if !@$list;

    return @$list;
}


# endpoints(): copies of their objects

sub endpoints {
    return map { { %$_ } } described('endpoints');
}


# request($method, $path, %options): over one connection that is kept; the
# path goes out as it is.  Options: token, headers => [lines], body, host.
# Returns a hash: status, headers (by lower case name, repeated ones joined by
# ", "), body, head

sub request {
    my ($method, $path, %o) = @_;

    my @lines = ("$method $path HTTP/1.1", 'Host: ' . ($o{host} // 'test'));

    push @lines, "Authorization: Bearer $o{token}" if defined $o{token};
    push @lines, @{$o{headers} // []};
    push @lines, 'Content-Length: ' . length $o{body} if defined $o{body};

    my $bytes = join("\r\n", @lines) . "\r\n\r\n" . ($o{body} // '');

    return wire($bytes, no_body => $method eq 'HEAD');
}


sub get {
    my ($path, %o) = @_;

    return request('GET', $path, token => 'demo_token', %o);
}


# wire($bytes): one request as it stands, and its answer

sub wire {
    my ($bytes, %o) = @_;

    my $to = Test::Nginx::Socket::server_port();

    for my $try (1, 2) {
        my $fresh = !$socket || $port != $to;

        if ($fresh) {
            $port = $to;
            $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                            PeerPort => $port,
                                            Timeout => 5)
                or die "connect to port $port: $!";
        }

        my $res = exchange($bytes, %o);

        return $res if $res;
        undef $socket;
        die "no answer to ", substr($bytes, 0, 200) if $fresh;
    }

    die "the connection is closed again and again";
}


sub exchange {
    my ($bytes, %o) = @_;

    my ($line) = $bytes =~ /^([^\r\n]*)/;

    local $SIG{PIPE} = 'IGNORE';
    local $SIG{ALRM} = sub { in_vain(20, "an answer to $line") };
    alarm 20;

    print {$socket} $bytes;

    my $head = '';

    while ($head !~ /\r\n\r\n/) {
        sysread $socket, $head, 65536, length $head or last;
        $head =~ s{^HTTP/1\.1 100 .*?\r\n\r\n}{}s;
    }

    alarm 0;
    return if $head eq '';

    ($head, my $body) = split /\r\n\r\n/, $head, 2;
    my ($first, @lines) = split /\r\n/, $head;
    my %res = (head => $head);

    ($res{status}) = $first =~ m{^HTTP/1\.1 (\d+)};

    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)/ or next;
        $name = lc $name;
        $res{headers}{$name} = defined $res{headers}{$name}
                               ? "$res{headers}{$name}, $value" : $value;
    }

    if (!$o{no_body} && $res{status} != 304) {
        my $length = $res{headers}{'content-length'};

        alarm 20;

        while (defined $length ? length $body < $length : !ends_chunks(\$body))
        {
            sysread $socket, $body, 65536, length $body or last;
        }

        alarm 0;
    }

    $res{body} = $body // '';

    if (($res{headers}{connection} // '') eq 'close') {
        undef $socket;
    }

    return \%res;
}


sub ends_chunks {
    my ($body) = @_;

    return 0 if $$body !~ /(?:^|\r\n)0\r\n\r\n$/;

    my $out = '';
    while ($$body =~ /\G([0-9a-f]+)\r\n/gc && hex $1) {
        my $n = hex $1;
        $out .= substr $$body, pos $$body, $n;
        pos($$body) += $n + 2;
    }
    $$body = $out;

    return 1;
}


# answers($path, $status, $expected, %options of request): one test.  The
# answer has the status, is JSON as the contract wants it and equals the
# expected document, a structure of tokens; without one any document will do.
# Returns the answer's document

sub answers {
    my ($path, $status, $expected, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $res = get($path, %o);
    my $title = ($o{title} ? "$o{title}: " : '') . brief($path);

    return judge($res, $status, $expected, $title);
}


# fails($path, $status, $error, ...): one test; the answer is {"error":$error}

sub fails {
    my ($path, $status, $error, %o) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return answers($path, $status, { error => token_of($error) }, %o);
}


sub judge {
    my ($res, $status, $expected, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $doc = eval { document($res->{body}) };
    my $why = $@;
    my $type = $res->{headers}{'content-type'} // 'none';
    my $b = Test::More->builder;

    $title = "$status $title";

    if ($res->{status} != $status) {
        $why = "the status is $res->{status}";
    } elsif ($type ne 'application/json') {
        $why = "the type is $type";
    } elsif ($res->{body} !~ /[^\n]\n\z/) {
        $why = 'not one newline at the end';
    }

    if ($why) {
        $b->ok(0, $title);
        $b->diag($why, ': ', brief($res->{body}));
        return $doc;
    }

    if (defined $expected) {
        Test::More::is_deeply($doc, $expected, $title)
            or $b->diag(brief($res->{body}));
    } else {
        $b->ok(1, $title);
    }

    return $doc;
}


sub brief {
    my ($text) = @_;

    $text =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
    return length $text > 160 ? substr($text, 0, 160) . '...' : $text;
}


# document($text): JSON as hashes, arrays and tokens.  A token is what stands
# in the text: 12, 12.0, true, undef for null; a string is unescaped but keeps
# its quotes: "text".  Dies unless the text is compact, its keys are in byte
# order, its floats in the shortest form, and it is raw UTF-8.  The second
# argument asks for less: PostgreSQL's own JSON, whose times get six digits

my $tail = qr/[\x80-\xbf]/;

sub document {
    my ($text, $lax) = @_;

    1 while $text =~ /\G(?:[\x00-\x7f]+ | [\xc2-\xdf]$tail
                          | (?:\xe0[\xa0-\xbf] | \xed[\x80-\x9f]
                               | [\xe1-\xec\xee\xef]$tail) $tail
                          | (?:\xf0[\x90-\xbf] | \xf4[\x80-\x8f]
                               | [\xf1-\xf3]$tail) $tail{2})/gcx;

    die 'no UTF-8 at ' . pos $text if (pos $text // 0) < length $text;

    pos($text) = 0;
    my $value = value(\$text, $lax);

    $text =~ /\G\s*\z/gc or die 'text after the document';
    return $value;
}


sub value {
    my ($t, $lax) = @_;

    $$t =~ /\G\s+/gc if $lax;

    return array($t, $lax) if $$t =~ /\G\[/gc;
    return object($t, $lax) if $$t =~ /\G\{/gc;
    return undef if $$t =~ /\Gnull/gc;
    return $1 if $$t =~ /\G(true|false)/gc;
    return string($t, $lax) if $$t =~ /\G(?=")/gc;

    $$t =~ /\G(-?(?:0|[1-9]\d*)((?:\.\d+)?(?:[eE][-+]?\d+)?))/gc
        or die 'no value at ' . pos $$t;

    if ($2 ne '' && !$lax && $1 ne float_text($1)) {
        die "$1 is not written as " . float_text($1);
    }

    return $1;
}


sub array {
    my ($t, $lax) = @_;

    my @items;

    for (;;) {
        $$t =~ /\G\s+/gc if $lax;
        return \@items if !@items && $$t =~ /\G\]/gc;
        push @items, value($t, $lax);
        $$t =~ /\G\s+/gc if $lax;
        return \@items if $$t =~ /\G\]/gc;
        $$t =~ /\G,/gc or die 'no comma at ' . pos $$t;
    }
}


sub object {
    my ($t, $lax) = @_;

    my (%object, $last);

    for (;;) {
        $$t =~ /\G\s+/gc if $lax;
        return \%object if !%object && $$t =~ /\G\}/gc;

        my $key = string($t, $lax);
        $key =~ s/^"(.*)"$/$1/s;

        die "key $key after $last"
            if !$lax && defined $last && $key le $last;
        $last = $key;

        $$t =~ /\G\s+/gc if $lax;
        $$t =~ /\G:/gc or die 'no colon at ' . pos $$t;
        $object{$key} = value($t, $lax);
        $$t =~ /\G\s+/gc if $lax;
        return \%object if $$t =~ /\G\}/gc;
        $$t =~ /\G,/gc or die 'no comma at ' . pos $$t;
    }
}


my %short = ('"' => '"', '\\' => '\\', '/' => '/', b => "\b", f => "\f",
             n => "\n", r => "\r", t => "\t");

sub string {
    my ($t, $lax) = @_;

    $$t =~ /\G"((?:[^"\\\x00-\x1f]|\\.)*)"/gc
        or die 'no string at ' . pos $$t;

    my $s = $1;

    if (!$lax) {
        $s =~ m{\\/} and die 'an escaped slash';

        # what has no short form, and no printable character

        while ($s =~ /\\(?:\\|u(....)|[^u])/g) {
            defined $1 or next;
            $1 =~ /^(?:00(?:0[0-7be-f]|1[0-9a-f]|7f)|202[89])$/
                or die "escaped as \\u$1";
        }
    }

    $s =~ s{\\(?:u(....)|(.))}
           {defined $1 ? utf8_of(hex $1) : $short{$2} // die "\\$2"}ges;

    if ($lax) {
        $s =~ s/^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{1,6})$/
                "$1." . substr "${2}00000", 0, 6/e;
    }

    return "\"$s\"";
}


sub utf8_of {
    my ($code) = @_;

    return Encode::encode('UTF-8', chr $code);
}


# the token of a Perl string

sub token_of {
    my ($text) = @_;

    return defined $text ? "\"$text\"" : undef;
}


# float_text($number): as Python's repr(float)

sub float_text {
    my ($x) = @_;

    my $text;

    for my $digits (0 .. 16) {
        $text = sprintf "%.${digits}e", $x;
        last if $text == $x;
    }

    my ($sign, $int, $frac, $exp) = $text =~ /^(-?)(\d)\.?(\d*)e([-+]\d+)$/;
    my $all = $int . $frac;

    if ($exp < -4 || $exp >= 16) {
        return sprintf '%s%s%se%s%02d', $sign, $int,
                       $frac eq '' ? '' : ".$frac",
                       $exp < 0 ? '-' : '+', abs $exp;
    }

    if ($exp < 0) {
        return $sign . '0.' . '0' x (-$exp - 1) . $all;
    }

    $all .= '0' x ($exp + 2 - length $all) if length $all < $exp + 2;

    return $sign . substr($all, 0, $exp + 1) . '.' . substr $all, $exp + 1;
}


Test::Nginx::Socket::no_shuffle();

Test::Nginx::Socket::add_block_preprocessor(sub {
    my ($block) = @_;

    my %values = (http_config => conf(), config => api(), %defaults);

    for my $name (keys %values) {
        $block->set_value($name, $values{$name})
            if !defined $block->$name;
    }

    my $http = $block->http_config;

    $block->set_value(http_config => declared() . $http)
        if $http !~ /^\s*softfactory_endpoint\s/m
           && index($http, declared()) < 0;

    if (!defined $block->request && !defined $block->raw_request
        && !defined $block->pipelined_requests)
    {
        $block->set_value(request => 'GET /t-is-up');
        $block->set_value(config => $block->config . "\n"
            . "location = /t-is-up { return 200; }\n");
    }
});


# line_of($name, $code): where the section of that block begins in the file

my $source;

sub line_of {
    my ($name, $code) = @_;

    if (!defined $source) {
        open my $in, '<', $0 or die "$0: $!";
        local $/;
        $source = <$in>;
    }

    $name =~ s/^\Q$0\E //;

    my $at = index $source, "\n=== $name\n";
    $at = index $source, $code, $at if $at >= 0;

    return $at < 0 ? 1 : 1 + (substr($source, 0, $at) =~ tr/\n//);
}


Test::Nginx::Socket::add_response_body_check(sub {
    my ($block) = @_;

    my $code = $block->check;
    return if !defined $code;

    my $name = $block->name;
    my $line = line_of($name, $code);

    eval "package main; use strict; use warnings;\n"
         . "#line $line \"$0\"\n$code; 1"
        or do {
            my $why = $@;
            Test::More::fail("$name - check runs to its end");
            Test::More::diag($why);
        };

    undef $socket;
});


1;

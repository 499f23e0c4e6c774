package SoftFactory::Golden;

# Golden answers: what the module answered when the files t/golden/*.txt were
# made, beside what it answers now, byte for byte.  A file has the requests,
# too, so that it is compared without any knowledge of the endpoint:
#
#     === in the middle
#     GET /api/review/campaigns?page=2&per_page=5 HTTP/1.1
#     Host: cached
#     Authorization: Bearer {all}
#
#     HTTP/1.1 200 OK
#     Content-Type: application/json
#     X-Cache: MISS
#
#     > {"campaigns":[{"id":7},
#     + {"id":6}],"current_page":2}
#
# ">" begins a line of a body, "+" goes on with it: the body has no line break
# there, JSON is only easier to read and to compare so.  "= TITLE" in its place
# stands for the body of that answer, which is the same, and "== TITLE" for the
# whole answer.  "<" is the body of a request.  In a request {NAME} is a token
# of golden_tokens() and {x*1025} that many x.
#
# What depends neither on the module nor on the data is put away by the rules
# below, and nothing else is.

use strict;
use warnings;

use File::Path ();
use IO::Uncompress::Gunzip ();
use SoftFactory;
use SoftFactory::Live;
use SoftFactory::Wait;
use Test::More ();

use Exporter 'import';

our @EXPORT = qw(golden_nginx golden_server golden_tokens golden_files
                 golden_read golden_write golden_play golden_compare);

our $FOLDER = 't/golden';

# the clock, and the seconds since 1970 then

our $NOW = '2026-02-20 10:00:00';
my $EPOCH = 1771581600;

my $DIFF = 80;                  # lines of a difference that are shown
my $SHORT = 160;                # bytes of a body that is always written out


# --- rules ---

# Headers of nginx itself, and of the connection

my %NOT_OURS = map { $_ => 1 } qw(server date connection);

# [header, what is a value of it, what is written instead].  A value of another
# form stays as it is, and differs.

my $ms = qr/\d+\.\d{3}/;

my @HEADERS = (

    # seconds since a response was made, which a busy machine makes more

    ['Age', qr/\d+/, 'N'],

    # how long it took; "auth" is left out when it was less than a microsecond

    ['Server-Timing', qr/(?:auth;dur=$ms, )?cache;dur=$ms/, 'cache'],
    ['Server-Timing',
     qr/(?:auth;dur=$ms, )?cache;dur=$ms, queue;dur=$ms, db;dur=$ms/,
     'cache, queue, db'],
);

# seconds until the next attempt to connect, which the pool lets grow

my @AWAY = ('Retry-After', qr/[1-9]\d*/, 'N');

# the length of a gzip form is zlib's business; the text is compared

my @GZIPPED = ('Content-Length', qr/\d+/, 'that of the gzip form');

# /health and /ready tell of this moment and of this process; their length goes
# with it

my @DOCUMENTS = (
    [qr/"cpu_percent":\d+\.\d+/,         '"cpu_percent":N'],
    [qr/"memory_mb":\d+\.\d/,            '"memory_mb":N'],
    [qr/"timestamp":"2026-02-20T\d\d:\d\d:\d\d\.\d{3}000\+00:00"/,
     '"timestamp":"N"'],
    [qr/"uptime":"\d+h \d+m \d+s"/,      '"uptime":"N"'],
    [qr/"uptime_seconds":\d+/,           '"uptime_seconds":N'],
);
my $DOCUMENT = qr{^\S+ (?:/api/health|/health|/ready)(?:\?\S*)? };
my @DOCUMENT_LENGTH = ('Content-Length', qr/\d+/, 'that of the body');


# --- the clock ---

sub library {
    my ($file) = glob '/usr/lib/*/faketime/libfaketime.so.1';

    return $file // die "no libfaketime.so.1, run .ci/install.sh test\n";
}


# golden_nginx(): has the suite start nginx at $NOW; its clock goes on from
# there.  Before Test::Nginx is loaded.  A sanitizer wants to be loaded first.

sub golden_nginx {
    my $script = scratch_dir() . '/nginx';
    my $library = library();

    write_file($script, <<"SH", 0755);
#!/bin/sh
first=\$(ldd "$ENV{SF_NGINX}" | sed -n 's/.*=> \\(.*libasan[^ ]*\\).*/\\1/p')
export LD_PRELOAD="\$first $library" TZ=UTC FAKETIME='\@$NOW'
export FAKETIME_DONT_FAKE_MONOTONIC=1
exec "$ENV{SF_NGINX}" "\$@"
SH
    $ENV{SF_NGINX} = $script;
}


# golden_server(): a PostgreSQL whose clock stands still at $NOW, so that not
# even a busy machine can move it, with the rows of data.sql.  No timer ends
# there, for a timer asks the clock.  In the copy "edge" the next deadlines are
# this moment

sub golden_server {
    my $s = pg_server('golden');

    $s->stop('fast');

    {
        local $ENV{LD_PRELOAD} = library();
        local $ENV{FAKETIME} = $NOW;
        local $ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
        local $ENV{TZ} = 'UTC';

        $s->start;
    }

    $s->psql('', user => 'app', file => $_)
        for map({ "$ENV{SF_TEST_SQL}/$_.sql" } qw(schema indexes)),
            "$FOLDER/data.sql",
            "$ENV{SF_TEST_SQL}/softfactory-tables.sql";

    my $now = $s->psql('SELECT localtimestamp', dbname => 'softfactory');
    die "the clock of PostgreSQL shows $now" if $now ne $NOW;

    $s->psql('CREATE DATABASE edge TEMPLATE softfactory OWNER app',
             dbname => 'postgres');
    $s->psql("UPDATE $_ SET deadline = localtimestamp
               WHERE deadline = '2026-02-20 12:00:00'", dbname => 'edge')
        for qw(campaigns review_listings);

    return $s;
}


# golden_tokens(): what stands for {NAME} in a request

sub golden_tokens {
    my %users = (all => 1, review => 2, sns => 3, cancelled => 4, other => 5,
                 admin => 6, inactive => 7, unknown => 8, missing => 99);
    my @times = (iat => $EPOCH - 60, exp => $EPOCH + 86400);

    return (map({ $_ => jwt(user_id => $users{$_}, @times) } keys %users),
            expired => jwt(user_id => 1, iat => $EPOCH - 60,
                           exp => $EPOCH - 30),
            forged => jwt(user_id => 1, @times, -secret => 'another'),
            refresh => jwt(user_id => 1, @times, type => 'refresh'));
}


# --- files ---

sub golden_files {
    return map { m{([^/]+)\.txt$} } sort glob "$FOLDER/*.txt";
}


# golden_read($name): [{title, request => [lines], body of the request}, ...]

sub golden_read {
    my ($name) = @_;

    my @cases;

    for my $part (split /^=== /m, slurp("$FOLDER/$name.txt")) {
        next if $part eq '';

        my ($title, $request) = $part =~ /\A([^\n]*)\n(.+?)\n\n/s
            or die "$FOLDER/$name.txt: no request in: $part";
        my @lines = split /\n/, $request;

        push @cases, { title => $title,
                       request => [grep { !/^< / } @lines],
                       body => join '', map { /^< (.*)/ } @lines };
    }

    return @cases;
}


sub golden_write {
    my ($name, $text) = @_;

    File::Path::make_path($FOLDER);
    write_file("$FOLDER/$name.txt", $text);
}


sub slurp {
    my ($path) = @_;

    open my $in, '<', $path or die "$path: $!";
    local $/;
    return scalar <$in>;
}


# --- playing ---

# golden_play($cases, $tokens): makes the requests one after the other; the
# text of a file, which begins with an empty zone.  {etag of TITLE} in a
# request, as only new cases have it, is the tag of that answer

sub golden_play {
    my ($cases, $tokens) = @_;

    my (%etags, %seen, $out);
    my $purged = request('POST', '/purge?all', host => 'cached');

    die "cannot purge: $purged->{head}" if $purged->{status} != 200;

    for my $case (@$cases) {
        die "two requests are called $case->{title}"
            if exists $etags{$case->{title}};

        my @lines = map { s/\{etag of (.*?)\}/$etags{$1} \/\/ '"none"'/er }
                    @{$case->{request}};
        my $answer = answer(\@lines, $case->{body} // '', $tokens);

        $etags{$case->{title}} = $answer->{etag};

        push @lines, "< $case->{body}" if length($case->{body} // '');

        $out .= join("\n", "=== $case->{title}", @lines, '', '')
                . written($case->{title}, $answer, \%seen) . "\n";
    }

    return $out;
}


# written($title, $answer, $seen): an answer, or which earlier one it equals

sub written {
    my ($title, $answer, $seen) = @_;

    my $head = join '', map { "$_\n" } @{$answer->{head}};
    my $body = $answer->{body};
    my $whole = "$head\n$body";

    return "== $seen->{$whole}\n" if $seen->{$whole};

    $seen->{$whole} = $title;

    return $head if $body eq '';
    return "$head\n= $seen->{$body}\n"
        if length $body > $SHORT && $seen->{$body};

    $seen->{$body} //= $title;

    return "$head\n" . folded($body);
}


sub answer {
    my ($lines, $body, $tokens) = @_;

    my @lines = map { s/\{(.)\*(\d+)\}/$1 x $2/er
                      =~ s/\{(\w+)\}/$tokens->{$1} \/\/ die "no token $1"/er }
                @$lines;

    push @lines, 'Content-Length: ' . length $body if length $body;

    my $res = SoftFactory::wire(join("\r\n", @lines) . "\r\n\r\n$body",
                                no_body => scalar $lines[0] =~ /^HEAD /);

    my ($status, @head) = split /\r\n/, $res->{head};
    my $text = $res->{body};

    @head = grep { !/^([^:]+):/ || !$NOT_OURS{lc $1} } @head;

    for my $rule (@HEADERS) {
        apply(\@head, @$rule);
    }

    if ($text =~ /Database unavailable/) {
        apply(\@head, @AWAY);
    }

    if (($res->{headers}{'content-encoding'} // '') eq 'gzip') {
        apply(\@head, @GZIPPED);
        $text = gunzipped($text) if length $text;
    }

    if ($lines[0] =~ s/%61/a/r =~ $DOCUMENT
        && $res->{status} =~ /^(?:200|503)$/)
    {
        apply(\@head, @DOCUMENT_LENGTH);
        $text =~ s/$_->[0]/$_->[1]/ for @DOCUMENTS;
    }

    return { head => [$status, @head], body => $text,
             etag => $res->{headers}{etag} };
}


sub apply {
    my ($head, $name, $form, $text) = @_;

    s/^(\Q$name\E): $form\z/$1: $text/ for @$head;
}


sub gunzipped {
    my ($bytes) = @_;

    IO::Uncompress::Gunzip::gunzip(\$bytes, \my $text, Transparent => 0)
        or return "no gzip: $bytes";

    return $text;
}


# folded($body): as the head of this file says; JSON is folded between objects

sub folded {
    my ($body) = @_;

    my @lines = split /\n/, $body, -1;
    my $open = pop @lines;
    my $out = '';

    for my $line (@lines, $open eq '' ? () : $open) {
        $out .= '> ' . $line =~ s/(?<=\},)(?=[\{"])|(?<=\[)(?=\{)/\n+ /gr
                . "\n";
    }

    return $open eq '' ? $out : "$out(no line break at the end)\n";
}


# --- comparing ---

# golden_compare($name, $text): one test; what differs is shown, and the whole
# of what came is left in build/test/golden

sub golden_compare {
    my ($name, $text, $title) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $file = "$FOLDER/$name.txt";

    if ($text eq slurp($file)) {
        Test::More::pass($title);
        return;
    }

    my $folder = "$ENV{SF_TEST_BUILD}/test/golden";

    File::Path::make_path($folder);
    write_file("$folder/$name.txt", $text);

    my (undef, $diff) = program("diff $file",
                                ['diff', '-u', '-F^===', $file,
                                 "$folder/$name.txt"]);
    my @lines = split /\n/, $diff;
    my $more = @lines - $DIFF;

    if ($more > 0) {
        splice @lines, $DIFF;
        push @lines, "and $more lines more: diff -u $file $folder/$name.txt";
    }

    Test::More::fail($title);
    Test::More::diag(join "\n", map { substr $_, 0, 400 } @lines);
}


1;

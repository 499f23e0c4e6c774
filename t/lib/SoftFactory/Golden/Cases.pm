package SoftFactory::Golden::Cases;

# The requests of new golden files: what `make golden` asks of an endpoint.
# They are made from what the module says of itself (build/describe.json): how
# an endpoint is reached, who may ask, of which type a parameter is.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(golden_cases golden_wanted);


# --- values ---

# Integers that are good, and texts that are none or out of bounds

my @NUMBERS = ('', 'abc', '1.5', '0', '-1', '%2B2', '%202%20', '1_0',
               '%EF%BC%92', '2147483648', '9223372036854775807',
               '-9223372036854775808', '9223372036854775808', '2%00');

my @DATES = ('', 'abc', '2026-02-30', '2026-02-01T23:59:59%2B09:00',
             '2026-02-01%2010:00', '20260201', '2026-W05-7', '0001-01-01',
             '0000-01-01', '9999-12-31', '10000-01-01', '2024-02-29',
             '%EF%BC%92026-02-01');

# texts of any length; what is too long has a byte more than is allowed

my @TEXTS = ('', '%20', 'no%20such', 'a%2Cb', '%F0%9F%8C%BB', '%FF', '%00',
             "%27%20OR%201=1--", '{x*1024}', '{x*1025}', '%ZZ', '+');

# what each type of parameter is asked with, beside what %GOOD has

my %VALUES = (
    STRING => \@TEXTS,
    TEXT => \@TEXTS,
    LIST => [@TEXTS, ',', 'naver,revu', '%20naver%20,,revu,',
             'naver,naver', 'a%2Cb,naver', 'we%22ird%5C%7B%7D,a',
             'a{,*70}b', join(',', 1 .. 64), join(',', 1 .. 65), 'NAVER',
             '{x*1024},y'],
    INT => [@NUMBERS],
    INT_DEFAULT => [@NUMBERS, 7, 365],
    INT_STRICT => [@NUMBERS, 1, '-3660', '-3661', '3661', '007'],
    CHOICE => ['', 'nonsense', '%20deadline', '%F0%9F%8C%BB', '{x*1025}'],
    DATE => \@DATES,
    SEARCH => ['', 'a', '%20%20a%20', '%20granola%20', 'GRANOLA', 'tom',
               '%EB%B7%B0%ED%8B%B0', '%EB%B7%B0', '%C3%89d', '%C3%A9d',
               '50%25', 'r_s', 'ck%5Cs', '%25%25', '%27%27', 'no%20such',
               '%27%20or%201=1', '%3Bdrop%20table', 'union%20select', 'a--',
               '/*%20*/', '%FF%FF', 'a%00b', '{x*100}', '{x*101}',
               '{x*1025}', 'a+t'],
    PAGE => [1 .. 6, 20002, @NUMBERS],
    PAGE_SIZE => [1, 2, 100, 101, 500, 501, @NUMBERS],
    ID => [],
    LIST_ONE => [],
);

# by endpoint and parameter, or by parameter: values that find something

my %GOOD = (
    category => ['beauty', 'food', '%EB%B7%B0%ED%8B%B0', 'Beauty'],
    platform => ['naver', 'instagram', 'blog'],
    reward_type => ['%EC%83%81%ED%92%88', '%EA%B8%88%EC%A0%84'],
    min_reward => [50000, 2147483647, '-5'],
    max_reward => [20000, 5000, '-5'],
    status => ['draft', 'scheduled', '%EC%98%88%EC%95%BD'],
    account_id => [1, 3, 4],
    start_date => ['2026-02-01', '2025-12-24', '2026-02-22'],
    end_date => ['2026-02-12', '2026-01-21', '2026-02-22'],
    metric => ['revenue', 'users'],
    period => [3, 60],
    q => ['granola', 'acme'],
);

# other parameters that make an answer short, and still its own

my %SHORT = (page => 'per_page=5', per_page => '', metric => 'period=2',
             period => '');

my %IDS = (review_campaign => 3, review_campaign_applications => 3,
           review_listing => 1);

my @IDS = (1, 2, 6, 14, 16, 18, 22, 23, 31, 34, 0, '003', 999, 2147483647,
           2147483648, '9223372036854775807', '9223372036854775808',
           '9' x 40, '-1', '%2B1', 'abc', '1.5', '1a', '%31', '1%20', '',
           '%D9%A1', '1/', '/1');


# --- making ---

# case(TITLE, "METHOD path", options): host, as (a token, undef for none),
# headers, body

sub case {
    my ($title, $what, %o) = @_;

    my $as = exists $o{as} ? $o{as} : '{all}';

    return { title => $title, body => $o{body} // '',
             request => ["$what HTTP/1.1", 'Host: ' . ($o{host} // 'cached'),
                         defined $as ? "Authorization: Bearer $as" : (),
                         @{$o{headers} // []}] };
}


# golden_cases($endpoint): as described() has it, or one named "paths"

sub golden_cases {
    my ($e) = @_;

    return paths() if $e->{name} eq 'paths';

    my $path = $e->{path} =~ s/\{id\}/$IDS{$e->{name}} \/\/ 1/er;
    my $url = $path . (wants_q($e) ? '?q=granola' : '');

    return (forms($url), who($e, $url), hosts($e, $url), methods($path, $url),
            around($e, $path, $url), ids($e), params($e, $path));
}


sub wants_q {
    my ($e) = @_;

    return grep { $_->{type} eq 'SEARCH' } @{$e->{params}};
}


# the first request, the second, and all the forms that the answer has

sub forms {
    my ($url) = @_;

    my $gzip = 'Accept-Encoding: gzip';

    return (
        case('first', "GET $url"),
        case('again', "GET $url"),
        case('HEAD', "HEAD $url"),
        case('not modified', "GET $url",
             headers => ['If-None-Match: {etag of first}']),
        case('HEAD, not modified', "HEAD $url",
             headers => ['If-None-Match: W/{etag of first}']),
        case('modified', "GET $url", headers => ['If-None-Match: "another"']),
        case('any tag', "GET $url", headers => ['If-None-Match: *']),
        case('If-Match', "GET $url", headers => ['If-Match: "another"']),
        case('since', "GET $url",
             headers => ['If-Modified-Since: Fri, 20 Feb 2026 10:00:00 GMT']),
        case('range', "GET $url", headers => ['Range: bytes=0-9']),
        case('gzip', "GET $url", headers => [$gzip]),
        case('gzip again', "GET $url",
             headers => ['Accept-Encoding: br, gzip;q=0.5']),
        case('gzip, HEAD', "HEAD $url", headers => [$gzip]),
        case('gzip, not modified', "GET $url",
             headers => [$gzip, 'If-None-Match: {etag of gzip}']),
        case('no gzip', "GET $url", headers => ["$gzip;q=0"]),
    );
}


sub who {
    my ($e, $url) = @_;

    my @one = qw(forged expired refresh inactive unknown missing);
    my @users = qw(review sns cancelled other admin);

    return (
        case('no token', "GET $url", as => undef),
        case('no token, HEAD', "HEAD $url", as => undef),
        case('another scheme', "GET $url", as => undef,
             headers => ['Authorization: Basic b25lOm9uZQ==']),
        case('no JWT', "GET $url", as => 'x.y.z'),
        map({ case("token: $_", "GET $url", as => "{$_}") } @one),
        map({ case("user: $_", "GET $url", as => "{$_}") } @users),
        case('fixed token, all products', "GET $url", as => 'demo_token'),
        case('fixed token, no product', "GET $url", as => 'plain_token'),
    );
}


sub hosts {
    my ($e, $url) = @_;

    my @origin = ('Origin: https://app.example.com');
    my @preflight = ('Access-Control-Request-Method: GET',
                     'Access-Control-Request-Headers: Authorization, X-Other');

    return (
        case('uncached', "GET $url", host => 'uncached'),
        case('uncached, not modified', "GET $url", host => 'uncached',
             headers => ['If-None-Match: {etag of first}']),
        case('closed, no token', "GET $url", host => 'closed', as => undef),
        case('closed', "GET $url", host => 'closed'),
        case('origin', "GET $url", host => 'cors', headers => [@origin]),
        case('no origin', "GET $url", host => 'cors'),
        case('another origin', "GET $url", host => 'cors',
             headers => ['Origin: https://evil.example.com']),
        case('origin, no token', "GET $url", host => 'cors', as => undef,
             headers => [@origin]),
        case('preflight', "OPTIONS $url", host => 'cors', as => undef,
             headers => [@origin, @preflight]),
        case('a deadline of now', "GET $url", host => 'edge'),
        case('a deadline of now, again', "GET $url", host => 'edge'),
        case('no right to read', "GET $url", host => 'denied',
             as => 'demo_token'),
        case('no database', "GET $url", host => 'away', as => 'demo_token'),
        case('not enabled', "GET $url", host => 'few'),
    );
}


# A user who has written through a fallback is not answered from the zone for a
# while: those requests have no token

sub methods {
    my ($path, $url) = @_;

    my @all = qw(OPTIONS POST PUT DELETE PATCH);

    return (
        map({ case($_, "$_ $url", body => $_ eq 'POST' ? '{}' : '') } @all),
        case('POST, no token', "POST $url", as => undef),
        map({ case("$_ with a fallback", "$_ $url", host => 'fallback',
                   as => undef) }
            qw(GET OPTIONS POST DELETE)),
    );
}


sub around {
    my ($e, $path, $url) = @_;

    my $query = $url =~ s/\Q$path\E//r;
    my $and = $query eq '' ? '?' : "$query&";

    return (
        case('slash at the end', "GET $path/$query"),
        case('slash at the end, fallback', "GET $path/$query",
             host => 'fallback'),
        case('more behind', "GET $path/more$query"),
        case('upper case', 'GET ' . uc($path) . $query),
        case('encoded', 'GET ' . ($path =~ s/a/%61/r) . $query),
        case('question mark', "GET $path" . ($query || '?')),
        case('unknown parameters', "GET $path${and}unknown=1&&=&x"),
        case('long query', "GET $path${and}x={y*16384}"),
    );
}


sub ids {
    my ($e) = @_;

    return if $e->{path} !~ /\{id\}/;

    return map {
        my $path = $e->{path} =~ s/\{id\}/$_/r;
        case('id: ' . ($_ eq '' ? 'none' : $_), "GET $path");
    } @IDS;
}


# each value of each parameter, beside what makes the answer short

sub params {
    my ($e, $path) = @_;

    my @params = @{$e->{params}};
    my $pages = grep { $_->{type} eq 'PAGE_SIZE' } @params;
    my @q = wants_q($e) ? 'q=granola' : ();
    my @cases;

    for my $p (grep { $_->{type} ne 'ID' && $_->{type} ne 'LIST_ONE' }
               @params)
    {
        my $values = $VALUES{$p->{type}} // die "no values of $p->{type}";
        my @good = @{$GOOD{$p->{name}} // []};
        my @choices = @{$p->{choices} // []};
        my @beside = grep { $_ ne '' }
                     ($SHORT{$p->{name}} // ($pages ? 'per_page=3' : ''),
                      $p->{type} eq 'SEARCH' ? () : @q);
        my ($one, $two) = ((@good, @choices, @$values)[0, 1]);

        my $ask = sub {
            my $query = join '&', @_, @beside;
            my $title = join('&', @_) =~ s/([\d,]{30})[\d,]+(?=,)/$1.../r;

            case($title, "GET $path?$query");
        };

        push @cases, map { $ask->("$p->{name}=$_") }
                     @good, @choices, map({ uc } @choices), @$values;
        push @cases, map { case("$p->{name}=$_, nothing beside it",
                                "GET $path?$p->{name}=$_") }
                     @beside && ($good[0] // ()) || ();
        push @cases, $ask->("$p->{name}=$two", "$p->{name}=$one"),
                     $ask->("$p->{name}"),
                     $ask->(uc($p->{name}) . "=$one");
        push @cases, aliases($p, $one, $two, $ask) if $p->{alias};
    }

    return (@cases, pairs($e, $path, @q));
}


sub aliases {
    my ($p, $one, $two, $ask) = @_;

    return ($ask->("$p->{alias}=$one"), $ask->("$p->{alias}=$two"),
            $ask->("$p->{name}=$two", "$p->{alias}=$one"),
            $ask->("$p->{alias}=$one", "$p->{name}=$two"),
            $ask->("$p->{name}=", "$p->{alias}=$one"),
            $ask->("$p->{name}=abc", "$p->{alias}=$one"));
}


# parameters that meet: all that find something, and those of different errors

sub pairs {
    my ($e, $path, @q) = @_;

    my %has = map { $_->{name} => $_ } @{$e->{params}};
    my $all = join '&', map { "$_=$GOOD{$_}[0]" } grep { $GOOD{$_} }
              sort keys %has;
    my @cases;

    return if keys(%has) < 2 || $has{id};

    push @cases, case('all at once', "GET $path?$all");
    push @cases, case('all, the second page',
                      "GET $path?$all&per_page=1&page=2")
        if $has{page};
    push @cases, map({ case("small: $_->[0]", "GET $path?$_->[1]",
                            host => 'small') }
                     ['a page', join '&', 'page=2&per_page=3', @q],
                     ['a deep page', join '&', 'page=3&per_page=3', @q],
                     ['no page', join '&', 'page=99&per_page=3', @q],
                     ['a large page', join '&', 'per_page=100', @q],
                     $has{q} ? ['a short word', 'q=gran'] : ())
        if $has{page};
    push @cases, case('two errors', "GET $path?$all&page=0&per_page=0"),
                 case('an error and no token', "GET $path?$all&page=0",
                      as => undef)
        if $has{page};
    push @cases, case('HEAD, all days', "HEAD $path?period=3660")
        if $has{period};
    push @cases, case('the end before the start', "GET $path?"
                      . 'start_date=2026-02-10&end_date=2026-02-01'),
                 case('only the end', "GET $path?end_date=2026-02-01"),
                 case('days of all times', "GET $path?"
                      . 'start_date=0001-01-01&end_date=9999-12-31')
        if $has{start_date};

    return @cases;
}


# what belongs to no endpoint, and what all have in common

sub paths {
    my $one = '/api/dashboard/summary';
    my @out;

    for my $path ('/', '/api', '/api/', '/api/no/such', '/api//review',
                  '/api/review/', '/api/review/campaigns/3/', '/healthy',
                  '/api/review/campaigns/3/applications/1', '/api/sns/%2e%2e',
                  '/api/review/campaigns;x', '/api/review/campaigns%3Fpage=2',
                  '/api/ready', '/health/', '/api/auth/logout',
                  '/api/export', '/api/review/campaigns/3/apply')
    {
        push @out, case("GET $path", "GET $path", as => undef),
                   case("POST $path", "POST $path", body => '{}'),
                   case("GET $path, fallback", "GET $path",
                        host => 'fallback'),
                   case("POST $path, fallback", "POST $path", as => undef,
                        host => 'fallback', body => '{}');
    }

    for my $line ('', ' Bearer', ' bearer {all}', ' BEARER {all}',
                  ' Bearer  {all}', ' Bearer {all} x', ' Token {all}',
                  ' Bearer a.b', ' Bearer {all}.x', ' Bearer demo_token2')
    {
        push @out, case("Authorization:$line", "GET $one", as => undef,
                        headers => ["Authorization:$line"]);
    }

    return @out;
}


# golden_wanted($endpoint): what the requests of its file have to begin a
# parameter with

sub golden_wanted {
    my ($e) = @_;

    return map {
        my $p = $_;
        ("$p->{name}=", $p->{alias} ? "$p->{alias}=" : (),
         map { "$p->{name}=$_" } @{$p->{choices} // []});
    } grep { $_->{type} ne 'ID' && $_->{type} ne 'LIST_ONE' } @{$e->{params}};
}


1;

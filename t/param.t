# Parameters: how text from outside is read, and that no text whatever does
# harm.

use strict;
use warnings;

use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;
use SoftFactory::Live;

our $DB = scratch('sf_param');

log_statements($DB);

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO users (email, password_hash, name, is_active)
VALUES ('u', '!', 'u', true);
INSERT INTO campaigns (creator_id, title, product_name, deadline, status,
    created_at)
SELECT 1, n, 'p', 'tomorrow', 'active', '2026-01-01'
  FROM generate_series(1, 1001) n;
INSERT INTO sns_accounts (user_id, platform, account_name)
VALUES (1, 'p', 'n');
INSERT INTO sns_posts (user_id, account_id, content, platform)
SELECT 1, 1, n, 'p' FROM generate_series(1, 1001) n;
INSERT INTO review_listings (source_platform, external_id, title, deadline,
    status)
SELECT 'p', n, 'title', 'tomorrow', 'active' FROM generate_series(1, 201) n
SQL

# what a probing client may send as any parameter

our @BAD = (
    '%00', 'a%00b', '%00%00%00', 'x' x 1024, 'x' x 1025, 'x' x 8000,
    '%C3%A9' x 600, '%FF', '%C3', 'a%C3%28', '%ED%A0%80', '%F4%90%80%80',
    '%C0%AF', '%F0%9F%98', '%EF%BF%BE', '%', '%4', '%zz', '%u0041', '\'',
    '%27%20OR%201=1--', '%22', '%5C', '%5C%22', '{', '}', '{{{', ',' x 200,
    join(',', 1 .. 64), join(',', 1 .. 65), '%7B%22a%22%7D', '$1', '[[', ']]',
    '0', '-0', '-1', '1.5', '1e9', 'NaN', 'Infinity', '0x7fffffff',
    '2147483647', '2147483648', '-2147483649', '9223372036854775807',
    '9223372036854775808', '-9223372036854775808', '-9223372036854775809',
    '18446744073709551616', '9' x 400, '0' x 5000 . '1', '1_0', '_', '+', '',
    '2026-01-01', '0001-01-01', '9999-12-31', '10000-01-01', '-001-01-01',
    '2026-99-99', '2026-02-30', '2026-01-01T', '--------', '2026----01',
    '%D9%A3', '%F0%9D%9F%8F', '%E2%80%8B', '%0A', '%0D%0A%0D%0A', '%1B%5B0m',
    '<script>', '%25s%25n', '/*', '*/', '--', 'null',
);


# names of what an endpoint reads of a query string

sub params {
    my ($endpoint) = @_;

    my %names = map { $_ => 1 } grep { defined }
                map { @$_{qw(name alias since)} }
                grep { $_->{type} ne 'ID' } @{$endpoint->{params}};

    return sort keys %names;
}


# harmless($res): '', or what is wrong with an answer to bad input

sub harmless {
    my ($res) = @_;

    my $status = $res->{status} // 'none';

    return "status $status" if $status !~ /^(?:200|400|401|403|404)$/;

    if ($status == 200) {
        return $res->{body} =~ /\A[\[{].*[\]}]\n\z/s ? '' : 'no document';
    }

    my $doc = eval { document($res->{body}) }
        or return "no document: $@";

    my @keys = keys %$doc;

    return "@keys" if "@keys" ne 'error' || $doc->{error} !~ /^".+"$/;
    return '';
}


defaults(no_error_log => "[warn]\n[error]\n[crit]\n[alert]\n[emerg]\n");

plan('no_plan');
run_tests();

__DATA__

=== TEST 1: integers are read as Python reads them
--- check
my @cases = (
    '7' => 7, '%2B7' => 7, '+7' => 7, '-7' => -7, '%2D7' => -7, '0' => 0,
    '-0' => 0, '007' => 7, '1_000' => 1000, '1_0_0' => 100,
    '%201%20' => 1, '+1+' => 1, '%09%0A1%0B%0C%0D' => 1, '%C2%A01' => 1,
    '1%C2%85' => 1, '%E3%80%801%E2%80%A8' => 1, '%D9%A3' => 3,
    '1%D9%A3' => 13, '%D9%A1_%D9%A2' => 12, '-%D9%A3' => -3,
    '%EF%BC%91%EF%BC%92' => 12, '%F0%9D%9F%8F' => 1,
    '9223372036854775807' => '9223372036854775807',
    '-9223372036854775808' => '-9223372036854775808',
    '9' x 30 => '9223372036854775807', '-' . '9' x 30 =>
    '-9223372036854775808', '0' x 4299 . '5' => 5,
);

while (my ($text, $number) = splice @cases, 0, 2) {
    my $doc = answers("/api/analytics/trends?days=$text", 200);
    is($doc->{period}, $number, 'is ' . substr $text, 0, 40);
}

for my $text ('', '+', '%20', '-', '%2B', '--1', '%2B-1', '- 1', '1 2',
              '1.5', '1.0', '1e3', '0x10', '1L', '_1', '1_', '1__0', '-_1',
              'true', 'null', 'NaN', '%C2%B2', '%E4%B8%80', '1%00', '%00',
              '%1C1', '%E2%80%8B1', '%FF1', '1%FF', '%C3%28', '1,000',
              '%E2%88%921', '0' x 4300 . '5')
{
    (my $sent = $text) =~ tr/ /+/;
    my $doc = answers("/api/analytics/trends?days=$sent", 200);
    is($doc->{period}, 30, 'is no integer: ' . substr $text, 0, 40);
}



=== TEST 2: of a repeated key the first value counts, keys are decoded too
--- check
for my $case (
    ['days=5&days=6' => 5], ['days=&days=6' => 30], ['days&days=6' => 30],
    ['x&days=5' => 5], ['&&&days=5&' => 5], ['%64ay%73=5' => 5],
    ['%64ays=5&days=6' => 5], ['days=5&%64ays=6' => 5], ['days==5' => 30],
    ['days%3D5' => 30], ['Days=5' => 30], ['days+=5' => 30],
    ['+days=5' => 30], ['day=5' => 30], ['dayss=5' => 30],
    ['days%00=5' => 30], ['%00days=5' => 30], ['x=1;days=5' => 30],
    ['%zz=1&days=5' => 5], ['days=5%' => 30], ['days=%35' => 5],
    ['days=%2' => 30], ['days=5?days=6' => 30], ['days[]=5' => 30],
    ['=5&days=6' => 6], ['=&=&days=7' => 7], ['&' => 30], ['' => 30])
{
    my ($query, $number) = @$case;

    my $doc = answers("/api/analytics/trends?$query", 200);
    is($doc->{period}, $number, "?$query: so it is");
}

is(answers('/api/analytics/trends', 200)->{period}, 30, 'without a query');



=== TEST 3: text is decoded, what is no UTF-8 becomes U+FFFD
--- check
my $no = "\xef\xbf\xbd";

for my $case (
    ['a+b%2Bc%20d' => 'a b+c d'], ['%e2%82%AC' => '€'], ['%41%3d%26' => 'A=&'],
    ['caf%C3%A9+au+lait' => 'café au lait'], ['x=y' => 'x=y'],
    ['%F0%9F%98%80+1' => '😀 1'], ['a%ED%95%9Cb%EA%B8%80c' => 'a한b글c'],
    ['%25' => '%'], ['%' => '%'], ['%4' => '%4'], ['%zz%3' => '%zz%3'],
    ['%25%34%31' => '%41'], ['%FF' => $no], ['a%FFb' => "a${no}b"],
    ['%80%BF' => $no x 2], ['%C3%28' => "$no("], ['%ED%A0%80' => $no x 3],
    ['%C0%AF' => $no x 2], ['%F5%80%80%80' => $no x 4],
    ['%C3%A9%FFe' => "é${no}e"], ['%EF%BF%BF' => "\xef\xbf\xbf"],
    ['' => ''], ['%01%0A%22%5C' => "\x01\n\"\\"], ['"\'<>' => '"\'<>'],
    ['x' x 1024 => 'x' x 1024])
{
    my ($text, $value) = @$case;

    my $doc = answers("/api/analytics/advanced?period=0&metric=$text", 200);
    is($doc->{metric}, token_of($value),
       'so it is read: ' . substr $text, 0, 40);
}

# bytes need not be encoded at all

my $doc = answers("/api/analytics/advanced?period=0&metric=\xc3\xa9\xff", 200);
is($doc->{metric}, token_of("\xc3\xa9$no"), 'raw bytes likewise');



=== TEST 4: the period of analytics is told as it came, or refused
--- check
for my $case (['0' => '0'], ['+3' => ' 3'], ['%2B3' => '+3'], ['003' => '003'],
              ['1_0' => '1_0'], ['%D9%A3' => '٣'], ['-5' => '-5'],
              ['3660' => '3660'], ['-3660' => '-3660'])
{
    my ($text, $echo) = @$case;
    my $doc = answers("/api/analytics/advanced?period=$text", 200);
    is($doc->{period}, token_of($echo), 'as it came');
}

fails("/api/analytics/advanced?period=$_", 400, 'Invalid period')
    for '', 'x', '1.5', '%00', '3661', '-3661', '9' x 30, '1%00';



=== TEST 5: pages and their sizes, and what stands in for them
--- check
my $total = ask("SELECT count(*) FROM campaigns WHERE status = 'active'
                 AND deadline >= now() AT TIME ZONE 'UTC'");
my $sum = ask("SELECT count(*) FROM review_listings WHERE status = 'active'
               AND deadline >= now() AT TIME ZONE 'UTC'");
my $posts = ask('SELECT count(*) FROM sns_posts WHERE user_id = 1');

my $size = sub {
    my ($path, $total, $size, $page) = @_;

    my $doc = answers($path, 200);
    my ($rows) = grep { ref } values %$doc;
    my $left = $total - $size * (($page // 1) - 1);

    is(scalar(@$rows), $left < $size ? $left : $size,
       "$path: rows of the page");
    is_deeply([@$doc{qw(total current_page pages)}],
              [$total, $page // 1, int(($total + $size - 1) / $size)],
              "$path: its figures");
};

for my $case (
    ['', 12], ['per_page=5', 5], ['per_page=+5', 5], ['per_page=5&limit=7', 5],
    ['limit=7', 12], ['per_page=', 12], ['per_page=x', 12],
    ['per_page=1.5', 12], ['per_page=1_0', 10], ['per_page=%D9%A3', 3],
    ['page=2', 12, 2], ['page=2&page=3', 12, 2], ['page=%32', 12, 2],
    ['page=', 12], ['page=x', 12], ['page=1.5', 12], ['page=+2+', 12, 2],
    ["per_page=$total", $total], ["per_page=500", 500],
    ["page=$total&per_page=1", 1, $total])
{
    my ($query, @expected) = @$case;
    $size->("/api/review/campaigns?$query", $total, @expected);
}

for my $case (
    ['', 20], ['limit=5', 5], ['per_page=5', 5], ['limit=5&per_page=7', 7],
    ['limit=5&per_page=', 5], ['limit=5&per_page=x', 5],
    ['limit=5&per_page=1.5', 5], ['limit=x&per_page=y', 20], ['limit=', 20],
    ['limit=5&limit=6', 5], ['l%69mit=5', 5])
{
    my ($query, @expected) = @$case;
    $size->("/api/review/listings?$query", $sum, @expected);
    $size->("/api/sns/posts?$query", $posts, @expected);
}

for my $query ('page=0', 'page=-1', 'page=-9223372036854775808', 'per_page=0',
               'per_page=-1', 'page=1&per_page=0', 'page=2&per_page=0',
               'page=2&per_page=-5', 'page=0&per_page=0', 'page=1000',
               'page=2147483648', 'page=9223372036854775807',
               'page=' . '9' x 30, 'page=2&per_page=500',
               'page=9223372036854775807&per_page=9223372036854775807',
               'page=4294967297&per_page=1', 'page=2147483647&per_page=2')
{
    fails("/api/review/campaigns?$query", 404, 'Not found');
    fails("/api/sns/posts?$query", 404, 'Not found');
}

fails('/api/review/listings?limit=0', 404, 'Not found');
fails('/api/review/listings?limit=5&per_page=0', 404, 'Not found');
fails('/api/review/listings?page=2&per_page=0', 404, 'Not found');
fails('/api/review/bookmarks?page=2&per_page=0', 404, 'Not found');
fails('/api/review/listings/search?q=xx&page=2&per_page=0', 404, 'Not found');



=== TEST 6: no page is longer than the configuration allows
--- http_config eval: SoftFactory::conf(dbname => $::DB)
--- config
softfactory_token demo_token user=1 products=all;

location /api/ {
    softfactory_pass primary;
}

location /api/review/campaigns {
    softfactory_pass primary;
    softfactory_max_page_size 10;
}

location /api/review/listings/ {
    softfactory_pass primary;
    softfactory_max_page_size 30;
}
--- check
my $page = sub {
    my ($path, $rows, $pages) = @_;

    my $doc = answers($path, 200);
    is(scalar(@{(grep { ref } values %$doc)[0]}), $rows,
       "$path: rows");
    is($doc->{pages}, $pages, "$path: pages");
};

$page->('/api/review/campaigns', 10, 101);
$page->('/api/review/campaigns?per_page=9', 9, 112);
$page->('/api/review/campaigns?per_page=' . '9' x 30, 10, 101);
$page->('/api/review/campaigns?page=101&per_page=11', 1, 101);
fails('/api/review/campaigns?page=102&per_page=11', 404, 'Not found');
fails('/api/review/campaigns?per_page=0', 404, 'Not found');

$page->('/api/sns/posts?limit=500', 500, 3);
$page->('/api/sns/posts?limit=501', 500, 3);
$page->('/api/sns/posts?per_page=100000&page=3', 1, 3);

$page->('/api/review/listings?per_page=500', 201, 1);
$page->('/api/review/listings/search?q=title&per_page=500', 30, 7);



=== TEST 7: a search has a hundred results a page at most
--- http_config eval: SoftFactory::conf(dbname => $::DB)
--- check
for my $size (100, 101, 500, '9' x 30) {
    my $doc = answers("/api/review/listings/search?q=title&per_page=$size",
                      200);
    is(scalar(@{$doc->{listings}}), 100, 'rows');
    is($doc->{pages}, 3, 'pages');
}

my $doc = answers('/api/review/listings/search?q=title&page=3&per_page=100',
                  200);
is(scalar(@{$doc->{listings}}), 1, 'the last page');



=== TEST 8: a keyword is trimmed, and of two to a hundred characters
--- check
my $search = '/api/review/listings/search';
my $short = 'Search keyword must be at least 2 characters';
my $long = 'Search keyword must be 100 characters or less';

fails("$search$_", 400, $short)
    for '', '?', '?q', '?q=', '?q=a', '?q=+a+', '?q=%F0%9F%98%80', '?q=+++',
        '?q=%E3%80%80a%C2%A0', '?q=%1Ca%1F', '?q=&q=abc', '?Q=abc',
        '?search=abc', '?q=a&page=0', '?q=%C3%A9';

fails("$search?q=$_", 400, $long)
    for 'x' x 101, '%F0%9F%98%80' x 101, 'x+' x 51 . 'x', '%27' x 1000,
        '%00' x 101, 'x%27+or+1=1' x 20;

answers("$search?q=$_", 200)
    for 'ab', '+ab+', 'x' x 100, '%F0%9F%98%80' x 2, '%F0%9F%98%80' x 100,
        '+' x 200 . 'ab' . '%09' x 200, '%C3%A9%C3%A9', '%FF%FF', '%25%25',
        '__', '%5C%5C', '%22%22', '%3C%3E', '%26%26', '%27%27', 'x' x 99
        . '%5C', '%5C' x 100, '%25' x 100, '%27' x 100;

fails("$search?q=$_", 400, 'Invalid q') for '%00%00', 'ab%00', 'a%00+--b';



=== TEST 9: a keyword that looks like SQL is refused, like text is not
--- check
my $encode = sub {
    my ($text) = @_;
    $text =~ s/([^\w])/sprintf '%%%02X', ord $1/ge;
    return "/api/review/listings/search?q=$text";
};

fails($encode->($_), 400, 'Invalid search keyword')
    for "' or 1=1", "'or 1=1", '" AND x = y', "x'  \tOr\nx =", "' or =",
        'a; drop table x', 'a;DELETE from', ';   update x', '; insert x',
        ";\nalter x", ';create x', 'union select', "UNION\tALL \nSELECT x",
        'xunion selectx', 'abc --', "abc -- \nmore", "abc --\t", '/* x */',
        'a/**/b', "/*\nx\n*/", '한글 --', 'é; drop x';

answers($encode->($_), 200)
    for "it's or not", 'drop table', 'union jack', 'union all selected'
        =~ s/selected/chosen/r, 'a--b', '-- open', '/* open', '*/ /*',
        "' or 1", "'or1=1", "' or x\n=", 'a; select 1', ';dropped',
        'or 1=1', "' xor 1=1", 'unionselect', 'money=5', 'onclick=x';



=== TEST 10: signs of LIKE and of HTML in a keyword mean themselves
--- check
my $count = sub {
    my ($text, $pattern) = @_;

    (my $sent = $text) =~ s/([^\w])/sprintf '%%%02X', ord $1/ge;

    my $n = ask("SELECT count(*) FROM review_listings
                  WHERE status = 'active'
                    AND deadline >= now() AT TIME ZONE 'UTC'
                    AND (title ILIKE '$pattern' OR brand ILIKE '$pattern'
                         OR category ILIKE '$pattern')");

    is(answers("/api/review/listings/search?q=$sent", 200)->{total}, $n,
       "$text finds $n");
    return $n;
};

cmp_ok($count->('100%', '%100\%%'), '>', 0, 'a per cent sign');
cmp_ok($count->('_test', '%\_test%'), '>', 0, 'an underscore');
is($count->('r%v', '%r\%v%'), 0, 'no wildcard');
is($count->('rev_', '%rev\_%'), 0, 'no wildcard either');
cmp_ok($count->('& escaped', '%&amp; escaped%'), '>', 0, 'an ampersand');
is($count->('& more', '%&amp; more%'), 0, 'stored as it is');
is($count->('"limited"', '%&quot;limited&quot;%'), 0, 'quotes too');
cmp_ok($count->('limited', '%limited%'), '>', 0, 'without them');
is($count->("It's", '%It&#x27;s%'), 0, 'an apostrophe');
cmp_ok($count->('lim\\ited', '%limited%'), '>', 0, 'a backslash escapes');
cmp_ok($count->('test \\\\', '%test \\\\%'), '>', 0, 'also itself');



=== TEST 11: dates of analytics, and what stands in for them
--- check
my $today = ask("SELECT (now() AT TIME ZONE 'UTC')::date");
my $before = sub { ask("SELECT '$_[0]'::date - 30") };

for my $case (
    ['', $before->($today), $today],
    ['start_date=2026-01-05&end_date=2026-02-05', '2026-01-05', '2026-02-05'],
    ['date_from=2026-01-05&date_to=2026-02-05', '2026-01-05', '2026-02-05'],
    ['date_from=2026-01-05&start_date=2025-01-05&date_to=2026-02-05&'
     . 'end_date=2025-02-05', '2025-01-05', '2025-02-05'],
    ['start_date=20260105&end_date=20260205T101112', '2026-01-05',
     '2026-02-05'],
    ['start_date=2026-01-05T10:11:12.5&end_date=2026-02-05+10:11',
     '2026-01-05', '2026-02-05'],
    ['end_date=2026-03-01', '2026-01-30', '2026-03-01'],
    ['end_date=2024-03-01', '2024-01-31', '2024-03-01'],
    ['start_date=x&end_date=2024-03-01', '2024-01-31', '2024-03-01'],
    ['start_date=2026-01-05&end_date=x', '2026-01-05', $today],
    ['start_date=2024-02-29&end_date=2024-02-29', '2024-02-29', '2024-02-29'],
    ['start_date=1900-02-28&end_date=2000-02-29', '1900-02-28', '2000-02-29'],
    ['start_date=0001-01-01&end_date=9999-12-31', '0001-01-01', '9999-12-31'],
    ['start_date=1969-12-31&end_date=1970-01-01', '1969-12-31', '1970-01-01'],
    ['start_date=7999-12-31&end_date=8000-01-01', '7999-12-31', '8000-01-01'],
    ['start_date=2026-03-01&end_date=2026-01-01', '2026-03-01', '2026-01-01'],
    ['end_date=0001-01-10', '0001-01-01', '0001-01-10'])
{
    my ($query, $start, $end) = @$case;

    my $doc = answers("/api/sns/analytics?$query", 200);
    is_deeply($doc->{data}{period},
              { start => token_of($start), end => token_of($end) },
              "from $start to $end");
}

for my $text ('2026-02-29', '1900-02-29', '2026-13-01', '2026-00-01',
              '2026-01-00', '2026-01-32', '2026-04-31', '0000-01-01',
              '2026-1-5', '26-01-05', '2026/01/05', '05-01-2026', '202601',
              '2026-01', '+2026-01-05', '%002026-01-05', 'today',
              '-026-01-05', '2026--1-05', '1767571200', '%D9%A2026-01-05')
{
    my $doc = answers("/api/sns/analytics?start_date=$text"
                      . '&end_date=2026-03-01', 200);
    is($doc->{data}{period}{start}, '"2026-01-30"', "$text is no date");
}



=== TEST 12: a list has sixty-four items at most
--- check
my $items = sub { join ',', map { "i$_" } 1 .. $_[0] };

answers('/api/review/listings?platform=' . $items->(64), 200);
answers('/api/review/listings?platform=' . ',' x 900, 200);
answers('/api/review/listings?platform=' . $items->(64) . ',+,,', 200);
fails('/api/review/listings?platform=' . $items->(65), 400,
      'Too many platform values');
fails('/api/review/listings?source_platform=' . $items->(65), 400,
      'Too many platform values');
answers('/api/review/listings?source_platform=' . $items->(65)
        . '&platform=revu', 200);



=== TEST 13: text that no column can hold is refused
--- check
for my $case (['review/campaigns', 'category'],
              ['review/listings', 'category'],
              ['review/listings', 'platform'],
              ['review/listings', 'reward_type'], ['sns/posts', 'status'],
              ['sns/analytics', 'platform'], ['analytics/advanced', 'metric'])
{
    my ($path, $name) = @$case;

    fails("/api/$path?$name=$_", 400, "Invalid $name")
        for '%00', 'a%00', '%00a', '%C3%A9%00', 'x' x 1025,
            '%C3%A9' x 513;
    answers("/api/$path?$name=" . 'x' x 1024, 200);
}

fails('/api/review/campaigns?category=%00&page=0', 404, 'Not found');
fails('/api/review/listings?source_platform=%00', 400, 'Invalid platform');
answers('/api/review/listings?source_platform=%00&platform=a', 200);
answers('/api/review/listings?sort_by=%00', 200);
answers('/api/review/listings?unknown=%00', 200);



=== TEST 14: no value of any parameter does harm
--- check
for my $endpoint (endpoints()) {
    (my $path = $endpoint->{path}) =~ s/\{id\}/1/;

    for my $name (params($endpoint)) {
        my @wrong;

        for my $value (@main::BAD) {
            (my $text = $value) =~ tr/ /+/;

            for my $query ("$name=$text", "q=abc&page=2&$name=$text") {
                my $why = harmless(get("$path?$query"));
                push @wrong, "$why: " . substr $query, 0, 80 if $why;
            }
        }

        is("@wrong", '', "$name of $path");
    }
}



=== TEST 15: nor do ids, tokens, headers and bodies
--- check
for my $endpoint (grep { $_->{path} =~ /\{id\}/ } endpoints()) {
    my @wrong;

    for my $value (@main::BAD) {
        next if $value =~ /[{}<'" \[\]]|^[%+]*$|%(?:\z|.?\z|[^0-9A-F])/
                || $value =~ /%00/;

        (my $path = $endpoint->{path}) =~ s/\{id\}/$value/;
        my $why = harmless(get($path));
        push @wrong, "$why: " . substr $path, 0, 80 if $why;
    }

    is("@wrong", '', "id of $endpoint->{path}");
}

for my $token ('a' x 8000, '.' x 8000, 'a.' x 4000, '..', '.', '=', ' ',
               "\xff\xfe", ' demo_token', 'demo_tokenx', 'demo_toke',
               'eyJhbGciOiJIUzI1NiJ9..', 'a.b.' . 'c' x 43,
               jwt(user_id => 1, x => 'x' x 5000) . 'x',
               jwt(user_id => 1, x => 'x' x 5000, -secret => 'other'),
               jwt(user_id => '9' x 5000), jwt(user_id => {}),
               jwt(user_id => [1]), jwt(user_id => "1\0"),
               jwt(user_id => 1e300),
               jwt(user_id => 1, -alg => 'none'),
               jwt(user_id => 1, exp => 1e300, iat => 1e300),
               jwt(user_id => 1, exp => '9' x 400, nbf => '-' . '9' x 400,
                   type => "access\0"))
{
    my $res = get('/api/sns/posts', token => $token);

    is($res->{status}, 401, 'a token is refused: ' . substr $token, 0, 20);
    is(harmless($res), '', 'and nothing else: ' . substr $token, -20);
}

is(get('/api/dashboard/summary',
       token => jwt(user_id => 1, x => 'x' x 5000))->{status}, 200,
   'a long token may be right');

for my $headers (
    ['Authorization: '], ['Authorization: Bearer'], ['Authorization: Basic x'],
    ['authorization: bearer demo_token'], ['Authorization:Bearer  demo_token'],
    ['X: ' . 'y' x 8000], ['Origin: ' . 'y' x 8000],
    ['Origin: a', 'Origin: b'], map { ["If-None-Match: $_"] } '*', 'x' x 8000)
{
    my $res = get('/api/sns/posts', token => undef, headers => $headers);

    is($res->{status}, 401, 'no token in ' . substr $headers->[0], 0, 40);
    is(harmless($res), '', 'and nothing else: ' . substr $headers->[0], 0, 40);
}

# a body of a GET is read and forgotten

for my $body ('x' x 100000, '', "GET /nonsense HTTP/1.1\r\n\r\n") {
    is(get('/api/dashboard/charts', body => $body)->{status}, 200,
       'a GET with a body');
    is(get('/api/dashboard/charts')->{status}, 200, 'and one after it');
}

my $head = "GET /api/review/campaigns?page=2 HTTP/1.1\r\nHost: x\r\n";
my $res = wire("${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
               . "\r\n");
is($res->{status}, 200, 'a GET with chunks');
is(get('/api/dashboard/charts')->{status}, 200, 'and one after it');



=== TEST 16: a query string of a megabyte is refused, one of 16 KB is read
--- http_config eval
SoftFactory::conf() . "large_client_header_buffers 4 2m;\n"
--- check
my $big = 'x' x 1048576;

for my $query ($big, "days=$big", "$big=1", '&' x 1048576, 'days=5&' x 150000,
               '%00' x 349525, "days=5&$big", "q=abc&page=$big")
{
    fails("/api/analytics/trends?$query", 400, 'Query string is too long');
    fails("/api/review/campaigns?$query", 400, 'Query string is too long',
          token => undef);
    fails("/api/review/listings/search?$query", 400,
          'Query string is too long', token => jwt(user_id => 1));
    fails("/api/sns/posts?$query", 401, 'Missing authorization header',
          token => undef);
}

my $doc = answers('/api/analytics/trends?days=7&' . 'x' x (16384 - 7), 200);
is($doc->{period}, 7, 'the longest one');
fails('/api/analytics/trends?days=7&' . 'x' x (16384 - 6), 400,
      'Query string is too long');

answers('/api/analytics/trends?' . '&' x 16384, 200);
answers('/api/analytics/trends?' . 'days=%C3&' x 1600, 200);

my $token = jwt(user_id => 1, x => 'x' x 700000);
is(get('/api/dashboard/summary', token => $token)->{status}, 200,
   'a token of a megabyte');
is(get('/api/dashboard/summary', token => "${token}x")->{status}, 401,
   'and a wrong one');


=== TEST 17: a page may be so deep, and one behind the last is not asked for
--- http_config eval
SoftFactory::conf(dbname => $::DB, zone => 'api 8m', listen => 'off')
--- config
softfactory_token demo_token user=1 products=all;
softfactory_cache_incoherent_ttl 60s;

location /api/ {
    softfactory_pass primary;
}

location /api/review/campaigns {
    softfactory_pass primary;
    softfactory_max_offset 20;
}

location = /none/campaigns {
    rewrite ^ /api/review/campaigns break;
    softfactory_pass primary;
    softfactory_cache off;
    softfactory_max_offset 20;
}

location = /first/campaigns {
    rewrite ^ /api/review/campaigns break;
    softfactory_pass primary;
    softfactory_max_offset 0;
}
--- check
my $deep = 'Page is too deep, it may skip 20 rows';

for my $path ('/api/review/campaigns', '/none/campaigns') {
    answers("$path?per_page=10&page=3", 200);
    answers("$path?per_page=20&page=2", 200);
    fails("$path?per_page=10&page=4", 400, $deep);
    fails("$path?per_page=7&page=4", 400, $deep);
    answers("$path?per_page=500&page=1", 200);
    fails("$path?per_page=500&page=2", 400, $deep);
    fails("$path?per_page=500&page=4", 404, 'Not found');
    fails("$path?page=100000000", 404, 'Not found');
    fails("$path?category=none&page=2", 404, 'Not found');
    fails("$path?category=none&page=100000", 404, 'Not found');
    answers("$path?category=none&page=1", 200);
}

answers('/first/campaigns?page=1', 200);
fails('/first/campaigns?page=2', 400, 'Page is too deep, it may skip 0 rows');

# lists whose total is asked for first, and beside the page

for (['/api/review/listings?', 201], ['/api/sns/posts?', 1001],
     ['/api/review/listings/search?q=title&', 201])
{
    my ($path, $rows) = @$_;
    my $last = $rows + 1;

    my $n = executed {
        fails("${path}per_page=1&page=$last", 404, 'Not found');
        fails("${path}per_page=1&page=" . ($last + $_), 404, 'Not found')
            for 1 .. 5;
        fails("${path}per_page=100&page=100", 404, 'Not found');
    } qr{/\* (?:sns|review)_};

    is($n, 1, "$path: the total is all that is asked");
    answers("${path}per_page=1&page=$rows", 200);
}

# a first page without rows is an answer

my $n = executed {
    is(get('/api/review/listings?category=none')->{body},
       qq({"current_page":1,"listings":[],"pages":0,"total":0}\n),
       'a total of none');
} qr{/\* review_};

is($n, 1, 'says it all');


=== TEST 18: how short a keyword may be
--- http_config eval: SoftFactory::conf(dbname => $::DB)
--- config
softfactory_token demo_token user=1 products=all;
softfactory_min_search 3;

location /api/ {
    softfactory_pass primary;
}
--- check
my $search = '/api/review/listings/search';
my $short = 'Search keyword must be at least 3 characters';

answers("$search?q=$_", 200)
    for qw(tit abc %EB%B7%B0%ED%8B%B0 a%ED%8B%B0 %C3%A9a);
fails("$search?q=$_", 400, $short) for '', qw(a ab ++ab++ %25%25);
fails("$search?q=%ED%8B%B0", 400,
      'Search keyword must be at least 2 characters');

# Every endpoint against the tables themselves: what psql says about a copy of
# the demo data, with rows added where the demo has no such case, is what the
# API has to answer, value by value and type by type.

use strict;
use warnings;

use lib 't/lib';
use Test::Nginx::Socket;
use SoftFactory;

our $DB = scratch('sf_api', 'softfactory');
our $EMPTY = scratch('sf_api_empty');
our $ENDLESS = scratch('sf_api_endless');
our $MANY = scratch('sf_api_many');

psql("INSERT INTO users (id, email, password_hash, name, is_active)
      VALUES (1, 'e', '!', 'n', true)", dbname => $ENDLESS);

our $ACTIVE = "status = 'active' AND deadline >= now() AT TIME ZONE 'UTC'";

our $LISTING = join ', ', map { "l.$_" } qw(
    id source_platform external_id title brand category reward_type
    reward_value max_applicants current_applicants url image_url status
    deadline);

psql($_, dbname => $DB) for split /;\n/, <<'SQL';
INSERT INTO campaigns (creator_id, title, product_name, description,
    category, reward_type, reward_value, max_reviewers, deadline, status,
    created_at)
SELECT 1, title, 'p', description, category, NULL, reward, max,
       deadline::timestamp, status, created::timestamp
  FROM (VALUES
    ('no time 1', NULL, 'x', '12.50', 1, '9999-12-31', 'active', NULL),
    ('no time 2', '', 'x', '', 0, '9999-12-31 23:59:59.999999', 'active',
     NULL),
    ('same 1', NULL, NULL, NULL, NULL, 'tomorrow', 'active',
     '2026-01-01 00:00:00.1'),
    ('same 2', NULL, '', NULL, NULL, 'tomorrow', 'active',
     '2026-01-01 00:00:00.1'),
    ('same 3', E'\u2028\x7f\x1f/', 'a%b_c''"\', '0', 2147483647, 'tomorrow',
     'active', '2026-01-01 00:00:00.1'),
    ('old', NULL, 'x', NULL, 10, '0001-01-01 00:00:00.000001', 'active',
     '1969-12-31 23:59:59.999999'),
    ('😀 no status', NULL, 'x', NULL, 10, 'tomorrow', NULL, '2026-01-02'),
    ('full', NULL, 'full', NULL, 2, 'tomorrow', 'active', '2026-01-02')
  ) AS v (title, description, category, reward, max, deadline, status,
          created);
INSERT INTO campaign_applications (campaign_id, user_id, message,
    follower_count, status, created_at)
SELECT c.id, n, E'm \\ "\n" 😀', nullif(n, 3), NULL, NULL
  FROM campaigns c, generate_series(1, 3) n
 WHERE c.title IN ('full', 'same 1');
INSERT INTO review_listings (source_platform, external_id, title, brand,
    category, reward_value, deadline, max_applicants, current_applicants,
    url, status, scraped_at)
SELECT platform, 'edge_' || n, title, brand, category, reward,
       deadline::timestamp, NULL, n, url, 'active', scraped::timestamp
  FROM (VALUES
    (1, 'a,b', '50% 할인 😀', 'L&#x27;eau &amp; co', 'edge', -5, 'tomorrow',
     '', NULL),
    (2, 'a', 'under_score', NULL, 'edge', NULL, 'tomorrow', NULL, NULL),
    (3, 'b', 'underXscore back\slash', '', 'Edge', 2147483647, 'tomorrow',
     '/', '2026-01-01'),
    (4, 'we"ird\{}', '&lt;b&gt; ''quote''', 'ÉDGE', '', 2147483647,
     '2999-12-31 23:59:59.000001', NULL, '2026-01-01'),
    (5, 'null', 'no deadline', NULL, 'edge', 1, NULL, NULL, '2026-01-01')
  ) AS v (n, platform, title, brand, category, reward, deadline, url,
          scraped);
INSERT INTO review_bookmarks (user_id, listing_id, created_at)
SELECT 1, id, CASE WHEN external_id > 'edge_3' THEN '2026-01-01'::timestamp
              END
  FROM review_listings WHERE external_id LIKE 'edge_%';
INSERT INTO review_bookmarks (user_id, listing_id, created_at)
SELECT 1, min(id), now() AT TIME ZONE 'UTC' FROM review_listings
 WHERE status = 'expired';
INSERT INTO sns_posts (user_id, account_id, content, platform, status,
    template_type, scheduled_at, created_at)
SELECT 1, 1, content, 'other', status, NULL, at::timestamp, created::timestamp
  FROM (VALUES
    (repeat('😀', 100), NULL, NULL, NULL),
    (repeat('😀', 101), '', 'tomorrow', NULL),
    (repeat('é', 99) || '👍🏽!', 'draft', '2026-01-01 00:00:00.000010',
     '2026-01-01'),
    (repeat('x', 98) || '👍🏽', 'draft', NULL, '2026-01-01'),
    (repeat(E'\x01', 101), 'draft', NULL, '2026-01-01'),
    (E'\\"\b\f\n\r\t\x7f/<>&''\u2028', 'draft', NULL, '2026-01-01 00:00:01')
  ) AS v (content, status, at, created);
INSERT INTO sns_accounts (user_id, platform, account_name, is_active,
    created_at)
VALUES (1, 'none', '', NULL, NULL);
INSERT INTO payments (user_id, product_id, amount, status, created_at)
VALUES (1, 1, 0.01, 'completed', now() AT TIME ZONE 'UTC' + '5 days'),
       (1, 1, 1e6, 'completed', NULL);
INSERT INTO users (email, password_hash, name, is_active, created_at)
VALUES ('nobody@example.com', '!', 'No time', true, NULL)
SQL


# one page of a list: columns of the rows in order, and the figures around

sub page_of {
    my ($key, $columns, $from, $order, $page, $size) = @_;

    my ($first, $last) = (($page - 1) * $size + 1, $page * $size);

    my $doc = truth(<<"SQL", dbname => $DB);
WITH q AS (SELECT row_number() OVER (ORDER BY $order) AS n,
                  (SELECT to_json(r) FROM (SELECT $columns) r) AS row
             FROM $from)
SELECT json_build_object('total', count(*), 'current_page', $page,
           'pages', ceil(count(*)::numeric / $size),
           '$key', coalesce(json_agg(row ORDER BY n)
                   FILTER (WHERE n BETWEEN $first AND $last), '[]'::json))
  FROM q
SQL

    return $doc;
}


# pages_match($path, $size, $expect): every page there is, and no more

sub pages_match {
    my ($path, $size, $expect, %o) = @_;

    my $url = $path . ($path =~ /\?/ ? '&' : '?') . "per_page=$size&page";
    my $doc = $expect->(1, $size);

    answers("$url=1", 200, $doc, %o);
    answers("$url=$_", 200, $expect->($_, $size), %o) for 2 .. $doc->{pages};
    fails("$url=" . ($doc->{pages} + 1), 404, 'Not found', %o)
        if $doc->{pages};

    return $doc;
}


sub campaigns {
    my ($where, $page, $size) = @_;

    return page_of('campaigns', <<'SQL', <<"FROM",
c.id, c.title, c.product_name, c.category, c.reward_type, c.reward_value,
c.max_reviewers, c.deadline, c.status, c.created_at,
coalesce(a.n, 0) AS applications_count
SQL
campaigns c LEFT JOIN (SELECT campaign_id, count(*) AS n
                         FROM campaign_applications GROUP BY 1) a
                   ON a.campaign_id = c.id
 WHERE $ACTIVE AND ($where)
FROM
        'created_at DESC NULLS FIRST, id DESC', $page, $size);
}


our %SORTS = (
    '' => 'deadline, id',
    'sort_by=deadline' => 'deadline, id',
    'sort_by=nonsense' => 'deadline, id',
    'sort_by=Created' => 'deadline, id',
    'sort_by=reward_value' => 'reward_value DESC NULLS FIRST, id',
    'sort_by=created' => 'scraped_at DESC NULLS FIRST, id',
);

sub listings {
    my ($where, $sort, $page, $size, $user) = @_;

    $user //= 1;

    return page_of('listings', <<"SQL", <<"FROM", $sort, $page, $size);
$LISTING, l.scraped_at AS created_at,
l.id IN (SELECT listing_id FROM review_bookmarks WHERE user_id = $user)
    AS is_bookmarked
SQL
review_listings l WHERE $ACTIVE AND ($where)
FROM
}


sub bookmarks {
    my ($user, $page, $size) = @_;

    return page_of('bookmarks', <<"SQL", <<"FROM",
$LISTING, l.scraped_at AS created_at, true AS is_bookmarked,
b.created_at AS bookmarked_at
SQL
review_bookmarks b, review_listings l
 WHERE l.id = b.listing_id AND b.user_id = $user
FROM
        'b.created_at DESC NULLS FIRST, b.id DESC', $page, $size);
}


sub posts {
    my ($user, $where, $page, $size) = @_;

    return page_of('posts', <<'SQL', <<"FROM",
p.id, p.platform, p.status, p.template_type, p.scheduled_at, p.created_at,
a.account_name,
CASE WHEN char_length(p.content) > 100
     THEN substring(p.content FROM 1 FOR 100) || '...'
     ELSE p.content END AS content
SQL
sns_posts p, sns_accounts a
 WHERE a.id = p.account_id AND p.user_id = $user AND ($where)
FROM
        'p.created_at DESC NULLS FIRST, p.id DESC', $page, $size);
}


# users with an active subscription to a product, without user 1

sub subscribers {
    my ($slug) = @_;

    return split /\n/, psql(<<"SQL", dbname => $DB);
SELECT DISTINCT u.id FROM users u, subscriptions s, products p
 WHERE s.user_id = u.id AND p.id = s.product_id AND s.status = 'active'
   AND p.slug = '$slug' AND u.is_active AND u.id > 1 ORDER BY 1 LIMIT 5
SQL
}


sub one {
    my ($sql, $db) = @_;

    return ask($sql, dbname => $db // $DB);
}


# floats as the contract rounds and writes them

sub money {
    return float_text(sprintf '%.2f', $_[0]);
}


sub value_of {
    my ($unit, $value) = @_;

    return { unit => token_of($unit), value => $value };
}


sub roi {
    my ($users, $revenue, $subscriptions) = @_;

    my $cost = $users * 50;

    return {
        breakeven_subscriptions => { current => $subscriptions,
                                     value => '10' },
        clv_cac_ratio => value_of('x', '10.0'),
        customer_acquisition_cost => value_of('$', '50'),
        customer_lifetime_value => value_of('$', '500.0'),
        overall_roi => value_of('%', $users == 0 ? '0'
                           : money(($revenue - $cost) / $cost * 100)),
        profit_margin => value_of('%', $revenue == 0 ? '0'
                             : money(($revenue - $cost) / $revenue * 100)),
    };
}


sub funnel {
    my ($users, $subscribed, $paid) = @_;

    my $n = 0;
    my @rates = ('100.0',
                 $users ? float_text($subscribed / $users * 100) : '0',
                 $subscribed ? float_text($paid / $subscribed * 100) : '0');

    return [map { { stage => token_of($_), conversion_rate => $rates[$n],
                    users => [$users, $subscribed, $paid]->[$n++] } }
            qw(Signups Subscribed Paid)];
}


# sns/analytics, counted another way

sub analytics {
    my ($user, $start, $end, $where) = @_;

    my $doc = truth(<<"SQL", dbname => $DB);
WITH d AS (
    SELECT s.platform, a.* FROM sns_analytics a, sns_accounts s
     WHERE s.id = a.account_id AND a.user_id = $user
       AND a.date >= '$start' AND a.date <= '$end' AND s.$where),
newest AS (SELECT DISTINCT ON (account_id) platform, followers FROM d
            ORDER BY account_id, date DESC),
posts AS (SELECT platform FROM sns_posts
           WHERE user_id = $user AND created_at::date >= '$start'
             AND created_at::date <= '$end' AND $where),
names AS (SELECT platform FROM d UNION SELECT platform FROM posts)
SELECT coalesce(json_object_agg(platform, json_build_object(
    'engagement', (SELECT coalesce(sum(total_engagement), 0) FROM d
                    WHERE d.platform = n.platform),
    'followers', (SELECT coalesce(sum(followers), 0) FROM newest
                   WHERE newest.platform = n.platform),
    'impressions', (SELECT coalesce(sum(total_impressions), 0) FROM d
                     WHERE d.platform = n.platform),
    'posts', (SELECT count(*) FROM posts
               WHERE posts.platform = n.platform),
    'reach', (SELECT coalesce(sum(total_reach), 0) FROM d
               WHERE d.platform = n.platform))), '{}') FROM names n
SQL

    my %totals = map { $_ => 0 }
                 qw(engagement followers impressions posts reach);

    for my $sums (values %$doc) {
        $totals{$_} += $sums->{$_} for keys %totals;
    }

    my $rate = $totals{engagement} / ($totals{reach} || 1) * 100;

    return {
        data => {
            average_engagement_rate => money($rate),
            by_platform => $doc,
            period => { start => token_of($start), end => token_of($end) },
            totals => \%totals,
        },
        platform_breakdown => $doc,
        success => 'true',
        total_posts => $totals{posts},
    };
}


defaults(http_config => conf(dbname => $DB));

plan('no_plan');
run_tests();

__DATA__

=== TEST 1: the campaigns are the active ones, newest first, in pages
--- check
my $all = sub { campaigns('true', @_) };

answers('/api/review/campaigns', 200, $all->(1, 12));
answers('/api/review/campaigns?page=2', 200, $all->(2, 12), token => undef);
answers('/api/review/campaigns', 200, $all->(1, 12), token => 'nonsense');
answers('/api/review/campaigns?status=closed&search=x&limit=3&q=1', 200,
        $all->(1, 12));

my $doc = pages_match('/api/review/campaigns', 7, $all);

cmp_ok($doc->{total}, '>', 60, 'there are campaigns to see');
is($doc->{campaigns}[1]{created_at}, undef, 'a time that is NULL is null');
is($doc->{campaigns}[1]{reward_value}, '"12.50"', 'a reward is a string');

pages_match('/api/review/campaigns', $doc->{total}, $all);
pages_match('/api/review/campaigns', $doc->{total} - 1, $all);
pages_match('/api/review/campaigns', 40, $all);
pages_match('/api/review/campaigns', 500, $all);



=== TEST 2: a category of campaigns is compared exactly
--- check
for my $case (['beauty' => 'beauty'], ['Beauty' => 'Beauty'], ['x' => 'x'],
              ['full' => 'full'], ['none' => 'none'], ['+beauty' => ' beauty'],
              ['a%25b_c\'%22%5C' => 'a%b_c\'\'"\\'])
{
    my ($text, $category) = @$case;
    my $where = "category = '$category'";

    pages_match("/api/review/campaigns?category=$text", 3,
                sub { campaigns($where, @_) });
}

answers('/api/review/campaigns?category=', 200, campaigns('true', 1, 12));
answers('/api/review/campaigns?category=none', 200,
        { campaigns => [], current_page => 1, pages => 0, total => 0 });
fails('/api/review/campaigns?category=none&page=2', 404, 'Not found');



=== TEST 3: a campaign has its places left, whatever its state
--- check
my $rows = rows(<<'SQL', dbname => $main::DB);
SELECT c.id, c.title, c.product_name, c.description, c.category,
       c.reward_type, c.reward_value, c.max_reviewers, c.deadline, c.status,
       c.created_at, count(a.id) AS applications_count,
       CASE WHEN c.max_reviewers > count(a.id)
            THEN c.max_reviewers - count(a.id) ELSE 0 END AS spots_available
  FROM campaigns c LEFT JOIN campaign_applications a ON a.campaign_id = c.id
 GROUP BY c.id ORDER BY c.id
SQL

cmp_ok(scalar(@$rows), '>', 150, 'there are campaigns to see');
answers("/api/review/campaigns/$_->{id}", 200, $_, token => undef)
    for @$rows;

answers('/api/review/campaigns/0001', 200, $rows->[0]);
fails("/api/review/campaigns/$_", 404, 'Campaign not found')
    for 0, 999999, 2147483647;



=== TEST 4: the creator of a campaign sees its applications, nobody else
--- check
my $rows = rows(<<'SQL', dbname => $main::DB);
SELECT c.id, c.creator_id = 1 AS mine, coalesce((
    SELECT json_agg(q) FROM (
        SELECT a.id, a.message, a.sns_link, a.follower_count, a.status,
               u.name AS user_name, u.email AS user_email
          FROM campaign_applications a JOIN users u ON u.id = a.user_id
         WHERE a.campaign_id = c.id ORDER BY a.id) q), '[]') AS all
  FROM campaigns c ORDER BY c.id
SQL

my $empty = 0;

for my $row (@$rows) {
    my $path = "/api/review/campaigns/$row->{id}/applications";

    if ($row->{mine} eq 'true') {
        answers($path, 200, $row->{all});
        $empty += !@{$row->{all}};
    } else {
        fails($path, 403, 'Not authorized');
    }
}

ok($empty, 'one of them has none');
fails('/api/review/campaigns/999999/applications', 404,
      'Campaign not found');



=== TEST 5: campaigns and applications of a user, in the order of their ids
--- check
my %mine = map { $_->{creator_id} => $_->{all} } @{rows(<<'SQL',
SELECT creator_id, json_agg(q.row ORDER BY id) AS all FROM (
    SELECT c.creator_id, c.id, (SELECT to_json(r) FROM (
        SELECT c.id, c.title, c.product_name, c.category, c.status,
               c.max_reviewers, c.deadline,
               count(a.id) AS applications_count) r) AS row
      FROM campaigns c LEFT JOIN campaign_applications a
        ON a.campaign_id = c.id GROUP BY c.id) q
 GROUP BY creator_id
SQL
    dbname => $main::DB)};

answers('/api/review/my-campaigns', 200, $mine{1});
answers('/api/review/my-campaigns', 200, $mine{$_} // [],
        token => jwt(user_id => $_), title => "user $_")
    for subscribers('review');

my %sent = map { $_->{user_id} => $_->{all} } @{rows(<<'SQL',
SELECT q.user_id, json_agg(q.row ORDER BY id) AS all FROM (
    SELECT a.user_id, a.id, (SELECT to_json(r) FROM (
        SELECT a.id, a.status, a.created_at AS applied_at,
               c.title AS campaign_title, c.product_name,
               c.reward_value) r) AS row
      FROM campaign_applications a, campaigns c
     WHERE c.id = a.campaign_id) q
 GROUP BY q.user_id
SQL
    dbname => $main::DB)};

answers('/api/review/my-applications?status=approved', 200, $sent{1});
answers('/api/review/my-applications', 200, $sent{$_} // [],
        token => jwt(user_id => $_), title => "user $_")
    for split /\n/, one("SELECT id FROM users WHERE is_active AND id > 1");



=== TEST 6: listings in every order, page by page
--- check
for my $sort (sort keys %main::SORTS) {
    pages_match("/api/review/listings?$sort", 23, sub {
        listings('true', $main::SORTS{$sort}, @_) });
}

answers('/api/review/listings', 200, listings('true', 'deadline, id', 1, 20));
answers('/api/review/listings?limit=5', 200,
        listings('true', 'deadline, id', 1, 5));
answers('/api/review/listings?per_page=500', 200,
        my $doc = listings('true', 'deadline, id', 1, 500));

my %seen = map { $_->{is_bookmarked} => 1 } @{$doc->{listings}};
is_deeply(\%seen, { true => 1, false => 1 }, 'some are bookmarked');

answers('/api/review/listings?per_page=100', 200,
        listings('true', 'deadline, id', 1, 100, $_),
        token => jwt(user_id => $_), title => "user $_")
    for 2, 5, 6;



=== TEST 7: listings by every combination of filters
--- check
my @filters = (
    ['category=food', "category = 'food'"],
    ['platform=revu,naver', "source_platform IN ('revu', 'naver')"],
    ['reward_type=%EC%83%81%ED%92%88', "reward_type = '상품'"],
    ['min_reward=50000', 'reward_value >= 50000'],
    ['max_reward=250000', 'reward_value <= 250000'],
);

my @sorts = grep { /^(?:|.*value|.*created)$/ } sort keys %main::SORTS;
my $found = 0;

for my $set (0 .. 31) {
    my @on = map { $filters[$_] } grep { $set & 1 << $_ } 0 .. 4;
    my $where = join ' AND ', 'true', map { $_->[1] } @on;

    for my $sort (@sorts) {
        my $query = join '&', (map { $_->[0] } @on), $sort;
        my $doc = listings($where, $main::SORTS{$sort}, 1, 9);

        answers("/api/review/listings?per_page=9&$query", 200, $doc);
        $found += $doc->{total} > 0;
    }
}

cmp_ok($found, '>', 70, 'most combinations have rows');



=== TEST 8: listings by each filter's own rules
--- check
for my $case (
    ['category=' => 'true'],
    ['category=edge' => "category = 'edge'"],
    ['category=Edge' => "category = 'Edge'"],
    ['category=%EB%B7%B0%ED%8B%B0' => "category = '뷰티'"],
    ['platform=' => 'true'],
    ['platform=revu' => "source_platform = 'revu'"],
    ['platform=+revu+,,naver,' => "source_platform IN ('revu', 'naver')"],
    ['platform=a,b' => "source_platform IN ('a', 'b')"],
    ['platform=,' => 'false'],
    ['platform=+' => 'false'],
    ['platform=null' => "source_platform = 'null'"],
    ['platform=we%22ird%5C%7B%7D' => "source_platform = 'we\"ird\\{}'"],
    ['platform=none' => 'false'],
    ['source_platform=naver' => "source_platform = 'naver'"],
    ['source_platform=naver&platform=revu' => "source_platform = 'revu'"],
    ['source_platform=naver&platform=' => 'true'],
    ['min_reward=0&max_reward=0' => 'true'],
    ['min_reward=-4' => 'reward_value >= -4'],
    ['min_reward=2147483647' => 'reward_value >= 2147483647'],
    ['min_reward=2147483648' => 'false'],
    ['max_reward=-1' => 'reward_value <= -1'],
    ['max_reward=99999999999999999999' => 'reward_value IS NOT NULL'],
    ['min_reward=-99999999999999999999' => 'reward_value IS NOT NULL'],
    ['min_reward=1.5' => 'true'],
    ['min_reward=5&max_reward=4' => 'false'],
    ['status=closed&q=x&search=x' => 'true'])
{
    my ($query, $where) = @$case;

    answers("/api/review/listings?$query&per_page=150", 200,
            listings($where, 'deadline, id', 1, 150));
}

fails('/api/review/listings?category=none&page=2', 404, 'Not found');



=== TEST 9: a search looks into title, brand and category
--- check
sub matches {
    my ($pattern) = @_;

    return join ' OR ', map { "$_ ILIKE '$pattern'" }
                        qw(title brand category);
}

for my $case (['granola' => '%granola%'], ['GRANOLA' => '%granola%'],
              ['%ED%95%9C%EC%9A%B0' => '%한우%'], ['food' => '%food%'],
              ['acme' => '%acme%'], ['++edge%09' => '%edge%'],
              ['%C3%A9dge' => '%édge%'], ['50%25' => '%50\%%'],
              ['r_s' => '%r\_s%'], ['l%27eau' => '%l&#x27;eau%'],
              ['%3Cb%3E' => '%&lt;b&gt;%'], ['amp' => '%amp%'],
              ['%26+co' => '%&amp; co%'], ['back%5Cslash' => '%backslash%'],
              ['back%5C%5Cslash' => '%back\\\\slash%'],
              ['%ED%95%A0%EC%9D%B8+%F0%9F%98%80' => '%할인 😀%'],
              ['nothing+here' => '%nothing here%'])
{
    my ($q, $pattern) = @$case;
    my $where = matches($pattern);

    pages_match("/api/review/listings/search?q=$q", 20,
                sub { listings($where, 'deadline, id', @_) });
}

answers('/api/review/listings/search?q=ra&per_page=500', 200,
        listings(matches('%ra%'), 'deadline, id', 1, 100));
answers('/api/review/listings/search?q=ra&limit=5', 200,
        listings(matches('%ra%'), 'deadline, id', 1, 20));
answers('/api/review/listings/search?q=none+at+all', 200,
        { listings => [], current_page => 1, pages => 0, total => 0 });



=== TEST 10: a listing tells which of my accounts have applied
--- check
my $rows = rows(<<"SQL", dbname => $main::DB);
SELECT $main::LISTING, l.scraped_at AS created_at,
       (SELECT count(*) FROM review_applications a
         WHERE a.listing_id = l.id) AS application_count,
       (SELECT count(*) > 0 FROM review_bookmarks b
         WHERE b.listing_id = l.id AND b.user_id = 1) AS is_bookmarked,
       coalesce((SELECT json_agg(q) FROM (
           SELECT a.id, a.account_id, a.applied_at, a.status
             FROM review_applications a
            WHERE a.listing_id = l.id AND a.account_id IN
                  (SELECT id FROM review_accounts WHERE user_id = 1)
            ORDER BY a.id) q), '[]') AS user_applications
  FROM review_listings l ORDER BY l.id
SQL

answers("/api/review/listings/$_->{id}", 200, $_) for @$rows;

my %counts;
$counts{@{$_->{user_applications}}}++ for @$rows;
cmp_ok(scalar(keys %counts), '>', 1, 'with and without applications');

fails("/api/review/listings/$_", 404, 'Listing not found')
    for 0, 999999, 2147483647;



=== TEST 11: bookmarks of a user, the latest first, in any state
--- check
my $doc = pages_match('/api/review/bookmarks', 5, sub { bookmarks(1, @_) });

my %states = map { $_->{status} // 'null' => 1 }
             @{bookmarks(1, 1, 100)->{bookmarks}};
ok($states{'"expired"'}, 'one is over');
is($doc->{bookmarks}[0]{bookmarked_at}, undef, 'one has no time');

answers('/api/review/bookmarks', 200, bookmarks(1, 1, 20));
answers('/api/review/bookmarks?limit=3', 200, bookmarks(1, 1, 20));

for my $user (2 .. 16) {
    next if one("SELECT is_active FROM users WHERE id = $user") ne 't';
    answers('/api/review/bookmarks', 200, bookmarks($user, 1, 20),
            token => jwt(user_id => $user), title => "user $user");
}



=== TEST 12: accounts of a user with their own posts counted, no secrets
--- check
for my $user (1, subscribers('sns-auto')) {
    my $res = get('/api/sns/accounts', token => $user == 1
                  ? 'demo_token' : jwt(user_id => $user));

    SoftFactory::judge($res, 200, rows(<<"SQL", dbname => $main::DB),
SELECT a.id, a.platform, a.account_name, a.is_active, a.created_at,
       coalesce(p.n, 0) AS post_count
  FROM sns_accounts a LEFT JOIN (
       SELECT account_id, count(*) AS n FROM sns_posts
        WHERE user_id = $user GROUP BY 1) p ON p.account_id = a.id
 WHERE a.user_id = $user ORDER BY a.id
SQL
        "accounts of user $user");

    unlike($res->{body}, qr/secret|token/, 'without tokens');
}



=== TEST 13: posts of a user, cut after a hundred characters
--- check
my $all = sub { posts(1, 'true', @_) };

answers('/api/sns/posts', 200, $all->(1, 20));
answers('/api/sns/posts?platform=none&q=x', 200, $all->(1, 20));
answers('/api/sns/posts?limit=500', 200, my $doc = $all->(1, 500));
answers('/api/sns/posts?per_page=3&limit=500', 200, $all->(1, 3));
pages_match('/api/sns/posts', 17, $all);

my %found = map { $_->{content} => 1 } @{$doc->{posts}};
my $face = "\xf0\x9f\x98\x80";
ok($found{'"' . $face x 100 . '"'}, 'a hundred faces are whole');
ok($found{'"' . $face x 100 . '..."'}, 'of more there are a hundred');
ok($found{'"' . "\x01" x 100 . '..."'}, 'control characters count too');

for my $user (subscribers('sns-auto')) {
    answers('/api/sns/posts?per_page=50', 200, posts($user, 'true', 1, 50),
            token => jwt(user_id => $user), title => "user $user");
}



=== TEST 14: posts by account and status
--- check
for my $case (
    ['status=draft' => "p.status = 'draft'"],
    ['status=Draft' => "p.status = 'Draft'"],
    ['status=published' => "p.status = 'published'"],
    ['status=' => 'true'],
    ['status=none' => 'false'],
    ['account_id=1' => 'account_id = 1'],
    ['account_id=0' => 'true'],
    ['account_id=x' => 'true'],
    ['account_id=7' => 'account_id = 7'],
    ['account_id=-1' => 'false'],
    ['account_id=99999999999999999999999' => 'false'],
    ['account_id=2&status=failed' => "account_id = 2 AND p.status = 'failed'"
    ])
{
    my ($query, $where) = @$case;

    pages_match("/api/sns/posts?$query", 11, sub { posts(1, $where, @_) });
}



=== TEST 15: the figures of a user's accounts between two days
--- check
my $day = sub { one("SELECT (now() AT TIME ZONE 'UTC')::date - $_[0]") };
my $any = 'platform = platform';
my ($today, $month) = ($day->(0), $day->(30));

answers('/api/sns/analytics', 200, analytics(1, $month, $today, $any));

for my $case ([0, 0], [59, 0], [10, 3], [400, 0], [59, 59], [200, 100]) {
    my ($start, $end) = map { $day->($_) } @$case;

    answers("/api/sns/analytics?start_date=$start&end_date=$end", 200,
            analytics(1, $start, $end, $any));
    answers("/api/sns/analytics?date_from=$start&date_to=$end"
            . '&platform=instagram', 200,
            analytics(1, $start, $end, "platform = 'instagram'"));
}

my $later = $day->(-1);

for my $period ([$today, $month], ['1001-01-01', '1001-01-02'],
                ['9999-12-30', '9999-12-31'], [$later, $later])
{
    my ($start, $end) = @$period;

    answers("/api/sns/analytics?start_date=$start&end_date=$end", 200,
            analytics(1, $start, $end, $any));
}

answers('/api/sns/analytics?platform=none', 200,
        analytics(1, $month, $today, "platform = 'none'"));
answers('/api/sns/analytics?platform=other&start_date=2026-01-01&'
        . 'end_date=2026-01-01', 200,
        analytics(1, '2026-01-01', '2026-01-01', "platform = 'other'"));

answers('/api/sns/analytics', 200, analytics($_, $month, $today, $any),
        token => jwt(user_id => $_), title => "user $_")
    for subscribers('sns-auto');



=== TEST 16: the figures of the platform are those of the tables
--- check
my $users = one('SELECT count(*) FROM users');
my $subscriptions
    = one("SELECT count(*) FROM subscriptions WHERE status = 'active'");
my $paid = "FROM payments WHERE status = 'completed'";
my $recent = "$paid AND created_at >= now() AT TIME ZONE 'UTC' - "
             . "interval '30 days'";
my $sum30 = one("SELECT sum(amount) $recent");
my $sum60 = one("SELECT sum(amount) $paid AND created_at >= "
                . "now() AT TIME ZONE 'UTC' - interval '60 days'");
my $sum = one("SELECT sum(amount) $paid");
my $before = $sum60 - $sum30;

cmp_ok($before, '>', 100, 'there is revenue to compare with');

answers('/api/dashboard/kpis?any=thing', 200, {
    revenue => value_of('$', money($sum30)),
    total_users => value_of('users', $users),
    active_subscriptions => value_of('subscriptions', $subscriptions),
    growth => value_of('%', money(($sum30 - $before) / $before * 100)),
});

answers('/api/dashboard/summary', 200,
        { active_subscriptions => $subscriptions, total_users => $users });

answers('/api/analytics/overview', 200, {
    active_campaigns =>
        one("SELECT count(*) FROM campaigns WHERE $main::ACTIVE"),
    active_listings =>
        one("SELECT count(*) FROM review_listings WHERE $main::ACTIVE"),
    active_subscriptions => $subscriptions,
    revenue_30d => money($sum30),
    sns_accounts => one('SELECT count(*) FROM sns_accounts'),
    sns_posts => one('SELECT count(*) FROM sns_posts'),
    total_revenue => money($sum),
    total_users => $users,
});

answers('/api/performance/roi', 200, roi($users, $sum, $subscriptions));
answers('/api/analytics/funnel', 200,
        funnel($users, $subscriptions, one("SELECT count(*) $paid")));

answers('/api/analytics/cohort', 200, rows(<<'SQL', dbname => $main::DB));
SELECT left(created_at::text, 7) AS signup_date, count(*) AS total_users
  FROM users WHERE created_at >= now() AT TIME ZONE 'UTC' - interval '180 d'
 GROUP BY 1 ORDER BY 1
SQL



=== TEST 17: revenue at each point is that from then to now
--- check
for my $case (['', 30], ['period=30', 30], ['period=0', 0], ['period=89', 89],
              ['period=1&metric=revenue', 1], ['metric=', 30, 0],
              ['metric=users&period=3', 3, 0], ['metric=Revenue', 30, 0])
{
    my ($query, $period, $none) = @$case;

    my $doc = answers("/api/analytics/advanced?$query", 200);
    my @points = @{$doc->{data}};
    my ($metric) = $query =~ /metric=(\w*)/;

    is(scalar(@points), $period + 1, "$query has a point a day");
    is($doc->{period}, "\"$period\"", 'the period as text');
    is($doc->{metric}, token_of($metric // 'revenue'), 'and the metric');

    my $times = join ', ', map { "($_, '" . $points[$_]{timestamp} . "')" }
                           0 .. $#points;
    $times =~ tr/"//d;

    my $text = one(<<"SQL");
SELECT string_agg(coalesce(p.sum, 0)::text, ' ' ORDER BY n),
       max(t) - min(t) = $period * interval '1 day'
       AND count(DISTINCT t::time) = 1 AND count(DISTINCT t) = count(*),
       now() AT TIME ZONE 'UTC' - max(t) < '1 minute'
  FROM (VALUES $times) AS v (n, time), LATERAL (SELECT time::timestamp) w (t),
       LATERAL (SELECT sum(amount) FROM payments
                 WHERE status = 'completed' AND created_at >= t) p (sum)
SQL
    my ($sums, @good) = split /\|/, $text;

    is("@good", 't t', 'a day apart, up to now');
    is(join(' ', map { sprintf '%.6f', $_->{value} } @points),
       join(' ', map { sprintf '%.6f', $none // $_ } split ' ', $sums),
       'with these sums');
    like(join(' ', map { $_->{value} } @points), qr/^[\d.]+\d(?: \d+\.\d+)*$/,
         'which are floats');
}

is_deeply(answers('/api/analytics/advanced?period=-1', 200)->{data}, [],
          'none before now');



=== TEST 18: documents that never change, byte for byte
--- check
my %bodies = (
'/api/sns/templates' => '{"blog_post":{"name":"Blog Post","platforms":["blog"]
},"card_news":{"name":"Card News","platforms":["instagram","tiktok"]},"carouse
l":{"name":"Carousel","platforms":["instagram"]},"reel":{"name":"Reel","platfo
rms":["instagram"]},"shorts":{"name":"YouTube Shorts","platforms":["youtube"]}
}',
'/api/dashboard/charts' =>
'{"revenue_trend":{"datasets":[],"labels":["Jan","Feb"]}}',
'/api/analytics/service-metrics' => '{"coocook":{"bookings":0,"name":"CooCook"
,"revenue":0},"sns_auto":{"name":"SNS Auto","posts":0,"reach":0}}',
'/api/performance/product-roi' => '[{"product":"CooCook","roi":85.5,"roi_rank"
:"A","subscriptions":10},{"product":"SNS Auto","roi":120.0,"roi_rank":"A","sub
scriptions":25}]',
'/api/performance/efficiency' => '{"active_subscription_rate":{"unit":"%","val
ue":75.0},"customer_satisfaction":{"unit":"%","value":92.0},"revenue_per_emplo
yee":{"unit":"$/month","value":50000.0},"revenue_per_user":{"unit":"$/month","
value":50.0}}',
'/api/performance/forecast' => '{"forecasted_revenue":15000.0,"growth_rate":"1
5%","quarter":"Q2 2026","roi_outlook":"Positive"}',
'/api/performance/benchmarks' => '{"metrics":{"customer_churn_rate":{"industry
_median":7,"your_value":5},"monthly_revenue":{"industry_median":10000,"your_va
lue":5000}}}',
'/api/analytics/trends' => '{"average_daily_revenue":100.0,"forecast_next_7_da
ys":700.0,"period":30,"trend":"up"}',
);

for my $path (sort keys %bodies) {
    my $body = $bodies{$path};

    $body =~ tr/\n//d;
    my $res = get("$path?a=b");

    is($res->{body}, "$body\n", $path);
    is($res->{headers}{'content-type'}, 'application/json', 'its type');
    answers($path, 200, undef, token => jwt(user_id => 1));
}

my %constant = map { $_->{path} => 1 }
               grep { $_->{json} && !$_->{sql} } endpoints();
is_deeply([sort keys %constant], [sort keys %bodies],
          'no other is without a statement');



=== TEST 19: probes see a server and its database
--- check
for my $path ('/health', '/api/health') {
    my $doc = answers($path, 200, undef, token => undef);

    is(join(' ', sort keys %$doc), 'ai_service cpu_percent database '
       . 'database_backend memory_mb scheduler services status timestamp '
       . 'uptime uptime_seconds version', 'the keys of the application');
    is("@$doc{qw(database status database_backend version scheduler)}",
       '"connected" "ok" "postgresql" "1.0.0" "unavailable"',
       'what is known');
    like($doc->{cpu_percent}, qr/^\d+\.\d+$/, 'a float');
    like($doc->{memory_mb}, qr/^\d+\.\d$/, 'with one decimal');
    like($doc->{uptime}, qr/^"\d+h \d+m \d+s"$/, 'in words');
    like($doc->{uptime_seconds}, qr/^\d+$/, 'and as a number');
    like($doc->{timestamp},
         qr/^"\d{4}(?:-\d\d){2}T(?:\d\d:){2}\d\d(?:\.\d{6})?\+00:00"$/,
         'the time');
    is_deeply($doc->{services}, { map { $_ => '"ok"' } qw(ai_automation
        claude_ai coocook review sns_auto webapp_builder) }, 'the services');
}

my $doc = answers('/ready', 200, undef, token => undef);
is(join(' ', sort keys %$doc), 'ready timestamp version', 'ready');
is($doc->{ready}, 'true', 'it is');



=== TEST 20: a database without rows has lists without rows and zeros
--- http_config eval: SoftFactory::conf(dbname => $::EMPTY)
--- check
my %lists = (campaigns => '/api/review/campaigns',
             listings => '/api/review/listings',
             bookmarks => '/api/review/bookmarks', posts => '/api/sns/posts');

for my $key (sort keys %lists) {
    my $none = { $key => [], current_page => 1, pages => 0, total => 0 };

    answers($lists{$key}, 200, $none);
    answers("$lists{$key}?per_page=3&page=1", 200, $none);
    fails("$lists{$key}?page=2", 404, 'Not found');
}

answers("/api/$_", 200, []) for qw(review/my-campaigns
    review/my-applications sns/accounts analytics/cohort);

my $kpis = sub {
    my ($users, $subscriptions, $revenue, $growth) = @_;

    answers('/api/dashboard/kpis', 200, {
        revenue => value_of('$', $revenue),
        growth => value_of('%', $growth),
        total_users => value_of('users', $users),
        active_subscriptions => value_of('subscriptions', $subscriptions),
    }, title => "$users users, $subscriptions, revenue $revenue");
};

my $sql = sub { one($_, $main::EMPTY) for @_ };
my $pay = sub {
    my ($days, $amount) = @_;

    $sql->("INSERT INTO payments (user_id, product_id, amount, status,
                created_at)
            VALUES (1, 1, $amount, 'completed',
                    now() AT TIME ZONE 'UTC' - interval '$days days')");
};

# nobody, nothing

$kpis->(0, 0, '0', '0.0');
answers('/api/performance/roi', 200, roi(0, 0, 0));
answers('/api/analytics/funnel', 200, funnel(0, 0, 0));
answers('/api/dashboard/summary', 200,
        { active_subscriptions => 0, total_users => 0 });
answers('/api/analytics/overview', 200, {
    (map { $_ => '0' } qw(active_campaigns active_listings
         active_subscriptions sns_accounts sns_posts total_users)),
    revenue_30d => '0.0', total_revenue => '0.0' });
answers('/api/sns/analytics?start_date=2026-01-02&end_date=2026-01-03', 200,
        { data => { average_engagement_rate => '0.0', by_platform => {},
                    period => { start => '"2026-01-02"',
                                end => '"2026-01-03"' },
                    totals => { map { $_ => '0' } qw(engagement followers
                                impressions posts reach) } },
          platform_breakdown => {}, success => 'true', total_posts => '0' });

my $doc = answers('/api/analytics/advanced?period=2', 200);
is(join(' ', map { $_->{value} } @{$doc->{data}}), '0.0 0.0 0.0',
   'floats even so');

# users who do not pay

$sql->(map { "INSERT INTO users (email, password_hash, name, is_active)
              VALUES ('u$_', '!', 'u', true)" } 1 .. 3);
$kpis->(3, 0, '0', '0.0');
answers('/api/performance/roi', 200, my $roi = roi(3, 0, 0));
is($roi->{overall_roi}{value}, '-100.0', 'all is lost');
answers('/api/analytics/funnel', 200, funnel(3, 0, 0));

# a third of them subscribes

$sql->("INSERT INTO subscriptions (user_id, product_id, status)
        VALUES (1, 1, 'active'), (2, 1, 'canceled'), (2, 1, NULL)");
$doc = answers('/api/analytics/funnel', 200, funnel(3, 1, 0));
is($doc->[1]{conversion_rate}, '33.33333333333333', 'not rounded');

# payments of nothing are none; those of before cannot be compared with

$pay->(1, 0);
$kpis->(3, 1, '0', '0.0');
answers('/api/performance/roi', 200, roi(3, 0, 1));
answers('/api/analytics/funnel', 200, funnel(3, 1, 1));
$pay->(40, 0);
$kpis->(3, 1, '0', '0.0');
$pay->(1, 5);
$kpis->(3, 1, '5.0', '0.0');
$pay->(40, 10);
$kpis->(3, 1, '5.0', '-50.0');
$pay->(100, 285);
answers('/api/performance/roi', 200, roi(3, 300, 1));
answers('/api/analytics/funnel', 200, funnel(3, 1, 5));

# other states do not count, and halves are rounded to even

$sql->("INSERT INTO payments (user_id, product_id, amount, status,
            created_at)
        SELECT 1, 1, 7, s, now() AT TIME ZONE 'UTC'
          FROM unnest(ARRAY['pending', 'refunded', 'Completed', NULL]) s");
$kpis->(3, 1, '5.0', '-50.0');

for my $case ([0.125, '0.12'], [2.675, '2.67'], [0.005, '0.01'],
              [1e16, '1e+16'], [-3, '-3.0'], [1e15, '1000000000000000.0'])
{
    my ($amount, $text) = @$case;

    $sql->('DELETE FROM payments');
    $pay->(1, $amount);
    $kpis->(3, 1, $text, '0.0');
}


=== TEST 21: a time without end, or without a beginning, is one like others
--- http_config eval: SoftFactory::conf(dbname => $::ENDLESS)
--- check
my $last = '"9999-12-31T23:59:59.999999"';
my $first = '"0001-01-01T00:00:00"';

my %deadlines = ('all' => "('infinity'), ('infinity')",
                 'some' => "('infinity'), ('tomorrow')",
                 'none' => "('tomorrow'), ('tomorrow')");

for my $which (sort keys %deadlines) {
    my $n = { all => 2, some => 1, none => 0 }->{$which};

    psql($_, dbname => $::ENDLESS) for split /;\n/, <<"SQL";
TRUNCATE campaigns, review_listings CASCADE;
INSERT INTO campaigns (id, creator_id, title, product_name, category,
                       deadline, status, created_at)
SELECT row_number() OVER (), 1, 't', 'p', 'c', d::timestamp, 'active',
       '-infinity'
  FROM (VALUES $deadlines{$which}) v (d);
INSERT INTO review_listings (id, source_platform, external_id, title, url,
                             category, deadline, status, scraped_at)
SELECT row_number() OVER (), 'p', row_number() OVER (), 'title', 'u', 'c',
       d::timestamp, 'active', 'infinity'
  FROM (VALUES $deadlines{$which}) v (d)
SQL

    for my $path ('campaigns', 'campaigns?category=c', 'listings',
                  'listings?category=c&sort_by=created',
                  'listings/search?q=title')
    {
        my $doc = answers("/api/review/$path", 200);
        my $rows = $doc->{campaigns} // $doc->{listings};

        is($doc->{total}, 2, "$which: the total");
        is(scalar(grep { $_->{deadline} eq $last } @$rows), $n,
           "$which: their deadlines");
        is($rows->[0]{created_at}, $path =~ /^campaigns/ ? $first : $last,
           "$which: when they were made");
    }
}

psql($_, dbname => $::ENDLESS) for split /;\n/, <<'SQL';
UPDATE campaigns SET deadline = '-infinity', created_at = 'infinity';
UPDATE review_listings SET deadline = 'infinity';
INSERT INTO campaign_applications (campaign_id, user_id, message, created_at)
VALUES (1, 1, 'm', '-infinity');
INSERT INTO review_accounts (id, user_id, platform, account_name)
VALUES (1, 1, 'p', 'a');
INSERT INTO review_applications (listing_id, account_id, applied_at)
VALUES (1, 1, 'infinity');
INSERT INTO review_bookmarks (user_id, listing_id, created_at)
VALUES (1, 1, '-infinity');
INSERT INTO sns_accounts (id, user_id, platform, account_name, created_at)
VALUES (1, 1, 'p', 'a', 'infinity');
INSERT INTO sns_posts (user_id, account_id, content, platform, status,
                       scheduled_at, created_at)
VALUES (1, 1, 'c', 'p', 'draft', 'infinity', '-infinity');
INSERT INTO sns_analytics (user_id, account_id, date, followers)
VALUES (1, 1, 'infinity', 5), (1, 1, '-infinity', 6);
INSERT INTO payments (user_id, product_id, amount, status, created_at)
VALUES (1, 1, 5, 'completed', 'infinity'),
       (1, 1, 7, 'completed', '-infinity');
UPDATE users SET created_at = 'infinity'
SQL

my $doc = answers('/api/review/campaigns/1', 200);
is("$doc->{deadline} $doc->{created_at}", "$first $last", 'a campaign');
$doc = answers('/api/review/my-campaigns', 200);
is($doc->[0]{deadline}, $first, 'campaigns of his own');
$doc = answers('/api/review/my-applications', 200);
is($doc->[0]{applied_at}, $first, 'an application');
$doc = answers('/api/review/listings/1', 200);
is($doc->{deadline}, $last, 'a listing');
is($doc->{user_applications}[0]{applied_at}, $last, 'applications to it');
$doc = answers('/api/review/bookmarks', 200);
is($doc->{bookmarks}[0]{bookmarked_at}, $first, 'a bookmark');
$doc = answers('/api/sns/accounts', 200);
is($doc->[0]{created_at}, $last, 'an account');
$doc = answers('/api/sns/posts', 200);
is($doc->{posts}[0]{scheduled_at}, $last, 'a post that waits for ever');
is($doc->{posts}[0]{created_at}, $first, 'and has always been there');
$doc = answers('/api/sns/analytics', 200);
is($doc->{data}{totals}{followers}, '0', 'days of no month');

# by when a payment was made

$doc = answers('/api/dashboard/kpis', 200);
is($doc->{revenue}{value}, '5.0', 'revenue of the month');
$doc = answers('/api/analytics/overview', 200);
is("$doc->{revenue_30d} $doc->{total_revenue}", '5.0 12.0', 'and of all');
$doc = answers('/api/analytics/advanced?period=2', 200);
is(join(' ', map { $_->{value} } @{$doc->{data}}), '5.0 5.0 5.0', 'since');
answers('/api/analytics/cohort', 200,
        [{ signup_date => '"9999-12"', total_users => '1' }]);


=== TEST 22: a list without pages has an end, and the newest of its rows
--- http_config eval: SoftFactory::conf(dbname => $::MANY)
--- check
psql($_, dbname => $::MANY) for split /;\n/, <<'SQL';
INSERT INTO users (id, email, password_hash, name, is_active)
VALUES (1, 'e', '!', 'n', true);
INSERT INTO review_listings (id, source_platform, external_id, title, url,
                             deadline, status)
VALUES (1, 'p', 'x', 't', 'u', 'tomorrow', 'active');
INSERT INTO review_accounts (id, user_id, platform, account_name)
VALUES (1, 1, 'p', 'a');
INSERT INTO campaigns (id, creator_id, title, product_name, deadline, status)
SELECT n, 1, 't', 'p', 'tomorrow', 'active' FROM generate_series(1, 10003) n;
INSERT INTO campaign_applications (id, campaign_id, user_id, message)
SELECT n, 1, 1, 'm' FROM generate_series(1, 10003) n;
INSERT INTO sns_accounts (id, user_id, platform, account_name)
SELECT n, 1, 'p', 'a' FROM generate_series(1, 10003) n;
INSERT INTO review_applications (id, listing_id, account_id)
SELECT n, 1, 1 FROM generate_series(1, 10003) n
SQL

my %rows = map { $_ => answers("/api/$_", 200) }
           qw(review/my-campaigns review/my-applications sns/accounts
              review/campaigns/1/applications);

$rows{'review/listings/1'} = answers('/api/review/listings/1', 200)
                             ->{user_applications};

for my $path (sort keys %rows) {
    my @ids = map { $_->{id} } @{$rows{$path}};

    is(scalar(@ids), 10000, "$path: so many");
    is(join(',', @ids), join(',', 4 .. 10003), "$path: by id, to the newest");
}

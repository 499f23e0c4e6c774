-- The rows behind the golden answers.  Every time is a fixed one; the clock of
-- the server that holds them stands at 2026-02-20 10:00:00.  The next deadline
-- is two hours away: a list is not kept in the zone beyond one.
--
-- Rows that share a time are told apart by their ids, in the module's texts
-- too.  Amounts are multiples of 1/4, whose sums do not depend on the order.
--
-- Users: 1 has all products, 2 review, 3 sns-auto, 4 had both, 5 has another
-- one, 6 is an admin without a product, 7 and 8 are not active.

\set ON_ERROR_STOP on
\encoding UTF8

SET TimeZone = 'UTC';

BEGIN;

INSERT INTO users (id, email, password_hash, name, role, is_active, created_at)
VALUES (1, 'one@example.com',   '!', '김민준',              'user',  true,  '2025-07-01 00:00:00'),
       (2, 'two@example.com',   '!', 'O&#x27;Brien',        'user',  true,  '2025-08-24 10:00:00'),
       (3, 'three@example.com', '!', 'Ivan "Vanya" Petrov', 'user',  true,  '2025-08-24 09:59:59.999999'),
       (4, 'four@example.com',  '!', '최\유나',             'user',  true,  '2025-12-31 23:59:59.999999'),
       (5, 'five@example.com',  '!', 'Zoë 🌻',              'user',  true,  '2026-01-01 00:00:00'),
       (6, 'six@example.com',   '!', 'Admin',               'admin', true,  '2026-01-15 12:00:00'),
       (7, 'seven@example.com', '!', 'Inactive',            'user',  false, '2026-02-20 10:00:00'),
       (8, 'eight@example.com', '!', 'Unknown',             'user',  NULL,  NULL),
       (9, 'nine@example.com',  '!', 'Later',               'user',  true,  'infinity');

INSERT INTO subscriptions (id, user_id, product_id, status, current_period_end, created_at)
SELECT row_number() OVER (ORDER BY s.user_id, p.id, s.status), s.user_id, p.id, s.status,
       '2026-03-01', '2026-01-01'
  FROM (VALUES (1, 'sns-auto', 'active'), (1, 'review', 'active'), (1, 'coocook', 'active'),
               (2, 'review', 'active'), (2, 'review', 'canceled'),
               (3, 'sns-auto', 'active'), (4, 'sns-auto', 'canceled'), (4, 'review', 'expired'),
               (4, 'review', NULL), (5, 'coocook', 'active'), (7, 'review', 'active'))
       AS s (user_id, slug, status)
  JOIN products p ON p.slug = s.slug;

-- revenue: of the last 30 days, of those before, on the edges, in the future

INSERT INTO payments (id, user_id, product_id, amount, currency, status, created_at)
SELECT v.id, 1 + v.id % 5, p.id, v.amount, 'USD', v.status, v.at::timestamp
  FROM (VALUES ( 1, 100.25, 'completed', '2026-02-20 09:59:59.999999'),
               ( 2,  49.50, 'completed', '2026-02-20 00:00:00'),
               ( 3,  29.00, 'completed', '2026-02-19 10:00:00'),
               ( 4,  12.75, 'completed', '2026-02-18 23:00:00'),
               ( 5,  99.50, 'pending',   '2026-02-18 22:00:00'),
               ( 6, 290.00, 'completed', '2026-01-21 10:00:00'),
               ( 7,  19.25, 'completed', '2026-01-21 09:59:59.999999'),
               ( 8, 150.00, 'completed', '2026-01-05 12:00:00'),
               ( 9,  39.00, 'failed',    '2026-01-05 12:00:00'),
               (10,  75.50, 'completed', '2025-12-22 10:00:00'),
               (11, 490.00, 'completed', '2025-12-22 09:59:59.999999'),
               (12,  10.00, 'refunded',  '2025-06-01 00:00:00'),
               (13,   5.25, 'completed', '2026-02-25 00:00:00'),
               (14,   2.50, 'completed', NULL),
               (15,   7.00, NULL,        '2026-02-01 00:00:00')) AS v (id, amount, status, at),
       products p
 WHERE p.slug = 'review';


-- Campaigns: 1 to 12 are ordinary and active, those from 21 on are not.  User
-- 1 made every third.

INSERT INTO campaigns (id, creator_id, title, product_name, description, category, reward_type,
                       reward_value, max_reviewers, deadline, status, created_at)
SELECT n, 1 + n % 3, 'Campaign ' || n, 'Product ' || n, 'About ' || n,
       (ARRAY['beauty', 'food', 'beauty', 'tech'])[1 + n % 4],
       (ARRAY['product', 'cash'])[1 + n % 2], n || '.50', 10 * n,
       '2026-03-01'::timestamp + n * interval '1 day',
       'active', '2026-02-01'::timestamp + n * interval '1 hour' + n % 3 * interval '1.5 ms'
  FROM generate_series(1, 12) AS n;

INSERT INTO campaigns (id, creator_id, title, product_name, description, category, reward_type,
                       reward_value, max_reviewers, deadline, status, created_at)
SELECT id, creator, title, 'Dew &amp; Serum', about, category, NULL, reward, most,
       deadline::timestamp, status, created::timestamp
  FROM (VALUES
    (13, 1, '봄 신상 🌸 "quoted" C:\new', '', '뷰티', 'Free kit (worth $40)', NULL, '9999-12-31', 'active', '2026-02-03'),
    (14, 2, E'Tab\t, \n next, \x01 \x1f \x7f \u2028 <b>', NULL, NULL, '', 1, '2026-02-20 12:00:00', 'active', '2026-02-03'),
    (15, 2, '👩‍🚀 in space / 100%', 'x', '', NULL, 2147483647, '2026-02-20 12:00:00.000001', 'active', '1969-12-31 23:59:59.999999'),
    (16, 3, 'no time', 'x', 'Beauty', '0', 0, '2026-06-01', 'active', NULL),
    (21, 1, 'over', 'x', 'beauty', '1', 5, '2026-02-20 09:59:59.999999', 'active', '2026-02-04'),
    (22, 1, 'closed', 'x', 'beauty', '1', 5, '2026-06-01', 'closed', '2026-02-05'),
    (23, 2, 'no status', 'x', 'beauty', '1', 5, '2026-06-01', NULL, '2026-02-06')
  ) AS v (id, creator, title, about, category, reward, most, deadline, status, created);

INSERT INTO campaign_applications (id, campaign_id, user_id, message, sns_link, follower_count,
                                   status, created_at)
VALUES ( 1,  3, 1, 'I&#x27;d love to &quot;unbox&quot; it', 'https://sns.test/1', 1000, 'pending', '2026-02-10 08:00:00'),
       ( 2,  3, 2, '꼭 체험해 보고 싶어요! 🙏', NULL, NULL, 'approved', '2026-02-10 08:00:00.5'),
       ( 3,  3, 5, E'First\nsecond\tC:\\photos', '', 0, 'rejected', NULL),
       ( 4,  6, 1, 'm', NULL, 2147483647, NULL, '2026-02-11 08:00:00'),
       ( 5, 14, 1, 'full', NULL, 1, 'pending', '2026-02-12 08:00:00'),
       ( 6, 14, 4, 'full', NULL, 1, 'pending', '2026-02-12 08:00:01'),
       ( 7, 22, 1, 'closed', NULL, 1, 'rejected', '2026-02-13 00:00:00.000001'),
       ( 8,  1, 4, 'm', NULL, 1, 'pending', '2026-02-13 00:00:00');


-- listings: 1 to 16 are ordinary and active, those from 31 on are not

INSERT INTO review_listings (id, source_platform, external_id, title, brand, category, reward_type,
                             reward_value, deadline, max_applicants, current_applicants, url,
                             image_url, status, scraped_at)
SELECT n, (ARRAY['naver', 'revu', 'blog'])[1 + n % 3], 'ext_' || n, 'Granola tasting ' || n,
       (ARRAY['Acme', 'Tom & Co.'])[1 + n % 2], (ARRAY['food', 'beauty', 'tech', 'food'])[1 + n % 4],
       (ARRAY['상품', '금전'])[1 + n % 2], 5000 * n,
       '2026-03-20'::timestamp - n * interval '1 day', 10 + n, n, 'https://example.test/c/' || n,
       'https://img.test/' || n, 'active', '2026-02-01'::timestamp + (n * 7 % 17) * interval '1 hour'
  FROM generate_series(1, 16) AS n;

INSERT INTO review_listings (id, source_platform, external_id, title, brand, category, reward_type,
                             reward_value, deadline, max_applicants, current_applicants, url,
                             image_url, status, scraped_at)
SELECT id, platform, 'edge_' || id, title, brand, category, NULL, reward, deadline::timestamp,
       NULL, NULL, NULL, '', status, scraped::timestamp
  FROM (VALUES
    (17, 'a,b', '[서울] 체험단 "모집" 🎁 50%', '설화', '뷰티', NULL, '9999-12-31 23:59:59.999999', 'active', NULL),
    (18, 'we"ird\{}', E'under_score back\\slash \x01 \u2029 <b>&amp;', NULL, NULL, 0, '2026-03-01 14:59:59', 'active', '2026-02-01'),
    (19, 'naver', 'underXscore', 'L''eau', '', -5, '2026-03-01 14:59:59', 'active', '2026-02-01'),
    (20, 'naver', 'LOUD GRANOLA', 'ÉDGE', 'Food', 2147483647, '2026-02-20 12:00:00', 'active', '2026-02-02'),
    (21, 'naver', 'quiet', 'édge', 'FOOD', 2147483647, '2026-03-02', 'active', '2026-02-02 00:00:00.1'),
    (31, 'naver', 'Granola over', 'Acme', 'food', 1, '2026-02-20 09:59:59.999999', 'active', '2026-02-03'),
    (32, 'naver', 'Granola expired', 'Acme', 'food', 1, '2026-06-01', 'expired', '2026-02-03'),
    (33, 'naver', 'Granola without end', 'Acme', 'food', 1, NULL, 'active', '2026-02-03'),
    (34, 'naver', 'Granola without status', 'Acme', 'food', 1, '2026-06-01', NULL, '2026-02-03')
  ) AS v (id, platform, title, brand, category, reward, deadline, status, scraped);

INSERT INTO review_bookmarks (id, user_id, listing_id, created_at)
SELECT n, 1, n, '2026-02-02'::timestamp + n * interval '1 day'
  FROM generate_series(1, 18) AS n;

INSERT INTO review_bookmarks (id, user_id, listing_id, created_at)
VALUES (19, 1, 31, '2026-02-03 00:00:00'), (20, 1, 32, '2026-02-03 00:00:00'),
       (21, 1, 33, NULL), (22, 1, 34, 'infinity'), (23, 2, 1, '2026-02-03'), (24, 2, 20, '2026-02-04');

INSERT INTO review_accounts (id, user_id, platform, account_name, is_active, created_at)
VALUES (1, 1, 'naver', 'blog of one', true, '2026-01-01'), (2, 1, 'instagram', '📷 two', false, '2026-01-01'),
       (3, 2, 'naver', 'of another', true, '2026-01-01');

INSERT INTO review_applications (id, listing_id, account_id, applied_at, status)
VALUES (1, 1, 1, '2026-02-10 08:00:00', 'pending'), (2, 1, 2, NULL, NULL),
       (3, 1, 3, '2026-02-10 08:00:01', 'selected'), (4, 18, 3, '2026-02-11 08:00:00.25', 'pending');


-- Social networks.  One post belongs to user 2 on an account of user 1.

INSERT INTO sns_accounts (id, user_id, platform, account_name, is_active, access_token,
                          refresh_token, created_at)
VALUES (1, 1, 'instagram', '@acme.kr',            true,  'secret-access', 'secret-refresh', '2026-01-10 10:30:00'),
       (2, 1, 'naver',     '한글 계정',           false, NULL, NULL, '2026-01-11 10:30:00.000001'),
       (3, 1, 'youtube',   'Tom & "Jerry" 🌻',    NULL,  NULL, NULL, NULL),
       (4, 3, 'instagram', 'back\slash',          true,  NULL, NULL, '2026-01-12');

INSERT INTO sns_posts (id, user_id, account_id, content, platform, status, scheduled_at,
                       template_type, created_at)
SELECT n, 1, 1 + n % 2, 'Spring drop #' || n, (ARRAY['instagram', 'naver'])[1 + n % 2],
       (ARRAY['draft', 'scheduled', 'published'])[1 + n % 3],
       CASE WHEN n % 3 = 1 THEN '2026-03-01'::timestamp + n * interval '1 minute' END,
       (ARRAY['card_news', 'reel'])[1 + n % 2],
       '2026-02-20'::timestamp - n * interval '1 day' + n % 3 * interval '1 ms'
  FROM generate_series(1, 14) AS n;

INSERT INTO sns_posts (id, user_id, account_id, content, platform, status, scheduled_at,
                       template_type, created_at)
SELECT id, owner, account, content, 'instagram', status, at::timestamp, NULL, created::timestamp
  FROM (VALUES
    (15, 1, 1, repeat('😀', 100), 'draft', NULL, '2026-02-20 00:00:00'),
    (16, 1, 1, repeat('😀', 101), 'draft', NULL, '2026-02-20 00:00:00'),
    (17, 1, 1, repeat('é', 99) || '👍🏽!', '예약', '2026-02-21 00:00:00.00001', '2026-02-20 09:00:00'),
    (18, 1, 1, E'\\"\b\f\n\r\t\x01\x1f\x7f/<>&''\u2028', NULL, NULL, '2026-02-20 09:30:00'),
    (19, 1, 2, repeat('x', 101), '', NULL, '2026-01-20 23:59:59.999999'),
    (20, 1, 2, '', 'failed', NULL, '2026-01-21 00:00:00'),
    (21, 1, 3, 'no time', 'failed', 'infinity', NULL),
    (22, 1, 3, 'later', 'failed', NULL, '2026-02-21 00:00:00'),
    (23, 2, 1, 'of another', 'draft', NULL, '2026-02-20 09:00:00'),
    (24, 3, 4, 'of user 3', 'draft', NULL, '2026-02-20 09:00:00')
  ) AS v (id, owner, account, content, status, at, created);

INSERT INTO sns_analytics (id, user_id, account_id, date, followers, total_engagement,
                           total_reach, total_impressions, created_at)
SELECT account * 100 + n, CASE WHEN account = 4 THEN 3 ELSE 1 END, account,
       '2026-02-22'::date - 10 * n, 1000 * account + n, 7 * n + account, 100 * account + n, 5000 + n,
       '2026-02-20'
  FROM generate_series(0, 6) AS n, generate_series(1, 4) AS account;

INSERT INTO sns_analytics (id, user_id, account_id, date, followers, total_engagement,
                           total_reach, total_impressions, created_at)
VALUES (901, 1, 3, '2026-02-20', NULL, NULL, NULL, NULL, NULL),
       (902, 1, 1, '0001-01-01', 1, 1, 1, 1, NULL),
       (905, 1, 1, '2026-02-12', 7777, 1, 1, 1, NULL),
       (903, 1, 1, '9999-12-31', 2, 2, 2, 2, NULL),
       (904, 1, 2, '2026-02-20', 2147483647, 2147483647, 3, 2147483647, NULL);

COMMIT;

ANALYZE;

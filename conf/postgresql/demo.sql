-- Invented data to try, to test and to load the module with.
--
--     psql -X -v ON_ERROR_STOP=1 -v size=large -f demo.sql
--
-- size=small (the default): what the performance report's checklist asks for,
-- a second.  size=large: 100k users, 1M posts, 1M payments, 500k listings, 500k
-- applications; 1.5 GB, and a minute or two with fsync=off.  Load it before
-- indexes.sql: after it, it takes twice as long.
--
-- Needs schema.sql; refuses a database that has users.  User 1 is
-- demo@softfactory.com with something of everything, user 2 is the admin.
-- Nobody can log in with a password: tokens only.
--
-- The same rows every time: what looks random is a hash of the row's number
-- (the one PostgreSQL partitions by, the same on every version).  Only times
-- follow the clock: t0 is the current minute, deadlines are whole days from
-- today.  Nothing expires within two days of loading.

\set QUIET on
\set ON_ERROR_STOP on
\set SHOW_CONTEXT never
\encoding UTF8

\if :{?size}
\else
    \set size small
\endif

SET synchronous_commit = on;    -- else the VACUUM below marks nothing

BEGIN;

SET LOCAL client_min_messages = warning;
SET LOCAL timezone = 'UTC';
SET LOCAL work_mem = '64MB';
SET LOCAL jit = off;

\o /dev/null
SELECT set_config('softfactory.demo_size', :'size', true);
\o

DO $$
BEGIN
    IF current_setting('softfactory.demo_size') NOT IN ('small', 'large') THEN
        RAISE EXCEPTION 'size must be small or large, not "%"',
                        current_setting('softfactory.demo_size');
    END IF;

    IF to_regclass('users') IS NULL OR to_regclass('sns_posts') IS NULL THEN
        RAISE EXCEPTION 'the tables are missing: run schema.sql first';
    END IF;

    IF EXISTS (SELECT FROM users) THEN
        RAISE EXCEPTION 'table users is not empty: demo data goes into an empty database only';
    END IF;

    IF (SELECT count(*) FROM products) < 6 THEN
        RAISE EXCEPTION 'products are missing: run schema.sql first';
    END IF;
END $$;

-- The rows fit together by construction: a superuser skips the checks of the
-- foreign keys, a third of the time.

DO $$
BEGIN
    IF current_setting('is_superuser')::boolean THEN
        SET LOCAL session_replication_role = replica;
    END IF;
END $$;

SELECT :'size' = 'large' AS large,
       date_trunc('minute', localtimestamp) AS t0,
       current_date AS today
\gset

\if :large
    \set users            100000
    \set payments        1000000
    \set campaigns         10000
    \set per_campaign         50
    \set listings         500000
    \set bookmarks         50000
    \set review_accounts   20000
    \set review_apps       50000
    \set sns_accounts      20000
    \set analysed_every        2
    \set posts           1000000
    \set demo_posts_every    200
\else
    \set users                50
    \set payments            400
    \set campaigns           150
    \set per_campaign          8
    \set listings            300
    \set bookmarks           150
    \set review_accounts      60
    \set review_apps         150
    \set sns_accounts         60
    \set analysed_every        1
    \set posts               640
    \set demo_posts_every      4
\endif

-- A number in 0 .. n-1 for row i; another salt, another column.

CREATE FUNCTION pg_temp.pick(i bigint, salt bigint, n bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((hashint8extended(i, salt) & 9223372036854775807) % n)::integer;

-- The moment of row i of n, spread over the days before t0, the last row the
-- latest.  Every tenth row shares its moment with the one before; some have no
-- fraction, some end in zeros.

CREATE FUNCTION pg_temp.moment(t0 timestamp, i bigint, n bigint, days bigint)
    RETURNS timestamp
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN date_trunc(CASE i % 14 WHEN 3 THEN 'second'
                                  WHEN 5 THEN 'milliseconds'
                                  ELSE 'microseconds' END,
                      t0 - interval '1 second'
                      - interval '1 microsecond'
                        * (days * 86400000000 / n * (n - i + (i % 10 = 0)::integer)
                           + (hashint8extended(i - (i % 10 = 0)::integer, 1) & 9223372036854775807)
                             % (days * 86400000000 / n)));


-- platform

INSERT INTO users (id, email, password_hash, name, role, is_active, created_at,
                   is_locked, password_changed_at, email_verified, totp_enabled,
                   backup_codes_used)
SELECT i,
       CASE i WHEN 1 THEN 'demo@softfactory.com'
              WHEN 2 THEN 'admin@softfactory.com'
              ELSE 'user' || i || '@example.com' END,
       '!',
       CASE i WHEN 1 THEN 'Demo User'
              WHEN 2 THEN 'Admin'
              ELSE (ARRAY['김민준', '이서연', 'Ana Núñez', 'O&#x27;Brien', '박지우', 'Søren Kær',
                          '田中 花子', 'Zoë 🌻', 'Ivan "Vanya" Petrov', '최\유나'])[1 + i % 10]
                   || ' ' || i END,
       CASE i WHEN 2 THEN 'admin' ELSE 'user' END,
       CASE WHEN i <= 2 THEN true
            WHEN i % 23 = 0 THEN NULL
            ELSE i % 17 <> 0 END,
       t, false, t, i % 3 <> 0, false, '[]'
  FROM generate_series(1, :users) AS i,
       LATERAL (SELECT pg_temp.moment(:'t0', i, :users, 400)) AS x (t);

-- User 1 has every product.  Every fifth user has none; the others a mixture,
-- some of them cancelled and taken again.

INSERT INTO subscriptions (id, user_id, product_id, stripe_subscription_id, plan_type,
                           status, current_period_end, created_at)
SELECT row_number() OVER (ORDER BY user_id, product_id, round),
       user_id, product_id,
       'sub_' || user_id || '_' || product_id || '_' || round,
       CASE pg_temp.pick(user_id * 10 + product_id, 11, 4) WHEN 0 THEN 'annual' ELSE 'monthly' END,
       CASE WHEN user_id = 1 THEN 'active'
            WHEN round = 1 AND again THEN 'canceled'
            WHEN round = 2 THEN 'active'
            WHEN r < 25 THEN 'active'
            WHEN r < 33 THEN 'canceled'
            ELSE 'expired' END,
       :'today'::date + CASE WHEN user_id = 1 OR r < 25 THEN 20 ELSE -20 END
                      + pg_temp.pick(user_id, 12, 10),
       pg_temp.moment(:'t0', user_id, :users, 300)
  FROM (SELECT u.i AS user_id, p.id AS product_id, round,
               pg_temp.pick(u.i * 10 + p.n, 13, 100) AS r,
               u.i % 37 = 0 AS again
          FROM generate_series(1, :users) AS u (i),
               (SELECT id, row_number() OVER (ORDER BY id) AS n FROM products) AS p,
               generate_series(1, 2) AS round) AS s
 WHERE CASE WHEN user_id = 1 THEN round = 1
            WHEN user_id % 5 = 3 THEN false
            ELSE r < 38 AND (round = 1 OR again) END;

INSERT INTO payments (id, user_id, product_id, stripe_payment_id, amount, currency,
                      status, created_at)
SELECT i,
       1 + pg_temp.pick(i, 21, :users),
       (SELECT array_agg(id ORDER BY id) FROM products)[1 + pg_temp.pick(i, 22, 6)],
       'pi_' || i,
       (ARRAY[9.99, 19.9, 29, 29, 39, 39, 49, 49.5, 89, 99.5, 290, 490])[1 + pg_temp.pick(i, 23, 12)],
       'USD',
       CASE WHEN r < 86 THEN 'completed'
            WHEN r < 94 THEN 'pending'
            WHEN r < 97 THEN 'failed'
            ELSE 'refunded' END,
       pg_temp.moment(:'t0', i, :payments, 90)
  FROM generate_series(1, :payments) AS i,
       LATERAL (SELECT pg_temp.pick(i, 24, 100)) AS x (r);


-- Review campaigns.  The application stores titles and messages HTML-escaped,
-- reward_value as it came.  Two rows of the past have no created_at.

INSERT INTO campaigns (id, creator_id, title, product_name, description, category,
                       reward_type, reward_value, max_reviewers, deadline, status, created_at)
SELECT i,
       CASE WHEN i % (:campaigns / 15) = 0 THEN 1
            ELSE 2 + pg_temp.pick(i, 31, :users / 10) END,
       CASE pg_temp.pick(i, 32, 14)
            WHEN 0 THEN '봄 신상 ' || product || ' 체험단 🌸'
            WHEN 1 THEN product || ' &amp; friends: &quot;first look&quot;'
            WHEN 2 THEN 'Reviewers&#x27; choice: ' || product
            WHEN 3 THEN '&lt;b&gt;' || product || '&lt;/b&gt; 무료 체험'
            WHEN 4 THEN 'C:\new\' || product || ' \ slash / slash'
            WHEN 5 THEN E'Tab\there,\nnext line, \x01: ' || product
            WHEN 6 THEN '👩‍🚀🚀 ' || product || ' in space 👨‍👩‍👧‍👦'
            WHEN 7 THEN 'Prêt à tester ? ' || product || ' №' || i
            ELSE (ARRAY['Spring', 'Summer', '가을', '겨울', 'New'])[1 + pg_temp.pick(i, 33, 5)]
                 || ' ' || product || ' trial ' || i
            END,
       product,
       CASE WHEN i % 9 = 0 THEN NULL
            WHEN i % 9 = 1 THEN ''
            ELSE rpad('Try ' || product || ' and tell. ', 60 + pg_temp.pick(i, 34, 300), '솔직한 후기를 부탁드립니다. ') END,
       (ARRAY['beauty', 'beauty', 'food', 'food', 'tech', 'fashion', 'travel', 'living', NULL])
            [1 + pg_temp.pick(i, 35, 9)],
       (ARRAY['product', 'product', 'cash', 'both', NULL])[1 + pg_temp.pick(i, 36, 5)],
       (ARRAY['Free kit (worth $40)', '₩50,000 상당', '"2 for 1" & more', '50', '30% off <today>', NULL])
            [1 + pg_temp.pick(i, 37, 6)],
       (ARRAY[5, 10, 10, 20, 30, 50, 100, 100, 10000, NULL])[1 + pg_temp.pick(i, 38, 10)],
       CASE WHEN old THEN :'today'::date - 60
            WHEN r < 62 THEN :'today'::date + 2 + pg_temp.pick(i, 39, 60)
            WHEN r < 72 THEN :'today'::date - 1 - pg_temp.pick(i, 39, 30)
            WHEN r < 90 THEN :'today'::date - 50 + pg_temp.pick(i, 39, 80)
            ELSE :'today'::date - 1 - pg_temp.pick(i, 39, 90) END,
       CASE WHEN old THEN 'closed'
            WHEN r < 72 THEN 'active'
            WHEN r < 90 THEN 'closed'
            ELSE 'completed' END,
       CASE WHEN NOT old THEN pg_temp.moment(:'t0', i, :campaigns, 120) END
  FROM generate_series(1, :campaigns) AS i,
       LATERAL (SELECT i IN (4, 11), pg_temp.pick(i, 41, 100),
                       (ARRAY['Dew Serum', '수분 크림', 'Granola', '제주 감귤청', 'Earbuds X2', '무선 청소기',
                              'Linen Shirt', '캔버스 백', 'Hanok Stay', '남해 펜션', 'Tom &amp; Co. Mug', 'L&#x27;eau 50ml'])
                           [1 + pg_temp.pick(i, 42, 12)]) AS x (old, r, product);

-- Campaign 2j-1 and 2j together have twice per_campaign applications, between
-- none and twice that each, of different users.  In the order of their coming,
-- so that one campaign's lie apart, as in life.

INSERT INTO campaign_applications (id, campaign_id, user_id, message, sns_link,
                                   follower_count, status, created_at)
SELECT i, campaign_id,
       1 + (pg_temp.pick(campaign_id, 51, :users) + k * 7919) % :users,
       CASE pg_temp.pick(i, 52, 8)
            WHEN 0 THEN '꼭 체험해 보고 싶어요! 🙏 ' || i
            WHEN 1 THEN 'I&#x27;d love to &quot;unbox&quot; it &amp; film it.'
            WHEN 2 THEN E'First line\nsecond line\twith a tab, C:\\photos'
            ELSE rpad('Please pick me, number ' || i || '. ', 40 + pg_temp.pick(i, 53, 120), 'I write every week. ') END,
       CASE WHEN i % 4 <> 0 THEN 'https://instagram.test/u' || i END,
       CASE WHEN i % 50 <> 0 THEN pg_temp.pick(i, 54, 50000) END,
       (ARRAY['pending', 'pending', 'approved', 'rejected'])[1 + pg_temp.pick(i, 55, 4)],
       pg_temp.moment(:'t0', i, :campaigns * :per_campaign, 100)
  FROM (SELECT row_number() OVER (ORDER BY k, c.id) AS i, c.id AS campaign_id, k
          FROM generate_series(1, :campaigns) AS c (id),
               generate_series(0, 2 * :per_campaign - 1) AS k
         WHERE k < :per_campaign + (2 * (c.id % 2) - 1)
                                   * pg_temp.pick((c.id + 1) / 2, 56, :per_campaign + 1)) AS a;


-- Review listings, collected: nothing is escaped.  The daily job turns what is
-- over into "expired", so few active ones are; some have no deadline.  Their
-- applications come first, in a temporary table, since listings count them.

INSERT INTO review_accounts (id, user_id, platform, account_name, follower_count,
                             category_tags, success_rate, last_reviewed, is_active,
                             created_at, updated_at)
SELECT i,
       CASE WHEN i <= 3 THEN 1 ELSE 3 + pg_temp.pick(i, 61, :users - 2) END,
       (ARRAY['naver', 'instagram', 'blog', 'youtube', 'tiktok'])[1 + i % 5],
       (ARRAY['리뷰하는 ', 'reviews & "more" ', 'blog\', '📷 '])[1 + i % 4] || i,
       CASE WHEN i % 30 <> 0 THEN pg_temp.pick(i, 62, 80000) END,
       (ARRAY['[]', '["뷰티", "food"]', '["tech"]'])[1 + i % 3]::json,
       pg_temp.pick(i, 63, 101) / 100.0,
       CASE WHEN i % 2 = 0 THEN t END,
       i % 11 <> 0,
       t, t
  FROM generate_series(1, :review_accounts) AS i,
       LATERAL (SELECT pg_temp.moment(:'t0', i, :review_accounts, 200)) AS x (t);

CREATE TEMPORARY TABLE demo_review_apps ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY j) AS i, listing_id, account_id
  FROM (SELECT DISTINCT ON (listing_id, account_id) j, listing_id, account_id
          FROM (SELECT j,
                       1 + pg_temp.pick(j / 3, 71, :listings) AS listing_id,
                       CASE WHEN j % 20 = 0 THEN 1 + j / 20 % 3
                            ELSE 1 + (pg_temp.pick(j / 3, 72, :review_accounts) + j % 3 * 17)
                                     % :review_accounts END AS account_id
                  FROM generate_series(1, :review_apps) AS j) AS a
         ORDER BY listing_id, account_id, j) AS d;

INSERT INTO review_listings (id, source_platform, external_id, title, brand, category,
                             reward_type, reward_value, requirements, deadline,
                             max_applicants, current_applicants, url, image_url,
                             applied_accounts, status, scraped_at)
SELECT i, platform, platform || '_' || i,
       CASE pg_temp.pick(i, 81, 12)
            WHEN 0 THEN '[서울] ' || product || ' 체험단 모집 🎁'
            WHEN 1 THEN product || ' "limited" <b>review</b> & more'
            WHEN 2 THEN 'It''s 100% ' || product || '_test \ ' || i
            WHEN 3 THEN E'First line\n' || product || E'\tand \x01 a control'
            WHEN 4 THEN '&lt;' || product || '&gt; stored &amp; escaped'
            WHEN 5 THEN '🥐☕ ' || product || ' 맛집 방문 후기'
            ELSE (ARRAY['신규', 'Weekly', '[부산]', 'Best', '재모집'])[1 + pg_temp.pick(i, 82, 5)]
                 || ' ' || product || ' #' || i
            END,
       (ARRAY['Acme', '설화', 'Tom & Co.', 'L''eau', '맛나', '"Quoted" GmbH', NULL])[1 + pg_temp.pick(i, 83, 7)],
       (ARRAY['beauty', 'beauty', 'food', 'food', 'tech', 'fashion', 'travel', 'living', '뷰티', NULL])
            [1 + pg_temp.pick(i, 84, 10)],
       (ARRAY['상품', '상품', '금전', '경험', NULL])[1 + pg_temp.pick(i, 85, 5)],
       CASE WHEN i % 12 = 0 THEN NULL
            WHEN i % 12 = 1 THEN 0
            ELSE 5000 * (1 + pg_temp.pick(i, 86, 60)) END,
       (ARRAY['{}', '{"follower_min": 1000, "tags": ["뷰티"]}', '{"region": "서울"}'])[1 + i % 3]::json,
       CASE WHEN r < 44 THEN :'today'::date + 2 + pg_temp.pick(i, 87, 43)
            WHEN r < 47 THEN :'today'::date - pg_temp.pick(i, 87, 2)
            WHEN r < 49 THEN NULL
            WHEN r < 94 THEN :'today'::date - 1 - pg_temp.pick(i, 87, 90)
            ELSE :'today'::date - 30 + pg_temp.pick(i, 87, 60) END,
       CASE WHEN i % 15 <> 0 THEN 5 + pg_temp.pick(i, 88, 96) END,
       CASE WHEN i % 40 <> 0 THEN coalesce(a.n, 0) + pg_temp.pick(i, 89, 20) END,
       CASE WHEN i % 25 <> 0 THEN 'https://' || platform || '.test/c/' || i || '?a=1&b=2' END,
       CASE WHEN i % 3 <> 0 THEN 'https://img.test/' || i || '.jpg' END,
       coalesce(a.accounts, '[]'),
       CASE WHEN r < 49 THEN 'active'
            WHEN r < 94 THEN 'expired'
            ELSE 'closed' END,
       pg_temp.moment(:'t0', i, :listings, 45)
  FROM generate_series(1, :listings) AS i
  LEFT JOIN (SELECT listing_id, count(*) AS n, json_agg(account_id ORDER BY account_id) AS accounts
               FROM demo_review_apps GROUP BY listing_id) AS a ON a.listing_id = i,
       LATERAL (SELECT pg_temp.pick(i, 91, 100),
                       (ARRAY['revu', 'revu', 'reviewnote', 'reviewnote', 'dinnerqueen', 'naver', 'naver', 'amazon'])
                           [1 + pg_temp.pick(i, 92, 8)],
                       (ARRAY['Granola', '수분 세럼', '한우 세트', 'Earbuds', '캠핑 의자', 'Linen Shirt', '호텔 1박', '브런치',
                              'Air Fryer', '강아지 간식'])[1 + pg_temp.pick(i, 93, 10)]) AS x (r, platform, product)
 ORDER BY i;

INSERT INTO review_applications (id, listing_id, account_id, applied_at, status, result,
                                 review_url, review_posted_at, review_content)
SELECT i, listing_id, account_id, t, status,
       CASE status WHEN 'completed' THEN 'Thanks & "well done" 👍' WHEN 'rejected' THEN '다음 기회에' END,
       CASE status WHEN 'completed' THEN 'https://blog.test/r/' || i END,
       CASE status WHEN 'completed' THEN t + interval '5 days 3 hours' END,
       CASE status WHEN 'completed' THEN '정말 좋았어요. ' || i END
  FROM demo_review_apps,
       LATERAL (SELECT pg_temp.moment(:'t0', i, :review_apps, 40),
                       (ARRAY['pending', 'pending', 'selected', 'rejected', 'completed'])
                           [1 + pg_temp.pick(i, 101, 5)]) AS x (t, status)
 ORDER BY i;

-- User 1 keeps every third of the listings that come first, and some others.

INSERT INTO review_bookmarks (id, user_id, listing_id, created_at)
SELECT i, user_id, listing_id, pg_temp.moment(:'t0', i, count(*) OVER (), 30)
  FROM (SELECT row_number() OVER (ORDER BY j) AS i, user_id, listing_id
          FROM (SELECT DISTINCT ON (user_id, listing_id) j, user_id, listing_id
                  FROM (SELECT j,
                               CASE WHEN j <= 15 THEN 1 ELSE 2 + pg_temp.pick(j, 111, :users - 1) END,
                               1 + pg_temp.pick(j, 112, :listings)
                          FROM generate_series(1, :bookmarks) AS j
                        UNION ALL
                        SELECT :bookmarks + n, 1, id
                          FROM (SELECT id, row_number() OVER (ORDER BY deadline, id) AS n
                                  FROM review_listings
                                 WHERE status = 'active' AND deadline >= localtimestamp
                                 ORDER BY deadline, id
                                 LIMIT 90) AS first
                         WHERE n % 3 = 1) AS b (j, user_id, listing_id)
                 ORDER BY user_id, listing_id, j) AS d) AS e
 ORDER BY i;


-- Social networks.  Accounts 1-6 are user 1's, one for each of six networks.
-- The tokens are there to be looked for in answers: none may ever show one.

INSERT INTO sns_accounts (id, user_id, platform, account_name, is_active, access_token,
                          refresh_token, platform_user_id, profile_picture_url, account_type,
                          followers_count, following_count, permissions_json, created_at)
SELECT i,
       CASE WHEN i <= 6 THEN 1 ELSE 3 + i / 3 * 17 % (:users - 2) END,
       (ARRAY['instagram', 'tiktok', 'twitter', 'youtube', 'blog', 'naver', 'facebook', 'threads', 'linkedin'])
            [1 + CASE WHEN i <= 6 THEN i - 1 ELSE pg_temp.pick(i, 121, 9) END],
       (ARRAY['@acme.kr', '한글 계정 ', 'Tom & "Jerry" ', 'back\slash ', '🌻 garden '])[1 + i % 5] || i,
       CASE WHEN i = 4 OR i % 29 = 0 THEN NULL ELSE i % 13 <> 0 END,
       CASE WHEN i % 2 = 0 THEN 'secret-access-token-' || i END,
       CASE WHEN i % 2 = 0 THEN 'secret-refresh-token-' || i END,
       'pu_' || i,
       CASE WHEN i % 3 = 0 THEN 'https://img.test/p/' || i || '.jpg' END,
       CASE WHEN i % 4 = 0 THEN 'business' ELSE 'personal' END,
       pg_temp.pick(i, 122, 100000),
       pg_temp.pick(i, 123, 2000),
       '{}',
       pg_temp.moment(:'t0', i, :sns_accounts, 300)
  FROM generate_series(1, :sns_accounts) AS i;

-- Three posts belong to user 2 on an account of user 1: no list and no count
-- of user 1 has them.  A list cuts the content after 100 code points.

INSERT INTO sns_posts (id, user_id, account_id, content, platform, status, scheduled_at,
                       published_at, template_type, media_urls, hashtags, link_url,
                       external_post_id, likes_count, comments_count, views_count, reach,
                       error_message, retry_count, created_at)
SELECT p.i,
       CASE WHEN p.i <= 3 THEN 2 ELSE a.user_id END,
       a.id,
       CASE pg_temp.pick(p.i, 131, 20)
            WHEN 0 THEN rpad('꼭 백 글자입니다. ', 100, '오늘도 좋은 하루! ')
            WHEN 1 THEN rpad('백한 글자입니다. ', 101, '오늘도 좋은 하루! ')
            WHEN 2 THEN rpad('', 100, '😀')
            WHEN 3 THEN rpad('', 101, '😀🚀')
            WHEN 4 THEN rpad('🚀 Launch day! ', 140 + pg_temp.pick(p.i, 132, 60), '🔥💯 신상 오픈 ')
            WHEN 5 THEN E'First line\nsecond line\r\n\tindented, C:\\temp\\new, "quoted"'
            WHEN 6 THEN E'Control \x01 \b \f \x1f and \x7f, separators \u2028 \u2029, end \ufeff'
            WHEN 7 THEN '&lt;script&gt;alert(&#x27;hi&#x27;)&lt;/script&gt; &amp; &quot;more&quot;'
            WHEN 8 THEN rpad('Long read ' || p.i || ': ', 200 + pg_temp.pick(p.i, 133, 1200), 'Lorem ipsum dolor sit amet, 그리고 한글. ')
            WHEN 9 THEN rpad('👩‍👩‍👧 family 🇰🇷 ', 98, 'é') || '👍🏽!'
            WHEN 10 THEN ''
            ELSE (ARRAY['Spring drop is live', '신상품이 나왔어요', 'Behind the scenes', '오늘의 추천', 'Ask me anything'])
                     [1 + pg_temp.pick(p.i, 134, 5)] || ' #' || p.i
            END,
       a.platform,
       status,
       CASE WHEN status = 'scheduled'
            THEN :'t0'::timestamp + (1440 * 2 + pg_temp.pick(p.i, 135, 40000)) * interval '1 minute' END,
       CASE WHEN status = 'published' THEN t + interval '90 seconds' END,
       (ARRAY['card_news', 'blog_post', 'reel', 'shorts', 'carousel', NULL])[1 + pg_temp.pick(p.i, 136, 6)],
       (ARRAY['[]', '["https://img.test/m.jpg"]'])[1 + (p.i % 4 = 0)::integer]::json,
       (ARRAY['[]', '["봄", "sale"]'])[1 + (p.i % 3 = 0)::integer]::json,
       CASE WHEN p.i % 5 = 0 THEN 'https://shop.test/' || p.i END,
       CASE WHEN status = 'published' THEN 'ext_' || p.i END,
       pg_temp.pick(p.i, 137, 900),
       pg_temp.pick(p.i, 138, 90),
       CASE WHEN p.i % 60 <> 0 THEN pg_temp.pick(p.i, 139, 9000) END,
       pg_temp.pick(p.i, 140, 20000),
       CASE WHEN status = 'failed' THEN 'Rate limit: "try later"' END,
       CASE WHEN status = 'failed' THEN 1 + pg_temp.pick(p.i, 141, 3) ELSE 0 END,
       t
  FROM (SELECT i, pg_temp.moment(:'t0', i, :posts, 180) AS t,
               CASE WHEN i <= 3 OR i % :demo_posts_every = 0 THEN 1 + pg_temp.pick(i, 142, 6)
                    ELSE 7 + pg_temp.pick(i, 143, :sns_accounts - 6) END AS account_id,
               CASE WHEN i % 280 <> 0
                    THEN (ARRAY['published', 'published', 'published', 'published', 'draft', 'draft', 'scheduled', 'failed'])
                             [1 + pg_temp.pick(i, 144, 8)] END AS status
          FROM generate_series(1, :posts) AS i) AS p
  JOIN sns_accounts a ON a.id = p.account_id
 ORDER BY p.i;

INSERT INTO sns_analytics (id, user_id, account_id, date, followers, total_engagement,
                           total_reach, total_impressions, created_at)
SELECT i, user_id, account_id, day,
       CASE WHEN i % 97 <> 0 THEN 100 + pg_temp.pick(account_id, 151, 50000) + (day - :'today'::date) * 3 END,
       CASE WHEN i % 89 <> 0 THEN pg_temp.pick(i, 152, 500) END,
       CASE WHEN i % 83 <> 0 THEN pg_temp.pick(i, 153, 9000) END,
       CASE WHEN i % 79 <> 0 THEN pg_temp.pick(i, 154, 20000) END,
       day + interval '1 hour' + pg_temp.pick(i, 155, 2000000000) * interval '1 microsecond'
  FROM (SELECT row_number() OVER (ORDER BY d, id) AS i, user_id, id AS account_id,
               :'today'::date - 59 + d AS day
          FROM sns_accounts, generate_series(0, 59) AS d
         WHERE id <= 6 OR id % :analysed_every = 0) AS s;


-- The sequences go on after the last row.

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['users', 'subscriptions', 'payments', 'campaigns',
                             'campaign_applications', 'review_listings', 'review_bookmarks',
                             'review_accounts', 'review_applications', 'sns_accounts',
                             'sns_posts', 'sns_analytics']
    LOOP
        EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, ''id''), max(id)) FROM %I', t, t);
    END LOOP;
END $$;

DROP FUNCTION pg_temp.moment, pg_temp.pick;

COMMIT;

-- Statistics, and the visibility map, without which no index-only scan is one.
-- Not possible inside the transaction, and a page is marked only when the
-- commits of its rows have reached the disk: hence synchronous_commit.

VACUUM (ANALYZE) users, products, subscriptions, payments, campaigns,
                 campaign_applications, review_listings, review_bookmarks,
                 review_accounts, review_applications, sns_accounts, sns_posts,
                 sns_analytics;

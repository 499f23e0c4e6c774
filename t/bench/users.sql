-- Users for the measurements of the cache, beside those of the demo data:
-- 10,000 with a subscription to sns-auto, 2 accounts, 20 posts and 20 days of
-- figures each; ids from 100001.  Loaded once, before the triggers.

\set ON_ERROR_STOP on

SELECT count(*) = 0 AS missing FROM users WHERE id > 100000
\gset

\if :missing

BEGIN;

INSERT INTO users (id, email, password_hash, name, role, is_active, created_at)
SELECT 100000 + i, 'bench' || i || '@example.com', '!', 'Bench ' || i, 'user',
       true, timestamp '2026-01-01'
  FROM generate_series(1, 10000) i;

INSERT INTO subscriptions (user_id, product_id, plan_type, status,
                           current_period_end, created_at)
SELECT u.id, p.id, 'monthly', 'active', timestamp '2036-01-01',
       timestamp '2026-01-01'
  FROM users u, products p
 WHERE u.id > 100000 AND p.slug = 'sns-auto';

INSERT INTO sns_accounts (user_id, platform, account_name, is_active,
                          created_at)
SELECT u.id, (ARRAY['instagram', 'youtube'])[n], '@bench_' || u.id, true,
       timestamp '2026-01-01'
  FROM users u, generate_series(1, 2) n
 WHERE u.id > 100000;

INSERT INTO sns_posts (user_id, account_id, content, platform, status,
                       template_type, created_at)
SELECT a.user_id, a.id, 'Post ' || n || ' of ' || a.account_name
                        || repeat(', and what is new', 3),
       a.platform, 'published', 'card_news',
       timestamp '2026-01-01' + n * interval '1 hour'
  FROM sns_accounts a, generate_series(1, 10) n
 WHERE a.user_id > 100000;

INSERT INTO sns_analytics (user_id, account_id, date, followers,
                           total_engagement, total_reach, total_impressions,
                           created_at)
SELECT a.user_id, a.id, current_date - n, 1000 + n, n, 10 * n, 20 * n,
       localtimestamp
  FROM sns_accounts a, generate_series(1, 10) n
 WHERE a.user_id > 100000;

COMMIT;

ANALYZE users, subscriptions, sns_accounts, sns_posts, sns_analytics;

\endif

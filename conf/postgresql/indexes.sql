-- The indexes that make the module's statements short.
--
--     psql -X -v ON_ERROR_STOP=1 -f indexes.sql
--
-- Safe to repeat.  Each statement stands alone, without a transaction, and a
-- plain CREATE INDEX keeps writers of its table waiting while it runs (seconds
-- for a million rows).  On a live system build them beside the writers:
--
--     sed 's/CREATE INDEX IF/CREATE INDEX CONCURRENTLY IF/' indexes.sql | psql -X -v ON_ERROR_STOP=1
--
-- and, should that be interrupted, drop what it left and run it again:
--
--     SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid;
--
-- Names begin with idx_sf_: names are unique in a schema, and the application
-- has taken idx_created_at, idx_deadline and others.  The application makes
-- only what it names itself, so ours stay; DROP INDEX undoes each of them.
--
-- The counts are index-only scans, as good as the last VACUUM: where lists
-- change much, let autovacuum come often.
--
--
-- The performance report's Appendix C, line by line:
--
--   campaigns(status)               the application's idx_campaign_status
--   campaigns(deadline)             the application's idx_campaign_deadline
--   campaigns(category)             idx_sf_campaigns_category
--   campaigns(created_at DESC)      idx_sf_campaigns_created
--   sns_posts(user_id)              the application's idx_sns_post_user_created begins with it
--   sns_posts(account_id)           the application's idx_sns_post_account_created begins with it
--   sns_posts(status)               idx_sf_sns_posts_user_status: posts are only listed for a user
--   sns_posts(created_at DESC)      idx_sf_sns_posts_user: likewise
--   review_listings(platform)       no such column, it is source_platform: idx_sf_listings_platform
--   review_listings(status)         the application's idx_status_created begins with it
--   review_listings(rating DESC)    no such column, reward_value stands for it: idx_sf_listings_reward
--   users(created_at DESC)          the application's idx_created_at, read backwards
--   subscriptions(status)           idx_sf_subscriptions_status

\set QUIET on
\set ON_ERROR_STOP on
\encoding UTF8

SET client_min_messages = warning;


-- Campaigns.  A page is read in the order of the index until it is full; the
-- deadline, last, is compared there before a row is fetched.  The predicate
-- asks for status = 'active' written out in the statement, not as a parameter.

CREATE INDEX IF NOT EXISTS idx_sf_campaigns_created
    ON campaigns (created_at DESC, id DESC, deadline) WHERE status = 'active';

CREATE INDEX IF NOT EXISTS idx_sf_campaigns_category
    ON campaigns (category, created_at DESC, id DESC, deadline) WHERE status = 'active';

-- totals, and the next deadline

CREATE INDEX IF NOT EXISTS idx_sf_campaigns_deadline
    ON campaigns (deadline) WHERE status = 'active';


-- Listings.  One index for each order, and one for each filter that alone
-- leaves little.  The columns behind id are the other filters: they are
-- compared in the index, so that a page costs its own rows, a deep page no
-- more than index entries, and a total no row at all.  current_applicants is
-- in none of them: counting an application changes no index.

CREATE INDEX IF NOT EXISTS idx_sf_listings_deadline
    ON review_listings (deadline, id, category, source_platform, reward_type, reward_value)
    WHERE status = 'active';

CREATE INDEX IF NOT EXISTS idx_sf_listings_reward
    ON review_listings (reward_value DESC, id, deadline, category, source_platform, reward_type)
    WHERE status = 'active';

CREATE INDEX IF NOT EXISTS idx_sf_listings_scraped
    ON review_listings (scraped_at DESC, id, deadline, category, source_platform, reward_type, reward_value)
    WHERE status = 'active';

CREATE INDEX IF NOT EXISTS idx_sf_listings_category
    ON review_listings (category, deadline, id, source_platform, reward_type, reward_value)
    WHERE status = 'active';

CREATE INDEX IF NOT EXISTS idx_sf_listings_platform
    ON review_listings (source_platform, deadline, id, category, reward_type, reward_value)
    WHERE status = 'active';

-- The search is ILIKE '%…%'.  Frequent words are found on the first pages of
-- idx_sf_listings_deadline; rare ones need trigrams (half a second to below a
-- millisecond over 220,000 active listings).  Only where the extension is:
-- CREATE EXTENSION pg_trgm, then run this file again.

SELECT format('CREATE INDEX IF NOT EXISTS idx_sf_listings_search ON review_listings'
              ' USING gin (title %1$s, brand %1$s, category %1$s) WHERE status = ''active''',
              quote_ident(n.nspname) || '.gin_trgm_ops')
  FROM pg_opclass o
  JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'gin'
  JOIN pg_namespace n ON n.oid = o.opcnamespace
 WHERE o.opcname = 'gin_trgm_ops'
 LIMIT 1
\gexec

-- a user's bookmarks, the latest first

CREATE INDEX IF NOT EXISTS idx_sf_bookmarks_user
    ON review_bookmarks (user_id, created_at DESC, id DESC);


-- Social networks.  Posts of a user, also in one status or of one account; the
-- last also counts an account's posts.  platform is carried for the figures by
-- platform.

CREATE INDEX IF NOT EXISTS idx_sf_sns_accounts_user
    ON sns_accounts (user_id, id);

CREATE INDEX IF NOT EXISTS idx_sf_sns_posts_user
    ON sns_posts (user_id, created_at DESC, id DESC) INCLUDE (platform);

CREATE INDEX IF NOT EXISTS idx_sf_sns_posts_user_status
    ON sns_posts (user_id, status, created_at DESC, id DESC);

CREATE INDEX IF NOT EXISTS idx_sf_sns_posts_account
    ON sns_posts (account_id, user_id, created_at DESC, id DESC);

-- A day's rows of all users lie together in the table, those of a user do not:
-- the figures come from the index.

CREATE INDEX IF NOT EXISTS idx_sf_sns_analytics_user
    ON sns_analytics (user_id, date)
    INCLUDE (id, account_id, followers, total_engagement, total_reach,
             total_impressions);


-- Gate and dashboard.  The application indexes neither of the two tables.

CREATE INDEX IF NOT EXISTS idx_sf_subscriptions_user
    ON subscriptions (user_id, product_id, status);

CREATE INDEX IF NOT EXISTS idx_sf_subscriptions_status
    ON subscriptions (status);

CREATE INDEX IF NOT EXISTS idx_sf_payments_completed
    ON payments (created_at) INCLUDE (amount) WHERE status = 'completed';

-- The tables that the module reads and writes, as the application makes them.
--
--     psql -X -v ON_ERROR_STOP=1 -f schema.sql
--
-- For a database without the application: a private one, a test, a load test.
-- Where the application (SQLAlchemy create_all) has been first, every name
-- below exists already and nothing changes; no column is ever altered.
--
-- As there: the only default is that of id, so whoever inserts supplies every
-- value; no foreign key has an ON DELETE action, so children go first.
-- Times are "timestamp without time zone" and hold UTC.
--
-- One transaction.  lock_timeout keeps it from standing in front of a busy
-- application; the advisory lock lets two machines run it at the same moment.

\set QUIET on
\set ON_ERROR_STOP on
\encoding UTF8

BEGIN;

SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';

DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtext('softfactory schema')); END $$;


-- platform

CREATE TABLE IF NOT EXISTS users (
    id                          serial PRIMARY KEY,
    email                       varchar(120) NOT NULL UNIQUE,
    password_hash               varchar(255) NOT NULL,
    name                        varchar(120) NOT NULL,
    role                        varchar(20),
    is_active                   boolean,
    created_at                  timestamp,
    is_locked                   boolean,
    locked_until                timestamp,
    password_changed_at         timestamp,
    oauth_provider              varchar(20),
    oauth_id                    varchar(255) UNIQUE,
    avatar_url                  varchar(500),
    email_verified              boolean,
    verification_token          varchar(64),
    verification_token_expires  timestamp,
    reset_token                 varchar(128),
    reset_token_expires         timestamp,
    totp_secret                 varchar(32),
    totp_enabled                boolean,
    backup_codes                text,
    backup_codes_used           text
);

CREATE INDEX IF NOT EXISTS idx_email      ON users (email);
CREATE INDEX IF NOT EXISTS idx_oauth_id   ON users (oauth_id);
CREATE INDEX IF NOT EXISTS idx_created_at ON users (created_at);
CREATE INDEX IF NOT EXISTS idx_is_active  ON users (is_active);

CREATE TABLE IF NOT EXISTS products (
    id                       serial PRIMARY KEY,
    slug                     varchar(50) NOT NULL UNIQUE,
    name                     varchar(120) NOT NULL,
    description              text,
    icon                     varchar(50),
    monthly_price            double precision NOT NULL,
    annual_price             double precision,
    stripe_price_id_monthly  varchar(255),
    stripe_price_id_annual   varchar(255),
    is_active                boolean
);

CREATE TABLE IF NOT EXISTS subscriptions (
    id                      serial PRIMARY KEY,
    user_id                 integer NOT NULL REFERENCES users (id),
    product_id              integer NOT NULL REFERENCES products (id),
    stripe_subscription_id  varchar(255),
    plan_type               varchar(20),
    status                  varchar(20),
    current_period_end      timestamp,
    created_at              timestamp
);

CREATE TABLE IF NOT EXISTS payments (
    id                 serial PRIMARY KEY,
    user_id            integer NOT NULL REFERENCES users (id),
    product_id         integer NOT NULL REFERENCES products (id),
    stripe_payment_id  varchar(255),
    amount             double precision NOT NULL,
    currency           varchar(3),
    status             varchar(20),
    created_at         timestamp
);


-- review campaigns

CREATE TABLE IF NOT EXISTS campaigns (
    id             serial PRIMARY KEY,
    creator_id     integer NOT NULL REFERENCES users (id),
    title          varchar(200) NOT NULL,
    product_name   varchar(200) NOT NULL,
    description    text,
    category       varchar(50),
    reward_type    varchar(50),
    reward_value   varchar(200),
    max_reviewers  integer,
    deadline       timestamp NOT NULL,
    status         varchar(20),
    created_at     timestamp
);

CREATE INDEX IF NOT EXISTS idx_campaign_status          ON campaigns (status);
CREATE INDEX IF NOT EXISTS idx_campaign_creator         ON campaigns (creator_id);
CREATE INDEX IF NOT EXISTS idx_campaign_status_category ON campaigns (status, category);
CREATE INDEX IF NOT EXISTS idx_campaign_deadline        ON campaigns (deadline);

CREATE TABLE IF NOT EXISTS campaign_applications (
    id              serial PRIMARY KEY,
    campaign_id     integer NOT NULL REFERENCES campaigns (id),
    user_id         integer NOT NULL REFERENCES users (id),
    message         text NOT NULL,
    sns_link        varchar(500),
    follower_count  integer,
    status          varchar(20),
    created_at      timestamp
);

CREATE INDEX IF NOT EXISTS idx_campaign_app_campaign      ON campaign_applications (campaign_id);
CREATE INDEX IF NOT EXISTS idx_campaign_app_user          ON campaign_applications (user_id);
CREATE INDEX IF NOT EXISTS idx_campaign_app_campaign_user ON campaign_applications (campaign_id, user_id);
CREATE INDEX IF NOT EXISTS idx_campaign_app_status        ON campaign_applications (status);


-- review listings, collected from other platforms

CREATE TABLE IF NOT EXISTS review_listings (
    id                  serial PRIMARY KEY,
    source_platform     varchar(50) NOT NULL,
    external_id         varchar(255) NOT NULL UNIQUE,
    title               varchar(500) NOT NULL,
    brand               varchar(255),
    category            varchar(100),
    reward_type         varchar(50),
    reward_value        integer,
    requirements        json,
    deadline            timestamp,
    max_applicants      integer,
    current_applicants  integer,
    url                 varchar(500),
    image_url           varchar(500),
    applied_accounts    json,
    status              varchar(50),
    scraped_at          timestamp
);

CREATE INDEX IF NOT EXISTS idx_source_platform_scraped  ON review_listings (source_platform, scraped_at);
CREATE INDEX IF NOT EXISTS idx_category_deadline        ON review_listings (category, deadline);
CREATE INDEX IF NOT EXISTS idx_reward_value             ON review_listings (reward_value);
CREATE INDEX IF NOT EXISTS idx_status_created           ON review_listings (status, scraped_at);
CREATE INDEX IF NOT EXISTS idx_external_id_platform     ON review_listings (external_id, source_platform);
CREATE INDEX IF NOT EXISTS idx_deadline                 ON review_listings (deadline);

CREATE TABLE IF NOT EXISTS review_bookmarks (
    id          serial PRIMARY KEY,
    user_id     integer NOT NULL REFERENCES users (id),
    listing_id  integer NOT NULL REFERENCES review_listings (id),
    created_at  timestamp
);

CREATE INDEX IF NOT EXISTS idx_user_listing ON review_bookmarks (user_id, listing_id);
CREATE INDEX IF NOT EXISTS idx_listing_id   ON review_bookmarks (listing_id);

CREATE TABLE IF NOT EXISTS review_accounts (
    id               serial PRIMARY KEY,
    user_id          integer NOT NULL REFERENCES users (id),
    platform         varchar(50) NOT NULL,
    account_name     varchar(255) NOT NULL,
    credentials_enc  varchar(1000),
    follower_count   integer,
    category_tags    json,
    success_rate     double precision,
    last_reviewed    timestamp,
    is_active        boolean,
    created_at       timestamp,
    updated_at       timestamp
);

CREATE INDEX IF NOT EXISTS idx_review_account_user          ON review_accounts (user_id);
CREATE INDEX IF NOT EXISTS idx_review_account_user_platform ON review_accounts (user_id, platform);
CREATE INDEX IF NOT EXISTS idx_review_account_user_active   ON review_accounts (user_id, is_active);

CREATE TABLE IF NOT EXISTS review_applications (
    id                serial PRIMARY KEY,
    listing_id        integer NOT NULL REFERENCES review_listings (id),
    account_id        integer NOT NULL REFERENCES review_accounts (id),
    applied_at        timestamp,
    status            varchar(50),
    result            varchar(500),
    review_url        varchar(500),
    review_posted_at  timestamp,
    review_content    text
);

CREATE INDEX IF NOT EXISTS idx_review_app_account_created ON review_applications (account_id, applied_at);
CREATE INDEX IF NOT EXISTS idx_listing_account            ON review_applications (listing_id, account_id);
CREATE INDEX IF NOT EXISTS idx_user_status                ON review_applications (account_id, status);
CREATE INDEX IF NOT EXISTS idx_review_app_status_created  ON review_applications (status, applied_at);


-- social networks

CREATE TABLE IF NOT EXISTS sns_accounts (
    id                   serial PRIMARY KEY,
    user_id              integer NOT NULL REFERENCES users (id),
    platform             varchar(50) NOT NULL,
    account_name         varchar(120) NOT NULL,
    is_active            boolean,
    access_token         text,
    refresh_token        text,
    token_expires_at     timestamp,
    platform_user_id     varchar(255),
    profile_picture_url  varchar(500),
    account_type         varchar(50),
    site_url             varchar(500),
    wp_username          varchar(120),
    followers_count      integer,
    following_count      integer,
    permissions_json     json,
    created_at           timestamp
);

CREATE INDEX IF NOT EXISTS idx_sns_account_user_platform   ON sns_accounts (user_id, platform);
CREATE INDEX IF NOT EXISTS idx_sns_account_platform_active ON sns_accounts (platform, is_active);
CREATE INDEX IF NOT EXISTS idx_sns_account_user_active     ON sns_accounts (user_id, is_active);
CREATE INDEX IF NOT EXISTS idx_platform_user_id            ON sns_accounts (platform, platform_user_id);

-- A stand-in: sns_posts refers to it, nothing here reads it.  The application's
-- own has more columns.

CREATE TABLE IF NOT EXISTS sns_campaigns (
    id  serial PRIMARY KEY
);

CREATE TABLE IF NOT EXISTS sns_posts (
    id                serial PRIMARY KEY,
    user_id           integer NOT NULL REFERENCES users (id),
    account_id        integer NOT NULL REFERENCES sns_accounts (id),
    campaign_id       integer REFERENCES sns_campaigns (id),
    content           text NOT NULL,
    platform          varchar(50) NOT NULL,
    status            varchar(20),
    scheduled_at      timestamp,
    published_at      timestamp,
    template_type     varchar(50),
    media_urls        json,
    hashtags          json,
    link_url          varchar(500),
    external_post_id  varchar(255),
    likes_count       integer,
    comments_count    integer,
    views_count       integer,
    reach             integer,
    error_message     text,
    retry_count       integer,
    created_at        timestamp
);

CREATE INDEX IF NOT EXISTS idx_sns_post_user_created    ON sns_posts (user_id, created_at);
CREATE INDEX IF NOT EXISTS idx_sns_post_platform_status ON sns_posts (platform, status);
CREATE INDEX IF NOT EXISTS idx_sns_post_scheduled_at    ON sns_posts (scheduled_at);
CREATE INDEX IF NOT EXISTS idx_sns_post_user_platform   ON sns_posts (user_id, platform);
CREATE INDEX IF NOT EXISTS idx_sns_post_campaign_id     ON sns_posts (campaign_id);
CREATE INDEX IF NOT EXISTS idx_sns_post_account_created ON sns_posts (account_id, created_at);
CREATE INDEX IF NOT EXISTS idx_sns_post_user_published  ON sns_posts (user_id, status);

CREATE TABLE IF NOT EXISTS sns_analytics (
    id                 serial PRIMARY KEY,
    user_id            integer NOT NULL REFERENCES users (id),
    account_id         integer NOT NULL REFERENCES sns_accounts (id),
    date               date NOT NULL,
    followers          integer,
    total_engagement   integer,
    total_reach        integer,
    total_impressions  integer,
    created_at         timestamp
);

CREATE INDEX IF NOT EXISTS idx_sns_analytics_account_date ON sns_analytics (account_id, date);
CREATE INDEX IF NOT EXISTS idx_sns_analytics_user_date    ON sns_analytics (user_id, date);
CREATE INDEX IF NOT EXISTS idx_sns_analytics_date         ON sns_analytics (date);

-- A stand-in as above: its rows forbid the deletion of an account.

CREATE TABLE IF NOT EXISTS sns_inbox_messages (
    id          serial PRIMARY KEY,
    account_id  integer NOT NULL REFERENCES sns_accounts (id)
);


-- The products the application seeds at start.  ids come from the sequence
-- (1..6 in this order in a fresh database), and only for rows that are missing.
-- Icons are emoji, for which only one encoding has room.

SELECT getdatabaseencoding() = 'UTF8' AS emoji
\gset

\if :emoji
    \set icons '🍳 📱 ⭐ 🤖 💻 🖼️'
\else
    \set icons ''
\endif

INSERT INTO products (slug, name, description, icon, monthly_price, annual_price, is_active)
SELECT slug, name, description, nullif(split_part(:'icons', ' ', n), ''), monthly_price, annual_price, true
  FROM (VALUES
        (1, 'coocook',             'CooCook',             'Home chefs, booked by the session', 29.0, 290.0),
        (2, 'sns-auto',            'SNS Auto',            'Posts and figures of every social network', 49.0, 490.0),
        (3, 'review',              'Review Campaign',     'Review campaigns and listings', 39.0, 390.0),
        (4, 'ai-automation',       'AI Automation',       'Automated employees', 89.0, 890.0),
        (5, 'webapp-builder',      'WebApp Builder',      'Web applications and the course', 99.5, 995.0),
        (6, 'instagram-cardnews',  'Instagram Cardnews',  'Card news from a topic', 19.9, 199.0)
       ) AS seed (n, slug, name, description, monthly_price, annual_price)
 WHERE NOT EXISTS (SELECT FROM products p WHERE p.slug = seed.slug)
 ORDER BY n;

COMMIT;

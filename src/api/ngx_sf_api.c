
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The API as data: one row per endpoint.
 *
 * A row says how the endpoint is reached, whether it needs a user, which
 * parameters it reads, by which statement, and what its JSON looks like.  The
 * code that walks the rows does not know any endpoint; adding one is adding a
 * row.
 *
 * Numbers in the shapes are columns of the statement above them, from 0.
 * Fields stand in byte order of their keys, which is the order on the wire.
 * Templates are described in ngx_sf_statement.c.  A table is $schema.name
 * wherever it stands; columns and aliases never bear a table's name.
 *
 * A page of a list is cut out in a subquery before anything is counted or
 * joined, so the work of a statement is bounded by the page and not by the
 * table.  Sorts end with the id, which makes the order of equal rows definite.
 */


#include "ngx_sf_api.h"


#define F_END          { NULL, NGX_SF_JSON_END, 0, NULL, NULL, 0 }
#define F(key, kind, column)                                                  \
    { key, NGX_SF_JSON_##kind, column, NULL, NULL, 0 }
#define F_LITERAL(key, text)                                                  \
    { key, NGX_SF_JSON_LITERAL, 0, NULL, text, 0 }
#define F_OBJECT(key, fields)                                                 \
    { key, NGX_SF_JSON_OBJECT, 0, fields, NULL, 0 }
#define F_ROWS(key, fields)                                                   \
    { key, NGX_SF_JSON_ROWS, -1, fields, NULL, 0 }
#define F_BACKWARDS(key, column, fields)                                      \
    { key, NGX_SF_JSON_BACKWARDS, column, fields, NULL, 0 }
#define F_MAP_FROM(key, column, first, fields)                                \
    { key, NGX_SF_JSON_MAP, column, fields, NULL, first }

#define P_END                                                                 \
    { NULL, NGX_SF_PARAM_END, NULL, 0, 0, 0, NULL, NULL, NULL }
#define P(name, type)                                                         \
    { name, NGX_SF_PARAM_##type, NULL, 0, 0, 0, NULL, NULL, NULL }
#define P_ALIAS(name, type, alias)                                            \
    { name, NGX_SF_PARAM_##type, alias, 0, 0, 0, NULL, NULL, NULL }
#define P_PAGES(alias, size, max)                                             \
    P("page", PAGE),                                                          \
    { "per_page", NGX_SF_PARAM_PAGE_SIZE, alias, size, 1, max, NULL, NULL,    \
      NULL }


/* --- fields that several shapes share --- */

static const ngx_sf_param_t  ngx_sf_no_params[] = { P_END };

static const ngx_sf_param_t  ngx_sf_id_params[] = { P("id", ID), P_END };


/* ms until the first of the rows counted drops out of the list, if one does */

#define NGX_SF_NEXT_DEADLINE                                                  \
    "floor(extract(epoch FROM min(deadline) FILTER (WHERE isfinite(deadline))"\
    " - localtimestamp) * 1000)::bigint"

/*
 * A list without pages has the newest of its rows when there are more than
 * this: a body has an end, however full the table is.  It is written backwards.
 */

#define NGX_SF_NEWEST  " DESC LIMIT 10000"


/* --- campaigns --- */

#define NGX_SF_CAMPAIGN_ACTIVE                                                \
    "status = 'active' AND deadline >= localtimestamp"

static const ngx_sf_param_t  ngx_sf_campaigns_params[] = {
    P_PAGES(NULL, 12, 0),
    P("category", STRING),
    P_END
};

static const char  ngx_sf_campaigns_sql[] =
    "/* review_campaigns */ "
    "SELECT c.id, c.title, c.product_name, c.category, c.reward_type, "
    "c.reward_value, c.max_reviewers, c.deadline, c.status, c.created_at, "
    "(SELECT count(*) FROM $schema.campaign_applications a "
    "WHERE a.campaign_id = c.id) "
    "FROM (SELECT * FROM $schema.campaigns WHERE " NGX_SF_CAMPAIGN_ACTIVE
    "[[ AND category = $category]] "
    "ORDER BY created_at DESC, id DESC $page) c "
    "ORDER BY c.created_at DESC, c.id DESC";

static const char  ngx_sf_campaigns_total[] =
    "/* review_campaigns total */ "
    "SELECT count(*), " NGX_SF_NEXT_DEADLINE " FROM $schema.campaigns "
    "WHERE " NGX_SF_CAMPAIGN_ACTIVE
    "[[ AND category = $category]]";

static const ngx_sf_json_field_t  ngx_sf_campaign_item[] = {
    F("applications_count", INT, 10),
    F("category", STRING, 3),
    F("created_at", TIME, 9),
    F("deadline", TIME, 7),
    F("id", INT, 0),
    F("max_reviewers", INT, 6),
    F("product_name", STRING, 2),
    F("reward_type", STRING, 4),
    F("reward_value", STRING, 5),
    F("status", STRING, 8),
    F("title", STRING, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_campaigns_fields[] = {
    F_ROWS("campaigns", ngx_sf_campaign_item),
    F("current_page", PAGE, 0),
    F("pages", PAGES, 0),
    F("total", TOTAL, 0),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_campaigns_shape[] = {
    F_OBJECT(NULL, ngx_sf_campaigns_fields)
};

static const char  ngx_sf_campaign_sql[] =
    "/* review_campaign */ "
    "SELECT c.id, c.title, c.product_name, c.category, c.reward_type, "
    "c.reward_value, c.max_reviewers, c.deadline, c.status, c.created_at, "
    "n.applications, c.description, "
    "greatest(0, coalesce(c.max_reviewers, 0) - n.applications) "
    "FROM $schema.campaigns c CROSS JOIN LATERAL "
    "(SELECT count(*) AS applications FROM $schema.campaign_applications a "
    "WHERE a.campaign_id = c.id) n "
    "WHERE c.id = $id";

static const ngx_sf_json_field_t  ngx_sf_campaign_fields[] = {
    F("applications_count", INT, 10),
    F("category", STRING, 3),
    F("created_at", TIME, 9),
    F("deadline", TIME, 7),
    F("description", STRING, 11),
    F("id", INT, 0),
    F("max_reviewers", INT, 6),
    F("product_name", STRING, 2),
    F("reward_type", STRING, 4),
    F("reward_value", STRING, 5),
    F("spots_available", INT, 12),
    F("status", STRING, 8),
    F("title", STRING, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_campaign_shape[] = {
    F_OBJECT(NULL, ngx_sf_campaign_fields)
};

static const char  ngx_sf_my_campaigns_sql[] =
    "/* review_my_campaigns */ "
    "SELECT c.id, c.title, c.product_name, c.category, c.status, "
    "c.max_reviewers, c.deadline, "
    "(SELECT count(*) FROM $schema.campaign_applications a "
    "WHERE a.campaign_id = c.id) "
    "FROM $schema.campaigns c WHERE c.creator_id = $user "
    "ORDER BY c.id" NGX_SF_NEWEST;

static const ngx_sf_json_field_t  ngx_sf_my_campaign_item[] = {
    F("applications_count", INT, 7),
    F("category", STRING, 3),
    F("deadline", TIME, 6),
    F("id", INT, 0),
    F("max_reviewers", INT, 5),
    F("product_name", STRING, 2),
    F("status", STRING, 4),
    F("title", STRING, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_my_campaigns_shape[] = {
    F_BACKWARDS(NULL, -1, ngx_sf_my_campaign_item)
};

static const char  ngx_sf_my_applications_sql[] =
    "/* review_my_applications */ "
    "SELECT a.id, c.title, c.product_name, c.reward_value, a.status, "
    "a.created_at FROM $schema.campaign_applications a "
    "JOIN $schema.campaigns c ON c.id = a.campaign_id "
    "WHERE a.user_id = $user ORDER BY a.id" NGX_SF_NEWEST;

static const ngx_sf_json_field_t  ngx_sf_my_application_item[] = {
    F("applied_at", TIME, 5),
    F("campaign_title", STRING, 1),
    F("id", INT, 0),
    F("product_name", STRING, 2),
    F("reward_value", STRING, 3),
    F("status", STRING, 4),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_my_applications_shape[] = {
    F_BACKWARDS(NULL, -1, ngx_sf_my_application_item)
};

/* one row at least for a campaign that exists, even without applications */

static const char  ngx_sf_campaign_applications_sql[] =
    "/* review_campaign_applications */ "
    "SELECT c.creator_id = $user, a.id, a.message, a.sns_link, "
    "a.follower_count, a.status, u.name, u.email FROM $schema.campaigns c "
    "LEFT JOIN $schema.campaign_applications a "
    "ON a.campaign_id = c.id AND c.creator_id = $user "
    "LEFT JOIN $schema.users u ON u.id = a.user_id "
    "WHERE c.id = $id ORDER BY a.id" NGX_SF_NEWEST;

static const ngx_sf_json_field_t  ngx_sf_campaign_application_item[] = {
    F("follower_count", INT, 4),
    F("id", INT, 1),
    F("message", STRING, 2),
    F("sns_link", STRING, 3),
    F("status", STRING, 5),
    F("user_email", STRING, 7),
    F("user_name", STRING, 6),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_campaign_applications_shape[] = {
    F_BACKWARDS(NULL, 1, ngx_sf_campaign_application_item)
};


/* --- listings --- */

#define NGX_SF_LISTING_ACTIVE                                                 \
    "status = 'active' AND deadline >= localtimestamp"

#define NGX_SF_LISTING_FILTERS                                                \
    "[[ AND category = $category]]"                                           \
    "[[ AND source_platform = $platform_one]]"                                \
    "[[ AND source_platform = ANY ($platform::text[])]]"                      \
    "[[ AND reward_type = $reward_type]]"                                     \
    "[[ AND reward_value >= $min_reward::bigint]]"                            \
    "[[ AND reward_value <= $max_reward::bigint]]"

#define NGX_SF_LISTING_COLUMNS                                                \
    "l.id, l.source_platform, l.external_id, l.title, l.brand, l.category, "  \
    "l.reward_type, l.reward_value, l.deadline, l.max_applicants, "           \
    "l.current_applicants, l.url, l.image_url, l.status, l.scraped_at, "

#define NGX_SF_LISTING_BOOKMARKED                                             \
    "EXISTS (SELECT FROM $schema.review_bookmarks b "                         \
    "WHERE b.user_id = $user AND b.listing_id = l.id) "

static const ngx_sf_choice_t  ngx_sf_listings_sorts[] = {
    { "deadline", "deadline, id" },
    { "reward_value", "reward_value DESC, id" },
    { "created", "scraped_at DESC, id" },
    { NULL, NULL }
};

static const ngx_sf_param_t  ngx_sf_listings_params[] = {
    P_PAGES("limit", 20, 0),
    P("category", STRING),
    P_ALIAS("platform", LIST, "source_platform"),
    P("platform_one", LIST_ONE),
    P("reward_type", STRING),
    P("min_reward", INT),
    P("max_reward", INT),
    { "sort_by", NGX_SF_PARAM_CHOICE, NULL, 0, 0, 0, NULL,
      ngx_sf_listings_sorts, NULL },
    P_END
};

static const char  ngx_sf_listings_sql[] =
    "/* review_listings */ "
    "SELECT " NGX_SF_LISTING_COLUMNS NGX_SF_LISTING_BOOKMARKED
    "FROM (SELECT * FROM $schema.review_listings WHERE " NGX_SF_LISTING_ACTIVE
    NGX_SF_LISTING_FILTERS
    " ORDER BY $sort_by $page) l ORDER BY $sort_by";

static const char  ngx_sf_listings_total[] =
    "/* review_listings total */ "
    "SELECT count(*), " NGX_SF_NEXT_DEADLINE " FROM $schema.review_listings "
    "WHERE " NGX_SF_LISTING_ACTIVE
    NGX_SF_LISTING_FILTERS;

#define NGX_SF_LISTING_FIELDS_TO_EXTERNAL_ID                                  \
    F("brand", STRING, 4),                                                    \
    F("category", STRING, 5),                                                 \
    F("created_at", TIME, 14),                                                \
    F("current_applicants", INT, 10),                                         \
    F("deadline", TIME, 8),                                                   \
    F("external_id", STRING, 2)

#define NGX_SF_LISTING_FIELDS_FROM_ID                                         \
    F("id", INT, 0),                                                          \
    F("image_url", STRING, 12),                                               \
    F("is_bookmarked", BOOL, 15),                                             \
    F("max_applicants", INT, 9),                                              \
    F("reward_type", STRING, 6),                                              \
    F("reward_value", INT, 7),                                                \
    F("source_platform", STRING, 1),                                          \
    F("status", STRING, 13),                                                  \
    F("title", STRING, 3),                                                    \
    F("url", STRING, 11)

static const ngx_sf_json_field_t  ngx_sf_listing_item[] = {
    NGX_SF_LISTING_FIELDS_TO_EXTERNAL_ID,
    NGX_SF_LISTING_FIELDS_FROM_ID,
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_listings_fields[] = {
    F("current_page", PAGE, 0),
    F_ROWS("listings", ngx_sf_listing_item),
    F("pages", PAGES, 0),
    F("total", TOTAL, 0),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_listings_shape[] = {
    F_OBJECT(NULL, ngx_sf_listings_fields)
};

static const ngx_sf_param_t  ngx_sf_listings_search_params[] = {
    P("q", SEARCH),
    P_PAGES(NULL, 20, 100),
    P_END
};

#define NGX_SF_LISTING_MATCHES                                                \
    " AND (title ILIKE $q OR brand ILIKE $q OR category ILIKE $q)"

static const char  ngx_sf_listings_search_sql[] =
    "/* review_listings_search */ "
    "SELECT " NGX_SF_LISTING_COLUMNS NGX_SF_LISTING_BOOKMARKED
    "FROM (SELECT * FROM $schema.review_listings WHERE " NGX_SF_LISTING_ACTIVE
    NGX_SF_LISTING_MATCHES
    " ORDER BY deadline, id $page) l ORDER BY l.deadline, l.id";

static const char  ngx_sf_listings_search_total[] =
    "/* review_listings_search total */ "
    "SELECT count(*), " NGX_SF_NEXT_DEADLINE " FROM $schema.review_listings "
    "WHERE " NGX_SF_LISTING_ACTIVE
    NGX_SF_LISTING_MATCHES;

/*
 * A row for each application of the user, or one without.  The OFFSET has all
 * applications counted once, not for each row.
 */

static const char  ngx_sf_listing_sql[] =
    "/* review_listing */ "
    "SELECT " NGX_SF_LISTING_COLUMNS NGX_SF_LISTING_BOOKMARKED ", "
    "l.applications, m.id, m.account_id, m.applied_at, m.status "
    "FROM (SELECT *, (SELECT count(*) FROM $schema.review_applications n "
    "WHERE n.listing_id = o.id) AS applications "
    "FROM $schema.review_listings o WHERE o.id = $id OFFSET 0) l "
    "LEFT JOIN LATERAL "
    "(SELECT a.id, a.account_id, a.applied_at, a.status "
    "FROM $schema.review_applications a "
    "JOIN $schema.review_accounts r ON r.id = a.account_id "
    "WHERE a.listing_id = l.id AND r.user_id = $user) m ON true "
    "ORDER BY m.id" NGX_SF_NEWEST;

static const ngx_sf_json_field_t  ngx_sf_listing_application[] = {
    F("account_id", INT, 18),
    F("applied_at", TIME, 19),
    F("id", INT, 17),
    F("status", STRING, 20),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_listing_fields[] = {
    F("application_count", INT, 16),
    NGX_SF_LISTING_FIELDS_TO_EXTERNAL_ID,
    NGX_SF_LISTING_FIELDS_FROM_ID,
    F_BACKWARDS("user_applications", 17, ngx_sf_listing_application),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_listing_shape[] = {
    F_OBJECT(NULL, ngx_sf_listing_fields)
};

static const ngx_sf_param_t  ngx_sf_bookmarks_params[] = {
    P_PAGES(NULL, 20, 0),
    P_END
};

static const char  ngx_sf_bookmarks_sql[] =
    "/* review_bookmarks */ "
    "SELECT " NGX_SF_LISTING_COLUMNS "true, b.created_at "
    "FROM (SELECT id, listing_id, created_at FROM $schema.review_bookmarks "
    "WHERE user_id = $user ORDER BY created_at DESC, id DESC $page) b "
    "JOIN $schema.review_listings l ON l.id = b.listing_id "
    "ORDER BY b.created_at DESC, b.id DESC";

static const char  ngx_sf_bookmarks_total[] =
    "/* review_bookmarks total */ "
    "SELECT count(*) FROM $schema.review_bookmarks WHERE user_id = $user";

static const ngx_sf_json_field_t  ngx_sf_bookmark_item[] = {
    F("bookmarked_at", TIME, 16),
    NGX_SF_LISTING_FIELDS_TO_EXTERNAL_ID,
    NGX_SF_LISTING_FIELDS_FROM_ID,
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_bookmarks_fields[] = {
    F_ROWS("bookmarks", ngx_sf_bookmark_item),
    F("current_page", PAGE, 0),
    F("pages", PAGES, 0),
    F("total", TOTAL, 0),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_bookmarks_shape[] = {
    F_OBJECT(NULL, ngx_sf_bookmarks_fields)
};


/* --- social networks --- */

static const char  ngx_sf_accounts_sql[] =
    "/* sns_accounts */ "
    "SELECT a.id, a.platform, a.account_name, a.is_active, a.created_at, "
    "(SELECT count(*) FROM $schema.sns_posts p "
    "WHERE p.account_id = a.id AND p.user_id = $user) "
    "FROM $schema.sns_accounts a WHERE a.user_id = $user "
    "ORDER BY a.id" NGX_SF_NEWEST;

static const ngx_sf_json_field_t  ngx_sf_account_item[] = {
    F("account_name", STRING, 2),
    F("created_at", TIME, 4),
    F("id", INT, 0),
    F("is_active", BOOL, 3),
    F("platform", STRING, 1),
    F("post_count", INT, 5),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_accounts_shape[] = {
    F_BACKWARDS(NULL, -1, ngx_sf_account_item)
};

static const ngx_sf_param_t  ngx_sf_posts_params[] = {
    P_PAGES("limit", 20, 0),
    P("account_id", INT),
    P("status", STRING),
    P_END
};

#define NGX_SF_POSTS_FILTERS                                                  \
    "user_id = $user[[ AND account_id = $account_id::bigint]]"                \
    "[[ AND status = $status]]"

/* one code point more than is shown, so that the writer sees the cut */

static const char  ngx_sf_posts_sql[] =
    "/* sns_posts */ "
    "SELECT p.id, left(p.content, 101), p.platform, p.status, "
    "p.template_type, p.scheduled_at, p.created_at, a.account_name "
    "FROM (SELECT * FROM $schema.sns_posts WHERE " NGX_SF_POSTS_FILTERS
    " ORDER BY created_at DESC, id DESC $page) p "
    "LEFT JOIN $schema.sns_accounts a ON a.id = p.account_id "
    "ORDER BY p.created_at DESC, p.id DESC";

static const char  ngx_sf_posts_total[] =
    "/* sns_posts total */ "
    "SELECT count(*) FROM $schema.sns_posts WHERE " NGX_SF_POSTS_FILTERS;

static const ngx_sf_json_field_t  ngx_sf_post_item[] = {
    F("account_name", STRING, 7),
    F("content", CUT100, 1),
    F("created_at", TIME, 6),
    F("id", INT, 0),
    F("platform", STRING, 2),
    F("scheduled_at", TIME, 5),
    F("status", STRING, 3),
    F("template_type", STRING, 4),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_posts_fields[] = {
    F("current_page", PAGE, 0),
    F("pages", PAGES, 0),
    F_ROWS("posts", ngx_sf_post_item),
    F("total", TOTAL, 0),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_posts_shape[] = {
    F_OBJECT(NULL, ngx_sf_posts_fields)
};

static const ngx_sf_param_t  ngx_sf_analytics_params[] = {
    P_ALIAS("end_date", DATE, "date_to"),
    { "start_date", NGX_SF_PARAM_DATE, "date_from", 30, 0, 0, NULL, NULL,
      "end_date" },
    P("platform", STRING),
    P_END
};

/*
 * Row 0 holds the totals, the others a platform each.  Followers are those of
 * each account's newest day in the range.
 */

static const char  ngx_sf_analytics_sql[] =
    "/* sns_analytics */ "
    "WITH accounts AS (SELECT a.account_id, "
    "sum(a.total_engagement) AS engagement, sum(a.total_reach) AS reach, "
    "sum(a.total_impressions) AS impressions, "
    "(array_agg(a.followers ORDER BY a.date DESC, a.id DESC))[1] AS followers "
    "FROM $schema.sns_analytics a WHERE a.user_id = $user "
    "AND a.date BETWEEN $start_date::date AND $end_date::date "
    "GROUP BY a.account_id), "
    "parts AS (SELECT s.platform, a.engagement, a.reach, a.impressions, "
    "a.followers, 0 AS posts "
    "FROM accounts a JOIN $schema.sns_accounts s ON s.id = a.account_id"
    "[[ WHERE s.platform = $platform]] "
    "UNION ALL SELECT p.platform, 0, 0, 0, 0, count(*) "
    "FROM $schema.sns_posts p WHERE p.user_id = $user "
    "AND p.created_at >= $start_date::date "
    "AND p.created_at < $end_date::date + 1"
    "[[ AND p.platform = $platform]] GROUP BY p.platform), "
    "sums AS (SELECT platform, grouping(platform) AS all_platforms, "
    "coalesce(sum(engagement), 0) AS engagement, "
    "coalesce(sum(followers), 0) AS followers, "
    "coalesce(sum(impressions), 0) AS impressions, "
    "coalesce(sum(posts), 0) AS posts, coalesce(sum(reach), 0) AS reach "
    "FROM parts GROUP BY GROUPING SETS ((platform), ())) "
    "SELECT platform, engagement, followers, impressions, posts, reach, "
    "engagement::float8 / greatest(reach, 1)::float8 * 100, "
    "$start_date::date, $end_date::date "
    "FROM sums ORDER BY all_platforms DESC, platform";

static const ngx_sf_json_field_t  ngx_sf_analytics_sums[] = {
    F("engagement", INT, 1),
    F("followers", INT, 2),
    F("impressions", INT, 3),
    F("posts", INT, 4),
    F("reach", INT, 5),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_analytics_period[] = {
    F("end", DATE, 8),
    F("start", DATE, 7),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_analytics_data[] = {
    F("average_engagement_rate", ROUND2, 6),
    F_MAP_FROM("by_platform", 0, 1, ngx_sf_analytics_sums),
    F_OBJECT("period", ngx_sf_analytics_period),
    F_OBJECT("totals", ngx_sf_analytics_sums),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_analytics_fields[] = {
    F_OBJECT("data", ngx_sf_analytics_data),
    F_MAP_FROM("platform_breakdown", 0, 1, ngx_sf_analytics_sums),
    F_LITERAL("success", "true"),
    F("total_posts", INT, 4),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_analytics_shape[] = {
    F_OBJECT(NULL, ngx_sf_analytics_fields)
};


/* --- dashboard, analytics, performance --- */

#define NGX_SF_COUNT_USERS  "(SELECT count(*) FROM $schema.users)"

#define NGX_SF_COUNT_SUBSCRIPTIONS                                            \
    "(SELECT count(*) FROM $schema.subscriptions WHERE status = 'active')"

static const char  ngx_sf_kpis_sql[] =
    "/* dashboard_kpis */ "
    "SELECT nullif(p.recent, 0), " NGX_SF_COUNT_USERS ", "
    NGX_SF_COUNT_SUBSCRIPTIONS ", "
    "coalesce((coalesce(p.recent, 0) - p.earlier) "
    "/ nullif(p.earlier, 0) * 100, 0) "
    "FROM (SELECT sum(amount) FILTER (WHERE created_at >= "
    "localtimestamp - interval '30 days') AS recent, "
    "sum(amount) FILTER (WHERE created_at < "
    "localtimestamp - interval '30 days') AS earlier "
    "FROM $schema.payments WHERE status = 'completed' "
    "AND created_at >= localtimestamp - interval '60 days') p";

static const ngx_sf_json_field_t  ngx_sf_kpi_subscriptions[] = {
    F_LITERAL("unit", "\"subscriptions\""),
    F("value", INT, 2),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_kpi_growth[] = {
    F_LITERAL("unit", "\"%\""),
    F("value", ROUND2, 3),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_kpi_revenue[] = {
    F_LITERAL("unit", "\"$\""),
    F("value", ROUND2_OR_0, 0),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_kpi_users[] = {
    F_LITERAL("unit", "\"users\""),
    F("value", INT, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_kpis_fields[] = {
    F_OBJECT("active_subscriptions", ngx_sf_kpi_subscriptions),
    F_OBJECT("growth", ngx_sf_kpi_growth),
    F_OBJECT("revenue", ngx_sf_kpi_revenue),
    F_OBJECT("total_users", ngx_sf_kpi_users),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_kpis_shape[] = {
    F_OBJECT(NULL, ngx_sf_kpis_fields)
};

static const char  ngx_sf_summary_sql[] =
    "/* dashboard_summary */ "
    "SELECT " NGX_SF_COUNT_SUBSCRIPTIONS ", " NGX_SF_COUNT_USERS;

static const ngx_sf_json_field_t  ngx_sf_summary_fields[] = {
    F("active_subscriptions", INT, 0),
    F("total_users", INT, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_summary_shape[] = {
    F_OBJECT(NULL, ngx_sf_summary_fields)
};

static const char  ngx_sf_overview_sql[] =
    "/* analytics_overview */ "
    "SELECT (SELECT count(*) FROM $schema.campaigns "
    "WHERE " NGX_SF_CAMPAIGN_ACTIVE "), "
    "(SELECT count(*) FROM $schema.review_listings "
    "WHERE " NGX_SF_LISTING_ACTIVE "), " NGX_SF_COUNT_SUBSCRIPTIONS ", "
    "coalesce((SELECT sum(amount) FROM $schema.payments "
    "WHERE status = 'completed' "
    "AND created_at >= localtimestamp - interval '30 days'), 0), "
    "(SELECT count(*) FROM $schema.sns_accounts), "
    "(SELECT count(*) FROM $schema.sns_posts), "
    "coalesce((SELECT sum(amount) FROM $schema.payments "
    "WHERE status = 'completed'), 0), " NGX_SF_COUNT_USERS;

static const ngx_sf_json_field_t  ngx_sf_overview_fields[] = {
    F("active_campaigns", INT, 0),
    F("active_listings", INT, 1),
    F("active_subscriptions", INT, 2),
    F("revenue_30d", ROUND2, 3),
    F("sns_accounts", INT, 4),
    F("sns_posts", INT, 5),
    F("total_revenue", ROUND2, 6),
    F("total_users", INT, 7),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_overview_shape[] = {
    F_OBJECT(NULL, ngx_sf_overview_fields)
};

#define NGX_SF_ADVANCED_DAYS  3660

static const ngx_sf_param_t  ngx_sf_advanced_params[] = {
    { "metric", NGX_SF_PARAM_TEXT, NULL, 0, 0, 0, "revenue", NULL, NULL },
    { "period", NGX_SF_PARAM_INT_STRICT, NULL, 30, -NGX_SF_ADVANCED_DAYS,
      NGX_SF_ADVANCED_DAYS, NULL, NULL, NULL },
    P_END
};

/* each point is the revenue from then to now: one pass over the payments */

static const char  ngx_sf_advanced_sql[] =
    "/* analytics_advanced */ "
    "WITH points AS (SELECT n, localtimestamp - n * interval '1 day' AS t "
    "FROM generate_series(0, $period::integer) n), "
    "sums AS (SELECT date_bin('1 day', least(created_at, localtimestamp), "
    "localtimestamp) AS t, sum(amount) AS amount FROM $schema.payments "
    "WHERE $metric = 'revenue' AND status = 'completed' "
    "AND created_at >= localtimestamp "
    "- $period::integer * interval '1 day' GROUP BY 1) "
    "SELECT p.t, coalesce(sum(s.amount) OVER (ORDER BY p.n), 0) "
    "FROM points p LEFT JOIN sums s ON s.t = p.t ORDER BY p.n DESC";

static const ngx_sf_json_field_t  ngx_sf_advanced_point[] = {
    F("timestamp", TIME, 0),
    F("value", FLOAT, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_advanced_fields[] = {
    F_ROWS("data", ngx_sf_advanced_point),
    F("metric", PARAM, 0),
    F("period", PARAM, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_advanced_shape[] = {
    F_OBJECT(NULL, ngx_sf_advanced_fields)
};

/* created_at is not NULL here, but to_char() of infinity is */

static const char  ngx_sf_cohort_sql[] =
    "/* analytics_cohort */ "
    "SELECT coalesce(to_char(date_trunc('month', created_at), 'YYYY-MM'), "
    "'9999-12'), count(*) "
    "FROM $schema.users "
    "WHERE created_at >= localtimestamp - interval '180 days' "
    "GROUP BY date_trunc('month', created_at) "
    "ORDER BY date_trunc('month', created_at)";

static const ngx_sf_json_field_t  ngx_sf_cohort_item[] = {
    F("signup_date", STRING, 0),
    F("total_users", INT, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_cohort_shape[] = {
    F_ROWS(NULL, ngx_sf_cohort_item)
};

static const char  ngx_sf_funnel_sql[] =
    "/* analytics_funnel */ "
    "WITH n AS MATERIALIZED (SELECT " NGX_SF_COUNT_USERS " AS signed_up, "
    NGX_SF_COUNT_SUBSCRIPTIONS " AS subscribed, "
    "(SELECT count(*) FROM $schema.payments "
    "WHERE status = 'completed') AS paid) "
    "SELECT s.stage, s.rate, s.reached FROM n CROSS JOIN LATERAL (VALUES "
    "(1, 'Signups', 100::float8, n.signed_up), "
    "(2, 'Subscribed', n.subscribed::float8 / nullif(n.signed_up, 0)::float8 "
    "* 100, n.subscribed), "
    "(3, 'Paid', n.paid::float8 / nullif(n.subscribed, 0)::float8 * 100, "
    "n.paid)) s (position, stage, rate, reached) ORDER BY s.position";

static const ngx_sf_json_field_t  ngx_sf_funnel_item[] = {
    F("conversion_rate", FLOAT_OR_0, 1),
    F("stage", STRING, 0),
    F("users", INT, 2),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_funnel_shape[] = {
    F_ROWS(NULL, ngx_sf_funnel_item)
};

static const ngx_sf_param_t  ngx_sf_trends_params[] = {
    { "days", NGX_SF_PARAM_INT_DEFAULT, NULL, 30, 0, 0, NULL, NULL, NULL },
    P_END
};

static const ngx_sf_json_field_t  ngx_sf_trends_fields[] = {
    F_LITERAL("average_daily_revenue", "100.0"),
    F_LITERAL("forecast_next_7_days", "700.0"),
    F("period", PARAM_INT, 0),
    F_LITERAL("trend", "\"up\""),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_trends_shape[] = {
    F_OBJECT(NULL, ngx_sf_trends_fields)
};

/* an acquired user costs 50 */

static const char  ngx_sf_roi_sql[] =
    "/* performance_roi */ "
    "WITH s AS MATERIALIZED (SELECT "
    NGX_SF_COUNT_SUBSCRIPTIONS " AS active, "
    "coalesce((SELECT sum(amount) FROM $schema.payments "
    "WHERE status = 'completed'), 0)::float8 AS revenue, "
    NGX_SF_COUNT_USERS "::float8 * 50 AS cost) "
    "SELECT s.active, "
    "(s.revenue - s.cost) / nullif(s.cost, 0) * 100, "
    "(s.revenue - s.cost) / nullif(s.revenue, 0) * 100 FROM s";

static const ngx_sf_json_field_t  ngx_sf_roi_breakeven[] = {
    F("current", INT, 0),
    F_LITERAL("value", "10"),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_roi_clv_cac[] = {
    F_LITERAL("unit", "\"x\""),
    F_LITERAL("value", "10.0"),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_roi_cac[] = {
    F_LITERAL("unit", "\"$\""),
    F_LITERAL("value", "50"),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_roi_clv[] = {
    F_LITERAL("unit", "\"$\""),
    F_LITERAL("value", "500.0"),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_roi_overall[] = {
    F_LITERAL("unit", "\"%\""),
    F("value", ROUND2_OR_0, 1),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_roi_margin[] = {
    F_LITERAL("unit", "\"%\""),
    F("value", ROUND2_OR_0, 2),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_roi_fields[] = {
    F_OBJECT("breakeven_subscriptions", ngx_sf_roi_breakeven),
    F_OBJECT("clv_cac_ratio", ngx_sf_roi_clv_cac),
    F_OBJECT("customer_acquisition_cost", ngx_sf_roi_cac),
    F_OBJECT("customer_lifetime_value", ngx_sf_roi_clv),
    F_OBJECT("overall_roi", ngx_sf_roi_overall),
    F_OBJECT("profit_margin", ngx_sf_roi_margin),
    F_END
};

static const ngx_sf_json_field_t  ngx_sf_roi_shape[] = {
    F_OBJECT(NULL, ngx_sf_roi_fields)
};


/* --- documents that never change --- */

static const char  ngx_sf_templates_body[] =
    "{\"blog_post\":{\"name\":\"Blog Post\",\"platforms\":[\"blog\"]},"
    "\"card_news\":{\"name\":\"Card News\","
    "\"platforms\":[\"instagram\",\"tiktok\"]},"
    "\"carousel\":{\"name\":\"Carousel\",\"platforms\":[\"instagram\"]},"
    "\"reel\":{\"name\":\"Reel\",\"platforms\":[\"instagram\"]},"
    "\"shorts\":{\"name\":\"YouTube Shorts\","
    "\"platforms\":[\"youtube\"]}}\n";

static const char  ngx_sf_charts_body[] =
    "{\"revenue_trend\":{\"datasets\":[],\"labels\":[\"Jan\",\"Feb\"]}}\n";

static const char  ngx_sf_service_metrics_body[] =
    "{\"coocook\":{\"bookings\":0,\"name\":\"CooCook\",\"revenue\":0},"
    "\"sns_auto\":{\"name\":\"SNS Auto\",\"posts\":0,\"reach\":0}}\n";

static const char  ngx_sf_product_roi_body[] =
    "[{\"product\":\"CooCook\",\"roi\":85.5,\"roi_rank\":\"A\","
    "\"subscriptions\":10},"
    "{\"product\":\"SNS Auto\",\"roi\":120.0,\"roi_rank\":\"A\","
    "\"subscriptions\":25}]\n";

static const char  ngx_sf_efficiency_body[] =
    "{\"active_subscription_rate\":{\"unit\":\"%\",\"value\":75.0},"
    "\"customer_satisfaction\":{\"unit\":\"%\",\"value\":92.0},"
    "\"revenue_per_employee\":{\"unit\":\"$/month\",\"value\":50000.0},"
    "\"revenue_per_user\":{\"unit\":\"$/month\",\"value\":50.0}}\n";

static const char  ngx_sf_forecast_body[] =
    "{\"forecasted_revenue\":15000.0,\"growth_rate\":\"15%\","
    "\"quarter\":\"Q2 2026\",\"roi_outlook\":\"Positive\"}\n";

static const char  ngx_sf_benchmarks_body[] =
    "{\"metrics\":{\"customer_churn_rate\":{\"industry_median\":7,"
    "\"your_value\":5},\"monthly_revenue\":{\"industry_median\":10000,"
    "\"your_value\":5000}}}\n";


/* --- the rows --- */

#define NGX_SF_HEAVY_ROW(row_name, row_path, row_sql, row_shape, row_ttl,     \
                         row_tags)                                            \
    { .name = row_name, .path = row_path, .method = NGX_HTTP_GET,             \
      .access = NGX_SF_USER, .params = ngx_sf_no_params,                      \
      .lane = NGX_SF_PG_HEAVY, .sql = row_sql, .tags = row_tags,              \
      .ttl = row_ttl, .shape = row_shape }

#define NGX_SF_CONSTANT_ROW(row_name, row_path, row_body)                     \
    { .name = row_name, .path = row_path, .method = NGX_HTTP_GET,             \
      .access = NGX_SF_USER, .params = ngx_sf_no_params, .body = row_body }

#define NGX_SF_DOCUMENT_ROW(row_name, row_path, row_document)                 \
    { .name = row_name, .path = row_path, .method = NGX_HTTP_GET,             \
      .access = NGX_SF_ANYONE, .params = ngx_sf_no_params,                    \
      .lane = NGX_SF_PG_PING, .document = row_document }


const ngx_sf_row_t  ngx_sf_api[] = {

    { .name = "review_campaigns",
      .path = "/api/review/campaigns",
      .method = NGX_HTTP_GET,
      .app_methods = NGX_HTTP_POST,
      .access = NGX_SF_ANONYMOUS,
      .params = ngx_sf_campaigns_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_campaigns_sql,
      .tags = "campaigns campaign_applications",
      .ttl = 300,
      .total = ngx_sf_campaigns_total,
      .total_tags = "campaigns",
      .deadlines = 1,
      .shape = ngx_sf_campaigns_shape },

    { .name = "review_campaign",
      .path = "/api/review/campaigns/{id}",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_ANONYMOUS,
      .params = ngx_sf_id_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_campaign_sql,
      .tags = "campaigns.id=$id campaign_applications.campaign_id=$id",
      .ttl = 300,
      .shape = ngx_sf_campaign_shape,
      .missing = "Campaign not found" },

    { .name = "review_campaign_applications",
      .path = "/api/review/campaigns/{id}/applications",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .product = "review",
      .params = ngx_sf_id_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_campaign_applications_sql,
      .tags = "campaigns.id=$id campaign_applications.campaign_id=$id "
              "users",
      .ttl = 300,
      .shape = ngx_sf_campaign_applications_shape,
      .missing = "Campaign not found",
      .forbidden = "Not authorized" },

    { .name = "review_my_campaigns",
      .path = "/api/review/my-campaigns",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .product = "review",
      .params = ngx_sf_no_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_my_campaigns_sql,
      .tags = "campaigns.creator_id=$user campaign_applications",
      .ttl = 300,
      .shape = ngx_sf_my_campaigns_shape },

    { .name = "review_my_applications",
      .path = "/api/review/my-applications",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .params = ngx_sf_no_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_my_applications_sql,
      .tags = "campaign_applications.user_id=$user campaigns",
      .ttl = 300,
      .shape = ngx_sf_my_applications_shape },

    { .name = "review_listings",
      .path = "/api/review/listings",
      .method = NGX_HTTP_GET,
      .app_methods = NGX_HTTP_POST,
      .access = NGX_SF_USER,
      .params = ngx_sf_listings_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_listings_sql,
      .tags = "review_listings review_bookmarks.user_id=$user",
      .ttl = 300,
      .total = ngx_sf_listings_total,
      .total_tags = "review_listings",
      .deadlines = 1,
      .shape = ngx_sf_listings_shape },

    { .name = "review_listings_search",
      .path = "/api/review/listings/search",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .params = ngx_sf_listings_search_params,
      .lane = NGX_SF_PG_HEAVY,
      .sql = ngx_sf_listings_search_sql,
      .tags = "review_listings review_bookmarks.user_id=$user",
      .ttl = 300,
      .total = ngx_sf_listings_search_total,
      .total_tags = "review_listings",
      .deadlines = 1,
      .shape = ngx_sf_listings_shape },

    { .name = "review_listing",
      .path = "/api/review/listings/{id}",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .params = ngx_sf_id_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_listing_sql,
      .tags = "review_listings.id=$id review_bookmarks.user_id=$user "
              "review_applications.listing_id=$id "
              "review_accounts.user_id=$user",
      .ttl = 300,
      .shape = ngx_sf_listing_shape,
      .missing = "Listing not found" },

    { .name = "review_bookmarks",
      .path = "/api/review/bookmarks",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .params = ngx_sf_bookmarks_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_bookmarks_sql,
      .tags = "review_bookmarks.user_id=$user review_listings",
      .ttl = 300,
      .total = ngx_sf_bookmarks_total,
      .total_tags = "review_bookmarks.user_id=$user",
      .shape = ngx_sf_bookmarks_shape },

    { .name = "sns_accounts",
      .path = "/api/sns/accounts",
      .method = NGX_HTTP_GET,
      .app_methods = NGX_HTTP_POST,
      .access = NGX_SF_USER,
      .product = "sns-auto",
      .params = ngx_sf_no_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_accounts_sql,
      .tags = "sns_accounts.user_id=$user sns_posts.user_id=$user",
      .ttl = 300,
      .shape = ngx_sf_accounts_shape },

    { .name = "sns_posts",
      .path = "/api/sns/posts",
      .method = NGX_HTTP_GET,
      .app_methods = NGX_HTTP_POST,
      .access = NGX_SF_USER,
      .product = "sns-auto",
      .params = ngx_sf_posts_params,
      .lane = NGX_SF_PG_READ,
      .sql = ngx_sf_posts_sql,
      .tags = "sns_posts.user_id=$user sns_accounts",
      .ttl = 300,
      .total = ngx_sf_posts_total,
      .total_tags = "sns_posts.user_id=$user",
      .shape = ngx_sf_posts_shape },

    { .name = "sns_analytics",
      .path = "/api/sns/analytics",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .product = "sns-auto",
      .params = ngx_sf_analytics_params,
      .lane = NGX_SF_PG_HEAVY,
      .sql = ngx_sf_analytics_sql,
      .tags = "sns_analytics.user_id=$user sns_accounts "
              "sns_posts.user_id=$user",
      .ttl = 300,
      .shape = ngx_sf_analytics_shape },

    NGX_SF_CONSTANT_ROW("sns_templates", "/api/sns/templates",
                        ngx_sf_templates_body),

    NGX_SF_HEAVY_ROW("dashboard_kpis", "/api/dashboard/kpis",
                     ngx_sf_kpis_sql, ngx_sf_kpis_shape, 30,
                     "payments users subscriptions"),

    NGX_SF_CONSTANT_ROW("dashboard_charts", "/api/dashboard/charts",
                        ngx_sf_charts_body),

    NGX_SF_HEAVY_ROW("dashboard_summary", "/api/dashboard/summary",
                     ngx_sf_summary_sql, ngx_sf_summary_shape, 30,
                     "subscriptions users"),

    NGX_SF_HEAVY_ROW("analytics_overview", "/api/analytics/overview",
                     ngx_sf_overview_sql, ngx_sf_overview_shape, 60,
                     "campaigns review_listings subscriptions payments "
                     "sns_accounts sns_posts users"),

    { .name = "analytics_advanced",
      .path = "/api/analytics/advanced",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .params = ngx_sf_advanced_params,
      .lane = NGX_SF_PG_HEAVY,
      .sql = ngx_sf_advanced_sql,
      .tags = "payments",
      .ttl = 60,
      .shape = ngx_sf_advanced_shape },

    NGX_SF_HEAVY_ROW("analytics_cohort", "/api/analytics/cohort",
                     ngx_sf_cohort_sql, ngx_sf_cohort_shape, 60,
                     "users"),

    NGX_SF_HEAVY_ROW("analytics_funnel", "/api/analytics/funnel",
                     ngx_sf_funnel_sql, ngx_sf_funnel_shape, 60,
                     "users subscriptions payments"),

    NGX_SF_CONSTANT_ROW("analytics_service_metrics",
                        "/api/analytics/service-metrics",
                        ngx_sf_service_metrics_body),

    { .name = "analytics_trends",
      .path = "/api/analytics/trends",
      .method = NGX_HTTP_GET,
      .access = NGX_SF_USER,
      .params = ngx_sf_trends_params,
      .shape = ngx_sf_trends_shape },

    NGX_SF_HEAVY_ROW("performance_roi", "/api/performance/roi",
                     ngx_sf_roi_sql, ngx_sf_roi_shape, 900,
                     "subscriptions payments users"),

    NGX_SF_CONSTANT_ROW("performance_product_roi",
                        "/api/performance/product-roi",
                        ngx_sf_product_roi_body),

    NGX_SF_CONSTANT_ROW("performance_efficiency",
                        "/api/performance/efficiency",
                        ngx_sf_efficiency_body),

    NGX_SF_CONSTANT_ROW("performance_forecast", "/api/performance/forecast",
                        ngx_sf_forecast_body),

    NGX_SF_CONSTANT_ROW("performance_benchmarks",
                        "/api/performance/benchmarks",
                        ngx_sf_benchmarks_body),

    NGX_SF_DOCUMENT_ROW("health", "/health", NGX_SF_DOCUMENT_HEALTH),
    NGX_SF_DOCUMENT_ROW("api_health", "/api/health", NGX_SF_DOCUMENT_HEALTH),
    NGX_SF_DOCUMENT_ROW("ready", "/ready", NGX_SF_DOCUMENT_READY),

    { .name = NULL }
};


/* %V: an expression that makes a bit of p.slug, see ngx_sf_resource.c */

const char  ngx_sf_api_principal[] =
    "/* principal */ "
    "SELECT u.is_active, (SELECT bit_or((SELECT %V "
    "FROM $schema.products p WHERE p.id = s.product_id)) "
    "FROM $schema.subscriptions s "
    "WHERE s.user_id = $user AND s.status = 'active') "
    "FROM $schema.users u WHERE u.id = $user";

const char  ngx_sf_api_principal_tags[] =
    "users.id=$user subscriptions.user_id=$user products";

const char  ngx_sf_api_ping[] = "/* ping */ SELECT 1";

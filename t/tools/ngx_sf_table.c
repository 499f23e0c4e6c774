
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The tables of SoftFactory, and the key columns by which their changes are
 * told apart: conf/postgresql/softfactory-tables.sql, which has them watched, is
 * generated from this list, and tests go by it.  The module itself does not
 * know it.
 *
 * A trigger sends the text
 *
 *     table [key=value,value,... | key=*] ...
 *
 * where * means that the values are too many to be told.
 */


#include "ngx_sf_table.h"


const ngx_sf_table_t  ngx_sf_tables[] = {

    { "users", { "id", NULL },
      "is_active,created_at,name,email" },

    { "products", { NULL, NULL },
      "slug" },

    { "subscriptions", { "user_id", NULL },
      "product_id,status" },

    { "payments", { NULL, NULL },
      "amount,status,created_at" },

    { "campaigns", { "id", "creator_id" },
      "title,product_name,category,reward_type,reward_value,max_reviewers,"
      "deadline,status,created_at,description" },

    { "campaign_applications", { "campaign_id", "user_id" },
      "message,sns_link,follower_count,status,created_at" },

    { "review_listings", { "id", NULL },
      "source_platform,external_id,title,brand,category,reward_type,"
      "reward_value,deadline,max_applicants,current_applicants,url,image_url,"
      "status,scraped_at" },

    { "review_accounts", { "user_id", NULL },
      "" },

    { "review_applications", { "listing_id", NULL },
      "account_id,applied_at,status" },

    { "review_bookmarks", { "user_id", NULL },
      "listing_id,created_at" },

    { "sns_accounts", { "user_id", NULL },
      "platform,account_name,is_active,created_at" },

    { "sns_posts", { "user_id", NULL },
      "account_id,content,platform,status,template_type,scheduled_at,"
      "created_at" },

    { "sns_analytics", { "user_id", NULL },
      "account_id,date,followers,total_engagement,total_reach,"
      "total_impressions" },

    { NULL, { NULL, NULL }, NULL }
};


ngx_uint_t
ngx_sf_table_count(void)
{
    return sizeof(ngx_sf_tables) / sizeof(ngx_sf_tables[0]) - 1;
}


ngx_int_t
ngx_sf_table_find(const u_char *name, size_t len)
{
    ngx_uint_t  i;

    for (i = 0; ngx_sf_tables[i].name; i++) {
        if (ngx_strlen(ngx_sf_tables[i].name) == len
            && ngx_memcmp(ngx_sf_tables[i].name, name, len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_sf_table_key(ngx_uint_t table, const u_char *name, size_t len)
{
    ngx_uint_t   i;
    const char  *key;

    for (i = 0; i < NGX_SF_TABLE_KEYS; i++) {
        key = ngx_sf_tables[table].keys[i];

        if (key && ngx_strlen(key) == len && ngx_memcmp(key, name, len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


uint32_t
ngx_sf_table_version(ngx_uint_t table)
{
    uint32_t               crc;
    ngx_uint_t             i;
    const ngx_sf_table_t  *t;

    t = &ngx_sf_tables[table];

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, (u_char *) t->name, ngx_strlen(t->name) + 1);

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        ngx_crc32_update(&crc, (u_char *) t->keys[i],
                         ngx_strlen(t->keys[i]) + 1);
    }

    ngx_crc32_update(&crc, (u_char *) t->columns, ngx_strlen(t->columns));
    ngx_crc32_final(crc);

    return crc;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Identities: what is kept in the zone is found by the definition that it was
 * made by, not by the name of an endpoint.
 *
 * Entries outlive a configuration.  After a reload, which may bring a new
 * module, an endpoint of the same name can have another statement, another
 * default of a parameter, or a tag that was forgotten: what was stored before
 * must not be found by it, since it is not what the endpoint would answer now,
 * or would not be dropped when it should.  So each key begins with a digest of
 * all that has an effect on the bytes and on when they are dropped.
 *
 * What has no effect on them is left out: name, path, method and the
 * application's methods say how the endpoint is reached, access and product who
 * may, lane when its statement is sent, and a ttl is applied when an entry is
 * found.  An endpoint that has got another ttl keeps what it has.
 *
 * 128 bits of MD5 are many enough that no two definitions meet by accident, and
 * nobody but the operator chooses one.  Two endpoints that are the same in all
 * of that are refused: they would answer with each other's entries, and one of
 * them is a mistake.
 *
 * The structures are walked by tables of their members.  Each member is a byte
 * that says what it is, and its bytes, a text behind its length; a list has a
 * byte before each of its elements, and another one at its end.  No two
 * definitions are the same bytes therefore, however texts and lists are cut.
 */


#include "ngx_sf_api.h"

#include <ngx_md5.h>


typedef enum {
    NGX_SF_IDENTITY_END = 0,
    NGX_SF_IDENTITY_NUMBER,     /* the bytes of it */
    NGX_SF_IDENTITY_TEXT,       /* const char * */
    NGX_SF_IDENTITY_LIST        /* the same, up to one whose first member in
                                   the table is zero */
} ngx_sf_identity_form_e;


/* a byte in front of what is digested, beside the forms */

#define NGX_SF_IDENTITY_NONE     16       /* a NULL instead of it */
#define NGX_SF_IDENTITY_ELEMENT  17
#define NGX_SF_IDENTITY_LAST     18       /* no element more */


typedef enum {
    NGX_SF_IDENTITY_ROW = 0,
    NGX_SF_IDENTITY_PARAM,
    NGX_SF_IDENTITY_CHOICE,
    NGX_SF_IDENTITY_CHECK
} ngx_sf_identity_struct_e;


typedef struct {
    ngx_sf_identity_form_e      form;
    size_t                      offset;
    size_t                      size;     /* NUMBER */
    ngx_sf_identity_struct_e    of;       /* LIST */
} ngx_sf_identity_member_t;


typedef struct {
    const ngx_sf_identity_member_t  *members;
    size_t                           size;
} ngx_sf_identity_struct_t;


static void ngx_sf_identity_struct(ngx_md5_t *md5,
    ngx_sf_identity_struct_e which, const u_char *data);
static void ngx_sf_identity_member(ngx_md5_t *md5,
    const ngx_sf_identity_member_t *member, const u_char *data);
static void ngx_sf_identity_list(ngx_md5_t *md5,
    ngx_sf_identity_struct_e which, const u_char *element);
static ngx_uint_t ngx_sf_identity_last(ngx_sf_identity_struct_e which,
    const u_char *element);
static void ngx_sf_identity_text(ngx_md5_t *md5, const char *text);
static void ngx_sf_identity_byte(ngx_md5_t *md5, u_char byte);


#define NUMBER(type, member)                                                  \
    { NGX_SF_IDENTITY_NUMBER, offsetof(type, member),                         \
      sizeof(((type *) 0)->member), 0 }
#define TEXT(type, member)                                                    \
    { NGX_SF_IDENTITY_TEXT, offsetof(type, member), 0, 0 }
#define LIST(type, member, of)                                                \
    { NGX_SF_IDENTITY_LIST, offsetof(type, member), 0, NGX_SF_IDENTITY_##of }
#define END                                                                   \
    { NGX_SF_IDENTITY_END, 0, 0, 0 }


/* parameters by their order, which the keys have, too */

static const ngx_sf_identity_member_t  ngx_sf_identity_row[] = {
    LIST(ngx_sf_row_t, params, PARAM),
    TEXT(ngx_sf_row_t, sql),
    TEXT(ngx_sf_row_t, tags),
    TEXT(ngx_sf_row_t, total),
    TEXT(ngx_sf_row_t, total_tags),
    TEXT(ngx_sf_row_t, expires),
    TEXT(ngx_sf_row_t, json),
    TEXT(ngx_sf_row_t, missing),
    NUMBER(ngx_sf_row_t, missing_status),
    LIST(ngx_sf_row_t, checks, CHECK),
    END
};

static const ngx_sf_identity_member_t  ngx_sf_identity_param[] = {
    NUMBER(ngx_sf_param_t, type),
    TEXT(ngx_sf_param_t, name),
    TEXT(ngx_sf_param_t, alias),
    TEXT(ngx_sf_param_t, def),
    NUMBER(ngx_sf_param_t, min),
    NUMBER(ngx_sf_param_t, max),
    TEXT(ngx_sf_param_t, unset),
    TEXT(ngx_sf_param_t, invalid),
    NUMBER(ngx_sf_param_t, lenient),
    NUMBER(ngx_sf_param_t, path),
    LIST(ngx_sf_param_t, choices, CHOICE),
    TEXT(ngx_sf_param_t, since),
    NUMBER(ngx_sf_param_t, number),
    END
};

static const ngx_sf_identity_member_t  ngx_sf_identity_choice[] = {
    TEXT(ngx_sf_choice_t, value),
    TEXT(ngx_sf_choice_t, sql),
    END
};

static const ngx_sf_identity_member_t  ngx_sf_identity_of_check[] = {
    TEXT(ngx_sf_check_t, column),
    NUMBER(ngx_sf_check_t, status),
    TEXT(ngx_sf_check_t, text),
    END
};


static const ngx_sf_identity_struct_t  ngx_sf_identity_structs[] = {
    /* ROW */     { ngx_sf_identity_row, sizeof(ngx_sf_row_t) },
    /* PARAM */   { ngx_sf_identity_param, sizeof(ngx_sf_param_t) },
    /* CHOICE */  { ngx_sf_identity_choice, sizeof(ngx_sf_choice_t) },
    /* CHECK */   { ngx_sf_identity_of_check, sizeof(ngx_sf_check_t) }
};


void
ngx_sf_identity(const ngx_sf_row_t *row, ngx_uint_t kind,
    u_char id[NGX_SF_IDENTITY_LEN])
{
    ngx_md5_t  md5;

    ngx_md5_init(&md5);

    ngx_sf_identity_byte(&md5, NGX_SF_JSON_VERSION);
    ngx_sf_identity_byte(&md5, kind);
    ngx_sf_identity_struct(&md5, NGX_SF_IDENTITY_ROW, (const u_char *) row);

    ngx_md5_final(id, &md5);
}


static void
ngx_sf_identity_struct(ngx_md5_t *md5, ngx_sf_identity_struct_e which,
    const u_char *data)
{
    const ngx_sf_identity_member_t  *member;

    for (member = ngx_sf_identity_structs[which].members;
         member->form != NGX_SF_IDENTITY_END;
         member++)
    {
        ngx_sf_identity_member(md5, member, data + member->offset);
    }
}


static void
ngx_sf_identity_member(ngx_md5_t *md5, const ngx_sf_identity_member_t *member,
    const u_char *data)
{
    const void  *p;

    if (member->form == NGX_SF_IDENTITY_NUMBER) {
        ngx_sf_identity_byte(md5, member->form);
        ngx_md5_update(md5, data, member->size);
        return;
    }

    p = *(const void *const *) data;

    if (p == NULL) {
        ngx_sf_identity_byte(md5, NGX_SF_IDENTITY_NONE);
        return;
    }

    ngx_sf_identity_byte(md5, member->form);

    if (member->form == NGX_SF_IDENTITY_TEXT) {
        ngx_sf_identity_text(md5, p);

    } else { /* NGX_SF_IDENTITY_LIST */
        ngx_sf_identity_list(md5, member->of, p);
    }
}


static void
ngx_sf_identity_list(ngx_md5_t *md5, ngx_sf_identity_struct_e which,
    const u_char *element)
{
    while (!ngx_sf_identity_last(which, element)) {
        ngx_sf_identity_byte(md5, NGX_SF_IDENTITY_ELEMENT);
        ngx_sf_identity_struct(md5, which, element);

        element += ngx_sf_identity_structs[which].size;
    }

    ngx_sf_identity_byte(md5, NGX_SF_IDENTITY_LAST);
}


static ngx_uint_t
ngx_sf_identity_last(ngx_sf_identity_struct_e which, const u_char *element)
{
    size_t                           i, size;
    const ngx_sf_identity_member_t  *first;

    first = ngx_sf_identity_structs[which].members;
    element += first->offset;
    size = first->form == NGX_SF_IDENTITY_NUMBER ? first->size
                                                 : sizeof(void *);

    for (i = 0; i < size; i++) {
        if (element[i]) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_sf_identity_text(ngx_md5_t *md5, const char *text)
{
    uint64_t  len;

    len = ngx_strlen(text);

    ngx_md5_update(md5, &len, sizeof(len));
    ngx_md5_update(md5, text, len);
}


static void
ngx_sf_identity_byte(ngx_md5_t *md5, u_char byte)
{
    ngx_md5_update(md5, &byte, sizeof(byte));
}


/* the kinds of what is made of one row differ: one of them says enough */

ngx_int_t
ngx_sf_identity_check(ngx_conf_t *cf, const ngx_array_t *rows)
{
    u_char              *ids;
    ngx_uint_t           i, k;
    const ngx_sf_row_t  *row;

    ids = ngx_pcalloc(cf->temp_pool, rows->nelts * NGX_SF_IDENTITY_LEN + 1);
    if (ids == NULL) {
        return NGX_ERROR;
    }

    row = rows->elts;

    for (i = 0; i < rows->nelts; i++) {

        if (row[i].sql == NULL) {
            continue;
        }

        ngx_sf_identity(&row[i], 0, &ids[i * NGX_SF_IDENTITY_LEN]);

        for (k = 0; k < i; k++) {
            if (ngx_memcmp(&ids[k * NGX_SF_IDENTITY_LEN],
                           &ids[i * NGX_SF_IDENTITY_LEN], NGX_SF_IDENTITY_LEN)
                == 0)
            {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "endpoint \"%s\" in %s:%ui has the sql, the "
                              "parameters, the tags and the json of endpoint "
                              "\"%s\" in %s:%ui: one is enough",
                              row[i].name, row[i].file,
                              row[i].line, row[k].name, row[k].file,
                              row[k].line);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}

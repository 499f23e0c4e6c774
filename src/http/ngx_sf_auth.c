
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Which user sends a request, and whether it is allowed.
 *
 * Four steps.  TOKEN reads the header and needs no I/O: a fixed token of the
 * configuration is a principal at once, a JWT gives a user id.  PRINCIPAL_ASK
 * asks for that user, first the worker's own table, then the zone and the
 * database; PRINCIPAL_TAKE reads what has come: whether it may pass, and its
 * roles, come from the database, never from the token.  GATE compares the roles
 * of the principal with that of the endpoint.
 *
 * Who a user is says softfactory_principal; without it a good token is enough.
 */


#include "ngx_sf_http.h"

#include <openssl/crypto.h>


#define NGX_SF_AUTH_SCHEME      "Bearer "

#define NGX_SF_AUTH_MISSING     "Missing authorization header"
#define NGX_SF_AUTH_INVALID     "Invalid or expired token"


static ngx_int_t ngx_sf_auth_bearer(ngx_http_request_t *r, ngx_str_t *token);
static ngx_sf_fixed_token_t *ngx_sf_auth_fixed(ngx_sf_loc_conf_t *slcf,
    const ngx_str_t *token);
static uint64_t ngx_sf_auth_who(const ngx_sf_ctx_t *ctx);
static void ngx_sf_auth_lookup(ngx_sf_ctx_t *ctx, ngx_sf_lookup_t *lookup);
static ngx_int_t ngx_sf_auth_read(ngx_sf_ctx_t *ctx);
static ngx_int_t ngx_sf_auth_refuse(ngx_sf_ctx_t *ctx, ngx_uint_t check);
static ngx_int_t ngx_sf_auth_deny(ngx_sf_ctx_t *ctx);


ngx_int_t
ngx_sf_auth_token(ngx_sf_ctx_t *ctx)
{
    ngx_str_t              token;
    const char            *reason;
    ngx_sf_access_e        access;
    ngx_http_request_t    *r;
    ngx_sf_jwt_claims_t    claims;
    ngx_sf_fixed_token_t  *fixed;

    r = ctx->request;
    access = ctx->endpoint->row->access;

    ctx->step = NGX_SF_STEP_PARAMS;

    if (access == NGX_SF_ANYONE
        || (access == NGX_SF_ANONYMOUS && ctx->slcf->anonymous))
    {
        return NGX_OK;
    }

    if (ngx_sf_auth_bearer(r, &token) != NGX_OK) {
        return ngx_sf_response_error(ctx, NGX_HTTP_UNAUTHORIZED,
                                    NGX_SF_AUTH_MISSING);
    }

    fixed = ngx_sf_auth_fixed(ctx->slcf, &token);

    if (fixed) {
        ctx->principal = &fixed->principal;
        ctx->user = fixed->principal.id;
        return NGX_OK;
    }

    ctx->refused = 1;

    reason = ngx_sf_token_claims(ctx->worker->tokens, r->pool, &token,
                                 &ctx->slcf->jwt, ngx_time(),
                                 r->connection->sockaddr, &claims);
    if (reason) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "softfactory token refused: %s", reason);

        return ngx_sf_response_error(ctx, NGX_HTTP_UNAUTHORIZED,
                                    NGX_SF_AUTH_INVALID);
    }

    if (claims.user == NGX_SF_JWT_USER_NONE) {
        return ngx_sf_auth_refuse(ctx, 0);
    }

    ctx->user = claims.user_id;
    ctx->refused = 0;

    return NGX_OK;
}


/* scheme and blank are compared as they are: "bearer x" is no token */

static ngx_int_t
ngx_sf_auth_bearer(ngx_http_request_t *r, ngx_str_t *token)
{
    size_t      len;
    ngx_str_t  *value;

    if (r->headers_in.authorization == NULL) {
        return NGX_DECLINED;
    }

    len = sizeof(NGX_SF_AUTH_SCHEME) - 1;
    value = &r->headers_in.authorization->value;

    if (value->len < len
        || ngx_memcmp(value->data, NGX_SF_AUTH_SCHEME, len) != 0)
    {
        return NGX_DECLINED;
    }

    token->data = value->data + len;
    token->len = value->len - len;

    return NGX_OK;
}


static ngx_sf_fixed_token_t *
ngx_sf_auth_fixed(ngx_sf_loc_conf_t *slcf, const ngx_str_t *token)
{
    ngx_uint_t             i;
    ngx_sf_fixed_token_t  *fixed;

    if (slcf->tokens == NULL) {
        return NULL;
    }

    fixed = slcf->tokens->elts;

    for (i = 0; i < slcf->tokens->nelts; i++) {
        if (fixed[i].token.len == token->len
            && CRYPTO_memcmp(fixed[i].token.data, token->data, token->len)
               == 0)
        {
            return &fixed[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_sf_auth_user(ngx_http_request_t *r, ngx_sf_loc_conf_t *slcf,
    int64_t *user)
{
    ngx_str_t              token;
    ngx_sf_main_conf_t    *smcf;
    ngx_sf_jwt_claims_t    claims;
    ngx_sf_fixed_token_t  *fixed;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_softfactory_module);

    if (smcf->worker == NULL || ngx_sf_auth_bearer(r, &token) != NGX_OK) {
        return NGX_DECLINED;
    }

    fixed = ngx_sf_auth_fixed(slcf, &token);

    if (fixed) {
        *user = fixed->principal.id;
        return NGX_OK;
    }

    if (ngx_sf_token_claims(smcf->worker->tokens, r->pool, &token,
                            &slcf->jwt, ngx_time(), r->connection->sockaddr,
                            &claims)
        != NULL
        || claims.user == NGX_SF_JWT_USER_NONE)
    {
        return NGX_DECLINED;
    }

    *user = claims.user_id;

    return NGX_OK;
}


ngx_int_t
ngx_sf_auth_charge(const ngx_sf_ctx_t *ctx, ngx_sf_lookup_t *lookup)
{
    uint64_t      seed, who;
    ngx_str_t     value;
    ngx_sf_key_t  key;

    seed = ngx_sf_zone_seed(ctx->slcf->zone);
    who = ngx_sf_auth_who(ctx);

    lookup->owner = ngx_sf_admit_owner(seed, who);
    lookup->principal = 0;

    value.data = (u_char *) &who;
    value.len = sizeof(who);

    if (ctx->slcf->fair_key
        && ngx_http_complex_value(ctx->request, ctx->slcf->fair_key, &value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* probes have no turn to wait for */

    if (value.len && !ctx->endpoint->row->document) {
        key.data = value.data;
        key.len = value.len;
        ngx_sf_cache_hash(&key, seed);

        lookup->principal = ngx_max((uint32_t) (key.hash >> 32), 1);
    }

    return NGX_OK;
}


/* no user has the number of an address */

static uint64_t
ngx_sf_auth_who(const ngx_sf_ctx_t *ctx)
{
    uint64_t  who;

    who = ctx->principal ? ctx->principal->id : ctx->user;

    return who ? who : ngx_sf_address(ctx->request->connection->sockaddr);
}


ngx_int_t
ngx_sf_auth_principal_ask(ngx_sf_ctx_t *ctx)
{
    ngx_int_t        rc;
    ngx_sf_lookup_t  lookup;

    ctx->step = NGX_SF_STEP_GATE;

    if (ctx->principal || ctx->user == 0) {
        return NGX_OK;
    }

    /* nothing is known of users but what the token says */

    if (ctx->worker->smcf->principal == NULL) {
        ctx->known.id = ctx->user;
        ctx->known.products = 0;
        ctx->principal = &ctx->known;
        return NGX_OK;
    }

    ngx_sf_auth_lookup(ctx, &lookup);

    if (ngx_sf_principal_find(ctx->worker, &lookup, &ctx->known) == NGX_OK) {
        ctx->principal = &ctx->known;
        ctx->auth_time = ngx_sf_pg_now() - ctx->started;
        return NGX_OK;
    }

    if (ngx_sf_auth_charge(ctx, &lookup) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->step = NGX_SF_STEP_PRINCIPAL_TAKE;

    rc = ngx_sf_flight_ask(ctx->worker, &ctx->wait, &lookup);

    return rc == NGX_ERROR ? NGX_HTTP_INTERNAL_SERVER_ERROR : rc;
}


ngx_int_t
ngx_sf_auth_principal_take(ngx_sf_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_sf_pg_outcome_e  outcome;

    ctx->step = NGX_SF_STEP_GATE;

    outcome = ngx_sf_flight_outcome(&ctx->wait);

    if (outcome != NGX_SF_PG_OK) {

        /* the parameters are known to be wrong without the database */

        if (ctx->params.status) {
            ctx->error = ctx->params.error;
            return ctx->params.status;
        }

        return ngx_sf_response_outcome(ctx, outcome);
    }

    ctx->graced = ctx->wait.flight && ctx->wait.flight->found.status
                                      == NGX_SF_CACHE_STALE;
    rc = ngx_sf_auth_read(ctx);

    ngx_sf_flight_leave(&ctx->wait);

    ctx->auth_time = ngx_sf_pg_now() - ctx->started;

    return rc;
}


static void
ngx_sf_auth_lookup(ngx_sf_ctx_t *ctx, ngx_sf_lookup_t *lookup)
{
    lookup->resource = ctx->worker->smcf->principal;
    lookup->slcf = ctx->slcf;
    lookup->params = NULL;
    lookup->key = NULL;
    lookup->user = ctx->user;
    lookup->owner = 0;
    lookup->principal = 0;
    lookup->bypass = ctx->fence != 0;
    lookup->fenced = ctx->fence != 0;
    lookup->fence = ctx->fence;
}


/* the text of a principal, as ngx_sf_resource.c makes it */

static ngx_int_t
ngx_sf_auth_read(ngx_sf_ctx_t *ctx)
{
    int64_t          number;
    ngx_str_t        text, digits;
    ngx_sf_lookup_t  lookup;

    text = ngx_sf_flight_body(&ctx->wait);

    digits.data = text.data + 1;
    digits.len = text.len ? text.len - 1 : 0;

    if (ngx_sf_number_parse_int(&digits, &number) != NGX_OK) {
        number = 0;
    }

    if (text.len == 0 || text.data[0] != '1') {
        ctx->refused = 1;
        return ngx_sf_auth_refuse(ctx, number);
    }

    ctx->known.id = ctx->user;
    ctx->known.products = number;
    ctx->principal = &ctx->known;

    if (ctx->wait.found.value) {
        ngx_sf_auth_lookup(ctx, &lookup);
        ngx_sf_principal_keep(ctx->worker, &lookup, &ctx->wait.found,
                              &ctx->known);
    }

    return NGX_OK;
}


/* what the block of principals says of a user without a row, or of a check */

static ngx_int_t
ngx_sf_auth_refuse(ngx_sf_ctx_t *ctx, ngx_uint_t check)
{
    const ngx_sf_row_t  *row;

    row = ctx->worker->smcf->principal_row;

    if (row == NULL) {
        return ngx_sf_response_error(ctx, NGX_HTTP_UNAUTHORIZED,
                                    NGX_SF_AUTH_INVALID);
    }

    if (check) {
        return ngx_sf_response_error(ctx, row->checks[check - 1].status,
                                    row->checks[check - 1].text);
    }

    return ngx_sf_response_error(ctx, row->missing_status, row->missing);
}


/* the text may name the role; where there are roles there are principals */

static ngx_int_t
ngx_sf_auth_deny(ngx_sf_ctx_t *ctx)
{
    size_t               before;
    u_char              *p;
    ngx_str_t           *product;
    const char          *role, *text;
    ngx_sf_main_conf_t  *smcf;

    smcf = ctx->worker->smcf;
    product = smcf->products.elts;
    product += ctx->endpoint->product;
    text = smcf->principal_row->denied;
    role = strstr(text, "$role");

    p = ngx_pnalloc(ctx->request->pool, ngx_strlen(text) + product->len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    before = role ? (size_t) (role - text) : ngx_strlen(text);

    ctx->error.data = p;
    p = ngx_cpymem(p, text, before);

    if (role) {
        p = ngx_sprintf(p, "%V%s", product, role + sizeof("$role") - 1);
    }

    ctx->error.len = p - ctx->error.data;

    return NGX_HTTP_FORBIDDEN;
}


ngx_int_t
ngx_sf_auth_gate(ngx_sf_ctx_t *ctx)
{
    ngx_sf_endpoint_t  *endpoint;

    endpoint = ctx->endpoint;

    if (endpoint->row->product
        && (ctx->principal == NULL
            || !(ctx->principal->products
                 & ((uint64_t) 1 << endpoint->product))))
    {
        return ngx_sf_auth_deny(ctx);
    }

    if (ctx->params.status) {
        ctx->error = ctx->params.error;
        return ctx->params.status;
    }

    ctx->step = NGX_SF_STEP_ASK;

    return NGX_OK;
}

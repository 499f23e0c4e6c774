
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


#include "unit.h"


static void unit_print(ngx_uint_t good, const char *name, va_list args);
static void unit_show(const char *what, const u_char *data, size_t len);


/* an nginx without modules: the core refers to these two lists */

ngx_module_t  *ngx_modules[] = { NULL };
char          *ngx_module_names[] = { NULL };

ngx_pool_t    *unit_pool;
ngx_log_t      unit_log;

static ngx_open_file_t  unit_stderr;
static ngx_cycle_t      unit_cycle;

static ngx_uint_t  unit_total;
static ngx_uint_t  unit_failed;


void
unit_init(void)
{
    ngx_uint_t  n;

    setvbuf(stdout, NULL, _IOLBF, 0);

    ngx_pid = ngx_getpid();
    ngx_pagesize = getpagesize();
    ngx_cacheline_size = NGX_CPU_CACHE_LINE;

    for (n = ngx_pagesize; n >>= 1; ngx_pagesize_shift++) { /* void */ }

    unit_stderr.fd = ngx_stderr;
    unit_log.file = &unit_stderr;
    unit_log.log_level = NGX_LOG_NOTICE;

    ngx_time_init();

    unit_pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, &unit_log);
    if (unit_pool == NULL) {
        exit(2);
    }

    unit_cycle.log = &unit_log;
    unit_cycle.pool = unit_pool;
    ngx_cycle = &unit_cycle;
}


int
unit_done(void)
{
    printf("1..%lu\n", (unsigned long) unit_total);

    ngx_destroy_pool(unit_pool);

    return unit_failed ? 1 : 0;
}


ngx_uint_t
unit_test(ngx_uint_t good, const char *file, int line, const char *name, ...)
{
    va_list  args;

    va_start(args, name);
    unit_print(good, name, args);
    va_end(args);

    if (!good) {
        printf("# at %s line %d\n", file, line);
    }

    return good;
}


ngx_uint_t
unit_test_text(const u_char *data, size_t len, const char *want,
    size_t want_len, const char *file, int line, const char *name, ...)
{
    va_list     args;
    ngx_uint_t  good;

    good = len == want_len && ngx_memcmp(data, want, len) == 0;

    va_start(args, name);
    unit_print(good, name, args);
    va_end(args);

    if (!good) {
        printf("# at %s line %d\n", file, line);
        unit_show("got: ", data, len);
        unit_show("want:", (const u_char *) want, want_len);
    }

    return good;
}


static void
unit_print(ngx_uint_t good, const char *name, va_list args)
{
    unit_total++;
    unit_failed += !good;

    printf("%s %lu - ", good ? "ok" : "not ok", (unsigned long) unit_total);
    vprintf(name, args);
    printf("\n");
}


static void
unit_show(const char *what, const u_char *data, size_t len)
{
    printf("# %s ", what);

    while (len--) {
        printf(*data < ' ' ? "\\x%02x" : "%c", *data);
        data++;
    }

    printf("\n");
}


ngx_str_t
unit_str(const char *data, size_t len)
{
    ngx_str_t  str;

    str.len = len;
    str.data = ngx_pnalloc(unit_pool, len);

    if (str.data == NULL) {
        exit(2);
    }

    ngx_memcpy(str.data, data, len);

    return str;
}

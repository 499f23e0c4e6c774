
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * What a unit test needs: the real nginx core set up as far as pools, strings
 * and times go, and TAP.  A test is a program t/unit/<noun>.c:
 *
 *     int
 *     main(void)
 *     {
 *         unit_init();
 *         unit_ok(1 + 1 == 2, "sums");
 *         return unit_done();
 *     }
 *
 * .ci/unit.sh links it with this file, nginx's objects and all of src/; what
 * else it needs is named in a comment line of its own, relative to the top:
 *
 *     unit-with: t/unit/fake_pool.c
 */


#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* lives from unit_init() to unit_done(); log goes to standard error */

extern ngx_pool_t  *unit_pool;
extern ngx_log_t    unit_log;


void unit_init(void);

/* prints the plan and checks for nothing; the status for exit() */
int unit_done(void);

/* one test; the name is a printf() format */
ngx_uint_t unit_test(ngx_uint_t good, const char *file, int line,
    const char *name, ...) __attribute__((format(printf, 4, 5)));

/* a test that compares bytes and shows both when they differ */
ngx_uint_t unit_test_text(const u_char *data, size_t len, const char *want,
    size_t want_len, const char *file, int line, const char *name, ...)
    __attribute__((format(printf, 7, 8)));

/* "text" as an ngx_str_t of the pool, its bytes in a block of just that size */
ngx_str_t unit_str(const char *data, size_t len);


#define unit_ok(good, ...)                                                    \
    unit_test((good) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)

#define unit_is(str, want, ...)                                               \
    unit_test_text((str)->data, (str)->len, want, strlen(want),               \
                   __FILE__, __LINE__, __VA_ARGS__)


#endif /* _UNIT_H_INCLUDED_ */

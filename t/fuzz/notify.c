
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * The text of a notification, as any role of the database may send it: what
 * it names moves, by one each, what cannot be read moves the epoch, and other
 * sources stay.  The first byte picks the source, the rest is the text.
 */


#include "../tools/workers.c"

#define FUZZ_BLOCK  64                  /* counters that are compared at once */


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* what a text should do, worked out in another way */

typedef struct {
    char       *table;
    ngx_uint_t  moves;
    ngx_uint_t  epoch;
} fuzz_want_t;


static ngx_sf_zone_t  *fuzz_zone;
static uint64_t        fuzz_before[NGX_SF_COUNTERS];


static void
fuzz_require(ngx_uint_t good, const char *what)
{
    if (!good) {
        fprintf(stderr, "FAILED: %s\n", what);
        abort();
    }
}


/* a copy that ends with a NUL, or NULL where there is one inside */

static char *
fuzz_text(const uint8_t *data, size_t len)
{
    char  *text;

    if (len && memchr(data, '\0', len)) {
        return NULL;
    }

    text = malloc(len + 1);
    ngx_memcpy(text, data, len);
    text[len] = '\0';

    return text;
}


static ngx_uint_t
fuzz_is_name(const char *p)
{
    size_t  len;

    len = strlen(p);

    return len >= 1 && len <= 63 && !(*p >= '0' && *p <= '9')
           && strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}


static ngx_uint_t
fuzz_is_number(const char *p, int64_t *value)
{
    char    *end;
    size_t   digits;

    digits = strspn(p + (*p == '-'), "0123456789");

    if (digits < 1 || digits > 19 || strlen(p) != digits + (*p == '-')) {
        return 0;
    }

    errno = 0;
    *value = strtoll(p, &end, 10);

    return errno == 0;
}


/* a digest, or, with its dashes, a uuid */

static ngx_uint_t
fuzz_is_text(const char *p)
{
    size_t  i;

    static const char  dashes[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (strlen(p) == 16) {
        return strspn(p, "0123456789abcdef") == 16;
    }

    if (strlen(p) != sizeof(dashes) - 1) {
        return 0;
    }

    for (i = 0; dashes[i]; i++) {
        if (strchr(dashes[i] == '-' ? "-" : "0123456789abcdef", p[i])
            == NULL)
        {
            return 0;
        }
    }

    return 1;
}


/* whether what has the tag of a table, or of a key and a value, has moved */

static ngx_uint_t
fuzz_moved(ngx_uint_t source, const char *table, const char *key,
    int64_t value)
{
    char            text[256];
    ngx_uint_t      i;
    ngx_sf_tags_t   tags;
    ngx_sf_stamp_t  stamp;

    (void) snprintf(text, sizeof(text), "%s%s%s%s", table, key ? "." : "",
                    key ? key : "", key ? "=$user" : "");

    fuzz_require(ngx_sf_tags_compile(text, &tags) == NULL, text);
    ngx_sf_stamp_read(fuzz_zone, source, &tags, value, 0, &stamp);

    for (i = 1; i < stamp.n; i++) {
        if (fuzz_before[stamp.index[i]] != stamp.value[i]) {
            return 1;
        }
    }

    return 0;
}


/* key=value,value or key=*; 0: that it is not */

static ngx_uint_t
fuzz_word(fuzz_want_t *want, ngx_uint_t source, char *key)
{
    char        *value, *next;
    int64_t      n;
    ngx_uint_t   number;

    value = strchr(key, '=');

    if (value == NULL) {
        return 0;
    }

    *value++ = '\0';

    if (!fuzz_is_name(key)) {
        return 1;
    }

    if (strcmp(value, "*") == 0) {
        want->moves++;
        fuzz_require(fuzz_moved(source, want->table, key, 0)
                     && fuzz_moved(source, want->table, key, -77), "all");
        return 1;
    }

    for ( /* void */ ; value; value = next) {
        next = strchr(value, ',');

        if (next) {
            *next++ = '\0';
        }

        number = fuzz_is_number(value, &n);

        if (!number && !fuzz_is_text(value)) {
            return 0;
        }

        want->moves++;

        /* a digest of digits that begins with zeros is no number */

        if (number && (*value != '0' || strlen(value) != 16)) {
            fuzz_require(fuzz_moved(source, want->table, key, n), "a value");
        }
    }

    return 1;
}


static void
fuzz_read(fuzz_want_t *want, ngx_uint_t source, char *text)
{
    char  *word, *next;

    ngx_memzero(want, sizeof(fuzz_want_t));

    next = strchr(text, ' ');

    if (next) {
        *next++ = '\0';
    }

    want->table = text;

    if (!fuzz_is_name(text)) {
        return;
    }

    want->moves = 1;
    fuzz_require(fuzz_moved(source, text, NULL, 0), "a table");

    for (word = next; word && *word; word = next) {
        next = strchr(word, ' ');

        if (next) {
            *next++ = '\0';
        }

        if (!fuzz_word(want, source, word)) {
            want->epoch = 1;
            want->moves++;
            return;
        }

        /* a blank at the end ends the text, one before a word does not */

        if (next && *next == ' ') {
            want->epoch = 1;
            want->moves++;
            return;
        }
    }
}


/* by how much all counters have moved; epochs of other sources must not */

static uint64_t
fuzz_sum(ngx_uint_t source)
{
    uint64_t      n;
    uint64_t     *now;
    ngx_uint_t    i, k;

    n = 0;
    now = (uint64_t *) (uintptr_t) fuzz_zone->sh->counters;

    for (i = 0; i < NGX_SF_COUNTERS; i += FUZZ_BLOCK) {

        if (memcmp(&now[i], &fuzz_before[i], FUZZ_BLOCK * sizeof(uint64_t))
            == 0)
        {
            continue;
        }

        for (k = i; k < i + FUZZ_BLOCK; k++) {
            n += now[k] - fuzz_before[k];

            fuzz_require(k >= NGX_SF_SOURCES || k == source
                         || now[k] == fuzz_before[k], "another source");
        }
    }

    return n;
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    unit_init();
    unit_log.log_level = NGX_LOG_EMERG;

    fuzz_zone = workers_start(workers_zone(NGX_SF_ZONE_MIN), ngx_pid);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char              *text;
    u_char            *payload;
    uint64_t           epochs;
    ngx_uint_t         source, moved;
    fuzz_want_t        want;
    ngx_sf_source_t   *s;

    if (size == 0) {
        return 0;
    }

    source = *data++ % NGX_SF_SOURCES;
    size--;

    s = &fuzz_zone->sh->sources[source];
    epochs = s->epochs;
    ngx_memcpy(fuzz_before, (void *) (uintptr_t) fuzz_zone->sh->counters,
               sizeof(fuzz_before));

    /* a block of its own: a byte read past the end is found */

    payload = malloc(size + (size == 0));
    ngx_memcpy(payload, data, size);
    moved = ngx_sf_tags_move(fuzz_zone, source, payload, size);
    free(payload);

    epochs = s->epochs - epochs;

    fuzz_require(fuzz_sum(source) == moved, "the number of moves");
    fuzz_require(fuzz_zone->sh->counters[source] - fuzz_before[source]
                 == epochs && epochs <= 1, "the epoch");

    text = fuzz_text(data, size);

    if (text) {
        fuzz_read(&want, source, text);
        fuzz_require(want.moves == moved && want.epoch == epochs,
                     "what is moved");
        free(text);
    }

    return 0;
}


/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Prints a file of conf/postgresql for the list of tables:
 *
 *     notify FILE
 *
 * What follows from the list, and a stamp of softfactory.sql by which its
 * functions are known again in a database, stand in these files between two
 * lines "-- generated: NAME" and "-- generated, end", and are made anew; the
 * rest is printed as it is.  Run at the top of the checkout, by
 * .ci/check-notify.sh.
 */


#include "ngx_sf_table.h"


#define NOTIFY_FUNCTIONS  "conf/postgresql/softfactory.sql"
#define NOTIFY_WIDTH      80
#define NOTIFY_LINE       1024


typedef struct {
    const char  *name;
    void       (*print)(FILE *out);
} notify_part_t;


static void notify_names(FILE *out);
static void notify_calls(FILE *out);
static void notify_stamp(FILE *out);
static void notify_comment(FILE *out);
static void notify_farewell(FILE *out);
static uint32_t notify_crc(void);
static FILE *notify_open(const char *path);


static const notify_part_t  notify_parts[] = {
    { "names", notify_names },
    { "calls", notify_calls },
    { "stamp", notify_stamp },
    { "comment", notify_comment },
    { "farewell", notify_farewell },
    { NULL, NULL }
};


static void
notify_die(const char *what, const char *text)
{
    fprintf(stderr, "notify: %s%s\n", what, text);
    exit(1);
}


/* one more name, on a line of its own when this one is full */

static ngx_uint_t
notify_item(FILE *out, ngx_uint_t column, ngx_uint_t indent, const char *name,
    size_t len)
{
    column += fprintf(out, ",");

    if (column + 1 + len + 1 > NOTIFY_WIDTH) {
        return fprintf(out, "\n%*s%.*s", (int) indent, "", (int) len, name)
               - 1;
    }

    return column + fprintf(out, " %.*s", (int) len, name);
}


/* all columns by which a row counts as changed: id, keys, and those watched */

static void
notify_columns(FILE *out, const ngx_sf_table_t *t, ngx_uint_t indent)
{
    size_t       len;
    ngx_uint_t   i, column;
    const char  *p;

    column = indent + fprintf(out, "id");

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        p = t->keys[i];

        if (ngx_strcmp(p, "id") != 0) {
            column = notify_item(out, column, indent, p, ngx_strlen(p));
        }
    }

    for (p = t->columns; *p; p += len + (p[len] == ',')) {
        len = strcspn(p, ",");
        column = notify_item(out, column, indent, p, len);
    }
}


static void
notify_keys(FILE *out, const ngx_sf_table_t *t)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        fprintf(out, "%s%s", i ? ", " : "", t->keys[i]);
    }
}


static void
notify_names(FILE *out)
{
    const ngx_sf_table_t  *t;

    for (t = ngx_sf_tables; t->name; t++) {
        fprintf(out, "    ('%s')%s\n", t->name, t[1].name ? "," : "");
    }
}


/* what softfactory.watch() is called with */

static void
notify_calls(FILE *out)
{
    const ngx_sf_table_t  *t;

    for (t = ngx_sf_tables; t->name; t++) {
        fprintf(out, "    ('%s',\n"
                     "     '{",
                t->name);
        notify_keys(out, t);
        fprintf(out, "}',\n"
                     "     '{");
        notify_columns(out, t, 7);
        fprintf(out, "}')%s\n", t[1].name ? "," : "");
    }
}


static void
notify_stamp(FILE *out)
{
    fprintf(out, "\\set stamp 'softfactory.sql %08x'\n", notify_crc());
}


static void
notify_comment(FILE *out)
{
    fprintf(out, "COMMENT ON FUNCTION softfactory.watch(pg_catalog.regclass,"
                 " pg_catalog.name[],\n"
                 "    pg_catalog.name[], pg_catalog.bool)"
                 " IS 'softfactory.sql %08x';\n", notify_crc());
}


/* of softfactory.sql, without what is generated there */

static uint32_t
notify_crc(void)
{
    char        line[NOTIFY_LINE];
    FILE       *in;
    uint32_t    crc;
    ngx_uint_t  inside;

    in = notify_open(NOTIFY_FUNCTIONS);
    inside = 0;

    ngx_crc32_init(crc);

    while (fgets(line, sizeof(line), in)) {
        if (ngx_strncmp(line, "-- generated", 12) == 0) {
            inside = line[12] == ':';

        } else if (!inside) {
            ngx_crc32_update(&crc, (u_char *) line, ngx_strlen(line));
        }
    }

    ngx_crc32_final(crc);
    fclose(in);

    return crc;
}


/* the listener looks again at which triggers there are */

static void
notify_farewell(FILE *out)
{
    fprintf(out, "NOTIFY %s, '%s';\n"
                 "\n"
                 "SELECT format('DO %%L', 'BEGIN PERFORM pg_notify(name,"
                 " ''%s'')'\n"
                 "              ' FROM %s; END')\n",
            NGX_SF_TABLE_CHANNEL, NGX_SF_TABLE_TRIGGERS,
            NGX_SF_TABLE_TRIGGERS, NGX_SF_TABLE_SECRET);
}


static void
notify_part(const char *name)
{
    const notify_part_t  *part;

    for (part = notify_parts; part->name; part++) {
        if (ngx_strcmp(part->name, name) == 0) {
            part->print(stdout);
            return;
        }
    }

    notify_die("no such part: ", name);
}


static FILE *
notify_open(const char *path)
{
    FILE  *in;

    in = fopen(path, "r");

    if (in == NULL) {
        notify_die("cannot open ", path);
    }

    return in;
}


static void
notify_file(const char *path)
{
    char        line[NOTIFY_LINE], name[NOTIFY_LINE];
    FILE       *in;
    ngx_uint_t  inside;

    in = notify_open(path);
    inside = 0;

    while (fgets(line, sizeof(line), in)) {
        if (ngx_strcmp(line, "-- generated, end\n") == 0) {
            inside = 0;
        }

        if (!inside) {
            fputs(line, stdout);
        }

        if (sscanf(line, "-- generated: %s", name) == 1) {
            inside = 1;
            notify_part(name);
        }
    }

    if (inside) {
        notify_die("a part has no end in ", path);
    }

    fclose(in);
}


int
main(int argc, char *const *argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: notify FILE\n");
        return 2;
    }

    notify_file(argv[1]);

    return 0;
}

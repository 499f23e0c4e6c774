
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Prints conf/postgresql/notify.sql, or with the argument "remove"
 * conf/postgresql/notify-remove.sql, for the list of tables:
 *
 *     notify [remove]
 *
 * What follows from the list stands in these files between two lines
 * "-- generated: NAME" and "-- generated, end", and is made anew; the rest is
 * printed as it is.  Run at the top of the checkout, by .ci/check-notify.sh.
 *
 * The text of a trigger's function has to be read with four things in mind.
 * It runs in the session that writes, with the rights of the table's owner,
 * which may read the channel's name: so its search_path is fixed, every
 * name and operator has its schema all the same, and rows are compared by *<>
 * rather than by IS DISTINCT FROM, which would look for an operator "=".  It
 * runs at each statement of the application: so one pass over the rows gives
 * everything, and ends where the values would fill the memory.  It must not
 * make that statement fail: what can go wrong with the channel is nobody's
 * business but the listener's, which looks at it.  And the names that it gives
 * must not meet those of the table's columns.
 */


#include "ngx_sf_table.h"


#define NOTIFY_VALUES  100      /* of a key; more are told as * */
#define NOTIFY_ROWS    1000000  /* before and after; of more, all keys are */
#define NOTIFY_FULL    "0.5"    /* of the queue: silence, not a failed write */
#define NOTIFY_WIDTH   80
#define NOTIFY_LINE    1024


typedef struct {
    const char  *name;
    void       (*print)(FILE *out);
} notify_part_t;


static void notify_names(FILE *out);
static void notify_tables(FILE *out);
static void notify_variables(FILE *out);
static void notify_functions(FILE *out);
static void notify_farewell(FILE *out);


static const notify_part_t  notify_parts[] = {
    { "names", notify_names },
    { "tables", notify_tables },
    { "variables", notify_variables },
    { "functions", notify_functions },
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
notify_item(FILE *out, ngx_uint_t column, ngx_uint_t indent,
    const char *prefix, const char *name, size_t len)
{
    column += fprintf(out, ",");

    if (column + 1 + ngx_strlen(prefix) + len + 1 > NOTIFY_WIDTH) {
        return fprintf(out, "\n%*s%s%.*s", (int) indent, "", prefix,
                       (int) len, name) - 1;
    }

    return column + fprintf(out, " %s%.*s", prefix, (int) len, name);
}


/* all columns by which a row counts as changed: id, keys, and those watched */

static void
notify_columns(FILE *out, const ngx_sf_table_t *t, const char *prefix,
    ngx_uint_t indent)
{
    size_t       len;
    ngx_uint_t   i, column;
    const char  *p;

    column = indent + fprintf(out, "%sid", prefix);

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        p = t->keys[i];

        if (ngx_strcmp(p, "id") != 0) {
            column = notify_item(out, column, indent, prefix, p,
                                 ngx_strlen(p));
        }
    }

    for (p = t->columns; *p; p += len + (p[len] == ',')) {
        len = strcspn(p, ",");
        column = notify_item(out, column, indent, prefix, p, len);
    }
}


static void
notify_keys(FILE *out, const ngx_sf_table_t *t, const char *prefix)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        fprintf(out, "%s%s%s", i ? ", " : "", prefix, t->keys[i]);
    }
}


/* asks for the keys of rows k, and how many rows there are */

static void
notify_gather(FILE *out, const ngx_sf_table_t *t)
{
    ngx_uint_t  i;

    fprintf(out, "            SELECT pg_catalog.count(*) AS n");

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        fprintf(out, ",\n"
                     "                   pg_catalog.array_agg(DISTINCT c.%s)\n"
                     "                       FILTER (WHERE c.%s IS NOT NULL)"
                     " AS %s",
                t->keys[i], t->keys[i], t->keys[i]);
    }

    fprintf(out, "\n"
                 "              INTO told\n"
                 "              FROM (SELECT%s", t->keys[0] ? " " : "");
    notify_keys(out, t, "k.");
}


/* without keys it matters only whether there is a row */

static void
notify_limit(FILE *out, const ngx_sf_table_t *t)
{
    fprintf(out, " LIMIT %d) c;\n", t->keys[0] ? NOTIFY_ROWS + 1 : 1);
}


static void
notify_truncated(FILE *out, const ngx_sf_table_t *t)
{
    ngx_uint_t  i;

    fprintf(out, "        payload := '%s", t->name);

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        fprintf(out, " %s=*", t->keys[i]);
    }

    fprintf(out, "';\n");
}


static void
notify_row(FILE *out, const ngx_sf_table_t *t, const char *before,
    const char *prefix)
{
    fprintf(out, "%s ROW(", before);
    notify_columns(out, t, prefix, 31);
    fprintf(out, ")::pg_catalog.record");
}


/* the rows that an UPDATE has changed, before and after */

static void
notify_updated(FILE *out, const ngx_sf_table_t *t)
{
    notify_gather(out, t);

    fprintf(out, "\n"
                 "                      FROM old_rows o\n"
                 "                      FULL JOIN new_rows n"
                 " ON n.id OPERATOR(pg_catalog.=) o.id\n");

    if (t->keys[0]) {
        fprintf(out, "                     CROSS JOIN LATERAL (VALUES (");
        notify_keys(out, t, "o.");
        fprintf(out, "),\n%48s(", "");
        notify_keys(out, t, "n.");
        fprintf(out, ")) AS k (");
        notify_keys(out, t, "");
        fprintf(out, ")\n");
    }

    notify_row(out, t, "                     WHERE", "o.");
    notify_row(out, t, "\n"
                       "                           OPERATOR(pg_catalog.*<>)\n"
                       "                          ", "n.");

    fprintf(out, "\n                    ");
    notify_limit(out, t);
}


static void
notify_changed(FILE *out, const ngx_sf_table_t *t)
{
    notify_gather(out, t);
    fprintf(out, " FROM changed k");
    notify_limit(out, t);
}


/* a key without a value makes its word NULL, which concat() leaves out */

static void
notify_payload(FILE *out, const ngx_sf_table_t *t)
{
    ngx_uint_t   i;
    const char  *key;

    fprintf(out, "        payload := pg_catalog.concat('%s'", t->name);

    for (i = 0; i < NGX_SF_TABLE_KEYS && t->keys[i]; i++) {
        key = t->keys[i];

        fprintf(out,
            ",\n"
            "            CASE WHEN told.n OPERATOR(pg_catalog.>) %d\n"
            "                      OR pg_catalog.cardinality(told.%s)"
            " OPERATOR(pg_catalog.>) %d\n"
            "                 THEN ' %s=*'\n"
            "                 ELSE ' %s=' OPERATOR(pg_catalog.||)\n"
            "                      pg_catalog.array_to_string(told.%s, ',')\n"
            "            END",
            NOTIFY_ROWS, key, NOTIFY_VALUES, key, key, key);
    }

    fprintf(out, ");\n");
}


/*
 * On every name that there is.  The channel is locked until the transaction
 * ends, also where the queue is too full: so the listener knows whom to wait
 * for.  A part that fails takes nothing else with it.
 */

static void
notify_send(FILE *out)
{
    fprintf(out, "    BEGIN\n"
                 "        PERFORM pg_catalog.pg_notify(c.name, payload)\n"
                 "           FROM " NGX_SF_TABLE_SECRET " c\n"
                 "          WHERE pg_catalog.pg_notification_queue_usage()\n"
                 "                OPERATOR(pg_catalog.<) " NOTIFY_FULL ";\n"
                 "    EXCEPTION WHEN OTHERS THEN\n"
                 "        NULL;\n"
                 "    END;\n");
}


/*
 * The triggers of INSERT and DELETE give their only transition table the name
 * "changed", so that one statement will do for both.
 */

static void
notify_body(FILE *out, const ngx_sf_table_t *t)
{
    fprintf(out, "DECLARE\n"
                 "    told pg_catalog.record;\n"
                 "    payload pg_catalog.text;\n"
                 "BEGIN\n"
                 "    IF TG_OP OPERATOR(pg_catalog.=) 'TRUNCATE' THEN\n");
    notify_truncated(out, t);

    fprintf(out, "    ELSE\n"
                 "        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN\n");
    notify_updated(out, t);

    fprintf(out, "        ELSE\n");
    notify_changed(out, t);

    fprintf(out, "        END IF;\n"
                 "\n"
                 "        IF told.n OPERATOR(pg_catalog.=) 0 THEN\n"
                 "            RETURN NULL;\n"
                 "        END IF;\n"
                 "\n");
    notify_payload(out, t);

    fprintf(out, "    END IF;\n"
                 "\n");
    notify_send(out);

    fprintf(out, "\n"
                 "    RETURN NULL;\n"
                 "END\n");
}


/* the text of a function, and a number by which the database knows it again */

static char *
notify_text(const ngx_sf_table_t *t, uint32_t *stamp)
{
    char    *text;
    FILE    *out;
    size_t   len;

    out = open_memstream(&text, &len);

    if (out == NULL) {
        notify_die("no memory", "");
    }

    notify_body(out, t);

    if (fclose(out) != 0) {
        notify_die("no memory", "");
    }

    *stamp = ngx_crc32_long((u_char *) text, len);

    return text;
}


static void
notify_names(FILE *out)
{
    const ngx_sf_table_t  *t;

    for (t = ngx_sf_tables; t->name; t++) {
        fprintf(out, "    ('%s')%s\n", t->name, t[1].name ? "," : "");
    }
}


static void
notify_tables(FILE *out)
{
    char                  *text;
    uint32_t               stamp;
    const ngx_sf_table_t  *t;

    for (t = ngx_sf_tables; t->name; t++) {
        text = notify_text(t, &stamp);
        free(text);

        fprintf(out, "    ('%s', '%08x', '%08x',\n"
                     "     '{",
                t->name, ngx_sf_table_version(t - ngx_sf_tables), stamp);
        notify_keys(out, t, "");
        fprintf(out, "}',\n"
                     "     '{");
        notify_columns(out, t, "", 7);
        fprintf(out, "}')%s\n", t[1].name ? "," : "");
    }
}


static void
notify_variables(FILE *out)
{
    const ngx_sf_table_t  *t;

    for (t = ngx_sf_tables; t->name; t++) {
        fprintf(out, "%s max(nspname) FILTER (WHERE name = '%s') AS %s%s\n",
                t == ngx_sf_tables ? "SELECT" : "      ", t->name, t->name,
                t[1].name ? "," : "");
    }
}


static void
notify_functions(FILE *out)
{
    char                  *text;
    uint32_t               stamp;
    const ngx_sf_table_t  *t;

    for (t = ngx_sf_tables; t->name; t++) {
        text = notify_text(t, &stamp);

        fprintf(out, "%s"
                     "\\if :{?%s}\n"
                     "CREATE OR REPLACE FUNCTION"
                     " :\"%s\".softfactory_notify_%s()\n"
                     "RETURNS pg_catalog.trigger LANGUAGE plpgsql"
                     " SECURITY DEFINER\n"
                     "SET search_path = pg_catalog, pg_temp AS $$\n"
                     "-- " NGX_SF_TABLE_STAMP " %08x\n"
                     "%s"
                     "$$;\n"
                     "\\endif\n",
                t == ngx_sf_tables ? "" : "\n", t->name, t->name, t->name,
                stamp, text);

        free(text);
    }
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


static void
notify_file(const char *path)
{
    char        line[NOTIFY_LINE], name[NOTIFY_LINE];
    FILE       *in;
    ngx_uint_t  inside;

    in = fopen(path, "r");

    if (in == NULL) {
        notify_die("cannot open ", path);
    }

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
    if (argc == 1) {
        notify_file("conf/postgresql/notify.sql");

    } else if (argc == 2 && ngx_strcmp(argv[1], "remove") == 0) {
        notify_file("conf/postgresql/notify-remove.sql");

    } else {
        fprintf(stderr, "usage: notify [remove]\n");
        return 2;
    }

    return 0;
}

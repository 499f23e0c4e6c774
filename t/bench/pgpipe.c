
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * How fast PostgreSQL answers one statement over libpq's pipelines, without
 * HTTP:
 *
 *     pgpipe [-b] [-e] [-c N] [-d DEPTH] [-t SECONDS] [-r MAX]
 *            CONNINFO STATEMENT [VALUE ...]
 *
 *     -b  results in binary format, else in text
 *     -e  a Sync after each statement, else one for half a depth of them
 *     -c  connections (4)
 *     -d  statements in flight on each connection (16)
 *     -t  measured time (3), after a tenth of it that is not
 *     -r  the first value is a random number from 1 to MAX
 *
 * Two batches of half a depth are in flight, so that the server has one at
 * hand while the results of the other are read.  Prints a line of JSON:
 * statements, seconds, and microseconds of CPU per statement of this program
 * and of its backends, the latter from /proc.
 */


#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>


#define PIPE_MAX_CONNS   64
#define PIPE_MAX_VALUES  16
#define PIPE_NAME        "s"


typedef struct {
    int             binary;
    int             each;
    int             nconns;
    int             depth;
    double          seconds;
    unsigned        random;
    const char     *conninfo;
    const char     *text;
    int             nvalues;
    const char     *values[PIPE_MAX_VALUES];
} pipe_options_t;


typedef struct {
    double          wall;
    double          client;
    double          server;
    unsigned long   done;
} pipe_reading_t;


static pipe_options_t  opt = { 0, 0, 4, 16, 3.0, 0, NULL, NULL, 0, { NULL } };
static PGconn         *conns[PIPE_MAX_CONNS];
static int             owed[PIPE_MAX_CONNS];   /* results of a connection */
static unsigned long   done;
static unsigned        seed = 2463534242u;


static void
pipe_die(const char *what, const char *why)
{
    fprintf(stderr, "pgpipe: %s: %s\n", what, why);
    exit(1);
}


static unsigned
pipe_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;

    return seed;
}


static void
pipe_sync(PGconn *pg)
{
    if (PQpipelineSync(pg) != 1) {
        pipe_die("Sync", PQerrorMessage(pg));
    }
}


/* half a depth of statements; libpq sends them at a Sync */

static void
pipe_send_batch(int i)
{
    int          n, batch;
    char         number[16];
    PGconn      *pg;
    const char  *values[PIPE_MAX_VALUES];

    pg = conns[i];
    batch = opt.depth / 2;
    memcpy(values, opt.values, sizeof(values));

    for (n = 0; n < batch; n++) {

        if (opt.random) {
            snprintf(number, sizeof(number), "%u",
                     1 + pipe_random() % opt.random);
            values[0] = number;
        }

        if (PQsendQueryPrepared(pg, PIPE_NAME, opt.nvalues, values, NULL,
                                NULL, opt.binary)
            != 1)
        {
            pipe_die("send", PQerrorMessage(pg));
        }

        if (opt.each) {
            pipe_sync(pg);
        }
    }

    if (!opt.each) {
        pipe_sync(pg);
    }

    owed[i] += batch;
}


/* takes what has arrived; a batch that is complete is followed by another */

static void
pipe_read(int i)
{
    PGconn    *pg;
    PGresult  *res;

    pg = conns[i];

    if (PQconsumeInput(pg) != 1) {
        pipe_die("read", PQerrorMessage(pg));
    }

    while (owed[i] && !PQisBusy(pg)) {
        res = PQgetResult(pg);

        if (res == NULL) {
            continue;
        }

        switch (PQresultStatus(res)) {

        case PGRES_TUPLES_OK:
            owed[i]--;
            done++;
            break;

        case PGRES_PIPELINE_SYNC:
            break;

        default:
            pipe_die("result", PQresultErrorMessage(res));
        }

        PQclear(res);

        if (owed[i] == opt.depth / 2) {
            pipe_send_batch(i);
        }
    }

    if (PQflush(pg) < 0) {
        pipe_die("flush", PQerrorMessage(pg));
    }
}


static void
pipe_connect(int i)
{
    PGconn    *pg;
    PGresult  *res;

    pg = PQconnectdb(opt.conninfo);

    if (PQstatus(pg) != CONNECTION_OK) {
        pipe_die("connect", PQerrorMessage(pg));
    }

    res = PQprepare(pg, PIPE_NAME, opt.text, 0, NULL);

    if (PQresultStatus(res) != PGRES_COMMAND_OK) {
        pipe_die("prepare", PQresultErrorMessage(res));
    }

    PQclear(res);

    if (PQsetnonblocking(pg, 1) != 0 || PQenterPipelineMode(pg) != 1) {
        pipe_die("pipeline", PQerrorMessage(pg));
    }

    conns[i] = pg;
}


/* seconds of CPU of a process, to the nanosecond: schedstat's first number */

static double
pipe_process_cpu(int pid)
{
    char                 path[64];
    FILE                *f;
    unsigned long long   ns;

    snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);

    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%llu", &ns) != 1) {
        pipe_die(path, strerror(errno));
    }

    fclose(f);

    return ns / 1e9;
}


static void
pipe_reading(pipe_reading_t *reading)
{
    int              i;
    struct rusage    usage;
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    getrusage(RUSAGE_SELF, &usage);

    reading->wall = now.tv_sec + now.tv_nsec / 1e9;
    reading->client = usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6
                      + usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6;
    reading->server = 0;
    reading->done = done;

    for (i = 0; i < opt.nconns; i++) {
        reading->server += pipe_process_cpu(PQbackendPID(conns[i]));
    }
}


static void
pipe_run(double seconds)
{
    int              i;
    double           end;
    struct pollfd    fds[PIPE_MAX_CONNS];
    struct timespec  now;

    for (i = 0; i < opt.nconns; i++) {
        fds[i].fd = PQsocket(conns[i]);
        fds[i].events = POLLIN;
    }

    clock_gettime(CLOCK_MONOTONIC, &now);
    end = now.tv_sec + now.tv_nsec / 1e9 + seconds;

    while (now.tv_sec + now.tv_nsec / 1e9 < end) {

        if (poll(fds, opt.nconns, 1000) < 0 && errno != EINTR) {
            pipe_die("poll", strerror(errno));
        }

        for (i = 0; i < opt.nconns; i++) {
            if (fds[i].revents) {
                pipe_read(i);
            }
        }

        clock_gettime(CLOCK_MONOTONIC, &now);
    }
}


static void
pipe_options(int argc, char *const *argv)
{
    int  c;

    while ((c = getopt(argc, argv, "bec:d:t:r:")) != -1) {

        switch (c) {

        case 'b':
            opt.binary = 1;
            break;

        case 'e':
            opt.each = 1;
            break;

        case 'c':
            opt.nconns = atoi(optarg);
            break;

        case 'd':
            opt.depth = atoi(optarg);
            break;

        case 't':
            opt.seconds = atof(optarg);
            break;

        case 'r':
            opt.random = atoi(optarg);
            break;

        default:
            exit(2);
        }
    }

    opt.nvalues = argc - optind - 2;

    if (opt.nvalues < 0 || opt.nvalues > PIPE_MAX_VALUES
        || (opt.random && opt.nvalues == 0)
        || opt.nconns < 1 || opt.nconns > PIPE_MAX_CONNS
        || opt.depth < 2 || opt.seconds <= 0)
    {
        pipe_die("usage", "pgpipe [-be] [-c N] [-d DEPTH] [-t SECONDS] "
                 "[-r MAX] CONNINFO STATEMENT [VALUE ...]");
    }

    opt.conninfo = argv[optind];
    opt.text = argv[optind + 1];

    for (c = 0; c < opt.nvalues; c++) {
        opt.values[c] = argv[optind + 2 + c];
    }
}


int
main(int argc, char *const *argv)
{
    int             i;
    double          n;
    pipe_reading_t  a, b;

    pipe_options(argc, argv);

    for (i = 0; i < opt.nconns; i++) {
        pipe_connect(i);
        pipe_send_batch(i);
        pipe_send_batch(i);
    }

    pipe_run(opt.seconds / 10);
    pipe_reading(&a);
    pipe_run(opt.seconds);
    pipe_reading(&b);

    if (b.done == a.done) {
        pipe_die("run", "not one result");
    }

    n = b.done - a.done;

    printf("{\"statements\": %.0f, \"seconds\": %.6f, "
           "\"client_us\": %.4f, \"server_us\": %.4f}\n",
           n, b.wall - a.wall, (b.client - a.client) * 1e6 / n,
           (b.server - a.server) * 1e6 / n);

    for (i = 0; i < opt.nconns; i++) {
        PQfinish(conns[i]);
    }

    return 0;
}

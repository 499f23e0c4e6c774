
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * HTTP clients that look at what they get, each with one request under way:
 *
 *     clients [-c N] [-n REQUESTS | -d SECONDS] [-p MS] [-k CLASSES]
 *             [-m MARKER] [-o TRACE] [-w] PORT REQUESTS
 *
 *     -c  clients (64), each with a connection of its own
 *     -n  requests in all, or
 *     -d  seconds (3)
 *     -p  milliseconds between the requests of a client (0: as soon as it has
 *         an answer); the clients' requests are spread over them evenly
 *     -k  request i of the file is of class i modulo this (1)
 *     -m  the value of an answer is the number behind this text in its body
 *     -o  a file for all answers, see clients_record_t
 *     -w  connect, print "ready", wait for a line, then all ask at once
 *
 * REQUESTS is a file with a path on each line, and a bearer token behind a
 * blank if one is to be sent.  Client i of N begins i/N of the way into the
 * file; each goes on from there line by line, and from the end to the start.
 *
 * SIGTERM ends it early.  Prints a line of JSON: requests, seconds, errors
 * (another status than 200), latencies in microseconds, and for each class how
 * often X-Cache said what.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define CLIENTS_CLASSES  32
#define CLIENTS_BUFFER   (256 * 1024)
#define CLIENTS_EVENTS   256


enum {
    CLIENTS_NONE = 0,
    CLIENTS_HIT,
    CLIENTS_MISS,
    CLIENTS_EXPIRED,
    CLIENTS_UPDATING,
    CLIENTS_STALE,
    CLIENTS_BYPASS,
    CLIENTS_WORDS
};


typedef struct {
    int             clients;
    unsigned long   requests;
    double          seconds;
    double          pause;
    int             classes;
    const char     *marker;
    const char     *trace;
    int             wait;
    int             port;
    const char     *file;
} clients_options_t;


/* an answer, as in the trace; times are CLOCK_MONOTONIC */

typedef struct {
    double          sent;
    double          got;
    int64_t         value;     /* -1: none */
    int32_t         status;
    int32_t         word;      /* of X-Cache, as above */
} clients_record_t;


typedef struct {
    char           *text;
    size_t          len;
} clients_request_t;


typedef struct clients_conn_s  clients_conn_t;

struct clients_conn_s {
    int              fd;
    size_t           next;     /* request */
    size_t           asked;    /* the one under way */
    double           sent;
    double           due;
    clients_conn_t  *behind;   /* in the line of those that pause */
    size_t           len;
    char            *buf;
};


static clients_options_t   opt = { 64, 0, 3.0, 0, 1, NULL, NULL, 0, 0, NULL };
static clients_request_t  *requests;
static size_t              nrequests;
static clients_conn_t     *conns;
static clients_conn_t     *first;      /* that pause, by due */
static double              started;
static clients_record_t   *records;
static size_t              nrecords, room;
static unsigned long       issued, errors;
static unsigned long       counts[CLIENTS_CLASSES][CLIENTS_WORDS];
static int                 epoll;
static volatile sig_atomic_t  stopped;

static const char *const   words[] = {
    "none", "HIT", "MISS", "EXPIRED", "UPDATING", "STALE", "BYPASS"
};


static void
clients_die(const char *what, const char *why)
{
    fprintf(stderr, "clients: %s: %s\n", what, why);
    exit(1);
}


static void
clients_stop(int signo)
{
    stopped = signo;
}


static double
clients_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return now.tv_sec + now.tv_nsec / 1e9;
}


static void *
clients_alloc(void *p, size_t size)
{
    p = realloc(p, size);

    if (p == NULL) {
        clients_die("memory", strerror(errno));
    }

    return p;
}


/* --- requests --- */

static void
clients_format(clients_request_t *r, char *line)
{
    int    n;
    char  *token;

    token = strchr(line, ' ');

    if (token) {
        *token++ = '\0';
        n = asprintf(&r->text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     "Authorization: Bearer %s\r\n\r\n", line, token);

    } else {
        n = asprintf(&r->text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                     line);
    }

    if (n < 0) {
        clients_die("memory", strerror(errno));
    }

    r->len = n;
}


static void
clients_load(void)
{
    char     *line;
    FILE     *f;
    size_t    size;
    ssize_t   n;

    f = fopen(opt.file, "r");
    if (f == NULL) {
        clients_die(opt.file, strerror(errno));
    }

    line = NULL;
    size = 0;

    while ((n = getline(&line, &size, f)) > 0) {
        line[n - 1] = '\0';

        if ((nrequests & (nrequests - 1)) == 0) {
            requests = clients_alloc(requests, sizeof(clients_request_t)
                                               * (nrequests * 2 + 1));
        }

        clients_format(&requests[nrequests++], line);
    }

    free(line);
    fclose(f);

    if (nrequests == 0) {
        clients_die(opt.file, "no requests");
    }
}


static void
clients_send(clients_conn_t *c)
{
    clients_request_t  *r;

    if (opt.requests && issued == opt.requests) {
        return;
    }

    issued++;

    c->asked = c->next;
    c->next = (c->next + 1) % nrequests;
    c->len = 0;
    r = &requests[c->asked];

    c->sent = clients_now();

    if (send(c->fd, r->text, r->len, MSG_NOSIGNAL) != (ssize_t) r->len) {
        clients_die("send", strerror(errno));
    }
}


/* --- answers --- */

static int
clients_word(const char *head)
{
    int          i;
    const char  *p;

    p = strcasestr(head, "\r\nX-Cache: ");

    for (i = CLIENTS_HIT; p && i < CLIENTS_WORDS; i++) {
        if (strncmp(p + 11, words[i], strlen(words[i])) == 0) {
            return i;
        }
    }

    return CLIENTS_NONE;
}


/* length of the answer in the buffer, 0: it is not complete */

static size_t
clients_complete(clients_conn_t *c)
{
    char        *end;
    size_t       len;
    const char  *p;

    end = memmem(c->buf, c->len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }

    end[2] = '\0';
    p = strcasestr(c->buf, "\r\nContent-Length: ");
    len = p ? strtoul(p + 18, NULL, 10) : 0;
    len += end + 4 - c->buf;

    if (len > c->len) {
        end[2] = '\r';
        return 0;
    }

    return len;
}


static void
clients_take(clients_conn_t *c, double now)
{
    char              *p;
    clients_record_t  *r;

    if (nrecords == room) {
        room = room ? room * 2 : 65536;
        records = clients_alloc(records, room * sizeof(clients_record_t));
    }

    r = &records[nrecords++];
    r->sent = c->sent;
    r->got = now;
    r->status = atoi(c->buf + 9);
    r->word = clients_word(c->buf);
    r->value = -1;

    if (opt.marker) {
        p = memmem(c->buf, c->len, opt.marker, strlen(opt.marker));
        r->value = p ? strtoll(p + strlen(opt.marker), NULL, 10) : -1;
    }

    errors += r->status != 200;
    counts[c->asked % opt.classes][r->word]++;
}


/*
 * A client has beats of its own, so that answers that came together are not
 * followed by requests that do.
 */

static void
clients_pause(clients_conn_t *c, double now)
{
    double            beat;
    clients_conn_t  **link;

    beat = started + opt.pause * (c - conns) / opt.clients;

    if (beat <= now) {
        beat += opt.pause * (1 + (long) ((now - beat) / opt.pause));
    }

    c->due = beat;

    for (link = &first; *link && (*link)->due <= beat; /* void */ ) {
        link = &(*link)->behind;
    }

    c->behind = *link;
    *link = c;
}


static void
clients_read(clients_conn_t *c)
{
    double   now;
    ssize_t  n;

    n = recv(c->fd, c->buf + c->len, CLIENTS_BUFFER - 1 - c->len, 0);

    if (n <= 0) {
        clients_die("recv", n ? strerror(errno) : "closed");
    }

    now = clients_now();
    c->len += n;
    c->buf[c->len] = '\0';

    if (clients_complete(c) == 0) {
        return;
    }

    clients_take(c, now);

    if (opt.pause > 0) {
        clients_pause(c, now);
    } else {
        clients_send(c);
    }
}


/* --- the run --- */

static void
clients_connect(int i)
{
    int                  one;
    clients_conn_t      *c;
    struct sockaddr_in   sin;
    struct epoll_event   ev;

    c = &conns[i];
    memset(c, 0, sizeof(clients_conn_t));
    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(opt.port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->fd == -1
        || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1)
    {
        clients_die("connect", strerror(errno));
    }

    one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    ev.events = EPOLLIN;
    ev.data.ptr = c;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
        clients_die("epoll", strerror(errno));
    }

    c->buf = clients_alloc(NULL, CLIENTS_BUFFER);
    c->next = (double) i / opt.clients * nrequests;
}


/* how long to wait for answers, in ms */

static int
clients_timeout(double now, double end)
{
    double  next;

    next = now + 0.1;

    if (opt.requests == 0 && end < next) {
        next = end;
    }

    if (first && first->due < next) {
        next = first->due;
    }

    return next > now ? (int) ((next - now) * 1000 + 0.999) : 0;
}


static void
clients_run(double now, double end)
{
    int                  i, n;
    clients_conn_t      *c;
    struct epoll_event   events[CLIENTS_EVENTS];

    while (!stopped
           && (opt.requests ? nrecords < opt.requests : now < end))
    {
        n = epoll_wait(epoll, events, CLIENTS_EVENTS,
                       clients_timeout(now, end));

        for (i = 0; i < n; i++) {
            clients_read(events[i].data.ptr);
        }

        now = clients_now();

        while (first && first->due <= now) {
            c = first;
            first = c->behind;
            clients_send(c);
        }
    }
}


static int
clients_compare(const void *a, const void *b)
{
    double  x, y;

    x = *(const double *) a;
    y = *(const double *) b;

    return (x > y) - (x < y);
}


static void
clients_latencies(void)
{
    double  *us, sum;
    size_t   i;

    us = clients_alloc(NULL, (nrecords + 1) * sizeof(double));
    us[0] = 0;
    sum = 0;

    for (i = 0; i < nrecords; i++) {
        us[i] = (records[i].got - records[i].sent) * 1e6;
        sum += us[i];
    }

    qsort(us, nrecords, sizeof(double), clients_compare);

    printf("\"mean\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f, ",
           nrecords ? sum / nrecords : 0, us[nrecords / 2],
           us[nrecords * 99 / 100], us[nrecords ? nrecords - 1 : 0]);

    free(us);
}


static void
clients_report(double seconds)
{
    int  i, n;

    printf("{\"requests\": %zu, \"seconds\": %.6f, \"errors\": %lu, ",
           nrecords, seconds, errors);

    clients_latencies();

    printf("\"classes\": [");

    for (i = 0; i < opt.classes; i++) {
        printf("%s{", i ? ", " : "");

        for (n = 0; n < CLIENTS_WORDS; n++) {
            printf("%s\"%s\": %lu", n ? ", " : "", words[n], counts[i][n]);
        }

        printf("}");
    }

    printf("]}\n");
}


static void
clients_trace(void)
{
    FILE  *f;

    f = fopen(opt.trace, "wb");

    if (f == NULL
        || fwrite(records, sizeof(clients_record_t), nrecords, f) != nrecords
        || fclose(f) != 0)
    {
        clients_die(opt.trace, strerror(errno));
    }
}


static void
clients_options(int argc, char *const *argv)
{
    int  c;

    while ((c = getopt(argc, argv, "c:n:d:p:k:m:o:w")) != -1) {

        switch (c) {

        case 'c':
            opt.clients = atoi(optarg);
            break;

        case 'n':
            opt.requests = strtoul(optarg, NULL, 10);
            break;

        case 'd':
            opt.seconds = atof(optarg);
            break;

        case 'p':
            opt.pause = atof(optarg) / 1000;
            break;

        case 'k':
            opt.classes = atoi(optarg);
            break;

        case 'm':
            opt.marker = optarg;
            break;

        case 'o':
            opt.trace = optarg;
            break;

        case 'w':
            opt.wait = 1;
            break;

        default:
            exit(2);
        }
    }

    if (argc - optind != 2 || opt.clients < 1 || opt.seconds <= 0
        || opt.classes < 1 || opt.classes > CLIENTS_CLASSES)
    {
        clients_die("usage", "clients [-c N] [-n REQUESTS | -d SECONDS] "
                    "[-p MS] [-k CLASSES] [-m MARKER] [-o TRACE] [-w] "
                    "PORT REQUESTS");
    }

    opt.port = atoi(argv[optind]);
    opt.file = argv[optind + 1];
}


int
main(int argc, char *const *argv)
{
    int  i;

    clients_options(argc, argv);
    clients_load();
    signal(SIGTERM, clients_stop);

    epoll = epoll_create1(0);
    conns = clients_alloc(NULL, opt.clients * sizeof(clients_conn_t));

    for (i = 0; i < opt.clients; i++) {
        clients_connect(i);
    }

    if (opt.wait) {
        printf("ready\n");
        fflush(stdout);
        (void) getchar();
    }

    started = clients_now();

    for (i = 0; i < opt.clients; i++) {
        if (opt.pause > 0) {
            clients_pause(&conns[i], started);
        } else {
            clients_send(&conns[i]);
        }
    }

    clients_run(started, started + opt.seconds);
    clients_report(clients_now() - started);

    if (opt.trace) {
        clients_trace();
    }

    return 0;
}

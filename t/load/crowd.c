
/*
 * Copyright (C) ngx_http_softfactory_module authors
 */


/*
 * Many keep-alive connections, each with a user of its own at a fixed pace:
 *
 *     crowd PORT PLAN
 *
 * PLAN has a line for each connection: a bearer token or "-", and behind it,
 * between blanks, the paths that this user asks for, in order and from the
 * start again.  All connect, which is told by the line "connected"; then a
 * line on standard input
 *
 *     PAUSE SECONDS
 *
 * is a run, in which each connection has one turn every PAUSE seconds; all
 * turns are spread evenly.  A connection whose last answer is still under way
 * misses its turn.  Each run prints a line of JSON; the connections stay open
 * between runs, and until standard input ends.
 *
 * Times are taken twice: from the turn, which is when the user wanted to ask,
 * and from when the request was sent.  The difference is by how much this
 * program was late; it is the machine that is short of CPU then, so only the
 * first tells what users see, and only the second what the server does.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>


#define CROWD_EVENTS     512
#define CROWD_HEAD       4096           /* of an answer, at most */
#define CROWD_SCRATCH    (256 * 1024)
#define CROWD_TICK       0.00025        /* turns nearer than this are one */
#define CROWD_DRAIN      10.0           /* for the last answers of a run */
#define CROWD_ENDPOINTS  32
#define CROWD_STATUSES   600


/* latencies in seconds */

typedef struct {
    float           *turn;
    float           *sent;
    size_t           n;
    size_t           room;
} crowd_times_t;


/* a path without its query */

typedef struct {
    char            *name;
    crowd_times_t    times;
    unsigned long    errors;
} crowd_endpoint_t;


typedef struct {
    char            *path;
    char            *text;          /* of the request, up to the token */
    size_t           len;
    int              endpoint;
} crowd_path_t;


typedef struct {
    int              fd;
    int              busy;
    uint32_t         npaths;
    uint32_t         next;
    uint32_t        *paths;
    char            *tail;          /* of the request, with the token */
    size_t           tail_len;
    crowd_path_t    *asked;
    double           turn;
    double           sent;
    size_t           len;           /* of the head so far */
    char            *head;          /* while it is not complete */
    size_t           left;          /* of the body; 0: in the head */
    int              status;
} crowd_conn_t;


static crowd_conn_t      *conns;
static size_t             nconns;
static crowd_path_t      *paths;
static size_t             npaths;
static crowd_endpoint_t   endpoints[CROWD_ENDPOINTS];
static int                nendpoints;
static int                port, epoll, timer;
static size_t             busy;
static char               scratch[CROWD_SCRATCH];

/* of a run */

static unsigned long      turns, missed, lost;
static unsigned long      statuses[CROWD_STATUSES];
static double             bytes;


static void
crowd_die(const char *what, const char *why)
{
    fprintf(stderr, "crowd: %s: %s\n", what, why);
    exit(1);
}


static double
crowd_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return now.tv_sec + now.tv_nsec / 1e9;
}


static double
crowd_cpu(void)
{
    struct rusage  u;

    getrusage(RUSAGE_SELF, &u);

    return u.ru_utime.tv_sec + u.ru_stime.tv_sec
           + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}


static void *
crowd_alloc(void *p, size_t size)
{
    p = realloc(p, size);

    if (p == NULL) {
        crowd_die("memory", strerror(errno));
    }

    return p;
}


static char *
crowd_copy(const char *s, size_t len)
{
    char  *p;

    p = crowd_alloc(NULL, len + 1);
    memcpy(p, s, len);
    p[len] = '\0';

    return p;
}


/* --- the plan --- */

static int
crowd_endpoint(const char *path)
{
    int     i;
    size_t  len;

    len = strcspn(path, "?");

    for (i = 0; i < nendpoints; i++) {
        if (strlen(endpoints[i].name) == len
            && strncmp(endpoints[i].name, path, len) == 0)
        {
            return i;
        }
    }

    if (nendpoints == CROWD_ENDPOINTS) {
        crowd_die(path, "too many endpoints");
    }

    endpoints[nendpoints].name = crowd_copy(path, len);

    return nendpoints++;
}


static uint32_t
crowd_path(const char *path)
{
    int            n;
    size_t         i;
    crowd_path_t  *p;

    for (i = 0; i < npaths; i++) {
        if (strcmp(paths[i].path, path) == 0) {
            return i;
        }
    }

    paths = crowd_alloc(paths, (npaths + 1) * sizeof(crowd_path_t));
    p = &paths[npaths];

    n = asprintf(&p->text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", path);

    if (n < 0) {
        crowd_die("memory", strerror(errno));
    }

    p->len = n;
    p->path = crowd_copy(path, strlen(path));
    p->endpoint = crowd_endpoint(path);

    return npaths++;
}


static void
crowd_user(char *line)
{
    int            n;
    char          *word, *state;
    crowd_conn_t  *c;

    if ((nconns & (nconns - 1)) == 0) {
        conns = crowd_alloc(conns, (nconns * 2 + 1) * sizeof(crowd_conn_t));
    }

    c = &conns[nconns++];
    memset(c, 0, sizeof(crowd_conn_t));

    word = strtok_r(line, " \n", &state);
    if (word == NULL) {
        crowd_die("plan", "an empty line");
    }

    n = strcmp(word, "-") == 0
        ? asprintf(&c->tail, "\r\n")
        : asprintf(&c->tail, "Authorization: Bearer %s\r\n\r\n", word);

    if (n < 0) {
        crowd_die("memory", strerror(errno));
    }

    c->tail_len = n;

    while ((word = strtok_r(NULL, " \n", &state)) != NULL) {
        c->paths = crowd_alloc(c->paths, (c->npaths + 1) * sizeof(uint32_t));
        c->paths[c->npaths++] = crowd_path(word);
    }

    if (c->npaths == 0) {
        crowd_die("plan", "a user without paths");
    }
}


static void
crowd_plan(const char *file)
{
    char    *line;
    FILE    *f;
    size_t   size;

    f = fopen(file, "r");
    if (f == NULL) {
        crowd_die(file, strerror(errno));
    }

    line = NULL;
    size = 0;

    while (getline(&line, &size, f) > 0) {
        crowd_user(line);
    }

    free(line);
    fclose(f);

    if (nconns == 0) {
        crowd_die(file, "no users");
    }
}


/* --- connections --- */

static void
crowd_connect(crowd_conn_t *c)
{
    int                  one;
    struct sockaddr_in   sin;
    struct epoll_event   ev;

    memset(&sin, 0, sizeof(sin));

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->fd == -1
        || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1)
    {
        crowd_die("connect", strerror(errno));
    }

    one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    ev.events = EPOLLIN;
    ev.data.ptr = c;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
        crowd_die("epoll", strerror(errno));
    }
}


static void
crowd_idle(crowd_conn_t *c)
{
    busy -= c->busy;
    c->busy = 0;
    c->len = 0;
    c->left = 0;

    free(c->head);
    c->head = NULL;
}


/* an answer that will not come, if one was due; the user comes again */

static void
crowd_lose(crowd_conn_t *c)
{
    if (c->busy) {
        endpoints[c->asked->endpoint].errors++;
        lost++;
    }

    close(c->fd);
    crowd_idle(c);
    crowd_connect(c);
}


static void
crowd_turn(crowd_conn_t *c, double turn)
{
    ssize_t       n;
    struct iovec  iov[2];

    turns++;

    if (c->busy) {
        missed++;
        return;
    }

    c->asked = &paths[c->paths[c->next]];
    c->next = (c->next + 1) % c->npaths;
    c->turn = turn;
    c->busy = 1;
    busy++;

    iov[0].iov_base = c->asked->text;
    iov[0].iov_len = c->asked->len;
    iov[1].iov_base = c->tail;
    iov[1].iov_len = c->tail_len;

    c->sent = crowd_now();
    n = writev(c->fd, iov, 2);

    if (n != (ssize_t) (iov[0].iov_len + iov[1].iov_len)) {
        crowd_lose(c);
    }
}


/* --- answers --- */

static void
crowd_take(crowd_conn_t *c, double now)
{
    crowd_times_t     *t;
    crowd_endpoint_t  *e;

    e = &endpoints[c->asked->endpoint];
    t = &e->times;

    if (t->n == t->room) {
        t->room = t->room ? t->room * 2 : 4096;
        t->turn = crowd_alloc(t->turn, t->room * sizeof(float));
        t->sent = crowd_alloc(t->sent, t->room * sizeof(float));
    }

    t->turn[t->n] = now - c->turn;
    t->sent[t->n++] = now - c->sent;
    e->errors += c->status != 200;
    statuses[c->status]++;

    crowd_idle(c);
}


/*
 * The head of an answer: from the scratch buffer if it came as a whole, else
 * collected.  Returns 1 when it is complete, 0 when not, -1 when it is none.
 */

static int
crowd_head(crowd_conn_t *c, size_t n)
{
    char        *buf, *end;
    size_t       body;
    const char  *p;

    if (c->len + n >= CROWD_HEAD + CROWD_SCRATCH) {
        return -1;
    }

    buf = scratch;

    if (c->len) {
        c->head = crowd_alloc(c->head, c->len + n + 1);
        memcpy(c->head + c->len, scratch, n);
        buf = c->head;
        n += c->len;
    }

    buf[n] = '\0';
    end = memmem(buf, n, "\r\n\r\n", 4);

    if (end == NULL) {

        if (n > CROWD_HEAD) {
            return -1;
        }

        if (buf == scratch) {
            c->head = crowd_copy(scratch, n);
        }

        c->len = n;
        return 0;
    }

    end[2] = '\0';
    p = strcasestr(buf, "\r\nContent-Length: ");

    if (strncmp(buf, "HTTP/1.1 ", 9) != 0 || p == NULL) {
        return -1;
    }

    c->status = atoi(buf + 9);

    if (c->status < 0 || c->status >= CROWD_STATUSES) {
        return -1;
    }

    body = strtoul(p + 18, NULL, 10);
    n -= end + 4 - buf;

    if (n > body) {
        return -1;
    }

    c->left = body - n;

    return 1;
}


static void
crowd_read(crowd_conn_t *c)
{
    ssize_t  n;

    n = recv(c->fd, scratch, CROWD_SCRATCH - 1, MSG_DONTWAIT);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0 || !c->busy) {
        crowd_lose(c);
        return;
    }

    bytes += n;

    if (c->left == 0) {

        switch (crowd_head(c, n)) {

        case 0:
            return;

        case -1:
            crowd_lose(c);
            return;
        }

    } else if ((size_t) n > c->left) {
        crowd_lose(c);
        return;

    } else {
        c->left -= n;
    }

    if (c->left == 0) {
        crowd_take(c, crowd_now());
    }
}


/* waits for answers until then, or for none */

static void
crowd_wait(double until)
{
    int                 i, n;
    double              wait;
    struct itimerspec   spec;
    struct epoll_event  events[CROWD_EVENTS];

    wait = until - crowd_now();

    if (wait > 0) {
        memset(&spec, 0, sizeof(spec));
        spec.it_value.tv_sec = (time_t) wait;
        spec.it_value.tv_nsec = (long) ((wait - (time_t) wait) * 1e9) + 1;
        timerfd_settime(timer, 0, &spec, NULL);
    }

    n = epoll_wait(epoll, events, CROWD_EVENTS, wait > 0 ? -1 : 0);

    for (i = 0; i < n; i++) {
        if (events[i].data.ptr) {
            crowd_read(events[i].data.ptr);
        }
    }
}


/* --- a run --- */

static int
crowd_compare(const void *a, const void *b)
{
    float  x, y;

    x = *(const float *) a;
    y = *(const float *) b;

    return (x > y) - (x < y);
}


static double
crowd_part(const float *ordered, size_t n, double part)
{
    size_t  i;

    if (n == 0) {
        return 0;
    }

    i = n * part;

    return ordered[i < n ? i : n - 1] * 1000.0;
}


static void
crowd_figures(const char *name, float *times, size_t n)
{
    double  sum;
    size_t  i;

    qsort(times, n, sizeof(float), crowd_compare);

    for (sum = 0, i = 0; i < n; i++) {
        sum += times[i];
    }

    printf("\"%s\": {\"avg_ms\": %.4f, \"min_ms\": %.4f, \"p50_ms\": %.4f, "
           "\"p75_ms\": %.4f, \"p90_ms\": %.4f, \"p95_ms\": %.4f, "
           "\"p99_ms\": %.4f, \"max_ms\": %.4f}",
           name, n ? sum * 1000 / n : 0, crowd_part(times, n, 0),
           crowd_part(times, n, 0.5), crowd_part(times, n, 0.75),
           crowd_part(times, n, 0.9), crowd_part(times, n, 0.95),
           crowd_part(times, n, 0.99), crowd_part(times, n, 1));
}


static void
crowd_times(crowd_times_t *t, unsigned long errors)
{
    printf("\"requests\": %zu, \"errors\": %lu, ", t->n, errors);
    crowd_figures("turn", t->turn, t->n);
    printf(", ");
    crowd_figures("sent", t->sent, t->n);
}


static void
crowd_statuses(void)
{
    int          i;
    const char  *comma;

    printf("\"statuses\": {");

    for (comma = "", i = 0; i < CROWD_STATUSES; i++) {
        if (statuses[i]) {
            printf("%s\"%d\": %lu", comma, i, statuses[i]);
            comma = ", ";
        }
    }

    printf("}, ");
}


static void
crowd_report(double seconds, double cpu)
{
    int             i;
    size_t          j;
    unsigned long   errors;
    crowd_times_t   all, late, *t;

    memset(&all, 0, sizeof(all));
    errors = 0;

    for (i = 0; i < nendpoints; i++) {
        all.room += endpoints[i].times.n;
        errors += endpoints[i].errors;
    }

    all.turn = crowd_alloc(NULL, (all.room + 1) * sizeof(float));
    all.sent = crowd_alloc(NULL, (all.room + 1) * sizeof(float));
    late.turn = crowd_alloc(NULL, (all.room + 1) * sizeof(float));

    for (i = 0; i < nendpoints; i++) {
        t = &endpoints[i].times;

        for (j = 0; j < t->n; j++) {
            late.turn[all.n] = t->turn[j] - t->sent[j];
            all.turn[all.n] = t->turn[j];
            all.sent[all.n++] = t->sent[j];
        }
    }

    printf("{\"seconds\": %.3f, \"turns\": %lu, \"missed\": %lu, "
           "\"lost\": %lu, \"bytes\": %.0f, \"cpu_seconds\": %.3f, ",
           seconds, turns, missed, lost, bytes, cpu);
    crowd_statuses();
    crowd_times(&all, errors);
    printf(", ");
    crowd_figures("late", late.turn, all.n);
    printf(", \"endpoints\": {");

    for (i = 0; i < nendpoints; i++) {
        printf("%s\"%s\": {", i ? ", " : "", endpoints[i].name);
        crowd_times(&endpoints[i].times, endpoints[i].errors);
        printf("}");
    }

    printf("}}\n");
    fflush(stdout);

    free(all.turn);
    free(all.sent);
    free(late.turn);
}


static void
crowd_run(double pause, double seconds)
{
    size_t         i;
    double         start, end, now, due, cpu, interval;
    unsigned long  turn;

    turns = 0;
    missed = 0;
    lost = 0;
    bytes = 0;
    memset(statuses, 0, sizeof(statuses));

    for (i = 0; i < (size_t) nendpoints; i++) {
        endpoints[i].times.n = 0;
        endpoints[i].errors = 0;
    }

    cpu = crowd_cpu();
    interval = pause / nconns;
    start = crowd_now();
    end = start + seconds;
    turn = 0;

    for ( ;; ) {
        now = crowd_now();
        due = start + turn * interval;

        while (due <= now && due < end) {
            crowd_turn(&conns[turn % nconns], due);
            due = start + ++turn * interval;
        }

        if (due >= end) {
            break;
        }

        crowd_wait(due > now + CROWD_TICK ? due : now + CROWD_TICK);
    }

    while (busy && crowd_now() < end + CROWD_DRAIN) {
        crowd_wait(crowd_now() + 0.1);
    }

    for (i = 0; busy && i < nconns; i++) {
        if (conns[i].busy) {
            crowd_lose(&conns[i]);
        }
    }

    now = crowd_now();
    crowd_report(now > end ? now - start : seconds, crowd_cpu() - cpu);
}


int
main(int argc, char *const *argv)
{
    char                line[256];
    size_t              i;
    double              pause, seconds;
    struct epoll_event  ev;

    if (argc != 3) {
        crowd_die("usage", "crowd PORT PLAN");
    }

    port = atoi(argv[1]);
    crowd_plan(argv[2]);

    epoll = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    ev.events = EPOLLIN | EPOLLET;
    ev.data.ptr = NULL;
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &ev);

    for (i = 0; i < nconns; i++) {
        crowd_connect(&conns[i]);
    }

    printf("connected\n");
    fflush(stdout);

    while (fgets(line, sizeof(line), stdin)) {

        if (sscanf(line, "%lf %lf", &pause, &seconds) != 2
            || pause <= 0 || seconds <= 0)
        {
            crowd_die("not PAUSE SECONDS", line);
        }

        crowd_run(pause, seconds);
    }

    return 0;
}

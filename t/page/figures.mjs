// The sums of the page by themselves: no browser, no server.

import { Recorder, Watch, age, bytes, clock, comparator, count, duration,
         extent, hitRatio, join, joinRange, joinShort, niceTop, percent,
         percentile, phases, problems, rate, readStatus, relative, restarted,
         runs, shorten } from '../../conf/dashboard/figures.js';
import { is, ok } from './server.mjs';

const BOUNDS = [0.001, 0.01, 0.1];
const near = (a, b) => Math.abs(a - b) < 1e-9;


// a status with so much counted at the second `now`

function status(now, { requests = 0, errors = 0, buckets = [0, 0, 0, 0],
                       started = 1, ...rest } = {}) {
    return readStatus({
        now, started, buckets: BOUNDS,
        requests: { total: requests, errors },
        endpoints: [{ name: 'one', path: '/one', requests, errors, buckets,
                      cache: { hit: requests }, queries: 2 * now,
                      query_seconds: now }],
        workers: [{ pid: 7, cpu_seconds: now / 2, memory_bytes: 1 }],
        sources: [{ upstream: 'db', coherent: true, listener_pid: 7,
                    confirmed_ms_ago: 5, notifications: 3 * now }],
        upstreams: [{ name: 'db', up: true, servers: [] }],
        ...rest,
    });
}


// ---- percentiles ----

ok(near(percentile(BOUNDS, [10, 0, 0, 0], 0.5), 0.0005),
   'half of the first bucket');
ok(near(percentile(BOUNDS, [5, 5, 0, 0], 0.95), 0.001 + 0.009 * 0.9),
   'a share of the second');
ok(near(percentile(BOUNDS, [5, 0, 5, 0], 0.5), 0.001),
   'exactly at a bound');
is(percentile(BOUNDS, [1, 0, 0, 9], 0.5), Infinity, 'above the last bound');
is(percentile(BOUNDS, [0, 0, 0, 0], 0.5), null, 'nothing counted');
is(percentile([], [], 0.5), null, 'no histogram');


// ---- a history of samples ----

{
    const recorder = new Recorder();
    const first = recorder.add(status(100, { requests: 50 }), 0);
    is(first.figures, null, 'one sample tells no rate');
    is(recorder.points[0].requests, null, 'and its second has none');

    const { figures } = recorder.add(status(101, {
        requests: 60, errors: 1, buckets: [9, 1, 0, 0] }), 1);
    is(figures.all.rate, 10, 'requests a second');
    is(figures.endpoints[0].rate, 10, 'of an endpoint');
    is(figures.all.errorRatio, 0.1, 'share of errors');
    is(figures.all.hitRatio, 1, 'share of hits');
    is(figures.all.queryMean, 0.5, 'mean of a statement');
    is(figures.notifications.get('db'), 3, 'notifications a second');
    is(figures.cpu.get(7), 50, 'CPU of a worker');
    is(recorder.points[1].requests, 10, 'the second in the chart');

    for (let i = 2; i < 30; i++) {
        recorder.add(status(100 + i, { requests: 60 + i }), i);
    }
    const late = recorder.add(status(130, { requests: 90 + 100 }), 30);
    ok(near(late.figures.seconds, 10), 'looks back for ten seconds',
       late.figures.seconds);
    ok(recorder.samples.length <= 12, 'keeps no more samples than needed');
    is(recorder.points.at(-1).requests, 101, 'a rate of the last second');

    const again = recorder.add(status(131, { requests: 5, started: 130 }),
                               31);
    ok(again.again, 'counters that begin again are noticed');
    is(again.figures, null, 'and make no figure');
    is(recorder.points.at(-1).requests, null, 'nor a point');
    is(recorder.add(status(132, { requests: 8, started: 130 }), 32)
       .figures.all.rate, 3, 'but the next sample does');

    is(recorder.add(status(200, { requests: 10, started: 130 }), 100)
       .figures, null, 'nothing is known after a long gap');
    is(recorder.add(status(199, { requests: 11, started: 130 }), 101)
       .figures, null, 'nor when the clock went back');
    ok(!recorder.add(status(200, { requests: 11, started: 130 }), 102)
       .again, 'which is no restart');

    for (let i = 0; i < 400; i++) {
        recorder.add(status(201 + i, { requests: 11 + i, started: 130 }),
                     103 + i);
    }
    is(recorder.points.length, 300, 'five minutes of points');
}

{
    const recorder = new Recorder();
    recorder.add(status(100), 0);
    recorder.add(status(101, { requests: 10 }), 1);
    recorder.add(status(101.02, { requests: 12 }), 1.02);
    is(Math.round(recorder.points[2].requests), 12,
       'two answers at once make no peak');
}
ok(restarted(status(1, { requests: 50 }), status(2, { requests: 4 })),
   'far fewer requests than before: begun again');
ok(!restarted(status(1, { requests: 50 }), status(2, { requests: 49 })),
   'a worker that hands its counts over is no restart');
{
    const recorder = new Recorder();
    const none = readStatus({ now: 1 });
    recorder.add(none, 0);
    const { figures } = recorder.add(readStatus({
        now: 2, endpoints: [{ name: 'new', requests: 4,
                              buckets: [4], cache: { hit: 1, miss: 3 } }],
    }), 1);
    is(figures.endpoints[0].rate, 4, 'an endpoint that was not there');
    is(figures.endpoints[0].hitRatio, 0.25, 'and its cache');
}


// ---- what the server has kept ----

{
    const history = (...times) => ({ history: {
        columns: ['time', 'seconds', 'requests', 'p50_ms'],
        rows: times.map((time) => [time, 5, time, 250]) } });
    const seen = (recorder, seconds, now) => recorder.chart(seconds, now)
        .map((one) => one.seen).join(' ');
    const recorder = new Recorder();

    ok(recorder.lacks(1000), 'a new page has nothing');
    recorder.add(status(100, history(85, 90, 95)), 1000);
    ok(!recorder.lacks(1001), 'then it has');
    is(seen(recorder, 300, 1000), '985 990 995 1000',
       'what the server has kept, by the clock of the page');
    is(recorder.chart(300, 1000)[0].requests, 85, 'rates');
    is(recorder.chart(300, 1000)[0].p50, 0.25, 'times in seconds');
    is(seen(recorder, 7, 1000), '995 1000', 'no more than is asked for');
    is(JSON.stringify(runs(recorder.chart(300, 1000), 'p50')),
       '[[[985,0.25],[990,0.25],[995,0.25]]]', 'a line without a gap');

    for (let i = 1; i < 8; i++) {
        recorder.add(status(100 + i), 1000 + i);
    }
    ok(recorder.lacks(1012), 'a page that was away');
    recorder.add(status(120, history(95, 100, 105, 110, 115)), 1020);
    is(seen(recorder, 300, 1020), '985 990 995 1000 1001 1002 1003 1004 1005 '
       + '1006 1007 1010 1015 1020', 'has what it missed, and its own');
    ok(!recorder.lacks(1021), 'once');

    for (let i = 1; i < 7; i++) {
        recorder.add(status(120 + i), 1020 + i);
    }
    ok(recorder.lacks(1027), 'and when the last interval has ended');
    recorder.add(status(127, history(115, 120, 125)), 1027);
    ok(!recorder.lacks(1028), 'which is enough');
    recorder.add(status(128), 1086);
    ok(recorder.lacks(1088), 'for a minute');

    recorder.add(status(2, { started: 5000, ...history(1) }), 1200);
    is(seen(recorder, 3600, 1200).split(' ').slice(-2).join(' '),
       '1199 1200', 'a server that has begun again');
    ok(seen(recorder, 3600, 1200).startsWith('985 '),
       'takes nothing away from what was before');
}
{
    const recorder = new Recorder();
    const odd = { history: { columns: ['time'], rows: [[null], 5, [1e300]] } };

    recorder.add(status(100, odd), 1000);
    is(recorder.chart(3600, 1000).length, 1, 'rows that are none');
}


// ---- charts ----

{
    const points = [[0, 1], [1, 2], [2, null], [3, 3], [9, 4]].map(
        ([seen, n]) => ({ seen, n }));
    is(JSON.stringify(runs(points, 'n')),
       '[[[0,1],[1,2],[3,3]],[[9,4]]]', 'a line ends at a gap');
    is(JSON.stringify(extent(points, 'n')), '{"low":1,"high":4,"mean":2.5}',
       'lowest, mean, highest');
    is(extent([], 'n'), null, 'of nothing');
}
for (const [value, top] of [[1, 1], [1.1, 2], [3, 4], [501, 1000],
                            [0.02, 0.02], [7000, 10000]]) {
    ok(near(niceTop(value), top), `a scale for ${value}`, niceTop(value));
}


// ---- conditions ----

const ids = (...words) => problems(...words).map(
    (one) => `${one.level} ${one.id}`).join(', ');

{
    const good = status(1);
    is(ids(good, null), '', 'nothing is wrong');
    is(ids({ ...good, upstreams: readStatus({ upstreams: [
        { name: 'db', up: false }] }).upstreams }, null),
       'critical down db', 'database down');
    is(ids(status(1, { sources: [{ upstream: 'db', coherent: false,
                                   uncovered: ['users'] }] }), null),
       'warning incoherent db', 'nobody listens');
    is(ids(status(1, { sources: [{ upstream: 'db', coherent: true,
                                   uncovered: ['users'] }] }), null),
       'warning uncovered db', 'a table without triggers');
    is(ids(status(1, { sources: [{ upstream: 'db', coherent: true,
                                   open_channel: ['users'] }] }), null),
       'warning open db', 'triggers that all can hear');
    const full = { upstream: 'db', coherent: false, queue_usage: 0.45 };
    ok(problems(status(1, { sources: [full] }), null)
           .some((one) => one.text.includes('queue is too full')),
       'a full queue is the reason');
    is(ids(status(1, { sources: [{ upstream: 'db', coherent: true,
                                   creators: 1 }] }), null),
       'warning creators db', 'others may create in the schema');
    is(ids(status(1, { machine: { cpu_percent: 91, memory_percent: 85 } }),
           null), 'critical cpu, warning memory', 'the machine');
    is(ids(status(1, { upstreams: [{ name: 'db', up: true, queue_max: 100,
        queue: { read: 90 }, servers: [{ name: 's', lanes: { read: {
            statements: 52, statements_max: 64 } } }] }] }), null),
       'critical waiting db read, warning statements s read',
       'a full pool, the worst first');

    const figures = (requests, errorRatio, p95) => ({
        all: { requests, errorRatio, p95 } });
    is(ids(good, figures(100, 0.004, 0.4)), '', 'below all limits');
    is(ids(good, figures(100, 0.01, 3)), 'critical p95, warning errors',
       'errors and latency');
    is(ids(good, figures(100, 0, Infinity)), 'critical p95',
       'slower than the histogram reaches');
    is(ids(good, figures(3, 1, 3)), '', 'three requests are no condition');
}

{
    const application = (away, requests, errors, failed) => ids(status(1, {
        application: { away, minute: { requests, errors, failed } } }), null);

    is(application(false, 0, 0, 0), '', 'nothing was passed on');
    is(application(false, 100, 4, 4), '', 'few failures');
    is(application(false, 5, 2, 2), '', 'few of all');
    is(application(true, 5, 3, 3), 'critical application',
       'as the server says');
    is(application(false, 100, 5, 5), 'warning application', 'more failures');
    is(application(false, 100, 5, 0), 'warning application', 'its own errors');
    is(problems(status(1, { application: { away: true, minute: {
        requests: 40, errors: 39, failed: 39 } } }), null)[0].text,
       'The application behind does not answer: 39 of 40 requests in the '
       + 'last minute failed.', 'in words');
}

{
    const watch = new Watch();
    const slow = { id: 'p95', level: 'warning', text: 'slow' };
    const down = { id: 'down', level: 'critical', text: 'down',
                   holds: true };
    const step = (...found) => {
        const { raised, cleared } = watch.update(found);
        return `+${raised.length} -${cleared.length} =`
               + watch.current.length;
    };

    is(step(slow), '+0 -0 =0', 'once is not enough');
    is(step(), '+0 -0 =0', 'and forgotten');
    step(slow);
    step(slow);
    is(step(slow), '+1 -0 =1', 'three times in a row is');
    is(step(slow, down), '+1 -0 =2', 'what holds is told at once');
    is(step(), '+0 -1 =1', 'and is over at once');
    step();
    is(step(), '+0 -1 =0', 'the other when it was missing as often');
}


// ---- slow requests ----

is(JSON.stringify(phases({ ms: 10, auth_ms: 1, queue_ms: 2, db_ms: 3,
                           write_ms: 1 })),
   '[["auth",1],["queue",2],["db",3],["write",1],["rest",3]]', 'phases');
is(phases({ ms: 10, db_ms: 12 }).at(-1)[1], 0,
   'statements side by side leave no rest');


// ---- texts ----

const said = (form, ...pairs) => pairs.forEach(([value, text]) => {
    const found = form(value);
    is((Array.isArray(found) ? join(found) : found)
       .replace(/[\u00a0\u2009]/g, ' '), text, `${value} is ${text}`);
});

said(duration, [null, '–'], [0, '0 µs'], [5e-6, '5.0 µs'], [12e-6, '12 µs'],
     [0.00099, '990 µs'], [0.0009999, '1.00 ms'], [0.0123, '12.3 ms'],
     [0.99999, '1.00 s'], [12.34, '12.3 s'], [Infinity, '> 5 s']);
said(percent, [null, '–'], [0, '0 %'], [1, '100 %'], [0.999999, '99.99 %'],
     [0.00001, '< 0.01 %'], [0.005, '0.50 %'], [0.5, '50.0 %']);
said(rate, [null, '–'], [0, '0 /s'], [0.01, '< 0.1 /s'], [0.5, '0.5 /s'],
     [9.96, '10 /s'], [15345, '15,345 /s'], [123456, '123k /s']);
said(bytes, [0, '0 bytes'], [1536, '1.50 KiB'], [67108864, '64.0 MiB']);
said(count, [0, '0'], [1234567, '1,234,567'], [12345678, '12.3 M'],
     [2e9, '2.00 G']);
said(age, [0, '0 s'], [75, '1 min 15 s'], [3600, '1 h 0 min'],
     [90000, '1 d 1 h']);
is(joinShort(['50.0', '%']), '50\u00a0%', 'the mark of a scale');
is(joinShort(['0.50', '%']), '0.5\u00a0%', 'which is short');
is(joinShort(['100', '']), '100', 'and whole');
is(joinRange(['1', 's'], ['2', 's']), '1 to 2\u00a0s', 'a range');
is(joinRange(['1', 's'], ['1', 's']), '1\u00a0s', 'of one value');
is(joinRange(['1', 'ms'], ['1', 's']), '1\u00a0ms to 1\u00a0s',
   'of two units');
{
    const day = new Date(2026, 1, 3, 4, 5, 6);
    is(clock(day, day), '04:05:06', 'time of today');
    is(clock(day, new Date(2026, 1, 4)), '3 Feb 2026, 04:05:06',
       'and of another day');
}


is(shorten('a'.repeat(300)).length, 201, 'a long text is cut');
is(shorten(null), '', 'and none is none');
is(shorten('a\u202eb\0c'), 'a\ufffdb\ufffdc',
   'nothing turns the text round');


// ---- addresses ----

for (const [from, to, wanted] of [
    ['/softfactory/status', '/softfactory/report', './report'],
    ['/softfactory/status', '/metrics', '../metrics'],
    ['/status', '/metrics', './metrics'],
    ['/a/b/status', '/a/c/d', '../c/d'],
    ['/status', '/javascript:alert(1)', './javascript%3Aalert(1)'],
]) {
    is(relative(from, to), wanted, `${to} as seen from ${from}`);
}


// ---- order ----

{
    const rows = [{ name: 'b', n: 1 }, { name: 'a', n: 1 },
                  { name: 'c', n: null }, { name: 'd', n: 5 }];
    const order = (descending) => [...rows].sort(comparator('n', descending))
                                           .map((row) => row.name).join('');
    is(order(true), 'dabc', 'descending, nothing last');
    is(order(false), 'abdc', 'ascending, nothing last');
}


// ---- whatever a server says ----

for (const nonsense of [null, 1, 'x', [], {}, { endpoints: 5 },
                        { endpoints: [null], sources: [null],
                          upstreams: [null], slow: [null] },
                        { requests: { total: 'many' } }]) {
    const read = readStatus(nonsense);
    problems(read, null);
    ok(read.requests.total === 0 && Array.isArray(read.endpoints),
       `reads ${JSON.stringify(nonsense)}`);
}
is(hitRatio({ hit: 0, updating: 0, stale: 0, miss: 0, expired: 0,
              bypass: 4 }), null, 'only bypassed: no ratio');

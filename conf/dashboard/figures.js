// What the page shows, worked out of what the status location says.  Only
// sums and texts: nothing here knows of the document, so that all of it can
// be tried without a browser.


export const WINDOW = 10;           // seconds that the figures look back
export const LIVE = 300;            // seconds of which each is kept
export const HOUR = 3600;           // seconds that the server keeps
export const REFILL = 60;           // seconds from one look at that to the next
export const SOON = 7;              // after the first: it lags by an interval

export const LANES = ['read', 'totals', 'heavy', 'write', 'ping', 'listen'];
export const STATES = ['connecting', 'idle', 'active', 'draining'];
export const RESULTS = ['hit', 'updating', 'stale', 'miss', 'expired',
                        'bypass'];
export const PHASES = ['auth', 'queue', 'db', 'write', 'rest'];

const FROM_CACHE = ['hit', 'updating', 'stale'];
const NOT_KEPT = ['bypass'];

// samples that are further apart have a gap between them: the page was
// hidden or paused, or the server away

const GAP = 3;

// a rate of less than that is chance: two answers may come close together
// when the one before was late

const LEAST = 0.6;

// the alert table of the performance report, and what belongs beside it

const LIMITS = {
    errors:     { warning: 0.005, critical: 0.05 },
    p95:        { warning: 0.5,   critical: 2 },
    cpu:        { warning: 75,    critical: 90 },
    memory:     { warning: 80,    critical: 95 },
    statements: { warning: 0.8,   critical: 1 },
    waiting:    { warning: 0.5,   critical: 0.9 },
    queue:      { warning: 0.25,  critical: 0.75 },
};

// of what was passed on to the application

const FAILING = 0.05;

// a ratio or a percentile of fewer requests is an accident, no condition

const ENOUGH = 10;


// ---- reading ----

const number = (value) => (Number.isFinite(value) ? value : 0);
const list = (value) => (Array.isArray(value) ? value : []);
const object = (value) => (value && typeof value === 'object' ? value : {});
const objects = (value) => list(value).map(object);
const string = (value) => (value === undefined || value === null
                           ? '' : String(value));


// numbers NAMES FROM: what is missing counts as 0

function numbers(names, from) {
    return Object.fromEntries(
        names.map((name) => [name, number(object(from)[name])]));
}


// Gives the status a known shape, whatever the server has left out.

export function readStatus(json) {
    const doc = object(json);

    return {
        now: number(doc.now),
        started: number(doc.started),
        version: string(doc.module_version),
        node: string(doc.node),
        links: object(doc.links),
        workers: objects(doc.workers),
        connections: numbers(['active', 'reading', 'writing', 'waiting'],
                             doc.connections),
        machine: numbers(['cpu_percent', 'memory_percent'], doc.machine),
        bounds: list(doc.buckets),
        requests: numbers(['total', 'errors', 'slow', 'fallback', 'limited'],
                          doc.requests),
        application: readApplication(object(doc.application)),
        history: readHistory(object(doc.history)),
        endpoints: objects(doc.endpoints).map(readEndpoint),
        upstreams: objects(doc.upstreams).map(readUpstream),
        errors: object(doc.errors),
        slow: objects(doc.slow),
        cache: numbers(['bytes', 'entries', 'size', 'room', 'hits', 'misses',
                        'stale', 'expired', 'fills', 'evictions',
                        'pinned_bytes', 'pins', 'fills_under_way',
                        'followers', 'waits', 'bypassed', 'raced',
                        'refused', 'abandoned'], doc.cache),
        sources: objects(doc.sources).map(readSource),
    };
}


function readApplication(application) {
    return {
        away: application.away === true,
        failed: number(application.failed),
        minute: numbers(['requests', 'errors', 'failed'],
                        application.minute),
    };
}


// rows of a table, as objects by the names of its columns; what is no number
// is not known

function readHistory({ columns, rows }) {
    const names = list(columns).map(string);

    return list(rows).slice(-HOUR).map((row) => Object.fromEntries(
        names.map((name, i) => [name, Number.isFinite(list(row)[i])
                                      ? row[i] : null])))
        .filter(({ time }) => known(time));
}


function readEndpoint(endpoint) {
    return {
        name: string(endpoint.name),
        path: string(endpoint.path),
        minute: Number.isFinite(endpoint.minute) ? endpoint.minute : null,
        buckets: list(endpoint.buckets).map(number),
        cache: numbers(RESULTS, endpoint.cache),
        ...numbers(['requests', 'errors', 'slow', 'seconds', 'queries',
                    'query_seconds'], endpoint),
    };
}


function readUpstream(upstream) {
    return {
        name: string(upstream.name),
        up: upstream.up === true,
        queue: object(upstream.queue),
        queueMax: number(upstream.queue_max),
        servers: objects(upstream.servers).map((server) => ({
            name: string(server.name),
            lanes: readLanes(object(server.lanes)),
        })),
    };
}


function readLanes(lanes) {
    const names = [...LANES.filter((name) => name in lanes),
                   ...Object.keys(lanes).filter((n) => !LANES.includes(n))];

    return names.map((name) => ({
        name,
        ...numbers([...STATES, 'statements', 'statements_max'], lanes[name]),
    }));
}


function readSource(source) {
    return {
        upstream: string(source.upstream),
        coherent: source.coherent === true,
        confirmed: Number.isFinite(source.confirmed_ms_ago)
                   ? source.confirmed_ms_ago / 1000 : null,
        uncovered: list(source.uncovered).map(string),
        open: list(source.open_channel).map(string),
        ...numbers(['flushes', 'moves', 'notifications', 'listener_pid',
                    'queue_usage', 'creators'], source),
    };
}


// ---- differences between two samples ----

// Whether the counters of the newer one did not begin where the older one's
// were: the shared memory was made anew in between.  A little less than before
// is none: workers that leave hand their counts over.

export function restarted(older, newer) {
    return newer.started !== older.started
           || newer.requests.total < older.requests.total / 2;
}


const positive = (value) => Math.max(0, value);
const ratio = (part, whole) => (whole > 0 ? part / whole : null);
const sum = (values) => values.reduce((a, b) => a + b, 0);


function less(newer, older) {
    return Object.fromEntries(Object.entries(newer).map(
        ([name, value]) => [name,
                            positive(number(value) - number(older[name]))]));
}


// Latency below which that share of the counted requests stayed: within its
// bucket the share is taken to grow evenly, as Prometheus does.  Infinity:
// above the last bound; null: nothing was counted.

export function percentile(bounds, counts, share) {
    const rank = share * sum(counts);
    let below = 0;

    for (let i = 0; i < counts.length; i++) {
        if (counts[i] > 0 && below + counts[i] >= rank) {
            if (i >= bounds.length) {
                return Infinity;
            }
            const low = i > 0 ? bounds[i - 1] : 0;
            return low + (bounds[i] - low) * (rank - below) / counts[i];
        }
        below += counts[i];
    }

    return null;
}


export function hitRatio(cache) {
    const asked = sum(RESULTS.filter((name) => !NOT_KEPT.includes(name))
                             .map((name) => cache[name]));

    return ratio(sum(FROM_CACHE.map((name) => cache[name])), asked);
}


// figures of one endpoint, or of all, for what was counted in some seconds

function rates(counted, bounds, seconds) {
    return {
        ...counted,
        rate: counted.requests / seconds,
        errorRatio: ratio(counted.errors, counted.requests),
        p50: percentile(bounds, counted.buckets, 0.50),
        p95: percentile(bounds, counted.buckets, 0.95),
        p99: percentile(bounds, counted.buckets, 0.99),
        hitRatio: hitRatio(counted.cache),
        queryRate: counted.queries / seconds,
        queryMean: ratio(counted.query_seconds, counted.queries),
    };
}


const NOTHING = readEndpoint({});


function endpointLess(newer, older = NOTHING) {
    const counters = numbers(['requests', 'errors', 'queries',
                              'query_seconds'], newer);

    return {
        ...less(counters, older),
        name: newer.name,
        path: newer.path,
        minute: newer.minute,
        total: newer.requests,
        buckets: newer.buckets.map(
            (count, i) => positive(count - number(older.buckets[i]))),
        cache: less(newer.cache, older.cache),
    };
}


function together(endpoints) {
    const total = { ...NOTHING, cache: { ...NOTHING.cache }, buckets: [],
                    total: 0 };

    for (const one of endpoints) {
        for (const name of ['requests', 'errors', 'queries', 'query_seconds',
                            'total']) {
            total[name] += one[name];
        }
        for (const name of RESULTS) {
            total.cache[name] += one.cache[name];
        }
        one.buckets.forEach((count, i) => {
            total.buckets[i] = number(total.buckets[i]) + count;
        });
    }

    return total;
}


function byKey(items, key) {
    return new Map(items.map((item) => [item[key], item]));
}


// What happened between two samples of one life of the counters.

export function between(older, newer) {
    const seconds = newer.now - older.now;
    const before = byKey(older.endpoints, 'name');
    const endpoints = newer.endpoints.map(
        (one) => endpointLess(one, before.get(one.name)));
    const listened = byKey(older.sources, 'upstream');
    const worked = byKey(older.workers, 'pid');

    return {
        seconds,
        endpoints: endpoints.map((one) => rates(one, newer.bounds, seconds)),
        all: rates(together(endpoints), newer.bounds, seconds),
        requests: less(newer.requests, older.requests),
        passed: positive(newer.requests.fallback - older.requests.fallback),
        failed: positive(newer.application.failed - older.application.failed),
        errors: less(newer.errors, older.errors),
        cache: less(newer.cache, older.cache),

        // by upstream; of one that was not there before nothing is known

        notifications: new Map(newer.sources
            .filter((one) => listened.has(one.upstream))
            .map((one) => [one.upstream, positive(one.notifications
                - listened.get(one.upstream).notifications) / seconds])),

        // by process id, in per cent of one core

        cpu: new Map(newer.workers
            .filter((one) => worked.has(one.pid))
            .map((one) => [one.pid, 100 * positive(number(one.cpu_seconds)
                - number(worked.get(one.pid).cpu_seconds)) / seconds])),
    };
}


// ---- samples and histories ----

// Keeps the samples that the figures need, one point for each second of the
// last minutes, and those that the server has kept before or meanwhile.

export class Recorder {

    constructor() {
        this.samples = [];
        this.points = [];
        this.past = [];
        this.filled = -Infinity;    // when the server was asked for those
    }

    // Whether the server should be asked for what it has kept: at first, now
    // and then, and when the page was away.

    lacks(seen) {
        const last = this.samples.at(-1);

        return seen - this.filled >= REFILL || !last || seen - last.seen > GAP;
    }

    // what was kept before the server began anew stays

    fill(status, seen) {
        const rows = status.history.map((row) => pastPoint(row, status.now,
                                                           seen));
        const first = rows[0] ? rows[0].seen - rows[0].span / 2 : Infinity;

        this.past = [...this.past.filter((one) => one.seen < first
                                                  && seen - one.seen < HOUR),
                     ...rows];
        this.filled = seen;
    }

    // The points of so many seconds up to now, in their order: those of the
    // server where this page has none of its own.

    chart(seconds, seen) {
        const all = [];
        let i = 0;

        for (const one of this.past) {
            while (i < this.points.length
                   && this.points[i].seen <= one.seen - GAP) {
                all.push(this.points[i++]);
            }
            if (i === this.points.length || this.points[i].seen > one.seen) {
                all.push(one);
            }
        }

        return [...all, ...this.points.slice(i)].filter(
            (one) => seen - one.seen <= seconds && one.seen <= seen);
    }

    // Takes a status that was read at `seen` (seconds of a clock that never
    // jumps).  Tells what there is to show now: `figures` of the last
    // seconds, null until a second sample is there, and whether the counters
    // have begun again.

    add(status, seen) {
        const last = this.samples.at(-1);
        const again = last !== undefined && restarted(last.status, status);
        const away = last === undefined || seen - last.seen > GAP;

        if (again || (last && status.now <= last.status.now)) {
            this.samples = [];
        }

        this.samples = this.samples.filter(
            (one) => seen - one.seen < WINDOW + 1);
        this.samples.push({ status, seen });

        const oldest = this.samples[0].status;
        const figures = status.now - oldest.now >= LEAST
                        ? between(oldest, status) : null;
        const base = this.samples.findLast(
            (one) => status.now - one.status.now >= LEAST);
        const close = base && seen - base.seen <= GAP;
        const now = close ? between(base.status, status) : null;

        this.points = this.points.filter((one) => seen - one.seen < LIVE);
        this.points.push(point(status, figures, now, seen));
        if (this.lacks(seen) || status.history.length > 0) {
            this.fill(status, seen);
            this.filled -= away ? REFILL - SOON : 0;
        }

        return { figures, again };
    }
}


// One second of the charts: rates are those of this second, ratios and
// percentiles are those of the window, as with few requests those of a single
// second would only jump between 0 and 100.

function point(status, figures, now, seen) {
    const { inFlight, waiting } = load(status);
    const { cpu_percent: cpu, memory_percent: memory } = status.machine;

    return {
        seen,
        requests: now && now.all.rate,
        queries: now && now.all.queryRate,
        passed: now && now.passed / now.seconds,
        failed: figures && percent100(ratio(figures.failed, figures.passed)),
        errors: figures && percent100(figures.all.errorRatio),
        hits: figures && percent100(figures.all.hitRatio),
        p50: figures && figures.all.p50,
        p95: figures && figures.all.p95,
        p99: figures && figures.all.p99,
        inFlight,
        waiting,

        // a server that has only just begun has not looked yet

        cpu: memory > 0 ? cpu : null,
        memory: memory > 0 ? memory : null,
    };
}


// The same of an interval that the server has kept.  Statements are at their
// peak there.

function pastPoint(row, now, seen) {
    const time = (ms) => (ms === null ? null : ms / 1000);

    return {
        seen: seen - (now - row.time),
        span: number(row.seconds),
        requests: row.requests,
        queries: row.queries,
        passed: row.passed,
        failed: row.failed,
        errors: row.errors,
        hits: row.hits,
        p50: time(row.p50_ms),
        p95: time(row.p95_ms),
        p99: time(row.p99_ms),
        inFlight: row.under_way,
        waiting: row.waiting,
        cpu: row.cpu,
        memory: row.memory,
    };
}


const percent100 = (value) => (value === null ? null : 100 * value);


// statements that are under way and that wait, over all databases; what a
// listener asks is no request's

const asking = (lane) => lane.name !== 'listen';

export function load(status) {
    const lanes = status.upstreams.flatMap(
        (one) => one.servers.flatMap((server) => server.lanes.filter(asking)));

    return {
        inFlight: sum(lanes.map((lane) => lane.statements)),
        most: sum(lanes.map((lane) => lane.statements_max)),
        waiting: sum(status.upstreams.flatMap(
            (one) => Object.values(one.queue).map(number))),
    };
}


// Splits a history where samples are missing; a point is [seen, value].  One
// that the server has kept stands for some seconds; a single one of which a
// value is not known makes no gap.

export function runs(points, key) {
    const all = [];
    let last = { seen: -Infinity };

    for (const one of points.filter((point) => known(point[key]))) {
        if (one.seen - last.seen > GAP + Math.max(one.span ?? 0,
                                                  last.span ?? 0)) {
            all.push([]);
        }
        all.at(-1).push([one.seen, one[key]]);
        last = one;
    }

    return all;
}


// the lowest, mean and highest value of a history

export function extent(points, key) {
    const values = points.map((one) => one[key]).filter(known);

    if (values.length === 0) {
        return null;
    }

    return { low: Math.min(...values), high: Math.max(...values),
             mean: sum(values) / values.length };
}


// the smallest of 1, 2, 4, 10, 20, 40 ... that is not below the value: their
// halves are short too

export function niceTop(value) {
    const decade = 10 ** Math.floor(Math.log10(value));
    const step = [1, 2, 4, 10].find((n) => n * decade >= value * 0.999999);

    return step * decade;
}


// ---- condition ----

function level(value, limits) {
    if (value === null || !(value >= limits.warning)) {
        return null;
    }
    return value >= limits.critical ? 'critical' : 'warning';
}


// What an operator has to know, the worst first: [{ id, level, text }].  A
// condition that `holds` is told at once; the others only when they last.

export function problems(status, figures) {
    const found = [];
    const add = (id, grade, text, holds = false) => {
        if (grade) {
            found.push({ id, level: grade, text, holds });
        }
    };

    for (const upstream of status.upstreams) {
        upstreamProblems(upstream, add);
    }
    for (const source of status.sources) {
        sourceProblems(source, add);
    }
    if (figures && figures.all.requests >= ENOUGH) {
        requestProblems(figures.all, add);
    }
    applicationProblems(status.application, add);
    machineProblems(status.machine, add);

    return found.sort(worstFirst).map((one, rank) => ({ ...one, rank }));
}


function worstFirst(a, b) {
    const worth = (one) => (one.level === 'critical' ? 0 : 1);

    return worth(a) - worth(b);
}


function upstreamProblems({ name, up, queue, queueMax, servers }, add) {
    if (!up) {
        add(`down ${name}`, 'critical',
            `No connection to the database “${name}”.`, true);
    }

    for (const lane of LANES) {
        const waiting = number(queue[lane]);
        add(`waiting ${name} ${lane}`,
            level(ratio(waiting, queueMax), LIMITS.waiting),
            `${count(waiting)} of ${count(queueMax)} places in the waiting `
            + `list of “${name}”, ${lane} lane, are taken.`);
    }

    for (const server of servers) {
        for (const lane of server.lanes.filter(asking)) {
            add(`statements ${server.name} ${lane.name}`,
                level(ratio(lane.statements, lane.statements_max),
                      LIMITS.statements),
                `${count(lane.statements)} of ${count(lane.statements_max)} `
                + `statements are under way at ${server.name}, ${lane.name} `
                + 'lane.');
        }
    }
}


// part of the queue from which on the listener trusts nothing

const FULL = 0.4;


function sourceProblems(source, add) {
    const { upstream, coherent, uncovered, open, creators } = source;

    if (!coherent) {
        add(`incoherent ${upstream}`, 'warning',
            source.queue_usage >= FULL
            ? `Notifications to the listener of “${upstream}” may get lost, as `
              + 'the notification queue is too full: responses are cached for '
              + 'a short time only.'
            : source.listener_pid
            ? `The listener of “${upstream}” has had no confirmation for `
              + 'longer than its lease: responses are cached for a short '
              + 'time only.'
            : `No worker listens to “${upstream}”: responses are cached for a `
              + 'short time only.', true);
    }

    // without a listener none is covered

    if (coherent && uncovered.length > 0) {
        add(`uncovered ${upstream}`, 'warning',
            `${uncovered.length === 1 ? 'A table' : 'Tables'} of `
            + `“${upstream}” without current triggers: `
            + `${uncovered.join(', ')}.`, true);
    }

    if (open.length > 0) {
        add(`open ${upstream}`, 'warning',
            `Every role may listen to the changes of “${upstream}”, and empty `
            + 'its cache: run softfactory-tables.sql again for '
            + `${open.join(', ')}.`, true);
    }

    if (creators > 0) {
        add(`creators ${upstream}`, 'warning',
            `${creators === 1 ? 'A role' : `${count(creators)} roles`} beside `
            + 'the owner may create objects in the schema of '
            + `“${upstream}”: see Roles and privileges in the manual.`, true);
    }

    add(`queue ${upstream}`, level(source.queue_usage, LIMITS.queue),
        `The notification queue of “${upstream}” is `
        + `${join(percent(source.queue_usage))} full.`);
}


function requestProblems(all, add) {
    add('errors', level(all.errorRatio, LIMITS.errors),
        `${join(percent(all.errorRatio))} of the requests end in a server `
        + 'error.');
    add('p95', level(all.p95, LIMITS.p95),
        `One request in twenty takes longer than ${join(duration(all.p95))}.`);
}


// what was passed on in the last minute; the server knows when none answers

function applicationProblems({ away, minute }, add) {
    const of = (n) => `${count(n)} of ${count(minute.requests)} requests in `
                      + 'the last minute';
    const errors = minute.errors - minute.failed;

    if (away) {
        add('application', 'critical', 'The application behind does not '
            + `answer: ${of(minute.failed)} failed.`, true);
        return;
    }
    if (minute.requests < ENOUGH) {
        return;
    }
    if (minute.failed / minute.requests >= FAILING) {
        add('application', 'warning', 'The application behind did not '
            + `answer ${of(minute.failed)}.`, true);
    } else if (errors / minute.requests >= FAILING) {
        add('application', 'warning', 'The application behind has answered '
            + `${of(errors)} with a server error.`, true);
    }
}


function machineProblems({ cpu_percent: cpu, memory_percent: memory }, add) {
    add('cpu', level(cpu, LIMITS.cpu),
        `The machine's processors are busy at ${join(percent(cpu / 100))}.`);
    add('memory', level(memory, LIMITS.memory),
        `${join(percent(memory / 100))} of the machine's memory is used.`);
}


// Keeps conditions from flickering: one is raised when it was there three
// times in a row, and gone when it was missing as often.  Returns what came
// and went; what is there now stays in `current`.

export class Watch {

    constructor(times = 3) {
        this.times = times;
        this.seen = new Map();
    }

    get current() {
        return [...this.seen.values()].filter((one) => one.raised)
            .map((one) => one.problem)
            .sort((a, b) => worstFirst(a, b) || a.rank - b.rank);
    }

    update(found) {
        const raised = [];
        const cleared = [];
        const here = byKey(found, 'id');

        for (const problem of found) {
            const one = this.seen.get(problem.id)
                        ?? { raised: false, there: 0 };
            one.there = problem.holds ? this.times
                                      : Math.min(one.there + 1, this.times);
            one.problem = problem;
            this.seen.set(problem.id, one);
            if (!one.raised && one.there >= this.times) {
                one.raised = true;
                raised.push(problem);
            }
        }

        for (const [id, one] of this.seen) {
            if (here.has(id)) {
                continue;
            }
            one.there = one.problem.holds ? 0 : one.there - 1;
            if (one.there <= 0) {
                this.seen.delete(id);
                if (one.raised) {
                    cleared.push(one.problem);
                }
            }
        }

        return { raised, cleared };
    }
}


// ---- slow requests ----

// Milliseconds of each phase; `rest` is what none of them accounts for.  The
// statements of a request may run side by side, so that their sum is more
// than the whole.

export function phases(slow) {
    const parts = PHASES.slice(0, -1).map(
        (name) => [name, positive(number(slow[`${name}_ms`]))]);
    const rest = positive(number(slow.ms) - sum(parts.map(([, ms]) => ms)));

    return [...parts, ['rest', rest]];
}


// ---- texts: [number, unit] ----

export const NONE = ['–', ''];

const plain = (digits) => new Intl.NumberFormat('en', {
    minimumFractionDigits: digits, maximumFractionDigits: digits });
const FORMAT = [plain(0), plain(1), plain(2)];

const known = (value) => value !== null && value !== undefined
                         && !Number.isNaN(value);

// the text of a number and its unit, which stay on one line

export const join = ([value, unit]) => (unit ? `${value}\u00a0${unit}`
                                             : value);


// the same for the mark of a scale, "50 %" and not "50.0 %"

export const joinShort = ([value, unit]) => join(
    [value.replace(/\.0+$|(\.\d*?)0+$/, '$1'), unit]);

// "10 to 20 ms", or "10 ms" where both are the same

export function joinRange([low, lowUnit], [high, highUnit]) {
    if (lowUnit !== highUnit) {
        return `${join([low, lowUnit])} to ${join([high, highUnit])}`;
    }
    return join([low === high ? high : `${low} to ${high}`, highUnit]);
}


export function count(value) {
    if (value >= 1e9) {
        return `${FORMAT[2].format(value / 1e9)}\u00a0G`;
    }
    if (value >= 1e7) {
        return `${FORMAT[1].format(value / 1e6)}\u00a0M`;
    }
    return FORMAT[0].format(value);
}


export function rate(value) {
    if (!known(value)) {
        return NONE;
    }
    if (value > 0 && value < 0.05) {
        return ['<\u20090.1', '/s'];
    }
    if (value >= 1e5) {
        return [`${FORMAT[0].format(value / 1e3)}k`, '/s'];
    }
    return [FORMAT[value < 9.95 && value > 0 ? 1 : 0].format(value), '/s'];
}


// three digits

function digits(value) {
    return FORMAT[value < 9.995 ? 2 : value < 99.95 ? 1 : 0].format(value);
}


export function duration(seconds) {
    if (!known(seconds)) {
        return NONE;
    }
    if (seconds === Infinity) {
        return ['>\u20095', 's'];
    }
    if (seconds < 0.0009995) {
        const micro = seconds * 1e6;
        return [FORMAT[micro > 0 && micro < 9.95 ? 1 : 0].format(micro),
                'µs'];
    }
    if (seconds < 0.9995) {
        return [digits(seconds * 1e3), 'ms'];
    }
    return [digits(seconds), 's'];
}


// 100 and 0 are said only where nothing is missing

export function percent(value) {
    if (!known(value)) {
        return NONE;
    }
    const p = value * 100;

    if (p > 0 && p < 0.01) {
        return ['<\u20090.01', '%'];
    }
    if (p < 100 && p >= 99.99) {
        return ['99.99', '%'];
    }
    const exact = p === 0 || p >= 100;
    return [FORMAT[exact ? 0 : p < 1 || p >= 99 ? 2 : 1].format(p), '%'];
}


export function bytes(value) {
    const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
    let i = 0;

    while (value >= 1024 && i < units.length - 1) {
        value /= 1024;
        i++;
    }

    return [i === 0 ? count(value) : digits(value), units[i]];
}


export function age(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const parts = [[Math.floor(s / 86400), 'd'],
                   [Math.floor(s / 3600) % 24, 'h'],
                   [Math.floor(s / 60) % 60, 'min'], [s % 60, 's']];
    const first = parts.findIndex(([n]) => n > 0);

    return parts.slice(first < 0 ? 3 : first).slice(0, 2).map(join)
                .join('\u00a0');
}


const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const DAY = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });

// time of day, with the day before it unless it is today's

export function clock(date, today = new Date()) {
    const day = DAY.format(date);

    return (day === DAY.format(today) ? '' : `${day}, `) + CLOCK.format(date);
}


// What a client has sent may be of any length, and may hold signs that turn
// the direction of what stands beside it.

const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

export function shorten(value, most = 200) {
    const text = string(value).replace(UNSEEN, '\ufffd');

    return text.length > most ? `${text.slice(0, most)}…` : text;
}


// ---- addresses ----

// An address as seen from another one, as a browser may be behind a server
// that has put something before both.

export function relative(from, to) {
    const here = string(from).split('/').slice(1, -1);
    const there = string(to).split('/').slice(1);
    let same = 0;

    while (same < here.length && same < there.length - 1
           && here[same] === there[same]) {
        same++;
    }

    return (here.length > same ? '../'.repeat(here.length - same) : './')
           + there.slice(same).map(encodeURIComponent).join('/');
}


// ---- order ----

// Compares by a column; what has no value goes last either way, equals go
// by name.

export function comparator(key, descending) {
    const sign = descending ? -1 : 1;

    return (a, b) => {
        const [x, y] = [a[key], b[key]];
        if (known(x) !== known(y)) {
            return known(x) ? -1 : 1;
        }
        const order = !known(x) || x === y ? 0 : x < y ? -sign : sign;
        return order || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    };
}

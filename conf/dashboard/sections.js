// The parts of the page, each with a show(status, figures, ...): `status` is
// the last one that was read, `figures` are those of the last seconds or null.

import { LANES, PHASES, RESULTS, STATES, age, bytes, clock, comparator, count,
         duration, join, load, percent, phases, rate,
         shorten } from './figures.js';
import { Chart, Rows, SPANS, bar, element, setAttribute, setText,
         tableRow } from './draw.js';

const $ = (id) => document.getElementById(id);
const body = (id) => $(id).tBodies[0];
const sumOf = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);


// ---- overview ----

// Cards are data.  values: what stands large, each { name, text }, with the
// colour of a series where there are several; note: the sentence below that
// says what it is; series and options: the chart.

const all = (read) => (status, figures) => read(figures ? figures.all : {});

const CARDS = [
    {
        title: 'Requests',
        values: [{ name: 'per second', text: all((a) => rate(a.rate)) }],
        note: ({ requests: r }) => `${count(r.total)} in all, `
            + `${count(r.slow)} of them slow${r.limited > 0
                ? `; limits refused ${count(r.limited)} more` : ''}`,
        series: [{ key: 'requests' }],
        chart: { title: 'Requests per second', unit: rate, least: 1 },
    },
    {
        title: 'Server errors',
        values: [{ name: 'of the requests',
                   text: all((a) => percent(a.errorRatio)) }],
        note: ({ requests: r }) => `of the requests: ${count(r.errors)} `
            + 'with status 5xx',
        series: [{ key: 'errors' }],
        chart: { title: 'Server errors, share of the requests',
                 unit: (value) => percent(value / 100), least: 1 },
        alarm: true,
    },
    {
        title: 'Latency',
        values: [{ name: 'p50', text: all((a) => duration(a.p50)) },
                 { name: 'p95', text: all((a) => duration(a.p95)) },
                 { name: 'p99', text: all((a) => duration(a.p99)) }],
        note: () => '50, 95 and 99\u00a0% are faster',
        series: [{ key: 'p50', name: 'p50' }, { key: 'p95', name: 'p95' },
                 { key: 'p99', name: 'p99' }],
        chart: { title: 'Latency', unit: duration, least: 1e-3, log: true },
    },
    {
        title: 'From cache',
        values: [{ name: 'of the responses',
                   text: all((a) => percent(a.hitRatio)) }],
        note: ({ cache: c }) => `of the responses: ${count(c.hits)} hits, `
            + `${count(c.misses)} misses`,
        series: [{ key: 'hits' }],
        chart: { title: 'Responses from the cache',
                 unit: (value) => percent(value / 100), most: 100 },
    },
    {
        title: 'Statements',
        values: [{ name: 'per second', text: all((a) => rate(a.queryRate)) }],
        note: (status, figures) => (figures?.all.queries > 0
            ? `${join(duration(figures.all.queryMean))} each, on average`
            : 'no statements are sent now'),
        series: [{ key: 'queries' }],
        chart: { title: 'Statements per second', unit: rate, least: 1 },
    },
    {
        title: 'Pool',
        values: [{ name: 'under way',
                   text: (status) => [count(load(status).inFlight), ''] },
                 { name: 'waiting',
                   text: (status) => [count(load(status).waiting), ''] }],
        note: (status) => `room for ${count(load(status).most)} statements `
            + 'under way',
        series: [{ key: 'inFlight', name: 'under way' },
                 { key: 'waiting', name: 'waiting' }],
        chart: { title: 'Statements under way and waiting', least: 4,
                 unit: (value) => [count(value), ''] },
    },
    {
        title: 'Application behind',
        values: [{ name: 'passed on', text: (status, figures) => rate(
                       figures && figures.passed / figures.seconds) },
                 { name: 'not answered', text: (status, figures) => percent(
                       figures && figures.passed > 0
                       ? figures.failed / figures.passed : null) }],
        note: ({ requests: r, application: a }) => (r.fallback > 0
            ? `${count(r.fallback)} passed on in all, ${count(a.failed)} `
              + 'not answered' : 'nothing was passed on'),
        series: [{ key: 'passed', name: 'passed on' }],
        chart: { title: 'Requests passed on to the application, per second',
                 unit: rate, least: 1 },
    },
    {
        title: 'Machine',
        values: [{ name: 'CPU', text: ({ machine: m }) =>
                       percent(m.cpu_percent / 100) },
                 { name: 'memory', text: ({ machine: m }) =>
                       percent(m.memory_percent / 100) }],
        note: () => 'all that runs on it, not nginx alone',
        series: [{ key: 'cpu', name: 'CPU' },
                 { key: 'memory', name: 'memory' }],
        chart: { title: 'CPU and memory of the machine', most: 100,
                 unit: (value) => percent(value / 100) },
    },
];


class Card {

    constructor(card) {
        this.card = card;
        this.numbers = card.values.map(() => element('b'));
        this.units = card.values.map(() => element('span', { class: 'unit' }));
        this.note = element('p', { class: 'aside' });
        this.chart = new Chart(card.series, card.chart);

        // where there is one, the sentence below has its name too

        const names = card.values.length === 1 ? 'unseen'
            : card.series.length > 1 ? 'key' : '';
        const values = card.values.map((value, i) => element('div', {},
            element('dt', { class: `${names} series-${i}` }, value.name),
            element('dd', {}, this.numbers[i], this.units[i])));

        this.node = element('article', { class: `card${card.alarm
                                                       ? ' alarm' : ''}` },
            element('h3', {}, card.title),
            element('dl', { class: 'large' }, ...values),
            this.note, this.chart.node);
    }

    show(status, figures, points, now, span) {
        this.card.values.forEach((value, i) => {
            const [number, unit] = value.text(status, figures);
            setText(this.numbers[i], number);
            setText(this.units[i], unit && `\u00a0${unit}`);
        });
        setText(this.note, this.card.note(status, figures));
        this.chart.show(points, now, span);
    }
}


export class Overview {

    constructor() {
        this.cards = CARDS.map((card) => new Card(card));
        this.buttons = SPANS.map((span) => this.button(span));
        this.shown = null;

        $('cards').append(...this.cards.map((card) => card.node));
        $('spans').append(...this.buttons);
        this.look(SPANS[0]);
    }

    button(span) {
        const node = element('button', { type: 'button' }, span.name);

        node.addEventListener('click', () => this.look(span));

        return node;
    }

    // how far back the charts look

    look(span) {
        this.span = span;
        SPANS.forEach((one, i) => setAttribute(
            this.buttons[i], 'aria-pressed', String(one === span)));
        if (this.shown) {
            this.show(...this.shown);
        }
    }

    show(status, figures, recorder, now) {
        const points = recorder.chart(this.span.seconds, now);

        this.shown = [status, figures, recorder, now];
        for (const card of this.cards) {
            card.show(status, figures, points, now, this.span);
        }
    }
}


// ---- endpoints ----

const UNKNOWN = 'unknown';


function showEndpoint(cell, { name, path }) {
    if (!cell.firstChild) {
        cell.append(element('span', { class: 'name' }),
                    element('span', { class: 'path' }));
    }
    setText(cell.firstChild, shorten(name));
    setText(cell.lastChild, name === UNKNOWN ? 'paths that are no endpoint'
                                             : shorten(path));
}


const ENDPOINTS = [
    { key: 'name', label: 'Endpoint', show: showEndpoint },
    { key: 'rate', label: 'Requests', text: (e) => join(rate(e.rate)) },
    { key: 'errorRatio', label: 'Errors',
      show(cell, e) {
          setText(cell, join(percent(e.errorRatio)));
          cell.classList.toggle('bad', e.errorRatio > 0);
      } },
    { key: 'p50', label: 'p50', text: (e) => join(duration(e.p50)) },
    { key: 'p95', label: 'p95', text: (e) => join(duration(e.p95)) },
    { key: 'p99', label: 'p99', text: (e) => join(duration(e.p99)) },
    { key: 'hitRatio', label: 'From cache',
      text: (e) => join(percent(e.hitRatio)) },
    { key: 'queryRate', label: 'Statements',
      text: (e) => join(rate(e.queryRate)) },
    { key: 'queryMean', label: 'Mean time',
      text: (e) => join(duration(e.queryMean)) },
    { key: 'total', label: 'Since start', text: (e) => count(e.total) },
];

// rows that change places each second cannot be read

const REORDER = 5;


export class Endpoints {

    constructor() {
        this.key = 'rate';
        this.descending = true;
        this.order = [];
        this.ordered = -Infinity;
        this.rated = false;
        this.shown = null;

        this.open = false;

        this.each = new Rows($('endpoints-each'), () => tableRow(ENDPOINTS));
        this.idle = new Rows($('endpoints-idle'), () => tableRow(ENDPOINTS));
        this.total = new Rows($('endpoints-all'), () => tableRow(ENDPOINTS));
        this.headings = ENDPOINTS.map((column) => this.heading(column));
        $('endpoints').tHead.rows[0].append(...this.headings);
        this.mark();
        $('idle').addEventListener('click', () => {
            this.open = !this.open;
            this.show(...this.shown);
        });

        setText($('example'), 'curl ' + new URL('/api/review/campaigns',
                                                document.baseURI));
    }

    heading(column) {
        const button = element('button', { type: 'button' }, column.label);

        button.addEventListener('click', () => this.sort(column.key));

        return element('th', { role: 'columnheader', scope: 'col' }, button);
    }

    // a second time the same column: the other way round

    sort(key) {
        this.descending = key === this.key ? !this.descending
                                           : key !== 'name';
        this.key = key;
        this.ordered = -Infinity;
        this.mark();
        if (this.shown) {
            this.show(...this.shown);
        }
    }

    mark() {
        ENDPOINTS.forEach((column, i) => {
            const way = this.descending ? 'descending' : 'ascending';
            setAttribute(this.headings[i], 'aria-sort',
                         column.key === this.key ? way : 'none');
        });
    }

    show(status, figures, now) {
        this.shown = [status, figures, now];

        const rows = figures ? figures.endpoints
                             : status.endpoints.map(countsOnly);
        const empty = rows.length === 0;

        $('endpoints').hidden = empty;
        $('empty').hidden = !empty;
        this.arrange(rows, now, figures !== null);

        const sorted = [...rows].sort((a, b) => this.order.indexOf(a.name)
                                                - this.order.indexOf(b.name));

        this.each.show(sorted.filter((one) => !isIdle(one)), byName);
        this.fold(sorted.filter(isIdle));
        this.total.show([{ ...(figures ? figures.all : {}),
                           name: 'All endpoints', path: '',
                           total: status.requests.total }],
                        () => 'all');
    }

    // those that nobody has asked for a while are one line, until one asks

    fold(rows) {
        const button = $('idle');
        const many = rows.length === 1 ? 'An endpoint that was'
                     : `${count(rows.length)} endpoints that were`;

        $('endpoints-fold').hidden = rows.length === 0;
        $('endpoints-idle').hidden = !this.open;
        setAttribute(button, 'aria-expanded', String(this.open));
        setText(button, `${this.open ? 'Hide' : 'Show'} `
                        + many.toLowerCase() + ' not asked in the last '
                        + 'minute');
        this.idle.show(this.open ? rows : [], byName);
    }

    // puts the rows in order: now and then, and when the first rates are there

    arrange(rows, now, rated) {
        const added = rows.some((one) => !this.order.includes(one.name));

        if (added || rated !== this.rated || now - this.ordered >= REORDER) {
            this.order = [...rows].sort(comparator(this.key, this.descending))
                                  .map((one) => one.name);
            this.ordered = now;
            this.rated = rated;
        }
    }
}


const countsOnly = ({ name, path, minute, requests }) => ({
    name, path, minute, total: requests });
const isIdle = ({ minute, requests = 0 }) => minute === 0 && requests === 0;
const byName = ({ name }) => name;


// ---- slow requests ----

const SHOWN = 5;

const PHASE_NAMES = { auth: 'user', queue: 'waiting', db: 'database',
                      write: 'sending', rest: 'rest' };

const milliseconds = (ms) => join(duration(ms / 1000));


function slowRow() {
    const cells = Object.fromEntries(['endpoint', 'time', 'status'].map(
        (name) => [name, element('span', { class: `slow-${name}` })]));
    const total = element('b', { class: 'slow-total' });
    const params = element('code', { class: 'params' });
    const more = element('p', { class: 'aside' });
    const parts = bar(PHASES);
    const list = PHASES.map((name) => [name, element('dd')]);
    const numbers = element('dl', { class: 'phases' }, ...list.map(
        ([name, dd]) => element('div', {},
            element('dt', { class: `key part-${name}` }, PHASE_NAMES[name]),
            dd)));

    return {
        node: element('li', {},
            element('div', {},
                element('p', { class: 'slow-head' }, ...Object.values(cells)),
                params, more),
            element('div', { class: 'slow-parts' }, total, parts.node,
                    numbers)),
        show({ request, longest }) {
            setText(cells.time, clock(new Date(request.time * 1000)));
            setText(cells.endpoint, shorten(request.endpoint));
            setText(cells.status, `status ${request.status ?? '?'}`);
            cells.status.classList.toggle('bad', request.status >= 500);
            setText(total, milliseconds(request.ms));
            setText(params, request.params
                ? `?${shorten(request.params, 500)}` : 'no parameters');

            const values = phases(request);
            parts.show(values.map(([, ms]) => ms), longest);
            values.forEach(([, ms], i) => setText(list[i][1],
                                                  milliseconds(ms)));
            setText(more, origin(request));
        },
    };
}


// who asked, and what else a log has to be searched for

function origin(request) {
    const said = (name, value) => (value ? [`${name} ${shorten(value)}`]
                                         : []);

    return [
        ...(request.user ? said('user', request.user) : ['no user']),
        ...said('cache', request.cache),
        ...said('SQLSTATE', request.sqlstate),
        ...said('request', request.request_id),
    ].join(' · ');
}


export class Slow {

    constructor() {
        this.rows = new Rows($('slow'), slowRow);
        this.open = false;
        this.last = [];

        $('slow-more').addEventListener('click', () => {
            this.open = !this.open;
            this.draw();
        });
    }

    show(status) {
        this.last = status.slow;
        this.draw();
    }

    draw() {
        const some = this.open ? this.last : this.last.slice(0, SHOWN);
        const longest = Math.max(...some.map(
            (one) => phases(one).reduce((ms, [, part]) => ms + part, 0)));
        const more = $('slow-more');

        this.rows.show(some.map((request) => ({ request, longest })),
                       ({ request: r }) => `${r.request_id} ${r.time} `
                                           + `${r.endpoint} ${r.ms}`);
        $('slow-none').hidden = some.length > 0;
        more.hidden = this.last.length <= SHOWN;
        setAttribute(more, 'aria-expanded', String(this.open));
        setText(more, this.open ? `Show ${SHOWN} only`
                                : `Show all ${this.last.length}`);
    }
}


// ---- facts: a list of names and values ----

class Facts {

    constructor(parent) {
        this.rows = new Rows(parent, ([name]) => {
            const value = element('dd');
            return { node: element('div', {}, element('dt', {}, name), value),
                     show([, text, bad]) {
                         setText(value, text);
                         value.classList.toggle('bad', bad === true);
                     } };
        });
    }

    show(facts) {
        this.rows.show(facts, ([name]) => name);
    }
}


function badge() {
    const node = element('span', { class: 'badge' });

    return { node, show(good, yes, no, grade = 'bad') {
        setText(node, good ? yes : no);
        setAttribute(node, 'class', `badge ${good ? 'good' : grade}`);
    } };
}


// ---- database ----

const POOL = [
    { label: 'Lane', text: (lane) => lane.name },
    { label: 'Connections', show: showConnections },
    { label: 'Statements', show: showStatements },
];


function meter(cell, names) {
    if (!cell.meter) {
        cell.meter = bar(names);
        cell.append(element('span'), cell.meter.node);
    }

    return cell.meter;
}


function showConnections(cell, lane) {
    const counts = STATES.map((state) => lane[state]);
    const said = STATES.filter((state) => lane[state] > 0)
                       .map((state) => `${count(lane[state])} ${state}`);
    const states = meter(cell, STATES);

    setText(cell.firstChild, said.length > 0 ? said.join(', ') : 'none');
    states.show(counts, sumOf(counts));
}


function showStatements(cell, { statements, statements_max: most }) {
    const load = meter(cell, ['load']);

    setText(cell.firstChild, `${count(statements)} of ${count(most)}`);
    load.show([statements], most);
}


function serverBody({ name }) {
    const node = element('tbody', { role: 'rowgroup' },
        element('tr', { role: 'row', class: 'group' }, element('th',
            { role: 'rowheader', scope: 'rowgroup', colspan: POOL.length },
            shorten(name))));
    const rows = new Rows(node, () => tableRow(POOL));

    return {
        node,
        show: ({ lanes }) => rows.show(lanes, (lane) => lane.name),
    };
}


function upstreamPanel({ name }) {
    const state = badge();
    const table = element('table', { role: 'table', class: 'pool' },
        element('caption', { class: 'unseen' },
                `Connections by state and statements under way of ${name}`),
        element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' },
            ...POOL.map((column) => element('th',
                { role: 'columnheader', scope: 'col' }, column.label)))));
    const queue = element('dl', { class: 'facts' });
    const bodies = new Rows(table, serverBody);
    const facts = new Facts(queue);

    return {
        node: element('article', { class: 'panel' },
            element('h3', {}, shorten(name), ' ', state.node), table, queue),
        show(upstream) {
            state.show(upstream.up, 'up', 'down');
            bodies.show(upstream.servers, (server) => server.name);
            facts.show(LANES.filter((lane) => lane in upstream.queue).map(
                (lane) => [`Waiting, ${lane} lane`,
                           `${count(Number(upstream.queue[lane]))} of `
                           + count(upstream.queueMax)]));
        },
    };
}


export class Database {

    constructor() {
        this.panels = new Rows($('upstreams'), upstreamPanel);
    }

    show(status) {
        this.panels.show(status.upstreams, (one) => one.name);
    }
}


// ---- errors ----

const REASONS = {
    busy: 'the waiting list of a lane was full',
    quota: 'one user had a quarter of the waiting list',
    expired: 'waited too long for a connection',
    unavailable: 'no connection, or it was lost',
    timeout: 'cancelled by statement_timeout',
    denied: 'a privilege is missing',
    invalid: 'a value does not fit its type',
    conflict: 'serialization, deadlock or lock',
    broken: 'the statement does not fit the schema',
    failed: 'any other error of the server',
};

const ERRORS = [
    { label: 'Reason', show(cell, { reason }) {
        if (!cell.firstChild) {
            cell.append(element('span', { class: 'name' }, shorten(reason)),
                        element('span', { class: 'path' },
                                REASONS[reason] ?? ''));
        }
    } },
    { label: 'Last 10 s', show(cell, { recent }) {
        setText(cell, recent === null ? '–' : count(recent));
        cell.classList.toggle('bad', recent > 0);
    } },
    { label: 'Since start', text: ({ total }) => count(total) },
];


export class Errors {

    constructor() {
        this.rows = new Rows(body('errors'), () => tableRow(ERRORS));
    }

    show(status, figures) {
        const names = new Set([...Object.keys(REASONS),
                               ...Object.keys(status.errors)]);

        this.rows.show([...names].map((reason) => ({
            reason,
            recent: figures ? figures.errors[reason] ?? 0 : null,
            total: Number(status.errors[reason] ?? 0),
        })), (one) => one.reason);
    }
}


// ---- cache ----

const RESULT_NAMES = {
    hit: 'cached, and valid',
    updating: 'old, while another request renews it',
    stale: 'old, as the database is away or busy',
    miss: 'not cached yet',
    expired: 'too old, or invalidated by a change',
    bypass: 'not looked up, as configured',
};

const OUTCOMES = [
    { label: 'Result', show(cell, { result }) {
        if (!cell.firstChild) {
            cell.append(element('span', { class: `name key part-${result}` },
                                result.toUpperCase()),
                        element('span', { class: 'path' },
                                RESULT_NAMES[result]));
        }
    } },
    { label: 'Share', text: ({ share }) => join(percent(share)) },
    { label: 'Last 10 s', text: ({ recent }) => (recent === null
                                                 ? '–' : count(recent)) },
    { label: 'Since start', text: ({ total }) => count(total) },
];


export class Cache {

    constructor() {
        this.rows = new Rows(body('results'), () => tableRow(OUTCOMES));
        this.facts = new Facts($('cache'));
        this.room = bar(['load']);
        this.split = bar(RESULTS);
        $('cache-room').after(this.room.node);
        $('results').before(this.split.node);
    }

    show(status, figures) {
        const { cache } = status;
        const recent = figures ? figures.all.cache : null;
        const asked = recent ? sumOf(recent) : 0;
        const room = cache.room || cache.size;

        setText($('cache-room'), `${join(bytes(cache.bytes))} of `
            + `${join(bytes(room))} in ${count(cache.entries)} entries`);
        this.room.show([cache.bytes], room);
        this.split.show(RESULTS.map((name) => (recent ? recent[name] : 0)),
                        asked);
        this.rows.show(RESULTS.map((result) => ({
            result,
            share: asked > 0 ? recent[result] / asked : null,
            recent: recent ? recent[result] : null,
            total: status.endpoints.reduce((n, e) => n + e.cache[result], 0),
        })), (one) => one.result);
        this.facts.show(this.counters(cache, figures));
    }

    counters(cache, figures) {
        const both = (name) => `${count(cache[name])}${figures
            ? ` (${join(rate(figures.cache[name] / figures.seconds))})` : ''}`;

        return [
            ['Stored', both('fills')],
            ['Evicted for room', both('evictions')],
            ['Not stored, data changed meanwhile', both('raced')],
            ['Not stored, too large', both('refused')],
            ['Served by another request\'s statement', both('followers')],
            ['Not sent, the client had disconnected', both('abandoned')],
            ['Being made now', count(cache.fills_under_way)],
            ['Being sent now', `${join(bytes(cache.pinned_bytes))} in `
                               + `${count(cache.pins)} responses`],
        ];
    }
}


// ---- listener ----

function sourcePanel({ upstream }) {
    const state = badge();
    const list = element('dl', { class: 'facts' });
    const facts = new Facts(list);

    return {
        node: element('article', { class: 'panel' },
            element('h3', {}, shorten(upstream), ' ', state.node), list),
        show({ source, heard }) {
            state.show(source.coherent, 'coherent', 'not coherent', 'warn');
            facts.show(sourceFacts(source, heard));
        },
    };
}


function sourceFacts(source, heard) {
    const { coherent, confirmed, uncovered } = source;

    return [
        ['Last confirmation', confirmed === null ? 'none yet'
            : `${join(confirmed < 10 ? duration(confirmed)
                                     : [age(confirmed), ''])} ago`,
         !coherent],
        ['Notifications', `${count(source.notifications)}${heard === undefined
            ? '' : ` (${join(rate(heard))})`}`],
        ['Counters moved', count(source.moves)],
        ['Everything invalidated', source.flushes === 1 ? 'once'
            : `${count(source.flushes)} times`],
        ['Tables without triggers', !coherent ? 'not known now'
            : uncovered.length > 0
            ? shorten(uncovered.join(', '), 500) : 'none',
         coherent && uncovered.length > 0],
        ['May create in the schema', source.creators === 0 ? 'its owner'
            : `its owner and ${count(source.creators)} more`,
         source.creators > 0],
        ['Notification queue', `${join(percent(source.queue_usage))} used`],
        ['Listening worker', source.listener_pid
            ? `process ${source.listener_pid}` : 'none',
         !source.listener_pid],
    ];
}


export class Listener {

    constructor() {
        this.panels = new Rows($('sources'), ({ source }) =>
            sourcePanel(source));
    }

    show(status, figures) {
        this.panels.show(status.sources.map((source) => ({
            source,
            heard: figures?.notifications.get(source.upstream),
        })), ({ source }) => source.upstream);
    }
}


// ---- workers ----

const WORKERS = [
    { label: 'Process', text: (one) => String(one.pid) },
    { label: 'CPU, of one core', text: (one) => join(percent(
        one.cpu === undefined ? null : one.cpu / 100)) },
    { label: 'CPU time', text: (one) => join(duration(one.cpu_seconds)) },
    { label: 'Memory', text: (one) => join(bytes(one.memory_bytes)) },
];


export class Workers {

    constructor() {
        this.rows = new Rows(body('workers'), () => tableRow(WORKERS));
        this.facts = new Facts($('connections'));
    }

    show(status, figures) {
        const { connections, machine, workers } = status;
        const memory = workers.reduce((n, one) => n + one.memory_bytes, 0);

        this.rows.show(workers.map((one) => ({
            ...one, cpu: figures?.cpu.get(one.pid),
        })), (one) => one.pid);
        this.facts.show([
            ['Connections of clients', count(connections.active)],
            ['Reading a request', count(connections.reading)],
            ['Writing a response', count(connections.writing)],
            ['Idle, kept alive', count(connections.waiting)],
            ['Memory of all workers', join(bytes(memory))],
            ['CPU of the machine', join(percent(machine.cpu_percent / 100))],
            ['Memory of the machine, used',
             join(percent(machine.memory_percent / 100))],
        ]);
    }
}

// The performance report's load, for those who have k6:
//
//     k6 run t/load/k6.js
//     k6 run -e LOAD=short -e API_BASE=http://staging:9000 t/load/k6.js
//
// The same scenarios, stages, paces, thresholds and checks as locustfile.py,
// from which the figures of this repository come; see sessions.py for what
// they are.  Settings, by -e or in the environment:
//
//     API_BASE=http://localhost:9000
//     LOAD_TOKEN=demo_token
//     LOAD=short | long          40 seconds and 20 users, or 30 minutes
//     LOAD_PACE=k6 | report      default: report; k6 when short
//     LOAD_P95_MS=500            thresholds; a broken one makes the exit
//     LOAD_ERROR_PERCENT=1       status 99
//     LOAD_REPORT=performance_report.json
//
// The report has the shape of Appendix B.  A script of k6 cannot see the
// machine, so its CPU and memory are those that the server tells of itself at
// /softfactory/status; without that location they are 0.  To see the server's
// own report beside it, right after the run:
//
//     python3 t/load/report.py performance_report.json http://localhost:9000

import { check, sleep } from 'k6';
import http from 'k6/http';
import { Counter, Rate, Trend } from 'k6/metrics';

const BASE = (__ENV.API_BASE || 'http://localhost:9000').replace(/\/+$/, '');
const TOKEN = __ENV.LOAD_TOKEN || 'demo_token';
const FORM = __ENV.LOAD || 'default';
const PACE = __ENV.LOAD_PACE || (FORM === 'short' ? 'k6' : 'report');
const REPORT = __ENV.LOAD_REPORT || 'performance_report.json';
const P95_MS = Number(__ENV.LOAD_P95_MS || 500);
const ERROR_PERCENT = Number(__ENV.LOAD_ERROR_PERCENT || 1);
const SLOW_MS = 500;
const K6_PAUSE = 4 / 7;

// [path, fewest, most] of a session

const SCENARIOS = {
    typical: {
        share: 0.5,
        pause: 30,
        requests: [
            ['/api/review/campaigns', 2, 3],
            ['/api/review/listings', 1, 2],
            ['/api/sns/accounts', 1, 1],
            ['/api/sns/posts', 2, 3],
        ],
    },
    power: {
        share: 0.25,
        pause: 60,
        requests: [
            ['/api/dashboard/kpis', 1, 2],
            ['/api/analytics/overview', 1, 1],
            ['/api/sns/analytics', 1, 2],
            ['/api/performance/roi', 1, 1],
        ],
    },
    consumer: {
        share: 0.25,
        pause: 30,
        requests: [
            ['/api/review/listings?page=1&per_page=100', 1, 5],
            ['/api/sns/posts?limit=500', 1, 5],
        ],
    },
};

// what the body of a good answer has

const CONTENT = {
    '/api/review/campaigns': '"campaigns":',
    '/api/review/listings': '"listings":',
    '/api/sns/accounts': '[',
    '/api/sns/posts': '"posts":',
    '/api/sns/analytics': '"totals":',
    '/api/dashboard/kpis': '"revenue":',
    '/api/analytics/overview': '"total_users":',
    '/api/performance/roi': '"overall_roi":',
};

// [seconds, users at their end]

const STAGES = {
    default: [[30, 10], [90, 50], [120, 100], [60, 0]],
    long: [[300, 10], [600, 50], [600, 100], [300, 0]],
    short: [[5, 5], [10, 10], [15, 20], [10, 0]],
};

if (!STAGES[FORM] || (PACE !== 'k6' && PACE !== 'report')) {
    throw new Error('LOAD is short or long, LOAD_PACE is report or k6');
}

// Metrics of each endpoint: k6 keeps no percentiles by tag of its own.

const endpoints = {};

for (const path of Object.keys(CONTENT)) {
    const name = path.replace(/\W+/g, '_').replace(/^_/, '');

    endpoints[path] = {
        name: name,
        time: new Trend(`time_${name}`, true),
        errors: new Counter(`errors_${name}`),
    };
}

const times = new Trend('time_all', true);
const failures = new Rate('failures');
const cpu = new Trend('machine_cpu_percent');
const memory = new Trend('machine_memory_percent');


function stagesOf(share) {
    return STAGES[FORM].map(([seconds, users]) => ({
        duration: `${seconds}s`,
        target: Math.ceil(users * share),
    }));
}


function scenarios() {
    const all = {
        watch: {
            executor: 'constant-arrival-rate',
            exec: 'watch',
            rate: 1,
            timeUnit: '1s',
            duration: `${STAGES[FORM].reduce((sum, s) => sum + s[0], 0)}s`,
            preAllocatedVUs: 1,
        },
    };

    for (const [name, { share }] of Object.entries(SCENARIOS)) {
        all[name] = {
            executor: 'ramping-vus',
            exec: name,
            startVUs: 0,
            stages: stagesOf(share),
            gracefulRampDown: '10s',
        };
    }

    return all;
}


export const options = {
    scenarios: scenarios(),
    thresholds: {
        time_all: [`p(95)<${P95_MS}`],
        failures: [`rate<${ERROR_PERCENT / 100}`],
    },
    summaryTrendStats: ['count', 'avg', 'min', 'med', 'max', 'p(75)', 'p(90)',
                        'p(95)', 'p(99)'],
};


function draw(fewest, most) {
    return fewest + Math.floor(Math.random() * (most - fewest + 1));
}


function ask(path) {
    const endpoint = path.split('?')[0];
    const answer = http.get(BASE + path, {
        headers: { Authorization: `Bearer ${TOKEN}` },
        tags: { name: endpoint },
        timeout: '10s',
    });
    const good = check(answer, {
        'status is 200': (r) => r.status === 200,
        'the body has what it promises': (r) =>
            String(r.body).includes(CONTENT[endpoint]),
    });

    endpoints[endpoint].time.add(answer.timings.duration);
    endpoints[endpoint].errors.add(good ? 0 : 1);
    times.add(answer.timings.duration);
    failures.add(!good);
}


// One session; k6 begins the next one at once.

function session({ requests, pause }) {
    const mean = PACE === 'k6' ? K6_PAUSE : pause;

    for (const [path, fewest, most] of requests) {
        for (let n = draw(fewest, most); n > 0; n--) {
            ask(path);
            sleep(mean * (2 + 2 * Math.random()) / 3);
        }
    }
}


export function typical() {
    session(SCENARIOS.typical);
}


export function power() {
    session(SCENARIOS.power);
}


export function consumer() {
    session(SCENARIOS.consumer);
}


export function watch() {
    const answer = http.get(`${BASE}/softfactory/status`, { timeout: '2s' });
    let machine = null;

    try {
        machine = answer.status === 200 && answer.json('machine');
    } catch (e) {
        // no such location: another page
    }

    if (machine) {
        cpu.add(machine.cpu_percent);
        memory.add(machine.memory_percent);
    }
}


// --- the report ---

function round(value) {
    return Math.round(value * 1000) / 1000;
}


function values(data, name) {
    return data.metrics[name] ? data.metrics[name].values : {};
}


// Times of a Trend under the keys of Appendix B.

function figures(v) {
    return {
        avg_ms: round(v.avg || 0),
        min_ms: round(v.min || 0),
        max_ms: round(v.max || 0),
        p50_ms: round(v.med || 0),
        p75_ms: round(v['p(75)'] || 0),
        p90_ms: round(v['p(90)'] || 0),
        p95_ms: round(v['p(95)'] || 0),
        p99_ms: round(v['p(99)'] || 0),
    };
}


function endpointMetrics(data) {
    const metrics = {};

    for (const [path, { name }] of Object.entries(endpoints)) {
        const v = values(data, `time_${name}`);

        if (v.count) {
            metrics[path] = {
                requests: v.count,
                errors: values(data, `errors_${name}`).count || 0,
                ...figures(v),
            };
        }
    }

    return metrics;
}


function recommendations(metrics) {
    const texts = [];

    for (const [path, m] of Object.entries(metrics)) {
        if (m.p95_ms > SLOW_MS) {
            texts.push(`${path}: 5 % of its answers took more than ` +
                       `${m.p95_ms.toFixed(0)} ms; see its cache hits and ` +
                       `queries in the server's report`);
        }
        if (m.errors) {
            texts.push(`${path}: ${m.errors} of ${m.requests} requests ` +
                       `failed; see the server's error log`);
        }
    }

    return texts;
}


function thresholds(all) {
    const rows = [['p95_ms', all.p95_ms, P95_MS],
                  ['error_percent', all.error_percent, ERROR_PERCENT]];

    return rows.map(([name, value, limit]) => ({
        name, value, limit, passed: all.requests > 0 && value < limit,
    }));
}


function build(data) {
    const metrics = endpointMetrics(data);
    const seconds = data.state.testRunDurationMs / 1000;
    const ended = new Date();
    const v = values(data, 'time_all');
    const errors = Object.values(metrics).reduce((n, m) => n + m.errors, 0);
    const slow = Object.entries(metrics).filter(([, m]) => m.p95_ms > SLOW_MS);
    const all = { requests: v.count || 0, ...figures(v),
                  error_percent: round(100 * errors / (v.count || 1)) };
    const checks = thresholds(all);
    const [c, m] = [values(data, 'machine_cpu_percent'),
                    values(data, 'machine_memory_percent')];
    const { requests, error_percent, ...latencies } = all;

    return {
        start_time: new Date(ended - seconds * 1000).toISOString().slice(0, 19),
        end_time: ended.toISOString().slice(0, 19),
        duration_seconds: round(seconds),
        summary: {
            total_requests: requests,
            total_errors: errors,
            requests_per_second: round(requests / seconds),
            ...latencies,
            avg_cpu_percent: round(c.avg || 0),
            peak_cpu_percent: round(c.max || 0),
            avg_memory_percent: round(m.avg || 0),
            peak_memory_percent: round(m.max || 0),
            slow_endpoint_count: slow.length,
            error_endpoint_count: Object.values(metrics)
                .filter((x) => x.errors).length,
            recommendations: recommendations(metrics),
        },
        endpoint_metrics: metrics,
        slow_endpoints: slow.map(([path, x]) => ({
            endpoint: path,
            avg_ms: x.avg_ms,
            p95_ms: x.p95_ms,
            issue: `p95 is over ${SLOW_MS} ms: many cache misses, slow ` +
                   `statements, or waiting for a connection`,
        })),
        thresholds: checks,
        passed: checks.every((x) => x.passed),
        load: { generator: 'k6', form: FORM, pace: PACE },
    };
}


function text(report) {
    const cell = (x) => String(x).padStart(10);
    const line = (name, requests, errors, x) =>
        name.padEnd(26) + cell(requests) + cell(errors) + cell(x.avg_ms) +
        cell(x.p95_ms) + cell(x.p99_ms);
    const s = report.summary;

    return [
        ' '.repeat(26) + ['requests', 'errors', 'avg ms', 'p95 ms', 'p99 ms']
            .map(cell).join(''),
        ...Object.entries(report.endpoint_metrics)
            .map(([path, m]) => line(path, m.requests, m.errors, m)),
        line('all', s.total_requests, s.total_errors, s),
        '',
        ...report.thresholds.map((x) =>
            `${x.passed ? 'met   ' : 'BROKEN'}  ${x.name} ${x.value} < ` +
            `${x.limit}`),
        `written: ${REPORT}`,
        '',
    ].join('\n');
}


export function handleSummary(data) {
    const report = build(data);

    return {
        [REPORT]: `${JSON.stringify(report, null, 1)}\n`,
        stdout: text(report),
    };
}

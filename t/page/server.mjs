// What the tests of the live page run against: a PostgreSQL by
// .ci/postgres.sh, an nginx with the module in a prefix of its own, clients
// that ask it, and the counting of what passes and fails.

import { execFile, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const TOP = path.resolve(path.dirname(fileURLToPath(import.meta.url)),
                                '../..');
export const HOME = path.join(TOP, 'build/page');

export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; "
    + "connect-src 'self'; img-src 'self'; base-uri 'none'; "
    + "form-action 'none'; frame-ancestors 'none'";

const TOKEN = { Authorization: 'Bearer demo_token' };
const ROOT = process.getuid() === 0;

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));


// ---- results ----

const count = { passed: 0, failed: 0 };


export function ok(good, what, detail = '') {
    count[good ? 'passed' : 'failed']++;
    console.log(`${good ? '' : 'not '}ok ${count.passed + count.failed} - `
                + what + (good || detail === '' ? '' : `  # ${detail}`));

    return good;
}


export function is(found, wanted, what) {
    return ok(found === wanted, what,
              `${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}


export function summary() {
    console.log(`\n${count.passed} passed, ${count.failed} failed`);

    return count.failed === 0 && count.passed > 0 ? 0 : 1;
}


// polls until what() is true; its value, or the last false one

export async function waitFor(what, seconds = 15) {
    const end = Date.now() + seconds * 1000;

    for (;;) {
        const value = await what();
        if (value || Date.now() > end) {
            return value;
        }
        await sleep(50);
    }
}


function run(program, ...words) {
    const done = spawnSync(program, words, { encoding: 'utf8',
                                             timeout: 300000,
                                             stdio: ['ignore', 'pipe',
                                                     'pipe'] });

    if (done.error) {
        throw new Error(`${program} ${words.join(' ')}: ${done.error}`);
    }
    if (done.status !== 0) {
        throw new Error(`${program} ${words.join(' ')}: ${done.stdout}`
                        + done.stderr);
    }
    return done.stdout;
}


// ---- PostgreSQL ----

export class Postgres {

    constructor() {
        this.dir = path.join(HOME, 'pg');
        this.port = 16000 + Math.floor(Math.random() * 3000);
        this.script('stop');
        this.start();
        this.script('load', 'small');
        const words = Object.fromEntries([...this.script('env')
            .matchAll(/(SF_TEST_\w+)=(\S+)/g)].map((m) => [m[1], m[2]]));
        this.socket = words.SF_TEST_PG_SOCKET;
        this.psql = ['psql', '-h', words.SF_TEST_PG_DIR, '-p',
                     words.SF_TEST_PG_PORT, '-U', 'postgres', '-d',
                     'softfactory', '-XAtqc'];
    }

    script(action, ...words) {
        return run(path.join(TOP, '.ci/postgres.sh'), action, this.dir,
                   ...words);
    }

    // on the same port each time: others may take one that was left

    start() {
        this.script('start', String(this.port));
    }

    stop() {
        this.script('stop');
    }

    sql(text) {
        return run(...this.psql, text).trim();
    }

    // runs beside the test; a promise of its end

    beside(text) {
        const [program, ...words] = this.psql;

        return new Promise((done) => {
            execFile(program, [...words, text], () => done());
        });
    }
}


// ---- nginx ----

function configuration(port, socket, { listen = '', slow = '200ms' }) {
    const nobody = spawnSync('runuser', ['-u', 'www-data', '--', 'test', '-x',
                                         HOME]).status === 0;
    const user = !ROOT ? '' : `user ${nobody ? 'www-data' : 'root'};`;

    return `
load_module ${TOP}/build/ngx_http_softfactory_module.so;
${user}
worker_processes 2;
pid logs/nginx.pid;
error_log logs/error.log info;

events {
}

http {
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    access_log off;

    include ${TOP}/conf/api/*.conf;
    softfactory_zone api 8m;
    softfactory_jwt_secret "a secret of the tests of the page";
    softfactory_slow ${slow};

    upstream primary {
        server unix:${socket};
        softfactory_pg "dbname=softfactory user=app";
        ${listen}
    }

    server {
        listen 127.0.0.1:${port};

        location /api/ {
            softfactory_pass primary;
            softfactory_token demo_token user=1 products=all;
        }

        # an application that is dead

        location /api/auth/ {
            softfactory_pass primary;
            softfactory_fallback @app;
        }

        location @app {
            return 502;
        }

        location = /metrics {
            softfactory_metrics;
        }

        location = /softfactory/report {
            softfactory_report;
        }

        location = /softfactory/live {
            softfactory_live;
        }

        location = /softfactory/status {
            softfactory_status api;
        }

        location /softfactory/ {
            alias ${TOP}/conf/dashboard/;
            types {
                text/html        html;
                text/css         css;
                text/javascript  js;
                image/svg+xml    svg;
            }
            charset utf-8;
            add_header Content-Security-Policy "${CSP}" always;
            add_header X-Content-Type-Options nosniff always;
            add_header Cache-Control no-cache always;
        }
    }
}
`;
}


function freePort() {
    return new Promise((done) => {
        const server = net.createServer();
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => done(port));
        });
    });
}


export class Nginx {

    constructor(postgres) {
        this.postgres = postgres;
        this.prefix = path.join(HOME, 'nginx');
        this.process = null;
    }

    async start(options = {}) {
        this.port ??= await freePort();
        for (const dir of ['conf', 'logs', 'tmp']) {
            fs.mkdirSync(path.join(this.prefix, dir), { recursive: true });
        }
        fs.writeFileSync(path.join(this.prefix, 'conf/nginx.conf'),
                         configuration(this.port, this.postgres.socket,
                                       options));
        this.process = spawn('/usr/sbin/nginx',
            ['-p', `${this.prefix}/`, '-e', 'logs/error.log', '-c',
             'conf/nginx.conf', '-g', 'daemon off;'],
            { stdio: ['ignore', 'inherit', 'inherit'] });
        if (!await waitFor(() => this.status())) {
            throw new Error('nginx does not answer');
        }
    }

    reload() {
        this.process.kill('SIGHUP');
    }

    async stop() {
        if (this.process && this.process.exitCode === null) {
            const ended = new Promise((done) => {
                this.process.once('exit', done);
            });
            this.process.kill('SIGTERM');
            await ended;
        }
        this.process = null;
    }

    url(rest) {
        return `http://127.0.0.1:${this.port}${rest}`;
    }

    // { status, body }; status 0: no answer

    get(rest) {
        return new Promise((done) => {
            const request = http.get(this.url(rest), {
                agent: AGENT, headers: TOKEN, timeout: 10000 }, (answer) => {
                let body = '';
                answer.setEncoding('utf8');
                answer.on('data', (text) => { body += text; });
                answer.on('end', () => done({ status: answer.statusCode,
                                              body }));
            });
            request.on('timeout', () => request.destroy());
            request.on('error', () => done({ status: 0, body: '' }));
        });
    }

    async status(query = '') {
        const { status, body } = await this.get('/softfactory/status'
                                                + query);

        return status === 200 ? JSON.parse(body) : null;
    }
}


const AGENT = new http.Agent({ keepAlive: true, maxSockets: 64 });


// ---- clients ----

const ASKED = ['/api/review/campaigns', '/api/review/campaigns?page=2',
               '/api/review/listings', '/api/review/listings?sort_by=reward',
               '/api/sns/accounts', '/api/sns/posts', '/api/dashboard/kpis',
               '/api/analytics/overview', '/api/performance/roi',
               '/api/nothing/here'];


// Some clients that ask at an even pace, one of twenty for what is not kept.

export class Load {

    constructor(nginx, perSecond = 200) {
        this.going = true;
        this.asked = 0;
        this.ended = Promise.all(Array.from({ length: 8 }, () =>
            this.client(nginx, 8000 / perSecond)));
    }

    async client(nginx, pause) {
        while (this.going) {
            const n = this.asked++;
            await nginx.get(n % 20 === 0
                ? `/api/review/campaigns?page=${1 + n % 400}`
                : n % 7 === 0 ? `/api/review/campaigns/${1 + n % 30}`
                              : ASKED[n % ASKED.length]);
            await sleep(pause * (0.5 + Math.random()));
        }
    }

    stop() {
        this.going = false;

        return this.ended;
    }
}

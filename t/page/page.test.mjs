// The live page in headless Chromium against a real nginx with the module and
// a real PostgreSQL: without a request, with load, with changes, without the
// database, without the server.  What no server does at will, hostile names
// or a listener without a word, comes from a status that is altered on its
// way.  Pictures of each go to build/page.

import { createRequire } from 'node:module';
import path from 'node:path';
import { Load, CSP, HOME, Nginx, Postgres, is, ok, sleep, summary,
         waitFor } from './server.mjs';
import { duration, join, percentile,
         rate } from '../../conf/dashboard/figures.js';
import './figures.mjs';
import { accessible, contrast, fits, steady } from './judge.mjs';

const { chromium } = createRequire(path.join(HOME, 'x'))('playwright-core');

const PAGE = '/softfactory/';
const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const STATUS = /\/softfactory\/status(\?.*)?$/;


// ---- a page, and all that it says ----

// the browser that draws the page keeps the machine busy, as do other tests

function calm(status) {
    status.machine.cpu_percent = Math.min(status.machine.cpu_percent, 70);

    return status;
}


class Visit {

    constructor(nginx, page) {
        Object.assign(this, { nginx, page });
        this.said = [];                 // errors, violations
        this.read = [];                 // { at, status } of each answer
        this.asked = [];                // when it asked
        this.history = 0;               // how often for the last hour
        this.alter = (status) => status;    // changes it on its way
    }

    static async open(browser, nginx, { viewport = WIDE, scheme = 'light',
                                        alter = (status) => status } = {}) {
        const context = await browser.newContext({ viewport,
            colorScheme: scheme, locale: 'en-GB', hasTouch: viewport !== WIDE,
            reducedMotion: 'reduce' });
        const visit = new Visit(nginx, await context.newPage());

        visit.alter = alter;
        await visit.listen();
        visit.answer = await visit.page.goto(nginx.url(PAGE));

        return visit;
    }

    async listen() {
        const { page } = this;

        page.on('console', (message) => {
            if (['error', 'warning'].includes(message.type())) {
                this.said.push(message.text());
            }
        });
        page.on('pageerror', (error) => this.said.push(String(error)));
        page.on('dialog', (dialog) => {
            this.said.push(`dialog: ${dialog.message()}`);
            dialog.dismiss();
        });
        await page.addInitScript(() => {
            document.addEventListener('securitypolicyviolation', (event) => {
                console.error(`policy: ${event.violatedDirective} `
                              + event.blockedURI);
            });
        });
        await page.route(STATUS, async (route) => {
            this.asked.push(Date.now());
            this.history += /history/.test(route.request().url()) ? 1 : 0;
            try {
                const answer = await route.fetch();
                const status = this.alter(calm(await answer.json()));
                this.read.push({ at: Date.now(), status });
                await route.fulfill({ response: answer, json: status });
            } catch {
                await route.abort('connectionrefused').catch(() => {});
            }
        });
    }

    text(selector) {
        return this.page.locator(selector).first().innerText();
    }

    // waits until an element has such a text

    has(selector, pattern, seconds = 15) {
        return waitFor(async () => pattern.test(await this.text(selector)),
                       seconds);
    }

    // waits for some more answers

    async answers(number) {
        const wanted = this.read.length + number;

        await waitFor(() => this.read.length >= wanted, 10 + 2 * number);
        await sleep(100);
    }

    shot(name) {
        return this.page.screenshot({ path: path.join(HOME, `${name}.png`),
                                      fullPage: true });
    }

    quiet(what) {
        ok(this.said.length === 0, `${what}: the console is empty`,
           this.said.join(' | '));
    }

    close() {
        return this.page.context().close();
    }
}


// a large number of the overview, by the card's title and the value's name

async function large(visit, title, name) {
    const card = visit.page.locator('.card').filter({
        has: visit.page.getByRole('heading', { name: title, exact: true }) });
    const value = card.locator('.large div').filter({
        has: visit.page.locator('dt', { hasText: name }) });

    return (await value.locator('dd').innerText()).trim();
}


// the table of endpoints: an object for each row, by the headings

function endpointRows(visit) {
    return visit.page.evaluate(() => {
        const table = document.getElementById('endpoints');
        const names = [...table.tHead.rows[0].cells].map(
            (cell) => cell.innerText.trim());

        return ['endpoints-each', 'endpoints-idle'].flatMap(
            (id) => [...document.getElementById(id).rows]).map((row) => Object.fromEntries([...row.cells].map((cell, i) => [
                names[i], i === 0 ? cell.firstChild.textContent
                                  : cell.textContent])));
    });
}


const digitsOf = (text) => Number(text.replace(/[^\d.]/g, ''));


// ---- a server that nobody has asked ----

async function emptyServer(browser, nginx) {
    const visit = await Visit.open(browser, nginx);
    const headers = visit.answer.headers();

    is(headers['content-security-policy'], CSP, 'the policy is strict');
    ok(/utf-8/i.test(headers['content-type']), 'the page is UTF-8');
    ok(await visit.has('#problems', /All is well/), 'empty: all is well');
    ok(await visit.page.locator('#empty').isVisible(),
       'empty: says that there was no request');
    ok((await visit.text('#example')).includes(nginx.url('/api/')),
       'empty: with one to try', await visit.text('#example'));
    ok(await visit.page.locator('#endpoints').isHidden(),
       'empty: and no table without rows');
    await visit.answers(2);
    is(await large(visit, 'Requests', 'per second'), '0\u00a0/s',
       'empty: no rate');
    is(await large(visit, 'Latency', 'p95'), '–', 'empty: no latency');
    is(await large(visit, 'From cache', 'responses'), '–', 'empty: no ratio');
    ok(await visit.page.locator('#slow-none').isVisible(),
       'empty: no slow request');

    await visit.answers(3);
    await visit.shot('empty-light');
    await accessible(visit.page, 'empty');
    await fits(visit.page, 'empty');
    visit.quiet('empty');
    await visit.close();
}


// ---- load ----

async function slowRequests(nginx, postgres) {
    for (let i = 0; i < 6; i++) {
        const held = postgres.beside(
            'BEGIN; LOCK TABLE review_listings, campaigns; '
            + `SELECT pg_sleep(${1.5 + i / 20}); COMMIT`);
        ok(await waitFor(() => postgres.sql('SELECT count(*) FROM pg_locks '
            + 'WHERE granted AND mode = \'AccessExclusiveLock\' AND relation '
            + 'IN (\'review_listings\'::regclass, \'campaigns\'::regclass)')
            === '2'), 'slow: the tables are locked');
        await Promise.all([
            nginx.get('/api/review/listings?category=%3Cimg%20src%3Dx%20'
                      + `onerror%3Dalert(1)%3E&page=${i + 1}`),
            nginx.get(`/api/review/campaigns?page=${500 + i}`),
        ]);
        await held;
    }
}


async function underLoad(browser, nginx, postgres) {
    const visit = await Visit.open(browser, nginx);
    const load = new Load(nginx);

    ok(await visit.has('#endpoints-each', /review_campaigns/),
       'load: the table comes with the first request');
    await slowRequests(nginx, postgres);
    postgres.sql('UPDATE campaigns SET title = title || \'.\' WHERE id < 20');
    await visit.answers(12);

    await steady(visit.page, 'load');
    await figuresAgree(visit);
    await keyboard(visit);
    await slowShown(visit);
    await charts(visit);
    await news(visit);

    await visit.shot('load-light');
    await accessible(visit.page, 'load');
    await contrast(visit.page, 'light');
    await fits(visit.page, 'load');
    visit.quiet('load');

    await hiddenAndPaused(visit);
    visit.quiet('hidden and paused');
    await visit.close();

    await darkAndNarrow(browser, nginx);
    await load.stop();
}


// what stands there is what the last status says

async function figuresAgree(visit) {
    const { page } = visit;

    await visit.answers(1);
    await page.getByRole('button', { name: 'Pause' }).click();
    const kept = visit.read.length;
    await sleep(1500);
    is(visit.read.length, kept, 'a pause asks nothing');
    ok(/paused at \d\d:\d\d:\d\d/.test(await visit.text('#updated')),
       'and says since when');

    const { status } = visit.read.at(-1);
    const rows = await endpointRows(visit);
    is(rows.length, status.endpoints.length, 'all endpoints have a row');
    for (const row of rows) {
        const one = status.endpoints.find((e) => e.name === row.Endpoint);
        is(digitsOf(row['Since start']), one.requests,
           `requests of ${row.Endpoint}`);
    }

    windowAgrees(visit, rows);

    const about = await visit.text('#cache-room');
    ok(about.includes(`in ${status.cache.entries.toLocaleString('en')} `
                      + 'entries'), 'entries of the cache', about);
    const pids = await page.locator('#workers tbody th').allInnerTexts();
    is(pids.sort().join(), status.workers.map((w) => String(w.pid)).sort()
       .join(), 'workers');
    is(await page.locator('#upstreams .badge').innerText(), 'up',
       'the database is up');
    is(await page.locator('#sources .badge').innerText(), 'coherent',
       'the listener is coherent');
    for (const [reason, total] of Object.entries(status.errors)) {
        const row = page.locator('#errors tbody tr').filter({
            has: page.locator('.name', { hasText: reason }) });
        is(digitsOf(await row.locator('td').last().innerText()), total,
           `errors: ${reason}`);
    }

    await page.getByRole('button', { name: 'Resume' }).click();
    await visit.answers(2);
    ok(!/paused/.test(await visit.text('#updated')), 'goes on');
}


// The rates and percentiles, counted here once more, from one of the answers
// of about ten seconds ago: the page's clock is not the test's.

function windowAgrees(visit, rows) {
    const last = visit.read.at(-1).status;
    const counted = ({ status }) => rows.filter((row) => {
        const named = (one) => one.name === row.Endpoint;
        const now = last.endpoints.find(named);
        const then = status.endpoints.find(named);
        const buckets = now.buckets.map(
            (n, i) => n - (then?.buckets[i] ?? 0));
        const wanted = [
            rate((now.requests - (then?.requests ?? 0))
                 / (last.now - status.now)),
            ...[0.5, 0.95, 0.99].map((share) => duration(
                percentile(last.buckets, buckets, share))),
        ].map(join);

        return wanted.join() === [row.Requests, row.p50, row.p95, row.p99]
            .join();
    }).length;
    const most = Math.max(...visit.read.filter(
        ({ status }) => last.now - status.now > 8
                        && last.now - status.now < 12).map(counted));

    is(most, rows.length, 'rates and percentiles of all endpoints');
}


async function keyboard(visit) {
    const { page } = visit;
    const heading = page.locator('#endpoints thead th').nth(9);

    is(await page.locator('[aria-sort="descending"]').innerText(),
       'Requests', 'sorted by requests at first');
    await page.getByRole('link', { name: 'Workers' }).focus();
    for (let i = 0; i < 12; i++) {
        await page.keyboard.press('Tab');
    }
    is(await page.evaluate(() => document.activeElement.textContent),
       'Since start', 'Tab goes from heading to heading');
    ok(await page.evaluate(() => document.activeElement.matches(
        ':focus-visible') && getComputedStyle(document.activeElement)
        .outlineStyle !== 'none'), 'and shows where it is');

    await page.keyboard.press('Enter');
    is(await heading.getAttribute('aria-sort'), 'descending',
       'Enter sorts, the most first');
    const ordered = async () => (await endpointRows(visit)).map(
        (row) => digitsOf(row['Since start']));
    const sorted = (values, sign) => values.every(
        (n, i) => i === 0 || sign * (values[i - 1] - n) >= 0);
    ok(sorted(await ordered(), 1), 'the rows follow');
    await page.keyboard.press('Space');
    is(await heading.getAttribute('aria-sort'), 'ascending',
       'Space turns it round');
    ok(sorted(await ordered(), -1), 'and the rows');

    await page.locator('#endpoints thead button').first().click();
    const names = (await endpointRows(visit)).map((row) => row.Endpoint);
    ok(names.every((name, i) => i === 0 || names[i - 1] < name),
       'the mouse sorts by name');
    is(await page.locator('#endpoints [aria-sort]:not([aria-sort="none"])')
       .count(), 1, 'one column at a time');
    await page.locator('#endpoints thead button').nth(1).click();
}


async function slowShown(visit) {
    const { page } = visit;
    const { status } = visit.read.at(-1);
    const more = page.locator('#slow-more');

    is(await page.locator('#slow li').count(),
       Math.min(5, status.slow.length), 'slow requests are shown');
    is(await more.getAttribute('aria-expanded'), 'false', 'not all');
    await more.click();
    is(await page.locator('#slow li').count(), status.slow.length,
       'until one asks for all');
    is(await more.getAttribute('aria-expanded'), 'true', 'which is said');
    const asked = await page.locator('#slow code').allInnerTexts();
    ok(asked.some((text) => text.includes('onerror')),
       'parameters as they came', asked.join(' '));
    is(await page.locator('#slow img').count(), 0, 'are text and nothing else');
    await more.click();

    const entry = status.slow[0];
    const item = await page.locator('#slow li').first().innerText();
    ok(item.includes(join(duration(entry.ms / 1000)))
       && item.includes(join(duration(entry.db_ms / 1000))),
       'with the time of each phase', item);
    const width = (await page.locator('#slow li').first().locator('.part-db')
        .first().getAttribute('width')).replace('%', '');
    ok(Number(width) > 0, 'and as a bar');
}


async function charts(visit) {
    const plots = visit.page.locator('.plot');

    is(await plots.count(), 8, 'eight charts');
    for (const label of await plots.evaluateAll(
        (all) => all.map((one) => one.getAttribute('aria-label')))) {
        ok(/the last 5 minutes\. .*(\d|Nothing yet)/.test(label),
           `in words: ${label}`);
    }

    const box = await plots.first().boundingBox();
    await plots.first().hover({ position: { x: box.width - 6, y: 20 } });
    ok(/^\d\d:\d\d:\d\d: [\d.]+\s+\/s$/.test(
        await visit.text('.chart figcaption')), 'the pointer reads a value',
       await visit.text('.chart figcaption'));
    await visit.page.mouse.move(0, 0);
    ok(await visit.page.locator('.chart figcaption').first().isHidden(),
       'and only while it is there');
    await spans(visit);
}


// the hour that the server has kept

async function spans(visit) {
    const { page } = visit;
    const button = (name) => page.getByRole('button', { name });
    const label = () => page.locator('.plot').first()
                            .getAttribute('aria-label');
    const marks = () => page.locator('.span').first().locator('span')
                            .allInnerTexts();

    is(await button('5 minutes').getAttribute('aria-pressed'), 'true',
       'five minutes at first');
    is((await marks()).length, 6, 'with a mark for each');
    await button('1 hour').click();
    is(await button('1 hour').getAttribute('aria-pressed'), 'true',
       'an hour where one wants it');
    is(await button('5 minutes').getAttribute('aria-pressed'), 'false',
       'instead');
    ok(/the last 1 hour/.test(await label()), 'which is said', await label());
    is((await marks()).join(), '60\u00a0min,45,30,15,now', 'and marked');
    await button('5 minutes').click();
}


// what a screen reader is told: changes, not each second

async function news(visit) {
    const spoken = await visit.page.evaluate(() => new Promise((done) => {
        let changes = 0;
        const observer = new MutationObserver(() => { changes++; });
        observer.observe(document.getElementById('news'),
                         { childList: true, subtree: true,
                           characterData: true });
        setTimeout(() => done(changes), 4000);
    }));

    is(spoken, 0, 'nothing is announced while nothing changes');
    is(await visit.page.locator('[aria-live], [role="status"], '
                                + '[role="alert"]').count(), 1,
       'one place that announces');
}


async function hiddenAndPaused(visit) {
    const hide = (hidden) => visit.page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value,
                                                    configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);

    await hide(true);
    await sleep(1200);
    const before = visit.asked.length;
    await sleep(6000);
    is(visit.asked.length, before, 'a hidden page asks nothing');
    await hide(false);
    ok(await waitFor(() => visit.asked.length > before, 1),
       'one that is seen again asks at once');
    await visit.answers(4);

    ok(visit.asked.at(-1) > 0 && visit.history > 1,
       'and for what it has missed', visit.history);
    ok(await waitFor(async () => (await visit.page.locator('.line.series-1')
        .last().getAttribute('d')).split('M').length === 2, 30),
       'so that the chart of the machine has no gap');
    const found = digitsOf(await large(visit, 'Requests', 'per second'));
    ok(found > 20 && found < 1000, 'and the rate none of it', found);
}


async function darkAndNarrow(browser, nginx) {
    const dark = await Visit.open(browser, nginx, { scheme: 'dark' });
    await dark.answers(14);
    await dark.shot('load-dark');
    await accessible(dark.page, 'dark');
    await contrast(dark.page, 'dark');
    const back = await dark.page.evaluate(
        () => getComputedStyle(document.documentElement).backgroundColor);
    is(back, 'rgb(14, 18, 24)', 'dark: a dark page');
    dark.quiet('dark');
    await dark.close();

    const phone = await Visit.open(browser, nginx, { viewport: PHONE });
    await phone.answers(14);
    await phone.shot('load-phone');
    await onPhone(phone);
    await accessible(phone.page, 'phone');
    await phone.page.locator('#endpoints thead button').nth(4).tap();
    is(await phone.page.locator('[aria-sort="descending"]').innerText(),
       'p95', 'phone: a tap sorts');
    const roles = await phone.page.locator('#endpoints-each tr').first()
        .ariaSnapshot();
    ok(/rowheader/.test(roles) && /cell/.test(roles),
       'phone: still a table for readers', roles);
    await phone.page.setViewportSize({ width: 320, height: 640 });
    await phone.answers(1);
    await phone.shot('load-320');
    phone.quiet('phone');
    await phone.close();
}


// the menu is one line that stays; the page is not endless

async function onPhone({ page }) {
    const menu = page.locator('nav');
    const { height } = await menu.boundingBox();
    const long = await page.evaluate(() => document.documentElement
                                                   .scrollHeight);

    ok(height < 50, 'phone: the menu is one line', height);
    await page.evaluate(() => window.scrollTo(0, 3000));
    ok((await menu.boundingBox()).y <= 1, 'phone: which stays in sight');
    await menu.getByRole('link', { name: 'Overview' }).tap();
    ok(await waitFor(() => page.evaluate(() => window.scrollY < 600)),
       'phone: a way back up');
    ok(long < 8000, 'phone: the page is not endless', long);
    console.log(`# ${long} px at ${page.viewportSize().width} px`);
}


// ---- after a while, for one who comes then ----

async function lateVisit(browser, nginx) {
    await waitFor(async () => (await nginx.status('?history=1')).history
        .rows.length >= 4, 30);

    // nobody has asked for a minute, as the server says it

    const visit = await Visit.open(browser, nginx, { alter(status) {
        status.endpoints.slice(2).forEach((one) => { one.minute = 0; });

        return status;
    } });

    await visit.answers(1);
    const line = await visit.page.locator('.line.series-0').first()
        .getAttribute('d');
    ok(line.split(/[ML]/).length > 4, 'late: charts begin filled', line);
    ok(/the last 5 minutes\. \d/.test(await visit.page.locator('.plot').first()
        .getAttribute('aria-label')), 'late: and say so');
    ok(visit.read.length > 0 && visit.history === 1,
       'late: asked for once', visit.history);

    await waitFor(async () => (await nginx.status()).endpoints.length > 4);
    const many = visit.read.at(-1).status.endpoints.length - 2;
    const button = visit.page.locator('#idle');
    const rows = visit.page.locator('#endpoints-idle tr');

    await visit.answers(12);
    is(await visit.page.locator('#endpoints-each tr').count(), 2,
       'idle: what is asked has a row');
    is(await button.innerText(), `Show ${many} endpoints that were not asked `
       + 'in the last minute', 'idle: the rest is one line');
    is(await rows.count(), 0, 'idle: without rows');
    await button.click();
    is(await button.getAttribute('aria-expanded'), 'true', 'idle: it opens');
    is(await rows.count(), many, 'idle: and shows them');
    await accessible(visit.page, 'idle');
    await visit.shot('idle-light');
    await button.click();
    is(await rows.count(), 0, 'idle: and closes');

    await visit.page.setViewportSize(PHONE);
    const long = await visit.page.evaluate(() => document.documentElement
                                                         .scrollHeight);
    ok(long < 6500, 'idle: which keeps a phone short', long);
    console.log(`# idle: ${long} px at ${PHONE.width} px`);
    await visit.shot('idle-phone');
    await visit.page.setViewportSize(WIDE);

    await about(visit);
    visit.quiet('late');
    await visit.close();
}


// which host and version, and where there is more

async function about(visit) {
    const { status } = visit.read.at(-1);
    const links = await visit.page.locator('#links a').evaluateAll(
        (all) => all.map((one) => [one.textContent, one.href]));
    const wanted = { Report: '/softfactory/report', Metrics: '/metrics',
                     Probe: '/softfactory/live',
                     Status: '/softfactory/status' };

    ok((await visit.text('#host')).startsWith(status.node),
       'about: the node', await visit.text('#host'));
    is(await visit.text('#version'), `version ${status.module_version}`,
       'about: the version');
    is(JSON.stringify(Object.fromEntries(links)),
       JSON.stringify(Object.fromEntries(Object.entries(wanted).map(
           ([name, to]) => [name, visit.nginx.url(to)]))),
       'about: links to what there is');
    for (const to of Object.values(wanted)) {
        is((await visit.nginx.get(to)).status, 200, `about: ${to} is there`);
    }
}


// ---- the application goes ----

async function applicationDead(browser, nginx) {
    const visit = await Visit.open(browser, nginx);

    ok(await visit.has('#problems', /All is well/), 'application: well');
    await nginx.get('/api/auth/me');
    await nginx.get('/api/auth/me');
    await visit.answers(4);
    ok(/All is well/.test(await visit.text('#problems')),
       'application: two failures are an accident');
    for (let i = 0; i < 30; i++) {
        await nginx.get('/api/auth/me');
    }
    ok(await visit.has('#problems .critical', new RegExp('The application '
        + 'behind does not answer: 3\\d of 3\\d requests in the last minute '
        + 'failed')), 'application: dead, in words',
       await visit.text('#problems'));
    ok(await visit.has('#news', /Critical: The application behind/),
       'application: announced');
    ok(/^\(1\) /.test(await visit.page.title()), 'application: in the title');
    is(await large(visit, 'Application behind', 'not answered'),
       '100\u00a0%', 'application: and in its card');
    await visit.shot('application-dead-light');
    await accessible(visit.page, 'application');
    await fits(visit.page, 'application', [320, 390, 1280]);
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    await visit.shot('application-dead-dark');
    visit.quiet('application');
    await visit.close();
}


// ---- the database goes, and comes back ----

async function databaseDown(browser, nginx, postgres) {
    const visit = await Visit.open(browser, nginx);
    const load = new Load(nginx);

    await visit.answers(5);
    postgres.stop();
    ok(await visit.has('#problems', /No connection to the database .primary./),
       'database down: said at the top');
    ok(await visit.has('#news', /Critical: No connection to the database/),
       'database down: announced');
    ok(await visit.has('#upstreams .badge', /down/),
       'database down: and in its place');
    ok(/^\(\d+\) /.test(await visit.page.title()),
       'database down: even in the title', await visit.page.title());
    ok(await visit.has('#problems', /had no confirmation|No worker listens/),
       'database down: the listener has no word from it');
    ok(await waitFor(() => visit.read.at(-1).status.errors.unavailable > 0),
       'database down: requests fail');
    await visit.answers(8);
    const row = visit.page.locator('#errors tbody tr', {
        hasText: 'unavailable' }).locator('td').first();
    ok(digitsOf(await row.innerText()) > 0, 'database down: by reason');
    await visit.shot('database-down-light');
    await accessible(visit.page, 'database down');
    await fits(visit.page, 'database down', [320, 1280]);
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    await visit.shot('database-down-dark');
    await accessible(visit.page, 'database down, dark');

    postgres.start();
    ok(await visit.has('#news', /Over: No connection to the database/, 30),
       'database back: announced');
    ok(await visit.has('#upstreams .badge', /up/),
       'database back: shown');

    // what was passed on in vain in an earlier state counts for a minute

    ok(await visit.has('#problems', /^\W*All is well/, 75),
       'database back: all is well in the end', await visit.text('#problems'));
    is(await visit.page.title(), 'SoftFactory, live',
       'database back: the title too');
    visit.quiet('database down');
    await load.stop();
    await visit.close();
}


// ---- new workers, the same counters ----

async function reload(browser, nginx) {
    const visit = await Visit.open(browser, nginx);
    const load = new Load(nginx, 100);

    await visit.answers(4);
    const before = visit.read.at(-1).status;
    const pids = (status) => status.workers.map((one) => one.pid).sort();
    const old = pids(before);
    nginx.reload();
    ok(await waitFor(() => pids(visit.read.at(-1).status).length === 2
                           && !pids(visit.read.at(-1).status)
                               .some((pid) => old.includes(pid)), 20),
       'reload: other workers', pids(visit.read.at(-1).status).join());
    await visit.answers(2);
    const shown = await visit.page.locator('#workers tbody th')
                                  .allInnerTexts();
    is(shown.sort().join(), pids(visit.read.at(-1).status).map(String).sort()
       .join(), 'reload: which are shown');
    ok(visit.read.at(-1).status.requests.total >= before.requests.total,
       'reload: counters go on');
    ok(!/begun again|No answer/.test(await visit.text('#news')),
       'reload: nobody is alarmed', await visit.text('#news'));
    visit.quiet('reload');
    await load.stop();
    await visit.close();
}


// ---- the server goes, and comes back ----

async function serverAway(browser, nginx) {
    const visit = await Visit.open(browser, nginx);
    const load = new Load(nginx, 100);

    await visit.answers(4);
    await load.stop();
    await visit.answers(1);
    const total = await large(visit, 'Machine', 'memory');
    await nginx.stop();
    ok(await visit.has('#problems',
                       /No answer from the server since \d\d:\d\d:\d\d/),
       'away: said at the top');
    ok(await visit.has('#news', /No answer from the server/),
       'away: announced');
    is(await large(visit, 'Machine', 'memory'), total,
       'away: the last values stay');
    ok(await visit.page.locator('main.old').count() === 1,
       'away: but are marked as old');

    const from = visit.asked.length;
    await sleep(16000);
    const times = visit.asked.slice(from - 1);
    const waits = times.slice(1).map((at, i) => at - times[i]);
    ok(waits.length >= 2 && waits.length <= 5
       && waits.at(-1) > waits[0], 'away: asks less and less often',
       waits.join(', '));
    ok(/Next try in \d+ s/.test(await visit.text('#problems')),
       'away: and says when', await visit.text('#problems'));
    await visit.shot('away-light');
    await accessible(visit.page, 'away');
    await fits(visit.page, 'away', [320, 1280]);
    await visit.page.emulateMedia({ colorScheme: 'dark' });
    await accessible(visit.page, 'away, dark');
    await visit.page.emulateMedia({ colorScheme: 'light' });

    await nginx.start();
    const retry = visit.page.getByRole('button', { name: 'Try now' });
    await retry.click().catch(() => {});
    ok(await visit.has('#news', /answers again|begun again/),
       'back: announced');
    ok(await visit.has('#problems', /The counters have begun again/),
       'back: with new counters, which is said');
    ok(await visit.page.locator('main.old').count() === 0,
       'back: values are new ones');
    await visit.answers(3);
    const minus = await visit.page.evaluate(
        () => document.body.innerText.match(/[-−]\d[\d.,]*\s/g));
    ok(minus === null, 'back: no number is negative', String(minus));
    await visit.shot('restarted-light');
    visit.said = visit.said.filter(
        (text) => !/ERR_CONNECTION_REFUSED/.test(text));
    visit.quiet('away and back, but for the failed tries');
    await visit.close();
}


// ---- what no server does at will ----

const HOSTILE = '<img src=x onerror=alert(1)>"\'><script>alert(2)</script>'
    + '\u202e\u0000{{7*7}}' + 'A'.repeat(400);


function hostile(status) {
    status.slow = Array.from({ length: 32 }, (unused, i) => ({
        time: status.now - i, endpoint: HOSTILE, params: HOSTILE,
        status: 504, user: HOSTILE, cache: HOSTILE, ms: 12345.6,
        auth_ms: 1, queue_ms: 200, db_ms: 20000, write_ms: 3,
        sqlstate: HOSTILE, request_id: `${i}${HOSTILE}` }));
    status.upstreams[0].name = HOSTILE;
    status.upstreams[0].servers[0].name = HOSTILE;
    status.sources[0].upstream = HOSTILE;
    status.sources[0].uncovered = [HOSTILE, 'users'];
    status.errors[HOSTILE] = 3;
    status.endpoints.push({ ...(status.endpoints[0] ?? {}),
                            name: HOSTILE, path: HOSTILE,
                            requests: 123456789012 });

    return status;
}


async function hostileText(browser, nginx) {
    const visit = await Visit.open(browser, nginx, { alter: hostile });

    await visit.answers(4);
    is(await visit.page.locator('main img, main script').count(), 0,
       'hostile: text stays text');
    ok((await visit.text('#slow code')).includes('onerror=alert(1)'),
       'hostile: and is shown as it came');
    await fits(visit.page, 'hostile', [320, 768, 1280]);
    await visit.shot('hostile-light');
    visit.quiet('hostile');
    await visit.close();
}


async function incoherent(browser, nginx) {
    const visit = await Visit.open(browser, nginx, { alter(status) {
        Object.assign(status.sources[0], { coherent: false,
            confirmed_ms_ago: 48211, queue_usage: 0.31 });
        status.sources.push({ upstream: 'other', coherent: true,
            confirmed_ms_ago: 5, uncovered: ['users', 'sns_posts'], creators: 2,
            listener_pid: 1, notifications: 0, moves: 0, flushes: 1,
            queue_usage: 0 });
        Object.assign(status.machine, { cpu_percent: 93.4 });
        Object.assign(status.upstreams[0].queue, { read: 1900 });

        return status;
    } });

    ok(await visit.has('#problems', /had no confirmation for longer/),
       'incoherent: said at the top');
    ok(await visit.has('#sources .badge', /not coherent/),
       'incoherent: and in its place');
    ok(await visit.has('#sources', /48\s+s ago/), 'incoherent: since when');
    ok(await visit.has('#problems', /users, sns_posts/),
       'uncovered tables: said');
    ok(await visit.has('#problems', /2 roles beside the owner may create/),
       'others may create in the schema: said');
    ok(await visit.has('#sources', /its owner and 2 more/),
       'others may create in the schema: and in its place');
    ok(await visit.has('#problems', /processors are busy at 93/),
       'a busy machine: said');
    ok(await visit.has('#problems', /waiting list/), 'a full queue: said');
    await visit.shot('incoherent-light');
    await accessible(visit.page, 'incoherent');
    await visit.close();
}


async function refused(browser, nginx) {
    const visit = await Visit.open(browser, nginx);

    await visit.answers(2);
    await visit.page.unroute(STATUS);
    await visit.page.route(STATUS,
                           (route) => route.fulfill({ status: 403 }));
    ok(await visit.has('#problems', /answers with status 403/),
       'refused: says what the server says');
    await visit.close();

    const without = await Visit.open(browser, nginx,
                                     { alter: () => ({ cache: {} }) });
    await without.answers(3);
    ok(/All is well|No/.test(await without.text('#problems')),
       'a status that lacks everything is shown');
    without.quiet('a status that lacks everything');
    await without.close();
}


// ---- all of it ----

const STATES = [emptyServer, underLoad, lateVisit, applicationDead,
                databaseDown, reload, serverAway, hostileText, incoherent,
                refused];


async function main() {
    const postgres = new Postgres();
    const nginx = new Nginx(postgres);
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        handleSIGTERM: false,
        args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    const end = async () => {
        await browser.close();
        await nginx.stop();
    };

    process.once('SIGTERM', () => end().finally(() => process.exit(1)));

    try {
        await nginx.start();
        for (const state of STATES) {
            console.log(`== ${state.name}`);
            await state(browser, nginx, postgres);
        }
    } catch (error) {
        console.log(error);
        ok(false, 'ran to its end', error.message);
    }

    await end();
    process.exit(summary());
}


await main();

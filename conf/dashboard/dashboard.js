// The live page: asks the status location once a second and shows what it
// says.  Asking is here, sums are in figures.js, elements in draw.js and the
// parts of the page in sections.js.

import { Recorder, Watch, age, clock, problems, readStatus, relative,
         shorten } from './figures.js';
import { Rows, element, setAttribute, setText } from './draw.js';
import { Cache, Database, Endpoints, Errors, Listener, Overview, Slow,
         Workers } from './sections.js';

const EVERY = 1000;                 // milliseconds from question to question
const PATIENCE = 4000;              // for an answer
const LONGEST = 10000;              // between tries when there is none

const $ = (id) => document.getElementById(id);
const seconds = () => performance.now() / 1000;


// ---- asking ----

// Asks again and again, one question at a time.  A server that does not answer
// is asked less often; a page that nobody sees asks nothing.

class Poller {

    constructor(address, { answered, failed }) {
        Object.assign(this, { address, answered, failed });
        this.paused = false;
        this.failures = 0;
        this.next = 0;              // when, by performance.now()
        this.timer = null;
        this.asking = null;
    }

    get stopped() {
        return this.paused || document.hidden;
    }

    // asks now, unless that is under way or not wanted

    wake() {
        if (!this.stopped && !this.asking) {
            clearTimeout(this.timer);
            this.asking = this.ask().finally(() => {
                this.asking = null;
                this.wait();
            });
        }
    }

    wait() {
        clearTimeout(this.timer);
        if (!this.stopped) {
            this.timer = setTimeout(() => this.wake(),
                                    this.next - performance.now());
        }
    }

    pause(paused) {
        this.paused = paused;
        if (paused) {
            clearTimeout(this.timer);
        } else {
            this.wake();
        }
    }

    async ask() {
        const begun = performance.now();
        let status, problem;

        try {
            status = await this.fetch();
        } catch (error) {
            problem = error;
        }

        this.failures = problem ? this.failures + 1 : 0;
        const delay = Math.min(EVERY * 2 ** this.failures, LONGEST);
        this.next = problem ? performance.now() + delay : begun + EVERY;

        // an answer to a page that has been paused meanwhile is not shown

        if (this.paused) {
            return;
        }
        if (problem) {
            this.failed(problem);
        } else {
            this.answered(status);
        }
    }

    async fetch() {
        const answer = await fetch(this.address(), {
            cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });

        if (!answer.ok) {
            throw new Refused(answer.status);
        }
        return readStatus(await answer.json());
    }
}


class Refused extends Error {

    constructor(status) {
        super(`status ${status}`);
        this.status = status;
    }
}


// ---- condition ----

const MARKS = { critical: '✕', warning: '▲', good: '✓', info: '•' };
const LEVELS = { critical: 'Critical: ', warning: 'Warning: ', good: '',
                 info: '' };


function problemRow() {
    const mark = element('span', { class: 'mark', 'aria-hidden': 'true' });
    const said = element('span', { class: 'unseen' });
    const text = element('span');
    const node = element('li', {}, mark, said, text);

    return { node, show(problem) {
        node.className = problem.level;
        setText(mark, MARKS[problem.level]);
        setText(said, LEVELS[problem.level]);
        setText(text, problem.text);
    } };
}


// One line for each thing that is wrong, or one that says that nothing is.
// Readers of the screen are told of changes only.

class Condition {

    constructor() {
        this.rows = new Rows($('problems'), problemRow);
        this.watch = new Watch();
        this.begun = null;
        this.title = document.title;
    }

    tell(...sentences) {
        if (sentences.length > 0) {
            $('news').replaceChildren(
                ...sentences.map((text) => element('span', {}, `${text} `)));
        }
    }

    // the counters have begun again

    again() {
        this.begun = new Date();
        this.tell('The counters have begun again.');
    }

    show(found) {
        const { raised, cleared } = this.watch.update(found);
        const { current } = this.watch;

        this.tell(...raised.map((one) => LEVELS[one.level] + one.text),
                  ...cleared.map((one) => `Over: ${one.text}`),
                  ...(cleared.length > 0 && current.length === 0
                      ? ['All is well.'] : []));
        this.draw(current.length > 0 ? current
                  : [{ id: 'good', level: 'good', text: 'All is well.' }]);
    }

    draw(lines) {
        const bad = lines.filter((one) => one.level === 'critical'
                                          || one.level === 'warning').length;

        if (this.begun && Date.now() - this.begun < 60000) {
            lines = [...lines, { id: 'again', level: 'info',
                text: `The counters have begun again at ${clock(this.begun)}: `
                      + 'nginx was started anew.' }];
        }
        this.rows.show(lines, (one) => one.id);
        document.title = bad > 0 ? `(${bad}) ${this.title}` : this.title;
    }
}


// ---- the page ----

const LINKS = { report: 'Report', metrics: 'Metrics', live: 'Probe',
                status: 'Status' };


function link() {
    const anchor = element('a');

    return { node: element('li', {}, anchor), show({ text, address }) {
        setText(anchor, text);
        setAttribute(anchor, 'href', address);
    } };
}


class Page {

    constructor() {
        this.recorder = new Recorder();
        this.condition = new Condition();
        this.overview = new Overview();
        this.endpoints = new Endpoints();
        this.parts = [new Slow(), new Database(), new Errors(), new Cache(),
                      new Listener(), new Workers()];
        this.opened = new Date();
        this.answered = null;       // when the last answer came
        this.away = null;           // since when there is none, and why

        this.links = new Rows($('links'), link);
        this.poller = new Poller(() => this.address(), {
            answered: (status) => this.show(status),
            failed: (error) => this.lose(error),
        });

        setText($('host'), location.host);
        $('pause').addEventListener('click', () => this.pause());
        $('retry').addEventListener('click', () => this.poller.wake());
        document.addEventListener('visibilitychange',
                                  () => this.poller.wake());
        setInterval(() => this.tick(), 1000);

        this.condition.draw([{ id: 'first', level: 'info',
                               text: 'Asking the server …' }]);
        this.poller.wake();
    }

    show(status) {
        const now = seconds();
        const { figures, again } = this.recorder.add(status, now);

        if (this.away) {
            this.away = null;
            this.condition.tell('The server answers again.');
            this.dim(false);
        }
        if (again) {
            this.condition.again();
        }

        this.answered = new Date();
        this.condition.show(problems(status, figures));
        this.overview.show(status, figures, this.recorder, now);
        this.endpoints.show(status, figures, now);
        for (const part of this.parts) {
            part.show(status, figures);
        }

        this.about(status);
        setText($('uptime'), `up ${age(status.now - status.started)}`);
        setText($('updated'), clock(this.answered));
    }

    // which host and version it is, and where it shows more

    about({ node, version, links }) {
        const found = Object.entries(LINKS).filter(
            ([name]) => typeof links[name] === 'string');

        setText($('host'), node ? `${shorten(node)} · ${location.host}`
                                : location.host);
        setText($('version'), version && `version ${shorten(version)}`);
        this.links.show(found.map(([name, text]) => ({
            name, text, address: relative(links.status, links[name]),
        })), ({ name }) => name);
        $('links').hidden = found.length === 0;
    }

    // what was kept while this page did not look is asked for as well

    address() {
        return this.recorder.lacks(seconds()) ? 'status?history=1' : 'status';
    }

    lose(error) {
        if (!this.away) {
            this.away = { since: this.answered ?? this.opened };
            this.away.why = error;
            this.condition.tell(this.complaint());
            this.dim(true);
        }
        this.away.why = error;
        this.tick();
    }

    // what is shown is not of now

    dim(old) {
        $('main').classList.toggle('old', old);
        $('retry').hidden = !old;
    }

    complaint() {
        const { since, why } = this.away;

        if (why instanceof Refused) {
            const hint = { 403: ' Is this address allowed to read it?',
                           404: ' Is softfactory_status configured there?' };

            return `The server answers with status ${why.status} instead of `
                   + `its state since ${clock(since)}.`
                   + (hint[why.status] ?? '');
        }
        return `No answer from the server since ${clock(since)}.`;
    }

    tick() {
        if (!this.away || this.poller.paused) {
            return;
        }

        const left = Math.ceil((this.poller.next - performance.now()) / 1000);
        const next = this.poller.asking || left <= 0
                     ? 'Trying now.' : `Next try in ${left} s.`;
        const old = this.answered ? ' What is shown is from then.' : '';

        this.condition.draw([{ id: 'away', level: 'critical',
            text: `${this.complaint()}${old} ${next}` }]);
    }

    pause() {
        const paused = !this.poller.paused;

        this.poller.pause(paused);
        setText($('pause'), paused ? 'Resume' : 'Pause');
        document.body.classList.toggle('paused', paused);
        setText($('updated'), this.answered
            ? `${paused ? 'paused at ' : ''}${clock(this.answered)}` : '');
    }
}


new Page();

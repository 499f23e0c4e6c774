// Pieces of the page: elements, rows that are kept while their numbers
// change, stacked bars and charts.  Text comes in as text nodes only, since
// names and parameters are whatever a client has sent.

import { clock, extent, join, joinRange, joinShort, niceTop,
         runs } from './figures.js';

const SVG = 'http://www.w3.org/2000/svg';


// ---- elements ----

function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        node.setAttribute(name, value);
    }
    node.append(...children);

    return node;
}


export function element(name, attributes = {}, ...children) {
    return fill(document.createElement(name), attributes, children);
}


function shape(name, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, name), attributes, children);
}


export function setText(node, text) {
    if (node.textContent !== text) {
        node.textContent = text;
    }
}


export function setAttribute(node, name, value) {
    if (node.getAttribute(name) !== value) {
        node.setAttribute(name, value);
    }
}


// ---- rows ----

// Children of a node, one for each item of a list, behind those that it has
// already.  An item that was there before keeps its node, so that nothing
// flickers and selected text stays.

export class Rows {

    constructor(parent, make) {
        this.parent = parent;
        this.make = make;               // item -> { node, show(item) }
        this.first = [...parent.children];
        this.rows = new Map();
    }

    // shows items, which are told apart by key(item), in their order

    show(items, key) {
        const kept = new Map();

        for (const item of items) {
            const name = key(item);
            const row = this.rows.get(name) ?? this.make(item);
            row.show(item);
            kept.set(name, row);
        }

        const nodes = [...this.first,
                       ...[...kept.values()].map((row) => row.node)];
        const same = nodes.length === this.parent.children.length
            && nodes.every((node, i) => node === this.parent.children[i]);

        if (!same) {
            this.parent.replaceChildren(...nodes);
        }
        this.rows = kept;
    }
}


// A row of a table.  Columns: { label, show(cell, item) or text(item) }, the
// first one is the row's heading.  Roles are said in so many words, as the
// narrow layout makes blocks of the cells, which takes their meaning away.

export function tableRow(columns) {
    const cells = columns.map((column, i) => element(
        i === 0 ? 'th' : 'td',
        i === 0 ? { role: 'rowheader', scope: 'row' }
                : { role: 'cell', 'data-label': column.label }));

    return {
        node: element('tr', { role: 'row' }, ...cells),
        show(item) {
            columns.forEach((column, i) => {
                if (column.show) {
                    column.show(cells[i], item);
                } else {
                    setText(cells[i], column.text(item));
                }
            });
        },
    };
}


// ---- bars ----

// A bar of parts, each in the colour of its name (see "part-" in the style).
// It repeats numbers that stand beside it, so it is hidden from readers.

export function bar(names) {
    const parts = names.map((name) => shape('rect', {
        class: `part part-${name}`, y: 0, height: '100%', x: 0, width: 0 }));

    return {
        node: shape('svg', { class: 'bar', 'aria-hidden': 'true' },
                    ...parts),
        show(values, whole) {
            let x = 0;
            values.forEach((value, i) => {
                const width = whole > 0
                    ? Math.min(100 - x, 100 * Math.max(0, value) / whole) : 0;
                setAttribute(parts[i], 'x', `${x.toFixed(2)}%`);
                setAttribute(parts[i], 'width', `${width.toFixed(2)}%`);
                x += width;
            });
        },
    };
}


// ---- charts ----

const WIDTH = 300;
const HEIGHT = 60;

// How far charts look back: seconds, in words, and the marks of their axis.

export const SPANS = [
    { seconds: 300, name: '5 minutes',
      marks: ['5\u00a0min', '4', '3', '2', '1', 'now'] },
    { seconds: 3600, name: '1 hour',
      marks: ['60\u00a0min', '45', '30', '15', 'now'] },
];

const linear = {
    marks: (top) => [top, top / 2, 0],
    at: (value, top) => value / top,
};

// of durations: a decade to each step, from 10 µs

const FLOOR = 1e-5;

const logarithmic = {
    marks: (top) => [top, 10 ** ((Math.log10(top) - 5) / 2), FLOOR],
    at: (value, top) => Math.log10(Math.max(value, FLOOR) / FLOOR)
                        / Math.log10(top / FLOOR),
};


// The past of one to three series.  Series: { key, name }.  Options:
// title; unit (value -> [number, unit]); least: what the scale reaches at the
// least; most: where it ends; log: a logarithmic scale.

export class Chart {

    constructor(series, { title, unit, least, most, log = false }) {
        Object.assign(this, { series, title, unit, least, most, log });
        this.scale = log ? logarithmic : linear;
        this.points = [];
        this.now = 0;
        this.pointed = null;            // under the pointer, 0 to 1
        this.span = null;               // one of SPANS
        this.build();
    }

    build() {
        this.labels = [0, 1, 2].map(() => element('span'));
        this.caption = element('figcaption', { hidden: '' });
        this.axis = element('div', { class: 'span', 'aria-hidden': 'true' });
        this.marks = shape('path', {
            class: 'grid', 'vector-effect': 'non-scaling-stroke' });
        this.lines = this.series.map((one, i) => shape('path', {
            class: `line series-${i}`, 'vector-effect': 'non-scaling-stroke',
        }));
        this.area = shape('path', { class: 'area series-0' });
        this.cursor = shape('path', {
            class: 'cursor', 'vector-effect': 'non-scaling-stroke', d: '' });
        const grid = [0, 0.5, 1].map((y) => shape('path', {
            class: 'grid', 'vector-effect': 'non-scaling-stroke',
            d: `M0 ${y * HEIGHT}H${WIDTH}` }));

        this.plot = shape('svg', {
            class: 'plot', role: 'img', viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
            preserveAspectRatio: 'none', 'aria-label': this.title },
            ...grid, this.marks, ...(this.series.length === 1 ? [this.area] : []),
            ...this.lines, this.cursor);

        this.node = element('figure', { class: 'chart' },
            element('div', { class: 'scale', 'aria-hidden': 'true' },
                    ...this.labels),
            this.plot,
            this.axis, this.caption);

        this.plot.addEventListener('pointermove', (event) => {
            const box = this.plot.getBoundingClientRect();
            this.pointed = (event.clientX - box.left) / box.width;
            this.say();
        });
        this.plot.addEventListener('pointerleave', () => {
            this.pointed = null;
            this.say();
        });
    }

    show(points, now, span) {
        this.points = points;
        this.now = now;
        this.look(span);
        this.top = this.reach();

        this.scale.marks(this.top).forEach((mark, i) => {
            setText(this.labels[i], joinShort(this.unit(mark)));
        });
        this.series.forEach((one, i) => {
            setAttribute(this.lines[i], 'd', this.path(one.key, false));
        });
        if (this.series.length === 1) {
            setAttribute(this.area, 'd', this.path(this.series[0].key, true));
        }
        this.say();
    }

    // a mark for each part of the time, and a line above it

    look(span) {
        if (span === this.span) {
            return;
        }
        const parts = span.marks.length - 1;

        this.span = span;
        this.axis.replaceChildren(...span.marks.map(
            (mark) => element('span', {}, mark)));
        setAttribute(this.marks, 'd', span.marks.slice(0, -1).map(
            (mark, i) => `M${(WIDTH * i / parts).toFixed(1)} 0V${HEIGHT}`)
            .join(''));
    }

    // where the scale ends

    reach() {
        if (this.most) {
            return this.most;
        }
        const highest = Math.max(this.least, ...this.series.map(
            (one) => extent(this.points, one.key)?.high ?? 0));

        // two decades at a time, so that the mark in the middle is one

        if (this.log) {
            const decades = Math.log10(Math.min(highest, 10) / FLOOR);
            return FLOOR * 100 ** Math.ceil(decades / 2 - 1e-9);
        }
        return niceTop(highest);
    }

    x(seen) {
        const part = 1 - (this.now - seen) / this.span.seconds;

        return (WIDTH * part).toFixed(1);
    }

    y(value) {
        const part = Math.min(1, this.scale.at(value, this.top));

        return (HEIGHT * (1 - part)).toFixed(1);
    }

    path(key, closed) {
        return runs(this.points, key).map((run) => {
            const line = run.map(([seen, value]) => `${this.x(seen)} `
                                                    + this.y(value));
            const [first, last] = [run[0][0], run.at(-1)[0]];

            return closed
                ? `M${this.x(first)} ${HEIGHT}L${line.join('L')}`
                  + `L${this.x(last)} ${HEIGHT}Z`
                : `M${line.join('L')}${run.length === 1 ? 'h0.1' : ''}`;
        }).join('');
    }

    // what the chart says: in words as its name, under the pointer below it

    say() {
        const x = this.pointed === null ? '' : (WIDTH * this.pointed).toFixed(1);

        setAttribute(this.cursor, 'd', x && `M${x} 0V${HEIGHT}`);
        setText(this.caption, x && this.moment());
        this.caption.hidden = !x;
        setAttribute(this.plot, 'aria-label',
                     `${this.title}, the last ${this.span.name}. `
                     + this.summary());
    }

    summary() {
        const parts = this.series.map((one) => {
            const found = extent(this.points, one.key);
            const name = this.series.length > 1 ? `${one.name} ` : '';
            if (!found) {
                return null;
            }
            const mean = this.series.length > 1
                ? '' : `, mean ${join(this.unit(found.mean))}`;
            return name + joinRange(this.unit(found.low),
                                    this.unit(found.high)) + mean;
        }).filter((part) => part !== null);

        return parts.length > 0 ? parts.join(' · ') : 'Nothing yet';
    }

    // the time of day and the values there; a point of the server stands for
    // the seconds before it

    moment() {
        const ago = this.span.seconds * (1 - this.pointed);
        const seen = this.now - ago;
        const near = this.points.reduce(
            (best, one) => (!best || Math.abs(one.seen - seen)
                            < Math.abs(best.seen - seen) ? one : best), null);
        const when = `${clock(new Date(Date.now() - ago * 1000))}: `;

        if (!near || Math.abs(near.seen - seen) > 2 + (near.span ?? 0)) {
            return `${when}nothing known`;
        }
        return when + this.series.map((one) => {
            const name = this.series.length > 1 ? `${one.name} ` : '';
            return name + join(this.unit(near[one.key]));
        }).join(' · ');
    }
}

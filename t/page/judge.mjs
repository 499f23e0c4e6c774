// What a page is judged by: what axe finds, colours, widths, and that nothing
// moves.  All of it is evaluated inside the page.

import fs from 'node:fs';
import path from 'node:path';
import { HOME, ok, sleep } from './server.mjs';

const AXE = fs.readFileSync(path.join(HOME, 'node_modules/axe-core/axe.min.js'),
                            'utf8');


// names, roles, headings, tables, contrast of text, size of targets

export async function accessible(page, what) {
    await page.evaluate(AXE);

    // the menu, which stays in sight, would hide what is behind it

    await page.evaluate(() => window.scrollTo({ top: 0,
                                                behavior: 'instant' }));
    const found = await page.evaluate(async () => {
        const { violations, incomplete } = await window.axe.run(document, {
            runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',
                      'best-practice'] });

        // it cannot tell a single sign from a picture; what has gone meanwhile
        // is no matter

        const unsure = incomplete.filter((one) => one.id === 'color-contrast')
            .map((one) => ({ ...one, nodes: one.nodes.filter((node) =>
                document.querySelector(node.target[0])?.innerText.length > 1),
            })).filter((one) => one.nodes.length > 0);

        return [...violations, ...unsure].map((one) =>
            `${one.id}: ${one.nodes.map((node) => node.target.join(' '))
                                   .slice(0, 4).join(', ')}`);
    });
    ok(found.length === 0, `${what}: axe finds nothing`, found.join('; '));
}


// Lines, bars, edges of controls against what is behind them: 3:1.

export async function contrast(page, what) {
    const low = await page.evaluate(() => {
        const style = getComputedStyle(document.documentElement);
        const light = (name) => {
            const text = style.getPropertyValue(`--${name}`).trim();
            const parts = [1, 3, 5].map((i) => {
                const c = parseInt(text.slice(i, i + 2), 16) / 255;
                return c <= 0.04045 ? c / 12.92
                                    : ((c + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const ratio = (a, b) => (Math.max(a, b) + 0.05)
                                / (Math.min(a, b) + 0.05);
        const shapes = ['edge', 'accent', 'series-0', 'series-1', 'series-2',
                        'bad', 'hue-blue', 'hue-teal', 'hue-amber',
                        'hue-rose', 'hue-violet', 'hue-grey'];

        return shapes.flatMap((name) => ['panel', 'page'].map((back) => [
            `${name} on ${back}`, ratio(light(name), light(back))]))
            .filter(([, value]) => !(value >= 3))
            .map(([pair, value]) => `${pair}: ${value.toFixed(2)}`);
    });
    ok(low.length === 0, `${what}: shapes stand out`, low.join(', '));
}


// nothing is wider than the window, at any of these widths

export async function fits(page, what, widths = [320, 375, 480, 768, 1019,
                                                 1020, 1280, 1920]) {
    const before = page.viewportSize();

    for (const width of widths) {
        await page.setViewportSize({ width, height: 800 });
        await sleep(100);
        const wide = await page.evaluate(() => {
            const most = document.documentElement.clientWidth;
            const beyond = [...document.querySelectorAll('body *')].filter(
                (node) => !node.closest('.unseen, svg, nav a')
                          && node.getBoundingClientRect().right > most + 1);

            return document.documentElement.scrollWidth > most
                   || beyond.length > 0
                ? [`${document.documentElement.scrollWidth} > ${most}`,
                   ...beyond.slice(0, 3).map((node) => node.outerHTML
                                                         .slice(0, 80))]
                : [];
        });
        ok(wide.length === 0, `${what}: fits ${width} px`, wide.join(' '));
        await clipped(page, `${what}, ${width} px`);
    }
    await page.setViewportSize(before);
}


// no text runs out of its box or over its neighbour

async function clipped(page, what) {
    const found = await page.evaluate(() =>
        [...document.querySelectorAll('td, th, dd, dt, button, b, .scale')]
            .filter((node) => node.offsetParent !== null
                              && !node.matches('.unseen')
                              && node.scrollWidth > node.clientWidth + 1
                              && getComputedStyle(node).display !== 'inline')
            .map((node) => node.outerHTML.slice(0, 90)));
    ok(found.length === 0, `${what}: no text is too long for its place`,
       found.slice(0, 3).join(' '));
}


// how far things have moved in some seconds, as browsers count it

export async function steady(page, what, seconds = 6) {
    const score = await page.evaluate((ms) => new Promise((done) => {
        let sum = 0;
        const observer = new PerformanceObserver((list) => {
            for (const one of list.getEntries()) {
                sum += one.value;
            }
        });
        observer.observe({ type: 'layout-shift' });
        setTimeout(() => {
            observer.disconnect();
            done(sum);
        }, ms);
    }), seconds * 1000);
    ok(score < 0.01, `${what}: nothing moves`, `layout shift ${score}`);
}

"""Whether PostgreSQL answers the module's statements by the plans expected.

    plans.py check CONNINFO TOOL [NAME ...]
    plans.py time CONNINFO TOOL [NAME ...]
    plans.py prove CONNINFO TOOL [NAME ...]

TOOL is build/tools/statements.  check prepares every text the module can send,
then compares t/plans/NAME.expected, all or those named; time also shows what
each costs the backend in CPU, as its best of three.  prove drops each idx_sf_
index, in a transaction that is rolled back: what names it must fail,
and something must become worse than by the name alone.

A .expected file has lines "word: value", a word in several if need be:

    send       ENDPOINT KIND [QUERYSTRING] [id=N] [user=N]
    index      names that the plan must contain
    buffers    pages of 8 KB that it may touch
    sort       Sort nodes allowed (0)
    seq        tables that may be read whole
    lane       when it is not that of the statement (deep pages)
    generic    no: the plan without values is not checked
    time       microseconds of the backend that are aimed at; not a test

A statement of the read lane must keep its bounds both as the pool sees it
after six executions and by the generic plan, which the pool may be given at
any time.  The lanes of totals and of heavy statements ask for plans
made of the values.
"""

import glob
import json
import os
import subprocess
import sys

from libpq import Failed, Session

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = ('send', 'index', 'buffers', 'sort', 'seq', 'lane', 'generic', 'time')
EXECUTIONS = 6
HEAVY = ('totals', 'heavy')
MEASURE = 0.15      # seconds


def tool(path, *args):
    return json.loads(subprocess.run([path, *args], check=True, timeout=60,
                                     stdout=subprocess.PIPE).stdout)


class Expected:

    def __init__(self, path, tool_path, lanes):
        self.name = os.path.basename(path)[:-len('.expected')]
        words = {}

        with open(path, encoding='utf-8') as f:
            for line in f:
                line = line.strip()
                if line and not line.startswith('#'):
                    word, _, value = line.partition(':')
                    if word not in WORDS:
                        raise SystemExit(f'{path}: no such word: {word}')
                    words[word] = f'{words.get(word, "")} {value}'.strip()

        send = words['send'].split()
        self.statement = tool(tool_path, 'show', *send)
        self.lane = words.get('lane', lanes[send[0], send[1]])
        self.index = set(words.get('index', '').split())
        self.buffers = int(words['buffers'])
        self.sort = int(words.get('sort', 0))
        self.seq = set(words.get('seq', '').split())
        self.generic = self.lane not in HEAVY and words.get('generic') != 'no'
        self.time = words.get('time', '')


class Plan:

    def __init__(self, explained):
        self.json = json.loads(explained)[0]
        self.nodes, self.index, self.seq, self.sorts = [], set(), set(), 0
        self.walk(self.json['Plan'])

        root = self.json['Plan']
        self.buffers = root['Shared Hit Blocks'] + root['Shared Read Blocks']
        self.time = self.json['Execution Time']

    def walk(self, node):
        kind = node['Node Type']
        self.nodes.append(kind)

        if 'Index Name' in node:
            self.index.add(node['Index Name'])

        if kind in ('Seq Scan', 'Sample Scan'):
            self.seq.add(node['Relation Name'])

        if kind in ('Sort', 'Incremental Sort'):
            self.sorts += 1

        for child in node.get('Plans', []):
            self.walk(child)

    def faults(self, want):
        return [f'does not use {name}'
                for name in sorted(want.index - self.index)] + self.worse(want)

    def worse(self, want):
        faults = [f'reads all of {name}'
                  for name in sorted(self.seq - want.seq)]

        if self.sorts > want.sort:
            faults.append(f'sorts {self.sorts} times, not {want.sort}')

        if self.buffers > want.buffers:
            faults.append(f'touches {self.buffers} pages, '
                          f'not {want.buffers} at most')

        return faults


def literal(value):
    return "'" + value.replace("'", "''") + "'"


def explain(session, name, values, analyze='ANALYZE, BUFFERS'):
    """EXPLAIN of a statement that is prepared, as its next execution"""
    given = ', '.join(literal(v) for v in values)
    given = f'({given})' if given else ''
    off = 'standard_conforming_strings'

    assert session.sql(f'SHOW {off}')[0][0] == 'on'

    rows = session.sql(f'EXPLAIN ({analyze}, TIMING OFF, FORMAT JSON) '
                       f'EXECUTE {name}{given}')

    return Plan(rows[0][0])


def plans(session, want):
    """the pool's plan, and the generic one if that is checked"""
    text, values = want.statement['text'], want.statement['values']

    session.prepare('p', text)

    try:
        for _ in range(EXECUTIONS if want.lane not in HEAVY else 1):
            session.execute('p', values)

        found = [('', explain(session, 'p', values))]

        if want.generic and values:
            session.sql('SET plan_cache_mode = force_generic_plan')
            found.append((', generic', explain(session, 'p', values)))
            session.sql('RESET plan_cache_mode')

        return found

    finally:
        session.sql('DEALLOCATE p')


def measure(session, want, milliseconds):
    """microseconds of CPU that an execution costs the backend"""
    text, values = want.statement['text'], want.statement['values']
    times = int(MEASURE * 1000 / max(milliseconds, 0.02))
    times = max(16, min(4096, times)) if milliseconds < 100 else 1

    session.prepare('m', text)
    session.repeat('m', values, min(times, 32), min(times, 16))

    best = None

    for _ in range(3 if milliseconds < 100 else 1):
        before = session.cpu()
        session.repeat('m', values, times, min(times, 16))
        spent = (session.cpu() - before) / 1000 / (-(-times // 16) * 16
                                                   if times > 1 else 1)
        best = spent if best is None else min(best, spent)

    session.sql('DEALLOCATE m')

    return best


class Tap:

    def __init__(self):
        self.passed = self.failed = 0

    def ok(self, good, text, faults=()):
        self.passed += bool(good)
        self.failed += not good

        if not good:
            print(f'not ok - {text}')
            for fault in faults:
                print(f'# {fault}')


def prepare_all(sessions, tool_path, tap):
    """Where the module does not know the columns before the first result, all
    texts of a statement have to have the same number of them."""
    known = {}

    for variant in tool(tool_path, 'variants'):
        session = sessions[variant['lane']]
        where = '{endpoint} {kind} {id}'.format(**variant)

        try:
            session.prepare('v', variant['text'])
            found = session.describe('v')
            session.sql('DEALLOCATE v')
            columns = variant['columns'] or known.setdefault(
                (variant['endpoint'], variant['kind']), found[1] or None)
            tap.ok(found == (variant['nvalues'], columns),
                   f'{where}: has {found} parameters and columns',
                   [variant['text']])
        except Failed as error:
            tap.ok(False, f'{where} does not parse',
                   [str(error), variant['text']])


def check(sessions, wants, tool_path, tap, timed):
    prepare_all(sessions, tool_path, tap)
    print(f'{tap.passed} of {tap.passed + tap.failed} texts parse\n')
    print(f'{"statement":30} {"pages":>7} {"of":>7}'
          + (f' {"us":>9} {"aim":>6}' if timed else ''))

    for want in wants:
        session = sessions[want.lane]

        try:
            found = plans(session, want)
        except Failed as error:
            tap.ok(False, f'{want.name} fails', [str(error)])
            continue

        line = f'{want.name:30} {found[0][1].buffers:7} {want.buffers:7}'

        if timed:
            spent = measure(session, want, found[0][1].time)
            line += f' {spent:9.1f} {want.time:>6}'
            if want.time and spent > int(want.time):
                line += ' over'

        print(line)

        for which, plan in found:
            faults = plan.faults(want)
            nodes = ' < '.join(plan.nodes)
            indexes = ' '.join(sorted(plan.index))
            tap.ok(not faults, want.name + which,
                   faults + [nodes, indexes] if faults else [])


def pages(found):
    return max(plan.buffers for _, plan in found)


def without(session, name, want):
    session.sql('BEGIN READ WRITE')

    try:
        session.sql(f'DROP INDEX {name}')
        return plans(session, want)
    finally:
        session.sql('ROLLBACK')


def prove(sessions, wants, tap):
    names = sessions['read'].sql("SELECT indexname FROM pg_indexes "
                                 "WHERE indexname LIKE 'idx\\_sf\\_%' "
                                 "ORDER BY 1")

    print(f'{"without":30} {"statement":28} {"pages":>7} {"sorts":>5}')

    for name, in names:
        lost = False

        for want in wants:
            if name not in want.index:
                continue

            session = sessions[want.lane]
            before = plans(session, want)
            after = without(session, name, want)
            worse = [fault for _, plan in after for fault in plan.worse(want)]
            lost = lost or worse

            print(f'{name:30} {want.name:28} {pages(after):7} '
                  f'{max(plan.sorts for _, plan in after):5}   '
                  f'instead of {pages(before)}'
                  + ('' if worse else ', within bounds'))

            tap.ok(any(plan.faults(want) for _, plan in after),
                   f'{want.name} passes without {name}')

        tap.ok(lost, f'nothing is worse without {name}')


def main():
    action, conninfo, tool_path = sys.argv[1:4]
    lanes = {(s['endpoint'], s['kind']): s['lane']
             for s in tool(tool_path, 'list')}
    options = tool(tool_path, 'session')
    sessions = {lane: Session(conninfo, words)
                for lane, words in options.items()}

    names = sys.argv[4:] or ['*']
    paths = [path for name in names
             for path in sorted(glob.glob(f'{HERE}/{name}.expected'))]
    wants = [Expected(path, tool_path, lanes) for path in paths]

    tap = Tap()
    if action == 'prove':
        prove(sessions, wants, tap)
    else:
        check(sessions, wants, tool_path, tap, action == 'time')

    tap.ok(wants, 'nothing is expected')
    print(f'{tap.passed} passed, {tap.failed} failed')
    sys.exit(tap.failed > 0)


main()

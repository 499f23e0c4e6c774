#!/usr/bin/env python3.11
#
# Makes param.txt: what Python makes of query strings, for t/unit/param.c.
# A line: kind, query string in hex, answer in hex.  Version 3.11 is the
# original's; its datetime.fromisoformat() decides what a date is.

import datetime
import html
import os
import random
import re
import urllib.parse

here = os.path.dirname(os.path.abspath(__file__))
random.seed(3)

NOW = datetime.date(2026, 2, 26)
INT64 = 2 ** 63
MAX_ROWS = 2 ** 31 - 1
cases = []


def case(kind, query, answer):
    line = f'{kind} [{query.encode().hex()}] [{answer.encode().hex()}]'
    if line not in cases:
        cases.append(line)


def quote(text):
    return urllib.parse.quote_plus(text, errors='surrogateescape')


def as_int(text, default):
    try:
        return max(-INT64, min(INT64 - 1, int(text)))
    except (TypeError, ValueError):
        return default


# dates: the date part, else 30 days before today

def date(text):
    try:
        day = datetime.datetime.fromisoformat(text).date()
    except ValueError:
        day = NOW - datetime.timedelta(30)
    case('date', 'd=' + quote(text), f'd={day}')


days = [datetime.date(y, m, d) for y in (1, 4, 100, 400, 1600, 1899, 1900,
                                         1970, 2000, 2023, 2024, 2100, 9999)
        for m, d in ((1, 1), (2, 28), (3, 1), (12, 31))]
days += [datetime.date(y, 2, 29) for y in (4, 400, 1996, 2000, 2024, 9996)]
days += [datetime.date.fromordinal(random.randint(1, 3652059))
         for _ in range(300)]

for day in days:
    date(day.isoformat())
    date(day.strftime('%Y%m%d').zfill(8))

for year in ('0000', '1900', '2023', '2024', '2100', '2400'):
    for rest in ('-02-29', '-02-30', '-00-10', '-13-01', '-04-31', '-04-00',
                 '-01-32', '-1-01', '-01-1', '0229', '0431', '1301', '-0101',
                 '01-01', '', '-01', '-', '-01-', '-060', '060'):
        date(year + rest)

for time in ('T00:00', ' 10:11:12', 'T10', 'T10:11:12.5', 'T10:11:12.123456',
             'T10:11:12,1234567', 'Z10:11', 'T10:11Z', 'T10:11:12+09:00',
             'T10:11:12-00:30', 'T101112', 'x10:11', 'T23:59:59.999999Z'):
    date('2024-02-29' + time)

for time in ('T10', 'T1011', 'T101112', 'T101112Z', 'T10:11:12'):
    date('20240229' + time)

for text in ('', ' ', 'today', '2024', '2024-1-1', '24-01-01', '2024/01/01',
             '01-01-2024', ' 2024-01-01', '+024-01-01', '-024-01-01',
             '2024-0a-01', '2024-01-0x', '1_24-01-01', '２０２４-01-01',
             '2024-01-01\n'[:-1], '99999-01-01', '2024-12', 'NaT'):
    date(text)


# lists: stripped, empty ones dropped, none left: the text is the only item

def items(text):
    if text == '':
        return ''
    found = [s.strip() for s in text.split(',') if s.strip()]
    if len(found) < 2:
        return 'one=' + (found[0] if found else text)
    return 'l={' + ','.join(
        '"' + s.replace('\\', '\\\\').replace('"', '\\"') + '"'
        for s in found) + '}'


alphabet = ['a', 'b', 'revu', ',', ',', ' ', '\t', '"', '\\', '{', '}',
            'NULL', '가', '\u3000', '\x1c', '\xa0', "'", '\u200b']
texts = ['', ',', ' ', ',,', ' , ', 'a', ' a ', 'a,', ',a', 'a,b', ' a , b ',
         'a,,b', '"', '\\', '"a","b"', '{a,b}', 'NULL,null', 'a"b\\c,d']
texts += [''.join(random.choice(alphabet) for _ in range(
    random.randint(1, 9))) for _ in range(400)]

for text in texts:
    case('list', 'l=' + quote(text), items(text))


# search: contract 3.2 and rule 3 of 3.0

SQL = [re.compile(p, re.I | re.M) for p in (
    r"['\"]\s*(?:or|and)\s.*=",
    r';\s*(?:drop|delete|update|insert|alter|create)\s',
    r'union\s+(?:all\s+)?select', r'--\s*$', r'/\*(?s:.*?)\*/')]


def search(text):
    text = text.strip()
    if len(text) < 2:
        return '400 Search keyword must be at least 2 characters'
    if len(text) > 100:
        return '400 Search keyword must be 100 characters or less'
    if any(p.search(text) for p in SQL):
        return '400 Invalid search keyword'
    text = html.escape(text).replace('%', '\\%').replace('_', '\\_')
    return f'q=%{text}%'


words = ["'", '"', ' ', ' or ', 'OR', ' and 1', '=', ';', 'drop ', 'Delete ',
         'union ', 'all ', 'SELECT', '--', '\n', '/*', '*/', 'x', 'a_b', '%',
         '<b>', '&amp;', '\\', '가나', '🌻', '\u3000', 'selector', '- -']
texts = ['', ' ', 'a', ' a ', 'ab', ' ab ', '가', '가나', 'a' * 100, 'a' * 101,
         '가' * 100, '가' * 101, ' ' + '🌻' * 100 + ' ', '&<>"\'', "O'Brien",
         '100%', 'a_b', '\\', '\\%', 'a\\', "' or 1=1", "'or 1=1", "'  OR x=",
         "' or\n1=1", "'or1=1", '; drop table', ';drop', ';\nDROP\n', 'a--',
         'a-- ', 'a--b', 'a--\nb', '/* x */', '/* x', '/*\n*/', 'x */',
         'union select', 'UNION  ALL  SELECT', 'unionselect', 'reunion select']
texts += [''.join(random.choice(words) for _ in range(random.randint(1, 6)))
          for _ in range(500)]

for text in texts:
    case('search', 'q=' + quote(text), search(text))


# pages: default size 20, alias limit, at most 500

def page(query):
    given = {}
    for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        given.setdefault(key, value)

    number = as_int(given.get('page'), 1)
    size = as_int(given.get('per_page'), as_int(given.get('limit'), 20))
    if number < 1 or size < 1:
        return '404 Not found'
    size = min(size, 500)
    if number > 1 and number - 1 > MAX_ROWS // size:
        return '404 Not found'
    first = ' first' if number == 1 and size == 20 else ''
    return f'page {number} size {size} offset {(number - 1) * size}{first}'


numbers = ['', '0', '1', '2', '3', '19', '20', '21', '499', '500', '501', '-1',
           '1.5', 'x', ' 7 ', '+2', '0_2', '٢', '1e3', '4294967', '4294968',
           '2147483647', '2147483648', '107374182', '107374183', '107374184',
           '9223372036854775807', '9223372036854775808', '-9223372036854775809']

for one in numbers:
    case('page', f'page={quote(one)}', page(f'page={quote(one)}'))
    for key in ('per_page', 'limit'):
        case('page', f'{key}={quote(one)}', page(f'{key}={quote(one)}'))

for _ in range(400):
    parts = [f'{key}={quote(random.choice(numbers))}' for key in random.choices(
        ('page', 'per_page', 'limit'), k=random.randint(1, 4))]
    case('page', '&'.join(parts), page('&'.join(parts)))


# integers as filter (0: not applied), with a default of 30, and strict in
# -3660 .. 3660, echoed as given

for text in numbers[:-1] + ['30', '-30', '3660', '3661', '-3660', '-3661',
                            ' 30\n', '-0', '00', '--1', '٣٠']:
    value = as_int(text, None)
    case('int', 'i=' + quote(text), f'i={value}' if value else '')
    case('int_default', 'i=' + quote(text),
         f'i={30 if value is None else value}')
    good = value is not None and -3660 <= value <= 3660
    echo = f'({text})' if good and text != str(value) else ''
    case('int_strict', 'i=' + quote(text),
         f'i={value}{echo}' if good else '400 Invalid i')


# decoding; a run of bytes that are not UTF-8 is one byte here, since Python
# takes the start of a broken character for one

for query in ('s=a', 's=', 's', '', '&', '&&s=a&&', 's=a&s=b', 's=&s=b', 'S=a',
              '%73=a', 's%20=a', 's=a%26b', 's=a=b', 's==', '=s', '=', 's=+',
              's=%2B', 's=a+b%20c', 's=%', 's=%4', 's=%4g', 's=%g4', 's=%%41',
              's=%2541', 's=%C3%A9', 's=%c3%a9', 's=é', 's=%FF', 's=%80',
              's=a%C3', 's=%C3a', 's=%C0%AF', 's=%E2%82%AC', 's=%F0%9F%8C%BB',
              's=%FFa%FE', 's=%F5%80', 's;s=a', 's=a;b', 's=%0A%0D%09%7F',
              'x=1&s=2&x=3', '+s=a', 's+=a', 's=a#b', "s='\"<>&", 's=\\'):
    found = [v for k, v in urllib.parse.parse_qsl(
        query, keep_blank_values=True, errors='replace') if k == 's']
    case('string', query, f's={found[0]}' if found and found[0] else '')

with open(os.path.join(here, 'param.txt'), 'w', encoding='ascii') as f:
    f.write('# made by param.py: <kind> <query in hex> <answer in hex>\n')
    f.write('\n'.join(cases) + '\n')

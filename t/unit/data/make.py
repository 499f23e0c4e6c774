#!/usr/bin/env python3.11
#
# Writes int.txt and float.txt beside itself: what Python's int(), repr() and
# round(x, 2) say, for t/unit/number.c.  Unicode 14, so exactly python3.11.

import os
import random
import struct
import unicodedata

assert unicodedata.unidata_version == '14.0.0'
random.seed(2026)
here = os.path.dirname(os.path.abspath(__file__))

digits = [chr(c) for c in range(0x110000)
          if unicodedata.category(chr(c)) == 'Nd']
spaces = [chr(c) for c in range(0x110000) if chr(c).isspace()]
alphabet = ['0', '1', '9', '_', '-', '+', ' ', '\t', '.', 'e', 'x', '\0',
            '\u200b', '\ufeff', '\u2212', '\U0001f600', '\u00b2', '\u4e00']

texts = ['', ' ', '0', '-0', '+0', '7', '-7', '+7', ' 7 ', '\t7\n', '1 2',
         '- 7', '--7', '+-7', '_7', '7_', '7__7', '7_7', '-_7', '1_000_000',
         '007', '0_0', '1.5', '1e3', '0x10', '0b1', '0o7', 'abc', 'nan',
         '9223372036854775807', '9223372036854775808', '-9223372036854775808',
         '-9223372036854775809', '9223372036854775806',
         '99999999999999999999999999', '-99999999999999999999999999',
         '18446744073709551617', '2147483648', '00000000000000000000000001',
         '7\0', '\x007', '7\x1f', '\x1c7', '\x1c\u0667', '\x857\xa0',
         '\u30007\u2003', '\u0663', '\u0661\u0662', '\uff11\uff12_\uff13',
         '-\u0667', '\u2007\u0667', '\U0001d7ce\U0001d7d9', '\u00b27']
texts += digits
texts += [s + '7' + s for s in spaces]
for _ in range(600):
    texts.append(''.join(random.choice(random.choice(
        [alphabet, alphabet[:6], digits, spaces]))
        for _ in range(random.randint(1, 6))))

with open(os.path.join(here, 'int.txt'), 'w') as f:
    f.write('# made by make.py: <UTF-8 in hex> <int(), within int64, or no>\n')
    for text in texts:
        try:
            value = max(-2**63, min(2**63 - 1, int(text)))
        except ValueError:
            value = 'no'
        f.write(f'[{text.encode().hex()}] {value}\n')

values = [0.0, -0.0, 1.0, -1.5, 0.1, 0.2, 0.3, 0.1 + 0.2, 1 / 3, 2 / 3, 12.0,
          100.0, 1e22, 1e23, 1e21, 123456789012345680.0, 9007199254740993.0,
          9999999999999998.0, 1e15, 1e16, 9.999999999999999e15, 1e-4, 1e-5,
          9.999e-5, 0.00012345, 5e-324, 2.2250738585072014e-308,
          2.225073858507201e-308, 1.7976931348623157e308, 4.35, 0.285, 1.005,
          2.675, 0.125, 0.375, 0.005, 0.015, 0.025, 1e11, 99999999999.9999,
          99999999999.99995, 100000000000.0001, 4503599627370495.5,
          4503599627370496.0, 1e300, 0.045, 8.345, 1234.5678, 1234.56785]
values += [2.0 ** e for e in range(-1074, 1024, 3)]
values += [-(2.0 ** e) for e in range(-1022, 1024, 61)]
values += [n / 100 for n in random.sample(range(10**9), 60)]
values += [n / 1000 for n in random.sample(range(10**6), 60)]
values += [random.random() * 10 ** random.randint(-8, 18) for _ in range(200)]
values += [v for v in (struct.unpack('<d', random.randbytes(8))[0]
                       for _ in range(200)) if v - v == 0]
values += [struct.unpack('<d', struct.pack('<Q', random.getrandbits(
    random.randint(1, 52))))[0] for _ in range(60)]

with open(os.path.join(here, 'float.txt'), 'w') as f:
    f.write('# made by make.py: <bits> <repr(x)> <repr(round(x, 2))>\n')
    for value in values:
        bits = struct.unpack('<Q', struct.pack('<d', value))[0]
        f.write(f'{bits:016x} {value!r} {round(value, 2)!r}\n')

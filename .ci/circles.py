#!/usr/bin/env python3
"""circles.py: finds source files that know each other, also by way of others.

Reads them from standard input, without comments, each behind a line "@ PATH".
A file knows another one when it names a function or a variable that is the
other one's, be it in an inline function of a header that it calls.  Prints a
line for each set of files of which each knows all the others: the shortest
circle among them, with a name for each step.
"""

import collections
import re
import sys

FUNCTION = re.compile(r"^(?!static|typedef)[\w *]+\n(ngx_\w+)\(", re.M)
VARIABLE = re.compile(r"^(?!static|extern|typedef)[\w *]+?[ *](ngx_\w+)"
                      r"(?:\[[^\]\n]*\])*(?:\s*=|;)", re.M)
INLINE = re.compile(r"^static ngx_inline [\w *]+\n(ngx_\w+)\(.*?^}", re.M | re.S)
NAME = re.compile(r"\bngx_\w+")


def read(stream):
    """Texts by path."""
    texts = collections.defaultdict(list)

    for line in stream:
        if line.startswith("@ "):
            path = line[2:].strip()
            texts[path] = []
        else:
            texts[path].append(line)

    return {path: "".join(lines) for path, lines in texts.items()}


def known(texts):
    """For each file the others that it knows, with a name and its line."""
    owner = {name: path for path, text in texts.items()
             if path.endswith(".c")
             for rule in (FUNCTION, VARIABLE) for name in rule.findall(text)}
    inline = {m[1]: set(NAME.findall(m[0])) for path, text in texts.items()
              if path.endswith(".h") for m in INLINE.finditer(text)}
    arrows = {path: {} for path in texts if path.endswith(".c")}

    for path, others in arrows.items():
        for number, line in enumerate(texts[path].splitlines(), 1):
            for word in NAME.findall(line):
                for name in {word} | inline.get(word, set()):
                    other = owner.get(name, path)

                    if other != path:
                        others.setdefault(other, (name, number))

    return arrows


def way(arrows, start, end):
    """The shortest one from a file to another, both included."""
    before = {start: None}
    queue = collections.deque([start])

    while queue:
        path = queue.popleft()

        for other in sorted(arrows[path]):
            if other == end:
                steps = [end]

                while path:
                    steps.append(path)
                    path = before[path]

                return steps[::-1]

            if other not in before:
                before[other] = path
                queue.append(other)

    return None


def main():
    arrows = known(read(sys.stdin))
    circles = sorted((c for c in (way(arrows, p, p) for p in sorted(arrows))
                      if c), key=len)
    seen = set()

    for circle in circles:
        if seen & set(circle):
            continue

        # all that is on a circle with these files belongs to the same set

        seen |= {p for p in arrows if p == circle[0]
                 or (way(arrows, circle[0], p) and way(arrows, p, circle[0]))}
        steps = [f"{path} names {arrows[path][other][0]} of {other}"
                 for path, other in zip(circle, circle[1:])]
        line = arrows[circle[0]][circle[1]][1]
        print(f"{circle[0]}:{line}: is in a circle: {', '.join(steps)}")


main()

#!/usr/bin/env python3
"""circles.py: finds source files that know each other, also by way of others.

Reads them from standard input, without comments, each behind a line "@ PATH".
A file knows another one when it names a function or a variable that is the
other one's, be it in a macro or an inline function of a header that it uses,
or in what that uses.  Prints a line for each set of files of which each knows
all the others: the shortest circle among them, with a name for each step.

An argument is an order: the beginning of paths, and what of these follows it,
"." for nothing.  Each file knows those before it only; a line for each that
knows another, and for each that has no place.

circles.py --test: whether it sees each way to know another file.
"""

import collections
import re
import sys

DEFINE = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)((?:.*\\\n)*.*)")
DIRECTIVE = re.compile(r"^[ \t]*#(?:.*\\\n)*.*", re.M)
INITIAL = re.compile(r"=(?!=).*", re.S)
POINTER = re.compile(r"\(\s*\*\s*(?:const\s+)?(ngx_\w+)")
HEAD = re.compile(r"(ngx_\w+)\s*(?:\(|(?:\[[^]]*\]\s*)*$)")


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


def declarations(text):
    """What stands outside of all blocks: the part before the first brace or the
    semicolon, the whole, and whether it has a block."""
    text = DIRECTIVE.sub("", text)
    begin, depth, block = 0, 0, None

    for m in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'|[{};]', text):
        if m[0] == "{":
            depth += 1
            block = m.start() if block is None else block

        elif m[0] == "}":
            depth -= 1

        elif m[0] != ";":
            continue

        # a block that is no initial value and no type ends what it is of

        head = text[begin:m.start() if block is None else block]

        if depth == 0 and (m[0] == ";" or (m[0] == "}" and "(" in head
                                           and "=" not in head)):
            yield head.strip(), text[begin:m.end()], block is not None
            begin, block = m.end(), None


def defined(head, block):
    """The name that a declaration gives to a function or a variable, or None:
    it is a type, a prototype, or something that stands elsewhere."""
    words = re.findall(r"\w+", head)

    if not words or words[0] in ("typedef", "extern") or (
            words[0] in ("struct", "union", "enum") and len(words) < 3):
        return None

    head = INITIAL.sub("", head)
    m = POINTER.search(head)

    if m:
        return m[1]

    m = HEAD.search(head.strip())

    return m[1] if m and (block or "(" not in head) else None


def uses(texts):
    """For each macro and inline function of a header the names in it."""
    found = collections.defaultdict(set)

    for path, text in texts.items():
        if path.endswith(".h"):
            for m in DEFINE.finditer(text):
                found[m[1]] |= set(re.findall(r"\w+", m[2]))

            for head, whole, block in declarations(text):
                name = defined(head, block)

                if name and block:
                    found[name] |= set(re.findall(r"\w+", whole)) - {name}

    return found


def closed(word, found):
    """A name, and all that are in it, in what is in it, and so on."""
    names = {word}
    queue = [word]

    while queue:
        for name in found.get(queue.pop(), ()):
            if name not in names:
                names.add(name)
                queue.append(name)

    return names


def known(texts):
    """For each file the others that it knows, with a name and its line."""
    owner = {}

    for path, text in texts.items():
        if path.endswith(".c"):
            for head, _, block in declarations(text):
                name = defined(head, block)

                if name and "static" not in head.split():
                    owner[name] = path

    found = uses(texts)
    reach = {}
    arrows = {path: {} for path in texts if path.endswith(".c")}

    for path, others in arrows.items():
        for number, line in enumerate(texts[path].splitlines(), 1):
            for word in re.findall(r"\w+", line):
                if word not in reach:
                    reach[word] = sorted(closed(word, found) & owner.keys())

                for name in reach[word]:
                    if owner[name] != path:
                        others.setdefault(owner[name], (name, number))

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


def circles(arrows):
    """A line for each set of files that know each other."""
    found = sorted((c for c in (way(arrows, p, p) for p in sorted(arrows))
                    if c), key=len)
    seen = set()

    for circle in found:
        if seen & set(circle):
            continue

        # all that is on a circle with these files belongs to the same set

        seen |= {p for p in arrows if p == circle[0]
                 or (way(arrows, circle[0], p) and way(arrows, p, circle[0]))}
        steps = [f"{path} names {arrows[path][other][0]} of {other}"
                 for path, other in zip(circle, circle[1:])]
        line = arrows[circle[0]][circle[1]][1]
        yield f"{circle[0]}:{line}: is in a circle: {', '.join(steps)}"


def unordered(arrows, order):
    """A line for each file that does not keep to an order."""
    stem, *names = order.split()
    paths = [f"{stem}{'' if name == '.' else '_' + name}.c" for name in names]

    for path in sorted(arrows.keys() | set(paths)):
        if path in paths and path not in arrows:
            yield f"{path}:1: is missing"

        elif path.startswith(stem) and path not in paths:
            yield f"{path}:1: has no place in the order of {stem}"

    for place, path in enumerate(paths):
        for other in paths[place + 1:]:
            if other in arrows.get(path, ()):
                name, line = arrows[path][other]
                yield f"{path}:{line}: may not know {name} of {other}"


# how b.c has something: what b.c, a header and a.c say, and whether a.c knows
# b.c by it; b.c knows a.c always

FORMS = (
    ("int\nngx_b(int x)\n{\n}\n", "", "{ ngx_b(1); }", True),
    ("int ngx_b(int x)\n{\n}\n", "", "{ ngx_b(1); }", True),
    ("ngx_t *\nngx_b(void)\n{\n}\n", "", "{ ngx_b(); }", True),
    ("ngx_t  ngx_b;\n", "", "{ ngx_b = 1; }", True),
    ("const ngx_t  ngx_b[] = {\n    { 1, ngx_c(2) },\n};\n", "",
     "{ ngx_b[0]; }", True),
    ("const char *const\n    ngx_b[2][3]\n    = { 0 };\n", "",
     "{ ngx_b[0]; }", True),
    ("int (*ngx_b)(int x, int y);\n", "", "{ ngx_b(1, 2); }", True),
    ("ngx_t *(*ngx_b)(int x) = ngx_c;\n", "", "{ ngx_b(1); }", True),
    ("int\nngx_b(int x)\n{\n}\n", "#define ngx_m(x)  ngx_b(x)\n",
     "{ ngx_m(1); }", True),
    ("int\nngx_b(int x)\n{\n}\n", "#define NGX_M  \\\n    ngx_b(1)\n",
     "{ NGX_M; }", True),
    ("int\nngx_b(int x)\n{\n}\n",
     "#define ngx_m(x)  ngx_n(x)\n#define ngx_n(x)  ngx_b(x)\n",
     "{ ngx_m(1); }", True),
    ("int\nngx_b(int x)\n{\n}\n",
     "static ngx_inline int\nngx_i(int x)\n{\n    if (x) {\n    }\n"
     "    return ngx_b(x);\n}\n", "{ ngx_i(1); }", True),
    ("int\nngx_b(int x)\n{\n}\n",
     "static inline int ngx_i(int x) { return ngx_b(x); }\n",
     "{ ngx_i(1); }", True),
    ("int\nngx_b(int x)\n{\n}\n",
     "static ngx_inline int\nngx_i(int x)\n{\n    return ngx_j(x);\n}\n"
     "static ngx_inline int\nngx_j(int x)\n{\n    return ngx_m(x);\n}\n"
     "#define ngx_m(x)  ngx_b(x)\n", "{ ngx_i(1); }", True),
    ("static int\nngx_b(int x)\n{\n}\n", "", "{ ngx_b(1); }", False),
    ("static ngx_t  ngx_b = {\n    1\n};\n", "", "{ ngx_b; }", False),
    ("extern ngx_t  ngx_b;\n", "", "{ ngx_b; }", False),
    ("int ngx_b(int x,\n    int y);\n", "", "{ ngx_b(1, 2); }", False),
    ("typedef struct {\n    int  x;\n} ngx_b;\n", "", "{ ngx_b; }", False),
    ("struct ngx_b {\n    int  x;\n};\n", "", "{ struct ngx_b; }", False),
)


def test():
    """Exits with what it has not seen, or seen where there is nothing."""
    for text, header, body, wanted in FORMS:
        arrows = known({
            "a.c": "void\nngx_a(void)\n" + body + "\n", "h.h": header,
            "b.c": text + "\nstatic void\nngx_s(void)\n{\n    ngx_a();\n}\n"})

        if any(bool(found) != wanted for found in
               (list(circles(arrows)), arrows["a.c"])):
            sys.exit(f"circles.py:1: {'misses' if wanted else 'invents'} a "
                     f"circle: {header + text!r}")

    arrows = {"p.c": {"p_b.c": ("ngx_b", 7)}, "p_a.c": {}, "p_b.c": {}}

    for order, wanted in (("p a b .", 0), ("p . a b", 1), ("p b .", 1),
                          ("p a b c .", 1)):
        if len(list(unordered(arrows, order))) != wanted:
            sys.exit(f"circles.py:1: the order {order} has not {wanted} "
                     "findings")


def main():
    if sys.argv[1:] == ["--test"]:
        return test()

    arrows = known(read(sys.stdin))

    for order in sys.argv[1:]:
        for line in unordered(arrows, order):
            print(line)

    for line in circles(arrows):
        print(line)


main()

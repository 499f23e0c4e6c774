#!/usr/bin/env python3
"""What the manual says, beside what the module is: a part of make check-docs.

    docs.py DESCRIPTION         build/describe.json, see describe.sh

One line for each finding.  Compared are

    links           each leads to a page and a heading that there are, and so
                    does each "README, Heading" in the texts of the alerts and
                    each "Heading" that the source finds in the manual
    directives      contexts, defaults and bounds with the module's; the index
                    has each once, under its contexts; none is made up
    the pool        parameters of softfactory_pg_pool, in the table and in the
                    line "default"
    the sample      has the defaults, as it says
    settings        of the sessions, with what libpq is given in each lane
    keywords        that have another default than in libpq
    backends        the number of connections with the defaults
    endpoints       the table, with the declarations; directives of a block,
                    types and options of parameters, with the source
    log lines       each that is quoted is a format in the source, of that level
    errors          each text and status is in the source, and in the table
    files           src/README.md names each file of the source once
"""

import glob
import json
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
README = "README.md"
API = "conf/README.md"
DECLARED = "conf/api/README.md"
DATABASE = "conf/postgresql/README.md"
MAP = "src/README.md"
SAMPLE = "conf/softfactory.conf"
ALERTS = "conf/prometheus/softfactory.rules.yml"
MODULE = "ngx_http_softfactory_module.c"
BLOCKS = "src/conf/ngx_sf_endpoint_conf.c"

UNITS = {
    "number": {"": 1},
    "flag": {"off": 0, "on": 1},
    "size": {"": 1, "k": 1024, "m": 1024 * 1024},
    "ms": {"ms": 1, "s": 1000, "": 1000, "m": 60000, "h": 3600000},
    "s": {"s": 1, "": 1, "m": 60, "h": 3600},
}

LEVELS = {"EMERG": "emerg", "ALERT": "alert", "CRIT": "crit", "ERR": "error",
          "WARN": "warn", "NOTICE": "notice", "INFO": "info"}

ACCESS = {"ANYONE": "anyone", "ANONYMOUS": "open", "USER": "user"}

# those of nginx that the module answers by itself

STATUSES = {"BAD_REQUEST": "400", "UNAUTHORIZED": "401", "FORBIDDEN": "403",
            "NOT_FOUND": "404", "NOT_ALLOWED": "405",
            "PRECONDITION_FAILED": "412", "TOO_MANY_REQUESTS": "429",
            "INTERNAL_SERVER_ERROR": "500", "SERVICE_UNAVAILABLE": "503",
            "GATEWAY_TIME_OUT": "504"}

# of the timeouts in describe.sh, for the lane that has them

TIMEOUTS = {"1001": "timeout=", "1002": "heavy_timeout=",
            "1003": "write_timeout=", "1004": "lock_timeout="}

# the shortest text that tells one message from others

TELLING = 6


def read(path):
    with open(os.path.join(TOP, path)) as f:
        return f.read()


def pages():
    """All Markdown files."""
    found = []
    for folder, folders, files in os.walk(TOP):
        if folder == TOP:
            folders[:] = [name for name in folders
                          if name != "build" and not name.startswith(".git")]
        found += [os.path.relpath(os.path.join(folder, name), TOP)
                  for name in files if name.endswith(".md")]
    return sorted(found)


def prose(text):
    """The lines outside of fenced blocks; those inside are empty."""
    inside, out = False, []
    for line in text.split("\n"):
        fence = re.match(r" *```", line)
        inside ^= bool(fence)
        out.append("" if inside or fence else line)
    return out


def headings(page):
    return [m.group(1) for line in prose(read(page))
            for m in [re.match(r"#+ (.*)$", line)] if m]


def anchors(page):
    """As GitHub makes them: the second of a name ends in -1."""
    seen, found = {}, set()
    for title in headings(page):
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = seen.get(name, 0)
        found.add(name + ("-%d" % count if count else ""))
        seen[name] = count + 1
    return found


def section(page, title):
    """The lines below a heading, up to the next one that is no deeper."""
    depth, out = 0, []
    for line, plain in zip(read(page).split("\n"), prose(read(page))):
        m = re.match(r"(#+) (.*)$", plain)
        if m and depth and len(m.group(1)) <= depth:
            break
        if depth:
            out.append(line)
        elif m and m.group(2) == title:
            depth = len(m.group(1))
    return out


def tables(lines):
    """Tables: lists of rows, which are lists of cells; the first names them."""
    found, rows = [], []
    for line in list(lines) + [""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            found.append([rows[0]] + rows[2:])
            rows = []
    return found


def table(page, title, first):
    """The one whose first column has that name; no rows without it."""
    for rows in tables(section(page, title)):
        if rows[0][0] == first:
            return rows[1:]
    print('%s: no table of "%s" under "%s"' % (page, first, title))
    return []


def code(text):
    """What stands between backticks."""
    return re.findall(r"`([^`]*)`", text)


def number(text, kind):
    """A value as the configuration has it; None if it is none."""
    m = re.match(r"(-?\d*)([a-z]*)$", text)
    if not m or m.group(2) not in UNITS[kind]:
        return None
    return int(m.group(1) or 1) * UNITS[kind][m.group(2)]


def same(where, what, says, has):
    if says != has:
        print("%s: %s: the manual says %s, the module has %s"
              % (where, what, says, has))


# --- links ---

def links():
    known = {page: anchors(page) for page in pages()}
    for page in known:
        text = "\n".join(prose(read(page)))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            path = page
            if file:
                path = os.path.normpath(
                    os.path.join(os.path.dirname(page), file))
            if not os.path.exists(os.path.join(TOP, path)):
                print("%s: a link to %s, which is missing" % (page, target))
            elif anchor and anchor not in known.get(path, ()):
                print("%s: a link to %s, a heading that is missing"
                      % (page, target))


def alerts():
    """"conf/README, Errors" and the like, in texts that are folded; a second
    heading of that page may follow behind an "and"."""
    text = re.sub(r"\s+", " ", read(ALERTS))
    count = 0
    for m in re.finditer(r"((?:conf/)?(?:\w+/)?)README, ", text):
        page, rest = m.group(1) + README, text[m.end():]
        count += 1
        while rest:
            title = max([name for name in headings(page)
                         if re.match(re.escape(name) + r"\b", rest)],
                        key=len, default="")
            if not title:
                print('%s: %s has no heading "%s"'
                      % (ALERTS, page, rest[:30]))
            rest = rest[len(title):]
            more = re.match(r",? and (?=[A-Z])", rest) if title else None
            rest = rest[more.end():] if more else ""
    if count < 10:
        print("%s: only %d references to the manual" % (ALERTS, count))


def sections(known):
    """What the log names of the manual."""
    titles = {name for page in pages() for name in headings(page)}
    for text, _ in known:
        for title in re.findall(r'"([^"]*)" in the manual', text):
            if title not in titles:
                print('the source names "%s", a heading that is missing'
                      % title)


# --- directives ---

def line_of(name, key):
    for line in section(README, name):
        m = re.match(r"[-* ]*%s:[* ]*(.*)$" % key, line)
        if m:
            return m.group(1)
    return ""


def directive(it):
    name, where = it["name"], "%s: %s" % (README, it["name"])
    same(where, "context", line_of(name, "context").split(", "),
         it["contexts"])
    if not any(word.rstrip(";").split(" ")[0] == name
               for word in code(line_of(name, "syntax"))):
        print("%s: the line \"syntax\" does not begin with it" % where)
    if "kind" not in it:
        return
    says = code(line_of(name, "default"))
    value = says[0].rstrip(";").split(" ") if says else []
    same(where, "default", number(value[1], it["kind"])
         if len(value) > 1 and value[0] == name else None, it["default"])
    text = " ".join(section(README, name))
    for bound in ("min", "max"):
        if bound in it and it["kind"] != "flag" and not re.search(
                r"\b%d\b" % it[bound], text):
            print("%s: does not say its bound %d" % (where, it[bound]))


def index(directives):
    has = {}
    for cells in table(README, "Directives", "context"):
        for name in re.findall(r"\[(softfactory_\w+)\]", cells[1]):
            if name in has:
                print("%s: the index has %s twice" % (README, name))
            has[name] = code(cells[0])
    for it in directives:
        same(README, "index, context of " + it["name"],
             has.pop(it["name"], None), it["contexts"])
    for name in has:
        print("%s: the index has %s, which the module has not"
              % (README, name))


def sample(directives, params):
    text = read(SAMPLE)
    for it in directives:
        if "kind" in it:
            found = re.findall(r"^ *(?:# )?%s +(\w+)" % it["name"], text,
                               flags=re.M)
            for value in found:
                same(SAMPLE, it["name"], number(value, it["kind"]),
                     it["default"])
            if not found:
                print("%s: no value of %s" % (SAMPLE, it["name"]))
    pool = " ".join(re.findall(r"^ *softfactory_pg_pool (.*);", text,
                               flags=re.M))
    says = dict(re.findall(r"(\w+)=(\w+)", pool))
    for it in params:
        same(SAMPLE, it["name"], number(says.get(it["name"], "-"),
                                        it["kind"]), it["default"])


def made_up(description):
    known = [it["name"] for it in description["directives"]] \
        + ["$" + name for name in description["variables"]]
    for title in headings(README):
        if re.match(r"\$?softfactory_\w+$", title) and title not in known:
            print("%s: a section %s, which the module has not"
                  % (README, title))


# --- PostgreSQL ---

def pool(params):
    where = "%s: softfactory_pg_pool" % README
    says = {code(cells[0])[0]: cells[1:]
            for cells in table(README, "softfactory_pg_pool", "parameter")}
    line = dict(word.split("=") for word in re.findall(
        r"\w+=\w+", line_of("softfactory_pg_pool", "default")))
    for it in params:
        name, kind = it["name"], it["kind"]
        cells = says.pop(name, ["", ""])
        same(where, name, number(cells[0], kind), it["default"])
        same(where, name + " in the line \"default\"",
             number(line.pop(name, "-"), kind), it["default"])
        if kind != "flag":
            low, _, high = cells[1].partition("-")
            same(where, "range of " + name,
                 (number(low, kind), number(high, kind) if high else None),
                 (it["min"], it["max"] if high or it["max"] < 2 ** 31 - 1
                  else None))
    for name in list(says) + list(line):
        print("%s: a parameter %s, which the module has not" % (where, name))


def sessions(lanes):
    """{setting: value} of each lane."""
    found = {}
    for it in lanes:
        text = it["conninfo"]["options"].replace("\\ ", "\0")
        found[it["name"]] = {
            name: value.replace("\0", " ")
            for name, value in re.findall(r"-c (\w+)=(\S+)", text)}
    return found


def settings(lanes):
    where = "%s: Session settings" % DATABASE
    has = sessions(lanes)
    for cells in table(DATABASE, "Session settings", "setting"):
        name, value = code(cells[0])[0], code(cells[1])[0]
        names = list(has) if cells[2] == "all" else cells[2].split(", ")
        for lane in names:
            sent = has[lane].pop(name, None)
            same(where, "%s, lane %s" % (name, lane), value,
                 TIMEOUTS.get(sent, sent))
    for lane, left in has.items():
        for name in left:
            print("%s: %s of the lane %s is not in the table"
                  % (where, name, lane))


def keywords(lanes):
    where = "%s: The connection string" % DATABASE
    has = dict(lanes[0]["conninfo"])
    for name in ("user", "dbname", "options", "application_name",
                 "gssencmode", "client_encoding"):
        del has[name]
    for cells in tables(section(DATABASE, "The connection string"))[1][1:]:
        name = code(cells[0])[0]
        same(where, name, cells[1], has.pop(name, None))
    for name in has:
        print("%s: the default of %s is not in the table" % (where, name))


def backends(params, connections):
    """The formula: what a worker has with the defaults, and the example."""
    where = "%s: Number of connections" % DATABASE
    text = " ".join(section(DATABASE, "Number of connections"))
    formula = re.search(r"workers \* \(([^)]*)\) \+ 1", text)
    example = re.search(r"(\d+) workers that is (\d+), or (\d+)", text)
    if not formula or not example:
        print("%s: no formula, or no example" % where)
        return
    has = {it["name"]: it["default"] for it in params}
    per = sum(int(word) if word.isdigit() else has.get(word, 0)
              for word in formula.group(1).split(" + "))
    same(where, "connections of a worker", per, connections - 1)
    workers, all_of_them, twice = map(int, example.groups())
    same(where, "the example", (all_of_them, twice),
         (workers * per + 1, 2 * (workers * per + 1)))


# --- the API ---

def params_of(cell):
    """{name: what stands behind it} of `page`, `per_page` or `limit` (20)."""
    return dict(re.findall(r"`(\w+)`(?: or `\w+`)?(?: \(([^)]*)\))?", cell))


def endpoint(it, cells):
    """What anyone may ask is answered by a statement of the pool's own."""
    where = "%s: %s" % (API, it["name"])
    _, path, access, product, params, lane, ttl = cells
    same(where, "path", code(path)[0], it["path"])
    same(where, "access", access, ACCESS[it["access"]])
    same(where, "product", product, it.get("product", ""))
    same(where, "lane", lane,
         it.get("lane", "ping" if it["access"] == "ANYONE" else "-"))
    same(where, "ttl", ttl,
         "%ds" % it["ttl"] if "ttl" in it and "sql" in it else "-")
    has = [p for p in it["params"] if p["type"] not in ("ID", "LIST_ONE")]
    same(where, "parameters", sorted(code(params)),
         sorted(p[key] for p in has for key in ("name", "alias") if key in p))
    says = params_of(params)
    for p in has:
        if p["type"] == "PAGE_SIZE":
            same(where, p["name"], says.get(p["name"]), "%d" % p["number"]
                 + (", at most %d" % p["max"] if p["max"] else ""))


def endpoints(rows):
    says = {code(cells[0])[0]: cells
            for cells in table(API, "Endpoints", "name")}
    for it in rows:
        if it["name"] in says:
            endpoint(it, says.pop(it["name"]))
        else:
            print("%s: endpoint %s is not in the table" % (API, it["name"]))
    for name in says:
        print("%s: endpoint %s, which the module has not" % (API, name))


def first_words(title, column):
    """Of what stands between backticks in the first column: `get PATH`."""
    return [text.split(" ")[0] for cells in table(DECLARED, title, column)
            for text in code(cells[0])]


def blocks(directives):
    """What a block may have, what a parameter may be, and its options."""
    source = read(BLOCKS)
    words = re.search(r"ngx_sf_endpoint_conf_types\[\] = \{(.*?)\n\};", source,
                      flags=re.S).group(1)
    options = re.search(r"ngx_sf_endpoint_conf_option_list\[\] = \{(.*?)\n\};",
                        source, flags=re.S).group(1)
    for title, column, has in (
            ("Directives of a block", "directive",
             {it["name"] for it in directives
              if "endpoint" in it["contexts"]}),
            ("Users and roles", "directive",
             {it["name"] for it in directives
              if "principal" in it["contexts"]}),
            ("Parameters", "type", set(re.findall(r'\{ "(\w+)"', words))),
            ("Parameters", "option",
             {name + "=" for name in re.findall(r'\{ "(\w+)"', options)})):
        says = {re.sub(r"=.*", "=", word)
                for word in first_words(title, column)}
        same(DECLARED, title, sorted(says), sorted(has))


# --- what the source prints ---

STRING = r'"(?:[^"\\]|\\.)*"'
STRINGS = re.compile(r"%s(?:\s*(?:[A-Z_0-9]+\s*)?%s)*" % (STRING, STRING))
HOLE = re.compile(r"%[\d.*uxX]*[a-zA-Z]")

# a text in three parts, of which the one in the middle is a name: what is
# wrong with a value, which is 400

PARTS = re.compile(r"ngx_sf_param_wrong\(\w+,\s*(%s),\s*([^,;]+),\s*(%s)\)"
                   % (STRING, STRING))


def texts():
    """The source's texts, holes as NUL, each with the level before it."""
    found = []
    for path in [MODULE] + sorted(glob.glob("src/*/*.c", root_dir=TOP)):
        source = re.sub(r"(%s)|/\*.*?\*/|'(?:[^'\\]|\\.)+'" % STRING,
                        lambda m: m.group(1) or "", read(path), flags=re.S)
        found += [(before[1:-1] + "\0" + after[1:-1], None)
                  for before, name, after in PARTS.findall(source)
                  if name != '""']
        for m in STRINGS.finditer(source):
            text = re.sub(r'"\s*([A-Z_0-9]+)?\s*"',
                          lambda n: "%s" if n.group(1) else "",
                          m.group()[1:-1])
            text = re.sub(r"\\(.)", r"\1", text)
            before = source[:m.start()].rsplit(";", 1)[-1]
            level = re.findall(r"NGX_LOG_([A-Z]+)", before)
            found.append((HOLE.sub("\0", text),
                          LEVELS.get(level[-1]) if level else None))
    return found


def fits(text, line):
    """Whether the source's text can print the line, which ends in "..." where
    it goes on."""
    if line.endswith("..."):
        line = line[:-3].rstrip(" :")
        ends = range(len(text), 0, -1)
    else:
        ends = (len(text),)
    for end in ends:
        part = text[:end]
        if len(part.replace("\0", "")) < TELLING:
            return False
        if part != text and part.endswith("\0"):
            continue
        if re.fullmatch(".*?".join(map(re.escape, part.split("\0"))), line):
            return True
    return False


def quoted():
    """(page, level, line) of all log lines in the manual."""
    for page in pages():
        line = None
        for text in prose(read(page)) + [""]:
            m = re.match(r" {4,}(?:\[(\w+)\] )?(.*)$", text)
            if line and (not m or m.group(1)):
                yield (page,) + line
                line = None
            if m and m.group(1):
                line = m.groups()
            elif m and line:
                line = (line[0], line[1] + m.group(2))


def said(text, name, subject):
    """What a text says of an upstream, or None."""
    m = re.match(r'softfactory upstream "%s"(?:, %s)?: (.*)$'
                 % (name, subject), text, flags=re.S)
    return m.group(1) if m else None


def printed(known, line):
    """The levels of the texts that print this line.  Some print what another
    says of an upstream: there the words up to the next colon are such a text.
    """
    rest = said(line, r"\w+", r"[\w:.]+")
    if rest is None:
        return [level for text, level in known
                if text.startswith("softfactory") and fits(text, line)]
    what = rest.split(": ")[0]
    return [level for text, level in known
            if text == what or fits(said(text, "\0", "\0") or "", rest)]


def log_lines(known):
    count = 0
    for page, level, line in quoted():
        count += 1
        levels = printed(known, line)
        if not levels:
            print("%s: the source has no such line: %s" % (page, line))
        elif level not in levels and None not in levels:
            print("%s: the level is %s and not %s: %s"
                  % (page, levels[0], level, line))
    if count < 10:
        print("the manual has only %d log lines" % count)


def answered():
    """(status, text) of the errors that the source answers, holes as NUL: a
    status is followed by its text, which may be a macro, or in three parts."""
    found = set()
    for path in sorted(glob.glob("src/*/*.c", root_dir=TOP)):
        source = read(path)
        macros = dict(re.findall(r"#define +(\w+) +(%s)" % STRING, source))
        for m in re.finditer(
                r"NGX_HTTP_(%s),\s*(%s|\w+)(?:,\s*([^,;{}]+),\s*(%s)\))?"
                % ("|".join(STATUSES), STRING, STRING), source):
            status, before, name, after = m.groups()
            text = macros.get(before, before)
            if not re.search(r'^"[^a-z]*[a-z]', text):     # it is Allow
                continue
            text = text[1:-1]
            if name and name.strip() != '""':
                text += "\0" + after[1:-1]
            found.add((STATUSES[status], text))
        for before, name, after in PARTS.findall(source):
            text = before[1:-1]
            if name != '""':
                text += "\0" + after[1:-1]
            found.add(("400", text))
    return found


def declared():
    """(status, text) of the errors that the blocks of conf/api say."""
    found = set()
    for path in glob.glob("conf/api/*.conf", root_dir=TOP):
        for word, status, text in re.findall(
                r'^ *(missing|check|denied)\b(?: +\w+)??(?: +(\d+))?'
                r' +"([^"]*)";', read(path), flags=re.M):
            found.add((status or ("403" if word == "denied" else "404"),
                       text.replace("$role", "\0")))
    return found


def errors(known, own):
    known = known + [(text, None) for _, text in own]
    whole = [text for text, _ in known]
    has = answered()
    if len(has) < 20:
        print("the source has only %d errors" % len(has))
    table_has = {(cells[0], says) for cells in table(API, "Errors", "status")
                 for says in code(cells[1])}
    lines = {(status, re.sub(r"<\w+>|(?<= )\d+\b", "\0", says))
             for status, says in table_has}
    for status, says in sorted(table_has):
        line = re.sub(r"<\w+>", "x", says)
        if says not in whole and not any(
                "\0" in text and fits(text, line) for text in whole):
            print("%s: the source has no error \"%s\"" % (API, says))
    has |= own
    for status, text in sorted(has - lines):
        print("%s: the source answers %s \"%s\", which is not in the table"
              % (API, status, text.replace("\0", "<...>")))
    texts_of = {text for _, text in has}
    for status, text in sorted(lines - has):
        if text in texts_of:
            print("%s: the source does not answer \"%s\" with %s"
                  % (API, text.replace("\0", "<...>"), status))


def files():
    text = read(MAP)
    paths = [MODULE] + sorted(glob.glob("src/**/*.[ch]", root_dir=TOP,
                                        recursive=True))
    names = [os.path.basename(path) for path in paths]
    for name in names:
        count = text.count("`%s`" % name)
        if count != 1:
            print("%s: names %s %d times" % (MAP, name, count))
    for name in re.findall(r"`(ngx_\w+\.[ch])`", text):
        if name not in names:
            print("%s: names %s, which is missing" % (MAP, name))


def main():
    with open(sys.argv[1]) as f:
        description = json.load(f)
    known = texts()
    links()
    alerts()
    sections(known)
    inner = [it for it in description["directives"]
             if {"endpoint", "principal"} & set(it["contexts"])]
    outer = [it for it in description["directives"] if it not in inner]
    for it in outer:
        directive(it)
    index(outer)
    made_up(description)
    sample(outer, description["pool"])
    pool(description["pool"])
    settings(description["lanes"])
    keywords(description["lanes"])
    backends(description["pool"], description["connections"])
    endpoints(description["endpoints"])
    blocks(inner)
    log_lines(known)
    errors(known, declared())
    files()


if __name__ == "__main__":
    main()

"""nginx -t over every sample configuration and every nginx block of the
manuals, each in the context that it belongs in.  A failure is told with the
place of the block: file:line."""

import os
import re
import shutil

import blocks
import lib

# Which context a directive tells of, when it stands at the top of a block.
# Others may stand in several: the server's is taken.

CONTEXT = {
    "main": "load_module env user worker_processes error_log pid events http",
    "http": "softfactory_zone softfactory_listen_lease"
            " softfactory_listen_schema softfactory_endpoint"
            " softfactory_fragment softfactory_principal upstream server map geo"
            " log_format limit_req_zone limit_conn_zone",
    "upstream": "softfactory_pg softfactory_pg_pool softfactory_listen",
    "location": "softfactory_pass softfactory_purge softfactory_status"
                " softfactory_metrics softfactory_report softfactory_live"
                " proxy_set_header",
}

# What a block may speak of without saying what it is.

NAMED = (
    ("upstream primary", 'upstream primary {\n    server 127.0.0.1:5432;\n'
     '    softfactory_pg "dbname=softfactory user=app";\n}\n'),
    ("upstream replicas", 'upstream replicas {\n    server 127.0.0.1:5433;\n'
     '    softfactory_pg "dbname=softfactory user=app";\n}\n'),
    ("upstream direct", 'upstream direct {\n    server 127.0.0.1:5434;\n'
     '    softfactory_pg "dbname=softfactory user=app";\n}\n'),
    ("upstream app", "upstream app {\n    server 127.0.0.1:8000;\n}\n"),
    ("softfactory_zone", "softfactory_zone api 64m;\n"),
)

# The endpoints, for a block that neither includes them nor has its own; one is
# enough for a block that says who a user is, which is said once.

API = "include /usr/share/softfactory/api/*.conf;\n"
ONE = "softfactory_endpoint one {\n    get /api/one;\n    json '1';\n}\n"
DECLARED = re.compile(r"^ *(?:include \S*/api/|softfactory_endpoint \w+ \{)",
                      flags=re.M)
PRINCIPAL = re.compile(r"^ *softfactory_principal \{", flags=re.M)

LOAD = "load_module modules/%s;\n" % lib.MODULE


# what a sample shows in a comment, to be taken in

COMMENTED = re.compile(
    r"(?:softfactory_|proxy_|ssl_|set_real_)\w+ |(?:upstream|server|location|"
    r"listen|resolver|add_header|real_ip_header) ")


def commented(file):
    """The directives and blocks in the comments of a configuration."""
    found, text, start, depth = [], "", 0, 0
    for number, line in enumerate(read(file).split("\n"), 1):
        line = re.match(r" *# ?(.*)$", line)
        line = line.group(1) if line else ""
        bare = line.strip()
        if not text and not (COMMENTED.match(bare)
                             and re.search(r"[{;]$", bare)):
            continue
        start = start if text else number
        text += line + "\n"
        depth += line.count("{") - line.count("}")
        if depth == 0 and bare.endswith((";", "}")):
            if found and found[-1].line + found[-1].text.count("\n") == start:
                found[-1].text += text
            else:
                found.append(blocks.Block(file, start, "nginx", text, {}))
            text = ""
    return found


def top(text):
    """The directives at the top of a text, those of its blocks left out."""
    text = re.sub(r"(\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')|#[^\n]*",
                  lambda m: '""' if m.group(1) else "", text)
    depth, names, fresh = 0, [], True
    for token in re.findall(r"[^\s{};]+|[{};]", text):
        if token == "{":
            depth, fresh = depth + 1, True
        elif token == "}":
            depth, fresh = depth - 1, True
        elif token == ";":
            fresh = True
        else:
            if fresh and depth == 0:
                names.append(token)
            fresh = False
    return names


def context_of(block):
    given = block.marks.get("context")
    if given:
        return given
    if re.match(r" *server [^{]*;", block.text):
        return "upstream"
    names = set(top(block.text))
    for context, words in CONTEXT.items():
        if names & set(words.split()):
            return context
    return "server"


def indent(text):
    return "".join("    %s\n" % line if line else "\n"
                   for line in text.rstrip("\n").split("\n"))


def wrap(block):
    """A configuration with the block in it."""
    context, text = context_of(block), block.text

    if context == "main":
        if "load_module" not in text:
            text = LOAD + text
        if not re.search(r"^events\b", text, flags=re.M):
            text += "events {\n}\n"
        return text

    extra = "" if DECLARED.search(text) \
        else ONE if PRINCIPAL.search(text) else API
    if context == "location":
        text = "location /api/ {\n%s}\n" % indent(text)
    if context in ("location", "server"):
        if re.search(r"@app\b", text) and "location @app" not in text:
            text += "location @app {\n    proxy_pass http://app;\n}\n"
        if not re.search(r"location /(?:api/)? ", text):
            text += "location /api/ {\n    softfactory_pass primary;\n}\n"
        text = "server {\n    listen 9000;\n%s}\n" % indent(text)
    if context == "upstream":
        server = "" if "server " in text else "    server 127.0.0.1:5432;\n"
        if "softfactory_pg " not in text:
            server += '    softfactory_pg "dbname=softfactory user=app";\n'
        text = "upstream primary {\n%s%s}\n" % (server, indent(text))

    for name, definition in NAMED:
        if not re.search(r"\b%s\b" % name, text):
            extra += definition
    if not re.search(r"^ *server \{", text, flags=re.M):
        text += "server {\n    listen 9000;\n    location /api/ {\n" \
                "        softfactory_pass primary;\n    }\n}\n"

    return "%sevents {\n}\nhttp {\n%s}\n" % (LOAD, indent(extra + text))


def judge(results, what, status, said, refused=None):
    warned = re.search(r"\[(?:warn|error|crit|alert|emerg)\]", said)
    if refused is None:
        results.ok(status == 0 and not warned, "%s: nginx -t" % what, said)
    else:
        results.ok(status == 1 and refused in said,
                   "%s: nginx -t refuses it: %s" % (what, refused), said)


def read(path):
    with open(os.path.join(lib.TOP, path)) as f:
        return f.read()


def manuals(results, tree):
    count = 0
    for file in blocks.manuals():
        found, wrong = blocks.read(file)
        for text in wrong:
            results.ok(False, text)
        for block in found:
            if block.language != "nginx":
                continue
            count += 1
            tree.write("etc/nginx/nginx.conf",
                       tree.configuration(wrap(block)))
            judge(results, block.place, *tree.nginx("-t"),
                  block.marks.get("refused"))
    results.ok(count > 15, "the manuals have %d blocks" % count)


# the lines that a sample has for production only

def production(text):
    text = re.sub(r'("~\^http ")  0;   # production: 1', r"\1  1;", text)
    text = re.sub(r'# (https  "max-age)', r"\1", text)
    return re.sub(r"^( *)# ((?:listen 443|ssl_)[^\n]*;)$",
                  lambda m: m.group(1) + m.group(2).replace(
                      "443", "127.0.0.1:20443"), text, flags=re.M)


def comments(results, tree):
    count = 0
    for file in ("conf/softfactory.conf", "docker/etc/main.conf",
                 "docker/etc/http.conf", "docker/etc/server.conf"):
        for block in commented(file):
            if "[::]" in block.text and not has_ipv6():
                continue
            count += 1
            text = wrap(block)
            name = re.search(r"env:(\w+)", text)
            if name:
                text = "env %s;\n%s" % (name.group(1), text)
            for word in ("sf_connection", "sf_proto", "sf_bypass"):
                text = re.sub(r"^http \{\n", r"\g<0>    map $uri $%s {\n"
                              r"        default x;\n    }\n" % word, text,
                              count=1, flags=re.M)
            tree.write("etc/nginx/nginx.conf", tree.configuration(text))
            judge(results, block.place + " in a comment", *tree.nginx("-t"))
    results.ok(count > 10, "the samples have %d blocks in comments" % count)


def has_ipv6():
    try:
        with open("/proc/net/if_inet6") as f:
            return f.read() != ""
    except OSError:
        return False


def samples(results, tree):
    for name in ("softfactory.conf", "softfactory-minimal.conf"):
        text = read("conf/" + name)
        for kind, change in (("", str), (", production", production)):
            if change(text) == text and kind:
                continue
            tree.write("etc/nginx/nginx.conf",
                       tree.configuration(change(text)))
            judge(results, "conf/%s%s" % (name, kind), *tree.nginx("-t"))


def docker(results, tree):
    """The image's configuration, as it is and with what compose mounts."""
    tree.write("etc/nginx/operator.conf",
               tree.inside(read("docker/operator.conf")))
    tree.write("etc/nginx/nginx.conf",
               tree.configuration(read("docker/nginx.conf")))
    for kind, folders in (("docker", ("etc", "etc", "etc")),
                          ("docker/demo", ("etc", "demo", "demo"))):
        for folder, name in zip(folders, ("main", "http", "server")):
            text = read("docker/%s/%s.conf" % (folder, name))
            tree.write("etc/softfactory/%s.conf" % name, addresses(
                tree.inside(text)))
        judge(results, kind, *tree.nginx("-t"))


def addresses(text):
    return re.sub(r"\bserver postgres:", "server 192.0.2.9:", text)


# a new nginx of Debian has of these folders nothing but its default site

STOCK = ("nginx.conf", "mime.types", "sites-available/default")
FOLDERS = ("conf.d", "modules-enabled", "sites-available", "sites-enabled")


def stock(tree, port):
    """Debian's nginx, as it is installed, with its default site there."""
    shutil.rmtree(tree.at("etc/nginx"))
    for folder in FOLDERS:
        os.makedirs(tree.at("etc/nginx/" + folder))
    for name in STOCK:
        shutil.copy("/etc/nginx/" + name, tree.at("etc/nginx/" + name))
    tree.files()
    link(tree, "../sites-available/default", "sites-enabled/default")
    with open(tree.at("etc/nginx/sites-available/default")) as f:
        text = re.sub(r"^\s*listen \[::\].*$", "", f.read(), flags=re.M)
    tree.write("etc/nginx/sites-available/default", tree.inside(
        re.sub(r"\blisten 80\b", "listen 127.0.0.1:%d" % port, text)))
    with open(tree.at("etc/nginx/nginx.conf")) as f:
        tree.write("etc/nginx/nginx.conf", tree.configuration(f.read()))


def link(tree, target, path):
    os.symlink(target, tree.at("etc/nginx/" + path))


def site(results, tree):
    """The sample in two files, beside the default site."""
    stock(tree, 20080)
    share = tree.at("usr/share/softfactory/site")
    for name in ("conf.d/softfactory.conf", "sites-available/softfactory"):
        with open(os.path.join(share, name)) as f:
            tree.write("etc/nginx/" + name, tree.inside(f.read()))
    link(tree, "../sites-available/softfactory", "sites-enabled/softfactory")
    load = "mod-http-softfactory.conf"
    link(tree, tree.at("usr/share/nginx/modules-available/" + load),
         "modules-enabled/50-" + load)
    judge(results, "the site files in Debian's nginx.conf",
          *tree.nginx("-t"))


def main():
    results = lib.Results()
    tree = lib.Tree("syntax")
    manuals(results, tree)
    samples(results, tree)
    comments(results, tree)
    docker(results, tree)
    site(results, tree)
    results.end()


if __name__ == "__main__":
    main()

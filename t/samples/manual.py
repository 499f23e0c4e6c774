"""The commands of the manuals.

All pages but DEPLOYMENT.md: those that need only what `make run` serves are
given while it does.  DEPLOYMENT.md: all of them, in their order, to a machine that is played:
a nginx as Debian installs it, in a folder; a PostgreSQL of its own, whose
tables belong to the application's role; a stand-in for the application.  The
files and the programs are the real ones, but for those that act on the
machine (apt-get, service, sudo, chown), which shell functions stand for."""

import json
import os
import re
import signal
import subprocess

import blocks
import lib
import sample
import syntax

PG = lib.HOME + "-pg"
POSTGRES = os.path.join(lib.TOP, ".ci/postgres.sh")
PAGE = "DEPLOYMENT.md"
API = "conf/README.md"
DATABASE = "conf/postgresql/README.md"

# Who stands in for what acts on the machine.

FUNCTIONS = r"""
nginx() {
    command /usr/sbin/nginx -e stderr -p "$TREE/usr/share/nginx/" \
        -c "$TREE/etc/nginx/nginx.conf" "$@" 2>&1
}

pid_of() {
    cat "$TREE/run/nginx.pid${1:-}" 2> /dev/null
}

until_true() {
    local i
    for i in {1..200}; do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "not within 20 s: $*"
    return 1
}

upgraded() {
    [ -n "$(pid_of .oldbin)" ] && [ -n "$(pid_of)" ] &&
        [ "$(pid_of)" != "$1" ]
}

service() {
    local old
    old=$(pid_of)
    case $2 in
    reload)
        nginx -t -q && kill -HUP "$old"
        ;;
    upgrade)
        kill -USR2 "$old"
        until_true upgraded "$old"
        kill -QUIT "$old"
        until_true test ! -e "/proc/$old"
        ;;
    *)
        return 1
        ;;
    esac
}

apt-get() {
    local link=$TREE/etc/nginx/modules-enabled/50-mod-http-softfactory.conf
    case $1 in
    install)
        DESTDIR=$TREE .ci/deploy.sh install
        ln -sf "$TREE/usr/share/nginx/modules-available/${link##*/50-}" \
            "$link"
        ;;
    purge)
        rm "$link"
        DESTDIR=$TREE .ci/deploy.sh uninstall
        ;;
    *)
        return 1
        ;;
    esac
}

make() {
    [ "$*" = deb ]
}

sudo() {
    [ "$1" = -u ] || return 1
    PGUSER=$2 "${@:3}"
}

chown() {
    [ "$(id -u)" != 0 ] || command chown "$WORKERS" "${@:2}"
}
"""


def shell(text, env, seconds=60):
    return lib.run("bash", "-euo", "pipefail", "-c", text, cwd=lib.TOP,
                   env=dict(os.environ, **env), seconds=seconds)


def postgres(*args, seconds=120):
    status, said = lib.run(POSTGRES, *args, seconds=seconds)
    if status:
        raise RuntimeError("postgres.sh %s: %s" % (" ".join(args), said))
    return said


def database():
    """PG* of the database, and its port."""
    said = postgres("env", PG)
    place, port = (re.search(r"%s=(\S+)" % name, said).group(1)
                   for name in ("SF_TEST_PG_DIR", "SF_TEST_PG_PORT"))
    return {"PGHOST": place, "PGPORT": port}


def psql(sql, user="postgres"):
    status, said = lib.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U",
                           user, "-d", "softfactory", "-c", sql,
                           env=dict(os.environ, **database()))
    if status:
        raise RuntimeError(said)
    return said.strip()


def marked(results, block):
    """Whether a block is not to be run, and says why."""
    why = block.marks.get("not run")
    if why is not None:
        results.ok(len(why) > 20 or why == "likewise",
                   "%s: why it is not run: %s" % (block.place, why))
    return why is not None


# --- make run ---

class Demo:

    def __init__(self):
        self.port = lib.free_port()
        self.log = open(os.path.join(lib.HOME, "demo.log"), "w+")
        self.process = subprocess.Popen(
            [os.path.join(lib.TOP, ".ci/run-demo.sh")], cwd=lib.TOP,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=dict(os.environ, PORT=str(self.port), RUN_PG=PG,
                     RUN_DIR=os.path.join(lib.HOME, "demo")))
        lib.wait_for("make run serves", self.serves, 120)

    def said(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()

    def serves(self):
        if self.process.poll() is not None:
            raise RuntimeError("make run has ended: " + self.said())
        return "Stop:" in self.said()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise TimeoutError("make run does not end within 60 s")
        finally:
            self.log.close()


def tried(said):
    """The commands that make run tells to try."""
    text = said[said.index("To try:"):said.index("Live page:")]
    return re.sub(r"^    ", "", text.split("\n", 1)[1], flags=re.M)


def others(language):
    """The blocks of all pages but DEPLOYMENT.md."""
    return [block for file in blocks.manuals() if file != PAGE
            for block in blocks.read(file)[0] if block.language == language]


def commands(t):
    """The commands of the other pages, while make run serves."""
    demo = Demo()
    try:
        env = dict(database(), PGUSER="app")
        status, said = shell(re.sub(r"curl ", "curl -fsS ",
                                    tried(demo.said())), env)
        t.ok(status == 0, "what make run tells to try", said)
        found = [block for block in others("sh") if not marked(t, block)]
        for block in found:
            text = re.sub(r"\bcurl ", "curl -fsS ", block.text)
            text = text.replace("localhost:9000", "localhost:%d" % demo.port)
            text = text.replace(".ci/postgres.sh psql",
                                ".ci/postgres.sh psql '%s'" % PG)
            status, said = shell(FUNCTIONS + text, env)
            t.ok(status == 0, "%s: the commands" % block.place, said)
        t.ok(len(found) > 2, "they have %d blocks of commands" % len(found))
        first = lib.ask(demo.port, "/")
        t.ok(first.status == 302 and first.all("Location")[0].endswith(
            ":%d/softfactory/" % demo.port),
            "its address leads to the live page", repr(first))
    finally:
        demo.stop()


def statements(t):
    """Their SQL, in transactions that end without a trace; the channel is
    there."""
    status, said = lib.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-U",
                           "postgres", "-d", "softfactory", "-f",
                           "conf/postgresql/softfactory-tables.sql",
                           cwd=lib.TOP, env=dict(os.environ, **database()))
    t.ok(status == 0, "softfactory-tables.sql", said)
    found = others("sql")
    for block in found:
        status, said = lib.run(
            "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d",
            "softfactory", "-c", "BEGIN; CREATE TEMP TABLE pg_stat_statements"
            "(query text, calls bigint, total_exec_time float8);%s;ROLLBACK"
            % block.text, env=dict(os.environ, **database()))
        t.ok(status == 0, "%s: the SQL" % block.place, said)
    t.ok(len(found) > 5, "they have %d blocks of SQL" % len(found))


# --- in front of a running SoftFactory ---

class Application(sample.Application):
    """Answers one path as the module does."""

    def do_GET(self):
        if self.path == "/api/review/campaigns/1":
            self.answer(200, "application/json", Application.campaign)
        else:
            super().do_GET()

    campaign = b"{}"


class Machine:

    def __init__(self):
        self.tree = lib.Tree("manual")
        self.app = sample.Standin()
        self.app.RequestHandlerClass = Application
        self.port = lib.free_port()
        lib.run(os.path.join(lib.TOP, ".ci/deploy.sh"), "uninstall",
                env=dict(os.environ, DESTDIR=self.tree.path))
        syntax.stock(self.tree, lib.free_port())
        for name in ("softfactory.secret", "softfactory.secret.old",
                     "softfactory.pgpass"):
            os.unlink(self.tree.at("etc/nginx/" + name))
        self.database = database()
        self.server = lib.Server(self.tree).start()

    def text(self, text):
        """A block of the page, or a file of the package, for this machine."""
        text = self.tree.inside(text)
        for old, new in (("9000", self.port), ("8000", self.app.port),
                         ("5432", self.database["PGPORT"])):
            text = re.sub(r"\b%s\b" % old, str(new), text)
        return text.replace("/tmp/softfactory", self.tree.at("tmp/softfactory"))

    def packaged(self):
        for name in ("conf.d/softfactory.conf", "sites-available/softfactory"):
            name = "usr/share/softfactory/site/" + name
            with open(self.tree.at(name)) as f:
                text = self.text(f.read())
            self.tree.write(name, text)

    def run(self, block):
        if "127.0.0.1:$port$path" in block.text:
            Application.campaign = lib.ask(
                self.port, "/api/review/campaigns/1").body
        status, said = shell(
            FUNCTIONS + self.text(block.text), dict(
                self.database, TREE=self.tree.path,
                WORKERS=self.tree.user or "", PLATFORM_SECRET_KEY=lib.KEY,
                TOKEN=sample.jwt(1)["Authorization"].split()[1]))
        if "apt-get install" in block.text:
            self.packaged()
        return status, said

    def stop(self):
        self.server.stop()
        self.app.stop()


def owned_by_application():
    """The demo data as the application's: its role owns the tables, and
    nothing of the module is there."""
    env = dict(os.environ, PGUSER="postgres", PGDATABASE="softfactory",
               **database())
    for name in ("softfactory-remove", "event-trigger-remove"):
        status, said = lib.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f",
                               "conf/postgresql/%s.sql" % name, env=env,
                               cwd=lib.TOP)
        if status:
            raise RuntimeError(said)
    psql("DO $$ DECLARE i regclass; BEGIN FOR i IN SELECT oid FROM pg_class"
         " WHERE relkind = 'i' AND relname LIKE 'idx\\_sf\\_%' LOOP"
         " EXECUTE format('DROP INDEX %s', i); END LOOP; END $$")
    if psql("SELECT count(*) FROM pg_roles WHERE rolname = 'app'") == "1":
        psql("ALTER ROLE app RENAME TO softfactory")
    psql("DELETE FROM subscriptions WHERE user_id = 1")


def endpoints():
    """The paths of the manual's table."""
    found, _ = [], None
    with open(os.path.join(lib.TOP, API)) as f:
        for line in f:
            row = re.match(r"\| `\w+`[^|]*\| `(/[^`]*)` \|", line)
            if row:
                found.append(row.group(1).replace("{id}", "1"))
    return found


def granted(t, machine):
    """The role reads what all endpoints need, and the demo user's gates are
    open."""
    paths = endpoints()
    t.ok(len(paths) > 20, "the manual has endpoints: %d" % len(paths))
    for path in paths:
        if path == "/api/review/listings/search":
            path += "?q=ab"
        answer = lib.ask(machine.port, path, headers=sample.jwt(1))
        t.ok(answer.status == 200 or answer.status in (403, 404)
             and json.loads(answer.body)["error"] in (
                 "Not authorized", "Campaign not found", "Listing not found"),
             "by the grants: " + path, repr(answer))


def grants(file):
    """What a manual grants: the statements, on one line each."""
    text = "".join(block.text for block in blocks.read(file)[0])
    return sorted(re.sub(r"\s+", " ", grant) for grant in
                  re.findall(r"^GRANT [^;]*;", text, flags=re.M))


def nothing_left(t, machine):
    t.equal(psql("SELECT (SELECT count(*) FROM pg_trigger WHERE NOT"
                 " tgisinternal) + (SELECT count(*) FROM pg_event_trigger),"
                 " (SELECT count(*) FROM pg_class WHERE"
                 " relname LIKE 'idx\\_sf\\_%'), (SELECT count(*) FROM"
                 " pg_roles WHERE rolname = 'app')"), "0|0|0",
            "no trigger, index or role is left")
    left = [name for place in ("etc/nginx", "usr")
            for _, folders, files in os.walk(machine.tree.at(place))
            for name in folders + files if "softfactory" in name]
    t.equal(left, ["softfactory"], "of files only the site that is off")
    t.equal(machine.tree.nginx("-t")[0], 0, "nginx goes on without")


def page(t):
    owned_by_application()
    t.equal(grants(PAGE), grants(DATABASE), "both manuals grant the same")
    machine = Machine()
    count = 0
    try:
        for block in blocks.read(PAGE)[0]:
            if block.language != "sh" or marked(t, block):
                continue
            count += 1
            status, said = machine.run(block)
            if not t.ok(status == 0, "%s: the commands" % block.place, said):
                return
            if "INSERT INTO subscriptions" in block.text:
                granted(t, machine)
        t.ok(count > 20, "the page has %d blocks of commands" % count)
        nothing_left(t, machine)
    finally:
        machine.stop()
    t.equal(machine.server.complaints(), [], "the error log is quiet")


def main():
    t = lib.Results()
    os.makedirs(lib.HOME, exist_ok=True)
    postgres("remove", PG)
    try:
        commands(t)
        postgres("start", PG)
        owned_by_application()
        statements(t)
        page(t)
    finally:
        postgres("remove", PG)
    t.end()


main()

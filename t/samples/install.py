"""make install over the module that a running nginx has mapped, make
uninstall under it, and what they leave alone."""

import glob
import os

import lib

PATHS = ["/api/review/campaigns", "/api/review/campaigns/1", "/health"]
MODULE = "usr/lib/nginx/modules/" + lib.MODULE


def listing(tree):
    """All files but those that nginx makes while it runs."""
    found = []
    for folder, _, files in os.walk(tree.path):
        found += [os.path.relpath(os.path.join(folder, name), tree.path)
                  for name in files]
    return {name for name in found
            if not name.startswith(("var/", "run/", "tmp/"))}


def mapped(server):
    """The lines of the module in the maps of the master and its workers."""
    pid = server.pid()
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        children = [int(word) for word in f.read().split()]
    lines = []
    for process in [pid] + children:
        with open("/proc/%d/maps" % process) as f:
            lines += [line for line in f if lib.MODULE in line]
    return lines


def configuration(tree, port):
    with open(tree.at("usr/share/softfactory/nginx-minimal.conf")) as f:
        text = f.read()
    for old, new in (
            ("server 127.0.0.1:5432;",
             "server unix:%s;" % os.environ["SF_TEST_PG_SOCKET"]),
            ("listen 9000;", "listen 127.0.0.1:%d;" % port)):
        text = text.replace(old, new)
    return tree.configuration(
        "error_log /var/log/nginx/error.log notice;\nworker_processes 2;\n"
        + text)


def heads(t, tree):
    """The samples say at their heads what to change, and which files they
    need."""
    for name, file in (("nginx.conf", "softfactory.secret"),
                       ("nginx.conf", "softfactory.pgpass"),
                       ("site/conf.d/softfactory.conf", "softfactory.pgpass"),
                       ("site/sites-available/softfactory",
                        "softfactory.secret")):
        with open(tree.at("usr/share/softfactory/" + name)) as f:
            head = f.read().split("\n\n", 1)[0]
        t.ok("What to change:" in head and file in head,
             "%s: the head says what to change, and names %s" % (name, file))


def main():
    t = lib.Results()
    tree = lib.Tree("install")
    port = lib.free_port()
    conf = tree.write("etc/nginx/nginx.conf", configuration(tree, port))
    with open(conf) as f:
        before = f.read()
    server = lib.Server(tree).start()
    clients = None
    try:
        lib.wait_for("an answer",
                     lambda: lib.ask(port, PATHS[0]).status == 200)
        clients = lib.Clients(port, PATHS)
        clients.more(50)

        inode = os.stat(tree.at(MODULE)).st_ino
        for _ in range(2):
            tree.install()
            clients.more(200)
        t.ok(os.stat(tree.at(MODULE)).st_ino != inode,
             "install makes a new file")
        t.equal(glob.glob(tree.at("usr/lib/nginx/modules/*")),
                [tree.at(MODULE)], "and leaves no other beside it")
        t.ok(all("(deleted)" in line for line in mapped(server)),
             "nginx goes on with the old one")
        heads(t, tree)

        server.upgrade()
        clients.more(200)
        t.ok(mapped(server) and not any(
            "(deleted)" in line for line in mapped(server)),
            "after the upgrade of the binary it has the new one")

        installed = set(lib.run(
            os.path.join(lib.TOP, ".ci/deploy.sh"), "list",
            env=dict(os.environ, DESTDIR=""))[1].split())
        t.ok("/" + MODULE in installed, "the list of what is installed")
        status, said = lib.run(
            os.path.join(lib.TOP, ".ci/deploy.sh"), "uninstall",
            env=dict(os.environ, DESTDIR=tree.path))
        t.equal(status, 0, "uninstall")
        t.ok("etc/nginx/nginx.conf" in said,
             "which names the configuration that loads the module", said)
        clients.more(200)
        t.equal({"/" + name for name in listing(tree)} & installed, set(),
                "uninstall removes what install made")
        t.ok(not os.path.exists(tree.at("usr/share/softfactory")),
             "and its folder")
        with open(conf) as f:
            t.equal(f.read(), before, "nginx.conf is as it was")
    finally:
        failures = clients.stop() if clients else []
        server.stop()
    t.equal(failures[:3], [], "no request failed")
    t.equal(server.complaints(), [], "no worker died")
    print("# %d requests answered" % clients.answers)
    t.end()


if __name__ == "__main__":
    main()

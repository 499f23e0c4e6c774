"""package.py ROOT FIRST SECOND: the package in the Debian of the folder ROOT.
nginx runs there and is asked without a pause while the first build is
installed, the second put over it, removed and purged.  Started by
.ci/deb-test.sh, in namespaces of its own."""

import os
import re
import sys

import lib

ROOT, FIRST, SECOND = sys.argv[1:4]
NAME = "libnginx-mod-http-softfactory"
LINK = "etc/nginx/modules-enabled/50-mod-http-softfactory.conf"
MODULE = "usr/lib/nginx/modules/" + lib.MODULE


def at(path):
    return os.path.join(ROOT, path)


def inside(*command, seconds=120):
    return lib.run("chroot", ROOT, "env", "-i", "DEBIAN_FRONTEND="
                   "noninteractive", "HOME=/root", "LC_ALL=C",
                   "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command,
                   seconds=seconds)


def change(path, *pairs):
    with open(at(path)) as f:
        text = f.read()
    for old, new in pairs:
        text, count = re.subn(old, new, text, flags=re.M)
        if not count:
            raise RuntimeError("%s has no %s" % (path, old))
    with open(at(path), "w") as f:
        f.write(text)


class Service:
    """nginx in the fresh Debian, as its operator sees it."""

    def __init__(self, results):
        self.results = results

    def does(self, *command):
        status, said = inside(*command)
        self.results.ok(status == 0, " ".join(command), said)
        return said

    def pid(self):
        with open(at("run/nginx.pid")) as f:
            return int(f.read())

    def workers(self):
        pid = self.pid()
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return f.read().split()

    def mapped(self):
        """What the master has of the module: nothing, new or deleted."""
        with open("/proc/%d/maps" % self.pid()) as f:
            lines = [line for line in f if lib.MODULE in line]
        if not lines:
            return "nothing"
        return "deleted" if "(deleted)" in lines[0] else "new"

    def package(self, *command, refused=False):
        """dpkg, and the reload that it has asked for."""
        before = self.workers()
        said = self.does("dpkg", *command)
        if "Triggering nginx reload" in said and not refused:
            lib.wait_for("workers of the reload",
                         lambda: self.workers() != before)
        return said


def prepare(port):
    """The stock configuration, on a port that nobody has.  Where no init
    system runs, packages act on services only if a policy says so."""
    policy = at("usr/sbin/policy-rc.d")
    with open(policy, "w") as f:
        f.write("#!/bin/sh\nexit 0\n")
    os.chmod(policy, 0o755)
    change("etc/nginx/sites-available/default",
           (r"listen 80 ", "listen 127.0.0.1:%d " % port),
           (r"^\s*listen \[::\]:80 .*$", ""))
    change("etc/nginx/nginx.conf", (r"^error_log .*;$",
           "error_log /var/log/nginx/error.log notice;"))
    for path in (FIRST, SECOND):
        with open(path, "rb") as source:
            with open(at("tmp/" + os.path.basename(path)), "wb") as f:
                f.write(source.read())


def enable(port):
    """What the manual says to do beside other sites."""
    for command in (
            "cp /usr/share/softfactory/site/conf.d/softfactory.conf"
            " /etc/nginx/conf.d/",
            "cp /usr/share/softfactory/site/sites-available/softfactory"
            " /etc/nginx/sites-available/",
            "ln -s ../sites-available/softfactory /etc/nginx/sites-enabled/",
            "umask 077; echo '%s' > /etc/nginx/softfactory.secret" % lib.KEY,
            "umask 077; echo '*:*:softfactory:app:%s' >"
            " /etc/nginx/softfactory.pgpass" % lib.PASSWORD,
            "chown www-data /etc/nginx/softfactory.pgpass"):
        status, said = inside("sh", "-c", command)
        if status:
            raise RuntimeError(command + ": " + said)
    change("etc/nginx/conf.d/softfactory.conf",
           (r"server 127\.0\.0\.1:5432;",
            "server 127.0.0.1:%s;" % os.environ["SF_TEST_PG_PORT"]))
    change("etc/nginx/sites-available/softfactory",
           (r"listen 9000;", "listen 127.0.0.1:%d;" % port))


def install(t, service, static):
    service.package("-i", "/tmp/" + os.path.basename(FIRST))
    static.more(200)
    t.ok(os.path.islink(at(LINK)), "installed: the module is switched on")
    lib.wait_for("the module in nginx", lambda: service.mapped() == "new")
    static.more(200)


def upgrade(t, service, static, api):
    said = service.package("-i", "/tmp/" + os.path.basename(SECOND))
    t.ok("service nginx upgrade" in said, "upgraded: it says what to do")
    api.more(50)
    t.equal(service.mapped(), "deleted", "a reload goes on with the old file")
    old = service.pid()
    service.does("service", "nginx", "upgrade")
    lib.wait_for("the new master", lambda: service.pid() != old)
    lib.wait_for("the end of the old master",
                 lambda: not os.path.exists("/proc/%d" % old))
    t.equal(service.mapped(), "new", "an upgrade of the binary has the new")
    api.more(50)
    static.more(200)


def remove_in_use(t, service, static, api):
    """The operator has forgotten that his configuration needs it."""
    service.package("-r", NAME, refused=True)
    t.ok(inside("nginx", "-t")[0] != 0,
         "removed in use: the configuration is refused")
    api.more(50)
    t.equal(service.mapped(), "deleted", "nginx goes on as it is")
    service.package("-i", "/tmp/" + os.path.basename(SECOND))
    t.equal(inside("nginx", "-t")[0], 0, "installed again: all is as before")
    api.more(50)
    static.more(200)


def remove(t, service, static):
    for path in ("sites-enabled/softfactory", "conf.d/softfactory.conf",
                 "sites-available/softfactory", "softfactory.secret",
                 "softfactory.pgpass"):
        os.unlink(at("etc/nginx/" + path))
    before = service.workers()
    service.does("service", "nginx", "reload")
    lib.wait_for("workers of the reload", lambda: service.workers() != before)
    static.more(200)
    service.package("-r", NAME)
    static.more(200)
    t.equal((os.path.lexists(at(LINK)), os.path.exists(at(MODULE))),
            (False, False), "removed: switched off and gone")
    t.equal(inside("nginx", "-t")[0], 0, "the configuration is good")
    lib.wait_for("an nginx without the module",
                 lambda: service.mapped() == "nothing")
    service.package("--purge", NAME)
    static.more(200)
    left = [os.path.join(folder, name)
            for place in ("etc", "usr", "var/lib", "run")
            for folder, folders, files in os.walk(at(place))
            for name in folders + files if "softfactory" in name]
    t.equal(left, [], "purged: nothing is left")


def main():
    t = lib.Results()
    for kind, place in (("proc", "proc"), (None, "dev")):
        os.makedirs(at(place), exist_ok=True)
        options = ["-t", "proc", "proc"] if kind else ["--rbind", "/dev"]
        status, said = lib.run("mount", *options, at(place))
        if status:
            raise RuntimeError("mount: " + said)
    ports = lib.free_port(), lib.free_port()
    prepare(ports[0])
    service = Service(t)
    service.does("service", "nginx", "start")
    static = lib.Clients(ports[0], ["/"])
    api, answers = None, 0
    try:
        static.more(50)
        install(t, service, static)
        enable(ports[1])
        service.does("nginx", "-t")
        service.does("service", "nginx", "reload")
        lib.wait_for("an answer of the API", lambda: answer(ports[1]))
        api = lib.Clients(ports[1], ["/api/review/campaigns", "/health",
                                     "/softfactory/live"], 2, pause=0.04)
        upgrade(t, service, static, api)
        remove_in_use(t, service, static, api)
        t.equal(api.stop()[:3], [], "no request of the API failed")
        remove(t, service, static)
    finally:
        if api:
            api.stop()
        static.stop()
    t.equal(static.failures[:3], [], "no request of the other site failed")
    service.does("service", "nginx", "stop")
    with open(at("var/log/nginx/error.log"), errors="replace") as f:
        t.equal([line for line in f if re.search(
            r"\[(?:alert|emerg|crit)\]|exited on signal|with code [1-9]",
            line)], [], "no worker died")
    print("# %d requests of the other site answered, %d of the API"
          % (static.answers, api.answers))
    t.end()


def answer(port):
    try:
        return lib.ask(port, "/api/review/campaigns").status == 200
    except OSError:
        return False


main()

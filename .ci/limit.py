#!/usr/bin/env python3
"""Runs a command for at most so long:

    limit.py SECONDS WHAT COMMAND...

When it takes longer it is asked to end, and killed if it does not; so is
whatever it has started and left, daemons and sessions of their own included:
this process is their subreaper (prctl(2)), so nobody escapes by forking
twice.  WHAT is what is said to have taken too long; the status is 124 then,
as that of timeout(1).  For .ci/suite.py a class Command.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time

SUBREAPER = 36                  # PR_SET_CHILD_SUBREAPER
GRACE = 20                      # seconds, for one that is asked to end
LEFT = 3                        # for what it has told to end, when it ends


def title(pid):
    try:
        with open("/proc/%d/cmdline" % pid) as f:
            words = f.read().replace("\0", " ").strip()
    except OSError:
        return ""
    return words if len(words) <= 70 else words[:70] + "..."


def family(top):
    """Pids below this one, without those that are zombies."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    words = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if words[0] not in "ZX":
                parents[int(name)] = int(words[1])

    found = [top]
    for pid in found:
        found += [p for p in parents if parents[p] == pid]
    return found[1:]


class Command:
    """One that runs, and what it starts.  With a pipe, .lines are read."""

    def __init__(self, words, pipe=False, **options):
        if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0):
            raise OSError("prctl")

        if pipe:
            options.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        self.process = subprocess.Popen(words, start_new_session=True,
                                        **options)
        self.status = None
        self.out = self.process.stdout
        self.rest = b""
        self.selector = selectors.DefaultSelector()
        if pipe:
            os.set_blocking(self.out.fileno(), False)
            self.selector.register(self.out, selectors.EVENT_READ)

    def reap(self):
        """Those that have been left to us as well; their status is unread."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.process.pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.process.returncode = self.status

    def lines(self, seconds):
        """What has come, waits for some; [] if there was none in time."""
        if not self.selector.select(seconds):
            return []

        try:
            data = self.out.read(65536)
        except BlockingIOError:
            return []

        if not data:
            self.selector.unregister(self.out)
            data, self.rest = self.rest, b""
            return [data] if data else []

        *lines, self.rest = (self.rest + data).split(b"\n")
        return lines

    def wait(self, end, hear=None):
        """Until it ends, or the time does: whether it did."""
        while self.status is None and time.monotonic() < end:
            if hear and self.selector.get_map():
                hear(self.lines(0.2))
            else:
                time.sleep(0.05)
            self.reap()

        if hear and self.selector.get_map():
            while lines := self.lines(0.1):
                hear(lines)

        return self.status is not None

    def end(self, grace=GRACE):
        """Asks it to end, with its process group, then kills all that is
        left; their titles."""
        titles = {p: title(p) for p in family(os.getpid())}
        if self.status is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.wait(time.monotonic() + grace)
        return self.clear(0, titles)

    def clear(self, grace=LEFT, known=()):
        """Kills what is left some time after its end; the titles."""
        end = time.monotonic() + grace
        left = dict(known)
        while pids := family(os.getpid()):
            if time.monotonic() >= end:
                left.update({p: title(p) for p in pids if title(p)})
                for pid in pids:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            time.sleep(0.02)
            self.reap()
        return [one for one in left.values() if one]


def on_signals(command, grace):
    """A signal that ends us ends it too."""
    def stop(number, frame):
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(s, signal.SIG_IGN)
        command.end(grace)
        sys.exit(128 + number)

    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, stop)


def main(seconds, what, *words):
    command = Command(words)
    on_signals(command, GRACE)

    if command.wait(time.monotonic() + float(seconds)):
        for one in command.clear():
            print("%s: left behind, ended now: %s" % (what, one), flush=True)
        status = command.status
        return status if status >= 0 else 128 - status

    print("%s took more than %s s, ended now:" % (what, seconds), flush=True)
    for one in command.end():
        print("    " + one, flush=True)
    return 124


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: limit.py SECONDS WHAT COMMAND...")
    sys.exit(main(*sys.argv[1:]))

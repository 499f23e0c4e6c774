#!/usr/bin/env python3
"""Runs files of tests one after the other, each for at most so long:

    suite.py NAME SECONDS FOLDER FILE.t...

It says where it is, what each file has found, and at the end "N passed, N
failed".  A file's own output stays in FOLDER/FILE.tap.  One failure more is
one

    that takes longer: it is ended, with all that it has started, and the
    last test that it has got to is named;
    that ends early: a plan that does not fit, a status without a test that
    failed;
    that leaves processes behind: those are named, and ended;
    that has one title for many tests: nobody could tell which one failed.
"""

import collections
import os
import re
import sys
import time

import limit

SHOWN = 200                     # lines of one file
ALIKE = 12                      # tests with one title
TEST = re.compile(rb"(not )?ok\b(?: (\d+))?(.*)")
PLAN = re.compile(rb"1\.\.(\d+)(?: |$)")


class File:

    def __init__(self, path, folder):
        self.path = path
        name = os.path.basename(path).rsplit(".", 1)[0]
        self.tap = open(os.path.join(folder, name + ".tap"), "wb")
        self.passed = self.failed = 0
        self.plan = None
        self.last = b"none"
        self.shown = collections.Counter()
        self.titles = collections.Counter()

    def hear(self, lines):
        for line in lines:
            self.tap.write(line + b"\n")
            test, plan = TEST.match(line), PLAN.match(line)

            if test:
                good = not test[1] or b"# TODO" in line
                self.passed += good
                self.failed += not good
                self.last = line
                self.titles[test[3]] += 1
                if not good:
                    self.show(line)
            elif plan:
                self.plan = int(plan[1])
            elif line:
                self.show(line)

    def show(self, line):
        """Once, and not for ever: nginx may say a line twenty times."""
        text = re.sub(rb"\d+", b"N", line)
        self.shown[text] += 1
        if self.shown[text] <= 3 and self.shown.total() <= SHOWN:
            sys.stdout.buffer.write(b"    " + line + b"\n")
            sys.stdout.flush()

    def say(self, text):
        print("    FAILED: %s: %s" % (self.path, text), flush=True)
        self.failed += 1

    def judge(self, status):
        """What the numbers of the tests do not tell."""
        done = self.passed + self.failed
        if self.plan != done:
            self.say("%s tests were planned, %d were run, status %d"
                     % (self.plan, done, status))
        elif status and not self.failed:
            self.say("status %d, though no test failed" % status)
        elif done == 0:
            self.say("no test was run")

        # Test::Nginx has titles of its own, with the block's name before them

        for title, n in self.titles.items():
            if n > ALIKE and not re.match(rb" - \S+ TEST \d+:", title):
                self.say("%d tests have the title%s: name the case in it"
                         % (n, title.decode(errors="replace")))

    def run(self, seconds):
        command = limit.Command(["perl", self.path], pipe=True,
                                stdin=open(os.devnull))
        limit.on_signals(command, 5)

        if command.wait(time.monotonic() + seconds, self.hear):
            self.judge(command.status)
            for one in command.clear():
                self.say("left behind: " + one)
        else:
            self.say("took more than %d s and was ended; the last test: %s"
                     % (seconds, self.last.decode(errors="replace")))
            for one in command.end(5):
                print("        was running: " + one, flush=True)
        self.tap.close()


def main(name, seconds, folder, *paths):
    start = time.monotonic()
    passed = failed = 0
    os.makedirs(folder, exist_ok=True)

    for n, path in enumerate(paths, 1):
        began = time.monotonic()
        print("suite %s %d of %d: %s, %.1f min so far"
              % (name, n, len(paths), path, (began - start) / 60), flush=True)
        file = File(path, folder)
        file.run(float(seconds))
        print("    %d passed%s, %.1f s"
              % (file.passed, ", %d FAILED" % file.failed if file.failed
                 else "", time.monotonic() - began), flush=True)
        passed += file.passed
        failed += file.failed

    print("%d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit("usage: suite.py NAME SECONDS FOLDER FILE.t...")
    sys.exit(main(*sys.argv[1:]))

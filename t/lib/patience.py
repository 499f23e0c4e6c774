"""The waits of the Python tests: each has a bound."""

import subprocess
import threading


class Patience:
    """Kills a process that is waited for, if that takes too long, and says
    what it was:

        with Patience(p, 60, "psql: SELECT ..."):
            p.stdout.readline()
    """

    def __init__(self, process, seconds, what):
        self.process = process
        self.seconds, self.what = seconds, what
        self.late = False
        self.timer = threading.Timer(seconds, self.kill)
        self.timer.daemon = True

    def kill(self):
        self.late = True
        self.process.kill()

    def __enter__(self):
        self.timer.start()

    def __exit__(self, *unused):
        self.timer.cancel()
        if self.late:
            raise RuntimeError("waited %d s for %s" % (self.seconds,
                                                       self.what))


def ended(process, what, seconds=30):
    """Its status; one that does not end is killed."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise RuntimeError("waited %d s for the end of %s"
                           % (seconds, what)) from None

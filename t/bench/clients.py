"""t/bench/clients, of which the benchmarks make their load."""

import json
import subprocess

from patience import Patience
from common import OUT


class Clients:
    """At work on (path, token) pairs; options as clients.c has them."""

    def __init__(self, name, port, requests, *options):
        path = f"{OUT}/{name}.requests"

        with open(path, "w") as f:
            f.writelines(" ".join(filter(None, r)) + "\n" for r in requests)

        self.name = name
        self.process = subprocess.Popen(
            [f"{OUT}/clients", *map(str, options), str(port), path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        self.process.terminate()
        return self.result()

    def result(self):
        with Patience(self.process, 900, f"the clients of {self.name}"):
            out = self.process.communicate()[0]

        if self.process.returncode or not out:
            raise SystemExit(f"{self.name}: clients failed")

        return json.loads(out.splitlines()[-1])

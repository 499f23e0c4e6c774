"""The blocks of the manuals.

A fenced block says in which language it is; what a check has to know beside
that stands in a comment on the line before, which is not shown:

    <!-- context: upstream -->      where in a configuration the block belongs,
                                    if its directives do not say it
    <!-- refused: words -->         nginx -t refuses the block, with these
                                    words
    <!-- not run: why -->           a block of commands that no test runs
"""

import os
import re
import sys

from lib import TOP

sys.path.insert(0, os.path.join(TOP, ".ci"))
from docs import pages as manuals   # noqa: E402, all Markdown files

LANGUAGES = ("nginx", "sh", "sql")

# the first word of a line that somebody would type

COMMANDS = re.compile(
    r"(?:sudo |\w+=\S* )*(?:make|curl|psql|docker|cp|mv|install|nginx|sed|ln|"
    r"apt|apt-get|dpkg|service|systemctl|createdb|\./configure|\.ci/\S+)"
    r"(?: |$)")


class Block:

    def __init__(self, file, line, language, text, marks):
        self.file = file
        self.line = line
        self.language = language
        self.text = text
        self.marks = marks

    @property
    def place(self):
        return "%s:%d" % (self.file, self.line)


def read(file):
    """The fenced blocks of a file, and what is wrong with its blocks."""
    with open(os.path.join(TOP, file)) as f:
        lines = f.read().split("\n")
    blocks, wrong, marks, i = [], [], {}, 0
    while i < len(lines):
        line = lines[i]
        comment = re.match(r"<!-- (context|refused|not run): (.*) -->$", line)
        fence = re.match(r"( *)```(.*)$", line)
        if comment:
            marks[comment.group(1)] = comment.group(2)
        elif fence:
            start, indent = i + 2, len(fence.group(1))
            language = fence.group(2)
            i += 1
            body = []
            while i < len(lines) and lines[i].strip() != "```":
                body.append(lines[i][indent:])
                i += 1
            if language in LANGUAGES:
                blocks.append(Block(file, start, language,
                                    "\n".join(body) + "\n", marks))
            else:
                wrong.append("%s:%d: a block in the language \"%s\", not one "
                             "of %s" % (file, start - 1, language,
                                        " ".join(LANGUAGES)))
            marks = {}
        elif line.startswith("    ") and COMMANDS.match(line.strip()) \
                and not line.strip().startswith("install -"):
            wrong.append("%s:%d: a command, but not in a block ```sh"
                         % (file, i + 1))
        elif line.strip():
            if marks:
                wrong.append("%s:%d: a mark without a block" % (file, i))
            marks = {}
        i += 1
    return blocks, wrong

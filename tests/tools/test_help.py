# SPDX-License-Identifier: MIT
"""make help says what is so."""

import os
import re
import subprocess
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# Of a room or of set-up: named by their kind, if at all.
KINDS = re.compile(r"FORCE|all|(setup|obj|unit)-\w+")


def make(*words):
    """What make prints; nothing of a make around it is handed on. With -n or -q its status means something else."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", TOP, *words], check=False, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, universal_newlines=True,
    ).stdout


class Help(unittest.TestCase):
    def test_targets_are_those_of_the_makefile(self):
        help_text = make("help")
        named = set(re.findall(r"^  make ([\w-]+)", help_text, re.MULTILINE))
        named |= set(re.findall(r"\(([\w-]+):", help_text))
        database = make("-npRr", "help")
        phony = re.search(r"^\.PHONY: (.*)$", database, re.MULTILINE).group(1).split()
        targets = {name for name in phony if not KINDS.fullmatch(name)}
        self.assertEqual({name for name in named if not KINDS.fullmatch(name)}, targets)

    def test_values_are_those_of_the_makefile(self):
        help_text = make("help")
        for name, value in re.findall(r"\b([A-Z]+(?:_[A-Z]+)+)=(\d+)", help_text):
            self.assertIn("%s=%s" % (name, 7 * int(value)), make("help", "%s=%d" % (name, 7 * int(value))))


if __name__ == "__main__":
    unittest.main()

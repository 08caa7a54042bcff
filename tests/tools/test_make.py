# SPDX-License-Identifier: MIT
"""make: help says what is so, and set-up comes before what needs it."""

import os
import re
import subprocess
import tempfile
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


class Order(unittest.TestCase):
    """On a fresh machine: a target's set-up comes before the first compiler that it calls."""

    COMPILER = re.compile(r"(?:^|&& )(?:gcc|clang|nasm|iasl|nm|ar|objcopy) ")
    NEEDS_CLANG = ("unit", "unit-lib", "unit-threads", "fuzz", "soak", "test", "test-all", "bench")

    def test_setup_comes_first(self):
        for target in ("all", "run", "image", "bench", "boot-tests", "check", "test-nested", *self.NEEDS_CLANG):
            with self.subTest(target), tempfile.TemporaryDirectory() as out:
                lines = make("-n", "-j1", "O=" + out, target).splitlines()
                compilers = [number for number, line in enumerate(lines) if self.COMPILER.search(line)]
                self.assertTrue(compilers)
                before = lines[: compilers[0]]
                self.assertIn("tools/setup build", before)
                clang = [number for number, line in enumerate(lines) if re.search(r"(?:^|&& )clang ", line)]
                if target in self.NEEDS_CLANG[:-1]:
                    self.assertTrue(clang)
                if clang:
                    self.assertIn("tools/setup unit", lines[: clang[0]])
                if target in ("run", "image"):
                    self.assertIn("tools/setup run", lines[:-1])


if __name__ == "__main__":
    unittest.main()

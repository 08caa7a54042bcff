# SPDX-License-Identifier: MIT
"""tools/stale: the tree has nothing stale; what is planted in a small one is named."""

import os
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
OBJECTS = os.path.join(TOP, "build", "obj")

FILES = {
    "lib/a.h": "/* lib/a.c: add() */\nint add(int a);\nint lonely(int a);\nint inner(int a);\nint tried(int a);\n",
    "lib/a.c": "/* add(), of `lib`, with `add_one` below; b.c calls it */\nstatic int add_one(int a) { return a + 1; }\n"
               "int add(int a) { return add_one(a); }\nint inner(int a) { return add(a); }\n"
               "int lonely(int a) { return inner(a); }\nint tried(int a) { return a; }\n",
    "lib/b.c": "int add(int a);\nint use(int a) { return add(a); }\n",
    "tests/t.c": "int tried(int a);\nint t(void) { return tried(1); }\n",
    "docs/d.md": "`add_one` of [lib](../lib/a.c): lib/a.c\n",
}
UNUSED = {
    "lib/a.c: inner: only its own file uses it: static",
    "lib/a.c: lonely: nothing uses it",
    "lib/a.c: tried: only tests use it",
    "lib/b.c: use: nothing uses it",
}


def stale(top, *options):
    """Status and findings of tools/stale, but for those about its own list."""
    done = subprocess.run([os.path.join(TOP, "tools", "stale"), "--top", top, *options], check=False,
                          stdout=subprocess.PIPE, universal_newlines=True)
    lines = [line[len("stale: "):] for line in done.stdout.splitlines()]
    return done.returncode, [line for line in lines if not line.startswith("tools/stale: KEPT")]


class Stale(unittest.TestCase):
    def plant(self, folder, files):
        """A tree of these files."""
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                file.write(text)
        subprocess.run(["git", "init", "-q", folder], check=True)

    def test_this_tree_names_nothing_that_is_gone(self):
        self.assertEqual(stale(TOP), (0, []))

    @unittest.skipUnless(os.path.isdir(OBJECTS), "make builds what is looked at")
    def test_this_tree_has_nothing_unused(self):
        done = subprocess.run([os.path.join(TOP, "tools", "stale"), "--objects", OBJECTS], check=False,
                              stdout=subprocess.PIPE, universal_newlines=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_what_is_there_is_no_finding(self):
        with tempfile.TemporaryDirectory() as folder:
            self.plant(folder, FILES)
            self.assertEqual(stale(folder), (0, []))

    def test_names_of_what_is_gone(self):
        cases = (
            ("lib/a.h", "/* see lib/gone.c */\n", "lib/gone.c"),
            ("lib/a.h", "/* see gone.c */\n", "gone.c"),
            ("lib/a.h", "/* gone() does it */\n", "gone"),
            ("lib/a.asm", "; gone() does it\n", "gone"),
            ("docs/d.md", "`gone_away` does it\n", "gone_away"),
            ("docs/d.md", "`lib/gone` has it\n", "lib/gone"),
        )
        for path, text, name in cases:
            with tempfile.TemporaryDirectory() as folder:
                self.plant(folder, {**FILES, path: text})
                self.assertEqual(stale(folder), (1, ["%s: names %s, which is not there" % (path, name)]), text)

    def test_symbols_that_nothing_uses(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as objects:
            self.plant(folder, FILES)
            os.makedirs(os.path.join(objects, "lib"))
            for source in ("lib/a", "lib/b"):
                subprocess.run(["gcc", "-c", "-o", os.path.join(objects, source + ".o"),
                                os.path.join(folder, source + ".c")], check=True)
            status, findings = stale(folder, "--objects", objects)
            self.assertEqual((status, set(findings)), (1, UNUSED))


if __name__ == "__main__":
    unittest.main()

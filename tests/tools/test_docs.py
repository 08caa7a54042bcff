# SPDX-License-Identifier: MIT
"""How tests/docs reads a document and compares."""

import os
import re
import sys
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "docs"))

from blocks import commands_of, first_missing  # noqa: E402

TEXT = """\
Words with `make unit-mm` and `tools/run --help` in them.

```console
# 12 s
$ tools/run --a \\
      --b
...
demo:~# uname -r
6.1...-amd64
# status 1
$ make nothing
# not run: needs a stick
$ dd of=/dev/sdX
```

```
a picture of tools/
```
"""


class BlocksTest(unittest.TestCase):
    def test_commands_are_found_with_what_belongs_to_them(self):
        commands, strays = commands_of("x.md", TEXT)
        self.assertEqual(strays, [])
        self.assertEqual([c.text for c in commands], ["tools/run --a --b", "make nothing", "dd of=/dev/sdX"])
        self.assertEqual([c.where for c in commands], ["x.md:5", "x.md:11", "x.md:13"])
        self.assertEqual([(c.cost, c.status, c.reason) for c in commands],
                         [(12, 0, ""), (10, 1, ""), (10, 0, "needs a stick")])
        self.assertEqual(commands[0].typed, ["uname -r"])
        self.assertEqual(commands[0].expected, ["...", "demo:~# uname -r", "6.1...-amd64"])

    def test_a_command_that_no_test_sees_is_named(self):
        for text in ("    tools/run --x\n", "```\nmake run\n```\n", "Try `tools/run --cpus 4`.\n",
                     "    LETHE_SEED=1 build/unit/x\n", "```console\n$ make\n"):
            self.assertEqual(len(commands_of("x.md", text)[1]), 1, text)

    def test_a_block_in_a_list_is_read_without_its_margin(self):
        commands, _ = commands_of("x.md", "1. Try:\n\n   ```console\n   $ make x\n     - deep\n   ```\n")
        self.assertEqual((commands[0].text, commands[0].expected), ("make x", ["  - deep"]))

    def test_output_without_a_command_is_an_error(self):
        with self.assertRaises(ValueError):
            commands_of("x.md", "```console\nhello\n```\n")


class ReadmeTest(unittest.TestCase):
    def test_readme_has_every_word_for_an_exit_reason(self):
        with open(os.path.join(TOP, "lib", "exit_reasons.c"), encoding="utf-8") as file:
            words = re.findall(r'^\t\[\w+\] = \{ "[^"]+", "([^"]+)" \}', file.read(), re.MULTILINE)
        with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
            text = file.read()
        listed = re.findall(r"`([^`]+)`", text.partition("The words for reasons:")[2].partition("\n\n")[0])
        self.assertGreater(len(words), 40)
        self.assertEqual(sorted(listed), sorted(words))


class CompareTest(unittest.TestCase):
    def missing(self, expected, text):
        return first_missing(expected.split("\n") if expected else [], text)

    def test_lines_stand_right_behind_one_another(self):
        self.assertIsNone(self.missing("b\nc", "a\nb\nc\nd"))
        self.assertEqual(self.missing("b\nd", "a\nb\nc\nd"), "d")
        self.assertIsNone(self.missing("b\n...\nd", "a\nb\nc\nd"))
        self.assertIsNone(self.missing("b\n...\nc", "a\nb\nc\nd"))

    def test_lines_are_whole(self):
        self.assertEqual(self.missing("one", "a one"), "one")
        self.assertEqual(self.missing("one", "one more"), "one")
        self.assertIsNone(self.missing("...one...", "a one more"))

    def test_letters_of_expressions_stand_for_themselves(self):
        self.assertEqual(self.missing("a.c (x)", "abc (x)"), "a.c (x)")

    def test_order_counts(self):
        self.assertEqual(self.missing("b\n...\na", "a\nb\n"), "a")

    def test_what_was_overwritten_is_not_shown(self):
        self.assertIsNone(self.missing("f 100%", "f 10%\rf 100%\r\n"))

    def test_nothing_expected_is_nothing_missing(self):
        self.assertIsNone(self.missing("", "text"))

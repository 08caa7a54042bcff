# SPDX-License-Identifier: MIT
"""What tools/quotes finds of quoted code that is not the source's."""

import importlib.machinery
import importlib.util
import os
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def load():
    loader = importlib.machinery.SourceFileLoader("quotes", os.path.join(TOP, "tools", "quotes"))
    spec = importlib.util.spec_from_loader("quotes", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


quotes = load()

SOURCE = "int f(void)\n{\n\tint a;\n\n\ta = g();\n\tif (a)\n\t\treturn h(a);\n\treturn 0;\n}\n"


def found(*lines, path="hv/f.c"):
    text = "\n".join(["Text.", "```c " + path, *lines, "```", "More."])
    return list(quotes.findings("docs/2.md", text, lambda name: SOURCE if name == "hv/f.c" else None))


class Quotes(unittest.TestCase):
    def test_code_as_it_stands_is_clean_however_it_is_indented(self):
        self.assertEqual(found("int f(void)", "{", "\tint a;"), [])
        self.assertEqual(found("  if (a)", "\treturn h(a);"), [])

    def test_lines_may_be_left_out_where_that_is_said(self):
        self.assertEqual(found("int f(void)", "...", "return 0;", "}"), [])
        self.assertEqual(found("{", "a = g();"), ["docs/2.md:4: hv/f.c has no such line here: a = g();"])

    def test_a_line_that_has_changed_is_found(self):
        self.assertEqual(found("a = g();", "if (!a)", "..."), ["docs/2.md:4: hv/f.c has no such line here: if (!a)"])

    def test_the_order_counts(self):
        self.assertEqual(found("return 0;", "...", "int a;"), ["docs/2.md:5: hv/f.c has no such line here: int a;"])

    def test_a_file_that_is_gone_is_found(self):
        self.assertEqual(found("x", path="hv/gone.c"), ["docs/2.md:2: there is no hv/gone.c to quote"])

    def test_other_blocks_are_not_looked_at(self):
        self.assertEqual(list(quotes.findings("d", "```\nx\n```\n```console\n$ x\n```\n", lambda name: None)), [])


if __name__ == "__main__":
    unittest.main()

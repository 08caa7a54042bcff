# SPDX-License-Identifier: MIT
"""tools/keys: README.md's tables of lethe.conf's keys are those of guest/conf/keys.inc."""

import importlib.machinery
import importlib.util
import os
import re
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def load_tool():
    """tools/keys as a module."""
    loader = importlib.machinery.SourceFileLoader("keys", os.path.join(TOP, "tools", "keys"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("keys", loader))
    loader.exec_module(module)
    return module


KEYS = load_tool()


def text_of(*path):
    """A file of the tree."""
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


class Keys(unittest.TestCase):
    def test_tables_of_the_readme_are_up_to_date(self):
        made = KEYS.tables(text_of("guest", "conf", "keys.inc"))
        self.assertEqual(KEYS.PLACE.search(text_of("README.md")).group(1), made, "run tools/keys --write")

    def test_each_key_of_the_list_is_in_a_table(self):
        source = text_of("guest", "conf", "keys.inc")
        found = [entry[:2] for entry in KEYS.entries(source)]
        self.assertEqual(found, re.findall(r'^(HYPERVISOR_KEY|VM_KEY)\("([^"]+)"', source, re.MULTILINE))

    def test_strings_over_lines_quotes_and_bars(self):
        source = 'VM_KEY("a", set_a, true, "x", "",\n\t"one \\"two\\" "\n\t"\\\\| three")\n'
        self.assertEqual(list(KEYS.entries(source)), [("VM_KEY", "a", "x", "", 'one "two" \\| three')])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: MIT
"""tests/README.md says what is in make test and in make test-all, and that fits the time that they may take."""

import os
import re
import subprocess
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

# CPU seconds that the boot tests may take, of two CPUs for 45 minutes, or 4 hours: the other parts take the rest.
BOOT_TEST = 2 * 45 * 60 * 0.4
BOOT_ALL = 2 * 240 * 60 * 0.5


class Readme(unittest.TestCase):
    def setUp(self):
        self.table = subprocess.run(
            [os.path.join(TESTS, "boot", "run"), "--table"], check=True, stdout=subprocess.PIPE, universal_newlines=True
        ).stdout

    def test_table_of_boot_tests_is_up_to_date(self):
        with open(os.path.join(TESTS, "README.md"), encoding="utf-8") as file:
            found = re.search(r"<!-- table: begin -->\n(.*)<!-- table: end -->", file.read(), re.DOTALL)
        self.assertEqual(found.group(1), self.table, "run tests/boot/run --write")

    def test_costs_fit_the_budget(self):
        costs = re.search(r"^\| together \| (\d+) CPU seconds \| (\d+) CPU seconds \|", self.table, re.MULTILINE)
        self.assertLessEqual(int(costs.group(1)), BOOT_TEST, "make test: give a case where='all', or fewer cpus")
        self.assertLessEqual(int(costs.group(2)), BOOT_ALL, "make test-all")


if __name__ == "__main__":
    unittest.main()

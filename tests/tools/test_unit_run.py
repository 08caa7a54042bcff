# SPDX-License-Identifier: MIT
"""tests/unit/run, on programs that print what cmocka prints."""

import os
import subprocess
import tempfile
import textwrap
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

PASSES = """
    echo '[==========] Running 2 test(s).'
    echo '[ RUN      ] one'; echo '[       OK ] one'
    echo '[ RUN      ] two'; echo '[       OK ] two'
    echo '[==========] 2 test(s) run.'
    echo '[  PASSED  ] 2 test(s).'
"""
FAILS = """
    echo '[==========] Running 3 test(s).'
    echo '[ RUN      ] one'; echo '[       OK ] one'
    echo '[ RUN      ] two'; echo '[  ERROR   ] --- 1 != 2'; echo '[  FAILED  ] two'
    echo '[ RUN      ] three'; echo '[  SKIPPED ] three'
    echo '[==========] 3 test(s) run.'
    echo '[  PASSED  ] 1 test(s).'
    echo '[  SKIPPED ] 1 test(s), listed below:'; echo '[  SKIPPED ] three'
    echo '[  FAILED  ] 1 test(s), listed below:'; echo '[  FAILED  ] two'
    exit 1
"""
HANGS = """
    echo '[==========] Running 2 test(s).'
    echo '[ RUN      ] one'; echo '[       OK ] one'
    echo '[ RUN      ] waits_for_ever'
    sleep 100
"""
SLOW = """
    for test in one two three four; do
        echo "[ RUN      ] $test"; sleep 0.8; echo "[       OK ] $test"
    done
"""
TALKS = """
    echo '[ RUN      ] talks_for_ever'
    while :; do echo round; sleep 0.1; done
"""
CRASHES = "echo '[ RUN      ] bad'; kill -SEGV $$"


class UnitRun(unittest.TestCase):
    def run_on(self, *scripts, seconds=20):
        """Returns (exit status, output)."""
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for number, script in enumerate(scripts):
                paths.append(os.path.join(directory, "test_%d" % number))
                with open(paths[-1], "w", encoding="ascii") as file:
                    file.write("#!/bin/sh\n" + textwrap.dedent(script))
                os.chmod(paths[-1], 0o755)
            ended = subprocess.run(
                [os.path.join(TOP, "tests", "unit", "run"), "--seconds", str(seconds), *paths],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False,
            )
        return ended.returncode, ended.stdout

    def test_passed_tests_are_counted(self):
        status, output = self.run_on(PASSES, PASSES)
        self.assertEqual((status, output.splitlines()[-1]), (0, "4 passed, 0 failed, 0 skipped"))

    def test_failed_and_skipped_tests_count_once(self):
        status, output = self.run_on(FAILS, PASSES)
        self.assertEqual((status, output.splitlines()[-1]), (1, "3 passed, 1 failed, 1 skipped"))

    def test_hung_program_is_stopped_and_the_test_named(self):
        start = time.monotonic()
        status, output = self.run_on(HANGS, seconds=2)
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual((status, output.splitlines()[-1]), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertRegex(output, r"FAIL unit .*: stopped after 2 s; it was in waits_for_ever")

    def test_limit_is_for_each_test(self):
        status, output = self.run_on(SLOW, seconds=2)
        self.assertEqual((status, output.splitlines()[-1]), (0, "4 passed, 0 failed, 0 skipped"))

    def test_what_a_hung_test_prints_is_no_progress(self):
        status, output = self.run_on(TALKS, seconds=2)
        self.assertEqual((status, output.splitlines()[-1]), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertRegex(output, r"stopped after 2 s; it was in talks_for_ever")

    def test_crash_is_one_failure(self):
        status, output = self.run_on(CRASHES)
        self.assertEqual((status, output.splitlines()[-1]), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("in bad", output)

    def test_program_without_tests_fails(self):
        status, output = self.run_on("exit 0")
        self.assertEqual((status, output.splitlines()[-1]), (1, "0 passed, 1 failed, 0 skipped"))

    def test_no_program_fails(self):
        self.assertEqual(self.run_on(), (1, "0 passed, 0 failed, 0 skipped\n"))


if __name__ == "__main__":
    unittest.main()

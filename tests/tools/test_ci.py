# SPDX-License-Identifier: MIT
""".ci/run, as far as it can be tried without a root: that it ends in words where it cannot do its work, and reads the
Containerfile right. .ci/run itself is the test of the rest."""

import os
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
FAILED = "0 passed, 1 failed, 0 skipped"


class Ci(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = temporary.name

    def run_with(self, **tools):
        """Runs .ci/run with programs of its own; returns its output. It must fail."""
        for name, script in tools.items():
            path = os.path.join(self.directory, name)
            with open(path, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\n%s\n" % script)
            os.chmod(path, 0o755)
        ended = subprocess.run(
            [os.path.join(TOP, ".ci", "run")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True, check=False,
            env=dict(os.environ, PATH=self.directory + ":" + os.environ["PATH"], TMPDIR=self.directory,
                     LETHE_CACHE=os.path.join(self.directory, "cache")))
        self.assertNotEqual(ended.returncode, 0)
        self.assertEqual(ended.stdout.splitlines()[-1], FAILED)
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith("lethe-ci")], [])
        return ended.stdout

    def test_user_that_is_not_root_is_told(self):
        self.assertIn("FAIL ci: not root", self.run_with(id="echo 1000"))

    def test_machine_without_namespaces_is_told(self):
        output = self.run_with(id="echo 0", mmdebstrap="exit 1", unshare="exit 1")
        self.assertRegex(output, "FAIL ci: a root cannot be entered here: .*CAP_SYS_ADMIN")

    def test_root_that_cannot_be_made_is_said(self):
        output = self.run_with(id="echo 0", mmdebstrap="echo no such suite; exit 1", unshare="exit 0")
        self.assertRegex(output, r"no such suite\nFAIL ci: the Debian root could not be made")

    def steps(self, path):
        """The steps of a Containerfile as .ci/run takes them, or None if it refuses them."""
        out = os.path.join(self.directory, "steps")
        status = subprocess.run(
            ["bash", "-c", '. "$0/.ci/root.sh" && container_steps "$1" "$2"', TOP, path, out], check=False).returncode
        with open(out, encoding="utf-8") as file:
            return file.read().splitlines() if status == 0 else None

    def test_containerfile_is_understood(self):
        steps = self.steps(os.path.join(TOP, "Containerfile"))
        self.assertEqual(len(steps), 3)
        self.assertRegex(steps[0], "apt-get install .*git")
        self.assertEqual(steps[1], "COPY . .")
        self.assertRegex(steps[2], "cd /lethe && make ")

    def test_line_that_is_not_understood_is_refused(self):
        path = os.path.join(self.directory, "Containerfile")
        with open(path, "w", encoding="ascii") as file:
            file.write("FROM debian:12\nADD x y\n")
        self.assertIsNone(self.steps(path))


if __name__ == "__main__":
    unittest.main()

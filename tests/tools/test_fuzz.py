# SPDX-License-Identifier: MIT
"""tests/fuzz/run and the corpora that it starts from."""

import glob
import io
import os
import re
import subprocess
import tarfile
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
FUZZ = os.path.join(TOP, "tests", "fuzz")
KEPT_BYTES = 700 * 1024  # of all packs together

# Prints how many inputs it is given, in the folder for new ones and in the others, as a fuzzer does at its end.
PROGRAM = """#!/bin/sh
new=-1 kept=0
for word; do
    [ -d "$word" ] || continue
    n=$(ls "$word" | wc -l)
    if [ "$new" -lt 0 ]; then new=$n; else kept=$((kept + n)); fi
done
[ "$new" -eq 0 ] && [ "$kept" -eq 5 ] && echo "stat::number_of_executed_units: $kept"
"""


def pack(path, names):
    """A pack of inputs with these names."""
    with tarfile.open(path, "w:xz") as out:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 1
            out.addfile(entry, io.BytesIO(b"x"))


class Fuzz(unittest.TestCase):
    def test_every_fuzzer_starts_from_a_pack(self):
        names = [re.sub(r".*/fuzz_(\w+)\.c$", r"\1", path) for path in glob.glob(os.path.join(FUZZ, "fuzz_*.c"))]
        self.assertTrue(names)
        for name in names:
            with tarfile.open(os.path.join(FUZZ, "corpus", name + ".tar.xz")) as kept:
                members = kept.getmembers()
            self.assertGreater(len(members), 10, name)
            for member in members:
                self.assertTrue(member.isfile() and re.fullmatch(r"[0-9a-f]{40}", member.name), member.name)

    def test_packs_stay_small(self):
        packs = glob.glob(os.path.join(FUZZ, "corpus", "*.tar.xz"))
        self.assertLess(sum(os.path.getsize(path) for path in packs), KEPT_BYTES)

    def start(self, inputs):
        """Runs tests/fuzz/run on a fuzzer with so many inputs in its pack, and two beside it; returns (status, output)."""
        with tempfile.TemporaryDirectory() as directory:
            here = os.path.join(directory, "fuzz")
            os.makedirs(os.path.join(here, "corpus", "some"))
            os.symlink(os.path.join(FUZZ, "run"), os.path.join(here, "run"))
            for name in ("one", "two"):
                with open(os.path.join(here, "corpus", "some", name), "w", encoding="ascii"):
                    pass
            pack(os.path.join(here, "corpus", "some.tar.xz"), ["%040x" % number for number in range(inputs)])
            program = os.path.join(directory, "some")
            with open(program, "w", encoding="ascii") as file:
                file.write(PROGRAM)
            os.chmod(program, 0o755)
            ended = subprocess.run(
                [os.path.join(here, "run"), "1", program],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False,
            )
        return ended.returncode, ended.stdout

    def test_run_starts_from_pack_and_named_inputs(self):
        self.assertEqual(self.start(3), (0, "PASS fuzz some (5 inputs in 1 s)\n1 passed, 0 failed\n"))
        self.assertEqual(self.start(2)[0], 1)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: MIT
"""make image SIGN_KEY= SIGN_CERT=: the program is signed with a throw-away key, and sbverify accepts it."""

import os
import shutil
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
EFI = os.path.join(TOP, "build", "BOOTX64.EFI")


def call(*words):
    """Status and output of a command; nothing of a make around it is handed on."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(words, check=False, env=environment, cwd=TOP, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    return done.returncode, done.stdout


def section(path, name):
    """The bytes of a section of a PE file (Microsoft's PE format, section table)."""
    with open(path, "rb") as file:
        data = file.read()
    pe = int.from_bytes(data[0x3C:0x40], "little")
    count = int.from_bytes(data[pe + 6:pe + 8], "little")
    table = pe + 24 + int.from_bytes(data[pe + 20:pe + 22], "little")
    for at in range(table, table + 40 * count, 40):
        if data[at:at + 8].rstrip(b"\0").decode() == name:
            size, _, _, start = (int.from_bytes(data[at + i:at + i + 4], "little") for i in (8, 12, 16, 20))
            return data[start:start + size]
    return None


@unittest.skipUnless(os.path.exists(EFI), "make builds what is signed")
class Sign(unittest.TestCase):
    def test_every_image_says_its_generation(self):
        lines = section(EFI, ".sbat").decode().splitlines()
        self.assertTrue(lines[0].startswith("sbat,1,"))
        self.assertTrue(lines[1].startswith("lethe,1,"))
        for line in lines:
            self.assertEqual(line.count(","), 5)

    def test_one_of_the_two_alone_is_refused(self):
        status, said = call("make", "image", "SIGN_KEY=only.key")
        self.assertNotEqual(status, 0)
        self.assertIn("SIGN_KEY= and SIGN_CERT= go together", said)

    @unittest.skipUnless(shutil.which("sbsign") and shutil.which("openssl"), "tools/setup sign")
    def test_a_throw_away_key_signs(self):
        with tempfile.TemporaryDirectory() as folder:
            key, cert, other = (os.path.join(folder, name) for name in ("a.key", "a.crt", "b.crt"))
            for out_key, out_cert in ((key, cert), (os.path.join(folder, "b.key"), other)):
                status, said = call("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                                    "-subj", "/CN=throw away/", "-keyout", out_key, "-out", out_cert)
                self.assertEqual(status, 0, said)
            signed = os.path.join(folder, "signed", "BOOTX64.EFI")
            status, said = call("tools/sign", key, cert, EFI, signed)
            self.assertEqual(status, 0, said)
            self.assertEqual(call("sbverify", "--cert", cert, signed)[0], 0)
            self.assertNotEqual(call("sbverify", "--cert", other, signed)[0], 0)
            self.assertNotEqual(call("sbverify", "--cert", cert, EFI)[0], 0)


if __name__ == "__main__":
    unittest.main()

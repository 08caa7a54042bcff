# SPDX-License-Identifier: MIT
"""The seam of the MMU (mm/mmu/backend.h): no file above it names a function of a back end.

A back end's functions are those that its headers declare (HEADERS). The core, the map, the hypervisor and the devices use the table instead, so a
new back end needs no change there.
"""

import os
import re
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
MMU = "mm/mmu/"
SEAM = MMU + "backend.h"
# Header of each back end, and of the ground that several share: how its files and its functions begin.
HEADERS = {MMU + "ept.h": "ept", MMU + "indirect.h": "indirect"}
# A back end that is a room of its own: it stands on the ground, and no file but its own may name what is below its interface.
ROOM = "mm/shadow/"
FOLDERS = ("mm", "drivers", "guest", "hv", "boot")


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)


def functions_of(header, prefix):
    """Names of the functions and macros with arguments that a header has, if they begin with the prefix."""
    return set(re.findall(r"\b(%s_\w+)\(" % prefix, without_comments(header)))


def findings(files):
    """A line for each file (name: text) above the seam that includes or names what is a back end's."""
    names = set()
    for header, prefix in HEADERS.items():
        names |= functions_of(files[header], prefix)
    own = re.compile(r"%s(%s)(_\w+)?\.[ch]$" % (MMU, "|".join(HEADERS.values())))
    for name, text in sorted(files.items()):
        if name == SEAM or own.match(name) or name.startswith(ROOM):
            continue
        text = without_comments(text)
        for include in re.findall(r'#include "([^"]+)"', text):
            if own.match(include) or (include.startswith(ROOM) and include != ROOM + "shadow.h"):
                yield "%s includes %s" % (name, include)
        for word in sorted(set(re.findall(r"\b\w+\b", text)) & names):
            yield "%s names %s" % (name, word)


def tree():
    files = {}
    for folder in FOLDERS:
        for path, _, names in os.walk(os.path.join(TOP, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    whole = os.path.join(path, name)
                    with open(whole, encoding="utf-8") as f:
                        files[os.path.relpath(whole, TOP)] = f.read()
    return files


class Seam(unittest.TestCase):
    def test_no_back_end_is_named_above_the_seam(self):
        self.assertEqual(list(findings(tree())), [])

    def test_a_name_or_an_include_above_the_seam_is_found(self):
        files = tree()
        self.assertIn("ept_unmap", functions_of(files[MMU + "ept.h"], "ept"))
        files[MMU + "removal.c"] += '\n#include "mm/mmu/indirect.h"\nint x(void) { return ept_unmap(0); }\n/* ept_cut() */\n'
        self.assertEqual(list(findings(files)), [
            "mm/mmu/removal.c includes mm/mmu/indirect.h", "mm/mmu/removal.c names ept_unmap"])


if __name__ == "__main__":
    unittest.main()

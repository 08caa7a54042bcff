# SPDX-License-Identifier: MIT
"""tools/rooms on small trees: what it finds of an upward include, an upward symbol, a circle, and what it lets pass."""

import os
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

TREE = {
    "lib/log.h": "void log_line(void);\n",
    "lib/log.c": '#include "lib/log.h"\nvoid log_line(void) { }\n',
    "mm/map/slots.h": "int slots;\n",
    "mm/map/slots.c": '#include "lib/log.h"\nvoid slots_find(void); void slots_find(void) { log_line(); }\n',
    "mm/mmu/fault.c": '#include "mm/map/slots.h"\nvoid slots_find(void); void fault(void) { slots_find(); }\n',
    "hv/run.c": "void fault(void); void linker_made(void); void run(void) { fault(); linker_made(); }\n",
}
LIST = ("lib", "mm/map", "mm/mmu", "hv")


def rooms(changes, *words, build=True, names=LIST):
    """What tools/rooms prints of the tree with these files changed or added, without its own name."""
    with tempfile.TemporaryDirectory() as top:
        files = {**TREE, **changes}
        for path, text in files.items():
            os.makedirs(os.path.join(top, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(top, path), "w", encoding="utf-8") as file:
                file.write(text)
        for path in files:
            if build and path.endswith(".c"):
                built = os.path.join(top, "obj", path[:-2] + ".o")
                os.makedirs(os.path.dirname(built), exist_ok=True)
                subprocess.run(["gcc", "-flto", "-I.", "-c", "-o", built, path], cwd=top, check=True)
        objects = ["--objects", os.path.join(top, "obj")] if build else []
        done = subprocess.run(
            [os.path.join(TOP, "tools", "rooms"), "--top", top, *objects, *words, *names], check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    lines = [line.replace("rooms: ", "", 1) for line in done.stdout.splitlines()]
    if done.returncode != (1 if lines else 0):
        lines.append("status %d" % done.returncode)
    return lines


class Rooms(unittest.TestCase):
    def test_a_tree_that_keeps_the_list_is_clean(self):
        self.assertEqual(rooms({}), [])
        self.assertEqual(rooms({}, build=False), [])

    def test_an_upward_include_is_found_with_its_line(self):
        found = rooms({"mm/map/slots.c": '\n#include "mm/mmu/own.h"\n', "mm/mmu/own.h": "\n", "mm/mmu/fault.c": "\n"})
        self.assertEqual(found, ["mm/map/slots.c:2: includes mm/mmu/own.h: room mm/mmu comes after mm/map in the list"])

    def test_an_include_that_names_no_folder_is_found(self):
        found = rooms({"mm/map/slots.c": '#include "../mmu/own.h"\n', "mm/mmu/own.h": "\n", "mm/mmu/fault.c": "\n"})
        self.assertEqual(found, ["mm/map/slots.c:1: includes mm/mmu/own.h: room mm/mmu comes after mm/map in the list"])

    def test_an_include_of_the_tests_is_found(self):
        found = rooms({"lib/log.c": '#include "tests/fake.h"\nvoid log_line(void) { }\n', "tests/fake.h": "\n"})
        self.assertEqual(found, ["lib/log.c:1: includes tests/fake.h, which is in no room"])

    def test_an_upward_symbol_is_found_without_an_include(self):
        changes = {"lib/log.c": "void fault(void); void log_line(void) { fault(); }\n", "mm/mmu/fault.c": "void fault(void) { }\n"}
        self.assertEqual(rooms(changes), ["lib/log.c: uses fault of mm/mmu/fault.c: room mm/mmu comes after lib in the list"])
        self.assertEqual(rooms(changes, build=False), [])

    def test_a_circle_is_shown_with_each_step(self):
        found = rooms({"mm/map/slots.c": "void fault(void); void slots_find(void) { fault(); }\n"})
        self.assertEqual(found, [
            "mm/map/slots.c: uses fault of mm/mmu/fault.c: room mm/mmu comes after mm/map in the list",
            "circle: mm/map -> mm/mmu (mm/map/slots.c: uses fault of mm/mmu/fault.c); "
            "mm/mmu -> mm/map (mm/mmu/fault.c:1: includes mm/map/slots.h)"])

    def test_a_narrow_room_may_not_use_what_stands_between(self):
        found = rooms({"hv/run.c": '#include "mm/map/slots.h"\n#include "lib/log.h"\n'}, "--only", "hv=lib")
        self.assertEqual(found, ["hv/run.c:1: includes mm/map/slots.h: room hv may use only lib, hv"])

    def test_a_file_in_no_room_is_found(self):
        self.assertEqual(rooms({"mm/stray.c": "\n"}), ["mm/stray.c: is in no room of the list"])

    def test_a_list_that_is_wrong_is_refused(self):
        self.assertEqual(rooms({}, names=LIST + ("lib",)), ["lib stands in the list more than once"])
        self.assertEqual(rooms({}, "--only", "guest=lib"), ["--only guest=lib: the list has no room guest"])

    def test_a_source_that_is_not_built_is_refused(self):
        found = rooms({}, "--objects", "/nonexistent", build=False)
        self.assertEqual(found, ["hv/run.c is not built: there is no /nonexistent/hv/run.o"])


if __name__ == "__main__":
    unittest.main()

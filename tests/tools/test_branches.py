# SPDX-License-Identifier: MIT
"""tools/branches and tools/returns: the image branches indirectly and returns in its thunks only, planted ones are named."""

import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
IMAGE = os.path.join(TOP, "build", "lethe.so")
THUNK = "__x86_indirect_thunk_"
RETURN = "__x86_return_thunk"


def branches(path):
    """Status and output of tools/branches."""
    done = subprocess.run([os.path.join(TOP, "tools", "branches"), path], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    return done.returncode, done.stdout


def symbols():
    """Name to address, of the image."""
    listed = subprocess.run(["nm", IMAGE], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    return {line.split()[2]: int(line.split()[0], 16) for line in listed.splitlines() if len(line.split()) == 3}


def load(start, size):
    """Bytes of the image at an address: it is linked at 0, and has no segment for objcopy to move."""
    sections = ["-j", ".text", "-j", ".rodata", "-j", ".symbols"]  # debug sections begin at 0, too
    row = start & ~15  # where objdump begins a row, it has four groups of digits
    text = subprocess.run(["objdump", "-s", *sections, "--start-address=%d" % row, "--stop-address=%d" % (start + size),
                           IMAGE], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    rows = re.findall(r"^ [0-9a-f]+ ((?:[0-9a-f]+ ){1,4})", text, re.MULTILINE)
    return bytes.fromhex("".join(rows).replace(" ", ""))[start - row:]


@unittest.skipUnless(os.path.exists(IMAGE), "make builds what is looked at")
class Branches(unittest.TestCase):
    def test_the_image_has_none_outside_its_thunks(self):
        self.assertEqual(branches(IMAGE), (0, ""))

    def test_thunks_lie_in_the_upper_half_of_a_cache_line(self):
        thunks = {name: at for name, at in symbols().items() if name.startswith(THUNK)}
        thunks[RETURN] = symbols()[RETURN]
        self.assertEqual(len(thunks), 16)
        self.assertEqual({at % 64 for at in thunks.values()}, {32})

    def test_each_jump_to_the_return_thunk_is_listed(self):
        names = symbols()
        code = load(names["_text"], names["_etext"] - names["_text"])
        listed = load(names["return_sites"], names["_esymbols"] - names["return_sites"])
        at, sites = 0, set()
        for (distance,) in struct.iter_unpack("<H", listed[:len(listed) // 2 * 2]):
            if not distance:
                break
            at += distance
            opcode, jump = struct.unpack_from("<Bi", code, at - names["_text"])
            self.assertEqual((opcode, at + 5 + jump), (0xE9, names[RETURN]))
            sites.add(at)
        jumps = subprocess.run(["objdump", "-d", "--no-show-raw-insn", IMAGE], check=True, stdout=subprocess.PIPE,
                               universal_newlines=True).stdout
        found = re.findall(r"^ *([0-9a-f]+):\tjmp +[0-9a-f]+ <%s>$" % RETURN, jumps, re.MULTILINE)
        self.assertGreater(len(found), 500)
        self.assertEqual({int(place, 16) for place in found}, sites)

    def test_what_replaces_the_thunks_is_for_the_same_registers(self):
        names = symbols()
        slots = load(names["thunks"], 15 * 64)
        plain = load(names["thunks_plain"], 15 * 32)
        lfence = load(names["thunks_lfence"], 15 * 32)
        retpoline = load(names["thunks_retpoline"], 15 * 32)
        for i in range(15):
            at = slice(32 * i, 32 * i + 32)
            self.assertEqual(slots[64 * i + 32:64 * i + 64], plain[at])
            self.assertEqual(lfence[at], b"\x0f\xae\xe8" + plain[at][:-3])  # LFENCE
            # JMP REG is [41] FF E0+reg; MOV [RSP], REG is 48 or 4C, 89, 04 + 8 * reg, 24.
            jump = plain[at].rstrip(b"\xcc")
            store = bytes([0x4C if jump[0] == 0x41 else 0x48, 0x89, 4 + 8 * (jump[-1] & 7), 0x24])
            loop = b"\xe8\x07\0\0\0" + b"\xf3\x90" + b"\x0f\xae\xe8" + b"\xeb\xf9"
            self.assertEqual(retpoline[at].rstrip(b"\xcc"), loop + store + b"\xc3")

    @unittest.skipUnless(shutil.which("nasm"), "tools/setup build")
    def test_a_planted_one_is_told(self):
        thunk = "global %srax:function\n%srax: jmp rax\n" % (THUNK, THUNK)
        thunk += "global %s:function\n%s: ret\n" % (RETURN, RETURN)
        cases = [(planted, "an indirect branch") for planted in ("call rbx", "jmp [rax + 8]", "jmp rax", "call far [rax]")]
        for planted, what in cases + [("ret", "a return"), ("ret 8", "a return"), ("rep ret", "a return")]:
            with tempfile.TemporaryDirectory() as folder:
                source, object_file = os.path.join(folder, "a.asm"), os.path.join(folder, "a.o")
                with open(source, "w", encoding="utf-8") as file:
                    file.write("bits 64\nglobal guilty:function\nguilty: %s\n%s" % (planted, thunk))
                subprocess.run(["nasm", "-f", "elf64", "-o", object_file, source], check=True)
                status, said = branches(object_file)
                self.assertEqual(status, 1, planted)
                self.assertIn(what + " in guilty:", said)

    def test_a_jump_that_leaves_no_room_for_a_ret_is_refused(self):
        for line in ("  10:\tje     40 <%s>\n" % RETURN, "  10:\tcall   40 <%s>\n" % RETURN,
                     "  10:\tjmp    40 <%s>\n  12:\tnop\n" % RETURN):
            done = subprocess.run([os.path.join(TOP, "tools", "returns")], input=line, check=False,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True)
            self.assertEqual(done.returncode, 1, line)
            self.assertIn("tools/returns: ", done.stderr)

# SPDX-License-Identifier: MIT
"""The terminal of an interactive run.

Every key goes to the guest, but for the escape key: Ctrl-] and then
    x       ends the machine
    Ctrl-]  sends one Ctrl-] to the guest
    ?       says this
"""

import os
import sys
import termios
import tty

ESCAPE_KEY = 0x1D
HELP = "Ctrl-] x ends the machine; Ctrl-] Ctrl-] sends Ctrl-]; every other key is the guest's"


class Console:
    """Standard input and output as the guest's terminal. Use it in a `with` block: it restores the terminal."""

    def __init__(self):
        self.input = sys.stdin.fileno()
        self.open = True
        self.ended = False
        self._saved = None
        self._escaped = False

    def __enter__(self):
        if os.isatty(self.input):
            sys.stderr.write("run: %s\n" % HELP)
            sys.stderr.flush()
            self._saved = termios.tcgetattr(self.input)
            tty.setraw(self.input)
        return self

    def __exit__(self, *_exception):
        if self._saved:
            termios.tcsetattr(self.input, termios.TCSADRAIN, self._saved)
            # What a program in the guest may have left: colours, a hidden cursor, another character set.
            os.write(sys.stderr.fileno(), b"\x1b[0m\x1b[?25h\x0f\r\n")

    def read(self):
        """Reads keys; returns what is for the guest. At the end of the input `open` becomes false."""
        data = os.read(self.input, 4096)
        if not data:
            self.open = False
            return b""
        return self._filter(data) if self._saved else data

    def _filter(self, data):
        out = bytearray()
        for key in data:
            if not self._escaped:
                if key == ESCAPE_KEY:
                    self._escaped = True
                else:
                    out.append(key)
                continue
            self._escaped = False
            if key in b"xX":
                self.ended = True
                break
            if key == ESCAPE_KEY:
                out.append(key)
            else:
                self.note(HELP)
        return bytes(out)

    def note(self, text, fresh=False):
        """Says something of the runner's own on the terminal; `fresh`: nothing stands in the line yet."""
        end = "\r\n" if self._saved else "\n"
        sys.stderr.write("%srun: %s%s" % ("" if fresh else end, text, end))
        sys.stderr.flush()

    @staticmethod
    def write(data):
        """Shows what the guest wrote."""
        view = memoryview(data)
        while view:
            view = view[os.write(sys.stdout.fileno(), view) :]

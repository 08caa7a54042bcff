# SPDX-License-Identifier: MIT
"""One run from its start to its end: moves bytes between the machine, the terminal, the log and the dialogue."""

import os
import select
import sys
import time

from .errors import RunnerError

# How long a machine whose guests are dead may go on before the dialogue is given up. A last message that the
# dialogue waits for is still to come over the line.
GRACE_SECONDS = 8.0
# Output comes by single bytes; a dialogue that looked at each would take a CPU from the machine.
BATCH_SECONDS = 0.01


class Session:
    """Runs `machine` until the dialogue is done, the person ends it, time is up, or the machine ends."""

    def __init__(self, machine, dialogue, timeout, log=None, console=None, show=False):
        self.machine = machine
        self.dialogue = dialogue
        self.scripted = dialogue.expected > 0
        self.console = console
        self._log = log
        self._show = show
        self._timeout = timeout
        self._out = b""

    def run(self):
        """Returns when the run went well; raises RunnerError, with the reason, when it did not."""
        start = time.monotonic()
        died = None
        self._take(b"")
        while True:
            if self.scripted and self.dialogue.done and not self._out:
                return
            if self.console and self.console.ended:
                return
            now = time.monotonic()
            if self._timeout and now - start > self._timeout:
                raise RunnerError("time-out after %g seconds%s" % (self._timeout, self._waiting()))
            if self.scripted and self.dialogue.dead:
                died = died or now
                if now - died > GRACE_SECONDS:
                    raise RunnerError(self.dialogue.dead + self._waiting())
            if self.scripted:
                time.sleep(BATCH_SECONDS)
            if not self._turn():
                self._machine_ended()
                return

    def _turn(self):
        """Waits a moment for anything to happen and handles it; false when the machine is gone."""
        serial, serial_in = self.machine.serial, self.machine.serial_in
        readers = [serial, *self.machine.drains]
        if self.console and self.console.open:
            readers.append(self.console.input)
        ended = self.machine.ended()  # asked first: what it wrote last is then ready to be read
        ready, writable, _ = select.select(readers, [serial_in] if self._out else [], [], 0 if ended else 0.2)
        for fd in ready:
            if fd in self.machine.drains:
                self.machine.drain(fd)
        gone = False
        if serial in ready:
            data = _read(serial)
            gone = not data
            self._take(data)
        elif ended:
            gone = True
        if writable and not gone:
            self._out = self._out[os.write(serial_in, self._out[:16]) :]
        if self.console and self.console.input in ready:
            self._out += self.console.read()
        return not gone

    def _take(self, data):
        if self._log:
            self._log.write(data)
            self._log.flush()
        if self.console or self._show:
            (self.console or _Output).write(data)
        for kind, text in self.dialogue.feed(data):
            if kind == "send":
                self._out += text.encode("latin-1", "replace")
            else:
                self.machine.type(text)

    def _machine_ended(self):
        """The serial line is closed. Says whether that was to be expected."""
        self.machine.wait()
        if self.scripted and not self.dialogue.done:
            reason = self.dialogue.dead or "the machine ended"
            raise RunnerError(reason + self._waiting() + self.machine.diagnosis())
        if "lethe: machine off" not in self.dialogue.transcript.text and not self.machine.ended_well():
            raise RunnerError("the machine ended unexpectedly" + self.machine.diagnosis())

    def _waiting(self):
        if not self.scripted or self.dialogue.done:
            return ""
        return "; %d of %d expectations met, waiting for: %s" % (
            self.dialogue.met,
            self.dialogue.expected,
            self.dialogue.waiting_for,
        )


class _Output:
    """Standard output, for --verbose."""

    @staticmethod
    def write(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _read(fd):
    """Reads from a serial line; nothing when it is closed. A pty whose other side is gone gives EIO."""
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""

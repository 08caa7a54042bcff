# SPDX-License-Identifier: MIT
"""One run from its start to its end: moves bytes between the machine, the terminal, the log and the dialogue."""

import os
import re
import select
import sys
import time

from .errors import RunnerError

# How long a machine whose guests are dead may go on before the dialogue is given up. A last message that the
# dialogue waits for is still to come over the line.
GRACE_SECONDS = 8.0
# A dialogue that is shown goes on until the machine says nothing for a moment, so that what it was saying is whole.
QUIET_SECONDS = 0.5
MOST_SECONDS = 3.0
# The screen is painted in slices of a few milliseconds of the guest's time: a picture that has not changed for this long
# is whole. A guest that draws without end gets the picture that it has by then.
STILL_SECONDS = 1.5
STILL_MOST_SECONDS = 30.0
# After so much silence the run says that it is alive.
SILENCE_SECONDS = 10.0
SHOWN_COLUMNS = 100
# From here on a silence is the guest's own business: the log of Lethe begins, or tools/native has started the kernel.
STARTED = re.compile(r"^(?:lethe: Lethe|native: start)", re.MULTILINE)
# Output comes by single bytes; a dialogue that looked at each would take a CPU from the machine.
BATCH_SECONDS = 0.01


class Session:
    """Runs `machine` until the dialogue is done, the person ends it, time is up, or the machine ends.

    `show`: what comes over the serial line goes to standard output. `picture`: run() returns the machine's screen.
    """

    def __init__(self, machine, dialogue, timeout, log=None, console=None, show=False, picture=False):
        self.machine = machine
        self.dialogue = dialogue
        self.scripted = dialogue.expected > 0
        self.console = console
        self._log = log
        self._show = show
        self._timeout = timeout
        self._picture = picture
        self._out = b""
        self._start = self._said = self._heard = time.monotonic()
        self._line_begun = False  # on standard output

    def run(self):
        """Returns the picture, if one is wanted, when the run went well; raises RunnerError when it did not."""
        died = None
        self.note("firmware starts (about %d s)" % self.machine.firmware_seconds)
        self._take(b"")
        while True:
            if self.scripted and self.dialogue.done and not self._out:
                break
            if self.console and self.console.ended:
                break
            now = time.monotonic()
            if self._timeout and now - self._start > self._timeout:
                raise RunnerError("time-out after %g seconds%s" % (self._timeout, self._waiting()))
            if self.scripted and self.dialogue.dead:
                died = died or now
                if now - died > GRACE_SECONDS:
                    raise RunnerError(self.dialogue.dead + self._waiting() + self.machine.diagnosis())
            if self.scripted:
                time.sleep(BATCH_SECONDS)
            self._show_progress(now)
            if not self._turn():
                self._machine_ended()
                break
        if self._show:
            self._finish_output()
        return self._whole_picture() if self._picture else None

    def note(self, text):
        """Says something of the runner's own, on a line of its own."""
        self._said = time.monotonic()
        if self.console:
            self.console.note(text, fresh=not self._line_begun)
            self._line_begun = False
            return
        if self._line_begun:
            _Output.write(b"\n")
            self._line_begun = False
        sys.stderr.write("run: %s\n" % text)
        sys.stderr.flush()

    def _show_progress(self, now):
        """After a long silence, says that the run goes on, and with what. A guest's shell may be silent, though."""
        shown = self.console or self._show
        if now - max(self._said, self._heard if shown else 0) < SILENCE_SECONDS:
            return
        if self.console and STARTED.search(self.dialogue.transcript.text):
            return
        last = self.dialogue.transcript.last_lines(1)
        self.note("%d s: %s" % (now - self._start, "last line: " + _cut(last[0]) if last else "nothing from the firmware yet"))

    def _finish_output(self):
        """Lets the machine go on until it is quiet."""
        start = self._heard = time.monotonic()
        while time.monotonic() - start < MOST_SECONDS and time.monotonic() - self._heard < QUIET_SECONDS:
            if not self._turn():
                break
        if self._line_begun:
            _Output.write(b"\n")

    def _whole_picture(self):
        """The screen, when it has stopped changing."""
        start = since = time.monotonic()
        picture = self.machine.picture()
        while time.monotonic() - since < STILL_SECONDS:
            if time.monotonic() - start > STILL_MOST_SECONDS:
                self.note("the screen does not stop changing: the picture may be torn")
                break
            if not self._turn():
                self.machine.wait()
                return self.machine.picture()
            now = self.machine.picture()
            if now != picture:
                picture, since = now, time.monotonic()
        return picture

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
        elif self.dialogue.timed:
            self._take(b"")
        if writable and not gone:
            self._out = self._out[os.write(serial_in, self._out[:16]) :]
        if self.console and self.console.input in ready:
            self._out += self.console.read()
        return not gone

    def _take(self, data):
        if self._log:
            self._log.write(data)
            self._log.flush()
        if data:
            self._heard = time.monotonic()
        if self.console or self._show:
            (self.console or _Output).write(data)
            self._line_begun = data[-1:] != b"\n" if data else self._line_begun
        todo = self.dialogue.feed(data)
        for line in self.dialogue.take_seen():
            if self.scripted and not self._show:
                self.note("%.1f s: seen: %s" % (time.monotonic() - self._start, _cut(line)))
        for kind, text in todo:
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


def _cut(line):
    """A line, shortened for a message."""
    return line if len(line) <= SHOWN_COLUMNS else line[: SHOWN_COLUMNS - 3] + "..."


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

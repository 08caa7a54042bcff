# SPDX-License-Identifier: MIT
"""The dialogue of --expect, --quiet, --send and --type, and the signs that no answer will come any more."""

import codecs
import re
import time

# CSI, OSC and two-character escape sequences (ECMA-48), and a begun one at the end of the text.
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
BEGUN_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)$")
END_OF_LINE = re.compile(r"\r*\n")

VM_EXITED = re.compile(r"^lethe: vm (\S+) exited: ", re.MULTILINE)
FATAL = re.compile(
    r"^lethe: machine off|^lethe: PANIC|^Lethe cannot start|^BdsDxe: failed to load"
    r"|^native: failed|Kernel panic - not syncing",
    re.MULTILINE,
)


class Transcript:
    """The serial line's text as a person would read it: without escape sequences, lines ended by one newline.

    A carriage return within a line stays: what follows overwrites the line, as a progress display does.
    """

    def __init__(self):
        self.text = ""
        self._pending = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data):
        """Takes bytes as they came."""
        raw = self._pending + self._decoder.decode(data)
        begun = BEGUN_ESCAPE.search(raw)
        # A sequence that never ends is no sequence.
        cut = begun.start() if begun and len(raw) - begun.start() < 256 else len(raw)
        plain = ESCAPE.sub("", raw[:cut])
        kept = len(plain.rstrip("\r"))  # what a carriage return means is told by what follows it
        self._pending = plain[kept:] + raw[cut:]
        self.text += END_OF_LINE.sub("\n", plain[:kept])

    def last_lines(self, count):
        """The last lines that say something, as they stood at the end."""
        lines = (line.rstrip("\r").rpartition("\r")[2] for line in self.text[-20000:].split("\n"))
        return [line for line in lines if line.strip()][-count:]


def unescape(text):
    r"""Text of --send and --type: \r \n \t \b \e \\ and \xNN are understood."""
    names = {"r": "\r", "n": "\n", "t": "\t", "b": "\b", "e": "\x1b", "\\": "\\"}

    def one(found):
        code = found.group(1)
        return chr(int(code[1:], 16)) if code[0] == "x" else names[code]

    return re.sub(r"\\(x[0-9a-fA-F]{2}|[rntbe\\])", one, text)


class Dialogue:
    """Carries out a list of ("expect", compiled regex), ("quiet", seconds), ("send", text) and ("type", text) in order.

    An expectation is looked for behind the place where the one before was met; those of `also` anywhere. "quiet" is over
    when nothing has come for so many seconds of `clock` since its turn came.
    """

    def __init__(self, steps, also, vms, clock=time.monotonic):
        self.transcript = Transcript()
        self.steps = list(steps)
        self._also = list(also)
        self.expected = sum(1 for kind, _ in steps if kind == "expect") + len(also)
        self.met = 0
        self.seen = []  # the lines that met the expectations since take_seen()
        self.dead = None
        self._vms = vms
        self._clock = clock
        self._silent_since = None  # while a "quiet" has its turn
        self._position = 0
        self._looked = 0
        self._exited = 0

    @property
    def done(self):
        """Whether everything expected was seen and everything to be sent is sent."""
        return not self.steps and not self._also

    @property
    def timed(self):
        """Whether it waits for silence: then it is to be fed when nothing comes, too."""
        return self.steps[:1] and self.steps[0][0] == "quiet"

    @property
    def waiting_for(self):
        """What is waited for: expressions, or silence."""
        waiting = [value.pattern if kind == "expect" else "silence" for kind, value in self.steps[:1]]
        return " and ".join(waiting + [value.pattern for value in self._also])

    def feed(self, data):
        """Takes what came over the serial line; returns what to do now: a list of ("send" or "type", text)."""
        self.transcript.feed(data)
        out = []
        while self.steps:
            kind, value = self.steps[0]
            if kind == "expect":
                found = value.search(self.transcript.text, self._position)
                if not found:
                    break
                self._position = found.end()
                self._note(found)
            elif kind == "quiet":
                if not self._was_quiet(value, bool(data)):
                    break
            else:
                out.append((kind, value))
            self.steps.pop(0)
        unseen = []
        for value in self._also:
            found = value.search(self.transcript.text)
            if found:
                self._note(found)
            else:
                unseen.append(value)
        self._also = unseen
        self._look_for_death()
        return out

    def _was_quiet(self, seconds, heard):
        """Whether nothing has come for so long. `heard`: something has come just now."""
        now = self._clock()
        if self._silent_since is None or heard:
            self._silent_since = now
        if now - self._silent_since < seconds:
            return False
        self._silent_since = None
        return True

    def _note(self, found):
        """Counts a met expectation and keeps the lines that it was found in, as far as they have come."""
        text = self.transcript.text
        start = text.rfind("\n", 0, found.start() + (found.start() < found.end())) + 1
        start = min(start, found.start())
        end = text.find("\n", max(found.end() - 1, start))
        shown = text[start : len(text) if end < 0 else end].strip("\n")
        self.met += 1
        self.seen.append(" | ".join(line.rpartition("\r")[2].strip() for line in shown.split("\n")))

    def take_seen(self):
        """The lines that have met an expectation since the last call."""
        seen, self.seen = self.seen, []
        return seen

    def _look_for_death(self):
        """Notes why nothing more can be expected: all guests ended, or the hypervisor or machine did."""
        text = self.transcript.text
        end = text.rfind("\n") + 1  # whole lines only, and each once
        news, self._looked = text[self._looked : end], end
        self._exited += len(VM_EXITED.findall(news))
        fatal = FATAL.search(news)
        if self.dead:
            return
        if self._exited >= self._vms:
            self.dead = "the guest ended"
        elif fatal:
            self.dead = "it said: " + news[fatal.start() :].split("\n", 1)[0].strip()

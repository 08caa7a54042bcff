# SPDX-License-Identifier: MIT
"""The commands of README.md and docs/*.md, and what the text says that they show.

A command stands in a fenced block whose language is `console`:

    ```console
    # 12 s
    $ tools/run --kernel build/demo/hello.bin --expect 'machine off' -v
    ...
    hello from a guest
    ...
    lethe: machine off
    ```

`$ ` begins a command, which a backslash at the end of a line continues. `demo:~# ` begins what is typed at the guest's
prompt, and is expected to be shown. The other lines are expected in this order, one right behind the other, anywhere in the
output; `...` stands for any text in a line, and alone in a line for any lines. A comment before a command says

    # 12 s                      what it costs, in seconds of a free CPU
    # status 1                  with which status it ends, if not 0
    # not run: REASON           that the tests leave it out, and why

and counts for the next command only.
"""

import re
from dataclasses import dataclass, field
from typing import List

PROMPT = "demo:~# "
COST = re.compile(r"# ([\d.]+) s$")
STATUS = re.compile(r"# status (\d+)$")
NOT_RUN = re.compile(r"# not run: (.+)$")
# What begins a command; it must not stand where no test sees it.
COMMAND = re.compile(r"(?:\$ |# )?(?:sudo )?(?:[A-Z_]+=\S+ )*(?:make|openssl |tools/|tests/\w+/run|build/|qemu-system|dd |modprobe |docker |podman )")
INLINE = re.compile(r"`(tools/run --(?!help)[^`]+|LETHE_\w+=[^` ]+ [^`]+)`")


@dataclass
class Command:
    """One command of a document."""

    where: str  # file:line
    block: str  # file:line of its block, whose commands belong together
    text: str
    cost: float = 10
    status: int = 0
    reason: str = ""  # why it is not run
    typed: List[str] = field(default_factory=list)
    expected: List[str] = field(default_factory=list)


def _console(where, lines):
    """The commands of one block; `lines` are (number, text)."""
    commands, cost, status, reason, continued = [], None, 0, "", False
    block = "%s:%d" % (where, lines[0][0]) if lines else where
    for number, line in lines:
        if continued:
            commands[-1].text = commands[-1].text[:-1].rstrip() + " " + line.strip()
        elif line.startswith("$ "):
            commands.append(Command("%s:%d" % (where, number), block, line[2:], cost or 10, status, reason))
            cost, status, reason = None, 0, ""
        elif COST.match(line):
            cost = float(COST.match(line).group(1))
        elif STATUS.match(line):
            status = int(STATUS.match(line).group(1))
        elif NOT_RUN.match(line):
            reason = NOT_RUN.match(line).group(1)
        elif not commands:
            raise ValueError("%s:%d: output without a command: %s" % (where, number, line))
        else:
            if line.startswith(PROMPT):
                commands[-1].typed.append(line[len(PROMPT) :])
            commands[-1].expected.append(line.rstrip())
        continued = bool(commands) and commands[-1].text.endswith("\\")
    return commands


def commands_of(where, text):
    """(the commands of a document, places at which a command stands where no test sees it)."""
    commands, strays = [], []
    indent, fence, block = 0, None, []
    for number, line in enumerate(text.split("\n"), 1):
        opened = re.match(r"( *)```(\S*)", line)
        if fence is not None:
            if line.strip() == "```":
                commands += _console(where, block) if fence == "console" else []
                fence = None
            elif fence == "console":
                block.append((number, line[indent:] if not line[:indent].strip() else line))
            elif COMMAND.match(line):
                strays.append("%s:%d: a command in a block that is not `console`: %s" % (where, number, line))
        elif opened:
            indent, fence, block = len(opened.group(1)), opened.group(2), []
        elif line.startswith("    ") and COMMAND.match(line[4:]):
            strays.append("%s:%d: a command outside a `console` block: %s" % (where, number, line.strip()))
        else:
            strays += ["%s:%d: a command within a sentence: %s" % (where, number, found) for found in INLINE.findall(line)]
    if fence is not None:
        strays.append("%s: a block is not closed" % where)
    return commands, strays


def _pattern(lines):
    """A regular expression for expected lines."""
    out = ""
    for line in lines:
        if line.strip() == "...":
            out += r"(?:.*\n)*?"
        else:
            out += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return "^" + out


def shown(text):
    """Output as a person sees it in the end: without what was overwritten, or blanks at the ends of lines."""
    return "".join(line.rstrip("\r").rpartition("\r")[2].rstrip() + "\n" for line in text.split("\n"))


def first_missing(expected, text):
    """None if the output has what is expected, else the first line of it that is missing."""
    text = shown(text)
    for count in range(len(expected), -1, -1):
        if not count or re.search(_pattern(expected[:count]), text, re.MULTILINE):
            return None if count == len(expected) else expected[count]
    return None

# SPDX-License-Identifier: MIT
"""The machine under Bochs.

COM1 is a pseudo-terminal, which works in both directions and needs no port of the network. Bochs's display
`term` opens a second one and says its name; what it draws there is thrown away, what is written there are keys
of the machine's keyboard.

        runner                        Bochs
        serial master  <-- pty -->    com1: mode=term
        display slave  <-- pty -->    display_library: term
        bochs.log, output.txt         messages, bochsfix's lines
"""

import os
import pty
import re
import subprocess
import time
import tty

from .errors import RunnerError, UsageError
from .process import cpu_seconds
from .screen import bochs_picture
from .suggest import unknown_model

DEFAULT_CPU = "corei7_skylake_x"

# Nothing but the emulated CPU's own work advances time: with one CPU a run is repeatable to the tick.
STEADY_IPS = 50_000_000
# For a person: the machine's clock does not run ahead of the wall's, so that an idle shell idles.
LIVE_IPS = 100_000_000

# What Bochs logs with a level of its own, the messages behind it: why a VM entry failed, why a CPU was shut down or reset.
LOG_LINE = re.compile(r"^\d+([pe])\[([^\]]*)\] (?:>>PANIC<< )?(.*)")
REASON = re.compile(r"VMFAIL|VMENTER|VMENTRY|VMABORT|VMX abort|with no resolution|[Tt]riple fault|shutdown|reset")
POWER_OFF = re.compile(r"soft power off|Shutdown port")

KEY_SECONDS = 0.05  # Bochs looks for keys now and then

CONFIG = """\
display_library: term
config_interface: textconfig
romimage: file="{root}/usr/share/ovmf/OVMF.fd"
vgaromimage: file="{root}/usr/share/vgabios/vgabios.bin"
cpu: model={cpu}, count={cpus}, ips={ips}, cpuid_freq=ips, reset_on_triple_fault=0, ignore_bad_msrs=1{features}
memory: guest={mib}, host={mib}
pci: enabled=1, chipset=i440fx{vga}
vga: extension=vbe
fw_cfg: enabled=1
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="{disk}", mode=flat
boot: disk
com1: enabled=1, mode=term, dev={serial}
port_e9_hack: enabled=1
clock: sync={sync}
log: "{directory}/bochs.log"
panic: action=report
error: action=report
info: action=report
debug: action=ignore
"""


class Bochs:
    """A machine under Bochs; the serial line is the file descriptor `serial`, for reading and (`serial_in`) writing."""

    name = "bochs"
    firmware_seconds = 9  # on a free core of today

    def __init__(self, scope, command, options):
        self._scope = scope
        self._command = command
        self._options = options
        self._child = None
        self._line = None
        self._display = None
        self.serial = None
        self.serial_in = None
        self.drains = []

    def start(self, disk):
        """Starts the machine with the disk image."""
        options = self._options
        if options.gdb:
            raise UsageError("Bochs has no stub for gdb; --gdb works with --backend kvm or tcg")
        self.serial, line = pty.openpty()
        self.serial_in = self.serial
        tty.setraw(line)
        root = subprocess.run(
            [self._command, "--root"], check=True, stdout=subprocess.PIPE, universal_newlines=True
        ).stdout.strip()
        config = CONFIG.format(
            # A PCI display adapter is what the firmware offers as GOP. Drawing costs the guest time.
            vga=", slot1=pcivga" if options.screen else "",
            root=root.rstrip("/"),
            cpu=options.cpu or DEFAULT_CPU,
            cpus=topology(options.cpus, options.threads),
            ips=STEADY_IPS if options.steady else LIVE_IPS,
            sync="none" if options.steady else "slowdown",
            # Bochs lets a waiting CPU of several crawl if it offers MWAIT.
            features=', exclude_features="mwait"' if options.cpus > 1 else "",
            mib=options.mem >> 20,
            disk=disk,
            serial=os.ttyname(line),
            directory=self._scope.directory,
        )
        with open(self._scope.path("bochsrc"), "w", encoding="utf-8") as file:
            file.write(config + "".join(line + "\n" for line in options.machine_arg))
        with open(self._scope.path("output.txt"), "wb") as output:
            self._child = self._scope.spawn(
                [self._command, "-q", "-f", self._scope.path("bochsrc")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._scope.directory,
                env=dict(os.environ, TERM="vt100", LINES="25", COLUMNS="80", BOCHSFIX_SCREEN=self._scope.path("screen")),
            )
        # It stays open here: else reading the serial line would fail before Bochs has opened it.
        self._line = line
        self._open_display()
        if self.ended() and options.cpu and options.cpu not in self.models():
            raise UsageError(unknown_model("Bochs", options.cpu, self.models()))

    def models(self):
        """The names of the CPU models that Bochs has."""
        text = subprocess.run(
            [self._command, "--help", "cpu"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True, errors="replace", check=False,
        ).stdout
        return re.findall(r"^[a-z]\w*$", text.partition("Supported CPU models:")[2], re.MULTILINE)

    def _open_display(self):
        """Opens the terminal that the display has made; a Bochs that makes none is about to end."""
        deadline = time.monotonic() + 30
        while self._display is None and not self.ended() and time.monotonic() < deadline:
            for line in self._lines("output.txt"):
                found = re.search(r'connected to screen "(/dev/\S+)"', line)
                if found:
                    self._display = os.open(found.group(1), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                    self.drains = [self._display]
            time.sleep(0.02)

    @staticmethod
    def drain(fd):
        """Throws away what Bochs draws."""
        try:
            while os.read(fd, 65536):
                pass
        except OSError:
            pass  # nothing more, or no Bochs

    def clock(self):
        """Seconds by which silence is measured: of CPU time, so that a busy host makes the machine no more silent."""
        return cpu_seconds(self._child)

    def ended(self):
        """Whether the machine is gone. Bytes may still wait on the serial line."""
        return self._child.poll() is not None

    def wait(self):
        """Waits for the end, which is near."""
        self._child.wait(timeout=10)

    @staticmethod
    def ended_well():
        """A machine that was switched off through port 0x8900 and one that broke both end with status 1."""
        return False

    def diagnosis(self):
        """What Bochs itself had to say, as further lines of a message: nothing after a machine that was switched off."""
        lines = diagnosis_lines(self._lines("output.txt"), self._lines("bochs.log"))
        return "".join("\n    " + line for line in lines)

    def _lines(self, name):
        try:
            with open(self._scope.path(name), encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def picture(self):
        """The machine's screen as a PNG file. Also of a machine that has ended."""
        return bochs_picture(self._child.pid, self._scope.path("screen"))

    def type(self, text):
        """Types on the machine's keyboard: Bochs takes what its own terminal gives for keys."""
        for character in text:
            os.write(self._display, character.encode("latin-1", "replace"))
            time.sleep(KEY_SECONDS)
            self.drain(self._display)


def topology(cpus, threads):
    """Bochs's count of CPUs: a number, or packages:cores:threads."""
    return str(cpus) if threads == 1 else "1:%d:%d" % (cpus // threads, threads)


def diagnosis_lines(output, log):
    """The lines of Bochs's output and log that say why something went wrong."""
    lines = [line for line in output if line.startswith("bochsfix: ") and not line.endswith(": repaired")]
    reasons = []
    for line in log:
        found = LOG_LINE.match(line)
        if not found or POWER_OFF.search(line):
            continue
        level, part, text = found.groups()
        if level == "p" or (part.startswith("CPU") and REASON.search(text)):
            reasons.append("Bochs: %s: %s" % (part.strip(), text))
    # The first is the cause; the last is the end.
    return lines + (reasons if len(reasons) <= 6 else reasons[:3] + ["..."] + reasons[-3:])


def bochs_command(directory):
    """The command that tools/setup wrote."""
    command = os.path.join(directory, "bochs")
    if not os.access(command, os.X_OK):
        raise RunnerError("Bochs is not there yet; run: tools/setup bochs")
    return command

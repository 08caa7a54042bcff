# SPDX-License-Identifier: MIT
"""The machine under QEMU: with KVM and nested VMX, or with TCG for what needs no VMX.

COM1 is a pair of named pipes in the run's directory, QEMU's monitor (QMP) a local socket on which the runner listens.
Both are there before QEMU starts, so there is no moment at which one side could miss the other.

        runner                      qemu-system-x86_64, q35
        com1.out  <-- pipe ----     COM1
        com1.in   --- pipe --->
        qmp   <-- local socket -->  monitor: screendump

A local socket does not do for COM1. QEMU writes single bytes, each of which takes a buffer of its own there, so that
some 280 fill it. A reader that is late by a few milliseconds then stops the UART, and firmware that waits for it gives
up after 190 us and drops the rest of its text (EDK2: SerialWrite in PciSioSerialDxe, with the time-out that TerminalDxe
sets). A pipe packs bytes, and holds a million of them.
"""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import time

from .errors import RunnerError, UsageError
from .suggest import unknown_model

PIPE_SIZE = 1 << 20  # what a user without privileges may have (proc(5): /proc/sys/fs/pipe-max-size)

FIRMWARE = [  # code, variables
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
]


class Qemu:
    """A machine under QEMU; the serial line is read from the file descriptor `serial`, written to `serial_in`."""

    def __init__(self, scope, name, options):
        self.name = name
        self.firmware_seconds = 3 if name == "kvm" else 9  # on a free core of today
        self.drains = []
        self.serial = None
        self.serial_in = None
        self._scope = scope
        self._options = options
        self._child = None
        self._sockets = []
        self._monitor = None

    def start(self, disk):
        """Starts the machine with the disk image."""
        program = shutil.which("qemu-system-x86_64")
        firmware = [pair for pair in FIRMWARE if all(map(os.path.exists, pair))]
        if not program or not firmware:
            raise RunnerError("QEMU or its firmware (OVMF) is not installed; run: tools/setup qemu")
        code, variables = firmware[0]
        shutil.copyfile(variables, self._scope.path("vars.fd"))
        qmp = self._listen("qmp")
        self.serial, self.serial_in = self._pipe("com1.out", os.O_RDONLY), self._pipe("com1.in", os.O_RDWR)
        options = self._options
        kvm = self.name == "kvm"
        argv = [program, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "std"]
        argv += ["-machine", "q35,accel=" + self.name]
        argv += ["-cpu", options.cpu or ("host" if kvm else "max")]
        argv += ["-smp", "%d,threads=%d" % (options.cpus, options.threads), "-m", "%dM" % (options.mem >> 20)]
        argv += ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + _escaped(code)]
        argv += ["-drive", "if=pflash,format=raw,unit=1,file=" + _escaped(self._scope.path("vars.fd"))]
        argv += ["-drive", "if=none,id=disk,format=raw,file=" + _escaped(disk)]
        argv += ["-device", "ide-hd,drive=disk,bus=ide.0"]
        argv += ["-chardev", "pipe,id=com1,path=" + _escaped(self._scope.path("com1"))]
        argv += ["-chardev", "socket,id=qmp,path=" + _escaped(self._scope.path("qmp"))]
        argv += ["-serial", "chardev:com1", "-mon", "chardev=qmp,mode=control", "-no-reboot"]
        if options.gdb:
            argv += ["-S", "-gdb", "tcp:127.0.0.1:%d" % options.gdb]
        argv += options.machine_arg
        with open(self._scope.path("stderr.txt"), "wb") as errors:
            self._child = self._scope.spawn(argv, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        try:
            self._monitor = _Monitor(self._accept(qmp))
        except (RunnerError, OSError):
            # QEMU opens its monitor before it looks at the rest of its command line.
            self._child.wait(timeout=10)
            self._check_model()
            raise RunnerError("QEMU did not start" + self.diagnosis()) from None

    def _pipe(self, name, mode):
        """Makes a named pipe and opens the runner's end of it."""
        os.mkfifo(self._scope.path(name), 0o600)
        fd = os.open(self._scope.path(name), mode | os.O_NONBLOCK)
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            pass  # this user has too many pages in pipes: 64 KiB then, which is enough but for the busiest moments
        return fd

    def _check_model(self):
        model = (self._options.cpu or "").partition(",")[0]
        if model and model not in self.models():
            raise UsageError(unknown_model("QEMU", model, self.models()))

    def _listen(self, name):
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(self._scope.path(name))
        except OSError as error:
            raise UsageError("%s: %s (is TMPDIR's path too long?)" % (self._scope.path(name), error)) from error
        listener.listen(1)
        listener.settimeout(0.2)
        return listener

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except socket.timeout:
                if self.ended():
                    raise RunnerError("QEMU ended before it opened its monitor") from None
                continue
            connection.settimeout(None)
            self._sockets.append(connection)
            listener.close()
            return connection

    @staticmethod
    def models():
        """The names of the CPU models that QEMU has."""
        program = shutil.which("qemu-system-x86_64")
        if not program:
            raise RunnerError("QEMU is not installed; run: tools/setup qemu")
        text = subprocess.run(
            [program, "-cpu", "help"], stdout=subprocess.PIPE, universal_newlines=True, check=False
        ).stdout
        # "x86 NAME  description" in QEMU 7, "  NAME  description" in later ones
        return re.findall(r"^(?:x86|\s)\s*(\S+)", text.partition("Recognized CPUID")[0], re.MULTILINE)

    def drain(self, fd):
        """There is nothing to drain."""

    @staticmethod
    def clock():
        """Seconds by which silence is measured: of the wall clock, since a guest that waits takes no CPU time here."""
        return time.monotonic()

    def ended(self):
        """Whether the machine is gone. Bytes may still wait on the serial line."""
        return self._child.poll() is not None

    def wait(self):
        """Waits for the end, which is near."""
        self._child.wait(timeout=10)

    def ended_well(self):
        """Whether the machine was switched off, by the guest or from outside."""
        return self._child.returncode == 0

    def diagnosis(self):
        """What QEMU itself had to say, as further lines of a message."""
        with open(self._scope.path("stderr.txt"), encoding="utf-8", errors="replace") as file:
            return "".join("\n    " + line for line in file.read().splitlines()[-5:])

    def picture(self):
        """The machine's screen as a PNG file."""
        path = self._scope.path("screen.png")
        self._monitor.command("screendump", filename=path, format="png")
        with open(path, "rb") as file:
            return file.read()

    def type(self, text):
        """Types on the machine's keyboard."""
        for character in text:
            keys = [{"type": "qcode", "data": name} for name in _key_names(character)]
            self._monitor.command("send-key", keys=keys, **{"hold-time": 20})
            time.sleep(0.05)


class _Monitor:
    """QMP: one command at a time, answers matched in order (QEMU: docs/interop/qmp-spec.txt)."""

    def __init__(self, connection):
        self._stream = connection.makefile("rwb")
        self._read()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        """Carries out a command; raises RunnerError if QEMU refuses."""
        text = json.dumps({"execute": name, "arguments": arguments})
        self._stream.write(text.encode() + b"\n")
        self._stream.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise RunnerError("QEMU: %s: %s" % (name, answer["error"]["desc"]))
            if "return" in answer:
                return answer["return"]

    def _read(self):
        line = self._stream.readline()
        if not line:
            raise RunnerError("QEMU closed its monitor")
        return json.loads(line)


PLAIN = {" ": "spc", "\r": "ret", "\t": "tab", "\x1b": "esc", "\b": "backspace", "-": "minus", "=": "equal",
         "[": "bracket_left", "]": "bracket_right", ";": "semicolon", "'": "apostrophe", "`": "grave_accent",
         "\\": "backslash", ",": "comma", ".": "dot", "/": "slash"}
SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./"))


def _key_names(character):
    """The keys of a US keyboard that give a character, by QEMU's names."""
    if character in SHIFTED:
        return ["shift"] + _key_names(SHIFTED[character])
    if character.isupper():
        return ["shift", character.lower()]
    return [PLAIN.get(character, character)]


def _escaped(path):
    """A file name within a QEMU option: a comma is doubled."""
    return path.replace(",", ",,")

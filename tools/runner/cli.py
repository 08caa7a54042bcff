# SPDX-License-Identifier: MIT
"""The command line of tools/run."""

import argparse
import os
import re
import sys
import time

from . import backends, conf
from .console import HELP, Console
from .dialogue import Dialogue, unescape
from .errors import RunnerError, UsageError
from .process import Scope, Stopped
from .session import Session
from .suggest import did_you_mean

DESCRIPTION = """\
Starts Lethe on a machine: QEMU/KVM where nested VMX is usable, else Bochs. Without --kernel and --config the
guest is the demo: Debian's kernel and a busybox shell. Without --expect the terminal is the guest's console.
"""
EPILOG = """\
examples:
  tools/run                                              a Linux shell on the terminal
  tools/run --kernel build/demo/hello.bin --expect 'machine off' -v
  tools/run --set devices=rom --set removal=bulk --hv log=debug
  tools/run --cpus 2 --vcpus 2 --expect 'demo:~# ' --send 'nproc\\r' --expect '^2$'
the keys of --set and --hv: README.md, lethe.conf.
escape key: %s.
exit status: 0 all expectations met (or an interactive run ended); 1 time-out, dead guest or machine; 2 usage.
""" % HELP

SCRIPT_TIMEOUT = 600.0


def _size(text):
    """512M, 2G, 640K; a bare number is MiB."""
    found = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError("%r is not a size like 512M" % text)
    shift = {"K": 10, "M": 20, "": 20, "G": 30}[found.group(2).upper()]
    return int(found.group(1)) << shift


def _positive(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError("%r is not a positive number" % text)
    return int(text)


def _seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("%r is not a time in seconds" % text)
    return value


def _expression(text):
    try:
        return "expect", re.compile(text, re.MULTILINE)
    except re.error as error:
        raise argparse.ArgumentTypeError("%r is not a regular expression: %s" % (text, error))


def _silence(text):
    return "quiet", _seconds(text)


def _text(text):
    return "send", unescape(text)


def _keys(text):
    return "type", unescape(text)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and name the option that was probably meant."""

    def error(self, message):
        unknown = re.match(r"unrecognized arguments: (.*)", message)
        if unknown:
            word = unknown.group(1).split()[0]
            known = [name for action in self._actions for name in action.option_strings]
            message = "%s: there is no such option%s" % (word, did_you_mean(word.partition("=")[0], known))
        self.exit(2, "run: %s (tools/run --help lists all)\n" % message)


def parser():
    """The parser of the command line."""
    p = _Parser(
        prog="tools/run", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    machine = p.add_argument_group("the machine")
    machine.add_argument("--backend", choices=["auto", "kvm", "bochs", "tcg"], default="auto")
    machine.add_argument("--cpu", metavar="MODEL",
                         help="Bochs: corei7_skylake_x (default), ...; QEMU: host, max, ...; --cpu help lists them")
    machine.add_argument("--cpus", type=_positive, default=1, metavar="N")
    machine.add_argument("--threads", type=_positive, default=1, metavar="N",
                         help="of them, how many are threads of one core (SMT); default 1")
    machine.add_argument("--mem", type=_size, default=2 << 30, metavar="SIZE", help="default 2G")
    machine.add_argument(
        "--machine-arg", action="append", default=[], metavar="TEXT", help="a further bochsrc line or QEMU argument"
    )
    machine.add_argument("--gdb", type=_positive, nargs="?", const=1234, metavar="PORT",
                         help="QEMU only: wait for gdb on a local port (default 1234) before the first instruction")
    machine.add_argument("--screen", action="store_true",
                         help="Bochs: with a graphics screen (GOP), as --vga-dump implies; QEMU always has one")
    machine.add_argument("--steady", dest="steady", action="store_true", default=None,
                         help="Bochs: time is counted in instructions only, 50 million a second (the TSC has 50 MHz): the same run "
                              "each time; the default with --expect")
    machine.add_argument("--live", dest="steady", action="store_false",
                         help="Bochs: time does not outrun the wall clock (the TSC has 100 MHz); the default without --expect")

    guest = p.add_argument_group("the guest (written to a lethe.conf with one VM)")
    guest.add_argument("--kernel", metavar="FILE", help="a Linux bzImage, a multiboot image or a flat one")
    guest.add_argument("--initrd", metavar="FILE")
    guest.add_argument("--module", action="append", default=[], metavar="'FILE ARGS'", help="multiboot; repeatable")
    guest.add_argument("--cmdline", metavar="TEXT")
    guest.add_argument("--guest-mem", type=_size, default=512 << 20, metavar="SIZE", help="default 512M")
    guest.add_argument("--vcpus", type=_positive, metavar="N")
    guest.add_argument("--mmu", choices=["auto", "ept", "shadow"])
    guest.add_argument("--name", default="demo", help="the VM's name")
    guest.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a further line for the VM")
    guest.add_argument("--hv", action="append", default=[], metavar="KEY=VALUE", help="... for [hypervisor]")

    disk = p.add_argument_group("the disk")
    disk.add_argument("--efi", metavar="FILE", default=os.path.join(backends.TOP, "build", "BOOTX64.EFI"))
    disk.add_argument("--config", metavar="FILE", help="this lethe.conf instead of a written one")
    disk.add_argument("--no-config", action="store_true", help="no lethe.conf at all")
    disk.add_argument("--file", action="append", default=[], metavar="FILE[=NAME]", help="a further file; repeatable")
    disk.add_argument("--native", action="store_true", help="the firmware starts the kernel, without Lethe")
    disk.add_argument("--keep-image", metavar="FILE", help="keep a copy of the disk image")

    script = p.add_argument_group("the dialogue")
    script.add_argument("--expect", action="append", dest="steps", default=[], type=_expression, metavar="REGEX",
                        help="wait for this in the serial output (without escape sequences, ^ and $ by line)")
    script.add_argument("--quiet", action="append", dest="steps", type=_silence, metavar="SECONDS",
                        help="wait until nothing has come for so long (Bochs: seconds of its CPU time)")
    script.add_argument("--send", action="append", dest="steps", type=_text, metavar="TEXT",
                        help=r"send this; \r \n \t \b \e \\ \xNN are understood. Carried out in the order given")
    script.add_argument("--type", action="append", dest="steps", type=_keys, metavar="TEXT",
                        help="... but type it on the machine's own keyboard")
    script.add_argument("--also", action="append", default=[], type=lambda text: _expression(text)[1], metavar="REGEX",
                        help="wait for this, too, anywhere in the output; repeatable")
    script.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="default with --expect: 600")
    script.add_argument("--log", metavar="FILE", help="the whole serial output, byte by byte")
    script.add_argument("--vga-dump", metavar="FILE",
                        help="at the end, when the screen has stopped changing, a picture of it as PNG")
    script.add_argument("-v", "--verbose", action="store_true", help="with --expect: show the serial output")
    return p


def _check(options):
    if options.native and (options.config or options.no_config or options.file):
        raise UsageError("--native starts a kernel without Lethe: no --config, --no-config, --file")
    if options.config and options.no_config:
        raise UsageError("--config and --no-config exclude one another")
    if options.config or options.no_config:
        for name in ("kernel", "initrd", "module", "cmdline", "vcpus", "mmu", "set", "hv"):
            if getattr(options, name):
                raise UsageError("--%s writes a lethe.conf; with --config or --no-config it says nothing" % name)
    if options.config and not os.path.isfile(options.config):
        raise UsageError("%s: no such file" % options.config)
    if not (options.config or options.no_config or options.native) and options.guest_mem >= options.mem:
        raise UsageError("--guest-mem %dM is not less than the machine's memory, %dM: lower it, or give --mem %dM" % (
            options.guest_mem >> 20, options.mem >> 20, (options.guest_mem >> 20) + 256))
    if options.cpus % options.threads:
        raise UsageError("--threads %d: --cpus %d is no multiple of it" % (options.threads, options.cpus))
    if options.mem < 64 << 20:
        raise UsageError("--mem: the firmware alone wants 64M")
    options.scripted = bool(options.also) or any(kind == "expect" for kind, _ in options.steps)
    options.screen = options.screen or bool(options.vga_dump)
    if options.steps and not options.scripted:
        raise UsageError("--quiet, --send and --type want an --expect: an interactive run has its own keyboard")
    if options.steady is None:
        options.steady = options.scripted
    if options.timeout is None and options.scripted:
        options.timeout = SCRIPT_TIMEOUT


def _run(scope, options):
    """One run; raises RunnerError when it goes wrong."""
    machine = backends.machine(scope, options)
    payload = conf.native_payload(scope, options) if options.native else conf.lethe_payload(scope, options)
    disk = scope.path("disk.img")
    payload.write_image(disk)
    if options.keep_image:
        import shutil

        shutil.copyfile(disk, options.keep_image)
    log = open(options.log, "wb") if options.log else None
    machine.start(disk)
    if options.gdb:
        sys.stderr.write("run: waiting for gdb: target remote 127.0.0.1:%d\n" % options.gdb)
    dialogue = Dialogue(options.steps, options.also, payload.vms, machine.clock)
    try:
        if options.scripted:
            session = Session(
                machine, dialogue, options.timeout, log, show=options.verbose, picture=bool(options.vga_dump)
            )
            picture = session.run()
        else:
            with Console() as console:
                session = Session(machine, dialogue, options.timeout, log, console, picture=bool(options.vga_dump))
                picture = session.run()
        if options.vga_dump:
            with open(options.vga_dump, "wb") as file:
                file.write(picture)
    except RunnerError as error:
        if options.scripted and not options.verbose:
            error.lines = dialogue.transcript.last_lines(25)
        raise
    finally:
        if log:
            log.close()


def main(argv):
    """Runs; returns the exit status."""
    options = parser().parse_args(argv)
    start = time.monotonic()
    try:
        if options.cpu == "help":
            with Scope() as scope:
                print("\n".join(backends.machine(scope, options).models()))
            return 0
        _check(options)
        with Scope() as scope:
            _run(scope, options)
    except RunnerError as error:
        for line in getattr(error, "lines", []):
            sys.stderr.write("    | %s\n" % line)
        sys.stderr.write("run: %s\n" % error)
        return error.status
    except Stopped as stopped:
        sys.stderr.write("run: %s\n" % stopped)
        return 128 + stopped.number
    if options.scripted:
        met = len(options.also) + sum(1 for kind, _ in options.steps if kind == "expect")
        sys.stderr.write("run: %d of %d expectations met in %.1f s\n" % (met, met, time.monotonic() - start))
    return 0

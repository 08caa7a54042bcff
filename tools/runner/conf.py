# SPDX-License-Identifier: MIT
"""lethe.conf and the files that lie beside it, and the disk image made of them."""

import os
import re
import struct
import subprocess

from .backends import TOOLS, setup_directory
from .errors import RunnerError, UsageError

DEMO_CMDLINE = "console=ttyS0,115200 cryptomgr.notests=1"
MULTIBOOT_MAGIC = 0x1BADB002  # Multiboot 0.6.96, 3.1.1: in the first 8,192 bytes, 4-byte aligned


class Payload:
    """What the image holds beside BOOTX64.EFI."""

    def __init__(self, efi):
        self.efi = efi
        self.files = {}  # name beside BOOTX64.EFI -> path here
        self.vms = 1

    def add(self, path, name=None):
        """Adds a file; returns the name that it has beside BOOTX64.EFI."""
        if not os.path.isfile(path):
            raise UsageError("%s: no such file" % path)
        name = name or os.path.basename(path)
        if os.path.abspath(self.files.get(name, path)) != os.path.abspath(path):
            raise UsageError("%s: two files of this name; rename one with FILE=NAME" % name)
        self.files[name] = path
        return name

    def add_named(self, argument):
        """Adds FILE or FILE=NAME."""
        path, equals, name = argument.partition("=")
        return self.add(path, name if equals else None)

    def write_image(self, out):
        """Builds the disk image."""
        if not os.path.isfile(self.efi):
            raise UsageError("%s: no such file; run: make" % self.efi)
        argv = [os.path.join(TOOLS, "image"), "--out", out, "--efi", self.efi]
        argv += ["%s=%s" % (path, name) for name, path in sorted(self.files.items())]
        made = subprocess.run(argv, stderr=subprocess.PIPE, universal_newlines=True, check=False)
        if made.returncode:
            raise RunnerError("the disk image could not be built: " + made.stderr.strip())


def kind_of(path):
    """'linux', 'multiboot' or 'unknown', told by the header."""
    with open(path, "rb") as file:
        head = file.read(8192)
    # Linux: Documentation/arch/x86/boot.rst: boot_flag at 0x1fe, "HdrS" at 0x202
    if len(head) >= 0x206 and head[0x1FE:0x200] == b"\x55\xaa" and head[0x202:0x206] == b"HdrS":
        return "linux"
    for at in range(0, len(head) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<III", head, at)
        if magic == MULTIBOOT_MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return "multiboot"
    return "unknown"


def demo_file(name):
    """A file of the demo guest."""
    path = os.path.join(setup_directory(), "demo", name)
    if not os.path.isfile(path):
        raise RunnerError("the demo guest is not there yet; run: tools/setup demo")
    return path


def _guest(options):
    """(kernel, initrd, cmdline) with what follows from the kinds of files; the initrd may be None."""
    if not options.kernel:
        initrd = options.initrd or demo_file("initrd.img")
        return demo_file("vmlinuz"), initrd, DEMO_CMDLINE if options.cmdline is None else options.cmdline
    if not os.path.isfile(options.kernel):
        raise UsageError("%s: no such file" % options.kernel)
    kind = kind_of(options.kernel)
    if kind == "multiboot" and options.initrd:
        raise UsageError("%s is a multiboot image, which takes --module, not --initrd" % options.kernel)
    if kind == "linux" and options.module:
        raise UsageError("%s is a Linux kernel, which takes --initrd, not --module" % options.kernel)
    cmdline = options.cmdline
    if cmdline is None:
        cmdline = "console=ttyS0,115200" if kind == "linux" else ""
    return options.kernel, options.initrd, cmdline


def one_vm(payload, options):
    """The text of a lethe.conf with the one VM that the options describe; its files go into the payload."""
    kernel, initrd, cmdline = _guest(options)
    vm = ["[vm %s]" % options.name, "kernel = " + payload.add_named(kernel)]
    if initrd:
        vm.append("initrd = " + payload.add_named(initrd))
    for module in options.module:
        path, _, arguments = module.partition(" ")
        vm.append(("module = %s %s" % (payload.add_named(path), arguments)).rstrip())
    if cmdline:
        vm.append("cmdline = " + cmdline)
    # Options that were not given are left to Lethe's own defaults, but for the memory: the demo wants some.
    vm.append("memory = %dK" % (options.guest_mem >> 10) if options.guest_mem & 0xFFFFF else
              "memory = %dM" % (options.guest_mem >> 20))
    if options.vcpus is not None:
        vm.append("vcpus = %d" % options.vcpus)
    if options.mmu is not None:
        vm.append("mmu = " + options.mmu)
    vm += [_setting(text) for text in options.set]
    hypervisor = ["[hypervisor]"] + [_setting(text) for text in options.hv]
    if not any(line.startswith("console =") for line in hypervisor):
        hypervisor.append("console = serial, screen")
    return "\n".join(hypervisor + [""] + vm) + "\n"


def _setting(text):
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError("%s: a setting is KEY=VALUE" % text)
    return "%s = %s" % (key.strip(), value.strip())


def lethe_payload(scope, options):
    """What goes on the disk to start Lethe as the options ask."""
    payload = Payload(options.efi)
    if options.config:
        with open(options.config, encoding="utf-8", errors="replace") as file:
            payload.vms = max(1, len(re.findall(r"^\s*\[\s*vm\b", file.read(), re.MULTILINE)))
        payload.add(options.config, "lethe.conf")
    elif not options.no_config:
        path = scope.path("lethe.conf")
        text = one_vm(payload, options)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        payload.add(path, "lethe.conf")
    for argument in options.file:
        payload.add_named(argument)
    return payload


def native_payload(scope, options):
    """What goes on the disk to start the kernel by the firmware, without Lethe."""
    kernel, initrd, cmdline = _guest(options)
    payload = Payload(demo_file("native.efi"))
    payload.add(kernel, "vmlinuz")
    if initrd:
        payload.add(initrd, "initrd.img")
    with open(scope.path("cmdline"), "w", encoding="ascii") as file:
        file.write(cmdline)
    payload.add(scope.path("cmdline"))
    return payload

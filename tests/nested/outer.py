# SPDX-License-Identifier: MIT
"""The Linux around Lethe, where the host has no VT-x: two files, made without root or a loop device.

    initrd    busybox, the kernel's modules for KVM and an IDE disk, init, kvmbench
    disk      ext4: busybox, this system's QEMU with its libraries, UEFI firmware, start, run-case, and the cases

The firmware reads the initramfs slowly, so that all else lies on the second disk.
"""

import glob
import lzma
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tools", "initramfs"))

import newc  # noqa: E402 (the path comes first)

PROGRAM = "/usr/bin/qemu-system-x86_64"
# QEMU's own files: for the README's line the display's ROM; KVM's for the local APIC; the rest for a guest that QEMU loads.
QEMU_FILES = ["/usr/share/seabios/vgabios-stdvga.bin", "/usr/share/qemu/kvmvapic.bin", "/usr/share/seabios/bios-256k.bin",
              "/usr/share/qemu/linuxboot_dma.bin", "/usr/share/qemu/multiboot_dma.bin"]
# Debian 12's firmware asks 50,000 times for a TPM that is not there, which takes 20 s here; the one of Bochs does not.
FIRMWARE = "/usr/share/ovmf/OVMF.fd"
CC = ["gcc", "-Os", "-Wall", "-Wextra", "-s", "-static"]
BARE = ["-ffreestanding", "-fno-pie", "-no-pie", "-nostdlib", "-fno-stack-protector", "-fcf-protection=none"]


def _output(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout


def _module(path, work):
    """A kernel module without its debug information, as an entry for an initramfs: (name, entry)."""
    name = os.path.basename(path)
    plain = os.path.join(work, name.replace(".xz", ""))
    with open(path, "rb") as file:
        data = file.read()
    with open(plain, "wb") as file:
        file.write(lzma.decompress(data) if name.endswith(".xz") else data)
    _output("strip", "--strip-debug", "-R", ".BTF", plain)
    return os.path.basename(plain), newc.program(plain)


def write_initrd(path, made, work):
    """Writes the initramfs, for the Linux around Lethe and for the one that KVM is measured in."""
    entries = {name: newc.directory() for name in ("bin", "dev", "modules", "proc", "root")}
    entries.update(newc.busybox_entries(os.path.join(made, "demo", "busybox")))
    for module in glob.glob(os.path.join(made, "demo", "modules", "*")):
        name, entry = _module(module, work)
        entries["modules/" + name] = entry
    if "modules/kvm-intel.ko" not in entries:
        raise FileNotFoundError("the kernel's modules are not there; run: tools/setup demo")
    kvmbench = os.path.join(work, "kvmbench")
    _output(*CC, "-o", kvmbench, os.path.join(HERE, "kvmbench.c"))
    entries["bin/kvmbench"] = newc.program(kvmbench)
    entries["init"] = newc.program(os.path.join(HERE, "init"))
    entries.update(newc.CONSOLE)
    newc.write(path, entries)


def write_disk(path, made, work, files):
    """Writes the second disk; files: further ones, {name in its root: path here}."""
    busybox = os.path.join(made, "demo", "busybox")
    tsc = os.path.join(work, "tsc")
    _output(*CC, *BARE, "-o", tsc, os.path.join(TOP, "tools", "initramfs", "tsc.c"))
    root = _output(os.path.join(made, "bochs"), "--root").strip().rstrip("/")
    files = dict(files)
    files.update({"bin/busybox": busybox, "bin/tsc": tsc, "start": os.path.join(HERE, "start"),
                  "bin/run-case": os.path.join(HERE, "run-case"), FIRMWARE: root + FIRMWARE})
    files.update({name: name for name in [PROGRAM, *QEMU_FILES]})
    libraries = _output("ldd", PROGRAM).split()
    files.update({name: name for name in libraries if name.startswith("/")})
    tree = os.path.join(work, "tree")
    for name in ("proc", "sys", "dev", "tmp", "bin"):
        os.makedirs(os.path.join(tree, name))
    for name in newc.applets(busybox):
        os.symlink("busybox", os.path.join(tree, "bin", name))
    size = 0
    for name, source in files.items():
        to = os.path.join(tree, name.lstrip("/"))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        _output("cp", "--sparse=always", "--dereference", source, to)
        size += os.stat(to).st_blocks * 512
    size += size // 12 + (8 << 20)
    _output("/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", tree, path, "%dM" % (size >> 20))
    shutil.rmtree(tree)

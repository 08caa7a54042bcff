# SPDX-License-Identifier: MIT
"""Archives in the format `newc`, which Linux takes for an initramfs (Documentation/driver-api/early-userspace/
buffer-format.rst).

They are written here rather than by cpio so that devices need no root, and so that the same input gives the same bytes:
sorted names, owner 0, time 0.
"""

import stat
import subprocess

CONSOLE = {
    "dev/console": (stat.S_IFCHR | 0o600, b"", (5, 1)),
    "dev/null": (stat.S_IFCHR | 0o666, b"", (1, 3)),
}


class Archive:
    """A newc archive in the making."""

    def __init__(self):
        self.out = bytearray()
        self.inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        """Appends one entry; `mode` holds the type of file, as in stat(2)."""
        self.inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        path = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(path), 0]
        if name == "TRAILER!!!":
            fields[0] = 0
        self.out += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        self.pad(4)
        self.out += data
        self.pad(4)

    def pad(self, to):
        """Fills up with zeros to a multiple of `to` bytes."""
        self.out += bytes(-len(self.out) % to)


def directory():
    """An entry for a directory."""
    return stat.S_IFDIR | 0o755, b"", (0, 0)


def program(path):
    """An entry for a file that can be run."""
    with open(path, "rb") as file:
        return stat.S_IFREG | 0o755, file.read(), (0, 0)


def applets(busybox):
    """The names of busybox's programs."""
    text = subprocess.run([busybox, "--list"], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    return [name for name in text.split() if name != "busybox"]


def busybox_entries(busybox):
    """Entries for busybox and the names of its programs, in /bin."""
    entries = {"bin/" + name: (stat.S_IFLNK | 0o777, b"busybox", (0, 0)) for name in applets(busybox)}
    entries["bin/busybox"] = program(busybox)
    return entries


def write(path, entries):
    """Writes an archive of {name: (mode, data, device)}; the directories of the names are among them."""
    archive = Archive()
    for name in sorted(entries):
        archive.add(name, *entries[name])
    archive.add("TRAILER!!!", 0)
    archive.pad(512)
    with open(path, "wb") as file:
        file.write(archive.out)

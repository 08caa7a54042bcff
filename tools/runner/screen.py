# SPDX-License-Identifier: MIT
"""A picture of the screen of a machine under Bochs.

Bochs itself draws nothing (bochsfix/screen.c says why); the picture is read from the machine's video memory,
which is a piece of Bochs's own memory.
"""

import struct
import zlib

from .errors import RunnerError


def _png(path, width, height, rows):
    """Writes rows of R, G, B bytes as a PNG file (W3C: PNG specification)."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        file.write(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b""))


def bochs_picture(pid, note, path):
    """Writes the screen of the Bochs with this process id as PNG; `note` is the file that bochsfix wrote."""
    try:
        with open(note, encoding="ascii") as file:
            address, width, height, bits = file.read().split()
    except FileNotFoundError:
        raise RunnerError("the machine has set no graphics mode, so there is no picture") from None
    address, width, height = int(address, 16), int(width), int(height)
    if bits != "32" or not address:
        raise RunnerError("no picture: %s bits a pixel, video memory at %#x" % (bits, address))
    with open("/proc/%d/mem" % pid, "rb") as memory:
        memory.seek(address)
        pixels = memory.read(width * height * 4)
    rows = []
    for y in range(height):
        line = pixels[y * width * 4 : (y + 1) * width * 4]  # blue, green, red, nothing
        row = bytearray(width * 3)
        row[0::3], row[1::3], row[2::3] = line[2::4], line[1::4], line[0::4]
        rows.append(bytes(row))
    _png(path, width, height, rows)

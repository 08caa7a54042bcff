# SPDX-License-Identifier: MIT
"""A picture of the screen of a machine under Bochs.

Bochs itself draws nothing (bochsfix/screen.c says why); the picture is read from the machine's video memory,
which is a piece of Bochs's own memory. A Bochs that ends leaves its last pixels in a file.
"""

import struct
import zlib

from .errors import RunnerError


def _png(width, height, rows):
    """Rows of R, G, B bytes as a PNG file (W3C: PNG specification)."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _pixels(pid, note, address, size):
    """The machine's video memory: of the running Bochs, or what it left when it ended."""
    try:
        with open("/proc/%d/mem" % pid, "rb") as memory:
            memory.seek(address)
            pixels = memory.read(size)
    except OSError:
        pixels = b""
    if len(pixels) == size:
        return pixels
    try:
        with open(note + ".last", "rb") as file:
            pixels = file.read()
    except FileNotFoundError:
        pixels = b""
    if len(pixels) < size:
        raise RunnerError("no picture: the machine ended and left none (run tools/setup bochs if Bochs's repairs are old)")
    return pixels


def bochs_picture(pid, note):
    """The screen of the Bochs with this process id as a PNG file; `note` is the file that bochsfix wrote."""
    try:
        with open(note, encoding="ascii") as file:
            address, width, height, bits = file.read().split()
    except FileNotFoundError:
        raise RunnerError("the machine has set no graphics mode, so there is no picture") from None
    address, width, height = int(address, 16), int(width), int(height)
    if bits != "32" or not address:
        raise RunnerError("no picture: %s bits a pixel, video memory at %#x" % (bits, address))
    pixels = _pixels(pid, note, address, width * height * 4)
    rows = []
    for y in range(height):
        line = pixels[y * width * 4 : (y + 1) * width * 4]  # blue, green, red, nothing
        row = bytearray(width * 3)
        row[0::3], row[1::3], row[2::3] = line[2::4], line[1::4], line[0::4]
        rows.append(bytes(row))
    return _png(width, height, rows)

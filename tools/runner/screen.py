# SPDX-License-Identifier: MIT
"""Screen and keyboard of a machine under Bochs, through its display `rfb` (RFC 6143).

Bochs serves 8-bit pixels, BGR 2-3-3, in the raw encoding. The port that it listens on is found through /proc,
so that several machines can run side by side.
"""

import os
import socket
import struct
import threading
import time
import zlib

from .errors import RunnerError

RAW = 0
DESKTOP_SIZE = -223  # a pseudo-encoding: the screen's new size
HEADER_BAR, STATUS_BAR = 32, 18  # Bochs's own, above and below the machine's screen
SETTLE_SECONDS = 1.5  # Bochs draws several times a second of the machine's time
KEY_SECONDS = 0.02


def _descriptors(pid):
    try:
        return os.listdir("/proc/%d/fd" % pid)
    except FileNotFoundError:
        raise RunnerError("Bochs ended before its display was there") from None


def _listening_ports(pid):
    """The TCP ports on which a process listens."""
    inodes = set()
    for fd in _descriptors(pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:  # 0A: LISTEN
                    ports.append(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


class BochsScreen(threading.Thread):
    """The RFB client of one machine. It stays connected: Bochs tells a change of the screen's size only to
    those who are there. The thread paints what comes into `rows`."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._socket = _connect(pid)
        self._lock = threading.Lock()
        self._greet()
        self._rows = []
        self._resize()
        self.start()

    def _greet(self):
        if not self._receive(12).startswith(b"RFB "):
            raise RunnerError("Bochs's display speaks no RFB")
        self._socket.sendall(b"RFB 003.003\n")
        (security,) = struct.unpack(">I", self._receive(4))
        if security != 1:
            raise RunnerError("Bochs's display refused: security type %d" % security)
        self._socket.sendall(b"\x01")  # shared
        self.width, self.height = struct.unpack(">HH", self._receive(4))
        self._receive(16)  # the pixel format, which is fixed
        (length,) = struct.unpack(">I", self._receive(4))
        self._receive(length)
        self._socket.sendall(struct.pack(">BxHii", 2, 2, RAW, DESKTOP_SIZE))

    def _receive(self, count):
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def _resize(self):
        with self._lock:
            self._rows = [bytearray(self.width) for _ in range(self.height)]
        self._ask(0)

    def _ask(self, incremental):
        self._socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def run(self):
        """Takes updates until the machine ends."""
        try:
            while True:
                kind = self._receive(1)[0]
                if kind == 0:
                    self._update()
                    self._ask(1)
                elif kind != 2:  # 2: bell; colour maps and cut texts are not sent by Bochs
                    return
        except (EOFError, OSError):
            pass

    def _update(self):
        (count,) = struct.unpack(">xH", self._receive(3))
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self._receive(12))
            if encoding == DESKTOP_SIZE:
                self.width, self.height = width, height
                self._resize()
                continue
            if encoding != RAW:
                return
            data = self._receive(width * height)
            with self._lock:
                for row in range(height):
                    if y + row < self.height:
                        self._rows[y + row][x : x + width] = data[row * width : (row + 1) * width]

    def picture(self, path):
        """Writes the screen, without Bochs's own two bars, to a PNG file."""
        time.sleep(SETTLE_SECONDS)
        with self._lock:
            rows = [bytes(row) for row in self._rows[HEADER_BAR : len(self._rows) - STATUS_BAR]]
        _png(path, self.width, rows)

    def key(self, keysym):
        """Presses and releases a key."""
        for down in (1, 0):
            self._socket.sendall(struct.pack(">BBxxI", 4, down, keysym))
            time.sleep(KEY_SECONDS)


def _connect(pid):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for port in _listening_ports(pid):
            try:
                return socket.create_connection(("127.0.0.1", port))
            except OSError:
                pass
        time.sleep(0.1)
    raise RunnerError("Bochs's display does not answer")


def _png(path, width, rows):
    """Writes rows of BGR 2-3-3 pixels as a PNG with a palette (W3C: PNG specification)."""
    palette = b"".join(
        bytes(((v & 7) * 255 // 7, (v >> 3 & 7) * 255 // 7, (v >> 6) * 255 // 3)) for v in range(256)
    )

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, len(rows), 8, 3, 0, 0, 0)
    image = zlib.compress(b"".join(b"\0" + bytes(row[:width]) for row in rows), 9)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", palette))
        file.write(chunk(b"IDAT", image) + chunk(b"IEND", b""))

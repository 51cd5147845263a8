# SPDX-License-Identifier: MIT
"""Pictures of the machine's screen: taken from QEMU, read back as text by the hypervisor's own font, kept as PNG."""
import json
import re
import socket
import struct
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .common import Trouble

FONT = Path(__file__).resolve().parents[2] / "kernel/screen/font.c"
BOX = "\x7f"  # what has no glyph of its own
CELL_WIDTH, CELL_HEIGHT = 8, 16
LEFT, TOP = 1, 2  # of a glyph in its cell
PATIENCE = 30.0  # seconds for a line that is logged to be drawn


def read_font():
    """Each glyph, as the set of its pixels in the cell, with its character."""
    rows = re.findall(r'^    ROW\("([.# ]{95})"\),$', FONT.read_text(), re.MULTILINE)
    glyphs = {}
    for block in range(0, len(rows), 13):
        for index in range(12):
            parts = [row.split(" ")[index] for row in rows[block:block + 13]]
            pixels = frozenset((LEFT + x, TOP + y) for y, part in enumerate(parts) for x, dot in enumerate(part)
                               if dot == "#")
            glyphs[pixels] = chr(0x20 + block // 13 * 12 + index)
    return glyphs


@dataclass
class Picture:
    width: int
    height: int
    pixels: bytes  # red, green, blue

    @classmethod
    def from_ppm(cls, data):
        header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
        width, height = (int(header[1]), int(header[2])) if header else (0, 0)
        line = (width * 3 + 3) // 4 * 4  # QEMU 7.2 does not leave out the bytes that its own lines are filled up with
        data = data[header.end():] if header else b""
        if len(data) == line * height:
            data = b"".join(data[y * line:y * line + width * 3] for y in range(height))
        if not data or len(data) != width * height * 3:
            raise Trouble("QEMU's picture of the screen is not a whole PPM file")
        return cls(width, height, data)

    def at(self, x, y):
        start = (y * self.width + x) * 3
        return self.pixels[start:start + 3]

    def png(self):
        """As a PNG file with a palette; Trouble when there are more than 16 colours."""
        colours = [colour for colour, _ in Counter(
            self.pixels[at:at + 3] for at in range(0, len(self.pixels), 3)).most_common(17)]
        if len(colours) > 16:
            raise Trouble("the screen has more than 16 colours: that is not the hypervisor's console")
        number = {colour: index for index, colour in enumerate(colours)}
        lines, above = [], None
        for y in range(self.height):
            line = self.pixels[y * self.width * 3:(y + 1) * self.width * 3]
            if line == above:  # filter 2: nothing differs from the line above
                lines.append(b"\2" + bytes((self.width + 1) // 2))
                continue
            above = line
            dots = [number[line[at:at + 3]] for at in range(0, len(line), 3)] + [0] * (self.width % 2)
            lines.append(b"\0" + bytes(a << 4 | b for a, b in zip(dots[::2], dots[1::2])))
        parts = ((b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, 4, 3, 0, 0, 0)),
                 (b"PLTE", b"".join(colours)), (b"IDAT", zlib.compress(b"".join(lines), 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in parts)

    def scale(self):
        """How many pixels of the screen one of a glyph is wide, by the rule of kernel/screen/canvas.h."""
        columns = self.width // CELL_WIDTH
        scale = -(-columns // 160)
        if scale > 1 and columns // scale < 100:
            scale -= 1
        return max(1, min(scale, self.height // (CELL_HEIGHT * 10)))

    def rows(self):
        """The text, row by row: a list of (character, colour) each. None for what is no glyph of the font."""
        glyphs, scale, paper = read_font(), self.scale(), self.at(self.width - 1, self.height - 1)
        columns = self.width // (CELL_WIDTH * scale) - 1
        count = (self.height - CELL_HEIGHT * scale // 2) // (CELL_HEIGHT * scale)
        left = (self.width - columns * CELL_WIDTH * scale) // 2
        top = (self.height - count * CELL_HEIGHT * scale) // 2

        def cell(column, row):
            ink, dots = None, set()
            for y in range(CELL_HEIGHT):
                for x in range(CELL_WIDTH):
                    colour = self.at(left + (column * CELL_WIDTH + x) * scale + scale // 2,
                                     top + (row * CELL_HEIGHT + y) * scale + scale // 2)
                    if colour != paper:
                        if ink not in (None, colour):
                            return None, None
                        ink = colour
                        dots.add((x, y))
            return glyphs.get(frozenset(dots)), ink

        return [[cell(column, row) for column in range(columns)] for row in range(count)]

    def text(self):
        """The rows, without the blanks at their ends; what is no glyph is a '?' between angles."""
        return "\n".join("".join(character or "<?>" for character, _ in row).rstrip() for row in self.rows()).rstrip()


class Monitor:
    """QEMU's monitor (QMP) on a socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.answers = self.socket.makefile("r", encoding="utf-8")
        self.answers.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, what, **arguments):
        self.socket.sendall(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")
        for line in self.answers:
            answer = json.loads(line)
            if "error" in answer:
                raise Trouble(f"QEMU's monitor: {answer['error'].get('desc')}")
            if "return" in answer:
                return
        raise Trouble("QEMU's monitor does not answer")

    def picture(self, folder):
        file = Path(folder) / "screen.ppm"
        self.ask("screendump", filename=str(file))
        return Picture.from_ppm(file.read_bytes())


def plain(text):
    """Without what wrapping changes."""
    return re.sub(r"\s", "", text)


def take(folder, last_line):
    """A picture of the screen once that line is on it, or as it is when that takes too long."""
    monitor = Monitor(Path(folder) / "qmp")
    deadline = time.monotonic() + PATIENCE
    while True:
        picture = monitor.picture(folder)
        if plain(last_line) in plain(picture.text()) or time.monotonic() > deadline:
            return picture
        time.sleep(0.5)

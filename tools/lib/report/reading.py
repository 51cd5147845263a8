# SPDX-License-Identifier: MIT
"""A log's bytes to lines of Sluice and of others. Logs come from terminal programs: with firmware's control sequences,
carriage returns, time stamps, lost bytes, several boots, in UTF-16. Memory is bounded, whatever the file."""
import codecs
import re
from collections import deque
from dataclasses import dataclass, field

from lib import console
from lib.common import Trouble

from .sentences import LOADERS

LINE_MAX = 16384      # bytes of a line that are looked at; the summary has 4096
KEPT_BYTES = 1 << 19  # of the raw log, at its beginning and again at its end

BANNER = "Sluice, a micro-hypervisor"
_BINARY = (("a gzip file", b"\x1f\x8b"), ("a zip file", b"PK\x03\x04"), ("a PNG picture", b"\x89PNG"),
           ("a JPEG picture", b"\xff\xd8\xff"), ("an xz file", b"\xfd7zXZ"), ("a PDF", b"%PDF"),
           ("an executable", b"\x7fELF"), ("a zstd file", b"\x28\xb5\x2f\xfd"))
_CONTROL = bytes(range(32))
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# What terminal programs put before each line: a date or a time, in brackets or not.
_STAMP = re.compile(rb"(?:\[?(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]?:?|\[ *\d{1,10}\.\d{1,9}\])(?: |$)")


@dataclass
class Kept:
    """The beginning and the end of the raw log, in lines."""
    head: list = field(default_factory=list)
    tail: deque = field(default_factory=deque)
    head_bytes: int = 0
    tail_bytes: int = 0
    left_out: int = 0  # lines

    def add(self, line):
        size = len(line) + 1
        if not self.tail and self.head_bytes + size <= KEPT_BYTES:
            self.head.append(line)
            self.head_bytes += size
            return
        self.tail.append(line)
        self.tail_bytes += size
        while self.tail_bytes > KEPT_BYTES:
            self.tail_bytes -= len(self.tail.popleft()) + 1
            self.left_out += 1


def _raw_lines(path):
    """Each line's bytes, the end of line off, and whether it was cut."""
    with open(path, "rb") as file:
        start = file.read(512)
        for what, magic in _BINARY:
            if start.startswith(magic):
                raise Trouble(f"'{path}' is {what}, not a log")
        # Noise on the line may look like the mark of UTF-16, but half of plain UTF-16 is zeroes.
        encoding = _UTF16.get(start[:2]) if start.count(0) * 3 > len(start) else None
        file.seek(2 if encoding else 3 if start.startswith(codecs.BOM_UTF8) else 0)
        if encoding:
            yield from _wide_lines(file, encoding)
            return
        whole = True  # the line before was read to its end
        while raw := file.readline(LINE_MAX):
            ends = raw.endswith(b"\n")
            if whole:
                yield raw.rstrip(b"\r\n")
            whole = ends


def _wide_lines(file, encoding):
    """As _raw_lines(), of UTF-16, as some shells of Windows write what is redirected."""
    decoder, pending = codecs.getincrementaldecoder(encoding)("replace"), ""
    while chunk := file.read(1 << 16):
        *lines, pending = (pending + decoder.decode(chunk)).split("\n")
        yield from (line[:LINE_MAX].rstrip("\r").encode("utf-8", "replace") for line in lines)
        if len(pending) > LINE_MAX:
            pending = pending[:LINE_MAX] + "\0"  # too long in any case; what follows belongs to it
    if pending:
        yield pending[:LINE_MAX].encode("utf-8", "replace")


def _is_stamped(path):
    """
    Whether a terminal program put a stamp before every line; the first and the last one may be cut. A guest can print
    stamps, but not before Sluice's lines: one of those without a stamp proves that there is no such program.
    """
    stamps, lacks = 0, False
    for number, raw in enumerate(_raw_lines(path)):
        raw = console.without_control(raw)
        if not raw.strip():
            continue
        if lacks:
            return False
        if _STAMP.match(raw):
            stamps += 1
        elif raw.startswith(console.NAME):
            return False
        else:
            lacks = number > 0
    return stamps > 0


@dataclass
class Line:
    text: str
    ours: bool   # Sluice's beyond doubt: its name is there byte for byte at the line's start
    maybe: bool  # "sluice: " is in it: Sluice's, where only firmware can have written what stands before it

    @property
    def said(self):
        """What follows the name; nothing where it cannot be Sluice's."""
        return self.text.partition("sluice: ")[2] if self.maybe else ""


def lines_of(path):
    """Each Line of a file. OSError as open() has it; Trouble for what is no text."""
    stamped, looked_at, zeroes = _is_stamped(path), 0, 0
    for raw in _raw_lines(path):
        if looked_at < 1 << 16:
            looked_at += len(raw) + 1
            zeroes += raw.count(b"\0")
        if stamped and (found := _STAMP.match(raw)) and raw[found.end():].lstrip(_CONTROL).startswith(console.NAME):
            raw = raw[found.end():]
        # Sluice marks the name in a guest's words behind any control character, so that such a one proves nothing.
        ours = raw.lstrip(_CONTROL).startswith(console.NAME)
        text = console.line_of(raw, strict=False)
        yield Line(text, ours, ours or "sluice: " in text)
    if zeroes * 4 > looked_at:
        raise Trouble(f"'{path}' is binary: a log is text, as the serial port gave it")


class Splitter:
    """
    Gives the lines to a new Facts each time a boot begins. A guest cannot begin a line with Sluice's name, but it can
    write what only looks so when control sequences are gone. Such a line counts where no guest can have written it: after
    the end of a run, and between the loader's first word and the hypervisor's. Elsewhere what looks like the loader's is
    held back until a line follows that is Sluice's beyond doubt.
    """

    def __init__(self, make):
        self.make = make
        self.facts = self.kept = None
        self.boots = 0
        self.line_number = 0
        self.held = None  # lines that may be a loader's
        self.other_lines = 0  # before anything of Sluice's
        self.doubtful = False  # not one line is Sluice's beyond doubt

    def feed(self, line):
        self.line_number += 1
        hello = line.said.startswith("loader: hello")
        if hello and not line.ours and (self.facts is None or self.facts.guest_may_speak):
            self.held = []
        elif hello:
            self._begin([])
        elif line.ours and self._begins(line.said):
            self._begin((self.held or []) if line.said.startswith((*LOADERS, BANNER)) else [])
        elif line.ours:
            self.held = None  # the hypervisor still runs: it was its guest
        if self.held is not None and len(self.held) < 64:
            self.held.append(line)
        if self.facts is None:
            self.other_lines += 1
            return
        mine = line.ours or line.maybe and not self.facts.guest_may_speak
        self._give(line, line.said if mine else None)

    def finish(self):
        """At the end of the log: when there is but what looks like the loader's, it is taken for that."""
        if self.facts is None and self.held:
            self._begin(self.held)
            self.doubtful = True

    def _begins(self, said):
        """Whether words of Sluice's are of another boot, whose first ones were lost."""
        if self.facts is None:
            return True
        if said.startswith(BANNER):
            return self.facts.ended or not self.facts.loader_alone
        return said.startswith(LOADERS) and self.facts.kernel_said

    def _begin(self, held):
        self.boots += 1
        self.held = None
        if self.facts is None:
            self.other_lines -= len(held)
        self.facts = self.make()
        self.facts.first_line = self.line_number - len(held)
        self.kept = Kept()
        for early in held:
            self._give(early, early.said if early.said.startswith(LOADERS) else None)

    def _give(self, line, said):
        forged = said is None and line.text.startswith("sluice: ")
        self.kept.add(line.text.replace("sluice: ", "sluice:|", 1) if forged else line.text)
        if said is None:
            self.facts.see_other(line.text)
        else:
            self.facts.see(said)

# SPDX-License-Identifier: MIT
"""DMAR and IVRS, from their parts. What is not said is as QEMU's firmware has it; any length can be made a lie.

VT-d specification revision 4.1, chapter 8; AMD specification 48882 revision 3.08, section 5.2."""

import re
import struct

HEADER_BYTES = 36
LENGTH_AT, CHECKSUM_AT = 4, 9


# ---- any table ----

def mend(table: bytes) -> bytes:
    """The table with its true length and a checksum that is right."""
    fixed = bytearray(table)
    fixed[LENGTH_AT:LENGTH_AT + 4] = struct.pack("<I", len(fixed))
    fixed[CHECKSUM_AT] = 0
    fixed[CHECKSUM_AT] = -sum(fixed) & 0xff
    return bytes(fixed)


def spoil(table: bytes, offset: int, new: bytes) -> bytes:
    """Other bytes at an offset, and the checksum as it was."""
    return table[:offset] + new + table[offset + len(new):]


def whole(signature: bytes, body: bytes) -> bytes:
    header = struct.pack("<4sIBB6s8sI4sI", signature, 0, 1, 0, b"BOCHS ", b"BXPC    ", 1, b"BXPC", 1)
    return mend(header + body)


def function(text: str) -> tuple:
    """bus, device, function of "00:1f.2"."""
    bus, device, number = re.fullmatch(r"([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", text).groups()
    return int(bus, 16), int(device, 16), int(number)


def requester(text: str) -> int:
    bus, device, number = function(text)
    return bus << 8 | device << 3 | number


# ---- DMAR ----

ENDPOINT, BRIDGE, IOAPIC, HPET, NAMESPACE = 1, 2, 3, 4, 5
DRHD, RMRR, ATSR = 0, 1, 2
INCLUDE_ALL = 1  # of a DRHD
ALL_PORTS = 1  # of an ATSR
INTERRUPT_REMAPPING = 1  # of the table


def scope(place: str, *hops: tuple, kind: int = ENDPOINT, number: int = 0, length: int | None = None) -> bytes:
    """A device scope: a function on its first bus, and (device, function) behind each bridge from there on."""
    bus, *first = function(place)
    path = b"".join(struct.pack("<BB", *hop) for hop in (first, *hops))
    return struct.pack("<BBHBB", kind, 6 + len(path) if length is None else length, 0, number, bus) + path


def structure(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HH", kind, 4 + len(body) if length is None else length) + body


def drhd(base: int, *scopes: bytes, flags: int = 0, segment: int = 0, length: int | None = None) -> bytes:
    return structure(DRHD, struct.pack("<BBHQ", flags, 0, segment, base) + b"".join(scopes), length)


def rmrr(base: int, last: int, *scopes: bytes, segment: int = 0, length: int | None = None) -> bytes:
    return structure(RMRR, struct.pack("<HHQQ", 0, segment, base, last) + b"".join(scopes), length)


def atsr(*scopes: bytes, flags: int = 0, segment: int = 0) -> bytes:
    return structure(ATSR, struct.pack("<BBH", flags, 0, segment) + b"".join(scopes))


def dmar(*structures: bytes, width: int = 39, flags: int = INTERRUPT_REMAPPING) -> bytes:
    return whole(b"DMAR", struct.pack("<BB10x", width - 1, flags) + b"".join(structures))


# ---- IVRS ----

BASIC, EFR, ACPI_HID = 0x10, 0x11, 0x40
UNITY, READ, WRITE, EXCLUSION = 1, 2, 4, 8  # of an IVMD
QEMU_FLAGS, QEMU_FEATURES = 0xd1, 0x29d3
PHYSICAL_BITS, BUS_BITS = 8, 15  # in IVinfo: PASize, VASize


def block(kind: int, flags: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("<BBH", kind, flags, 4 + len(body) if length is None else length) + body


# Device entries.

def entry(kind: int, place: str, settings: int = 0) -> bytes:
    return struct.pack("<BHB", kind, requester(place), settings)


def everything() -> bytes:
    return entry(0x01, "00:00.0")


def select(place: str) -> bytes:
    return entry(0x02, place)


def from_to(first: str, last: str) -> bytes:
    return entry(0x03, first) + entry(0x04, last)


def alias(place: str, shows_as: str) -> bytes:
    return entry(0x42, place) + struct.pack("<BHB", 0, requester(shows_as), 0)


def ioapic(place: str, handle: int = 0) -> bytes:
    return struct.pack("<BHBBHB", 0x48, 0, 0, handle, requester(place), 1)


def ivhd(kind: int, unit: str, base: int, *entries: bytes, segment: int = 0, length: int | None = None) -> bytes:
    """A unit, which is the function `unit`, in one of the three forms that firmware may describe it in."""
    features = struct.pack("<IQQ", 0, QEMU_FEATURES, 0) if kind != BASIC else struct.pack("<I", 0x44)
    body = struct.pack("<HHQHH", requester(unit), 0x40, base, segment, 0) + features + b"".join(entries)
    return block(kind, QEMU_FLAGS, body, length)


def ivmd(base: int, size: int, first: str | None = None, last: str | None = None, kind: int | None = None,
         flags: int = UNITY | READ | WRITE, segment: int = 0, length: int | None = None) -> bytes:
    """Memory for all devices, for one, or for those from the first to the last."""
    if kind is None:
        kind = 0x20 if first is None else 0x21 if last is None else 0x22
    ids = [requester(place) if place else 0 for place in (first, last)]
    return block(kind, flags, struct.pack("<HHHHIQQ", *ids, segment, 0, 0, base, size), length)


def ivrs(*blocks: bytes, info: int = 40 << PHYSICAL_BITS) -> bytes:
    return whole(b"IVRS", struct.pack("<I8x", info) + b"".join(blocks))

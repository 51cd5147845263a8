# SPDX-License-Identifier: MIT
"""DMAR and IVRS tables made of parts, for the tests of ./tools/iommu-tables."""

from struct import pack

HEADER = 36


def table(signature: bytes, body: bytes, revision: int = 1) -> bytes:
    """A whole ACPI table: its length and checksum are right."""
    head = pack("<4sIBB6s8sI4sI", signature, HEADER + len(body), revision, 0, b"SLUICE", b"TEST    ", 1, b"TEST", 1)
    return resum(head + body)


def resum(data: bytes) -> bytes:
    """The same bytes with a right checksum."""
    return data[:9] + bytes([(data[9] - sum(data)) & 0xFF]) + data[10:]


# ---- DMAR: VT-d specification, chapter 8 ----

EP, BRIDGE, IOAPIC, HPET, ACPI = 1, 2, 3, 4, 5


def dmar(*structures: bytes, width: int = 39, flags: int = 1) -> bytes:
    return table(b"DMAR", pack("<BB10x", width - 1, flags) + b"".join(structures))


def structure(kind: int, fixed: bytes, *variable: bytes) -> bytes:
    data = fixed + b"".join(variable)
    return pack("<HH", kind, 4 + len(data)) + data


def scope(kind: int, *path: tuple, bus: int = 0, number: int = 0, flags: int = 0) -> bytes:
    return pack("<BBBxBB", kind, 6 + 2 * len(path), flags, number, bus) + bytes(sum(path, ()))


def drhd(base: int, *scopes: bytes, rest: bool = False, segment: int = 0, size: int = 0) -> bytes:
    """The registers take 4 KiB << size."""
    return structure(0, pack("<BBHQ", rest, size, segment, base), *scopes)


def rmrr(base: int, limit: int, *scopes: bytes, segment: int = 0) -> bytes:
    return structure(1, pack("<HHQQ", 0, segment, base, limit), *scopes)


def atsr(*scopes: bytes, flags: int = 0) -> bytes:
    return structure(2, pack("<BxH", flags, 0), *scopes)


def rhsa(base: int, domain: int) -> bytes:
    return structure(3, pack("<IQI", 0, base, domain))


def andd(number: int, name: bytes) -> bytes:
    return structure(4, pack("<3xB", number), name + b"\0")


IOAPIC_2 = scope(IOAPIC, (31, 0), bus=0xF0, number=2)


# ---- IVRS: AMD specification 48882, section 5.2 ----

def ivrs(*blocks: bytes, info: int = 0x203041) -> bytes:
    return table(b"IVRS", pack("<I8x", info) + b"".join(blocks), 2)


def ivhd(kind: int, base: int, *entries: bytes, unit: int = 2, segment: int = 0, features: int = 0,
         attributes: int = 0, capability: int = 0x40) -> bytes:
    data = pack("<HHQHHI", unit, capability, base, segment, 0, attributes)
    if kind != 0x10:
        data += pack("<QQ", features, 0)
    data += b"".join(entries)
    return pack("<BBH", kind, 0, 4 + len(data)) + data


def entry(kind: int, device: int = 0, settings: int = 0) -> bytes:
    return pack("<BHB", kind, device, settings)


def alias(kind: int, device: int, shown: int) -> bytes:
    return pack("<BHBxHx", kind, device, 0, shown)


def special(kind: int, handle: int, device: int) -> bytes:
    return pack("<BHBBHB", 0x48, 0, 0, handle, device, kind)


def acpi(device: int, hid: bytes, cid: bytes = b"", uid_format: int = 0, uid: bytes = b"") -> bytes:
    return pack("<BHB8s8sBB", 0xF0, device, 0, hid, cid, uid_format, len(uid)) + uid


def ivmd(base: int, size: int, first: int, last: int = 0, kind: int = 0x21, flags: int = 7, segment: int = 0) -> bytes:
    return pack("<BBHHHH6xQQ", kind, flags, 32, first, last, segment, base, size)


SB_IOAPIC = special(1, 33, 0xA0)
ALL_BUT_UNIT = entry(3, 3) + entry(4, 0xFFFF)

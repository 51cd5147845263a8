#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/fuzz/corpus: the inputs that fuzzing begins with, all of our own making.

    python3 tests/fuzz/seeds.py            writes the files
    python3 tests/fuzz/seeds.py --check    says which of them differ; ./tools/test does the same (fuzz/seeds)
"""

import struct
import sys
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"


# ---- DMAR ----

def table(signature: bytes, header: bytes, parts: list, length: int | None = None) -> bytes:
    body = b"".join(parts)
    size = 48 + len(body) if length is None else length
    return signature + struct.pack("<I", size) + bytes(28) + header + body


def dmar(*parts: bytes, width: int = 39, flags: int = 1, length: int | None = None) -> bytes:
    return table(b"DMAR", struct.pack("<BB10x", width - 1, flags), list(parts), length)


def structure(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, 4 + len(body)) + body


def scope(kind: int, bus: int, *path: tuple, number: int = 0) -> bytes:
    hops = b"".join(struct.pack("BB", *hop) for hop in path)
    return struct.pack("<BBBBBB", kind, 6 + len(hops), 0, 0, number, bus) + hops


ENDPOINT, BRIDGE, IOAPIC, HPET, NAMESPACE = 1, 2, 3, 4, 5


def drhd(base: int, *scopes: bytes, rest: bool = False, segment: int = 0, size: int = 0) -> bytes:
    return structure(0, struct.pack("<BBHQ", rest, size, segment, base) + b"".join(scopes))


def rmrr(base: int, limit: int, *scopes: bytes, segment: int = 0) -> bytes:
    return structure(1, struct.pack("<HHQQ", 0, segment, base, limit) + b"".join(scopes))


def listed(kind: int, *scopes: bytes, flags: int = 0, segment: int = 0) -> bytes:
    return structure(kind, struct.pack("<BBH", flags, 0, segment) + b"".join(scopes))


ATSR, SATC, SIDP = 2, 5, 6


def rhsa(base: int, domain: int) -> bytes:
    return structure(3, struct.pack("<IQI", 0, base, domain))


def andd(number: int, name: bytes) -> bytes:
    return structure(4, struct.pack("<3xB", number) + name + b"\0")


LAPTOP = (drhd(0xfed90000, scope(ENDPOINT, 0, (2, 0))),
          drhd(0xfed91000, scope(IOAPIC, 0xf0, (0x1f, 0), number=2), scope(HPET, 0, (0x1f, 6)), rest=True),
          rmrr(0x7b000000, 0x7f7fffff, scope(ENDPOINT, 0, (2, 0))),
          rmrr(0x6c000000, 0x6c01ffff, scope(ENDPOINT, 0, (0x14, 0))))


def dmars() -> dict:
    return {
        "one-unit": dmar(drhd(0xfed90000, rest=True)),
        "laptop": dmar(*LAPTOP),
        "server": dmar(drhd(0xc5ffc000, scope(BRIDGE, 0x40, (1, 0)), scope(ENDPOINT, 0x40, (3, 0), (0, 1)), size=1),
                       drhd(0xfbffc000, scope(IOAPIC, 0, (5, 4), number=8), rest=True),
                       drhd(0xd0000000, scope(BRIDGE, 0, (1, 0)), rest=True, segment=1),
                       listed(ATSR, scope(BRIDGE, 0, (1, 0)), scope(BRIDGE, 0, (2, 0))), listed(ATSR, flags=1),
                       rhsa(0xc5ffc000, 1), rhsa(0xfbffc000, 0)),
        "every-type": dmar(drhd(0xfed90000, scope(NAMESPACE, 0, (0x15, 1), number=1), rest=True),
                           andd(1, b"\\_SB.PC00.I2C1"), listed(SATC, scope(ENDPOINT, 0, (2, 0)), flags=1),
                           listed(SIDP, scope(ENDPOINT, 0, (4, 0))), structure(9, bytes(12))),
        "long-path": dmar(drhd(0xfed90000, scope(ENDPOINT, 0, (0x1c, 0), (0, 0), (1, 0), (7, 2)), rest=True)),
        "spoiled-scopes": dmar(drhd(0xfed90000, scope(7, 0, (1, 0)), scope(ENDPOINT, 0), scope(ENDPOINT, 0, (32, 0)),
                                    scope(ENDPOINT, 0, (2, 0))[:-1]), rmrr(0x2000, 0x1fff), drhd(0xfed91000)),
        "length-beyond": dmar(*LAPTOP, length=600),
        "cut": dmar(*LAPTOP)[:-5],
        "zeroes": dmar(*LAPTOP, bytes(20)),
    }


# ---- IVRS ----

def ivrs(*parts: bytes, info: int = 0x203040, length: int | None = None) -> bytes:
    return table(b"IVRS", struct.pack("<I8x", info), list(parts), length)


def ivhd(kind: int, unit: int, base: int, *entries: bytes, segment: int = 0, flags: int = 0) -> bytes:
    body = struct.pack("<HHQHHI", unit, 0x40, base, segment, 0, 0)
    body += b"" if kind == 0x10 else struct.pack("<QQ", 0x58f77ef22294ade, 0)
    body += b"".join(entries)
    return struct.pack("<BBH", kind, flags, 4 + len(body)) + body


def ivmd(kind: int, flags: int, first: int, last: int, base: int, size: int, segment: int = 0) -> bytes:
    return struct.pack("<BBHHHH6xQQ", kind, flags, 32, first, last, segment, base, size)


def entry(kind: int, device: int = 0, settings: int = 0) -> bytes:
    return struct.pack("<BHB", kind, device, settings)


def wide(kind: int, device: int, rest: bytes) -> bytes:
    return entry(kind, device) + rest


def alias(device: int, shown: int, kind: int = 0x42) -> bytes:
    return wide(kind, device, struct.pack("<xHx", shown))


def special(kind: int, handle: int, device: int) -> bytes:
    return entry(0x48) + struct.pack("<BHB", handle, device, kind)


def named(device: int, uid: bytes) -> bytes:
    return entry(0xf0, device) + b"OURS0001" + bytes(8) + struct.pack("BB", 2, len(uid)) + uid


ALL, PAD4, PAD8 = entry(1), entry(0), entry(0x40) + bytes(4)


def span(first: int, last: int) -> bytes:
    return entry(3, first) + entry(4, last)


DESKTOP = (ivhd(0x10, 2, 0xfeb80000, span(8, 0xfffe), alias(0x400, 0x3a5), special(1, 0x21, 0xa0),
                special(2, 0, 0xa0)),
           ivhd(0x11, 2, 0xfeb80000, span(8, 0xfffe), alias(0x400, 0x3a5), special(1, 0x21, 0xa0), flags=0xb0),
           ivmd(0x21, 7, 0x98, 0, 0x7b000000, 0x20000))


def ivrss() -> dict:
    return {
        "one-unit": ivrs(ivhd(0x10, 2, 0xfed80000, ALL, special(1, 0, 0xa0))),
        "desktop": ivrs(*DESKTOP),
        "every-entry": ivrs(ivhd(0x40, 2, 0xfeb80000, PAD4, entry(2, 0x10), alias(0x20, 0x21, 0x43), entry(4, 0x2f),
                                 wide(0x46, 0x30, bytes(4)), wide(0x47, 0x38, bytes(4)), PAD8, entry(4, 0x3f),
                                 named(0x90, b"\\_SB.FUR0"), special(2, 0, 0xa0), ALL)),
        "two-units": ivrs(ivhd(0x11, 2, 0xfeb80000, span(0, 0x3fff)), ivhd(0x11, 0x4002, 0xe0000000, span(0x4000, 0x7fff)),
                          ivhd(0x11, 2, 0xd0000000, ALL, segment=1)),
        "memory": ivrs(ivhd(0x10, 2, 0xfed80000, ALL), ivmd(0x20, 8, 0, 0, 0x1000, 0x1000),
                       ivmd(0x22, 3, 0x10, 0x1f, 0x7b000000, 1), ivmd(0x21, 5, 0x98, 0, 0x1234, 0x5678),
                       ivmd(0x22, 7, 9, 8, 0, 4096), ivmd(0x21, 7, 9, 0, 2**64 - 4096, 4097), ivmd(0x23, 7, 2, 0, 0, 1),
                       ivmd(0x21, 7, 9, 0, 0, 0)),
        "spoiled-entries": ivrs(ivhd(0x10, 2, 0xfed80000, entry(4, 1), entry(3, 1), entry(2, 3), entry(0x0b), entry(3, 9),
                                     entry(4, 8), special(3, 0, 1), entry(0xf1))),
        "twins": ivrs(ivhd(0x11, 2, 0xfeb80000, ALL), ivhd(0x11, 2, 0xfeb80000, ALL), ivhd(0x12, 2, 0xfeb80000, ALL)),
        "length-beyond": ivrs(*DESKTOP, length=999),
        "cut": ivrs(*DESKTOP)[:-3],
        "zeroes": ivrs(*DESKTOP, bytes(20)),
    }


# ---- a machine and its table: tests/fuzz/policy_machine.c reads it ----

def function(bus: int, device: int, number: int = 0, segment: int = 0) -> bytes:
    return struct.pack("BBB", bus, device << 3 | number, 1 | segment << 1)


def bridge(bus: int, device: int, secondary: int, subordinate: int, speaks: bool = False, segment: int = 0) -> bytes:
    place = bytearray(function(bus, device, 0, segment))
    place[2] |= speaks << 2
    return bytes(place) + struct.pack("BB", secondary, subordinate)


def machine(content: bytes, usable: int = 2**64 - 1, bits: int = 39, crowd: int = 0, counters: bool = False,
            bridges: tuple = (), devices: tuple = (), held: tuple = ((0x1000, 0x800),)) -> bytes:
    head = struct.pack("<BBBxQ", (content[:4] == b"IVRS") | counters << 1, bits - 30, crowd, usable)
    places = b"".join(bridges).ljust(30, b"\0") + b"".join(devices).ljust(18, b"\0")
    return head + places + b"".join(struct.pack("<IH", *one) for one in held).ljust(12, b"\0") + content


PC = {"bridges": (bridge(0, 0x1c, 3, 6), bridge(3, 0, 5, 6), bridge(5, 1, 6, 6, speaks=True),
                  bridge(0, 1, 1, 2, segment=1)),
      "devices": (function(0, 2), function(0, 0x14), function(6, 0), function(5, 7, 2), function(1, 0, segment=1))}
MEMORY = 0x7b000000


def policies() -> dict:
    behind = scope(ENDPOINT, 0, (0x1c, 0), (0, 0), (7, 2))
    port, graphics = scope(BRIDGE, 0, (0x1c, 0)), scope(ENDPOINT, 0, (2, 0))
    rest = drhd(0xfed91000, rest=True)
    return {
        "vtd-laptop": machine(dmar(*LAPTOP), **PC),
        "vtd-port": machine(dmar(drhd(0xfed90000, port, behind), rest,
                                 rmrr(MEMORY, MEMORY + 0xfff, behind, scope(ENDPOINT, 0, (0x1c, 0), (0, 0), (1, 0), (0, 0)))),
                            **PC),
        "vtd-unusable": machine(dmar(drhd(0xfed90000, graphics, port), rest), usable=2, **PC),
        "vtd-unusable-unread": machine(dmar(drhd(0xfed90000, scope(9, 0, (3, 0))), rest), usable=2, **PC),
        "vtd-contradiction": machine(dmar(drhd(0xfed90000, graphics), drhd(0xfed92000, graphics, rest=True), rest), **PC),
        "vtd-cut": machine(dmar(drhd(0xfed90000, graphics), rest, length=400), **PC),
        "vtd-odd-buses": machine(dmar(drhd(0xfed90000, scope(BRIDGE, 0, (3, 0)), scope(ENDPOINT, 0, (3, 0), (0, 0))), rest),
                                 usable=2, bridges=(bridge(0, 3, 0, 0),)),
        "vtd-ranges": machine(dmar(rest, rmrr(0x1000000, 0x1000fff, graphics), rmrr(0x1800000, 0x1800fff, graphics),
                                   rmrr(0xfed91000, 0xfed91fff, graphics), rmrr(0xfee00000, 0xfee00fff, graphics),
                                   rmrr(0x7fffffffff, 0x8000000000, graphics), rmrr(0, 0xfff, graphics),
                                   rmrr(0x200000000, 0x2ffffffff, graphics), rmrr(MEMORY, MEMORY, graphics)), **PC),
        "amdvi-desktop": machine(ivrs(*DESKTOP), **PC),
        "amdvi-unusable": machine(ivrs(ivhd(0x10, 2, 0xfeb80000, entry(2, 0x10), span(0x300, 0x3ff)),
                                       ivhd(0x10, 3, 0xfec80000, ALL)), usable=2, **PC),
        "amdvi-unusable-unread": machine(ivrs(ivhd(0x10, 2, 0xfeb80000, entry(0x0b)), ivhd(0x10, 3, 0xfec80000, ALL)),
                                         usable=2, **PC),
        "amdvi-ranges": machine(ivrs(ivhd(0x10, 2, 0xfeb80000, ALL), ivmd(0x20, 8, 0, 0, MEMORY, 0x2000),
                                     ivmd(0x22, 3, 0x10, 0xaf, 0x1800000, 1), ivmd(0x21, 7, 0x10, 0, 0xfeb83000, 0x2000),
                                     ivmd(0x21, 7, 0x10, 0, 0xfd00000000, 4096)), bits=48, counters=True, **PC),
        "amdvi-crowd": machine(ivrs(ivhd(0x10, 2, 0xfeb80000, ALL), ivmd(0x21, 7, 0x10, 0, 0xfd00000000, 4096),
                                    ivmd(0x21, 7, 0x10, 0, 0xd0000000 + (80 << 20), 4096)), bits=48, crowd=90, **PC),
    }


# ---- a guest's kernel, and sluice.conf ----

def note(kind: int, value: bytes) -> bytes:
    return struct.pack("<III4s8s", 4, 8, kind, b"Xen", value)


def elf(entry_at: int = 0x100010, memory: int = 0x3000, notes: bytes | None = None) -> bytes:
    base = 0xffffffff80000000
    if notes is None:
        notes = b"".join((note(1, struct.pack("<Q", base + entry_at)), note(2, struct.pack("<Q", base + 0x101000)),
                          note(3, struct.pack("<Q", base)), note(4, bytes(8)), note(5, b"xen-3.0"), note(8, b"generic"),
                          note(15, struct.pack("<Q", 0x8000000000)), note(16, struct.pack("<Q", 1))))
    start = 64 + 2 * 56
    text = b"\xf4" * 32
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + entry_at, 64, 0, 0, 64, 56, 2,
                                                        0, 0, 0)
    programs = struct.pack("<IIQQQQQQ", 1, 7, start + len(notes), base + 0x100000, 0x100000, len(text), memory, 4096)
    programs += struct.pack("<IIQQQQQQ", 4, 4, start, 0, 0, len(notes), 0, 4)
    return header + programs + notes + text


def elfs() -> dict:
    return {"kernel": elf(), "entry-outside": elf(entry_at=0x200000), "no-notes": elf(notes=b"")}


def configs() -> dict:
    return {
        "all-keys": b"# a guest\nguest = sluice/tour\nmodule = sluice/initrd\ncmdline = some words\noptions = premap=off\n",
        "guest-twice": b"guest=a\r\nguest=b\r\n",
        "odd-lines": b"\n \tguest =  x y \n\xff\n= 3\noptions =\nno equals sign",
    }


# ---- instructions: 1 or 0 for 64-bit or 32-bit code, then the code ----

def instructions() -> dict:
    return {name: bytes([wide]) + bytes.fromhex(code) for name, wide, code in (
        ("in-immediate", 1, "e4 80"), ("out-dx-16", 1, "66 ef"), ("rep-insl-addr32", 1, "67 f3 6d"),
        ("rep-outsb-gs", 1, "f3 65 6e"), ("wrmsr", 1, "0f 30"), ("xsetbv", 1, "0f 01 d1"),
        ("mov-cr4-r15", 1, "41 0f 20 e7"), ("mov-r9-dr6", 1, "41 0f 23 f1"), ("mov-sib", 1, "4b 89 b4 c8 00 00 00 80"),
        ("movq-rip", 1, "48 c7 05 08 00 00 00 ff ff ff 7f"), ("lock-cmpxchg", 1, "f0 4c 0f b1 44 24 08"),
        ("lock-andb", 1, "f0 80 27 fd"), ("lock-btrq", 1, "f0 49 0f ba 76 10 01"), ("prefixes", 1, "2e 36 3e 26 64 66 ed"),
        ("movl-absolute-32", 0, "89 0d 00 10 00 00"), ("andl-sib-32", 0, "83 24 be fd"), ("cli-32", 0, "fa"))}


def seeds() -> dict:
    """NAME/FILE -> bytes."""
    targets = {"boot-config": configs(), "decode": instructions(), "guest-elf": elfs(), "dmar": dmars(),
               "ivrs": ivrss(), "policy": policies()}
    return {f"{target}/{name}": content for target, files in targets.items() for name, content in files.items()}


def differences() -> list:
    """Files of the corpus that are not what this script writes, or that it does not write, or not there."""
    there = {path.relative_to(CORPUS).as_posix(): path.read_bytes() for path in CORPUS.rglob("*") if path.is_file()}
    ours = seeds()
    return sorted(name for name in there.keys() | ours.keys() if there.get(name) != ours.get(name))


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        print("\n".join(differences()) or "the corpus is as this script writes it")
        return 1 if differences() else 0
    for name, content in seeds().items():
        path = CORPUS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Files that are no guests, made from one that is."""

import struct

E_IDENT_CLASS, E_TYPE, E_MACHINE, E_ENTRY, E_PHOFF, E_PHENTSIZE, E_PHNUM = 4, 16, 18, 24, 32, 54, 56
P_TYPE, P_OFFSET, P_VADDR, P_PADDR, P_FILESZ, P_MEMSZ = 0, 8, 16, 24, 32, 40
PHDR_SIZE = 56


def put(data: bytearray, offset: int, form: str, value: int) -> None:
    struct.pack_into(form, data, offset, value)


def first_header(data: bytes) -> int:
    return struct.unpack_from("<Q", data, E_PHOFF)[0]


def header(offset: int, form: str, value: int):
    def change(data: bytearray) -> bytearray:
        put(data, offset, form, value)
        return data
    return change


def segment(offset: int, value: int, form: str = "<Q"):
    """One field of the first program header."""
    def change(data: bytearray) -> bytearray:
        put(data, first_header(data) + offset, form, value)
        return data
    return change


def cut(length: int):
    return lambda data: data[:length]


def cut_segment(data: bytearray) -> bytearray:
    offset, size = (struct.unpack_from("<Q", data, first_header(data) + field)[0] for field in (P_OFFSET, P_FILESZ))
    return data[:offset + size // 2]


BAD = {
    "empty": lambda data: bytearray(),
    "one-byte": cut(1),
    "text": lambda data: bytearray(b"This is not a kernel.\n" * 100),
    "header-only": cut(64),
    "cut-in-header": cut(40),
    "cut-in-segment": cut_segment,
    "class-32": header(E_IDENT_CLASS, "<B", 1),
    "class-nonsense": header(E_IDENT_CLASS, "<B", 77),
    "machine-arm": header(E_MACHINE, "<H", 183),
    "type-relocatable": header(E_TYPE, "<H", 1),
    "phnum-0": header(E_PHNUM, "<H", 0),
    "phnum-65535": header(E_PHNUM, "<H", 65535),
    "phentsize-1": header(E_PHENTSIZE, "<H", 1),
    "phoff-huge": header(E_PHOFF, "<Q", 0xFFFFFFFFFFFFFFC0),
    "offset-huge": segment(P_OFFSET, 0xFFFFFFFFFFFFF000),
    "filesz-huge": segment(P_FILESZ, 0xFFFFFFFFFFFFFFFF),
    "filesz-beyond-memsz": segment(P_MEMSZ, 1),
    "memsz-huge": segment(P_MEMSZ, 0x7FFFFFFFFFFFFFFF),
    "memsz-more-than-memory": segment(P_MEMSZ, 1 << 34),
    "paddr-huge": segment(P_PADDR, 0xFFFFFFFFFFFFF000),
    "paddr-noncanonical": segment(P_PADDR, 0x0000800000000000),
    "paddr-beyond-memory": segment(P_PADDR, 1 << 40),
}

# SPDX-License-Identifier: MIT
"""Linux's boot image, a bzImage: the ELF file inside, which is what a Xen PV builder starts.

Linux, Documentation/arch/x86/boot.rst: the header from 0x1f1, `payload_offset` and `payload_length`, both counted from
the protected-mode code, which follows the setup sectors.
"""
import bz2
import lzma
import struct
import zlib

from .common import Trouble

MAGIC_AT, MAGIC = 0x202, b"HdrS"
PAYLOAD_VERSION = 0x0208  # of the protocol, from which on the payload's place is told
SECTOR = 512
ELF = b"\x7fELF"
UNPACKED_MAX = 256 << 20
MEMORY_MAX = 512 << 20

# By the payload's first bytes. Each decompressor stops at the end of its stream: behind it stands the length.
PACKERS = {
    b"\xfd7zXZ\0": ("xz", lambda: lzma.LZMADecompressor(memlimit=MEMORY_MAX)),
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(wbits=31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\x5d\0\0": ("lzma", lambda: lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=MEMORY_MAX)),
}


HEAD = 0x250  # bytes that hold all of the header that is looked at


def is_bzimage(data):
    return data[MAGIC_AT:MAGIC_AT + len(MAGIC)] == MAGIC and data[0x1fe:0x200] == b"\x55\xaa"


def payload(data):
    """The packed kernel in the image."""
    if len(data) < HEAD or struct.unpack_from("<H", data, 0x206)[0] < PAYLOAD_VERSION:
        raise Trouble("a boot image of Linux, but too old to say where its kernel is")
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1f1] or 4) + 1) * SECTOR + offset
    if length == 0 or start + length > len(data):
        raise Trouble("a boot image of Linux that is cut short")
    return data[start:start + length]


def unpack(data):
    """The ELF file in a bzImage; Trouble in words without one."""
    packed = payload(data)
    if packed.startswith(ELF):
        return packed
    for magic, (name, make) in PACKERS.items():
        if packed.startswith(magic):
            return _unpacked(packed, name, make())
    raise Trouble("a boot image of Linux, packed in a way that is not known here (known: "
                  + ", ".join(name for name, _ in PACKERS.values()) + "). Unpack it with extract-vmlinux first")


def _unpacked(packed, name, decompressor):
    try:
        kernel = decompressor.decompress(packed, UNPACKED_MAX)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise Trouble(f"a boot image of Linux whose {name} data is broken: {error}") from None
    if not decompressor.eof:
        raise Trouble(f"a boot image of Linux whose {name} data is cut short, or more than {UNPACKED_MAX >> 20} MiB")
    if not kernel.startswith(ELF):
        raise Trouble("a boot image of Linux that holds no ELF file")
    return kernel

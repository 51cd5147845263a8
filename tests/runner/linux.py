# SPDX-License-Identifier: MIT
"""Linux as a guest: what ./tools/run makes of its boot images (cases of group image), and Debian's kernel for group
boot."""

import bz2
import gzip
import lzma
import shutil
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

from .core import Case, Skipped
from .paths import ROOT
from .table_tool import expect
from .vm import Machine

from lib import bzimage, debian  # noqa: E402  (tools/lib, by paths.py)
from lib.common import Trouble  # noqa: E402

KERNEL = bzimage.ELF + bytes(range(256)) * 40
SETUP_SECTORS = 3
PAYLOAD_OFFSET = 0x123
LENGTH_WORD = struct.pack("<I", len(KERNEL))  # behind the packed data, as Linux's build leaves it

PACKED = {
    "xz": lzma.compress(KERNEL, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32),
    "gzip": gzip.compress(KERNEL),
    "bzip2": bz2.compress(KERNEL),
    "lzma": lzma.compress(KERNEL, format=lzma.FORMAT_ALONE),
}


def boot_image(payload: bytes, version: int = 0x020f, sectors: int = SETUP_SECTORS, offset: int = PAYLOAD_OFFSET,
               length: int | None = None) -> bytes:
    """A bzImage around a payload: what Documentation/arch/x86/boot.rst says of the header, and nothing else."""
    setup = bytearray(((sectors or 4) + 1) * 512)
    setup[0x1f1] = sectors
    setup[0x1fe:0x200] = b"\x55\xaa"
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    struct.pack_into("<II", setup, 0x248, offset, len(payload) if length is None else length)
    return bytes(setup) + bytes(offset) + payload + b"what follows"


def trouble(data: bytes) -> str:
    """The sentence with which it is refused."""
    try:
        bzimage.unpack(data)
    except Trouble as refused:
        return str(refused)
    raise AssertionError("it was unpacked")


def unpacks() -> None:
    for name, packed in PACKED.items():
        for tail in (b"", LENGTH_WORD):
            for sectors in (0, 1, 29):
                data = boot_image(packed + tail, sectors=sectors)
                expect(bzimage.is_bzimage(data), f"{name}: not known as a boot image")
                expect(bzimage.unpack(data) == KERNEL, f"{name}: another kernel came out of it")
    expect(bzimage.unpack(boot_image(KERNEL)) == KERNEL, "a payload that is not packed")
    for other in (b"", KERNEL, b"HdrS", bytes(1024), boot_image(KERNEL)[:0x1ff]):
        expect(not bzimage.is_bzimage(other), f"{other[:8]!r}... passes for a boot image")


def refuses() -> None:
    def says(words: str, data: bytes) -> None:
        sentence = trouble(data)
        expect(words in sentence, f"'{words}' is not in: {sentence}")

    xz = PACKED["xz"]
    says("too old", boot_image(xz, version=0x0207))
    says("too old", boot_image(xz)[:0x24f])
    says("cut short", boot_image(xz, length=1 << 31))
    says("cut short", boot_image(xz, length=len(xz) + 4096))
    says("cut short", boot_image(xz, length=0))
    says("not known", boot_image(b"\x28\xb5\x2f\xfd" + bytes(64)))
    says("no ELF file", boot_image(lzma.compress(b"MZ" + bytes(64))))
    for name, packed in PACKED.items():
        for cut in (7, len(packed) // 2, len(packed) - 1):
            says(f"{name} data", boot_image(packed[:cut]))
        broken = bytearray(packed)
        broken[len(packed) // 2] ^= 0xff
        try:
            expect(bzimage.unpack(boot_image(bytes(broken)))[:4] == bzimage.ELF, f"{name}: what is broken became a kernel")
        except Trouble:
            pass


def person_is_told(root: Path) -> None:
    """./tools/run with a boot image: in words what is wrong with it; and what is in a good one is started."""
    from .image import call
    folder = Path(tempfile.mkdtemp(prefix="sluice-linux-"))
    try:
        for data, status, words in ((boot_image(PACKED["xz"][:60]), 2, "is a boot image of Linux whose xz data"),
                                    (boot_image(PACKED["gzip"]), 2, "sluice: the guest cannot be started")):
            file = folder / "vmlinuz"
            file.write_bytes(data)
            done = call(root, "run", "--direct", "--guest", str(file))
            expect(done.returncode == status and words in done.stdout, f"'{words}' is not said", done.stdout)
            expect("Traceback" not in done.stdout, "it is told in Python's words", done.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cases() -> list:
    return [
        Case("image", "linux-unpacks", unpacks, "the kernel in a boot image of Linux, however it is packed"),
        Case("image", "linux-refuses", refuses, "boot images of Linux that are old, cut short, broken, or packed otherwise"),
        Case("image", "linux-person", lambda: person_is_told(ROOT), "./tools/run with boot images of Linux"),
    ]


def with_debian(machine: Machine) -> Machine:
    """Debian's kernel and its user space; the case is skipped where they cannot be had."""
    try:
        kernel, initrd = debian.prepare("test")
    except Trouble as reason:
        raise Skipped(str(reason)) from None
    return replace(machine, guest=str(kernel), module=initrd, cmdline=machine.cmdline or debian.CMDLINE)

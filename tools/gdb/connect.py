# SPDX-License-Identifier: MIT
"""Symbols of the hypervisor and of the loader, and the way to QEMU."""
import os
import struct

import gdb

from command import command, symbol

EFI_LOADER_CODE = 1  # UEFI 2.10, 7.2: where a loaded application lies
DESCRIPTOR = struct.Struct("<I4xQQQQ")
PAGE = 4096
HEADER = 1024  # of the PE file: enough to know it again

folder = None  # what ./tools/run --gdb made: gdb (a socket), kernel.elf, loader.efi, loader.debug.efi, serial.log


def path(name):
    if folder is None:
        raise gdb.GdbError("first: sluice-connect FOLDER, as ./tools/run --gdb says")
    return os.path.join(folder, name)


def _pe(data):
    """Offset of the PE signature, entry point (RVA), preferred base."""
    at = struct.unpack_from("<I", data, 0x3c)[0]
    entry = struct.unpack_from("<I", data, at + 24 + 16)[0]
    return at, entry, struct.unpack_from("<Q", data, at + 24 + 24)[0]


def _is_loader(base, wanted, entry_code):
    """Firmware writes the address at which it put an image into its header; everything else is as in the file."""
    try:
        found = bytes(gdb.selected_inferior().read_memory(base, HEADER))
        at, entry, _ = _pe(wanted)
        code = bytes(gdb.selected_inferior().read_memory(base + entry, len(entry_code)))
    except gdb.MemoryError:
        return False
    field = at + 24 + 24
    return found[:2] == b"MZ" and found[:field] == wanted[:field] and code == entry_code


def _entry_code(data):
    """The first bytes at the entry point: they are the same in memory, and tell it from a copy of the file."""
    at, entry, _ = _pe(data)
    sections, optional = struct.unpack_from("<H", data, at + 6)[0], struct.unpack_from("<H", data, at + 20)[0]
    for number in range(sections):
        size, start, _, offset = struct.unpack_from("<IIII", data, at + 24 + optional + 40 * number + 8)
        if start <= entry < start + size:
            return data[offset + entry - start:][:32]
    raise gdb.GdbError("the loader's file has its entry point in no section")


def _loader_ranges():
    """What firmware's memory map, which the loader hands over, says is code of loaders: at kernel_entry only."""
    info = symbol("(struct boot_info *)$rdi").dereference()
    base, total = int(info["memory_map"]["base"]), int(info["memory_map"]["size"])
    step = int(info["memory_descriptor_size"])
    data = bytes(gdb.selected_inferior().read_memory(base, total))
    for at in range(0, total - DESCRIPTOR.size + 1, step):
        kind, start, _, pages, _ = DESCRIPTOR.unpack_from(data, at)
        if kind == EFI_LOADER_CODE:
            yield start, pages


def _find_loader():
    with open(path("loader.efi"), "rb") as file:
        data = file.read()
    code = _entry_code(data)
    for start, pages in _loader_ranges():
        for base in range(start, start + pages * PAGE, PAGE):
            if _is_loader(base, data[:HEADER], code):
                return base, base - _pe(data)[2]
    raise gdb.GdbError("the loader is not where firmware's memory map has loaders' code")


@command
def sluice_connect(where):
    """sluice-connect FOLDER: loads the hypervisor's symbols and connects to the QEMU that ./tools/run --gdb has started."""
    global folder
    folder = os.path.realpath(where)
    if not os.path.exists(path("gdb")):
        raise gdb.GdbError(f"no QEMU waits in {folder}: start it with ./tools/run --gdb")
    gdb.execute(f"file {path('kernel.elf')}", to_string=True)
    gdb.execute(f"target remote {path('gdb')}", to_string=True)
    print("The machine stands at its first instruction. The hypervisor's symbols are there: break iommu_map, then continue.\n"
          "For the loader's: sluice-loader. All commands: help sluice")


@command
def sluice_loader():
    """sluice-loader: runs to the hypervisor's first instruction, finds where firmware had put the loader, loads its symbols
there, and starts the machine again: firmware puts it in the same place, and efi_main can be stopped at."""
    entry = gdb.Breakpoint("*kernel_entry", internal=True, temporary=True)
    gdb.execute("continue", to_string=True)
    if int(gdb.parse_and_eval("$pc")) != int(gdb.parse_and_eval("(unsigned long)&kernel_entry")):
        if entry.is_valid():
            entry.delete()
        raise gdb.GdbError("the machine stopped before the hypervisor was entered")
    base, moved = _find_loader()
    gdb.execute(f"add-symbol-file {path('loader.debug.efi')} -o {moved:#x}", to_string=True)
    gdb.execute("monitor system_reset", to_string=True)
    print(f"The loader was at {base:#x}; its symbols are there now, and the machine stands at its first instruction again.")


@command
def sluice_log(lines="20"):
    """sluice-log [LINES]: the last lines of the serial console."""
    with open(path("serial.log"), encoding="utf-8", errors="replace") as file:
        print("".join(file.readlines()[-int(lines):]), end="")


def register(root):
    gdb.execute("set confirm off")
    gdb.execute("set pagination off")
    gdb.execute(f"set substitute-path build {root}")
    gdb.execute(f"directory {root}")

# SPDX-License-Identifier: MIT
"""The IOMMU's page tables, as the hypervisor's own struct page_format describes an entry of either vendor."""
from dataclasses import dataclass

import gdb

from command import symbol

BITS = 9  # of a BFN, for each level


@dataclass
class Flag:
    bit: int
    name: str


# IOMMU_* of drivers/iommu/iommu.h.
FLAGS = (Flag(0x1, "read"), Flag(0x2, "write"), Flag(0x4, "write withheld"), Flag(0x8, "put there at boot"),
         Flag(0x10, "locked: reserved range"))


def vendor_of(form):
    """VT-d or AMD-Vi, by which struct page_format it is."""
    for name, vendor in (("vtd_page_format", "VT-d"), ("amdvi_page_format", "AMD-Vi")):
        if int(form.address) == int(symbol(f"&{name}")):
            return vendor
    return "unknown format"


def _rotated(value, by):
    return (value >> by | value << (64 - by)) & (1 << 64) - 1


class Entry:
    """One entry of a table of some level."""

    def __init__(self, value, form, level):
        self.value, self.level = value, level
        self.address = value & int(form["address_mask"])
        self.is_leaf = value != 0 and (level == 1 or value & int(form["kind"]) == int(form["large"]))
        permission = _rotated(value, int(form["permission_rotate"])) & 3
        self.flags = permission | _rotated(value, int(form["software_rotate"])) & 0x1c

    def __str__(self):
        if self.value == 0:
            return "empty"
        if not self.is_leaf:
            return f"0x{self.value:016x}: the table of level {self.level - 1} at 0x{self.address:x}"
        names = ", ".join(flag.name for flag in FLAGS if self.flags & flag.bit) or "nothing allowed"
        size = {1: "4 KiB", 2: "2 MiB", 3: "1 GiB"}.get(self.level, f"level {self.level}")
        return f"0x{self.value:016x}: {size} at MFN 0x{self.address >> 12:x}: {names}"


def walk(table, bfn):
    """(level, slot, Entry) from the root of a struct page_table down to the leaf, or to what is empty."""
    form, page, level = table["format"].dereference(), int(table["root"]), int(table["levels"])
    pool, first = int(table["pool"]), int(table["pool_mfn"])
    while level >= 1:
        slot = bfn >> BITS * (level - 1) & 511
        raw = gdb.selected_inferior().read_memory(pool + (page << 12) + slot * 8, 8)
        entry = Entry(int.from_bytes(bytes(raw), "little"), form, level)
        yield level, slot, entry
        if entry.value == 0 or entry.is_leaf:
            return
        page, level = (entry.address >> 12) - first, level - 1

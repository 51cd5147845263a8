# SPDX-License-Identifier: MIT
"""Commands that show the hypervisor's state in words."""
import gdb

import tables
from command import command, number, symbol


def _context(word):
    """A context by its domain id; the guest's when there is no word."""
    if word is None:
        context = symbol("guest.context")
        if int(context) == 0:
            raise gdb.GdbError("the guest has no context (not yet, or iommu=off, or iommu-mode=none)")
        return context.dereference()
    domain, count = number(word), int(symbol("'drivers/iommu/iommu.c'::context_count"))
    if not 1 <= domain <= count:
        raise gdb.GdbError(f"there are {count} contexts; their domains are numbered from 1 on")
    return symbol("'drivers/iommu/iommu.c'::contexts")[domain - 1].dereference()


@command
def sluice_units():
    """sluice-units: the IOMMUs that are driven."""
    counts = (("vtd_units", "'drivers/iommu/vtd/unit.c'::unit_count"),
              ("'drivers/iommu/amdvi/unit.c'::units", "'drivers/iommu/amdvi/unit.c'::unit_count"))
    for array, count in counts:
        for index in range(int(symbol(count))):
            print(symbol(array)[index].format_string())


@command
def sluice_contexts():
    """sluice-contexts: every bus address space."""
    for index in range(int(symbol("'drivers/iommu/iommu.c'::context_count"))):
        print(symbol("'drivers/iommu/iommu.c'::contexts")[index].dereference().format_string())


@command
def sluice_walk(bfn, domain=None):
    """sluice-walk BFN [DOMAIN]: the entries that translate a BFN, from the root down; in the guest's context, or another's."""
    context, wanted = _context(domain), number(bfn)
    if wanted > int(context["max_bfn"]):
        raise gdb.GdbError(f"BFN 0x{wanted:x} is beyond the bus, which ends with 0x{int(context['max_bfn']):x}")
    for level, slot, entry in tables.walk(context["table"], wanted):
        print(f"level {level}, entry {slot}: {entry}")


@command
def sluice_entry(value, level="1", vendor=None):
    """sluice-entry VALUE [LEVEL] [vtd|amdvi]: an entry of the IOMMU's page tables in words; level 1 and the machine's vendor
unless given."""
    form = symbol(f"{vendor}_page_format") if vendor else _context(None)["table"]["format"].dereference()
    print(tables.Entry(number(value), form, number(level)))


@command
def sluice_frame(mfn):
    """sluice-frame MFN: a frame's record: whose it is, its type, who refers to it."""
    wanted, count = number(mfn), int(symbol("frame_table_count"))
    if wanted >= count:
        raise gdb.GdbError(f"MFN 0x{wanted:x} has no record: the table has 0x{count:x}")
    table = gdb.Value(0xffff820000000000).cast(gdb.lookup_type("struct frame").pointer())  # MAP_FRAME_TABLE_BASE
    print(f"MFN 0x{wanted:x}: {table[wanted].format_string()}")


@command
def sluice_guest():
    """sluice-guest: the guest's registers, as they are or as its last entry into the hypervisor left them."""
    if int(symbol("$cs")) & 3 == 3:
        print("The guest runs.")
        gdb.execute("info registers")
        return
    # What came from the guest lies at the top of the main stack: kernel/cpu/entry.S.
    kind = gdb.lookup_type("struct cpu_regs")
    regs = gdb.Value(int(symbol("(unsigned long)(&cpu_stacks[0] + 1)")) - kind.sizeof).cast(kind.pointer()).dereference()
    if int(regs["cs"]) & 3 != 3:
        raise gdb.GdbError("the guest was not entered yet")
    print(f"The hypervisor runs; the guest came with {regs.format_string()}")


def register():
    """Importing has made the commands."""

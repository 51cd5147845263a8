# SPDX-License-Identifier: MIT
"""How GDB prints what the hypervisor is made of."""
import gdb
import gdb.printing

import tables
from command import symbol

OWNERS = {"FRAME_NOT_RAM": "not RAM", "FRAME_HYPERVISOR": "the hypervisor's", "FRAME_GUEST": "the guest's", "FRAME_FREE": "free",
          "FRAME_FIRMWARE": "firmware's", "FRAME_PARKED": "parked",
          "FRAME_SERVICES": "boot services'"}
FRAME_FLAGS = ((0x1, "pinned"), (0x2, "shared, writable"), (0x4, "shared, read-only"), (0x8, "on the bus at BFN = MFN since boot"),
               (0x10, "partly validated"), (0x20, "being let go"), (0x40, "linear"), (0x80, "spare"))


def enumerator(kind, value):
    """The name of a value of `enum kind`."""
    for field in gdb.lookup_type(f"enum {kind}").fields():
        if field.enumval == value:
            return field.name
    return f"{value} (not of enum {kind})"


def requester(value):
    return f"{value >> 8:02x}:{value >> 3 & 31:02x}.{value & 7:x}"


class Printer:
    def __init__(self, value):
        self.value = value

    def number(self, name):
        return int(self.value[name])


class Context(Printer):
    """struct iommu_context"""

    def to_string(self):
        table = self.value["table"]
        units = [str(bit) for bit in range(64) if self.number("units") >> bit & 1]
        return (f"context of domain {self.number('domain')}{', DEAD' if self.value['dead'] else ''}: {table}, BFNs to "
                f"0x{self.number('max_bfn'):x}, units {', '.join(units) or 'none'}")


class Table(Printer):
    """struct page_table"""

    def to_string(self):
        if int(self.value["format"]) == 0:
            return "no page table"
        vendor = tables.vendor_of(self.value["format"].dereference())
        return (f"{vendor}, {self.number('levels')} levels, root MFN 0x{self.number('pool_mfn') + self.number('root'):x}, "
                f"{self.number('used')} of {self.number('quota')} table pages used, {self.number('reserve')} kept back")


class Fault(Printer):
    """struct iommu_fault"""

    def to_string(self):
        access = enumerator("iommu_access", self.number("access")).removeprefix("IOMMU_ACCESS_").lower()
        return (f"unit {self.number('unit')}, {requester(self.number('source'))} {access} 0x{self.number('bfn'):x}: "
                f"{self.value['reason'].string()} (0x{self.number('code'):02x})")


class Frame(Printer):
    """struct frame"""

    def to_string(self):
        owner = enumerator("frame_owner", self.number("owner"))
        kind = enumerator("frame_type", self.number("type")).removeprefix("FRAME_TYPE_").lower()
        flags = [name for bit, name in FRAME_FLAGS if self.number("flags") & bit]
        return ", ".join([f"{OWNERS.get(owner, owner)}, type {kind}", f"{self.number('references')} references",
                          f"{self.number('type_references')} as this type",
                          f"{self.number('bus_writable')} bus entries with W, {self.number('bus_readers')} without", *flags])


class Function(Printer):
    """struct pci_function"""

    def to_string(self):
        return (f"{requester(self.number('id'))} {self.number('vendor'):04x}:{self.number('device'):04x}, requester "
                f"{requester(self.number('requester_id'))}{', hidden' if self.value['hidden'] else ''}")


class Registers(Printer):
    """struct cpu_regs"""

    ORDER = ("rip", "rsp", "rflags", "cs", "ss", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12",
             "r13", "r14", "r15")

    def to_string(self):
        words = [f"{name:6} {self.number(name):016x}" for name in self.ORDER]
        rows = ["  ".join(words[i:i + 4]) for i in range(0, len(words), 4)]
        return "\n".join([f"vector 0x{self.number('vector'):x}, error code 0x{self.number('error_code'):x}", *rows])


class VtdUnit(Printer):
    """struct vtd_unit"""

    def to_string(self):
        state = "dead" if self.value["dead"] else "on" if self.value["enabled"] else "off"
        return (f"VT-d unit {self.number('index')} at 0x{self.number('base'):x}, {state}, CAP 0x{self.number('cap'):x}, ECAP "
                f"0x{self.number('ecap'):x}")


class AmdviUnit(Printer):
    """struct amdvi_unit"""

    def to_string(self):
        state = "dead" if self.value["dead"] else "on" if self.value["enabled"] else "off"
        return (f"AMD-Vi unit {self.number('index')} ({requester(self.number('id'))}) at 0x{self.number('base'):x}, {state}, EFR "
                f"0x{self.number('features'):x}")


def register():
    found = gdb.printing.RegexpCollectionPrettyPrinter("sluice")
    for printer in (Context, Table, Fault, Frame, Function, Registers, VtdUnit, AmdviUnit):
        name = printer.__doc__.removeprefix("struct ")
        found.add_printer(name, f"^{name}$", printer)
    gdb.printing.register_pretty_printer(gdb.current_objfile(), found, replace=True)

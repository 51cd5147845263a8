# SPDX-License-Identifier: MIT
"""Tables that are as they should be, and for each check of ./tools/iommu-tables one with that fault alone."""

from . import table_bytes as t

DMAR = t.dmar(t.drhd(0xFED90000, t.scope(t.EP, (2, 0))),
              t.drhd(0xFED91000, t.IOAPIC_2, t.scope(t.HPET, (31, 0)), t.scope(t.ACPI, (21, 0), number=1), rest=True),
              t.rmrr(0x7B800000, 0x7FFFFFFF, t.scope(t.EP, (2, 0))), t.rhsa(0xFED91000, 0),
              t.andd(1, b"\\_SB.PCI0.I2C0"), t.atsr(t.scope(t.BRIDGE, (28, 0))))
IVRS = t.ivrs(t.ivhd(0x10, 0xFD200000, t.ALL_BUT_UNIT, t.SB_IOAPIC),
              t.ivhd(0x11, 0xFD200000, t.ALL_BUT_UNIT, t.SB_IOAPIC, features=5),
              t.ivhd(0x40, 0xFD200000, t.ALL_BUT_UNIT, t.alias(0x42, 0x300, 0x200), t.SB_IOAPIC,
                     t.acpi(0xA5, b"AMDI0020", uid_format=2, uid=b"\\_SB.FUR0"), features=5),
              t.ivmd(0x7D900000, 0x100000, 0x60))

REST = t.drhd(0xFED91000, t.IOAPIC_2, rest=True)
GPU = t.scope(t.EP, (2, 0))


def rmrr_at(base, limit):
    return t.dmar(REST, t.rmrr(base, limit, GPU))


UNIT = t.ivhd(0x11, 0xFD200000, t.ALL_BUT_UNIT, t.SB_IOAPIC)


def ivmd_at(base, size, **more):
    return t.ivrs(UNIT, t.ivmd(base, size, 0x60, **more))


def ivhd_with(*entries, base=0xFD200000, **more):
    return t.ivrs(t.ivhd(0x11, base, t.ALL_BUT_UNIT, *entries, **more))


GIB = 1 << 30
# severity, words of the finding, the table
DMAR_CHECKS = (
    ("error", "no unit", t.dmar()),
    ("error", "register address is 0", t.dmar(t.drhd(0, GPU), REST)),
    ("error", "no multiple of 4 KiB", t.dmar(t.drhd(0xFEDA0800, GPU), REST)),
    ("error", "beyond the 39 bits", t.dmar(t.drhd(1 << 39, GPU), REST)),
    ("error", "also those of the unit at byte 0x30", t.dmar(t.drhd(0xFED91000, rest=True, segment=1), REST)),
    ("error", "also those of the unit at byte 0x30", t.dmar(t.drhd(0xFED91000, GPU), REST)),
    ("warning", "overlap those of the unit at byte 0x30", t.dmar(t.drhd(0xFED90000, GPU, size=1), REST)),
    ("note", "no unit of segment 0001 covers", t.dmar(REST, t.drhd(0xFED92000, GPU, segment=1))),
    ("note", "not the last unit", t.dmar(REST, t.drhd(0xFED90000, GPU))),
    ("error", "two units claim one device", t.dmar(REST, t.drhd(0xFED90000, rest=True))),
    ("error", "two units claim one device", t.dmar(t.drhd(0xFED90000, GPU), t.drhd(0xFED92000, GPU), REST)),
    ("warning", "does not remap interrupts", t.dmar(REST, flags=0)),
    ("warning", "60 bits is not believable", t.dmar(REST, width=60)),
    ("warning", "no unit names an IO-APIC", t.dmar(t.drhd(0xFED91000, rest=True))),
    ("warning", "IO-APIC 2 is also named", t.dmar(t.drhd(0xFED90000, GPU, t.IOAPIC_2), REST)),
    ("note", "no unit names this ACPI device", t.dmar(REST, t.andd(1, b"A"))),
    ("warning", "same number 1", t.dmar(t.drhd(0xFED91000, t.IOAPIC_2, t.scope(t.ACPI, (1, 0), number=1), rest=True),
                                       t.andd(1, b"A"), t.andd(1, b"B"))),
    ("warning", "which no ANDD names", t.dmar(t.drhd(0xFED91000, t.IOAPIC_2, t.scope(t.ACPI, (1, 0), number=7),
                                                     rest=True))),
    ("note", "a unit at 0x1000, and there is none", t.dmar(REST, t.rhsa(0x1000, 0))),
    ("warning", "begin and end with a page", rmrr_at(0x10000, 0x10FFE)),
    ("warning", "begin and end with a page", rmrr_at(0x10800, 0x10FFF)),
    ("warning", "more than 1 GiB", rmrr_at(GIB, 2 * GIB + 0xFFF)),
    ("error", "more than 4 GiB", rmrr_at(8 * GIB, 12 * GIB + 0xFFF)),
    ("error", "more than 4 GiB", t.dmar(REST, *(t.rmrr(n * GIB, n * GIB + 0x37FFFFFF, GPU) for n in range(8, 13)))),
    ("error", "the interrupt window", rmrr_at(0xFEE01000, 0xFEE01FFF)),
    ("error", "the registers of a unit", rmrr_at(0xFED90000, 0xFED91FFF)),
    ("error", "beyond the 39 bits", rmrr_at(1 << 39, (1 << 39) + 0xFFF)),
    ("error", "the registers of a unit", t.dmar(t.drhd(0xFE000000, t.IOAPIC_2, rest=True, size=15),
                                                t.rmrr(0xFE00F000, 0xFE00FFFF, GPU))),
    ("error", "there are more than Sluice keeps", t.dmar(REST, *(t.rmrr(n << 16, (n << 16) + 0xFFF, GPU)
                                                               for n in range(1, 65)))),
    ("warning", "there are more than Sluice keeps", t.dmar(REST, *[t.rhsa(0xFED91000, 0)] * 65)),
    ("note", "names no device", t.dmar(REST, t.rmrr(0x10000, 0x10FFF))),
    ("note", "names no device", t.dmar(REST, t.rmrr(0x10000, 0x10FFF, t.scope(t.HPET, (31, 0))))),
    ("note", "reserved by the RMRR at byte", t.dmar(REST, t.rmrr(0x10000, 0x11FFF, GPU),
                                                    t.rmrr(0x11000, 0x12FFF, t.scope(t.EP, (3, 0))))),
    ("error", "ends before it begins", rmrr_at(0x11800, 0x10000)),
    ("note", "of a type Sluice does not know", t.dmar(REST, t.structure(99, bytes(8)))),
    ("warning", "of a type Sluice does not know", t.dmar(t.drhd(0xFED90000, t.scope(9, (2, 0))), REST)),
)
IVRS_CHECKS = (
    ("error", "no unit", t.ivrs()),
    ("error", "register address is 0", ivhd_with(t.SB_IOAPIC, base=0)),
    ("error", "no multiple of 16 KiB", ivhd_with(t.SB_IOAPIC, base=0xFD201000)),
    ("error", "beyond the 48 bits", ivhd_with(t.SB_IOAPIC, base=1 << 48)),
    ("error", "also those of the unit at byte 0x30", t.ivrs(UNIT, t.ivhd(0x11, 0xFD200000, unit=0x4002))),
    ("error", "HATDis", ivhd_with(t.SB_IOAPIC, attributes=1)),
    ("warning", "another register address", t.ivrs(t.ivhd(0x10, 0xFD300000), UNIT)),
    ("warning", "another place of its PCI capability", t.ivrs(t.ivhd(0x10, 0xFD200000, capability=0x50), UNIT)),
    ("warning", "other features", t.ivrs(UNIT, t.ivhd(0x40, 0xFD200000, t.ALL_BUT_UNIT, t.SB_IOAPIC, features=9))),
    ("note", "only this block of type 10h", t.ivrs(UNIT, t.ivhd(0x10, 0xFD300000, unit=0x4002))),
    ("note", "the unit's own PCI function", ivhd_with(t.SB_IOAPIC, t.entry(2, 2))),
    ("warning", "no unit names an IO-APIC", ivhd_with(t.special(2, 0, 0xA0))),
    ("warning", "IO-APIC 33 is also named", ivhd_with(t.SB_IOAPIC, t.special(1, 33, 1))),
    ("warning", "HPET 0 is also named", ivhd_with(t.SB_IOAPIC, t.special(2, 0, 1), t.special(2, 0, 3))),
    ("warning", "IO-APIC 34 and of IO-APIC 33", ivhd_with(t.SB_IOAPIC, t.special(1, 34, 0xA0))),
    ("error", "two aliases for one device", ivhd_with(t.SB_IOAPIC, t.alias(0x42, 8, 16), t.alias(0x42, 8, 24))),
    ("error", "two units claim one device", t.ivrs(UNIT, t.ivhd(0x11, 0xFD300000, t.ALL_BUT_UNIT, unit=1))),
    ("error", "a range without an end", ivhd_with(t.SB_IOAPIC, t.entry(3, 8))),
    ("warning", "begin and end with a page", ivmd_at(0x10000, 0xFFF)),
    ("warning", "more than 1 GiB", ivmd_at(GIB, GIB + 0x1000)),
    ("error", "more than 4 GiB", ivmd_at(8 * GIB, 4 * GIB + 0x1000)),
    ("error", "the interrupt window", ivmd_at(0xFEE00000, 0x1000)),
    ("error", "the registers of a unit", ivmd_at(0xFD203000, 0x1000)),
    ("error", "the HyperTransport window", ivmd_at(0xFD00000000, 0x1000)),
    ("error", "beyond the 48 bits", ivmd_at(1 << 48, 0x1000)),
    ("error", "refuses it, and nobody reaches it", ivmd_at(0xFEE00000, 0x1000, kind=0x20)),
    ("note", "the performance counters of a unit", ivmd_at(0xFD204000, 0x1000)),
    ("note", "the performance counters of a unit", ivmd_at(0xFD27F000, 0x1000)),
    ("error", "the registers of a unit", t.ivrs(t.ivhd(0x11, 0xFD200000, t.ALL_BUT_UNIT, t.SB_IOAPIC, features=1 << 9),
                                                t.ivmd(0xFD27F000, 0x1000, 8))),
    ("error", "there are more than Sluice keeps", t.ivrs(UNIT, *(t.ivmd(n << 16, 0x1000, 8) for n in range(1, 64)))),
    ("error", "of no bytes", ivmd_at(0x10000, 0)),
    ("error", "beyond the last address", ivmd_at((1 << 64) - 0x1000, 0x1001)),
    ("note", "no access", ivmd_at(0x10000, 0x1000, flags=1)),
    ("warning", "segment 0003, which no unit has", ivmd_at(0x10000, 0x1000, segment=3)),
    ("note", "reserved by the IVMD at byte", t.ivrs(UNIT, t.ivmd(0x10000, 0x2000, 8), t.ivmd(0x11000, 0x2000, 16))),
    ("warning", "a special device that is neither", ivhd_with(t.SB_IOAPIC, t.special(7, 0, 0))),
)

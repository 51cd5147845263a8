# SPDX-License-Identifier: MIT
"""Boots with another DMAR or IVRS than QEMU's: what is wrong in one costs the devices it is about, and no more.

A table and what the log must say of each of its parts are written together, so that many parts share one boot."""

import sys
from dataclasses import dataclass

from tests.boot import checks, tables
from tests.boot.tables import block, dmar, drhd, ivhd, ivmd, ivrs, rmrr, scope, select, structure
from tests.runner.boot import Firmware, Scenario
from tests.runner.paths import HOOKED
from tests.runner.vm import Machine

VTD, AMDVI = 0xfed90000, 0xfed80000  # where QEMU's units are
UNANSWERED = 0xfeda0000  # nothing of QEMU's is there
AMDVI_UNIT = "00:01.0"  # a function of its own, before those that were asked for

NVME = {"intel": "00:01.0", "amd": "00:02.0"}
EDU = {"intel": "00:02.0", "amd": "00:03.0"}
THIRD = {"intel": "00:03.0", "amd": "00:04.0"}
# None of these is of use to the tour. Nothing is at ABSENT.
LPC, SATA, SMBUS, ABSENT = "00:1f.0", "00:1f.2", "00:1f.3", "00:1e.0"
IOAPIC = {"intel": "ff:00.0", "amd": "00:14.0"}
HOST = "00:00.0"

MIB, GIB, PAGE = 1 << 20, 1 << 30, 4096
MEMORY = 256  # MiB; a range over all of it holds the hypervisor, wherever that is
ALL_RAM = (0x100000, MEMORY * MIB)
# In the middle of memory, where neither firmware nor the hypervisor keeps anything.
PLAIN_RAM, EDU_RAM, UNSURE_RAM, ABSENT_RAM = ((at * MIB, at * MIB + 16 * PAGE) for at in (80, 88, 96, 104))
IOAPIC_PAGE, ECAM = (0xfec00000, 0xfec01000), (0xb0000000, 0xc0000000)  # QEMU's, as OVMF sets it up
EDU_WINDOW = 0xc0000000  # of edu's registers: answers, and is no unit
HOLE = (GIB, 2 * GIB)  # 1 GiB without memory and without a device's window
# Beyond the 39 bits of QEMU's VT-d; AMD-Vi's bus has all 64, so there it is beyond what an entry can point at.
FAR = {"intel": (1 << 40, (1 << 40) + PAGE), "amd": (1 << 60, (1 << 60) + PAGE)}

# The words that tell what was found wrong; all else in those lines may be put otherwise.
WORDS = {
    "hypervisor": r"hypervisor",
    "too far": r"beyond|width",
    "backwards": r"ends before|backwards",
    "empty": r"no bytes|empty",
    "devices backwards": r"ends before|backwards",
    "scope length": r"length",
    "unknown": r"does not know|unknown|skipped",
    "one unit": r"one unit|skipped",
    "cut": r"length",
    "impossible base": r"impossible|register",
    "nothing there": r"nothing answers",
    "impostor": r"no VT-d unit",
    "same registers": r"same registers",
    "checksum": r"checksum",
    "no unit": r"without a working IOMMU|no usable|not started",
    "no table": r"firmware has neither",
}


def at_offset(offset: int, what: str) -> str:
    return rf"^sluice: iommu: .*\b({offset}|{offset:#x})\b.*({WORDS[what]})"


def other_finding(offsets: set) -> str:
    """A finding at any other offset."""
    return rf"^sluice: iommu: (DMAR|IVRS) offset (?!({'|'.join(map(str, offsets)) or 'none'})\b)"


def about(what: str) -> str:
    return rf"^sluice: .*({WORDS[what]})"


def range_is_kept(span: tuple) -> str:
    return rf"^sluice: iommu: (?!.*refused).*{span[0]:#x}\b.*{span[1] - 1:#x}\b"


def range_is_refused(span: tuple, what: str) -> str:
    return rf"^sluice: iommu: .*{span[0]:#x}\b.*{span[1] - 1:#x}\b.*({WORDS[what]})"


def listed(span: tuple) -> str:
    """The guest inventory has it among its reserved ranges."""
    return rf"^range {span[0] >> 12:#x} {span[1] - span[0] >> 12:#x} "


def device_stays_blocked(place: str) -> str:
    return rf"^sluice: .*{place} .*blocked"


def device_is_shut(place: str) -> str:
    """Alone, or with its group."""
    return rf"^sluice: .*{place}[ ,:].*(cannot see|hidden|shut)"


def seen(place: str) -> str:
    return rf"^function {place} "


def is_master(place: str, on: bool) -> str:
    return rf"^function {place} .* bus mastering {'on' if on else 'off'}$"


# ---- QEMU's own unit, in each vendor's words ----

def vtd_unit(*places: str, **more) -> bytes:
    return drhd(VTD, scope(IOAPIC["intel"], kind=tables.IOAPIC), *map(scope, places), **more)


def amdvi_unit(*entries: bytes, kind: int = tables.BASIC) -> bytes:
    return ivhd(kind, AMDVI_UNIT, AMDVI, *entries, tables.ioapic(IOAPIC["amd"]))


def functions(vendor: str) -> list:
    """Every function of the tour's machine, as QEMU's table names them."""
    unit = [AMDVI_UNIT] if vendor == "amd" else []
    return [HOST, *unit, NVME[vendor], EDU[vendor], LPC, SATA, SMBUS]


def own_unit(vendor: str) -> list:
    if vendor == "intel":
        return [vtd_unit(*functions(vendor))]
    return [amdvi_unit(*map(select, functions(vendor)))]


def own_unit_and_more(vendor: str) -> list:
    """As newer firmware has it: what is not about units and memory, or says the same once more."""
    if vendor == "intel":
        return [*own_unit(vendor), tables.atsr(scope("00:1c.0", kind=tables.BRIDGE))]
    entries = [*map(select, functions(vendor)[:-3]), tables.from_to(LPC, SMBUS)]
    return [*own_unit(vendor), *(amdvi_unit(*entries, kind=kind) for kind in (tables.EFR, tables.ACPI_HID))]


def table(vendor: str, *parts: bytes) -> bytes:
    return dmar(*parts) if vendor == "intel" else ivrs(*parts)


def memory_for(vendor: str, span: tuple, place: str, length: int | None = None) -> bytes:
    first, end = span
    if vendor == "intel":
        return rmrr(first, end - 1, scope(place), length=length)
    return ivmd(first, end - first, place, length=length)


def extra_unit(vendor: str, base: int, place: str, amd_function: str) -> bytes:
    """A unit for one device, which QEMU does not have."""
    if vendor == "intel":
        return drhd(base, scope(place))
    return ivhd(tables.BASIC, amd_function, base, select(place))


# ---- tables with more in them ----

FIRST_STRUCTURE = 48  # in either table

@dataclass
class Part:
    """A structure that firmware could have got wrong: what the log, and the inventory's list, say of it."""
    bytes: bytes
    found: str = ""  # the word of a finding at its offset
    behind: int = 0  # or so many bytes behind it
    says: tuple = ()
    keeps: tuple = ()  # the range that is reserved by it
    loses: tuple = ()  # or is not


def firmware(vendor: str, parts: list, *says: str, base: list | None = None) -> Firmware:
    """The base, which is QEMU's unit if nothing else, then the parts."""
    made = b"".join(own_unit(vendor) if base is None else base)
    offset, told, wrong = FIRST_STRUCTURE + len(made), list(says), set()
    for part in parts:
        if part.found:
            wrong.add(offset + part.behind)
            told.append(at_offset(offset + part.behind, part.found))
        told += part.says
        offset += len(part.bytes)
    return Firmware(table(vendor, made, *(part.bytes for part in parts)), tuple(told), (other_finding(wrong),))


def odd_structures(vendor: str) -> list:
    """What only one vendor's firmware can get wrong."""
    if vendor == "intel":
        return [
            Part(rmrr(UNSURE_RAM[1], UNSURE_RAM[0], scope(SATA)), "backwards"),
            Part(rmrr(UNSURE_RAM[0], UNSURE_RAM[1] - 1, scope(SATA, length=200)), "scope length", behind=24),
            Part(structure(0x77, bytes(12)), "unknown"),
        ]
    return [
        Part(ivmd(UNSURE_RAM[0], 0, SATA), "empty"),
        Part(ivmd((1 << 64) - PAGE, 2 * PAGE, SATA), "too far"),
        Part(ivmd(UNSURE_RAM[0], PAGE, SMBUS, SATA), "devices backwards"),
        Part(ivmd(UNSURE_RAM[0], PAGE, AMDVI_UNIT, kind=0x23), "one unit"),
        Part(block(0x77, 0, bytes(12)), "unknown"),
    ]


def range_parts(vendor: str) -> list:
    """Reserved memory, good and bad; the bad ones name a device that the tour has no use for."""
    def refused(span: tuple, why: str) -> Part:
        return Part(memory_for(vendor, span, SATA), says=(range_is_refused(span, why),), loses=span)

    def honoured(span: tuple, place: str, *more: str) -> Part:
        return Part(memory_for(vendor, span, place), says=(range_is_kept(span), *more), keeps=span)

    return [
        refused(ALL_RAM, "hypervisor"),
        refused(FAR[vendor], "too far"),
        refused(IOAPIC_PAGE, "hypervisor"),
        refused(ECAM, "hypervisor"),
        *odd_structures(vendor),
        honoured(PLAIN_RAM, LPC, r"^sluice: iommu: .* 64 KiB of it were free memory"),
        honoured(EDU_RAM, EDU[vendor]),
        honoured(ABSENT_RAM, ABSENT, device_stays_blocked(ABSENT)),
        honoured(HOLE, SMBUS),
    ]


def on_both(make) -> dict:
    return {vendor: make(vendor) for vendor in ("intel", "amd")}


def with_ranges(vendor: str) -> Firmware:
    return firmware(vendor, range_parts(vendor), device_is_shut(SATA), base=own_unit_and_more(vendor))


def with_ranges_listed(vendor: str) -> Firmware:
    made, parts = with_ranges(vendor), range_parts(vendor)
    return Firmware(made.table,
                    (*made.says, seen(EDU[vendor]), *(listed(part.keeps) for part in parts if part.keeps)),
                    (*made.never, seen(SATA), *(listed(part.loses) for part in parts if part.loses)))


def with_work(vendor: str) -> Firmware:
    """Memory for a disk controller, which may be at work in it; the other one has none."""
    return firmware(vendor, [Part(memory_for(vendor, PLAIN_RAM, NVME[vendor]), says=(range_is_kept(PLAIN_RAM),))],
                    is_master(NVME[vendor], True), is_master(SATA, False))


def with_a_cut(vendor: str) -> Firmware:
    """The last structure, about a device, reaches beyond the table."""
    return firmware(vendor, [Part(memory_for(vendor, PLAIN_RAM, SATA, length=33), "cut")])


def with_units(vendor: str) -> Firmware:
    """QEMU's unit has all the rest, but not what units that cannot be used have."""
    if vendor == "intel":
        rest = vtd_unit(NVME["intel"], flags=tables.INCLUDE_ALL)
    else:
        rest = amdvi_unit(tables.everything())
    qemus = VTD if vendor == "intel" else AMDVI
    parts = [Part(extra_unit(vendor, 0, SATA, "00:01.1"), "impossible base"),
             Part(extra_unit(vendor, UNANSWERED, SMBUS, "00:01.2"), "nothing there"),
             Part(extra_unit(vendor, qemus, THIRD[vendor], "00:01.3"), "same registers")]
    lost = (SATA, SMBUS, THIRD[vendor])
    made = firmware(vendor, parts, *map(device_is_shut, lost), base=[rest])
    made.never += tuple(map(seen, lost))
    return made


def with_an_impostor(vendor: str) -> Firmware:
    """A register address at which something else answers."""
    rest = vtd_unit(NVME[vendor], flags=tables.INCLUDE_ALL)
    made = firmware(vendor, [Part(extra_unit(vendor, EDU_WINDOW, LPC, ""), "impostor")], device_is_shut(LPC),
                    seen(NVME[vendor]), base=[rest])
    made.never += (seen(LPC),)
    return made


def with_a_unit_cut(vendor: str) -> Firmware:
    """A unit that nobody can read: it may have whatever is not named one by one."""
    named = (NVME[vendor], EDU[vendor])
    if vendor == "intel":
        whole = dmar(vtd_unit(*named, flags=tables.INCLUDE_ALL), drhd(UNANSWERED, scope(SATA)))
    else:
        whole = ivrs(amdvi_unit(*map(select, named), tables.from_to("00:00.0", "ff:1f.7")),
                     ivhd(tables.BASIC, "00:01.1", UNANSWERED, select(SATA)))
    return Firmware(tables.mend(whole[:-1]), (r"named one by one", device_is_shut(SATA)), (seen(SATA),))


def without_a_unit(vendor: str) -> Firmware:
    if vendor == "intel":
        unit = Part(drhd(0, *map(scope, functions(vendor))), "impossible base")
    else:
        unit = Part(ivhd(tables.BASIC, AMDVI_UNIT, 0, *map(select, functions(vendor))), "impossible base")
    return firmware(vendor, [unit], about("no unit"), base=[])


def with_wrong_checksum(vendor: str) -> Firmware:
    right = table(vendor, *own_unit(vendor))
    wrong = tables.spoil(right, tables.CHECKSUM_AT, bytes([right[tables.CHECKSUM_AT] ^ 1]))
    return Firmware(wrong, (about("checksum"), about("no table"), about("no unit")))


def cut_in_half(vendor: str) -> Firmware:
    right = table(vendor, *own_unit(vendor))
    return Firmware(tables.mend(right[:len(right) // 2]), (at_offset(FIRST_STRUCTURE, "cut"), about("no unit")))


# ---- the scenarios ----

def tours() -> list:
    def on(name: str, about_it: str, firmware_of: dict, devices: tuple = ("nvme", "edu"), guest: str = "tour",
           **more) -> Scenario:
        return Scenario(f"firmware-{name}", about_it, Machine(guest=guest, devices=devices, memory=MEMORY),
                        firmware=firmware_of, **({"check": checks.tour} if guest == "tour" else {}), **more)

    own = on_both(lambda vendor: firmware(vendor, []))
    units = ("nvme", "edu", "virtio-iommu")
    given = on_both(with_units)
    return [
        on("own", "QEMU's table, made here", own, says=(r"^sluice: iommu: interrupts are remapped",),
           never=("unknown option", "nobody knows")),
        on("ranges", "reserved ranges, good and bad, among structures that nobody knows", on_both(with_ranges),
           says=(r"^tour: bus frames 0x[0-9a-f]+ to 0x[0-9a-f]+ are firmware's",)),
        on("ranges-listed", "the guest is told of the good ones, and of no other", on_both(with_ranges_listed),
           guest="inventory"),
        on("ranges-at-work", "a controller with reserved memory goes on, others that firmware left at work do not",
           on_both(with_work), guest="inventory", says=(r"^sluice: pci: firmware left bus mastering on \(1 ",)),
        on("cut", "the last structure reaches beyond the table", on_both(with_a_cut)),
        on("unit-cut", "what a unit that cannot be read has is not known", on_both(with_a_unit_cut)),
        on("unit-cut-hidden", "and the guest does not see it", on_both(with_a_unit_cut), guest="inventory",
           says=("Test result: SUCCESS",)),
        on("unit-impostor", "what answers at a register address is no unit", {"intel": with_an_impostor("intel")},
           guest="inventory", only="intel: AMD-Vi's registers do not tell what they are"),
        on("units", "units that cannot be used cost the devices they name", given, units),
        on("units-hidden", "and the guest does not see those", given, units, guest="inventory",
           says=("Test result: SUCCESS",)),
    ]


def refusals() -> list:
    """No guest is started."""
    def on(name: str, about_it: str, firmware_of: dict, only: str = "") -> Scenario:
        return Scenario(f"refuses-firmware-{name}", about_it, Machine(), status=2, firmware=firmware_of,
                        never=("unknown option", r"^hello: "), only=only)

    return [
        on("base-0", "the only unit's registers are at 0", on_both(without_a_unit)),
        on("checksum", "the table's checksum is wrong", on_both(with_wrong_checksum),
           "intel: no table comes that far, so the IOMMU does not matter"),
        on("half", "half of the table, with a header that agrees", on_both(cut_in_half)),
    ]


def option() -> list:
    """The option itself. The shipped image does not know it."""
    def on(name: str, about_it: str, says: str, vendor: str, acpi_override=None, **machine) -> Scenario:
        return Scenario(f"override-{name}", about_it, Machine(efi=HOOKED, acpi_override=acpi_override, **machine),
                        status=2, says=(says,), only=f"{vendor}: the IOMMU does not matter here, so every other one",
                        never=(r"^hello: ", r"leaving boot services"))

    return [
        on("missing", "there is no such file", r"^sluice: refused: .*no such file", "intel",
           options="acpi-override=sluice/nothing"),
        on("no-table", "the file is no table", r"^sluice: refused: .*no ACPI table", "amd",
           b"hello, this is no table" * 4),
        on("no-place", "firmware has no such table", r"^sluice: refused: .*no table of its signature", "intel",
           table("amd", *own_unit("amd"))),
        Scenario("override-shipped", "the shipped image has no such option",
                 Machine(options="acpi-override=sluice/table"), never=("hook: ", "takes the place"),
                 says=(r"^sluice: options: nobody knows 'acpi-override", "hello: all is well"),
                 only="amd: the IOMMU does not matter here, so every other one"),
    ]


SCENARIOS = tours() + refusals() + option()


def main(name: str) -> None:
    """python3 -m tests.boot.firmware NAME/VENDOR > FILE: the table of a scenario, for ./tools/run --acpi-override."""
    known = {f"{scenario.name}/{vendor}": made.table for scenario in SCENARIOS
             for vendor, made in scenario.firmware.items()}
    if name not in known:
        sys.exit("a name is one of: " + " ".join(known))
    sys.stdout.buffer.write(known[name])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")

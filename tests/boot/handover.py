# SPDX-License-Identifier: MIT
"""Boots with what firmware may hand over: the state of processors, memory, tables and devices (docs/handover.md)."""

from pathlib import Path

from tests.boot import checks, tables
from tests.boot.firmware import EDU, NVME, amdvi_unit, vtd_unit
from tests.runner.boot import Firmware, Scenario
from tests.runner.core import Failed, Skipped
from tests.runner.paths import HOOKED
from tests.runner.vm import Machine, Run

DEVICES = ("nvme", "edu")
OVMF = Path("/usr/share/OVMF")
X2APIC = (9, 0)  # no QEMU before it has that mode without KVM
GIB_NEEDED = 12  # of the host's memory: the records of 520 GiB, twice, for the other vendor's test beside it


def pflash(code: str, variables: str) -> tuple:
    return ("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF / code}",
            "-drive", f"if=pflash,unit=1,format=raw,snapshot=on,file={OVMF / variables}")


def with_free_memory(machine: Machine) -> Machine:
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    free = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("MemAvailable"))
    if free < GIB_NEEDED << 20:
        raise Skipped(f"needs {GIB_NEEDED} GiB of free memory; there are {free >> 20}")
    return machine


def with_file(file: Path):
    def prepare(machine: Machine) -> Machine:
        if not file.exists():
            raise Skipped(f"there is no {file}")
        return machine
    return prepare


def nothing_was_said(run: Run) -> None:
    if run.text:
        raise Failed("a machine without a serial port has said something", run.text)


def hooked() -> list:
    """What QEMU's firmware does not do, done by the image for tests."""
    def on(word: str, about: str, says: tuple = (), never: tuple = (), **machine) -> Scenario:
        return Scenario(f"handover-{word}", about, Machine(**{"guest": "tour", "devices": DEVICES, "efi": HOOKED,
                                                              "options": f"hook={word}", **machine}),
                        says=says, never=("unknown option", *never), check=checks.tour)

    return [
        on("la57", "5 levels of paging are on",
           (r"hook: paging has 5 levels", r"^sluice: loader: firmware left 5-level paging on")),
        on("x2apic", "the local APIC is in x2APIC mode", (r"hook: the local APIC is in x2APIC mode",),
           qemu=X2APIC, icount=False),  # QEMU 10.0 stops at these registers under -icount: "Bad icount read"
        on("processors", "the others run in memory that boot services held",
           (r"hook: the other processors counted to [1-9]\d* and stand still",), ("stand still.*RUN",), smp=4),
        on("acpi", "a root pointer of ACPI 1.0, and tables at odd places of boot services' memory",
           (r"hook: \d+ tables .* boot services", r"^sluice: acpi: revision 0, ")),
    ]


def machines() -> list:
    """What QEMU can be asked for."""
    def on(name: str, about: str, says: tuple = (), tables_of: dict | None = None, **more) -> Scenario:
        rest = {key: more.pop(key) for key in ("prepare", "only", "properties") if key in more}
        machine = Machine(**{"guest": "tour", "devices": DEVICES, **more})
        return Scenario(f"handover-{name}", about, machine, says=says, check=checks.tour,
                        firmware=tables_of or {}, **rest)

    narrow = tables.dmar(vtd_unit(NVME["intel"], EDU["intel"], flags=tables.INCLUDE_ALL), width=32)
    one_unit = amdvi_unit(*map(tables.select, (NVME["amd"], EDU["amd"])))
    narrow_amd = tables.ivrs(one_unit, info=32 << tables.PHYSICAL_BITS)
    narrower_bus = tables.ivrs(one_unit, info=48 << tables.PHYSICAL_BITS | 48 << tables.BUS_BITS)
    return [
        on("low-memory-short", "8 GiB, of which 1 GiB lies below 4 GiB", memory=8192, options="guest-memory=256",
           arguments=("-machine", "max-ram-below-4g=1G"), timeout=90),
        on("memory-520g", "memory above 512 GiB", (r"^sluice: memory: .* of RAM up to 0x8[0-9a-f]{9},",),
           memory=520 << 10, options="guest-memory=64", timeout=240, prepare=with_free_memory,
           properties={"intel": "aw-bits=48"},
           arguments=("-object", "memory-backend-ram,id=all,size=520G,reserve=off",
                      "-machine", "memory-backend=all")),
        on("narrow-bus", "a table that gives devices 32 bits of address, and memory beyond",
           (r"^sluice: memory: 4\d{3} MiB are not used: devices reach 32 bits",), memory=6144,
           options="guest-memory=256", timeout=90, tables_of={"intel": Firmware(narrow), "amd": Firmware(narrow_amd)}),
        on("narrower-bus-addresses", "an IVRS that says less of bus addresses than the unit's levels",
           (r"^sluice: iommu: firmware says 48 bits of bus address, the units translate 64: the fewer count",
            r"48-bit bus addresses"), tables_of={"amd": Firmware(narrower_bus)},
           only="amd: VT-d's units alone say how wide bus addresses are"),
        on("second-root", "a second host bridge, with buses of its own", (r"^sluice: pci: 41:00\.0 8086:10d3 network",),
           devices=(*DEVICES, "second-root")),
        on("second-root-nvme", "NVMe behind a port of a second host bridge", (r"^sluice: pci: 41:00\.0 1b36:0010",),
           devices=("edu", "nvme-on-second-root"),
           only="intel: QEMU's amd-iommu takes bus numbers before firmware gives them"),
        on("large-window", "a device's window of 8 GiB, which only fits above 4 GiB",
           (r"^sluice: pci: (\d+) of \1 device windows are the guest's",), devices=(*DEVICES, "large-window")),
        on("ovmf-4m", "another build of OVMF, in flash memory", firmware=pflash("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
           prepare=with_file(OVMF / "OVMF_CODE_4M.fd"), boot="usb", timeout=90),
    ]


def silent() -> list:
    return [Scenario("handover-no-serial", "no serial port: the guest runs, and nothing is said",
                     Machine(serial=False), check=nothing_was_said)]


SCENARIOS = hooked() + machines() + silent()

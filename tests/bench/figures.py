# SPDX-License-Identifier: MIT
"""What is measured, beside what the peers need, and the ceilings that must hold. docs/benchmarks.md has the method."""

import re
import shutil
from dataclasses import dataclass
from functools import lru_cache

from tests.bench import engine
from tests.runner.core import Failed, Skipped
from tests.runner.paths import BUILD, EFI
from tests.runner.vm import ICOUNT_SHIFT, Machine, Run, boot

MIB = 1 << 20


@dataclass
class Row:
    name: str
    value: float
    unit: str
    ceiling: float | None = None  # must hold
    aim: float | None = None  # what a later issue asks for
    peers: str = ""

    @property
    def exceeded(self) -> bool:
        return self.ceiling is not None and self.value > self.ceiling

    @staticmethod
    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:,.1f}"

    def text(self) -> str:
        return f"{self.number(self.value)} {self.unit}"

    def ceiling_text(self) -> str:
        return "" if self.ceiling is None else self.number(self.ceiling)

    def aim_text(self) -> str:
        return "" if self.aim is None else self.number(self.aim)


def instructions(ticks: int) -> int:
    return ticks >> ICOUNT_SHIFT


# ---- boot: from the loader's last instruction to the guest's first ----

XEN_BOOT = {512: "upstream Xen 42.6 M, Xen 4.17 540 M", 2048: "upstream Xen 68.6 M, Xen 4.17 562 M"}
BOOT_CEILING = {512: 20e6, 2048: 32e6}


@lru_cache
def booted(memory: int, options: str) -> Run:
    run = boot(Machine(guest="hello", memory=memory, p2m="linear", options=options, devices=("nvme", "edu"),
                       timeout=120))
    if run.status != 0:
        raise Failed(f"the machine of {memory} MiB did not come up: {run.sentence}", run.text)
    return run


def boot_rows() -> list:
    rows = []
    for memory, ceiling in BOOT_CEILING.items():
        for options, guest in (("guest-memory=384", "384 MiB guest"), ("", "guest with all memory")):
            ticks = booted(memory, options).summary["boot_tsc"]
            rows.append(Row(f"boot, {memory} MiB machine, {guest}", instructions(ticks), "instructions", ceiling,
                            peers=XEN_BOOT[memory]))
    return rows


def size_rows() -> list:
    small, large = booted(2048, "guest-memory=384").summary, booted(2048, "").summary
    return [
        Row("image, BOOTX64.EFI", EFI.stat().st_size, "bytes", 256 << 10, peers="Xen 2,827,721"),
        Row("memory beside the frame table, 2 GiB machine, 384 MiB guest", small["resident_bytes"], "bytes", 8 * MIB,
            peers="Xen 28.9 MB"),
        Row("memory beside the frame table, 2 GiB machine, guest with all memory", large["resident_bytes"], "bytes"),
        Row("frame table, 2 GiB machine", large["frame_table_bytes"], "bytes"),
    ]


# ---- calls: counted by the guest tests/bench/guest ----

# (name, elements): (row, ceiling, aim, peers); figures of more than one element are per element.
CALLS = {
    ("unknown-hypercall", 1): ("unknown hypercall", 110, None, "Xen 219 to 237"),
    ("xen_version", 1): ("xen_version", 110, None, "Xen 260 to 278"),
    ("iommu_op-empty", 1): ("IOMMUOP, count 0", None, 120, "XCP-ng 255, RFC v7 402"),
    ("map-contiguous", 1): ("map 1, tables warm", None, 300, "XCP-ng 1,961, RFC 1,822"),
    ("unmap-contiguous", 1): ("unmap 1", None, 400, "XCP-ng 2,297, RFC 2,181"),
    ("map-contiguous", 16): ("map 16 contiguous, an element", None, None, ""),
    ("unmap-contiguous", 16): ("unmap 16 contiguous, an element", None, None, ""),
    ("map-contiguous", 256): ("map 256 contiguous, an element", 220, 80, "XCP-ng 1,514, RFC 1,093"),
    ("unmap-contiguous", 256): ("unmap 256 contiguous, an element", 220, 80, "XCP-ng 1,336, RFC 1,001"),
    ("map-scattered-frames", 1): None, ("unmap-scattered-frames", 1): None,
    ("map-scattered-frames", 16): None, ("unmap-scattered-frames", 16): None,
    ("map-scattered-frames", 256): ("map 256 scattered frames, an element", 220, 80, "XCP-ng 1,495, RFC 1,851"),
    ("unmap-scattered-frames", 256): ("unmap 256 scattered frames, an element", 220, 80, "XCP-ng 1,536, RFC 2,263"),
    ("map-scattered", 1): None, ("unmap-scattered", 1): None,
    ("map-scattered", 16): ("map 16 scattered BFNs, an element", None, None, ""),
    ("unmap-scattered", 16): ("unmap 16 scattered BFNs, an element", None, None, ""),
    ("map-scattered", 256): ("map 256 scattered BFNs, an element", 220, 80, "XCP-ng 1,495, RFC 1,851"),
    ("unmap-scattered", 256): ("unmap 256 scattered BFNs, an element", 220, 80, "XCP-ng 1,536, RFC 2,263"),
    ("physdev-map", 1): ("PHYSDEVOP_iommu_map", None, None, ""),
    ("update_va_mapping-set", 1): ("update_va_mapping, set", None, 350, "Xen 838 to 856"),
    ("update_va_mapping-clear", 1): ("update_va_mapping, clear", None, 350, "Xen 769 to 787"),
    ("mmu_update", 1): ("mmu_update of 1", None, 350, "Xen 948 to 966"),
    ("mmu_update", 32): ("mmu_update of 32, an entry", None, 150, "Xen 490 to 566"),
    ("multicall-update_va_mapping", 32): ("multicall of 32 update_va_mapping, a call", None, 7000 / 32,
                                          "Xen 653 to 722"),
    ("page-fault-and-iret", 1): ("#PF to the guest's handler and back", None, 350, "Xen 685 to 718"),
}


def call_rows() -> list:
    run = boot(Machine(guest="bench", memory=512, p2m="linear", timeout=120))
    counts = {(name, int(elements)): instructions(int(ticks)) for name, elements, ticks in
              re.findall(r"^bench: (\S+) (\d+) (\d+)$", run.text, re.MULTILINE)}
    if run.status != 0 or set(counts) != set(CALLS):
        raise Failed(f"the measuring guest did not finish, or measured something else: {set(counts) ^ set(CALLS)}",
                     run.text)
    rows = []
    for (key, about) in CALLS.items():
        if about:
            name, ceiling, aim, peers = about
            rows.append(Row(name, counts[key] / key[1], "instructions", ceiling, aim, peers))
    return rows


# ---- the engine alone, under callgrind ----

ENGINE_PEERS = {
    "map 1": (125, "NOVA 360, ACRN 201, Jailhouse 292"),
    "unmap 1": (125, "NOVA 339, ACRN 3,304, Jailhouse 2,795"),
    "map 256 in one run": (3600, "NOVA 84,002, ACRN 5,303, Jailhouse 64,809"),
    "map 256 scattered frames": (None, "NOVA 92,949, ACRN 51,989, Jailhouse 75,285"),
    "map 2 MiB": (130, "NOVA 438, ACRN 191, Jailhouse 314"),
    "unmap 2 MiB": (130, "NOVA 417, ACRN 3,255, Jailhouse 2,765"),
    "map 256 times 2 MiB": (3400, "NOVA 2,568, ACRN 12,433, Jailhouse 69,421"),
    "unmap 256 times 2 MiB": (3100, "NOVA 3,567, ACRN 10,907, Jailhouse 209,572"),
    "unmap 256": (None, "one by one: NOVA 86,804, ACRN 260,110, Jailhouse 227,471"),
}


def engine_rows() -> list:
    program = BUILD / "bench/engine"
    if not program.is_file():
        raise Skipped("valgrind's headers are not installed, so the engine's program was not built")
    if not shutil.which("valgrind"):
        raise Skipped("valgrind is not installed")
    rows = []
    for name, count in engine.measure(program).items():
        aim, peers = ENGINE_PEERS.get(name, (None, ""))
        rows.append(Row(f"engine: {name}", count, "instructions", aim=aim, peers=peers))
    return rows


MEASURES = {"boot": boot_rows, "size": size_rows, "calls": call_rows, "engine": engine_rows}
SUBJECTS = (
    ("boot", "instructions from kernel entry to guest entry"),
    ("size", "the image's bytes and the hypervisor's memory"),
    ("calls", "instructions of hypercalls, guest stub included"),
    ("engine", "instructions of the map/unmap engine, by callgrind"),
)
BOOTED = ("boot", "size", "calls")  # on a machine with Intel's IOMMU


def measure(subject: str) -> list:
    return MEASURES[subject]()

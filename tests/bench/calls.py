# SPDX-License-Identifier: MIT
"""B7, the whole hypercall: instructions counted by the guest tests/bench/guest, stub included."""

import re

from tests.bench import peers
from tests.bench.row import NO_BAR, VENDORS, Row, aim, must
from tests.runner.core import Failed
from tests.runner.vm import ICOUNT_SHIFT, Machine, boot

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MANY = SIZES[-1]

# ---- bars. AMD's unit in QEMU caches absence, so that there a map has a flush of its own, as an unmap has ----

ONE = {"map": must(300), "unmap": must(400)}
ONE_AMD = {"map": must(640), "unmap": must(400)}
EACH_OF_256 = {"contiguous": must(80), "scattered-frames": must(80), "scattered": aim(80, until=130)}
EMPTY = must(120)

# How the guest names a batch: what of it is scattered, and what the peers need for the same.
BATCHES = {
    "contiguous": ("", peers.CONSECUTIVE),
    "scattered-frames": (" scattered frames", peers.SCATTERED),
    "scattered": (" scattered BFNs", {}),
}
SHOWN = {"contiguous": (1, 16, 256), "scattered-frames": (256,), "scattered": (16, 256)}

# Calls of other kinds, by the guest's name and elements: name, bar, peers.
OTHERS = {
    ("unknown-hypercall", 1): ("unknown hypercall", must(110), "Xen 219 to 237"),
    ("xen_version", 1): ("xen_version", must(110), "Xen 260 to 278"),
    ("iommu_op-empty", 1): ("B7 IOMMUOP, count 0", EMPTY, peers.words(peers.EMPTY)),
    ("physdev-map", 1): ("PHYSDEVOP_iommu_map", NO_BAR, ""),
    ("update_va_mapping-set", 1): ("update_va_mapping, set", must(350), "Xen 838 to 856"),
    ("update_va_mapping-clear", 1): ("update_va_mapping, clear", must(350), "Xen 769 to 787"),
    ("mmu_update", 1): ("mmu_update of 1", must(350), "Xen 948 to 966"),
    ("mmu_update", 32): ("mmu_update of 32, an entry", must(150), "Xen 490 to 566"),
    ("multicall-update_va_mapping", 32): ("multicall of 32 update_va_mapping, a call", must(7000 / 32),
                                          "Xen 653 to 722"),
    ("store-to-table", 1): ("store to a read-only L1", must(800), "Xen 1,802 to 1,817"),
    ("pin-l1", 1): ("pin an L1 of 512 entries", must(20000), "Xen 108,000"),
    ("unpin-l1", 1): ("unpin an L1 of 512 entries", must(16000), "Xen 85,600"),
    ("iret", 1): ("iret", must(180), "Xen 304 to 320"),
    ("page-fault-and-iret", 1): ("#PF to the guest's handler and back", must(350), "Xen 685 to 718"),
    ("user-syscall", 1): ("SYSCALL of user mode to the guest's kernel and back", aim(350), "Xen 697; with XPTI 1,849"),
    ("event-to-self", 1): ("event to oneself, upcall and back", must(400), "Xen 864 to 898"),
    ("rdmsr", 1): ("emulated RDMSR", must(500), "Xen 1,153 to 1,168"),
    ("in", 1): ("emulated IN, PM timer", must(500), ""),
}


def measured(vendor: str) -> dict:
    """Instructions of each whole call by (name, elements)."""
    run = boot(Machine(guest="bench", iommu=vendor, memory=512, p2m="linear", timeout=120))
    counts = {(name, int(elements)): int(ticks) >> ICOUNT_SHIFT for name, elements, ticks in
              re.findall(r"^bench: (\S+) (\d+) (\d+)$", run.text, re.MULTILINE)}
    wanted = {(f"{what}-{batch}", size) for what in ONE for batch in BATCHES for size in SIZES} | set(OTHERS)
    if run.status != 0 or set(counts) != wanted:
        raise Failed(f"the measuring guest did not finish on {vendor}, or measured something else: "
                     f"{set(counts) ^ wanted or run.sentence}", run.text)
    return counts


def per_element(counts: dict, name: str, elements: int) -> dict:
    return {vendor: round(counts[vendor][name, elements] / elements, 2) for vendor in VENDORS}


def batch_row(counts: dict, what: str, batch: str, size: int) -> Row:
    words, others = BATCHES[batch]
    bars = {1: (ONE[what], ONE_AMD[what]), MANY: (EACH_OF_256[batch], EACH_OF_256[batch])}
    bar, amd_bar = bars.get(size, (NO_BAR, NO_BAR))
    return Row(f"calls.{what}-{batch}.{size}", f"B7 {what} {size}{words}" + (", an element" if size > 1 else ""),
               "instructions", per_element(counts, f"{what}-{batch}", size), bar, peers.of(others, size, what == "unmap"),
               amd_bar=amd_bar, shown=size in SHOWN[batch])


def parts_rows(counts: dict, what: str) -> list:
    """What a call of one element costs beyond one of none, and what each further one adds."""
    def row(key: str, name: str, value) -> Row:
        return Row(f"calls.{what}-contiguous.{key}", f"B7 {what}, {name}", "instructions",
                   {vendor: round(value(counts[vendor]), 2) for vendor in VENDORS})

    name = f"{what}-contiguous"
    return [row("first", "the first element beyond an empty call",
                lambda count: count[name, 1] - count["iommu_op-empty", 1]),
            row("further", "each further element of 256", lambda count: (count[name, MANY] - count[name, 1]) / (MANY - 1))]


def rows() -> list:
    counts = {vendor: measured(vendor) for vendor in VENDORS}
    other = [Row(f"calls.{key[0]}.{key[1]}", name, "instructions", per_element(counts, *key), bar, others)
             for key, (name, bar, others) in OTHERS.items()]
    batches = [batch_row(counts, what, batch, size) for batch in BATCHES for size in SIZES for what in ONE]
    return other[:3] + batches + [row for what in ONE for row in parts_rows(counts, what)] + other[3:]

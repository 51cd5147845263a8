# SPDX-License-Identifier: MIT
"""A device fills scattered frames: mapped for it one by one, or copied out of a buffer that it can always reach.

Counted by the guest tests/bench/bounce, which compares what arrived either way with what the disk holds."""

import re

from tests.bench.row import NO_BAR, VENDORS, Row, aim, must
from tests.runner.core import Failed
from tests.runner.vm import ICOUNT_SHIFT, Machine, boot

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32, 64, 128, 256, 512, 1024)  # pages
SHOWN = {1: "4 KiB", 16: "64 KiB", 256: "1 MiB", 1024: "4 MiB"}
MAPPED = ("map", "use", "unmap")
COPIES = {  # the guest's word for a way to copy: what it is
    "rep-movsb": "rep movsb",
    "8-bytes": "8 bytes a move",
    "16-bytes": "16 bytes a move",
    "rep-movsq": "rep movsq",
    "32-bytes": "32 bytes a move",
}
# What must hold at 1 MiB, in per cent of the copy.
RATIO_BARS = {"rep-movsq": must(100), "32-bytes": aim(100)}


def measured(vendor: str) -> dict:
    """Instructions by (part, pages)."""
    run = boot(Machine(guest="bounce", iommu=vendor, devices=("nvme",), timeout=120))
    counts = {(part, int(pages)): int(ticks) >> ICOUNT_SHIFT for part, pages, ticks in
              re.findall(r"^bounce: (\S+) (\d+) (\d+)$", run.text, re.MULTILINE)}
    parts = (*MAPPED, "use-bounced", *(f"copy-{copy}" for copy in COPIES))
    if run.status != 0 or set(counts) != {(part, pages) for part in parts for pages in SIZES}:
        raise Failed(f"the guest bounce did not finish on {vendor}, or measured something else: {run.sentence}", run.text)
    if "of 4194304 bytes" not in run.sentence or "agrees with the host's file" not in run.sentence:
        raise Failed(f"what the guest bounce took for the disk's contents is something else: {run.sentence}", run.text)
    return counts


def mapped(counts: dict, pages: int) -> int:
    return sum(counts[part, pages] for part in MAPPED)


def bounced(counts: dict, copy: str, pages: int) -> int:
    return counts["use-bounced", pages] + counts[f"copy-{copy}", pages]


def crossover(counts: dict, copy: str) -> int | None:
    """The fewest pages from which on mapping takes fewer instructions, or None."""
    dearer = [pages for pages in SIZES if mapped(counts, pages) >= bounced(counts, copy, pages)]
    later = [pages for pages in SIZES if not dearer or pages > dearer[-1]]
    return later[0] if later else None


def of_size(counts: dict, pages: int) -> list:
    """What a transfer of so many pages takes, and what a copy takes instead. The baseline has the first alone: nobody
    changes a copy, and all else follows."""
    def row(key: str, part: str, unit: str, value, bar=NO_BAR) -> Row:
        return Row(f"bounce.{pages}.{key}", f"{SHOWN.get(pages, f'{pages} pages')}: map, use, unmap, flush", unit,
                   {vendor: round(value(counts[vendor]), 2) for vendor in VENDORS}, bar, part=part, shown=pages in SHOWN,
                   stored=pages in SHOWN and key == "mapped")

    copies = [row(copy, f"copied, {words}", "instructions", lambda count, copy=copy: bounced(count, copy, pages))
              for copy, words in COPIES.items()]
    ratios = [row(f"ratio-{copy}", f"mapped, in per cent of copied by {COPIES[copy]}", "per cent",
                  lambda count, copy=copy: 100 * mapped(count, pages) / bounced(count, copy, pages),
                  bar if SHOWN.get(pages) == "1 MiB" else NO_BAR) for copy, bar in RATIO_BARS.items()]
    return [
        row("mapped", "", "instructions", lambda count: mapped(count, pages)),
        row("use", "of it the device's driver, as in a copy", "instructions", lambda count: count["use", pages]),
        row("even", "a copy may take for 4 KiB, to be as cheap", "instructions",
            lambda count: (mapped(count, pages) - count["use-bounced", pages]) / pages),
        *copies,
        *ratios,
    ]


def crossovers(counts: dict) -> list:
    """Blank where there is none."""
    found = {copy: {vendor: crossover(counts[vendor], copy) for vendor in VENDORS} for copy in COPIES}
    return [Row(f"bounce.from.{copy}", f"mapping takes less than copying by {words}, from so many pages on", "pages",
                {vendor: pages for vendor, pages in found[copy].items() if pages}, stored=False)
            for copy, words in COPIES.items()]


def rows() -> list:
    counts = {vendor: measured(vendor) for vendor in VENDORS}
    return [row for pages in SIZES for row in of_size(counts, pages)] + crossovers(counts)

# SPDX-License-Identifier: MIT
"""What a boot scenario can look at beside words and exit status."""

import re
from collections import Counter
from typing import Iterable

from tests.runner.core import Failed
from tests.runner.vm import Run

# Kinds of the summary, and QEMU's trace events for them. AMD's unit traces every INVALIDATE_IOMMU_PAGES alike,
# whatever its range, so there two kinds are compared by their sum; and commands that it finds reserved bits in are
# traced as others are, but for INVALIDATE_INTERRUPT_TABLE.
TRACED = {
    "intel": {
        ("context_global",): ("vtd_inv_desc_cc_global",),
        ("context_domain",): ("vtd_inv_desc_cc_domain",),
        ("context_device",): ("vtd_inv_desc_cc_devices",),
        ("iotlb_global",): ("vtd_inv_desc_iotlb_global",),
        ("iotlb_domain",): ("vtd_inv_desc_iotlb_domain",),
        ("iotlb_page",): ("vtd_inv_desc_iotlb_pages",),
        ("interrupt_entry",): ("vtd_inv_desc_iec",),
    },
    "amd": {
        ("context_global",): (),
        ("context_domain",): (),
        ("context_device",): ("amdvi_devtab_inval",),
        ("iotlb_global",): ("amdvi_all_inval",),
        ("iotlb_page", "iotlb_domain"): ("amdvi_pages_inval",),
        ("interrupt_entry",): ("amdvi_intr_inval",),
    },
}
WAITS = {"intel": ("vtd_inv_desc_wait_sw", "vtd_inv_desc_wait_irq"), "amd": ("amdvi_completion_wait",)}
# Commands that nothing asked for: a unit that traces one of these was told something it does not know.
UNKNOWN = ("amdvi_unhandled_command", "amdvi_command_read_fail", "amdvi_iotlb_inval")


def occurrences(count: Counter, events: Iterable) -> int:
    return sum(count[event] for event in events)


def traced(run: Run) -> dict:
    count = Counter(run.trace)
    kinds = {"+".join(kind): occurrences(count, events) for kind, events in TRACED[run.vendor].items()}
    return {**kinds, "waits": occurrences(count, WAITS[run.vendor])}


def summarised(run: Run) -> dict:
    told = run.summary["invalidations"]
    kinds = {"+".join(kind): sum(told[part] for part in kind) for kind in TRACED[run.vendor]}
    return {**kinds, "waits": run.summary["waits"]}


def trace_agrees(run: Run) -> None:
    """Every invalidation count of the summary is what QEMU's unit has seen."""
    told, seen = summarised(run), traced(run)
    if told != seen:
        raise Failed(f"the summary says {told}, QEMU's trace {seen}")
    if unknown := [event for event in run.trace if event in UNKNOWN]:
        raise Failed(f"QEMU's unit did not understand a command: {unknown[0]}")
    ranges = sum(number for kind, number in seen.items() if kind.startswith(("iotlb_page", "iotlb_domain")))
    if not seen["waits"] or not ranges:
        raise Failed(f"nothing was invalidated: {seen}")


def never_off(run: Run) -> None:
    """From when firmware had translation on it stayed on, and the whole story was told."""
    switched = [event for event in run.trace if event in ("on", "off")]
    if not switched or "off" in switched:
        raise Failed(f"translation was switched {', '.join(switched) or 'neither on nor off'}", run.text)
    tour(run)


def disk_was_read(run: Run) -> None:
    if "over 1048576 bytes" not in run.text or "agrees with the host's file" not in run.sentence:
        raise Failed(f"the disk was not read: {run.sentence}")


def switched_itself_off(run: Run) -> None:
    if run.qemu_status != 0:
        raise Failed(f"QEMU's status is {run.qemu_status}: the machine did not switch itself off")


def superpages(run: Run) -> None:
    """The tour's 64 MiB took a table page less for each of 32 blocks, and no fault fell into the block that was split."""
    tables = {size: int(number) for size, number in
              re.findall(r"^tour:   in pieces of ([24] [MK]iB) .*: table pages: (\d+);", run.text, re.MULTILINE)}
    if set(tables) != {"4 KiB", "2 MiB"} or tables["4 KiB"] - tables["2 MiB"] != 32:
        raise Failed(f"the tour showed no entries of 2 MiB: {tables}", run.text)
    block = re.search(r"^tour:   bus frames 0x([0-9a-f]+) to 0x([0-9a-f]+) are one block", run.text, re.MULTILINE)
    if not block or not re.search(r"^tour:   the entry became a table .* times under 12 transfers", run.text, re.MULTILINE):
        raise Failed("the tour split no entry of 2 MiB", run.text)
    first, last = (int(bfn, 16) for bfn in block.groups())
    strayed = [line for line, bfn in re.findall(r"^(sluice: .* BFN 0x([0-9a-f]+).*)$", run.text, re.MULTILINE)
               if first <= int(bfn, 16) <= last]
    if strayed:
        raise Failed(f"a fault while an entry was split: {strayed[0]}", run.text)


def tour(run: Run) -> None:
    """Every station, nothing skipped, large pages seen, and the disk's true contents."""
    every_station_passed(run)
    if re.search(r"^tour: .*skipped", run.text, re.MULTILINE):
        raise Failed("a station was skipped")
    superpages(run)
    disk_was_read(run)


def usb_is_named(run: Run) -> None:
    """One line about the controller, the third device; QEMU's AMD unit records no fault."""
    place, wanted = {"intel": (r"00:03\.0", 1), "amd": (r"00:04\.0", 0)}[run.vendor]
    lines = re.findall(rf"^sluice: iommu: device {place} write to BFN .*$", run.text, re.MULTILINE)
    if len(lines) != wanted:
        raise Failed(f"{len(lines)} lines about the USB controller's writes, not {wanted}")
    tour(run)


def image_untouched(run: Run) -> None:
    """The whole story, and not a byte of the image that was booted is another."""
    before, after = run.boot_sums
    if before != after:
        raise Failed("something was written to the disk image that was booted")
    tour(run)


def every_station_passed(run: Run) -> None:
    if not re.search(r"^tour: (\d+) of \1 stations passed$", run.text, re.MULTILINE):
        raise Failed("not every station passed")


def fault_lines(text: str) -> int:
    return len(re.findall(r"^sluice: iommu: device ", text, re.MULTILINE))


# The stations in which the disk strays. QEMU's AMD unit logs no fault; VT-d's does for each.
STRAYS = (r"I have unmapped; it must not arrive", r"may only read; it must not arrive", r"the very next block must be stopped")


def disk_tour(run: Run) -> None:
    """A disk alone was read and strayed: its contents, the faults beside the words, the summary, and nothing written."""
    every_station_passed(run)
    disk_was_read(run)
    if run.disk_changed:
        raise Failed("something was written to the disk")
    for stray in STRAYS:
        station = re.search(rf"^tour: station \d+: .*{stray}\.$(.*?)^tour: station \d+ passed$", run.text,
                            re.MULTILINE | re.DOTALL)
        if not station:
            raise Failed(f"there was no station like /{stray}/")
        if bool(fault_lines(station[1])) != (run.vendor == "intel"):
            raise Failed(f"{fault_lines(station[1])} faults beside the station /{stray}/")
    told = run.summary["faults"] - run.summary["faults_suppressed"]
    if told != fault_lines(run.text):
        raise Failed(f"the summary has {told} faults that were shown, the log {fault_lines(run.text)}")


def nothing_driven(run: Run) -> None:
    """What needs no device was shown, and no device did anything."""
    every_station_passed(run)
    if not re.search(r"^tour: nothing here to drive", run.text, re.MULTILINE):
        raise Failed("the tour does not say that there was nothing to drive")
    if "disk crc32" in run.text or run.summary["faults"] or not run.summary["elements_mapped"]:
        raise Failed("something was driven, or nothing mapped")


def no_faults_left(run: Run) -> None:
    if run.summary["dead_units"]:
        raise Failed("a unit is dead")


def told_by_step(run: Run) -> dict:
    """IOTLB descriptors (AMD-Vi: commands) and waits between the marks, by the name of the step."""
    names = re.findall(r"^step: (.*)$", run.text, re.MULTILINE)
    spans = [Counter()]
    for event in run.trace:
        if event == "mark":
            spans.append(Counter())
        else:
            spans[-1][event] += 1
    if len(spans) != len(names) + 1:
        raise Failed(f"{len(names)} steps, {len(spans) - 1} marks in the trace")
    iotlb = [event for kind, events in TRACED[run.vendor].items() if kind[0].startswith("iotlb") for event in events]
    return {name: (occurrences(span, iotlb), occurrences(span, WAITS[run.vendor]))
            for name, span in zip(names, spans[1:]) if name != "end"}


def steps(run: Run, wanted: dict) -> None:
    """The descriptors and waits of each step; None: any number."""
    wrong = []
    for name, seen in told_by_step(run).items():
        want = wanted[name]
        if any(wish not in (None, number) for wish, number in zip(want, seen)):
            wrong.append(f"{name}: {seen[0]} IOTLB descriptors and {seen[1]} waits, not {want[0]} and {want[1]}")
    if wrong:
        raise Failed(wrong[0], "\n".join(wrong))

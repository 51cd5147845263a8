# SPDX-License-Identifier: MIT
"""What a boot scenario can look at beside words and exit status."""

import re
from collections import Counter

from tests.runner.core import Failed
from tests.runner.vm import Run

# Kinds of the summary, and QEMU's trace events for each.
TRACED = {
    "context_global": ("vtd_inv_desc_cc_global",),
    "context_domain": ("vtd_inv_desc_cc_domain",),
    "context_device": ("vtd_inv_desc_cc_devices",),
    "iotlb_global": ("vtd_inv_desc_iotlb_global",),
    "iotlb_domain": ("vtd_inv_desc_iotlb_domain",),
    "iotlb_page": ("vtd_inv_desc_iotlb_pages",),
    "interrupt_entry": ("vtd_inv_desc_iec",),
}
WAITS = ("vtd_inv_desc_wait_sw", "vtd_inv_desc_wait_irq")


def traced(run: Run) -> dict:
    count = Counter(run.trace)
    kinds = {kind: sum(count[event] for event in events) for kind, events in TRACED.items()}
    kinds["waits"] = sum(count[event] for event in WAITS)
    return kinds


def summarised(run: Run) -> dict:
    summary = run.summary
    return {**{kind: summary["invalidations"][kind] for kind in TRACED}, "waits": summary["waits"]}


def trace_agrees(run: Run) -> None:
    """Every invalidation count of the summary is what QEMU's unit has seen."""
    told, seen = summarised(run), traced(run)
    if told != seen:
        raise Failed(f"the summary says {told}, QEMU's trace {seen}")
    if not seen["waits"] or not seen["iotlb_page"] + seen["iotlb_domain"]:
        raise Failed(f"nothing was invalidated: {seen}")


def disk_was_read(run: Run) -> None:
    if "over 1048576 bytes" not in run.text or "agrees with the host's file" not in run.sentence:
        raise Failed(f"the disk was not read: {run.sentence}")


def switched_itself_off(run: Run) -> None:
    if run.qemu_status != 0:
        raise Failed(f"QEMU's status is {run.qemu_status}: the machine did not switch itself off")


def tour(run: Run) -> None:
    """Every station, nothing skipped, and the disk's true contents."""
    if not re.search(r"^tour: (\d+) of \1 stations passed$", run.text, re.MULTILINE):
        raise Failed("not every station passed")
    if re.search(r"^tour: .*skipped", run.text, re.MULTILINE):
        raise Failed("a station was skipped")
    disk_was_read(run)


def no_faults_left(run: Run) -> None:
    if run.summary["dead_units"]:
        raise Failed("a unit is dead")


def steps(run: Run, wanted: dict) -> None:
    """IOTLB descriptors and waits between the marks, by step; None: any number."""
    names = re.findall(r"^step: (.*)$", run.text, re.MULTILINE)
    spans = [Counter()]
    for event in run.trace:
        if event == "mark":
            spans.append(Counter())
        else:
            spans[-1][event] += 1
    if len(spans) != len(names) + 1:
        raise Failed(f"{len(names)} steps, {len(spans) - 1} marks in the trace")
    wrong = []
    for name, span in zip(names, spans[1:]):
        if name == "end":
            continue
        iotlb = sum(span[event] for kind in ("iotlb_global", "iotlb_domain", "iotlb_page") for event in TRACED[kind])
        seen = (iotlb, sum(span[event] for event in WAITS))
        want = wanted[name]
        if seen[1] != want[1] or want[0] not in (None, seen[0]):
            wrong.append(f"{name}: {seen[0]} IOTLB descriptors and {seen[1]} waits, not {want[0]} and {want[1]}")
    if wrong:
        raise Failed(wrong[0], "\n".join(wrong))

# SPDX-License-Identifier: MIT
"""What is measured, subject by subject. docs/benchmarks.md has the method."""

from dataclasses import dataclass
from typing import Callable

from tests.bench import boots, bounce, calls, engine, flushes, parser


@dataclass(frozen=True)
class Subject:
    name: str
    about: str
    rows: Callable[[str | None], list]  # of the folder of real tables, if any
    on_qemu: bool  # its counts depend on QEMU's version


SUBJECTS = {subject.name: subject for subject in (
    Subject("engine", "the map/unmap engine alone, on the host: instructions by callgrind, stores, lines, tables",
            lambda tables: engine.rows(), False),
    Subject("calls", "instructions of hypercalls, the guest's stub included", lambda tables: calls.rows(), True),
    Subject("bounce", "scattered frames for a device: mapped, or copied out of a buffer; instructions of guest and hypervisor",
            lambda tables: bounce.rows(), True),
    Subject("flushes", "descriptors and waits that QEMU's unit was given", lambda tables: flushes.rows(), True),
    Subject("parser", "instructions of the parsers, DMAR on Intel and IVRS on AMD", parser.rows, False),
    Subject("boot", "instructions from kernel entry to guest entry", lambda tables: boots.boot_rows(), True),
    Subject("size", "bytes of the image and of the hypervisor's memory", lambda tables: boots.size_rows(), True),
)}


def measure(subject: str, tables: str | None = None) -> list:
    found = SUBJECTS[subject].rows(tables)
    if len({row.key for row in found}) != len(found):
        raise ValueError(f"{subject}: two rows have one key")
    return found

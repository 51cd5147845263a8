# SPDX-License-Identifier: MIT
"""B11: from the loader's last instruction to the guest's first; bytes of the image and of memory."""

import threading

from tests.bench.row import EITHER, VENDORS, Row, must
from tests.runner.core import Failed
from tests.runner.paths import EFI
from tests.runner.vm import ICOUNT_SHIFT, Machine, Run, boot

MIB = 1 << 20
CEILING = {512: 20e6, 2048: 32e6}
XEN = {512: "upstream Xen 42.6 M, Xen 4.17 540 M", 2048: "upstream Xen 68.6 M, Xen 4.17 562 M"}
GUESTS = (("384", "guest-memory=384", "384 MiB guest"), ("all", "", "guest with all memory"))


RUNS: dict = {}
ONE_AT_A_TIME = threading.Lock()  # both subjects look at the same boots, and may be measured at one time


def booted(*machine) -> Run:
    """The run of that memory, options and vendor."""
    with ONE_AT_A_TIME:
        if machine not in RUNS:
            RUNS[machine] = boot_hello(*machine)
    return RUNS[machine]


def boot_hello(memory: int, options: str, vendor: str) -> Run:
    run = boot(Machine(guest="hello", iommu=vendor, memory=memory, p2m="linear", options=options,
                       devices=("nvme", "edu"), timeout=120))
    if run.status != 0:
        raise Failed(f"the {vendor} machine of {memory} MiB did not come up: {run.sentence}", run.text)
    return run


def on_vendors(memory: int, options: str, entry: str) -> dict:
    return {vendor: booted(memory, options, vendor).summary[entry] for vendor in VENDORS}


def boot_rows() -> list:
    rows = []
    for memory, ceiling in CEILING.items():
        for key, options, guest in GUESTS:
            ticks = on_vendors(memory, options, "boot_tsc")
            rows.append(Row(f"boot.{memory}-{key}", f"B11 {memory} MiB machine, {guest}", "instructions",
                            {vendor: count >> ICOUNT_SHIFT for vendor, count in ticks.items()}, must(ceiling),
                            XEN[memory]))
    return rows


def size_rows() -> list:
    small, large = "guest-memory=384", ""
    return [
        Row("size.image", "B11 BOOTX64.EFI", "bytes", {EITHER: EFI.stat().st_size}, must(320 << 10), "Xen 2,827,721"),
        Row("size.resident-384", "B11 memory beside the frame table, 2 GiB machine, 384 MiB guest", "bytes",
            on_vendors(2048, small, "resident_bytes"), must(8 * MIB), "Xen 28.9 MB",
            amd_bar=must(10 * MIB)),  # with a device table of 2 MiB
        Row("size.resident-all", "B11 the same, guest with all memory", "bytes",
            on_vendors(2048, large, "resident_bytes")),
        Row("size.frame-table", "B11 frame table, 2 GiB machine", "bytes",
            on_vendors(2048, large, "frame_table_bytes")),
    ]

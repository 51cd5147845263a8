# SPDX-License-Identifier: MIT
"""B7 and B8 in the guest tests/boot/guests/flush-counts: what QEMU's unit was told, counted in its trace."""

from dataclasses import replace

from tests.bench.row import VENDORS, Row, must
from tests.boot import checks
from tests.boot.scenarios import FLUSH_COUNTS
from tests.runner.core import Failed
from tests.runner.vm import boot

# Step of the guest: key, and the floor on Intel's unit and on AMD's, which caches absence and so is owed one for a map.
STEPS = {
    "map 1 absent": ("map-1", 0, 1),
    "unmap 1": ("unmap-1", 1, 1),
    "replace 1": ("replace-1", 1, 1),
    "map 256 absent": ("map-256", 0, 1),
    "unmap 256 aligned": ("unmap-256", 1, 1),
    "map 256 absent, odd start": ("map-256-odd", 0, 1),
    "unmap 256, odd start": ("unmap-256-odd", 1, 1),
    "unmap 256 sparse": ("unmap-256-sparse", 1, 1),
}


def told(vendor: str) -> dict:
    """(descriptors, waits) by step."""
    run = boot(replace(FLUSH_COUNTS, iommu=vendor))
    if run.status != 0:
        raise Failed(f"the guest flush-counts did not finish on {vendor}: {run.sentence}", run.text)
    return checks.told_by_step(run)


def rows() -> list:
    seen = {vendor: told(vendor) for vendor in VENDORS}
    return [Row(f"flushes.{key}.{what}", f"{'B8' if 'sparse' in step else 'B7'} {step}", what,
                {vendor: seen[vendor][step][index] for vendor in VENDORS}, must(intel), amd_bar=must(amd), part=what)
            for step, (key, intel, amd) in STEPS.items() for index, what in enumerate(("descriptors", "waits"))]

# SPDX-License-Identifier: MIT
"""Places, trouble in words, and the exit statuses of a run."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

GUEST_OK, GUEST_FAILED, REFUSED, HYPERVISOR_FAULT, TIMED_OUT = 0, 1, 2, 3, 124


class Trouble(Exception):
    """Something the user must be told in a sentence; the tool then exits with .status."""

    def __init__(self, sentence, status=REFUSED):
        super().__init__(sentence)
        self.status = status


def progress(tool, text):
    """One progress line. They go to stderr, so that stdout holds the machine's own words."""
    print(f"{tool}: {text}", file=sys.stderr, flush=True)

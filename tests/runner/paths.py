# SPDX-License-Identifier: MIT
"""Where things are: the source tree and what the build makes of it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
EFI = BUILD / "BOOTX64.EFI"
GUESTS = BUILD / "guests"

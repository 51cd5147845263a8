# SPDX-License-Identifier: MIT
"""Where things are: the source tree and what the build makes of it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
EFI = BUILD / "BOOTX64.EFI"
HOOKED = BUILD / "BOOTX64.hooks.EFI"  # with tests/hooks in it
GUESTS = BUILD / "guests"

if str(ROOT / "tools") not in sys.path:
    sys.path.insert(0, str(ROOT / "tools"))  # for lib, which ./tools/run is made of

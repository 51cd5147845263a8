# SPDX-License-Identifier: MIT
"""What GDB needs of a machine that waits for it: a folder with the socket, the symbols and the serial log."""
import shlex
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .common import ROOT

SCRIPT = ROOT / "tools/gdb/sluice.py"


def _link(folder, name, target):
    (folder / name).symlink_to(Path(target).absolute())


@contextmanager
def folder(loader, log=None):
    """The folder for a machine that boots `loader`; log: where the serial output goes, its serial.log unless given."""
    hooks = "_hooks" if loader.name == "BOOTX64.hooks.EFI" else ""
    with tempfile.TemporaryDirectory(prefix="sluice-gdb-") as name:
        made = Path(name)
        _link(made, "kernel.elf", loader.with_name(f"sluice{hooks}.debug.elf"))
        _link(made, "loader.efi", loader)
        _link(made, "loader.debug.efi", loader.with_name(f"loader{hooks}.debug.efi"))
        if log:
            _link(made, "serial.log", log)
        yield made


def command(made):
    """What to type in another terminal."""
    return shlex.join(["gdb", "-q", "-x", str(SCRIPT), "-ex", f"sluice-connect {made}"])

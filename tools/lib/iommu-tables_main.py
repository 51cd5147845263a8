# SPDX-License-Identifier: MIT
"""Tells what a DMAR or IVRS table says about a machine's IOMMU, by the hypervisor's own parsers, and what is
wrong with it. Builds the program first. docs/iommu-tables.md has the details.

Exit status: 0 nothing is wrong; 1 there are findings; 2 usage, or a table could not be read.
"""
import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import build, install  # noqa: E402
from lib.common import BUILD, Parser, Trouble, progress, told  # noqa: E402

NAME = "iommu-tables"


def arguments():
    parser = Parser(prog=f"./tools/{NAME}", description=__doc__, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="a binary table, as /sys/firmware/acpi/tables has it")
    add("--live", action="store_true",
        help="this machine's own tables, and its PCI functions; by sudo where root is needed")
    add("--sysfs", metavar="DIR", help="like --live, with DIR in the place of /sys")
    add("--json", action="store_true", help="for programs: an object for a table, an array for several")
    add("--no-install", action="store_true", help="install nothing; say what is missing")
    options = parser.parse_args()
    options.live = options.live or options.sysfs is not None
    if options.live and options.files:
        parser.error("--live and --sysfs go without files")
    if not options.live and not options.files:
        parser.error("name a table, or ask for this machine's with --live")
    return options


def wants_root(sysfs):
    """Whether the machine's tables are there and this user may not read them, but sudo may help."""
    tables = [Path(sysfs) / "firmware/acpi/tables" / name for name in ("DMAR", "IVRS")]
    return shutil.which("sudo") and any(table.exists() and not os.access(table, os.R_OK) for table in tables)


def command(options):
    words = [str(BUILD / NAME)]
    if options.live and wants_root(options.sysfs or "/sys"):
        progress(NAME, "the machine's tables are root's to read: asking sudo")
        words.insert(0, shutil.which("sudo"))
    if options.json:
        words.append("--json")
    if options.live:
        words += ["--sysfs", options.sysfs if options.sysfs is not None else "/sys"]
    return [*words, "--", *options.files]


def work():
    options = arguments()
    install.ensure(install.BUILD_NEEDS, not options.no_install, NAME)
    build.build(["iommu_tables"], NAME, quiet=True)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the program would inherit that
    words = command(options)
    os.execv(words[0], words)


if __name__ == "__main__":
    sys.exit(told(NAME, work))

# SPDX-License-Identifier: MIT
"""Builds Sluice and runs its tests. docs/testing.md describes the groups.

Installs what is missing first, unless --no-install forbids it. The last line is "N passed, N failed, N skipped";
the exit status is 1 when anything failed."""

import argparse
import os
import re
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.runner import catalogue, core  # noqa: E402
from lib import build, install, machine  # noqa: E402  (tools/lib)
from lib.common import Trouble  # noqa: E402

QEMU = "qemu-system-x86_64"
GROUPS = ("style", "abi", "unit", "tables", "driver", "fuzz", "prove", "image", "boot", "guest", "report", "gdb",
          "adversary", "bench", "mutant")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__.split("\n\n")[0],
                                     epilog="Groups: " + ", ".join(GROUPS))
    parser.add_argument("--list", action="store_true", help="show the tests, run none")
    parser.add_argument("--filter", metavar="REGEX", help="only tests whose GROUP/NAME matches")
    parser.add_argument("--iommu", choices=core.VENDORS,
                        help="only tests of that vendor's IOMMU, and those that have to do with neither or both "
                             "(default: all)")
    parser.add_argument("--qemu", metavar="BIN", default=os.environ.get("QEMU") or QEMU,
                        help="the QEMU for boots, guests and driver tests (default: $QEMU, or %(default)s)")
    parser.add_argument("--tables", metavar="DIR", default=os.environ.get("SLUICE_TABLES"),
                        help="more firmware tables for the parsers' tests (default: $SLUICE_TABLES)")
    parser.add_argument("--jobs", metavar="N", type=int, default=min(2, os.cpu_count() or 1),
                        help="tests at a time (default: %(default)s)")
    parser.add_argument("--no-install", action="store_true", help="install nothing; say what is missing")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error("--jobs must be at least 1")
    try:
        re.compile(options.filter or "")
    except re.error as error:
        parser.error(f"--filter: '{options.filter}' is not a regular expression: {error}")
    if options.tables and not Path(options.tables).is_dir():
        parser.error(f"--tables: {options.tables} is not a folder")
    return options


def show_list(cases: list) -> None:
    for case in cases:
        only = f"  [only {case.only}]" if case.only else ""
        for name in case.names():
            print(f"{name:<60} {case.about}{only}".rstrip())


def prepare(options: argparse.Namespace) -> None:
    """Tools and programs; core.Failed with the reason when that is not possible."""
    needs = install.BUILD_NEEDS | install.RUN_NEEDS | install.TEST_NEEDS
    if not options.no_install:
        needs |= install.PROVE_NEEDS  # large, and only one group's: without them it skips
    try:
        if options.qemu != QEMU:
            machine.find_qemu(options.qemu)
            del needs[QEMU]
        install.ensure(needs, not options.no_install, "test")
        build.build(tool="test")
    except Trouble as trouble:
        reason, _, output = str(trouble).partition("\n")
        raise core.Failed(reason.rstrip(":"), output) from None


def main() -> int:
    options = arguments()
    os.environ["QEMU"] = options.qemu
    report = core.Report(options.filter)
    whole = not options.filter and not options.iommu
    try:
        every = catalogue.cases(options.tables, lambda: list(report.results), whole)
    except ValueError as mistake:
        print(f"test: the list of tests is wrong: {mistake}", file=sys.stderr)
        return 1
    cases = core.select(every, options.filter, options.iommu)
    if options.list:
        show_list(cases)
        return 0
    if not cases:
        print(f"no test matches {options.filter!r}" if options.filter else "no tests")
        print("0 passed, 0 failed, 0 skipped")
        return 2 if options.filter else 0
    start = time.monotonic()
    report.total = sum(len(case.names()) for case in cases)
    try:
        prepare(options)
        core.run_all(cases, options.jobs, report)
    except core.Failed as failure:
        report.add([core.Result("build", "failed", time.monotonic() - start, str(failure), failure.output)])
    except KeyboardInterrupt:
        report.add([core.Result("interrupted", "failed", time.monotonic() - start, "by the keyboard")])
    return report.finish(time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(main())

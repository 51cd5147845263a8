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

from tests.runner import core, host  # noqa: E402
from lib import build, install  # noqa: E402  (tools/lib)
from lib.common import Trouble  # noqa: E402

GROUPS = ("style", "unit", "driver", "boot", "guest", "bench", "mutant")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__.split("\n\n")[0],
                                     epilog="Groups: " + ", ".join(GROUPS))
    parser.add_argument("--list", action="store_true", help="show the tests, run none")
    parser.add_argument("--filter", metavar="REGEX", help="only tests whose GROUP/NAME matches")
    parser.add_argument("--iommu", choices=("intel", "amd"), default="intel",
                        help="whose IOMMU the booted machines have; amd: there are no tests yet")
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


def collect(options: argparse.Namespace) -> list:
    from tests.runner import bench, boot, guests, mutants, style
    if options.iommu == "amd":
        return []
    return (style.cases() + host.cases(options.tables) + boot.cases() + guests.cases() + bench.cases()
            + mutants.cases())


def show_list(cases: list, options: argparse.Namespace) -> None:
    if options.iommu == "amd":
        print("--iommu amd: not offered yet, there are no AMD-Vi tests")
    for case in cases:
        for name in case.names():
            print(f"{name:<60} {case.about}".rstrip())


def prepare(allowed: bool) -> None:
    """Tools and programs; core.Failed with the reason when that is not possible."""
    try:
        install.ensure(install.BUILD_NEEDS | install.RUN_NEEDS | install.TEST_NEEDS, allowed, "test")
        build.build(tool="test")
    except Trouble as trouble:
        reason, _, output = str(trouble).partition("\n")
        raise core.Failed(reason.rstrip(":"), output) from None


def main() -> int:
    options = arguments()
    cases = core.select(collect(options), options.filter)
    if options.list:
        show_list(cases, options)
        return 0
    if options.iommu == "amd":
        print("--iommu amd: there are no AMD-Vi tests yet")
    if not cases:
        print(f"no test matches {options.filter!r}" if options.filter else "no tests")
        print("0 passed, 0 failed, 0 skipped")
        return 2 if options.filter else 0
    start = time.monotonic()
    report = core.Report(sum(len(case.names()) for case in cases), options.filter)
    try:
        prepare(not options.no_install)
        core.run_all(cases, options.jobs, report)
    except core.Failed as failure:
        report.add([core.Result("build", "failed", time.monotonic() - start, str(failure), failure.output)])
    except KeyboardInterrupt:
        report.add([core.Result("interrupted", "failed", time.monotonic() - start, "by the keyboard")])
    return report.finish(time.monotonic() - start)


if __name__ == "__main__":
    sys.exit(main())

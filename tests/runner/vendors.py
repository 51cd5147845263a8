# SPDX-License-Identifier: MIT
"""docs/vendors.md against what there is and what has passed.

Its first table has a row for each behaviour and names tests. A name without a vendor stands for the test on both:
guest/NAME/RUN and boot/NAME for what ends in /intel and /amd, driver/PROGRAM/CASE for the programs vtd_PROGRAM and
amdvi_PROGRAM. Its last table names driver cases that one vendor alone has, and why. Run as a program, it judges only
that the names exist:

    python3 -m tests.runner.vendors
"""

import re
import sys
from dataclasses import dataclass
from typing import Callable

from . import host
from .core import VENDORS, Case, Failed
from .paths import ROOT

DOCUMENT = ROOT / "docs/vendors.md"
BEHAVIOURS = ("behaviour", "VT-d", "AMD-Vi", "test")
ALONE = ("case", "why")


@dataclass
class Row:
    behaviour: str
    tests: list


def tables() -> dict:
    """Column names -> rows of cells, for each table of the document."""
    found, heads, above = {}, None, ""
    for line in [*DOCUMENT.read_text().splitlines(), ""]:
        cells = tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1])
        if not line.startswith("|"):
            heads = None
        elif all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            heads = found.setdefault(above, [])
        elif heads is not None:
            heads.append(cells)
        above = cells
    return found


def rows(columns: tuple) -> list:
    found = tables().get(columns)
    if not found:
        raise Failed(f"{DOCUMENT.relative_to(ROOT)} has no table with the columns {', '.join(columns)}")
    if short := [cells for cells in found if len(cells) != len(columns) or not all(cells)]:
        raise Failed(f"a row with an empty or missing cell: {' | '.join(short[0])}")
    return found


def behaviours() -> list:
    return [Row(cells[0], cells[3].replace("`", "").split()) for cells in rows(BEHAVIOURS)]


def on_both(name: str) -> list:
    """The names of the test on each vendor."""
    group, _, rest = name.partition("/")
    if group == "driver":
        return [f"driver/{prefix}{rest}" for prefix in host.DRIVER_PREFIX.values()]
    return [f"{name}/{vendor}" for vendor in VENDORS]


def meant(name: str, known: set) -> list:
    """What a name of the table stands for: itself when there is such a test, else that test on both vendors."""
    return [name] if name in known else on_both(name)


def driver_cases(known: set) -> dict:
    """Vendor -> PROGRAM/CASE of its driver tests, without the vendor's prefix."""
    return {vendor: {name.removeprefix(f"driver/{prefix}") for name in known if name.startswith(f"driver/{prefix}")}
            for vendor, prefix in host.DRIVER_PREFIX.items()}


def lonely(known: set) -> list:
    """Driver cases that one vendor lacks without a reason, and reasons without such a case."""
    cases = driver_cases(known)
    alone = {f"driver/{host.DRIVER_PREFIX[vendor]}{case}" for vendor in VENDORS for other in VENDORS
             for case in cases[vendor] - cases[other]}
    excused = {cells[0].replace("`", "") for cells in rows(ALONE)}
    return ([f"{name}: the other vendor has no such case, and no reason stands in the table" for name in alone - excused]
            + [f"{name}: in the table of lonely cases, but it is none" for name in excused - alone])


def missing(known: set) -> list:
    return [f"{row.behaviour}: there is no test {name}" for row in behaviours() for test in row.tests
            for name in meant(test, known) if name not in known]


def not_passed(known: set, results: list) -> list:
    status = {}
    for result in results:  # a program may run a case twice, once for each vendor: the worse result counts
        if status.get(result.name, "passed") == "passed":
            status[result.name] = result.status
    return [f"{row.behaviour}: {name} {status.get(name, 'did not run')}" for row in behaviours() for test in row.tests
            for name in meant(test, known) if name in known and status.get(name) != "passed"]


def judge(known: set, results: list | None) -> None:
    """Raises Failed unless every named test exists and, where results are given, is among them and passed."""
    problems = missing(known) + sorted(lonely(known)) + (not_passed(known, results) if results is not None else [])
    if problems:
        raise Failed(f"{len(problems)} deviations from {DOCUMENT.relative_to(ROOT)}: {problems[0]}", "\n".join(problems))


def case(cases: list, results: Callable[[], list | None]) -> Case:
    known = {name for each in cases for name in each.names()}
    return Case("style", "vendors-table", lambda: judge(known, results()), last=True,
                about="each test that docs/vendors.md names exists, and in a whole run has passed on both vendors")


def main() -> int:
    from . import catalogue
    [result] = catalogue.cases()[-1].run()
    print(result.output or result.reason or "every test that the table names exists")
    return 0 if result.status == "passed" else 1


if __name__ == "__main__":
    sys.exit(main())

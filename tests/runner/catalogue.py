# SPDX-License-Identifier: MIT
"""All tests there are, group by group."""

from typing import Callable

from . import (abi, adversary, bench, boot, errors, fuzz, gdb, guests, host, image, linux, mutants, prove, report, style,
               tables as tables_group, vendors)


def cases(tables: str | None = None, results: Callable[[], list] = list, whole: bool = False) -> list:
    """Every case. results() gives what the run has come to until now; whole says that all tests are run."""
    found = (style.cases() + abi.cases() + host.cases(tables) + tables_group.cases(tables) + fuzz.cases() + prove.cases()
             + image.cases() + linux.cases() + boot.cases() + guests.cases() + report.cases() + gdb.cases()
             + adversary.cases() + bench.cases(tables) + mutants.cases(results))
    return [*found, errors.case(found), vendors.case(found, lambda: results() if whole else None)]

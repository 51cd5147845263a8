# SPDX-License-Identifier: MIT
"""All tests there are, group by group."""

from typing import Callable

from . import (abi, adversary, bench, boot, errors, fuzz, gdb, guests, host, image, linux, mutants, prove, report, style,
               tables as tables_group, vendors)


def cases(tables: str | None = None, results: Callable[[], list | None] = lambda: None) -> list:
    """Every case. results() gives what a whole run has come to when its last case starts; None in other runs."""
    found = (style.cases() + abi.cases() + host.cases(tables) + tables_group.cases(tables) + fuzz.cases() + prove.cases()
             + image.cases() + linux.cases() + boot.cases() + guests.cases() + report.cases() + gdb.cases()
             + adversary.cases() + bench.cases(tables) + mutants.cases())
    return [*found, errors.case(found), vendors.case(found, results)]

# SPDX-License-Identifier: MIT
"""B9: instructions of the parsers of DMAR (Intel's column) and IVRS (AMD's): for tables of our own, always, and for those
of a folder of real machines' tables, where one is given."""

from pathlib import Path
from statistics import mean

from tests.bench import callgrind
from tests.bench.row import NO_BAR, Row, must
from tests.runner.core import Failed
from tests.runner.paths import ROOT

CORPUS = ROOT / "tests/fuzz/corpus"
OWN = [CORPUS / "dmar" / name for name in ("one-unit", "laptop", "server", "every-type")] + \
      [CORPUS / "ivrs" / name for name in ("one-unit", "two-units", "desktop", "every-entry", "memory")]
KINDS = {"intel": "dmar", "amd": "ivrs"}


def real_tables(folder: str) -> list:
    """Every file of the folder, at any depth, that begins as a DMAR or an IVRS does."""
    return [path for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and path.open("rb").read(4) in (b"DMAR", b"IVRS")]


def figures(tables: list) -> tuple:
    """Instructions, and how many were not handled, by vendor."""
    names = [str(path) for path in tables]
    counts = callgrind.measure("parser", *names)
    nothing = counts.pop("nothing 0")
    said = [line.split() for line in callgrind.output_of([callgrind.program("parser"), *names]).splitlines()]
    if len(counts) != len(names) or len(said) != len(names):
        raise Failed(f"{len(names)} tables, {len(counts)} counts")
    by_kind = {vendor: [count - nothing for label, count in counts.items() if label.split()[0] == kind]
               for vendor, kind in KINDS.items()}
    unhandled = {vendor: sum(line[0] == kind and line[2] != "handled" for line in said)
                 for vendor, kind in KINDS.items()}
    return {vendor: found for vendor, found in by_kind.items() if found}, unhandled


def rows_of(tables: list, key: str, words: str, stored: bool) -> list:
    counts, unhandled = figures(tables)
    numbers = ", ".join(f"{len(found)} {KINDS[vendor].upper()}" for vendor, found in counts.items())
    name = f"B9 parse a table {words} ({numbers}), mean"

    def row(what: str, part: str, unit: str, values: dict, bar=NO_BAR) -> Row:
        return Row(f"parser.{key}.{what}", name, unit, values, bar, part=part, stored=stored)

    return [row("mean", "", "instructions", {vendor: round(mean(found), 2) for vendor, found in counts.items()}),
            row("most", "most", "instructions", {vendor: max(found) for vendor, found in counts.items()}),
            row("unhandled", "tables without a unit, or not read to the end", "tables", unhandled, must(0))]


def rows(folder: str | None) -> list:
    real = real_tables(folder) if folder else []
    return rows_of(OWN, "own", "of our own", True) + \
        (rows_of(real, "real", "of a real machine", False) if real else [])

# SPDX-License-Identifier: MIT
"""The rows in words: for the terminal, for programs, and for docs/benchmarks.md."""

import json
import re
from itertools import groupby
from pathlib import Path

from tests.bench.baseline import made_with
from tests.bench.figures import SUBJECTS
from tests.bench.row import EITHER, VENDORS, Row, number
from tests.runner.core import Failed
from tests.runner.paths import ROOT

DOCUMENT = ROOT / "docs/benchmarks.md"
COLUMNS = ("Intel", "AMD", "ceiling", "aim", "floor", "peers")


# ---- lines of cells ----

def of_bars(row: Row, what: str) -> str:
    """The ceiling or the aim: one number, or Intel's / AMD's where they differ."""
    values = list(dict.fromkeys(getattr(row.bar_on(vendor), what) for vendor in row.values))
    return "" if values == [None] else " / ".join("-" if value is None else number(value) for value in values)


def cells(label: str, row: Row) -> tuple:
    over = " EXCEEDED" if row.exceeded() else ""
    values = [number(row.values.get(vendor, row.values.get(EITHER))) if vendor in row.values or EITHER in row.values
              else "" for vendor in VENDORS]
    return (label, values[0], values[1] + over, of_bars(row, "ceiling"), of_bars(row, "aim"),
            "" if row.floor is None else number(row.floor), row.peers)


def lines_of(rows: list) -> list:
    """Cells of one subject's rows. What belongs to one name stands below it, and counts at their floor share a line."""
    lines = []
    for _, group in groupby((row for row in rows if row.shown), lambda row: row.name):
        first, *others = group
        lines.append(cells(first.title, first))
        if first.part:
            lines += [cells(row.title, row) for row in others]
            continue
        lines += [cells(f"   {row.part}", row) for row in others if not row.at_floor]
        if done := ", ".join(f"{row.unit} {number(row.floor)}" for row in others if row.at_floor):
            lines.append((f"   at the floor: {done}", *[""] * len(COLUMNS)))
    return lines


def by_subject(rows: list) -> list:
    return [(subject, list(group)) for subject, group in groupby(rows, lambda row: row.subject)]


# ---- for people ----

def show(rows: list) -> None:
    for subject, group in by_subject(rows):
        lines = [("", *COLUMNS), *lines_of(group)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        print(f"\n{subject}: {SUBJECTS[subject].about}")
        for name, *numbers, others in lines:
            right = (cell.rjust(width) for cell, width in zip(numbers, widths[1:]))
            print("  ".join([name.ljust(widths[0]), *right, others]).rstrip())


# ---- for programs ----

def write_json(rows: list, file: str) -> None:
    figures = [{"key": row.key, "subject": row.subject, "name": row.title, "unit": row.unit, "values": row.values,
                "ceiling": {vendor: row.bar_on(vendor).ceiling for vendor in row.values},
                "aim": {vendor: row.bar_on(vendor).aim for vendor in row.values}, "floor": row.floor,
                "peers": row.peers, "exceeded": bool(row.exceeded())} for row in rows]
    Path(file).write_text(json.dumps({"made_with": made_with(), "figures": figures}, indent=1) + "\n")


# ---- for the document ----

def markdown(subject: str, rows: list) -> str:
    def text(line: tuple) -> str:
        return ("| " + " | ".join(cell.strip() if i else re.sub(r"^ {3}", "· ", cell) for i, cell in enumerate(line))
                + " |").replace("|  |", "| |").replace("|  |", "| |")

    return "\n".join([text((subject, *COLUMNS)), "|---" * (len(COLUMNS) + 1) + "|", *map(text, lines_of(rows))])


def write_document(rows: list) -> None:
    """Puts the figures between the document's marks for their subjects."""
    text = DOCUMENT.read_text()
    for subject, group in by_subject(rows):
        marks = re.compile(rf"(<!-- figures: {subject} -->\n).*?(<!-- end of {subject} -->)", re.DOTALL)
        if not marks.search(text):
            raise Failed(f"{DOCUMENT.name} has no marks for the figures of {subject}")
        table = markdown(subject, group)
        text = marks.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)
    DOCUMENT.write_text(text)

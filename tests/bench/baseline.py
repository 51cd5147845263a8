# SPDX-License-Identifier: MIT
"""What was counted when somebody last said that it may be so: baseline.json. No count may grow over it unexplained."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import SUBJECTS
from tests.bench.row import Row, number, on
from tests.runner.core import Failed

from lib import machine  # noqa: E402  (tools/lib, by tests/runner/paths.py)

FILE = Path(__file__).with_name("baseline.json")
MAY_GROW = 0.02
UPDATE = "./tools/bench --update-baseline"
WHAT_TO_DO = f"if it must be so, run {UPDATE} and say why in the commit"


@dataclass
class Comparison:
    """Sentences about counts beside those of the baseline, of each kind of difference."""
    grown: list = field(default_factory=list)
    fallen: list = field(default_factory=list)
    missing: list = field(default_factory=list)  # measured, not stored; or the other way round

    @property
    def bad(self) -> list:
        return self.grown + self.missing


def read() -> dict:
    try:
        return json.loads(FILE.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Failed(f"{FILE.name} is not JSON: {error}; {UPDATE} writes it anew once it is gone") from None


def made_with() -> dict:
    """The compiler and QEMU: with others the counts are others, and no code of ours made them so."""
    clang = subprocess.run(["clang", "--version"], capture_output=True, text=True).stdout
    version = machine.qemu_version(shutil.which(os.environ.get("QEMU") or "qemu-system-x86_64") or "qemu-system-x86_64")
    return {"clang": (re.search(r"version (\d+\.\d+\.\d+)", clang) or [None, "unknown"])[1],
            "qemu": ".".join(map(str, version)) if version else "unknown"}


def stranger(subject: str) -> str | None:
    """Why the subject cannot be compared here, if it cannot."""
    here, there = made_with(), read().get(subject, {}).get("made_with", {})
    for tool in ("clang", "qemu") if SUBJECTS[subject].on_qemu else ("clang",):
        if there.get(tool, here[tool]) != here[tool]:
            return f"the baseline of {subject} was counted with {tool} {there[tool]}, this is {here[tool]}"
    return None


def stored_of(rows: list) -> dict:
    """What is kept, by subject and key."""
    counts: dict = {}
    for row in rows:
        if row.stored:
            whole = {vendor: int(value) if value == int(value) else value for vendor, value in row.values.items()}
            counts.setdefault(row.subject, {})[row.key.partition(".")[2]] = whole
    return counts


def share(value: float, old: float) -> str:
    return f"{(value - old) / abs(old):+.1%}" if old else "from nothing"


def compare_row(row: Row, old: dict, found: Comparison) -> None:
    for vendor, value in row.values.items():
        if vendor not in old:
            found.missing.append(f"{row.title}{on(vendor)} is not in the baseline")
            continue
        sentence = f"{row.title}{on(vendor)}: {number(value)} {row.unit}, {number(old[vendor])} in the baseline " \
                   f"({share(value, old[vendor])})"
        may_differ = MAY_GROW * abs(old[vendor])
        if value > old[vendor] + may_differ:
            found.grown.append(sentence)
        elif value < old[vendor] - may_differ:
            found.fallen.append(sentence)


def compare(rows: list, counts: dict) -> Comparison:
    """Of whole subjects: what the counts, by subject and key, have of them and nobody measures any more is missed, too."""
    found = Comparison()
    for row in rows:
        if row.stored:
            compare_row(row, counts.get(row.subject, {}).get(row.key.partition(".")[2], {}), found)
    for subject, measured in stored_of(rows).items():
        found.missing += [f"{subject}.{key} is in the baseline and is not measured"
                          for key in counts.get(subject, {}) if key not in measured]
    return found


def compare_with_stored(rows: list) -> Comparison:
    return compare(rows, {subject: entry["counts"] for subject, entry in read().items()})


def text_of(entry: dict) -> str:
    """A line for each count, so that a difference shows what changed."""
    counts = ",\n".join(f"   {json.dumps(key)}: {json.dumps(values)}" for key, values in entry["counts"].items())
    return f'{{\n  "made_with": {json.dumps(entry["made_with"])},\n  "counts": {{\n{counts}\n  }}\n }}'


def update(rows: list) -> None:
    """Stores what was counted in the place of what there was of the same subjects."""
    entries = {**read(), **{subject: {"made_with": made_with(), "counts": counts}
                            for subject, counts in stored_of(rows).items()}}
    FILE.write_text("{\n" + ",\n".join(f" {json.dumps(name)}: {text_of(entries[name])}"
                                       for name in SUBJECTS if name in entries) + "\n}\n")

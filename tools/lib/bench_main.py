# SPDX-License-Identifier: MIT
"""Counts what Sluice costs, in instructions and bytes, on Intel's IOMMU and on AMD's, beside its peers.

The exit status is 1 when a ceiling is exceeded, when a count grew by more than 2 % over the stored baseline or fell below
what is possible, or when something could not be measured. docs/benchmarks.md has the method, and the figures as they were last stored."""

import argparse
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench import baseline, figures, plot, report  # noqa: E402
from tests.runner.core import Failed, Skipped  # noqa: E402
from lib import build, install  # noqa: E402  (tools/lib)
from lib.common import Trouble, progress  # noqa: E402

BENCH_NEEDS = {"valgrind": "valgrind", "/usr/include/valgrind/callgrind.h": "valgrind"}


def arguments() -> argparse.Namespace:
    subjects = "\n".join(f"  {subject.name:<9}{subject.about}" for subject in figures.SUBJECTS.values())
    summary, status = __doc__.split("\n\n")
    parser = argparse.ArgumentParser(prog="tools/bench", description=summary, epilog=f"Subjects:\n{subjects}\n\n{status}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help="what to measure (default: all; under a minute)")
    parser.add_argument("--json", metavar="FILE", help="write every figure there, for programs")
    parser.add_argument("--plot", metavar="FILE.svg",
                        help="draw there what an element of a hypercall costs, by the size of the batch (subject calls)")
    parser.add_argument("--update-baseline", action="store_true",
                        help="store what is counted now: in tests/bench/baseline.json and docs/benchmarks.md, with its picture")
    parser.add_argument("--tables", metavar="DIR", default=os.environ.get("SLUICE_TABLES"),
                        help="real machines' firmware tables for the subject parser (default: $SLUICE_TABLES)")
    parser.add_argument("--no-install", action="store_true", help="install nothing; say what is missing")
    options = parser.parse_args()
    if unknown := [name for name in options.subjects if name not in figures.SUBJECTS]:
        parser.error(f"no such subject: {', '.join(unknown)}; there are {', '.join(figures.SUBJECTS)}")
    options.subjects = [name for name in figures.SUBJECTS if name in options.subjects or not options.subjects]
    if options.plot and plot.SUBJECT not in options.subjects:
        parser.error(f"--plot draws figures of the subject {plot.SUBJECT}, which is not to be measured")
    if options.tables and not Path(options.tables).is_dir():
        parser.error(f"--tables: {options.tables} is not a folder")
    return options


def measure(options: argparse.Namespace, trouble: list) -> list:
    """Rows of all subjects that could be measured."""
    install.ensure(install.BUILD_NEEDS | install.RUN_NEEDS | BENCH_NEEDS, not options.no_install, "bench")
    build.build(tool="bench")
    rows = []
    for subject in options.subjects:
        progress("bench", f"measuring {subject}")
        try:
            rows += figures.measure(subject, options.tables)
        except (Failed, Skipped) as problem:
            trouble.append(f"{subject}: {problem}")
    return rows


def compare(rows: list) -> list:
    """Says what fell; returns what is not as the baseline wants it."""
    strangers = {subject: why for subject in {row.subject for row in rows} if (why := baseline.stranger(subject))}
    for why in sorted(set(strangers.values())):
        progress("bench", f"{why}: counts are not compared")
    found = baseline.compare_with_stored([row for row in rows if row.subject not in strangers])
    for sentence in found.fallen:
        progress("bench", f"fell: {sentence}")
    if found.fallen:
        progress("bench", f"{baseline.UPDATE} stores what fell")
    return found.bad + ([baseline.WHAT_TO_DO] if found.bad else [])


def update(rows: list) -> None:
    """Stores the rows, and says what they are instead of."""
    found = baseline.compare_with_stored(rows)
    for sentence in found.grown + found.fallen:
        progress("bench", sentence)
    baseline.update(rows)
    report.write_document(rows)
    if any(row.subject == plot.SUBJECT for row in rows):
        plot.write(rows, plot.PICTURE)
    progress("bench", f"stored: {len(found.grown)} grew by more than 2 %, {len(found.fallen)} fell; the commit says why")


def main() -> int:
    options = arguments()
    trouble: list = []
    try:
        rows = measure(options, trouble)
        report.show(rows)
        if options.json:
            report.write_json(rows, options.json)
        if options.plot and any(row.subject == plot.SUBJECT for row in rows):
            plot.write(rows, Path(options.plot))
        if options.update_baseline:
            update(rows)
        else:
            trouble += compare(rows)
        trouble += [sentence for row in rows for sentence in row.wrong()]
    except (Trouble, Failed, OSError) as problem:
        trouble.append(str(problem))
    for line in trouble:
        progress("bench", line)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())

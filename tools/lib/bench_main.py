# SPDX-License-Identifier: MIT
"""Counts what Sluice costs, in instructions and bytes, beside its peers; docs/benchmarks.md has the method.

The exit status is 1 when a ceiling is exceeded or something could not be measured."""

import argparse
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench import figures  # noqa: E402
from tests.runner.core import Failed, Skipped  # noqa: E402
from lib import build, install  # noqa: E402  (tools/lib)
from lib.common import Trouble, progress  # noqa: E402

BENCH_NEEDS = {"valgrind": "valgrind", "/usr/include/valgrind/callgrind.h": "valgrind"}


def arguments() -> argparse.Namespace:
    names = [name for name, _ in figures.SUBJECTS]
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    parser.add_argument("--no-install", action="store_true", help="install nothing; say what is missing")
    options = parser.parse_args()
    if unknown := set(options.subjects) - set(names):
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")
    options.subjects = options.subjects or names
    return options


def show(rows: list) -> None:
    columns = [("", "ours", "ceiling", "aim", "peers")]
    columns += [(row.name, row.text() + (" EXCEEDED" if row.exceeded else ""), row.ceiling_text(), row.aim_text(),
                 row.peers) for row in rows]
    widths = [max(len(line[i]) for line in columns) for i in range(4)]
    for name, ours, ceiling, aim, peers in columns:
        print(f"{name:<{widths[0]}}  {ours:>{widths[1]}}  {ceiling:>{widths[2]}}  {aim:>{widths[3]}}  {peers}".rstrip())


def write_json(rows: list, file: str) -> None:
    data = [{"name": row.name, "value": row.value, "unit": row.unit, "ceiling": row.ceiling, "aim": row.aim,
             "exceeded": row.exceeded, "peers": row.peers} for row in rows]
    Path(file).write_text(json.dumps(data, indent=1) + "\n")


def main() -> int:
    options = arguments()
    rows, trouble = [], []
    try:
        install.ensure(install.BUILD_NEEDS | install.RUN_NEEDS | BENCH_NEEDS, not options.no_install, "bench")
        build.build(tool="bench")
        for subject in options.subjects:
            progress("bench", f"measuring {subject}")
            try:
                rows += figures.measure(subject)
            except (Failed, Skipped) as problem:
                trouble.append(f"{subject}: {problem}")
        show(rows)
        if options.json:
            write_json(rows, options.json)
    except (Trouble, OSError) as problem:
        trouble.append(str(problem))
    trouble += [f"{row.name}: {row.text()}, the ceiling is {row.ceiling_text()}" for row in rows if row.exceeded]
    for line in trouble:
        progress("bench", line)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())

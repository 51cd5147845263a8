# SPDX-License-Identifier: MIT
"""Proves that the parsers of firmware's tables are sound, by Frama-C; docs/testing.md says what that means.

The exit status is 0 when all is proved, 1 when there are alarms, 2 when the proof could not be made or did not reach
all of the code."""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import install  # noqa: E402  (tools/lib)
from lib.common import ROOT, Trouble, progress  # noqa: E402

PARSERS = {"dmar": "drivers/iommu/vtd/dmar.c", "ivrs": "drivers/iommu/amdvi/ivrs.c"}
COMMON = ("drivers/iommu/finding.c",)
STRING_HEADER = "kernel/lib/string.h"

# A read outside of an object, an uninitialised value, a shift too far: these Eva tells of by itself. The rest:
WARN = ("-warn-invalid-pointer", "-warn-pointer-downcast", "-warn-signed-downcast", "-warn-unsigned-downcast")
EVA = ("-eva", "-eva-precision", "0", "-eva-plevel", "256", "-eva-msg-key=-final-states,-initial-state")
WP = ("-wp", "-wp-prover", "z3", "-wp-timeout", "20", "-wp-par", "2")
# A function with neither code nor contract would be assumed to be harmless.
STRICT = ("-kernel-warn-key", "annot:missing-spec=abort")


@dataclass
class Alarm:
    place: str
    function: str
    kind: str
    text: str

    def __str__(self):
        return f"{self.place}: {self.function}: {self.kind} not proved: {self.text}"


@dataclass
class Proof:
    """What one run of Frama-C came to."""
    alarms: list
    unreached: list  # functions and statements
    functions: int
    goals: int


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/prove", description=__doc__.split("\n\n")[0],
                                     epilog=__doc__.split("\n\n")[1])
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help=f"of {', '.join(PARSERS)} (default: all)")
    parser.add_argument("--log", metavar="DIR", help="keep there what Frama-C says, in PARSER.log and PARSER.csv")
    parser.add_argument("--no-install", action="store_true", help="install nothing; say what is missing")
    options = parser.parse_args()
    if unknown := set(options.parsers) - set(PARSERS):
        parser.error(f"no such parser: {', '.join(sorted(unknown))}")
    options.parsers = options.parsers or list(PARSERS)
    return options


def run(command: list, environment: dict) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        raise Trouble(f"{command[0]} ended with status {done.returncode}:\n{done.stdout[-3000:].rstrip()}")
    return done.stdout


def frama_c(name: str, folder: Path) -> None:
    """Eva over everything that main() of the proof reaches, then WP for what that left open."""
    # Frama-C takes relative names from $PWD, whatever its working directory is.
    environment = {**os.environ, "PWD": str(ROOT), "WHY3CONFIG": str(folder / "why3.conf")}
    run(["why3", "config", "detect"], environment)
    said = run(["frama-c", "-machdep", "gcc_x86_64", "-cpp-extra-args=-I. -Ikernel", *STRICT, *WARN, *EVA,
                "-metrics", "-metrics-eva-cover", f"tests/prove/{name}_eva.c", PARSERS[name], *COMMON,
                "-then", *WP, "-then", "-no-wp", "-report", "-report-csv", str(folder / f"{name}.csv")], environment)
    (folder / f"{name}.log").write_text(said)


def of_library(row: dict) -> bool:
    """Frama-C's contract of a C library function: told of where either header declares it."""
    return row["directory"].startswith("FRAMAC_SHARE") or f"{row['directory']}/{row['file']}" == STRING_HEADER


def open_properties(table: Path) -> list:
    """Alarms, contracts and checks that are not proved. Only the C library's own contracts are taken as they are."""
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows:
        raise Trouble("Frama-C reports no properties at all")
    return [Alarm(f"{row['directory']}/{row['file']}:{row['line']}", row["function"], row["property kind"],
                  row["property"]) for row in rows
            if row["status"] != "Valid" and not (row["status"] == "Considered valid" and of_library(row))]


def open_loops(said: str) -> list:
    """Loops with a variant that is not proved: they may not end. The table of properties leaves variants out."""
    found = re.findall(r"^\[ *(.+?) *\] Loop variant at loop \(file (\S+), line (\d+)\)", said, re.MULTILINE)
    if not found:
        raise Trouble("Frama-C reports no loop variant at all")
    return [Alarm(f"{file}:{line}", "loop", "its end", f"the variant is {status}")
            for status, file, line in found if status != "Valid"]


def is_defined_in(name: str, sources: list) -> bool:
    plain = re.sub(r"_\d+$", "", name)  # Frama-C numbers static functions that bear one name
    return any(re.search(rf"^\w[\w \t*]*\b{plain}\([^;{{]*\)\s*{{", (ROOT / source).read_text(), re.MULTILINE)
               for source in sources)


def unreached(name: str, said: str) -> list:
    """Functions of the sources and statements that the analysis did not come to: nothing is known of them."""
    listed = re.search(r"^\[metrics\] Defined functions .*?\n((?: .*\n)+)", said, re.MULTILINE)
    if not listed:
        raise Trouble("Frama-C does not say which functions there are")
    defined = set(re.findall(r"(\w+) \(\d+ calls?\)", listed[1]))
    reached = {function: (int(some), int(every)) for function, some, every in
               re.findall(r"^ +(\w+): (\d+) stmts out of (\d+)", said, re.MULTILINE)}
    if "main" not in reached:
        raise Trouble("the analysis did not begin")
    missing = [f"{function}()" for function in sorted(defined - set(reached))
               if is_defined_in(function, [PARSERS[name], *COMMON])]
    return missing + [f"{every - some} statements of {function}()" for function, (some, every) in
                      sorted(reached.items()) if some != every]


def judge(name: str, folder: Path) -> Proof:
    said = (folder / f"{name}.log").read_text()
    functions = re.search(r"(\d+) functions analyzed", said)
    goals = re.search(r"Proved goals: +(\d+) / (\d+)", said)
    if not functions or not goals:
        raise Trouble("Frama-C's output has no summary; see it with --log DIR")
    return Proof(open_properties(folder / f"{name}.csv") + open_loops(said), unreached(name, said),
                 int(functions[1]), int(goals[1]))


def prove(name: str, folder: Path) -> int:
    start = time.monotonic()
    progress("prove", f"{PARSERS[name]}: this takes about half a minute")
    frama_c(name, folder)
    proof = judge(name, folder)
    coverage = "not 100 %" if proof.unreached else "100 %"
    alarms = "1 alarm" if len(proof.alarms) == 1 else f"{len(proof.alarms)} alarms"
    print(f"{name}_parse: {alarms}, {proof.functions} functions analysed, coverage {coverage}, "
          f"{proof.goals} goals proved by WP, {time.monotonic() - start:.0f} s", flush=True)
    for line in [*proof.alarms, *(f"never reached: {what}" for what in proof.unreached)]:
        print(f"    {line}", flush=True)
    return 1 if proof.alarms else 2 if proof.unreached else 0


def main() -> int:
    options = arguments()
    try:
        install.ensure(install.PROVE_NEEDS, not options.no_install, "prove")
        with tempfile.TemporaryDirectory(prefix="sluice-prove-") as scratch:
            folder = Path(options.log or scratch).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            statuses = [prove(name, folder) for name in options.parsers]
        return 1 if 1 in statuses else max(statuses)
    except (Trouble, OSError) as problem:
        progress("prove", str(problem))
        return 2


if __name__ == "__main__":
    sys.exit(main())

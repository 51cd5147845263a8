# SPDX-License-Identifier: MIT
"""Test cases, running them a few at a time, and telling what happened."""

import concurrent.futures
import re
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Callable, Optional


VENDORS = ("intel", "amd")  # whose IOMMU a machine has, as ./tools/run --iommu names them


def vendors_of(only: str) -> tuple:
    """The vendors that a test runs on: all, or that of only="VENDOR: REASON"; without a reason it is an error."""
    if not only:
        return VENDORS
    vendor, _, reason = only.partition(":")
    if vendor not in VENDORS or not reason.strip():
        raise ValueError(f"only=\"{only}\" is not of the form VENDOR: REASON")
    return (vendor,)


class Failed(Exception):
    """The case failed: a reason of one line, and what to show below it."""

    def __init__(self, reason: str, output: str = ""):
        super().__init__(reason)
        self.output = output


class Skipped(Exception):
    """The case cannot be run here; the text says why."""


@dataclass
class Result:
    name: str  # GROUP/NAME
    status: str  # passed, failed, skipped
    seconds: float
    reason: str = ""
    output: str = ""


@dataclass
class Case:
    """One entry of the list. A case with parts reports one result for each of them."""

    group: str
    name: str
    body: Callable[[], Optional[list]]  # None: passed; a list of Result: its parts
    about: str = ""
    parts: tuple = field(default_factory=tuple)
    vendor: Optional[str] = None  # None: it has to do with no IOMMU, or with both
    only: str = ""  # "VENDOR: REASON", for a test that the other vendor does not have
    last: bool = False  # judges the results of the others

    @property
    def full_name(self) -> str:
        return f"{self.group}/{self.name}"

    def names(self) -> list:
        return [f"{self.full_name}/{part}" for part in self.parts] or [self.full_name]

    def run(self) -> list:
        start = time.monotonic()

        def result(status, reason="", output=""):
            return [Result(self.full_name, status, time.monotonic() - start, reason, output)]

        try:
            parts = self.body()
        except Failed as failure:
            return result("failed", str(failure), failure.output)
        except Skipped as skip:
            return result("skipped", str(skip))
        except Exception as error:  # a bug of the runner must show as a failed test, not end the run
            return result("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
        return parts if parts is not None else result("passed")


def select(cases: list, pattern: Optional[str], vendor: Optional[str] = None) -> list:
    """The cases of which at least one name matches, of one vendor or of all."""
    if vendor:
        cases = [case for case in cases if case.vendor in (None, vendor)]
    if not pattern:
        return cases
    regex = re.compile(pattern)
    return [case for case in cases if any(regex.search(name) for name in case.names())]


MARKS = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}
SHOWN_LINES = 60


class Report:
    """Prints each result as it comes, keeps the count, and repeats the failures at the end."""

    def __init__(self, pattern: Optional[str] = None):
        self.total = 0  # how many there will be, for the numbers at the left
        self.regex = re.compile(pattern) if pattern else None
        self.results: list = []
        self.lock = threading.Lock()

    def add(self, results: list) -> None:
        with self.lock:
            for result in results:
                # A program is run whole; its cases that nobody asked for are not reported, unless they failed.
                if self.regex and result.status != "failed" and not self.regex.search(result.name):
                    continue
                self.results.append(result)
                self._show(result)

    def _show(self, result: Result) -> None:
        reason = f"  ({result.reason})" if result.reason else ""
        number = f"[{len(self.results):3}/{max(self.total, len(self.results))}]"
        print(f"{number} {MARKS[result.status]} {result.name:<52} {result.seconds:6.1f} s{reason}", flush=True)
        if result.status == "failed" and result.output:
            lines = result.output.rstrip().splitlines()
            if len(lines) > SHOWN_LINES:
                print(f"        ... {len(lines) - SHOWN_LINES} lines above these")
            for line in lines[-SHOWN_LINES:]:
                print(f"        | {line}", flush=True)

    def count(self, status: str) -> int:
        return sum(result.status == status for result in self.results)

    def finish(self, seconds: float) -> int:
        """Prints the closing lines; the exit status."""
        failed = [result for result in self.results if result.status == "failed"]
        print(f"\n{seconds:.0f} s in all")
        for result in failed:
            print(f"failed: {result.name}: {result.reason}")
        print(f"{self.count('passed')} passed, {len(failed)} failed, {self.count('skipped')} skipped", flush=True)
        return 1 if failed else 0


def run_all(cases: list, jobs: int, report: Report) -> None:
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(lambda c=case: report.add(c.run())) for case in cases if not case.last]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
        except KeyboardInterrupt:
            for future in futures:
                future.cancel()
            print("interrupted: waiting for what is running", file=sys.stderr)
            raise
    for case in cases:
        if case.last:
            report.add(case.run())

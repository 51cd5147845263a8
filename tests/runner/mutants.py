# SPDX-License-Identifier: MIT
"""Group mutant: each tests/mutants/*.patch breaks a copy of the sources in one place, and the test it names must
then fail. The same test must pass on the unbroken sources; a patch that does not apply or does not build catches
nothing. A patch begins with

    # test: GROUP/NAME    the test that must fail: a unit or driver program or one of its cases, a fuzz target, a proof, a
                          abi, tables, image, boot or guest test (without a vendor at its end: the one on Intel's IOMMU), or a
                          report test that boots nothing
    # why: ...            what the defect would mean
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Callable

from . import abi, adversary, boot, fuzz, guests, host, image, prove, report, tables
from .core import Case, Failed
from .paths import GUESTS, HOOKED, ROOT
from .workspace import POOL, Workspace

FOLDER = ROOT / "tests/mutants"
# A mutant may hang. It is given up after some times as long as the test takes without it, but never at once: the machine
# may be busier by then.
PATIENCE, LEAST_SECONDS, MOST_SECONDS = 4, 15, 40


class Named:
    """The test that a mutant names: the targets it needs and how to run it in a workspace. With own_guest, the guest of
    a boot test is built there too."""

    def __init__(self, name: str, own_guest: bool = False):
        group, _, rest = name.partition("/")
        self.vendor = None
        self.limit = MOST_SECONDS
        if group in host.GROUPS:
            program = rest.split("/")[0]
            self.vendor = host.vendor_of(group, program)
            self.target = f"{group}_{program}"
            self.case = lambda build: Case(group, program, lambda: host.run_program(group, program, None, build))
        elif group == "tables":
            self.target = tables.TARGET
            self.case = lambda build: self.find({case.name: case for case in tables.cases(None, build)}, rest)
        elif group == "abi":
            self.target = ""  # sources alone
            self.case = lambda build: self.find({case.name: case for case in abi.cases(build.parent)}, rest)
        elif group == "image":
            self.target = "loader"
            self.case = lambda build: self.find({case.name: case for case in image.cases(build.parent)}, rest)
        elif group == "prove":
            self.target = "kernel_elf"
            self.case = lambda build: Case(group, rest, lambda: prove.run_proof(rest, build.parent))
        elif group == "fuzz":
            self.target = self.find(fuzz.TARGETS, rest).built_by
            self.case = lambda build: fuzz.case(rest, build)
        elif group == "adversary":
            where, _, self.vendor = rest.partition("/")
            if where != "native":
                raise Failed(f"only the native slice has mutants, not {name}")
            self.target = adversary.TARGET
            self.case = lambda build: adversary.native_case(self.vendor, build)
        elif group == "report":
            self.find(report.PLAIN, rest)
            self.target = "kernel_elf"
            self.case = lambda build: Case(group, rest, lambda: report.run_copy(build.parent, rest))
        elif group == "boot":
            scenario = self.find(boot.cases_by_name(), rest)
            self.target = "loader_hooks" if scenario.machine.efi == HOOKED else "loader"
            rest, self.vendor = scenario.name, scenario.vendor
            if own_guest:
                self.target += f" guest_{scenario.machine.guest}"
            self.case = lambda build: Case(group, rest, lambda: boot.run_scenario(
                self.impatient(scenario), build / "BOOTX64.EFI", build / "guests" if own_guest else GUESTS))
        elif group == "guest":
            self.target = "loader"
            guest = self.find({run.name: run for run in guests.runs()}, rest)
            rest, self.vendor = guest.name, guest.vendor
            self.case = lambda build: Case(group, rest, lambda: guests.run_guest(self.impatient(guest), build / "BOOTX64.EFI", GUESTS))
        else:
            raise Failed(f"no such group: {name}")
        self.name = f"{group}/{rest}"

    def impatient(self, test):
        return replace(test, machine=replace(test.machine, timeout=min(test.machine.timeout, self.limit)))

    def heed(self, seconds: float) -> None:
        """The test took so long without the mutant."""
        self.limit = min(MOST_SECONDS, max(LEAST_SECONDS, PATIENCE * seconds))

    @staticmethod
    def find(known: dict, name: str):
        for full in (name, f"{name}/intel"):
            if full in known:
                return known[full]
        raise Failed(f"there is no test {name}")

    def counting(self, results: list) -> list:
        """The results that count: those of the named case, or of the program as a whole."""
        return [result for result in results if result.name.startswith(self.name) or self.name.startswith(result.name)]

    def results(self, workspace: Workspace) -> list:
        """Of those, the ones that count."""
        found = self.case(workspace.build).run()
        if found and all(result.status == "skipped" for result in found):
            raise Failed(f"{self.name} was skipped: {found[0].reason}")
        return self.counting(found)


def failed(results: list) -> list:
    return [result for result in results if result.status == "failed"]


def expect_sound(named: Named, workspace: Workspace, told: Callable[[], list]) -> None:
    """The test passes without the mutant. In each workspace that is seen once; apart from that a result of this run, which
    the same sources have come to, is as good."""
    with POOL.lock:
        known = POOL.sound.get(named.name)
    if known is None and workspace.tried:
        known = [result for result in named.counting(told()) if result.status != "skipped"]
    if not known:
        workspace.make(named.target, "the unbroken copy does not build")
        known = named.results(workspace)
    with POOL.lock:
        POOL.sound[named.name] = known
    if bad := failed(known):
        raise Failed(f"{named.name} fails without the mutant as well: {bad[0].reason}", bad[0].output)
    workspace.tried = True
    named.heed(max((result.seconds for result in known), default=0))


def header(patch: Path, key: str) -> str:
    match = re.search(rf"^# {key}: *(.+)$", patch.read_text(), re.MULTILINE)
    return match[1].strip() if match else ""


def run_mutant(patch: Path, told: Callable[[], list]) -> None:
    name = header(patch, "test")
    if not name or not header(patch, "why"):
        raise Failed("the patch does not say which test must fail, or why it matters")
    named = Named(name, own_guest="\n+++ b/guest-abi/" in patch.read_text())
    workspace = POOL.take()
    try:
        expect_sound(named, workspace, told)
        workspace.patch(patch)
        try:
            workspace.make(named.target, "the mutant does not build, which shows nothing")
            if not failed(named.results(workspace)):
                raise Failed(f"{name} passes though the code is broken: {header(patch, 'why')}")
        finally:
            workspace.patch(patch, "-R")
    finally:
        POOL.give(workspace)


def vendor_of(patch: Path) -> str | None:
    try:
        return Named(header(patch, "test")).vendor
    except Failed:
        return None  # told when the mutant is run


def cases(told: Callable[[], list] = list) -> list:
    """told() gives the results of this run until now."""
    return [Case("mutant", patch.stem, lambda p=patch: run_mutant(p, told),
                 f"{header(patch, 'test')} must fail: {header(patch, 'why')}", vendor=vendor_of(patch))
            for patch in sorted(FOLDER.glob("*.patch"))]

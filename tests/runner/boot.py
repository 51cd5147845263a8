# SPDX-License-Identifier: MIT
"""Group boot: the product under UEFI, by the list in tests/boot/scenarios.py. A scenario NAME is run on a machine of
each vendor, as NAME/intel and NAME/amd; on one only with a reason; and as NAME where the machine has no IOMMU."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

from .core import Case, Failed, vendors_of
from .paths import GUESTS, HOOKED
from .vm import Machine, Run, boot, expect_status, expect_words, iommu_of
from .workspace import patched


@dataclass
class Firmware:
    """An ACPI table in the place of QEMU's own, and what must come of it: expressions as in Scenario."""
    table: bytes
    says: tuple = ()
    never: tuple = ()


@dataclass
class Scenario:
    name: str
    about: str
    machine: Machine
    status: int = 0
    says: tuple = ()  # regular expressions, each of which must match
    never: tuple = ("unknown option",)
    check: Callable[[Run], None] | None = None
    prepare: Callable[[Machine], Machine] | None = None  # makes files the machine needs
    patch: Path | None = None  # to a copy of the sources, which is then built and booted
    properties: dict = field(default_factory=dict)  # of QEMU's unit, by vendor
    firmware: dict = field(default_factory=dict)  # Firmware, by vendor; the image has hooks then
    only: str = ""  # "VENDOR: REASON"
    vendor: str | None = None  # whose unit the machine has; set by on_vendors()

    def on_vendors(self) -> list:
        if self.machine.iommu == "none":
            return [self]
        return [self.on_vendor(vendor) for vendor in vendors_of(self.only)]

    def on_vendor(self, vendor: str) -> "Scenario":
        machine = replace(self.machine, iommu=iommu_of(vendor, self.properties.get(vendor)))
        one = replace(self, name=f"{self.name}/{vendor}", vendor=vendor, machine=machine)
        if firmware := self.firmware.get(vendor):
            one.machine = replace(machine, efi=HOOKED, acpi_override=firmware.table)
            one.says, one.never = self.says + firmware.says, self.never + firmware.never
        return one


def play(scenario: Scenario, efi=None, guests=None) -> Run:
    """Boots and judges; what was judged."""
    if scenario.patch:
        with patched(scenario.patch, "loader") as workspace:
            return play(replace(scenario, patch=None), workspace.build / "BOOTX64.EFI", GUESTS)
    machine = scenario.machine
    if efi:
        machine = replace(machine, efi=efi.with_name(machine.efi.name), guests=guests)
    if scenario.prepare:
        machine = scenario.prepare(machine)
    run = boot(machine)
    expect_status(run, scenario.status)
    expect_words(run, scenario.says, scenario.never)
    if scenario.check:
        try:
            scenario.check(run)
        except Failed as failure:
            failure.output = failure.output or run.text
            raise
    return run


def run_scenario(scenario: Scenario, efi=None, guests=None) -> None:
    play(scenario, efi, guests)


def cases_by_name() -> dict:
    from tests.boot.scenarios import SCENARIOS
    return {scenario.name: scenario for listed in SCENARIOS for scenario in listed.on_vendors()}


def cases() -> list:
    return [Case("boot", name, lambda s=scenario: run_scenario(s), scenario.about, vendor=scenario.vendor,
                 only=scenario.only)
            for name, scenario in cases_by_name().items()]

# SPDX-License-Identifier: MIT
"""Group guest: conformance guests, which try a rule and judge it. How each is run stands in its document:

    doors: both                       two guests of one source, NAME and NAME.physdev
    run: NAME key="value" ...         one run; keys: options, cmdline, devices, qemu-iommu, memory, status, says
"""

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from .core import Case, Failed, Skipped
from .paths import ROOT
from .vm import INTEL, Machine, boot, expect_status, expect_words

FOLDER = ROOT / "tests/guests"
VERDICTS = {"SUCCESS", "SKIP", "ERROR", "FAILURE"}
KEYS = {"options", "cmdline", "devices", "qemu-iommu", "cpu", "memory", "status", "says", "timeout"}


@dataclass
class GuestRun:
    name: str
    about: str
    machine: Machine
    status: int | None  # None: by the verdict
    says: tuple


def document(main: Path) -> str:
    """The text of the comment at the top, without its stars."""
    match = re.search(r"/\*\n(.*?)\n \*/", main.read_text(), re.DOTALL)
    if not match:
        raise ValueError(f"{main} has no document")
    return re.sub(r"^ \*[ ]?", "", match[1], flags=re.MULTILINE)


def parse_run(name: str, line: str, about: str) -> GuestRun:
    words = shlex.split(line)
    run_name, settings = words[0], dict(word.split("=", 1) for word in words[1:])
    if unknown := set(settings) - KEYS:
        raise ValueError(f"{name}: unknown keys {unknown} in its run lines")
    iommu = ",".join(filter(None, (INTEL, settings.get("qemu-iommu"))))
    if settings.get("qemu-iommu") == "none":
        iommu = "none"
    machine = Machine(guest=name, iommu=iommu, devices=tuple(settings.get("devices", "nvme edu").split()),
                      options=settings.get("options", ""), cmdline=settings.get("cmdline", ""),
                      cpu=settings.get("cpu", "max"), memory=int(settings.get("memory", 256)),
                      timeout=int(settings.get("timeout", 90)))
    status = int(settings["status"]) if "status" in settings else None
    return GuestRun(f"{name}/{run_name}", about, machine, status, tuple(filter(None, [settings.get("says")])))


def runs() -> list:
    found = []
    for main in sorted(FOLDER.glob("*/main.c")):
        text = document(main)
        rule = re.search(r"Rule: (.*?)(?:\n\n|\Z)", text, re.DOTALL)
        about = " ".join(rule[1].split()) if rule else ""
        lines = re.findall(r"^run: (.*)$", text, re.MULTILINE)
        if not lines or not rule:
            raise ValueError(f"{main} has no rule or no run line")
        names = [main.parent.name]
        if re.search(r"^doors: both$", text, re.MULTILINE):
            names.append(f"{main.parent.name}.physdev")
        found += [parse_run(name, line, about) for name in names for line in lines]
    return found


def run_guest(guest: GuestRun, efi=None, guests=None) -> None:
    machine = replace(guest.machine, efi=efi, guests=guests) if efi else guest.machine
    run = boot(machine)
    if guest.status is not None:
        expect_status(run, guest.status)
    else:
        verdicts = re.findall(r"Test result: (\w+)\s*$", run.text, re.MULTILINE)
        if len(verdicts) != 1 or verdicts[0] not in VERDICTS:
            raise Failed(f"{len(verdicts)} verdicts instead of one (status {run.status})", run.text)
        if verdicts[0] == "SKIP":
            raise Skipped("the guest skipped itself")
        if verdicts[0] != "SUCCESS":
            raise Failed(f"the guest's verdict is {verdicts[0]}", run.text)
        expect_status(run, 0)
    expect_words(run, guest.says, ("unknown option",))


def cases() -> list:
    return [Case("guest", guest.name, lambda g=guest: run_guest(g), guest.about) for guest in runs()]

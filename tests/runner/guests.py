# SPDX-License-Identifier: MIT
"""Group guest: conformance guests, which try a rule and judge it. How each is run stands in its document:

    doors: both                       two guests of one source, NAME and NAME.physdev
    run: NAME key="value" ...         one run on a machine of each vendor: guest/GUEST/NAME/intel and /amd

Keys: options, cmdline, devices, cpu, memory, timeout, status, says, never, input, stop. One of these with -intel or -amd behind it
is for that vendor's machine alone. intel and amd are properties of that vendor's unit in QEMU. only="VENDOR: REASON"
leaves the other vendor out. A line that begins further right goes on with the one before.
"""

import re
import shlex
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from .core import VENDORS, Case, Failed, Skipped, vendors_of
from .paths import ROOT
from .vm import Machine, boot, expect_status, expect_words, iommu_of

FOLDER = ROOT / "tests/guests"
VERDICTS = {"SUCCESS", "SKIP", "ERROR", "FAILURE"}
KEYS = {"options", "cmdline", "devices", "cpu", "memory", "status", "says", "never", "timeout", "input", "stop"}
ALL_KEYS = KEYS | {f"{key}-{vendor}" for key in KEYS for vendor in VENDORS} | set(VENDORS) | {"only"}


@dataclass
class GuestRun:
    name: str
    about: str
    machine: Machine
    status: int | None  # None: by the verdict
    says: tuple
    never: tuple
    vendor: str
    only: str


def document(main: Path) -> str:
    """The text of the comment at the top, without its stars."""
    match = re.search(r"/\*\n(.*?)\n \*/", main.read_text(), re.DOTALL)
    if not match:
        raise ValueError(f"{main} has no document")
    return re.sub(r"^ \*[ ]?", "", match[1], flags=re.MULTILINE)


def parse_line(name: str, line: str) -> tuple:
    """Name and settings of a run line."""
    words = shlex.split(line)
    settings = dict(word.split("=", 1) for word in words[1:])
    if unknown := set(settings) - ALL_KEYS:
        raise ValueError(f"{name}: unknown keys {unknown} in its run lines")
    return words[0], settings


def run_on(vendor: str, name: str, settings: dict, about: str) -> GuestRun:
    """The run on that vendor's machine."""
    def setting(key: str, default: str | None = None) -> str | None:
        return settings.get(f"{key}-{vendor}", settings.get(key, default))

    machine = Machine(guest=name.split("/")[0], iommu=iommu_of(vendor, settings.get(vendor)),
                      devices=tuple(setting("devices", "nvme edu").split()), options=setting("options", ""),
                      cmdline=setting("cmdline", ""), cpu=setting("cpu", "max"), memory=int(setting("memory", "256")),
                      timeout=int(setting("timeout", "90")), typed=setting("input", ""), stop=setting("stop", ""))
    status = setting("status")
    return GuestRun(f"{name}/{vendor}", about, machine, None if status is None else int(status),
                    tuple(filter(None, [setting("says")])), tuple(filter(None, [setting("never")])), vendor,
                    settings.get("only", ""))


def parse_run(name: str, line: str, about: str) -> list:
    run_name, settings = parse_line(name, line)
    return [run_on(vendor, f"{name}/{run_name}", settings, about) for vendor in vendors_of(settings.get("only", ""))]


@lru_cache
def runs() -> list:
    found = []
    for main in sorted(FOLDER.glob("*/main.c")):
        text = document(main)
        rule = re.search(r"Rule: (.*?)(?:\n\n|\Z)", text, re.DOTALL)
        about = " ".join(rule[1].split()) if rule else ""
        lines = re.findall(r"^run: (.*(?:\n[ ]+\S.*)*)", text, re.MULTILINE)
        if not lines or not rule:
            raise ValueError(f"{main} has no rule or no run line")
        names = [main.parent.name]
        if re.search(r"^doors: both$", text, re.MULTILINE):
            names.append(f"{main.parent.name}.physdev")
        found += [run for name in names for line in lines for run in parse_run(name, line, about)]
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
    expect_words(run, guest.says, ("unknown option", *guest.never))


def cases() -> list:
    return [Case("guest", guest.name, lambda g=guest: run_guest(g), guest.about, vendor=guest.vendor, only=guest.only)
            for guest in runs()]

# SPDX-License-Identifier: MIT
"""Group adversary: a slice of the random hostile sequences of tests/adversary, always the same: on the host around the
real sources, and in a guest. ./tools/adversary runs them for long; docs/adversary.md says what they do."""

import os
import re
import subprocess
from pathlib import Path

from .core import VENDORS, Case, Failed
from .paths import BUILD
from .vm import Machine, boot, expect_status

TARGET = "adversary_native"
NATIVE_STEPS = 250000
QEMU_STEPS = 100000
SEED = 1
NATIVE_TIMEOUT = 900
QEMU_TIMEOUT = 900


def native_program(build: Path = BUILD) -> Path:
    return build / "tests/adversary/native"


def environment() -> dict:
    """Without the surroundings' options, which could switch checks off."""
    return {key: value for key, value in os.environ.items() if key not in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}


def native_command(vendor: str, seed: int, steps: int, build: Path = BUILD) -> list:
    return [str(native_program(build)), "--iommu", vendor, "--seed", str(seed), "--steps", str(steps)]


def run_native(vendor: str, build: Path = BUILD) -> None:
    if not native_program(build).is_file():
        raise Failed(f"{native_program(build)} was not built")
    try:
        done = subprocess.run(native_command(vendor, SEED, NATIVE_STEPS, build), env=environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=NATIVE_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise Failed(f"still running after {NATIVE_TIMEOUT} s") from None
    if done.returncode != 0:
        raise Failed(f"ended with status {done.returncode}", done.stdout)
    if f" {NATIVE_STEPS} steps" not in done.stdout or not done.stdout.rstrip().endswith(": clean"):
        raise Failed("it did not do its steps", done.stdout)


def machine(vendor: str, seed: int, steps: int, timeout: int = QEMU_TIMEOUT) -> Machine:
    return Machine(guest="adversary", iommu=vendor, devices=("edu",), cmdline=f"seed={seed} steps={steps}",
                   timeout=timeout)


def verdict(text: str) -> str:
    """The guest's own last word, which says what it did."""
    found = re.findall(r"^(.*\d+ steps, .*)\nTest result: (\w+)\s*$", text, re.MULTILINE)
    if len(found) != 1 or found[0][1] != "SUCCESS":
        raise Failed(f"the guest's verdict is {found[0][1] if found else 'missing'}", text)
    return found[0][0]


def run_qemu(vendor: str) -> None:
    run = boot(machine(vendor, SEED, QEMU_STEPS))
    expect_status(run, 0)
    verdict(run.text)


def native_case(vendor: str, build: Path = BUILD) -> Case:
    return Case("adversary", f"native/{vendor}", lambda: run_native(vendor, build),
                f"{NATIVE_STEPS} steps against the real sources on the host, every reference counted again after each",
                vendor=vendor)


def cases() -> list:
    return [native_case(vendor) for vendor in VENDORS] + \
        [Case("adversary", f"qemu/{vendor}", lambda v=vendor: run_qemu(v), f"{QEMU_STEPS} steps of a hostile guest",
              vendor=vendor) for vendor in VENDORS]

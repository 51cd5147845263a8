# SPDX-License-Identifier: MIT
"""Runs random hostile sequences against Sluice, until it breaks or enough is done. docs/adversary.md says what they do.

--native runs them on the host, around the real sources in a model machine where every reference is counted again after
each action; --qemu boots a hostile guest. Without either, both are run. The last line says what was done. Exit status:
0 clean; 1 broken (a line above says how to see it again); 2 usage, or it could not be run; 130 interrupted."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.runner import adversary  # noqa: E402
from tests.runner.core import VENDORS, Failed  # noqa: E402
from tests.runner.vm import boot, expect_status  # noqa: E402
from lib import build, install  # noqa: E402  (tools/lib)
from lib.common import Parser, Trouble, progress, told  # noqa: E402

CLEAN, BROKEN = 0, 1
NATIVE_NEEDS = {"/usr/include/cmocka.h": "libcmocka-dev",
                "/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.asan-x86_64.a": "libclang-rt-14-dev"}
BOOT_STEPS = 200000  # of one guest: then another one, with the next seed
BOOT_TIMEOUT = 1800
SHOWN_LINES = 40


def arguments():
    parser = Parser(prog="./tools/adversary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--native", action="store_true", help="only on the host")
    add("--qemu", action="store_true", help="only in QEMU")
    add("--iommu", choices=VENDORS, help="only that vendor's IOMMU (default: one after the other)")
    add("--seed", type=int, default=1, metavar="S", help="the first seed (default 1)")
    add("--steps", type=int, metavar="N", help="of each run (default 100000, or no limit with --minutes)")
    add("--minutes", type=int, metavar="M", help="of each run")
    add("--every", type=int, default=1, metavar="N", help="native: count again after each N actions (default 1)")
    add("--from", type=int, default=0, dest="first", metavar="K", help="native: ... and not before action K")
    add("--trace", action="store_true", help="native: tell every call and its result")
    add("--no-install", action="store_true", help="install nothing; say what is missing")
    options = parser.parse_args()
    for name in ("seed", "steps", "minutes", "every"):
        if (value := getattr(options, name)) is not None and not 0 < value < 1 << 62:
            raise Trouble(f"--{name} must be at least 1")
    if options.steps is None:
        options.steps = 1 << 62 if options.minutes else 100000
    return options


def run_native(vendor, options):
    command = [*adversary.native_command(vendor, options.seed, options.steps), "--every", str(options.every),
               "--from", str(options.first)]
    if options.minutes:
        command += ["--seconds", str(60 * options.minutes)]
    if options.trace:
        command.append("--trace")
    done = subprocess.run(command, env=adversary.environment(), stdin=subprocess.DEVNULL, check=False)
    return CLEAN if done.returncode == 0 else BROKEN


def run_qemu(vendor, options):
    """Guest after guest, each with a seed of its own."""
    start, seed, done, words = time.monotonic(), options.seed, 0, ""
    while done < options.steps and (not options.minutes or time.monotonic() - start < 60 * options.minutes):
        steps = min(BOOT_STEPS, options.steps - done)
        try:
            run = boot(adversary.machine(vendor, seed, steps, BOOT_TIMEOUT))
            expect_status(run, 0)
            words = adversary.verdict(run.text)
        except Failed as failure:
            print("\n".join(failure.output.splitlines()[-SHOWN_LINES:]), file=sys.stderr)
            progress("adversary", f"qemu {vendor}, seed {seed}: {failure}")
            progress("adversary", f"to see it again: ./tools/adversary --qemu --iommu {vendor} --seed {seed} --steps {steps}")
            return BROKEN
        done, seed = done + steps, seed + 1
        progress("adversary", f"qemu {vendor}: {words}; {done} in all, {time.monotonic() - start:.0f} s")
    print(f"adversary: qemu {vendor}, seeds {options.seed} to {seed - 1}: {done} steps, "
          f"{time.monotonic() - start:.0f} s: clean", flush=True)
    return CLEAN


def prepare(options):
    needs = dict(install.BUILD_NEEDS)
    targets = []
    if options.native or not options.qemu:
        needs |= NATIVE_NEEDS
        targets.append(adversary.TARGET)
    if options.qemu or not options.native:
        needs |= install.RUN_NEEDS
        targets += ["loader", "guest_adversary"]
    install.ensure(needs, not options.no_install, "adversary")
    build.build(targets, "adversary")


def work():
    options = arguments()
    prepare(options)
    worst = CLEAN
    for vendor in [options.iommu] if options.iommu else VENDORS:
        if options.native or not options.qemu:
            worst = max(worst, run_native(vendor, options))
        if options.qemu or not options.native:
            worst = max(worst, run_qemu(vendor, options))
    return worst


if __name__ == "__main__":
    sys.exit(told("adversary", work))

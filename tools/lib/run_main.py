# SPDX-License-Identifier: MIT
"""Builds Sluice, boots it under QEMU with a guest, and tells how it ended.

Exit status: 0 the guest shut down well; 1 it reported failure or crashed (or its checksum of the disk is
wrong); 2 usage, or Sluice refused to start; 3 hypervisor fault; 124 time was up; 130 interrupted; 141 nobody
read the output.
"""
import argparse
import math
import os
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import build, debugger, install, machine, payload  # noqa: E402
from lib.common import Parser, Trouble, progress, told  # noqa: E402


def arguments():
    parser = Parser(prog="./tools/run", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--iommu", default="intel", metavar="intel|amd|none",
        help="the machine's IOMMU; QEMU properties may follow, as in intel,aw-bits=48 (default intel). "
             "amd gets pt=off where QEMU would otherwise not translate, unless pt is given")
    payload.add_arguments(parser)
    add("--acpi-override", type=Path, metavar="FILE",
        help="boot the test image, which puts the ACPI table in FILE in the place of the machine's own")
    add("--disk", type=Path, metavar="FILE",
        help="what the NVMe or AHCI disk holds; writes are thrown away (default: fresh random bytes)")
    add("--memory", type=int, default=512, metavar="MIB", help="default 512")
    add("--cpu", default="max", metavar="MODEL", help="QEMU's CPU model (default max)")
    add("--devices", default="nvme,edu", metavar="LIST",
        help="what the machine has beside its chipset: some of " + ", ".join(machine.DEVICES) + "; or none "
             "(default nvme,edu)")
    add("--timeout", type=float, metavar="S", help="seconds until QEMU is stopped (default 120; with --gdb never)")
    add("--gdb", action="store_true",
        help="stop before the machine's first instruction and say how GDB is started; docs/debugging.md has more")
    add("--icount", action="store_true", help="count instructions: -icount shift=7,sleep=off")
    add("--boot", choices=machine.BOOT_DEVICES, default="usb",
        help="what holds the disk image that firmware boots from: a USB stick, an NVMe disk or a SATA disk (default usb)")
    add("--image", type=Path, metavar="FILE",
        help="boot this disk image, made by ./tools/image, and whatever is on it; it stays as it is")
    add("--direct", action="store_true", help="boot by -kernel and a FAT folder instead of a disk image: quicker")
    add("--log", type=Path, metavar="FILE", help="write the whole serial output, firmware's too")
    add("--screen", default="", metavar="WxH", help="give the machine a screen, such as 800x600 or 3840x2160")
    add("--capture", type=Path, metavar="FILE",
        help="at the end of the run, write what the screen shows as a PNG file (800x600 without --screen)")
    add("--qemu", default=os.environ.get("QEMU") or "qemu-system-x86_64", metavar="BIN",
        help="default $QEMU, or qemu-system-x86_64")
    add("--qemu-arg", action="append", default=[], metavar="ARG",
        help="one more argument for QEMU; repeatable. Write --qemu-arg=-device --qemu-arg=...")
    add("--no-install", action="store_true", help="install nothing; say what is missing")
    add("--print-command", action="store_true", help="show QEMU's command line before running it")
    return parser.parse_args()


def check(options):
    payload.check(options)
    for name in ("disk", "acpi_override", "image"):
        payload.check_file(name.replace("_", "-"), getattr(options, name))
    if options.image and (options.guest != payload.GUEST or options.module or options.cmdline or options.options
                          or options.acpi_override or options.direct):
        raise Trouble("--image goes without --guest, --module, --cmdline, --options, --acpi-override and --direct: "
                      "what is started stands in the image")
    if options.disk and options.disk.stat().st_size < 512:
        raise Trouble(f"--disk: '{options.disk}' is smaller than one block of 512 bytes")
    if not 64 <= options.memory <= 1 << 20:
        raise Trouble("--memory is given in MiB, from 64 to 1048576")
    if options.timeout is None:
        options.timeout = math.inf if options.gdb else 120.0
    elif not 0 < options.timeout <= 86400:
        raise Trouble("--timeout is given in seconds, up to 86400")
    if options.iommu.partition(",")[0] not in machine.IOMMU_DEVICES:
        raise Trouble(f"--iommu is intel, amd or none, not '{options.iommu}'")
    for device in device_names(options.devices):
        if device not in machine.DEVICES:
            raise Trouble(f"--devices takes some of {', '.join(machine.DEVICES)}, or none, not '{device}'")
    if options.disk and not machine.shows_disk(machine.device_arguments(device_names(options.devices))):
        raise Trouble(f"--disk: no device of '{options.devices}' shows a disk; --devices nvme or ahci would")
    machine.screen_arguments(options.screen)
    for name in ("log", "capture"):
        check_written(name, getattr(options, name))


def check_written(name, file):
    if file and not file.absolute().parent.is_dir():
        raise Trouble(f"--{name}: there is no folder '{file.parent}'")
    if file and file.is_dir():
        raise Trouble(f"--{name}: '{file}' is a folder")


def device_names(text):
    return () if text == "none" else tuple(text.split(","))


def choose_loader(options):
    """The shipped image, or the one that knows acpi-override; with the target that builds it."""
    if options.acpi_override:
        return build.BUILD / "BOOTX64.hooks.EFI", "loader_hooks"
    return build.LOADER, "loader"


def prepare(options):
    """Installs and builds what is needed; the loader and the guest, unless an image has them."""
    allowed = not options.no_install
    needs = install.RUN_NEEDS | ({} if options.image else install.BUILD_NEEDS) | (install.GDB_NEEDS if options.gdb else {})
    if options.qemu != "qemu-system-x86_64":
        machine.find_qemu(options.qemu)
        del needs["qemu-system-x86_64"]
    install.ensure(needs, allowed)
    if options.image:
        return None, None
    loader, loader_target = choose_loader(options)
    return loader, payload.build_all(options, loader_target, "run")


class Screen:
    """Shows the story as it comes: firmware's own words go to the log only."""

    def __init__(self, log):
        self.log = None
        self.started = False
        if log:
            self.keep_in(log)

    def keep_in(self, log):
        try:
            self.log = open(log, "w", encoding="utf-8")
        except OSError as error:
            raise Trouble(f"--log: '{log}' cannot be written: {error.strerror}") from None

    def line(self, text):
        if self.log:
            print(text, file=self.log, flush=True)
        at = text.find("sluice: loader:")
        if not self.started and at >= 0:
            self.started, text = True, text[at:]
        if self.started:
            print(text, flush=True)


def write_picture(taken, file):
    if taken is None:
        raise Trouble(f"--capture: the run did not come to its end, so there is no picture for '{file}'")
    try:
        file.write_bytes(taken.png())
    except OSError as error:
        raise Trouble(f"--capture: '{file}' cannot be written: {error.strerror}") from None


def run(options):
    check(options)
    screen = Screen(options.log)
    loader, guest = prepare(options)
    with debugger.folder(loader, options.log) if options.gdb else nullcontext() as debug:
        if debug and not options.log:
            screen.keep_in(debug / "serial.log")
        return boot(options, loader, guest, screen, debug)


def boot(options, loader, guest, screen, debug):
    """Runs the machine; debug: the folder for a debugger, or None."""
    pc = machine.Machine(
        loader=loader, guest=guest, module=options.module, cmdline=options.cmdline, options=options.options,
        acpi_override=options.acpi_override, iommu=options.iommu, cpu=options.cpu, memory_mib=options.memory,
        disk=options.disk, devices=device_names(options.devices),
        boot=machine.DIRECT if options.direct else options.boot, image=options.image, icount=options.icount,
        screen=options.screen or ("800x600" if options.capture else ""), capture=options.capture is not None,
        gdb=debug / "gdb" if debug else None, qemu=options.qemu, qemu_args=options.qemu_arg)
    progress("run", f"booting a {options.memory} MiB machine, IOMMU: {options.iommu}, "
             f"{f'guest: {guest.name}' if guest else f'image: {options.image.name}'}")
    if debug:
        progress("run", f"the machine waits for a debugger. In another terminal, type: {debugger.command(debug)}")
    show = (lambda command: progress("run", shlex.join(command))) if options.print_command else None
    result = machine.run_machine(pc, options.timeout, screen.line, on_command=show)
    if not screen.started and any(result.lines):
        print("\n".join(result.lines[-20:]))
    if options.capture:
        write_picture(result.picture, options.capture)
    progress("run", f"{result.sentence} ({result.seconds:.1f} s, exit status {result.status})")
    return result.status


def work():
    machine.exit_on_signals()
    try:
        return run(arguments())
    except BrokenPipeError:
        # Whoever read the story left, as head does; the machine is stopped, and the exit has nothing to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        progress("run", "nobody reads the output any more; the machine was stopped")
        return 141


if __name__ == "__main__":
    sys.exit(told("run", work))

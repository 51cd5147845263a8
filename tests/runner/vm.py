# SPDX-License-Identifier: MIT
"""One boot of Sluice for a test: the machine of ./tools/run, with the devices and the traces that a test wants."""

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .core import Failed, Skipped
from .paths import EFI, GUESTS
from .qtest import UnitStopper

from lib import machine as pc  # noqa: E402  (tools/lib, by paths.py)
from lib.common import Trouble  # noqa: E402

TIMED_OUT = 124
ICOUNT_SHIFT = 7  # fastest, and exact: one instruction is 2^7 ticks of the time-stamp counter


@dataclass
class Machine:
    guest: str | None = "hello"  # a name in build/guests, a path, or None for no file at all
    iommu: str = "intel"  # a vendor and properties of QEMU's unit; or none
    devices: tuple = ()  # of DEVICES in tools/lib/machine.py
    folder_on: str = "ide-hd"  # what firmware reads the folder of the boot volume from
    writes_stay: bool = False  # what is written to the disk stays written, so that Run.disk_changed can tell
    options: str = ""
    p2m: str = "scramble"  # what works only when PFN equals MFN is not done
    cmdline: str = ""
    module: Path | None = None
    conf: bytes | None = None  # a whole sluice.conf instead of the one made from the fields above
    append: str = ""
    acpi_override: bytes | None = None  # an ACPI table; efi must be the image with hooks
    cpu: str = "max"
    memory: int = 256  # MiB
    smp: int = 1
    exit_port: bool = True
    serial: bool = True
    firmware: tuple = pc.FIRMWARE  # QEMU's words for it
    arguments: tuple = ()  # more of QEMU's
    qemu: tuple = (0, 0)  # the least version; with an older one the test is skipped
    icount: bool = True
    boot: str = pc.DIRECT  # or of pc.BOOT_DEVICES, which hold a disk image
    image: Path | None = None  # a disk image that is there already, with all that is started; a copy of it is booted
    boot_order: bool = True  # firmware is told what to boot
    trace: tuple = ()  # QEMU trace events
    screen: str = ""  # a graphics device and its mode: "800x600", "800x600,bochs-display"
    capture: bool = False  # the screen's picture at the end; the run then ends without the exit port
    typed: str = ""  # "WORD: TEXT": the line TEXT is typed on the serial console when a line WORD has come from there
    stop: str = ""  # the IOMMU stops answering when this line has come
    last_line: str = ""  # the guest says no more, but never ends: the run is given up soon after it
    timeout: int = 60
    efi: Path = EFI
    guests: Path = GUESTS


def iommu_of(vendor: str, properties: str | None) -> str:
    return f"{vendor},{properties}" if properties else vendor


@dataclass
class Run:
    status: int  # as ./tools/run exits
    sentence: str
    text: str  # the serial console
    told: dict | None
    qemu_status: int | None
    trace: list = field(default_factory=list)  # names of traced events, in order
    vendor: str = "intel"  # whose unit the machine had, or none
    boot_sums: tuple = ()  # of the disk image's bytes, before and after, where one was booted
    picture: pc.Picture | None = None  # of the screen
    disk_changed: bool = False  # with writes_stay

    @property
    def summary(self) -> dict:
        if not self.told:
            raise Failed("there is no summary", self.text)
        return self.told


def build_machine(machine: Machine, folder: Path) -> pc.Machine:
    guest = None
    if machine.guest:
        guest = Path(machine.guest) if machine.guest.startswith("/") else machine.guests / machine.guest
    arguments = ["-net", "none", *machine.arguments]
    if machine.smp > 1:
        arguments += ["-smp", str(machine.smp)]
    if machine.trace:
        arguments += ["-D", str(folder / "trace")]
        for event in machine.trace:
            arguments += ["-trace", event]
    return pc.Machine(loader=machine.efi, guest=guest, module=machine.module, cmdline=machine.cmdline,
                      options=f"p2m={machine.p2m} {machine.options}".strip(), conf=machine.conf,
                      append=machine.append, acpi_override=machine.acpi_override, iommu=machine.iommu,
                      cpu=machine.cpu, memory_mib=machine.memory, boot=machine.boot, image=machine.image,
                      boot_order=machine.boot_order, icount=machine.icount, exit_port=machine.exit_port,
                      serial=machine.serial, firmware=machine.firmware, qemu_args=arguments, typed=machine.typed,
                      screen=machine.screen, capture=machine.capture, devices=machine.devices,
                      folder_on=machine.folder_on, disk_stays=not machine.writes_stay)


def sum_of(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def boot(machine: Machine) -> Run:
    version = pc.qemu_version(os.environ.get("QEMU", "qemu-system-x86_64"))
    if version and version < machine.qemu:
        raise Skipped(f"needs QEMU {machine.qemu[0]}.{machine.qemu[1]}: run with QEMU=PROGRAM")
    folder = Path(tempfile.mkdtemp(prefix="sluice-boot-"))
    try:
        built = build_machine(machine, folder)
        sums = []

        def look(_command=None):
            if built.image_used:
                sums.append(sum_of(built.image_used))

        if machine.image:  # what is written to the copy stays there, so that the sums can tell
            built.image, built.image_stays = Path(shutil.copy(machine.image, folder / "copy.img")), False
        if machine.writes_stay:
            held = os.urandom(pc.DISK_BYTES)
            built.disk = folder / "kept.raw"
            built.disk.write_bytes(held)
        watch = {"last_line": machine.last_line} if machine.last_line else {}
        if machine.stop:
            stopper = UnitStopper(machine.stop, machine.iommu.partition(",")[0], folder)
            built.qemu_args += stopper.arguments()
            watch["on_line"] = stopper.see
        result = pc.run_machine(built, machine.timeout, folder=folder, on_command=look, **watch)
        look()
        text = result.text() + (f"\nQEMU: {result.qemu_errors}" if result.qemu_errors else "")
        return Run(result.status, result.sentence, text, result.summary, result.qemu_status,
                   read_trace(folder / "trace"), machine.iommu.partition(",")[0], tuple(sums),
                   result.picture, machine.writes_stay and built.disk.read_bytes() != held)
    except Trouble as trouble:
        raise Failed(str(trouble)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


MARK = re.compile(r"pci_cfg_read \S+ 0*0:0*0\.0 @0xfc ")  # by the guest flush-counts alone


# Translation switched on or off: VT-d's event tells of changes, AMD-Vi's of every write (bit 0 is IommuEn).
SWITCH = re.compile(r"vtd_dmar_enable enable (\d)|memory_region_ops_write .* addr 0xfed80018 value 0x([0-9a-f]+) ")


def read_trace(file: Path) -> list:
    """The names of the events in order; "mark" for a read of the host bridge's last register, "on" and "off" for
    a write that leaves translation so."""
    if not file.exists():
        return []
    events = []
    for line in file.read_text(errors="replace").splitlines():
        if MARK.search(line):
            events.append("mark")
        elif match := SWITCH.search(line):
            events.append("on" if int(match[1] or match[2], 16) & 1 else "off")
        elif match := re.match(r"(?:\d+@[\d.]+:)?((?:vtd|amdvi)_\w+)", line):
            events.append(match[1])
    return events


STATUS_WORDS = {0: "0 (the guest shut down well)", 1: "1 (the guest failed or crashed)",
                2: "2 (Sluice refused to start)", 3: "3 (hypervisor fault)", TIMED_OUT: "124 (time-out)"}


def expect_status(run: Run, wanted: int) -> None:
    if run.status != wanted:
        raise Failed(f"ended with {STATUS_WORDS.get(run.status, run.status)}, not with "
                     f"{STATUS_WORDS.get(wanted, wanted)}: {run.sentence.splitlines()[0]}", run.text)


def expect_words(run: Run, says: tuple, never: tuple) -> None:
    for pattern in says:
        if not re.search(pattern, run.text, re.MULTILINE):
            raise Failed(f"nothing in the log matches /{pattern}/", run.text)
    for pattern in never:
        if match := re.search(pattern, run.text, re.MULTILINE):
            raise Failed(f"the log holds {match[0]!r}", run.text)

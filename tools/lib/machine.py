# SPDX-License-Identifier: MIT
"""The machine: QEMU's command line, and one run of it from power-on to the verdict."""
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from . import console, image, story
from .common import Trouble
from .picture import Picture, take

EXIT_PORT = 0xF4
FIRMWARE = ("-bios", "/usr/share/ovmf/OVMF.fd")
DISK_BYTES = 4 << 20
LINGER = 3.0  # seconds that a machine runs on after the line that was to be its last

PT_MATTERS = (9, 0)  # no QEMU before it heeds amd-iommu's pt; 7.2 does not, 10.0 does

_NVME, _EDU = "nvme,drive=disk,serial=sluice", "edu,dma_mask=0xffffffffffffffff"
_VIRTIO = "-device virtio-blk-pci,disable-legacy=on,drive="
_SECOND_ROOT = ("-device pxb-pcie,id=second,bus_nr=64,bus=pcie.0 "
                "-device pcie-root-port,id=secondport,bus=second,chassis=2,slot=2")
# By the names of --devices. QEMU gives addresses in the order of its arguments.
DEVICES = {
    "nvme": f"-device {_NVME}",
    "edu": f"-device {_EDU}",
    "nvme-behind-root-port": f"-device pcie-root-port,id=rootport,chassis=1,slot=1 -device {_NVME},bus=rootport",
    "edu-behind-bridge": f"-device pcie-pci-bridge,id=pcibridge -device {_EDU},bus=pcibridge,addr=1",
    "nvme-4096": "-device nvme,id=nvme4096,serial=sluice "
                 "-device nvme-ns,drive=disk,bus=nvme4096,logical_block_size=4096,physical_block_size=4096",
    "nvme-metadata": "-device nvme,id=nvmemeta,serial=sluice -device nvme-ns,drive=disk,bus=nvmemeta,ms=8",
    "nvme-empty": "-device nvme,serial=sluice",
    "ahci": "-device ide-hd,drive=disk,bus=ide.0",
    "cd": "-drive if=none,id=cd,media=cdrom,format=raw,file.driver=null-co,file.size=1M -device ide-cd,drive=cd,bus=ide.0",
    "ahci-behind-cd": "-device ide-hd,drive=disk,bus=ide.1",
    "more-usb": "-device qemu-xhci,id=more -device usb-kbd,bus=more.0 -device usb-mouse,bus=more.0 "
                "-device ich9-usb-ehci1,id=ehci -device usb-tablet,bus=ehci.0 "
                "-device ich9-usb-uhci1,id=uhci -device usb-mouse,bus=uhci.0",
    "no-ahci": "-machine sata=off",  # without the controller that is in the chipset
    "virtio-bypass": f"-drive file=null-co://,format=raw,if=none,id=bypass {_VIRTIO}bypass",
    # Two functions of one device, of which one bypasses the IOMMU.
    "virtio-bypass-beside-edu": f"-drive file=null-co://,format=raw,if=none,id=split {_VIRTIO}split,addr=10.0,"
                                f"multifunction=on -device {_EDU},addr=10.1",
    # A second host bridge, with buses of its own; after what is to be on the first one.
    "second-root": f"{_SECOND_ROOT} -device e1000e,bus=secondport",
    "nvme-on-second-root": f"{_SECOND_ROOT} -device {_NVME},bus=secondport",
    "large-window": "-object memory-backend-ram,id=window,size=8G,share=on,reserve=off "
                    "-device ivshmem-plain,memdev=window",
    "virtio-iommu": f"-drive file=null-co://,format=raw,if=none,id=virtio {_VIRTIO}virtio,iommu_platform=on",
}

IOMMU_DEVICES = {"intel": "intel-iommu", "amd": "amd-iommu", "none": None}

# What the disk image is read through by firmware; "direct" is -kernel and a FAT folder, which is quicker.
BOOT_DEVICES = {
    "usb": ["-device", "qemu-xhci,id=xhci", "-device", "usb-storage,bus=xhci.0,drive=boot,removable=on"],
    "nvme": ["-device", "nvme,drive=boot,serial=boot"],
    "ahci": ["-device", "ide-hd,drive=boot"],
}
DIRECT = "direct"


@lru_cache
def qemu_version(program):
    """(major, minor) as `program --version` has it; None when it does not say."""
    try:
        said = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, errors="replace", timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"version (\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def passes_by_default(program):
    """Whether this QEMU's amd-iommu lets DMA pass untranslated unless it is told pt=off."""
    version = qemu_version(program)
    return version is not None and version >= PT_MATTERS


def device_arguments(names):
    """QEMU's arguments for these names of DEVICES."""
    return [word for name in names for word in DEVICES[name].split()]


def shows_disk(arguments):
    """Whether one of these devices shows Machine.disk."""
    return any("drive=disk," in f"{word}," for word in arguments)


def _drive(name, file, snapshot):
    path = str(file).replace(",", ",,")
    return ["-drive", f"if=none,id={name},format=raw,file={path}" + (",snapshot=on" if snapshot else "")]


def screen_arguments(screen):
    """A graphics device that offers that mode first, which is what firmware then chooses."""
    if not screen:
        return []
    mode, _, device = screen.partition(",")
    found = re.fullmatch(r"(\d{3,5})x(\d{3,5})", mode)
    if not found:
        raise Trouble(f"--screen is given as WIDTHxHEIGHT, such as 800x600, not '{screen}'")
    device = device or "VGA"
    memory = {"VGA": ",vgamem_mb=64", "bochs-display": ",vgamem=64M"}.get(device, "")
    # At 24 Hz the EDID has room for the pixel clock of 3840x2160.
    return ["-device", f"{device},edid=on,xres={found[1]},yres={found[2]},refresh_rate=24000{memory}"]


@dataclass
class Machine:
    """A PC as QEMU makes it. Everything has a default but the loader and the guest, which an image has."""
    loader: Path | None
    guest: Path | None
    module: Path | None = None
    cmdline: str = ""              # the guest's
    options: str = ""              # the hypervisor's; exit-port is added
    conf: str | bytes | None = None  # a whole sluice.conf instead of the one made of the above
    append: str = ""               # LoadOptions; direct only
    acpi_override: Path | bytes | None = None  # a table for the test image to put in the place of QEMU's
    iommu: str = "intel"           # intel, amd or none; properties may follow: "intel,aw-bits=48"
    cpu: str = "max"
    memory_mib: int = 512
    disk: Path | None = None       # what the NVMe or AHCI controller shows; None: fresh random bytes
    disk_stays: bool = True        # writes to it are thrown away
    devices: tuple = ("nvme", "edu")  # names in DEVICES
    boot: str = "usb"              # of BOOT_DEVICES, or DIRECT
    folder_on: str = "ide-hd"      # the device that shows the folder; direct only
    image: Path | None = None      # a disk image to boot, in the place of one made of the above
    image_stays: bool = True       # writes to it are thrown away
    boot_order: bool = True        # firmware is told what to boot; else it looks by itself
    icount: bool = False
    exit_port: bool = True
    serial: bool = True            # a first serial port
    firmware: tuple = FIRMWARE     # QEMU's words for it
    qemu: str = field(default_factory=lambda: os.environ.get("QEMU", "qemu-system-x86_64"))
    qemu_args: list = field(default_factory=list)
    gdb: Path | None = None        # a socket at which QEMU waits for a debugger before the first instruction
    typed: str = ""                # "WORD: TEXT": types TEXT, a line, when the line WORD has come
    screen: str = ""               # a graphics device: "800x600", or "800x600,bochs-display"; "": none
    capture: bool = False          # take a picture of the screen at the end of the run; no exit port then
    extra_files: dict = field(default_factory=dict)  # on the boot volume; None takes one away
    disk_used: Path | None = field(default=None, init=False)  # of the last run
    image_used: Path | None = field(default=None, init=False)

    def has_exit_port(self):
        return self.exit_port and not self.capture

    def conf_text(self):
        if self.conf is not None:
            return self.conf
        options = f"exit-port={EXIT_PORT:#x} {self.options}" if self.has_exit_port() else self.options
        if self.acpi_override is not None:
            options += f" acpi-override={image.ACPI_TABLE}"
        return image.conf_text(self.module is not None, self.cmdline, options.strip())

    def iommu_device(self):
        vendor, _, properties = self.iommu.partition(",")
        if vendor not in IOMMU_DEVICES:
            raise Trouble(f"--iommu is intel, amd or none, not '{vendor}'")
        device = IOMMU_DEVICES[vendor]
        if not device:
            return []
        if properties:
            device += "," + properties
        if vendor == "amd" and not re.search(r"(?:^|,)pt=", properties) and passes_by_default(self.qemu):
            device += ",pt=off"
        return ["-device", device]

    def files_shown(self):
        """What is behind the drives of the last run that a guest of ours may have read: none of them drives USB."""
        shown = [self.disk_used, self.image_used if self.boot in ("nvme", "ahci") else None]
        return [file for file in shown if file]

    def _files(self):
        files = image.esp_files(self.loader, self.conf_text(), self.guest, self.module, self.acpi_override)
        return {name: what for name, what in (files | self.extra_files).items() if what is not None}

    def _boot_direct(self, folder):
        files = self._files()
        del files["EFI/BOOT/BOOTX64.EFI"]  # else firmware might start that one
        volume = image.make_folder(folder / "esp", files)
        append = ["-append", self.append] if self.append else []
        return ["-kernel", str(self.loader), *append,
                "-drive", f"if=none,id=boot,format=raw,file=fat:rw:{volume}", "-device", f"{self.folder_on},drive=boot"]

    def _boot(self, folder):
        if self.boot == DIRECT:
            return self._boot_direct(folder)
        self.image_used = self.image or image.make_image(folder / "boot.img", self._files())
        *others, device = BOOT_DEVICES[self.boot]
        return [*_drive("boot", self.image_used, snapshot=self.image is not None and self.image_stays),
                *others, device + (",bootindex=0" if self.boot_order else "")]

    def _disk(self, folder):
        """A drive for the device that shows it, if there is one."""
        self.disk_used = None
        devices = device_arguments(self.devices)
        if not shows_disk(devices):
            return devices
        self.disk_used = self.disk
        if self.disk is None:
            self.disk_used = folder / "disk.raw"
            self.disk_used.write_bytes(os.urandom(DISK_BYTES))
        return [*_drive("disk", self.disk_used, snapshot=self.disk_stays), *devices]

    def command(self, folder):
        """The command line; writes the boot volume and the disk below `folder`."""
        command = [self.qemu, "-machine", "q35", "-accel", "tcg", "-cpu", self.cpu,
                   "-m", str(self.memory_mib), *self.firmware, "-nodefaults", "-display", "none"]
        if self.serial:
            command += ["-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial"]
        # A debugger resets the machine to see the loader start.
        command += ["-S", "-gdb", f"unix:path={self.gdb},server=on,wait=off"] if self.gdb else ["-no-reboot"]
        if self.icount:
            command += ["-icount", "shift=7,sleep=off"]
        # Behind the others: of two NVMe controllers the guest finds the one with the disk first.
        command += self.iommu_device() + self._disk(folder) + self._boot(folder)
        command += screen_arguments(self.screen)
        if self.capture:
            command += ["-qmp", f"unix:{folder / 'qmp'},server=on,wait=off", "-no-shutdown"]
        if self.has_exit_port():
            command += ["-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"]
        return command + self.qemu_args


@dataclass
class Result:
    """How a run ended."""
    status: int            # as ./tools/run exits
    sentence: str          # in words
    lines: list            # the whole serial output, without terminal control sequences
    summary: dict | None   # the hypervisor's last word
    seconds: float         # wall clock
    qemu_status: int | None
    qemu_errors: str = ""
    picture: Picture | None = None  # of the screen, where Machine.capture asked for one

    def text(self):
        return "\n".join(self.lines)


class _Lines:
    """Serial bytes to lines; a carriage return alone starts no line, control sequences go."""

    def __init__(self, on_line):
        self.pending = b""
        self.on_line = on_line
        self.lines = []
        self.strict = False  # from the kernel on: its lines begin with its name, byte for byte

    def feed(self, chunk):
        *whole, self.pending = (self.pending + chunk).split(b"\n")
        for line in whole:
            self._emit(line)

    def finish(self):
        if self.pending:
            self._emit(self.pending)
        self.pending = b""

    def _emit(self, raw):
        line = console.line_of(raw, self.strict)
        self.lines.append(line)
        self.on_line(line)


def _stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _watch(process, lines, tracker, time_left):
    """Reads until QEMU ends, the story says that nothing more will come, or time is up (True)."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = time_left()
            if left <= 0:
                return True
            if not selector.select(min(left, 1.0)):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                return False
            lines.feed(chunk)
            if tracker.over:
                return False


def find_qemu(program):
    if not shutil.which(program):
        raise Trouble(f"there is no program '{program}' to run the machine with")


def run_machine(machine, timeout=120.0, on_line=lambda line: None, folder=None, on_command=None, last_line=None):
    """Boots the machine and stays until it is over. After last_line, which is to be the last, time is soon up. Raises
    Trouble when QEMU cannot be started."""
    find_qemu(machine.qemu)
    with tempfile.TemporaryDirectory(prefix="sluice-") as scratch:
        folder = Path(folder or scratch)
        command = machine.command(folder)
        if on_command:
            on_command(command)
        tracker = story.Tracker()
        prompt, _, typed = machine.typed.partition(": ")

        taken = []

        def each(line):
            nonlocal deadline
            tracker.see(line)
            if line == last_line:
                deadline = min(deadline, time.monotonic() + LINGER)
            if machine.capture and not taken and tracker.is_last_word(line):
                taken.append(take(folder, tracker.last_words))
                tracker.over = True
            lines.strict = tracker.kernel_entered
            if prompt and line == prompt:
                os.write(process.stdin.fileno(), f"{typed}\n".encode())
            on_line(line)

        lines = _Lines(each)
        started = time.monotonic()
        deadline = started + timeout
        with open(Path(scratch) / "qemu.err", "w+b") as errors:
            process = subprocess.Popen(command, stdin=subprocess.PIPE if prompt else subprocess.DEVNULL,
                                       stdout=subprocess.PIPE,
                                       stderr=errors, start_new_session=True)
            try:
                late = _watch(process, lines, tracker, lambda: deadline - time.monotonic())
                if not late and not tracker.over:
                    process.wait(10)
            except subprocess.TimeoutExpired:
                late = False
            finally:
                ended_itself = process.poll() is not None
                _stop(process)
                process.stdout.close()
                if process.stdin:
                    process.stdin.close()
            lines.finish()
            errors.seek(0)
            complaints = errors.read().decode("utf-8", "replace").strip()
        status, sentence = story.verdict(tracker, process.returncode if ended_itself else None, late,
                                         timeout, complaints)
        check = story.check_disk(tracker, machine.files_shown())
        if check and status == 0:
            status = 0 if check.agrees else 1
        if check:
            sentence += " " + check.sentence
        return Result(status, sentence, lines.lines, tracker.summary, time.monotonic() - started,
                      process.returncode if ended_itself else None, complaints, taken[0] if taken else None)


def exit_on_signals():
    """SIGTERM ends a tool the way Ctrl-C does, so that QEMU and scratch files never outlive it."""
    def interrupt(_number, _frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)

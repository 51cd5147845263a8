# SPDX-License-Identifier: MIT
"""What the serial lines mean, and how a run ended in words."""
import json
import re
import zlib
from dataclasses import dataclass

from .common import GUEST_FAILED, GUEST_OK, HYPERVISOR_FAULT, REFUSED, TIMED_OUT

# enum stop_reason in kernel/pv/guest.h; isa-debug-exit turns a value v into the exit status v * 2 + 1.
EXIT_STATUS = {0x10 << 1 | 1: GUEST_OK, 0x11 << 1 | 1: GUEST_FAILED,
               0x12 << 1 | 1: REFUSED, 0x13 << 1 | 1: HYPERVISOR_FAULT}
REASON = {"poweroff": GUEST_OK, "guest-failed": GUEST_FAILED,
          "refused": REFUSED, "hypervisor-fault": HYPERVISOR_FAULT}

_CHECKSUM = re.compile(r"disk crc32 ([0-9a-f]{8}) over (\d{1,15}) bytes from LBA 0")

_SCREEN = re.compile(r"sluice: screen: \d{1,5}x\d{1,5} pixels")


class Tracker:
    """Follows the lines of one run. The guest's words cannot stand for the loader's: those end first."""

    def __init__(self):
        self.summary = None
        self.loader_spoke = self.kernel_entered = self.loader_refused = False
        self.over = False  # nothing more will come
        self.last_words = ""  # the hypervisor's last line on the screen
        self.has_screen = self.screen_is_guests = False
        self.silent = True
        self.checksum = None

    def see(self, line):
        self.silent = False
        if not self.kernel_entered:
            self._see_loader(line)
            return
        self._see_words(line)
        if line.startswith("sluice: summary "):
            self._see_summary(line.removeprefix("sluice: summary "))
        elif self.summary and line.startswith("sluice: ") and "safe to switch the machine off" in line:
            self.over = True
        elif found := _CHECKSUM.search(line):
            self.checksum = found.group(1), int(found.group(2))

    def is_last_word(self, line):
        """Whether nothing will come that a person could read."""
        if not self.summary or not line.startswith("sluice: "):
            return False
        reason = self.summary.get("reason")
        return reason == "hypervisor-fault" or ("to go back: " if reason == "poweroff" else "halted; ") in line

    def _see_words(self, line):
        if _SCREEN.match(line):
            self.has_screen = True
        if not self.has_screen:
            return
        if line.startswith("sluice: panic: "):
            self.screen_is_guests = False
        if line.startswith("sluice: ") and not line.startswith("sluice: summary ") and not self.screen_is_guests:
            self.last_words = line
        if line.startswith("sluice: screen: the guest "):
            self.screen_is_guests = True

    def _see_loader(self, line):
        # Firmware's control sequences may leave words in front of ours.
        if "sluice: loader:" in line:
            self.loader_spoke = True
        if "sluice: refused:" in line:
            self.loader_refused = True
        if "sluice: loader: nothing was started" in line:
            self.over = True
        if "leaving boot services" in line and self.loader_spoke:
            self.kernel_entered = True

    def _see_summary(self, text):
        try:
            summary = json.loads(text)
        except json.JSONDecodeError:
            return
        if isinstance(summary, dict):
            self.summary = summary


@dataclass
class DiskCheck:
    agrees: bool
    sentence: str


def _checksum(file, size):
    """Of so many bytes at most, in pieces: the number is the guest's, and may be anything. With how many there were."""
    crc = done = 0
    with open(file, "rb") as data:
        while piece := data.read(min(size - done, 1 << 20)):
            crc, done = zlib.crc32(piece, crc), done + len(piece)
    return f"{crc:08x}", done


def check_disk(tracker, files):
    """Compares the checksum that the guest printed with the host's files: with each, since it does not say which disk it
    read. None when it printed none, or there is no file."""
    if tracker.checksum is None or not files:
        return None
    claimed, size = tracker.checksum
    actual = [_checksum(file, size) for file in files]
    if (claimed, size) in actual:
        return DiskCheck(True, f"Its checksum of {size} bytes of the disk agrees with the host's file.")
    held = ", another ".join(f"{crc} over {done} bytes" for crc, done in actual)
    return DiskCheck(False, f"Its checksum of {size} bytes of the disk is {claimed}, but the host's file "
                            f"has {held}: what arrived is not what the disk holds.")


_WORDS = {
    GUEST_OK: "The guest shut down well.",
    GUEST_FAILED: "The guest reported failure or crashed; the lines above say which.",
    REFUSED: "Sluice refused to start the guest; the lines above say why.",
    HYPERVISOR_FAULT: "The hypervisor itself faulted; its registers and backtrace are above.",
}


def verdict(tracker, qemu_status, late, timeout, complaints):
    """Exit status and sentence of a run. qemu_status is None when QEMU had to be ended."""
    if late:
        if not tracker.loader_spoke:
            return TIMED_OUT, f"Time was up after {timeout:g} s, and firmware had not started Sluice."
        return TIMED_OUT, f"Time was up after {timeout:g} s; the machine was still running."
    if tracker.loader_refused and not tracker.kernel_entered:
        return REFUSED, _WORDS[REFUSED]
    # On a machine without a serial port the exit port is the only word; nobody else has one.
    if qemu_status in EXIT_STATUS and (tracker.kernel_entered or tracker.silent):
        status = EXIT_STATUS[qemu_status]
        return status, _WORDS[status]
    if tracker.summary:
        status = REASON.get(tracker.summary.get("reason"), HYPERVISOR_FAULT)
        return status, _WORDS[status]
    if not tracker.loader_spoke and qemu_status not in (0, None):
        detail = f": {complaints}" if complaints else "."
        return REFUSED, f"QEMU would not run the machine (its status was {qemu_status}){detail}"
    if not tracker.kernel_entered:
        return REFUSED, "The machine stopped before the hypervisor was entered."
    detail = f" QEMU says: {complaints}" if complaints else ""
    return HYPERVISOR_FAULT, "The machine reset or stopped without a last word from the hypervisor." + detail

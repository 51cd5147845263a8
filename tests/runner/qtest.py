# SPDX-License-Identifier: MIT
"""QEMU's qtest socket beside a machine that runs: an IOMMU that stops answering, which no QEMU does by itself."""

import socket
from pathlib import Path

# What takes each vendor's unit its queue: a register to read, one to write, their width, bits that are kept, bits that are set.
LOSSES = {
    "intel": (0xfed9001c, 0xfed90018, "l", 0x92ffffff, 0),  # GSTS, GCMD: QIE off; commands that are done at once are left out
    # The base of the command buffer, now where nothing is: the driver switches a queue on again that is merely off.
    "amd": (0xfed80008, 0xfed80008, "q", 0xff << 56, 1 << 39),
}


class UnitStopper:
    """Takes the unit its queue when the guest has said the line WORD."""

    def __init__(self, word: str, vendor: str, folder: Path):
        self.word, self.vendor, self.path = word, vendor, folder / "qtest"

    def arguments(self) -> list:
        return ["-qtest", f"unix:{self.path},server=on,wait=off", "-qtest-log", "none"]

    def see(self, line: str) -> None:
        if line == self.word:
            self.stop()

    def stop(self) -> None:
        read_at, write_at, width, kept, set_bits = LOSSES[self.vendor]
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(30)
            link.connect(str(self.path))
            with link.makefile("rw") as lines:
                now = int(self.ask(lines, f"read{width} {read_at:#x}").split()[1], 16)
                self.ask(lines, f"write{width} {write_at:#x} {now & kept | set_bits:#x}")

    @staticmethod
    def ask(lines, command: str) -> str:
        lines.write(command + "\n")
        lines.flush()
        answer = lines.readline()
        if not answer.startswith("OK"):
            raise OSError(f"QEMU's answer to '{command}' is '{answer.strip()}'")
        return answer

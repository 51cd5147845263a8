# SPDX-License-Identifier: MIT
"""Group gdb: ./tools/run --gdb and tools/gdb. GDB is started as the tool says, follows a boot of the tour from the loader
to the end, and what it prints is held against the serial log of the same run."""

import re
import shlex
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from .core import VENDORS, Case, Failed
from .paths import ROOT

PATIENCE = 240  # seconds, for a boot under a debugger
TOOL = threading.Lock()  # the tool looks whether the build is up to date: one at a time

# What GDB does. Each answer is printed behind its name; a command that fails prints its complaint.
SCRIPT = """
import gdb
def ask(name, command):
    try:
        said = gdb.execute(command, to_string=True)
    except gdb.error as error:
        said = str(error)
    print(f"@{name} " + said.strip().replace("\\n", "\\n ") + "\\n", end="")
def stop_at(place):
    gdb.Breakpoint(place, temporary=True)
    gdb.execute("continue", to_string=True)

ask("no-symbols", "info symbol efi_main")
gdb.execute("sluice-loader", to_string=True)
stop_at("efi_main")
ask("loader", "frame")
stop_at("handover_jump")
ask("image", "output/x info->image.base")
stop_at("kernel_main")
ask("too-early", "sluice-walk 0")
stop_at("iommu_map")
ask("context", "output *context")
ask("table", "output context->table")
ask("contexts", "sluice-contexts")
ask("units", "sluice-units")
ask("guest", "sluice-guest")
ask("log", "sluice-log 3")
gdb.execute("set $bfn = bfn")
gdb.execute("set $mfn = mfn")
gdb.execute("set $image = info.image.base >> 12")
ask("bfn", "output/x $bfn")
ask("mfn", "output/x $mfn")
ask("flags", "output/x flags")
ask("before", "sluice-walk $bfn")
gdb.execute("finish", to_string=True)
ask("returned", "output (int)$rax")
ask("walk", "sluice-walk $bfn")
ask("boot-map", "sluice-walk $mfn")
ask("frame", "sluice-frame $mfn")
ask("own-frame", "sluice-frame $image")
ask("function", "output *pci_at(0)")
ask("vtd-leaf", "sluice-entry 0x0030000040000083 2 vtd")
ask("vtd-table", "sluice-entry 0x1234003 3 vtd")
ask("amdvi-leaf", "sluice-entry 0x7000000001000005 1 amdvi")
ask("amdvi-table", "sluice-entry 0x6000000001000401 3 amdvi")
ask("empty", "sluice-entry 0")
ask("beyond-bus", "sluice-walk 0xffffffffffffff")
ask("beyond-memory", "sluice-frame 0xffffffffffffff")
ask("no-context", "sluice-walk 0 99")
ask("no-argument", "sluice-frame")
if FAULTS:
    stop_at("iommu_fault_report")
    ask("fault", "output *fault")
gdb.execute("detach", to_string=True)
"""


def started(vendor: str, folder: Path):
    """The tool, which waits for a debugger, and what it says is to be typed."""
    log = open(folder / "said", "w")
    process = subprocess.Popen([ROOT / "tools/run", "--gdb", "--no-install", "--direct", "--icount", "--iommu", vendor, "--log",
                                folder / "serial.log"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    for _ in range(PATIENCE * 10):
        found = re.search(r"In another terminal, type: (.*)\n", (folder / "said").read_text())
        if found:
            words = shlex.split(found[1])
            if (Path(words[-1].split()[-1]) / "gdb").exists():
                return process, words
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    raise Failed("./tools/run --gdb says nothing of a debugger", (folder / "said").read_text())


def answers(command: list, folder: Path, faults: bool) -> dict:
    script = folder / "script.py"
    script.write_text(f"FAULTS = {faults}\n{SCRIPT}")
    done = subprocess.run([*command, "-batch", "-x", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=PATIENCE)
    found = dict(re.findall(r"^@([\w-]+) (.*(?:\n .*)*)", done.stdout, re.MULTILINE))
    if "Traceback" in done.stdout or not found:
        raise Failed("GDB's script broke", done.stdout)
    return found


def wanted(vendor: str, log: str) -> dict:
    """By the name of an answer, the expression that it must match: from the serial log, and from what is known of formats."""
    def logged(pattern):
        match = re.search(rf"^sluice: {pattern}", log, re.MULTILINE)
        if not match:
            raise Failed(f"the serial log has no /{pattern}/", log)
        return match.groups()

    image, = logged(r"loader: kernel at (0x[0-9a-f]+)")
    base, levels, bits = logged(r"iommu: \S+ unit 0 at (0x[0-9a-f]+): (\d).*? (\d+)-bit")
    name = {"intel": "VT-d", "amd": "AMD-Vi"}[vendor]
    registers = [f"0x0*{value}" for value in logged(
        r"iommu: unit 0 .* CAP 0x0*(\w+), ECAP 0x0*(\w+)" if vendor == "intel" else r"iommu: unit 0 .* EFR 0x0*(\w+)")]
    used, quota = logged(r"bus: .* (\d+) of (\d+) table pages used")
    end = (1 << int(bits) - 12) - 1
    context = rf"context of domain \d+: {name}, {levels} levels, .* {used} of {quota} table pages used.*BFNs to 0x{end:x}, units 0$"
    said = {
        "no-symbols": "No symbol", "loader": r"efi_main \(.*boot/main\.c", "image": f"^{image}$", "too-early": "has no context",
        "context": context, "table": rf"{name}, {levels} levels, root MFN 0x[0-9a-f]+, {used} of {quota}", "contexts": context,
        "units": rf"{name} unit 0 .*at {base}, on, .*{'.*'.join(registers)}$", "guest": r"guest came with vector 0x100[^@]*cs +0*e033",
        "before": r"empty$", "returned": "^0$",
        "frame": r"the guest's, type writable, \d+ references, .*, 1 bus entries with W, 0 without", "own-frame": r"the hypervisor's, type none, 0 references",
        "boot-map": r"read, write, put there at boot$", "function": r"00:00\.0 8086:29c0, requester 00:00\.0",
        "vtd-leaf": r": 2 MiB at MFN 0x40000: read, write, write withheld, put there at boot$",
        "vtd-table": r": the table of level 2 at 0x1234000$", "amdvi-leaf": r": 4 KiB at MFN 0x1000: read, write, write withheld$",
        "amdvi-table": r": the table of level 2 at 0x1000000$", "empty": "^empty$", "beyond-bus": "beyond the bus, which ends with",
        "beyond-memory": "has no record", "no-context": "there are 1 contexts", "no-argument": r"sluice-frame MFN: ",
    }
    if vendor == "intel":
        device, access, bfn, code = logged(r"iommu: device (\S+) (\w+) \w+ BFN (0x[0-9a-f]+): .*\(reason (0x\w+)\)")
        said["fault"] = rf"unit 0, {device} {access} {bfn}: .*\({code}\)$"
    return said


def check(found: dict, vendor: str, log: str) -> None:
    wrong = [f"{name}: {found.get(name)!r} does not match /{pattern}/" for name, pattern in wanted(vendor, log).items()
             if not re.search(pattern, found.get(name, ""), re.DOTALL)]
    permissions = {1: "read", 2: "write", 3: "read, write"}[int(found["flags"], 16)]
    if not re.search(rf"level 1, .* 4 KiB at MFN {found['mfn']}: {permissions}$", found["walk"]):
        wrong.append(f"BFN {found['bfn']} was mapped to MFN {found['mfn']}, {permissions}; the walk says {found['walk']}")
    # What the tool has written of the log by then depends on the host.
    wrong += [f"sluice-log shows {line!r}, which is not in the log" for line in found["log"].split("\n ")
              if line not in log.splitlines()]
    if wrong:
        raise Failed(wrong[0], "\n".join(wrong))


def session(vendor: str) -> None:
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as name:
        folder = Path(name)
        with TOOL:
            process, command = started(vendor, folder)
        try:
            found = answers(command, folder, vendor == "intel")
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"still at it after {PATIENCE} s", str(late.output or "")) from None
        finally:
            process.terminate()
            process.wait()
        if status != 0:
            raise Failed(f"the tour ended with status {status} once it was let go", (folder / "said").read_text())
        check(found, vendor, (folder / "serial.log").read_text())


def cases() -> list:
    return [Case("gdb", f"session/{vendor}", lambda v=vendor: session(v), vendor=vendor,
                 about="symbols of loader and hypervisor, printers and commands, against the serial log") for vendor in VENDORS]

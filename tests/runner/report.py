# SPDX-License-Identifier: MIT
"""Group report: ./tools/report. Its sentences against the sources, pages of real boots, and logs of every kind.

The cases that boot nothing are run by the mutants too, in a copy of the tree:

    python3 -m tests.runner.report CASE
"""

import codecs
import html.parser
import os
import re
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from .core import VENDORS, Case, Failed
from .paths import ROOT
from .vm import Machine, boot, expect_status

from lib import report_main  # noqa: E402  (tools/lib, by paths.py)
from lib.common import Trouble  # noqa: E402
from lib.report import facts, page, sentences, words  # noqa: E402

TOUR = (ROOT / "tests/report/tour.log").read_bytes()    # with faults, of a machine with two bridges
OLDER = (ROOT / "tests/report/older.log").read_bytes()  # before the build and the units' registers were printed
MADE, NOT_MADE = 0, 2
BASES = {"intel": ("VT-d", 0xfed90000), "amd": ("AMD-Vi", 0xfed80000)}  # QEMU's
NVME, EDU = "1b36:0010", "1234:11e8"


def expect(holds: bool, what: str, output: str = "") -> None:
    if not holds:
        raise Failed(what, output)


# ---- the page itself ----

class Checker(html.parser.HTMLParser):
    """Tags are balanced, nothing is fetched and nothing runs."""

    VOID = {"meta", "br"}
    FORBIDDEN = {"script", "img", "iframe", "link", "object", "a", "form", "base", "foreignobject", "image", "use"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        expect(tag not in self.FORBIDDEN, f"the page has a <{tag}>")
        for name, value in attributes:
            expect(not name.startswith("on") and name not in ("src", "href"), f"<{tag}> has {name}={value!r}")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        expect(bool(self.open) and self.open.pop() == tag, f"</{tag}> closes nothing that is open")

    def handle_data(self, data):
        self.text.append(data)


def checked(content: str) -> str:
    """The words of a page that is sound."""
    checker = Checker()
    checker.feed(content)
    checker.close()
    expect(not checker.open, f"never closed: {checker.open}")
    expect("url(" not in content and "@import" not in content, "the page fetches something")
    return "".join(checker.text)


def made(log: bytes):
    """(splitter, page, its words) of a log. Trouble when it is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "boot.log"
        path.write_bytes(log)
        splitter = report_main.read(path)
    content = page.html(splitter.facts, splitter.kept, "boot.log", report_main.notes_of(splitter))
    return splitter, content, checked(content)


# ---- sentences ----

LITERALS = re.compile(r'(?:(?:"(?:\\.|[^"\\\n])*"|\bPCI_FMT\b)\s*)+')


@lru_cache
def literals(*folders: str) -> frozenset:
    """Every string of the sources, what stands side by side put together."""
    found = set()
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.c")):
        text = re.sub(r"^#.*", "", file.read_text(), flags=re.MULTILINE)
        for match in LITERALS.finditer(text):
            found.add("".join(part[1:-1] if part[0] == '"' else sentences.PCI
                              for part in re.findall(r'"(?:\\.|[^"\\\n])*"|PCI_FMT', match[0])))
    return frozenset(found)


def sentences_are_said() -> None:
    kernel, loader = literals("kernel", "drivers"), literals("boot")
    lost = [one.format for one in sentences.KERNEL if not one.old and one.format not in kernel]
    lost += [f"{piece!r} of {one.format!r}" for one in sentences.LOADER for piece in one.format.split("%s")
             if piece and not any(piece in text for text in loader)]
    lost += [f"{text!r}, which advice is for" for text, _ in words.ADVICE_BY_WORDS
             if not any(text in said for said in kernel | loader)]
    lost += [f"the advice for {key!r}" for key in words.ADVICE if key not in {one.key for one in sentences.KERNEL}]
    expect(not lost, f"{len(lost)} sentences that nothing says any more", "\n".join(lost))


# ---- pages of real boots ----

def report_of(run):
    """The facts and the page's words of a run, as ./tools/run --log would have stored it."""
    splitter, _, said = made((run.text + "\n").encode())
    return splitter.facts, said


def tour(vendor: str) -> None:
    run = boot(Machine(guest="tour", iommu=vendor, devices=("nvme", "edu")))
    expect_status(run, 0)
    told, said = report_of(run)
    expect([(unit.vendor, unit.base) for unit in told.units] == [BASES[vendor]], f"units: {told.units}", run.text)
    expect(not told.unknown, f"lines that the report does not know: {told.unknown}", run.text)
    expect(not words.lacking(told), f"lacking: {words.lacking(told)}", run.text)
    expect(words.verdict(told).kind == "good", words.verdict(told).title, run.text)
    given = {f"{device.words['vendor']}:{device.words['device']}" for device in told.attached()}
    expect({NVME, EDU} <= given, f"given are {given}", run.text)
    expect(len(told.attached()) == int(told.first("bus", "attached")), "not as many devices as were attached", run.text)
    expect(sum(fault.count for fault in told.faults.values()) == run.summary["faults"], "not every fault is told", run.text)
    expect(bool(told.faults) == (vendor == "intel"), f"faults: {told.faults}", run.text)  # QEMU's AMD unit logs none
    ram = sum(last - first + 1 for first, last in told.ram) >> 20
    expect(int(told.first("memory", "mib")) <= ram <= 256, f"{ram} MiB of RAM are drawn", run.text)
    expect(all(device.windows for device in told.attached() if device.words["kind"] in ("nvme", "sata")), "no windows", run.text)
    table = dict(words.capabilities(told.units[0]))
    depth = f"{told.units[0].words['bits']} bits" if vendor == "intel" else told.units[0].words["most"]
    expect(depth in table["Addresses" if vendor == "intel" else "Levels of tables"], f"capabilities: {table}", run.text)
    expect(words.verdict(told).title in said, "the page has no verdict")


def ranges(vendor: str) -> None:
    from .boot import cases_by_name
    run = boot(cases_by_name()[f"firmware-ranges/{vendor}"].machine)
    told, said = report_of(run)
    strange = [line for line in told.unknown if not line.startswith("hook: ")]  # of the image for tests
    expect(not strange, f"lines that the report does not know: {strange}", run.text)
    expect(len(told.reserved) == len(re.findall("^sluice: iommu: reserved range", run.text, re.MULTILINE)), "ranges are lost")
    expect(len(told.findings) == len(re.findall(r"^sluice: iommu: \w+ offset \d+, ", run.text, re.MULTILINE)), "findings are lost")
    reached = {name for one in told.reserved if not one.refused for name in one.devices}
    expect("00:1f.0" in reached, f"who reaches a range: {reached}", run.text)
    expect(any(one.refused for one in told.reserved), "nothing was refused", run.text)
    expect(told.status_of(told.devices["00:1f.2"])[0] == "barred", "00:1f.2 is said to be given", run.text)
    expect(len(told.attached()) == int(told.first("bus", "attached")), "not as many devices as were attached", run.text)
    expect("it holds memory or registers of the hypervisor" in said, "the page does not say why", said)


def refused() -> None:
    run = boot(Machine(iommu="none", devices=("nvme", "edu")))
    expect_status(run, 2)
    told, said = report_of(run)
    end = words.verdict(told)
    expect(end.kind == "refused" and any("VT-d" in line for line in end.advice), f"{end}", run.text)
    expect(not any("pci:" in line for line in end.sentences), f"no reason: {end.sentences}", run.text)
    expect(end.advice[0] in said, "the page has no advice")


# ---- logs of every kind ----

def kinds() -> None:
    older, _, said = made(OLDER)
    expect("a version that does not tell its build" in said and "capability registers" in said, "an older log", said)
    expect("passes by the IOMMU" in older.facts.devices["00:03.0"].barred, "the device that bypasses the IOMMU")
    both, _, said = made(OLDER + b"\r\n\x1b[2J\x1b[1;1Hfirmware\r\n\x1b[01m" + TOUR)
    expect(both.boots == 2 and len(both.facts.faults) == 4 and "holds 2 boots" in said, "the last of two boots", said)
    panicked = TOUR.replace(b"sluice: the guest switched itself off", b"sluice: panic: hypervisor fault: #GP, error code 0x0\n"
                            b"sluice:   rip ffff82d080201000  rsp ffff82d080202000  rflags 00000002\n"
                            b"sluice:   at   ffff82d080201000  iommu_map+0x10\n"
                            b"sluice: the hypervisor has stopped; nothing more will happen until the machine is reset")
    fault, _, said = made(panicked.replace(b"poweroff", b"hypervisor-fault"))
    expect(words.verdict(fault.facts).kind == "fault" and "iommu_map+0x10" in said, "a hypervisor fault", said)
    expect(len(fault.facts.registers) == 1 and len(fault.facts.backtrace) == 1, "registers and backtrace")
    crashed = TOUR.replace(b"sluice: the guest switched itself off", b"sluice: guest crashed: #UD and no handler for it")
    crash, _, said = made(crashed.replace(b"poweroff", b"guest-failed"))
    expect(words.verdict(crash.facts).kind == "bad" and "#UD and no handler" in said, "a guest that crashed", said)
    hello = b"sluice: loader: hello.\nsluice: loader: kernel at 0x1, entry 0x2; leaving boot services.\n"
    loader, _, said = made(hello)
    expect("on the screen" in said, "nothing of the hypervisor: where it speaks", said)
    loader, _, said = made(b"sluice: loader: hello.\nsluice: refused: no volume holds a file \\sluice\\sluice.conf.\n")
    expect(words.verdict(loader.facts).kind == "refused" and "Look at \\sluice\\sluice.conf" in said, "the loader refused", said)
    moved = b"".join(b"\x1b[2;1H" + line + b"\n" for line in (b"sluice: loader: hello.", b"sluice: refused: no volume."))
    loader, _, said = made(moved)
    expect(words.verdict(loader.facts).kind == "refused" and "beyond doubt" in said, "a loader behind control sequences", said)


def terminals() -> None:
    """What terminal programs make of a log, and that the same is read from it."""
    wanted = len(made(TOUR)[0].facts.faults), 8
    lines = TOUR.splitlines()
    forms = {
        "carriage returns": b"\r\n".join(lines), "carriage returns first": b"\n\r".join(lines),
        "a byte order mark": codecs.BOM_UTF8 + TOUR, "UTF-16": TOUR.decode().encode("utf-16"),
        "UTF-16, big-endian": codecs.BOM_UTF16_BE + TOUR.decode().encode("utf-16-be"),
        "minicom's time stamps": b"".join(b"[2026-11-27 18:00:00] " + line + b"\r\n" for line in lines),
        "ts": b"".join(b"18:00:00 " + line + b"\n" for line in lines),
        "firmware before it": b"\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe: starting\r\n\x1b[0m" + TOUR,
        "bytes that are no UTF-8": b"\xff\xfe\xfd noise \x80\n" + TOUR.replace(b"tour: station 1", b"tour: \xc3\x28\xa0 1"),
    }
    for name, log in forms.items():
        try:
            told = made(log)[0].facts
        except Trouble as trouble:
            raise Failed(f"{name}: {trouble}") from None
        found = len(told.faults), len(told.devices)
        expect(found == wanted and words.verdict(told).kind == "good", f"{name}: {found} faults and devices, not {wanted}")
    damaged, _, said = made(TOUR.replace(b"sluice: iommu: device 02:00.0 read", b"sluice: iommu: devi02:00.0 read"))
    expect(damaged.facts.unknown_count == 3 and "that this page makes nothing of" in said, "lost bytes are not told")


SCRIPT = b"<script>alert(1)</script><img src=x onerror=y>\"'&<!-- ]]> \x00\x1b[31m"


def hostile() -> None:
    """A guest that wants to be taken for the hypervisor, or for a page."""
    forged = (b"sluice:| run ended: hypervisor-fault\n", b" sluice: panic: forged\n", b"\x1b[2Jsluice: panic: forged\n",
              b"slu\x07ice: panic: forged\n", b"sluice:\tpanic: forged\n", b"x\rsluice:| panic: forged\n",
              b"[2026-11-27 18:00:00] sluice: panic: forged\n",
              b"guest says sluice: refused: forged\n", "\u202esluice: \u2067panic: forged\u2069\n".encode(),
              b"12:00:00 sluice: Sluice, a micro-hypervisor whose guest steers its devices' DMA; build ffffffffffffffff\n"
              b"12:00:00 sluice: panic: forged\n", b"x sluice: loader: hello.\nx sluice: panic: forged\n",
              b"\x1b[2Jsluice: loader: hello.\n\x1b[2Jsluice: refused: forged.\n")
    at, late = TOUR.index(b"tour: station 1 passed"), TOUR.index(b"sluice: pci: 7 of 7")
    for guest in (*forged, SCRIPT + b"\n", SCRIPT * 2000 + b"sluice: panic: forged\n", b"".join(forged) * 20):
        for begin, devices in ((TOUR[:at], 8), (TOUR[late:at], 0), (b"", 0)):
            splitter, content, said = made(begin + guest + TOUR[at:])
            name = f"{guest[:60]!r} after {len(begin)} bytes"
            expect(words.verdict(splitter.facts).kind == "good", f"a guest ended the run with {name}", said)
            told = said.partition("What you give away")[0]
            expect("forged" not in told and "ffffffffffffffff" not in told, f"believed: {name}", said)
            expect(splitter.boots == 1 and len(splitter.facts.devices) == devices, f"a guest began a boot with {name}", said)
            expect(not re.search("[\u202a-\u202e\u2066-\u2069]", content), f"it turns lines round: {name}")
    stamped = b"".join(b"12:00:00 " + line + b"\n" for line in (TOUR[:at] + b"12:00:01 sluice: panic: forged\n" + TOUR[at:]).splitlines())
    expect(words.verdict(made(stamped)[0].facts).kind == "good", "a guest's stamp is taken for the terminal program's")
    cut, _, said = made(TOUR[:at] + forged[-1])
    expect(words.verdict(cut.facts).kind == "open" and "look like the loader of another boot" in said, "a boot that may be forged", said)


def odd() -> None:
    """Lines that no Sluice prints: whoever sends a log may have written it."""
    for line in [line for line in TOUR.splitlines() if line.startswith(b"sluice: ")]:
        for word in {bytes(found) for found in re.findall(rb"[\w.]+", line[8:])}:
            numbers = (b"99999999999999999999", b"ffffffffffffffff") if re.fullmatch(rb"(0x)?[0-9a-f.]+", word) else ()
            for instead in (SCRIPT, *numbers):
                made(TOUR.replace(line, line.replace(word, instead)))
    at = TOUR.index(b"sluice: summary ") + len(b"sluice: summary ")
    for value in (b"null", b'"text"', b"-1", b"1e300", b"NaN", b"[]", b"{}", b"true", b"9" * 5000, b"[" * 5000, b"1" + b"0" * 30):
        for name in (b"reason", b"image_bytes", b"faults", b"faults_suppressed", b"hypercalls"):
            made(TOUR[:at] + b'{"faults":3,"%s":%s}' % (name, value))
        made(TOUR[:at] + value)
    words_ = b"cpu: " + b"a , 1 address bits," * 800
    told = made(TOUR.replace(b"sluice: acpi", b"sluice: " + words_ + b"\nsluice: acpi"))[0].facts
    expect(told.unknown_count == 1, "a sentence longer than any is taken for one")
    many = [f"{bus:02x}:{slot:02x}.{function}" for bus in range(9) for slot in range(32) for function in range(8)]
    made(TOUR + b"".join(b"sluice: pci: %s (1af4:1042, virtio without ACCESS_PLATFORM) passes by the IOMMU: hidden, bus mastering off\n"
                         % name.encode() for name in many))


FUNCTION = re.compile(r"^sluice: pci: (\S+) \w{4}:\w{4} .* (?:requester \S{7}|to buses \S{5})$", re.MULTILINE)
FAULT = re.compile(r"^sluice: iommu: device .* 0x\w+: .*\(reason 0x\w\w\)$", re.MULTILINE)


def cut() -> None:
    """Wherever a log ends or begins, there is a page or a sentence, and each device and fault of the log is told."""
    for log in (TOUR, OLDER, TOUR.decode().encode("utf-16")):
        for end in [*range(0, 400), *range(400, len(log), 61)]:
            for part in (log[:end], log[end:]):
                try:
                    splitter, _, said = made(part)
                except Trouble as trouble:
                    expect(len(str(trouble)) > 20, f"cut at {end}: {trouble}")
                    continue
                told, name = splitter.facts, f"cut at {end} of {len(log)}, {len(part)} bytes"
                expect(words.verdict(told).title in said, f"{name}: no verdict")
                text = part.decode("utf-16" if part.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8", "ignore")
                expect(set(FUNCTION.findall(text)) <= set(told.devices), f"{name}: devices are lost", said)
                expect(len(FAULT.findall(text)) == sum(fault.count for fault in told.faults.values()), f"{name}: faults are lost", said)
                if not re.search("sluice: (?:loader: |Sluice, a )", text):
                    expect(not re.search(r"\bNo [\w ]+ is in this log", said), f"{name}: it claims an absence", said)


def tool(*arguments, **options) -> subprocess.CompletedProcess:
    options = {"stdin": subprocess.DEVNULL, **options}
    done = subprocess.run([ROOT / "tools/report", *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=300,
                          **options)
    expect("Traceback" not in done.stderr, f"a traceback: {arguments}", done.stderr)
    return done


@contextmanager
def scratch():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def wrong_input() -> None:
    bad = {"empty": b"", "text": b"no word of ours\n" * 50, "binary": os.urandom(4096) + bytes(4096), "zip": b"PK\x03\x04" + bytes(99),
           "gzip": b"\x1f\x8b\x08" + bytes(99), "elf": b"\x7fELF" + bytes(99), "one-line": b"x" * 100000, "zeroes": bytes(100000),
           "utf16": "not ours\n".encode("utf-16"), "nearly": b"sluice\nsluice:\nslice: loader: hello.\n"}
    with scratch() as folder:
        for name, content in bad.items():
            (folder / name).write_bytes(content)
        (folder / "good").write_bytes(TOUR)
        for name in (*bad, "missing", "."):
            done = tool(folder / name, "-o", folder / "out.html")
            expect(done.returncode == NOT_MADE and done.stderr.startswith("report: ") and len(done.stderr) > 40,
                   f"{name}: status {done.returncode}", done.stderr)
            expect(not (folder / "out.html").exists(), f"{name}: a page was made")
        for arguments in ((), ("--what",), (folder / "good", "-o", folder / "no/such/folder.html"), (folder / "good", "-o", folder)):
            done = tool(*arguments)
            expect(done.returncode == NOT_MADE and done.stderr.startswith("report: "), f"{arguments}: {done.returncode}", done.stderr)
        done = tool(folder / "good", cwd=folder)
        expect(done.returncode == MADE and "The page is good.html" in done.stderr, f"status {done.returncode}", done.stderr)
        expect(tool("good", cwd=folder).returncode == MADE, "a page is not replaced")
        (folder / "link").symlink_to("good")
        for output in ("good", "./good", "link"):
            done = tool("good", "-o", output, cwd=folder)
            expect(done.returncode == NOT_MADE and "is the log itself" in done.stderr, f"-o {output}", done.stderr)
        expect((folder / "good").read_bytes() == TOUR, "the log was overwritten")
        expect(not list(folder.glob(".report-*")), "a part of a page is left")
        reader, writer = os.pipe()
        os.write(writer, TOUR[:4096])
        os.close(writer)
        done = tool("/dev/stdin", stdin=reader)
        os.close(reader)
        expect(done.returncode == NOT_MADE and "'/dev/stdin' is a pipe" in done.stderr, "a pipe", done.stderr)
        checked((folder / "good.html").read_text())


def huge() -> None:
    """Memory does not grow with the log: of guest's words, of faults that all differ, of one line without an end."""
    limit = 200 << 20
    fault = b"sluice: iommu: device %02x:%02x.0 read from BFN 0x%x: not present in the bus map (reason 0x06)\n"
    at = TOUR.index(b"tour: station 1 passed")
    bodies = {"words": b"tour: it says so again and again, and then once more\n" * 400000,
              "faults": b"".join(fault % (i % 256, i // 256 % 32, i) for i in range(50000)), "line": b"x" * (20 << 20) + b"\n"}
    with scratch() as folder:
        for name, body in bodies.items():
            log, out = folder / name, folder / "out.html"
            log.write_bytes(TOUR[:at] + body + TOUR[at:])
            done = tool(log, "-o", out, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
            expect(done.returncode == MADE, f"{name}: status {done.returncode}", done.stderr)
            content = out.read_text()
            expect(len(content) < 4 << 20, f"{name}: a page of {len(content)} characters")
            expect("the guest shut down well" in checked(content), f"{name}: the end was not read")


PLAIN = {
    "sentences": (sentences_are_said, "each sentence that a report is made of is in the sources"),
    "kinds": (kinds, "an older log, two boots, a hypervisor fault, a crash, a loader that refused"),
    "terminals": (terminals, "carriage returns, control sequences, time stamps, UTF-16, lost bytes"),
    "hostile": (hostile, "a guest's words are never the hypervisor's, nor the page's"),
    "odd": (odd, "fields, counts and lengths that no Sluice prints"),
    "cut": (cut, "a log that ends, or begins, anywhere"),
    "input": (wrong_input, "what is no log: a sentence and status 2"),
    "huge": (huge, "memory is bounded, whatever the log"),
}


def run_copy(root: Path, name: str) -> None:
    """A case that boots nothing, in this tree or a copy of it."""
    done = subprocess.run([sys.executable, "-m", "tests.runner.report", name], cwd=root, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Failed(done.stdout.strip() or "it broke", done.stderr)


def cases() -> list:
    # Each in a process of its own: pure computing, which other tests would wait for.
    found = [Case("report", name, lambda n=name: run_copy(ROOT, n), about) for name, (_, about) in PLAIN.items()]
    for vendor in VENDORS:
        found.append(Case("report", f"tour/{vendor}", lambda v=vendor: tour(v), "the page of a tour has what the machine has",
                          vendor=vendor))
        found.append(Case("report", f"ranges/{vendor}", lambda v=vendor: ranges(v), "reserved ranges, who reaches them, findings",
                          vendor=vendor))
    return [*found, Case("report", "refused", refused, "a machine without an IOMMU: the reason, and what to do")]


def main() -> int:
    try:
        PLAIN[sys.argv[1]][0]()
    except Failed as failure:
        print(failure)
        print(failure.output, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Group tables: ./tools/iommu-tables, by the program with ASan and UBSan in it."""

import os
import random
import re
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Callable

from . import table_bytes as t
from .core import Case, Skipped
from .paths import BUILD, ROOT
from .table_checks import DMAR, DMAR_CHECKS, GPU, IVRS, IVRS_CHECKS, REST, UNIT, rmrr_at
from .table_tool import CLEAN, FINDINGS, UNREADABLE, expect, same, tool

TARGET = "iommu_tables_checked"

# ---- real tables ----

COUNTED = {"DRHD": "units", "RMRR": "reserved", "ATSR": "atsr", "RHSA": "rhsa", "ANDD": "acpi_devices", "SATC": "satc",
           "SIDP": "sidp"}
SHORT = {"endpoint": "ep"}
RANGES = (0x03, 0x43, 0x47)


def dmar_facts(said: dict) -> dict:
    scopes = [scope for key in ("units", "reserved", "atsr", "satc", "sidp") for one in said[key]
              for scope in one["scopes"]]
    kinds = Counter(SHORT.get(scope["kind"], scope["kind"]) for scope in scopes)
    return {"rev": said["revision"], "haw": said["host_address_width"], "flags": said["flags"],
            "counts": {name: len(said[key]) for name, key in COUNTED.items() if said[key]},
            "scopes": dict(kinds), "maxpath": max(len(scope["path"]) for scope in scopes)}


def ivrs_facts(said: dict) -> dict:
    entries = Counter(f"{entry['kind']:02x}" for block in said["blocks"] for entry in block["entries"])
    entries["04"] = sum(entry["kind"] in RANGES for block in said["blocks"] for entry in block["entries"])
    entries["00"] = sum(block["padding"] for block in said["blocks"])
    entries["48"] = len(said["special_devices"])
    blocks = Counter(f"{block['type']:02x}" for block in said["blocks"] + said["memory"])
    return {"rev": said["revision"], "ivinfo": said["ivinfo"], "units": len(said["units"]), "blocks": dict(blocks),
            "entries": {kind: count for kind, count in entries.items() if count}}


def pairs(text: str, between: str) -> dict:
    return {name: int(count) for name, count in (part.split(between) for part in text.split(","))}


def wanted_dmar(words: str) -> dict:
    rev, haw, flags, counts, scopes, longest = re.match(
        r"rev(\d+) haw(\d+) flags(\d+) (\S+) scopes (\S+) maxpath(\d+)", words).groups()
    kinds = pairs(scopes, ":")
    names = kinds.pop("ANDD", 0)  # the decode counts them in both places
    same("the decode's own count of ANDDs", pairs(counts, "x").get("ANDD", 0), names)
    return {"rev": int(rev), "haw": int(haw), "flags": int(flags), "counts": pairs(counts, "x"), "scopes": kinds,
            "maxpath": int(longest)}


def wanted_ivrs(words: str) -> dict:
    rev, info, units, blocks, entries = re.match(
        r"rev(\d+) ivinfo([0-9a-f]+) units(\d+) (\S+) ents (\S+)", words).groups()
    return {"rev": int(rev), "ivinfo": int(info, 16), "units": int(units),
            "blocks": pairs(blocks.replace("blk", ""), "x"), "entries": pairs(entries, ":")}


def described(folder: str | None) -> list:
    """(path, size, facts in words) of each table in the folder's README.md."""
    if folder is None:
        raise Skipped("no firmware tables: give --tables DIR or $SLUICE_TABLES")
    readme = Path(folder) / "README.md"
    if not readme.is_file():
        raise Skipped(f"{folder} has no README.md that describes its tables")
    found = re.findall(r"^(\S+\.bin) \| (\d+) \| ([^|]+) \|", readme.read_text(), re.MULTILINE)
    expect(bool(found), f"{readme} describes no table")
    return [(Path(folder) / name, int(size), words) for name, size, words in found]


def real_facts(tables: str | None, build: Path) -> None:
    wrong = []
    with tool(build) as program:
        for path, size, words in described(tables):
            said = program.json(path)
            wanted = (wanted_dmar if said["table"] == "DMAR" else wanted_ivrs)(words)
            found = (dmar_facts if said["table"] == "DMAR" else ivrs_facts)(said)
            wrong += [f"{path.name}: {key}: {found[key]!r}, not {wanted[key]!r}" for key in wanted
                      if found[key] != wanted[key]]
            if (said["length"], said["checksum_ok"], said["complete"]) != (size, True, True):
                wrong.append(f"{path.name}: length, checksum or walk")
    expect(not wrong, f"{len(wrong)} facts differ from the independent decode", "\n".join(wrong))


# What is truly odd about a table that the list does not call odd.
KNOWN_ODD = (
    r"does not remap interrupts",         # the server of 2010
    r"no unit of segment 0000 covers",    # QEMU names its devices one by one
    r"the unit's own PCI function",       # and its own IOMMU among them
    r"no unit names an IO-APIC",          # a board that Linux calls a firmware bug, too
)


def real_clean(tables: str | None, build: Path) -> None:
    wrong = []
    with tool(build) as program:
        for path, _, words in described(tables):
            said = program.json(path)
            texts = [finding["text"] for finding in said["findings"]]
            program.run(path, status=FINDINGS if texts else CLEAN)
            if "ODD:ivmd-align" in words:
                expect(any("begin and end with a page" in text for text in texts), f"{path.name} seems clean")
            elif "ODD:" not in words:
                wrong += [f"{path.name}: {text}" for text in texts
                          if not any(re.search(odd, text) for odd in KNOWN_ODD)]
    expect(not wrong, f"{len(wrong)} findings in tables that are as they should be", "\n".join(wrong))


# ---- what is no table ----

def wrong_files(build: Path) -> None:
    with tool(build) as program:
        (program.folder / "folder").mkdir()
        os.mkfifo(program.folder / "pipe")
        cases = {
            "missing": ("missing", None, "there is no file"),
            "directory": ("folder", None, "is a directory"),
            "pipe": ("pipe", None, "is not a regular file"),
            "empty": ("empty", b"", "is empty"),
            "text": ("text", b"HELLO WORLD, " * 9, "is not an ACPI table"),
            "random": ("random", random.Random(1).randbytes(500), "is not an ACPI table"),
            "short": ("short", b"DMAR", "not even a header"),
            "header only": ("header", IVRS[:47], "47 bytes are not even a header"),
            "dsdt": ("dsdt", t.table(b"DSDT", bytes(100), 2), "is a DSDT, not a DMAR or IVRS"),
            "acpidump": ("dump", b"DMAR @ 0x0000000000000000\n    0000: 44 4D 41 52" + b" 00" * 40, "acpidump -b"),
            "large": ("large", DMAR + bytes(5 << 20), "larger than 4 MiB"),
        }
        for name, (file, content, sentence) in cases.items():
            path = program.folder / file
            if content is not None:
                path.write_bytes(content)
            done = program.run(path, status=UNREADABLE)
            expect(sentence in done.stderr and file in done.stderr, f"{name}: the sentence is wrong", done.stderr)
            same(f"{name}: lines said", len(done.stderr.splitlines()), 1)
            same(f"{name}: report", done.stdout, "")
            said = program.json(path, status=UNREADABLE)
            same(f"{name}: keys", sorted(said), ["error", "file"])
            expect(sentence in said["error"], f"{name}: the error is wrong", said["error"])


def wrong_arguments(build: Path) -> None:
    with tool(build) as program:
        for words in ([], ["--jsn", "x"], ["--live", "x"], ["--sysfs"]):
            done = program.run(*words, status=UNREADABLE)
            expect("usage" in done.stderr, f"{words}: no word about usage", done.stderr)


def several(build: Path) -> None:
    with tool(build) as program:
        clean, odd = program.file(DMAR, "clean"), program.file(IVRS + b"more", "odd")
        same("two good ones", [said["table"] for said in program.json(clean, clean, status=CLEAN)], ["DMAR"] * 2)
        program.json(clean, odd, status=FINDINGS)
        said = program.json(odd, program.folder / "none", clean, status=UNREADABLE)
        same("answers", [sorted(one)[0] for one in said], ["acpi_devices", "error", "acpi_devices"])
        done = program.run(clean, program.folder / "none", odd, status=UNREADABLE)
        same("reports", len(re.findall(r"(DMAR|IVRS), revision", done.stdout)), 2)


# ---- spoiled tables: valid JSON, a finding, and no sanitizer's word ----

def checksum(build: Path) -> None:
    with tool(build) as program:
        for good in (DMAR, IVRS):
            same("checksum of a good one", program.table(good, CLEAN)["checksum_ok"], True)
            bad = good[:9] + bytes([good[9] ^ 1]) + good[10:]
            said = program.table(bad, FINDINGS)
            same("checksum of a bad one", said["checksum_ok"], False)
            same("findings", [(one["severity"], one["offset"]) for one in said["findings"]], [("error", 9)])


def length(build: Path) -> None:
    with tool(build) as program:
        said = program.table(DMAR + b"tail", FINDINGS)
        same("findings of a longer file", [one["severity"] for one in said["findings"]], ["note"])
        same("units", len(said["units"]), 2)
        for size in (0, 47, len(DMAR) + 1):
            said = program.table(t.resum(DMAR[:4] + size.to_bytes(4, "little") + DMAR[8:]), FINDINGS)
            same(f"findings of length {size}", [one["text"] for one in said["findings"]],
                 ["its length is not the table's"])
            same("units", len(said["units"]), 2)
            expect(f"where the table says {size}," in program.run(program.folder / "table.bin").stdout,
                   "the report does not show the length")


def cut(build: Path) -> None:
    with tool(build) as program:
        for good in (DMAR, IVRS):
            for size, said in enumerate(program.tables([good[:size] for size in range(len(good))])):
                if size < 48:
                    expect("error" in said, f"cut to {size} bytes: taken for a table")
                else:
                    same(f"cut to {size} bytes: complete", said["complete"], False)
                    expect(any(one["severity"] == "error" for one in said["findings"]), f"cut to {size}: no error")


def spoiled(build: Path) -> None:
    """Every byte, some values; and bodies of nothing but noise."""
    noise = random.Random(2)
    with tool(build) as program:
        for good in (DMAR, IVRS):
            bad = [t.resum(good[:at] + bytes([value]) + good[at + 1:]) for at in range(10, len(good))
                   for value in (0, 0xFF, good[at] ^ 0x80, good[at] ^ 1)]
            bad += [t.table(good[:4], noise.randbytes(noise.randrange(12, 900))) for _ in range(300)]
            for said in program.tables(bad):
                same("checksum", said["checksum_ok"], True)
            program.run(*(program.folder / f"{number:05}.bin" for number in range(len(bad))))


def many(build: Path) -> None:
    """More of everything than there is room for: the rest is counted."""
    unit = t.drhd(0xFED90000, t.scope(t.EP, (40, 0)), segment=1)
    with tool(build) as program:
        said = program.table(t.dmar(*[unit] * 1500), FINDINGS)
        expect(said["findings_left_out"] > 1000, f"only {said['findings_left_out']} findings are left out")
        same("complete", said["complete"], False)


def names(build: Path) -> None:
    hostile = bytes(range(1, 256))
    with tool(build) as program:
        table = program.file(t.dmar(t.drhd(0xFED90000, t.IOAPIC_2, t.scope(t.ACPI, (21, 0), number=1), rest=True),
                                    t.andd(1, hostile)), os.fsdecode(b"\"\n\x1b\xc3\xa4\xff.bin"))
        said = program.json(table)
        same("name", said["acpi_devices"][0]["name"], hostile.decode("latin-1"))
        same("file", said["file"].rpartition("/")[2], "\"\n\x1bä\xff.bin")
        plain(program.run(table).stdout)
        hid, uid = b"\x1b[2J\"\\\x80\x07", bytes(range(1, 0xFF))
        table = program.file(t.ivrs(t.ivhd(0x40, 0xFD200000, t.ALL_BUT_UNIT, t.SB_IOAPIC,
                                           t.acpi(0xA5, hid, b"\xe2\x94", 2, uid),
                                           t.acpi(0xA6, b"NUMBER", b"", 1, b"\x01" * 8))))
        first, second = program.json(table)["acpi_devices"]
        same("hid, cid, uid", (first["hid"], first["cid"], first["uid"]),
             tuple(name.decode("latin-1") for name in (hid, b"\xe2\x94", uid)))
        same("a number", second["uid"], 0x0101010101010101)
        plain(program.run(table).stdout)


def plain(report: str) -> None:
    """Nothing that a terminal would obey."""
    strange = sorted({letter for letter in report if ord(letter) < 0x20 and letter != "\n" or ord(letter) == 0x7F})
    expect(not strange, f"the report has control characters: {strange}", report)
    expect("\\x1b" in report, "the report hides what was there", report)


# ---- what the checks find: each in a table that is otherwise good ----

def checks(listed: tuple, build: Path) -> None:
    """The finding that is meant, once, and no other; in the report, too."""
    wrong = []
    with tool(build) as program:
        for (severity, text, content), said in zip(listed, program.tables([content for _, _, content in listed])):
            found = [(one["severity"], one["text"]) for one in said["findings"]]
            if len(found) != 1 or found[0][0] != severity or text not in found[0][1]:
                wrong.append(f"{severity}, {text}: found {found}")
            if said["findings"] and not all(one["advice"] and one["structure"] for one in said["findings"]):
                wrong.append(f"{severity}, {text}: without advice")
            report = program.run(program.file(content), status=FINDINGS).stdout
            if text not in report:
                wrong.append(f"{severity}, {text}: not in the report")
    expect(not wrong, f"{len(wrong)} checks do not find what they are for", "\n".join(wrong))


# ---- the machine ----

def bridge(secondary: int, subordinate: int) -> bytes:
    config = bytearray(64)
    config[0:4], config[0x0B], config[0x0E] = b"\x86\x80\x01\x00", 6, 1
    config[0x19], config[0x1A] = secondary, subordinate
    return bytes(config)


def make_sysfs(root: Path, table: bytes | None, functions: dict) -> Path:
    (root / "firmware/acpi/tables").mkdir(parents=True)
    if table is not None:
        (root / f"firmware/acpi/tables/{table[:4].decode()}").write_bytes(table)
    for name, config in functions.items():
        (root / f"bus/pci/devices/{name}").mkdir(parents=True)
        (root / f"bus/pci/devices/{name}/config").write_bytes(config)
    return root


BEHIND = t.dmar(t.drhd(0xFED90000, t.scope(t.EP, (28, 0), (0, 0))),
                t.drhd(0xFED92000, t.scope(t.EP, (28, 1), (0, 0))), REST)


def live(build: Path) -> None:
    device = b"\x34\x12\x78\x56" + bytes(60)
    bridges = {"0000:00:1c.0": bridge(2, 2), "0000:00:1c.1": bridge(3, 3), "0000:02:00.0": device}
    with tool(build) as program:
        sound = make_sysfs(program.folder / "sound", BEHIND, bridges)
        said = program.json("--sysfs", sound, status=CLEAN)
        same("ends of paths", [unit["scopes"][0]["requester_id"] for unit in said["units"]], [0x200, 0x300, 0xF0F8])
        report = program.run("--sysfs", sound, status=CLEAN).stdout
        expect("00:1c.0 / 00.0, which is 02:00.0, 1234:5678" in report, "the path is not told", report)
        expect("which is 03:00.0, not there" in report, "what is not there is not told", report)

        both = make_sysfs(program.folder / "both", BEHIND, {**bridges, "0000:00:1c.1": bridge(2, 2)})
        found = program.json("--sysfs", both, status=FINDINGS)["findings"]
        same("one device behind two paths", [one["text"].split(":")[0] for one in found],
             ["two units claim one device", "this machine's 0000"])

        gone = make_sysfs(program.folder / "gone", BEHIND, {})
        found = program.json("--sysfs", gone, status=FINDINGS)["findings"]
        same("bridges that are not there", [("no bridge" in one["text"]) for one in found], [True, True])


def unowned(build: Path) -> None:
    """Functions that no unit has; what does no DMA and what lies in segments of Linux's own are not meant."""
    def function(base=0, sub=0):
        return b"\x34\x12\x78\x56" + bytes(6) + bytes([sub, base]) + bytes(52)

    functions = {"0000:00:02.0": function(), "0000:00:03.0": function(), "0000:00:1c.0": bridge(2, 2),
                 "10000:00:03.0": function(), "0001:00:02.0": function(), "0000:00:05.0": function(8, 5),
                 "0000:00:06.0": function(8, 0x80), "0000:00:07.0": function(8, 1)}
    functions |= {f"0000:00:08.{sub}": function(8, sub) for sub in (0, 2, 3, 4, 6, 7)}
    with tool(build) as program:
        for number, table in enumerate((t.dmar(t.drhd(0xFED90000, t.IOAPIC_2, GPU)),
                                        t.ivrs(t.ivhd(0x11, 0xFD200000, t.entry(2, 0x10), t.SB_IOAPIC)))):
            root = make_sysfs(program.folder / str(number), table, functions)
            texts = [one["text"] for one in program.json("--sysfs", root, status=FINDINGS)["findings"]]
            same("unowned", [text[15:27] for text in texts if "belongs to no unit" in text],
                 [f"0000:00:0{device}.0" for device in (3, 5, 6, 7)] + ["0001:00:02.0"])


def paths(build: Path) -> None:
    """Where paths over bridges end is not known from a file: nothing is said against them."""
    with tool(build) as program:
        said = program.table(BEHIND, CLEAN)
        same("ends of paths", [unit["scopes"][0]["requester_id"] for unit in said["units"]], [None, None, 0xF0F8])
        same("path", said["units"][0]["scopes"][0]["path"], [[28, 0], [0, 0]])


def no_machine(build: Path) -> None:
    with tool(build) as program:
        bare = make_sysfs(program.folder / "bare", None, {})
        for root, sentence in ((bare, "neither a DMAR nor an IVRS"), (program.folder / "none", "no ACPI tables")):
            expect(sentence in program.run("--sysfs", root, status=UNREADABLE).stderr, f"it does not say: {sentence}")
            expect(sentence in program.json("--sysfs", root, status=UNREADABLE)["error"], "no error in the JSON")
        here, named = program.run("--live"), program.run("--sysfs", "/sys")
        same("--live", (here.returncode, here.stdout, here.stderr), (named.returncode, named.stdout, named.stderr))


# ---- words ----

TREE = """\
Unit 1 (DRHD): segment 0000, 4 KiB of registers at 0xfed91000; it covers
├── IO-APIC 2: its interrupts come from f0:1f.0
├── HPET timer block 0: its interrupts come from 00:1f.0
├── 00:15.0, ACPI device 1: \\_SB.PCI0.I2C0
└── every device of the segment that no other unit names

Reserved memory (RMRR): segment 0000, 72 MiB from 0x7b800000 to 0x7fffffff; firmware wants it open to
└── 00:02.0
"""
IVRS_TREE = """\
Unit 0 (IVHD): segment 0000, PCI function 00:00.2, registers at 0xfd200000; it covers
├── 00:00.3 to ff:1f.7
├── 03:00.0, whose DMA shows as that of 02:00.0
├── ACPI device AMDI0020, unique id \\_SB.FUR0, as 00:14.5
└── IO-APIC 33: its interrupts come from 00:14.0
"""


def report(build: Path) -> None:
    with tool(build) as program:
        for content, tree in ((DMAR, TREE), (IVRS, IVRS_TREE)):
            said = program.run(program.file(content), status=CLEAN).stdout
            expect(tree in said, "the tree is another", said)
            expect(re.match(r"\S+/table.bin: (DMAR|IVRS), revision \d, \d+ bytes, by \"SLUICE\"", said) is not None,
                   "the first line is another", said)
            expect(said.endswith("No findings: the table makes sense. What the machine itself makes of it, Sluice sees "
                                 "at boot.\n"), "the last line is another", said)


def single_only(build: Path) -> None:
    """Nobody knows what the rest is: the report says what that costs."""
    lost = t.scope(9, (3, 0))
    with tool(build) as program:
        for content, meant in ((DMAR[:-1], True), (IVRS[:-1], True), (t.dmar(t.drhd(0, lost), REST), True),
                               (t.dmar(REST, t.drhd(0xFED91000, lost)), True),
                               (t.dmar(t.drhd(0xFED90000, lost), REST), False), (t.dmar(t.drhd(0, GPU), REST), False),
                               (t.ivrs(UNIT, t.ivhd(0x11, 0, t.entry(3, 0), unit=1)), True)):
            said = program.run(program.file(content), status=FINDINGS).stdout
            expect(("only devices that the table names one by one" in said) == meant, f"meant to say so: {meant}", said)


# ---- the schema that both vendors share ----

SCHEMA = {"table": str, "revision": int, "findings": list,
          "units": {"type": str, "segment": int, "base": int, "include_all": bool, "scopes": list},
          "reserved": {"segment": int, "base": int, "limit": int, "scopes": list}}
SCOPE = {"kind": str, "start_bus": int, "path": list, "enumeration_id": int}


def has(value: dict, wanted: dict) -> None:
    for key, kind in wanted.items():
        expect(key in value, f"no key {key} in {value}")
        if isinstance(kind, dict):
            expect(bool(value[key]), f"{key} is empty")
            for one in value[key]:
                has(one, kind)
        else:
            same(f"type of {key}", type(value[key]), kind)
    for scope in value.get("scopes", []):
        has(scope, SCOPE)
        expect(all(type(number) is int for hop in scope["path"] for number in hop) and
               all(len(hop) == 2 for hop in scope["path"]) and bool(scope["path"]), f"no path: {scope['path']}")


def schema(build: Path) -> None:
    with tool(build) as program:
        for said in program.tables([DMAR, IVRS]):
            has(said, SCHEMA)


def scopes(build: Path) -> None:
    """What an IVRS says of devices, in the words of a DMAR."""
    def facts(scopes):
        return [(one["kind"], one["start_bus"], one["path"], one["enumeration_id"], one["requester_id"], one["first"],
                 one["last"], one["alias"]) for one in scopes]

    content = t.ivrs(
        t.ivhd(0x10, 0xFD200000, t.entry(2, 0x33)),
        t.ivhd(0x40, 0xFD200000, t.entry(1), t.entry(2, 0x123), t.entry(3, 8) + t.entry(4, 0xFF), t.SB_IOAPIC,
               t.alias(0x42, 0x300, 0x200), t.alias(0x43, 0x400, 0x201) + t.entry(4, 0x4FF), t.special(2, 1, 0xA1),
               t.acpi(0xA5, b"AMDI0020")),
        t.ivhd(0x11, 0xFD300000, t.entry(2, 0x8000), unit=0x4002, segment=1),
        t.ivmd(0x10000, 0x2000, 0x60), t.ivmd(0x20000, 0x1000, 8, 0xF, kind=0x22), t.ivmd(0x30000, 0x1000, 0, kind=0x20))
    with tool(build) as program:
        said = program.table(content)
        same("include_all", [unit["include_all"] for unit in said["units"]], [True, False])
        same("scopes", facts(said["units"][0]["scopes"]), [
            ("endpoint", 1, [[4, 3]], 0, 0x123, 0x123, 0x123, None),
            ("range", 0, [[1, 0]], 0, None, 8, 0xFF, None),
            ("endpoint", 3, [[0, 0]], 0, 0x300, 0x300, 0x300, 0x200),
            ("range", 4, [[0, 0]], 0, None, 0x400, 0x4FF, 0x201),
            ("acpi", 0, [[20, 5]], 0, 0xA5, 0xA5, 0xA5, None),
            ("ioapic", 0, [[20, 0]], 33, 0xA0, 0xA0, 0xA0, None),
            ("hpet", 0, [[20, 1]], 1, 0xA1, 0xA1, 0xA1, None)])
        same("scopes of another", [one["first"] for one in said["units"][1]["scopes"]], [0x8000])
        same("reserved", [(one["segment"], one["base"], one["limit"], one["malformed"], *facts(one["scopes"]))
                          for one in said["reserved"]], [
            (0, 0x10000, 0x11FFF, False, ("endpoint", 0, [[12, 0]], 0, 0x60, 0x60, 0x60, None)),
            (0, 0x20000, 0x20FFF, False, ("range", 0, [[1, 0]], 0, None, 8, 15, None)),
            (0, 0x30000, 0x30FFF, False, ("range", 0, [[0, 0]], 0, None, 0, 0xFFFF, None))])
        lost = program.table(t.ivrs(t.ivhd(0x11, 0xFD200000, t.entry(3, 0), t.SB_IOAPIC)))["units"][0]
        same("scopes_complete", (said["units"][0]["scopes_complete"], lost["scopes_complete"]), (True, False))


def windows(build: Path) -> None:
    """Memory that is beside the registers of a unit, and words for one byte."""
    beyond = t.dmar(t.drhd(0xFE000000, t.IOAPIC_2, rest=True, size=15), t.rmrr(0xFE010000, 0xFE010FFF, GPU))
    twice = t.dmar(REST, *[t.rmrr(0x10000, 0x10FFF, GPU)] * 70)
    with tool(build) as program:
        for content in (beyond, twice, t.ivrs(UNIT, t.ivmd(0xFD280000, 0x1000, 8))):
            program.table(content, CLEAN)
        off = t.ivhd(0x11, 0xFD200000, t.ALL_BUT_UNIT, t.SB_IOAPIC, attributes=1)
        texts = [one["text"] for one in program.table(t.ivrs(off, t.ivmd(0xFD27F000, 0x1000, 8)), FINDINGS)["findings"]]
        expect(any("over the registers of a unit" in text for text in texts), f"a unit that is not usable: {texts}")
        said = program.run(program.file(rmrr_at(0x10000, 0x10000))).stdout
        expect(", 1 byte from 0x10000" in said, "another size", said)
        said = program.run(program.file(DMAR + b"x")).stdout
        expect("for 1 byte after" in said, "another size", said)


def documented(build: Path) -> None:
    """Each key of the JSON stands in docs/iommu-tables.md."""
    words = set(re.findall(r"`([a-z0-9_]+)`", (ROOT / "docs/iommu-tables.md").read_text()))

    def keys(value):
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    with tool(build) as program:
        odd = [t.dmar(REST, t.structure(99, bytes(8)), *(t.structure(kind, bytes(4), GPU) for kind in (5, 6))), b"x"]
        missing = keys(program.tables([DMAR, IVRS, *odd])) - words
    expect(not missing, f"keys that are not documented: {', '.join(sorted(missing))}")


def script() -> None:
    """./tools/iommu-tables itself, from another folder, with relative paths."""
    def run(folder, *words):
        return subprocess.run([ROOT / "tools/iommu-tables", "--no-install", *words], cwd=folder, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=300)

    with tool(BUILD) as program:
        program.file(DMAR, "a table")
        program.file(DMAR, "-odd")
        done = run(program.folder, "a table")
        same("status, complaints", (done.returncode, done.stderr), (CLEAN, ""))
        expect(done.stdout.startswith("a table: DMAR"), "another report", done.stdout)
        same("a file like an option", run(program.folder, "--json", "--", "-odd").returncode, CLEAN)
        same("no file", run(program.folder, "none").returncode, UNREADABLE)
        for words in ([], ["--live", "a table"], ["--unknown"]):
            done = run(program.folder, *words)
            same(f"{words}: status, output", (done.returncode, done.stdout), (UNREADABLE, ""))
            expect("--help" in done.stderr, "no word about --help", done.stderr)
        done = run(program.folder, "--help")
        expect(all(word in done.stdout for word in ("--json", "--live", "--sysfs", "--no-install")), "--help is short",
               done.stdout)


def cases(tables: str | None, build: Path = BUILD) -> list:
    def case(name: str, body: Callable, about: str) -> Case:
        return Case("tables", name, partial(body, build=build), about)

    return [
        case("real-facts", partial(real_facts, tables), "real tables are told as an independent decode has them"),
        case("real-clean", partial(real_clean, tables), "real tables have no findings, but for what is odd in them"),
        case("wrong-files", wrong_files, "what is no table is refused in a sentence"),
        case("wrong-arguments", wrong_arguments, "usage"),
        case("several", several, "a report each, an array, the worst status"),
        case("checksum", checksum, "a wrong checksum is an error, and the rest is told"),
        case("length", length, "bytes after the table are a note"),
        case("cut", cut, "a table cut anywhere is an error"),
        case("spoiled", spoiled, "spoiled tables give valid JSON"),
        case("many", many, "more than there is room for is counted"),
        case("names", names, "hostile names neither break JSON nor reach the terminal"),
        case("dmar-checks", partial(checks, DMAR_CHECKS), "each check of a DMAR finds what it is for, and only that"),
        case("ivrs-checks", partial(checks, IVRS_CHECKS), "each check of an IVRS finds what it is for, and only that"),
        case("live", live, "paths are followed over the machine's bridges"),
        case("unowned", unowned, "the machine's functions that belong to no unit are named"),
        case("paths-over-bridges", paths, "paths that only the machine knows are no fault of the table"),
        case("no-machine", no_machine, "a machine without such tables"),
        case("report", report, "the picture that a person sees"),
        case("single-only", single_only, "what a table costs that cannot be read to its end"),
        case("schema", schema, "both vendors' objects have the keys that programs rely on"),
        case("scopes", scopes, "an IVRS names devices in the words of a DMAR"),
        case("windows", windows, "memory beside a unit's registers is no fault"),
        case("documented", documented, "each key of the JSON is documented"),
        Case("tables", "script", script, "./tools/iommu-tables from any folder"),
    ]

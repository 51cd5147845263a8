# SPDX-License-Identifier: MIT
"""The engine alone, on the host: instructions of build/bench/engine under callgrind, and what build/bench/engine-counts
counts of stores, written-back lines, tables, descriptors and waits. tests/bench/engine.c has the cases."""

from dataclasses import dataclass

from tests.bench import callgrind
from tests.bench.row import NO_BAR, VENDORS, Bar, Row, must
from tests.runner.core import Failed

INCOHERENT = "-incoherent"
COUNTED = ("stores", "lines", "tables", "descriptors", "waits")  # in the order that engine.c prints them


@dataclass
class Case:
    """What is shown of a case of engine.c. Counts include the flush that follows."""
    key: str
    name: str
    bar: Bar = NO_BAR  # of its instructions
    peers: str = ""
    elements: int = 1  # among which its instructions are divided
    incoherent: bool = False  # instructions on a unit that is not coherent, flush included, are shown, too
    flush: bool = False  # those of the flush are shown
    instructions: bool = True  # false: only counts are shown
    floor: bool = True  # the bars of the counts are what nobody can do without
    stores: Bar | None = None
    lines: Bar | None = None
    tables: Bar | None = None
    descriptors: Bar | None = None
    waits: Bar | None = None


MANY = 256
ONE_EACH = {"descriptors": must(1), "waits": must(1)}
NOTHING_OWED = {"descriptors": must(0), "waits": must(0)}

# 256 entries that begin in the middle of a line lie in 33 lines; five apart, in 160.
CASES = (
    Case("b1.map", "B1 map 1, tables warm", must(125), "NOVA 360, ACRN 201, Jailhouse 292; straight loop 91", flush=True,
         stores=must(1), lines=must(1), **NOTHING_OWED),
    Case("b1.unmap", "B1 unmap 1", must(125), "NOVA 339, ACRN 3,304, Jailhouse 2,795; straight loop 94", flush=True,
         stores=must(1), lines=must(1), **ONE_EACH),
    Case("b1.map-far", "B1 map 1, the element before was in another GiB"),
    Case("b1.unmap-far", "B1 unmap 1, the element before was in another GiB"),
    Case("b1.map-beside", "B1 map 1, the element before was in the same table"),
    Case("b1.unmap-beside", "B1 unmap 1, the element before was in the same table"),
    Case("b2.map", "B2 map 256, one call", must(3600), "NOVA 84,002, ACRN 5,303, Jailhouse 64,809; straight loop 2,898",
         incoherent=True, flush=True, stores=must(MANY), lines=must(33), **NOTHING_OWED),
    Case("b2.unmap", "B2 unmap 256, one call", must(2900),
         "NOVA 2,979, ACRN 7,896, Jailhouse 218,272; straight loop 2,136", incoherent=True, flush=True,
         stores=must(MANY), lines=must(33), **ONE_EACH),
    Case("b3.map", "B3 map a list of 256 scattered frames, an element", must(25),
         "256 calls: NOVA 363, ACRN 203, Jailhouse 294; straight loop 93", MANY, incoherent=True, stores=must(MANY),
         lines=must(33), **NOTHING_OWED),
    Case("b3.unmap", "B3 unmap these 256, an element", must(25),
         "256 calls: NOVA 339, ACRN 1,016, Jailhouse 889; straight loop 91", MANY, incoherent=True, flush=True,
         stores=must(MANY), lines=must(33), **ONE_EACH),
    Case("b3.replace", "B3 map another 256 over them, an element", NO_BAR, "", MANY, flush=True, stores=must(MANY),
         lines=must(33), **ONE_EACH),
    Case("b3.map-apart", "B3 map a list of 256 BFNs five apart, an element", NO_BAR, "", MANY, stores=must(MANY),
         lines=must(160), **NOTHING_OWED),
    Case("b3.unmap-apart", "B3 unmap a list of these 256, an element", NO_BAR, "", MANY, stores=must(MANY),
         lines=must(160), **ONE_EACH),
    Case("b3.map-singly", "B3 map 256 scattered frames by 256 calls, an element", NO_BAR,
         "NOVA 363, ACRN 203, Jailhouse 294; straight loop 93", MANY),
    Case("b3.unmap-singly", "B3 unmap these 256 by 256 calls, an element", NO_BAR,
         "NOVA 339, ACRN 1,016, Jailhouse 889; straight loop 91", MANY),
    Case("b4.map-one", "B4 map 2 MiB", must(130), "NOVA 438, ACRN 191, Jailhouse 314; straight loop 101",
         stores=must(1), lines=must(1), tables=must(0), **NOTHING_OWED),
    Case("b4.unmap-one", "B4 unmap 2 MiB", must(130), "NOVA 417, ACRN 3,255, Jailhouse 2,765; straight loop 93",
         flush=True, stores=must(1), lines=must(1), **ONE_EACH),
    Case("b4.map", "B4 map 256 times 2 MiB, one call", must(3400),
         "NOVA 2,568, ACRN 12,433, Jailhouse 69,421; straight loop 2,653", stores=must(MANY), lines=must(32),
         tables=must(0), **NOTHING_OWED),
    Case("b4.unmap", "B4 unmap 256 times 2 MiB, one call", must(3100),
         "NOVA 3,567, ACRN 10,907, Jailhouse 209,572; straight loop 2,390", flush=True, stores=must(MANY),
         lines=must(32), **ONE_EACH),
    Case("b4.map-order", "B4 the same as one order, which looks at all of it first", NO_BAR, "", stores=must(MANY),
         lines=must(32), tables=must(0), **NOTHING_OWED),
    Case("b4.unmap-order", "B4 unmap these as one order", NO_BAR, "", flush=True, stores=must(MANY), lines=must(32),
         **ONE_EACH),
    # Beside the 1024 leaves, one entry for each of the four tables.
    Case("b5.map", "B5 map 4 MiB of frames that do not merge, cold", must(14000),
         "NOVA 346,258, ACRN 53,828, Jailhouse 261,926; straight loop 11,450", stores=must(1028), lines=must(132),
         tables=must(4), **NOTHING_OWED),
    Case("b5.unmap", "B5 unmap these 4 MiB, and all tables", NO_BAR,
         "NOVA 502, ACRN 28,010, Jailhouse 1,530,638; straight loop 8,351", flush=True, stores=must(1028),
         lines=must(132), tables=must(-4), descriptors=must(1), waits=must(1)),
    # 512 leaves, the entry of their table, the leaf in its place; then the way back and the page itself.
    Case("b6.map", "B6 map 512 by 512 calls, which make one leaf, an element", NO_BAR, "", 512, stores=must(514),
         lines=must(66), tables=must(0), **ONE_EACH),
    Case("b6.split", "B6 unmap 1, which splits the leaf", NO_BAR, "in time: NOVA 280 to 330 ns, ACRN 1,131, Jailhouse 3,335",
         floor=False, stores=must(514), lines=must(66), tables=must(1), **ONE_EACH),
    Case("b8.map", "B8 map a list of 256 over 1 GiB, an element", NO_BAR, "", MANY, stores=must(MANY), lines=must(MANY),
         **NOTHING_OWED),
    Case("b8.unmap", "B8 unmap a list of these 256, an element", NO_BAR, "", MANY, flush=True, stores=must(MANY),
         lines=must(MANY), **ONE_EACH),
    Case("gib.4k", "1 GiB of 4 KiB frames, cold", instructions=False, tables=must(514)),
    Case("gib.2m", "1 GiB of 2 MiB frames", instructions=False, tables=must(1)),
)


# ---- measuring ----

def instructions() -> dict:
    """Of each case by (machine, case), without what the counting adds: case "nothing" of the same machine."""
    counts = {tuple(label.split()): count for label, count in callgrind.measure("engine").items()}
    return {(machine, case): count - counts[machine, "nothing"] for (machine, case), count in counts.items()}


def counted() -> dict:
    """What is counted of each case: stores, lines and so on."""
    found = {}
    for line in callgrind.output_of([callgrind.program("engine-counts")]).splitlines():
        machine, case, *counts = line.split()
        found[(machine, case)] = dict(zip(COUNTED, map(int, counts)))
    return found


# ---- rows ----

def by_vendor(figures: dict, machine: str, *cases: str, divide: int = 1) -> dict:
    """Sum of the cases' figures on the machine of each vendor. A flush may be no case of its own."""
    if any((vendor + machine, cases[0]) not in figures for vendor in VENDORS):
        raise Failed(f"engine.c has no case {cases[0]}")
    return {vendor: round(sum(figures.get((vendor + machine, case), 0) for case in cases) / divide, 2)
            for vendor in VENDORS}


def instruction_rows(case: Case, counts: dict) -> list:
    def row(key: str, values: dict, bar: Bar = NO_BAR, peers: str = "", part: str = "") -> Row:
        return Row(f"engine.{key}", case.name, "instructions", values, bar, peers, part=part)

    flush = f"{case.key}-flush"
    rows = [row(case.key, by_vendor(counts, "", case.key, divide=case.elements), case.bar, case.peers)]
    if case.flush:
        rows.append(row(flush, by_vendor(counts, "", flush), part="the flush after it"))
    if case.incoherent:
        rows.append(row(case.key + INCOHERENT, by_vendor(counts, INCOHERENT, case.key, flush, divide=case.elements),
                        part="not coherent, with the flush"))
    return rows


def count_rows(case: Case, found: dict) -> list:
    rows = []
    for what in COUNTED:
        if (bar := getattr(case, what)) is not None:
            values = by_vendor({name: counts[what] for name, counts in found.items()},
                               INCOHERENT if what == "lines" else "", case.key, f"{case.key}-flush")
            rows.append(Row(f"engine.{case.key}.{what}", case.name, what, values, bar, part=what,
                            floor=(bar.ceiling if bar.aim is None else bar.aim) if case.floor else None))
    return rows


def rows() -> list:
    counts, found = instructions(), counted()
    return [row for case in CASES
            for row in (instruction_rows(case, counts) if case.instructions else []) + count_rows(case, found)]

# SPDX-License-Identifier: MIT
"""The bus address space as an SVG: rows from the top address down to 0, each as high as the logarithm of its size."""
from dataclasses import dataclass, field
from html import escape
from math import log2

MSI = (0xfee00000, 0xfeefffff)
GIB4 = 1 << 32
REGIONS_MAX = 22
FAULT_ROWS_MAX = 8

LANES = (("ram", "RAM"), ("special", "reserved, special"), ("device", "device windows"), ("fault", "blocked DMA"))
LANE_X = {"ram": 200, "special": 330, "device": 460, "fault": 590}
LANE_WIDTH = 118
WIDTH = 720


@dataclass
class Region:
    lane: str
    kind: str  # class of the picture's style
    first: int
    last: int
    label: str
    parts: int = 1  # ranges that are drawn as one


@dataclass
class Map:
    regions: list = field(default_factory=list)
    faults: list = field(default_factory=list)  # (address, label)
    end: int = 0  # one past the last address drawn
    bits: int | None = None  # of a bus address


def size_words(size):
    for shift, unit in ((60, "EiB"), (50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >> shift:
            return f"{size / (1 << shift):.4g} {unit}"
    return f"{size} bytes"


def _regions(facts):
    for first, last in facts.ram:
        yield Region("ram", "ram", first, last, "RAM")
    if "leaving" in facts.said and (base := facts.first("leaving", "base", "")).startswith("0x"):
        try:
            first = int(base, 16)
            yield Region("special", "hypervisor", first, first + max(facts.count("image_bytes") or 1 << 20, 1) - 1,
                         "hypervisor's image")
        except ValueError:
            pass
    yield Region("special", "msi", *MSI, "interrupt window")
    for one in facts.reserved:
        kind = "refused" if one.refused else "reserved"
        yield Region("special", kind, one.base, max(one.base, one.limit), "reserved, refused" if one.refused else "reserved")
    for unit in facts.units:
        yield Region("special", "unit", unit.base, unit.base + 0xfff, f"IOMMU {unit.words['index']}")
    for device in facts.devices.values():
        kind = "barred" if facts.status_of(device)[0] == "barred" else "device"
        for first, last in device.windows:
            yield Region("device", kind, first, max(first, last), device.id)


def _gap_to_merge(regions):
    """The two neighbours of one lane and kind with the smallest gap between them, for its size; or None."""
    best = None
    for lane, _ in LANES:
        row = sorted((one for one in regions if one.lane == lane), key=lambda one: one.first)
        for low, high in zip(row, row[1:]):
            same = low.kind == high.kind and (low.first < GIB4) == (high.first < GIB4)
            if same and (best is None or high.first - low.last < best[0]):
                best = (high.first - low.last, low, high)
    return best


def _merged(regions):
    """So few regions that they can be read: neighbours become one, the nearest first."""
    regions = list(regions)[:600]
    while len(regions) > REGIONS_MAX and (best := _gap_to_merge(regions)):
        _, low, high = best
        regions.remove(high)
        low.last, low.parts = max(low.last, high.last), low.parts + high.parts
        if low.lane == "device" and not low.label.endswith(" ..."):
            low.label += " ..."
    return regions


def make_map(facts):
    regions = _merged(_regions(facts))
    bits = min((min(int(unit.words["bits"]), 64) for unit in facts.units), default=None)
    faults = []
    for fault in facts.faults.values():
        if fault.access != "interrupt":
            faults += [(bfn << 12, f"{fault.device} {'W' if fault.access.startswith('write') else 'R'}")
                       for bfn in fault.places]
    end = max([GIB4] + [one.last + 1 for one in regions] + [address + 4096 for address, _ in faults])
    if bits is not None:
        end = max(end, 1 << bits)
    return Map(regions, sorted(faults), end, bits)


def _edges(drawn):
    edges = {0, GIB4, drawn.end} | ({1 << drawn.bits} if drawn.bits else set())
    for one in drawn.regions:
        edges |= {one.first, one.last + 1}
    # A fault far from anything gets a row that is not all of the emptiness around it, but from a power of two on.
    powers = {1 << address.bit_length() - 1 for address, _ in drawn.faults if address >= GIB4}
    edges |= set(sorted(powers)[:FAULT_ROWS_MAX])
    return sorted(edge for edge in edges if edge <= drawn.end)


def _height(size):
    return 15 + max(0.0, log2(size) - 12) * 0.9


def _rows(drawn):
    """(first, one past the last, y, height) from the top down."""
    edges = _edges(drawn)
    rows, y = [], 40.0
    for low, high in reversed(list(zip(edges, edges[1:]))):
        rows.append((low, high, y, _height(high - low)))
        y += rows[-1][3]
    return rows, y


def _y_of(rows, address):
    """Within its row an address lies where it should; for the end of a region, the row's edge."""
    for low, high, y, height in rows:
        if low <= address < high:
            return y + height * (1 - (address - low) / (high - low))
    return rows[0][2]


def _text(x, y, text, css="", anchor="start"):
    return f'<text x="{x}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(text)}</text>'


def _draw_region(one, rows):
    top, bottom = _y_of(rows, one.last + 1), _y_of(rows, one.first)
    x = LANE_X[one.lane]
    label = one.label if one.parts == 1 or one.label.endswith("...") else f"{one.label}, {one.parts} parts"
    title = f"{one.label}: {one.first:#x} to {one.last:#x}, {size_words(one.last - one.first + 1)}"
    return (f'<g><title>{escape(title)}</title><rect x="{x}" y="{top:.1f}" width="{LANE_WIDTH}" '
            f'height="{max(bottom - top, 3):.1f}" class="{one.kind}"/>'
            + _text(x + 6, (top + bottom) / 2 + 4, label[:19], "on") + "</g>")


def _draw_faults(drawn, rows):
    """A mark at each address, and one label for those that come to lie on one another."""
    parts, groups, marked = [], [], set()
    for address, label in drawn.faults:
        y = _y_of(rows, address + 2048)
        if round(y) not in marked:
            parts.append(f'<circle cx="{LANE_X["fault"] + 8}" cy="{y:.1f}" r="4" class="fault"><title>'
                         f'{escape(label)} at {address:#x}</title></circle>')
        marked.add(round(y))
        if groups and abs(groups[-1][0] - y) < 13:
            groups[-1][1].append(address)
        else:
            groups.append((y, [address]))
    for y, addresses in groups:
        text = f"{addresses[0]:#x}" if len(addresses) == 1 else f"{len(addresses)} addresses"
        parts.append(_text(LANE_X["fault"] + 18, y + 4, text, "small"))
    return parts


def _draw_rows(drawn, rows):
    parts, last = [], -99.0
    for low, high, y, height in rows:
        empty = not any(one.first < high and one.last >= low for one in drawn.regions)
        css = "row empty" if empty else "row"
        parts.append(f'<rect x="190" y="{y:.1f}" width="{WIDTH - 190}" height="{height:.1f}" class="{css}"/>')
        parts.append(_text(182, y + height + 1, f"{low:#x}", "address", "end"))
        if height > 14 and y - last > 0:
            parts.append(_text(8, y + height / 2 + 4, size_words(high - low), "small"))
    return parts


def svg(drawn):
    """The picture. Everything that came from the log is escaped."""
    rows, bottom = _rows(drawn)
    parts = [f'<svg viewBox="0 0 {WIDTH} {bottom + 14:.0f}" role="img" aria-labelledby="map-title map-text" class="map">',
             '<title id="map-title">The bus address space</title>',
             '<desc id="map-text">Addresses from the highest at the top down to 0, in four columns: RAM, reserved and special '
             'ranges, windows of devices, and addresses at which DMA was blocked. The table below says the same.</desc>']
    parts += [_text(LANE_X[lane] + (0 if lane != "fault" else 4), 18, words, "head") for lane, words in LANES]
    parts.append(_text(182, 36, f"{drawn.end:#x}", "address", "end"))
    parts += _draw_rows(drawn, rows)
    marks = [(GIB4, "4 GiB")] + ([(1 << drawn.bits, "end of the bus")] if drawn.bits else [])
    for address, words in marks:
        y = _y_of(rows, address)
        parts.append(f'<line x1="190" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" class="four"/>'
                     + _text(WIDTH - 4, y - 3, words, "head", "end"))
    parts += [_draw_region(one, rows) for one in drawn.regions]
    parts += _draw_faults(drawn, rows)
    return "\n".join(parts + ["</svg>"])

# SPDX-License-Identifier: MIT
"""The picture: what an element of one IOMMUOP call costs, by how many there are, on both vendors, beside the peers."""

from dataclasses import dataclass
from math import log2
from pathlib import Path
from xml.sax.saxutils import escape

from tests.bench import peers
from tests.bench.calls import EACH_OF_256, SIZES
from tests.bench.row import number
from tests.runner.core import Failed
from tests.runner.paths import ROOT

SUBJECT = "calls"
GOAL = EACH_OF_256["contiguous"].ceiling
PICTURE = ROOT / "docs/benchmarks.svg"

WIDTH, HEIGHT = 960, 560
TOP, BOTTOM = 92, 420  # of both panels
PANELS = (("map", 70, 490), ("unmap", 530, 950))  # left and right edges
TICKS = (25, 50, 100, 200, 400, 800, 1600, 3200)
LEGEND_AT, LEGEND_LINE, LEGEND_COLUMNS = 486, 22, (70, 330, 620)

# Two palettes, of Okabe and Ito's colours, which the colour-blind can tell apart; the reader's theme chooses.
STYLE = """
text { font: 13px sans-serif; fill: #24292f }
.title { font-size: 17px; font-weight: bold } .panel { font-size: 15px; font-weight: bold }
.small { font-size: 12px } .middle { text-anchor: middle } .end { text-anchor: end }
.back { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #57606a }
.line { fill: none; stroke-width: 2.5 } .thin { stroke-width: 1.5; stroke-dasharray: 6 4 } .aim { stroke-dasharray: 2 3 }
.vtd { stroke: #0072b2 } .amd { stroke: #d55e00 } .xcp { stroke: #8250a0 } .rfc { stroke: #007a5a }
.rfcamd { stroke: #7a6a00 } .goal { stroke: #57606a }
circle, rect.mark, path.mark { stroke-width: 2 }
.vtd.full { fill: #0072b2 } .amd.full { fill: #d55e00 } .open { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .back, .open { fill: #0d1117 } .grid { stroke: #30363d } .axis, .goal { stroke: #9198a1 }
.vtd { stroke: #56b4e9 } .amd { stroke: #e69f00 } .xcp { stroke: #cc9fe0 } .rfc { stroke: #2fc99a }
.rfcamd { stroke: #f0e442 } .vtd.full { fill: #56b4e9 } .amd.full { fill: #e69f00 }
}"""


@dataclass
class Series:
    label: str
    style: str  # classes of its line and its marks
    thin: bool
    told: bool  # its figure of the largest batch is written down
    mark: str  # circle, square, or the corners of a shape around 0,0
    points: dict  # "map", "unmap": {elements: instructions an element}


DIAMOND, UP, DOWN = "M0,-6 6,0 0,6 -6,0Z", "M0,-6 6,5 -6,5Z", "M0,6 6,-5 -6,-5Z"
PEERS = {"XCP-ng, VT-d": ("xcp", DIAMOND), "RFC, VT-d": ("rfc", UP), "RFC, AMD-Vi": ("rfcamd", DOWN)}
OURS = (("VT-d", "intel", "vtd", "circle"), ("AMD-Vi", "amd", "amd", "square"))
BATCHES = (("contiguous", "consecutive", False), ("scattered", "scattered BFNs", True))


def series(rows: list) -> list:
    values = {row.key: row.values for row in rows}

    def ours(what: str, batch: str, vendor: str) -> dict:
        return {size: values[f"{SUBJECT}.{what}-{batch}.{size}"][vendor] for size in SIZES}

    try:
        found = [Series(f"Sluice, {name}, {words}", style, thin, not thin and vendor == "intel", mark,
                        {what: ours(what, batch, vendor) for what, *_ in PANELS})
                 for batch, words, thin in BATCHES for name, vendor, style, mark in OURS]
    except KeyError as missing:
        raise Failed(f"the plot needs the figure {missing}, which was not measured") from None
    return found + [Series(name, style, True, True, mark,
                           {what: {size: both[index] for size, both in peers.CONSECUTIVE[name].items()}
                            for index, (what, *_) in enumerate(PANELS)}) for name, (style, mark) in PEERS.items()]


# ---- places ----

def x_of(size: int, left: int, right: int) -> float:
    return left + 14 + (right - left - 64) * log2(size) / log2(SIZES[-1])


def y_of(value: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * log2(value / TICKS[0]) / log2(TICKS[-1] / TICKS[0])


# ---- parts ----

def text(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def mark(x: float, y: float, one: Series, tip: str) -> str:
    style = f"{one.style} {'open' if one.thin else 'full'}"
    tip = f"<title>{escape(tip)}</title>"
    if one.mark == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{style}">{tip}</circle>'
    if one.mark == "square":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" class="mark {style}">{tip}</rect>'
    return f'<path d="{one.mark}" transform="translate({x:.1f},{y:.1f})" class="mark {style}">{tip}</path>'


def curve(one: Series, what: str, left: int, right: int) -> list:
    places = [(x_of(size, left, right), y_of(value), size, value) for size, value in one.points[what].items()]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in places)
    x, y, _, last = places[-1]
    return [f'<polyline points="{path}" class="line {"thin " if one.thin else ""}{one.style}"/>'] + \
        [mark(x, y, one, f"{one.label}: {what} {size}, {number(value)} instructions an element")
         for x, y, size, value in places] + ([text(x + 10, y + 4, f"{last:,.0f}", "small")] if one.told else [])


def panel(what: str, left: int, right: int, all_series: list) -> list:
    parts = [text((left + right) / 2, TOP - 14, what, "panel middle")]
    for tick in TICKS:
        parts += [line(left, y_of(tick), right, y_of(tick), "grid"),
                  text(left - 8, y_of(tick) + 4, number(tick), "small end")]
    for size in SIZES:
        parts.append(text(x_of(size, left, right), BOTTOM + 18, str(size), "small middle"))
    parts += [line(left, BOTTOM, right, BOTTOM, "axis"), line(left, TOP, left, BOTTOM, "axis"),
              text((left + right) / 2, BOTTOM + 38, "elements in one call", "middle"),
              line(left, y_of(GOAL), right, y_of(GOAL), "line thin aim goal")]
    for one in reversed(all_series):  # ours are drawn over the others
        parts += curve(one, what, left, right)
    return parts


def legend(all_series: list) -> list:
    entries = [*((one.label, one) for one in all_series), (f"most for 256 that is aimed at: {GOAL:.0f}", None)]
    parts = []
    for index, (label, one) in enumerate(entries):
        x, y = LEGEND_COLUMNS[index // 3], LEGEND_AT + LEGEND_LINE * (index % 3)
        style = f"{'thin ' if one.thin else ''}{one.style}" if one else "thin aim goal"
        parts += [line(x, y, x + 36, y, f"line {style}"), text(x + 46, y + 4, label)]
        if one:
            parts.append(mark(x + 18, y, one, label))
    return parts


def drawing(rows: list) -> str:
    found = series(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             'role="img">', "<title>Instructions an element of an IOMMUOP call, by the size of the batch</title>",
             f"<style>{STYLE}</style>", f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
             text(20, 30, "One IOMMUOP call: instructions an element", "title"),
             text(20, 52, "Guest's stub and flush included, tables in place, under QEMU's -icount. "
                          "Both scales are logarithmic.", "small")]
    for what, left, right in PANELS:
        parts += panel(what, left, right, found)
    return "\n".join([*parts, *legend(found), "</svg>"]) + "\n"


def write(rows: list, file: Path) -> None:
    file.write_text("<!-- SPDX-License-Identifier: MIT -->\n" + drawing(rows))

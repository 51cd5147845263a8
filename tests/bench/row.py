# SPDX-License-Identifier: MIT
"""A row of the table: what was counted on each vendor, beside what must hold, what is aimed at, and what others need."""

from dataclasses import dataclass

VENDORS = ("intel", "amd")
EITHER = "either"  # in the place of a vendor, for a figure that has to do with none


@dataclass(frozen=True)
class Bar:
    ceiling: float | None = None
    aim: float | None = None


NO_BAR = Bar()


def must(most: float) -> Bar:
    """A ceiling: ./tools/bench and ./tools/test fail above it."""
    return Bar(ceiling=most)


def aim(most: float, until: float | None = None) -> Bar:
    """What is to be reached, and the ceiling until then. Once it is reached, write must(most) in its place."""
    return Bar(ceiling=until, aim=most)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.1f}"


def on(vendor: str) -> str:
    return "" if vendor == EITHER else f" on {vendor}"


@dataclass
class Row:
    key: str  # SUBJECT.NAME, for machines: it stays when words change
    name: str
    unit: str
    values: dict  # by vendor, or of EITHER
    bar: Bar = NO_BAR
    peers: str = ""
    floor: float | None = None  # nobody can do with less
    part: str = ""  # of what `name` names
    amd_bar: Bar | None = None  # where AMD's differs
    shown: bool = True  # in the table; else only in --json, the baseline and the plot
    stored: bool = True  # in the baseline

    @property
    def subject(self) -> str:
        return self.key.partition(".")[0]

    @property
    def title(self) -> str:
        return f"{self.name}: {self.part}" if self.part else self.name

    @property
    def at_floor(self) -> bool:
        return self.floor is not None and all(value == self.floor for value in self.values.values())

    def bar_on(self, vendor: str) -> Bar:
        return self.amd_bar if vendor == "amd" and self.amd_bar else self.bar

    def wrong(self) -> list:
        """A sentence for each vendor that is above its ceiling, or below what cannot be: then something was not counted."""
        return self.exceeded() + [
            f"{self.title}{on(vendor)}: {number(value)} {self.unit}, less than the floor of {number(self.floor)}: "
            "something is not counted" for vendor, value in self.values.items()
            if self.floor is not None and value < self.floor]

    def exceeded(self) -> list:
        return [f"{self.title}{on(vendor)}: {number(value)} {self.unit}, the ceiling is "
                f"{number(self.bar_on(vendor).ceiling)}" for vendor, value in self.values.items()
                if self.bar_on(vendor).ceiling is not None and value > self.bar_on(vendor).ceiling]

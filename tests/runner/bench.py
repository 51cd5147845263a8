# SPDX-License-Identifier: MIT
"""Group bench: the ceilings of tests/bench/figures.py hold. Instruction counts, never time."""

from .core import Case, Failed


ON_INTEL = {"vendor": "intel", "only": "intel: a ceiling is for one machine"}


def judge(name: str) -> None:
    from tests.bench import figures
    rows = figures.measure(name)
    over = [f"{row.name}: {row.text()}, the ceiling is {row.ceiling_text()}" for row in rows if row.exceeded]
    if over:
        raise Failed(over[0], "\n".join(over))


def cases() -> list:
    from tests.bench import figures
    return [Case("bench", name, lambda n=name: judge(n), about, **(ON_INTEL if name in figures.BOOTED else {}))
            for name, about in figures.SUBJECTS]

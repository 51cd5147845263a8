# SPDX-License-Identifier: MIT
"""Group bench: the ceilings hold, and no count grew over the stored baseline. Instruction counts, never time."""

import time
from typing import Callable

from .core import Case, Failed, Result

PARTS = ("ceilings", "baseline")


def judge_ceilings(rows: list) -> tuple:
    wrong = [sentence for row in rows for sentence in row.wrong()]
    if wrong:
        raise Failed(wrong[0], "\n".join(wrong))
    return "passed", ""


def judge_baseline(subject: str, rows: list) -> tuple:
    """Status and reason."""
    from tests.bench import baseline
    if why := baseline.stranger(subject):
        return "skipped", why
    found = baseline.compare_with_stored(rows)
    if found.bad:
        raise Failed(f"{found.bad[0]}; {baseline.WHAT_TO_DO}", "\n".join(found.bad))
    fell = f"{len(found.fallen)} fell by more than 2 %, so the baseline is old: {baseline.UPDATE} {subject}"
    return "passed", fell if found.fallen else ""


def judge_part(name: str, seconds: float, body: Callable[[], tuple]) -> Result:
    try:
        status, reason = body()
        return Result(name, status, seconds, reason)
    except Failed as failure:
        return Result(name, "failed", seconds, str(failure), failure.output)


def judge(subject: str, tables: str | None) -> list:
    """Measured once, judged twice."""
    from tests.bench import figures
    start = time.monotonic()
    rows = figures.measure(subject, tables)
    seconds = time.monotonic() - start
    return [judge_part(f"bench/{subject}/ceilings", seconds, lambda: judge_ceilings(rows)),
            judge_part(f"bench/{subject}/baseline", 0, lambda: judge_baseline(subject, rows))]


def same(what: str, seen: list, wanted: list) -> None:
    if seen != wanted:
        raise Failed(f"{what}: {seen}, not {wanted}")


def judge_comparison() -> None:
    """What the other cases of the group rest on: which differences are told, and as what."""
    from tests.bench import baseline
    from tests.bench.row import Row, aim, must
    stored = {"grown": 100, "within": 100, "fallen": 100, "from-nothing": 0, "given-back": -4, "gone": 1}
    counted = {"grown": 102.1, "within": 101.9, "fallen": 97.9, "from-nothing": 1, "given-back": -4, "new": 1}
    rows = [Row(f"engine.{key}", key, "stores", {"intel": value}) for key, value in counted.items()]
    found = baseline.compare(rows, {"engine": {key: {"intel": value} for key, value in stored.items()}})
    same("grown", [sentence.split()[0] for sentence in found.grown], ["grown", "from-nothing"])
    same("fallen", [sentence.split()[0] for sentence in found.fallen], ["fallen"])
    same("missing", [sentence.split()[0] for sentence in found.missing], ["new", "engine.gone"])
    bars = {"must": (must(10), must(20)), "until": (aim(5, until=10), aim(5, until=20)), "aim": (aim(5), None)}
    rows = [Row(f"engine.{key}", key, "stores", {"intel": 11, "amd": 11}, bar, amd_bar=amd)
            for key, (bar, amd) in bars.items()]
    rows.append(Row("engine.floor", "floor", "stores", {"intel": 11, "amd": 10}, floor=11))
    same("wrong", [sentence.split(":")[0] for row in rows for sentence in row.wrong()],
         ["must on intel", "until on intel", "floor on amd"])


def cases(tables: str | None) -> list:
    from tests.bench import figures
    return [Case("bench", "comparison", judge_comparison, "what counts as grown, fallen, missing, above a ceiling or below a floor")] + \
        [Case("bench", subject.name, lambda s=subject: judge(s.name, tables), subject.about, PARTS)
         for subject in figures.SUBJECTS.values()]

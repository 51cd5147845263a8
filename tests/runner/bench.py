# SPDX-License-Identifier: MIT
"""Group bench: the ceilings hold, and no count grew over the stored baseline. Instruction counts, never time."""

import time

from .core import Case, Failed, Result

PARTS = ("ceilings", "baseline")


def judge_ceilings(rows: list) -> None:
    over = [sentence for row in rows for sentence in row.exceeded()]
    if over:
        raise Failed(over[0], "\n".join(over))


def judge_baseline(subject: str, rows: list) -> tuple:
    """Status and reason."""
    from tests.bench import baseline
    if why := baseline.stranger(subject):
        return "skipped", why
    found = baseline.compare(rows)
    if found.bad:
        raise Failed(f"{found.bad[0]}; {baseline.WHAT_TO_DO}", "\n".join(found.bad))
    fell = f"{len(found.fallen)} fell by more than 2 %, so the baseline is old: {baseline.UPDATE} {subject}"
    return "passed", fell if found.fallen else ""


def judge(subject: str, tables: str | None) -> list:
    from tests.bench import figures
    start = time.monotonic()
    rows = figures.measure(subject, tables)
    seconds = time.monotonic() - start
    results = []
    for part, body in zip(PARTS, (lambda: judge_ceilings(rows) or ("passed", ""), lambda: judge_baseline(subject, rows))):
        name = f"bench/{subject}/{part}"
        try:
            results.append(Result(name, *(lambda said: (said[0], seconds, said[1]))(body())))
        except Failed as failure:
            results.append(Result(name, "failed", seconds, str(failure), failure.output))
    return results


def cases(tables: str | None) -> list:
    from tests.bench import figures
    return [Case("bench", subject.name, lambda s=subject: judge(s.name, tables), subject.about, PARTS)
            for subject in figures.SUBJECTS.values()]

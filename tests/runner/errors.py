# SPDX-License-Identifier: MIT
"""docs/errors.md against the texts of guest-abi/ and the conformance guests: each errno that a text names has a row under
that text; each test that a row names exists, and a guest named there asks for the row's errno."""

import re

from .core import Case, Failed
from .guests import FOLDER
from .paths import ROOT

DOCUMENT = ROOT / "docs/errors.md"
TEXTS = ROOT / "guest-abi"
ERRNO = re.compile(r"-E[A-Z0-9]{2,}\b")


def rows() -> list:
    """(text, call, errno, tests) of each row; the tests are a list of names."""
    found, text = [], ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            text = line[3:]
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and ERRNO.fullmatch(cells[1]):
            found.append((text, cells[0], cells[1], cells[3].replace("`", "").split()))
    return found


def named_by(text: str) -> set:
    """The errnos of a text, those of its code blocks aside."""
    return set(ERRNO.findall(re.sub(r"^```.*?^```$", "", (TEXTS / text).read_text(), flags=re.MULTILINE | re.DOTALL)))


def asks_for(guest: str, errno: str) -> bool:
    return any(re.search(rf"{errno}\b", file.read_text()) for file in (FOLDER / guest).glob("*.c"))


def problems(known: set) -> list:
    table = rows()
    found = [f"{text}: {errno} has no row" for text in sorted(path.name for path in TEXTS.glob("*.md"))
             for errno in sorted(named_by(text) - {row[2] for row in table if row[0] == text})]
    for text, call, errno, tests in table:
        for test in tests:
            group, _, name = test.partition("/")
            if not any(one == test or one.startswith(f"{test}/") for one in known):
                found.append(f"{text}, {call}: there is no test {test}")
            elif group == "guest" and not asks_for(name, errno):
                found.append(f"{text}, {call}: {test} does not name {errno}")
    return found


def judge(known: set) -> None:
    if found := problems(known):
        raise Failed(f"{len(found)} deviations from {DOCUMENT.relative_to(ROOT)}: {found[0]}", "\n".join(found))


def case(cases: list) -> Case:
    known = {name for each in cases for name in each.names()}
    return Case("style", "errors-table", lambda: judge(known),
                "each errno of the guest author's texts has a row in docs/errors.md, and the tests it names ask for it")

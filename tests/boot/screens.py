# SPDX-License-Identifier: MIT
"""What the screen shows: pictures that QEMU takes at the end of a run are read by the hypervisor's font, cell by cell,
and held against the serial log.

python3 -m tests.boot.screens makes the pictures of docs/screen.md anew, from the same runs."""

import re

from tests.runner.core import Failed
from tests.runner.paths import ROOT
from tests.runner.vm import Run

from lib.picture import plain  # noqa: E402  (tools/lib, by paths.py)

PICTURES = {"tour-800x600": "screen-800x600/amd", "tour-3840x2160": "screen-4k/intel", "refusal": "screen-refusal",
            "fault": "screen-fault/intel"}

# kernel/screen/screen.c
PLAIN, GUEST, ALERT, FAULT = (bytes.fromhex(colour) for colour in ("c9d1d9", "8fbcdb", "f2c879", "ff9d8a"))


def logged(run: Run) -> str:
    """What the kernel said on the serial port and must say on the screen: all but the summary, for programs."""
    start = run.text.find("sluice: Sluice, ")
    if start < 0:
        raise Failed("the kernel did not speak", run.text)
    words = run.text[start:].partition("\nQEMU: ")[0]  # QEMU's own, behind the log
    return re.sub(r"^sluice: summary .*", "", words, flags=re.MULTILINE)


def rows(run: Run, width: int, height: int) -> list:
    if run.picture is None:
        raise Failed("there is no picture", run.text)
    if (run.picture.width, run.picture.height) != (width, height):
        raise Failed(f"firmware chose {run.picture.width}x{run.picture.height}, not {width}x{height}")
    return run.picture.rows()


def judge_colours(lines: list) -> None:
    """A line has the colour of who speaks; one that continues another begins with blanks."""
    for line in lines:
        text = "".join(character or "?" for character, _ in line)
        colours = {ink for character, ink in line if character != " "}
        if not colours or text[0] == " ":
            continue
        if len(colours) > 1:
            raise Failed(f"a row has several colours: {text}")
        ink = colours.pop()
        wanted = ((FAULT,) if text.startswith("sluice: panic") else
                  (PLAIN, ALERT, FAULT) if text.startswith("sluice: ") else (GUEST,))
        if ink not in wanted:
            raise Failed(f"a row has the colour #{ink.hex()}: {text}")


def shows(width: int, height: int, least: int, *words: str):
    """The screen of that size holds the log, from a row's beginning to the end, in at least that many rows."""
    def check(run: Run) -> None:
        lines = rows(run, width, height)
        judge_colours(lines)
        text = run.picture.text()
        if not plain(logged(run)).endswith(plain(text)):
            raise Failed("the screen does not show the end of the log", f"{text}\n---- log ----\n{run.text}")
        used = sum(any(character != " " for character, _ in line) for line in lines)
        if used < least:
            raise Failed(f"the screen has {used} rows of text, not {least}", text)
        for expected in words:
            if plain(expected) not in plain(text):
                raise Failed(f"the screen does not say '{expected}'", text)
    return check


def refuses(width: int, height: int, reason: str):
    """The reason is on the screen, in the voice of refusals."""
    shown = shows(width, height, 1, reason)

    def check(run: Run) -> None:
        shown(run)
        for line in rows(run, width, height):
            text = "".join(character or "?" for character, _ in line)
            if reason in text and {ink for character, ink in line if character != " "} != {ALERT}:
                raise Failed(f"a refusal is not amber: {text}")
    return check


def guest_draws(run: Run) -> None:
    """Nothing was drawn after the guest had taken the screen: its pixels are there, and its later words are not."""
    lines = rows(run, 800, 600)
    if run.picture.at(0, 0) != b"\0\xff\0" or run.picture.at(799, 4) != b"\0\xff\0":
        raise Failed("the guest's pixels are not on the screen")
    text = "\n".join("".join(character or "?" for character, _ in line) for line in lines)
    if "draw: before" not in text or "the guest maps the framebuffer" not in text:
        raise Failed("what came before is not on the screen", text)
    if "draw: after" in text or "switched itself off" in text:
        raise Failed("the hypervisor drew on the guest's screen", text)


def main() -> None:
    from tests.runner.boot import cases_by_name, play
    for picture, scenario in PICTURES.items():
        file = ROOT / "docs/screen" / f"{picture}.png"
        file.write_bytes(play(cases_by_name()[scenario]).picture.png())
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()

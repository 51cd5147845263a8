# SPDX-License-Identifier: MIT
"""Counts the hypervisor's source lines, folder by folder: all that boot/, kernel/ and drivers/ have in C, in assembler
and for the linker. "Lines" are all of them; "code" leaves out those that are blank or have nothing but a comment."""

import argparse
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("boot", "kernel", "drivers")
SUFFIXES = (".c", ".h", ".S", ".ld")

# Literals are matched first, so that what looks like a comment in one is none.
TOKEN = re.compile(r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|/\*.*?\*/|//[^\n]*""", re.DOTALL)


def without_comments(text: str) -> str:
    """Each comment becomes the line ends that it spans."""
    return TOKEN.sub(lambda found: found[1] or "\n" * found[0].count("\n"), text)


def count(text: str) -> Counter:
    return Counter(files=1, lines=len(text.splitlines()),
                   code=sum(1 for line in without_comments(text).splitlines() if line.strip()))


def counts_by_folder() -> dict:
    folders: dict = {}
    for path in sorted(path for part in PARTS for path in (ROOT / part).rglob("*") if path.suffix in SUFFIXES):
        folder = path.parent.relative_to(ROOT).as_posix()
        folders.setdefault(folder, Counter()).update(count(path.read_text()))
    return folders


def show(name: str, counts: Counter) -> None:
    print(f"{name:<24}{counts['files']:>7,}{counts['lines']:>9,}{counts['code']:>9,}")


def main() -> None:
    argparse.ArgumentParser(prog="./tools/size", description=__doc__).parse_args()
    folders = counts_by_folder()
    print(f"{'folder':<24}{'files':>7}{'lines':>9}{'code':>9}")
    for name, counts in sorted(folders.items()):
        show(name, counts)
    show("all", sum(folders.values(), Counter()))


if __name__ == "__main__":
    main()

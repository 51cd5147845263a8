# SPDX-License-Identifier: MIT
"""./tools/iommu-tables, with ASan and UBSan in it, as the group tables runs it."""

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .core import Failed

PROGRAM = "iommu-tables.checked"
CLEAN, FINDINGS, UNREADABLE = 0, 1, 2


class Tool:
    """The program, and a folder for what it reads."""

    def __init__(self, build: Path, folder: Path):
        self.program, self.folder = build / PROGRAM, folder

    def run(self, *words, status=None, **options) -> subprocess.CompletedProcess:
        done = subprocess.run([self.program, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"}, **options)
        done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if done.returncode not in (CLEAN, FINDINGS, UNREADABLE) or "Sanitizer" in done.stderr \
                or "runtime error" in done.stderr:
            raise Failed(f"it broke, with status {done.returncode}", done.stderr)
        if status is not None and done.returncode != status:
            raise Failed(f"its status is {done.returncode}, not {status}: {words}", done.stdout + done.stderr)
        return done

    def file(self, content: bytes, name="table.bin") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def json(self, *words, status=None):
        """What it says with --json; an answer that is no strict JSON fails the test."""
        done = self.run("--json", *words, status=status)
        try:
            return json.loads(done.stdout, parse_constant=lambda word: expect(False, f"{word} is no JSON"))
        except ValueError as error:
            raise Failed(f"no valid JSON: {error}", done.stdout[-2000:]) from None

    def table(self, content: bytes, status=None) -> dict:
        return self.json(self.file(content), status=status)

    def tables(self, contents: list) -> list:
        """Many in one run, each in a file of its own."""
        files = [self.file(content, f"{number:05}.bin") for number, content in enumerate(contents)]
        answers = self.json(*files)
        expect(len(answers) == len(files), f"{len(files)} files, {len(answers)} answers")
        return answers


@contextmanager
def tool(build: Path):
    if not (build / PROGRAM).is_file():
        raise Failed(f"{build / PROGRAM} was not built")
    folder = Path(tempfile.mkdtemp(prefix="sluice-tables-"))
    try:
        yield Tool(build, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def expect(holds: bool, complaint: str, output: str = "") -> None:
    if not holds:
        raise Failed(complaint, output)


def same(what: str, found, wanted) -> None:
    expect(found == wanted, f"{what}: {found!r}, not {wanted!r}")

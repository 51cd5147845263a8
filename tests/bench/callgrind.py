# SPDX-License-Identifier: MIT
"""Programs of build/bench under callgrind: each dump they ask for is a figure with a label."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.runner.core import Failed, Skipped
from tests.runner.paths import BUILD


def program(name: str) -> str:
    found = BUILD / "bench" / name
    if not found.is_file():
        raise Skipped("valgrind's headers are not installed, so the programs that are measured were not built")
    return str(found)


def output_of(command: list) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f"{Path(command[0]).name} ended with status {done.returncode}", done.stdout + done.stderr)
    return done.stdout


def measure(name: str, *arguments: str) -> dict:
    """Instructions by the label of each dump of build/bench/NAME."""
    found = program(name)
    if not shutil.which("valgrind"):
        raise Skipped("valgrind is not installed")
    counts = {}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        output_of(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/out", found, *arguments])
        for dump in Path(folder).iterdir():
            text = dump.read_text()
            label = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.MULTILINE)
            total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
            if label and total:
                counts[label[1]] = int(total[1])
    return counts

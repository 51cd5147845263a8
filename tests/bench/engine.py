# SPDX-License-Identifier: MIT
"""The engine's instruction counts: build/bench/engine under callgrind, one dump a case."""

import re
import subprocess
import tempfile
from pathlib import Path


def measure(program: Path) -> dict:
    """Instructions of each case by its name, without what the counting adds."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/out", str(program)],
                       check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        counts = {}
        for dump in Path(folder).iterdir():
            text = dump.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.MULTILINE)
            total = re.search(r"^totals: (\d+)", text, re.MULTILINE)
            if name and total:
                counts[name[1]] = int(total[1])
    base = counts.pop("nothing")
    return {name: count - base for name, count in sorted(counts.items())}


if __name__ == "__main__":
    import sys
    for case, instructions in measure(Path(sys.argv[1])).items():
        print(f"{instructions:10d}  {case}")

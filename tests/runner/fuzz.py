# SPDX-License-Identifier: MIT
"""Group fuzz: each libFuzzer target runs its seeds and a bounded number of mutations of them, always the same ones.
./tools/fuzz runs them for long; docs/fuzzing.md says what each checks."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .core import Case, Failed
from .paths import BUILD, ROOT

FOLDER = ROOT / "tests/fuzz"
RUNS = 20000
TIMEOUT = 120


@dataclass(frozen=True)
class Target:
    name: str
    about: str
    max_len: int = 1024

    def program(self, build: Path = BUILD) -> Path:
        return build / "tests/fuzz" / self.name

    @property
    def built_by(self) -> str:
        return f"fuzz_{self.name}"

    @property
    def seeds(self) -> Path:
        return FOLDER / "corpus" / self.name


TARGETS = {target.name: target for target in (
    Target("boot-config", "any bytes as sluice.conf and as options", 4096),
    Target("decode", "any bytes as an instruction", 24),
    Target("guest-elf", "any bytes as a guest's kernel", 4096),
    Target("dmar", "any bytes as a DMAR: what the parser promises"),
    Target("ivrs", "any bytes as an IVRS: what the parser promises"),
    Target("policy", "a small machine and its DMAR or IVRS: who owns which device, who reaches reserved memory"),
)}

# libFuzzer ends with a status of its own; what broke is in a file with one of these names.
BROKEN = ("crash-", "timeout-", "oom-", "leak-")


def environment() -> dict:
    """Without the surroundings' options, which could switch checks off."""
    return {key: value for key, value in os.environ.items() if key not in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}


def broken_inputs(folder: Path) -> list:
    return sorted(path for path in folder.iterdir() if path.name.startswith(BROKEN))


def smoke(target: Target, build: Path = BUILD) -> None:
    if not target.program(build).is_file():
        raise Failed(f"{target.program(build)} was not built")
    folder = Path(tempfile.mkdtemp(prefix="sluice-fuzz-"))
    corpus = folder / "corpus"  # what is found goes to the first folder named
    command = [target.program(build), f"-runs={RUNS}", "-seed=1", f"-max_len={target.max_len}", "-timeout=20",
               f"-artifact_prefix={folder}/", corpus, target.seeds]
    try:
        corpus.mkdir()
        done = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT)
        if done.returncode != 0:
            broken = [path.read_bytes().hex() for path in broken_inputs(folder)]
            raise Failed(f"ended with status {done.returncode}", "\n".join([done.stdout, *broken]))
        if f"Done {RUNS}" not in done.stdout:
            raise Failed("it did not do its runs", done.stdout)
    except subprocess.TimeoutExpired:
        raise Failed(f"still running after {TIMEOUT} s") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seeds_are_ours() -> None:
    sys.path.insert(0, str(FOLDER))
    try:
        import seeds
    finally:
        sys.path.remove(str(FOLDER))
    if wrong := seeds.differences():
        raise Failed(f"{len(wrong)} files of tests/fuzz/corpus are not as tests/fuzz/seeds.py writes them",
                     "\n".join(wrong))


def case(name: str, build: Path = BUILD) -> Case:
    return Case("fuzz", name, lambda: smoke(TARGETS[name], build), TARGETS[name].about)


def cases() -> list:
    return [Case("fuzz", "seeds", seeds_are_ours, "the seeds are what tests/fuzz/seeds.py writes"),
            *(case(name) for name in TARGETS)]

# SPDX-License-Identifier: MIT
"""Group prove: ./tools/prove for each parser of firmware's tables."""

import subprocess
from pathlib import Path

from .core import Case, Failed, Skipped
from .paths import ROOT

from lib import install  # (tools/lib, by .paths)
from lib.prove_main import PARSERS

TIMEOUT = 600  # it ends by itself after half a minute; a broken parser keeps the prover busy for longer


def run_proof(name: str, root: Path = ROOT) -> None:
    if packages := install.missing(install.PROVE_NEEDS):
        raise Skipped(f"the prover is not installed: {', '.join(packages)}")
    try:
        done = subprocess.run([root / "tools/prove", "--no-install", name], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise Failed(f"still running after {TIMEOUT} s") from None
    if done.returncode != 0:
        raise Failed("there are alarms" if done.returncode == 1 else "the proof could not be made", done.stdout)


def cases() -> list:
    return [Case("prove", name, lambda name=name: run_proof(name), f"no alarm and no unreached code in {source}")
            for name, source in PARSERS.items()]

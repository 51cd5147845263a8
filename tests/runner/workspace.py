# SPDX-License-Identifier: MIT
"""Copies of the tree with one change, built and run beside the real one."""

import atexit
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

from .core import Failed
from .paths import ROOT


def left_out(folder: str, names: list) -> set:
    """Build folders at the top, and what no build needs."""
    at_top = Path(folder) == ROOT
    return {name for name in names if name in (".git", "__pycache__", "mutants")
            or (at_top and name.startswith("build"))}


class Workspace:
    """A copy of the tree with its own build folder, kept between mutants so that each compiles little."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="sluice-mutant-")) / "sluice"
        atexit.register(shutil.rmtree, self.root.parent, ignore_errors=True)
        shutil.copytree(ROOT, self.root, ignore=left_out, symlinks=True)
        self.build = self.root / "build"
        self.tried = False  # whether a test has been seen to pass in it
        self.run(["cmake", "--preset", "release"], "configuring the copy failed")

    def run(self, command: list, complaint: str) -> None:
        done = subprocess.run(command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
        if done.returncode != 0:
            raise Failed(complaint, done.stdout)

    def patch(self, patch: Path, *options: str) -> None:
        self.run(["patch", "-p1", "--no-backup-if-mismatch", "-s", "-F", "2", *options, "-i", str(patch)],
                 "the patch does not apply")

    def make(self, targets: str, complaint: str) -> None:
        if targets:
            self.run(["ninja", "-C", str(self.build), *targets.split()], complaint)


class Pool:
    """Workspaces that are free, and what is known of the tests on the unbroken tree."""

    def __init__(self):
        self.lock = threading.Lock()
        self.free: list = []
        self.sound: dict = {}

    def take(self) -> Workspace:
        with self.lock:
            if self.free:
                return self.free.pop()
        return Workspace()

    def give(self, workspace: Workspace) -> None:
        with self.lock:
            self.free.append(workspace)


POOL = Pool()


@contextmanager
def patched(patch: Path, target: str):
    """A workspace with the patch applied and the target built; unpatched again afterwards."""
    workspace = POOL.take()
    try:
        workspace.patch(patch)
        try:
            workspace.make(target, "the patched copy does not build")
            yield workspace
        finally:
            workspace.patch(patch, "-R")
    finally:
        POOL.give(workspace)

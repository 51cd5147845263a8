# SPDX-License-Identifier: MIT
"""Configures and builds with the release preset; quiet unless it fails."""
import os
import subprocess

from .common import BUILD, ROOT, Trouble, progress

LOADER = BUILD / "BOOTX64.EFI"
GUESTS = BUILD / "guests"


def _step(command, what):
    result = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        raise Trouble(f"{what} failed:\n{result.stdout.rstrip()}")
    return result.stdout


def configure(tool="run"):
    if not (BUILD / "build.ninja").exists():
        progress(tool, "configuring (cmake --preset release)")
        _step(["cmake", "--preset", "release"], "configuring")


def build(targets=(), tool="run", quiet=False):
    """Builds the targets given, or everything. Configures first when that was not done yet."""
    configure(tool)
    if not quiet:
        progress(tool, "building " + (" ".join(targets) if targets else "everything"))
    command = ["cmake", "--build", str(BUILD), "-j", str(os.cpu_count() or 1)]
    if targets:
        command += ["--target", *targets]
    command += ["--", "--quiet"]
    _step(command, "building")
    return BUILD


def has_target(name, tool="run"):
    """Whether the build knows this target."""
    configure(tool)
    return f"\n{name}: phony" in _step(["ninja", "-C", str(BUILD), "-t", "targets", "all"], "ninja")

# SPDX-License-Identifier: MIT
"""Installs what is missing, by apt, or says exactly what to install."""
import glob
import os
import shutil
import subprocess

from .common import Trouble, progress

# What must be there (a program on PATH, or a file, * and all) and the Debian 12 package that brings it.
BUILD_NEEDS = {
    "clang": "clang",
    "ld.lld": "lld",
    "lld-link": "lld",
    "llvm-objcopy": "llvm",
    "cmake": "cmake",
    "ninja": "ninja-build",
    "/usr/include/efi/efi.h": "gnu-efi",
}
IMAGE_NEEDS = {
    "mformat": "mtools",
    "/sbin/sfdisk": "fdisk",
}
RUN_NEEDS = IMAGE_NEEDS | {
    "qemu-system-x86_64": "qemu-system-x86",
    "/usr/share/ovmf/OVMF.fd": "ovmf",
}
GDB_NEEDS = {
    "gdb": "gdb",
}
TEST_NEEDS = {
    "gdb": "gdb",
    "git": "git",
    "/usr/include/cmocka.h": "libcmocka-dev",
    "/usr/include/xen/xen.h": "libxen-dev",
    "clang-format": "clang-format",
    "clang-tidy": "clang-tidy",
    "patch": "patch",
    "valgrind": "valgrind",
    "/usr/include/valgrind/callgrind.h": "valgrind",
    "/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.asan-x86_64.a": "libclang-rt-14-dev",
}
PROVE_NEEDS = {
    "frama-c": "frama-c-base",
    "why3": "why3",
    "z3": "z3",
}


def missing(needs):
    """The packages, sorted, that would bring what is not there."""
    absent = set()
    for thing, package in needs.items():
        there = glob.glob(thing) if thing.startswith("/") else shutil.which(thing)
        if not there:
            absent.add(package)
    return sorted(absent)


def _apt(arguments):
    command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", *arguments]
    if os.geteuid() != 0:
        command = ["sudo", *command]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if os.geteuid() != 0:
        command.insert(1, "DEBIAN_FRONTEND=noninteractive")
    return subprocess.run(command, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def update_lists():
    """Asks the archives what they have."""
    _apt(["update"])


def ensure(needs, allowed=True, tool="run"):
    """Makes sure that all of `needs` is there; raises Trouble with the command to type otherwise."""
    packages = missing(needs)
    if not packages:
        return
    by_hand = "apt-get install " + " ".join(packages)
    if not allowed:
        raise Trouble(f"these Debian packages are missing: {' '.join(packages)}. "
                      f"Install them with: {by_hand}")
    if not shutil.which("apt-get"):
        raise Trouble(f"these are missing and there is no apt-get here: {' '.join(packages)} "
                      "(Debian 12 package names)")
    if os.geteuid() != 0 and not shutil.which("sudo"):
        raise Trouble(f"neither root nor sudo is at hand. As root, type: {by_hand}")

    progress(tool, f"installing {' '.join(packages)}")
    install = ["install", "--no-install-recommends", *packages]
    result = _apt(install)
    if result.returncode != 0:  # a fresh machine has no package lists yet
        update_lists()
        result = _apt(install)
    if result.returncode != 0:
        raise Trouble(f"installing failed:\n{result.stdout.rstrip()}\nBy hand: {by_hand}")
    still = missing(needs)
    if still:
        raise Trouble(f"installed, and yet something of these packages is not found: {' '.join(still)}")

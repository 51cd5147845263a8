# SPDX-License-Identifier: MIT
"""Debian's own kernel as a guest: fetched from Debian's archive, unpacked, not changed in any bit; and a user space for
it, of Debian's busybox and the script in guest-abi/examples/debian.

What was fetched stays in build/debian; whoever wants a newer kernel removes that folder.
"""
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from . import bzimage, install
from .common import BUILD, ROOT, Trouble, progress

NAME = "debian"
CMDLINE = "earlyprintk=xen console=hvc0"
FOLDER = BUILD / "debian"
KERNEL, SHELL, INITRD = FOLDER / "vmlinux", FOLDER / "busybox", FOLDER / "initrd"
INIT = ROOT / "guest-abi/examples/debian/init"
NEEDS = {"cpio": "cpio", "apt-get": "apt", "dpkg-deb": "dpkg"}
META = "linux-image-amd64"  # depends on the kernel of the day


def kernel_package():
    result = subprocess.run(["apt-cache", "depends", "--important", META], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False)
    for line in result.stdout.splitlines():
        word, _, package = line.strip().partition(": ")
        if word == "Depends" and package.startswith("linux-image-"):
            return package
    return None


def member(package, path):
    """One file of a .deb; path as in the archive, its last part up to a *."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as dpkg:
        with tarfile.open(fileobj=dpkg.stdout, mode="r|") as archive:
            for entry in archive:
                if entry.isfile() and entry.name.startswith(path):
                    return archive.extractfile(entry).read()
    raise Trouble(f"'{package.name}' has no {path}")


def download(package, folder):
    """The .deb of a package, in the folder; None without one."""
    subprocess.run(["apt-get", "-q", "download", package], cwd=folder, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    return next(iter(folder.glob(f"{package}_*.deb")), None)


def fetch(tool, allowed):
    """vmlinux and busybox, where they are not there already."""
    if KERNEL.exists() and SHELL.exists():
        return
    if not allowed:
        raise Trouble("Debian's kernel has not been fetched yet; without --no-install it is")
    progress(tool, "fetching Debian's kernel and busybox (about 70 MB)")
    if kernel_package() is None:
        install.update_lists()
    package = kernel_package()
    if package is None:
        raise Trouble(f"apt knows no package {META}: Debian's kernel cannot be fetched here")
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="debian-") as folder:
        packages = [download(name, Path(folder)) for name in (package, "busybox-static")]
        if None in packages:
            raise Trouble(f"Debian's archive does not give {package} and busybox-static; is there a network?")
        FOLDER.mkdir(exist_ok=True)
        keep(KERNEL, bzimage.unpack(member(packages[0], "./boot/vmlinuz-")))
        keep(SHELL, member(packages[1], "./bin/busybox"))
    progress(tool, f"{package} is unpacked in {FOLDER.relative_to(ROOT)}")


def keep(file, content):
    """All or nothing."""
    scratch = file.with_suffix(".new")
    scratch.write_bytes(content)
    scratch.replace(file)


def make_initrd():
    """An archive of the script and busybox. /dev/console is in every kernel's own."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="initrd-") as folder:
        root = Path(folder)
        (root / "bin").mkdir()
        shutil.copy(SHELL, root / "bin/busybox")
        shutil.copy(INIT, root / "init")
        for file in (root / "bin/busybox", root / "init"):
            file.chmod(0o755)
        result = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=root,
                                input=b"bin\nbin/busybox\ninit\n", stdout=subprocess.PIPE, check=True)
    keep(INITRD, result.stdout)


def prepare(tool, allowed=True):
    """Kernel and initrd, ready to be started."""
    install.ensure(NEEDS, allowed, tool)
    BUILD.mkdir(exist_ok=True)
    fetch(tool, allowed)
    make_initrd()
    return KERNEL, INITRD

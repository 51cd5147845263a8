# SPDX-License-Identifier: MIT
"""Debian's own kernel as a guest: fetched from Debian's archive, unpacked, not changed in any bit; and a user space for
it, of Debian's busybox and the script in guest-abi/examples/debian.

What was fetched stays in build/debian; whoever wants a newer kernel removes that folder.
"""
import re
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path

from . import bzimage, install
from .common import BUILD, ROOT, Trouble, progress

NAME = "debian"
CMDLINE = "earlyprintk=xen console=hvc0"
FOLDER = BUILD / "debian"
KERNEL, SHELL, DRIVERS, INITRD = FOLDER / "vmlinux", FOLDER / "busybox", FOLDER / "drivers", FOLDER / "initrd"
INIT = ROOT / "guest-abi/examples/debian/init"
NEEDS = {"cpio": "cpio", "apt-get": "apt", "dpkg-deb": "dpkg"}
META = "linux-image-amd64"  # depends on the kernel of the day
# The driver of NVMe disks, and before it what it needs.
MODULES = ("crc64", "crc64-rocksoft", "crct10dif_common", "crc-t10dif", "t10-pi", "nvme-core", "nvme")


def driver_file(name):
    return DRIVERS / f"{name}.ko"


def kernel_package():
    result = subprocess.run(["apt-cache", "depends", "--important", META], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False)
    for line in result.stdout.splitlines():
        word, _, package = line.strip().partition(": ")
        if word == "Depends" and package.startswith("linux-image-"):
            return package
    return None


@contextmanager
def told_as_damage(package):
    try:
        yield
    except (tarfile.TarError, EOFError):
        raise Trouble(f"'{package.name}' is damaged") from None


def members(package, wanted):
    """Files of a .deb by their names: {wanted's key: content}. wanted: key to regular expression of the whole path."""
    found = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as dpkg, \
            told_as_damage(package):
        with tarfile.open(fileobj=dpkg.stdout, mode="r|") as archive:
            for entry in archive:
                key = next((key for key, path in wanted.items() if re.fullmatch(path, entry.name)), None)
                if key and entry.isfile():
                    found[key] = archive.extractfile(entry).read()
        while dpkg.stdout.read(1 << 20):  # what is behind the archive's end: dpkg-deb complains of a closed pipe
            pass
    if dpkg.returncode != 0:
        raise Trouble(f"'{package.name}' is damaged")
    if missing := sorted(set(wanted) - set(found)):
        raise Trouble(f"'{package.name}' has no {', '.join(missing)}")
    return found


def download(package, folder):
    """The .deb of a package, in the folder; None without one."""
    subprocess.run(["apt-get", "-q", "download", package], cwd=folder, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    return next(iter(folder.glob(f"{package}_*.deb")), None)


def fetch(tool, allowed):
    """Kernel, drivers and busybox, where they are not there already."""
    if all(file.exists() for file in (KERNEL, SHELL, *map(driver_file, MODULES))):
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
        DRIVERS.mkdir(parents=True, exist_ok=True)
        content = members(packages[0], {"kernel": r"\./boot/vmlinuz-.*",
                                        **{name: rf"\./lib/modules/.*/{name}\.ko" for name in MODULES}})
        for name in MODULES:
            keep(driver_file(name), content[name])
        keep(SHELL, members(packages[1], {"busybox": r"\./bin/busybox"})["busybox"])
        keep(KERNEL, bzimage.unpack(content["kernel"]))
    progress(tool, f"{package} is unpacked in {FOLDER.relative_to(ROOT)}")


def keep(file, content):
    """All or nothing."""
    scratch = file.with_suffix(".new")
    scratch.write_bytes(content)
    scratch.replace(file)


def make_initrd():
    """An archive of the script, busybox and the drivers. /dev/console is in every kernel's own."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="initrd-") as folder:
        root = Path(folder)
        (root / "bin").mkdir()
        shutil.copy(SHELL, root / "bin/busybox")
        shutil.copy(INIT, root / "init")
        for file in (root / "bin/busybox", root / "init"):
            file.chmod(0o755)
        (root / "drivers").mkdir()
        for name in MODULES:
            shutil.copy(driver_file(name), root / "drivers")
        (root / "drivers/order").write_text("".join(f"{name}\n" for name in MODULES))
        files = sorted(str(file.relative_to(root)) for file in root.rglob("*"))
        result = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=root,
                                input="\n".join(files).encode(), stdout=subprocess.PIPE, check=True)
    keep(INITRD, result.stdout)


def prepare(tool, allowed=True):
    """Kernel and initrd, ready to be started."""
    install.ensure(NEEDS, allowed, tool)
    BUILD.mkdir(exist_ok=True)
    fetch(tool, allowed)
    make_initrd()
    return KERNEL, INITRD

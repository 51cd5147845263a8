# SPDX-License-Identifier: MIT
"""What the machine boots from: sluice.conf, a disk image (sfdisk and mtools, no root needed), or a plain folder."""
import hashlib
import io
import os
import shutil
import subprocess
import uuid
from pathlib import Path, PurePosixPath

from .common import Trouble

MIB = 1 << 20
SECTORS = MIB // 512
EDGE_MIB = 1                   # before and behind the partition, for the table and its second copy
SPARE_MIB = 48                 # FAT32 has at least 65525 clusters, and a person may want to add a file
LARGE_MIB = 512                # from there on clusters of 4 KiB: fewer of them
SFDISK = "/sbin/sfdisk"        # which is on nobody's PATH but root's
FILES_DATE = "1577836800"      # 2020-01-01: what is made of the same files is the same, whenever that is
ACPI_TABLE = "sluice/table"  # for the test image's option acpi-override


def conf_text(module=False, cmdline="", options=""):
    """A sluice.conf for the file names that esp_files() uses."""
    cmdline, options = cmdline.strip(), options.strip()  # blanks alone would be an empty value, which is refused
    lines = ["guest = sluice/guest"]
    if module:
        lines.append("module = sluice/module")
    if cmdline:
        lines.append(f"cmdline = {cmdline}")
    if options:
        lines.append(f"options = {options}")
    return "\n".join(lines) + "\n"


def esp_files(loader, conf, guest=None, module=None, table=None):
    """Path in the volume -> file or bytes. Absent ones (None) are left out."""
    files = {"EFI/BOOT/BOOTX64.EFI": loader, "sluice/sluice.conf": conf,
             "sluice/guest": guest, "sluice/module": module, ACPI_TABLE: table}
    return {name: content for name, content in files.items() if content is not None}


def _as_bytes(content):
    return content.encode() if isinstance(content, str) else content


def make_folder(folder, files):
    """Lays the files out below a folder, for QEMU's fat:rw: driver (which holds little: 500 MiB)."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, (bytes, str)):
            path.write_bytes(_as_bytes(content))
        else:
            shutil.copyfile(content, path)
    return folder


def _opened(content):
    """The content as a file to read, whatever it is."""
    return io.BytesIO(_as_bytes(content)) if isinstance(content, (bytes, str)) else open(content, "rb")


def least_mib(files):
    """MiB of the smallest image that make_image() puts these files on."""
    used = 0
    for content in files.values():
        with _opened(content) as file:
            used += file.seek(0, os.SEEK_END)
    return 2 * EDGE_MIB + SPARE_MIB + used * 9 // 8 // MIB


def _identity(files):
    """Of the disk and what is on it: the same files have the same, others have another."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        with _opened(content) as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return uuid.UUID(bytes=digest.digest()[:16], version=4)


def _tool(folder, *command, given):
    """Runs it in the folder, so that no path can be taken for an option, a drive or an offset."""
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C", "MTOOLSRC": os.devnull}
    environment.setdefault("SOURCE_DATE_EPOCH", FILES_DATE)
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        try:
            shutil.copyfileobj(given, process.stdin, MIB)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and says why
        said = process.stdout.read().decode(errors="replace").strip().partition("\n")[0]
    if process.returncode != 0:
        raise Trouble(f"{Path(command[0]).name} failed: {said or f'its status is {process.returncode}'}")


def make_image(path, files, mib=None):
    """Writes a disk image, sparse: a GUID partition table, and an EFI system partition (FAT32) with the files. `mib`:
    its size, by default least_mib()."""
    mib = mib or least_mib(files)
    partition_mib = mib - 2 * EDGE_MIB
    identity = _identity(files)
    with open(path, "wb") as image:
        image.truncate(mib * MIB)

    def tool(*command, given=io.BytesIO()):
        _tool(path.parent, *command, given=given)

    tool(SFDISK, "--quiet", "--no-reread", "--no-tell-kernel", path.name, given=_opened(
        f"label: gpt\nlabel-id: {identity}\n"
        f"start={EDGE_MIB * SECTORS}, size={partition_mib * SECTORS}, type=uefi, name=SLUICE, "
        f"uuid={uuid.uuid5(identity, 'SLUICE')}\n"))
    volume = ("-i", f"{path.name}@@{EDGE_MIB}M")
    tool("mformat", *volume, "-F", "-c", "8" if partition_mib >= LARGE_MIB else "1", "-v", "SLUICE",
         "-N", f"{identity.fields[0]:08x}", "-H", str(EDGE_MIB * SECTORS), "-T", str(partition_mib * SECTORS), "::")
    for folder in sorted({str(folder) for name in files for folder in PurePosixPath(name).parents} - {"."}):
        tool("mmd", *volume, f"::{folder}")
    for name, content in files.items():
        with _opened(content) as file:
            tool("mcopy", *volume, "-", f"::{name}", given=file)
    return path

# SPDX-License-Identifier: MIT
"""What the machine boots from: sluice.conf, a FAT image (mtools, no root needed), or a plain folder."""
import shutil
import subprocess

from .common import Trouble

MIB = 1 << 20
ACPI_TABLE = "sluice/table"  # for the test image's option acpi-override


def conf_text(module=False, cmdline="", options=""):
    """A sluice.conf for the file names that esp_files() uses."""
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


def _mtool(*command):
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False)
    if result.returncode != 0:
        raise Trouble(f"{command[0]} failed: {result.stdout.strip()}")


def make_image(path, files):
    """Writes a FAT32 image with the files; large enough, and sparse."""
    folder = make_folder(path.with_suffix(".files"), files)
    used = sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())
    size = (used * 9 // 8 // MIB + 48) * MIB  # FAT32 has at least 65525 clusters
    with open(path, "wb") as image:
        image.truncate(size)
    _mtool("mformat", "-i", str(path), "-F", "-c", "1", "-v", "SLUICE", "-T", str(size // 512), "::")
    for entry in sorted(folder.iterdir()):
        _mtool("mcopy", "-s", "-i", str(path), str(entry), "::")
    shutil.rmtree(folder)
    return path

# SPDX-License-Identifier: MIT
"""Makes a disk image for a USB stick: a GUID partition table and an EFI system partition with Sluice, a guest and a
README.TXT. Builds first. Needs no root, and writes to no device. docs/hardware.md says what to do with it.

Exit status: 0 the image is there; 2 usage, or it could not be made; 130 interrupted.
"""
import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import build, image, install, machine, payload  # noqa: E402
from lib.common import Parser, Trouble, progress, told  # noqa: E402

TOOL = "image"
TEXT = Path(__file__).with_name("stick.txt")
SIZE_MAX = 65536  # MiB
ELF = b"\x7fELF"

ABOUT_DISKS = {True: "The guest on this stick, the tour, only reads from disks.",
               False: "WHAT THE GUEST ON THIS STICK DOES TO YOUR DISKS ITS AUTHOR KNOWS: it owns them all\n"
                      "while it runs."}


def arguments():
    parser = Parser(prog="./tools/image", description=__doc__, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("out", type=Path, metavar="OUT.img", help="the file to make")
    payload.add_arguments(parser)
    add("--size", type=int, metavar="MIB", help="of the image (default: what the files need, and some room)")
    add("--force", action="store_true", help="replace OUT.img if it is there")
    add("--no-install", action="store_true", help="install nothing; say what is missing")
    return parser.parse_args()


def check_out(out, force):
    if out.is_block_device():
        raise Trouble(f"'{out}' is a device, and this tool writes to none. Make a file, such as sluice.img, and then "
                      "copy it: sudo dd if=sluice.img of=/dev/sdX bs=4M conv=fsync, where sdX is the whole stick and "
                      "no partition of it. All that is on the stick will be lost")
    if out.is_dir():
        raise Trouble(f"'{out}' is a folder: name the file to make")
    if not out.absolute().parent.is_dir():
        raise Trouble(f"there is no folder '{out.parent}'")
    if out.absolute().parent.resolve() == Path("/dev"):
        raise Trouble(f"there is no device '{out}', and an image is not kept in /dev")
    if out.exists() and not out.is_file():
        raise Trouble(f"'{out}' is there, and is no file")
    if (out.exists() or out.is_symlink()) and not force:
        raise Trouble(f"'{out}' is there already; --force replaces it")


def check(options):
    check_out(options.out, options.force)
    payload.check(options)
    if options.size is not None and not 1 <= options.size <= SIZE_MAX:
        raise Trouble(f"--size is given in MiB, up to {SIZE_MAX}")


def check_guest(guest):
    with open(guest, "rb") as file:
        if file.read(len(ELF)) != ELF:
            raise Trouble(f"--guest: '{guest}' is not an ELF file, and Sluice starts no other kernels")


def ascii_only(name):
    return name.encode("ascii", "replace").decode()


def stick_text(guest, module):
    """README.TXT as it is on the stick, for any editor."""
    text = TEXT.read_text(encoding="ascii").format(
        disks=ABOUT_DISKS[guest == build.GUESTS / payload.GUEST], guest=f"the guest: {ascii_only(guest.name)}",
        module=f"sluice\\module          its module: {ascii_only(module.name)}\n" if module else "")
    return text.replace("\n", "\r\n")


def stick_files(options, guest):
    conf = image.conf_text(options.module is not None, options.cmdline, options.options)
    files = image.esp_files(build.LOADER, conf, guest, options.module)
    return files | {"README.TXT": stick_text(guest, options.module)}


def make(options, files):
    """All or nothing: what is not complete never has the name that was asked for."""
    least = image.least_mib(files)
    if options.size is not None and options.size < least:
        raise Trouble(f"--size: these files need {least} MiB")
    handle, name = tempfile.mkstemp(prefix=".sluice-", suffix=".img", dir=options.out.absolute().parent)
    os.close(handle)
    scratch = Path(name)
    try:
        image.make_image(scratch, files, options.size)
        mask = os.umask(0)
        os.umask(mask)
        scratch.chmod(0o666 & ~mask)
        scratch.replace(options.out)
    finally:
        scratch.unlink(missing_ok=True)


def tell(out):
    size = out.stat().st_size // image.MIB
    progress(TOOL, f"'{out}' is made: {size} MiB")
    print(f"""
To try it first, in QEMU:

    ./tools/run --image {shlex.quote(str(out))}

To write it to a USB stick of at least {size} MiB. ALL THAT IS ON THE STICK WILL BE LOST.
See which device is the stick, by its size and its model, before and after you put it in:

    lsblk -d -o NAME,SIZE,MODEL,TRAN

Then, with its name in the place of sdX. BE SURE OF THE NAME: the wrong one destroys another disk.

    sudo dd if={shlex.quote(str(out))} of=/dev/sdX bs=4M conv=fsync status=progress

docs/hardware.md goes on from here.""")


def work():
    machine.exit_on_signals()
    options = arguments()
    check(options)
    install.ensure(install.BUILD_NEEDS | install.IMAGE_NEEDS, not options.no_install, TOOL)
    guest = payload.build_all(options, "loader", TOOL)
    check_guest(guest)
    make(options, stick_files(options, guest))
    tell(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(told(TOOL, work))

# SPDX-License-Identifier: MIT
"""What Sluice is to start: a guest and what it is given, as ./tools/run and ./tools/image are told."""
import re
from pathlib import Path

from . import build, bzimage, debian
from .common import BUILD, Trouble

GUEST = "tour"
CMDLINE_MAX = 1023
UNPACKED = BUILD / "unpacked"
OPTIONS_MAX = 1000  # of 1023: ./tools/run adds some of its own


def add_arguments(parser):
    add = parser.add_argument
    add("--guest", default=GUEST, metavar="FILE",
        help=f"guest kernel: the name of one of ours, such as hello; a file, ELF or a boot image of Linux; or "
             f"{debian.NAME}, Debian's kernel with a small user space, which is fetched (default {GUEST})")
    add("--module", type=Path, metavar="FILE", help="module (initrd) for the guest")
    add("--cmdline", default="", metavar="TEXT", help="the guest's command line")
    add("--options", default="", metavar="TEXT", help="the hypervisor's options, such as 'p2m=scramble'")


def check_text(name, text, limit):
    if len(text) > limit:
        raise Trouble(f"--{name} holds at most {limit} characters, this is {len(text)}")
    if not re.fullmatch(r"[ -~]*", text):
        raise Trouble(f"--{name} takes printable ASCII only")


def check_file(name, path):
    if path is None or path.is_file():
        return
    if path.exists():
        raise Trouble(f"--{name}: '{path}' is not a regular file")
    raise Trouble(f"--{name}: there is no file '{path}'")


def check(options):
    check_text("cmdline", options.cmdline, CMDLINE_MAX)
    check_text("options", options.options, OPTIONS_MAX)
    check_file("module", options.module)


def choose_guest(text, tool):
    """The guest built here that has this name, or else a file; with the target that builds it."""
    path = Path(text)
    target = f"guest_{path.name}"
    if ("/" not in text or path.resolve().parent == build.GUESTS) and build.has_target(target, tool):
        return build.GUESTS / path.name, target
    if re.fullmatch(r"[a-z0-9_-]+", text) and not path.exists():
        raise Trouble(f"--guest: '{text}' is neither a file nor a guest that is built here")
    check_file("guest", path)
    return path, None


def unpacked(path):
    """The file itself, or the kernel inside where it is a boot image of Linux."""
    with open(path, "rb") as file:
        data = file.read(bzimage.HEAD)
        if not bzimage.is_bzimage(data):
            return path
        data += file.read()
    UNPACKED.mkdir(exist_ok=True)
    try:
        kernel = bzimage.unpack(data)
    except Trouble as trouble:
        raise Trouble(f"--guest: '{path}' is {trouble}") from None
    inside = UNPACKED / path.name
    inside.write_bytes(kernel)
    return inside


def build_all(options, loader_target, tool):
    """Builds the loader, and the guest where it is one of ours; the guest's file. Debian's kernel brings a module and a
    command line with it, for want of others."""
    if options.guest == debian.NAME:
        build.build([loader_target], tool)
        guest, initrd = debian.prepare(tool, not options.no_install)
        options.module = options.module or initrd
        options.cmdline = options.cmdline or debian.CMDLINE
        return guest
    path, target = choose_guest(options.guest, tool)
    build.build([loader_target] + ([target] if target else []), tool)
    return path if target else unpacked(path)

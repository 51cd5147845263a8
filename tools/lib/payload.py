# SPDX-License-Identifier: MIT
"""What Sluice is to start: a guest and what it is given, as ./tools/run and ./tools/image are told."""
import re
from pathlib import Path

from . import build
from .common import Trouble

GUEST = "tour"
CMDLINE_MAX = 1023
OPTIONS_MAX = 1000  # of 1023: ./tools/run adds some of its own


def add_arguments(parser):
    add = parser.add_argument
    add("--guest", default=GUEST, metavar="FILE",
        help=f"guest kernel: the name of one of ours, such as hello, or a file (default {GUEST})")
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


def build_all(guest, loader_target, tool):
    """Builds the loader, and the guest where it is one of ours; the guest's file."""
    path, target = choose_guest(guest, tool)
    build.build([loader_target] + ([target] if target else []), tool)
    return path

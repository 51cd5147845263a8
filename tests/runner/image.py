# SPDX-License-Identifier: MIT
"""Group image: what ./tools/image makes, and what it does with wrong input. Group boot starts from such images."""

import atexit
import json
import os
import re
import resource
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path

from .core import Case, Skipped
from .paths import ROOT
from .table_tool import expect, same
from .vm import sum_of

from lib.image import EDGE_MIB, MIB, SFDISK  # noqa: E402  (tools/lib, by paths.py)

USAGE = 2
FILES = {"EFI/BOOT/BOOTX64.EFI", "sluice/sluice.conf", "sluice/guest", "README.TXT"}


def call(root: Path, tool: str, *words, **options) -> subprocess.CompletedProcess:
    return subprocess.run([root / "tools" / tool, *words, "--no-install"], stdin=subprocess.DEVNULL, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)


def made(root: Path, out: Path, *words, **options) -> Path:
    done = call(root, "image", out, *words, **options)
    expect(done.returncode == 0, f"its status is {done.returncode}", done.stdout)
    return out


@contextmanager
def folder():
    path = Path(tempfile.mkdtemp(prefix="sluice-image-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@lru_cache
def make() -> Path:
    """An image as a person makes it, kept until the tests are over."""
    path = Path(tempfile.mkdtemp(prefix="sluice-image-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return made(ROOT, path / "stick.img")


def said(*command) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    expect(done.returncode == 0, f"{command[0]} failed", done.stdout + done.stderr)
    return done.stdout


def volume(image: Path) -> str:
    return f"{image}@@{EDGE_MIB}M"


def content(image: Path, name: str) -> bytes:
    return subprocess.run(["mcopy", "-i", volume(image), f"::{name}", "-"], stdout=subprocess.PIPE, check=True).stdout


def names(image: Path) -> set:
    listed = said("mdir", "-i", volume(image), "-b", "-/", "::").splitlines()
    return {name.removeprefix("::/") for name in listed if name and not name.endswith("/")}


def bytes_at(image: Path, offset: int, count: int) -> bytes:
    with open(image, "rb") as file:
        file.seek(offset)
        return file.read(count)


def table(image: Path) -> None:
    """Both copies of the partition table, and one partition, which firmware looks for."""
    verdict = said(SFDISK, "--verify", image)
    expect("No errors detected" in verdict, "sfdisk finds fault with the partition table", verdict)
    told = json.loads(said(SFDISK, "--json", image))["partitiontable"]
    same("label", told["label"], "gpt")
    (partition,) = told["partitions"]
    same("type", partition["type"], "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
    end, volume_at = image.stat().st_size, EDGE_MIB * MIB
    for where in (512, end - 512):
        same(f"header at {where}", bytes_at(image, where, 8), b"EFI PART")
    same("sectors of the volume", int.from_bytes(bytes_at(image, volume_at + 32, 4), "little"), partition["size"])
    same("volume", bytes_at(image, volume_at + 82, 8), b"FAT32   ")


def whole(root: Path) -> None:
    with folder() as place:
        image = made(root, place / "a stick.img")
        table(image)
        same("files", names(image), FILES)
        same("loader", content(image, "EFI/BOOT/BOOTX64.EFI"), (root / "build/BOOTX64.EFI").read_bytes())
        same("guest", content(image, "sluice/guest"), (root / "build/guests/tour").read_bytes())
        text = content(image, "README.TXT").decode("ascii")
        expect("\n" not in text.replace("\r\n", ""), "README.TXT has lines that do not end in CR LF")
        expect(not re.search(r"[{}]", text), "README.TXT has something unfilled", text)
        expect("Nothing is installed" in text and "only reads" in text, "README.TXT does not say what it must", text)
        expect("sudo mount" in text and "assign letter" in text, "README.TXT does not say how the volume is opened", text)


def ours_first(root: Path) -> None:
    """The names of our guests mean ours, in every folder; a path means the file, and so does a name that is not ours."""
    with folder() as place:
        for name in ("tour", "mine"):
            (place / name).write_bytes(b"\x7fELF of " + name.encode())
        for words, guest in (((), root / "build/guests/tour"), (("--guest", "./tour"), place / "tour"),
                             (("--guest", "mine"), place / "mine")):
            image = made(root, place / "out.img", "--force", *words, cwd=place)
            expect(content(image, "sluice/guest") == guest.read_bytes(), f"with {words} the guest is not {guest}")


def told_what(root: Path) -> None:
    """Everything that can be asked for is on the volume."""
    with folder() as place:
        module = place / "some module"
        module.write_bytes(os.urandom(3 * MIB + 5))
        guest = place / "g\u00e4st"
        shutil.copyfile(root / "build/guests/hello", guest)
        image = made(root, place / "@@1M x::.img", "--guest", guest, "--module", module, "--cmdline", " two words ",
                     "--options", "p2m=scramble", "--size", "700")
        same("size", image.stat().st_size, 700 * MIB)
        shutil.move(image, place / "plain.img")
        image = place / "plain.img"
        table(image)
        same("files", names(image), FILES | {"sluice/module"})
        same("module", content(image, "sluice/module"), module.read_bytes())
        same("guest", content(image, "sluice/guest"), guest.read_bytes())
        same("sluice.conf", content(image, "sluice/sluice.conf"),
             b"guest = sluice/guest\nmodule = sluice/module\ncmdline = two words\noptions = p2m=scramble\n")
        expect(b"only reads" not in content(image, "README.TXT"), "README.TXT speaks for a guest it does not know")


def same_bytes(root: Path) -> None:
    with folder() as place:
        plain = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        one = made(root, place / "one.img", "--guest", "hello", env={**plain, "TZ": "Asia/Tokyo"})
        two = made(root, place / "two.img", "--guest", "hello", env={**plain, "TZ": "America/Lima"})
        same("a second image", sum_of(two), sum_of(one))
        dates = set(re.findall(r"\d{4}-\d\d-\d\d", said("mdir", "-i", volume(one), "-/", "::")))
        same("dates of its files", dates, {"2020-01-01"})
        other = made(root, place / "other.img", "--guest", "hello", "--cmdline", "x")
        first, second = (json.loads(said(SFDISK, "--json", image))["partitiontable"]["id"] for image in (one, other))
        expect(first != second, "another stick has the same identity")


def device(root: Path) -> None:
    """A device is left alone, and no advice names it: it may be a partition. This one is nobody's: no driver has number 0."""
    with folder() as place:
        node = place / "sdz1"
        try:
            os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(0, 0))
        except PermissionError:
            raise Skipped("making a block device for the test is not allowed here") from None
        done = call(root, "image", node, "--force")
        same("status", done.returncode, USAGE)
        expect(re.search("is a device, and this tool writes to none.* dd if=sluice.img of=/dev/sdX ", done.stdout),
               "no word about the device", done.stdout)
        expect(node.is_block_device() and len(list(place.iterdir())) == 1, "the device is gone, or not alone")


def refusals(root: Path) -> None:
    """A sentence, status 2, and nothing left behind."""
    with folder() as place:
        text = place / "text"
        text.write_text("no kernel")
        there = place / "there.img"
        there.write_text("mine")
        os.mkfifo(place / "pipe")
        (place / "dangling").symlink_to(place / "nowhere")
        (place / "dev").symlink_to("/dev")
        before = {path.name for path in place.iterdir()}
        out = place / "out.img"
        wrong = [
            ((place,), "is a folder"),
            ((there,), "is there already; --force"),
            ((place / "dangling",), "is there already; --force"),
            ((place / "pipe", "--force"), "is no file"),
            ((place / "no" / "out.img",), "there is no folder"),
            *(((f"{dev}/sluice-no-such-device",), "there is no device") for dev in ("/dev", "//dev", "/dev/../dev", place / "dev")),
            ((out, "--guest", place / "nothing"), "there is no file"),
            ((out, "--guest", "no-such-guest"), "neither a file nor a guest"),
            ((out, "--guest", place), "not a regular file"),
            ((out, "--guest", text), "not an ELF file"),
            ((out, "--module", place / "nothing"), "there is no file"),
            ((out, "--cmdline", "a\nb"), "printable ASCII"),
            ((out, "--cmdline", "x" * 1024), "at most 1023"),
            ((out, "--options", "\u00fc"), "printable ASCII"),
            ((out, "--size", "1"), "need"),
            ((out, "--size", "0"), "is given in MiB"),
            ((out, "--size", "much"), "--help"),
            ((), "--help"),
            ((out, "--forc"), "--help"),
        ]
        for words, sentence in wrong:
            done = call(root, "image", *words)
            same(f"status after {words}", done.returncode, USAGE)
            expect(re.search(sentence, done.stdout.splitlines()[-1]), f"{words} is not answered by {sentence!r}", done.stdout)
            same(f"left after {words}", {path.name for path in place.iterdir()}, before)
        same("the file that was there", there.read_text(), "mine")


def never_half(root: Path) -> None:
    """Where there is no room the old file stays, and no new one appears."""
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (40 * MIB, 40 * MIB))

    with folder() as place:
        out = place / "out.img"
        for _ in ("there is none", "there is one"):
            before = {path.name: path.read_bytes() for path in place.iterdir()}
            done = call(root, "image", out, "--force", preexec_fn=little_room)
            same("status", done.returncode, USAGE)
            expect("File too large" in done.stdout, "no word about the reason", done.stdout)
            same("what is there", {path.name: path.read_bytes() for path in place.iterdir()}, before)
            out.write_text("an old one")
        made(root, out, "--force")
        table(out)


def run_image(root: Path) -> None:
    """What ./tools/run says of wrong words, before it builds and boots; and of an image that is none."""
    with folder() as place:
        for words, sentence in ((("--image", place / "none"), "there is no file"),
                                (("--image", place), "not a regular file"),
                                (("--image", __file__, "--cmdline", "x"), "--image goes without"),
                                (("--boot", "tape"), "invalid choice"),
                                (("--disk", __file__, "--devices", "nvme-empty,edu"), "shows a disk"),
                                (("--capture", place / "no" / "picture.png"), "there is no folder"),
                                (("--capture", place), "is a folder"),
                                (("--screen", "large"), "is given as WIDTHxHEIGHT")):
            done = call(root, "run", *words)
            same(f"status after {words}", done.returncode, USAGE)
            expect(sentence in done.stdout, f"{words} is not answered by {sentence!r}", done.stdout)
            expect("run: b" not in done.stdout, f"{words} is answered after building", done.stdout)
        junk = place / "junk.img"
        junk.write_bytes(os.urandom(MIB))
        done = call(root, "run", "--image", junk, "--timeout", "5", "--icount")
        expect(done.returncode == 124 and "firmware had not started Sluice" in done.stdout,
               f"status {done.returncode} after an image of random bytes", done.stdout)
        same("the image", len(junk.read_bytes()), MIB)


def cases(root: Path = ROOT) -> list:
    def case(name: str, body, about: str) -> Case:
        return Case("image", name, partial(body, root), about)

    return [
        case("whole", whole, "the partition table, the volume, and each file on it"),
        case("ours-first", ours_first, "the name of a guest of ours is not taken for a file that happens to have it"),
        case("told-what", told_what, "guest, module, command line, options and size, from files with odd names"),
        case("same-bytes", same_bytes, "the same files make the same image, byte for byte; others have another identity"),
        case("refusals", refusals, "wrong input and what is there already: a sentence, and nothing is left behind"),
        case("device", device, "a block device: a sentence, and nothing is written"),
        case("never-half", never_half, "without room nothing half-written appears, and what was there stays"),
        case("run", run_image, "./tools/run with an image that is none, and with wrong words"),
    ]

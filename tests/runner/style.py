# SPDX-License-Identifier: MIT
"""Group style: what can be said about the sources without running them."""

import re
import subprocess
from pathlib import Path

from .core import Case, Failed, Skipped
from .paths import BUILD, EFI, HOOKED, ROOT

MAX_LINES = 600
CODE = (".c", ".h", ".S", ".py", ".ld")

# Lowest first: a room names itself and the rooms before it.
ROOMS = ("lib", "cpu", "mem", "screen", "acpi", "pci", "iommu", "irq", "pv", "main")
ROOT_HEADERS = {"boot_info.h": "lib"}  # fixed-width types only, shared by boot and kernel


def sources() -> list:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:  # an unpacked archive
        files = [path for path in ROOT.rglob("*") if path.is_file() and "build" not in path.parts]
    else:
        files = [ROOT / name for name in listed.stdout.splitlines()]
    return sorted(path for path in files if path.is_file() and path.suffix != ".patch")


def is_code(path: Path) -> bool:
    if path.suffix in CODE or path.name in ("CMakeLists.txt",):
        return True
    return path.parent == ROOT / "tools" and path.suffix == ""


def complain(problems: list, what: str) -> None:
    if problems:
        raise Failed(f"{len(problems)} {what}", "\n".join(problems))


def licence() -> None:
    missing = [str(path.relative_to(ROOT)) for path in sources() if is_code(path)
               and not any("SPDX-License-Identifier: MIT" in line
                           for line in path.read_text(errors="replace").splitlines()[:2])]
    complain(missing, "files without an SPDX line at the top")


def length() -> None:
    long = []
    for path in sources():
        if is_code(path):
            lines = len(path.read_text(errors="replace").splitlines())
            if lines > MAX_LINES:
                long.append(f"{path.relative_to(ROOT)}: {lines} lines")
    complain(long, f"files of more than {MAX_LINES} lines")


def leftovers() -> None:
    marks = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
    found = [f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for path in sources() if is_code(path)
             for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1) if marks.search(line)]
    complain(found, "marks of unfinished work")


def room_of(path: Path) -> str | None:
    relative = path.relative_to(ROOT).parts
    if relative[:2] == ("drivers", "iommu"):
        return "iommu"
    if relative[0] == "kernel":
        if len(relative) > 2:
            return relative[1]
        return ROOT_HEADERS.get(relative[1], "main")
    return relative[0]


def included(path: Path) -> list:
    """(line, file) of each #include "..." that can be found: beside the file, in the root, or in kernel/."""
    found = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if match := re.match(r'\s*#\s*include\s*[<"]([^">]+)[">]', line):
            for folder in (path.parent, ROOT, ROOT / "kernel", ROOT / "guest-abi", ROOT / "guest-abi/include"):
                if (folder / match[1]).is_file():
                    found.append((number, (folder / match[1]).resolve()))
                    break
    return found


def may_name(room: str, path: Path, target: Path) -> bool:
    other = room_of(target)
    relative = target.relative_to(ROOT).as_posix()
    if other == room:
        return True
    if room == "guest-abi":
        return False
    if room == "boot":
        return relative in ("kernel/boot_info.h",)
    if room == "iommu":
        return other == "lib" or relative == "guest-abi/include/sluice/errno.h"
    if room in ROOMS:
        if other == "iommu":
            return ROOMS.index(room) > ROOMS.index("iommu") and target.name in ("iommu.h", "host.h")
        return relative.startswith("guest-abi/include/") or (
            other in ROOMS and ROOMS.index(other) < ROOMS.index(room))
    return True  # tests may name everything


def layering() -> None:
    bad = []
    for path in sources():
        if path.suffix not in (".c", ".h", ".S"):
            continue
        room = room_of(path)
        for number, target in included(path):
            if ROOT in target.parents and not may_name(room, path, target):
                bad.append(f"{path.relative_to(ROOT)}:{number}: {room} names {target.relative_to(ROOT)}")
    complain(bad, "includes that break the layers")


FOLDERS = {"vtd": ROOT / "drivers/iommu/vtd", "amdvi": ROOT / "drivers/iommu/amdvi"}
FOREIGN = {"vtd": r"(?<![a-z])(?:amd|ivrs|ivhd|ivmd)", "amdvi": r"(?<![a-z])(?:intel(?![a-z])|vt-?d(?![a-z])|dmar)"}
OF_ONE_VENDOR = {"vtd": {"dmar.c", "dmar.h", "vtd.h"}, "amdvi": {"ivrs.c", "ivrs.h", "amdvi.h"}}


def strangers() -> None:
    """Lines, and names of files, with a word of the other vendor's."""
    found = []
    for folder, words in FOREIGN.items():
        for path in sources():
            if FOLDERS[folder] in path.parents:
                lines = [path.name, *path.read_text(errors="replace").splitlines()]
                found += [f"{path.relative_to(ROOT)}:{number}: {line.strip()}" for number, line in enumerate(lines)
                          if re.search(words, line, re.IGNORECASE)]
    complain(found, "lines in one vendor's folder that name the other")


def same_shape() -> None:
    if not (FOLDERS["amdvi"] / "unit.c").is_file():
        raise Skipped("drivers/iommu/amdvi has no unit.c yet")
    shapes = {folder: {path.relative_to(place).as_posix() for path in sources() if place in path.parents}
              - OF_ONE_VENDOR[folder] for folder, place in FOLDERS.items()}
    complain([f"drivers/iommu/{folder}/{name} has no counterpart" for folder, other in (("vtd", "amdvi"), ("amdvi", "vtd"))
              for name in sorted(shapes[folder] - shapes[other])], "files that only one vendor's folder has")


def tool(name: str) -> str:
    from shutil import which
    for candidate in (f"{name}-14", name):
        if found := which(candidate):
            return found
    raise Skipped(f"{name} is not installed")


def formatting() -> None:
    files = [str(path) for path in sources() if path.suffix in (".c", ".h")]
    done = subprocess.run([tool("clang-format"), "--dry-run", "-Werror", "--ferror-limit=1", *files], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode != 0:
        wrong = [line for line in done.stderr.splitlines() if "error:" in line]
        complain(wrong or [done.stderr], "files that clang-format would change")


def tidy() -> None:
    if not (ROOT / ".clang-tidy").is_file():
        raise Skipped("there is no .clang-tidy")
    if not (BUILD / "compile_commands.json").is_file():
        raise Skipped("not built")
    files = [str(path) for path in sources() if path.suffix == ".c" and path.relative_to(ROOT).parts[0]
             in ("kernel", "drivers")]
    # The analyzer's default effort per function takes minutes in parsers and finds nothing more there.
    effort = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=20000")]
    done = subprocess.run([tool("clang-tidy"), "-p", str(BUILD), "--quiet", "--warnings-as-errors=*", *effort, *files],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if done.returncode != 0:
        found = [line for line in done.stdout.splitlines() if "error:" in line]
        complain(found or [done.stdout], "findings of clang-tidy")


def names_in(image: Path) -> set:
    """Names of functions in a linked kernel that are hooks for tests."""
    done = subprocess.run([tool("llvm-nm"), str(image)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{image.name} cannot be read", done.stderr)
    return {line.split()[-1] for line in done.stdout.splitlines() if line.split()[-1].startswith("hook_")}


def no_hooks() -> None:
    """By names in the kernel, and by words in the whole file, whose loader has no names."""
    shipped, hooked = BUILD / "sluice.debug.elf", BUILD / "sluice_hooks.debug.elf"
    if not names_in(hooked) or b"hook: " not in HOOKED.read_bytes():
        raise Failed("the image for tests has no hooks either: the check shows nothing")
    if found := names_in(shipped):
        raise Failed(f"the shipped image has {', '.join(sorted(found))}")
    if b"hook: " in EFI.read_bytes():
        raise Failed("the shipped image speaks of hooks")


LITERALS = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')


def refusals() -> None:
    """Each sentence that docs/hardware.md gives advice for is one that the loader or the hypervisor has."""
    text = (ROOT / "docs/hardware.md").read_text()
    tables = text.partition("<!-- refusals -->")[2].partition("<!-- end of refusals -->")[0]
    sentences = re.findall(r"^\| `(.*?)` \|", tables, re.MULTILINE)
    if len(sentences) < 30:
        raise Failed(f"docs/hardware.md has only {len(sentences)} sentences of refusal")
    code = [path.read_text() for folder in ("boot", "kernel", "drivers") for path in (ROOT / folder).rglob("*.[ch]")]
    said = "\n".join(re.sub(r'"\s*"', "", found[1:-1]) for file in code for found in LITERALS.findall(file))
    complain([sentence for sentence in sentences if sentence.replace("\\", r"\\") not in said], "sentences in docs/hardware.md that nobody says")


CHECKS = (
    ("licence", licence, "every source file begins with its SPDX line"),
    ("length", length, f"no source file is longer than {MAX_LINES} lines"),
    ("leftovers", leftovers, "no marks of unfinished work"),
    ("layering", layering, "each room names only the rooms below it"),
    ("strangers", strangers, "no file of one IOMMU vendor names the other"),
    ("same-shape", same_shape, "the folders of both IOMMU vendors hold the same file names"),
    ("no-hooks", no_hooks, "the shipped image has nothing of tests/hooks in it"),
    ("refusals", refusals, "the sentences that docs/hardware.md gives advice for are those of the sources"),
    ("format", formatting, "clang-format would change nothing"),
    ("tidy", tidy, "clang-tidy has nothing to say about kernel/ and drivers/"),
)


def cases() -> list:
    return [Case("style", name, body, about) for name, body, about in CHECKS]

# SPDX-License-Identifier: MIT
"""Makes a page of a boot log: one HTML file that can be read offline and attached to a bug report.

LOG is what ./tools/run --log wrote, or what a terminal program saved from the serial port. Of several boots in it the
last one counts. Exit status: 0 the page was made; 2 usage, or LOG is no log of Sluice's.
"""
import argparse
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.common import BUILD, REFUSED, Trouble, progress  # noqa: E402
from lib.report import facts, page, reading, words  # noqa: E402

_NOTE = b"\x04\0\0\0\x08\0\0\0\x03\0\0\0GNU\0"  # of the linker's build id: sizes, type, name


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Trouble(f"{message}. See ./tools/report --help")


def arguments():
    parser = Parser(prog="./tools/report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, metavar="LOG", help="the boot log")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.html",
                        help="where the page goes (default: LOG with .html at its end, in the current folder)")
    parser.add_argument("--no-install", action="store_true", help=argparse.SUPPRESS)  # nothing is needed but Python
    return parser.parse_args()


def read(path):
    """The log, split into boots."""
    if not path.exists():
        raise Trouble(f"there is no file '{path}'")
    if path.is_dir():
        raise Trouble(f"'{path}' is a folder, not a log")
    if not path.is_file():
        raise Trouble(f"'{path}' is a pipe or a device: the log is read twice, so save it to a file first")
    splitter = reading.Splitter(facts.Facts)
    for line in reading.lines_of(path):
        splitter.feed(line)
    splitter.finish()
    if splitter.line_number == 0:
        raise Trouble(f"'{path}' is empty: nothing came from the serial port")
    if splitter.facts is None:
        raise Trouble(f"nothing in '{path}' comes from Sluice: no line begins with \"sluice: \"")
    return splitter


def build_note(build):
    """Whether the log's build is the one that lies in build/."""
    try:
        image = (BUILD / "image" / "sluice.elf").read_bytes()
    except OSError:
        return ""
    at = image.find(_NOTE)
    here = image[at + len(_NOTE):][:8].hex() if at >= 0 else ""
    if not build or not here:
        return ""
    return "(the one in this checkout's build folder)" if here == build else "(not the one in this checkout's build folder)"


def notes_of(splitter):
    notes = []
    if splitter.boots > 1:
        notes.append(f"The log holds {splitter.boots} boots. This page is about the last one, from line "
                     f"{splitter.facts.first_line:,} on.")
    if splitter.other_lines:
        notes.append(f"Before Sluice's first word there is {page.counted(splitter.other_lines, 'line')} of firmware's or others'.")
    if splitter.facts.headless:
        notes.append("The log lacks the boot's beginning: what the page does not say may have been there.")
    if splitter.doubtful:
        notes.append("Not one line of the log is Sluice's beyond doubt: a guest may have printed what looks like the loader's.")
    if splitter.held:
        notes.append("After the hypervisor's last word there are lines that look like the loader of another boot. They may be: then "
                     "cut the log before them and make a page of the rest. Or the guest has printed them.")
    return notes


def write(html, output):
    """A page that is there is replaced once the new one is whole; what is no file, as /dev/stdout, is written to."""
    if output.exists() and not output.is_file():
        output.write_text(html, encoding="utf-8", errors="replace")
        return
    output = output.resolve()
    part = output.with_name(f".report-{os.getpid()}.part")
    try:
        part.write_text(html, encoding="utf-8", errors="replace")
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


def run(options):
    splitter = read(options.log)
    output = options.output or Path(options.log.name + ".html")
    if output.exists() and output.samefile(options.log):
        raise Trouble(f"'{output}' is the log itself; the page needs another place")
    told = splitter.facts
    html = page.html(told, splitter.kept, options.log.name, notes_of(splitter), build_note(told.first("banner", "build")))
    try:
        write(html, output)
    except OSError as error:
        raise Trouble(f"'{output}' cannot be written: {error.strerror}") from None
    end = words.verdict(told)
    of = f"the last of {splitter.boots} boots" if splitter.boots > 1 else "one boot"
    of += " without its beginning" if told.headless else ""
    faults = sum(fault.count for fault in told.faults.values())
    progress("report", f"{options.log.name} holds {of}. {end.title}. {page.counted(len(told.units), 'IOMMU unit')}, "
                       f"{page.counted(len(told.devices), 'device')}, {page.counted(len(told.reserved), 'reserved range')}, "
                       f"{page.counted(faults, 'line')} of blocked accesses. The page is {output}")
    return 0


def main():
    try:
        return run(arguments())
    except Trouble as trouble:
        progress("report", str(trouble))
        return REFUSED
    except OSError as error:
        progress("report", f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        return REFUSED
    except KeyboardInterrupt:
        progress("report", "interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())

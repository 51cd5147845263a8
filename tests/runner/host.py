# SPDX-License-Identifier: MIT
"""Groups unit and driver: cmocka programs built from the product's own sources."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .core import Case, Failed, Result
from .paths import BUILD, ROOT

GROUPS = ("unit", "driver")
TIMEOUT = {"unit": 120, "driver": 120}


def declared(root: Path = ROOT) -> list:
    """Every sluice_host_test(GROUP NAME SOURCES...) of the CMake files: (group, name, sources)."""
    found = []
    for cmake in sorted((root / "tests").rglob("CMakeLists.txt")):
        text = re.sub(r"#.*", "", cmake.read_text())
        matches = list(re.finditer(r"sluice_host_test\(\s*([a-z]+)\s+([\w-]+)\s+([^)]*)\)", text))
        # A name made of variables would be built and never run.
        if len(matches) != len(re.findall(r"\bsluice_host_test\(", text)):
            raise RuntimeError(f"{cmake}: a sluice_host_test() whose group and name are not written out")
        for match in matches:
            sources = []
            for word in match[3].split():
                word = word.replace("${CMAKE_SOURCE_DIR}", str(root)).replace(
                    "${CMAKE_CURRENT_SOURCE_DIR}", str(cmake.parent))
                sources.append(Path(word) if word.startswith("/") else cmake.parent / word)
            if match[1] in GROUPS:
                found.append((match[1], match[2], sources))
    return found


def cases_of(sources: list) -> tuple:
    """The names of the cmocka cases, read from the test's own sources (those under tests/)."""
    names = []
    for source in sources:
        if "tests" in source.parts and source.suffix == ".c" and source.is_file():
            text = source.read_text(errors="replace")
            shorthands = re.findall(r"#define\s+(\w+)\(.*\\?\n?.*cmocka_unit_test", text)
            text = re.sub(r"#define(?:.*\\\n)*.*", "", text)
            for call in (r"cmocka_unit_test\w*", *shorthands):
                names += re.findall(rf"\b{call}\(\s*(\w+)", text)
    return tuple(dict.fromkeys(names))


def read_results(program: str, folder: Path) -> list:
    results = []
    for file in sorted(folder.glob("*.xml")):
        for case in ElementTree.parse(file).getroot().iter("testcase"):
            status, reason, output = "passed", "", ""
            if (failure := case.find("failure")) is not None:
                status, output = "failed", (failure.text or "").strip()
                reason = output.splitlines()[0] if output else "failed"
            elif case.find("skipped") is not None:
                status, reason = "skipped", "the case skipped itself"
            elif (error := case.find("error")) is not None:
                status, reason = "failed", (error.text or "error in set-up").strip()
            results.append(Result(f"{program}/{case.get('name')}", status, float(case.get("time") or 0), reason,
                                  output))
    return results


def run_program(group: str, name: str, tables: str | None, build: Path = BUILD) -> list:
    program = build / "tests" / group / name
    if not program.is_file():
        raise Failed(f"{program} was not built")
    folder = Path(tempfile.mkdtemp(prefix="sluice-test-"))
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="XML", CMOCKA_XML_FILE=str(folder / "%g.xml"))
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=1")
    if tables:
        environment["SLUICE_TABLES"] = str(tables)
    start = time.monotonic()
    try:
        done = subprocess.run([program], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=TIMEOUT[group])
        results = read_results(f"{group}/{name}", folder)
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
        raise Failed(f"still running after {TIMEOUT[group]} s",
                     output if isinstance(output, str) else output.decode(errors="replace")) from None
    except ElementTree.ParseError as error:
        raise Failed(f"its result file cannot be read: {error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not results:
        raise Failed(f"ended with status {done.returncode} and no results", done.stdout)
    if done.returncode != 0 and all(result.status != "failed" for result in results):
        # The sanitizers' exit: every case passed and something leaked or broke outside of them.
        results.append(Result(f"{group}/{name}", "failed", time.monotonic() - start,
                              f"ended with status {done.returncode} though its cases passed", done.stdout))
    for result in results:
        if result.status == "failed":  # what cmocka's file has of it, after what the program itself says: a seed
            result.output = "\n".join(filter(None, (done.stdout.strip(), result.output)))
    return results


DRIVER_PREFIX = {"intel": "vtd_", "amd": "amdvi_"}  # of one source, driver tests are built for each vendor


def vendor_of(group: str, program: str) -> str | None:
    if group == "driver":
        for vendor, prefix in DRIVER_PREFIX.items():
            if program.startswith(prefix):
                return vendor
    return None


def cases(tables: str | None) -> list:
    return [Case(group, name, lambda group=group, name=name: run_program(group, name, tables),
                 parts=cases_of(sources), vendor=vendor_of(group, name)) for group, name, sources in declared()]

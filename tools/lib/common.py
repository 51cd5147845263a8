# SPDX-License-Identifier: MIT
"""Places, trouble in words, the exit statuses of a run, and what every tool's command line does."""
import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

GUEST_OK, GUEST_FAILED, REFUSED, HYPERVISOR_FAULT, TIMED_OUT = 0, 1, 2, 3, 124


class Trouble(Exception):
    """Something the user must be told in a sentence; the tool then exits with .status."""

    def __init__(self, sentence, status=REFUSED):
        super().__init__(sentence)
        self.status = status


def progress(tool, text):
    """One progress line. They go to stderr, so that stdout holds the machine's own words."""
    print(f"{tool}: {text}", file=sys.stderr, flush=True)


class Parser(argparse.ArgumentParser):
    """Says what is wrong as the tools do: in a sentence."""

    def error(self, message):
        raise Trouble(f"{message}. See {self.prog} --help")


def told(tool, work):
    """The exit status of work(), or of what went wrong there, which is told."""
    try:
        return work()
    except Trouble as trouble:
        progress(tool, str(trouble))
        return trouble.status
    except OSError as error:
        progress(tool, f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        return REFUSED
    except KeyboardInterrupt:
        progress(tool, "interrupted")
        return 130

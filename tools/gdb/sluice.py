# SPDX-License-Identifier: MIT
"""GDB's script for Sluice: gdb -x tools/gdb/sluice.py -ex 'sluice-connect FOLDER', as ./tools/run --gdb says.

`help sluice` lists the commands; docs/debugging.md shows them at work."""
import os
import sys

import gdb

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

import connect  # noqa: E402
import look  # noqa: E402
import printers  # noqa: E402


class Prefix(gdb.Command):
    """Sluice: sluice-connect, sluice-loader, sluice-units, sluice-contexts, sluice-walk, sluice-entry, sluice-frame,
sluice-guest, sluice-log. What they show is read from memory; none of them changes anything."""

    def __init__(self):
        super().__init__("sluice", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        print(self.__doc__)


Prefix()
printers.register()
connect.register(os.path.dirname(os.path.dirname(HERE)))
look.register()
